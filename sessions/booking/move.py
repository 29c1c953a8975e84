"""Moving a visit: what a new time does to the gaps, the three ways to treat the rest of the course, and doing it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition, NotAllowed
from sessions.booking.actions import book_appointment, check_in_reach, check_open, check_practitioner, in_words
from sessions.booking.changes import as_they_were, keep_change, write_place
from sessions.booking.holes import times_for
from sessions.booking.locks import lock_time, with_one_retry
from sessions.booking.overbook import Overbook, clashes_of, settle_overbooking, told_over, twice_already
from sessions.booking.wishes import fulfil_wish
from sessions.course.gaps import check_days, check_intervals, paced
from sessions.course.queries import kept_appointments
from sessions.course.terms import Terms, terms_of
from sessions.mail import followups
from sessions.mail import sending as mails
from sessions.models import Appointment, AppointmentStatus, Room
from sessions.models.changes import ChangeKind
from sessions.models.followups import Answer
from sessions.permissions import check_can_move, check_can_treat, check_room_serves
from sessions.planner import Calendar, NoSeries, Slot, Usual, Wishes, alternatives, closest_slot, plan_series
from sessions.prints.documents import prepare_dated_prints
from sessions.sites.availability import Turnover
from sessions.sites.queries import rooms_of
from sessions.times.fitting import Fit, FreeTime
from sessions.times.propose import usual_of_visit
from sessions.times.queries import calendar_for, turnover_for
from sessions.times.refusals import AlreadyTaken
from sessions.words import day_words

Rest = Literal["keep", "shift", "plan"]
WAYS: tuple[Rest, ...] = ("keep", "shift", "plan")
SUGGESTIONS = 6


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a visit shall go."""

    starts_at: datetime
    practitioner: User
    room: Room


@dataclass(frozen=True, kw_only=True)
class Move:
    visit: Appointment
    starts_at: datetime
    practitioner_id: int
    room_id: int


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Between one session and the next, after the move."""

    number: int  # of the later session
    starts_at: datetime
    days: int
    before: int  # how many it was
    low: int
    high: int

    @property
    def fits(self) -> bool:
        return self.low <= self.days <= self.high


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to treat the rest: what it moves and what becomes of the gaps, or why it cannot be done."""

    rest: Rest
    moves: tuple[Move, ...] = ()
    gaps: tuple[Gap, ...] = ()
    outside: str = ""  # how the plan's windows would be left; a practitioner may, with a reason
    refusal: str = ""


def ways_of(visit: Appointment, target: Target, *, now: datetime) -> list[Way]:
    """What each of the three ways would do. Nothing is changed."""
    ways = []
    for rest in WAYS:
        try:
            ways.append(way_of(visit, target, rest=rest, now=now))
        except DomainError as refusal:
            ways.append(Way(rest=rest, refusal=str(refusal)))
    return ways


def way_of(visit: Appointment, target: Target, *, rest: Rest, now: datetime, over: bool = False) -> Way:
    """What one way would do. ``over``: the target's practitioner and room may be taken."""
    course = kept_appointments(visit.course)
    later = [other for other in course if other.number > visit.number and other.status == AppointmentStatus.BOOKED]
    moving = [visit] if rest == "keep" else [visit, *later]
    terms = terms_of(visit.course.plan)
    calendar = calendar_for(
        plan=visit.course.plan,
        practitioner=target.practitioner,
        site=visit.site,
        since=now,
        colleagues=[other.practitioner for other in later],
        without=moving,
    )
    _check_free(visit, target, calendar, over=over)
    moves = [
        Move(
            visit=visit,
            starts_at=target.starts_at,
            practitioner_id=target.practitioner.pk,
            room_id=target.room.pk,
        )
    ]
    if rest == "shift":
        moves += _shifted(visit, target, later, terms=terms, calendar=calendar)
    elif rest == "plan":
        moves += _planned(visit, target, course, later, terms=terms, calendar=calendar, now=now)
    tz = visit.site.tz
    was = {other.number: other.starts_at.astimezone(tz).date() for other in course}
    starts = {other.number: other.starts_at for other in course} | {move.visit.number: move.starts_at for move in moves}
    days = {number: at.astimezone(tz).date() for number, at in sorted(starts.items())}
    check_intervals(
        visit.course.plan, {move.visit.number: days[move.visit.number] for move in moves}, site=visit.site, field="day"
    )
    outside = ""
    try:
        check_days(terms, days)
    except InvalidInput as refusal:
        outside = str(refusal)
    return Way(rest=rest, moves=tuple(moves), gaps=tuple(_gaps(days, was, starts, terms)), outside=outside)


def suggestions(visit: Appointment, *, now: datetime) -> list[Slot]:
    """Other times for this visit that fit the plan while the rest stays."""
    course = kept_appointments(visit.course)
    numbers = [other.number for other in course]
    if numbers != list(range(1, len(numbers) + 1)):  # with a hole, only the neighbours that are there count
        return times_for(
            visit.course, visit.number, now=now, near=visit, without=[visit], at_most=SUGGESTIONS, apart_from=visit
        )
    tz, terms = visit.site.tz, terms_of(visit.course.plan)
    calendar = calendar_for(
        plan=visit.course.plan, practitioner=visit.practitioner, site=visit.site, since=now, without=[visit]
    )
    slots = [
        Slot(
            other.number,
            other.starts_at,
            other.ends_at,
            other.room_id,
            other.starts_at.astimezone(tz).date(),
            other.practitioner_id,
        )
        for other in course
    ]
    found = alternatives(
        slots,
        pacing=paced(visit.course.plan, terms, site=visit.site)[: len(slots)],
        minutes=terms.minutes,
        calendar=calendar,
        wishes=Wishes(earliest=now.astimezone(tz).date(), practitioner=visit.practitioner_id),
        count=SUGGESTIONS,
    )
    return found[visit.number]


def move_appointment(
    *,
    appointment: Appointment,
    target: Target,
    rest: Rest,
    by: User,
    reason: str = "",
    overbook: Overbook | None = None,
    wish: Answer | None = None,
) -> list[Appointment]:
    """Give one visit a new time and treat the rest of the course as asked: all of it, or nothing.

    Outside the plan's windows only a practitioner may, with a reason, which is kept with the visit and in the audit.
    With ``overbook`` the one visit is deliberately put over a time that is taken. ``wish`` is the answer that asked for
    another time; it is closed with “time found”. How the visits were is kept, so that it can be undone for a while.
    """
    wish_to_move = _MoveWish(target=target, rest=rest, reason=reason.strip()[:300], overbook=overbook, answer=wish)
    wanted: list[Appointment] = []

    @transaction.atomic
    def move() -> list[Appointment]:
        wanted.clear()
        return _move_one(_locked(appointment, target), wish_to_move, wanted, by=by)

    _refuse_early(appointment, target, overbook=overbook, by=by)
    return in_words(move, wanted)


# ------------------------------------------------------------------ the parts


@dataclass(frozen=True, kw_only=True)
class _MoveWish:
    """A move as somebody wants it."""

    target: Target
    rest: Rest
    reason: str  # why outside the plan's windows
    overbook: Overbook | None
    answer: Answer | None  # of the patient, who asked for another time


def _locked(appointment: Appointment, target: Target) -> Appointment:
    """Return the visit anew, once nobody else books what the move may touch.

    Raise InvalidTransition where somebody has changed it meanwhile.
    """
    later = appointment.course.appointments.filter(number__gt=appointment.number)
    lock_time(
        practitioner_ids=[target.practitioner.pk, *later.values_list("practitioner_id", flat=True)],
        room_ids=rooms_of(appointment.site).values_list("pk", flat=True),
        patient_id=appointment.patient_id,
    )
    visit = (
        Appointment.objects.select_for_update(of=("self",))
        .select_related("patient", "site", "practitioner", "room", "course__plan__patient")
        .get(pk=appointment.pk)
    )
    if visit.sequence != appointment.sequence:
        raise InvalidTransition(_("Somebody has just changed this appointment. Please look at it again."))
    return visit


def _move_one(visit: Appointment, wish: _MoveWish, wanted: list[Appointment], *, by: User) -> list[Appointment]:
    """Move it under the locks with the rest of its course, and do all that follows."""
    _refuse_early(visit, wish.target, overbook=wish.overbook, by=by)
    way = way_of(visit, wish.target, rest=wish.rest, now=timezone.now(), over=wish.overbook is not None)
    turnover = turnover_for(visit.course.plan, visit.site)
    was = as_they_were([change.visit for change in way.moves])
    over: list[Appointment] = []
    if way.outside:
        _check_may_leave_window(way.outside, reason=wish.reason, by=by)
    for change in _in_order(way.moves):
        own = change.visit.pk == visit.pk
        place = _placed(change, turnover=turnover)
        over += settle_overbooking(place, overbook=wish.overbook if own else None, by=by)
        wanted.append(_apply(place, reason=wish.reason if way.outside and own else ""))
    wanted.sort(key=lambda moved: moved.number)
    keep_change(ChangeKind.MOVED, was=was, now=wanted, by=by, answer=wish.answer)
    if wish.answer is not None:
        fulfil_wish(wish.answer, by=by)
    _write(wanted, by=by)
    prepare_dated_prints(visit.course.plan, by=by)
    trail.record(
        "appointment.moved",
        by=by,
        target=visit,
        patient=visit.patient,
        details={
            "rest": wish.rest,
            "moved": [
                {"appointment": str(change.visit.public_id), "to": change.starts_at.isoformat()} for change in way.moves
            ],
            "outside": way.outside,
            "reason": wish.reason if way.outside else "",
            **told_over(next(moved for moved in wanted if moved.pk == visit.pk), over),
        },
    )
    return list(wanted)


def _refuse_early(visit: Appointment, target: Target, *, overbook: Overbook | None, by: User) -> None:
    """The cheap half of the checks, also without a lock: who comes too late is told so without waiting for others."""
    plan = visit.course.plan
    check_can_move(visit, by=by)
    check_in_reach(target.starts_at)
    check_practitioner(target.practitioner, site=visit.site, plan=plan)
    there = Move(
        visit=visit, starts_at=target.starts_at, practitioner_id=target.practitioner.pk, room_id=target.room.pk
    )
    place = _placed(there, turnover=turnover_for(plan, visit.site))
    for other in clashes_of(place):
        if other.course_id == visit.course_id:
            continue  # it may be about to move as well
        if overbook is None:
            who = target.practitioner if other.practitioner_id == target.practitioner.pk else target.room
            raise AlreadyTaken(_("%(who)s is already taken at this time.") % {"who": who}, field="time")
        if other.overbooked:
            raise twice_already()


def _check_free(visit: Appointment, target: Target, calendar: Calendar, *, over: bool) -> None:
    ends_at = target.starts_at + (visit.ends_at - visit.starts_at)
    plan = visit.course.plan
    check_room_serves(target.room, plan=plan, site=visit.site)
    check_can_treat(target.practitioner, plan=plan, site=visit.site)
    check_open(target.starts_at, ends_at, practitioner=target.practitioner, site=visit.site, plan=plan)
    for who, booked in (
        (target.practitioner, calendar.practitioner),
        (target.room, calendar.rooms[target.room.pk]),
        (visit.patient, calendar.patient),
    ):
        if over and who != visit.patient:
            continue
        if not booked.free(target.starts_at, ends_at):
            raise AlreadyTaken(_("%(who)s is already taken at this time.") % {"who": who}, field="time")


def _shifted(
    visit: Appointment, target: Target, later: Sequence[Appointment], *, terms: Terms, calendar: Calendar
) -> list[Move]:
    tz = visit.site.tz
    by_days = target.starts_at.astimezone(tz).date() - visit.starts_at.astimezone(tz).date()
    moves = []
    for other in later:
        day = other.starts_at.astimezone(tz).date() + by_days
        slot = closest_slot(
            number=other.number, day=day, usual=usual_of_visit(other), minutes=terms.minutes, calendar=calendar
        )
        if slot is None:
            raise AlreadyTaken(
                _("Session %(n)s would move to %(day)s, where %(who)s has no free time. Plan the rest again instead.")
                % {"n": other.number, "day": day_words(day), "who": other.practitioner}
            )
        moves.append(_to(other, slot))
    return moves


def _planned(
    visit: Appointment,
    target: Target,
    course: Sequence[Appointment],
    later: Sequence[Appointment],
    *,
    terms: Terms,
    calendar: Calendar,
    now: datetime,
) -> list[Move]:
    if not later:
        return []
    tz = visit.site.tz
    before = [other for other in course if other.number < visit.number]
    numbers = [*(other.number for other in before), visit.number, *(other.number for other in later)]
    if numbers != list(range(1, len(numbers) + 1)):
        raise DomainError(_("A session of this course is missing, so the rest cannot be planned as a whole."))
    local = target.starts_at.astimezone(tz)
    try:
        slots = plan_series(
            pacing=paced(visit.course.plan, terms, site=visit.site)[: len(numbers)],
            minutes=terms.minutes,
            calendar=calendar,
            wishes=Wishes(earliest=now.astimezone(tz).date()),
            kept=[*(other.starts_at.astimezone(tz).date() for other in before), local.date()],
            usual=Usual(local.weekday(), local.time(), target.practitioner.pk, target.room.pk),
        )
    except NoSeries as error:
        raise AlreadyTaken(_("After this time no complete rest of the course fits.")) from error
    return [_to(other, slot) for other, slot in zip(later, slots, strict=True)]


def _to(visit: Appointment, slot: Slot) -> Move:
    return Move(visit=visit, starts_at=slot.starts_at, practitioner_id=slot.practitioner, room_id=slot.room)


def _gaps(days: dict[int, date], was: dict[int, date], starts: dict[int, datetime], terms: Terms) -> list[Gap]:
    return [
        Gap(
            number=number,
            starts_at=starts[number],
            days=(day - days[number - 1]).days,
            before=(was[number] - was[number - 1]).days,
            low=terms.gap(number).gap_min,
            high=terms.gap(number).gap_max,
        )
        for number, day in days.items()
        if number - 1 in days
    ]


def _check_may_leave_window(outside: str, *, reason: str, by: User) -> None:
    if not by.may(Permission.PLAN_SIGN):
        raise NotAllowed(outside + " " + _("Only a practitioner may leave the plan’s window."))
    if not reason:
        raise InvalidInput(outside + " " + _("Say why it should be so."), field="reason")


def _in_order(moves: Sequence[Move]) -> list[Move]:
    """So that none lands where another of them still is: the later ones first where they move later, and vice versa."""
    up = [move for move in moves if move.starts_at >= move.visit.starts_at]
    down = [move for move in moves if move.starts_at < move.visit.starts_at]
    return [*sorted(up, key=lambda move: -move.visit.number), *sorted(down, key=lambda move: move.visit.number)]


def _placed(change: Move, *, turnover: Turnover) -> Appointment:
    """The visit as it will be, not written yet. Its length stays; its preparation and clean-up are today's."""
    visit = copy(change.visit)
    length = timedelta(seconds=(visit.ends_at - visit.starts_at).total_seconds())
    visit.starts_at, visit.ends_at = change.starts_at, change.starts_at + length
    visit.practitioner_id, visit.room_id = change.practitioner_id, change.room_id
    visit.prepare_minutes, visit.cleanup_minutes = turnover.prepare, turnover.cleanup
    return visit


def _apply(visit: Appointment, *, reason: str) -> Appointment:
    visit.window_reason = reason
    if not write_place(visit, was=AppointmentStatus.BOOKED, sequence=visit.sequence):
        raise InvalidTransition(_("Somebody has just changed this appointment. Please look at it again."))
    return Appointment.objects.select_related("patient", "site", "practitioner", "room", "course__plan").get(
        pk=visit.pk
    )


def _write(visits: Sequence[Appointment], *, by: User) -> None:
    """What hung on the old times is void and planned anew; one mail tells old and new."""
    for visit in visits:
        followups.moved(visit, by=by)
    mails.queue_moved(visits, course=visits[0].course, by=by)


# ------------------------------------------------------------------ a free time


def give_time(*, time: FreeTime, fit: Fit, by: User) -> Appointment:
    """Give a free time to somebody whom it fits: their visit moves here, or their next session is booked, and they are
    told.

    Raise AlreadyTaken where somebody was faster; whoever asked for another time has an answer with it.
    """
    target = Target(starts_at=time.starts_at, practitioner=time.practitioner, room=fit.room)
    if fit.visit is not None:
        return move_appointment(appointment=fit.visit, target=target, rest="keep", by=by, wish=fit.wish)[0]
    return book_wished(fit=fit, target=target, site=time.site, by=by)


def book_wished(*, fit: Fit, target: Target, site: Site, by: User) -> Appointment:
    """Book the session that somebody waits for, and close the wish that it fulfils; both or neither."""

    @transaction.atomic
    def book() -> Appointment:
        visit = book_appointment(
            plan=fit.plan,
            number=fit.number,
            site=site,
            practitioner=target.practitioner,
            room=target.room,
            starts_at=target.starts_at,
            by=by,
        )
        if fit.wish is not None:
            fulfil_wish(fit.wish, by=by)
        return visit

    return with_one_retry(book)
