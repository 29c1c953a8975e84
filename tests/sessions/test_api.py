"""Appointments over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mesoclinic.audit.models import AuditEvent
from sessions.models import Appointment
from tests.sessions import factories as make
from tests.sessions.test_pages import counted, many_visits

URL = "/api/v1/appointments/"


def post(client, url: str, data: dict | None = None):
    return client.post(url, json.dumps(data or {}), content_type="application/json")


@pytest.fixture
def new(plan, ada, rooms, lyon) -> dict:
    start = datetime.combine(make.monday(), time(10), tzinfo=lyon.tz)
    return {
        "plan": str(plan.public_id),
        "number": 1,
        "practitioner": str(ada.public_id),
        "room": str(rooms[0].public_id),
        "starts_at": start.isoformat(),
    }


def test_list_gives_the_sites_appointments_with_their_offset(course, cleo, lyon, sign_in) -> None:
    answer = sign_in(cleo).get(URL).json()

    assert answer["count"] == 4
    first, visit = answer["results"][0], course.appointments.order_by("starts_at").first()
    assert first == {
        "id": str(visit.public_id),
        "plan": str(course.plan.public_id),
        "number": 1,
        "patient": str(visit.patient.public_id),
        "practitioner": str(visit.practitioner.public_id),
        "practitioner_name": "Dr Ada Moreau",
        "room": str(visit.room.public_id),
        "room_name": "Room 1",
        "site": str(lyon.public_id),
        "time_zone": "Europe/Paris",
        "starts_at": visit.starts_at.astimezone(lyon.tz).isoformat(),
        "ends_at": visit.ends_at.astimezone(lyon.tz).isoformat(),
        "prepare_minutes": 0,
        "cleanup_minutes": 0,
        "status": "booked",
        "sequence": 0,
        "overbooked": False,
        "overbook_reason": "",
        "overbook_note": "",
        "standing": {"state": "clear", "day": str(make.monday()), "reasons": []},
    }
    assert AuditEvent.objects.filter(action="appointments.listed").count() == 1


def test_list_is_filtered_by_days_of_the_site(course, cleo, lyon, sign_in) -> None:
    first, second = make.monday(), make.monday() + timedelta(days=28)
    client = sign_in(cleo)

    def numbers(query: str) -> list[int]:
        return [row["number"] for row in client.get(f"{URL}?{query}").json()["results"]]

    assert numbers(f"from={first}&to={first}") == [1]
    assert numbers(f"from={first + timedelta(days=1)}&to={second}") == [2]
    assert numbers(f"to={first - timedelta(days=1)}") == []
    assert numbers(f"site={lyon.public_id}") == [1, 2, 3, 4]
    assert numbers("status=cancelled") == []
    assert numbers(f"patient={course.plan.patient.public_id}") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("query", "field"),
    [("from=tomorrow", "from"), ("to=2026-02-31", "to"), ("to=9999-12-31", "to"), ("patient=x", "patient")],
)
def test_filter_that_cannot_be_read_is_refused(query: str, field: str, cleo, sign_in) -> None:
    answer = sign_in(cleo).get(f"{URL}?{query}")

    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_another_site_sees_nothing(course, dan, lyon, sign_in) -> None:
    client, visit = sign_in(dan), course.appointments.first()

    assert client.get(URL).json()["count"] == 0
    assert client.get(f"{URL}?site={lyon.public_id}").json()["count"] == 0
    assert client.get(f"{URL}{visit.public_id}/").status_code == 404
    assert post(client, f"{URL}{visit.public_id}/cancel/").status_code == 404


def test_stranger_is_refused(client, db) -> None:
    assert client.get(URL).status_code == 403


def test_one_appointment_is_read_and_audited(course, cleo, sign_in) -> None:
    visit = course.appointments.first()

    assert sign_in(cleo).get(f"{URL}{visit.public_id}/").json()["id"] == str(visit.public_id)
    assert AuditEvent.objects.filter(action="appointment.viewed", patient_id=visit.patient.public_id).count() == 1


def test_appointment_is_booked(new, cleo, sign_in) -> None:
    answer = post(sign_in(cleo), URL, new)

    assert answer.status_code == 201
    visit = Appointment.objects.get()
    assert answer.json()["id"] == str(visit.public_id)
    assert visit.starts_at == datetime.fromisoformat(new["starts_at"]).astimezone(UTC)


def test_taken_time_is_refused_in_words(new, cleo, ada, sign_in) -> None:
    client = sign_in(cleo)
    post(client, URL, new)
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)
    answer = post(client, URL, {**new, "plan": str(other.public_id)})

    assert answer.status_code == 409
    assert answer.json()["starts_at"][0].startswith("Dr Ada Moreau already has an appointment on Mon")


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("plan", "00000000-0000-0000-0000-000000000000", 400),
        ("room", "00000000-0000-0000-0000-000000000000", 400),
        ("practitioner", "00000000-0000-0000-0000-000000000000", 400),
        ("plan", "not an id", 400),
        ("number", 0, 400),
        ("number", 6, 400),
        ("number", 5, 400),
        ("starts_at", "2030-01-07T10:00:00", 400),
        ("starts_at", "yesterday", 400),
        ("starts_at", "9999-12-31T23:59:59Z", 400),
        ("starts_at", "0001-01-01T00:00:00Z", 400),
    ],
)
def test_bad_input_is_refused_beside_its_field(field, value, status, new, cleo, sign_in) -> None:
    answer = post(sign_in(cleo), URL, {**new, field: value})

    assert (answer.status_code, list(answer.json())) == (status, [field])
    assert Appointment.objects.count() == 0


def test_appointment_is_cancelled_once(course, cleo, sign_in) -> None:
    visit, client = course.appointments.first(), sign_in(cleo)

    assert post(client, f"{URL}{visit.public_id}/cancel/").json()["status"] == "cancelled"
    assert post(client, f"{URL}{visit.public_id}/cancel/").status_code == 409


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_appointment_is_neither_rewritten_nor_deleted(method: str, course, cleo, sign_in) -> None:
    url = f"{URL}{course.appointments.first().public_id}/"

    assert getattr(sign_in(cleo), method)(url).status_code in (403, 405)


@pytest.mark.parametrize("count", [3, 300])
def test_list_costs_the_same_at_3_and_at_300(count: int, ada, cleo, lyon, rooms, sign_in) -> None:
    many_visits(count, ada=ada, cleo=cleo, lyon=lyon, room=rooms[0])
    client = sign_in(cleo)
    with CaptureQueriesContext(connection) as captured:
        shown = client.get(f"{URL}?limit=400").json()["results"]

    assert (len(shown), counted(captured)) == (count, 24)
