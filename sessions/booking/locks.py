"""Two bookings at once: who waits for whom, and one more try where the database chose a victim.

The overlap guards decide; these locks only keep two racing transactions from waiting for each other. On PostgreSQL
racing inserts under an exclusion constraint can deadlock, so every booking first takes advisory locks on what it wants,
always in the same order: practitioners, rooms, patients, each by id. SQLite has one writer at a time (immediate
transactions). Who waits for it there asks again and again and may be passed over until the time is up. So bookings
stand in a line of their own first: a lock on a file beside the database, which ends with the process that holds it.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from django.db import OperationalError, connection
from django.utils.translation import gettext as _

from mesoclinic.core.errors import DomainError

_PRACTITIONER, _ROOM, _PATIENT = 7_301, 7_302, 7_303
Result = TypeVar("Result")
_turn = threading.local()


class Busy(DomainError):
    """The database refused twice to let the transaction through; nothing was changed."""

    status = 503


def lock_time(*, practitioner_ids: Iterable[int], room_ids: Iterable[int], patient_id: int) -> None:
    """Wait until nobody else is booking any of these. Held until the transaction ends."""
    if connection.vendor != "postgresql":
        return
    wanted = [
        *((_PRACTITIONER, practitioner_id) for practitioner_id in sorted(set(practitioner_ids))),
        *((_ROOM, room_id) for room_id in sorted(set(room_ids))),
        (_PATIENT, patient_id),
    ]
    with connection.cursor() as cursor:
        for kind, key in wanted:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [kind, key % 2**31])


def with_one_retry(attempt: Callable[[], Result]) -> Result:
    """Run a whole transaction; if the database picked it as a victim, run it once more, unseen.

    Inside somebody else's transaction there is nothing to retry: that one is broken, and its owner has to begin again.
    """
    if connection.in_atomic_block:
        return attempt()
    with _line():
        return _twice(attempt)


@contextmanager
def _line() -> Iterator[None]:
    """Wait for one's turn to book, on SQLite in a file. Who has it may come again."""
    on_file = connection.vendor == "sqlite" and not connection.is_in_memory_db()  # type: ignore[attr-defined]
    if not on_file or getattr(_turn, "mine", False):
        yield
        return
    with Path(f"{connection.settings_dict['NAME']}-bookings").open("a") as line:
        fcntl.flock(line, fcntl.LOCK_EX)
        _turn.mine = True
        try:
            yield
        finally:
            _turn.mine = False


def _twice(attempt: Callable[[], Result]) -> Result:
    try:
        return attempt()
    except OperationalError:
        pass
    try:
        return attempt()
    except OperationalError as error:
        raise Busy(_("Too many bookings at the same moment. Nothing was changed; please try again.")) from error
