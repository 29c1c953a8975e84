"""Undo of what was done to visits: put back at the old time if that is still free, allowed and not too late."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mesoclinic.core.errors import DomainError, InvalidTransition, NotAllowed
from mesoclinic.messaging.models import Message
from protocols.standing.going_on import MayNotTreat
from sessions.booking.actions import book_appointment, cancel_appointment, cancel_course, set_appointment_status
from sessions.booking.changes import UNDO_WITHIN, open_change
from sessions.booking.move import Target, move_appointment
from sessions.booking.undo import undo_change, undone_words
from sessions.models import Appointment, AppointmentStatus, Closure
from sessions.models.changes import VisitChange
from sessions.models.hours import SiteRules
from sessions.times.refusals import AlreadyTaken
from tests.sessions import factories as make


def second(course) -> Appointment:
    return course.appointments.select_related("patient", "site", "practitioner", "room", "course__plan").get(
        number=2, status__in=["booked", "arrived", "cancelled"]
    )


def left(purpose: str = "booking") -> None:
    """What waits has been sent."""
    waiting(purpose).update(state="sent", sent_at=timezone.now())


def waiting(purpose: str):
    return Message.objects.filter(purpose=purpose, state__in=["held", "queued"])


def cancelled(course, *, by) -> tuple[Appointment, VisitChange]:
    visit = second(course)
    cancel_appointment(appointment=visit, by=by)
    return visit, VisitChange.objects.latest("pk")


def moved(course, *, by, days: int = 31, hour: int = 11) -> tuple[Appointment, VisitChange]:
    visit = second(course)
    at = datetime.combine(make.monday() + timedelta(days=days), time(hour), tzinfo=visit.site.tz)
    target = Target(starts_at=at, practitioner=visit.practitioner, room=visit.room)
    move_appointment(appointment=visit, target=target, rest="keep", by=by)
    return visit, VisitChange.objects.latest("pk")


# ------------------------------------------------------------------ what is so afterwards


def test_cancelled_visit_is_put_back_at_its_time_with_its_mails(course, cleo) -> None:
    before = second(course)
    visit, change = cancelled(course, by=cleo)

    undone = undo_change(change=change, by=cleo)

    after = second(course)
    kept = ("starts_at", "ends_at", "practitioner_id", "room_id", "number", "status")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert after.sequence == 2
    owed = waiting("reminder_24h").filter(subject_id=visit.public_id)
    assert [message.version for message in owed] == [3]
    assert waiting("prepare").filter(subject_id=visit.public_id).count() == 1
    assert not waiting("booking_cancelled").exists() and not waiting("unbooked").exists()
    held = waiting("booking").get()
    assert sorted(held.recipe["visits"]) == sorted(course.appointments.values_list("pk", flat=True))
    assert undone.mail.told == held
    change.refresh_from_db()
    assert change.undone_by == cleo


def test_cancellation_that_had_not_left_is_withdrawn_and_nobody_is_written_to(course, cleo) -> None:
    left()
    _visit, change = cancelled(course, by=cleo)
    assert waiting("booking_cancelled").count() == 1

    undone = undo_change(change=change, by=cleo)

    assert not waiting("booking_cancelled").exists() and not waiting("booking").exists()
    assert "The mail about the change had not left and is withdrawn." in undone_words(undone)


def test_cancellation_that_had_left_is_said_and_a_confirmation_follows(course, cleo) -> None:
    left()
    visit, change = cancelled(course, by=cleo)
    left("booking_cancelled")

    undone = undo_change(change=change, by=cleo)

    news = waiting("booking").get()
    assert news.recipe["visits"] == [visit.pk]
    assert "instead of" not in news.text
    assert "The mail about the change had left at" in undone_words(undone)
    assert "A mail with what is so now follows in a few minutes." in undone_words(undone)


def test_moved_visit_goes_back_and_the_held_mail_about_it_is_withdrawn(course, cleo) -> None:
    left()
    was = second(course).starts_at
    _visit, change = moved(course, by=cleo)

    undo_change(change=change, by=cleo)

    assert second(course).starts_at == was
    assert not waiting("booking").exists()


def test_moved_visit_whose_new_time_was_told_is_told_back(course, cleo) -> None:
    left()
    _visit, change = moved(course, by=cleo)
    left()

    undo_change(change=change, by=cleo)

    assert "is now with Dr Ada Moreau on:" in waiting("booking").get().text


def test_shifted_course_goes_back_as_a_whole(course, cleo) -> None:
    was = list(course.appointments.order_by("number").values_list("starts_at", "room_id"))
    visit = second(course)
    at = visit.starts_at + timedelta(days=28)
    target = Target(starts_at=at, practitioner=visit.practitioner, room=visit.room)
    with pytest.raises(NotAllowed, match="Only a practitioner"):
        move_appointment(appointment=visit, target=target, rest="shift", by=cleo)
    move_appointment(appointment=visit, target=target, rest="shift", reason="Journey", by=visit.practitioner)

    undo_change(change=VisitChange.objects.get(), by=cleo)

    assert list(course.appointments.order_by("number").values_list("starts_at", "room_id")) == was
    assert not course.appointments.exclude(window_reason="").exists()


def test_cancelled_course_is_put_back_as_a_whole(course, cleo) -> None:
    left()
    cancel_course(course=course, by=cleo)

    undone = undo_change(change=VisitChange.objects.get(), by=cleo)

    assert set(course.appointments.values_list("status", flat=True)) == {"booked"}
    assert undone_words(undone).startswith("4 visits are back at their times.")


def test_other_cancellation_of_the_course_that_had_not_left_is_still_told(course, cleo) -> None:
    left()
    third = course.appointments.get(number=3)
    cancel_course(course=course, by=cleo, numbers=[3, 4])
    _visit, change = cancelled(course, by=cleo)

    undo_change(change=change, by=cleo)

    told = [pk for message in waiting("booking_cancelled") for pk in message.recipe["visits"]]
    assert sorted(told) == [third.pk, course.appointments.get(number=4).pk]


# ------------------------------------------------------------------ what is refused, in words


def test_undoing_twice_is_refused(course, cleo) -> None:
    _visit, change = cancelled(course, by=cleo)
    undo_change(change=change, by=cleo)
    with pytest.raises(InvalidTransition, match="undone already"):
        undo_change(change=VisitChange.objects.get(pk=change.pk), by=cleo)


def test_undo_ends_after_half_an_hour(course, cleo) -> None:
    visit, change = cancelled(course, by=cleo)
    VisitChange.objects.update(at=timezone.now() - UNDO_WITHIN - timedelta(seconds=1))
    change.refresh_from_db()

    with pytest.raises(InvalidTransition, match="can be undone for 30 minutes"):
        undo_change(change=change, by=cleo)
    assert open_change(visit, now=timezone.now()) is None


def test_visit_that_was_changed_since_is_not_put_back(course, cleo) -> None:
    _visit, change = moved(course, by=cleo)
    cancel_appointment(appointment=second(course), by=cleo)
    with pytest.raises(InvalidTransition, match="Somebody has changed this appointment since"):
        undo_change(change=change, by=cleo)


def test_time_that_was_given_away_is_refused_with_its_name(course, cleo, ada, lyon) -> None:
    visit, change = cancelled(course, by=cleo)
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)
    given = {"plan": other, "number": 1, "site": lyon, "practitioner": ada, "by": cleo}
    book_appointment(**given, room=visit.room, starts_at=visit.starts_at)

    with pytest.raises(AlreadyTaken, match="Dr Ada Moreau already has an appointment"):
        undo_change(change=change, by=cleo)
    assert second(course).status == "cancelled"


def test_clean_up_of_what_was_booked_beside_it_counts(course, cleo, ada, lyon) -> None:
    visit, change = cancelled(course, by=cleo)
    SiteRules.objects.create(site=lyon, cleanup_minutes=15)
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)
    change.visits.update(cleanup_minutes=15)
    book_appointment(
        plan=other,
        number=1,
        site=lyon,
        practitioner=ada,
        room=visit.room,
        starts_at=visit.ends_at + timedelta(minutes=7),
        by=cleo,
    )
    with pytest.raises(AlreadyTaken, match="preparation and clean-up"):
        undo_change(change=change, by=cleo)


def test_session_that_was_booked_anew_is_not_put_back(course, cleo, ada, lyon) -> None:
    visit, change = cancelled(course, by=cleo)
    book_appointment(
        plan=course.plan,
        number=2,
        site=lyon,
        practitioner=ada,
        room=visit.room,
        starts_at=visit.starts_at + timedelta(days=1),
        by=cleo,
    )
    with pytest.raises(AlreadyTaken, match="Session 2 has been booked anew"):
        undo_change(change=change, by=cleo)


def test_patient_whom_a_stop_holds_is_not_put_back_by_reception(course, teodor, cleo) -> None:
    _visit, change = cancelled(course, by=cleo)
    intake = teodor.intakes.get()
    newer = {**intake.facts, "medications": ["anticoagulant"]}
    type(intake).objects.create(
        patient=teodor,
        number=2,
        status="submitted",
        facts=newer,
        zones=intake.zones,
        concerns=intake.concerns,
        started_by=cleo,
        submitted_by=cleo,
        submitted_at=timezone.now(),
    )
    with pytest.raises(MayNotTreat):
        undo_change(change=change, by=cleo)


def test_person_who_died_is_not_put_back(course, teodor, cleo) -> None:
    _visit, change = cancelled(course, by=cleo)
    type(teodor).objects.filter(pk=teodor.pk).update(status="deceased")
    with pytest.raises(DomainError, match="marked as deceased"):
        undo_change(change=change, by=cleo)


def test_day_that_was_closed_since_is_refused(course, cleo, lyon) -> None:
    visit, change = cancelled(course, by=cleo)
    Closure.objects.create(site=lyon, day=visit.starts_at.date(), reason="Works")
    with pytest.raises(DomainError, match="closed on"):
        undo_change(change=change, by=cleo)


def test_another_site_may_not_undo(course, cleo, dan) -> None:
    _visit, change = cancelled(course, by=cleo)
    with pytest.raises(NotAllowed, match="belongs to another site"):
        undo_change(change=change, by=dan)


# ------------------------------------------------------------------ the pages


def test_cancel_and_undo_are_two_presses(course, cleo, sign_in) -> None:
    client, visit = sign_in(cleo), second(course)
    page = reverse("sessions:appointment", args=[visit.public_id])
    cancel = reverse("sessions:appointment_cancel", args=[visit.public_id])
    assert f'action="{cancel}"' in client.get(page).content.decode()

    after = client.post(cancel, follow=True)  # one
    undo = reverse("sessions:change_undo", args=[VisitChange.objects.get().public_id])
    assert after.redirect_chain[-1][0] == page
    assert after.content.decode().count(f'action="{undo}"') == 2  # in the toast, and in the head of the page

    done = client.post(undo, follow=True)  # two
    assert "The visit is back:" in done.content.decode()
    assert second(course).status == AppointmentStatus.BOOKED


def test_refused_undo_offers_the_nearest_times_and_one_press_books(course, cleo, ada, lyon, sign_in) -> None:
    client = sign_in(cleo)
    visit, change = cancelled(course, by=cleo)
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)
    given = {"plan": other, "number": 1, "site": lyon, "practitioner": ada, "by": cleo}
    book_appointment(**given, room=visit.room, starts_at=visit.starts_at)

    refused = client.post(reverse("sessions:change_undo", args=[change.public_id]))

    assert refused.status_code == 409
    assert "Dr Ada Moreau already has an appointment" in refused.content.decode()
    first = refused.context["times"][0]
    near = datetime.fromisoformat(first["value"].split(" ")[0])
    assert near.date() == visit.starts_at.date() and near != visit.starts_at
    address = reverse("sessions:course_missing", args=[course.public_id]) + "?n=2"
    booked = client.post(address, {"time": first["value"], "do": "book"}, follow=True)
    assert "Session 2 is booked on" in booked.content.decode()


def test_refused_undo_of_a_move_offers_times_to_move_to(course, cleo, ada, lyon, sign_in) -> None:
    client = sign_in(cleo)
    visit, change = moved(course, by=cleo)
    was = change.visits.get()
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)
    given = {"plan": other, "number": 1, "site": lyon, "practitioner": ada, "by": cleo}
    book_appointment(**given, room=was.room, starts_at=was.starts_at)

    refused = client.post(reverse("sessions:change_undo", args=[change.public_id]))
    first = refused.context["times"][0]
    sent = {"time": first["value"], "sequence": "1"}
    done = client.post(reverse("sessions:appointment_to", args=[visit.public_id]), sent, follow=True)
    assert "Session 2 of Teodor Brandvold is moved to" in done.content.decode()


def test_undo_of_another_site_does_not_exist(course, cleo, dan, sign_in) -> None:
    _visit, change = cancelled(course, by=cleo)
    assert sign_in(dan).post(reverse("sessions:change_undo", args=[change.public_id])).status_code == 404


def test_moved_visit_that_has_arrived_is_not_moved_back(course, cleo, clock) -> None:
    _visit, change = moved(course, by=cleo)
    clock.move_to(second(course).starts_at)
    set_appointment_status(appointment=second(course), status=AppointmentStatus.ARRIVED, by=cleo)
    VisitChange.objects.update(at=timezone.now())
    change.refresh_from_db()
    with pytest.raises(InvalidTransition, match="changed this appointment since"):
        undo_change(change=change, by=cleo)


# ------------------------------------------------------------------ a held mail that is not sent


def test_held_cancellation_offers_to_put_the_visit_back_too(course, cleo, sign_in) -> None:
    left()
    cancelled(course, by=cleo)
    held, client = waiting("booking_cancelled").get(), sign_in(cleo)
    page = client.get(reverse("messaging:detail", args=[held.public_id])).content.decode()
    assert "stays cancelled, and the patient is not told." in page
    undo = reverse("sessions:change_undo", args=[VisitChange.objects.get().public_id])
    assert f'action="{undo}"' in page and "Do not send, put the visit back too" in page

    after = client.post(reverse("messaging:undo", args=[held.public_id]), follow=True).content.decode()
    assert "It was not sent:" in after and f'action="{undo}"' in after
    assert second(course).status == "cancelled"
    client.post(undo)
    assert second(course).status == "booked"
    held.refresh_from_db()
    assert held.state == "cancelled"
    assert not waiting("booking_cancelled").exists() and not waiting("booking").exists()


def test_held_confirmation_offers_to_cancel_the_visits_too(course, cleo, sign_in) -> None:
    held, client = waiting("booking").get(), sign_in(cleo)
    page = client.get(reverse("messaging:detail", args=[held.public_id]))
    rest = page.context["rest"]
    assert rest.label == "Do not send, cancel the visits too"
    client.post(rest.url)
    assert set(course.appointments.values_list("status", flat=True)) == {"cancelled"}


def test_held_mail_about_a_move_offers_to_move_back_too(course, cleo, sign_in) -> None:
    left()
    was = second(course).starts_at
    moved(course, by=cleo)
    client = sign_in(cleo)
    rest = client.get(reverse("messaging:detail", args=[waiting("booking").get().public_id])).context["rest"]
    assert rest.words.startswith("The visit stays at its new time,")
    client.post(rest.url)
    assert second(course).starts_at == was


def test_held_mail_about_a_missed_visit_offers_to_undo_that_too(course, cleo, sign_in, clock) -> None:
    first = course.appointments.get(number=1)
    clock.move_to(first.starts_at + timedelta(minutes=20))
    set_appointment_status(appointment=first, status=AppointmentStatus.NO_SHOW, by=cleo)
    client = sign_in(cleo)
    rest = client.get(reverse("messaging:detail", args=[waiting("missed").get().public_id])).context["rest"]
    client.post(rest.url, dict(rest.fields))
    first.refresh_from_db()
    assert first.status == "booked"
    assert not waiting("missed").exists()


# ------------------------------------------------------------------ the API


def test_api_moves_cancels_and_undoes(course, cleo, sign_in) -> None:
    client, visit = sign_in(cleo), second(course)
    was = visit.starts_at
    at = f"/api/v1/appointments/{visit.public_id}/"
    wanted = {"starts_at": (was + timedelta(days=1)).isoformat(), "sequence": 0}

    moved_to = client.post(f"{at}move/", wanted, content_type="application/json")
    assert [row["sequence"] for row in moved_to.json()] == [1]
    stale = client.post(f"{at}move/", wanted, content_type="application/json")
    assert (stale.status_code, "Somebody has just changed" in stale.json()["detail"][0]) == (409, True)
    assert client.post(f"{at}undo/").json()["appointments"][0]["sequence"] == 2
    assert client.post(f"{at}cancel/").status_code == 200
    back = client.post(f"{at}undo/").json()
    assert (back["appointments"][0]["status"], second(course).starts_at) == ("booked", was)
    again = client.post(f"{at}undo/")
    assert (again.status_code, again.json()["detail"][0][:24]) == (409, "There is nothing to undo")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"starts_at": "2026-12-01T09:00:00", "sequence": 0}, "starts_at"),
        ({"starts_at": "2026-12-01T09:00:00Z"}, "sequence"),
        ({"starts_at": "2026-12-01T09:00:00Z", "sequence": 0, "rest": "all"}, "rest"),
        ({"starts_at": "2026-12-01T09:00:00Z", "sequence": 0, "room": "x"}, "room"),
    ],
)
def test_api_move_names_the_field_that_is_wrong(sent, field, course, cleo, sign_in) -> None:
    at = f"/api/v1/appointments/{second(course).public_id}/move/"
    refused = sign_in(cleo).post(at, sent, content_type="application/json")
    assert (refused.status_code, list(refused.json())) == (400, [field])
