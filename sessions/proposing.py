"""The series that a plan and its patient's wishes lead to, computed and not kept: nothing is held until booked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time

from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site, User
from mesoclinic.errors import DomainError
from protocols.models import Plan
from sessions.models import Appointment, Course, Room
from sessions.planner import NoSeries, Slot, Wishes, plan_series
from sessions.queries import calendar_for, kept_appointments
from sessions.terms import Terms, terms_of
from sessions.wording import no_series


@dataclass(frozen=True, kw_only=True)
class Series:
    terms: Terms
    slots: tuple[Slot, ...]
    kept: tuple[Appointment, ...]  # sessions of the course that are booked or done already


def wishes_from(
    *,
    earliest: date,
    room: Room | None = None,
    weekdays: Iterable[int] | None = None,
    not_before: time | None = None,
    not_after: time | None = None,
) -> Wishes:
    return Wishes(
        earliest=earliest,
        weekdays=frozenset(weekdays) if weekdays else frozenset(range(7)),
        not_before=not_before or time.min,
        not_after=not_after or time.max,
        room=room.pk if room else None,
    )


def propose_series(*, plan: Plan, site: Site, practitioner: User, wishes: Wishes, now: datetime) -> Series:
    """The first fitting times for every session of the plan that is not booked yet, or a refusal that says why."""
    terms = terms_of(plan)
    course = Course.objects.filter(plan=plan).first()
    kept = kept_appointments(course) if course else []
    numbers = [visit.number for visit in kept]
    if len(numbers) >= terms.sessions:
        raise DomainError(_("Every session of this course is booked already."))
    if numbers != list(range(1, len(numbers) + 1)):
        raise DomainError(_("A session between two booked ones is missing. Cancel the later ones to book them anew."))
    days = [visit.starts_at.astimezone(site.tz).date() for visit in kept]
    today = now.astimezone(site.tz).date()
    try:
        slots = plan_series(
            pacing=terms.pacing,
            minutes=terms.minutes,
            calendar=calendar_for(practitioner=practitioner, site=site, patient=plan.patient, since=now),
            wishes=Wishes(
                earliest=max(wishes.earliest, today),
                weekdays=wishes.weekdays,
                not_before=wishes.not_before,
                not_after=wishes.not_after,
                room=wishes.room,
            ),
            kept=days,
        )
    except NoSeries as error:
        raise no_series(error.reason, practitioner=practitioner, site=site, minutes=terms.minutes) from error
    return Series(terms=terms, slots=tuple(slots), kept=tuple(kept))
