"""Days in the order and the case in which each language writes them."""

from __future__ import annotations

from datetime import date

from django.utils import formats
from django.utils.translation import get_language

_FORMS = {
    "": "j M",
    "year": "j M Y",
    "weekday": "D j M",
    "weekday_year": "D j M Y",
    "long": "l j F",
    "full": "l j F Y",
    "date": "j F Y",
    "month": "M",
    "month_year": "M Y",
}
_SMALL = {  # 24 nov, not 24 Nov
    "": "j b",
    "year": "j b Y",
    "weekday": "D j b",
    "weekday_year": "D j b Y",
    "month": "b",
    "month_year": "b Y",
}
_SPANISH = {"long": r"l j \d\e F", "full": r"l j \d\e F \d\e Y", "date": r"j \d\e F \d\e Y"}
_FORMS_IN = {"fr": _FORMS | _SMALL, "es": _FORMS | _SMALL | _SPANISH}


def written(value: date, form: str = "") -> str:
    """24 Nov; "year" 24 Nov 2026; "weekday" Tue 24 Nov; "weekday_year" Tue 24 Nov 2026; "long" Tuesday 24 November;
    "full" the same with its year; "date" 24 November 2026; "month" Nov; "month_year" Nov 2026."""
    return formats.date_format(value, _FORMS_IN.get(get_language() or "", _FORMS)[form])
