"""Text into values: the wishes for a course, a move, a time taken on purpose, a call."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.models import Site, User
from mesoclinic.core.fields import DayField
from sessions.booking.actions import BOOKED_AHEAD_DAYS
from sessions.models import OverbookReason, Room
from sessions.planner import instant
from sessions.sites.queries import practitioners_of, rooms_of

SHORT_WEEKDAYS = [
    (0, _("Mon")),
    (1, _("Tue")),
    (2, _("Wed")),
    (3, _("Thu")),
    (4, _("Fri")),
    (5, _("Sat")),
    (6, _("Sun")),
]


class PractitionerField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: User) -> str:
        return obj.name


class WishesForm(forms.Form):
    """The patient's wishes. It is a GET form: the address of the page holds them."""

    weekdays = forms.TypedMultipleChoiceField(
        label=_("Days"),
        coerce=int,
        choices=SHORT_WEEKDAYS,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen means any day."),
    )
    not_before = forms.TimeField(
        label=_("Not before"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time", "step": 900}, format="%H:%M"),
    )
    not_after = forms.TimeField(
        label=_("Done by"), required=False, widget=forms.TimeInput(attrs={"type": "time", "step": 900}, format="%H:%M")
    )
    practitioner = PractitionerField(
        label=_("Practitioner"),
        queryset=User.objects.none(),
        to_field_name="public_id",
        required=False,
        empty_label=_("Any"),
    )
    room = forms.ModelChoiceField(
        label=_("Room"),
        queryset=Room.objects.none(),
        to_field_name="public_id",
        required=False,
        empty_label=_("Any"),
    )
    earliest = DayField(
        label=_("First session from"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, site: Site, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["practitioner"].queryset = practitioners_of(site)  # type: ignore[attr-defined]
        self.fields["room"].queryset = rooms_of(site)  # type: ignore[attr-defined]

    def clean_earliest(self) -> date:
        day: date = self.cleaned_data["earliest"]
        if abs((day - timezone.localdate()).days) > BOOKED_AHEAD_DAYS:
            raise forms.ValidationError(_("Courses are booked up to two years ahead."))
        return day

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        start, end = given.get("not_before"), given.get("not_after")
        if start and end and start >= end:
            self.add_error("not_after", _("This has to be later than “Not before”."))
        return given


class MoveForm(forms.Form):
    """A new time for one visit. Read from the address to show what it does, then sent to do it."""

    day = DayField(label=_("Day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    time = forms.TimeField(label=_("Time"), widget=forms.TimeInput(attrs={"type": "time", "step": 900}, format="%H:%M"))
    practitioner = PractitionerField(label=_("Practitioner"), queryset=User.objects.none(), to_field_name="public_id")
    room = forms.ModelChoiceField(label=_("Room"), queryset=Room.objects.none(), to_field_name="public_id")
    reason = forms.CharField(label=_("Reason, where the plan’s window is left"), required=False, max_length=300)

    def __init__(self, *args: Any, site: Site, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.site = site
        self.fields["practitioner"].queryset = practitioners_of(site)  # type: ignore[attr-defined]
        self.fields["room"].queryset = rooms_of(site)  # type: ignore[attr-defined]

    def clean_day(self) -> date:
        day: date = self.cleaned_data["day"]
        if abs((day - timezone.localdate()).days) > BOOKED_AHEAD_DAYS:
            raise forms.ValidationError(_("Courses are booked up to two years ahead."))
        return day

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("day") and given.get("time"):
            given["starts_at"] = instant(given["day"], given["time"], self.site.tz)
            if given["starts_at"] is None:
                self.add_error("time", _("The clocks skip this time on that day."))
        return given


class OverbookForm(MoveForm):
    """A time that is taken, and why it has to be booked all the same."""

    overbook_reason = forms.ChoiceField(
        label=_("Why at this time"), choices=[("", _("Choose")), *OverbookReason.choices]
    )
    overbook_note = forms.CharField(
        label=_("In your own words"), required=False, max_length=200, help_text=_("Everybody sees it on the day list.")
    )
    standing_reason = forms.CharField(
        label=_("Why you book in spite of the stop"), required=False, max_length=500, widget=forms.TextInput()
    )


class CallForm(forms.Form):
    """What a call about a visit that is held agreed."""

    note = forms.CharField(label=_("What was agreed"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))
