from mesoclinic.guards import frozen, register

_UNSIGNED = "('draft', 'discarded')"
PLAN_SIGNED = frozen(
    name="plan_signed_frozen",
    table="protocols_plan",
    when="{row}.status NOT IN " + _UNSIGNED,
    columns=(
        "public_id",
        "patient_id",
        "intake_id",
        "formulary_id",
        "number",
        "version",
        "supersedes_id",
        "case",
        "policy",
        "engine_version",
        "proposal",
        "edits",
        "result",
        "created_at",
        "created_by_id",
        "signed_at",
        "signed_by_id",
        "signature_sha256",
    ),
    unique=("id", "public_id"),
)
# A formulary that was published can be retired, nothing else.
FORMULARY_PUBLISHED = frozen(
    name="formulary_published_frozen",
    table="protocols_formularyversion",
    when="{row}.status <> 'draft'",
    columns=(
        "public_id",
        "label",
        "documents",
        "sha256",
        "is_sample",
        "created_at",
        "published_at",
        "published_by_id",
    ),
    unique=("id", "public_id", "label"),
)
register(PLAN_SIGNED, FORMULARY_PUBLISHED)
