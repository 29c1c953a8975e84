"""Whether what a draft rests on still stands: its intake, the patient's record, and the day it was answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.ui import days
from patients.intake.answers import answered_never, case_of, days_since_answered
from patients.intake.settled import SettledFact, settled_since
from patients.models import Intake, Patient
from patients.queries import MERGED_UNASKED, latest_submitted_intake, merged_unasked
from patients.vocabulary import load_vocabulary
from protocols.engine import CaseError, Formulary, canonical_json, parse_case
from protocols.formulary.loader import release_label
from protocols.models import Plan
from protocols.models.enums import OpenAnswerKind
from protocols.plans.asking import not_asked_obstacles
from protocols.plans.fitting import Fitted, Unheard, fit_to_version, unheard_sentence

NEVER_REASON = "Answered “never” in intake %(number)d, submitted by %(name)s on %(day)s."
COMPARED = ("facts", "concerns", "zones")


def case_from(intake: Intake, *, on: date, settled: Sequence[SettledFact] | None = None) -> dict[str, Any]:
    """Return the intake's case. “Never” has no number of days: it is an answer all the same, nobody has to ask again.

    ``settled`` spares the query for what the person's words were settled as.
    """
    case = case_of(intake, on=on, settled=settled)
    case["waived"] = {fact: {"as": "not_applicable", "reason": never_reason(intake)} for fact in answered_never(intake)}
    return case


def case_for(intake: Intake, formulary: Formulary, *, on: date, settled: Sequence[SettledFact] | None = None) -> Fitted:
    """Return the intake's case in the words of one version of the formulary, and what that version cannot judge."""
    return fit_to_version(case_from(intake, on=on, settled=settled), formulary)


def unheard_obstacles(unheard: Sequence[Unheard], formulary: Formulary) -> list[str]:
    """Why no plan may rest on answers that this version has no rule for; nothing where there are none."""
    return [unheard_sentence(unheard, label=formulary.label, newer=newer_than(formulary))] if unheard else []


def newer_than(formulary: Formulary) -> str:
    """Return the name of the version that this release brings; empty where it is no other than this one."""
    own = formulary.documents.get("release", {}).get("label")
    return release_label() if own != release_label() else ""


def never_reason(intake: Intake) -> str:
    """In one language and with one way of writing the day: it is part of the case, which never changes."""
    at = intake.submitted_at
    day = timezone.localdate(at, timezone=intake.patient.site.tz).isoformat() if at else ""
    name = intake.submitted_by.name if intake.submitted_by else ""
    return NEVER_REASON % {"number": intake.number, "name": name, "day": day}


def intake_lasts(documents: Mapping[str, Any]) -> int:
    """Return the days after which this formulary has the intake repeated (course.yaml, interval_limits)."""
    return int(documents["course"]["sessions"]["interval_limits"]["interrupted_after"]["value"])


def intake_obstacles(patient: Patient, intake: Intake | None, *, formulary: Formulary, on: date) -> list[str]:
    """Why no plan may rest on this intake.

    The person's other record was not asked about, it is too old, or it was never asked what the formulary knows.
    """
    found = [str(MERGED_UNASKED)] if merged_unasked(patient) else []
    documents = formulary.documents
    most = intake_lasts(documents)
    if intake is not None and days_since_answered(intake, on=on) > most:
        cited = {row["id"]: row["citation"] for row in documents["sources"]["sources"]}
        keys = documents["course"]["sessions"]["interval_limits"]["source_ids"]
        sources = "; ".join(cited.get(key, key) for key in keys)
        found.append(
            _("The intake is more than %(days)d days old; fill in a new one first. Source: %(source)s.")
            % {"days": most, "source": sources.rstrip(".")}
        )
    elif intake is not None:
        found += not_asked_obstacles(intake, formulary)
    return found


def obstacles(plan: Plan, *, formulary: Formulary) -> list[str]:
    """What no longer stands of a draft's basis, one sentence each with the way on."""
    patient, intake = plan.patient, plan.intake
    intake.patient = patient
    today = timezone.localdate(timezone=patient.site.tz)
    found = []
    latest = latest_submitted_intake(patient)
    if latest is not None and latest.pk != intake.pk:
        found.append(
            _("There is a newer intake of %(day)s. Discard this draft and make a new plan.")
            % {"day": days.written(timezone.localdate(latest.submitted_at, timezone=patient.site.tz), "date")}
        )
    found += intake_obstacles(patient, intake, formulary=formulary, on=today)
    drafted = timezone.localdate(plan.created_at, timezone=patient.site.tz)
    fitted = case_for(intake, formulary, on=drafted)
    found += unheard_obstacles(fitted.unheard, formulary)
    if not _same_case(plan, fitted.case, formulary, today=today):
        found.append(
            _("What was said in words is settled otherwise than in this draft; make a new one.")
            if settled_since(patient, plan.created_at)
            else _("The patient's record or age has changed since this draft; make a new one.")
        )
    of_the_day = load_vocabulary().facts_about("day") & intake.facts.keys()
    if of_the_day and days_since_answered(intake, on=today) > settings.DAY_FACTS_DAYS:
        found.append(
            _(
                "Fever, pregnancy, the state of the scalp and blood tests were asked more than %(days)d days ago. "
                "Fill in a new intake and make a new plan."
            )
            % {"days": settings.DAY_FACTS_DAYS}
        )
    return found


def _as_answered(concern: Mapping[str, Any]) -> dict[str, Any]:
    """A concern as the intake has it: that a severity is held to against its stage was said in the draft."""
    return {key: value for key, value in concern.items() if key != "insisted"}


def _same_case(plan: Plan, case: dict[str, Any], formulary: Formulary, *, today: date) -> bool:
    """Whether intake, record and the draft's own answers still make the case that the draft was computed from."""
    case["facts"]["age_years"] = plan.patient.age_on(today)
    for answer in plan.open_answers.filter(superseded_at__isnull=True):
        if answer.kind == OpenAnswerKind.ANSWERED:
            case["facts"][answer.fact] = answer.value
            case["waived"].pop(answer.fact, None)
        else:
            case["waived"][answer.fact] = {"as": answer.kind, "reason": answer.reason}
    try:
        rebuilt = json.loads(canonical_json(parse_case(case, formulary).canonical()))
    except CaseError:
        return False
    drafted_from = {**plan.case, "concerns": [_as_answered(row) for row in plan.case["concerns"]]}
    return all(rebuilt[part] == drafted_from[part] for part in COMPARED) and (
        {fact: row["as"] for fact, row in rebuilt["waived"].items()}
        == {fact: row["as"] for fact, row in plan.case["waived"].items()}
    )
