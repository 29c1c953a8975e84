"""On SQLite a batch does not wait for the disk at each letter; afterwards commits wait as before."""

from __future__ import annotations

import pytest
from django.db import connection

from mesoclinic.messaging.sending.commits import not_waiting_for_the_disk


def setting() -> str:
    ask = "PRAGMA synchronous" if connection.vendor == "sqlite" else "SHOW synchronous_commit"
    with connection.cursor() as cursor:
        cursor.execute(ask)
        return str(cursor.fetchone()[0])


@pytest.fixture
def full(transactional_db: None) -> str:
    if connection.vendor != "sqlite":
        return setting()  # whatever the server is set to
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=FULL")
    return "2"


def test_only_sqlite_does_not_wait_and_only_meanwhile(full: str) -> None:
    with not_waiting_for_the_disk():
        assert setting() == ("1" if connection.vendor == "sqlite" else full)

    assert setting() == full


def test_commits_wait_again_after_something_broke(full: str) -> None:
    with pytest.raises(ValueError, match="broken"), not_waiting_for_the_disk():
        raise ValueError("broken")

    assert setting() == full


def test_inside_a_transaction_nothing_changes(db: None) -> None:
    before = setting()
    with not_waiting_for_the_disk():
        assert setting() == before
