from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.errors import DomainError, InvalidInput
from mesoclinic.reading import whole_number
from mesoclinic.ui.toasts import tell
from patients.queries import strip
from sessions.forms import MoveForm
from sessions.models import Appointment
from sessions.moving import WAYS, Target, book_missing, give_time, move_appointment, suggestions, ways_of
from sessions.permissions import check_can_move
from sessions.queries import appointments_visible_to, bookable_plans_visible_to, courses_visible_to
from sessions.wording import weekday_and_time


@requires(Permission.BOOKING_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def appointment_move(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The address holds the new time and the page shows what it does; one of three buttons does it."""
    visit = get_object_or_404(
        appointments_visible_to(request.user).select_related(
            "patient__site", "practitioner", "room", "site", "course__plan__patient"
        ),
        public_id=public_id,
    )
    now, given = timezone.now(), request.POST if request.method == "POST" else request.GET
    refusal: DomainError | None = None
    with timezone.override(visit.site.tz):
        form = MoveForm(given if "day" in given else None, initial=_as_it_is(visit), site=visit.site)
        target = None
        try:
            check_can_move(visit, by=request.user)
            if form.is_bound and form.is_valid():
                target = Target(
                    starts_at=form.cleaned_data["starts_at"],
                    practitioner=form.cleaned_data["practitioner"],
                    room=form.cleaned_data["room"],
                )
                if request.method == "POST":
                    return _move(request, visit, target, reason=form.cleaned_data["reason"])
        except DomainError as error:
            refusal = error
        trail.record("appointment.viewed", by=request.user, target=visit, patient=visit.patient)
        ways = ways_of(visit, target, now=now) if target else []
        context: dict[str, Any] = {
            "visit": visit,
            "patient": visit.patient,
            "strip": strip(visit.patient, user=request.user),
            "form": form,
            "target": target,
            "ways": ways,
            "overbook_url": _overbook_url(visit, form) if ways and all(way.refusal for way in ways) else "",
            "suggestions": _suggested(visit, now) if refusal is None or target else [],
            "refusal": refusal,
        }
        status = 400 if request.method == "POST" and refusal is None else refusal.status if refusal else 200
        return render(
            request, "sessions/appointment_move.html", context, status=status if request.method == "POST" else 200
        )


def _move(request: ClinicRequest, visit: Appointment, target: Target, *, reason: str) -> HttpResponse:
    rest = request.POST.get("rest", "")
    if rest not in WAYS:
        raise InvalidInput(_("Choose what becomes of the rest."))
    if "sequence" in request.POST:
        visit.sequence = whole_number(request.POST["sequence"])  # as the page showed it
    moved = move_appointment(appointment=visit, target=target, rest=rest, reason=reason, by=request.user)
    tell(
        request,
        ngettext("%(n)s visit has a new time.", "%(n)s visits have new times.", len(moved)) % {"n": len(moved)},
    )
    return redirect("sessions:appointment", public_id=visit.public_id)


def _overbook_url(visit: Appointment, form: MoveForm) -> str:
    """Where the same time can be taken on purpose, by who may."""
    given = form.cleaned_data
    query = {
        "day": f"{given['day']:%Y-%m-%d}",
        "time": f"{given['time']:%H:%M}",
        "practitioner": str(given["practitioner"].public_id),
        "room": str(given["room"].public_id),
    }
    return f"{reverse('resources:appointment_overbook', args=[visit.public_id])}?{urlencode(query)}"


def _as_it_is(visit: Appointment) -> dict[str, Any]:
    local = visit.starts_at.astimezone(visit.site.tz)
    return {
        "day": local.date(),
        "time": local.time(),
        "practitioner": visit.practitioner.public_id,
        "room": visit.room.public_id,
    }


def _suggested(visit: Appointment, now: Any) -> list[dict[str, str]]:
    rooms = {room.pk: room for room in visit.site.rooms.all()}
    found = []
    for slot in suggestions(visit, now=now):
        local = slot.starts_at.astimezone(visit.site.tz)
        query = {
            "day": f"{local:%Y-%m-%d}",
            "time": f"{local:%H:%M}",
            "practitioner": str(visit.practitioner.public_id),
            "room": str(rooms[slot.room].public_id),
        }
        url = reverse("sessions:appointment_move", args=[visit.public_id])
        found.append({"url": f"{url}?{urlencode(query)}", "text": weekday_and_time(local)})
    return found


@requires(Permission.BOOKING_WRITE)
@require_POST
def course_missing(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    course = get_object_or_404(courses_visible_to(request.user).select_related("plan__patient"), public_id=public_id)
    visit = book_missing(course=course, by=request.user)
    tell(request, _("Session %(n)s is booked.") % {"n": visit.number})
    return redirect("sessions:appointment", public_id=visit.public_id)


@requires(Permission.BOOKING_WRITE)
@require_POST
def appointment_give(request: ClinicRequest, public_id: UUID, plan_id: UUID) -> HttpResponse:
    """The time of a cancelled visit goes to a waiting patient."""
    visible = appointments_visible_to(request.user).select_related("site", "practitioner", "room")
    freed = get_object_or_404(visible, public_id=public_id)
    plan = get_object_or_404(bookable_plans_visible_to(request.user).select_related("patient"), public_id=plan_id)
    visit = give_time(freed=freed, plan=plan, by=request.user)
    tell(request, _("Session %(n)s of %(name)s is booked.") % {"n": visit.number, "name": plan.patient})
    return redirect("sessions:appointment", public_id=visit.public_id)
