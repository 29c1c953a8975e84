"""Rules that the database itself keeps, the same on SQLite and PostgreSQL, and that no later migration can lose.

A guard is a named set of triggers (or, on PostgreSQL, constraints). Each app registers its own in ``guards.py``; they
are installed by the app's migration and again after every ``migrate``, because SQLite silently drops a table's triggers
when it rebuilds the table for an AddField or AlterField. ``check --database default`` fails where one is missing.

Both engines raise ``django.db.IntegrityError`` with the guard's name in its text: test ``guard.name in str(error)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core import checks
from django.db import IntegrityError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

REGISTRY: dict[str, Guard] = {}


@dataclass(frozen=True, kw_only=True)
class Guard:
    name: str  # unique, at most 50 characters, [a-z_]
    table: str
    sqlite: tuple[str, ...]
    postgresql: tuple[str, ...]
    sqlite_triggers: tuple[str, ...] = field(default=())
    postgresql_objects: tuple[str, ...] = field(default=())
    columns: frozenset[str] = frozenset()  # that it speaks of: before they exist it cannot be made

    def broken_by(self, error: IntegrityError) -> bool:
        return self.name in str(error)


def register(*guards: Guard) -> None:
    for guard in guards:
        REGISTRY[guard.name] = guard


def install(connection: BaseDatabaseWrapper) -> None:
    """Create what is missing of every registered guard whose table and columns exist. Safe to repeat.

    A database that is not migrated to the end may lack a guard's columns: the guard comes with the migration that
    brings them.
    """
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        present = _present(connection)
        for guard in REGISTRY.values():
            if guard.table not in tables:
                continue
            wanted = set(guard.sqlite_triggers if connection.vendor == "sqlite" else guard.postgresql_objects)
            if wanted <= present or not _has_columns(connection, guard):
                continue
            for statement in guard.sqlite if connection.vendor == "sqlite" else guard.postgresql:
                cursor.execute(statement)


def drop(connection: BaseDatabaseWrapper, *guards: Guard) -> None:
    """Take guards away, where their tables are. For a migration that changes what they say: drop, change, install."""
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for guard in guards:
            if guard.table not in tables:
                continue
            if connection.vendor == "sqlite":
                for name in guard.sqlite_triggers:
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            else:
                for name in guard.postgresql_objects:
                    cursor.execute(f'ALTER TABLE "{guard.table}" DROP CONSTRAINT IF EXISTS {name}')
                    cursor.execute(f'DROP TRIGGER IF EXISTS {name} ON "{guard.table}"')


def _has_columns(connection: BaseDatabaseWrapper, guard: Guard) -> bool:
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, guard.table)
    return guard.columns <= {column.name for column in described}


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    present = _present(connection)
    names = []
    for guard in REGISTRY.values():
        wanted = set(guard.sqlite_triggers if connection.vendor == "sqlite" else guard.postgresql_objects)
        if guard.table in tables and not wanted <= present:
            names.append(guard.name)
    return names


def _present(connection: BaseDatabaseWrapper) -> set[str]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        else:
            cursor.execute(
                "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal UNION SELECT conname FROM pg_constraint"
            )
        return {row[0] for row in cursor.fetchall()}


def install_after_migrate(*, using: str, **kwargs: Any) -> None:
    install(connections[using])


def install_in_migration(apps: Any, schema_editor: Any) -> None:
    """For ``RunPython`` in the migration that makes a guarded table."""
    install(schema_editor.connection)


@checks.register(checks.Tags.database)
def guards_are_in_place(*, databases: Iterable[str] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    messages: list[checks.CheckMessage] = []
    for alias in databases or []:
        for name in missing(connections[alias]):
            messages.append(
                checks.Error(
                    f"The database guard {name} is missing.",
                    hint="Run manage.py migrate.",
                    id="mesoclinic.E001",
                )
            )
    return messages


# ------------------------------------------------------------------ builders


def _raise_function(name: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{name}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )


def append_only(*, name: str, table: str, unique: tuple[str, ...] = ("id",)) -> Guard:
    """Rows can be added, never changed or removed."""
    return frozen(name=name, table=table, when=None, columns=None, unique=unique)


def frozen(
    *,
    name: str,
    table: str,
    when: str | None,
    columns: tuple[str, ...] | None,
    unique: tuple[str, ...] = ("id",),
) -> Guard:
    """Rows for which ``when`` holds can't be removed or replaced, and their ``columns`` (None: all) can't change.

    ``when`` is SQL over one row, its columns written ``{row}.column``, true on both engines; None means every row.
    ``unique`` names the columns by which SQLite's INSERT OR REPLACE could silently remove a row.
    """

    def held(row: str) -> str:
        return "1=1" if when is None else f"({when.format(row=row)})"

    changed_sqlite = (
        "1=1" if columns is None else "(" + " OR ".join(f'OLD."{c}" IS NOT NEW."{c}"' for c in columns) + ")"
    )
    changed_pg = (
        "TRUE" if columns is None else "(" + " OR ".join(f'OLD."{c}" IS DISTINCT FROM NEW."{c}"' for c in columns) + ")"
    )
    same = " OR ".join(f'old."{c}" = NEW."{c}"' for c in unique)
    abort = f"BEGIN SELECT RAISE(ABORT, '{name}'); END"
    sqlite = (
        f'CREATE TRIGGER IF NOT EXISTS {name}_u BEFORE UPDATE ON "{table}" '
        f"WHEN {held('OLD')} AND {changed_sqlite} {abort}",
        f'CREATE TRIGGER IF NOT EXISTS {name}_d BEFORE DELETE ON "{table}" WHEN {held("OLD")} {abort}',
        # Also without PRAGMA recursive_triggers: a REPLACE is refused before it can remove the row it collides with.
        f'CREATE TRIGGER IF NOT EXISTS {name}_r BEFORE INSERT ON "{table}" '  # noqa: S608 - names are our own
        f'WHEN EXISTS (SELECT 1 FROM "{table}" old WHERE ({same}) AND {held("old")}) {abort}',
    )
    postgresql = (
        _raise_function(name),
        f'DROP TRIGGER IF EXISTS {name}_u ON "{table}"',
        f'CREATE TRIGGER {name}_u BEFORE UPDATE ON "{table}" FOR EACH ROW WHEN ({held("OLD")} AND {changed_pg}) '
        f"EXECUTE FUNCTION {name}()",
        f'DROP TRIGGER IF EXISTS {name}_d ON "{table}"',
        f'CREATE TRIGGER {name}_d BEFORE DELETE ON "{table}" FOR EACH ROW WHEN ({held("OLD")}) '
        f"EXECUTE FUNCTION {name}()",
        f'DROP TRIGGER IF EXISTS {name}_t ON "{table}"',
        f'CREATE TRIGGER {name}_t BEFORE TRUNCATE ON "{table}" FOR EACH STATEMENT EXECUTE FUNCTION {name}()',
    )
    return Guard(
        name=name,
        table=table,
        sqlite=sqlite,
        postgresql=postgresql,
        sqlite_triggers=(f"{name}_u", f"{name}_d", f"{name}_r"),
        postgresql_objects=(f"{name}_u", f"{name}_d", f"{name}_t"),
        columns=frozenset(unique) | frozenset(columns or ()),
    )


def no_overlap(
    *,
    name: str,
    table: str,
    column: str,
    live: str,
    apart: tuple[str, ...] = (),
    minutes_before: str = "",
    minutes_after: str = "",
) -> Guard:
    """No two rows that are ``live`` and share ``column`` overlap in [starts_at, ends_at).

    ``live`` is SQL over one row, its columns written ``{row}.column`` on SQLite and bare in PostgreSQL's constraint.
    Rows that differ in one of the columns ``apart`` (numbers or truth values) may overlap. ``minutes_before`` and
    ``minutes_after`` name columns of whole minutes, less than a day, that belong to the row's time as well.
    """

    def begins(row: str) -> str:
        return f"strftime('%Y-%m-%d %H:%M:%f', {row}.starts_at, '-' || {row}.{minutes_before} || ' minutes')"

    def ends(row: str) -> str:
        return f"strftime('%Y-%m-%d %H:%M:%f', {row}.ends_at, '+' || {row}.{minutes_after} || ' minutes')"

    if minutes_before or minutes_after:
        # The bare columns first: they leave few rows for which the minutes have to be counted.
        overlaps = (
            "o.starts_at < strftime('%Y-%m-%d %H:%M:%f', NEW.ends_at, '+2 days') "
            "AND o.ends_at > strftime('%Y-%m-%d %H:%M:%f', NEW.starts_at, '-2 days') "
            f"AND {begins('o')} < {ends('NEW')} AND {ends('o')} > {begins('NEW')}"
        )
        # Only over times without a zone is adding minutes immutable, which an index wants.
        span = (
            f"tsrange((starts_at AT TIME ZONE 'UTC') - {minutes_before} * interval '1 minute', "
            f"(ends_at AT TIME ZONE 'UTC') + {minutes_after} * interval '1 minute', '[)')"
        )
    else:
        overlaps = "o.starts_at < NEW.ends_at AND o.ends_at > NEW.starts_at"
        span = "tstzrange(starts_at, ends_at, '[)')"
    collides = (
        f"SELECT RAISE(ABORT, '{name}') WHERE EXISTS "  # noqa: S608 - names are our own
        f'(SELECT 1 FROM "{table}" o WHERE o."{column}" = NEW."{column}" '
        + "".join(f'AND o."{other}" = NEW."{other}" ' for other in apart)
        + f"AND {overlaps} AND {live.format(row='o')}"
    )
    sqlite = (
        f'CREATE TRIGGER IF NOT EXISTS {name}_i BEFORE INSERT ON "{table}" WHEN {live.format(row="NEW")} '
        f"BEGIN {collides}); END",
        f'CREATE TRIGGER IF NOT EXISTS {name}_u BEFORE UPDATE ON "{table}" WHEN {live.format(row="NEW")} '
        f"BEGIN {collides} AND o.id <> OLD.id); END",
    )
    bare = live.replace("{row}.", "")
    postgresql = (
        "CREATE EXTENSION IF NOT EXISTS btree_gist",
        f'ALTER TABLE "{table}" DROP CONSTRAINT IF EXISTS {name}',
        f'ALTER TABLE "{table}" ADD CONSTRAINT {name} EXCLUDE USING gist '
        f'("{column}" WITH =, '
        + "".join(f'("{other}"::int) WITH =, ' for other in apart)
        + f"{span} WITH &&) WHERE ({bare})",
    )
    return Guard(
        name=name,
        table=table,
        sqlite=sqlite,
        postgresql=postgresql,
        sqlite_triggers=(f"{name}_i", f"{name}_u"),
        postgresql_objects=(name,),
        columns=frozenset({column, "starts_at", "ends_at", *apart, minutes_before, minutes_after} - {""}),
    )
