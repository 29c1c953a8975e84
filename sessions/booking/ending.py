"""How a plan ends: complete once its sessions were done or left out, or stopped with what becomes of its visits."""

from __future__ import annotations

from django.db.models import QuerySet

from mesoclinic.accounts.models import User
from mesoclinic.messaging.actions import cancel_messages
from protocols.actions.status import change_plan_status
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from sessions.booking.actions import cancel_course
from sessions.course.terms import terms_of
from sessions.mail import followups
from sessions.mail.followups import ASK_TO_BOOK
from sessions.models import AppointmentStatus, Course, TreatmentSession, TreatmentSessionStatus
from sessions.models.changes import SessionLeftOut
from sessions.models.followups import FollowUp, FollowUpState


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


def plan_stopped(plan: Plan, *, cancel_visits: bool, by: User) -> None:
    """Called in the transaction that stops a plan: cancel what is booked where asked to, and ask nobody to book."""
    for course in _courses_ahead(plan):
        if cancel_visits:
            cancel_course(course=course, by=by)
        _ask_nobody_to_book(course.plan, by=by)
    _ask_nobody_to_book(plan, by=by)


def _ask_nobody_to_book(plan: Plan, *, by: User) -> None:
    cancel_messages(subject_id=plan.public_id, purposes=ASK_TO_BOOK, by=by)
    FollowUp.objects.filter(subject_id=plan.public_id, kind__in=ASK_TO_BOOK, state=FollowUpState.PLANNED).update(
        state=FollowUpState.VOID, reason="plan_stopped"
    )


def _courses_ahead(plan: Plan) -> QuerySet[Course]:
    """Those with a booked visit, whichever version of the plan they were booked from."""
    return (
        Course.objects.filter(
            plan__patient=plan.patient_id,
            plan__number=plan.number,
            appointments__status=AppointmentStatus.BOOKED,
        )
        .select_related("plan", "plan__patient")
        .distinct()
    )
