"""Mixture: each session, syringe and line of the answer against every limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any

from protocols.engine.verify.context import Context, four_digits, fraction, osmolality_said, syringes_of, tenths
from protocols.engine.verify.mixing import acidity_suits, fewest_of, is_well_inside, osmolality_of, pairs_of, window_of
from protocols.engine.verify.screening import OWN_CAUTIONS
from protocols.engine.verify.selection import benefit_of
from protocols.engine.verify.volumes import bounds_of, least_of, usual_of


def check_mixture(context: Context) -> None:
    answer = context.answer
    check_session(context, "syringes", answer["syringes"])
    total = sum((fraction(syringe["volume_ml"]) for syringe in answer["syringes"]), Fraction(0))
    context.number("total_volume_ml", answer["total_volume_ml"], total)
    for session in answer["sessions"]:
        check_session(context, f"sessions.{session['number']}", session["syringes"])
    if not answer["edits"]:
        check_scaling(context, "syringes", answer["syringes"])
    for edit in answer["edits"]:
        check_edit(context, edit)
    check_low_volume(context)
    check_mixture_cautions(context)


def check_session(context: Context, path: str, syringes: Sequence[Mapping[str, Any]]) -> None:
    """The limits of one session, over all its syringes."""
    lines = [line for syringe in syringes for line in syringe["lines"]]
    actives = [line["ingredient"] for line in lines if context.things[line["ingredient"]]["role"] != "diluent"]
    context.holds(path, len(actives) == len(set(actives)), "ingredient_twice", found=sorted(actives))
    context.holds(
        path, len(actives) <= context.policy.max_actives, "too_many_actives", context.policy.max_actives, len(actives)
    )
    most = context.policy.max_syringes
    context.holds(path, len(syringes) <= most, "too_many_syringes", most, len(syringes))
    context.same(f"{path}.labels", [syringe["label"] for syringe in syringes], list("ABCDEFGH"[: len(syringes)]))
    check_volumes(context, path, syringes)
    check_company(context, path, lines)
    fewest = fewest_of(context, actives)
    context.holds(path, len(syringes) == fewest, "not_the_fewest_syringes", fewest, len(syringes))
    if context.policy.ingredient_budget is not None:
        spent = sum(
            (
                fraction(line["volume_ml"]) * fraction(context.things[line["ingredient"]]["relative_cost_per_ml"])
                for line in lines
                if line["role"] != "diluent"
            ),
            Fraction(0),
        ) * fraction(context.course["cost_model"]["ingredient_unit_value"])
        context.holds(path, spent <= fraction(context.policy.ingredient_budget), "over_budget", found=spent)


def check_volumes(context: Context, path: str, syringes: Sequence[Mapping[str, Any]]) -> None:
    """Each syringe, and what they come to: no more than the target, and of no diluent more than may be given."""
    volume = Fraction(0)
    diluents: dict[str, Fraction] = {}
    for place, syringe in enumerate(syringes):
        volume += check_syringe(context, f"{path}[{place}]", syringe)
        for line in syringe["lines"]:
            if context.things[line["ingredient"]]["role"] == "diluent":
                key = line["ingredient"]
                diluents[key] = diluents.get(key, Fraction(0)) + fraction(line["volume_ml"])
    context.holds(path, volume <= context.target, "above_target", context.target, volume)
    ceiling = fraction(context.needle["max_total_volume_per_session"]["value"])
    context.holds(path, volume <= ceiling, "above_ceiling", ceiling, volume)
    for key, amount in diluents.items():
        context.holds(
            path, amount <= bounds_of(context, key)[1], "too_much_diluent", bounds_of(context, key)[1], amount
        )
        context.holds(path, key in context.mixing["top_up_diluents"], "not_for_topping_up", found=key)


def check_company(context: Context, path: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Which ingredients a session may hold together: by their pairs, and by how many of a family."""
    for a, b in combinations(sorted({line["ingredient"] for line in lines}), 2):
        for pair in pairs_of(context, a, b):
            if pair["scope"] == "session" and pair["severity"] != "use_immediately":
                context.holds(path, False, "forbidden_in_one_session", found=f"{pair['key']}: {a}, {b}")
    actives = [line["ingredient"] for line in lines if context.things[line["ingredient"]]["role"] != "diluent"]
    for family in context.mixing["same_family_limit"]:
        kin = [
            key
            for key in actives
            if key in family.get("ingredients", ()) or context.things[key]["class"] in family.get("classes", ())
        ]
        context.holds(path, len(kin) <= family["max"], "too_many_of_a_family", family["max"], kin)


def check_syringe(context: Context, path: str, syringe: Mapping[str, Any]) -> Fraction:
    lines = syringe["lines"]
    total = sum((fraction(line["volume_ml"]) for line in lines), Fraction(0))
    context.number(f"{path}.volume_ml", syringe["volume_ml"], total)
    actives = [line for line in lines if context.things[line["ingredient"]]["role"] != "diluent"]
    context.holds(
        path,
        0 < len(actives) <= context.mixing["max_active_ingredients_per_syringe"],
        "too_many_in_a_syringe",
        context.mixing["max_active_ingredients_per_syringe"],
        len(actives),
    )
    thinned = total - sum((fraction(line["volume_ml"]) for line in actives), Fraction(0))
    share = fraction(context.mixing["max_diluent_share_of_syringe"])
    context.holds(path, thinned <= share * total, "diluted_too_far", share, thinned / total)
    context.number(f"{path}.diluent_share", syringe["diluent_share"], four_digits(thinned / total))
    keys = [line["ingredient"] for line in lines]
    low, high = window_of(context, keys)
    context.holds(path, low <= high, "no_common_ph", found=f"{low} > {high}")
    context.holds(path, low > high or acidity_suits(context, keys), "ph_does_not_suit", found=f"{low} to {high}")
    context.number(f"{path}.ph_min", syringe["ph_min"], low)
    context.number(f"{path}.ph_max", syringe["ph_max"], high)
    hurried = set()
    for a, b in combinations(sorted(keys), 2):
        for pair in pairs_of(context, a, b):
            if pair["severity"] == "use_immediately":
                hurried.add((pair["key"], a, b))
            else:
                context.holds(path, False, "forbidden_in_one_syringe", found=f"{pair['key']}: {a}, {b}")
    said = {(row["pair"], *sorted(row["ingredients"])) for row in syringe["use_immediately"]}
    context.same(f"{path}.use_immediately", sorted(said), sorted(hurried))
    check_drawn_as(context, f"{path}.drawn_as", syringe["drawn_as"], total)
    if context.in_steps:
        context.number(f"{path}.ph_estimate", syringe["ph_estimate"], tenths((low + high) / 2))
        context.same(f"{path}.osmolality", osmolality_said(syringe["osmolality"]), osmolality_of(context, lines))
    for line in lines:
        check_line(context, f"{path}.{line['ingredient']}", line, total)
    return total


def check_drawn_as(context: Context, path: str, said: Mapping[str, Any], total: Fraction) -> None:
    """Parts that can be drawn: whole steps, none larger than a syringe, no two more than a step apart."""
    largest = max(fraction(volume) for volume in context.needle["syringe"]["volumes"])
    if not context.in_steps:
        count = -(-total // largest)
        context.same(f"{path}.count", said["count"], int(count))
        context.number(f"{path}.each_ml", fraction(said["each_ml"]) * count, total)
        return
    count = -(-total // (largest // context.step * context.step))
    context.same(f"{path}.count", said["count"], int(count))
    parts = [fraction(part) for part in said["parts_ml"]]
    context.same(f"{path}.parts_ml", len(parts), said["count"])
    context.same(f"{path}.parts_ml", sum(parts, Fraction(0)), total, "parts_do_not_add_up")
    for part in parts:
        context.holds(f"{path}.parts_ml", (part / context.step).denominator == 1, "not_drawable", context.step, part)
    spread = max(parts, default=total) - min(parts, default=total)
    context.holds(f"{path}.parts_ml", spread <= context.step, "unequal_parts", found=parts)
    context.same(f"{path}.parts_ml", parts, sorted(parts, reverse=True), "smaller_part_first")


def check_line(context: Context, path: str, line: Mapping[str, Any], mixture: Fraction) -> None:
    """One ingredient in a mixture of so many mL: whether it may be there, and each figure of it."""
    key = line["ingredient"]
    thing = context.things[key]
    session, stock = thing["per_session"], thing["stock"]
    context.holds(path, key in context.active, "not_active", found=key)
    context.holds(path, key not in context.excluded, "screened_out", found=key)
    context.holds(path, key not in context.policy.avoid, "against_preference", found=key)
    if thing["regulatory"]["prescription_only"]:
        context.holds(path, context.policy.allow_prescription, "prescription_not_allowed", found=key)
    for name, expected in (
        ("role", thing["role"]),
        ("name", thing["name"]),
        ("dose_unit", session["dose"]["unit"]),
        ("concentration_unit", stock["concentration_unit"]),
        ("prescription_only", thing["regulatory"]["prescription_only"]),
    ):
        context.same(f"{path}.{name}", line[name], expected)
    context.same(f"{path}.unit", f"{line['dose_unit']}/mL", line["concentration_unit"], "mixed_units")
    check_amount(context, path, line, mixture)
    check_claims(context, path, line)
    if thing["role"] == "diluent":
        context.same(f"{path}.marginal_value", line["marginal_value"], None)
    by_hand = {edit["ingredient"] for edit in context.answer["edits"] if edit["op"] == "set_volume"}
    context.same(f"{path}.set_by_hand", line["set_by_hand"], key in by_hand)


def check_amount(context: Context, path: str, line: Mapping[str, Any], mixture: Fraction) -> None:
    """Volume, dose and concentration of a line, and the limits of each."""
    key = line["ingredient"]
    session, stock = context.things[key]["per_session"], context.things[key]["stock"]
    volume, strength = fraction(line["volume_ml"]), fraction(stock["concentration"])
    context.number(f"{path}.stock_concentration", line["stock_concentration"], strength)
    least, most = bounds_of(context, key)
    context.holds(path, least <= volume, "below_minimum", least, volume)
    context.holds(path, volume <= most, "above_maximum", most, volume)
    context.holds(path, volume > 0 and (volume / context.step).denominator == 1, "not_drawable", context.step, volume)
    context.number(f"{path}.dose", line["dose"], volume * strength)
    context.holds(path, volume * strength <= fraction(session["max_dose"]["value"]), "above_maximum_dose")
    context.number(f"{path}.max_dose", line["max_dose"], fraction(session["max_dose"]["value"]))
    context.number(f"{path}.final_concentration", line["final_concentration"], four_digits(volume * strength / mixture))
    context.number(f"{path}.volume_min_ml", line["volume_min_ml"], least_of(context, key))
    context.number(f"{path}.volume_max_ml", line["volume_max_ml"], most // context.step * context.step)
    context.number(f"{path}.volume_usual_ml", line["volume_usual_ml"], usual_of(context, key))


def check_claims(context: Context, path: str, line: Mapping[str, Any]) -> None:
    """Which concerns a line serves, how well, and on what evidence."""
    key = line["ingredient"]
    thing = context.things[key]
    serves = {
        address["concern"]: address
        for address in thing["concerns"]
        if address["concern"] in context.severity and benefit_of(context, key, address["concern"]) > 0
    }
    context.same(f"{path}.addresses", {row["concern"] for row in line["addresses"]}, set(serves))
    if thing["role"] != "diluent":
        context.holds(path, bool(serves), "serves_no_concern", found=key)
    kinds = {entry["id"]: entry["kind"] for entry in context.documents["sources"]["sources"]}
    for row in line["addresses"]:
        entry = serves.get(row["concern"])
        if entry is None:
            continue
        where = f"{path}.addresses.{row['concern']}"
        context.same(f"{where}.strength", row["strength"], entry["strength"])
        context.same(f"{where}.evidence_grade", row["evidence_grade"], entry["evidence_grade"])
        context.same(f"{where}.direction", row["direction"], entry["direction"])
        context.same(f"{where}.sources", list(row["sources"]), list(entry["source_ids"]))
        alone = entry["direction"] == "untested" and "web_article" in [kinds[s] for s in entry["source_ids"]]
        context.same(f"{where}.web_article_only", row["web_article_only"], alone)


def check_scaling(context: Context, path: str, syringes: Sequence[Mapping[str, Any]]) -> None:
    """The engine's own volumes: lowered only for the target, thinned before raised, short only when all is used."""
    lines = [(syringe, line) for syringe in syringes for line in syringe["lines"]]
    drawn = context.target // context.step * context.step
    total = sum((fraction(line["volume_ml"]) for _, line in lines), Fraction(0))
    actives = [(s, line) for s, line in lines if line["role"] != "diluent"]
    usual = sum((fraction(line["volume_usual_ml"]) for _, line in actives), Fraction(0))
    raised = [line for _, line in actives if fraction(line["volume_ml"]) > fraction(line["volume_usual_ml"])]
    lowered = [line for _, line in actives if fraction(line["volume_ml"]) < fraction(line["volume_usual_ml"])]
    if lowered:
        context.holds(path, usual > drawn and not raised, "lowered_without_need", found=lowered[0]["ingredient"])
        context.holds(path, total == drawn, "lowered_too_far", drawn, total)
    if usual >= drawn:
        context.holds(path, len(lines) == len(actives), "diluted_without_need")
    full = all(fraction(line["volume_ml"]) == fraction(line["volume_max_ml"]) for _, line in actives)
    if total < drawn and context.policy.ingredient_budget is None:
        context.holds(path, full, "short_without_need", drawn, total)


def check_edit(context: Context, edit: Mapping[str, Any]) -> None:
    held = {line["ingredient"]: line for syringe in context.answer["syringes"] for line in syringe["lines"]}
    path = f"edits.{edit['op']}"
    later = context.answer["edits"]
    gone = {other["ingredient"] for other in later if other["op"] in ("remove", "swap")}
    come = {other["ingredient"] for other in later if other["op"] == "add"}
    come |= {other["with"] for other in later if other["op"] == "swap"}
    if edit["op"] in ("remove", "swap") and edit["ingredient"] not in come:
        context.holds(path, edit["ingredient"] not in held, "edit_not_carried_out", found=edit["ingredient"])
    added = edit["ingredient"] if edit["op"] == "add" else edit.get("with")
    if added is not None and added not in gone:
        context.holds(path, added in held, "edit_not_carried_out", found=added)
    if edit["op"] == "set_volume":
        last = [e for e in later if e["op"] == "set_volume" and e["ingredient"] == edit["ingredient"]][-1]
        line = held.get(edit["ingredient"])
        said = None if line is None else fraction(line["volume_ml"])
        context.same(path, said, fraction(last["volume_ml"]), "edit_not_carried_out")


def check_low_volume(context: Context) -> None:
    least = fraction(context.needle["volume_per_point"]["min"]) * context.points
    low, empty = set(), set()
    for number in range(1, context.answer["course"]["sessions"] + 1):
        syringes = syringes_of(context, number)
        volume = sum((fraction(s["volume_ml"]) for s in syringes), Fraction(0))
        if syringes and volume < least:
            low.add(number)
        if not syringes and context.answer["syringes"]:
            empty.add(number)
    for rule, expected in (("volume_below_minimum", low), ("session_without_mixture", empty)):
        said = {n for row in context.answer["cautions"] if row["rule"] == rule for n in row["params"]["sessions"]}
        context.same(f"cautions.{rule}", said, expected)


def check_mixture_cautions(context: Context) -> None:
    """What is short of the limits of a mixture is said, of each mixture of each session, and nothing else is."""
    found: dict[str, set[tuple[str, int]]] = {rule: set() for rule in OWN_CAUTIONS[2:]}
    if context.limits is not None:
        highest = fraction(context.limits["osmolality"]["max"])
        apart = [(session["number"], session["syringes"]) for session in context.answer["sessions"]]
        for number, syringes in apart or [(1, context.answer["syringes"])]:
            volumes = [sum(fraction(line["volume_ml"]) for line in syringe["lines"]) for syringe in syringes]
            least = fraction(context.limits["smallest_syringe"]["min_share"]) * sum(volumes)
            for syringe, volume in zip(syringes, volumes, strict=True):
                place = (syringe["label"], number)
                estimate, unknown = osmolality_of(context, syringe["lines"])
                if not is_well_inside(context, *window_of(context, [line["ingredient"] for line in syringe["lines"]])):
                    found["ph_outside_limits"].add(place)
                if unknown:
                    found["osmolality_unknown"].add(place)
                if estimate is not None and estimate > highest:
                    found["osmolality_above_limit"].add(place)
                if volume < least:
                    found["small_syringe"].add(place)
                    context.holds(f"session {number}", number > 1, "syringe_too_small", found=syringe["label"])
    for rule, places in found.items():
        said = {
            (entry["syringe"], number)
            for row in context.answer["cautions"]
            if row["rule"] == rule
            for entry in row["params"]["syringes"]
            for number in entry["sessions"]
        }
        context.same(f"cautions.{rule}", said, places)
