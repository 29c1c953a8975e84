"""Keyword-only functions that make the smallest valid object of each kind."""

from __future__ import annotations

import itertools
from datetime import date
from zoneinfo import ZoneInfo

from django.utils import timezone

from mesoclinic.accounts.models import Clinic, RoleGrant, Site, User
from patients.models import Patient

_count = itertools.count(1)
PASSWORD = "correct horse battery"


def today() -> date:
    """The day at the sample sites: late in the evening it is still yesterday in UTC, the zone that tests run with."""
    return timezone.localdate(timezone=ZoneInfo("Europe/Paris"))


def clinic(*, name: str = "Clinique des Tilleuls", currency: str = "EUR") -> Clinic:
    return Clinic.objects.get_or_create(pk=1, defaults={"name": name, "currency": currency})[0]


def site(*, name: str = "Lyon", time_zone: str = "Europe/Paris") -> Site:
    clinic()
    return Site.objects.get_or_create(
        name=name,
        defaults={
            "time_zone": time_zone,
            "street": "14 quai des Tilleuls",
            "city": "69004 Lyon",
            "phone": "+33 4 00 00 00 00",
        },
    )[0]


def user(
    *,
    given_name: str = "Ada",
    family_name: str = "Moreau",
    title: str = "",
    roles: list[str] | None = None,
    sites: list[Site] | None = None,
) -> User:
    made = User.objects.create_user(
        email=f"{given_name.lower()}{next(_count)}@clinic.example",
        password=PASSWORD,
        given_name=given_name,
        family_name=family_name,
        title=title,
    )
    for role in roles if roles is not None else ["practitioner"]:
        RoleGrant.objects.create(user=made, role=role)
    made.sites.set(sites if sites is not None else [site()])
    return made


def patient(
    *,
    by: User,
    site: Site | None = None,
    given_name: str = "Teodor",
    family_name: str = "Brandvold",
    birth_date: date = date(1987, 6, 8),
    sex_at_birth: str = "male",
    email: str = "teodor@example.org",
) -> Patient:
    from patients.actions.record import register_patient

    return register_patient(
        given_name=given_name,
        family_name=family_name,
        birth_date=birth_date,
        sex_at_birth=sex_at_birth,
        email=email,
        phone="",
        language="en",
        contact_allowed=bool(email),
        site=site or by.sites.get(),
        by=by,
        different_person=True,  # tests stand at one instant
    )
