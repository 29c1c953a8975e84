"""Whom and what a person may see, and the questions that pages ask of patients and intakes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime, time, timedelta, tzinfo
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy

from mesoclinic.accounts.models import Site, User
from patients.models import (
    DayCheck,
    Intake,
    IntakeReview,
    IntakeStatus,
    Patient,
    PatientMerge,
    PatientStatus,
)


def patients_visible_to(user: User) -> QuerySet[Patient]:
    """The patients of the person's own sites."""
    return Patient.objects.filter(site__in=user.site_ids).select_related("site")


def patients_seen_by(user: User) -> QuerySet[Patient]:
    """Whom the person may open: the patients of their own sites, and those who have visits there.

    Lists are of the own sites (``patients_visible_to``); this is for one record at a time.
    """
    return Patient.objects.filter(seen_by(user)).select_related("site", "merged_into")


def seen_by(user: User, prefix: str = "") -> Q:
    """The condition that the user may open a patient's record; ``prefix`` leads to it, as in ``patient__``."""
    guests = import_string(settings.SEEN_ELSEWHERE)(user, "patient")
    return Q(**{f"{prefix}site__in": user.site_ids}) | Q(**{f"{prefix}pk__in": guests})


def is_seen_by(patient: Patient, user: User) -> bool:
    """Whether the user may open this record. Asks the database only for a patient of another site."""
    return patient.site_id in user.site_ids or patients_seen_by(user).filter(pk=patient.pk).exists()


def intakes_visible_to(user: User) -> QuerySet[Intake]:
    return Intake.objects.filter(seen_by(user, "patient__")).select_related(
        "patient__site", "started_by", "saved_by", "submitted_by"
    )


def visible_person_ids(user: User) -> QuerySet[Patient, UUID]:
    """For the platform, which knows no patient: the public ids of those whom the person may see."""
    return Patient.objects.filter(seen_by(user)).values_list("public_id", flat=True)


def status_counts(patients: QuerySet[Patient], *, site: Site | None) -> dict[str, int]:
    """How many of ``patients`` there are of each status, at one site or at all."""
    if site is not None:
        patients = patients.filter(site=site)
    return dict(patients.order_by().values_list("status").annotate(people=Count("*")))


def in_this_order(patients: QuerySet[Patient], keys: Iterable[int]) -> list[Patient]:
    """Those with these primary keys, with their intake dates. Found by their keys alone, pages far back stay cheap."""
    order = list(keys)
    found = {patient.pk: patient for patient in with_intake_dates(patients.filter(pk__in=order))}
    return [found[key] for key in order if key in found]


def with_intake_dates(patients: QuerySet[Patient]) -> QuerySet[Patient]:
    """Each with ``last_intake_at`` and ``has_intake_draft``, in the same query."""
    mine = Intake.objects.filter(patient=OuterRef("pk"))
    submitted = mine.filter(status=IntakeStatus.SUBMITTED).order_by("-number")
    return patients.annotate(
        last_intake_at=Subquery(submitted.values("submitted_at")[:1]),
        has_intake_draft=Exists(mine.filter(status=IntakeStatus.DRAFT)),
    )


def may_be_mailed(patient: Patient) -> bool:
    """True where the clinic may write to this person: in its care, agreed, with an address."""
    return patient.status == PatientStatus.ACTIVE and patient.contact_allowed and bool(patient.email)


def mailable(patients: QuerySet[Patient]) -> QuerySet[Patient]:
    """Those of ``patients`` for whom ``may_be_mailed`` holds."""
    return patients.filter(status=PatientStatus.ACTIVE, contact_allowed=True).exclude(email="")


def records_of(patient: Patient) -> QuerySet[Patient]:
    """Every record of the person, whichever of them is given: the one that remains and those merged into it.

    What was signed stays where it was written: read all of them.
    """
    remains = patient.merged_into_id or patient.pk
    return Patient.objects.filter(Q(pk=remains) | Q(merged_into=remains))


def in_care(prefix: str = "") -> Q:
    """The condition that a person is in the clinic's care; ``prefix`` leads to the record, as in ``patient__``.

    A record that was merged counts as the one that remains.
    """
    own = Q(**{f"{prefix}status": PatientStatus.ACTIVE})
    remains = {f"{prefix}status": PatientStatus.MERGED, f"{prefix}merged_into__status": PatientStatus.ACTIVE}
    return own | Q(**remains)


def remaining_record(patient: Patient) -> Patient:
    """The record that stands for the person: this one, or the one it was merged into."""
    return patient.merged_into or patient


def standing_merges(patient: Patient) -> QuerySet[PatientMerge]:
    """The merges that this record takes part in, on either side."""
    return PatientMerge.objects.filter(
        Q(merged=patient.pk) | Q(kept=patient.pk), undone_at__isnull=True
    ).select_related("merged__site", "kept__site", "merged_by")


MERGED_UNASKED = gettext_lazy("These records were merged; fill in an intake for the whole person first.")


def merged_unasked(patient: Patient) -> bool:
    """Whether a record with answers of its own was merged into this one, and no intake was begun for both since.

    The later of two intakes may be silent about what only the earlier one names: an allergy, a medicine.
    """
    if not patient.holds_merged_records:
        return False
    brought = PatientMerge.objects.filter(
        kept=patient.pk, undone_at__isnull=True, merged__intakes__status=IntakeStatus.SUBMITTED
    ).aggregate(last=Max("merged_at"))["last"]
    if brought is None:
        return False
    return not patient.intakes.filter(status=IntakeStatus.SUBMITTED, started_at__gt=brought).exists()


def newest_submitted_intake(patient: Patient) -> Intake | None:
    """The newest answers of the person, also where they were given under a record that was merged into this one."""
    intake = (
        Intake.objects.filter(patient__in=records_of(patient), status=IntakeStatus.SUBMITTED)
        .order_by("-submitted_at", "-pk")
        .first()
    )
    if intake is not None:
        intake.patient = patient
    return intake


def joined_intakes(intake: Intake) -> list[Intake]:
    """The last answers under each record that was merged into this one's patient before it was begun, oldest first."""
    if not intake.patient.holds_merged_records:
        return []
    begun = intake.started_at
    found = Intake.objects.filter(
        patient__in=PatientMerge.objects.filter(
            kept=intake.patient_id, undone_at__isnull=True, merged_at__lt=begun
        ).values("merged"),
        status=IntakeStatus.SUBMITTED,
    )
    last = {row.patient_id: row for row in found.select_related("patient").order_by("submitted_at", "pk")}
    return list(last.values())


def day_checks_on(day: date, *, patients: Collection[int], tz: tzinfo) -> dict[int, DayCheck]:
    """By patient the last “anything changed?” of that day of the site, in one query."""
    begins, ends = (datetime.combine(day + timedelta(days=n), time.min, tzinfo=tz) for n in (0, 1))
    checks = DayCheck.objects.filter(patient__in=patients, asked_at__gte=begins, asked_at__lt=ends)
    return {check.patient_id: check for check in checks.select_related("asked_by", "intake").order_by("asked_at", "pk")}


def review_of(intake: Intake) -> IntakeReview | None:
    return IntakeReview.objects.filter(intake=intake).select_related("reviewed_by").first()


def latest_submitted_intake(patient: Patient) -> Intake | None:
    intake = patient.intakes.filter(status=IntakeStatus.SUBMITTED).order_by("-number").first()
    if intake is not None:
        intake.patient = patient
    return intake


def intake_draft(patient: Patient) -> Intake | None:
    return patient.intakes.filter(status=IntakeStatus.DRAFT).first()


def intake_before(intake: Intake) -> Intake | None:
    """The submitted intake that this one supersedes."""
    records = Patient.objects.filter(Q(pk=intake.patient_id) | Q(merged_into=intake.patient_id))
    submitted = Intake.objects.filter(patient__in=records, status=IntakeStatus.SUBMITTED)
    if intake.submitted_at is not None:
        submitted = submitted.filter(submitted_at__lt=intake.submitted_at)
    return submitted.exclude(pk=intake.pk).order_by("-submitted_at", "-pk").first()
