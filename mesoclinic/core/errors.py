"""Refusals that a person can act on, and the one place that turns them into HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.response import Response
from rest_framework.views import exception_handler


class DomainError(Exception):
    """A request that the clinic's rules refuse. Its text is a sentence for the person who asked.

    ``field`` names the input it belongs beside, where there is one.
    """

    status = 409
    as_json: Callable[[], dict[str, Any]] | None = None  # what the API answers, where it is more than a sentence

    def __init__(self, message: Any, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def __str__(self) -> str:
        return str(self.message)


class InvalidTransition(DomainError):
    """The row is no longer in the state that this change needs."""


class NotAllowed(DomainError):
    """The person may see it but may not do this."""

    status = 403


class InvalidInput(DomainError):
    """What was typed cannot be used; nothing was changed."""

    status = 400


class DomainErrorMiddleware:
    """Shows a refusal that no view handled as a page with its sentence, never as a crash."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DomainError):
            return None
        return render(request, "errors/refused.html", {"message": str(error)}, status=error.status)


def api_exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's handler, and refusals as ``{field or "detail": [sentence]}``."""
    if isinstance(error, DomainError):
        if error.as_json is not None:
            return Response(error.as_json(), status=error.status)
        return Response({error.field or "detail": [str(error)]}, status=error.status)
    if isinstance(error, PermissionDenied) and error.args:
        return Response({"detail": [str(error)]}, status=403)
    return exception_handler(error, context)
