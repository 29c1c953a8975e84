"""A mail provider with an API of its own, through Anymail: what it refuses, and what it tells of returned mail."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.utils.module_loading import import_string

from mesoclinic.messaging.sending.bounces import Bounce

RETURNED = ("bounced", "rejected")
# The clinic's set-up, a hurry or an outage; every other 4xx is about the message.
_NOT_THE_MESSAGE = (401, 403, 408, 429)


def is_refusal_for_good(error: Exception) -> bool:
    status = getattr(error, "status_code", None)
    if status is not None:
        return 400 <= status < 500 and status not in _NOT_THE_MESSAGE
    return type(error).__name__ in ("AnymailRecipientsRefused", "AnymailInvalidAddress")


def is_from_provider(error: Exception) -> bool:
    return type(error).__module__ == "anymail.exceptions"


def sentence_of(error: Exception, *, about: str) -> str:
    """What the provider said in one line, without the recipient's address."""
    return " ".join(str(error).split()).replace(about, "…")


def returned_mail(request: HttpRequest) -> list[Bounce] | None:
    """What the provider's webhook tells of returned mail; None where it is not one of ours that speaks."""
    provider = settings.EMAIL_PROVIDER
    if not provider or not settings.BOUNCE_SECRET:
        return None
    patterns = import_string("anymail.urls.urlpatterns")
    callback = next(entry.callback for entry in patterns if entry.name == f"{provider}_tracking_webhook")
    view = callback.view_class()
    view.setup(request)
    try:
        view.run_validators(request)
    except SuspiciousOperation:
        return None
    return [
        Bounce(
            message_id=str(event.message_id or ""),
            public_id=_uuid((event.metadata or {}).get("message")),
            reason=" ".join(str(event.mta_response or event.description or event.reject_reason or "").split())[:500],
        )
        for event in view.parse_events(request)
        if event.event_type in RETURNED
    ]


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
