"""Alternatives: the value of the mixture and of each other one, with its doses and price; waiting among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from fractions import Fraction
from typing import Any

from protocols.engine.verify.context import (
    WITHOUT_ALTERNATIVE_DOSES,
    Context,
    cents,
    every_syringe,
    fraction,
    planned_lines,
)
from protocols.engine.verify.cost import price_of
from protocols.engine.verify.drawing import is_worth_drawing
from protocols.engine.verify.selection import broken_limits, can_be_had, worth_of
from protocols.engine.verify.volumes import bounds_of


def check_value(context: Context, own: Set[str]) -> None:
    answer = context.answer
    actives = [line for syringe in answer["syringes"] for line in syringe["lines"] if line["role"] != "diluent"]
    keys = [line["ingredient"] for line in actives]
    worth = worth_of(context, keys)
    context.number("value", answer["value"], worth)
    adds = {key: worth - worth_of(context, (other for other in keys if other != key)) for key in set(keys)}
    for line in (line for syringe in every_syringe(context) for line in syringe["lines"]):
        if line["ingredient"] in adds:
            key = line["ingredient"]
            context.number(f"{key}.marginal_value", line["marginal_value"], adds[key])
    for place, row in enumerate(answer["alternatives"]):
        if row.get("kind") == "waiting":
            continue  # held apart: it has no mixture
        other = worth_of(context, row["ingredients"])
        context.number(f"alternatives[{place}].value", row["value"], other)
        context.number(f"alternatives[{place}].value_difference", row["value_difference"], other - worth)
        for key in row["ingredients"]:
            context.holds(f"alternatives[{place}]", can_be_had(context, key), "screened_out", found=key)
        context.same(f"alternatives[{place}]", broken_limits(context, row["ingredients"]), set(), "breaks_a_limit")
        if not broken_limits(context, row["ingredients"]):
            context.holds(f"alternatives[{place}]", is_worth_drawing(context, row["ingredients"]), "syringe_too_small")
        if answer["engine_version"] not in WITHOUT_ALTERNATIVE_DOSES:
            check_alternative(context, f"alternatives[{place}]", row)
    context.number("value_cost", answer["value_cost"], worth_of(context, own) - worth)


def looked_at_again(context: Context) -> tuple[int, set[str], set[str]]:
    """In how many days somebody who waits is seen again, which concerns settle by themselves, by which rules."""
    entries = {entry["key"]: entry for entry in context.documents["concerns"]["concerns"]}
    weeks = {
        concern: entries[concern]["settles_by_itself"]["review"]["value"]
        for concern in context.severity
        if entries[concern].get("settles_by_itself")
    }
    if set(weeks) == set(context.severity):
        return min(weeks.values()) * 7, set(weeks), {f"concerns.{key}.settles_by_itself" for key in weeks}
    if "waiting" in context.course:
        return context.course["waiting"]["review"]["value"] * 7, set(weeks), {"course.waiting"}
    ends = [entry["when"].get("days_after_last_session", 0) for entry in context.course["checkpoints"]]
    return max(ends), set(weeks), {"course.checkpoints"}


def check_waiting(context: Context) -> None:
    """Waiting: once among the alternatives, first where something speaks for it, and with its day."""
    answer = context.answer
    days, settling, rules = looked_at_again(context)
    said = answer["waiting"] and (answer["waiting"]["days"], set(answer["waiting"]["rules"]))
    context.same("waiting", said, (days, rules) if answer["status"] == "waiting" else None)
    places = [place for place, row in enumerate(answer["alternatives"]) if row["kind"] == "waiting"]
    if answer["status"] != "proposed":
        context.same("alternatives", places, [], "waiting_without_a_plan")
        return
    reasons = {"settles_by_itself"} if settling == set(context.severity) else set()
    if not answer["syringes"]:
        reasons.add("no_mixture")
    elif fraction(answer["value"]) < 0:
        reasons.add("value_below_zero")
    last = len(answer["alternatives"]) - 1
    context.same("alternatives.waiting", places, [0 if reasons else last], "waiting_in_another_place")
    for place, other in enumerate(answer["alternatives"]):
        if place not in places:
            context.same(f"alternatives[{place}].kind", (other["kind"], other["review"]), ("mixture", None))
    for place in places:
        row, path = answer["alternatives"][place], f"alternatives[{place}]"
        context.same(f"{path}.rules", set(row["review"]["rules"]), rules)
        context.same(f"{path}.because", {reason["code"] for reason in row["review"]["because"]}, reasons)
        context.same(f"{path}.review", row["review"]["days"], days)
        context.same(f"{path}.ingredients", [row["ingredients"], row["lines"], row["sessions"]], [[], [], []])
        context.number(f"{path}.value", row["value"], 0)
        context.number(f"{path}.value_difference", row["value_difference"], -fraction(answer["value"]))
        saved = fraction(answer["cost"]["total"]) if answer["syringes"] else Fraction(0)
        context.number(f"{path}.cost_total", row["cost_total"], 0)
        context.number(f"{path}.cost_difference", row["cost_difference"], -saved)


def check_alternative(context: Context, path: str, row: Mapping[str, Any]) -> None:
    """The doses of an alternative, session by session, and what its course would cost."""
    days = context.answer["course"]["offsets_days"]
    apart = {session["number"]: session["lines"] for session in row["sessions"]}
    courses = [list(apart.get(number, row["lines"])) for number in range(1, len(days) + 1)]
    given = sorted(
        line["ingredient"] for line in row["lines"] if context.things[line["ingredient"]]["role"] != "diluent"
    )
    context.same(f"{path}.lines", given, sorted(row["ingredients"]))
    last: dict[str, int] = {}
    for number, (day, lines) in enumerate(zip(days, courses, strict=True), start=1):
        where = f"{path}.session[{number}]"
        held = [line["ingredient"] for line in lines]
        context.holds(where, len(held) == len(set(held)), "ingredient_twice", found=held)
        for key in sorted({*row["ingredients"], *held}):
            own = context.things[key]["per_session"]["min_interval_days"]
            due = key not in last or day - last[key] >= own
            if key in held:
                context.holds(f"{where}.{key}", due, "own_interval_broken", own)
                last[key] = day
            else:
                context.holds(f"{where}.{key}", not due, "left_out_of_a_session", own)
        check_amounts(context, where, lines)
    total = price_of(context, courses)[1]
    context.number(f"{path}.cost_total", row["cost_total"], cents(total))
    mine = cents(price_of(context, planned_lines(context))[1])
    context.number(f"{path}.cost_difference", row["cost_difference"], cents(total) - mine)
    amounts = [
        fraction(trade["params"]["amount"]) * (1 if trade["code"] == "dearer" else -1)
        for trade in row["trades"]
        if trade["code"] in ("dearer", "cheaper")
    ]
    context.same(f"{path}.trades", sum(amounts, Fraction(0)), fraction(row["cost_difference"]))


def check_amounts(context: Context, path: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Volumes and doses of a session by its limits, whatever syringe they are in."""
    volume = thinned = spent = Fraction(0)
    for line in lines:
        key, amount = line["ingredient"], fraction(line["volume_ml"])
        thing = context.things[key]
        least, most = bounds_of(context, key)
        context.holds(f"{path}.{key}", least <= amount <= most, "outside_its_range", found=amount)
        context.holds(f"{path}.{key}", amount > 0 and (amount / context.step).denominator == 1, "not_drawable")
        context.number(f"{path}.{key}.dose", line["dose"], amount * fraction(thing["stock"]["concentration"]))
        context.same(f"{path}.{key}.dose_unit", line["dose_unit"], thing["per_session"]["dose"]["unit"])
        volume += amount
        if thing["role"] == "diluent":
            thinned += amount
            context.holds(f"{path}.{key}", key in context.mixing["top_up_diluents"], "not_for_topping_up", found=key)
        else:
            spent += amount * fraction(thing["relative_cost_per_ml"])
    context.holds(path, volume <= context.target, "above_target", context.target, volume)
    share = fraction(context.mixing["max_diluent_share_of_syringe"])
    context.holds(path, thinned <= share * volume, "diluted_too_far", share)
    if context.policy.ingredient_budget is not None:
        price = spent * fraction(context.course["cost_model"]["ingredient_unit_value"])
        context.holds(path, price <= fraction(context.policy.ingredient_budget), "over_budget", found=price)
