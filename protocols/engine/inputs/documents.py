"""Documents: the formulary that the engine works with, built from what a formulary version stores.

The documents are plain JSON with decimals as strings, the vocabulary of the intake inside. They were checked when they
were loaded; what is built here is frozen and can be kept for as long as wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from protocols.engine.canonical import fingerprint
from protocols.engine.inputs.formulary import Formulary, Rule, mask_of
from protocols.engine.inputs.model import (
    SEX_FACT,
    Address,
    Checkpoint,
    CompositionRules,
    CostRules,
    CourseBand,
    CourseRules,
    Dose,
    FactShape,
    Family,
    FormularyConcern,
    Ingredient,
    Method,
    MixtureLimits,
    Pair,
    Referral,
    ScaleOfStages,
    Scope,
    Settling,
    SpacingBand,
    ZoneArea,
)
from protocols.engine.inputs.triggers import Test, build_trigger


def build_formulary(
    documents: Mapping[str, Any],
    *,
    activate: Iterable[str] = (),
    deactivate: Iterable[str] = (),
    label: str = "",
) -> Formulary:
    """Build from checked documents. Without a label it is called as they call themselves; the first did not."""
    vocabulary, course_file, screening = documents["vocabulary"], documents["course"], documents["screening"]
    course = _course(course_file)
    claims = {entry["id"]: entry["kind"] for entry in documents["sources"]["sources"]}
    raw = sorted(documents["ingredients"]["ingredients"], key=lambda entry: str(entry["key"]))
    by_index = tuple(_ingredient(entry, index, course.step_ml, claims) for index, entry in enumerate(raw))
    ingredients = {item.key: item for item in by_index}
    facts = _facts(vocabulary["facts"]["facts"], tuple(ingredients))
    pairs = tuple(_pair(entry, by_index) for entry in screening["incompatibilities"])
    apart, never, hurried = _pair_masks(pairs, len(by_index))
    rules = (
        *(_rule(entry, facts, by_index) for entry in screening["rules"]),
        *_referral_rules(documents["concerns"]["concerns"], facts),
    )
    composition = _composition(course_file, by_index)
    limits = composition.mixture
    ph_values = [value for item in by_index for value in (item.ph_min, item.ph_max)]
    ph_scale = _scale(ph_values + ([limits.ph_width, limits.ph_min, limits.ph_max] if limits else []))
    cost_scale = _scale(item.cost_per_ml for item in by_index)
    formulary = Formulary(
        label=label or documents.get("release", {}).get("label", "2026.1"),
        documents=documents,
        fingerprint=fingerprint(documents),
        facts=facts,
        ingredients=ingredients,
        by_index=by_index,
        concerns=_concerns(documents),
        scales=_scales(documents),
        zones=_zones(vocabulary["zones"]["zones"]),
        min_total_cm2=_d(vocabulary["zones"]["limits"]["min_total_cm2"]),
        max_total_cm2=_d(vocabulary["zones"]["limits"]["max_total_cm2"]),
        rules=rules,
        required_always=tuple(screening["required_before_plan"]["always"]),
        required_by_sex={
            name.removeprefix("if_sex_"): tuple(keys)
            for name, keys in screening["required_before_plan"].items()
            if name.startswith("if_sex_")
        },
        pairs=pairs,
        referrals=_referrals(course_file["referral_rules"]),
        composition=composition,
        course=course,
        cost=_cost(course_file["cost_model"]),
        active_mask=mask_of(item.index for item in by_index if item.active),
        diluent_mask=mask_of(item.index for item in by_index if item.role == "diluent"),
        prescription_mask=mask_of(item.index for item in by_index if item.prescription_only),
        apart=apart,
        never_together=never,
        hurried=hurried,
        ph_low=tuple(0 if item.unbuffered else int(item.ph_min * ph_scale) for item in by_index),
        ph_high=tuple(14 * ph_scale if item.unbuffered else int(item.ph_max * ph_scale) for item in by_index),
        ph_scale=ph_scale,
        cost_index=tuple(int(item.cost_per_ml * cost_scale) for item in by_index),
        cost_scale=cost_scale,
        rules_by_fact=_rules_by_fact(rules),
        causes={entry["fact"]: build_trigger(entry["cause"], facts) for entry in screening.get("asked_with_cause", ())},
    )
    return formulary.switched(activate=activate, deactivate=deactivate)


def _d(value: Any) -> Decimal:
    return Decimal(str(value))


def _scale(values: Iterable[Decimal]) -> int:
    """The smallest power of ten that makes all these numbers whole."""
    return int(10 ** max((max(0, -int(value.as_tuple().exponent)) for value in values), default=0))


def _facts(entries: Mapping[str, Any], ingredient_keys: tuple[str, ...]) -> dict[str, FactShape]:
    return {
        key: FactShape(
            key=key,
            type=entry["type"],
            values=ingredient_keys if entry.get("values_from") == "ingredients" else tuple(entry.get("values", ())),
            minimum=None if entry.get("minimum") is None else _d(entry["minimum"]),
            maximum=None if entry.get("maximum") is None else _d(entry["maximum"]),
            only_if_fact=entry.get("only_if", {}).get("fact", ""),
            only_if_value=entry.get("only_if", {}).get("value", ""),
        )
        for key, entry in entries.items()
    }


def _concerns(documents: Mapping[str, Any]) -> dict[str, FormularyConcern]:
    words = {entry["key"]: entry for entry in documents["vocabulary"]["concerns"]["concerns"]}
    return {
        entry["key"]: FormularyConcern(
            key=entry["key"],
            first_choice=tuple(entry["anchors"]["first_choice"]),
            supporting=tuple(entry["anchors"]["supporting"]),
            referral_first=entry["referral_first"],
            referral_rule=entry.get("referral_rule", ""),
            scales=tuple(words[entry["key"]]["severity_scales"]),
            sources=tuple(entry["source_ids"]),
            settles=_settles(entry),
        )
        for entry in documents["concerns"]["concerns"]
    }


def _scales(documents: Mapping[str, Any]) -> dict[str, ScaleOfStages]:
    sources = {entry["scale"]: tuple(entry["source_ids"]) for entry in documents["concerns"]["scale_sources"]}
    return {
        entry["key"]: ScaleOfStages(
            key=entry["key"],
            fact=entry.get("fact", ""),
            applies_to_sex=entry["applies_to_sex"],
            bands={stage["code"]: stage["band"] for stage in entry["stages"]},
            sources=sources.get(entry["key"], ()),
        )
        for entry in documents["vocabulary"]["scales"]["scales"]
    }


def _zones(entries: Iterable[Mapping[str, Any]]) -> dict[str, ZoneArea]:
    return {
        entry["key"]: ZoneArea(
            key=entry["key"],
            area_cm2=_d(entry["area_cm2"]),
            area_min_cm2=_d(entry["area_min_cm2"]),
            area_max_cm2=_d(entry["area_max_cm2"]),
        )
        for entry in entries
    }


def _referrals(entries: Iterable[Mapping[str, Any]]) -> dict[str, Referral]:
    return {
        entry["key"]: Referral(
            key=entry["key"], to=entry["to"], urgency=entry["urgency"], sources=tuple(entry["source_ids"])
        )
        for entry in entries
    }


def _ingredient(entry: Mapping[str, Any], index: int, step: Decimal, kinds: Mapping[str, str]) -> Ingredient:
    volume, stock, flags = entry["per_session"]["volume"], entry["stock"], entry["flags"]
    maximum = entry["per_session"]["max_dose"]
    concentration = _d(stock["concentration"])
    highest = min(_d(volume["max"]), _d(maximum["value"]) / concentration)
    least = int((_d(volume["min"]) / step).to_integral_value(ROUND_CEILING))
    most = int((highest / step).to_integral_value(ROUND_FLOOR))
    usual = int((_d(volume["usual"]) / step).to_integral_value(ROUND_HALF_UP))
    return Ingredient(
        key=entry["key"],
        name=entry["name"],
        ingredient_class=entry["class"],
        role=entry["role"],
        active=entry["default_active"],
        addresses={
            line["concern"]: Address(
                concern=line["concern"],
                strength=line["strength"],
                grade=line["evidence_grade"],
                direction=line["direction"],
                note=line["note"],
                sources=tuple(line["source_ids"]),
                web_article_only=line["direction"] == "untested"
                and any(kinds[source] == "web_article" for source in line["source_ids"]),
            )
            for line in entry["concerns"]
        },
        concentration=concentration,
        concentration_unit=stock["concentration_unit"],
        dose_unit=entry["per_session"]["dose"]["unit"],
        volume_min_ml=_d(volume["min"]),
        volume_usual_ml=_d(volume["usual"]),
        volume_max_ml=_d(volume["max"]),
        max_dose=Dose(amount=_d(maximum["value"]), unit=maximum["unit"]),
        min_interval_days=entry["per_session"]["min_interval_days"],
        ph_min=_d(entry["solution"]["ph_min"]),
        ph_max=_d(entry["solution"]["ph_max"]),
        solvent=entry["solution"]["solvent"],
        unbuffered=entry["solution"].get("unbuffered", False),
        osmolality=_osmolality(entry["solution"].get("osmolality")),
        flags=flags,
        allergens=tuple(flags["allergens"]),
        prescription_only=entry["regulatory"]["prescription_only"],
        director_confirmation_required=entry["director_confirmation_required"],
        cost_per_ml=_d(entry["relative_cost_per_ml"]),
        sources=tuple(entry["source_ids"]),
        basis=entry["per_session"]["basis"],
        index=index,
        min_steps=least if entry["role"] == "diluent" else max(1, least),
        usual_steps=max(least, min(most, usual)),
        max_steps=most,
    )


def _osmolality(data: Mapping[str, Any] | None) -> Decimal | None:
    return None if data is None or data["value"] is None else _d(data["value"])


def _scope(data: Mapping[str, Any], by_index: tuple[Ingredient, ...]) -> Scope:
    kind = data["scope"]
    if kind == "plan":
        return Scope(kind=kind)
    if kind in ("listed_in_fact", "zones"):
        return Scope(kind=kind, fact=data["fact"])
    if kind == "ingredients":
        chosen = (item for item in by_index if item.key in data["keys"])
    elif kind == "class":
        chosen = (item for item in by_index if item.ingredient_class in data["classes"])
    elif kind == "flag":
        chosen = (item for item in by_index if item.flags.get(data["flag"]) == data["equals"])
    elif kind == "allergen":
        chosen = (item for item in by_index if data["allergen"] in item.allergens)
    elif kind == "prescription_only":
        chosen = (item for item in by_index if item.prescription_only)
    else:
        raise ValueError(f"unknown scope {kind}")
    return Scope(kind=kind, mask=mask_of(item.index for item in chosen))


def _rule(entry: Mapping[str, Any], facts: Mapping[str, FactShape], by_index: tuple[Ingredient, ...]) -> Rule:
    return Rule(
        key=entry["key"],
        severity=entry["severity"],
        scope=_scope(entry["applies_to"], by_index),
        trigger=build_trigger(entry["trigger"], facts),
        postponed=bool(entry.get("until")),
        refer=entry.get("refer", ""),
        sources=tuple(entry["source_ids"]),
    )


def _referral_rules(entries: Iterable[Mapping[str, Any]], facts: Mapping[str, FactShape]) -> Iterable[Rule]:
    """A concern that needs a diagnosis first blocks the plan until what clears it has been recorded."""
    for entry in entries:
        if entry["referral_first"]:
            cleared = build_trigger(entry["cleared_when"], facts)
            yield Rule(
                key=f"referral_first_{entry['key']}",
                severity="absolute",
                scope=Scope(kind="plan"),
                trigger=cleared,
                postponed=True,
                refer=entry["referral_rule"],
                sources=tuple(entry["source_ids"]),
                referral_of_concern=entry["key"],
            )


def _rules_by_fact(rules: tuple[Rule, ...]) -> dict[str, tuple[Rule, ...]]:
    index: dict[str, list[Rule]] = {}
    for rule in rules:
        for fact in dict.fromkeys(rule.trigger.facts()):
            index.setdefault(fact, []).append(rule)
    return {fact: tuple(found) for fact, found in index.items()}


def _selector(data: Any, by_index: tuple[Ingredient, ...]) -> int:
    if isinstance(data, str):
        return mask_of(item.index for item in by_index if item.key == data)
    if "flag" in data:
        return mask_of(item.index for item in by_index if item.flags.get(data["flag"]) == data["equals"])
    if "class" in data:
        return mask_of(item.index for item in by_index if item.ingredient_class == data["class"])
    if "solvent" in data:
        return mask_of(item.index for item in by_index if item.solvent == data["solvent"])
    return mask_of(item.index for item in by_index if item.role != "diluent")


def _pair(entry: Mapping[str, Any], by_index: tuple[Ingredient, ...]) -> Pair:
    return Pair(
        key=entry["key"],
        a_mask=_selector(entry["a"], by_index),
        b_mask=_selector(entry["b"], by_index),
        severity=entry["severity"],
        scope=entry["scope"],
        kind=entry["kind"],
        rationale=entry["rationale"],
        sources=tuple(entry["source_ids"]),
    )


def _pair_masks(pairs: tuple[Pair, ...], count: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    apart, never, hurried = [0] * count, [0] * count, [0] * count
    for pair in pairs:
        for i in range(count):
            others = (pair.b_mask if pair.a_mask >> i & 1 else 0) | (pair.a_mask if pair.b_mask >> i & 1 else 0)
            others &= ~(1 << i)
            if pair.severity == "use_immediately":
                hurried[i] |= others
            else:
                apart[i] |= others
                if pair.scope == "session":
                    never[i] |= others
    return tuple(apart), tuple(never), tuple(hurried)


def _settles(entry: Mapping[str, Any]) -> Settling | None:
    """What the formulary says of a concern that usually goes away by itself; a review is given in weeks."""
    said = entry.get("settles_by_itself")
    if said is None:
        return None
    rule = f"concerns.{entry['key']}.settles_by_itself"
    return Settling(review_days=said["review"]["value"] * 7, rule=rule, sources=tuple(said["source_ids"]))


def _waiting(course: Mapping[str, Any]) -> Settling:
    """When somebody who waits is looked at again. A formulary from before waiting was an alternative says how long
    after its last session a course is judged: that long, then."""
    said = course.get("waiting")
    if said is not None:
        return Settling(
            review_days=said["review"]["value"] * 7, rule="course.waiting", sources=tuple(said["source_ids"])
        )
    days = [days for entry in course["checkpoints"] if (days := entry["when"].get("days_after_last_session"))]
    sources = course["sessions"]["interval_limits"]["source_ids"]
    return Settling(review_days=max(days), rule="course.checkpoints", sources=tuple(sources))


def _composition(course: Mapping[str, Any], by_index: tuple[Ingredient, ...]) -> CompositionRules:
    data = course["composition"]
    weights = data["selection_weights"]
    earned = _d(weights["simplicity_per_active"])
    in_words = data.get("contribution_in_words") or {"much_from": earned * 2, "some_from": earned}
    families = tuple(
        Family(
            key="+".join(entry.get("classes") or entry["ingredients"]),
            mask=mask_of(
                item.index
                for item in by_index
                if item.role != "diluent"
                and (item.ingredient_class in entry.get("classes", ()) or item.key in entry.get("ingredients", ()))
            ),
            maximum=entry["max"],
            reason=entry["reason"],
            sources=tuple(data["source_ids"]),
        )
        for entry in data["same_family_limit"]
    )
    return CompositionRules(
        max_actives=data["max_active_ingredients_per_session"],
        max_actives_per_syringe=data["max_active_ingredients_per_syringe"],
        max_syringes=data["max_syringes_per_session"],
        max_diluent_share=_d(data["max_diluent_share_of_syringe"]),
        top_up=tuple(data["top_up_diluents"]),
        severity_weight={key: _d(value) for key, value in weights["severity"].items()},
        grade_weight={key: _d(value) for key, value in weights["evidence_grade"].items()},
        direction_weight={key: _d(value) for key, value in weights["direction"].items()},
        simplicity=_d(weights["simplicity_per_active"]),
        caution=_d(weights["caution_per_rule"]),
        extra_syringe=_d(weights["extra_syringe"]),
        families=families,
        sources=tuple(data["source_ids"]),
        waiting=_waiting(course),
        much=_d(in_words["much_from"]),
        some=_d(in_words["some_from"]),
        mixture=_mixture_limits(data.get("mixture_limits")),
    )


def _mixture_limits(data: Mapping[str, Any] | None) -> MixtureLimits | None:
    if data is None:
        return None
    return MixtureLimits(
        ph_width=_d(data["ph_window"]["min_width"]),
        ph_min=_d(data["final_ph"]["min"]),
        ph_max=_d(data["final_ph"]["max"]),
        osmolality_max=_d(data["osmolality"]["max"]),
        smallest_share=_d(data["smallest_syringe"]["min_share"]),
        sources=tuple(data["source_ids"]),
    )


def _course(data: Mapping[str, Any]) -> CourseRules:
    sessions, duration, technique = data["sessions"], data["session_duration"], data["technique"]
    calculation, target, per_point = duration["calculation"], technique["target_volume"], technique["volume_per_point"]
    return CourseRules(
        bands={entry["severity"]: _band(entry) for entry in sessions["by_severity"]},
        max_sessions=sessions["absolute_max_sessions_per_course"],
        absolute_min_interval=sessions["interval_limits"]["absolute_min"]["value"],
        minutes_min=duration["min"],
        minutes_max=duration["max"],
        minutes_base=_d(calculation["base_minutes"]),
        minutes_from_cm2=_d(calculation["from_cm2"]),
        minutes_cm2_per_minute=_d(calculation["cm2_per_minute"]),
        extra_minutes=duration["appointment_minutes_extra"]["value"],
        methods=tuple(_method(entry) for entry in technique["methods"]),
        spacing=tuple(
            SpacingBand(
                from_cm2=_d(entry["area_cm2_from"]),
                up_to_cm2=_d(entry["area_cm2_up_to"]),
                cm2_per_point=_d(entry["area_per_point_cm2"]),
            )
            for entry in technique["spacing_rule"]
        ),
        target_per_cm2=_d(target["per_cm2"]),
        target_min_ml=_d(target["min"]),
        target_max_ml=_d(target["max"]),
        ceiling_ml=_d(technique["max_total_volume_per_session"]["value"]),
        largest_syringe_ml=max(_d(volume) for volume in technique["syringe"]["volumes"]),
        step_ml=_d(technique["draw_step"]["value"]),
        point_min_ml=_d(per_point["min"]),
        point_default_ml=_d(per_point["default"]),
        point_max_ml=_d(per_point["max"]),
        needle=technique["needle"]["default"],
        change_needle_every=technique["needle"]["change_every_points"],
        checkpoints=tuple(_checkpoint(entry) for entry in data["checkpoints"]),
        technique_sources=tuple(technique["source_ids"]),
        duration_sources=tuple(duration["source_ids"]),
        interval_sources=tuple(sessions["interval_limits"]["source_ids"]),
    )


def _band(entry: Mapping[str, Any]) -> CourseBand:
    return CourseBand(
        severity=entry["severity"],
        sessions_min=entry["sessions"]["min"],
        sessions_default=entry["sessions"]["default"],
        sessions_max=entry["sessions"]["max"],
        interval_min=entry["interval"]["min"],
        interval_default=entry["interval"]["default"],
        interval_max=entry["interval"]["max"],
        span_min=entry["span"]["min"],
        span_max=entry["span"]["max"],
        default_offsets=tuple(entry["default_offsets"]["values"]),
        schedules=tuple(
            (schedule["name"], tuple(schedule["offsets"])) for schedule in entry.get("alternative_schedules", ())
        ),
        sources=tuple(entry["source_ids"]),
    )


def _method(entry: Mapping[str, Any]) -> Method:
    chosen = entry.get("choose_when", {})
    return Method(
        key=entry["key"],
        depth_min_mm=_d(entry["depth"]["min"]),
        depth_max_mm=_d(entry["depth"]["max"]),
        angle_min=entry["angle_degrees"]["min"],
        angle_max=entry["angle_degrees"]["max"],
        is_default=entry.get("default", False),
        for_concerns=tuple(chosen.get("concerns", ())),
        for_ingredients=tuple(chosen.get("ingredients", ())),
    )


def _checkpoint(entry: Mapping[str, Any]) -> Checkpoint:
    fallback = entry.get("if_fewer_sessions", {}).get("days_after_last_session", {})
    return Checkpoint(
        key=entry["key"],
        after_session=entry["when"].get("after_session"),
        days_after_last=entry["when"].get("days_after_last_session"),
        fallback_min=fallback.get("min"),
        fallback_default=fallback.get("default"),
        fallback_max=fallback.get("max"),
        measures=tuple(entry["measures"]),
        applies_to=tuple(entry["applies_to"]),
    )


def _cost(data: Mapping[str, Any]) -> CostRules:
    return CostRules(
        base=_d(data["base_session_units"]),
        ingredient_unit=_d(data["ingredient_unit_value"]),
        regions={entry["key"]: _d(entry["multiplier"]) for entry in data["region"]},
        providers={entry["key"]: _d(entry["multiplier"]) for entry in data["provider"]},
        injection_bands=tuple((entry["points_up_to"], _d(entry["multiplier"])) for entry in data["injection_band"]),
        packages={entry["sessions"]: _d(entry["multiplier"]) for entry in data["package"]},
        low_percent=_d(data["estimate_range_percent"]["low"]),
        high_percent=_d(data["estimate_range_percent"]["high"]),
        sources=tuple(data["source_ids"]),
    )


__all__ = ["SEX_FACT", "Formulary", "Rule", "Test", "build_formulary"]
