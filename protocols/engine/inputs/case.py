"""Read a case: facts, concerns, zones and what goes with them. Every fault is found, and none raises anything else."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from protocols.engine.inputs.formulary import Formulary
from protocols.engine.inputs.model import Answer, CaseError, FactShape, Fault
from protocols.engine.inputs.policy import MOST_DECIMALS, Policy, read_decimal, shown_value

UNANSWERED = "unknown"
KNOWN_KEYS = ("facts", "concerns", "zones", "formulary_overrides", "policy", "stock", "waived")
IGNORED_KEYS = ("id", "title", "narrative", "expect", "reasons")
SEVERITIES = ("mild", "moderate", "severe")
CONCERN_KEYS = ("concern", "severity", "insisted")
WAIVERS = ("not_measured", "not_applicable")
MOST_FAULTS = 200
LONGEST_REASON = 2000
LARGEST_STOCK_ML = Decimal(1_000_000)


@dataclass(frozen=True, kw_only=True)
class ConcernEntry:
    concern: str
    severity: str
    insisted: str = ""
    """Why the practitioner holds to this severity although a stage says another; empty: the stage decides."""


@dataclass(frozen=True, kw_only=True)
class ZoneEntry:
    zone: str
    area_cm2: Decimal
    measured: bool


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """A practitioner's word that an open question stays open: not measured, or not applicable, and why."""

    fact: str
    kind: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Case:
    facts: Mapping[str, Answer]
    concerns: tuple[ConcernEntry, ...]
    zones: tuple[ZoneEntry, ...]
    activate: tuple[str, ...] = ()
    deactivate: tuple[str, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)
    stock: Mapping[str, Decimal] | None = None
    waived: Mapping[str, Waiver] = field(default_factory=dict)

    @property
    def area_cm2(self) -> Decimal:
        return sum((zone.area_cm2 for zone in self.zones), Decimal(0))

    def canonical(self) -> dict[str, Any]:
        """The case in one way, whatever order it was typed in. Reading it again gives the same case."""
        return {
            "facts": {key: list(value) if isinstance(value, tuple) else value for key, value in self.facts.items()},
            "concerns": [
                {"concern": entry.concern, "severity": entry.severity}
                | ({"insisted": entry.insisted} if entry.insisted else {})
                for entry in self.concerns
            ],
            "zones": [
                {"zone": entry.zone, "area_cm2": entry.area_cm2} if entry.measured else entry.zone
                for entry in self.zones
            ],
            "formulary_overrides": {"activate": list(self.activate), "deactivate": list(self.deactivate)},
            "policy": dict(self.policy),
            "stock": None if self.stock is None else dict(self.stock),
            "waived": {key: {"as": waiver.kind, "reason": waiver.reason} for key, waiver in self.waived.items()},
        }


def parse_case(mapping: Any, formulary: Formulary) -> Case:
    """A case from what was typed or sent. Raises CaseError with every fault, each at its place."""
    reading = _Reading(formulary)
    case = reading.case(mapping)
    if reading.faults or case is None:
        raise CaseError(tuple(reading.faults))
    return case


def _near(word: Any, known: Iterable[str]) -> tuple[str, ...]:
    text = str(word)[:60] if isinstance(word, str | int) and not isinstance(word, bool) else ""
    return tuple(difflib.get_close_matches(text, list(known), n=3)) if text else ()


class _Reading:
    def __init__(self, formulary: Formulary) -> None:
        self.formulary = formulary
        self.faults: list[Fault] = []

    def fault(self, path: str, code: str, suggestions: tuple[str, ...] = (), **params: Any) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(path=path, code=code, params=params, suggestions=suggestions))

    def case(self, mapping: Any) -> Case | None:
        if not isinstance(mapping, Mapping):
            self.fault("case", "wrong_type", expected="mapping")
            return None
        for key in mapping:
            if key not in KNOWN_KEYS and key not in IGNORED_KEYS:
                self.fault(_place(key), "unknown_key", _near(key, KNOWN_KEYS))
        facts = self._facts(mapping.get("facts"))
        concerns = self._concerns(mapping.get("concerns"))
        zones = self._zones(mapping.get("zones"))
        activate, deactivate = self._overrides(mapping.get("formulary_overrides"))
        policy = self._policy(mapping.get("policy"))
        stock = self._stock(mapping.get("stock"))
        waived = self._waived(mapping.get("waived"), facts)
        return Case(
            facts=facts,
            concerns=concerns,
            zones=zones,
            activate=activate,
            deactivate=deactivate,
            policy=policy,
            stock=stock,
            waived=waived,
        )

    # ------------------------------------------------------------------ facts
    def _facts(self, data: Any) -> dict[str, Answer]:
        if data is None:
            self.fault("facts", "required")
            return {}
        if not isinstance(data, Mapping):
            self.fault("facts", "wrong_type", expected="mapping")
            return {}
        shapes = self.formulary.facts
        for key in data:
            if key not in shapes:
                self.fault(f"facts.{_place(key)}", "unknown_fact", _near(key, shapes))
        facts: dict[str, Answer] = {}
        for key, shape in shapes.items():
            answer = self._answer(f"facts.{key}", data.get(key), shape)
            if answer is not None:
                facts[key] = answer
        return facts

    def _answer(self, path: str, value: Any, shape: FactShape) -> Answer | None:
        if value is None or (isinstance(value, str) and value == UNANSWERED and value not in shape.values):
            return None
        if shape.type == "boolean":
            if isinstance(value, bool):
                return value
            self.fault(path, "wrong_type", expected="boolean", value=shown_value(value))
            return None
        if shape.type == "enum":
            return self._word(path, value, shape.values)
        if shape.type == "list":
            return self._words(path, value, shape.values)
        return self._number(path, value, shape)

    def _word(self, path: str, value: Any, known: tuple[str, ...]) -> str | None:
        if not isinstance(value, str):
            self.fault(path, "wrong_type", expected="text", value=shown_value(value))
        elif value not in known:
            self.fault(path, "unknown_value", _near(value, known), value=shown_value(value))
        else:
            return value
        return None

    def _words(self, path: str, value: Any, known: tuple[str, ...]) -> tuple[str, ...] | None:
        if not isinstance(value, list | tuple):
            self.fault(path, "wrong_type", expected="list", value=shown_value(value))
            return None
        chosen: set[str] = set()
        for place, item in enumerate(value):
            if place >= len(known) + MOST_FAULTS:
                self.fault(path, "too_long", maximum=str(len(known)))
                break
            word = self._word(f"{path}[{place}]", item, known)
            if word is None:
                continue
            if word in chosen:
                self.fault(f"{path}[{place}]", "duplicate", value=word)
            chosen.add(word)
        return tuple(word for word in known if word in chosen)

    def _number(self, path: str, value: Any, shape: FactShape) -> int | Decimal | None:
        whole = shape.type == "integer"
        text_for_whole = whole and isinstance(value, str)
        number = None if text_for_whole else read_decimal(value)
        if number is None:
            not_finite = isinstance(value, float) or (
                isinstance(value, str) and value.strip(".+-").lower() in {"nan", "inf", "infinity"}
            )
            code = "not_finite" if not_finite else "wrong_type"
            self.fault(path, code, expected="integer" if whole else "number", value=shown_value(value))
            return None
        least, most = shape.minimum or Decimal(0), shape.maximum or Decimal(0)
        if not least <= number <= most:
            self.fault(path, "out_of_range", minimum=str(least), maximum=str(most), value=shown_value(value))
            return None
        if whole:
            if number != number.to_integral_value():
                self.fault(path, "wrong_type", expected="integer", value=shown_value(value))
                return None
            return int(number)
        if -int(number.as_tuple().exponent) > MOST_DECIMALS:
            self.fault(path, "too_precise", maximum=str(MOST_DECIMALS), value=shown_value(value))
            return None
        return number

    # ------------------------------------------------------------------ concerns and zones
    def _entries(self, name: str, data: Any) -> list[Any]:
        if data is None:
            self.fault(name, "required")
            return []
        if not isinstance(data, list | tuple):
            self.fault(name, "wrong_type", expected="list")
            return []
        if not data:
            self.fault(name, "empty")
        if len(data) > MOST_FAULTS:
            self.fault(name, "too_long", maximum=str(MOST_FAULTS))
            return []
        return list(data)

    def _concerns(self, data: Any) -> tuple[ConcernEntry, ...]:
        known = self.formulary.concerns
        found: dict[str, ConcernEntry] = {}
        for place, entry in enumerate(self._entries("concerns", data)):
            path = f"concerns[{place}]"
            if not isinstance(entry, Mapping):
                self.fault(path, "wrong_type", expected="mapping", value=shown_value(entry))
                continue
            for key in entry:
                if key not in CONCERN_KEYS:
                    self.fault(f"{path}.{_place(key)}", "unknown_key", _near(key, CONCERN_KEYS))
            concern = self._entry_word(f"{path}.concern", entry.get("concern"), tuple(known))
            severity = self._entry_word(f"{path}.severity", entry.get("severity"), SEVERITIES)
            insisted = self._insisted(f"{path}.insisted", entry.get("insisted"))
            if concern is None:
                continue
            if concern in found:
                self.fault(f"{path}.concern", "duplicate", value=concern)
            elif severity is not None:
                found[concern] = ConcernEntry(concern=concern, severity=severity, insisted=insisted)
        return tuple(found[key] for key in sorted(found))

    def _insisted(self, path: str, reason: Any) -> str:
        if reason is None:
            return ""
        if not isinstance(reason, str) or not 0 < len(reason.strip()) <= LONGEST_REASON:
            self.fault(path, "required")
        elif not all(letter.isprintable() or letter in "\n\t" for letter in reason):
            self.fault(path, "bad_text")
        else:
            return reason
        return ""

    def _entry_word(self, path: str, value: Any, known: tuple[str, ...]) -> str | None:
        if value is None:
            self.fault(path, "required")
            return None
        return self._word(path, value, known)

    def _zones(self, data: Any) -> tuple[ZoneEntry, ...]:
        known = self.formulary.zones
        found: dict[str, ZoneEntry] = {}
        entries = self._entries("zones", data)
        before = len(self.faults)
        for place, entry in enumerate(entries):
            path = f"zones[{place}]"
            measured: Any = None
            name: Any = entry
            if isinstance(entry, Mapping):
                for key in entry:
                    if key not in ("zone", "area_cm2"):
                        self.fault(f"{path}.{_place(key)}", "unknown_key", _near(key, ("zone", "area_cm2")))
                path, name, measured = f"{path}.zone", entry.get("zone"), entry.get("area_cm2")
            zone = self._entry_word(path, name, tuple(known))
            if zone is None:
                continue
            if zone in found:
                self.fault(path, "duplicate", value=zone)
                continue
            area = known[zone].area_cm2 if measured is None else self._area(f"zones[{place}].area_cm2", measured, zone)
            if area is not None:
                found[zone] = ZoneEntry(zone=zone, area_cm2=area, measured=measured is not None)
        zones = tuple(found[key] for key in known if key in found)
        total = sum((zone.area_cm2 for zone in zones), Decimal(0))
        least, most = self.formulary.min_total_cm2, self.formulary.max_total_cm2
        if entries and len(self.faults) == before and not least <= total <= most:
            self.fault("zones", "total_area_out_of_range", minimum=str(least), maximum=str(most), value=str(total))
        return zones

    def _area(self, path: str, value: Any, zone: str) -> Decimal | None:
        area = read_decimal(value)
        shape = self.formulary.zones[zone]
        if area is None:
            self.fault(path, "wrong_type", expected="number", value=shown_value(value))
        elif not shape.area_min_cm2 <= area <= shape.area_max_cm2:
            self.fault(
                path,
                "out_of_range",
                minimum=str(shape.area_min_cm2),
                maximum=str(shape.area_max_cm2),
                value=shown_value(value),
            )
        elif -int(area.as_tuple().exponent) > MOST_DECIMALS:
            self.fault(path, "too_precise", maximum=str(MOST_DECIMALS), value=shown_value(value))
        else:
            return area
        return None

    # ------------------------------------------------------------------ what goes with it
    def _overrides(self, data: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if data is None:
            return (), ()
        if not isinstance(data, Mapping):
            self.fault("formulary_overrides", "wrong_type", expected="mapping")
            return (), ()
        for key in data:
            if key not in ("activate", "deactivate"):
                self.fault(f"formulary_overrides.{_place(key)}", "unknown_key", _near(key, ("activate", "deactivate")))
        lists = []
        for name in ("activate", "deactivate"):
            value = data.get(name)
            path = f"formulary_overrides.{name}"
            lists.append(() if value is None else self._words(path, value, tuple(self.formulary.ingredients)) or ())
        for key in sorted(set(lists[0]) & set(lists[1])):
            self.fault("formulary_overrides", "contradiction", value=key)
        return lists[0], lists[1]

    def _policy(self, data: Any) -> Mapping[str, Any]:
        if data is None:
            return {}
        try:
            return Policy.from_mapping(data, self.formulary).overrides
        except CaseError as error:
            self.faults.extend(error.faults)
            return {}

    def _stock(self, data: Any) -> dict[str, Decimal] | None:
        if data is None:
            return None
        return read_stock(data, self.formulary, self.faults)

    def _waived(self, data: Any, facts: Mapping[str, Answer]) -> dict[str, Waiver]:
        if data is None:
            return {}
        if not isinstance(data, Mapping):
            self.fault("waived", "wrong_type", expected="mapping")
            return {}
        shapes = self.formulary.facts
        waived: dict[str, Waiver] = {}
        for key in data:
            path, entry = f"waived.{_place(key)}", data[key]
            if key not in shapes:
                self.fault(path, "unknown_fact", _near(key, shapes))
            elif not isinstance(entry, Mapping) or set(entry) != {"as", "reason"}:
                self.fault(path, "wrong_type", expected="waiver")
            elif entry["as"] not in WAIVERS:
                self.fault(f"{path}.as", "unknown_value", _near(entry["as"], WAIVERS), value=shown_value(entry["as"]))
            elif not isinstance(entry["reason"], str) or not 0 < len(entry["reason"].strip()) <= LONGEST_REASON:
                self.fault(f"{path}.reason", "required")
            elif not all(letter.isprintable() or letter in "\n\t" for letter in entry["reason"]):
                self.fault(f"{path}.reason", "bad_text")
            elif key in facts:
                self.fault(path, "answered_and_waived")
            else:
                waived[key] = Waiver(fact=key, kind=entry["as"], reason=entry["reason"])
        return {key: waived[key] for key in shapes if key in waived}


def read_stock(data: Any, formulary: Formulary, faults: list[Fault]) -> dict[str, Decimal]:
    if not isinstance(data, Mapping):
        faults.append(Fault(path="stock", code="wrong_type", params={"expected": "mapping"}))
        return {}
    stock: dict[str, Decimal] = {}
    for key in data:
        path, amount = f"stock.{_place(key)}", read_decimal(data[key])
        if key not in formulary.ingredients:
            near = _near(key, formulary.ingredients)
            faults.append(Fault(path=path, code="unknown_ingredient", params={}, suggestions=near))
        elif amount is None:
            faults.append(
                Fault(path=path, code="wrong_type", params={"expected": "number", "value": shown_value(data[key])})
            )
        elif not 0 <= amount <= LARGEST_STOCK_ML:
            limits = {"minimum": "0", "maximum": str(LARGEST_STOCK_ML), "value": shown_value(data[key])}
            faults.append(Fault(path=path, code="out_of_range", params=limits))
        else:
            stock[key] = amount
    del faults[MOST_FAULTS:]
    return {key: stock[key] for key in sorted(stock)}


def _place(key: Any) -> str:
    return shown_value(key) or "''"
