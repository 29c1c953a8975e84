"""The series that a plan and its patient's wishes lead to, computed and not kept: nothing is held until booked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import TypeVar

from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site, User
from mesoclinic.core.errors import DomainError
from protocols.models import Plan
from sessions.course.gaps import check_days, check_sessions_left, paced
from sessions.course.next_session import next_session
from sessions.course.queries import kept_appointments
from sessions.course.terms import Terms, amended_by, terms_of
from sessions.models import Appointment, AppointmentStatus, Course, Room
from sessions.permissions import check_can_treat
from sessions.planner import (
    Calendar,
    NoSeries,
    Pacing,
    Slot,
    Usual,
    Wishes,
    alternatives,
    is_barred,
    keeps_gaps,
    open_slot,
    plan_series,
    relax,
)
from sessions.sites.queries import practitioners_of
from sessions.times.queries import able_practitioners, calendar_for
from sessions.times.refusals import no_series

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Series:
    terms: Terms
    slots: tuple[Slot, ...]
    kept: tuple[Appointment, ...]  # sessions of the course that are booked or done already
    carried: tuple[Appointment, ...]  # booked under the plan that this one amends; they stay, as the first sessions
    given_up: tuple[Appointment, ...]  # booked under it as well, but the amended plan has no use for them
    people: Mapping[int, User]  # everybody who could treat, by primary key
    options: Mapping[int, Sequence[Slot]]  # other times for each proposed session


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One time that the person chose on the page."""

    number: int
    starts_at: datetime
    practitioner: int
    room: int


class ProposalChanged(DomainError):
    """What was shown is not what would be booked now: somebody was faster. Nothing was changed."""


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


def propose_series(
    *,
    plan: Plan,
    site: Site,
    practitioner: User | None,
    wishes: Wishes,
    now: datetime,
    chosen: Sequence[Chosen] | None = None,
    options: bool = False,
) -> Series:
    """The best times for every session of the plan that is not booked yet, or a refusal that says what to relax.

    Without ``practitioner`` anybody at the site may treat. ``chosen`` are times that somebody picked: they are kept as
    they are, or refused.
    """
    terms = terms_of(plan)
    kept = _kept_in_a_row(plan, terms)
    able = able_practitioners(plan, site)
    first = _first_practitioner(plan, site, practitioner=practitioner, able=able)
    asked = able if chosen is None else [who for who in able if who.pk in {choice.practitioner for choice in chosen}]
    pacing = paced(plan, terms, site=site)[: terms.sessions]
    left = [visit for visit in still_booked(plan) if visit.starts_at > now]
    fitting = [] if kept else _fitting(left, terms=terms, pacing=pacing, site=site)
    calendar = calendar_for(
        plan=plan, practitioner=first, site=site, since=now, colleagues=asked, without=left[len(fitting) :]
    )
    staying = [*kept, *fitting]
    search = _Search(
        terms=terms,
        site=site,
        first=first,
        pacing=pacing,
        calendar=calendar,
        wishes=replace(
            wishes,
            earliest=max(wishes.earliest, now.astimezone(site.tz).date()),
            practitioner=practitioner.pk if practitioner else None,
        ),
        days=[visit.starts_at.astimezone(site.tz).date() for visit in staying],
        usual=usual_of_visit(staying[-1]) if staying else None,
    )
    slots = search.chosen(chosen) if chosen is not None else search.best()
    return Series(
        terms=terms,
        slots=tuple(slots),
        kept=tuple(kept),
        carried=tuple(fitting),
        given_up=tuple(left[len(fitting) :]),
        people={who.pk: who for who in [first, *able]},
        options=search.others(slots) if options and slots else {},
    )


@dataclass(frozen=True, kw_only=True)
class _Search:
    """What a series is searched in."""

    terms: Terms
    site: Site
    first: User  # whose calendar is asked first
    pacing: Sequence[Pacing]
    calendar: Calendar
    wishes: Wishes
    days: Sequence[date]  # of the sessions that stay
    usual: Usual | None

    def chosen(self, chosen: Sequence[Chosen]) -> list[Slot]:
        """Return the slots of the times that somebody picked. Raise ProposalChanged where one is gone."""
        return _chosen(chosen, terms=self.terms, days=self.days, calendar=self.calendar)

    def best(self) -> list[Slot]:
        """Return the best slots for the sessions that are not booked. Raise a refusal that says what to relax."""
        if len(self.days) == self.terms.sessions:
            return []
        try:
            return self._ask(plan_series)
        except NoSeries as error:
            way = self._ask(relax)
            raise no_series(
                error.reason, practitioner=self.first, site=self.site, minutes=self.terms.minutes, way=way
            ) from error

    def _ask(self, question: Callable[..., Found]) -> Found:
        return question(
            pacing=self.pacing,
            minutes=self.terms.minutes,
            calendar=self.calendar,
            wishes=self.wishes,
            kept=self.days,
            usual=self.usual,
        )

    def others(self, slots: Sequence[Slot]) -> Mapping[int, Sequence[Slot]]:
        """Return other times for each of these slots, by session."""
        return alternatives(
            slots,
            pacing=self.pacing,
            minutes=self.terms.minutes,
            calendar=self.calendar,
            wishes=self.wishes,
            kept=self.days,
        )


def _kept_in_a_row(plan: Plan, terms: Terms) -> list[Appointment]:
    """Return the sessions that are booked or done. Raise where none is left to book, or one between them is missing."""
    check_sessions_left(plan, terms)
    course = Course.objects.filter(plan=plan).first()
    kept = kept_appointments(course) if course else []
    numbers = [visit.number for visit in kept]
    left_out = list(course.left_out.values_list("number", flat=True)) if course else []
    if next_session(numbers, sessions=terms.sessions, left_out=left_out) is None:
        raise DomainError(_("Every session of this course is booked already."))
    if numbers != list(range(1, len(numbers) + 1)):
        raise DomainError(_("A session between two booked ones is missing. Book it from the page of a booked one."))
    return kept


def _first_practitioner(plan: Plan, site: Site, *, practitioner: User | None, able: Sequence[User]) -> User:
    """Return who is asked first: whoever is wished for, the signer, anybody able. Raise where nobody is."""
    if practitioner:
        check_can_treat(practitioner, plan=plan, site=site)
    first = practitioner or next((who for who in able if who.pk == plan.signed_by_id), able[0] if able else None)
    if first is None and practitioners_of(site).exists():
        raise DomainError(_("Nobody at %(site)s does what this plan asks for.") % {"site": site})
    if first is None:
        raise DomainError(_("Nobody has working hours at %(site)s.") % {"site": site})
    return first


def still_booked(plan: Plan) -> list[Appointment]:
    """What is booked under the plans that this one amends. It cannot be recorded any more: they are not in force."""
    older = amended_by(plan)
    if not older:
        return []
    rows = Appointment.objects.filter(course__plan__in=older, status=AppointmentStatus.BOOKED)
    return list(rows.select_related("patient", "site", "practitioner", "room", "course__plan").order_by("starts_at"))


def _fitting(visits: Sequence[Appointment], *, terms: Terms, pacing: Sequence[Pacing], site: Site) -> list[Appointment]:
    """As many of these, from the first on, as can stay where they are as the first sessions of the amended plan."""
    found: list[Appointment] = []
    days: list[date] = []
    for visit, pace in zip(visits, pacing, strict=False):
        day = visit.starts_at.astimezone(site.tz).date()
        as_long = visit.ends_at - visit.starts_at == timedelta(minutes=terms.minutes)
        if visit.site_id != site.pk or not as_long or is_barred(pace, day) or not keeps_gaps([*days, day], pacing):
            break
        found.append(visit)
        days.append(day)
    return found


def usual_of_visit(visit: Appointment) -> Usual:
    """What a course is used to, told from one of its visits."""
    local = visit.starts_at.astimezone(visit.site.tz)
    return Usual(local.weekday(), local.time(), visit.practitioner_id, visit.room_id)


def _chosen(chosen: Sequence[Chosen], *, terms: Terms, days: Sequence[date], calendar: Calendar) -> list[Slot]:
    if [choice.number for choice in chosen] != list(range(len(days) + 1, terms.sessions + 1)):
        raise ProposalChanged(_("The course has changed since you saw it. Please look again."))
    slots = []
    for choice in chosen:
        slot = open_slot(
            number=choice.number,
            starts_at=choice.starts_at,
            practitioner=choice.practitioner,
            room=choice.room,
            minutes=terms.minutes,
            calendar=calendar,
        )
        if slot is None:
            raise ProposalChanged(
                _("The times have changed since you saw them: somebody booked one of them. Please look again.")
            )
        slots.append(slot)
    check_days(terms, dict(enumerate([*days, *(slot.day for slot in slots)], start=1)))
    return slots
