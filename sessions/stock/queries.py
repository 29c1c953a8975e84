"""Which lots a session can take from."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from mesoclinic.accounts.models import Site
from protocols.models import Plan
from sessions.course.planned import planned_lines
from sessions.models import Lot, TreatmentSessionStatus


def usable_lots(plan: Plan, number: int, *, site: Site, today: date) -> list[Lot]:
    """The lots from which this session may be drawn: the signed strength, not recalled; soonest to expire first."""
    lines = {line.ingredient: line for line in planned_lines(plan, number)}
    lots = (
        Lot.objects.filter(
            site=site, product__ingredient__key__in=lines, expires_on__gte=today, recalled_at__isnull=True
        )
        .select_related("product__ingredient")
        .annotate(
            used=Coalesce(
                Sum(
                    "administrations__volume_ml",
                    filter=~Q(administrations__session__status=TreatmentSessionStatus.ENTERED_IN_ERROR),
                ),
                Decimal(0),
            )
        )
        .order_by("expires_on", "number")
    )
    return [
        lot
        for lot in lots
        if lot.used < lot.received_ml and lines[lot.product.ingredient.key].is_served_by(lot.product)
    ]
