"""What a signed plan says of its course: how many sessions, how far apart, how long.

An amended plan goes on with the same course. What was done under the plans before it counts against the most that a
course may have, so its series is cut to what is left, and its first session keeps the plan's shortest gap from the last
one done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F

from protocols.formulary.queries import documents_of
from protocols.models import Plan
from sessions.models import TreatmentSession, TreatmentSessionStatus
from sessions.planner import Pacing

MOST_SESSIONS = "absolute_max_sessions_per_course"  # of the plan's formulary


@dataclass(frozen=True, kw_only=True)
class Terms:
    sessions: int
    offsets_days: tuple[int, ...]  # ideal day of each session, from the first
    pacing: tuple[Pacing, ...]  # of every session that the plan names, those left out too
    treatment_minutes: int
    extra_minutes: int  # consent check, photographs, after-care
    shortest_gap: int  # days between two sessions
    done_before: int = 0  # sessions done under the plans that this one amends
    left_out: int = 0  # sessions of the plan that would be too many for one course
    follows: date | None = None  # the day of the last of those done before

    @property
    def minutes(self) -> int:
        """How long the appointment is."""
        return self.treatment_minutes + self.extra_minutes

    @property
    def not_before(self) -> date | None:
        """The first day on which an amended plan may go on."""
        return self.follows + timedelta(days=self.shortest_gap) if self.follows else None

    @property
    def ideal_start(self) -> date | None:
        """The day on which an amended plan would best go on: its own ideal gap after the last session done."""
        if self.follows is None:
            return None
        return self.follows + timedelta(days=self.pacing[1].gap_ideal if len(self.pacing) > 1 else self.shortest_gap)

    def gap(self, number: int) -> Pacing:
        """How session ``number`` may lie to the one before it."""
        return self.pacing[number - 1]


def terms_of(plan: Plan, *, before: Sequence[date] | None = None) -> Terms:
    """Return what the plan says of its course. ``before``: see ``done_before_all``, where many plans are read."""
    course: Mapping[str, Any] = plan.result["course"]
    planned = tuple(int(day) for day in course["offsets_days"])
    before = done_before(plan) if before is None else before
    offsets = planned[: max(most_sessions(plan) - len(before), 0)] if before else planned
    shortest = int(course["min_gap_days"])
    longest = int(course["max_gap_days"])
    windows = {int(window["session"]): window for window in course.get("windows_days") or ()}
    pacing = [Pacing()]
    for number in range(2, len(planned) + 1):
        ideal = planned[number - 1] - planned[number - 2]
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
        done_before=len(before),
        left_out=len(planned) - len(offsets),
        follows=before[-1] if before else None,
        shortest_gap=shortest,
    )


def most_sessions(plan: Plan) -> int:
    """Return how many sessions a course may have at most by the plan's formulary."""
    return int(documents_of(plan.formulary)["course"]["sessions"][MOST_SESSIONS])


def cut_courses(amended: Iterable[int]) -> dict[int, int]:
    """How many sessions the courses of these plans have, by primary key, where what was done before cut them.

    As `terms_of` has it, for many at once: the same few queries for one as for a whole calendar, none without any.
    """
    wanted = set(amended)
    if not wanted:
        return {}
    most_allowed = F(f"formulary__documents__course__sessions__{MOST_SESSIONS}")
    plans = Plan.objects.filter(pk__in=wanted).values_list("pk", "result__course__sessions", most_allowed)
    older = dict(Plan.objects.filter(patient__plans__in=wanted).values_list("pk", "supersedes_id"))
    performed = TreatmentSession.objects.filter(status=TreatmentSessionStatus.PERFORMED, plan__in=older)
    done = Counter(performed.values_list("plan_id", flat=True))
    found = {}
    for key, planned, most in plans:
        before = sum(done[version] for version in versions_before(key, older))
        if before and planned:
            found[key] = min(int(planned), max(int(most) - before, 0))
    return found


def versions_before(plan: int, supersedes: Mapping[int, int | None]) -> Iterator[int]:
    """The versions that this one replaced, newest first, by primary key; ``supersedes`` names each one's own."""
    version = supersedes.get(plan)
    while version is not None:
        yield version
        version = supersedes.get(version)


def amended_by(plan: Plan) -> list[int]:
    """The plans that this one supersedes, by primary key: their sessions belong to the same course."""
    if plan.supersedes_id is None:
        return []
    older, found = plan.supersedes, []
    while older is not None:
        found.append(older.pk)
        older = older.supersedes
    return found


def done_before_all(plans: Sequence[Plan]) -> dict[int, list[date]]:
    """The days of the sessions done before each of these plans was amended, by primary key; two queries at most."""
    amended = [plan.pk for plan in plans if plan.supersedes_id is not None]
    found: dict[int, list[date]] = {plan.pk: [] for plan in plans}
    if not amended:
        return found
    older = dict(Plan.objects.filter(patient__plans__in=amended).values_list("pk", "supersedes_id"))
    days: dict[int, list[date]] = {}
    done = TreatmentSession.objects.filter(plan__in=older, status=TreatmentSessionStatus.PERFORMED)
    for key, at, zone in done.values_list("plan_id", "performed_at", "appointment__site__time_zone"):
        days.setdefault(key, []).append(at.astimezone(ZoneInfo(zone)).date())
    for key in amended:
        found[key] = sorted(day for version in versions_before(key, older) for day in days.get(version, ()))
    return found


def done_before(plan: Plan) -> list[date]:
    """The days of the sessions done under the plans that this one supersedes."""
    older = amended_by(plan)
    if not older:
        return []
    done = TreatmentSession.objects.filter(plan_id__in=older, status=TreatmentSessionStatus.PERFORMED)
    return sorted(
        session.performed_at.astimezone(session.appointment.site.tz).date()
        for session in done.select_related("appointment__site")
    )
