"""Many small commits a second, on a disk that needs milliseconds for each.

A commit of SQLite that does not wait for the disk is there for everybody at once and survives the death of the process
that made it; only a machine that stops can lose it. The next commit that waits covers all before it. PostgreSQL is a
process of its own and may die alone, so there every commit waits, as always.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, connection


@contextmanager
def not_waiting_for_the_disk() -> Iterator[None]:
    """On SQLite, and outside of a transaction; afterwards commits wait as before."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        (usual,) = cursor.fetchone()
        cursor.execute("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA synchronous={int(usual)}")
        except Error:
            connection.close()  # it is of no more use; the next one begins as usual
