"""Cost: an estimate with a range, in the clinic's currency once it has set one, else in cost units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from protocols.engine.inputs.formulary import Formulary
from protocols.engine.inputs.policy import Policy

CENT = Decimal("0.01")
HUNDRED = Decimal(100)


@dataclass(frozen=True, kw_only=True)
class CostLine:
    item: str
    key: str
    amount: Decimal
    multiplier: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    currency: str | None
    per_session: tuple[Decimal, ...]
    total: Decimal
    low: Decimal
    high: Decimal
    lines: tuple[CostLine, ...]


def estimate(points: int, ingredient_units: Sequence[Decimal], policy: Policy, formulary: Formulary) -> Estimate:
    """`ingredient_units`: for each session, the sum of volume in mL times relative cost per mL. (course, cost_model)"""
    rules, price = formulary.cost, policy.price_per_unit
    region, provider = rules.regions[policy.region], rules.providers[policy.provider]
    band = next((m for most, m in rules.injection_bands if points <= most), rules.injection_bands[-1][1])
    band_key = next(
        (str(most) for most, _ in rules.injection_bands if points <= most), str(rules.injection_bands[-1][0])
    )
    package = rules.packages.get(len(ingredient_units), Decimal(1))
    work = rules.base * region * provider * band * price
    sessions = [work + rules.ingredient_unit * units * price for units in ingredient_units]
    total = sum(sessions, Decimal(0)) * package
    lines = (
        CostLine(item="base", key="", amount=_money(rules.base * price)),
        CostLine(item="region", key=policy.region, amount=_money(rules.base * region * price), multiplier=region),
        CostLine(
            item="provider",
            key=policy.provider,
            amount=_money(rules.base * region * provider * price),
            multiplier=provider,
        ),
        CostLine(item="injections", key=band_key, amount=_money(work), multiplier=band),
        *(
            CostLine(item="ingredients", key=str(number), amount=_money(rules.ingredient_unit * units * price))
            for number, units in enumerate(ingredient_units, start=1)
        ),
        CostLine(item="package", key=str(len(ingredient_units)), amount=_money(total), multiplier=package),
    )
    return Estimate(
        currency=policy.currency,
        per_session=tuple(_money(session) for session in sessions),
        total=_money(total),
        low=_money(total * (HUNDRED + rules.low_percent) / HUNDRED),
        high=_money(total * (HUNDRED + rules.high_percent) / HUNDRED),
        lines=lines,
    )


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)
