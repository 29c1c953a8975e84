"""What a plan leaves out, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from mesoclinic.core.sorting import by_words
from patients.intake.answers import short_label
from protocols.pages.reading import Reading

GROUPS: Mapping[str, Any] = {
    "screened": lambda: _("Screened"),
    "adds_too_little": lambda: _("Adds too little"),
    "serves_no_concern": lambda: _("No concern"),
    "other": lambda: _("Other"),
}


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    key: str
    name: str
    group: str
    label: str
    reason: str
    figures: str = ""


def left_out(reading: Reading) -> list[LeftOut]:
    rows = []
    for row in reading.result["left_out"]:
        code = row["reason_code"]
        group = code if code in GROUPS else "adds_too_little" if code == "not_chosen" else "other"
        rows.append(
            LeftOut(
                key=row["ingredient"],
                name=short_label(reading.contents.name(row["ingredient"])),
                group=group,
                label=_reason_label(code),
                reason=row["reason"],
                figures=(reading.weighed.get(row["ingredient"]) or {}).get("figures", ""),
            )
        )
    order = {"screened": 0, "other": 1, "adds_too_little": 2, "serves_no_concern": 3}
    return sorted(rows, key=lambda row: (order[row.group], by_words(row.name)))


def left_groups(rows: list[LeftOut]) -> list[tuple[str, str, int]]:
    """(key, words, how many) for the filter, only those that have any."""
    counts = {key: sum(row.group == key for row in rows) for key in GROUPS}
    return [(key, str(GROUPS[key]()), count) for key, count in counts.items() if count]


def _reason_label(code: str) -> str:
    return {
        "screened": _("Screened"),
        "adds_too_little": _("Adds too little"),
        "not_chosen": _("Not chosen"),
        "serves_no_concern": _("No concern"),
        "displaced": _("Displaced"),
        "family_limit": _("Family limit"),
        "pair": _("Pair rule"),
        "no_volume": _("No room"),
        "no_stock": _("No stock"),
        "preference": _("Preference"),
        "removed_by_hand": _("Removed by you"),
        "diluent_for_reconstitution": _("For dissolving"),
        "diluent_not_needed": _("Not needed"),
        "no_plan": _("No plan"),
    }.get(code, code.replace("_", " ").capitalize())
