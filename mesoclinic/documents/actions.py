"""Ask for a document, make it, and keep it."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidTransition
from mesoclinic.core.template_engine import MissingVariable
from mesoclinic.documents import rendering
from mesoclinic.documents.models import Document, DocumentState
from mesoclinic.files import storage

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=120)  # longer than the task's own hard limit
MOST_ATTEMPTS = 3
SHORT_QUEUE = 6
DUE_AT_ONCE = 20  # what one tick hands to the workers: a person who asks meanwhile waits for no more than these


def _waiting() -> Q:
    lapsed = Q(state=DocumentState.RENDERING, leased_until__lte=timezone.now())
    return Q(state=DocumentState.QUEUED) | lapsed


@transaction.atomic
def request_document(
    *,
    kind: str,
    subject_id: UUID,
    person_id: UUID | None,
    title: str,
    language: str,
    context: Mapping[str, Any],
    by: User | None,
    ahead: bool = False,
) -> Document:
    """One PDF of ``kind`` with exactly this content; made by a worker after the commit, or there already.

    ``context`` is data only (JSON; dates and decimals become strings), so that the same PDF can be made again, years
    later, without the rows it came from. A document that failed before is tried again. ``ahead``: nobody waits for it
    yet, so where several wait already it is left to the tick, and what a person asks for goes first.
    """
    if kind not in settings.DOCUMENT_KINDS:
        raise ValueError(f"{kind} is not in settings.DOCUMENT_KINDS.")
    document = _row(
        kind=kind, subject_id=subject_id, person_id=person_id, title=title, language=language, context=context
    )
    if document.outdated_at is not None:  # what it shows is so again
        document.outdated_at = None
        document.save(update_fields=["outdated_at"])
    if document.state in DocumentState.GIVEN_UP:
        _queue_again(document)
    if document.state == DocumentState.QUEUED and not (ahead and _several_wait()):
        _send_to_worker(document)
    trail.record(
        "document.requested", by=by, target=document, patient=document.person_id, details={"kind": document.kind}
    )
    return document


def _several_wait() -> bool:
    return Document.objects.filter(state=DocumentState.QUEUED)[:SHORT_QUEUE].count() >= SHORT_QUEUE


def _row(
    *, kind: str, subject_id: UUID, person_id: UUID | None, title: str, language: str, context: Mapping[str, Any]
) -> Document:
    """The one row of this content; made where there is none."""
    data = json.loads(json.dumps(context, cls=DjangoJSONEncoder))
    fingerprint = input_hash(kind=kind, title=title, language=language, context=data)
    found = Document.objects.filter(input_hash=fingerprint).first()
    if found is not None:
        return found
    document = Document(
        kind=kind,
        subject_id=subject_id,
        person_id=person_id,
        title=title[:200],
        language=language,
        context=data,
        input_hash=fingerprint,
        parts=len(data.get("parts", ())) or 1,
    )
    try:
        with transaction.atomic():
            document.save(force_insert=True)
    except IntegrityError:  # the same request at the same instant: theirs is the one
        return Document.objects.get(input_hash=fingerprint)
    return document


@transaction.atomic
def mark_outdated(*, documents: QuerySet[Document], because: Sequence[str], by: User | None) -> int:
    """Flag what was made before something that it shows has changed: fields named in ``because``. Return how many.

    The file stays as it is. Asked for again, the document is made anew with what is so now.
    """
    shown = documents.filter(outdated_at__isnull=True).exclude(state=DocumentState.CANCELLED)
    count = shown.update(outdated_at=timezone.now())
    if count:
        trail.record("documents.outdated", by=by, details={"because": list(because), "count": count})
    return count


@transaction.atomic
def retry_document(*, document: Document, by: User) -> Document:
    """Try a failed document again."""
    if not _queue_again(document):
        raise InvalidTransition(_("Only a document that failed or was cancelled can be tried again."))
    _send_to_worker(document)
    trail.record("document.retried", by=by, target=document, patient=document.person_id)
    return document


@transaction.atomic
def cancel_document(*, document: Document, by: User) -> Document:
    """Stop a pack that is not ready yet. The worker that is at it finds its lease gone and lets go."""
    going = Document.objects.filter(pk=document.pk, state__in=DocumentState.BEING_MADE)
    if not going.update(state=DocumentState.CANCELLED, lease=None, leased_until=None):
        raise InvalidTransition(_("It is finished by now; there is nothing to cancel."))
    document.refresh_from_db()
    trail.record("document.cancelled", by=by, target=document, patient=document.person_id)
    return document


@transaction.atomic
def renew_lost_file(*, document: Document, by: User) -> Document:
    """The file is gone or damaged: make the same bytes again from the input that was kept."""
    ready = Document.objects.filter(pk=document.pk, state=DocumentState.READY)
    if ready.update(state=DocumentState.QUEUED, ready_at=None, attempts=0):
        document.refresh_from_db()
        _send_to_worker(document)
        trail.record("document.file_lost", by=by, target=document, patient=document.person_id)
    return document


def _queue_again(document: Document) -> bool:
    stopped = Document.objects.filter(pk=document.pk, state__in=DocumentState.GIVEN_UP)
    done = stopped.update(state=DocumentState.QUEUED, attempts=0, parts_done=0, last_error="")
    document.refresh_from_db()
    return bool(done)


def _send_to_worker(document: Document) -> None:
    from mesoclinic.documents import tasks

    # robust: the row is committed, so a broker that is down costs one tick and must not fail the page.
    transaction.on_commit(lambda: tasks.send(document.pk, pack=document.parts > 1), robust=True)


def input_hash(*, kind: str, title: str, language: str, context: Mapping[str, Any]) -> str:
    content = {
        "kind": kind,
        "title": title,
        "language": language,
        "context": context,
        "templates": template_version(),
        "engine": engine_version(),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def template_version() -> str:
    """A hash over everything printed pages are made with: templates, components, drawings, the style sheet, fonts."""
    base = Path(settings.BASE_DIR)
    folders = [
        base / "templates" / "documents",
        base / "templates" / "components",
        base / "mesoclinic" / "ui",
        base / "mesoclinic" / "documents" / "rendering.py",
        base / "mesoclinic" / "documents" / "binding.py",
        base / "mesoclinic" / "documents" / "templatetags",
        base / "static" / "css" / "print.css",
    ]
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted([folder] if folder.is_file() else folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(base)).encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(" ".join(path.name for path in rendering.font_files()).encode())
    return digest.hexdigest()


@cache
def engine_version() -> str:
    return installed_version("weasyprint")


def render_document(document_id: int) -> DocumentState | None:
    """Make one document, if nobody else is at it. None: there was nothing to do."""
    lease = uuid.uuid4()
    now = timezone.now()
    claimed = Document.objects.filter(_waiting(), pk=document_id, attempts__lt=MOST_ATTEMPTS).update(
        state=DocumentState.RENDERING, lease=lease, leased_until=now + LEASE, attempts=F("attempts") + 1
    )
    if not claimed:
        return None
    document = Document.objects.get(pk=document_id)
    try:
        pdf = rendering.render(document, tell=lambda done: _report(document, lease, done), make=_made_part)
        name, content_hash = storage.keep_file(pdf.data)
    except LeaseLost:
        return None
    except SoftTimeLimitExceeded:
        return _fail(document, lease, reason=_("It took too long to make."), final=True)
    except (rendering.CannotRender, MissingVariable) as error:
        return _fail(document, lease, reason=str(error), final=True)
    except Exception as error:
        # The outer edge of the task: whatever went wrong, a person must see it on the document.
        log.exception("document %s could not be made", document.public_id)
        final = document.attempts >= MOST_ATTEMPTS
        return _fail(document, lease, reason=f"{type(error).__name__}: {error}", final=final)
    done = _held(document, lease).update(
        state=DocumentState.READY,
        file=name,
        content_hash=content_hash,
        size_bytes=len(pdf.data),
        pages=pdf.pages,
        ready_at=timezone.now(),
        lease=None,
        leased_until=None,
        last_error="",
    )
    return DocumentState.READY if done else None


def _made_part(part: dict[str, Any]) -> rendering.Pdf:
    """One part of a pack: a document of its own, so that it is made once, whoever asks for it next."""
    if "subject_id" not in part:  # a pack from before its parts were kept
        return rendering.render_part(part)
    named = {key: part[key] for key in ("kind", "subject_id", "person_id", "title", "language", "context")}
    document = _row(**named)
    if document.state in DocumentState.GIVEN_UP:
        _queue_again(document)
    if document.state != DocumentState.READY:
        render_document(document.pk)
        document.refresh_from_db()
    if document.state == DocumentState.FAILED:
        raise rendering.CannotRender(f"{part.get('mark') or document.title}: {document.last_error}")
    if document.state == DocumentState.READY:
        with suppress(storage.FileLost):
            return rendering.Pdf(data=storage.read_file(document), pages=document.pages or 0)
    return rendering.render(document)  # another worker is at it, or its file is lost


class LeaseLost(Exception):
    """Somebody cancelled the document, or another worker has it."""


def _report(document: Document, lease: UUID, done: int) -> None:
    """One more part of a pack is laid out: shown on its page, and the lease starts anew."""
    if not _held(document, lease).update(parts_done=done, leased_until=timezone.now() + LEASE):
        raise LeaseLost


def _fail(document: Document, lease: UUID, *, reason: str, final: bool) -> DocumentState:
    state = DocumentState.FAILED if final else DocumentState.QUEUED
    _held(document, lease).update(state=state, lease=None, leased_until=None, last_error=reason[:500])
    return state


def _held(document: Document, lease: UUID):  # type: ignore[no-untyped-def]
    return Document.objects.filter(pk=document.pk, state=DocumentState.RENDERING, lease=lease)


def due_documents(*, limit: int = DUE_AT_ONCE) -> list[int]:
    """What no worker is at: never begun, given back, or left by a worker that died. Those tried too often fail."""
    Document.objects.filter(_waiting(), attempts__gte=MOST_ATTEMPTS).update(
        state=DocumentState.FAILED,
        lease=None,
        leased_until=None,
        last_error=_("The worker stopped each time while this document was being made."),
    )
    return list(Document.objects.filter(_waiting()).order_by("pk").values_list("pk", flat=True)[:limit])


def packs_among(*, document_ids: list[int]) -> frozenset[int]:
    """Those that hold many prints: they get a longer time limit."""
    return frozenset(Document.objects.filter(pk__in=document_ids, parts__gt=1).values_list("pk", flat=True))
