"""The day that Today's address asks for."""

from __future__ import annotations

from datetime import date

from django import forms
from django.utils.translation import gettext_lazy as _

from mesoclinic.core.fields import DayField


class DayForm(forms.Form):
    on = DayField(label=_("Another day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))

    def day(self) -> date | None:
        """The day that was asked for, if it is one that has a page."""
        day: date | None = self.cleaned_data["on"] if self.is_valid() else None
        return day if day and 1900 <= day.year < 2200 else None
