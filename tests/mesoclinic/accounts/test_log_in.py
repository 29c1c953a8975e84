from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.core.cache import cache
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django import Settings

from mesoclinic.accounts.access import THIRD_PARTY_VIEWS
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.models import AuditEvent
from tests import factories

SignIn = Callable[[User], Client]
LOG_IN = "/accounts/login/"


@pytest.fixture(autouse=True)
def _no_log_in_was_tried() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def log_in(person: User, password: str = factories.PASSWORD, client: Client | None = None) -> Client:
    client = client or Client()
    client.post(LOG_IN, {"login": person.email, "password": password})
    return client


def entered(client: Client) -> bool:
    return "_auth_user_id" in client.session


def events() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.order_by("id").values_list("action", "actor_label"))


def test_log_in_and_out_are_written_down(cleo: User) -> None:
    client = log_in(cleo)
    client.post("/accounts/logout/")

    assert not entered(client)
    assert events() == [("person.logged_in", "Cleo Petit"), ("person.logged_out", "Cleo Petit")]


def test_failed_log_in_is_written_down_without_what_was_typed(cleo: User) -> None:
    log_in(cleo, "wrong")
    Client().post(LOG_IN, {"login": "my-secret-password", "password": "cleo@clinic.example"})

    rows = list(AuditEvent.objects.order_by("id"))
    assert [(row.action, row.actor_label) for row in rows] == [("person.log_in_failed", "system")] * len(rows)
    assert rows[0].target_id == cleo.public_id
    assert "my-secret-password" not in "".join(str(row.__dict__) for row in rows)


def test_sixth_try_is_refused_even_with_the_right_password(cleo: User) -> None:
    for _try in range(5):
        log_in(cleo, "wrong")

    assert not entered(log_in(cleo))
    assert not entered(log_in(cleo, client=Client(REMOTE_ADDR="10.9.8.7")))


def test_email_address_is_matched_whatever_its_case(cleo: User) -> None:
    client = Client()
    client.post(LOG_IN, {"login": cleo.email.upper(), "password": factories.PASSWORD})

    assert entered(client)


@pytest.mark.parametrize(
    "path", ["/accounts/signup/", "/accounts/password/reset/", "/accounts/email/", "/accounts/social/"]
)
def test_nobody_signs_up_or_asks_for_a_password_by_mail(db: None, cleo: User, sign_in: SignIn, path: str) -> None:
    assert sign_in(cleo).get(path).status_code == 404


def test_third_party_views_are_the_ones_that_urls_name() -> None:
    for name in THIRD_PARTY_VIEWS:
        reverse(name)
    with pytest.raises(NoReverseMatch):
        reverse("account_signup")


@pytest.mark.parametrize("name", sorted(name for name in THIRD_PARTY_VIEWS if name not in ("account_logout",)))
def test_pages_of_the_log_in_show_in_our_own_frame(cleo: User, sign_in: SignIn, name: str) -> None:
    anybody = THIRD_PARTY_VIEWS[name].startswith("public")
    response = (Client() if anybody else sign_in(cleo)).get(reverse(name))

    assert response.status_code in (200, 302, 404)  # 404: there is no second factor to show or remove
    stranger = Client().get(reverse(name))
    assert anybody or stranger["Location"].startswith(LOG_IN)


def test_second_factor_is_asked_for_where_the_clinic_wants_it(cleo: User, sign_in: SignIn, settings: Settings) -> None:
    settings.REQUIRE_MFA = True
    client = sign_in(cleo)

    assert client.get("/messages/")["Location"] == reverse("mfa_activate_totp")
    assert client.get("/healthz").status_code == 200
    assert client.get("/api/v1/schema/").status_code == 403
    assert client.get("/messages/", headers={"HX-Request": "true"})["HX-Redirect"] == reverse("mfa_activate_totp")
    assert client.post("/accounts/logout/").status_code == 302


def test_second_factor_once_set_up_opens_the_door(cleo: User, settings: Settings) -> None:
    settings.REQUIRE_MFA = True
    secret = generate_totp_secret()
    TOTP.activate(cleo, secret)
    client = log_in(cleo)
    assert not entered(client)  # the password alone is not enough

    counter = next(iter(yield_hotp_counters_from_time()))
    client.post("/accounts/2fa/authenticate/", {"code": format_hotp_value(hotp_value(secret, counter))})

    assert entered(client)
    assert client.get("/messages/").status_code == 200


def test_second_factor_is_not_asked_for_by_default(cleo: User, sign_in: SignIn) -> None:
    assert sign_in(cleo).get("/messages/").status_code == 200


def test_site_chosen_is_one_of_ones_own(cleo: User, dan: User, sign_in: SignIn) -> None:
    basel = factories.site(name="Basel", time_zone="Europe/Zurich")
    cleo.sites.add(basel)
    client = sign_in(cleo)

    assert client.get("/messages/").wsgi_request.site == basel
    lyon = Site.objects.get(name="Lyon")
    response = client.post("/site/", {"site": str(lyon.public_id), "next": "/messages/?state=sent"})
    assert response["Location"] == "/messages/?state=sent"
    assert client.get("/messages/").wsgi_request.site == lyon

    client.post("/site/", {"site": str(dan.sites.get().public_id)})
    assert client.get("/messages/").wsgi_request.site == lyon


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_site_chosen_leads_nowhere_else(cleo: User, sign_in: SignIn, back: str) -> None:
    assert sign_in(cleo).post("/site/", {"site": "zzz", "next": back})["Location"] == "/"


def test_language_is_ones_own_choice(ben: User, cleo: User, sign_in: SignIn) -> None:
    client = sign_in(cleo)

    assert '<html lang="en"' in client.get("/messages/").content.decode()
    response = client.post("/language/", {"language": "fr", "next": "/messages/?state=sent"})
    assert response["Location"] == "/messages/?state=sent"

    page = client.get("/messages/").content.decode()
    assert '<html lang="fr"' in page
    assert re.search(r'value="fr" lang="fr" type="submit" aria-current="true">.*?Français</button>', page)
    assert User.objects.get(pk=ben.pk).language == "en"
    event = AuditEvent.objects.get(action="person.language_chosen")
    assert event.details == {"before": "en", "after": "fr"}


def test_language_that_the_product_does_not_speak_is_refused(cleo: User, sign_in: SignIn) -> None:
    response = sign_in(cleo).post("/language/", {"language": "xx"})

    assert response.status_code == 400
    assert "Choose one of the languages offered." in response.content.decode()
    assert User.objects.get(pk=cleo.pk).language == "en"
