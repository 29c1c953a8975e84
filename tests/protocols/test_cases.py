"""The twelve worked cases: what a careful clinician expects of a proposal."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from protocols.engine import build_formulary, propose
from protocols.formulary.loader import load_documents
from protocols.plans.proposing import answer_case as full_answer
from tests.protocols.worked_cases import actives, fired, in_mixture, starter, worked_cases


@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case["id"])
def test_worked_case_holds(case: dict[str, Any]) -> None:
    expect = case["expect"]

    answer = propose(case, starter()).as_dict()

    included = in_mixture(answer)
    assert answer["status"] == ("blocked" if expect["blocked"] else "proposed")
    assert {row["rule"] for row in answer["blocks"]} == set(expect["blocked_by"])
    assert set(expect["must_fire"]) <= fired(answer)
    assert set(expect.get("must_include", ())) <= included
    for group in expect.get("must_include_one_of", ()):
        assert set(group) & included, group
    assert not set(expect.get("must_exclude", ())) & included
    screened = {row["ingredient"] for row in answer["excluded_by_rule"]}
    assert not set(expect.get("must_not_be_screened_out", ())) & screened
    for pair in expect.get("must_fire_if_included", ()):
        assert pair["ingredient"] not in included or pair["rule"] in fired(answer)
    assert {row["referral"] for row in answer["referrals"]} == set(expect["referrals"])
    if expect["blocked"]:
        assert answer["course"] is None and not included
        return
    course = answer["course"]
    assert answer["severity"] == expect["severity"]
    assert expect["sessions"]["min"] <= course["sessions"] <= expect["sessions"]["max"]
    assert (course["sessions_min"], course["sessions_max"]) == (expect["sessions"]["min"], expect["sessions"]["max"])
    assert expect["span_days"]["min"] <= course["span_days"] <= expect["span_days"]["max"]
    assert (course["span_min_days"], course["span_max_days"]) == tuple(expect["span_days"].values())
    assert course["duration_minutes"] == expect["duration_minutes"]
    assert course["points"] == expect["points"]
    assert Decimal(answer["target_volume_ml"]) == Decimal(str(expect["target_volume_ml"]))


@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case["id"])
def test_general_expectations_hold(case: dict[str, Any]) -> None:
    formulary = starter()
    answer = propose(case, formulary).as_dict()

    screened = {row["ingredient"] for row in answer["excluded_by_rule"]}
    overrides = set(case.get("formulary_overrides", {}).get("activate", ()))
    concerns = {entry["concern"] for entry in case["concerns"]}
    for syringe in answer["syringes"]:
        for line in syringe["lines"]:
            item = formulary.ingredients[line["ingredient"]]
            assert item.active or item.key in overrides
            assert item.key not in screened
            if line["role"] != "diluent":
                assert {row["concern"] for row in line["addresses"]} & concerns
                assert all(row["evidence_grade"] and row["direction"] for row in line["addresses"])
            assert item.volume_min_ml <= Decimal(line["volume_ml"]) <= item.volume_max_ml
            assert Decimal(line["dose"]) <= item.max_dose.amount
    assert Decimal(answer["total_volume_ml"]) <= 8
    if answer["course"]:
        assert answer["course"]["sessions"] <= 5
        assert 10 <= answer["course"]["duration_minutes"] <= 30
        if answer["severity"] == "severe":
            assert 120 <= answer["course"]["span_days"] <= 168
        assert 2 <= len(actives(answer)) <= 5
    sentences = json.dumps(full_answer(case), ensure_ascii=False)
    assert not [figure for figure in ("156%", "156 %", "52%", "52 %") if figure in sentences]


@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case["id"])
def test_every_active_ingredient_appears_exactly_once(case: dict[str, Any]) -> None:
    answer = propose(case, starter()).as_dict()

    overrides = set(case.get("formulary_overrides", {}).get("activate", ()))
    active = {item.key for item in starter().by_index if item.active or item.key in overrides}
    left_out = [row["ingredient"] for row in answer["left_out"]]
    mixed = [
        line["ingredient"] for syringe in answer["syringes"] for line in syringe["lines"] if line["role"] != "diluent"
    ]
    assert len(mixed) == len(set(mixed)) and len(left_out) == len(set(left_out))
    assert set(left_out) | in_mixture(answer) == active
    assert not set(left_out) & in_mixture(answer)


@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case["id"])
def test_every_ingredient_left_out_has_one_plain_sentence(case: dict[str, Any]) -> None:
    answer = full_answer(case)

    for row in answer["left_out"]:
        assert row["reason"] and "%(" not in row["reason"], row
    for group in ("blocks", "cautions", "infos", "excluded_by_rule"):
        for row in answer[group]:
            assert row["message"], row
            assert bool(row["because_text"]) == bool(row["because"]), row
    for row in answer["alternatives"]:
        assert row["summary"]
    if answer["status"] == "proposed":
        assert answer["alternatives"]


def test_answer_does_not_depend_on_the_formulary_object() -> None:
    again = build_formulary(load_documents())
    for case in worked_cases():
        assert propose(case, again).as_dict() == propose(case, starter()).as_dict()
