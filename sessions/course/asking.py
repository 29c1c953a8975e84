"""Where a day's questions are answered before a session, and whether this person may be sent there."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from sessions.models import Appointment, AppointmentStatus


def ask_url(visit: Appointment, *, user: User, now: datetime, back: str) -> str:
    """Where “anything changed?” is asked before this visit, to come back; empty on another day or for who may not."""
    waits = visit.status in AppointmentStatus.COMING and visit.patient.is_in_care
    tz = visit.site.tz
    if not (waits and visit.starts_at.astimezone(tz).date() == now.astimezone(tz).date()):
        return ""
    if not user.may(Permission.INTAKE_WRITE):
        return ""
    return f"{reverse('patients:day_check', args=[visit.patient.public_id])}?{urlencode({'next': back})}"
