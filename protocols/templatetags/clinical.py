"""Tags of what a clinic shows of a treatment, in every template without a load: grades, severities, doses, drawings.

They take plain values and dictionaries. The catalogue stands at the top of docs/reference/design-language.md.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from protocols import drawings

register = template.Library()


@register.inclusion_tag("components/grade.html")
def grade(letter: str, direction: str, means: str) -> dict[str, Any]:
    """Evidence: how it was studied and what came out, always together; ``means`` says what the letter stands for."""
    return {"letter": letter, "direction": direction, "means": means, "strong": letter in ("A", "B")}


@register.inclusion_tag("components/severity.html")
def severity(steps: int, word: str) -> dict[str, Any]:
    """How severe: so many of three steps, and the word."""
    return {"steps": steps, "word": word}


@register.inclusion_tag("components/strength.html")
def strength(value: int | str) -> dict[str, Any]:
    """Practice habit, 0 to 3 bars; not evidence."""
    number = int(value)
    return {"number": number, "bars": [number >= bar for bar in (1, 2, 3)]}


@register.inclusion_tag("components/swatch.html")
def swatch(number: int | str) -> dict[str, Any]:
    """The coloured square of a cocktail line: its number, or "S" for a diluent."""
    return {"number": number, "band": drawings.band_of(number)}


FINDINGS = {
    "absolute": ("danger", "stop"),
    "exclude": ("", "x"),
    "caution": ("warn", "warn"),
    "open": ("info", "clock"),
    "info": ("", "info"),
    "done": ("ok", "check"),
}


@register.simple_block_tag
def finding(
    content: str, severity: str, word: Any, title: Any = "", text: Any = "", because: Any = "", id: str = ""
) -> SafeString:
    """A rule that fired, and inside the block what can be done about it.

    ``{% finding "caution" word title="…" text="…" because="…" %}<form>…</form>{% endfinding %}``;
    severities: absolute exclude caution open info done.
    """
    kind, symbol = FINDINGS[severity]
    return render_to_string(
        "components/finding.html",
        {
            "kind": kind,
            "icon": symbol,
            "label": word,
            "title": title,
            "text": text,
            "because": because,
            "id": id,
            "content": content,
        },
    )


@register.inclusion_tag("components/dosebar.html")
def dosebar(
    now: Any, least: Any, usual: Any, most: Any, unit: str = "mL", width: int = 104, large: bool = False
) -> dict[str, Any]:
    """A dose between its least, usual and most."""
    return drawings.dosebar(now=now, least=least, usual=usual, most=most, width=width) | {
        "unit": unit,
        "large": large,
        "now": now,
        "least": least,
        "usual": usual,
        "most": most,
    }


@register.inclusion_tag("components/drawings/scalp_map.html")
def scalp_map(zones: Any, **options: Any) -> dict[str, Any]:
    """The head from above. ``zones``: keys, or dicts with zone, selected, label, area_cm2, points, volume_ml."""
    return drawings.scalp_map(zones, **options)


@register.inclusion_tag("components/drawings/syringe.html")
def syringe(lines: Any, **options: Any) -> dict[str, Any]:
    """A syringe as stacked bands. ``lines``: dicts with name, role, volume_ml, dose, dose_unit; or one syringe dict."""
    return drawings.syringe(lines, **options)


@register.inclusion_tag("components/drawings/syringe_compact.html")
def syringe_compact(lines: Any, **options: Any) -> dict[str, Any]:
    """The same lying down, without words."""
    return drawings.syringe_compact(lines, **options)


@register.inclusion_tag("components/drawings/course_axis.html")
def course_axis(course: Any, **options: Any) -> dict[str, Any]:
    """The course on a time axis. ``course``: offsets_days, windows_days, checkpoints, and dates where booked."""
    return drawings.course_axis(course, **options)


@register.inclusion_tag("components/drawings/stage.html")
def stage(scale: str, code: str, **options: Any) -> dict[str, Any]:
    """A stage of a scale: norwood_hamilton, ludwig or sinclair. The code stands beside it."""
    return drawings.stage(scale, str(code), **options)
