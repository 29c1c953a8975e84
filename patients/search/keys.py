"""Find people as they are spoken of: names in any order, accents or not, phone, e-mail, birth date, number."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date
from difflib import SequenceMatcher
from functools import cache

from babel.dates import get_month_names
from django.conf import settings
from django.db.models import Case, IntegerField, Q, When

from mesoclinic.core.names import is_east_asian, tidy_line

KEY_LENGTH = 1000  # of Patient.search_key
NAME_LENGTH = 200  # of a folded name: one sign can become many, and a row of an index holds 2,700 bytes
TOGETHER_LENGTH = 80  # of both names without a blank, as they are written in Han, Kana and Hangul
TRIGRAM = 3  # letters; shorter pieces the index of trigrams finds only at the edge of a word
QUERY_LENGTH = 120
NEAR_FROM = 4  # letters of a word that is compared by likeness
SHORTEST = 2  # letters, as many as “Ng” has; one letter would list half the clinic. A Han sign is as much as two
MEASURED = 3  # digits; fewer are the number of a record and no part of a phone number

_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "'": "", "’": "", "ʼ": ""}
)
_LETTERS_OF_NAMES = _LETTERS | str.maketrans(
    # One letter of Persian and Arabic on two keyboards, and letters that are written either way.
    {"ي": "ی", "ى": "ی", "ك": "ک", "ة": "ه", "ۀ": "ه", "ـ": ""}
)
_VOICED = "\u3099\u309a"  # marks that make another syllable in Kana, not an accent
_ISO = re.compile(r"\b(\d{4})[-./](\d{1,2})[-./](\d{1,2})\b")
_NUMERIC = re.compile(r"\b(\d{1,2})[-./ ](\d{1,2})[-./ ](\d{4})\b")
_WORDED = re.compile(r"\b(\d{1,2})\.?\s+([^\W\d_]{3,})\.?\s+(\d{4})\b")
_COMPACT = re.compile(r"\b\d{8}\b")
_PHONE = re.compile(r"(?<![\w.@-])\+?[\d(][\d\s().\-/]{5,}\d(?![\w@])")
_NUMBER = re.compile(r"^(?:p-?|#)0*(\d{1,9})$")


def fold(text: str) -> str:
    """Lower case without accents, other signs as spaces: “Élodie O’Neill-Łuć” becomes “elodie oneill luc”.

    For words in the languages of the product, and kept with them: what it gives does not change. Names: ``fold_name``.
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_LETTERS)
    return " ".join(re.sub(r"[\W_]", " ", plain).split())


def fold_name(text: str) -> str:
    """Fold a name of any script; in Latin letters it gives what ``fold`` gives.

    The vowel signs of Indic and Thai names stay. A joiner goes: it is typed or left out as it comes.
    """
    decomposed = unicodedata.normalize("NFKD", tidy_line(text).casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c) or c in _VOICED).translate(_LETTERS_OF_NAMES)
    return " ".join("".join(c if _is_spelling(c) else " " for c in unicodedata.normalize("NFC", plain)).split())


def _is_spelling(sign: str) -> bool:
    return sign.isalnum() or unicodedata.category(sign)[0] == "M"


def weight(word: str) -> int:
    """Letters of a folded word; a sign that stands for a syllable counts as two."""
    return sum(2 if is_east_asian(sign) else 1 for sign in word)


def digits(text: str) -> str:
    """The digits of a phone number as it is dialled from abroad: “+33 (0)6 12” has no trunk 0."""
    return "".join(c for c in text.replace("(0)", "") if c in "0123456789")


def search_key_of(*, given_name: str, family_name: str, birth_date: date, phone: str, email: str, number: int) -> str:
    given, family = fold_name(given_name)[:NAME_LENGTH], fold_name(family_name)[:NAME_LENGTH]
    together = (family + given)[:TOGETHER_LENGTH] if any(map(is_east_asian, family + given)) else ""
    parts = (family, given, family, together, digits(phone), email.lower(), birth_date.isoformat(), f"p-{number:05d}")
    return " ".join(part for part in parts if part)[:KEY_LENGTH]


def words_of(query: str) -> list[str]:
    """The words of a query that can be a name, folded; empty where it holds anything else."""
    words = fold_name(query[:QUERY_LENGTH]).split()
    return words if not any(c.isdigit() for word in words for c in word) and "@" not in query else []


def near_condition(words: Sequence[str]) -> Q | None:
    """What a row must meet to hold every word nearly: one of a word's pieces survives a slip in another one."""
    found = Q()
    for word in words:
        if len(word) < NEAR_FROM:
            return None
        middle = (len(word) + 1) // 2
        if middle < TRIGRAM:
            found &= begins(word[:middle]) | Q(search_key__contains=f"{word[-middle:]} ")
        else:
            found &= Q(search_key__contains=word[:middle]) | Q(search_key__contains=word[-middle:])
    return found if words else None


def begins(text: str) -> Q:
    """A word of the key begins so."""
    return Q(search_key__startswith=text) | Q(search_key__contains=f" {text}")


def holds(word: str) -> Q:
    """The key holds this whole word or more of it; one too short for a trigram has to begin a word."""
    return Q(search_key__contains=word) if len(word) >= TRIGRAM else begins(word)


def likeness(words: Sequence[str], name: str) -> float:
    """From 0 to 1: how well each of ``words`` is found, in any order, among those of ``name``."""
    theirs = fold_name(name).split()
    if not words or not theirs:
        return 0.0
    total = 0.0
    for word in words:
        total += max(SequenceMatcher(None, word, other[: len(word) + 2]).ratio() for other in theirs)
    return total / len(words)


LAST_RANK = 5  # of those for whom no line of ``rank_conditions`` holds
BEGINS_SO = 2


def rank_conditions(query: str) -> dict[int, Q]:
    """0 for the number typed, then whole names, names that begin with it, names with a word that does."""
    text = fold_name(query[:QUERY_LENGTH])
    found: dict[int, Q] = {}
    if match := _NUMBER.match(query.strip().lower()) or re.fullmatch(r"0*(\d{1,9})", query.strip()):
        found[0] = Q(number=int(match[1]))
    if text:
        first = text.split()[0]
        found[1] = Q(search_key__startswith=f"{text} ") | Q(search_key__contains=f" {text} ")
        found[BEGINS_SO] = Q(search_key__startswith=text)
        found[3] = Q(search_key__contains=f" {text}")
        if first != text:
            found[4] = begins(first)
    return found


def rank(query: str) -> Case:
    whens = [When(condition, then=value) for value, condition in rank_conditions(query).items()]
    return Case(*whens, default=LAST_RANK, output_field=IntegerField())


def is_too_short(query: str) -> bool:
    """True where something was typed that is not enough to search by."""
    text = query.strip()
    return bool(text) and condition(text) is None


def condition(query: str) -> Q | None:
    """What a row must meet to be found by ``query``; None where too little was typed. Every part must match."""
    text = "".join(c if c.isprintable() else " " for c in tidy_line(query[:QUERY_LENGTH])).strip()
    found: list[Q] = []
    spelt: list[str] = []
    numbered = False

    def take_date(match: re.Match[str]) -> str:
        days = sorted(set(_days(match)))
        if not days:
            return match.group()
        found.append(Q(birth_date__in=days))
        return " "

    for pattern in (_ISO, _NUMERIC, _WORDED):
        text = pattern.sub(take_date, text)
    for match in _COMPACT.finditer(text):
        if days := sorted(set(_days(match))):
            found.append(Q(birth_date__in=days) | Q(search_key__contains=_phone(match.group())))
            text = text.replace(match.group(), " ")

    def take_phone(match: re.Match[str]) -> str:
        found.append(Q(search_key__contains=_phone(match.group())))
        return " "

    text = _PHONE.sub(take_phone, text)
    for word in text.split():
        if "@" in word:
            found.append(Q(search_key__contains=word.lower()))
        elif number := _NUMBER.match(word.lower()):
            found.append(Q(number=int(number[1])))
            numbered = True
        elif word.isascii() and word.isdigit():
            exact = Q(number=int(word[:9]))
            found.append(exact | Q(search_key__contains=_phone(word)) if len(word) >= MEASURED else exact)
            numbered = True
        else:
            spelt.extend(fold_name(word).split())
    # Where no word is long enough for a trigram, each has to begin one: the index finds it, and few are found.
    is_long = any(len(word) >= TRIGRAM for word in spelt)
    found.extend(Q(search_key__contains=word) if is_long else begins(word) for word in spelt)
    whole = Q()
    for part in found:
        whole &= part
    typed = sum(weight(word) for word in fold_name(query[:QUERY_LENGTH]).split())
    return whole if found and (numbered or typed >= SHORTEST) else None


def _phone(text: str) -> str:
    """The digits by which a phone number is found however its beginning was written: no trunk 0, no leading 00."""
    return digits(text).lstrip("0") or digits(text)


def _days(match: re.Match[str]) -> Iterator[date]:
    """The birth dates that the digits or words can mean: day before month, and month before day where it fits."""
    groups = match.groups()
    if not groups:  # eight digits in a row
        text = match.group()
        yield from _valid(text[4:], text[2:4], text[:2])
        yield from _valid(text[:4], text[4:6], text[6:])
    elif len(groups[0]) == 4:
        yield from _valid(*groups)
    elif groups[1].isdigit():
        yield from _valid(groups[2], groups[1], groups[0])
        yield from _valid(groups[2], groups[0], groups[1])
    elif month := _months().get(fold(groups[1]).rstrip(".")):
        yield from _valid(groups[2], str(month), groups[0])


def _valid(year: str, month: str, day: str) -> Iterator[date]:
    if 1880 <= int(year) <= 2200:
        try:
            yield date(int(year), int(month), int(day))
        except ValueError:
            return


@cache
def _months() -> dict[str, int]:
    names: dict[str, int] = {}
    for language, _label in settings.LANGUAGES:
        for width in ("wide", "abbreviated"):
            for month, name in get_month_names(width, locale=language).items():
                names[fold(name).rstrip(".")] = month
    return names
