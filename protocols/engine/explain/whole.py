"""Explain: the answer as data. Reasons are codes with parameters; sentences are made outside, per language."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from protocols.engine.canonical import fingerprint, json_safe
from protocols.engine.explain import waiting
from protocols.engine.explain.alternatives import alternatives
from protocols.engine.explain.contribution import contributions
from protocols.engine.explain.course import cost_row, course_row, estimate_of
from protocols.engine.explain.findings import (
    finding_row,
    mixture_cautions,
    question_row,
    reason_row,
    referral_rows,
    volume_cautions,
)
from protocols.engine.explain.left_out import left_out, requirement_rows
from protocols.engine.explain.mixture import syringe_rows
from protocols.engine.explain.trace import trace_rows
from protocols.engine.explain.values import Values, used_diluents
from protocols.engine.result import ENGINE_VERSION, Composition, Result
from protocols.engine.screen import open_questions, shown
from protocols.engine.setting import Setting


def explain(result: Result) -> dict[str, Any]:
    """Return the answer, JSON-safe and sealed with its fingerprint."""
    setting, composition = result.setting, result.composition
    used_diluent = used_diluents(composition)
    values = Values(result)
    answer: dict[str, Any] = {
        "status": result.status,
        **_screened(result, result.mask | used_diluent),
        "zones": [{"zone": zone.zone, "area_cm2": zone.area_cm2} for zone in setting.case.zones],
        "area_cm2": setting.case.area_cm2,
        "target_volume_ml": setting.target_ml,
        "total_volume_ml": Decimal(0),
        "syringes": [],
        "left_out": left_out(result, values, used_diluent),
        "requirements": requirement_rows(result),
        "sessions": [],
        "alternatives": [],
        "contributions": [],
        "waiting": waiting.review(setting) if result.waits else None,
        "course": None,
        "cost": None,
        "value": None,
        "value_cost": None,
        "edits": [dict(edit) for edit in result.edits],
        "formulary_version": setting.formulary.label,
        "formulary_fingerprint": setting.formulary.fingerprint,
        "engine_version": ENGINE_VERSION,
    }
    if composition is not None:
        answer |= _composed(result, composition, values)
        answer["contributions"] = contributions(result, answer["left_out"])
    answer["trace"] = trace_rows(result, answer)
    return sealed(json_safe(answer), setting)


def _screened(result: Result, chosen: int) -> dict[str, Any]:
    """What screening says of what is chosen, a mask, and what is still to be asked."""
    setting = result.setting
    formulary, screening = setting.formulary, setting.screening
    findings = screening.findings
    asked = () if result.waits else open_questions(setting.case, formulary, chosen)
    told = [finding for finding in findings if shown(finding, chosen)]
    return {
        "missing": [{"fact": fact, "needed_by": list(rules)} for fact, rules in screening.missing],
        "open_questions": [question_row(setting, question) for question in asked],
        "blocks": [finding_row(setting, f, chosen) for f in findings if f.rule.severity == "absolute"],
        "cautions": [finding_row(setting, f, chosen) for f in told if f.rule.severity == "caution"],
        "infos": [finding_row(setting, f, chosen) for f in told if f.rule.severity == "info"],
        "referrals": referral_rows(setting, findings, chosen),
        "excluded_by_rule": [
            {
                "ingredient": key,
                "name": formulary.ingredients[key].name,
                "rule": f.rule.key,
                "because": [reason_row(r) for r in f.because],
                "sources": f.rule.sources,
            }
            for f in findings
            if f.rule.severity == "exclude"
            for key in formulary.keys(f.mask)
        ],
        "rules_fired": sorted(finding.rule.key for finding in findings),
        "severity": screening.severity,
        "concerns": [
            {
                "concern": entry.concern,
                "severity": entry.severity,
                "recorded_severity": entry.recorded,
                "staged_by": [{"scale": scale, "stage": stage} for scale, stage in entry.staged_by],
                "staged_severity": entry.staged or None,
                "insisted": entry.insisted,
            }
            for entry in screening.concerns
        ],
    }


def sealed(answer: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """The answer, JSON-safe, with the fingerprint over itself and over everything that it was made from."""
    made_from = {
        "case": setting.case.canonical(),
        "policy": setting.policy.as_dict(),
        "stock": None if setting.stock is None else dict(setting.stock),
    }
    return {**answer, "fingerprint": fingerprint(made_from, answer=answer)}


def _composed(result: Result, composition: Composition, values: Values) -> dict[str, Any]:
    setting = result.setting
    total = setting.volume_ml(sum(mixture.total for mixture in composition.mixtures))
    numbers = range(1, len(composition.plan.offsets) + 1)
    money = estimate_of(setting, composition)
    composed: dict[str, Any] = {
        "total_volume_ml": total,
        "syringes": syringe_rows(result, composition.mixtures, values),
        "sessions": [
            {"number": number, "syringes": syringe_rows(result, composition.of_session(number), values)}
            for number in numbers
        ]
        if composition.others
        else [],
        "alternatives": alternatives(result, values, money),
        "course": course_row(setting, composition, total),
        "cost": cost_row(money),
        "value": setting.decimal_value(values.value(composition.mask)),
        "value_cost": setting.decimal_value(
            0 if result.engine_mask is None else values.value(result.engine_mask) - values.value(composition.mask)
        ),
    }
    composed["cautions"] = [
        finding_row(setting, f, composition.mask | used_diluents(composition))
        for f in setting.screening.findings
        if f.rule.severity == "caution" and shown(f, composition.mask | used_diluents(composition))
    ] + [*volume_cautions(setting, composition), *mixture_cautions(composed, setting)]
    return composed
