"""Pages of the formulary and of plans: load, ask, act, render."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.core.numbers import read_two_ways
from mesoclinic.core.reading import one_of, revision_of
from mesoclinic.core.sorting import by_words
from mesoclinic.documents.views import open_document
from mesoclinic.ui.toasts import tell
from patients.intakes import InvalidAnswers
from patients.models import Patient
from patients.permissions import can_start_intake
from patients.queries import latest_submitted_intake, patients_seen_by, strip
from protocols import what_if
from protocols.actions import (
    EditCannotBeSigned,
    NotReadyToSign,
    RefusedEdits,
    SecondCalculationDisagrees,
    StaleRevision,
    acknowledge,
    amend_plan,
    answer_open_questions,
    confirm_entry,
    create_plan,
    discard_plan,
    edit_plan,
    explain_edit,
    insist_on_severity,
    load_formulary_draft,
    publish_formulary,
    set_entry_active,
    sign_plan,
    stop_plan,
    take_over_plan,
    take_over_what_if,
    undo_edit,
)
from protocols.asking import url_for_a_plan, values_not_asked
from protocols.catalogue import Catalogue, matching
from protocols.computing import bare_edit, formulary_of
from protocols.difference import Part, differences, release_notes
from protocols.documents import request_plan_pdf, session_dates
from protocols.engine import ENGINE_VERSION
from protocols.engine.earlier import speaks
from protocols.engine.edits import EDIT_FIELDS
from protocols.enums import AcknowledgementReason, EditReason, FormularyStatus, PlanStatus, StopReason
from protocols.forms import (
    AcknowledgeForm,
    CatalogueFilterForm,
    NewVersionForm,
    StopForm,
    WhatIfForm,
    edit_from,
    read_answers,
    two_ways,
)
from protocols.formulary.loader import release_label
from protocols.formulary.words import VERDICT_NAMES
from protocols.models import FormularyEntry, FormularyVersion, Ingredient, Plan, PlanStop
from protocols.permissions import (
    can_amend_plan,
    can_change_formulary,
    can_change_plan,
    can_sign_plan,
    can_stop_plan,
    check_can_change_plan,
)
from protocols.presence import Changed, last_change, mark_open
from protocols.presentation import EditRow, Reader, refusal_beside
from protocols.queries import (
    basis_obstacles,
    built_formulary,
    drafts_of,
    formulary_in_force,
    formulary_versions,
    obstacles_to_signing,
    plans_visible_to,
    release_to_load,
    unacknowledged_rules,
    unexplained_edits,
    unsettled_facts,
    version_before,
)
from protocols.replacements import NOTHING, choices, edit_of, preview

# ------------------------------------------------------------------ catalogue


@requires(Permission.FORMULARY_NAMES)
@require_GET
def catalogue(request: ClinicRequest) -> HttpResponse:
    """The ingredients of the formulary in force. Without the right to read it, their names only."""
    version = formulary_in_force()
    context: dict[str, Any] = {"version": version}
    if version is None:
        context["drafts"] = FormularyVersion.objects.filter(status=FormularyStatus.DRAFT).defer("documents").exists()
    elif request.user.may(Permission.FORMULARY_READ):
        contents = Catalogue(version)
        form = CatalogueFilterForm(request.GET, concerns=contents.concern_choices())
        rows = contents.rows()
        shown = matching(rows, **form.chosen)
        context |= {
            "form": form,
            "rows": shown,
            "total": len(rows),
            "filtered": bool(form.chosen),
            "contents": contents,
        }
    else:
        names = Ingredient.objects.filter(entries__version=version).values_list("name", flat=True)
        context["names"] = sorted(map(_, names), key=by_words)
    template = "protocols/catalogue.html" + ("#ingredient-rows" if request.htmx and "rows" in context else "")
    return render(request, template, context)


@requires(Permission.FORMULARY_READ)
@require_GET
def ingredient(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """One ingredient as one version has it: the one asked for, else the one in force, else the newest that lists it."""
    ingredient = get_object_or_404(Ingredient, public_id=public_id)
    versions = FormularyVersion.objects.defer("documents").filter(entries__ingredient=ingredient)
    version: FormularyVersion | None
    asked = request.GET.get("version", "")
    if asked:
        version = get_object_or_404(versions, label=asked)
    else:
        version = versions.filter(status=FormularyStatus.PUBLISHED).first() or versions.order_by("-created_at").first()
    if version is None:
        raise Http404
    contents = Catalogue(version)
    entry = version.entries.select_related("ingredient", "confirmed_by").get(ingredient=ingredient)
    page = contents.page(entry)
    return render(
        request,
        "protocols/ingredient.html",
        {
            "version": version,
            "entry": entry,
            "page": page,
            "products": ingredient.products.filter(is_active=True),
            "versions": versions.order_by("-created_at"),
            "may_change": can_change_formulary(version, by=request.user),
        },
    )


@requires(Permission.FORMULARY_READ)
@require_GET
def claims(request: ClinicRequest) -> HttpResponse:
    """What the web article says and how far each statement holds; for staff alone."""
    version = formulary_in_force()
    if version is None:
        return redirect("protocols:catalogue")
    contents = Catalogue(version)
    everything = contents.claims()
    verdict = request.GET.get("verdict", "")
    counts = Counter(claim.verdict for claim in everything)
    context = {
        "version": version,
        "claims": [claim for claim in everything if verdict not in VERDICT_NAMES or claim.verdict == verdict],
        "total": len(everything),
        "verdict": verdict if verdict in VERDICT_NAMES else "",
        "verdicts": [(key, words, counts[key]) for key, words in VERDICT_NAMES.items() if counts[key]],
        "traced": contents.unproven_claim(),
        "contents": contents,
    }
    return render(request, "protocols/claims.html", context)


# ------------------------------------------------------------------ versions


@requires(Permission.FORMULARY_READ)
@require_GET
def versions(request: ClinicRequest) -> HttpResponse:
    return _versions_page(request, NewVersionForm(initial={"label": release_label()}))


def _versions_page(request: ClinicRequest, form: NewVersionForm, *, status: int = 200) -> HttpResponse:
    context = {"versions": formulary_versions(), "form": form, "brought": release_to_load()}
    return render(request, "protocols/versions.html", context, status=status)


@requires(Permission.FORMULARY_WRITE)
@require_POST
def version_new(request: ClinicRequest) -> HttpResponse:
    """A draft from the formulary files that came with this release."""
    form = NewVersionForm(request.POST)
    if form.is_valid():
        sample = bool(request.clinic and request.clinic.is_sample)
        try:
            version = load_formulary_draft(label=form.cleaned_data["label"], is_sample=sample, by=request.user)
        except DomainError as refusal:
            form.add_error(refusal.field, str(refusal))
        else:
            return redirect("protocols:version", version.public_id)
    return _versions_page(request, form, status=400)


def _version_page(
    request: ClinicRequest, version: FormularyVersion, *, error: str = "", status: int = 200
) -> HttpResponse:
    contents = Catalogue(version)
    rows = contents.rows()
    waiting = [row for row in rows if row.needs_confirmation]
    context = {
        "version": version,
        "contents": contents,
        "rows": rows,
        "flagged": [row for row in rows if row.entry.confirmation_required],
        "others": [row for row in rows if not row.entry.confirmation_required],
        "waiting": waiting,
        "active_count": sum(row.entry.is_active for row in rows),
        "may_change": can_change_formulary(version, by=request.user),
        "in_force": formulary_in_force(),
        "before": version_before(version),
        "error": error,
    }
    template = "protocols/version.html" + ("#version-body" if request.htmx else "")
    return render(request, template, context, status=status)


def _version(public_id: UUID) -> FormularyVersion:
    return get_object_or_404(
        FormularyVersion.objects.defer("documents").select_related("published_by"), public_id=public_id
    )


@requires(Permission.FORMULARY_READ)
@require_GET
def version(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    return _version_page(request, _version(public_id))


@requires(Permission.FORMULARY_READ)
@require_GET
def version_changes(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """What a version says otherwise than another: by default than the one before it, or the one in force."""
    version = _version(public_id)
    others = [other for other in formulary_versions() if other.pk != version.pk]
    label = request.GET.get("than", "")
    before = next((other for other in others if other.label == label), None) or version_before(version)
    parts: list[Part] = []
    if before is not None:
        parts = differences(Catalogue(before), Catalogue(version))
    context = {
        "version": version,
        "before": before,
        "others": others,
        "notes": release_notes(Catalogue(version)),
        "parts": parts,
        "count": sum(len(part.rows) for part in parts),
    }
    return render(request, "protocols/version_changes.html", context)


def _change_entry(request: ClinicRequest, public_id: UUID, ingredient_id: UUID, change: Any) -> HttpResponse:
    version = _version(public_id)
    entries = FormularyEntry.objects.select_related("version", "ingredient").defer("version__documents")
    entry = get_object_or_404(entries, version=version, ingredient__public_id=ingredient_id)
    try:
        change(entry)
    except DomainError as refusal:
        return _version_page(request, version, error=str(refusal), status=refusal.status)
    if request.htmx:
        return _version_page(request, version)
    if request.POST.get("next") == "ingredient":
        url = reverse("protocols:ingredient", args=[ingredient_id])
        return redirect(f"{url}?version={version.label}")
    return redirect(reverse("protocols:version", args=[public_id]) + f"#entry-{entry.ingredient.key}")


@requires(Permission.FORMULARY_WRITE)
@require_POST
def entry_switch(request: ClinicRequest, public_id: UUID, ingredient_id: UUID) -> HttpResponse:
    active = one_of(request.POST, "active", ("1", "0")) == "1"
    return _change_entry(
        request, public_id, ingredient_id, lambda entry: set_entry_active(entry=entry, active=active, by=request.user)
    )


@requires(Permission.FORMULARY_WRITE)
@require_POST
def entry_confirm(request: ClinicRequest, public_id: UUID, ingredient_id: UUID) -> HttpResponse:
    return _change_entry(request, public_id, ingredient_id, lambda entry: confirm_entry(entry=entry, by=request.user))


@requires(Permission.FORMULARY_WRITE)
@require_POST
def version_publish(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    version = _version(public_id)
    try:
        publish_formulary(version=version, by=request.user)
    except DomainError as refusal:
        return _version_page(request, version, error=str(refusal), status=refusal.status)
    tell(request, _("Formulary %(label)s is in force.") % {"label": version.label})
    return redirect("protocols:version", public_id)


# ------------------------------------------------------------------ plans


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """The draft was changed since the page was shown: what was wanted, beside what it holds now."""

    wanted: list[str]
    now: list[str]
    changed: Changed | None
    url: str = ""
    resend: list[tuple[str, str]] = field(default_factory=list)  # the same once more, with the present revision


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Why a plan was stopped, for its page; a plan from before reasons were asked has none."""

    reason: str
    note: str
    name: str
    at: datetime

    @classmethod
    def of(cls, plan: Plan) -> Stopped | None:
        if plan.status != PlanStatus.STOPPED:
            return None
        row = PlanStop.objects.filter(plan=plan).select_related("by").first()
        if row is None:
            return None
        return cls(reason=str(StopReason(row.reason_code).label), note=row.note, name=row.by.name, at=row.at)


@dataclass(frozen=True, kw_only=True)
class UnfitReason:
    """A reason that was not taken: of which edit, what was typed, and what is wrong with it."""

    edit: Mapping[str, Any]
    reason: str
    note: str
    field: str  # reason | note
    error: str

    @classmethod
    def of(cls, edit: Mapping[str, Any], refusal: InvalidInput, *, field: str) -> UnfitReason:
        reason, note = str(edit.get("reason", "")), str(edit.get("note", ""))
        known = reason if reason in EditReason.values else ""
        return cls(edit=bare_edit(edit), reason=known, note=note, field=field, error=str(refusal))

    def put_beside(self, rows: list[EditRow]) -> bool:
        """Where its edit stands among these it is said there."""
        for row in rows:
            same_volume = row.edit["op"] == self.edit["op"] == "set_volume"
            if row.edit == self.edit or (same_volume and row.edit["ingredient"] == self.edit["ingredient"]):
                row.typed_reason, row.typed_note = self.reason, self.note
                setattr(row, f"error_{self.field}", self.error)
                return True
        return False


@dataclass(kw_only=True)
class Refused:
    """What a request asked for and did not get, so that it stands beside its field with what was typed."""

    top: str = ""
    sign: str = ""
    may_undo: bool = False
    volumes: dict[str, tuple[str, str]] = field(default_factory=dict)  # ingredient: what was typed, why not
    swaps: dict[str, str] = field(default_factory=dict)
    reason: UnfitReason | None = None
    caution: dict[str, AcknowledgeForm] = field(default_factory=dict)
    insist: dict[str, str] = field(default_factory=dict)  # concern, reason as typed, error
    answers: dict[str, str] = field(default_factory=dict)
    typed: dict[str, Any] = field(default_factory=dict)
    conflict: Conflict | None = None


def from_the_plan(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For what the plan's page posts. Somebody whose log-in had timed out comes back here by GET: to the plan, then."""

    @wraps(view)
    def posted(request: ClinicRequest, public_id: UUID) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            return redirect("protocols:plan", public_id)
        answer: HttpResponse = require_POST(view)(request, public_id)
        return answer

    return posted


def _plan(request: ClinicRequest, public_id: UUID) -> Plan:
    plans = plans_visible_to(request.user).select_related("intake", "formulary", "created_by", "supersedes")
    return get_object_or_404(plans.defer("formulary__documents"), public_id=public_id)


@requires(Permission.PLAN_WRITE)
@require_POST
def plan_new(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """A plan for this patient: the draft that is open already, or a new one."""
    patient: Patient = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    draft = drafts_of(patient).first()
    if draft is None:
        try:
            draft = create_plan(patient=patient, by=request.user)
        except NotAllowed:
            raise
        except DomainError as refusal:
            return _draft_refused(request, patient, refusal)
    return redirect("protocols:plan", draft.public_id)


def _ask_url(request: ClinicRequest, plan: Plan) -> str:
    """Where the reader asks what the draft's intake was never asked; empty where there is nothing to ask."""
    if not can_start_intake(plan.patient, by=request.user):
        return ""
    return url_for_a_plan(plan.patient) if values_not_asked(plan.intake, formulary_of(plan)) else ""


def _draft_refused(
    request: ClinicRequest, patient: Patient, refusal: DomainError, *, amended: Plan | None = None
) -> HttpResponse:
    """Why no draft can be made, with every way on that the reader has."""
    intake, version = latest_submitted_intake(patient), formulary_in_force()
    asks = intake is not None and version is not None and values_not_asked(intake, built_formulary(version))
    may_start = can_start_intake(patient, by=request.user)
    context = {
        "strip": strip(patient, user=request.user),
        "patient": patient,
        "amended": amended,
        "message": str(refusal),
        "intake": intake,
        "may_start_intake": may_start,
        "ask_url": url_for_a_plan(patient) if asks and may_start else "",
        "may_publish": bool(release_to_load() or version is None) and request.user.may(Permission.FORMULARY_READ),
    }
    return render(request, "protocols/plan_refused.html", context, status=refusal.status)


@requires(Permission.PLAN_EXISTS)
@require_GET
def plan(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = _plan(request, public_id)
    trail.record("plan.viewed", by=request.user, target=plan, patient=plan.patient)
    if not request.user.may(Permission.PLAN_READ):
        context = {"plan": plan, "strip": strip(plan.patient, user=request.user), "dates": session_dates(plan)}
        return render(request, "protocols/plan_exists.html", context)
    return _plan_page(request, plan)


def _plan_page(
    request: ClinicRequest, plan: Plan, *, refused: Refused | None = None, status: int = 200
) -> HttpResponse:
    refused = refused or Refused()
    reader = Reader(plan, typed=refused.typed)
    mixtures = reader.mixtures()
    for mixture in mixtures:
        for line in mixture.lines:
            line.typed, line.error = refused.volumes.get(line.key, ("", ""))
            line.error = line.error or refused.swaps.get(line.key, "")
    if refused.reason and not refused.reason.put_beside(reader.edit_rows):
        refused.top = refused.top or refused.reason.error
    may_change = can_change_plan(plan, by=request.user)
    group = request.GET.get("left", "")
    left = reader.left_out()
    shown_left = [row for row in left if not group or row.group == group]
    beside = max(5, round(1.6 * sum(len(mixture.lines) for mixture in mixtures)))  # as many as the mixture is tall
    context = {
        "plan": plan,
        "result": reader.result,
        "reader": reader,
        "strip": strip(plan.patient, user=request.user),
        "mixtures": mixtures,
        "left": shown_left,
        "left_first": shown_left[:beside],
        "left_rest": shown_left[beside:],
        "left_total": len(left),
        "left_groups": reader.left_groups(left),
        "left_group": group,
        "blocks": reader.findings("blocks"),
        "cautions": reader.findings("cautions"),
        "infos": reader.findings("infos"),
        "missing": reader.questions("missing"),
        "questions": reader.questions("open_questions"),
        "alternatives": (alternatives := reader.alternatives()),
        "waits_first": bool(alternatives) and alternatives[0].get("waits") and bool(alternatives[0]["because"]),
        "reasons": AcknowledgementReason.choices,
        "edit_reasons": EditReason.choices,
        "dates": session_dates(plan) if plan.is_signed else [],
        "no_longer_stands": basis_obstacles(plan) if plan.is_draft else [],
        "ask_url": _ask_url(request, plan) if plan.is_draft else "",
        "open_cautions": len(unacknowledged_rules(plan)) if plan.is_draft else 0,
        "open_questions": len(unsettled_facts(plan)) if plan.is_draft else 0,
        "open_reasons": len(unexplained_edits(plan)) if plan.is_draft else 0,
        "by_hand": _by_hand(plan),
        "obstacles": obstacles_to_signing(plan) if plan.is_draft else [],
        "may_change": may_change,
        "may_sign": can_sign_plan(plan, by=request.user),
        "may_stop": can_stop_plan(plan, by=request.user),
        "stop": Stopped.of(plan),
        "may_amend": can_amend_plan(plan, by=request.user),
        "may_ask": plan.engine_version == ENGINE_VERSION,
        "mine": plan.responsible_id == request.user.pk,
        "refused": refused,
        "present": mark_open(plan, user=request.user, writes=may_change) if plan.is_draft else [],
        "seen_revision": plan.revision,
        "changed_since": False,
        "differences": _differences(plan),
        "left_behind": _left_behind(plan),
        "amended_by": plan.amendments.exclude(status=PlanStatus.DISCARDED).first(),
    }
    template = "protocols/plan_swap.html" if request.htmx else "protocols/plan.html"
    return render(request, template, context, status=status)


def _differences(plan: Plan) -> list[str] | None:
    """What an amendment changes, in words; None where there is nothing to compare it with."""
    before = plan.supersedes
    if before is None or not (speaks(plan.engine_version) and speaks(before.engine_version)):
        return None
    return [*what_if.in_words(before.result, plan.result, plan), *Reader(plan).edit_changes(before)]


def _left_behind(plan: Plan) -> list[tuple[Plan, list[dict[str, Any]]]]:
    """The versions that this one has replaced and under which visits are still booked, with these."""
    found, older, today = [], plan.supersedes, timezone.localdate(timezone=plan.patient.site.tz)
    while older is not None and plan.status in PlanStatus.IN_FORCE:
        if ahead := [row for row in session_dates(older) if row["starts_at"].date() >= today]:
            found.append((older, ahead))
        older = older.supersedes
    return found


def _by_hand(plan: Plan) -> list[str]:
    """What the edits come to, all together, beside what was proposed."""
    if not plan.edits or plan.waits or not speaks(plan.engine_version):
        return []
    return what_if.in_words(plan.proposal, plan.result, plan)


def _changed(request: ClinicRequest, plan: Plan, *, anchor: str = "") -> HttpResponse:
    """After a change: the panes for htmx, the page for a plain form."""
    if request.htmx:
        return _plan_page(request, plan)
    return redirect(reverse("protocols:plan", args=[plan.public_id]) + anchor)


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_edit(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = _plan(request, public_id)
    revision, edit = edit_from(request.POST)
    if edit["op"] == "set_volume" and (said := read_two_ways(edit["volume_ml"])):
        refused = Refused()
        refused.volumes[str(edit["ingredient"])] = (str(edit["volume_ml"]), said)
        return _plan_page(request, plan, refused=refused, status=InvalidInput.status)
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
        return _plan_page(request, plan, refused=refused, status=refusal.status)
    except EditCannotBeSigned as refusal:
        refused, key = Refused(), str(edit.get("ingredient", ""))
        if edit["op"] == "set_volume":
            refused.volumes[key] = (str(edit["volume_ml"]), str(refusal))
        elif edit["op"] == "swap":
            refused.swaps[key] = str(refusal)
        else:
            refused.top = str(refusal)
        return _plan_page(request, plan, refused=refused, status=refusal.status)
    except StaleRevision as refusal:
        return _behind(request, plan, edit, refusal)
    except InvalidInput as refusal:
        return _plan_page(request, plan, refused=_unfit(edit, refusal), status=refusal.status)
    except DomainError as refusal:
        plan.refresh_from_db()
        return _plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    return _changed(request, plan, anchor="#cocktail")


def _field_of_reason(refusal: DomainError) -> str:
    """“reason” or “note” where that is what was refused, wherever the edit stood; else empty."""
    field = (refusal.field or "").rpartition(".")[2]
    return field if field in ("reason", "note") else ""


def _unfit(edit: Mapping[str, Any], refusal: InvalidInput) -> Refused:
    field = _field_of_reason(refusal)
    return Refused(reason=UnfitReason.of(edit, refusal, field=field)) if field else Refused(top=str(refusal))


def _behind(request: ClinicRequest, plan: Plan, edit: Mapping[str, Any], refusal: StaleRevision) -> HttpResponse:
    """An edit from a page that is behind: beside what the draft holds now, with a button to make it all the same."""
    plan.refresh_from_db()
    if edit.get("op") not in EDIT_FIELDS or not plan.is_draft:
        return _plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    reader = Reader(plan)
    return _conflict(
        request, plan, "plan_edit", wanted=[reader.edit_in_words(edit)], now=reader.as_it_is(edit), again=edit
    )


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_explain(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Why an edit of the draft was made."""
    plan = _plan(request, public_id)
    revision, edit = edit_from(request.POST)
    said = {"reason": str(edit.get("reason", "")), "note": str(edit.get("note", ""))}
    try:
        explain_edit(plan=plan, revision=revision, edit=edit, by=request.user, **said)
    except InvalidInput as refusal:
        return _plan_page(request, plan, refused=_unfit(edit, refusal), status=refusal.status)
    except DomainError as refusal:
        plan.refresh_from_db()
        return _plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    return _changed(request, plan, anchor="#cocktail")


@requires(Permission.PLAN_WRITE)
@require_http_methods(["GET", "POST"])
def plan_change(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Another ingredient in the place of one, none in its place, or one more: what each would do, and the choice made.

    With ``look`` only what the choice would change is shown. Without script this is a page of its own.
    """
    plan = _plan(request, public_id)
    check_can_change_plan(plan, by=request.user)
    data = request.POST if request.method == "POST" else request.GET
    out, into = data.get("ingredient", ""), data.get("with", "")
    if plan.result["status"] != "proposed":
        return _change_panel(request, plan, {"gone": _("There is no plan to edit.")}, status=409)
    reader = Reader(plan)
    if out and out not in reader.plan_ingredients():
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
                answer = _plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
                return _out_of_panel(request, answer)
            else:
                return _out_of_panel(request, _changed(request, plan, anchor="#cocktail"), line=into)
    trail.record("plan.viewed", by=request.user, target=plan, patient=plan.patient)
    seen = preview(plan, out=out, into=into) if into else None
    if request.htmx and request.method == "GET" and data.get("look"):
        return render(request, "protocols/_change_preview.html", {"preview": seen})
    context = {
        "gone": "",
        "out": out,
        "line": next((line for mixture in reader.mixtures() for line in mixture.lines if line.key == out), None),
        "chosen": into,
        "nothing": NOTHING,
        "choices": choices(plan, reader, out=out),
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


def _conflict(
    request: ClinicRequest,
    plan: Plan,
    name: str,
    *,
    wanted: list[str],
    now: list[str],
    again: Mapping[str, Any],
    refused: Refused | None = None,
) -> HttpResponse:
    """The draft as it is now, with what was wanted above it and a button to do it all the same."""
    refused = refused or Refused()
    refused.conflict = Conflict(
        wanted=wanted,
        now=now,
        changed=last_change(plan),
        url=reverse(f"protocols:{name}", args=[plan.public_id]),
        resend=[(key, str(value)) for key, value in again.items() if value not in (None, "")],
    )
    return _plan_page(request, plan, refused=refused, status=StaleRevision.status)


@requires(Permission.PLAN_READ)
@require_GET
def plan_presence(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Who else has the draft open, and whether it was changed since the page was shown. The page asks each minute."""
    plan = _plan(request, public_id)
    seen = revision_of(request.GET)
    seen_revision = plan.revision if seen < 0 else seen
    changed_since = seen_revision != plan.revision or not plan.is_draft
    writes = can_change_plan(plan, by=request.user)
    context = {
        "plan": plan,
        "present": mark_open(plan, user=request.user, writes=writes) if plan.is_draft else [],
        "seen_revision": seen_revision,
        "changed_since": changed_since,
        "changed": last_change(plan) if changed_since else None,
    }
    return render(request, "protocols/_presence.html", context)


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_insist(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Hold to the severity chosen for a concern although its stage says another, or let the stage decide again."""
    plan = _plan(request, public_id)
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
        return _plan_page(request, plan, refused=refused, status=refusal.status)
    except StaleRevision as refusal:
        plan.refresh_from_db()
        refused = Refused(insist={"concern": concern, "reason": typed, "error": str(refusal)}, top=str(refusal))
        return _plan_page(request, plan, refused=refused, status=refusal.status)
    except DomainError as refusal:
        plan.refresh_from_db()
        return _plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    return _changed(request, plan)


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_undo(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = _plan(request, public_id)
    try:
        undo_edit(plan=plan, revision=edit_from(request.POST)[0], by=request.user)
    except DomainError as refusal:
        plan.refresh_from_db()
        return _plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    return _changed(request, plan, anchor="#cocktail")


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_acknowledge(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = _plan(request, public_id)
    form = AcknowledgeForm(request.POST)
    rule = request.POST.get("rule", "")
    if form.is_valid():
        try:
            revision = edit_from(request.POST)[0]
            acknowledge(plan=plan, revision=revision, by=request.user, **form.cleaned_data)
        except InvalidInput as refusal:
            form.add_error(refusal.field, str(refusal))
        except StaleRevision as refusal:
            plan.refresh_from_db()
            if not plan.is_draft:
                return _plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
            said = AcknowledgementReason(form.cleaned_data["reason_code"]).label
            found = next((row for row in Reader(plan).findings("cautions") if row.rule == rule), None)
            return _conflict(
                request,
                plan,
                "plan_acknowledge",
                wanted=[": ".join(part for part in (str(said), form.cleaned_data["note"]) if part)],
                now=[found.message if found else _("This caution does not stand any more.")],
                again=form.cleaned_data if found else {},
                refused=Refused(caution={rule: form}),
            )
        except DomainError as refusal:
            plan.refresh_from_db()
            return _plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    if form.errors:
        return _plan_page(request, plan, refused=Refused(caution={rule: form}), status=400)
    return _changed(request, plan, anchor="#before-signing")


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_answer(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The answers that were typed; with “rest”, the questions left empty are settled with one reason as well."""
    plan = _plan(request, public_id)
    questions = Reader(plan).questions("open_questions")
    if said := two_ways(request.POST, questions):
        return _plan_page(request, plan, refused=Refused(answers=said, typed=request.POST.dict()), status=400)
    answers = read_answers(request.POST, questions)
    if not answers:
        refused = Refused(answers={"": _("Type a value, or settle the rest with a reason.")}, typed=request.POST.dict())
        return _plan_page(request, plan, refused=refused, status=400)
    edits = len(plan.edits)
    try:
        answer_open_questions(plan=plan, revision=edit_from(request.POST)[0], answers=answers, by=request.user)
    except InvalidAnswers as refusal:
        refused = Refused(answers=refusal.errors, typed=request.POST.dict())
        if request.POST.get("settle") and not request.POST.get("reason", "").strip():
            refused.answers = {"reason": _("Give a reason.")}
        return _plan_page(request, plan, refused=refused, status=refusal.status)
    except StaleRevision as refusal:
        plan.refresh_from_db()
        if not plan.is_draft:
            return _plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
        wanted, now = Reader(plan).answers_beside(answers)
        refused = Refused(typed=request.POST.dict())
        return _conflict(request, plan, "plan_answer", wanted=wanted, now=now, again={}, refused=refused)
    except DomainError as refusal:
        plan.refresh_from_db()
        return _plan_page(request, plan, refused=Refused(top=str(refusal)), status=refusal.status)
    plan.refresh_from_db()
    if len(plan.edits) < edits:
        messages.warning(request, _("An edit of yours is no longer allowed with this answer and was taken back."))
    return _changed(request, plan, anchor="#before-signing")


@requires(Permission.PLAN_READ)
@require_http_methods(["GET", "POST"])
def plan_what_if(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The proposal under another answer, stock or limit, beside the plan. Nothing is kept unless it is taken over."""
    plan = _plan(request, public_id)
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
                tell(request, _("Taken over into the draft."))
                return _leave(request, reverse("protocols:plan", args=[public_id]))
            answered = what_if.ask(plan, change)
        except StaleRevision as refusal:  # what it gives on the draft as it is now, before it can be taken over
            form.add_error(None, str(refusal))
            if plan.is_draft:
                context |= _two_sides(request, reader, change, what_if.ask(plan, change))
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
        request, "protocols/what_if.html", context | {"strip": strip(plan.patient, user=request.user)}, status=status
    )


def _two_sides(
    request: ClinicRequest, reader: Reader, change: what_if.Change, answered: what_if.Answered
) -> dict[str, Any]:
    plan = reader.plan
    return {
        "answered": answered,
        "sides": [reader.in_brief(answered.old), reader.in_brief(answered.new)],
        "may_take_over": can_change_plan(plan, by=request.user) and what_if.may_be_taken_over(plan, change),
        "why_not": what_if.why_not_taken_over(plan, change),
    }


def _leave(request: ClinicRequest, url: str) -> HttpResponse:
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return redirect(url)


@requires(Permission.PLAN_SIGN)
@from_the_plan
def plan_sign(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = _plan(request, public_id)
    try:
        sign_plan(
            plan=plan, revision=edit_from(request.POST)[0], password=request.POST.get("password", ""), by=request.user
        )
    except SecondCalculationDisagrees as refusal:
        refused = Refused(sign=str(refusal), may_undo=refusal.may_undo)
        return _plan_page(request, plan, refused=refused, status=refusal.status)
    except (NotReadyToSign, InvalidInput) as refusal:
        return _plan_page(request, plan, refused=Refused(sign=str(refusal)), status=refusal.status)
    except DomainError as refusal:
        plan.refresh_from_db()
        top = Refused(sign=str(refusal)) if refusal.field == "password" else Refused(top=str(refusal))
        return _plan_page(request, plan, refused=top, status=refusal.status)
    tell(request, _("Plan %(number)s is signed.") % {"number": plan.display_number})
    return redirect("protocols:plan", public_id)


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_discard(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = _plan(request, public_id)
    discard_plan(plan=plan, by=request.user)
    tell(request, _("The draft was discarded. It stays on record."))
    return redirect("sessions:patient", plan.patient.public_id)


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_take_over(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = _plan(request, public_id)
    take_over_plan(plan=plan, by=request.user)
    tell(request, _("You are responsible for this draft now. Acknowledge its cautions yourself."))
    return redirect("protocols:plan", public_id)


@requires(Permission.PLAN_WRITE)
@require_http_methods(["GET", "POST"])
def plan_stop(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Why the plan is not carried on, and what becomes of each visit ahead."""
    plan = _plan(request, public_id)
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
            tell(request, _("Plan %(number)s is stopped.") % {"number": plan.display_number})
            return redirect("protocols:plan", public_id)
    context = {
        "plan": plan,
        "strip": strip(plan.patient, user=request.user),
        "form": form,
        "ahead": ahead,
        "amendment": plan.amendments.filter(status=PlanStatus.DRAFT).first(),
    }
    return render(request, "protocols/plan_stop.html", context, status=422 if form.errors else 200)


@requires(Permission.PLAN_WRITE)
@from_the_plan
def plan_amend(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    plan = _plan(request, public_id)
    try:
        amended = amend_plan(plan=plan, by=request.user)
    except NotAllowed:
        raise
    except DomainError as refusal:
        return _draft_refused(request, plan.patient, refusal, amended=plan)
    return redirect("protocols:plan", amended.public_id)


@requires(Permission.PLAN_READ)
@from_the_plan
def plan_document(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Ask for a PDF of the plan; its page shows how far it is."""
    plan = _plan(request, public_id)
    document = request_plan_pdf(plan=plan, kind=request.POST.get("kind", "plan_patient"), by=request.user)
    return open_document(request, document)
