"""Which messages a user may see. The platform knows no patient: settings name who decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.module_loading import import_string

from mesoclinic.accounts.models import User
from mesoclinic.messaging.models import Message, MessageState


def messages_visible_to(user: User) -> QuerySet[Message]:
    return Message.objects.filter(person_id__in=import_string(settings.PERSON_VISIBILITY)(user))


SO_FAR, TO_COME, EVERYTHING = "", "to_come", "all"  # which part of the time a list shows


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which messages somebody looks for. ``part``: one of the above, or a state."""

    part: str = SO_FAR
    kind: str = ""
    language: str = ""
    query: str = ""


def messages_found(user: User, wanted: Wanted, *, now: datetime) -> QuerySet[Message]:
    """Those that ``user`` may see and looks for, in the order of time: what was, the newest first; what is to come, the
    next one first."""
    found = messages_visible_to(user)
    later = Q(state=MessageState.QUEUED, due_at__gt=now)
    if wanted.part == TO_COME:
        found = found.filter(later)
    elif wanted.part in MessageState.values:
        found = found.filter(state=wanted.part)
    elif wanted.part == SO_FAR:
        found = found.exclude(later | Q(state__in=[MessageState.CANCELLED, MessageState.EXPIRED], due_at__gt=now))
    if wanted.kind:
        found = found.filter(purpose=wanted.kind)
    if wanted.language:
        found = found.filter(language=wanted.language)
    if wanted.query:
        about = Q(person_label__icontains=wanted.query) | Q(to_address__icontains=wanted.query)
        people = import_string(settings.PERSON_SEARCH)(user, wanted.query)
        if people is not None:
            about |= Q(person_id__in=people)
        found = found.filter(about | Q(subject__icontains=wanted.query))
    at = Coalesce("sent_at", "due_at")
    soonest = wanted.part in (TO_COME, MessageState.QUEUED)
    return found.order_by(at.asc() if soonest else at.desc(), "id" if soonest else "-id")


def messages_about(person_id: UUID) -> QuerySet[Message]:
    """Every message about one person, the newest first. Whoever asks has checked that the user may see the person."""
    return Message.objects.filter(person_id=person_id).defer("text", "html", "attachments")


def failed_messages_visible_to(user: User) -> QuerySet[Message]:
    return messages_visible_to(user).filter(state=MessageState.FAILED)
