"""People of every kind of name: registered, found, sorted. What is true of a database is asked of both engines."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from django.test import Client
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput
from patients.actions.record import register_patient, update_patient
from patients.models import Patient
from patients.queries import patients_visible_to
from patients.search.duplicates import possible_duplicates
from patients.search.finding import find_patients, search
from patients.search.keys import fold_name, is_too_short

PERSIAN = "علی\u200cرضا"
SINHALA = "ශ්\u200dරී"

# key: given name, family name, family name first, as said, what finds it
PEOPLE = {
    "one name": ("", "Suharto", False, "Suharto", ["suharto", "Suh", "SU"]),
    "one name, given": ("Björk", "", False, "Björk", ["bjork", "Björk", "bj"]),
    "two letters": ("Mai", "Ng", False, "Mai Ng", ["ng", "Ng", "mai ng", "ng mai", "Ng, Mai"]),
    "both short": ("Bo", "Li", False, "Bo Li", ["li bo", "bo", "bo li"]),
    "two signs": ("伟", "王", False, "王伟", ["王伟", "王 伟", "王", "伟 王"]),
    "three syllables": ("민준", "김", False, "김민준", ["김민준", "김", "민준", "김 민준"]),
    "kana": ("さくら", "やまだ", False, "やまだ さくら", ["やまだ", "やまださくら", "さくら やまだ"]),
    "family first": ("Ágnes", "Szűcs", True, "Szűcs Ágnes", ["szucs agnes", "Ágnes Szűcs", "szűcs"]),
    "Vietnamese": ("Thị Minh", "Nguyễn", True, "Nguyễn Thị Minh", ["nguyen thi", "Nguyễn"]),
    "Persian": (PERSIAN, "کریمی", False, f"{PERSIAN} کریمی", [PERSIAN, "علیرضا", "علی رضا", "كريمي"]),
    "Sinhala": (SINHALA, "පෙරේරා", False, f"{SINHALA} පෙරේරා", [SINHALA, "ශ්රී", "පෙරේරා"]),
    "Hindi": ("किरण", "शर्मा", False, "किरण शर्मा", ["शर्मा", "किरण शर्मा", "शर्"]),
    "Thai": ("สมชาย", "ใจดี", False, "สมชาย ใจดี", ["สมชาย", "ใจดี"]),
    "Hebrew": ("שָׂרָה", "כהן", False, "שָׂרָה כהן", ["שרה", "כהן"]),
    "Greek": ("Έλλη", "Ώρα", False, "Έλλη Ώρα", ["ελλη", "ωρα"]),
    "accents": ("Zoë", "Łuć-Ørsted", False, "Zoë Łuć-Ørsted", ["zoe luc", "orsted"]),
}


def register(by: User, given: str, family: str, *, first: bool = False, email: str = "") -> Patient:
    return register_patient(
        given_name=given,
        family_name=family,
        family_name_first=first,
        birth_date=date(1991, 3, 12),
        sex_at_birth="female",
        email=email,
        phone="",
        language="en",
        contact_allowed=False,
        site=by.sites.get(),
        by=by,
    )


@pytest.fixture
def people(cleo: User) -> dict[str, Patient]:
    return {
        key: register(cleo, given, family, first=first) for key, (given, family, first, _said, _q) in PEOPLE.items()
    }


def test_everybody_is_said_and_found_by_every_way_of_writing(cleo: User, people: dict[str, Patient]) -> None:
    visible = patients_visible_to(cleo)
    for key, (_given, _family, _first, said, queries) in PEOPLE.items():
        assert people[key].name == unicodedata.normalize("NFC", said)
        for query in queries:
            for form in ("NFC", "NFD"):
                typed = unicodedata.normalize(form, query)
                assert not is_too_short(typed), typed
                assert people[key] in search(visible, typed), (key, form, typed)
                assert people[key] in find_patients(cleo, typed).patients, (key, form, typed)


def test_two_letters_find_beginnings_of_words_and_whole_names_first(cleo: User) -> None:
    short = register(cleo, "Mai", "Ng")
    longer = register(cleo, "Ada", "Nguyen")
    inside = register(cleo, "Hang", "Wang")
    assert list(find_patients(cleo, "ng").patients) == [short, longer]
    assert inside in search(patients_visible_to(cleo), "ang hang")


@pytest.mark.parametrize("query", ["n", "é", "e\u0301", "ع", "-", "\u200b\u200b\u200b"])
def test_one_letter_is_too_short(query: str) -> None:
    assert is_too_short(query)


def test_lists_are_sorted_by_family_name_and_one_name_stands_where_it_belongs(cleo: User) -> None:
    for given, family in (("Ada", "Tal"), ("", "Suharto"), ("Éva", "Sün"), ("伟", "王"), ("Zoé", "")):
        register(cleo, given, family)
    listed = [patient.listed_name for patient in patients_visible_to(cleo)]
    assert listed == ["Suharto", "Sün, Éva", "Tal, Ada", "Zoé", "王伟"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_same_name_in_either_form_is_a_possible_duplicate(cleo: User, form: str) -> None:
    kept = register(cleo, "Zoë", "Łópez")
    found = possible_duplicates(
        cleo, given_name=unicodedata.normalize(form, "Zoë"), family_name=unicodedata.normalize(form, "Łópez")
    )
    assert [duplicate.patient for duplicate in found] == [kept]


def test_same_single_name_and_birth_date_is_a_possible_duplicate(cleo: User) -> None:
    kept = register(cleo, "", "Suharto")
    found = possible_duplicates(cleo, given_name="Suharto", birth_date=date(1991, 3, 12))
    assert [duplicate.patient for duplicate in found] == [kept]


@pytest.mark.parametrize("fold_of", ["علی\u200cرضا", "علیرضا", "عليرضا"])
def test_fold_name_knows_one_letter_on_two_keyboards(fold_of: str) -> None:
    assert fold_name(fold_of) == "علیرضا"


def test_fold_name_keeps_vowel_signs() -> None:
    assert fold_name("किरण") == "किरण"


@pytest.mark.parametrize(
    ("given", "family", "field", "says"),
    [
        ("", "", "family_name", "one name only"),
        ("\u200b", "\u3164", "family_name", "one name only"),
        ("-", "Suharto", "given_name", "A name has a letter"),
        ("Ada", "\ue000", "family_name", "cannot be shown"),
        ("Ada" * 30, "Moreau", "given_name", "80 characters"),
    ],
)
def test_name_that_cannot_be_one_is_refused_beside_its_field(
    cleo: User, given: str, family: str, field: str, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says) as refusal:
        register(cleo, given, family)
    assert refusal.value.field == field


def test_update_may_take_one_of_two_names_and_not_both(cleo: User) -> None:
    patient = register(cleo, "Ada", "Moreau")
    update_patient(patient=patient, changes={"given_name": " "}, by=cleo)
    assert (patient.name, patient.listed_name) == ("Moreau", "Moreau")
    with pytest.raises(InvalidInput, match="one name only"):
        update_patient(patient=patient, changes={"family_name": "\u200b"}, by=cleo)


@pytest.mark.parametrize(
    ("given", "family", "said"),
    [("", "Suharto\u200b", "Suharto"), ("伟", "王", "王伟"), (f"\ufeff{PERSIAN}", "کریمی", f"{PERSIAN} کریمی")],
)
def test_registration_page_takes_names_of_every_kind(
    client: Client, cleo: User, given: str, family: str, said: str
) -> None:
    client.force_login(cleo)
    typed = {
        "given_name": given,
        "family_name": family,
        "birth_date": "1991-03-12",
        "sex_at_birth": "female",
        "email": "ada@example.org\u200b",
        "language": "en",
    }
    answer = client.post(reverse("patients:new"), typed)
    assert answer.status_code == 302, answer.content.decode()
    patient = Patient.objects.get()
    assert (patient.name, patient.email) == (said, "ada@example.org")
    page = client.get(reverse("patients:list"), {"q": family}).content.decode()
    assert patient.listed_name in page
