"""Whether a print is still current: what its QR code says, and what the public page answers."""

from __future__ import annotations

import base64
import binascii
import re
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

TOKEN = re.compile(r"([A-Za-z0-9_-]{22})([0-9a-f]{12})")


def print_token(subject_id: UUID, mark: str) -> str:
    """``mark``: 12 hexadecimal digits over all that would make the print out of date."""
    return base64.urlsafe_b64encode(subject_id.bytes).decode().rstrip("=") + mark


def state_of(token: str) -> str:
    """Return current, held, superseded, stopped, draft or unknown."""
    found = TOKEN.fullmatch(token)
    if found is None:
        return "unknown"
    try:
        subject_id = UUID(bytes=base64.urlsafe_b64decode(found[1] + "=="))
    except (ValueError, binascii.Error):
        return "unknown"
    return str(import_string(settings.PRINT_STATE_PROVIDER)(subject_id, found[2]))
