"""The clinic's policy: what it may decide itself, always inside the limits of the formulary."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any

from protocols.engine.inputs.formulary import Formulary
from protocols.engine.inputs.model import CaseError, Fault

POLICY_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Policy of a clinic",
    "description": "Every key is optional. Limits can be tightened below the formulary's, never loosened.",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "allow_prescription": {
            "type": "boolean",
            "description": "Prescription-only ingredients that the director has switched on may be proposed.",
        },
        "max_actives": {"type": "integer", "minimum": 1, "description": "Most active ingredients in a session."},
        "max_syringes": {"type": "integer", "minimum": 1, "description": "Most mixtures in a session."},
        "avoid": {
            "type": "array",
            "items": {"type": "string"},
            "uniqueItems": True,
            "description": "Ingredients left out by preference of the practitioner or the patient.",
        },
        "ingredient_budget": {
            "type": ["string", "integer", "null"],
            "description": "Most cost units that the ingredients of one session may come to.",
        },
        "sessions": {"type": ["integer", "null"], "description": "Sessions in the course, inside the rule."},
        "schedule": {
            "type": ["string", "null"],
            "description": "Name of one of the formulary's alternative schedules.",
        },
        "region": {"type": ["string", "null"], "description": "Region of the cost model."},
        "provider": {"type": ["string", "null"], "description": "Provider of the cost model."},
        "currency": {"type": ["string", "null"], "pattern": "^[A-Z]{3}$", "description": "ISO 4217 code."},
        "price_per_unit": {"type": ["string", "integer"], "description": "Price of one cost unit."},
        "alternatives": {"type": "integer", "minimum": 1, "maximum": 6, "description": "Alternatives to show."},
        "selection_weights": {
            "type": "object",
            "additionalProperties": False,
            "description": "Weights of the ranking, in place of the formulary's.",
            "properties": {
                "severity": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
                "evidence_grade": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
                "direction": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
                "simplicity_per_active": {"type": ["string", "integer"]},
                "caution_per_rule": {"type": ["string", "integer"]},
                "extra_syringe": {"type": ["string", "integer"]},
            },
        },
    },
}
MOST_DECIMALS = 6
LARGEST_WEIGHT = Decimal(1000)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`overrides` is what the clinic has set, canonical; the rest is what then applies."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    allow_prescription: bool = True
    max_actives: int = 0
    max_syringes: int = 0
    avoid: tuple[str, ...] = ()
    ingredient_budget: Decimal | None = None
    sessions: int | None = None
    schedule: str | None = None
    region: str = ""
    provider: str = ""
    currency: str | None = None
    price_per_unit: Decimal = Decimal(1)
    alternatives: int = 3
    severity_weight: Mapping[str, Decimal] = field(default_factory=dict)
    grade_weight: Mapping[str, Decimal] = field(default_factory=dict)
    direction_weight: Mapping[str, Decimal] = field(default_factory=dict)
    simplicity: Decimal = Decimal(0)
    caution: Decimal = Decimal(0)
    extra_syringe: Decimal = Decimal(0)

    @classmethod
    def default(cls, formulary: Formulary) -> Policy:
        rules, cost = formulary.composition, formulary.cost
        return cls(
            max_actives=rules.max_actives,
            max_syringes=rules.max_syringes,
            region=_neutral(cost.regions),
            provider=_neutral(cost.providers),
            severity_weight=rules.severity_weight,
            grade_weight=rules.grade_weight,
            direction_weight=rules.direction_weight,
            simplicity=rules.simplicity,
            caution=rules.caution,
            extra_syringe=rules.extra_syringe,
        )

    @classmethod
    def from_mapping(cls, mapping: Any, formulary: Formulary, *, path: str = "policy") -> Policy:
        """A policy from its overrides. Raises CaseError with every fault."""
        return cls.default(formulary).overridden(mapping, formulary, path=path)

    def overridden(self, mapping: Any, formulary: Formulary, *, path: str = "policy") -> Policy:
        reading = _Reading(formulary=formulary, path=path)
        changes = reading.read(mapping, self)
        if reading.faults:
            raise CaseError(tuple(reading.faults))
        if not changes:
            return self
        return replace(self, **changes, overrides=_merged(self.overrides, reading.canonical))

    def wider_than(self, other: Policy) -> tuple[str, ...]:
        """Return the limits, by name, in which this policy allows more than ``other`` does; empty where in none."""
        wider = {
            "allow_prescription": self.allow_prescription and not other.allow_prescription,
            "max_actives": self.max_actives > other.max_actives,
            "max_syringes": self.max_syringes > other.max_syringes,
            "ingredient_budget": other.ingredient_budget is not None
            and (self.ingredient_budget is None or self.ingredient_budget > other.ingredient_budget),
            "avoid": not set(other.avoid) <= set(self.avoid),
        }
        return tuple(name for name, is_wider in wider.items() if is_wider)

    def as_dict(self) -> dict[str, Any]:
        """Everything that applies, for the trace and the fingerprint."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "overrides"}


def _neutral(multipliers: Mapping[str, Decimal]) -> str:
    return next((key for key, value in multipliers.items() if value == 1), next(iter(multipliers)))


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**old, **new}
    weights = {**old.get("selection_weights", {})}
    for name, value in new.get("selection_weights", {}).items():
        weights[name] = {**weights.get(name, {}), **value} if isinstance(value, Mapping) else value
    if weights:
        merged["selection_weights"] = weights
    return merged


class _Reading:
    """Reads one mapping of overrides, gathering faults."""

    def __init__(self, *, formulary: Formulary, path: str) -> None:
        self.formulary = formulary
        self.path = path
        self.faults: list[Fault] = []
        self.canonical: dict[str, Any] = {}

    def fault(self, name: str, code: str, suggestions: tuple[str, ...] = (), **params: Any) -> None:
        path = f"{self.path}.{name}" if name else self.path
        self.faults.append(Fault(path=path, code=code, params=params, suggestions=suggestions))

    def read(self, mapping: Any, policy: Policy) -> dict[str, Any]:
        if not isinstance(mapping, Mapping):
            self.fault("", "wrong_type", expected="mapping")
            return {}
        known = POLICY_SCHEMA["properties"]
        changes: dict[str, Any] = {}
        for name in sorted(mapping, key=str):
            value = mapping[name]
            if name not in known:
                near = tuple(difflib.get_close_matches(str(name)[:60], list(known), n=3))
                self.fault(shown_value(name), "unknown_key", near)
            elif name == "selection_weights":
                changes |= self._weights(value, policy)
            else:
                read = getattr(self, f"_{name}")(name, value)
                if read is not _BAD:
                    changes[name] = read
                    self.canonical[name] = list(read) if isinstance(read, tuple) else read
        return changes

    def _allow_prescription(self, name: str, value: Any) -> Any:
        if isinstance(value, bool):
            return value
        return self._wrong(name, "boolean")

    def _limit(self, name: str, value: Any, most: int) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            return self._wrong(name, "integer")
        if not 1 <= value <= most:
            self.fault(name, "out_of_range", minimum="1", maximum=str(most))
            return _BAD
        return value

    def _max_actives(self, name: str, value: Any) -> Any:
        return self._limit(name, value, self.formulary.composition.max_actives)

    def _max_syringes(self, name: str, value: Any) -> Any:
        return self._limit(name, value, self.formulary.composition.max_syringes)

    def _alternatives(self, name: str, value: Any) -> Any:
        return self._limit(name, value, 6)

    def _avoid(self, name: str, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return self._wrong(name, "list")
        good: set[str] = set()
        for place, key in enumerate(value[:200]):
            if isinstance(key, str) and key in self.formulary.ingredients:
                good.add(key)
            else:
                near = tuple(difflib.get_close_matches(str(key)[:60], list(self.formulary.ingredients), n=3))
                self.fault(f"{name}[{place}]", "unknown_value", near, value=shown_value(key))
        return tuple(sorted(good))

    def _ingredient_budget(self, name: str, value: Any) -> Any:
        return None if value is None else self._number(name, value, Decimal(0), Decimal(1_000_000))

    def _price_per_unit(self, name: str, value: Any) -> Any:
        return self._number(name, value, Decimal(0), Decimal(1_000_000))

    def _sessions(self, name: str, value: Any) -> Any:
        return None if value is None else self._limit(name, value, self.formulary.course.max_sessions)

    def _schedule(self, name: str, value: Any) -> Any:
        names = [key for band in self.formulary.course.bands.values() for key, _ in band.schedules]
        return None if value is None else self._one_of(name, value, names)

    def _region(self, name: str, value: Any) -> Any:
        regions = self.formulary.cost.regions
        return _neutral(regions) if value is None else self._one_of(name, value, list(regions))

    def _provider(self, name: str, value: Any) -> Any:
        providers = self.formulary.cost.providers
        return _neutral(providers) if value is None else self._one_of(name, value, list(providers))

    def _currency(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        if (
            not isinstance(value, str)
            or len(value) != 3
            or not (value.isascii() and value.isalpha() and value.isupper())
        ):
            self.fault(name, "bad_currency", value=shown_value(value))
            return _BAD
        return value

    def _one_of(self, name: str, value: Any, known: list[str]) -> Any:
        if not isinstance(value, str):
            return self._wrong(name, "text")
        if value not in known:
            self.fault(
                name,
                "unknown_value",
                tuple(difflib.get_close_matches(value[:60], known, n=3)),
                value=shown_value(value),
            )
            return _BAD
        return value

    def _number(self, name: str, value: Any, least: Decimal, most: Decimal) -> Any:
        number = read_decimal(value)
        if number is None:
            return self._wrong(name, "number")
        if not least <= number <= most or -int(number.as_tuple().exponent) > MOST_DECIMALS:
            self.fault(name, "out_of_range", minimum=str(least), maximum=str(most))
            return _BAD
        return number

    def _weights(self, value: Any, policy: Policy) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            self._wrong("selection_weights", "mapping")
            return {}
        tables = {
            "severity": ("severity_weight", policy.severity_weight),
            "evidence_grade": ("grade_weight", policy.grade_weight),
            "direction": ("direction_weight", policy.direction_weight),
        }
        numbers = {
            "simplicity_per_active": "simplicity",
            "caution_per_rule": "caution",
            "extra_syringe": "extra_syringe",
        }
        changes: dict[str, Any] = {}
        canonical: dict[str, Any] = {}
        for name in sorted(value, key=str):
            entry = value[name]
            if name in tables:
                attribute, table = tables[name]
                if not isinstance(entry, Mapping):
                    self._wrong(f"selection_weights.{name}", "mapping")
                    continue
                read = self._table(f"selection_weights.{name}", entry, table)
                changes[attribute] = {**table, **read}
                canonical[name] = read
            elif name in numbers:
                number = self._number(f"selection_weights.{name}", entry, Decimal(0), LARGEST_WEIGHT)
                if number is not _BAD:
                    changes[numbers[name]] = number
                    canonical[name] = number
            else:
                near = tuple(difflib.get_close_matches(str(name)[:60], [*tables, *numbers], n=3))
                self.fault(f"selection_weights.{shown_value(name)}", "unknown_key", near)
        self.canonical["selection_weights"] = canonical
        return changes

    def _table(self, name: str, entry: Mapping[Any, Any], table: Mapping[str, Decimal]) -> dict[str, Decimal]:
        read: dict[str, Decimal] = {}
        for key in sorted(entry, key=str):
            if key not in table:
                near = tuple(difflib.get_close_matches(str(key)[:60], list(table), n=3))
                self.fault(f"{name}.{shown_value(key)}", "unknown_key", near)
                continue
            number = self._number(f"{name}.{key}", entry[key], Decimal(0), LARGEST_WEIGHT)
            if number is not _BAD:
                read[key] = number
        return read

    def _wrong(self, name: str, expected: str) -> Any:
        self.fault(name, "wrong_type", expected=expected)
        return _BAD


_BAD = object()


def read_decimal(value: Any) -> Decimal | None:
    """A finite decimal from a number or from a plain decimal string; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value) if abs(value) < 10**15 else Decimal("1E15") * (1 if value > 0 else -1)
    if isinstance(value, float):
        value = repr(value)
    if isinstance(value, Decimal):
        return value if value.is_finite() and abs(value.adjusted()) < 20 else None
    if not isinstance(value, str) or not 0 < len(value) <= 24 or not value.isascii():
        return None
    if not value.lstrip("-").replace(".", "", 1).isdigit() or value.count("-") > 1:
        return None
    return Decimal(value)


def shown_value(value: Any) -> str:
    """A short, safe picture of something that was typed; never of a whole structure."""
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else "?" for letter in value[:60])
    if isinstance(value, bool | float) or value is None:
        return str(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a very large number"
    return type(value).__name__
