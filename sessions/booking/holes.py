"""Holes in a course: sessions that were cancelled, missed or jumped over. Each is filled, or left out with a reason.

A hole stands on Today and on the record until one of the two has happened. The time is shown before it is booked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.core.asking import asks
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition, NotAllowed
from patients.queries import in_care, is_seen_by, remaining_record
from sessions.booking.actions import book_appointment
from sessions.booking.ending import complete_plan_if_done
from sessions.booking.locks import lock_time
from sessions.course.gaps import check_days, paced
from sessions.course.next_session import unbooked_sessions
from sessions.course.queries import kept_appointments
from sessions.course.terms import done_before_all, terms_of
from sessions.models import Appointment, AppointmentStatus, Course, Room
from sessions.models.changes import SessionLeftOut
from sessions.planner import Slot, Usual, closest_slot, is_barred
from sessions.queries import bookable_plans_visible_to
from sessions.times.propose import usual_of_visit
from sessions.times.queries import able_practitioners, calendar_for
from sessions.times.refusals import AlreadyTaken

REACH = 42  # days either side of the best one
REASON_LENGTH = 300


# ------------------------------------------------------------------ which sessions are holes


def holes_of(course: Course, *, sessions: int | None = None) -> list[int]:
    """Return the sessions of a course that has begun to be booked and that nothing is booked for, left out or not held.

    A course with nothing booked has no hole: it waits to be booked as a whole.
    """
    rows = list(course.appointments.values_list("number", "status"))
    kept = {number for number, status in rows if status not in AppointmentStatus.FREE_AGAIN}
    lost = {number for number, status in rows if status in AppointmentStatus.FREE_AGAIN}
    planned = terms_of(course.plan).sessions if sessions is None else sessions
    left_out = set(course.left_out.values_list("number", flat=True))
    return _holes(kept, lost=lost, left_out=left_out, sessions=planned)


def _holes(kept: set[int], *, lost: set[int], left_out: set[int], sessions: int) -> list[int]:
    if not kept:
        return []
    open_ones = unbooked_sessions(kept, sessions=sessions, left_out=left_out)
    return [number for number in open_ones if number in lost or number < max(kept)]


@dataclass(frozen=True, kw_only=True)
class Hole:
    """The holes of one course."""

    course: Course
    numbers: tuple[int, ...]
    since: datetime  # the time of the first that was lost, or of the visit after it

    @property
    def number(self) -> int:
        return self.numbers[0]


def courses_with_holes(*, user: User, site: Site) -> list[Hole]:
    """Return the courses in force of the site's patients that have a hole, the soonest first: three queries, four where
    one of their plans was amended.
    """
    plans = bookable_plans_visible_to(user).filter(in_care("patient__"), patient__site=site)
    rows = Appointment.objects.filter(course=OuterRef("course"), number=OuterRef("number"))
    lost = Appointment.objects.filter(course__plan__in=plans, status__in=AppointmentStatus.FREE_AGAIN).filter(
        ~Exists(rows.exclude(status__in=AppointmentStatus.FREE_AGAIN)),
        ~Exists(SessionLeftOut.objects.filter(course=OuterRef("course"), number=OuterRef("number"))),
    )
    before = Appointment.objects.filter(course=OuterRef("course"), number=OuterRef("number") - 1)
    jumped = (
        Appointment.objects.filter(course__plan__in=plans, number__gt=1)
        .exclude(status__in=AppointmentStatus.FREE_AGAIN)
        .filter(~Exists(before))
    )
    wanted = Q(pk__in=lost.values("course")) | Q(pk__in=jumped.values("course"))
    courses = (
        Course.objects.filter(wanted)
        .select_related("plan__patient__merged_into", "plan__supersedes")
        .defer(*(f"plan__{name}" for name in ("case", "policy", "proposal", "edits")))
        .defer(*(f"plan__supersedes__{name}" for name in ("case", "policy", "proposal", "edits", "result")))
        .prefetch_related("appointments", "left_out")
    )
    found = []
    courses_read = list(courses)
    done = done_before_all([course.plan for course in courses_read])
    for course in courses_read:
        visits = list(course.appointments.all())
        numbers = _holes(
            {visit.number for visit in visits if visit.status not in AppointmentStatus.FREE_AGAIN},
            lost={visit.number for visit in visits if visit.status in AppointmentStatus.FREE_AGAIN},
            left_out={row.number for row in course.left_out.all()},
            sessions=terms_of(course.plan, before=done[course.plan_id]).sessions,
        )
        if numbers:
            since = min(visit.starts_at for visit in visits if visit.number >= numbers[0])
            found.append(Hole(course=course, numbers=tuple(numbers), since=since))
    return sorted(found, key=lambda hole: (hole.since, hole.course.pk))


# ------------------------------------------------------------------ times for one session


def times_for(
    course: Course,
    number: int,
    *,
    now: datetime,
    near: Appointment | None = None,
    without: Sequence[Appointment] = (),
    at_most: int = 4,
    apart_from: Appointment | None = None,
) -> list[Slot]:
    """Return free times for one session between its booked neighbours, one a day, the best first.

    The best is the plan's ideal day; or, with ``near``, the time of that visit, booked or not. ``without`` take up no
    time and are no neighbours: they are about to move. The time of ``apart_from`` itself is not offered.
    """
    moving = {visit.pk for visit in without}
    kept = [visit for visit in kept_appointments(course) if visit.number != number and visit.pk not in moving]
    like = near or min(kept, key=lambda visit: (abs(visit.number - number), visit.number), default=None)
    if like is None:
        return []
    plan, site, tz = course.plan, like.site, like.site.tz
    terms = terms_of(plan)
    if not 1 <= number <= terms.sessions:
        return []
    able = able_practitioners(plan, site)
    who = next((person for person in able if person.pk == like.practitioner_id), able[0] if able else None)
    if who is None:
        return []
    usual: Usual = usual_of_visit(like)._replace(practitioner=who.pk)
    calendar = calendar_for(plan=plan, practitioner=who, site=site, since=now, without=without)
    days = {visit.number: visit.starts_at.astimezone(tz).date() for visit in kept}
    best = like.starts_at.astimezone(tz).date()
    if near is None:
        best += timedelta(days=terms.offsets_days[number - 1] - terms.offsets_days[like.number - 1])
    pace = paced(plan, terms, site=site)[number - 1]
    found: list[Slot] = []
    for shift in sorted(range(-REACH, REACH + 1), key=lambda shift: (abs(shift), shift)):
        day = best + timedelta(days=shift)
        try:
            check_days(terms, days | {number: day}, around=number)
        except InvalidInput:
            continue
        if is_barred(pace, day):
            continue
        slot = closest_slot(number=number, day=day, usual=usual, minutes=terms.minutes, calendar=calendar)
        if slot is not None and (apart_from is None or slot.starts_at != apart_from.starts_at):
            found.append(slot)
            if len(found) == at_most:
                break
    return found


def no_time_for(number: int) -> AlreadyTaken:
    return AlreadyTaken(
        _("Session %(n)s finds no free time between its booked neighbours. Move one of them first.") % {"n": number}
    )


def check_hole(course: Course, number: int) -> None:
    """Raise DomainError unless this session of the course is still to be booked."""
    kept = {visit.number for visit in kept_appointments(course)}
    if number in kept:
        raise AlreadyTaken(_("This session of the course is booked already."), field="number")
    if not 1 <= number <= terms_of(course.plan).sessions:
        raise DomainError(_("No session of this course is missing."))


def book_session(
    *, course: Course, number: int, starts_at: datetime, practitioner: User, room: Room, by: User
) -> Appointment:
    """Book one session of a course at the time that the person has seen."""
    return book_appointment(
        plan=course.plan,
        number=number,
        site=room.site,
        practitioner=practitioner,
        room=room,
        starts_at=starts_at,
        by=by,
    )


# ------------------------------------------------------------------ left out on purpose


def check_can_leave_out(course: Course, *, by: User) -> None:
    """Raise NotAllowed unless ``by`` may decide that a session is not held: it shortens what was signed."""
    plan = course.plan
    if not by.may(Permission.PLAN_SIGN):
        raise NotAllowed(_("Only somebody who signs plans leaves a session out."))
    if not is_seen_by(remaining_record(plan.patient), by):
        raise NotAllowed(_("This patient belongs to another site."))


can_leave_out = asks(check_can_leave_out)


@transaction.atomic
def leave_out(*, course: Course, number: int, reason: str, by: User) -> SessionLeftOut:
    """Decide that a session of the course is not held, and say why. Booking it later takes the decision back.

    Raise InvalidInput without a reason, InvalidTransition where the session is booked or left out already.
    """
    check_can_leave_out(course, by=by)
    said = " ".join(reason.split())
    if not said:
        raise InvalidInput(_("Say why this session is left out."), field="reason")
    if len(said) > REASON_LENGTH:
        raise InvalidInput(
            _("Shorten the reason to %(length)d characters.") % {"length": REASON_LENGTH}, field="reason"
        )
    lock_time(practitioner_ids=[], room_ids=[], patient_id=remaining_record(course.plan.patient).pk)
    held = Course.objects.select_for_update(of=("self",)).select_related("plan__patient").get(pk=course.pk)
    check_hole(held, number)
    if len(kept_appointments(held)) == 0:
        raise InvalidTransition(_("Nothing of this course is booked. Stop the plan instead."))
    row, made = SessionLeftOut.objects.get_or_create(
        course=held, number=number, defaults={"reason": said, "at": timezone.now(), "by": by}
    )
    if not made:
        raise InvalidTransition(_("This session is left out already."))
    complete_plan_if_done(plan=held.plan, by=by)
    trail.record(
        "session.left_out",
        by=by,
        target=held,
        patient=held.plan.patient,
        details={"plan": str(held.plan.public_id), "number": number, "reason": said},
    )
    return row
