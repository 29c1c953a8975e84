"""What earlier engines said to the same question, so that their plans can be computed again to the same bytes.

Each entry undoes one change of the answer. An engine that calculated otherwise, not only said less, cannot be listed
here; of its plans `recompute` checks the signature and the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from protocols.engine.answer import Answer
from protocols.engine.canonical import json_safe
from protocols.engine.explain import sealed
from protocols.engine.result import ENGINE_VERSION, Result

Said = dict[str, Any]
"""An answer as an earlier engine gave it: not of the shape that is published today."""


def as_said_by(
    result: Result, answer: Answer, version: str, stored: Mapping[str, Any] | None = None
) -> tuple[Said, ...]:
    """Return what an engine said of a result of which this one gives the answer, in each of its spellings.

    `stored` is what a plan keeps of it: earlier engines asked their questions in the order in which a database gives
    the keys of a stored formulary (PostgreSQL: by length), so that the order, and nothing else, is taken from there.
    """
    if version == ENGINE_VERSION:
        return (dict(**answer),)
    spellings = tuple(spelling(result, dict(**answer)) for spelling in SPELLINGS.get(version, ()))
    if stored is None:
        return spellings
    return tuple(sealed(_asked_in_order(said, stored), result.setting) for said in spellings)


def _asked_in_order(answer: Said, stored: Mapping[str, Any]) -> Said:
    """The answer without its fingerprint, its questions in the order of the stored one."""
    places = {row["fact"]: place for place, row in enumerate(stored["open_questions"])}
    asked = sorted(answer["open_questions"], key=lambda row: places.get(row["fact"], len(places)))
    return {**_without(answer, "fingerprint"), "open_questions": asked}


def speaks(version: str) -> bool:
    """Whether plans of this engine can be computed again by this release."""
    return version == ENGINE_VERSION or version in SPELLINGS


def without_words(answer: Said) -> Said:
    """An answer of 1.2 as it was before: no waiting, no contributions, a stage that nobody could insist against."""
    answer = _without(answer, "contributions", "waiting")
    answer["concerns"] = [_without(row, "staged_severity", "insisted") for row in answer["concerns"]]
    answer["alternatives"] = [
        _without(row, "kind", "review") for row in answer["alternatives"] if row["kind"] == "mixture"
    ]
    return answer


def _as_1_1(result: Result, answer: Said) -> Said:
    """1.1 knew a formulary that says nothing of osmolality, of the final pH or of the smallest useful syringe."""
    answer = without_words(answer)
    answer["engine_version"] = "1.1"
    answer["syringes"] = _syringes_of_1_1(answer["syringes"])
    answer["sessions"] = [{**row, "syringes": _syringes_of_1_1(row["syringes"])} for row in answer["sessions"]]
    del answer["fingerprint"]
    return sealed(answer, result.setting)


def _syringes_of_1_1(syringes: list[Said]) -> list[Said]:
    """It drew a mixture as equal parts, which may be no whole drawing steps."""
    return [
        {
            **_without(row, "ph_estimate", "osmolality"),
            "drawn_as": json_safe(
                {"count": row["drawn_as"]["count"], "each_ml": Decimal(row["volume_ml"]) / row["drawn_as"]["count"]}
            ),
        }
        for row in syringes
    ]


def _as_1_0(result: Result, answer: Said) -> Said:
    """1.0 gave alternatives neither doses nor a price, only the sum of list prices; and what it left out no range."""
    answer = _as_1_1(result, answer)
    answer["engine_version"] = "1.0"
    answer["left_out"] = [_without(row, "range") for row in answer["left_out"]]
    answer["alternatives"] = [
        {
            **_without(row, "lines", "sessions", "cost_total", "cost_difference"),
            "trades": [
                *(trade for trade in row["trades"] if trade["code"] not in ("dearer", "cheaper")),
                *_list_price(result, row["ingredients"]),
            ],
        }
        for row in answer["alternatives"]
    ]
    del answer["fingerprint"]
    return sealed(answer, result.setting)


def _as_1_0_at_first(result: Result, answer: Said) -> Said:
    """The first 1.0 knew no `could_return`: a first choice that had room again was still said to have given way."""
    answer = _as_1_0(result, answer)
    answer["requirements"] = [
        {**row, "state": "gave_way"} if row["state"] == "could_return" else row for row in answer["requirements"]
    ]
    del answer["fingerprint"]
    return sealed(answer, result.setting)


SPELLINGS: dict[str, tuple[Callable[[Result, Said], Said], ...]] = {
    "1.1": (_as_1_1,),
    "1.0": (_as_1_0, _as_1_0_at_first),
}


def _without(row: Said, *names: str) -> Said:
    return {name: value for name, value in row.items() if name not in names}


def _list_price(result: Result, ingredients: list[str]) -> list[Said]:
    problem, formulary = result.setting.problem, result.setting.formulary
    cost = Decimal(problem.cost(formulary.mask(ingredients)) - problem.cost(result.mask)) / formulary.cost_scale
    if not cost:
        return []
    return [{"code": "dearer" if cost > 0 else "cheaper", "params": json_safe({"cost_index": abs(cost)})}]
