"""What becomes of the visits of a plan that is stopped."""

from __future__ import annotations

import pytest

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import DomainError
from mesoclinic.messaging.models import Message, MessageState
from protocols.actions.status import stop_plan
from protocols.models import PlanStop
from protocols.models.enums import PlanStatus
from sessions.models import AppointmentStatus, Course
from sessions.models.followups import FollowUp, FollowUpState


def states(course: Course) -> set[str]:
    return set(course.appointments.values_list("status", flat=True))


def test_visits_ahead_are_cancelled_with_the_plan_and_nobody_is_asked_to_book(course: Course, ada: User) -> None:
    stop_plan(plan=course.plan, reason_code="not_tolerated", note="", cancel_visits=True, by=ada)

    course.plan.refresh_from_db()
    assert course.plan.status == PlanStatus.STOPPED
    assert states(course) == {AppointmentStatus.CANCELLED}
    waiting = Message.objects.filter(state__in=[MessageState.HELD, MessageState.QUEUED])
    assert not waiting.filter(purpose__in=["unbooked", "reminder_24h", "reminder_7d", "prepare"]).exists()
    assert not FollowUp.objects.filter(kind="unbooked", state=FollowUpState.PLANNED).exists()


def test_visits_are_kept_to_talk_where_asked_to(course: Course, ada: User) -> None:
    stop_plan(plan=course.plan, reason_code="patient_wish", note="", cancel_visits=False, by=ada)
    assert states(course) == {AppointmentStatus.BOOKED}


def test_what_was_done_stays_done(course: Course, ada: User) -> None:
    first = course.appointments.order_by("number").first()
    assert first is not None
    course.appointments.filter(pk=first.pk).update(status=AppointmentStatus.DONE)
    stop_plan(plan=course.plan, reason_code="no_response", note="", cancel_visits=True, by=ada)
    first.refresh_from_db()
    assert first.status == AppointmentStatus.DONE
    assert states(course) == {AppointmentStatus.DONE, AppointmentStatus.CANCELLED}


def test_a_refused_stop_cancels_nothing(course: Course, ada: User, ben: User) -> None:
    for by, reason in ((ben, "no_response"), (ada, "x"), (ada, "other")):
        with pytest.raises(DomainError):
            stop_plan(plan=course.plan, reason_code=reason, note="", cancel_visits=True, by=by)
    assert states(course) == {AppointmentStatus.BOOKED}
    assert not PlanStop.objects.exists()
