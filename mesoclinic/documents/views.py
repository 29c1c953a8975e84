from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.contrib import messages as notices
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from mesoclinic.accounts.access import public, signed_in
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.counting import count
from mesoclinic.documents import actions, storage
from mesoclinic.documents.checking import state_of
from mesoclinic.documents.models import Document, DocumentState
from mesoclinic.documents.queries import document_visible_to, why_held

# Who may see a document depends on its kind: these views let in whoever is signed in and ask the kind, or answer 404.


@signed_in
@require_safe
@never_cache
def document_status(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Says how far it is; the fragment asks again by itself until the document is ready or has failed."""
    document = document_visible_to(request.user, public_id)
    if not request.htmx:
        trail.record("document.viewed", by=request.user, target=document, patient=document.person_id)
    return _status(request, document)


@signed_in
@require_safe
def document_file(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    document = document_visible_to(request.user, public_id)
    if document.state != DocumentState.READY or why_held(request.user, document):
        return redirect("documents:status", public_id=public_id)
    try:
        data = storage.read(document)
    except storage.FileLost:
        actions.renew_lost_file(document=document, by=request.user)
        return redirect("documents:status", public_id=public_id)
    trail.record("document.downloaded", by=request.user, target=document, patient=document.person_id)
    response = HttpResponse(data, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{file_name(document)}"'
    response["Cache-Control"] = "no-store, private"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@signed_in
@require_POST
def document_retry(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    document = document_visible_to(request.user, public_id)
    actions.retry_document(document=document, by=request.user)
    notices.success(request, _("The document is being made again."))
    return redirect("documents:status", public_id=public_id)


@signed_in
@require_POST
def document_cancel(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    document = document_visible_to(request.user, public_id)
    actions.cancel_document(document=document, by=request.user)
    return redirect("documents:status", public_id=public_id)


CHECKS_PER_MINUTE = 30  # from one address


@public("anybody who holds a print may ask whether it is current; it says that and nothing else")
@require_safe
@never_cache
def print_check(request: HttpRequest, token: str) -> HttpResponse:
    address = request.META.get("REMOTE_ADDR", "")
    if count(f"print-check:{address}", seconds=60) > CHECKS_PER_MINUTE:
        refused = render(request, "documents/print_check.html", {"state": "too_many"}, status=429)
        refused["Retry-After"] = "60"
        return refused
    state = state_of(token)
    answer = render(request, "documents/print_check.html", {"state": state}, status=404 if state == "unknown" else 200)
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-Robots-Tag"] = "noindex"
    return answer


def file_name(document: Document) -> str:
    """In plain letters, so that every system keeps it, and with the person's number, not their name:
    treatment-plan-p-00342.pdf."""
    person = document.context.get("person")
    number = person.get("number", "") if isinstance(person, dict) else ""
    return (slugify(f"{document.title[:70]} {number}") or "document") + ".pdf"


def _status(request: ClinicRequest, document: Document) -> HttpResponse:
    waiting = document.state in DocumentState.BEING_MADE
    template = "documents/document_status.html" + ("#document-status" if request.htmx else "")
    context = {
        "document": document,
        "waiting": waiting,
        "held": "" if waiting else why_held(request.user, document),
        "file_name": file_name(document),
        "person": document.context.get("person"),
        "back": settings.DOCUMENT_KINDS[document.kind].get("page"),  # where the document belongs, by URL name
    }
    return render(request, template, context)
