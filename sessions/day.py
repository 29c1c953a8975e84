"""What Today shows: the visits of one day, their readiness in words, one next action each, and what waits for you.

Everything comes from a fixed number of queries, however long the day is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Exists, F, Max, OuterRef, Q
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.messaging.models import MessageState
from mesoclinic.messaging.queries import failed_messages_visible_to, messages_visible_to
from patients.models import DayCheck, Intake, IntakeStatus, Statement
from patients.queries import day_checks_on, in_care, remaining_record
from patients.statements import open_at, person_of
from protocols.basis import intake_lasts
from protocols.enums import PlanStatus
from protocols.models import Plan
from protocols.queries import documents_by_hash
from protocols.standing import Standing, standings
from sessions import inbox, mails
from sessions.holes import Hole, courses_with_holes
from sessions.leaving import Away, people_away
from sessions.models import Appointment, AppointmentStatus, Room
from sessions.queries import appointments_visible_to, bookable_plans_visible_to, day_bounds, rooms_of, visits_on
from sessions.resource_queries import misfit_count
from sessions.standing_band import Way, chip_of, ways_on
from sessions.stopped_visits import last_calls
from sessions.terms import cut_courses
from sessions.wording import overbooked_words, short_day

WAITING_AT_MOST = 6  # of each kind in "Needs you"; the rest is counted
DECIDE_AHEAD = timedelta(days=35)  # so far ahead a visit that is held asks to be decided
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
class Need:
    kind: str  # "" | "red"
    icon: str
    title: str
    text: str
    url: str
    label: str
    post: bool = False  # the button changes something at once


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
    asked = day_checks_on(day, patients=people, tz=site.tz)
    held = _held(visits, user=user)
    lasts = _intakes_last(visits) if intakes else {}
    return Day(
        day=day,
        is_today=day == today,
        now=now,
        rows=tuple(
            _rows(shown, intakes, lasts, asked, held, user=user, now=now, today=today, gaps=who != "me" and not room)
        ),
        total=len(visits),
        now_last=bool(shown) and day == today and all(visit.starts_at <= now for visit in shown),
        filters=_filters(visits, mine, rooms, who=who, room=room),
        rooms=_rooms_drawing(visits, rooms, day=day, site=site, now=now) if rooms else None,
    )


def _rows(
    visits: Sequence[Appointment],
    intakes: dict[int, date],
    lasts: dict[int, int],
    asked: dict[int, DayCheck],
    held: dict[int, Held],
    *,
    user: User,
    now: datetime,
    today: date,
    gaps: bool,
) -> list[Row]:
    rows: list[Row] = []
    busy_until: datetime | None = None
    passed = False
    for visit in visits:
        day = visit.starts_at.astimezone(visit.site.tz).date()
        gap = None
        live, here = visit.status != AppointmentStatus.CANCELLED, visit.status == AppointmentStatus.ARRIVED
        if gaps and live and busy_until is not None and visit.starts_at - busy_until >= GAP:
            gap = (busy_until, visit.starts_at)
        if live:
            busy_until = max(busy_until or visit.ends_at, visit.ends_at)
        now_before = day == today and not passed and visit.starts_at > now and bool(rows)
        passed = passed or visit.starts_at > now
        stop = held.get(visit.pk)
        rows.append(
            Row(
                visit=visit,
                held=stop.standing if stop else None,
                ways=stop.ways if stop else (),
                called=stop.called if stop else "",
                minutes=int((visit.ends_at - visit.starts_at).total_seconds() // 60),
                session=session_words(visit.number, visit.sessions_planned),  # type: ignore[attr-defined]
                states=(
                    *_states(
                        visit,
                        _intake_state(intakes.get(visit.patient_id), day, lasts=lasts.get(visit.pk)),
                        user=user,
                        now=now,
                    ),
                    *_asked_states(visit, asked.get(visit.patient_id)),
                ),
                action=Action(label=_("Open"), url=reverse("sessions:appointment", args=[visit.public_id]))
                if stop
                else _action(visit, user=user, now=now, day=day, today=today),
                note=_note(visit, now=now, day=day, today=today),
                undo=AppointmentStatus.BOOKED
                if visit.status in (AppointmentStatus.ARRIVED, AppointmentStatus.NO_SHOW)
                and user.may(Permission.BOOKING_WRITE)
                else "",
                ask=ask_url(visit, user=user, now=now, back=reverse("sessions:day", args=[day]))
                if here and visit.patient_id in intakes and visit.patient_id not in asked
                else "",
                live=here,
                gap_before=gap,
                now_before=now_before,
            )
        )
    return rows


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


def of_sessions(plan: int, planned: Any, status: str, cut: Mapping[int, int]) -> Any:
    """How many sessions a visit is one of. Under a plan that was replaced it is one of no course any more."""
    return None if status == PlanStatus.SUPERSEDED else cut.get(plan, planned)


def session_words(number: int, planned: object) -> str:
    if not planned:
        return _("Session %(n)s") % {"n": number}
    return _("Session %(n)s of %(all)s") % {"n": number, "all": planned}


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


def ask_url(visit: Appointment, *, user: User, now: datetime, back: str) -> str:
    """Where “anything changed?” is asked before this visit, to come back; empty on another day or for who may not."""
    waits = visit.status in AppointmentStatus.COMING and visit.patient.is_in_care
    tz = visit.site.tz
    if not (waits and visit.starts_at.astimezone(tz).date() == now.astimezone(tz).date()):
        return ""
    if not user.may(Permission.INTAKE_WRITE):
        return ""
    return f"{reverse('patients:day_check', args=[visit.patient.public_id])}?{urlencode({'next': back})}"


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


def needs_of(*, user: User, site: Site) -> tuple[list[Need], int]:
    """What somebody has to do, the most pressing first, and how many there are in all."""
    needs: list[Need] = []
    total = 0
    if user.may(Permission.BOOKING_WRITE):
        away, total = people_away(user=user, site=site, at_most=WAITING_AT_MOST)
        needs += [_need_of_away(entry, site=site) for entry in away]
    if user.may(Permission.MESSAGE_READ):
        answers, count = inbox.needs_of(user=user, site=site, now=timezone.now(), at_most=WAITING_AT_MOST)
        needs += [_need_of(row) for row in answers]
        total += count
        for row in mails.wrong_addresses(messages_visible_to(user), at_most=WAITING_AT_MOST):
            needs.append(_need_of(row))
            total += 1
    if user.may(Permission.BOOKING_READ):
        decide = _to_decide(user=user, site=site)
        total += len(decide)
        needs += decide[:WAITING_AT_MOST]
    if user.may(Permission.MESSAGE_READ):
        failed = failed_messages_visible_to(user).defer("text", "html", "attachments")
        count = failed.count()
        total += count
        for message in failed.order_by("-due_at")[:WAITING_AT_MOST]:
            needs.append(
                Need(
                    kind="red",
                    icon="mail",
                    title=_("A message did not arrive"),
                    text=f"{message.person_label}: {message.subject}",
                    url=reverse("messaging:detail", args=[message.public_id]),
                    label=_("Open"),
                )
            )
    if user.may(Permission.BOOKING_WRITE):
        if count := misfit_count(site=site, user=user, now=timezone.now()):
            total += 1
            needs.append(
                Need(
                    kind="",
                    icon="cal",
                    title=_("Visits that no longer fit"),
                    text=ngettext(
                        "%(n)s booked visit meets a closure, an absence, other hours or somebody who has left",
                        "%(n)s booked visits meet a closure, an absence, other hours or somebody who has left",
                        count,
                    )
                    % {"n": count},
                    url=reverse("resources:misfits"),
                    label=_("Open"),
                )
            )
        holes = courses_with_holes(user=user, site=site)
        total += len(holes)
        needs += [_need_of_hole(hole) for hole in holes[:WAITING_AT_MOST]]
        unbooked = unbooked_plans(user).filter(patient__site=site)
        total += unbooked.count()
        listed = list(_light(unbooked)[:WAITING_AT_MOST])
        cut = cut_courses(plan.pk for plan in listed if plan.supersedes_id)
        for plan in listed:
            words = {"name": plan.patient.name, "day": short_day(plan.signed_at.astimezone(site.tz))}
            sessions = cut.get(plan.pk, plan.sessions_planned)
            needs.append(
                Need(
                    kind="",
                    icon="cal",
                    title=_("Course not booked"),
                    text=_("%(name)s, plan signed %(day)s") % words
                    + (
                        ", " + ngettext("%(n)s session", "%(n)s sessions", sessions) % {"n": sessions}
                        if sessions
                        else ""
                    ),
                    url=reverse("sessions:course_book", args=[plan.public_id]),
                    label=_("Book"),
                )
            )
    if user.may(Permission.PLAN_SIGN):
        found, count = _unsettled(site)
        needs, total = needs + found, total + count
        drafts = Plan.objects.filter(
            in_care("patient__"), patient__site=site, patient__site_id__in=user.site_ids, status=PlanStatus.DRAFT
        )
        total += drafts.count()
        for plan in _light(drafts)[:WAITING_AT_MOST]:
            needs.append(
                Need(
                    kind="",
                    icon="lock",
                    title=_("Plan to sign"),
                    text=_("%(name)s, drafted %(day)s")
                    % {"name": plan.patient.name, "day": short_day(plan.created_at.astimezone(site.tz))},
                    url=reverse("protocols:plan", args=[plan.public_id]),
                    label=_("Open"),
                )
            )
    return needs, total


def _need_of(row: Mapping[str, str]) -> Need:
    return Need(**{name: row[name] for name in ("kind", "icon", "title", "text", "url", "label")})  # type: ignore[arg-type]


def _need_of_away(entry: Away, *, site: Site) -> Need:
    words = ngettext(
        "%(name)s: %(n)s visit is still booked, on %(day)s",
        "%(name)s: %(n)s visits are still booked, the first on %(day)s",
        entry.visits,
    )
    return Need(
        kind="red",
        icon="cal",
        title=entry.patient.get_status_display(),
        text=words % {"name": entry.patient.name, "n": entry.visits, "day": short_day(entry.first.astimezone(site.tz))},
        url=reverse("sessions:visits_cancel", args=[entry.patient.public_id]),
        label=ngettext("Cancel the visit", "Cancel all", entry.visits),
        post=True,
    )


def _need_of_hole(hole: Hole) -> Need:
    """Sessions that were cancelled, missed or jumped over, until they are booked or left out with a reason."""
    words = ngettext(
        "%(name)s, session %(numbers)s is not booked",
        "%(name)s, sessions %(numbers)s are not booked",
        len(hole.numbers),
    )
    url = reverse("sessions:course_missing", args=[hole.course.public_id])
    return Need(
        kind="",
        icon="cal",
        title=_("Hole in a course"),
        text=words % {"name": remaining_record(hole.course.plan.patient).name, "numbers": listed(hole.numbers)},
        url=f"{url}?n={hole.number}",
        label=_("Fill it"),
    )


def listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _unsettled(site: Site) -> tuple[list[Need], int]:
    """Whose words wait for a signer, a line for each person, the longest waiting first; and how many people."""
    by_person: dict[int, list[Statement]] = {}
    for statement in open_at(site):
        by_person.setdefault(person_of(statement.patient).pk, []).append(statement)
    needs = [
        Need(
            kind="red",
            icon="note",
            title=_("Said in words, to be settled"),
            text=_("%(name)s: %(words)s")
            % {
                "name": person_of(said[0].patient).name,
                "words": "; ".join(f"“{shortened(row.words)}”" for row in said[:2]) + (" …" if len(said) > 2 else ""),
            },
            url=reverse("protocols:statement", args=[said[0].public_id]),
            label=_("Settle"),
        )
        for said in list(by_person.values())[:WAITING_AT_MOST]
    ]
    return needs, len(by_person)


def shortened(words: str, *, most: int = 60) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _to_decide(*, user: User, site: Site) -> list[Need]:
    """The next visit, after today, of each patient whose standing is a stop on its day: somebody has to decide."""
    _start, tomorrow = day_bounds(timezone.localdate(timezone=site.tz), site)
    coming = (
        appointments_visible_to(user)
        .filter(
            site=site,
            status__in=AppointmentStatus.COMING,
            starts_at__gte=tomorrow,
            starts_at__lt=tomorrow + DECIDE_AHEAD,
        )
        .select_related("patient", "course")
        .order_by("starts_at", "pk")
    )
    first: dict[int, Appointment] = {}
    for visit in coming:
        first.setdefault(visit.patient_id, visit)
    visits = list(first.values())
    asked = [
        (visit.patient, Plan(pk=visit.course.plan_id), visit.starts_at.astimezone(site.tz).date()) for visit in visits
    ]
    return [
        Need(
            kind="red",
            icon="stop",
            title=_("Visit to decide"),
            text=_("%(name)s, %(day)s: %(why)s")
            % {
                "name": visit.patient.name,
                "day": short_day(visit.starts_at.astimezone(site.tz)),
                "why": chip_of(found.seen_by(user)),
            },
            url=reverse("sessions:appointment", args=[visit.public_id]),
            label=_("Decide"),
        )
        for visit, found in zip(visits, standings(asked), strict=True)
        if found.is_stop
    ]


def unbooked_plans(user: User) -> Any:
    """Plans in force that nothing is booked for."""
    booked = Appointment.objects.filter(course__plan=OuterRef("pk")).exclude(status__in=AppointmentStatus.FREE_AGAIN)
    return bookable_plans_visible_to(user).filter(in_care("patient__"), ~Exists(booked))


def _light(plans: Any) -> Any:
    """Without the large JSON; only how many sessions."""
    return (
        plans.select_related("patient")
        .defer("case", "policy", "proposal", "edits", "result")
        .annotate(sessions_planned=F("result__course__sessions"))
        .order_by("-created_at")
    )


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
