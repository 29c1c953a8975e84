"""The addresses in mails: a random id and its signature. The row says what the link may be used for, and until when.

The signature is checked before the database is asked, so that guessing meets arithmetic and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import NotAllowed
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.renewal import renew_messages
from patients.models import Patient
from patients.queries import is_seen_by
from sessions.mail.kinds import purpose_words
from sessions.models.followups import AnswerLink

_SALT = b"mesoclinic.answers.1"
_LENGTH = 43  # 16 bytes of id and 16 of signature, in base64 without padding


def token_of(link: AnswerLink) -> str:
    raw = link.public_id.bytes
    return base64.urlsafe_b64encode(raw + _sign(raw)).decode().rstrip("=")


def id_in(token: str) -> UUID | None:
    """The id that the token carries; None where it is not one of ours."""
    if len(token) != _LENGTH or not token.isascii():
        return None
    try:
        raw = base64.b64decode(token + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if not hmac.compare_digest(raw[16:], _sign(raw[:16])):
        return None
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:
        return None  # another spelling of the same bytes is not the link we sent
    return UUID(bytes=raw[:16])


def _sign(raw: bytes) -> bytes:
    key = hashlib.sha256(_SALT + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, raw, hashlib.sha256).digest()[:16]


def link_for(*, purpose: str, subject_id: UUID, version: int, patient: Patient, expires_at: datetime) -> AnswerLink:
    """The one link of one message; asked for again, the same."""
    return AnswerLink.objects.get_or_create(
        purpose=purpose,
        subject_id=subject_id,
        version=version,
        defaults={"patient": patient, "expires_at": expires_at},
    )[0]


def renew_address(link: AnswerLink) -> None:
    """Give a closed link of a mail that has not left a new address, and open it. The old address stays dead."""
    link.public_id, link.revoked_at = uuid4(), None
    link.save(update_fields=["public_id", "revoked_at"])


def url_of(link: AnswerLink) -> str:
    return settings.SITE_URL + reverse("answers:open", args=[token_of(link)])


def choose_url_of(link: AnswerLink) -> str:
    return settings.SITE_URL + reverse("answers:choose", args=[token_of(link)])


def stop_url_of(link: AnswerLink) -> str:
    return settings.SITE_URL + reverse("answers:stop", args=[token_of(link)])


def is_open(link: AnswerLink, *, at: datetime) -> bool:
    return link.revoked_at is None and at < link.expires_at


# ------------------------------------------------------------------ closing what left


@dataclass(frozen=True, kw_only=True)
class Row:
    """One link, for the staff's list."""

    link: AnswerLink
    kind: str
    state: str  # open | waiting | closed | over
    answered: int


def rows_of(patient: Patient, *, at: datetime) -> list[Row]:
    """Every link of the patient, the newest first."""
    found = AnswerLink.objects.filter(patient=patient).annotate(waits=Exists(_unsent()), answered=Count("answers"))
    return [
        Row(
            link=link,
            kind=purpose_words(link.purpose),
            state=_state(link, at=at, waits=link.waits),
            answered=link.answered,
        )
        for link in found.order_by("-created_at", "-pk")
    ]


def _state(link: AnswerLink, *, at: datetime, waits: bool) -> str:
    if link.revoked_at is not None:
        return "closed"
    if at >= link.expires_at:
        return "over"
    return "waiting" if waits else "open"


def _unsent() -> QuerySet[Message]:
    """The mail of a link, as long as nobody can have read it."""
    return Message.objects.filter(
        purpose=OuterRef("purpose"),
        subject_id=OuterRef("subject_id"),
        version=OuterRef("version"),
        state__in=MessageState.TO_LEAVE,
        attempts=0,
    )


@transaction.atomic
def revoke_links(*, patient: Patient, by: User) -> int:
    """Close every link of a patient that left the house, for example when a mail went to the wrong address.

    A mail that still waits keeps its own link, which nobody has seen: it would be of no use without.
    """
    if not by.may(Permission.MESSAGE_WRITE) or not is_seen_by(patient, by):
        raise NotAllowed(_("Your role does not close links of patients."))
    seen = AnswerLink.objects.filter(~Exists(_unsent()), patient=patient, revoked_at__isnull=True)
    count = seen.update(revoked_at=timezone.now())
    if count:
        # One that was tried and waits for its next try has lost its link with the others: it gets a new one.
        renew_messages(messages=Message.objects.filter(person_id=patient.public_id), by=by)
        trail.record("links.revoked", by=by, patient=patient, details={"count": count})
    return count
