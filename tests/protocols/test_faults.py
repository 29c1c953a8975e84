"""Every single value of an answer, changed: what the second calculation says to it, pinned in golden/faults.json.

A list of what it finds for each change, so that a check that weakens shows in review and fails here.
MESOCLINIC_GOLDEN=write renews the file.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from protocols.engine import Discrepancy, apply_edits, verify
from tests.protocols.worked_cases import answer_of, by_id, man, starter

FILE = Path(__file__).resolve().parent / "golden" / "faults.json"
ONLY_TOLD = (
    # Words and links for a reader, which no dose or rule rests on: the fingerprint alone covers them.
    r"\.(sources|because|name|scope|postponed|referral|basis|measures|params|director_confirmation_required)\b",
    r"^(trace|infos|missing|referrals|excluded_by_rule|blocks|cautions)\[",
    r"^(trace|alternatives)$",
    r"^open_questions\[\d+\]\.ingredients",
    r"^concerns\[\d+\]\.(recorded_severity|staged_by)",
    r"^course\.(needle|change_needle_every_points|sources)",
    r"^course\.checkpoints\[\d+\]\.(after_session|earliest_days|latest_days)",
    r"^cost\.lines\[\d+\]\.(key|multiplier)",
    r"^left_out\[\d+\]\.reason_code",
    r"^alternatives\[\d+\]\.trades",
    r"^alternatives\[\d+\]\.review\.because\[\d+\]\.params",
    r"^engine_version$",
)


def edited(case: dict[str, Any], *edits: dict[str, Any]) -> Any:
    result = apply_edits(case, starter(), None, list(edits))
    assert not result.refusals
    return result.proposal.as_dict()


LONG_INTERVAL = man(
    facts={"norwood_stage": "V"},
    concerns=[
        {"concern": "androgenetic_alopecia", "severity": "severe"},
        {"concern": "poor_scalp_circulation", "severity": "mild"},
    ],
    formulary_overrides={"activate": ["dutasteride"]},
    stock=dict.fromkeys(starter().ingredients, "1.5"),
    policy={"currency": "EUR", "price_per_unit": "1.17", "ingredient_budget": "90", "alternatives": 4},
)


@lru_cache(maxsize=1)
def answers() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    c03 = by_id("C03")
    return {
        "own": (c03, answer_of(c03)),
        "sessions that differ": (LONG_INTERVAL, answer_of(LONG_INTERVAL)),
        "edited": (
            c03,
            edited(
                c03,
                {"op": "swap", "ingredient": "arginine", "with": "hyaluronic_acid"},
                {"op": "add", "ingredient": "dexpanthenol"},
                {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.25"},
                {"op": "set_sessions", "sessions": 3},
            ),
        ),
        "blocked": (by_id("C08"), answer_of(by_id("C08"))),
    }


def leaves(value: Any, path: str = "", way: tuple[str | int, ...] = ()) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Every value with its place; of a list of rows the first and the last, and the list itself."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}".lstrip("."), (*way, key))
    elif isinstance(value, list):
        if value:
            yield path, way
        rows = [value[0], value[-1]] if len(value) > 1 else value
        for place, item in zip([0, len(value) - 1], rows, strict=False):
            if isinstance(item, dict):
                yield from leaves(item, f"{path}[{place}]", (*way, place))
    else:
        yield path, way


def bent(value: Any) -> Any:
    if isinstance(value, list):
        return value[:-1]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value is None:
        return "1"
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        return format(Decimal(value) + Decimal("0.05"), "f")
    return f"{value}x"


def changed(answer: dict[str, Any], way: tuple[str | int, ...]) -> dict[str, Any]:
    other = copy.deepcopy(answer)
    node: Any = other
    for step in way[:-1]:
        node = node[step]
    node[way[-1]] = bent(node[way[-1]])
    return other


def found(name: str, part: str) -> dict[str, list[str]]:
    """What is found for each changed value of a part: for every fourth of them, all in the deep run or when written."""
    case, answer = answers()[name]
    said: dict[str, list[str]] = {}
    for path, way in leaves({part: answer[part]}):
        if not ALL and crc32(path.encode()) % 4:
            continue
        rows = verify(changed(answer, way), case, starter())
        said[path] = sorted({in_short(row) for row in rows if row.path != "fingerprint"})
    return said


def in_short(row: Discrepancy) -> str:
    expected = str(row.expected)
    return f"{row.path}: {row.code}" + (f" ({expected})" if row.expected is not None and len(expected) < 25 else "")


ALL = bool(os.environ.get("MESOCLINIC_DEEP")) or os.environ.get("MESOCLINIC_GOLDEN") == "write"
PARTS = [
    (name, part)
    for name, (_, answer) in answers().items()
    for part in answer
    if answer[part] not in ([], None) and part != "fingerprint"
]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_every_value_that_is_changed_is_found(name: str, part: str) -> None:
    said = found(name, part)
    if os.environ.get("MESOCLINIC_GOLDEN") == "write":
        kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
        kept.setdefault(name, {})[part] = said
        golden.cache_clear()
        FILE.write_text(json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")

    kept_of_part = golden()[name][part]
    unseen = [path for path, rows in said.items() if not rows]
    assert [path for path in unseen if not any(re.search(each, path) for each in ONLY_TOLD)] == []
    assert said == {path: rows for path, rows in kept_of_part.items() if path in said}
    assert not ALL or said.keys() == kept_of_part.keys()


@lru_cache(maxsize=1)
def golden() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return kept


def test_answers_that_nobody_changed_are_found_right() -> None:
    for case, answer in answers().values():
        assert verify(answer, case, starter()) == ()
    assert answers()["sessions that differ"][1]["sessions"]
