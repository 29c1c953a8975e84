"""A session of a course that nothing is booked for: the best free time is shown, then booked; or it is left out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError
from mesoclinic.core.reading import whole_number
from mesoclinic.ui.toasts import show_toast
from patients.record.strip import patient_strip
from sessions.booking.holes import (
    REASON_LENGTH,
    book_session,
    can_leave_out,
    check_hole,
    holes_of,
    leave_out,
    no_time_for,
    times_for,
)
from sessions.booking.views.given import chosen_time
from sessions.booking.views.undo import booking_undo_url
from sessions.course.queries import kept_appointments
from sessions.mail.waiting import may_be_mailed
from sessions.models import Course, Room
from sessions.planner import Slot
from sessions.queries import courses_visible_to
from sessions.times.words import slot_value
from sessions.words import when_words

SHOWN = 6


class LeaveOutForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Why it is left out"), max_length=REASON_LENGTH, widget=forms.Textarea(attrs={"rows": 2})
    )


@requires(Permission.BOOKING_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def course_missing(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The address names the session; without one it is the first hole of the course."""
    courses = courses_visible_to(request.user).select_related("plan__patient__site", "plan__formulary")
    course = get_object_or_404(courses, public_id=public_id)
    number = _number(request, course)
    refusal: DomainError | None = None
    form = LeaveOutForm()
    if request.method == "POST" and number is not None:
        if request.POST.get("do") == "leave-out":
            form = LeaveOutForm(request.POST)
            if form.is_valid():
                try:
                    leave_out(course=course, number=number, reason=form.cleaned_data["reason"], by=request.user)
                except DomainError as error:
                    refusal = error
                else:
                    show_toast(request, _("Session %(n)s is left out.") % {"n": number})
                    return redirect("sessions:patient", public_id=course.plan.patient.public_id)
        else:
            try:
                return _book(request, course, number)
            except DomainError as error:
                refusal = error
    return _page(request, course, number, form=form, refusal=refusal)


def _number(request: ClinicRequest, course: Course) -> int | None:
    if "n" in request.GET:
        return whole_number(request.GET["n"], least=1)
    return next(iter(holes_of(course)), None)


def _book(request: ClinicRequest, course: Course, number: int) -> HttpResponse:
    check_hole(course, number)
    starts_at, practitioner, room = chosen_time(request.POST.get("time", ""))
    visit = book_session(
        course=course, number=number, starts_at=starts_at, practitioner=practitioner, room=room, by=request.user
    )
    show_toast(
        request,
        _("Session %(n)s is booked on %(when)s.")
        % {"n": visit.number, "when": when_words(visit.starts_at, visit.site)},
        undo_url=booking_undo_url(course, [visit.number]),
    )
    return redirect("sessions:appointment", public_id=visit.public_id)


def _page(
    request: ClinicRequest, course: Course, number: int | None, *, form: forms.Form, refusal: DomainError | None
) -> HttpResponse:
    patient = course.plan.patient
    kept = kept_appointments(course)
    site = kept[0].site if kept else patient.site
    slots: list[Slot] = []
    closed: DomainError | None = None
    try:
        if number is None:
            raise DomainError(_("No session of this course is missing."))
        check_hole(course, number)
        slots = times_for(course, number, now=timezone.now(), at_most=SHOWN)
        if not slots:
            raise no_time_for(number)
    except DomainError as error:
        closed = error
    failed = refusal or (closed if request.method == "POST" else None)
    trail.record("course.planned", by=request.user, target=course, patient=patient)
    with timezone.override(site.tz):
        context: dict[str, Any] = {
            "course": course,
            "number": number,
            "patient": patient,
            "place": site,
            "strip": patient_strip(patient, user=request.user),
            "neighbours": [visit for visit in kept if number is not None and abs(visit.number - number) == 1],
            "times": _times(slots),
            "refusal": refusal or closed,
            "form": form,
            "may_leave_out": number is not None and bool(kept) and can_leave_out(course, by=request.user),
            "mailable": may_be_mailed(patient),
        }
        status = 400 if form.is_bound and failed is None else failed.status if failed else 200
        return render(request, "sessions/hole.html", context, status=status)


def _times(slots: list[Slot]) -> list[dict[str, Any]]:
    people = User.objects.in_bulk({slot.practitioner for slot in slots})
    rooms = Room.objects.in_bulk({slot.room for slot in slots})
    return [
        {
            "value": slot_value(slot),
            "starts_at": slot.starts_at,
            "practitioner": people[slot.practitioner].name,
            "room": rooms[slot.room].name,
        }
        for slot in slots
    ]
