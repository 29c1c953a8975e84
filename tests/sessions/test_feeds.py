"""The address at which a practitioner's own calendar program reads their visits."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from icalendar import Calendar

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidTransition, NotAllowed
from sessions.booking.actions import cancel_appointment
from sessions.booking.move import Target, move_appointment
from sessions.calendar import feed as feeds
from sessions.calendar.views import WRONG_PER_ADDRESS
from sessions.mail.invitations import uid_of
from sessions.models import Appointment
from sessions.models.feeds import CalendarFeed
from tests import factories
from tests.sessions import factories as make


@pytest.fixture(autouse=True)
def _forget():
    cache.clear()


def path_of(secret: str) -> str:
    return reverse("sessions:feed", args=[secret])


@pytest.fixture
def secret(ada: User) -> str:
    return feeds.make_feed(by=ada)[1]


def unfolded(response) -> list[str]:
    """The lines of the file, read by hand: RFC 5545 folds a line by a line break and a blank."""
    return response.content.decode().replace("\r\n ", "").split("\r\n")


# ------------------------------------------------------------------ what it says


def test_feed_holds_each_visit_under_the_name_of_its_invitation(course, secret) -> None:
    response = Client().get(path_of(secret))
    events = Calendar.from_ical(response.content).walk("VEVENT")
    visits = list(course.appointments.order_by("starts_at"))

    assert response.status_code == 200
    assert response["Content-Type"] == "text/calendar; charset=utf-8"
    assert [(str(event["uid"]), event.decoded("dtstart"), event.decoded("dtend")) for event in events] == [
        (uid_of(visit), visit.starts_at, visit.ends_at) for visit in visits
    ]
    assert [(str(event["status"]), str(event["sequence"])) for event in events] == [("CONFIRMED", "0")] * 4


def test_times_are_wall_times_of_the_site_with_its_rules(course, secret) -> None:
    lines = unfolded(Client().get(path_of(secret)))
    first = course.appointments.select_related("site").get(number=1)

    assert lines[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    assert "METHOD:PUBLISH" in lines
    assert lines.count("BEGIN:VTIMEZONE") == 1
    assert "TZID:Europe/Paris" in lines
    assert f"DTSTART;TZID=Europe/Paris:{first.starts_at.astimezone(first.site.tz):%Y%m%dT%H%M%S}" in lines


def test_visit_in_the_second_of_two_equal_hours_is_told_in_utc(course, secret) -> None:
    visit = course.appointments.select_related("site", "patient", "room").first()
    visit.starts_at = datetime(2027, 10, 31, 1, 30, tzinfo=UTC)  # 02:30 in Paris for the second time
    visit.ends_at = visit.starts_at + timedelta(minutes=40)

    text = feeds.calendar_of(CalendarFeed.objects.get(), [visit], changed_at=timezone.now())

    event = Calendar.from_ical(text).walk("VEVENT")[0]
    assert "DTSTART:20271031T013000Z" in text
    assert (event.decoded("dtstart"), event.decoded("dtend")) == (visit.starts_at, visit.ends_at)


def test_text_is_neutral(course, secret) -> None:
    text = Client().get(path_of(secret)).content.decode()
    first = course.appointments.select_related("room").get(number=1)

    assert "SUMMARY:TB\\, session 1" in text
    assert f"LOCATION:{first.room.name}\\, Lyon" in text
    assert f"/appointments/{first.public_id}/" in text.replace("\r\n ", "")
    told = [word for word in ("Teodor", "Brandvold", "example.org", "ATTENDEE", "iotin", "hair") if word in text]
    assert told == []


def test_cancelled_visit_stays_and_says_so(course, cleo, secret) -> None:
    visit = course.appointments.select_related("patient", "site", "course").get(number=4)
    cancel_appointment(appointment=visit, by=cleo)
    visit.refresh_from_db()
    event = Calendar.from_ical(Client().get(path_of(secret)).content).walk("VEVENT")[-1]

    assert (str(event["uid"]), str(event["status"]), str(event["transp"])) == (
        uid_of(visit),
        "CANCELLED",
        "TRANSPARENT",
    )
    assert str(event["sequence"]) == str(visit.sequence) == "1"


def test_moved_visit_keeps_its_name_and_rises_in_sequence(course, ada, cleo, rooms, secret) -> None:
    client = Client()
    before = client.get(path_of(secret))
    visit = course.appointments.select_related("patient", "site", "course__plan").get(number=1)
    later = visit.starts_at + timedelta(hours=3)
    move_appointment(
        appointment=visit, target=Target(starts_at=later, practitioner=ada, room=rooms[1]), rest="keep", by=cleo
    )
    after = client.get(path_of(secret))
    event = Calendar.from_ical(after.content).walk("VEVENT")[0]

    assert (str(event["uid"]), str(event["sequence"]), event.decoded("dtstart")) == (uid_of(visit), "1", later)
    assert before["ETag"] != after["ETag"]


def test_feed_is_of_its_owner_and_of_their_sites_alone(course, cleo, secret, lyon) -> None:
    bob = factories.user(given_name="Bob", roles=["practitioner"], sites=[lyon])
    theirs = feeds.make_feed(by=bob)[1]

    assert "VEVENT" not in Client().get(path_of(theirs)).content.decode()
    course.plan.patient.site.staff.clear()
    assert "VEVENT" not in Client().get(path_of(secret)).content.decode()


def test_old_visits_leave_the_feed(course, secret) -> None:
    old = timezone.now() - feeds.PAST - timedelta(days=1)
    Appointment.objects.filter(number=1).update(starts_at=old, ends_at=old + timedelta(minutes=30))

    assert Client().get(path_of(secret)).content.decode().count("BEGIN:VEVENT") == 3


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_two_readers_get_the_same_instants_on_both_sides_of_the_changes(zone, ada, cleo, lyon) -> None:
    """Once by the library, with the zone it knows; once by hand, from the rules that the file itself carries."""
    Site.objects.filter(pk=lyon.pk).update(time_zone=zone)
    lyon.refresh_from_db()
    rooms = make.open_site(site=lyon, practitioner=ada)
    plan = make.plan(patient=make.patient(by=cleo, site=lyon), by=ada)
    from sessions.models import Course

    course = Course.objects.create(plan=plan, booked_at=timezone.now(), booked_by=cleo)
    year = timezone.now().year + 1
    instants = [datetime(year, month, 3, 3, 30, tzinfo=UTC) for month in range(1, 13)]
    for number, at in enumerate(instants, start=1):
        Appointment.objects.create(
            course=course,
            number=number,
            patient=plan.patient,
            practitioner=ada,
            room=rooms[0],
            site=lyon,
            starts_at=at,
            ends_at=at + timedelta(minutes=30),
            created_by=cleo,
        )
    response = Client().get(path_of(feeds.make_feed(by=ada)[1]))
    by_library = [event.decoded("dtstart") for event in Calendar.from_ical(response.content).walk("VEVENT")]

    assert by_library == instants
    assert [_by_hand(wall, unfolded(response)) for wall in _walls(unfolded(response))] == instants


def _walls(lines: list[str]) -> list[datetime]:
    found = [re.fullmatch(r"DTSTART;TZID=[^:]+:(\d{8}T\d{6})", line) for line in lines]
    return [datetime.strptime(match[1], "%Y%m%dT%H%M%S") for match in found if match]  # noqa: DTZ007


def _by_hand(wall: datetime, lines: list[str]) -> datetime:
    """The last observance that begins at or before this wall time says how far the wall is from UTC."""
    rules: list[tuple[datetime, timedelta]] = []
    start, to = datetime(1, 1, 1), timedelta()  # noqa: DTZ001
    for line in lines[: lines.index("END:VTIMEZONE")]:
        name, _colon, value = line.partition(":")
        if name == "DTSTART":
            start = datetime.strptime(value, "%Y%m%dT%H%M%S")  # noqa: DTZ007
        elif name == "TZOFFSETTO":
            sign = -1 if value[0] == "-" else 1
            to = sign * timedelta(hours=int(value[1:3]), minutes=int(value[3:5]))
        elif line in ("END:STANDARD", "END:DAYLIGHT"):
            rules.append((start, to))
    offset = [to for start, to in sorted(rules) if start <= wall][-1]
    return (wall - offset).replace(tzinfo=UTC)


# ------------------------------------------------------------------ asked again


def test_program_that_asks_again_gets_nothing_until_something_changes(course, secret, cleo) -> None:
    client = Client()
    first = client.get(path_of(secret))
    by_etag = client.get(path_of(secret), headers={"If-None-Match": first["ETag"]})
    by_date = client.get(path_of(secret), headers={"If-Modified-Since": first["Last-Modified"]})
    again = client.get(path_of(secret))
    visit = course.appointments.select_related("patient", "site", "course").get(number=4)
    cancel_appointment(appointment=visit, by=cleo)
    changed = client.get(path_of(secret), headers={"If-None-Match": first["ETag"]})

    assert (by_etag.status_code, by_etag.content, by_date.status_code) == (304, b"", 304)
    assert (again.content, again["Last-Modified"]) == (first.content, first["Last-Modified"])
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]
    assert changed["Cache-Control"] == "private, no-cache"
    assert changed["X-Robots-Tag"] == "noindex, nofollow"


def test_reading_changes_nothing(course, secret) -> None:
    def everything():
        return AuditEvent.objects.count(), list(CalendarFeed.objects.values()), list(Appointment.objects.values())

    before = everything()
    with CaptureQueriesContext(connection) as queries:
        assert Client().get(path_of(secret)).status_code == 200
    assert Client().head(path_of(secret)).status_code == 200
    assert Client().post(path_of(secret)).status_code == 405

    assert everything() == before
    assert [query["sql"] for query in queries if re.match(r"(INSERT|UPDATE|DELETE)", query["sql"])] == []


def test_queries_do_not_grow_with_the_visits(course, secret) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            Client().get(path_of(secret))
        return len(queries)

    asked()
    many = asked()
    Appointment.objects.filter(number__gt=1).delete()
    assert asked() == many


# ------------------------------------------------------------------ who may read it, and until when


def test_secret_is_long_random_and_kept_as_a_hash_only(ada, ben) -> None:
    (one, first), (_two, second) = feeds.make_feed(by=ada), feeds.make_feed(by=ben)

    assert len(first) == len(second) == 43
    assert first != second
    assert one.secret_sha256 == hashlib.sha256(first.encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM treatment_sessions_calendarfeed")
        assert first not in repr(cursor.fetchall())
    assert first not in repr(list(AuditEvent.objects.values()))


def test_unknown_address_is_not_found_and_guessing_has_to_wait(course, secret) -> None:
    client = Client()
    answers = [client.get(path_of(f"guess-{number}")).status_code for number in range(WRONG_PER_ADDRESS + 1)]

    assert answers == [404] * WRONG_PER_ADDRESS + [429]
    waiting = client.get(path_of(secret))
    assert (waiting.status_code, waiting["Retry-After"]) == (429, "900")
    cache.clear()
    assert client.get(path_of(secret)).status_code == 200


def test_ended_address_says_so_and_counts_as_no_guess(course, secret, ada) -> None:
    feeds.revoke_feed(CalendarFeed.objects.get(), by=ada)
    answers = {Client().get(path_of(secret)).status_code for _time in range(WRONG_PER_ADDRESS + 2)}

    assert answers == {410}


@pytest.mark.parametrize("change", ["deactivated", "without a role"])
def test_address_ends_with_the_owners_access(change, course, secret, ada) -> None:
    if change == "deactivated":
        User.objects.filter(pk=ada.pk).update(is_active=False)
    else:
        ada.role_grants.all().delete()

    assert Client().get(path_of(secret)).status_code == 410


def test_new_address_ends_the_old_one(course, secret, ada) -> None:
    another = feeds.make_feed(by=ada)[1]

    assert Client().get(path_of(secret)).status_code == 410
    assert Client().get(path_of(another)).status_code == 200
    assert list(AuditEvent.objects.filter(action="feed.made").order_by("id").values_list("details", flat=True)) == [
        {"ended_before": 0},
        {"ended_before": 1},
    ]


def test_ending_twice_is_refused(secret, ada, ben, dora) -> None:
    feed = CalendarFeed.objects.get()
    with pytest.raises(NotAllowed, match="Only the medical director"):
        feeds.revoke_feed(feed, by=ben)
    feeds.revoke_feed(feed, by=dora)
    with pytest.raises(InvalidTransition, match="has ended already"):
        feeds.revoke_feed(feed, by=ada)

    feed.refresh_from_db()
    assert feed.revoked_by == dora
    assert AuditEvent.objects.get(action="feed.revoked").actor_id == dora.public_id


def test_nobody_without_the_calendar_has_a_feed(db) -> None:
    with pytest.raises(NotAllowed, match="does not see appointments"):
        feeds.make_feed(by=factories.user(given_name="Nobody", roles=[]))


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({}, "one_open_feed_each"),
        ({"revoked_at": datetime(2026, 11, 24, tzinfo=UTC)}, "feed_revoked_by_somebody"),
    ],
)
def test_database_keeps_one_open_feed_and_says_who_ended_the_others(values, constraint, secret, ada) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        CalendarFeed.objects.create(practitioner=ada, secret_sha256="0" * 64, made_at=timezone.now(), **values)


# ------------------------------------------------------------------ the page


def test_page_shows_the_address_once(course, ada, sign_in) -> None:
    client, page = sign_in(ada), reverse("sessions:calendar_feed")
    before = client.get(page).content.decode()
    made = client.post(page)
    address = re.findall(r'id="feed-url" type="text" readonly value="([^"]+)"', made.content.decode())[0]
    after = client.get(page).content.decode()

    assert "No address is open" in before
    assert "Shown this once" in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    assert Client().get(urlsplit(address).path).status_code == 200
    assert "One address is open" in after
    assert address not in after


def test_owner_ends_the_address_on_the_page(course, ada, secret, sign_in) -> None:
    client, feed = sign_in(ada), CalendarFeed.objects.get()
    ended = reverse("sessions:calendar_feed_revoke", args=[feed.public_id])
    first, second = client.post(ended, follow=True), client.post(ended, follow=True)

    assert "The address of Dr Ada Moreau has ended." in first.content.decode()
    assert "This address has ended already." in second.content.decode()
    assert Client().get(path_of(secret)).status_code == 410


def test_director_sees_and_ends_the_addresses_of_others_and_nobody_else_does(secret, ada, ben, dora, sign_in) -> None:
    page, feed = reverse("sessions:calendar_feed"), CalendarFeed.objects.get()
    ended = reverse("sessions:calendar_feed_revoke", args=[feed.public_id])

    assert "Dr Ada Moreau" not in sign_in(ben).get(page).content.decode()
    assert sign_in(ben).post(ended).status_code == 404
    assert sign_in(ben).get(ended).status_code == 405
    assert "Dr Ada Moreau" in sign_in(dora).get(page).content.decode()
    assert sign_in(dora).post(ended).status_code == 302
    assert Client().get(path_of(secret)).status_code == 410
