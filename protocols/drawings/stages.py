"""The stages of the scales, from our own drawings."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from mesoclinic.ui.drawing import frame, own_shapes

ART = Path(__file__).parent / "art"
SCALES = {"norwood_hamilton": "norwood", "norwood": "norwood", "ludwig": "ludwig", "sinclair": "sinclair"}


@cache
def stages() -> dict[str, tuple[str, ...]]:
    """The drawn stages of each scale."""
    return {
        scale: tuple(sorted(path.stem for path in (ART / "stages" / folder).glob("*.svg")))
        for scale, folder in SCALES.items()
    }


def stage(
    scale: str,
    code: str,
    *,
    size: str | int | None = None,
    decorative: bool = False,
    for_print: bool = False,
) -> dict[str, Any]:
    """``decorative``: beside its own name, so that it is not read twice. A stage without a drawing draws nothing."""
    if code not in stages().get(scale, ()):
        return {"shapes": ""}
    title, told, shapes = own_shapes(ART / "stages" / SCALES[scale] / f"{code}.svg")
    return {
        **frame(box=(96.0, 96.0), for_print=for_print, width=size, prefix="", told=f"{scale}{code}"),
        "scale": SCALES[scale],
        "label": title,
        "told": told,
        "shapes": shapes,
        "decorative": decorative,
    }
