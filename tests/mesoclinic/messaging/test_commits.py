"""Every few commits one waits for the disk; afterwards all do, as before."""

from __future__ import annotations

import pytest
from django.db import connection

from mesoclinic.messaging.commits import Commits


def setting() -> str:
    ask = "PRAGMA synchronous" if connection.vendor == "sqlite" else "SHOW synchronous_commit"
    with connection.cursor() as cursor:
        cursor.execute(ask)
        return str(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_each_third_commit_waits_and_afterwards_all_do() -> None:
    sqlite = connection.vendor == "sqlite"
    if sqlite:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=FULL")
    usual, quick = ("2", "1") if sqlite else ("on", "off")
    seen = []
    with Commits(wait_for_each=3) as commits:
        for _commit in range(6):
            with commits.one():
                seen.append(setting())
        with commits.one(wait=True):
            seen.append(setting())

    assert seen == [quick, quick, usual, quick, quick, usual, usual]
    assert setting() == usual


@pytest.mark.django_db(transaction=True)
def test_setting_comes_back_when_something_breaks() -> None:
    before = setting()
    with pytest.raises(ValueError, match="broken"), Commits(wait_for_each=3) as commits, commits.one():
        raise ValueError("broken")

    assert setting() == before


def test_inside_a_transaction_nothing_changes(db: None) -> None:
    before = setting()
    with Commits(wait_for_each=3) as commits, commits.one():
        assert setting() == before
