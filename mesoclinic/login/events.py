"""Log-ins and log-outs in the audit trail. Django tells of them by signal, whichever page they came from."""

from __future__ import annotations

from typing import Any

from allauth.mfa import signals as mfa
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail


def connect() -> None:
    user_logged_in.connect(logged_in, dispatch_uid="audit.logged_in")
    user_logged_out.connect(logged_out, dispatch_uid="audit.logged_out")
    user_login_failed.connect(log_in_failed, dispatch_uid="audit.log_in_failed")
    mfa.authenticator_added.connect(second_factor_added, dispatch_uid="audit.second_factor_added")
    mfa.authenticator_removed.connect(second_factor_removed, dispatch_uid="audit.second_factor_removed")


def logged_in(*, user: User, **kwargs: Any) -> None:
    trail.record("person.logged_in", by=user, target=user)


def logged_out(*, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        trail.record("person.logged_out", by=user, target=user)


def log_in_failed(*, credentials: dict[str, Any], **kwargs: Any) -> None:
    """Whose account was tried, if there is one. What was typed is not kept: it may be a password."""
    tried = str(credentials.get("email") or credentials.get("username") or "").strip()
    target = User.objects.filter(email__iexact=tried).first() if tried else None
    trail.record("person.log_in_failed", by=None, target=target, details={"known": target is not None})


def second_factor_added(*, user: User, authenticator: Any, **kwargs: Any) -> None:
    trail.record("person.second_factor_added", by=user, target=user, details={"type": authenticator.type})


def second_factor_removed(*, user: User, authenticator: Any, **kwargs: Any) -> None:
    trail.record("person.second_factor_removed", by=user, target=user, details={"type": authenticator.type})
