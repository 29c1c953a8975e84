"""Puts the person's clinic, site, language and wall time on each request."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from mesoclinic.accounts.models import Clinic, Site

SITE_KEY = "site"


class ClinicRequest(HttpRequest):
    """What a view gets: Django's request with ``clinic`` and the chosen ``site``, one of the person's own."""

    clinic: Clinic | None
    site: Site | None


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
            request.site = next(
                (site for site in sites if str(site.public_id) == chosen), sites[0] if sites else None
            )
            translation.activate(request.user.language)
            request.LANGUAGE_CODE = request.user.language
        if request.site is None:
            return self.get_response(request)
        with timezone.override(request.site.tz):
            return self.get_response(request)
