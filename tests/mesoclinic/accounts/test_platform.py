from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.core import checks
from django.db import DatabaseError
from django.test import Client
from pytest_django import Settings

from mesoclinic.accounts.models import User
from mesoclinic.core.checks import ready_for_real_patients
from mesoclinic.health import views as health

SignIn = Callable[[User], Client]


def test_healthz_says_that_the_database_answers(db: None) -> None:
    response = Client().get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok", "database": "ok"})
    assert "no-store" in response["Cache-Control"]


def test_healthz_without_a_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def cursor(self) -> None:
            raise DatabaseError("gone")

    monkeypatch.setattr(health, "connection", Gone())

    assert Client().get("/healthz").status_code == 503


def test_schema_is_for_staff(cleo: User, sign_in: SignIn) -> None:
    assert Client().get("/api/v1/schema/").status_code in (401, 403)
    assert sign_in(cleo).get("/api/v1/schema/").json()["info"]["title"] == "mesoclinic API"


@pytest.fixture
def real(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an install that treats real patients."""
    monkeypatch.setenv("SECRET_KEY", "x" * 60)
    monkeypatch.setitem(django_settings.DATABASES["default"], "ENGINE", "django.db.backends.postgresql")
    settings.REDIS_URL = "redis://redis:6379/0"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.SITE_URL = "https://clinic.example"
    settings.DEBUG = False
    return settings


def complaints() -> list[str]:
    return [str(message.id) for message in ready_for_real_patients()]


def test_checks_say_nothing_of_a_real_install(real: Settings) -> None:
    assert complaints() == []


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("REDIS_URL", "", "W002"),
        ("EMAIL_BACKEND", "mesoclinic.messaging.sending.backends.OutboxOnlyBackend", "W003"),
        ("SITE_URL", "http://clinic.example", "W005"),
        ("DEBUG", True, "W006"),
    ],
)
def test_checks_name_what_a_real_install_lacks(real: Settings, name: str, value: object, number: str) -> None:
    setattr(real, name, value)

    assert complaints() == [f"mesoclinic.{number}"]


def test_checks_name_a_database_for_one_machine(real: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(django_settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")

    assert complaints() == ["mesoclinic.W001"]


def test_checks_name_a_key_that_the_machine_made(real: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")

    assert complaints() == ["mesoclinic.W004"]


def test_checks_speak_on_deploy_only() -> None:
    assert not any(str(message.id).startswith("mesoclinic.W") for message in checks.run_checks())
