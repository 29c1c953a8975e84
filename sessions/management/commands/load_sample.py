from __future__ import annotations

from typing import Any

from django.core.management import CommandParser
from django.core.management.base import BaseCommand, CommandError

from mesoclinic.accounts.models import Clinic, Site, User
from patients.models import Patient
from sessions.sample import story as sample


class Command(BaseCommand):
    help = "Fill an empty database with the sample clinic; refuse where there is real data."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--if-empty", action="store_true", help="leave a database that holds a clinic as it is")

    def handle(self, *args: Any, if_empty: bool, **options: Any) -> None:
        clinic = Clinic.objects.first()
        if clinic is not None and clinic.is_sample:
            if not if_empty:
                self.stdout.write(f"{clinic} is loaded already.")
            return
        if clinic is not None or Site.objects.exists() or User.objects.exists() or Patient.objects.exists():
            if if_empty:
                return
            raise CommandError(
                "This database holds a clinic's own data, and sample people don't belong among them. "
                "Use another database: MESOCLINIC_DATA_DIR or DATABASE_URL."
            )
        made = sample.load()
        self.stdout.write(
            f"  {'Sample clinic':<18} {made['patients']} patients, {made['plans']} plans, "
            f"{made['appointments']} appointments, {made['messages']} messages"
        )
