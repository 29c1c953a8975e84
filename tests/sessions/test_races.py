"""The races of tests/faults/booking_races.py at a small count, on whichever engine the suite runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sessions import races

PEOPLE = 12
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("contest", list(races.CONTESTS))
def test_many_threads_for_one_time_give_one_booking_on_postgresql(contest: str) -> None:
    house = races.clinic(people=PEOPLE)

    outcome = races.in_threads(races.CONTESTS[contest](house, races.slot(house.site, 9)))

    assert (outcome.booked, len(outcome.refused), outcome.failed) == (1, PEOPLE - 1, [])
    assert races.overlaps() == 0


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("contest", list(races.UNDOS))
def test_visit_is_put_back_once_and_never_over_a_booking_on_postgresql(contest: str) -> None:
    house = races.clinic(people=PEOPLE)

    outcome = races.in_threads(races.UNDOS[contest](house, races.slot(house.site, 3)))

    assert (outcome.booked, len(outcome.refused), outcome.failed) == (1, PEOPLE - 1, [])
    assert races.overlaps() == 0


@pytest.mark.sqlite
def test_many_threads_and_processes_for_one_time_give_one_booking_on_a_sqlite_file() -> None:
    """In a process of its own: an in-memory database has no races."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [
            sys.executable,
            "tests/faults/booking_races.py",
            "--threads",
            str(PEOPLE),
            "--processes",
            "6",
            "--rounds",
            "1",
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "Every time was booked exactly once."
