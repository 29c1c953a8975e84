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
from patients.record.strip import patient_strip
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
from protocols.views.answering import answered, changed_answer, conflict_answer, refused_on_top
from protocols.views.forms import edit_from
from protocols.views.plan import asked_plan, plan_page
from protocols.views.refusals import Refused, from_the_plan


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_edit(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = asked_plan(request, public_id)
    revision, edit = edit_from(request.POST)
    if edit["op"] == "set_volume" and (said := read_two_ways(edit["volume_ml"])):
        refused = _beside(edit, str(edit["ingredient"]), said)
        return plan_page(request, plan, refused=refused, status=InvalidInput.status)
    return answered(
        request,
        plan,
        lambda: edit_plan(plan=plan, revision=revision, edits=[edit], by=request.user),
        (RefusedEdits, lambda refusal: _beside_lines(plan, edit, refusal)),
        (EditCannotBeSigned, lambda refusal: _beside(edit, str(edit.get("ingredient", "")), str(refusal))),
        (StaleRevision, lambda refusal: _behind(request, plan, edit, refusal)),
        (InvalidInput, lambda refusal: _unfit(edit, refusal)),
        anchor="#cocktail",
    )


def _beside_lines(plan: Plan, edit: Mapping[str, Any], refusal: RefusedEdits) -> Refused:
    """Each refusal of the engine beside the line that it is about."""
    refused = Refused()
    for row in refusal.refusals:
        key = str(row["params"].get("ingredient") or edit.get("ingredient", ""))
        _beside(edit, key, refusal_beside(row, plan), refused)
    return refused


def _beside(edit: Mapping[str, Any], key: str, said: str, refused: Refused | None = None) -> Refused:
    """A refusal beside the volume or the swap that it is about; of any other edit above the plan."""
    refused = refused or Refused()
    if edit["op"] == "set_volume":
        refused.volumes[key] = (str(edit.get("volume_ml", "")), said)
    elif edit["op"] == "swap":
        refused.swaps[str(edit["ingredient"])] = said
    else:
        refused.top = said
    return refused


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
        return refused_on_top(request, plan, refusal)
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
    return answered(
        request,
        plan,
        lambda: explain_edit(plan=plan, revision=revision, edit=edit, by=request.user, **said),
        (InvalidInput, lambda refusal: _unfit(edit, refusal)),
        anchor="#cocktail",
    )


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
        errors = _lacking(out, into, typed)
        if not errors and (answer := _chosen(request, plan, edit_of(out, into) | typed, errors)) is not None:
            return _out_of_panel(request, answer, line=into if answer.status_code < 400 else "")
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


def _lacking(out: str, into: str, typed: Mapping[str, str]) -> dict[str, str]:
    """What has to be chosen before the engine is asked, by field."""
    if not into:
        return {"with": _("Choose what takes its place.") if out else _("Choose an ingredient.")}
    return {} if typed["reason"] else {"reason": _("Choose a reason.")}


def _chosen(
    request: ClinicRequest, plan: Plan, wanted: Mapping[str, str], errors: dict[str, str]
) -> HttpResponse | None:
    """Make the choice. None where it belongs back into the panel, with what is wrong in ``errors``."""
    edit = {key: value for key, value in wanted.items() if value}
    try:
        edit_plan(plan=plan, revision=edit_from(request.POST)[0], edits=[edit], by=request.user)
    except RefusedEdits as refusal:
        errors["with"] = " ".join(refusal_beside(row, plan) for row in refusal.refusals)
    except StaleRevision as refusal:
        return _behind(request, plan, edit, refusal)
    except InvalidInput as refusal:
        errors[_field_of_reason(refusal) or "with"] = str(refusal)
    except DomainError as refusal:
        return refused_on_top(request, plan, refusal)
    else:
        return changed_answer(request, plan, anchor="#cocktail")
    return None


def _change_panel(request: ClinicRequest, plan: Plan, context: dict[str, Any], *, status: int) -> HttpResponse:
    context |= {"plan": plan}
    if request.htmx:
        return render(request, "protocols/_change.html", context, status=status)
    return render(
        request,
        "protocols/change.html",
        context | {"strip": patient_strip(plan.patient, user=request.user)},
        status=status,
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

    def act() -> None:
        if not reason.strip() and not request.POST.get("by_stage"):
            raise InvalidInput(_("Give a reason."), field="reason")
        revision = edit_from(request.POST)[0]
        insist_on_severity(plan=plan, revision=revision, concern=concern, reason=reason, by=request.user)

    def beside(refusal: DomainError, *, top: str = "") -> Refused:
        return Refused(insist={"concern": concern, "reason": typed, "error": str(refusal)}, top=top)

    def unfit(refusal: InvalidInput) -> Refused:
        return Refused(top=str(refusal)) if refusal.field == "concern" else beside(refusal)

    def behind(refusal: StaleRevision) -> Refused:
        plan.refresh_from_db()
        return beside(refusal, top=str(refusal))

    return answered(request, plan, act, (InvalidInput, unfit), (StaleRevision, behind))


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_undo(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = asked_plan(request, public_id)
    return answered(
        request,
        plan,
        lambda: undo_edit(plan=plan, revision=edit_from(request.POST)[0], by=request.user),
        anchor="#cocktail",
    )
