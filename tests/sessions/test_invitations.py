"""The calendar files, read back by two parsers that know nothing of each other: icalendar and vobject.

The zone is renamed before reading, so that both go by the rules in the file and not by the zone's name.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import icalendar
import pytest
import vobject
from django.utils import timezone

from mesoclinic.messaging.models import Message
from sessions.booking.actions import book_course, cancel_appointment
from sessions.booking.move import Target, move_appointment
from sessions.mail.invitations import CANCEL, REQUEST, calendar, start_in, uid_of
from sessions.mail.sending import reminder_due_at
from sessions.models import Appointment
from tests import factories
from tests.sessions import factories as make

# Zone, the day on which the clocks go forward, the day on which they go back.
CHANGES = [
    ("Europe/Paris", date(2026, 3, 29), date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8), date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 10, 4), date(2026, 4, 5)),
    ("Asia/Kolkata", date(2026, 3, 29), date(2026, 10, 25)),  # has no changes; the days of another zone's
]
CLINICAL = ("mesotherap", "inject", "hair", "scalp", "alopecia", "plan", "biotin", "treatment", "session")
Read = tuple[str, int, str, datetime, datetime]  # uid, sequence, method, start, end


def by_icalendar(text: str) -> list[Read]:
    parsed = icalendar.Calendar.from_ical(text)
    return [
        (
            str(event["uid"]),
            int(event["sequence"]),
            str(parsed["method"]),
            event.decoded("dtstart").astimezone(UTC),
            event.decoded("dtend").astimezone(UTC),
        )
        for event in parsed.walk("VEVENT")
    ]


def by_vobject(text: str) -> list[Read]:
    parsed = vobject.readOne(text)
    return [
        (
            event.uid.value,
            int(event.sequence.value),
            parsed.method.value,
            event.dtstart.value.astimezone(UTC),
            event.dtend.value.astimezone(UTC),
        )
        for event in parsed.vevent_list
    ]


def read(text: str, *, zone: str) -> list[Read]:
    """What both parsers say; they have to agree."""
    renamed = text.replace(zone, f"Site {zone.replace('/', ' ')} {len(text)}")
    assert renamed != text
    one, other = by_icalendar(renamed), by_vobject(renamed)
    assert one == other
    return one


@pytest.fixture
def site_in(ada, cleo):
    def made(zone: str):
        site = factories.site(name=zone, time_zone=zone)
        for who in (ada, cleo):
            who.sites.add(site)
            who.__dict__.pop("site_ids", None)
        return site

    return made


@pytest.mark.parametrize(("zone", "forward", "back"), CHANGES)
def test_both_parsers_read_the_same_instants_around_every_change(zone, forward, back, site_in, cleo, ada) -> None:
    """Each wall hour of the days around both changes, told alone and all in one file."""
    site = site_in(zone)
    patient = make.patient(by=cleo, site=site)
    visits = []
    for change in (forward, back):
        for shift in (-35, -1, 0, 1, 35):
            for wall in (time(0, 30), time(1), time(1, 45), time(3, 15), time(9), time(23)):
                local = datetime.combine(change + timedelta(days=shift), wall, tzinfo=site.tz)
                start = local.astimezone(UTC)
                assert start.astimezone(site.tz).time() == wall  # none of these is skipped
                visits.append(
                    Appointment(
                        site=site,
                        patient=patient,
                        practitioner=ada,
                        number=1,
                        starts_at=start,
                        ends_at=start + timedelta(minutes=40),
                    )
                )

    found = read(calendar(visits, method=REQUEST, at=timezone.now()), zone=zone)

    assert [(start, end) for _uid, _sequence, _method, start, end in found] == [
        (visit.starts_at, visit.ends_at) for visit in visits
    ]
    for visit in visits[::7]:
        ((_uid, _sequence, _method, start, _end),) = read(
            calendar([visit], method=REQUEST, at=timezone.now()), zone=zone
        )
        assert start == visit.starts_at


@pytest.mark.parametrize(("zone", "forward", "back"), CHANGES)
def test_course_reminders_and_files_keep_one_wall_time_for_a_whole_year(zone, forward, back, site_in, cleo, ada):
    """Courses one after the other over fifteen months cross both changes: one hour on the wall, everywhere."""
    site = site_in(zone)
    make.open_site(site=site, practitioner=ada)
    offsets = set()
    for weeks in (2, 27, 52):
        patient = make.patient(by=cleo, site=site, given_name=f"P{weeks}", email=f"p{weeks}@example.org")
        plan = make.plan(patient=patient, by=ada, severity="severe")
        course = book_course(plan=plan, site=site, practitioner=ada, earliest=make.monday(weeks=weeks), by=cleo)
        visits = list(course.appointments.order_by("starts_at"))
        files = Message.objects.get(purpose="booking", subject_id=course.public_id).attachments
        found = [read(file["text"], zone=zone) for file in files]
        assert [start for ((_uid, _sequence, _method, start, _end),) in found] == [visit.starts_at for visit in visits]
        for visit in visits:
            reminder = Message.objects.get(purpose="reminder_24h", subject_id=visit.public_id)
            due, local = reminder.due_at.astimezone(site.tz), visit.starts_at.astimezone(site.tz)
            assert (local.time(), due.time(), (local.date() - due.date()).days) == (time(9), time(9), 1)
            assert reminder.due_at == reminder_due_at(visit)
            offsets.add(local.utcoffset())

    assert len(offsets) == (1 if zone == "Asia/Kolkata" else 2)


def test_cancellation_carries_the_same_uid_and_a_higher_sequence(course, ada, cleo, lyon, rooms) -> None:
    visit = course.appointments.get(number=3)
    told = Message.objects.filter(purpose="booking")
    told.update(state="sent", sent_at=timezone.now())
    first = next(read(file["text"], zone="Europe/Paris")[0] for file in told.get().attachments if "-3" in file["name"])

    start = visit.starts_at + timedelta(days=1)
    target = Target(starts_at=start, practitioner=ada, room=rooms[0])
    move_appointment(appointment=visit, target=target, rest="keep", by=cleo)
    update = Message.objects.get(purpose="booking", state="held")
    ((second,),) = [read(file["text"], zone="Europe/Paris") for file in update.attachments]
    Message.objects.filter(pk=update.pk).update(state="sent", sent_at=timezone.now())
    cancel_appointment(appointment=course.appointments.get(number=3), by=cleo)
    off = Message.objects.get(purpose="booking_cancelled")
    ((third,),) = [read(file["text"], zone="Europe/Paris") for file in off.attachments]

    assert [row[0] for row in (first, second, third)] == [uid_of(visit)] * 3
    assert [row[1] for row in (first, second, third)] == [0, 1, 2]
    assert [row[2] for row in (first, second, third)] == [REQUEST, REQUEST, CANCEL]
    assert [row[3] for row in (first, second, third)] == [visit.starts_at, start, start]


def test_file_names_its_zone_and_nothing_of_why_somebody_comes(course) -> None:
    for visit in course.appointments.select_related("site", "patient"):
        for method in (REQUEST, CANCEL):
            text = calendar([visit], method=method, at=timezone.now())
            unfolded = text.replace("\r\n ", "")
            assert unfolded.count("BEGIN:VTIMEZONE") == 1
            assert "DTSTART;TZID=Europe/Paris:" in unfolded
            assert [word for word in CLINICAL if word in unfolded.lower()] == []


@pytest.mark.parametrize(("zone", "forward", "back"), CHANGES[:3])
def test_visit_in_the_second_of_two_equal_hours_is_told_in_utc(zone, forward, back, site_in, cleo, ada) -> None:
    site = site_in(zone)
    wall = time(2, 30) if zone == "Europe/Paris" else time(1, 45)
    start = datetime.combine(back, wall, tzinfo=site.tz).replace(fold=1).astimezone(UTC)
    patient = make.patient(by=cleo, site=site)
    visit = Appointment(site=site, patient=patient, number=1, starts_at=start, ends_at=start + timedelta(minutes=40))

    text = calendar([visit], method=REQUEST, at=timezone.now())

    assert f"DTSTART:{start:%Y%m%dT%H%M%SZ}" in text
    assert read(text, zone=zone)[0][3:] == (visit.starts_at, visit.ends_at)


def test_start_is_found_by_its_uid_only(course) -> None:
    one, other = course.appointments.select_related("site", "patient").order_by("number")[:2]
    text = calendar([one], method=REQUEST, at=timezone.now())

    assert start_in(text, uid=uid_of(one)) == one.starts_at
    assert start_in(text, uid=uid_of(other)) is None
