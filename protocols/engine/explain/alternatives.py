"""Alternatives: other mixtures one step away, ranked, with what each trades; and waiting."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any

from protocols.engine import answer as says
from protocols.engine.canonical import plain_number
from protocols.engine.cost import Estimate
from protocols.engine.explain import waiting
from protocols.engine.explain.contribution import served
from protocols.engine.explain.course import estimate_of
from protocols.engine.explain.values import Values
from protocols.engine.inputs.model import bits
from protocols.engine.mixing.dose import Mixture
from protocols.engine.mixing.select import Problem
from protocols.engine.result import Composition, Result, compose
from protocols.engine.setting import Setting


def alternatives(result: Result, values: Values, money: Estimate) -> list[says.Alternative]:
    """Other sets one step away - one ingredient fewer, one more, one exchanged - ranked, with what each trades.

    The best of each kind, then the best of the rest; and always waiting, before them where something speaks for it.
    """
    setting, problem, mask = result.setting, result.setting.problem, result.mask
    inside, outside = bits(mask), bits(problem.candidates & ~mask)
    fewer = [mask & ~(1 << i) for i in inside]
    kinds = (fewer, [mask | 1 << j for j in outside], [smaller | 1 << j for smaller in fewer for j in outside])

    def rank(other: int) -> tuple[Any, ...]:
        met = tuple(-count for count in problem.met(other))
        return met, -values.value(other), problem.cost(other), bits(other)

    picked = [best for kind in kinds for best in islice(_ranked(kind, problem, values), 1)]
    wanted = setting.policy.alternatives
    if len(picked) < wanted:
        everything = _ranked([other for kind in kinds for other in kind], problem, values)
        rest = (other for other in everything if other not in picked)
        picked = [*picked, *islice(rest, wanted - len(picked))]
    mixed = [_alternative(result, other, values, money) for other in sorted(picked, key=rank)[:wanted]]
    worth = setting.decimal_value(values.value(mask))
    waits = waiting.alternative(setting, mask, worth, money.total if mask else Decimal(0), money.currency)
    return [waits, *mixed] if waiting.reasons(setting, mask, worth) else [*mixed, waits]


def _ranked(sets: list[int], problem: Problem, values: Values) -> Iterator[int]:
    """The feasible ones of the sets, best first. How many syringes a set needs is worked out only for those that are
    near the top by what they are worth without that."""
    waiting: list[tuple[Any, ...]] = []
    for other in sets:
        met = tuple(-count for count in problem.met(other))
        waiting.append((met, -values.without_syringes(other), False, 0, (), other))
    heapify(waiting)
    while waiting:
        met, _, settled, _, _, other = heappop(waiting)
        if settled:
            yield other
        elif problem.feasible(other) and not problem.too_small(other):
            heappush(waiting, (met, -values.value(other), True, problem.cost(other), tuple(bits(other)), other))


def _alternative(result: Result, other: int, values: Values, money: Estimate) -> says.Alternative:
    """One alternative with its own doses and the price of its own course."""
    setting, problem, mask = result.setting, result.setting.problem, result.mask
    formulary = setting.formulary
    composition = _composed_as_edited(result, other)
    total = estimate_of(setting, composition).total
    trades: list[says.Trade] = []
    for code, part in (("without", mask & ~other), ("with", other & ~mask)):
        trades += [{"code": code, "params": {"ingredient": key}} for key in formulary.keys(part)]
    for entry, table in zip(setting.screening.concerns, problem.benefits, strict=True):
        change = served(table, other) - served(table, mask)
        if change:
            code = "serves_more" if change > 0 else "serves_less"
            trades.append(
                {"code": code, "params": {"concern": entry.concern, "value": setting.decimal_value(abs(change))}}
            )
    for requirement in problem.requirements:
        bit = 1 << requirement.index if requirement.index >= 0 else 0
        if bit & mask & ~other:
            trades.append(
                {
                    "code": "gives_up_requirement",
                    "params": {"ingredient": formulary.by_index[requirement.index].key, "concern": requirement.concern},
                }
            )
    changes = (
        ("syringes", problem.syringes.fewest(other) - problem.syringes.fewest(mask)),
        ("cautions", _raised(problem.caution_masks, other) - _raised(problem.caution_masks, mask)),
    )
    trades += [
        {"code": f"{'more' if change > 0 else 'fewer'}_{name}", "params": {"count": abs(change)}}
        for name, change in changes
        if change
    ]
    more = total - money.total
    if more:
        params = {"amount": abs(more), "currency": money.currency}
        trades.append({"code": "dearer" if more > 0 else "cheaper", "params": params})
    value = values.value(other)
    return {
        "kind": "mixture",
        "ingredients": list(formulary.keys(other)),
        "value": plain_number(setting.decimal_value(value)),
        "value_difference": plain_number(setting.decimal_value(value - values.value(mask))),
        "lines": _amounts(setting, composition.mixtures),
        "sessions": [
            {"number": number, "lines": _amounts(setting, mixtures)}
            for number, mixtures in sorted(composition.others.items())
        ],
        "cost_total": plain_number(total),
        "cost_difference": plain_number(more),
        "trades": trades,
        "review": None,
    }


def _composed_as_edited(result: Result, other: int) -> Composition:
    """Another set, dosed; volumes that were set by hand stay where they fit."""
    setting, problem = result.setting, result.setting.problem
    pinned = {i: steps for i, steps in result.pinned.items() if other >> i & 1}
    if pinned:
        kept = compose(setting, other, pinned)
        steps = {i: amount for mixture in kept.mixtures for i, amount in mixture.steps.items()}
        spent = sum(problem.cost_index[i] * amount for i, amount in steps.items())
        if sum(steps.values()) <= setting.target_steps and (problem.budget is None or spent <= problem.budget):
            return kept
    return compose(setting, other)


def _amounts(setting: Setting, mixtures: tuple[Mixture, ...]) -> list[says.Amount]:
    """How much of each ingredient a session holds, over all its mixtures; a diluent comes last."""
    actives = {i: steps for mixture in mixtures for i, steps in mixture.steps.items()}
    poured: dict[int, int] = {}
    for mixture in mixtures:
        if mixture.diluent_steps:
            poured[mixture.diluent] = poured.get(mixture.diluent, 0) + mixture.diluent_steps
    rows: list[says.Amount] = []
    for i, steps in [*sorted(actives.items()), *poured.items()]:
        item, volume = setting.formulary.by_index[i], setting.volume_ml(steps)
        amount = item.dose_of(volume)
        rows.append(
            {
                "ingredient": item.key,
                "volume_ml": plain_number(volume),
                "dose": plain_number(amount.amount),
                "dose_unit": amount.unit,
            }
        )
    return rows


def _raised(rules: tuple[int, ...], mask: int) -> int:
    return sum(1 for rule in rules if rule & mask)
