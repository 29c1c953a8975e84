"""What goes into the planner and what comes out: hours, bookings, paces, slots, reasons."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=15)  # visits start on the quarter of an hour, counted from the start of the working hours
FORTNIGHT = 14
HORIZON_DAYS = 120  # how far after the earliest day the first session is looked for


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
    barred: tuple[tuple[date, date], ...] = ()  # from and to, both included: treated too shortly before


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is asked of every session. The defaults ask for nothing but the earliest day."""

    earliest: date
    weekdays: frozenset[int] = frozenset(range(7))
    not_before: time = time.min
    not_after: time = time.max  # the visit ends by then
    room: int | None = None
    practitioner: int | None = None  # None: any of those in the calendar


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
        """Return whether nothing is booked in [start, end)."""
        after = bisect_right(self._ends, start)
        return after == len(self._starts) or self._starts[after] >= end

    def between(self, start: datetime, end: datetime) -> Iterator[Interval]:
        """Give what is busy in [start, end), in order."""
        for place in range(bisect_right(self._ends, start), len(self._starts)):
            if self._starts[place] >= end:
                return
            yield Interval(self._starts[place], self._ends[place])

    def __len__(self) -> int:
        return len(self._starts)


@dataclass(frozen=True, kw_only=True)
class Agenda:
    """One practitioner's hours at the site, and what takes up their time."""

    hours: Sequence[Hours]
    booked: Booked = field(default_factory=Booked)


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """All that is known about one site's time: one practitioner, and any colleagues who could take over."""

    zone: tzinfo
    hours: Sequence[Hours]
    closures: frozenset[date] = frozenset()
    practitioner: Booked = field(default_factory=Booked)
    patient: Booked = field(default_factory=Booked)
    rooms: Mapping[int, Booked] = field(default_factory=dict)  # in order of preference
    not_before: datetime = LONG_AGO  # no visit starts before this instant
    key: int = 0  # of the practitioner
    colleagues: Mapping[int, Agenda] = field(default_factory=dict)  # in order of preference

    def agendas(self) -> dict[int, Agenda]:
        """Return everybody's agenda by key, in order of preference."""
        return {self.key: Agenda(hours=self.hours, booked=self.practitioner), **self.colleagues}


class Slot(NamedTuple):
    """One proposed visit. ``starts_at`` and ``ends_at`` are UTC."""

    number: int
    starts_at: datetime
    ends_at: datetime
    room: int
    day: date
    practitioner: int = 0


class Usual(NamedTuple):
    """What a session is compared with: the weekday, wall time, practitioner and room that the course is used to."""

    weekday: int
    wall: time
    practitioner: int
    room: int


class Ranking(NamedTuple):
    """The objective. Of two series the one with the smaller ranking is the better."""

    fortnights_waited: int
    days_off_ideal: int
    other_practitioner: int
    other_weekday: int
    minutes_off: int
    ends_on: date
    other_room: int
    order: tuple[tuple[datetime, int, int], ...]  # the last tie-break: times, practitioners, rooms as listed


class Relaxation(NamedTuple):
    """The fewest wishes to give up, and the best series that this gives."""

    wishes: tuple[str, ...]  # fields of Wishes; "hours" for not_before and not_after
    slots: tuple[Slot, ...]


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
