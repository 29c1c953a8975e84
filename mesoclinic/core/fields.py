"""Fields for what people paste and type: names and addresses without the signs that nobody sees, days in use."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from mesoclinic.core.names import tidy_line, tidy_name


class NameField(forms.CharField):
    """One of a person's two names; the action says whether both may be empty."""

    def __init__(self, *, max_length: int = 80, required: bool = False, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, required=required, **kwargs)

    def to_python(self, value: Any) -> str:
        return tidy_name(super().to_python(value) or "")


class AddressField(forms.EmailField):
    """An e-mail address. A sign that nobody sees would pass for a letter of its domain."""

    def to_python(self, value: Any) -> str:
        return tidy_line(super().to_python(value) or "")


class LineField(forms.CharField):
    """A phone number, a lot number: one line."""

    def to_python(self, value: Any) -> str:
        return tidy_line(super().to_python(value) or "")


FIRST_YEAR, LAST_YEAR = 1900, 2199  # beyond, a week more or less leaves the calendar that computers have


class DayField(forms.DateField):
    """A day of a visit, a closure or a list: one with a week before and after it."""

    default_error_messages = {"out_of_reach": _("Choose a day from 1900 to 2199.")}

    def clean(self, value: Any) -> date | None:
        day: date | None = super().clean(value)
        if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise ValidationError(self.error_messages["out_of_reach"], code="out_of_reach")
        return day
