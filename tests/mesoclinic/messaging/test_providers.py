"""A provider's API through Anymail, against a server of our own that speaks as Postmark does."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from mesoclinic.accounts.models import Clinic
from mesoclinic.core import env
from mesoclinic.messaging.models import Message
from mesoclinic.messaging.sending import delivery

Queue = Callable[..., Message]
SECRET = "known-to-both"
INACTIVE = (
    "You tried to send to recipients that have been marked as inactive.\n"
    "Found inactive addresses: teodor@example.org.\n"
    "Inactive recipients are ones that have generated a hard bounce, a spam complaint, or a manual suppression."
)


class Provider(ThreadingHTTPServer):
    """Keeps what it is sent and answers what the test wants."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[dict[str, Any]] = []
        self.status, self.answer = 200, {"ErrorCode": 0, "Message": "OK", "MessageID": "of-the-provider"}


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append({**body, "token": self.headers["X-Postmark-Server-Token"]})
        answer = json.dumps({"To": body["To"], **self.server.answer}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_said: object) -> None:
        pass


@pytest.fixture
def provider(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    server = Provider()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"anymail://postmark?server_token=abc&api_url=http://127.0.0.1:{server.server_port}/"
    monkeypatch.setenv("EMAIL_URL", url)
    found = env.email("EMAIL_URL")
    settings.EMAIL_BACKEND, settings.EMAIL_PROVIDER = found["EMAIL_BACKEND"], env.mail_provider("EMAIL_URL")
    settings.ANYMAIL = {**found["ANYMAIL"], "WEBHOOK_SECRET": f"mesoclinic:{SECRET}"}
    settings.BOUNCE_SECRET = SECRET
    yield server
    server.shutdown()
    server.server_close()


def test_letter_leaves_through_the_providers_api(queue: Queue, provider: Provider) -> None:
    message = queue(attachments=[{"name": "visit.ics", "type": "text/calendar; method=REQUEST", "text": "BEGIN"}])
    delivery.deliver_due()

    message.refresh_from_db()
    (got,) = provider.got
    assert (message.state, got["To"], got["token"]) == ("sent", "teodor@example.org", "abc")
    assert {"Name": "Message-ID", "Value": message.message_id} in got["Headers"]
    assert got["Metadata"] == {"message": str(message.public_id)}
    assert [file["Name"] for file in got["Attachments"]] == ["visit.ics"]
    assert base64.b64decode(got["Attachments"][0]["Content"]) == b"BEGIN"


@pytest.mark.parametrize(
    ("status", "code", "state", "failures"),
    [
        (422, 300, "failed", 1),  # the address can't be
        (422, 406, "failed", 1),  # it is on the provider's list of returned ones
        (401, 10, "queued", 1),  # our key
        (429, 0, "queued", 1),
        (500, 0, "queued", 1),
    ],
)
def test_providers_answer_decides(
    status: int, code: int, state: str, failures: int, queue: Queue, provider: Provider
) -> None:
    message = queue()
    provider.status, provider.answer = status, {"ErrorCode": code, "Message": INACTIVE}
    delivery.deliver_due()

    message.refresh_from_db()
    assert (message.state, message.failures) == (state, failures)
    assert message.last_error and "teodor@example.org" not in message.last_error


def test_no_mail_of_a_sample_clinic_reaches_the_provider(queue: Queue, provider: Provider) -> None:
    Clinic.objects.update(is_sample=True)
    message = queue()
    delivery.deliver_due()

    message.refresh_from_db()
    assert (message.state, provider.got) == ("sent", [])


# ------------------------------------------------------------------ returned mail


def tell(body: object, *, secret: str = SECRET) -> Any:
    signed = base64.b64encode(f"mesoclinic:{secret}".encode()).decode()
    return Client(enforce_csrf_checks=True).post(
        reverse("messaging:provider_events"),
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Basic {signed}"},
    )


def bounce_of(message: Message, kind: str = "HardBounce") -> dict[str, object]:
    return {
        "RecordType": "Bounce",
        "Type": kind,
        "MessageID": "of-the-provider",
        "Email": message.to_address,
        "Details": "550 5.1.1 no such user",
        "BouncedAt": "2026-11-22T08:00:00Z",
        "Metadata": {"message": str(message.public_id)},
    }


@pytest.fixture
def sent(queue: Queue) -> Message:
    message = queue()
    Message.objects.filter(pk=message.pk).update(state="sent", sent_at=timezone.now())
    return message


def test_bounce_of_the_provider_marks_the_message_once(sent: Message, provider: Provider) -> None:
    first, second = tell(bounce_of(sent)), tell(bounce_of(sent))

    assert (first.json(), second.json()) == ({"recorded": 1}, {"recorded": 0})
    sent.refresh_from_db()
    assert (sent.state, sent.last_error) == ("bounced", "550 5.1.1 no such user")


def test_what_is_no_bounce_changes_nothing(sent: Message, provider: Provider) -> None:
    assert tell(bounce_of(sent, kind="Transient")).json() == {"recorded": 0}
    assert tell({"RecordType": "Delivery", "MessageID": "x", "Recipient": "y@example.org"}).json() == {"recorded": 0}
    sent.refresh_from_db()
    assert sent.state == "sent"


def test_wrong_secret_no_secret_and_no_provider_are_not_there(
    sent: Message, provider: Provider, settings: Settings
) -> None:
    codes = [tell(bounce_of(sent), secret="another").status_code]
    codes.append(Client().post(reverse("messaging:provider_events"), b"{}", content_type="x/y").status_code)
    settings.EMAIL_PROVIDER = ""
    codes.append(tell(bounce_of(sent)).status_code)
    settings.EMAIL_PROVIDER, settings.BOUNCE_SECRET = "postmark", ""
    codes.append(tell(bounce_of(sent)).status_code)

    assert codes == [404] * 4
    sent.refresh_from_db()
    assert sent.state == "sent"


def test_nonsense_is_refused_and_a_first_look_is_answered(provider: Provider) -> None:
    assert tell("nonsense").status_code == 400
    assert Client().head(reverse("messaging:provider_events")).status_code == 200


# ------------------------------------------------------------------ the setting


@pytest.mark.parametrize("name", env.MAIL_PROVIDERS)
def test_every_provider_that_may_be_named_is_one_of_anymails(name: str, db: None) -> None:
    from anymail.urls import urlpatterns
    from django.utils.module_loading import import_string

    assert import_string(f"anymail.backends.{name}.EmailBackend")
    assert [entry for entry in urlpatterns if entry.name == f"{name}_tracking_webhook"]


@pytest.mark.parametrize(
    ("url", "said"),
    [("anymail://pigeon?API_KEY=x", "no mail provider is called “pigeon”"), ("anymail://brevo", "key is missing")],
)
def test_wrong_setting_says_what_to_do(url: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_URL", url)

    with pytest.raises(ImproperlyConfigured, match=said):
        env.email("EMAIL_URL")
