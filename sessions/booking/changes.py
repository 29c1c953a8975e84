"""Keeps what a press did to booked visits, so that it can be taken back for a while (``undo.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from mesoclinic.accounts.models import User
from sessions.models import Appointment, AppointmentStatus
from sessions.models.changes import ChangeKind, VisitBefore, VisitChange
from sessions.models.followups import Answer

UNDO_WITHIN = timedelta(minutes=30)  # after that it is booked or moved anew
_PLACE = (
    "starts_at",
    "ends_at",
    "practitioner_id",
    "room_id",
    "prepare_minutes",
    "cleanup_minutes",
    "window_reason",
    "overbooked",
    "overbook_reason",
    "overbook_note",
)
_KEPT = ("status", *_PLACE)


def as_they_were(visits: Sequence[Appointment]) -> list[Appointment]:
    """Return copies of the visits, to be taken before they are changed."""
    return [copy(visit) for visit in visits]


def keep_change(
    kind: ChangeKind,
    *,
    was: Sequence[Appointment],
    now: Sequence[Appointment],
    by: User | None,
    answer: Answer | None = None,
) -> VisitChange:
    """Write down how these visits were before, in the transaction that changed them.

    ``answer`` is the wish for another time that the change fulfilled.
    """
    change = VisitChange.objects.create(kind=kind, at=timezone.now(), by=by, answer=answer)
    left = {visit.pk: visit.sequence for visit in now}
    VisitBefore.objects.bulk_create(
        VisitBefore(
            change=change,
            appointment=visit,
            sequence=left[visit.pk],
            **{name: getattr(visit, name) for name in _KEPT},
        )
        for visit in was
    )
    return change


def put_as_it_was(visit: Appointment, row: VisitBefore) -> Appointment:
    """Return a copy of the visit as it was before the change, not written yet."""
    there = copy(visit)
    for name in _KEPT:
        setattr(there, name, getattr(row, name))
    return there


def write_place(visit: Appointment, *, was: AppointmentStatus | str, sequence: int, **more: Any) -> bool:
    """Write where a visit is now, one sequence on; return whether it still had this status and this sequence.

    ``more`` are further fields to write with it.
    """
    found = Appointment.objects.filter(pk=visit.pk, status=was, sequence=sequence)
    place = {name: getattr(visit, name) for name in _PLACE}
    return bool(found.update(**place, **more, sequence=F("sequence") + 1))


def open_change(visit: Appointment, *, now: datetime) -> VisitChange | None:
    """Return the newest change of a visit that may still be undone: not undone, not too old, and nothing came after."""
    row = (
        VisitBefore.objects.filter(appointment=visit, sequence=visit.sequence, change__undone_at__isnull=True)
        .filter(change__at__gt=now - UNDO_WITHIN)
        .select_related("change")
        .order_by("-change__at", "-pk")
        .first()
    )
    return row.change if row is not None else None
