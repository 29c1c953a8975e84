"""Which staff and sites a user may see."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from mesoclinic.accounts.models import User


def staff_list() -> QuerySet[User]:
    """Everybody who works or worked here, with roles and sites: those with access first."""
    return User.objects.prefetch_related("role_grants", "sites").order_by("-is_active", "family_name", "given_name")


def person_details(person: User) -> dict[str, Any]:
    """Return what a director changes of a person, as the page and the action hold it."""
    return {
        "title": person.title,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "family_name_first": person.family_name_first,
        "language": person.language,
        "roles": sorted(person.role_grants.values_list("role", flat=True)),
        "sites": list(person.sites.order_by("pk")),
    }
