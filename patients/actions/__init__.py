"""Everything that changes a patient’s record: one transaction each, the audit event inside it."""
