"""Volumes: the area, the target and the points, and how much of an ingredient can be drawn."""

from __future__ import annotations

from fractions import Fraction

from protocols.engine.verify.context import Context, fraction


def area_of(context: Context) -> Fraction:
    """The area to treat, in cm²: as measured, else that of the vocabulary."""
    zones = {zone["key"]: zone for zone in context.documents["vocabulary"]["zones"]["zones"]}
    area = Fraction(0)
    for zone in context.case.zones:
        area += fraction(zone.area_cm2) if zone.measured else fraction(zones[zone.zone]["area_cm2"])
    return area


def target_of(context: Context) -> Fraction:
    """The volume for the area, in mL, within the limits of a session."""
    target = context.needle["target_volume"]
    wanted = fraction(target["per_cm2"]) * context.area
    wanted = sorted((fraction(target["min"]), wanted, fraction(target["max"])))[1]
    return min(wanted, fraction(context.needle["max_total_volume_per_session"]["value"]))


def points_of(context: Context) -> Fraction:
    """How many points the area takes, halves rounded up."""
    points = Fraction(0)
    for band in context.needle["spacing_rule"]:
        low, high = fraction(band["area_cm2_from"]), fraction(band["area_cm2_up_to"])
        points += max(Fraction(0), min(context.area, high) - low) / fraction(band["area_per_point_cm2"])
    return Fraction((points * 2 + 1) // 2)


def check_area(context: Context) -> None:
    context.number("area_cm2", context.answer["area_cm2"], context.area)
    said = [(row["zone"], fraction(row["area_cm2"])) for row in context.answer["zones"]]
    context.same("zones", said, [(zone.zone, fraction(zone.area_cm2)) for zone in context.case.zones])
    context.number("target_volume_ml", context.answer["target_volume_ml"], context.target)


def bounds_of(context: Context, key: str) -> tuple[Fraction, Fraction]:
    """The least and the most of an ingredient in a session, in mL, before rounding to what can be drawn."""
    session = context.things[key]["per_session"]
    strength = fraction(context.things[key]["stock"]["concentration"])
    most = min(fraction(session["volume"]["max"]), fraction(session["max_dose"]["value"]) / strength)
    if context.stock is not None:
        most = min(most, fraction(context.stock.get(key, 0)))
    return fraction(session["volume"]["min"]), most


def range_of(context: Context, key: str) -> dict[str, Fraction]:
    """What an ingredient can be drawn at."""
    return {
        "volume_min_ml": least_of(context, key),
        "volume_usual_ml": usual_of(context, key),
        "volume_max_ml": bounds_of(context, key)[1] // context.step * context.step,
    }


def usual_of(context: Context, key: str) -> Fraction:
    """The usual volume of an ingredient, in whole steps, inside its own limits and what is in stock."""
    volume = context.things[key]["per_session"]["volume"]
    usual = (fraction(volume["usual"]) / context.step * 2 + 1) // 2 * context.step  # halves rounded up
    return min(max(least_of(context, key), usual), bounds_of(context, key)[1] // context.step * context.step)


def least_of(context: Context, key: str) -> Fraction:
    return -(-fraction(context.things[key]["per_session"]["volume"]["min"]) // context.step) * context.step
