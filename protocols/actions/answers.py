"""What a practitioner answers in a draft: cautions, open questions, what if."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput
from patients.intake.answers import InvalidAnswers, checked_value, intake_vocabulary
from protocols.actions.keeping import (
    NOTE_LENGTH,
    check_shown,
    compute_keeping,
    explained_note,
    keep_computed,
    live_acknowledgement_rows,
)
from protocols.actions.refusals import StaleRevision
from protocols.models import Acknowledgement, OpenAnswer, Plan
from protocols.models.enums import NOTE_NEEDED, AcknowledgementReason, OpenAnswerKind
from protocols.permissions import check_can_acknowledge, check_can_change_plan
from protocols.plans.queries import intake_checks, known_values, open_facts
from protocols.plans.what_if import Change, may_be_taken_over, recomputed, why_not_taken_over


@transaction.atomic
def acknowledge(*, plan: Plan, revision: int, rule: str, reason_code: str, note: str, by: User) -> Acknowledgement:
    """A caution was read, and why the plan may go on all the same. Saying it again supersedes what was said.

    Only the person who will sign reads it for the signature.
    """
    check_can_acknowledge(plan, by=by)
    check_shown(plan, revision=revision)
    to_check = {check.rule for check in intake_checks(plan)}
    if rule not in {row["rule"] for row in plan.result["cautions"]} | to_check:
        raise InvalidInput(_("This plan has no such caution."), field="rule")
    note = explained_note(
        reason_code, note, among=AcknowledgementReason.values, note_needed=NOTE_NEEDED, in_words=rule in to_check
    )
    now = timezone.now()
    live_acknowledgement_rows(plan).filter(rule=rule).update(superseded_at=now)
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
    check_shown(plan, revision=revision)
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
    computed = compute_keeping(
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
    keep_computed(plan, computed, revision=plan.revision)
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
        keep_computed(plan, computed, revision=revision)
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
