"""Who may do what: permissions, roles, and the one table between them.

Every view declares what it needs as its outermost decorator: ``@requires(Permission.X)`` or ``@public("reason")``.
``tests/test_access.py`` walks the URL table with every role and fails for a view that declares nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    RECEPTIONIST = "receptionist", _("Receptionist")
    NURSE = "nurse", _("Nurse")
    PRACTITIONER = "practitioner", _("Practitioner")
    DIRECTOR = "director", _("Medical director")


class Permission(StrEnum):
    PATIENT_READ = "patient.read"  # identity and contact
    PATIENT_WRITE = "patient.write"
    INTAKE_READ = "intake.read"
    INTAKE_WRITE = "intake.write"
    PLAN_EXISTS = "plan.exists"  # that there is one, and its dates; nothing of its content
    PLAN_READ = "plan.read"
    PLAN_WRITE = "plan.write"
    PLAN_SIGN = "plan.sign"  # only plans of one's own drafting or review; the action checks
    BOOKING_READ = "booking.read"
    BOOKING_WRITE = "booking.write"
    BOOKING_OVERBOOK = "booking.overbook"  # deliberately, over a time that is taken, with a reason
    RESOURCES_WRITE = "resources.write"  # opening hours, closures, rooms, people's hours, absences and abilities
    SESSION_EXISTS = "session.exists"
    SESSION_READ = "session.read"
    SESSION_WRITE = "session.write"
    SESSION_SIGN = "session.sign"
    FORMULARY_NAMES = "formulary.names"  # names of ingredients only
    FORMULARY_READ = "formulary.read"
    FORMULARY_WRITE = "formulary.write"  # write and publish
    STOCK_WRITE = "stock.write"
    MESSAGE_READ = "message.read"
    MESSAGE_WRITE = "message.write"  # undo while it is held, send again after a failure
    AUDIT_READ = "audit.read"
    SETTINGS_WRITE = "settings.write"  # people, sites, settings


_EVERYBODY = {
    Permission.PATIENT_READ,
    Permission.PATIENT_WRITE,
    Permission.INTAKE_READ,
    Permission.PLAN_EXISTS,
    Permission.BOOKING_READ,
    Permission.BOOKING_WRITE,
    Permission.SESSION_EXISTS,
    Permission.FORMULARY_NAMES,
    Permission.STOCK_WRITE,
    Permission.MESSAGE_READ,
    Permission.MESSAGE_WRITE,
}
_CLINICAL = _EVERYBODY | {Permission.PLAN_READ, Permission.SESSION_READ, Permission.FORMULARY_READ}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.RECEPTIONIST: frozenset(_EVERYBODY | {Permission.INTAKE_WRITE}),
    Role.NURSE: frozenset(_CLINICAL | {Permission.INTAKE_WRITE, Permission.SESSION_WRITE}),
    Role.PRACTITIONER: frozenset(
        _CLINICAL
        | {
            Permission.INTAKE_WRITE,
            Permission.BOOKING_OVERBOOK,
            Permission.PLAN_WRITE,
            Permission.PLAN_SIGN,
            Permission.SESSION_WRITE,
            Permission.SESSION_SIGN,
        }
    ),
    Role.DIRECTOR: frozenset(
        _CLINICAL
        | {
            Permission.BOOKING_OVERBOOK,
            Permission.RESOURCES_WRITE,
            Permission.FORMULARY_WRITE,
            Permission.AUDIT_READ,
            Permission.SETTINGS_WRITE,
        }
    ),
}

# Views of django-allauth can carry no ``access``: every one that urls.py names is here, with its reason.
THIRD_PARTY_VIEWS: dict[str, str] = {
    "account_login": "public: the way in",
    "account_logout": "signed in: the way out; without a session it leads to the log-in page",
    "account_inactive": "public: tells a deactivated person why they cannot enter",
    "account_reauthenticate": "signed in: asks for the password again",
    "account_change_password": "signed in: one's own password",
    "usersessions_list": "signed in: one's own log-ins, and ending the others",
    "mfa_index": "signed in: one's own second factor",
    "mfa_authenticate": "public: the second step of a log-in that passed the first",
    "mfa_reauthenticate": "signed in: asks for the code again",
    "mfa_activate_totp": "signed in: sets up one's own second factor",
    "mfa_deactivate_totp": "signed in: removes one's own second factor, after the password",
    "mfa_view_recovery_codes": "signed in: one's own recovery codes, after the password",
    "mfa_generate_recovery_codes": "signed in: new recovery codes, after the password",
    "mfa_download_recovery_codes": "signed in: one's own recovery codes as text, after the password",
}

View = Callable[..., HttpResponse]


def requires(*permissions: Permission) -> Callable[[View], View]:
    """Let the view through for a signed-in person who holds every one of ``permissions``; 403 otherwise."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            missing = [p for p in permissions if not request.user.may(p)]  # type: ignore[union-attr]
            if missing:
                raise PermissionDenied(_("Your role does not allow this. Ask the medical director if it should."))
            return view(request, *args, **kwargs)

        guarded.access = permissions  # type: ignore[attr-defined]
        return guarded

    return decorate


def public(reason: str) -> Callable[[View], View]:
    """Open the view to anybody, for a reason that is written down."""

    def decorate(view: View) -> View:
        opened = login_not_required(view)
        opened.access = reason  # type: ignore[attr-defined]
        return opened

    return decorate


def signed_in(view: View) -> View:
    """Open the view to everybody who is signed in, whatever their role: their own settings, Today, search."""
    view.access = ()  # type: ignore[attr-defined]
    return view
