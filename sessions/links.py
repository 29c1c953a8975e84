"""The addresses in mails: a random id and its signature. The row says what the link may be used for, and until when.

The signature is checked before the database is asked, so that guessing meets arithmetic and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from patients.models import Patient
from sessions.followup_models import AnswerLink

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


def url_of(link: AnswerLink) -> str:
    return settings.SITE_URL + reverse("answers:open", args=[token_of(link)])


def choose_url_of(link: AnswerLink) -> str:
    return settings.SITE_URL + reverse("answers:choose", args=[token_of(link)])


def stop_url_of(link: AnswerLink) -> str:
    return settings.SITE_URL + reverse("answers:stop", args=[token_of(link)])


def is_open(link: AnswerLink, *, at: datetime) -> bool:
    return link.revoked_at is None and at < link.expires_at


@transaction.atomic
def revoke_links(*, patient: Patient, by: User) -> int:
    """Close every open link of a patient, for example when a mail went to the wrong address."""
    count = AnswerLink.objects.filter(patient=patient, revoked_at__isnull=True).update(revoked_at=timezone.now())
    if count:
        trail.record("links.revoked", by=by, patient=patient, details={"count": count})
    return count
