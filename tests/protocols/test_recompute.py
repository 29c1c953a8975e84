"""Sentences make no difference: plans are compared and signed by codes, parameters and numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import translation

from mesoclinic.accounts.models import User
from protocols.actions.answers import acknowledge
from protocols.actions.drafts import edit_plan
from protocols.engine import Policy, apply_edits, canonical_json, propose, verify
from protocols.engine.codes import without_sentences
from protocols.management.commands.recompute import Command, differences
from protocols.models import FormularyVersion, Plan
from protocols.plans.computing import bare_edits, formulary_of, shown_answer, verified
from protocols.plans.queries import live_acknowledgements, obstacles_to_signing
from protocols.plans.signature import signature, signature_holds, signed_content
from protocols.words import answers, contributions, terms
from tests.protocols.worked_cases import earlier_cases, earlier_formulary, man, starter

GOLDEN = Path(__file__).resolve().parent / "golden"


def run(*args: str) -> str:
    out = StringIO()
    call_command("recompute", *args, stdout=out)
    return out.getvalue()


def reworded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another release says everything in other words."""
    real = answers._
    in_words(monkeypatch, lambda text: f"» {real(text)}")


def in_words(monkeypatch: pytest.MonkeyPatch, said: Callable[[str], str]) -> None:
    for module in (answers, contributions, terms):
        monkeypatch.setattr(module, "_", said)


def test_a_changed_translation_leaves_plan_and_signature_as_they_were(
    signed: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shown_answer(signed)
    reworded(monkeypatch)

    assert shown_answer(signed)["cautions"][0]["message"] == "» " + before["cautions"][0]["message"]
    assert without_sentences(shown_answer(signed)) == without_sentences(before)
    assert signature_holds(signed)
    assert run("--all").endswith("1 looked at, 1 computed again, 0 different.\n")


def test_a_changed_translation_takes_no_acknowledgement_back(
    draft: Plan, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledge(
        plan=draft, revision=draft.revision, rule="antiplatelet_single", reason_code="explained", note="", by=ada
    )
    reworded(monkeypatch)
    edit = {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.25", "reason": "experience"}
    edit_plan(plan=draft, revision=draft.revision, edits=[edit], by=ada)
    assert list(live_acknowledgements(draft)) == ["antiplatelet_single"]


def test_the_answer_is_shown_in_the_readers_language(signed: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert signed.language == "en"
    in_words(monkeypatch, lambda text: f"{translation.get_language()}: {text}")
    with translation.override("fr"):
        said = shown_answer(signed)
    assert said["cautions"][0]["message"].startswith("fr: ")
    assert without_sentences(said) == without_sentences(signed.result)


@pytest.mark.parametrize("where", ["value", "dose", "code"])
def test_every_number_and_code_is_signed(signed: Plan, where: str) -> None:
    assert signed.signed_by and signed.signed_at
    before = signature(signed_content(signed, by=signed.signed_by, at=signed.signed_at))
    result: dict[str, Any] = signed.result
    if where == "value":
        result["value"] = "99"
    elif where == "dose":
        result["syringes"][0]["lines"][0]["dose"] = "99"
    else:
        result["left_out"][0]["reason_code"] = "no_stock"
    assert before == signed.signature_sha256
    assert signature(signed_content(signed, by=signed.signed_by, at=signed.signed_at)) != before


def as_signed_by(plan: Plan, version: str, spelling: int = 0) -> Plan:
    """The plan as an earlier engine would have left it: its answers, its version, a signature over both."""
    formulary = formulary_of(plan)
    policy = Policy.from_mapping(plan.policy, formulary)
    plan.proposal = propose(plan.case, formulary, policy).as_said_by(version)[spelling]
    edited = apply_edits(plan.case, formulary, policy, bare_edits(plan.edits)).proposal
    plan.result = edited.as_said_by(version)[spelling]
    plan.engine_version = version
    assert plan.signed_by and plan.signed_at
    plan.signature_sha256 = signature(signed_content(plan, by=plan.signed_by, at=plan.signed_at))
    return plan


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("case", earlier_cases(), ids=lambda case: case["id"])
def test_earlier_engines_are_still_spoken_to_the_byte(case: dict[str, Any], version: str) -> None:
    """Their answers, and the formulary they were computed from, never change: MESOCLINIC_GOLDEN does not renew them."""
    kept = json.loads((GOLDEN / version / f"{case['id']}.json").read_text(encoding="utf-8"))

    said = propose(case, earlier_formulary()).as_said_by(version)[0]

    assert said == kept
    assert canonical_json(said) == canonical_json(kept)
    assert verify(kept, case, earlier_formulary()) == ()


def test_a_plan_of_engine_1_0_gives_the_same_bytes(signed: Plan) -> None:
    old = as_signed_by(signed, "1.0")

    assert without_sentences(old.result) != without_sentences(propose(old.case, formulary_of(old)).as_dict())
    assert differences(old) == []
    trades = old.result["alternatives"][0]["trades"]
    trades[-1]["params"]["cost_index"] = "9"
    assert differences(old) == [
        f"result differs at alternatives[0].trades[{len(trades) - 1}].params.cost_index",
        "its signature does not belong to what is stored",
    ]


def test_a_plan_of_the_first_engine_1_0_gives_the_same_bytes() -> None:
    """It said of a first choice that had room again that it had given way."""
    case = man(
        concerns=[
            {"concern": "androgenetic_alopecia", "severity": "severe"},
            {"concern": "telogen_effluvium", "severity": "mild"},
        ],
        policy={"max_actives": 3},
    )
    held = propose(case, starter()).as_dict()["syringes"][0]["lines"][0]["ingredient"]
    edited = apply_edits(case, starter(), None, [{"op": "remove", "ingredient": held}]).proposal

    later, first = edited.as_said_by("1.0")

    assert [row["state"] for row in later["requirements"]].count("could_return") == 2
    assert [row["state"] for row in first["requirements"]].count("could_return") == 0
    assert later["fingerprint"] != first["fingerprint"]
    assert {key for key in later if later[key] != first[key]} == {"requirements", "fingerprint"}


def as_kept_by_postgresql(signed: Plan) -> Plan:
    """A plan of engine 1.1 from a release that asked its questions in the order in which PostgreSQL kept the facts."""
    kept = json.loads((GOLDEN / "1.1" / "postgresql.json").read_text(encoding="utf-8"))
    formulary = earlier_formulary()
    signed.formulary = FormularyVersion(
        pk=-1, label=formulary.label, documents=formulary.documents, sha256=formulary.fingerprint
    )
    for name, value in kept.items():
        setattr(signed, name, value)
    assert signed.signed_by and signed.signed_at
    signed.signature_sha256 = signature(signed_content(signed, by=signed.signed_by, at=signed.signed_at))
    return signed


def test_a_plan_made_on_postgresql_before_questions_were_in_order_gives_the_same_bytes(signed: Plan) -> None:
    old = as_kept_by_postgresql(signed)

    asked = [row["fact"] for row in old.result["open_questions"]]
    assert asked == sorted(asked, key=lambda fact: (len(fact), fact)) != sorted(asked)
    assert verified(old) == []
    assert differences(old) == []


def test_a_question_that_was_never_asked_is_still_found_in_such_a_plan(signed: Plan) -> None:
    old = as_kept_by_postgresql(signed)
    old.result["open_questions"][0]["fact"] = "lab_hba1c"

    assert [row.path for row in verified(old)] == [
        "open_questions",
        "fingerprint",
    ]
    assert differences(old) == [
        "result differs at fingerprint",
        "its signature does not belong to what is stored",
    ]


def test_the_command_computes_plans_of_engine_1_0_again(signed: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Command, "_plans", lambda self, options: _Plans([as_signed_by(signed, "1.0")]))

    said = run("--all")

    assert f"{signed.public_id}  the same bytes, as engine 1.0 gave them\n" in said
    assert said.endswith("1 looked at, 1 computed again, 0 different.\n")


class _Plans(list[Plan]):
    def iterator(self, chunk_size: int) -> Iterator[Plan]:
        return iter(self)


def test_a_plan_of_an_unknown_engine_keeps_its_signature_verifiable(
    signed: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Command, "_plans", lambda self, options: _Plans([as_from_elsewhere(signed)]))

    said = run("--all")

    assert "computed by engine 0.1, this is 1.2: not computed again; its signature holds" in said
    assert "1 looked at, 0 computed again, 0 different." in said
    assert "1 of another engine: only their signatures were checked." in said
    assert shown_answer(signed) == signed.result


def as_from_elsewhere(plan: Plan) -> Plan:
    plan.engine_version = "0.1"
    assert plan.signed_by and plan.signed_at
    plan.signature_sha256 = signature(signed_content(plan, by=plan.signed_by, at=plan.signed_at))
    return plan


def test_a_tampered_plan_of_an_older_engine_is_found(signed: Plan) -> None:
    signed.engine_version = "0.1"
    signed.result["value"] = "99"
    assert differences(signed) == ["its signature does not belong to what is stored"]


def test_a_result_of_another_engine_than_the_plan_says_is_found(draft: Plan) -> None:
    assert verified(draft) == []
    draft.result["engine_version"] = "1.0"
    assert "the result is of another engine than the plan says" in [row.detail for row in verified(draft)]


def test_a_draft_of_an_older_engine_cannot_be_signed(ready: Plan) -> None:
    assert obstacles_to_signing(ready) == []
    ready.engine_version = "0.1"
    assert obstacles_to_signing(ready) == ["An older release computed this draft. Discard it and make a new plan."]
