"""Edits of a draft by hand, and taking them back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidInput
from mesoclinic.core.numbers import read_two_ways
from patients.record.strip import strip
from protocols.actions.drafts import edit_plan, explain_edit, insist_on_severity, undo_edit
from protocols.actions.refusals import EditCannotBeSigned, RefusedEdits, StaleRevision
from protocols.engine.edits import EDIT_FIELDS
from protocols.models import Plan
from protocols.models.enums import EditReason
from protocols.pages.edits import as_it_is, edit_in_words, refusal_beside
from protocols.pages.mixtures import mixtures
from protocols.pages.reading import Reading, UnfitReason
from protocols.pages.replacements import NOTHING, choices, edit_of, preview
from protocols.permissions import check_can_change_plan
from protocols.views.answers import changed_answer, conflict_answer
from protocols.views.forms import edit_from
from protocols.views.plan import asked_plan, plan_page
from protocols.views.refusals import Refused, from_the_plan


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_edit(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = asked_plan(request, public_id)
    revision, edit = edit_from(request.POST)
    if edit["op"] == "set_volume" and (said := read_two_ways(edit["volume_ml"])):
        refused = Refused()
        refused.volumes[str(edit["ingredient"])] = (str(edit["volume_ml"]), said)
        return plan_page(request, plan, refused=refused, status=InvalidInput.status)
    try:
        edit_plan(plan=plan, revision=revision, edits=[edit], by=request.user)
    except RefusedEdits as refusal:
        refused, typed = Refused(), str(edit.get("volume_ml", ""))
        for row in refusal.refusals:
            key = str(row["params"].get("ingredient") or edit.get("ingredient", ""))
            said = refusal_beside(row, plan)
            if edit["op"] == "set_volume":
                refused.volumes[key] = (typed, said)
            elif edit["op"] == "swap":
                refused.swaps[str(edit["ingredient"])] = said
            else:
                refused.top = said
        return plan_page(request, plan, refused=refused, status=refusal.status)
    except EditCannotBeSigned as refusal:
        refused, key = Refused(), str(edit.get("ingredient", ""))
        if edit["op"] == "set_volume":
            refused.volumes[key] = (str(edit["volume_ml"]), str(refusal))
        elif edit["op"] == "swap":
            refused.swaps[key] = str(refusal)
        else:
            refused.top = str(refusal)
        return plan_page(request, plan, refused=refused, status=refusal.status)
    except StaleRevision as refusal:
        return _behind(request, plan, edit, refusal)
    except InvalidInput as refusal:
        return plan_page(request, plan, refused=_unfit(edit, refusal), status=refusal.status)
    except DomainError as refusal:
        plan.refresh_from_db()
        return plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    return changed_answer(request, plan, anchor="#cocktail")


def _field_of_reason(refusal: DomainError) -> str:
    """“reason” or “note” where that is what was refused, wherever the edit stood; else empty."""
    field = (refusal.field or "").rpartition(".")[2]
    return field if field in ("reason", "note") else ""


def _unfit(edit: Mapping[str, Any], refusal: InvalidInput) -> Refused:
    field = _field_of_reason(refusal)
    return Refused(reason=UnfitReason.of(edit, str(refusal), field=field)) if field else Refused(top=str(refusal))


def _behind(request: ClinicRequest, plan: Plan, edit: Mapping[str, Any], refusal: StaleRevision) -> HttpResponse:
    """An edit from a page that is behind: beside what the draft holds now, with a button to make it all the same."""
    plan.refresh_from_db()
    if edit.get("op") not in EDIT_FIELDS or not plan.is_draft:
        return plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    reading = Reading(plan)
    return conflict_answer(
        request, plan, "plan_edit", wanted=[edit_in_words(reading, edit)], now=as_it_is(reading, edit), again=edit
    )


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_explain(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Why an edit of the draft was made."""
    plan = asked_plan(request, public_id)
    revision, edit = edit_from(request.POST)
    said = {"reason": str(edit.get("reason", "")), "note": str(edit.get("note", ""))}
    try:
        explain_edit(plan=plan, revision=revision, edit=edit, by=request.user, **said)
    except InvalidInput as refusal:
        return plan_page(request, plan, refused=_unfit(edit, refusal), status=refusal.status)
    except DomainError as refusal:
        plan.refresh_from_db()
        return plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    return changed_answer(request, plan, anchor="#cocktail")


@requires(Permission.PLAN_WRITE)
@require_http_methods(["GET", "POST"])
def plan_change(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Another ingredient in the place of one, none in its place, or one more: what each would do, and the choice made.

    With ``look`` only what the choice would change is shown. Without script this is a page of its own.
    """
    plan = asked_plan(request, public_id)
    check_can_change_plan(plan, by=request.user)
    data = request.POST if request.method == "POST" else request.GET
    out, into = data.get("ingredient", ""), data.get("with", "")
    if plan.result["status"] != "proposed":
        return _change_panel(request, plan, {"gone": _("There is no plan to edit.")}, status=409)
    reading = Reading(plan)
    if out and out not in reading.ingredients:
        return _change_panel(request, plan, {"gone": _("This ingredient is not in the mixture any more.")}, status=409)
    typed = {name: data.get(name, "").strip() for name in ("reason", "note")}
    errors: dict[str, str] = {}
    if request.method == "POST" and not data.get("look"):
        edit = {key: value for key, value in (edit_of(out, into) | typed).items() if value}
        if not into:
            errors["with"] = _("Choose what takes its place.") if out else _("Choose an ingredient.")
        elif not typed["reason"]:
            errors["reason"] = _("Choose a reason.")
        else:
            try:
                edit_plan(plan=plan, revision=edit_from(data)[0], edits=[edit], by=request.user)
            except RefusedEdits as refusal:
                errors["with"] = " ".join(refusal_beside(row, plan) for row in refusal.refusals)
            except StaleRevision as refusal:
                return _out_of_panel(request, _behind(request, plan, edit, refusal))
            except InvalidInput as refusal:
                errors[_field_of_reason(refusal) or "with"] = str(refusal)
            except DomainError as refusal:
                plan.refresh_from_db()
                answer = plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
                return _out_of_panel(request, answer)
            else:
                return _out_of_panel(request, changed_answer(request, plan, anchor="#cocktail"), line=into)
    trail.record("plan.viewed", by=request.user, target=plan, patient=plan.patient)
    seen = preview(plan, out=out, into=into) if into else None
    if request.htmx and request.method == "GET" and data.get("look"):
        return render(request, "protocols/_change_preview.html", {"preview": seen})
    context = {
        "gone": "",
        "out": out,
        "line": next((line for mixture in mixtures(reading) for line in mixture.lines if line.key == out), None),
        "chosen": into,
        "nothing": NOTHING,
        "choices": choices(plan, reading, out=out),
        "preview": seen,
        "typed": typed,
        "errors": errors,
        "edit_reasons": EditReason.choices,
    }
    return _change_panel(request, plan, context, status=400 if errors else 200)


def _change_panel(request: ClinicRequest, plan: Plan, context: dict[str, Any], *, status: int) -> HttpResponse:
    context |= {"plan": plan}
    if request.htmx:
        return render(request, "protocols/_change.html", context, status=status)
    return render(
        request, "protocols/change.html", context | {"strip": strip(plan.patient, user=request.user)}, status=status
    )


def _out_of_panel(request: ClinicRequest, answer: HttpResponse, *, line: str = "") -> HttpResponse:
    """The panel's answer belongs into the plan behind it, and the panel closes."""
    if request.htmx:
        answer["HX-Retarget"], answer["HX-Reswap"] = "#plan-panes", "outerMorph"
        answer["HX-Trigger"] = json.dumps({"plan-changed": {"line": line}})
    return answer


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_insist(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Hold to the severity chosen for a concern although its stage says another, or let the stage decide again."""
    plan = asked_plan(request, public_id)
    concern, typed = request.POST.get("concern", ""), request.POST.get("reason", "")
    reason = "" if request.POST.get("by_stage") else typed
    try:
        if not reason.strip() and not request.POST.get("by_stage"):
            raise InvalidInput(_("Give a reason."), field="reason")
        revision = edit_from(request.POST)[0]
        insist_on_severity(plan=plan, revision=revision, concern=concern, reason=reason, by=request.user)
    except InvalidInput as refusal:
        refused = Refused(insist={"concern": concern, "reason": typed, "error": str(refusal)})
        if refusal.field == "concern":
            refused = Refused(top=str(refusal))
        return plan_page(request, plan, refused=refused, status=refusal.status)
    except StaleRevision as refusal:
        plan.refresh_from_db()
        refused = Refused(insist={"concern": concern, "reason": typed, "error": str(refusal)}, top=str(refusal))
        return plan_page(request, plan, refused=refused, status=refusal.status)
    except DomainError as refusal:
        plan.refresh_from_db()
        return plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    return changed_answer(request, plan)


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_undo(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = asked_plan(request, public_id)
    try:
        undo_edit(plan=plan, revision=edit_from(request.POST)[0], by=request.user)
    except DomainError as refusal:
        plan.refresh_from_db()
        return plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    return changed_answer(request, plan, anchor="#cocktail")
