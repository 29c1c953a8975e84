"""``manage.py plan_states``: draw docs/reference/plan-states.md from the transition tables."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from protocols.models.transitions import document

PAGE = "docs/reference/plan-states.md"


class Command(BaseCommand):
    help = f"Write {PAGE} from protocols/models/transitions.py."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only say whether it is up to date")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        path = settings.BASE_DIR / PAGE
        if check:
            if not path.exists() or path.read_text(encoding="utf-8") != document():
                raise CommandError(f"{PAGE} is out of date. Run manage.py plan_states.")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document(), encoding="utf-8")
        self.stdout.write(f"{PAGE} written.")
