"""The page on which what was injected is recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError
from mesoclinic.ui.toasts import show_toast
from patients.record.strip import patient_strip
from sessions.booking.views.appointment import appointment_seen_by, asked_of, standing_of, visit_url
from sessions.course.planned import planned_syringes, planned_zones
from sessions.course.terms import terms_of
from sessions.course.words import session_words
from sessions.models import Appointment
from sessions.permissions import check_can_record
from sessions.stock.queries import usable_lots
from sessions.treatment.actions import record_session
from sessions.treatment.forms import RecordForm


@requires(Permission.SESSION_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def session_record(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    visit = appointment_seen_by(request.user, public_id)
    plan = visit.course.plan
    now = timezone.now()
    asking = asked_of(visit, user=request.user, now=now, back=request.path)
    asked = asking["asked"]
    form = RecordForm(
        request.POST or None,
        initial={"performed_on": visit.starts_at.astimezone(visit.site.tz).date()}
        | ({"nothing_changed": "no" if asked.changed else "yes"} if asked else {}),
        syringes=planned_syringes(plan, visit.number),
        lots=usable_lots(plan, visit.number, site=visit.site, today=now.astimezone(visit.site.tz).date()),
    )
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            given = form.cleaned_data
            try:
                record_session(
                    appointment=visit,
                    administrations=form.administrations(),
                    nothing_changed=given["nothing_changed"],
                    tolerance=given["tolerance"],
                    note=given["note"],
                    password=given["password"],
                    by=request.user,
                    performed_on=given["performed_on"],
                    standing_reason=given["standing_reason"],
                )
            except DomainError as refusal:
                status = refusal.status
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            else:
                show_toast(request, _("Session %(n)s is recorded and signed.") % {"n": visit.number})
                return redirect(visit_url(visit))
    trail.record("session.opened", by=request.user, target=visit, patient=visit.patient)
    with timezone.override(visit.site.tz):
        context = (
            _record_context(request, visit, form, now)
            | asking
            | standing_of(visit, user=request.user, back=request.path)
        )
        return render(request, "sessions/session_record.html", context, status=status)


def _record_context(request: ClinicRequest, visit: Appointment, form: RecordForm, now: datetime) -> dict[str, Any]:
    plan = visit.course.plan
    refused = None
    try:
        check_can_record(visit, by=request.user, at=now)
    except DomainError as error:
        refused = error
    course = plan.result["course"]
    return {
        "visit": visit,
        "patient": visit.patient,
        "strip": patient_strip(visit.patient, user=request.user),
        "plan": plan,
        "form": form,
        "rows": form.rows(),
        "refused": refused,
        "session": session_words(visit.number, terms_of(plan).sessions),
        "zones": planned_zones(plan, visit.number),
        "course": course,
        "technique": course.get("technique_label") or str(course.get("technique") or "").replace("_", " "),
        "total_ml": sum(line.volume_ml for line in form.lines),
        "lots_known": form.has_lots,
    }
