"""An intake in words, to be read: every line, what comes first in a review, what differs from the last one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from mesoclinic.core.numbers import shown_number
from patients.intake.answers import (
    NEVER,
    UNKNOWN,
    asked_facts,
    is_answered,
    not_asked,
    question_of,
    short_label,
    value_in_words,
    vocabulary_for,
)
from patients.intake.groups import NEW, part_label
from patients.intake.groups import UNKNOWN as GROUP_UNKNOWN
from patients.intake.steps import STEP_OF
from patients.models import Intake
from patients.vocabulary import Fact, Vocabulary
from patients.words import severity_in_words


@dataclass(frozen=True, kw_only=True)
class Line:
    question: str
    answer: str
    answered: bool
    for_practitioner: bool
    fact: str = ""
    step: str = ""  # of the page that asks it
    details: tuple[str, ...] = ()


def details_in_words(intake: Intake, fact: Fact) -> tuple[str, ...]:
    """What was said besides the answer: more about a “yes”, the medicines by name, allergies in the person's words."""
    said = []
    chosen = intake.facts.get(fact.key)
    for value, text in intake.details.get(fact.key, {}).items():
        if isinstance(chosen, list) and value in chosen:
            said.append(f"{short_label(fact.label_of(value))}: {text}")
    if fact.key == "medications":
        said += [entry["text"] for entry in intake.medicines]
    if fact.key == "allergies" and intake.other_allergies:
        said.append(_("In words: %(text)s") % {"text": intake.other_allergies})
    if never := not_asked(intake).get(fact.key):
        names = ", ".join(short_label(fact.label_of(value)) for value in never)
        said.append(_("Not asked: %(what)s") % {"what": names})
    return tuple(said)


def needs_a_look(fact: Fact, intake: Intake) -> bool:
    """True for an answer that a person should read before anybody plans. What it means is the formulary's to say."""
    value = intake.facts.get(fact.key)
    if details_in_words(intake, fact):
        return True
    return is_answered(value) and value != NEVER and not fact.is_reassuring(value)


@dataclass(frozen=True, kw_only=True)
class ToReview:
    """What comes first when an intake is read: what matters, what nobody knows, what is still open."""

    matters: tuple[Line, ...]
    not_known: tuple[Line, ...]
    unanswered: tuple[Line, ...]


def to_review(intake: Intake, vocabulary: Vocabulary) -> ToReview:
    asked = {fact.key: fact for fact in asked_facts(intake.patient, vocabulary)}
    lines = [line for part in in_words(intake, vocabulary) for line in part.lines]
    unknown_parts = tuple(
        Line(
            question=f"{fact.label}: {part_label(key, part)}",
            answer=_("Does not know"),
            answered=False,
            for_practitioner=False,
            fact=key,
        )
        for key, fact in asked.items()
        for part, said in intake.groups.get(key, {}).items()
        if said == GROUP_UNKNOWN and intake.facts.get(key) != UNKNOWN
    )
    return ToReview(
        matters=tuple(line for line in lines if needs_a_look(asked[line.fact], intake)),
        not_known=(*(line for line in lines if intake.facts.get(line.fact) == UNKNOWN), *unknown_parts),
        unanswered=tuple(
            line for line in lines if intake.facts.get(line.fact) is None and asked[line.fact].about != "measurement"
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Part:
    key: str
    label: str
    lines: tuple[Line, ...]


def in_words(intake: Intake, vocabulary: Vocabulary) -> list[Part]:
    """Every question that the intake asked, with its answer, by section."""
    asked = asked_facts(intake.patient, vocabulary)
    parts = []
    for section in vocabulary.sections.values():
        lines = tuple(
            Line(
                question=question_of(fact),
                answer=value_in_words(fact, intake.facts.get(fact.key)),
                answered=is_answered(intake.facts.get(fact.key)),
                for_practitioner=fact.answered_by == "practitioner",
                fact=fact.key,
                step=STEP_OF[fact.section],
                details=details_in_words(intake, fact),
            )
            for fact in asked
            if fact.section == section.key
        )
        if lines:
            parts.append(Part(key=section.key, label=section.label, lines=lines))
    return parts


@dataclass(frozen=True, kw_only=True)
class Change:
    section: str
    question: str
    before: str
    after: str


def changes_since(previous: Intake | None, answers: Intake, vocabulary: Vocabulary | None = None) -> list[Change]:
    """What ``answers`` says differently from ``previous``, question by question, in words."""
    if previous is None:
        return []
    words = vocabulary or vocabulary_for(answers)
    found = []
    for fact in asked_facts(answers.patient, words):
        before, after = previous.facts.get(fact.key), answers.facts.get(fact.key)
        if before != after:
            found.append(
                Change(
                    section=words.sections[fact.section].label,
                    question=question_of(fact),
                    before=value_in_words(fact, before),
                    after=value_in_words(fact, after),
                )
            )
    found += _asked_since(previous, answers, words)
    found += _chosen_since(previous, answers, words)
    for label, before, after in (
        (
            _("Medicines by name"),
            "; ".join(entry["text"] for entry in previous.medicines),
            "; ".join(entry["text"] for entry in answers.medicines),
        ),
        (_("Other allergies"), previous.other_allergies, answers.other_allergies),
    ):
        if before != after:
            found.append(Change(section=label, question=label, before=before or _("Empty"), after=after or _("Empty")))
    if previous.note != answers.note:
        found.append(
            Change(
                section=_("Note"),
                question=_("Note"),
                before=previous.note or _("Empty"),
                after=answers.note or _("Empty"),
            )
        )
    return found


def _chosen_since(previous: Intake, answers: Intake, words: Vocabulary) -> Iterator[Change]:
    """Yield each concern and each zone that ``answers`` has otherwise than ``previous``."""
    for label, before_by_key, after_by_key, names, say in (
        (
            _("Concerns"),
            {entry["concern"]: entry["severity"] for entry in previous.concerns},
            {entry["concern"]: entry["severity"] for entry in answers.concerns},
            words.concerns,
            severity_in_words,
        ),
        (
            _("Zones"),
            {entry["zone"]: entry["area_cm2"] for entry in previous.zones},
            {entry["zone"]: entry["area_cm2"] for entry in answers.zones},
            words.zones,
            lambda area: f"{shown_number(area)} cm²",
        ),
    ):
        for key, named in names.items():
            if before_by_key.get(key) != after_by_key.get(key):
                yield Change(
                    section=label,
                    question=named.label,
                    before=say(before_by_key[key]) if key in before_by_key else _("Not chosen"),
                    after=say(after_by_key[key]) if key in after_by_key else _("Not chosen"),
                )


def _asked_since(previous: Intake, answers: Intake, words: Vocabulary) -> Iterator[Change]:
    """Yield each list of which ``answers`` holds an answer to what ``previous`` was never asked."""
    still = not_asked(answers)
    for key, values in not_asked(previous).items():
        fact, chosen = words.facts[key], answers.facts.get(key)
        if key in still or not isinstance(chosen, list):
            continue
        unknown = answers.groups.get(key, {}).get(NEW) == GROUP_UNKNOWN
        names = ", ".join(short_label(fact.label_of(value)) for value in values)
        yield Change(
            section=words.sections[fact.section].label,
            question=question_of(fact),
            before=_("Not asked: %(what)s") % {"what": names},
            after=value_in_words(fact, UNKNOWN if unknown else [value for value in values if value in chosen]),
        )
