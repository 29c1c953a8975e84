"""The exact search: dynamic programming over days, criterion by criterion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sessions.planner.clock import length_of_block, minute_of_day, weekday_of
from sessions.planner.free_time import Free, FreeTimes
from sessions.planner.gaps import window_of
from sessions.planner.types import (
    FORTNIGHT,
    HORIZON_DAYS,
    NO_FREE_TIME,
    NO_HOURS,
    NO_ROOMS,
    TOO_SHORT,
    WINDOW_PASSED,
    WISHES_OUTSIDE_HOURS,
    NoSeries,
    Pacing,
    Reason,
    Slot,
    Usual,
)


class _Class(NamedTuple):
    """Those practitioners (a mask) with whom the rest of a series costs this much at the least."""

    people: int
    weekday: int
    mask: int


_Order = tuple[tuple[datetime, int, int], ...]


_Days = tuple[int, ...]


class _Last(NamedTuple):
    """The best rest of a series for a given usual, where gaps, people and weekdays are at their least already."""

    minutes: int
    ends_on: int
    rooms: int
    order: _Order
    slots: tuple[Slot, ...]


class _Begin(NamedTuple):
    """What the first session may be, in the order in which it is tried."""

    ends_on: int  # at the earliest
    start: datetime
    place: int  # of the practitioner
    day: int
    who: int
    free: Free


@dataclass(kw_only=True)
class Search:
    """The search for one course: what each step found out is kept, by what the later sessions hang on."""

    pacing: Sequence[Pacing]
    free: FreeTimes
    kept: Sequence[date]
    usual: Usual | None
    deepest: int = -1  # index of the furthest session that could not be placed, with the days tried and why not
    days_tried: set[int] = field(default_factory=set)
    tally: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.everybody = (2 << len(self.free.people)) - 1  # one bit more: a usual practitioner who is not among them
        self.nobody = 1 << len(self.free.people)
        self.first_number = len(self.kept) + 1
        self.earliest = self.free.wishes.earliest.toordinal()
        self.needed = sorted({number - 1 for pace in self.pacing for number, _days in pace.after} | {0})
        self.barred = [
            {day for first, last in pace.barred for day in range(first.toordinal(), last.toordinal() + 1)}
            for pace in self.pacing
        ]
        self.gaps: dict[_Days, int | None] = {}
        self.next_days: dict[_Days, list[int]] = {}
        self.classed: dict[tuple[int, _Days], tuple[_Class, ...]] = {}
        self.ends: dict[_Days, int] = {}
        self.followers: dict[tuple[int, int, _Days], list[int]] = {}

    # -------------------------------------------------------------- whether it can be possible at all

    def check_possible(self) -> None:
        """Raise ``NoSeries`` where hours, rooms and wishes alone say that there is none."""
        wishes, length = self.free.wishes, timedelta(minutes=self.free.minutes)
        hours = [block for agenda in self.free.people.values() for block in agenda.hours]
        if not hours:
            raise NoSeries(Reason(NO_HOURS, self.first_number))
        if not self.free.rooms:
            raise NoSeries(Reason(NO_ROOMS, self.first_number))
        if not any(length_of_block(block.starts, block.ends) >= length for block in hours):
            raise NoSeries(Reason(TOO_SHORT, self.first_number))
        if not any(
            block.weekday in wishes.weekdays
            and length_of_block(max(block.starts, wishes.not_before), min(block.ends, wishes.not_after)) >= length
            for block in hours
        ):
            raise NoSeries(Reason(WISHES_OUTSIDE_HOURS, self.first_number))

    def refusal(self) -> Reason:
        """Return why ``best`` found none: the furthest session that could not be placed, and what stood in its way."""
        return Reason(
            NO_FREE_TIME,
            max(self.deepest + 1, self.first_number),
            date.fromordinal(min(self.days_tried)) if self.days_tried else None,
            date.fromordinal(max(self.days_tried)) if self.days_tried else None,
            tuple(sorted(self.tally.items())),
        )

    # -------------------------------------------------------------- the search

    def best(self) -> list[Slot] | None:
        """Return the best complete series, or None; raise ``NoSeries`` where a begun course was left too long."""
        kept = tuple(day.toordinal() for day in self.kept)
        if kept:
            low, high = self._window(len(kept), kept)
            if low > high:
                last = self.kept[-1] + timedelta(days=self.pacing[len(kept)].gap_max)
                raise NoSeries(Reason(WINDOW_PASSED, self.first_number, self.kept[-1], last))
            if self.usual:
                return self._best_for(self.usual, kept)
            return self._best_from(range(low, high + 1), kept)
        for fortnight in range(self.earliest, self.earliest + HORIZON_DAYS + 1, FORTNIGHT):
            firsts = range(fortnight, min(fortnight + FORTNIGHT, self.earliest + HORIZON_DAYS + 1))
            if series := self._best_from(firsts, ()):
                return series
        return None

    def _best_for(self, usual: Usual, kept: _Days) -> list[Slot] | None:
        """The best series where the usual is known: that of a course that was begun."""
        if self._gap(kept) is None:
            return None
        return list(self._last(usual, kept, {}).slots)

    def _best_from(self, firsts: Iterable[int], kept: _Days) -> list[Slot] | None:
        """The best series that begins on one of these days; its first session says what is usual."""
        days = self._first_days(firsts, kept)
        return self._first_in_order(self._fewest_minutes(self._begins(days, kept), kept), kept) if days else None

    def _first_days(self, firsts: Iterable[int], kept: _Days) -> list[int]:
        """Which of these days lead to the least days off the ideal gaps; none if no series begins there."""
        index = len(kept)
        least: int | None = None
        days: list[int] = []
        for day in firsts:
            if not self._is_open(day, index):
                self._note(day, index)
                continue
            gap = self._gap((*kept, day))
            if gap is None:
                continue
            gap += self._off(index, kept, day)
            if least is None or gap < least:
                least, days = gap, []
            if gap == least:
                days.append(day)
        return days

    def _begins(self, days: Sequence[int], kept: _Days) -> list[_Begin]:
        """The beginnings on these days with the fewest others and other weekdays, in the order in which to try them."""
        free = self.free
        classes = [
            (found.people, found.weekday, day, found.mask & free.open_on[day])
            for day in days
            for found in self._classes((*kept, day), weekday_of(day))
            if found.mask & free.open_on[day]
        ]
        cheapest = min(found[:2] for found in classes)
        return sorted(
            _Begin(self._earliest_end((*kept, day)), at.start, free.order[who], day, who, at)
            for *cost, day, mask in classes
            if tuple(cost) == cheapest
            for who in free.people
            if mask & free.bit[who]
            for at in free.times(day, who)
        )

    def _fewest_minutes(self, begins: Sequence[_Begin], kept: _Days) -> list[_Begin]:
        """Which beginnings lead to the fewest minutes off, and of those to the earliest end."""
        best: tuple[int, int] | None = None
        left: list[_Begin] = []
        for begin in begins:
            if best is not None and (0, begin.ends_on) > best:
                break
            cost = self._minutes(
                (*kept, begin.day), begin.who, minute_of_day(begin.free.wall), weekday_of(begin.day), {}
            )
            if best is None or cost < best:
                best, left = cost, []
            if cost == best:
                left.append(begin)
        return left

    def _first_in_order(self, begins: Sequence[_Begin], kept: _Days) -> list[Slot] | None:
        """The series with the fewest other rooms, and of those the first in order."""
        best: tuple[int, _Order, list[Slot]] | None = None
        for begin in sorted(begins, key=lambda begin: (begin.start, begin.place)):
            for room in begin.free.rooms:
                if best is not None and best[0] == 0:
                    return best[2]
                usual = Usual(weekday_of(begin.day), begin.free.wall, begin.who, room)
                rest = self._last(usual, (*kept, begin.day), {})
                first = (begin.start, begin.place, self.free.room_order[room])
                if best is None or (rest.rooms, (first, *rest.order)) < best[:2]:
                    on = date.fromordinal(begin.day)
                    slot = Slot(len(kept) + 1, begin.start, begin.free.end, room, on, begin.who)
                    best = rest.rooms, (first, *rest.order), [slot, *rest.slots]
        return best[2] if best else None

    # Each of these is about the sessions after ``days``, and remembers its answers.

    def _state(self, days: _Days) -> _Days:
        index = len(days)
        return (index, *(days[place] for place in self.needed if place < index), days[-1])

    def _gap(self, days: _Days) -> int | None:
        """The least days off the ideal gaps; None if not all can be placed."""
        index = len(days)
        if index == len(self.pacing):
            return 0
        state = self._state(days)
        if state in self.gaps:
            return self.gaps[state]
        best: int | None = None
        following: list[int] = []
        low, high = self._window(index, days)
        ideal = days[-1] + self.pacing[index].gap_ideal
        for day in _outwards(low, high, ideal):
            off = abs(day - ideal)
            if best is not None and off > best:
                break
            if not self._is_open(day, index):
                self._note(day, index)
                continue
            rest = self._gap((*days, day))
            if rest is None:
                continue
            if best is None or off + rest < best:
                best, following = off + rest, []
            if off + rest == best:
                following.append(day)
        self.gaps[state] = best
        self.next_days[state] = following
        return best

    def _classes(self, days: _Days, weekday: int) -> tuple[_Class, ...]:
        """The fewest sessions with others, and of those the fewest on other weekdays, for each usual practitioner."""
        if len(days) == len(self.pacing):
            return (_Class(0, 0, self.everybody),)
        state = (weekday, self._state(days))
        if state not in self.classed:
            found: list[_Class] = []
            for day in self._next(days):
                there, other = self.free.open_on[day], int(weekday_of(day) != weekday)
                for people, missed, mask in self._classes((*days, day), weekday):
                    if mask & there:
                        found.append(_Class(people, missed + other, mask & there))
                    if mask & ~there:
                        found.append(_Class(people + 1, missed + other, mask & ~there))
            left, kept = self.everybody, []
            for people, missed, mask in sorted(found):
                if mask & left:
                    kept.append(_Class(people, missed, mask & left))
                    left &= ~mask
            self.classed[state] = tuple(kept)
        return self.classed[state]

    def _next(self, days: _Days) -> list[int]:
        """The days of the next session that keep the days off at their least."""
        self._gap(days)
        return self.next_days[self._state(days)]

    def _earliest_end(self, days: _Days) -> int:
        """The day on which the course ends at the earliest."""
        if len(days) == len(self.pacing):
            return days[-1]
        state = self._state(days)
        if state not in self.ends:
            self.ends[state] = min(self._earliest_end((*days, day)) for day in self._next(days))
        return self.ends[state]

    def _following(self, days: _Days, who: int, weekday: int) -> list[int]:
        """The days of the next session that keep days off, people and weekdays at their least for this practitioner."""
        bit = self.free.bit.get(who, self.nobody)
        state = (bit, weekday, self._state(days))
        if state not in self.followers:
            (least,) = (found[:2] for found in self._classes(days, weekday) if found.mask & bit)
            chosen = []
            for day in self._next(days):
                (rest,) = (found for found in self._classes((*days, day), weekday) if found.mask & bit)
                people = rest.people + (not self.free.open_on[day] & bit)
                if (people, rest.weekday + (weekday_of(day) != weekday)) == least:
                    chosen.append(day)
            self.followers[state] = chosen
        return self.followers[state]

    def _minutes(
        self, days: _Days, who: int, wall: int, weekday: int, known: dict[_Days, tuple[int, int]]
    ) -> tuple[int, int]:
        """The fewest minutes off this hour, and of those the earliest end."""
        if len(days) == len(self.pacing):
            return 0, days[-1]
        state = self._state(days)
        if state not in known:
            best: tuple[int, int] | None = None
            for day in self._following(days, who, weekday):
                minutes, ends_on = self._minutes((*days, day), who, wall, weekday, known)
                found = minutes + self.free.away(day, who, wall), ends_on
                if best is None or found < best:
                    best = found
            assert best is not None  # noqa: S101 - the rest can be placed
            known[state] = best
        return known[state]

    def _last(self, usual: Usual, days: _Days, known: dict[_Days, _Last]) -> _Last:
        """The rest of the series with the fewest minutes off, then by its end, its rooms and the order."""
        if len(days) == len(self.pacing):
            return _Last(0, days[-1], 0, (), ())
        state = self._state(days)
        if state not in known:
            best: _Last | None = None
            for day in self._following(days, usual.practitioner, usual.weekday):
                rest = self._last(usual, (*days, day), known)
                (minutes, rooms, start, person, room), slot = self.free.closest(day, usual, len(days) + 1)
                found = _Last(
                    minutes + rest.minutes,
                    rest.ends_on,
                    rooms + rest.rooms,
                    ((start, person, room), *rest.order),
                    (slot, *rest.slots),
                )
                if best is None or found[:4] < best[:4]:
                    best = found
            assert best is not None  # noqa: S101 - the rest can be placed
            known[state] = best
        return known[state]

    def _window(self, index: int, days: Sequence[int]) -> tuple[int, int]:
        low, high = window_of(self.pacing[index], days)
        return max(low, self.earliest), high

    def _off(self, index: int, days: Sequence[int], day: int) -> int:
        return abs(day - days[-1] - self.pacing[index].gap_ideal) if days else 0

    def _is_open(self, day: int, index: int) -> bool:
        """Whether anybody is free on this day, and the session may lie on it."""
        return day not in self.barred[index] and bool(self.free.open_for(day))

    def _note(self, day: int, index: int) -> None:
        if index > self.deepest:
            self.deepest, self.days_tried, self.tally = index, set(), {}
        if index == self.deepest and day not in self.days_tried:
            self.days_tried.add(day)
            why = {"interval": 1} if day in self.barred[index] else self.free.why_not[day]
            for name, count in why.items():
                self.tally[name] = self.tally.get(name, 0) + count


def _outwards(low: int, high: int, middle: int) -> Iterator[int]:
    """The days from ``low`` to ``high``, those closest to ``middle`` first, of two as close the earlier."""
    middle_day = min(max(middle, low), high)
    if low <= high:
        yield middle_day
    down, up = middle_day - 1, middle_day + 1
    while down >= low or up <= high:
        if down >= low and (up > high or middle - down <= up - middle):
            yield down
            down -= 1
        else:
            yield up
            up += 1
