"""What PostgreSQL has for finding pieces of ``Patient.search_key``: an index of their trigrams.

It needs the extension pg_trgm, which whoever owns the database may create. Where that is not allowed the search gives
the same answers and reads the whole table for each; ``check --database default`` says so, and the next ``migrate``
after the extension is there makes the index.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core import checks
from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

NAME = "patient_search_trigrams"
TABLE = "patients_patient"
WITH_IT = "patient_in_order"  # an index that the same version brought: before it, nothing is missing


def install(connection: BaseDatabaseWrapper) -> bool:
    """Make the index where it is missing and can be made. Safe to repeat; true where it is there."""
    if connection.vendor != "postgresql":
        return False
    if exists(connection):
        return True
    with connection.cursor() as cursor:
        if TABLE not in connection.introspection.table_names(cursor):
            return False
        try:
            with transaction.atomic(using=connection.alias):
                cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
                cursor.execute(f"CREATE INDEX {NAME} ON {TABLE} USING gin (search_key gin_trgm_ops)")
        except Error:  # not allowed to, or not installed with this PostgreSQL: the check below tells
            return False
    return True


def exists(connection: BaseDatabaseWrapper, *, of: str = NAME) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [of])
        return bool(cursor.fetchone()[0])


def install_after_migrate(*, using: str, **kwargs: Any) -> None:
    install(connections[using])


@checks.register(checks.Tags.database)
def search_index_is_there(*, databases: Iterable[str] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    found: list[checks.CheckMessage] = []
    for alias in databases or []:
        connection = connections[alias]
        if connection.vendor != "postgresql":
            continue
        if exists(connection, of=WITH_IT) and not exists(connection):
            found.append(
                checks.Warning(
                    "Searching patients reads the whole table: the database has no trigram index.",
                    hint="As a superuser of this database: CREATE EXTENSION pg_trgm; then run manage.py migrate.",
                    id="mesoclinic.W007",
                )
            )
    return found
