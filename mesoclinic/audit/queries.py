"""Which events a user may see, newest first."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from mesoclinic.audit.models import AuditEvent


def events_matching(
    *,
    actor: UUID | None = None,
    action: str = "",
    patient: UUID | None = None,
    target: UUID | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
) -> QuerySet[AuditEvent]:
    """Events, the newest first. ``action`` is a name or its beginning; days are those of the current time zone."""
    wanted = Q()
    if actor:
        wanted &= Q(actor_id=actor)
    if action:
        wanted &= Q(action__startswith=action)
    if patient:
        wanted &= Q(patient_id=patient)
    if target:
        wanted &= Q(target_id=target)
    if first_day:
        wanted &= Q(at__gte=_midnight(first_day))
    if last_day:
        wanted &= Q(at__lt=_midnight(last_day + timedelta(days=1)))
    return AuditEvent.objects.filter(wanted).order_by("-id")


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
