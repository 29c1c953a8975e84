"""What is free on a day, worked out once when it is first asked for: one bit for each quarter of an hour."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from sessions.planner.clock import instant, latest_instant, minute_of_day, walls_of
from sessions.planner.types import Agenda, Booked, Calendar, Hours, Slot, Usual, Wishes


class Grid(NamedTuple):
    """The times at which a visit could start in one block of one day's hours. Bit n of a mask is time n."""

    walls: tuple[time, ...]
    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    past: int  # a mask: before the instant at which visits may start
    patient: int  # masks of what is taken: by the patient's own visits, and by those in each room
    rooms: Mapping[int, int]
    no_room: int


class Free(NamedTuple):
    """A free time of one practitioner, and the rooms that are free then."""

    wall: time
    start: datetime
    end: datetime
    rooms: tuple[int, ...]

    def room(self, usual: int) -> int:
        """Return the usual room where it is free, else the first one that is."""
        return usual if usual in self.rooms else self.rooms[0]


Likeness = tuple[int, int, datetime, int, int]
"""How little a slot is like the usual one: minutes off, another room, start, places of practitioner and room."""


@dataclass(kw_only=True)
class FreeTimes:
    """The free times of one site for visits of so many minutes, as the wishes allow. Days are ordinals."""

    minutes: int
    calendar: Calendar
    wishes: Wishes

    def __post_init__(self) -> None:
        wished = self.wishes.practitioner
        agendas = self.calendar.agendas()
        self.people = {key: agenda for key, agenda in agendas.items() if wished is None or key == wished}
        self.order = {key: place for place, key in enumerate(agendas)}
        self.bit = {key: 1 << place for place, key in enumerate(self.people)}
        self.rooms = [key for key in self.calendar.rooms if self.wishes.room is None or key == self.wishes.room]
        self.room_order = {key: place for place, key in enumerate(self.calendar.rooms)}
        self.open_on: dict[int, int] = {}
        self.why_not: dict[int, dict[str, int]] = {}
        self._masks_on: dict[int, dict[int, list[tuple[Grid, int]]]] = {}
        self._grids: dict[tuple[int, time, time], Grid] = {}
        self._times_on: dict[tuple[int, int], list[Free]] = {}
        self._walls_on: dict[tuple[int, int], list[int]] = {}
        self._nearest: dict[tuple[int, int, int], int] = {}

    def slots_on(self, day: date, number: int) -> Iterator[Slot]:
        """Give every slot of this day, one for each free room, as the session of this number."""
        for who, free in self.times_on_day(day):
            for room in free.rooms:
                yield Slot(number, free.start, free.end, room, day, who)

    def times_on_day(self, day: date) -> Iterator[tuple[int, Free]]:
        """Give the free times of this day, each with its practitioner."""
        ordinal = day.toordinal()
        self.open_for(ordinal)
        for who in self._masks_on[ordinal]:
            for free in self.times(ordinal, who):
                yield who, free

    def place_of(self, slot: Slot) -> tuple[int, int]:
        """Return the places of the slot's practitioner and room in the order of preference."""
        return self.order[slot.practitioner], self.room_order[slot.room]

    def open_for(self, day: int) -> int:
        """Return who has a free time on this day, one bit each; ``why_not`` then says what stood in the way."""
        if day not in self.open_on:
            counts: dict[str, int] = {}
            self._masks_on[day] = {}
            on = date.fromordinal(day)
            if on in self.calendar.closures:
                counts["closed"] = 1
            else:
                for key, agenda in self.people.items():
                    if masks := self._free_masks(on, agenda, counts):
                        self._masks_on[day][key] = masks
            self.why_not[day] = counts
            self.open_on[day] = sum(self.bit[key] for key in self._masks_on[day])
        return self.open_on[day]

    def _free_masks(self, day: date, agenda: Agenda, counts: dict[str, int]) -> list[tuple[Grid, int]]:
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

    def _grid(self, day: date, block: Hours) -> Grid:
        asked = (day.toordinal(), block.starts, block.ends)
        if asked in self._grids:
            return self._grids[asked]
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
        self._grids[asked] = Grid(
            walls=tuple(row[0] for row in rows),
            starts=starts,
            ends=ends,
            past=(1 << bisect_left(starts, calendar.not_before)) - 1,
            patient=_taken(calendar.patient, starts, ends),
            rooms=rooms,
            no_room=no_room,
        )
        return self._grids[asked]

    def times(self, day: int, who: int) -> list[Free]:
        """Return the free times of this practitioner on this day, with the rooms that are free then."""
        if (day, who) not in self._times_on:
            self._times_on[day, who] = [
                Free(
                    grid.walls[place],
                    grid.starts[place],
                    grid.ends[place],
                    tuple(key for key, taken in grid.rooms.items() if not taken >> place & 1),
                )
                for grid, mask in self._masks_on[day][who]
                for place in range(len(grid.starts))
                if mask >> place & 1
            ]
        return self._times_on[day, who]

    def away(self, day: int, who: int, wall: int) -> int:
        """Return the minutes from this hour to the closest free one; with others only where the usual one has none."""
        there = who if self.open_on[day] & self.bit.get(who, 0) else -1
        asked = (day, there, wall)
        if asked not in self._nearest:
            walls = self._walls(day, there)
            place = bisect_left(walls, wall)
            self._nearest[asked] = min(abs(walls[near] - wall) for near in (place - 1, place) if 0 <= near < len(walls))
        return self._nearest[asked]

    def _walls(self, day: int, who: int) -> list[int]:
        """The hours that are free with this practitioner, or with ``who`` -1 with anybody, as minutes of the day."""
        if (day, who) not in self._walls_on:
            free = self._masks_on[day]
            walls = {
                minute_of_day(wall)
                for key in ([who] if who in free else free)
                for grid, mask in free[key]
                for place, wall in enumerate(grid.walls)
                if mask >> place & 1
            }
            self._walls_on[day, who] = sorted(walls)
        return self._walls_on[day, who]

    def closest(self, day: int, usual: Usual, number: int) -> tuple[Likeness, Slot]:
        """Return the slot of this day most like the usual one; with others only where the usual one has none."""
        best: tuple[Likeness, Slot] | None = None
        wall = minute_of_day(usual.wall)
        away = self.away(day, usual.practitioner, wall)
        free = self._masks_on[day]
        for who in [usual.practitioner] if usual.practitioner in free else free:
            for found in self.times(day, who):
                if abs(minute_of_day(found.wall) - wall) != away:
                    continue
                room = found.room(usual.room)
                key = (away, int(room != usual.room), found.start, self.order[who], self.room_order[room])
                if best is None or key < best[0]:
                    best = key, Slot(number, found.start, found.end, room, date.fromordinal(day), who)
        assert best is not None  # noqa: S101 - the day has a free time
        return best


def _taken(booked: Booked, starts: Sequence[datetime], ends: Sequence[datetime]) -> int:
    """Which of these visits would overlap what is booked: one bit each. Starts and ends rise."""
    mask = 0
    if starts:
        for busy in booked.between(starts[0], ends[-1]):
            first, after = bisect_right(ends, busy.start), bisect_left(starts, busy.end)
            if first < after:
                mask |= (1 << after) - (1 << first)
    return mask
