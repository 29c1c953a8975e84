"""Whether days keep the gaps that a plan asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sessions.planner.types import Pacing


def keeps_gaps(days: Sequence[date], pacing: Sequence[Pacing]) -> bool:
    """Return whether the days of a whole series keep every window of the plan."""
    ordinals = [day.toordinal() for day in days]
    for index in range(1, len(ordinals)):
        low, high = window_of(pacing[index], ordinals[:index])
        if not low <= ordinals[index] <= high:
            return False
    return True


def is_barred(pace: Pacing, day: date) -> bool:
    """Return whether the session may not lie on this day, as it was treated too shortly before."""
    return any(first <= day <= last for first, last in pace.barred)


def window_of(pace: Pacing, days: Sequence[int]) -> tuple[int, int]:
    """Return the first and the last day that the pacing allows after ``days``; none where the first is the later."""
    low = max(
        days[-1] + max(pace.gap_min, 1),
        days[0] + pace.offset_min,
        *(days[number - 1] + apart for number, apart in pace.after),
    )
    return low, min(days[-1] + pace.gap_max, days[0] + pace.offset_max)
