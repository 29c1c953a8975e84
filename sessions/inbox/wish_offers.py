"""What a wish for another time can be answered with: the wished time if it is still free, and the nearest others."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import DomainError
from sessions.booking.holes import times_for
from sessions.booking.move import Target, way_of
from sessions.booking.wishes import wished_time
from sessions.mail.waiting import may_be_mailed
from sessions.models import Appointment, AppointmentStatus, Room
from sessions.models.followups import Answer, AnswerKind, AnswerState
from sessions.permissions import can_move
from sessions.times.free_time import touching, visits_around
from sessions.times.queries import rooms_for, turnover_for
from sessions.times.words import weekday_and_time

OTHERS = 4


@dataclass(frozen=True, kw_only=True)
class TimeChoice:
    """A time that one press gives: in words, and as the form sends it."""

    value: str
    text: str


@dataclass(frozen=True, kw_only=True)
class WishOffer:
    """What can be done about a wish: ``wished`` is the time asked for, where it can be had."""

    visit: Appointment
    wished: TimeChoice | None
    why_not: str
    others: tuple[TimeChoice, ...]
    told: bool  # the patient is written to
    move_url: str  # where any time can be chosen


def offer_for(answer: Answer, *, user: User, now: datetime) -> WishOffer | None:
    """Return what can be offered; None where there is no wish to answer, or ``user`` moves no visits."""
    visit = answer.appointment
    if answer.kind != AnswerKind.MOVE or answer.state not in AnswerState.OPEN or visit is None:
        return None
    if visit.status != AppointmentStatus.BOOKED or not can_move(visit, by=user):
        return None
    at = wished_time(answer)
    wished, why_not = _wished(visit, at, now=now) if at is not None else (None, "")
    near = copy(visit)
    near.starts_at = at or visit.starts_at
    slots = times_for(visit.course, visit.number, now=now, near=near, without=[visit], at_most=OTHERS + 2)
    others = [
        TimeChoice(
            value=f"{slot.starts_at.isoformat()} {slot.practitioner} {slot.room}",
            text=weekday_and_time(slot.starts_at.astimezone(visit.site.tz)),
        )
        for slot in slots
        if slot.starts_at not in (at, visit.starts_at)
    ]
    return WishOffer(
        visit=visit,
        wished=wished,
        why_not=why_not,
        others=tuple(others[:OTHERS]),
        told=may_be_mailed(visit.patient),
        move_url=reverse("sessions:appointment_move", args=[visit.public_id]),
    )


def _wished(visit: Appointment, at: datetime, *, now: datetime) -> tuple[TimeChoice | None, str]:
    """The wished time as a press, or why it cannot be had."""
    if at == visit.starts_at:
        return None, _("The visit is at this time already.")
    room = _free_room(visit, at)
    if room is None:
        return None, _("No room is free at this time any more.")
    target = Target(starts_at=at, practitioner=visit.practitioner, room=room)
    try:
        way = way_of(visit, target, rest="keep", now=now)
    except DomainError as refusal:
        return None, str(refusal)
    if way.outside:
        return None, way.outside
    text = weekday_and_time(at.astimezone(visit.site.tz))
    return TimeChoice(value=f"{at.isoformat()} {visit.practitioner_id} {room.pk}", text=text), ""


def _free_room(visit: Appointment, at: datetime) -> Room | None:
    """The visit's own room if that is free then, else another that serves the plan."""
    plan, site = visit.course.plan, visit.site
    rooms = sorted(rooms_for(plan, site), key=lambda room: room.pk != visit.room_id)
    turnover = turnover_for(plan, site)
    since, until = at - turnover.before, at + (visit.ends_at - visit.starts_at) + turnover.after
    around = visits_around(since, until, rooms=[room.pk for room in rooms])
    busy = {other.room_id for other in touching(around, since, until) if other.pk != visit.pk}
    return next((room for room in rooms if room.pk not in busy), None)
