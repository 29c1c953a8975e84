"""What a page of the intake shows: each question with its options, parts and errors; and the inputs' own words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _

from mesoclinic.core.numbers import plain_number, shown_number, typed_number
from mesoclinic.core.sorting import by_words
from patients.intake import measures
from patients.intake.answers import UNKNOWN, may_be_never
from patients.vocabulary import Choice, Fact, Scale, Zone

NONE_OF_THESE = "(none)"  # no vocabulary key holds a bracket
DO_NOT_KNOW = "(unknown)"
YES, NO = "yes", "no"


@dataclass(frozen=True, kw_only=True)
class Option:
    value: str
    label: str
    chosen: bool = False
    note: str = ""  # what a stage means
    kind: str = ""  # "none", "unknown" or "unanswered" for the answers that stand beside the list
    detail_name: str = ""  # of the input that unfolds when it is chosen
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class AskedPart:
    """A part of a long list, with its own “no to all”."""

    key: str
    name: str
    label: str
    values: tuple[Option, ...]
    answers: tuple[Option, ...]

    @property
    def is_answered(self) -> bool:
        return any(option.chosen for option in (*self.values, *self.answers))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question as the page shows it."""

    name: str  # of the input
    key: str
    kind: str  # boolean | enum | list | number | stage
    text: str
    help: str = ""
    unit: str = ""
    units: tuple[measures.Offered, ...] = ()  # where it may be given in several
    value: str = ""
    options: tuple[Option, ...] = ()
    never: bool | None = None  # None where “never” is no answer
    scale: Scale | None = None
    range: str = ""
    last_time: str = ""
    errors: tuple[str, ...] = ()
    parts: tuple[AskedPart, ...] = ()
    said: tuple[str, ...] = ()  # its texts as the vocabulary has them

    @property
    def is_answered(self) -> bool:
        if self.parts and all(part.is_answered for part in self.parts):
            return True
        if self.parts:
            return any(option.chosen and option.kind == "none" for option in self.options)
        chosen = any(option.chosen and option.kind not in ("unanswered", "unknown") for option in self.options)
        return chosen or bool(self.value) or bool(self.never)


@dataclass(frozen=True, kw_only=True)
class AskedZone:
    zone: Zone
    name: str
    area_name: str
    label: str
    short: str
    hint: str  # what the label says in brackets
    chosen: bool
    area: str
    range: str
    errors: tuple[str, ...] = ()


@dataclass(kw_only=True)
class AskedSection:
    key: str
    label: str
    for_practitioner: bool = False
    questions: list[Asked] = field(default_factory=list)

    @property
    def said(self) -> list[str]:
        return [text for question in self.questions for text in question.said]

    @property
    def answered(self) -> int:
        return sum(question.is_answered for question in self.questions)


def options_of(fact: Fact, scale: Scale | None, chosen: set[str], *, in_parts: bool) -> tuple[str, tuple[Option, ...]]:
    """Return how a question is asked, and the options that it has besides the values of a list."""
    unknown = Option(value=DO_NOT_KNOW, label=_("Don't know"), chosen=DO_NOT_KNOW in chosen, kind="unknown")
    unanswered = Option(value="", label=_("Not answered"), chosen=not chosen - {""}, kind="unanswered")
    if scale:
        stages = (
            Option(
                value=stage.code,
                label=stage.code.replace("_", " "),
                chosen=stage.code in chosen,
                note=stage.description,
            )
            for stage in scale.stages
        )
        return "stage", (*stages, unanswered)
    if fact.type == "boolean":
        yes = Option(value=YES, label=_("Yes"), chosen=YES in chosen)
        no = Option(value=NO, label=_("No"), chosen=NO in chosen)
        return fact.type, (yes, no, unknown, unanswered)
    if fact.type == "enum":
        values = (Option(value=c.key, label=c.label, chosen=c.key in chosen) for c in fact.values)
        return fact.type, (*values, unknown, unanswered)
    if fact.type == "list":
        label = _("No to everything") if in_parts else _("None of these")
        none = Option(value=NONE_OF_THESE, label=label, chosen=NONE_OF_THESE in chosen, kind="none")
        return "parts" if in_parts else "list", (none, unknown)
    return "number", ()


def range_of(fact: Fact) -> str:
    """Return what a number may lie between; empty of what is no number, and of how long ago something was."""
    if fact.minimum is None or fact.maximum is None or may_be_never(fact):
        return ""
    ends = (fact.units[0].least, fact.units[0].most) if fact.units else (fact.minimum, fact.maximum)
    return " – ".join(shown_number(plain_number(end)) for end in ends)


def as_typed(fact: Fact, value: Any) -> Any:
    """Return an answer as its input has it."""
    if value == UNKNOWN:
        return [DO_NOT_KNOW] if fact.type == "list" else DO_NOT_KNOW
    if fact.type == "boolean":
        return YES if value else NO
    if fact.type == "list":
        return list(value) or [NONE_OF_THESE]
    if fact.type in ("integer", "number"):
        return formats.localize_input(Decimal(value))
    return value


def as_listed(fact: Fact) -> Iterable[Choice]:
    """Return the values as the vocabulary lists them; ingredients, which it does not hold, by their shown name."""
    if not fact.values_from:
        return fact.values
    return sorted(fact.values, key=lambda choice: by_words(choice.label))


def pattern_label(pattern: str) -> str:
    """Return what a usual pattern of zones is called."""
    scale, _sign, stages = pattern.partition("_")
    if scale == "norwood":
        text = stages.replace("_vertex", " vertex").replace("_", "–")
        named = _("Norwood %(stage)s") % {"stage": text}
        return _(named)  # a single stage has a name of its own in the vocabulary
    return _("Widening parting") if scale == "ludwig" else _("Whole scalp")


def zones_to_draw(rows: Iterable[AskedZone]) -> list[dict[str, Any]]:
    """For the drawing of the scalp; an area that cannot be read is left to the table."""
    drawn = []
    for row in rows:
        try:
            area = typed_number(row.area)
        except ValueError:
            area = None
        drawn.append({"zone": row.zone.key, "area_cm2": area, "selected": row.chosen})
    return drawn
