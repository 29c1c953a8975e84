"""Which documents a user may see: each kind says so itself, by the name in settings.DOCUMENT_KINDS."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404
from django.utils.module_loading import import_string

from mesoclinic.accounts.models import User
from mesoclinic.documents.models import Document


def document_visible_to(user: User, public_id: UUID) -> Document:
    """The document, or 404 for whom its kind does not show it."""
    document = Document.objects.filter(public_id=public_id).first()
    if document is None or document.kind not in settings.DOCUMENT_KINDS:
        raise Http404
    kind: dict[str, Any] = settings.DOCUMENT_KINDS[document.kind]
    visible = import_string(kind["visible"])
    if not visible(user, document):
        raise Http404
    return document


def why_held(user: User, document: Document) -> str:
    """Return why the file must not be taken out now, in a sentence; empty where nothing is against it."""
    held = settings.DOCUMENT_KINDS[document.kind].get("held")
    return str(import_string(held)(user, document)) if held else ""
