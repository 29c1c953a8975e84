"""Formulary: rules, ingredients and limits as the engine works with them, frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from protocols.engine.inputs.model import (
    CompositionRules,
    CostRules,
    CourseRules,
    FactShape,
    FormularyConcern,
    Ingredient,
    Pair,
    Referral,
    ScaleOfStages,
    Scope,
    ZoneArea,
)
from protocols.engine.inputs.triggers import Trigger


@dataclass(frozen=True, kw_only=True)
class Rule:
    key: str
    severity: str
    scope: Scope
    trigger: Trigger
    postponed: bool
    """Only postponed: the formulary says what has to happen first (`until`)."""
    refer: str
    sources: tuple[str, ...]
    referral_of_concern: str = ""
    """Set on a rule made from `referral_first`: it speaks only where that concern is present."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Formulary:
    label: str
    documents: Mapping[str, Any]
    fingerprint: str
    facts: Mapping[str, FactShape]
    ingredients: Mapping[str, Ingredient]
    by_index: tuple[Ingredient, ...]
    concerns: Mapping[str, FormularyConcern]
    scales: Mapping[str, ScaleOfStages]
    zones: Mapping[str, ZoneArea]
    min_total_cm2: Decimal
    max_total_cm2: Decimal
    rules: tuple[Rule, ...]
    required_always: tuple[str, ...]
    required_by_sex: Mapping[str, tuple[str, ...]]
    pairs: tuple[Pair, ...]
    referrals: Mapping[str, Referral]
    composition: CompositionRules
    course: CourseRules
    cost: CostRules
    # What the search works with: for every ingredient, by its index, the set it must not meet.
    active_mask: int
    diluent_mask: int
    prescription_mask: int
    apart: tuple[int, ...]
    """Not in the same syringe."""
    never_together: tuple[int, ...]
    """Not in the same session."""
    hurried: tuple[int, ...]
    """May share a syringe only if injected at once."""
    ph_low: tuple[int, ...]
    ph_high: tuple[int, ...]
    ph_scale: int
    """What the two are multiplied by to be whole."""
    cost_index: tuple[int, ...]
    cost_scale: int
    rules_by_fact: Mapping[str, tuple[Rule, ...]] = field(repr=False)
    causes: Mapping[str, Trigger] = field(default_factory=dict)
    """By fact: the reason without which it is not asked before signing (`asked_with_cause`)."""

    def switched(self, *, activate: Iterable[str] = (), deactivate: Iterable[str] = ()) -> Formulary:
        """The same formulary with ingredients switched on or off."""
        on, off = frozenset(activate), frozenset(deactivate)
        if not on and not off:
            return self
        by_index = tuple(
            replace(item, active=active)
            if (active := (item.active or item.key in on) and item.key not in off) != item.active
            else item
            for item in self.by_index
        )
        return replace(
            self,
            by_index=by_index,
            ingredients={item.key: item for item in by_index},
            active_mask=mask_of(item.index for item in by_index if item.active),
        )

    def keys(self, mask: int) -> tuple[str, ...]:
        return tuple(item.key for item in self.by_index if mask >> item.index & 1)

    def mask(self, keys: Iterable[str]) -> int:
        return mask_of(self.ingredients[key].index for key in keys)


def mask_of(indexes: Iterable[int]) -> int:
    mask = 0
    for index in indexes:
        mask |= 1 << index
    return mask
