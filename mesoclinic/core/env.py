"""Reads the environment, strictly: a value that cannot be used stops the start with a sentence that says what to do."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool = False) -> bool:
    raw = os.environ.get(name)
    if raw is None:
        return default
    if raw.strip().lower() in _TRUE:
        return True
    if raw.strip().lower() in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {raw!r}. Write 1 for yes or 0 for no.")


def whole_number(name: str, default: int, *, at_least: int = 0) -> int:
    raw = text(name)
    if not raw:
        return default
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {raw!r}. Write a whole number, for example {default}.") from None
    if value < at_least:
        raise ImproperlyConfigured(f"{name} is {value}. It cannot be less than {at_least}.")
    return value


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def _scheme(name: str, url: str, allowed: set[str]) -> str:
    scheme = urlsplit(url).scheme
    if scheme not in allowed:
        raise ImproperlyConfigured(
            f"{name} starts with {scheme or url!r}. Write a URL that starts with one of: {', '.join(sorted(allowed))}."
        )
    return scheme


def database(name: str, *, sqlite_path: Path) -> dict[str, Any]:
    """Django's database settings: PostgreSQL or SQLite from a URL; SQLite in WAL mode at ``sqlite_path`` without."""
    url = text(name)
    if not url or url.startswith("sqlite"):
        path: Path | str = sqlite_path
        if url:
            path = environ.Env.db_url_config(url)["NAME"]
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": path,
            "CONN_MAX_AGE": 60,
            "OPTIONS": {
                # IMMEDIATE: a writer waits for its turn, not to fail half-way. FULL: a commit survives a power cut.
                # recursive_triggers: without it INSERT OR REPLACE walks past the delete triggers that freeze rows.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA recursive_triggers=ON;",
            },
        }
    _scheme(name, url, {"postgres", "postgresql"})
    settings: dict[str, Any] = dict(environ.Env.db_url_config(url))
    settings["CONN_MAX_AGE"] = 60
    settings["CONN_HEALTH_CHECKS"] = True
    return settings


def redis(name: str) -> str:
    url = text(name)
    if url:
        _scheme(name, url, {"redis", "rediss", "unix"})
    return url


def email(name: str) -> dict[str, Any]:
    """Django's ``EMAIL_*`` settings from a URL; without one, mail stays in the application's own outbox."""
    url = text(name)
    if not url:
        return {"EMAIL_BACKEND": "mesoclinic.messaging.sending.backends.OutboxOnlyBackend"}
    _scheme(name, url, {"smtp", "smtps", "smtp+tls", "smtp+ssl", "anymail"})
    if url.startswith("anymail:"):
        return _provider(name, url)
    found = dict(environ.Env.email_url_config(url))
    return {**found, "EMAIL_BACKEND": "mesoclinic.messaging.sending.backends.SmtpBackend"}


def mail_provider(name: str) -> str:
    """The provider of an ``anymail:`` URL."""
    parts = urlsplit(text(name))
    return parts.netloc.lower() if parts.scheme == "anymail" else ""


# Those of Anymail's that speak plain HTTP with a key.
MAIL_PROVIDERS = (
    *("brevo", "mailersend", "mailgun", "mailjet", "mailtrap", "mandrill", "postal", "postmark"),
    *("resend", "sendgrid", "sparkpost", "unisender_go"),
)


def _provider(name: str, url: str) -> dict[str, Any]:
    """``anymail://postmark?SERVER_TOKEN=…``: Anymail's backend, and each parameter as the setting ``POSTMARK_…``."""
    parts = urlsplit(url)
    provider = parts.netloc.lower()
    if provider not in MAIL_PROVIDERS:
        known = ", ".join(MAIL_PROVIDERS)
        raise ImproperlyConfigured(f"{name}: no mail provider is called “{provider}”. One of: {known}.")
    given = parse_qsl(parts.query)
    if not given:
        raise ImproperlyConfigured(f"{name}: the provider’s key is missing, as in anymail://{provider}?API_KEY=…")
    return {
        "EMAIL_BACKEND": f"anymail.backends.{provider}.EmailBackend",
        "ANYMAIL": {f"{provider.upper()}_{key.upper()}": value for key, value in given},
    }


def secret_key(name: str, *, data_dir: Path) -> str:
    """The signing key: from the environment, else made once and kept readable by its owner alone in ``data_dir``."""
    given = text(name)
    if given:
        return given
    path = data_dir / "secret_key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(60))
        except FileExistsError:
            pass  # another process of the same start made it
    return path.read_text()
