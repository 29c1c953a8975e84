"""The day, to the minute: columns with what is placed, free and blocked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from sessions.calendar.address import Choice
from sessions.calendar.grid import Axis, Mark, Span, hours_to_show, lane, lanes, merged, place, tall, wall, without
from sessions.calendar.reading import Line, Read, Visit
from sessions.planner import Hours

FREE_AT_LEAST = 20  # minutes of a free time worth showing


BAR = 6  # height of the drawing of what is taken


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A visit and where it stands on the page."""

    visit: Visit
    classes: str
    start: str
    end: str
    practitioner: int  # index among the page's keys
    room: int

    @property
    def when(self) -> str:
        return f"{self.start} – {self.end}"


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A free time that can be booked."""

    classes: str
    start: str
    end: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """Time that is not to be had, and why, where that may be said."""

    classes: str
    text: str
    when: str


@dataclass(frozen=True, kw_only=True)
class Column:
    """A practitioner or a room on one day, or one day of either."""

    name: str
    note: str  # when they work, or why they do not
    day: date
    url: str
    index: int  # of the practitioner or room among the page's keys; -1 where a column is a day
    off: tuple[str, ...]  # classes of the shaded pieces
    visits: tuple[Placed, ...]
    free: tuple[Gap, ...]
    blocked: tuple[Blocked, ...]
    around: tuple[str, ...] = ()  # classes of preparation and clean-up
    is_today: bool = False

    @property
    def empty(self) -> bool:
        return not (self.visits or self.free or self.blocked)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The columns of a day or of one week, beside the hours."""

    axis: Axis
    marks: tuple[tuple[Mark, str], ...]
    classes: str  # how tall
    columns: tuple[Column, ...]
    begins: str  # for the script: the instant at the top, or the first hour of the wall
    now: str  # class of the line of the present, if it is in sight
    now_text: str
    keys: dict[str, list[str]]
    rows: tuple[Placed, ...] = ()  # the same as a list
    line_name: str = ""  # of the one whose week it is
    missing: str = ""  # who has no column, because they are not there this day

    @property
    def has_free(self) -> bool:
        return any(column.free for column in self.columns)


def day_grid(found: Read) -> Grid:
    """Lay out a day, its columns practitioners or rooms, or a week, its columns the days of one of them."""
    choice, tz = found.choice, found.choice.site.tz
    shown, lines = found.shown(), found.lines()
    days = days_worked(found) if choice.view == "week" else choice.days
    wanted = choice.practitioner if choice.by == "practitioner" else choice.room
    if choice.view == "week":
        slots = [(day, lines[0]) for day in days] if lines else []
        missing: list[Line] = []
    else:
        slots = [(choice.day, line) for line in lines if wanted or _is_there(found, line, choice.day)]
        missing = [line for line in lines if all(line is not other for _day, other in slots)]
    axis = axis_of(found, days, single=choice.view == "day")
    keys = {"practitioner": [line.key for line in found.people], "room": [line.key for line in found.rooms]}
    columns = tuple(column_of(found, axis, day, line, shown) for day, line in slots)
    here = axis.span(found.now, found.now + timedelta(minutes=1))
    in_sight = choice.today in days and here.end > here.start
    return Grid(
        axis=axis,
        marks=tuple((mark, place(Span(mark.minute, mark.minute))) for mark in axis.marks()),
        classes=tall(axis.minutes),
        columns=columns,
        begins=axis.begins.isoformat() if axis.day else f"{axis.first:02}:00",
        now=place(here) if in_sight else "",
        now_text=wall(found.now, tz),
        keys=keys,
        rows=tuple(placed_visit(found, visit, "") for visit in shown) if choice.view == "day" else (),
        line_name=lines[0].name if choice.view == "week" and lines else "",
        missing=", ".join(line.name for line in missing),
    )


def _is_there(found: Read, line: Line, day: date) -> bool:
    """A room always is. A practitioner who neither works that day nor has a visit gets no empty column."""
    if found.choice.by == "room" or found.hours_on(day, line):
        return True
    return any(visit.practitioner == line.pk and visit.here for visit in found.visits)


def axis_of(found: Read, days: Sequence[date], *, single: bool) -> Axis:
    """Return the hours down the side: all that somebody works or a visit takes on these days, or the whole day."""
    tz = found.choice.site.tz
    if found.choice.whole:
        first, last = 0, 24
    else:
        walls = [
            (datetime.combine(day, row.starts), datetime.combine(day, row.ends))
            for day in days
            for row in found.hours_on(day)
        ]
        walls += [
            (
                visit.taken_from.astimezone(tz).replace(tzinfo=None),
                visit.taken_until.astimezone(tz).replace(tzinfo=None),
            )
            for visit in found.visits
            if visit.starts_at.astimezone(tz).date() in days
        ]
        first, last = hours_to_show(walls)
    return Axis(zone=tz, first=first, last=last, day=days[0] if single else None)


def column_of(found: Read, axis: Axis, day: date, line: Line, shown: Sequence[Visit]) -> Column:
    """Return the column of this practitioner or room on this day, with what is placed, free and blocked in it."""
    choice, tz = found.choice, found.choice.site.tz
    person = choice.by == "practitioner"

    def belongs(visit: Visit) -> bool:
        whose = visit.practitioner if person else visit.room
        return whose == line.pk and visit.starts_at.astimezone(tz).date() == day

    hours = found.hours_on(day, line if person else None)
    open_spans = merged(axis.of_hours(day, row.starts, row.ends) for row in hours)
    visits = [visit for visit in shown if belongs(visit)]
    taken = [visit for visit in found.visits if belongs(visit) and visit.live]
    spans = [axis.span(visit.starts_at, visit.ends_at) for visit in visits]
    absent = _absences(found, axis, day, line) if person else []
    busy = [*(span for span, _why in absent), *(axis.span(visit.taken_from, visit.taken_until) for visit in taken)]
    return Column(
        name=line.name,
        note=_column_note(found, day, hours),
        day=day,
        url=choice.url(view="day", day=day) if choice.view == "week" else choice_of_one(choice, line),
        index=-1 if choice.view == "week" else lines_of(found).index(line),
        off=tuple(place(span) for span in without([Span(0, axis.minutes)], open_spans)),
        visits=tuple(
            placed_visit(found, visit, place(span) + lane(of))
            for visit, span, of in zip(visits, spans, lanes(spans), strict=True)
        ),
        free=tuple(_gap(axis, line, span, choice) for span in _free(found, axis, day, open_spans, busy)),
        blocked=(*_unseen(axis, taken), *(why for _span, why in absent)),
        around=_around(axis, visits),
        is_today=day == choice.today,
    )


def _column_note(found: Read, day: date, hours: Sequence[Hours]) -> str:
    """When they work, or why they do not."""
    person = found.choice.by == "practitioner"
    if day in found.closed:
        return _("Closed: %(why)s") % {"why": found.closed[day]}
    if hours:
        return ", ".join(f"{row.starts:%H:%M} – {row.ends:%H:%M}" for row in hours) if person else ""
    return _("Does not work this day") if person else _("Nobody works this day")


def _unseen(axis: Axis, taken: Sequence[Visit]) -> list[Blocked]:
    """Visits of which the person may only know that the time is taken."""
    return [
        Blocked(
            classes=place(axis.span(visit.starts_at, visit.ends_at)),
            text=_("Busy") if visit.here else _("Busy at another site"),
            when=f"{wall(visit.starts_at, axis.zone)} – {wall(visit.ends_at, axis.zone)}",
        )
        for visit in taken
        if not visit.seen
    ]


def _absences(found: Read, axis: Axis, day: date, line: Line) -> list[tuple[Span, Blocked]]:
    """The practitioner's absences of this day, the whole of it where they name no hours; none where all is closed."""
    made: list[tuple[Span, Blocked]] = []
    for absence in found.known.absences.get(line.pk, ()) if day not in found.closed else ():
        if not absence.first_day <= day <= absence.last_day:
            continue
        span, when = Span(0, axis.minutes), ""
        if absence.starts and absence.ends:
            span = axis.of_hours(day, absence.starts, absence.ends)
            when = f"{absence.starts:%H:%M} – {absence.ends:%H:%M}"
        made.append((span, Blocked(classes=place(span), text=absence.get_kind_display(), when=when)))
    return made


def _around(axis: Axis, visits: Sequence[Visit]) -> tuple[str, ...]:
    """Classes of preparation before visits that stand, and of clean-up after them."""
    return tuple(
        place(axis.span(start, end))
        for visit in visits
        if visit.live
        for start, end in ((visit.taken_from, visit.starts_at), (visit.ends_at, visit.taken_until))
        if start < end
    )


def _free(found: Read, axis: Axis, day: date, open_spans: Sequence[Span], busy: Sequence[Span]) -> list[Span]:
    """What of a practitioner's day ahead can still be booked; none where rooms or kinds are picked."""
    choice = found.choice
    picked = choice.by != "practitioner" or choice.view != "day" or choice.room or choice.kind
    if picked or not found.may_book or day < choice.today:
        return []
    ahead = axis.span(found.now, found.now).start if day == choice.today else 0
    later = [Span(max(span.start, ahead), span.end) for span in open_spans]
    return without(later, busy, least=FREE_AT_LEAST)


def lines_of(found: Read) -> Sequence[Line]:
    """Return all practitioners or all rooms, by which of them the page goes."""
    return found.people if found.choice.by == "practitioner" else found.rooms


def choice_of_one(choice: Choice, line: Line) -> str:
    """Return the address of the week of that one."""
    return choice.url(view="week", **{choice.by: line.key})


def placed_visit(found: Read, visit: Visit, classes: str) -> Placed:
    """Return the visit with its hours in words, in a place that these classes say."""
    tz = found.choice.site.tz
    return Placed(
        visit=visit,
        classes=classes,
        start=wall(visit.starts_at, tz),
        end=wall(visit.ends_at, tz),
        practitioner=next((at for at, line in enumerate(found.people) if line.pk == visit.practitioner), -1),
        room=next((at for at, line in enumerate(found.rooms) if line.pk == visit.room), -1),
    )


def _gap(axis: Axis, line: Line, span: Span, choice: Choice) -> Gap:
    start, end = (axis.begins + timedelta(minutes=at) for at in span)
    query = {"at": start.isoformat(), "until": end.isoformat(), "practitioner": line.key}
    if not choice.home:
        query["site"] = str(choice.site.public_id)
    return Gap(
        classes=place(span),
        start=wall(start, axis.zone),
        end=wall(end, axis.zone),
        url=f"{reverse('sessions:calendar_free')}?{urlencode(query)}",
    )


def days_worked(found: Read) -> list[date]:
    """Return the days of the week: Saturday and Sunday only where somebody works or comes then."""
    tz = found.choice.site.tz
    weekdays = {row.weekday for rows in found.known.hours.values() for row in rows}
    booked = {visit.starts_at.astimezone(tz).date() for visit in found.visits}
    return [
        day
        for day in found.choice.days
        if day.weekday() < 5 or day.weekday() in weekdays or day in booked or day == found.choice.today
    ]
