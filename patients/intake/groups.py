"""Long lists asked part by part: each has its own “No to all of these”, and an answer to one is not one to all.

The parts are how the page asks; what is stored and screened is the list itself (``docs/reference/intake.md``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from patients.texts import spoken_vocabulary
from patients.vocabulary import Part, load_vocabulary, values_since

NONE, UNKNOWN = "none", "unknown"  # what a part may be answered with besides a tick
NEW, REST = "new", "rest"  # parts of a list that was answered before some of its values came, and of no other
_NAMES: dict[str, str | Promise] = {NEW: _("New on this list"), REST: _("Asked before")}


def parts_of(fact: str, *, asked: str) -> tuple[Part, ...]:
    """Return the parts in which a list is asked; none where it is asked as a whole.

    ``asked`` is the release that its last answer was asked with: what came since is a part of its own, ahead.
    """
    groups, new = _parts_in_words(fact), values_since(asked).get(fact, ())
    if not new:
        return groups
    if not groups:
        known = tuple(choice.key for choice in load_vocabulary().facts[fact].values)
        groups = (Part(key=REST, label=str(_NAMES[REST]), values=known),)
    rest = (replace(group, values=tuple(v for v in group.values if v not in new)) for group in groups)
    return (Part(key=NEW, label=str(_NAMES[NEW]), values=new), *(group for group in rest if group.values))


def _in_parts() -> tuple[str, ...]:
    return tuple(key for key, fact in load_vocabulary().facts.items() if fact.parts)


def _parts_in_words(fact: str) -> tuple[Part, ...]:
    """The parts of a list as the vocabulary has them, named in the reader's language; none of what is no fact."""
    known = spoken_vocabulary().facts.get(fact)
    return known.parts if known else ()


def lists_in_parts(*, asked: str) -> tuple[str, ...]:
    """Return the lists that are asked in parts, see ``parts_of``."""
    return tuple(dict.fromkeys([*_in_parts(), *values_since(asked)]))


def unsettled(fact: str, chosen: Iterable[str], answered: Mapping[str, Any], *, asked: str) -> list[Part]:
    """The parts of a list that have no tick, no “no to all” and no “don't know”: nobody answered them."""
    ticked = set(chosen)
    return [
        group
        for group in parts_of(fact, asked=asked)
        if answered.get(group.key) not in (NONE, UNKNOWN) and not ticked & set(group.values)
    ]


def part_label(fact: str, key: str) -> str:
    """The label of a part of a long list; empty where there is no such part."""
    named = next((group.label for group in _parts_in_words(fact) if group.key == key), "")
    return named or str(_NAMES.get(key, ""))
