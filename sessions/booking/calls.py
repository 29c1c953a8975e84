"""Calls about a visit that is held: what was agreed, by whom and when."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, NotAllowed
from patients.queries import is_seen_by
from protocols.models import StandingOverride
from sessions.models import Appointment, CallNote

NOTE_LENGTH = 500


@transaction.atomic
def note_call(*, appointment: Appointment, note: str, by: User) -> CallNote:
    """Keep what a call about a held visit agreed. It lifts nothing: what was said is settled by who signs plans."""
    if not by.may(Permission.BOOKING_WRITE) or not (
        appointment.site_id in by.site_ids or is_seen_by(appointment.patient, by)
    ):
        raise NotAllowed(_("Your role does not allow this."))
    note = " ".join(note.split())
    if not note:
        raise InvalidInput(_("Write what was agreed."), field="note")
    if len(note) > NOTE_LENGTH:
        raise InvalidInput(_("Shorten the note to %(length)d characters.") % {"length": NOTE_LENGTH}, field="note")
    call = CallNote.objects.create(appointment=appointment, note=note, by=by, at=timezone.now())
    trail.record("appointment.call_noted", by=by, target=appointment, patient=appointment.patient)
    return call


def last_calls(visits: Collection[int]) -> dict[int, str]:
    """Return by visit the last call about it in words; one query, none where there are no visits."""
    if not visits:
        return {}
    rows = (
        CallNote.objects.filter(appointment__in=visits).select_related("by", "appointment__site").order_by("at", "pk")
    )
    return {row.appointment_id: call_words(row) for row in rows}


def call_words(call: CallNote) -> str:
    at = call.at.astimezone(call.appointment.site.tz)
    return f"{at:%H:%M}, {call.by.name}: {call.note}"


def overrides_of(visit: Appointment) -> list[StandingOverride]:
    """Return what somebody who signs plans went on with at this visit although a stop stood, oldest first."""
    session = getattr(visit, "treatment_session", None)
    subjects = [visit.public_id, *([session.public_id] if session is not None else [])]
    if visit.number == 1:
        subjects.append(visit.course.public_id)
    return list(StandingOverride.objects.filter(subject_id__in=subjects).select_related("by"))
