"""What stands on the shelf: the lots of each ingredient at a site."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Value
from django.db.models.functions import Lower, Replace
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.models import Site
from protocols.models import Product


class Lot(models.Model):
    """A batch of a product, as received."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="lots")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="lots")
    number = models.CharField(max_length=60)
    expires_on = models.DateField()
    received_ml = models.DecimalField(max_digits=8, decimal_places=2)
    recalled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["expires_on", "number"]
        constraints = [
            models.UniqueConstraint(
                "product",
                "site",
                Lower(Replace("number", Value(" "), Value(""))),
                name="lot_once_per_site",
                violation_error_message=_("This lot is there already: case and blanks make no other number."),
            )
        ]

    def __str__(self) -> str:
        return self.number
