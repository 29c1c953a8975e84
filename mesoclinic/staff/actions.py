"""Who works here and may do what. The director decides; nobody signs up."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission, Role
from mesoclinic.accounts.models import Clinic, RoleGrant, Site, User
from mesoclinic.accounts.naming import check_names
from mesoclinic.accounts.queries import person_details
from mesoclinic.audit import trail
from mesoclinic.audit.changes import NeedsConfirmation, announce_change, check_confirmed
from mesoclinic.audit.conflicts import last_change, merged
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.core.names import tidy_name

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
    family_name_first: bool = False,
) -> User:
    _check_is_director(by)
    email = User.objects.normalize_email(email)
    given_name, family_name = tidy_name(given_name), tidy_name(family_name)
    check_names(given=given_name, family=family_name)
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
        family_name_first=family_name_first,
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
    confirmed: bool = False,
    family_name_first: bool | None = None,
    seen: Mapping[str, str] | None = None,
) -> User:
    """Change who somebody is here, as what and where; every copy of it is renewed in the same transaction.

    ``seen`` holds the marks of what a page showed. Raise Conflict where somebody else changed the same since, and
    NeedsConfirmation where visits are booked that the person could no longer take, until ``confirmed``.
    """
    _check_is_director(by)
    User.objects.select_for_update().get(pk=person.pk)
    person.refresh_from_db()
    stored = person_details(person)
    typed: dict[str, Any] = {
        "title": tidy_name(title),
        "given_name": tidy_name(given_name),
        "family_name": tidy_name(family_name),
        "family_name_first": person.family_name_first if family_name_first is None else family_name_first,
        "language": language,
        "roles": sorted({str(role) for role in roles}),
        "sites": list(sites),
    }
    if seen is not None:
        typed = stored | merged(
            stored, typed, seen=seen, changed=last_change("person.changed", target=person.public_id)
        )
    wanted, places = set(typed.pop("roles")), typed.pop("sites")
    if person.is_active and Role.DIRECTOR not in wanted:
        _check_another_director(person)
    before = _rights(person)
    change: dict[str, set[Any]] = {"roles": wanted, "sites": {site.pk for site in places}}
    held: dict[str, set[Any]] = {"roles": set(before["roles"]), "sites": set(person.sites.values_list("pk", flat=True))}
    if any(held[name] - change[name] for name in change):
        check_confirmed(person, change=change, confirmed=confirmed)
    names: dict[str, Any] = typed
    check_names(given=names["given_name"], family=names["family_name"])
    was = {name: getattr(person, name) for name, value in names.items() if getattr(person, name) != value}
    for name, value in names.items():
        setattr(person, name, value)
    person.save(update_fields=list(names))
    _set_roles_and_sites(person, wanted, places)
    announce_change(person, before=was | {name: held[name] for name in change if held[name] != change[name]}, by=by)
    trail.record("person.changed", by=by, target=person, details={"before": before, "after": _rights(person)})
    return person


@transaction.atomic
def choose_language(*, language: str, by: User) -> User:
    """Show ``by`` every page in another of the product's languages from now on. Raise InvalidInput for any other."""
    if language not in dict(settings.LANGUAGES):
        raise InvalidInput(_("Choose one of the languages offered."), field="language")
    person = User.objects.select_for_update().get(pk=by.pk)
    was = person.language
    if language != was:
        person.language = language
        person.save(update_fields=["language"])
        announce_change(person, before={"language": was}, by=by)
        trail.record("person.language_chosen", by=by, target=person, details={"before": was, "after": language})
    return person


@transaction.atomic
def deactivate_person(*, person: User, by: User, confirmed: bool = False) -> User:
    """End the person's access at once. The record stays: what they signed still names them.

    Raise NeedsConfirmation where visits are booked with them, until ``confirmed``.
    """
    _check_is_director(by)
    if person.pk == by.pk:
        raise DomainError(_("You cannot end your own access. Ask another director."))
    _check_another_director(person)
    check_confirmed(person, change={"is_active": False}, confirmed=confirmed or not person.is_active)
    if User.objects.filter(pk=person.pk, is_active=True).update(is_active=False):
        announce_change(person, before={"is_active": True}, by=by)
        trail.record("person.deactivated", by=by, target=person)
    person.refresh_from_db()
    return person


@transaction.atomic
def activate_person(*, person: User, by: User) -> User:
    _check_is_director(by)
    if User.objects.filter(pk=person.pk, is_active=False).update(is_active=True):
        announce_change(person, before={"is_active": False}, by=by)
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


SITE_FIELDS = ("name", "time_zone", "street", "city", "phone", "email", "language", "paper")


@transaction.atomic
def update_site(*, site: Site, changes: Mapping[str, Any], by: User, seen: Mapping[str, str] | None = None) -> Site:
    """Change the name, address or contact of a site; every copy of it is renewed in the same transaction.

    ``seen`` holds the marks of what a page showed; raise Conflict where somebody else changed the same since.
    Raise InvalidInput naming the field that cannot be so, and InvalidTransition for another time zone while visits are
    to come: their hours on the wall would change unseen.
    """
    _check_is_director(by)
    if site.pk not in by.site_ids:
        raise NotAllowed(_("You do not work at this site."))
    if strange := set(changes) - set(SITE_FIELDS):
        raise TypeError(f"not editable: {sorted(strange)}")
    current = Site.objects.select_for_update().get(pk=site.pk)
    if seen is not None:
        stored = {name: getattr(current, name) for name in SITE_FIELDS}
        changes = merged(stored, changes, seen=seen, changed=last_change("site.changed", target=current.public_id))
    before = _set_fields(current, changes)
    if before:
        if "time_zone" in before:
            _check_nothing_hangs(current, {"time_zone": current.time_zone})
        current.save(update_fields=list(before))
        announce_change(current, before=before, by=by)
        trail.record("site.changed", by=by, target=current, details={"changed": sorted(before)})
    site.refresh_from_db()
    return site


@transaction.atomic
def rename_clinic(*, clinic: Clinic, name: str, by: User, seen: Mapping[str, str] | None = None) -> Clinic:
    """Change the name that stands in mails, calendars and on paper; every copy of it is renewed.

    ``seen`` holds the mark of what a page showed; raise Conflict where somebody else changed it since.
    """
    _check_is_director(by)
    current = Clinic.objects.select_for_update().get(pk=clinic.pk)
    changes = {"name": name}
    if seen is not None:
        changes = merged({"name": current.name}, changes, seen=seen, changed=last_change("clinic.renamed"))
    before = _set_fields(current, changes)
    if before:
        current.save(update_fields=list(before))
        announce_change(current, before=before, by=by)
        trail.record("clinic.renamed", by=by, details={"from": before["name"], "to": current.name})
    clinic.refresh_from_db()
    return clinic


def _set_fields(row: Site | Clinic, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set what differs, and give it as it was. Raise InvalidInput beside the field that cannot be so."""
    before: dict[str, Any] = {}
    for name, value in changes.items():
        tidy = " ".join(str(value).split())
        if getattr(row, name) != tidy:
            before[name] = getattr(row, name)
            setattr(row, name, tidy)
    try:
        row.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidInput(" ".join(messages), field=field) from error
    return before


def _check_nothing_hangs(site: Site, change: Mapping[str, Any]) -> None:
    try:
        check_confirmed(site, change=change, confirmed=False)
    except NeedsConfirmation as hangs:
        raise InvalidTransition(" ".join(hangs.consequences), field=next(iter(change))) from hangs


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
