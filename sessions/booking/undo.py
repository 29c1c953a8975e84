"""Taking back what a press did to visits: a cancelled one is put back at its time, a moved one goes to where it was.

It is possible for half an hour, and only while it would be allowed: the time is still free, the plan and the patient's
standing let it be booked, and nobody has changed the visit since. Mail follows: what had not left is withdrawn, and
where the patient was told something else, they are told what is so now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.asking import asks
from mesoclinic.core.errors import InvalidTransition
from patients.permissions import check_in_care
from protocols.models import Plan
from protocols.standing.going_on import check_may_treat
from sessions.booking.actions import check_open, check_practitioner, in_words, reread
from sessions.booking.changes import UNDO_WITHIN, put_as_it_was, write_place
from sessions.booking.locks import lock_time
from sessions.booking.overbook import clashes_of, twice_already
from sessions.course.gaps import check_days, check_intervals
from sessions.course.queries import kept_appointments
from sessions.course.terms import terms_of
from sessions.mail import followups
from sessions.mail import sending as mails
from sessions.models import Appointment, AppointmentStatus
from sessions.models.changes import ChangeKind, VisitBefore, VisitChange
from sessions.models.followups import Answer, AnswerState
from sessions.permissions import (
    check_can_move,
    check_can_put_back,
    check_can_treat,
    check_in_force,
    check_room_serves,
)
from sessions.prints.documents import prepare_dated_prints
from sessions.times.refusals import AlreadyTaken, taken
from sessions.words import time_words, when_words


@dataclass(frozen=True, kw_only=True)
class Undone:
    """What was taken back, and what becomes of the mail about it."""

    change: VisitChange
    visits: tuple[Appointment, ...]
    mail: mails.Retold


def check_can_undo(change: VisitChange, *, by: User, now: datetime) -> None:
    """Raise InvalidTransition where the change was undone or is too old, NotAllowed where ``by`` may not."""
    if change.undone_at is not None:
        raise InvalidTransition(_("This has been undone already."))
    if now - change.at > UNDO_WITHIN:
        minutes = int(UNDO_WITHIN.total_seconds() // 60)
        raise InvalidTransition(
            _("This can be undone for %(n)s minutes, and they are over. Book or move the visit anew.") % {"n": minutes}
        )
    for row in change.visits.select_related("appointment__patient__merged_into"):
        check_can_put_back(row.appointment, by=by)


can_undo = asks(check_can_undo)


def undo_change(*, change: VisitChange, by: User) -> Undone:
    """Put the visits back as they were before, all of them or none; twice is refused.

    Raise AlreadyTaken where a time was given away since, MayNotTreat where a stop stands, InvalidTransition where
    somebody has changed a visit since or the half hour is over.
    """
    wanted: list[Appointment] = []

    @transaction.atomic
    def undo() -> Undone:
        wanted.clear()
        now = timezone.now()
        rows = _rows_of(change)
        lock_time(
            practitioner_ids=[row.practitioner_id for row in rows],
            room_ids=[row.room_id for row in rows],
            patient_id=rows[0].appointment.patient_id,
        )
        held = VisitChange.objects.select_for_update().get(pk=change.pk)
        check_can_undo(held, by=by, now=now)
        rows = _rows_of(held)
        course = rows[0].appointment.course
        plan = reread(course.plan)
        places = [_place_of(row, change=held, plan=plan, by=by) for row in rows]
        _check_days(places, plan=plan)
        for place in _in_order(places, rows):
            _check_free(place, moving={row.appointment_id for row in rows})
            wanted.append(_write(place, row=next(row for row in rows if row.appointment_id == place.pk)))
        wanted.sort(key=lambda visit: visit.starts_at)
        VisitChange.objects.filter(pk=held.pk).update(undone_at=now, undone_by=by)
        held.refresh_from_db()
        for visit in wanted:
            if held.kind == ChangeKind.MOVED:
                followups.moved(visit, by=by)
            else:
                mails.queue_reminder(visit, by=by)
        if held.kind == ChangeKind.CANCELLED:
            followups.booked(wanted, by=by, why="appointment.put_back")
        retold = mails.tell_what_is_so(wanted, course=course, since=held.at, by=by)
        _ask_again(held.answer)
        prepare_dated_prints(plan, by=by)
        trail.record(
            "appointment.change_undone",
            by=by,
            target=held,
            patient=wanted[0].patient,
            details={"kind": str(held.kind), "appointments": [str(visit.public_id) for visit in wanted]},
        )
        return Undone(change=held, visits=tuple(wanted), mail=retold)

    check_can_undo(change, by=by, now=timezone.now())
    return in_words(undo, wanted)


def _rows_of(change: VisitChange) -> list[VisitBefore]:
    rows = change.visits.select_related(
        "appointment__patient__merged_into",
        "appointment__site",
        "appointment__course__plan__patient",
        "practitioner",
        "room",
    )
    return list(rows)


def _place_of(row: VisitBefore, *, change: VisitChange, plan: Plan, by: User) -> Appointment:
    """The visit as it was, if it may be so again; or the refusal."""
    visit = row.appointment
    left_as = AppointmentStatus.CANCELLED if change.kind == ChangeKind.CANCELLED else AppointmentStatus.BOOKED
    if visit.status != left_as or visit.sequence != row.sequence:
        raise InvalidTransition(_("Somebody has changed this appointment since. Please look at it again."))
    there = put_as_it_was(visit, row)
    there.practitioner, there.room = row.practitioner, row.room
    if change.kind == ChangeKind.MOVED:
        check_can_move(visit, by=by)
    else:
        check_in_care(visit.patient)
        check_in_force(plan)
        check_may_treat(visit.patient, plan, _day(there), by=by)
        if any(other.number == visit.number for other in kept_appointments(visit.course)):
            raise AlreadyTaken(
                _("Session %(n)s has been booked anew since. Look at the course again.") % {"n": visit.number}
            )
    check_practitioner(there.practitioner, site=there.site, plan=plan)
    check_can_treat(there.practitioner, plan=plan, site=there.site)
    check_room_serves(there.room, plan=plan, site=there.site)
    check_open(there.starts_at, there.ends_at, practitioner=there.practitioner, site=there.site, plan=plan)
    return there


def _day(visit: Appointment) -> date:
    return visit.starts_at.astimezone(visit.site.tz).date()


def _check_days(places: Sequence[Appointment], *, plan: Plan) -> None:
    """The plan's windows between the visits as they would be, unless somebody has let one of them out of its window."""
    back = {place.number: place for place in places}
    kept = {visit.number: visit for visit in kept_appointments(places[0].course)} | back
    if not any(visit.window_reason for visit in kept.values()):
        days = {number: _day(visit) for number, visit in kept.items()}
        for number in back:
            check_days(terms_of(plan), days, around=number)
    check_intervals(
        plan, {number: _day(place) for number, place in back.items()}, site=places[0].site, field="starts_at"
    )


def _in_order(places: Sequence[Appointment], rows: Sequence[VisitBefore]) -> list[Appointment]:
    """So that none lands where another of them still is, as in a move."""
    now = {row.appointment_id: row.appointment.starts_at for row in rows}
    later = [place for place in places if place.starts_at >= now[place.pk]]
    sooner = [place for place in places if place.starts_at < now[place.pk]]
    return [*sorted(later, key=lambda place: -place.number), *sorted(sooner, key=lambda place: place.number)]


def _check_free(place: Appointment, *, moving: set[int]) -> None:
    there = [other for other in clashes_of(place) if other.pk not in moving]
    if there and not place.overbooked:
        raise taken([place])
    if any(other.overbooked for other in there):
        raise twice_already()
    if not there:  # what it was booked over has gone
        place.overbooked, place.overbook_reason, place.overbook_note = False, "", ""


def _write(place: Appointment, *, row: VisitBefore) -> Appointment:
    if not write_place(place, was=row.appointment.status, sequence=row.sequence, status=place.status):
        raise InvalidTransition(_("Somebody has changed this appointment since. Please look at it again."))
    return Appointment.objects.select_related("patient", "site", "practitioner", "room", "course__plan__patient").get(
        pk=place.pk
    )


def _ask_again(wish: Answer | None) -> None:
    """The wish that the move had fulfilled waits for an answer again."""
    if wish is not None:
        Answer.objects.filter(pk=wish.pk, state=AnswerState.CLOSED).update(
            state=AnswerState.TAKEN, outcome="", closed_at=None, closed_by=None
        )


# ------------------------------------------------------------------ in words


def undone_words(undone: Undone) -> str:
    """Return what is so now, and what became of the mail."""
    visits = undone.visits
    if len(visits) == 1:
        said = _("The visit is back: %(when)s.") % {"when": when_words(visits[0].starts_at, visits[0].site)}
    else:
        said = ngettext("%(n)s visit is back at its time.", "%(n)s visits are back at their times.", len(visits)) % {
            "n": len(visits)
        }
    return " ".join([said, *mail_words(undone)])


def mail_words(undone: Undone) -> list[str]:
    found = []
    site = undone.visits[0].site
    if undone.mail.left is not None:
        found.append(
            _("The mail about the change had left at %(time)s.") % {"time": time_words(undone.mail.left, site)}
        )
    elif undone.mail.withdrawn:
        found.append(_("The mail about the change had not left and is withdrawn."))
    if undone.mail.told is not None:
        found.append(_("A mail with what is so now follows in a few minutes."))
    elif undone.mail.left is not None and not undone.mail.may_be_told:
        found.append(_("There is no e-mail to write to: tell the patient yourself."))
    return found
