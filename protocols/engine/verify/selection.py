"""Selection: what a set of ingredients is worth, which could be had, and which first choices must be in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations

from protocols.engine.verify.context import (
    LEVELS,
    WITHOUT_ALTERNATIVE_DOSES,
    Context,
    every_syringe,
    first_held,
    fraction,
    mixed_ingredients,
)
from protocols.engine.verify.drawing import is_worth_drawing
from protocols.engine.verify.facts import triggered
from protocols.engine.verify.mixing import fewest_of, pairs_of
from protocols.engine.verify.screening import aim_of
from protocols.engine.verify.volumes import bounds_of, least_of, range_of, usual_of


def check_left_out(context: Context) -> None:
    mixed = mixed_ingredients(context)
    left = [row["ingredient"] for row in context.answer["left_out"]]
    context.same("left_out", sorted(left), sorted(context.active - mixed))
    for row in context.answer["left_out"]:
        key, path = row["ingredient"], f"left_out.{row['ingredient']}"
        context.same(path, row["reason_code"] == "screened", key in context.excluded, "wrong_reason")
        if context.answer["engine_version"] not in WITHOUT_ALTERNATIVE_DOSES:
            said = row["range"] and {name: fraction(value) for name, value in row["range"].items()}
            context.same(f"{path}.range", said, range_of(context, key) if can_be_had(context, key) else None)


def before_edits(context: Context, actives: Iterable[str]) -> set[str]:
    """What the engine itself had chosen: the edits of who is in, undone from the last to the first."""
    held = set(actives)
    for edit in reversed(context.answer["edits"]):
        came = edit["ingredient"] if edit["op"] == "add" else edit.get("with")
        went = edit["ingredient"] if edit["op"] in ("remove", "swap") else None
        if came is not None:
            context.holds(f"edits.{edit['op']}", came in held, "edit_not_carried_out", found=came)
            held.discard(came)
        if went is not None:
            context.holds(f"edits.{edit['op']}", went not in held, "edit_not_carried_out", found=went)
            held.add(went)
    return held


def can_be_had(context: Context, key: str) -> bool:
    """Whether an ingredient could be in this plan at all: nothing about it alone stands against it."""
    thing = context.things[key]
    if (
        thing["role"] == "diluent"
        or key not in context.active
        or key in context.excluded
        or key in context.policy.avoid
    ):
        return False
    if thing["regulatory"]["prescription_only"] and not context.policy.allow_prescription:
        return False
    least = max(least_of(context, key), context.step)
    if least > bounds_of(context, key)[1] or least > context.target:
        return False
    return any(
        benefit_of(context, key, concern) * fraction(context.policy.severity_weight[severity]) > 0
        for concern, severity in context.severity.items()
    )


def first_choices(context: Context) -> list[tuple[str, str, str | None, bool]]:
    """Concern, first choice, the ingredient to have for it, and whether that one stands in."""
    entries = {entry["key"]: entry["anchors"] for entry in context.documents["concerns"]["concerns"]}
    found: list[tuple[str, str, str | None, bool]] = []
    for concern in context.severity:
        reserve = [key for key in entries[concern]["supporting"] if can_be_had(context, key)]
        reserve.sort(key=lambda key: reserve_order(context, key, concern))
        for first in entries[concern]["first_choice"]:
            if can_be_had(context, first):
                found.append((concern, first, first, False))
            elif reserve:
                found.append((concern, first, reserve.pop(0), True))
            else:
                found.append((concern, first, None, False))
    return found


def reserve_order(context: Context, key: str, concern: str) -> tuple[Fraction, Fraction, str]:
    return -benefit_of(context, key, concern), fraction(context.things[key]["relative_cost_per_ml"]), key


def broken_limits(context: Context, keys: Sequence[str]) -> set[str]:
    """Every limit that these ingredients together would break."""
    broken = set()
    if len(keys) > context.policy.max_actives:
        broken.add("max_actives")
    for a, b in combinations(keys, 2):
        if any(p["scope"] == "session" and p["severity"] != "use_immediately" for p in pairs_of(context, a, b)):
            broken.add("pair")
    for family in context.mixing["same_family_limit"]:
        kin, classes = family.get("ingredients", ()), family.get("classes", ())
        if sum(1 for key in keys if key in kin or context.things[key]["class"] in classes) > family["max"]:
            broken.add("family")
    if sum((max(least_of(context, key), context.step) for key in keys), Fraction(0)) > context.target:
        broken.add("volume")
    if context.policy.ingredient_budget is not None:
        units = sum(
            (usual_of(context, key) * fraction(context.things[key]["relative_cost_per_ml"]) for key in keys),
            Fraction(0),
        )
        price = units * fraction(context.course["cost_model"]["ingredient_unit_value"])
        if price > fraction(context.policy.ingredient_budget):
            broken.add("budget")
    if not broken and fewest_of(context, keys) > context.policy.max_syringes:
        broken.add("syringes")
    return broken


def check_requirements(context: Context) -> set[str]:
    """The first choices: each is in, or stood in for, or a limit or an edit keeps it out, none without need.

    Returns what the engine itself had chosen, before any edit.
    """
    wanted = first_choices(context)
    actives = sorted(key for key in first_held(context) if context.things[key]["role"] != "diluent")
    own = before_edits(context, actives)
    said = {(row["concern"], row["first_choice"]): row for row in context.answer["requirements"]}
    context.same("requirements", len(context.answer["requirements"]), len(wanted))
    for concern, first, key, stand_in in wanted:
        path, row = f"requirements.{concern}.{first}", said.get((concern, first))
        if row is None:
            context.holds(path, False, "requirement_missing", found=first)
            continue
        context.same(f"{path}.ingredient", row["ingredient"], key)
        broken: set[str] = set()
        if key is None:
            state = "no_substitute"
        elif key in actives:
            state = "substituted" if stand_in else "met"
        elif key in own:
            state = "removed"
        else:
            broken = broken_limits(context, [*actives, key])
            if not broken and not is_worth_drawing(context, [*actives, key]):
                broken = {"small_syringe"}
            state = "gave_way" if broken else "could_return"
        context.same(f"{path}.state", row["state"], state)
        agrees = row["limit"] in broken if broken else row["limit"] is None
        context.holds(f"{path}.limit", agrees, "wrong_limit", broken, row["limit"])
    for syringe in every_syringe(context):
        for line in syringe["lines"]:
            for name, expected in (
                ("required_by", {c for c, _, key, other in wanted if key == line["ingredient"] and not other}),
                ("stands_in_for", {(c, f) for c, f, key, other in wanted if key == line["ingredient"] and other}),
            ):
                rows = line[name]
                told = {(row["concern"], row["ingredient"]) for row in rows} if name == "stands_in_for" else rows
                context.same(f"{line['ingredient']}.{name}", set(told), expected)
    check_none_without_need(context, wanted, own)
    return own


def check_none_without_need(
    context: Context, wanted: Sequence[tuple[str, str, str | None, bool]], own: set[str]
) -> None:
    """No other choice of required ingredients meets more of the severe concerns, then the moderate, then the mild.

    Every limit that breaks for a set breaks for a larger one too, so that it is enough to try required ones alone.
    """
    counts: dict[str, list[int]] = {}
    for concern, _first, key, _stand_in in wanted:
        if key is not None:
            counts.setdefault(key, [0, 0, 0])[LEVELS[context.severity[concern]]] += 1
    keys = sorted(counts, key=lambda key: (counts[key], key), reverse=True)

    def met(chosen: Iterable[str]) -> list[int]:
        rows = [counts[key] for key in chosen if key in counts]
        return [sum(row[level] for row in rows) for level in range(3)]

    best, standard = list[str](), met(own)

    def search(chosen: list[str], place: int) -> None:
        nonlocal best
        if met(chosen) > max(met(best), standard) and is_worth_drawing(context, chosen):
            best = list(chosen)
        if best or place == len(keys) or met([*chosen, *keys[place:]]) <= standard:
            return
        if not broken_limits(context, [*chosen, keys[place]]):
            search([*chosen, keys[place]], place + 1)
        search(chosen, place + 1)

    search([], 0)
    context.holds("requirements", not best, "first_choice_left_out", best, sorted(own))


def benefit_of(context: Context, key: str, concern: str) -> Fraction:
    for address in context.things[key]["concerns"]:
        if address["concern"] == concern:
            return (
                Fraction(address["strength"])
                * fraction(context.policy.grade_weight[address["evidence_grade"]])
                * fraction(context.policy.direction_weight[address["direction"]])
            )
    return Fraction(0)


def worth_of(context: Context, keys: Iterable[str]) -> Fraction:
    chosen = sorted(keys)
    worth = Fraction(0)
    for concern, severity in context.severity.items():
        weight = fraction(context.policy.severity_weight[severity])
        for rank, benefit in enumerate(sorted((benefit_of(context, key, concern) for key in chosen), reverse=True)):
            worth += weight * benefit / Fraction(2**rank)
    worth -= fraction(context.policy.simplicity) * len(chosen)
    for rule in context.rules.values():
        if rule["severity"] == "caution" and triggered(context, rule["trigger"]):
            aim = aim_of(context, rule)
            if aim is not None and aim & set(chosen):
                worth -= fraction(context.policy.caution)
    return worth - fraction(context.policy.extra_syringe) * max(0, fewest_of(context, chosen) - 1)


def warned_of(context: Context, keys: Iterable[str]) -> int:
    """How many cautions are aimed at one of these."""
    chosen, fired = set(keys), [rule for rule in context.rules.values() if rule["severity"] == "caution"]
    aims = [aim_of(context, rule) for rule in fired if triggered(context, rule["trigger"])]
    return sum(1 for aim in aims if aim is not None and aim & chosen)


def served_by(context: Context, keys: Iterable[str], concern: str) -> Fraction:
    """How well these serve one concern: the best whole, the next by half, and so on."""
    weight = fraction(context.policy.severity_weight[context.severity[concern]])
    amounts = sorted((benefit_of(context, key, concern) for key in keys), reverse=True)
    return sum((weight * amount / 2**rank for rank, amount in enumerate(amounts)), Fraction(0))
