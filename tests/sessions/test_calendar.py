"""The calendar: where things stand on it, who sees what, in how many queries and bytes."""

from __future__ import annotations

import gzip
import html
import json
import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.access import PERMISSIONS, Permission, Role
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.models import AuditEvent
from sessions.calendar import reading as calendars
from sessions.calendar.address import Choice, choice_from
from sessions.calendar.grid import Axis, Span, hours_to_show, lanes, length_of, merged, path, place, wall, without
from sessions.calendar.week import CELL_AT_MOST, clock_note
from sessions.models import Appointment, Closure, Course, Room, WorkingHours
from sessions.models.hours import Absence, OpeningHours
from tests import factories
from tests.sessions import crowd
from tests.sessions import factories as make

PARIS, LORD_HOWE = ZoneInfo("Europe/Paris"), ZoneInfo("Australia/Lord_Howe")
BACK, FORWARD = date(2026, 10, 25), date(2027, 3, 28)  # the clocks of Paris
VIEWS = ("day", "week", "month", "agenda")
WEEK_KB, WEEK_COMPRESSED_KB = 260, 40  # of twenty practitioners, however much they do


@pytest.fixture(autouse=True)
def _forget():
    cache.clear()


def text_of(response) -> str:
    """What a reader sees: no tags, one space between words."""
    body = re.sub(r"<(script|style|svg|head|header)\b.*?</\1>", " ", response.content.decode(), flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def found(pattern: str, text: str) -> str:
    """What the page holds in that place; it is there."""
    match = re.search(pattern, text)
    assert match, pattern
    return match[1]


def url(view: str = "day", day: date | None = None, **query: str) -> str:
    given = {"view": view, **({"day": day.isoformat()} if day else {}), **query}
    return reverse("sessions:calendar") + "?" + "&".join(f"{name}={value}" for name, value in given.items())


def day_of(visit: Appointment) -> date:
    return visit.starts_at.astimezone(visit.site.tz).date()


@pytest.fixture
def first(course: Course) -> Appointment:
    return course.appointments.select_related("site", "patient").get(number=1)


# ------------------------------------------------------------------ where things stand


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([(0, 60)], [(0, 1)]),
        ([(0, 60), (60, 90)], [(0, 1), (0, 1)]),
        ([(0, 60), (30, 90)], [(0, 2), (1, 2)]),
        ([(30, 90), (0, 60)], [(1, 2), (0, 2)]),
        ([(0, 60), (30, 90), (60, 120)], [(0, 2), (1, 2), (0, 2)]),
        ([(0, 200), (0, 30), (40, 60), (10, 20)], [(0, 3), (1, 3), (1, 3), (2, 3)]),
        ([(0, 5), (10, 40)], [(0, 2), (1, 2)]),
    ],
    ids=["none", "one", "touching", "two", "any order", "by way of another", "a long one", "drawn longer than it is"],
)
def test_what_overlaps_stands_side_by_side(spans, expected) -> None:
    assert lanes([Span(*span) for span in spans]) == expected


def test_free_is_what_is_open_and_not_taken() -> None:
    whole, taken = [Span(0, 120), Span(180, 300)], [Span(30, 60), Span(50, 70), Span(170, 200), Span(290, 400)]

    assert without(whole, taken) == [Span(0, 30), Span(70, 120), Span(200, 290)]
    assert without(whole, taken, least=40) == [Span(70, 120), Span(200, 290)]
    assert merged([Span(10, 10), Span(5, 8), Span(7, 20)]) == [Span(5, 20)]
    assert path([Span(10, 30), Span(40, 45)], height=6) == "M10 0h20v6H10zM40 0h5v6H40z"


def test_whole_hours_hold_everything() -> None:
    def at(day: int, hour: int, minute: int = 0) -> datetime:
        return datetime(2026, 11, day, hour, minute)  # noqa: DTZ001

    assert hours_to_show([]) == (8, 18)
    assert hours_to_show([(at(24, 9), at(24, 17))]) == (9, 17)
    assert hours_to_show([(at(24, 9, 30), at(24, 17, 15)), (at(25, 7, 55), at(25, 8))]) == (7, 18)
    assert hours_to_show([(at(24, 23), at(25, 0, 30))]) == (23, 24)


def test_classes_of_every_place_are_in_the_style_sheet() -> None:
    css = Path(settings.BASE_DIR, "static/css/calendar-grid.css").read_text(encoding="utf-8")
    needed = [
        f"{letter}{number}"
        for letter, most in (("t", 25), ("u", 59), ("l", 25), ("k", 59))
        for number in range(most + 1)
    ]
    needed += [f"o{number}" for number in range(2, 9)] + [f"n{number}" for number in range(8)]

    assert [name for name in needed if f".{name}{{" not in css] == []
    assert place(Span(200, 238)) == "t3 u20 l0 k38"


@pytest.mark.parametrize(
    ("zone", "day", "hours", "twice", "never"),
    [
        (PARIS, date(2026, 11, 24), 24, [], []),
        (PARIS, BACK, 25, ["02:00 CEST", "02:00 CET"], []),
        (PARIS, FORWARD, 23, [], ["02:00"]),
        (ZoneInfo("America/New_York"), date(2026, 11, 1), 25, ["01:00 EDT", "01:00 EST"], []),
        (ZoneInfo("Asia/Kolkata"), date(2026, 11, 1), 24, [], []),
        (LORD_HOWE, date(2026, 4, 5), 24.5, [], []),
        (LORD_HOWE, date(2026, 10, 4), 23.5, [], ["02:00"]),
    ],
    ids=["a day", "Paris back", "Paris forward", "New York back", "Kolkata", "Lord Howe back", "Lord Howe forward"],
)
def test_day_is_as_long_as_it_is(zone, day, hours, twice, never) -> None:
    axis = Axis(zone=zone, first=0, last=24, day=day)
    texts = [mark.text for mark in axis.marks()]

    assert length_of(day, zone) == timedelta(hours=hours)
    assert axis.minutes == hours * 60
    assert [text for text in texts if " " in text] == twice
    assert not set(never) & set(texts)
    assert texts[-1] == "23:00"


def test_both_hours_that_the_clocks_repeat_have_their_own_place() -> None:
    axis = Axis(zone=PARIS, first=0, last=24, day=BACK)
    summer, winter = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

    assert (wall(summer, PARIS), wall(winter, PARIS)) == ("02:30 CEST", "02:30 CET")
    assert axis.span(summer, summer + timedelta(minutes=30)) == Span(150, 180)
    assert axis.span(winter, winter + timedelta(minutes=30)) == Span(210, 240)
    assert axis.of_hours(BACK, time(9), time(17)) == Span(600, 1080)


def test_hours_of_a_week_stand_at_the_same_height_on_both_sides_of_a_change() -> None:
    axis = Axis(zone=PARIS, first=8, last=18)
    before, after = datetime(2026, 10, 24, 7, tzinfo=UTC), datetime(2026, 10, 26, 8, tzinfo=UTC)

    assert axis.span(before, before + timedelta(minutes=38)) == axis.span(after, after + timedelta(minutes=38))
    assert axis.span(before, before + timedelta(minutes=38)) == Span(60, 98)


def test_day_of_a_change_says_how_long_it_is(lyon: Site) -> None:
    assert clock_note(BACK, lyon) == "The clocks go back: this day has 25 hours."
    assert clock_note(FORWARD, lyon) == "The clocks go forward: this day has 23 hours."
    assert clock_note(date(2026, 11, 24), lyon) == ""
    lyon.time_zone = "Australia/Lord_Howe"
    assert clock_note(date(2026, 4, 5), lyon) == "The clocks go back: this day has 24 h 30 min."


# ------------------------------------------------------------------ what the address says


def choose(site: Site, today: date, **given: str) -> Choice:
    return choice_from(given, site=site, home=True, view="day", today=today)


def test_address_says_everything_and_reads_back(lyon: Site, ada: User) -> None:
    given = {
        "view": "week",
        "day": "2026-11-25",
        "by": "room",
        "practitioner": str(ada.public_id),
        "status": "booked",
        "kind": "first",
        "hours": "all",
    }
    choice = choose(lyon, date(2026, 11, 24), **given)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(choice.url()).query).items()}

    assert asked == given
    assert choose(lyon, date(2026, 11, 24), **asked) == choice


@pytest.mark.parametrize(
    "given",
    [
        {"view": "year"},
        {"day": "2026-02-30"},
        {"day": "9999-12-31"},
        {"practitioner": "x"},
        {"kind": "no"},
        {"status": "x"},
    ],
    ids=str,
)
def test_address_that_makes_no_sense_shows_the_default(given, lyon: Site) -> None:
    today = date(2026, 11, 24)

    assert choose(lyon, today, **given) == choose(lyon, today)


@pytest.mark.parametrize(
    ("view", "day", "first_day", "count", "before", "after"),
    [
        ("day", date(2026, 12, 31), date(2026, 12, 31), 1, date(2026, 12, 30), date(2027, 1, 1)),
        ("week", date(2027, 1, 1), date(2026, 12, 28), 7, date(2026, 12, 25), date(2027, 1, 8)),
        ("month", date(2026, 11, 30), date(2026, 10, 26), 42, date(2026, 10, 1), date(2026, 12, 1)),
        ("month", date(2027, 2, 14), date(2027, 2, 1), 28, date(2027, 1, 1), date(2027, 3, 1)),
        ("agenda", date(2026, 11, 24), date(2026, 11, 24), 14, date(2026, 11, 10), date(2026, 12, 8)),
    ],
)
def test_view_covers_its_days_and_steps_by_them(view, day, first_day, count, before, after, lyon: Site) -> None:
    choice = choose(lyon, date(2026, 11, 24), view=view, day=day.isoformat())

    assert (choice.days[0], len(choice.days), choice.before, choice.after) == (first_day, count, before, after)


# ------------------------------------------------------------------ who sees what


@pytest.mark.parametrize("view", VIEWS)
def test_view_shows_the_visit_with_its_time_and_status(view, first, ada, sign_in) -> None:
    Appointment.objects.filter(pk=first.pk).update(status="arrived")
    response = sign_in(ada).get(url(view, day_of(first)))
    page = text_of(response)

    assert response.status_code == 200
    assert f"/appointments/{first.public_id}/" in response.content.decode()
    assert f"{timezone.localtime(first.starts_at, PARIS):%H:%M}" in page
    assert "Brandvold" in page
    assert "Arrived" in page


@pytest.mark.parametrize("view", VIEWS)
def test_view_of_another_site_shows_nobody_of_ours(view, first, dan, sign_in) -> None:
    page = text_of(sign_in(dan).get(url(view, day_of(first))))

    assert "Brandvold" not in page


def test_site_of_others_is_no_address(first, dan, sign_in) -> None:
    assert sign_in(dan).get(url("day", day_of(first), site=str(first.site.public_id))).status_code == 404
    assert sign_in(dan).get(url("day", day_of(first), site="x")).status_code == 404


def test_second_site_of_a_person_is_shown_by_its_address(first, ada, sign_in) -> None:
    other = factories.site(name="Aix")
    ada.sites.add(other)
    client = sign_in(ada)

    assert "Aix · Europe/Paris" in text_of(client.get(url("day", day_of(first))))
    assert "Brandvold" not in text_of(client.get(url("agenda", day_of(first))))
    there = text_of(client.get(url("agenda", day_of(first), site=str(first.site.public_id))))
    assert "Lyon · Europe/Paris" in there
    assert "Teodor Brandvold" in there


@pytest.mark.parametrize("view", VIEWS)
def test_who_may_not_read_names_sees_initials(view, first, cleo, sign_in, monkeypatch) -> None:
    monkeypatch.setitem(PERMISSIONS, Role.RECEPTIONIST, frozenset({Permission.BOOKING_READ}))
    page = sign_in(cleo).get(url(view, day_of(first)))

    assert "Brandvold" not in page.content.decode()
    assert "TB" in text_of(page)
    assert "/move/" not in page.content.decode()


def test_time_taken_at_another_site_is_taken_without_a_name(first, ada, cleo, plan, sign_in) -> None:
    aix = factories.site(name="Aix")
    make.hours(practitioner=ada, site=aix)
    ada.sites.add(aix)
    ada.sites.remove(first.site)
    eve = factories.user(given_name="Eve", roles=["receptionist"], sites=[aix])
    page = text_of(sign_in(eve).get(url("day", day_of(first))))

    assert "Busy at another site" in page
    assert "Brandvold" not in page


def test_nobody_opens_the_calendar_without_the_permission(db, sign_in) -> None:
    nobody = factories.user(given_name="Nobody", roles=[])

    assert sign_in(nobody).get(url()).status_code == 403


def test_navigation_and_today_lead_to_the_calendar(first, ada, sign_in) -> None:
    client = sign_in(ada)
    today = client.get("/").content.decode()
    here = timezone.now().astimezone(PARIS).date()

    assert '<a href="/calendar/">Calendar</a>' in today
    assert f'href="/calendar/?view=day&amp;day={here}"' in today
    assert '<a href="/calendar/" aria-current="page">Calendar</a>' in client.get("/calendar/").content.decode()


@pytest.mark.parametrize(
    ("headers", "view"),
    [
        ({}, "day"),
        ({"Sec-CH-UA-Mobile": "?1"}, "agenda"),
        ({"Sec-CH-UA-Mobile": "?0"}, "day"),
        (
            {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Mobile/15E148"},
            "agenda",
        ),
    ],
    ids=["desk", "phone by hint", "desk by hint", "phone by name"],
)
def test_phone_begins_with_the_agenda(headers, view, first, ada, sign_in) -> None:
    page = sign_in(ada).get("/calendar/", headers=headers).content.decode()

    assert f'data-view="{view}"' in page


# ------------------------------------------------------------------ what is on the page


def test_filters_leave_out_what_does_not_match(course, first, ada, rooms, sign_in) -> None:
    client, day = sign_in(ada), day_of(first)
    second = course.appointments.get(number=2)
    Appointment.objects.filter(pk=second.pk).update(status="cancelled")

    def shows(visit: Appointment, **query: str) -> bool:
        page = client.get(url("agenda", day_of(visit), **query)).content.decode()
        return f"/appointments/{visit.public_id}/" in page

    other = next(room for room in rooms if room.pk != first.room_id)
    assert [
        shows(first),
        shows(first, room=str(first.room.public_id)),
        shows(first, room=str(other.public_id)),
        shows(first, practitioner=str(ada.public_id)),
        shows(first, practitioner=str(first.site.public_id)),
        shows(first, kind="first"),
        shows(first, kind="later"),
        shows(first, kind="outside"),
        shows(first, status="done"),
        shows(second),
        shows(second, status="cancelled"),
        shows(second, status="any"),
    ] == [True, True, False, True, False, True, False, False, False, False, True, True]
    assert "Filtered: not every visit is shown." in text_of(client.get(url("day", day, kind="later")))


@pytest.mark.parametrize("view", VIEWS)
def test_overbooked_and_outside_are_kinds_of_their_own(view, first, ada, sign_in) -> None:
    Appointment.objects.filter(pk=first.pk).update(
        overbooked=True, overbook_reason="urgent", window_reason="She travels"
    )
    client = sign_in(ada)

    for kind, shown in (("overbooked", True), ("outside", True), ("later", False)):
        page = client.get(url(view, day_of(first), kind=kind)).content.decode()
        assert (f"/appointments/{first.public_id}/" in page) == shown, (view, kind)


def test_columns_are_practitioners_or_rooms(first, ada, cleo, rooms, sign_in) -> None:
    bob = factories.user(given_name="Bob", family_name="Zeller", title="Dr", sites=[first.site])
    make.hours(practitioner=bob, site=first.site)
    client = sign_in(cleo)

    def columns(**query: str) -> list[str]:
        page = client.get(url("day", day_of(first), **query)).content.decode()
        return re.findall(r'<h2 id="col-\d+"><a [^>]*>(.*?)</a>', page)

    assert columns() == ["Dr Ada Moreau", "Dr Bob Zeller"]
    assert columns(practitioner=str(bob.public_id)) == ["Dr Bob Zeller"]
    assert columns(by="room") == ["Room 1", "Room 2"]
    WorkingHours.objects.filter(practitioner=bob, weekday=day_of(first).weekday()).delete()
    assert columns() == ["Dr Ada Moreau"]
    assert "Not here this day: Dr Bob Zeller" in text_of(client.get(url("day", day_of(first))))


def test_week_of_one_is_a_grid_of_days_and_of_several_a_table(first, ada, cleo, sign_in) -> None:
    client = sign_in(cleo)
    alone = client.get(url("week", day_of(first))).content.decode()
    bob = factories.user(given_name="Bob", family_name="Zeller", sites=[first.site])
    make.hours(practitioner=bob, site=first.site)
    together = client.get(url("week", day_of(first))).content.decode()

    assert ('data-scale="wall"' in alone, '<table class="cw">' in alone) == (True, False)
    assert ('data-scale="wall"' in together, '<table class="cw">' in together) == (False, True)
    assert (
        'data-scale="wall"' in client.get(url("week", day_of(first), practitioner=str(ada.public_id))).content.decode()
    )


def test_closure_absence_and_preparation_are_on_the_grid(first, ada, cleo, sign_in) -> None:
    client, day = sign_in(cleo), day_of(first)
    Appointment.objects.filter(pk=first.pk).update(prepare_minutes=10, cleanup_minutes=5)
    before = client.get(url("day", day)).content.decode()
    Absence.objects.create(
        person=ada, first_day=day, last_day=day, starts=time(14), ends=time(15), kind="training", created_by=cleo
    )
    away = text_of(client.get(url("day", day)))
    Closure.objects.create(site=first.site, day=day, reason="Water damage")

    assert re.findall(r'cg-around t\d+ u\d+ (l\d+ k\d+)"', before) == ["l0 k10", "l0 k5"]
    assert "Training 14:00 – 15:00" in away
    assert "Free" in away
    for view in VIEWS:
        assert "Water damage" in text_of(client.get(url(view, day))), view
    closed = client.get(url("day", day)).content.decode()
    assert "cg-free" not in closed
    assert "Teodor Brandvold" in closed


def test_opening_hours_shade_the_rooms(first, cleo, sign_in) -> None:
    day = day_of(first)
    OpeningHours.objects.create(site=first.site, weekday=day.weekday(), starts=time(9), ends=time(12))
    page = sign_in(cleo).get(url("day", day, by="room", hours="all")).content.decode()

    assert re.findall(r'cg-off (t\d+ u\d+ l\d+ k\d+)"', page) == ["t0 u0 l9 k0", "t12 u0 l12 k0"] * 2


def test_visit_that_may_be_moved_has_a_handle_and_a_link(first, course, ada, cleo, sign_in) -> None:
    client, day = sign_in(cleo), day_of(first)
    booked = client.get(url("day", day)).content.decode()
    Appointment.objects.filter(pk=first.pk).update(status="arrived")
    arrived = client.get(url("day", day)).content.decode()
    move = reverse("sessions:appointment_move", args=[first.public_id])

    assert (booked.count(' data-p="0" data-r='), booked.count(move)) == (1, 1)
    assert (arrived.count(" data-p="), arrived.count(move)) == (0, 0)
    assert (
        client.get(f"{move}?day={day}&time=10:00&practitioner={ada.public_id}&room={first.room.public_id}").status_code
        == 200
    )


def test_visits_in_the_hour_that_comes_twice_are_told_apart(first, cleo, sign_in) -> None:
    summer = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    Appointment.objects.filter(pk=first.pk).update(starts_at=summer, ends_at=summer + timedelta(minutes=20))
    winter = summer + timedelta(hours=1)
    second = first.course.appointments.get(number=2)
    Appointment.objects.filter(pk=second.pk).update(starts_at=winter, ends_at=winter + timedelta(minutes=20))
    client = sign_in(cleo)

    for view in ("day", "week"):
        page = text_of(client.get(url(view, BACK)))
        assert "02:30 CEST Teodor Brandvold" in page, view
        assert "02:30 CET Teodor Brandvold" in page, view
        assert "The clocks go back: this day has 25 hours." in page or view == "week"
    assert "02:30 CEST" in text_of(client.get(url("month", BACK)))


def test_visits_belong_to_the_day_of_the_site(lyon, first, cleo, sign_in) -> None:
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)  # half past midnight in Paris
    Appointment.objects.filter(pk=first.pk).update(starts_at=late, ends_at=late + timedelta(minutes=20))
    client = sign_in(cleo)

    assert "Brandvold" not in text_of(client.get(url("day", date(2026, 11, 24))))
    assert "00:30" in text_of(client.get(url("day", date(2026, 11, 25))))


def test_month_counts_and_shows_the_first(first, course, cleo, sign_in) -> None:
    day = day_of(first)
    start = datetime.combine(day, time(9), tzinfo=PARIS)
    for at, visit in enumerate(course.appointments.order_by("number")):
        begins = start + timedelta(hours=at)
        Appointment.objects.filter(pk=visit.pk).update(starts_at=begins, ends_at=begins + timedelta(minutes=60))
    page = text_of(sign_in(cleo).get(url("month", day)))

    assert (
        "4 visits 50 % booked 09:00 T. Brandvold Booked 10:00 T. Brandvold Booked 11:00 T. Brandvold Booked 1 more"
        in page
    )


# ------------------------------------------------------------------ the trail, and updates


def viewed() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action="calendar.viewed").order_by("id"))


@pytest.mark.parametrize("view", VIEWS)
def test_looking_leaves_one_event_with_the_patients_shown(view, first, ada, sign_in) -> None:
    sign_in(ada).get(url(view, day_of(first)))

    events = viewed()
    assert [(event.actor_id, event.details["view"], event.details["patients"]) for event in events] == [
        (ada.public_id, view, [str(first.patient.public_id)])
    ]


def etag_in(response) -> str:
    """What the page will ask with."""
    return json.loads(html.unescape(found(r'hx-headers="(.*?)"', response.content.decode())))["If-None-Match"]


@pytest.mark.parametrize("view", VIEWS)
def test_update_is_empty_until_something_changes(view, first, ada, sign_in, monkeypatch) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)  # a quarter of an hour that ends in between is a change too
    client, address = sign_in(ada), url(view, day_of(first))
    asked = {"HX-Request": "true", "If-None-Match": etag_in(client.get(address))}
    same = client.get(address, headers=asked)
    Appointment.objects.filter(pk=first.pk).update(status="arrived")
    changed = client.get(address, headers=asked)

    assert (same.status_code, same.content) == (304, b"")
    assert changed.status_code == 200
    assert changed["ETag"] != asked["If-None-Match"] == same["ETag"]
    assert changed["Cache-Control"] == "no-store, private"
    assert changed.content.decode().strip().startswith('<div id="calendar-body"')
    assert "Arrived" in text_of(changed)
    assert len(viewed()) == 1  # nobody new was shown


def test_update_tells_the_trail_of_names_that_are_new(first, cleo, ada, sign_in) -> None:
    client, day = sign_in(ada), day_of(first)
    client.get(url("day", day))
    other = make.patient(by=cleo, given_name="Ilse", family_name="Solberg")
    visit = first.course.appointments.get(number=2)
    starts = datetime.combine(day, time(15), tzinfo=PARIS)
    Appointment.objects.filter(pk=visit.pk).update(
        patient=other, starts_at=starts, ends_at=starts + timedelta(minutes=30)
    )
    client.get(url("day", day), headers={"HX-Request": "true"})

    assert [event.details["patients"] for event in viewed()] == [
        [str(first.patient.public_id)],
        [str(other.public_id)],
    ]


@pytest.mark.parametrize("change", ["closure", "absence", "move", "name of a room"])
def test_stamp_changes_with_what_the_page_shows(change, first, ada, cleo) -> None:
    day, now = day_of(first), timezone.now()
    choice = choose(first.site, day, day=day.isoformat())
    before = calendars.stamp(choice, user=cleo, now=now)
    if change == "closure":
        Closure.objects.create(site=first.site, day=day, reason="Holiday")
    elif change == "absence":
        Absence.objects.create(person=ada, first_day=day, last_day=day, kind="leave", created_by=cleo)
    elif change == "move":
        Appointment.objects.filter(pk=first.pk).update(starts_at=first.starts_at + timedelta(minutes=5))
    else:
        Room.objects.filter(pk=first.room_id).update(name="Room 9")
        assert calendars.stamp(choice, user=cleo, now=now) == before  # a new name comes with the next change
        return

    assert calendars.stamp(choice, user=cleo, now=now) != before


# ------------------------------------------------------------------ a free time


def free_urls(page: str) -> list[tuple[str, str]]:
    links = re.findall(r'<a class="cg-free [^"]*" href="([^"]+)"><span>(.*?)</span>', page)
    return [(address.replace("&amp;", "&"), words) for address, words in links]


def test_free_time_leads_to_who_could_come(plan, first, cleo, ada, sign_in) -> None:
    waiting = make.patient(by=cleo, given_name="Ilse", family_name="Solberg")
    make.plan(patient=waiting, by=ada)
    long = make.patient(by=cleo, given_name="Rasmus", family_name="Achterberg")
    make.plan(patient=long, by=ada, minutes=500)
    client, day = sign_in(cleo), day_of(first)
    offered = free_urls(client.get(url("day", day)).content.decode())
    page = client.get(offered[0][0])
    words = text_of(page).partition("By keyboard")[0]

    assert [text for _address, text in offered] == ["Free 09:38 – 17:00"]
    assert "Ilse Solberg" in words
    assert "Teodor Brandvold" not in words  # booked to the end
    assert "Achterberg" not in words  # needs longer than this
    link = found(r'href="(/plans/[^"]+/book/\?[^"]+)"', page.content.decode()).replace("&amp;", "&")
    booking = client.get(link)
    assert booking.status_code == 200
    assert "09:45" in text_of(booking)
    event = AuditEvent.objects.get(action="free_time.viewed")
    assert event.details["patients"] == [str(waiting.public_id)]


def test_time_that_is_taken_by_now_says_so(first, cleo, sign_in) -> None:
    client, day = sign_in(cleo), day_of(first)
    address, _words = free_urls(client.get(url("day", day)).content.decode())[0]
    begins = datetime.combine(day, time(11), tzinfo=PARIS)
    Appointment.objects.filter(course=first.course, number=2).update(
        starts_at=begins, ends_at=begins + timedelta(minutes=30)
    )

    assert "This time is no longer free" in text_of(client.get(address))


@pytest.mark.parametrize("query", ["", "?at=x&until=y", "?at=2026-11-24T09:00:00&until=2026-11-24T10:00:00"])
def test_free_time_without_a_time_is_no_page(query, ada, sign_in) -> None:
    assert sign_in(ada).get(reverse("sessions:calendar_free") + query).status_code == 404


def test_free_time_of_another_site_is_no_page(first, cleo, dan, sign_in) -> None:
    address, _words = free_urls(sign_in(cleo).get(url("day", day_of(first))).content.decode())[0]

    assert sign_in(dan).get(address).status_code == 404


def test_past_is_not_offered(rooms, ada, cleo, sign_in) -> None:
    past = make.monday(weeks=-1)

    assert free_urls(sign_in(cleo).get(url("day", past)).content.decode()) == []
    assert len(free_urls(sign_in(cleo).get(url("day", make.monday())).content.decode())) == 1


# ------------------------------------------------------------------ how much


def asked_by(client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def test_queries_stay_the_same_for_three_and_three_hundred_visits(lyon, cleo, sign_in) -> None:
    monday, client = make.monday(), sign_in(cleo)
    few, few_rooms = crowd.staff_of(lyon, practitioners=3)
    crowd.week_of(monday, site=lyon, people=few, rooms=few_rooms, by=cleo, visits=3)
    addresses = [url(view, monday) for view in VIEWS] + [url("day", monday, by="room"), url("week", monday, by="room")]
    before = [asked_by(client, address) for address in addresses]
    many, many_rooms = crowd.staff_of(lyon, practitioners=17)
    crowd.week_of(monday, site=lyon, people=many, rooms=many_rooms, by=cleo, visits=300)

    assert [asked_by(client, address) for address in addresses] == before
    assert Appointment.objects.count() == 303


def test_week_of_twenty_practitioners_stays_small(lyon, cleo, sign_in) -> None:
    monday, client = make.monday(), sign_in(cleo)
    people, rooms = crowd.staff_of(lyon, practitioners=20)
    crowd.week_of(monday, site=lyon, people=people, rooms=rooms, by=cleo, visits=800)
    page = client.get(url("week", monday)).content
    shown = len(re.findall(rb'class="ce ', page))

    assert shown == 20 * 5 * (CELL_AT_MOST - 1)
    assert text_of(client.get(url("week", monday))).count("3 more") == 100
    assert len(page) < WEEK_KB * 1024
    assert len(gzip.compress(page, 6)) < WEEK_COMPRESSED_KB * 1024


def test_agenda_ends_with_a_whole_day_and_goes_on_with_the_next(lyon, cleo, sign_in, monkeypatch) -> None:
    monkeypatch.setattr(calendars, "AGENDA_AT_MOST", 40)
    monday, client = make.monday(), sign_in(cleo)
    people, rooms = crowd.staff_of(lyon, practitioners=3)
    crowd.week_of(monday, site=lyon, people=people, rooms=rooms, by=cleo, visits=120)
    seen: list[str] = []
    day = monday
    for _page in range(5):
        page = client.get(url("agenda", day)).content.decode()
        seen += re.findall(r'id="v-([0-9a-f-]{36})"', page)
        following = found(r'href="([^"]+)" rel="next"', page)
        day = date.fromisoformat(parse_qs(urlsplit(following.replace("&amp;", "&")).query)["day"][0])

    assert len(seen) == 120 == len(set(seen))


def test_agenda_of_a_day_that_is_too_full_says_so(lyon, cleo, sign_in, monkeypatch) -> None:
    monkeypatch.setattr(calendars, "AGENDA_AT_MOST", 10)
    monday, client = make.monday(), sign_in(cleo)
    people, rooms = crowd.staff_of(lyon, practitioners=3)
    crowd.week_of(monday, site=lyon, people=people, rooms=rooms, by=cleo, visits=24)
    page = client.get(url("agenda", monday))

    assert "This day has more visits than the page shows." in text_of(page)
    assert page.content.decode().count('id="v-') == 20
    assert f"Go on from {(monday + timedelta(days=1)):%a} " in text_of(page)


@pytest.mark.parametrize("view", ["day", "week"])
def test_calendar_without_hours_leads_on_who_may_set_them(
    view: str, lyon: Site, dora: User, cleo: User, sign_in
) -> None:
    director, reception = (sign_in(person).get(url(view)).content.decode() for person in (dora, cleo))
    leads_on = f'<a class="btn btn-primary" href="{reverse("resources:people")}">Hours and absences</a>'
    assert "Nobody works here yet" in director
    assert "Nobody works here yet" in reception
    assert leads_on in director
    assert leads_on not in reception
