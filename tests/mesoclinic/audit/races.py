"""Eight people extend the trail at once. As a script it makes its own SQLite file: one in memory has no races."""

from __future__ import annotations

import sys
import threading

THREADS, EVENTS = 8, 10


def extend_at_once() -> list[str]:
    """What failed."""
    from django.db import connections, transaction

    from mesoclinic.audit import trail
    from tests import factories

    person = factories.user(given_name="Ada")
    failures: list[str] = []
    start = threading.Barrier(THREADS)

    def extend(thread: int) -> None:
        try:
            start.wait()
            for number in range(EVENTS):
                with transaction.atomic():
                    trail.record("probe.done", by=person, details={"thread": thread, "number": number})
        except Exception as failure:
            failures.append(repr(failure))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=extend, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def outcome() -> tuple[list[str], int, bool]:
    """(failures, number of events, whether the chain is whole)"""
    from mesoclinic.audit import trail
    from mesoclinic.audit.models import AuditEvent

    failures = extend_at_once()
    return failures, AuditEvent.objects.count(), trail.first_broken() is None


if __name__ == "__main__":
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    print(outcome())
    sys.exit(0)
