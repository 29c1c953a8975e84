"""What is owed to a person who can no longer be written to is withdrawn; when they can again, it is planned anew.

An address that is taken away, consent to mail, “deceased” by mistake, a merge and its undoing all pass through here.
What has no use any more by then, or what hung on a visit that has moved since, stays off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.messaging.actions import UNWANTED, WITHDRAWN
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.renewal import bring_back, withdraw_messages
from patients.models import Patient
from patients.queries import records_of
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from sessions.mail import sending as mails
from sessions.mail.followups import ASK_TO_BOOK, NOT_WANTED, NOT_WRITTEN_TO, OFFERS, advice_for
from sessions.mail.kinds import (
    BOOKING,
    CANCELLATION,
    CATEGORY,
    MAIL_KINDS,
    MISSED,
    REMINDER,
    REPLY,
    WAITING_REVIEW,
    About,
    Advice,
)
from sessions.mail.waiting import is_wanted, may_be_mailed
from sessions.mail.writing import Letter, queue_letter
from sessions.models import Appointment, AppointmentStatus, TreatmentSession, TreatmentSessionStatus
from sessions.models.followups import FollowUp, FollowUpState

_OFF = (FollowUpState.SKIPPED, FollowUpState.VOID)


def settle_what_is_owed(person: Patient, *, by: User | None) -> None:
    """Plan anew what is owed to ``person``, the record that remains; or withdraw it where nobody may be written to."""
    if may_be_mailed(person):
        plan_anew(person, by=by)
    else:
        withdraw(person, by=by)


def withdraw(person: Patient, *, by: User | None) -> None:
    """Nothing that still waits is mailed to somebody who has died, moved away, or no longer agrees."""
    withdraw_messages(messages=messages_of(person), by=by)
    _note_withdrawn(person)


def messages_of(person: Patient) -> QuerySet[Message]:
    """The mails to a person under every record of theirs."""
    mine = Message.objects.filter(person_id__in=records_of(person).values("public_id"))
    return mine.filter(purpose__in=list(CATEGORY))


def _note_withdrawn(person: Patient) -> None:
    """A follow-up whose message was withdrawn says so."""
    withdrawn = Message.objects.filter(
        purpose=OuterRef("kind"),
        subject_id=OuterRef("subject_id"),
        version=OuterRef("version"),
        state=MessageState.CANCELLED,
    )
    planned = FollowUp.objects.filter(patient__in=records_of(person), state=FollowUpState.PLANNED)
    for because, reason in ((WITHDRAWN, NOT_WRITTEN_TO), (UNWANTED, NOT_WANTED)):
        off = planned.filter(Exists(withdrawn.filter(last_error=because)))
        off.update(state=FollowUpState.VOID, reason=reason)


def plan_anew(person: Patient, *, by: User | None, reasons: tuple[str, ...] = (NOT_WRITTEN_TO,)) -> None:
    """Bring back what was withdrawn and is still of use, and make what was skipped."""
    now = timezone.now()
    _note_withdrawn(person)
    visits = Appointment.objects.filter(
        patient__in=records_of(person), status__in=AppointmentStatus.COMING, starts_at__gt=now
    )
    for visit in visits.select_related("patient", "site", "practitioner", "room", "course__plan"):
        mails.queue_reminder(visit, by=by)
    for message in messages_of(person).filter(state=MessageState.CANCELLED, last_error=WITHDRAWN, useful_until__gt=now):
        if _still_true(message):
            bring_back(message=message, due_at=message.due_at, by=by)
    off = FollowUp.objects.filter(patient__in=records_of(person), state__in=_OFF, reason__in=reasons)
    for owed in off.filter(useful_until__gt=now).order_by("due_at", "pk"):
        letter = letter_again(owed, person=person)
        if letter is None:
            continue
        if not is_wanted(person, owed.kind):
            FollowUp.objects.filter(pk=owed.pk).update(reason=NOT_WANTED)
            continue
        FollowUp.objects.filter(pk=owed.pk).update(state=FollowUpState.PLANNED, reason="")
        queue_letter(letter, due_at=owed.due_at, useful_until=owed.useful_until, by=by)


def _still_true(message: Message) -> bool:
    """Whether a withdrawn mail that is no follow-up would still tell what is so."""
    states = {
        BOOKING: AppointmentStatus.COMING,
        REMINDER: AppointmentStatus.COMING,
        CANCELLATION: (AppointmentStatus.CANCELLED,),
        REPLY: None,
    }
    if message.purpose not in states:
        return False
    wanted, visits = states[message.purpose], message.recipe.get("visits", ())
    if wanted is None:
        return True
    found = Appointment.objects.filter(pk__in=visits, status__in=wanted)
    if message.purpose == REMINDER:
        found = found.filter(sequence=message.version - 1)
    return bool(visits) and found.count() == len(visits)


# ------------------------------------------------------------------ one that is owed, written again


def letter_again(owed: FollowUp, *, person: Patient) -> Letter | None:
    """Return the letter of a follow-up as it would be written now; None where what it hung on is no longer so."""
    about = MAIL_KINDS[owed.kind].about
    if about is About.VISIT:
        return _about_a_visit(owed, person)
    if about is About.SESSION:
        return _about_a_session(owed, person)
    return _about_a_plan(owed, person)


def _about_a_visit(owed: FollowUp, person: Patient) -> Letter | None:
    rows = Appointment.objects.select_related("site", "practitioner", "room", "patient", "course__plan__formulary")
    visit = rows.filter(public_id=owed.subject_id).first()
    if visit is None:
        return None
    if owed.kind == MISSED:
        if visit.status != AppointmentStatus.NO_SHOW:
            return None
    elif visit.status not in AppointmentStatus.COMING or owed.version != visit.sequence + 1:
        return None
    return Letter(
        purpose=owed.kind,
        subject_id=owed.subject_id,
        version=owed.version,
        patient=person,
        site=visit.site,
        practitioner=visit.practitioner,
        visits=[visit],
        advice=_advice_again(owed, visit.course.plan, person),
        link_until=timezone.now() + MAIL_KINDS[MISSED].after.link if owed.kind == MISSED else visit.starts_at,
    )


def _about_a_session(owed: FollowUp, person: Patient) -> Letter | None:
    rows = TreatmentSession.objects.select_related("appointment__site", "appointment__practitioner", "plan__formulary")
    session = rows.filter(public_id=owed.subject_id, status=TreatmentSessionStatus.PERFORMED).first()
    if session is None:
        return None
    return Letter(
        purpose=owed.kind,
        subject_id=owed.subject_id,
        version=owed.version,
        patient=person,
        site=session.appointment.site,
        practitioner=session.appointment.practitioner,
        day=session.performed_at,
        advice=_advice_again(owed, session.plan, person),
        link_until=session.performed_at + MAIL_KINDS[owed.kind].after.link,
    )


def _advice_again(owed: FollowUp, plan: Plan, person: Patient) -> Sequence[str]:
    advice = MAIL_KINDS[owed.kind].advice
    return advice_for(plan, before=advice is Advice.BEFORE, language=person.language) if advice is not None else ()


def _about_a_plan(owed: FollowUp, person: Patient) -> Letter | None:
    """Not booked, review, maintenance: owed as long as the plan stands so and nothing is booked."""
    plan = (
        Plan.objects.select_related("signed_by", "created_by", "patient__site")
        .filter(public_id=owed.subject_id)
        .first()
    )
    if plan is None:
        return None
    ahead = Appointment.objects.filter(patient__in=records_of(person), status__in=AppointmentStatus.COMING)
    if owed.kind in OFFERS and ahead.exists():
        return None
    about: dict[str, Any] = {
        "purpose": owed.kind,
        "subject_id": owed.subject_id,
        "version": owed.version,
        "patient": person,
        "link_until": owed.due_at + MAIL_KINDS[owed.kind].after.link,
    }
    if owed.kind in ASK_TO_BOOK:
        if plan.status not in PlanStatus.IN_FORCE:
            return None
        noon = owed.useful_until - MAIL_KINDS[owed.kind].after.useful
        day = noon if owed.kind == WAITING_REVIEW else None
        return Letter(**about, site=person.site, practitioner=plan.signed_by or plan.created_by, day=day)
    last = (
        TreatmentSession.objects.filter(plan=plan, status=TreatmentSessionStatus.PERFORMED)
        .select_related("appointment__site", "appointment__practitioner")
        .order_by("-performed_at")
        .first()
    )
    if last is None or plan.status != PlanStatus.COMPLETED:
        return None
    visit = last.appointment
    return Letter(**about, site=visit.site, practitioner=visit.practitioner, day=last.performed_at)
