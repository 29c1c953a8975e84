"""Contribution: what each ingredient adds to the mixture, what it has to earn there, and which rule decided.

The figures of an ingredient that is in and of one that is not are made in the same way, so that the two can be held
against each other: what it adds is the benefit that goes with it, what it has to earn are the charges that go with it.
Where the rule that decided is not the value, the row says so: a first choice stays in whatever it adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal

from protocols.engine.answer import Contribution, DecidedBy, InWords, LeftOut, Served
from protocols.engine.canonical import plain_number
from protocols.engine.cost import CENT
from protocols.engine.inputs.model import bits
from protocols.engine.result import Composition, Result
from protocols.engine.setting import Setting

WORDED = ("adds_too_little", "not_chosen", "removed_by_hand", "displaced")
"""Reasons for leaving out that speak of how much an ingredient adds."""


def contributions(result: Result, left_out: list[LeftOut]) -> list[Contribution]:
    """One row for each ingredient that is in, then one for each that was weighed and left out."""
    composition = result.composition
    if composition is None:
        return []
    rows = [_row(result, i, held=True) for i in bits(composition.mask)]
    reasons = {row["ingredient"]: row for row in left_out if row["reason_code"] in WORDED}
    for key, reason in reasons.items():
        row = _row(result, result.setting.formulary.ingredients[key].index, held=False)
        row["decided_by"], row["limit"] = _left_out_by(reason), reason["params"].get("limit")
        rows.append(row)
    return rows


def _left_out_by(reason: LeftOut) -> DecidedBy:
    if reason["reason_code"] == "displaced":
        return "limit"
    return "by_hand" if reason["reason_code"] in ("removed_by_hand", "not_chosen") else "value"


def _row(result: Result, i: int, *, held: bool) -> Contribution:
    setting, problem = result.setting, result.setting.problem
    bit = 1 << i
    rest, whole = result.mask & ~bit, result.mask | bit
    gross = problem.benefit(whole) - problem.benefit(rest)
    # Beyond a limit nobody can say how many mixtures there would be: it has to earn its own place at least.
    fits = held or problem.feasible(whole)
    cautions = sum(1 for rule in problem.caution_masks if rule & whole and not rule & rest)
    mixtures = max(0, problem.syringes.fewest(whole) - 1) - max(0, problem.syringes.fewest(rest) - 1) if fits else 0
    needed = problem.simplicity + (problem.caution * cautions if fits else 0) + problem.syringe * mixtures
    price = _price(setting, result.composition, i) if held and result.composition else None
    return {
        "ingredient": setting.formulary.by_index[i].key,
        "held": held,
        "adds": _in_words(setting, gross),
        "gross": plain_number(setting.decimal_value(gross)),
        "needed": plain_number(setting.decimal_value(needed)),
        "needed_for": {"cautions": cautions if fits else 0, "mixtures": mixtures},
        "decided_by": _kept_by(result, i, gross, needed),
        "limit": None,
        "serves": list(_serves(setting, rest, whole)),
        "first_choice_of": [r.concern for r in problem.requirements if r.index == i],
        "price": None if price is None else plain_number(price),
    }


def _in_words(setting: Setting, gross: int) -> InWords:
    rules, amount = setting.formulary.composition, setting.decimal_value(gross)
    return "much" if amount >= rules.much else "some" if amount >= rules.some else "little"


def _kept_by(result: Result, i: int, gross: int, needed: int) -> DecidedBy:
    """Which rule holds it in the mixture."""
    wanted = [r for r in result.setting.problem.requirements if r.index == i]
    if result.engine_mask is not None and not result.engine_mask >> i & 1:
        return "by_hand"
    if wanted:
        return "stands_in" if all(r.substitute for r in wanted) else "first_choice"
    return "value" if gross >= needed else "kept"


def _serves(setting: Setting, rest: int, whole: int) -> Iterator[Served]:
    """How much worse each concern would be served without it, the most severe concern first."""
    for entry, table in zip(setting.screening.concerns, setting.problem.benefits, strict=True):
        change = served(table, whole) - served(table, rest)
        if change:
            yield {
                "concern": entry.concern,
                "value": plain_number(setting.decimal_value(change)),
                "much": _in_words(setting, change),
            }


def served(table: Mapping[int, int], mask: int) -> int:
    """Return how well a set serves one concern, scaled: each further ingredient counts half as much."""
    total = 0
    for k, amount in enumerate(sorted((table[i] for i in bits(mask) if i in table), reverse=True)):
        total += amount >> k
    return total


def _price(setting: Setting, composition: Composition, i: int) -> Decimal:
    """What the ingredient itself comes to in the course, the others left as they are."""
    formulary, policy = setting.formulary, setting.policy
    numbers = range(1, len(composition.plan.offsets) + 1)
    steps = sum(mixture.steps.get(i, 0) for number in numbers for mixture in composition.of_session(number))
    units = setting.volume_ml(steps) * formulary.by_index[i].cost_per_ml * formulary.cost.ingredient_unit
    package = formulary.cost.packages.get(len(composition.plan.offsets), Decimal(1))
    return (units * policy.price_per_unit * package).quantize(CENT, ROUND_HALF_UP)
