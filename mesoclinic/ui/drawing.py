"""What every drawing has: a root element of a size, on the screen and in a PDF, and numbers in the reader's way."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, Unpack

from django.utils import formats
from django.utils.safestring import SafeString, mark_safe

ART = Path(__file__).parent / "art"
NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


@cache
def print_style() -> SafeString:
    """The drawings' colours as plain values, for inside an svg that becomes part of a PDF."""
    return mark_safe((ART / "print.css").read_text(encoding="utf-8"))  # noqa: S308 - our own file


@cache
def own_shapes(file: Path) -> tuple[str, str, SafeString]:
    """Title, description and the lines of one of our own drawings; never of a file that somebody sent."""
    text = file.read_text(encoding="utf-8")
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL)
    desc = re.search(r"<desc[^>]*>(.*?)</desc>", text, re.DOTALL)
    inside = re.search(r"<svg[^>]*>(.*)</svg>", text, re.DOTALL)
    if not (title and desc and inside):
        raise ValueError(f"The drawing {file.parent.name}/{file.name} has no title, description or content.")
    lines = re.sub(r"<(title|desc)[^>]*>.*?</\1>", "", inside[1], flags=re.DOTALL)
    return title[1], desc[1], mark_safe(re.sub(r"\s*\n\s*", "", lines))  # noqa: S308 - our own file


class Paper(TypedDict, total=False):
    """How a drawing goes on its page: for a PDF with its own style and size, and the prefix of its ids."""

    for_print: bool
    width: str | int | None
    prefix: str


def frame(*, box: tuple[float, float], told: str, **paper: Unpack[Paper]) -> dict[str, Any]:
    """What each drawing's template needs for its root element."""
    for_print, width, prefix = paper.get("for_print", False), paper.get("width"), paper.get("prefix", "")
    size = {}
    if for_print or width:
        number, unit = _length(width or f"{box[0]:g}")
        size = {"width": f"{number:g}{unit}", "height": f"{number * box[1] / box[0]:.4g}{unit}"}
    return {
        "box": f"0 0 {box[0]:g} {box[1]:g}",
        "size": size,
        "for_print": for_print,
        "style": print_style() if for_print else "",
        # Made from what is drawn, so that the same drawing is the same bytes.
        "prefix": prefix or "d" + hashlib.sha256(told.encode()).hexdigest()[:8],
    }


def _length(width: str | int) -> tuple[float, str]:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]*)", str(width))
    if not found:
        raise ValueError(f"“{width}” is not a length. Write one like 96mm or 320.")
    return float(found[1]), found[2]


def shown_digits(value: Decimal, *, least_places: int = 0) -> str:
    """Digits as they are, no fewer than ``least_places`` after the sign."""
    exponent = value.as_tuple().exponent
    places = max(least_places, -exponent if isinstance(exponent, int) else 0)
    return formats.number_format(value, decimal_pos=places).replace("-", MINUS)


def coordinate(value: float) -> str:
    """A coordinate: one decimal at most."""
    return f"{round(value, 1):g}"
