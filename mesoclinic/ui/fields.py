"""Fields for what people paste: names and addresses, kept without the signs that nobody sees."""

from __future__ import annotations

from typing import Any

from django import forms

from mesoclinic.names import tidy_line, tidy_name


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
