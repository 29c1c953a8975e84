"""What every page needs: who is signed in, where, and what the navigation may offer."""

from typing import Any

from django.http import HttpRequest


def page(request: HttpRequest) -> dict[str, Any]:
    return {"clinic": getattr(request, "clinic", None), "site": getattr(request, "site", None)}
