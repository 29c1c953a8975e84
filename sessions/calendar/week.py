"""The week: a row for each practitioner or room, a cell for each day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.models import Site
from sessions.calendar.day import BAR, axis_of, choice_of_one, days_worked
from sessions.calendar.grid import Axis, Span, length_of, path, wall
from sessions.calendar.reading import Line, Read, Visit
from sessions.planner import Hours

CELL_AT_MOST = 6  # visits in one cell of the week


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A visit in a cell of the week or the month."""

    visit: Visit
    time: str
    practitioner: int
    room: int


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One day of one practitioner or room."""

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
    """The week of one practitioner or room."""

    line: Line
    index: int
    url: str
    count: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Heading:
    """One day at the top of the week."""

    day: date
    url: str
    note: str
    is_today: bool


@dataclass(frozen=True, kw_only=True)
class Week:
    """The week of all of them."""

    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    width: int  # of the drawings, in minutes
    hours: str  # which hours the drawings span
    keys: dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class _Booked:
    """What is booked, by practitioner or room and day, and where each of them stands among the page's keys."""

    visits: Mapping[tuple[int, date], Sequence[Visit]]
    busy: Mapping[tuple[int, date], Sequence[Span]]
    people: Mapping[int, int]
    rooms: Mapping[int, int]


def week_of(found: Read) -> Week:
    """Lay out practitioners or rooms down the side, days across; each cell its visits and a drawing of the day."""
    choice, days = found.choice, days_worked(found)
    axis = axis_of(found, days, single=False)
    booked = _booked(found, axis)
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
        rows=tuple(_row(found, axis, days, line, booked) for line in found.lines()),
        width=axis.minutes,
        hours=f"{axis.first:02}:00 – {axis.last:02}:00",
        keys={"practitioner": [line.key for line in found.people], "room": [line.key for line in found.rooms]},
    )


def _booked(found: Read, axis: Axis) -> _Booked:
    person = found.choice.by == "practitioner"
    visits: dict[tuple[int, date], list[Visit]] = defaultdict(list)
    busy: dict[tuple[int, date], list[Span]] = defaultdict(list)

    def cell(visit: Visit) -> tuple[int, date]:
        return visit.practitioner if person else visit.room, visit.starts_at.astimezone(axis.zone).date()

    for visit in found.shown():
        visits[cell(visit)].append(visit)
    for visit in found.visits:
        if visit.live:
            busy[cell(visit)].append(axis.span(visit.taken_from, visit.taken_until))
    return _Booked(
        visits=visits,
        busy=busy,
        people={line.pk: at for at, line in enumerate(found.people)},
        rooms={line.pk: at for at, line in enumerate(found.rooms)},
    )


def _row(found: Read, axis: Axis, days: Sequence[date], line: Line, booked: _Booked) -> Row:
    total = sum(len(booked.visits.get((line.pk, day), ())) for day in days)
    places = booked.people if found.choice.by == "practitioner" else booked.rooms
    return Row(
        line=line,
        index=places[line.pk],
        url=choice_of_one(found.choice, line),
        count=ngettext("%(n)s visit", "%(n)s visits", total) % {"n": total},
        cells=tuple(_cell(found, axis, day, line, booked) for day in days),
    )


def _cell(found: Read, axis: Axis, day: date, line: Line, booked: _Booked) -> Cell:
    """The first visits of the day, and how many more there are."""
    choice, person = found.choice, found.choice.by == "practitioner"
    here = booked.visits.get((line.pk, day), ())
    hours = found.hours_on(day, line if person else None)
    shown = here if len(here) <= CELL_AT_MOST else here[: CELL_AT_MOST - 1]
    return Cell(
        day=day,
        note=_cell_note(found, line, day, hours) if person else "",
        hours=path((axis.of_hours(day, row.starts, row.ends) for row in hours), height=BAR),
        taken=path(booked.busy.get((line.pk, day), ()), height=BAR),
        entries=tuple(
            Entry(
                visit=visit,
                time=wall(visit.starts_at, axis.zone),
                practitioner=booked.people.get(visit.practitioner, -1),
                room=booked.rooms.get(visit.room, -1),
            )
            for visit in shown
        ),
        more=len(here) - len(shown),
        more_url=choice.url(view="day", day=day, **{choice.by: line.key}),
        is_today=day == choice.today,
    )


def _cell_note(found: Read, line: Line, day: date, hours: Sequence[Hours]) -> str:
    for absence in found.known.absences.get(line.pk, ()):
        if absence.first_day <= day <= absence.last_day:
            hour = f" {absence.starts:%H:%M} – {absence.ends:%H:%M}" if absence.starts and absence.ends else ""
            return f"{absence.get_kind_display()}{hour}"
    return "" if hours or day in found.closed else _("not here")


def clock_note(day: date, site: Site) -> str:
    """Say what the day's length tells of the clocks; empty on any other day."""
    length = length_of(day, site.tz)
    if length == timedelta(days=1):
        return ""
    hours, minutes = divmod(int(length.total_seconds() // 60), 60)
    words = f"{hours} h {minutes} min" if minutes else ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours}
    if length < timedelta(days=1):
        return _("The clocks go forward: this day has %(hours)s.") % {"hours": words}
    return _("The clocks go back: this day has %(hours)s.") % {"hours": words}
