"""Small helps for the plan's templates."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import template

from mesoclinic.ui.templatetags.ui import quantity
from protocols.formulary.catalogue import Catalogue
from protocols.formulary.words import SEVERITY_NAMES
from protocols.models import Plan
from protocols.models.marks import PLAN_MARKS

register = template.Library()


@register.filter
def get(mapping: Mapping[str, Any] | None, key: str) -> Any:
    """What a mapping holds under a key that is known only while rendering; empty where there is none."""
    return mapping.get(key, "") if mapping else ""


@register.simple_tag
def rule_severity(key: str) -> str:
    """``{% rule_severity "caution" as word %}``: how grave a rule is, as every page and print says it."""
    return str(SEVERITY_NAMES[key])


@register.inclusion_tag("components/chip.html")
def plan_state(plan: Plan) -> dict[str, Any]:
    """``{% plan_state plan %}``: the state of a plan in its word, colour and icon."""
    kind, icon = PLAN_MARKS[plan.status]
    return {"text": plan.get_status_display(), "kind": kind, "icon": icon, "wrap": False}


@register.filter
def signed(value: Any) -> str:
    """+1.30 or −0.02: a difference says its direction."""
    number = Decimal(str(value))
    return f"+{quantity(number)}" if number > 0 else quantity(number)


@register.filter
def with_sources(text: str, contents: Catalogue) -> str:
    """A text of the formulary, with each publication that it names by its key as people say it."""
    return contents.readable(text)
