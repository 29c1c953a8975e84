"""Facts: the triggers of rules against what was answered, and how severe each concern is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from protocols.engine.verify.context import LEVELS, Context, fraction


def is_known(context: Context, fact: str) -> bool:
    return fact in context.facts


def may_apply(context: Context, fact: str) -> bool:
    only = context.shapes[fact].get("only_if")
    return not only or context.facts.get(only["fact"], only["value"]) == only["value"]


def is_true(trigger: Mapping[str, Any], leaf: Callable[[Mapping[str, Any]], bool]) -> bool:
    for joint, every in (("all", True), ("any", False)):
        if joint in trigger:
            verdicts = [is_true(part, leaf) for part in trigger[joint]]
            return all(verdicts) if every else any(verdicts)
    return leaf(trigger)


def is_met(context: Context, test: Mapping[str, Any]) -> bool:
    op, wanted = test["op"], test["value"]
    if not is_known(context, test["fact"]):
        return bool(op == "is_not")
    given = context.facts[test["fact"]]
    if context.shapes[test["fact"]]["type"] in ("integer", "number"):
        amount = fraction(given)
        if isinstance(wanted, list):
            return amount in [fraction(item) for item in wanted]
        difference = amount - fraction(wanted)
        table = {
            "lt": difference < 0, "lte": difference <= 0, "gt": difference > 0, "gte": difference >= 0,
            "is": difference == 0, "is_not": difference != 0,
        }  # fmt: skip
        return bool(table[op])
    if op == "is_not_empty":
        return bool((len(given) > 0) == wanted)
    if op == "includes_any":
        return bool(set(given) & set(wanted))
    if op == "includes":
        return bool(wanted in given)
    if op == "in":
        return bool(given in wanted)
    return bool((given == wanted) == (op == "is"))


def triggered(context: Context, trigger: Mapping[str, Any]) -> bool:
    """Whether what was answered makes a trigger true."""
    return is_true(trigger, partial(is_met, context))


def may_be_met(context: Context, test: Mapping[str, Any]) -> bool:
    return is_met(context, test) if is_known(context, test["fact"]) else may_apply(context, test["fact"])


def deciding_facts(context: Context, trigger: Mapping[str, Any]) -> set[str]:
    """Unanswered facts in those branches that could still come true."""
    if not is_true(trigger, partial(may_be_met, context)):
        return set()
    parts = trigger.get("all") or trigger.get("any")
    if parts:
        return set().union(*(deciding_facts(context, part) for part in parts))
    return set() if is_known(context, trigger["fact"]) else {trigger["fact"]}


def stages_of(context: Context) -> dict[str, tuple[str, str | None, bool]]:
    """Of each concern the severity that was recorded, the one by its scales, and whether the first was insisted on."""
    scales = {scale["key"]: scale for scale in context.documents["vocabulary"]["scales"]["scales"]}
    words = {entry["key"]: entry for entry in context.documents["vocabulary"]["concerns"]["concerns"]}
    stages: dict[str, tuple[str, str | None, bool]] = {}
    for entry in context.case.concerns:
        bands = []
        for name in words[entry.concern]["severity_scales"]:
            scale = scales[name]
            stage = context.facts.get(scale.get("fact", ""))
            if stage is not None and scale["applies_to_sex"] in ("any", context.facts.get("sex_at_birth")):
                bands += [each["band"] for each in scale["stages"] if each["code"] == str(stage)]
        bands = [band for band in bands if band in LEVELS]
        staged = min(bands, key=lambda band: LEVELS[band]) if bands else None
        stages[entry.concern] = (entry.severity, staged, bool(staged and entry.insisted))
    return stages


def severity_of(context: Context) -> dict[str, str]:
    """How severe each concern is: by its scales, unless the practitioner insisted."""
    stages = stages_of(context).items()
    return {
        concern: staged if staged and not insisted else recorded for concern, (recorded, staged, insisted) in stages
    }


def check_concerns(context: Context) -> None:
    said = {row["concern"]: row["severity"] for row in context.answer["concerns"]}
    context.same("concerns", said, context.severity)
    if context.tells_words:
        rows = {
            row["concern"]: (row["recorded_severity"], row["staged_severity"], row["insisted"])
            for row in context.answer["concerns"]
        }
        context.same("concerns.staged", rows, stages_of(context))
    context.same("severity", context.answer["severity"], context.worst)
