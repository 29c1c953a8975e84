"""Whether a print is current: the mark it carries, and what the page says that looks it up."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from mesoclinic.documents.checking import print_token
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from protocols.standing.standing import standing_now

Data = dict[str, Any]


def session_dates(plan: Plan) -> list[Data]:
    """The booked sessions as the app above tells them: number, starts_at in the site's zone, practitioner, site."""
    return list(import_string(settings.PLAN_DATES_PROVIDER)(plan))


def print_mark(plan: Plan, dates: list[Data]) -> str:
    """Changes when what a print of the plan shows is not so any more: signature, draft's revision, booked dates."""
    shown = [plan.signature_sha256 or f"draft {plan.revision}", *(f"{r['number']} {r['starts_at']}" for r in dates)]
    return hashlib.sha256("\n".join(shown).encode()).hexdigest()[:12]


def check_url(plan: Plan, dates: list[Data]) -> str:
    """The public page that says whether a print is current. The plan's id is random and opens nothing by itself."""
    return f"{settings.SITE_URL}/v/{print_token(plan.public_id, print_mark(plan, dates))}/"


def print_state(subject_id: UUID, mark: str) -> str:
    """current, held, superseded, stopped, draft or unknown; the public page asks by settings.PRINT_STATE_PROVIDER."""
    plan = Plan.objects.filter(public_id=subject_id).select_related("patient__site").first()
    if plan is None:
        return "unknown"
    if plan.status in (PlanStatus.STOPPED, PlanStatus.DISCARDED):
        return "stopped"  # before its dates, which were cancelled with it: nothing newer took its place
    if plan.status in PlanStatus.IN_FORCE and standing_now(plan.patient, plan).is_stop:
        return "held"
    if mark != print_mark(plan, session_dates(plan)):
        return "superseded"
    if plan.is_draft:
        return "draft"
    return "superseded" if plan.status == PlanStatus.SUPERSEDED else "current"
