"""Where each figure of a plan comes from: its rule, and the sources of that rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from mesoclinic.core.numbers import shown_number
from protocols.pages.reading import Reading

ORIGINS: Mapping[tuple[str, str], tuple[str, Callable[[], str], str]] = {
    ("area_cm2", ""): ("area", lambda: _("Treated area"), "cm²"),
    ("target_volume_ml", ""): ("area", lambda: _("Target volume"), "mL"),
    ("points", ""): ("area", lambda: _("Injection points"), ""),
    ("course", "session_duration"): ("area", lambda: _("Injecting time"), "min"),
    ("severity", "overall_severity_rule"): ("area", lambda: _("Overall severity"), ""),
    ("select", "selection_weights"): ("mixture", lambda: _("Value of the set"), ""),
    ("select", "max_active_ingredients_per_session"): ("mixture", lambda: _("Most actives in a session"), ""),
    ("partition", ""): ("mixture", lambda: _("Mixtures"), ""),
    ("dose", "scaling"): ("mixture", lambda: _("Total volume"), "mL"),
    ("dose", "max_diluent_share_of_syringe"): ("mixture", lambda: _("Most diluent, share of a mixture"), ""),
    ("dose", "max_total_volume_per_session"): ("mixture", lambda: _("Most volume in a session"), "mL"),
    ("dose", "draw_step"): ("mixture", lambda: _("Step in which volumes are drawn"), "mL"),
    ("course", "sessions"): ("course", lambda: _("Sessions"), ""),
    ("course", "span"): ("course", lambda: _("Days from first to last"), ""),
    ("course", "methods"): ("course", lambda: _("Technique"), ""),
    ("cost", ""): ("cost", lambda: _("Expected price"), ""),
}


def origins(reading: Reading) -> dict[str, list[dict[str, Any]]]:
    """Every figure with the rule that it came from and that rule's sources, by where it is shown."""
    found: dict[str, list[dict[str, Any]]] = {"area": [], "mixture": [], "course": [], "cost": []}
    for row in reading.result["trace"]:
        known = ORIGINS.get((row["step"], row["rule"].rpartition(".")[2])) or ORIGINS.get((row["step"], ""))
        if known is None:
            continue
        place, label, unit = known
        plainly = isinstance(row["value"], str | int)
        words = _(shown_number(row["value"]).replace("_", " ")) if plainly else ""
        value = f"{words} {unit}" if words and unit else words
        sources = reading.contents.sources(rule_sources(reading.contents.documents, row["rule"]))
        found[place].append({"label": label(), "value": value, "rule": row["rule"], "sources": sources})
    if reading.result["course"]:
        rule = f"course.sessions.by_severity.{reading.result['severity']}"
        sources = reading.contents.sources(rule_sources(reading.contents.documents, rule))
        found["course"].append({"label": _("Windows of the sessions"), "value": "", "rule": rule, "sources": sources})
    return found


def rule_sources(documents: Mapping[str, Any], rule: str) -> list[str]:
    """The sources of the part of the formulary that a rule's address names, or of the nearest part that has any."""
    parts = rule.split(".")
    if parts[0] == "composition":
        parts = ["course", *parts]
    node: Any = documents
    found: list[str] = []
    for part in parts:
        if isinstance(node, list):
            node = next((item for item in node if isinstance(item, Mapping) and item.get("key") == part), None)
        else:
            node = node.get(part) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping) and node.get("source_ids"):
            found = list(node["source_ids"])
    return found
