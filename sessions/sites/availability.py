"""When one site and its people are there: opening hours, closures, public holidays, weekly hours, absences.

Plain facts in the site's wall time, read in a fixed number of queries. The planner gets them as hours and busy time;
a single time is held against them by ``obstacle``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from mesoclinic.accounts.models import Site
from sessions.models import Closure, WorkingHours
from sessions.models.hours import Absence, OpenedHoliday, OpeningHours, SiteRules, TechniqueMinutes
from sessions.planner import STEP, Hours
from sessions.sites.public_holidays import holidays_of

READ_AHEAD = timedelta(days=3 * 366)  # as far as a course can reach that is booked two years ahead


@dataclass(frozen=True, kw_only=True)
class Turnover:
    """Minutes before and after a visit for which practitioner and room are taken without the patient."""

    prepare: int = 0
    cleanup: int = 0

    @property
    def before(self) -> timedelta:
        return timedelta(minutes=self.prepare)

    @property
    def after(self) -> timedelta:
        return timedelta(minutes=self.cleanup)


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why a time is not open. ``code`` is closed, site_hours, hours or away; ``why`` is the clinic's own word."""

    code: str
    day: date
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Availability:
    site: Site
    opening: tuple[Hours, ...]  # empty: not limited
    closed: Mapping[date, str]  # own closures, and public holidays that are not opened
    hours: Mapping[int, tuple[Hours, ...]]  # of each person, as they were entered
    absences: Mapping[int, tuple[Absence, ...]]
    _inside: dict[int, list[Hours]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _away: dict[int, list[tuple[datetime, datetime]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def working_hours(self, person: int) -> list[Hours]:
        """The person's hours inside the opening hours. Reckoned once for each person."""
        if person not in self._inside:
            self._inside[person] = self._reckon_hours(person)
        return self._inside[person]

    def _reckon_hours(self, person: int) -> list[Hours]:
        own = self.hours.get(person, ())
        if not self.opening:
            return list(own)
        found = []
        for block in own:
            for around in self.opening:
                starts, ends = max(block.starts, around.starts), min(block.ends, around.ends)
                if around.weekday == block.weekday and starts < ends:
                    found.append(Hours(block.weekday, starts, ends))
        return found

    def visiting_hours(self, person: int, turnover: Turnover) -> list[Hours]:
        """The hours in which visits can lie, so that preparing and cleaning up stay inside the working hours.

        Visits keep to the quarters of an hour counted from the start of the working hours.
        """
        steps = -(-turnover.before // STEP)
        found = []
        for block in self.working_hours(person):
            starts, ends = _later(block.starts, steps * STEP), _earlier(block.ends, turnover.after)
            if starts is not None and ends is not None and starts < ends:
                found.append(Hours(block.weekday, starts, ends))
        return found

    def away(self, person: int) -> list[tuple[datetime, datetime]]:
        if person not in self._away:
            self._away[person] = [_instants(absence, self.site) for absence in self.absences.get(person, ())]
        return self._away[person]

    def obstacle(self, starts_at: datetime, ends_at: datetime, *, person: int, turnover: Turnover) -> Obstacle | None:
        """What stands against a visit of this person at this time, apart from other visits."""
        first, last = starts_at - turnover.before, ends_at + turnover.after
        local, until = first.astimezone(self.site.tz), last.astimezone(self.site.tz)
        day = starts_at.astimezone(self.site.tz).date()

        def holds(block: Hours) -> bool:
            same_day = local.date() == day == until.date() and block.weekday == day.weekday()
            return same_day and block.starts <= local.time() and until.time() <= block.ends

        if day in self.closed:
            return Obstacle(code="closed", day=day, why=self.closed[day])
        if self.opening and not any(holds(block) for block in self.opening):
            return Obstacle(code="site_hours", day=day)
        if not any(holds(block) for block in self.working_hours(person)):
            return Obstacle(code="hours", day=day)
        for absence, (start, end) in zip(self.absences.get(person, ()), self.away(person), strict=True):
            if start < last and first < end:
                return Obstacle(code="away", day=day, why=absence.get_kind_display())
        return None


def availability_of(site: Site, *, people: Iterable[int], since: date) -> Availability:
    """What is known of a site and these people from that day on. Six queries, or fewer, however many people."""
    keys = list(people)
    hours: dict[int, list[Hours]] = {key: [] for key in keys}
    for row in WorkingHours.objects.filter(practitioner__in=keys, site=site).order_by("weekday", "starts"):
        hours[row.practitioner_id].append(Hours(row.weekday, row.starts, row.ends))
    absences: dict[int, list[Absence]] = {key: [] for key in keys}
    for absence in Absence.objects.filter(person__in=keys, last_day__gte=since - timedelta(days=1)):
        if absence.site_id in (None, site.pk):
            absences[absence.person_id].append(absence)
    opening = OpeningHours.objects.filter(site=site).order_by("weekday", "starts")
    return Availability(
        site=site,
        opening=tuple(Hours(row.weekday, row.starts, row.ends) for row in opening),
        closed=closed_days(site, since=since),
        hours={key: tuple(blocks) for key, blocks in hours.items()},
        absences={key: tuple(rows) for key, rows in absences.items()},
    )


def closed_days(site: Site, *, since: date) -> dict[date, str]:
    """Every day on which the site is closed from that day on, with the reason: its own before the holiday's name."""
    closed = public_holidays(site, first=since, last=since + READ_AHEAD)
    if closed:
        for day in OpenedHoliday.objects.filter(site=site, day__gte=since).values_list("day", flat=True):
            closed.pop(day, None)
    closed.update(Closure.objects.filter(site=site, day__gte=since).values_list("day", "reason"))
    return closed


def public_holidays(site: Site, *, first: date, last: date) -> dict[date, str]:
    """The public holidays at the site's place, whether it opens on them or not, in the order of days."""
    rules = SiteRules.objects.filter(site=site).first()
    if rules is None or not rules.country:
        return {}
    found = holidays_of(rules.country, rules.region, range(first.year, last.year + 1))
    return {day: name for day, name in sorted(found.items()) if first <= day <= last}


def turnover_of(site: Site, technique: str) -> Turnover:
    """The technique's own minutes at this site, else the site's, else none."""
    found: TechniqueMinutes | SiteRules | None = (
        TechniqueMinutes.objects.filter(site=site, technique=technique).first()
        or SiteRules.objects.filter(site=site).first()
    )
    if found is None:
        return Turnover()
    return Turnover(prepare=found.prepare_minutes, cleanup=found.cleanup_minutes)


def _instants(absence: Absence, site: Site) -> tuple[datetime, datetime]:
    if absence.starts is not None and absence.ends is not None:
        return (
            datetime.combine(absence.first_day, absence.starts, tzinfo=site.tz),
            datetime.combine(absence.last_day, absence.ends, tzinfo=site.tz),
        )
    return (
        datetime.combine(absence.first_day, time.min, tzinfo=site.tz),
        datetime.combine(absence.last_day + timedelta(days=1), time.min, tzinfo=site.tz),
    )


_A_DAY = date(2000, 1, 3)  # without a clock change


def _later(wall: time, by: timedelta) -> time | None:
    moved = datetime.combine(_A_DAY, wall) + by
    return moved.time() if moved.date() == _A_DAY else None


def _earlier(wall: time, by: timedelta) -> time | None:
    moved = datetime.combine(_A_DAY, wall) - by
    return moved.time() if moved.date() == _A_DAY else None
