"""Whether a time is free: the one home of the question, for practitioners and rooms.

A visit takes up its practitioner and its room for the minutes of preparation and clean-up as well. The database's
guards refuse an overlap (``guards.py``); here it is asked before, so that nothing is offered that would be refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from sessions.models import Appointment
from sessions.models.hours import MOST_MINUTES
from sessions.queries import live_appointments

_MOST = timedelta(minutes=MOST_MINUTES)


def visits_around(
    since: datetime, until: datetime, *, practitioners: Iterable[int] = (), rooms: Iterable[int] = ()
) -> list[Appointment]:
    """Return the live visits of any of these people or rooms that may touch the time, the soonest first; one query."""
    near = (
        live_appointments()
        .filter(Q(practitioner__in=list(practitioners)) | Q(room__in=list(rooms)))
        .filter(starts_at__lt=until + _MOST, ends_at__gt=since - _MOST)
        .select_related("practitioner", "room", "site")
        .order_by("starts_at", "pk")
    )
    return list(near)


def touching(visits: Iterable[Appointment], since: datetime, until: datetime) -> list[Appointment]:
    """Return those that take up part of [since, until), preparation and clean-up included."""
    return [visit for visit in visits if visit.taken_from < until and since < visit.taken_until]


def visits_in(
    since: datetime, until: datetime, *, practitioner: int | None = None, room: int | None = None
) -> list[Appointment]:
    """Return the live visits that take up part of this time of a practitioner or a room, the soonest first."""
    people = [] if practitioner is None else [practitioner]
    places = [] if room is None else [room]
    return touching(visits_around(since, until, practitioners=people, rooms=places), since, until)


def is_free(since: datetime, until: datetime, *, practitioner: int | None = None, room: int | None = None) -> bool:
    """Return whether nothing takes up this time of the practitioner or the room."""
    return not visits_in(since, until, practitioner=practitioner, room=room)
