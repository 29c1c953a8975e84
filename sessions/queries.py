"""Who may see which visit, and what the pages need to know, in a fixed number of queries."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from patients.models import Patient
from protocols.models import Plan
from protocols.models.enums import PlanKind, PlanStatus
from protocols.plans.queries import plans_seen_by
from sessions.models import (
    Appointment,
    AppointmentStatus,
    Course,
    TreatmentSession,
    TreatmentSessionStatus,
)

# ------------------------------------------------------------------ what a person may see


def appointments_visible_to(user: User) -> QuerySet[Appointment]:
    if not user.may(Permission.BOOKING_READ):
        return Appointment.objects.none()
    return Appointment.objects.filter(Q(patient__site_id__in=user.site_ids) | Q(site_id__in=user.site_ids))


def courses_visible_to(user: User) -> QuerySet[Course]:
    if not user.may(Permission.BOOKING_READ):
        return Course.objects.none()
    mine = Q(plan__patient__site_id__in=user.site_ids) | Q(plan__in=seen_elsewhere(user, "plan"))
    return Course.objects.filter(mine)


def bookable_plans_visible_to(user: User) -> QuerySet[Plan]:
    """Plans by which a course may be booked. Whoever books sees that the plan exists, not what is in it."""
    if not user.may(Permission.PLAN_EXISTS):
        return Plan.objects.none()
    return Plan.objects.filter(plans_seen_by(user), status__in=PlanStatus.IN_FORCE, kind=PlanKind.COURSE)


GUEST_DAYS = 30  # so long after their last visit a patient of another site is still seen where it was


def seen_elsewhere(user: User, what: str) -> QuerySet[Appointment, Any]:
    """The primary keys of the patients (``what`` is "patient") or plans ("plan") with visits at the user's own sites.

    Lower apps ask by ``settings.SEEN_ELSEWHERE``: a patient who changes site keeps being seen where the visits are.
    """
    live = Appointment.objects.filter(
        site__in=user.site_ids,
        starts_at__gte=timezone.now() - timedelta(days=GUEST_DAYS),
        status__in=(*AppointmentStatus.COMING, AppointmentStatus.DONE),
    )
    found: QuerySet[Appointment, Any] = live.order_by().values("course__plan_id" if what == "plan" else "patient_id")
    return found


# ------------------------------------------------------------------ resources of a site


def live_appointments() -> QuerySet[Appointment]:
    """What takes up time. The database's overlap guards use the same condition."""
    return Appointment.objects.exclude(status=AppointmentStatus.CANCELLED)


# ------------------------------------------------------------------ courses and days


def day_bounds(day: date, site: Site) -> tuple[datetime, datetime]:
    """The instants at which the site's day begins and ends: 23, 24 or 25 hours apart."""
    start = datetime.combine(day, time.min, tzinfo=site.tz)
    return start, datetime.combine(day + timedelta(days=1), time.min, tzinfo=site.tz)


def visits_on(day: date, *, site: Site, user: User) -> QuerySet[Appointment]:
    """The site's visits of one day, with what a row shows."""
    start, end = day_bounds(day, site)
    return (
        appointments_visible_to(user)
        .filter(site=site, starts_at__gte=start, starts_at__lt=end)
        .select_related("patient", "practitioner", "room", "site", "course__plan")
        .order_by("starts_at", "room__name", "pk")
    )


def visits_of(patient: Patient, *, user: User) -> QuerySet[Appointment]:
    recorded = TreatmentSession.objects.filter(status=TreatmentSessionStatus.PERFORMED).select_related("performed_by")
    return (
        appointments_visible_to(user)
        .filter(patient=patient)
        .select_related("practitioner", "room", "site", "course__plan")
        .prefetch_related(
            Prefetch("treatment_session", queryset=recorded.prefetch_related("administrations__ingredient"))
        )
        .order_by("starts_at", "pk")
    )
