"""The mails to patients: what they say, when they are due, and what becomes of them when a visit is cancelled.

Each is queued in the transaction of its cause. A subject and its preview name the clinic, the day and the time: nothing
of why. What is owed after a fact is planned in ``followups.py``; the words are in ``letters.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Clinic, Site, User
from mesoclinic.messaging.actions import MAY_COME_BACK, UNWANTED, WITHDRAWN, cancel_messages, queue_message
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.renewal import FIELDS, Written, bring_back
from patients.models import Patient, PatientStatus
from protocols.enums import StandingStep
from protocols.models import StandingOverride
from protocols.standing import standings_now
from sessions.mail import letters
from sessions.mail.invitations import CANCEL, REQUEST, attachment, start_in, uid_of
from sessions.mail.links import choose_url_of, link_for, renew_address, stop_url_of, url_of
from sessions.models import Appointment, AppointmentStatus, Course
from sessions.models.followups import AnswerLink, MailPreference, purpose_words
from sessions.planner import instant

BOOKING, REMINDER, CANCELLATION = "booking", "reminder_24h", "booking_cancelled"
MAINTENANCE = {f"maintenance_{months}m": months for months in (3, 6, 12)}

# What each kind is about. "appointment" is always sent; the others are the patient's choice. "offers" are not about an
# appointment, so they carry List-Unsubscribe.
CATEGORY: Mapping[str, str] = {
    BOOKING: "appointment",
    CANCELLATION: "appointment",
    REMINDER: "appointment",
    "missed": "appointment",
    "reply": "appointment",
    "paper": "appointment",
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


def kind_words() -> dict[str, str]:
    """Return every kind of message by its purpose, in the reader's words."""
    return {purpose: purpose_words(purpose) for purpose in CATEGORY}


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
            found[message.pk] = WITHDRAWN
        elif category != "appointment" and choice is not None and not getattr(choice, category):
            found[message.pk] = UNWANTED
    return found


# ------------------------------------------------------------------ quiet hours

# These may leave in the evening or the night, as long as they are on time: they follow at once on what somebody did, or
# keep the wall time of the visit. Whatever comes late, after an outage or a refusal, waits for the morning.
_AT_ONCE = (BOOKING, CANCELLATION, "reply", "paper", "aftercare")
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


# What tells somebody to come, or to book: it waits while they may not be treated, and goes on when that is lifted.
_COMES = frozenset({BOOKING, REMINDER, "missed", "reminder_7d", "prepare", "unbooked", *MAINTENANCE})
ASKED_AGAIN = timedelta(minutes=10)  # so often it is asked whether the stop still stands
HELD_BACK = "Waits: the person may not be treated at the moment."


def held_back(messages: Iterable[Message]) -> dict[int, tuple[datetime, str]]:
    """Asked just before sending: which messages wait because a stop stands, until when to ask again, and why.

    A mail about a date that was moved, or that somebody who signs plans booked in spite of the stop, leaves.
    """
    mine = [message for message in messages if message.purpose in _COMES and not _tells_a_move(message)]
    if not mine:
        return {}
    people = Patient.objects.filter(public_id__in={message.person_id for message in mine}).select_related("site")
    standings = standings_now(list(people))
    stopped = {patient.public_id for patient in people if standings[patient.pk].is_stop}
    if not stopped:
        return {}
    decided = set(
        StandingOverride.objects.filter(
            subject_id__in={message.subject_id for message in mine}, step=StandingStep.BOOK
        ).values_list("subject_id", flat=True)
    )
    again = timezone.now() + ASKED_AGAIN
    return {
        message.pk: (again, HELD_BACK)
        for message in mine
        if message.person_id in stopped and message.subject_id not in decided
    }


def _tells_a_move(message: Message) -> bool:
    return message.purpose == BOOKING and message.version > 1


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
    _queue_visits(
        CANCELLATION,
        visits,
        subject_id=subject_id,
        version=next_version(CANCELLATION, subject_id),
        method=CANCEL,
        due_at=timezone.now(),
        useful_until=visits[-1].starts_at,
        hold=True,
        by=by,
    )


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
    letter = Letter(
        purpose=purpose,
        subject_id=subject_id,
        version=version,
        patient=first.patient,
        site=first.site,
        practitioner=first.practitioner,
        visits=appointments,
        was=was or {},
        link_until=None if method == CANCEL else appointments[-1].starts_at,
        method=method,
    )
    return queue_letter(letter, due_at=due_at, useful_until=useful_until, hold=hold, by=by)


# ------------------------------------------------------------------ one letter


@dataclass(frozen=True, kw_only=True)
class Letter:
    """All that one letter is written from."""

    purpose: str
    subject_id: UUID
    version: int
    patient: Patient  # whom it goes to
    site: Site
    practitioner: User
    visits: Sequence[Appointment] = ()
    was: Mapping[int, datetime] = field(default_factory=dict)  # by primary key: the other time they were told before
    day: datetime | None = None
    advice: Sequence[str] = ()
    text: str = ""
    link_until: datetime | None = None
    method: str = ""  # of its calendar files; it carries none without


class Desk:
    """What several letters have in common, read once: the clinic, the wordings, the links that are there."""

    def __init__(self, links: Iterable[AnswerLink] = ()) -> None:
        self._wordings: dict[tuple[str, str], letters.Wording] = {}
        self._links = {(link.purpose, link.subject_id, link.version): link for link in links}

    @cached_property
    def clinic(self) -> Clinic | None:
        return Clinic.objects.first()

    def house(self, site: Site) -> str:
        return f"{self.clinic.name}, {site.name}" if self.clinic else site.name

    def wording(self, kind: str, language: str) -> letters.Wording:
        if (kind, language) not in self._wordings:
            self._wordings[kind, language] = letters.wording(kind, language)
        return self._wordings[kind, language]

    def link(self, letter: Letter, *, expires_at: datetime) -> AnswerLink:
        """The letter's own link. One that was closed gets a new address: the letter has not left, and needs one."""
        cause = (letter.purpose, letter.subject_id, letter.version)
        link = self._links.get(cause) or link_for(
            purpose=letter.purpose,
            subject_id=letter.subject_id,
            version=letter.version,
            patient=letter.patient,
            expires_at=expires_at,
        )
        if link.revoked_at is not None:
            renew_address(link)
        return link


def write_letter(letter: Letter, *, desk: Desk) -> Written:
    """Write one letter in the patient's language and the site's time, with its own link."""
    patient, site, purpose = letter.patient, letter.site, letter.purpose
    language, tz, house = patient.language, site.tz, desk.house(site)
    values: dict[str, Any] = {
        "name": patient.name,
        "house": house,
        "practitioner": letter.practitioner.name,
        "phone": site.phone,
        "place": site.name,
        "zone": site.time_zone,
        "months": MAINTENANCE.get(purpose, ""),
        "n": len(letter.visits),
        "text": letter.text,
        "minutes": "",
        "day": "",
        "time": "",
        "was": "",
    }
    day, before, dates = letter.day, letter.was, []
    if letter.visits:
        first = letter.visits[0]
        day = first.starts_at
        values["time"] = f"{first.starts_at.astimezone(tz):%H:%M}"
        values["minutes"] = int((first.ends_at - first.starts_at).total_seconds() // 60)
        dates = [letters.date_row(visit.starts_at, tz, language, was=before.get(visit.pk)) for visit in letter.visits]
        if len(letter.visits) == 1:
            dates = [f"{letters.date_row(first.starts_at, tz, language)}, {house}, {site.address}"]
            if first.pk in before:
                values["was"] = letters.date_row(before[first.pk], tz, language)
    if day is not None:
        values["day"] = letters.day_of(day, tz, language)
    category = CATEGORY[purpose]
    frame: dict[str, Any] = {
        "clinic": desk.clinic,
        "site": site,
        "link": "",
        "choose": "",
        "until": "",
        "emergency": settings.EMERGENCY_NUMBER,
        "urgent": category == "questions",
        "reason": letters.shipped(language)["frame"][reason_key(category)],
    }
    headers: dict[str, str] = {}
    if letter.link_until is not None:
        link = desk.link(letter, expires_at=letter.link_until)
        frame |= {
            "link": url_of(link),
            "choose": choose_url_of(link),
            "until": letters.day_of(letter.link_until, tz, language, year=True),
        }
        if category == "offers":
            headers = {
                "List-Unsubscribe": f"<{stop_url_of(link)}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            }
    kind = _wording_of(purpose, len(letter.visits), moved=bool(before))
    subject, plain, html = letters.compose(
        kind,
        language=language,
        tz=tz,
        values=values,
        frame=frame,
        dates=dates,
        advice=letter.advice,
        texts=desk.wording(kind, language),
    )
    attachments: list[dict[str, Any]] = []
    if letter.method:
        with translation.override(language):
            now = timezone.now()  # one calendar for each: a REQUEST or CANCEL is about one UID (RFC 5546, 3.2)
            attachments = [
                attachment([visit], method=letter.method, at=now, clinic=desk.clinic) for visit in letter.visits
            ]
    return Written(
        person_id=patient.public_id,
        person_label=patient.name,
        to_address=patient.email,
        language=language,
        subject=subject,
        text=plain,
        html=html,
        attachments=attachments,
        headers=headers,
        recipe=recipe_of(letter, sources=sources_of(patient, site, letter.practitioner, desk.clinic)),
    )


def recipe_of(letter: Letter, *, sources: str) -> dict[str, Any]:
    """What is kept with a message so that it can be written anew; ``sources`` tells whether it has to be."""
    return {
        "sources": sources,
        "site": letter.site.pk,
        "practitioner": letter.practitioner.pk,
        "visits": [visit.pk for visit in letter.visits],
        "was": {str(pk): at.isoformat() for pk, at in letter.was.items()},
        "day": letter.day.isoformat() if letter.day else "",
        "advice": list(letter.advice),
        "text": letter.text,
        "link_until": letter.link_until.isoformat() if letter.link_until else "",
        "method": letter.method,
    }


def sources_of(patient: Patient, site: Site, practitioner: User, clinic: Clinic | None) -> str:
    """A fingerprint of all that a letter copies. Another one: it has to be written anew."""
    copied = (
        *(patient.public_id, patient.name, patient.email, patient.language),
        *(site.name, site.address, site.phone, site.email, site.time_zone),
        practitioner.name,
        clinic.name if clinic else "",
    )
    return hashlib.sha256("\n".join(map(str, copied)).encode()).hexdigest()[:16]


def queue_letter(
    letter: Letter, *, due_at: datetime, useful_until: datetime, by: User | None, hold: bool = False
) -> Message:
    """Write one letter and put it in the outbox. One that was withdrawn, since its reader could not be written to,
    waits again.
    """
    cause: dict[str, Any] = {
        "purpose": letter.purpose,
        "subject_id": letter.subject_id,
        "version": letter.version,
    }
    if there := Message.objects.filter(**cause).first():
        return bring_back(message=there, due_at=due_at, by=by) if there.last_error in MAY_COME_BACK else there
    written = write_letter(letter, desk=Desk())
    return queue_message(
        **cause,
        **{name: getattr(written, name) for name in FIELDS},
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
