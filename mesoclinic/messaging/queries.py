"""Which messages a user may see. The platform knows no patient: settings name who decides."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db.models import Case, DateTimeField, F, IntegerField, QuerySet, When
from django.utils.module_loading import import_string

from mesoclinic.accounts.models import User
from mesoclinic.messaging.models import Message, MessageState


def messages_visible_to(user: User) -> QuerySet[Message]:
    return Message.objects.filter(person_id__in=import_string(settings.PERSON_VISIBILITY)(user))


def in_order_of_need(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Failed ones first, then those that can still be undone, then what happened, the newest first; what waits is last,
    the next one first."""
    rank = Case(
        When(state=MessageState.FAILED, then=0),
        When(state=MessageState.HELD, then=1),
        When(state=MessageState.QUEUED, then=3),
        default=2,
        output_field=IntegerField(),
    )
    next_first = Case(When(state=MessageState.QUEUED, then=F("due_at")), output_field=DateTimeField())
    return messages.order_by(rank, next_first, "-due_at", "-id")


def messages_about(person_id: UUID) -> QuerySet[Message]:
    """Every message about one person, the newest first. Whoever asks has checked that the user may see the person."""
    return Message.objects.filter(person_id=person_id).defer("text", "html", "attachments")


def failed_messages_visible_to(user: User) -> QuerySet[Message]:
    return messages_visible_to(user).filter(state=MessageState.FAILED)
