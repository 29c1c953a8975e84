"""Measured values: read in any unit in use, stored in one, and asked back where the unit is in doubt.

The units, their ranges and their conversions are data (``patients/vocabulary/facts.yaml``). A number that lies outside
what a body can have in its unit and inside another unit's range is never taken: HbA1c 11 is 11 %, not 11 mmol/mol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from mesoclinic.core.numbers import plain_number, shown_number
from patients.vocabulary import Fact, Unit

FIELDS = frozenset({"value", "unit"})
MOST_DECIMALS = 4
_UNITS = {
    "mL/min/1.73m2": "mL/min/1.73 m²",
    "10^9/L": "10⁹/L",
    "/microL": "/µL",
    "microgram/L": "µg/L",
    "x upper limit": gettext_noop("× upper limit"),
    "years": gettext_noop("years"),
    "months": gettext_noop("months"),
    "days": gettext_noop("days"),
    "ratio": "",
    "grade": "",
}


def unit_label(unit: str) -> str:
    """Return the unit as people write it. A symbol is the same in every language; “days” is a word."""
    return _(_UNITS.get(unit, unit))


def must_choose(fact: Fact) -> bool:
    """Whether a number alone does not tell its unit: two units give different values and share a range."""
    return any(
        (a.factor, a.offset) != (b.factor, b.offset) and a.least <= b.most and b.least <= a.most
        for place, a in enumerate(fact.units)
        for b in fact.units[:place]
    )


def checked_measure(fact: Fact, value: Any) -> Any:
    """Return a number as it is stored: in the fact's own unit, a whole one as int, else in its one spelling.

    ``value`` is a number, or {"value": number, "unit": unit}. Raise ValueError with a sentence for what cannot be one,
    and for what looks like a value in another unit.
    """
    if fact.minimum is None or fact.maximum is None:
        raise ValueError(_("This question cannot be answered."))
    number, unit = _number_and_unit(fact, value)
    if unit is None:
        least, most = fact.minimum, fact.maximum
    else:
        least, most = unit.least, unit.most
        if not unit.holds(number) and (other := _looks_like(fact, number, unit)):
            raise ValueError(_asked_back(fact, number, unit, other))
    if not least <= number <= most:
        name = unit_label(unit.key if unit else fact.unit)
        words = {"least": plain_number(least), "most": plain_number(most), "unit": name}
        raise ValueError((_("It must be between %(least)s and %(most)s %(unit)s.") % words).replace(" .", "."))
    if -number.as_tuple().exponent > MOST_DECIMALS:  # type: ignore[operator]
        raise ValueError(_("Write at most four decimal places."))
    stored = number if unit is None else _stored(fact, number, unit)  # in reach by now
    if fact.type == "integer":
        if stored % 1:
            raise ValueError(_("Write a whole number."))
        return int(stored)
    return plain_number(stored)


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A unit as a form offers it, with what a page needs to show the conversion while a number is typed."""

    key: str
    label: str
    chosen: bool
    factor: str = "1"
    offset: str = "0"


def offered(fact: Fact, chosen: str = "") -> tuple[Offered, ...]:
    """Return the units that a form offers for a value; with an empty one first where somebody has to choose."""
    if len(fact.units) < 2:
        return ()
    known = chosen in {unit.key for unit in fact.units}
    choosing = must_choose(fact)
    units = tuple(
        Offered(
            key=unit.key,
            label=unit_label(unit.key),
            chosen=unit.key == chosen if known else not choosing and unit is fact.units[0],
            factor=str(unit.factor),
            offset=str(unit.offset),
        )
        for unit in fact.units
    )
    return (Offered(key="", label=_("unit …"), chosen=not known), *units) if choosing else units


def _number_and_unit(fact: Fact, value: Any) -> tuple[Decimal, Unit | None]:
    """The number and the unit it is meant in; None for what has none."""
    own = fact.units[0] if fact.units else None
    if not isinstance(value, Mapping):
        return read_number(value), own
    if not fact.units or not set(value) <= FIELDS or "value" not in value:
        raise ValueError(_("Write a number."))
    number, named = read_number(value["value"]), value.get("unit")
    if not isinstance(named, str | None):
        raise ValueError(_("Choose the unit: %(units)s.") % {"units": _listed(fact)})
    if not named and named is not None and must_choose(fact):
        raise ValueError(_("Choose the unit: %(units)s.") % {"units": _listed(fact)})
    if not named:
        return number, own
    unit = next((unit for unit in fact.units if named in (unit.key, unit_label(unit.key))), None)
    if unit is None and not unit_label(fact.units[0].key):
        raise ValueError(_("This value has no unit."))
    if unit is None:
        raise ValueError(
            _("“%(unit)s” is not a unit of this value. It is given in %(units)s.")
            % {"unit": str(named)[:40], "units": _listed(fact)}
        )
    return number, unit


def read_number(value: Any) -> Decimal:
    """Return a finite number; ValueError with a sentence for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError(_("Write a number."))
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(_("Write a number.")) from None
    if not number.is_finite():
        raise ValueError(_("Write a number."))
    return number


def _listed(fact: Fact) -> str:
    return ", ".join(unit_label(unit.key) for unit in fact.units)


def _looks_like(fact: Fact, number: Decimal, unit: Unit) -> Unit | None:
    """The unit in which the number is one that a body can have; None where there is none."""
    same = (unit.factor, unit.offset)
    return next((u for u in fact.units if (u.factor, u.offset) != same and u.holds(number)), None)


def _stored(fact: Fact, number: Decimal, unit: Unit) -> Decimal:
    if (unit.factor, unit.offset) == (Decimal(1), Decimal(0)):
        return number
    step = Decimal(1).scaleb(-fact.decimals)
    return (number * unit.factor + unit.offset).quantize(step, rounding=ROUND_HALF_UP)


def _asked_back(fact: Fact, number: Decimal, unit: Unit, other: Unit) -> str:
    typed, meant = shown_number(plain_number(number)), unit_label(other.key)
    return _("%(typed)s looks like %(meant)s: %(name)s %(typed)s %(meant)s is %(own)s. Which is it?") % {
        "typed": typed,
        "meant": meant,
        "name": fact.label,
        "own": in_unit(fact, _stored(fact, number, other), unit),
    }


def in_unit(fact: Fact, stored: Decimal, unit: Unit) -> str:
    """Return a stored value in one of the fact's units, with the unit."""
    number = stored
    if (unit.factor, unit.offset) != (Decimal(1), Decimal(0)):
        number = ((stored - unit.offset) / unit.factor).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)
    return " ".join(part for part in (shown_number(plain_number(number)), unit_label(unit.key)) if part)


def conversions(fact: Fact, value: Any) -> Iterator[str]:
    """Yield a stored value in the other units in use, where the figure differs by more than its decimal point."""
    for unit in fact.units[1:]:
        if unit.offset or unit.factor.normalize().as_tuple().digits != (1,):
            yield in_unit(fact, Decimal(value), unit)


def measure_in_words(fact: Fact, value: Any) -> str:
    """Return a number with its unit, and what it is in the other units in use: “97 mmol/mol (11 %)”."""
    words = " ".join(part for part in (shown_number(str(value)), unit_label(fact.unit)) if part)
    others = ", ".join(conversions(fact, value))
    return f"{words} ({others})" if others else words
