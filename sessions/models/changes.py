"""What was done to booked visits, as they were before, so that it can be taken back; and sessions left out on purpose.

Foreign keys name their models as text, so that this module stands on its own beside ``models.py``.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

_STAFF = "accounts.User"
_APP = "treatment_sessions"


class ChangeKind(models.TextChoices):
    CANCELLED = "cancelled", _("Cancelled")
    MOVED = "moved", _("Moved")


class VisitChange(models.Model):
    """One press that cancelled or moved visits. ``by`` is empty where the patient cancelled through their link."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=9, choices=ChangeKind.choices)
    at = models.DateTimeField()
    by = models.ForeignKey(_STAFF, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    answer = models.ForeignKey(  # the wish for another time that it fulfilled
        f"{_APP}.Answer", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(_STAFF, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(undone_at__isnull=True, undone_by__isnull=True)
                | Q(undone_at__isnull=False, undone_by__isnull=False),
                name="visit_change_undone_by_somebody",
                violation_error_message=_("What was undone says when and by whom."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.at:%Y-%m-%d %H:%M}"


class VisitBefore(models.Model):
    """One visit as it was before a change. ``sequence`` is the one that the change left it with."""

    change = models.ForeignKey(VisitChange, on_delete=models.CASCADE, related_name="visits")
    appointment = models.ForeignKey(f"{_APP}.Appointment", on_delete=models.PROTECT, related_name="changes")
    sequence = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=10)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    practitioner = models.ForeignKey(_STAFF, on_delete=models.PROTECT, related_name="+")
    room = models.ForeignKey(f"{_APP}.Room", on_delete=models.PROTECT, related_name="+")
    prepare_minutes = models.PositiveSmallIntegerField()
    cleanup_minutes = models.PositiveSmallIntegerField()
    window_reason = models.CharField(max_length=300, blank=True)
    overbooked = models.BooleanField(default=False)
    overbook_reason = models.CharField(max_length=20, blank=True)
    overbook_note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["starts_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["change", "appointment"], name="visit_once_in_a_change"),
        ]

    def __str__(self) -> str:
        return f"{self.appointment}, as it was"


class SessionLeftOut(models.Model):
    """A session of a course that is deliberately not held, and why."""

    course = models.ForeignKey(f"{_APP}.Course", on_delete=models.PROTECT, related_name="left_out")
    number = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=300)
    at = models.DateTimeField()
    by = models.ForeignKey(_STAFF, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["course", "number"]
        constraints = [models.UniqueConstraint(fields=["course", "number"], name="session_left_out_once")]

    def __str__(self) -> str:
        return f"{self.course}, session {self.number} left out"
