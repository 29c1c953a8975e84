"""Rendered documents: asked for once, rendered by a worker, kept by the hash of what went in."""

from __future__ import annotations

import enum
import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class DocumentState(models.TextChoices):
    QUEUED = "queued", _("Waiting")
    RENDERING = "rendering", _("Being made")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")

    BEING_MADE = enum.nonmember((QUEUED[0], RENDERING[0]))
    GIVEN_UP = enum.nonmember((FAILED[0], CANCELLED[0]))  # made again when somebody asks once more


# Every legal change of a document's state.
TRANSITIONS: dict[DocumentState, frozenset[DocumentState]] = {
    DocumentState.QUEUED: frozenset({DocumentState.RENDERING, DocumentState.FAILED, DocumentState.CANCELLED}),
    DocumentState.RENDERING: frozenset(
        {
            DocumentState.RENDERING,  # another worker takes over when the lease has run out
            DocumentState.READY,
            DocumentState.QUEUED,
            DocumentState.FAILED,
            DocumentState.CANCELLED,  # between two parts; the worker then finds its lease gone
        }
    ),
    DocumentState.READY: frozenset(
        {DocumentState.QUEUED}
    ),  # its file was lost or damaged: the same bytes are made again
    DocumentState.FAILED: frozenset({DocumentState.QUEUED}),  # a person tried again
    DocumentState.CANCELLED: frozenset({DocumentState.QUEUED}),  # a person asked for it once more
}


class Document(models.Model):
    """One PDF. ``input_hash`` is the SHA-256 of all that its bytes follow from: the same input is rendered once."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=40)  # "plan_patient"
    subject_id = models.UUIDField(db_index=True)  # the plan it shows, by public id
    person_id = models.UUIDField(db_index=True, null=True, blank=True)  # none: a pack about several people
    title = models.CharField(max_length=200)
    language = models.CharField(max_length=5)
    context = models.JSONField()
    input_hash = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=12, choices=DocumentState.choices, default=DocumentState.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    file = models.FileField(upload_to="pdf/", blank=True)
    content_hash = models.CharField(max_length=64, blank=True)  # SHA-256 of the PDF's bytes
    size_bytes = models.PositiveIntegerField(null=True, blank=True)
    pages = models.PositiveSmallIntegerField(null=True, blank=True)
    parts = models.PositiveSmallIntegerField(default=1)  # how many prints a pack holds
    parts_done = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    outdated_at = models.DateTimeField(null=True, blank=True)  # since then something that it shows is no longer so
    ready_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "created_at"])]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="ready", ready_at__isnull=False) & ~Q(file="") & ~Q(content_hash="")
                | (~Q(state="ready") & Q(ready_at__isnull=True)),
                name="document_file_when_ready",
                violation_error_message=_("A document has a file exactly when it is ready."),
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_waiting(self) -> bool:
        return self.state in DocumentState.BEING_MADE
