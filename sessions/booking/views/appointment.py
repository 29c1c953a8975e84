"""The page of one visit, and what is pressed there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidTransition
from mesoclinic.core.reading import whole_number
from mesoclinic.messaging.queries import messages_about
from mesoclinic.ui.toasts import show_toast
from patients.models import DayCheck
from patients.queries import day_checks_on
from patients.record.strip import patient_strip
from protocols.standing.standing import standing
from sessions.booking.actions import cancel_appointment, set_appointment_status
from sessions.booking.calls import call_words, note_call, overrides_of
from sessions.booking.changes import UNDO_WITHIN, open_change
from sessions.booking.forms import CallForm
from sessions.booking.holes import holes_of
from sessions.booking.undo import can_undo
from sessions.booking.views.undo import undo_url_of
from sessions.course.asking import ask_url
from sessions.course.standing_band import ways_on
from sessions.course.terms import terms_of
from sessions.course.words import session_words
from sessions.mail.waiting import may_be_mailed
from sessions.models import Appointment, AppointmentStatus, Course
from sessions.permissions import can_cancel, can_move, can_record
from sessions.queries import appointments_visible_to
from sessions.times.offers import freed_times
from sessions.words import overbooked_words


def _cancel_url(course: Course, numbers: Iterable[int]) -> str:
    """Cancels these sessions of the course and no others."""
    return (
        reverse("sessions:course_cancel", args=[course.public_id]) + "?" + urlencode({"n": list(numbers)}, doseq=True)
    )


@requires(Permission.BOOKING_READ)
@require_safe
def appointment(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    visit = appointment_seen_by(request.user, public_id)
    trail.record("appointment.viewed", by=request.user, target=visit, patient=visit.patient)
    return _appointment_page(request, visit)


@requires(Permission.BOOKING_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def appointment_call(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Note what a call about a visit that is held agreed; the page of the visit asks for it."""
    visit = appointment_seen_by(request.user, public_id)
    if request.method != "POST":
        return redirect(f"{visit_url(visit)}#call")
    form = CallForm(request.POST)
    if form.is_valid():
        try:
            note_call(appointment=visit, note=form.cleaned_data["note"], by=request.user)
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            show_toast(request, _("The call is noted."))
            return redirect(visit_url(visit))
    return _appointment_page(request, visit, call=form)


def standing_of(visit: Appointment, *, user: User, back: str) -> dict[str, Any]:
    """What the pages of a visit say of the patient's standing on its day, while it is still to come.

    ``back``: where the answers to what was never asked lead on to.
    """
    if visit.status not in AppointmentStatus.COMING:
        return {"held": None, "cautions": (), "ask_new": "", "ways": ()}
    day = visit.starts_at.astimezone(visit.site.tz).date()
    found = standing(visit.patient, visit.course.plan, day).seen_by(user)
    return {
        "held": found if found.is_stop else None,
        "cautions": () if found.is_stop else found.cautions,
        "ask_new": next((reason.ask_url(back=back) for reason in found.for_asking if reason.url), ""),
        "ways": ways_on(found, patient=visit.patient, plan=visit.course.plan, visit=visit, user=user),
        "may_go_on": user.may(Permission.PLAN_SIGN),
    }


def _appointment_page(
    request: ClinicRequest,
    visit: Appointment,
    *,
    refusal: DomainError | None = None,
    call: CallForm | None = None,
) -> HttpResponse:
    user, now = request.user, timezone.now()
    change = open_change(visit, now=now)
    recorded = getattr(visit, "treatment_session", None)
    later = visit.course.appointments.filter(status=AppointmentStatus.BOOKED, number__gt=visit.number)
    numbers = [visit.number, *later.order_by("number").values_list("number", flat=True)]
    with timezone.override(visit.site.tz):
        context = {
            **asked_of(visit, user=user, now=now, back=visit_url(visit)),
            "visit": visit,
            "patient": visit.patient,
            "strip": patient_strip(visit.patient, user=request.user),
            "session": session_words(visit.number, terms_of(visit.course.plan).sessions),
            "minutes": int((visit.ends_at - visit.starts_at).total_seconds() // 60),
            "recorded": recorded,
            "lines": recorded.administrations.select_related("ingredient", "lot").all()
            if recorded and user.may(Permission.SESSION_READ)
            else [],
            "mails": [
                message
                for message in messages_about(visit.patient.public_id)
                if message.subject_id in (visit.public_id, visit.course.public_id)
            ]
            if user.may(Permission.MESSAGE_READ)
            else [],
            "can_cancel": can_cancel(visit, by=user),
            "can_move": can_move(visit, by=user),
            "missing": holes_of(visit.course) if user.may(Permission.BOOKING_WRITE) else [],
            "left_out": visit.course.left_out.select_related("by"),
            "freed": freed_times(visit, change, user=user, now=now),
            "change": change if change is not None and can_undo(change, by=user, now=now) else None,
            "undo_until": change.at + UNDO_WITHIN if change is not None else None,
            "later_count": len(numbers) - 1 if visit.status == AppointmentStatus.BOOKED else 0,
            "cancel_rest_url": _cancel_url(visit.course, numbers),
            "can_record": can_record(visit, by=user),
            "can_check_in": visit.status == AppointmentStatus.BOOKED
            and visit.patient.is_in_care
            and visit.starts_at.astimezone(visit.site.tz).date() <= now.astimezone(visit.site.tz).date(),
            "can_prepare": user.may(Permission.PLAN_READ)
            and not recorded
            and visit.status not in AppointmentStatus.FREE_AGAIN,
            "can_miss": visit.status == AppointmentStatus.BOOKED and visit.starts_at <= now,
            "mailable": may_be_mailed(visit.patient),
            "overbooked": overbooked_words(visit),
            "refusal": refusal,
            "call": call or CallForm(),
            "calls": [call_words(row) for row in visit.calls.select_related("by", "appointment__site")],
            "overrides": overrides_of(visit),
        } | standing_of(visit, user=user, back=visit_url(visit))
        return render(request, "sessions/appointment.html", context, status=refusal.status if refusal else 200)


@requires(Permission.BOOKING_WRITE)
@require_POST
def appointment_status(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    visit = appointment_seen_by(request.user, public_id)
    wanted = request.POST.get("status", "")
    if wanted not in AppointmentStatus.values:
        return _appointment_page(request, visit, refusal=DomainError(_("Choose a state from the page.")))
    try:
        set_appointment_status(
            appointment=visit,
            status=AppointmentStatus(wanted),
            by=request.user,
            standing_reason=request.POST.get("standing_reason", ""),
        )
    except DomainError as refusal:
        visit.refresh_from_db()
        return _appointment_page(request, visit, refusal=refusal)
    if wanted == AppointmentStatus.ARRIVED:
        show_toast(request, _("%(name)s is checked in.") % {"name": visit.patient})
    elif wanted == AppointmentStatus.NO_SHOW:
        show_toast(
            request, _("%(name)s is marked as not come. The session can be booked again.") % {"name": visit.patient}
        )
    else:
        show_toast(request, _("%(name)s is booked, not arrived.") % {"name": visit.patient})
    return redirect(_back(request, visit))


def _back(request: ClinicRequest, visit: Appointment) -> str:
    """The day that the person came from, else the appointment."""
    day = request.POST.get("day", "")
    try:
        return reverse("sessions:day", args=[date.fromisoformat(day)]) if day else visit_url(visit)
    except (ValueError, NoReverseMatch):
        return visit_url(visit)


def visit_url(visit: Appointment) -> str:
    return reverse("sessions:appointment", args=[visit.public_id])


@requires(Permission.BOOKING_WRITE)
@require_POST
def appointment_cancel(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    visit = appointment_seen_by(request.user, public_id)
    try:
        if "sequence" in request.POST and whole_number(request.POST["sequence"]) != visit.sequence:
            raise InvalidTransition(_("This appointment has changed since you opened the page. Here is how it stands."))
        cancel_appointment(appointment=visit, by=request.user)
    except DomainError as refusal:
        visit.refresh_from_db()
        return _appointment_page(request, visit, refusal=refusal)
    show_toast(request, _("The appointment is cancelled."), undo_url=undo_url_of(visit))
    return redirect(visit_url(visit))


def appointment_seen_by(user: User, public_id: UUID) -> Appointment:
    return get_object_or_404(
        appointments_visible_to(user).select_related(
            "patient__site", "practitioner", "room", "site", "course__plan", "created_by"
        ),
        public_id=public_id,
    )


def asked_of(visit: Appointment, *, user: User, now: datetime, back: str) -> dict[str, Any]:
    """“Anything changed?” before this session: what was said on its day, or where it can be asked, to come ``back``."""
    asked: DayCheck | None = None
    if user.may(Permission.INTAKE_READ):
        day = visit.starts_at.astimezone(visit.site.tz).date()
        asked = day_checks_on(day, patients=[visit.patient_id], tz=visit.site.tz).get(visit.patient_id)
    return {"asked": asked, "ask_url": "" if asked else ask_url(visit, user=user, now=now, back=back)}
