"""Who may hold, release or send a message again, and in which state."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from mesoclinic.core.asking import asks
from mesoclinic.core.errors import InvalidTransition, NotAllowed
from mesoclinic.messaging.models import Message, MessageState


def check_can_undo(message: Message, *, by: User) -> None:
    if not by.may(Permission.MESSAGE_WRITE):
        raise NotAllowed(_("Your role does not allow this. Ask the medical director if it should."))
    if message.state == MessageState.SENT:
        raise InvalidTransition(_("This message was sent already; it cannot be called back."))
    if message.state != MessageState.HELD:
        raise InvalidTransition(_("Only a message that is still held can be undone."))


def check_can_retry(message: Message, *, by: User) -> None:
    if not by.may(Permission.MESSAGE_WRITE):
        raise NotAllowed(_("Your role does not allow this. Ask the medical director if it should."))
    if message.state != MessageState.FAILED:
        raise InvalidTransition(_("Only a message that failed can be sent again."))
    if message.useful_until and message.useful_until <= timezone.now():
        raise InvalidTransition(_("It is too late for this message; the time it was about has passed."))


can_undo = asks(check_can_undo)
can_retry = asks(check_can_retry)
