"""A plan is complete once its sessions were done or left out."""

from __future__ import annotations

from mesoclinic.accounts.models import User
from protocols.actions.status import change_plan_status
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from sessions.course.terms import terms_of
from sessions.mail import followups
from sessions.models import TreatmentSession, TreatmentSessionStatus
from sessions.models.changes import SessionLeftOut


def complete_plan_if_done(*, plan: Plan, by: User) -> None:
    """After a session was left out: the course is complete where all the others are done, and what follows is owed."""
    last = (
        TreatmentSession.objects.filter(plan=plan, status=TreatmentSessionStatus.PERFORMED)
        .select_related("appointment__patient", "appointment__site", "appointment__practitioner", "plan__formulary")
        .order_by("-performed_at")
        .first()
    )
    if last is None or plan.status not in PlanStatus.IN_FORCE or not is_complete(plan):
        return
    change_plan_status(plan=plan, to=PlanStatus.COMPLETED, by=by)
    last.plan.refresh_from_db(fields=["status"])
    followups.course_finished(last, by=by)


def is_complete(plan: Plan) -> bool:
    """Whether every session of the plan was done, or left out on purpose."""
    done = TreatmentSession.objects.filter(plan=plan, status=TreatmentSessionStatus.PERFORMED)
    left_out = SessionLeftOut.objects.filter(course__plan=plan)
    return done.count() + left_out.count() == terms_of(plan).sessions
