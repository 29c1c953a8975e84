"""Pages that need all three apps: Today, and the record of a patient."""
