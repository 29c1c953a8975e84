"""The week: a row for each practitioner or room, a cell for each day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.models import Site
from sessions.calendar.day import BAR, axis_of, choice_of_one, days_worked
from sessions.calendar.grid import Span, length_of, path, wall
from sessions.calendar.reading import Line, Read, Visit
from sessions.planner import Hours

CELL_AT_MOST = 6  # visits in one cell of the week


@dataclass(frozen=True, kw_only=True)
class Entry:
    visit: Visit
    time: str
    practitioner: int
    room: int


@dataclass(frozen=True, kw_only=True)
class Cell:
    day: date
    note: str
    hours: str  # drawing of the working hours
    taken: str  # and of what is booked in them
    entries: tuple[Entry, ...]
    more: int
    more_url: str
    is_today: bool

    @property
    def empty(self) -> bool:
        return not (self.entries or self.note)


@dataclass(frozen=True, kw_only=True)
class Row:
    line: Line
    index: int
    url: str
    count: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Heading:
    day: date
    url: str
    note: str
    is_today: bool


@dataclass(frozen=True, kw_only=True)
class Week:
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    width: int  # of the drawings, in minutes
    hours: str  # which hours the drawings span
    keys: dict[str, list[str]]


def week_of(found: Read) -> Week:
    """Practitioners or rooms down the side, days across; each cell its visits in order and a drawing of the day."""
    choice, tz = found.choice, found.choice.site.tz
    days, person = days_worked(found), choice.by == "practitioner"
    axis = axis_of(found, days, single=False)
    cells: dict[tuple[int, date], list[Visit]] = defaultdict(list)
    busy: dict[tuple[int, date], list[Span]] = defaultdict(list)
    for visit in found.shown():
        cells[visit.practitioner if person else visit.room, visit.starts_at.astimezone(tz).date()].append(visit)
    for visit in found.visits:
        if visit.live:
            key = visit.practitioner if person else visit.room, visit.starts_at.astimezone(tz).date()
            busy[key].append(axis.span(visit.taken_from, visit.taken_until))
    people = {line.pk: at for at, line in enumerate(found.people)}
    rooms = {line.pk: at for at, line in enumerate(found.rooms)}
    places = people if person else rooms
    rows = []
    for line in found.lines():
        made = []
        for day in days:
            here = cells[line.pk, day]
            hours = found.hours_on(day, line if person else None)
            shown = here if len(here) <= CELL_AT_MOST else here[: CELL_AT_MOST - 1]
            made.append(
                Cell(
                    day=day,
                    note=_cell_note(found, line, day, hours) if person else "",
                    hours=path((axis.of_hours(day, row.starts, row.ends) for row in hours), height=BAR),
                    taken=path(busy[line.pk, day], height=BAR),
                    entries=tuple(
                        Entry(
                            visit=visit,
                            time=wall(visit.starts_at, tz),
                            practitioner=people.get(visit.practitioner, -1),
                            room=rooms.get(visit.room, -1),
                        )
                        for visit in shown
                    ),
                    more=len(here) - len(shown),
                    more_url=choice.url(view="day", day=day, **{choice.by: line.key}),
                    is_today=day == choice.today,
                )
            )
        total = sum(len(cells[line.pk, day]) for day in days)
        rows.append(
            Row(
                line=line,
                index=places[line.pk],
                url=choice_of_one(choice, line),
                count=ngettext("%(n)s visit", "%(n)s visits", total) % {"n": total},
                cells=tuple(made),
            )
        )
    return Week(
        headings=tuple(
            Heading(
                day=day,
                url=choice.url(view="day", day=day),
                note=" ".join(part for part in (found.closed.get(day, ""), clock_note(day, choice.site)) if part),
                is_today=day == choice.today,
            )
            for day in days
        ),
        rows=tuple(rows),
        width=axis.minutes,
        hours=f"{axis.first:02}:00 – {axis.last:02}:00",
        keys={"practitioner": [line.key for line in found.people], "room": [line.key for line in found.rooms]},
    )


def _cell_note(found: Read, line: Line, day: date, hours: Sequence[Hours]) -> str:
    for absence in found.known.absences.get(line.pk, ()):
        if absence.first_day <= day <= absence.last_day:
            hour = f" {absence.starts:%H:%M} – {absence.ends:%H:%M}" if absence.starts and absence.ends else ""
            return f"{absence.get_kind_display()}{hour}"
    return "" if hours or day in found.closed else _("not here")


def clock_note(day: date, site: Site) -> str:
    """What the day's length says of the clocks; empty on any other day."""
    length = length_of(day, site.tz)
    if length == timedelta(days=1):
        return ""
    hours, minutes = divmod(int(length.total_seconds() // 60), 60)
    words = f"{hours} h {minutes} min" if minutes else ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours}
    if length < timedelta(days=1):
        return _("The clocks go forward: this day has %(hours)s.") % {"hours": words}
    return _("The clocks go back: this day has %(hours)s.") % {"hours": words}
