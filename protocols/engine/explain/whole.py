"""Explain: the answer as data. Reasons are codes with parameters; sentences are made outside, per language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, cast

from protocols.engine.answer import (
    Answer,
    Concern,
    Exclusion,
    Finding,
    Missing,
    Question,
    Referral,
    Severity,
    Status,
)
from protocols.engine.canonical import fingerprint, json_safe, plain_number
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
from protocols.engine.screen import is_shown, open_questions
from protocols.engine.setting import Setting


class _Screened(TypedDict):
    """What screening says of an answer."""

    missing: list[Missing]
    open_questions: list[Question]
    blocks: list[Finding]
    cautions: list[Finding]
    infos: list[Finding]
    referrals: list[Referral]
    excluded_by_rule: list[Exclusion]
    rules_fired: list[str]
    severity: Severity
    concerns: list[Concern]


def explain(result: Result) -> Answer:
    """Return the answer, JSON-safe and sealed with its fingerprint."""
    setting, composition = result.setting, result.composition
    used_diluent = used_diluents(composition)
    values = Values(result)
    answer: Answer = {
        "status": cast(Status, result.status),
        **_screened(result, result.mask | used_diluent),
        "zones": [{"zone": zone.zone, "area_cm2": plain_number(zone.area_cm2)} for zone in setting.case.zones],
        "area_cm2": plain_number(setting.case.area_cm2),
        "target_volume_ml": plain_number(setting.target_ml),
        "total_volume_ml": "0",
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
        "trace": [],
        "formulary_version": setting.formulary.label,
        "formulary_fingerprint": setting.formulary.fingerprint,
        "engine_version": ENGINE_VERSION,
        "fingerprint": "",
    }
    if composition is not None:
        _compose(answer, result, composition, values)
    answer["trace"] = trace_rows(result, answer)
    return cast(Answer, sealed(json_safe(answer), setting))


def _screened(result: Result, chosen: int) -> _Screened:
    """What screening says of what is chosen, a mask, and what is still to be asked."""
    setting = result.setting
    formulary, screening = setting.formulary, setting.screening
    findings = screening.findings
    asked = () if result.waits else open_questions(setting.case, formulary, chosen)
    told = [finding for finding in findings if is_shown(finding, chosen)]
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
                "sources": list(f.rule.sources),
            }
            for f in findings
            if f.rule.severity == "exclude"
            for key in formulary.keys(f.mask)
        ],
        "rules_fired": sorted(finding.rule.key for finding in findings),
        "severity": cast(Severity, screening.severity),
        "concerns": [
            {
                "concern": entry.concern,
                "severity": cast(Severity, entry.severity),
                "recorded_severity": cast(Severity, entry.recorded),
                "staged_by": [{"scale": scale, "stage": stage} for scale, stage in entry.staged_by],
                "staged_severity": cast(Severity, entry.staged) if entry.staged else None,
                "insisted": entry.insisted,
            }
            for entry in screening.concerns
        ],
    }


def sealed(answer: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    """The answer, JSON-safe, with the fingerprint over itself and over everything that it was made from."""
    said = {name: value for name, value in answer.items() if name != "fingerprint"}
    made_from = {
        "case": setting.case.canonical(),
        "policy": setting.policy.as_dict(),
        "stock": None if setting.stock is None else dict(setting.stock),
    }
    return {**said, "fingerprint": fingerprint(made_from, answer=said)}


def _compose(answer: Answer, result: Result, composition: Composition, values: Values) -> None:
    """Say of an answer what is mixed, when and for how much, and what else could be."""
    setting, mask = result.setting, composition.mask
    total = setting.volume_ml(sum(mixture.total for mixture in composition.mixtures))
    money = estimate_of(setting, composition)
    answer["total_volume_ml"] = plain_number(total)
    answer["syringes"] = syringe_rows(result, composition.mixtures, values)
    if composition.others:
        answer["sessions"] = [
            {"number": number, "syringes": syringe_rows(result, composition.of_session(number), values)}
            for number in range(1, len(composition.plan.offsets) + 1)
        ]
    answer["alternatives"] = alternatives(result, values, money)
    answer["course"] = course_row(setting, composition, total)
    answer["cost"] = cost_row(money)
    worth = values.value(mask)
    own = worth if result.engine_mask is None else values.value(result.engine_mask)
    answer["value"] = plain_number(setting.decimal_value(worth))
    answer["value_cost"] = plain_number(setting.decimal_value(own - worth))
    answer["cautions"] += [*volume_cautions(setting, composition), *mixture_cautions(answer, setting)]
    answer["contributions"] = contributions(result, answer["left_out"])
