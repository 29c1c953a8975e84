"""Start an intake, save it, submit it and review it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.audit.conflicts import last_change, mark_of, marks_of, merged
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from patients.actions.refusals import StaleRevision
from patients.intake.answers import (
    NOTE_LENGTH,
    InvalidAnswers,
    checked_answers,
    checked_details,
    checked_groups,
    contradictions,
    facts_to_take_over,
    lacking,
    questions_of,
    vocabulary_for,
    with_questions,
    without_ticked,
)
from patients.intake.medicines import LENGTH as MEDICINE_LENGTH
from patients.intake.medicines import MOST as MEDICINES_MOST
from patients.intake.medicines import classes_of, entries_of, lines_of, read_medicines
from patients.models import (
    Intake,
    IntakeReview,
    IntakeStatus,
    Patient,
    StatementSource,
)
from patients.permissions import (
    check_can_edit_intake,
    check_can_review_intake,
    check_can_start_intake,
)
from patients.queries import (
    intake_draft,
    newest_submitted_intake,
)
from patients.statements.recording import words_of_intake
from patients.statements.statements import record_statements
from patients.vocabulary import asked_now

# ------------------------------------------------------------------ intakes


@transaction.atomic
def start_intake(*, patient: Patient, by: User) -> Intake:
    """A draft that begins with the last answers that still stand; the one that is being filled in, if there is one."""
    Patient.objects.select_for_update().get(pk=patient.pk)  # two tabs start one draft, not two
    check_can_start_intake(patient, by=by)
    if draft := intake_draft(patient):
        return draft
    previous = newest_submitted_intake(patient)
    intake = Intake(patient=patient, number=next_intake_number(patient), started_by=by, asked=asked_now())
    if previous:
        intake.asked = previous.asked  # until it is submitted: what came to a list since is still to be answered
        intake.facts = facts_to_take_over(previous, vocabulary_for(previous))
        carry_answers_over(previous, intake)
    intake.save(force_insert=True)
    trail.record("intake.started", by=by, target=intake, patient=patient)
    return intake


def next_intake_number(patient: Patient) -> int:
    highest: int | None = patient.intakes.aggregate(highest=Max("number"))["highest"]
    return (highest or 0) + 1


def carry_answers_over(previous: Intake, intake: Intake) -> None:
    """What stands beside the facts and does not age with the day."""
    for name in ("concerns", "zones", "note", "medicines", "other_allergies", "details"):
        setattr(intake, name, getattr(previous, name))


@transaction.atomic
def save_intake(
    *,
    intake: Intake,
    revision: int,
    facts: Mapping[str, Any],
    concerns: Sequence[Mapping[str, Any]],
    zones: Sequence[Mapping[str, Any]],
    note: str,
    by: User,
    medicines: str | None = None,
    other_allergies: str | None = None,
    details: Mapping[str, Mapping[str, str]] | None = None,
    groups: Mapping[str, Mapping[str, str]] | None = None,
    step: str | None = None,
    unread: Mapping[str, Sequence[str]] | None = None,
    seen: Mapping[str, str] | None = None,
) -> Intake:
    """Store a draft's answers as a whole, and what was typed that is no answer yet in ``unread``.

    A save that rests on an older revision is refused and overwrites nothing, unless ``seen`` holds the marks of what
    the person looked at: then each question keeps whose answer alone was changed, and Conflict names those that both
    changed. ``medicines`` is the list as it was typed, a line each: what is known sets its classes in
    ``facts["medications"]``. What is None stays as it was, but for ``unread``, which is empty then.
    """
    check_can_edit_intake(intake, by=by)
    facts = dict(facts)
    beside = _checked_beside(facts, medicines, other_allergies, details, groups)
    if step is not None:
        beside["step"] = step[:20]
    clean_facts, clean_concerns, clean_zones = checked_answers(
        facts=facts,
        concerns=concerns,
        zones=zones,
        patient=intake.patient,
        vocabulary=vocabulary_for(intake),
    )
    note = _checked_text(note, field="note", most=NOTE_LENGTH)
    if "groups" in beside:
        beside["groups"] = without_ticked(beside["groups"], clean_facts, asked=intake.asked)
    before = Intake.objects.select_for_update().select_related("patient").get(pk=intake.pk)
    beside |= {"facts": clean_facts, "concerns": clean_concerns, "zones": clean_zones, "note": note}
    beside["unread"] = {name: list(texts) for name, texts in (unread or {}).items()}
    mine = _held(before) | {name: beside[name] for name in _held(before) if name in beside}
    intake.typed_marks = marks_of(questions_of(Intake(**mine)))
    if revision < before.revision and seen is not None and before.status == IntakeStatus.DRAFT:
        beside |= _without_overwriting_answers(before, mine, seen=seen)
        revision = before.revision
    draft = Intake.objects.filter(pk=intake.pk, status=IntakeStatus.DRAFT, revision=revision)
    if not draft.update(revision=revision + 1, saved_at=timezone.now(), saved_by=by, **beside):
        _refuse(intake)
    intake.refresh_from_db()
    trail.record(
        "intake.saved",
        by=by,
        target=intake,
        patient=intake.patient,
        details={"changed": _changed_in(before, intake), "revision": intake.revision},
    )
    return intake


def _checked_beside(
    facts: dict[str, Any],
    medicines: str | None,
    other_allergies: str | None,
    details: Mapping[str, Mapping[str, str]] | None,
    groups: Mapping[str, Mapping[str, str]] | None,
) -> dict[str, Any]:
    """Return what was given besides the answers, as it is stored; the medicines set their classes in ``facts``."""
    beside: dict[str, Any] = {}
    if medicines is not None:
        beside["medicines"] = _read_list(medicines, facts)
    if other_allergies is not None:
        beside["other_allergies"] = _checked_text(other_allergies, field="other_allergies", most=OTHER_ALLERGIES_LENGTH)
    if details is not None:
        beside["details"] = checked_details(details)
    if groups is not None:
        beside["groups"] = checked_groups(groups)
    return beside


def _changed_in(before: Intake, after: Intake) -> list[str]:
    """Return the names of what a save changed."""
    facts = {key for key in before.facts.keys() | after.facts.keys() if before.facts.get(key) != after.facts.get(key)}
    return sorted(facts | {name for name in BESIDE_THE_FACTS if getattr(before, name) != getattr(after, name)})


OTHER_ALLERGIES_LENGTH = 1000
BESIDE_THE_FACTS = ("concerns", "zones", "note", "medicines", "other_allergies", "details", "groups", "unread")


def _without_overwriting_answers(
    before: Intake, typed: Mapping[str, Any], *, seen: Mapping[str, str]
) -> dict[str, Any]:
    """Return the answers of two people together. Raise Conflict for the questions that both changed."""
    mine = questions_of(Intake(**typed))
    stored = questions_of(before)
    names = dict.fromkeys([*stored, *mine])
    stored = {name: stored.get(name, {}) for name in names}
    changes = merged(
        stored,
        {name: mine.get(name, {}) for name in names},
        seen=dict.fromkeys(names, mark_of({})) | dict(seen),  # a page sends no mark of what was empty
        revision=before.revision,
        changed=last_change("intake.saved", target=before.public_id),
    )
    together = with_questions(before, stored | changes)
    facts, concerns, zones = checked_answers(
        facts=together.facts,
        concerns=together.concerns,
        zones=together.zones,
        patient=before.patient,
        vocabulary=vocabulary_for(before),
    )
    return _held(together) | {"facts": facts, "concerns": concerns, "zones": zones}


def _held(intake: Intake) -> dict[str, Any]:
    return {name: getattr(intake, name) for name in ("facts", *BESIDE_THE_FACTS)}


def _checked_text(text: str, *, field: str, most: int) -> str:
    tidy = text.replace("\r\n", "\n").strip()
    if "\x00" in tidy:
        raise InvalidInput(_("This text holds characters that cannot be stored."), field=field)
    if len(tidy) > most:
        sentence = _("Shorten the note to %(length)d characters.") if field == "note" else None
        raise InvalidInput(
            (sentence or _("Shorten this to %(length)d characters.")) % {"length": most},
            field=field,
        )
    return tidy


def _read_list(text: str, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The medicines as they will be stored; the classes that they set join those that were ticked."""
    named = read_medicines(_checked_text(text, field="medicines", most=MEDICINES_MOST * MEDICINE_LENGTH))
    if len(lines_of(named)) > MEDICINES_MOST or any(len(line.text) > MEDICINE_LENGTH for line in named):
        raise InvalidInput(
            _("Write at most %(lines)d medicines, each in at most %(length)d characters.")
            % {"lines": MEDICINES_MOST, "length": MEDICINE_LENGTH},
            field="medicines",
        )
    if found := classes_of(named):
        ticked = facts.get("medications")
        if ticked == []:
            raise InvalidInput(
                _("“None of these” is ticked, and the list names %(names)s. Keep one.")
                % {"names": ", ".join(dict.fromkeys(line.name for line in named if line.classes))},
                field="medicines",
            )
        facts["medications"] = [*(ticked if isinstance(ticked, list) else ()), *found]
    return entries_of(named)


@transaction.atomic
def submit_intake(*, intake: Intake, by: User) -> Intake:
    """Close the draft as it stands in ``intake``. What was not answered stays so; from now on nothing changes.

    What it says in words and no fact holds becomes statements, open until somebody settles them.
    """
    close_intake(intake=intake, by=by)
    record_words_of(intake, by=by)
    return intake


def record_words_of(intake: Intake, *, by: User) -> None:
    record_statements(
        patient=intake.patient,
        said=words_of_intake(intake),
        source=StatementSource.INTAKE,
        source_id=intake.public_id,
        at=intake.submitted_at or timezone.now(),
        by=by,
    )


def close_intake(*, intake: Intake, by: User, in_parts: bool = True) -> None:
    """Submit the draft as it stands in ``intake``; ``in_parts``: its long lists were asked part by part."""
    Patient.objects.select_for_update().get(pk=intake.patient_id)  # a signature waits for it, and sees it
    check_can_edit_intake(intake, by=by)
    vocabulary = vocabulary_for(intake)
    checked_answers(
        facts=intake.facts,
        concerns=intake.concerns,
        zones=intake.zones,
        patient=intake.patient,
        vocabulary=vocabulary,
    )
    if found := contradictions(intake):
        raise InvalidAnswers(found)
    for part, sentence in lacking(intake, vocabulary, in_parts=in_parts).items():
        raise InvalidInput(sentence, field=part)
    draft = Intake.objects.filter(pk=intake.pk, status=IntakeStatus.DRAFT, revision=intake.revision)
    if not draft.update(status=IntakeStatus.SUBMITTED, submitted_at=timezone.now(), submitted_by=by, asked=asked_now()):
        _refuse(intake)
    intake.refresh_from_db()
    trail.record("intake.submitted", by=by, target=intake, patient=intake.patient)


@transaction.atomic
def review_intake(*, intake: Intake, by: User) -> IntakeReview:
    """Say that a person of the staff has read the intake. The first one counts; a second press changes nothing."""
    Intake.objects.select_for_update().get(pk=intake.pk)
    check_can_review_intake(intake, by=by)
    if standing := IntakeReview.objects.filter(intake=intake).select_related("reviewed_by").first():
        return standing
    review = IntakeReview.objects.create(intake=intake, reviewed_at=timezone.now(), reviewed_by=by)
    trail.record("intake.reviewed", by=by, target=intake, patient=intake.patient)
    return review


# ------------------------------------------------------------------ has anything changed? Before each session


def _refuse(intake: Intake) -> None:
    """Say why the draft could not be written: it was submitted, or somebody else saved it first."""
    current = Intake.objects.select_related("saved_by").get(pk=intake.pk)
    if current.status != IntakeStatus.DRAFT:
        raise InvalidTransition(_("This intake was submitted and cannot change. Start a new one instead."))
    raise StaleRevision(
        _("%(person)s saved this intake at %(time)s, after you opened it. Nothing was overwritten.")
        % {
            "person": current.saved_by.name if current.saved_by else _("Somebody else"),
            "time": timezone.localtime(current.saved_at).strftime("%H:%M") if current.saved_at else "",
        }
    )
