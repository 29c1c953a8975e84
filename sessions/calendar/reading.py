"""What is read for a page of the calendar: visits, people, rooms and hours.

Each view reads with a fixed number of queries, however many visits and practitioners there are, and a page of many
practitioners is bounded: a cell of the week or the month shows its first visits and counts the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.urls import reverse

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.core import names
from patients.models import Patient
from protocols.models import Plan
from protocols.standing.standing import standings
from sessions.calendar.address import ANY, LIVE, Choice
from sessions.calendar.grid import midnight
from sessions.course.standing_band import chip_of
from sessions.course.terms import cut_courses
from sessions.course.words import of_sessions, session_words
from sessions.models import Appointment, AppointmentStatus, Closure, WorkingHours
from sessions.models.hours import Absence
from sessions.planner import Hours
from sessions.sites.availability import Availability, availability_of
from sessions.sites.queries import practitioners_of, rooms_of

AGENDA_AT_MOST = 150  # visits; then the agenda goes on on the next page

PLANS_READ = 50


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
        """The status in words."""
        return str(AppointmentStatus(self.status).label)

    @property
    def live(self) -> bool:
        """Whether its time is taken by it."""
        return self.status != AppointmentStatus.CANCELLED

    def is_of(self, kind: str) -> bool:
        """Return whether the filter of kinds lets it through."""
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
        """Return the columns or rows, as filtered."""
        choice = self.choice
        wanted = choice.practitioner if choice.by == "practitioner" else choice.room
        lines = self.people if choice.by == "practitioner" else self.rooms
        return [line for line in lines if not wanted or line.key == wanted]

    def shown(self) -> list[Visit]:
        """Return the visits that the person may see, as filtered."""
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
        """The days on which the site is closed, and why."""
        return self.known.closed

    def hours_on(self, day: date, line: Line | None = None) -> list[Hours]:
        """Return a practitioner's working hours; without one, when the site is open; none on a day that is closed."""
        if day in self.closed:
            return []
        rows: Iterable[Hours] = self.known.opening
        if line is not None:
            rows = self.known.working_hours(line.pk)
        elif not self.known.opening:
            rows = [row for person in self.people for row in self.known.hours.get(person.pk, ())]
        return [row for row in rows if row.weekday == day.weekday()]


COLUMNS = (
    "pk", "public_id", "number", "status", "starts_at", "ends_at", "window_reason", "site_id",
    "prepare_minutes", "cleanup_minutes", "overbooked",
    "practitioner_id", "practitioner__title", "practitioner__given_name", "practitioner__family_name",
    "practitioner__family_name_first", "practitioner__public_id", "room_id", "room__name", "room__public_id",
    "patient__public_id", "patient__given_name", "patient__family_name", "patient__family_name_first",
    "patient__site_id", "course__plan_id", "patient_id",
)  # fmt: skip


def read_calendar(choice: Choice, *, user: User, now: datetime) -> Read:
    """Read what a day, a week or an agenda needs, in a fixed number of queries."""
    site, tz = choice.site, choice.site.tz
    people = [Line(who.pk, str(who.public_id), who.name) for who in practitioners_of(site)]
    rooms = [Line(row.pk, str(row.public_id), row.name) for row in rooms_of(site).order_by("name", "pk")]
    since, until = midnight(choice.days[0], tz), midnight(choice.days[-1] + timedelta(days=1), tz)
    rows = (
        Appointment.objects.filter(
            Q(site=site) | Q(practitioner__in=[line.pk for line in people]), starts_at__gte=since, starts_at__lt=until
        )
        .order_by("starts_at", "practitioner__family_name", "pk")
        .values(*COLUMNS)
    )
    if choice.view in ("day", "agenda"):
        rows = rows.annotate(
            sessions=F("course__plan__result__course__sessions"),
            plan=F("course__plan"),
            plan_status=F("course__plan__status"),
            amends=F("course__plan__supersedes"),
        )
    if choice.view == "agenda":
        rows = only_chosen(rows.filter(site=site), choice)[: 2 * AGENDA_AT_MOST]
    page = reverse("sessions:appointment", args=[SOMEBODY])  # once: a thousand look-ups would be most of the work
    visits, known_people, known_rooms = [], {line.pk for line in people}, {line.pk for line in rooms}
    named, may_move = user.may(Permission.PATIENT_READ), user.may(Permission.BOOKING_WRITE)
    cut = cut_courses(row["plan"] for row in rows if row.get("amends"))
    stops = stops_of(rows, site=site, user=user)
    for row in rows:
        row["stop"] = stops.get(row["pk"], "")
        if "plan" in row:
            row["sessions"] = of_sessions(row["plan"], row["sessions"], row["plan_status"], cut)
        visit = visit_of(row, site=site, user=user, named=named, may_move=may_move, page=page)
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


SOMEBODY = str(UUID(int=0))


def _names_of(row: dict[str, Any], who: str) -> dict[str, Any]:
    return {
        "given": row[f"{who}__given_name"],
        "family": row[f"{who}__family_name"],
        "family_first": row[f"{who}__family_name_first"],
    }


def visit_of(row: dict[str, Any], *, site: Site, user: User, named: bool, may_move: bool, page: str) -> Visit:
    """Return the visit of a row of ``COLUMNS``. ``page`` is the address of any visit, with ``SOMEBODY`` in it."""
    said, treats = _names_of(row, "patient"), _names_of(row, "practitioner")
    initials = names.initials(**said)
    here = row["site_id"] == site.pk
    seen = here and row["site_id"] in user.site_ids
    return Visit(
        id=row["public_id"],
        url=page.replace(SOMEBODY, str(row["public_id"])),
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


def stops_of(rows: Iterable[Mapping[str, Any]], *, site: Site, user: User) -> dict[int, str]:
    """Return by visit to come what stands against treating the person on its day; a fixed number of queries."""
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


def only_chosen(rows: QuerySet[Appointment, Any], choice: Choice) -> QuerySet[Appointment, Any]:
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
