"""Check formulary documents: every word they use is defined, every number stands where it may.

The check speaks in sentences that name the file, the entry and what is wrong, since a director may read them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from protocols.engine.triggers import OPERATIONS, OPERATIONS_OF_TYPE
from protocols.formulary.reach import can_hold, tests_of

RULE_FIELDS = {
    "key", "severity", "applies_to", "trigger", "message", "until", "rationale", "refer", "basis", "evidence_grade",
    "source_ids",
}  # fmt: skip
RULE_BASES = {"guideline", "product_labelling", "published", "precaution", "clinic_default"}
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
INGREDIENT_FIELDS = {
    "key", "name", "synonyms", "inci_name", "inn_name", "class", "role", "named_in_article", "cas", "unii", "origin",
    "mechanism", "concerns", "stock", "elemental", "per_session", "solution", "storage", "flags", "regulatory",
    "activation", "default_active", "director_confirmation_required", "relative_cost_per_ml", "source_ids",
}  # fmt: skip
ROLES = {"active", "carrier", "diluent"}
FLAGS = {
    "vegan", "animal_origin", "allergens", "contains_sulfite", "contains_ethanol", "contains_propylene_glycol",
    "contains_benzyl_alcohol", "note",
}  # fmt: skip
CONCERN_FIELDS = {
    "key", "referral_first", "referral_rule", "cleared_when", "anchors", "article_claims", "settles_by_itself",
    "evidence_note", "source_ids",
}  # fmt: skip
SEVERITIES = ("mild", "moderate", "severe")
OSMOLALITY_UNIT = "mOsm/kg"
OSMOLALITY_BASES = {"product_labelling", "calculated", "clinic_default", "unknown"}
NUMBER = re.compile(r"(?<![A-Za-z_\d.])\d+(?:\.\d+)?")
DOCUMENTS = ("ingredients", "concerns", "screening", "course", "sources", "vocabulary", "release")
RELEASE_FIELDS = {"schema_version", "label", "follows", "changes"}
ABOUT = ("rules", "pairs", "ingredients", "facts")


def check_documents(documents: Mapping[str, Any]) -> tuple[str, ...]:
    """Every problem found, as sentences; empty when the documents are sound."""
    if missing := [name for name in DOCUMENTS if not isinstance(documents.get(name), Mapping)]:
        return tuple(f"{name}: the document is missing" for name in missing)
    check = _Check(documents)
    try:
        return tuple(check.problems())
    except (KeyError, TypeError, AttributeError, InvalidOperation) as broken:
        return (*check.found, f"the documents cannot be read further: {type(broken).__name__} {broken}")


class _Check:
    def __init__(self, documents: Mapping[str, Any]) -> None:
        self.d = documents
        self.found: list[str] = []

    def problems(self) -> list[str]:
        d = self.d
        vocabulary = d["vocabulary"]
        self.facts = vocabulary["facts"]["facts"]
        self.sources = {entry["id"]: entry for entry in d["sources"]["sources"]}
        self.claims = {entry["id"] for entry in d["sources"]["article_claims"]}
        self.ingredients = {entry["key"]: entry for entry in d["ingredients"]["ingredients"]}
        self.concerns = {entry["key"] for entry in vocabulary["concerns"]["concerns"]}
        self.referrals = {entry["key"] for entry in d["course"]["referral_rules"]}
        self.weights = d["course"]["composition"]["selection_weights"]
        for part in (
            self._unique(),
            self._every_source(),
            self._ingredients(),
            self._concerns(),
            self._required(),
            self._causes(),
            self._rules(),
            self._pairs(),
            self._nothing_idle(),
            self._stages(),
            self._course(),
            self._composition(),
            self._mixture_limits(),
            self._cost(),
            self._release(),
        ):
            self.found.extend(part)
        return self.found

    # ------------------------------------------------------------------ words
    def _unique(self) -> Iterator[str]:
        for name, entries, field in (
            ("ingredients", self.d["ingredients"]["ingredients"], "key"),
            ("concerns", self.d["concerns"]["concerns"], "key"),
            ("screening rules", self.d["screening"]["rules"], "key"),
            ("incompatibilities", self.d["screening"]["incompatibilities"], "key"),
            ("referral rules", self.d["course"]["referral_rules"], "key"),
            ("sources", self.d["sources"]["sources"], "id"),
            ("article claims", self.d["sources"]["article_claims"], "id"),
        ):
            seen: set[str] = set()
            for entry in entries:
                if entry[field] in seen:
                    yield f"{name}: {entry[field]} is defined twice"
                seen.add(entry[field])

    def _every_source(self) -> Iterator[str]:
        """Wherever source_ids stands, in any document, each id is a source."""
        for name in ("ingredients", "concerns", "screening", "course", "sources"):
            for path, key, value in _walk(self.d[name], name):
                if key in ("source_ids", "red_flag_sources"):
                    for source in value:
                        if source not in self.sources:
                            yield f"{path}: unknown source {source}"
                elif key == "article_claims" and name != "sources":
                    for claim in value:
                        if claim not in self.claims:
                            yield f"{path}: unknown article claim {claim}"

    def _sourced(self, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
        if not entry.get("source_ids"):
            yield f"{where}: it names no source"

    # ------------------------------------------------------------------ ingredients
    def _ingredients(self) -> Iterator[str]:
        scale = self.d["ingredients"]
        for key, entry in self.ingredients.items():
            where = f"ingredient {key}"
            yield from _unknown(where, entry, INGREDIENT_FIELDS)
            yield from _unknown(f"{where}, flags", entry["flags"], FLAGS)
            yield from self._sourced(where, entry)
            if entry["class"] not in scale["classes"]:
                yield f"{where}: unknown class {entry['class']}"
            if entry["role"] not in ROLES:
                yield f"{where}: unknown role {entry['role']}"
            if entry["default_active"] is not (entry["activation"] == "on_by_default"):
                yield f"{where}: activation and default_active contradict each other"
            if _n(entry["relative_cost_per_ml"]) < 0:
                yield f"{where}: relative_cost_per_ml is negative"
            yield from self._addresses(where, entry, scale)
            yield from self._amounts(where, entry)

    def _addresses(self, where: str, entry: Mapping[str, Any], scale: Mapping[str, Any]) -> Iterator[str]:
        seen: set[str] = set()
        for line in entry["concerns"]:
            if line["concern"] not in self.concerns:
                yield f"{where}: unknown concern {line['concern']}"
            if line["concern"] in seen:
                yield f"{where}: concern {line['concern']} is listed twice"
            seen.add(line["concern"])
            if line["strength"] not in (1, 2, 3):
                yield f"{where}, {line['concern']}: strength must be 1, 2 or 3"
            if line["evidence_grade"] not in scale["evidence_scale"]:
                yield f"{where}, {line['concern']}: unknown evidence grade {line['evidence_grade']}"
            if line["direction"] not in scale["direction_values"]:
                yield f"{where}, {line['concern']}: unknown direction {line['direction']}"
            yield from self._sourced(f"{where}, {line['concern']}", line)
        if entry["role"] == "diluent" and entry["concerns"]:
            yield f"{where}: a diluent serves no concern"

    def _amounts(self, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
        stock, session = entry["stock"], entry["per_session"]
        volume, dose, most = session["volume"], session["dose"], session["max_dose"]
        concentration = _n(stock["concentration"])
        if concentration <= 0:
            yield f"{where}: the concentration must be above 0"
            return
        for name, amounts in (("volume", volume), ("dose", dose)):
            if not 0 <= _n(amounts["min"]) <= _n(amounts["usual"]) <= _n(amounts["max"]):
                yield f"{where}: {name} must have min <= usual <= max"
        for level in ("min", "usual", "max"):
            if _n(dose[level]) != concentration * _n(volume[level]):
                yield (
                    f"{where}: {level} dose {dose[level]} is not concentration {stock['concentration']} "
                    f"x volume {volume[level]}"
                )
        if _n(dose["max"]) > _n(most["value"]):
            yield f"{where}: the dose at maximum volume exceeds max_dose"
        if volume["unit"] != "mL" or most["unit"] != dose["unit"]:
            yield f"{where}: the units of volume, dose and max_dose do not agree"
        if stock["concentration_unit"] != f"{dose['unit']}/mL":
            yield f"{where}: concentration in {stock['concentration_unit']}, dose in {dose['unit']}"
        if entry["role"] != "diluent" and _n(volume["max"]) <= 0:
            yield f"{where}: the maximum volume must be above 0"
        if not isinstance(session["min_interval_days"], int) or session["min_interval_days"] < 0:
            yield f"{where}: min_interval_days must be a whole number of days"
        if not 0 <= _n(entry["solution"]["ph_min"]) <= _n(entry["solution"]["ph_max"]) <= 14:
            yield f"{where}: the pH range is out of order"

    # ------------------------------------------------------------------ concerns
    def _concerns(self) -> Iterator[str]:
        listed = {entry["key"] for entry in self.d["concerns"]["concerns"]}
        for key in sorted(self.concerns - listed):
            yield f"concern {key}: the vocabulary has it, the formulary says nothing of it"
        for entry in self.d["concerns"]["concerns"]:
            where = f"concern {entry['key']}"
            yield from _unknown(where, entry, CONCERN_FIELDS)
            yield from self._sourced(where, entry)
            if entry["key"] not in self.concerns:
                yield f"{where}: the vocabulary lacks it"
            if (settles := entry.get("settles_by_itself")) is not None:
                yield from _unknown(f"{where}, settles_by_itself", settles, {"review", "advice", "source_ids"})
                yield from self._sourced(f"{where}, settles_by_itself", settles)
                yield from _review(f"{where}, settles_by_itself", settles)
            first, supporting = entry["anchors"]["first_choice"], entry["anchors"]["supporting"]
            for key in (*first, *supporting):
                ingredient = self.ingredients.get(key)
                if ingredient is None:
                    yield f"{where}: unknown ingredient {key}"
                elif entry["key"] not in {line["concern"] for line in ingredient["concerns"]}:
                    yield f"{where}: its anchor {key} does not serve it"
            for key in sorted(set(first) & set(supporting)):
                yield f"{where}: {key} is first choice and supporting"
            if entry["referral_first"]:
                if entry.get("referral_rule") not in self.referrals:
                    yield f"{where}: unknown referral {entry.get('referral_rule')}"
                if "cleared_when" not in entry:
                    yield f"{where}: referral_first needs cleared_when, which says when a diagnosis has been recorded"
                else:
                    yield from self._trigger(f"{where}, cleared_when", entry["cleared_when"])
        scales = {entry["key"] for entry in self.d["vocabulary"]["scales"]["scales"]}
        for entry in self.d["concerns"]["scale_sources"]:
            if entry["scale"] not in scales:
                yield f"scale_sources: unknown scale {entry['scale']}"
        for entry in self.d["concerns"]["article_sentence_map"]:
            if entry["article_claim"] not in self.claims:
                yield f"article_sentence_map: unknown article claim {entry['article_claim']}"
            for key in entry["concerns"]:
                if key not in self.concerns:
                    yield f"article_sentence_map {entry['article_claim']}: unknown concern {key}"

    # ------------------------------------------------------------------ screening
    def _required(self) -> Iterator[str]:
        for name, keys in self.d["screening"]["required_before_plan"].items():
            if name == "note":
                continue
            if name != "always" and name.removeprefix("if_sex_") not in self.facts["sex_at_birth"]["values"]:
                yield f"required_before_plan: unknown condition {name}"
            for key in keys:
                if key not in self.facts:
                    yield f"required_before_plan: the vocabulary lacks the fact {key}"

    def _causes(self) -> Iterator[str]:
        """A fact that is asked with cause only says which, and the cause is one that somebody can have."""
        seen: set[str] = set()
        for entry in self.d["screening"].get("asked_with_cause", ()):
            where = f"asked_with_cause {entry['fact']}"
            yield from _unknown(where, entry, CAUSE_FIELDS)
            yield from self._sourced(where, entry)
            if entry["fact"] not in self.facts:
                yield f"{where}: the vocabulary lacks it"
            if entry["fact"] in seen:
                yield f"{where}: it is given twice"
            seen.add(entry["fact"])
            if not entry.get("why"):
                yield f"{where}: it does not say why"
            yield from self._trigger(where, entry["cause"])
            yield from self._reachable(where, entry["cause"])

    def _reachable(self, where: str, trigger: Any) -> Iterator[str]:
        """Whether the trigger can come true. Of one whose words are wrong nothing more is said."""
        if not any(self._trigger(where, trigger)) and not can_hold(trigger, self.facts):
            yield f"{where}: it can never fire, since no answers make its trigger true"

    def _basis(self, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
        if "basis" in entry and entry["basis"] not in RULE_BASES:
            yield f"{where}: unknown basis {entry['basis']}"
        if "evidence_grade" in entry and entry["evidence_grade"] not in self.d["ingredients"]["evidence_scale"]:
            yield f"{where}: unknown evidence grade {entry['evidence_grade']}"

    def _rules(self) -> Iterator[str]:
        for entry in self.d["screening"]["rules"]:
            where = f"rule {entry['key']}"
            yield from _unknown(where, entry, RULE_FIELDS)
            yield from self._sourced(where, entry)
            if entry["severity"] not in RULE_SEVERITIES:
                yield f"{where}: unknown severity {entry['severity']}"
            if not entry.get("message"):
                yield f"{where}: it has no message"
            if entry.get("refer") and entry["refer"] not in self.referrals:
                yield f"{where}: unknown referral {entry['refer']}"
            yield from self._basis(where, entry)
            yield from self._scope(where, entry)
            yield from self._trigger(where, entry["trigger"])
            yield from self._reachable(where, entry["trigger"])

    def _scope(self, where: str, rule: Mapping[str, Any]) -> Iterator[str]:
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
            yield from self._zone_fact(where, scope["fact"])
            return
        if (kind == "plan") != (rule["severity"] == "absolute") and rule["severity"] in ("absolute", "exclude"):
            yield f"{where}: an absolute rule applies to the plan, an exclude rule to ingredients"
        known_allergens = {a for entry in self.ingredients.values() for a in entry["flags"]["allergens"]}
        if kind == "ingredients":
            for key in scope["keys"]:
                if key not in self.ingredients:
                    yield f"{where}: unknown ingredient {key}"
        elif kind == "class":
            for key in scope["classes"]:
                if key not in self.d["ingredients"]["classes"]:
                    yield f"{where}: unknown class {key}"
        elif kind == "flag" and scope["flag"] not in FLAGS - {"note", "allergens"}:
            yield f"{where}: unknown flag {scope['flag']}"
        elif kind == "allergen" and scope["allergen"] not in known_allergens:
            yield f"{where}: no ingredient lists the allergen {scope['allergen']}"
        elif kind == "listed_in_fact" and scope["fact"] not in self.facts:
            yield f"{where}: the vocabulary lacks the fact {scope['fact']}"
        yield from self._target(where, scope)

    def _zone_fact(self, where: str, name: str) -> Iterator[str]:
        fact = self.facts.get(name)
        zones = {entry["key"] for entry in self.d["vocabulary"]["zones"]["zones"]}
        if fact is None:
            yield f"{where}: the vocabulary lacks the fact {name}"
        elif fact["type"] != "list" or not zones & set(fact.get("values") or ()):
            yield f"{where}: {name} lists no zone of the scalp, so it can bar none"
        elif missing := sorted(zones - set(fact["values"])):
            yield f"{where}: {name} does not offer the zones {', '.join(missing)}"

    def _target(self, where: str, scope: Mapping[str, Any]) -> Iterator[str]:
        """A rule that is aimed at ingredients meets at least one; else it fires in silence."""
        kind, everything = scope["scope"], self.ingredients.values()
        if kind == "ingredients" and not scope["keys"]:
            yield f"{where}: it names no ingredient, so it does nothing"
        elif kind == "class":
            carried = {entry["class"] for entry in everything}
            for key in scope["classes"]:
                if key in self.d["ingredients"]["classes"] and key not in carried:
                    yield f"{where}: no ingredient is of the class {key}"
            if not scope["classes"]:
                yield f"{where}: it names no class, so it does nothing"
        elif kind == "flag" and scope["flag"] in FLAGS - {"note", "allergens"}:
            if not any(entry["flags"].get(scope["flag"]) == scope["equals"] for entry in everything):
                yield f"{where}: no ingredient has {scope['flag']} {_yes_no(scope['equals'])}, so it does nothing"
        elif kind == "prescription_only" and not any(entry["regulatory"]["prescription_only"] for entry in everything):
            yield f"{where}: no ingredient is prescription-only, so it does nothing"

    def _trigger(self, where: str, trigger: Any) -> Iterator[str]:
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
                yield from self._trigger(where, part)
            return
        if set(trigger) != {"fact", "op", "value"}:
            yield f"{where}: a test needs fact, op and value"
            return
        fact, op, value = self.facts.get(trigger["fact"]), trigger["op"], trigger["value"]
        if fact is None:
            yield f"{where}: the vocabulary lacks the fact {trigger['fact']}"
        elif op not in OPERATIONS:
            yield f"{where}: unknown operation {op}"
        elif op not in OPERATIONS_OF_TYPE[fact["type"]]:
            yield f"{where}: {op} does not fit {trigger['fact']}, which is of type {fact['type']}"
        else:
            yield from self._value(where, trigger["fact"], fact, op, value)

    def _value(self, where: str, name: str, fact: Mapping[str, Any], op: str, value: Any) -> Iterator[str]:
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
                    _n(item)
                except (ValueError, InvalidOperation):
                    yield f"{where}: {item!r} is not a number"
            elif fact.get("values_from") == "ingredients":
                if item not in self.ingredients:
                    yield f"{where}: unknown ingredient {item}"
            elif item not in fact["values"]:
                yield f"{where}: {name} has no value {item}"

    def _pairs(self) -> Iterator[str]:
        solvents = {entry["solution"]["solvent"] for entry in self.ingredients.values()}
        for entry in self.d["screening"]["incompatibilities"]:
            where = f"pair {entry['key']}"
            yield from _unknown(where, entry, PAIR_FIELDS)
            yield from self._sourced(where, entry)
            if entry["severity"] not in PAIR_SEVERITIES:
                yield f"{where}: unknown severity {entry['severity']}"
            if entry["scope"] not in PAIR_SCOPES:
                yield f"{where}: unknown scope {entry['scope']}"
            for side in (entry["a"], entry["b"]):
                if isinstance(side, str):
                    if side not in self.ingredients:
                        yield f"{where}: unknown ingredient {side}"
                elif set(side) == {"flag", "equals"}:
                    if side["flag"] not in FLAGS - {"note", "allergens"}:
                        yield f"{where}: unknown flag {side['flag']}"
                elif set(side) == {"class"}:
                    if side["class"] not in self.d["ingredients"]["classes"]:
                        yield f"{where}: unknown class {side['class']}"
                elif set(side) == {"solvent"}:
                    if side["solvent"] not in solvents:
                        yield f"{where}: no ingredient has the solvent {side['solvent']}"
                elif side != {"any_active": True}:
                    yield f"{where}: unknown side {side}"
            yield from self._basis(where, entry)
            yield from self._joined(where, entry)

    def _joined(self, where: str, pair: Mapping[str, Any]) -> Iterator[str]:
        """A pair keeps at least two different ingredients apart."""
        sides = []
        for side in (pair["a"], pair["b"]):
            chosen = {key for key, entry in self.ingredients.items() if _on_side(side, key, entry)}
            if not chosen and not isinstance(side, str):
                yield f"{where}: no ingredient is {_in_words(side)}, so it does nothing"
            sides.append(chosen)
        if all(sides) and not any(a != b for a in sides[0] for b in sides[1]):
            yield f"{where}: it joins no two ingredients"

    # ------------------------------------------------------------------ nothing stands there for nothing
    def _nothing_idle(self) -> Iterator[str]:
        """Every fact, and every value of a list, is read by something; so is every class and every allergen."""
        screening, vocabulary = self.d["screening"], self.d["vocabulary"]
        read: set[str] = set()
        values: dict[str, set[Any]] = {}
        triggers = [entry["trigger"] for entry in screening["rules"]]
        triggers += [entry["cause"] for entry in screening.get("asked_with_cause", ())]
        triggers += [entry["cleared_when"] for entry in self.d["concerns"]["concerns"] if "cleared_when" in entry]
        for trigger in triggers:
            for test in tests_of(trigger):
                read.add(test["fact"])
                named = test["value"] if isinstance(test["value"], list) else [test["value"]]
                values.setdefault(test["fact"], set()).update(named)
        for rule in screening["rules"]:
            scope = rule["applies_to"]
            if scope.get("scope") == "zones" and scope.get("fact") in self.facts:
                read.add(scope["fact"])
                zones = {entry["key"] for entry in vocabulary["zones"]["zones"]}
                values.setdefault(scope["fact"], set()).update(zones)
        read |= {entry["only_if"]["fact"] for entry in self.facts.values() if "only_if" in entry}
        read |= {entry["fact"] for entry in vocabulary["scales"]["scales"] if entry.get("fact")}
        for name, keys in screening["required_before_plan"].items():
            read |= set(keys) if name != "note" else set()
        for name, fact in self.facts.items():
            if name not in read:
                yield f"fact {name}: no rule, scale or cause reads it"
            elif fact["type"] == "list" and "values_from" not in fact:
                for value in fact["values"]:
                    if value not in values.get(name, ()):
                        yield f"fact {name}: no rule or cause reads its value {value}"
        carried = {entry["class"] for entry in self.ingredients.values()}
        for key in self.d["ingredients"]["classes"]:
            if key not in carried:
                yield f"ingredients: nothing is of the class {key}"
        for key, entry in self.ingredients.items():
            for allergen in entry["flags"]["allergens"]:
                if not any(self._screens(rule, allergen, key, entry) for rule in screening["rules"]):
                    yield f"ingredient {key}: no rule keeps it from people allergic to {allergen}"

    @staticmethod
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

    def _stages(self) -> Iterator[str]:
        """A stage that asks for a referral has a rule that offers one."""
        referring = [rule for rule in self.d["screening"]["rules"] if rule.get("refer")]
        for scale in self.d["vocabulary"]["scales"]["scales"]:
            for stage in scale["stages"]:
                if stage["refer"] and not any(
                    _stage_fires(rule["trigger"], scale["fact"], stage["code"]) for rule in referring
                ):
                    yield f"scale {scale['key']}, stage {stage['code']}: no rule offers the referral it asks for"

    # ------------------------------------------------------------------ course, composition, cost
    def _course(self) -> Iterator[str]:
        course = self.d["course"]
        sessions, most = course["sessions"]["by_severity"], course["sessions"]["absolute_max_sessions_per_course"]
        if tuple(entry["severity"] for entry in sessions) != SEVERITIES:
            yield f"course: sessions must be given for {', '.join(SEVERITIES)}, in this order"
        for entry in sessions:
            where = f"course, {entry['severity']}"
            yield from self._sourced(where, entry)
            for name in ("sessions", "interval"):
                if not 0 < entry[name]["min"] <= entry[name]["default"] <= entry[name]["max"]:
                    yield f"{where}: {name} must have min <= default <= max"
            if entry["sessions"]["max"] > most:
                yield f"{where}: more than {most} sessions"
            schedules = [("default_offsets", entry["default_offsets"]["values"])]
            schedules += [(each["name"], each["offsets"]) for each in entry.get("alternative_schedules", ())]
            for name, offsets in schedules:
                yield from _schedule(f"{where}, {name}", entry, offsets)
        yield from self._formulas(course)

    def _formulas(self, course: Mapping[str, Any]) -> Iterator[str]:
        """The numbers beside a formula are those of the formula, and give the examples."""
        duration, technique = course["session_duration"], course["technique"]
        calculation, target = duration["calculation"], technique["target_volume"]
        numbers = [
            str(value)
            for value in (
                duration["min"], duration["max"], calculation["base_minutes"], calculation["from_cm2"],
                calculation["cm2_per_minute"],
            )
        ]  # fmt: skip
        if NUMBER.findall(duration["formula"]) != numbers:
            yield "course: session_duration.calculation does not repeat the numbers of its formula"
        for example in duration["examples"]:
            raw = _n(calculation["base_minutes"]) + (_n(example["area_cm2"]) - _n(calculation["from_cm2"])) / _n(
                calculation["cm2_per_minute"]
            )
            if max(duration["min"], min(duration["max"], -(-raw.numerator // raw.denominator))) != example["minutes"]:
                yield f"course: the duration for {example['area_cm2']} cm2 is not the example's"
        text = [_n(number) for number in NUMBER.findall(technique["target_volume_formula"])]
        if text != [_n(target["min"]), _n(target["max"]), _n(target["per_cm2"])]:
            yield "course: technique.target_volume does not repeat the numbers of its formula"
        if _n(target["max"]) > _n(technique["max_total_volume_per_session"]["value"]):
            yield "course: the largest target volume exceeds max_total_volume_per_session"
        reached: Any = 0
        for band in technique["spacing_rule"]:
            if _n(band["area_cm2_from"]) != _n(reached) or _n(band["area_per_point_cm2"]) <= 0:
                yield "course: the bands of technique.spacing_rule do not follow each other"
            reached = band["area_cm2_up_to"]
        if sum(1 for method in technique["methods"] if method.get("default")) != 1:
            yield "course: exactly one method of technique must be the default"
        for method in technique["methods"]:
            chosen = method.get("choose_when", {})
            for key in chosen.get("concerns", ()):
                if key not in self.concerns:
                    yield f"course, method {method['key']}: unknown concern {key}"
            for key in chosen.get("ingredients", ()):
                if key not in self.ingredients:
                    yield f"course, method {method['key']}: unknown ingredient {key}"

    def _composition(self) -> Iterator[str]:
        rules = self.d["course"]["composition"]
        for name in (
            "max_active_ingredients_per_session",
            "max_active_ingredients_per_syringe",
            "max_syringes_per_session",
        ):
            if not isinstance(rules[name], int) or rules[name] < 1:
                yield f"composition: {name} must be a whole number above 0"
        if rules["max_active_ingredients_per_session"] > 16 or rules["max_syringes_per_session"] > 8:
            yield "composition: more than 16 actives or 8 syringes are not supported"
        if not 0 <= _n(rules["max_diluent_share_of_syringe"]) < 1:
            yield "composition: the share of a diluent must be from 0 to below 1"
        for key in rules["top_up_diluents"]:
            if key not in self.ingredients or self.ingredients[key]["role"] != "diluent":
                yield f"composition: {key} is no diluent"
        scale = self.d["ingredients"]
        for name, expected in (
            ("severity", set(SEVERITIES)),
            ("evidence_grade", set(scale["evidence_scale"])),
            ("direction", set(scale["direction_values"])),
        ):
            if set(self.weights[name]) != expected:
                yield f"composition: the weights of {name} must be given for {', '.join(sorted(expected))}"
            if any(_n(weight) < 0 for weight in self.weights[name].values()):
                yield f"composition: a weight of {name} is negative"
        for name in ("simplicity_per_active", "caution_per_rule", "extra_syringe"):
            if _n(self.weights[name]) < 0:
                yield f"composition: {name} is negative"
        if (words := rules.get("contribution_in_words")) is not None and not (
            0 < _n(words["some_from"]) < _n(words["much_from"])
        ):
            yield "composition: contribution_in_words must rise from some to much, above 0"
        if (waiting := self.d["course"].get("waiting")) is not None:
            yield from self._sourced("course, waiting", waiting)
            yield from _review("course, waiting", waiting)
            if not waiting["advice"]:
                yield "course, waiting: it says nothing to the patient"
        for sentence in self.d["course"]["patient_expectation_text"]:
            for key in sentence["concerns"] if isinstance(sentence, Mapping) else ():
                if key not in self.concerns:
                    yield f"course, patient_expectation_text: unknown concern {key}"
        for entry in rules["same_family_limit"]:
            for key in entry.get("ingredients", ()):
                if key not in self.ingredients:
                    yield f"composition, family: unknown ingredient {key}"
            for key in entry.get("classes", ()):
                if key not in scale["classes"]:
                    yield f"composition, family: unknown class {key}"

    def _release(self) -> Iterator[str]:
        """The words on what changed are about entries that are there."""
        release, screening = self.d["release"], self.d["screening"]
        yield from _unknown("release", release, RELEASE_FIELDS)
        if not release.get("label") or release["label"] == release.get("follows"):
            yield "release: it needs a name of its own"
        known = {
            "rules": {entry["key"] for entry in screening["rules"]},
            "pairs": {entry["key"] for entry in screening["incompatibilities"]},
            "ingredients": set(self.ingredients),
            "facts": set(self.facts),
        }
        for number, change in enumerate(release["changes"], start=1):
            where = f"release, change {number}"
            yield from _unknown(where, change, {"text", *ABOUT})
            if not change.get("text"):
                yield f"{where}: it says nothing"
            for name in ABOUT:
                for key in change.get(name, ()):
                    if key not in known[name]:
                        yield f"{where}: unknown {name.removesuffix('s')} {key}"

    def _mixture_limits(self) -> Iterator[str]:
        """A formulary without them comes from before they were known; one with them says what each solution is."""
        limits = self.d["course"]["composition"].get("mixture_limits")
        if limits is None:
            return
        yield from self._sourced("composition, mixture_limits", limits)
        if not 0 <= _n(limits["final_ph"]["min"]) < _n(limits["final_ph"]["max"]) <= 14:
            yield "composition, mixture_limits: the final pH is out of order"
        if not 0 <= _n(limits["ph_window"]["min_width"]) <= 2:
            yield "composition, mixture_limits: the width of the pH window must be from 0 to 2"
        if limits["osmolality"]["unit"] != OSMOLALITY_UNIT or not 300 <= _n(limits["osmolality"]["max"]) <= 2000:
            yield f"composition, mixture_limits: the osmolality must be from 300 to 2000 {OSMOLALITY_UNIT}"
        if not 0 <= _n(limits["smallest_syringe"]["min_share"]) <= Fraction(1, 3):
            yield "composition, mixture_limits: the share of the smallest syringe must be from 0 to a third"
        for key, entry in self.ingredients.items():
            yield from self._osmolality(f"ingredient {key}", entry)

    def _osmolality(self, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
        said = entry["solution"].get("osmolality")
        if said is None:
            yield f"{where}: it says nothing of its osmolality; where it is unknown, that has to be said"
            return
        if said["basis"] not in OSMOLALITY_BASES:
            yield f"{where}: unknown basis {said['basis']} of its osmolality"
        if (said["value"] is None) != (said["basis"] == "unknown"):
            yield f"{where}: an osmolality is null where its basis is unknown, and only there"
        if said["unit"] != OSMOLALITY_UNIT or (said["value"] is not None and not 0 <= _n(said["value"]) <= 20_000):
            yield f"{where}: its osmolality must be from 0 to 20000 {OSMOLALITY_UNIT}"
        if entry["solution"].get("unbuffered") and entry["role"] != "diluent":
            yield f"{where}: only a diluent may be unbuffered"

    def _cost(self) -> Iterator[str]:
        cost = self.d["course"]["cost_model"]
        for name in ("region", "provider", "injection_band", "package"):
            if not cost[name]:
                yield f"cost_model: {name} is empty"
            if any(_n(entry["multiplier"]) <= 0 for entry in cost[name]):
                yield f"cost_model: a multiplier of {name} is not above 0"
        limits = [entry["points_up_to"] for entry in cost["injection_band"]]
        if limits != sorted(set(limits)):
            yield "cost_model: the injection bands are out of order"


def _n(value: Any) -> Fraction:
    if isinstance(value, bool):
        raise ValueError(value)
    return Fraction(Decimal(str(value)))


def _review(where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """When to look again, in whole weeks of at most a year."""
    review = entry["review"]
    if review["unit"] != "weeks" or not isinstance(review["value"], int) or not 1 <= review["value"] <= 52:
        yield f"{where}: a review is a whole number of weeks, at most 52"


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


def _unknown(where: str, entry: Mapping[str, Any], known: Iterable[str]) -> Iterator[str]:
    for name in sorted(set(entry) - set(known), key=str):
        yield f"{where}: unknown field {name}"


def _walk(node: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(node, Mapping):
        name = node.get("key") or node.get("id")
        here = f"{path} {name}" if isinstance(name, str) else path
        for key, value in node.items():
            yield here, key, value
            yield from _walk(value, here)
    elif isinstance(node, list):
        for item in node:
            yield from _walk(item, path)


def _schedule(where: str, entry: Mapping[str, Any], offsets: list[int]) -> Iterator[str]:
    gaps = [b - a for a, b in itertools.pairwise(offsets)]
    if not offsets or offsets[0] != 0:
        yield f"{where}: a course begins on day 0"
    if not entry["sessions"]["min"] <= len(offsets) <= entry["sessions"]["max"]:
        yield f"{where}: {len(offsets)} sessions are outside the rule"
    if any(not entry["interval"]["min"] <= gap <= entry["interval"]["max"] for gap in gaps):
        yield f"{where}: an interval is outside the rule"
    if not entry["span"]["min"] <= offsets[-1] <= entry["span"]["max"]:
        yield f"{where}: the span of {offsets[-1]} days is outside the rule"


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
