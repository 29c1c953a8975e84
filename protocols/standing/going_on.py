"""Going on against a stop, or past a caution: who may, with which reason, and what is kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition, NotAllowed
from patients.models import Patient
from patients.queries import is_seen_by
from protocols.models import Plan, StandingAcknowledgement, StandingOverride
from protocols.models.enums import NOTE_NEEDED, AcknowledgementReason, StandingStep
from protocols.standing.reasons import INGREDIENT, REASON_LENGTH, Reason, Standing
from protocols.standing.standing import standing, standing_now


class MayNotTreat(DomainError):
    """A stop that the person may not pass. ``standing`` says everything that stands against it."""

    def __init__(self, message: str, *, standing: Standing, field: str | None = None) -> None:
        super().__init__(message, field=field)
        self.standing = standing


def check_may_treat(
    patient: Patient,
    plan: Plan,
    day: date,
    *,
    by: User,
    reason: str = "",
    needle: bool = False,
    field: str | None = None,
) -> Standing:
    """Return the standing where ``by`` may go on; raise MayNotTreat with the rule where not.

    A stop is passed by nobody below a signer. A signer passes it with ``reason`` in words; whoever calls then keeps it
    with ``keep_override``. With ``needle`` what is about to happen cannot be undone: cautions that came up after the
    signature have to be acknowledged first, and what was never asked has to be asked, also by a signer.
    """
    found = standing(patient, plan, day)
    if found.is_stop:
        signs = by.may(Permission.PLAN_SIGN) and is_seen_by(patient, by)
        if not signs or not checked_reason(reason, field=field):
            raise MayNotTreat(_refusal(found.seen_by(by), patient, signs=signs), standing=found, field=field)
    if needle and (waiting := found.for_asking if found.is_stop else found.cautions):
        raise MayNotTreat(_not_acknowledged(found.seen_by(by), waiting), standing=found, field=field)
    return found


def checked_reason(reason: str, *, field: str | None = None) -> str:
    """Return the reason in one line; raise InvalidInput where it is too long to keep."""
    tidy = " ".join(reason.split())
    if len(tidy) > REASON_LENGTH:
        raise InvalidInput(_("Shorten the reason to %(length)d characters.") % {"length": REASON_LENGTH}, field=field)
    return tidy


def _refusal(found: Standing, patient: Patient, *, signs: bool) -> str:
    first = found.stops[0]
    said = _("“%(answer)s” (%(where)s).") % {"answer": first.answer.strip("“”"), "where": first.where}
    parts = [_("%(name)s may not be treated: %(why)s") % {"name": patient.name, "why": first.message}]
    if first.answer and not (found.hides_plan and first.kind == INGREDIENT):
        parts.append(said)
    if signs:
        parts.append(_("Only with a reason of yours, in words."))
    else:
        parts.append(_("Only somebody who signs plans may go on, with a reason."))
    return " ".join(parts)


def _not_acknowledged(found: Standing, waiting: Sequence[Reason]) -> str:
    keys = {reason.key for reason in waiting}
    said = [reason for reason in found.cautions if reason.key in keys]  # as the reader may see them
    to_ask = [reason.message for reason in said if reason.is_for_asking]
    others = [reason.message for reason in said if not reason.is_for_asking]
    parts = []
    if to_ask:
        ask = _("%(what)s Ask it under “Anything changed?” before the injection.")
        parts.append(ask % {"what": " ".join(to_ask)})
    if others:
        new = _("New since the plan was signed, and not acknowledged by somebody who signs plans: %(what)s")
        parts.append(new % {"what": " ".join(others)})
    return " ".join(parts)


def keep_override(
    found: Standing, *, plan: Plan, step: StandingStep, subject_id: UUID, reason: str, by: User
) -> StandingOverride | None:
    """Keep that a signer went on against a stop, and why, inside the caller's transaction; None where there was none.

    To be called once the guard has let ``by`` pass with this reason.
    """
    if not found.is_stop:
        return None
    row = StandingOverride.objects.create(
        plan=plan,
        step=step,
        subject_id=subject_id,
        reasons=[
            {"key": row.key, "rule": row.rule, "message": row.message, "answer": row.answer} for row in found.stops
        ],
        reason=checked_reason(reason),
        by=by,
        at=timezone.now(),
    )
    trail.record(
        "standing.overridden",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"step": str(step), "subject": str(subject_id), "rules": [row.rule for row in found.stops]},
    )
    return row


def passed_before(found: Standing, *, subject_id: UUID, by: User) -> bool:
    """Return whether ``by`` went on with this subject already, against all that stands against it now."""
    kept = StandingOverride.objects.filter(subject_id=subject_id, by=by).values_list("reasons", flat=True)
    known = {row["key"] for reasons in kept for row in reasons}
    return known >= {reason.key for reason in found.stops}


@transaction.atomic
def acknowledge_caution(*, plan: Plan, key: str, reason_code: str, note: str, by: User) -> StandingAcknowledgement:
    """Keep that somebody who signs plans has read a caution that came up after the signature: once per fact and plan.

    ``key`` is that of the caution, see ``Reason.key``. Raise InvalidInput where there is no such caution now.
    """
    if not by.may(Permission.PLAN_SIGN) or not is_seen_by(plan.patient, by):
        raise NotAllowed(_("Only somebody who signs plans acknowledges a caution."))
    found = standing_now(plan.patient, plan)
    caution = next((reason for reason in found.cautions if reason.key == key), None)
    if caution is None:
        raise InvalidInput(_("This plan has no such caution."), field="key")
    if caution.is_for_asking:
        raise InvalidInput(_("This is for the patient to answer: ask it. Nobody can acknowledge it."), field="key")
    note = " ".join(note.split())
    if reason_code not in AcknowledgementReason.values:
        raise InvalidInput(_("Choose a reason."), field="reason_code")
    if reason_code in NOTE_NEEDED and not note:
        raise InvalidInput(_("Say it in a few words."), field="note")
    if len(note) > REASON_LENGTH:
        raise InvalidInput(_("Shorten the note to %(length)d characters.") % {"length": REASON_LENGTH}, field="note")
    row, made = StandingAcknowledgement.objects.get_or_create(
        plan=plan,
        key=key,
        defaults={
            "rule": caution.rule,
            "answer": caution.answer[:500],
            "reason_code": reason_code,
            "note": note,
            "by": by,
            "at": timezone.now(),
        },
    )
    if not made:
        raise InvalidTransition(_("This caution is acknowledged already."))
    trail.record(
        "standing.caution_acknowledged",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"rule": caution.rule, "reason": reason_code},
    )
    return row
