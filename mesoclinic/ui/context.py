"""What every page needs: where one works, what the navigation may offer, and the chosen theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Clinic

THEME_COOKIE = "theme"  # "light" or "dark"; absent: as the reader's system
THEMES = ("light", "dark")


@dataclass(frozen=True, kw_only=True)
class Place:
    """One entry of the main navigation. ``prefixes``: the paths on which it is the current one."""

    label: Any
    url_name: str
    prefixes: tuple[str, ...]
    permission: Permission | None = None
    key: str = ""  # “g” and this letter go there


PLACES = (
    Place(label=_("Today"), url_name="sessions:today", key="t", prefixes=("/day/",)),
    Place(
        label=_("Calendar"),
        url_name="sessions:calendar",
        key="c",
        prefixes=("/calendar/",),
        permission=Permission.BOOKING_READ,
    ),
    Place(
        label=_("Patients"),
        url_name="patients:list",
        key="p",
        prefixes=("/patients/", "/intakes/", "/plans/", "/appointments/"),
        permission=Permission.PATIENT_READ,
    ),
    Place(
        label=_("Formulary"),
        url_name="protocols:catalogue",
        key="f",
        prefixes=("/formulary/",),
        permission=Permission.FORMULARY_NAMES,
    ),
    Place(
        label=_("Messages"),
        url_name="messaging:list",
        key="m",
        prefixes=("/messages/",),
        permission=Permission.MESSAGE_READ,
    ),
    Place(label=_("Inbox"), url_name="inbox:list", key="i", prefixes=("/inbox/",), permission=Permission.MESSAGE_READ),
    Place(label=_("Audit"), url_name="audit:list", key="a", prefixes=("/audit/",), permission=Permission.AUDIT_READ),
)


def page(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    known = user is not None and user.is_authenticated
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return {
        "clinic": getattr(request, "clinic", None) or SimpleLazyObject(Clinic.objects.first),
        "site": getattr(request, "site", None),
        "sites": SimpleLazyObject(lambda: _sites(request)),
        "may": SimpleLazyObject(lambda: _may(user) if known else {}),
        "nav": SimpleLazyObject(lambda: _nav(request) if known else []),
        "error_layout": "errors/fragment.html" if getattr(request, "htmx", False) else "base.html",
        "theme": theme if theme in THEMES else "",
    }


def _sites(request: HttpRequest) -> list[Any]:
    """The person's own sites; the middleware has already read them."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return []
    return getattr(request, "sites", None) or list(user.sites.all())


def _may(user: Any) -> dict[str, bool]:
    """``{% if may.patient_read %}``: each permission by its value, dots as underscores."""
    return {permission.value.replace(".", "_"): user.may(permission) for permission in Permission}


def _nav(request: HttpRequest) -> list[dict[str, Any]]:
    entries = []
    for place in PLACES:
        if place.permission and not request.user.may(place.permission):  # type: ignore[union-attr]
            continue
        try:
            url = reverse(place.url_name)
        except NoReverseMatch:
            continue
        here = request.path == url or request.path.startswith(place.prefixes)
        entries.append({"label": place.label, "url": url, "current": here, "key": place.key})
    return entries
