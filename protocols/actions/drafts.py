"""Draft a plan, amend it, and edit a draft by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from patients.models import Intake, Patient, PatientStatus
from patients.queries import latest_submitted_intake
from protocols.actions.keeping import (
    NOTE_LENGTH,
    basis_of_computing,
    check_second_calculation,
    check_shown,
    compute_keeping,
    compute_refusing,
    explained_note,
    is_writable,
    keep_computed,
)
from protocols.actions.refusals import (
    RefusedEdits,
    StaleRevision,
)
from protocols.engine.edits import EDIT_FIELDS
from protocols.formulary.queries import built_formulary, required_formulary
from protocols.models import (
    FormularyVersion,
    OpenAnswer,
    Plan,
)
from protocols.models.enums import (
    EDIT_NOTE_NEEDED,
    EditReason,
    PlanStatus,
)
from protocols.permissions import (
    check_can_amend_plan,
    check_can_change_plan,
    check_can_draft_plan,
)
from protocols.plans.basis import case_for, intake_obstacles, unheard_obstacles
from protocols.plans.computing import (
    REASONING,
    bare_edit,
    clinic_policy,
    merged,
)
from protocols.plans.queries import drafts_of, in_force_sentence, plan_in_force, values_given_on


@transaction.atomic
def create_plan(*, patient: Patient, by: User) -> Plan:
    """A draft computed from the latest submitted intake, the formulary in force and the clinic's policy."""
    check_can_draft_plan(patient, by=by)
    latest = Plan.objects.filter(patient=patient).aggregate(number=Max("number"))["number"] or 0
    plan = _draft(patient=patient, number=latest + 1, version=1, supersedes=None, edits=(), by=by)
    trail.record("plan.drafted", by=by, target=plan, patient=patient, details=basis_of_computing(plan))
    return plan


@transaction.atomic
def amend_plan(*, plan: Plan, by: User) -> Plan:
    """A new version of a signed plan, as a draft.

    It rests on the newest intake and the formulary in force, with those of the old edits that still hold; whether to
    wait is decided anew.
    The old version stays as it is until the new one is signed.
    """
    check_can_amend_plan(plan, by=by)
    if plan.amendments.exclude(status=PlanStatus.DISCARDED).exists():
        raise InvalidTransition(_("This plan has an amendment already."))
    versions = Plan.objects.filter(patient=plan.patient, number=plan.number)
    version = (versions.aggregate(version=Max("version"))["version"] or 0) + 1
    amended = _draft(
        patient=plan.patient,
        number=plan.number,
        version=version,
        supersedes=plan,
        edits=[edit for edit in plan.edits if edit["op"] != "wait"],
        by=by,
    )
    trail.record(
        "plan.amendment_drafted",
        by=by,
        target=amended,
        patient=plan.patient,
        details=basis_of_computing(amended) | {"supersedes": str(plan.public_id)},
    )
    return amended


def _draft(
    *,
    patient: Patient,
    number: int,
    version: int,
    supersedes: Plan | None,
    edits: Sequence[Mapping[str, Any]],
    by: User,
) -> Plan:
    patient = Patient.objects.select_for_update().get(pk=patient.pk)
    _check_may_begin(patient, supersedes=supersedes)
    formulary = required_formulary()
    intake, case = _case_of_newest_intake(patient, formulary)
    _insist_again(case, supersedes)
    carried = values_given_on(intake, case)
    for answer in carried:
        case["facts"][answer.fact] = answer.value
        case["waived"].pop(answer.fact, None)
    computed = compute_keeping(case=case, version=formulary, policy=clinic_policy(), language=by.language, edits=edits)
    try:
        with transaction.atomic():
            plan = Plan.objects.create(
                patient=patient,
                intake=intake,
                formulary=formulary,
                number=number,
                version=version,
                supersedes=supersedes,
                language=by.language,
                kind=computed.kind,
                case=computed.case,
                policy=computed.policy,
                engine_version=computed.engine_version,
                proposal=computed.proposal,
                edits=computed.edits,
                result=computed.result,
                created_by=by,
                responsible=by,
            )
            OpenAnswer.objects.bulk_create(
                OpenAnswer(plan=plan, fact=row.fact, kind=row.kind, value=row.value, by=row.by, at=row.at)
                for row in carried
            )
            return plan
    except IntegrityError as error:
        raise InvalidTransition(_("A draft of a plan is open already. Sign it or discard it first.")) from error


def _check_may_begin(patient: Patient, *, supersedes: Plan | None) -> None:
    """Refuse a draft for somebody who left, beside another draft, or beside a plan in force that it does not amend."""
    if patient.status != PatientStatus.ACTIVE:
        raise InvalidTransition(_("This patient is no longer in the clinic's care: no new plan."))
    if drafts_of(patient).exists():
        raise InvalidTransition(_("A draft of a plan is open already. Sign it or discard it first."))
    if other := plan_in_force(patient, besides=supersedes.pk if supersedes else None):
        raise InvalidTransition(in_force_sentence(other))


def _case_of_newest_intake(patient: Patient, formulary: FormularyVersion) -> tuple[Intake, dict[str, Any]]:
    """The newest submitted intake and the case that the formulary reads in it; refused where it no longer stands."""
    intake = latest_submitted_intake(patient)
    today = timezone.localdate(timezone=patient.site.tz)
    built = built_formulary(formulary)
    if refused := intake_obstacles(patient, intake, formulary=built, on=today):
        raise InvalidTransition(" ".join(refused))
    if intake is None:
        raise InvalidTransition(_("There is no submitted intake yet. Fill one in first: the plan is computed from it."))
    fitted = case_for(intake, built, on=today)
    if refused := unheard_obstacles(fitted.unheard, built):
        raise InvalidTransition(" ".join(refused))
    return intake, fitted.case


def _insist_again(case: dict[str, Any], before: Plan | None) -> None:
    """A severity that was insisted on stays, as long as the intake still gives the concern that severity."""
    held = {(row["concern"], row["severity"]): row.get("insisted") for row in before.case["concerns"]} if before else {}
    for row in case["concerns"]:
        if reason := held.get((row["concern"], row["severity"])):
            row["insisted"] = reason


@transaction.atomic
def insist_on_severity(*, plan: Plan, revision: int, concern: str, reason: str, by: User) -> Plan:
    """Hold to the severity that was chosen for a concern although its stage says another; without a reason, let go.

    The draft is computed anew, with those of its edits that still hold. Raise InvalidInput where no stage overrules
    the severity, or where the reason cannot be kept.
    """
    check_can_change_plan(plan, by=by)
    check_shown(plan, revision=revision)
    row = next((row for row in plan.result["concerns"] if row["concern"] == concern), None)
    if row is None or row.get("staged_severity") in (None, row["recorded_severity"]):
        raise InvalidInput(_("No stage overrules the severity of this concern."), field="concern")
    if not is_writable(reason) or "\x00" in reason:
        raise InvalidInput(_("This cannot be read."), field="reason")
    reason = " ".join(reason.split())
    if len(reason) > NOTE_LENGTH:
        raise InvalidInput(_("Shorten the reason to %(length)d characters.") % {"length": NOTE_LENGTH}, field="reason")
    if not reason and not row["insisted"]:
        raise InvalidInput(_("Give a reason."), field="reason")
    concerns = [
        {key: value for key, value in entry.items() if key != "insisted"}
        | ({"insisted": reason} if entry["concern"] == concern and reason else {})
        if entry["concern"] == concern
        else entry
        for entry in plan.case["concerns"]
    ]
    dropped = len(plan.edits)
    computed = compute_keeping(
        case={**plan.case, "concerns": concerns},
        version=plan.formulary,
        policy=plan.policy,
        language=plan.language,
        edits=plan.edits,
    )
    keep_computed(plan, computed, revision=revision)
    trail.record(
        "plan.severity_insisted" if reason else "plan.severity_by_stage",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"concern": concern, "revision": plan.revision, "edits_dropped": dropped - len(plan.edits)},
    )
    return plan


@transaction.atomic
def edit_plan(*, plan: Plan, revision: int, edits: Sequence[Mapping[str, Any]], by: User) -> Plan:
    """Add edits to a draft and compute it anew. Every one passes the engine's checks, or none is kept.

    Each may say why, by ``reason`` (EditReason) and ``note``. One that leads away from what was proposed has to, before
    the plan is signed; `explain_edit` adds it later.
    """
    check_can_change_plan(plan, by=by)
    read = [_read_edit(edit, place=f"edits[{place}]") for place, edit in enumerate(edits)]
    return _edit(plan, revision=revision, edits=merged(plan.edits, read), added=read, by=by)


@transaction.atomic
def explain_edit(*, plan: Plan, revision: int, edit: Mapping[str, Any], reason: str, note: str, by: User) -> Plan:
    """Say why an edit of the draft was made, or say it otherwise. ``edit`` names it as it is, its reason aside."""
    check_can_change_plan(plan, by=by)
    check_shown(plan, revision=revision)
    places = [place for place, row in enumerate(plan.edits) if bare_edit(row) == bare_edit(edit)]
    if not places:
        raise InvalidInput(_("This edit is not in the draft any more."), field="edit")
    note = explained_note(reason, note, among=EditReason.values, note_needed=EDIT_NOTE_NEEDED, field="reason")
    edits = [dict(row) for row in plan.edits]
    edits[places[-1]] = bare_edit(edit) | _reasoning(reason, note)
    draft = Plan.objects.filter(pk=plan.pk, status=PlanStatus.DRAFT, revision=revision)
    if not draft.update(edits=edits, revision=revision + 1):
        raise StaleRevision
    plan.refresh_from_db()
    trail.record(
        "plan.edit_explained",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"revision": plan.revision, "edit": _named(edit), "reason": reason},
    )
    return plan


def _read_edit(edit: Any, *, place: str) -> dict[str, Any]:
    """An edit with its reason as they are kept. Whether it may be made is for the engine to judge."""
    op = edit.get("op") if isinstance(edit, Mapping) else None
    if not isinstance(op, str) or op not in EDIT_FIELDS:
        raise InvalidInput(_("This is not an edit that a plan knows."), field="edits")
    bare = {key: value for key, value in edit.items() if key not in REASONING}
    if not set(bare) <= {"op", *EDIT_FIELDS[op]}:
        raise InvalidInput(_("This edit takes: %(expected)s.") % {"expected": ", ".join(EDIT_FIELDS[op])}, field=place)
    for key, value in bare.items():
        if isinstance(value, float):
            bare[key] = str(value)
        elif not (isinstance(value, int) or value is None or is_writable(value)):
            raise InvalidInput(_("This cannot be read."), field=f"{place}.{key}")
    bare = bare_edit(bare)
    reason, note = ("" if edit.get(key) is None else edit[key] for key in REASONING)
    if reason == note == "":
        return bare
    try:
        note = explained_note(reason, note, among=EditReason.values, note_needed=EDIT_NOTE_NEEDED, field="reason")
    except InvalidInput as refusal:
        raise InvalidInput(str(refusal), field=f"{place}.{refusal.field}") from refusal
    return bare | _reasoning(reason, note)


def _reasoning(reason: str, note: str) -> dict[str, str]:
    return {key: value for key, value in (("reason", reason), ("note", note)) if value}


@transaction.atomic
def undo_edit(*, plan: Plan, revision: int, by: User) -> Plan:
    """Take back the last edit."""
    check_can_change_plan(plan, by=by)
    if not plan.edits:
        raise InvalidTransition(_("There is no edit to take back."))
    return _edit(plan, revision=revision, edits=plan.edits[:-1], added=[], by=by)


def _edit(
    plan: Plan, *, revision: int, edits: Sequence[Mapping[str, Any]], added: Sequence[Mapping[str, Any]], by: User
) -> Plan:
    if plan.revision != revision:
        raise StaleRevision
    computed = compute_refusing(
        case=plan.case,
        version=plan.formulary,
        policy=plan.policy,
        language=plan.language,
        edits=edits,
        proposal=plan.proposal,
    )
    if computed.refusals:
        raise RefusedEdits(computed.refusals, _by_place(computed.refusals, edits=edits, added=added))
    if added:
        check_second_calculation(plan, computed)
    keep_computed(plan, computed, revision=revision)
    trail.record(
        "plan.edited" if added else "plan.edit_undone",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"revision": plan.revision, "edits": [_named(edit) for edit in added]},
    )
    return plan


def _by_place(
    refusals: Sequence[Mapping[str, Any]], *, edits: Sequence[Mapping[str, Any]], added: Sequence[Mapping[str, Any]]
) -> dict[str, list[str]]:
    """The engine's refusals by their place among the edits that were sent, not among all that the draft holds."""
    errors: dict[str, list[str]] = {}
    for row in refusals:
        place, _bracket, within = row["path"].removeprefix("edits[").partition("]")
        edit = edits[int(place)]
        path = f"edits[{added.index(edit)}]{within}" if edit in added else "edits"
        errors.setdefault(path, []).append(str(row["message"]))
    return errors


def _named(edit: Mapping[str, Any]) -> str:
    return " ".join(str(edit[key]) for key in ("op", "ingredient") if key in edit)
