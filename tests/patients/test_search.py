from __future__ import annotations

import os
import random
from datetime import date
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mesoclinic.accounts.models import User
from patients.actions.record import register_patient
from patients.models import Patient
from patients.queries import in_this_order, patients_visible_to, status_counts
from patients.search import finding as queries
from patients.search import index as search_index
from patients.search.duplicates import possible_duplicates
from patients.search.finding import find_patients, likeliest, ranked, search
from patients.search.keys import fold, is_too_short, search_key_of
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


@pytest.mark.parametrize("query", ["", "  ", "e", "é", "@"])
def test_search_below_two_letters_leaves_the_list_whole(cleo: User, people: dict[str, Patient], query: str) -> None:
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
    """The box, the duplicate panel and the list. And at 100,000 in the deep run; `make bench` goes on to a million."""
    site = cleo.sites.get()
    teodor = factories.patient(by=cleo)
    asked: dict[str, list[int]] = {}
    for count in (100, 10_000, *([100_000] if os.environ.get("MESOCLINIC_DEEP") else [])):
        crowd(count - Patient.objects.count(), site=site, by=cleo, seed=count)
        work = {
            query: partial(find_patients, cleo, query)
            for query in ("brandvold", "bra", "8 jun 1987", "brandvolx", "zzzz")
        }
        typed = {"given_name": "Teodor", "family_name": "Brandvolt"}
        work["panel, names"] = partial(possible_duplicates, cleo, **typed)
        more = {"birth_date": teodor.birth_date, "email": teodor.email, "phone": "06 00 00 00 07"}
        work["panel, all"] = partial(possible_duplicates, cleo, **typed, **more)
        work["list"] = partial(in_this_order, patients_visible_to(cleo), [teodor.pk])
        work["counts"] = partial(status_counts, patients_visible_to(cleo), site=None)
        for name, ask in work.items():
            with CaptureQueriesContext(connection) as counted:
                assert ask() or name == "zzzz"
            asked.setdefault(name, []).append(len(counted))
    assert [name for name, counts in asked.items() if max(counts) > counts[0]] == [], asked


def names_typed(people: list[Patient], *, seed: int) -> list[str]:
    """What somebody may type of these people: whole, begun, with a piece from within."""
    chance = random.Random(seed)
    typed = ["crowd", "crowd.example", "33 6"]
    for person in chance.sample(people, 5):
        given, family = person.given_name, person.family_name
        typed += [family, family[:3], given, given[:3], f"{given[:2]} {family[:2]}", family[2:6], person.email[:3]]
    return typed


def test_first_of_very_many_are_found_without_ranking_all(cleo: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where few enough are found the first are those of the whole ranking; else they are found, and begin so first."""
    crowd(400, site=cleo.sites.get(), by=cleo)
    Patient.objects.filter(number__in=range(1, 400, 7)).update(status="moved_away")
    everybody = patients_visible_to(cleo)
    typed = names_typed(list(everybody), seed=4)
    whole = {query: list(ranked(search(everybody, query), query)[:8]) for query in typed}

    assert {query: likeliest(everybody, query, limit=8) for query in typed} == whole

    monkeypatch.setattr(queries, "RANKED_AT_MOST", 3)
    for query in typed:
        found = likeliest(everybody, query, limit=8)
        assert len(found) == len(whole[query]), query
        assert set(found) <= set(search(everybody, query))
        order = [(p.rank > 2, p.rank, p.away, p.search_key, p.number) for p in found]  # type: ignore[attr-defined]
        assert order == sorted(order)
        begins = search(everybody, query).filter(search_key__startswith=fold(query), status="active")
        if connection.vendor == "postgresql" and len(begins) >= 8:
            assert set(found) <= set(begins)


@pytest.mark.postgresql
def test_search_works_without_the_index_of_pieces_and_the_check_says_so(cleo: User, people: dict[str, Patient]) -> None:
    assert search_index.search_index_is_there(databases=["default"]) == []
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # an index cannot be made while rows wait to be checked
        cursor.execute(f"DROP INDEX {search_index.NAME}")

    (told,) = search_index.search_index_is_there(databases=["default"])
    assert (told.id, "CREATE EXTENSION pg_trgm" in str(told.hint)) == ("mesoclinic.W007", True)
    assert find_patients(cleo, "saint elodie").patients == (people["elodie"],)

    assert search_index.install(connection)
    assert search_index.search_index_is_there(databases=["default"]) == []


@pytest.mark.postgresql
def test_search_index_that_may_not_be_made_is_left_out(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        me = cursor.fetchone()[0]
        cursor.execute("DROP EXTENSION pg_trgm CASCADE")
        cursor.execute("CREATE ROLE clerk_of_the_search_test")
        cursor.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk_of_the_search_test")
        cursor.execute("SET ROLE clerk_of_the_search_test")
        made = search_index.install(connection)
        cursor.execute(f'SET ROLE "{me}"')
    assert made is False
    assert [told.id for told in search_index.search_index_is_there(databases=["default"])] == ["mesoclinic.W007"]


def test_search_key_keeps_phone_and_mail_behind_the_longest_name() -> None:
    longest = "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 80  # each folds to many letters
    key = search_key_of(
        given_name=longest,
        family_name=longest,
        birth_date=BORN,
        phone="0" * 40,
        email=f"{'a' * 242}@example.org",
        number=1,
    )
    assert key.endswith("@example.org 1991-03-12 p-00001")
    assert len(key) <= 1000 and len(key.encode()) <= 2600  # what a row of an index holds
