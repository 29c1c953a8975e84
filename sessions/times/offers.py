"""What a page offers of a free time: a press for each person whom it fits, and what it does in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site, User
from sessions.mail.waiting import may_be_mailed
from sessions.models import Appointment, AppointmentStatus
from sessions.models.changes import ChangeKind, VisitBefore, VisitChange
from sessions.times.fitting import Fit, FreeTime, who_fits
from sessions.times.words import weekday_and_time

FREED_AT_MOST = 5  # times of one press, as many as a course has


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One press that gives the time to somebody. ``fields`` are what the form sends."""

    fit: Fit
    text: str  # what is theirs now
    label: str
    fields: dict[str, str]
    book_url: str  # where the whole course is booked, for somebody with nothing booked yet


@dataclass(frozen=True, kw_only=True)
class Freed:
    """A time that is free again, and whom it fits."""

    time: FreeTime
    when: str
    offers: tuple[Offer, ...]


def offers_of(fits: Sequence[Fit], *, time: FreeTime) -> tuple[Offer, ...]:
    """Return a press for each of these people, in their order."""
    return tuple(_offer(fit, time=time) for fit in fits)


def _offer(fit: Fit, *, time: FreeTime) -> Offer:
    names = {"name": fit.patient.name, "n": fit.number}
    told = may_be_mailed(fit.patient)
    if fit.visit is not None:
        now = weekday_and_time(fit.visit.starts_at.astimezone(fit.visit.site.tz))
        text = _("asks for another time; session %(n)s is on %(when)s") % {**names, "when": now}
        label = _("Move %(name)s here and tell them") if told else _("Move %(name)s here, then phone")
    else:
        text = (
            _("asks for another time; session %(n)s was missed") if fit.wish else _("session %(n)s is not booked")
        ) % names
        label = _("Book %(name)s here and tell them") if told else _("Book %(name)s here, then phone")
    fields = {
        "site": str(time.site.public_id),
        "at": time.starts_at.isoformat(),
        "practitioner": str(time.practitioner.public_id),
        "room": str(time.room.public_id) if time.room is not None else "",
        "plan": str(fit.plan.public_id),
        "visit": str(fit.visit.public_id) if fit.visit is not None else "",
    }
    return Offer(fit=fit, text=text, label=label % names, fields=fields, book_url=_book_url(fit, time=time))


def _book_url(fit: Fit, *, time: FreeTime) -> str:
    if not fit.begins:
        return ""
    local = time.starts_at.astimezone(time.site.tz)
    wishes = {
        "practitioner": str(time.practitioner.public_id),
        "earliest": f"{local:%Y-%m-%d}",
        "not_before": f"{local:%H:%M}",
    }
    return f"{reverse('sessions:course_book', args=[fit.plan.public_id])}?{urlencode(wishes)}"


def freed_times(visit: Appointment, change: VisitChange | None, *, user: User, now: datetime) -> list[Freed]:
    """Return the times that are free again: those that ``change`` freed, else that of a cancelled visit.

    Times that nobody fits, that have passed or were given away are left out.
    """
    times = [_time_of(row, site=row.appointment.site) for row in _rows_of(change)] if change else []
    if not times and visit.status == AppointmentStatus.CANCELLED:
        times = [_time_of(visit, site=visit.site)]
    found = []
    for time in times[:FREED_AT_MOST]:
        if time.starts_at <= now:
            continue
        fits = who_fits(time, user=user, now=now, apart_from=visit.patient)
        if fits:
            when = weekday_and_time(time.starts_at.astimezone(time.site.tz))
            found.append(Freed(time=time, when=when, offers=offers_of(fits, time=time)))
    return found


def _rows_of(change: VisitChange) -> list[VisitBefore]:
    rows = change.visits.select_related("appointment__site", "practitioner", "room")
    if change.kind == ChangeKind.CANCELLED:
        rows = rows.filter(appointment__status=AppointmentStatus.CANCELLED)
    return list(rows)


def _time_of(was: Appointment | VisitBefore, *, site: Site) -> FreeTime:
    return FreeTime(site=site, practitioner=was.practitioner, room=was.room, starts_at=was.starts_at)
