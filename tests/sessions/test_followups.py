"""What is owed after each fact: when, to whom, and what becomes of it when the fact changes."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from mesoclinic.core.errors import InvalidTransition
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.sending import delivery
from patients.models import Patient
from sessions.booking.actions import book_course, cancel_appointment, cancel_course, set_appointment_status
from sessions.mail import followups
from sessions.mail import sending as mails
from sessions.mail.kinds import MAIL_KINDS
from sessions.mail.waiting import in_hours
from sessions.models import Appointment, TreatmentSession
from sessions.models.followups import FollowUp, MailPreference
from sessions.treatment.actions import Injected, record_session
from tests import factories
from tests.sessions import factories as make

ROOT = Path(__file__).resolve().parents[2]


def follow_ups(**where) -> list[tuple[str, str, str]]:
    return sorted(FollowUp.objects.filter(**where).values_list("kind", "state", "reason"))


def waiting(**where) -> list[str]:
    live = Message.objects.filter(state__in=["held", "queued"], **where)
    return sorted(live.values_list("purpose", flat=True))


def perform(visit: Appointment, *, by) -> None:
    now = timezone.now()
    Appointment.objects.filter(pk=visit.pk).update(starts_at=now, ends_at=now + timedelta(minutes=38))
    visit.refresh_from_db()
    record_session(
        appointment=visit,
        administrations=[
            Injected(syringe="A", ingredient="biotin", volume_ml=Decimal("0.50")),
            Injected(syringe="A", ingredient="dexpanthenol", volume_ml=Decimal("0.50")),
            Injected(syringe="A", ingredient="saline", volume_ml=Decimal("1.00")),
        ],
        nothing_changed=True,
        tolerance=1,
        note="",
        password=factories.PASSWORD,
        by=by,
    )


def test_booked_visit_owes_a_week_two_days_and_a_day_before(course, lyon) -> None:
    visit = course.appointments.get(number=3)

    assert waiting(subject_id=visit.public_id) == ["prepare", "reminder_24h", "reminder_7d"]
    start = visit.starts_at.astimezone(lyon.tz)
    for purpose, days in (("reminder_7d", 7), ("prepare", 2), ("reminder_24h", 1)):
        due = Message.objects.get(purpose=purpose, subject_id=visit.public_id).due_at.astimezone(lyon.tz)
        assert (start.date() - due.date(), due.time()) == (timedelta(days=days), start.time())


def test_each_follow_up_says_why_and_has_its_message(course) -> None:
    for owed in FollowUp.objects.all():
        assert owed.why == "appointment.booked"
        message = Message.objects.get(purpose=owed.kind, subject_id=owed.subject_id, version=owed.version)
        assert (message.due_at, message.useful_until) == (owed.due_at, owed.useful_until)


def test_cancelled_visit_voids_what_hung_on_it(course, cleo) -> None:
    visit = course.appointments.get(number=2)
    cancel_appointment(appointment=visit, by=cleo)

    assert waiting(subject_id=visit.public_id) == []
    assert follow_ups(subject_id=visit.public_id) == [
        ("prepare", "void", "cancelled"),
        ("reminder_7d", "void", "cancelled"),
    ]


def test_moved_visit_is_planned_anew(course, cleo) -> None:
    visit = course.appointments.get(number=4)
    later = visit.starts_at + timedelta(days=1)
    Appointment.objects.filter(pk=visit.pk).update(
        starts_at=later, ends_at=later + timedelta(minutes=38), sequence=visit.sequence + 1
    )
    visit.refresh_from_db()
    followups.moved(visit, by=cleo)

    assert waiting(subject_id=visit.public_id) == ["prepare", "reminder_24h", "reminder_7d"]
    due = Message.objects.get(purpose="reminder_7d", subject_id=visit.public_id, state="queued").due_at
    assert due == mails.days_before(visit, 7)
    assert ("reminder_7d", "void", "moved") in follow_ups(subject_id=visit.public_id)


def test_signed_plan_is_asked_about_after_a_week_and_not_once_it_is_booked(plan, lyon, ada, cleo) -> None:
    followups.plan_signed(plan, by=ada)
    message = Message.objects.get(purpose="unbooked")
    assert timedelta(days=6, hours=12) < message.due_at - timezone.now() < timedelta(days=7, hours=13)

    book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    assert "unbooked" not in waiting()
    assert follow_ups(kind="unbooked") == [("unbooked", "void", "booked")]


def test_recorded_session_owes_advice_and_two_questions(course, ada) -> None:
    visit = course.appointments.get(number=1)
    perform(visit, by=ada)

    session = visit.treatment_session
    assert waiting(subject_id=session.public_id) == ["aftercare", "checkin_48h", "checkin_7d"]
    assert waiting(subject_id=visit.public_id) == []
    two_days = Message.objects.get(purpose="checkin_48h").due_at
    assert timedelta(hours=48) <= two_days - session.performed_at < timedelta(hours=60, minutes=1)


def test_finished_course_owes_its_review_and_a_word_after_3_6_and_12_months(course, ada) -> None:
    plan = course.plan
    plan.result["course"]["checkpoints"] = [{"key": "end_of_course", "offset_days": 168}]
    type(plan).objects.filter(pk=plan.pk).update(status="completed")
    plan.status = "completed"
    visit = course.appointments.get(number=4)
    perform_at = timezone.now()
    session = TreatmentSession.objects.create(
        appointment=visit, plan=plan, nothing_changed=True, performed_at=perform_at, performed_by=ada
    )
    followups.course_finished(session, by=ada)

    assert waiting(subject_id=plan.public_id) == ["checkpoint", "maintenance_12m", "maintenance_3m", "maintenance_6m"]
    review = Message.objects.get(purpose="checkpoint").due_at
    assert 76 <= (review - perform_at).days <= 78
    for kind in ("maintenance_3m", "maintenance_6m", "maintenance_12m"):
        headers = Message.objects.get(purpose=kind).headers
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert headers["List-Unsubscribe"].endswith("/stop/>")


def test_only_offers_carry_list_unsubscribe(course, cleo) -> None:
    cancel_course(course=course, by=cleo)
    with_it = {message.purpose for message in Message.objects.all() if "List-Unsubscribe" in message.headers}

    assert with_it == {"unbooked"}


def test_missed_visit_is_written_about_unless_it_was_a_wrong_click(course, cleo) -> None:
    visit = course.appointments.get(number=1)
    ago = timezone.now() - timedelta(hours=1)
    Appointment.objects.filter(pk=visit.pk).update(starts_at=ago, ends_at=ago + timedelta(minutes=30))
    visit.refresh_from_db()
    set_appointment_status(appointment=visit, status="no_show", by=cleo)
    assert waiting(subject_id=visit.public_id) == ["missed"]
    set_appointment_status(appointment=visit, status="booked", by=cleo)
    assert waiting(subject_id=visit.public_id) == []
    set_appointment_status(appointment=visit, status="no_show", by=cleo)
    assert waiting(subject_id=visit.public_id) == ["missed"]


# ------------------------------------------------------------------ hours and clocks


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-10-05T07:59", "2026-10-05T08:00"),
        ("2026-10-05T08:00", "2026-10-05T08:00"),
        ("2026-10-05T19:59", "2026-10-05T19:59"),
        ("2026-10-05T20:00", "2026-10-06T08:00"),
        ("2026-10-25T02:30", "2026-10-25T08:00"),  # the clocks go back that night
        ("2026-03-28T23:00", "2026-03-29T08:00"),  # ... and forward in that one
    ],
)
def test_quiet_hours_are_those_of_the_wall(local: str, expected: str, lyon) -> None:
    at = datetime.fromisoformat(local).replace(tzinfo=lyon.tz)

    assert in_hours(at, lyon) == datetime.fromisoformat(expected).replace(tzinfo=lyon.tz)


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [("2026-11-30", 3, "2027-02-28"), ("2026-08-31", 6, "2027-02-28"), ("2027-02-28", 12, "2028-02-28")],
)
def test_months_later_keeps_the_day_or_the_months_last(start: str, months: int, expected: str, lyon) -> None:
    at = datetime.combine(date.fromisoformat(start), time(10), tzinfo=lyon.tz)

    later = followups._months_after(at, months, lyon).astimezone(lyon.tz)
    assert (later.date().isoformat(), later.time()) == (expected, time(10))


def test_a_week_before_is_the_same_wall_time_across_a_clock_change(db) -> None:
    site = factories.site(name="Lyon", time_zone="Europe/Paris")
    start = datetime(2026, 10, 26, 9, tzinfo=site.tz).astimezone(UTC)
    visit = Appointment(site=site, starts_at=start, ends_at=start + timedelta(minutes=30))

    assert mails.days_before(visit, 7).astimezone(site.tz).isoformat() == "2026-10-19T09:00:00+02:00"
    assert mails.days_before(visit, 1).astimezone(site.tz).isoformat() == "2026-10-25T09:00:00+01:00"


# ------------------------------------------------------------------ whom we may write to


@pytest.mark.parametrize(
    "change", [{"status": "deceased"}, {"status": "moved_away"}, {"contact_allowed": False}, {"email": ""}]
)
def test_nothing_leaves_once_a_patient_may_not_be_written_to(change, course, teodor) -> None:
    Patient.objects.filter(pk=teodor.pk).update(**change)
    Message.objects.update(due_at=timezone.now() - timedelta(minutes=1), useful_until=None)
    delivery.deliver_due()

    assert mail.outbox == []
    assert set(Message.objects.values_list("state", flat=True)) == {MessageState.CANCELLED}


@pytest.mark.parametrize(("status", "said"), [("deceased", "is marked as deceased"), ("moved_away", "has moved away")])
def test_who_has_died_or_moved_away_is_not_booked(status, said, plan, teodor, lyon, ada, cleo) -> None:
    Patient.objects.filter(pk=teodor.pk).update(status=status)
    plan.patient.refresh_from_db()
    with pytest.raises(InvalidTransition, match=said):
        book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    assert Message.objects.count() == 0


def test_nothing_is_planned_for_who_does_not_agree_to_mail(plan, teodor, lyon, ada, cleo) -> None:
    Patient.objects.filter(pk=teodor.pk).update(contact_allowed=False)
    plan.refresh_from_db()
    plan.patient.refresh_from_db()
    book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)

    assert Message.objects.count() == 0
    assert {row[1:] for row in follow_ups()} == {("skipped", "not_written_to")}


def test_unwanted_kind_is_not_planned_and_one_that_waits_does_not_leave(plan, teodor, lyon, ada, cleo) -> None:
    choice = MailPreference.objects.create(patient=teodor, reminders=False)
    book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    assert set(waiting()) == {"booking", "reminder_24h"}
    assert {row[1:] for row in follow_ups()} == {("skipped", "not_wanted")}

    choice.reminders = True
    choice.offers = False
    choice.save()
    followups._owe_unbooked(plan, why="plan.signed", by=ada)
    assert follow_ups(kind="unbooked") == [("unbooked", "skipped", "not_wanted")]


# ------------------------------------------------------------------ beat off for six hours


def test_after_six_hours_without_beat_the_useful_leaves_and_the_late_says_so(course, lyon, monkeypatch) -> None:
    """The reminder of the day before is due at 09:00; nothing runs until 15:00. A second one's visit has passed."""
    first, second = course.appointments.filter(number__in=[1, 2]).order_by("number")
    due = Message.objects.get(purpose="reminder_24h", subject_id=first.public_id)
    late = Message.objects.get(purpose="reminder_24h", subject_id=second.public_id)
    Message.objects.exclude(pk__in=[due.pk, late.pk]).update(state=MessageState.CANCELLED)
    back_on = due.due_at + timedelta(hours=6)
    Message.objects.filter(pk=late.pk).update(
        due_at=back_on - timedelta(hours=6), useful_until=back_on - timedelta(minutes=1)
    )
    monkeypatch.setattr(timezone, "now", lambda: back_on)
    delivery.deliver_due()

    assert Message.objects.get(pk=due.pk).state == MessageState.SENT
    assert Message.objects.get(pk=late.pk).state == MessageState.EXPIRED
    assert [letter.subject for letter in mail.outbox] == ["Your appointment tomorrow at Clinique des Tilleuls, Lyon"]
    delivery.deliver_due()
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    ("purpose", "due", "now", "useful_until", "state", "leaves"),
    [
        # due in the evening, the beat off for six hours: the morning
        ("reminder_7d", "2026-11-24 19:30", "2026-11-25 01:30", "2026-11-28 09:00", "queued", "2026-11-25 08:00"),
        ("checkin_48h", "2026-11-24 19:59", "2026-11-25 01:59", "2026-11-27 09:00", "queued", "2026-11-25 08:00"),
        ("maintenance_3m", "2026-11-24 18:00", "2026-11-25 00:00", "2026-12-24 09:00", "queued", "2026-11-25 08:00"),
        ("reminder_24h", "2026-11-24 18:00", "2026-11-25 00:00", "2026-11-25 18:00", "queued", "2026-11-25 08:00"),
        # ... and too late by then: it says so at once
        ("reminder_24h", "2026-11-24 07:45", "2026-11-25 02:00", "2026-11-25 07:45", "expired", ""),
        ("aftercare", "2026-11-24 19:00", "2026-11-25 01:00", "2026-11-25 07:00", "expired", ""),
        ("missed", "2026-11-24 19:00", "2026-11-25 01:00", "2026-11-25 08:00", "expired", ""),
        # what follows at once on what somebody did, or keeps the visit's wall time, leaves in the night when on time
        ("booking", "2026-11-24 21:00", "2026-11-24 21:04", "2026-12-24 09:00", "sent", ""),
        ("aftercare", "2026-11-24 20:30", "2026-11-24 20:31", "2026-11-25 08:30", "sent", ""),
        ("reminder_24h", "2026-11-24 20:30", "2026-11-24 20:31", "2026-11-25 20:30", "sent", ""),
        ("booking", "2026-11-24 19:00", "2026-11-25 01:00", "2026-12-24 09:00", "queued", "2026-11-25 08:00"),
        # ... and on time is up to an hour after its cause, the three minutes of the hold aside
        ("booking", "2026-11-24 21:00", "2026-11-24 22:03", "2026-12-24 09:00", "sent", ""),
        ("booking", "2026-11-24 21:00", "2026-11-24 22:04", "2026-12-24 09:00", "queued", "2026-11-25 08:00"),
        ("reminder_24h", "2026-11-24 20:30", "2026-11-24 21:30", "2026-11-25 20:30", "sent", ""),
        ("reminder_24h", "2026-11-24 20:30", "2026-11-24 21:31", "2026-11-25 20:30", "queued", "2026-11-25 08:00"),
        # at the edges of the night
        ("checkin_48h", "2026-11-24 13:00", "2026-11-24 19:59", "2026-11-27 09:00", "sent", ""),
        ("checkin_48h", "2026-11-24 14:00", "2026-11-24 20:00", "2026-11-27 09:00", "queued", "2026-11-25 08:00"),
        ("checkin_48h", "2026-11-25 01:59", "2026-11-25 07:59", "2026-11-27 09:00", "queued", "2026-11-25 08:00"),
        ("checkin_48h", "2026-11-25 02:00", "2026-11-25 08:00", "2026-11-27 09:00", "sent", ""),
        # the night of a clock change: the morning's wall time
        ("checkin_48h", "2026-10-24 19:00", "2026-10-25 01:00", "2026-10-28 09:00", "queued", "2026-10-25 08:00"),
        ("checkin_48h", "2026-03-28 19:00", "2026-03-29 01:00", "2026-03-31 09:00", "queued", "2026-03-29 08:00"),
    ],
)
def test_backlog_waits_for_the_morning_or_says_that_it_is_too_late(
    purpose, due, now, useful_until, state, leaves, course, lyon, monkeypatch
) -> None:
    def at(words: str) -> datetime:
        return datetime.fromisoformat(words).replace(tzinfo=lyon.tz)

    message = Message.objects.filter(purpose="reminder_24h").earliest("pk")
    Message.objects.exclude(pk=message.pk).update(state=MessageState.CANCELLED)
    Message.objects.filter(pk=message.pk).update(
        purpose=purpose, subject_id=uuid.uuid4(), due_at=at(due), created_at=at(due), useful_until=at(useful_until)
    )
    monkeypatch.setattr(timezone, "now", lambda: at(now))
    delivery.deliver_due()

    message.refresh_from_db()
    assert (message.state, len(mail.outbox)) == (state, 1 if state == "sent" else 0)
    assert message.lease is None
    if leaves:
        assert message.due_at.astimezone(lyon.tz).strftime("%Y-%m-%d %H:%M") == leaves
        monkeypatch.setattr(timezone, "now", lambda: at(leaves))
        delivery.deliver_due()
        message.refresh_from_db()
        assert message.state == "sent"


def test_nothing_leaves_twice_when_two_beats_tick_at_once(course, monkeypatch) -> None:
    """A broker that hands the same tick to two workers, and a second beat beside the first."""
    now = Message.objects.order_by("due_at").first().due_at + timedelta(seconds=1)
    monkeypatch.setattr(timezone, "now", lambda: now)
    first, second = uuid.uuid4(), uuid.uuid4()
    taken = delivery.claim(first)

    assert (taken > 0, delivery.claim(second)) == (True, 0)
    delivery.release(first, reason="")
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(minutes=2))
    for _beat in range(3):
        delivery.deliver_due()
    assert len(mail.outbox) == len({letter.extra_headers["Message-ID"] for letter in mail.outbox}) == taken


def test_returned_mail_asks_to_check_the_address_until_it_is_changed(course, teodor, cleo, sign_in) -> None:
    Message.objects.filter(purpose="booking").update(state=MessageState.BOUNCED, sent_at=timezone.now())
    page = sign_in(cleo).get(reverse("sessions:today")).content.decode()
    assert "Check the address" in page and f"/patients/{teodor.public_id}/edit/" in page
    Patient.objects.filter(pk=teodor.pk).update(email="new@example.org")
    assert "Check the address" not in sign_in(cleo).get(reverse("sessions:today")).content.decode()


def test_page_about_follow_ups_has_a_row_for_every_kind_that_is_planned() -> None:
    table = (ROOT / "docs/reference/follow-ups.md").read_text(encoding="utf-8").split("## Kinds")[1].split("\n\n")[1]
    written = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]

    planned = {kind.purpose for kind in MAIL_KINDS.values() if kind.timing}

    assert {f"maintenance{name}" if name.startswith("_") else name for name in written} == planned
