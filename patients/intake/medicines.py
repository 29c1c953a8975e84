"""Medicines as people name them, mapped to the classes that an intake asks for, with the mapping in sight.

Every known name on a line counts, however the names are joined and in whatever language of the product: what a line
counts as, and so what is stored, does not depend on who reads it. A name beside a word that turns it (“no”, “stopped”,
“instead of”, “my mother”) is not taken as said; it is offered. What is left of a line beyond names, strength, form,
dose and time is kept in the person's own words, for somebody to settle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from mesoclinic.core.sorting import by_words
from patients.search.phrases import (
    LINE_ENDS,
    SILENT,
    TURNS,
    Found,
    Phrases,
    Spellings,
    Token,
    cleaned,
    common_words,
    keys_of,
    kinds_in,
    outermost,
    says_nothing,
    tokens_in,
)
from patients.vocabulary import DataFileError, load_vocabulary, read_yaml

MOST = 60  # lines
LENGTH = 120  # characters of one line
_ATC = re.compile(r"(?<![^\W_])[A-Z]\d{2}[A-Z]{1,2}(?:\d{2})?(?![^\W_])", re.IGNORECASE)
_ATC_SPACED = re.compile(r"(?<![^\W_])[A-Z]\s?\d{2}\s?[A-Z]\s?[A-Z]\s?\d{2}(?![^\W_])", re.IGNORECASE)
_NEAR_IN_TEXT = 7  # letters of a word that may be a misspelt name in a text that is no list of medicines
_ATC_SHORTEST = 5  # signs of a code that names a chemical subgroup

KNOWN, ASK, UNKNOWN = "known", "ask", "unknown"  # what was made of a name
_STATES = (KNOWN, ASK, UNKNOWN)  # the later one says more about a line


@dataclass(frozen=True, kw_only=True)
class Medicine:
    name: str
    atc: str = ""
    also: tuple[str, ...] = ()
    ask: str = ""
    spread_or_swallowed: bool = False
    """True where “tablets” answers ``ask`` with yes and “cream” with no."""
    offers: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that its code and its entry set."""
        return _classes_of_medicine(self)

    @property
    def may_mean(self) -> tuple[str, ...]:
        """The classes to offer where the name alone does not set them."""
        return self.offers or self.classes


@lru_cache(maxsize=2_000)
def _classes_of_medicine(medicine: Medicine) -> tuple[str, ...]:
    by_code = load_vocabulary().medicine_classes_of([medicine.atc]) if medicine.atc else ()
    return tuple(dict.fromkeys((*by_code, *medicine.also)))


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """One way to write a medicine. A doubtful one is an ordinary word as well, and asks (medicines.yaml, ambiguous)."""

    medicine: Medicine
    is_doubtful: bool = False
    is_for_lists: bool = False
    """True where it is too ordinary a word to be looked for outside a list of medicines."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """One medicine of a line, or a line of which nothing was made; a line with several gives several."""

    text: str
    """The whole line, as written."""
    state: str
    name: str = ""
    atc: str = ""
    classes: tuple[str, ...] = ()
    ask: str = ""
    offers: tuple[str, ...] = ()
    """Classes that it may mean; nothing is set until somebody settles it."""
    leftover: str = ""
    """What the line says beyond names, strength, form, dose and time; the same for each name of the line."""

    @property
    def spoken(self) -> str:
        """What it was taken for, in the reader's language; empty where nothing or only a code was made of it."""
        return _(self.name) if self.name and self.name != self.atc else ""

    @property
    def is_open(self) -> bool:
        """True where somebody has to look at the line."""
        return self.state != KNOWN or bool(self.leftover)

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "atc": self.atc, "classes": list(self.classes), "state": self.state}


# ------------------------------------------------------------------ the names


@dataclass(frozen=True, kw_only=True)
class _Names:
    spellings: Mapping[tuple[str, ...], Spelling]
    phrases: Phrases[Spelling]
    near: Spellings[Spelling]
    by_code: Mapping[str, Medicine]
    brands: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Medicine: brand: countries."""


def medicines_document() -> dict[str, Any]:
    """Return medicines.yaml as it stands."""
    return read_yaml(Path(__file__).parent.parent / "vocabulary" / "medicines.yaml")


@lru_cache(maxsize=1)
def _names() -> _Names:
    """Every way to write a medicine, in all languages of the product; raise DataFileError where one means two."""
    document = medicines_document()
    classes = {choice.key for choice in load_vocabulary().facts["medications"].values}
    doubts = {keys_of(entry["word"]): entry["decision"] for entry in document["ambiguous"]}
    spellings: dict[tuple[str, ...], Spelling] = {}
    translated: list[tuple[str, Medicine]] = []
    by_code: dict[str, Medicine] = {}
    brands: dict[str, dict[str, tuple[str, ...]]] = {}
    for entry in document["medicines"]:
        medicine = _medicine(entry, classes)
        by_code.setdefault(medicine.atc, medicine)
        translated += [(name, medicine) for name in (medicine.name, *entry.get("names", ()))]
        brands[medicine.name] = {brand: tuple(where.split()) for brand, where in entry.get("brands", {}).items()}
        for name in (medicine.name, *entry.get("names", ()), *entry.get("words", ()), *brands[medicine.name]):
            keys = keys_of(name)
            if not keys or spellings.setdefault(keys, _spelling(medicine, doubts.get(keys))).medicine is not medicine:
                raise DataFileError(f"medicine {name}: means two medicines, or is not a word")
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            for name, medicine in translated:  # the English name wins where two languages share a word
                spellings.setdefault(keys_of(_(name)), _spelling(medicine, doubts.get(keys_of(_(name)))))
    for keys, decision in doubts.items():
        if (keys in spellings) == (decision == "ordinary"):
            raise DataFileError(f"ambiguous word {' '.join(keys)}: its decision does not fit the names")
    single = [(keys[0], one) for keys, one in spellings.items() if len(keys) == 1 and not one.is_for_lists]
    together = [("".join(keys), one) for keys, one in spellings.items() if len(keys) > 1 and not one.is_for_lists]
    return _Names(
        spellings=spellings,
        phrases=Phrases(spellings.items()),
        near=Spellings([*together, *single]),
        by_code=by_code,
        brands=brands,
    )


MEDICINE_FIELDS = {"name", "atc", "names", "words", "brands", "also", "ask", "form_answers", "offers"}
DECISIONS = {"ask", "medicine", "ordinary"}


def _medicine(entry: Mapping[str, Any], classes: set[str]) -> Medicine:
    if unknown := set(entry) - MEDICINE_FIELDS:
        raise DataFileError(f"medicine {entry.get('name')}: unknown fields {sorted(unknown)}")
    medicine = Medicine(
        name=entry["name"],
        atc=entry.get("atc", ""),
        also=tuple(entry.get("also", ())),
        ask=entry.get("ask", ""),
        spread_or_swallowed=entry.get("form_answers", False),
        offers=tuple(entry.get("offers", ())),
    )
    if strange := {*medicine.also, *medicine.offers} - classes:
        raise DataFileError(f"medicine {medicine.name}: unknown classes {sorted(strange)}")
    if medicine.spread_or_swallowed and not medicine.ask:
        raise DataFileError(f"medicine {medicine.name}: a form answers only what is asked")
    return medicine


def _spelling(medicine: Medicine, decision: str | None) -> Spelling:
    if decision not in {None, *DECISIONS}:
        raise DataFileError(f"medicine {medicine.name}: unknown decision {decision}")
    return Spelling(medicine=medicine, is_doubtful=decision == "ask", is_for_lists=decision is not None)


def medicine_names() -> list[tuple[str, str]]:
    """Return (name in the reader's language, ATC code): what the field offers while somebody types."""
    known = {spelling.medicine.name: spelling.medicine for spelling in _names().spellings.values()}
    return sorted(((_(name), medicine.atc) for name, medicine in known.items()), key=lambda pair: by_words(pair[0]))


def brand_names() -> list[tuple[str, str]]:
    """Return (brand, medicine in the reader's language), beside the names that the field offers."""
    pairs = [(brand, _(name)) for name, brands in _names().brands.items() for brand in brands]
    return sorted(pairs, key=lambda pair: by_words(pair[0]))


# ------------------------------------------------------------------ reading a list


def read_medicines(text: str) -> list[Named]:
    """Return every medicine of each line with what it means, and each line of which nothing was made.

    Nothing that was typed is dropped, save empty lines and repeats.
    """
    lines = dict.fromkeys(" ".join(line.split()) for line in LINE_ENDS.split(text))
    return [named for line in lines if line for named in _read(line)]


def medicines_within(text: str) -> list[Named]:
    """Return the medicines that a text names which is no list of them: a note, an illness, an allergy."""
    return [named for line in LINE_ENDS.split(text) for named in _read(line, is_list=False) if named.state != UNKNOWN]


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A line taken apart."""

    tokens: Sequence[Token]
    codes: Sequence[Found[str]]
    names: Sequence[Found[Spelling]]
    kinds: Mapping[int, str]
    rest: Sequence[int]
    """The words that are neither a name nor a common one that says nothing more."""

    @property
    def found(self) -> tuple[Found[Any], ...]:
        """Return the codes and the names."""
        return (*self.codes, *self.names)

    def part_of(self, found: Found[Any]) -> int:
        return self.tokens[found.first].part


def _read(line: str, *, is_list: bool = True) -> list[Named]:
    if is_list and says_nothing(line):
        return [Named(text=line, state=KNOWN)] if any(c.isalnum() for c in line) else [Named(text=line, state=UNKNOWN)]
    parsed = _taken_apart(line, is_list=is_list)
    turned = _turned_parts(parsed)
    found: dict[tuple[str, str, str], Named] = {}
    for named in (
        *_by_code(line, parsed, turned),
        *_by_name(line, parsed, turned),
        *_by_slip(line, parsed, is_list=is_list),
    ):
        found.setdefault((named.state, named.name, named.ask), named)
    leftover = _left_of(cleaned(line), parsed)
    if not found:
        return [Named(text=line, state=UNKNOWN, leftover=leftover or line)]
    return [replace(named, leftover=leftover) for named in found.values()]


def _taken_apart(line: str, *, is_list: bool) -> _Line:
    tokens = tokens_in(line)
    codes = list(_codes_in(line, tokens))
    taken = {place for code in codes for place in code.places}
    units = common_words().units
    everything = [place for place in range(len(tokens)) if place not in taken]
    bare = [place for place in everything if not tokens[place].is_number and tokens[place].key not in units]
    names = outermost(
        found
        for places in (everything, bare)  # “minoxidil 5 % lotion” is “minoxidil lotion”
        for found in _names().phrases.all_in([tokens[place].key for place in places], places)
        if is_list or not found.what.is_for_lists
    )
    taken |= {place for name in names for place in name.places}
    kinds = kinds_in(tokens, frozenset(taken))
    rest = [
        place
        for place, token in enumerate(tokens)
        if place not in taken and not token.is_number and kinds.get(place) not in SILENT
    ]
    return _Line(tokens=tokens, codes=codes, names=names, kinds=kinds, rest=rest)


def _left_of(clean: str, parsed: _Line) -> str:
    """Return the words of the rest as they stand, those with only common words between them as one piece."""
    tokens, pieces = parsed.tokens, []
    begun: tuple[int, int] | None = None
    named = {at for one in parsed.found for at in one.places}
    for place in parsed.rest:
        if begun and tokens[begun[1]].part == tokens[place].part and named.isdisjoint(range(begun[1], place)):
            begun = (begun[0], place)
            continue
        pieces += [begun] if begun else []
        begun = (place, place)
    pieces += [begun] if begun else []
    return " ".join(clean[_glued(tokens, first, -1) : _glued(tokens, last, 1)] for first, last in pieces)


def _glued(tokens: Sequence[Token], place: int, step: int) -> int:
    """Return where a word begins or ends with the numbers that are written to it without a space."""
    while 0 <= place + step < len(tokens) and (beside := tokens[place + step]).is_number:
        if (beside.end if step < 0 else beside.start) != (tokens[place].start if step < 0 else tokens[place].end):
            break
        place += step
    return tokens[place].start if step < 0 else tokens[place].end


def _codes_in(line: str, tokens: Sequence[Token]) -> Iterator[Found[str]]:
    """Yield the ATC codes that mean something here; one written with spaces only where it surely is a code."""
    clean = cleaned(line)
    for pattern in (_ATC, _ATC_SPACED):
        for match in pattern.finditer(clean):
            code = re.sub(r"\s", "", match[0]).upper()
            if len(code) < _ATC_SHORTEST or not (
                code in _names().by_code or load_vocabulary().medicine_classes_of([code])
            ):
                continue
            places = [at for at, token in enumerate(tokens) if token.start < match.end() and token.end > match.start()]
            if places:
                yield Found(tuple(places), code)


def _turned_parts(parsed: _Line) -> set[int]:
    """Return the parts of the line whose names are not taken as said.

    A turning word turns its own part and all that follow, until one says “now”; one in a part that names nothing
    (“warfarin, stopped in May”) turns what comes before it as well.
    """
    named = {parsed.part_of(one) for one in parsed.found}
    kinds: dict[int, set[str]] = {}
    for place, kind in parsed.kinds.items():
        kinds.setdefault(parsed.tokens[place].part, set()).add(kind)
    turned: set[int] = set()
    is_turned = False
    for part in range(max(named, default=-1) + 1 if not kinds else max(*named, *kinds, 0) + 1):
        said = kinds.get(part, set())
        if said & TURNS:
            is_turned = True
            if part not in named:
                turned |= {before for before in named if before < part}
        elif "affirms" in said and part in named:
            is_turned = False
        if is_turned:
            turned.add(part)
    return turned & named


def _by_code(line: str, parsed: _Line, turned: set[int]) -> Iterator[Named]:
    for found in parsed.codes:
        medicine = _names().by_code.get(found.what)
        classes = load_vocabulary().medicine_classes_of([found.what])
        if medicine is not None:  # under its name, so that “aspirin” and its code are one medicine
            classes = tuple(dict.fromkeys((*classes, *medicine.also)))
        name = medicine.name if medicine else found.what
        if parsed.part_of(found) in turned:
            yield Named(text=line, state=ASK, name=name, atc=found.what, offers=classes, ask=_turned_sentence())
        else:
            yield Named(text=line, state=KNOWN, name=name, atc=found.what, classes=classes)


def _by_name(line: str, parsed: _Line, turned: set[int]) -> Iterator[Named]:
    for found in parsed.names:
        medicine = found.what.medicine
        asked = replace(_blank(line), name=medicine.name, offers=medicine.may_mean)
        forms = _forms_of(found, parsed)
        if parsed.part_of(found) in turned:
            yield replace(asked, atc=medicine.atc, ask=_turned_sentence())
        elif found.what.is_doubtful:
            yield replace(asked, ask=_mean_sentence(medicine))
        elif medicine.ask and not (medicine.spread_or_swallowed and forms & {"spread", "swallowed"}):
            yield replace(asked, ask=_(medicine.ask))
        elif medicine.ask and "swallowed" not in forms:  # a cream, which counts as nothing
            yield Named(text=line, state=KNOWN, name=medicine.name)
        else:
            classes = medicine.may_mean if medicine.ask else medicine.classes
            yield Named(text=line, state=KNOWN, name=medicine.name, atc=medicine.atc, classes=classes)


def _forms_of(found: Found[Spelling], parsed: _Line) -> set[str]:
    """Return the kinds of the common words that belong to one name: those up to the next name of its part of the line.

    What stands before it belongs to it where nothing else is named there. So in “tacrolimus and hydrocortisone cream”
    only one of them is a cream.
    """
    part = parsed.part_of(found)
    others = [one for one in parsed.found if one is not found and parsed.part_of(one) == part]
    first = found.first if others else 0
    last = min((one.first for one in others if one.first > found.last), default=len(parsed.tokens))
    return {kind for place, kind in parsed.kinds.items() if first <= place < last and parsed.tokens[place].part == part}


def _by_slip(line: str, parsed: _Line, *, is_list: bool) -> Iterator[Named]:
    """Yield what misspelt words of the rest may mean: offered, never taken."""
    near, shortest = _names().near, 0 if is_list else _NEAR_IN_TEXT
    for place in (place for place in parsed.rest if place not in parsed.kinds):
        word = parsed.tokens[place].key
        if len(word) < shortest or (word,) in _names().spellings:  # a name that only counts in a list
            continue
        whole = near.near(word) or _across(parsed, place)
        for spelling in [whole] if whole else near.inside(word):
            medicine = spelling.medicine
            yield replace(_blank(line), ask=_mean_sentence(medicine), offers=medicine.may_mean)


def _across(parsed: _Line, place: int) -> Spelling | None:
    """Return what a word means together with its neighbours, where a name was written in two or with a digit in it."""
    near = _names().near
    for first, last in ((place - 1, place), (place, place + 1), (place - 1, place + 1), (place, place + 2)):
        if first >= 0 and last < len(parsed.tokens):
            pieces = parsed.tokens[first : last + 1]
            if all(token.key not in common_words().units for token in pieces) and (
                spelling := near.near("".join(token.key for token in pieces))
            ):
                return spelling
    return None


def _blank(line: str) -> Named:
    return Named(text=line, state=ASK)


def _turned_sentence() -> str:
    return _("Not said as taken now, or not by this person: what holds today?")


def _mean_sentence(medicine: Medicine) -> str:
    return _("Do you mean %(name)s?") % {"name": _(medicine.name)}


# ------------------------------------------------------------------ what a list sets, and how it is kept


def classes_of(named: Iterable[Named]) -> list[str]:
    """Return the classes that the list sets, in the order of the question; two antiplatelet medicines are “dual”."""
    medicines, vocabulary = list(named), load_vocabulary()
    codes = {one.value: one.prefixes for one in vocabulary.medicine_classes}
    found = {value for medicine in medicines for value in medicine.classes}
    for one, two in vocabulary.facts["medications"].doubles().items():
        together = {medicine.name for medicine in medicines if medicine.classes and medicine.atc.startswith(codes[one])}
        if len(together) > 1 or two in found:
            found = (found - {one}) | {two}
    return [choice.key for choice in vocabulary.facts["medications"].values if choice.key in found]


def lines_of(named: Iterable[Named]) -> dict[str, list[Named]]:
    """Return the medicines by the line that names them, in the order of the lines."""
    lines: dict[str, list[Named]] = {}
    for one in named:
        lines.setdefault(one.text, []).append(one)
    return lines


def entries_of(named: Iterable[Named]) -> list[dict[str, Any]]:
    """Return the list as an intake keeps it: one entry a line, with everything that was made of it.

    ``state`` is the worst of the line's names, ``classes`` are all of them, ``atc`` is the first code.
    """
    entries = []
    for text, ones in lines_of(named).items():
        entry: dict[str, Any] = {
            "text": text,
            "atc": next((one.atc for one in ones if one.atc), ""),
            "classes": list(dict.fromkeys(value for one in ones for value in one.classes)),
            "state": max((one.state for one in ones), key=_STATES.index),
        }
        if len(ones) > 1:
            entry["medicines"] = [one.as_dict() for one in ones]
        if ones[0].leftover:
            entry["leftover"] = ones[0].leftover
        entries.append(entry)
    return entries


def to_check(medicines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a stored list that somebody has to look at."""
    return [str(entry["text"]) for entry in medicines if entry["state"] != KNOWN or entry.get("leftover")]
