"""The forms of a site's and a person's time. Several stand on one page, each with a prefix of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.models import Paper, Site
from mesoclinic.core.fields import AddressField, DayField
from mesoclinic.ui.merging import MergingForm
from sessions.course.abilities import abilities, technique_code, techniques
from sessions.models import Room, Weekday
from sessions.models.hours import MOST_MINUTES, AbsenceKind
from sessions.planner import Hours
from sessions.sites.availability import Turnover
from sessions.sites.public_holidays import countries, regions

BLOCKS_A_DAY = 2


def _time(label: Any, *, help_text: Any = "") -> forms.TimeField:
    return forms.TimeField(
        label=label, required=False, help_text=help_text, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )


def _day(label: Any, *, required: bool = True, help_text: Any = "") -> DayField:
    return DayField(
        label=label,
        required=required,
        help_text=help_text,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


def _in_reach(day: date) -> date:
    if not 2000 <= day.year < 2200:
        raise forms.ValidationError(_now("This year is out of reach."))
    return day


@dataclass(frozen=True, kw_only=True)
class Row:
    """One weekday of the hours, for the page."""

    label: str
    blocks: list[tuple[forms.BoundField, forms.BoundField]]

    @property
    def wrong(self) -> list[forms.BoundField]:
        return [field for block in self.blocks for field in block if field.errors]


class ContactForm(MergingForm):
    """What a site is called and how it is reached; it stands in mails, calendars and on paper."""

    name = forms.CharField(label=_("Name"), max_length=80)
    street = forms.CharField(label=_("Street"), max_length=160)
    city = forms.CharField(label=_("Postcode and city"), max_length=120)
    phone = forms.CharField(label=_("Phone"), max_length=40, widget=forms.TextInput(attrs={"type": "tel"}))
    email = AddressField(label=_("E-mail"), required=False, help_text=_("Who answers invitations; may be empty."))
    language = forms.ChoiceField(
        label=_("Language"), choices=settings.LANGUAGES, help_text=_("Of new records and of packs of prints.")
    )
    paper = forms.ChoiceField(label=_("Paper"), choices=Paper.choices, help_text=_("Of what is printed at this site."))
    time_zone = forms.CharField(
        label=_("Time zone"), max_length=64, help_text=_("Like Europe/Paris. It cannot change while visits are booked.")
    )


class ClinicForm(MergingForm):
    name = forms.CharField(label=_("Name of the clinic"), max_length=120)


class HoursForm(MergingForm):
    """A usual week: up to two blocks of hours on each day, more where there are more already."""

    def __init__(self, *args: Any, blocks: Sequence[Hours] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.most = max([BLOCKS_A_DAY, *(len([b for b in blocks if b.weekday == day]) for day in range(7))])
        for day in Weekday:
            of_day = sorted(block for block in blocks if block.weekday == day)
            for number in range(self.most):
                block = of_day[number] if number < len(of_day) else None
                words = {"day": day.label, "n": number + 1}
                for end, label, initial in (
                    ("from", _now("%(day)s, from (%(n)s)") % words, block.starts if block else None),
                    ("until", _now("%(day)s, until (%(n)s)") % words, block.ends if block else None),
                ):
                    field = _time(label)
                    field.initial = initial
                    self.fields[f"{day.value}-{number}-{end}"] = field
                    self.stored[f"{day.value}-{number}-{end}"] = initial

    def rows(self) -> list[Row]:
        return [
            Row(
                label=str(day.label),
                blocks=[
                    (self[f"{day.value}-{number}-from"], self[f"{day.value}-{number}-until"])
                    for number in range(self.most)
                ],
            )
            for day in Weekday
        ]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        for day in Weekday:
            until: time | None = None
            for number in range(self.most):
                first, last = f"{day.value}-{number}-from", f"{day.value}-{number}-until"
                if first in self.errors or last in self.errors:
                    continue
                starts, ends = given.get(first), given.get(last)
                if (starts is None) != (ends is None):
                    self.add_error(last if starts else first, _now("Give both hours, or neither."))
                elif starts is not None and ends is not None:
                    if starts >= ends:
                        self.add_error(last, _now("Hours end after they start."))
                    elif until is not None and starts < until:
                        self.add_error(first, _now("This begins before the block before it ends."))
                    until = ends
        return given

    def blocks(self) -> list[Hours]:
        found = []
        for day in Weekday:
            for number in range(self.most):
                starts = self.cleaned_data.get(f"{day.value}-{number}-from")
                ends = self.cleaned_data.get(f"{day.value}-{number}-until")
                if starts is not None and ends is not None:
                    found.append(Hours(day.value, starts, ends))
        return found


# ------------------------------------------------------------------ a site


class HolidaysForm(MergingForm):
    country = forms.ChoiceField(label=_("Country"), required=False)
    region = forms.ChoiceField(label=_("Region"), required=False, help_text=_("Where it has holidays of its own."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["country"].choices = [("", _now("None: no public holidays")), *countries().items()]  # type: ignore[attr-defined]
        country = (self.data.get(self.add_prefix("country")) if self.is_bound else self.initial.get("country")) or ""
        self.regions = regions(country)
        self.fields["region"].choices = [("", _now("The whole country")), *self.regions.items()]  # type: ignore[attr-defined]
        if self.is_bound and self.initial.get("country") != country:
            self.fields["region"] = forms.CharField(required=False)  # of the country that is left

    def clean_region(self) -> str:
        region: str = self.cleaned_data["region"]
        return region if region in self.regions else ""


def _minutes(label: Any, *, required: bool) -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        required=required,
        min_value=0,
        max_value=MOST_MINUTES,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )


class TurnoverForm(MergingForm):
    prepare = _minutes(_("Preparation"), required=True)
    cleanup = _minutes(_("Clean-up"), required=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.techniques = techniques()
        for key, label in self.techniques.items():
            words = {"technique": label}
            self.fields[f"prepare-{key}"] = _minutes(_now("Preparation, %(technique)s") % words, required=False)
            self.fields[f"cleanup-{key}"] = _minutes(_now("Clean-up, %(technique)s") % words, required=False)
            if self.stored:
                self.stored = {f"prepare-{key}": None, f"cleanup-{key}": None} | self.stored

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"label": label, "prepare": self[f"prepare-{key}"], "cleanup": self[f"cleanup-{key}"]}
            for key, label in self.techniques.items()
        ]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        for key in self.techniques:
            pair = {name: given.get(f"{name}-{key}") for name in ("prepare", "cleanup")}
            missing = [name for name, value in pair.items() if value is None and f"{name}-{key}" not in self.errors]
            if len(missing) == 1:
                self.add_error(f"{missing[0]}-{key}", _now("Give both, or neither for the usual minutes."))
        return given

    def usual(self) -> Turnover:
        return Turnover(prepare=self.cleaned_data["prepare"], cleanup=self.cleaned_data["cleanup"])

    def of_techniques(self) -> dict[str, Turnover]:
        given = self.cleaned_data
        return {
            key: Turnover(prepare=given[f"prepare-{key}"], cleanup=given[f"cleanup-{key}"])
            for key in self.techniques
            if given[f"prepare-{key}"] is not None
        }


class ClosureForm(forms.Form):
    consequences: tuple[str, ...] = ()  # named before what it asks for is done

    first = _day(_("First day"))
    last = _day(_("Last day"), required=False, help_text=_("Left empty: that one day."))
    reason = forms.CharField(label=_("Reason"), max_length=120, help_text=_("Shown to whoever tries to book."))

    @property
    def confirmed_days(self) -> str:
        """The days that a second press confirms; others are asked about again."""
        first = self.cleaned_data["first"]
        return f"{first} {self.cleaned_data['last'] or first}"

    def clean_first(self) -> date:
        return _in_reach(self.cleaned_data["first"])

    def clean_last(self) -> date | None:
        day: date | None = self.cleaned_data["last"]
        return _in_reach(day) if day else None


class DaysForm(forms.Form):
    """Days that a button names."""

    first = DayField()
    last = DayField()


class RoomForm(MergingForm):
    consequences: tuple[str, ...] = ()  # named before what it asks for is done

    name = forms.CharField(label=_("Name"), max_length=60)
    serves = forms.MultipleChoiceField(
        label=_("Used for"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen means everything."),
    )
    is_active = forms.BooleanField(label=_("In use"), required=False)

    def __init__(self, *args: Any, room: Room | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.room = room
        self.fields["serves"].choices = [(technique_code(key), label) for key, label in techniques().items()]  # type: ignore[attr-defined]
        if room is None:
            del self.fields["is_active"]
        else:
            self.stored = {"name": room.name, "serves": room.serves, "is_active": room.is_active}
            self.initial = {**self.stored, **self.initial}


# ------------------------------------------------------------------ a person


class SiteField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Site) -> str:
        return obj.name


class AbsenceForm(forms.Form):
    first_day = _day(_("First day"))
    last_day = _day(_("Last day"), required=False, help_text=_("Left empty: that one day."))
    starts = _time(_("From"), help_text=_("Only for a part of one day."))
    ends = _time(_("Until"))
    kind = forms.ChoiceField(
        label=_("Why"), choices=AbsenceKind.choices, help_text=_("Others see only this word. No health detail.")
    )
    site = SiteField(
        label=_("Where"),
        queryset=Site.objects.none(),
        to_field_name="public_id",
        required=False,
        empty_label=_("At every site"),
    )

    def __init__(self, *args: Any, sites: Iterable[Site], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = list(sites)
        self.fields["site"].queryset = Site.objects.filter(pk__in=[site.pk for site in known])  # type: ignore[attr-defined]
        if len(known) < 2:
            del self.fields["site"]

    def clean_first_day(self) -> date:
        return _in_reach(self.cleaned_data["first_day"])

    def clean_last_day(self) -> date | None:
        day: date | None = self.cleaned_data["last_day"]
        return _in_reach(day) if day else None


class AbilitiesForm(MergingForm):
    codes = forms.MultipleChoiceField(label=_("May do here"), required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["codes"].choices = [(ability.code, ability.label) for ability in abilities()]  # type: ignore[attr-defined]
