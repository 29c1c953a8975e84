"""Who is late, who did not come: what Today and the visit's page say and offer, and what the session becomes."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from unittest.mock import patch

import pytest
from django.urls import reverse
from django.utils import timezone

from sessions.models import Appointment, AppointmentStatus
from tests.sessions import factories as make


def text_of(response) -> str:
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", response.content.decode(), flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


@pytest.fixture
def noon(course, lyon) -> datetime:
    """The first session is today at noon; the clock is wound by ``at``."""
    start = datetime.combine(timezone.now().astimezone(lyon.tz).date(), time(12), tzinfo=lyon.tz)
    course.appointments.filter(number=1).update(starts_at=start, ends_at=start + timedelta(minutes=38))
    return start


@pytest.fixture
def at(noon):
    return lambda minutes: patch("django.utils.timezone.now", lambda: noon + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(-1, "Booked"), (1, "1 minute late"), (12, "12 minutes late"), (59, "59 minutes late"), (60, "Not arrived")],
)
def test_today_says_how_late_somebody_is(minutes: int, words: str, course, at, cleo, sign_in) -> None:
    with at(minutes):
        page = sign_in(cleo).get("/")
        (row,) = page.context["page"].rows

    assert row.states[0].text == words
    assert words in text_of(page)


@pytest.mark.parametrize(("minutes", "offered"), [(-1, False), (0, True), (30, True)])
def test_visit_that_has_begun_can_be_marked_as_not_come(minutes: int, offered: bool, course, at, cleo, sign_in) -> None:
    visit = course.appointments.get(number=1)
    with at(minutes):
        page = sign_in(cleo).get(reverse("sessions:appointment", args=[visit.public_id]))

    assert ('value="no_show"' in page.content.decode()) is offered
    assert 'value="arrived"' in page.content.decode()


def test_late_patient_is_still_checked_in(course, at, cleo, sign_in) -> None:
    visit = course.appointments.get(number=1)
    with at(25):
        client = sign_in(cleo)
        done = client.post(
            reverse("sessions:appointment_status", args=[visit.public_id]), {"status": "arrived"}, follow=True
        )

    assert "is checked in" in text_of(done)
    assert Appointment.objects.get(pk=visit.pk).status == AppointmentStatus.ARRIVED


def test_missed_session_is_undone_or_booked_again_by_one_button(course, at, cleo, sign_in) -> None:
    visit, second = course.appointments.get(number=1), course.appointments.get(number=2)
    status_url = reverse("sessions:appointment_status", args=[visit.public_id])
    with at(30):
        client = sign_in(cleo)
        missed = client.post(status_url, {"status": "no_show"}, follow=True)
        assert "is marked as not come" in text_of(missed)
        assert "Undo “did not come”" in text_of(missed)
        client.post(status_url, {"status": "booked"})
        assert Appointment.objects.get(pk=visit.pk).status == AppointmentStatus.BOOKED

        client.post(status_url, {"status": "no_show"})
        page = client.get(reverse("sessions:appointment", args=[second.public_id]))
        assert "Session 1 is not booked" in text_of(page)


def test_visit_of_the_future_is_not_missed_by_a_forged_form(course, cleo, sign_in) -> None:
    visit = course.appointments.get(number=2)
    refused = sign_in(cleo).post(reverse("sessions:appointment_status", args=[visit.public_id]), {"status": "no_show"})

    assert refused.status_code == 409
    assert "has not begun yet, so nobody has missed it" in text_of(refused)


# ------------------------------------------------------------------ a time that the clocks skip, or repeat


@pytest.mark.parametrize(
    ("zone", "month", "skipped"),
    [("Europe/Paris", 3, time(2, 30)), ("America/New_York", 3, time(2, 30)), ("Australia/Lord_Howe", 10, time(2, 15))],
)
def test_form_refuses_a_time_that_the_clocks_skip(zone: str, month: int, skipped: time, ada, cleo) -> None:
    from sessions.booking.forms import MoveForm
    from tests import factories

    site = factories.site(name=zone, time_zone=zone)
    ada.sites.add(site)
    (room,) = make.open_site(site=site, practitioner=ada)
    day = changes(site, month)
    given = {
        "day": day.isoformat(),
        "time": f"{skipped:%H:%M}",
        "practitioner": str(ada.public_id),
        "room": str(room.public_id),
    }

    form = MoveForm(given, site=site)
    assert not form.is_valid()
    assert form.errors == {"time": ["The clocks skip this time on that day."]}
    later = MoveForm(given | {"time": "04:00"}, site=site)
    assert later.is_valid(), later.errors


@pytest.mark.parametrize(
    ("zone", "month", "twice"),
    [("Europe/Paris", 10, time(2, 30)), ("America/New_York", 11, time(1, 30)), ("Australia/Lord_Howe", 4, time(1, 45))],
)
def test_form_takes_the_first_of_two_equal_times(zone: str, month: int, twice: time, ada) -> None:
    from sessions.booking.forms import MoveForm
    from tests import factories

    site = factories.site(name=zone, time_zone=zone)
    ada.sites.add(site)
    (room,) = make.open_site(site=site, practitioner=ada)
    day = changes(site, month)
    given = {
        "day": day.isoformat(),
        "time": f"{twice:%H:%M}",
        "practitioner": str(ada.public_id),
        "room": str(room.public_id),
    }

    form = MoveForm(given, site=site)
    assert form.is_valid(), form.errors
    local = form.cleaned_data["starts_at"].astimezone(site.tz)
    assert (local.date(), local.time(), local.fold) == (day, twice, 0)
    hour_later = (form.cleaned_data["starts_at"] + timedelta(hours=1)).astimezone(site.tz)
    assert hour_later.utcoffset() < local.utcoffset()


def changes(site, month: int):
    """The next day on which the clocks change in this month, at most two years ahead."""
    day = timezone.now().astimezone(site.tz).date() + timedelta(days=1)
    while True:
        midnight = datetime.combine(day, time(0), tzinfo=site.tz)
        following = datetime.combine(day + timedelta(days=1), time(0), tzinfo=site.tz)
        if day.month == month and midnight.utcoffset() != following.utcoffset():
            return day
        day += timedelta(days=1)
