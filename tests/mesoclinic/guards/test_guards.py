"""Guards on a scratch table: what they refuse, and that no change of the table loses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.core import checks
from django.db import IntegrityError, connection, models, transaction
from django.db.models.signals import post_migrate

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core import guards

FROZEN = guards.frozen(
    name="probe_frozen",
    table="probe_row",
    when="{row}.status = 'signed'",
    columns=("status", "content"),
    unique=("id", "code"),
)
FREE = guards.no_overlap(
    name="probe_booked_once", table="probe_row", column="room_id", live="{row}.status <> 'cancelled'"
)


@pytest.fixture
def scratch(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[models.Model]]:
    """The table of a model that no app has, with both guards, gone with the test's transaction."""

    class Row(models.Model):
        code = models.CharField(max_length=10, unique=True)
        status = models.CharField(max_length=10)
        content = models.CharField(max_length=40, null=True)  # noqa: DJ001 - NULL is what the guard is tried with
        note = models.CharField(max_length=40, default="")
        room_id = models.IntegerField(null=True)
        starts_at = models.DateTimeField(null=True)
        ends_at = models.DateTimeField(null=True)

        class Meta:
            app_label = "probe"
            db_table = "probe_row"

        def __str__(self) -> str:
            return self.code

    apps.all_models.pop("probe", None)
    monkeypatch.setattr(guards, "REGISTRY", {**guards.REGISTRY, FROZEN.name: FROZEN, FREE.name: FREE})
    editor = connection.schema_editor(collect_sql=True)  # not entered: SQLite's wants to be outside a transaction
    editor.deferred_sql = []
    create, _parameters = editor.table_sql(Row)
    with connection.cursor() as cursor:
        cursor.execute(create)
    guards.install(connection)
    yield Row


def refused(guard: guards.Guard, statement: str, values: list[Any] | None = None) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, values or [])
    except IntegrityError as error:
        assert guard.broken_by(error), error
        return True
    return False


def test_frozen_leaves_a_row_alone_until_its_state(scratch: Any) -> None:
    scratch.objects.create(code="a", status="draft", content="x")

    assert not refused(FROZEN, "UPDATE probe_row SET content = 'y'")
    assert not refused(FROZEN, "UPDATE probe_row SET status = 'signed'")
    assert refused(FROZEN, "UPDATE probe_row SET status = 'draft'")
    assert refused(FROZEN, "UPDATE probe_row SET content = 'z'")
    assert refused(FROZEN, "UPDATE probe_row SET content = NULL")
    assert refused(FROZEN, "DELETE FROM probe_row")
    assert not refused(FROZEN, "UPDATE probe_row SET note = 'z', content = 'y'")
    assert scratch.objects.values_list("status", "content", "note").get() == ("signed", "y", "z")


def test_frozen_notices_a_change_from_nothing(scratch: Any) -> None:
    scratch.objects.create(code="a", status="signed", content=None)

    assert refused(FROZEN, "UPDATE probe_row SET content = 'x'")
    assert not refused(FROZEN, "UPDATE probe_row SET content = NULL")


@pytest.mark.sqlite
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_frozen_refuses_insert_or_replace(scratch: Any, recursive: str) -> None:
    scratch.objects.create(code="a", status="signed", content="x")
    insert = "INSERT OR REPLACE INTO probe_row (id, code, status, content, note) VALUES (%s, %s, 'draft', 'y', '')"
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA recursive_triggers={recursive}")
    try:
        assert refused(FROZEN, insert, [scratch.objects.get().pk, "b"])
        assert refused(FROZEN, insert, [99, "a"])
        assert not refused(FROZEN, insert, [99, "b"])
        assert not refused(FROZEN, insert, [99, "b"])  # a draft may be replaced
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA recursive_triggers=ON")


@pytest.mark.postgresql
def test_frozen_refuses_truncate(scratch: Any) -> None:
    assert refused(FROZEN, "TRUNCATE probe_row")


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 24, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "room", "status", "free"),
    [
        (at(8), at(9), 1, "booked", True),  # touches the one after it
        (at(10), at(11), 1, "booked", True),  # touches the one before it
        (at(8), at(9, 1), 1, "booked", False),
        (at(9, 59), at(11), 1, "booked", False),
        (at(9, 15), at(9, 30), 1, "booked", False),
        (at(8), at(11), 1, "booked", False),
        (at(9), at(10), 1, "booked", False),
        (at(9), at(10), 1, "cancelled", True),
        (at(9), at(10), 2, "booked", True),
        (at(9), at(10), None, "booked", True),
    ],
)
def test_no_overlap_at_its_edges(
    scratch: Any, start: datetime, end: datetime, room: int | None, status: str, free: bool
) -> None:
    scratch.objects.create(code="a", status="booked", room_id=1, starts_at=at(9), ends_at=at(10))

    def book() -> None:
        with transaction.atomic():
            scratch.objects.create(code="b", status=status, room_id=room, starts_at=start, ends_at=end)

    if free:
        book()
    else:
        with pytest.raises(IntegrityError, match="probe_booked_once"):
            book()


def test_no_overlap_holds_for_a_change_too(scratch: Any) -> None:
    scratch.objects.create(code="a", status="booked", room_id=1, starts_at=at(9), ends_at=at(10))
    other = scratch.objects.create(code="b", status="cancelled", room_id=1, starts_at=at(9), ends_at=at(10))

    assert refused(FREE, "UPDATE probe_row SET status = 'booked' WHERE id = %s", [other.pk])
    assert not refused(FREE, "UPDATE probe_row SET note = 'x' WHERE code = 'a'")


def test_install_twice_changes_nothing(scratch: Any) -> None:
    guards.install(connection)
    guards.install(connection)

    assert guards.missing(connection) == []


@pytest.mark.sqlite
def test_check_names_a_guard_that_is_missing(scratch: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER probe_frozen_u")

    messages = checks.run_checks(databases=["default"], tags=[checks.Tags.database])

    assert [message.msg for message in messages] == ["The database guard probe_frozen is missing."]
    guards.install(connection)
    assert checks.run_checks(databases=["default"], tags=[checks.Tags.database]) == []


def _later() -> models.Field[Any, Any]:
    field: models.Field[Any, Any] = models.CharField(max_length=10, default="x")
    field.set_attributes_from_name("later")
    return field


def _action(length: int) -> models.Field[Any, Any]:
    field: models.Field[Any, Any] = models.CharField(max_length=length)
    field.set_attributes_from_name("action")
    return field


CHANGES: dict[str, tuple[Callable[[Any], None], Callable[[Any], None]]] = {
    "add a field": (
        lambda editor: editor.add_field(AuditEvent, _later()),
        lambda editor: editor.remove_field(AuditEvent, _later()),
    ),
    "alter a field": (
        lambda editor: editor.alter_field(AuditEvent, _action(60), _action(90)),
        lambda editor: editor.alter_field(AuditEvent, _action(90), _action(60)),
    ),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", CHANGES)
def test_trail_still_refuses_after_a_migration_altered_its_table(ada: User, change: str) -> None:
    """SQLite rebuilds a table for a new or altered field and silently loses its triggers; migrate puts them back."""
    trail.record("plan.signed", by=ada)
    do, undo = CHANGES[change]
    audit = apps.get_app_config("audit")

    with connection.schema_editor() as editor:
        do(editor)
    lost = guards.missing(connection)
    try:
        post_migrate.send(sender=audit, app_config=audit, using="default", verbosity=0, interactive=False, plan=[])

        assert ("audit_append_only" in lost) == (connection.vendor == "sqlite")
        assert guards.missing(connection) == []
        for statement in ("UPDATE audit_auditevent SET action = 'x'", "DELETE FROM audit_auditevent"):
            assert refused(guards.REGISTRY["audit_append_only"], statement)
    finally:
        with connection.schema_editor() as editor:
            undo(editor)
        guards.install(connection)
