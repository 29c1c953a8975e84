"""Brings the database and the static files to what this version of the code needs. Safe to repeat."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import CommandParser, call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


class Command(BaseCommand):
    help = "Migrate, make the cache table, collect static files; with --sample, fill an empty database."
    requires_system_checks: list[str] = []  # the checks need the tables that this makes

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sample", action="store_true", help="load the sample clinic into an empty database")

    def handle(self, *args: Any, sample: bool, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if pending:
            self._say("Database", f"applying {len(pending)} migrations ({connection.vendor})")
        call_command("migrate", verbosity=0, interactive=False)
        if any("DatabaseCache" in cache["BACKEND"] for cache in settings.CACHES.values()):
            call_command("createcachetable", verbosity=0)
        if sample:
            call_command("load_sample", if_empty=True, stdout=self.stdout)
        self._static_files()

    def _static_files(self) -> None:
        """Collect anew only where a file changed: hashing and compressing all of them takes a while."""
        seen = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
        for finder in get_finders():
            for name, storage in sorted(finder.list([]), key=lambda found: found[0]):
                file = Path(storage.path(name)).stat()
                seen.update(f"{name}\0{file.st_size}\0{file.st_mtime_ns}\0".encode())
        stamp = Path(settings.DATA_DIR) / "static.stamp"
        if stamp.exists() and stamp.read_text() == seen.hexdigest() and Path(settings.STATIC_ROOT).is_dir():
            return
        self._say("Static files", "hashed and compressed")
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        stamp.write_text(seen.hexdigest())

    def _say(self, step: str, text: str) -> None:
        self.stdout.write(f"  {step:<18} {text}")
        self.stdout.flush()
