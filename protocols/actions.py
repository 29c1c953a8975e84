"""Everything that changes a formulary or a plan."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Mapping, Sequence
from copy import copy
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition
from mesoclinic.login.reauthentication import confirm_password
from patients.intakes import InvalidAnswers, checked_value, intake_vocabulary
from patients.models import Patient, PatientStatus
from patients.queries import latest_submitted_intake
from protocols import transitions
from protocols.basis import case_for, intake_obstacles, unheard_obstacles
from protocols.computing import (
    REASONING,
    Computed,
    Disagreement,
    bare_edit,
    clinic_policy,
    compute,
    kept_edits,
    merged,
    verified,
)
from protocols.disagreements import in_sentences, last_edit
from protocols.documents import prepare_prints
from protocols.engine import CaseError, canonical_json
from protocols.engine.codes import without_sentences
from protocols.engine.edits import EDIT_FIELDS
from protocols.enums import (
    EDIT_NOTE_NEEDED,
    NOTE_NEEDED,
    AcknowledgementReason,
    EditReason,
    FormularyStatus,
    OpenAnswerKind,
    PlanStatus,
    StopReason,
)
from protocols.formulary.loader import load_documents
from protocols.models import Acknowledgement, FormularyEntry, FormularyVersion, Ingredient, OpenAnswer, Plan, PlanStop
from protocols.permissions import (
    cannot_become,
    check_can_acknowledge,
    check_can_amend_plan,
    check_can_change_formulary,
    check_can_change_plan,
    check_can_draft_plan,
    check_can_move_plan,
    check_can_sign_plan,
    check_can_write_formulary,
)
from protocols.proposing import explain_fault
from protocols.queries import (
    built_formulary,
    drafts_of,
    in_force_sentence,
    intake_checks,
    known_values,
    obstacles_to_signing,
    open_facts,
    plan_in_force,
    required_formulary,
    unconfirmed_entries,
    values_given_on,
)
from protocols.signing import signature, signed_content
from protocols.what_if import Change, may_be_taken_over, recomputed, why_not_taken_over

NOTE_LENGTH = 500
LABEL = re.compile(r"^[0-9A-Za-z][0-9A-Za-z._-]{0,19}$")


class UnconfirmedIngredients(DomainError):
    """A formulary cannot be published while flagged ingredients wait for the director's word."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(
            ngettext(
                "%(count)d ingredient has to be confirmed or switched off first: %(names)s.",
                "%(count)d ingredients have to be confirmed or switched off first: %(names)s.",
                len(names),
            )
            % {"count": len(names), "names": ", ".join(names)}
        )


# ------------------------------------------------------------------ formulary


@transaction.atomic
def load_formulary_draft(*, label: str, is_sample: bool, by: User) -> FormularyVersion:
    """A new draft from the formulary's files, with one entry per ingredient, switched as the files say."""
    check_can_write_formulary(by=by)
    if not LABEL.match(label):
        raise InvalidInput(_("Write a short name such as 2026.1: letters, figures, dots."), field="label")
    if FormularyVersion.objects.filter(label=label).exists():
        raise InvalidInput(_("There is a formulary %(label)s already.") % {"label": label}, field="label")
    content = canonical_json(load_documents())
    version = FormularyVersion.objects.create(
        label=label, documents=json.loads(content), sha256=hashlib.sha256(content).hexdigest(), is_sample=is_sample
    )
    items = version.documents["ingredients"]["ingredients"]
    Ingredient.objects.bulk_create(
        [Ingredient(key=item["key"], name=item["name"]) for item in items],
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["name"],
    )
    ingredients = {row.key: row for row in Ingredient.objects.filter(key__in=[item["key"] for item in items])}
    FormularyEntry.objects.bulk_create(
        FormularyEntry(
            version=version,
            ingredient=ingredients[item["key"]],
            ingredient_class=item["class"],
            role=item["role"],
            prescription_only=item["regulatory"]["prescription_only"],
            is_active=item["default_active"],
            confirmation_required=item["director_confirmation_required"],
        )
        for item in items
    )
    trail.record("formulary.drafted", by=by, target=version, details={"sha256": version.sha256, "is_sample": is_sample})
    return version


@transaction.atomic
def set_entry_active(*, entry: FormularyEntry, active: bool, by: User) -> FormularyEntry:
    """Switch an ingredient on or off in a draft. Switching off takes back its confirmation."""
    check_can_change_formulary(entry.version, by=by)
    entry.is_active = active
    if not active:
        entry.confirmed_at = entry.confirmed_by = None
    entry.save(update_fields=["is_active", "confirmed_at", "confirmed_by"])
    trail.record(
        "formulary.entry_switched_on" if active else "formulary.entry_switched_off",
        by=by,
        target=entry.version,
        details={"ingredient": entry.ingredient.key},
    )
    return entry


@transaction.atomic
def confirm_entry(*, entry: FormularyEntry, by: User) -> FormularyEntry:
    """The director has checked this ingredient against the law and the label of the product in stock."""
    check_can_change_formulary(entry.version, by=by)
    if not entry.is_active:
        raise InvalidTransition(
            _("%(name)s is switched off: switch it on before you confirm it.") % {"name": entry.ingredient.name}
        )
    waiting = FormularyEntry.objects.filter(pk=entry.pk, confirmed_at__isnull=True)
    if not waiting.update(confirmed_at=timezone.now(), confirmed_by=by):
        raise InvalidTransition(_("%(name)s is confirmed already.") % {"name": entry.ingredient.name})
    entry.refresh_from_db()
    trail.record("formulary.entry_confirmed", by=by, target=entry.version, details={"ingredient": entry.ingredient.key})
    return entry


@transaction.atomic
def publish_formulary(*, version: FormularyVersion, by: User) -> FormularyVersion:
    """Put a draft in force and retire the version before it. From then on it never changes."""
    check_can_change_formulary(version, by=by)
    waiting = list(unconfirmed_entries(version))
    if waiting:
        raise UnconfirmedIngredients([entry.ingredient.name for entry in waiting])
    now = timezone.now()
    before = FormularyVersion.objects.filter(status=FormularyStatus.PUBLISHED)
    retired = list(before.values_list("label", flat=True))
    before.update(status=FormularyStatus.RETIRED, retired_at=now)
    drafts = FormularyVersion.objects.filter(pk=version.pk, status=FormularyStatus.DRAFT)
    try:
        with transaction.atomic():
            published = drafts.update(status=FormularyStatus.PUBLISHED, published_at=now, published_by=by)
    except IntegrityError as error:
        raise InvalidTransition(_("Another version was published in this moment. Look again.")) from error
    if not published:
        raise InvalidTransition(_("Only a draft can be published."))
    version.refresh_from_db()
    trail.record(
        "formulary.published",
        by=by,
        target=version,
        details={
            "sha256": version.sha256,
            "retired": retired,
            "active": version.entries.filter(is_active=True).count(),
        },
    )
    return version


# ------------------------------------------------------------------ plans


class StaleRevision(InvalidTransition):
    """Somebody changed the draft since this page was shown; nothing was overwritten."""

    def __init__(self) -> None:
        super().__init__(_("This draft was changed in another window. Look at it as it is now, then do it again."))


class RefusedEdits(InvalidInput):
    """Edits that break a limit. ``refusals`` are the engine's: code, params (limit, rule, sources), a sentence.

    ``errors`` are their sentences by the place in what was sent: ``edits[0].volume_ml``; ``edits`` where an edit from
    before no longer goes with it.
    """

    def __init__(self, refusals: list[dict[str, Any]], errors: Mapping[str, list[str]]) -> None:
        self.refusals = refusals
        self.errors = errors
        super().__init__(" ".join(str(refusal["message"]) for refusal in refusals), field="edits")


class UnusableCase(DomainError):
    """The engine cannot read the intake; each fault is a sentence."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__(_("No plan can be computed from this intake. %(faults)s") % {"faults": " ".join(faults)})


class NotReadyToSign(DomainError):
    """What still stands between a draft and its signature, as sentences."""

    def __init__(self, obstacles: list[str]) -> None:
        self.obstacles = obstacles
        super().__init__(" ".join(obstacles))


class SecondCalculationDisagrees(NotReadyToSign):
    """The two calculations do not agree. ``places`` says about which line; ``may_undo`` whether an edit can go."""

    def __init__(self, plan: Plan, places: Sequence[Disagreement]) -> None:
        self.places = list(places)
        self.may_undo = bool(plan.edits)
        undo = [_("Undo the last edit: %(what)s.") % {"what": last_edit(plan)}] if self.may_undo else []
        super().__init__([*in_sentences(plan, places), *undo])


class EditCannotBeSigned(InvalidInput):
    """The second calculation does not agree with what an edit makes of the draft, so the edit was not taken."""

    def __init__(self, plan: Plan, places: Sequence[Disagreement]) -> None:
        self.places = list(places)
        said = [*in_sentences(plan, places), _("Nothing was changed. Choose another volume or ingredient.")]
        super().__init__(" ".join(said), field="edits")


@transaction.atomic
def create_plan(*, patient: Patient, by: User) -> Plan:
    """A draft computed from the latest submitted intake, the formulary in force and the clinic's policy."""
    check_can_draft_plan(patient, by=by)
    latest = Plan.objects.filter(patient=patient).aggregate(number=Max("number"))["number"] or 0
    plan = _draft(patient=patient, number=latest + 1, version=1, supersedes=None, edits=(), by=by)
    trail.record("plan.drafted", by=by, target=plan, patient=patient, details=_basis(plan))
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
        details=_basis(amended) | {"supersedes": str(plan.public_id)},
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
    if patient.status != PatientStatus.ACTIVE:
        raise InvalidTransition(_("This patient is no longer in the clinic's care: no new plan."))
    if drafts_of(patient).exists():
        raise InvalidTransition(_("A draft of a plan is open already. Sign it or discard it first."))
    if other := plan_in_force(patient, besides=supersedes.pk if supersedes else None):
        raise InvalidTransition(in_force_sentence(other))
    intake = latest_submitted_intake(patient)
    formulary = required_formulary()
    today = timezone.localdate(timezone=patient.site.tz)
    built = built_formulary(formulary)
    if refused := intake_obstacles(patient, intake, formulary=built, on=today):
        raise InvalidTransition(" ".join(refused))
    if intake is None:
        raise InvalidTransition(_("There is no submitted intake yet. Fill one in first: the plan is computed from it."))
    fitted = case_for(intake, built, on=today)
    if refused := unheard_obstacles(fitted.unheard, built):
        raise InvalidTransition(" ".join(refused))
    case = fitted.case
    _insist_again(case, supersedes)
    carried = values_given_on(intake, case)
    for answer in carried:
        case["facts"][answer.fact] = answer.value
        case["waived"].pop(answer.fact, None)
    computed = _compute_keeping(case=case, version=formulary, policy=clinic_policy(), language=by.language, edits=edits)
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
    _check_shown(plan, revision=revision)
    row = next((row for row in plan.result["concerns"] if row["concern"] == concern), None)
    if row is None or row.get("staged_severity") in (None, row["recorded_severity"]):
        raise InvalidInput(_("No stage overrules the severity of this concern."), field="concern")
    if not _writable(reason) or "\x00" in reason:
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
    computed = _compute_keeping(
        case={**plan.case, "concerns": concerns},
        version=plan.formulary,
        policy=plan.policy,
        language=plan.language,
        edits=plan.edits,
    )
    _store(plan, computed, revision=revision)
    trail.record(
        "plan.severity_insisted" if reason else "plan.severity_by_stage",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"concern": concern, "revision": plan.revision, "edits_dropped": dropped - len(plan.edits)},
    )
    return plan


def _basis(plan: Plan) -> dict[str, Any]:
    return {
        "intake": str(plan.intake.public_id),
        "formulary": plan.formulary.label,
        "engine": plan.engine_version,
        "status": plan.result["status"],
    }


def _compute(**inputs: Any) -> Computed:
    """Compute, with the engine's refusals as sentences of ours."""
    try:
        computed = compute(**inputs)
    except CaseError as error:
        raise UnusableCase([explain_fault(fault) for fault in error.faults]) from error
    return computed


def _compute_keeping(*, edits: Sequence[Mapping[str, Any]], **inputs: Any) -> Computed:
    try:
        return kept_edits(edits=edits, **inputs)
    except CaseError as error:
        raise UnusableCase([explain_fault(fault) for fault in error.faults]) from error


def _store(plan: Plan, computed: Computed, *, revision: int) -> None:
    """Keep a draft's new answer, unless it was changed meanwhile; acknowledgements of changed cautions fall."""
    before, volumes = _coded_cautions(plan), _volumes(plan)
    draft = Plan.objects.filter(pk=plan.pk, status=PlanStatus.DRAFT, revision=revision)
    if not draft.update(
        case=computed.case,
        proposal=computed.proposal,
        edits=computed.edits,
        result=computed.result,
        kind=computed.kind,
        engine_version=computed.engine_version,
        revision=revision + 1,
    ):
        raise StaleRevision
    plan.refresh_from_db()
    after = _coded_cautions(plan)
    poured = _volumes(plan)
    changed = [
        rule
        for rule, row in before.items()
        if after.get(rule) != row or any(volumes.get(key) != poured.get(key) for key in row["ingredients"])
    ]
    _live_acknowledgements(plan).filter(rule__in=changed).update(superseded_at=timezone.now())


def _coded_cautions(plan: Plan) -> dict[str, Any]:
    """By rule, without the sentences: another translation is no other caution."""
    return {row["rule"]: without_sentences(row) for row in plan.result["cautions"]}


def _volumes(plan: Plan) -> dict[str, list[str]]:
    """By ingredient: how much of it each mixture holds."""
    volumes: dict[str, list[str]] = {}
    for syringe in plan.result["syringes"]:
        for line in syringe["lines"]:
            volumes.setdefault(line["ingredient"], []).append(line["volume_ml"])
    return volumes


def _check_shown(plan: Plan, *, revision: int) -> None:
    """What is acknowledged or answered is what the page showed; a draft that was changed since is refused."""
    if not Plan.objects.select_for_update().filter(pk=plan.pk, status=PlanStatus.DRAFT, revision=revision).exists():
        raise StaleRevision
    if plan.revision != revision:
        plan.refresh_from_db()


def _live_acknowledgements(plan: Plan) -> QuerySet[Acknowledgement]:
    return Acknowledgement.objects.filter(plan=plan, superseded_at__isnull=True)


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
    _check_shown(plan, revision=revision)
    places = [place for place, row in enumerate(plan.edits) if bare_edit(row) == bare_edit(edit)]
    if not places:
        raise InvalidInput(_("This edit is not in the draft any more."), field="edit")
    note = _explained(reason, note, among=EditReason.values, note_needed=EDIT_NOTE_NEEDED, field="reason")
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
        elif not (isinstance(value, int) or value is None or _writable(value)):
            raise InvalidInput(_("This cannot be read."), field=f"{place}.{key}")
    bare = bare_edit(bare)
    reason, note = ("" if edit.get(key) is None else edit[key] for key in REASONING)
    if reason == note == "":
        return bare
    try:
        note = _explained(reason, note, among=EditReason.values, note_needed=EDIT_NOTE_NEEDED, field="reason")
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
    computed = _compute(
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
        _check_second_calculation(plan, computed)
    _store(plan, computed, revision=revision)
    trail.record(
        "plan.edited" if added else "plan.edit_undone",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"revision": plan.revision, "edits": [_named(edit) for edit in added]},
    )
    return plan


def _check_second_calculation(plan: Plan, computed: Computed) -> None:
    """Refuse an edit after which the plan could not be signed, by its line; nothing was stored yet."""
    after = copy(plan)
    after.case, after.result, after.edits = computed.case, computed.result, computed.edits
    after.engine_version, after.kind = computed.engine_version, computed.kind
    if not (places := verified(after)):
        return
    known = {row.path for row in verified(plan)}  # what was there before the edit is no fault of it
    if places := [row for row in places if row.path not in known]:
        raise EditCannotBeSigned(after, places)


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


@transaction.atomic
def acknowledge(*, plan: Plan, revision: int, rule: str, reason_code: str, note: str, by: User) -> Acknowledgement:
    """A caution was read, and why the plan may go on all the same. Saying it again supersedes what was said.

    Only the person who will sign reads it for the signature.
    """
    check_can_acknowledge(plan, by=by)
    _check_shown(plan, revision=revision)
    to_check = {check.rule for check in intake_checks(plan)}
    if rule not in {row["rule"] for row in plan.result["cautions"]} | to_check:
        raise InvalidInput(_("This plan has no such caution."), field="rule")
    note = _explained(
        reason_code, note, among=AcknowledgementReason.values, note_needed=NOTE_NEEDED, in_words=rule in to_check
    )
    now = timezone.now()
    _live_acknowledgements(plan).filter(rule=rule).update(superseded_at=now)
    row = Acknowledgement.objects.create(plan=plan, rule=rule, reason_code=reason_code, note=note, by=by, at=now)
    trail.record(
        "plan.acknowledged",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"rule": rule, "reason": reason_code},
    )
    return row


@transaction.atomic
def answer_open_question(
    *, plan: Plan, revision: int, fact: str, kind: str, value: Any, reason: str, by: User
) -> OpenAnswer:
    """Settle one open question: a value, or not measured or not applicable with a reason."""
    try:
        rows = answer_open_questions(
            plan=plan,
            revision=revision,
            answers=[{"fact": fact, "kind": kind, "value": value, "reason": reason}],
            by=by,
        )
    except InvalidAnswers as refusal:
        raise InvalidInput(str(refusal), field="value" if kind == OpenAnswerKind.ANSWERED else "reason") from refusal
    return rows[0]


@transaction.atomic
def answer_open_questions(
    *, plan: Plan, revision: int, answers: Sequence[Mapping[str, Any]], by: User
) -> list[OpenAnswer]:
    """Settle open questions together and compute the plan once: all of ``answers`` (fact, kind, value, reason) or none.

    A value that was given in this draft can be corrected in the same way. A fact is never refused because of an edit:
    an edit that it rules out goes instead.
    """
    check_can_change_plan(plan, by=by)
    _check_shown(plan, revision=revision)
    known = known_values(plan)
    case = {**plan.case, "facts": dict(plan.case["facts"]), "waived": dict(plan.case["waived"])}
    settled, errors = [], {}
    for answer in answers:
        fact, kind = str(answer["fact"]), str(answer["kind"])
        try:
            said = str(answer.get("reason") or "")
            value, reason = _settle(case, plan, fact, kind, answer.get("value"), said, known=known)
        except InvalidInput as refusal:
            errors[fact] = str(refusal)
        else:
            settled.append((fact, kind, value, reason))
    if errors:
        raise InvalidAnswers(errors)
    computed = _compute_keeping(
        case=case, version=plan.formulary, policy=plan.policy, language=plan.language, edits=plan.edits
    )
    now = timezone.now()
    OpenAnswer.objects.filter(plan=plan, fact__in=[row[0] for row in settled], superseded_at__isnull=True).update(
        superseded_at=now
    )
    rows = OpenAnswer.objects.bulk_create(
        OpenAnswer(plan=plan, fact=fact, kind=kind, value=value, reason=reason, by=by, at=now)
        for fact, kind, value, reason in settled
    )
    dropped = len(plan.edits) - len(computed.edits)
    _store(plan, computed, revision=plan.revision)
    trail.record(
        "plan.questions_answered",
        by=by,
        target=plan,
        patient=plan.patient,
        details={
            "answers": {fact: kind for fact, kind, _value, _reason in settled},
            "edits_dropped": dropped,
            "revision": plan.revision,
        },
    )
    return rows


def _settle(
    case: dict[str, Any],
    plan: Plan,
    fact: str,
    kind: str,
    value: Any,
    reason: str,
    *,
    known: Mapping[str, OpenAnswer],
) -> tuple[Any, str]:
    """Put one answer into the case; returns it as it is kept."""
    if fact not in open_facts(plan) and fact not in known:
        raise InvalidInput(_("This question is not open in this plan."))
    if kind not in OpenAnswerKind.values:
        raise InvalidInput(_("Choose a value, not measured, or not applicable."))
    if fact in known and kind != OpenAnswerKind.ANSWERED:
        raise InvalidInput(_("There is a value already. Correct it if it is wrong; it cannot be left out."))
    case["waived"].pop(fact, None)
    if kind == OpenAnswerKind.ANSWERED:
        case["facts"][fact] = value = _checked_answer(fact, value)
        return value, ""
    reason = " ".join(reason.split())
    if not reason:
        raise InvalidInput(_("Give a reason."))
    if len(reason) > NOTE_LENGTH:
        raise InvalidInput(_("Shorten the reason to %(length)d characters.") % {"length": NOTE_LENGTH})
    case["waived"][fact] = {"as": kind, "reason": reason}
    return None, reason


def _checked_answer(key: str, value: Any) -> Any:
    fact = intake_vocabulary().facts.get(key)
    if fact is None:
        raise InvalidInput(_("This question is not open in this plan."))
    try:
        checked = checked_value(fact, value)
    except ValueError as refusal:
        raise InvalidInput(str(refusal)) from refusal
    if isinstance(checked, dict):
        raise InvalidInput(_("Write a value, or say that it was not measured or does not apply."))
    return checked


@transaction.atomic
def take_over_what_if(*, plan: Plan, revision: int, change: Change, by: User) -> Plan:
    """Make a “what if” so: answers of open questions, and limits that are tighter than the clinic's own."""
    check_can_change_plan(plan, by=by)
    if plan.revision != revision:
        raise StaleRevision
    if not may_be_taken_over(plan, change):
        raise InvalidInput(why_not_taken_over(plan, change) or _("Nothing would be otherwise."))
    if change.policy:
        dropped = len(plan.edits)
        computed = recomputed(plan, Change(policy=change.policy))
        _store(plan, computed, revision=revision)
        trail.record(
            "plan.limits_tightened",
            by=by,
            target=plan,
            patient=plan.patient,
            details={"limits": sorted(change.policy), "edits_dropped": dropped - len(plan.edits)},
        )
    if change.facts:
        answer_open_questions(
            plan=plan,
            revision=plan.revision,
            answers=[
                {"fact": fact, "kind": OpenAnswerKind.ANSWERED, "value": value} for fact, value in change.facts.items()
            ],
            by=by,
        )
    return plan


@transaction.atomic
def take_over_plan(*, plan: Plan, by: User) -> Plan:
    """Make a colleague's draft one's own. Its cautions have to be acknowledged anew by the person who will sign."""
    check_can_change_plan(plan, by=by)
    drafts = Plan.objects.filter(pk=plan.pk, status=PlanStatus.DRAFT).exclude(responsible=by)
    if not drafts.update(responsible=by, revision=F("revision") + 1):
        raise InvalidTransition(_("This draft is yours already."))
    _live_acknowledgements(plan).update(superseded_at=timezone.now())
    plan.refresh_from_db()
    trail.record("plan.taken_over", by=by, target=plan, patient=plan.patient)
    return plan


@transaction.atomic
def discard_plan(*, plan: Plan, by: User) -> Plan:
    """Give up a draft. It stays on record."""
    check_can_change_plan(plan, by=by)
    if not Plan.objects.filter(pk=plan.pk, status=PlanStatus.DRAFT).update(status=PlanStatus.DISCARDED):
        raise InvalidTransition(_("Only a draft can be discarded."))
    plan.refresh_from_db()
    trail.record("plan.discarded", by=by, target=plan, patient=plan.patient)
    return plan


def sign_plan(*, plan: Plan, revision: int, password: str, by: User) -> Plan:
    """Sign a draft. From then on the database itself refuses every change of it.

    The password is asked for before the transaction, so that a wrong one is remembered although nothing else is.
    """
    check_can_sign_plan(plan, by=by)
    try:
        confirm_password(by, password)
    except DomainError:
        trail.record("plan.signature_refused", by=by, target=plan, patient=plan.patient)
        raise
    return _sign(plan=plan, revision=revision, by=by)


@transaction.atomic
def _sign(*, plan: Plan, revision: int, by: User) -> Plan:
    Patient.objects.select_for_update().get(pk=plan.patient_id)  # an intake or a merge comes before this or after it
    plan.refresh_from_db()
    check_can_sign_plan(plan, by=by)
    if plan.revision != revision:
        raise StaleRevision
    obstacles = obstacles_to_signing(plan)
    if obstacles:
        raise NotReadyToSign(obstacles)
    if places := verified(plan):
        raise SecondCalculationDisagrees(plan, places)
    now = timezone.now()
    if plan.supersedes_id:  # first: one plan is in force at a time
        older = Plan.objects.filter(pk=plan.supersedes_id, status__in=transitions.before(PlanStatus.SUPERSEDED))
        if not older.update(status=PlanStatus.SUPERSEDED):
            raise InvalidTransition(_("The plan that this one amends is finished by now. Discard this draft."))
    draft = Plan.objects.filter(pk=plan.pk, status=PlanStatus.DRAFT, revision=revision)
    if not draft.update(
        status=PlanStatus.SIGNED,
        signed_at=now,
        signed_by=by,
        signature_sha256=signature(signed_content(plan, by=by, at=now)),
    ):
        raise StaleRevision
    plan.refresh_from_db()
    import_string(settings.AFTER_PLAN_SIGNED)(plan, by=by)
    transaction.on_commit(lambda: prepare_prints(plan, by=by), robust=True)  # ahead of need
    trail.record(
        "plan.signed",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"sha256": plan.signature_sha256, "revision": plan.revision},
    )
    return plan


def _explained(
    reason_code: Any,
    note: Any,
    *,
    among: Sequence[str],
    note_needed: Container[str] = (),
    in_words: bool = False,
    field: str = "reason_code",
) -> str:
    """The note in one line, its coded reason being one of these.

    ``note_needed`` names the reasons, ``in_words`` says of any, that the code alone does not say enough.
    """
    if not isinstance(reason_code, str) or reason_code not in among:
        raise InvalidInput(_("Choose a reason."), field=field)
    if not _writable(note) or "\x00" in note:
        raise InvalidInput(_("This cannot be read."), field="note")
    note = " ".join(note.split())
    if (in_words or reason_code in note_needed) and not note:
        raise InvalidInput(_("Say it in a few words."), field="note")
    if len(note) > NOTE_LENGTH:
        raise InvalidInput(_("Shorten the note to %(length)d characters.") % {"length": NOTE_LENGTH}, field="note")
    return str(note)


def _writable(text: Any) -> bool:
    """A text that can be written down: half a character pair, which JSON can spell, cannot."""
    return isinstance(text, str) and not any("\ud800" <= sign <= "\udfff" for sign in text)


@transaction.atomic
def change_plan_status(*, plan: Plan, to: PlanStatus, by: User) -> Plan:
    """Move a signed plan on: its course has begun, is complete, or was stopped."""
    check_can_move_plan(plan, to=to, by=by)
    if not Plan.objects.filter(pk=plan.pk, status__in=transitions.before(to)).update(status=to):
        raise cannot_become(plan, to)
    plan.refresh_from_db()
    trail.record(f"plan.{to.value}", by=by, target=plan, patient=plan.patient)
    return plan


@transaction.atomic
def stop_plan(*, plan: Plan, reason_code: str, note: str, cancel_visits: bool, by: User) -> Plan:
    """End a signed plan before its course is complete, and say why. Its visits ahead are cancelled, or kept to talk.

    What was done and what was signed stay as they are. An amendment that is being drafted can no longer be signed.
    """
    check_can_move_plan(plan, to=PlanStatus.STOPPED, by=by)
    note = _explained(reason_code, note, among=StopReason.values, note_needed={StopReason.OTHER})
    import_string(settings.AFTER_PLAN_STOPPED)(plan, cancel_visits=cancel_visits, by=by)
    change_plan_status(plan=plan, to=PlanStatus.STOPPED, by=by)
    PlanStop.objects.create(plan=plan, reason_code=reason_code, note=note, by=by, at=timezone.now())
    trail.record(
        "plan.stop_explained",
        by=by,
        target=plan,
        patient=plan.patient,
        details={"reason": reason_code, "visits_cancelled": cancel_visits},
    )
    return plan
