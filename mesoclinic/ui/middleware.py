"""Tells the page's script what arrived, so that it keeps what did not (static/js/keep.js)."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

COOKIE = "kept"
SECONDS = 600
_NAME = re.compile(r"[0-9a-f]{24}")


class KeptFormMiddleware:
    """Names in a cookie the form that its view has taken. It stands after the log-in: who is sent away sent nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if (name := getattr(request, "kept_form", "")) and response.status_code < 400:
            response.set_cookie(
                COOKIE, name, max_age=SECONDS, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE, httponly=False
            )
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: object, kwargs: object
    ) -> HttpResponse | None:
        """Remember the form's name: a view is only reached by who may send to it."""
        is_form = request.method == "POST" and not request.path.startswith("/api/")  # whose bodies are its own to read
        name = request.POST.get(COOKIE, "") if is_form else ""
        if _NAME.fullmatch(name):
            request.kept_form = name  # type: ignore[attr-defined]
        return None
