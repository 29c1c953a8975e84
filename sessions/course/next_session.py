"""Which session of a course is to be booked next: the one home of the question."""

from __future__ import annotations

from collections.abc import Collection


def next_session(kept: Collection[int], *, sessions: int, left_out: Collection[int] = ()) -> int | None:
    """Return the first session that is neither booked nor done nor left out on purpose; None where there is none.

    A hole between two booked sessions comes before what follows the last one.
    """
    return next(iter(unbooked_sessions(kept, sessions=sessions, left_out=left_out)), None)


def unbooked_sessions(kept: Collection[int], *, sessions: int, left_out: Collection[int] = ()) -> list[int]:
    """Return every session that is neither booked nor done nor left out on purpose, the first first."""
    return [number for number in range(1, sessions + 1) if number not in kept and number not in left_out]
