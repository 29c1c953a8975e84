"""What a signed plan says of its course: how many sessions, how far apart, how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    windows = _windows(course.get("windows_days"), len(offsets))
    low, high = _interval(plan)
    span = offsets[-1]
    pacing = [Pacing()]
    for number in range(1, len(offsets)):
        ideal = offsets[number] - offsets[number - 1]
        earliest, latest = windows[number] if windows else (0, offsets[number] + span + LONGEST_GAP_DAYS)
        pacing.append(
            Pacing(
                gap_min=min(low, ideal),
                gap_ideal=ideal,
                gap_max=max(high, ideal),
                offset_min=min(earliest, offsets[number]),
                offset_max=max(latest, offsets[number]),
            )
        )
    return Terms(
        sessions=len(offsets),
        offsets_days=offsets,
        pacing=tuple(pacing),
        treatment_minutes=int(course["duration_minutes"]),
        extra_minutes=int(course.get("appointment_minutes_extra") or 0),
    )


def _windows(windows: Sequence[Any] | None, sessions: int) -> list[tuple[int, int]]:
    """Earliest and latest day of each session, from the first; empty where the plan gives none."""
    if not windows or len(windows) != sessions:
        return []
    pairs = []
    for window in windows:
        if isinstance(window, Mapping):
            low, high = window["earliest"], window["latest"]
        else:
            low, high = window[0], window[-1]
        pairs.append((int(low), int(high)))
    return pairs


def _interval(plan: Plan) -> tuple[int, int]:
    """Shortest and longest gap between two sessions: the plan's own, else its formulary's for its severity."""
    given = plan.result["course"].get("interval_days")
    if given:
        return int(given["min"]), int(given["max"])
    bands = plan.formulary.documents.get("course", {}).get("sessions", {}).get("by_severity", [])
    for band in bands:
        if band.get("severity") == plan.result.get("severity"):
            return int(band["interval"]["min"]), int(band["interval"]["max"])
    return SHORTEST_GAP_DAYS, LONGEST_GAP_DAYS
