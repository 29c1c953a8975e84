"""What changes visits: book, cancel, check in, record. One transaction each, the audit event inside it.

The database refuses what overlaps; these functions put the refusal into words. A deadlock's victim is run once more,
unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import F, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site, User
from mesoclinic.accounts.reauthentication import confirm_password
from mesoclinic.audit import trail
from mesoclinic.errors import InvalidInput, InvalidTransition
from mesoclinic.numbers import shown_number
from patients.models import StatementSource
from patients.queries import day_checks_on, is_seen_by, newest_submitted_intake, remaining_record
from patients.recording import words_of_note
from patients.statements import record_statements
from protocols.actions import change_plan_status
from protocols.enums import PlanStatus, StandingStep
from protocols.models import Ingredient, Plan
from protocols.standing import Standing, check_may_treat, keep_override, standing
from sessions import followups, mails
from sessions.availability import availability_of
from sessions.change_models import ChangeKind, SessionLeftOut
from sessions.documents import prepare_dated_prints
from sessions.gaps import check_course_length, check_gaps, check_intervals
from sessions.locks import lock_time, with_one_retry
from sessions.models import (
    Administration,
    Appointment,
    AppointmentStatus,
    Course,
    Lot,
    Room,
    TreatmentSession,
    TreatmentSessionStatus,
)
from sessions.overbooking import Overbook, check_not_taken, settle, told_over
from sessions.permissions import (
    check_can_book,
    check_can_cancel,
    check_can_record,
    check_can_set_status,
    check_can_treat,
    check_room_serves,
    check_visit_stands,
)
from sessions.planned import PlannedLine, planned_lines
from sessions.planner import Wishes
from sessions.proposing import Chosen, ProposalChanged, Series, propose_series, wishes_from
from sessions.queries import rooms_of, turnover_for, usable_lots
from sessions.terms import terms_of
from sessions.transitions import BY_HAND, before
from sessions.visit_changes import as_they_were, keep_change
from sessions.wording import AlreadyTaken, day_words, not_open, overlap, plain

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
    for again in range(TRIES, -1, -1):
        picked = chosen
        if picked is None:
            check_can_book(plan, site=site, by=by)
            check_may_treat(plan.patient, plan, earliest, by=by, reason=standing_reason, field="standing_reason")
            if practitioner:
                check_practitioner(practitioner, site=site, plan=plan)
            series = propose_series(plan=plan, site=site, practitioner=practitioner, wishes=wishes, now=timezone.now())
            if expected is not None and [slot.starts_at for slot in series.slots] != list(expected):
                raise ProposalChanged(
                    _("The times have changed since you saw them: somebody booked one of them. Please look again.")
                )
            picked = [
                Chosen(number=slot.number, starts_at=slot.starts_at, practitioner=slot.practitioner, room=slot.room)
                for slot in series.slots
            ]
        try:
            return _book_picked(
                picked,
                plan=plan,
                site=site,
                practitioner=practitioner,
                wishes=wishes,
                by=by,
                standing_reason=standing_reason,
            )
        except ProposalChanged:
            if chosen is not None or expected is not None or not again:
                raise
    raise AssertionError  # the last try returns or raises


def _book_picked(
    picked: Sequence[Chosen],
    *,
    plan: Plan,
    site: Site,
    practitioner: User | None,
    wishes: Wishes,
    by: User,
    standing_reason: str,
) -> Course:
    """Book these times, which were worked out without any lock, if under the locks they are still free; or nothing."""
    wanted: list[Appointment] = []
    person = remaining_record(plan.patient)

    @transaction.atomic
    def book() -> Course:
        wanted.clear()
        lock_time(
            practitioner_ids=[choice.practitioner for choice in picked],
            room_ids=[choice.room for choice in picked],
            patient_id=person.pk,
        )
        current = reread(plan)
        check_can_book(current, site=site, by=by)
        if practitioner:
            check_practitioner(practitioner, site=site, plan=current)
        series = propose_series(
            plan=current, site=site, practitioner=practitioner, wishes=wishes, now=timezone.now(), chosen=picked
        )
        for key in {slot.practitioner for slot in series.slots}:
            check_practitioner(series.people[key], site=site, plan=current)
        turnover = turnover_for(current, site)
        check_course_length(current, [slot.number for slot in series.slots], field="earliest")
        days = {slot.number: slot.starts_at.astimezone(site.tz).date() for slot in series.slots}
        first = min(days.values(), default=wishes.earliest)
        found = check_may_treat(current.patient, current, first, by=by, reason=standing_reason, field="standing_reason")
        check_intervals(current, days, site=site, field="earliest")
        course = _course_of(current, by=by)
        keep_override(
            found, plan=current, step=StandingStep.BOOK, subject_id=course.public_id, reason=standing_reason, by=by
        )
        rooms = {room.pk: room for room in rooms_of(site)}
        for slot in series.slots:
            wanted.append(
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
            )
        untold = _take_over(series, course=course, by=by)
        _take_back_left_out(course, [visit.number for visit in wanted])
        for visit in wanted:
            visit.save(force_insert=True)
        told = sorted([*untold, *wanted], key=lambda visit: visit.starts_at)
        mails.queue_confirmation(told, subject_id=course.public_id, by=by)
        for visit in wanted:
            mails.queue_reminder(visit, by=by)
        followups.booked(wanted, by=by)
        prepare_dated_prints(current, by=by)
        details: dict[str, Any] = {
            "plan": str(current.public_id),
            "appointments": [str(visit.public_id) for visit in wanted],
        }
        if series.carried or series.given_up:
            details["taken_over"] = [str(visit.public_id) for visit in series.carried]
            details["cancelled"] = [str(visit.public_id) for visit in series.given_up]
        trail.record("course.booked", by=by, target=course, patient=current.patient, details=details)
        return course

    return in_words(book, wanted)


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
    wanted: list[Appointment] = []

    def check_stands(current: Plan) -> Standing:
        day = starts_at.astimezone(site.tz).date()
        return check_may_treat(current.patient, current, day, by=by, reason=standing_reason, field="standing_reason")

    def check_early(current: Plan) -> None:
        """The cheap half of the checks: most who come too late are told so by it."""
        check_can_book(current, site=site, by=by)
        check_in_reach(starts_at)
        if overbook is None:
            turnover = turnover_for(current, site)
            check_not_taken(
                Appointment(
                    course=Course.objects.filter(plan=current).first(),
                    patient=remaining_record(current.patient),
                    practitioner=practitioner,
                    room=room,
                    site=site,
                    starts_at=starts_at,
                    ends_at=starts_at + timedelta(minutes=terms_of(current).minutes),
                    prepare_minutes=turnover.prepare,
                    cleanup_minutes=turnover.cleanup,
                )
            )

    def wish(current: Plan) -> tuple[Appointment, list[Appointment]]:
        """The visit as it would be written, and what it would be booked over; or the refusal."""
        check_early(current)
        check_practitioner(practitioner, site=site, plan=current)
        check_can_treat(practitioner, plan=current, site=site)
        check_room_serves(room, plan=current, site=site)
        terms = terms_of(current)
        if not 1 <= number <= terms.sessions:
            raise InvalidInput(_("The plan has %(n)s sessions.") % {"n": terms.sessions}, field="number")
        if (
            Appointment.objects.filter(course__plan=current, number=number)
            .exclude(status__in=AppointmentStatus.FREE_AGAIN)
            .exists()
        ):
            raise AlreadyTaken(_("This session of the course is booked already."), field="number")
        ends_at = starts_at + timedelta(minutes=terms.minutes)
        check_open(starts_at, ends_at, practitioner=practitioner, site=site, plan=current)
        check_course_length(current, [number], field="number")
        check_gaps(current, number=number, starts_at=starts_at, site=site)
        check_intervals(current, {number: starts_at.astimezone(site.tz).date()}, site=site, field="starts_at")
        turnover = turnover_for(current, site)
        visit = Appointment(
            number=number,
            patient=remaining_record(current.patient),
            practitioner=practitioner,
            room=room,
            site=site,
            starts_at=starts_at,
            ends_at=ends_at,
            prepare_minutes=turnover.prepare,
            cleanup_minutes=turnover.cleanup,
            created_by=by,
        )
        return visit, settle(visit, overbook=overbook, by=by)

    @transaction.atomic
    def book() -> Appointment:
        wanted.clear()
        lock_time(practitioner_ids=[practitioner.pk], room_ids=[room.pk], patient_id=remaining_record(plan.patient).pk)
        current = reread(plan)
        found = check_stands(current)
        visit, over = wish(current)
        visit.course = _course_of(current, by=by)
        _take_back_left_out(visit.course, [number])
        wanted.append(visit)
        visit.save(force_insert=True)
        keep_override(
            found, plan=current, step=StandingStep.BOOK, subject_id=visit.public_id, reason=standing_reason, by=by
        )
        mails.queue_confirmation([visit], subject_id=visit.public_id, by=by)
        mails.queue_reminder(visit, by=by)
        followups.booked([visit], by=by)
        prepare_dated_prints(current, by=by)
        trail.record(
            "appointment.booked",
            by=by,
            target=visit,
            patient=current.patient,
            details={"plan": str(current.public_id), "number": number} | told_over(visit, over),
        )
        return visit

    # Once without a lock: who cannot have the time is told so without waiting for those who can.
    check_early(Plan.objects.select_related("patient", "formulary").get(pk=plan.pk))
    return in_words(book, wanted)


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


@dataclass(frozen=True, kw_only=True)
class Injected:
    """What was injected of one planned line."""

    syringe: str
    ingredient: str  # key
    volume_ml: Decimal
    lot: Lot | None = None
    deviation_reason: str = ""

    @property
    def key(self) -> str:
        return f"{self.syringe}-{self.ingredient}"


def record_session(
    *,
    appointment: Appointment,
    administrations: Sequence[Injected],
    nothing_changed: bool,
    tolerance: int | None,
    note: str,
    password: str,
    by: User,
    performed_on: date | None = None,
    standing_reason: str = "",
) -> TreatmentSession:
    """Sign what was done at one visit. It happens once; the record never changes afterwards.

    Where the patient's standing is a stop and anything was injected, only somebody who signs plans records it, with
    ``standing_reason``. ``performed_on`` is the day it was done: the appointment's where it is not said.
    """
    check_can_record(appointment, by=by)
    confirm_password(by, password)
    return _record(
        appointment=appointment,
        administrations=administrations,
        nothing_changed=nothing_changed,
        tolerance=tolerance,
        note=note,
        by=by,
        performed_on=performed_on,
        standing_reason=standing_reason,
    )


@transaction.atomic
def _record(
    *,
    appointment: Appointment,
    administrations: Sequence[Injected],
    nothing_changed: bool,
    tolerance: int | None,
    note: str,
    by: User,
    performed_on: date | None,
    standing_reason: str,
) -> TreatmentSession:
    if tolerance is not None and not 1 <= tolerance <= 5:
        raise InvalidInput(_("Tolerance goes from 1, very well, to 5, badly."), field="tolerance")
    if not nothing_changed and not note.strip():
        raise InvalidInput(_("Write what has changed since the last visit."), field="note")
    plan = appointment.course.plan
    planned = planned_lines(plan, appointment.number)
    _check_lines(planned, administrations)
    now = timezone.now()
    performed_at = _performed_at(appointment, performed_on, now=now)
    today = performed_at.astimezone(appointment.site.tz).date()
    injected = {line.ingredient for line in administrations if line.volume_ml > 0}
    if injected:
        check_course_length(plan, [appointment.number])
        check_intervals(
            plan, {appointment.number: today}, site=appointment.site, field="performed_on", injected=injected
        )
    against = (
        _check_stands(appointment, today, nothing_changed=nothing_changed, reason=standing_reason, by=by)
        if injected
        else None
    )
    known = {
        lot.product.ingredient.key for lot in usable_lots(plan, appointment.number, site=appointment.site, today=today)
    }
    _check_lots_hold(planned, administrations)
    ingredients = Ingredient.objects.in_bulk([line.ingredient for line in planned], field_name="key")
    rows = []
    for line, done in zip(planned, _in_order(planned, administrations), strict=True):
        _check_volume(line, done)
        if done.lot is not None:
            _check_lot(line, done, site=appointment.site, today=today)
        elif done.volume_ml > 0 and line.ingredient in known and not done.deviation_reason.strip():
            raise InvalidInput(
                _("%(name)s: choose its lot, or say why none is recorded.") % {"name": line.name},
                field=f"lot-{line.key}",
            )
        rows.append(
            Administration(
                ingredient=ingredients[line.ingredient],
                syringe=line.syringe,
                planned_volume_ml=line.volume_ml,
                volume_ml=done.volume_ml,
                dose=line.dose_in(done.volume_ml),
                dose_unit=line.dose_unit,
                lot=done.lot,
                deviation_reason=_reason_kept(
                    line, done, against=against, reason=standing_reason, lot_known=line.ingredient in known
                ),
            )
        )
    open_ones = Appointment.objects.filter(pk=appointment.pk, status__in=before(AppointmentStatus.DONE))
    if not open_ones.update(status=AppointmentStatus.DONE):
        raise InvalidTransition(_("This session has been recorded already."))
    session = TreatmentSession.objects.create(
        appointment=appointment,
        plan=plan,
        nothing_changed=nothing_changed,
        tolerance=tolerance,
        note=note.strip(),
        performed_at=performed_at,
        performed_by=by,
        recorded_at=now,
    )
    for row in rows:
        row.session = session
    Administration.objects.bulk_create(rows)
    if not nothing_changed:  # what has changed is settled before the next session
        record_statements(
            patient=appointment.patient,
            said=words_of_note(note),
            source=StatementSource.NOTE,
            source_id=session.public_id,
            at=now,
            by=by,
        )
    if against is not None:
        keep_override(
            against,
            plan=plan,
            step=StandingStep.RECORD,
            subject_id=session.public_id,
            reason=standing_reason,
            by=by,
        )
    _move_plan(plan, by=by)
    followups.performed(session, by=by)
    appointment.refresh_from_db(fields=["status"])
    trail.record(
        "session.recorded",
        by=by,
        target=session,
        patient=appointment.patient,
        details={
            "appointment": str(appointment.public_id),
            "plan": str(plan.public_id),
            "deviations": sum(1 for row in rows if row.deviation_reason),
            "lots": [str(row.lot.public_id) for row in rows if row.lot],
            "performed_on": today.isoformat(),
            "against_screening": [
                row.ingredient.key
                for row in rows
                if row.volume_ml > 0 and against is not None and against.why(row.ingredient.key)
            ],
        },
    )
    return session


def _move_plan(plan: Plan, *, by: User) -> None:
    """The first recorded session begins the course, the last completes it."""
    if plan.status == PlanStatus.SIGNED:
        change_plan_status(plan=plan, to=PlanStatus.ACTIVE, by=by)
    if _is_complete(plan):
        change_plan_status(plan=plan, to=PlanStatus.COMPLETED, by=by)


def _is_complete(plan: Plan) -> bool:
    """Whether every session of the plan was done, or left out on purpose."""
    done = TreatmentSession.objects.filter(plan=plan, status=TreatmentSessionStatus.PERFORMED)
    left_out = SessionLeftOut.objects.filter(course__plan=plan)
    return done.count() + left_out.count() == terms_of(plan).sessions


def complete_plan_if_done(*, plan: Plan, by: User) -> None:
    """After a session was left out: the course is complete where all the others are done, and what follows is owed."""
    last = (
        TreatmentSession.objects.filter(plan=plan, status=TreatmentSessionStatus.PERFORMED)
        .select_related("appointment__patient", "appointment__site", "appointment__practitioner", "plan__formulary")
        .order_by("-performed_at")
        .first()
    )
    if last is None or plan.status not in PlanStatus.IN_FORCE or not _is_complete(plan):
        return
    change_plan_status(plan=plan, to=PlanStatus.COMPLETED, by=by)
    last.plan.refresh_from_db(fields=["status"])
    followups.course_finished(last, by=by)


def _take_back_left_out(course: Course, numbers: Iterable[int]) -> None:
    """A session that is booked after all is not left out any more; the trail keeps that it was."""
    SessionLeftOut.objects.filter(course=course, number__in=list(numbers)).delete()


def _check_lines(planned: Sequence[PlannedLine], done: Sequence[Injected]) -> None:
    if sorted(line.key for line in planned) != sorted(line.key for line in done):
        raise InvalidInput(_("Say for each line of the plan what was injected, 0 mL where nothing was."))


def _in_order(planned: Sequence[PlannedLine], done: Sequence[Injected]) -> list[Injected]:
    by_key = {line.key: line for line in done}
    return [by_key[line.key] for line in planned]


def _check_volume(line: PlannedLine, done: Injected) -> None:
    if done.volume_ml < 0:
        raise InvalidInput(_("A volume cannot be below 0 mL."), field=f"volume-{line.key}")
    if done.volume_ml > line.volume_ml:
        raise InvalidInput(
            _(
                "%(name)s: the plan was signed for %(planned)s mL, so no more was prepared. "
                "More needs an amended plan; write what happened in the note."
            )
            % {"name": line.name, "planned": shown_number(line.volume_ml)},
            field=f"volume-{line.key}",
        )
    if done.volume_ml != line.volume_ml and not done.deviation_reason.strip():
        raise InvalidInput(
            _("%(name)s: %(done)s mL instead of %(planned)s mL. Say why.")
            % {"name": line.name, "done": shown_number(done.volume_ml), "planned": shown_number(line.volume_ml)},
            field=f"reason-{line.key}",
        )


def _performed_at(appointment: Appointment, day: date | None, *, now: datetime) -> datetime:
    """When it was done: now if that was today, else the time of the appointment on the day that is named."""
    tz = appointment.site.tz
    booked = appointment.starts_at.astimezone(tz)
    day = day or booked.date()
    if day < booked.date():
        raise InvalidInput(
            _("The appointment is on %(day)s; the session cannot have been done before it.")
            % {"day": day_words(booked.date())},
            field="performed_on",
        )
    if day > now.astimezone(tz).date():
        raise InvalidInput(_("This day has not come yet."), field="performed_on")
    if day == now.astimezone(tz).date():
        return now
    return datetime.combine(day, booked.time(), tzinfo=tz)


def _check_stands(appointment: Appointment, day: date, *, nothing_changed: bool, reason: str, by: User) -> Standing:
    """What stands against injecting, once ``by`` may go on. What was answered since is not recorded as “unchanged”."""
    plan = appointment.course.plan
    found = standing(appointment.patient, plan, day)
    if nothing_changed and (changed := _answered_change(appointment, found, day)):
        raise InvalidInput(
            _("Something has changed: %(why)s Say so and write a note.") % {"why": changed}, field="nothing_changed"
        )
    return check_may_treat(appointment.patient, plan, day, by=by, reason=reason, needle=True, field="standing_reason")


def _answered_change(appointment: Appointment, found: Standing, day: date) -> str:
    """What newer answers than the plan's say: a stop, or a change told at the day check of that day."""
    newer = newest_submitted_intake(appointment.patient)
    if newer is None or newer.pk == appointment.course.plan.intake_id:
        return ""
    if found.is_stop:
        return found.stops[0].message
    check = day_checks_on(day, patients=[appointment.patient_id], tz=appointment.site.tz).get(appointment.patient_id)
    return _("The day check says so.") if check is not None and check.changed else ""


def _reason_kept(line: PlannedLine, done: Injected, *, against: Standing | None, reason: str, lot_known: bool) -> str:
    """A reason is kept where one is due: another volume, a lot not recorded, or what the standing forbids."""
    given = done.volume_ml > 0
    own = done.deviation_reason.strip()
    if given and against is not None and against.why(line.ingredient):
        return own or reason.strip()[:200]
    due = done.volume_ml != line.volume_ml or (given and lot_known and done.lot is None)
    return own if due else ""


def _check_lots_hold(planned: Sequence[PlannedLine], done: Sequence[Injected]) -> None:
    """A lot that several lines are drawn from has to hold all of them together."""
    drawn: dict[int, Decimal] = {}
    for line, given in zip(planned, _in_order(planned, done), strict=True):
        if given.lot is None:
            continue
        drawn[given.lot.pk] = drawn.get(given.lot.pk, Decimal(0)) + given.volume_ml
        lot = Lot.objects.select_for_update(of=("self",)).get(pk=given.lot.pk)
        used = lot.administrations.exclude(session__status=TreatmentSessionStatus.ENTERED_IN_ERROR).aggregate(
            used=Sum("volume_ml")
        )["used"]
        left = lot.received_ml - (used or Decimal(0))
        if drawn[lot.pk] > left:
            raise InvalidInput(
                _("Lot %(lot)s has %(left)s mL left.") % {"lot": lot.number, "left": shown_number(left)},
                field=f"lot-{line.key}",
            )


def _check_lot(line: PlannedLine, done: Injected, *, site: Site, today: date) -> None:
    lot = Lot.objects.select_for_update(of=("self",)).select_related("product__ingredient").get(pk=done.lot.pk)  # type: ignore[union-attr]
    field = f"lot-{line.key}"
    names = {"lot": lot.number, "name": line.name}
    if lot.site_id != site.pk:
        raise InvalidInput(_("Lot %(lot)s belongs to another site.") % names, field=field)
    if lot.product.ingredient.key != line.ingredient:
        raise InvalidInput(_("Lot %(lot)s is not %(name)s.") % names, field=field)
    if lot.expires_on < today:
        raise InvalidInput(
            _("Lot %(lot)s expired on %(day)s.") % {**names, "day": day_words(lot.expires_on)}, field=field
        )
    if lot.recalled_at is not None:
        raise InvalidInput(_("Lot %(lot)s has been recalled.") % names, field=field)
    strength = line.strength_per_ml
    if strength is not None and not line.is_served_by(lot.product):
        raise InvalidInput(
            _(
                "Lot %(lot)s has %(has)s %(unit)s; the plan was signed for %(wants)s %(wanted_unit)s. "
                "Another strength needs an amended plan."
            )
            % {
                **names,
                "has": shown_number(plain(lot.product.concentration)),
                "unit": lot.product.concentration_unit,
                "wants": shown_number(plain(strength)),
                "wanted_unit": f"{line.dose_unit}/mL",
            },
            field=field,
        )
