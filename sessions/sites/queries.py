"""What the director's pages of sites and people show, and which booked visits no longer fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from protocols.models import Plan
from sessions.course.abilities import abilities, demands_of, in_words, lacking, prescription_keys, serves
from sessions.models import Appointment, AppointmentStatus, Closure, Room, WorkingHours
from sessions.models.hours import Absence, OpenedHoliday, OpeningHours
from sessions.planner import Hours
from sessions.queries import appointments_visible_to
from sessions.sites.availability import Turnover, availability_of, public_holidays
from sessions.sites.words import not_open

HOLIDAYS_SHOWN = timedelta(days=366)


def sites_managed_by(user: User) -> QuerySet[Site]:
    if not user.may(Permission.RESOURCES_WRITE):
        return Site.objects.none()
    return Site.objects.filter(pk__in=user.site_ids)


def people_managed_by(user: User) -> QuerySet[User]:
    """Who works at one of the user's sites."""
    if not user.may(Permission.RESOURCES_WRITE):
        return User.objects.none()
    return User.objects.filter(is_active=True, sites__in=user.site_ids).distinct().order_by("family_name", "given_name")


# ------------------------------------------------------------------ hours


def opening_blocks(site: Site) -> list[Hours]:
    rows = OpeningHours.objects.filter(site=site).order_by("weekday", "starts")
    return [Hours(row.weekday, row.starts, row.ends) for row in rows]


def working_blocks(person: User, site: Site) -> list[Hours]:
    rows = WorkingHours.objects.filter(practitioner=person, site=site).order_by("weekday", "starts")
    return [Hours(row.weekday, row.starts, row.ends) for row in rows]


def minutes_a_week(blocks: Iterable[Hours]) -> int:
    return sum((block.ends.hour - block.starts.hour) * 60 + block.ends.minute - block.starts.minute for block in blocks)


# ------------------------------------------------------------------ closures and holidays


@dataclass(frozen=True, kw_only=True)
class Span:
    """Days on end for one reason."""

    first: date
    last: date
    reason: str


def closures_from(site: Site, *, since: date) -> list[Span]:
    """The site's own closures that are not over, days on end with the same reason as one."""
    spans: list[Span] = []
    for day, reason in Closure.objects.filter(site=site, day__gte=since).order_by("day").values_list("day", "reason"):
        if spans and spans[-1].last + timedelta(days=1) == day and spans[-1].reason == reason:
            spans[-1] = Span(first=spans[-1].first, last=day, reason=reason)
        else:
            spans.append(Span(first=day, last=day, reason=reason))
    return spans


@dataclass(frozen=True, kw_only=True)
class Holiday:
    day: date
    name: str
    opened: bool


def holidays_from(site: Site, *, since: date) -> list[Holiday]:
    """The public holidays of the coming year."""
    found = public_holidays(site, first=since, last=since + HOLIDAYS_SHOWN)
    opened = set(OpenedHoliday.objects.filter(site=site, day__gte=since).values_list("day", flat=True))
    return [Holiday(day=day, name=name, opened=day in opened) for day, name in found.items()]


def absences_from(person: User, *, since: date) -> list[Absence]:
    return list(Absence.objects.filter(person=person, last_day__gte=since).select_related("site"))


# ------------------------------------------------------------------ what no longer fits


@dataclass(frozen=True, kw_only=True)
class Misfit:
    visit: Appointment
    why: str


class _Booked(NamedTuple):
    """What of a visit decides whether it fits. Whole rows are read only of those that do not."""

    pk: int
    starts_at: datetime
    ends_at: datetime
    practitioner_id: int
    room_id: int
    plan_id: int
    prepare_minutes: int
    cleanup_minutes: int


def misfits(*, site: Site, user: User, now: datetime, person: User | None = None) -> list[Misfit]:
    """The booked visits still to come that today's hours, closures, absences, rooms or abilities would not allow."""
    found = _why_not(site=site, user=user, now=now, person=person)
    if not found:
        return []
    visits = Appointment.objects.filter(pk__in=found).select_related(
        "patient", "practitioner", "room", "site", "course"
    )
    return [Misfit(visit=visit, why=found[visit.pk]) for visit in visits.order_by("starts_at")]


def misfit_count(*, site: Site, user: User, now: datetime) -> int:
    return len(_why_not(site=site, user=user, now=now, person=None))


def _why_not(*, site: Site, user: User, now: datetime, person: User | None) -> dict[int, str]:
    """By primary key of the visit, why it no longer fits."""
    booked = appointments_visible_to(user).filter(site=site, status=AppointmentStatus.BOOKED, starts_at__gt=now)
    if person is not None:
        booked = booked.filter(practitioner=person)
    columns = [name if name != "plan_id" else "course__plan_id" for name in _Booked._fields]
    visits = [_Booked(*row) for row in booked.order_by("starts_at").values_list(*columns)]
    if not visits:
        return {}
    people = User.objects.in_bulk({visit.practitioner_id for visit in visits})
    staff = set(site.staff.filter(pk__in=people).values_list("pk", flat=True))
    rooms = Room.objects.in_bulk({visit.room_id for visit in visits})
    known = availability_of(site, people=people, since=now.astimezone(site.tz).date())
    every = [ability.code for ability in abilities()]
    short = {key: set(codes) for key, codes in lacking(list(people.values()), site=site, demands=every).items()}
    # What a plan asks for is only read where somebody or some room does not do everything.
    plans = _demands({v.plan_id for v in visits if short[v.practitioner_id] or rooms[v.room_id].serves})
    found: dict[int, str] = {}
    for visit in visits:
        asked = plans.get(visit.plan_id, frozenset())
        who, room = people[visit.practitioner_id], rooms[visit.room_id]
        turnover = Turnover(prepare=visit.prepare_minutes, cleanup=visit.cleanup_minutes)
        gone = _left(who, site, works_here=visit.practitioner_id in staff)
        obstacle = None if gone else known.obstacle(visit.starts_at, visit.ends_at, person=who.pk, turnover=turnover)
        if gone:
            why = gone
        elif obstacle:
            why = not_open(obstacle, starts_at=visit.starts_at, ends_at=visit.ends_at, who=who, site=site)
        elif not room.is_active:
            why = _("%(room)s is not in use.") % {"room": room}
        elif not serves(room, asked):
            why = _("%(room)s is not used for what this plan asks for.") % {"room": room}
        elif missing := asked & short[who.pk]:
            why = _("%(who)s does not do this at %(site)s: %(what)s.") % {
                "who": who,
                "site": site,
                "what": in_words(sorted(missing)),
            }
        else:
            continue
        found[visit.pk] = why
    return found


def _left(who: User, site: Site, *, works_here: bool) -> str:
    """Why somebody takes no visits at the site any more; empty where they do."""
    names = {"who": who, "site": site}
    if not who.is_active:
        return _("%(who)s no longer works here.") % names
    if not works_here:
        return _("%(who)s no longer works at %(site)s.") % names
    if not who.may(Permission.SESSION_WRITE):
        return _("%(who)s no longer treats: the role does not record sessions.") % names
    return ""


def _demands(plan_ids: Collection[int]) -> dict[int, frozenset[str]]:
    """What each of these plans asks for, in two queries; none where there is nothing to ask."""
    if not plan_ids:
        return {}
    plans: Sequence[Plan] = list(Plan.objects.filter(pk__in=plan_ids).only("pk", "formulary_id", "result"))
    known = prescription_keys({plan.formulary_id for plan in plans})
    return {plan.pk: demands_of(plan, known) for plan in plans}


def rooms_of(site: Site) -> QuerySet[Room]:
    return Room.objects.filter(site=site, is_active=True)


def practitioners_of(site: Site) -> QuerySet[User]:
    """Who has working hours at the site."""
    return (
        User.objects.filter(is_active=True, sites=site, working_hours__site=site)
        .distinct()
        .order_by("family_name", "given_name", "pk")
    )
