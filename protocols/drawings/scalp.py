"""The scalp from above: where each zone lies in the drawing, and where a schema of its injection points goes.

The left of the drawing is the left of the patient. Points are a schema, not a record of where each needle went.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

Point = tuple[float, float]
Span = tuple[float, float]

EDGE = 5.0  # units that a point keeps from the edge of its zone
ROW = 0.5  # height of a raster row
MIRRORED = {"temporal_right": "temporal_left", "parietal_right": "parietal_left"}
AXIS = 240.0  # x of the midline


@dataclass(frozen=True, kw_only=True)
class Zone:
    key: str
    name: object
    short_name: object
    path: str
    label: Point  # baseline of its name
    plate: tuple[float, float, float, float] | None  # x, y, width, height behind the label, kept free of points
    lead: str = ""
    centre: Point = (0, 0)  # where a bare number stands


ZONES = {
    zone.key: zone
    for zone in (
        Zone(
            key="frontal",
            name=_("Front (hairline to 4 cm behind it)"),
            short_name=pgettext_lazy("zone", "Front"),
            path=(
                "M240 101.4C262 101.9 280.3 104.5 292.3 107.5C295.3 131.5 299.9 155.9 308.9 187.9"
                "C287.9 181.9 264 179.1 240 179.1C216 179.1 192.1 181.9 171.1 187.9"
                "C180.1 155.9 184.7 131.5 187.7 107.5C199.7 104.5 218 101.9 240 101.4Z"
            ),
            label=(240, 138),
            plate=(196, 123, 88, 34),
            centre=(240, 150),
        ),
        Zone(
            key="temporal_left",
            name=_("Left temple"),
            short_name=pgettext_lazy("zone", "Left temple"),
            path=(
                "M185.1 107.8C175.1 117.8 163.3 121.4 151.3 131.4C139.3 143.4 130.7 154.8 123.7 168.8"
                "C117.7 184.8 114.1 193.8 111.1 205.8C132.1 199.8 148.4 194.5 167.4 188.5"
                "C176.4 156.5 182.1 131.8 185.1 107.8Z"
            ),
            label=(56, 90),
            plate=None,
            lead="M104 97H116L138 156",
            centre=(149, 172),
        ),
        Zone(
            key="temporal_right",
            name=_("Right temple"),
            short_name=pgettext_lazy("zone", "Right temple"),
            path=(
                "M294.9 107.8C304.9 117.8 316.7 121.4 328.7 131.4C340.7 143.4 349.3 154.8 356.3 168.8"
                "C362.3 184.8 365.9 193.8 368.9 205.8C347.9 199.8 331.6 194.5 312.6 188.5"
                "C303.6 156.5 297.9 131.8 294.9 107.8Z"
            ),
            label=(424, 90),
            plate=None,
            lead="M376 97H364L342 156",
            centre=(331, 172),
        ),
        Zone(
            key="mid_scalp",
            name=_("Mid-scalp"),
            short_name=pgettext_lazy("zone", "Mid-scalp"),
            path=(
                "M240 182.9C264 182.9 288.6 185.6 309.6 191.6C326.6 233.6 326.6 265.7 285.6 280.7"
                "C274.8 266.8 257.5 259.1 240 259.1C222.5 259.1 205.2 266.8 194.4 280.7"
                "C153.4 265.7 153.4 233.6 170.4 191.6C191.4 185.6 216 182.9 240 182.9Z"
            ),
            label=(240, 220),
            plate=(196, 205, 88, 34),
            centre=(240, 230),
        ),
        Zone(
            key="parietal_left",
            name=_("Left side (parietal)"),
            short_name=pgettext_lazy("zone", "Left side"),
            path=(
                "M167.1 191.8C148.1 197.8 131.6 203.5 110.6 209.5C105.6 233.5 103.9 250 103.9 270"
                "C103.9 306 111.3 336.3 125.3 364.3C149.3 368.3 171.2 365.5 192.3 352.6"
                "C184.4 342.6 181.1 330.7 181.1 318C181.1 305.3 184.1 293.8 192 283.8"
                "C150.9 268.9 150.1 233.8 167.1 191.8Z"
            ),
            label=(143, 304),
            plate=(105, 289, 76, 34),
            centre=(143, 300),
        ),
        Zone(
            key="parietal_right",
            name=_("Right side (parietal)"),
            short_name=pgettext_lazy("zone", "Right side"),
            path=(
                "M312.9 191.8C331.9 197.8 348.4 203.5 369.4 209.5C374.4 233.5 376.1 250 376.1 270"
                "C376.1 306 368.7 336.3 354.7 364.3C330.7 368.3 308.8 365.5 287.7 352.6"
                "C295.6 342.6 298.9 330.7 298.9 318C298.9 305.3 295.9 293.8 288 283.8"
                "C329.1 268.9 329.9 233.8 312.9 191.8Z"
            ),
            label=(337, 304),
            plate=(299, 289, 76, 34),
            centre=(337, 300),
        ),
        Zone(
            key="vertex",
            name=_("Crown (vertex)"),
            short_name=pgettext_lazy("zone", "Crown"),
            path=(
                "M240 262.9C260.4 262.9 277.5 272.8 287.7 290.4C297.9 308.1 297.9 327.9 287.7 345.6"
                "C277.5 363.2 260.4 373.1 240 373.1C219.6 373.1 202.5 363.2 192.3 345.6"
                "C182.1 327.9 182.1 308.1 192.3 290.4C202.5 272.8 219.6 262.9 240 262.9Z"
            ),
            label=(240, 317),
            plate=(196, 302, 88, 34),
            centre=(240, 326),
        ),
        Zone(
            key="occipital",
            name=_("Back (occipital)"),
            short_name=pgettext_lazy("zone", "Back"),
            path=(
                "M285.4 355.6C306.5 368.5 329.8 371.6 353.8 367.6C327.8 415.6 288 436.1 240 436.1"
                "C192 436.1 152.2 415.6 126.2 367.6C150.2 371.6 173.5 368.5 194.6 355.6"
                "C205.4 369.4 222.5 376.9 240 376.9C257.5 376.9 274.6 369.4 285.4 355.6Z"
            ),
            label=(240, 403),
            plate=(196, 388, 88, 34),
            centre=(240, 412),
        ),
    )
}


@cache
def outline(key: str) -> tuple[Point, ...]:
    """The zone's path as a polygon, each curve in eight pieces."""
    numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", ZONES[key].path)]
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    polygon = [points[0]]
    for index in range(1, len(points), 3):
        start, (a, b, end) = polygon[-1], points[index : index + 3]
        polygon += [_bezier(start, a, b, end, step / 8) for step in range(1, 9)]
    return tuple(polygon)


def _bezier(p0: Point, p1: Point, p2: Point, p3: Point, t: float) -> Point:
    u = 1 - t
    weights = (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
    return (
        sum(w * p[0] for w, p in zip(weights, (p0, p1, p2, p3), strict=True)),
        sum(w * p[1] for w, p in zip(weights, (p0, p1, p2, p3), strict=True)),
    )


@cache
def room(key: str) -> tuple[float, tuple[tuple[Span, ...], ...]]:
    """The first row's y, and for each row of the raster the spans in which a point may stand."""
    polygon = outline(key)
    top = math.floor(min(y for _x, y in polygon))
    bottom = math.ceil(max(y for _x, y in polygon))
    count = int((bottom - top) / ROW) + 1
    inside = [_crossings(polygon, top + row * ROW) for row in range(count)]
    reach = int(EDGE / ROW)
    plate = ZONES[key].plate
    rows = []
    for row in range(count):
        spans = [(-math.inf, math.inf)]
        for shift in range(-reach, reach + 1):
            if not 0 <= row + shift < count:
                spans = []
                break
            margin = math.sqrt(EDGE**2 - (shift * ROW) ** 2)
            spans = _meet(spans, [(a + margin, b - margin) for a, b in inside[row + shift]])
        y = top + row * ROW
        if plate and plate[1] - 2 < y < plate[1] + plate[3] + 2:
            spans = _meet(spans, [(-math.inf, plate[0] - 2), (plate[0] + plate[2] + 2, math.inf)])
        rows.append(tuple(spans))
    return top, tuple(rows)


def _crossings(polygon: tuple[Point, ...], y: float) -> list[Span]:
    y += 1e-6  # never through a corner
    xs = sorted(
        x1 + (y - y1) * (x2 - x1) / (y2 - y1)
        for (x1, y1), (x2, y2) in pairwise((*polygon, polygon[0]))
        if (y1 <= y) != (y2 <= y)
    )
    return list(zip(xs[::2], xs[1::2], strict=True))


def _meet(left: list[Span], right: list[Span]) -> list[Span]:
    met = ((max(a, c), min(b, d)) for a, b in left for c, d in right)
    return [(a, b) for a, b in met if a <= b]


@cache
def points(key: str, count: int) -> tuple[Point, ...]:
    """``count`` points of a hexagonal grid inside the zone, at the widest pitch at which so many fit."""
    if count <= 0:
        return ()
    if key in MIRRORED:
        return tuple((2 * AXIS - x, y) for x, y in points(MIRRORED[key], count))
    top, rows = room(key)
    area = sum(b - a for spans in rows for a, b in spans) * ROW
    widest = math.sqrt(area * 2 / (math.sqrt(3) * count)) * 1.25 + 2
    best: list[Point] = []
    for step in range(int(widest * 10), 19, -1):
        pitch = step / 10
        for dx in (0.0, 0.5, 0.25, 0.75):
            for dy in (0.0, 0.2, 0.4, 0.6, 0.8):
                grid = _grid(top, rows, pitch, dx, dy)
                if len(grid) == count:
                    return tuple(grid)
                if len(grid) > count and not best:
                    best = grid
        if best and len(best) > count and pitch < widest * 0.55:
            break
    # No pitch gives exactly so many: leave out the ones nearest to the end of the grid.
    return tuple(best[:count])


def _grid(top: float, rows: tuple[tuple[Span, ...], ...], pitch: float, dx: float, dy: float) -> list[Point]:
    height = pitch * math.sqrt(3) / 2
    found: list[Point] = []
    y, line = top + dy * height, 0
    while (row := round((y - top) / ROW)) < len(rows):
        start = AXIS + (dx + (line % 2) / 2) * pitch
        for left, right in rows[row]:
            first = math.ceil((left - start) / pitch)
            last = math.floor((right - start) / pitch)
            found += [(round(start + n * pitch, 1), round(y, 1)) for n in range(first, last + 1)]
        y, line = y + height, line + 1
    return found


def path_of(dots: tuple[Point, ...]) -> str:
    """All dots as one path: each is a move and a stroke of no length with a round end."""
    return "".join(f"M{x:g} {y:g}h0" for x, y in dots)
