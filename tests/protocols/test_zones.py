"""What each zone takes: the same on the plan, on its prints and on the page that records it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from protocols.plans.zones import zone_shares

AREAS = [
    {"zone": "vertex", "area_cm2": "80"},
    {"zone": "hairline", "area_cm2": "30.5"},
    {"zone": "parting", "area_cm2": "9"},
]


@pytest.mark.parametrize("volumes", [["2.00"], ["3.35", "3.30"], ["0.05", "0.05", "0.05"], []])
@pytest.mark.parametrize("points", [0, 1, 119, 120])
def test_parts_of_zones_add_up_to_the_whole(volumes: list[str], points: int) -> None:
    rows = zone_shares(AREAS, points=points, volumes_ml=volumes)
    assert sum(row["points"] for row in rows) == points
    assert sum(Decimal(row["volume_ml"]) for row in rows) == sum(map(Decimal, volumes))
    assert [sum(Decimal(row["parts"][place]) for row in rows) for place in range(len(volumes))] == [
        Decimal(volume) for volume in volumes
    ]
    assert [row["zone"] for row in rows] == ["vertex", "hairline", "parting"]


def test_zones_are_cut_by_area() -> None:
    rows = zone_shares(AREAS, points=120, volumes_ml=["3.35", "3.30"])
    assert [(row["points"], row["parts"], row["volume_ml"]) for row in rows] == [
        (80, ["2.24", "2.21"], "4.45"),
        (31, ["0.86", "0.84"], "1.70"),
        (9, ["0.25", "0.25"], "0.50"),
    ]
    assert zone_shares([], points=120, volumes_ml=["2"]) == []
