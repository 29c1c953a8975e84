"""“Has anything changed?”, asked before each session: only what a session's safety depends on, and what it changes.

The questions are those of the course's ``session_day_checks``: pregnancy, breast-feeding, new medicines, new illness,
fever, new allergy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from django.utils.translation import gettext_noop

from patients.intake.answers import (
    aged_value,
    asked_facts,
    days_since_answered,
    intake_vocabulary,
    not_asked,
    settled_over,
)
from patients.intake.groups import NEW, NONE, UNKNOWN
from patients.intake.medicines import classes_of, entries_of, read_medicines
from patients.models import Intake, Patient, StatementKind
from patients.vocabulary import Fact, load_vocabulary

# “Does not know” to a question that adds to a list: what was known stays, and the sentence stays open beside it.
UNKNOWN_SENTENCES = {
    "new_medicines": (StatementKind.MEDICINE, gettext_noop("Does not know whether there is a new medicine.")),
    "new_illness": (StatementKind.ILLNESS, gettext_noop("Does not know whether there is a new illness or operation.")),
    "new_allergy": (StatementKind.ALLERGY, gettext_noop("Does not know whether there is a new allergy.")),
}


@dataclass(frozen=True, kw_only=True)
class Answers:
    """``facts`` holds what was asked again; each of the others is None until asked, and empty for “nothing new”.

    ``unknown`` names those of the others to which the person answered “does not know”; ``note`` is free.
    ``asked_new`` holds by list what was ticked of what the intake was never asked; None for “does not know”.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    new_medicines: str | None = None  # a line each
    new_conditions: tuple[str, ...] = ()
    new_illness: str | None = None
    new_allergies: tuple[str, ...] = ()
    new_allergy: str | None = None
    unknown: tuple[str, ...] = ()
    note: str = ""
    asked_new: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)


def as_json(answers: Answers) -> dict[str, Any]:
    found = asdict(answers)
    found["facts"] = dict(answers.facts)
    found["asked_new"] = {fact: None if said is None else list(said) for fact, said in answers.asked_new.items()}
    for name in ("new_conditions", "new_allergies", "unknown"):
        found[name] = list(found[name])
    return found


def reasked_facts(patient: Patient) -> list[str]:
    return [fact.key for fact in asked_facts(patient, load_vocabulary()) if fact.is_asked_before_sessions]


def can_be_asked(fact: Fact) -> bool:
    """Whether a question can be asked by name before a session; one for a number is the whole intake's to ask."""
    return fact.type in ("boolean", "enum", "list") and fact.about != "record"


def unanswered(previous: Intake, answers: Answers) -> list[str]:
    """What was not asked: the facts that apply to the patient, lists that grew since, and each of “anything new?”."""
    missing = [key for key in reasked_facts(previous.patient) if answers.facts.get(key) is None]
    missing += [fact for fact in not_asked(previous) if fact not in answers.asked_new]
    return missing + [
        name for name in UNKNOWN_SENTENCES if getattr(answers, name) is None and name not in answers.unknown
    ]


def differing(previous: Intake, answers: Answers) -> list[str]:
    """Return what says something else than the intake that stands and the words settled since, by its name.

    No fever differs from a fever and from not knowing; where fever was not asked before, it is nothing new. So it is
    with every fact that is asked afresh before a session.
    """
    before = settled_over(previous, previous.facts)
    afresh = {key for key, fact in load_vocabulary().facts.items() if fact.before_session == "asked_afresh"}
    found = [
        key
        for key, value in answers.facts.items()
        if before.get(key) != value and not (key in afresh and value is False and before.get(key) is None)
    ]
    written = ("new_medicines", "new_illness", "new_allergy", "note")
    found += [name for name in written if (getattr(answers, name) or "").strip()]
    found += [name for name in ("new_conditions", "new_allergies") if getattr(answers, name)]
    return [*found, *answers.asked_new, *answers.unknown]


def differs(previous: Intake, answers: Answers) -> bool:
    return bool(differing(previous, answers))


def tells(previous: Intake, answers: Answers) -> list[str]:
    """Return of what differs that which says something new: “no” to what was asked for the first time does not."""
    silent = {fact for fact, said in answers.asked_new.items() if said == ()}
    yes_is_fine = {key for key, fact in load_vocabulary().facts.items() if fact.yes_is_fine}
    silent |= {
        fact
        for fact, said in answers.facts.items()
        if previous.facts.get(fact) is None and (said == [] or (said is False and fact not in yes_is_fine))
    }
    return [name for name in differing(previous, answers) if name not in silent]


def never_answered(previous: Intake, answers: Answers) -> list[str]:
    """Lists that something would be added to although nobody answered them: the rest of them would read as “no”."""
    added = {
        "medications": bool(classes_of(read_medicines(answers.new_medicines or ""))),
        "conditions": bool(answers.new_conditions),
        "allergies": bool(answers.new_allergies),
    }
    now = {**previous.facts, **answers.facts}
    return [key for key, is_added in added.items() if is_added and not isinstance(now.get(key), list)]


def intake_after(previous: Intake, answers: Answers, *, on: date) -> Intake:
    """The answers that stand once these are known, as of ``on``; not saved."""
    facts = _aged(previous, on=on) | dict(answers.facts)
    named = read_medicines(answers.new_medicines or "")
    for key, added in (
        *((fact, said or ()) for fact, said in answers.asked_new.items()),
        ("medications", _together(previous, named)),
        ("conditions", answers.new_conditions),
        ("allergies", answers.new_allergies),
    ):
        if added:
            before = facts.get(key)
            facts[key] = list(dict.fromkeys([*(before if isinstance(before, list) else ()), *added]))
    if isinstance(takes := facts.get("medications"), list):
        covered = {one for one, two in load_vocabulary().facts["medications"].doubles().items() if two in takes}
        facts["medications"] = [value for value in takes if value not in covered]
    return Intake(
        patient=previous.patient,
        facts=_in_order(facts),
        concerns=previous.concerns,
        zones=previous.zones,
        note=_joined(_joined(previous.note, answers.new_illness, on=on), answers.note, on=on),
        medicines=[*previous.medicines, *entries_of(named)],
        other_allergies=_joined(previous.other_allergies, answers.new_allergy),
        details=previous.details,
        groups={fact: {NEW: UNKNOWN if said is None else NONE} for fact, said in answers.asked_new.items() if not said},
        asked=previous.asked,
    )


def _together(previous: Intake, named: list[Any]) -> list[str]:
    """The classes that the new medicines set, seen together with those that were named before."""
    before = read_medicines("\n".join(entry["text"] for entry in previous.medicines))
    new = set(classes_of(named))
    both = classes_of([*before, *named])
    takes = previous.facts.get("medications")
    doubles = load_vocabulary().facts["medications"].doubles()
    if isinstance(takes, list) and not before:  # one was ticked without a name, and another came
        both = [*(two for one, two in doubles.items() if one in new and one in takes), *both]
    return [value for value in both if value in new or value in doubles.values()]


def _aged(previous: Intake, *, on: date) -> dict[str, Any]:
    """The facts as of ``on``: days and months since something have gone by, and the day's own answers are gone."""
    vocabulary = load_vocabulary()
    days = days_since_answered(previous, on=on)
    facts = {}
    for key, value in previous.facts.items():
        fact = vocabulary.facts.get(key)
        if fact is None or fact.before_session in ("dropped", "asked_afresh"):
            continue
        facts[key] = aged_value(fact, value, days=days)
    return facts


def _in_order(facts: Mapping[str, Any]) -> dict[str, Any]:
    named = facts.get("allergy_ingredients")
    vocabulary = intake_vocabulary(also=named if isinstance(named, list) else ())
    ordered = {}
    for fact in vocabulary.facts.values():
        if fact.key in facts:
            value = facts[fact.key]
            keys = [choice.key for choice in fact.values]
            ordered[fact.key] = [key for key in keys if key in value] if isinstance(value, list) else value
    return ordered


def _joined(before: str, added: str | None, *, on: date | None = None) -> str:
    new = (added or "").strip()
    if not new:
        return before
    if on:  # a line each, so that words of a day are recognised as said
        return "\n".join(part for part in (before, *(f"{on.isoformat()}: {line}" for line in new.splitlines())) if part)
    return "\n".join(part for part in (before, new) if part)
