"""Undo of what was done to visits; where it is refused, the nearest times instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import User
from mesoclinic.core.errors import DomainError
from mesoclinic.ui.toasts import show_toast
from patients.record.strip import patient_strip
from sessions.booking.changes import open_change, put_as_it_was
from sessions.booking.holes import times_for
from sessions.booking.overbook import clashes_of
from sessions.booking.undo import undo_change, undone_words
from sessions.models import Appointment, AppointmentStatus, Course
from sessions.models.changes import ChangeKind, VisitChange
from sessions.permissions import check_can_move
from sessions.planner import Slot
from sessions.queries import appointments_visible_to
from sessions.times.refusals import AlreadyTaken
from sessions.times.words import slot_value, weekday_and_time


def undo_url_of(visit: Appointment) -> str:
    """Where the last change of a visit is taken back; empty where it cannot be any more."""
    change = open_change(visit, now=timezone.now())
    return reverse("sessions:change_undo", args=[change.public_id]) if change is not None else ""


def booking_undo_url(course: Course, numbers: Iterable[int]) -> str:
    """Where sessions that were booked a moment ago are cancelled again, and no others."""
    query = urlencode({"n": list(numbers), "undo": "1"}, doseq=True)
    return f"{reverse('sessions:course_cancel', args=[course.public_id])}?{query}"


@requires(Permission.BOOKING_WRITE)
@require_POST
def change_undo(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Put visits back as they were before a change; or say why not, with the nearest times that are free."""
    mine = appointments_visible_to(request.user)
    change = get_object_or_404(VisitChange.objects.filter(visits__appointment__in=mine).distinct(), public_id=public_id)
    try:
        undone = undo_change(change=change, by=request.user)
    except DomainError as refusal:
        return _refused(request, change, refusal)
    show_toast(request, undone_words(undone))
    return redirect("sessions:appointment", public_id=undone.visits[0].public_id)


def _refused(request: ClinicRequest, change: VisitChange, refusal: DomainError) -> HttpResponse:
    rows = change.visits.select_related(
        "appointment__patient__site", "appointment__site", "appointment__course__plan__patient", "practitioner", "room"
    )
    gone = (row for row in rows if clashes_of(put_as_it_was(row.appointment, row)))
    row = next(gone, rows[0])
    visit = row.appointment
    with timezone.override(visit.site.tz):
        context = {
            "visit": visit,
            "patient": visit.patient,
            "strip": patient_strip(visit.patient, user=request.user),
            "was": row,
            "kind": change.kind,
            "refusal": refusal,
            "times": _nearest(change, visit, put_as_it_was(visit, row), user=request.user)
            if isinstance(refusal, AlreadyTaken)
            else [],
        }
        return render(request, "sessions/undo_refused.html", context, status=refusal.status)


def _nearest(change: VisitChange, visit: Appointment, was: Appointment, *, user: User) -> list[dict[str, Any]]:
    """The free times nearest to the one that is gone, each with what the form sends."""
    moved = change.kind == ChangeKind.MOVED and visit.status == AppointmentStatus.BOOKED
    if moved:
        try:
            check_can_move(visit, by=user)
        except DomainError:
            return []
    elif visit.status != AppointmentStatus.CANCELLED:
        return []
    slots = times_for(
        visit.course, visit.number, now=timezone.now(), near=was, without=[visit] if moved else (), at_most=4
    )
    return [choice_of(slot, visit) for slot in slots]


def choice_of(slot: Slot, visit: Appointment) -> dict[str, Any]:
    """A time as a page offers it: in words, and as the form sends it."""
    local = slot.starts_at.astimezone(visit.site.tz)
    return {"value": slot_value(slot), "text": weekday_and_time(local)}
