from __future__ import annotations

import os
from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mesoclinic.accounts.models import User
from patients.actions import register_patient
from patients.models import Patient
from patients.queries import find, patients_visible_to, possible_duplicates, search
from patients.search import fold, is_too_short
from tests import factories
from tests.patients.crowd import crowd

BORN = date(1991, 3, 12)


@pytest.fixture
def people(cleo: User) -> dict[str, Patient]:
    def person(given: str, family: str, born: date, email: str = "", phone: str = "") -> Patient:
        return register_patient(
            given_name=given,
            family_name=family,
            birth_date=born,
            sex_at_birth="female",
            email=email,
            phone=phone,
            language="en",
            contact_allowed=False,
            site=cleo.sites.get(),
            by=cleo,
        )

    return {
        "elodie": person("Élodie", "Saint-Martin", BORN, "elodie.sm@example.org", "+33 6 12 34 56 78"),
        "ole": person("Øle", "O'Neill", date(1974, 12, 3), "OLE@Example.net"),
        "li": person("Wei", "Li", date(2001, 1, 31), phone="04 78 00 00 99"),
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("elodie", ["elodie"]),
        ("ÉLODIE saint", ["elodie"]),
        ("martin elodie", ["elodie"]),
        ("Saint-Martin, Élodie", ["elodie"]),
        ("oneill", ["ole"]),
        ("O’Neill", ["ole"]),
        ("ole n", ["ole"]),
        ("wei li", ["li"]),
        ("elodie.sm@example", ["elodie"]),
        ("ole@EXAMPLE.net", ["ole"]),
        ("example", ["ole", "elodie"]),
        ("06 12 34 56 78", ["elodie"]),
        ("0033 612345678", ["elodie"]),
        ("+33 (0)6 12", ["elodie"]),
        ("0478000099", ["li"]),
        ("1991-03-12", ["elodie"]),
        ("12/03/1991", ["elodie"]),
        ("12.3.1991", ["elodie"]),
        ("12 mar 1991", ["elodie"]),
        ("12 March 1991", ["elodie"]),
        ("12 mars 1991", ["elodie"]),
        ("12 marzo 1991", ["elodie"]),
        ("12031991", ["elodie"]),
        ("31/01/2001", ["li"]),
        ("01/31/2001", ["li"]),  # the month first, where only that fits
        ("03/12/1974", ["ole"]),
        ("elodie 12/03/1991", ["elodie"]),
        ("ole 12/03/1991", []),
        ("P-00002", ["ole"]),
        ("p-2", ["ole"]),
        ("#3", ["li"]),
        ("3", ["li"]),
        ("zzz", []),
        ("%%%", []),
        ("100%", []),
        ("elodie_sm@example", []),
    ],
)
def test_search_finds_people_as_they_are_spoken_of(
    cleo: User, people: dict[str, Patient], query: str, found: list[str]
) -> None:
    names = {patient.pk: name for name, patient in people.items()}
    patients = search(patients_visible_to(cleo), query)
    if query == "%%%":  # nothing to search by at all
        assert is_too_short(query)
    else:
        assert [names[patient.pk] for patient in patients] == found


@pytest.mark.parametrize("query", ["", "  ", "e", "el", "é", "@"])
def test_search_below_three_letters_leaves_the_list_whole(cleo: User, people: dict[str, Patient], query: str) -> None:
    if query != "@":
        assert search(patients_visible_to(cleo), query).count() == 3
    assert is_too_short(query) == bool(query.strip())


@pytest.mark.parametrize("query", ["\x00\x00\x00", "a" * 5000, "0" * 400, "9" * 40, "12/99/2001", "😀😀😀", "'; DROP"])
def test_search_takes_anything_without_failing(cleo: User, people: dict[str, Patient], query: str) -> None:
    assert list(search(patients_visible_to(cleo), query)) in ([], list(patients_visible_to(cleo)))


def test_search_sees_own_sites_only(dan: User, people: dict[str, Patient]) -> None:
    assert list(search(patients_visible_to(dan), "elodie")) == []


def test_fold_drops_case_accents_and_signs() -> None:
    assert fold("  Élodie  O’Neill-ŁUĆ ß_æ ") == "elodie oneill luc ss ae"


@pytest.mark.parametrize(
    ("typed", "reasons"),
    [
        ({"given_name": "Elodie", "family_name": "St Martin", "birth_date": BORN}, ["same birth date, similar name"]),
        ({"given_name": "Martin", "family_name": "Elodie", "birth_date": BORN}, ["same birth date, similar name"]),
        ({"given_name": "Elodie", "family_name": "Saint Martin", "birth_date": date(1990, 1, 1)}, ["same name"]),
        ({"email": "ELODIE.SM@example.org"}, ["same e-mail"]),
        ({"phone": "0612345678"}, ["same phone"]),
        ({"given_name": "Bernard", "family_name": "Quist", "birth_date": BORN}, []),
        ({"given_name": "Elodie"}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_possible_duplicates_says_why(cleo: User, people: dict[str, Patient], typed: dict, reasons: list[str]) -> None:
    found = possible_duplicates(cleo, **typed)

    assert [reason for duplicate in found for reason in duplicate.reasons] == reasons
    assert {duplicate.patient for duplicate in found} <= {people["elodie"]}


def test_possible_duplicates_of_another_site_are_not_shown(dan: User, people: dict[str, Patient]) -> None:
    assert possible_duplicates(dan, email="elodie.sm@example.org", birth_date=date(1991, 3, 12)) == []


def test_search_costs_the_same_at_100_and_10000_patients(cleo: User) -> None:
    """And at 100,000 in the deep run; `make bench` goes on to a million."""
    site = cleo.sites.get()
    factories.patient(by=cleo)
    asked: dict[str, set[int]] = {}
    for count in (100, 10_000, *([100_000] if os.environ.get("MESOCLINIC_DEEP") else [])):
        crowd(count - Patient.objects.count(), site=site, by=cleo, seed=count)
        for query in ("brandvold", "bra", "teodor brand", "8 jun 1987", "brandvolx", "zzzz"):
            with CaptureQueriesContext(connection) as queries:
                find(cleo, query)
            asked.setdefault(query, set()).add(len(queries))
    assert {query: len(counts) for query, counts in asked.items()} == dict.fromkeys(asked, 1), asked
