"""What waits in the outbox is written anew when what it was made from has changed, and withdrawn or brought back.

The outbox does not know what a message was made from. ``settings.MESSAGE_WRITER`` names who does: given messages, it
returns what each would say now.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from mesoclinic.accounts.models import Clinic, User
from mesoclinic.audit import trail
from mesoclinic.messaging.actions import MAY_COME_BACK, WITHDRAWN
from mesoclinic.messaging.models import Message, MessageState

IN_ONE_GO = 200


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a message says, and to whom."""

    person_id: UUID
    person_label: str
    to_address: str
    language: str
    subject: str
    text: str
    html: str
    attachments: Sequence[Mapping[str, Any]]
    headers: Mapping[str, str]
    recipe: Mapping[str, Any]


FIELDS = tuple(Written.__dataclass_fields__)


def written_anew(messages: Collection[Message], *, only_stale: bool = False) -> dict[int, Written]:
    """Return what these messages would say now, by primary key. What its writer cannot write anew is left out.

    ``only_stale`` leaves out those whose sources are as they were, without writing them.
    """
    found: dict[int, Written] = import_string(settings.MESSAGE_WRITER)(list(messages), only_stale=only_stale)
    return found


@transaction.atomic
def renew_messages(*, messages: QuerySet[Message], by: User | None) -> int:
    """Write anew what has not left the house of ``messages``. Return how many say something else now.

    A worker that has one in hand and has not begun it loses it; it is sent later, as it says now. One that is on the
    wire cannot be changed.
    """
    messages.filter(state=MessageState.SENDING, attempts=0).update(
        state=MessageState.QUEUED, lease=None, leased_until=None
    )
    keys = list(messages.filter(state__in=MessageState.UNSENT).order_by("pk").values_list("pk", flat=True))
    changed: list[Message] = []
    for start in range(0, len(keys), IN_ONE_GO):
        rows = Message.objects.select_for_update().filter(
            pk__in=keys[start : start + IN_ONE_GO], state__in=MessageState.UNSENT
        )
        changed += _rewrite(list(rows.order_by("pk")))
    for person_id, public_ids in _by_person(changed).items():
        trail.record("messages.renewed", by=by, patient=person_id, details={"messages": public_ids})
    return len(changed)


def _rewrite(rows: Sequence[Message]) -> list[Message]:
    anew = written_anew(rows)
    changed = []
    for row in rows:
        if row.pk in anew and write_anew(row, anew[row.pk]):
            row.attempts = 0  # of what it says now
            changed.append(row)
    Message.objects.bulk_update(changed, [*FIELDS, "attempts"], batch_size=IN_ONE_GO)
    return changed


def write_anew(message: Message, written: Written) -> bool:
    """Set what the message says, without saving it. Return whether that is anything new."""
    before = [getattr(message, name) for name in FIELDS]
    for name in FIELDS:
        value = getattr(written, name)
        setattr(message, name, value[:200] if name in ("person_label", "subject") else value)
    message.attachments, message.headers = [dict(file) for file in written.attachments], dict(written.headers)
    message.recipe = dict(written.recipe)
    return before != [getattr(message, name) for name in FIELDS]


_BASE = re.compile(r"https?://[^/\s\"'<>]+(?=/a/)")  # of a link that a patient answers by


@transaction.atomic
def readdress_sample(*, address: str, by: User | None) -> int:
    """Lead the links in an invented clinic's mails to where it is served now. Return how many messages that changed.

    A real clinic's mails are with their readers: they stay as they left.
    """
    clinic = Clinic.objects.first()
    if clinic is None or not clinic.is_sample:
        return 0
    address, changed = address.rstrip("/"), []
    for message in Message.objects.exclude(text__contains=f"{address}/a/").order_by("pk"):
        found = _BASE.search(message.text)
        if found is None:
            continue
        message.text = message.text.replace(found[0], address)
        message.html = message.html.replace(found[0], address)
        for name in ("attachments", "headers"):
            text = json.dumps(getattr(message, name), ensure_ascii=False)
            setattr(message, name, json.loads(text.replace(found[0], address)))
        changed.append(message)
    Message.objects.bulk_update(changed, ["text", "html", "attachments", "headers"], batch_size=IN_ONE_GO)
    if changed:
        trail.record("messages.readdressed", by=by, details={"count": len(changed)})
    return len(changed)


def _by_person(messages: Iterable[Message]) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = {}
    for message in messages:
        found.setdefault(message.person_id, []).append(str(message.public_id))
    return found


# ------------------------------------------------------------------ withdrawn, and back


@transaction.atomic
def withdraw_messages(*, messages: QuerySet[Message], by: User | None, because: str = WITHDRAWN) -> int:
    """Cancel what has not left of ``messages``, since its reader is not written to any more. Return how many.

    Each row says why (one of ``MAY_COME_BACK``), and may be brought back when that changes.
    """
    waiting = messages.filter(state__in=(*MessageState.UNSENT, MessageState.SENDING)).select_for_update().order_by("pk")
    rows = list(waiting.values_list("pk", "public_id", "person_id"))
    stopped = Message.objects.filter(
        pk__in=[row[0] for row in rows], state__in=(*MessageState.UNSENT, MessageState.SENDING)
    )
    count = stopped.update(state=MessageState.CANCELLED, lease=None, leased_until=None, last_error=because)
    for person_id in sorted({row[2] for row in rows}):
        told = [str(public_id) for _pk, public_id, person in rows if person == person_id]
        trail.record("messages.withdrawn", by=by, patient=person_id, details={"messages": told})
    return count


@transaction.atomic
def bring_back(*, message: Message, due_at: datetime, by: User | None) -> Message:
    """Let a withdrawn message wait again, as it would be written now. One that was not withdrawn stays as it is."""
    withdrawn = Message.objects.filter(pk=message.pk, state=MessageState.CANCELLED, last_error__in=MAY_COME_BACK)
    hold = timezone.now() + settings.MESSAGE_HOLD
    if withdrawn.update(
        state=MessageState.QUEUED, due_at=max(due_at, hold), last_error="", attempts=0, failures=0, first_tried_at=None
    ):
        trail.record("message.brought_back", by=by, target=message, patient=message.person_id)
        renew_messages(messages=Message.objects.filter(pk=message.pk), by=by)
    message.refresh_from_db()
    return message


# ------------------------------------------------------------------ just before sending


def refresh_claimed(batch: Sequence[Message], lease: UUID) -> int:
    """Write anew, under the worker's lease, what was made from something that has changed since. Return how many.

    This is the second wall: a change and the making of a message may pass each other unseen.
    """
    anew = written_anew(batch, only_stale=True)
    count = 0
    for message in batch:
        if message.pk in anew and write_anew(message, anew[message.pk]):
            ours = Message.objects.filter(pk=message.pk, state=MessageState.SENDING, lease=lease)
            count += ours.update(**{name: getattr(message, name) for name in FIELDS})
    return count
