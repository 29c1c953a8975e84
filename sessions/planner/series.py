"""The best complete series, or the wishes that would have to give way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, time
from itertools import combinations
from typing import Any

from sessions.planner.free_time import FreeTimes
from sessions.planner.objective import ranking_key
from sessions.planner.search import Search
from sessions.planner.types import LONG_AGO, Calendar, NoSeries, Pacing, Relaxation, Slot, Usual, Wishes


def plan_series(
    *,
    pacing: Sequence[Pacing],
    minutes: int,
    calendar: Calendar,
    wishes: Wishes,
    kept: Sequence[date] = (),
    usual: Usual | None = None,
) -> list[Slot]:
    """Return the best complete series, or raise ``NoSeries``. ``pacing`` has one entry per session of the course.

    ``kept`` are the days of the sessions, from the first on, that are booked or done already; the rest is placed.
    ``usual`` is what a begun course is used to; without it the first session placed is.
    """
    free = FreeTimes(minutes=minutes, calendar=calendar, wishes=wishes)
    search = Search(pacing=pacing, free=free, kept=kept, usual=usual)
    search.check_possible()
    series = search.best()
    if series is None:
        raise NoSeries(search.refusal())
    return series


def relax(
    *,
    pacing: Sequence[Pacing],
    minutes: int,
    calendar: Calendar,
    wishes: Wishes,
    kept: Sequence[date] = (),
    usual: Usual | None = None,
) -> Relaxation | None:
    """Return the fewest wishes to give up for a series to exist, and the best one then; None if none helps."""
    changed = _given_up(calendar, wishes)
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


def _given_up(calendar: Calendar, wishes: Wishes) -> dict[str, dict[str, Any]]:
    """By wish that was made what ``Wishes`` says without it."""
    without: dict[str, dict[str, Any]] = {
        "practitioner": {"practitioner": None},
        "room": {"room": None},
        "weekdays": {"weekdays": frozenset(range(7))},
        "hours": {"not_before": time.min, "not_after": time.max},
    }
    if calendar.not_before > LONG_AGO:
        today = calendar.not_before.astimezone(calendar.zone).date()
        if today < wishes.earliest:
            without["earliest"] = {"earliest": today}
    return {
        name: change
        for name, change in without.items()
        if any(getattr(wishes, key) != value for key, value in change.items())
    }
