"""What the names of a person have to be, whoever it is: staff or, in a higher app, a patient."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.forms import BaseForm
from django.utils.translation import gettext as _

from mesoclinic.core.errors import InvalidInput
from mesoclinic.core.names import holds_a_letter, is_showable

NAME_LENGTH = 80  # signs of each of the two


def check_names(*, given: str, family: str) -> None:
    """Raise InvalidInput beside the field of a tidy name that cannot be so. One of the two is enough."""
    if not given and not family:
        raise InvalidInput(_("Write the name. Somebody with one name only has it here, alone."), field="family_name")
    for field, name in (("given_name", given), ("family_name", family)):
        if len(name) > NAME_LENGTH:
            raise InvalidInput(_("Shorten the name to 80 characters."), field=field)
        if not is_showable(name):
            raise InvalidInput(_("The name holds characters that cannot be shown."), field=field)
        if name and not holds_a_letter(name):
            raise InvalidInput(_("A name has a letter. Leave this empty for somebody with one name only."), field=field)


def check_typed_names(form: BaseForm) -> None:
    """Say on a form, beside its field, what is wrong with the two names that were typed."""
    typed = form.cleaned_data
    try:
        check_names(given=typed.get("given_name", ""), family=typed.get("family_name", ""))
    except InvalidInput as refusal:
        if refusal.field and not {"given_name", "family_name"} & set(form.errors):
            missing = not typed.get("given_name") and not typed.get("family_name")
            form.add_error(refusal.field, ValidationError(str(refusal), code="required" if missing else "invalid"))
