"""What Today shows: the visits of one day, their readiness in words, one next action each.

Everything comes from a fixed number of queries, however long the day is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Max, Q
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.messaging.models import MessageState
from mesoclinic.messaging.queries import messages_visible_to
from patients.models import DayCheck, Intake, IntakeStatus
from patients.queries import day_checks_on
from protocols.formulary.queries import documents_by_hash
from protocols.models import Plan
from protocols.plans.basis import intake_lasts
from protocols.standing.reasons import Standing
from protocols.standing.standing import standings
from sessions.booking.calls import last_calls
from sessions.course.asking import ask_url
from sessions.course.standing_band import Way, ways_on
from sessions.course.terms import cut_courses
from sessions.course.words import of_sessions, session_words
from sessions.models import Appointment, AppointmentStatus, Room
from sessions.queries import day_bounds, visits_on
from sessions.sites.queries import rooms_of
from sessions.words import overbooked_words

GAP = timedelta(minutes=60)


@dataclass(frozen=True, kw_only=True)
class State:
    kind: str  # ok | warn | danger | quiet
    text: str


@dataclass(frozen=True, kw_only=True)
class Action:
    """The one thing to do next. With ``status`` it is a POST that sets it, else a link."""

    label: str
    url: str
    status: str = ""
    primary: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    visit: Appointment
    minutes: int
    session: str
    states: tuple[State, ...]
    action: Action | None
    note: str  # small, under the action
    undo: str  # the status that takes the last change back
    ask: str  # where “anything changed?” is asked, while it has not been
    live: bool
    gap_before: tuple[datetime, datetime] | None
    now_before: bool
    held: Standing | None = None  # a stop: nobody may be treated, and why
    ways: tuple[Way, ...] = ()  # what now, where it is held
    called: str = ""  # who called last about it, and what was agreed


@dataclass(frozen=True, kw_only=True)
class Filter:
    label: str
    query: str
    current: bool


@dataclass(frozen=True, kw_only=True)
class Day:
    day: date
    is_today: bool
    now: datetime
    rows: tuple[Row, ...]
    total: int  # before the filter
    now_last: bool  # the line of the present stands below the last visit
    filters: tuple[Filter, ...]
    rooms: dict[str, Any] | None


def day_of(*, day: date, site: Site, user: User, now: datetime, who: str = "all", room: str = "") -> Day:
    visits = list(
        visits_on(day, site=site, user=user)
        .select_related(None)
        .select_related("patient", "practitioner", "room", "site", "course")
        .annotate(
            sessions_planned=F("course__plan__result__course__sessions"),
            plan_status=F("course__plan__status"),
            amends=F("course__plan__supersedes"),
            formulary=F("course__plan__formulary__sha256"),
        )
    )
    cut = cut_courses(visit.course.plan_id for visit in visits if visit.amends)
    for visit in visits:
        planned, status = visit.sessions_planned, visit.plan_status
        visit.sessions_planned = of_sessions(visit.course.plan_id, planned, status, cut)
    mine = [visit for visit in visits if visit.practitioner_id == user.pk]
    rooms = list(rooms_of(site).order_by("name"))
    shown = mine if who == "me" else visits
    if room:
        shown = [visit for visit in shown if str(visit.room.public_id) == room]
    today = now.astimezone(site.tz).date()
    people = {visit.patient_id for visit in visits} if user.may(Permission.INTAKE_READ) else set()
    intakes = _intake_days(people, site=site)
    known = _Known(
        intakes=intakes,
        asked=day_checks_on(day, patients=people, tz=site.tz),
        held=_held(visits, user=user),
        lasts=_intakes_last(visits) if intakes else {},
    )
    return Day(
        day=day,
        is_today=day == today,
        now=now,
        rows=tuple(_rows(shown, known, user=user, now=now, today=today, gaps=who != "me" and not room)),
        total=len(visits),
        now_last=bool(shown) and day == today and all(visit.starts_at <= now for visit in shown),
        filters=_filters(visits, mine, rooms, who=who, room=room),
        rooms=_rooms_drawing(visits, rooms, day=day, site=site, now=now) if rooms else None,
    )


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What is known of a day's patients and visits, read for all of them at once."""

    intakes: Mapping[int, date]  # by patient: the day of the newest answers
    lasts: Mapping[int, int]  # by visit: how many days answers last
    asked: Mapping[int, DayCheck]  # by patient
    held: Mapping[int, Held]  # by visit


def _rows(
    visits: Sequence[Appointment], known: _Known, *, user: User, now: datetime, today: date, gaps: bool
) -> list[Row]:
    rows: list[Row] = []
    busy_until: datetime | None = None
    passed = False
    for visit in visits:
        day = visit.starts_at.astimezone(visit.site.tz).date()
        gap = None
        live = visit.status != AppointmentStatus.CANCELLED
        if gaps and live and busy_until is not None and visit.starts_at - busy_until >= GAP:
            gap = (busy_until, visit.starts_at)
        if live:
            busy_until = max(busy_until or visit.ends_at, visit.ends_at)
        now_before = day == today and not passed and visit.starts_at > now and bool(rows)
        passed = passed or visit.starts_at > now
        row = _row(visit, known, user=user, now=now, today=today)
        rows.append(replace(row, gap_before=gap, now_before=now_before))
    return rows


def _row(visit: Appointment, known: _Known, *, user: User, now: datetime, today: date) -> Row:
    day = visit.starts_at.astimezone(visit.site.tz).date()
    here = visit.status == AppointmentStatus.ARRIVED
    stop = known.held.get(visit.pk)
    intake = _intake_state(known.intakes.get(visit.patient_id), day, lasts=known.lasts.get(visit.pk))
    may_undo = here or visit.status == AppointmentStatus.NO_SHOW
    return Row(
        visit=visit,
        held=stop.standing if stop else None,
        ways=stop.ways if stop else (),
        called=stop.called if stop else "",
        minutes=int((visit.ends_at - visit.starts_at).total_seconds() // 60),
        session=session_words(visit.number, visit.sessions_planned),  # type: ignore[attr-defined]
        states=(
            *_states(visit, intake, user=user, now=now),
            *_asked_states(visit, known.asked.get(visit.patient_id)),
        ),
        action=Action(label=_("Open"), url=reverse("sessions:appointment", args=[visit.public_id]))
        if stop
        else _action(visit, user=user, now=now, day=day, today=today),
        note=_note(visit, now=now, day=day, today=today),
        undo=AppointmentStatus.BOOKED if may_undo and user.may(Permission.BOOKING_WRITE) else "",
        ask=ask_url(visit, user=user, now=now, back=reverse("sessions:day", args=[day]))
        if here and visit.patient_id in known.intakes and visit.patient_id not in known.asked
        else "",
        live=here,
        gap_before=None,
        now_before=False,
    )


@dataclass(frozen=True, kw_only=True)
class Held:
    """A visit that nobody may be treated at: why, the ways on, and who called about it last."""

    standing: Standing
    ways: tuple[Way, ...]
    called: str


def _held(visits: Sequence[Appointment], *, user: User) -> dict[int, Held]:
    """By visit to come the stop that holds it; a fixed number of queries."""
    coming = [visit for visit in visits if visit.status in AppointmentStatus.COMING]
    plans = {
        plan.pk: plan
        for plan in Plan.objects.filter(pk__in={visit.course.plan_id for visit in coming}).only("public_id", "status")
    }
    asked = [
        (visit.patient, plans[visit.course.plan_id], visit.starts_at.astimezone(visit.site.tz).date())
        for visit in coming
    ]
    stops = [
        (visit, found.seen_by(user)) for visit, found in zip(coming, standings(asked), strict=True) if found.is_stop
    ]
    calls = last_calls([visit.pk for visit, _found in stops])
    return {
        visit.pk: Held(
            standing=found,
            ways=ways_on(found, patient=visit.patient, plan=plans[visit.course.plan_id], visit=visit, user=user),
            called=calls.get(visit.pk, ""),
        )
        for visit, found in stops
    }


def _states(visit: Appointment, intake: State, *, user: User, now: datetime) -> list[State]:
    states = []
    if visit.status == AppointmentStatus.ARRIVED:
        states.append(State(kind="ok", text=_("Arrived")))
    elif visit.status == AppointmentStatus.DONE:
        states.append(State(kind="ok", text=_("Session recorded")))
    elif visit.status == AppointmentStatus.NO_SHOW:
        states.append(State(kind="warn", text=_("Did not come")))
    elif visit.status == AppointmentStatus.CANCELLED:
        states.append(State(kind="quiet", text=_("Cancelled")))
    elif visit.starts_at < now:
        late = int((now - visit.starts_at).total_seconds() // 60)
        if late < 60:
            words = ngettext("%(n)s minute late", "%(n)s minutes late", late) % {"n": late}
        else:
            words = _("Not arrived") if late < 24 * 60 else _("Neither checked in nor recorded")
        states.append(State(kind="warn", text=words))
    else:
        states.append(State(kind="quiet", text=_("Booked")))
    if visit.overbooked and visit.status != AppointmentStatus.CANCELLED:
        states.append(State(kind="warn", text=overbooked_words(visit)))
    if visit.status in AppointmentStatus.COMING and not visit.patient.is_in_care:
        states.append(State(kind="danger", text=visit.patient.get_status_display()))
    elif visit.status in AppointmentStatus.COMING:
        if user.may(Permission.INTAKE_READ):
            states.append(intake)
        if not (visit.patient.email and visit.patient.contact_allowed):
            states.append(State(kind="warn", text=_("No e-mail: remind by phone")))
    return states


def _intake_state(intake_on: date | None, day: date, *, lasts: int | None) -> State:
    """How old the intake is on the visit's day; a warning where the plan's formulary has it repeated by then."""
    if intake_on is None or lasts is None:
        return State(kind="danger", text=_("No intake"))
    age = (day - intake_on).days
    if age <= 0:
        return State(kind="ok", text=_("Intake of today"))
    words = ngettext("Intake %(n)s day old", "Intake %(n)s days old", age) % {"n": age}
    return State(kind="ok" if age <= lasts else "warn", text=words)


def _asked_states(visit: Appointment, asked: DayCheck | None) -> list[State]:
    if asked is None or visit.status not in AppointmentStatus.COMING:
        return []
    if asked.changed:
        return [State(kind="warn", text=_("Asked: something has changed"))]
    return [State(kind="ok", text=_("Asked: nothing has changed"))]


def _action(visit: Appointment, *, user: User, now: datetime, day: date, today: date) -> Action | None:
    page = reverse("sessions:appointment", args=[visit.public_id])
    record = reverse("sessions:session_record", args=[visit.public_id])
    may_record = user.may(Permission.SESSION_WRITE)
    if not visit.patient.is_in_care:
        return Action(label=_("Open"), url=page)
    if visit.status == AppointmentStatus.ARRIVED and may_record:
        return Action(label=_("Record session"), url=record, primary=True)
    if visit.status == AppointmentStatus.BOOKED and day == today and user.may(Permission.BOOKING_WRITE):
        return Action(
            label=_("Check in"),
            url=reverse("sessions:appointment_status", args=[visit.public_id]),
            status=AppointmentStatus.ARRIVED,
        )
    if visit.status == AppointmentStatus.BOOKED and day < today and may_record:
        return Action(label=_("Record session"), url=record)
    return Action(label=_("Open"), url=page)


def _note(visit: Appointment, *, now: datetime, day: date, today: date) -> str:
    if visit.status == AppointmentStatus.BOOKED and day == today and visit.starts_at > now:
        minutes = int((visit.starts_at - now).total_seconds() // 60)
        if minutes < 60:
            return ngettext("in %(n)s minute", "in %(n)s minutes", minutes) % {"n": minutes}
    return ""


def _intake_days(patients: Collection[int], *, site: Site) -> dict[int, date]:
    """By patient the day of the person's newest answers, also where a record that was merged into theirs holds them."""
    newest = (
        Intake.objects.filter(
            Q(patient_id__in=patients) | Q(patient__merged_into_id__in=patients), status=IntakeStatus.SUBMITTED
        )
        .values(person=Coalesce("patient__merged_into_id", "patient_id"))
        .annotate(newest=Max("submitted_at"))
        .order_by()
    )
    return {row["person"]: row["newest"].astimezone(site.tz).date() for row in newest}


def _intakes_last(visits: Iterable[Appointment]) -> dict[int, int]:
    """By visit the days after which the formulary of its plan has the intake repeated."""
    named = {visit.pk: visit.formulary for visit in visits}  # type: ignore[attr-defined]
    documents = documents_by_hash(named.values())
    return {key: intake_lasts(documents[sha256]) for key, sha256 in named.items()}


def _filters(
    visits: Sequence[Appointment],
    mine: Sequence[Appointment],
    rooms: Sequence[Room],
    *,
    who: str,
    room: str,
) -> tuple[Filter, ...]:
    filters = [Filter(label=_("Everyone"), query="?who=all", current=who != "me" and not room)]
    if mine:
        filters.append(
            Filter(label=_("Mine %(n)s") % {"n": len(mine)}, query="?who=me", current=who == "me" and not room)
        )
    filters += [
        Filter(label=entry.name, query=f"?room={entry.public_id}", current=str(entry.public_id) == room)
        for entry in rooms
    ]
    return tuple(filters)


# ------------------------------------------------------------------ the rooms as bars


def _rooms_drawing(
    visits: Sequence[Appointment], rooms: Sequence[Room], *, day: date, site: Site, now: datetime
) -> dict[str, Any]:
    """Bars over the day's hours. Hours are those of the wall, so a clock change does not bend them."""
    live = [visit for visit in visits if visit.status != AppointmentStatus.CANCELLED]

    def hour(at: datetime) -> float:
        local = at.astimezone(site.tz)
        return local.hour + local.minute / 60

    first = min([9, *(int(hour(visit.starts_at)) for visit in live)])
    last = max([17, *(-int(-hour(visit.ends_at) // 1) for visit in live)])
    left, width = 56.0, 256.0

    def x(value: float) -> float:
        return round(left + width * (value - first) / (last - first), 1)

    bars = []
    for place, room in enumerate(rooms):
        y = 22 + 32 * place
        bars.append(
            {
                "name": room.name,
                "y": y,
                "text_y": y + 14,
                "visits": [
                    {
                        "x": x(hour(visit.starts_at)),
                        "width": max(round(x(hour(visit.ends_at)) - x(hour(visit.starts_at)), 1), 4),
                        "live": visit.status == AppointmentStatus.ARRIVED,
                    }
                    for visit in live
                    if visit.room_id == room.pk
                ],
            }
        )
    height = 22 + 32 * len(rooms)
    shows_now = now.astimezone(site.tz).date() == day and first <= hour(now) <= last
    told = "; ".join(
        f"{room.name}: "
        + (
            ", ".join(f"{visit.starts_at.astimezone(site.tz):%H:%M}" for visit in live if visit.room_id == room.pk)
            or "–"
        )
        for room in rooms
    )
    return {
        "bars": bars,
        "height": height,
        "left": left,
        "width": width,
        "hours": [{"x": x(value), "text": value} for value in range(first, last + 1, 2)],
        "now": x(hour(now)) if shows_now else None,
        "told": told,
    }


# ------------------------------------------------------------------ what waits


def messages_of_day(*, day: date, site: Site, user: User) -> dict[str, int] | None:
    if not user.may(Permission.MESSAGE_READ):
        return None
    start, end = day_bounds(day, site)
    states = MessageState
    counted = (
        messages_visible_to(user)
        .filter(due_at__gte=start, due_at__lt=end)
        .aggregate(
            sent=Count("pk", filter=Q(state=states.SENT)),
            waiting=Count("pk", filter=Q(state__in=[states.HELD, states.QUEUED, states.SENDING])),
            failed=Count("pk", filter=Q(state__in=[states.FAILED, states.BOUNCED])),
        )
    )
    return dict(counted)
