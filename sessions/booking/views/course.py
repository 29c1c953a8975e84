"""Book a course in one step, and cancel it or a part of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import Site
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidInput
from mesoclinic.core.reading import whole_number, whole_numbers
from mesoclinic.ui.toasts import show_toast
from patients.record.strip import patient_strip
from protocols.models import Plan
from protocols.standing.going_on import check_may_treat
from protocols.standing.standing import standing
from sessions.booking.actions import book_course, cancel_course
from sessions.booking.forms import WishesForm
from sessions.booking.views.appointment import visit_url
from sessions.booking.views.undo import booking_undo_url, undo_url_of
from sessions.course.terms import terms_of
from sessions.mail.waiting import may_be_mailed
from sessions.models import AppointmentStatus
from sessions.permissions import check_can_book
from sessions.queries import appointments_visible_to, bookable_plans_visible_to, courses_visible_to
from sessions.sites.queries import rooms_of
from sessions.times.propose import Chosen, ProposalChanged, Series, propose_series, wishes_from
from sessions.times.queries import able_practitioners
from sessions.times.words import proposal_rows


@requires(Permission.BOOKING_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def course_book(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The proposal is computed when the page opens; booking it is one button."""
    plan = get_object_or_404(
        bookable_plans_visible_to(request.user).select_related("patient__site", "signed_by", "formulary"),
        public_id=public_id,
    )
    site = plan.patient.site
    with timezone.override(site.tz):
        form = WishesForm(_wishes(request, plan, site), site=site)
        series, refusal, status = None, None, 200
        signs = request.user.may(Permission.PLAN_SIGN)
        held = standing(plan.patient, plan, timezone.localdate(timezone=site.tz)).seen_by(request.user)
        try:
            check_can_book(plan, site=site, by=request.user)
            if held.is_stop and not signs:
                check_may_treat(plan.patient, plan, held.day, by=request.user)
            if form.is_valid():
                if request.method == "POST":
                    return _book(request, plan, site, form)
                series = _propose(plan, site, form)
        except DomainError as error:
            refusal, status = error, error.status if request.method == "POST" else 200
            if request.method == "POST" and form.is_valid():
                series, refusal = _again(plan, site, form, error)
        trail.record("course.planned", by=request.user, target=plan, patient=plan.patient)
        context = {
            "plan": plan,
            "patient": plan.patient,
            "strip": patient_strip(plan.patient, user=request.user),
            "place": site,
            "form": form,
            "series": series,
            "rows": proposal_rows(series, site=site, names=_room_names(site)) if series else [],
            "axis": _axis(series, site) if series else None,
            "refusal": refusal,
            "held": held if held.is_stop else None,
            "standing_reason": request.POST.get("standing_reason", ""),
            "relaxed_query": _relaxed_query(request, refusal),
            "mailable": may_be_mailed(plan.patient),
            "hold_minutes": round(settings.MESSAGE_HOLD.total_seconds() / 60),
            "practitioner": form.cleaned_data.get("practitioner") if form.is_valid() else None,
        }
        return render(request, "sessions/course_book.html", context, status=status)


def _wishes(request: ClinicRequest, plan: Plan, site: Site) -> Any:
    """What was wished, or where nothing was: the plan's own practitioner, from tomorrow."""
    given = request.POST if request.method == "POST" else request.GET
    if "practitioner" in given:
        return given
    able = able_practitioners(plan, site)
    usual = next((who for who in able if who == plan.signed_by), able[0] if able else None)
    tomorrow = timezone.now().astimezone(site.tz).date() + timedelta(days=1)
    defaults = given.copy()
    defaults["practitioner"] = str(usual.public_id) if usual else ""
    defaults.setdefault("earliest", max(tomorrow, terms_of(plan).ideal_start or tomorrow).isoformat())
    return defaults


def _arguments(form: WishesForm) -> dict[str, Any]:
    given = form.cleaned_data
    return {name: given[name] for name in ("earliest", "room", "weekdays", "not_before", "not_after")}


def _propose(plan: Plan, site: Site, form: WishesForm) -> Series:
    return propose_series(
        options=True,
        plan=plan,
        site=site,
        practitioner=form.cleaned_data["practitioner"],
        wishes=wishes_from(**_arguments(form)),
        now=timezone.now(),
    )


def _again(plan: Plan, site: Site, form: WishesForm, refused: DomainError) -> tuple[Series | None, DomainError]:
    """After a refusal: what would be booked now, if anything."""
    try:
        return _propose(plan, site, form), refused
    except DomainError as error:
        return None, error


def _book(request: ClinicRequest, plan: Plan, site: Site, form: WishesForm) -> HttpResponse:
    seen = _instants(request.POST.getlist("starts_at"))
    chosen = _choices(request)
    kept = set(appointments_visible_to(request.user).filter(course__plan=plan).values_list("pk", flat=True))
    course = book_course(
        plan=plan,
        site=site,
        practitioner=form.cleaned_data["practitioner"],
        expected=None if chosen else seen,
        chosen=chosen,
        by=request.user,
        standing_reason=request.POST.get("standing_reason", ""),
        **_arguments(form),
    )
    booked = list(course.appointments.exclude(pk__in=kept).values_list("number", flat=True))
    told = ngettext("%(n)s session is booked.", "%(n)s sessions are booked.", len(booked)) % {"n": len(booked)}
    if may_be_mailed(plan.patient):
        told += " " + _("The confirmation leaves in a few minutes.")
    else:
        told += " " + _("No e-mail: hand over the printed dates.")
    show_toast(request, told, undo_url=booking_undo_url(course, booked))
    return redirect("sessions:patient", public_id=plan.patient.public_id)


RELAXED_FIELDS = {
    "practitioner": ("practitioner",),
    "room": ("room",),
    "weekdays": ("weekdays",),
    "hours": ("not_before", "not_after"),
    "earliest": ("earliest",),
}


def _relaxed_query(request: ClinicRequest, refusal: DomainError | None) -> str:
    """The wishes without those that have to be given up, as the address of the page that shows what that gives."""
    way = getattr(refusal, "way", None)
    if way is None:
        return ""
    given = request.GET.copy()
    given.setdefault("practitioner", "")
    for wish in way.wishes:
        for name in RELAXED_FIELDS[wish]:
            given.setlist(name, [""] if name == "practitioner" else [])
    if not given.get("earliest"):
        given["earliest"] = way.slots[0].day.isoformat()
    return given.urlencode()


def _choices(request: ClinicRequest) -> list[Chosen] | None:
    """The times picked on the page, one for each session; None if the page showed no choice."""
    found = []
    for name, text in request.POST.items():
        if not name.startswith("time-"):
            continue
        parts = str(text).split(" ")
        try:
            at = datetime.fromisoformat(parts[0])
            number, practitioner, room = (whole_number(part) for part in (name.removeprefix("time-"), *parts[1:]))
            choice = Chosen(number=number, starts_at=at, practitioner=practitioner, room=room)
        except (ValueError, InvalidInput):
            raise ProposalChanged(_("Choose a time from the page.")) from None
        if at.tzinfo is None or not 2000 < at.year < 2200:
            raise ProposalChanged(_("Choose a time from the page."))
        found.append(choice)
    return sorted(found, key=lambda choice: choice.number) or None


def _instants(texts: list[str]) -> list[datetime] | None:
    """The times that the page showed. What is no time was not shown, so it is answered as a changed proposal."""
    try:
        found = [parse_datetime(text) for text in texts]
    except ValueError:
        return []
    return [at for at in found if at is not None and 1901 <= at.year < 2199] if found else None


def _room_names(site: Site) -> dict[int, str]:
    return dict(rooms_of(site).values_list("pk", "name"))


def _axis(series: Series, site: Site) -> dict[str, Any]:
    kept = [
        {
            "number": number,
            "starts_at": visit.starts_at.astimezone(site.tz),
            "state": "done" if visit.status == AppointmentStatus.DONE else "booked",
        }
        for number, visit in enumerate([*series.kept, *series.carried], start=1)
    ]
    proposed = [
        {"number": slot.number, "starts_at": slot.starts_at.astimezone(site.tz), "state": "planned"}
        for slot in series.slots
    ]
    return {"course": {"offsets_days": list(series.terms.offsets_days)}, "dates": [*kept, *proposed]}


@requires(Permission.BOOKING_WRITE)
@require_POST
def course_cancel(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    course = get_object_or_404(courses_visible_to(request.user).select_related("plan__patient"), public_id=public_id)
    numbers = whole_numbers(request.GET, "n", least=1)
    visits = cancel_course(course=course, numbers=numbers, by=request.user)
    told = ngettext("%(n)s appointment is cancelled.", "%(n)s appointments are cancelled.", len(visits)) % {
        "n": len(visits)
    }
    if "undo" in request.GET:  # of a booking: nothing was freed that had been there before
        show_toast(request, told)
        return redirect("sessions:patient", public_id=course.plan.patient.public_id)
    show_toast(request, told, undo_url=undo_url_of(visits[0]))
    return redirect(visit_url(visits[0]))
