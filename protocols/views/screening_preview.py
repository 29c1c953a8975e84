"""What the answers of an intake decide so far, while they are being given. Nothing is stored, nothing is guessed.

Only answers that were given count: a rule that could fire for want of an answer is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from patients.intake import answers as intakes
from patients.intake.forms import IntakeForm
from patients.intake.medicines import classes_of
from patients.intake.stages import overruled_by_stage
from patients.models import Intake, IntakeStatus
from patients.queries import intakes_visible_to
from patients.vocabulary import load_vocabulary
from protocols.engine import CaseError, Formulary, parse_case
from protocols.engine.screen import screen
from protocols.formulary.queries import built_formulary, formulary_in_force
from protocols.formulary.words import SEVERITY_NAMES
from protocols.plans.basis import unheard_obstacles
from protocols.plans.fitting import fit_to_version
from protocols.words.terms import words_of

# The engine reads no case without them; rules that they alone decide are not shown.
_PLACEHOLDER_CONCERN = {"concern": "dry_brittle_hair", "severity": "mild"}
_PLACEHOLDER_ZONE = {"zone": "vertex", "area_cm2": "80"}


@dataclass(frozen=True, kw_only=True)
class Said:
    rule: str
    severity: str
    text: str
    because: tuple[str, ...]


def findings_of(case: Mapping[str, Any], formulary: Formulary) -> list[Said]:
    """What the given answers decide, the gravest first, in words. Raises CaseError for a case that cannot be read."""
    whole = {
        "facts": case["facts"],
        "concerns": list(case["concerns"]) or [_PLACEHOLDER_CONCERN],
        "zones": list(case["zones"]) or [_PLACEHOLDER_ZONE],
    }
    words, of_record = words_of(formulary), load_vocabulary().facts_about("record")
    said = []
    for finding in screen(parse_case(whole, formulary), formulary).findings:
        if finding.rule.scope.kind == "zones" and not case["zones"]:
            continue  # which zones are treated is not answered yet
        if not finding.because or any(reason.answer is None for reason in finding.because):
            continue
        if finding.rule.severity != "absolute" and {reason.fact for reason in finding.because} <= of_record:
            continue  # true of everybody of that age; the plan says it where it matters
        because = words.because([{"fact": reason.fact, "answer": reason.answer} for reason in finding.because])
        said.append(
            Said(
                rule=finding.rule.key,
                severity=finding.rule.severity,
                text=words.rule_message({"rule": finding.rule.key}),
                because=tuple(dict.fromkeys(because)),
            )
        )
    return sorted(said, key=lambda row: list(SEVERITY_NAMES).index(row.severity))


@requires(Permission.INTAKE_WRITE)
@require_POST
def screening_preview(request: ClinicRequest) -> HttpResponse:
    """A fragment beside the intake's form: the form as it stands, half typed on purpose; or the draft as saved."""
    intake = _intake(request)
    typed = intake if request.POST.get("saved") else _as_typed(request, intake)
    version = formulary_in_force()
    found: list[Said] = []
    problem = ""
    if version is None:
        problem = _("No formulary is in force yet: nothing can be screened.")
    else:
        case = intakes.case_of(typed, on=timezone.localdate(timezone=intake.patient.site.tz))
        formulary = built_formulary(version)
        fitted = fit_to_version(case, formulary)
        problem = " ".join(unheard_obstacles(fitted.unheard, formulary))
        try:
            found = findings_of(fitted.case, formulary)
        except CaseError:
            problem = _("An answer cannot be read yet.")
    counts = [sum(row.severity == severity for row in found) for severity in SEVERITY_NAMES]
    context = {
        "found": [row for row in found if row.severity != "info"],
        "notes": [row for row in found if row.severity == "info"],
        "counts": counts,
        "problem": problem,
        "overruled": overruled_by_stage(typed, intakes.vocabulary_for(intake)),
    }
    return render(request, "protocols/_screening_preview.html", context)


def _intake(request: ClinicRequest) -> Intake:
    try:
        public_id = UUID(request.POST.get("intake", ""))
    except ValueError:
        raise Http404 from None
    intake = intakes_visible_to(request.user).filter(public_id=public_id, status=IntakeStatus.DRAFT).first()
    if intake is None:
        raise Http404
    return intake


def _as_typed(request: ClinicRequest, intake: Intake) -> Intake:
    """What can be read of the form; an answer that cannot be is left out, as if it were not given."""
    form = IntakeForm(request.POST, intake=intake, vocabulary=intakes.vocabulary_for(intake))
    form.is_valid()
    facts = dict(form.facts)
    if classes := classes_of(form.named_medicines()):
        takes = facts.get("medications")
        facts["medications"] = [*(takes if isinstance(takes, list) else ()), *classes]
    clean = {}
    for fact in form.asked:
        if fact.key in facts:
            try:
                clean[fact.key] = intakes.checked_value(fact, facts[fact.key])
            except ValueError:
                continue
    return Intake(patient=intake.patient, facts=clean, concerns=form.concerns, zones=form.zones)
