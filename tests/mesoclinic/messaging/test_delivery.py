from __future__ import annotations

import smtplib
import uuid
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend as LocmemBackend
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from mesoclinic.accounts.models import Clinic, User
from mesoclinic.messaging import tasks
from mesoclinic.messaging.actions import cancel_messages
from mesoclinic.messaging.models import Message
from mesoclinic.messaging.sending import delivery

Queue = Callable[..., Message]


class Server(LocmemBackend):
    """A mail server that answers what the test wants; ``opened`` counts its connections."""

    answers: list[Exception | Callable[[], object] | None] = []
    refuses_connection: Exception | None = None
    opened = 0

    def open(self) -> bool:
        if Server.refuses_connection:
            raise Server.refuses_connection
        Server.opened += 1
        return True

    def send_messages(self, messages: Any) -> int:
        answer = Server.answers.pop(0) if Server.answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer:
            answer()
        return super().send_messages(messages)


@pytest.fixture
def server(settings: Settings) -> type[Server]:
    settings.EMAIL_BACKEND = "tests.mesoclinic.messaging.test_delivery.Server"
    Server.answers, Server.refuses_connection, Server.opened = [], None, 0
    return Server


def refused(code: int) -> smtplib.SMTPRecipientsRefused:
    return smtplib.SMTPRecipientsRefused({"teodor@example.org": (code, b"no such person")})


def test_deliver_due_sends_what_is_due_and_nothing_else(queue: Queue) -> None:
    now = timezone.now()
    due, held = queue(), queue(hold=True, due_at=now)
    later = queue(due_at=now + timedelta(hours=1))

    tasks.deliver_due()

    due.refresh_from_db()
    assert [sent.extra_headers["Message-ID"] for sent in mail.outbox] == [due.message_id]
    assert (due.state, due.attempts, due.lease) == ("sent", 1, None)
    assert due.sent_at and due.sent_at >= now
    states = dict(Message.objects.values_list("pk", "state"))
    assert (states[held.pk], states[later.pk]) == ("held", "queued")


def test_deliver_due_sends_a_held_one_when_its_hold_ends(queue: Queue) -> None:
    queue(hold=True)
    Message.objects.update(due_at=timezone.now())

    assert delivery.deliver_due()["sent"] == 1


def test_deliver_due_twice_sends_once(queue: Queue) -> None:
    queue()

    delivery.deliver_due()
    delivery.deliver_due()

    assert len(mail.outbox) == 1


def test_deliver_due_takes_many_batches_over_one_connection_each(queue: Queue, server: type[Server]) -> None:
    for _number in range(delivery.BATCH * 2 + 1):
        queue()

    assert delivery.deliver_due()["sent"] == 101
    assert server.opened == 3


def test_deliver_due_of_nothing_costs_four_statements(db: None) -> None:
    with CaptureQueriesContext(connection) as asked:
        delivery.deliver_due()

    statements = [query["sql"] for query in asked if not query["sql"].startswith(("BEGIN", "SAVEPOINT", "RELEASE"))]
    assert len(statements) == 4  # expire, give up, look for fresh ones and for others


def test_message_on_the_wire_has_both_forms_and_stable_headers(queue: Queue) -> None:
    clinic = Clinic.objects.get()
    message = queue(
        headers={"List-Unsubscribe": "<https://clinic.example/u>"},
        attachments=[{"name": "visit.ics", "type": "text/calendar; method=REQUEST", "text": "BEGIN:VCALENDAR\r\nÉ"}],
    )

    delivery.deliver_due()

    sent = mail.outbox[0].message()
    message.refresh_from_db()
    assert sent["Message-ID"] == message.message_id
    assert sent["Auto-Submitted"] == "auto-generated"
    assert sent["List-Unsubscribe"] == "<https://clinic.example/u>"
    assert sent["From"] == f"{clinic.name} <clinic@mesoclinic.example>"
    assert [part.get_content_type() for part in sent.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
    ]
    calendar = list(sent.walk())[-1]
    assert calendar.get_param("method") == "REQUEST"
    assert calendar.get_filename() == "visit.ics"
    assert calendar.get_payload(decode=True) == "BEGIN:VCALENDAR\r\nÉ".encode()


def test_message_keeps_its_id_and_date_through_every_try(queue: Queue, server: type[Server]) -> None:
    message = queue()
    server.answers = [smtplib.SMTPServerDisconnected("gone"), refused(450)]
    seen = []
    for _try in range(3):
        delivery.deliver_due()
        message.refresh_from_db()
        seen.append((message.message_id, message.first_tried_at))
        Message.objects.filter(state="queued").update(due_at=timezone.now())

    assert len(set(seen)) == 1
    assert message.state == "sent" and message.first_tried_at
    assert mail.outbox[0].extra_headers["Date"] == format_datetime(message.first_tried_at)


def test_refused_for_now_comes_again_with_growing_gaps_and_ends_failed(queue: Queue, server: type[Server]) -> None:
    message = queue()
    gaps = []
    for _try in range(6):
        server.answers = [refused(451)]
        before = timezone.now()
        delivery.deliver_due()
        message.refresh_from_db()
        gaps.append(round((message.due_at - before).total_seconds() / 60))
        if message.state == "queued":
            Message.objects.update(due_at=timezone.now())

    assert gaps[:5] == [1, 5, 30, 120, 360]
    assert (message.state, message.attempts, message.last_error) == ("failed", 6, "451 no such person")
    assert message.lease is None
    assert delivery.deliver_due()["sent"] == 0


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (refused(550), "failed", "550 no such person"),
        (refused(450), "queued", "450 no such person"),
        (smtplib.SMTPDataError(554, b"refused as spam"), "failed", "554 refused as spam"),
        (smtplib.SMTPDataError(452, b"disk full"), "queued", "452 disk full"),
        (smtplib.SMTPSenderRefused(550, b"who are you", "clinic@x"), "queued", "550 who are you"),
        (smtplib.SMTPServerDisconnected("it hung up"), "queued", "it hung up"),
        (TimeoutError("timed out"), "queued", "timed out"),
        (ValueError("cannot be encoded"), "failed", "It could not be built: cannot be encoded"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_answer_of_the_server_decides(
    queue: Queue, server: type[Server], answer: Exception, state: str, said: str
) -> None:
    message = queue()
    server.answers = [answer]

    delivery.deliver_due()

    message.refresh_from_db()
    assert (message.state, message.last_error) == (state, said)


def test_one_bad_message_does_not_keep_the_others(queue: Queue, server: type[Server]) -> None:
    first, second, third = queue(), queue(), queue()
    server.answers = [smtplib.SMTPServerDisconnected("gone"), refused(550)]

    delivery.deliver_due()

    states = dict(Message.objects.values_list("pk", "state"))
    assert (states[first.pk], states[second.pk], states[third.pk]) == ("queued", "failed", "sent")
    assert server.opened == 2  # the one that hung up was opened anew


def test_unreachable_server_costs_no_message_a_try(queue: Queue, server: type[Server]) -> None:
    message = queue()
    server.refuses_connection = ConnectionRefusedError("connection refused")

    counts = delivery.deliver_due()

    message.refresh_from_db()
    assert counts == {"sent": 0, "postponed": 1, "failed": 0, "expired": 0}
    assert (message.state, message.attempts, message.failures, message.lease) == ("queued", 0, 0, None)
    assert message.last_error == "The mail server can't be reached: connection refused"
    assert message.due_at > timezone.now()


def test_late_message_expires_and_is_never_sent(queue: Queue) -> None:
    message = queue(useful_until=timezone.now() - timedelta(seconds=1))

    counts = delivery.deliver_due()

    message.refresh_from_db()
    assert (message.state, counts["expired"], mail.outbox) == ("expired", 1, [])


def test_message_that_becomes_late_in_its_batch_is_not_sent(queue: Queue, server: type[Server]) -> None:
    queue()
    late = queue(useful_until=timezone.now() + timedelta(hours=1))
    server.answers = [lambda: Message.objects.filter(pk=late.pk).update(useful_until=timezone.now())]

    assert delivery.deliver_due()["sent"] == 1
    Message.objects.filter(pk=late.pk).update(leased_until=timezone.now())
    assert delivery.deliver_due()["expired"] == 1


def test_message_cancelled_in_its_batch_is_not_sent(queue: Queue, server: type[Server], cleo: User) -> None:
    queue()
    second = queue()
    server.answers = [lambda: cancel_messages(subject_id=second.subject_id, by=cleo)]

    assert delivery.deliver_due()["sent"] == 1
    second.refresh_from_db()
    assert (second.state, second.attempts) == ("cancelled", 0)


def test_message_cancelled_on_the_wire_says_that_it_left(queue: Queue, server: type[Server], cleo: User) -> None:
    message = queue()
    server.answers = [lambda: cancel_messages(subject_id=message.subject_id, by=cleo)]

    delivery.deliver_due()

    message.refresh_from_db()
    assert message.state == "sent"


def test_message_cancelled_on_the_wire_and_refused_stays_cancelled(
    queue: Queue, server: type[Server], cleo: User
) -> None:
    message = queue()

    def cancel_and_refuse() -> None:
        cancel_messages(subject_id=message.subject_id, by=cleo)
        raise refused(450)

    server.answers = [cancel_and_refuse]
    delivery.deliver_due()

    message.refresh_from_db()
    assert message.state == "cancelled"


def test_letter_is_recorded_before_the_next_one_leaves(queue: Queue, server: type[Server]) -> None:
    first, second, third = (queue() for _letter in range(3))
    seen = []

    def look() -> None:
        seen.append(dict(Message.objects.values_list("pk", "state")))

    server.answers = [look, look, look]
    delivery.deliver_due()

    assert seen == [
        {first.pk: "sending", second.pk: "sending", third.pk: "sending"},
        {first.pk: "sent", second.pk: "sending", third.pk: "sending"},
        {first.pk: "sent", second.pk: "sent", third.pk: "sending"},
    ]
    assert list(Message.objects.order_by("pk").values_list("state", "attempts")) == [("sent", 1)] * 3


def test_letter_that_left_is_recorded_though_the_next_one_breaks_the_run(queue: Queue, server: type[Server]) -> None:
    first, second = queue(), queue()

    def stop() -> None:
        raise KeyboardInterrupt

    server.answers = [None, stop]
    with pytest.raises(KeyboardInterrupt):
        delivery.deliver_due()

    states = dict(Message.objects.values_list("pk", "state"))
    assert (states[first.pk], states[second.pk]) == ("sent", "sending")


def test_claim_leaves_a_live_lease_alone_and_takes_a_lapsed_one(queue: Queue) -> None:
    message = queue()
    dead, other = uuid.uuid4(), uuid.uuid4()
    assert delivery.claim(dead) == 1
    assert delivery.claim(other) == 0

    Message.objects.update(leased_until=timezone.now())

    assert delivery.claim(other) == 1
    assert not delivery.begin(message, dead)
    assert delivery.begin(message, other)


def test_result_is_recorded_only_under_its_own_lease(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    message = queue()
    dead, other = uuid.uuid4(), uuid.uuid4()
    delivery.claim(dead)
    Message.objects.update(leased_until=timezone.now())
    delivery.claim(other)

    delivery.record_failure(message, dead, reason="late news", permanent=True)
    delivery.record_sent(message, dead)

    message.refresh_from_db()
    assert (message.state, message.lease, message.last_error) == ("sending", other, "")
    assert "may repeat" in caplog.text


def test_message_during_which_the_worker_dies_each_time_ends_failed(queue: Queue) -> None:
    message = queue()
    for _crash in range(delivery.MOST_ATTEMPTS):
        lease = uuid.uuid4()
        assert delivery.claim(lease) == 1
        assert delivery.begin(message, lease)
        Message.objects.update(leased_until=timezone.now())

    assert delivery.deliver_due()["sent"] == 0
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("failed", 12)


def test_message_that_was_never_begun_survives_any_number_of_crashes(queue: Queue) -> None:
    queue()
    for _crash in range(40):
        assert delivery.claim(uuid.uuid4()) == 1
        Message.objects.update(leased_until=timezone.now())

    assert delivery.deliver_due()["sent"] == 1


def test_claim_takes_those_tried_least_first(queue: Queue) -> None:
    old = queue(due_at=timezone.now() - timedelta(hours=2))
    Message.objects.filter(pk=old.pk).update(attempts=1)
    fresh = queue()
    lease = uuid.uuid4()

    delivery.claim(lease, batch=1)

    assert Message.objects.get(lease=lease).pk == fresh.pk


def test_sample_clinic_keeps_its_mail_and_calls_it_sent(queue: Queue, server: type[Server]) -> None:
    Clinic.objects.update(is_sample=True)
    message = queue()

    delivery.deliver_due()

    message.refresh_from_db()
    assert (message.state, mail.outbox, server.opened) == ("sent", [], 0)


def test_without_a_mail_server_mail_is_kept_and_called_sent(queue: Queue, settings: Settings) -> None:
    settings.EMAIL_BACKEND = delivery.OUTBOX_ONLY
    message = queue()

    delivery.deliver_due()

    message.refresh_from_db()
    assert (message.state, mail.outbox) == ("sent", [])
