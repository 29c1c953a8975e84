"""Runs part of the suite under other clocks: what passes on a Wednesday morning has to pass on every evening as well.

    python scripts/other_clocks.py [arguments for pytest]

One run of pytest holds all clocks, each test named with its own, as its set-up costs more than many of its tests.
Each clock has the files that its kind can trouble, and each test of them stands at one of its clocks; in the deep run
it is repeated at all. ``MESOCLINIC_TEST_INSTANT=… make test`` runs the whole suite at one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zlib import crc32

ROOT = Path(__file__).resolve().parent.parent
AHEAD = (
    "booking",
    "booking_choices",
    "planner",
    "calendar",
    "followups",
    "moving",
    "answers",
    "mails",
    "late",
    "feeds",
)
BOOKED = tuple(f"tests/sessions/test_{name}.py" for name in AHEAD)
OF_PATIENTS = tuple(
    f"tests/patients/test_{name}.py" for name in ("patient_actions", "patient_pages", "intake_actions", "reviews")
)
TODAY = ("tests/sessions/test_pages.py", "tests/sessions/test_record_safety.py", "tests/sessions/test_inbox.py")
CLOCKS = {
    "the evening of a last of the month": ("2031-02-28T23:30:00+01:00", (*BOOKED, *TODAY, *OF_PATIENTS)),
    "before the clock goes forward": ("2027-03-28T01:30:00+01:00", BOOKED),
    "the hour that comes twice": ("2027-10-31T02:30:00+01:00", BOOKED),
    "29 February": ("2028-02-29T09:30:00+01:00", (*BOOKED, *OF_PATIENTS)),
}
"""By name: an instant in the zone of the sample, and the files of tests that are run at it."""


def clocks_of(test: str) -> dict[str, str]:
    """Return by name the instants at which a test is run, given as its file and name: one of its file's, or in the
    deep run all. Which one hangs on the test's name alone, so that a failure is seen again."""
    of_file = {name: instant for name, (instant, parts) in CLOCKS.items() if test.partition("::")[0] in parts}
    if os.environ.get("MESOCLINIC_DEEP") or not of_file:
        return of_file
    name = list(of_file)[crc32(test.encode()) % len(of_file)]
    return {name: of_file[name]}


def main() -> int:
    parts = dict.fromkeys(part for _instant, parts in CLOCKS.values() for part in parts)
    return subprocess.call(
        [sys.executable, "-m", "pytest", *sys.argv[1:], *parts],
        cwd=ROOT,
        env={**os.environ, "MESOCLINIC_OTHER_CLOCKS": "1"},
    )


if __name__ == "__main__":
    sys.exit(main())
