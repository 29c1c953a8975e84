"""What forms of the booking pages send, read strictly: what a page did not offer is refused or is nothing."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput
from mesoclinic.core.reading import whole_number
from sessions.models import Room


def chosen_time(text: str) -> tuple[datetime, User, Room]:
    """The time, practitioner and room that a page offered. What they may do is asked when it is booked."""
    parts = text.split(" ")
    try:
        at, who, where = datetime.fromisoformat(parts[0]), whole_number(parts[1]), whole_number(parts[2])
    except (ValueError, IndexError, InvalidInput):
        raise InvalidInput(_("Choose a time from the page."), field="time") from None
    fits = at.tzinfo is not None and 1901 <= at.year < 2199 and max(who, where) < 2**31
    practitioner = User.objects.filter(pk=who).first() if fits else None
    room = Room.objects.select_related("site").filter(pk=where).first() if fits else None
    if practitioner is None or room is None:
        raise InvalidInput(_("Choose a time from the page."), field="time")
    return at, practitioner, room


def instant_in(text: str) -> datetime | None:
    """The instant that a form sent, with its zone; None for anything else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if timezone.is_aware(at) and 1901 <= at.year < 2199 else None
