"""Booking over a taken time on purpose: who may, how far it goes, where it shows; and what the database knows of it."""

from __future__ import annotations

import html
import os
import subprocess
import sys
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core import guards
from mesoclinic.core.errors import DomainError, InvalidInput, NotAllowed
from protocols.models import Plan
from sessions.booking.actions import book_appointment, cancel_appointment
from sessions.booking.move import Target, move_appointment
from sessions.booking.overbook import Overbook
from sessions.models import Appointment, Course, Room
from sessions.models.guards import PATIENT_FREE, PRACTITIONER_FREE, ROOM_FREE
from tests import factories
from tests.sessions import factories as make
from tests.sessions.test_api import post

ROOT = Path(__file__).resolve().parents[2]
URGENT = Overbook(reason="urgent")


@pytest.fixture
def ten(lyon: Site) -> datetime:
    return datetime.combine(make.monday(), time(10), tzinfo=lyon.tz)


@pytest.fixture
def taken(plan: Plan, ada: User, cleo: User, lyon: Site, rooms: list[Room], ten: datetime) -> Appointment:
    """Teodor with Ada in room 1, Monday 10:00 to 10:38."""
    return book_appointment(plan=plan, number=1, site=lyon, practitioner=ada, room=rooms[0], starts_at=ten, by=cleo)


@pytest.fixture
def others(ada: User, cleo: User, lyon: Site, rooms: list[Room]) -> list[Plan]:
    return [
        make.plan(patient=make.patient(by=cleo, site=lyon, given_name=name), by=ada) for name in ("Ida", "Jon", "Kim")
    ]


def over(
    plan: Plan, at: datetime, *, who: User, room: Room, by: User, why: Overbook | None = URGENT, number: int = 1
) -> Appointment:
    return book_appointment(
        plan=plan, number=number, site=room.site, practitioner=who, room=room, starts_at=at, by=by, overbook=why
    )


# ------------------------------------------------------------------ the action


def test_practitioner_books_over_a_taken_time_and_it_is_written_down(
    taken: Appointment, others: list[Plan], ada: User, rooms: list[Room], ten: datetime
) -> None:
    why = Overbook(reason="complication", note=" swollen since noon ")

    visit = over(others[0], ten + timedelta(minutes=15), who=ada, room=rooms[0], by=ada, why=why)

    visit.refresh_from_db()
    assert (visit.overbooked, visit.overbook_reason, visit.overbook_note) == (
        True,
        "complication",
        "swollen since noon",
    )
    event = AuditEvent.objects.get(action="appointment.booked", target_id=str(visit.public_id))
    assert event.details["overbooked"] == "complication"
    assert event.details["over"] == [str(taken.public_id)]


def test_without_a_reason_it_is_an_ordinary_booking_and_refused(
    taken: Appointment, others: list[Plan], ada: User, rooms: list[Room], ten: datetime
) -> None:
    with pytest.raises(DomainError, match="Dr Ada Moreau already has an appointment"):
        over(others[0], ten, who=ada, room=rooms[0], by=ada, why=None)


@pytest.mark.parametrize(
    ("why", "field"),
    [
        (Overbook(reason=""), "overbook_reason"),
        (Overbook(reason="because"), "overbook_reason"),
        (Overbook(reason="other", note="  "), "overbook_note"),
    ],
)
def test_reason_has_to_be_one_of_the_list_or_in_words(
    taken: Appointment, others: list[Plan], ada: User, rooms: list[Room], ten: datetime, why: Overbook, field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        over(others[0], ten, who=ada, room=rooms[0], by=ada, why=why)
    assert (refusal.value.field, Appointment.objects.count()) == (field, 1)


def test_reception_and_nurse_may_not(
    taken: Appointment, others: list[Plan], ada: User, ben: User, cleo: User, rooms: list[Room], ten: datetime
) -> None:
    for who in (ben, cleo):
        with pytest.raises(NotAllowed, match="Your role does not book over a time that is taken"):
            over(others[0], ten, who=ada, room=rooms[0], by=who)


def test_free_time_is_not_overbooked(
    taken: Appointment, others: list[Plan], ada: User, rooms: list[Room], ten: datetime
) -> None:
    with pytest.raises(InvalidInput, match="This time is free"):
        over(others[0], ten + timedelta(hours=2), who=ada, room=rooms[0], by=ada)


def test_two_at_once_are_the_most(
    taken: Appointment, others: list[Plan], ada: User, rooms: list[Room], ten: datetime
) -> None:
    over(others[0], ten, who=ada, room=rooms[0], by=ada)
    for room in rooms:
        with pytest.raises(DomainError, match="booked twice already"):
            over(others[1], ten, who=ada, room=room, by=ada)


def test_ordinary_booking_is_refused_where_only_an_overbooked_visit_is_left(
    taken: Appointment, others: list[Plan], ada: User, cleo: User, rooms: list[Room], ten: datetime
) -> None:
    """The database would let it pass: its rule is between visits of the same kind. The action does not."""
    over(others[0], ten, who=ada, room=rooms[0], by=ada)
    cancel_appointment(appointment=taken, by=cleo)

    with pytest.raises(DomainError, match="already has an appointment"):
        over(others[1], ten, who=ada, room=rooms[1], by=ada, why=None)


def test_closed_and_outside_the_hours_stay_refused(
    taken: Appointment, others: list[Plan], ada: User, rooms: list[Room], ten: datetime
) -> None:
    with pytest.raises(InvalidInput, match="does not work at Lyon"):
        over(others[0], ten.replace(hour=7), who=ada, room=rooms[0], by=ada)


# ------------------------------------------------------------------ moving


def test_visit_is_moved_over_another_and_back_to_an_ordinary_time(
    taken: Appointment, others: list[Plan], ada: User, cleo: User, rooms: list[Room], ten: datetime
) -> None:
    visit = over(others[0], ten + timedelta(hours=3), who=ada, room=rooms[0], by=cleo, why=None)
    target = Target(starts_at=ten, practitioner=ada, room=rooms[0])
    with pytest.raises(DomainError, match="already taken"):
        move_appointment(appointment=visit, target=target, rest="keep", by=ada)
    with pytest.raises(NotAllowed):
        move_appointment(appointment=visit, target=target, rest="keep", by=cleo, overbook=URGENT)

    moved = move_appointment(appointment=visit, target=target, rest="keep", by=ada, overbook=URGENT)[0]
    assert (moved.starts_at, moved.overbooked, moved.overbook_reason) == (ten, True, "urgent")
    event = AuditEvent.objects.filter(action="appointment.moved").latest("pk")
    assert (event.details["overbooked"], event.details["over"]) == ("urgent", [str(taken.public_id)])

    back = Target(starts_at=ten + timedelta(hours=4), practitioner=ada, room=rooms[1])
    again = move_appointment(appointment=moved, target=back, rest="keep", by=cleo)[0]
    assert (again.overbooked, again.overbook_reason, again.overbook_note) == (False, "", "")


# ------------------------------------------------------------------ what the database knows


def copy_of(visit: Appointment, plan: Plan, **changes: object) -> Appointment:
    """The same time once more, past every action."""
    course = Course.objects.get_or_create(
        plan=plan, defaults={"booked_at": visit.created_at, "booked_by": visit.created_by}
    )[0]
    given = {
        "course": course,
        "number": 1,
        "patient": plan.patient,
        "practitioner": visit.practitioner,
        "room": visit.room,
        "site": visit.site,
        "starts_at": visit.starts_at,
        "ends_at": visit.ends_at,
        "created_by": visit.created_by,
        **changes,
    }
    return Appointment(**given)


def refused_by(visit: Appointment) -> set[str]:
    try:
        with transaction.atomic():
            visit.save(force_insert=True)
    except IntegrityError as error:
        return {guard.name for guard in (PRACTITIONER_FREE, ROOM_FREE, PATIENT_FREE) if guard.broken_by(error)}
    return set()


OVERBOOKED = {"overbooked": True, "overbook_reason": "urgent"}


def test_database_lets_one_overbooked_visit_lie_over_one_ordinary_and_no_more(
    taken: Appointment, others: list[Plan], rooms: list[Room]
) -> None:
    practitioner, room = {PRACTITIONER_FREE.name}, {ROOM_FREE.name}

    assert refused_by(copy_of(taken, others[0], room=rooms[1])) == practitioner
    assert refused_by(copy_of(taken, others[0], **OVERBOOKED)) == set()
    assert refused_by(copy_of(taken, others[1], room=rooms[1], **OVERBOOKED)) == practitioner
    eve = factories.user(given_name="Eve", family_name="Aubry", sites=[taken.site])
    assert refused_by(copy_of(taken, others[1], practitioner=eve, **OVERBOOKED)) == room
    assert refused_by(copy_of(taken, others[1], practitioner=eve)) == room


def test_database_refuses_the_same_patient_also_where_it_is_overbooked(
    taken: Appointment, others: list[Plan], rooms: list[Room], lyon: Site
) -> None:
    eve = factories.user(given_name="Eve", family_name="Aubry", sites=[lyon])
    twin = copy_of(taken, others[0], patient=taken.patient, practitioner=eve, room=rooms[1], **OVERBOOKED)

    assert refused_by(twin) == {PATIENT_FREE.name}


def test_turning_overbooked_into_ordinary_is_refused_while_the_other_is_there(
    taken: Appointment, others: list[Plan]
) -> None:
    visit = copy_of(taken, others[0], **OVERBOOKED)
    assert refused_by(visit) == set()

    with pytest.raises(IntegrityError, match="booked_once"), transaction.atomic():
        Appointment.objects.filter(pk=visit.pk).update(overbooked=False, overbook_reason="")
    Appointment.objects.filter(pk=taken.pk).update(status="cancelled")
    Appointment.objects.filter(pk=visit.pk).update(overbooked=False, overbook_reason="")


@pytest.mark.parametrize(
    ("overbooked", "reason", "note"), [(True, "", ""), (False, "urgent", ""), (False, "", "because")]
)
def test_overbooked_and_its_reason_go_together(taken: Appointment, overbooked: bool, reason: str, note: str) -> None:
    with pytest.raises(IntegrityError, match="overbooked_with_reason"), transaction.atomic():
        Appointment.objects.filter(pk=taken.pk).update(
            overbooked=overbooked, overbook_reason=reason, overbook_note=note
        )


@pytest.mark.parametrize(
    ("gap", "free"),
    [(14, False), (15, True), (-15, True), (-14, False)],
    ids=["a minute short after", "just enough after", "just enough before", "a minute short before"],
)
def test_database_counts_preparation_and_clean_up(
    taken: Appointment, others: list[Plan], rooms: list[Room], gap: int, free: bool
) -> None:
    """10 minutes of clean-up and 5 of preparation: 15 minutes between the visits, whichever comes first."""
    Appointment.objects.update(prepare_minutes=5, cleanup_minutes=10)
    length = taken.ends_at - taken.starts_at
    start = taken.ends_at + timedelta(minutes=gap) if gap > 0 else taken.starts_at - length + timedelta(minutes=gap)
    around = {"prepare_minutes": 5, "cleanup_minutes": 10}

    other = copy_of(taken, others[0], room=rooms[1], starts_at=start, ends_at=start + length, **around)

    assert refused_by(other) == (set() if free else {PRACTITIONER_FREE.name})


def test_database_lets_a_patient_come_while_a_room_is_prepared(
    taken: Appointment, others: list[Plan], rooms: list[Room], lyon: Site
) -> None:
    eve = factories.user(given_name="Eve", family_name="Aubry", sites=[lyon])
    next_one = copy_of(
        taken,
        others[0],
        patient=taken.patient,
        practitioner=eve,
        room=rooms[1],
        starts_at=taken.ends_at,
        ends_at=taken.ends_at + timedelta(minutes=20),
        prepare_minutes=30,
    )
    assert refused_by(next_one) == set()


def test_minutes_are_at_most_an_hour(taken: Appointment) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Appointment.objects.update(prepare_minutes=61)


def test_guard_waits_for_the_migration_that_brings_its_columns(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    later = guards.no_overlap(
        name="probe_later", table="treatment_sessions_appointment", column="not_there_yet", live="{row}.status <> ''"
    )
    monkeypatch.setattr(guards, "REGISTRY", {**guards.REGISTRY, later.name: later})

    guards.install(connection)

    assert guards.missing(connection) == ["probe_later"]


def test_database_of_the_version_before_is_migrated_with_what_is_booked_in_it() -> None:
    """In a process and a database of its own, on the engine of this run: migrating back would take others' data."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sessions.migrating_overlap"],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "before: refused",
        "missing after: []",
        "kept: 1, not overbooked, no minutes around it",
        "ordinary over it: refused",
        "overbooked over it: saved",
        "overbooked once more: refused",
        "within preparation: refused",
    ]


# ------------------------------------------------------------------ the pages and the API


def test_page_books_over_what_is_there_and_shows_it_everywhere(
    sign_in, taken: Appointment, others: list[Plan], ada: User, rooms: list[Room], ten: datetime
) -> None:
    client = sign_in(ada)
    page = reverse("sessions:plan_overbook", args=[others[0].public_id])
    given = {
        "day": f"{ten:%Y-%m-%d}",
        "time": "10:00",
        "practitioner": str(ada.public_id),
        "room": str(rooms[0].public_id),
    }
    assert client.get(page, given).status_code == 200

    short = client.post(page, given)
    assert short.status_code == 400
    shown = html.unescape(short.content.decode())
    assert "This field is required." in shown and 'value="10:00"' in shown

    wrong = client.post(page, {**given, "overbook_reason": "other"})
    shown = html.unescape(wrong.content.decode())
    assert (wrong.status_code, "Write the reason." in shown, "Booked at this time already" in shown) == (
        400,
        True,
        True,
    )

    done = client.post(page, {**given, "overbook_reason": "other", "overbook_note": "Leaves the country tonight"})

    visit = Appointment.objects.get(overbooked=True)
    assert (done.status_code, done["Location"]) == (302, reverse("sessions:appointment", args=[visit.public_id]))
    for url in (done["Location"], reverse("sessions:day", args=[ten.date()])):
        assert "Overbooked: Leaves the country tonight" in client.get(url).content.decode()


def test_visit_is_put_over_another_from_the_move_page(
    sign_in, taken: Appointment, others: list[Plan], ada: User, cleo: User, rooms: list[Room], ten: datetime
) -> None:
    visit = over(others[0], ten + timedelta(hours=3), who=ada, room=rooms[0], by=cleo, why=None)
    move = reverse("sessions:appointment_move", args=[visit.public_id])
    page = reverse("sessions:appointment_overbook", args=[visit.public_id])
    given = {
        "day": f"{ten:%Y-%m-%d}",
        "time": "10:00",
        "practitioner": str(ada.public_id),
        "room": str(rooms[0].public_id),
    }

    offered = {who.given_name: page in sign_in(who).get(move, given).content.decode() for who in (ada, cleo)}
    assert offered == {"Ada": True, "Cleo": False}
    free = {**given, "time": "16:00"}
    assert page not in sign_in(ada).get(move, free).content.decode()

    assert "This time is free" in sign_in(ada).post(page, {**free, "overbook_reason": "urgent"}).content.decode()
    assert sign_in(ada).post(page, {**given, "overbook_reason": "urgent"}).status_code == 302
    visit.refresh_from_db()
    assert (visit.starts_at, visit.overbooked) == (ten, True)


def test_page_is_for_who_may_and_sees_the_patient(
    sign_in, taken: Appointment, others: list[Plan], ada: User, cleo: User, dan: User
) -> None:
    for page in (
        reverse("sessions:plan_overbook", args=[others[0].public_id]),
        reverse("sessions:appointment_overbook", args=[taken.public_id]),
    ):
        assert [sign_in(who).get(page).status_code for who in (ada, cleo, dan)] == [200, 403, 404]


def test_booking_page_leads_there_for_who_may(sign_in, plan: Plan, ada: User, cleo: User) -> None:
    page, booking = (
        reverse(name, args=[plan.public_id]) for name in ("sessions:plan_overbook", "sessions:course_book")
    )

    assert [page in sign_in(who).get(booking).content.decode() for who in (ada, cleo)] == [True, False]


def test_course_that_is_booked_whole_says_so(sign_in, course: Course, ada: User) -> None:
    answer = sign_in(ada).get(reverse("sessions:plan_overbook", args=[course.plan.public_id]))

    assert "Every session of this course is booked already." in answer.content.decode()


def test_api_books_over_a_taken_time_for_who_may(
    sign_in, taken: Appointment, others: list[Plan], ada: User, cleo: User, rooms: list[Room], ten: datetime
) -> None:
    new = {
        "plan": str(others[0].public_id),
        "number": 1,
        "practitioner": str(ada.public_id),
        "room": str(rooms[0].public_id),
        "starts_at": ten.isoformat(),
    }
    url = "/api/v1/appointments/"

    assert post(sign_in(ada), url, new).status_code == 409
    assert post(sign_in(cleo), url, {**new, "overbook_reason": "urgent"}).status_code == 403
    assert post(sign_in(ada), url, {**new, "overbook_reason": "because"}).status_code == 400
    made = post(sign_in(ada), url, {**new, "overbook_reason": "urgent", "overbook_note": "fever"})
    assert made.status_code == 201
    told = made.json()
    assert (told["overbooked"], told["overbook_reason"], told["overbook_note"]) == (True, "urgent", "fever")
