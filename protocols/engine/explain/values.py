"""Values: what sets of ingredients are worth, remembered; and words and roundings that several rows share."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from protocols.engine.result import Composition, Result

SIGNIFICANT_DIGITS = 4
SMALL_SYRINGE: Final = "small_syringe"


class Values:
    """Values of sets, remembered."""

    def __init__(self, result: Result) -> None:
        self.problem = result.setting.problem
        self.benefits: dict[int, int] = {}

    def benefit(self, mask: int) -> int:
        found = self.benefits.get(mask)
        if found is None:
            found = self.benefits[mask] = self.problem.benefit(mask)
        return found

    def value(self, mask: int) -> int:
        return self.benefit(mask) - self.problem.penalty(mask)

    def without_syringes(self, mask: int) -> int:
        return self.benefit(mask) - self.problem.charges(mask)


def used_diluents(composition: Composition | None) -> int:
    mask = 0
    if composition is not None:
        for number in range(1, len(composition.plan.offsets) + 1):
            for mixture in composition.of_session(number):
                if mixture.diluent_steps:
                    mask |= 1 << mixture.diluent
    return mask


def significant(number: Decimal) -> Decimal:
    """Rounded to what is worth printing of a concentration."""
    if not number:
        return Decimal(0)
    return number.quantize(Decimal(1).scaleb(number.adjusted() - SIGNIFICANT_DIGITS + 1), ROUND_HALF_UP)
