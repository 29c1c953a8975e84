"""Where every line of a drawing lies, as numbers for its template. The same drawing serves the screen and the PDF.

``for_print=True`` puts the print style into the drawing (a PDF renderer hands no page style down into an svg) and needs
its size: ``width="96mm"``; the height follows. Words are data; the templates draw what they get.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from django.utils import formats, timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from mesoclinic.ui import days, scalp

ART = Path(__file__).parent / "art"
NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


# ------------------------------------------------------------------ Common to all


@cache
def print_style() -> SafeString:
    """The drawings' colours as plain values, for inside an svg that becomes part of a PDF."""
    return mark_safe((ART / "print.css").read_text(encoding="utf-8"))  # noqa: S308 - our own file


def _frame(
    *, box: tuple[float, float], for_print: bool, width: str | int | None, prefix: str, told: str
) -> dict[str, Any]:
    """What each drawing's template needs for its root element."""
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


def _shown(value: Decimal, *, least_places: int = 0) -> str:
    """Digits as they are, no fewer than ``least_places`` after the sign."""
    exponent = value.as_tuple().exponent
    places = max(least_places, -exponent if isinstance(exponent, int) else 0)
    return formats.number_format(value, decimal_pos=places).replace("-", MINUS)


def _r(value: float) -> str:
    """A coordinate: one decimal at most."""
    return f"{round(value, 1):g}"


# ------------------------------------------------------------------ Scalp map

MAP_BOX = (480.0, 456.0)


def scalp_map(
    zones: Iterable[str | Mapping[str, Any]],
    *,
    label: Any = "",
    words: bool = True,
    dots: bool = True,
    selectable: bool = False,
    only_areas: bool = False,
    for_print: bool = False,
    width: str | int | None = None,
    prefix: str = "",
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
        **_frame(box=MAP_BOX, for_print=for_print, width=width, prefix=prefix, told=f"map{told}{words}{dots}"),
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
            parts.append(f"{_shown(Decimal(str(facts['volume_ml'])), least_places=2)}{NBSP}mL")
        return " · ".join(parts)
    area = facts.get("area_cm2")
    if area in (None, ""):
        return ""
    shown = _shown(Decimal(str(area)).normalize() if Decimal(str(area)) % 1 else Decimal(int(Decimal(str(area)))))
    return shown if bare else f"{shown}{NBSP}cm²"


def _map_told(selected: Sequence[Mapping[str, Any]]) -> str:
    if not selected:
        return _t("No zone is selected. The left of the drawing is the left of the patient.")
    parts = [f"{zone['short_name']} {zone['value']}".strip() for zone in selected]
    return _t("Selected: %(zones)s. The left of the drawing is the left of the patient.") % {"zones": ", ".join(parts)}


# ------------------------------------------------------------------ Syringe

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
        value = f"{'' if exact else '≈ '}{_shown(volume, least_places=2)}{NBSP}mL"
        if not diluent and line.get("dose") not in (None, ""):
            dose, exact = (
                _share(Decimal(str(line["dose"])), copies) if copies > 1 else (Decimal(str(line["dose"])), True)
            )
            value += f" · {'' if exact else '≈ '}{_shown(dose)}{NBSP}{line.get('dose_unit', '')}"
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
    volume = f"{_shown(each, least_places=2)}{NBSP}mL"
    if len(set(parts)) > 1:  # drawn in whole steps, so that one holds a step more
        volume = " + ".join(f"{_shown(part, least_places=2)}{NBSP}mL" for part in parts)
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
    for_print: bool = False,
    width: str | int | None = None,
    prefix: str = "",
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
                f"M70 112C70 104 84 98 97 98H111C124 98 138 104 138 112V{_r(bottom)}H70Z"
                if band is bands[0]
                else f"M70 {_r(top)}H138V{_r(bottom)}H70Z"
            ),
            "top": _r(top),
            "bottom": _r(bottom),
            "height": round(bottom - top, 4),
            "middle": _r(middle),
            "mark_y": _r(middle + 4.5),
            "tall": bottom - top >= 14,
            "row": _r(row),
            "row_mark": _r(row + 4.5),
            "row_name": _r(row - 2.5),
            "row_value": _r(row + 15.5),
            "is_active": str(active) == band["mark"],
        }
    end = TOP + UNIT * float(total / copies) if copies else TOP
    longest = max((len(str(band["name"])) for band in bands), default=0)
    box = (max(460.0, 220 + 8.4 * longest + 12) if words else 176.0, max(570.0, row + 40) if words else 570.0)
    marks = range(int(CAPACITY) + 1)
    return {
        **_frame(box=box, for_print=for_print, width=width, prefix=prefix, told=f"syringe{told}{words}{active}"),
        **told,
        "words": words,
        "bands": bands,
        "stopper": {"top": _r(end), "bottom": _r(end + 14)},
        "rod": _r(end + 14),
        "ticks": "".join(f"M56 {_r(TOP + UNIT * n)}H66" for n in marks),
        "half_ticks": "".join(f"M59 {_r(TOP + UNIT * (n + 0.5))}H66" for n in marks[:-1]),
        "fine_ticks": "".join(
            f"M62 {_r(TOP + UNIT * n / 10)}H66" for n in range(2, int(CAPACITY) * 10, 2) if n % 10 and n % 5
        ),
        "numbers": [{"n": n, "y": _r(TOP + UNIT * n + 4.5)} for n in marks],
    }


FLAT_UNIT = 58
FLAT_START = 66.0


def syringe_compact(
    lines: Any,
    *,
    label: str = "",
    for_print: bool = False,
    width: str | int | None = None,
    prefix: str = "",
) -> dict[str, Any]:
    own_label, given, total, copies = _mixture(lines)
    bands = _bands(given, copies)
    told = _told(lines, label or own_label, total, copies, bands)
    for band in bands:
        left, right = FLAT_START + FLAT_UNIT * band["start"], FLAT_START + FLAT_UNIT * band["end"]
        band |= {
            "path": (
                f"M66 12C60 12 54 18 54 24V36C54 42 60 48 66 48H{_r(right)}V12Z"
                if band is bands[0]
                else f"M{_r(left)} 12H{_r(right)}V48H{_r(left)}Z"
            ),
            "left": _r(left),
            "right": _r(right),
            "width": round(right - left, 4),
        }
    end = FLAT_START + FLAT_UNIT * float(total / copies) if copies else FLAT_START
    marks = range(int(CAPACITY) + 1)
    return {
        **_frame(box=(440.0, 74.0), for_print=for_print, width=width, prefix=prefix, told=f"flat{told}"),
        **told,
        "bands": bands,
        "stopper": {"left": _r(end), "right": _r(end + 9)},
        "ticks": "".join(f"M{_r(FLAT_START + FLAT_UNIT * n)} 52V58" for n in marks)
        + "".join(f"M{_r(FLAT_START + FLAT_UNIT * (n + 0.5))} 52V55.5" for n in marks[:-1]),
        "numbers": [{"n": f"{n}{NBSP}mL" if n == CAPACITY else n, "x": _r(FLAT_START + FLAT_UNIT * n)} for n in marks],
    }


# ------------------------------------------------------------------ Dose bar


def dosebar(*, now: Any, least: Any, usual: Any, most: Any, width: int) -> dict[str, Any]:
    """Where the dose lies between its least and its most; outside them it stands at the end."""
    low, high = float(least), float(most)
    reach = width - 8

    def at(value: Any) -> str:
        share = 0.5 if high == low else (float(value) - low) / (high - low)
        return _r(4 + reach * min(1.0, max(0.0, share)))

    return {
        "width": width,
        "end": width - 4,
        "x_now": at(now),
        "x_usual": at(usual) if usual not in (None, "") else "",
        "outside": not low <= float(now) <= high,
    }


# ------------------------------------------------------------------ Course axis

AXIS_BOX = (960.0, 208.0)
AXIS_START, AXIS_WIDTH = 56.0, 864.0
WORDS_OF_STATE = {
    "done": _("done"),
    "booked": _("booked"),
    "planned": _("planned"),
    "missed": _("missed"),
}
WORDS_OF_REVIEW = {
    "first_review": _("first review"),
    "decision_review": _("decision"),
    "end_of_course": _("end review"),
}


def axis_x(day: float, weeks: int) -> float:
    return AXIS_START + day * AXIS_WIDTH / (7 * weeks)


def course_axis(
    course: Mapping[str, Any],
    *,
    dates: Iterable[Mapping[str, Any]] | None = None,
    today: date | None = None,
    windows: bool = True,
    label: Any = "",
    for_print: bool = False,
    width: str | int | None = None,
    prefix: str = "",
) -> dict[str, Any]:
    """``dates``: of booked or held sessions, each with number, starts_at (or date) and maybe state.

    Without dates the axis counts days from the first session. Leave out ``today`` on paper.
    """
    offsets = [int(day) for day in course["offsets_days"]]
    spans = _windows(course.get("windows_days"), len(offsets))
    known = {int(entry["number"]): entry for entry in (dates if dates is not None else course.get("dates") or ())}
    start = _start_of(known, offsets)

    sessions: list[dict[str, Any]] = []
    for number, offset in enumerate(offsets, start=1):
        entry = known.get(number)
        when = _day_of(entry) if entry else (start + timedelta(days=offset) if start else None)
        state = str(entry.get("state") or "booked") if entry else "planned"
        sessions.append(
            {
                "number": number,
                "offset": (when - start).days if when and start else offset,
                "state": state if state in WORDS_OF_STATE else "booked",
                "when": when,
                "window": spans[number - 1] if number > 1 and spans else None,
            }
        )
    checkpoints = _checkpoints(course.get("checkpoints"), offsets, sessions, start)
    last = max([session["offset"] for session in sessions] + [point["offset"] for point in checkpoints])
    weeks = max(last // 7 + 1 + (last % 7 > 0), 4)

    for session in sessions:
        _place_session(session, weeks, start is not None)
    side = 0
    for point in checkpoints:
        side = _place_checkpoint(point, weeks, start, side, sessions)
    gaps = {b - a for a, b in pairwise(offsets)}
    told = _axis_told(sessions, checkpoints, today)
    movable = [session for session in sessions if session["window"] and session["state"] in ("booked", "planned")]
    end = max(session["x"] for session in sessions)
    return {
        **_frame(box=AXIS_BOX, for_print=for_print, width=width, prefix=prefix, told=f"axis{told}"),
        "label": label or _("Course on a time axis"),
        "told": told,
        "weeks": weeks,
        "months": _months(start, weeks) if start else [],
        **_week_ticks(weeks, 4 if gaps == {28} else 5),
        "sessions": sessions,
        "checkpoints": checkpoints,
        "path": f"M56 104H{_r(end)}",
        "path_after": f"M{_r(end)} 104H{_r(max(point['x'] for point in checkpoints))}"
        if checkpoints and max(point["x"] for point in checkpoints) > end
        else "",
        "path_done": _path_done(sessions, weeks, start, today),
        "windows": _brackets(movable, weeks) if windows else [],
        "window_text_x": _r(axis_x(movable[-1]["window"][1], weeks) + 12) if windows and movable else "",
        "today": _today(start, today, weeks),
    }


def _start_of(known: Mapping[int, Mapping[str, Any]], offsets: Sequence[int]) -> date | None:
    """The day of the first session; where that one is not booked, the day on which it would lie by the next that is."""
    first = min((number for number in known if number <= len(offsets)), default=None)
    return _day_of(known[first]) - timedelta(days=offsets[first - 1]) if first is not None else None


def _day_of(entry: Mapping[str, Any]) -> date:
    value = entry.get("date") or entry["starts_at"]
    if isinstance(value, str):
        value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
    if isinstance(value, datetime):
        # A moment keeps the zone it was given in; UTC, as the database has it, is shown in the page's.
        in_utc = value.tzinfo is not None and value.utcoffset() == timedelta()
        return (timezone.localtime(value) if in_utc else value).date()
    return value


def _windows(given: Any, count: int) -> list[tuple[int, int] | None]:
    spans: list[tuple[int, int] | None] = []
    for window in given or ():
        if isinstance(window, Mapping):
            low = next(window[key] for key in ("earliest", "min", "from") if key in window)
            high = next(window[key] for key in ("latest", "max", "to") if key in window)
        else:
            low, high = window[0], window[-1]
        spans.append((int(low), int(high)))
    if len(spans) == count - 1:
        spans.insert(0, None)
    return spans if len(spans) == count else []


def _checkpoints(
    given: Any, offsets: list[int], sessions: list[dict[str, Any]], start: date | None
) -> list[dict[str, Any]]:
    points = []
    for entry in given or ():
        after = entry.get("after_session")
        if entry.get("offset_days") is None and not after:
            continue
        offset = int(entry["offset_days"]) if entry.get("offset_days") is not None else offsets[int(after) - 1]
        # A review follows what was really booked, not the plan's ideal day.
        if after and int(after) <= len(sessions):
            offset = sessions[int(after) - 1]["offset"]
        elif start and offset > offsets[-1]:
            offset += sessions[-1]["offset"] - offsets[-1]
        key = str(entry.get("key", ""))
        points.append(
            {
                "key": key,
                "name": entry.get("label") or WORDS_OF_REVIEW.get(key) or key.replace("_", " "),
                "offset": offset,
                "state": "done" if entry.get("state") == "done" or entry.get("done") else "planned",
                "at_session": any(session["offset"] == offset for session in sessions),
            }
        )
    return points


def _place_session(session: dict[str, Any], weeks: int, dated: bool) -> None:
    x = axis_x(session["offset"], weeks)
    when = session["when"]
    if dated and when:
        top, below = days.written(when), str(WORDS_OF_STATE[session["state"]])
        told = days.written(when, "date")
    else:
        top = _t("Day %(day)d") % {"day": session["offset"]}
        low, high = session["window"] or (session["offset"], session["offset"])
        below = f"{low} – {high}" if low != high else ""
        told = top
    session |= {
        "x": x,
        "cx": _r(x),
        "tick": f"M{_r(x - 5.5)} 104.5l4 4 7.5-8.5",
        "top": top,
        "below": below,
        "title": _t("Session %(number)d, %(when)s, %(state)s")
        % {"number": session["number"], "when": told, "state": WORDS_OF_STATE[session["state"]]},
    }


def _place_checkpoint(
    point: dict[str, Any], weeks: int, start: date | None, side: int, sessions: list[dict[str, Any]]
) -> int:
    """Under its session where there is one, else on the path; its words go to the freer side. Returns the next side."""
    x = axis_x(point["offset"], weeks)
    point |= {"x": x, "cx": _r(x)}
    if not point["at_session"]:
        point["path"] = f"M{_r(x)} 92L{_r(x + 12)} 104L{_r(x)} 116L{_r(x - 12)} 104Z"
        if start:
            point["top"] = days.written(start + timedelta(days=point["offset"]))
        else:
            point["top"] = _t("Day %(day)d") % {"day": point["offset"]}
        return side
    left = side == 0 and x - 14 - 7 * len(str(point["name"])) > 4
    point |= {
        "path": f"M{_r(x)} 139L{_r(x + 9)} 148L{_r(x)} 157L{_r(x - 9)} 148Z",
        "text_x": _r(x - 14 if left else x + 14),
        "anchor": "end" if left else "start",
    }
    return 1


def _months(start: date, weeks: int) -> list[dict[str, Any]]:
    end = start + timedelta(days=7 * weeks)
    months, first, number = [], start, 0
    while first < end:
        following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        left = axis_x((first - start).days, weeks)
        right = axis_x((min(following, end) - start).days, weeks)
        named_year = number == 0 or first.month == 1
        months.append(
            {
                "left": _r(left),
                "shade": f"M{_r(left)} 24H{_r(right)}V168H{_r(left)}Z" if number % 2 == 0 else "",
                "rule": number > 0,
                "middle": _r((left + right) / 2),
                # A month that shows only a few days has no room for its name.
                "name": days.written(first, "month_year" if named_year and right - left > 70 else "month")
                if right - left > 34
                else "",
            }
        )
        first, number = following, number + 1
    return months


def _week_ticks(weeks: int, step: int) -> dict[str, Any]:
    labelled = list(range(0, weeks - 1, step))
    final = weeks - 1
    if final - labelled[-1] < 3:  # no room for both numbers
        labelled.pop()
    labelled.append(final)
    marks = (f"M{_r(axis_x(7 * week, weeks))} 168v{8 if week in labelled else 4}" for week in range(weeks + 1))
    return {
        "ticks": "".join(marks),
        "week_numbers": [
            {"x": _r(axis_x(7 * week, weeks)), "text": _t("week 0") if week == 0 else week} for week in labelled
        ],
    }


def _brackets(movable: list[dict[str, Any]], weeks: int) -> list[dict[str, Any]]:
    """One line where they stand apart; three levels in turn where they overlap."""
    spans = [session["window"] for session in movable]
    overlap = any(before[1] >= after[0] for before, after in pairwise(spans))
    brackets = []
    for index, session in enumerate(movable):
        y = (123.5, 128.5, 133.5)[index % 3] if overlap else 128.5
        left, right = (_r(axis_x(day, weeks)) for day in session["window"])
        brackets.append(
            {
                "number": session["number"],
                "path": f"M{left} {y + 2.5:g}v-5M{left} {y:g}H{right}M{right} {y + 2.5:g}v-5",
            }
        )
    return brackets


def _path_done(sessions: list[dict[str, Any]], weeks: int, start: date | None, today: date | None) -> str:
    done = [session["x"] for session in sessions if session["state"] == "done"]
    if not done:
        return ""
    reached = done[-1]
    if start and today and len(done) < len(sessions):
        reached = max(reached, min(axis_x((today - start).days, weeks), sessions[len(done)]["x"] - 14))
    return f"M56 104H{_r(reached)}"


def _today(start: date | None, today: date | None, weeks: int) -> dict[str, Any] | None:
    if not start or not today or not 0 <= (today - start).days <= 7 * weeks:
        return None
    x = axis_x((today - start).days, weeks)
    left = x > AXIS_BOX[0] - 70
    return {"x": _r(x), "text_x": _r(x - 7 if left else x + 7), "anchor": "end" if left else "start"}


def _axis_told(sessions: list[dict[str, Any]], checkpoints: list[dict[str, Any]], today: date | None) -> str:
    parts = [str(session["title"]) for session in sessions]
    parts += [f"{point['name']}: {_t('day %(day)d') % {'day': point['offset']}}" for point in checkpoints]
    if today:
        parts.append(_t("today is %(day)s") % {"day": days.written(today, "date")})
    return "; ".join(parts) + "."


# ------------------------------------------------------------------ Stages of the scales

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
        **_frame(box=(96.0, 96.0), for_print=for_print, width=size, prefix="", told=f"{scale}{code}"),
        "scale": SCALES[scale],
        "label": title,
        "told": told,
        "shapes": shapes,
        "decorative": decorative,
    }
