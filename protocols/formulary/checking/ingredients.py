"""Checks of ingredients and concerns: their amounts, their evidence, what a mixture may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from protocols.formulary.checking.rules import check_trigger
from protocols.formulary.checking.words import FLAGS, Checked, fraction, review, sourced, unknown

INGREDIENT_FIELDS = {
    "key", "name", "synonyms", "inci_name", "inn_name", "class", "role", "named_in_article", "cas", "unii", "origin",
    "mechanism", "concerns", "stock", "elemental", "per_session", "solution", "storage", "flags", "regulatory",
    "activation", "default_active", "director_confirmation_required", "relative_cost_per_ml", "source_ids",
}  # fmt: skip
ROLES = {"active", "carrier", "diluent"}
CONCERN_FIELDS = {
    "key", "referral_first", "referral_rule", "cleared_when", "anchors", "article_claims", "settles_by_itself",
    "evidence_note", "source_ids",
}  # fmt: skip
OSMOLALITY_UNIT = "mOsm/kg"
OSMOLALITY_BASES = {"product_labelling", "calculated", "clinic_default", "unknown"}


def check_ingredients(check: Checked) -> Iterator[str]:
    scale = check.d["ingredients"]
    for key, entry in check.ingredients.items():
        where = f"ingredient {key}"
        yield from unknown(where, entry, INGREDIENT_FIELDS)
        yield from unknown(f"{where}, flags", entry["flags"], FLAGS)
        yield from sourced(check, where, entry)
        if entry["class"] not in scale["classes"]:
            yield f"{where}: unknown class {entry['class']}"
        if entry["role"] not in ROLES:
            yield f"{where}: unknown role {entry['role']}"
        if entry["default_active"] is not (entry["activation"] == "on_by_default"):
            yield f"{where}: activation and default_active contradict each other"
        if fraction(entry["relative_cost_per_ml"]) < 0:
            yield f"{where}: relative_cost_per_ml is negative"
        yield from _addresses(check, where, entry, scale)
        yield from _amounts(check, where, entry)


def _addresses(check: Checked, where: str, entry: Mapping[str, Any], scale: Mapping[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    for line in entry["concerns"]:
        if line["concern"] not in check.concerns:
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
        yield from sourced(check, f"{where}, {line['concern']}", line)
    if entry["role"] == "diluent" and entry["concerns"]:
        yield f"{where}: a diluent serves no concern"


def _amounts(check: Checked, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    stock, session = entry["stock"], entry["per_session"]
    volume, dose, most = session["volume"], session["dose"], session["max_dose"]
    concentration = fraction(stock["concentration"])
    if concentration <= 0:
        yield f"{where}: the concentration must be above 0"
        return
    for name, amounts in (("volume", volume), ("dose", dose)):
        if not 0 <= fraction(amounts["min"]) <= fraction(amounts["usual"]) <= fraction(amounts["max"]):
            yield f"{where}: {name} must have min <= usual <= max"
    for level in ("min", "usual", "max"):
        if fraction(dose[level]) != concentration * fraction(volume[level]):
            yield (
                f"{where}: {level} dose {dose[level]} is not concentration {stock['concentration']} "
                f"x volume {volume[level]}"
            )
    if fraction(dose["max"]) > fraction(most["value"]):
        yield f"{where}: the dose at maximum volume exceeds max_dose"
    if volume["unit"] != "mL" or most["unit"] != dose["unit"]:
        yield f"{where}: the units of volume, dose and max_dose do not agree"
    if stock["concentration_unit"] != f"{dose['unit']}/mL":
        yield f"{where}: concentration in {stock['concentration_unit']}, dose in {dose['unit']}"
    if entry["role"] != "diluent" and fraction(volume["max"]) <= 0:
        yield f"{where}: the maximum volume must be above 0"
    if not isinstance(session["min_interval_days"], int) or session["min_interval_days"] < 0:
        yield f"{where}: min_interval_days must be a whole number of days"
    if not 0 <= fraction(entry["solution"]["ph_min"]) <= fraction(entry["solution"]["ph_max"]) <= 14:
        yield f"{where}: the pH range is out of order"


def check_concerns(check: Checked) -> Iterator[str]:
    listed = {entry["key"] for entry in check.d["concerns"]["concerns"]}
    for key in sorted(check.concerns - listed):
        yield f"concern {key}: the vocabulary has it, the formulary says nothing of it"
    for entry in check.d["concerns"]["concerns"]:
        where = f"concern {entry['key']}"
        yield from unknown(where, entry, CONCERN_FIELDS)
        yield from sourced(check, where, entry)
        if entry["key"] not in check.concerns:
            yield f"{where}: the vocabulary lacks it"
        if (settles := entry.get("settles_by_itself")) is not None:
            yield from unknown(f"{where}, settles_by_itself", settles, {"review", "advice", "source_ids"})
            yield from sourced(check, f"{where}, settles_by_itself", settles)
            yield from review(f"{where}, settles_by_itself", settles)
        first, supporting = entry["anchors"]["first_choice"], entry["anchors"]["supporting"]
        for key in (*first, *supporting):
            ingredient = check.ingredients.get(key)
            if ingredient is None:
                yield f"{where}: unknown ingredient {key}"
            elif entry["key"] not in {line["concern"] for line in ingredient["concerns"]}:
                yield f"{where}: its anchor {key} does not serve it"
        for key in sorted(set(first) & set(supporting)):
            yield f"{where}: {key} is first choice and supporting"
        if entry["referral_first"]:
            if entry.get("referral_rule") not in check.referrals:
                yield f"{where}: unknown referral {entry.get('referral_rule')}"
            if "cleared_when" not in entry:
                yield f"{where}: referral_first needs cleared_when, which says when a diagnosis has been recorded"
            else:
                yield from check_trigger(check, f"{where}, cleared_when", entry["cleared_when"])
    scales = {entry["key"] for entry in check.d["vocabulary"]["scales"]["scales"]}
    for entry in check.d["concerns"]["scale_sources"]:
        if entry["scale"] not in scales:
            yield f"scale_sources: unknown scale {entry['scale']}"
    for entry in check.d["concerns"]["article_sentence_map"]:
        if entry["article_claim"] not in check.claims:
            yield f"article_sentence_map: unknown article claim {entry['article_claim']}"
        for key in entry["concerns"]:
            if key not in check.concerns:
                yield f"article_sentence_map {entry['article_claim']}: unknown concern {key}"


def check_required(check: Checked) -> Iterator[str]:
    for name, keys in check.d["screening"]["required_before_plan"].items():
        if name == "note":
            continue
        if name != "always" and name.removeprefix("if_sex_") not in check.facts["sex_at_birth"]["values"]:
            yield f"required_before_plan: unknown condition {name}"
        for key in keys:
            if key not in check.facts:
                yield f"required_before_plan: the vocabulary lacks the fact {key}"


def check_mixture_limits(check: Checked) -> Iterator[str]:
    """A formulary without them comes from before they were known; one with them says what each solution is."""
    limits = check.d["course"]["composition"].get("mixture_limits")
    if limits is None:
        return
    yield from sourced(check, "composition, mixture_limits", limits)
    if not 0 <= fraction(limits["final_ph"]["min"]) < fraction(limits["final_ph"]["max"]) <= 14:
        yield "composition, mixture_limits: the final pH is out of order"
    if not 0 <= fraction(limits["ph_window"]["min_width"]) <= 2:
        yield "composition, mixture_limits: the width of the pH window must be from 0 to 2"
    if limits["osmolality"]["unit"] != OSMOLALITY_UNIT or not 300 <= fraction(limits["osmolality"]["max"]) <= 2000:
        yield f"composition, mixture_limits: the osmolality must be from 300 to 2000 {OSMOLALITY_UNIT}"
    if not 0 <= fraction(limits["smallest_syringe"]["min_share"]) <= Fraction(1, 3):
        yield "composition, mixture_limits: the share of the smallest syringe must be from 0 to a third"
    for key, entry in check.ingredients.items():
        yield from _osmolality(check, f"ingredient {key}", entry)


def _osmolality(check: Checked, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    said = entry["solution"].get("osmolality")
    if said is None:
        yield f"{where}: it says nothing of its osmolality; where it is unknown, that has to be said"
        return
    if said["basis"] not in OSMOLALITY_BASES:
        yield f"{where}: unknown basis {said['basis']} of its osmolality"
    if (said["value"] is None) != (said["basis"] == "unknown"):
        yield f"{where}: an osmolality is null where its basis is unknown, and only there"
    if said["unit"] != OSMOLALITY_UNIT or (said["value"] is not None and not 0 <= fraction(said["value"]) <= 20_000):
        yield f"{where}: its osmolality must be from 0 to 20000 {OSMOLALITY_UNIT}"
    if entry["solution"].get("unbuffered") and entry["role"] != "diluent":
        yield f"{where}: only a diluent may be unbuffered"
