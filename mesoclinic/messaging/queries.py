"""Which messages a user may see. The platform knows no patient: settings name who decides."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from mesoclinic.accounts.models import User
from mesoclinic.messaging.models import Message, MessageState


def messages_visible_to(user: User) -> QuerySet[Message]:
    return Message.objects.filter(person_id__in=import_string(settings.PERSON_VISIBILITY)(user))


def messages_about(person_id: UUID) -> QuerySet[Message]:
    """Every message about one person, the newest first. Whoever asks has checked that the user may see the person."""
    return Message.objects.filter(person_id=person_id).defer("text", "html", "attachments")


def failed_messages_visible_to(user: User) -> QuerySet[Message]:
    return messages_visible_to(user).filter(state=MessageState.FAILED)
