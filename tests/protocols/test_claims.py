"""A claim that rests on the web article alone says so wherever it is shown. No mail makes one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import reverse

from mesoclinic.accounts.models import User
from protocols.models import Ingredient, Plan
from protocols.words.answers import WEB_ARTICLE_ONLY
from sessions.mail.letters import PLACEHOLDERS, shipped
from tests.factories_protocols import draft_plan
from tests.protocols.test_plan_api import CASE, post
from tests.protocols.test_plan_documents import html_of
from tests.protocols.worked_cases import starter

CLAIMS = [
    (item.key, address.concern)
    for item in starter().by_index
    for address in item.addresses.values()
    if address.web_article_only
]


CIRCULATION = [
    {"concern": "androgenetic_alopecia", "severity": "moderate"},
    {"concern": "poor_scalp_circulation", "severity": "mild"},
]


@pytest.fixture
def plan(ada: User, formulary: Any) -> Plan:
    """A draft whose mixture holds coumarin for the circulation: the web article, and nobody's test."""
    made = draft_plan(by=ada, concerns=CIRCULATION)
    assert {row["ingredient"] for row in claimed(made.result)} == {"coumarin"}
    return made


def claimed(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"ingredient": line["ingredient"], **address}
        for syringe in result["syringes"]
        for line in syringe["lines"]
        for address in line["addresses"]
        if address["web_article_only"]
    ]


def test_there_are_such_claims() -> None:
    assert CLAIMS == [
        ("coumarin", "poor_scalp_circulation"),
        ("monomethylsilanetriol", "scalp_inflammation"),
        ("silanol_salicylate", "scalp_inflammation"),
    ]


def test_the_plans_page_says_so(plan: Plan, ada: User, sign_in) -> None:
    text = sign_in(ada).get(reverse("protocols:plan", args=[plan.public_id])).content.decode()
    assert text.count(WEB_ARTICLE_ONLY) == len(claimed(plan.result)) == 1


@pytest.mark.parametrize("kind", ["plan_patient", "plan_record"])
def test_the_prints_say_so(plan: Plan, ada: User, kind: str) -> None:
    from protocols.prints.documents import request_plan_pdf

    text = html_of(request_plan_pdf(plan=plan, kind=kind, by=ada))
    assert text.count(WEB_ARTICLE_ONLY) == 1


@pytest.mark.parametrize(("key", "concern"), CLAIMS)
def test_the_catalogue_says_so_on_its_page_and_over_the_api(
    formulary: Any, ada: User, sign_in, key: str, concern: str
) -> None:
    client, public_id = sign_in(ada), Ingredient.objects.get(key=key).public_id
    page = client.get(reverse("protocols:ingredient", args=[public_id])).content.decode()
    rows = client.get(f"/api/v1/ingredients/{public_id}/").json()["concerns"]

    assert page.count("Web article only") == 1
    assert {row["concern"]: row["notice"] for row in rows}[concern] == "Web article only"


def test_the_api_says_so(plan: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    case = CASE | {"facts": CASE["facts"] | {"medications": []}, "concerns": CIRCULATION}
    for answer in (
        post(client, "proposals", case).json(),
        post(client, "proposals/compare", {"old": case, "new": case}).json()["new"],
        client.get(f"/api/v1/plans/{plan.public_id}/").json()["result"],
    ):
        assert [(row["ingredient"], row["notice"]) for row in claimed(answer)] == [("coumarin", WEB_ARTICLE_ONLY)]


def test_no_mail_makes_a_claim_about_an_ingredient() -> None:
    """Nothing that a mail can say names an ingredient, in its own words or by a placeholder."""
    names = {starter().ingredients[key].name.casefold() for key, _ in CLAIMS}
    for language in ("en", "fr", "es"):
        words = json.dumps(shipped(language), ensure_ascii=False).casefold()
        assert not [name for name in names if name in words]
    assert not {"ingredient", "ingredients", "mixture", "doses", "reason"} & set().union(*PLACEHOLDERS.values())
