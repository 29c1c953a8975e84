"""Many registrations at once. As a script it makes its own SQLite file: an in-memory database has no races."""

from __future__ import annotations

import sys
import threading
from datetime import date

THREADS = 10


def register_at_once() -> tuple[list[str], list[int]]:
    """What failed, and the numbers that were given."""
    from django.db import connections

    from patients.actions import register_patient
    from tests import factories

    cleo = factories.user(given_name="Cleo", roles=["receptionist"])
    site = cleo.sites.get()
    numbers: list[int] = []
    failures: list[str] = []
    start = threading.Barrier(THREADS)

    def register(index: int) -> None:
        try:
            start.wait()
            patient = register_patient(
                given_name=f"Person {index}",
                family_name="Race",
                birth_date=date(1990, 1, 1),
                sex_at_birth="female",
                email="",
                phone="",
                language="en",
                contact_allowed=False,
                site=site,
                by=cleo,
            )
            numbers.append(patient.number)
        except Exception as failure:
            failures.append(repr(failure))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=register, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures, sorted(numbers)


if __name__ == "__main__":
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    failures, numbers = register_at_once()
    print(*failures, *numbers)
    sys.exit(bool(failures))
