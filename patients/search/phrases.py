"""Take what somebody typed apart into words, and find phrases among them by an index rather than one by one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from patients.search.keys import fold
from patients.vocabulary import DataFileError, read_yaml

_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ`´′ʹ＇", "'"))
_LETTERS = r"[^\W\d_][̀-ͯ]*"
_TOKEN = re.compile(rf"(?:{_LETTERS})+(?:'(?:{_LETTERS})+)*|\d+(?:[.,]\d+)*")
_BOUNDARY = re.compile(r"[,;:+/&|•·()\[\]\n\t.!?]|\s-+\s|(?<=\s)-(?=\S)")
LINE_ENDS = re.compile(r"[\r\n;\v\f\x1c-\x1e\x85\u2028\u2029]+")
NEAR_FROM = 5  # letters of a word that is compared with known ones by likeness
_LONGEST = 40  # letters; nothing longer is looked into for a name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Token:
    """One word or number: as written, folded, where it stands, and in which part of the line."""

    text: str
    key: str
    start: int
    end: int
    part: int

    @property
    def is_number(self) -> bool:
        return self.key[0].isdigit()


def cleaned(text: str) -> str:
    """Return the text without signs that nobody sees, with one form of accents, digits, dashes and apostrophes."""
    if text.isascii():
        return text.replace("`", "'")
    visible = "".join(c for c in text.translate(_APOSTROPHES) if unicodedata.category(c) != "Cf")
    composed = unicodedata.normalize("NFKC", visible)
    return "".join("-" if unicodedata.category(c) == "Pd" or c == "−" else c for c in composed)


def tokens_in(text: str) -> list[Token]:
    """Return the words and numbers of ``text``, soonest first. ``start`` and ``end`` count in ``cleaned(text)``."""
    clean = cleaned(text)
    found: list[Token] = []
    part, before = 0, 0
    for match in _TOKEN.finditer(clean):
        gap = clean[before : match.start()]
        decimal = gap in {".", ","} and found and found[-1].is_number and match[0][0].isdigit()
        if found and not decimal and _BOUNDARY.search(gap):
            part += 1
        found += _pieces(match[0], match.start(), part)
        before = match.end()
    return found


def _pieces(word: str, start: int, part: int) -> Iterator[Token]:
    """Yield “l'aspirine” as “l” and “aspirine”, and any other word whole."""
    head, apostrophe, rest = word.partition("'")
    if apostrophe and fold(head) in common_words().elided:
        yield Token(text=head, key=fold(head), start=start, end=start + len(head), part=part)
        yield from _pieces(rest, start + len(head) + 1, part)
    elif key := word.lower().replace("'", "") if word.isascii() else fold(word).replace(" ", ""):
        yield Token(text=word, key=key, start=start, end=start + len(word), part=part)


def keys_of(text: str) -> tuple[str, ...]:
    """Return the folded words of a name or phrase, as ``tokens_in`` would find them in a line."""
    return tuple(token.key for token in tokens_in(text))


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A phrase at these words of a line; between them others may stand that were left out of the search."""

    places: tuple[int, ...]
    what: T

    @property
    def first(self) -> int:
        return self.places[0]

    @property
    def last(self) -> int:
        return self.places[-1]


class Phrases(Generic[T]):
    """Phrases by their first word, so that a line is read in the time its own words take."""

    def __init__(self, phrases: Iterable[tuple[tuple[str, ...], T]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], T]]] = {}
        for keys, what in phrases:
            self._by_first.setdefault(keys[0], []).append((keys, what))

    def all_in(self, keys: Sequence[str], places: Sequence[int]) -> Iterator[Found[T]]:
        """Yield each phrase that stands in ``keys``; ``places`` says which word of the line each of them is."""
        for at, key in enumerate(keys):
            for first in _beginnings(key):
                for phrase, what in self._by_first.get(first, ()):
                    if (first, *keys[at + 1 : at + len(phrase)]) == phrase:
                        yield Found(tuple(places[at : at + len(phrase)]), what)


def _beginnings(key: str) -> tuple[str, ...]:
    """Return what a phrase may begin with here: in “aspirin 100,5-FU” the number ends one entry and begins the next."""
    parts = re.split("[.,]", key)
    return (key,) if len(parts) == 1 else (key, parts[-1])


def outermost(found: Iterable[Found[T]]) -> list[Found[T]]:
    """Return what is not part of something longer, in the order of the line. Overlaps stay: nothing said is lost."""
    kept: list[Found[T]] = []
    for one in sorted(found, key=lambda one: (one.first, -one.last)):
        if not any(set(one.places) <= set(other.places) for other in kept):
            kept.append(one)
    return kept


class Spellings(Generic[T]):
    """Known words by what is left of them without one letter: one slip, or two letters swapped, still meet."""

    def __init__(self, known: Iterable[tuple[str, T]]) -> None:
        self._known = {word: what for word, what in known if len(word) >= NEAR_FROM}
        self._shorter: dict[str, set[str]] = {}
        for word in self._known:
            for form in _shorter(word):
                self._shorter.setdefault(form, set()).add(word)
        self._begins: dict[str, list[str]] = {}
        for word in self._known:
            self._begins.setdefault(word[:3], []).append(word)

    def near(self, word: str) -> T | None:
        """Return what a misspelt ``word`` most likely means, None where nothing is near."""
        if not NEAR_FROM <= len(word) <= _LONGEST:
            return None
        if word in self._known:
            return self._known[word]
        close = {other for form in _shorter(word) for other in self._shorter.get(form, ())}
        if len(word) > 7 and not close:  # two slips, of which the beginning is free
            close = {other for other in self._begins.get(word[:3], ()) if _differ(word, other) <= 2}
        ranked = sorted(close, key=lambda other: (_differ(word, other), other))
        return self._known[ranked[0]] if ranked else None

    def inside(self, word: str) -> list[T]:
        """Return what stands within a word that was written together with others: “aspirinandwarfarin”."""
        found = [
            Found(tuple(range(start, start + length)), self._known[piece])
            for length in range(NEAR_FROM + 1, min(len(word) - 1, _LONGEST) + 1)
            for start in range(len(word) - length + 1)
            if (piece := word[start : start + length]) in self._known
        ]
        return [one.what for one in outermost(found)]


def _shorter(word: str) -> set[str]:
    return {word} | {word[:at] + word[at + 1 :] for at in range(len(word))}


def _differ(one: str, other: str) -> int:
    """Return how many letters have to be put in, taken out, changed or swapped to make one word the other."""
    if abs(len(one) - len(other)) > 2:
        return 3
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, there in enumerate(other, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != there))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == there:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


# ------------------------------------------------------------------ words that are no name


@dataclass(frozen=True, kw_only=True)
class CommonWords:
    """The words beside a name: those that say nothing more, and those that turn what is said (words.yaml)."""

    phrases: Phrases[str]
    """Each with its kind."""
    units: frozenset[str]
    elided: frozenset[str]
    nothing: frozenset[tuple[str, ...]]


SILENT = frozenset({"join", "little", "unit", "swallowed", "spread", "form", "times", "maker", "salt", "affirms"})
TURNS = frozenset({"denies", "past", "changes", "others", "reaction"})
ALARMS = frozenset({"news"})


@lru_cache(maxsize=1)
def common_words() -> CommonWords:
    """Return the words of words.yaml; raise DataFileError where one has a kind that nothing reads or two of them."""
    document = read_yaml(Path(__file__).parent.parent / "vocabulary" / "words.yaml")
    elided = frozenset(document["elided"])
    kinds: dict[tuple[str, ...], str] = {}
    for kind, by_language in document["words"].items():
        if kind not in SILENT | TURNS | ALARMS:
            raise DataFileError(f"words.yaml: nothing reads the kind {kind}")
        for phrase in _all_of(by_language):
            keys = tuple(fold(phrase.replace("'", " " if _is_elided(phrase, elided) else "")).split())
            before = kinds.setdefault(keys, kind)
            if before != kind and not {before, kind} <= SILENT:
                raise DataFileError(f"words.yaml: “{phrase}” is both {kinds[keys]} and {kind}")
    return CommonWords(
        phrases=Phrases(kinds.items()),
        units=frozenset(keys[0] for keys, kind in kinds.items() if kind == "unit" and len(keys) == 1),
        elided=elided,
        nothing=frozenset(
            tuple(fold(phrase.replace("'", " " if _is_elided(phrase, elided) else "")).split())
            for phrase in _all_of(document["nothing"])
        ),
    )


def _is_elided(phrase: str, elided: frozenset[str]) -> bool:
    return any("'" in word and word.partition("'")[0] in elided for word in phrase.split())


def _all_of(by_language: Any) -> Iterator[str]:
    for phrases in by_language.values():
        yield from (str(phrase) for phrase in phrases)


def says_nothing(text: str) -> bool:
    """Return True for “none”, “rien”, “ninguna”, “-” and the like: an answer that adds nothing."""
    keys = keys_of(text)
    return not keys or keys in common_words().nothing


def kinds_in(tokens: Sequence[Token], taken: frozenset[int] = frozenset()) -> dict[int, str]:
    """Return the kind of each common word by its place; words ``taken`` for something else are left out."""
    kinds: dict[int, str] = {}
    found = sorted(
        (
            one
            for one in common_words().phrases.all_in([token.key for token in tokens], range(len(tokens)))
            if taken.isdisjoint(one.places)
        ),
        key=lambda one: (one.first - one.last, one.first),
    )
    for one in found:  # the longest first: “no more than” is a dose and not a “no”
        if all(place not in kinds for place in one.places):
            kinds.update(dict.fromkeys(one.places, one.what))
    return kinds
