"""Everything that changes a patient's record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.errors import DomainError, InvalidInput, InvalidTransition
from patients.intakes import NOTE_LENGTH, checked_answers, facts_to_take_over, treated_area, vocabulary_for
from patients.models import Intake, IntakeStatus, Patient, PatientStatus, SexAtBirth
from patients.permissions import (
    check_can_edit_intake,
    check_can_register_at,
    check_can_start_intake,
    check_can_write_patient,
)
from patients.queries import intake_draft, latest_submitted_intake
from patients.search import digits, search_key_of

_NUMBER_LOCK = 7_301  # PostgreSQL advisory lock: one registration at a time takes the next number
OLDEST = 120  # years

EDITABLE = (
    "given_name",
    "family_name",
    "birth_date",
    "sex_at_birth",
    "email",
    "phone",
    "language",
    "contact_allowed",
    "site",
    "status",
)


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
) -> Patient:
    """Open a record under the next free number."""
    check_can_register_at(site, by=by)
    patient = Patient(
        given_name=_one_line(given_name),
        family_name=_one_line(family_name),
        birth_date=birth_date,
        sex_at_birth=sex_at_birth,
        email=email.strip(),
        phone=_one_line(phone),
        language=language,
        contact_allowed=contact_allowed,
        site=site,
        created_by=by,
    )
    _check_identity(patient)
    patient.number = _next_number()
    patient.search_key = _search_key(patient)
    patient.save(force_insert=True)
    trail.record("patient.registered", by=by, target=patient, patient=patient)
    return patient


@transaction.atomic
def update_patient(*, patient: Patient, changes: Mapping[str, Any], by: User, revision: int | None = None) -> Patient:
    """Change some of the details. ``revision`` is that of the record the person looked at, where a page showed it."""
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
    changed = []
    for name, value in changes.items():
        tidy = _one_line(value) if name in ("given_name", "family_name", "phone", "email") else value
        if getattr(current, name) != tidy:
            setattr(current, name, tidy)
            changed.append(name)
    if revision is not None and changed and revision != current.revision:
        raise StaleRevision(_("Somebody else changed these details after you opened them. Nothing was overwritten."))
    if changed:
        _check_identity(current)
        current.search_key = _search_key(current)
        current.revision += 1
        current.save(update_fields=[*changed, "search_key", "revision"])
        trail.record("patient.updated", by=by, target=current, patient=current, details={"changed": sorted(changed)})
    patient.refresh_from_db()
    return patient


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _check_identity(patient: Patient) -> None:
    for field in ("given_name", "family_name"):
        name = getattr(patient, field)
        if not name:
            raise InvalidInput(_("Write the name."), field=field)
        if len(name) > 80:
            raise InvalidInput(_("Shorten the name to 80 characters."), field=field)
        if not name.isprintable():
            raise InvalidInput(_("The name holds characters that cannot be shown."), field=field)
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


def _next_number() -> int:
    """The number after the highest. SQLite has one writer at a time anyway; on PostgreSQL the lock makes it so."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_NUMBER_LOCK])
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
    previous = latest_submitted_intake(patient)
    intake = Intake(patient=patient, number=previous.number + 1 if previous else 1, started_by=by)
    if previous:
        intake.facts = facts_to_take_over(previous, vocabulary_for(previous))
        intake.concerns, intake.zones, intake.note = previous.concerns, previous.zones, previous.note
    intake.save(force_insert=True)
    trail.record("intake.started", by=by, target=intake, patient=patient)
    return intake


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
) -> Intake:
    """Store a draft's answers as a whole. A save that rests on an older revision is refused and overwrites nothing."""
    check_can_edit_intake(intake, by=by)
    clean_facts, clean_concerns, clean_zones = checked_answers(
        facts=facts,
        concerns=concerns,
        zones=zones,
        patient=intake.patient,
        vocabulary=vocabulary_for(intake),
    )
    note = note.replace("\r\n", "\n").strip()
    if len(note) > NOTE_LENGTH or "\x00" in note:
        raise InvalidInput(_("Shorten the note to %(length)d characters.") % {"length": NOTE_LENGTH}, field="note")
    before = Intake.objects.get(pk=intake.pk)
    draft = Intake.objects.filter(pk=intake.pk, status=IntakeStatus.DRAFT, revision=revision)
    if not draft.update(
        facts=clean_facts,
        concerns=clean_concerns,
        zones=clean_zones,
        note=note,
        revision=revision + 1,
        saved_at=timezone.now(),
        saved_by=by,
    ):
        _refuse(intake)
    intake.refresh_from_db()
    changed = sorted(
        {key for key in before.facts.keys() | clean_facts.keys() if before.facts.get(key) != clean_facts.get(key)}
        | {name for name in ("concerns", "zones", "note") if getattr(before, name) != getattr(intake, name)}
    )
    trail.record(
        "intake.saved",
        by=by,
        target=intake,
        patient=intake.patient,
        details={"changed": changed, "revision": intake.revision},
    )
    return intake


@transaction.atomic
def submit_intake(*, intake: Intake, by: User) -> Intake:
    """Close the draft as it stands in ``intake``. What was not answered stays so; from now on nothing changes."""
    check_can_edit_intake(intake, by=by)
    vocabulary = vocabulary_for(intake)
    checked_answers(
        facts=intake.facts,
        concerns=intake.concerns,
        zones=intake.zones,
        patient=intake.patient,
        vocabulary=vocabulary,
    )
    if not intake.concerns:
        raise InvalidInput(_("Choose at least one concern with its severity."), field="concerns")
    if not intake.zones:
        raise InvalidInput(_("Choose at least one zone of the scalp."), field="zones")
    total = treated_area(intake.zones)
    if not vocabulary.min_total_cm2 <= total <= vocabulary.max_total_cm2:
        raise InvalidInput(
            _("The treated area is %(total)s cm². It must be between %(least)s and %(most)s cm².")
            % {"total": total, "least": vocabulary.min_total_cm2, "most": vocabulary.max_total_cm2},
            field="zones",
        )
    draft = Intake.objects.filter(pk=intake.pk, status=IntakeStatus.DRAFT, revision=intake.revision)
    if not draft.update(status=IntakeStatus.SUBMITTED, submitted_at=timezone.now(), submitted_by=by):
        _refuse(intake)
    intake.refresh_from_db()
    trail.record("intake.submitted", by=by, target=intake, patient=intake.patient)
    return intake


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
