"""What the signed plan says is to be injected at one session, line by line, as exact decimals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from protocols.models import Plan, Product
from protocols.plans.zones import zone_shares

DOSE_STEP = Decimal("0.000001")
STRENGTH_STEP = Decimal("0.0001")


@dataclass(frozen=True, kw_only=True)
class PlannedLine:
    syringe: str
    ingredient: str  # key
    name: str
    role: str
    volume_ml: Decimal
    dose: Decimal
    dose_unit: str

    @property
    def key(self) -> str:
        """Names the line in forms: an ingredient stands at most once in a syringe."""
        return f"{self.syringe}-{self.ingredient}"

    @property
    def strength_per_ml(self) -> Decimal | None:
        """The concentration that the plan was signed for; None for a diluent, which carries no dose."""
        return self.dose / self.volume_ml if self.dose and self.volume_ml else None

    def is_served_by(self, product: Product) -> bool:
        """Whether the product has the strength that the plan was signed for."""
        strength = self.strength_per_ml
        if strength is None:
            return True
        same_unit = product.concentration_unit == f"{self.dose_unit}/mL"
        return same_unit and product.concentration == strength.quantize(STRENGTH_STEP)

    def dose_in(self, volume_ml: Decimal) -> Decimal:
        if not self.volume_ml:
            return Decimal(0)
        return (self.dose * volume_ml / self.volume_ml).quantize(DOSE_STEP)


@dataclass(frozen=True, kw_only=True)
class PlannedSyringe:
    label: str
    volume_ml: Decimal
    lines: tuple[PlannedLine, ...]


def planned_syringes(plan: Plan, number: int) -> list[PlannedSyringe]:
    """The mixtures of session ``number``: the plan's own, or those of the session where sessions differ."""
    syringes = plan.result.get("syringes") or []
    for session in plan.result.get("sessions") or []:
        if session.get("number") == number and session.get("syringes") is not None:
            syringes = session["syringes"]
    return [
        PlannedSyringe(
            label=syringe["label"],
            volume_ml=Decimal(str(syringe["volume_ml"])),
            lines=tuple(_line(syringe["label"], line) for line in syringe["lines"]),
        )
        for syringe in syringes
    ]


def planned_lines(plan: Plan, number: int) -> list[PlannedLine]:
    return [line for syringe in planned_syringes(plan, number) for line in syringe.lines]


def _line(label: str, line: Mapping[str, Any]) -> PlannedLine:
    return PlannedLine(
        syringe=label,
        ingredient=line["ingredient"],
        name=_(line.get("name") or line["ingredient"]),
        role=line.get("role") or "active",
        volume_ml=Decimal(str(line["volume_ml"])),
        dose=Decimal(str(line.get("dose") or 0)),
        dose_unit=line.get("dose_unit") or "",
    )


def planned_zones(plan: Plan, number: int) -> list[dict[str, Any]]:
    """Return the zones with their share of points and volume in session ``number``; what the map shows."""
    return zone_shares(
        plan.result.get("zones") or [],
        points=int(plan.result["course"].get("points") or 0),
        volumes_ml=[syringe.volume_ml for syringe in planned_syringes(plan, number)],
    )
