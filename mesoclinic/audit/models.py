"""The append-only trail. Events hold labels and ids, no foreign keys, so that they outlive what they tell of."""

from __future__ import annotations

import uuid

from django.db import models


class AuditEvent(models.Model):
    """Something a person (or the system) did or looked at. The rows chain by SHA-256 in order of ``id``."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    at = models.DateTimeField()
    action = models.CharField(max_length=60)  # past tense: "plan.signed", "patient.viewed"
    actor_id = models.UUIDField(null=True)  # None: the system
    actor_label = models.CharField(max_length=200)
    target_type = models.CharField(max_length=60, blank=True)
    target_id = models.UUIDField(null=True)
    target_label = models.CharField(max_length=200, blank=True)
    patient_id = models.UUIDField(null=True, db_index=True)  # the patient whose record it was, by public id
    details = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["at"]), models.Index(fields=["target_id"]), models.Index(fields=["actor_id"])]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor_label} {self.action} {self.target_label}"
