"""Who may change the formulary or a plan, and in which state. ``check_…`` raises a sentence, ``can_…`` asks."""

from __future__ import annotations

from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from mesoclinic.core.asking import asks
from mesoclinic.core.errors import InvalidTransition, NotAllowed
from patients.models import Patient
from protocols.models import FormularyVersion, Plan
from protocols.models.enums import FormularyStatus, PlanStatus
from protocols.models.transitions import may_become
from protocols.plans.queries import is_plan_seen_by

# ------------------------------------------------------------------ formulary


def check_can_write_formulary(*, by: User) -> None:
    if not by.may(Permission.FORMULARY_WRITE):
        raise NotAllowed(_("Only the medical director changes the formulary."))


def check_can_change_formulary(version: FormularyVersion, *, by: User) -> None:
    check_can_write_formulary(by=by)
    if version.status != FormularyStatus.DRAFT:
        raise InvalidTransition(
            _("Formulary %(label)s has been published and does not change. Make a new draft.")
            % {"label": version.label}
        )


can_change_formulary = asks(check_can_change_formulary)


# ------------------------------------------------------------------ plans


def check_can_draft_plan(patient: Patient, *, by: User) -> None:
    if not by.may(Permission.PLAN_WRITE) or patient.site_id not in by.site_ids:
        raise NotAllowed(_("Only a practitioner of the patient's site makes plans."))


can_draft_plan = asks(check_can_draft_plan)


def check_can_change_plan(plan: Plan, *, by: User) -> None:
    check_can_draft_plan(plan.patient, by=by)
    if plan.status != PlanStatus.DRAFT:
        raise InvalidTransition(
            _("This plan is not a draft any more: it does not change. Amend it to make a new version.")
            if plan.is_signed
            else _("This draft was discarded.")
        )


can_change_plan = asks(check_can_change_plan)


def check_can_acknowledge(plan: Plan, *, by: User) -> None:
    """Who signs has read every caution: nobody does that for another."""
    check_can_change_plan(plan, by=by)
    _check_responsible(plan, by=by)


def _check_responsible(plan: Plan, *, by: User) -> None:
    if plan.responsible_id != by.pk:
        raise NotAllowed(
            _("%(name)s drafts this plan. Take it over first; then you can sign it.") % {"name": plan.responsible.name}
        )


def check_can_sign_plan(plan: Plan, *, by: User) -> None:
    """People sign what they drafted or took over; what the plan itself still lacks is the action's business."""
    if not by.may(Permission.PLAN_SIGN):
        raise NotAllowed(_("Only a practitioner signs plans."))
    check_can_change_plan(plan, by=by)
    _check_responsible(plan, by=by)


can_sign_plan = asks(check_can_sign_plan)


def check_can_amend_plan(plan: Plan, *, by: User) -> None:
    check_can_draft_plan(plan.patient, by=by)
    if not may_become(plan.status, PlanStatus.SUPERSEDED):
        raise InvalidTransition(_("Only a signed plan that is not finished can be amended."))


can_amend_plan = asks(check_can_amend_plan)


def check_can_move_plan(plan: Plan, *, to: PlanStatus, by: User) -> None:
    """Stopping is a practitioner's decision; a course begins and ends with the sessions that are recorded."""
    needed = Permission.PLAN_WRITE if to == PlanStatus.STOPPED else Permission.SESSION_WRITE
    if not by.may(needed) or not is_plan_seen_by(plan, by):
        raise NotAllowed(_("Your role does not allow this."))
    if to not in (PlanStatus.ACTIVE, PlanStatus.COMPLETED, PlanStatus.STOPPED):
        raise InvalidTransition(_("A plan is signed, amended or discarded; its state is not set by hand."))


def cannot_become(plan: Plan, to: PlanStatus) -> InvalidTransition:
    """Return the refusal that names the state a plan is in and the one it cannot have next."""
    return InvalidTransition(
        _("A plan that is “%(state)s” cannot become “%(to)s”.")
        % {"state": PlanStatus(plan.status).label, "to": to.label}
    )


def check_can_stop_plan(plan: Plan, *, by: User) -> None:
    check_can_move_plan(plan, to=PlanStatus.STOPPED, by=by)
    if not may_become(plan.status, PlanStatus.STOPPED):
        raise cannot_become(plan, PlanStatus.STOPPED)


can_stop_plan = asks(check_can_stop_plan)
