"""One standing: what is said or corrected after a signature stops the needle, and is lifted by what it names."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, NotAllowed
from patients.actions.day_check import record_changes
from patients.actions.intake import review_intake
from patients.actions.record import update_patient
from patients.intake.day_checks import Answers
from patients.models import Patient
from patients.statements.statements import open_statements, settle_statement
from protocols.models import Plan, StandingOverride
from protocols.standing.going_on import (
    MayNotTreat,
    acknowledge_caution,
    check_may_treat,
    keep_override,
    passed_before,
)
from protocols.standing.standing import standing, standing_now, standings
from tests import factories, ways_to_stop
from tests.factories_protocols import published_formulary, signed_plan, submitted_intake
from tests.ways_to_stop import WAYS


@pytest.fixture
def plan(ada: User, formulary) -> Plan:
    return signed_plan(by=ada)


def today(plan: Plan):
    return timezone.localdate(timezone=plan.patient.site.tz)


def of(plan: Plan):
    return standing(plan.patient, plan, today(plan))


def test_signed_plan_of_a_healthy_person_is_clear(plan: Plan) -> None:
    found = of(plan)

    assert (found.state, found.reasons, found.acknowledged) == ("clear", (), ())


# rule, where it was said, part of what was said
SAID = {
    "ticked": ("allergy_fish", "day check", "Fish"),
    "brand": ("anticoagulant", "day check", "“Xarelto 20 mg”"),
    "two_on_a_line": ("anticoagulant", "day check", "“paracetamol, warfarin”"),
    "allergy_in_words": ("statement", "Anything changed?", "anaphylaxis to salmon"),
    "unknown": (None, "intake 2", "Does not know"),
    "note": ("statement", "Note", "started apixaban, fever of 39"),
    "by_link": ("statement", "Answer by link", "a new pill for the heart"),
    "birth_date": ("under_18", "the record", "14"),
    "sex": (None, "intake 1", "Not answered"),
    "merge": ("merge", "the record", "Two records"),
    "newer_intake": ("bleeding_disorder", "intake 2", "bleeding disorder"),
    "red_flag": ("red_flag", "answer by link", "fever or chills"),
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_said_after_the_signature_is_a_stop_with_its_reason(way: str, plan: Plan, ada: User) -> None:
    WAYS[way](plan, ada)

    found = of(plan)

    rule, where, answer = SAID[way]
    first = found.stops[0]
    assert (found.state, first.where) == ("stop", where)
    assert answer in first.answer
    assert rule in (None, first.rule)
    assert first.message and first.lifts and first.short


@pytest.mark.parametrize("way", WAYS)
def test_nobody_below_a_signer_passes_a_stop(
    way: str, plan: Plan, ada: User, ben: User, cleo: User, dora: User
) -> None:
    WAYS[way](plan, ada)

    for who in (ben, cleo, dora):
        with pytest.raises(MayNotTreat, match="Only somebody who signs plans may go on"):
            check_may_treat(plan.patient, plan, today(plan), by=who, reason="I know better")
    with pytest.raises(MayNotTreat, match="Only with a reason of yours"):
        check_may_treat(plan.patient, plan, today(plan), by=ada, reason="  ")
    assert check_may_treat(plan.patient, plan, today(plan), by=ada, reason="Checked it myself").is_stop


def test_signer_of_another_site_passes_no_stop(plan: Plan, ada: User, dan: User) -> None:
    ways_to_stop.newer_intake(plan, ada)

    with pytest.raises(MayNotTreat, match="Only somebody who signs plans may go on"):
        check_may_treat(plan.patient, plan, today(plan), by=dan, reason="I know better")


def test_going_on_against_a_stop_is_kept_with_what_stood_against_it(plan: Plan, ada: User, ben: User) -> None:
    ways_to_stop.newer_intake(plan, ada)
    found = of(plan)

    keep_override(found, plan=plan, step="prepare", subject_id=plan.public_id, reason=" Seen  by me ", by=ada)

    kept = StandingOverride.objects.get()
    assert (kept.reason, kept.by, [row["rule"] for row in kept.reasons]) == ("Seen by me", ada, ["bleeding_disorder"])
    told = AuditEvent.objects.get(action="standing.overridden")
    assert (told.details["rules"], told.patient_id) == (["bleeding_disorder"], plan.patient.public_id)
    assert passed_before(found, subject_id=plan.public_id, by=ada)
    assert not passed_before(found, subject_id=plan.public_id, by=ben)
    ways_to_stop.note(plan, ada)
    assert not passed_before(of(plan), subject_id=plan.public_id, by=ada)


def test_reason_that_is_too_long_to_keep_is_refused(plan: Plan, ada: User) -> None:
    ways_to_stop.newer_intake(plan, ada)

    with pytest.raises(InvalidInput, match="Shorten the reason to 500 characters"):
        check_may_treat(plan.patient, plan, today(plan), by=ada, reason="x" * 501)


# ------------------------------------------------------------------ what lifts it


def test_newer_intake_without_it_lifts_the_stop(plan: Plan, ada: User) -> None:
    ways_to_stop.newer_intake(plan, ada)
    ways_to_stop.intake(plan.patient, by=ada)

    assert of(plan).state == "clear"


def test_settled_words_lift_the_stop_or_become_the_rule(plan: Plan, ada: User) -> None:
    ways_to_stop.by_link(plan, ada)
    ways_to_stop.note(plan, ada)
    first, second = open_statements(plan.patient)

    settle_statement(statement=first, outcome="none_of_these", reason="harmless", by=ada)
    assert [reason.rule for reason in of(plan).stops] == ["statement"]
    settle_statement(statement=second, outcome="fact", facts=[{"fact": "medications", "value": "doac"}], by=ada)

    assert of(plan).stops[0].rule == "anticoagulant"


def test_corrected_back_is_clear_again(plan: Plan, ada: User) -> None:
    born = plan.patient.birth_date
    ways_to_stop.birth_date(plan, ada)
    assert of(plan).is_stop

    update_patient(patient=Patient.objects.get(pk=plan.patient_id), changes={"birth_date": born}, by=ada)

    assert of(plan).state == "clear"


def test_merged_record_is_asked_for_the_whole_person(plan: Plan, ada: User) -> None:
    ways_to_stop.merge(plan, ada)
    assert [reason.kind for reason in of(plan).stops] == ["merge"]

    ways_to_stop.intake(plan.patient, by=ada)

    assert of(plan).state == "clear"


def test_answers_that_reception_wrote_down_wait_for_somebody_who_treats(
    plan: Plan, ada: User, ben: User, cleo: User
) -> None:
    new = ways_to_stop.intake(plan.patient, by=cleo, bdd_screen_positive=True)
    found = of(plan)
    assert ("unconfirmed", cleo.name) in [(reason.kind, reason.said_by) for reason in found.stops]

    review_intake(intake=new, by=ben)

    assert "unconfirmed" not in [reason.kind for reason in of(plan).stops]


# ------------------------------------------------------------------ the plan and the day


def test_rule_about_what_the_plan_does_not_hold_is_no_stop(plan: Plan, ada: User) -> None:
    assert "pdrn" in {line["ingredient"] for row in plan.result["syringes"] for line in row["lines"]}
    ways_to_stop.ticked(plan, ada)

    (only,) = of(plan).stops
    assert (only.kind, only.severity, only.ingredients) == ("ingredient", "exclude", ("pdrn",))
    assert of(plan).why("pdrn") == only.message
    assert of(plan).why("biotin") == ""
    assert standing_now(plan.patient, None).is_stop  # by the plan in force
    assert standing(plan.patient, None, today(plan)).state == "clear"  # without a plan nothing else is against it


def test_who_may_not_read_plans_is_told_of_no_ingredient(plan: Plan, ada: User, cleo: User, ben: User) -> None:
    ways_to_stop.ticked(plan, ada)

    told = of(plan).seen_by(cleo).stops[0]
    assert (told.message, told.ingredients) == ("Something in the signed plan may no longer be given.", ())
    assert of(plan).seen_by(ben).stops[0].ingredients == ("pdrn",)


def test_reception_reads_that_there_is_a_red_flag_and_not_what_was_said(plan: Plan, ada: User, cleo: User) -> None:
    ways_to_stop.red_flag(plan, ada)

    assert of(plan).seen_by(cleo).stops[0].answer == ""
    assert of(plan).seen_by(ada).stops[0].answer.startswith("fever or chills")


def test_patient_without_a_plan_is_screened_by_the_formulary_in_force(ada: User, formulary) -> None:
    patient = factories.patient(by=ada)
    assert standing_now(patient).state == "unknown"

    submitted_intake(patient=patient, by=ada, facts={"medications": ["doac"]})

    assert [reason.rule for reason in standing_now(patient).stops] == ["anticoagulant"]


def test_what_is_not_known_is_asked_again_from_the_band(plan: Plan, ada: User, sign_in) -> None:
    unknown = {"unknown": True}
    submitted_intake(patient=plan.patient, by=ada, facts={"allergies": unknown, "medications": unknown})
    ask = reverse("patients:day_check", args=[plan.patient.public_id])

    page = sign_in(ada).get(reverse("protocols:plan", args=[plan.public_id])).content.decode()

    assert f'href="{ask}?ask=medications&amp;ask=allergies"' in page
    nothing = {"new_medicines": "", "new_illness": "", "new_allergy": "", "asked_new": {}}
    told = {"fever_or_acute_illness": False, "medications": [], "allergies": []}
    record_changes(patient=plan.patient, answers=Answers(facts=told, **nothing), by=ada)
    assert of(plan).state == "clear"


@pytest.mark.parametrize(
    ("facts", "short"),
    [
        ({"lactating": True}, "Breast-feeding"),
        ({"can_consent": False}, "Can understand and consent: no"),
        ({"medications": ["doac"]}, "Direct oral anticoagulant"),
        ({"lab_inr": "4"}, "INR: 4 ratio"),
    ],
)
def test_chip_of_a_stop_says_what_it_is_about(facts: dict[str, Any], short: str, ada: User, formulary) -> None:
    patient = factories.patient(by=ada, sex_at_birth="female")
    submitted_intake(patient=patient, by=ada, facts=facts)

    assert standing_now(patient).stops[0].short == short


def test_the_rules_are_those_of_the_plans_own_formulary(plan: Plan, ada: User, dora: User) -> None:
    published_formulary(by=dora, label="2026.2", new=True)
    ways_to_stop.brand(plan, ada)

    assert of(plan).stops[0].rule == "anticoagulant"


# ------------------------------------------------------------------ many at once


def test_standings_cost_the_same_for_one_and_for_many(ada: User, formulary, django_assert_num_queries) -> None:
    plans = [
        signed_plan(by=ada, patient=factories.patient(by=ada, family_name=f"Number{number}")) for number in range(3)
    ]
    for plan in plans:
        ways_to_stop.brand(plan, ada)
    asked = [(plan.patient, plan, today(plan)) for plan in plans]
    standings(asked[:1])

    with django_assert_num_queries(11):
        assert [found.state for found in standings(asked[:1])] == ["stop"]
    with django_assert_num_queries(11):
        assert [found.state for found in standings(asked)] == ["stop"] * 3


# ------------------------------------------------------------------ cautions that came up after the signature


def test_caution_since_the_signature_is_acknowledged_once_by_who_signs(plan: Plan, ada: User, ben: User) -> None:
    born = today(plan).replace(year=today(plan).year - 76, day=1)
    update_patient(patient=plan.patient, changes={"birth_date": born}, by=ada)
    plan.refresh_from_db()
    (caution,) = of(plan).cautions
    assert (of(plan).state, caution.rule) == ("cautions", "age_75_plus")
    assert check_may_treat(plan.patient, plan, today(plan), by=ben).state == "cautions"  # before the needle it is shown
    with pytest.raises(MayNotTreat, match="New since the plan was signed, and not acknowledged"):
        check_may_treat(plan.patient, plan, today(plan), by=ben, needle=True)
    said = {"plan": plan, "key": caution.key, "reason_code": "explained", "note": ""}
    with pytest.raises(NotAllowed, match="Only somebody who signs plans acknowledges"):
        acknowledge_caution(**said, by=ben)

    acknowledge_caution(**said, by=ada)

    found = check_may_treat(plan.patient, plan, today(plan), by=ben, needle=True)
    assert (found.state, [reason.rule for reason in found.acknowledged]) == ("clear", ["age_75_plus"])
    with pytest.raises(InvalidInput, match="This plan has no such caution"):
        acknowledge_caution(**said, by=ada)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reason_code": "because"}, "Choose a reason"),
        ({"reason_code": "other"}, "Say it in a few words"),
        ({"note": "x" * 501}, "Shorten the note to 500 characters"),
        ({"key": "no_such_rule"}, "This plan has no such caution"),
    ],
)
def test_acknowledgement_that_says_too_little_or_too_much_is_refused(
    changed: dict[str, str], said: str, plan: Plan, ada: User
) -> None:
    born = today(plan).replace(year=today(plan).year - 76, day=1)
    update_patient(patient=plan.patient, changes={"birth_date": born}, by=ada)
    plan.refresh_from_db()
    given = {"key": of(plan).cautions[0].key, "reason_code": "explained", "note": ""} | changed

    with pytest.raises(InvalidInput, match=said):
        acknowledge_caution(plan=plan, by=ada, **given)
