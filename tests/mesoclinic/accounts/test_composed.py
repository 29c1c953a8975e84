"""The same letters typed on two machines: composed on one, letter and accent apart on the other."""

from __future__ import annotations

import unicodedata

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput
from mesoclinic.login.reauthentication import confirm_password
from tests import factories

PASSWORD = "Élève-Ñandú-한국-8842"
FORMS = ["NFC", "NFD"]


@pytest.fixture
def zoe(db: None) -> User:
    person = factories.user(given_name="Zoe", family_name="Łuć")
    person.email = "zoe@müller.example"
    person.save()
    return person


@pytest.mark.parametrize("set_in", FORMS)
@pytest.mark.parametrize("typed_in", FORMS)
def test_password_is_the_same_in_either_form(zoe: User, client: Client, set_in: str, typed_in: str) -> None:
    zoe.set_password(unicodedata.normalize(set_in, PASSWORD))
    zoe.save()
    typed = unicodedata.normalize(typed_in, PASSWORD)

    confirm_password(zoe, typed)  # signing
    email = unicodedata.normalize(typed_in, zoe.email).upper() + "\u200b"
    answer = client.post(reverse("account_login"), {"login": email, "password": typed})
    assert answer.status_code == 302, answer.content.decode()
    assert client.session["_auth_user_id"] == str(zoe.pk)


@pytest.mark.parametrize("kept_in", FORMS)
def test_password_kept_before_it_was_composed_still_works(zoe: User, kept_in: str) -> None:
    zoe.password = make_password(unicodedata.normalize(kept_in, PASSWORD))
    zoe.save()
    for form in FORMS:
        confirm_password(zoe, unicodedata.normalize(form, PASSWORD))


def test_password_without_its_accents_is_another_one(zoe: User) -> None:
    zoe.set_password(PASSWORD)
    with pytest.raises(InvalidInput, match="not your password"):
        confirm_password(zoe, "Eleve-Nandu-한국-8842")


def test_address_is_kept_composed_and_without_what_nobody_sees(db: None) -> None:
    email = "\ufeffZoe@" + unicodedata.normalize("NFD", "müller.example") + "\u200b"
    assert User.objects.create_user(email=email, given_name="Zoé", family_name="").email == "zoe@müller.example"
