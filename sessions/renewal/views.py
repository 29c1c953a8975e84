"""Cancel the visits to come of somebody who can no longer be treated."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.ui.toasts import show_toast
from patients.queries import patients_seen_by
from sessions.renewal.leaving import cancel_visits


@requires(Permission.BOOKING_WRITE)
@require_POST
def visits_cancel(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Cancel all that is booked for somebody who has died or moved away."""
    person = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    visits = cancel_visits(person=person, by=request.user)
    show_toast(
        request,
        ngettext("%(n)s appointment is cancelled.", "%(n)s appointments are cancelled.", len(visits))
        % {"n": len(visits)},
    )
    return redirect("sessions:patient", public_id=person.public_id)
