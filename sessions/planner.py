"""The course planner: plain Python, no Django, no clock. What is free goes in, the first fitting series comes out.

**What counts as first.** The first session takes the earliest day on which a whole series fits. Every later session
takes the day closest to its ideal gap after the one before (of two equally close, the earlier). Within a day it takes
the time closest to the first session's wall time, so that 09:00 stays 09:00; of two equally close, the earlier. The
room is the first session's where it is free, else the first free one in the order given. Same input, same output.

**Time.** Days, gaps and hours are those of the site's wall clock; an instant is made from them only to compare with
what is booked. A wall time that the clocks skip is not offered; of one that they repeat, the first is meant. Minutes
are elapsed minutes: a visit that runs across a change lasts as long as any other.

The search is exact: whether the rest of a series fits depends only on the days of a few sessions placed before (the
first, the last, those that an ingredient's own interval looks back to), so each such combination is tried once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

STEP = timedelta(minutes=15)  # visits start on the quarter of an hour, counted from the start of the working hours
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
HORIZON_DAYS = 120  # how far after the earliest day the first session is looked for

__all__ = [
    "HORIZON_DAYS",
    "Booked",
    "Calendar",
    "Hours",
    "Interval",
    "NoSeries",
    "Pacing",
    "Reason",
    "Slot",
    "Wishes",
    "instant",
    "plan_series",
]


class Interval(NamedTuple):
    """[start, end) between two instants."""

    start: datetime
    end: datetime


class Hours(NamedTuple):
    """A weekly block of working hours, in wall time. Monday is 0."""

    weekday: int
    starts: time
    ends: time


@dataclass(frozen=True, kw_only=True)
class Pacing:
    """How one session may lie to the one before, to the first, and to others, in days. The first session has no gap."""

    gap_min: int = 0
    gap_ideal: int = 0
    gap_max: int = 0
    offset_min: int = 0  # from the first session
    offset_max: int = 10_000
    after: tuple[tuple[int, int], ...] = ()  # (number of an earlier session, days that have to lie between)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    earliest: date
    weekdays: frozenset[int] = frozenset(range(7))
    not_before: time = time.min
    not_after: time = time.max  # the visit ends by then
    room: int | None = None


class Booked:
    """Busy time as sorted, merged intervals: "is this free?" costs two look-ups."""

    def __init__(self, intervals: Iterable[tuple[datetime, datetime]] = ()) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        for start, end in sorted(intervals):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def free(self, start: datetime, end: datetime) -> bool:
        after = bisect_right(self._ends, start)
        return after == len(self._starts) or self._starts[after] >= end

    def __len__(self) -> int:
        return len(self._starts)


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """All that is known about one practitioner's time at one site."""

    zone: tzinfo
    hours: Sequence[Hours]
    closures: frozenset[date] = frozenset()
    practitioner: Booked = field(default_factory=Booked)
    patient: Booked = field(default_factory=Booked)
    rooms: Mapping[int, Booked] = field(default_factory=dict)  # in order of preference
    not_before: datetime = _LONG_AGO  # no visit starts before this instant


class Slot(NamedTuple):
    """One proposed visit. ``starts_at`` and ``ends_at`` are UTC."""

    number: int
    starts_at: datetime
    ends_at: datetime
    room: int
    day: date


class Reason(NamedTuple):
    """Why there is none. ``code`` is one of the constants below; ``tally`` counts what stood in the way."""

    code: str
    number: int = 1
    first_day: date | None = None
    last_day: date | None = None
    tally: tuple[tuple[str, int], ...] = ()


NO_HOURS = "no_hours"  # the practitioner has no working hours at this site
NO_ROOMS = "no_rooms"  # the site has no room in use
WISHES_OUTSIDE_HOURS = "wishes_outside_hours"  # the wished days and hours never meet the working hours
TOO_SHORT = "too_short"  # no block of hours is as long as the visit
WINDOW_PASSED = "window_passed"  # a begun course was left longer than its plan allows
NO_FREE_TIME = "no_free_time"  # everything inside the window is closed or taken


class NoSeries(Exception):
    """No complete series fits; ``reason`` names the session that could not be placed and what stood in its way."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code)
        self.reason = reason


def instant(day: date, wall: time, zone: tzinfo) -> datetime | None:
    """The UTC instant of a wall time; None where the clocks skip it, the first of the two where they repeat it."""
    local = datetime.combine(day, wall, tzinfo=zone)
    utc = local.astimezone(UTC)
    return utc if utc.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None) else None


def plan_series(
    *,
    pacing: Sequence[Pacing],
    minutes: int,
    calendar: Calendar,
    wishes: Wishes,
    kept: Sequence[date] = (),
) -> list[Slot]:
    """The first complete series, or ``NoSeries``. ``pacing`` has one entry per session of the course.

    ``kept`` are the days of the sessions, from the first on, that are booked or done already; the rest is placed.
    """
    search = _Search(minutes=minutes, calendar=calendar, wishes=wishes, first_number=len(kept) + 1)
    search.check_possible()
    series = search.place(pacing, kept=kept)
    if series is None:
        raise NoSeries(search.refusal())
    return series


@dataclass(kw_only=True)
class _Search:
    minutes: int
    calendar: Calendar
    wishes: Wishes
    first_number: int
    deepest: int = -1  # index of the furthest session that could not be placed, with the days tried and why not
    days_tried: set[date] = field(default_factory=set)
    tally: dict[str, int] = field(default_factory=dict)
    seen: dict[date, list[tuple[time, datetime, datetime]]] = field(default_factory=dict)
    why_not: dict[date, dict[str, int]] = field(default_factory=dict)

    def check_possible(self) -> None:
        wishes, length = self.wishes, timedelta(minutes=self.minutes)
        if not self.calendar.hours:
            raise NoSeries(Reason(NO_HOURS, self.first_number))
        if not self._rooms():
            raise NoSeries(Reason(NO_ROOMS, self.first_number))
        if not any(_length(h.starts, h.ends) >= length for h in self.calendar.hours):
            raise NoSeries(Reason(TOO_SHORT, self.first_number))
        met = [
            h
            for h in self.calendar.hours
            if h.weekday in wishes.weekdays
            and _length(max(h.starts, wishes.not_before), min(h.ends, wishes.not_after)) >= length
        ]
        if not met:
            raise NoSeries(Reason(WISHES_OUTSIDE_HOURS, self.first_number))

    def place(self, pacing: Sequence[Pacing], *, kept: Sequence[date]) -> list[Slot] | None:
        # What the rest of a series depends on: the days of the first and of the last session, and of those that later
        # sessions look back to.
        needed = {number - 1 for pace in pacing for number, _days in pace.after} | {0}
        dead: set[tuple[date, ...]] = set()

        def rest(days: list[date], chosen: list[Slot]) -> list[Slot] | None:
            index = len(days)
            if index == len(pacing):
                return chosen
            state = (*(day for place, day in enumerate(days) if place in needed), days[-1])
            if state in dead:
                return None
            for day in _days(pacing[index], days, earliest=self.wishes.earliest):
                slot = self._best(day, index, chosen)
                if slot is not None:
                    series = rest([*days, day], [*chosen, slot])
                    if series is not None:
                        return series
            dead.add(state)
            return None

        if kept:
            pace = pacing[len(kept)]
            if not _days(pace, list(kept), earliest=self.wishes.earliest):
                last = kept[-1] + timedelta(days=pace.gap_max)
                raise NoSeries(Reason(WINDOW_PASSED, self.first_number, kept[-1], last))
            return rest(list(kept), [])
        for ahead in range(HORIZON_DAYS + 1):
            day = self.wishes.earliest + timedelta(days=ahead)
            slot = self._best(day, 0, [])
            if slot is not None:
                series = rest([day], [slot])
                if series is not None:
                    return series
        return None

    def refusal(self) -> Reason:
        return Reason(
            NO_FREE_TIME,
            max(self.deepest + 1, self.first_number),
            min(self.days_tried, default=None),
            max(self.days_tried, default=None),
            tuple(sorted(self.tally.items())),
        )

    def _best(self, day: date, index: int, chosen: list[Slot]) -> Slot | None:
        """The slot of ``day`` closest to the first session's wall time, in its room where that is free."""
        free = self._free(day)
        if not free:
            self._note(day, index)
            return None
        if chosen:
            target = chosen[0].starts_at.astimezone(self.calendar.zone).time()
            _wall, start, end = min(free, key=lambda slot: (_apart(slot[0], target), slot[0]))
        else:
            _wall, start, end = free[0]
        usual = chosen[0].room if chosen else None
        rooms = [key for key in self._rooms() if self.calendar.rooms[key].free(start, end)]
        return Slot(index + 1, start, end, usual if usual in rooms else rooms[0], day)

    def _free(self, day: date) -> list[tuple[time, datetime, datetime]]:
        if day not in self.seen:
            counts: dict[str, int] = {}
            self.seen[day] = list(self._free_times(day, counts))
            self.why_not[day] = counts
        return self.seen[day]

    def _free_times(self, day: date, counts: dict[str, int]) -> Iterator[tuple[time, datetime, datetime]]:
        def no(why: str) -> None:
            counts[why] = counts.get(why, 0) + 1

        calendar, wishes = self.calendar, self.wishes
        blocks = sorted(h for h in calendar.hours if h.weekday == day.weekday())
        if day in calendar.closures:
            return no("closed")
        if not blocks:
            return no("no_hours")
        if day.weekday() not in wishes.weekdays:
            return no("not_wished")
        length = timedelta(minutes=self.minutes)
        for block in blocks:
            until = _latest(day, min(block.ends, wishes.not_after), calendar.zone)
            for wall in _grid(block):
                if wall < wishes.not_before:
                    continue
                start = instant(day, wall, calendar.zone)
                if start is None:
                    continue
                end = start + length
                if end > until:
                    break
                if start < calendar.not_before:
                    no("past")
                elif not calendar.practitioner.free(start, end):
                    no("practitioner")
                elif not calendar.patient.free(start, end):
                    no("patient")
                elif not any(calendar.rooms[key].free(start, end) for key in self._rooms()):
                    no("room")
                else:
                    yield wall, start, end
        return None

    def _rooms(self) -> list[int]:
        wished = self.wishes.room
        return [key for key in self.calendar.rooms if wished is None or key == wished]

    def _note(self, day: date, index: int) -> None:
        if index > self.deepest:
            self.deepest, self.days_tried, self.tally = index, set(), {}
        if index == self.deepest and day not in self.days_tried:
            self.days_tried.add(day)
            for why, count in self.why_not[day].items():
                self.tally[why] = self.tally.get(why, 0) + count


def _days(pace: Pacing, days: Sequence[date], *, earliest: date) -> list[date]:
    """The days that the pacing allows after ``days``, the closest to the ideal gap first."""
    first, previous = days[0], days[-1]
    low = max(
        previous + timedelta(days=max(pace.gap_min, 1)),
        first + timedelta(days=pace.offset_min),
        earliest,
        *(days[number - 1] + timedelta(days=apart) for number, apart in pace.after),
    )
    high = min(previous + timedelta(days=pace.gap_max), first + timedelta(days=pace.offset_max))
    allowed = [low + timedelta(days=n) for n in range((high - low).days + 1)]
    ideal = previous + timedelta(days=pace.gap_ideal)
    return sorted(allowed, key=lambda day: (abs((day - ideal).days), day))


def _grid(block: Hours) -> Iterator[time]:
    """Wall times from the start of the block, one step apart. Counted on a day without a clock change."""
    day = datetime.combine(date(2000, 1, 3), block.starts)
    end = datetime.combine(date(2000, 1, 3), block.ends)
    while day < end:
        yield day.time()
        day += STEP


def _latest(day: date, wall: time, zone: tzinfo) -> datetime:
    """The instant by which a visit has to end; a wall time that the clocks skip means the end of the skip."""
    return datetime.combine(day, wall, tzinfo=zone).astimezone(UTC)


def _length(starts: time, ends: time) -> timedelta:
    day = date(2000, 1, 3)
    return datetime.combine(day, ends) - datetime.combine(day, starts)


def _apart(one: time, other: time) -> timedelta:
    day = date(2000, 1, 3)
    return abs(datetime.combine(day, one) - datetime.combine(day, other))
