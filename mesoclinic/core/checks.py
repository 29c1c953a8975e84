"""What ``check --deploy`` says of an install that treats real patients: each line names the setting that mends it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

from mesoclinic.core import env


@register(Tags.security, deploy=True)
def ready_for_real_patients(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []

    def complain(number: int, message: str, hint: str) -> None:
        found.append(Warning(message, hint=hint, id=f"mesoclinic.W{number:03}"))

    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        complain(
            1,
            "The database is SQLite: one machine, and one writer at a time.",
            "Set DATABASE_URL, for example postgres://user:password@host/mesoclinic.",
        )
    if not settings.REDIS_URL:
        complain(2, "The broker is a folder of this machine.", "Set REDIS_URL, for example redis://host:6379/0.")
    if settings.EMAIL_BACKEND.endswith("OutboxOnlyBackend"):
        complain(
            3,
            "No mail server is set: messages count as sent but stay in the outbox.",
            "Set EMAIL_URL, for example smtp+tls://user:password@host:587.",
        )
    if not env.text("SECRET_KEY"):
        complain(
            4,
            "The signing key was made by this machine and lies in its data folder.",
            "Set SECRET_KEY to a long random text, the same on every machine.",
        )
    if not settings.SITE_URL.startswith("https://"):
        complain(
            5,
            "The address in e-mails and cookies is not secure.",
            "Set MESOCLINIC_URL to the https:// address that people use.",
        )
    if settings.DEBUG:
        complain(
            6, "MESOCLINIC_DEBUG is on: errors show their inside.", "Take MESOCLINIC_DEBUG out of the environment."
        )
    return found
