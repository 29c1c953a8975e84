"""What the database itself keeps of events: they are only added."""

from mesoclinic.core.guards import append_only, register

AUDIT_APPEND_ONLY = append_only(name="audit_append_only", table="audit_auditevent", unique=("id", "public_id", "hash"))
register(AUDIT_APPEND_ONLY)
