"""Returned mail: whoever runs the mail server tells us, signed with a shared secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction

from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput
from mesoclinic.messaging.models import Message, MessageState, states_before


@dataclass(frozen=True, kw_only=True)
class Bounce:
    message_id: str
    reason: str
    public_id: UUID | None = None  # ours, which a provider carries along: some give mail a Message-ID of their own


def is_signed(body: bytes, signature: str) -> bool:
    """HMAC-SHA256 of the body in hexadecimal, under MESOCLINIC_BOUNCE_SECRET."""
    if not settings.BOUNCE_SECRET:
        return False
    wanted = hmac.new(settings.BOUNCE_SECRET.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), signature.strip().lower().encode())


def parse(body: bytes) -> Bounce:
    """``{"message_id": "<...>", "reason": "550 ..."}``"""
    try:
        said = json.loads(body)
        message_id = str(said["message_id"]).strip()
    except (ValueError, KeyError, TypeError):
        raise InvalidInput('Send {"message_id": "<...>", "reason": "..."} as JSON.') from None
    if not message_id.startswith("<"):
        message_id = f"<{message_id}>"
    return Bounce(message_id=message_id, reason=" ".join(str(said.get("reason") or "").split())[:500])


@transaction.atomic
def record_bounce(bounce: Bounce) -> bool:
    """Mark the message as returned. Told twice, or of a message that is not ours: nothing changes."""
    known = {"public_id": bounce.public_id} if bounce.public_id else {"message_id": bounce.message_id}
    sent = Message.objects.filter(**known, state__in=states_before(MessageState.BOUNCED))
    if not sent.update(state=MessageState.BOUNCED, last_error=bounce.reason or "The mail came back."):
        return False
    message = Message.objects.get(**known)
    trail.record("message.bounced", by=None, target=message, patient=message.person_id)
    return True
