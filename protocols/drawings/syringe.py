"""A syringe as stacked bands, standing and lying."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Unpack

from django.utils.translation import gettext as _t
from django.utils.translation import ngettext

from mesoclinic.ui.drawing import NBSP, Paper, coordinate, frame, shown_digits

UNIT = 68  # drawing units per mL
TOP = 112.0  # 0 mL
CAPACITY = Decimal(5)  # mL in one syringe
ROW_HEIGHT = 58.0


def band_of(number: int | str) -> str:
    """The colour and pattern of a line: 1 to 5, then again from 1; a diluent has its own."""
    return "diluent" if str(number) == "S" else str((int(number) - 1) % 5 + 1)


def _mixture(lines: Any) -> tuple[str, list[Mapping[str, Any]], Decimal, int]:
    """Its label, its lines, its volume in mL, and in how many syringes of equal content it is drawn."""
    label, copies = "", None
    if isinstance(lines, Mapping):
        label, copies, lines = str(lines.get("label", "")), lines.get("copies"), lines["lines"]
    lines = list(lines)
    total = sum((Decimal(str(line["volume_ml"])) for line in lines), Decimal(0))
    return label, lines, total, int(copies or max(1, math.ceil(total / CAPACITY)))


def _share(value: Decimal, copies: int) -> tuple[Decimal, bool]:
    """What one of ``copies`` equal syringes holds, with as few more digits as it takes, and whether that is exact."""
    exponent = value.as_tuple().exponent
    given = max(0, -exponent if isinstance(exponent, int) else 0)
    for places in range(given, given + 4):
        share = (value / copies).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
        if share * copies == value:
            return share, True
    return (value / copies).quantize(Decimal(1).scaleb(-max(given, 2)), rounding=ROUND_HALF_EVEN), False


def _bands(lines: Sequence[Mapping[str, Any]], copies: int) -> list[dict[str, Any]]:
    bands, number, start = [], 0, Decimal(0)
    for line in lines:
        diluent = line.get("role") == "diluent"
        number += not diluent
        mark = "S" if diluent else str(number)
        whole = Decimal(str(line["volume_ml"]))
        volume, exact = _share(whole, copies)
        value = f"{'' if exact else '≈ '}{shown_digits(volume, least_places=2)}{NBSP}mL"
        if not diluent and line.get("dose") not in (None, ""):
            dose, exact = (
                _share(Decimal(str(line["dose"])), copies) if copies > 1 else (Decimal(str(line["dose"])), True)
            )
            value += f" · {'' if exact else '≈ '}{shown_digits(dose)}{NBSP}{line.get('dose_unit', '')}"
        bands.append(
            {
                "mark": mark,
                "band": band_of(mark),
                "name": line["name"],
                "value": value,
                "volume_ml": str(volume),
                "start": float(start / copies),
                "end": float((start + whole) / copies),
            }
        )
        start += whole
    return bands


def _told(lines: Any, label: str, total: Decimal, copies: int, bands: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    parts = [Decimal(part) for part in lines.get("parts", ())] if isinstance(lines, Mapping) else []
    each = _share(total, copies)[0]
    title = _t("Syringe %(label)s") % {"label": label} if label else _t("Syringe")
    volume = f"{shown_digits(each, least_places=2)}{NBSP}mL"
    if len(set(parts)) > 1:  # drawn in whole steps, so that one holds a step more
        volume = " + ".join(f"{shown_digits(part, least_places=2)}{NBSP}mL" for part in parts)
        volume += " · " + _t("one mixture, the picture shows their mean")
    elif copies > 1:
        volume += " · " + ngettext(
            "one of %(count)d with the same content", "one of %(count)d with the same content", copies
        ) % {"count": copies}
    listed = ", ".join(f"{band['name']} {band['value']}" for band in bands)
    told = _t("From the needle end: %(lines)s. Bands show volumes; in the syringe the liquids mix.") % {"lines": listed}
    return {"title": title, "volume": volume, "told": told}


def syringe(
    lines: Any,
    *,
    label: str = "",
    active: int | str | None = None,
    words: bool = True,
    **paper: Unpack[Paper],
) -> dict[str, Any]:
    """``active`` lights one band. ``words=False``: the syringe alone, where its lines stand beside it."""
    own_label, given, total, copies = _mixture(lines)
    bands = _bands(given, copies)
    told = _told(lines, label or own_label, total, copies, bands)
    row = 0.0
    for band in bands:
        top, bottom = TOP + UNIT * band["start"], TOP + UNIT * band["end"]
        middle = (top + bottom) / 2
        row = max(middle, row + ROW_HEIGHT) if row else middle
        band |= {
            "path": (
                f"M70 112C70 104 84 98 97 98H111C124 98 138 104 138 112V{coordinate(bottom)}H70Z"
                if band is bands[0]
                else f"M70 {coordinate(top)}H138V{coordinate(bottom)}H70Z"
            ),
            "top": coordinate(top),
            "bottom": coordinate(bottom),
            "height": round(bottom - top, 4),
            "middle": coordinate(middle),
            "mark_y": coordinate(middle + 4.5),
            "tall": bottom - top >= 14,
            "row": coordinate(row),
            "row_mark": coordinate(row + 4.5),
            "row_name": coordinate(row - 2.5),
            "row_value": coordinate(row + 15.5),
            "is_active": str(active) == band["mark"],
        }
    end = TOP + UNIT * float(total / copies) if copies else TOP
    longest = max((len(str(band["name"])) for band in bands), default=0)
    box = (max(460.0, 220 + 8.4 * longest + 12) if words else 176.0, max(570.0, row + 40) if words else 570.0)
    marks = range(int(CAPACITY) + 1)
    return {
        **frame(box=box, told=f"syringe{told}{words}{active}", **paper),
        **told,
        "words": words,
        "bands": bands,
        "stopper": {"top": coordinate(end), "bottom": coordinate(end + 14)},
        "rod": coordinate(end + 14),
        "ticks": "".join(f"M56 {coordinate(TOP + UNIT * n)}H66" for n in marks),
        "half_ticks": "".join(f"M59 {coordinate(TOP + UNIT * (n + 0.5))}H66" for n in marks[:-1]),
        "fine_ticks": "".join(
            f"M62 {coordinate(TOP + UNIT * n / 10)}H66" for n in range(2, int(CAPACITY) * 10, 2) if n % 10 and n % 5
        ),
        "numbers": [{"n": n, "y": coordinate(TOP + UNIT * n + 4.5)} for n in marks],
    }


FLAT_UNIT = 58
FLAT_START = 66.0


def syringe_compact(
    lines: Any,
    *,
    label: str = "",
    **paper: Unpack[Paper],
) -> dict[str, Any]:
    own_label, given, total, copies = _mixture(lines)
    bands = _bands(given, copies)
    told = _told(lines, label or own_label, total, copies, bands)
    for band in bands:
        left, right = FLAT_START + FLAT_UNIT * band["start"], FLAT_START + FLAT_UNIT * band["end"]
        band |= {
            "path": (
                f"M66 12C60 12 54 18 54 24V36C54 42 60 48 66 48H{coordinate(right)}V12Z"
                if band is bands[0]
                else f"M{coordinate(left)} 12H{coordinate(right)}V48H{coordinate(left)}Z"
            ),
            "left": coordinate(left),
            "right": coordinate(right),
            "width": round(right - left, 4),
        }
    end = FLAT_START + FLAT_UNIT * float(total / copies) if copies else FLAT_START
    marks = range(int(CAPACITY) + 1)
    return {
        **frame(box=(440.0, 74.0), told=f"flat{told}", **paper),
        **told,
        "bands": bands,
        "stopper": {"left": coordinate(end), "right": coordinate(end + 9)},
        "ticks": "".join(f"M{coordinate(FLAT_START + FLAT_UNIT * n)} 52V58" for n in marks)
        + "".join(f"M{coordinate(FLAT_START + FLAT_UNIT * (n + 0.5))} 52V55.5" for n in marks[:-1]),
        "numbers": [
            {"n": f"{n}{NBSP}mL" if n == CAPACITY else n, "x": coordinate(FLAT_START + FLAT_UNIT * n)} for n in marks
        ],
    }
