"""What the mail server gets to read: byte for byte what Django would write, and the same at every try."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from email import message_from_bytes, policy

import pytest
from django.core.mail import BadHeaderError, get_connection

from mesoclinic.accounts.models import Clinic
from mesoclinic.messaging.models import Message
from mesoclinic.messaging.sending.backends import DjangoSmtpBackend, SmtpBackend
from mesoclinic.messaging.sending.wire import Letter, to_email

Queue = Callable[..., Message]
INVITATION = {"name": "visit.ics", "type": "text/calendar; method=REQUEST", "text": "BEGIN:VCALENDAR\r\nÉ\r\n"}

CASES: dict[str, dict[str, object]] = {
    "plain": {"html": ""},
    "both": {},
    "accents": {"subject": "Votre rendez-vous à l’été", "text": "Ça va ?\n", "html": "<p>Ça va ?</p>\n"},
    "long subject": {"subject": "Your appointment in the small house behind the large lime trees " * 3},
    "long accented subject": {"subject": "Échéance prévue pour l’été à Besançon, où tout ira bien " * 3},
    "one file": {"attachments": [INVITATION]},
    "files": {"attachments": [INVITATION, {**INVITATION, "name": "deuxième visite.ics"}]},
    "file without html": {"html": "", "attachments": [INVITATION]},
    "headers": {
        "headers": {
            "List-Unsubscribe": "<https://clinic.example/a/" + "x" * 90 + "/stop/>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    },
    "long line": {"text": "word " * 400},
    "long accented line": {"html": "<p>" + "é" * 600 + "</p>"},
    "no line end": {"text": "Dear Teodor", "html": "<p>Dear Teodor</p>"},
    "lines of another system": {"text": "Dear Teodor,\r\nsee you soon.\r\n"},
    "lines that look special": {"text": "From here\n.\n..\n--\nFrom there\n"},
    "tab in a header": {"headers": {"X-Told": "one\ttwo"}},
}


def letter(message: Message) -> Letter:
    return to_email(message, Clinic.objects.first(), get_connection())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("linesep", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_letter_is_byte_for_byte_what_django_writes(case: dict[str, object], linesep: str, queue: Queue) -> None:
    email = letter(queue(**case))

    assert email.message().as_bytes(linesep=linesep) == email.parts.as_bytes(linesep=linesep)


def test_clinic_with_an_accent_is_named_as_sender(queue: Queue) -> None:
    Clinic.objects.update(name="Clinique de l’Été")
    message = queue()
    email = letter(message)
    read = message_from_bytes(email.message().as_bytes(linesep="\r\n"), policy=policy.default)

    assert email.message().as_bytes() == email.parts.as_bytes()
    assert read["From"] == "Clinique de l’Été <clinic@mesoclinic.example>"
    assert read["Message-ID"] == message.message_id
    assert read.get_body(("plain",)).get_content() == "Dear Teodor, see you soon."
    assert read.get_body(("html",)).get_content() == "<p>Dear Teodor, see you soon.</p>"


def test_every_try_carries_the_same_bytes(queue: Queue) -> None:
    message = queue(attachments=[INVITATION])

    assert len({letter(Message.objects.get(pk=message.pk)).message().as_bytes() for _try in range(3)}) == 1


def test_header_with_a_line_end_is_refused(queue: Queue) -> None:
    message = queue()
    message.subject = "Hello\nBcc: everybody@example.org"

    with pytest.raises(BadHeaderError):
        letter(message).message().as_bytes()


class Conversation:
    """What the backend says to the mail server."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []

    def sendmail(self, sender: str, *said: object) -> None:
        self.said.append((smtplib.quoteaddr(sender), *said))


@pytest.mark.parametrize("name", ["Clinique des Tilleuls", "Clinique de l’Été"])
@pytest.mark.parametrize("to", ["teodor@example.org", "o'hara@example.org", '"a b"@example.org', "ted@exämple.org"])
def test_our_backend_says_to_the_server_what_djangos_says(to: str, name: str, queue: Queue) -> None:
    Clinic.objects.update(name=name)
    message = queue()
    message.to_address = to
    told = []
    for backend in (SmtpBackend(), DjangoSmtpBackend()):
        backend.connection = conversation = Conversation()  # type: ignore[assignment]
        assert backend._send(letter(message)) is True  # type: ignore[union-attr]
        told += conversation.said

    assert told[0] == told[1]
