"""Messages a second from row to server, recorded, by one worker, beside a bare smtplib loop that sends the same bytes.

The rows are copies of the sample clinic's letters, kind by kind; the server is a process of its own that accepts all.
Then the same with ever more due rows, and what a tick costs that finds nothing due among as many.
"""

from __future__ import annotations

import argparse
import smtplib
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import cycle, islice
from statistics import median

from benchmarks._measuring import beside, sample_clinic

MESSAGES, ROUNDS = 1000, 3
GROWTH = (1_000, 10_000, 100_000)
SINK = """
import asyncio, sys
from aiosmtpd.smtp import SMTP

class Sink:
    async def handle_DATA(self, server, session, envelope):
        return "250 OK"

async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink(), hostname="sink"), "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def sink() -> Iterator[int]:
    """A mail server that throws everything away; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-c", SINK, str(port)])
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=GROWTH, help="due rows of the growth table")
    rows = parser.parse_args().rows
    with sink() as port, sample_clinic():
        from django.conf import settings

        from mesoclinic.accounts.models import Clinic

        settings.EMAIL_BACKEND = "mesoclinic.messaging.sending.backends.SmtpBackend"
        settings.MAIL_HOURS = (0, 24)  # it may be night
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        Clinic.objects.update(is_sample=False)  # a sample sends nothing
        ours, bare = [], []
        for _round in range(ROUNDS):
            begin_anew(due=MESSAGES)
            wire = on_the_wire()
            ours.append(deliver())
            bare.append(send_bare(port, wire))
        size = sum(map(len, wire)) / len(wire)
        print(f"  {MESSAGES} letters of {size:,.0f} bytes, {ROUNDS} rounds, {disk()}")
        beside("rendered, sent and recorded, one worker", median(ours), "bare smtplib", median(bare), unit="/s")
        for due in rows:
            growth(due)


def begin_anew(*, due: int, waiting: int = 0) -> None:
    """Leave the sample's letters alone and put so many due copies of them into the outbox, in their own mixture."""
    from django.db import connection
    from django.utils import timezone

    from mesoclinic.messaging.models import Message, MessageState

    Message.objects.filter(message_id__endswith="@bench.example>").delete()
    Message.objects.exclude(state=MessageState.SENT).update(state=MessageState.CANCELLED)
    now = timezone.now()
    patterns = cycle(list(Message.objects.order_by("pk")))
    made: list[Message] = []
    for number, pattern in enumerate(islice(patterns, due + waiting)):
        fields = {name: getattr(pattern, name) for name in _COPIED}
        made.append(
            Message(
                **fields,
                subject_id=uuid.uuid4(),
                message_id=f"<{uuid.uuid4().hex}@bench.example>",
                state=MessageState.QUEUED,
                due_at=now + timedelta(minutes=-1 if number < due else 60 + number),
                useful_until=now + timedelta(days=2),
            )
        )
        if len(made) == 2000:
            Message.objects.bulk_create(made)
            made.clear()
    Message.objects.bulk_create(made)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE messaging_message")


_COPIED = (
    *("purpose", "person_id", "person_label", "to_address", "language"),
    *("subject", "text", "html", "attachments", "headers"),
)


def on_the_wire() -> list[bytes]:
    from django.core.mail import get_connection

    from mesoclinic.accounts.models import Clinic
    from mesoclinic.messaging.models import Message, MessageState
    from mesoclinic.messaging.sending.wire import to_email

    clinic, connection = Clinic.objects.get(), get_connection()
    due = Message.objects.filter(state=MessageState.QUEUED)
    return [to_email(message, clinic, connection).message().as_bytes(linesep="\r\n") for message in due]


def deliver() -> float:
    """Letters a second of one run."""
    from mesoclinic.messaging.sending import delivery

    began = time.perf_counter()
    counts = delivery.deliver_due()
    taken = time.perf_counter() - began
    assert not counts["failed"] and not counts["postponed"], counts
    return counts["sent"] / taken


def send_bare(port: int, wire: list[bytes]) -> float:
    began = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as server:
        for letter in wire:
            server.sendmail("clinic@bench.example", ["patient@bench.example"], letter)
    return len(wire) / (time.perf_counter() - began)


def growth(rows: int) -> None:
    """One run, which sends up to 2,000, of so many due rows; and a tick that finds nothing due among as many."""
    from mesoclinic.messaging.models import Message, MessageState
    from mesoclinic.messaging.sending import delivery

    begin_anew(due=rows)
    rate = deliver()
    Message.objects.filter(state=MessageState.QUEUED).update(state=MessageState.CANCELLED)
    begin_anew(due=0, waiting=rows)
    ticks = []
    for _round in range(5):
        began = time.perf_counter()
        delivery.deliver_due()
        ticks.append(time.perf_counter() - began)
    print(
        f"  {rows:>7,} due rows {rate:>10,.0f} /s     a tick among {rows:>7,} not due {median(ticks) * 1000:>8.1f} ms"
    )


def disk() -> str:
    """What waiting for the disk costs here: most of the difference, where it is slow."""
    import os
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        taken = []
        for _round in range(20):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return f"fsync {median(taken) * 1000:.1f} ms"


if __name__ == "__main__":
    main()
