"""Course: the days of the sessions, their windows and intervals, the technique and the checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

from protocols.engine.inputs.policy import Policy
from protocols.engine.verify.context import Context, four_digits, fraction, syringes_of

FOR_EVER = Fraction(10**6)
"""Days, more than any course takes."""


def check_course(context: Context) -> None:
    said = context.answer["course"]
    band = band_of(context)
    days, gap = said["offsets_days"], band["interval"]
    floor = max(gap["min"], context.course["sessions"]["interval_limits"]["absolute_min"]["value"])
    name, asked = schedule_asked_for(context, band)
    context.same("course.sessions", said["sessions"], len(asked), "not_as_asked")
    context.same("course.schedule", said["schedule"], name, "not_as_asked")
    context.same("course.offsets_days", list(days), asked, "not_as_asked")
    context.same("course.sessions", said["sessions"], len(days))
    most = context.course["sessions"]["absolute_max_sessions_per_course"]
    context.holds("course.sessions", len(days) <= most, "too_many_sessions", most, len(days))
    limits = band["sessions"]
    context.holds(
        "course.sessions", limits["min"] <= len(days) <= limits["max"], "sessions_outside_rule", limits, len(days)
    )
    context.same("course.offsets_days[0]", days[0], 0)
    for number, (a, b) in enumerate(pairwise(days), start=1):
        context.holds(f"course.gap[{number}]", floor <= b - a <= gap["max"], "interval_outside_rule", gap, b - a)
    context.same("course.span_days", said["span_days"], days[-1])
    span = band["span"]
    context.holds("course.span_days", span["min"] <= days[-1] <= span["max"], "span_outside_rule", span, days[-1])
    for name, expected in (
        ("sessions_min", limits["min"]), ("sessions_max", limits["max"]), ("span_min_days", span["min"]),
        ("span_max_days", span["max"]), ("min_gap_days", floor), ("ideal_gap_days", gap["default"]),
        ("max_gap_days", gap["max"]),
    ):  # fmt: skip
        context.same(f"course.{name}", said[name], expected)
    check_own_intervals(context, days, floor)
    check_windows(context, days, floor, gap["max"], span)
    duration = context.course["session_duration"]
    sums = duration["calculation"]
    raw = fraction(sums["base_minutes"]) + (context.area - fraction(sums["from_cm2"])) / fraction(
        sums["cm2_per_minute"]
    )
    minutes = sorted((duration["min"], int(-(-raw // 1)), duration["max"]))[1]
    context.same("course.duration_minutes", said["duration_minutes"], minutes)
    extra = duration["appointment_minutes_extra"]["value"]
    context.same("course.appointment_minutes", said["appointment_minutes"], minutes + extra)
    context.same("course.appointment_minutes_extra", said["appointment_minutes_extra"], extra)
    context.same("course.points", said["points"], int(context.points))
    each = fraction(context.answer["total_volume_ml"]) / context.points
    context.number("course.volume_per_point_ml", said["volume_per_point_ml"], four_digits(each))
    context.holds("course.points", each <= fraction(context.needle["volume_per_point"]["max"]), "too_much_per_point")
    check_method(context, said)
    check_checkpoints(context, said, days)


def schedule_asked_for(context: Context, band: Mapping[str, Any]) -> tuple[str, list[int]]:
    """The days of the sessions by the policy and the edits; where they ask for nothing, by the rule."""
    named = named_schedules(context, band)
    usual, limits = list(band["default_offsets"]["values"]), band["sessions"]
    asked = asked_policy(context, named)
    count = limits["default"]
    if asked.sessions is not None:
        count = sorted((limits["min"], asked.sessions, limits["max"]))[1]
    if asked.schedule in named and (asked.sessions is None or len(named[asked.schedule]) == count):
        return asked.schedule, named[asked.schedule]
    if len(usual) == count:
        return "default", usual
    for name, days in named.items():
        if len(days) == count:
            return name, days
    if count == 1:
        return "even", [0]
    gap, span = band["interval"], band["span"]
    fitting = [each for each in range(gap["min"], gap["max"] + 1) if span["min"] <= each * (count - 1) <= span["max"]]
    if not fitting:  # no even course keeps the rule: whatever is said will break one of the limits below
        return "even", list(context.answer["course"]["offsets_days"])
    each = min(fitting, key=lambda days: abs(days - gap["default"]))
    return "even", [each * place for place in range(count)]


def band_of(context: Context) -> Mapping[str, Any]:
    bands: Iterable[Mapping[str, Any]] = context.course["sessions"]["by_severity"]
    return next(entry for entry in bands if entry["severity"] == context.worst)


def named_schedules(context: Context, band: Mapping[str, Any]) -> dict[str, list[int]]:
    return {entry["name"]: list(entry["offsets"]) for entry in band.get("alternative_schedules", ())}


def asked_policy(context: Context, named: Mapping[str, Sequence[int]]) -> Policy:
    """The policy with what edits of the course have changed in it, the last word winning."""
    policy = context.policy
    for edit in context.answer["edits"]:
        if edit["op"] == "set_sessions":
            policy = replace(policy, sessions=edit["sessions"], schedule=None)
        elif edit["op"] == "set_schedule":
            days = named[edit["schedule"]]
            policy = replace(policy, sessions=len(days), schedule=edit["schedule"])
    return policy


def check_own_intervals(context: Context, days: Sequence[int], floor: int) -> None:
    """No ingredient comes back before its own shortest interval, neither at the planned days nor in the windows."""
    used: dict[str, list[int]] = {}
    for number in range(1, len(days) + 1):
        for key in sorted({line["ingredient"] for s in syringes_of(context, number) for line in s["lines"]}):
            used.setdefault(key, []).append(number)
    needed = set()
    for key, numbers in used.items():
        own = context.things[key]["per_session"]["min_interval_days"]
        if context.things[key]["role"] != "diluent":  # that one comes where there is room for it
            context.holds(f"course.{key}", numbers[0] == 1, "absent_from_first_session", found=numbers)
        for a, b in pairwise(numbers):
            context.holds(f"course.{key}", days[b - 1] - days[a - 1] >= own, "own_interval_broken", own)
            if own > floor * (b - a):
                needed.add((key, a, b, own))
    rows = context.answer["course"]["spacings"]
    said = {(s["ingredient"], s["from_session"], s["to_session"], s["min_days"]) for s in rows}
    diluents = {row for row in said if context.things[row[0]]["role"] == "diluent"}
    context.same(
        "course.spacings", said - diluents, {row for row in needed if context.things[row[0]]["role"] != "diluent"}
    )


def check_windows(context: Context, days: Sequence[int], floor: int, widest: int, span: Mapping[str, int]) -> None:
    """The tightest bounds that the limits imply, by shortest paths over all of them."""
    count = len(days)
    far: list[list[Fraction]] = [[FOR_EVER] * count for _ in range(count)]
    for k in range(count):
        far[k][k] = Fraction(0)
    for k in range(count - 1):
        far[k][k + 1], far[k + 1][k] = Fraction(widest), Fraction(-floor)
    for row in context.answer["course"]["spacings"]:
        a, b = row["from_session"] - 1, row["to_session"] - 1
        far[b][a] = min(far[b][a], Fraction(-row["min_days"]))
    if count > 1:
        far[0][-1] = min(far[0][-1], Fraction(span["max"]))
        far[-1][0] = min(far[-1][0], Fraction(-span["min"]))
    for via in range(count):
        for a in range(count):
            for b in range(count):
                far[a][b] = min(far[a][b], far[a][via] + far[via][b])
    expected = [
        {"session": k + 1, "earliest": int(-far[k][0]), "ideal": days[k], "latest": int(far[0][k])}
        for k in range(count)
    ]
    context.same("course.windows_days", list(context.answer["course"]["windows_days"]), expected)
    for row in expected:
        context.holds(
            f"course.windows_days[{row['session']}]", row["earliest"] <= row["ideal"] <= row["latest"], "window"
        )


def check_method(context: Context, said: Mapping[str, Any]) -> None:
    held = {line["ingredient"] for syringe in context.answer["syringes"] for line in syringe["lines"]}
    chosen = None
    for method in context.needle["methods"]:
        when = method.get("choose_when", {})
        if set(when.get("concerns", ())) & set(context.severity) or set(when.get("ingredients", ())) & held:
            chosen = method
            break
    if chosen is None:
        chosen = next(method for method in context.needle["methods"] if method.get("default"))
    context.same("course.technique", said["technique"], chosen["key"])
    for end in ("min", "max"):
        context.number(f"course.depth_mm.{end}", said["depth_mm"][end], fraction(chosen["depth"][end]))
        context.number(f"course.angle_degrees.{end}", said["angle_degrees"][end], chosen["angle_degrees"][end])


def check_checkpoints(context: Context, said: Mapping[str, Any], days: Sequence[int]) -> None:
    expected = {}
    for entry in context.course["checkpoints"]:
        when = entry["when"]
        if context.worst not in entry["applies_to"]:
            continue
        if when.get("after_session") and when["after_session"] <= len(days):
            expected[entry["key"]] = days[when["after_session"] - 1]
        elif "days_after_last_session" in when:
            expected[entry["key"]] = days[-1] + when["days_after_last_session"]
        elif "if_fewer_sessions" in entry:
            expected[entry["key"]] = days[-1] + entry["if_fewer_sessions"]["days_after_last_session"]["default"]
    context.same("course.checkpoints", {row["key"]: row["offset_days"] for row in said["checkpoints"]}, expected)
