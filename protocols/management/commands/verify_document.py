from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from protocols.prints.archive import verify_archive


class Command(BaseCommand):
    help = "Says whether an archived plan (PDF/A-3) is the one that was signed, unchanged: exit 0 yes, 1 no."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.", returncode=2) from None
        verdict = verify_archive(data)
        if not verdict.holds:
            raise CommandError(f"No. {verdict.why}")
        self.stdout.write(f"Yes. {verdict.why}")
