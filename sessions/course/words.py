"""“Session 2 of 5”, with what an amended course makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from protocols.models.enums import PlanStatus


def of_sessions(plan: int, planned: Any, status: str, cut: Mapping[int, int]) -> Any:
    """How many sessions a visit is one of. Under a plan that was replaced it is one of no course any more."""
    return None if status == PlanStatus.SUPERSEDED else cut.get(plan, planned)


def session_words(number: int, planned: object) -> str:
    if not planned:
        return _("Session %(n)s") % {"n": number}
    return _("Session %(n)s of %(all)s") % {"n": number, "all": planned}
