"""Messages a second from row to server, recorded, beside a bare smtplib loop that sends the same bytes."""

from __future__ import annotations

import smtplib
import socket
import time
import uuid
from datetime import timedelta

from benchmarks._measuring import beside, sample_clinic

MESSAGES = 500


def main() -> None:
    from aiosmtpd.controller import Controller

    class Sink:
        async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802
            return "250 OK"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sink = Controller(Sink(), hostname="127.0.0.1", port=port)
    sink.start()
    try:
        with sample_clinic():
            measure(port)
    finally:
        sink.stop()


def measure(port: int) -> None:
    from django.conf import settings
    from django.core.mail import get_connection
    from django.utils import timezone

    from mesoclinic.accounts.models import Clinic
    from mesoclinic.messaging import delivery
    from mesoclinic.messaging.models import Message, MessageState

    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
        "django.core.mail.backends.smtp.EmailBackend",
        "127.0.0.1",
        port,
    )
    Clinic.objects.update(is_sample=False)  # a sample sends nothing
    Message.objects.exclude(state=MessageState.SENT).update(state=MessageState.CANCELLED)
    pattern = Message.objects.filter(purpose="booking").order_by("pk").first()
    assert pattern is not None
    copies = []
    for number in range(MESSAGES):
        copy = Message.objects.get(pk=pattern.pk)
        copy.pk, copy.public_id, copy.subject_id = None, uuid.uuid4(), uuid.uuid4()
        copy.message_id = f"<{number}@bench.example>"
        copy.state, copy.sent_at, copy.attempts = MessageState.QUEUED, None, 0
        copy.due_at, copy.useful_until = timezone.now() - timedelta(minutes=1), None
        copies.append(copy)
    Message.objects.bulk_create(copies)
    clinic = Clinic.objects.get()
    connection = get_connection()
    wire = [
        delivery.to_email(message, clinic, connection).message().as_bytes().replace(b"\n", b"\r\n")
        for message in Message.objects.filter(state=MessageState.QUEUED)
    ]
    began = time.perf_counter()
    counts = delivery.deliver_due()
    ours = MESSAGES / (time.perf_counter() - began)
    assert counts["sent"] == MESSAGES, counts
    began = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as server:
        for message in wire:
            server.sendmail("clinic@bench.example", ["patient@bench.example"], message)
    bare = MESSAGES / (time.perf_counter() - began)
    beside("rendered, sent and recorded, one worker", ours, "bare smtplib", bare, unit="/s")


if __name__ == "__main__":
    main()
