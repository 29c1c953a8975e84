"""The API's door: closed unless the view says which permission opens it."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from mesoclinic.accounts.access import Permission


class DeclaredPermission(BasePermission):
    """Reads ``access`` of the view: a mapping from HTTP method to the permission that it needs.

    ``access = {"GET": Permission.PATIENT_READ, "POST": Permission.PATIENT_WRITE}``; any other method is refused.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        access: dict[str, Permission] | None = getattr(view, "access", None)
        if not request.user.is_authenticated:
            return False
        if not access:
            return False
        method = "GET" if request.method in ("HEAD", "OPTIONS") else request.method
        needed = access.get(method or "")
        return needed is not None and request.user.may(needed)
