from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.messaging.actions import queue_message
from mesoclinic.messaging.models import Message


@pytest.fixture
def queue(cleo: User, person: UUID) -> Callable[..., Message]:
    """``queue(purpose="reminder_24h")``: one message, due a minute ago unless said otherwise."""

    def queued(**given: object) -> Message:
        fields: dict[str, object] = {
            "purpose": "booking",
            "subject_id": uuid.uuid4(),
            "person_id": person,
            "person_label": "Teodor Brandvold",
            "to_address": "teodor@example.org",
            "language": "en",
            "subject": "Your appointments",
            "text": "Dear Teodor, see you soon.",
            "html": "<p>Dear Teodor, see you soon.</p>",
            "due_at": timezone.now() - timedelta(minutes=1),
            "by": cleo,
        }
        return queue_message(**{**fields, **given})  # type: ignore[arg-type]

    return queued
