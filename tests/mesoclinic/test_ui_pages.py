"""The frame of every page, the way in, and the pages that say no."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path, reverse

from mesoclinic.accounts.access import public, signed_in
from mesoclinic.accounts.models import Clinic, Site, User
from mesoclinic.core.errors import InvalidTransition
from mesoclinic.ui import toasts
from mesoclinic.urls import urlpatterns as the_real_ones
from tests import factories

EVIL = "<img src=x onerror=alert(1)>"


@signed_in
def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied("Only Dora may.")


@signed_in
def refused(request: HttpRequest) -> HttpResponse:
    raise InvalidTransition(f"Already signed {EVIL}")


@signed_in
def told(request: HttpRequest) -> HttpResponse:
    toasts.show_toast(request, f"Booked {EVIL}", undo_url="/undo/")
    return HttpResponse()


@public("a fault to look at")
def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret detail")


urlpatterns = [
    path("forbidden/", forbidden),
    path("refused/", refused),
    path("told/", told),
    path("broken/", broken),
    *the_real_ones,
]
in_these_urls = pytest.mark.urls(__name__)


def test_sign_in_page_names_the_clinic_and_takes_no_inline_code(client: Client, lyon: Site) -> None:
    answer = client.get(reverse("account_login"))

    html = answer.content.decode()
    assert "<title>Sign in · Clinique des Tilleuls</title>" in html
    assert "'unsafe" not in answer.headers["Content-Security-Policy"]
    assert re.findall(r"<script(?![^>]*src=)", html) == []


def test_wrong_password_keeps_the_address_and_says_so(client: Client, ada: User) -> None:
    answer = client.post(reverse("account_login"), {"login": ada.email, "password": "wrong"})

    html = answer.content.decode()
    assert f'value="{ada.email}"' in html
    assert 'role="alert"' in html


@pytest.mark.parametrize(
    "name", ["mfa_index", "usersessions_list", "account_change_password", "account_logout", "account_reauthenticate"]
)
def test_own_account_pages_have_the_product_frame(sign_in, ada: User, name: str) -> None:
    html = sign_in(ada).get(reverse(name)).content.decode()

    assert html.count("<main") == 1
    assert html.count("<h1") == 1
    assert "mesoclinic" in html


def test_second_factor_can_be_set_up_on_these_pages(client: Client, ada: User) -> None:
    from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time

    client.post(reverse("account_login"), {"login": ada.email, "password": factories.PASSWORD})
    asked = client.get(reverse("mfa_activate_totp"), follow=True)
    assert "Confirm that it is you" in asked.content.decode()
    onwards = {"password": factories.PASSWORD, "next": reverse("mfa_activate_totp")}
    page = client.post(reverse("account_reauthenticate"), onwards, follow=True).content.decode()
    secret = re.search(r'class="mc-secret">([A-Z2-7]+)<', page)
    assert secret

    counter = next(iter(yield_hotp_counters_from_time()))
    code = format_hotp_value(hotp_value(secret[1], counter))
    answer = client.post(reverse("mfa_activate_totp"), {"code": code}, follow=True)

    html = answer.content.decode()
    assert answer.redirect_chain[-1][0] == reverse("mfa_view_recovery_codes")
    assert len(re.findall(r"<li><code>[\d\w]+</code></li>", html)) == 10


@in_these_urls
def test_forbidden_page_tells_the_reason_and_a_next_step(sign_in, ada: User) -> None:
    answer = sign_in(ada).get("/forbidden/", headers={"referer": "http://testserver/patients/"})

    html = answer.content.decode()
    assert answer.status_code == 403
    assert "Only Dora may." in html
    assert 'href="http://testserver/patients/"' in html
    assert 'href="/"' in html


@in_these_urls
@pytest.mark.parametrize(
    "referer", ["https://elsewhere.example/", "javascript:alert(1)", "http://testserver/forbidden/"]
)
def test_the_way_back_leads_only_to_our_own_pages(sign_in, ada: User, referer: str) -> None:
    html = sign_in(ada).get("/forbidden/", headers={"referer": referer}).content.decode()

    assert "Back to where you were" not in html


@in_these_urls
def test_refusal_is_a_page_with_its_sentence_escaped(sign_in, ada: User) -> None:
    answer = sign_in(ada).get("/refused/")

    html = answer.content.decode()
    assert answer.status_code == 409
    assert "Already signed &lt;img" in html
    assert EVIL not in html


@in_these_urls
@pytest.mark.parametrize("url", ["/forbidden/", "/refused/"])
def test_refusal_of_an_htmx_request_is_one_note(sign_in, ada: User, url: str) -> None:
    html = sign_in(ada).get(url, headers={"HX-Request": "true"}).content.decode()

    assert "<html" not in html
    assert html.strip().startswith('<div class="mc-note mc-note-danger" role="alert">')


def test_missing_page_offers_the_search(sign_in, ada: User) -> None:
    answer = sign_in(ada).get("/nothing/of/the/kind/")

    assert answer.status_code == 404
    assert f'href="{reverse("patients:list")}"' in answer.content.decode()


@pytest.mark.django_db
def test_missing_page_shows_a_stranger_no_navigation(client: Client) -> None:
    html = client.get("/nothing/of/the/kind/").content.decode()

    assert "mc-nav" not in html


@in_these_urls
@pytest.mark.django_db
def test_fault_tells_nothing_of_itself() -> None:
    answer = Client(raise_request_exception=False).get("/broken/")

    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()
    assert "secret" not in answer.content.decode()


def test_old_token_is_told_what_to_do(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)

    answer = strict.post(reverse("account_login"), {"login": ada.email, "password": "x"})

    assert answer.status_code == 403
    assert "Please send it again" in answer.content.decode()


@in_these_urls
def test_toast_offers_undo_as_a_post(sign_in, ada: User) -> None:
    client = sign_in(ada)
    client.get("/told/")

    html = client.get(reverse("mfa_index")).content.decode()

    assert '<form method="post" action="/undo/">' in html
    assert "Booked &lt;img" in html


@pytest.mark.parametrize("chosen", ["dark", "light"])
def test_chosen_theme_is_rendered_by_the_server(sign_in, ada: User, chosen: str) -> None:
    client = sign_in(ada)
    client.cookies["theme"] = chosen

    assert f'<html lang="en" data-bs-theme="{chosen}">' in client.get(reverse("mfa_index")).content.decode()


@pytest.mark.parametrize("chosen", ["", '"><script>', "blue"])
def test_other_themes_are_not_rendered(sign_in, ada: User, chosen: str) -> None:
    client = sign_in(ada)
    client.cookies["theme"] = chosen

    assert '<html lang="en">' in client.get(reverse("mfa_index")).content.decode()


def test_sample_clinic_says_so_on_each_page(sign_in, ada: User) -> None:
    words = "Sample clinic, invented data. Nothing is mailed."
    client = sign_in(ada)
    assert words not in client.get(reverse("mfa_index")).content.decode()

    Clinic.objects.update(is_sample=True)

    assert words in client.get(reverse("mfa_index")).content.decode()
    assert words in Client().get(reverse("account_login")).content.decode()


def _places(html: str) -> list[str]:
    [nav] = re.findall(r'<nav class="mc-nav".*?</nav>', html, re.DOTALL)
    return re.findall(r"<a [^>]*>([^<]+)</a>", nav)


def test_navigation_offers_what_one_may(sign_in, ada: User, dora: User) -> None:
    assert _places(sign_in(ada).get(reverse("mfa_index")).content.decode()) == [
        "Today",
        "Calendar",
        "Patients",
        "Formulary",
        "Messages",
        "Inbox",
    ]
    assert _places(sign_in(dora).get(reverse("mfa_index")).content.decode())[-1] == "Audit"


def test_site_is_chosen_only_among_ones_own(sign_in, ada: User) -> None:
    client = sign_in(ada)
    factories.site(name="Annecy")
    assert 'name="site"' not in client.get(reverse("mfa_index")).content.decode()

    ada.sites.add(factories.site(name="Villeurbanne"))

    html = client.get(reverse("mfa_index")).content.decode()
    assert "Villeurbanne" in html
    assert "Annecy" not in html


def test_context_gives_a_boolean_for_each_permission(ada: User) -> None:
    from mesoclinic.accounts.access import Permission
    from mesoclinic.ui.context import page

    request = RequestFactory().get("/")
    request.user = ada

    may = page(request)["may"]

    assert set(may) == {permission.value.replace(".", "_") for permission in Permission}
    assert may["plan_sign"] is True
    assert may["audit_read"] is False
