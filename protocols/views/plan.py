"""The page of a plan, a new draft, and what each answer to it shares."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, NotAllowed
from mesoclinic.core.reading import revision_of
from patients.models import Patient
from patients.permissions import can_start_intake
from patients.queries import latest_submitted_intake, patients_seen_by
from patients.record.strip import patient_strip
from protocols.actions.drafts import create_plan
from protocols.engine import ENGINE_VERSION
from protocols.engine.earlier import speaks
from protocols.formulary.queries import (
    built_formulary,
    formulary_in_force,
    release_to_load,
)
from protocols.models import Plan
from protocols.models.enums import AcknowledgementReason, EditReason, PlanStatus
from protocols.pages.alternatives import alternatives as alternatives_of
from protocols.pages.edits import edit_changes
from protocols.pages.findings import findings, questions
from protocols.pages.left_out import left_groups, left_out
from protocols.pages.mixtures import with_refused
from protocols.pages.plan import Reader
from protocols.permissions import (
    can_amend_plan,
    can_change_plan,
    can_sign_plan,
    can_stop_plan,
)
from protocols.plans import what_if
from protocols.plans.asking import url_for_a_plan, values_not_asked
from protocols.plans.computing import formulary_of
from protocols.plans.presence import last_change, mark_open
from protocols.plans.queries import (
    basis_obstacles,
    drafts_of,
    obstacles_to_signing,
    plans_visible_to,
    unacknowledged_rules,
    unexplained_edits,
    unsettled_facts,
)
from protocols.prints.kinds import MORE
from protocols.prints.marks import session_dates
from protocols.views.refusals import Refused, Stopped


def asked_plan(request: ClinicRequest, public_id: UUID) -> Plan:
    plans = plans_visible_to(request.user).select_related("intake", "formulary", "created_by", "supersedes")
    return get_object_or_404(plans.defer("formulary__documents"), public_id=public_id)


@requires(Permission.PLAN_WRITE)
@require_POST
def plan_new(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """A plan for this patient: the draft that is open already, or a new one."""
    patient: Patient = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    draft = drafts_of(patient).first()
    if draft is None:
        try:
            draft = create_plan(patient=patient, by=request.user)
        except NotAllowed:
            raise
        except DomainError as refusal:
            return draft_refused(request, patient, refusal)
    return redirect("protocols:plan", draft.public_id)


def _ask_url(request: ClinicRequest, plan: Plan) -> str:
    """Where the reader asks what the draft's intake was never asked; empty where there is nothing to ask."""
    if not can_start_intake(plan.patient, by=request.user):
        return ""
    return url_for_a_plan(plan.patient) if values_not_asked(plan.intake, formulary_of(plan)) else ""


def draft_refused(
    request: ClinicRequest, patient: Patient, refusal: DomainError, *, amended: Plan | None = None
) -> HttpResponse:
    """Why no draft can be made, with every way on that the reader has."""
    intake, version = latest_submitted_intake(patient), formulary_in_force()
    asks = intake is not None and version is not None and values_not_asked(intake, built_formulary(version))
    may_start = can_start_intake(patient, by=request.user)
    context = {
        "strip": patient_strip(patient, user=request.user),
        "patient": patient,
        "amended": amended,
        "message": str(refusal),
        "intake": intake,
        "may_start_intake": may_start,
        "ask_url": url_for_a_plan(patient) if asks and may_start else "",
        "may_publish": bool(release_to_load() or version is None) and request.user.may(Permission.FORMULARY_READ),
    }
    return render(request, "protocols/plan_refused.html", context, status=refusal.status)


@requires(Permission.PLAN_EXISTS)
@require_GET
def plan(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = asked_plan(request, public_id)
    trail.record("plan.viewed", by=request.user, target=plan, patient=plan.patient)
    if not request.user.may(Permission.PLAN_READ):
        context = {"plan": plan, "strip": patient_strip(plan.patient, user=request.user), "dates": session_dates(plan)}
        return render(request, "protocols/plan_exists.html", context)
    return plan_page(request, plan)


def plan_page(request: ClinicRequest, plan: Plan, *, refused: Refused | None = None, status: int = 200) -> HttpResponse:
    refused = refused or Refused()
    reader = Reader(plan, typed=refused.typed, unfit=refused.reason)
    mixtures = with_refused(reader.mixtures(), refused.lines)
    if refused.reason and not any(row.error_reason or row.error_note for row in reader.edit_rows):
        refused.top = refused.top or refused.reason.error
    may_change = can_change_plan(plan, by=request.user)
    group = request.GET.get("left", "")
    left = left_out(reader)
    shown_left = [row for row in left if not group or row.group == group]
    beside = max(5, round(1.6 * sum(len(mixture.lines) for mixture in mixtures)))  # as many as the mixture is tall
    context = {
        "plan": plan,
        "result": reader.result,
        "reader": reader,
        "strip": patient_strip(plan.patient, user=request.user),
        "mixtures": mixtures,
        "left": shown_left,
        "left_first": shown_left[:beside],
        "left_rest": shown_left[beside:],
        "left_total": len(left),
        "left_groups": left_groups(left),
        "left_group": group,
        "blocks": findings(reader, "blocks"),
        "cautions": findings(reader, "cautions"),
        "infos": findings(reader, "infos"),
        "missing": questions(reader, "missing"),
        "questions": questions(reader, "open_questions"),
        "alternatives": (alternatives := alternatives_of(reader)),
        "waits_first": bool(alternatives) and alternatives[0].waits and bool(alternatives[0].because),
        "reasons": AcknowledgementReason.choices,
        "edit_reasons": EditReason.choices,
        "dates": session_dates(plan) if plan.is_signed else [],
        "more_prints": MORE,
        "no_longer_stands": basis_obstacles(plan) if plan.is_draft else [],
        "ask_url": _ask_url(request, plan) if plan.is_draft else "",
        "open_cautions": len(unacknowledged_rules(plan)) if plan.is_draft else 0,
        "open_questions": len(unsettled_facts(plan)) if plan.is_draft else 0,
        "open_reasons": len(unexplained_edits(plan)) if plan.is_draft else 0,
        "by_hand": _by_hand(plan),
        "obstacles": obstacles_to_signing(plan) if plan.is_draft else [],
        "may_change": may_change,
        "may_sign": can_sign_plan(plan, by=request.user),
        "may_stop": can_stop_plan(plan, by=request.user),
        "stop": Stopped.of(plan),
        "may_amend": can_amend_plan(plan, by=request.user),
        "may_ask": plan.engine_version == ENGINE_VERSION,
        "mine": plan.responsible_id == request.user.pk,
        "refused": refused,
        "present": mark_open(plan, user=request.user, writes=may_change) if plan.is_draft else [],
        "seen_revision": plan.revision,
        "changed_since": False,
        "differences": _differences(plan),
        "left_behind": _left_behind(plan),
        "amended_by": plan.amendments.exclude(status=PlanStatus.DISCARDED).first(),
    }
    template = "protocols/plan_swap.html" if request.htmx else "protocols/plan.html"
    return render(request, template, context, status=status)


def _differences(plan: Plan) -> list[str] | None:
    """What an amendment changes, in words; None where there is nothing to compare it with."""
    before = plan.supersedes
    if before is None or not (speaks(plan.engine_version) and speaks(before.engine_version)):
        return None
    return [*what_if.in_words(before.result, plan.result, plan), *edit_changes(Reader(plan), before)]


def _left_behind(plan: Plan) -> list[tuple[Plan, list[dict[str, Any]]]]:
    """The versions that this one has replaced and under which visits are still booked, with these."""
    found, older, today = [], plan.supersedes, timezone.localdate(timezone=plan.patient.site.tz)
    while older is not None and plan.status in PlanStatus.IN_FORCE:
        if ahead := [row for row in session_dates(older) if row["starts_at"].date() >= today]:
            found.append((older, ahead))
        older = older.supersedes
    return found


def _by_hand(plan: Plan) -> list[str]:
    """What the edits come to, all together, beside what was proposed."""
    if not plan.edits or plan.waits or not speaks(plan.engine_version):
        return []
    return what_if.in_words(plan.proposal, plan.result, plan)


@requires(Permission.PLAN_READ)
@require_GET
def plan_presence(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Who else has the draft open, and whether it was changed since the page was shown. The page asks each minute."""
    plan = asked_plan(request, public_id)
    seen = revision_of(request.GET)
    seen_revision = plan.revision if seen < 0 else seen
    changed_since = seen_revision != plan.revision or not plan.is_draft
    writes = can_change_plan(plan, by=request.user)
    context = {
        "plan": plan,
        "present": mark_open(plan, user=request.user, writes=writes) if plan.is_draft else [],
        "seen_revision": seen_revision,
        "changed_since": changed_since,
        "changed": last_change(plan) if changed_since else None,
    }
    return render(request, "protocols/_presence.html", context)
