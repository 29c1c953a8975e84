"""Take over, discard, complete and stop plans."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidTransition
from protocols.actions.keeping import explained_note, live_acknowledgement_rows
from protocols.models import Plan, PlanStop, transitions
from protocols.models.enums import PlanStatus, StopReason
from protocols.permissions import cannot_become, check_can_change_plan, check_can_move_plan


@transaction.atomic
def take_over_plan(*, plan: Plan, by: User) -> Plan:
    """Make a colleague's draft one's own. Its cautions have to be acknowledged anew by the person who will sign."""
    check_can_change_plan(plan, by=by)
    drafts = Plan.objects.filter(pk=plan.pk, status=PlanStatus.DRAFT).exclude(responsible=by)
    if not drafts.update(responsible=by, revision=F("revision") + 1):
        raise InvalidTransition(_("This draft is yours already."))
    live_acknowledgement_rows(plan).update(superseded_at=timezone.now())
    plan.refresh_from_db()
    trail.record("plan.taken_over", by=by, target=plan, patient=plan.patient)
    return plan


@transaction.atomic
def discard_plan(*, plan: Plan, by: User) -> Plan:
    """Give up a draft. It stays on record."""
    check_can_change_plan(plan, by=by)
    if not Plan.objects.filter(pk=plan.pk, status=PlanStatus.DRAFT).update(status=PlanStatus.DISCARDED):
        raise InvalidTransition(_("Only a draft can be discarded."))
    plan.refresh_from_db()
    trail.record("plan.discarded", by=by, target=plan, patient=plan.patient)
    return plan


@transaction.atomic
def change_plan_status(*, plan: Plan, to: PlanStatus, by: User) -> Plan:
    """Move a signed plan on: its course has begun, is complete, or was stopped."""
    check_can_move_plan(plan, to=to, by=by)
    if not Plan.objects.filter(pk=plan.pk, status__in=transitions.before(to)).update(status=to):
        raise cannot_become(plan, to)
    plan.refresh_from_db()
    trail.record(f"plan.{to.value}", by=by, target=plan, patient=plan.patient)
    return plan


@transaction.atomic
def stop_plan(*, plan: Plan, reason_code: str, note: str, cancel_visits: bool, by: User) -> Plan:
    """End a signed plan before its course is complete, and say why. Its visits ahead are cancelled, or kept to talk.

    What was done and what was signed stay as they are. An amendment that is being drafted can no longer be signed.
    """
    check_can_move_plan(plan, to=PlanStatus.STOPPED, by=by)
    note = explained_note(reason_code, note, among=StopReason.values, note_needed={StopReason.OTHER})
    import_string(settings.AFTER_PLAN_STOPPED)(plan, cancel_visits=cancel_visits, by=by)
    change_plan_status(plan=plan, to=PlanStatus.STOPPED, by=by)
    PlanStop.objects.create(plan=plan, reason_code=reason_code, note=note, by=by, at=timezone.now())
    trail.record(
        "plan.stop_explained",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"reason": reason_code, "visits_cancelled": cancel_visits},
    )
    return plan
