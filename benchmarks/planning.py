"""Planning a course of five over six months, by how full the calendar is and by how many could treat.

The reference is HiGHS, through SciPy, on a part of the same question: which days are least off the ideal gaps, where on
each day anybody is free. Both have to find the same sum; who, when and in which room is the planner's alone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from statistics import median
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from benchmarks._measuring import beside, spread
from sessions.planner import (
    FORTNIGHT,
    HORIZON_DAYS,
    STEP,
    Agenda,
    Booked,
    Calendar,
    Hours,
    NoSeries,
    Pacing,
    Ranking,
    Wishes,
    plan_series,
    ranking_key,
)

ZONE = ZoneInfo("Europe/Paris")
FIRST = date(2026, 11, 30)
WEEK = tuple(Hours(day, time(9), time(17)) for day in range(5))
DAYS = 183 + 120
ROUNDS = 40
MINUTES = 40


def pacing() -> list[Pacing]:
    middle = [Pacing(gap_min=28, gap_ideal=35, gap_max=56, offset_max=168) for _ in range(3)]
    return [Pacing(), *middle, Pacing(gap_min=28, gap_ideal=35, gap_max=56, offset_min=120, offset_max=168)]


def booked(random: Random, occupancy: float) -> Booked:
    """Visits of 40 minutes, as many as fill this share of the hours."""
    busy = []
    for ahead in range(DAYS):
        day = FIRST + timedelta(days=ahead)
        for place in range(12):
            if random.random() < occupancy:
                start = datetime.combine(day, time(9), tzinfo=ZONE).astimezone(UTC) + timedelta(minutes=40 * place)
                busy.append((start, start + timedelta(minutes=40)))
    return Booked(busy)


def site(seed: str, *, people: int, rooms: int, occupancy: float) -> Calendar:
    random = Random(seed)
    agendas = [Agenda(hours=WEEK, booked=booked(random, occupancy)) for _ in range(people)]
    return Calendar(
        zone=ZONE,
        hours=agendas[0].hours,
        practitioner=agendas[0].booked,
        colleagues=dict(enumerate(agendas[1:], start=1)),
        rooms={key: booked(random, occupancy / 2) for key in range(rooms)},
    )


def open_days(calendar: Calendar) -> list[int]:
    """The days on which anybody is free in any room, counted from the first; found without the planner's search."""
    length, found = timedelta(minutes=MINUTES), []
    for ahead in range(DAYS):
        day = FIRST + timedelta(days=ahead)
        begins = datetime.combine(day, time(9), tzinfo=ZONE).astimezone(UTC)
        starts = [begins + n * STEP for n in range(29) if begins + n * STEP + length <= begins + timedelta(hours=8)]
        if day.weekday() < 5 and any(
            agenda.booked.free(start, start + length) and room.free(start, start + length)
            for agenda in calendar.agendas().values()
            for room in calendar.rooms.values()
            for start in starts
        ):
            found.append(ahead)
    return found


def least_days_off(days: list[int], fortnight: int) -> int | None:
    """By HiGHS: the least days off the ideal gaps of a course that begins in this fortnight; None if there is none."""
    paces = pacing()
    sessions, wide = len(paces), len(paces) * len(days)
    rows, low, high = [], [], []

    def row(entries: dict[int, float], least: float, most: float) -> None:
        line = np.zeros(wide + sessions)
        for place, value in entries.items():
            line[place] = value
        rows.append(line)
        low.append(least)
        high.append(most)

    def gap(one: int, other: int) -> dict[int, float]:
        """The days from session ``one`` to session ``other``."""
        count = len(days)
        entries = {other * count + place: float(day) for place, day in enumerate(days)}
        return entries | {one * count + place: -float(day) for place, day in enumerate(days)}

    for number, pace in enumerate(paces):
        row({number * len(days) + place: 1 for place in range(len(days))}, 1, 1)
        if number:
            row(gap(number - 1, number), pace.gap_min, pace.gap_max)
            row(gap(0, number), pace.offset_min, pace.offset_max)
            row(gap(number - 1, number) | {wide + number: -1}, -np.inf, pace.gap_ideal)
            row(gap(number - 1, number) | {wide + number: 1}, pace.gap_ideal, np.inf)
    upper = np.ones(wide + sessions)
    upper[wide:] = np.inf
    for place, day in enumerate(days):
        if not fortnight * FORTNIGHT <= day < (fortnight + 1) * FORTNIGHT or day > HORIZON_DAYS:
            upper[place] = 0
    solved = milp(
        c=np.r_[np.zeros(wide), np.ones(sessions)],
        constraints=LinearConstraint(np.array(rows), low, high),
        bounds=Bounds(0, upper),
        integrality=np.r_[np.ones(wide), np.zeros(sessions)],
    )
    return round(solved.fun) if solved.success else None


def measure(*, people: int, rooms: int, occupancy: float, rounds: int, solved: int) -> None:
    """Each round another calendar; the first ``solved`` of them by HiGHS as well."""
    taken, reference, none = [], [], 0
    for number in range(rounds):
        calendar = site(f"{people} {occupancy} {number}", people=people, rooms=rooms, occupancy=occupancy)
        given: dict[str, Any] = {"pacing": pacing(), "calendar": calendar, "wishes": Wishes(earliest=FIRST)}
        best: Ranking | None = None
        began = perf_counter()
        try:
            slots = plan_series(minutes=MINUTES, **given)
        except NoSeries:
            none += 1
        else:
            best = ranking_key(slots, **given)
        taken.append(perf_counter() - began)
        if number < solved:
            days = open_days(calendar)
            began = perf_counter()
            fortnight, least = 0, None
            while least is None and fortnight * FORTNIGHT <= HORIZON_DAYS:
                least = least_days_off(days, fortnight)
                fortnight += 1
            reference.append(perf_counter() - began)
            expected = None if best is None else (best.fortnights_waited, best.days_off_ideal)
            assert (None if least is None else (fortnight - 1, least)) == expected
    name = f"{people} practitioners, {rooms} rooms, {occupancy:.0%} full"
    print(f"  {name:<40} {spread(taken)}   without a series: {none} of {rounds}")
    beside(name, median(taken) * 1000, "HiGHS, days alone", median(reference) * 1000, unit="ms")


def main() -> None:
    for occupancy in (0.10, 0.60, 0.95):
        measure(people=3, rooms=2, occupancy=occupancy, rounds=ROUNDS, solved=5)
    for occupancy in (0.60, 0.95):
        for people in (1, 2, 5, 10, 20):
            measure(people=people, rooms=max(2, people), occupancy=occupancy, rounds=20, solved=3)


if __name__ == "__main__":
    main()
