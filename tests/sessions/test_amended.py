"""A plan amended in the middle of its course: what was done counts, what was booked stays where it still fits."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import DomainError, InvalidInput
from mesoclinic.messaging.models import Message, MessageState
from protocols.models import Plan
from sessions.booking.actions import book_appointment, book_course, cancel_appointment
from sessions.calendar.address import Choice
from sessions.calendar.reading import read_calendar
from sessions.course.terms import cut_courses, terms_of
from sessions.models import Appointment, AppointmentStatus, TreatmentSession
from sessions.pages.today import day_of
from tests.sessions import factories as make


@pytest.fixture(autouse=True)
def _forget_attempts():
    cache.clear()


def today(lyon) -> date:
    return timezone.now().astimezone(lyon.tz).date()


@pytest.fixture
def done(course, ada, lyon):
    """Does the first sessions of the course, the last of them so many days ago; the rest stays booked ahead."""

    def record(count: int, *, days_ago: int = 0) -> Plan:
        visits = list(course.appointments.order_by("number"))
        for place, visit in enumerate(visits):
            day = today(lyon) - timedelta(days=days_ago) + timedelta(days=28 * (place + 1 - count))
            at = datetime.combine(day, time(9), tzinfo=lyon.tz)
            changes = {"status": AppointmentStatus.DONE} if place < count else {}
            Appointment.objects.filter(pk=visit.pk).update(starts_at=at, ends_at=at + timedelta(minutes=38), **changes)
            if place < count:
                TreatmentSession.objects.create(
                    appointment=visit, plan=course.plan, nothing_changed=True, performed_at=at, performed_by=ada
                )
        return course.plan

    return record


@pytest.fixture
def every_day(ada, lyon):
    make.hours(practitioner=ada, site=lyon, weekdays=(5, 6))


def days_of(course, lyon) -> list[int]:
    booked = course.appointments.filter(status=AppointmentStatus.BOOKED).order_by("number")
    return [(visit.starts_at.astimezone(lyon.tz).date() - today(lyon)).days for visit in booked]


@pytest.mark.parametrize(("before", "left"), [(1, 4), (2, 3), (4, 1)])
def test_amended_plan_is_cut_to_what_the_course_has_left(before: int, left: int, done, ada) -> None:
    plan = done(before)
    amended = make.plan(patient=plan.patient, by=ada, severity="severe", supersedes=plan)

    terms = terms_of(amended)

    assert (terms.sessions, terms.done_before, terms.left_out) == (left, before, 5 - left)


def test_session_beyond_the_most_of_a_course_is_refused_by_itself_too(done, ada, lyon, rooms) -> None:
    plan = done(2)
    amended = make.plan(patient=plan.patient, by=ada, severity="severe", supersedes=plan)

    with pytest.raises(InvalidInput, match="The plan has 3 sessions") as refused:
        book_appointment(
            plan=amended,
            number=4,
            site=lyon,
            practitioner=ada,
            room=rooms[0],
            starts_at=datetime.combine(make.monday(weeks=30), time(10), tzinfo=lyon.tz),
            by=ada,
        )
    assert refused.value.field == "number"


def test_course_that_has_had_all_its_sessions_says_so(done, ada, lyon) -> None:
    plan = done(4)
    amended = make.plan(patient=plan.patient, by=ada, severity="severe", supersedes=plan)
    booked = book_course(plan=amended, site=lyon, practitioner=ada, earliest=today(lyon), by=ada)
    visit = booked.appointments.get()
    Appointment.objects.filter(pk=visit.pk).update(status=AppointmentStatus.DONE)
    TreatmentSession.objects.create(
        appointment=visit, plan=amended, nothing_changed=True, performed_at=visit.starts_at, performed_by=ada
    )
    again = make.plan(patient=plan.patient, by=ada, severity="severe", supersedes=amended)

    with pytest.raises(DomainError, match="at most 5 sessions and 5 were done") as refused:
        book_course(plan=again, site=lyon, practitioner=ada, earliest=today(lyon), by=ada)
    assert "none is left to book" in str(refused.value)


def test_amended_plan_goes_on_no_sooner_than_its_own_shortest_gap(done, ada, lyon, every_day, rooms) -> None:
    plan = done(4, days_ago=10)
    amended = make.plan(patient=plan.patient, by=ada, severity="severe", supersedes=plan)
    with pytest.raises(InvalidInput, match="The plan wants 28 days after it"):
        book_appointment(
            plan=amended,
            number=1,
            site=lyon,
            practitioner=ada,
            room=rooms[0],
            starts_at=datetime.combine(today(lyon) + timedelta(days=17), time(10), tzinfo=lyon.tz),
            by=ada,
        )

    booked = book_course(plan=amended, site=lyon, practitioner=ada, earliest=today(lyon), by=ada)

    assert days_of(booked, lyon) == [18]


def test_page_begins_at_the_ideal_gap_after_the_last_session(done, ada, cleo, lyon, every_day, sign_in) -> None:
    plan = done(2)
    Appointment.objects.filter(course__plan=plan, status=AppointmentStatus.BOOKED).update(status="cancelled")
    amended = make.plan(patient=plan.patient, by=ada, severity="severe", supersedes=plan)

    page = sign_in(cleo).get(reverse("sessions:course_book", args=[amended.public_id]))

    assert [(row.slot.day - today(lyon)).days for row in page.context["rows"]] == [35, 70, 105]
    assert "2 of this course’s sessions were done before the plan was amended. With 3 more" in page.content.decode()


def test_dates_that_fit_the_amended_plan_stay_and_the_rest_is_planned_after_them(done, course, ada, lyon, every_day):
    plan = done(1)
    Message.objects.filter(purpose="booking").update(state=MessageState.SENT, sent_at=timezone.now())
    kept = list(course.appointments.filter(status="booked").order_by("number").values_list("pk", "starts_at"))
    amended = make.plan(patient=plan.patient, by=ada, supersedes=plan)

    booked = book_course(plan=amended, site=lyon, practitioner=ada, earliest=today(lyon), by=ada)

    rows = list(booked.appointments.order_by("number").values_list("number", "sequence", "status"))
    assert rows == [(number, 0, "booked") for number in (1, 2, 3, 4)]
    assert days_of(booked, lyon) == [28, 56, 84, 112]
    assert list(booked.appointments.order_by("number").values_list("pk", "starts_at"))[:3] == kept
    assert list(course.appointments.values_list("status", flat=True)) == ["done"]
    news = Message.objects.get(purpose="booking", subject_id=booked.public_id)
    assert [file["name"] for file in news.attachments] == ["appointment-4.ics"]
    details = AuditEvent.objects.filter(action="course.booked").latest("id").details
    assert (len(details["taken_over"]), details["cancelled"]) == (3, [])


def test_date_that_stays_is_still_known_to_the_patient(done, course, ada, lyon, every_day) -> None:
    """It was told under the old plan: cancelling it under the new one sends a cancellation."""
    plan = done(1)
    Message.objects.filter(purpose="booking").update(state=MessageState.SENT, sent_at=timezone.now())
    amended = make.plan(patient=plan.patient, by=ada, supersedes=plan)
    booked = book_course(plan=amended, site=lyon, practitioner=ada, earliest=today(lyon), by=ada)

    cancel_appointment(appointment=booked.appointments.get(number=1), by=ada)

    assert Message.objects.filter(purpose="booking_cancelled").count() == 1


def test_dates_that_the_patient_never_heard_of_are_told_with_the_new_ones(done, course, ada, lyon, every_day) -> None:
    plan = done(1)
    amended = make.plan(patient=plan.patient, by=ada, supersedes=plan)
    booked = book_course(plan=amended, site=lyon, practitioner=ada, earliest=today(lyon), by=ada)

    states = dict(Message.objects.filter(purpose="booking").values_list("subject_id", "state"))
    news = Message.objects.get(purpose="booking", subject_id=booked.public_id)
    assert states == {course.public_id: "cancelled", booked.public_id: "held"}
    assert len(news.attachments) == 4


def test_dates_of_another_length_give_way(done, course, ada, cleo, lyon, every_day, sign_in) -> None:
    plan = done(1)
    Message.objects.filter(purpose="booking").update(state=MessageState.SENT, sent_at=timezone.now())
    amended = make.plan(patient=plan.patient, by=ada, severity="severe", minutes=30, supersedes=plan)
    page = sign_in(cleo).get(reverse("sessions:course_book", args=[amended.public_id]))
    assert "Booked before the amendment, and cancelled when you book" in page.content.decode()
    assert len(page.context["series"].given_up) == 3

    booked = book_course(plan=amended, site=lyon, practitioner=ada, earliest=today(lyon), by=ada)

    assert sorted(course.appointments.values_list("status", flat=True)) == ["cancelled"] * 3 + ["done"]
    assert booked.appointments.count() == 4
    off = Message.objects.get(purpose="booking_cancelled")
    assert len(off.attachments) == 3
    assert not Message.objects.filter(purpose="unbooked", state="queued").exists()


def test_page_books_a_course_of_which_everything_stays(done, course, ada, cleo, lyon, every_day, sign_in) -> None:
    plan = done(1)
    amended = make.plan(patient=plan.patient, by=ada, severity="mild", minutes=18, supersedes=plan)
    client, url = sign_in(cleo), reverse("sessions:course_book", args=[amended.public_id])
    page = client.get(url)
    assert (len(page.context["series"].carried), page.context["rows"]) == (3, [])
    assert "Booked before the amendment, stays" in page.content.decode()

    given = {"practitioner": str(ada.public_id), "earliest": today(lyon).isoformat()}
    assert client.post(url, given).status_code == 302
    assert Appointment.objects.filter(course__plan=amended, status="booked").count() == 3


# ------------------------------------------------------------------ what is said of it elsewhere


def test_many_amended_courses_are_counted_as_one_is(done, ada, lyon, django_assert_num_queries) -> None:
    plan = done(2)
    amended = make.plan(patient=plan.patient, by=ada, severity="severe", supersedes=plan)
    whole = make.plan(patient=make.patient(by=ada, given_name="Else"), by=ada)
    with django_assert_num_queries(3):
        assert cut_courses([amended.pk, whole.pk, plan.pk]) == {amended.pk: 3}
    assert terms_of(amended).sessions == 3
    with django_assert_num_queries(0):
        assert cut_courses([]) == {}


def test_the_day_and_the_calendar_count_the_sessions_that_are_left(done, course, ada, lyon, every_day) -> None:
    plan = done(2)
    amended = make.plan(patient=plan.patient, by=ada, severity="severe", supersedes=plan)
    left = course.appointments.filter(status="booked").order_by("number").first()
    assert said_of(left, ada, lyon) == {"Session 3"}  # under a version that was replaced: of no course any more

    booked = book_course(plan=amended, site=lyon, practitioner=ada, earliest=today(lyon), by=ada)

    visits = booked.appointments.order_by("number")
    assert [said_of(visit, ada, lyon) for visit in visits] == [{f"Session {n} of 3"} for n in (1, 2, 3)]


def said_of(visit, user, site) -> set[str]:
    """What the day list and the calendar's day say of a visit."""
    day, now = visit.starts_at.astimezone(site.tz).date(), timezone.now()
    (row,) = [row for row in day_of(day=day, site=site, user=user, now=now).rows if row.visit.pk == visit.pk]
    shown = read_calendar(Choice(site=site, home=True, view="day", day=day, today=day), user=user, now=now)
    return {row.session, *(found.session for found in shown.visits if found.id == visit.public_id)}


def test_what_is_left_under_the_old_version_stands_first_on_the_record(
    done, course, ada, cleo, lyon, every_day, sign_in
) -> None:
    plan = done(1)
    amended = make.plan(patient=plan.patient, by=ada, supersedes=plan)
    client, record = sign_in(cleo), reverse("sessions:patient", args=[plan.patient.public_id])
    page = client.get(record)
    assert "3 visits are still booked under version 1, which plan 1.2 has replaced:" in page.content.decode()
    step = page.context["steps"][0]
    assert (step.label, step.url) == (
        "Book the amended course",
        reverse("sessions:course_book", args=[amended.public_id]),
    )
    assert [step.label for step in page.context["steps"]].count("Book course") == 0

    book_course(plan=amended, site=lyon, practitioner=ada, earliest=today(lyon), by=ada)
    page = client.get(record)
    assert "still booked under" not in page.content.decode() and page.context["left_behind"] == []


@pytest.mark.instant("2026-12-02T12:00+01:00")  # after the session of 09:00
def test_a_visit_of_today_under_the_old_version_is_not_offered_for_recording(done, course, ada, sign_in) -> None:
    plan = done(1)
    visit = course.appointments.get(number=2)
    at = timezone.now() - timedelta(minutes=1)
    Appointment.objects.filter(pk=visit.pk).update(starts_at=at, ends_at=at + timedelta(minutes=38))
    record = reverse("sessions:patient", args=[plan.patient.public_id])
    assert "Record session 2" in sign_in(ada).get(record).content.decode()
    make.plan(patient=plan.patient, by=ada, supersedes=plan)
    assert "Record session 2" not in sign_in(ada).get(record).content.decode()
