"""The mails about booked visits: told, moved, reminded of, taken back when a visit is cancelled.

Each is queued in the transaction of its cause. A subject and its preview name the clinic, the day and the time: nothing
of why. What is owed after a fact is planned in ``followups.py``; the words are in ``letters.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.messaging.actions import cancel_messages
from mesoclinic.messaging.models import Message, MessageState
from patients.models import Patient, PatientStatus
from sessions.mail.invitations import CANCEL, REQUEST, start_in, uid_of
from sessions.mail.kinds import BOOKING, CANCELLATION, REMINDER
from sessions.mail.waiting import may_be_mailed
from sessions.mail.writing import Letter, queue_letter
from sessions.models import Appointment, AppointmentStatus, Course
from sessions.planner import instant

# ------------------------------------------------------------------ booking, the day before, cancelled


def queue_confirmation(
    appointments: Sequence[Appointment],
    *,
    subject_id: UUID,
    by: User | None,
    was: Mapping[int, datetime] | None = None,
) -> Message | None:
    """One mail with all the dates, held a little so that it can still be undone.

    ``was`` holds, by primary key, the other time that the patient was told before.
    """
    if not appointments or not may_be_mailed(appointments[0].patient):
        return None
    version = next_version(BOOKING, subject_id)
    letter = _letter_of(BOOKING, appointments, subject_id=subject_id, version=version, was=was)
    return queue_letter(letter, due_at=timezone.now(), useful_until=appointments[-1].starts_at, hold=True, by=by)


def queue_moved(appointments: Sequence[Appointment], *, course: Course, by: User | None) -> Message | None:
    """One mail with the old and the new time of what moved. What had not left is void and told with it, as it is now.

    Where no old time was ever told it is an ordinary confirmation.
    """
    moved = {visit.pk for visit in appointments}
    for visit in appointments:
        cancel_messages(subject_id=visit.public_id, purposes=[BOOKING], by=by)
    if cancel_messages(subject_id=course.public_id, purposes=[BOOKING], by=by):
        booked = course.appointments.filter(status=AppointmentStatus.BOOKED).order_by("starts_at")
        appointments = list(booked.select_related("patient", "site", "practitioner", "room", "course__plan"))
    was = {visit.pk: told_time(visit) for visit in appointments}
    news = [visit for visit in appointments if visit.pk in moved or was[visit.pk] != visit.starts_at]
    before = {visit.pk: at for visit in news if (at := was[visit.pk]) is not None and at != visit.starts_at}
    return queue_confirmation(news, subject_id=course.public_id, was=before, by=by)


def queue_reminder(appointment: Appointment, *, by: User | None) -> Message | None:
    """At the same wall time the day before; not at all where that has passed, since the confirmation has just told."""
    due_at = reminder_due_at(appointment)
    if not may_be_mailed(appointment.patient) or due_at <= timezone.now():
        return None
    subject_id, version = appointment.public_id, appointment.sequence + 1
    letter = _letter_of(REMINDER, [appointment], subject_id=subject_id, version=version)
    return queue_letter(letter, due_at=due_at, useful_until=appointment.starts_at, by=by)


def reminder_due_at(appointment: Appointment) -> datetime:
    """24 hours by the clock on the wall. A time that the clocks skip the day before gives way to the one after it."""
    return days_before(appointment, 1)


def days_before(appointment: Appointment, days: int) -> datetime:
    """The same wall time, so many days before."""
    zone = appointment.site.tz
    local = appointment.starts_at.astimezone(zone)
    day, wall = local.date() - timedelta(days=days), local.time()
    return instant(day, wall, zone) or datetime.combine(day, wall, tzinfo=zone).astimezone(UTC)


def take_back(appointments: Sequence[Appointment], *, course: Course, by: User | None) -> None:
    """After ``appointments`` of ``course`` were cancelled: void what was not sent, and tell of what was.

    A confirmation that is still held would name dates that are off; it gives way to one with those that remain.
    """
    told = [visit for visit in appointments if told_time(visit)]
    for visit in appointments:
        cancel_messages(subject_id=visit.public_id, purposes=[REMINDER, BOOKING], by=by)
    if cancel_messages(subject_id=course.public_id, purposes=[BOOKING], by=by):
        rest = course.appointments.filter(status=AppointmentStatus.BOOKED).select_related(
            "patient", "practitioner", "site", "room"
        )
        queue_confirmation(
            [visit for visit in rest.order_by("starts_at") if not told_time(visit)], subject_id=course.public_id, by=by
        )
    if told:
        _tell_cancelled(told, course=course, by=by)


def _tell_cancelled(visits: Sequence[Appointment], *, course: Course, by: User | None) -> None:
    """One mail that takes these dates, which the patient was told, off their calendar."""
    if not may_be_mailed(visits[0].patient):
        return
    subject_id = visits[0].public_id if len(visits) == 1 else course.public_id
    version = next_version(CANCELLATION, subject_id)
    letter = _letter_of(CANCELLATION, visits, subject_id=subject_id, version=version)
    queue_letter(letter, due_at=timezone.now(), useful_until=visits[-1].starts_at, hold=True, by=by)


def void_confirmation(course: Course, *, by: User | None) -> None:
    """The course's confirmation that has not left does not leave any more."""
    cancel_messages(subject_id=course.public_id, purposes=[BOOKING], by=by)


@dataclass(frozen=True, kw_only=True)
class Retold:
    """What became of the mail about a change that was taken back."""

    withdrawn: int  # messages about it that had not left
    left: datetime | None  # when the last one about it left, where one had
    told: Message | None  # what tells what is so now, where that is needed
    may_be_told: bool


def tell_what_is_so(visits: Sequence[Appointment], *, course: Course, since: datetime, by: User | None) -> Retold:
    """After these visits were put back: withdraw what had not left since, and tell those who know something else.

    Nothing is told where the patient knows no other time than the one that holds again.
    """
    subjects = [*(visit.public_id for visit in visits), course.public_id]
    about = Message.objects.filter(subject_id__in=subjects, purpose__in=[BOOKING, CANCELLATION])
    gone = about.filter(created_at__gte=since, state__in=MessageState.GONE).order_by("-created_at").first()
    withdrawn = sum(
        cancel_messages(subject_id=subject, purposes=[BOOKING, CANCELLATION], by=by) for subject in subjects
    )
    rows = course.appointments.select_related("patient", "site", "practitioner", "room", "course__plan")
    mine, now = {visit.pk for visit in visits}, timezone.now()
    booked, off = [], []
    for visit in rows.order_by("starts_at"):
        if visit.pk in mine or (visit.status == AppointmentStatus.BOOKED and visit.starts_at > now):
            booked.append(visit)
        elif visit.status == AppointmentStatus.CANCELLED and told_time(visit):
            off.append(visit)  # its cancellation was withdrawn with the others
    was = {visit.pk: told_time(visit) for visit in booked}
    news = [visit for visit in booked if was[visit.pk] != visit.starts_at]
    before = {pk: at for pk, at in was.items() if at is not None and pk in {visit.pk for visit in news}}
    told = queue_confirmation(news, subject_id=course.public_id, was=before, by=by)
    if off and withdrawn:
        _tell_cancelled(off, course=course, by=by)
    return Retold(
        withdrawn=withdrawn,
        left=(gone.sent_at or gone.due_at) if gone is not None else None,
        told=told,
        may_be_told=may_be_mailed(visits[0].patient),
    )


def told_time(appointment: Appointment) -> datetime | None:
    """The time that the patient was last told, or may have been; None where they know of no visit: no confirmation has
    left, or a cancellation has left after it.

    It is read from the calendar file that was sent, so it holds whatever happened to the visit since.
    """
    uid = uid_of(appointment)
    about = Q(person_id=appointment.patient.public_id)
    about |= Q(subject_id__in=[appointment.public_id, appointment.course.public_id])
    left = Message.objects.filter(
        about, purpose__in=[BOOKING, CANCELLATION], state__in=MessageState.GONE, created_at__gte=appointment.created_at
    )
    for purpose, files in left.order_by("-created_at", "-pk").values_list("purpose", "attachments"):
        for file in files:
            if at := start_in(file["text"], uid=uid):
                return None if purpose == CANCELLATION else at
    return None


def next_version(purpose: str, subject_id: UUID) -> int:
    newest = Message.objects.filter(purpose=purpose, subject_id=subject_id).aggregate(newest=Max("version"))["newest"]
    return (newest or 0) + 1


def _letter_of(
    purpose: str,
    appointments: Sequence[Appointment],
    *,
    subject_id: UUID,
    version: int,
    was: Mapping[int, datetime] | None = None,
) -> Letter:
    """Return the letter about these visits, with a calendar file for each."""
    first, off = appointments[0], purpose == CANCELLATION
    return Letter(
        purpose=purpose,
        subject_id=subject_id,
        version=version,
        patient=first.patient,
        site=first.site,
        practitioner=first.practitioner,
        visits=appointments,
        was=was or {},
        link_until=None if off else appointments[-1].starts_at,
        method=CANCEL if off else REQUEST,
    )


# ------------------------------------------------------------------ returned mail


def wrong_addresses(messages: QuerySet[Message], *, at_most: int) -> list[dict[str, str]]:
    """Patients whose mail came back and whose address has not been changed since: the address needs a check."""
    returned = messages.filter(state=MessageState.BOUNCED)
    same = Patient.objects.filter(
        public_id=OuterRef("person_id"), email=OuterRef("to_address"), status=PatientStatus.ACTIVE
    )
    newest = returned.filter(Exists(same)).only("person_id", "person_label", "sent_at").order_by("-sent_at")
    found: dict[UUID, dict[str, str]] = {}
    for message in newest[: 10 * at_most]:
        found.setdefault(
            message.person_id,
            {
                "kind": "red",
                "icon": "mail",
                "title": _("Check the address"),
                "text": _("%(name)s: mail came back") % {"name": message.person_label},
                "url": reverse("patients:edit", args=[message.person_id]),
                "label": _("Open"),
            },
        )
    return list(found.values())[:at_most]
