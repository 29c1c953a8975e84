"""Two bookings at once: who waits for whom, and one more try where the database chose a victim.

The overlap guards decide; these locks only keep two racing transactions from waiting for each other. On PostgreSQL
racing inserts under an exclusion constraint can deadlock, so every booking first takes advisory locks on what it wants,
always in the same order: practitioners, rooms, patients, each by id. SQLite has one writer at a time (immediate
transactions) and needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db import OperationalError, connection
from django.utils.translation import gettext as _

from mesoclinic.errors import DomainError

_PRACTITIONER, _ROOM, _PATIENT = 7_301, 7_302, 7_303
Result = TypeVar("Result")


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
    try:
        return attempt()
    except OperationalError:
        pass
    try:
        return attempt()
    except OperationalError as error:
        raise Busy(_("Too many bookings at the same moment. Nothing was changed; please try again.")) from error
