"""What is typed about a person, and about two records of one person."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mesoclinic.accounts.models import Site, User
from mesoclinic.accounts.naming import check_typed_names
from mesoclinic.core.fields import AddressField, LineField, NameField
from mesoclinic.ui.merging import MergingForm
from patients.models import Patient, PatientStatus, SexAtBirth


class PatientForm(MergingForm):
    """Who somebody is and how to reach them, on one screen."""

    given_name = NameField(label=gettext_lazy("Given name"))
    family_name = NameField(
        label=gettext_lazy("Family name"), help_text=gettext_lazy("Somebody with one name only has it here, alone.")
    )
    family_name_first = forms.BooleanField(label=gettext_lazy("The family name is said first"), required=False)
    birth_date = forms.DateField(
        label=gettext_lazy("Birth date"), widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )
    sex_at_birth = forms.ChoiceField(
        label=gettext_lazy("Sex registered at birth"),
        help_text=gettext_lazy("Needed for hormone-related safety."),
        choices=[(SexAtBirth.FEMALE, gettext_lazy("Female")), (SexAtBirth.MALE, gettext_lazy("Male"))],
        widget=forms.RadioSelect,
    )
    email = AddressField(label=gettext_lazy("E-mail"), required=False)
    phone = LineField(
        label=gettext_lazy("Phone"), max_length=40, required=False, widget=forms.TextInput(attrs={"type": "tel"})
    )
    language = forms.ChoiceField(label=gettext_lazy("Language"), choices=settings.LANGUAGES)
    contact_allowed = forms.BooleanField(
        label=gettext_lazy("Agrees to appointment e-mails"),
        help_text=gettext_lazy("Booking, reminders and changes. No health details in the subject."),
        required=False,
    )
    site = forms.ModelChoiceField(
        label=gettext_lazy("Site"), queryset=Site.objects.none(), to_field_name="public_id", empty_label=None
    )

    def __init__(self, *args: Any, user: User, site: Site | None, patient: Patient | None = None, **kwargs: Any):
        self.user, self.patient = user, patient
        if patient:
            kwargs["initial"] = {name: getattr(patient, name) for name in self.base_fields}
            kwargs["stored"] = {**kwargs["initial"], "status": patient.status}
        else:
            kwargs["initial"] = {"language": site.language if site else "en"} | kwargs.get("initial", {})
        super().__init__(*args, **kwargs)
        for name in ("given_name", "family_name", "birth_date", "email", "phone"):
            self.fields[name].widget.attrs["autocomplete"] = "off"  # not the receptionist's own
        sites = user.sites.order_by("name")
        self.fields["site"].queryset = sites  # type: ignore[attr-defined]
        home = patient.site if patient else site
        self.fields["site"].initial = home.public_id if home else None
        if len(sites) < 2 and not patient:
            del self.fields["site"]
            self.only_site = site
        if patient:
            self.fields["status"] = forms.ChoiceField(
                label=_("Status"),
                initial=patient.status,
                choices=[choice for choice in PatientStatus.choices if choice[0] != PatientStatus.MERGED],
            )
            if patient.email:
                self.fields["close_links"] = forms.BooleanField(
                    label=_("Close the links that were sent to %(address)s") % {"address": patient.email},
                    help_text=_(
                        "For a mail that went to the wrong address. Whoever has it can do nothing with it any more."
                    ),
                    required=False,
                )

    def clean(self) -> dict[str, Any]:
        check_typed_names(self)
        return self.cleaned_data

    @cached_property
    def details(self) -> dict[str, Any]:
        """What the actions take."""
        details = {name: value for name, value in self.cleaned_data.items() if name != "close_links"}
        if "site" not in self.fields and self.patient is None:
            details["site"] = self.only_site
        return details


class MergeForm(forms.Form):
    """Why two records are one person."""

    reason = forms.CharField(
        label=gettext_lazy("Why these are one person"),
        help_text=gettext_lazy("For example: same identity card, registered twice after a change of name."),
        max_length=300,
        error_messages={"required": gettext_lazy("Write why these are one person.")},
    )
