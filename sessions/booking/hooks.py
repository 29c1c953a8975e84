"""What follows on a booking, a step each, in the order in which it happens and in the booking's own transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from mesoclinic.accounts.models import User
from protocols.models import Plan
from sessions.mail import followups
from sessions.mail import sending as mails
from sessions.models import Appointment
from sessions.prints.documents import prepare_dated_prints


@dataclass(frozen=True, kw_only=True)
class Booked:
    """Visits that have just been booked."""

    plan: Plan
    subject_id: UUID  # what the confirmation is about: the course, or the one visit
    visits: Sequence[Appointment]
    told: Sequence[Appointment]  # those that the confirmation names, soonest first


def _confirm(booked: Booked, by: User) -> None:
    mails.queue_confirmation(booked.told, subject_id=booked.subject_id, by=by)


def _remind(booked: Booked, by: User) -> None:
    for visit in booked.visits:
        mails.queue_reminder(visit, by=by)


def _owe(booked: Booked, by: User) -> None:
    followups.booked(booked.visits, by=by)


def _prepare_prints(booked: Booked, by: User) -> None:
    prepare_dated_prints(booked.plan, by=by)


AFTER_BOOKING: tuple[Callable[[Booked, User], None], ...] = (_confirm, _remind, _owe, _prepare_prints)


def after_booking(booked: Booked, *, by: User) -> None:
    """Do all that follows on a booking."""
    for step in AFTER_BOOKING:
        step(booked, by)
