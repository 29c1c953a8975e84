"""The exact search: dynamic programming over days, criterion by criterion."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from sessions.planner.clock import instant, latest_instant, length_of_block, minute_of_day, walls_of, weekday_of
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
    Agenda,
    Booked,
    Calendar,
    Hours,
    NoSeries,
    Pacing,
    Reason,
    Slot,
    Usual,
    Wishes,
)

_FIRST_DAY = date(1, 1, 1)


class _Grid(NamedTuple):
    """The times at which a visit could start in one block of one day's hours. Bit n of a mask is time n."""

    walls: tuple[time, ...]
    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    past: int  # a mask: before the instant at which visits may start
    patient: int  # masks of what is taken: by the patient's own visits, and by those in each room
    rooms: Mapping[int, int]
    no_room: int


class _Free(NamedTuple):
    wall: time
    start: datetime
    end: datetime
    rooms: tuple[int, ...]

    def room(self, usual: int) -> int:
        return usual if usual in self.rooms else self.rooms[0]


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
    free: _Free


@dataclass(kw_only=True)
class Search:
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
        self.bit = {key: 1 << place for place, key in enumerate(self.people)}
        self.everybody = (2 << len(self.people)) - 1  # one bit more: a usual practitioner who is not among them
        self.nobody = 1 << len(self.people)
        self.rooms = [key for key in self.calendar.rooms if self.wishes.room is None or key == self.wishes.room]
        self.room_order = {key: place for place, key in enumerate(self.calendar.rooms)}
        self.first_number = len(self.kept) + 1
        self.earliest = self.wishes.earliest.toordinal()
        self.needed = sorted({number - 1 for pace in self.pacing for number, _days in pace.after} | {0})
        self.barred = [
            {day for first, last in pace.barred for day in range(first.toordinal(), last.toordinal() + 1)}
            for pace in self.pacing
        ]
        self.open_on: dict[int, int] = {}
        self.masks_on: dict[int, dict[int, list[tuple[_Grid, int]]]] = {}
        self.grids: dict[tuple[int, time, time], _Grid] = {}
        self.times_on: dict[tuple[int, int], list[_Free]] = {}
        self.walls_on: dict[tuple[int, int], list[int]] = {}
        self.why_not: dict[int, dict[str, int]] = {}
        self.gaps: dict[_Days, int | None] = {}
        self.next_days: dict[_Days, list[int]] = {}
        self.classed: dict[tuple[int, _Days], tuple[_Class, ...]] = {}
        self.ends: dict[_Days, int] = {}
        self.followers: dict[tuple[int, int, _Days], list[int]] = {}
        self.nearest: dict[tuple[int, int, int], int] = {}

    # -------------------------------------------------------------- whether it can be possible at all

    def check_possible(self) -> None:
        wishes, length = self.wishes, timedelta(minutes=self.minutes)
        hours = [block for agenda in self.people.values() for block in agenda.hours]
        if not hours:
            raise NoSeries(Reason(NO_HOURS, self.first_number))
        if not self.rooms:
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
        if not days:
            return None
        classes = [
            (found.people, found.weekday, day, found.mask & self.open_on[day])
            for day in days
            for found in self._classes((*kept, day), weekday_of(day))
            if found.mask & self.open_on[day]
        ]
        cheapest = min(found[:2] for found in classes)
        begins = sorted(
            _Begin(self._earliest_end((*kept, day)), free.start, self.order[who], day, who, free)
            for *cost, day, mask in classes
            if tuple(cost) == cheapest
            for who in self.people
            if mask & self.bit[who]
            for free in self._times(day, who)
        )
        # Which beginnings lead to the fewest minutes off, and of those to the earliest end.
        best: tuple[int, int] | None = None
        left: list[_Begin] = []
        for begin in begins:
            if best is not None and (0, begin.ends_on) > best:
                break
            cost_then = self._minutes(
                (*kept, begin.day), begin.who, minute_of_day(begin.free.wall), weekday_of(begin.day), {}
            )
            if best is None or cost_then < best:
                best, left = cost_then, []
            if cost_then == best:
                left.append(begin)
        # Then the fewest other rooms, and of those the first in order.
        found_last: tuple[int, _Order, list[Slot]] | None = None
        for begin in sorted(left, key=lambda begin: (begin.start, begin.place)):
            for room in begin.free.rooms:
                if found_last is not None and found_last[0] == 0:
                    return found_last[2]
                usual = Usual(weekday_of(begin.day), begin.free.wall, begin.who, room)
                rest = self._last(usual, (*kept, begin.day), {})
                first = (begin.start, begin.place, self.room_order[room])
                if found_last is None or (rest.rooms, (first, *rest.order)) < found_last[:2]:
                    on = date.fromordinal(begin.day)
                    slot = Slot(index + 1, begin.start, begin.free.end, room, on, begin.who)
                    found_last = rest.rooms, (first, *rest.order), [slot, *rest.slots]
        return found_last[2] if found_last else None

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
                there, other = self.open_on[day], int(weekday_of(day) != weekday)
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
        if len(days) == len(self.pacing):
            return days[-1]
        state = self._state(days)
        if state not in self.ends:
            self.ends[state] = min(self._earliest_end((*days, day)) for day in self._next(days))
        return self.ends[state]

    def _following(self, days: _Days, who: int, weekday: int) -> list[int]:
        """The days of the next session that keep days off, people and weekdays at their least for this practitioner."""
        bit = self.bit.get(who, self.nobody)
        state = (bit, weekday, self._state(days))
        if state not in self.followers:
            (least,) = (found[:2] for found in self._classes(days, weekday) if found.mask & bit)
            chosen = []
            for day in self._next(days):
                (rest,) = (found for found in self._classes((*days, day), weekday) if found.mask & bit)
                people = rest.people + (not self.open_on[day] & bit)
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
                found = minutes + self._away(day, who, wall), ends_on
                if best is None or found < best:
                    best = found
            assert best is not None  # noqa: S101 - the rest can be placed
            known[state] = best
        return known[state]

    def _away(self, day: int, who: int, wall: int) -> int:
        """Minutes from this hour to the closest free one; with others only where the usual one has none."""
        there = who if self.open_on[day] & self.bit.get(who, 0) else -1
        asked = (day, there, wall)
        if asked not in self.nearest:
            walls = self._walls(day, there)
            place = bisect_left(walls, wall)
            self.nearest[asked] = min(abs(walls[near] - wall) for near in (place - 1, place) if 0 <= near < len(walls))
        return self.nearest[asked]

    def _walls(self, day: int, who: int) -> list[int]:
        """The hours that are free with this practitioner, or with ``who`` -1 with anybody, as minutes of the day."""
        if (day, who) not in self.walls_on:
            free = self.masks_on[day]
            walls = {
                minute_of_day(wall)
                for key in ([who] if who in free else free)
                for grid, mask in free[key]
                for place, wall in enumerate(grid.walls)
                if mask >> place & 1
            }
            self.walls_on[day, who] = sorted(walls)
        return self.walls_on[day, who]

    def _last(self, usual: Usual, days: _Days, known: dict[_Days, _Last]) -> _Last:
        if len(days) == len(self.pacing):
            return _Last(0, days[-1], 0, (), ())
        state = self._state(days)
        if state not in known:
            best: _Last | None = None
            for day in self._following(days, usual.practitioner, usual.weekday):
                rest = self._last(usual, (*days, day), known)
                (minutes, rooms, start, person, room), slot = self._closest(day, usual, len(days) + 1)
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

    def _closest(self, day: int, usual: Usual, number: int) -> tuple[tuple[int, int, datetime, int, int], Slot]:
        """The slot of this day that is most like the usual one; with others only where the usual one has none."""
        best: tuple[tuple[int, int, datetime, int, int], Slot] | None = None
        wall = minute_of_day(usual.wall)
        away = self._away(day, usual.practitioner, wall)
        free = self.masks_on[day]
        for who in [usual.practitioner] if usual.practitioner in free else free:
            for found in self._times(day, who):
                if abs(minute_of_day(found.wall) - wall) != away:
                    continue
                room = found.room(usual.room)
                key = (away, int(room != usual.room), found.start, self.order[who], self.room_order[room])
                if best is None or key < best[0]:
                    best = key, Slot(number, found.start, found.end, room, date.fromordinal(day), who)
        assert best is not None  # noqa: S101 - the day has a free time
        return best

    def _window(self, index: int, days: Sequence[int]) -> tuple[int, int]:
        low, high = window_of(self.pacing[index], days)
        return max(low, self.earliest), high

    def _off(self, index: int, days: Sequence[int], day: int) -> int:
        return abs(day - days[-1] - self.pacing[index].gap_ideal) if days else 0

    # -------------------------------------------------------------- what is free

    def slots_on(self, day: date, number: int) -> Iterator[Slot]:
        for who, free in self.times_on_day(day):
            for room in free.rooms:
                yield Slot(number, free.start, free.end, room, day, who)

    def times_on_day(self, day: date) -> Iterator[tuple[int, _Free]]:
        ordinal = day.toordinal()
        self._open(ordinal)
        for who in self.masks_on[ordinal]:
            for free in self._times(ordinal, who):
                yield who, free

    def place_of(self, slot: Slot) -> tuple[int, int]:
        return self.order[slot.practitioner], self.room_order[slot.room]

    def _is_open(self, day: int, index: int) -> bool:
        """Whether anybody is free on this day, and the session may lie on it."""
        return day not in self.barred[index] and bool(self._open(day))

    def _open(self, day: int) -> int:
        """Who has a free time on this day: one bit each."""
        if day not in self.open_on:
            counts: dict[str, int] = {}
            self.masks_on[day] = {}
            on = date.fromordinal(day)
            if on in self.calendar.closures:
                counts["closed"] = 1
            else:
                for key, agenda in self.people.items():
                    if masks := self._free_masks(on, agenda, counts):
                        self.masks_on[day][key] = masks
            self.why_not[day] = counts
            self.open_on[day] = sum(self.bit[key] for key in self.masks_on[day])
        return self.open_on[day]

    def _free_masks(self, day: date, agenda: Agenda, counts: dict[str, int]) -> list[tuple[_Grid, int]]:
        weekday = day.weekday()
        blocks = sorted(block for block in agenda.hours if block.weekday == weekday)
        if not blocks or weekday not in self.wishes.weekdays:
            counts["not_wished" if blocks else "no_hours"] = 1
            return []
        found = []
        for block in blocks:
            grid = self._grid(day, block)
            if not grid.starts:
                continue
            left = (1 << len(grid.starts)) - 1
            taken = _taken(agenda.booked, grid.starts, grid.ends)
            why = {"past": grid.past, "practitioner": taken, "patient": grid.patient, "room": grid.no_room}
            for name, mask in why.items():
                if lost := left & mask:
                    counts[name] = counts.get(name, 0) + lost.bit_count()
                    left &= ~mask
            if left:
                found.append((grid, left))
        return found

    def _grid(self, day: date, block: Hours) -> _Grid:
        asked = (day.toordinal(), block.starts, block.ends)
        if asked in self.grids:
            return self.grids[asked]
        calendar, wishes = self.calendar, self.wishes
        length = timedelta(minutes=self.minutes)
        until = latest_instant(day, min(block.ends, wishes.not_after), calendar.zone)
        rows: list[tuple[time, datetime, datetime]] = []
        for wall in walls_of(block.starts, block.ends):
            if wall < wishes.not_before:
                continue
            start = instant(day, wall, calendar.zone)
            if start is None:
                continue
            if start + length > until:
                break
            rows.append((wall, start, start + length))
        starts, ends = tuple(row[1] for row in rows), tuple(row[2] for row in rows)
        rooms = {key: _taken(calendar.rooms[key], starts, ends) for key in self.rooms}
        no_room = -1
        for mask in rooms.values():
            no_room &= mask
        self.grids[asked] = _Grid(
            walls=tuple(row[0] for row in rows),
            starts=starts,
            ends=ends,
            past=(1 << bisect_left(starts, calendar.not_before)) - 1,
            patient=_taken(calendar.patient, starts, ends),
            rooms=rooms,
            no_room=no_room,
        )
        return self.grids[asked]

    def _times(self, day: int, who: int) -> list[_Free]:
        """The free times of this practitioner on this day, with the rooms that are free then."""
        if (day, who) not in self.times_on:
            self.times_on[day, who] = [
                _Free(
                    grid.walls[place],
                    grid.starts[place],
                    grid.ends[place],
                    tuple(key for key, taken in grid.rooms.items() if not taken >> place & 1),
                )
                for grid, mask in self.masks_on[day][who]
                for place in range(len(grid.starts))
                if mask >> place & 1
            ]
        return self.times_on[day, who]

    def _note(self, day: int, index: int) -> None:
        if index > self.deepest:
            self.deepest, self.days_tried, self.tally = index, set(), {}
        if index == self.deepest and day not in self.days_tried:
            self.days_tried.add(day)
            why = {"interval": 1} if day in self.barred[index] else self.why_not[day]
            for name, count in why.items():
                self.tally[name] = self.tally.get(name, 0) + count


def _taken(booked: Booked, starts: Sequence[datetime], ends: Sequence[datetime]) -> int:
    """Which of these visits would overlap what is booked: one bit each. Starts and ends rise."""
    mask = 0
    if starts:
        for busy in booked.between(starts[0], ends[-1]):
            first, after = bisect_right(ends, busy.start), bisect_left(starts, busy.end)
            if first < after:
                mask |= (1 << after) - (1 << first)
    return mask


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
