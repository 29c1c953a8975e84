"""Every URL × every role. A view that declares nothing fails; a role meets exactly what access.py gives it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from mesoclinic.accounts.access import PERMISSIONS, THIRD_PARTY_VIEWS, Permission, Role
from tests import factories

SAMPLE = {"uuid": str(uuid.UUID(int=0)), "int": "1", "str": "x", "slug": "x", "path": "x"}


def walk(resolver: URLResolver, prefix: str = "", namespace: str = "") -> Iterator[tuple[str, str, URLPattern]]:
    """Every pattern as (qualified name, a concrete path, pattern)."""
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            space = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from walk(entry, route, space)
        else:
            yield f"{namespace}{entry.name}", _concrete(route), entry


def _concrete(route: str) -> str:
    """The path with an example in place of each parameter, whether written as a path or as a regular expression."""
    route = route.replace("^", "").replace("$", "").replace(r"\Z", "").replace("\\.", ".")
    while (start := route.find("(?P<")) >= 0:
        depth, end = 0, start
        while True:
            depth += {"(": 1, ")": -1}.get(route[end], 0)
            end += 1
            if depth == 0:
                break
        group = route[start:end]
        route = route[:start] + (SAMPLE["uuid"] if "0-9a-f" in group else "x") + route[end:]
    route = re.sub(r"<(?:(\w+):)?\w+>", lambda found: SAMPLE.get(found.group(1) or "str", "2026-11-24"), route)
    return "/" + route.removesuffix("?")


def declared(pattern: URLPattern) -> object:
    """What the view says of itself: a tuple of permissions, a reason for being public, or the API's table."""
    view = pattern.callback
    for candidate in (view, getattr(view, "view_class", None), getattr(view, "cls", None)):
        access = getattr(candidate, "access", None)
        if access is not None:
            return access
    return None


PATTERNS = list(walk(get_resolver()))
OURS = [entry for entry in PATTERNS if entry[0] not in THIRD_PARTY_VIEWS]


@pytest.mark.parametrize(("name", "path", "pattern"), OURS, ids=[entry[0] for entry in OURS])
def test_every_view_declares_who_may_enter(name: str, path: str, pattern: URLPattern) -> None:
    access = declared(pattern)

    assert access is not None, f"{name} declares nothing: add @requires(…), @signed_in or @public(…)"
    if isinstance(access, str):
        assert len(access) > 10, f"{name} is public without a reason"


def test_third_party_views_are_named_with_a_reason() -> None:
    unknown = set(THIRD_PARTY_VIEWS) - {name for name, _, _ in PATTERNS}

    assert unknown == set()
    assert all(len(reason) > 10 for reason in THIRD_PARTY_VIEWS.values())


@pytest.mark.parametrize(("name", "path", "pattern"), OURS, ids=[entry[0] for entry in OURS])
def test_nobody_enters_without_signing_in(db: None, name: str, path: str, pattern: URLPattern) -> None:
    if isinstance(declared(pattern), str):
        return
    response = Client().get(path)

    if path.startswith("/api/"):
        assert response.status_code in (401, 403), name
    else:
        assert response.status_code == 302 and response["Location"].startswith("/accounts/login/"), name


@pytest.mark.parametrize("role", list(Role), ids=list(Role))
def test_each_role_is_refused_what_the_table_does_not_give(db: None, role: Role) -> None:
    """Without the permission it is 403 before anything is looked up; with it, never 403 and never a crash."""
    person = factories.user(given_name=role.title(), roles=[role])
    client = Client()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    wrong: list[str] = []
    for name, path, pattern in OURS:
        access = declared(pattern)
        if isinstance(access, str):
            continue
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            needed: tuple[Permission | None, ...]
            if isinstance(access, dict):
                needed = (access.get(method),)  # a method that the table does not name is refused
            elif method in ("GET", "POST"):
                needed = access  # type: ignore[assignment]
            else:
                continue
            response = client.generic(method, path, b"{}" if isinstance(access, dict) else b"", "application/json")
            allowed = all(permission in PERMISSIONS[role] for permission in needed)
            if (response.status_code == 403) == allowed or response.status_code >= 500:
                wrong.append(f"{method} {name}: {response.status_code}, allowed={allowed}")

    assert wrong == []


def test_a_person_without_a_role_may_do_nothing(db: None) -> None:
    nobody = factories.user(given_name="Nobody", roles=[])

    assert nobody.permissions == frozenset()


def test_a_deactivated_person_may_do_nothing(db: None) -> None:
    former = factories.user(given_name="Former", roles=["director"])
    former.is_active = False

    assert former.permissions == frozenset()
