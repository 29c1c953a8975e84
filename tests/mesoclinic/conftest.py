from __future__ import annotations

import uuid
from collections.abc import Iterator
from uuid import UUID

import pytest
from pytest_django import Settings

from tests.mesoclinic import providers


@pytest.fixture(autouse=True)
def _people(settings: Settings) -> Iterator[None]:
    settings.PERSON_VISIBILITY = "tests.mesoclinic.providers.seen_by"
    settings.PERSON_SEARCH = "tests.mesoclinic.providers.found_by"
    yield
    providers.SITE_OF.clear()


@pytest.fixture
def person() -> UUID:
    """Somebody whom the staff of Lyon may see."""
    made = uuid.uuid4()
    providers.SITE_OF[made] = "Lyon"
    return made
