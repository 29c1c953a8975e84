from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from mesoclinic.accounts.models import User
from patients.actions.intake import start_intake
from patients.models import Intake
from protocols.plans.proposing import starter_formulary
from protocols.views.screening_preview import findings_of
from protocols.words.terms import words_of
from tests import factories

NOBODY_ASKED: dict[str, Any] = {"facts": {"age_years": 39, "sex_at_birth": "male"}, "concerns": [], "zones": []}


def rules(**facts: Any) -> dict[str, str]:
    case = NOBODY_ASKED | {"facts": NOBODY_ASKED["facts"] | facts}
    return {said.rule: said.severity for said in findings_of(case, starter_formulary())}


def test_preview_of_no_answers_decides_nothing() -> None:
    assert rules() == {}
    assert rules(medications=[], conditions=[], allergies=[]) == {}


@pytest.mark.parametrize(
    ("facts", "rule", "severity"),
    [
        ({"medications": ["doac"]}, "anticoagulant", "absolute"),
        ({"medications": ["antiplatelet_single"]}, "antiplatelet_single", "caution"),
        ({"medications": ["antiplatelet_single"]}, "bleeding_risk_ingredients", "exclude"),
    ],
)
def test_preview_says_what_an_answer_decides(facts: dict[str, Any], rule: str, severity: str) -> None:
    assert rules(**facts).get(rule, "") == severity


def test_preview_of_patches_without_a_diagnosis_asked_waits_for_the_answer() -> None:
    case = NOBODY_ASKED | {"concerns": [{"concern": "patchy_loss", "severity": "mild"}]}
    assert findings_of(case, starter_formulary()) == []


def test_preview_of_patches_that_somebody_says_are_not_there_asks_for_a_diagnosis_first() -> None:
    case = NOBODY_ASKED | {
        "facts": NOBODY_ASKED["facts"] | {"patchy_diagnosis": "not_applicable"},
        "concerns": [{"concern": "patchy_loss", "severity": "mild"}],
    }
    said = [row for row in findings_of(case, starter_formulary()) if row.rule == "referral_first_patchy_loss"]
    assert [row.severity for row in said] == ["absolute"]
    assert said[0].text.endswith(": no plan until a specialist's diagnosis has been recorded.")


def test_every_rule_can_be_said_by_its_key_alone() -> None:
    """A page that lists rules has nothing else of them: not what the engine reckoned with."""
    formulary = starter_formulary()
    words = words_of(formulary)
    assert [rule.key for rule in formulary.rules if not words.rule_message({"rule": rule.key}).strip()] == []


def test_preview_of_an_implant_waits_for_the_zones_that_are_treated() -> None:
    """No zone is assumed: an implant at the crown says nothing about a treatment of nobody knows where."""
    told = NOBODY_ASKED | {"facts": NOBODY_ASKED["facts"] | {"scalp_implant_zones": ["vertex"]}}
    over = told | {"zones": [{"zone": "vertex", "area_cm2": "80"}]}

    before, after = ({said.rule for said in findings_of(case, starter_formulary())} for case in (told, over))

    assert "implant_under_treated_zone" not in before
    assert after - before == {"implant_under_treated_zone"}


@pytest.mark.django_db
def test_preview_view_is_for_those_who_fill_in_at_their_site(
    sign_in: Any, ada: User, dan: User, dora: User, django_assert_num_queries: Any
) -> None:
    intake: Intake = start_intake(patient=factories.patient(by=ada), by=ada)
    url = reverse("protocols:screening_preview")
    typed = {"intake": str(intake.public_id), "parts": "1", "revision": "0", "fact-bp_systolic": "x"}
    assert sign_in(ada).post(url, typed).status_code == 200
    assert sign_in(dan).post(url, typed).status_code == 404
    assert sign_in(ada).post(url, {"intake": "x"}).status_code == 404
    assert sign_in(dora).post(url, typed).status_code == 403
    intake.refresh_from_db()
    assert intake.revision == 0
