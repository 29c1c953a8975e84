"""Runs part of the suite under other clocks: what passes on a Wednesday morning has to pass on every evening as well.

    python scripts/other_clocks.py [arguments for pytest]

Each clock has the parts that its kind can trouble. ``MESOCLINIC_TEST_INSTANT=… make test`` runs the whole.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

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
TODAY = ("tests/sessions/test_pages.py", "tests/sessions/test_record_safety.py", "tests/sessions/test_inbox.py")
CLOCKS = {
    "evening, the last of a month": ("2031-02-28T23:30:00+01:00", (*BOOKED, *TODAY, "tests/patients")),
    "before the clock goes forward": ("2027-03-28T01:30:00+01:00", BOOKED),
    "the hour that comes twice": ("2027-10-31T02:30:00+01:00", BOOKED),
    "29 February": ("2028-02-29T09:30:00+01:00", (*BOOKED, "tests/patients/test_patient_actions.py")),
}
"""By name: an instant in the zone of the sample, and the tests that are run at it."""


def main() -> int:
    told = []
    for name, (instant, parts) in CLOCKS.items():
        print(f"\n--- {name}: {instant}", flush=True)
        began = time.monotonic()
        code = subprocess.call(
            [sys.executable, "-m", "pytest", *sys.argv[1:], *parts],
            cwd=ROOT,
            env={**os.environ, "MESOCLINIC_TEST_INSTANT": instant},
        )
        told.append((name, code, time.monotonic() - began))
    print()
    for name, code, seconds in told:
        print(f"{name:32} {'ok' if code == 0 else f'FAILED ({code})':10} {seconds:6.0f} s")
    return int(any(code for _name, code, _seconds in told))


if __name__ == "__main__":
    sys.exit(main())
