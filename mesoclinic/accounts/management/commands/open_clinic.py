from __future__ import annotations

import os
import sys
from getpass import getpass
from typing import Any

from django.conf import settings
from django.core.management import CommandParser
from django.core.management.base import BaseCommand, CommandError

from mesoclinic.core.errors import DomainError
from mesoclinic.staff.opening import open_clinic

QUESTIONS = {
    "name": "The clinic's name",
    "currency": "Currency of its prices, three letters such as EUR",
    "site": "Name of its first site, for example the town",
    "time_zone": "Time zone of that site, for example Europe/Paris",
    "street": "Street and number",
    "city": "Postcode and town",
    "phone": "Phone number that patients call",
    "given_name": "Medical director: given name (nothing, for somebody with one name only)",
    "family_name": "Medical director: family name",
    "email": "Medical director: e-mail, to log in with",
}
MAY_BE_EMPTY = ("given_name",)


class Command(BaseCommand):
    help = "Make the clinic, its first site and its medical director in an empty database. Asks for what is not given."

    def add_arguments(self, parser: CommandParser) -> None:
        for name, question in QUESTIONS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", help=question)
        languages = [code for code, _label in settings.LANGUAGES]
        parser.add_argument("--language", choices=languages, default="en", help="Of the site and of the director")
        parser.epilog = "The password is asked for, or read from MESOCLINIC_DIRECTOR_PASSWORD."

    def handle(self, *args: Any, **options: Any) -> None:
        answers = {
            name: self._ask(name, question) if options[name] is None else options[name]
            for name, question in QUESTIONS.items()
        }
        password = os.environ.get("MESOCLINIC_DIRECTOR_PASSWORD") or self._ask_password()
        try:
            director = open_clinic(**answers, password=password, language=options["language"])
        except DomainError as refusal:
            raise CommandError(f"{refusal.field}: {refusal}" if refusal.field else str(refusal)) from None
        self.stdout.write(
            f"{director.name} can log in as {director.email}. Next: add people, then make and publish a formulary."
        )

    def _ask(self, name: str, question: str) -> str:
        if not sys.stdin.isatty():
            raise CommandError(f"Say --{name.replace('_', '-')}: {question}.")
        while not (answer := input(f"{question}: ").strip()) and name not in MAY_BE_EMPTY:
            pass
        return answer

    def _ask_password(self) -> str:
        if not sys.stdin.isatty():
            raise CommandError("Set MESOCLINIC_DIRECTOR_PASSWORD, or run this in a terminal.")
        first = getpass("Medical director: password: ")
        if getpass("The same again: ") != first:
            raise CommandError("The two passwords differ. Nothing was made.")
        return first
