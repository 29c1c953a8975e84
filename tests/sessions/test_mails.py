"""What the patient gets to read, when, and what becomes of it when a visit is off."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import icalendar
import pytest
from dateutil import tz
from django.conf import settings
from django.utils import timezone

from mesoclinic.messaging.models import Message, MessageState
from patients.models import Patient
from sessions.booking.actions import book_appointment, book_course, cancel_appointment, cancel_course
from sessions.mail.invitations import calendar, uid_of, zone_rules
from sessions.mail.sending import reminder_due_at
from sessions.models import Appointment
from tests import factories
from tests.sessions import factories as make

CLINICAL = ("mesotherap", "inject", "hair", "scalp", "alopecia", "plan", "biotin", "treatment", "session")


def events(message: Message) -> tuple[icalendar.Calendar, list[icalendar.Event]]:
    """The first calendar, and the one event of each: a REQUEST or CANCEL is about one appointment (RFC 5546)."""
    parsed = [icalendar.Calendar.from_ical(file["text"]) for file in message.attachments]
    return parsed[0], [event for calendar in parsed for (event,) in [calendar.walk("VEVENT")]]


def booking(course) -> Message:
    return Message.objects.get(purpose="booking", subject_id=course.public_id)


def send(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(state=MessageState.SENT, sent_at=timezone.now())


def test_one_confirmation_holds_every_date(course, teodor, lyon) -> None:
    message = booking(course)
    visits = list(course.appointments.order_by("starts_at"))

    assert (message.to_address, message.language) == ("teodor@example.org", "en")
    assert message.subject == "Your appointments at Clinique des Tilleuls, Lyon"
    for visit in visits:
        words = f"{visit.starts_at.astimezone(lyon.tz):%A} {visit.starts_at.astimezone(lyon.tz).day}"
        assert words in message.text
        assert words in message.html
    assert "these 4 dates are kept for you with Dr Ada Moreau. Each takes about 38 minutes." in message.text
    assert "Times are Lyon time (Europe/Paris)." in message.text
    assert "please call us: +33 4 00 00 00 00" in message.text


def test_confirmation_is_held_and_useful_until_the_last_visit(course) -> None:
    message = booking(course)

    assert message.state == MessageState.HELD
    held = message.due_at - message.created_at
    assert abs(held - settings.MESSAGE_HOLD) < timedelta(seconds=2)
    assert message.useful_until == course.appointments.order_by("-starts_at").first().starts_at


def test_reminders_leave_at_the_same_wall_time_the_day_before(course, lyon) -> None:
    for visit in course.appointments.all():
        reminder = Message.objects.get(purpose="reminder_24h", subject_id=visit.public_id)
        due, start = reminder.due_at.astimezone(lyon.tz), visit.starts_at.astimezone(lyon.tz)
        assert (due.time(), start.date() - due.date()) == (start.time(), timedelta(days=1))
        assert (reminder.state, reminder.useful_until) == (MessageState.QUEUED, visit.starts_at)
        assert reminder.subject == "Your appointment tomorrow at Clinique des Tilleuls, Lyon"


def test_no_health_detail_in_any_mail(course) -> None:
    cancel_course(course=course, by=course.booked_by)
    for message in Message.objects.all():
        shown = message.subject + message.html.split("</style>")[1].split("</div>")[0]  # and the preview line
        if message.purpose in ("booking", "booking_cancelled", "reminder_24h"):
            shown += message.text + message.html.split("</style>")[1] + message.attachments[0]["text"]
        assert [word for word in CLINICAL if word in shown.lower()] == []


# ------------------------------------------------------------------ the calendar file


def test_calendar_file_holds_one_event_per_visit_at_the_right_instants(course, lyon) -> None:
    parsed, found = events(booking(course))
    visits = list(course.appointments.order_by("starts_at"))

    assert str(parsed["method"]) == "REQUEST"
    assert [str(event["uid"]) for event in found] == [uid_of(visit) for visit in visits]
    assert [event["dtstart"].dt.astimezone(UTC) for event in found] == [visit.starts_at for visit in visits]
    assert [event["dtend"].dt.astimezone(UTC) for event in found] == [visit.ends_at for visit in visits]
    assert {int(event["sequence"]) for event in found} == {0}
    assert {str(event["dtstart"].params["tzid"]) for event in found} == {"Europe/Paris"}
    assert [str(zone["tzid"]) for zone in parsed.walk("VTIMEZONE")] == ["Europe/Paris"]
    assert {str(event["summary"]) for event in found} == {"Appointment at Clinique des Tilleuls"}
    assert {str(event["status"]) for event in found} == {"CONFIRMED"}


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_calendar_file_keeps_wall_time_and_instant_in_every_zone(zone: str, ada, cleo) -> None:
    site = factories.site(name=zone, time_zone=zone)
    for who in (ada, cleo):
        who.sites.add(site)
        who.__dict__.pop("site_ids", None)
    make.open_site(site=site, practitioner=ada)
    plan = make.plan(patient=make.patient(by=cleo, site=site), by=ada, severity="severe")
    course = book_course(plan=plan, site=site, practitioner=ada, earliest=make.monday(), by=cleo)

    _parsed, found = events(booking(course))
    visits = list(course.appointments.order_by("starts_at"))

    assert {event["dtstart"].dt.time() for event in found} == {time(9)}
    assert [event["dtstart"].dt.astimezone(UTC) for event in found] == [visit.starts_at for visit in visits]
    days = [visit.starts_at.astimezone(site.tz).date() for visit in visits]
    assert [(later - day).days for day, later in pairwise(days)] == [35] * 4
    for visit in visits:
        due = reminder_due_at(visit).astimezone(site.tz)
        assert (due.time(), due.date()) == (time(9), visit.starts_at.astimezone(site.tz).date() - timedelta(days=1))


@pytest.mark.parametrize(
    ("zone", "day", "wall", "expected"),
    [
        # the clocks skip 02:30 on the day before: the reminder leaves at what 02:30 would have been
        ("Europe/Paris", date(2026, 3, 30), time(2, 30), "2026-03-29T03:30:00+02:00"),
        ("America/New_York", date(2026, 3, 9), time(2, 30), "2026-03-08T03:30:00-04:00"),
        ("Australia/Lord_Howe", date(2026, 10, 5), time(2, 15), "2026-10-04T02:45:00+11:00"),
        # 02:30 comes twice on the day before: the first of the two
        ("Europe/Paris", date(2026, 10, 26), time(2, 30), "2026-10-25T02:30:00+02:00"),
        # the day before lies on the other side of the change: 24 hours by the clock on the wall
        ("Europe/Paris", date(2026, 3, 29), time(9), "2026-03-28T09:00:00+01:00"),
        ("Australia/Lord_Howe", date(2026, 4, 5), time(9), "2026-04-04T09:00:00+11:00"),
        ("Asia/Kolkata", date(2026, 3, 29), time(9), "2026-03-28T09:00:00+05:30"),
    ],
)
def test_reminder_on_the_day_of_a_clock_change(zone: str, day: date, wall: time, expected: str, db) -> None:
    site = factories.site(name=zone, time_zone=zone)
    start = datetime.combine(day, wall, tzinfo=site.tz).astimezone(UTC)
    visit = Appointment(site=site, starts_at=start, ends_at=start + timedelta(minutes=30))

    assert reminder_due_at(visit).astimezone(site.tz).isoformat() == expected


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Europe/Paris", 6),
        ("America/New_York", 6),
        ("Australia/Lord_Howe", 6),
        ("Asia/Kolkata", 0),
    ],
)
def test_zone_rules_are_read_back_right_by_another_parser(name: str, changes: int) -> None:
    """dateutil has its own reader: every half hour of three years has to give the offset that we meant."""
    zone = ZoneInfo(name)
    rules = zone_rules(zone, first=2026, last=2028)
    read = tz.tzical(io.StringIO(f"BEGIN:VCALENDAR\r\n{rules.to_ical().decode()}END:VCALENDAR\r\n")).get(name)

    assert len(rules.subcomponents) == changes + 1
    wall, end = datetime(2026, 1, 2), datetime(2028, 12, 30)  # noqa: DTZ001 - a wall time, in each zone's own reading
    while wall < end:
        meant = wall.replace(tzinfo=zone)
        exists = meant.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall
        if exists and meant.utcoffset() == meant.replace(fold=1).utcoffset():
            assert wall.replace(tzinfo=read).utcoffset() == meant.utcoffset(), wall
        wall += timedelta(minutes=30)


# ------------------------------------------------------------------ whom we may write to


@pytest.mark.parametrize(("email", "allowed"), [("", True), ("teodor@example.org", False)])
def test_nobody_is_written_to_without_address_or_consent(email: str, allowed: bool, ada, cleo, lyon, rooms) -> None:
    patient = make.patient(by=cleo, email=email, contact_allowed=allowed)
    book_course(plan=make.plan(patient=patient, by=ada), site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)

    assert Message.objects.count() == 0


def test_mail_is_in_the_patients_language(ada, cleo, lyon, rooms) -> None:
    patient = make.patient(by=cleo, language="fr")
    plan = make.plan(patient=patient, by=ada)
    message = booking(book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo))

    assert message.language == "fr"
    assert "lundi" in message.text.lower()


def test_visit_of_tomorrow_gets_no_reminder_on_top_of_its_confirmation(plan, ada, cleo, lyon, rooms) -> None:
    make.hours(practitioner=ada, site=lyon, weekdays=(0, 1, 2, 3, 4, 5, 6), starts=time(0, 5), ends=time(23, 55))
    soon = (timezone.now() + timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    if soon.astimezone(lyon.tz).hour in (23, 0):
        soon += timedelta(hours=3)
    visit = book_appointment(plan=plan, number=1, site=lyon, practitioner=ada, room=rooms[0], starts_at=soon, by=cleo)

    purposes = list(Message.objects.values_list("purpose", flat=True))
    assert (purposes, visit.status) == (["booking"], "booked")


# ------------------------------------------------------------------ cancelling


def states(**where) -> list[str]:
    return sorted(Message.objects.filter(**where).values_list("state", flat=True))


def test_cancelling_before_anything_left_stops_all_mail_and_tells_nobody(course, cleo) -> None:
    cancel_course(course=course, by=cleo)

    waiting = Message.objects.exclude(state="cancelled")
    assert [message.purpose for message in waiting] == ["unbooked"]  # in a week, unless it is booked anew
    assert states(purpose="booking") == ["cancelled"]
    assert states(purpose="reminder_24h") == ["cancelled"] * 4


def test_cancelling_one_visit_replaces_the_held_confirmation(course, cleo, lyon) -> None:
    third = course.appointments.get(number=3)
    cancel_appointment(appointment=third, by=cleo)

    first, second = Message.objects.filter(purpose="booking").order_by("version")
    assert (first.state, second.state) == (MessageState.CANCELLED, MessageState.HELD)
    _parsed, found = events(second)
    assert len(found) == 3
    assert uid_of(third) not in {str(event["uid"]) for event in found}
    assert states(purpose="reminder_24h", subject_id=third.public_id) == ["cancelled"]
    assert not Message.objects.filter(purpose="booking_cancelled").exists()


def test_cancelling_a_told_visit_sends_a_cancellation_under_its_uid(course, cleo) -> None:
    send(booking(course))
    third = course.appointments.get(number=3)
    cancel_appointment(appointment=third, by=cleo)

    message = Message.objects.get(purpose="booking_cancelled")
    parsed, (event,) = events(message)
    assert str(parsed["method"]) == "CANCEL"
    assert str(event["uid"]) == uid_of(third)
    assert int(event["sequence"]) == 1
    assert str(event["status"]) == "CANCELLED"
    assert message.subject == "Appointment cancelled at Clinique des Tilleuls, Lyon"
    assert message.state == MessageState.HELD
    assert booking(course).state == MessageState.SENT


def test_cancelling_a_told_course_sends_one_cancellation_for_all(course, cleo) -> None:
    send(booking(course))
    visits = cancel_course(course=course, by=cleo)

    message = Message.objects.get(purpose="booking_cancelled")
    _parsed, found = events(message)
    assert {str(event["uid"]) for event in found} == {uid_of(visit) for visit in visits}
    assert {int(event["sequence"]) for event in found} == {1}
    assert states(purpose="reminder_24h") == ["cancelled"] * 4


def test_booking_anew_after_a_cancelled_course_tells_the_new_dates(course, plan, lyon, ada, cleo) -> None:
    send(booking(course))
    cancel_course(course=course, by=cleo)
    book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(weeks=3), by=cleo)

    newest = Message.objects.filter(purpose="booking").order_by("-version").first()
    assert newest is not None
    assert (newest.version, newest.state) == (2, MessageState.HELD)
    live = course.appointments.filter(status="booked")
    assert {str(event["uid"]) for event in events(newest)[1]} == {uid_of(visit) for visit in live}


def test_deceased_patient_is_never_written_to(course, cleo, teodor) -> None:
    send(booking(course))
    Patient.objects.filter(pk=teodor.pk).update(status="deceased")
    cancel_course(course=course, by=cleo)

    assert not Message.objects.filter(purpose="booking_cancelled").exists()


def test_same_visit_gives_the_same_calendar_file(course) -> None:
    visits = list(course.appointments.select_related("site", "patient").order_by("starts_at"))
    at = timezone.now()

    assert calendar(visits, method="REQUEST", at=at) == calendar(visits, method="REQUEST", at=at)
