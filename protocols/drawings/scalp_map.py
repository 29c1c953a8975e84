"""The head from above: which zones are drawn, with what beside each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Unpack

from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from mesoclinic.ui.drawing import NBSP, Paper, frame, shown_digits
from protocols.drawings import scalp

MAP_BOX = (480.0, 456.0)


def scalp_map(
    zones: Iterable[str | Mapping[str, Any]],
    *,
    label: Any = "",
    words: bool = True,
    dots: bool = True,
    selectable: bool = False,
    only_areas: bool = False,
    **paper: Unpack[Paper],
) -> dict[str, Any]:
    """``only_areas``: small maps, a bare number per zone. ``selectable``: zones can be tapped; see zone-map.js."""
    given: dict[str, Mapping[str, Any]] = {}
    for entry in zones or ():
        zone = {"zone": entry} if isinstance(entry, str) else entry
        given[str(zone["zone"])] = zone
    if unknown := sorted(set(given) - set(scalp.ZONES)):
        raise ValueError(f"The scalp map has no zone called {', '.join(unknown)}.")

    drawn = []
    for key, shape in scalp.ZONES.items():
        facts = given.get(key, {})
        selected = bool(facts.get("selected", True)) if key in given else False
        count = int(facts.get("points") or 0) if selected and dots and not only_areas else 0
        x, y = shape.centre if only_areas else shape.label
        drawn.append(
            {
                "key": key,
                "name": facts.get("label") or shape.name,
                "short_name": facts.get("short_name") or shape.short_name,
                "path": shape.path,
                "selected": selected,
                "area_cm2": facts.get("area_cm2"),
                "value": _zone_value(facts, with_points=not only_areas, bare=only_areas),
                "points": count,
                "dots": scalp.path_of(scalp.points(key, count)),
                "x": x,
                "y": y,
                "y_value": y + 15,
                "plate": shape.plate if selected and not only_areas else None,
                "lead": "" if only_areas else shape.lead,
            }
        )
    told = _map_told([zone for zone in drawn if zone["selected"]])
    return {
        **frame(box=MAP_BOX, told=f"map{told}{words}{dots}", **paper),
        "zones": drawn,
        "words": words,
        "selectable": selectable,
        "only_areas": only_areas,
        "label": label or _("Scalp map seen from above, nose at the top"),
        "told": told,
    }


def _zone_value(facts: Mapping[str, Any], *, with_points: bool, bare: bool) -> str:
    if with_points and facts.get("points"):
        parts = [str(facts["points"])]
        if facts.get("volume_ml") not in (None, ""):
            parts.append(f"{shown_digits(Decimal(str(facts['volume_ml'])), least_places=2)}{NBSP}mL")
        return " · ".join(parts)
    area = facts.get("area_cm2")
    if area in (None, ""):
        return ""
    shown = shown_digits(Decimal(str(area)).normalize() if Decimal(str(area)) % 1 else Decimal(int(Decimal(str(area)))))
    return shown if bare else f"{shown}{NBSP}cm²"


def _map_told(selected: Sequence[Mapping[str, Any]]) -> str:
    if not selected:
        return _t("No zone is selected. The left of the drawing is the left of the patient.")
    parts = [f"{zone['short_name']} {zone['value']}".strip() for zone in selected]
    return _t("Selected: %(zones)s. The left of the drawing is the left of the patient.") % {"zones": ", ".join(parts)}
