"""What becomes of the visits of a plan that is stopped."""

from __future__ import annotations

from django.db.models import QuerySet

from mesoclinic.accounts.models import User
from mesoclinic.messaging.actions import cancel_messages
from protocols.models import Plan
from sessions.booking.actions import cancel_course
from sessions.mail.followups import ASK_TO_BOOK
from sessions.models import AppointmentStatus, Course
from sessions.models.followups import FollowUp, FollowUpState


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
