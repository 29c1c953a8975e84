"""What must not be injected is not recorded as routine: intervals over all plans, newer intakes, lots, days."""

from __future__ import annotations

import copy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from patients.actions.intake import save_intake, start_intake, submit_intake
from patients.models import Patient
from patients.statements.statements import open_statements
from protocols.models import Plan, StandingOverride
from protocols.standing.going_on import MayNotTreat
from sessions.booking.actions import book_appointment, book_course
from sessions.course.planned import planned_lines
from sessions.models import Appointment, AppointmentStatus, TreatmentSession
from sessions.times.propose import Chosen
from sessions.treatment.actions import Injected, record_session
from sessions.words import day_words
from tests.factories import PASSWORD
from tests.factories_protocols import CONCERNS, FACTS, ZONES, signed_plan
from tests.sessions import factories as make


@pytest.fixture(autouse=True)
def _forget_attempts():
    cache.clear()


def put(visit: Appointment, at: datetime) -> Appointment:
    """The visit at another time, past the booking's own rules."""
    Appointment.objects.filter(pk=visit.pk).update(starts_at=at, ends_at=at + timedelta(minutes=38))
    return Appointment.objects.get(pk=visit.pk)


def ago(site: Site, days: int) -> datetime:
    day = timezone.now().astimezone(site.tz).date() - timedelta(days=days)
    return datetime.combine(day, time(0, 5), tzinfo=site.tz)


def record(visit: Appointment, *, by: User, **changes) -> TreatmentSession:
    lines = planned_lines(visit.course.plan, visit.number)
    call = {
        "administrations": [
            Injected(syringe=line.syringe, ingredient=line.ingredient, volume_ml=line.volume_ml) for line in lines
        ],
        "nothing_changed": True,
        "tolerance": 2,
        "note": "",
        "password": PASSWORD,
        "by": by,
        **changes,
    }
    return record_session(appointment=visit, **call)


@pytest.fixture
def visit(course, lyon) -> Appointment:
    return put(course.appointments.get(number=1), ago(lyon, 0))


# ------------------------------------------------------------------ intervals over all plans


def next_plan(plan: Plan, *, by: User, severity: str = "moderate") -> Plan:
    """The patient's next plan, after this one was completed."""
    Plan.objects.filter(pk=plan.pk).update(status="completed")
    return make.plan(patient=plan.patient, by=by, severity=severity)


@pytest.fixture
def second(ada: User, lyon: Site):
    """Books another plan of the same patient; its first session is today."""

    def booked(plan: Plan) -> Appointment:
        other = next_plan(plan, by=ada)
        course = book_course(plan=other, site=lyon, practitioner=ada, earliest=make.monday(weeks=30), by=ada)
        return put(course.appointments.get(number=1), ago(lyon, 0) + timedelta(hours=1))

    return booked


@pytest.mark.parametrize("days", [0, 1, 13])
def test_session_of_another_plan_too_soon_is_not_recorded(days, visit, second, ada, lyon) -> None:
    record(put(visit, ago(lyon, days)), by=ada)

    with pytest.raises(InvalidInput) as refused:
        record(second(visit.course.plan), by=ada)

    earliest = day_words(timezone.now().astimezone(lyon.tz).date() + timedelta(days=14 - days))
    assert str(refused.value).endswith(f"need 14 days between them (course, shortest interval): not before {earliest}.")
    assert refused.value.field == "performed_on"
    assert TreatmentSession.objects.count() == 1


def test_session_of_another_plan_after_the_interval_is_recorded(visit, second, ada, lyon) -> None:
    record(put(visit, ago(lyon, 14)), by=ada)

    assert record(second(visit.course.plan), by=ada).pk


def test_course_of_another_plan_is_offered_from_the_first_day_that_the_record_accepts(visit, ada, lyon) -> None:
    record(visit, by=ada)
    other = next_plan(visit.course.plan, by=ada)
    make.hours(practitioner=ada, site=lyon, weekdays=(5, 6))

    tomorrow = timezone.now().astimezone(lyon.tz).date() + timedelta(days=1)
    booked = book_course(plan=other, site=lyon, practitioner=ada, earliest=tomorrow, by=ada)

    first = booked.appointments.get(number=1).starts_at.astimezone(lyon.tz).date()
    assert (first - tomorrow).days == 13


def test_chosen_time_too_soon_after_another_plan_books_nothing(visit, ada, lyon, rooms) -> None:
    record(visit, by=ada)
    other = next_plan(visit.course.plan, by=ada)
    tomorrow = timezone.now().astimezone(lyon.tz).date() + timedelta(days=1)
    make.hours(practitioner=ada, site=lyon, weekdays=(5, 6))
    first = tomorrow + timedelta(days=12)
    chosen = [
        Chosen(
            number=number,
            starts_at=datetime.combine(first + timedelta(days=28 * (number - 1)), time(9), tzinfo=lyon.tz),
            practitioner=ada.pk,
            room=rooms[0].pk,
        )
        for number in range(1, 5)
    ]

    with pytest.raises(InvalidInput) as refused:
        book_course(plan=other, site=lyon, practitioner=ada, earliest=tomorrow, chosen=chosen, by=ada)

    assert "need 14 days between them" in str(refused.value)
    assert not Appointment.objects.filter(course__plan=other).exists()


def test_single_session_of_another_plan_is_not_booked_too_soon(visit, ada, lyon, rooms) -> None:
    record(visit, by=ada)
    other = next_plan(visit.course.plan, by=ada)
    day = next(each for each in (timezone.now().date() + timedelta(days=n) for n in range(2, 9)) if each.weekday() < 5)

    with pytest.raises(InvalidInput) as refused:
        book_appointment(
            plan=other,
            number=1,
            site=lyon,
            practitioner=ada,
            room=rooms[0],
            starts_at=datetime.combine(day, time(10), tzinfo=lyon.tz),
            by=ada,
        )

    assert "need 14 days between them" in str(refused.value)


def test_ingredient_with_an_interval_of_its_own_is_kept_apart_over_all_plans(visit, second, ada, lyon) -> None:
    record(put(visit, ago(lyon, 30)), by=ada)
    later = second(visit.course.plan)
    formulary = later.course.plan.formulary
    formulary.documents = copy.deepcopy(formulary.documents)
    biotin = next(row for row in formulary.documents["ingredients"]["ingredients"] if row["key"] == "biotin")
    biotin["per_session"]["min_interval_days"] = 84
    formulary.sha256 = "8" * 64  # other documents, so another hash

    with pytest.raises(InvalidInput) as refused:
        record(later, by=ada)
    without = [
        Injected(
            syringe=line.syringe,
            ingredient=line.ingredient,
            volume_ml=Decimal(0) if line.ingredient == "biotin" else line.volume_ml,
            deviation_reason="Too soon" if line.ingredient == "biotin" else "",
        )
        for line in planned_lines(later.course.plan, 1)
    ]

    earliest = day_words(timezone.now().astimezone(lyon.tz).date() + timedelta(days=54))
    assert str(refused.value).startswith("Biotin was injected on")
    assert str(refused.value).endswith(f"before the next time (its own interval): not before {earliest}.")
    assert record(later, by=ada, administrations=without).pk


# ------------------------------------------------------------------ a newer intake


def newer_intake(patient: Patient, *, by: User, **facts) -> None:
    intake = start_intake(patient=patient, by=by)
    given = {**FACTS, **facts}
    save_intake(intake=intake, revision=intake.revision, facts=given, concerns=CONCERNS, zones=ZONES, note="", by=by)
    intake.refresh_from_db()
    submit_intake(intake=intake, by=by)


@pytest.fixture
def treated(ada: User, lyon: Site, rooms) -> Appointment:
    """The first session, today, of a plan that the engine made."""
    plan = signed_plan(by=ada)
    booked = book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=ada)
    return put(booked.appointments.get(number=1), ago(lyon, 0))


def test_newer_intake_that_says_nothing_against_it_changes_nothing(treated, ada) -> None:
    newer_intake(treated.patient, by=ada)

    session = record(treated, by=ada)

    assert set(session.administrations.values_list("deviation_reason", flat=True)) == {""}


def test_newer_intake_with_an_absolute_rule_is_not_passed_over(treated, ada, ben) -> None:
    newer_intake(treated.patient, by=ada, conditions=["bleeding_disorder"])
    changed = {"nothing_changed": False, "note": "Told us of a bleeding disorder afterwards."}

    with pytest.raises(InvalidInput) as unchanged:
        record(treated, by=ada)
    with pytest.raises(MayNotTreat, match="Only with a reason of yours, in words"):
        record(treated, by=ada, **changed)
    with pytest.raises(MayNotTreat, match="Only somebody who signs plans may go on"):
        record(treated, by=ben, **changed, standing_reason="Known too late")
    assert TreatmentSession.objects.count() == 0
    assert unchanged.value.field == "nothing_changed"

    session = record(treated, by=ada, **changed, standing_reason="Known too late")

    assert set(session.administrations.values_list("deviation_reason", flat=True)) == {"Known too late"}
    told = AuditEvent.objects.get(action="session.recorded", target_id=session.public_id).details["against_screening"]
    assert sorted(told) == sorted(session.administrations.values_list("ingredient__key", flat=True))
    kept = StandingOverride.objects.get(subject_id=session.public_id)
    assert (kept.step, kept.reason, kept.by) == ("record", "Known too late", ada)
    assert [row["rule"] for row in kept.reasons] == ["bleeding_disorder"]


def test_nothing_injected_is_recorded_by_anybody_after_a_newer_intake(treated, ada, ben) -> None:
    newer_intake(treated.patient, by=ada, conditions=["bleeding_disorder"])
    nothing = [
        Injected(syringe=line.syringe, ingredient=line.ingredient, volume_ml=Decimal(0), deviation_reason="Not treated")
        for line in planned_lines(treated.course.plan, 1)
    ]

    session = record(treated, by=ben, nothing_changed=False, note="Sent home.", administrations=nothing)
    said = open_statements(treated.patient)  # what had changed is settled before the next session
    assert [(row.text, row.source, row.source_id, row.said_by) for row in said] == [
        ("Sent home.", "note", session.public_id, ben)
    ]


def test_ingredient_excluded_by_a_newer_intake_is_left_out(treated, ada, ben) -> None:
    lines = planned_lines(treated.course.plan, 1)
    assert "pdrn" in {line.ingredient for line in lines}
    newer_intake(treated.patient, by=ada, allergies=["fish"])
    changed = {"nothing_changed": False, "note": "Fish allergy."}

    with pytest.raises(MayNotTreat, match=r"[Ff]ish"):
        record(treated, by=ada, **changed)
    without = [
        Injected(
            syringe=line.syringe,
            ingredient=line.ingredient,
            volume_ml=Decimal(0) if line.ingredient == "pdrn" else line.volume_ml,
            deviation_reason="Allergy" if line.ingredient == "pdrn" else "",
        )
        for line in lines
    ]

    with pytest.raises(MayNotTreat, match="Only somebody who signs plans"):
        record(treated, by=ben, **changed, administrations=without)

    session = record(treated, by=ada, **changed, administrations=without, standing_reason="Left out at the chair")

    assert list(session.administrations.filter(volume_ml=0).values_list("ingredient__key", flat=True)) == ["pdrn"]


# ------------------------------------------------------------------ lots


def test_lot_has_to_hold_all_lines_together(visit, ada, lyon) -> None:
    plan = visit.course.plan
    two = [
        {**plan.result["syringes"][0], "lines": plan.result["syringes"][0]["lines"][:1]},
        {**plan.result["syringes"][0], "label": "B", "lines": plan.result["syringes"][0]["lines"][:1]},
    ]
    lot = make.lot(ingredient="biotin", site=lyon, received_ml="0.75")
    with patch("sessions.course.planned.planned_syringes", lambda plan, number: _syringes(two)):
        lines = [
            Injected(syringe=label, ingredient="biotin", volume_ml=Decimal("0.50"), lot=lot) for label in ("A", "B")
        ]
        with pytest.raises(InvalidInput) as refused:
            record(visit, by=ada, administrations=lines)

    assert (str(refused.value), refused.value.field) == ("Lot L-1 has 0.75 mL left.", "lot-B-biotin")


def _syringes(rows):
    from sessions.course.planned import PlannedSyringe, _line

    return [
        PlannedSyringe(
            label=row["label"], volume_ml=Decimal(1), lines=tuple(_line(row["label"], line) for line in row["lines"])
        )
        for row in rows
    ]


def test_usable_lot_is_named_or_its_absence_explained(visit, ada, lyon) -> None:
    make.lot(ingredient="biotin", site=lyon)

    with pytest.raises(InvalidInput) as refused:
        record(visit, by=ada)
    assert (str(refused.value), refused.value.field) == (
        "Biotin: choose its lot, or say why none is recorded.",
        "lot-A-biotin",
    )
    session = record(
        visit,
        by=ada,
        administrations=[
            Injected(
                syringe=line.syringe,
                ingredient=line.ingredient,
                volume_ml=line.volume_ml,
                deviation_reason="Vial thrown away" if line.ingredient == "biotin" else "",
            )
            for line in planned_lines(visit.course.plan, 1)
        ],
    )

    assert sorted(session.administrations.values_list("deviation_reason", flat=True)) == ["", "", "Vial thrown away"]


# ------------------------------------------------------------------ the day it was done


def day_of(at: datetime, site: Site) -> date:
    return at.astimezone(site.tz).date()


def test_session_recorded_late_is_dated_by_its_appointment(visit, ada, lyon) -> None:
    session = record(put(visit, ago(lyon, 3)), by=ada)

    today = day_of(timezone.now(), lyon)
    assert (day_of(session.performed_at, lyon), day_of(session.recorded_at, lyon)) == (
        today - timedelta(days=3),
        today,
    )


def test_session_done_on_another_day_is_dated_by_that_day(visit, ada, lyon) -> None:
    today = day_of(timezone.now(), lyon)

    session = record(put(visit, ago(lyon, 3)), by=ada, performed_on=today - timedelta(days=1))

    assert day_of(session.performed_at, lyon) == today - timedelta(days=1)


@pytest.mark.parametrize(
    ("shift", "said"), [(-4, "the session cannot have been done before it."), (1, "This day has not come yet.")]
)
def test_day_before_the_appointment_or_in_the_future_is_refused(shift, said, visit, ada, lyon) -> None:
    with pytest.raises(InvalidInput) as refused:
        record(put(visit, ago(lyon, 3)), by=ada, performed_on=day_of(timezone.now(), lyon) + timedelta(days=shift))

    assert str(refused.value).endswith(said)
    assert refused.value.field == "performed_on"


def test_session_waits_for_the_one_before_it(course, ada, lyon) -> None:
    put(course.appointments.get(number=1), ago(lyon, 40))
    second = put(course.appointments.get(number=2), ago(lyon, 0))

    with pytest.raises(InvalidTransition) as refused:
        record(second, by=ada)
    assert str(refused.value) == "Session 1 of this course is still booked. Record or cancel it first."
    Appointment.objects.filter(number=1).update(status=AppointmentStatus.NO_SHOW)

    assert record(second, by=ada).pk
