"""What two people changed at once: each keeps what only one of them changed, and what both changed is asked.

A page sends back, with what was typed, a short mark of each value that its reader saw. Under the row's lock a field is
written where the reader changed it and nobody else did; left where only somebody else did; and refused where both did,
with theirs beside mine, until the reader has decided about what they were shown.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import DomainError

MOST_SEEN = 20_000  # characters of the marks that a page may send back
LEAVE = "theirs"  # in the place of a mark: the reader has seen theirs and leaves it


@dataclass(frozen=True, kw_only=True)
class Clash:
    """A field that both changed."""

    field: str
    theirs: Any  # as it is stored now
    mine: Any


class Conflict(DomainError):
    """Somebody else changed the same fields since the reader opened them; nothing was overwritten.

    ``stored`` holds every field of the form as it is now, ``revision`` that of the row, where it has one.
    """

    def __init__(
        self,
        clashes: Iterable[Clash],
        *,
        stored: Mapping[str, Any],
        revision: int | None = None,
        changed: AuditEvent | None = None,
    ) -> None:
        super().__init__(_sentence(changed))
        self.clashes: tuple[Clash, ...] = tuple(clashes)
        self.stored = dict(stored)
        self.revision = revision

    def as_json(self) -> dict[str, Any]:
        """Return what the API answers: the sentence, the fields with theirs and mine, the revision to send next."""
        return {
            "detail": [str(self)],
            "conflicts": {
                clash.field: {"theirs": _for_json(clash.theirs), "mine": _for_json(clash.mine)}
                for clash in self.clashes
            },
        } | ({} if self.revision is None else {"revision": self.revision})


def _sentence(changed: AuditEvent | None) -> str:
    if changed is None:
        said = _("Somebody else changed these details after you opened them.")
    else:
        said = _("%(person)s changed these details after you opened them.") % {"person": changed.actor_label}
    return " ".join([said, _("Nothing was overwritten.")])


def mark_of(value: Any) -> str:
    """Return a short mark of a value: equal for equal values, however they are held."""
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:9]).decode()


def marks_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the mark of each value: what a page shows."""
    return {name: mark_of(value) for name, value in values.items()}


def marks_in(text: str) -> dict[str, str]:
    """Return the marks that a page sent back; none where they cannot be read, which is as if nothing had been seen."""
    try:
        found = json.loads(text) if len(text) <= MOST_SEEN else {}
    except (ValueError, RecursionError):
        found = {}
    if not isinstance(found, dict):
        return {}
    return {name: mark for name, mark in found.items() if isinstance(mark, str)}


def merged(
    stored: Mapping[str, Any], mine: Mapping[str, Any], *, seen: Mapping[str, str], **about: Any
) -> dict[str, Any]:
    """Return of ``mine`` what its author changed and nobody else did.

    ``seen`` holds the marks of what the author saw. Raise Conflict, with ``about``, where both changed a field.
    """
    changes: dict[str, Any] = {}
    clashes = []
    for name, value in mine.items():
        here, now = mark_of(value), mark_of(stored[name])
        if here in (now, seen.get(name)) or seen.get(name) == LEAVE:
            continue
        if now == seen.get(name):
            changes[name] = value
        else:
            clashes.append(Clash(field=name, theirs=stored[name], mine=value))
    if clashes:
        raise Conflict(clashes, stored=stored, **about)
    return changes


def last_change(action: str, *, target: UUID | None = None) -> AuditEvent | None:
    """Return the newest event of that action, about ``target`` where one is given."""
    found = AuditEvent.objects.filter(action=action)
    if target is not None:
        found = found.filter(target_id=target)
    return found.order_by("-id").first()


def _plain(value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, Model):
        return value.pk
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, QuerySet | set | frozenset | list | tuple):
        return sorted((_plain(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    if isinstance(value, bool | int):
        return value
    return " ".join(str(value).split())


def _for_json(value: Any) -> Any:
    if isinstance(value, Model):
        return str(value.public_id)  # type: ignore[attr-defined]
    return value.isoformat() if isinstance(value, date) else value
