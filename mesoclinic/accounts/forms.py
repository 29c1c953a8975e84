from __future__ import annotations

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.access import Role
from mesoclinic.accounts.models import Site


class PersonForm(forms.Form):
    title = forms.CharField(label=_("Title"), max_length=20, required=False, help_text=_("For example Dr"))
    given_name = forms.CharField(label=_("Given name"), max_length=80)
    family_name = forms.CharField(label=_("Family name"), max_length=80)
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    roles = forms.MultipleChoiceField(label=_("Roles"), choices=Role.choices, widget=forms.CheckboxSelectMultiple)
    sites = forms.ModelMultipleChoiceField(
        Site.objects.all(),
        label=_("Sites"),
        help_text=_("They see the patients of these sites and of no other."),
        widget=forms.CheckboxSelectMultiple,
    )


class NewPersonForm(PersonForm):
    email = forms.EmailField(label=_("E-mail"), help_text=_("They log in with it."))

    field_order = ["email", "title", "given_name", "family_name", "language", "roles", "sites"]
