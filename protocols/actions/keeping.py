"""Compute a draft anew and keep it: the parts that every action on a draft shares."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from copy import copy
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.core.errors import InvalidInput
from protocols.actions.refusals import EditCannotBeSigned, StaleRevision, UnusableCase
from protocols.engine import CaseError
from protocols.engine.codes import without_sentences
from protocols.models import Acknowledgement, Plan
from protocols.models.enums import PlanStatus
from protocols.plans.computing import Computed, compute, kept_edits, verified
from protocols.plans.proposing import explain_fault

NOTE_LENGTH = 500


def basis_of_computing(plan: Plan) -> dict[str, Any]:
    return {
        "intake": str(plan.intake.public_id),
        "formulary": plan.formulary.label,
        "engine": plan.engine_version,
        "status": plan.result["status"],
    }


def compute_refusing(**inputs: Any) -> Computed:
    """Compute, with the engine's refusals as sentences of ours."""
    try:
        computed = compute(**inputs)
    except CaseError as error:
        raise UnusableCase([explain_fault(fault) for fault in error.faults]) from error
    return computed


def compute_keeping(*, edits: Sequence[Mapping[str, Any]], **inputs: Any) -> Computed:
    try:
        return kept_edits(edits=edits, **inputs)
    except CaseError as error:
        raise UnusableCase([explain_fault(fault) for fault in error.faults]) from error


def keep_computed(plan: Plan, computed: Computed, *, revision: int) -> None:
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
    live_acknowledgement_rows(plan).filter(rule__in=changed).update(superseded_at=timezone.now())


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


def check_shown(plan: Plan, *, revision: int) -> None:
    """What is acknowledged or answered is what the page showed; a draft that was changed since is refused."""
    if not Plan.objects.select_for_update().filter(pk=plan.pk, status=PlanStatus.DRAFT, revision=revision).exists():
        raise StaleRevision
    if plan.revision != revision:
        plan.refresh_from_db()


def live_acknowledgement_rows(plan: Plan) -> QuerySet[Acknowledgement]:
    return Acknowledgement.objects.filter(plan=plan, superseded_at__isnull=True)


def check_second_calculation(plan: Plan, computed: Computed) -> None:
    """Refuse an edit after which the plan could not be signed, by its line; nothing was stored yet."""
    after = copy(plan)
    after.case, after.result, after.edits = computed.case, computed.result, computed.edits
    after.engine_version, after.kind = computed.engine_version, computed.kind
    if not (places := verified(after)):
        return
    known = {row.path for row in verified(plan)}  # what was there before the edit is no fault of it
    if places := [row for row in places if row.path not in known]:
        raise EditCannotBeSigned(after, places)


def explained_note(
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
    if not is_writable(note) or "\x00" in note:
        raise InvalidInput(_("This cannot be read."), field="note")
    note = " ".join(note.split())
    if (in_words or reason_code in note_needed) and not note:
        raise InvalidInput(_("Say it in a few words."), field="note")
    if len(note) > NOTE_LENGTH:
        raise InvalidInput(_("Shorten the note to %(length)d characters.") % {"length": NOTE_LENGTH}, field="note")
    return str(note)


def is_writable(text: Any) -> bool:
    """A text that can be written down: half a character pair, which JSON can spell, cannot."""
    return isinstance(text, str) and not any("\ud800" <= sign <= "\udfff" for sign in text)
