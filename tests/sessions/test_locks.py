"""One more try, unseen, where the database chose a victim."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection, transaction

from sessions.booking import locks
from sessions.booking.locks import Busy, lock_time, with_one_retry


class Contested:
    """Fails as often as it is told to, then works."""

    def __init__(self, failures: int) -> None:
        self.failures, self.calls = failures, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise OperationalError("deadlock detected")
        return "booked"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("failures", "calls"), [(0, 1), (1, 2)])
def test_victim_of_a_deadlock_is_run_once_more(failures: int, calls: int) -> None:
    attempt = Contested(failures)

    assert (with_one_retry(attempt), attempt.calls) == ("booked", calls)


@pytest.mark.django_db(transaction=True)
def test_twice_a_victim_is_told_that_nothing_changed() -> None:
    attempt = Contested(2)
    with pytest.raises(Busy, match="Nothing was changed"):
        with_one_retry(attempt)
    assert attempt.calls == 2


@pytest.mark.django_db
def test_inside_another_transaction_nothing_is_tried_again() -> None:
    attempt = Contested(1)
    with pytest.raises(OperationalError):
        with_one_retry(attempt)
    assert attempt.calls == 1


def test_bookings_on_a_sqlite_file_take_turns_and_who_has_it_may_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever engine the suite runs on: only the name and the kind of the database are asked."""
    database = SimpleNamespace(
        vendor="sqlite",
        is_in_memory_db=lambda: False,
        in_atomic_block=False,
        settings_dict={"NAME": tmp_path / "db.sqlite3"},
    )
    monkeypatch.setattr(locks, "connection", database)
    inside, most, told = 0, 0, []

    def book() -> str:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.01)
        told.append(with_one_retry(lambda: "again"))
        inside -= 1
        return "booked"

    people = [threading.Thread(target=lambda: told.append(with_one_retry(book))) for _person in range(8)]
    for who in people:
        who.start()
    for who in people:
        who.join(30)

    assert (most, sorted(told)) == (1, ["again"] * 8 + ["booked"] * 8)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_locks_are_taken_in_one_order_and_last_until_the_end_of_the_transaction() -> None:
    held = (  # of this connection: other tests run at the same time
        "SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() "
        "ORDER BY classid, objid"
    )
    with connection.cursor() as cursor:
        with transaction.atomic():
            lock_time(practitioner_ids=[5], room_ids=[9, 2, 9], patient_id=7)
            cursor.execute(held)
            assert cursor.fetchall() == [(7301, 5), (7302, 2), (7302, 9), (7303, 7)]
        cursor.execute(held)
        assert cursor.fetchall() == []


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_victim_of_a_real_deadlock_gets_through_unseen() -> None:
    """Two transactions take the same two locks in opposite order; PostgreSQL ends one, which is run once more."""
    both_hold_one, runs, done = threading.Barrier(2), [0, 0], []

    def book(place: int) -> None:
        @transaction.atomic
        def attempt() -> str:
            runs[place] += 1
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(7399, %s)", [place])
                if runs[place] == 1:
                    both_hold_one.wait(10)
                cursor.execute("SELECT pg_advisory_xact_lock(7399, %s)", [1 - place])
            return "booked"

        try:
            done.append(with_one_retry(attempt))
        finally:
            connection.close()

    people = [threading.Thread(target=book, args=(place,)) for place in (0, 1)]
    for who in people:
        who.start()
    for who in people:
        who.join(30)

    assert (done, sorted(runs)) == (["booked", "booked"], [1, 2])
