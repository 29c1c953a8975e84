"""The page on which a visit is moved, and the presses that move it or give its time to somebody."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidInput
from mesoclinic.core.reading import id_of, whole_number
from mesoclinic.ui.toasts import show_toast
from patients.record.strip import patient_strip
from sessions.booking.forms import MoveForm
from sessions.booking.move import WAYS, Target, give_time, move_appointment, suggestions, ways_of
from sessions.booking.views.given import chosen_time, instant_in
from sessions.booking.views.undo import booking_undo_url, undo_url_of
from sessions.models import Appointment, Room
from sessions.models.followups import Answer
from sessions.permissions import check_can_move
from sessions.queries import appointments_visible_to, bookable_plans_visible_to
from sessions.times.fitting import FreeTime, who_fits
from sessions.times.refusals import AlreadyTaken
from sessions.times.words import weekday_and_time
from sessions.words import when_words


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
            "strip": patient_strip(visit.patient, user=request.user),
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
    show_toast(
        request,
        ngettext("%(n)s visit has a new time.", "%(n)s visits have new times.", len(moved)) % {"n": len(moved)},
        undo_url=undo_url_of(moved[0]),
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
    return f"{reverse('sessions:appointment_overbook', args=[visit.public_id])}?{urlencode(query)}"


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
def appointment_to(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Move one visit to a time that a page offered; the rest of the course stays, and the patient is told."""
    visit = get_object_or_404(
        appointments_visible_to(request.user).select_related("patient", "site", "course__plan__patient"),
        public_id=public_id,
    )
    moved = move_to(visit, request, wish=None)
    names = {"n": moved.number, "name": moved.patient, "when": when_words(moved.starts_at, moved.site)}
    show_toast(request, _("Session %(n)s of %(name)s is moved to %(when)s.") % names, undo_url=undo_url_of(moved))
    return redirect("sessions:appointment", public_id=moved.public_id)


def move_to(visit: Appointment, request: ClinicRequest, *, wish: Answer | None) -> Appointment:
    """Move the visit to the time in the form, if it is still as the page showed it; return it as it is then."""
    starts_at, practitioner, room = chosen_time(request.POST.get("time", ""))
    if "sequence" in request.POST:
        visit.sequence = whole_number(request.POST["sequence"])  # as the page showed it
    target = Target(starts_at=starts_at, practitioner=practitioner, room=room)
    return move_appointment(appointment=visit, target=target, rest="keep", by=request.user, wish=wish)[0]


@requires(Permission.BOOKING_WRITE)
@require_POST
def time_give(request: ClinicRequest) -> HttpResponse:
    """A free time goes to somebody whom it fits: their visit moves there, or their next session is booked there."""
    site = next((site for site in request.user.sites.all() if str(site.public_id) == request.POST.get("site")), None)
    starts_at = instant_in(request.POST.get("at", ""))
    who_id, room_id = id_of(request.POST, "practitioner"), id_of(request.POST, "room")
    plan_id, visit_id = id_of(request.POST, "plan"), id_of(request.POST, "visit")
    who = User.objects.filter(public_id=who_id, is_active=True).first() if who_id else None
    if site is None or starts_at is None or who is None or plan_id is None:
        raise Http404
    plan = get_object_or_404(bookable_plans_visible_to(request.user).select_related("patient"), public_id=plan_id)
    room = Room.objects.filter(public_id=room_id, site=site).first() if room_id else None
    time = FreeTime(site=site, practitioner=who, room=room, starts_at=starts_at)
    fits = who_fits(time, user=request.user, now=timezone.now())
    fit = next(
        (fit for fit in fits if fit.plan.pk == plan.pk and getattr(fit.visit, "public_id", None) == visit_id), None
    )
    if fit is None:
        raise AlreadyTaken(
            _("This time cannot be given to %(name)s any more: somebody booked it, or it does not fit. Look again.")
            % {"name": plan.patient}
        )
    visit = give_time(time=time, fit=fit, by=request.user)
    names = {"n": visit.number, "name": visit.patient, "when": when_words(visit.starts_at, site)}
    if fit.visit is not None:
        show_toast(request, _("Session %(n)s of %(name)s is moved to %(when)s.") % names, undo_url=undo_url_of(visit))
    else:
        undo = booking_undo_url(visit.course, [visit.number])
        show_toast(request, _("Session %(n)s of %(name)s is booked on %(when)s.") % names, undo_url=undo)
    return redirect("sessions:appointment", public_id=visit.public_id)
