"""What is typed about a member of staff."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.access import Role
from mesoclinic.accounts.models import Site
from mesoclinic.accounts.naming import check_typed_names
from mesoclinic.core.fields import AddressField, NameField
from mesoclinic.ui.merging import MergingForm


class PersonForm(MergingForm):
    title = forms.CharField(label=_("Title"), max_length=20, required=False, help_text=_("For example Dr"))
    given_name = NameField(label=_("Given name"))
    family_name = NameField(label=_("Family name"), help_text=_("Somebody with one name only has it here, alone."))
    family_name_first = forms.BooleanField(label=_("The family name is said first"), required=False)
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    roles = forms.MultipleChoiceField(label=_("Roles"), choices=Role.choices, widget=forms.CheckboxSelectMultiple)
    sites = forms.ModelMultipleChoiceField(
        Site.objects.all(),
        label=_("Sites"),
        help_text=_("They see the patients of these sites and of no other."),
        widget=forms.CheckboxSelectMultiple,
    )

    def clean(self) -> dict[str, Any]:
        check_typed_names(self)
        return self.cleaned_data


class NewPersonForm(PersonForm):
    email = AddressField(label=_("E-mail"), help_text=_("They log in with it."))

    field_order = ["email", "title", "given_name", "family_name", "family_name_first", "language", "roles", "sites"]
