"""Which words of an intake or a day check become statements: everything that no fact holds."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext_noop

from patients.intake.day_checks import UNKNOWN_SENTENCES, Answers
from patients.intake.groups import UNKNOWN as GROUP_UNKNOWN
from patients.intake.medicines import to_check
from patients.models import Intake, StatementKind
from patients.search.phrases import says_nothing
from patients.statements.said import statements_in
from patients.statements.statements import Words

_OF_DETAILS = {"conditions": StatementKind.ILLNESS, "allergies": StatementKind.ALLERGY}
_OF_LISTS = {**_OF_DETAILS, "medications": StatementKind.MEDICINE}
UNKNOWN_PART = gettext_noop("Does not know about this part of the list.")


def words_of_intake(intake: Intake) -> list[Words]:
    """Return what the intake says in words, a line each: medicines that were not understood, allergies, details, notes.

    A part of a list that the person “does not know” is said as well: a tick beside it does not answer it.
    """
    found = [Words(kind=StatementKind.MEDICINE, text=text) for text in to_check(intake.medicines)]
    found += [Words(kind=StatementKind.ALLERGY, text=line) for line in _lines(intake.other_allergies)]
    for fact, texts in intake.details.items():
        chosen = intake.facts.get(fact)
        found += [
            Words(kind=_OF_DETAILS[fact], text=text, about=f"{fact}:{value}")
            for value, text in texts.items()
            if fact in _OF_DETAILS and isinstance(chosen, list) and value in chosen
        ]
    return [*found, *words_of_note(intake.note), *_unknown_parts(intake)]


def words_of_note(text: str) -> list[Words]:
    """Return what a note says, a line each."""
    return [Words(kind=StatementKind.NOTE, text=line) for line in _lines(text)]


def _unknown_parts(intake: Intake) -> Iterator[Words]:
    """Yield each part that the person does not know of a list that was answered for the rest."""
    for fact, answered in intake.groups.items():
        if not isinstance(intake.facts.get(fact), list):
            continue  # nobody knows the whole list: that is stored as such
        for part, said in answered.items():
            if said == GROUP_UNKNOWN:
                kind = _OF_LISTS.get(fact, StatementKind.NOTE)
                yield Words(kind=kind, text=UNKNOWN_PART, about=f"{fact}:{part}", is_unknown=True)


def words_of_day_check(answers: Answers) -> list[Words]:
    """Return what was said before a session in words, and of which list the person does not know whether it grew."""
    unread = statements_in(medicines=answers.new_medicines or "")
    found = [Words(kind=StatementKind.MEDICINE, text=said.text) for said in unread]
    for kind, text in (
        (StatementKind.ILLNESS, answers.new_illness),
        (StatementKind.ALLERGY, answers.new_allergy),
        (StatementKind.NOTE, answers.note),
    ):
        found += [Words(kind=kind, text=line) for line in _lines(text or "")]
    found += [
        Words(kind=kind, text=sentence, is_unknown=True)
        for name, (kind, sentence) in UNKNOWN_SENTENCES.items()
        if name in answers.unknown
    ]
    return found


def _lines(text: str) -> Iterator[str]:
    """Yield what the lines say, without those that say “none”."""
    for line in text.splitlines():
        if not says_nothing(line):
            yield " ".join(line.split())
