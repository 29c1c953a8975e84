from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core import guards
from tests.mesoclinic.audit.races import EVENTS, THREADS, outcome


def execute(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_record_chains_each_event_to_the_one_before(ada: User) -> None:
    first = trail.record("plan.signed", by=ada, target=ada, details={"b": 1, "a": "é"})
    second = trail.record("plan.viewed", by=None, patient=uuid.UUID(int=7))

    assert first.previous_hash == ""
    assert second.previous_hash == first.hash
    assert (second.actor_id, second.actor_label, second.patient_id) == (None, "system", uuid.UUID(int=7))
    assert trail.first_broken() is None


def test_record_of_what_json_changes_still_verifies(ada: User) -> None:
    trail.record("step", by=ada, details={"pair": (1, 2.5), "by": {10: "ten", 9: "nine"}, "name": "Łukasz \U0001f600"})

    assert trail.first_broken() is None


def test_record_rolls_back_with_what_it_tells_of(ada: User) -> None:
    trail.record("one", by=ada)
    with pytest.raises(RuntimeError), transaction.atomic():
        trail.record("two", by=ada)
        raise RuntimeError
    trail.record("three", by=ada)

    assert list(AuditEvent.objects.order_by("id").values_list("action", flat=True)) == ["one", "three"]
    assert trail.first_broken() is None


STATEMENTS = [
    "UPDATE audit_auditevent SET action = 'nothing.happened'",
    "UPDATE audit_auditevent SET details = '{}' WHERE id > 0",
    "UPDATE audit_auditevent SET id = id + 1000",
    "DELETE FROM audit_auditevent",
    "DELETE FROM audit_auditevent WHERE id = (SELECT MAX(id) FROM audit_auditevent)",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_trail_refuses_raw_sql(ada: User, statement: str) -> None:
    trail.record("plan.signed", by=ada)

    with pytest.raises(IntegrityError, match="audit_append_only"):
        execute(statement)

    assert AuditEvent.objects.get().action == "plan.signed"


def test_trail_refuses_the_orm(ada: User) -> None:
    event = trail.record("plan.signed", by=ada)
    event.action = "plan.viewed"

    for attempt in (event.save, event.delete, lambda: AuditEvent.objects.update(action="x")):
        with pytest.raises(IntegrityError, match="audit_append_only"), transaction.atomic():
            attempt()


REPLACE = """
    INSERT OR REPLACE INTO audit_auditevent ({columns})
    SELECT {values} FROM audit_auditevent
"""


@pytest.mark.sqlite
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
@pytest.mark.parametrize("same", ["id", "public_id", "hash"])
def test_trail_refuses_insert_or_replace(ada: User, recursive: str, same: str) -> None:
    trail.record("plan.signed", by=ada)
    columns = [str(field.column) for field in AuditEvent._meta.concrete_fields]
    fresh = {
        "id": "id + 1",
        "public_id": "'00000000000000000000000000000001'",
        "hash": "'0'",
        "action": "'nothing.happened'",
    }
    fresh.pop(same)
    values = [fresh.get(column, column) for column in columns]
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA recursive_triggers={recursive}")
    try:
        with pytest.raises(IntegrityError, match="audit_append_only"):
            execute(REPLACE.format(columns=", ".join(columns), values=", ".join(values)))
        with pytest.raises(IntegrityError):
            execute("REPLACE INTO audit_auditevent SELECT * FROM audit_auditevent")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA recursive_triggers=ON")
    assert AuditEvent.objects.get().action == "plan.signed"


@pytest.mark.postgresql
def test_trail_refuses_truncate(ada: User) -> None:
    trail.record("plan.signed", by=ada)

    with pytest.raises(IntegrityError, match="audit_append_only"):
        execute("TRUNCATE audit_auditevent")


@pytest.mark.postgresql
def test_trail_refuses_insert_on_conflict(ada: User) -> None:
    trail.record("plan.signed", by=ada)
    columns = ", ".join(str(field.column) for field in AuditEvent._meta.concrete_fields)

    with pytest.raises(IntegrityError, match="audit_append_only"):
        execute(
            f"INSERT INTO audit_auditevent ({columns}) SELECT {columns} FROM audit_auditevent "
            "ON CONFLICT (id) DO UPDATE SET action = 'nothing.happened'"
        )


def test_first_broken_finds_what_got_past_the_guard(ada: User) -> None:
    events = [trail.record(f"step.{number}", by=ada) for number in range(5)]
    _past_the_guard(f"UPDATE audit_auditevent SET actor_label = 'Somebody' WHERE id = {events[2].pk}")

    broken = trail.first_broken()

    assert broken is not None and broken.pk == events[2].pk


def test_first_broken_finds_a_missing_event(ada: User) -> None:
    events = [trail.record(f"step.{number}", by=ada) for number in range(5)]
    _past_the_guard(f"DELETE FROM audit_auditevent WHERE id = {events[2].pk}")

    broken = trail.first_broken()

    assert broken is not None and broken.pk == events[3].pk


def _past_the_guard(statement: str) -> None:
    """What somebody with the keys of the database could do."""
    guard = guards.REGISTRY["audit_append_only"]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for trigger in guard.sqlite_triggers:
                cursor.execute(f"DROP TRIGGER {trigger}")
        else:
            cursor.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER USER")
        cursor.execute(statement)
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER USER")
    guards.install(connection)


def test_verify_audit_of_a_whole_trail(ada: User, capsys: pytest.CaptureFixture[str]) -> None:
    last = [trail.record("step", by=ada) for _number in range(3)][-1]

    call_command("verify_audit")

    said = capsys.readouterr().out
    assert said.startswith("The trail is whole: 3 events.") and last.hash in said


def test_verify_audit_names_the_first_broken_event(ada: User) -> None:
    events = [trail.record(f"step.{number}", by=ada) for number in range(3)]
    _past_the_guard(f"UPDATE audit_auditevent SET action = 'other' WHERE id = {events[1].pk}")

    with pytest.raises(CommandError, match=f"event {events[1].pk} ") as refusal:
        call_command("verify_audit")
    assert refusal.value.returncode == 1


def test_record_costs_the_same_however_long_the_trail(ada: User) -> None:
    costs = []
    for _number in range(30):
        with CaptureQueriesContext(connection) as asked:
            trail.record("step", by=ada)
        costs.append(len(asked))

    assert len(set(costs)) == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_eight_threads_give_one_unbroken_chain_on_postgresql() -> None:
    assert outcome() == ([], THREADS * EVENTS, True)


@pytest.mark.sqlite
def test_eight_threads_give_one_unbroken_chain_on_sqlite(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mesoclinic.audit.races"],
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": f"sqlite:///{tmp_path / 'race.sqlite3'}",
            "MESOCLINIC_DATA_DIR": str(tmp_path),
        },
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (done.returncode, done.stdout.strip()) == (0, f"([], {THREADS * EVENTS}, True)"), done.stderr
