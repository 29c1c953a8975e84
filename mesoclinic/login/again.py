"""What somebody sent after their log-in had ended: it waits in the session of their browser until they are back.

For pages without script; with it, a form does not leave its page (static/js/keep.js). Only the browser of somebody who
was signed in keeps anything, and only the same person gets it back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

SENT = "sent_again"  # in the session
WAS_HERE = "was_here"  # the signed cookie that names who was signed in last; signing out takes it away
MOST = 100_000  # characters
NOT_KEPT = ("csrfmiddlewaretoken", "password")


class SendAgainMiddleware(LoginRequiredMiddleware):
    """Django's own, which asks for a log-in, and what was sent is not lost by it."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        was_in = request.user.is_authenticated
        if was_in and request.method == "POST":
            sent = request.session.get(SENT)
            if sent and sent["path"] == request.get_full_path():
                del request.session[SENT]  # it is on its way
        response = cast(HttpResponse, self.get_response(request))
        if request.user.is_authenticated:
            who = str(request.user.public_id)
            if request.get_signed_cookie(WAS_HERE, default="") != who:
                response.set_signed_cookie(
                    WAS_HERE, who, httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
                )
        elif was_in:
            response.delete_cookie(WAS_HERE, samesite="Lax")
        return response

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> HttpResponseRedirect:
        """Ask for a log-in, and keep the form that came without one, where it came from a page of ours."""
        who = request.get_signed_cookie(WAS_HERE, default="")
        is_form = request.method == "POST" and request.content_type != "application/json" and not request.FILES
        quietly = request.headers.get("X-Autosave") or request.headers.get("HX-Request")
        if not who or not is_form or quietly:
            return super().handle_no_permission(request, view_func)
        fields = [
            [name, text.replace("\x00", "")]
            for name, texts in request.POST.lists()
            if not any(part in name for part in NOT_KEPT)
            for text in texts
        ]
        if sum(len(name) + len(text) for name, text in fields) > MOST:
            return super().handle_no_permission(request, view_func)
        request.session[SENT] = {"who": who, "path": request.get_full_path(), "fields": fields}
        return redirect_to_login(reverse("accounts:again"))
