"""What the database itself keeps of submitted intakes, day checks and statements."""

from mesoclinic.core.guards import append_only, frozen, register

INTAKE_IMMUTABLE = frozen(
    name="intake_immutable",
    table="patients_intake",
    when="{row}.status = 'submitted'",
    columns=None,
    unique=("id", "public_id"),
)
INTAKE_REVIEW_APPEND_ONLY = append_only(
    name="intake_review_append_only", table="patients_intakereview", unique=("id", "intake_id")
)
DAY_CHECK_APPEND_ONLY = append_only(name="day_check_append_only", table="patients_daycheck", unique=("id", "public_id"))
STATEMENT_APPEND_ONLY = append_only(
    name="statement_append_only", table="patients_statement", unique=("id", "public_id")
)
SETTLEMENT_APPEND_ONLY = append_only(
    name="settlement_append_only", table="patients_settlement", unique=("id", "public_id")
)
register(
    INTAKE_IMMUTABLE,
    INTAKE_REVIEW_APPEND_ONLY,
    DAY_CHECK_APPEND_ONLY,
    STATEMENT_APPEND_ONLY,
    SETTLEMENT_APPEND_ONLY,
)
