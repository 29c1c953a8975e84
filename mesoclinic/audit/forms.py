"""What the page of events can be filtered by."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.models import User
from mesoclinic.core.fields import DayField


class EventFilterForm(forms.Form):
    """The filter of the audit page. Its values are the page's address."""

    person = forms.ModelChoiceField(
        User.objects.all(), to_field_name="public_id", required=False, label=_("Person"), empty_label=_("Everybody")
    )
    action = forms.CharField(
        required=False, max_length=60, label=_("Action"), help_text=_("Its name or how it begins: plan.")
    )
    patient = forms.UUIDField(
        required=False,
        label=_("Patient"),
        help_text=_("The long number in the address of the patient's page"),
        error_messages={"invalid": _("This is not the number of a patient's page.")},
    )
    first_day = DayField(required=False, label=_("From"), widget=forms.DateInput(attrs={"type": "date"}))
    last_day = DayField(required=False, label=_("To"), widget=forms.DateInput(attrs={"type": "date"}))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        first: date | None = data.get("first_day")
        last: date | None = data.get("last_day")
        if first and last and last < first:
            self.add_error("last_day", _("The last day is before the first."))
        return data
