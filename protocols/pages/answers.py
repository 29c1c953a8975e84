"""What a plan rests on: concerns, wishes, zones and answers in words, and what could be answered instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from mesoclinic.core.sorting import by_words
from patients.intake.answers import question_of, short_label, value_in_words
from patients.intake.measures import unit_label
from patients.vocabulary import Fact
from patients.words import severity_drawn, severity_in_words
from protocols.pages.reading import Reading


@dataclass(frozen=True, kw_only=True)
class Concern:
    """A concern that the plan is for, with how severe it is and where its stage says otherwise."""

    key: str
    label: str
    severity: str
    steps: int  # of three, for its drawing
    word: str
    note: str  # the stages, in words
    overruled: str  # the two severities, where a stage says another than the one chosen
    insisted: bool  # held to against the stage
    because: str
    evidence_note: str


def concerns(reading: Reading) -> list[Concern]:
    """Return the concerns of the plan, in the order of its answer."""
    rows, held = [], insisted_because(reading)
    for entry in reading.result["concerns"]:
        stages = [_stage(reading, stage["scale"], stage["stage"]) for stage in entry["staged_by"]]
        overruled = _overruled(entry, ", ".join(stages))
        rows.append(
            Concern(
                key=entry["concern"],
                label=short_label(entry["label"]),
                **severity_drawn(entry["severity"]),
                note=", ".join(stages),
                overruled=overruled,
                insisted=bool(overruled and entry["insisted"]),
                because=held.get(entry["concern"], ""),
                evidence_note=entry["evidence_note"],
            )
        )
    return rows


def _overruled(entry: Mapping[str, Any], stages: str) -> str:
    """Where a stage says another severity than the one chosen: both, and which of the two counts."""
    staged, chosen = entry.get("staged_severity"), entry["recorded_severity"]
    if staged is None or staged == chosen:
        return ""
    words = {"staged": severity_in_words(staged), "chosen": severity_in_words(chosen), "stage": stages}
    if entry["insisted"]:
        return _("chosen: %(chosen)s, held to against the stage (%(stage)s: %(staged)s)") % words
    return _("%(staged)s by stage (%(stage)s); chosen: %(chosen)s") % words


def insisted_because(reading: Reading) -> dict[str, str]:
    """By concern: why the practitioner holds to a severity against its stage."""
    return {row["concern"]: row["insisted"] for row in reading.plan.case["concerns"] if row.get("insisted")}


def _stage(reading: Reading, scale: str, stage: str) -> str:
    found = reading.vocabulary.scales.get(scale)
    name = found.label.split(" (")[0].split("-")[0] if found else scale
    return f"{name} {stage.replace('_', ' ')}"


def wishes(reading: Reading) -> list[tuple[str, str]]:
    facts = reading.plan.case["facts"]
    return [
        (label, _("yes") if facts[key] else _("no"))
        for key, label in (("alcohol_free", _("Alcohol-free")), ("vegan_preference", _("Vegan only")))
        if isinstance(facts.get(key), bool)
    ]


def answers(reading: Reading) -> list[dict[str, Any]]:
    """Every answer that the plan rests on, by section, in words."""
    labels = reading.contents.documents["vocabulary"]["facts"]["facts"]
    sections: dict[str, list[tuple[str, str]]] = {}
    for key, fact in reading.vocabulary.facts.items():
        if key in reading.plan.case["facts"]:
            words = value_in_words(fact, reading.plan.case["facts"][key])
            label = labels.get(key, {}).get("label") or short_label(question_of(fact))
            sections.setdefault(fact.section, []).append((str(_(label)), words))
    return [{"label": reading.vocabulary.sections[key].label, "rows": rows} for key, rows in sections.items()]


def fact_choices(reading: Reading) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every answer that could be given instead, by question; an answer of a list is added to it or taken away."""
    facts, groups = reading.plan.case["facts"], []
    for key, fact in reading.vocabulary.facts.items():
        now = facts.get(key)
        options: list[tuple[str, str]] = []
        if fact.type == "boolean":
            words = [("yes", True, _("Yes")), ("no", False, _("No"))]
            options = [(f"{key}:{word}", label) for word, value, label in words if value is not now]
        elif fact.type == "enum":
            options = [(f"{key}:{c.key}", c.label) for c in fact.offered if c.key != now]
        elif fact.type == "list" and not fact.values_from:
            held = set(now or ())
            options = [
                (f"{key}:{c.key}", _("without: %(x)s") % {"x": c.label} if c.key in held else c.label)
                for c in fact.values
                if not c.retired or c.key in held
            ]
        if options:
            groups.append((fact.label, options))
    return groups


def answers_by_words(reading: Reading) -> dict[str, str]:
    """Each answer that could be given instead, by “question: answer” as it is offered and typed."""
    return {f"{question}: {label}": value for question, options in fact_choices(reading) for value, label in options}


def fact_of_choice(reading: Reading, choice: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """The fact as the chosen answer makes it; ``before`` holds what was changed already, for answers of a list."""
    key, value = choice.split(":", 1)
    fact = reading.vocabulary.facts[key]
    if fact.type == "boolean":
        return {key: value == "yes"}
    if fact.type == "enum":
        return {key: value}
    held = list(before[key] if key in before else reading.plan.case["facts"].get(key) or ())
    return {key: [item for item in held if item != value] if value in held else [*held, value]}


def number_choices(reading: Reading) -> list[tuple[str, str]]:
    return [
        (key, f"{fact.label} ({_unit(fact)})" if _unit(fact) else fact.label)
        for key, fact in reading.vocabulary.facts.items()
        if fact.type in ("integer", "number")
    ]


def ingredient_choices(reading: Reading) -> list[tuple[str, str]]:
    """Those that are switched on, the mixture's own first."""
    mine = reading.ingredients
    on = reading.contents.formulary.ingredients
    others = [key for key, item in on.items() if item.active and key not in mine]
    others.sort(key=lambda key: by_words(reading.contents.name(key)))
    return [(key, short_label(reading.contents.name(key))) for key in [*mine, *others]]


def zones(reading: Reading) -> list[dict[str, str]]:
    return [
        {"zone": entry["zone"], "area_cm2": entry["area_cm2"], "label": short_label(entry["label"])}
        for entry in reading.result["zones"]
    ]


def _unit(fact: Fact | None) -> str:
    return unit_label(fact.unit) if fact and fact.unit else ""
