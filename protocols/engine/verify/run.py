"""Run: every check in its order, over one context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from protocols.engine.canonical import fingerprint
from protocols.engine.codes import without_sentences
from protocols.engine.inputs.case import Case, parse_case, read_stock
from protocols.engine.inputs.documents import build_formulary
from protocols.engine.inputs.formulary import Formulary
from protocols.engine.inputs.model import CaseError, Fault
from protocols.engine.inputs.policy import Policy
from protocols.engine.verify.alternatives import check_value, check_waiting
from protocols.engine.verify.context import WITHOUT_MIXTURE_LIMITS, Context, Discrepancy, fraction
from protocols.engine.verify.contributions import check_contributions
from protocols.engine.verify.cost import check_cost
from protocols.engine.verify.course import asked_policy, band_of, check_course, named_schedules
from protocols.engine.verify.facts import check_concerns, severity_of
from protocols.engine.verify.mixture import check_mixture
from protocols.engine.verify.screening import check_screening, exclusions_of
from protocols.engine.verify.selection import check_left_out, check_requirements
from protocols.engine.verify.volumes import area_of, check_area, points_of, target_of


def verify(
    answer: Mapping[str, Any],
    case: Case | Mapping[str, Any],
    formulary: Formulary | Mapping[str, Any],
    policy: Policy | Mapping[str, Any] | None = None,
    stock: Mapping[str, Any] | None = None,
) -> tuple[Discrepancy, ...]:
    """Every difference between the answer and what the documents make of the case; empty when they agree."""
    used = formulary if isinstance(formulary, Formulary) else build_formulary(formulary)
    read = case if isinstance(case, Case) else parse_case(case, used)
    base = policy if isinstance(policy, Policy) else Policy.from_mapping(policy or {}, used)
    amounts: Mapping[str, Any] | None = read.stock
    if stock is not None:
        faults: list[Fault] = []
        amounts = read_stock(stock, used, faults)
        if faults:
            raise CaseError(tuple(faults))
    context = context_of(answer, read, used, base.overridden(read.policy, used), amounts)
    try:
        run_checks(context)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError) as broken:
        context.found.append(Discrepancy(path="answer", code="unreadable", found=f"{type(broken).__name__}: {broken}"))
    return tuple(context.found)


def context_of(
    answer: Mapping[str, Any], case: Case, formulary: Formulary, policy: Policy, stock: Mapping[str, Any] | None
) -> Context:
    """What is read, and what follows from the case and the documents, whatever the answer says."""
    documents = formulary.documents
    course = documents["course"]
    said = without_sentences(answer)
    context = Context(
        answer=said, case=case, policy=policy, stock=stock, documents=documents, label=formulary.label,
        things={entry["key"]: entry for entry in documents["ingredients"]["ingredients"]},
        active=({item.key for item in formulary.by_index if item.active} | set(case.activate)) - set(case.deactivate),
        facts=dict(case.facts), shapes=documents["vocabulary"]["facts"]["facts"],
        rules={entry["key"]: entry for entry in documents["screening"]["rules"]},
        course=course, mixing=course["composition"], needle=course["technique"],
        limits=course["composition"].get("mixture_limits"),
        in_steps=said.get("engine_version") not in WITHOUT_MIXTURE_LIMITS,
    )  # fmt: skip
    context = replace(
        context,
        severity=severity_of(context),
        excluded={name for _, name in exclusions_of(context)},
        area=area_of(context),
        step=fraction(context.needle["draw_step"]["value"]),
    )
    return replace(context, target=target_of(context), points=points_of(context))


def run_checks(context: Context) -> None:
    """Hold the answer against every check, in order; what differs is in the context."""
    answer = context.answer
    context.same("formulary_fingerprint", answer["formulary_fingerprint"], fingerprint(context.documents))
    context.same("formulary_version", answer["formulary_version"], context.label)
    check_concerns(context)
    check_screening(context)
    check_area(context)
    check_left_out(context)
    if context.tells_words:
        check_waiting(context)
    if answer["status"] == "proposed":
        check_mixture(context)
        own = check_requirements(context)
        check_value(context, own)
        check_course(context)
        check_cost(context)
        if context.tells_words:
            check_contributions(context, own)
    else:
        nothing: dict[str, Any] = {"syringes": [], "sessions": [], "alternatives": [], "course": None, "cost": None}
        for name, empty in nothing.items():
            context.same(name, answer[name], empty, "plan_without_permission")
    check_fingerprint(context)


def check_fingerprint(context: Context) -> None:
    rest = {key: value for key, value in context.answer.items() if key != "fingerprint"}
    expected = fingerprint(
        {
            "case": context.case.canonical(),
            "policy": asked_policy(context, named_schedules(context, band_of(context))).as_dict(),
            "stock": None if context.stock is None else dict(context.stock),
            "answer": rest,
        }
    )
    context.same("fingerprint", context.answer["fingerprint"], expected)
