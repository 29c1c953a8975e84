"""Booking deliberately over a time that is taken: a session that is not booked yet, or a visit that is moved there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidTransition
from mesoclinic.ui.toasts import show_toast
from patients.record.strip import patient_strip
from protocols.models import Plan
from sessions.booking.actions import book_appointment
from sessions.booking.forms import OverbookForm
from sessions.booking.move import Target, move_appointment
from sessions.booking.overbook import Overbook, clashes_of
from sessions.course.next_session import next_session
from sessions.course.queries import kept_appointments
from sessions.course.terms import terms_of
from sessions.models import Appointment, Course
from sessions.permissions import check_can_move
from sessions.queries import appointments_visible_to, bookable_plans_visible_to
from sessions.times.queries import turnover_for

FIELDS_OF_ACTIONS = {"starts_at": "time", "number": "day"}


@requires(Permission.BOOKING_WRITE, Permission.BOOKING_OVERBOOK)
@require_http_methods(["GET", "HEAD", "POST"])
def appointment_overbook(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Put one visit over a time that is taken. The rest of the course stays."""
    visit = get_object_or_404(
        appointments_visible_to(request.user).select_related(
            "patient__site", "practitioner", "room", "site", "course__plan__patient"
        ),
        public_id=public_id,
    )

    def book(form: OverbookForm) -> Appointment:
        check_can_move(visit, by=request.user)
        given = form.cleaned_data
        target = Target(starts_at=given["starts_at"], practitioner=given["practitioner"], room=given["room"])
        moved = move_appointment(
            appointment=visit,
            target=target,
            rest="keep",
            reason=given["reason"],
            overbook=_why(form),
            by=request.user,
        )
        return moved[0]

    return _page(request, plan=visit.course.plan, number=visit.number, visit=visit, book=book)


@requires(Permission.BOOKING_WRITE, Permission.BOOKING_OVERBOOK)
@require_http_methods(["GET", "HEAD", "POST"])
def plan_overbook(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Book the next session of a plan over a time that is taken."""
    plan = get_object_or_404(
        bookable_plans_visible_to(request.user).select_related("patient__site", "formulary"), public_id=public_id
    )
    number = _next_number(plan)

    def book(form: OverbookForm) -> Appointment:
        if number is None:
            raise InvalidTransition(_("Every session of this course is booked already."))
        given = form.cleaned_data
        return book_appointment(
            plan=plan,
            number=number,
            site=plan.patient.site,
            practitioner=given["practitioner"],
            room=given["room"],
            starts_at=given["starts_at"],
            overbook=_why(form),
            by=request.user,
            standing_reason=given["standing_reason"],
        )

    return _page(request, plan=plan, number=number, visit=None, book=book)


def _why(form: OverbookForm) -> Overbook:
    return Overbook(reason=form.cleaned_data["overbook_reason"], note=form.cleaned_data["overbook_note"])


def _next_number(plan: Plan) -> int | None:
    course = Course.objects.filter(plan=plan).first()
    kept = [visit.number for visit in kept_appointments(course)] if course else []
    left_out = list(course.left_out.values_list("number", flat=True)) if course else []
    return next_session(kept, sessions=terms_of(plan).sessions, left_out=left_out)


def _page(
    request: ClinicRequest, *, plan: Plan, number: int | None, visit: Appointment | None, book: Any
) -> HttpResponse:
    site, patient = (visit.site if visit else plan.patient.site), plan.patient
    refusal: DomainError | None = None
    with timezone.override(site.tz):
        sent = request.method == "POST"
        form = OverbookForm(request.POST if sent else None, initial=_initial(request, visit), site=site)
        if sent and form.is_valid():
            try:
                booked: Appointment = book(form)
            except DomainError as error:
                field = FIELDS_OF_ACTIONS.get(error.field or "", error.field)
                if field in form.fields:
                    form.add_error(field, str(error))
                else:
                    refusal = error
            else:
                show_toast(request, _("Booked over what is there. The day list shows it with the reason."))
                return redirect("sessions:appointment", public_id=booked.public_id)
        trail.record(
            "appointment.overbooking",
            by=request.user,
            target=visit or plan,
            patient=patient,
            details={"number": number},
        )
        context = {
            "plan": plan,
            "visit": visit,
            "patient": patient,
            "place": site,
            "strip": patient_strip(patient, user=request.user),
            "number": number,
            "form": form,
            "refusal": refusal,
            "over": _over(form, plan=plan, visit=visit),
        }
        return render(request, "sessions/overbook.html", context, status=400 if sent else 200)


def _initial(request: ClinicRequest, visit: Appointment | None) -> dict[str, Any]:
    asked = {name: request.GET[name] for name in ("day", "time", "practitioner", "room") if name in request.GET}
    if visit is None:
        return asked
    local = visit.starts_at.astimezone(visit.site.tz)
    return {
        "day": local.date(),
        "time": local.time(),
        "practitioner": visit.practitioner.public_id,
        "room": visit.room.public_id,
        **asked,
    }


def _over(form: OverbookForm, *, plan: Plan, visit: Appointment | None) -> list[Appointment]:
    """What is booked at the time that was sent, so that whoever looks again sees over what it goes."""
    given = getattr(form, "cleaned_data", {})
    start: datetime | None = given.get("starts_at")
    if not start or not given.get("practitioner") or not given.get("room"):
        return []
    turnover = turnover_for(plan, form.site)
    wanted = Appointment(
        pk=visit.pk if visit else None,
        practitioner=given["practitioner"],
        room=given["room"],
        starts_at=start,
        ends_at=start + timedelta(minutes=terms_of(plan).minutes),
        prepare_minutes=turnover.prepare,
        cleanup_minutes=turnover.cleanup,
    )
    return clashes_of(wanted)
