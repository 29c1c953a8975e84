"""What the engine speaks about: ingredients, rules, pairs, limits. Values only, no behaviour to speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

Answer = str | int | bool | Decimal | tuple[str, ...]
"""What a fact may be answered with. A list answer is a tuple in the vocabulary's order."""

Severity = Literal["absolute", "exclude", "caution", "info"]
SEVERITY_LEVELS: tuple[str, ...] = ("severe", "moderate", "mild")
"""Severities of a concern, the worst first."""

SEX_FACT = "sex_at_birth"


class MixedUnits(ValueError):
    """Two doses of different units were added or compared: a mistake in code, never in data."""


@dataclass(frozen=True, kw_only=True)
class Dose:
    """An amount of substance with its unit. Doses of different units cannot be added or compared."""

    amount: Decimal
    unit: str

    def _same(self, other: Dose) -> None:
        if self.unit != other.unit:
            raise MixedUnits(f"{self.unit} and {other.unit}")

    def __add__(self, other: Dose) -> Dose:
        self._same(other)
        return Dose(amount=self.amount + other.amount, unit=self.unit)

    def __le__(self, other: Dose) -> bool:
        self._same(other)
        return self.amount <= other.amount

    def __lt__(self, other: Dose) -> bool:
        self._same(other)
        return self.amount < other.amount


@dataclass(frozen=True, kw_only=True)
class Address:
    """That an ingredient serves a concern: how strongly practice ties it, and how well it was studied."""

    concern: str
    strength: int
    grade: str
    direction: str
    note: str
    sources: tuple[str, ...]
    web_article_only: bool


@dataclass(frozen=True, kw_only=True)
class Ingredient:
    key: str
    name: str
    ingredient_class: str
    role: Literal["active", "carrier", "diluent"]
    active: bool
    """Switched on in this formulary version (by default, or by the director)."""
    addresses: Mapping[str, Address]
    concentration: Decimal
    concentration_unit: str
    dose_unit: str
    volume_min_ml: Decimal
    volume_usual_ml: Decimal
    volume_max_ml: Decimal
    max_dose: Dose
    min_interval_days: int
    ph_min: Decimal
    ph_max: Decimal
    solvent: str
    unbuffered: bool
    """A diluent that takes the pH of what it dilutes: its own range keeps nothing out."""
    osmolality: Decimal | None
    """Of the solution as supplied, in mOsm/kg, an estimate; None where it is unknown."""
    flags: Mapping[str, Any]
    allergens: tuple[str, ...]
    prescription_only: bool
    director_confirmation_required: bool
    cost_per_ml: Decimal
    sources: tuple[str, ...]
    basis: str
    # What the search works with: its place in key order, and volumes in whole drawing steps.
    index: int
    min_steps: int
    usual_steps: int
    max_steps: int

    def dose_of(self, volume_ml: Decimal) -> Dose:
        return Dose(amount=self.concentration * volume_ml, unit=self.dose_unit)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a rule aims at: the plan as a whole, a fixed set of ingredients, those that an answer lists, or zones.

    A rule aimed at zones speaks only where a zone to be treated is one of those that the answer to `fact` lists.
    """

    kind: str
    mask: int = 0
    fact: str = ""


@dataclass(frozen=True, kw_only=True)
class Pair:
    key: str
    a_mask: int
    b_mask: int
    severity: Literal["never_mix", "separate_syringe", "use_immediately"]
    scope: Literal["syringe", "session"]
    kind: str
    rationale: str
    sources: tuple[str, ...]

    def joins(self, i: int, j: int) -> bool:
        return i != j and bool(
            (self.a_mask >> i & 1 and self.b_mask >> j & 1) or (self.a_mask >> j & 1 and self.b_mask >> i & 1)
        )


@dataclass(frozen=True, kw_only=True)
class Family:
    key: str
    mask: int
    maximum: int
    reason: str
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Settling:
    """That something may be waited for: after how many days it is looked at again, by which rule."""

    review_days: int
    rule: str
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FormularyConcern:
    key: str
    first_choice: tuple[str, ...]
    supporting: tuple[str, ...]
    referral_first: bool
    referral_rule: str
    scales: tuple[str, ...]
    sources: tuple[str, ...]
    settles: Settling | None = None
    """Set where the concern usually goes away without treatment."""


@dataclass(frozen=True, kw_only=True)
class ScaleOfStages:
    """A chart whose stage sets the severity of the concerns that use it."""

    key: str
    fact: str
    applies_to_sex: str
    bands: Mapping[str, str]
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ZoneArea:
    key: str
    area_cm2: Decimal
    area_min_cm2: Decimal
    area_max_cm2: Decimal


@dataclass(frozen=True, kw_only=True)
class FactShape:
    """What the engine has to know of a fact to check an answer."""

    key: str
    type: str
    values: tuple[str, ...]
    minimum: Decimal | None
    maximum: Decimal | None
    only_if_fact: str = ""
    only_if_value: str = ""


@dataclass(frozen=True, kw_only=True)
class Referral:
    key: str
    to: str
    urgency: str
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CourseBand:
    severity: str
    sessions_min: int
    sessions_default: int
    sessions_max: int
    interval_min: int
    interval_default: int
    interval_max: int
    span_min: int
    span_max: int
    default_offsets: tuple[int, ...]
    schedules: tuple[tuple[str, tuple[int, ...]], ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    key: str
    after_session: int | None
    days_after_last: int | None
    fallback_min: int | None
    fallback_default: int | None
    fallback_max: int | None
    measures: tuple[str, ...]
    applies_to: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Method:
    key: str
    depth_min_mm: Decimal
    depth_max_mm: Decimal
    angle_min: int
    angle_max: int
    is_default: bool
    for_concerns: tuple[str, ...]
    for_ingredients: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SpacingBand:
    from_cm2: Decimal
    up_to_cm2: Decimal
    cm2_per_point: Decimal


@dataclass(frozen=True, kw_only=True)
class CourseRules:
    bands: Mapping[str, CourseBand]
    max_sessions: int
    absolute_min_interval: int
    minutes_min: int
    minutes_max: int
    minutes_base: Decimal
    minutes_from_cm2: Decimal
    minutes_cm2_per_minute: Decimal
    extra_minutes: int
    methods: tuple[Method, ...]
    spacing: tuple[SpacingBand, ...]
    target_per_cm2: Decimal
    target_min_ml: Decimal
    target_max_ml: Decimal
    ceiling_ml: Decimal
    largest_syringe_ml: Decimal
    step_ml: Decimal
    point_min_ml: Decimal
    point_default_ml: Decimal
    point_max_ml: Decimal
    needle: str
    change_needle_every: int
    checkpoints: tuple[Checkpoint, ...]
    technique_sources: tuple[str, ...]
    duration_sources: tuple[str, ...]
    interval_sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MixtureLimits:
    """What a mixture has to be as it is injected."""

    ph_width: Decimal
    """The narrowest window of pH that suits all ingredients of a mixture."""
    ph_min: Decimal
    ph_max: Decimal
    osmolality_max: Decimal
    """In mOsm/kg."""
    smallest_share: Decimal
    """Of the volume of a session, hence of its points, that each of its mixtures has to serve."""
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CompositionRules:
    max_actives: int
    max_actives_per_syringe: int
    max_syringes: int
    max_diluent_share: Decimal
    top_up: tuple[str, ...]
    severity_weight: Mapping[str, Decimal]
    grade_weight: Mapping[str, Decimal]
    direction_weight: Mapping[str, Decimal]
    simplicity: Decimal
    caution: Decimal
    extra_syringe: Decimal
    families: tuple[Family, ...]
    sources: tuple[str, ...]
    waiting: Settling
    """No injections now: when a patient who waits is looked at again."""
    much: Decimal
    """From here on, in value, an ingredient adds much."""
    some: Decimal
    """From here on it adds some; below that little."""
    mixture: MixtureLimits | None
    """None where the formulary is older than these limits."""


@dataclass(frozen=True, kw_only=True)
class CostRules:
    base: Decimal
    ingredient_unit: Decimal
    regions: Mapping[str, Decimal]
    providers: Mapping[str, Decimal]
    injection_bands: tuple[tuple[int, Decimal], ...]
    packages: Mapping[int, Decimal]
    low_percent: Decimal
    high_percent: Decimal
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing wrong with an input, at a named place. The sentence is made elsewhere, per language."""

    path: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)
    suggestions: tuple[str, ...] = ()


class CaseError(ValueError):
    """A case that cannot be read. It carries every fault, not the first."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.path}: {fault.code}" for fault in faults))


def bits(mask: int) -> list[int]:
    """The places of the ones in a mask, ascending."""
    places = []
    while mask:
        low = mask & -mask
        places.append(low.bit_length() - 1)
        mask ^= low
    return places
