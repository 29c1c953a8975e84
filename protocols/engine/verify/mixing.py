"""Mixing: which ingredients may be in one syringe, by pairs and pH, and how few syringes that takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any

from protocols.engine.verify.context import Context, fraction


def osmolality_of(context: Context, lines: Iterable[Mapping[str, Any]]) -> tuple[Fraction | None, list[str]]:
    """The estimate by volume, rounded up to tens; none, and of which it is unknown, where one of them is."""
    weighed = volume = Fraction(0)
    unknown = []
    for line in lines:
        amount = osmolality_supplied(context, line["ingredient"])
        if amount is None:
            unknown.append(line["ingredient"])
            continue
        weighed += amount * fraction(line["volume_ml"])
        volume += fraction(line["volume_ml"])
    return (None, sorted(unknown)) if unknown else (-(-weighed // (volume * 10)) * Fraction(10), [])


def osmolality_supplied(context: Context, key: str) -> Fraction | None:
    """The osmolality of an ingredient as supplied; None where it is unknown."""
    said = context.things[key]["solution"].get("osmolality")
    return None if said is None or said["value"] is None else fraction(said["value"])


def pairs_of(context: Context, a: str, b: str) -> Iterator[Mapping[str, Any]]:
    for pair in context.documents["screening"]["incompatibilities"]:
        if (is_side(context, pair["a"], a) and is_side(context, pair["b"], b)) or (
            is_side(context, pair["a"], b) and is_side(context, pair["b"], a)
        ):
            yield pair


def is_side(context: Context, side: Any, key: str) -> bool:
    thing = context.things[key]
    if isinstance(side, str):
        return side == key
    if "any_active" in side:
        return bool(thing["role"] != "diluent")
    if "flag" in side:
        return bool(thing["flags"].get(side["flag"]) == side["equals"])
    if "class" in side:
        return bool(thing["class"] == side["class"])
    return bool(thing["solution"]["solvent"] == side["solvent"])


def window_of(context: Context, keys: Sequence[str]) -> tuple[Fraction, Fraction]:
    """The pH that suits all of these; what is unbuffered takes any."""
    solutions = [context.things[key]["solution"] for key in keys]
    buffered = [solution for solution in solutions if not solution.get("unbuffered")]
    return (
        max((fraction(solution["ph_min"]) for solution in buffered), default=Fraction(0)),
        min((fraction(solution["ph_max"]) for solution in buffered), default=Fraction(14)),
    )


def is_well_inside(context: Context, low: Fraction, high: Fraction) -> bool:
    """Whether enough of a window lies where the pH of a mixture should."""
    if context.limits is None:
        return True
    final = context.limits["final_ph"]
    part = min(high, fraction(final["max"])) - max(low, fraction(final["min"]))
    return part >= fraction(context.limits["ph_window"]["min_width"])


def acidity_suits(context: Context, keys: Sequence[str]) -> bool:
    """Whether the window of a mixture is wide enough, and takes none of it where it need not be."""
    low, high = window_of(context, keys)
    if context.limits is None or len(keys) == 1:
        return low <= high
    if high - low < fraction(context.limits["ph_window"]["min_width"]):
        return sum(1 for key in keys if not context.things[key]["solution"].get("unbuffered")) == 1
    return is_well_inside(context, low, high) or not any(
        is_well_inside(context, *window_of(context, [key]))
        for key in keys
        if not context.things[key]["solution"].get("unbuffered")
    )


def may_be_one(context: Context, keys: Sequence[str]) -> bool:
    """Whether these may be one mixture."""
    if len(keys) > context.mixing["max_active_ingredients_per_syringe"]:
        return False
    return acidity_suits(context, keys) and not any(
        pair["severity"] != "use_immediately" for a, b in combinations(keys, 2) for pair in pairs_of(context, a, b)
    )


def fewest_of(context: Context, keys: Sequence[str]) -> int:
    """The fewest mixtures, by trying every way to put one after another into an open or a new one."""
    best = len(keys)

    def place(rest: Sequence[str], groups: list[list[str]]) -> None:
        nonlocal best
        if len(groups) >= best:
            return
        if not rest:
            best = len(groups)
            return
        for number, group in enumerate([*groups, []]):
            grown = [*group, rest[0]]
            if may_be_one(context, grown):
                place(rest[1:], [*groups[:number], grown, *groups[number + 1 :]])

    place(sorted(keys), [])
    return best
