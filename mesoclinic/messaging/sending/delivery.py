"""Sends what is due. Any number of workers may run this at once; the row decides, not the broker.

A worker claims rows by one conditional update and holds them under a lease. Just before each message it asks the row
once more, so that a message that was cancelled or taken over meanwhile is left alone; the result is written only while
the lease is still its own. What may repeat after a crash is written down in docs/reference/messages.md.
"""

from __future__ import annotations

import logging
import smtplib
import uuid
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection as database
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.module_loading import import_string

from mesoclinic.accounts.models import Clinic
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.renewal import refresh_claimed
from mesoclinic.messaging.sending import providers
from mesoclinic.messaging.sending.commits import not_waiting_for_the_disk
from mesoclinic.messaging.sending.wire import to_email

log = logging.getLogger(__name__)

BATCH = 50
MOST_BATCHES = 40  # of one run; the next tick takes the rest
BACK_OFF = tuple(settings.MESSAGE_BACK_OFF * times for times in (1, 5, 30, 120, 360))  # minutes, as shipped
MOST_FAILURES = len(BACK_OFF) + 1
MOST_ATTEMPTS = 12  # a message during which the worker died so often is the reason why
SERVER_DOWN_WAIT = settings.MESSAGE_BACK_OFF
OUTBOX_ONLY = "mesoclinic.messaging.sending.backends.OutboxOnlyBackend"

_WAITING = Q(state__in=MessageState.TO_LEAVE)


class ServerDown(Exception):
    """The mail server can't be reached or refuses our log-in: no fault of any message."""


def deliver_due() -> dict[str, int]:
    """Send every message that is due, in batches, each over one connection. How many ended how."""
    counts = {"sent": 0, "postponed": 0, "failed": 0, "expired": expire_late()}
    give_up_on_crashers()
    for _batch in range(MOST_BATCHES):
        lease = uuid.uuid4()
        if not claim(lease):
            break
        try:
            _send_batch(lease, counts)
        except ServerDown as error:
            log.warning("mail server unreachable: %s", error)
            counts["postponed"] += release(lease, reason=str(error))
            break
    if any(counts.values()):
        log.info("outbox: %s", " ".join(f"{name}={count}" for name, count in counts.items()))
    return counts


def _lapsed(now: datetime) -> Q:
    return Q(state=MessageState.SENDING, leased_until__lte=now)


def expire_late() -> int:
    """What nobody needs any more is not sent."""
    now = timezone.now()
    return Message.objects.filter(_WAITING | _lapsed(now), useful_until__lte=now).update(
        state=MessageState.EXPIRED, lease=None, leased_until=None
    )


def give_up_on_crashers() -> int:
    return Message.objects.filter(_lapsed(timezone.now()), attempts__gte=MOST_ATTEMPTS).update(
        state=MessageState.FAILED,
        lease=None,
        leased_until=None,
        last_error="The sender stopped each time while this message was being sent.",
    )


def claim(lease: UUID, *, batch: int = BATCH) -> int:
    """Take up to ``batch`` due messages under ``lease``: those tried least first, then by when they were due."""
    now = timezone.now()
    useful = Message.objects.exclude(useful_until__lte=now)
    ready = Q(due_at__lte=now)
    # Asked in two, since each is answered from the index, however long the queue is. Most are fresh.
    fresh = useful.filter(ready, state=MessageState.QUEUED, attempts=0)
    others = useful.filter(
        ready & (Q(state=MessageState.HELD) | Q(state=MessageState.QUEUED, attempts__gt=0)) | _lapsed(now)
    )
    order = ("attempts", "due_at", "pk")
    with transaction.atomic():
        found: list[tuple[int, datetime, int]] = []
        for kind in (fresh, others):
            # Where the database can, two workers step round each other's rows instead of waiting for them.
            rows = kind.select_for_update(skip_locked=True).order_by(*order)
            found += rows.values_list(*order)[:batch]
        keys = [pk for _attempts, _due_at, pk in sorted(found)[:batch]]
        if not keys:
            return 0
        still = useful.filter(_WAITING & ready | _lapsed(now), pk__in=keys)
        return still.update(state=MessageState.SENDING, lease=lease, leased_until=now + settings.MESSAGE_LEASE)


# The two statements of each letter. The ORM would need longer to put them together than the letter to be sent.
_BEGIN = """
    UPDATE messaging_message
    SET attempts = attempts + 1, first_tried_at = COALESCE(first_tried_at, %s), leased_until = %s
    WHERE id = %s AND state = 'sending' AND lease = %s AND (useful_until IS NULL OR useful_until > %s)
"""
_SENT = """
    UPDATE messaging_message
    SET state = 'sent', sent_at = %s, lease = NULL, leased_until = NULL, last_error = ''
    WHERE id = %s AND state = 'sending' AND lease = %s
"""


def _execute(statement: str, *values: object) -> bool:
    """Whether it changed a row."""
    adapted = [_adapted(value) for value in values]
    with database.cursor() as cursor:
        cursor.execute(statement, adapted)
        return bool(cursor.rowcount)


def _adapted(value: object) -> Any:
    if isinstance(value, datetime):
        return database.ops.adapt_datetimefield_value(value)
    if isinstance(value, UUID):
        return Message._meta.get_field("lease").get_db_prep_value(value, database)
    return value


def begin(message: Message, lease: UUID) -> bool:
    """Ask the row just before sending, and write down that a try begins. False: it is not ours, or not wanted."""
    now = timezone.now()
    begun = _execute(_BEGIN, now, now + settings.MESSAGE_LEASE, message.pk, lease, now)
    if begun and message.first_tried_at is None:
        message.first_tried_at = now
    return begun


def stop_unwanted(batch: list[Message], lease: UUID) -> set[int]:
    """Cancel what its reader must not get any more: they died, left, or said no since it was written."""
    reasons: dict[int, str] = import_string(settings.MESSAGE_GATE)(batch)
    for pk, reason in reasons.items():
        Message.objects.filter(pk=pk, state=MessageState.SENDING, lease=lease).update(
            state=MessageState.CANCELLED, lease=None, leased_until=None, last_error=reason
        )
    return set(reasons)


def put_off(batch: list[Message], lease: UUID, counts: dict[str, int]) -> set[int]:
    """Let wait for the morning what must not arrive in the night, and what is held back for as long as it is.

    What would be too late by then is not sent.
    """
    quiet: dict[int, datetime] = import_string(settings.MESSAGE_QUIET)(batch)
    until = {pk: (at, "") for pk, at in quiet.items()}
    rest = [message for message in batch if message.pk not in until]
    until |= import_string(settings.MESSAGE_HELD_BACK)(rest)
    for message in batch:
        if message.pk not in until:
            continue
        at, why = until[message.pk]
        too_late = message.useful_until is not None and message.useful_until <= at
        outcome: dict[str, Any] = (
            {"state": MessageState.EXPIRED} if too_late else {"state": MessageState.QUEUED, "due_at": at}
        ) | ({"last_error": why} if why else {})
        ours = Message.objects.filter(pk=message.pk, state=MessageState.SENDING, lease=lease)
        if ours.update(**outcome, lease=None, leased_until=None):
            counts["expired" if too_late else "postponed"] += 1
    return set(until)


def record_sent(message: Message, lease: UUID) -> None:
    now = timezone.now()
    if _execute(_SENT, now, message.pk, lease):
        return
    # Cancelled while it was on the wire: it did leave, and the row must say so.
    if Message.objects.filter(pk=message.pk, state=MessageState.CANCELLED).update(
        state=MessageState.SENT, sent_at=now, last_error=""
    ):
        return
    log.warning("message %s was sent after its lease had run out; it may repeat", message.public_id)


def record_failure(message: Message, lease: UUID, *, reason: str, permanent: bool) -> MessageState:
    """Back to the queue after a while, or to the failed ones, where a person sees it."""
    failures = message.failures + 1
    final = permanent or failures >= MOST_FAILURES
    state = MessageState.FAILED if final else MessageState.QUEUED
    wait = timedelta() if final else BACK_OFF[failures - 1]
    Message.objects.filter(pk=message.pk, state=MessageState.SENDING, lease=lease).update(
        state=state,
        failures=failures,
        due_at=F("due_at") if final else timezone.now() + wait,
        lease=None,
        leased_until=None,
        last_error=reason[:500],
    )
    return state


def release(lease: UUID, *, reason: str) -> int:
    """Put back what this lease still holds. Nothing was tried, so nothing counts as a failure."""
    return Message.objects.filter(state=MessageState.SENDING, lease=lease).update(
        state=MessageState.QUEUED,
        due_at=timezone.now() + SERVER_DOWN_WAIT,
        lease=None,
        leased_until=None,
        last_error=reason[:500],
    )


# ------------------------------------------------------------------ the wire


class Ledger:
    """Writes down what became of each letter, before the next one begins.

    That one was accepted and that the next begins is one commit. So a worker that dies leaves at most one letter that
    was accepted and is not recorded.
    """

    def __init__(self, lease: UUID) -> None:
        self.lease = lease
        self.accepted: Message | None = None

    def begin(self, message: Message) -> bool:
        with transaction.atomic():
            if self.accepted is not None:
                record_sent(self.accepted, self.lease)
            begun = begin(message, self.lease)
        self.accepted = None
        return begun

    def settle(self) -> None:
        """Write down the last one."""
        if self.accepted is not None:
            record_sent(self.accepted, self.lease)
            self.accepted = None


def _send_batch(lease: UUID, counts: dict[str, int]) -> None:
    clinic = Clinic.objects.first()
    connection = open_connection(clinic)
    try:
        held = Message.objects.filter(state=MessageState.SENDING, lease=lease)
        batch = list(held.order_by("attempts", "due_at", "pk"))
        stopped = stop_unwanted(batch, lease)
        stopped |= put_off([message for message in batch if message.pk not in stopped], lease, counts)
        refresh_claimed([message for message in batch if message.pk not in stopped], lease)
        ledger = Ledger(lease)
        try:
            with not_waiting_for_the_disk():
                for message in batch:
                    if message.pk in stopped or not ledger.begin(message):
                        continue
                    try:
                        connection.send_messages([to_email(message, clinic, connection)])
                    except (smtplib.SMTPException, OSError) as error:
                        permanent = _is_permanent(error)
                        reason = _sentence(error, message)
                        state = record_failure(message, lease, reason=reason, permanent=permanent)
                        counts["failed" if state == MessageState.FAILED else "postponed"] += 1
                        if _hung_up(error):
                            connection = _reopen(connection, clinic)
                    except Exception as error:
                        # One message that can't be built must not keep the others from leaving.
                        log.exception("message %s can't be built", message.public_id)
                        told = _sentence(error, message)
                        reason = told if providers.is_from_provider(error) else f"It could not be built: {told}"
                        record_failure(message, lease, reason=reason, permanent=True)
                        counts["failed"] += 1
                    else:
                        ledger.accepted = message
                        counts["sent"] += 1
        finally:
            ledger.settle()
    finally:
        _close(connection)


def open_connection(clinic: Clinic | None) -> BaseEmailBackend:
    """One connection to the mail server; for a clinic of invented data, one that leads nowhere."""
    backend = OUTBOX_ONLY if clinic is not None and clinic.is_sample else settings.EMAIL_BACKEND
    try:
        connection = get_connection(backend)
        connection.open()
    except (smtplib.SMTPException, OSError) as error:
        raise ServerDown(f"The mail server can't be reached: {_sentence(error)}") from error
    except ImproperlyConfigured as error:
        raise ServerDown(f"Mail is not set up: {error}") from error
    return connection


def _close(connection: BaseEmailBackend) -> None:
    try:
        connection.close()
    except (smtplib.SMTPException, OSError) as error:
        log.info("the mail server hung up: %s", error)


def _reopen(connection: BaseEmailBackend, clinic: Clinic | None) -> BaseEmailBackend:
    _close(connection)
    return open_connection(clinic)


def _hung_up(error: Exception) -> bool:
    """Whether the connection is of no more use. (Every error of smtplib is an OSError too.)"""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code == 421
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return any(code == 421 for code, _text in error.recipients.values())
    return True


def _is_permanent(error: Exception) -> bool:
    """A 5xx answer to this message. A refused sender or log-in is the clinic's set-up, not the message."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(500 <= code < 600 for code, _text in error.recipients.values())
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPAuthenticationError):
        return False
    if isinstance(error, smtplib.SMTPResponseException):
        return 500 <= error.smtp_code < 600
    return providers.is_refusal_for_good(error)


def _sentence(error: Exception, message: Message | None = None) -> str:
    """What the server said, without the recipient's address."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return f"{code} {_words(text)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_words(error.smtp_error)}"
    if message is not None and providers.is_from_provider(error):
        return providers.sentence_of(error, about=message.to_address)
    return str(error) or type(error).__name__


def _words(text: bytes | str) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)
