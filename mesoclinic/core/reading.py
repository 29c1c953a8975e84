"""Reads what a page sends besides what people type: numbers, marks and choices that say what an action is about.

What cannot be read is refused with a sentence and never taken for “all” or “the usual”: an action on more than was
meant is worse than none. Each function raises InvalidInput, which becomes a page of status 400.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext as _

from mesoclinic.core.errors import InvalidInput

MOST_DIGITS = 9
SHOWN = 40  # characters of what could not be read


def whole_number(text: str, *, least: int = 0) -> int:
    """Return the number written in ASCII digits. Raise InvalidInput for anything else, and below ``least``."""
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS) or int(text) < least:
        raise InvalidInput(_("“%(what)s” is no number this page sends. Load it anew and try again.") % _what(text))
    return int(text)


def whole_numbers(data: QueryDict, name: str, *, least: int = 0) -> list[int]:
    """Return the numbers sent under ``name``, at least one. Raise InvalidInput where one cannot be read."""
    if not (texts := data.getlist(name)):
        raise InvalidInput(_("The page did not say which. Load it anew and try again."))
    return [whole_number(text, least=least) for text in texts]


def revision_of(data: Mapping[str, str], name: str = "revision") -> int:
    """Return the revision that a page carried; -1, older than any, where it cannot be read."""
    try:
        return whole_number(data.get(name, ""))
    except InvalidInput:
        return -1


def id_of(data: Mapping[str, str], name: str) -> UUID | None:
    """Return the id sent under ``name``; None where none can be read, which names nothing."""
    try:
        return UUID(data.get(name, ""))
    except ValueError:
        return None


def one_of(data: Mapping[str, str], name: str, choices: Collection[str], *, usual: str | None = None) -> str:
    """Return the choice sent under ``name``, or ``usual`` where none was sent. Raise InvalidInput for another."""
    text = data.get(name, usual)
    if text is None or text not in choices:
        raise InvalidInput(_("“%(what)s” is no choice of this page. Load it anew and try again.") % _what(text or ""))
    return text


def _what(text: str) -> dict[str, str]:
    return {"what": "".join(letter for letter in text if letter.isprintable())[:SHOWN]}
