"""What the database itself keeps of visits: no person and no room twice at a time."""

from mesoclinic.core.guards import frozen, no_overlap, register

_TABLE = "treatment_sessions_appointment"
_LIVE = "{row}.status <> 'cancelled'"
_AROUND = {"minutes_before": "prepare_minutes", "minutes_after": "cleanup_minutes"}
# An overbooked visit may lie over an ordinary one, never over another overbooked one: two at once are the most.
PRACTITIONER_FREE = no_overlap(
    name="practitioner_booked_once",
    table=_TABLE,
    column="practitioner_id",
    live=_LIVE,
    apart=("overbooked",),
    **_AROUND,
)
ROOM_FREE = no_overlap(
    name="room_booked_once", table=_TABLE, column="room_id", live=_LIVE, apart=("overbooked",), **_AROUND
)
# The patient is there for the visit itself, not while a room is prepared or cleaned; and never twice, whoever asks.
PATIENT_FREE = no_overlap(name="patient_booked_once", table=_TABLE, column="patient_id", live=_LIVE)
SESSION_PERFORMED = frozen(
    name="treatment_session_frozen",
    table="treatment_sessions_treatmentsession",
    when=None,
    columns=(
        "public_id",
        "appointment_id",
        "plan_id",
        "nothing_changed",
        "tolerance",
        "note",
        "performed_at",
        "recorded_at",
        "performed_by_id",
    ),
    unique=("id", "public_id", "appointment_id"),
)
ADMINISTRATION_FROZEN = frozen(
    name="administration_frozen",
    table="treatment_sessions_administration",
    when=None,
    columns=None,
)
register(PRACTITIONER_FREE, ROOM_FREE, PATIENT_FREE, SESSION_PERFORMED, ADMINISTRATION_FROZEN)
