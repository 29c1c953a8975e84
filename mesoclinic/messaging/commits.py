"""Many small commits a second, on a disk that needs milliseconds for each.

A commit that does not wait for the disk is there for everybody at once and survives the death of the process that made
it; only the machine, or the database's own process, can lose it. The next commit that waits covers all before it. So
every few commits one waits, and a power cut forgets no more than those few.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from django.db import Error, connection, transaction


class Commits:
    """Within it every ``wait_for_each``-th commit waits for the disk. Inside another transaction it changes nothing."""

    def __init__(self, *, wait_for_each: int) -> None:
        self.wait_for_each = wait_for_each
        self.made = 0
        self.waits = True
        self.usual = ""

    def __enter__(self) -> Self:
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA synchronous")
                self.usual = f"PRAGMA synchronous={cursor.fetchone()[0]}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._wait(True)
        except Error:
            connection.close()  # it is of no more use, and the next one begins as usual

    @contextmanager
    def one(self, *, wait: bool = False) -> Iterator[None]:
        self.made += 1
        self._wait(wait or self.made % self.wait_for_each == 0)
        with transaction.atomic():
            yield

    def _wait(self, wanted: bool) -> None:
        if wanted == self.waits or connection.in_atomic_block:
            return
        if connection.vendor == "sqlite":
            statement = self.usual if wanted else "PRAGMA synchronous=NORMAL"
        else:
            statement = "RESET synchronous_commit" if wanted else "SET synchronous_commit = off"
        with connection.cursor() as cursor:
            cursor.execute(statement)
        self.waits = wanted
