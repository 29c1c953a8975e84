"""Sign, stop, amend, discard and print a plan."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.documents.views import open_document
from mesoclinic.ui.toasts import show_toast
from patients.record.strip import patient_strip
from protocols.actions.drafts import amend_plan
from protocols.actions.refusals import NotReadyToSign, SecondCalculationDisagrees
from protocols.actions.signing import sign_plan
from protocols.actions.status import discard_plan, stop_plan, take_over_plan
from protocols.models.enums import PlanStatus
from protocols.permissions import can_stop_plan
from protocols.prints.documents import request_plan_pdf
from protocols.prints.marks import session_dates
from protocols.views.answering import answered, refused_answer, refused_on_top
from protocols.views.forms import StopForm, edit_from
from protocols.views.plan import asked_plan, draft_refused
from protocols.views.refusals import Refused, from_the_plan


@requires(Permission.PLAN_SIGN)
@from_the_plan
def plan_sign(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = asked_plan(request, public_id)

    def act() -> None:
        password = request.POST.get("password", "")
        sign_plan(plan=plan, revision=edit_from(request.POST)[0], password=password, by=request.user)

    def done() -> HttpResponse:
        show_toast(request, _("Plan %(number)s is signed.") % {"number": plan.display_number})
        return redirect("protocols:plan", public_id)

    def refused(refusal: DomainError) -> HttpResponse:
        if refusal.field != "password":
            return refused_on_top(request, plan, refusal)
        plan.refresh_from_db()
        return refused_answer(request, plan, refusal, Refused(sign=str(refusal)))

    return answered(
        request,
        plan,
        act,
        (SecondCalculationDisagrees, lambda refusal: Refused(sign=str(refusal), may_undo=refusal.may_undo)),
        ((NotReadyToSign, InvalidInput), lambda refusal: Refused(sign=str(refusal))),
        (DomainError, refused),
        done=done,
    )


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_discard(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = asked_plan(request, public_id)
    discard_plan(plan=plan, by=request.user)
    show_toast(request, _("The draft was discarded. It stays on record."))
    return redirect("sessions:patient", plan.patient.public_id)


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_take_over(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = asked_plan(request, public_id)
    take_over_plan(plan=plan, by=request.user)
    show_toast(request, _("You are responsible for this draft now. Acknowledge its cautions yourself."))
    return redirect("protocols:plan", public_id)


@requires(Permission.PLAN_WRITE)
@require_http_methods(["GET", "POST"])
def plan_stop(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Why the plan is not carried on, and what becomes of each visit ahead."""
    plan = asked_plan(request, public_id)
    now = timezone.now()
    ahead = [date for date in session_dates(plan) if date["starts_at"] > now]
    form = StopForm(request.POST if request.method == "POST" else None, ahead=bool(ahead))
    if not can_stop_plan(plan, by=request.user):
        raise InvalidTransition(_("Only a signed plan that is not finished can be stopped."))
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            stop_plan(
                plan=plan,
                reason_code=data["reason_code"],
                note=data["note"],
                cancel_visits=data["visits"] == "cancel",
                by=request.user,
            )
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            show_toast(request, _("Plan %(number)s is stopped.") % {"number": plan.display_number})
            return redirect("protocols:plan", public_id)
    context = {
        "plan": plan,
        "strip": patient_strip(plan.patient, user=request.user),
        "form": form,
        "ahead": ahead,
        "amendment": plan.amendments.filter(status=PlanStatus.DRAFT).first(),
    }
    return render(request, "protocols/plan_stop.html", context, status=422 if form.errors else 200)


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_amend(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = asked_plan(request, public_id)
    try:
        amended = amend_plan(plan=plan, by=request.user)
    except NotAllowed:
        raise
    except DomainError as refusal:
        return draft_refused(request, plan.patient, refusal, amended=plan)
    return redirect("protocols:plan", amended.public_id)


@requires(Permission.PLAN_READ)
@from_the_plan
def plan_document(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Ask for a PDF of the plan; its page shows how far it is."""
    plan = asked_plan(request, public_id)
    document = request_plan_pdf(plan=plan, kind=request.POST.get("kind", "plan_patient"), by=request.user)
    return open_document(request, document)
