"""What an edit or another answer changes, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from mesoclinic.core.numbers import shown_number
from protocols.engine import Formulary
from protocols.words.terms import words_of


# ---------------------------------------------------------------------- what if
def explain_change(change: Mapping[str, Any], formulary: Formulary) -> str:
    words, code, p = words_of(formulary), change["code"], change["params"]
    if code.startswith("ingredient_") or code in ("volume_changed", "reason_changed"):
        name = words.ingredient(p["ingredient"])
        if code == "ingredient_gone":
            return _("%(name)s is no longer in the mixture.") % {"name": name}
        if code == "ingredient_new":
            return _("%(name)s is new in the mixture (%(volume)s mL).") % {
                "name": name,
                "volume": shown_number(p["volume_ml"]),
            }
        if code == "reason_changed":
            return _("%(name)s is left out for another reason.") % {"name": name}
        volumes = {"old": shown_number(p["old"]), "new": shown_number(p["new"])}
        return _("%(name)s: %(new)s mL instead of %(old)s mL.") % {"name": name, **volumes}
    if code.startswith("question_"):
        texts = {"question_settled": _("No longer asked: %(q)s"), "question_new": _("Now asked: %(q)s")}
        return texts[code] % {"q": words.question(p["fact"])}
    if code.endswith(("_gone", "_new")):
        text = _("No longer: %(message)s") if code.endswith("_gone") else _("New: %(message)s")
        return text % {"message": words.rule_message(p)}
    label = _(CHANGES.get(code, code))
    return _("%(what)s: %(new)s instead of %(old)s.") % {
        "what": label,
        "old": _shown(p["old"]),
        "new": _shown(p["new"]),
    }


CHANGES = {
    "status_changed": gettext_noop("Status"),
    "severity_changed": gettext_noop("Severity"),
    "area_cm2_changed": gettext_noop("Treated area in cm²"),
    "target_volume_ml_changed": gettext_noop("Target volume in mL"),
    "total_volume_ml_changed": gettext_noop("Volume in mL"),
    "value_changed": gettext_noop("Value"),
    "formulary_version_changed": gettext_noop("Formulary version"),
    "syringes_changed": gettext_noop("Syringes"),
    "sessions_changed": gettext_noop("Sessions"),
    "offsets_days_changed": gettext_noop("Days of the sessions"),
    "span_days_changed": gettext_noop("Span of the course in days"),
    "duration_minutes_changed": gettext_noop("Minutes of injecting"),
    "points_changed": gettext_noop("Injection points"),
    "technique_changed": gettext_noop("Technique"),
    "min_gap_days_changed": gettext_noop("Shortest interval in days"),
    "max_gap_days_changed": gettext_noop("Longest interval in days"),
    "cost_changed": gettext_noop("Estimated cost"),
}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(shown_number(item) for item in value)
    return "–" if value is None else _(shown_number(value))
