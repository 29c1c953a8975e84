"""Checks of the course, the composition, the cost and the release."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from protocols.formulary.checking.words import Checked, fraction, review, sourced, unknown

SEVERITIES = ("mild", "moderate", "severe")
NUMBER = re.compile(r"(?<![A-Za-z_\d.])\d+(?:\.\d+)?")
RELEASE_FIELDS = {"schema_version", "label", "follows", "changes"}
ABOUT = ("rules", "pairs", "ingredients", "facts")


def check_course(check: Checked) -> Iterator[str]:
    course = check.d["course"]
    sessions, most = course["sessions"]["by_severity"], course["sessions"]["absolute_max_sessions_per_course"]
    if tuple(entry["severity"] for entry in sessions) != SEVERITIES:
        yield f"course: sessions must be given for {', '.join(SEVERITIES)}, in this order"
    for entry in sessions:
        where = f"course, {entry['severity']}"
        yield from sourced(check, where, entry)
        for name in ("sessions", "interval"):
            if not 0 < entry[name]["min"] <= entry[name]["default"] <= entry[name]["max"]:
                yield f"{where}: {name} must have min <= default <= max"
        if entry["sessions"]["max"] > most:
            yield f"{where}: more than {most} sessions"
        schedules = [("default_offsets", entry["default_offsets"]["values"])]
        schedules += [(each["name"], each["offsets"]) for each in entry.get("alternative_schedules", ())]
        for name, offsets in schedules:
            yield from _schedule(f"{where}, {name}", entry, offsets)
    yield from _formulas(check, course)


def _formulas(check: Checked, course: Mapping[str, Any]) -> Iterator[str]:
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
        raw = fraction(calculation["base_minutes"]) + (
            fraction(example["area_cm2"]) - fraction(calculation["from_cm2"])
        ) / fraction(calculation["cm2_per_minute"])
        if max(duration["min"], min(duration["max"], -(-raw.numerator // raw.denominator))) != example["minutes"]:
            yield f"course: the duration for {example['area_cm2']} cm2 is not the example's"
    text = [fraction(number) for number in NUMBER.findall(technique["target_volume_formula"])]
    if text != [fraction(target["min"]), fraction(target["max"]), fraction(target["per_cm2"])]:
        yield "course: technique.target_volume does not repeat the numbers of its formula"
    if fraction(target["max"]) > fraction(technique["max_total_volume_per_session"]["value"]):
        yield "course: the largest target volume exceeds max_total_volume_per_session"
    reached: Any = 0
    for band in technique["spacing_rule"]:
        if fraction(band["area_cm2_from"]) != fraction(reached) or fraction(band["area_per_point_cm2"]) <= 0:
            yield "course: the bands of technique.spacing_rule do not follow each other"
        reached = band["area_cm2_up_to"]
    if sum(1 for method in technique["methods"] if method.get("default")) != 1:
        yield "course: exactly one method of technique must be the default"
    for method in technique["methods"]:
        chosen = method.get("choose_when", {})
        for key in chosen.get("concerns", ()):
            if key not in check.concerns:
                yield f"course, method {method['key']}: unknown concern {key}"
        for key in chosen.get("ingredients", ()):
            if key not in check.ingredients:
                yield f"course, method {method['key']}: unknown ingredient {key}"


def check_composition(check: Checked) -> Iterator[str]:
    rules = check.d["course"]["composition"]
    for name in (
        "max_active_ingredients_per_session",
        "max_active_ingredients_per_syringe",
        "max_syringes_per_session",
    ):
        if not isinstance(rules[name], int) or rules[name] < 1:
            yield f"composition: {name} must be a whole number above 0"
    if rules["max_active_ingredients_per_session"] > 16 or rules["max_syringes_per_session"] > 8:
        yield "composition: more than 16 actives or 8 syringes are not supported"
    if not 0 <= fraction(rules["max_diluent_share_of_syringe"]) < 1:
        yield "composition: the share of a diluent must be from 0 to below 1"
    for key in rules["top_up_diluents"]:
        if key not in check.ingredients or check.ingredients[key]["role"] != "diluent":
            yield f"composition: {key} is no diluent"
    scale = check.d["ingredients"]
    for name, expected in (
        ("severity", set(SEVERITIES)),
        ("evidence_grade", set(scale["evidence_scale"])),
        ("direction", set(scale["direction_values"])),
    ):
        if set(check.weights[name]) != expected:
            yield f"composition: the weights of {name} must be given for {', '.join(sorted(expected))}"
        if any(fraction(weight) < 0 for weight in check.weights[name].values()):
            yield f"composition: a weight of {name} is negative"
    for name in ("simplicity_per_active", "caution_per_rule", "extra_syringe"):
        if fraction(check.weights[name]) < 0:
            yield f"composition: {name} is negative"
    if (words := rules.get("contribution_in_words")) is not None and not (
        0 < fraction(words["some_from"]) < fraction(words["much_from"])
    ):
        yield "composition: contribution_in_words must rise from some to much, above 0"
    if (waiting := check.d["course"].get("waiting")) is not None:
        yield from sourced(check, "course, waiting", waiting)
        yield from review("course, waiting", waiting)
        if not waiting["advice"]:
            yield "course, waiting: it says nothing to the patient"
    for sentence in check.d["course"]["patient_expectation_text"]:
        for key in sentence["concerns"] if isinstance(sentence, Mapping) else ():
            if key not in check.concerns:
                yield f"course, patient_expectation_text: unknown concern {key}"
    for entry in rules["same_family_limit"]:
        for key in entry.get("ingredients", ()):
            if key not in check.ingredients:
                yield f"composition, family: unknown ingredient {key}"
        for key in entry.get("classes", ()):
            if key not in scale["classes"]:
                yield f"composition, family: unknown class {key}"


def check_release(check: Checked) -> Iterator[str]:
    """The words on what changed are about entries that are there."""
    release, screening = check.d["release"], check.d["screening"]
    yield from unknown("release", release, RELEASE_FIELDS)
    if not release.get("label") or release["label"] == release.get("follows"):
        yield "release: it needs a name of its own"
    known = {
        "rules": {entry["key"] for entry in screening["rules"]},
        "pairs": {entry["key"] for entry in screening["incompatibilities"]},
        "ingredients": set(check.ingredients),
        "facts": set(check.facts),
    }
    for number, change in enumerate(release["changes"], start=1):
        where = f"release, change {number}"
        yield from unknown(where, change, {"text", *ABOUT})
        if not change.get("text"):
            yield f"{where}: it says nothing"
        for name in ABOUT:
            for key in change.get(name, ()):
                if key not in known[name]:
                    yield f"{where}: unknown {name.removesuffix('s')} {key}"


def check_cost(check: Checked) -> Iterator[str]:
    cost = check.d["course"]["cost_model"]
    for name in ("region", "provider", "injection_band", "package"):
        if not cost[name]:
            yield f"cost_model: {name} is empty"
        if any(fraction(entry["multiplier"]) <= 0 for entry in cost[name]):
            yield f"cost_model: a multiplier of {name} is not above 0"
    limits = [entry["points_up_to"] for entry in cost["injection_band"]]
    if limits != sorted(set(limits)):
        yield "cost_model: the injection bands are out of order"


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
