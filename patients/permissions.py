"""Who may change a patient's record, and in which state. A refusal is a sentence."""

from __future__ import annotations

from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.core.asking import asks
from mesoclinic.core.errors import InvalidTransition, NotAllowed
from patients.intake.confirming import answers_to_confirm, treats
from patients.models import Intake, IntakeStatus, Patient, PatientStatus
from patients.queries import is_seen_by


def check_can_register_at(site: Site, *, by: User) -> None:
    if not by.may(Permission.PATIENT_WRITE):
        raise NotAllowed(_("Your role does not allow registering patients."))
    if site.pk not in by.site_ids:
        raise NotAllowed(_("You do not work at this site. Choose one of yours."), field="site")


def check_in_care(patient: Patient) -> None:
    """Raise InvalidTransition where the person has died or moved away: nothing is booked, prepared or recorded then."""
    person = patient.merged_into or patient
    if person.status == PatientStatus.DECEASED:
        raise InvalidTransition(
            _("%(name)s is marked as deceased. If that is a mistake, or this was done before, change the status first.")
            % {"name": person.name}
        )
    if person.status != PatientStatus.ACTIVE:
        raise InvalidTransition(
            _("%(name)s has moved away. If that is no longer so, or this was done before, change the status first.")
            % {"name": person.name}
        )


def check_can_write_patient(patient: Patient, *, by: User) -> None:
    if not by.may(Permission.PATIENT_WRITE):
        raise NotAllowed(_("Your role does not allow changing a patient's details."))
    _check_own_site(patient, by=by)


def check_can_write_intake(patient: Patient, *, by: User) -> None:
    if not by.may(Permission.INTAKE_WRITE):
        raise NotAllowed(_("Your role reads intakes but does not fill them in."))
    _check_own_site(patient, by=by)


def check_can_start_intake(patient: Patient, *, by: User) -> None:
    check_can_write_intake(patient, by=by)
    if patient.status == PatientStatus.DECEASED:
        raise InvalidTransition(_("This patient is marked as deceased: no new intake."))
    if patient.status == PatientStatus.MERGED:
        raise InvalidTransition(_("This record was merged into another one: start the intake there."))


def check_can_edit_intake(intake: Intake, *, by: User) -> None:
    check_can_write_intake(intake.patient, by=by)
    if intake.status != IntakeStatus.DRAFT:
        raise InvalidTransition(_("This intake was submitted and cannot change. Start a new one instead."))


def check_can_review_intake(intake: Intake, *, by: User) -> None:
    check_can_write_intake(intake.patient, by=by)
    if intake.status != IntakeStatus.SUBMITTED:
        raise InvalidTransition(_("Only a submitted intake can be reviewed."))
    if not treats(by) and answers_to_confirm(intake):
        raise NotAllowed(_("A practitioner reviews this one: reception wrote down what a practitioner has to judge."))


def check_can_merge(patient: Patient, *, into: Patient, by: User) -> None:
    check_can_write_patient(patient, by=by)
    check_can_write_patient(into, by=by)
    if patient.pk == into.pk:
        raise InvalidTransition(_("This is one record already. Choose another one."))
    if patient.status == PatientStatus.MERGED or into.status == PatientStatus.MERGED:
        raise InvalidTransition(_("One of the two was merged already. Open the record that remains."))
    if patient.merged_records.exists():
        raise InvalidTransition(
            _("Another record was merged into %(number)s. Merge the other way round, or undo that merge first.")
            % {"number": patient.display_number}
        )
    if patient.intakes.filter(status=IntakeStatus.DRAFT).exists():
        raise InvalidTransition(
            _("An intake is being filled in under %(number)s. Submit it first, so that nothing of it is lost.")
            % {"number": patient.display_number}
        )


def _check_own_site(patient: Patient, *, by: User) -> None:
    if not is_seen_by(patient, by):
        raise NotAllowed(_("This patient belongs to a site that is not yours."))


can_start_intake = asks(check_can_start_intake)
can_edit_intake = asks(check_can_edit_intake)
can_review_intake = asks(check_can_review_intake)
