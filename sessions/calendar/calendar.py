"""The calendar: what its address asks for, what is read for it, and the pages laid out from that.

Each view reads with a fixed number of queries, however many visits and practitioners there are, and a page of many
practitioners is bounded: a cell of the week or the month shows its first visits and counts the rest.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum, Window
from django.db.models.functions import RowNumber, TruncDate
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.core import names
from patients.models import Patient
from protocols.models import Plan
from protocols.standing.standing import standings
from sessions.calendar.grid import (
    Axis,
    Mark,
    Span,
    hours_to_show,
    lane,
    lanes,
    length_of,
    merged,
    midnight,
    path,
    place,
    tall,
    wall,
    without,
)
from sessions.course.standing_band import chip_of
from sessions.course.terms import cut_courses
from sessions.course.words import of_sessions, session_words
from sessions.models import Appointment, AppointmentStatus, Closure, WorkingHours
from sessions.models.hours import Absence
from sessions.planner import Hours
from sessions.queries import appointments_visible_to
from sessions.sites.availability import Availability, availability_of
from sessions.sites.queries import practitioners_of, rooms_of

VIEWS = {
    "day": gettext_lazy("Day"),
    "week": gettext_lazy("Week"),
    "month": gettext_lazy("Month"),
    "agenda": gettext_lazy("Agenda"),
}
KINDS = {
    "first": gettext_lazy("First of a course"),
    "later": gettext_lazy("Later of a course"),
    "outside": gettext_lazy("Outside the plan’s window"),
    "overbooked": gettext_lazy("Overbooked on purpose"),
}
LIVE = "live"  # the status filter that nobody has to choose: all but cancelled
ANY = "any"
FREE_AT_LEAST = 20  # minutes of a free time worth showing
CELL_AT_MOST = 6  # visits in one cell of the week
MONTH_AT_MOST = 3  # and of the month
AGENDA_DAYS = 14
AGENDA_AT_MOST = 150  # visits; then the agenda goes on on the next page
PLANS_READ = 50
BAR = 6  # height of the drawing of what is taken


# ------------------------------------------------------------------ what the address asks for


@dataclass(frozen=True, kw_only=True)
class Choice:
    """All that the address of the page says. What it does not say has a default."""

    site: Site
    home: bool  # the site is the one where the person works now, so the address leaves it out
    view: str
    day: date
    today: date
    by: str = "practitioner"  # or room
    practitioner: str = ""  # public ids
    room: str = ""
    status: str = LIVE
    kind: str = ""
    whole: bool = False  # the whole day, not only the hours that somebody works

    def url(self, **changes: Any) -> str:
        other = replace(self, **changes)
        query = {"view": other.view, "day": other.day.isoformat()}
        if not other.home:
            query["site"] = str(other.site.public_id)
        for name, usual in (("by", "practitioner"), ("practitioner", ""), ("room", ""), ("status", LIVE), ("kind", "")):
            if getattr(other, name) != usual:
                query[name] = getattr(other, name)
        if other.whole:
            query["hours"] = "all"
        return f"{reverse('sessions:calendar')}?{urlencode(query)}"

    @property
    def filtered(self) -> bool:
        return bool(self.practitioner or self.room or self.kind or self.status != LIVE)

    @property
    def hides(self) -> bool:
        """Whether visits that stand are left out."""
        return bool(self.practitioner or self.room or self.kind or self.status not in (LIVE, ANY))

    @property
    def days(self) -> list[date]:
        """The days that the view is about."""
        if self.view == "day":
            return [self.day]
        if self.view == "week":
            return _run(self.day - timedelta(days=self.day.weekday()), 7)
        if self.view == "agenda":
            return _run(self.day, AGENDA_DAYS)
        first = self.day.replace(day=1)
        start = first - timedelta(days=first.weekday())
        following = (first + timedelta(days=31)).replace(day=1)
        return _run(start, -(-(following - start).days // 7) * 7)

    @property
    def before(self) -> date:
        return self._step(-1)

    @property
    def after(self) -> date:
        return self._step(1)

    def _step(self, direction: int) -> date:
        if self.view == "month":
            first = self.day.replace(day=1)
            return (first + timedelta(days=31) if direction > 0 else first - timedelta(days=1)).replace(day=1)
        return self.day + direction * timedelta(days={"day": 1, "week": 7, "agenda": AGENDA_DAYS}[self.view])


def _run(start: date, count: int) -> list[date]:
    return [start + timedelta(days=ahead) for ahead in range(count)]


def choice_from(given: Mapping[str, str], *, site: Site, home: bool, view: str, today: date) -> Choice:
    """What cannot be understood falls back to the default: an old or mistyped address still shows a calendar."""
    wanted = given.get("view", "")
    return Choice(
        site=site,
        home=home,
        view=wanted if wanted in VIEWS else view,
        day=_day_in(given.get("day", "")) or today,
        today=today,
        by="room" if given.get("by") == "room" else "practitioner",
        practitioner=_id_in(given.get("practitioner", "")),
        room=_id_in(given.get("room", "")),
        status=given.get("status", "") if given.get("status") in {ANY, *AppointmentStatus.values} else LIVE,
        kind=given.get("kind", "") if given.get("kind") in KINDS else "",
        whole=given.get("hours") == "all",
    )


def _day_in(text: str) -> date | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return day if day and 1901 <= day.year < 2199 else None


def _id_in(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


# ------------------------------------------------------------------ what is read


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One visit as the calendar shows it. What the person may not see is only that the time is taken."""

    id: UUID
    url: str
    here: bool  # at this site
    seen: bool
    name: str  # or initials, where the person may not read names
    short: str
    patient: UUID
    number: int
    session: str
    status: str
    starts_at: datetime
    ends_at: datetime
    practitioner: int
    who: str
    room: int
    place: str
    outside: bool
    overbooked: bool
    movable: bool
    taken_from: datetime  # preparation included
    taken_until: datetime  # and clean-up
    stop: str = ""  # what stands against treating the person on that day, for a chip

    @property
    def word(self) -> str:
        return str(AppointmentStatus(self.status).label)

    @property
    def live(self) -> bool:
        return self.status != AppointmentStatus.CANCELLED

    def is_of(self, kind: str) -> bool:
        return {
            "": True,
            "first": self.number == 1,
            "later": self.number > 1,
            "outside": self.outside,
            "overbooked": self.overbooked,
        }[kind]


class Line(NamedTuple):
    """A practitioner or a room: a column of the day, a row of the week."""

    pk: int
    key: str  # public id
    name: str


@dataclass(frozen=True, kw_only=True)
class Read:
    """Everything that a page is laid out from."""

    choice: Choice
    now: datetime
    people: Sequence[Line]
    rooms: Sequence[Line]
    known: Availability
    visits: Sequence[Visit]  # every one, also those that the filters hide
    may_book: bool = False

    def lines(self) -> list[Line]:
        """The columns or rows, as filtered."""
        choice = self.choice
        wanted = choice.practitioner if choice.by == "practitioner" else choice.room
        lines = self.people if choice.by == "practitioner" else self.rooms
        return [line for line in lines if not wanted or line.key == wanted]

    def shown(self) -> list[Visit]:
        choice = self.choice
        who = next((line.pk for line in self.people if line.key == choice.practitioner), None)
        where = next((line.pk for line in self.rooms if line.key == choice.room), None)
        return [
            visit
            for visit in self.visits
            if visit.seen
            and visit.is_of(choice.kind)
            and (not choice.practitioner or visit.practitioner == who)
            and (not choice.room or visit.room == where)
            and (visit.status == choice.status or choice.status == ANY or (choice.status == LIVE and visit.live))
        ]

    @property
    def closed(self) -> Mapping[date, str]:
        return self.known.closed

    def hours_on(self, day: date, line: Line | None = None) -> list[Hours]:
        """Working hours of a practitioner; without one, when the site is open; none on a day when it is closed."""
        if day in self.closed:
            return []
        rows: Iterable[Hours] = self.known.opening
        if line is not None:
            rows = self.known.working_hours(line.pk)
        elif not self.known.opening:
            rows = [row for person in self.people for row in self.known.hours.get(person.pk, ())]
        return [row for row in rows if row.weekday == day.weekday()]


_COLUMNS = (
    "pk", "public_id", "number", "status", "starts_at", "ends_at", "window_reason", "site_id",
    "prepare_minutes", "cleanup_minutes", "overbooked",
    "practitioner_id", "practitioner__title", "practitioner__given_name", "practitioner__family_name",
    "practitioner__family_name_first", "practitioner__public_id", "room_id", "room__name", "room__public_id",
    "patient__public_id", "patient__given_name", "patient__family_name", "patient__family_name_first",
    "patient__site_id", "course__plan_id", "patient_id",
)  # fmt: skip


def read(choice: Choice, *, user: User, now: datetime) -> Read:
    """What a day, a week or an agenda needs, in a fixed number of queries."""
    site, tz = choice.site, choice.site.tz
    people = [Line(who.pk, str(who.public_id), who.name) for who in practitioners_of(site)]
    rooms = [Line(row.pk, str(row.public_id), row.name) for row in rooms_of(site).order_by("name", "pk")]
    since, until = midnight(choice.days[0], tz), midnight(choice.days[-1] + timedelta(days=1), tz)
    rows = (
        Appointment.objects.filter(
            Q(site=site) | Q(practitioner__in=[line.pk for line in people]), starts_at__gte=since, starts_at__lt=until
        )
        .order_by("starts_at", "practitioner__family_name", "pk")
        .values(*_COLUMNS)
    )
    if choice.view in ("day", "agenda"):
        rows = rows.annotate(
            sessions=F("course__plan__result__course__sessions"),
            plan=F("course__plan"),
            plan_status=F("course__plan__status"),
            amends=F("course__plan__supersedes"),
        )
    if choice.view == "agenda":
        rows = _only(rows.filter(site=site), choice)[: 2 * AGENDA_AT_MOST]
    page = reverse("sessions:appointment", args=[_SOMEBODY])  # once: a thousand look-ups would be most of the work
    visits, known_people, known_rooms = [], {line.pk for line in people}, {line.pk for line in rooms}
    named, may_move = user.may(Permission.PATIENT_READ), user.may(Permission.BOOKING_WRITE)
    cut = cut_courses(row["plan"] for row in rows if row.get("amends"))
    stops = _stops(rows, site=site, user=user)
    for row in rows:
        row["stop"] = stops.get(row["pk"], "")
        if "plan" in row:
            row["sessions"] = of_sessions(row["plan"], row["sessions"], row["plan_status"], cut)
        visit = _visit(row, site=site, user=user, named=named, may_move=may_move, page=page)
        visits.append(visit)
        if visit.seen and visit.practitioner not in known_people:
            known_people.add(visit.practitioner)
            people.append(Line(visit.practitioner, str(row["practitioner__public_id"]), visit.who))
        if visit.seen and visit.room not in known_rooms:
            known_rooms.add(visit.room)
            rooms.append(Line(visit.room, str(row["room__public_id"]), visit.place))
    return Read(
        choice=choice,
        now=now,
        people=people,
        rooms=rooms,
        known=availability_of(site, people=[line.pk for line in people], since=choice.days[0]),
        visits=visits,
        may_book=may_move,
    )


_SOMEBODY = str(UUID(int=0))


def _names_of(row: dict[str, Any], who: str) -> dict[str, Any]:
    return {
        "given": row[f"{who}__given_name"],
        "family": row[f"{who}__family_name"],
        "family_first": row[f"{who}__family_name_first"],
    }


def _visit(row: dict[str, Any], *, site: Site, user: User, named: bool, may_move: bool, page: str) -> Visit:
    said, treats = _names_of(row, "patient"), _names_of(row, "practitioner")
    initials = names.initials(**said)
    here = row["site_id"] == site.pk
    seen = here and row["site_id"] in user.site_ids
    return Visit(
        id=row["public_id"],
        url=page.replace(_SOMEBODY, str(row["public_id"])),
        here=here,
        seen=seen,
        name=names.full_name(**said) if named else initials,
        short=names.short_name(**said) if named else initials,
        patient=row["patient__public_id"],
        number=row["number"],
        session=session_words(row["number"], row.get("sessions")),
        status=row["status"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        practitioner=row["practitioner_id"],
        who=f"{row['practitioner__title']} {names.full_name(**treats)}".strip(),
        room=row["room_id"],
        place=row["room__name"],
        outside=bool(row["window_reason"]),
        overbooked=row["overbooked"],
        taken_from=row["starts_at"] - timedelta(minutes=row["prepare_minutes"]),
        taken_until=row["ends_at"] + timedelta(minutes=row["cleanup_minutes"]),
        movable=seen and may_move and row["status"] == AppointmentStatus.BOOKED,
        stop=row["stop"] if seen else "",
    )


def _stops(rows: Iterable[Mapping[str, Any]], *, site: Site, user: User) -> dict[int, str]:
    """By visit to come what stands against treating the person on its day; a fixed number of queries."""
    coming = [row for row in rows if row["status"] in AppointmentStatus.COMING and row["site_id"] == site.pk]
    if not coming:
        return {}
    asked = [
        (Patient(pk=row["patient_id"]), Plan(pk=row["course__plan_id"]), row["starts_at"].astimezone(site.tz).date())
        for row in coming
    ]
    return {
        row["pk"]: chip_of(found.seen_by(user))
        for row, found in zip(coming, standings(asked), strict=True)
        if found.is_stop
    }


def _only(rows: QuerySet[Appointment, Any], choice: Choice) -> QuerySet[Appointment, Any]:
    """The same filters as ``Read.shown``, for what the database counts."""
    if choice.practitioner:
        rows = rows.filter(practitioner__public_id=choice.practitioner)
    if choice.room:
        rows = rows.filter(room__public_id=choice.room)
    if choice.status == LIVE:
        rows = rows.exclude(status=AppointmentStatus.CANCELLED)
    elif choice.status != ANY:
        rows = rows.filter(status=choice.status)
    if choice.kind:
        wanted = {
            "first": Q(number=1),
            "later": Q(number__gt=1),
            "outside": ~Q(window_reason=""),
            "overbooked": Q(overbooked=True),
        }
        rows = rows.filter(wanted[choice.kind])
    return rows


def stamp(choice: Choice, *, user: User, now: datetime) -> str:
    """Changes when what the page shows may have changed: visits, closures, absences. Three light queries, no layout.

    A quarter of an hour is part of it, so that free times pass by.
    """
    since = midnight(choice.days[0], choice.site.tz)
    until = midnight(choice.days[-1] + timedelta(days=1), choice.site.tz)
    visits = (
        Appointment.objects.filter(
            Q(site=choice.site)
            | Q(practitioner__in=WorkingHours.objects.filter(site=choice.site).values("practitioner_id"))
        )
        .filter(starts_at__gte=since, starts_at__lt=until)
        .order_by("pk")
        .values_list("pk", "status", "sequence", "starts_at", "practitioner_id", "room_id")
    )
    first, last = choice.days[0], choice.days[-1]
    closures = Closure.objects.filter(site=choice.site, day__gte=first, day__lte=last).order_by("day")
    absences = Absence.objects.filter(first_day__lte=last, last_day__gte=first).order_by("pk")
    said = hashlib.sha256()
    for part in (
        choice.url(),
        user.pk,
        user.language,
        sorted(user.permissions),
        choice.today,
        int(now.timestamp() // 900),
        list(visits),
        list(closures.values_list("day", "reason")),
        list(absences.values_list("pk", "first_day", "last_day", "starts", "ends", "kind")),
    ):
        said.update(repr(part).encode())
    return said.hexdigest()[:32]


# ------------------------------------------------------------------ columns of time: the day, and one person's week


@dataclass(frozen=True, kw_only=True)
class Placed:
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


def grid(found: Read) -> Grid:
    """A day: columns are practitioners or rooms. A week: columns are the days of one of them."""
    choice, tz = found.choice, found.choice.site.tz
    shown, lines = found.shown(), found.lines()
    days = _worked(found) if choice.view == "week" else choice.days
    wanted = choice.practitioner if choice.by == "practitioner" else choice.room
    if choice.view == "week":
        slots = [(day, lines[0]) for day in days] if lines else []
        missing: list[Line] = []
    else:
        slots = [(choice.day, line) for line in lines if wanted or _is_there(found, line, choice.day)]
        missing = [line for line in lines if all(line is not other for _day, other in slots)]
    axis = _axis(found, days, single=choice.view == "day")
    keys = {"practitioner": [line.key for line in found.people], "room": [line.key for line in found.rooms]}
    columns = tuple(_column(found, axis, day, line, shown) for day, line in slots)
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
        rows=tuple(_placed(found, visit, "") for visit in shown) if choice.view == "day" else (),
        line_name=lines[0].name if choice.view == "week" and lines else "",
        missing=", ".join(line.name for line in missing),
    )


def _is_there(found: Read, line: Line, day: date) -> bool:
    """A room always is. A practitioner who neither works that day nor has a visit gets no empty column."""
    if found.choice.by == "room" or found.hours_on(day, line):
        return True
    return any(visit.practitioner == line.pk and visit.here for visit in found.visits)


def _axis(found: Read, days: Sequence[date], *, single: bool) -> Axis:
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


def _column(found: Read, axis: Axis, day: date, line: Line, shown: Sequence[Visit]) -> Column:
    choice = found.choice
    person = choice.by == "practitioner"
    tz = choice.site.tz

    def belongs(visit: Visit) -> bool:
        whose = visit.practitioner if person else visit.room
        return whose == line.pk and visit.starts_at.astimezone(tz).date() == day

    hours = found.hours_on(day, line if person else None)
    open_spans = merged(axis.of_hours(day, row.starts, row.ends) for row in hours)
    whole = Span(0, axis.minutes)
    visits = [visit for visit in shown if belongs(visit)]
    taken = [visit for visit in found.visits if belongs(visit) and visit.live]
    spans = [axis.span(visit.starts_at, visit.ends_at) for visit in visits]
    shared = lanes(spans)
    blocked = [
        Blocked(
            classes=place(axis.span(visit.starts_at, visit.ends_at)),
            text=_("Busy") if visit.here else _("Busy at another site"),
            when=f"{wall(visit.starts_at, tz)} – {wall(visit.ends_at, tz)}",
        )
        for visit in taken
        if not visit.seen
    ]
    away = found.known.absences.get(line.pk, ()) if person and day not in found.closed else ()
    absent: list[Span] = []
    for absence in away:
        if absence.first_day <= day <= absence.last_day:
            span = axis.of_hours(day, absence.starts, absence.ends) if absence.starts and absence.ends else whole
            absent.append(span)
            when = f"{absence.starts:%H:%M} – {absence.ends:%H:%M}" if absence.starts and absence.ends else ""
            blocked.append(Blocked(classes=place(span), text=absence.get_kind_display(), when=when))
    around = [
        axis.span(start, end)
        for visit in visits
        if visit.live
        for start, end in ((visit.taken_from, visit.starts_at), (visit.ends_at, visit.taken_until))
        if start < end
    ]
    free: list[Gap] = []
    if person and found.may_book and choice.view == "day" and not choice.room and not choice.kind:
        ahead = Span(axis.span(found.now, found.now).start if day == choice.today else 0, axis.minutes)
        if day >= choice.today:
            busy = [*absent, *(axis.span(visit.taken_from, visit.taken_until) for visit in taken)]
            later = [Span(max(span.start, ahead.start), span.end) for span in open_spans]
            free = [_gap(axis, line, span, choice) for span in without(later, busy, least=FREE_AT_LEAST)]
    if day in found.closed:
        note = _("Closed: %(why)s") % {"why": found.closed[day]}
    elif hours:
        note = ", ".join(f"{row.starts:%H:%M} – {row.ends:%H:%M}" for row in hours) if person else ""
    else:
        note = _("Does not work this day") if person else _("Nobody works this day")
    return Column(
        name=line.name,
        note=note,
        day=day,
        url=choice.url(view="day", day=day) if choice.view == "week" else _one(choice, line),
        index=-1 if choice.view == "week" else _lines(found).index(line),
        off=tuple(place(span) for span in without([whole], open_spans)),
        visits=tuple(
            _placed(found, visit, place(span) + lane(of)) for visit, span, of in zip(visits, spans, shared, strict=True)
        ),
        free=tuple(free),
        blocked=tuple(blocked),
        around=tuple(place(span) for span in around),
        is_today=day == choice.today,
    )


def _lines(found: Read) -> Sequence[Line]:
    return found.people if found.choice.by == "practitioner" else found.rooms


def _one(choice: Choice, line: Line) -> str:
    """To the week of that one; and from it back to all of them."""
    return choice.url(view="week", **{choice.by: line.key})


def _placed(found: Read, visit: Visit, classes: str) -> Placed:
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


# ------------------------------------------------------------------ the week of everybody


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


def week(found: Read) -> Week:
    """Practitioners or rooms down the side, days across; each cell its visits in order and a drawing of the day."""
    choice, tz = found.choice, found.choice.site.tz
    days, person = _worked(found), choice.by == "practitioner"
    axis = _axis(found, days, single=False)
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
                url=_one(choice, line),
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


def _worked(found: Read) -> list[date]:
    """The days of the week: Saturday and Sunday only where somebody works or comes then."""
    tz = found.choice.site.tz
    weekdays = {row.weekday for rows in found.known.hours.values() for row in rows}
    booked = {visit.starts_at.astimezone(tz).date() for visit in found.visits}
    return [
        day
        for day in found.choice.days
        if day.weekday() < 5 or day.weekday() in weekdays or day in booked or day == found.choice.today
    ]


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


# ------------------------------------------------------------------ the month


@dataclass(frozen=True, kw_only=True)
class MonthDay:
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
    weeks: tuple[tuple[MonthDay, ...], ...]
    people: Sequence[Line]
    rooms: Sequence[Line]
    patients: list[UUID]


def month(choice: Choice, *, user: User, now: datetime) -> Month:
    """The database counts, and gives each day's first visits only."""
    site, tz = choice.site, choice.site.tz
    since, until = midnight(choice.days[0], tz), midnight(choice.days[-1] + timedelta(days=1), tz)
    people = [Line(who.pk, str(who.public_id), who.name) for who in practitioners_of(site)]
    rooms = [Line(row.pk, str(row.public_id), row.name) for row in rooms_of(site).order_by("name", "pk")]
    rows = _only(
        appointments_visible_to(user).filter(site=site, starts_at__gte=since, starts_at__lt=until), choice
    ).annotate(on=TruncDate("starts_at", tzinfo=tz))
    length = ExpressionWrapper(F("ends_at") - F("starts_at"), output_field=DurationField())
    counted = {
        row["on"]: row
        for row in rows.order_by()
        .values("on")
        .annotate(count=Count("pk"), booked=Sum(length, filter=~Q(status=AppointmentStatus.CANCELLED)))
    }
    firsts = rows.annotate(
        place=Window(RowNumber(), partition_by=[F("on")], order_by=[F("starts_at").asc(), F("pk").asc()])
    ).filter(place__lte=MONTH_AT_MOST)
    named = user.may(Permission.PATIENT_READ)
    page = reverse("sessions:appointment", args=[_SOMEBODY])
    by_day: dict[date, list[Visit]] = defaultdict(list)
    listed = list(firsts.order_by("starts_at", "pk").values("on", *_COLUMNS))
    stops = _stops(listed, site=site, user=user)
    for row in listed:
        row["stop"] = stops.get(row["pk"], "")
        by_day[row["on"]].append(_visit(row, site=site, user=user, named=named, may_move=False, page=page))
    found = Read(
        choice=choice,
        now=now,
        people=people,
        rooms=rooms,
        known=availability_of(site, people=[line.pk for line in people], since=choice.days[0]),
        visits=(),
    )
    only = next((line for line in people if line.key == choice.practitioner), None)
    days = []
    for day in choice.days:
        row = counted.get(day)
        count = row["count"] if row else 0
        worked = sum(
            (datetime.combine(day, block.ends) - datetime.combine(day, block.starts)).total_seconds()
            for who in ([only] if only else people)
            for block in found.hours_on(day, who)
        )
        booked = row["booked"].total_seconds() if row and row["booked"] else 0
        here = by_day[day]
        days.append(
            MonthDay(
                day=day,
                in_month=day.month == choice.day.month,
                is_today=day == choice.today,
                url=choice.url(view="day", day=day),
                closed=found.closed.get(day, ""),
                count=ngettext("%(n)s visit", "%(n)s visits", count) % {"n": count} if count else "",
                entries=tuple(
                    Entry(visit=visit, time=wall(visit.starts_at, tz), practitioner=-1, room=-1) for visit in here
                ),
                more=count - len(here),
                share=min(round(100 * booked / worked), 100) if worked and not choice.room else None,
            )
        )
    weeks = tuple(tuple(days[at : at + 7]) for at in range(0, len(days), 7))
    patients = list(dict.fromkeys(visit.patient for visits in by_day.values() for visit in visits))
    return Month(weeks=weeks, people=people, rooms=rooms, patients=patients)


# ------------------------------------------------------------------ the agenda


@dataclass(frozen=True, kw_only=True)
class AgendaDay:
    day: date
    is_today: bool
    url: str
    note: str
    visits: tuple[Placed, ...]


@dataclass(frozen=True, kw_only=True)
class Agenda:
    days: tuple[AgendaDay, ...]
    following: date  # where the next page begins
    cut: bool  # a day holds more than the page shows


def agenda(found: Read) -> Agenda:
    """Days with visits or a closure, one after another: whole days, until the page is full."""
    choice, tz = found.choice, found.choice.site.tz
    visits: dict[date, list[Visit]] = defaultdict(list)
    for visit in found.shown():
        visits[visit.starts_at.astimezone(tz).date()].append(visit)
    complete = len(found.visits) < 2 * AGENDA_AT_MOST
    made: list[AgendaDay] = []
    following, total, cut = choice.days[-1] + timedelta(days=1), 0, False
    last = max(visits, default=choice.day)
    for day in choice.days:
        here = visits.get(day, [])
        if total and (total + len(here) > AGENDA_AT_MOST or (not complete and day >= last)):
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
                    visits=tuple(_placed(found, visit, "") for visit in here),
                )
            )
        if cut:
            following = day + timedelta(days=1)
            break
    return Agenda(days=tuple(made), following=following, cut=cut)
