"""Puts the person's clinic, site, language and wall time on each request."""

from __future__ import annotations

from collections.abc import Callable

from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from mesoclinic.accounts.models import Clinic, Site, User

SITE_KEY = "site"


class ClinicRequest(HttpRequest):
    """What a view gets: Django's request with its person, the ``clinic``, and the chosen ``site``, one of their own."""

    clinic: Clinic | None
    htmx: HtmxDetails
    site: Site | None  # type: ignore[assignment]  # Django's own sites framework claims the name and is not installed
    user: User  # views that anybody may open take Django's HttpRequest instead


class ClinicMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: ClinicRequest) -> HttpResponse:
        request.clinic = None
        request.site = None
        if request.user.is_authenticated:
            request.clinic = Clinic.objects.first()
            sites = list(request.user.sites.all())
            chosen = request.session.get(SITE_KEY)
            request.site = next((site for site in sites if str(site.public_id) == chosen), sites[0] if sites else None)
            translation.activate(request.user.language)
            request.LANGUAGE_CODE = request.user.language
        if request.site is None:
            return self.get_response(request)
        with timezone.override(request.site.tz):
            return self.get_response(request)


class SecondFactorMiddleware:
    """Where MESOCLINIC_REQUIRE_MFA is set, staff without a second factor can only set one up, or log out."""

    ALLOWED = frozenset(
        {
            "mfa_activate_totp",
            "mfa_reauthenticate",
            "account_reauthenticate",
            "account_logout",
            "account_change_password",
            "healthz",
        }
    )

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: object, kwargs: object
    ) -> HttpResponse | None:
        if not settings.REQUIRE_MFA or not request.user.is_authenticated:
            return None
        name = request.resolver_match.view_name if request.resolver_match else ""
        if name in self.ALLOWED or get_mfa_adapter().is_mfa_enabled(request.user, [Authenticator.Type.TOTP]):
            return None
        if request.path.startswith("/api/"):
            return JsonResponse({"detail": _("Set up a second factor first.")}, status=403)
        if request.htmx:  # type: ignore[attr-defined]
            return HttpResponseClientRedirect(reverse("mfa_activate_totp"))
        return redirect("mfa_activate_totp")
