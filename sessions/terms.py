"""What a signed plan says of its course: how many sessions, how far apart, how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocols.models import Plan
from sessions.planner import Pacing

SHORTEST_GAP_DAYS = 14  # course.yaml, interval_limits: for a plan that names no interval of its own
LONGEST_GAP_DAYS = 70


@dataclass(frozen=True, kw_only=True)
class Terms:
    sessions: int
    offsets_days: tuple[int, ...]  # ideal day of each session, from the first
    pacing: tuple[Pacing, ...]
    treatment_minutes: int
    extra_minutes: int  # consent check, photographs, after-care

    @property
    def minutes(self) -> int:
        """How long the appointment is."""
        return self.treatment_minutes + self.extra_minutes

    def gap(self, number: int) -> Pacing:
        """How session ``number`` may lie to the one before it."""
        return self.pacing[number - 1]


def terms_of(plan: Plan) -> Terms:
    course: Mapping[str, Any] = plan.result["course"]
    offsets = tuple(int(day) for day in course["offsets_days"])
    shortest = int(course.get("min_gap_days") or SHORTEST_GAP_DAYS)
    longest = int(course.get("max_gap_days") or LONGEST_GAP_DAYS)
    windows = {int(window["session"]): window for window in course.get("windows_days") or ()}
    pacing = [Pacing()]
    for number in range(2, len(offsets) + 1):
        ideal = offsets[number - 1] - offsets[number - 2]
        window = windows.get(number)
        pacing.append(
            Pacing(
                gap_min=min(shortest, ideal),
                gap_ideal=ideal,
                gap_max=max(longest, ideal),
                offset_min=int(window["earliest"]) if window else shortest * (number - 1),
                offset_max=int(window["latest"]) if window else longest * (number - 1),
                after=tuple(
                    (int(spacing["from_session"]), int(spacing["min_days"]))
                    for spacing in course.get("spacings") or ()
                    if int(spacing["to_session"]) == number
                ),
            )
        )
    return Terms(
        sessions=len(offsets),
        offsets_days=offsets,
        pacing=tuple(pacing),
        treatment_minutes=int(course["duration_minutes"]),
        extra_minutes=int(course.get("appointment_minutes_extra") or 0),
    )
