"""Days and times in words, in the active language."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site
from mesoclinic.ui import days
from sessions.models import Appointment, OverbookReason

if TYPE_CHECKING:
    pass


def day_words(day: date | datetime) -> str:
    return days.written(day, "weekday_year")


def short_day(day: date | datetime) -> str:
    return days.written(day)


def time_words(at: datetime, site: Site) -> str:
    return date_format(at.astimezone(site.tz), "H:i")


def when_words(at: datetime, site: Site) -> str:
    local = at.astimezone(site.tz)
    return _("%(day)s at %(time)s") % {"day": day_words(local), "time": date_format(local, "H:i")}


def plain_number(number: Decimal) -> str:
    """Without trailing zeros and never as a power of ten: 10, 0.35."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def overbooked_words(visit: Appointment) -> str:
    """That it was booked over a taken time on purpose, and why; empty for an ordinary visit."""
    if not visit.overbooked:
        return ""
    why = str(visit.get_overbook_reason_display())
    if visit.overbook_note:
        why = visit.overbook_note if visit.overbook_reason == OverbookReason.OTHER else f"{why}, {visit.overbook_note}"
    return _("Overbooked: %(why)s") % {"why": why}
