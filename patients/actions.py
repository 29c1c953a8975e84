"""Everything that changes a patient's record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site, User
from mesoclinic.accounts.naming import check_names
from mesoclinic.audit import trail
from mesoclinic.audit.changes import announce_change, check_confirmed
from mesoclinic.audit.conflicts import last_change, mark_of, marks_of, merged
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition
from mesoclinic.core.names import tidy_line, tidy_name
from patients import day_checks
from patients.intakes import (
    NOTE_LENGTH,
    Change,
    InvalidAnswers,
    changes_since,
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
from patients.medicines import LENGTH as MEDICINE_LENGTH
from patients.medicines import MOST as MEDICINES_MOST
from patients.medicines import classes_of, entries_of, lines_of, read_medicines
from patients.models import (
    DayCheck,
    Intake,
    IntakeReview,
    IntakeStatus,
    Patient,
    PatientMerge,
    PatientStatus,
    RegistrationKey,
    SexAtBirth,
    StatementSource,
)
from patients.permissions import (
    check_can_edit_intake,
    check_can_merge,
    check_can_register_at,
    check_can_review_intake,
    check_can_start_intake,
    check_can_write_patient,
)
from patients.queries import (
    MERGED_UNASKED,
    intake_draft,
    latest_submitted_intake,
    merged_unasked,
    newest_submitted_intake,
)
from patients.recording import words_of_day_check, words_of_intake
from patients.search import digits, fold_name, search_key_of
from patients.statements import record_statements
from patients.vocabulary import asked_now

_NUMBER_LOCK = 7_301  # PostgreSQL advisory lock: one registration at a time takes the next number
OLDEST = 120  # years

EDITABLE = (
    "given_name",
    "family_name",
    "family_name_first",
    "birth_date",
    "sex_at_birth",
    "email",
    "phone",
    "language",
    "contact_allowed",
    "site",
    "status",
)
_TIDY = {"given_name": tidy_name, "family_name": tidy_name, "phone": tidy_line, "email": tidy_line}


class RegisteredJustNow(DomainError):
    """Somebody else registers the same person at the same moment; nothing was stored. ``patient`` is that record."""

    def __init__(self, patient: Patient) -> None:
        super().__init__(
            _("%(name)s, with this birth date, was registered a moment ago as %(number)s. Look whether it is the same.")
            % {"name": patient.name, "number": patient.display_number}
        )
        self.patient = patient


class StaleRevision(DomainError):
    """Somebody else saved in between; nothing was overwritten."""


# ------------------------------------------------------------------ the record


@transaction.atomic
def register_patient(
    *,
    given_name: str,
    family_name: str,
    birth_date: date,
    sex_at_birth: str,
    email: str,
    phone: str,
    language: str,
    contact_allowed: bool,
    site: Site,
    by: User,
    family_name_first: bool = False,
    key: UUID | None = None,
    different_person: bool = False,
) -> Patient:
    """Open a record under the next free number.

    ``key`` names the page that was sent: sent again, it gives the record that it made. Raise RegisteredJustNow where
    the same name and birth date were registered at the site within the last minute, unless ``different_person``.
    """
    check_can_register_at(site, by=by)
    patient = Patient(
        given_name=tidy_name(given_name),
        family_name=tidy_name(family_name),
        family_name_first=family_name_first,
        birth_date=birth_date,
        sex_at_birth=sex_at_birth,
        email=tidy_line(email),
        phone=tidy_line(phone),
        language=language,
        contact_allowed=contact_allowed,
        site=site,
        created_by=by,
    )
    _check_identity(patient)
    _wait_for_other_registrations()
    if key and (there := Patient.objects.filter(registration_keys__key=key).select_related("site").first()):
        if _is_same_person(there, patient):
            return there
        key = None  # the page was filled in anew for somebody else
    if not different_person and (there := _registered_just_now(patient)):
        raise RegisteredJustNow(there)
    patient.number = _next_number()
    patient.search_key = _search_key(patient)
    patient.save(force_insert=True)
    if key:
        RegistrationKey.objects.create(key=key, patient=patient)
    trail.record("patient.registered", by=by, target=patient, patient=patient)
    return patient


MOMENT = timedelta(minutes=1)  # within it, the same name and birth date are one registration sent by two


def _registered_just_now(patient: Patient) -> Patient | None:
    lately = Patient.objects.filter(
        site=patient.site, birth_date=patient.birth_date, created_at__gt=timezone.now() - MOMENT
    )
    return next((other for other in lately.select_related("site") if _is_same_person(other, patient)), None)


def _is_same_person(one: Patient, other: Patient) -> bool:
    def identity(row: Patient) -> tuple[Any, ...]:
        return fold_name(row.given_name), fold_name(row.family_name), row.birth_date, row.site_id

    return identity(one) == identity(other)


@transaction.atomic
def update_patient(
    *,
    patient: Patient,
    changes: Mapping[str, Any],
    by: User,
    seen: Mapping[str, str] | int | None = None,
    confirmed: bool = False,
    close_links: bool = False,
) -> Patient:
    """Change some of the details; every copy of them is renewed in the same transaction.

    ``seen`` is what the person looked at: the marks of its values, or the record's revision. Raise Conflict where
    somebody else has changed the same since; what only others changed stays theirs. Raise NeedsConfirmation where a
    person leaves the clinic's care and something hangs on it, until ``confirmed``. ``close_links`` closes the links
    that have left in mails, for example to a wrong address.
    """
    current = Patient.objects.select_for_update().select_related("site").get(pk=patient.pk)
    check_can_write_patient(current, by=by)
    if strange := set(changes) - set(EDITABLE):
        raise TypeError(f"not editable: {sorted(strange)}")
    if current.status == PatientStatus.MERGED:
        raise InvalidTransition(_("This record was merged into another one and no longer changes."))
    if "site" in changes and changes["site"] != current.site:
        check_can_register_at(changes["site"], by=by)
    if changes.get("status") == PatientStatus.MERGED:
        raise InvalidInput(_("A record is merged by merging it, not by its status."), field="status")
    tidy: Mapping[str, Any] = {name: _TIDY[name](value) if name in _TIDY else value for name, value in changes.items()}
    tidy = _without_overwriting(current, tidy, seen=seen)
    before: dict[str, Any] = {}
    for name, value in tidy.items():
        if getattr(current, name) != value:
            before[name] = getattr(current, name)
            setattr(current, name, value)
    if before:
        _check_identity(current)
        if before.get("status") == PatientStatus.ACTIVE:
            check_confirmed(current, change={"status": current.status}, confirmed=confirmed)
        current.search_key = _search_key(current)
        current.revision += 1
        current.save(update_fields=[*before, "search_key", "revision"])
    if close_links:
        import_string(settings.LINK_CLOSER)(patient=current, by=by)
    if before:
        announce_change(current, before=before, by=by)
        trail.record("patient.updated", by=by, target=current, patient=current, details={"changed": sorted(before)})
    patient.refresh_from_db()
    return patient


def _without_overwriting(
    current: Patient, mine: Mapping[str, Any], *, seen: Mapping[str, str] | int | None
) -> Mapping[str, Any]:
    """Return what of ``mine`` may be written. Raise Conflict where somebody else changed the same."""
    if seen is None or seen == current.revision:
        return mine
    stored = {name: getattr(current, name) for name in EDITABLE}
    return merged(
        stored,
        mine,
        seen={} if isinstance(seen, int) else seen,
        revision=current.revision,
        changed=last_change("patient.updated", target=current.public_id),
    )


# ------------------------------------------------------------------ two records of one person

REASON_LENGTH = 300


@transaction.atomic
def merge_patients(*, merged: Patient, into: Patient, reason: str, by: User, confirmed: bool = False) -> PatientMerge:
    """Mark one record as another name of ``into``. What was signed stays where it was written.

    The surviving record shows both histories, and both sets of allergies; visits to come and what is owed are its own
    from now on. It can be undone. Raise NeedsConfirmation where something hangs on the record, until ``confirmed``.
    """
    rows = {
        row.pk: row
        for row in Patient.objects.select_for_update()
        .select_related("site")
        .filter(pk__in=[merged.pk, into.pk])
        .order_by("pk")
    }
    gone, kept = rows[merged.pk], rows[into.pk]
    check_can_merge(gone, into=kept, by=by)
    reason = _one_line(reason)
    if not reason:
        raise InvalidInput(_("Write why these are one person."), field="reason")
    if len(reason) > REASON_LENGTH or not reason.isprintable():
        raise InvalidInput(
            _("Shorten the reason to %(length)d characters.") % {"length": REASON_LENGTH}, field="reason"
        )
    merge = PatientMerge.objects.create(
        merged=gone, kept=kept, reason=reason, status_before=gone.status, merged_at=timezone.now(), merged_by=by
    )
    check_confirmed(gone, change={"merged_into": kept}, confirmed=confirmed)
    before = {"merged_into": None, "status": gone.status}
    _set_merged(gone, status=PatientStatus.MERGED, into=kept)
    _mark_holder(kept)
    announce_change(gone, before=before, by=by)
    for row, role in ((gone, "merged"), (kept, "kept")):
        details = {"merge": str(merge.public_id), "as": role}
        trail.record("patient.merged", by=by, target=row, patient=row, details=details)
    merged.refresh_from_db()
    into.refresh_from_db()
    return merge


@transaction.atomic
def undo_merge(*, merge: PatientMerge, by: User) -> PatientMerge:
    """Two records again, each as it was. Undoing twice is refused."""
    check_can_write_patient(merge.merged, by=by)
    check_can_write_patient(merge.kept, by=by)
    standing = PatientMerge.objects.filter(pk=merge.pk, undone_at__isnull=True)
    if not standing.update(undone_at=timezone.now(), undone_by=by):
        raise InvalidTransition(_("This merge was undone already."))
    merge.refresh_from_db()
    gone = Patient.objects.select_for_update().get(pk=merge.merged_id)
    before = {"merged_into": merge.kept, "status": gone.status}
    _set_merged(gone, status=merge.status_before, into=None)
    _mark_holder(merge.kept)
    announce_change(gone, before=before, by=by)
    for row, role in ((gone, "merged"), (merge.kept, "kept")):
        details = {"merge": str(merge.public_id), "as": role}
        trail.record("patient.merge_undone", by=by, target=row, patient=row, details=details)
    return merge


def _mark_holder(patient: Patient) -> None:
    patient.holds_merged_records = patient.merged_records.exists()
    patient.save(update_fields=["holds_merged_records"])


def _set_merged(patient: Patient, *, status: str, into: Patient | None) -> None:
    patient.status, patient.merged_into, patient.revision = status, into, patient.revision + 1
    patient.save(update_fields=["status", "merged_into", "revision"])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _check_identity(patient: Patient) -> None:
    check_names(given=patient.given_name, family=patient.family_name)
    today = timezone.localdate(timezone=patient.site.tz)
    if patient.birth_date > today:
        raise InvalidInput(_("The birth date lies in the future."), field="birth_date")
    if patient.age_on(today) > OLDEST:
        raise InvalidInput(
            _("This birth date makes the patient older than %(years)d. Check the year.") % {"years": OLDEST},
            field="birth_date",
        )
    if patient.sex_at_birth not in SexAtBirth.values:
        raise InvalidInput(_("Choose female or male."), field="sex_at_birth")
    if patient.status not in PatientStatus.values:
        raise InvalidInput(_("Choose one of the states offered."), field="status")
    if patient.language not in {code for code, _label in Patient._meta.get_field("language").flatchoices}:
        raise InvalidInput(_("Choose one of the languages offered."), field="language")
    if patient.email:
        try:
            validate_email(patient.email)
        except ValidationError:
            raise InvalidInput(_("Write an e-mail address like name@example.org."), field="email") from None
        if len(patient.email) > 254:
            raise InvalidInput(_("This e-mail address is too long."), field="email")
    elif patient.contact_allowed:
        raise InvalidInput(_("Appointment e-mails need an address. Write one, or untick the agreement."), field="email")
    if patient.phone and (len(patient.phone) > 40 or len(digits(patient.phone)) < 5 or not patient.phone.isprintable()):
        raise InvalidInput(_("Write the phone number with its digits, at most 40 characters."), field="phone")


def _wait_for_other_registrations() -> None:
    """One registration at a time. SQLite has one writer at a time anyway; on PostgreSQL the lock makes it so."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_NUMBER_LOCK])


def _next_number() -> int:
    """Return the number after the highest."""
    highest: int | None = Patient.objects.aggregate(highest=Max("number"))["highest"]
    return (highest or 0) + 1


def _search_key(patient: Patient) -> str:
    return search_key_of(
        given_name=patient.given_name,
        family_name=patient.family_name,
        birth_date=patient.birth_date,
        phone=patient.phone,
        email=patient.email,
        number=patient.number,
    )


# ------------------------------------------------------------------ intakes


@transaction.atomic
def start_intake(*, patient: Patient, by: User) -> Intake:
    """A draft that begins with the last answers that still stand; the one that is being filled in, if there is one."""
    Patient.objects.select_for_update().get(pk=patient.pk)  # two tabs start one draft, not two
    check_can_start_intake(patient, by=by)
    if draft := intake_draft(patient):
        return draft
    previous = newest_submitted_intake(patient)
    intake = Intake(patient=patient, number=_next_intake_number(patient), started_by=by, asked=asked_now())
    if previous:
        intake.asked = previous.asked  # until it is submitted: what came to a list since is still to be answered
        intake.facts = facts_to_take_over(previous, vocabulary_for(previous))
        _carry_over(previous, intake)
    intake.save(force_insert=True)
    trail.record("intake.started", by=by, target=intake, patient=patient)
    return intake


def _next_intake_number(patient: Patient) -> int:
    highest: int | None = patient.intakes.aggregate(highest=Max("number"))["highest"]
    return (highest or 0) + 1


def _carry_over(previous: Intake, intake: Intake) -> None:
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
    beside: dict[str, Any] = {}
    if medicines is not None:
        beside["medicines"] = _read_list(medicines, facts)
    if other_allergies is not None:
        beside["other_allergies"] = _checked_text(other_allergies, field="other_allergies", most=OTHER_ALLERGIES_LENGTH)
    if details is not None:
        beside["details"] = checked_details(details)
    if groups is not None:
        beside["groups"] = checked_groups(groups)
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
    if not draft.update(
        revision=revision + 1,
        saved_at=timezone.now(),
        saved_by=by,
        **beside,
    ):
        _refuse(intake)
    intake.refresh_from_db()
    changed = sorted(
        {key for key in before.facts.keys() | intake.facts.keys() if before.facts.get(key) != intake.facts.get(key)}
        | {name for name in BESIDE_THE_FACTS if getattr(before, name) != getattr(intake, name)}
    )
    trail.record(
        "intake.saved",
        by=by,
        target=intake,
        patient=intake.patient,
        details={"changed": changed, "revision": intake.revision},
    )
    return intake


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
    _close(intake, by=by)
    _record_words(intake, by=by)
    return intake


def _record_words(intake: Intake, *, by: User) -> None:
    record_statements(
        patient=intake.patient,
        said=words_of_intake(intake),
        source=StatementSource.INTAKE,
        source_id=intake.public_id,
        at=intake.submitted_at or timezone.now(),
        by=by,
    )


def _close(intake: Intake, *, by: User, in_parts: bool = True) -> None:
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
        patient=patient, number=_next_intake_number(patient), started_by=by, saved_by=by, saved_at=timezone.now()
    )
    intake.facts, intake.groups, intake.asked = after.facts, after.groups, after.asked
    _carry_over(after, intake)
    intake.facts, intake.concerns, intake.zones = checked_answers(
        facts=intake.facts,
        concerns=intake.concerns,
        zones=intake.zones,
        patient=patient,
        vocabulary=vocabulary_for(intake),
    )
    intake.save(force_insert=True)
    trail.record("intake.started", by=by, target=intake, patient=patient)
    _close(intake, by=by, in_parts=False)
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
    _record_words(intake, by=by)
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
