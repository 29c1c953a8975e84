"""Everything that changes a formulary or a plan: one transaction each, the audit event inside it."""
