"""Whatever is sent, there is a valid proposal or a clear error: never another exception."""

from __future__ import annotations

import copy
import json
import logging
import random
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from django.test import Client
from rest_framework.views import APIView

from mesoclinic.accounts.models import User
from protocols.engine import CaseError, apply_edits, parse_case, propose
from protocols.engine.schema import ANSWER_SCHEMA
from protocols.models import FormularyVersion
from protocols.plans.proposing import COMPARISON_SCHEMA, answer_case, explain_fault
from tests.protocols.patients_at_random import JUNK, damaged, random_patient
from tests.protocols.worked_cases import by_id, count, man, starter

ANSWER = jsonschema.Draft202012Validator(ANSWER_SCHEMA)
COMPARISON = jsonschema.Draft202012Validator(COMPARISON_SCHEMA)
SignIn = Callable[[User], Client]


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
    for _ in range(count(150, 20_000)):
        verdict = outcome(damaged(rng, copy.deepcopy(random_patient(rng))))
        seen[verdict] = seen.get(verdict, 0) + 1
    assert seen["error"] > 0


@pytest.mark.parametrize("block", range(4))
def test_hostile_body_gives_an_answer_or_a_clear_error_over_the_api(
    block: int, formulary: FormularyVersion, ada: User, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test client raises what a view raises: no traceback, no 5xx, and an answer has its published shape."""
    monkeypatch.setattr(APIView, "throttle_classes", [])
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)
    rng, client = random.Random(f"hostile body {block}"), sign_in(ada)
    seen: dict[int, int] = {}
    for _ in range(count(40, 5_000)):
        path, validator = rng.choice([("proposals", ANSWER), ("proposals", ANSWER), ("proposals/compare", COMPARISON)])
        body, kind = hostile_body(rng, pair=validator is COMPARISON)
        said = client.generic("POST", f"/api/v1/{path}/", body, content_type=kind)
        seen[said.status_code] = seen.get(said.status_code, 0) + 1
        if said.status_code == 200:
            assert validator.is_valid(said.json()), body
        else:
            assert said.status_code in (400, 415) and said.json(), (said.status_code, body)
    assert {200, 400} <= set(seen), seen


def hostile_body(rng: random.Random, *, pair: bool) -> tuple[bytes, str]:
    """A request's body, one case or two, sound or damaged, sometimes no JSON at all; and what it is said to be."""
    sides = []
    for _ in range(2 if pair else 1):
        case = random_patient(rng)
        sides.append(damaged(rng, copy.deepcopy(case)) if rng.random() < 0.7 else case)
    try:
        sent = {"old": sides[0], "new": sides[1]} if pair else sides[0]
        body = json.dumps(sent, default=repr, skipkeys=True).encode()
    except ValueError:  # it holds itself
        body = b"[" * rng.choice([10, 3000, 200_000])
    if rng.random() < 0.2:
        place = rng.randrange(len(body) + 1)
        junk = rng.choice([b"", b"\x00", b"\xff\xfe", b"}", b'"', b"NaN", b"1e999", b"\xed\xa0\x80", rng.randbytes(9)])
        body = rng.choice([body[:place], body[:place] + junk + body[place + rng.randrange(4) :], junk, body + junk])
    if rng.random() < 0.9:
        return body, "application/json"
    return body, rng.choice(
        [
            "application/json; charset=utf-16",
            "application/json; charset=x",
            "application/xml",
            "multipart/form-data",
            "",
        ]
    )


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
        json.dumps(answer_case(by_id("C03"), edits=edits), default=repr)
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
