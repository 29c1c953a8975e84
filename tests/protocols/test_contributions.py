"""What each ingredient adds, in words with their figures: in and out never contradict each other unexplained."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from typing import Any

import pytest

from protocols.engine import apply_edits, propose, verify
from protocols.plans.proposing import answer_case as answered
from protocols.words.answers import render
from tests.protocols.patients_at_random import random_patient
from tests.protocols.worked_cases import count, man, starter

UNDECIDED_BY_VALUE = {"first_choice", "stands_in", "by_hand", "kept", "limit"}


def rows_of(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["ingredient"]: row for row in answer["contributions"]}


def check_agreement(answer: dict[str, Any], *, edited: bool) -> int:
    """In with no less than it has to earn, out with no more, or another rule named; returns how many were weighed."""
    for row in answer["contributions"]:
        gross, needed = Decimal(row["gross"]), Decimal(row["needed"])
        if row["decided_by"] == "value":
            assert gross >= needed if row["held"] else gross <= needed, row
        else:
            assert row["decided_by"] in UNDECIDED_BY_VALUE
        assert edited or row["decided_by"] not in ("by_hand", "kept"), row
        assert row["first_choice_of"] or row["decided_by"] not in ("first_choice", "stands_in")
        assert (row["limit"] is not None) or row["decided_by"] != "limit"
    for row in render(answer, starter())["contributions"]:
        assert re.search(r"\. Decided by [a-z][^.]+\.$", row["figures"]), "the rule is named"
        assert bool(row["text"]) is row["held"]
    return len(answer["contributions"])


def test_in_and_out_agree_in_random_patients() -> None:
    rng, weighed, against = random.Random(9), 0, 0
    for _patient in range(count(40, 10_000)):
        answer = propose(random_patient(rng), starter()).as_dict()
        weighed += check_agreement(answer, edited=False)
        rows = answer["contributions"]
        held = [Decimal(row["gross"]) for row in rows if row["held"]]
        against += sum(bool(held) and Decimal(row["gross"]) > min(held) for row in rows if not row["held"])
    assert weighed and against, "there were some that only a rule explains"


def test_in_and_out_agree_after_edits_by_hand() -> None:
    rng, seen = random.Random(10), set()
    for _patient in range(count(25, 2_000)):
        case = random_patient(rng)
        mine = propose(case, starter()).as_dict()
        inside = sorted(key for key, row in rows_of(mine).items() if row["held"])
        outside = sorted(key for key, row in rows_of(mine).items() if not row["held"])
        if not inside or not outside:
            continue
        edits = [{"op": "remove", "ingredient": rng.choice(inside)}, {"op": "add", "ingredient": rng.choice(outside)}]
        edited = apply_edits(case, starter(), None, edits).proposal.as_dict()
        check_agreement(edited, edited=True)
        assert verify(edited, case, starter()) == ()
        seen |= {row["decided_by"] for row in edited["contributions"]}
    assert "by_hand" in seen


@pytest.mark.parametrize(
    ("key", "decided_by", "text"),
    [
        ("biochanin_a", "first_choice", "First choice for"),
        ("pdrn", "value", "Supports"),
    ],
)
def test_a_line_says_why_it_is_in_and_what_leaving_it_out_would_do(key: str, decided_by: str, text: str) -> None:
    case = man(policy={"currency": "EUR"})
    row = rows_of(answered(case))[key]

    assert row["decided_by"] == decided_by
    assert row["text"].startswith(text) and row["text"].endswith(
        {"much": "much.", "some": "some.", "little": "little."}[row["adds"]]
    )
    assert "is served" in row["loses"] and "EUR" in row["saves"]
    assert ("loses its first choice" in row["loses"]) is (decided_by == "first_choice")


@pytest.mark.parametrize(
    "change",
    [
        {"adds": "little"}, {"gross": "9.5"}, {"needed": "0"}, {"decided_by": "by_hand"}, {"price": "1.00"},
        {"serves": []}, {"first_choice_of": []}, {"held": False},
    ],
)  # fmt: skip
def test_the_second_calculation_notices_a_wrong_contribution(change: dict[str, Any]) -> None:
    case = man()
    answer = propose(case, starter()).as_dict()
    row = next(row for row in answer["contributions"] if row["decided_by"] == "first_choice")
    rows = [{**each, **change} if each is row else each for each in answer["contributions"]]

    assert any(
        found.path.startswith("contributions") for found in verify({**answer, "contributions": rows}, case, starter())
    )


def test_a_missing_row_is_noticed() -> None:
    case = man()
    answer = propose(case, starter()).as_dict()
    short = {**answer, "contributions": answer["contributions"][1:]}

    assert "contributions.held" in {found.path for found in verify(short, case, starter())}
