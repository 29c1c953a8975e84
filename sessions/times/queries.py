"""What the planner is given: who can treat by a plan, in which rooms, and what is already booked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mesoclinic.accounts.models import Site, User
from patients.queries import records_of
from protocols.models import Plan
from sessions.course.abilities import demands_of, lacking, serves
from sessions.models import Appointment, Room
from sessions.models.hours import MOST_MINUTES
from sessions.planner import Agenda, Booked, Calendar
from sessions.queries import live_appointments
from sessions.sites.availability import Turnover, availability_of, turnover_of
from sessions.sites.queries import practitioners_of, rooms_of


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
