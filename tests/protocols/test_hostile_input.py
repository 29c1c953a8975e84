"""Whatever is sent, there is a valid proposal or a clear error: never another exception."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from protocols.engine import CaseError, apply_edits, parse_case, propose
from protocols.proposing import answer, explain_fault
from tests.protocols.patients_at_random import JUNK, damaged, random_patient
from tests.protocols.worked_cases import by_id, count, man, starter


def outcome(case: Any) -> str:
    try:
        result = propose(case, starter()).as_dict()
    except CaseError as error:
        assert error.faults
        for fault in error.faults:
            line = explain_fault(fault)
            assert line and "\n" not in line and len(line) < 2000
        return "error"
    json.dumps(result)
    return str(result["status"])


@pytest.mark.parametrize("block", range(4))
def test_damaged_case_gives_an_answer_or_a_clear_error(block: int) -> None:
    rng = random.Random(f"hostile {block}")
    seen: dict[str, int] = {}
    for _ in range(count(150, 25_000)):
        verdict = outcome(damaged(rng, copy.deepcopy(random_patient(rng))))
        seen[verdict] = seen.get(verdict, 0) + 1
    assert seen["error"] > 0


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: type(junk).__name__)
def test_junk_in_any_place_gives_a_clear_error(junk: Any) -> None:
    places: list[tuple[str, ...]] = [
        (), ("facts",), ("concerns",), ("zones",), ("policy",), ("stock",), ("waived",), ("formulary_overrides",),
        ("facts", "age_years"), ("facts", "lab_inr"), ("facts", "conditions"), ("facts", "sex_at_birth"),
        ("facts", "lactating"), ("policy", "avoid"), ("policy", "region"), ("policy", "selection_weights"),
        ("policy", "ingredient_budget"), ("policy", "currency"), ("stock", "biotin"), ("waived", "lab_inr"),
        ("formulary_overrides", "activate"),
    ]  # fmt: skip
    for place in places:
        case: Any = man()
        if not place:
            outcome(junk)
            continue
        node = case
        for key in place[:-1]:
            node = node.setdefault(key, {})
        node[place[-1]] = junk
        outcome(case)
        outcome({**man(), "concerns": [junk]})
        outcome({**man(), "zones": [junk]})
        outcome({**man(), "zones": [{"zone": "frontal", "area_cm2": junk}]})


def test_junk_as_edits_is_refused_never_raised() -> None:
    for junk in JUNK:
        edits = [junk, {"op": junk}, {"op": "add", "ingredient": junk}, {"op": "remove", "ingredient": junk},
                 {"op": "swap", "ingredient": "pdrn", "with": junk}, {"op": "set_sessions", "sessions": junk},
                 {"op": "set_schedule", "schedule": junk},
                 {"op": "set_volume", "ingredient": "pdrn", "volume_ml": junk}]  # fmt: skip
        result = apply_edits(by_id("C03"), starter(), None, edits)
        assert len(result.refusals) + len(result.proposal.edits) == len(edits)
        json.dumps(answer(by_id("C03"), edits=edits), default=repr)
    with pytest.raises(CaseError):
        apply_edits(by_id("C03"), starter(), None, [{}] * 101)
    with pytest.raises(CaseError):
        apply_edits(by_id("C03"), starter(), None, "remove")


@pytest.mark.parametrize("word", ["\ud800", "a\nb", "\x00", "\u2028", "\x1b[31m"])
def test_faults_stay_on_one_printable_line(word: str) -> None:
    cases = [
        man(facts={word: 1}), man(facts={"conditions": [word]}), man(policy={word: 1}), man(stock={word: 1}),
        man(zones=[word]), man(concerns=[{word: 1}]), {**man(), word: 1},
        man(waived={"lab_inr": {"as": "not_measured", "reason": f"Not {word}"}}), man(waived={word: {}}),
        man(policy={"selection_weights": {word: 1}}), man(policy={"selection_weights": {"severity": {word: 1}}}),
    ]  # fmt: skip
    for case in cases:
        try:
            propose(case, starter()).as_dict()
        except CaseError as error:
            for fault in error.faults:
                assert explain_fault(fault).isprintable()
                explain_fault(fault).encode("utf-8")
        else:
            assert "waived" in case and word in "a\nb"


def test_number_of_faults_is_bounded() -> None:
    with pytest.raises(CaseError) as error:
        parse_case(man(facts={f"fact{n}": 1 for n in range(5000)}), starter())

    assert len(error.value.faults) <= 200
