"""What follows on a recorded session, a step each, in the order in which it happens and in the record's transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mesoclinic.accounts.models import User
from patients.models import StatementSource
from patients.statements.recording import words_of_note
from patients.statements.statements import record_statements
from protocols.actions.status import change_plan_status
from protocols.models.enums import PlanStatus, StandingStep
from protocols.standing.going_on import keep_override
from protocols.standing.reasons import Standing
from sessions.booking.ending import is_complete
from sessions.mail import followups
from sessions.models import TreatmentSession


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A session that has just been recorded, and against what it was done."""

    session: TreatmentSession
    against: Standing | None  # none where nothing was injected
    reason: str  # why all the same


def _keep_what_was_said(recorded: Recorded, by: User) -> None:
    """Keep what has changed as words that a signer settles before the next session."""
    session = recorded.session
    if session.nothing_changed:
        return
    record_statements(
        patient=session.appointment.patient,
        said=words_of_note(session.note),
        source=StatementSource.NOTE,
        source_id=session.public_id,
        at=session.recorded_at,
        by=by,
    )


def _keep_reason(recorded: Recorded, by: User) -> None:
    if recorded.against is None:
        return
    keep_override(
        recorded.against,
        plan=recorded.session.plan,
        step=StandingStep.RECORD,
        subject_id=recorded.session.public_id,
        reason=recorded.reason,
        by=by,
    )


def _move_plan(recorded: Recorded, by: User) -> None:
    """Begin the course with its first recorded session, complete it with the last."""
    plan = recorded.session.plan
    if plan.status == PlanStatus.SIGNED:
        change_plan_status(plan=plan, to=PlanStatus.ACTIVE, by=by)
    if is_complete(plan):
        change_plan_status(plan=plan, to=PlanStatus.COMPLETED, by=by)


def _owe(recorded: Recorded, by: User) -> None:
    followups.performed(recorded.session, by=by)


AFTER_RECORDING: tuple[Callable[[Recorded, User], None], ...] = (_keep_what_was_said, _keep_reason, _move_plan, _owe)


def after_recording(recorded: Recorded, *, by: User) -> None:
    """Do all that follows on a recorded session."""
    for step in AFTER_RECORDING:
        step(recorded, by)
