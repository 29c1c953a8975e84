"""What somebody said in words, with the ticks that the words may mean.

Nothing here decides: words never tick anything by themselves. Whoever may sign a plan settles each statement, and the
offers are what they choose from. A misspelt word is offered too; a “no” beside it changes nothing, since a person has
to say whether it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from patients.intake.answers import intake_vocabulary
from patients.intake.medicines import lines_of, medicines_within, read_medicines
from patients.search.phrases import (
    ALARMS,
    LINE_ENDS,
    NEAR_FROM,
    Phrases,
    Spellings,
    Token,
    keys_of,
    kinds_in,
    outermost,
    says_nothing,
    tokens_in,
)
from patients.texts import spoken_vocabulary
from patients.vocabulary import DataFileError, Vocabulary, load_vocabulary, read_yaml

MEDICINE, ALLERGY, ILLNESS, NOTE = "medicine", "allergy", "illness", "note"
_NEAR_IN_TEXT = 7  # letters of a word that may be misspelt where no illness or allergy was asked for
YES = "true"  # of a fact that is answered with yes or no


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One tick that words may mean. ``value`` is the value's key, or “true” for a question of yes or no."""

    fact: str
    value: str
    label: str
    """In the reader's language."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """Words that somebody has to settle."""

    kind: str
    """medicine, allergy, illness or note: where they were said."""
    text: str
    offers: tuple[Offer, ...] = ()


def statements_in(*, medicines: str = "", allergies: str = "", illnesses: str = "", note: str = "") -> list[Said]:
    """Return what has to be settled, a line each, in the order of the arguments.

    Of ``medicines`` those lines that are not understood as a whole; of ``allergies`` and ``illnesses`` every line that
    says more than “none”; of ``note`` the lines that name a medicine with a class, an illness, an allergy or news.
    """
    found = [
        Said(kind=MEDICINE, text=text, offers=_offers(text, MEDICINE, [v for one in ones for v in one.offers]))
        for text, ones in lines_of(read_medicines(medicines)).items()
        if any(one.is_open for one in ones)
    ]
    for kind, text in ((ALLERGY, allergies), (ILLNESS, illnesses)):
        found += [
            Said(kind=kind, text=line, offers=_offers(line, kind, _classes_within(line)))
            for line in _lines(text)
            if not says_nothing(line)
        ]
    for line in _lines(note):
        offers = _offers(line, NOTE, _classes_within(line))
        if offers or ALARMS & set(kinds_in(tokens_in(line)).values()):
            found.append(Said(kind=NOTE, text=line, offers=offers))
    return found


def _lines(text: str) -> Iterator[str]:
    lines = dict.fromkeys(" ".join(line.split()) for line in LINE_ENDS.split(text))
    yield from (line for line in lines if any(c.isalnum() for c in line))


def _classes_within(line: str) -> list[str]:
    return [value for one in medicines_within(line) for value in (*one.classes, *one.offers)]


# ------------------------------------------------------------------ which ticks


@dataclass(frozen=True, kw_only=True)
class _Meaning:
    fact: str
    value: str
    kind: str
    """Where the words need nothing beside them: an allergy named elsewhere counts beside “allergic” and the like."""


@dataclass(frozen=True, kw_only=True)
class _Meanings:
    phrases: Phrases[tuple[_Meaning, ...]]
    near: Spellings[tuple[_Meaning, ...]]


def meanings_document() -> dict[str, Any]:
    """Return said.yaml as it stands."""
    return read_yaml(Path(__file__).parent.parent / "vocabulary" / "said.yaml")


@lru_cache(maxsize=1)
def _meanings() -> _Meanings:
    """Return the words of said.yaml; raise DataFileError for a fact or value that the vocabulary does not have."""
    found: dict[tuple[str, ...], list[_Meaning]] = {}
    for entry in meanings_document()["meanings"]:
        for value, phrases in entry["values"].items():
            meaning = _Meaning(fact=entry["fact"], value=str(value), kind=entry.get("kind", ""))
            _check(meaning, load_vocabulary())
            for keys in sorted({keys_of(str(phrase)) for phrase in phrases}):
                found.setdefault(keys, []).append(meaning)
    meant = [(keys, tuple(meanings)) for keys, meanings in found.items()]
    spelt = [("".join(keys), meanings) for keys, meanings in meant if len("".join(keys)) >= NEAR_FROM]
    return _Meanings(phrases=Phrases(meant), near=Spellings(spelt))


def _check(meaning: _Meaning, vocabulary: Vocabulary) -> None:
    fact = vocabulary.facts.get(meaning.fact)
    if fact is None:
        raise DataFileError(f"said.yaml: unknown fact {meaning.fact}")
    allowed = {choice.key for choice in fact.values} if fact.values else {YES}
    if meaning.value not in allowed:
        raise DataFileError(f"said.yaml: {meaning.fact} has no value {meaning.value}")
    if meaning.kind not in {"", ALLERGY}:
        raise DataFileError(f"said.yaml: {meaning.fact}: nothing reads the kind {meaning.kind}")


def _offers(line: str, kind: str, classes: Iterable[str]) -> tuple[Offer, ...]:
    """Return each tick once: of the kind that was asked first, in the order of the line."""
    tokens = tokens_in(line)
    is_reaction = kind == ALLERGY or "reaction" in kinds_in(tokens).values()
    means = [
        one
        for one in _meant(tokens, shortest=NEAR_FROM if kind in {ALLERGY, ILLNESS} else _NEAR_IN_TEXT)
        if not one.kind or is_reaction
    ]
    pairs = [(one.fact, one.value) for one in means]
    pairs += [("allergy_ingredients", key) for key in _ingredients(tokens)] if is_reaction else []
    of_medicines = [("medications", value) for value in classes]
    ordered = [*of_medicines, *pairs] if kind == MEDICINE else [*pairs, *of_medicines]
    return tuple(Offer(fact=fact, value=value, label=_label(fact, value)) for fact, value in dict.fromkeys(ordered))


def _meant(tokens: Sequence[Token], *, shortest: int) -> Iterator[_Meaning]:
    keys = [token.key for token in tokens]
    found = outermost(_meanings().phrases.all_in(keys, range(len(keys))))
    yield from (meaning for one in found for meaning in one.what)
    taken = {place for one in found for place in one.places}
    common = kinds_in(tokens)
    for place, key in enumerate(keys):
        if place not in taken and place not in common and len(key) >= shortest:
            yield from _meanings().near.near(key) or ()


def _ingredients(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield the ingredients of the formulary that a line about a reaction names."""
    fact = intake_vocabulary().facts["allergy_ingredients"]
    named = Phrases((keys, choice.key) for choice in fact.values if (keys := keys_of(choice.label)))
    yield from (one.what for one in outermost(named.all_in([token.key for token in tokens], range(len(tokens)))))


def _label(fact: str, value: str) -> str:
    vocabulary = intake_vocabulary() if fact == "allergy_ingredients" else spoken_vocabulary()
    asked = vocabulary.facts[fact]
    if not asked.values:
        return asked.label
    label = asked.label_of(value)
    return label if asked.type == "list" and fact != "allergy_ingredients" else f"{asked.label}: {label}"
