"""Calendar invitations (RFC 5545 and 5546): one event per appointment, under one UID for life, with neutral text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext as _
from icalendar import Calendar, Event, Timezone, TimezoneDaylight, TimezoneStandard, vCalAddress, vText

from mesoclinic.accounts.models import Clinic
from sessions.models import Appointment

REQUEST, CANCEL = "REQUEST", "CANCEL"


def uid_of(appointment: Appointment) -> str:
    return f"{appointment.public_id}@{settings.MESSAGE_ID_DOMAIN}"


def calendar(appointments: Sequence[Appointment], *, method: str, at: datetime, clinic: Clinic | None = None) -> str:
    """The calendar file that tells a mail program of these appointments, or that they are off.

    The text names the clinic, the place and the phone: nothing of why somebody comes. ``at`` is when this was said.
    """
    clinic = clinic or Clinic.objects.first()
    cal = frame(appointments, of="appointments", method=method)
    for appointment in appointments:
        cal.add_component(_event(appointment, method=method, at=at, house=clinic.name if clinic else ""))
    return str(cal.to_ical(), "utf-8")


def start_in(text: str, *, uid: str) -> datetime | None:
    """When the event with this UID begins, by this calendar file of ours; None where it is not in it."""
    for event in Calendar.from_ical(text).walk("VEVENT"):
        if str(event["uid"]) == uid:
            start = event.decoded("dtstart")
            return start.astimezone(UTC) if isinstance(start, datetime) else None
    return None


def attachment(
    appointments: Sequence[Appointment], *, method: str, at: datetime, clinic: Clinic | None = None
) -> dict[str, Any]:
    return {
        "name": f"appointment-{appointments[0].number}.ics",
        "type": f"text/calendar; method={method}; charset=utf-8",
        "text": calendar(appointments, method=method, at=at, clinic=clinic),
    }


def frame(appointments: Sequence[Appointment], *, of: str, method: str) -> Calendar:
    """A calendar file without its events: what it is, and the rules of each zone that they are in."""
    cal = Calendar()
    cal.add("prodid", f"-//mesoclinic//{of}//EN")
    cal.add("version", "2.0")
    cal.add("calscale", "GREGORIAN")
    cal.add("method", method)
    zones = {appointment.site.time_zone: appointment.site.tz for appointment in appointments}
    years = [appointment.starts_at.year for appointment in appointments]
    for name in sorted(zones):
        cal.add_component(zone_rules(zones[name], first=min(years) - 1, last=max(years) + 1))
    return cal


def timed(appointment: Appointment, *, at: datetime) -> Event:
    """The appointment's event with its name for life and its times, as said ``at``; the words are the caller's."""
    event = Event()
    event.add("uid", uid_of(appointment))
    event.add("sequence", appointment.sequence)
    event.add("dtstamp", at.astimezone(UTC))
    times = [time.astimezone(appointment.site.tz) for time in (appointment.starts_at, appointment.ends_at)]
    if any(time.fold for time in times):  # one that comes twice means its first (RFC 5545, 3.3.5): say it in UTC
        times = [time.astimezone(UTC) for time in times]
    event.add("dtstart", times[0])
    event.add("dtend", times[1])
    return event


def _event(appointment: Appointment, *, method: str, at: datetime, house: str) -> Event:
    site = appointment.site
    event = timed(appointment, at=at)
    event.add("summary", _("Appointment at %(house)s") % {"house": house})
    event.add("location", f"{house}, {site.address}")
    event.add("description", _("To change or cancel, please call %(phone)s.") % {"phone": site.phone})
    event.add("status", "CANCELLED" if method == CANCEL else "CONFIRMED")
    event.add("class", "PRIVATE")
    organizer = vCalAddress(f"mailto:{site.email or settings.DEFAULT_FROM_EMAIL}")
    organizer.params["cn"] = vText(house)
    event["organizer"] = organizer
    guest = vCalAddress(f"mailto:{appointment.patient.email}")
    guest.params["cn"] = vText(appointment.patient.name)
    guest.params["partstat"] = vText("ACCEPTED")
    guest.params["rsvp"] = vText("FALSE")
    event.add("attendee", guest, encode=False)
    return event


@lru_cache(maxsize=64)
def zone_rules(zone: ZoneInfo, *, first: int, last: int) -> Timezone:
    """The zone's VTIMEZONE for these years: one observance per clock change, and the one the first year begins with.

    Kept, as every letter of a course asks for the same one: do not change what it returns.

    Written here because a reader takes an observance's start in the wall time *before* the change (RFC 5545, 3.6.5).
    """
    rules = Timezone()
    rules.add("tzid", zone.key)
    at, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    rules.add_component(_observance(zone, at, before=_offset(zone, at)))
    while at < end:
        following = at + timedelta(days=1)
        if _offset(zone, at) != _offset(zone, following):
            change = _change_between(zone, at, following)
            rules.add_component(_observance(zone, change, before=_offset(zone, at)))
        at = following
    return rules


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first minute at which the later offset holds."""
    while after - before > timedelta(minutes=1):
        middle = before + timedelta(minutes=int((after - before).total_seconds() // 120))
        if _offset(zone, middle) == _offset(zone, before):
            before = middle
        else:
            after = middle
    return after


def _observance(zone: ZoneInfo, at: datetime, *, before: timedelta) -> TimezoneDaylight | TimezoneStandard:
    local = at.astimezone(zone)
    found = TimezoneDaylight() if local.dst() else TimezoneStandard()
    found.add("dtstart", (at + before).replace(tzinfo=None))
    found.add("tzoffsetfrom", before)
    found.add("tzoffsetto", _offset(zone, at))
    found.add("tzname", local.tzname())
    return found
