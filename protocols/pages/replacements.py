"""What may take the place of an ingredient, or come to the others: each tried by the engine before it is offered.

Nothing is kept here. What is chosen becomes an edit like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from patients.intake.answers import short_label
from protocols.engine import EditResult, Policy, apply_edits, parse_case
from protocols.engine.canonical import json_safe
from protocols.models import Plan
from protocols.pages.edits import refusal_beside
from protocols.pages.mixtures import Served, would_serve
from protocols.pages.reading import Reading
from protocols.plans import what_if
from protocols.plans.computing import bare_edits, formulary_of, merged, plain_json
from protocols.words.faults import explain_refusal

Trial = Callable[[Mapping[str, Any]], EditResult]
NOTHING = "-"  # chosen in the place of an ingredient: it is taken out


@dataclass(frozen=True, kw_only=True)
class Option:
    """An ingredient that could come in: what it is good for here, how much of it, and what the set would be worth."""

    key: str
    name: str
    served: tuple[Served, ...]
    least_ml: str
    usual_ml: str
    most_ml: str
    prescription_only: bool
    value_change: Decimal  # against the plan as it stands
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class Choices:
    options: list[Option]  # the best first
    refused: list[Option]  # could be given, but not here
    others: list[tuple[str, str]]  # (why, names) of those that nothing would let in
    without: Option | None  # the place left empty; None where nothing is to be replaced


@dataclass(frozen=True, kw_only=True)
class Preview:
    differences: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


def edit_of(out: str, into: str) -> dict[str, str]:
    """The edit that puts ``into`` in the place of ``out``; without ``out`` it is added, with NOTHING ``out`` goes."""
    if not out:
        return {"op": "add", "ingredient": into}
    if into == NOTHING:
        return {"op": "remove", "ingredient": out}
    return {"op": "swap", "ingredient": out, "with": into}


def choices(plan: Plan, reading: Reading, *, out: str) -> Choices:
    """Everything that is left out, tried in the place of ``out`` (or beside the others, where that is empty)."""
    trial = _trial(plan)
    offered: list[Option] = []
    barred: dict[str, list[str]] = {}
    for row in plan.result["left_out"]:
        if row.get("range"):
            offered.append(_option(plan, reading, trial, row["ingredient"], row["range"], out=out))
    for row in reading.result["left_out"]:
        if not row.get("range"):
            barred.setdefault(row["reason"], []).append(short_label(reading.contents.name(row["ingredient"])))
    offered.sort(key=lambda option: (-option.value_change, option.name.casefold()))
    return Choices(
        options=[option for option in offered if not option.refused],
        refused=[option for option in offered if option.refused],
        others=[(why, ", ".join(names)) for why, names in barred.items()],
        without=_option(plan, reading, trial, NOTHING, {}, out=out) if out else None,
    )


def preview(plan: Plan, *, out: str, into: str) -> Preview:
    """What the choice would change in the plan, in words; or why it is refused."""
    tried = _trial(plan)(edit_of(out, into))
    if tried.refusals:
        return Preview(refusals=_refusals(plan, tried))
    return Preview(differences=what_if.in_words(plan.result, plain_json(tried.proposal.as_dict()), plan))


def _option(plan: Plan, reading: Reading, trial: Trial, key: str, volumes: Mapping[str, str], *, out: str) -> Option:
    tried = trial(edit_of(out, key))
    known = key != NOTHING
    return Option(
        key=key,
        name=short_label(reading.contents.name(key)) if known else "",
        served=would_serve(reading, key) if known else (),
        least_ml=volumes.get("volume_min_ml", ""),
        usual_ml=volumes.get("volume_usual_ml", ""),
        most_ml=volumes.get("volume_max_ml", ""),
        prescription_only=known and formulary_of(plan).ingredients[key].prescription_only,
        value_change=(Decimal(plan.result["value_cost"] or 0) - tried.value_cost).normalize() + 0,
        refused=" ".join(_refusals(plan, tried)),
    )


def _trial(plan: Plan) -> Trial:
    """What one more edit would make of the plan; its case and policy are read once for all that are tried."""
    formulary = formulary_of(plan)
    case, policy = parse_case(plan.case, formulary), Policy.from_mapping(plan.policy, formulary)
    return lambda edit: apply_edits(case, formulary, policy, bare_edits(merged(plan.edits, [edit])))


def _refusals(plan: Plan, tried: EditResult) -> list[str]:
    formulary = formulary_of(plan)
    rows = [{"message": explain_refusal(row, formulary), "params": json_safe(row.params)} for row in tried.refusals]
    return [refusal_beside(row, plan) for row in rows]
