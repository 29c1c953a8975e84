"""Numbers as people write them: shown with the reader's decimal sign, read with either, and never read two ways.

What is stored, sent by the API, hashed or put into a calendar file has a point in every language.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import formats
from django.utils.translation import gettext as _

SPACES = ("\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "\N{THIN SPACE}", " ")
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:[.,]\d{1,6})?")
_TWO_WAYS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")  # 1.250 is 1250 to one reader and 1¼ to another
_SHOWN = re.compile(r"[-−]?\d+\.\d+")


def shown_number(value: Any) -> str:
    """The digits as they stand, with the reader's decimal sign: “0.20” is “0,20” in French. Other text stays."""
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    return text.replace(".", formats.get_format("DECIMAL_SEPARATOR")) if _SHOWN.fullmatch(text) else text


def typed_number(text: str) -> str | None:
    """What was typed, with a point, its digits as they stand; None for nothing, ValueError with a sentence otherwise.

    A comma and a point both part the decimals, whatever the language of the page: a dose is the same for everybody.
    """
    typed = _bare(text)
    if not typed:
        return None
    if not typed.isascii() or not _NUMBER.fullmatch(typed):
        raise ValueError(_("Write a number, for example 24 or 2.5."))
    if said := read_two_ways(text):
        raise ValueError(said)
    return typed.replace(",", ".").removeprefix("+")


def plain_number(number: Decimal) -> str:
    """Write a decimal in its one spelling: no exponent, no sign of nothing, 2.50 as “2.5” and 80.0 as “80”."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("", "-0", "+0") else text


def read_two_ways(text: str) -> str:
    """The sentence for a number that is one to some readers and another to others; empty for any other text."""
    typed = _bare(text)
    if not _TWO_WAYS.fullmatch(typed):
        return ""
    parted = shown_number(format(Decimal(typed.replace(",", ".")).normalize(), "f"))
    return _("“%(typed)s” can be read in two ways. Write %(whole)s or %(parted)s.") % {
        "typed": text.strip(),
        "whole": re.sub(r"[.,]", "", typed),
        "parted": parted,
    }


def _bare(text: str) -> str:
    typed = text.strip().replace("−", "-")
    for space in SPACES:
        typed = typed.replace(space, "")
    return typed


class TypedDecimalField(forms.DecimalField):
    """A decimal that may be typed with a comma or a point, in every language."""

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]  # the stubs inherit a whole number
        if isinstance(value, str):
            try:
                value = typed_number(value)
            except ValueError as refusal:
                raise forms.ValidationError(str(refusal), code="invalid") from None
        return super().to_python(value)
