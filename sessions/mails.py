"""The mails to patients: what they say, when they are due, and what becomes of them when a visit is cancelled.

Each is queued in the transaction of its cause. A subject and its preview name the clinic, the day and the time: nothing
of why. What is owed after a fact is planned in ``followups.py``; the words are in ``letters.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Clinic, Site, User
from mesoclinic.messaging.actions import cancel_messages, queue_message
from mesoclinic.messaging.models import Message, MessageState
from patients.models import Patient, PatientStatus
from sessions import letters
from sessions.followup_models import MailPreference
from sessions.invitations import CANCEL, REQUEST, attachment, start_in, uid_of
from sessions.links import choose_url_of, link_for, stop_url_of, url_of
from sessions.models import Appointment, Course
from sessions.planner import instant

BOOKING, REMINDER, CANCELLATION = "booking", "reminder_24h", "booking_cancelled"
MAINTENANCE = {f"maintenance_{months}m": months for months in (3, 6, 12)}
_REACHED = (MessageState.SENDING, MessageState.SENT, MessageState.BOUNCED)  # too late to take back

# What each kind is about. "appointment" is always sent; the others are the patient's choice. "offers" are not about an
# appointment, so they carry List-Unsubscribe.
CATEGORY: Mapping[str, str] = {
    BOOKING: "appointment",
    CANCELLATION: "appointment",
    REMINDER: "appointment",
    "missed": "appointment",
    "reply": "appointment",
    "reminder_7d": "reminders",
    "prepare": "reminders",
    "aftercare": "questions",
    "checkin_48h": "questions",
    "checkin_7d": "questions",
    "checkpoint": "questions",
    "waiting_review": "questions",
    "unbooked": "offers",
    **dict.fromkeys(MAINTENANCE, "offers"),
}
_REASON = {"appointment": "reason_appointment", "reminders": "reason_appointment", "offers": "reason_offer"}


def reason_key(category: str) -> str:
    """Which sentence at the foot says why the mail came."""
    return _REASON.get(category, "reason_visit")


# ------------------------------------------------------------------ whom we may write to


def may_be_mailed(patient: Patient) -> bool:
    return bool(patient.email and patient.contact_allowed and patient.status == PatientStatus.ACTIVE)


def is_wanted(patient: Patient, purpose: str) -> bool:
    """Whether the patient lets us send this kind."""
    category = CATEGORY[purpose]
    if category == "appointment":
        return True
    choice = MailPreference.objects.filter(patient=patient).first()
    return choice is None or bool(getattr(choice, category))


def unwanted(messages: Iterable[Message]) -> dict[int, str]:
    """Asked just before sending: which messages must not leave any more, and why. Two queries, however many."""
    mine = [message for message in messages if message.purpose in CATEGORY]
    people = {
        patient.public_id: patient
        for patient in Patient.objects.filter(public_id__in={message.person_id for message in mine}).only(
            "public_id", "email", "contact_allowed", "status"
        )
    }
    choices = {
        choice.patient_id: choice
        for choice in MailPreference.objects.filter(patient__in=[patient.pk for patient in people.values()])
    }
    found = {}
    for message in mine:
        patient = people.get(message.person_id)
        if patient is None:
            continue
        category = CATEGORY[message.purpose]
        choice = choices.get(patient.pk)
        if not may_be_mailed(patient):
            found[message.pk] = "This person is not written to any more."
        elif category != "appointment" and choice is not None and not getattr(choice, category):
            found[message.pk] = "This person does not want mails of this kind."
    return found


# ------------------------------------------------------------------ quiet hours

# These may leave in the evening or the night, as long as they are on time: they follow at once on what somebody did, or
# keep the wall time of the visit. Whatever comes late, after an outage or a refusal, waits for the morning.
_AT_ONCE = (BOOKING, CANCELLATION, "reply", "aftercare")
LATE = timedelta(hours=1)


def in_hours(at: datetime, site: Site) -> datetime:
    """The same instant, or the next at which mail may leave: quiet hours are those of the site's wall clock."""
    local = at.astimezone(site.tz)
    opens, closes = settings.MAIL_HOURS
    if local.hour < opens:
        day = local.date()
    elif local.hour >= closes:
        day = local.date() + timedelta(days=1)
    else:
        return at
    return datetime.combine(day, time(opens), tzinfo=site.tz).astimezone(UTC)


def put_off(messages: Iterable[Message]) -> dict[int, datetime]:
    """Asked just before sending: which messages have to wait for the morning, and until when. One query at most."""
    now = timezone.now()
    mine = [message for message in messages if message.purpose in CATEGORY and not _may_leave_at_night(message, at=now)]
    if not mine:
        return {}
    people = Patient.objects.filter(public_id__in={message.person_id for message in mine}).select_related("site")
    sites = {patient.public_id: patient.site for patient in people}
    opens = {site.pk: in_hours(now, site) for site in sites.values()}
    found = {message.pk: opens[sites[message.person_id].pk] for message in mine if message.person_id in sites}
    return {pk: at for pk, at in found.items() if at > now}


def _may_leave_at_night(message: Message, *, at: datetime) -> bool:
    if message.purpose in _AT_ONCE:
        return at - message.created_at <= settings.MESSAGE_HOLD + LATE
    if message.purpose == REMINDER and message.useful_until is not None:  # until the visit begins
        return message.useful_until - at >= timedelta(days=1) - LATE
    return False


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
    return _queue_visits(
        BOOKING,
        appointments,
        subject_id=subject_id,
        version=next_version(BOOKING, subject_id),
        method=REQUEST,
        due_at=timezone.now(),
        useful_until=appointments[-1].starts_at,
        hold=True,
        was=was,
        by=by,
    )


def queue_moved(appointments: Sequence[Appointment], *, course: Course, by: User | None) -> Message | None:
    """One mail with the old and the new time of what moved. What had not left is void and told with it, as it is now.

    Where no old time was ever told it is an ordinary confirmation.
    """
    moved = {visit.pk for visit in appointments}
    for visit in appointments:
        cancel_messages(subject_id=visit.public_id, purposes=[BOOKING], by=by)
    if cancel_messages(subject_id=course.public_id, purposes=[BOOKING], by=by):
        booked = course.appointments.filter(status="booked").order_by("starts_at")
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
    return _queue_visits(
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
        rest = course.appointments.filter(status="booked").select_related("patient", "practitioner", "site", "room")
        queue_confirmation(
            [visit for visit in rest.order_by("starts_at") if not told_time(visit)], subject_id=course.public_id, by=by
        )
    if told and may_be_mailed(told[0].patient):
        subject_id = told[0].public_id if len(told) == 1 else course.public_id
        _queue_visits(
            CANCELLATION,
            told,
            subject_id=subject_id,
            version=next_version(CANCELLATION, subject_id),
            method=CANCEL,
            due_at=timezone.now(),
            useful_until=told[-1].starts_at,
            hold=True,
            by=by,
        )


def void_confirmation(course: Course, *, by: User | None) -> None:
    """The course's confirmation that has not left does not leave any more."""
    cancel_messages(subject_id=course.public_id, purposes=[BOOKING], by=by)


def told_time(appointment: Appointment) -> datetime | None:
    """The time that the patient was last told, or may have been; None where no confirmation of this visit has left.

    It is read from the calendar file that was sent, so it holds whatever happened to the visit since.
    """
    uid = uid_of(appointment)
    about = Q(person_id=appointment.patient.public_id)
    about |= Q(subject_id__in=[appointment.public_id, appointment.course.public_id])
    left = Message.objects.filter(about, purpose=BOOKING, state__in=_REACHED, created_at__gte=appointment.created_at)
    for files in left.order_by("-created_at", "-pk").values_list("attachments", flat=True):
        for file in files:
            if at := start_in(file["text"], uid=uid):
                return at
    return None


def next_version(purpose: str, subject_id: UUID) -> int:
    newest = Message.objects.filter(purpose=purpose, subject_id=subject_id).aggregate(newest=Max("version"))["newest"]
    return (newest or 0) + 1


def _queue_visits(
    purpose: str,
    appointments: Sequence[Appointment],
    *,
    subject_id: UUID,
    version: int,
    method: str,
    due_at: datetime,
    useful_until: datetime,
    hold: bool,
    by: User | None,
    was: Mapping[int, datetime] | None = None,
) -> Message:
    first = appointments[0]
    with translation.override(first.patient.language):
        now = timezone.now()  # one calendar for each: a REQUEST or CANCEL is about one UID (RFC 5546, 3.2)
        invitations = [attachment([appointment], method=method, at=now) for appointment in appointments]
    return queue_letter(
        purpose,
        patient=first.patient,
        site=first.site,
        practitioner=first.practitioner,
        visits=appointments,
        subject_id=subject_id,
        version=version,
        due_at=due_at,
        useful_until=useful_until,
        link_until=None if method == CANCEL else appointments[-1].starts_at,
        attachments=invitations,
        hold=hold,
        was=was,
        by=by,
    )


# ------------------------------------------------------------------ one letter


def queue_letter(
    purpose: str,
    *,
    patient: Patient,
    site: Site,
    practitioner: User,
    subject_id: UUID,
    version: int,
    due_at: datetime,
    useful_until: datetime,
    by: User | None,
    visits: Sequence[Appointment] = (),
    day: datetime | None = None,
    advice: Sequence[str] = (),
    text: str = "",
    link_until: datetime | None = None,
    attachments: Sequence[Mapping[str, str]] = (),
    hold: bool = False,
    was: Mapping[int, datetime] | None = None,
) -> Message:
    """Write one letter in the patient's language and the site's time, with its own link, and put it in the outbox."""
    cause: dict[str, Any] = {"purpose": purpose, "subject_id": subject_id, "version": version}
    if there := Message.objects.filter(**cause).first():
        return there
    language, tz = patient.language, site.tz
    clinic = Clinic.objects.first()
    house = f"{clinic.name}, {site.name}" if clinic else site.name
    values: dict[str, Any] = {
        "name": patient.name,
        "house": house,
        "practitioner": practitioner.name,
        "phone": site.phone,
        "place": site.name,
        "zone": site.time_zone,
        "months": MAINTENANCE.get(purpose, ""),
        "n": len(visits),
        "text": text,
        "minutes": "",
        "day": "",
        "time": "",
        "was": "",
    }
    before = was or {}
    dates: list[str] = []
    if visits:
        first = visits[0]
        day = first.starts_at
        values["time"] = f"{first.starts_at.astimezone(tz):%H:%M}"
        values["minutes"] = int((first.ends_at - first.starts_at).total_seconds() // 60)
        dates = [letters.date_row(visit.starts_at, tz, language, was=before.get(visit.pk)) for visit in visits]
        if len(visits) == 1:
            dates = [f"{letters.date_row(first.starts_at, tz, language)}, {house}, {site.address}"]
            if first.pk in before:
                values["was"] = letters.date_row(before[first.pk], tz, language)
    if day is not None:
        values["day"] = letters.day_of(day, tz, language)
    category = CATEGORY[purpose]
    frame: dict[str, Any] = {
        "site": site,
        "link": "",
        "choose": "",
        "until": "",
        "emergency": settings.EMERGENCY_NUMBER,
        "urgent": category == "questions",
        "reason": letters.shipped(language)["frame"][reason_key(category)],
    }
    headers: dict[str, str] = {}
    if link_until is not None:
        link = link_for(**cause, patient=patient, expires_at=link_until)
        frame |= {
            "link": url_of(link),
            "choose": choose_url_of(link),
            "until": letters.day_of(link_until, tz, language, year=True),
        }
        if category == "offers":
            headers = {
                "List-Unsubscribe": f"<{stop_url_of(link)}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            }
    subject, plain, html = letters.compose(
        _wording_of(purpose, len(visits), moved=bool(before)),
        language=language,
        tz=tz,
        values=values,
        frame=frame,
        dates=dates,
        advice=advice,
    )
    return queue_message(
        **cause,
        person_id=patient.public_id,
        person_label=patient.name,
        to_address=patient.email,
        language=language,
        subject=subject,
        text=plain,
        html=html,
        attachments=attachments,
        headers=headers,
        due_at=due_at,
        useful_until=useful_until,
        hold=hold,
        by=by,
    )


def _wording_of(purpose: str, visits: int, *, moved: bool) -> str:
    if purpose in (BOOKING, CANCELLATION):
        return purpose + ("_moved" if moved else "") + ("_one" if visits == 1 else "")
    return "maintenance" if purpose in MAINTENANCE else purpose


# ------------------------------------------------------------------ returned mail


def wrong_addresses(messages: QuerySet[Message], *, at_most: int) -> list[dict[str, str]]:
    """Patients whose mail came back and whose address has not been changed since: the address needs a check."""
    returned = messages.filter(state=MessageState.BOUNCED)
    same = Patient.objects.filter(public_id=OuterRef("person_id"), email=OuterRef("to_address"))
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
