"""What each zone of the scalp takes of a session: its part of the points and of every mixture, by area."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any


def zone_shares(zones: Sequence[Mapping[str, Any]], *, points: int, volumes_ml: Iterable[Any]) -> list[dict[str, Any]]:
    """Return each zone with its ``points``, its ``parts`` of the volumes (mL, as text) and their sum, ``volume_ml``.

    Cumulated and rounded, so that the zones' points and volumes add up to the whole.
    """
    areas = [Decimal(str(zone["area_cm2"])) for zone in zones]
    of_points = _cut(points, areas)
    of_volumes = [_cut(int(Decimal(str(volume)) * 100), areas) for volume in volumes_ml]
    rows = []
    for place, zone in enumerate(zones):
        parts = [Decimal(cut[place]) / 100 for cut in of_volumes]
        rows.append(
            {
                **zone,
                "points": of_points[place],
                "parts": [f"{part:.2f}" for part in parts],
                "volume_ml": f"{sum(parts, Decimal(0)):.2f}",
            }
        )
    return rows


def _cut(whole: int, areas: Sequence[Decimal]) -> list[int]:
    """Cut a whole number in proportion to the areas."""
    total, before, upto, found = sum(areas, Decimal(0)), 0, Decimal(0), []
    for area in areas:
        upto += area
        reached = int((whole * upto / total).to_integral_value()) if total else 0
        found.append(reached - before)
        before = reached
    return found
