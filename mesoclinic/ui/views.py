"""The one view of the user interface itself."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that came with an old token: say what to do, not what a token is."""
    answer = render(request, "errors/csrf.html", {"reason": reason}, status=403)
    answer["X-Old-Token"] = "yes"  # the page's script takes a fresh one
    return answer
