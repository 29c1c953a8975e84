"""Other times for one session, and the closest free one to a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sessions.planner.clock import (
    minutes_apart,
    usual_of,
    wall_of,
)
from sessions.planner.gaps import is_barred, keeps_gaps
from sessions.planner.search import _FIRST_DAY, Search
from sessions.planner.types import (
    FORTNIGHT,
    Calendar,
    Pacing,
    Slot,
    Usual,
    Wishes,
)

_REACH = 70  # days that an alternative for a later session may lie away


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
    search = Search(pacing=pacing, minutes=minutes, calendar=calendar, wishes=wishes, kept=kept, usual=None)
    days = [*kept, *(slot.day for slot in slots)]
    found: dict[int, list[Slot]] = {}
    for place, slot in enumerate(slots):
        usual = usual_of(slots[0] if place else (slots[1] if len(slots) > 1 else slot), calendar.zone)
        found[slot.number] = _others(slot, search=search, days=days, index=len(kept) + place, usual=usual, count=count)
    return found


def _others(slot: Slot, *, search: Search, days: list[date], index: int, usual: Usual, count: int) -> list[Slot]:
    """The best other times for the session of this index, the rest staying: one a day as long as there are days."""
    pacing = search.pacing
    reach = range(-FORTNIGHT, FORTNIGHT + 1) if index == 0 else range(-_REACH, _REACH + 1)
    by_gap: dict[int, list[date]] = {}
    for shift in reach:
        day = slot.day + timedelta(days=shift)
        moved = [*days[:index], day, *days[index + 1 :]]
        if day >= search.wishes.earliest and not is_barred(pacing[index], day) and keeps_gaps(moved, pacing):
            off = sum(abs((moved[n] - moved[n - 1]).days - pacing[n].gap_ideal) for n in range(1, len(moved)))
            by_gap.setdefault(off, []).append(day)

    def options(day: date, *, usual_only: bool) -> list[tuple[tuple[object, ...], Slot]]:
        found = []
        for who, free in search.times_on_day(day):
            if (free.start, who) == (slot.starts_at, slot.practitioner) or (usual_only and who != usual.practitioner):
                continue
            other = Slot(slot.number, free.start, free.end, free.room(slot.room), day, who)
            away = minutes_apart(free.wall, usual.wall)
            order = (who != usual.practitioner, day.weekday() != usual.weekday, away, free.start)
            found.append(((*order, other.room != slot.room, *search.place_of(other)), other))
        return sorted(found)

    chosen: list[Slot] = []
    for off in sorted(by_gap):
        rows = [options(day, usual_only=True) or options(day, usual_only=False) for day in by_gap[off]]
        chosen += [other for _order, other in sorted(row[0] for row in rows if row)][: count - len(chosen)]
        if len(chosen) == count:
            return sorted(chosen, key=lambda other: other.starts_at)
    more = [(off, row) for off in by_gap for day in by_gap[off] for row in options(day, usual_only=False)]
    for _off, (_order, other) in sorted(more):
        if all(other.starts_at != taken.starts_at for taken in chosen):
            chosen.append(other)
        if len(chosen) == count:
            break
    return sorted(chosen, key=lambda other: other.starts_at)


def open_slot(
    *, number: int, starts_at: datetime, practitioner: int, room: int, minutes: int, calendar: Calendar
) -> Slot | None:
    """The slot at this instant with these two, if it lies in the hours and everything is free; else None."""
    search = Search(
        pacing=[Pacing()], minutes=minutes, calendar=calendar, wishes=Wishes(earliest=_FIRST_DAY), kept=(), usual=None
    )
    day = starts_at.astimezone(calendar.zone).date()
    for slot in search.slots_on(day, number):
        if (slot.starts_at, slot.practitioner, slot.room) == (starts_at, practitioner, room):
            return slot
    return None


def closest_slot(*, number: int, day: date, usual: Usual, minutes: int, calendar: Calendar) -> Slot | None:
    """The free time of that day, with the usual practitioner, that is closest to the usual hour and room."""
    search = Search(
        pacing=[Pacing()],
        minutes=minutes,
        calendar=calendar,
        wishes=Wishes(earliest=_FIRST_DAY, practitioner=usual.practitioner),
        kept=(),
        usual=None,
    )
    return min(
        search.slots_on(day, number),
        key=lambda slot: (
            minutes_apart(wall_of(slot, calendar.zone), usual.wall),
            slot.room != usual.room,
            slot.starts_at,
        ),
        default=None,
    )
