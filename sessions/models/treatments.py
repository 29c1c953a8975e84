"""What was done: one treatment session per visit, with each ingredient that was injected."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.models import User
from protocols.models import Ingredient, Plan
from sessions.models.stock import Lot
from sessions.models.visits import Appointment


class TreatmentSessionStatus(models.TextChoices):
    PERFORMED = "performed", _("Performed")
    ENTERED_IN_ERROR = "entered_in_error", _("Entered in error")


class TreatmentSession(models.Model):
    """What was done at one appointment (FHIR Procedure). Signed when it is recorded."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    appointment = models.OneToOneField(Appointment, on_delete=models.PROTECT, related_name="treatment_session")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="treatment_sessions")
    status = models.CharField(
        max_length=16, choices=TreatmentSessionStatus.choices, default=TreatmentSessionStatus.PERFORMED
    )
    nothing_changed = models.BooleanField()  # "anything changed?" was asked aloud and answered no
    tolerance = models.PositiveSmallIntegerField(null=True, blank=True)  # 1 very well to 5 badly
    note = models.TextField(blank=True)
    performed_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=timezone.now)  # signed; later than performed_at where it was late
    performed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-performed_at"]

    def __str__(self) -> str:
        return f"{self.appointment}, performed"


class Administration(models.Model):
    """One ingredient as it was injected (FHIR MedicationAdministration)."""

    session = models.ForeignKey(TreatmentSession, on_delete=models.PROTECT, related_name="administrations")
    ingredient = models.ForeignKey(Ingredient, on_delete=models.PROTECT, related_name="+")
    syringe = models.CharField(max_length=4)  # label of the mixture: A, B, C
    planned_volume_ml = models.DecimalField(max_digits=5, decimal_places=2)
    volume_ml = models.DecimalField(max_digits=5, decimal_places=2)
    dose = models.DecimalField(max_digits=14, decimal_places=6)
    dose_unit = models.CharField(max_length=20)
    lot = models.ForeignKey(Lot, null=True, blank=True, on_delete=models.PROTECT, related_name="administrations")
    deviation_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["syringe", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(volume_ml__gte=0), name="injected_volume_not_negative"),
            models.UniqueConstraint(fields=["session", "syringe", "ingredient"], name="ingredient_once_per_syringe"),
        ]

    def __str__(self) -> str:
        return f"{self.ingredient} {self.volume_ml} mL"
