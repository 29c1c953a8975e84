"""Whether a trigger can ever hold: some set of answers, each of which its question allows, makes it true.

The triggers are small, so every way of making one true is tried: one test of each “any”, all tests of each “all”.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

Test = Mapping[str, Any]
Facts = Mapping[str, Mapping[str, Any]]
MOST_WAYS = 20_000
"""More ways than any rule needs; a trigger with more is taken to be able to hold."""


def can_hold(trigger: Mapping[str, Any], facts: Facts) -> bool:
    """Return True where answers exist that make the trigger true. Its words must have been checked before."""
    return any(number >= MOST_WAYS or _possible(way, facts) for number, way in enumerate(_ways(trigger)))


def tests_of(trigger: Mapping[str, Any]) -> Iterator[Test]:
    """Yield every test of a trigger."""
    parts = trigger.get("all") or trigger.get("any")
    if parts is None:
        yield trigger
        return
    for part in parts:
        yield from tests_of(part)


def _ways(trigger: Mapping[str, Any]) -> Iterator[tuple[Test, ...]]:
    """Yield each set of tests that makes the trigger true when all of them hold."""
    if "any" in trigger:
        for part in trigger["any"]:
            yield from _ways(part)
    elif "all" in trigger:
        for combined in itertools.product(*(list(_ways(part)) for part in trigger["all"])):
            yield tuple(itertools.chain.from_iterable(combined))
    else:
        yield (trigger,)


def _possible(way: tuple[Test, ...], facts: Facts) -> bool:
    by_fact: dict[str, list[Test]] = {}
    for test in way:
        by_fact.setdefault(test["fact"], []).append(test)
    for name in list(by_fact):
        # A fact that applies to some only: a test on it (but is_not, true of silence too) needs that they are such.
        only = facts[name].get("only_if")
        if only and any(test["op"] != "is_not" for test in by_fact[name]):
            by_fact.setdefault(only["fact"], []).append({"fact": only["fact"], "op": "is", "value": only["value"]})
    return all(_answerable(facts[name], tests) for name, tests in by_fact.items())


def _answerable(fact: Mapping[str, Any], tests: list[Test]) -> bool:
    """Whether one answer passes all these tests of one fact."""
    if all(test["op"] == "is_not" for test in tests):
        return True  # no answer at all passes
    if fact["type"] in ("integer", "number"):
        return _some_number(fact, tests)
    if fact["type"] == "list":
        wants_none = any(test["op"] == "is_not_empty" and test["value"] is False for test in tests)
        wants_some = any(test["op"] != "is_not_empty" or test["value"] is True for test in tests)
        return not (wants_none and wants_some)
    known: list[Any] = [False, True] if fact["type"] == "boolean" else list(fact["values"])
    return any(all(_passes(value, test) for test in tests) for value in known)


def _passes(value: Any, test: Test) -> bool:
    if test["op"] == "in":
        return value in test["value"]
    return bool((value == test["value"]) == (test["op"] == "is"))


def _some_number(fact: Mapping[str, Any], tests: list[Test]) -> bool:
    """Every number a test names, its neighbours and the ends of the range: one of them passes if any number does."""
    least, most = _number(fact["minimum"]), _number(fact["maximum"])
    step = Fraction(1) if fact["type"] == "integer" else Fraction(1, 10_000)
    named = {least, most}
    for test in tests:
        for value in test["value"] if test["op"] == "in" else [test["value"]]:
            named |= {_number(value) - step, _number(value), _number(value) + step}
    whole = fact["type"] == "integer"
    return any(
        least <= number <= most
        and not (whole and number.denominator != 1)
        and all(_compares(number, test) for test in tests)
        for number in named
    )


def _compares(number: Fraction, test: Test) -> bool:
    if test["op"] == "in":
        return number in [_number(value) for value in test["value"]]
    limit = _number(test["value"])
    return bool(
        {
            "lt": number < limit,
            "lte": number <= limit,
            "gt": number > limit,
            "gte": number >= limit,
            "is": number == limit,
            "is_not": number != limit,
        }[test["op"]]
    )


def _number(value: Any) -> Fraction:
    return Fraction(Decimal(str(value)))
