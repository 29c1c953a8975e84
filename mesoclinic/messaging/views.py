"""The pages of the outbox, and what tells of returned mail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages as notices
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mesoclinic.accounts.access import Permission, public, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError
from mesoclinic.messaging import actions, queries
from mesoclinic.messaging.causes import left_undone
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.permissions import can_retry, can_undo
from mesoclinic.messaging.sending import bounces, providers

PER_PAGE = 50
_LINK = re.compile(re.escape(settings.SITE_URL) + r"/a/[\w-]{43}/(?:\w+/)?")
# The letter's own style element is let through; nothing of it runs, loads or submits.
LETTER_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"


@public("the mail server tells of returned mail; its HMAC signature is the permission")
@csrf_exempt
@require_POST
def bounce(request: HttpRequest) -> HttpResponse:
    """Returned mail. Unsigned, and with no secret set, it is not there."""
    body = request.body
    if len(body) > 65_536 or not bounces.is_signed(body, request.headers.get("X-Mesoclinic-Signature", "")):
        return JsonResponse({"detail": "not found"}, status=404)
    try:
        found = bounces.record_bounce(bounces.parse(body))
    except DomainError as refusal:
        return JsonResponse({"detail": str(refusal)}, status=refusal.status)
    return JsonResponse({"recorded": found})


@public("the mail provider tells of returned mail; the secret in its request is the permission")
@csrf_exempt
@require_http_methods(["HEAD", "POST"])
def provider_events(request: HttpRequest) -> HttpResponse:
    """Returned mail, as Anymail reads the provider's webhook. Without a provider and a secret it is not there."""
    if request.method == "HEAD":
        return HttpResponse()  # some providers look first whether somebody is there
    try:
        returned = providers.returned_mail(request)
    except (ValueError, KeyError, TypeError):
        return JsonResponse({"detail": "This is not what the provider sends."}, status=400)
    if returned is None:
        return JsonResponse({"detail": "not found"}, status=404)
    return JsonResponse({"recorded": sum(bounces.record_bounce(bounce) for bounce in returned)})


@requires(Permission.MESSAGE_READ)
@require_safe
def message_list(request: ClinicRequest) -> HttpResponse:
    kinds: dict[str, str] = import_string(settings.MESSAGE_KINDS)()
    wanted = _wanted(request, kinds)
    found = queries.messages_found(request.user, wanted, now=timezone.now()).defer("text", "html", "attachments")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    for message in page.object_list:
        message.kind_words = kinds.get(message.purpose, message.purpose)  # type: ignore[attr-defined]
    details = {"part": wanted.part, "searched": bool(wanted.query), "page": page.number}
    trail.record("messages.listed", by=request.user, details=details)
    context = {
        "page": page,
        "wanted": wanted,
        "filtered": bool(wanted.query or wanted.kind or wanted.language),
        "parts": _parts(request, wanted),
        "kinds": sorted(kinds.items(), key=lambda kind: kind[1]),
        "languages": settings.LANGUAGES,
        "failed_count": queries.failed_messages_visible_to(request.user).count(),
        "mail_leaves": mail_leaves(request),
        "person_page": settings.PERSON_PAGE,
    }
    return render(request, "messaging/message_list.html", context)


def _wanted(request: ClinicRequest, kinds: Mapping[str, str]) -> queries.Wanted:
    """What the address asks for; what it cannot ask for is left out."""
    asked = {name: request.GET.get(name, "").strip() for name in ("state", "kind", "language", "q")}
    parts = (queries.TO_COME, queries.EVERYTHING, *MessageState.values)
    return queries.Wanted(
        part=asked["state"] if asked["state"] in parts else queries.SO_FAR,
        kind=asked["kind"] if asked["kind"] in kinds else "",
        language=asked["language"] if asked["language"] in dict(settings.LANGUAGES) else "",
        query=asked["q"].replace("\0", "")[:120],
    )


def _parts(request: ClinicRequest, wanted: queries.Wanted) -> list[dict[str, Any]]:
    """The parts of the time and the states, each with its address; what is searched stays."""
    kept = {name: value for name, value in (("q", wanted.query), ("kind", wanted.kind)) if value}
    kept |= {"language": wanted.language} if wanted.language else {}
    names = [(queries.SO_FAR, _("So far")), (queries.TO_COME, _("To come")), (queries.EVERYTHING, _("All"))]
    shown = (MessageState.HELD, MessageState.SENT, MessageState.FAILED, MessageState.BOUNCED, MessageState.CANCELLED)
    names += [(state.value, str(state.label)) for state in shown]
    return [
        {
            "label": label,
            "url": "?" + urlencode(kept | ({"state": part} if part else {})),
            "current": part == wanted.part,
        }
        for part, label in names
    ]


@requires(Permission.MESSAGE_READ)
@require_safe
def message_detail(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    message = _message(request, public_id)
    trail.record("message.viewed", by=request.user, target=message, patient=message.person_id)
    return render(request, "messaging/message_detail.html", _detail(request, message))


@requires(Permission.MESSAGE_READ)
@require_safe
@never_cache
@xframe_options_sameorigin
def message_html(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The letter as its reader sees it, alone in its frame."""
    return letter_response(_without_link(_message(request, public_id).html))


def letter_response(html: str) -> HttpResponse:
    """A letter for a frame, under a policy of its own."""
    response = HttpResponse(html)
    response._csp_exempt = True  # type: ignore[attr-defined]
    response["Content-Security-Policy"] = LETTER_POLICY
    return response


@requires(Permission.MESSAGE_WRITE)
@require_POST
def message_undo(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    message = _message(request, public_id)
    try:
        actions.undo_message(message=message, by=request.user)
    except DomainError as refusal:
        return _refused(request, message, refusal)
    notices.success(request, _("The message was cancelled. Nothing was sent."))
    return redirect(f"{reverse('messaging:detail', args=[public_id])}?undone=1")


@requires(Permission.MESSAGE_WRITE)
@require_POST
def message_retry(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    message = _message(request, public_id)
    try:
        actions.retry_message(message=message, by=request.user)
    except DomainError as refusal:
        return _refused(request, message, refusal)
    notices.success(request, _("The message is waiting again and leaves within a minute."))
    return redirect("messaging:detail", public_id=public_id)


def _message(request: ClinicRequest, public_id: UUID) -> Message:
    return get_object_or_404(queries.messages_visible_to(request.user), public_id=public_id)


def _without_link(text: str) -> str:
    """The patient's own link is theirs alone: the staff see that there is one, not where it leads."""
    return _LINK.sub(f"{settings.SITE_URL}/a/…/", text)


def _detail(request: ClinicRequest, message: Message) -> dict[str, object]:
    return {
        "message": message,
        "letter": _without_link(message.text),
        "kind": import_string(settings.MESSAGE_KINDS)().get(message.purpose, message.purpose),
        "can_undo": can_undo(message, by=request.user),
        "rest": left_undone(message, user=request.user) if _not_sent(request, message) else None,
        "can_retry": can_retry(message, by=request.user),
        "mail_leaves": mail_leaves(request),
        "person_page": settings.PERSON_PAGE,
        "person_links": settings.PERSON_LINKS if message.person_id != request.user.public_id else "",
    }


def _not_sent(request: ClinicRequest, message: Message) -> bool:
    """It may still be undone, or the reader has just undone it."""
    just_undone = message.state == MessageState.CANCELLED and "undone" in request.GET
    return message.state == MessageState.HELD or just_undone


def _refused(request: ClinicRequest, message: Message, refusal: DomainError) -> HttpResponse:
    message.refresh_from_db()
    context = {**_detail(request, message), "refusal": str(refusal)}
    return render(request, "messaging/message_detail.html", context, status=refusal.status)


def mail_leaves(request: ClinicRequest) -> bool:
    """Whether a sent message really leaves the machine."""
    if request.clinic is not None and request.clinic.is_sample:
        return False
    return not settings.EMAIL_BACKEND.endswith("OutboxOnlyBackend")
