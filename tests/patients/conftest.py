from __future__ import annotations

from typing import Any

import pytest

from mesoclinic.accounts.models import User
from patients.actions.intake import save_intake, start_intake, submit_intake
from patients.models import Intake, Patient
from tests import factories


@pytest.fixture(autouse=True)
def _ingredients(settings: Any) -> None:
    """The patients app knows no formulary: its tests bring their own three ingredients."""
    settings.INGREDIENT_CHOICES_PROVIDER = "tests.patients.providers.ingredient_choices"


@pytest.fixture
def teodor(ada: User) -> Patient:
    return factories.patient(by=ada)


@pytest.fixture
def fill():
    """``fill(teodor, by=ada, allergies=[])`` gives a submitted intake of pattern hair loss with these answers."""

    def filled(
        patient: Patient,
        *,
        by: User,
        concerns: list[dict[str, str]] | None = None,
        zones: list[dict[str, str]] | None = None,
        submit: bool = True,
        note: str = "",
        **facts: Any,
    ) -> Intake:
        intake = start_intake(patient=patient, by=by)
        save_intake(
            intake=intake,
            revision=intake.revision,
            facts=facts,
            concerns=[{"concern": "androgenetic_alopecia", "severity": "moderate"}] if concerns is None else concerns,
            zones=[{"zone": "vertex", "area_cm2": "80"}] if zones is None else zones,
            note=note,
            by=by,
        )
        return submit_intake(intake=intake, by=by) if submit else intake

    return filled
