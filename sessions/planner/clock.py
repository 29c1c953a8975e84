"""Wall time and instants: what the clocks skip is no time, of what they repeat the first is meant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from sessions.planner.types import STEP, Slot, Usual


def instant(day: date, wall: time, zone: tzinfo) -> datetime | None:
    """Return the UTC instant of a wall time; None where the clocks skip it, the first where they repeat it."""
    local = datetime.combine(day, wall, tzinfo=zone)
    utc = local.astimezone(UTC)
    return utc if utc.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None) else None


def usual_of(slot: Slot, zone: tzinfo) -> Usual:
    """Return what a course is used to that begins with this slot."""
    return Usual(slot.day.weekday(), wall_of(slot, zone), slot.practitioner, slot.room)


def wall_of(slot: Slot, zone: tzinfo) -> time:
    """Return the wall time at which the slot starts."""
    return slot.starts_at.astimezone(zone).time()


def minute_of_day(wall: time) -> int:
    """Return the minutes from midnight on the wall clock."""
    return wall.hour * 60 + wall.minute


def weekday_of(ordinal: int) -> int:
    """Return the weekday of a day's ordinal. Monday is 0."""
    return (ordinal + 6) % 7


def walls_of(starts: time, ends: time) -> Iterator[time]:
    """Give wall times from the start of a block, one step apart. Counted on a day without a clock change."""
    day = datetime.combine(date(2000, 1, 3), starts)
    end = datetime.combine(date(2000, 1, 3), ends)
    while day < end:
        yield day.time()
        day += STEP


def latest_instant(day: date, wall: time, zone: tzinfo) -> datetime:
    """Return the instant by which a visit has to end; a wall time that the clocks skip means the end of the skip."""
    return datetime.combine(day, wall, tzinfo=zone).astimezone(UTC)


def length_of_block(starts: time, ends: time) -> timedelta:
    """Return how long a block of hours is on a day without a clock change."""
    day = date(2000, 1, 3)
    return datetime.combine(day, ends) - datetime.combine(day, starts)


def minutes_apart(one: time, other: time) -> int:
    """Return the minutes between two wall times."""
    return abs((one.hour - other.hour) * 60 + one.minute - other.minute)
