"""The booked visits of a course, and their dates for a plan's prints."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from protocols.models import Plan
from sessions.models import Appointment, AppointmentStatus, Course


class SessionDate(TypedDict):
    number: int
    starts_at: datetime  # aware, in the site's zone
    practitioner: str
    site: str


def kept_appointments(course: Course) -> list[Appointment]:
    """The appointments that stand for a session of the course, by number: booked, arrived or done."""
    rows = course.appointments.exclude(status__in=AppointmentStatus.FREE_AGAIN)
    return list(rows.select_related("practitioner", "room", "site").order_by("number"))


def session_dates_for_plan(plan: Plan) -> list[SessionDate]:
    """The booked dates of a plan's sessions, for its documents. Empty while nothing is booked."""
    course = Course.objects.filter(plan=plan).first()
    if course is None:
        return []
    return [
        {
            "number": visit.number,
            "starts_at": visit.starts_at.astimezone(visit.site.tz),
            "practitioner": visit.practitioner.name,
            "site": visit.site.name,
        }
        for visit in kept_appointments(course)
    ]
