"""What if: the change, what follows beside what is, in words; nothing kept but what may be taken over."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput
from protocols.actions.answers import take_over_what_if
from protocols.engine import Policy, build_formulary
from protocols.engine.schema import ANSWER_SCHEMA
from protocols.formulary.loader import load_documents
from protocols.management.commands.recompute import differences
from protocols.models import FormularyVersion, Plan
from protocols.plans.computing import verified
from protocols.plans.proposing import COMPARISON_SCHEMA
from protocols.plans.what_if import Change, is_wider
from tests.protocols.test_plan_api import CASE, post

HTMX = {"HX-Request": "true"}


def ask(client, plan: Plan, htmx: bool = False, **fields: str | list[str]):
    url = reverse("protocols:plan_what_if", args=[plan.public_id])
    return client.post(url, {"revision": plan.revision, **fields}, headers=HTMX if htmx else {})


def said(page) -> list[str]:
    return page.context["answered"].differences


def test_the_page_works_without_script(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    page = client.get(reverse("protocols:plan_what_if", args=[draft.public_id]))
    text = page.content.decode()
    assert page.status_code == 200 and "Teodor Brandvold" in text and "Show what follows" in text
    assert (
        reverse("protocols:plan_what_if", args=[draft.public_id])
        in client.get(reverse("protocols:plan", args=[draft.public_id])).content.decode()
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"vegan": "yes"}, "Polydeoxyribonucleotide (PDRN) is no longer in the mixture."),
        ({"answer": "fever_or_acute_illness:yes"}, "Status: blocked instead of proposed."),
        ({"stock_of": "biochanin_a", "stock_ml": "0"}, "Biochanin A is no longer in the mixture."),
        ({"avoid": "biochanin_a"}, "Biochanin A is no longer in the mixture."),
        ({"max_actives": "2"}, "Polydeoxyribonucleotide (PDRN) is no longer in the mixture."),
        ({"answer": "medications:antiplatelet_single"}, "No longer: Single antiplatelet"),
    ],
    ids=["wish", "fact", "stock", "avoid", "policy", "medicine away"],
)
def test_each_kind_of_change_is_named_and_nothing_is_kept(
    draft: Plan, ada: User, sign_in, fields: dict[str, str], words: str
) -> None:
    before = (draft.revision, draft.case, draft.result)
    page = ask(sign_in(ada), draft, **fields)

    assert page.status_code == 200
    assert any(line.startswith(words) for line in said(page)), said(page)
    assert "The plan now" in page.content.decode() and "What would follow" in page.content.decode()
    draft.refresh_from_db()
    assert (draft.revision, draft.case, draft.result) == before
    assert AuditEvent.objects.filter(action="plan.what_if_asked").count() == 1


def test_a_budget_is_the_price_of_the_course(draft: Plan, ada: User, sign_in) -> None:
    """What it does not buy is left out, and the course that follows costs no more."""
    total = Decimal(draft.result["cost"]["total"])
    client, cheaper = sign_in(ada), total * Decimal("0.8")
    page = ask(client, draft, budget=f"{cheaper:.2f}")

    assert any("no longer in the mixture" in line for line in said(page))
    assert Decimal(page.context["answered"].new["cost"]["total"]) <= cheaper
    ample = ask(client, draft, budget=f"{total:.2f}").context["answered"].new
    assert total * Decimal("0.9") < Decimal(ample["cost"]["total"]) <= total


def test_several_answers_are_changed_at_once_by_typing(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    offered = client.get(reverse("protocols:plan_what_if", args=[draft.public_id])).context["reader"]
    words = {value: text for text, value in offered.answers_by_words().items()}
    typed = [words["fever_or_acute_illness:yes"].upper(), words["vegan_preference:yes"], "", "bp_systolic: 130"]
    page = ask(client, draft, answer=typed)

    assert page.status_code == 200
    assert set(page.context["form"].change.facts) == {"fever_or_acute_illness", "vegan_preference", "bp_systolic"}
    assert "Status: blocked instead of proposed." in said(page)
    assert page.content.decode().count('name="answer"') == 4  # what was typed, and an empty line

    both = [
        words["conditions:asthma"],
        words["conditions:epilepsy"],
    ]
    assert len(ask(client, draft, answer=both).context["form"].change.facts["conditions"]) == 2


def test_what_changes_nothing_says_so(draft: Plan, ada: User, sign_in) -> None:
    page = ask(sign_in(ada), draft, vegan="no")
    assert said(page) == []
    assert "The proposal would be the same." in page.content.decode()


def test_the_dialog_gets_the_fragment_alone(draft: Plan, ada: User, sign_in) -> None:
    text = ask(sign_in(ada), draft, htmx=True, vegan="yes").content.decode()
    assert "<html" not in text and "no longer in the mixture" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Change at least one thing."),
        ({"max_actives": "99"}, "less than or equal to 8"),
        ({"stock_of": "biochanin_a"}, "Write how much there is."),
        ({"stock_ml": "2"}, "Choose which."),
        ({"answer": "age_years:"}, "Write the value."),
        ({"answer": "bp_systolic: high"}, "number"),
        ({"answer": "nonsense:yes"}, "This answer is not known."),
        ({"answer": "Fever or ilness: yes"}, "Did you mean"),
        ({"budget": "1"}, "The injections alone come to"),
    ],
)
def test_a_change_that_cannot_be_is_refused_beside_its_field(
    draft: Plan, ada: User, sign_in, fields: dict[str, str], words: str
) -> None:
    page = ask(sign_in(ada), draft, **fields)
    assert page.status_code == 400
    assert words in page.content.decode()


# ------------------------------------------------------------------ taking over


def test_a_fact_of_the_intake_is_not_taken_over(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    page = ask(client, draft, vegan="yes")
    assert "changes through a new intake" in page.content.decode()
    assert "Take this over" not in page.content.decode()
    assert ask(client, draft, vegan="yes", take_over="1").status_code == 400
    draft.refresh_from_db()
    assert draft.case["facts"]["vegan_preference"] is False


def test_the_answer_of_an_open_question_is_taken_over(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    change = {"answer": "bp_systolic: 130"}
    assert "bp_systolic" in [row["fact"] for row in draft.result["open_questions"]]
    assert "Take this over" in ask(client, draft, **change).content.decode()
    assert ask(client, draft, take_over="1", **change).status_code == 302
    draft.refresh_from_db()
    assert draft.case["facts"]["bp_systolic"] == 130
    assert draft.open_answers.get().by == ada


def test_a_tighter_limit_is_taken_over_and_the_plan_still_verifies(draft: Plan, ada: User, sign_in) -> None:
    assert ask(sign_in(ada), draft, max_actives="2", take_over="1").status_code == 302
    draft.refresh_from_db()
    assert draft.case["policy"] == {"max_actives": 2}
    actives = [row for s in draft.result["syringes"] for row in s["lines"] if row["role"] != "diluent"]
    assert len(actives) == 2
    assert verified(draft) == [] and differences(draft) == []
    assert AuditEvent.objects.get(action="plan.limits_tightened").details["limits"] == ["max_actives"]


def test_a_limit_wider_than_the_clinics_is_not_taken_over(draft: Plan, ada: User, sign_in) -> None:
    Plan.objects.filter(pk=draft.pk).update(policy=draft.policy | {"max_actives": 3})
    page = ask(sign_in(ada), draft, max_actives="3")
    assert "Take this over" in page.content.decode()
    Plan.objects.filter(pk=draft.pk).update(policy=draft.policy | {"max_actives": 3, "allow_prescription": False})
    page = ask(sign_in(ada), draft, prescription="yes")
    assert "wider than the clinic" in page.content.decode()
    assert ask(sign_in(ada), draft, prescription="yes", take_over="1").status_code == 400


def test_a_limit_that_the_clinic_has_is_not_lifted_by_leaving_it_out(draft: Plan) -> None:
    """The API said so and the plan's page did not: a budget of none is wider than any."""
    draft.policy = draft.policy | {"ingredient_budget": "9"}
    assert is_wider(draft, Change(policy={"ingredient_budget": None}))
    assert is_wider(draft, Change(policy={"max_actives": 99}))  # more than the formulary itself allows
    assert not is_wider(draft, Change(policy={"ingredient_budget": "8.50", "avoid": ["pdrn"]}))


def test_taking_over_says_why_it_is_refused(draft: Plan, ada: User) -> None:
    with pytest.raises(InvalidInput, match="Nothing would be otherwise"):
        take_over_what_if(plan=draft, revision=draft.revision, change=Change(), by=ada)
    with pytest.raises(InvalidInput, match="Stock is what stands on the shelf"):
        take_over_what_if(plan=draft, revision=draft.revision, change=Change(stock={"pdrn": "1"}), by=ada)


def test_stock_is_not_taken_over(draft: Plan, ada: User, sign_in) -> None:
    page = ask(sign_in(ada), draft, stock_of="biochanin_a", stock_ml="0", take_over="1")
    assert page.status_code == 400


def test_an_old_page_takes_nothing_over(draft: Plan, ada: User, sign_in) -> None:
    page = ask(sign_in(ada), draft, max_actives="2", take_over="1", revision="7")
    assert page.status_code == 409 or page.status_code == 400
    assert page.context["answered"].new  # what it would give on the draft as it is now is shown first
    draft.refresh_from_db()
    assert draft.case["policy"] == {}


def test_who_reads_plans_asks_and_takes_nothing_over(draft: Plan, ben: User, cleo: User, dan: User, sign_in) -> None:
    nurse = sign_in(ben)
    page = ask(nurse, draft, max_actives="2")
    assert page.status_code == 200 and "Take this over" not in page.content.decode()
    assert ask(nurse, draft, max_actives="2", take_over="1").status_code in (400, 403)
    assert ask(sign_in(cleo), draft, max_actives="2").status_code == 403
    assert ask(sign_in(dan), draft, max_actives="2").status_code in (403, 404)
    draft.refresh_from_db()
    assert draft.case["policy"] == {}


def test_what_if_costs_the_same_queries_whatever_is_asked(draft: Plan, ada: User, sign_in) -> None:
    client, counts = sign_in(ada), []
    ask(client, draft, vegan="yes")
    for fields in ({"vegan": "yes"}, {"max_actives": "2"}, {"answer": "fever_or_acute_illness:yes"}):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            ask(client, draft, htmx=True, **fields)
        counts.append(len(queries))
    assert len(set(counts)) == 1 and counts[0] <= 20, counts


# ------------------------------------------------------------------ the API


def test_two_cases_are_compared_and_nothing_is_stored(formulary: FormularyVersion, ada: User, sign_in) -> None:
    new = CASE | {"facts": CASE["facts"] | {"vegan_preference": True}}
    answer = post(sign_in(ada), "proposals/compare", {"old": CASE, "new": new})
    assert answer.status_code == 200
    jsonschema.Draft202012Validator(COMPARISON_SCHEMA).validate(answer.json())
    assert "ingredient_gone" in [row["code"] for row in answer.json()["changes"]]
    assert not Plan.objects.exists()


@pytest.mark.parametrize("sent", [{}, [], {"old": CASE}, {"old": 1, "new": 2}, {"old": CASE, "new": {"facts": 3}}, "{"])
def test_nonsense_to_compare_is_a_sentence(formulary: FormularyVersion, ada: User, sign_in, sent: Any) -> None:
    assert post(sign_in(ada), "proposals/compare", sent).status_code == 400


def test_faults_say_which_case(formulary: FormularyVersion, ada: User, sign_in) -> None:
    answer = post(sign_in(ada), "proposals/compare", {"old": CASE, "new": CASE | {"zones": ["moon"]}})
    assert list(answer.json()) == ["new.zones[0]"]


def test_comparing_is_closed_to_who_may_not_read_plans(
    formulary: FormularyVersion, cleo: User, sign_in, client
) -> None:
    both = {"old": CASE, "new": CASE}
    assert post(sign_in(cleo), "proposals/compare", both).status_code == 403
    assert post(client, "proposals/compare", both).status_code in (401, 403)


@pytest.mark.parametrize(
    "facts", [{}, {"fever_or_acute_illness": True}, {"allergies": "unknown"}], ids=["proposed", "blocked", "incomplete"]
)
def test_every_answer_of_the_api_has_the_published_shape(
    formulary: FormularyVersion, ada: User, sign_in, facts: dict[str, Any]
) -> None:
    client = sign_in(ada)
    published = client.get("/api/v1/proposals/schema/").json()
    assert published == json.loads(json.dumps({"answer": ANSWER_SCHEMA, "comparison": COMPARISON_SCHEMA}))
    answer = post(client, "proposals", CASE | {"facts": CASE["facts"] | facts}).json()
    jsonschema.Draft202012Validator(published["answer"]).validate(answer)


def test_a_plans_answer_has_the_published_shape(signed: Plan, ada: User, sign_in) -> None:
    found = sign_in(ada).get(f"/api/v1/plans/{signed.public_id}/").json()
    jsonschema.Draft202012Validator(ANSWER_SCHEMA).validate(found["result"])


@pytest.mark.parametrize(
    ("clinic", "wished", "wider"),
    [
        ({}, {}, ()),
        ({}, {"max_actives": 2, "avoid": ["pdrn"], "allow_prescription": False, "ingredient_budget": "9"}, ()),
        ({"max_actives": 3}, {"max_actives": 3}, ()),
        ({"max_actives": 3}, {"max_actives": 4}, ("max_actives",)),
        ({"max_syringes": 1}, {"max_syringes": 2}, ("max_syringes",)),
        ({"allow_prescription": False}, {"allow_prescription": True}, ("allow_prescription",)),
        ({"ingredient_budget": "9"}, {"ingredient_budget": "9"}, ()),
        ({"ingredient_budget": "9"}, {"ingredient_budget": "9.01"}, ("ingredient_budget",)),
        ({"ingredient_budget": "9"}, {"ingredient_budget": None}, ("ingredient_budget",)),
        ({"avoid": ["pdrn"]}, {"avoid": []}, ("avoid",)),
        ({"avoid": ["pdrn"]}, {"avoid": ["biotin", "pdrn"]}, ()),
        ({"max_actives": 3, "avoid": ["pdrn"]}, {"max_actives": 4, "avoid": []}, ("max_actives", "avoid")),
    ],
)
def test_policy_is_wider_where_it_allows_more_than_the_clinic(clinic: dict, wished: dict, wider: tuple) -> None:
    formulary = build_formulary(load_documents())
    own = Policy.from_mapping(clinic, formulary)
    assert own.overridden(wished, formulary).wider_than(own) == wider
