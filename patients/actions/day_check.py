"""“Anything changed?”, answered before a session and kept."""

from __future__ import annotations

from datetime import date

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from patients.actions.intake import carry_answers_over, close_intake, next_intake_number, record_words_of
from patients.intake import day_checks
from patients.intake.answers import checked_answers, vocabulary_for
from patients.intake.review import Change, changes_since
from patients.models import DayCheck, Intake, Patient, StatementSource
from patients.permissions import check_can_start_intake
from patients.queries import MERGED_UNASKED, intake_draft, latest_submitted_intake, merged_unasked
from patients.statements.recording import words_of_day_check
from patients.statements.statements import record_statements


def changed_since(*, patient: Patient, answers: day_checks.Answers, by: User) -> list[Change]:
    """What the answers before a session change in the intake that stands, in words. Nothing is written."""
    check_can_start_intake(patient, by=by)
    previous = _standing_intake(patient)
    return changes_since(previous, day_checks.intake_after(previous, answers, on=_today(patient)))


@transaction.atomic
def confirm_unchanged(*, patient: Patient, answers: day_checks.Answers, by: User) -> DayCheck:
    """Keep that everything was asked and nothing has changed. Refused where an answer says otherwise."""
    Patient.objects.select_for_update().get(pk=patient.pk)
    check_can_start_intake(patient, by=by)
    previous = _standing_intake(patient)
    _check_all_asked(previous, answers)
    if different := day_checks.differing(previous, answers):
        raise InvalidInput(
            _("An answer differs from the intake: keep the change, not “unchanged”."), field=different[0]
        )
    return _keep_day_check(patient, previous, answers, changed=False, by=by)


@transaction.atomic
def record_changes(*, patient: Patient, answers: day_checks.Answers, by: User) -> DayCheck:
    """A new submitted intake that says what has changed since the last one, and nothing else."""
    Patient.objects.select_for_update().get(pk=patient.pk)
    check_can_start_intake(patient, by=by)
    previous = _standing_intake(patient)
    _check_all_asked(previous, answers)
    if not day_checks.differs(previous, answers):
        raise InvalidInput(_("Nothing differs from the intake: confirm that instead."))
    if intake_draft(patient):
        raise InvalidTransition(_("An intake is being filled in. Finish it, with the changes, instead."))
    if day_checks.never_answered(previous, answers):
        raise InvalidTransition(_("The last intake left the list unanswered that this belongs to. Start a new intake."))
    after = day_checks.intake_after(previous, answers, on=_today(patient))
    intake = Intake(
        patient=patient, number=next_intake_number(patient), started_by=by, saved_by=by, saved_at=timezone.now()
    )
    intake.facts, intake.groups, intake.asked = after.facts, after.groups, after.asked
    carry_answers_over(after, intake)
    intake.facts, intake.concerns, intake.zones = checked_answers(
        facts=intake.facts,
        concerns=intake.concerns,
        zones=intake.zones,
        patient=patient,
        vocabulary=vocabulary_for(intake),
    )
    intake.save(force_insert=True)
    trail.record("intake.started", by=by, target=intake, patient=patient)
    close_intake(intake=intake, by=by, in_parts=False)
    changed = bool(day_checks.tells(previous, answers))
    check = _keep_day_check(patient, intake, answers, changed=changed, by=by)
    record_statements(  # ahead of the intake's: what was said now was said before the session
        patient=patient,
        said=words_of_day_check(answers),
        source=StatementSource.DAY_CHECK,
        source_id=check.public_id,
        at=check.asked_at,
        by=by,
    )
    record_words_of(intake, by=by)
    return check


def _standing_intake(patient: Patient) -> Intake:
    previous = latest_submitted_intake(patient)
    if previous is None:
        raise InvalidTransition(_("There is no submitted intake yet. Fill one in first."))
    if merged_unasked(patient):
        raise InvalidTransition(str(MERGED_UNASKED))
    return previous


def _check_all_asked(previous: Intake, answers: day_checks.Answers) -> None:
    missing = day_checks.unanswered(previous, answers)
    if missing:
        raise InvalidInput(_("Ask this too: an unanswered question is not a “no”."), field=missing[0])


def _today(patient: Patient) -> date:
    return timezone.localdate(timezone=patient.site.tz)


def _keep_day_check(
    patient: Patient, intake: Intake, answers: day_checks.Answers, *, changed: bool, by: User
) -> DayCheck:
    check = DayCheck.objects.create(
        patient=patient,
        intake=intake,
        changed=changed,
        answers=day_checks.as_json(answers),
        asked_at=timezone.now(),
        asked_by=by,
    )
    trail.record("intake.day_checked", by=by, target=intake, patient=patient, details={"changed": changed})
    return check
