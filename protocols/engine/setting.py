"""What a case leaves to choose from: candidates, limits and weights, once screening has spoken.

The proposal and every edit by hand work on the same setting, so that both meet the same limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any

from protocols.engine.course import points, target_volume
from protocols.engine.inputs.case import Case
from protocols.engine.inputs.formulary import Formulary
from protocols.engine.inputs.model import SEVERITY_LEVELS, Address, Ingredient
from protocols.engine.inputs.policy import Policy
from protocols.engine.mixing.dose import Limits, Mixture, Wanted
from protocols.engine.mixing.drawing import Drawing
from protocols.engine.mixing.partition import Acidity, Groups, SyringeRules, clashes_of
from protocols.engine.mixing.select import Problem, Requirement
from protocols.engine.screen import Screening, screen


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """Why an active ingredient is no candidate."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    case: Case
    formulary: Formulary
    policy: Policy
    screening: Screening
    stock: Mapping[str, Decimal] | None
    status: str
    target_ml: Decimal
    target_steps: int
    points: int
    limits: tuple[Limits, ...]
    unavailable: Mapping[int, Unavailable]
    candidates: int
    serving: int
    """Candidates that serve at least one present concern."""
    diluent: int
    """Index of the diluent that tops up; -1 for none."""
    share: Fraction
    problem: Problem
    drawing: Drawing
    value_exponent: int
    value_shift: int

    def decimal_value(self, scaled: int) -> Decimal:
        """A scaled whole number as the decimal it stands for, exactly."""
        whole = scaled * 5**self.value_shift
        digits = tuple(int(digit) for digit in str(abs(whole)))
        return Decimal((int(whole < 0), digits, -(self.value_exponent + self.value_shift)))

    def strength_of(self, address: Address) -> Decimal:
        """b: how much an ingredient counts for a concern."""
        return benefit_of(address, self.policy)

    def serves(self, item: Ingredient) -> list[Address]:
        """The present concerns that an ingredient serves, most severe first."""
        return [
            item.addresses[entry.concern]
            for entry in self.screening.concerns
            if entry.concern in item.addresses and self.strength_of(item.addresses[entry.concern]) > 0
        ]

    def small_syringe(self, groups: Groups, mixtures: tuple[Mixture, ...]) -> dict[str, Any]:
        """What the smallest of the mixtures holds, as a mask and volume, and how many of the points it would serve."""
        steps, place = min((mixture.total, place) for place, mixture in enumerate(mixtures))
        whole = sum(mixture.total for mixture in mixtures)
        limits = self.formulary.composition.mixture
        return {
            "syringe": list(self.formulary.keys(groups[place])),
            "volume_ml": self.volume_ml(steps),
            "total_ml": self.volume_ml(whole),
            "points": self.points * steps // whole,
            "of_points": self.points,
            "least_share": None if limits is None else limits.smallest_share,
        }

    def volume_ml(self, steps: int) -> Decimal:
        return self.formulary.course.step_ml * steps


def benefit_of(address: Address, policy: Policy) -> Decimal:
    return address.strength * policy.grade_weight[address.grade] * policy.direction_weight[address.direction]


def set_up(case: Case, formulary: Formulary, policy: Policy, stock: Mapping[str, Decimal] | None) -> Setting:
    screening = screen(case, formulary)
    rules = formulary.course
    target = target_volume(case.area_cm2, formulary)
    target_steps = int((target / rules.step_ml).to_integral_value(ROUND_FLOOR))
    limits = tuple(_limits(item, stock, rules.step_ml) for item in formulary.by_index)
    unavailable = {
        item.index: reason
        for item in formulary.by_index
        if item.active
        and (reason := _unavailable(item, limits[item.index], screening, policy, stock, target_steps)) is not None
    }
    candidates = 0
    for item in formulary.by_index:
        if item.active and item.role != "diluent" and item.index not in unavailable:
            candidates |= 1 << item.index
    exponent, shift = _exponent(policy), policy.max_actives - 1
    benefits = _benefits(screening, formulary, policy, candidates, 10**exponent << shift)
    serving = _serving(benefits)
    diluent = _diluent(formulary, unavailable)
    drawing = _drawing(formulary, policy, limits, target_steps, diluent)
    problem = _problem(formulary, policy, screening, drawing, candidates, benefits, 10**exponent << shift)
    return Setting(
        case=case,
        formulary=formulary,
        policy=policy,
        screening=screening,
        stock=stock,
        status="incomplete" if screening.missing else "blocked" if screening.blocks else "proposed",
        target_ml=target,
        target_steps=target_steps,
        points=points(case.area_cm2, formulary),
        limits=limits,
        unavailable=unavailable,
        candidates=candidates,
        serving=serving,
        diluent=diluent,
        share=drawing.share,
        problem=problem,
        drawing=drawing,
        value_exponent=exponent,
        value_shift=shift,
    )


def _benefits(
    screening: Screening, formulary: Formulary, policy: Policy, candidates: int, scale: int
) -> tuple[dict[int, int], ...]:
    """For each concern what each candidate counts there, as a whole number; who does not serve it is not in."""
    benefits = []
    for entry in screening.concerns:
        weight = policy.severity_weight[entry.severity]
        table: dict[int, int] = {}
        for item in formulary.by_index:
            address = item.addresses.get(entry.concern)
            if address is not None and candidates >> item.index & 1:
                amount = int(weight * benefit_of(address, policy) * scale)
                if amount > 0:
                    table[item.index] = amount
        benefits.append(table)
    return tuple(benefits)


def _serving(benefits: Iterable[Mapping[int, int]]) -> int:
    """Those that serve at least one concern, as a mask."""
    return sum(1 << i for i in {i for table in benefits for i in table})


def _diluent(formulary: Formulary, unavailable: Mapping[int, Unavailable]) -> int:
    """The first diluent for topping up that may be given; -1 for none."""
    for key in formulary.composition.top_up:
        item = formulary.ingredients[key]
        if item.active and item.index not in unavailable:
            return item.index
    return -1


def _drawing(
    formulary: Formulary, policy: Policy, limits: tuple[Limits, ...], target_steps: int, diluent: int
) -> Drawing:
    return Drawing(
        rules=SyringeRules(
            apart=formulary.apart,
            hurried=formulary.hurried,
            ph_low=formulary.ph_low,
            ph_high=formulary.ph_high,
            per_syringe=formulary.composition.max_actives_per_syringe,
            most=policy.max_syringes,
            dilutable_mask=_dilutable(formulary, diluent),
            acidity=_acidity(formulary),
        ),
        limits=limits,
        target=target_steps,
        diluent=diluent,
        share=Fraction(formulary.composition.max_diluent_share),
        budget=_budget(formulary, policy),
        cost=formulary.cost_index,
        wanted=_wanted(formulary),
    )


def _budget(formulary: Formulary, policy: Policy) -> int | None:
    """The budget in what a step of an ingredient costs: unit × step × relative cost, scaled to be whole."""
    per_unit = formulary.cost.ingredient_unit * formulary.course.step_ml
    if policy.ingredient_budget is None or not per_unit:
        return None
    return int((policy.ingredient_budget * formulary.cost_scale / per_unit).to_integral_value(ROUND_FLOOR))


def _problem(
    formulary: Formulary,
    policy: Policy,
    screening: Screening,
    drawing: Drawing,
    candidates: int,
    benefits: tuple[dict[int, int], ...],
    scale: int,
) -> Problem:
    """What `select` chooses from: the candidates that serve a concern, what each is worth, and every limit."""
    limits = drawing.limits
    serving = _serving(benefits)
    return Problem(
        candidates=serving,
        benefits=benefits,
        simplicity=int(policy.simplicity * scale),
        caution=int(policy.caution * scale),
        syringe=int(policy.extra_syringe * scale),
        caution_masks=tuple(
            finding.mask & candidates
            for finding in screening.findings
            if finding.rule.severity == "caution" and finding.mask & candidates
        ),
        families=tuple((family.mask, family.maximum) for family in formulary.composition.families),
        never_together=formulary.never_together,
        min_steps=tuple(limit.least for limit in limits),
        target_steps=drawing.target,
        budget=drawing.budget,
        usual_cost=tuple(cost * limit.usual for cost, limit in zip(formulary.cost_index, limits, strict=True)),
        most=policy.max_actives,
        syringes=drawing.rules,
        cost_index=formulary.cost_index,
        requirements=_requirements(screening, formulary, policy, serving),
        drawing=drawing,
    )


def _limits(item: Ingredient, stock: Mapping[str, Decimal] | None, step: Decimal) -> Limits:
    most, usual = item.max_steps, item.usual_steps
    if stock is not None:
        most = min(most, int((stock.get(item.key, Decimal(0)) / step).to_integral_value(ROUND_FLOOR)))
        usual = min(usual, most)
    return Limits(least=item.min_steps, usual=usual, most=most)


def _unavailable(
    item: Ingredient,
    limits: Limits,
    screening: Screening,
    policy: Policy,
    stock: Mapping[str, Decimal] | None,
    target_steps: int,
) -> Unavailable | None:
    if screening.excluded_mask >> item.index & 1:
        rules = [f for f in screening.findings if f.rule.severity == "exclude" and f.mask >> item.index & 1]
        return Unavailable(code="screened", params={"findings": tuple(rules)})
    if item.prescription_only and not policy.allow_prescription:
        return Unavailable(code="prescription_only")
    if item.key in policy.avoid:
        return Unavailable(code="preference")
    if item.max_steps < max(1, item.min_steps):
        return Unavailable(code="not_drawable")
    if limits.most < max(1, limits.least):
        available = Decimal(0) if stock is None else stock.get(item.key, Decimal(0))
        return Unavailable(code="no_stock", params={"available_ml": available, "needed_ml": item.volume_min_ml})
    if limits.least > target_steps:
        return Unavailable(code="no_volume", params={"needed_ml": item.volume_min_ml})
    return None


def _exponent(policy: Policy) -> int:
    """Decimal places that make every weighted benefit and every penalty whole."""

    def places(numbers: Mapping[str, Decimal]) -> int:
        return max((max(0, -int(number.as_tuple().exponent)) for number in numbers.values()), default=0)

    product = places(policy.severity_weight) + places(policy.grade_weight) + places(policy.direction_weight)
    penalties = {"a": policy.simplicity, "b": policy.caution, "c": policy.extra_syringe}
    return max(product, places(penalties))


def _dilutable(formulary: Formulary, diluent: int) -> int:
    if diluent < 0:
        return 0
    clashing = clashes_of(formulary.apart, formulary.ph_low, formulary.ph_high, _acidity(formulary))[diluent]
    return ~clashing & (1 << len(formulary.by_index)) - 1


def _acidity(formulary: Formulary) -> Acidity:
    limits, scale = formulary.composition.mixture, formulary.ph_scale
    unbuffered = sum(1 << item.index for item in formulary.by_index if item.unbuffered)
    if limits is None:
        return Acidity(unbuffered=unbuffered)
    return Acidity(
        width=int(limits.ph_width * scale),
        low=int(limits.ph_min * scale),
        high=int(limits.ph_max * scale),
        unbuffered=unbuffered,
    )


def _wanted(formulary: Formulary) -> Wanted | None:
    limits = formulary.composition.mixture
    if limits is None:
        return None
    known = [item.osmolality for item in formulary.by_index if item.osmolality is not None]
    scale = 10 ** max(max(0, -int(value.as_tuple().exponent)) for value in [*known, limits.osmolality_max])
    return Wanted(
        osmolality=tuple(
            None if item.osmolality is None else int(item.osmolality * scale) for item in formulary.by_index
        ),
        most=int(limits.osmolality_max * scale),
        share=Fraction(limits.smallest_share),
    )


def _requirements(
    screening: Screening, formulary: Formulary, policy: Policy, available: int
) -> tuple[Requirement, ...]:
    """For each concern its first choices; for each one that is not to be had, the best supporting one that is."""
    found: list[Requirement] = []
    for entry in screening.concerns:
        concern = formulary.concerns[entry.concern]
        level = SEVERITY_LEVELS.index(entry.severity)
        ranked = sorted(
            (
                formulary.ingredients[key]
                for key in concern.supporting
                if available >> formulary.ingredients[key].index & 1
            ),
            key=lambda item: (-benefit_of(item.addresses[concern.key], policy), item.cost_per_ml, item.key),
        )
        substitutes = iter(ranked)
        for key in concern.first_choice:
            index, substitute = formulary.ingredients[key].index, False
            if not available >> index & 1:
                stand_in = next(substitutes, None)
                index, substitute = (-1, False) if stand_in is None else (stand_in.index, True)
            found.append(
                Requirement(level=level, concern=concern.key, first_choice=key, index=index, substitute=substitute)
            )
    return tuple(found)
