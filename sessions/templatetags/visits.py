"""A small help for the templates about visits."""

from __future__ import annotations

from typing import Any

from django import template

from sessions.models import Appointment
from sessions.models.marks import VISIT_MARKS

register = template.Library()


@register.inclusion_tag("components/chip.html")
def visit_state(visit: Appointment) -> dict[str, Any]:
    """``{% visit_state visit %}``: the state of a visit in its word, colour and icon."""
    kind, icon = VISIT_MARKS[visit.status]
    return {"text": visit.get_status_display(), "kind": kind, "icon": icon, "wrap": False}
