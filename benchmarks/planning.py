"""Planning a course of five over six months, by how full the calendar is and by how many could treat.

The reference is the same course on an empty calendar with one practitioner.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from statistics import median
from time import perf_counter
from zoneinfo import ZoneInfo

from benchmarks._measuring import beside, spread
from sessions.planner import Agenda, Booked, Calendar, Hours, NoSeries, Pacing, Wishes, plan_series

ZONE = ZoneInfo("Europe/Paris")
FIRST = date(2026, 11, 30)
WEEK = tuple(Hours(day, time(9), time(17)) for day in range(5))
DAYS = 183 + 120
ROUNDS = 40


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


def measure(*, people: int, rooms: int, occupancy: float, rounds: int = ROUNDS) -> tuple[list[float], int]:
    """Each round another calendar. How long each took, and for how many no series exists."""
    taken, none = [], 0
    for number in range(rounds):
        calendar = site(f"{people} {occupancy} {number}", people=people, rooms=rooms, occupancy=occupancy)
        began = perf_counter()
        try:
            plan_series(pacing=pacing(), minutes=40, calendar=calendar, wishes=Wishes(earliest=FIRST))
        except NoSeries:
            none += 1
        taken.append(perf_counter() - began)
    return taken, none


def main() -> None:
    empty = median(measure(people=1, rooms=1, occupancy=0)[0]) * 1000
    for occupancy in (0.10, 0.60, 0.95):
        taken, none = measure(people=3, rooms=2, occupancy=occupancy)
        print(f"  3 practitioners, 2 rooms, {occupancy:4.0%} full     {spread(taken)}   without a series: {none}")
    for people in (1, 2, 5, 10, 20):
        taken, _none = measure(people=people, rooms=max(2, people), occupancy=0.6, rounds=10)
        beside(f"{people} practitioners, 60% full", median(taken) * 1000, "empty", empty, unit="ms")


if __name__ == "__main__":
    main()
