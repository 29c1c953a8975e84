"""The month: how full each day is, and its first visits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum, Window
from django.db.models.functions import RowNumber, TruncDate
from django.urls import reverse
from django.utils.translation import ngettext

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from sessions.calendar.address import Choice
from sessions.calendar.grid import midnight, wall
from sessions.calendar.reading import COLUMNS, SOMEBODY, Line, Read, Visit, only_chosen, stops_of, visit_of
from sessions.calendar.week import Entry
from sessions.models import AppointmentStatus
from sessions.queries import appointments_visible_to
from sessions.sites.availability import availability_of
from sessions.sites.queries import practitioners_of, rooms_of

MONTH_AT_MOST = 3  # visits in one day of the month


class _Count(NamedTuple):
    """How many visits a day has, and how much time those take that are not cancelled."""

    visits: int
    booked: timedelta


@dataclass(frozen=True, kw_only=True)
class MonthDay:
    """One day of the month: how full it is, and its first visits."""

    day: date
    in_month: bool
    is_today: bool
    url: str
    closed: str
    count: str
    entries: tuple[Entry, ...]
    more: int
    share: int | None  # percent of the working hours that are booked


@dataclass(frozen=True, kw_only=True)
class Month:
    """Whole weeks, those days of other months included that fill them."""

    weeks: tuple[tuple[MonthDay, ...], ...]
    people: Sequence[Line]
    rooms: Sequence[Line]
    patients: list[UUID]


def month_of(choice: Choice, *, user: User, now: datetime) -> Month:
    """Lay out the month. The database counts, and gives each day's first visits only."""
    site, tz = choice.site, choice.site.tz
    since, until = midnight(choice.days[0], tz), midnight(choice.days[-1] + timedelta(days=1), tz)
    people = [Line(who.pk, str(who.public_id), who.name) for who in practitioners_of(site)]
    rooms = [Line(row.pk, str(row.public_id), row.name) for row in rooms_of(site).order_by("name", "pk")]
    rows = only_chosen(
        appointments_visible_to(user).filter(site=site, starts_at__gte=since, starts_at__lt=until), choice
    ).annotate(on=TruncDate("starts_at", tzinfo=tz))
    counts, firsts = _counts(rows), _firsts(rows, site=site, user=user)
    found = Read(
        choice=choice,
        now=now,
        people=people,
        rooms=rooms,
        known=availability_of(site, people=[line.pk for line in people], since=choice.days[0]),
        visits=(),
    )
    days = [_month_day(found, day, counts.get(day, _Count(0, timedelta())), firsts[day]) for day in choice.days]
    weeks = tuple(tuple(days[at : at + 7]) for at in range(0, len(days), 7))
    patients = list(dict.fromkeys(visit.patient for visits in firsts.values() for visit in visits))
    return Month(weeks=weeks, people=people, rooms=rooms, patients=patients)


def _counts(rows: QuerySet[Any]) -> dict[date, _Count]:
    length = ExpressionWrapper(F("ends_at") - F("starts_at"), output_field=DurationField())
    counted = (
        rows.order_by()
        .values("on")
        .annotate(count=Count("pk"), booked=Sum(length, filter=~Q(status=AppointmentStatus.CANCELLED)))
    )
    return {row["on"]: _Count(row["count"], row["booked"] or timedelta()) for row in counted}


def _firsts(rows: QuerySet[Any], *, site: Site, user: User) -> dict[date, list[Visit]]:
    """The first visits of each day."""
    firsts = rows.annotate(
        place=Window(RowNumber(), partition_by=[F("on")], order_by=[F("starts_at").asc(), F("pk").asc()])
    ).filter(place__lte=MONTH_AT_MOST)
    named = user.may(Permission.PATIENT_READ)
    page = reverse("sessions:appointment", args=[SOMEBODY])
    by_day: dict[date, list[Visit]] = defaultdict(list)
    listed = list(firsts.order_by("starts_at", "pk").values("on", *COLUMNS))
    stops = stops_of(listed, site=site, user=user)
    for row in listed:
        row["stop"] = stops.get(row["pk"], "")
        by_day[row["on"]].append(visit_of(row, site=site, user=user, named=named, may_move=False, page=page))
    return by_day


def _month_day(found: Read, day: date, counted: _Count, here: Sequence[Visit]) -> MonthDay:
    choice, count = found.choice, counted.visits
    only = next((line for line in found.people if line.key == choice.practitioner), None)
    worked = sum(
        (datetime.combine(day, block.ends) - datetime.combine(day, block.starts)).total_seconds()
        for who in ([only] if only else found.people)
        for block in found.hours_on(day, who)
    )
    share = min(round(100 * counted.booked.total_seconds() / worked), 100) if worked and not choice.room else None
    return MonthDay(
        day=day,
        in_month=day.month == choice.day.month,
        is_today=day == choice.today,
        url=choice.url(view="day", day=day),
        closed=found.closed.get(day, ""),
        count=ngettext("%(n)s visit", "%(n)s visits", count) % {"n": count} if count else "",
        entries=tuple(
            Entry(visit=visit, time=wall(visit.starts_at, choice.site.tz), practitioner=-1, room=-1) for visit in here
        ),
        more=count - len(here),
        share=share,
    )
