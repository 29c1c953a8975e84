"""Other times for one session, and the closest free one to a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sessions.planner.clock import minutes_apart, usual_of, wall_of
from sessions.planner.free_time import FreeTimes
from sessions.planner.gaps import is_barred, keeps_gaps
from sessions.planner.types import FORTNIGHT, Calendar, Pacing, Slot, Usual, Wishes

_FIRST_DAY = date(1, 1, 1)
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
    """Return for each session other times that fit while the rest stays: of the same day, then the best of others."""
    free = FreeTimes(minutes=minutes, calendar=calendar, wishes=wishes)
    days = [*kept, *(slot.day for slot in slots)]
    found: dict[int, list[Slot]] = {}
    for place, slot in enumerate(slots):
        usual = usual_of(slots[0] if place else (slots[1] if len(slots) > 1 else slot), calendar.zone)
        by_gap = _days_by_gap(slot, pacing=pacing, wishes=wishes, days=days, index=len(kept) + place)
        found[slot.number] = _others(slot, free=free, by_gap=by_gap, usual=usual, count=count)
    return found


def _days_by_gap(
    slot: Slot, *, pacing: Sequence[Pacing], wishes: Wishes, days: list[date], index: int
) -> dict[int, list[date]]:
    """By days off the ideal gaps the days on which the session of this index could lie, the rest staying."""
    reach = range(-FORTNIGHT, FORTNIGHT + 1) if index == 0 else range(-_REACH, _REACH + 1)
    by_gap: dict[int, list[date]] = {}
    for shift in reach:
        day = slot.day + timedelta(days=shift)
        moved = [*days[:index], day, *days[index + 1 :]]
        if day >= wishes.earliest and not is_barred(pacing[index], day) and keeps_gaps(moved, pacing):
            off = sum(abs((moved[n] - moved[n - 1]).days - pacing[n].gap_ideal) for n in range(1, len(moved)))
            by_gap.setdefault(off, []).append(day)
    return by_gap


def _others(slot: Slot, *, free: FreeTimes, by_gap: dict[int, list[date]], usual: Usual, count: int) -> list[Slot]:
    """The best other times for the session on these days: one a day as long as there are days."""

    def options(day: date, *, usual_only: bool) -> list[tuple[tuple[object, ...], Slot]]:
        found = []
        for who, at in free.times_on_day(day):
            if (at.start, who) == (slot.starts_at, slot.practitioner) or (usual_only and who != usual.practitioner):
                continue
            other = Slot(slot.number, at.start, at.end, at.room(slot.room), day, who)
            away = minutes_apart(at.wall, usual.wall)
            order = (who != usual.practitioner, day.weekday() != usual.weekday, away, at.start)
            found.append(((*order, other.room != slot.room, *free.place_of(other)), other))
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
    """Return the slot at this instant with these two, if it lies in the hours and everything is free; else None."""
    free = FreeTimes(minutes=minutes, calendar=calendar, wishes=Wishes(earliest=_FIRST_DAY))
    day = starts_at.astimezone(calendar.zone).date()
    for slot in free.slots_on(day, number):
        if (slot.starts_at, slot.practitioner, slot.room) == (starts_at, practitioner, room):
            return slot
    return None


def closest_slot(*, number: int, day: date, usual: Usual, minutes: int, calendar: Calendar) -> Slot | None:
    """Return the free time of that day, with the usual practitioner, that is closest to the usual hour and room."""
    wishes = Wishes(earliest=_FIRST_DAY, practitioner=usual.practitioner)
    free = FreeTimes(minutes=minutes, calendar=calendar, wishes=wishes)
    return min(
        free.slots_on(day, number),
        key=lambda slot: (
            minutes_apart(wall_of(slot, calendar.zone), usual.wall),
            slot.room != usual.room,
            slot.starts_at,
        ),
        default=None,
    )
