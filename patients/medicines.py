"""Medicines as people name them, mapped to the classes that an intake asks for, with the mapping in sight.

A name or an ATC code that is known sets classes; one that is not is kept as it was typed and somebody looks at it.
Names are understood in every language of the product, whatever language the page is in: what a line counts as, and so
what is stored, does not depend on who reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from mesoclinic.sorting import by_words
from patients.search import fold
from patients.vocabulary import DataFileError, Vocabulary, load_vocabulary, read_yaml

MOST = 60  # lines
LENGTH = 120  # characters of one line
ANTIPLATELETS = "B01AC"
_ATC = re.compile(r"\b([A-Z]\d{2}[A-Z]{1,2}(?:\d{2})?)\b", re.IGNORECASE)

_STRENGTH = re.compile(r"\d+(?:mg|ml|g|mcg|ug|iu)?|mg|ml|g|mcg|ug|iu|percent")  # “5 % lotion”: what stands between

_SWALLOWED = frozenset(
    {"tablet", "tablets", "capsule", "capsules", "oral", "orale", "comprime", "comprimes", "gelule", "gelules"}
    | {"comprimido", "comprimidos", "capsula", "capsulas"}
)  # folded

KNOWN, ASK, UNKNOWN = "known", "ask", "unknown"  # what was made of a line


@dataclass(frozen=True, kw_only=True)
class Medicine:
    name: str
    atc: str = ""
    also: tuple[str, ...] = ()
    ask: str = ""


@dataclass(frozen=True, kw_only=True)
class Named:
    """One line of the list, and what it means."""

    text: str
    state: str
    name: str = ""
    atc: str = ""
    classes: tuple[str, ...] = ()
    ask: str = ""

    @property
    def spoken(self) -> str:
        """What the line was taken for, in the reader's language; empty where nothing or only a code was made of it."""
        return _(self.name) if self.name and self.name != self.atc else ""

    def as_dict(self) -> dict[str, Any]:
        return {"text": self.text, "atc": self.atc, "classes": list(self.classes), "state": self.state}


@lru_cache(maxsize=1)
def _names() -> dict[str, Medicine]:
    """Every folded name with its medicine, the longest first, so that “minoxidil lotion” is not “minoxidil”."""
    known: dict[str, Medicine] = {}
    spellings: list[tuple[str, Medicine]] = []
    classes = {choice.key for choice in load_vocabulary().facts["medications"].values}
    for entry in read_yaml(Path(__file__).parent / "vocabulary" / "medicines.yaml")["medicines"]:
        medicine = Medicine(
            name=entry["name"], atc=entry.get("atc", ""), also=tuple(entry.get("also", ())), ask=entry.get("ask", "")
        )
        if strange := set(medicine.also) - classes:
            raise DataFileError(f"medicine {medicine.name}: unknown classes {sorted(strange)}")
        for name in (medicine.name, *entry.get("names", ())):
            if fold(name) in known:
                raise DataFileError(f"medicine {name}: named twice")
            known[fold(name)] = medicine
            spellings.append((name, medicine))
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            for name, medicine in spellings:
                known.setdefault(fold(_(name)), medicine)  # the English name wins where two languages share a word
    return dict(sorted(known.items(), key=lambda item: (-len(item[0]), item[0])))


def medicine_names() -> list[tuple[str, str]]:
    """(name in the reader's language, ATC code): what the field offers while somebody types."""
    known = {medicine.name: medicine for medicine in _names().values()}
    return sorted(((_(name), medicine.atc) for name, medicine in known.items()), key=lambda pair: by_words(pair[0]))


def read_medicines(text: str) -> list[Named]:
    """Each line of ``text`` with what it means. Nothing that was typed is dropped, save empty lines and repeats."""
    vocabulary = load_vocabulary()
    lines = dict.fromkeys(" ".join(line.split()) for line in re.split(r"[\r\n;]+", text))
    return [_read(line, vocabulary) for line in lines if line]


def _read(line: str, vocabulary: Vocabulary) -> Named:
    for match in _ATC.finditer(line):
        code = match[1].upper()
        if len(code) < 5:
            continue
        named = next((medicine for medicine in _names().values() if medicine.atc == code), None)
        classes = vocabulary.medicine_classes_of([code])
        if named is not None:  # under its name, so that “aspirin” and its code are one medicine
            classes = tuple(dict.fromkeys((*classes, *named.also)))
        if classes or named is not None:
            return Named(text=line, state=KNOWN, name=named.name if named else code, atc=code, classes=classes)
    bare = [word for word in fold(line).split() if not _STRENGTH.fullmatch(word)]
    words = f" {' '.join(bare)} "
    for name, medicine in _names().items():
        if f" {name} " not in words:
            continue
        if medicine.ask and not _is_oral(medicine, words):
            return Named(text=line, state=ASK, name=medicine.name, ask=_(medicine.ask))
        by_code = vocabulary.medicine_classes_of([medicine.atc]) if medicine.atc else ()
        classes = tuple(dict.fromkeys((*by_code, *medicine.also)))
        return Named(text=line, state=KNOWN, name=medicine.name, atc=medicine.atc, classes=classes)
    for word in bare:
        if len(word) > 4 and (near := get_close_matches(word, _names(), n=1, cutoff=0.84)):
            return Named(text=line, state=ASK, ask=_("Do you mean %(name)s?") % {"name": _(_names()[near[0]].name)})
    return Named(text=line, state=UNKNOWN)


def _is_oral(medicine: Medicine, words: str) -> bool:
    """True where the line itself answers “tablets or cream?” with tablets."""
    asks_form = bool(medicine.atc) and ("cream" in medicine.ask or "ointment" in medicine.ask)
    return asks_form and not _SWALLOWED.isdisjoint(words.split())


def classes_of(named: Iterable[Named]) -> list[str]:
    """The classes that the list sets, in the order of the question. Two antiplatelet medicines are “two together”."""
    medicines = list(named)
    found = {value for medicine in medicines for value in medicine.classes}
    together = {medicine.name for medicine in medicines if medicine.atc.startswith(ANTIPLATELETS)}
    if len(together) > 1:
        found = (found - {"antiplatelet_single"}) | {"antiplatelet_dual"}
    return [choice.key for choice in load_vocabulary().facts["medications"].values if choice.key in found]


def to_check(medicines: Iterable[Mapping[str, Any]]) -> list[str]:
    """The lines of a stored list that somebody has to look at."""
    return [str(entry["text"]) for entry in medicines if entry["state"] != KNOWN]
