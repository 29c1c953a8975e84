"""Names of people, in every script: how they are kept, put together, shortened, and what never gets into them.

A name is kept as it is written, in composed form (NFC). What nobody sees goes, since it would hide a name from a
search: zero-width spaces, marks of direction, byte-order marks, soft hyphens, fillers. The two joiners stay where a
script joins by them: between the letters of Persian, Sinhala and their kind they are spelling.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

ZWNJ, ZWJ = "\u200c", "\u200d"
JOINERS = ZWNJ + ZWJ
# Seen by nobody, though not of the category of format signs: joiner of graphemes, fillers, the empty Braille cell.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\ufffc")
_BLANKS = re.compile(r"\s+")

# Scripts in which a joiner is spelling, by the first and the last sign: Hebrew to Thaana, N'Ko, Arabic extended, the
# Indic scripts with Sinhala, Tibetan, Myanmar, Khmer, Mongolian, the presentation forms of Arabic.
_JOINING = (
    (0x0600, 0x08FF),
    (0x0900, 0x0DFF),
    (0x0F00, 0x109F),
    (0x1780, 0x18AF),
    (0xA840, 0xA8FF),
    (0xFB50, 0xFDFF),
    (0xFE70, 0xFEFE),
    (0x11000, 0x11FFF),
)
# Han, Kana and Hangul: the family name first, and a sign is as much as a syllable.
_HAN = ((0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_KANA = ((0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))
_HANGUL = ((0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FF))


def _is_in(sign: str, *ranges: tuple[tuple[int, int], ...]) -> bool:
    code = ord(sign)
    return any(first <= code <= last for group in ranges for first, last in group)


def is_east_asian(sign: str) -> bool:
    """True for a sign of Han, Kana or Hangul: one of them says as much as several letters."""
    return _is_in(sign, _HAN, _KANA, _HANGUL)


def tidy_name(text: str) -> str:
    """Return a name as it is kept: composed, on one line, with single blanks, without what nobody sees.

    It does not judge: what cannot be shown (control signs, unassigned or private ones) is left for ``is_showable``.
    """
    return _BLANKS.sub(" ", "".join(_seen(unicodedata.normalize("NFC", text)))).strip()


def tidy_line(text: str) -> str:
    """Return an e-mail address, phone or number on one line: composed, and without any sign that nobody sees."""
    return tidy_name(text).translate({ord(sign): None for sign in JOINERS})


def _seen(text: str) -> Iterator[str]:
    for index, sign in enumerate(text):
        if sign in JOINERS:
            before = text[:index].rstrip(JOINERS)[-1:]
            # The first of a run, between two signs of a script that joins by it.
            is_first = index > 0 and text[index - 1] == before
            after = text[index + 1 :].lstrip(JOINERS)[:1]
            if is_first and after and _is_in(before, _JOINING) and _is_in(after, _JOINING):
                yield sign
            continue
        if sign in _UNSEEN:
            continue
        if "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef":
            if index and _is_in(text[index - 1], _HAN):
                yield sign  # which of two forms of a Han sign: people insist on theirs
            continue
        if unicodedata.category(sign) == "Cf":
            continue
        yield sign


def is_showable(name: str) -> bool:
    """True where every sign of a tidy name can be drawn by some font: no control sign, none that means nothing."""
    return all(sign in JOINERS or sign.isprintable() for sign in name)


def holds_a_letter(name: str) -> bool:
    """True for a name with at least one letter; “-” and “.” are typed where somebody has no second name."""
    return any(unicodedata.category(sign)[0] == "L" for sign in name)


def _is_east_asian(given: str, family: str) -> bool:
    return all(is_east_asian(sign) or sign == " " or unicodedata.category(sign) == "Mn" for sign in given + family)


def full_name(*, given: str, family: str, family_first: bool = False) -> str:
    """Return both names in the order in which they are said; one alone where there is no other.

    In Han, Kana or Hangul the family name is first; without a blank, unless one holds Kana or a blank of its own.
    """
    if not given or not family:
        return given or family
    if _is_east_asian(given, family):
        apart = any(sign == " " or _is_in(sign, _KANA) for sign in given + family)
        return f"{family} {given}" if apart else family + given
    return f"{family} {given}" if family_first else f"{given} {family}"


def listed_name(*, given: str, family: str, family_first: bool = False) -> str:
    """Return a name as a list has it: “Moreau, Ada”; as it is said where that has the family name first anyway."""
    if not given or not family or family_first or _is_east_asian(given, family):
        return full_name(given=given, family=family, family_first=family_first)
    return f"{family}, {given}"


def short_name(*, given: str, family: str, family_first: bool = False) -> str:
    """Return “A. Moreau” for Ada Moreau; the whole name where it is one, or in signs that stand for syllables."""
    if not given or not family or _is_east_asian(given, family):
        return full_name(given=given, family=family)
    return f"{family} {first_sign(given)}." if family_first else f"{first_sign(given)}. {family}"


def initials(*, given: str, family: str, family_first: bool = False) -> str:
    """Return the first sign of each name, in the order in which they are said: “AM” for Ada Moreau."""
    family_first = family_first or _is_east_asian(given, family)
    ordered = (family, given) if family_first else (given, family)
    return "".join(first_sign(name) for name in ordered).upper()


def first_sign(name: str) -> str:
    """Return the first letter with what belongs to it: vowel signs of Indic scripts, accents without a letter."""
    if not name:
        return ""
    end = 1
    while end < len(name) and unicodedata.category(name[end])[0] == "M":
        end += 1
    return name[:end]
