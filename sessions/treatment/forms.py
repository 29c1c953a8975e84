"""What was injected, and what was agreed by phone, as values."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from mesoclinic.core.fields import DayField
from mesoclinic.core.numbers import TypedDecimalField
from mesoclinic.ui import days
from sessions.course.planned import PlannedLine, PlannedSyringe
from sessions.models import Lot
from sessions.treatment.actions import Injected


class LotField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Lot) -> str:
        return _("%(lot)s, exp. %(day)s") % {"lot": obj.number, "day": days.written(obj.expires_on, "year")}


TOLERANCE = [(1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5")]


class RecordForm(forms.Form):
    """Per planned line what was injected, prefilled as planned; then the visit as a whole."""

    nothing_changed = forms.TypedChoiceField(
        label=_("Since the last visit"),
        choices=[("yes", _("No, nothing")), ("no", _("Yes, see note"))],
        coerce=lambda value: value == "yes",
        widget=forms.RadioSelect,
        help_text=_("Ask aloud: medicines, illness, fever, allergy, pregnancy."),
    )
    tolerance = forms.TypedChoiceField(
        label=_("Tolerance"),
        choices=TOLERANCE,
        coerce=int,
        empty_value=None,
        required=False,
        widget=forms.RadioSelect,
    )
    performed_on = DayField(
        label=_("Done on"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))
    standing_reason = forms.CharField(
        label=_("Why it was done although the patient may not be treated"),
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, syringes: Sequence[PlannedSyringe], lots: Sequence[Lot], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.syringes = syringes
        self.has_lots = bool(lots)
        for line in self.lines:
            self._add_line(line, [lot for lot in lots if lot.product.ingredient.key == line.ingredient])

    @property
    def lines(self) -> list[PlannedLine]:
        return [line for syringe in self.syringes for line in syringe.lines]

    def _add_line(self, line: PlannedLine, lots: list[Lot]) -> None:
        self.fields[f"volume-{line.key}"] = TypedDecimalField(
            label=_("%(name)s, injected in mL") % {"name": line.name},
            min_value=Decimal(0),
            max_digits=5,
            decimal_places=2,
            initial=f"{line.volume_ml:.2f}",
            widget=forms.NumberInput(
                attrs={"step": "0.05", "inputmode": "decimal", "class": "mc-in-s", "data-planned": str(line.volume_ml)}
            ),
        )
        self.fields[f"lot-{line.key}"] = LotField(
            label=_("Lot of %(name)s") % {"name": line.name},
            queryset=Lot.objects.filter(pk__in=[lot.pk for lot in lots]),
            to_field_name="public_id",
            required=False,
            empty_label=_("Lot not recorded") if lots else _("No usable lot"),
            initial=lots[0].public_id if lots else None,
        )
        lot_field = self.fields[f"lot-{line.key}"]
        # The lots are read already: asking the database once per line would make a long cocktail slow.
        lot_field.choices = [  # type: ignore[attr-defined]
            ("", lot_field.empty_label),  # type: ignore[attr-defined]
            *((str(lot.public_id), lot_field.label_from_instance(lot)) for lot in lots),  # type: ignore[attr-defined]
        ]
        self.fields[f"reason-{line.key}"] = forms.CharField(
            label=_("Why not as planned, or why no lot"), required=False, max_length=200, widget=forms.TextInput()
        )

    def rows(self) -> list[dict[str, Any]]:
        """For the page: each syringe with its lines and their fields."""
        found, number = [], 0
        for syringe in self.syringes:
            lines = []
            for line in syringe.lines:
                number += line.role != "diluent"
                lines.append(
                    {
                        "line": line,
                        "swatch": "S" if line.role == "diluent" else number,
                        "volume": self[f"volume-{line.key}"],
                        "lot": self[f"lot-{line.key}"],
                        "reason": self[f"reason-{line.key}"],
                    }
                )
            found.append({"syringe": syringe, "lines": lines})
        return found

    def administrations(self) -> list[Injected]:
        given = self.cleaned_data
        return [
            Injected(
                syringe=line.syringe,
                ingredient=line.ingredient,
                volume_ml=given[f"volume-{line.key}"],
                lot=given[f"lot-{line.key}"],
                deviation_reason=given[f"reason-{line.key}"],
            )
            for line in self.lines
        ]
