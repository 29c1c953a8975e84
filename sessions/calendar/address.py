"""What the calendar's address asks for: view, day, people, rooms, kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.translation import gettext_lazy

from mesoclinic.accounts.models import Site
from sessions.models import AppointmentStatus

VIEWS = {
    "day": gettext_lazy("Day"),
    "week": gettext_lazy("Week"),
    "month": gettext_lazy("Month"),
    "agenda": gettext_lazy("Agenda"),
}


KINDS = {
    "first": gettext_lazy("First of a course"),
    "later": gettext_lazy("Later of a course"),
    "outside": gettext_lazy("Outside the plan’s window"),
    "overbooked": gettext_lazy("Overbooked on purpose"),
}


LIVE = "live"  # the status filter that nobody has to choose: all but cancelled


ANY = "any"


AGENDA_DAYS = 14


@dataclass(frozen=True, kw_only=True)
class Choice:
    """All that the address of the page says. What it does not say has a default."""

    site: Site
    home: bool  # the site is the one where the person works now, so the address leaves it out
    view: str
    day: date
    today: date
    by: str = "practitioner"  # or room
    practitioner: str = ""  # public ids
    room: str = ""
    status: str = LIVE
    kind: str = ""
    whole: bool = False  # the whole day, not only the hours that somebody works

    def url(self, **changes: Any) -> str:
        """Return the address of this choice with these changes, leaving out what a default says."""
        other = replace(self, **changes)
        query = {"view": other.view, "day": other.day.isoformat()}
        if not other.home:
            query["site"] = str(other.site.public_id)
        for name, usual in (("by", "practitioner"), ("practitioner", ""), ("room", ""), ("status", LIVE), ("kind", "")):
            if getattr(other, name) != usual:
                query[name] = getattr(other, name)
        if other.whole:
            query["hours"] = "all"
        return f"{reverse('sessions:calendar')}?{urlencode(query)}"

    @property
    def filtered(self) -> bool:
        """Whether the address asks for less, or for more, than what a person sees first."""
        return bool(self.practitioner or self.room or self.kind or self.status != LIVE)

    @property
    def hides(self) -> bool:
        """Whether visits that stand are left out."""
        return bool(self.practitioner or self.room or self.kind or self.status not in (LIVE, ANY))

    @property
    def days(self) -> list[date]:
        """The days that the view is about."""
        if self.view == "day":
            return [self.day]
        if self.view == "week":
            return _run(self.day - timedelta(days=self.day.weekday()), 7)
        if self.view == "agenda":
            return _run(self.day, AGENDA_DAYS)
        first = self.day.replace(day=1)
        start = first - timedelta(days=first.weekday())
        following = (first + timedelta(days=31)).replace(day=1)
        return _run(start, -(-(following - start).days // 7) * 7)

    @property
    def before(self) -> date:
        """The day to go back to."""
        return self._step(-1)

    @property
    def after(self) -> date:
        """The day to go on to."""
        return self._step(1)

    def _step(self, direction: int) -> date:
        if self.view == "month":
            first = self.day.replace(day=1)
            return (first + timedelta(days=31) if direction > 0 else first - timedelta(days=1)).replace(day=1)
        return self.day + direction * timedelta(days={"day": 1, "week": 7, "agenda": AGENDA_DAYS}[self.view])


def _run(start: date, count: int) -> list[date]:
    return [start + timedelta(days=ahead) for ahead in range(count)]


def choice_from(given: Mapping[str, str], *, site: Site, home: bool, view: str, today: date) -> Choice:
    """Read an address. What cannot be understood is the default: an old or mistyped one still shows a calendar."""
    wanted = given.get("view", "")
    return Choice(
        site=site,
        home=home,
        view=wanted if wanted in VIEWS else view,
        day=_day_in(given.get("day", "")) or today,
        today=today,
        by="room" if given.get("by") == "room" else "practitioner",
        practitioner=_id_in(given.get("practitioner", "")),
        room=_id_in(given.get("room", "")),
        status=given.get("status", "") if given.get("status") in {ANY, *AppointmentStatus.values} else LIVE,
        kind=given.get("kind", "") if given.get("kind") in KINDS else "",
        whole=given.get("hours") == "all",
    )


def _day_in(text: str) -> date | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return day if day and 1901 <= day.year < 2199 else None


def _id_in(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""
