"""A signed plan never changes, whoever asks the database: raw SQL, REPLACE, and after a later migration."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.sql import emit_pre_migrate_signal
from django.db import IntegrityError, connection, migrations, models, transaction
from django.db.migrations.state import ProjectState
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.core import guards
from protocols.models import Acknowledgement, OpenAnswer, Plan
from protocols.plans.signature import signature_holds

COLUMNS = {
    "result": "'{}'",
    '"case"': "'{}'",
    "policy": "'{}'",
    "proposal": "'{}'",
    "edits": "'[{}]'",
    "engine_version": "'0'",
    "language": "'fr'",
    "number": "9",
    "version": "9",
    "revision": "99",
    "signed_at": "'2020-01-01 00:00:00+00:00'",
    "signature_sha256": "'x'",
    "created_at": "'2020-01-01 00:00:00+00:00'",
}


def refuse(statement: str) -> None:
    with pytest.raises(IntegrityError, match=r"frozen|kept"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("column", COLUMNS)
def test_no_column_of_a_signed_plan_can_be_updated(signed: Plan, column: str) -> None:
    refuse(f"UPDATE protocols_plan SET {column} = {COLUMNS[column]} WHERE id = {signed.pk}")
    assert signature_holds(Plan.objects.get(pk=signed.pk))


def test_a_signed_plan_cannot_be_deleted(signed: Plan) -> None:
    refuse(f"DELETE FROM protocols_plan WHERE id = {signed.pk}")
    refuse("DELETE FROM protocols_plan")
    assert Plan.objects.filter(pk=signed.pk).exists()


def test_a_signed_plan_cannot_go_back_to_being_a_draft(signed: Plan) -> None:
    for status in ("draft", "discarded"):
        with pytest.raises(IntegrityError), transaction.atomic():
            Plan.objects.filter(pk=signed.pk).update(status=status)


def test_the_orm_is_refused_as_well(signed: Plan) -> None:
    signed.result = {}
    with pytest.raises(IntegrityError, match="plan_signed_frozen"), transaction.atomic():
        signed.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        Plan.objects.filter(pk=signed.pk).update(edits=[1])


def test_what_was_acknowledged_and_answered_is_frozen_with_it(signed: Plan, ada: User) -> None:
    for table in ("protocols_acknowledgement", "protocols_openanswer"):
        refuse(f"UPDATE {table} SET superseded_at = '2026-01-01 00:00:00+00:00' WHERE plan_id = {signed.pk}")
        refuse(f"DELETE FROM {table} WHERE plan_id = {signed.pk}")
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        Acknowledgement.objects.create(plan=signed, rule="x", reason_code="explained", by=ada, at=timezone.now())
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        OpenAnswer.objects.create(plan=signed, fact="x", kind="not_measured", by=ada, at=timezone.now())


def test_an_acknowledgement_of_a_draft_can_be_superseded_and_nothing_else(ready: Plan) -> None:
    row = ready.acknowledgements.get()
    refuse(f"UPDATE protocols_acknowledgement SET reason_code = 'other' WHERE id = {row.pk}")
    refuse(f"DELETE FROM protocols_acknowledgement WHERE id = {row.pk}")
    Acknowledgement.objects.filter(pk=row.pk).update(superseded_at=timezone.now())


def test_a_draft_can_still_change(draft: Plan) -> None:
    assert Plan.objects.filter(pk=draft.pk).update(edits=[], revision=5) == 1


@pytest.mark.sqlite
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_insert_or_replace_gets_past_nothing(signed: Plan, recursive: str) -> None:
    """Also where the connection lacks the pragma that makes REPLACE fire the delete triggers."""
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA recursive_triggers = {recursive}")
        cursor.execute("SELECT name FROM pragma_table_info('protocols_plan')")
        names = [row[0] for row in cursor.fetchall()]
    quoted = ", ".join(f'"{name}"' for name in names)
    try:
        for changed in ("id", "public_id"):  # the row comes back under its own id, or under its public id
            values = ", ".join(
                "'{}'" if name == "result" else f'"{name}"' if name != "id" or changed == "id" else '"id" + 1000'
                for name in names
            )
            refuse(f"INSERT OR REPLACE INTO protocols_plan ({quoted}) SELECT {values} FROM protocols_plan")
            refuse(f"REPLACE INTO protocols_plan ({quoted}) SELECT {values} FROM protocols_plan")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA recursive_triggers = ON")
    assert signature_holds(Plan.objects.get(pk=signed.pk))


@pytest.mark.sqlite
def test_replace_by_its_number_is_refused(signed: Plan) -> None:
    """A new row with the patient, number and version of the signed one would push it out."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pragma_table_info('protocols_plan')")
        names = [row[0] for row in cursor.fetchall()]
    values = ", ".join(
        {"id": '"id" + 1000', "public_id": "'00000000000000000000000000000001'", "result": "'{}'"}.get(
            name, f'"{name}"'
        )
        for name in names
    )
    quoted = ", ".join(f'"{name}"' for name in names)
    refuse(f"INSERT OR REPLACE INTO protocols_plan ({quoted}) SELECT {values} FROM protocols_plan")
    assert signature_holds(Plan.objects.get(pk=signed.pk))


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_truncate_is_refused(ada: User) -> None:
    from tests.factories_protocols import signed_plan

    signed_plan(by=ada)
    refuse("TRUNCATE protocols_plan CASCADE")


def test_the_guards_stay_where_nothing_is_migrated(db: None) -> None:
    emit_pre_migrate_signal(verbosity=0, interactive=False, db="default", plan=[])
    assert guards.missing(connection) == []


@pytest.mark.django_db(transaction=True)
def test_a_later_migration_of_the_table_loses_no_guard(ada: User) -> None:
    """SQLite rebuilds a table to alter it and drops its triggers; the next migrate puts them back."""
    from tests.factories_protocols import signed_plan

    plan = signed_plan(by=ada)
    before = ProjectState.from_apps(apps)
    operation = migrations.AddField("plan", "later", models.CharField(max_length=5, default=""))
    after = before.clone()
    operation.state_forwards("protocols", after)
    altered = migrations.AlterField("plan", "engine_version", models.CharField(max_length=30))
    pending = [(migrations.Migration("0002_later", "protocols"), False)]
    emit_pre_migrate_signal(verbosity=0, interactive=False, db="default", plan=pending)  # as migrate begins
    with connection.schema_editor() as editor:
        operation.database_forwards("protocols", editor, before, after)
        last = after.clone()
        altered.state_forwards("protocols", last)
        altered.database_forwards("protocols", editor, after, last)
    try:
        call_command("migrate", verbosity=0)
        assert guards.missing(connection) == []
        refuse(f"UPDATE protocols_plan SET result = '{{}}' WHERE id = {plan.pk}")
        refuse(f"DELETE FROM protocols_plan WHERE id = {plan.pk}")
    finally:
        emit_pre_migrate_signal(verbosity=0, interactive=False, db="default", plan=pending)
        with connection.schema_editor() as editor:
            operation.database_backwards("protocols", editor, after, before)
        call_command("migrate", verbosity=0)
    assert guards.missing(connection) == []
