"""Many registrations at once, of many people and of one.

As a script it makes its own SQLite file: an in-memory database has no races.
"""

from __future__ import annotations

import json
import threading
from datetime import date
from uuid import UUID, uuid4

THREADS = 10


def register_one_at_once(*, same_page: bool) -> tuple[list[str], list[int]]:
    """The same person from one page sent many times, or from as many pages: the refusals, and the numbers given."""
    key = uuid4() if same_page else None
    return register_at_once(given_name="Twice", key=key)


def register_at_once(given_name: str = "", key: UUID | None = None) -> tuple[list[str], list[int]]:
    """What failed, and the numbers that were given."""
    from django.db import connections

    from patients.actions.record import register_patient
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
                given_name=given_name or f"Person {index}",
                family_name="Race",
                birth_date=date(1990, 1, 1),
                sex_at_birth="female",
                email="",
                phone="",
                language="en",
                contact_allowed=False,
                site=site,
                by=cleo,
                key=key,
            )
            numbers.append(patient.number)
        except Exception as failure:
            failures.append(type(failure).__name__)
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
    print(json.dumps([register_at_once(), register_one_at_once(same_page=True), register_one_at_once(same_page=False)]))
