"""Contributions: what each ingredient adds and has to earn, by taking it out and putting it in."""

from __future__ import annotations

from collections.abc import Sequence, Set
from fractions import Fraction

from protocols.engine.verify.context import Context, cents, first_held, fraction, planned_lines
from protocols.engine.verify.mixing import fewest_of
from protocols.engine.verify.selection import broken_limits, first_choices, served_by, warned_of, worth_of


def check_contributions(context: Context, own: Set[str]) -> None:
    """What each ingredient adds and has to earn, by taking it out and putting it in; and the rule that decided."""
    keys = sorted(key for key in first_held(context) if context.things[key]["role"] != "diluent")
    rules = context.mixing.get("contribution_in_words") or {
        "much_from": 2 * fraction(context.mixing["selection_weights"]["simplicity_per_active"]),
        "some_from": context.mixing["selection_weights"]["simplicity_per_active"],
    }

    def worded(amount: Fraction) -> str:
        if amount >= fraction(rules["much_from"]):
            return "much"
        return "some" if amount >= fraction(rules["some_from"]) else "little"

    rows = {row["ingredient"]: row for row in context.answer["contributions"]}
    context.same("contributions", len(rows), len(context.answer["contributions"]), "ingredient_twice")
    context.same("contributions.held", sorted(key for key, row in rows.items() if row["held"]), keys)
    weighed = {"adds_too_little", "not_chosen", "removed_by_hand", "displaced"}
    reasons = {row["ingredient"]: row["reason_code"] for row in context.answer["left_out"]}
    out = sorted(key for key, reason in reasons.items() if reason in weighed)
    context.same("contributions.left_out", sorted(key for key, row in rows.items() if not row["held"]), out)
    wanted = first_choices(context)
    for key, row in rows.items():
        path = f"contributions.{key}"
        rest, whole = [k for k in keys if k != key], sorted({*keys, key})
        served = {c: served_by(context, whole, c) - served_by(context, rest, c) for c in context.severity}
        gross = sum(served.values(), Fraction(0))
        context.number(f"{path}.gross", row["gross"], gross)
        context.same(f"{path}.adds", row["adds"], worded(gross))
        said = {each["concern"]: (fraction(each["value"]), each["much"]) for each in row["serves"]}
        context.same(f"{path}.serves", said, {c: (amount, worded(amount)) for c, amount in served.items() if amount})
        fits = row["held"] or not broken_limits(context, whole)
        needed = (
            gross - (worth_of(context, whole) - worth_of(context, rest))
            if fits
            else fraction(context.policy.simplicity)
        )
        context.number(f"{path}.needed", row["needed"], needed)
        told = (row["needed_for"]["cautions"], row["needed_for"]["mixtures"])
        more = max(0, fewest_of(context, whole) - 1) - max(0, fewest_of(context, rest) - 1) if fits else 0
        charged = needed - fraction(context.policy.simplicity) - more * fraction(context.policy.extra_syringe)
        context.same(
            f"{path}.needed_for", told, (warned_of(context, whole) - warned_of(context, rest) if fits else 0, more)
        )
        context.number(f"{path}.cautions", told[0] * fraction(context.policy.caution), charged)
        short = set() if fits or reasons[key] == "removed_by_hand" else broken_limits(context, whole)
        context.holds(f"{path}.limit", row["limit"] in short if short else row["limit"] is None, "wrong_limit", short)
        by = decided_by(own, key, row["held"], reasons.get(key, ""), gross >= needed, wanted)
        context.same(f"{path}.decided_by", row["decided_by"], by)
        firsts = [c for c, _first, wanted_key, _stands in wanted if wanted_key == key]
        context.same(f"{path}.first_choice_of", sorted(row["first_choice_of"]), sorted(firsts))
        context.same(f"{path}.price", row["price"] and fraction(row["price"]), own_price(context, key, row["held"]))


def decided_by(
    own: Set[str], key: str, held: bool, reason: str, pays: bool, wanted: Sequence[tuple[str, str, str | None, bool]]
) -> str:
    if not held:
        by_reason = {"displaced": "limit", "removed_by_hand": "by_hand", "not_chosen": "by_hand"}
        return by_reason.get(reason, "value")
    if key not in own:
        return "by_hand"
    stands = [stand_in for _concern, _first, wanted_key, stand_in in wanted if wanted_key == key]
    if stands:
        return "stands_in" if all(stands) else "first_choice"
    return "value" if pays else "kept"


def own_price(context: Context, key: str, held: bool) -> Fraction | None:
    """What one ingredient comes to in the whole course."""
    if not held:
        return None
    model, course = context.course["cost_model"], planned_lines(context)
    mine = [fraction(line["volume_ml"]) for lines in course for line in lines if line["ingredient"] == key]
    units = (
        sum(mine, Fraction(0))
        * fraction(context.things[key]["relative_cost_per_ml"])
        * fraction(model["ingredient_unit_value"])
    )
    package = [fraction(e["multiplier"]) for e in model["package"] if e["sessions"] == len(course)]
    return cents(units * fraction(context.policy.price_per_unit) * (package[0] if package else 1))
