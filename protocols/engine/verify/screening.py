"""Screening: which rules fire, what they are aimed at, and what is still to be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from protocols.engine.verify.context import Context, mixed_ingredients, sorted_by
from protocols.engine.verify.facts import deciding_facts, is_known, triggered

OWN_CAUTIONS = (
    "volume_below_minimum", "session_without_mixture", "ph_outside_limits", "osmolality_above_limit",
    "osmolality_unknown", "small_syringe",
)  # fmt: skip
"""Those that come from the mixture, not from a rule of screening."""


def aim_of(context: Context, rule: Mapping[str, Any]) -> set[str] | None:
    """The ingredients a rule is aimed at; None for the plan as a whole."""
    scope = rule["applies_to"]
    kind = scope["scope"]
    if kind in ("plan", "zones"):
        return None
    if kind == "listed_in_fact":
        return set(context.facts.get(scope["fact"], ()))
    chooses: dict[str, Callable[[Mapping[str, Any]], bool]] = {
        "ingredients": lambda thing: thing["key"] in scope["keys"],
        "class": lambda thing: thing["class"] in scope["classes"],
        "flag": lambda thing: thing["flags"].get(scope["flag"]) == scope["equals"],
        "allergen": lambda thing: scope["allergen"] in thing["flags"]["allergens"],
        "prescription_only": lambda thing: bool(thing["regulatory"]["prescription_only"]),
    }
    return {key for key, thing in context.things.items() if chooses[kind](thing)}


def has_fired(context: Context, rule: Mapping[str, Any]) -> bool:
    """Whether the trigger is true and, for a rule on zones, at least one treated zone is among the listed ones."""
    if not triggered(context, rule["trigger"]):
        return False
    scope = rule["applies_to"]
    if scope["scope"] != "zones":
        return True
    treated = {zone.zone for zone in context.case.zones}
    return not treated.isdisjoint(context.facts.get(scope["fact"], ()))


def exclusions_of(context: Context) -> set[tuple[str, str]]:
    """Each rule that takes out an ingredient, with the ingredient."""
    fired = [(key, rule) for key, rule in context.rules.items() if has_fired(context, rule)]
    return {(key, name) for key, rule in fired if rule["severity"] == "exclude" for name in aim_of(context, rule) or ()}


def referrals_first(context: Context, fired: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What has to be seen by a specialist first and was not: the rule that is told, with its referral."""
    present = {entry["concern"] for entry in context.answer["concerns"]}
    specialists = {rule.get("refer") for rule in fired.values() if rule["severity"] == "absolute"}
    unseen = {}
    for concern in context.documents["concerns"]["concerns"]:
        if not concern["referral_first"] or concern["key"] not in present:
            continue
        cleared = triggered(context, concern["cleared_when"])
        if not cleared and concern["referral_rule"] not in specialists:
            unseen[f"referral_first_{concern['key']}"] = concern["referral_rule"]
    return unseen


def check_screening(context: Context) -> None:
    answer = context.answer
    fired = {key: rule for key, rule in context.rules.items() if has_fired(context, rule)}
    unseen = referrals_first(context, fired)
    context.same("rules_fired", answer["rules_fired"], sorted([*fired, *unseen]))
    blocking = [key for key, rule in fired.items() if rule["severity"] == "absolute"]
    context.same("blocks", sorted_by(answer["blocks"], "rule"), sorted([*blocking, *unseen]))
    held = mixed_ingredients(context)

    def touches(rule: Mapping[str, Any]) -> bool:
        aim = aim_of(context, rule)
        return aim is None or bool(aim & held)

    for group, severity in (("cautions", "caution"), ("infos", "info")):
        expected = [key for key, rule in fired.items() if rule["severity"] == severity and touches(rule)]
        shown = [row["rule"] for row in answer[group] if row["rule"] not in OWN_CAUTIONS]
        context.same(group, sorted(shown), sorted(expected))
    told = sorted((row["rule"], row["ingredient"]) for row in answer["excluded_by_rule"])
    context.same("excluded_by_rule", told, sorted(exclusions_of(context)))
    referred = [
        (rule["refer"], key)
        for key, rule in fired.items()
        if rule.get("refer") and (rule["severity"] in ("absolute", "exclude") or touches(rule))
    ]
    referred += [(referral, key) for key, referral in unseen.items()]
    context.same("referrals", sorted((row["referral"], row["rule"]) for row in answer["referrals"]), sorted(referred))
    check_questions(context, held)
    missing = required_facts(context) - set(context.facts)
    context.same("missing", sorted_by(answer["missing"], "fact"), sorted(missing))
    status = "incomplete" if missing else "blocked" if blocking or unseen else status_if_allowed(context)
    context.same("status", answer["status"], status)


def required_facts(context: Context) -> set[str]:
    """What has to be known before any plan."""
    needed = context.documents["screening"]["required_before_plan"]
    return set(needed["always"]) | set(needed.get(f"if_sex_{context.facts.get('sex_at_birth')}", ()))


def check_questions(context: Context, held: set[str]) -> None:
    required = required_facts(context)
    idle = {
        entry["fact"]
        for entry in context.documents["screening"].get("asked_with_cause", [])
        if not triggered(context, entry["cause"])
    }
    asked: dict[str, set[str]] = {}
    for key, rule in context.rules.items():
        if rule["severity"] == "info" or triggered(context, rule["trigger"]):
            continue
        aim = aim_of(context, rule)
        scope = rule["applies_to"]
        if scope["scope"] == "listed_in_fact" and not is_known(context, scope["fact"]):
            aim = held
        if rule["severity"] == "absolute" or (aim and aim & held):
            for fact in deciding_facts(context, rule["trigger"]) - required - idle:
                asked.setdefault(fact, set()).add(key)
    if context.answer.get("status") == "waiting":
        asked = {}  # nothing is injected, so nothing has to be known for it
    said = {row["fact"]: set(row["needed_by"]) for row in context.answer["open_questions"]}
    context.same("open_questions", said, asked)
    for row in context.answer["open_questions"]:
        waiver = context.case.waived.get(row["fact"])
        context.same(
            f"open_questions.{row['fact']}.waived",
            row["waived"],
            None if waiver is None else {"as": waiver.kind, "reason": waiver.reason},
        )


def status_if_allowed(context: Context) -> str:
    """What may be treated waits where the practitioner said so."""
    return "waiting" if any(edit["op"] == "wait" for edit in context.answer.get("edits", ())) else "proposed"
