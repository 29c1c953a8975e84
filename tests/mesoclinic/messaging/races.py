"""Many workers at one outbox. As a script it makes its own SQLite file: one in memory has no races."""

from __future__ import annotations

import sys
import threading
import uuid
from collections import Counter
from datetime import timedelta

WORKERS, MESSAGES = 6, 240


def deliver_at_once() -> tuple[list[str], int, int]:
    """(failures, messages that were sent, the most copies of one)"""
    from django.core import mail
    from django.db import connections
    from django.utils import timezone

    from mesoclinic.messaging.actions import queue_message
    from mesoclinic.messaging.models import Message
    from mesoclinic.messaging.sending import delivery

    for number in range(MESSAGES):
        queue_message(
            purpose="reminder_24h",
            subject_id=uuid.uuid4(),
            person_id=uuid.uuid4(),
            person_label=f"Person {number}",
            to_address=f"person{number}@example.org",
            language="en",
            subject="Your appointment tomorrow",
            text="See you tomorrow.",
            html="<p>See you tomorrow.</p>",
            due_at=timezone.now() - timedelta(minutes=1),
            by=None,
        )
    mail.outbox = []
    failures: list[str] = []
    start = threading.Barrier(WORKERS)

    def work() -> None:
        try:
            start.wait()
            delivery.deliver_due()
        except Exception as failure:
            failures.append(repr(failure))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _worker in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    copies = Counter(sent.extra_headers["Message-ID"] for sent in mail.outbox)
    return failures, Message.objects.filter(state="sent").count(), max(copies.values(), default=0)


if __name__ == "__main__":
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    print(deliver_at_once())
    sys.exit(0)
