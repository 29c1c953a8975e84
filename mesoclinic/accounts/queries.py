from __future__ import annotations

from django.db.models import QuerySet

from mesoclinic.accounts.models import User


def staff_list() -> QuerySet[User]:
    """Everybody who works or worked here, with roles and sites: those with access first."""
    return User.objects.prefetch_related("role_grants", "sites").order_by("-is_active", "family_name", "given_name")
