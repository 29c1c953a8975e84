"""Cautions, open questions and what-if on the page of a draft."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidInput
from mesoclinic.ui.toasts import show_toast
from patients.intake.answers import InvalidAnswers
from patients.record.strip import patient_strip
from protocols.actions.answers import acknowledge, answer_open_questions, take_over_what_if
from protocols.actions.refusals import StaleRevision
from protocols.models import Plan
from protocols.models.enums import AcknowledgementReason
from protocols.pages.course import in_brief
from protocols.pages.findings import answers_beside, findings
from protocols.pages.findings import questions as questions_of
from protocols.pages.plan import Reader
from protocols.pages.reading import Reading
from protocols.permissions import can_change_plan
from protocols.plans import what_if
from protocols.views.answering import answered, changed_answer, conflict_answer, refused_on_top
from protocols.views.forms import AcknowledgeForm, WhatIfForm, edit_from, read_answers, two_ways
from protocols.views.plan import asked_plan, plan_page
from protocols.views.refusals import Refused, from_the_plan


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_acknowledge(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = asked_plan(request, public_id)
    form = AcknowledgeForm(request.POST)
    rule = request.POST.get("rule", "")
    beside = Refused(caution={rule: form})
    if not form.is_valid():
        return plan_page(request, plan, refused=beside, status=400)

    def unfit(refusal: InvalidInput) -> Refused:
        form.add_error(refusal.field, str(refusal))
        return beside

    return answered(
        request,
        plan,
        lambda: acknowledge(plan=plan, revision=edit_from(request.POST)[0], by=request.user, **form.cleaned_data),
        (InvalidInput, unfit),
        (StaleRevision, lambda refusal: _caution_behind(request, plan, form, refusal)),
        anchor="#before-signing",
    )


def _caution_behind(request: ClinicRequest, plan: Plan, form: AcknowledgeForm, refusal: StaleRevision) -> HttpResponse:
    """An acknowledgement from a page that is behind: beside what the caution says now, if it still stands."""
    plan.refresh_from_db()
    if not plan.is_draft:
        return refused_on_top(request, plan, refusal)
    data, rule = form.cleaned_data, request.POST.get("rule", "")
    said = AcknowledgementReason(data["reason_code"]).label
    found = next((row for row in findings(Reading(plan), "cautions") if row.rule == rule), None)
    return conflict_answer(
        request,
        plan,
        "plan_acknowledge",
        wanted=[": ".join(part for part in (str(said), data["note"]) if part)],
        now=[found.message if found else _("This caution does not stand any more.")],
        again=data if found else {},
        refused=Refused(caution={rule: form}),
    )


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_answer(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The answers that were typed; with “rest”, the questions left empty are settled with one reason as well."""
    plan = asked_plan(request, public_id)
    questions = questions_of(Reading(plan), "open_questions")
    if said := two_ways(request.POST, questions):
        return plan_page(request, plan, refused=Refused(answers=said, typed=request.POST.dict()), status=400)
    answers = read_answers(request.POST, questions)
    if not answers:
        refused = Refused(answers={"": _("Type a value, or settle the rest with a reason.")}, typed=request.POST.dict())
        return plan_page(request, plan, refused=refused, status=400)
    edits = len(plan.edits)

    def done() -> HttpResponse:
        plan.refresh_from_db()
        if len(plan.edits) < edits:
            messages.warning(request, _("An edit of yours is no longer allowed with this answer and was taken back."))
        return changed_answer(request, plan, anchor="#before-signing")

    return answered(
        request,
        plan,
        lambda: answer_open_questions(plan=plan, revision=edit_from(request.POST)[0], answers=answers, by=request.user),
        (InvalidAnswers, lambda refusal: _unfit_answers(request, refusal)),
        (StaleRevision, lambda refusal: _answers_behind(request, plan, answers, refusal)),
        done=done,
    )


def _unfit_answers(request: ClinicRequest, refusal: InvalidAnswers) -> Refused:
    lacks_reason = request.POST.get("settle") and not request.POST.get("reason", "").strip()
    errors = {"reason": _("Give a reason.")} if lacks_reason else refusal.errors
    return Refused(answers=errors, typed=request.POST.dict())


def _answers_behind(
    request: ClinicRequest, plan: Plan, answers: list[dict[str, Any]], refusal: StaleRevision
) -> HttpResponse:
    """Answers from a page that is behind: what was typed beside what the draft holds now."""
    plan.refresh_from_db()
    if not plan.is_draft:
        return refused_on_top(request, plan, refusal)
    wanted, now = answers_beside(Reading(plan), answers)
    refused = Refused(typed=request.POST.dict())
    return conflict_answer(request, plan, "plan_answer", wanted=wanted, now=now, again={}, refused=refused)


@requires(Permission.PLAN_READ)
@require_http_methods(["GET", "POST"])
def plan_what_if(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The proposal under another answer, stock or limit, beside the plan. Nothing is kept unless it is taken over."""
    plan = asked_plan(request, public_id)
    reader = Reader(plan)
    form = WhatIfForm(request.POST if request.method == "POST" else None, reader=reader)
    context: dict[str, Any] = {"plan": plan, "form": form, "reader": reader}
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            change = form.change
            if form.cleaned_data["budget"] is not None:
                change = what_if.within_budget(plan, change, form.cleaned_data["budget"])
            if not change:
                raise InvalidInput(_("Change at least one thing."))
            if request.POST.get("take_over"):
                revision = edit_from(request.POST)[0]
                take_over_what_if(plan=plan, revision=revision, change=change, by=request.user)
                show_toast(request, _("Taken over into the draft."))
                return _leave(request, reverse("protocols:plan", args=[public_id]))
            answered = what_if.ask_what_if(plan, change)
        except StaleRevision as refusal:  # what it gives on the draft as it is now, before it can be taken over
            form.add_error(None, str(refusal))
            if plan.is_draft:
                context |= _two_sides(request, reader, change, what_if.ask_what_if(plan, change))
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            details = {"facts": sorted(change.facts), "stock": sorted(change.stock), "policy": sorted(change.policy)}
            trail.record("plan.what_if_asked", by=request.user, target=plan, patient=plan.patient, details=details)
            context |= _two_sides(request, reader, change, answered)
    if form.errors:
        status = 400
    if request.method == "GET":
        trail.record("plan.viewed", by=request.user, target=plan, patient=plan.patient)
    if request.htmx:
        return render(request, "protocols/_what_if.html", context, status=status)
    return render(
        request,
        "protocols/what_if.html",
        context | {"strip": patient_strip(plan.patient, user=request.user)},
        status=status,
    )


def _two_sides(
    request: ClinicRequest, reader: Reader, change: what_if.Change, answered: what_if.Answered
) -> dict[str, Any]:
    plan = reader.plan
    return {
        "answered": answered,
        "sides": [in_brief(answered.old), in_brief(answered.new)],
        "may_take_over": can_change_plan(plan, by=request.user) and what_if.may_be_taken_over(plan, change),
        "why_not": what_if.why_not_taken_over(plan, change),
    }


def _leave(request: ClinicRequest, url: str) -> HttpResponse:
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return redirect(url)
