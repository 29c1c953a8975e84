"""Course: how many sessions, when, how long, how deep. Days are counted from the first session; there is no clock."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from protocols.engine.inputs.formulary import Formulary
from protocols.engine.inputs.model import CourseBand, Method
from protocols.engine.inputs.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Window:
    session: int
    earliest: int
    ideal: int
    latest: int


@dataclass(frozen=True, kw_only=True)
class Spacing:
    """At least so many days between two sessions, because both hold this ingredient."""

    ingredient: str
    from_session: int
    to_session: int
    min_days: int


@dataclass(frozen=True, kw_only=True)
class Review:
    key: str
    after_session: int | None
    offset_days: int
    earliest_days: int
    latest_days: int
    measures: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    offsets: tuple[int, ...]
    name: str
    windows: tuple[Window, ...]
    min_gap: int
    ideal_gap: int
    max_gap: int
    spacings: tuple[Spacing, ...]
    uses: Mapping[str, tuple[int, ...]]
    """For each ingredient with an interval of its own that leaves it out of a session: the sessions that hold it."""
    reviews: tuple[Review, ...]

    @property
    def span(self) -> int:
        return self.offsets[-1]


def points(area_cm2: Decimal, formulary: Formulary) -> int:
    """Injection points: each band of area adds its own; halves are rounded up. (course, technique.spacing_rule)"""
    total = Decimal(0)
    for band in formulary.course.spacing:
        part = min(area_cm2, band.up_to_cm2) - band.from_cm2
        if part > 0:
            total += part / band.cm2_per_point
    return int(total.to_integral_value(ROUND_HALF_UP))


def minutes(area_cm2: Decimal, formulary: Formulary) -> int:
    """Minutes of injecting: from the shortest, one more for each further so many cm2. (course, session_duration)"""
    rules = formulary.course
    wanted = rules.minutes_base + (area_cm2 - rules.minutes_from_cm2) / rules.minutes_cm2_per_minute
    return max(rules.minutes_min, min(rules.minutes_max, int(wanted.to_integral_value(ROUND_CEILING))))


def target_volume(area_cm2: Decimal, formulary: Formulary) -> Decimal:
    """(course, technique.target_volume and max_total_volume_per_session)"""
    rules = formulary.course
    wanted = max(rules.target_min_ml, min(rules.target_max_ml, rules.target_per_cm2 * area_cm2))
    return min(wanted, rules.ceiling_ml)


def technique(concerns: tuple[str, ...], ingredients: tuple[str, ...], formulary: Formulary) -> Method:
    for method in formulary.course.methods:
        if set(method.for_concerns) & set(concerns) or set(method.for_ingredients) & set(ingredients):
            return method
    return next(method for method in formulary.course.methods if method.is_default)


def offsets(severity: str, policy: Policy, formulary: Formulary) -> tuple[str, tuple[int, ...]]:
    """The days of the sessions, and the name of the schedule they come from."""
    band = formulary.course.bands[severity]
    count = band.sessions_default
    if policy.sessions is not None:
        count = max(band.sessions_min, min(band.sessions_max, policy.sessions))
    named = dict(band.schedules)
    if policy.schedule in named and (policy.sessions is None or len(named[policy.schedule]) == count):
        return policy.schedule, named[policy.schedule]
    if len(band.default_offsets) == count:
        return "default", band.default_offsets
    for name, days in band.schedules:
        if len(days) == count:
            return name, days
    return "even", _even(count, band)


def _even(count: int, band: CourseBand) -> tuple[int, ...]:
    """Equal gaps, as near to the usual one as the span allows."""
    if count == 1:
        return (0,)
    gaps = count - 1
    least, most = -(-band.span_min // gaps), band.span_max // gaps
    gap = max(band.interval_min, least, min(band.interval_default, most, band.interval_max))
    return tuple(gap * place for place in range(count))


def schedule(severity: str, intervals: Mapping[str, int], policy: Policy, formulary: Formulary) -> Schedule:
    """The course for a severity, given the chosen ingredients with their own shortest intervals."""
    band = formulary.course.bands[severity]
    name, days = offsets(severity, policy, formulary)
    min_gap = max(band.interval_min, formulary.course.absolute_min_interval)
    uses = {key: _uses(days, interval) for key, interval in sorted(intervals.items())}
    spacings = tuple(
        Spacing(ingredient=key, from_session=a, to_session=b, min_days=intervals[key])
        for key, sessions in uses.items()
        for a, b in itertools.pairwise(sessions)
        if intervals[key] > min_gap * (b - a)
    )
    return Schedule(
        offsets=days,
        name=name,
        windows=_windows(days, band, min_gap, spacings),
        min_gap=min_gap,
        ideal_gap=band.interval_default,
        max_gap=band.interval_max,
        spacings=spacings,
        uses={key: sessions for key, sessions in uses.items() if len(sessions) < len(days)},
        reviews=_reviews(days, severity, formulary),
    )


def _uses(days: tuple[int, ...], interval: int) -> tuple[int, ...]:
    """The sessions, numbered from 1, that may hold an ingredient with this interval: the first, then as soon as may."""
    used: list[int] = []
    last: int | None = None
    for number, day in enumerate(days, start=1):
        if last is None or day - last >= interval:
            used.append(number)
            last = day
    return tuple(used)


def _windows(
    days: tuple[int, ...], band: CourseBand, min_gap: int, spacings: tuple[Spacing, ...]
) -> tuple[Window, ...]:
    """For each session the first and the last day on which a course inside all limits can still hold it."""
    count = len(days)
    rules = [(k, k + 1, min_gap) for k in range(count - 1)]
    rules += [(spacing.from_session - 1, spacing.to_session - 1, spacing.min_days) for spacing in spacings]
    early, late = [0] * count, [0] + [band.span_max] * (count - 1)
    if count > 1:
        early[-1] = band.span_min
    for _ in range(2 * count):  # each limit pulls its neighbours along until nothing can move any more
        for a, b, gap in rules:
            early[b] = max(early[b], early[a] + gap)
            late[a] = min(late[a], late[b] - gap)
        for k in range(1, count):
            late[k] = min(late[k], late[k - 1] + band.interval_max)
            early[k - 1] = max(early[k - 1], early[k] - band.interval_max)
    return tuple(Window(session=k + 1, earliest=early[k], ideal=days[k], latest=late[k]) for k in range(count))


def _reviews(days: tuple[int, ...], severity: str, formulary: Formulary) -> tuple[Review, ...]:
    last = days[-1]
    reviews: list[Review] = []
    for checkpoint in formulary.course.checkpoints:
        if severity not in checkpoint.applies_to:
            continue
        after, session = checkpoint.after_session, None
        if after is not None and after <= len(days):
            session, due = after, (days[after - 1],) * 3
        elif checkpoint.days_after_last is not None:
            due = (last + checkpoint.days_after_last,) * 3
        elif checkpoint.fallback_default is not None:
            due = (
                last + (checkpoint.fallback_min or 0),
                last + checkpoint.fallback_default,
                last + (checkpoint.fallback_max or checkpoint.fallback_default),
            )
        else:
            continue
        reviews.append(
            Review(
                key=checkpoint.key,
                after_session=session,
                offset_days=due[1],
                earliest_days=due[0],
                latest_days=due[2],
                measures=checkpoint.measures,
            )
        )
    return tuple(reviews)
