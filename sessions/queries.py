"""Who may see which visit, and what the pages need to know, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypedDict

from django.db.models import Prefetch, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from patients.models import Patient
from patients.queries import records_of
from protocols.enums import PlanKind, PlanStatus
from protocols.models import Plan
from protocols.queries import plans_seen_by
from sessions.abilities import demands_of, lacking, serves
from sessions.availability import Turnover, availability_of, turnover_of
from sessions.models import (
    Appointment,
    AppointmentStatus,
    Course,
    Lot,
    Room,
    TreatmentSession,
    TreatmentSessionStatus,
)
from sessions.planned import planned_lines
from sessions.planner import Agenda, Booked, Calendar
from sessions.resource_models import MOST_MINUTES


class SessionDate(TypedDict):
    number: int
    starts_at: datetime  # aware, in the site's zone
    practitioner: str
    site: str


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
    return live.order_by().values("course__plan_id" if what == "plan" else "patient_id")


# ------------------------------------------------------------------ resources of a site


def rooms_of(site: Site) -> QuerySet[Room]:
    return Room.objects.filter(site=site, is_active=True)


def practitioners_of(site: Site) -> QuerySet[User]:
    """Who has working hours at the site."""
    return (
        User.objects.filter(is_active=True, sites=site, working_hours__site=site)
        .distinct()
        .order_by("family_name", "given_name", "pk")
    )


def able_practitioners(plan: Plan, site: Site) -> list[User]:
    """Who has working hours at the site and may do all that the plan asks for."""
    people = list(practitioners_of(site))
    short = lacking(people, site=site, demands=demands_of(plan))
    return [who for who in people if not short[who.pk]]


def rooms_for(plan: Plan, site: Site) -> list[Room]:
    """The site's rooms that serve what the plan asks for."""
    demands = demands_of(plan)
    return [room for room in rooms_of(site).order_by("name", "pk") if serves(room, demands)]


def turnover_for(plan: Plan, site: Site) -> Turnover:
    """The minutes of preparation and clean-up around each visit of the plan at this site."""
    return turnover_of(site, str(plan.result["course"].get("technique") or ""))


def live_appointments() -> QuerySet[Appointment]:
    """What takes up time. The database's overlap guards use the same condition."""
    return Appointment.objects.exclude(status=AppointmentStatus.CANCELLED)


def calendar_for(
    *,
    plan: Plan,
    practitioner: User,
    site: Site,
    since: datetime,
    colleagues: Iterable[User] = (),
    without: Iterable[Appointment] = (),
) -> Calendar:
    """All that the planner has to know for visits of this plan, in a fixed number of queries.

    The minutes of preparation and clean-up, of the new visit and of those that are there, are part of the busy time of
    people and rooms, so that the planner itself need not know of them. ``without`` are appointments that are about to
    be moved: they take up no time.
    """
    rooms, turnover = rooms_for(plan, site), turnover_for(plan, site)
    taken = (
        live_appointments()
        .filter(ends_at__gt=since - timedelta(minutes=MOST_MINUTES))
        .exclude(pk__in=[visit.pk for visit in without])
        .order_by("starts_at")
    )
    others = [who.pk for who in colleagues if who.pk != practitioner.pk]
    everybody = [practitioner.pk, *others]
    known = availability_of(site, people=everybody, since=since.astimezone(site.tz).date())

    def around(start: datetime, end: datetime, prepare: int = 0, cleanup: int = 0) -> tuple[datetime, datetime]:
        """The time in which a new visit may not lie, its own preparation and clean-up included."""
        return (
            start - timedelta(minutes=prepare) - turnover.after,
            end + timedelta(minutes=cleanup) + turnover.before,
        )

    times = ("starts_at", "ends_at", "prepare_minutes", "cleanup_minutes")
    by_person = {key: [around(*span) for span in known.away(key)] for key in everybody}
    for key, *span in taken.filter(practitioner__in=everybody).values_list("practitioner_id", *times):
        by_person[key].append(around(*span))
    by_room: dict[int, list[tuple[datetime, datetime]]] = {room.pk: [] for room in rooms}
    for key, *span in taken.filter(room__in=rooms).values_list("room_id", *times):
        by_room[key].append(around(*span))
    hours = {key: known.visiting_hours(key, turnover) for key in everybody}
    return Calendar(
        zone=site.tz,
        key=practitioner.pk,
        hours=hours[practitioner.pk],
        colleagues={key: Agenda(hours=hours[key], booked=Booked(by_person[key])) for key in others},
        closures=frozenset(known.closed),
        practitioner=Booked(by_person[practitioner.pk]),
        patient=Booked(taken.filter(patient__in=records_of(plan.patient)).values_list("starts_at", "ends_at")),
        rooms={key: Booked(spans) for key, spans in by_room.items()},
        not_before=since,
    )


# ------------------------------------------------------------------ courses and days


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


def usable_lots(plan: Plan, number: int, *, site: Site, today: date) -> list[Lot]:
    """The lots from which this session may be drawn: the signed strength, not recalled; soonest to expire first."""
    lines = {line.ingredient: line for line in planned_lines(plan, number)}
    lots = (
        Lot.objects.filter(
            site=site, product__ingredient__key__in=lines, expires_on__gte=today, recalled_at__isnull=True
        )
        .select_related("product__ingredient")
        .annotate(
            used=Coalesce(
                Sum(
                    "administrations__volume_ml",
                    filter=~Q(administrations__session__status=TreatmentSessionStatus.ENTERED_IN_ERROR),
                ),
                Decimal(0),
            )
        )
        .order_by("expires_on", "number")
    )
    return [
        lot
        for lot in lots
        if lot.used < lot.received_ml and lines[lot.product.ingredient.key].is_served_by(lot.product)
    ]
