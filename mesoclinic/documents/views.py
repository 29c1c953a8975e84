"""The pages of a print: how far it is, its file, and whether a paper is still current."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import UUID

from django.conf import settings
from django.contrib import messages as notices
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import import_string
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from mesoclinic.accounts.access import public, signed_in
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.counting import count
from mesoclinic.documents import actions
from mesoclinic.documents.checking import state_of
from mesoclinic.documents.models import Document, DocumentState
from mesoclinic.documents.queries import document_visible_to, why_held
from mesoclinic.files import storage

# A browser lays out a PDF with styles and parts of its own; only our own pages may frame it.
PDF_POLICY = "default-src 'self'; object-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'"

# Who may see a document depends on its kind: these views let in whoever is signed in and ask the kind, or answer 404.


@signed_in
@require_safe
@never_cache
def document_status(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Says how far it is; the fragment asks again by itself until the document is ready or has failed."""
    document = document_visible_to(request.user, public_id)
    asks_again = request.htmx or ("again" in request.GET and document.is_waiting)
    if not asks_again:
        trail.record("document.viewed", by=request.user, target=document, patient=document.person_id)
    return _status(request, document)


@signed_in
@require_safe
@xframe_options_sameorigin
def document_file(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The PDF itself, for the frame of its page and for a tab of its own; ``?download`` to keep it."""
    document = document_visible_to(request.user, public_id)
    if document.state != DocumentState.READY or why_held(request.user, document):
        return redirect("documents:status", public_id=public_id)
    try:
        data = storage.read_file(document)
    except storage.FileLost:
        actions.renew_lost_file(document=document, by=request.user)
        return redirect("documents:status", public_id=public_id)
    kept = "download" in request.GET
    action = "document.downloaded" if kept else "document.opened"
    trail.record(action, by=request.user, target=document, patient=document.person_id)
    return pdf_response(data, name=file_name(document), kept=kept)


def pdf_response(data: bytes, *, name: str, kept: bool) -> HttpResponse:
    """A PDF that only our own pages may frame. ``kept``: to be saved, not shown."""
    response = HttpResponse(data, content_type="application/pdf")
    response["Content-Disposition"] = f'{"attachment" if kept else "inline"}; filename="{name}"'
    response["Cache-Control"] = "no-store, private"
    response["X-Content-Type-Options"] = "nosniff"
    response._csp_exempt = True  # type: ignore[attr-defined]
    response["Content-Security-Policy"] = PDF_POLICY
    return response


@signed_in
@require_POST
def document_retry(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    document = document_visible_to(request.user, public_id)
    actions.retry_document(document=document, by=request.user)
    notices.success(request, _("The document is being made again."))
    return redirect(_page_of(document, back=request.GET.get("back", "")))


@signed_in
@require_POST
def document_cancel(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    document = document_visible_to(request.user, public_id)
    actions.cancel_document(document=document, by=request.user)
    return redirect(_page_of(document, back=request.GET.get("back", "")))


def open_document(request: ClinicRequest, document: Document) -> HttpResponse:
    """Lead from a press on Print to the PDF; its page leads back to where one was."""
    before = urlsplit(request.headers.get("Referer", ""))
    return redirect(_page_of(document, back=urlunsplit(("", "", before.path, before.query, ""))))


def _page_of(document: Document, *, back: str) -> str:
    page = reverse("documents:status", args=[document.public_id])
    return f"{page}?{urlencode({'back': back})}" if back else page


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
    waiting = document.is_waiting
    back = request.GET.get("back", "")
    ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, {request.get_host()})
    kind = settings.DOCUMENT_KINDS[document.kind]
    own_page = reverse(kind["page"], args=[document.subject_id]) if "page" in kind else "/"
    template = "documents/document_status.html" + ("#document-status" if request.htmx else "")
    context = {
        "document": document,
        "waiting": waiting,
        "held": "" if waiting else why_held(request.user, document),
        "file_name": file_name(document),
        "person": document.context.get("person"),
        "back": back if ours else own_page,
        "mail": None if waiting else import_string(settings.PAPER_MAIL)(request.user, document),
        "query": urlencode({"back": back} if ours else {}),
    }
    return render(request, template, context)
