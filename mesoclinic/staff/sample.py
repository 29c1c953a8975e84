"""The sample clinic's house: its sites and the people who work there. All of it is invented.

What belongs to patients, plans and appointments is in ``sessions/sample/``.
"""

from __future__ import annotations

from dataclasses import dataclass

from mesoclinic.accounts.access import Role
from mesoclinic.accounts.models import Clinic, RoleGrant, Site, User

PASSWORD = "linden-blossom"  # noqa: S105 - of every invented person; a clinic with real data never has it


@dataclass(frozen=True, kw_only=True)
class SamplePerson:
    key: str
    title: str
    given_name: str
    family_name: str
    role: Role
    sites: tuple[str, ...]

    @property
    def email(self) -> str:
        return f"{self.key}@tilleuls.example"


SITES = {
    "Lyon": {
        "time_zone": "Europe/Paris",
        "street": "14 quai des Tilleuls",
        "city": "69004 Lyon",
        "phone": "+33 4 00 00 00 14",
        "email": "lyon@tilleuls.example",
        "language": "fr",
    },
    "New York": {
        "time_zone": "America/New_York",
        "street": "210 Linden Street",
        "city": "New York, NY 10003",
        "phone": "+1 212 555 0114",
        "email": "newyork@tilleuls.example",
        "language": "en",
    },
}

PEOPLE = (
    SamplePerson(
        key="lena", title="Dr", given_name="Lena", family_name="Ortiz", role=Role.PRACTITIONER, sites=("Lyon",)
    ),
    SamplePerson(key="ben", title="", given_name="Ben", family_name="Okafor", role=Role.NURSE, sites=("Lyon",)),
    SamplePerson(key="cleo", title="", given_name="Cleo", family_name="Petit", role=Role.RECEPTIONIST, sites=("Lyon",)),
    SamplePerson(
        key="dora",
        title="Dr",
        given_name="Dora",
        family_name="Lindgren",
        role=Role.DIRECTOR,
        sites=("Lyon", "New York"),
    ),
    SamplePerson(
        key="sam", title="Dr", given_name="Samuel", family_name="Grant", role=Role.PRACTITIONER, sites=("New York",)
    ),
)


def found_clinic() -> tuple[Clinic, dict[str, Site], dict[str, User]]:
    """Make the clinic, its sites by name and its people by key, in a database that has none of them."""
    clinic = Clinic.objects.create(pk=1, name="Clinique des Tilleuls", currency="EUR", is_sample=True)
    sites = {name: Site.objects.create(name=name, **details) for name, details in SITES.items()}
    users = {}
    for person in PEOPLE:
        user = User.objects.create_user(
            email=person.email,
            password=PASSWORD,
            title=person.title,
            given_name=person.given_name,
            family_name=person.family_name,
        )
        RoleGrant.objects.create(user=user, role=person.role)
        user.sites.set([sites[name] for name in person.sites])
        users[person.key] = user
    return clinic, sites, users
