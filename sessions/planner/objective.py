"""What counts as best: the whole objective, one named line per criterion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from sessions.planner.clock import minutes_apart, usual_of, wall_of
from sessions.planner.types import FORTNIGHT, Calendar, Pacing, Ranking, Slot, Usual, Wishes


def ranking_key(
    slots: Sequence[Slot],
    *,
    pacing: Sequence[Pacing],
    calendar: Calendar,
    wishes: Wishes,
    kept: Sequence[date] = (),
    usual: Usual | None = None,
) -> Ranking:
    """Return the objective of a series, written out. The package's docstring says why in this order."""
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
        minutes_off=sum(minutes_apart(wall_of(slot, calendar.zone), usual.wall) for slot in slots),
        ends_on=slots[-1].day,
        other_room=sum(slot.room != usual.room for slot in slots),
        order=tuple((slot.starts_at, people.index(slot.practitioner), rooms.index(slot.room)) for slot in slots),
    )
