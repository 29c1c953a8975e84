"""Checks of screening rules and pairs: each trigger can be read and can hold, each target exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import InvalidOperation
from typing import Any

from protocols.engine.inputs.triggers import OPERATIONS, OPERATIONS_OF_TYPE
from protocols.formulary.checking.words import FLAGS, Checked, basis, fraction, sourced, unknown
from protocols.formulary.reach import can_hold, tests_of

RULE_FIELDS = {
    "key", "severity", "applies_to", "trigger", "message", "until", "rationale", "refer", "basis", "evidence_grade",
    "source_ids",
}  # fmt: skip
CAUSE_FIELDS = {"fact", "cause", "why", "source_ids"}
RULE_SEVERITIES = {"absolute", "exclude", "caution", "info"}
SCOPE_FIELDS = {
    "plan": set(),
    "zones": {"fact"},
    "ingredients": {"keys"},
    "class": {"classes"},
    "flag": {"flag", "equals"},
    "allergen": {"allergen"},
    "prescription_only": set(),
    "listed_in_fact": {"fact"},
}
PAIR_FIELDS = {"key", "a", "b", "severity", "scope", "kind", "basis", "evidence_grade", "rationale", "source_ids"}
PAIR_SEVERITIES = {"never_mix", "separate_syringe", "use_immediately"}
PAIR_SCOPES = {"syringe", "session"}


def check_causes(check: Checked) -> Iterator[str]:
    """A fact that is asked with cause only says which, and the cause is one that somebody can have."""
    seen: set[str] = set()
    for entry in check.d["screening"].get("asked_with_cause", ()):
        where = f"asked_with_cause {entry['fact']}"
        yield from unknown(where, entry, CAUSE_FIELDS)
        yield from sourced(check, where, entry)
        if entry["fact"] not in check.facts:
            yield f"{where}: the vocabulary lacks it"
        if entry["fact"] in seen:
            yield f"{where}: it is given twice"
        seen.add(entry["fact"])
        if not entry.get("why"):
            yield f"{where}: it does not say why"
        yield from check_trigger(check, where, entry["cause"])
        yield from _reachable(check, where, entry["cause"])


def _reachable(check: Checked, where: str, trigger: Any) -> Iterator[str]:
    """Whether the trigger can come true. Of one whose words are wrong nothing more is said."""
    if not any(check_trigger(check, where, trigger)) and not can_hold(trigger, check.facts):
        yield f"{where}: it can never fire, since no answers make its trigger true"


def check_rules(check: Checked) -> Iterator[str]:
    for entry in check.d["screening"]["rules"]:
        where = f"rule {entry['key']}"
        yield from unknown(where, entry, RULE_FIELDS)
        yield from sourced(check, where, entry)
        if entry["severity"] not in RULE_SEVERITIES:
            yield f"{where}: unknown severity {entry['severity']}"
        if not entry.get("message"):
            yield f"{where}: it has no message"
        if entry.get("refer") and entry["refer"] not in check.referrals:
            yield f"{where}: unknown referral {entry['refer']}"
        yield from basis(check, where, entry)
        yield from _scope(check, where, entry)
        yield from check_trigger(check, where, entry["trigger"])
        yield from _reachable(check, where, entry["trigger"])


def _scope(check: Checked, where: str, rule: Mapping[str, Any]) -> Iterator[str]:
    scope = rule["applies_to"]
    kind = scope.get("scope")
    if kind not in SCOPE_FIELDS:
        yield f"{where}: unknown scope {kind}"
        return
    if set(scope) - {"scope"} != SCOPE_FIELDS[kind]:
        yield f"{where}: scope {kind} takes {sorted(SCOPE_FIELDS[kind]) or 'nothing else'}"
        return
    if kind == "zones":
        if rule["severity"] != "absolute":
            yield f"{where}: a rule aimed at zones is absolute"
        yield from _zone_fact(check, where, scope["fact"])
        return
    if (kind == "plan") != (rule["severity"] == "absolute") and rule["severity"] in ("absolute", "exclude"):
        yield f"{where}: an absolute rule applies to the plan, an exclude rule to ingredients"
    known_allergens = {a for entry in check.ingredients.values() for a in entry["flags"]["allergens"]}
    if kind == "ingredients":
        for key in scope["keys"]:
            if key not in check.ingredients:
                yield f"{where}: unknown ingredient {key}"
    elif kind == "class":
        for key in scope["classes"]:
            if key not in check.d["ingredients"]["classes"]:
                yield f"{where}: unknown class {key}"
    elif kind == "flag" and scope["flag"] not in FLAGS - {"note", "allergens"}:
        yield f"{where}: unknown flag {scope['flag']}"
    elif kind == "allergen" and scope["allergen"] not in known_allergens:
        yield f"{where}: no ingredient lists the allergen {scope['allergen']}"
    elif kind == "listed_in_fact" and scope["fact"] not in check.facts:
        yield f"{where}: the vocabulary lacks the fact {scope['fact']}"
    yield from _target(check, where, scope)


def _zone_fact(check: Checked, where: str, name: str) -> Iterator[str]:
    fact = check.facts.get(name)
    zones = {entry["key"] for entry in check.d["vocabulary"]["zones"]["zones"]}
    if fact is None:
        yield f"{where}: the vocabulary lacks the fact {name}"
    elif fact["type"] != "list" or not zones & set(fact.get("values") or ()):
        yield f"{where}: {name} lists no zone of the scalp, so it can bar none"
    elif missing := sorted(zones - set(fact["values"])):
        yield f"{where}: {name} does not offer the zones {', '.join(missing)}"


def _target(check: Checked, where: str, scope: Mapping[str, Any]) -> Iterator[str]:
    """A rule that is aimed at ingredients meets at least one; else it fires in silence."""
    kind, everything = scope["scope"], check.ingredients.values()
    if kind == "ingredients" and not scope["keys"]:
        yield f"{where}: it names no ingredient, so it does nothing"
    elif kind == "class":
        carried = {entry["class"] for entry in everything}
        for key in scope["classes"]:
            if key in check.d["ingredients"]["classes"] and key not in carried:
                yield f"{where}: no ingredient is of the class {key}"
        if not scope["classes"]:
            yield f"{where}: it names no class, so it does nothing"
    elif kind == "flag" and scope["flag"] in FLAGS - {"note", "allergens"}:
        if not any(entry["flags"].get(scope["flag"]) == scope["equals"] for entry in everything):
            yield f"{where}: no ingredient has {scope['flag']} {_yes_no(scope['equals'])}, so it does nothing"
    elif kind == "prescription_only" and not any(entry["regulatory"]["prescription_only"] for entry in everything):
        yield f"{where}: no ingredient is prescription-only, so it does nothing"


def check_trigger(check: Checked, where: str, trigger: Any) -> Iterator[str]:
    if not isinstance(trigger, Mapping):
        yield f"{where}: a trigger must be a mapping"
        return
    if "all" in trigger or "any" in trigger:
        if len(trigger) != 1:
            yield f"{where}: all or any stands alone"
            return
        parts = next(iter(trigger.values()))
        if not isinstance(parts, list) or not parts:
            yield f"{where}: all and any need a list of triggers"
            return
        for part in parts:
            yield from check_trigger(check, where, part)
        return
    if set(trigger) != {"fact", "op", "value"}:
        yield f"{where}: a test needs fact, op and value"
        return
    fact, op, value = check.facts.get(trigger["fact"]), trigger["op"], trigger["value"]
    if fact is None:
        yield f"{where}: the vocabulary lacks the fact {trigger['fact']}"
    elif op not in OPERATIONS:
        yield f"{where}: unknown operation {op}"
    elif op not in OPERATIONS_OF_TYPE[fact["type"]]:
        yield f"{where}: {op} does not fit {trigger['fact']}, which is of type {fact['type']}"
    else:
        yield from _value(check, where, trigger["fact"], fact, op, value)


def _value(check: Checked, where: str, name: str, fact: Mapping[str, Any], op: str, value: Any) -> Iterator[str]:
    many = op in ("in", "includes_any")
    if many != isinstance(value, list):
        yield f"{where}: {op} takes {'a list' if many else 'one value'}"
        return
    for item in value if many else [value]:
        if op == "is_not_empty" or fact["type"] == "boolean":
            if not isinstance(item, bool):
                yield f"{where}: {name} {op} takes true or false"
        elif fact["type"] in ("integer", "number"):
            try:
                fraction(item)
            except (ValueError, InvalidOperation):
                yield f"{where}: {item!r} is not a number"
        elif fact.get("values_from") == "ingredients":
            if item not in check.ingredients:
                yield f"{where}: unknown ingredient {item}"
        elif item not in fact["values"]:
            yield f"{where}: {name} has no value {item}"


def check_pairs(check: Checked) -> Iterator[str]:
    solvents = {entry["solution"]["solvent"] for entry in check.ingredients.values()}
    for entry in check.d["screening"]["incompatibilities"]:
        where = f"pair {entry['key']}"
        yield from unknown(where, entry, PAIR_FIELDS)
        yield from sourced(check, where, entry)
        if entry["severity"] not in PAIR_SEVERITIES:
            yield f"{where}: unknown severity {entry['severity']}"
        if entry["scope"] not in PAIR_SCOPES:
            yield f"{where}: unknown scope {entry['scope']}"
        for side in (entry["a"], entry["b"]):
            if isinstance(side, str):
                if side not in check.ingredients:
                    yield f"{where}: unknown ingredient {side}"
            elif set(side) == {"flag", "equals"}:
                if side["flag"] not in FLAGS - {"note", "allergens"}:
                    yield f"{where}: unknown flag {side['flag']}"
            elif set(side) == {"class"}:
                if side["class"] not in check.d["ingredients"]["classes"]:
                    yield f"{where}: unknown class {side['class']}"
            elif set(side) == {"solvent"}:
                if side["solvent"] not in solvents:
                    yield f"{where}: no ingredient has the solvent {side['solvent']}"
            elif side != {"any_active": True}:
                yield f"{where}: unknown side {side}"
        yield from basis(check, where, entry)
        yield from _joined(check, where, entry)


def _joined(check: Checked, where: str, pair: Mapping[str, Any]) -> Iterator[str]:
    """A pair keeps at least two different ingredients apart."""
    sides = []
    for side in (pair["a"], pair["b"]):
        chosen = {key for key, entry in check.ingredients.items() if _on_side(side, key, entry)}
        if not chosen and not isinstance(side, str):
            yield f"{where}: no ingredient is {_in_words(side)}, so it does nothing"
        sides.append(chosen)
    if all(sides) and not any(a != b for a in sides[0] for b in sides[1]):
        yield f"{where}: it joins no two ingredients"


def nothing_idle(check: Checked) -> Iterator[str]:
    """Every fact, and every value of a list, is read by something; so is every class and every allergen."""
    screening, vocabulary = check.d["screening"], check.d["vocabulary"]
    read: set[str] = set()
    values: dict[str, set[Any]] = {}
    triggers = [entry["trigger"] for entry in screening["rules"]]
    triggers += [entry["cause"] for entry in screening.get("asked_with_cause", ())]
    triggers += [entry["cleared_when"] for entry in check.d["concerns"]["concerns"] if "cleared_when" in entry]
    for trigger in triggers:
        for test in tests_of(trigger):
            read.add(test["fact"])
            named = test["value"] if isinstance(test["value"], list) else [test["value"]]
            values.setdefault(test["fact"], set()).update(named)
    for rule in screening["rules"]:
        scope = rule["applies_to"]
        if scope.get("scope") == "zones" and scope.get("fact") in check.facts:
            read.add(scope["fact"])
            zones = {entry["key"] for entry in vocabulary["zones"]["zones"]}
            values.setdefault(scope["fact"], set()).update(zones)
    read |= {entry["only_if"]["fact"] for entry in check.facts.values() if "only_if" in entry}
    read |= {entry["fact"] for entry in vocabulary["scales"]["scales"] if entry.get("fact")}
    for name, keys in screening["required_before_plan"].items():
        read |= set(keys) if name != "note" else set()
    for name, fact in check.facts.items():
        if name not in read:
            yield f"fact {name}: no rule, scale or cause reads it"
        elif fact["type"] == "list" and "values_from" not in fact:
            for value in fact["values"]:
                if value not in values.get(name, ()):
                    yield f"fact {name}: no rule or cause reads its value {value}"
    carried = {entry["class"] for entry in check.ingredients.values()}
    for key in check.d["ingredients"]["classes"]:
        if key not in carried:
            yield f"ingredients: nothing is of the class {key}"
    for key, entry in check.ingredients.items():
        for allergen in entry["flags"]["allergens"]:
            if not any(_screens(rule, allergen, key, entry) for rule in screening["rules"]):
                yield f"ingredient {key}: no rule keeps it from people allergic to {allergen}"


def _screens(rule: Mapping[str, Any], allergen: str, key: str, entry: Mapping[str, Any]) -> bool:
    """Whether a rule speaks of an allergy to this and is aimed at the ingredient, by allergen, flag or name."""
    scope = rule["applies_to"]
    asked = any(
        allergen == test["value"] or (isinstance(test["value"], list) and allergen in test["value"])
        for test in tests_of(rule["trigger"])
    )
    return asked and (
        scope.get("allergen") == allergen
        or key in scope.get("keys", ())
        or ("flag" in scope and bool(entry["flags"].get(scope["flag"]) == scope["equals"]))
    )


def check_stages(check: Checked) -> Iterator[str]:
    """A stage that asks for a referral has a rule that offers one."""
    referring = [rule for rule in check.d["screening"]["rules"] if rule.get("refer")]
    for scale in check.d["vocabulary"]["scales"]["scales"]:
        for stage in scale["stages"]:
            if stage["refer"] and not any(
                _stage_fires(rule["trigger"], scale["fact"], stage["code"]) for rule in referring
            ):
                yield f"scale {scale['key']}, stage {stage['code']}: no rule offers the referral it asks for"


def _yes_no(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, str(value))


def _on_side(side: Any, key: str, entry: Mapping[str, Any]) -> bool:
    """Whether an ingredient stands on this side of a pair."""
    if isinstance(side, str):
        return side == key
    if "flag" in side:
        return bool(entry["flags"].get(side["flag"]) == side.get("equals"))
    if "class" in side:
        return bool(entry["class"] == side["class"])
    if "solvent" in side:
        return bool(entry["solution"]["solvent"] == side["solvent"])
    return bool(entry["role"] != "diluent")


def _in_words(side: Mapping[str, Any]) -> str:
    if "flag" in side:
        return f"marked {side['flag']} {_yes_no(side.get('equals'))}"
    return "of the " + " ".join(f"{name} {value}" for name, value in side.items())


def _stage_fires(trigger: Mapping[str, Any], fact: str, code: str) -> bool:
    if "all" in trigger:
        return all(_stage_fires(part, fact, code) for part in trigger["all"])
    if "any" in trigger:
        return any(_stage_fires(part, fact, code) for part in trigger["any"])
    if trigger["fact"] != fact:
        return False
    if trigger["op"] == "is":
        return str(trigger["value"]) == code
    return trigger["op"] == "gte" and int(code) >= int(trigger["value"])
