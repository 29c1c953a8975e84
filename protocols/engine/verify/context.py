"""Context: what the second calculation reads, where it says what differs, and exact numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from protocols.engine.inputs.case import Case
from protocols.engine.inputs.policy import Policy

LEVELS = {"severe": 0, "moderate": 1, "mild": 2}
WITHOUT_ALTERNATIVE_DOSES = ("1.0",)
"""Engines that gave their alternatives neither doses nor a price, and what they left out no range."""
WITHOUT_WORDS = ("1.0", "1.1")
"""Engines that knew no waiting and did not say what each ingredient contributes."""
WITHOUT_MIXTURE_LIMITS = ("1.0", "1.1")
"""Engines that drew a mixture in equal parts and said nothing of its osmolality."""


@dataclass(frozen=True, kw_only=True)
class Discrepancy:
    """What the answer says at a place, and what the second calculation says."""

    path: str
    code: str
    expected: Any = None
    found: Any = None

    def __str__(self) -> str:
        return f"{self.path}: {self.code} (expected {self.expected}, found {self.found})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """One answer and the documents that it is held against; what follows from these alone; and what was found."""

    answer: Mapping[str, Any]
    case: Case
    policy: Policy
    stock: Mapping[str, Any] | None
    documents: Mapping[str, Any]
    label: str
    things: Mapping[str, Any]
    """Each ingredient of the formulary, by its key."""
    active: Set[str]
    facts: Mapping[str, Any]
    shapes: Mapping[str, Mapping[str, Any]]
    rules: Mapping[str, Mapping[str, Any]]
    course: Mapping[str, Any]
    mixing: Mapping[str, Any]
    needle: Mapping[str, Any]
    limits: Mapping[str, Any] | None
    """The limits of a mixture; None in a formulary that knows none."""
    in_steps: bool
    """Whether the answer draws mixtures in whole steps, and says their osmolality."""
    severity: Mapping[str, str] = field(default_factory=dict)
    """How severe each concern is, by what was recorded and staged."""
    excluded: Set[str] = frozenset()
    """Ingredients that a rule takes out."""
    area: Fraction = Fraction(0)
    target: Fraction = Fraction(0)
    points: Fraction = Fraction(0)
    step: Fraction = Fraction(0)
    found: list[Discrepancy] = field(default_factory=list)

    @property
    def tells_words(self) -> bool:
        """Whether the engine of this answer knew waiting and contributions."""
        return self.answer.get("engine_version", WITHOUT_WORDS[0]) not in WITHOUT_WORDS

    @property
    def worst(self) -> str:
        return min(self.severity.values(), key=lambda band: LEVELS[band])

    # ------------------------------------------------------------------ saying what differs
    def same(self, path: str, found: Any, expected: Any, code: str = "differs") -> None:
        self.holds(path, found == expected, code, expected, found)

    def number(self, path: str, found: Any, expected: Fraction | int | str) -> None:
        self.same(path, fraction(found), Fraction(expected))

    def holds(self, path: str, truth: bool, code: str, expected: Any = None, found: Any = None) -> None:
        if not truth:
            self.found.append(Discrepancy(path=path, code=code, expected=plainly(expected), found=plainly(found)))


# ---------------------------------------------------------------------- what the answer holds
def mixed_ingredients(context: Context) -> set[str]:
    """Every ingredient in any syringe of any session."""
    return {line["ingredient"] for syringe in every_syringe(context) for line in syringe["lines"]}


def every_syringe(context: Context) -> list[Mapping[str, Any]]:
    groups = [context.answer["syringes"], *(session["syringes"] for session in context.answer["sessions"])]
    return [syringe for group in groups for syringe in group]


def planned_lines(context: Context) -> list[list[Mapping[str, Any]]]:
    """The lines of each session."""
    numbers = range(1, context.answer["course"]["sessions"] + 1)
    return [[line for syringe in syringes_of(context, number) for line in syringe["lines"]] for number in numbers]


def syringes_of(context: Context, number: int) -> Sequence[Mapping[str, Any]]:
    for session in context.answer["sessions"]:
        if session["number"] == number:
            return list(session["syringes"])
    return list(context.answer["syringes"])


def first_held(context: Context) -> set[str]:
    return {line["ingredient"] for syringe in context.answer["syringes"] for line in syringe["lines"]}


# ---------------------------------------------------------------------- exact numbers
def sorted_by(rows: Iterable[Mapping[str, Any]], key: str) -> list[str]:
    return sorted(str(row[key]) for row in rows)


def fraction(value: Any) -> Fraction:
    if isinstance(value, bool | float):
        raise TypeError(f"{value!r} is no exact number")
    return _read(str(value))


@lru_cache(maxsize=4096)
def _read(text: str) -> Fraction:
    """The documents say the same numbers again and again."""
    return Fraction(text)


def four_digits(value: Fraction) -> Fraction:
    """Rounded to four significant digits, halves up."""
    if value == 0:
        return value
    unit = Fraction(1)
    while value / unit >= 10000:
        unit *= 10
    while value / unit < 1000:
        unit /= 10
    return (value / unit * 2 + 1) // 2 * unit


def tenths(value: Fraction) -> Fraction:
    return (value * 20 + 1) // 2 / Fraction(10)


def osmolality_said(said: Mapping[str, Any]) -> tuple[Fraction | None, list[str]]:
    return None if said["estimate"] is None else fraction(said["estimate"]), sorted(said["unknown"])


def cents(value: Fraction) -> Fraction:
    return (value * 200 + 1) // 2 / Fraction(100)


def plainly(value: Any) -> Any:
    """What a discrepancy shows, as plain values."""
    if isinstance(value, set | frozenset):
        return sorted(str(item) for item in value)
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plainly(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plainly(item) for item in value]
    return value
