"""What nobody asked stops a signature and a needle, as soon as a formulary that applies has a rule for it."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from patients.actions.day_check import record_changes
from patients.intake.day_checks import Answers
from patients.models import Intake, Patient
from patients.vocabulary import facts_since, load_vocabulary, values_since
from protocols.actions.drafts import amend_plan, create_plan
from protocols.actions.signing import sign_plan
from protocols.models import FormularyVersion, Plan
from protocols.plans.queries import obstacles_to_signing
from protocols.standing.going_on import MayNotTreat, acknowledge_caution, check_may_treat
from protocols.standing.standing import standing, standing_now
from tests import factories
from tests.factories_protocols import draft_plan, published_formulary, settled, signed_plan, submitted_intake
from tests.patients.earlier import asked_before
from tests.protocols.earlier import earlier_version
from tests.protocols.worked_cases import earlier_formulary

NONE_NEW: dict[str, tuple[str, ...] | None] = {"conditions": (), "medications": ()}
NO_TO_QUESTIONS: dict[str, Any] = {
    "scalp_tenderness_new": False,
    "scalp_implant_zones": [],
    "rapid_weight_loss": False,
    "hcg_monitoring": False,
}


@pytest.fixture
def patient(ada: User) -> Patient:
    return factories.patient(by=ada)


@pytest.fixture
def old(patient: Patient, ada: User) -> Intake:
    """Of before the second release: every list answered with “none of these”."""
    return asked_before(submitted_intake(patient=patient, by=ada))


@pytest.fixture
def earlier(dora: User) -> FormularyVersion:
    return earlier_version(by=dora)


@pytest.fixture
def old_plan(ada: User, dora: User, earlier: FormularyVersion) -> Plan:
    """Signed by formulary 2026.1 on an intake of then; 2026.2 is in force now."""
    plan = signed_plan(by=ada)
    asked_before(plan.intake)
    published_formulary(by=dora, label="2026.2", new=True)
    return plan


def asked_today(patient: Patient, *, by: User, facts: dict[str, Any] | None = None, **new: Any) -> Intake:
    """“Anything changed?”, with “nothing” to everything but what is given of what is new."""
    answers = Answers(
        facts={"fever_or_acute_illness": False} | NO_TO_QUESTIONS | (facts or {}),
        new_medicines="",
        new_illness="",
        new_allergy="",
        asked_new=NONE_NEW | new,
    )
    return record_changes(patient=patient, answers=answers, by=by).intake


def of(plan: Plan):
    return standing(plan.patient, plan, timezone.localdate(timezone=plan.patient.site.tz))


def test_everything_that_an_intake_asks_is_of_the_first_release_or_of_a_later_one() -> None:
    """A new question or value without its release would read as “no” in every intake of before: name it there."""
    first, brought = earlier_formulary().facts, values_since("")
    for fact in load_vocabulary().facts.values():
        if fact.key in facts_since("") or fact.values_from:
            continue
        assert fact.key in first
        came = {choice.key for choice in fact.values} - set(first[fact.key].values)
        assert came <= set(brought.get(fact.key, ())), fact.key


# ------------------------------------------------------------------ no plan


def test_no_plan_rests_on_a_list_that_was_answered_before_its_values_came(
    sign_in: Any, patient: Patient, ada: User, old: Intake, formulary: FormularyVersion
) -> None:
    with pytest.raises(InvalidTransition, match=r"Not asked yet: .*Sarcoidosis.*Lithium.*silence is no “no”"):
        create_plan(patient=patient, by=ada)

    page = sign_in(ada).post(reverse("protocols:plan_new", args=[patient.public_id]))
    assert page.status_code == 409
    assert reverse("patients:day_check", args=[patient.public_id]) in page.content.decode()
    assert not Plan.objects.exists()


def test_draft_on_an_older_intake_is_not_signed(sign_in: Any, ada: User, formulary: FormularyVersion) -> None:
    plan = settled(draft_plan(by=ada), by=ada)
    assert obstacles_to_signing(plan) == []

    asked_before(plan.intake)

    assert [sentence for sentence in obstacles_to_signing(plan) if "Sarcoidosis" in sentence]
    page = sign_in(ada).get(reverse("protocols:plan", args=[plan.public_id])).content.decode()
    ask = reverse("patients:day_check", args=[plan.patient.public_id])
    assert f'href="{ask}?ask=blood_test_within_7_days&amp;ask=scalp_findings"' in page


def test_sarcoidosis_asked_for_reaches_the_plan(
    patient: Patient, ada: User, old: Intake, formulary: FormularyVersion
) -> None:
    asked_today(patient, by=ada, conditions=("sarcoidosis",))

    plan = create_plan(patient=patient, by=ada)

    assert "sarcoidosis_needling" in [row["rule"] for row in plan.result["cautions"]]


def test_formulary_that_does_not_know_the_new_values_plans_as_before(ada: User, earlier: FormularyVersion) -> None:
    patient = factories.patient(by=ada)
    asked_before(submitted_intake(patient=patient, by=ada))

    assert create_plan(patient=patient, by=ada).formulary == earlier
    assert standing_now(patient).state == "clear"


# ------------------------------------------------------------------ the standing


def test_plan_of_before_waits_for_what_was_never_asked(old_plan: Plan, ada: User, ben: User) -> None:
    found = of(old_plan)

    (only,) = found.reasons
    assert (found.state, only.kind, only.severity) == ("cautions", "not_asked", "caution")
    assert "Sarcoidosis" in only.message
    assert "Implant under the scalp" in only.message
    assert "Much weight lost" not in only.message  # no rule of this plan hangs on it
    assert only.url.endswith("?ask=scalp_implant_zones")
    day = found.day
    check_may_treat(old_plan.patient, old_plan, day, by=ben)  # booked and checked in as ever
    for who in (ben, ada):
        with pytest.raises(MayNotTreat, match="Ask it under “Anything changed"):
            check_may_treat(old_plan.patient, old_plan, day, by=who, needle=True, reason="I know him")


def test_nobody_acknowledges_what_was_not_asked(old_plan: Plan, ada: User) -> None:
    key = of(old_plan).reasons[0].key

    with pytest.raises(InvalidInput, match="Nobody can acknowledge it"):
        acknowledge_caution(plan=old_plan, key=key, reason_code="explained", note="", by=ada)


@pytest.mark.parametrize(
    ("answered", "state", "rules"),
    [
        ({}, "clear", []),
        ({"conditions": ("pyoderma_gangrenosum",)}, "stop", ["pathergy_disease"]),
        ({"conditions": ("vitiligo",)}, "cautions", ["koebner_lichen_or_vitiligo"]),
        ({"facts": {"scalp_implant_zones": ["vertex"]}}, "stop", ["implant_under_treated_zone", "implant_elsewhere"]),
        ({"facts": {"scalp_implant_zones": {"unknown": True}}}, "cautions", ["implant_under_treated_zone"]),
        ({"medications": None}, "stop", ["statement"]),
    ],
)
def test_answer_lifts_it_or_becomes_its_rule(
    answered: dict[str, Any], state: str, rules: list[str], old_plan: Plan, ada: User
) -> None:
    asked_today(old_plan.patient, by=ada, **answered)

    found = of(old_plan)

    assert (found.state, [reason.rule for reason in found.reasons]) == (state, rules)


def test_what_cannot_touch_the_plan_is_not_asked_for_it(old_plan: Plan, ada: User, dora: User) -> None:
    """Of somebody who ticked the new part of a list, and left one question open that only informs."""
    asked_today(old_plan.patient, by=ada, facts={"rapid_weight_loss": {"unknown": True}})

    assert of(old_plan).state == "clear"


def test_band_and_cautions_page_lead_to_the_questions(sign_in: Any, old_plan: Plan, ada: User) -> None:
    client = sign_in(ada)
    ask = reverse("patients:day_check", args=[old_plan.patient.public_id])

    page = client.get(reverse("protocols:plan_cautions", args=[old_plan.public_id])).content.decode()

    assert page.count(f'href="{ask}?ask=scalp_implant_zones"') == 2  # in the band, and beside the caution
    assert "Something new has to be asked" in page
    assert 'name="reason_code"' not in page


def test_person_who_answered_nothing_is_not_clear(sign_in: Any, patient: Patient, ada: User, formulary: Any) -> None:
    found = standing_now(patient)

    assert (found.state, [reason.kind for reason in found.reasons]) == ("unknown", ["unanswered"])
    page = sign_in(ada).get(reverse("sessions:patient", args=[patient.public_id])).content.decode()
    assert 'data-standing="unknown"' in page
    assert "Nothing is answered yet" in page


# ------------------------------------------------------------------ an amendment


def test_amendment_after_an_upgrade_asks_first_and_then_is_signed_by_the_new_version(
    sign_in: Any, old_plan: Plan, ada: User
) -> None:
    with pytest.raises(InvalidTransition, match=r"Not asked yet: .*Sarcoidosis"):
        amend_plan(plan=old_plan, by=ada)
    page = sign_in(ada).post(reverse("protocols:plan_amend", args=[old_plan.public_id]))
    assert page.status_code == 409
    assert f"Amend plan {old_plan.display_number}" in page.content.decode()
    day_facts = "?ask=blood_test_within_7_days&amp;ask=scalp_findings"  # of another day in the intake that stands
    assert reverse("patients:day_check", args=[old_plan.patient.public_id]) + day_facts in page.content.decode()
    asked_today(old_plan.patient, by=ada, facts={"scalp_findings": [], "blood_test_within_7_days": False})

    amended = settled(amend_plan(plan=old_plan, by=ada), by=ada)

    assert (amended.formulary.label, amended.result["formulary_version"]) == ("2026.2", "2026.2")
    assert amended.case["facts"]["scalp_implant_zones"] == []
    sign_plan(plan=amended, revision=amended.revision, password=factories.PASSWORD, by=ada)
    old_plan.refresh_from_db()
    assert old_plan.status == "superseded"
    assert of(amended).state == "clear"
