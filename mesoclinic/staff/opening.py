"""The first hour of an install: the clinic, its first site and its medical director, who does the rest in the pages."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Role
from mesoclinic.accounts.models import Clinic, RoleGrant, Site, User
from mesoclinic.accounts.naming import check_names
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from mesoclinic.core.names import tidy_name


@transaction.atomic
def open_clinic(
    *,
    name: str,
    currency: str,
    site: str,
    time_zone: str,
    street: str,
    city: str,
    phone: str,
    given_name: str,
    family_name: str,
    email: str,
    password: str,
    language: str = "en",
) -> User:
    """Make them in an empty database. Nobody works here yet, so the trail names the system."""
    if Clinic.objects.exists() or User.objects.exists():
        raise InvalidTransition(_("There is a clinic in this database already."))
    clinic = Clinic(pk=1, name=name.strip(), currency=currency.strip().upper())
    place = Site(name=site.strip(), time_zone=time_zone, street=street, city=city, phone=phone, language=language)
    director = User(
        email=User.objects.normalize_email(email),
        given_name=tidy_name(given_name),
        family_name=tidy_name(family_name),
        language=language,
    )
    check_names(given=director.given_name, family=director.family_name)
    director.set_password(password)
    try:
        validate_password(password, user=director)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages), field="password") from error
    for row in (clinic, place, director):
        try:
            row.full_clean()
        except ValidationError as error:
            field, messages = next(iter(error.message_dict.items()))
            raise InvalidInput(" ".join(messages), field=field) from error
        row.save(force_insert=True)
    RoleGrant.objects.create(user=director, role=Role.DIRECTOR)
    director.sites.set([place])
    trail.record("clinic.opened", by=None, target=director, details={"clinic": clinic.name, "site": place.name})
    return director
