"""The page on which cautions that came up after a signature are read and acknowledged."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError
from mesoclinic.ui.toasts import show_toast
from patients.record.strip import patient_strip
from protocols.plans.queries import plans_visible_to
from protocols.standing.going_on import acknowledge_caution
from protocols.standing.standing import standing_now
from protocols.views.forms import CautionForm


@requires(Permission.PLAN_READ)
@require_http_methods(["GET", "HEAD", "POST"])
def plan_cautions(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Show what came up since the plan was signed; who signs plans acknowledges each once."""
    plan = get_object_or_404(plans_visible_to(request.user).select_related("patient__site"), public_id=public_id)
    form = CautionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            acknowledge_caution(plan=plan, by=request.user, **form.cleaned_data)
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            show_toast(request, _("The caution is acknowledged for this plan."))
            return redirect("protocols:plan_cautions", public_id)
    trail.record("plan.viewed", by=request.user, target=plan, patient=plan.patient)
    context = {
        "plan": plan,
        "strip": patient_strip(plan.patient, user=request.user),
        "standing": standing_now(plan.patient, plan).seen_by(request.user),
        "acknowledged": plan.standing_acknowledgements.select_related("by"),
        "form": form,
        "may_acknowledge": request.user.may(Permission.PLAN_SIGN),
    }
    return render(request, "protocols/plan_cautions.html", context, status=422 if form.errors else 200)
