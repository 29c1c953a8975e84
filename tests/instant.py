"""The instant at which every test stands, so that no test passes in the morning and fails in the afternoon.

Each test begins at ``INSTANT``, a Wednesday morning in the sample's zone; the clock then ticks, so that what waits
goes on waiting. ``MESOCLINIC_TEST_INSTANT=2027-03-28T01:30+01:00 make test`` runs the same tests at another one, and
``make test-clocks`` runs a part of them at several, each test at one after the other. A test that wants an instant of
its own says so with ``@pytest.mark.instant("2028-02-29T09:30+01:00")``, or asks for the fixture ``clock`` and moves it.

What time-machine 3.6 does not move, and what holds it here: other processes (``tests.settings`` lets them stand where
the test does, by ``BEHIND``), the database's own now() (``test_clocks.py`` refuses it, in tests and in the product),
and the times of files (refused in tests as well). monotonic() and perf_counter() go on as they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine

VARIABLE = "MESOCLINIC_TEST_INSTANT"
BEHIND = "MESOCLINIC_TEST_CLOCK_BEHIND"  # seconds between the real clock and the test's, for processes it starts
ZONE = ZoneInfo("Europe/Paris")
DEFAULT = "2026-12-02T09:30:00+01:00"


def instant_of(text: str) -> datetime:
    """Read an instant as tests write it: ISO 8601 with its distance from UTC. Raise ValueError where it says none."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} says no distance from UTC: write 2026-12-02T09:30+01:00")
    return instant


INSTANT = instant_of(os.environ.get(VARIABLE) or DEFAULT)


class Clock:
    """The clock of one test. ``move_to`` and ``move_by`` set it; whatever it then starts stands there too."""

    def __init__(self, instant: datetime) -> None:
        self._travel = time_machine.travel(instant, tick=True)
        self._moved = self._travel.start()
        self._tell()

    def move_to(self, instant: datetime | str) -> None:
        """Set the clock to an instant, given as one or as text with its distance from UTC."""
        self._moved.move_to(instant_of(instant) if isinstance(instant, str) else instant)
        self._tell()

    def move_by(self, span: timedelta) -> None:
        """Set the clock on by a span, or back by a negative one."""
        self._moved.shift(span)
        self._tell()

    def stop(self) -> None:
        self._travel.stop()

    def _tell(self) -> None:
        real = time_machine.escape_hatch.time.time()
        os.environ[BEHIND] = str(real - datetime.now(ZONE).timestamp())


def stand() -> None:
    """Stand at the instant from now on; in a process that a test started, where that test stands by now."""
    if time_machine.escape_hatch.is_travelling():
        return
    behind = os.environ.get(BEHIND)
    real = datetime.now(ZONE)
    instant = real - timedelta(seconds=float(behind)) if behind else INSTANT
    time_machine.travel(instant, tick=True).start()
    if not behind:
        os.environ[BEHIND] = str((real - instant).total_seconds())


@pytest.fixture(autouse=True)
def clock(request: pytest.FixtureRequest) -> Iterator[Clock]:
    """The clock of this test, at the suite's instant or at that of its marker ``instant``."""
    marker = request.node.get_closest_marker("instant")
    before = os.environ.get(BEHIND)
    own = marker.args[0] if marker else getattr(request, "param", None)
    clock = Clock(instant_of(own) if own else INSTANT)
    yield clock
    clock.stop()
    if before is None:
        del os.environ[BEHIND]
    else:
        os.environ[BEHIND] = before
