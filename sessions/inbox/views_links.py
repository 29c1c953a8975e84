"""The links in a patient's mails, for the staff: which still work, and one button that closes those that left."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages as notices
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError
from patients.models import Patient
from patients.queries import patients_seen_by
from patients.record.strip import patient_strip
from sessions.mail import links

SHOWN = 100


@requires(Permission.MESSAGE_READ)
@require_safe
def patient_links(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    patient = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    trail.record("links.viewed", by=request.user, patient=patient)
    return _page(request, patient)


@requires(Permission.MESSAGE_WRITE)
@require_POST
def patient_links_close(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    patient = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    try:
        closed = links.revoke_links(patient=patient, by=request.user)
    except DomainError as refusal:
        return _page(request, patient, refusal=refusal)
    words = ngettext("%(n)s link was closed.", "%(n)s links were closed.", closed) % {"n": closed}
    notices.success(request, words)
    return redirect("inbox:links", public_id=public_id)


def _page(request: ClinicRequest, patient: Patient, *, refusal: DomainError | None = None) -> HttpResponse:
    now = timezone.now()
    rows = links.rows_of(patient, at=now)
    context: dict[str, Any] = {
        "patient": patient,
        "strip": patient_strip(patient, user=request.user),
        "rows": rows[:SHOWN],
        "hidden": max(0, len(rows) - SHOWN),
        "open_count": sum(row.state == "open" for row in rows),
        "may_close": request.user.may(Permission.MESSAGE_WRITE),
        "refusal": str(refusal) if refusal else "",
    }
    return render(request, "inbox/patient_links.html", context, status=refusal.status if refusal else 200)
