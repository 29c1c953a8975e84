"""A clinic that takes a new release while its own, older formulary is still in force."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidTransition
from patients.actions.intake import start_intake
from patients.vocabulary import load_vocabulary
from protocols.engine import build_formulary
from protocols.formulary.loader import load_documents
from protocols.models import FormularyVersion, Plan
from protocols.models.enums import FormularyStatus
from protocols.plans.fitting import Unheard, fit_to_version
from protocols.plans.queries import obstacles_to_signing
from protocols.standing.standing import standing, standing_now
from tests import factories
from tests.factories_protocols import (
    draft_plan,
    published_formulary,
    settled,
    signed_plan,
    submitted_intake,
)
from tests.protocols.earlier import earlier_version
from tests.protocols.worked_cases import earlier_formulary

NO_TO_ALL_NEW: dict[str, Any] = {
    "scalp_tenderness_new": False,
    "scalp_implant_zones": [],
    "rapid_weight_loss": False,
    "hcg_monitoring": False,
}
"""The questions that formulary 2026.2 brought, each with the answer that says nothing."""

SAYS_SOMETHING: list[tuple[str, Any, str]] = [
    ("scalp_tenderness_new", True, "tender"),
    ("scalp_implant_zones", ["vertex"], "crown"),
    ("rapid_weight_loss", True, "weight"),
    ("medications", ["lithium"], "Lithium"),
    ("conditions", ["behcet_disease"], "Behçet"),
]


@pytest.fixture
def earlier(dora: User) -> FormularyVersion:
    return earlier_version(by=dora)


def of(plan: Plan):
    return standing(plan.patient, plan, timezone.localdate(timezone=plan.patient.site.tz))


def test_new_questions_are_those_that_the_version_before_does_not_know() -> None:
    known = earlier_formulary().facts

    assert set(load_vocabulary().facts) - set(known) == set(NO_TO_ALL_NEW)


def test_no_to_what_a_version_does_not_know_is_left_out() -> None:
    case = {"facts": {"conditions": ["asthma"], **NO_TO_ALL_NEW}, "concerns": [], "zones": [], "waived": {"odd": {}}}

    found = fit_to_version(case, earlier_formulary())

    assert found.unheard == ()
    assert found.case == {"facts": {"conditions": ["asthma"]}, "concerns": [], "zones": [], "waived": {}}


def test_every_answer_that_says_something_and_is_not_known_is_named() -> None:
    case = {
        "facts": {"conditions": ["asthma", "vitiligo"], "anaphylaxis_history": "twice", "lab_new": 3},
        "concerns": [{"concern": "new_concern", "severity": "mild"}],
        "zones": [{"zone": "beard", "area_cm2": "30"}],
    }

    found = fit_to_version(case, earlier_formulary())

    assert found.case == {"facts": {"conditions": ["asthma"]}, "concerns": [], "zones": []}
    assert found.unheard == (
        Unheard(part="facts", key="conditions", value="vitiligo"),
        Unheard(part="facts", key="anaphylaxis_history", value="twice"),
        Unheard(part="facts", key="lab_new", value=3),
        Unheard(part="concerns", key="new_concern"),
        Unheard(part="zones", key="beard"),
    )


def test_todays_formulary_knows_every_answer_of_todays_intake() -> None:
    today, vocabulary = build_formulary(load_documents()), load_vocabulary()
    facts: dict[str, Any] = {
        fact.key: [choice.key for choice in fact.values] if fact.type == "list" else True
        for fact in vocabulary.facts.values()
        if fact.type in ("list", "boolean")
    }
    rows = {
        "concerns": [{"concern": key} for key in vocabulary.concerns],
        "zones": [{"zone": key} for key in vocabulary.zones],
    }

    assert fit_to_version({"facts": facts, **rows}, today).unheard == ()


def test_no_to_the_new_questions_is_planned_signed_and_clear_by_the_older_version(ada: User, earlier) -> None:
    plan = signed_plan(by=ada, facts=NO_TO_ALL_NEW)

    assert plan.formulary == earlier
    assert plan.result["formulary_version"] == "2026.1"
    assert not set(NO_TO_ALL_NEW) & set(plan.case["facts"])
    submitted_intake(patient=plan.patient, by=ada, facts=NO_TO_ALL_NEW)
    assert of(plan).state == "clear"


@pytest.mark.parametrize(("fact", "value", "named"), SAYS_SOMETHING)
def test_yes_that_the_formulary_in_force_does_not_know_makes_no_plan(
    fact: str, value: Any, named: str, ada: User, earlier
) -> None:
    with pytest.raises(
        InvalidTransition, match=r"Formulary 2026\.1 has no rule for: .*publishes formulary 2026\.2"
    ) as no:
        draft_plan(by=ada, facts={**NO_TO_ALL_NEW, fact: value})

    assert named.lower() in str(no.value).lower()
    assert not Plan.objects.exists()


@pytest.mark.parametrize(("fact", "value", "named"), SAYS_SOMETHING)
def test_yes_that_the_plans_formulary_does_not_know_is_a_stop_with_its_answer(
    fact: str, value: Any, named: str, ada: User, earlier
) -> None:
    plan = signed_plan(by=ada, facts=NO_TO_ALL_NEW)
    submitted_intake(patient=plan.patient, by=ada, facts={**NO_TO_ALL_NEW, fact: value})

    (only,) = of(plan).stops

    assert (only.kind, only.rule, only.where) == ("unheard", "unheard", "intake 2")
    assert named.lower() in only.answer.lower()
    assert "publishes formulary 2026.2 first" in only.lifts


def test_draft_on_the_older_version_is_not_signed_once_a_yes_is_said(ada: User, earlier) -> None:
    plan = settled(draft_plan(by=ada, facts=NO_TO_ALL_NEW), by=ada)
    assert obstacles_to_signing(plan) == []
    plan.intake.facts["conditions"] = ["behcet_disease"]

    assert any("Behçet" in sentence and "has no rule for" in sentence for sentence in obstacles_to_signing(plan))


def test_version_in_force_judges_what_the_older_one_of_the_plan_does_not_know(ada: User, dora: User, earlier) -> None:
    plans = {
        value: signed_plan(by=ada, patient=factories.patient(by=ada, family_name=name), facts=NO_TO_ALL_NEW)
        for value, name in (("behcet_disease", "One"), ("vitiligo", "Two"), ("high_blood_calcium", "Three"))
    }
    published_formulary(by=dora, label="2026.2", new=True)
    earlier.refresh_from_db()
    assert earlier.status != FormularyStatus.PUBLISHED
    for value, plan in plans.items():
        submitted_intake(patient=plan.patient, by=ada, facts={**NO_TO_ALL_NEW, "conditions": [value]})

    found = {value: [(row.rule, row.severity) for row in of(plan).reasons] for value, plan in plans.items()}

    assert found["behcet_disease"] == [("pathergy_disease", "absolute")]
    assert found["vitiligo"] == [("koebner_lichen_or_vitiligo", "caution")]
    assert found["high_blood_calcium"] == []


def test_person_without_a_plan_is_shown_with_what_no_rule_judges(ada: User, earlier) -> None:
    patient = factories.patient(by=ada)
    submitted_intake(patient=patient, by=ada, facts={**NO_TO_ALL_NEW, "scalp_tenderness_new": True})

    found = standing_now(patient)

    assert (found.state, [row.kind for row in found.reasons]) == ("cautions", ["unheard"])


def test_preview_beside_the_intake_names_what_the_version_in_force_does_not_know(ada: User, earlier, sign_in) -> None:
    patient = factories.patient(by=ada)
    submitted_intake(patient=patient, by=ada, facts={**NO_TO_ALL_NEW, "conditions": ["vitiligo"]})
    draft = start_intake(patient=patient, by=ada)

    page = sign_in(ada).post(reverse("protocols:screening_preview"), {"intake": str(draft.public_id), "saved": "1"})

    assert "Formulary 2026.1 has no rule for: “" in page.content.decode()
    assert "Vitiligo" in page.content.decode()
