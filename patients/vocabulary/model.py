"""The words of an intake as values: facts, concerns, scales, zones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

FactType = Literal["integer", "number", "enum", "boolean", "list"]
AnsweredBy = Literal["patient", "practitioner"]
About = Literal["record", "day", "measurement", "since", "history"]
BeforeSession = Literal["asked", "asked_afresh", "kept", "dropped"]
ChipKind = Literal["danger", "warn", "plain"]  # the gravest first


@dataclass(frozen=True, kw_only=True)
class Choice:
    key: str
    label: str
    retired: bool = False
    """Kept for answers given before; a form offers it no more."""
    two_of: str = ""
    """The value of which this one stands for two at once."""


@dataclass(frozen=True, kw_only=True)
class OnlyIf:
    """The fact applies only where another fact has this answer."""

    fact: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Section:
    key: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit in which a value is reported, and what a body can have in it. Stored = typed × factor + offset."""

    key: str
    least: Decimal
    most: Decimal
    factor: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    source: str = ""

    def holds(self, number: Decimal) -> bool:
        return self.least <= number <= self.most


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a long list, with its own “no to all of these”."""

    key: str
    label: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Which answers raise a chip over every page of the patient; ``answers`` None for any that names something."""

    kind: ChipKind
    answers: tuple[Any, ...] | None
    text: str
    order: int
    """Its place among the chips."""

    def is_raised_by(self, value: Any) -> bool:
        if isinstance(value, list):
            return bool(value) if self.answers is None else bool(set(value) & set(self.answers))
        return value is not None and not isinstance(value, dict) and (self.answers is None or value in self.answers)


@dataclass(frozen=True, kw_only=True)
class Fact:
    key: str
    type: FactType
    label: str
    """What to call it beside its answer."""
    question: str
    section: str
    answered_by: AnsweredBy
    about: About
    before_session: BeforeSession
    reassuring: tuple[Any, ...] | None
    """The answers that nobody needs to read before a plan is made; None where that is any of them."""
    alerts: tuple[Alert, ...] = ()
    is_allergy: bool = False
    """Whether the chips about allergies tell it."""
    wants_details: bool = False
    """Of a list: whether a “yes” can be told more about."""
    parts: tuple[Part, ...] = ()
    """Of a list that is asked part by part."""
    values: tuple[Choice, ...] = ()
    unit: str = ""
    help: str = ""
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    units: tuple[Unit, ...] = ()
    """Of what is measured: the units in use, first the one that is stored."""
    decimals: int = 0
    """Of a value that came from another unit than the one that is stored."""
    only_if: OnlyIf | None = None
    values_from: str = ""
    """“ingredients” where the choices come from a provider rather than from this file."""

    def doubles(self) -> Mapping[str, str]:
        """By value the one that stands for two of it at once."""
        return {choice.two_of: choice.key for choice in self.values if choice.two_of}

    @property
    def is_asked_before_sessions(self) -> bool:
        return self.before_session in ("asked", "asked_afresh")

    @property
    def yes_is_fine(self) -> bool:
        """Whether “no” is what somebody should read."""
        return self.reassuring == (True,)

    def is_reassuring(self, value: Any) -> bool:
        """Whether nobody needs to read this answer before a plan is made."""
        if self.reassuring is None:
            return True
        return set(value) <= set(self.reassuring) if isinstance(value, list) else value in self.reassuring

    def alert_for(self, value: Any) -> Alert | None:
        """Return the gravest chip that an answer raises."""
        return next((alert for alert in self.alerts if alert.is_raised_by(value)), None)

    @property
    def offered(self) -> tuple[Choice, ...]:
        """The values that a form offers: all but those that later ones have taken the place of."""
        return tuple(choice for choice in self.values if not choice.retired)

    def label_of(self, value: str) -> str:
        return next((choice.label for choice in self.values if choice.key == value), value)

    def applies_to(self, answers: Mapping[str, Any]) -> bool:
        """False only where the answer that rules the fact out has been given."""
        if self.only_if is None:
            return True
        other = answers.get(self.only_if.fact)
        return other is None or other == self.only_if.value


@dataclass(frozen=True, kw_only=True)
class Question:
    key: str
    text: str
    type: str
    suggests_when: bool | str | None


@dataclass(frozen=True, kw_only=True)
class Test:
    key: str
    text: str
    unit: str | None
    suggests_when: str

    __test__ = False  # not a test of ours


@dataclass(frozen=True, kw_only=True)
class Code:
    system: str
    code: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Concern:
    key: str
    label: str
    patient_description: str
    signs: tuple[str, ...]
    intake_questions: tuple[Question, ...]
    tests: tuple[Test, ...]
    severity_scales: tuple[str, ...]
    coding: tuple[Code, ...]
    coding_note: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    code: str
    band: Literal["none", "mild", "moderate", "severe"]
    refer: bool
    description: str


@dataclass(frozen=True, kw_only=True)
class Scale:
    key: str
    label: str
    applies_to_sex: Literal["female", "male", "any"]
    stages: tuple[Stage, ...]
    fact: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Zone:
    key: str
    label: str
    area_cm2: Decimal
    area_min_cm2: Decimal
    area_max_cm2: Decimal


@dataclass(frozen=True, kw_only=True)
class MedicineClass:
    """How a coded medication list sets one value of the medicines question."""

    value: str
    prefixes: tuple[str, ...]
    exceptions: tuple[str, ...] = ()

    def matches(self, code: str) -> bool:
        return code.startswith(self.prefixes) and not (self.exceptions and code.startswith(self.exceptions))


SEVERITIES: tuple[str, ...] = ("mild", "moderate", "severe")


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    facts: Mapping[str, Fact]
    concerns: Mapping[str, Concern]
    scales: Mapping[str, Scale]
    zones: Mapping[str, Zone]
    sections: Mapping[str, Section]
    typical_zones: Mapping[str, tuple[str, ...]]
    typical_stages: Mapping[str, tuple[tuple[str, str], ...]]
    """By pattern the answers to questions of stage that it is usual for: (fact, answer)."""
    min_total_cm2: Decimal
    max_total_cm2: Decimal
    medicine_classes: tuple[MedicineClass, ...] = field(default=())

    def with_ingredients(self, choices: Iterable[Choice]) -> Vocabulary:
        """The same vocabulary with the ingredient names that an intake offers."""
        offered = tuple(choices)
        facts = {
            key: replace(fact, values=offered) if fact.values_from == "ingredients" else fact
            for key, fact in self.facts.items()
        }
        return replace(self, facts=facts)

    def offering(self, answers: Mapping[str, Any]) -> Vocabulary:
        """The same vocabulary with retired values only where one of these answers holds them."""
        facts = dict(self.facts)
        for key, fact in self.facts.items():
            if len(fact.offered) < len(fact.values):
                given = answers.get(key)
                held = given if isinstance(given, list) else (given,)
                kept = tuple(choice for choice in fact.values if not choice.retired or choice.key in held)
                facts[key] = replace(fact, values=kept)
        return replace(self, facts=facts)

    def facts_about(self, about: About) -> frozenset[str]:
        """The keys of the facts that are about this."""
        return frozenset(key for key, fact in self.facts.items() if fact.about == about)

    def dropped_before_sessions(self) -> frozenset[str]:
        """The keys of the facts whose last answer no day's check takes over."""
        return frozenset(key for key, fact in self.facts.items() if fact.before_session == "dropped")

    def facts_in(self, section: str) -> tuple[Fact, ...]:
        return tuple(fact for fact in self.facts.values() if fact.section == section)

    def medicine_classes_of(self, atc_codes: Iterable[str]) -> tuple[str, ...]:
        """The medicine classes that a coded medication list sets, in the order of the question."""
        codes = [code.strip().upper() for code in atc_codes]
        return tuple(c.value for c in self.medicine_classes if any(c.matches(code) for code in codes))
