"""Findings: what screening and the mixture have to say, each with its rule, its answers and its sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import ROUND_FLOOR, Decimal
from typing import Any, cast

from protocols.engine import answer as says
from protocols.engine.explain.values import SMALL_SYRINGE
from protocols.engine.inputs.model import MixtureLimits
from protocols.engine.inputs.triggers import Reason
from protocols.engine.result import Composition
from protocols.engine.screen import Finding, OpenQuestion, is_shown
from protocols.engine.setting import Setting

LOW_VOLUME = "volume_below_minimum"
EMPTY_SESSION = "session_without_mixture"
PH_OUTSIDE = "ph_outside_limits"
OSMOLALITY_HIGH = "osmolality_above_limit"
OSMOLALITY_UNKNOWN = "osmolality_unknown"


def reason_row(reason: Reason) -> says.Because:
    answer = list(reason.answer) if isinstance(reason.answer, tuple) else reason.answer
    return {"fact": reason.fact, "answer": answer, "op": reason.op, "value": reason.value}


def finding_row(setting: Setting, finding: Finding, chosen: int) -> says.Finding:
    rule = finding.rule
    return {
        "rule": rule.key,
        "scope": rule.scope.kind,
        "ingredients": list(setting.formulary.keys(finding.mask & chosen)),
        "because": [reason_row(reason) for reason in finding.because],
        "postponed": rule.postponed,
        "referral": rule.refer or None,
        "sources": list(rule.sources),
        "params": {"concern": rule.referral_of_concern} if rule.referral_of_concern else {},
    }


def question_row(setting: Setting, question: OpenQuestion) -> says.Question:
    waiver = setting.case.waived.get(question.fact)
    return {
        "fact": question.fact,
        "needed_by": list(question.needed_by),
        "ingredients": list(question.ingredients),
        "waived": None if waiver is None else cast(says.Waiver, {"as": waiver.kind, "reason": waiver.reason}),
    }


def referral_rows(setting: Setting, findings: Iterable[Finding], chosen: int) -> list[says.Referral]:
    offered: list[says.Referral] = []
    for finding in findings:
        if not finding.rule.refer or (finding.rule.severity in ("caution", "info") and not is_shown(finding, chosen)):
            continue
        referral = setting.formulary.referrals[finding.rule.refer]
        offered.append(
            {"referral": referral.key, "rule": finding.rule.key, "to": referral.to, "urgency": referral.urgency}
        )
    return offered


def volume_cautions(setting: Setting, composition: Composition) -> list[says.Finding]:
    """Too little volume for the points, or a session with nothing to inject: said, to be acknowledged."""
    rules = setting.formulary.course
    found = []
    for number in range(1, len(composition.plan.offsets) + 1):
        mixtures = composition.of_session(number)
        total = setting.volume_ml(sum(mixture.total for mixture in mixtures))
        if mixtures and total < rules.point_min_ml * setting.points:
            fewer = int((total / rules.point_min_ml).to_integral_value(ROUND_FLOOR))
            found.append((LOW_VOLUME, total, fewer, number))
        elif not mixtures and composition.mask:
            found.append((EMPTY_SESSION, total, 0, number))
    cautions: dict[tuple[str, Decimal, int], list[int]] = {}
    for rule, total, fewer, number in found:
        cautions.setdefault((rule, total, fewer), []).append(number)
    return [
        {
            "rule": rule,
            "scope": "plan",
            "ingredients": [],
            "because": [],
            "postponed": False,
            "referral": None,
            "sources": list(rules.technique_sources),
            "params": {
                "total_ml": total,
                "points": setting.points,
                "most_points": fewer,
                "min_ml_per_point": rules.point_min_ml,
                "sessions": sessions,
            },
        }
        for (rule, total, fewer), sessions in cautions.items()
    ]


def mixture_cautions(answer: says.Answer, setting: Setting) -> list[says.Finding]:
    """What a mixture is not as it should be, however it is drawn: said, to be acknowledged."""
    limits = setting.formulary.composition.mixture
    if limits is None:
        return []
    first: says.Session = {"number": 1, "syringes": answer["syringes"]}
    found: dict[str, dict[str, list[int]]] = {}
    for session in answer["sessions"] or [first]:
        whole = sum((Decimal(syringe["volume_ml"]) for syringe in session["syringes"]), Decimal(0))
        for syringe in session["syringes"]:
            for rule in shortcomings_of(syringe, whole, limits):
                found.setdefault(rule, {}).setdefault(syringe["label"], []).append(session["number"])
    asked: dict[str, dict[str, Any]] = {
        PH_OUTSIDE: {"ph_min": limits.ph_min, "ph_max": limits.ph_max},
        OSMOLALITY_HIGH: {"osmolality_max": limits.osmolality_max},
        OSMOLALITY_UNKNOWN: {},
        SMALL_SYRINGE: {"least_share": limits.smallest_share},
    }
    return [
        {
            "rule": rule,
            "scope": "plan",
            "ingredients": [],
            "because": [],
            "postponed": False,
            "referral": None,
            "sources": list(limits.sources),
            "params": {
                **params,
                "syringes": [{"syringe": label, "sessions": sessions} for label, sessions in found[rule].items()],
            },
        }
        for rule, params in asked.items()
        if rule in found
    ]


def shortcomings_of(syringe: says.Syringe, whole: Decimal, limits: MixtureLimits) -> Iterator[str]:
    low, high = Decimal(syringe["ph_min"]), Decimal(syringe["ph_max"])
    if min(high, limits.ph_max) - max(low, limits.ph_min) < limits.ph_width:
        yield PH_OUTSIDE
    estimate = syringe["osmolality"]["estimate"]
    if estimate is None:
        yield OSMOLALITY_UNKNOWN
    elif Decimal(estimate) > limits.osmolality_max:
        yield OSMOLALITY_HIGH
    if Decimal(syringe["volume_ml"]) < limits.smallest_share * whole:
        yield SMALL_SYRINGE
