"""Fifty people book the same time at once: one gets it, the others are told why not.

    python tests/faults/booking_races.py [--threads 50] [--processes 50] [--rounds 1] [--crowd 24]

On a scratch SQLite file, or with DATABASE_URL on a scratch database that is made on that server and dropped again.
Every contest (same practitioner, same room, same slot, same patient, same course, the same undo, an undo against
bookings) runs with threads, then with processes; it fails unless each has exactly one booking, the rest clear refusals,
and no overlap is left. Then a crowd
books and moves at once over ten slots of three practitioners and two rooms, some of them on purpose over what is there:
nobody may end without an answer, and no overlap may be left that the rules forbid. A deadlock or a locked database that
reaches a user fails it as well.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
DEEP = os.environ.get("MESOCLINIC_DEEP") == "1"


@contextmanager
def scratch_database() -> Iterator[str]:
    """The URL of an empty database that goes away afterwards."""
    server = os.environ.get("DATABASE_URL", "")
    with tempfile.TemporaryDirectory(prefix="booking-races-") as folder:
        os.environ["MESOCLINIC_DATA_DIR"] = folder
        os.environ.setdefault("SECRET_KEY", "only-for-races-" + "x" * 40)
        if not server.startswith("postgres"):
            yield f"sqlite:///{folder}/races.sqlite3"
            return
        import psycopg2

        name = f"booking_races_{os.getpid()}"
        connection = psycopg2.connect(server)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            with connection.cursor() as cursor:
                cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            connection.close()


def main(threads: int, processes: int, rounds: int, crowd: int) -> int:
    with scratch_database() as url:
        os.environ["DATABASE_URL"] = url
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection, connections

        from sessions.booking import actions
        from sessions.booking import move as moving
        from sessions.booking import undo as undoing
        from tests.sessions import races

        for module in (actions, moving, undoing):  # prints need a whole formulary
            module.prepare_dated_prints = lambda plan, by: None  # type: ignore[attr-defined]
        call_command("migrate", verbosity=0)
        house = races.clinic(people=max(threads, processes, crowd))
        print(f"{connection.vendor}: {threads} threads, {processes} processes, {rounds} round(s) of each contest")
        bad, number = 0, 0
        for kind, run, people in (("threads", races.in_threads, threads), ("processes", races.in_processes, processes)):
            for contest, wanted in (races.CONTESTS | races.UNDOS).items() if rounds else ():
                booked, refused, failed = 0, Counter[str](), Counter[str]()
                slowest, began = 0.0, time.monotonic()
                for _round in range(rounds):
                    outcome = run(wanted(house, races.slot(house.site, number))[:people])
                    number += 1
                    booked += outcome.booked
                    refused.update(outcome.refused)
                    failed.update(outcome.failed)
                    slowest = max(slowest, *outcome.seconds)
                    left = races.overlaps()
                    if outcome.booked != 1 or len(outcome.refused) != people - 1 or outcome.failed or left:
                        bad += 1
                        print(f"  WRONG: {outcome.booked} booked, {len(outcome.refused)} refused, {left} overlaps")
                        for text, count in Counter(outcome.failed).most_common(5):
                            print(f"    {count} x {text}")
                    races.clear(house)
                print(
                    f"  {kind:<9} same {contest:<12} booked {booked}/{rounds}, refused {refused.total()}, "
                    f"failed {failed.total()}, slowest answer {slowest:.2f} s, {time.monotonic() - began:.1f} s"
                )
                for text, count in refused.most_common(3):
                    print(f"            {count} x {text}")
        for kind, run in (("threads", races.in_threads), ("processes", races.in_processes)):
            began, at = time.monotonic(), races.slot(house.site, 20 * (number // 20 + 8))
            number += 200
            attempts = races.crowd(house, at)[:crowd]
            outcome, left = run(attempts), races.overlaps()
            answered = outcome.booked + len(outcome.refused)
            print(
                f"  {kind:<9} {len(attempts)} creates and moves over 10 slots: {outcome.booked} got through, "
                f"{races.overbooked()} of them overbooked on purpose, {len(outcome.refused)} told why not, "
                f"{len(outcome.failed)} failed, {left} overlaps, "
                f"slowest answer {max(outcome.seconds):.2f} s, {time.monotonic() - began:.1f} s"
            )
            sentences = Counter(
                re.sub(r" \d+ |\d\d:\d\d|Ada Moreau \d+|Room \d+", " … ", text) for text in outcome.refused
            )
            for text, count in sentences.most_common(6) + Counter(outcome.failed).most_common(3):
                print(f"            {count} x {text}")
            bad += bool(left or outcome.failed or answered != len(attempts) or not outcome.booked)
            races.clear(house)
        connections.close_all()
    print("Wrong rounds: " + str(bad) if bad else "Every time was booked exactly once.")
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Race for the same time.")
    parser.add_argument("--threads", type=int, default=50)
    parser.add_argument("--processes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=20 if DEEP else 1)
    parser.add_argument("--crowd", type=int, default=200 if DEEP else 24, help="creates and moves over ten slots")
    given = parser.parse_args()
    sys.exit(main(given.threads, given.processes, given.rounds, given.crowd))
