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
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.module_loading import import_string

from mesoclinic.accounts.models import Clinic
from mesoclinic.messaging.models import Message, MessageState

log = logging.getLogger(__name__)

BATCH = 50
MOST_BATCHES = 40  # of one run; the next tick takes the rest
BACK_OFF = tuple(settings.MESSAGE_BACK_OFF * times for times in (1, 5, 30, 120, 360))  # minutes, as shipped
MOST_FAILURES = len(BACK_OFF) + 1
MOST_ATTEMPTS = 12  # a message during which the worker died so often is the reason why
SERVER_DOWN_WAIT = settings.MESSAGE_BACK_OFF
OUTBOX_ONLY = "mesoclinic.messaging.backends.OutboxOnlyBackend"

_WAITING = Q(state__in=[MessageState.HELD, MessageState.QUEUED])


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
    due = Message.objects.filter(_WAITING & Q(due_at__lte=now) | _lapsed(now)).exclude(useful_until__lte=now)
    with transaction.atomic():
        # Where the database can, two workers step round each other's rows instead of waiting for them.
        chosen = due.select_for_update(skip_locked=True).order_by("attempts", "due_at", "pk")[:batch]
        keys = list(chosen.values_list("pk", flat=True))
        return due.filter(pk__in=keys).update(
            state=MessageState.SENDING, lease=lease, leased_until=now + settings.MESSAGE_LEASE
        )


def begin(message: Message, lease: UUID) -> bool:
    """Ask the row just before sending, and write down that a try begins. False: it is not ours, or not wanted."""
    now = timezone.now()
    ours = Message.objects.filter(pk=message.pk, state=MessageState.SENDING, lease=lease)
    begun = ours.exclude(useful_until__lte=now).update(
        attempts=F("attempts") + 1,
        first_tried_at=Coalesce("first_tried_at", now),
        leased_until=now + settings.MESSAGE_LEASE,
    )
    if begun and message.first_tried_at is None:
        message.first_tried_at = now
    return bool(begun)


def stop_unwanted(batch: list[Message], lease: UUID) -> set[int]:
    """Cancel what its reader must not get any more: they died, left, or said no since it was written."""
    reasons: dict[int, str] = import_string(settings.MESSAGE_GATE)(batch)
    for pk, reason in reasons.items():
        Message.objects.filter(pk=pk, state=MessageState.SENDING, lease=lease).update(
            state=MessageState.CANCELLED, lease=None, leased_until=None, last_error=reason
        )
    return set(reasons)


def record_sent(message: Message, lease: UUID) -> None:
    now = timezone.now()
    done = {"state": MessageState.SENT, "sent_at": now, "lease": None, "leased_until": None, "last_error": ""}
    if Message.objects.filter(pk=message.pk, state=MessageState.SENDING, lease=lease).update(**done):
        return
    # Cancelled while it was on the wire: it did leave, and the row must say so.
    if Message.objects.filter(pk=message.pk, state=MessageState.CANCELLED).update(**done):
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


def _send_batch(lease: UUID, counts: dict[str, int]) -> None:
    clinic = Clinic.objects.first()
    connection = open_connection(clinic)
    try:
        held = Message.objects.filter(state=MessageState.SENDING, lease=lease)
        batch = list(held.order_by("attempts", "due_at", "pk"))
        stopped = stop_unwanted(batch, lease)
        for message in batch:
            if message.pk in stopped or not begin(message, lease):
                continue
            try:
                connection.send_messages([to_email(message, clinic, connection)])
            except (smtplib.SMTPException, OSError) as error:
                permanent = _is_permanent(error)
                state = record_failure(message, lease, reason=_sentence(error), permanent=permanent)
                counts["failed" if state == MessageState.FAILED else "postponed"] += 1
                if _hung_up(error):
                    connection = _reopen(connection, clinic)
            except Exception as error:
                # One message that can't be built must not keep the others from leaving.
                log.exception("message %s can't be built", message.public_id)
                record_failure(message, lease, reason=f"It could not be built: {error}", permanent=True)
                counts["failed"] += 1
            else:
                record_sent(message, lease)
                counts["sent"] += 1
    finally:
        _close(connection)


def open_connection(clinic: Clinic | None) -> BaseEmailBackend:
    """One connection to the mail server; for a clinic of invented data, one that leads nowhere."""
    backend = OUTBOX_ONLY if clinic is not None and clinic.is_sample else settings.EMAIL_BACKEND
    connection = get_connection(backend)
    try:
        connection.open()
    except (smtplib.SMTPException, OSError) as error:
        raise ServerDown(f"The mail server can't be reached: {_sentence(error)}") from error
    return connection


def _close(connection: BaseEmailBackend) -> None:
    try:
        connection.close()
    except (smtplib.SMTPException, OSError) as error:
        log.info("the mail server hung up: %s", error)


def _reopen(connection: BaseEmailBackend, clinic: Clinic | None) -> BaseEmailBackend:
    _close(connection)
    return open_connection(clinic)


def to_email(message: Message, clinic: Clinic | None, connection: BaseEmailBackend) -> EmailMultiAlternatives:
    """The row as an e-mail: the same Message-ID and Date in every try."""
    sender = formataddr((clinic.name, settings.DEFAULT_FROM_EMAIL)) if clinic else settings.DEFAULT_FROM_EMAIL
    email = EmailMultiAlternatives(
        subject=message.subject,
        body=message.text,
        from_email=sender,
        to=[message.to_address],
        connection=connection,
        headers={
            **message.headers,
            "Message-ID": message.message_id,
            "Date": format_datetime(message.first_tried_at or message.created_at),
            "Auto-Submitted": "auto-generated",
            "Content-Language": message.language,
        },
    )
    if message.html:
        email.attach_alternative(message.html, "text/html")
    for file in message.attachments:
        email.attach(_attachment(file))
    return email


def _attachment(file: dict[str, str]) -> MIMEText:
    kind, *parameters = [part.strip() for part in file["type"].split(";")]
    part = MIMEText(file["text"], kind.partition("/")[2], "utf-8")
    for parameter in parameters:
        name, _equals, value = parameter.partition("=")
        if name.lower() != "charset":
            part.set_param(name, value.strip('"'))
    part.add_header("Content-Disposition", "attachment", filename=file["name"])
    return part


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
    return isinstance(error, smtplib.SMTPResponseException) and 500 <= error.smtp_code < 600


def _sentence(error: Exception) -> str:
    """What the server said, without the recipient's address."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return f"{code} {_words(text)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_words(error.smtp_error)}"
    return str(error) or type(error).__name__


def _words(text: bytes | str) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)
