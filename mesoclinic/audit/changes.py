"""Tells the apps above that a row has changed which they have copied from: a mail's address, a print, what is owed.

Whoever changes a patient, a site, a member of staff or the clinic announces it in the same transaction. What hangs on
each field stands in one table (``sessions/renewal/copies.py``), and who renews it beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Model
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import DomainError


def announce_change(row: Model, *, before: Mapping[str, Any], by: User | None) -> None:
    """Let every copy of ``row`` be renewed. ``before`` holds the fields that changed, as they were."""
    if before:
        import_string(settings.SOURCE_CHANGED)(row, before=before, by=by)


class NeedsConfirmation(DomainError):
    """The change has consequences that the person has to see first; ``consequences`` names them."""

    def __init__(self, consequences: Sequence[str]) -> None:
        super().__init__(" ".join([_("This needs your confirmation."), *consequences]), field="confirmed")
        self.consequences = tuple(consequences)


def check_confirmed(row: Model, *, change: Mapping[str, Any], confirmed: bool) -> None:
    """Raise NeedsConfirmation where something hangs on ``row`` that ``change`` would leave behind, until confirmed.

    ``change`` holds the new values of the fields.
    """
    if not confirmed and (consequences := consequences_of(row, change=change)):
        raise NeedsConfirmation(consequences)


def consequences_of(row: Model, *, change: Mapping[str, Any]) -> list[str]:
    """Return, in sentences, what hangs on ``row`` that ``change`` would leave behind or carry along."""
    found: list[str] = import_string(settings.WHAT_HANGS_ON)(row, change=change)
    return found
