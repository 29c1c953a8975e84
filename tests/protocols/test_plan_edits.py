"""Edits by hand: what they cost, why they were made, and where every figure comes from."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse

from mesoclinic.accounts.models import User
from protocols.actions.drafts import edit_plan
from protocols.actions.refusals import NotReadyToSign
from protocols.actions.signing import sign_plan
from protocols.formulary.queries import documents_of
from protocols.models import FormularyVersion, Plan
from protocols.pages.origins import rule_sources
from protocols.pages.plan import Reader
from protocols.plans.queries import obstacles_to_signing, unsettled_facts
from tests import factories
from tests.factories_protocols import draft_plan

UNSAID = "1 volume was set away from the usual: say why."


def page(client, plan: Plan) -> str:
    return client.get(reverse("protocols:plan", args=[plan.public_id])).content.decode()


def volume(plan: Plan, by: User, ml: str, **more: str) -> None:
    edit = {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": ml, **more}
    edit_plan(plan=plan, revision=plan.revision, edits=[edit], by=by)


def test_a_volume_away_from_the_usual_needs_a_reason_before_signing(ready: Plan, ada: User, sign_in) -> None:
    volume(ready, ada, "1.25")
    assert obstacles_to_signing(ready) == [UNSAID]
    assert "Say why before you sign" in page(sign_in(ada), ready)
    with pytest.raises(NotReadyToSign):
        sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=ada)

    volume(ready, ada, "1.25", reason="tolerance")
    assert obstacles_to_signing(ready) == []
    text = page(sign_in(ada), ready)
    assert "Say why before you sign" not in text
    assert Reader(ready).edits() == ["Biochanin A set to 1.25 mL (Tolerated badly or well before)"]
    sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=ada)
    assert ready.edits[0]["reason"] == "tolerance"


def test_the_usual_volume_needs_none(ready: Plan, ada: User) -> None:
    volume(ready, ada, "1.00")
    assert obstacles_to_signing(ready) == []


def test_an_edit_shows_its_cost_in_value(draft: Plan, ada: User, sign_in) -> None:
    lines = draft.result["syringes"][0]["lines"]
    last = [line["ingredient"] for line in lines if line["role"] != "diluent"][-1]
    edit_plan(plan=draft, revision=draft.revision, edits=[{"op": "remove", "ingredient": last}], by=ada)
    cost = Decimal(draft.result["value_cost"])
    assert cost == Decimal(draft.proposal["value"]) - Decimal(draft.result["value"]) != 0
    assert Reader(draft).value_cost in page(sign_in(ada), draft)
    assert "than proposed" in Reader(draft).value_cost


def test_the_card_of_the_plan_claims_no_best_value(draft: Plan, ada: User, sign_in) -> None:
    text = page(sign_in(ada), draft)
    assert "Best value" not in text
    assert "An alternative can rank higher where it gives up a first choice." in text


def test_every_figure_says_where_it_comes_from(draft: Plan, ada: User, sign_in) -> None:
    found = Reader(draft).origins
    assert [row["label"] for row in found["area"]] == [
        "Overall severity", "Treated area", "Target volume", "Injection points", "Injecting time",
    ]  # fmt: skip
    assert [row["label"] for row in found["course"]] == [
        "Sessions", "Days from first to last", "Technique", "Windows of the sessions",
    ]  # fmt: skip
    assert [row["label"] for row in found["cost"]] == ["Expected price"]
    assert page(sign_in(ada), draft).count("Where this comes from") == 4
    assert rule_sources(documents_of(draft.formulary), "course.nothing.such") == rule_sources(
        documents_of(draft.formulary), "course"
    )


def test_what_the_person_does_not_know_is_a_question_for_the_practitioner(
    ada: User, formulary: FormularyVersion, sign_in
) -> None:
    plan = draft_plan(by=ada, facts={"days_since_filler_head": {"unknown": True}})
    marked = [row.fact for row in Reader(plan).questions("open_questions") if row.not_known]
    assert marked == ["days_since_filler_head"]
    assert "The person did not know" in page(sign_in(ada), plan)
    assert "days_since_filler_head" in unsettled_facts(plan)
