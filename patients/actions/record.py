"""Register a person, change the details, join two records and part them again."""

from __future__ import annotations

from collections.abc import Mapping
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
from mesoclinic.audit.conflicts import last_change, merged
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition
from mesoclinic.core.names import tidy_line, tidy_name
from patients.models import Patient, PatientMerge, PatientStatus, RegistrationKey, SexAtBirth
from patients.permissions import check_can_merge, check_can_register_at, check_can_write_patient
from patients.search.keys import digits, fold_name, search_key_of

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
MOMENT = timedelta(minutes=1)  # within it, the same name and birth date are one registration sent by two
REASON_LENGTH = 300

_NUMBER_LOCK = 7_301  # PostgreSQL advisory lock: one registration at a time takes the next number


_TIDY = {"given_name": tidy_name, "family_name": tidy_name, "phone": tidy_line, "email": tidy_line}


class RegisteredJustNow(DomainError):
    """Somebody else registers the same person at the same moment; nothing was stored. ``patient`` is that record."""

    def __init__(self, patient: Patient) -> None:
        super().__init__(
            _("%(name)s, with this birth date, was registered a moment ago as %(number)s. Look whether it is the same.")
            % {"name": patient.name, "number": patient.display_number}
        )
        self.patient = patient


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
