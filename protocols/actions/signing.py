"""Sign a plan: everything asked again, with the password, in one transaction."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidTransition
from mesoclinic.login.reauthentication import confirm_password
from patients.models import Patient
from protocols.actions.refusals import NotReadyToSign, SecondCalculationDisagrees, StaleRevision
from protocols.models import Plan, transitions
from protocols.models.enums import PlanStatus
from protocols.permissions import check_can_sign_plan
from protocols.plans.computing import verified
from protocols.plans.queries import obstacles_to_signing
from protocols.plans.signature import signature, signed_content
from protocols.prints.documents import prepare_prints


def sign_plan(*, plan: Plan, revision: int, password: str, by: User) -> Plan:
    """Sign a draft. From then on the database itself refuses every change of it.

    The password is asked for before the transaction, so that a wrong one is remembered although nothing else is.
    """
    check_can_sign_plan(plan, by=by)
    try:
        confirm_password(by, password)
    except DomainError:
        trail.record("plan.signature_refused", by=by, target=plan, patient=plan.patient)
        raise
    return _sign(plan=plan, revision=revision, by=by)


@transaction.atomic
def _sign(*, plan: Plan, revision: int, by: User) -> Plan:
    Patient.objects.select_for_update().get(pk=plan.patient_id)  # an intake or a merge comes before this or after it
    plan.refresh_from_db()
    check_can_sign_plan(plan, by=by)
    if plan.revision != revision:
        raise StaleRevision
    obstacles = obstacles_to_signing(plan)
    if obstacles:
        raise NotReadyToSign(obstacles)
    if places := verified(plan):
        raise SecondCalculationDisagrees(plan, places)
    now = timezone.now()
    if plan.supersedes_id:  # first: one plan is in force at a time
        older = Plan.objects.filter(pk=plan.supersedes_id, status__in=transitions.before(PlanStatus.SUPERSEDED))
        if not older.update(status=PlanStatus.SUPERSEDED):
            raise InvalidTransition(_("The plan that this one amends is finished by now. Discard this draft."))
    draft = Plan.objects.filter(pk=plan.pk, status=PlanStatus.DRAFT, revision=revision)
    if not draft.update(
        status=PlanStatus.SIGNED,
        signed_at=now,
        signed_by=by,
        signature_sha256=signature(signed_content(plan, by=by, at=now)),
    ):
        raise StaleRevision
    plan.refresh_from_db()
    for name in settings.AFTER_PLAN_SIGNED:
        import_string(name)(plan, by=by)
    transaction.on_commit(lambda: prepare_prints(plan, by=by), robust=True)  # ahead of need
    trail.record(
        "plan.signed",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"sha256": plan.signature_sha256, "revision": plan.revision},
    )
    return plan
