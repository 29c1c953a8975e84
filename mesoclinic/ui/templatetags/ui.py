"""Tags and filters of the product's components, in every template without a load.

They take plain values and dictionaries: the platform knows no patient. The catalogue stands at the top of
docs/reference/design-language.md.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from django import template
from django.conf import settings
from django.core.paginator import Page
from django.forms import BaseForm, BoundField, CheckboxInput, Select, SelectMultiple, Textarea
from django.template.loader import render_to_string
from django.utils import formats
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe

from mesoclinic.core import reviews
from mesoclinic.core.numbers import shown_number
from mesoclinic.ui import days, icons, toasts
from mesoclinic.ui.merging import MergingForm

register = template.Library()

NBSP = "\N{NO-BREAK SPACE}"  # between a number and its unit, so that no line breaks there

# ------------------------------------------------------------------ Icons


@register.simple_tag
def icon(name: str, *, size: int | None = None, css: str = "", for_print: bool = False) -> SafeString:
    """One of our own icons. It says nothing to a screen reader: a word stands beside it."""
    attributes = f'class="{("mc-i " + css).strip()}"'
    if size:
        attributes += f' width="{int(size)}" height="{int(size)}"'
    if for_print:
        attributes += (
            ' fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"'
        )
    # Our own file and arguments from templates only; nothing that a person typed comes here.
    return mark_safe(f'<svg {attributes} viewBox="0 0 24 24" aria-hidden="true">{icons.shape(name)}</svg>')  # noqa: S308


# ------------------------------------------------------------------ Values


def _decimal(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _number(value: Decimal, *, places: int | None = None, grouped: bool = False) -> str:
    """Digits as given, with the reader's decimal sign and a true minus."""
    exponent = value.as_tuple().exponent
    shown = places if places is not None else max(0, -exponent if isinstance(exponent, int) else 0)
    return formats.number_format(value, decimal_pos=shown, force_grouping=grouped).replace("-", "\N{MINUS SIGN}")


@register.filter
def ml(value: Any) -> str:
    """``{{ "1"|ml }}`` is 1.00 mL."""
    number = _decimal(value)
    return "" if number is None else f"{_number(number, places=2)}{NBSP}mL"


@register.filter
def parts(values: Any) -> str:
    """``{{ ["3.35", "3.3"]|parts }}`` is 3.35 mL + 3.30 mL; equal ones are counted: 2 × 3.50 mL."""
    if len(set(values)) == 1:
        return f"{len(values)}{NBSP}×{NBSP}{ml(values[0])}"
    return " + ".join(ml(value) for value in values)


@register.filter
def quantity(value: Any, unit: str = "") -> str:
    """``{{ line.dose|quantity:line.dose_unit }}`` is 0.20 mg: the digits stay as they were given."""
    number = _decimal(value)
    if number is None:
        return ""
    return f"{_number(number)}{NBSP}{unit}" if unit else _number(number)


@register.filter
def number(value: Any) -> str:
    """``{{ limits.step|number }}``: the digits as they stand with the reader's decimal sign; other text as it is."""
    return shown_number(value)


@register.filter
def money(value: Any, currency: str | None = "") -> str:
    """``{{ 1010|money:"EUR" }}`` is 1,010.00 EUR; without a currency the number alone."""
    number = _decimal(value)
    if number is None:
        return ""
    shown = _number(number, places=2, grouped=True)
    return f"{shown}{NBSP}{currency}" if currency else shown


@register.filter(expects_localtime=True)
def day(value: Any, form: str = "") -> str:
    """24 Nov; "year" 24 Nov 2026; "weekday" Tue 24 Nov; "long" Tuesday 24 November; "full" the same with its year."""
    if isinstance(value, str):
        value = parse_date(value) or parse_datetime(value)
    return days.written(value, form) if isinstance(value, date) else ""


@register.filter(expects_localtime=True)
def clock(value: Any) -> str:
    """09:00, in the wall time of the page."""
    if isinstance(value, str):
        value = parse_datetime(value)
    return formats.time_format(value, "H:i") if value else ""


@register.filter
def language_words(code: str) -> str:
    """French for fr, in the reader's language."""
    return str(dict(settings.LANGUAGES).get(code, code))


@register.filter
def initials(name: Any) -> str:
    """AM for Ada Moreau."""
    words = [word for word in str(name).replace("-", " ").split() if word[:1].isalpha() and not word.endswith(".")]
    return "".join(word[0] for word in ([words[0], words[-1]] if len(words) > 1 else words)).upper()


@register.filter
def undo_url(message: Any) -> str:
    return toasts.undo_url(message)


# ------------------------------------------------------------------ Status

KIND_ICONS = {"ok": "check", "warn": "warn", "danger": "stop", "info": "info", "accent": "", "line": "", "": ""}


@register.inclusion_tag("components/chip.html")
def chip(text: Any, kind: str = "", icon: str | None = None, wrap: bool = False) -> dict[str, Any]:
    """A lasting property: ``{% chip "Signed" "ok" icon="lock" %}``. kinds: ok warn danger info accent line."""
    return {"text": text, "kind": kind, "icon": KIND_ICONS[kind] if icon is None else icon, "wrap": wrap}


@register.inclusion_tag("components/state.html")
def state(kind: str, text: Any, icon: str | None = None) -> dict[str, Any]:
    """A check in a row: ``{% state "ok" "Consent signed" %}``. kinds: ok warn danger quiet."""
    usual = {"ok": "check", "warn": "warn", "danger": "stop", "quiet": "clock"}
    return {"text": text, "kind": kind, "icon": usual[kind] if icon is None else icon}


@register.inclusion_tag("components/to_review.html")
def to_review(*texts: Any) -> dict[str, Any]:
    """``{% to_review row.message %}``: a small mark where a translation waits for a reviewer, the English behind it."""
    return {"pairs": reviews.waiting(*texts)}


@register.simple_tag
def translations_to_review() -> int:
    """How many clinical texts of the page's language wait for a reviewer."""
    return reviews.number_to_review()


@register.simple_tag
def translation_states() -> list[reviews.State]:
    """Each language besides English, with how far its clinical texts are reviewed."""
    return reviews.states()


@register.simple_block_tag
def note(content: str, kind: str = "", icon: str | None = None, title: Any = "") -> SafeString:
    """Advice in place: ``{% note "warn" title="…" %}…{% endnote %}``. kinds: ok warn danger info."""
    usual = {"ok": "ok", "warn": "warn", "danger": "stop", "info": "info", "": "info"}
    return render_to_string(
        "components/note.html",
        {"kind": kind, "icon": usual[kind] if icon is None else icon, "title": title, "content": content},
    )


# ------------------------------------------------------------------ Progress


@register.inclusion_tag("components/progress.html")
def progress(done: int, total: int, label: Any = "") -> dict[str, Any]:
    """How far: ``{% progress 4 7 "Day pack, 4 of 7 sheets" %}``."""
    return {"done": done, "total": max(total, 1), "label": label}


@register.inclusion_tag("components/pagination.html", takes_context=True)
def pagination(context: template.Context, page: Page[Any]) -> dict[str, Any]:
    """Newer and older pages; what is filtered stays in the address."""
    query = context["request"].GET.copy()

    def url(number: int) -> str:
        query["page"] = str(number)
        return f"?{query.urlencode()}"

    return {
        "page": page,
        "previous": url(page.previous_page_number()) if page.has_previous() else "",
        "next": url(page.next_page_number()) if page.has_next() else "",
    }


@register.simple_tag(takes_context=True)
def back_url(context: template.Context) -> str:
    """The page one came from, where it is one of ours."""
    request = context.get("request")
    if request is None:
        return ""
    before = request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(before, {request.get_host()})
    return before if ours and urlsplit(before).path != request.path else ""


# ------------------------------------------------------------------ Forms


@register.simple_tag
def control(field: BoundField, css: str = "", **attributes: Any) -> SafeString:
    """The input of a form field in our look. Django itself names its help and its errors in aria-describedby."""
    widget = field.field.widget
    if isinstance(widget, CheckboxInput):
        usual = ""
    elif isinstance(widget, Select | SelectMultiple):
        usual = "mc-sel"
    elif isinstance(widget, Textarea):
        usual = "mc-in"
        attributes.setdefault("rows", widget.attrs.get("rows") if widget.attrs.get("rows") != "10" else 3)
    else:
        usual = "mc-in"
    classes = " ".join(part for part in (usual, widget.attrs.get("class", ""), css) if part)
    if classes:
        attributes["class"] = classes
    return field.as_widget(attrs={name.replace("_", "-"): value for name, value in attributes.items()})


@register.simple_tag
def conflict(form: Any) -> SafeString | str:
    """What the reader of a form over stored values saw, and what to choose between where both changed a field."""
    if not (isinstance(form, MergingForm) and form.stored):
        return ""
    return render_to_string("components/conflict.html", {"form": form})


@register.filter
def without_placeholder(field: BoundField) -> BoundField:
    """A field of somebody else's form, whose placeholder only repeats the label."""
    field.field.widget.attrs.pop("placeholder", None)
    return field


@register.filter
def is_checkbox(field: BoundField) -> bool:
    return isinstance(field.field.widget, CheckboxInput)


@register.filter
def only_missing(field: BoundField) -> bool:
    """Return whether nothing is wrong with the field but that it is empty: the mark goes when it is filled."""
    return all(error.code == "required" for error in field.errors.as_data())


@register.filter
def wrong_fields(form: BaseForm) -> list[BoundField]:
    return [field for field in form if field.errors]
