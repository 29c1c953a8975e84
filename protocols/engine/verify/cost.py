"""Cost: the price of a course, session by session, and how it is made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from protocols.engine.verify.context import Context, cents, fraction, planned_lines


def price_of(context: Context, course: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[list[Fraction], Fraction]:
    """What each session of a course costs, given its lines, and the course as a whole."""
    model, price = context.course["cost_model"], fraction(context.policy.price_per_unit)

    def factor(name: str, key: str) -> Fraction:
        return next(fraction(entry["multiplier"]) for entry in model[name] if entry["key"] == key)

    bands = [entry for entry in model["injection_band"] if context.points <= entry["points_up_to"]]
    band = fraction((bands or model["injection_band"][-1:])[0]["multiplier"])
    work = fraction(model["base_session_units"]) * factor("region", context.policy.region)
    work *= factor("provider", context.policy.provider) * band
    sessions = []
    for lines in course:
        units = sum(
            (
                fraction(line["volume_ml"]) * fraction(context.things[line["ingredient"]]["relative_cost_per_ml"])
                for line in lines
            ),
            Fraction(0),
        )
        sessions.append((work + fraction(model["ingredient_unit_value"]) * units) * price)
    package = [fraction(e["multiplier"]) for e in model["package"] if e["sessions"] == len(sessions)]
    return sessions, sum(sessions, Fraction(0)) * (package[0] if package else 1)


def check_cost(context: Context) -> None:
    said = context.answer["cost"]
    sessions, total = price_of(context, planned_lines(context))
    margin = context.course["cost_model"]["estimate_range_percent"]
    context.same("cost.currency", said["currency"], context.policy.currency)
    check_cost_lines(context, said, total)
    context.number("cost.per_session", said["per_session"], cents(sessions[0]))
    context.same("cost.sessions", [fraction(each) for each in said["sessions"]], [cents(each) for each in sessions])
    context.number("cost.total", said["total"], cents(total))
    context.number("cost.low", said["low"], cents(total * (100 + fraction(margin["low"])) / 100))
    context.number("cost.high", said["high"], cents(total * (100 + fraction(margin["high"])) / 100))


def check_cost_lines(context: Context, said: Mapping[str, Any], total: Fraction) -> None:
    """How the price is made up: the base, then with each factor, then the ingredients of each session."""
    model, price = context.course["cost_model"], fraction(context.policy.price_per_unit)
    amount = fraction(model["base_session_units"]) * price
    expected = [("base", cents(amount))]
    for item, key in (("region", context.policy.region), ("provider", context.policy.provider)):
        amount *= next(fraction(entry["multiplier"]) for entry in model[item] if entry["key"] == key)
        expected.append((item, cents(amount)))
    bands = [entry for entry in model["injection_band"] if context.points <= entry["points_up_to"]]
    amount *= fraction((bands or model["injection_band"][-1:])[0]["multiplier"])
    expected.append(("injections", cents(amount)))
    for lines in planned_lines(context):
        units = [
            fraction(line["volume_ml"]) * fraction(context.things[line["ingredient"]]["relative_cost_per_ml"])
            for line in lines
        ]
        spent = sum(units, Fraction(0)) * fraction(model["ingredient_unit_value"]) * price
        expected.append(("ingredients", cents(spent)))
    expected.append(("package", cents(total)))
    context.same("cost.lines", [(row["item"], fraction(row["amount"])) for row in said["lines"]], expected)
