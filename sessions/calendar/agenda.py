"""The agenda: visits in a list, day by day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

from sessions.calendar import reading
from sessions.calendar.day import Placed, placed_visit
from sessions.calendar.reading import Read, Visit
from sessions.calendar.week import clock_note


@dataclass(frozen=True, kw_only=True)
class AgendaDay:
    """One day of the list."""

    day: date
    is_today: bool
    url: str
    note: str
    visits: tuple[Placed, ...]


@dataclass(frozen=True, kw_only=True)
class Agenda:
    """One page of the list."""

    days: tuple[AgendaDay, ...]
    following: date  # where the next page begins
    cut: bool  # a day holds more than the page shows


def agenda_of(found: Read) -> Agenda:
    """List days with visits or a closure, one after another: whole days, until the page is full."""
    choice, tz = found.choice, found.choice.site.tz
    visits: dict[date, list[Visit]] = defaultdict(list)
    for visit in found.shown():
        visits[visit.starts_at.astimezone(tz).date()].append(visit)
    complete = len(found.visits) < 2 * reading.AGENDA_AT_MOST
    made: list[AgendaDay] = []
    following, total, cut = choice.days[-1] + timedelta(days=1), 0, False
    last = max(visits, default=choice.day)
    for day in choice.days:
        here = visits.get(day, [])
        if total and (total + len(here) > reading.AGENDA_AT_MOST or (not complete and day >= last)):
            following = day
            break
        cut = cut or (not complete and day == last)
        total += len(here)
        note = " ".join(part for part in (found.closed.get(day, ""), clock_note(day, choice.site)) if part)
        if here or note or day == choice.today:
            made.append(
                AgendaDay(
                    day=day,
                    is_today=day == choice.today,
                    url=choice.url(view="day", day=day),
                    note=note,
                    visits=tuple(placed_visit(found, visit, "") for visit in here),
                )
            )
        if cut:
            following = day + timedelta(days=1)
            break
    return Agenda(days=tuple(made), following=following, cut=cut)
