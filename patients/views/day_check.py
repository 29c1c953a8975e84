"""The page that asks before a session whether anything has changed."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError
from patients.actions.day_check import confirm_unchanged, record_changes
from patients.intake.day_checks import differs
from patients.intake.day_form import DayCheckForm
from patients.models import DayCheck
from patients.permissions import check_can_start_intake
from patients.queries import latest_submitted_intake, patients_seen_by
from patients.record.strip import patient_strip


@requires(Permission.INTAKE_WRITE)
@require_http_methods(["GET", "POST"])
def day_check(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Before a session: only what it depends on is asked again. A new intake is made only where something changed."""
    patient = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    check_can_start_intake(patient, by=request.user)
    previous = latest_submitted_intake(patient)
    if previous is None:
        messages.warning(request, _("There is no submitted intake yet. Fill one in first."))
        return redirect("sessions:patient", patient.public_id)
    typed = request.POST if request.method == "POST" else None
    form = DayCheckForm(typed, patient=patient, previous=previous, ask=(typed or request.GET).getlist("ask"))
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                change = differs(previous, form.answers)
                keep = record_changes if change else confirm_unchanged
                check = keep(patient=patient, answers=form.answers, by=request.user)
            except DomainError as refusal:
                form.add_error(form.field_of(refusal.field), str(refusal))
            else:
                return _after_day_check(request, check)
    else:
        trail.record("intake.viewed", by=request.user, target=previous, patient=patient)
    context = {
        "form": form,
        "patient": patient,
        "strip": patient_strip(patient, user=request.user),
        "previous": previous,
        "next": _own_path(request),
    }
    return render(request, "patients/day_check.html", context, status=status)


def _after_day_check(request: ClinicRequest, check: DayCheck) -> HttpResponse:
    if check.changed:
        messages.warning(request, _("Something changed: it is a new intake. Read what it means before you go on."))
        return redirect("patients:intake_detail", check.intake.public_id)
    messages.success(request, _("Asked; nothing has changed."))
    return redirect(_own_path(request) or reverse("sessions:patient", args=[check.patient.public_id]))


def _own_path(request: HttpRequest) -> str:
    """Where the person came from, if that is a page of ours."""
    path = request.POST.get("next") or request.GET.get("next", "")
    return path if url_has_allowed_host_and_scheme(path, allowed_hosts=None) and path.startswith("/") else ""
