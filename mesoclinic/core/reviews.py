"""Which clinical translations nobody with the knowledge has read yet.

The state stands in the catalogue itself: a text in locale/clinical whose comment says “to be reviewed”. It is read when
it is first asked for. `scripts/messages.py reviewed` takes the mark off; docs/reference/languages.md says how.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from babel.messages.pofile import read_po
from django.conf import settings
from django.utils import translation
from django.utils.translation import get_language_info

TO_REVIEW = "to be reviewed"


@dataclass(frozen=True, kw_only=True)
class State:
    language: str
    name: str  # in its own language
    texts: int
    to_review: int

    @property
    def reviewed(self) -> int:
        return self.texts - self.to_review


@lru_cache(maxsize=8)
def _read(language: str) -> tuple[int, Mapping[str, str]]:
    """How many clinical texts there are, and of those to be reviewed the translation with its English."""
    file = Path(settings.BASE_DIR) / f"locale/clinical/{language}/LC_MESSAGES/django.po"
    if not file.exists():
        return 0, MappingProxyType({})
    with file.open("rb") as opened:
        messages = [message for message in read_po(opened, locale=language) if message.id]
    waiting: dict[str, str] = {}
    for message in messages:
        if TO_REVIEW in message.user_comments:
            forms = [message.string] if isinstance(message.string, str) else message.string or ()
            ids = [message.id] if isinstance(message.id, str) else message.id
            pairs = zip(forms, ids, strict=False)
            waiting |= {str(translated): str(english) for translated, english in pairs}
    return len(messages), MappingProxyType(waiting)


def _language() -> str:
    return (translation.get_language() or "en").split("-")[0]


def english_of(text: Any) -> str:
    """The English of a text in the active language whose translation is to be reviewed; empty for any other."""
    return _read(_language())[1].get(str(text), "")


def waiting(*texts: Any) -> list[tuple[str, str]]:
    """(translation, English) of those of the texts that are to be reviewed, each once. A list counts as its items."""
    found: dict[str, str] = {}
    for text in texts:
        for item in text if isinstance(text, Iterable) and not isinstance(text, str) else [text]:
            if english := english_of(item):
                found[str(item)] = english
    return list(found.items())


def number_to_review() -> int:
    """How many clinical texts of the active language wait for a reviewer."""
    return len(_read(_language())[1])


def states() -> list[State]:
    """Each language besides English with how far its clinical texts are reviewed."""
    return [
        State(
            language=code,
            name=get_language_info(code)["name_local"],
            texts=_read(code)[0],
            to_review=len(_read(code)[1]),
        )
        for code, _name in settings.LANGUAGES
        if code != "en"
    ]
