"""What the tests of plans share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import formats

from mesoclinic.accounts.models import User
from protocols.models import FormularyVersion, Plan
from tests import factories
from tests.factories_protocols import draft_plan, published_formulary, settled, signed_plan


@pytest.fixture
def formulary(dora: User) -> FormularyVersion:
    return published_formulary(by=dora)


@pytest.fixture
def draft(ada: User, formulary: FormularyVersion) -> Plan:
    """Ada's draft for a man with one caution (an antiplatelet) and several open questions."""
    return draft_plan(by=ada, facts={"medications": ["antiplatelet_single"]})


@pytest.fixture
def ready(draft: Plan, ada: User) -> Plan:
    """The same, with nothing open any more."""
    return settled(draft, by=ada)


@pytest.fixture
def signed(ada: User, formulary: FormularyVersion) -> Plan:
    return signed_plan(by=ada, facts={"medications": ["antiplatelet_single"]})


@pytest.fixture
def snapshot_text(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a print's text with the one kept beside the tests. MESOCLINIC_UPDATE_SNAPSHOTS=1 keeps a new one."""
    folder = Path(__file__).parent / "snapshots"

    def compare(name: str, text: str) -> None:
        text = re.sub(r"(?:[0-9a-f]{8} ){3}[0-9a-f]{8}", "FINGERPRINT", text)
        today = formats.date_format(factories.today(), "j F Y")
        text = re.sub(rf"{today},(\s+)\d\d:\d\d", r"DAY,\1TIME", text).replace(today, "DAY")
        text = re.sub(r"^\s*\d\d:\d\d(?= \()", "TIME", text, flags=re.MULTILINE)
        lines = [" ".join(line.split()) for line in text.splitlines()]
        text = "\n".join(line for line in lines if line) + "\n"
        file = folder / f"{name}.txt"
        if os.environ.get("MESOCLINIC_UPDATE_SNAPSHOTS"):
            folder.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    return compare
