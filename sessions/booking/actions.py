"""What changes visits: book, cancel, check in. One transaction each, the audit event inside it.

The database refuses what overlaps; these functions put the refusal into words. A deadlock's victim is run once more,
unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TypeVar

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from patients.queries import is_seen_by, remaining_record
from protocols.models import Plan
from protocols.models.enums import StandingStep
from protocols.standing.going_on import check_may_treat, keep_override
from protocols.standing.reasons import Standing
from sessions.booking.changes import as_they_were, keep_change
from sessions.booking.hooks import Booked, after_booking
from sessions.booking.locks import lock_time, with_one_retry
from sessions.booking.overbook import Overbook, check_not_taken, settle_overbooking, told_over
from sessions.course.gaps import check_course_length, check_gaps, check_intervals
from sessions.course.terms import terms_of
from sessions.mail import followups
from sessions.mail import sending as mails
from sessions.models import (
    Appointment,
    AppointmentStatus,
    Course,
    Room,
)
from sessions.models.changes import ChangeKind, SessionLeftOut
from sessions.models.transitions import BY_HAND, before
from sessions.permissions import (
    check_can_book,
    check_can_cancel,
    check_can_set_status,
    check_can_treat,
    check_room_serves,
    check_visit_stands,
)
from sessions.planner import Wishes
from sessions.sites.availability import availability_of
from sessions.sites.queries import rooms_of
from sessions.sites.words import not_open
from sessions.times.propose import Chosen, ProposalChanged, Series, propose_series, wishes_from
from sessions.times.queries import turnover_for
from sessions.times.refusals import AlreadyTaken, overlap

Result = TypeVar("Result")
BOOKED_AHEAD_DAYS = 731
TRIES = 3  # how often a series is worked out again where somebody else was faster, and nobody had seen it


# ------------------------------------------------------------------ booking


def book_course(
    *,
    plan: Plan,
    site: Site,
    practitioner: User | None,
    earliest: date,
    by: User,
    room: Room | None = None,
    weekdays: Iterable[int] | None = None,
    not_before: time | None = None,
    not_after: time | None = None,
    expected: Sequence[datetime] | None = None,
    chosen: Sequence[Chosen] | None = None,
    standing_reason: str = "",
) -> Course:
    """Book every session of a signed plan that is not booked yet, at the best times, all or none.

    Where the patient's standing is a stop, only somebody who signs plans books, with ``standing_reason``.
    Without ``practitioner`` anybody at the site may treat. ``expected`` are the times that the person saw; if others
    would be booked now, nothing is. ``chosen`` are times that the person picked: those are booked, or nothing is.
    """
    wishes = wishes_from(earliest=earliest, room=room, weekdays=weekdays, not_before=not_before, not_after=not_after)
    course = _CourseWish(
        plan=plan, site=site, practitioner=practitioner, wishes=wishes, standing_reason=standing_reason
    )
    for again in range(TRIES, -1, -1):
        picked = _picked(course, expected=expected, by=by) if chosen is None else chosen
        try:
            return _book_picked(picked, course, by=by)
        except ProposalChanged:
            if chosen is not None or expected is not None or not again:
                raise
    raise AssertionError  # the last try returns or raises


@dataclass(frozen=True, kw_only=True)
class _CourseWish:
    """A course as somebody wants it booked."""

    plan: Plan
    site: Site
    practitioner: User | None  # None: anybody at the site
    wishes: Wishes
    standing_reason: str

    def check_practitioner(self, current: Plan) -> None:
        """Raise the refusal where the plan cannot be booked with the practitioner who is wished for."""
        if self.practitioner:
            check_practitioner(self.practitioner, site=self.site, plan=current)

    def check_may_treat(self, current: Plan, first: date, *, by: User) -> Standing:
        """Return how the patient stands on the first day. Raise where that is a stop ``by`` may not go on against."""
        return check_may_treat(
            current.patient, current, first, by=by, reason=self.standing_reason, field="standing_reason"
        )

    def series(self, current: Plan, *, chosen: Sequence[Chosen] | None = None) -> Series:
        """Return the best times, or those that were chosen. Raise where there are none, or not these any more."""
        return propose_series(
            plan=current,
            site=self.site,
            practitioner=self.practitioner,
            wishes=self.wishes,
            now=timezone.now(),
            chosen=chosen,
        )


def _picked(course: _CourseWish, *, expected: Sequence[datetime] | None, by: User) -> list[Chosen]:
    """Return the times to book, worked out without a lock. Raise ProposalChanged where others were ``expected``."""
    check_can_book(course.plan, site=course.site, by=by)
    course.check_may_treat(course.plan, course.wishes.earliest, by=by)
    course.check_practitioner(course.plan)
    series = course.series(course.plan)
    if expected is not None and [slot.starts_at for slot in series.slots] != list(expected):
        raise ProposalChanged(
            _("The times have changed since you saw them: somebody booked one of them. Please look again.")
        )
    return [
        Chosen(number=slot.number, starts_at=slot.starts_at, practitioner=slot.practitioner, room=slot.room)
        for slot in series.slots
    ]


def _book_picked(picked: Sequence[Chosen], course: _CourseWish, *, by: User) -> Course:
    """Book these times, which were worked out without any lock, if under the locks they are still free; or nothing."""
    wanted: list[Appointment] = []
    person = remaining_record(course.plan.patient)

    @transaction.atomic
    def book() -> Course:
        wanted.clear()
        lock_time(
            practitioner_ids=[choice.practitioner for choice in picked],
            room_ids=[choice.room for choice in picked],
            patient_id=person.pk,
        )
        return _book_series(picked, course, reread(course.plan), wanted, by=by)

    return in_words(book, wanted)


def _book_series(
    picked: Sequence[Chosen], wish: _CourseWish, current: Plan, wanted: list[Appointment], *, by: User
) -> Course:
    """Book the series under the locks, with what is owed and mailed about it."""
    check_can_book(current, site=wish.site, by=by)
    wish.check_practitioner(current)
    series = wish.series(current, chosen=picked)
    found = _check_series(series, wish, current, by=by)
    course = _course_of(current, by=by)
    keep_override(
        found,
        plan=current,
        step=StandingStep.BOOK,
        subject_id=course.public_id,
        reason=wish.standing_reason,
        by=by,
    )
    wanted += _visits_of(series, wish, current, course=course, by=by)
    untold = _take_over(series, course=course, by=by)
    _take_back_left_out(course, [visit.number for visit in wanted])
    for visit in wanted:
        visit.save(force_insert=True)
    told = sorted([*untold, *wanted], key=lambda visit: visit.starts_at)
    after_booking(Booked(plan=current, subject_id=course.public_id, visits=wanted, told=told), by=by)
    details: dict[str, object] = {
        "plan": str(current.public_id),
        "appointments": [str(visit.public_id) for visit in wanted],
    }
    if series.carried or series.given_up:
        details["taken_over"] = [str(visit.public_id) for visit in series.carried]
        details["cancelled"] = [str(visit.public_id) for visit in series.given_up]
    trail.record("course.booked", by=by, target=course, patient=current.patient, details=details)
    return course


def _check_series(series: Series, wish: _CourseWish, current: Plan, *, by: User) -> Standing:
    """Return how the patient stands on the first day. Raise where people, the course's length or its gaps forbid it."""
    site = wish.site
    for key in {slot.practitioner for slot in series.slots}:
        check_practitioner(series.people[key], site=site, plan=current)
    check_course_length(current, [slot.number for slot in series.slots], field="earliest")
    days = {slot.number: slot.starts_at.astimezone(site.tz).date() for slot in series.slots}
    found = wish.check_may_treat(current, min(days.values(), default=wish.wishes.earliest), by=by)
    check_intervals(current, days, site=site, field="earliest")
    return found


def _visits_of(series: Series, wish: _CourseWish, current: Plan, *, course: Course, by: User) -> list[Appointment]:
    """Return the visits of the series as they would be written."""
    site, turnover = wish.site, turnover_for(current, wish.site)
    rooms = {room.pk: room for room in rooms_of(site)}
    return [
        Appointment(
            course=course,
            number=slot.number,
            patient=remaining_record(current.patient),
            practitioner=series.people[slot.practitioner],
            room=rooms[slot.room],
            site=site,
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            prepare_minutes=turnover.prepare,
            cleanup_minutes=turnover.cleanup,
            created_by=by,
        )
        for slot in series.slots
    ]


def _take_over(series: Series, *, course: Course, by: User) -> list[Appointment]:
    """What was booked under the plan before its amendment: part of it stays, as part of this course; the rest is off.

    Returns those that stay and that the patient has not been told of yet.
    """
    untold = []
    older = {visit.course for visit in (*series.carried, *series.given_up)}
    for number, visit in enumerate(series.carried, start=1):
        if not mails.told_time(visit):
            untold.append(visit)
        booked = Appointment.objects.filter(pk=visit.pk, status=AppointmentStatus.BOOKED, sequence=visit.sequence)
        if not booked.update(course=course, number=number):
            raise InvalidTransition(_("Somebody has just changed this appointment. Please look at it again."))
        visit.course, visit.number = course, number
    for replaced in older:
        mails.void_confirmation(replaced, by=by)
        off = [visit for visit in series.given_up if visit.course_id == replaced.pk]
        if off:
            _cancel(off)
            mails.take_back(off, course=replaced, by=by)
            followups.withdrawn(off, by=by)
    return untold


def book_appointment(
    *,
    plan: Plan,
    number: int,
    site: Site,
    practitioner: User,
    room: Room,
    starts_at: datetime,
    by: User,
    overbook: Overbook | None = None,
    standing_reason: str = "",
) -> Appointment:
    """Book one session of a signed plan at one time, inside the working hours and the plan's gaps.

    Where the patient's standing is a stop, only somebody who signs plans books, with ``standing_reason``.
    With ``overbook`` it is deliberately booked over a time that is taken.
    """
    one = _One(
        number=number,
        site=site,
        practitioner=practitioner,
        room=room,
        starts_at=starts_at,
        overbook=overbook,
        standing_reason=standing_reason,
    )
    wanted: list[Appointment] = []

    @transaction.atomic
    def book() -> Appointment:
        wanted.clear()
        lock_time(practitioner_ids=[practitioner.pk], room_ids=[room.pk], patient_id=remaining_record(plan.patient).pk)
        return _book_one(one, reread(plan), wanted, by=by)

    # Once without a lock: who cannot have the time is told so without waiting for those who can.
    _check_early(one, Plan.objects.select_related("patient", "formulary").get(pk=plan.pk), by=by)
    return in_words(book, wanted)


@dataclass(frozen=True, kw_only=True)
class _One:
    """One session at one time, as somebody wants it booked."""

    number: int
    site: Site
    practitioner: User
    room: Room
    starts_at: datetime
    overbook: Overbook | None
    standing_reason: str

    @property
    def day(self) -> date:
        return self.starts_at.astimezone(self.site.tz).date()

    def visit(self, current: Plan, *, course: Course | None = None, by: User | None = None) -> Appointment:
        """Return the visit as it would be written, in the course that there is already."""
        turnover = turnover_for(current, self.site)
        return Appointment(
            course=course,
            number=self.number,
            patient=remaining_record(current.patient),
            practitioner=self.practitioner,
            room=self.room,
            site=self.site,
            starts_at=self.starts_at,
            ends_at=self.starts_at + timedelta(minutes=terms_of(current).minutes),
            prepare_minutes=turnover.prepare,
            cleanup_minutes=turnover.cleanup,
            created_by=by,
        )


def _check_early(one: _One, current: Plan, *, by: User) -> None:
    """The cheap half of the checks: most who come too late are told so by it."""
    check_can_book(current, site=one.site, by=by)
    check_in_reach(one.starts_at)
    if one.overbook is None:
        check_not_taken(one.visit(current, course=Course.objects.filter(plan=current).first()))


def _check_wish(one: _One, current: Plan, *, by: User) -> Appointment:
    """Return the visit as it would be written. Raise the refusal where the plan, the people or the hours forbid it."""
    _check_early(one, current, by=by)
    check_practitioner(one.practitioner, site=one.site, plan=current)
    check_can_treat(one.practitioner, plan=current, site=one.site)
    check_room_serves(one.room, plan=current, site=one.site)
    terms = terms_of(current)
    if not 1 <= one.number <= terms.sessions:
        raise InvalidInput(_("The plan has %(n)s sessions.") % {"n": terms.sessions}, field="number")
    kept = Appointment.objects.filter(course__plan=current, number=one.number)
    if kept.exclude(status__in=AppointmentStatus.FREE_AGAIN).exists():
        raise AlreadyTaken(_("This session of the course is booked already."), field="number")
    visit = one.visit(current, by=by)
    check_open(visit.starts_at, visit.ends_at, practitioner=one.practitioner, site=one.site, plan=current)
    check_course_length(current, [one.number], field="number")
    check_gaps(current, number=one.number, starts_at=one.starts_at, site=one.site)
    check_intervals(current, {one.number: one.day}, site=one.site, field="starts_at")
    return visit


def _book_one(one: _One, current: Plan, wanted: list[Appointment], *, by: User) -> Appointment:
    """Book it under the locks, with what is owed and mailed about it."""
    reason = one.standing_reason
    found = check_may_treat(current.patient, current, one.day, by=by, reason=reason, field="standing_reason")
    visit = _check_wish(one, current, by=by)
    over = settle_overbooking(visit, overbook=one.overbook, by=by)
    visit.course = _course_of(current, by=by)
    _take_back_left_out(visit.course, [one.number])
    wanted.append(visit)
    visit.save(force_insert=True)
    keep_override(found, plan=current, step=StandingStep.BOOK, subject_id=visit.public_id, reason=reason, by=by)
    after_booking(Booked(plan=current, subject_id=visit.public_id, visits=[visit], told=[visit]), by=by)
    trail.record(
        "appointment.booked",
        by=by,
        target=visit,
        patient=current.patient,
        details={"plan": str(current.public_id), "number": one.number} | told_over(visit, over),
    )
    return visit


def in_words(book: Callable[[], Result], wanted: list[Appointment]) -> Result:
    try:
        return with_one_retry(book)
    except IntegrityError as error:
        refusal = overlap(error, wanted)
        if refusal is None:
            raise
        raise refusal from error


def reread(plan: Plan) -> Plan:
    """The plan as it is now, held still until the transaction ends (SQLite has one writer anyway)."""
    return Plan.objects.select_for_update(of=("self",)).select_related("patient", "formulary").get(pk=plan.pk)


def _course_of(plan: Plan, *, by: User) -> Course:
    course, _created = Course.objects.get_or_create(plan=plan, defaults={"booked_at": timezone.now(), "booked_by": by})
    return course


def check_practitioner(practitioner: User, *, site: Site, plan: Plan) -> None:
    if not practitioner.is_active or site.pk not in practitioner.site_ids:
        raise InvalidInput(
            _("%(who)s does not work at %(site)s.") % {"who": practitioner, "site": site}, field="practitioner"
        )
    if not is_seen_by(remaining_record(plan.patient), practitioner):
        raise InvalidInput(
            _("%(who)s does not see the patients of %(site)s.") % {"who": practitioner, "site": plan.patient.site},
            field="practitioner",
        )


def check_in_reach(starts_at: datetime) -> None:
    now = timezone.now()
    if starts_at <= now:
        raise InvalidInput(_("This time has passed."), field="starts_at")
    if starts_at > now + timedelta(days=BOOKED_AHEAD_DAYS):
        raise InvalidInput(_("Courses are booked up to two years ahead."), field="starts_at")


def check_open(starts_at: datetime, ends_at: datetime, *, practitioner: User, site: Site, plan: Plan) -> None:
    """The site is open and the practitioner is there, from preparing to cleaning up."""
    known = availability_of(site, people=[practitioner.pk], since=starts_at.astimezone(site.tz).date())
    obstacle = known.obstacle(starts_at, ends_at, person=practitioner.pk, turnover=turnover_for(plan, site))
    if obstacle:
        raise InvalidInput(
            not_open(obstacle, starts_at=starts_at, ends_at=ends_at, who=practitioner, site=site), field="starts_at"
        )


# ------------------------------------------------------------------ cancelling and checking in


def cancel_appointment(*, appointment: Appointment, by: User) -> Appointment:
    """Take one visit out of the calendar, void its unsent mail and tell the patient if the date was told."""

    @transaction.atomic
    def cancel() -> Appointment:
        check_can_cancel(appointment, by=by)
        was = as_they_were([appointment])
        _cancel([appointment])
        keep_change(ChangeKind.CANCELLED, was=was, now=[appointment], by=by)
        mails.take_back([appointment], course=appointment.course, by=by)
        followups.cancelled([appointment], by=by)
        trail.record("appointment.cancelled", by=by, target=appointment, patient=appointment.patient)
        return appointment

    return with_one_retry(cancel)


def cancel_course(*, course: Course, by: User, numbers: Iterable[int] | None = None) -> list[Appointment]:
    """Cancel every visit of the course that is booked, or of those only the sessions with these numbers."""
    wanted = None if numbers is None else set(numbers)

    @transaction.atomic
    def cancel() -> list[Appointment]:
        visits = list(
            course.appointments.filter(status=AppointmentStatus.BOOKED)
            .select_related("patient", "site", "practitioner", "room", "course")
            .order_by("starts_at")
        )
        if wanted is not None:
            visits = [visit for visit in visits if visit.number in wanted]
        if not visits:
            raise InvalidTransition(_("No session of this course is left to cancel."))
        for visit in visits:
            check_can_cancel(visit, by=by)
        was = as_they_were(visits)
        _cancel(visits)
        keep_change(ChangeKind.CANCELLED, was=was, now=visits, by=by)
        mails.take_back(visits, course=course, by=by)
        followups.cancelled(visits, by=by)
        trail.record(
            "course.cancelled",
            by=by,
            target=course,
            patient=visits[0].patient,
            details={"appointments": [str(visit.public_id) for visit in visits]},
        )
        return visits

    return with_one_retry(cancel)


def _cancel(visits: list[Appointment]) -> None:
    for visit in visits:
        open_ones = Appointment.objects.filter(pk=visit.pk, status__in=before(AppointmentStatus.CANCELLED))
        if not open_ones.update(status=AppointmentStatus.CANCELLED, sequence=F("sequence") + 1):
            raise InvalidTransition(_("Somebody has just changed this appointment. Please look at it again."))
        visit.refresh_from_db(fields=["status", "sequence"])


@transaction.atomic
def set_appointment_status(
    *, appointment: Appointment, status: AppointmentStatus, by: User, standing_reason: str = ""
) -> Appointment:
    """Check in, mark as not come, or undo either.

    Where the patient's standing is a stop, only somebody who signs plans checks in as ready, with ``standing_reason``.
    """
    if status not in BY_HAND:
        raise InvalidTransition(_("This state is reached by recording or cancelling the visit."))
    check_can_set_status(appointment, status=status, by=by)
    if status == AppointmentStatus.ARRIVED:
        found = check_visit_stands(appointment, by=by, reason=standing_reason)
        keep_override(
            found,
            plan=appointment.course.plan,
            step=StandingStep.CHECK_IN,
            subject_id=appointment.public_id,
            reason=standing_reason,
            by=by,
        )
    was = appointment.status
    if not Appointment.objects.filter(pk=appointment.pk, status=was).update(status=status):
        raise InvalidTransition(_("Somebody has just changed this appointment. Please look at it again."))
    appointment.refresh_from_db(fields=["status"])
    if status == AppointmentStatus.NO_SHOW:
        followups.missed(appointment, by=by)
    elif was == AppointmentStatus.NO_SHOW:
        followups.not_missed(appointment, by=by)
    trail.record(
        "appointment.status_changed",
        by=by,
        target=appointment,
        patient=appointment.patient,
        details={"from": was, "to": str(status)},
    )
    return appointment


# ------------------------------------------------------------------ recording what was done


def _take_back_left_out(course: Course, numbers: Iterable[int]) -> None:
    """A session that is booked after all is not left out any more; the trail keeps that it was."""
    SessionLeftOut.objects.filter(course=course, number__in=list(numbers)).delete()
