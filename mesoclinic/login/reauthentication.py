"""Asks for the password again before something is signed, and stops somebody who guesses it."""

from __future__ import annotations

from django.core.cache import cache
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.core.counting import count, counted
from mesoclinic.core.errors import DomainError, InvalidInput

FAILURES_AT_MOST = 5
WITHIN_SECONDS = 300


class TooManyAttempts(DomainError):
    """The password was wrong too often; even the right one has to wait."""

    status = 429


def confirm_password(user: User, password: str) -> None:
    """Pass if ``password`` is the user's own. Call it before the transaction: a failure has to be remembered."""
    key = f"reauthentication:{user.public_id}"
    if counted(key) >= FAILURES_AT_MOST:
        raise TooManyAttempts(
            _("The password was wrong too often. Wait five minutes, then try again."), field="password"
        )
    if not password:
        raise InvalidInput(_("Type your password to sign."), field="password")
    if not user.is_active or not user.check_password(password):
        count(key, seconds=WITHIN_SECONDS)
        raise InvalidInput(_("That is not your password."), field="password")
    cache.delete(key)
