"""The API: ingredients, stateless proposals, plans. The same walls as the pages; nothing is signed here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from patients.models import Intake
from protocols.models import FormularyVersion, Ingredient, Plan
from protocols.models.enums import PlanStatus
from tests import factories
from tests.factories_protocols import CONCERNS, FACTS, submitted_intake

CASE: dict[str, Any] = {
    "facts": {"age_years": 39, "sex_at_birth": "male", **FACTS, "medications": ["antiplatelet_single"]},
    "concerns": CONCERNS,
    "zones": ["frontal", {"zone": "vertex", "area_cm2": 62}],
}


def post(client, path: str, data: Any):
    body = data if isinstance(data, str) else json.dumps(data)
    return client.post(f"/api/v1/{path}/", body, content_type="application/json")


# ------------------------------------------------------------------ ingredients


def test_ingredients_are_those_in_force(formulary: FormularyVersion, ben: User, sign_in) -> None:
    answer = sign_in(ben).get("/api/v1/ingredients/?limit=200").json()
    assert answer["count"] == formulary.entries.count()
    row = next(row for row in answer["results"] if row["key"] == "biochanin_a")
    assert row["per_session"] == {
        "volume_min_ml": "0.50", "volume_usual_ml": "1.00", "volume_max_ml": "1.50",
        "dose_min": "0.1", "dose_usual": "0.2", "dose_max": "0.3", "dose_unit": "mg",
    }  # fmt: skip
    assert row["concerns"][0]["evidence_grade"] == "B"
    assert row["concerns"][0]["direction"] == "supports"


def test_an_ingredient_brings_its_rules_and_pairs(formulary: FormularyVersion, ben: User, sign_in) -> None:
    found = Ingredient.objects.get(key="biochanin_a")
    row = sign_in(ben).get(f"/api/v1/ingredients/{found.public_id}/").json()
    assert row["formulary"] == "2026.1"
    assert "allergy_soy" in [rule["rule"] for rule in row["rules"]]
    assert "biochanin_hyaluronate" in [pair["pair"] for pair in row["pairs"]]


def test_ingredients_can_be_filtered(formulary: FormularyVersion, ben: User, sign_in) -> None:
    rows = sign_in(ben).get("/api/v1/ingredients/?kind=peptide&status=on").json()["results"]
    assert rows and {row["ingredient_class"] for row in rows} == {"peptide"}
    assert all(row["is_active"] for row in rows)


def test_without_a_formulary_there_are_no_ingredients_and_no_proposals(ada: User, sign_in) -> None:
    client = sign_in(ada)
    assert client.get("/api/v1/ingredients/").json()["count"] == 0
    assert post(client, "proposals", CASE).status_code == 409


# ------------------------------------------------------------------ proposals


def test_a_proposal_is_answered_and_nothing_is_stored(formulary: FormularyVersion, ada: User, sign_in) -> None:
    answer = post(sign_in(ada), "proposals", CASE)
    said = answer.json()
    assert (answer.status_code, said["status"]) == (200, "proposed")
    assert [row["rule"] for row in said["cautions"]] == ["antiplatelet_single"]
    assert said["cost"]["currency"] == "EUR"
    assert said["formulary_version"] == "2026.1"
    assert not Plan.objects.exists() and not Intake.objects.exists()


@pytest.mark.parametrize(
    ("facts", "status"),
    [({"fever_or_acute_illness": True}, "blocked"), ({"allergies": "unknown"}, "incomplete")],
)
def test_blocked_and_incomplete_are_answers_too(
    formulary: FormularyVersion, ada: User, sign_in, facts: dict[str, Any], status: str
) -> None:
    answer = post(sign_in(ada), "proposals", CASE | {"facts": CASE["facts"] | facts})
    assert (answer.status_code, answer.json()["status"]) == (200, status)


def test_bad_input_gets_a_sentence_at_each_place(formulary: FormularyVersion, ada: User, sign_in) -> None:
    case = CASE | {
        "facts": CASE["facts"] | {"age_years": -1, "allergies": ["fisch"]},
        "concerns": [],
        "zones": ["fontal"],
    }
    answer = post(sign_in(ada), "proposals", case)
    said = answer.json()
    assert answer.status_code == 400
    assert set(said) == {"facts.age_years", "facts.allergies[0]", "concerns", "zones[0]"}
    assert "Did you mean fish" in said["facts.allergies[0]"][0]
    assert "frontal" in said["zones[0]"][0]


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", '"x"', "1", '{"facts": NaN}', "[" * 5000, '{"facts":' * 3000, '{"a": "\\u0000"}'],
    ids=["empty", "broken", "list", "null", "text", "number", "nan", "deep list", "deep mapping", "nul"],
)
def test_a_body_that_is_no_case_is_400_and_never_a_crash(
    formulary: FormularyVersion, ada: User, sign_in, body: str
) -> None:
    assert post(sign_in(ada), "proposals", body).status_code == 400


# ------------------------------------------------------------------ plans


def test_a_plan_is_made_listed_and_read(formulary: FormularyVersion, ada: User, sign_in) -> None:
    patient = factories.patient(by=ada)
    submitted_intake(patient=patient, by=ada)
    client = sign_in(ada)

    made = post(client, "plans", {"patient": str(patient.public_id)})
    plan = Plan.objects.get()

    assert made.status_code == 201
    assert made.json()["id"] == str(plan.public_id)
    assert made.json()["result"]["status"] == "proposed"
    listed = client.get("/api/v1/plans/").json()
    assert [(row["id"], row["status"], row["patient"]) for row in listed["results"]] == [
        (str(plan.public_id), "draft", str(patient.public_id))
    ]
    assert "result" not in listed["results"][0]
    read = client.get(f"/api/v1/plans/{plan.public_id}/").json()
    assert read["obstacles"]
    assert AuditEvent.objects.filter(action="plan.viewed", target_id=plan.public_id).count() == 1
    assert AuditEvent.objects.get(action="plans.listed").details == {"shown": [str(plan.public_id)]}


def test_a_refusal_is_a_sentence(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    again = post(client, "plans", {"patient": str(draft.patient.public_id)})
    assert again.status_code == 409
    assert again.json() == {"detail": ["A draft of a plan is open already. Sign it or discard it first."]}
    assert post(client, "plans", {}).json() == {"patient": ["This field is required."]}
    assert post(client, "plans", {"patient": "nobody"}).status_code == 400


def test_nothing_is_signed_or_changed_over_the_api(ready: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    path = f"/api/v1/plans/{ready.public_id}/"
    for method in ("put", "patch", "delete"):
        assert getattr(client, method)(path, "{}", content_type="application/json").status_code in (403, 405)
    assert client.post(path + "sign/", "{}", content_type="application/json").status_code == 404


ACCESS = [
    ("ada", 200, 200, 200, 409),
    ("ben", 200, 200, 200, 403),
    ("dora", 200, 200, 200, 403),
    ("cleo", 403, 403, 403, 403),
    ("dan", 200, 200, 404, 400),
]


@pytest.mark.parametrize(("who", "ingredients", "proposals", "plan", "create"), ACCESS, ids=[row[0] for row in ACCESS])
def test_each_role_over_the_api(
    request: pytest.FixtureRequest,
    draft: Plan,
    sign_in,
    who: str,
    ingredients: int,
    proposals: int,
    plan: int,
    create: int,
) -> None:
    client = sign_in(request.getfixturevalue(who))
    assert client.get("/api/v1/ingredients/").status_code == ingredients
    assert post(client, "proposals", CASE).status_code == proposals
    assert client.get(f"/api/v1/plans/{draft.public_id}/").status_code == plan
    assert post(client, "plans", {"patient": str(draft.patient.public_id)}).status_code == create


def test_another_sites_plans_are_not_listed(draft: Plan, dan: User, sign_in) -> None:
    assert sign_in(dan).get("/api/v1/plans/").json()["count"] == 0


def test_the_list_costs_the_same_at_3_and_at_300_plans(signed: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)

    def more(first: int, last: int) -> None:
        rows = []
        for number in range(first, last):
            row = Plan.objects.get(pk=signed.pk)
            row.pk, row.number, row._state.adding = None, number, True
            row.public_id, row.status = __import__("uuid").uuid4(), PlanStatus.COMPLETED  # one is in force
            rows.append(row)
        Plan.objects.bulk_create(rows)

    def count() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get("/api/v1/plans/?limit=300").status_code == 200
        return len(found)

    more(2, 4)
    at_three = count()
    more(4, 301)
    assert count() == at_three
    assert at_three <= 25  # PostgreSQL takes the trail's lock in one more


def test_the_schema_names_every_endpoint(ada: User, sign_in) -> None:
    paths = sign_in(ada).get("/api/v1/schema/").json()["paths"]
    assert {
        "/api/v1/ingredients/",
        "/api/v1/ingredients/{id}/",
        "/api/v1/proposals/",
        "/api/v1/plans/",
        "/api/v1/plans/{id}/",
    } <= set(paths)


@pytest.mark.parametrize(
    ("sent", "stored", "said"),
    [
        ({"value": 11, "unit": "%"}, "97", ""),
        ({"value": "7.0", "unit": "%"}, "53", ""),
        ({"value": 7.2, "unit": "%"}, "55", ""),
        ({"value": 7.2, "unit": [["%"]]}, None, "Choose the unit: mmol/mol, %."),
        ({"value": [7], "unit": "%"}, None, "Write a number."),
        ("53", "53", ""),
        (11, None, "11 looks like %: HbA1c 11 % is 97 mmol/mol. Which is it?"),
        ({"value": 53, "unit": "%"}, None, "53 looks like mmol/mol: HbA1c 53 mmol/mol is 7 %. Which is it?"),
        ({"value": 53, "unit": "mg"}, None, "“mg” is not a unit of this value. It is given in mmol/mol, %."),
        (205, None, "It must be between 21 and 195 mmol/mol."),
    ],
)
def test_a_measured_value_comes_with_its_unit_or_is_asked_back(
    sent: Any, stored: str | None, said: str, formulary: FormularyVersion, ada: User, sign_in
) -> None:
    client, case = sign_in(ada), CASE | {"facts": {**CASE["facts"], "lab_hba1c": sent}}
    answer, compared = post(client, "proposals", case), post(client, "proposals/compare", {"old": CASE, "new": case})
    if said:
        assert (answer.status_code, answer.json()) == (400, {"facts.lab_hba1c": [said]})
        assert (compared.status_code, compared.json()) == (400, {"new.facts.lab_hba1c": [said]})
    else:
        same = CASE | {"facts": {**CASE["facts"], "lab_hba1c": stored}}
        assert answer.json()["fingerprint"] == post(client, "proposals", same).json()["fingerprint"]
        assert compared.json()["new"]["fingerprint"] == answer.json()["fingerprint"]
