"""A test database is migrated once and kept; each one made after it, on SQLite, begins as its copy.

Migrating from nothing takes longer than most files of tests. The copy is of exactly these migrations, guards and
indexes: it is named by what they say, so after any change of one the next run migrates anew. ``migrate`` still runs on
the copy, finds nothing to do, and does all that it does at its end. To be rid of it: delete var/test-database.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path
from typing import Any
from unittest import mock

import django
from django.core import management
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.creation import DatabaseCreation

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "var" / "test-database"
SAID_BY = tuple(
    f"{package}/{kind}"
    for package in ("mesoclinic", "patients", "protocols", "sessions")
    for kind in ("**/migrations/*.py", "**/guards.py", "**/search_index.py")
)


def name_of_copy() -> str:
    """Return a name that changes with every migration, guard and index, and with Django and SQLite."""
    said = hashlib.sha256(f"{django.__version__} {sqlite3.sqlite_version}".encode())
    for path in sorted({path for pattern in SAID_BY for path in ROOT.glob(pattern)}):
        said.update(f"\n{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return f"{said.hexdigest()[:20]}.sqlite3"


def begin_with_the_copy() -> None:
    """Let every SQLite test database from now on begin as the copy, or become it."""
    create, call_command = DatabaseCreation.create_test_db, management.call_command

    def create_test_db(self: DatabaseCreation, *args: Any, **kwargs: Any) -> str:
        def command(name: str, *args: Any, **options: Any) -> Any:
            if name != "migrate":
                return call_command(name, *args, **options)
            copy = FOLDER / name_of_copy()
            poured = _pour(copy, self.connection)
            done = call_command(name, *args, **options)
            if not poured:
                _keep(self.connection, copy)
            return done

        with mock.patch.object(management, "call_command", command):
            return create(self, *args, **kwargs)

    DatabaseCreation.create_test_db = create_test_db  # type: ignore[method-assign]


def _pour(copy: Path, connection: BaseDatabaseWrapper) -> bool:
    if not copy.exists():
        return False
    connection.ensure_connection()
    source = sqlite3.connect(f"file:{copy}?mode=ro", uri=True)
    try:
        source.backup(connection.connection)
    finally:
        source.close()
    return True


def _keep(connection: BaseDatabaseWrapper, copy: Path) -> None:
    """Write the copy beside its place first: two processes may come here at once, and one may be ended."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    beside = copy.with_suffix(f".{os.getpid()}")
    target = sqlite3.connect(beside)
    try:
        connection.ensure_connection()
        connection.connection.backup(target)
    finally:
        target.close()
    beside.replace(copy)
    for earlier in set(FOLDER.glob("*.sqlite3")) - {copy}:
        earlier.unlink(missing_ok=True)
