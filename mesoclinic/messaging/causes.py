"""What a held message is about: not sending it leaves that as it is. ``settings.MESSAGE_CAUSE`` names who knows."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.utils.module_loading import import_string

from mesoclinic.accounts.models import User
from mesoclinic.messaging.models import Message


@dataclass(frozen=True, kw_only=True)
class LeftUndone:
    """What stays so, in a sentence; and the press that takes it back with the message, where there is one."""

    words: str
    label: str = ""
    url: str = ""
    fields: tuple[tuple[str, str], ...] = ()  # what the form sends
    post: bool = True  # False: a link to where it is dealt with


def left_undone(message: Message, *, user: User) -> LeftUndone | None:
    """Return what not sending this message would leave as it is; None where it was about nothing else."""
    found: LeftUndone | None = import_string(settings.MESSAGE_CAUSE)(message, user=user)
    return found
