"""Write to the trail, and prove that nobody changed it."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent

_LOCK = 7_201  # PostgreSQL advisory lock: one writer at a time extends the chain


def record(
    action: str,
    *,
    by: User | None,
    target: models.Model | None = None,
    patient: models.Model | UUID | None = None,
    details: dict[str, Any] | None = None,
) -> AuditEvent:
    """Append one event in the caller's transaction. Make it the action's last write: it takes the chain's lock.

    ``by`` is None for the system. ``target`` and ``patient`` have a ``public_id``, or ``patient`` is one (the platform
    knows no patient); ``details`` is JSON and holds ids and field names, not clinical content.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        last = AuditEvent.objects.order_by("-id").values_list("hash", flat=True).first() or ""
        event = AuditEvent(
            at=timezone.now(),
            action=action,
            actor_id=by.public_id if by else None,
            actor_label=by.name if by else "system",
            target_type=target._meta.label_lower if target is not None else "",
            target_id=_public_id(target),
            target_label=str(target)[:200] if target is not None else "",
            patient_id=_public_id(patient),
            details=json.loads(json.dumps(details or {})),  # as the database will give it back
            previous_hash=last,
        )
        event.hash = digest(event)
        event.save(force_insert=True)
    return event


def _public_id(row: models.Model | UUID | None) -> UUID | None:
    return row if isinstance(row, UUID) else getattr(row, "public_id", None)


def digest(event: AuditEvent) -> str:
    """SHA-256 over the event's content and the hash before it, as canonical JSON."""
    content = {
        "id": str(event.public_id),
        "at": event.at.isoformat(),
        "action": event.action,
        "actor": [str(event.actor_id), event.actor_label],
        "target": [event.target_type, str(event.target_id), event.target_label],
        "patient": str(event.patient_id),
        "details": event.details,
        "previous": event.previous_hash,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def first_broken() -> AuditEvent | None:
    """The first event that does not follow from the one before it; None while the chain is whole."""
    previous = ""
    for event in AuditEvent.objects.order_by("id").iterator(chunk_size=2000):
        if event.previous_hash != previous or event.hash != digest(event):
            return event
        previous = event.hash
    return None
