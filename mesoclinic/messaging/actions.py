"""What may be done with a message. Sending it is in ``delivery.py``."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from mesoclinic.messaging.models import Message, MessageState, states_before
from mesoclinic.messaging.permissions import check_can_retry, check_can_undo

# Set by the product itself; a caller can't overrule them.
# Why, on the row of a message that was stopped and may come back.
WITHDRAWN = "This person is not written to any more."
UNWANTED = "This person does not want mails of this kind."
MAY_COME_BACK = (WITHDRAWN, UNWANTED)
_OWN_HEADERS = {"message-id", "date", "from", "to", "subject", "auto-submitted"}


@transaction.atomic
def queue_message(
    *,
    purpose: str,
    subject_id: UUID,
    person_id: UUID,
    person_label: str,
    to_address: str,
    language: str,
    subject: str,
    text: str,
    html: str,
    due_at: datetime,
    useful_until: datetime | None = None,
    attachments: Iterable[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    recipe: Mapping[str, Any] | None = None,
    version: int = 1,
    hold: bool = False,
    by: User | None,
) -> Message:
    """Put one message in the outbox, in the transaction of what caused it.

    The same purpose, subject and version give the same row, however often it is asked for. ``hold`` leaves time to
    undo.
    ``attachments`` are ``{"name", "type", "text"}``; a parameter in the type, as in ``text/calendar; method=REQUEST``,
    reaches the reader's calendar. ``recipe`` is what ``settings.MESSAGE_WRITER`` needs to write the message anew when
    what it was made from changes.
    """
    cause = {"purpose": purpose, "subject_id": subject_id, "version": version}
    if there := Message.objects.filter(**cause).first():
        return there
    try:
        validate_email(to_address)
    except ValidationError:
        raise InvalidInput(
            _("“%(address)s” is not an e-mail address.") % {"address": to_address}, field="email"
        ) from None
    extra = {name: " ".join(value.split()) for name, value in (headers or {}).items()}
    if refused := [name for name in extra if name.lower() in _OWN_HEADERS]:
        raise ValueError(f"These headers are set by the outbox itself: {refused}")
    files = [{"name": file["name"], "type": file["type"], "text": file["text"]} for file in attachments]
    now = timezone.now()
    message = Message(
        **cause,
        person_id=person_id,
        person_label=person_label[:200],
        to_address=to_address,
        language=language,
        subject=" ".join(subject.split())[:200],
        text=text,
        html=html,
        attachments=files,
        headers=extra,
        recipe=dict(recipe or {}),
        message_id=f"<{uuid.uuid4().hex}@{settings.MESSAGE_ID_DOMAIN}>",
        state=MessageState.HELD if hold else MessageState.QUEUED,
        due_at=max(due_at, now + settings.MESSAGE_HOLD) if hold else due_at,
        useful_until=useful_until,
    )
    try:
        with transaction.atomic():
            message.save(force_insert=True)
    except IntegrityError:  # the same cause at the same instant: theirs is the one
        return Message.objects.get(**cause)
    details: dict[str, Any] = {"purpose": purpose, "subject": str(subject_id), "due_at": message.due_at.isoformat()}
    trail.record("message.queued", by=by, target=message, patient=person_id, details=details)
    return message


@transaction.atomic
def cancel_messages(*, subject_id: UUID, purposes: Iterable[str] | None = None, by: User | None) -> int:
    """Cancel what has not left the house about one subject; the number of messages that this stopped.

    What was withdrawn before is off for good: it does not come back when its reader may be written to again.

    One that is on the wire at this instant can't be called back: its row becomes sent when the mail server takes it.
    """
    waiting = Message.objects.filter(
        subject_id=subject_id, state__in=states_before(MessageState.CANCELLED)
    ).select_for_update()
    withdrawn = Message.objects.filter(
        subject_id=subject_id, state=MessageState.CANCELLED, last_error__in=MAY_COME_BACK
    )
    if purposes is not None:
        waiting = waiting.filter(purpose__in=list(purposes))
        withdrawn = withdrawn.filter(purpose__in=list(purposes))
    withdrawn.update(last_error="")
    found = list(waiting.order_by("pk").values_list("pk", "public_id", "person_id"))
    count = Message.objects.filter(
        pk__in=[pk for pk, _public, _person in found], state__in=states_before(MessageState.CANCELLED)
    ).update(state=MessageState.CANCELLED, lease=None, leased_until=None)
    if count:
        trail.record(
            "messages.cancelled",
            by=by,
            patient=found[0][2],
            details={"subject": str(subject_id), "messages": [str(public) for _pk, public, _person in found]},
        )
    return count


@transaction.atomic
def undo_message(*, message: Message, by: User) -> Message:
    """Cancel a message while it is still held."""
    check_can_undo(message, by=by)
    held = Message.objects.filter(pk=message.pk, state=MessageState.HELD)
    if not held.update(state=MessageState.CANCELLED):
        raise InvalidTransition(_("This message left a moment ago; it cannot be called back."))
    trail.record("message.undone", by=by, target=message, patient=message.person_id)
    message.refresh_from_db()
    return message


@transaction.atomic
def retry_message(*, message: Message, by: User) -> Message:
    """Send a failed message again, at once and under the same Message-ID."""
    check_can_retry(message, by=by)
    failed = Message.objects.filter(pk=message.pk, state=MessageState.FAILED)
    if not failed.update(state=MessageState.QUEUED, due_at=timezone.now(), failures=0, attempts=0):
        raise InvalidTransition(_("Only a message that failed can be sent again."))
    trail.record("message.retried", by=by, target=message, patient=message.person_id)
    message.refresh_from_db()
    return message
