"""The cast everybody knows, and what every test can ask for.

Ada is a physician, Ben a nurse, Cleo at reception, Dora the director, all of Lyon. Dan is a physician of another site
and must see nothing of theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from django.utils import translation

from mesoclinic.accounts.models import Site, User
from scripts import messages
from scripts.other_clocks import clocks_of
from tests import factories, migrated
from tests.instant import clock as clock  # every test stands at one instant

messages.compile_changed()  # before the first text is looked up; nothing to do where set-up has done it
migrated.begin_with_the_copy()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With MESOCLINIC_OTHER_CLOCKS=1 a test stands at a clock of its file, unless it says its own instant."""
    if not os.environ.get("MESOCLINIC_OTHER_CLOCKS") or any(metafunc.definition.iter_markers("instant")):
        return
    clocks = clocks_of(metafunc.definition.nodeid)
    metafunc.parametrize("clock", list(clocks.values()), ids=list(clocks), indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests for the other database engine are deselected, not skipped.

    With MESOCLINIC_ENGINE_TESTS=1 so are those to which the engine makes no difference: they touch no database, or lay
    out a print.
    """
    other = {"sqlite": "postgresql", "postgresql": "sqlite"}[connection.vendor]
    deselected = {item for item in items if item.get_closest_marker(other)}
    if os.environ.get("MESOCLINIC_ENGINE_TESTS"):
        deselected |= {item for item in items if item.get_closest_marker("prints") or not _of_the_database(item)}
    if deselected:
        config.hook.pytest_deselected(items=list(deselected))
        items[:] = [item for item in items if item not in deselected]


def _of_the_database(item: pytest.Item) -> bool:
    fixtures = {"db", "transactional_db"} & set(getattr(item, "fixturenames", []))
    return bool(fixtures or item.get_closest_marker("django_db"))


@pytest.fixture(scope="session", autouse=True)
def _flush_past_the_guards() -> Iterator[None]:
    """Let transactional tests empty guarded tables: the triggers step aside for the flush and come back after it."""
    from django.db.backends.base.operations import BaseDatabaseOperations

    from mesoclinic.core import guards

    original = BaseDatabaseOperations.execute_sql_flush

    def flush(self: BaseDatabaseOperations, sql_list: list[str]) -> None:
        with self.connection.cursor() as cursor:
            for guard in guards.REGISTRY.values():
                if self.connection.vendor == "sqlite":
                    for trigger in guard.sqlite_triggers:
                        cursor.execute(f"DROP TRIGGER IF EXISTS {trigger}")
                else:
                    cursor.execute(f'ALTER TABLE "{guard.table}" DISABLE TRIGGER USER')
        original(self, sql_list)
        with self.connection.cursor() as cursor:
            if self.connection.vendor == "postgresql":
                for guard in guards.REGISTRY.values():
                    cursor.execute(f'ALTER TABLE "{guard.table}" ENABLE TRIGGER USER')
        guards.install(self.connection)

    BaseDatabaseOperations.execute_sql_flush = flush  # type: ignore[method-assign]
    yield
    BaseDatabaseOperations.execute_sql_flush = original  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """A page in French leaves French behind for whoever comes next in the same thread."""
    yield
    translation.deactivate()


@pytest.fixture
def lyon(db: None) -> Site:
    return factories.site(name="Lyon", time_zone="Europe/Paris")


@pytest.fixture
def ada(lyon: Site) -> User:
    return factories.user(given_name="Ada", family_name="Moreau", title="Dr", roles=["practitioner"], sites=[lyon])


@pytest.fixture
def ben(lyon: Site) -> User:
    return factories.user(given_name="Ben", family_name="Okafor", roles=["nurse"], sites=[lyon])


@pytest.fixture
def cleo(lyon: Site) -> User:
    return factories.user(given_name="Cleo", family_name="Petit", roles=["receptionist"], sites=[lyon])


@pytest.fixture
def dora(lyon: Site) -> User:
    return factories.user(given_name="Dora", family_name="Lindgren", title="Dr", roles=["director"], sites=[lyon])


@pytest.fixture
def dan(db: None) -> User:
    elsewhere = factories.site(name="New York", time_zone="America/New_York")
    return factories.user(given_name="Dan", family_name="Ruiz", title="Dr", roles=["practitioner"], sites=[elsewhere])


@pytest.fixture
def sign_in():
    """``sign_in(ada)`` gives a browser-like client in which Ada is signed in."""

    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    return signed_in
