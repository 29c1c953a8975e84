"""Booking: all or nothing, first fitting times, refusals in words."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition, NotAllowed
from protocols.models.enums import PlanStatus
from sessions.booking.actions import (
    ProposalChanged,
    book_appointment,
    book_course,
    cancel_course,
    set_appointment_status,
)
from sessions.course.queries import session_dates_for_plan
from sessions.models import Appointment, AppointmentStatus, Closure, Course
from sessions.times.refusals import AlreadyTaken, NoTimeFree
from tests.sessions import factories as make


def at(day, hour: int, minute: int = 0, zone=None) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=zone or UTC).astimezone(UTC)


def test_book_course_books_every_session_in_one_go(course, plan, lyon, ada, teodor, rooms) -> None:
    visits = list(course.appointments.order_by("number"))
    days = [visit.starts_at.astimezone(lyon.tz) for visit in visits]

    assert [visit.number for visit in visits] == [1, 2, 3, 4]
    assert [(later.date() - days[0].date()).days for later in days] == [0, 28, 56, 84]
    assert {day.strftime("%a %H:%M") for day in days} == {"Mon 09:00"}
    assert {visit.ends_at - visit.starts_at for visit in visits} == {timedelta(minutes=38)}
    assert {(visit.patient, visit.practitioner, visit.room, visit.site) for visit in visits} == {
        (teodor, ada, rooms[0], lyon)
    }
    assert AuditEvent.objects.filter(action="course.booked", patient_id=teodor.public_id).count() == 1
    plan.refresh_from_db()
    assert plan.status == PlanStatus.SIGNED


def test_book_course_takes_the_second_room_and_the_next_hour_for_a_second_patient(
    course, plan, lyon, ada, cleo
) -> None:
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)

    second = book_course(plan=other, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)

    times = {visit.starts_at.astimezone(lyon.tz).strftime("%H:%M") for visit in second.appointments.all()}
    assert times == {"09:45"}


def test_book_course_twice_is_refused(course, plan, lyon, ada, cleo) -> None:
    with pytest.raises(DomainError, match=r"Every session of this course is booked already\."):
        book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    assert Appointment.objects.count() == 4


@pytest.mark.parametrize("status", ["draft", "discarded", "superseded", "stopped", "completed"])
def test_only_a_plan_in_force_can_be_booked(status: str, teodor, ada, lyon, cleo, rooms) -> None:
    plan = make.plan(patient=teodor, by=ada, status=status)

    with pytest.raises(InvalidTransition, match="Only a signed plan in force can be booked"):
        book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    assert Course.objects.count() == 0


def test_book_course_is_all_or_nothing_when_the_last_session_finds_no_time(plan, lyon, ada, cleo) -> None:
    for ahead in range(60, 400):
        Closure.objects.create(site=lyon, day=make.monday() + timedelta(days=ahead), reason="Works")

    with pytest.raises(NoTimeFree, match="session 4 finds no free time between"):
        book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    assert (Course.objects.count(), Appointment.objects.count()) == (0, 0)


def test_book_course_refuses_when_the_shown_times_are_gone(plan, lyon, ada, cleo) -> None:
    shown = [at(make.monday() + timedelta(days=days), 9, zone=lyon.tz) for days in (0, 28, 56, 84)]
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)
    book_course(plan=other, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)

    with pytest.raises(ProposalChanged):
        book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), expected=shown, by=cleo)
    assert Appointment.objects.filter(course__plan=plan).count() == 0


def test_book_course_again_after_cancelling_goes_on_where_it_stopped(course, plan, lyon, ada, cleo) -> None:
    cancel_course(course=course, by=cleo)
    first_ids = set(course.appointments.values_list("pk", flat=True))

    again = book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)

    assert again == course
    assert again.appointments.exclude(pk__in=first_ids).count() == 4


def test_receptionist_of_another_site_cannot_book(plan, lyon, ada, dan) -> None:
    with pytest.raises(NotAllowed):
        book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=dan)


def test_practitioner_of_another_site_cannot_be_booked(plan, lyon, dan, cleo) -> None:
    with pytest.raises(InvalidInput, match="Dr Dan Ruiz does not work at Lyon"):
        book_course(plan=plan, site=lyon, practitioner=dan, earliest=make.monday(), by=cleo)


def test_session_dates_for_plan_are_in_the_sites_zone(course, plan, lyon) -> None:
    dates = session_dates_for_plan(plan)

    assert [entry["number"] for entry in dates] == [1, 2, 3, 4]
    assert {entry["starts_at"].tzinfo for entry in dates} == {lyon.tz}
    assert {(entry["starts_at"].hour, entry["practitioner"], entry["site"]) for entry in dates} == {
        (9, "Dr Ada Moreau", "Lyon")
    }


def test_session_dates_of_an_unbooked_plan_are_none(plan) -> None:
    assert session_dates_for_plan(plan) == []


# ------------------------------------------------------------------ one slot


@pytest.fixture
def book_one(plan, lyon, ada, cleo, rooms):
    def book(**changes):
        call = {
            "plan": plan,
            "number": 1,
            "site": lyon,
            "practitioner": ada,
            "room": rooms[0],
            "starts_at": at(make.monday(), 10, zone=lyon.tz),
            "by": cleo,
            **changes,
        }
        return book_appointment(**call)

    return book


def test_book_appointment_takes_the_length_from_the_plan(book_one) -> None:
    visit = book_one()

    assert visit.ends_at - visit.starts_at == timedelta(minutes=38)
    assert visit.status == AppointmentStatus.BOOKED


def refusal(book, **changes) -> str:
    with pytest.raises(DomainError) as refused:
        book(**changes)
    return str(refused.value)


def other_plan(by, ada, name="Amelia"):
    return make.plan(patient=make.patient(by=by, given_name=name, family_name="Roy"), by=ada)


def test_practitioner_overlap_is_refused_with_the_time(book_one, cleo, ada, rooms, lyon) -> None:
    book_one()
    day = make.monday()

    said = refusal(book_one, plan=other_plan(cleo, ada), room=rooms[1], starts_at=at(day, 10, 30, zone=lyon.tz))

    assert said == f"Dr Ada Moreau already has an appointment on Mon {day.day} {day:%b} {day.year} at 10:00."


def test_room_overlap_is_refused_with_its_name(book_one, cleo, ada, lyon, dora) -> None:
    book_one()
    make.hours(practitioner=dora, site=lyon)

    assert refusal(book_one, plan=other_plan(cleo, ada), practitioner=dora).startswith("Room 1 is already taken on Mon")


def test_patient_overlap_is_refused_with_the_name(book_one, plan, ada, rooms, lyon, dora) -> None:
    book_one()
    make.hours(practitioner=dora, site=lyon)
    type(plan).objects.filter(pk=plan.pk).update(status="stopped")  # its visit stands until somebody cancels it
    second = make.plan(patient=plan.patient, by=ada)

    said = refusal(book_one, plan=second, practitioner=dora, room=rooms[1])

    assert said.startswith("Teodor Brandvold already has an appointment on Mon")


def test_touching_visits_are_fine_and_a_cancelled_one_frees_its_time(book_one, cleo, ada, lyon) -> None:
    first = book_one()
    touching = book_one(plan=other_plan(cleo, ada), starts_at=first.ends_at)
    from sessions.booking.actions import cancel_appointment

    cancel_appointment(appointment=first, by=cleo)
    again = book_one(plan=other_plan(cleo, ada, "Noor"), starts_at=first.starts_at)

    assert touching.starts_at == first.ends_at
    assert again.starts_at == first.starts_at


def test_same_session_of_a_course_is_booked_once(book_one, lyon) -> None:
    book_one()

    assert refusal(book_one, starts_at=at(make.monday(), 14, zone=lyon.tz)) == (
        "This session of the course is booked already."
    )


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (20, "Sessions 1 and 2 would lie 20 days apart. The plan wants 21 to 42 days."),
        (43, "Sessions 1 and 2 would lie 43 days apart. The plan wants 21 to 42 days."),
        (21, None),
        (42, None),
    ],
)
def test_gap_outside_the_plans_window_is_refused(days: int, said: str | None, book_one, ada, lyon) -> None:
    make.hours(practitioner=ada, site=lyon, weekdays=(5, 6))
    book_one()
    second = {"number": 2, "starts_at": at(make.monday() + timedelta(days=days), 10, zone=lyon.tz)}

    if said:
        assert refusal(book_one, **second) == said
    else:
        assert book_one(**second).number == 2


def test_appointment_outside_the_working_hours_is_refused(book_one, lyon) -> None:
    assert refusal(book_one, starts_at=at(make.monday(), 16, 45, zone=lyon.tz)) == (
        "Dr Ada Moreau does not work at Lyon from 16:45 to 17:23 on that day."
    )


def test_appointment_on_a_closed_day_is_refused(book_one, lyon) -> None:
    Closure.objects.create(site=lyon, day=make.monday(), reason="Inventory")

    assert refusal(book_one).endswith(": Inventory.")


def test_appointment_in_the_past_is_refused(book_one) -> None:
    assert refusal(book_one, starts_at=timezone.now() - timedelta(minutes=1)) == "This time has passed."


def test_number_beyond_the_course_is_refused(book_one) -> None:
    assert refusal(book_one, number=5) == "The plan has 4 sessions."


# ------------------------------------------------------------------ the database's own word


INSERT = """
    INSERT INTO treatment_sessions_appointment
        (public_id, course_id, number, patient_id, practitioner_id, room_id, site_id, starts_at, ends_at, status,
         sequence, window_reason, prepare_minutes, cleanup_minutes, overbooked, overbook_reason, overbook_note,
         created_at, created_by_id)
    SELECT {uuid}, course_id, number + 50, patient_id, practitioner_id, room_id, site_id, starts_at, ends_at, status,
           0, window_reason, prepare_minutes, cleanup_minutes, overbooked, overbook_reason, overbook_note,
           created_at, created_by_id
    FROM treatment_sessions_appointment WHERE id = %s
"""


def raw_overlap(visit: Appointment) -> None:
    uuid = "lower(hex(randomblob(16)))" if connection.vendor == "sqlite" else "gen_random_uuid()"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(INSERT.format(uuid=uuid), [visit.pk])


def test_raw_sql_overlap_is_refused_by_the_database(course) -> None:
    with pytest.raises(IntegrityError, match="booked_once"):
        raw_overlap(course.appointments.first())


def test_raw_sql_move_onto_another_visit_is_refused(course) -> None:
    first, second = course.appointments.order_by("number")[:2]
    with pytest.raises(IntegrityError, match="booked_once"), transaction.atomic():
        Appointment.objects.filter(pk=second.pk).update(starts_at=first.starts_at, ends_at=first.ends_at)


# ------------------------------------------------------------------ states


def test_no_show_frees_the_session_for_a_new_date(book_one, cleo, lyon) -> None:
    visit = book_one()
    Appointment.objects.filter(pk=visit.pk).update(
        starts_at=timezone.now() - timedelta(hours=2), ends_at=timezone.now() - timedelta(hours=1)
    )
    visit.refresh_from_db()
    set_appointment_status(appointment=visit, status=AppointmentStatus.NO_SHOW, by=cleo)

    assert book_one(starts_at=at(make.monday(), 14, zone=lyon.tz)).number == 1


def today_visit(course) -> Appointment:
    """Move the first session to this very hour, as if its day had come."""
    visit = course.appointments.get(number=1)
    now = timezone.now()
    Appointment.objects.filter(pk=visit.pk).update(starts_at=now, ends_at=now + timedelta(minutes=38))
    visit.refresh_from_db()
    return visit


def test_check_in_can_be_undone(course, cleo) -> None:
    visit = today_visit(course)

    assert set_appointment_status(appointment=visit, status=AppointmentStatus.ARRIVED, by=cleo).status == "arrived"
    assert set_appointment_status(appointment=visit, status=AppointmentStatus.BOOKED, by=cleo).status == "booked"
    events = AuditEvent.objects.filter(action="appointment.status_changed").order_by("id")
    assert [event.details for event in events] == [
        {"from": "booked", "to": "arrived"},
        {"from": "arrived", "to": "booked"},
    ]


def test_check_in_before_the_day_is_refused(course, cleo) -> None:
    with pytest.raises(InvalidTransition, match="cannot be begun before its day"):
        set_appointment_status(appointment=course.appointments.first(), status=AppointmentStatus.ARRIVED, by=cleo)


def test_no_show_before_the_time_is_refused(course, cleo) -> None:
    with pytest.raises(InvalidTransition, match="has not begun yet"):
        set_appointment_status(appointment=course.appointments.first(), status=AppointmentStatus.NO_SHOW, by=cleo)


@pytest.mark.parametrize("status", ["done", "cancelled"])
def test_states_that_do_more_than_change_a_word_are_not_set_by_hand(status: str, course, cleo) -> None:
    with pytest.raises(InvalidTransition):
        set_appointment_status(appointment=today_visit(course), status=AppointmentStatus(status), by=cleo)


def test_two_people_change_a_visit_and_the_second_is_told(course, cleo) -> None:
    visit = today_visit(course)
    stale = Appointment.objects.get(pk=visit.pk)
    set_appointment_status(appointment=visit, status=AppointmentStatus.ARRIVED, by=cleo)

    with pytest.raises(InvalidTransition, match="Somebody has just changed"):
        set_appointment_status(appointment=stale, status=AppointmentStatus.ARRIVED, by=cleo)


def test_database_refusal_of_another_kind_is_not_mistaken_for_an_overlap(course) -> None:
    from sessions.times.refusals import overlap

    assert overlap(IntegrityError("something else"), list(course.appointments.all())) is None
    assert issubclass(AlreadyTaken, DomainError)
