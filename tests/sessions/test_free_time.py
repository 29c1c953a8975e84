"""Is the time free, whom does it fit, and which session is next: one home each."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from sessions.booking.actions import book_appointment, cancel_appointment, set_appointment_status
from sessions.booking.holes import courses_with_holes, holes_of, leave_out
from sessions.course.next_session import next_session, unbooked_sessions
from sessions.inbox.answers import ask_for_another_time, subject_of
from sessions.models import Appointment, AppointmentStatus, Course, TreatmentSession
from sessions.models.followups import AnswerLink
from sessions.models.hours import Abilities, SiteRules
from sessions.times.fitting import FreeTime, who_fits
from sessions.times.free_time import is_free
from tests.sessions import factories as make

# ------------------------------------------------------------------ is it free


@pytest.mark.parametrize(
    ("minutes", "free"), [(-60, True), (-53, True), (-52, False), (0, False), (47, False), (48, True)]
)
def test_time_is_free_outside_preparation_and_clean_up(minutes, free, course, ada, lyon) -> None:
    """A visit of 38 minutes from 09:00, 15 before and 10 after it; another would take half an hour or 38 minutes."""
    visit = course.appointments.get(number=1)
    Appointment.objects.filter(pk=visit.pk).update(prepare_minutes=15, cleanup_minutes=10)
    since = visit.starts_at + timedelta(minutes=minutes)

    assert is_free(since, since + timedelta(minutes=38), practitioner=ada.pk) is free
    assert is_free(since, since + timedelta(minutes=38), room=visit.room_id) is free


def test_gap_of_the_calendar_counts_the_clean_up_of_the_visit_before_it(course, cleo, ada, lyon, sign_in) -> None:
    visit = course.appointments.get(number=1)
    Appointment.objects.filter(pk=visit.pk).update(cleanup_minutes=30)
    asked = {
        "at": visit.ends_at.isoformat(),
        "until": (visit.ends_at + timedelta(minutes=60)).isoformat(),
        "practitioner": str(ada.public_id),
    }
    page = sign_in(cleo).get(reverse("sessions:calendar_free"), asked)
    assert "This time is no longer free" in page.content.decode()


# ------------------------------------------------------------------ which session is next


@pytest.mark.parametrize(
    ("kept", "left_out", "expected"),
    [((), (), 1), ((1,), (), 2), ((1, 3), (), 2), ((1, 3), (2,), 4), ((1, 2, 3, 4), (), None), ((1, 3, 4), (2,), None)],
)
def test_next_session_is_the_first_hole_then_what_follows(kept, left_out, expected) -> None:
    assert next_session(kept, sessions=4, left_out=left_out) == expected


def test_unbooked_sessions_are_those_neither_kept_nor_left_out() -> None:
    assert unbooked_sessions({2}, sessions=4, left_out={3}) == [1, 4]


# ------------------------------------------------------------------ whom it fits


@pytest.fixture
def freed(course, cleo) -> Appointment:
    visit = course.appointments.get(number=2)
    cancel_appointment(appointment=visit, by=cleo)
    return Appointment.objects.select_related("site", "practitioner", "room", "patient").get(pk=visit.pk)


def time_of(visit: Appointment) -> FreeTime:
    return FreeTime(site=visit.site, practitioner=visit.practitioner, room=visit.room, starts_at=visit.starts_at)


def fits(visit: Appointment, user) -> list[tuple[str, int]]:
    found = who_fits(time_of(visit), user=user, now=timezone.now(), apart_from=visit.patient)
    return [(fit.patient.given_name, fit.number) for fit in found]


def waiting_plan(cleo, ada, name: str = "Amelia", **plan):
    return make.plan(patient=make.patient(by=cleo, given_name=name, family_name="Roy"), by=ada, **plan)


def booked(plan, number: int, at, *, room, by) -> Appointment:
    return book_appointment(
        plan=plan, number=number, site=room.site, practitioner=plan.signed_by, room=room, starts_at=at, by=by
    )


def test_freed_time_fits_whose_next_session_may_lie_there(freed, cleo, ada, rooms) -> None:
    waiting_plan(cleo, ada)
    too_soon = waiting_plan(cleo, ada, "Noor")
    booked(too_soon, 1, freed.starts_at - timedelta(days=7), room=rooms[1], by=cleo)
    assert fits(freed, cleo) == [("Amelia", 1)]


def test_freed_time_fits_the_hole_of_another_course(freed, cleo, ada, rooms) -> None:
    other = waiting_plan(cleo, ada)
    for number, days in ((1, -28), (2, 0), (3, 28)):
        at = freed.starts_at + timedelta(days=days, hours=3)
        visit = booked(other, number, at, room=rooms[1], by=cleo)
        if number == 2:
            hole = visit
    cancel_appointment(appointment=hole, by=cleo)
    assert fits(freed, cleo) == [("Amelia", 2)]


def test_freed_time_is_not_offered_to_whom_the_practitioner_or_the_room_does_not_serve(freed, cleo, ada, lyon) -> None:
    waiting_plan(cleo, ada)
    Abilities.objects.create(person=ada, site=lyon, codes=["technique:papule"])
    assert fits(freed, cleo) == []
    Abilities.objects.all().delete()
    assert fits(freed, cleo) == [("Amelia", 1)]

    freed.room.serves = ["technique:papule"]
    freed.room.save()
    assert fits(freed, cleo) == []


def test_freed_time_is_not_offered_to_a_patient_who_is_elsewhere_then(freed, cleo, ada, dora, lyon, rooms) -> None:
    first = waiting_plan(cleo, ada)
    at = freed.starts_at
    make.hours(practitioner=dora, site=lyon)
    elsewhere = Course.objects.create(
        plan=make.plan(patient=first.patient, by=ada, status="completed"), booked_at=timezone.now(), booked_by=cleo
    )
    Appointment.objects.create(
        course=elsewhere,
        number=1,
        patient=first.patient,
        practitioner=dora,
        room=rooms[1],
        site=lyon,
        starts_at=at + timedelta(minutes=20),
        ends_at=at + timedelta(minutes=50),
        created_by=cleo,
    )
    assert fits(freed, cleo) == []


def test_freed_time_is_not_offered_to_who_was_treated_too_shortly_before(freed, cleo, ada, lyon, rooms) -> None:
    other = make.patient(by=cleo, given_name="Amelia", family_name="Roy")
    earlier = make.plan(patient=other, by=ada, status="completed")
    before = freed.starts_at - timedelta(days=5)
    visit = Appointment.objects.create(
        course=Course.objects.create(plan=earlier, booked_at=timezone.now(), booked_by=ada),
        number=1,
        patient=other,
        practitioner=ada,
        room=rooms[0],
        site=lyon,
        starts_at=before,
        ends_at=before + timedelta(minutes=38),
        status="done",
        created_by=ada,
    )
    TreatmentSession.objects.create(
        appointment=visit, plan=earlier, nothing_changed=True, performed_at=before, performed_by=ada
    )
    make.plan(patient=other, by=ada)
    assert fits(freed, cleo) == []


def test_freed_time_that_its_clean_up_would_cut_into_is_not_offered(freed, cleo, ada, lyon, rooms) -> None:
    waiting_plan(cleo, ada)
    booked(waiting_plan(cleo, ada, "Noor"), 1, freed.ends_at + timedelta(minutes=7), room=rooms[1], by=cleo)
    assert fits(freed, cleo) == [("Amelia", 1)]
    SiteRules.objects.create(site=lyon, cleanup_minutes=15)
    assert fits(freed, cleo) == []


def test_freed_time_that_was_taken_again_or_has_passed_fits_nobody(freed, cleo, ada, clock) -> None:
    waits = waiting_plan(cleo, ada)
    visit = booked(waits, 1, freed.starts_at, room=freed.room, by=cleo)
    waiting_plan(cleo, ada, "Noor")
    assert fits(freed, cleo) == []
    cancel_appointment(appointment=visit, by=cleo)
    assert len(fits(freed, cleo)) == 2
    clock.move_to(freed.starts_at + timedelta(minutes=1))
    assert fits(freed, cleo) == []


def asks_for_another_time(visit: Appointment):
    subject = subject_of(AnswerLink.objects.get(purpose="booking", subject_id=visit.public_id))
    mine = next(other for other in subject.visits if other.pk == visit.pk)
    return ask_for_another_time(subject, visit=mine, starts_at=None)


def test_who_asked_for_another_time_comes_first_and_is_moved_with_one_press(
    freed, cleo, ada, rooms, sign_in, course
) -> None:
    waiting_plan(cleo, ada)
    asking = waiting_plan(cleo, ada, "Noor")
    theirs = booked(asking, 1, freed.starts_at + timedelta(days=1), room=rooms[1], by=cleo)
    wish = asks_for_another_time(theirs)
    assert fits(freed, cleo) == [("Noor", 1), ("Amelia", 1)]

    client = sign_in(cleo)
    page = client.get(reverse("sessions:appointment", args=[freed.public_id]))
    (row,) = page.context["freed"]
    assert [offer.label for offer in row.offers] == [
        "Move Noor Roy here and tell them",
        "Book Amelia Roy here and tell them",
    ]
    done = client.post(reverse("sessions:time_give"), row.offers[0].fields, follow=True)

    theirs.refresh_from_db()
    wish.refresh_from_db()
    assert (theirs.starts_at, theirs.room_id) == (freed.starts_at, freed.room_id)
    assert (wish.state, wish.outcome, wish.closed_by) == ("closed", "booked", cleo)
    assert "Session 1 of Noor Roy is moved to" in done.content.decode()
    again = client.post(reverse("sessions:time_give"), row.offers[1].fields)
    assert again.status_code == 409
    assert "cannot be given to Amelia Roy any more" in again.content.decode()


def test_waiting_patient_is_booked_into_the_freed_time_with_one_press(freed, cleo, ada, sign_in) -> None:
    waits = waiting_plan(cleo, ada)
    client = sign_in(cleo)
    (row,) = client.get(reverse("sessions:appointment", args=[freed.public_id])).context["freed"]

    done = client.post(reverse("sessions:time_give"), row.offers[0].fields, follow=True)

    visit = Appointment.objects.get(course__plan=waits)
    assert (visit.number, visit.starts_at, visit.room_id) == (1, freed.starts_at, freed.room_id)
    assert "Session 1 of Amelia Roy is booked on" in done.content.decode()


def test_time_of_a_booked_visit_is_not_given_away(course, cleo, ada, sign_in, lyon) -> None:
    waits = waiting_plan(cleo, ada)
    visit = course.appointments.get(number=2)
    sent = {
        "site": str(lyon.public_id),
        "at": visit.starts_at.isoformat(),
        "practitioner": str(ada.public_id),
        "room": str(visit.room.public_id),
        "plan": str(waits.public_id),
        "visit": "",
    }
    assert sign_in(cleo).post(reverse("sessions:time_give"), sent).status_code == 409
    assert not Appointment.objects.filter(course__plan=waits).exists()


@pytest.mark.parametrize("broken", ["site", "at", "practitioner", "plan"])
def test_giving_a_time_that_was_not_offered_is_no_page(broken, freed, cleo, ada, sign_in) -> None:
    waiting_plan(cleo, ada)
    client = sign_in(cleo)
    (row,) = client.get(reverse("sessions:appointment", args=[freed.public_id])).context["freed"]
    sent = row.offers[0].fields | {broken: "nonsense"}
    assert client.post(reverse("sessions:time_give"), sent).status_code == 404


def test_whom_it_fits_costs_the_same_for_one_and_for_nine(freed, cleo, ada) -> None:
    counts = []
    fits(freed, cleo)  # what the user may is read once
    for more in (1, 8):
        for number in range(more):
            waiting_plan(cleo, ada, f"Person {more}{number}")
        with CaptureQueriesContext(connection) as seen:
            assert len(fits(freed, cleo)) == {1: 1, 8: 9}[more]
        counts.append(len(seen))
    assert counts[0] == counts[1]


# ------------------------------------------------------------------ holes


def test_cancelled_and_missed_sessions_are_holes_until_filled_or_left_out(course, cleo, ada, lyon, clock) -> None:
    assert holes_of(course) == []
    cancel_appointment(appointment=course.appointments.get(number=4), by=cleo)
    clock.move_to(course.appointments.get(number=1).starts_at + timedelta(minutes=5))
    first = course.appointments.get(number=1)
    set_appointment_status(appointment=first, status=AppointmentStatus.NO_SHOW, by=cleo)
    assert holes_of(course) == [1, 4]
    assert [hole.numbers for hole in courses_with_holes(user=cleo, site=lyon)] == [(1, 4)]

    leave_out(course=course, number=4, reason="The patient is content", by=ada)
    assert holes_of(course) == [1]
    set_appointment_status(appointment=first, status=AppointmentStatus.BOOKED, by=cleo)
    assert courses_with_holes(user=cleo, site=lyon) == []


def test_today_lists_holes_at_the_same_cost(course, cleo, ada, lyon, rooms) -> None:
    counts = []
    for name in ("Amelia", "Noor", "Jun"):
        plan = waiting_plan(cleo, ada, name)
        at = course.appointments.get(number=1).starts_at + timedelta(hours=len(counts) + 1)
        booked(plan, 1, at, room=rooms[0], by=cleo)
        late = booked(plan, 2, at + timedelta(days=28), room=rooms[0], by=cleo)
        cancel_appointment(appointment=late, by=cleo)
        with CaptureQueriesContext(connection) as seen:
            assert len(courses_with_holes(user=cleo, site=lyon)) == len(counts) + 1
        counts.append(len(seen))
    assert len(set(counts)) == 1
