"""Returned mail: signed, told once, and nothing else gets in."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mesoclinic.audit.models import AuditEvent
from mesoclinic.messaging.models import Message, MessageState

SECRET = "a secret that both sides know"


@pytest.fixture(autouse=True)
def _secret(settings) -> None:
    settings.BOUNCE_SECRET = SECRET


def tell(body: bytes, *, secret: str = SECRET):
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    client = Client(enforce_csrf_checks=True)
    return client.post(
        reverse("messaging:bounce"),
        body,
        content_type="application/json",
        headers={"X-Mesoclinic-Signature": signature},
    )


@pytest.fixture
def sent(queue) -> Message:
    message = queue()
    Message.objects.filter(pk=message.pk).update(state=MessageState.SENT, sent_at=timezone.now())
    return message


def about(message: Message, reason: str = "550 no such user") -> bytes:
    return json.dumps({"message_id": message.message_id, "reason": reason}).encode()


def test_signed_bounce_marks_the_message_once(sent) -> None:
    first, second = tell(about(sent)), tell(about(sent))

    assert (first.json(), second.json()) == ({"recorded": True}, {"recorded": False})
    sent.refresh_from_db()
    assert (sent.state, sent.last_error) == (MessageState.BOUNCED, "550 no such user")
    assert AuditEvent.objects.filter(action="message.bounced", patient_id=sent.person_id).count() == 1


def test_wrongly_signed_bounce_is_not_there(sent) -> None:
    for response in (
        tell(about(sent), secret="another"),
        Client().post(reverse("messaging:bounce"), about(sent), "x/y"),
    ):
        assert response.status_code == 404
    sent.refresh_from_db()
    assert sent.state == MessageState.SENT


def test_without_a_secret_the_door_is_closed(sent, settings) -> None:
    settings.BOUNCE_SECRET = ""

    assert tell(about(sent), secret="").status_code == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'"x"', b"\xff", b'{"message_id": null}'])
def test_body_that_says_nothing_changes_nothing(body, sent) -> None:
    assert tell(body).status_code in (200, 400)
    sent.refresh_from_db()
    assert sent.state == MessageState.SENT


def test_message_that_has_not_left_cannot_come_back(queue) -> None:
    message = queue()

    assert tell(about(message)).json() == {"recorded": False}
