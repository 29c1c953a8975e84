"""The formulary with its versions: what may be injected, and in which presentation."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.models import User
from protocols.models.enums import FormularyStatus


class FormularyVersion(models.Model):
    """One complete formulary: ingredients, rules, pairs, course, sources and the vocabulary they were written for.

    ``documents`` is what the engine reads (decimals as strings). A published version never changes; one is in force.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    label = models.CharField(max_length=20, unique=True)  # "2026.1"
    status = models.CharField(max_length=10, choices=FormularyStatus.choices, default=FormularyStatus.DRAFT)
    documents = models.JSONField()
    sha256 = models.CharField(max_length=64)
    is_sample = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)
    published_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["status"],
                condition=Q(status="published"),
                name="one_published_formulary",
                violation_error_message=_("Another version is in force."),
            ),
            models.CheckConstraint(
                condition=Q(status="draft", published_at__isnull=True, published_by__isnull=True)
                | Q(~Q(status="draft"), published_at__isnull=False, published_by__isnull=False),
                name="formulary_published_by_and_at",
                violation_error_message=_("A published formulary says who published it and when."),
            ),
        ]

    def __str__(self) -> str:
        return self.label


class Ingredient(models.Model):
    """A substance, the same across formulary versions. What a version says of it is its FormularyEntry."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    key = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class FormularyEntry(models.Model):
    """An ingredient in one formulary version: switched on or off by the director, confirmed singly where flagged."""

    version = models.ForeignKey(FormularyVersion, on_delete=models.CASCADE, related_name="entries")
    ingredient = models.ForeignKey(Ingredient, on_delete=models.PROTECT, related_name="entries")
    ingredient_class = models.CharField(max_length=40)
    role = models.CharField(max_length=10)  # active | carrier | diluent
    prescription_only = models.BooleanField()
    is_active = models.BooleanField()
    confirmation_required = models.BooleanField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["ingredient__name"]
        constraints = [
            models.UniqueConstraint(fields=["version", "ingredient"], name="entry_once_per_version"),
            models.CheckConstraint(
                condition=Q(confirmed_at__isnull=True, confirmed_by__isnull=True)
                | Q(confirmed_at__isnull=False, confirmed_by__isnull=False),
                name="entry_confirmed_by_and_at",
                violation_error_message=_("A confirmation says who gave it and when."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ingredient} in {self.version}"


class Product(models.Model):
    """A presentation that the clinic stocks: an ingredient at a concentration in a container from a supplier."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    ingredient = models.ForeignKey(Ingredient, on_delete=models.PROTECT, related_name="products")
    name = models.CharField(max_length=120)
    concentration = models.DecimalField(max_digits=12, decimal_places=4)
    concentration_unit = models.CharField(max_length=20)  # mg/mL
    container = models.CharField(max_length=40)
    container_volume_ml = models.DecimalField(max_digits=6, decimal_places=2)
    supplier = models.CharField(max_length=120)
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(concentration__gt=0, container_volume_ml__gt=0), name="product_positive")
        ]

    def __str__(self) -> str:
        return self.name
