"""Who works here and may do what. The director decides; nobody signs up."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission, Role
from mesoclinic.accounts.models import RoleGrant, Site, User
from mesoclinic.audit import trail
from mesoclinic.errors import DomainError, InvalidInput, NotAllowed

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another when read aloud


def _check_is_director(by: User) -> None:
    if not by.may(Permission.SETTINGS_WRITE):
        raise NotAllowed(_("Only the medical director changes who works here."))


def make_password() -> str:
    """A password to be told to one person, who changes it after the first log-in."""
    return "-".join("".join(secrets.choice(_LETTERS) for _letter in range(4)) for _group in range(4))


@transaction.atomic
def add_person(
    *,
    email: str,
    title: str,
    given_name: str,
    family_name: str,
    language: str,
    roles: Iterable[str],
    sites: Iterable[Site],
    password: str,
    by: User,
) -> User:
    _check_is_director(by)
    if User.objects.filter(email__iexact=email).exists():
        raise InvalidInput(_("Somebody with this e-mail address works here already."), field="email")
    try:
        validate_password(password)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages), field="password") from None
    person = User.objects.create_user(
        email=email,
        password=password,
        title=title,
        given_name=given_name,
        family_name=family_name,
        language=language,
    )
    _set_roles_and_sites(person, roles, sites)
    trail.record("person.added", by=by, target=person, details=_rights(person))
    return person


@transaction.atomic
def update_person(
    *,
    person: User,
    title: str,
    given_name: str,
    family_name: str,
    language: str,
    roles: Iterable[str],
    sites: Iterable[Site],
    by: User,
) -> User:
    _check_is_director(by)
    wanted = set(roles)
    if person.is_active and Role.DIRECTOR not in wanted:
        _check_another_director(person)
    before = _rights(person)
    person.title, person.given_name, person.family_name = title, given_name, family_name
    person.language = language
    person.save(update_fields=["title", "given_name", "family_name", "language"])
    _set_roles_and_sites(person, wanted, sites)
    trail.record("person.changed", by=by, target=person, details={"before": before, "after": _rights(person)})
    return person


@transaction.atomic
def deactivate_person(*, person: User, by: User) -> User:
    """End the person's access at once. The record stays: what they signed still names them."""
    _check_is_director(by)
    if person.pk == by.pk:
        raise DomainError(_("You cannot end your own access. Ask another director."))
    _check_another_director(person)
    if User.objects.filter(pk=person.pk, is_active=True).update(is_active=False):
        trail.record("person.deactivated", by=by, target=person)
    person.refresh_from_db()
    return person


@transaction.atomic
def activate_person(*, person: User, by: User) -> User:
    _check_is_director(by)
    if User.objects.filter(pk=person.pk, is_active=False).update(is_active=True):
        trail.record("person.activated", by=by, target=person)
    person.refresh_from_db()
    return person


@transaction.atomic
def renew_password(*, person: User, password: str, by: User) -> User:
    """Give a new first password to somebody who forgot theirs. It ends their log-ins everywhere."""
    _check_is_director(by)
    person.set_password(password)
    person.save(update_fields=["password"])
    trail.record("person.password_renewed", by=by, target=person)
    return person


def _check_another_director(person: User) -> None:
    directors = RoleGrant.objects.filter(role=Role.DIRECTOR, user__is_active=True)
    if directors.filter(user=person).exists() and not directors.exclude(user=person).exists():
        raise DomainError(_("This is the only director. Make somebody else director first."), field="roles")


def _set_roles_and_sites(person: User, roles: Iterable[str], sites: Iterable[Site]) -> None:
    wanted = {Role(role) for role in roles}
    person.role_grants.exclude(role__in=wanted).delete()
    held = set(person.role_grants.values_list("role", flat=True))
    RoleGrant.objects.bulk_create(RoleGrant(user=person, role=role) for role in sorted(wanted - held))
    person.sites.set(sites)
    for cached in ("roles", "permissions", "site_ids"):
        person.__dict__.pop(cached, None)


def _rights(person: User) -> dict[str, list[str]]:
    return {
        "roles": sorted(person.role_grants.values_list("role", flat=True)),
        "sites": sorted(str(public) for public in person.sites.values_list("public_id", flat=True)),
    }
