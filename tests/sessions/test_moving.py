"""Moving a visit: keep, shift or plan the rest; outside the plan's window a practitioner says why."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

import icalendar
import pytest
from django.urls import reverse
from django.utils import timezone

from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.messaging.models import Message
from sessions.booking.actions import cancel_appointment
from sessions.booking.holes import times_for
from sessions.booking.move import Target, move_appointment, suggestions, way_of, ways_of
from sessions.course.gaps import check_fits, fits
from sessions.mail.sending import reminder_due_at
from sessions.models import Appointment, Closure, Course, TreatmentSession
from sessions.times.refusals import AlreadyTaken
from tests.sessions import factories as make
from tests.shown import as_typed


def wall(course) -> list[str]:
    monday = make.monday()
    found = []
    for visit in course.appointments.filter(status="booked").order_by("number"):
        local = visit.starts_at.astimezone(visit.site.tz)
        found.append(f"{(local.date() - monday).days} {local:%H:%M}")
    return found


@pytest.fixture
def target(lyon, ada, rooms):
    def at(days: int, hour: int = 9, minute: int = 0, **changes) -> Target:
        start = datetime.combine(make.monday() + timedelta(days=days), time(hour, minute), tzinfo=lyon.tz)
        return Target(**({"starts_at": start, "practitioner": ada, "room": rooms[0]} | changes))

    return at


def third(course) -> Appointment:
    return course.appointments.get(number=3)


def test_ways_tell_what_each_does_to_the_gaps_and_change_nothing(course, target) -> None:
    ways = {way.rest: way for way in ways_of(third(course), target(59), now=timezone.now())}

    assert wall(course) == ["0 09:00", "28 09:00", "56 09:00", "84 09:00"]
    assert {rest: [gap.days for gap in way.gaps] for rest, way in ways.items()} == {
        "keep": [28, 31, 25],
        "shift": [28, 31, 28],
        "plan": [28, 31, 28],
    }
    assert {way.outside for way in ways.values()} == {""}


def test_move_keeps_the_rest(course, target, cleo) -> None:
    move_appointment(appointment=third(course), target=target(59, 11), rest="keep", by=cleo)

    assert wall(course) == ["0 09:00", "28 09:00", "59 11:00", "84 09:00"]


def test_move_shifts_the_rest_by_as_many_days_at_its_own_hour(course, target, cleo) -> None:
    move_appointment(appointment=third(course), target=target(59, 11), rest="shift", by=cleo)

    assert wall(course) == ["0 09:00", "28 09:00", "59 11:00", "87 09:00"]


def test_move_plans_the_rest_again_at_the_new_hour(course, target, cleo) -> None:
    move_appointment(appointment=third(course), target=target(59, 11), rest="plan", by=cleo)

    assert wall(course) == ["0 09:00", "28 09:00", "59 11:00", "87 11:00"]


def test_visit_moves_onto_the_place_of_the_next_one_that_moves_on(plan, course, target, cleo, ada, lyon) -> None:
    """The second goes where the third was: nothing lands on a sibling that has yet to move."""
    second = course.appointments.get(number=2)
    with pytest.raises(NotAllowed, match="Only a practitioner may leave the plan’s window"):
        move_appointment(appointment=second, target=target(56), rest="shift", by=cleo)

    move_appointment(appointment=second, target=target(56), rest="shift", reason="On a journey", by=ada)
    assert wall(course) == ["0 09:00", "56 09:00", "84 09:00", "112 09:00"]


def test_outside_the_window_a_practitioner_says_why_and_it_is_kept(course, target, ada) -> None:
    with pytest.raises(InvalidInput, match="Say why it should be so") as refused:
        move_appointment(appointment=third(course), target=target(70, 9), rest="keep", by=ada)
    assert refused.value.field == "reason"

    move_appointment(appointment=third(course), target=target(70, 9), rest="keep", reason="Scalp not calm", by=ada)
    assert third(course).window_reason == "Scalp not calm"
    details = AuditEvent.objects.get(action="appointment.moved").details
    assert (details["reason"], details["rest"]) == ("Scalp not calm", "keep")
    assert "Sessions 3 and 4 would lie 14 days apart" in details["outside"]


@pytest.mark.parametrize("rest", ["keep", "shift"])
def test_taken_time_moves_nothing(rest: str, course, target, cleo, ada, lyon, rooms) -> None:
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)
    from sessions.booking.actions import book_appointment

    goal = target(59)
    book_appointment(
        plan=other, number=1, site=lyon, practitioner=ada, room=rooms[1], starts_at=goal.starts_at, by=cleo
    )

    with pytest.raises(AlreadyTaken, match="Dr Ada Moreau is already taken at this time"):
        move_appointment(appointment=third(course), target=goal, rest=rest, by=cleo)
    assert wall(course) == ["0 09:00", "28 09:00", "56 09:00", "84 09:00"]


def test_shift_that_finds_no_time_says_so_and_offers_to_plan_again(course, target, lyon, cleo) -> None:
    ways = {way.rest: way for way in ways_of(third(course), target(60), now=timezone.now())}
    saturday = way_of(third(course), target(60), rest="plan", now=timezone.now())

    Closure.objects.create(site=lyon, day=make.monday() + timedelta(days=88), reason="Works")
    shut = {way.rest: way for way in ways_of(third(course), target(60), now=timezone.now())}
    assert ways["shift"].refusal == ""
    assert "Plan the rest again instead." in shut["shift"].refusal
    assert shut["plan"].moves and saturday.moves


def test_two_people_move_one_visit_and_the_second_is_told(course, target, cleo) -> None:
    one, other = third(course), third(course)
    move_appointment(appointment=one, target=target(57), rest="keep", by=cleo)

    with pytest.raises(InvalidTransition, match="Somebody has just changed"):
        move_appointment(appointment=other, target=target(58), rest="keep", by=cleo)


def test_cancelled_visit_is_not_moved(course, target, cleo) -> None:
    visit = third(course)
    cancel_appointment(appointment=visit, by=cleo)
    with pytest.raises(DomainError):
        move_appointment(appointment=visit, target=target(57), rest="keep", by=cleo)


# ------------------------------------------------------------------ mail and invitation


def waiting(purpose: str):
    return Message.objects.filter(purpose=purpose, state__in=["held", "queued"])


def test_move_voids_the_unsent_mail_and_plans_it_anew_with_a_higher_sequence(course, target, cleo) -> None:
    move_appointment(appointment=third(course), target=target(59, 11), rest="shift", by=cleo)

    held = waiting("booking").get()
    calendars = [icalendar.Calendar.from_ical(entry["text"]) for entry in held.attachments]
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    assert [len(calendar.walk("VEVENT")) for calendar in calendars] == [1, 1, 1, 1]
    assert [str(calendar["METHOD"]) for calendar in calendars] == ["REQUEST"] * 4
    assert [event["SEQUENCE"] for event in events] == [0, 0, 1, 1]
    visits = {f"{visit.public_id}": visit for visit in course.appointments.all()}
    assert {str(event["UID"]).split("@")[0]: event["DTSTART"].dt for event in events} == {
        key: visit.starts_at for key, visit in visits.items()
    }
    reminders = dict(waiting("reminder_24h").values_list("subject_id", "due_at"))
    assert reminders == {visit.public_id: reminder_due_at(visit) for visit in visits.values()}


def test_move_after_the_confirmation_left_sends_an_update_of_what_moved(course, target, cleo) -> None:
    Message.objects.filter(purpose="booking").update(state="sent", sent_at=timezone.now())
    move_appointment(appointment=third(course), target=target(59, 11), rest="shift", by=cleo)

    update = waiting("booking").get()
    assert [entry["name"] for entry in update.attachments] == ["appointment-3.ics", "appointment-4.ics"]

    cancel_appointment(appointment=third(course), by=cleo)
    off = icalendar.Calendar.from_ical(waiting("booking_cancelled").get().attachments[0]["text"])
    event = off.walk("VEVENT")[0]
    assert (str(off["METHOD"]), event["SEQUENCE"]) == ("CANCEL", 2)
    assert str(event["UID"]).startswith(str(third(course).public_id))


def left(purpose: str = "booking") -> None:
    """What waits has been sent."""
    waiting(purpose).update(state="sent", sent_at=timezone.now())


def rows_of(message: Message) -> list[str]:
    return re.findall(r"(?m)^  - (.*)$", message.text)


def said(lyon, at: datetime) -> str:
    local = at.astimezone(lyon.tz)
    return f"{local:%A} {local.day} {local:%B} {local.year}, {local:%H:%M}"


def test_moved_visit_is_told_with_its_old_and_its_new_time_in_one_mail(course, target, cleo, lyon) -> None:
    left()
    was, goal = third(course).starts_at, target(59, 11)
    move_appointment(appointment=third(course), target=goal, rest="keep", by=cleo)

    news = waiting("booking").get()
    assert news.subject == "A new time for your appointment at Clinique des Tilleuls, Lyon"
    assert f"your appointment on {said(lyon, was)} is now with Dr Ada Moreau on:" in news.text
    assert [row.split(", Clinique")[0] for row in rows_of(news)] == [said(lyon, goal.starts_at)]


def test_shifted_visits_are_told_in_one_mail_each_with_both_times(course, target, cleo, lyon) -> None:
    left()
    was = dict(course.appointments.values_list("number", "starts_at"))
    move_appointment(appointment=third(course), target=target(59, 11), rest="shift", by=cleo)

    news = waiting("booking").get()
    now = dict(course.appointments.values_list("number", "starts_at"))
    assert news.subject == "New times for your appointments at Clinique des Tilleuls, Lyon"
    assert rows_of(news) == [f"{said(lyon, now[n])}, instead of {said(lyon, was[n])}" for n in (3, 4)]


def test_visit_moved_twice_before_the_mail_left_is_told_once_with_the_time_last_told(course, target, cleo, lyon):
    left()
    was = third(course).starts_at
    move_appointment(appointment=third(course), target=target(59, 11), rest="keep", by=cleo)
    move_appointment(appointment=third(course), target=target(60, 12), rest="keep", by=cleo)

    news = waiting("booking").get()
    assert f"your appointment on {said(lyon, was)} is now" in news.text
    assert [row.split(", Clinique")[0] for row in rows_of(news)] == [said(lyon, target(60, 12).starts_at)]

    left()
    move_appointment(appointment=third(course), target=target(57, 9), rest="keep", by=cleo)
    assert f"your appointment on {said(lyon, target(60, 12).starts_at)} is now" in waiting("booking").get().text


def test_visit_moved_back_before_the_mail_left_names_no_other_time(course, target, cleo, lyon) -> None:
    left()
    move_appointment(appointment=third(course), target=target(59, 11), rest="keep", by=cleo)
    move_appointment(appointment=third(course), target=target(56), rest="keep", by=cleo)

    news = waiting("booking").get()
    assert news.subject == "Your appointment at Clinique des Tilleuls, Lyon"
    assert "instead of" not in news.text


def test_move_before_anything_was_told_is_an_ordinary_confirmation(course, target, cleo) -> None:
    move_appointment(appointment=third(course), target=target(59, 11), rest="keep", by=cleo)

    news = waiting("booking").get()
    assert news.subject == "Your appointments at Clinique des Tilleuls, Lyon"
    assert len(rows_of(news)) == 4


@pytest.mark.parametrize(("language", "words"), [("fr", "au lieu du"), ("es", "en lugar del"), ("en", "instead of")])
def test_moved_visits_are_told_in_the_patients_language(language, words, course, teodor, target, cleo) -> None:
    left()
    type(teodor).objects.filter(pk=teodor.pk).update(language=language)
    move_appointment(appointment=third(course), target=target(59, 11), rest="shift", by=cleo)

    assert [words in row for row in rows_of(waiting("booking").get())] == [True, True]


# ------------------------------------------------------------------ what was done under another plan


@pytest.fixture
def treated_on(ada, teodor, lyon, rooms):
    """A session of the patient's earlier plan, done so many days after the Monday."""

    def done(days: int) -> None:
        start = datetime.combine(make.monday() + timedelta(days=days), time(16), tzinfo=lyon.tz)
        earlier = make.plan(patient=teodor, by=ada, status="completed")
        visit = Appointment.objects.create(
            course=Course.objects.create(plan=earlier, booked_at=timezone.now(), booked_by=ada),
            number=1,
            patient=teodor,
            practitioner=ada,
            room=rooms[0],
            site=lyon,
            starts_at=start,
            ends_at=start + timedelta(minutes=38),
            status="done",
            created_by=ada,
        )
        TreatmentSession.objects.create(
            appointment=visit, plan=earlier, nothing_changed=True, performed_at=start, performed_by=ada
        )

    return done


def test_visit_is_not_moved_to_a_day_that_its_record_would_refuse(course, target, treated_on, ada) -> None:
    """Not even by who may leave the plan's window: the interval is a limit, not a wish."""
    treated_on(70)
    with pytest.raises(InvalidInput, match="Sessions of any plan need 14 days between them"):
        move_appointment(appointment=third(course), target=target(58), rest="keep", reason="Please", by=ada)

    assert wall(course) == ["0 09:00", "28 09:00", "56 09:00", "84 09:00"]
    ways = {way.rest: way.refusal for way in ways_of(third(course), target(58), now=timezone.now())}
    assert "need 14 days between them" in ways["keep"]


def test_suggested_times_keep_clear_of_what_was_done_under_another_plan(course, treated_on) -> None:
    free = {slot.day for slot in suggestions(third(course), now=timezone.now())}
    near = min(free, key=lambda day: abs((day - make.monday()).days - 56))
    treated_on((near - make.monday()).days - 13)

    offered = suggestions(third(course), now=timezone.now())
    assert offered
    assert all(abs((slot.day - near).days + 13) >= 14 for slot in offered)


def test_fits_says_no_and_check_fits_says_why(course, treated_on, lyon, target) -> None:
    plan, goal = course.plan, target(57).starts_at
    assert fits(plan, number=3, starts_at=goal, site=lyon)
    treated_on(70)

    assert not fits(plan, number=3, starts_at=goal, site=lyon)
    with pytest.raises(InvalidInput, match="need 14 days between them") as refused:
        check_fits(plan, number=3, starts_at=goal, site=lyon)
    assert refused.value.field == "starts_at"


def test_missing_session_is_booked_clear_of_what_was_done_under_another_plan(course, cleo, treated_on) -> None:
    cancel_appointment(appointment=course.appointments.get(number=2), by=cleo)
    treated_on(16)  # 28 is too soon after it; 30 is the first day that is not

    best = times_for(course, 2, now=timezone.now())[0]

    assert (best.day - make.monday()).days == 30


# ------------------------------------------------------------------ the page


def test_third_visit_is_moved_with_the_rest_in_three_clicks(course, cleo, sign_in) -> None:
    client, visit = sign_in(cleo), third(course)
    page = client.get(reverse("sessions:appointment", args=[visit.public_id]))
    url = reverse("sessions:appointment_move", args=[visit.public_id])
    assert f'href="{url}"' in page.content.decode()  # one

    offers = client.get(url).context["suggestions"]
    shown = client.get(offers[-1]["url"])  # two
    cleaned = shown.context["form"].data
    sent = {name: cleaned[name] for name in ("day", "time", "practitioner", "room")}
    done = client.post(url, sent | {"rest": "shift", "sequence": "0"}, follow=True)  # three

    assert "2 visits have new times." in done.content.decode()
    assert third(course).starts_at.strftime("%Y-%m-%d") == sent["day"]


def test_page_refuses_in_words_and_keeps_what_was_typed(course, cleo, sign_in, ada, rooms) -> None:
    client, visit = sign_in(cleo), third(course)
    url = reverse("sessions:appointment_move", args=[visit.public_id])
    day = (make.monday() + timedelta(days=77)).isoformat()
    given = {"day": day, "time": "09:00", "practitioner": str(ada.public_id), "room": str(rooms[0].public_id)}

    page = client.get(url, given).content.decode()
    assert "Only a practitioner may leave the plan’s window." in page
    refused = client.post(url, given | {"rest": "keep", "sequence": "0"})
    assert refused.status_code == 403
    assert f'value="{day}"' in refused.content.decode()
    assert client.post(url, given | {"rest": "nonsense"}).status_code == 400
    assert client.get(url, given | {"day": "x"}).status_code == 200


def test_visit_of_another_site_cannot_be_moved(course, dan, sign_in) -> None:
    url = reverse("sessions:appointment_move", args=[third(course).public_id])
    assert sign_in(dan).get(url).status_code == 404


# ------------------------------------------------------------------ a missing session, a freed time


def test_missing_session_of_another_site_does_not_exist(course, dan, sign_in) -> None:
    assert sign_in(dan).post(reverse("sessions:course_missing", args=[course.public_id])).status_code == 404


def test_page_from_before_a_move_cancels_nothing(course, cleo, sign_in) -> None:
    visit = course.appointments.get(number=4)
    client, page = sign_in(cleo), reverse("sessions:appointment", args=[visit.public_id])
    opened = as_typed(client.get(page))
    later = visit.starts_at + timedelta(days=1)
    move_appointment(
        appointment=visit, by=cleo, rest="keep", reason="asked by phone",
        target=Target(starts_at=later, practitioner=visit.practitioner, room=visit.room),
    )  # fmt: skip
    url = reverse("sessions:appointment_cancel", args=[visit.public_id])
    refused = client.post(url, {"sequence": opened["sequence"]})

    visit.refresh_from_db()
    assert (refused.status_code, visit.status) == (409, "booked")
    assert "has changed since you opened the page" in refused.content.decode()
    assert client.post(url, {"sequence": "x"}).status_code == 400
    assert client.post(url, {"sequence": as_typed(refused)["sequence"]}).status_code == 302
