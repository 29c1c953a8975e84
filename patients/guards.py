from mesoclinic.guards import frozen, register

INTAKE_IMMUTABLE = frozen(
    name="intake_immutable",
    table="patients_intake",
    when="{row}.status = 'submitted'",
    columns=None,
    unique=("id", "public_id"),
)
register(INTAKE_IMMUTABLE)
