"""The course planner: plain Python, no Django, no clock. What is free goes in, the best complete series comes out.

**What counts as best.** ``ranking_key`` is the whole objective, one named line per criterion, compared in this order:

1. whole fortnights that the first session waits after the wished day: a perfect rhythm is not bought with delay;
2. days off the ideal gaps, added up;
3. sessions with another practitioner than the usual one;
4. sessions on another weekday than the usual one;
5. minutes off the usual wall time, added up, so that 09:00 stays 09:00;
6. the day on which the course ends, the earlier the better;
7. sessions in another room than the usual one;
8. what is left is decided by the order of times, practitioners and rooms: same input, same output.

The usual weekday, time, practitioner and room are those of the first session placed, or, for a course that was begun,
of the last session kept.

**Time.** Days, gaps and hours are those of the site's wall clock; an instant is made from them only to compare with
what is booked. A wall time that the clocks skip is not offered; of one that they repeat, the first is meant. Minutes
are elapsed minutes: a visit that runs across a change lasts as long as any other.

**The search is exact.** Dynamic programming over days (a state is the last day and the days that later sessions look
back to) gives what the rest of a series costs at the least in criteria 2, 3, 4 and 6. Branch and bound over the first
session's times and rooms then settles the others, and leaves out only what that bound proves to be no better.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from heapq import heappop, heappush
from itertools import combinations, pairwise
from typing import Any, NamedTuple

STEP = timedelta(minutes=15)  # visits start on the quarter of an hour, counted from the start of the working hours
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1, 1, 1)
_REACH = 70  # days that an alternative for a later session may lie away
FORTNIGHT = 14
HORIZON_DAYS = 120  # how far after the earliest day the first session is looked for

__all__ = [
    "HORIZON_DAYS",
    "Agenda",
    "Booked",
    "Calendar",
    "Hours",
    "Interval",
    "NoSeries",
    "Pacing",
    "Ranking",
    "Reason",
    "Relaxation",
    "Slot",
    "Usual",
    "Wishes",
    "alternatives",
    "closest_slot",
    "instant",
    "keeps_gaps",
    "open_slot",
    "plan_series",
    "ranking_key",
    "relax",
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
        after = bisect_right(self._ends, start)
        return after == len(self._starts) or self._starts[after] >= end

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
    not_before: datetime = _LONG_AGO  # no visit starts before this instant
    key: int = 0  # of the practitioner
    colleagues: Mapping[int, Agenda] = field(default_factory=dict)  # in order of preference

    def agendas(self) -> dict[int, Agenda]:
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
    usual: Usual | None = None,
) -> list[Slot]:
    """The best complete series, or ``NoSeries``. ``pacing`` has one entry per session of the course.

    ``kept`` are the days of the sessions, from the first on, that are booked or done already; the rest is placed.
    ``usual`` is what a begun course is used to; without it the first session placed is.
    """
    search = _Search(pacing=pacing, minutes=minutes, calendar=calendar, wishes=wishes, kept=kept, usual=usual)
    search.check_possible()
    series = search.best()
    if series is None:
        raise NoSeries(search.refusal())
    return series


def ranking_key(
    slots: Sequence[Slot],
    *,
    pacing: Sequence[Pacing],
    calendar: Calendar,
    wishes: Wishes,
    kept: Sequence[date] = (),
    usual: Usual | None = None,
) -> Ranking:
    """The objective, written out. The module's docstring says why in this order."""
    usual = usual or usual_of(slots[0], calendar.zone)
    people, rooms = list(calendar.agendas()), list(calendar.rooms)
    days = [*kept, *(slot.day for slot in slots)]
    gaps = [(later - day).days for day, later in pairwise(days)]
    placed = range(max(len(kept), 1), len(days))
    return Ranking(
        fortnights_waited=0 if kept else (slots[0].day - wishes.earliest).days // FORTNIGHT,
        days_off_ideal=sum(abs(gaps[index - 1] - pacing[index].gap_ideal) for index in placed),
        other_practitioner=sum(slot.practitioner != usual.practitioner for slot in slots),
        other_weekday=sum(slot.day.weekday() != usual.weekday for slot in slots),
        minutes_off=sum(_apart(wall_of(slot, calendar.zone), usual.wall) for slot in slots),
        ends_on=slots[-1].day,
        other_room=sum(slot.room != usual.room for slot in slots),
        order=tuple((slot.starts_at, people.index(slot.practitioner), rooms.index(slot.room)) for slot in slots),
    )


def relax(
    *,
    pacing: Sequence[Pacing],
    minutes: int,
    calendar: Calendar,
    wishes: Wishes,
    kept: Sequence[date] = (),
    usual: Usual | None = None,
) -> Relaxation | None:
    """The fewest wishes that have to be given up for a series to exist, and the best one then; None if none helps."""
    looser_wishes: dict[str, dict[str, Any]] = {
        "practitioner": {"practitioner": None},
        "room": {"room": None},
        "weekdays": {"weekdays": frozenset(range(7))},
        "hours": {"not_before": time.min, "not_after": time.max},
    }
    if calendar.not_before > _LONG_AGO:
        today = calendar.not_before.astimezone(calendar.zone).date()
        if today < wishes.earliest:
            looser_wishes["earliest"] = {"earliest": today}
    changed = {
        name: change
        for name, change in looser_wishes.items()
        if any(getattr(wishes, key) != value for key, value in change.items())
    }
    for size in range(1, len(changed) + 1):
        found = []
        for names in combinations(changed, size):
            given: dict[str, Any] = {}
            for name in names:
                given.update(changed[name])
            looser = replace(wishes, **given)
            try:
                slots = plan_series(
                    pacing=pacing, minutes=minutes, calendar=calendar, wishes=looser, kept=kept, usual=usual
                )
            except NoSeries:
                continue
            key = ranking_key(slots, pacing=pacing, calendar=calendar, wishes=wishes, kept=kept, usual=usual)
            found.append((key, Relaxation(names, tuple(slots))))
        if found:
            return min(found)[1]
    return None


def alternatives(
    slots: Sequence[Slot],
    *,
    pacing: Sequence[Pacing],
    minutes: int,
    calendar: Calendar,
    wishes: Wishes,
    kept: Sequence[date] = (),
    count: int = 3,
) -> dict[int, list[Slot]]:
    """For each session other times that fit while the rest stays: one of the same day, then the best of other days."""
    search = _Search(pacing=pacing, minutes=minutes, calendar=calendar, wishes=wishes, kept=kept, usual=None)
    found: dict[int, list[Slot]] = {}
    days = [*kept, *(slot.day for slot in slots)]
    for place, slot in enumerate(slots):
        index = len(kept) + place
        usual = usual_of(slots[0] if place else (slots[1] if len(slots) > 1 else slot), calendar.zone)
        reach = range(-FORTNIGHT, FORTNIGHT + 1) if index == 0 else range(-_REACH, _REACH + 1)
        options: list[tuple[tuple[object, ...], Slot]] = []
        for shift in reach:
            day = slot.day + timedelta(days=shift)
            moved = [*days[:index], day, *days[index + 1 :]]
            if day < wishes.earliest or not keeps_gaps(moved, pacing):
                continue
            off = sum(abs((moved[n] - moved[n - 1]).days - pacing[n].gap_ideal) for n in range(1, len(moved)))
            for other in search.slots_on(day, index + 1):
                if (other.starts_at, other.practitioner) == (slot.starts_at, slot.practitioner):
                    continue
                away = _apart(wall_of(other, calendar.zone), usual.wall)
                order = (off, other.practitioner != usual.practitioner, day.weekday() != usual.weekday, away)
                options.append(((*order, other.starts_at, other.room != slot.room), other))
        options.sort(key=lambda option: option[0])
        chosen: list[Slot] = []
        for _order, other in options:  # one per day, so that they differ
            if all(other.day != taken.day for taken in chosen):
                chosen.append(other)
            if len(chosen) == count:
                break
        for _order, other in options:
            if len(chosen) == count:
                break
            if all(other.starts_at != taken.starts_at for taken in chosen):
                chosen.append(other)
        found[slot.number] = sorted(chosen, key=lambda other: other.starts_at)
    return found


def keeps_gaps(days: Sequence[date], pacing: Sequence[Pacing]) -> bool:
    """Whether the days of a whole series keep every window of the plan."""
    ordinals = [day.toordinal() for day in days]
    for index in range(1, len(ordinals)):
        low, high = _window(pacing[index], ordinals[:index])
        if not low <= ordinals[index] <= high:
            return False
    return True


def open_slot(
    *, number: int, starts_at: datetime, practitioner: int, room: int, minutes: int, calendar: Calendar
) -> Slot | None:
    """The slot at this instant with these two, if it lies in the hours and everything is free; else None."""
    search = _Search(
        pacing=[Pacing()], minutes=minutes, calendar=calendar, wishes=Wishes(earliest=_FIRST_DAY), kept=(), usual=None
    )
    day = starts_at.astimezone(calendar.zone).date()
    for slot in search.slots_on(day, number):
        if (slot.starts_at, slot.practitioner, slot.room) == (starts_at, practitioner, room):
            return slot
    return None


def closest_slot(*, number: int, day: date, usual: Usual, minutes: int, calendar: Calendar) -> Slot | None:
    """The free time of that day, with the usual practitioner, that is closest to the usual hour and room."""
    search = _Search(
        pacing=[Pacing()],
        minutes=minutes,
        calendar=calendar,
        wishes=Wishes(earliest=_FIRST_DAY, practitioner=usual.practitioner),
        kept=(),
        usual=None,
    )
    return min(
        search.slots_on(day, number),
        key=lambda slot: (_apart(wall_of(slot, calendar.zone), usual.wall), slot.room != usual.room, slot.starts_at),
        default=None,
    )


def usual_of(slot: Slot, zone: tzinfo) -> Usual:
    return Usual(slot.day.weekday(), wall_of(slot, zone), slot.practitioner, slot.room)


def wall_of(slot: Slot, zone: tzinfo) -> time:
    return slot.starts_at.astimezone(zone).time()


class _Free(NamedTuple):
    wall: time
    start: datetime
    end: datetime
    rooms: tuple[int, ...]


class _Rest(NamedTuple):
    """What the sessions still to be placed cost at the least."""

    gap: int
    people: int
    weekday: int
    ends_on: int


class _Cost(NamedTuple):
    gap: int = 0
    people: int = 0
    weekday: int = 0
    minutes: int = 0
    rooms: int = 0


_Order = tuple[tuple[datetime, int, int], ...]


@dataclass(kw_only=True)
class _Search:
    pacing: Sequence[Pacing]
    minutes: int
    calendar: Calendar
    wishes: Wishes
    kept: Sequence[date]
    usual: Usual | None
    deepest: int = -1  # index of the furthest session that could not be placed, with the days tried and why not
    days_tried: set[int] = field(default_factory=set)
    tally: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wished = self.wishes.practitioner
        agendas = self.calendar.agendas()
        self.people = {key: agenda for key, agenda in agendas.items() if wished is None or key == wished}
        self.order = {key: place for place, key in enumerate(agendas)}
        self.rooms = [key for key in self.calendar.rooms if self.wishes.room is None or key == self.wishes.room]
        self.room_order = {key: place for place, key in enumerate(self.calendar.rooms)}
        self.first_number = len(self.kept) + 1
        self.needed = sorted({number - 1 for pace in self.pacing for number, _days in pace.after} | {0})
        self.free_on: dict[int, dict[int, list[_Free]]] = {}
        self.why_not: dict[int, dict[str, int]] = {}
        self.rests: dict[tuple[object, ...], _Rest | None] = {}
        self.found: tuple[tuple[object, ...], list[Slot]] | None = None

    # -------------------------------------------------------------- whether it can be possible at all

    def check_possible(self) -> None:
        wishes, length = self.wishes, timedelta(minutes=self.minutes)
        hours = [block for agenda in self.people.values() for block in agenda.hours]
        if not hours:
            raise NoSeries(Reason(NO_HOURS, self.first_number))
        if not self.rooms:
            raise NoSeries(Reason(NO_ROOMS, self.first_number))
        if not any(_length(block.starts, block.ends) >= length for block in hours):
            raise NoSeries(Reason(TOO_SHORT, self.first_number))
        if not any(
            block.weekday in wishes.weekdays
            and _length(max(block.starts, wishes.not_before), min(block.ends, wishes.not_after)) >= length
            for block in hours
        ):
            raise NoSeries(Reason(WISHES_OUTSIDE_HOURS, self.first_number))

    def refusal(self) -> Reason:
        return Reason(
            NO_FREE_TIME,
            max(self.deepest + 1, self.first_number),
            date.fromordinal(min(self.days_tried)) if self.days_tried else None,
            date.fromordinal(max(self.days_tried)) if self.days_tried else None,
            tuple(sorted(self.tally.items())),
        )

    # -------------------------------------------------------------- the search

    def best(self) -> list[Slot] | None:
        kept = tuple(day.toordinal() for day in self.kept)
        if kept:
            low, high = self._window(len(kept), kept)
            if low > high:
                last = self.kept[-1] + timedelta(days=self.pacing[len(kept)].gap_max)
                raise NoSeries(Reason(WINDOW_PASSED, self.first_number, self.kept[-1], last))
            if self.usual:
                if self._rest(kept, self.usual.practitioner, self.usual.weekday) is not None:
                    self._descend(self.usual, kept, [], _Cost(), ())
            else:
                self._best_from(range(low, high + 1), kept)
            return self.found[1] if self.found else None
        start = self.wishes.earliest.toordinal()
        for fortnight in range(start, start + HORIZON_DAYS + 1, FORTNIGHT):
            self._best_from(range(fortnight, min(fortnight + FORTNIGHT, start + HORIZON_DAYS + 1)), ())
            if self.found:
                return self.found[1]
        return None

    def _best_from(self, firsts: Iterable[int], kept: tuple[int, ...]) -> None:
        """The best series that begins on one of these days. The most promising beginning is opened first."""
        index = len(kept)
        heap: list[tuple[tuple[int, ...], int, int, int | None]] = []

        def push(day: int, who: int | None) -> None:
            rest = self._rest((*kept, day), who, _weekday(day))
            if rest is not None:
                gap = self._off(index, kept, day)
                bound = (gap + rest.gap, rest.people, rest.weekday, 0, rest.ends_on, 0)
                heappush(heap, (bound, day, -1 if who is None else self.order[who], who))

        for day in firsts:
            if self._free(day):
                push(day, None)
            else:
                self._note(day, index)
        while heap:
            bound, day, _place, who = heappop(heap)
            if self.found and bound > self.found[0][:-1]:
                return
            if who is None:
                for key in self._free(day):
                    push(day, key)
                continue
            cost = _Cost(gap=self._off(index, kept, day))
            for free in self._free(day)[who]:
                for room in free.rooms:
                    usual = Usual(_weekday(day), free.wall, who, room)
                    slot = Slot(index + 1, free.start, free.end, room, date.fromordinal(day), who)
                    order: _Order = ((free.start, self.order[who], self.room_order[room]),)
                    if not self.found or (*bound, order) <= self.found[0]:
                        self._descend(usual, (*kept, day), [slot], cost, order)

    def _descend(self, usual: Usual, days: tuple[int, ...], slots: list[Slot], cost: _Cost, order: _Order) -> None:
        index = len(days)
        if index == len(self.pacing):
            key = (cost.gap, cost.people, cost.weekday, cost.minutes, days[-1], cost.rooms, order)
            if self.found is None or key < self.found[0]:
                self.found = (key, slots)
            return
        options = []
        low, high = self._window(index, days)
        for day in range(low, high + 1):
            if not self._free(day):
                continue
            rest = self._rest((*days, day), usual.practitioner, usual.weekday)
            if rest is None:
                continue
            (people, minutes, rooms, _start, person, _room), slot = self._closest(day, usual, index + 1)
            now = _Cost(
                cost.gap + self._off(index, days, day),
                cost.people + people,
                cost.weekday + (_weekday(day) != usual.weekday),
                cost.minutes + minutes,
                cost.rooms + rooms,
            )
            then = (*order, (slot.starts_at, person, self.room_order[slot.room]))
            bound = (
                now.gap + rest.gap,
                now.people + rest.people,
                now.weekday + rest.weekday,
                now.minutes,
                rest.ends_on,
                now.rooms,
                then,
            )
            options.append((bound, day, slot, now))
        options.sort(key=lambda option: option[0])
        for bound, day, slot, now in options:
            if self.found and bound > self.found[0]:
                return
            self._descend(usual, (*days, day), [*slots, slot], now, bound[-1])

    def _rest(self, days: tuple[int, ...], who: int | None, weekday: int) -> _Rest | None:
        """The least that the sessions after ``days`` cost, None if they cannot all be placed. Exact, each state once.

        Without ``who`` the practitioner is left out of account.
        """
        index = len(days)
        if index == len(self.pacing):
            return _Rest(0, 0, 0, days[-1])
        state = (index, who, weekday, *(days[place] for place in self.needed if place < index), days[-1])
        if state in self.rests:
            return self.rests[state]
        best: _Rest | None = None
        low, high = self._window(index, days)
        ideal = days[-1] + self.pacing[index].gap_ideal
        for day in sorted(range(low, high + 1), key=lambda day: abs(day - ideal)):
            off = abs(day - ideal)
            if best is not None and off > best.gap:
                break
            free = self._free(day)
            if not free:
                self._note(day, index)
                continue
            rest = self._rest((*days, day), who, weekday)
            if rest is None:
                continue
            found = _Rest(
                off + rest.gap,
                rest.people + (who is not None and who not in free),
                rest.weekday + (_weekday(day) != weekday),
                rest.ends_on,
            )
            if best is None or found < best:
                best = found
        self.rests[state] = best
        return best

    def _window(self, index: int, days: Sequence[int]) -> tuple[int, int]:
        low, high = _window(self.pacing[index], days)
        return max(low, self.wishes.earliest.toordinal()), high

    def _off(self, index: int, days: Sequence[int], day: int) -> int:
        return abs(day - days[-1] - self.pacing[index].gap_ideal) if days else 0

    def _closest(self, day: int, usual: Usual, number: int) -> tuple[tuple[int, int, int, datetime, int, int], Slot]:
        """The slot of this day that is most like the usual one."""
        best: tuple[tuple[int, int, int, datetime, int, int], Slot] | None = None
        free = self._free(day)
        for who in [usual.practitioner] if usual.practitioner in free else free:
            for wall, start, end, rooms in free[who]:
                room = usual.room if usual.room in rooms else rooms[0]
                key = (
                    int(who != usual.practitioner),
                    _apart(wall, usual.wall),
                    int(room != usual.room),
                    start,
                    self.order[who],
                    self.room_order[room],
                )
                if best is None or key < best[0]:
                    best = key, Slot(number, start, end, room, date.fromordinal(day), who)
        assert best is not None  # noqa: S101 - the day has a free time
        return best

    # -------------------------------------------------------------- what is free

    def slots_on(self, day: date, number: int) -> Iterator[Slot]:
        for who, times in self._free(day.toordinal()).items():
            for free in times:
                for room in free.rooms:
                    yield Slot(number, free.start, free.end, room, day, who)

    def _free(self, day: int) -> dict[int, list[_Free]]:
        """The free times of each practitioner who has any on this day."""
        if day not in self.free_on:
            counts: dict[str, int] = {}
            self.free_on[day] = {}
            on = date.fromordinal(day)
            if on in self.calendar.closures:
                counts["closed"] = 1
            else:
                for key, agenda in self.people.items():
                    if times := list(self._free_times(on, agenda, counts)):
                        self.free_on[day][key] = times
            self.why_not[day] = counts
        return self.free_on[day]

    def _free_times(self, day: date, agenda: Agenda, counts: dict[str, int]) -> Iterator[_Free]:
        def no(why: str, by: int = 1) -> None:
            counts[why] = counts.get(why, 0) + by

        calendar, wishes = self.calendar, self.wishes
        blocks = sorted(block for block in agenda.hours if block.weekday == day.weekday())
        if not blocks:
            counts["no_hours"] = 1
            return
        if day.weekday() not in wishes.weekdays:
            counts["not_wished"] = 1
            return
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
                elif not agenda.booked.free(start, end):
                    no("practitioner")
                elif not calendar.patient.free(start, end):
                    no("patient")
                elif not (rooms := tuple(key for key in self.rooms if calendar.rooms[key].free(start, end))):
                    no("room")
                else:
                    yield _Free(wall, start, end, rooms)

    def _note(self, day: int, index: int) -> None:
        if index > self.deepest:
            self.deepest, self.days_tried, self.tally = index, set(), {}
        if index == self.deepest and day not in self.days_tried:
            self.days_tried.add(day)
            for why, count in self.why_not[day].items():
                self.tally[why] = self.tally.get(why, 0) + count


def _window(pace: Pacing, days: Sequence[int]) -> tuple[int, int]:
    """The first and the last day that the pacing allows after ``days``. Empty where the first is the later one."""
    low = max(
        days[-1] + max(pace.gap_min, 1),
        days[0] + pace.offset_min,
        *(days[number - 1] + apart for number, apart in pace.after),
    )
    return low, min(days[-1] + pace.gap_max, days[0] + pace.offset_max)


def _weekday(ordinal: int) -> int:
    return (ordinal + 6) % 7


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


def _apart(one: time, other: time) -> int:
    """Minutes between two wall times."""
    return abs((one.hour - other.hour) * 60 + one.minute - other.minute)
