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

**The search is exact.** Each criterion adds up over sessions (or belongs to the last one), so the best rest of a series
does not depend on what came before it: dynamic programming over days, where a state is the last day and the days that
later sessions look back to. It goes criterion by criterion, and each step keeps only what is best by those before it:

- the least days off, by days on which anybody is free at all;
- then others' sessions and weekdays, for all practitioners at once: one bit each, so twenty cost little more than one;
- then minutes and the last day, for each first day, practitioner and hour that is left;
- then rooms and what is left over, from the first of those on.

What is free on a day is worked out once, when it is first asked for, as one bit for each quarter of an hour.
"""

from sessions.planner.alternatives import alternatives, closest_slot, open_slot
from sessions.planner.clock import instant, usual_of, wall_of
from sessions.planner.gaps import is_barred, keeps_gaps
from sessions.planner.objective import ranking_key
from sessions.planner.series import plan_series, relax
from sessions.planner.types import (
    FORTNIGHT,
    HORIZON_DAYS,
    NO_FREE_TIME,
    NO_HOURS,
    NO_ROOMS,
    STEP,
    TOO_SHORT,
    WINDOW_PASSED,
    WISHES_OUTSIDE_HOURS,
    Agenda,
    Booked,
    Calendar,
    Hours,
    Interval,
    NoSeries,
    Pacing,
    Ranking,
    Reason,
    Relaxation,
    Slot,
    Usual,
    Wishes,
)

__all__ = [
    "FORTNIGHT",
    "HORIZON_DAYS",
    "NO_FREE_TIME",
    "NO_HOURS",
    "NO_ROOMS",
    "STEP",
    "TOO_SHORT",
    "WINDOW_PASSED",
    "WISHES_OUTSIDE_HOURS",
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
    "is_barred",
    "keeps_gaps",
    "open_slot",
    "plan_series",
    "ranking_key",
    "relax",
    "usual_of",
    "wall_of",
]
