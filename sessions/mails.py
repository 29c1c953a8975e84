"""The mails about appointments: what they say, when they are due, and what becomes of them when a visit is cancelled.

Each is queued in the transaction of its cause. A mail names the clinic, the day, the time and the practitioner: nothing
of why.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Max
from django.utils import timezone, translation

from mesoclinic.accounts.models import Clinic, User
from mesoclinic.messaging.actions import cancel_messages, queue_message
from mesoclinic.messaging.compose import render
from mesoclinic.messaging.models import Message, MessageState
from patients.models import Patient, PatientStatus
from sessions.invitations import CANCEL, REQUEST, attachment
from sessions.models import Appointment, Course
from sessions.planner import instant

BOOKING, REMINDER, CANCELLATION = "booking", "reminder_24h", "booking_cancelled"
_REACHED = (MessageState.SENDING, MessageState.SENT, MessageState.BOUNCED)  # too late to take back


def may_be_mailed(patient: Patient) -> bool:
    return bool(patient.email and patient.contact_allowed and patient.status != PatientStatus.DECEASED)


def queue_confirmation(appointments: Sequence[Appointment], *, subject_id: UUID, by: User) -> Message | None:
    """One mail with all the dates, held a little so that it can still be undone."""
    if not appointments or not may_be_mailed(appointments[0].patient):
        return None
    return _queue(
        BOOKING,
        appointments,
        subject_id=subject_id,
        version=_next_version(BOOKING, subject_id),
        method=REQUEST,
        due_at=timezone.now(),
        useful_until=appointments[-1].starts_at,
        hold=True,
        by=by,
    )


def queue_reminder(appointment: Appointment, *, by: User) -> Message | None:
    """At the same wall time the day before; not at all where that has passed, since the confirmation has just told."""
    due_at = reminder_due_at(appointment)
    if not may_be_mailed(appointment.patient) or due_at <= timezone.now():
        return None
    return _queue(
        REMINDER,
        [appointment],
        subject_id=appointment.public_id,
        version=appointment.sequence + 1,
        method=REQUEST,
        due_at=due_at,
        useful_until=appointment.starts_at,
        hold=False,
        by=by,
    )


def reminder_due_at(appointment: Appointment) -> datetime:
    """24 hours by the clock on the wall. A time that the clocks skip the day before gives way to the one after it."""
    zone = appointment.site.tz
    local = appointment.starts_at.astimezone(zone)
    day, wall = local.date() - timedelta(days=1), local.time()
    return instant(day, wall, zone) or datetime.combine(day, wall, tzinfo=zone).astimezone(UTC)


def take_back(appointments: Sequence[Appointment], *, course: Course, by: User) -> None:
    """After ``appointments`` of ``course`` were cancelled: void what was not sent, and tell of what was.

    A confirmation that is still held would name dates that are off; it gives way to one with those that remain.
    """
    told = [visit for visit in appointments if _was_told(visit)]
    for visit in appointments:
        cancel_messages(subject_id=visit.public_id, purposes=[REMINDER, BOOKING], by=by)
    if cancel_messages(subject_id=course.public_id, purposes=[BOOKING], by=by):
        rest = course.appointments.filter(status="booked").select_related("patient", "practitioner", "site", "room")
        queue_confirmation(
            [visit for visit in rest.order_by("starts_at") if not _was_told(visit)], subject_id=course.public_id, by=by
        )
    if told and may_be_mailed(told[0].patient):
        subject_id = told[0].public_id if len(told) == 1 else course.public_id
        _queue(
            CANCELLATION,
            told,
            subject_id=subject_id,
            version=_next_version(CANCELLATION, subject_id),
            method=CANCEL,
            due_at=timezone.now(),
            useful_until=told[-1].starts_at,
            hold=True,
            by=by,
        )


def _was_told(appointment: Appointment) -> bool:
    """Whether a confirmation with this date has left, or may have."""
    return Message.objects.filter(
        purpose=BOOKING,
        subject_id__in=[appointment.public_id, appointment.course.public_id],
        state__in=_REACHED,
        created_at__gte=appointment.created_at,
    ).exists()


def _next_version(purpose: str, subject_id: UUID) -> int:
    newest = Message.objects.filter(purpose=purpose, subject_id=subject_id).aggregate(newest=Max("version"))["newest"]
    return (newest or 0) + 1


def _queue(
    purpose: str,
    appointments: Sequence[Appointment],
    *,
    subject_id: UUID,
    version: int,
    method: str,
    due_at: datetime,
    useful_until: datetime,
    hold: bool,
    by: User,
) -> Message:
    first = appointments[0]
    patient, site = first.patient, first.site
    with translation.override(patient.language):
        subject, text, html = render(purpose, _context(appointments), language=patient.language, tz=site.tz)
        invitation = attachment(appointments, method=method, at=timezone.now())
    return queue_message(
        purpose=purpose,
        subject_id=subject_id,
        version=version,
        person_id=patient.public_id,
        person_label=patient.name,
        to_address=patient.email,
        language=patient.language,
        subject=subject,
        text=text,
        html=html,
        attachments=[invitation],
        due_at=due_at,
        useful_until=useful_until,
        hold=hold,
        by=by,
    )


def _context(appointments: Sequence[Appointment]) -> dict[str, Any]:
    first = appointments[0]
    clinic = Clinic.objects.first()
    return {
        "house": f"{clinic.name}, {first.site.name}" if clinic else first.site.name,
        "site": first.site,
        "patient": first.patient,
        "practitioner": first.practitioner,
        "appointments": appointments,
        "first": first,
        "minutes": int((first.ends_at - first.starts_at).total_seconds() // 60),
    }
