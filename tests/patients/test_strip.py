from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.utils import timezone

from mesoclinic.accounts.models import User
from patients.actions.intake import start_intake
from patients.intake.answers import UNKNOWN
from patients.models import Patient
from patients.queries import latest_submitted_intake, patients_visible_to, visible_person_ids
from patients.record.strip import patient_strip
from tests import factories


def told(patient: Patient) -> list[tuple[str, str]]:
    return [(chip.kind, chip.text) for chip in patient_strip(patient).chips]


def test_strip_without_an_intake_says_that_nothing_was_asked(teodor: Patient, ada: User) -> None:
    start_intake(patient=teodor, by=ada)  # a draft tells nothing yet

    assert told(teodor) == [("warn", "Allergies not asked"), ("", "No intake yet")]


@pytest.mark.parametrize(
    ("facts", "chips"),
    [
        ({}, [("warn", "Allergies not asked"), ("warn", "Reactions to ingredients not asked")]),
        ({"allergies": []}, [("ok", "Allergies: none"), ("warn", "Reactions to ingredients not asked")]),
        ({"allergies": [], "allergy_ingredients": []}, [("ok", "Allergies: none")]),
        ({"allergies": UNKNOWN, "allergy_ingredients": []}, [("warn", "Allergies: not known")]),
        (
            {"allergies": ["fish", "sulfite"], "allergy_ingredients": ["pdrn"]},
            [("danger", "Allergies: Fish, Sulfites, PDRN")],
        ),
        (
            {"allergy_ingredients": ["biotin"]},
            [("danger", "Allergies: Biotin"), ("warn", "Allergies not asked")],
        ),
        (
            {"allergies": [], "allergy_ingredients": [], "anaphylaxis_history": "unknown_cause"},
            [("danger", "Life-threatening reaction, cause unknown"), ("ok", "Allergies: none")],
        ),
        (
            {"allergies": [], "allergy_ingredients": [], "medications": ["antiplatelet_single", "minoxidil_topical"]},
            [("ok", "Allergies: none"), ("warn", "Takes: One antiplatelet medicine, Minoxidil lotion or foam")],
        ),
        (
            {"allergies": [], "allergy_ingredients": [], "medications": [], "conditions": ["fainting_with_needles"]},
            [("ok", "Allergies: none"), ("warn", "Has or had: Fainting with needles")],
        ),
    ],
)
def test_strip_says_none_only_where_it_was_answered(
    teodor: Patient, ada: User, fill: Any, facts: dict[str, Any], chips: list[tuple[str, str]]
) -> None:
    fill(teodor, by=ada, **facts)

    assert told(teodor) == chips


def test_strip_shows_pregnancy_and_breast_feeding(ada: User, fill: Any) -> None:
    ilse = factories.patient(by=ada, given_name="Ilse", sex_at_birth="female")
    fill(ilse, by=ada, allergies=[], allergy_ingredients=[], pregnancy_status="possible", lactating=True)

    assert told(ilse)[1:] == [("danger", "Possibly pregnant"), ("danger", "Breast-feeding")]


def test_strip_age_is_that_of_today_at_the_patients_site(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    auckland = factories.site(name="Auckland", time_zone="Pacific/Auckland")
    ada.sites.add(auckland)
    there = factories.patient(by=ada, site=auckland, birth_date=date(1987, 11, 23))
    here = factories.patient(by=ada, site=ada.sites.get(name="Lyon"), birth_date=date(1987, 11, 23))
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))

    assert (patient_strip(there).age, patient_strip(here).age) == (39, 38)


def test_strip_costs_two_queries(teodor: Patient, ada: User, fill: Any, django_assert_num_queries: Any) -> None:
    fill(teodor, by=ada, allergies=["fish"], medications=["nitrate"])
    patient = patients_visible_to(ada).get()

    with django_assert_num_queries(2):  # the intake, and what was said in words
        patient_strip(patient)


def test_latest_submitted_intake_passes_over_the_draft(teodor: Patient, ada: User, fill: Any) -> None:
    fill(teodor, by=ada, smoker=True)
    second = fill(teodor, by=ada, smoker=False)
    start_intake(patient=teodor, by=ada)

    assert latest_submitted_intake(teodor) == second


def test_visible_person_ids_are_those_of_own_sites(teodor: Patient, ada: User, dan: User) -> None:
    theirs = factories.patient(by=dan)

    assert list(visible_person_ids(ada)) == [teodor.public_id]
    assert list(visible_person_ids(dan)) == [theirs.public_id]
