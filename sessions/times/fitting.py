"""Whom a free time fits: the one home of the question, for a time that was freed and for a gap in the calendar.

Only what would not be refused is offered: the practitioner and the room do what the plan asks for, the plan's gaps and
the intervals since what was done hold, nobody is booked twice, and nothing stands against treating the person. Those
who asked for another time come first, then whose plan was signed first. A fixed number of queries, however many wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models import Count, F, IntegerField, Q
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.core.errors import InvalidInput
from patients.models import Patient
from patients.queries import in_care, remaining_record
from protocols.models import FormularyVersion, Plan
from protocols.models.enums import PlanStatus
from protocols.standing.standing import standings
from sessions.course.abilities import demands_of, lacking, prescription_keys, serves
from sessions.course.gaps import check_days, done_to_all, paced
from sessions.course.next_session import next_session
from sessions.course.terms import Terms, done_before_all, terms_of
from sessions.models import Appointment, AppointmentStatus, Room
from sessions.models.followups import Answer, AnswerKind, AnswerState
from sessions.models.hours import MOST_MINUTES
from sessions.planner import is_barred
from sessions.queries import bookable_plans_visible_to, live_appointments
from sessions.sites.availability import Availability, Turnover, availability_of, turnover_of
from sessions.sites.queries import rooms_of
from sessions.times.free_time import touching, visits_around

PLANS_READ = 100  # of those with a session to book, the longest signed first
LONGEST_VISIT = timedelta(hours=8)
_WEIGHTY = ("case", "policy", "proposal", "edits")


@dataclass(frozen=True, kw_only=True)
class FreeTime:
    """A time that somebody could be given. Without ``room`` any that serves will do."""

    site: Site
    practitioner: User
    starts_at: datetime
    room: Room | None = None

    @property
    def day(self) -> date:
        return self.starts_at.astimezone(self.site.tz).date()


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Somebody whom the time fits: a session to book, or with ``visit`` one of theirs that would move here."""

    plan: Plan
    number: int
    room: Room
    visit: Appointment | None = None
    wish: Answer | None = None  # they asked for another time
    begins: bool = False  # nothing of the course is booked yet

    @property
    def patient(self) -> Patient:
        return remaining_record(self.plan.patient)


@dataclass(kw_only=True)
class _Candidate:
    plan: Plan
    visit: Appointment | None = None
    wish: Answer | None = None
    number: int = 0
    kept: Mapping[int, date] = field(default_factory=dict)


def who_fits(time: FreeTime, *, user: User, now: datetime, apart_from: Patient | None = None) -> list[Fit]:
    """Return everybody whom the time can be given to by ``user``; nobody where it has passed or been taken.

    ``apart_from`` has just given it up.
    """
    site, who = time.site, time.practitioner
    may = user.may(Permission.BOOKING_WRITE) and site.pk in user.site_ids
    if not may or time.starts_at <= now or not who.is_active or site.pk not in who.site_ids:
        return []
    wishes = _wishes(time, user=user, now=now)
    waiting = _waiting(time, user=user)
    candidates = [*_to_move(wishes), *_to_book(waiting, wishes=wishes)]
    if apart_from is not None:
        person = remaining_record(apart_from).pk
        candidates = [entry for entry in candidates if remaining_record(entry.plan.patient).pk != person]
    if not candidates:
        return []
    fitting = _within_the_gaps(candidates, time=time)
    return _placed(fitting, time=time) if fitting else []


# ------------------------------------------------------------------ who waits


def _wishes(time: FreeTime, *, user: User, now: datetime) -> list[Answer]:
    """The open wishes for another time about visits at the site, the newest for each visit."""
    if not user.may(Permission.MESSAGE_READ):
        return []
    rows = (
        Answer.objects.filter(
            in_care("patient__"),
            kind=AnswerKind.MOVE,
            state__in=AnswerState.OPEN,
            replaced_by__isnull=True,
            appointment__site=time.site,
            appointment__course__plan__status__in=PlanStatus.IN_FORCE,
        )
        .filter(
            Q(appointment__status=AppointmentStatus.BOOKED, appointment__starts_at__gt=now)
            | Q(appointment__status=AppointmentStatus.NO_SHOW)
        )
        .exclude(appointment__starts_at=time.starts_at)
        .select_related("appointment__site", "appointment__course__plan__patient__merged_into")
        .defer(*(f"appointment__course__plan__{name}" for name in _WEIGHTY))
        .prefetch_related("appointment__course__appointments__site", "appointment__course__left_out")
        .order_by("received_at", "pk")
    )
    newest = {answer.appointment_id: answer for answer in rows}
    return list(newest.values())


def _waiting(time: FreeTime, *, user: User) -> list[Plan]:
    """The plans in force of the site's patients with fewer sessions booked than planned, the longest signed first."""
    kept = Count(
        "course__appointments", filter=~Q(course__appointments__status__in=AppointmentStatus.FREE_AGAIN), distinct=True
    )
    planned = Cast(KT("result__course__sessions"), IntegerField())
    rows = (
        bookable_plans_visible_to(user)
        .filter(in_care("patient__"), patient__site=time.site)
        .annotate(kept=kept, planned=planned)
        .filter(kept__lt=F("planned"))
        .select_related("patient__merged_into")
        .defer(*_WEIGHTY)
        .prefetch_related("course__appointments__site", "course__left_out")
        .order_by("signed_at", "pk")
    )
    return list(rows[:PLANS_READ])


def _to_move(wishes: Iterable[Answer]) -> Iterable[_Candidate]:
    for answer in wishes:
        visit = answer.appointment
        if visit is not None and visit.status == AppointmentStatus.BOOKED:
            kept = _days_of(visit.course.plan)
            kept.pop(visit.number, None)
            yield _Candidate(plan=visit.course.plan, visit=visit, wish=answer, number=visit.number, kept=kept)


def _to_book(plans: Iterable[Plan], *, wishes: Iterable[Answer]) -> list[_Candidate]:
    """Those who did not come and asked for another time first."""
    asked = {
        (answer.appointment.course.plan_id, answer.appointment.number): answer
        for answer in wishes
        if answer.appointment is not None and answer.appointment.status == AppointmentStatus.NO_SHOW
    }
    found = []
    for plan in plans:
        course = getattr(plan, "course", None)
        kept = _days_of(plan)
        left_out = [row.number for row in course.left_out.all()] if course is not None else []
        number = next_session(kept, sessions=int(plan.result["course"]["sessions"]), left_out=left_out)
        if number is not None:
            wish = asked.get((plan.pk, number))
            found.append(_Candidate(plan=plan, number=number, kept=kept, wish=wish))
    return sorted(found, key=lambda entry: entry.wish is None)


def _days_of(plan: Plan) -> dict[int, date]:
    """The days of the sessions that are booked or done, by number, from what was read with the plan."""
    course = getattr(plan, "course", None)
    return {
        visit.number: visit.starts_at.astimezone(visit.site.tz).date()
        for visit in (course.appointments.all() if course is not None else ())
        if visit.status not in AppointmentStatus.FREE_AGAIN
    }


# ------------------------------------------------------------------ what would be refused is left out


def _within_the_gaps(candidates: Sequence[_Candidate], *, time: FreeTime) -> list[tuple[_Candidate, Terms]]:
    """Those whose plan has room for the session on this day, by its windows and by what was done before."""
    plans = list({entry.plan.pk: entry.plan for entry in candidates}.values())
    formularies = FormularyVersion.objects.in_bulk({plan.formulary_id for plan in plans})
    for entry in candidates:
        entry.plan.formulary = formularies[entry.plan.formulary_id]
    before, done = done_before_all(plans), done_to_all(plans, site=time.site)
    found = []
    for entry in candidates:
        terms = terms_of(entry.plan, before=before[entry.plan.pk])
        if entry.number > terms.sessions:
            continue
        try:
            check_days(terms, {**entry.kept, entry.number: time.day}, around=entry.number)
        except InvalidInput:
            continue
        pace = paced(entry.plan, terms, site=time.site, done=done[entry.plan.pk])[entry.number - 1]
        if not is_barred(pace, time.day):
            found.append((entry, terms))
    return found


def _placed(fitting: Sequence[tuple[_Candidate, Terms]], *, time: FreeTime) -> list[Fit]:
    """Those whom practitioner and room serve, at a time that is open and free, and against whom nothing stands."""
    site, who = time.site, time.practitioner
    keys = prescription_keys({entry.plan.formulary_id for entry, _terms in fitting})
    demands = {entry.plan.pk: demands_of(entry.plan, keys) for entry, _terms in fitting}
    everything: frozenset[str] = frozenset().union(*demands.values())
    short = set(lacking([who], site=site, demands=everything)[who.pk])
    rooms = [time.room] if time.room is not None else list(rooms_of(site).order_by("name", "pk"))
    rooms = [room for room in rooms if room.is_active and room.site_id == site.pk]
    most = timedelta(minutes=MOST_MINUTES)
    since, until = time.starts_at - most, time.starts_at + LONGEST_VISIT
    taken = visits_around(since, until, practitioners=[who.pk], rooms=[room.pk for room in rooms])
    people = {remaining_record(entry.plan.patient).pk for entry, _terms in fitting}
    theirs: dict[int, list[tuple[int, datetime, datetime]]] = {}
    own = live_appointments().filter(patient__in=people, starts_at__lt=until, ends_at__gt=time.starts_at)
    for person, key, start, end in own.values_list("patient_id", "pk", "starts_at", "ends_at"):
        theirs.setdefault(person, []).append((key, start, end))
    known = availability_of(site, people=[who.pk], since=time.day)
    around: dict[str, Turnover] = {}
    found: list[Fit] = []
    for entry, terms in fitting:
        if demands[entry.plan.pk] & short:
            continue
        technique = str(entry.plan.result["course"].get("technique") or "")
        if technique not in around:
            around[technique] = turnover_of(site, technique)
        length = entry.visit.ends_at - entry.visit.starts_at if entry.visit else timedelta(minutes=terms.minutes)
        own_pk = entry.visit.pk if entry.visit else None
        others = [visit for visit in taken if visit.pk != own_pk]
        if not _is_open(time, length, around[technique], known=known, taken=others):
            continue
        person = remaining_record(entry.plan.patient).pk
        ends_at = time.starts_at + length
        if any(key != own_pk and start < ends_at for key, start, _end in theirs.get(person, ())):
            continue
        room = _room_for(demands[entry.plan.pk], rooms, time, length, around[technique], taken=others)
        if room is not None:
            found.append(
                Fit(
                    plan=entry.plan,
                    number=entry.number,
                    room=room,
                    visit=entry.visit,
                    wish=entry.wish,
                    begins=not entry.kept and entry.visit is None,
                )
            )
    held = standings([(fit.patient, fit.plan, time.day) for fit in found]) if found else []
    return [fit for fit, stands in zip(found, held, strict=True) if not stands.is_stop]


def _is_open(
    time: FreeTime, length: timedelta, turnover: Turnover, *, known: Availability, taken: Iterable[Appointment]
) -> bool:
    """Whether the practitioner is there and free, from preparing to cleaning up."""
    starts_at, who = time.starts_at, time.practitioner
    if known.obstacle(starts_at, starts_at + length, person=who.pk, turnover=turnover):
        return False
    here = touching(taken, starts_at - turnover.before, starts_at + length + turnover.after)
    return not any(visit.practitioner_id == who.pk for visit in here)


def _room_for(
    demands: Iterable[str],
    rooms: Sequence[Room],
    time: FreeTime,
    length: timedelta,
    turnover: Turnover,
    *,
    taken: Iterable[Appointment],
) -> Room | None:
    here = touching(taken, time.starts_at - turnover.before, time.starts_at + length + turnover.after)
    busy = {visit.room_id for visit in here}
    return next((room for room in rooms if room.pk not in busy and serves(room, demands)), None)
