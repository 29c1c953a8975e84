"""The visits to come of a merged record belong to the record that remains, with what is owed and mailed about them.

What was signed, done or submitted stays under the record it was written in. Undoing the merge gives back what came with
it, and what was booked since by a plan of that record.
"""

from __future__ import annotations

from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidTransition
from mesoclinic.messaging.models import Message, MessageState
from patients.models import Patient
from protocols.models import Plan
from sessions.models import Appointment, AppointmentStatus, Course, TreatmentSession
from sessions.models.followups import Answer, FollowUp, MailPreference

_MAY_STILL_LEAVE = (
    *MessageState.UNSENT,
    MessageState.SENDING,
    MessageState.CANCELLED,
)  # what was withdrawn may come back


def take_over(gone: Patient, *, into: Patient, by: User | None) -> None:
    """Give the visits to come, the follow-ups and the unsent mails of ``gone`` to the record that remains.

    Raise InvalidTransition where both records hold a visit at the same time: one of the two has to be cancelled first.
    """
    visits = Appointment.objects.filter(patient=gone, status__in=AppointmentStatus.COMING)
    moved = _give(visits, to=into)
    FollowUp.objects.filter(patient=gone).update(patient=into)
    _readdress(Message.objects.filter(person_id=gone.public_id), to=into)
    _carry_choice(gone, into=into)
    if moved:
        trail.record("visits.taken_over", by=by, patient=into, details={"appointments": moved})


def hand_back(gone: Patient, *, kept: Patient, by: User | None) -> None:
    """After a merge was undone: what hangs on the plans of ``gone`` is its own again."""
    visits = Appointment.objects.filter(patient=kept, course__plan__patient=gone)
    moved = _give(visits, to=gone)
    subjects = _subjects_of(gone)
    FollowUp.objects.filter(patient=kept, subject_id__in=subjects).update(patient=gone)
    _readdress(Message.objects.filter(person_id=kept.public_id, subject_id__in=subjects), to=gone)
    if moved:
        trail.record("visits.handed_back", by=by, patient=gone, details={"appointments": moved})


def _carry_choice(gone: Patient, *, into: Patient) -> None:
    """Mails that the person has switched off under either record are not wanted."""
    theirs = MailPreference.objects.filter(patient=gone).first()
    if theirs is None:
        return
    choice, _made = MailPreference.objects.get_or_create(patient=into)
    for name in ("reminders", "questions", "offers"):
        setattr(choice, name, getattr(choice, name) and getattr(theirs, name))
    choice.save()


def _give(visits: QuerySet[Appointment], *, to: Patient) -> list[str]:
    given = [str(public_id) for public_id in visits.order_by("starts_at", "pk").values_list("public_id", flat=True)]
    try:
        with transaction.atomic():
            visits.update(patient=to)
    except IntegrityError as error:
        raise InvalidTransition(
            _("Both records have a visit booked at the same time. Cancel one of the two first.")
        ) from error
    return given


def _readdress(messages: QuerySet[Message], *, to: Patient) -> None:
    messages.filter(state__in=_MAY_STILL_LEAVE).update(person_id=to.public_id)


def _subjects_of(patient: Patient) -> set[UUID]:
    """Every subject that a mail of this record's plans and answers can be about."""
    mine = [
        Plan.objects.filter(patient=patient),
        Course.objects.filter(plan__patient=patient),
        Appointment.objects.filter(course__plan__patient=patient),
        TreatmentSession.objects.filter(plan__patient=patient),
        Answer.objects.filter(link__patient=patient),
    ]
    return {public_id for rows in mine for public_id in rows.values_list("public_id", flat=True)}
