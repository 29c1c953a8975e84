"""A dose between its least, usual and most, as a bar."""

from __future__ import annotations

from typing import Any

from mesoclinic.ui.drawing import coordinate


def dosebar(*, now: Any, least: Any, usual: Any, most: Any, width: int) -> dict[str, Any]:
    """Where the dose lies between its least and its most; outside them it stands at the end."""
    low, high = float(least), float(most)
    reach = width - 8

    def at(value: Any) -> str:
        share = 0.5 if high == low else (float(value) - low) / (high - low)
        return coordinate(4 + reach * min(1.0, max(0.0, share)))

    return {
        "width": width,
        "end": width - 4,
        "x_now": at(now),
        "x_usual": at(usual) if usual not in (None, "") else "",
        "outside": not low <= float(now) <= high,
    }
