"""What is sent after the log-in has ended is offered again to the same person, and to nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.login.again import MOST, SENT
from tests import factories
from tests.shown import as_typed

LOG_IN = "/accounts/login/"


def enter(client: Client, user: User) -> Any:
    return client.post(
        f"{LOG_IN}?next=/again/", {"login": user.email, "password": factories.PASSWORD, "next": "/again/"}
    )


@pytest.fixture
def away(cleo: User) -> Client:
    """Cleo's browser after her log-in has ended."""
    client = Client()
    client.post(LOG_IN, {"login": cleo.email, "password": factories.PASSWORD})
    client.get("/")
    del client.cookies[settings.SESSION_COOKIE_NAME]
    return client


def test_form_sent_after_the_log_in_ended_is_sent_again_with_one_press(away: Client, cleo: User) -> None:
    patient = factories.patient(by=cleo)
    url = reverse("patients:edit", args=[patient.public_id])
    other = Client()
    other.post(LOG_IN, {"login": cleo.email, "password": factories.PASSWORD})
    typed = as_typed(other.get(url)) | {"phone": "+33 6 12 34 56 78", "given_name": "Teodor <b>", "password": "secret"}

    assert away.post(url, typed)["Location"] == f"{LOG_IN}?next=/again/"
    patient.refresh_from_db()
    assert patient.phone == ""
    assert enter(away, cleo)["Location"] == "/again/"
    page = away.get("/again/").content.decode()
    assert "You were signed out while you sent this" in page and "secret" not in page
    assert "Teodor &lt;b&gt;" in page and f'action="{url}"' in page
    assert away.post(url, as_typed(away.get("/again/"))).status_code == 302
    patient.refresh_from_db()
    assert (patient.phone, patient.given_name) == ("+33 6 12 34 56 78", "Teodor <b>")
    assert away.get("/again/")["Location"] == "/"


def test_somebody_else_gets_nothing_of_it(away: Client, ada: User) -> None:
    away.post(reverse("patients:new"), {"given_name": "Unseen by others"})
    enter(away, ada)

    assert away.get("/again/")["Location"] == "/"
    assert SENT not in away.session


@pytest.mark.parametrize("how", ["a stranger", "a script", "too much", "signed out on purpose"])
def test_nothing_is_kept_of(how: str, away: Client, cleo: User) -> None:
    client, sent, headers = away, {"note": "What nobody keeps"}, {}
    if how == "a stranger":
        client = Client()
    elif how == "a script":
        headers = {"X-Autosave": "1"}
    elif how == "too much":
        sent = {"note": "x" * (MOST + 1)}
    else:
        enter(away, cleo)
        client.post("/accounts/logout/")
    answer = client.post(reverse("patients:new"), sent, headers=headers)

    assert answer["Location"] == f"{LOG_IN}?next=/patients/new/"
    assert SENT not in client.session


def test_dropping_it_forgets_it(away: Client, cleo: User) -> None:
    away.post(reverse("patients:new"), {"given_name": "Somebody new"})
    enter(away, cleo)
    assert away.get("/again/").status_code == 200

    assert away.post("/again/")["Location"] == "/"
    assert SENT not in away.session


def test_page_asks_who_is_here(cleo: User, sign_in) -> None:
    assert Client().get("/here/").json()["who"] == ""
    answer = sign_in(cleo).get("/here/")

    assert (answer.json()["who"], answer["Cache-Control"].count("no-store")) == (str(cleo.public_id), 1)


def test_cookie_names_the_form_that_was_taken_and_no_other(cleo: User, sign_in) -> None:
    """What the page's script then forgets: a form that was refused, or never arrived, stays kept."""
    client, name = sign_in(cleo), "0123456789abcdef01234567"
    patient = factories.patient(by=cleo)
    url = reverse("patients:edit", args=[patient.public_id])
    typed = as_typed(client.get(url)) | {"kept": name}

    assert "kept" not in client.post(url, typed | {"family_name": "", "given_name": ""}).cookies
    assert client.post(url, typed | {"phone": "+33 6 12 34 56 78"}).cookies["kept"].value == name
    assert "kept" not in client.post(url, typed | {"kept": "<script>"}).cookies
    assert "kept" not in Client().post(url, typed).cookies
