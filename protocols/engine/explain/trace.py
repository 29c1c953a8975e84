"""Trace: each step with its result and the rule of the formulary that it came from."""

from __future__ import annotations

from typing import Any

from protocols.engine.answer import Answer, Traced
from protocols.engine.inputs.model import bits
from protocols.engine.result import Result
from protocols.engine.setting import Setting


def _mixture_limits(setting: Setting) -> list[tuple[str, str, Any]]:
    limits, rule = setting.formulary.composition.mixture, "composition.mixture_limits"
    if limits is None:
        return []
    return [
        ("partition", f"{rule}.ph_window", limits.ph_width),
        ("partition", f"{rule}.final_ph", {"min": limits.ph_min, "max": limits.ph_max}),
        ("dose", f"{rule}.osmolality", limits.osmolality_max),
        ("dose", f"{rule}.smallest_syringe", limits.smallest_share),
    ]


def trace_rows(result: Result, answer: Answer) -> list[Traced]:
    """Each step with its result and the rule of the formulary that it came from."""
    setting = result.setting
    formulary, rules, severity = setting.formulary, setting.formulary.course, setting.screening.severity
    rows: list[tuple[str, str, Any]] = [
        ("complete", "screening.required_before_plan", len(answer["missing"])),
        ("screen", "screening.rules", len(answer["rules_fired"])),
        ("severity", "course.sessions.overall_severity_rule", severity),
    ]
    rows += [
        ("severity", f"scales.{stage['scale']}.{stage['stage']}", entry["severity"])
        for entry in answer["concerns"]
        for stage in entry["staged_by"]
    ]
    rows += [
        ("candidates", "composition.order_of_choice", len(bits(setting.candidates))),
        ("area_cm2", "vocabulary.zones", setting.case.area_cm2),
        ("target_volume_ml", "course.technique.target_volume", setting.target_ml),
        ("points", "course.technique.spacing_rule", setting.points),
    ]
    if (course := answer["course"]) is not None and (cost := answer["cost"]) is not None:
        rows += [
            ("select", "composition.selection_weights", answer["value"]),
            ("select", "composition.max_active_ingredients_per_session", setting.policy.max_actives),
            ("partition", "composition.max_active_ingredients_per_syringe", len(answer["syringes"])),
            ("dose", "composition.scaling", answer["total_volume_ml"]),
            ("dose", "composition.max_diluent_share_of_syringe", formulary.composition.max_diluent_share),
            ("dose", "course.technique.max_total_volume_per_session", rules.ceiling_ml),
            ("dose", "course.technique.draw_step", rules.step_ml),
            *_mixture_limits(setting),
            ("course", f"course.sessions.by_severity.{severity}.sessions", course["sessions"]),
            ("course", f"course.sessions.by_severity.{severity}.span", course["span_days"]),
            ("course", "course.session_duration", course["duration_minutes"]),
            ("course", "course.technique.methods", course["technique"]),
            ("cost", "course.cost_model", cost["total"]),
        ]
        asked = (
            ("sessions", setting.policy.sessions, course["sessions"]),
            ("schedule", setting.policy.schedule, course["schedule"]),
        )
        rows += [
            ("course", f"policy.{name}", {"asked": wish, "given": given})
            for name, wish, given in asked
            if wish is not None and wish != given
        ]
    return [{"step": step, "rule": rule, "value": value} for step, rule, value in rows]
