"""What the tests of plans share."""

from __future__ import annotations

import pytest

from mesoclinic.accounts.models import User
from protocols.models import FormularyVersion, Plan
from tests.factories_protocols import draft_plan, published_formulary, settled, signed_plan


@pytest.fixture
def formulary(dora: User) -> FormularyVersion:
    return published_formulary(by=dora)


@pytest.fixture
def draft(ada: User, formulary: FormularyVersion) -> Plan:
    """Ada's draft for a man with one caution (an antiplatelet) and several open questions, each with its cause."""
    return draft_plan(by=ada, facts={"medications": ["antiplatelet_single", "minoxidil_oral"], "alcohol_heavy": True})


@pytest.fixture
def ready(draft: Plan, ada: User) -> Plan:
    """The same, with nothing open any more."""
    return settled(draft, by=ada)


@pytest.fixture
def signed(ada: User, formulary: FormularyVersion) -> Plan:
    return signed_plan(by=ada, facts={"medications": ["antiplatelet_single"]})
