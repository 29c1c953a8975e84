"""The stages of the scales, from our own drawings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from mesoclinic.ui.drawing import frame

ART = Path(__file__).parent / "art"
SCALES = {"norwood_hamilton": "norwood", "norwood": "norwood", "ludwig": "ludwig", "sinclair": "sinclair"}


@cache
def _stage_shapes(folder: str, code: str) -> tuple[str, str, SafeString]:
    """Title, description and the lines of one of our own stage drawings."""
    text = (ART / "stages" / folder / f"{code}.svg").read_text(encoding="utf-8")
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL)
    desc = re.search(r"<desc[^>]*>(.*?)</desc>", text, re.DOTALL)
    inside = re.search(r"<svg[^>]*>(.*)</svg>", text, re.DOTALL)
    if not (title and desc and inside):
        raise ValueError(f"The drawing {folder}/{code}.svg has no title, description or content.")
    lines = re.sub(r"<(title|desc)[^>]*>.*?</\1>", "", inside[1], flags=re.DOTALL)
    return title[1], desc[1], mark_safe(re.sub(r"\s*\n\s*", "", lines))  # noqa: S308 - our own file


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
    title, told, shapes = _stage_shapes(SCALES[scale], code)
    return {
        **frame(box=(96.0, 96.0), for_print=for_print, width=size, prefix="", told=f"{scale}{code}"),
        "scale": SCALES[scale],
        "label": title,
        "told": told,
        "shapes": shapes,
        "decorative": decorative,
    }
