"""The drawings' geometry: what is drawn is what the numbers say."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Template
from django.utils import timezone, translation

from mesoclinic.ui import days
from protocols import drawings
from protocols.drawings import scalp

LINES = [
    {"name": "Biochanin A", "role": "active", "volume_ml": "0.50", "dose": "0.10", "dose_unit": "mg"},
    {"name": "Coumarin", "role": "active", "volume_ml": "0.25", "dose": "0.25", "dose_unit": "mg"},
    {"name": "Saline 0.9 %", "role": "diluent", "volume_ml": "2.15", "dose": None, "dose_unit": "mg"},
]
COURSE = {
    "sessions": 5,
    "offsets_days": [0, 35, 70, 105, 140],
    "windows_days": [[0, 0], [28, 49], [63, 91], [98, 126], [133, 161]],
    "checkpoints": [
        {"key": "first_review", "after_session": 2, "offset_days": 35},
        {"key": "decision_review", "after_session": 3, "offset_days": 70},
        {"key": "end_of_course", "after_session": None, "offset_days": 224},
    ],
}


def drawn(tag: str, **context: Any) -> str:
    return Template(tag).render(Context(context))


# ------------------------------------------------------------------ Scalp map


def inside(polygon: tuple[scalp.Point, ...], x: float, y: float) -> bool:
    """Even-odd, written apart from the code under test."""
    odd = False
    for (x1, y1), (x2, y2) in pairwise((*polygon, polygon[0])):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            odd = not odd
    return odd


def from_edge(polygon: tuple[scalp.Point, ...], x: float, y: float) -> float:
    def to_segment(x1: float, y1: float, x2: float, y2: float) -> float:
        length = (x2 - x1) ** 2 + (y2 - y1) ** 2
        t = 0.0 if not length else max(0.0, min(1.0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length))
        return math.hypot(x - x1 - t * (x2 - x1), y - y1 - t * (y2 - y1))

    return min(to_segment(*a, *b) for a, b in pairwise((*polygon, polygon[0])))


@pytest.mark.parametrize("key", scalp.ZONES)
@pytest.mark.parametrize("count", [1, 7, 24, 62, 93, 120])
def test_points_are_as_many_as_asked_inside_the_zone_and_clear_of_its_label(key: str, count: int) -> None:
    polygon, plate = scalp.outline(key), scalp.ZONES[key].plate

    points = scalp.points(key, count)

    assert len(set(points)) == count
    assert all(inside(polygon, x, y) and from_edge(polygon, x, y) > scalp.EDGE - 0.6 for x, y in points)
    if plate:
        left, top, width, height = plate
        assert not [(x, y) for x, y in points if left < x < left + width and top < y < top + height]


def test_points_of_a_pair_are_mirrored() -> None:
    left, right = scalp.points("temporal_left", 24), scalp.points("temporal_right", 24)

    assert right == tuple((2 * scalp.AXIS - x, y) for x, y in left)


def test_more_points_stand_closer() -> None:
    def pitch(count: int) -> float:
        dots = scalp.points("vertex", count)
        return min(math.dist(a, b) for i, a in enumerate(dots) for b in dots[i + 1 :])

    assert pitch(20) > pitch(62) > pitch(120) > 2


def test_map_marks_the_selected_zones_and_tells_them() -> None:
    html = drawn(
        "{% scalp_map zones %}",
        zones=[
            {"zone": "frontal", "points": 62, "volume_ml": "1.9"},
            {"zone": "vertex", "area_cm2": Decimal("80.00")},
            {"zone": "occipital", "area_cm2": 100, "selected": False},
        ],
    )

    selected = re.findall(r'class="zone is-selected" data-zone="(\w+)"', html)
    assert selected == ["frontal", "vertex"]
    assert len(re.findall(r"M[\d.]+ [\d.]+h0", html)) == 62
    assert "62 · 1.90\u00a0mL" in html
    assert "80\u00a0cm²" in html
    assert "Selected: Front 62 · 1.90\u00a0mL, Crown 80\u00a0cm²." in html


def test_map_of_keys_alone_draws_them() -> None:
    html = drawn("{% scalp_map zones %}", zones=["mid_scalp"])

    assert re.findall(r'is-selected" data-zone="(\w+)"', html) == ["mid_scalp", "mid_scalp"]  # its shape, its label


def test_map_refuses_a_zone_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="no zone called beard"):
        drawings.scalp_map(["frontal", "beard"])


def test_selectable_map_is_a_group_of_checkboxes() -> None:
    html = drawn("{% scalp_map zones selectable=True %}", zones=["frontal"])

    assert html.count('role="checkbox"') == 8
    assert html.count('aria-checked="true"') == 1
    assert 'role="img"' not in html


# ------------------------------------------------------------------ Syringe


def test_band_is_68_units_a_millilitre_and_the_stopper_stands_at_the_total() -> None:
    picture = drawings.syringe(LINES)

    assert [band["height"] for band in picture["bands"]] == [34.0, 17.0, 146.2]
    assert [band["mark"] for band in picture["bands"]] == ["1", "2", "S"]
    assert [band["band"] for band in picture["bands"]] == ["1", "2", "diluent"]
    assert picture["stopper"]["top"] == "309.2"  # 112 + 68 × 2.90


def test_bands_follow_one_another_without_a_gap() -> None:
    bands = drawings.syringe(LINES)["bands"]

    assert all(before["bottom"] == after["top"] for before, after in pairwise(bands))


def test_label_rows_of_thin_bands_keep_apart() -> None:
    thin = [{"name": f"N{n}", "role": "active", "volume_ml": "0.10", "dose": "1", "dose_unit": "mg"} for n in range(8)]

    rows = [float(band["row"]) for band in drawings.syringe(thin)["bands"]]

    assert all(after - before > 57.9 for before, after in pairwise(rows))


@pytest.mark.parametrize(
    ("total", "copies", "stopper"),
    [("5.00", 1, 112 + 68 * 5.0), ("5.05", 2, 112 + 68 * 2.525), ("8.00", 2, 384.0), ("15.00", 3, 452.0)],
)
def test_mixture_over_five_millilitres_is_drawn_as_equal_syringes(total: str, copies: int, stopper: float) -> None:
    line = {"name": "X", "role": "active", "volume_ml": total, "dose": "12", "dose_unit": "mg"}

    picture = drawings.syringe({"label": "A", "lines": [line]})

    assert float(picture["stopper"]["top"]) == pytest.approx(stopper, abs=0.05)
    assert ("with the same content" in picture["volume"]) == (copies > 1)


@pytest.mark.parametrize(
    ("volume", "dose", "copies", "value"),
    [
        ("1.00", "0.20", 1, "1.00 mL · 0.20 mg"),
        ("1.00", "0.20", 2, "0.50 mL · 0.10 mg"),
        ("0.50", "50", 2, "0.25 mL · 25 mg"),
        ("2.00", "3.75", 2, "1.00 mL · 1.875 mg"),
        ("0.25", "0.25", 2, "0.125 mL · 0.125 mg"),
        ("1.00", "0.10", 3, "≈ 0.33 mL · ≈ 0.03 mg"),
    ],
)
def test_line_of_one_of_several_syringes_tells_its_own_share(volume: str, dose: str, copies: int, value: str) -> None:
    line = {"name": "X", "role": "active", "volume_ml": volume, "dose": dose, "dose_unit": "mg"}

    [band] = drawings.syringe({"label": "A", "copies": copies, "lines": [line]})["bands"]

    assert band["value"].replace("\u00a0", " ") == value


def test_compact_band_is_58_units_a_millilitre() -> None:
    bands = drawings.syringe_compact(LINES)["bands"]

    assert [band["width"] for band in bands] == [29.0, 14.5, 124.7]
    assert drawings.syringe_compact(LINES)["stopper"]["left"] == "234.2"  # 66 + 58 × 2.90


def test_names_are_escaped() -> None:
    html = drawn("{% syringe lines %}", lines=[{**LINES[0], "name": "<script>alert(1)</script>"}])

    assert "<script>" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3  # its label, its title, the words of the whole


# ------------------------------------------------------------------ Course axis


def test_axis_runs_from_56_to_920() -> None:
    assert drawings.axis_x(0, 33) == 56
    assert drawings.axis_x(7 * 33, 33) == 920
    assert drawings.axis_x(35, 33) == pytest.approx(186.9, abs=0.05)


def test_weeks_are_one_more_than_the_last_review() -> None:
    picture = drawings.course_axis(COURSE)

    assert picture["weeks"] == 33  # the last review is in week 32
    assert [session["cx"] for session in picture["sessions"]] == ["56", "186.9", "317.8", "448.7", "579.6"]
    assert [point["cx"] for point in picture["checkpoints"]] == ["186.9", "317.8", "893.8"]


def test_axis_without_dates_counts_days() -> None:
    picture = drawings.course_axis(COURSE)

    assert [session["top"] for session in picture["sessions"]] == ["Day 0", "Day 35", "Day 70", "Day 105", "Day 140"]
    assert picture["months"] == []
    assert picture["today"] is None


def test_axis_with_dates_shows_them_where_they_are() -> None:
    start = date(2026, 10, 5)
    dates = [
        {"number": 1, "date": start, "state": "done"},
        {"number": 2, "date": start + timedelta(days=37), "state": "booked"},
    ]

    picture = drawings.course_axis(COURSE, dates=dates, today=date(2026, 10, 19))

    states = [(session["top"], session["state"], session["offset"]) for session in picture["sessions"]]
    assert states[:3] == [("5 Oct", "done", 0), ("11 Nov", "booked", 37), ("14 Dec", "planned", 70)]
    assert picture["today"]["x"] == f"{round(drawings.axis_x(14, 33), 1):g}"
    assert [month["name"] for month in picture["months"]][:4] == ["Oct 2026", "Nov", "Dec", "Jan 2027"]
    assert picture["checkpoints"][0]["offset"] == 37  # a review follows the session as booked


def test_axis_takes_the_day_in_the_page_zone() -> None:
    late = datetime(2026, 10, 5, 22, 30, tzinfo=UTC)  # already the 6th in Paris

    with timezone.override(ZoneInfo("Europe/Paris")):
        picture = drawings.course_axis(COURSE, dates=[{"number": 1, "starts_at": late}])

    assert picture["sessions"][0]["when"] == date(2026, 10, 6)


SPANS = [(0, 0), (28, 49), (63, 91), (98, 126), (133, 161)]


@pytest.mark.parametrize(
    "windows",
    [
        [list(span) for span in SPANS],
        [{"session": n, "earliest": a, "ideal": 0, "latest": b} for n, (a, b) in enumerate(SPANS, 1)],
        [{"min": a, "max": b} for a, b in SPANS],
        SPANS[1:],
    ],
)
def test_axis_reads_windows_in_each_form(windows: list[Any]) -> None:
    picture = drawings.course_axis({**COURSE, "windows_days": windows})

    assert [session["window"] for session in picture["sessions"]] == [None, *SPANS[1:]]
    assert picture["windows"][0]["path"].startswith("M160.7 131v-5M160.7 128.5H239.3")


def test_overlapping_windows_stand_on_levels() -> None:
    course = {"offsets_days": [0, 28, 56], "windows_days": [[0, 0], [21, 42], [42, 84]]}

    levels = [re.findall(r"M[\d.]+ ([\d.]+)H", window["path"])[0] for window in drawings.course_axis(course)["windows"]]

    assert levels == ["123.5", "128.5"]


def test_course_of_one_session_is_drawn() -> None:
    html = drawn("{% course_axis course %}", course={"sessions": 1, "offsets_days": [0]})

    assert html.count('class="session is-planned"') == 1


# ------------------------------------------------------------------ Dose bar, stages, print


@pytest.mark.parametrize(
    ("now", "x", "outside"),
    [("0.5", "4", False), ("1.0", "52", False), ("1.5", "100", False), ("1.8", "100", True), ("0.1", "4", True)],
)
def test_dose_stands_between_least_and_most(now: str, x: str, outside: bool) -> None:
    bar = drawings.dosebar(now=now, least="0.5", usual="1.0", most="1.5", width=104)

    assert (bar["x_now"], bar["x_usual"], bar["outside"]) == (x, "52", outside)


def test_every_stage_of_the_scales_has_a_drawing() -> None:
    assert drawings.stages()["norwood_hamilton"] == ("I", "II", "III", "III_vertex", "IV", "V", "VI", "VII")
    assert drawings.stages()["ludwig"] == ("I", "II", "III")
    assert drawings.stages()["sinclair"] == ("1", "2", "3", "4", "5")


@pytest.mark.parametrize(
    ("scale", "code"), [("generic", "mild"), ("norwood_hamilton", "../../icons"), ("ludwig", "IX")]
)
def test_stage_without_a_drawing_draws_nothing(scale: str, code: str) -> None:
    assert drawn("{% stage scale code %}", scale=scale, code=code).strip() == ""


@pytest.mark.parametrize(
    ("tag", "width", "height"),
    [
        ('{% scalp_map zones for_print=True width="80mm" %}', "80mm", "76mm"),
        ('{% syringe_compact lines for_print=True width="96mm" %}', "96mm", "16.15mm"),
        ('{% course_axis course for_print=True width="170mm" %}', "170mm", "36.83mm"),
        ('{% stage "ludwig" "II" for_print=True size="20mm" %}', "20mm", "20mm"),
    ],
)
def test_drawing_for_print_carries_its_colours_and_its_size(tag: str, width: str, height: str) -> None:
    html = drawn(tag, zones=["frontal"], lines=LINES, course=COURSE)

    assert f'width="{width}" height="{height}"' in html
    assert "<style>" in html and ".scalp-map .head { fill: #f4ece6" in html
    assert "var(" not in html


def test_drawing_is_the_same_bytes_each_time() -> None:
    assert drawn("{% syringe lines for_print=True %}", lines=LINES) == drawn(
        "{% syringe lines for_print=True %}", lines=LINES
    )


def test_drawings_of_different_content_have_ids_of_their_own() -> None:
    one, other = (drawings.syringe(lines)["prefix"] for lines in (LINES, LINES[:2]))

    assert one != other


@pytest.mark.parametrize(("language", "back"), [("en", "Back"), ("fr", "Arrière"), ("es", "Posterior")])
def test_zones_are_named_as_places_and_short_enough_for_their_plates(language: str, back: str) -> None:
    """“Back” is also a button; and a longer name would lie over the zone's edge."""
    with translation.override(language):
        names = {key: str(zone.short_name) for key, zone in scalp.ZONES.items()}
    assert names["occipital"] == back and len(set(names.values())) == len(names)
    assert [names[key] for key, zone in scalp.ZONES.items() if zone.plate and len(names[key]) > 10] == []


@pytest.mark.parametrize(
    ("language", "short", "full"),
    [
        ("en", "7 Dec", "Monday 7 December 2026"),
        ("fr", "7 déc", "lundi 7 décembre 2026"),
        ("es", "7 dic", "lunes 7 de diciembre de 2026"),
    ],
)
def test_days_are_written_as_each_language_does(language: str, short: str, full: str) -> None:
    with translation.override(language):
        assert (days.written(date(2026, 12, 7)), days.written(date(2026, 12, 7), "full")) == (short, full)
