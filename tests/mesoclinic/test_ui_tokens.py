"""The colours can be read: contrast of every pair that the pages use, computed in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TOKENS = (ROOT / "static/css/tokens.css").read_text(encoding="utf-8")
ART = (ROOT / "static/css/art.css").read_text(encoding="utf-8")
PRINT = (ROOT / "mesoclinic/ui/art/print.css").read_text(encoding="utf-8")
THEMES = ("light", "dark")

PAIRS = {
    name: dict(zip(THEMES, values, strict=True))
    for name, *values in re.findall(r"--mc-([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", TOKENS)
}

SURFACES = ("bg", "surface", "surface-2", "sunken")
TEXT = [
    *((ink, paper) for ink in ("text", "text-2", "text-3", "accent") for paper in SURFACES),
    *((role, f"{role}-bg") for role in ("ok", "warn", "danger", "info", "quiet")),
    *((role, "surface") for role in ("ok", "warn", "danger", "info", "quiet")),
    *((ink, f"{role}-bg") for ink in ("text", "text-2") for role in ("ok", "warn", "danger", "info", "quiet")),
    ("on-accent", "accent"),
    ("on-accent", "accent-hover"),
    ("on-accent", "danger-solid"),
    ("on-accent", "danger"),
    ("accent", "accent-soft"),
    ("text", "accent-soft"),
    *(("on-band", f"band-{n}") for n in range(1, 6)),
    ("on-band-d", "band-d"),
    ("surface", "text"),  # the toast
]
CONTROLS = [
    *(("control", paper) for paper in SURFACES),
    *(("accent", paper) for paper in SURFACES),  # the focus ring
    ("danger", "surface"),
    *((f"band-{n}", "surface") for n in range(1, 6)),
]


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == 21


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("ink", "paper"), TEXT)
def test_text_can_be_read(ink: str, paper: str, theme: str) -> None:
    assert contrast(PAIRS[ink][theme], PAIRS[paper][theme]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("edge", "paper"), CONTROLS)
def test_control_can_be_seen(edge: str, paper: str, theme: str) -> None:
    assert contrast(PAIRS[edge][theme], PAIRS[paper][theme]) >= 3


def test_every_colour_token_has_both_themes() -> None:
    colours = re.findall(r"--mc-([\w-]+): (?:light-dark\(#|#)", TOKENS)

    assert sorted(colours) == sorted(PAIRS)


def test_stylesheets_use_only_tokens_that_exist() -> None:
    known = set(re.findall(r"(--mc-[\w-]+):", TOKENS))
    sheets = [path for path in (ROOT / "static/css").rglob("*.css") if path.name != "print.css"]

    used = {name for sheet in sheets for name in re.findall(r"var\((--mc-[\w-]+)", sheet.read_text(encoding="utf-8"))}

    assert used - known == set()


# ------------------------------------------------------------------ The colours inside a PDF's drawings


def _rules(css: str) -> dict[tuple[str, str], str]:
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = re.sub(r"@media[^{]*{(?:[^{}]*{[^{}]*})*[^{}]*}", "", css)
    found = {}
    for selectors, body in re.findall(r"([^{}]+){([^{}]*)}", css):
        for selector in selectors.split(","):
            for declaration in body.split(";"):
                if ":" in declaration:
                    name, value = declaration.split(":", 1)
                    found[" ".join(selector.split()), name.strip()] = value.strip()
    return found


def _light(value: str, rules: dict[tuple[str, str], str]) -> str:
    """The light value of a declaration of art.css, its variables and mixtures worked out."""
    if found := re.fullmatch(r"var\((--art-[\w-]+)\)", value):
        return _light(rules[".art", found[1]], rules)
    if found := re.fullmatch(r"var\(--mc-([\w-]+), #[0-9a-f]{6}\)", value):
        return PAIRS[found[1]]["light"]
    if found := re.fullmatch(r"color-mix\(in srgb, (var\([\w-]+\)) (\d+)%, (var\([\w-]+\))\)", value):
        one, other, share = _light(found[1], rules), _light(found[3], rules), int(found[2]) / 100
        mixed = (round(int(one[i : i + 2], 16) * share + int(other[i : i + 2], 16) * (1 - share)) for i in (1, 3, 5))
        return "#" + "".join(f"{channel:02x}" for channel in mixed)
    return value


def test_print_colours_are_those_of_the_screen_in_light() -> None:
    screen, printed = _rules(ART), _rules(PRINT)
    compared = {
        key: (value, _light(screen[key], screen))
        for key, value in printed.items()
        if value.startswith("#") and key in screen
    }

    assert {key: pair for key, pair in compared.items() if pair[0] != pair[1]} == {}
    assert len(compared) > 60
