"""Say on the next page what was done, with Undo where it can be undone."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest

_UNDO = "undo:"


def show_toast(request: HttpRequest, text: Any, *, undo_url: str = "") -> None:
    """``text`` is a sentence about what is done. ``undo_url`` takes a POST that takes it back."""
    messages.success(request, text, extra_tags=_UNDO + undo_url if undo_url else "")


def undo_url(message: Any) -> str:
    tags = message.extra_tags or ""
    return tags[len(_UNDO) :] if tags.startswith(_UNDO) else ""
