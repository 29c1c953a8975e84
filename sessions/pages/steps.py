"""What can be done next about a patient, the best first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from patients.models import Intake, IntakeStatus, Patient
from patients.permissions import can_start_intake
from protocols.models import Plan
from protocols.permissions import can_draft_plan
from sessions.course.next_session import unbooked_sessions
from sessions.course.terms import terms_of
from sessions.models import AppointmentStatus
from sessions.pages.patient import Record


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to do. With ``post`` the button is a form."""

    label: str
    url: str
    icon: str
    post: bool = False
    optional: bool = False  # possible, but nothing that the record waits for


def steps_of(record: Record, *, patient: Patient, user: User, now: datetime) -> list[Step]:
    """Return what can be done next, the best first. With a merged record one goes on with the one that remains."""
    if patient.merged_into is not None:
        kept = patient.merged_into
        page = reverse("sessions:patient", args=[kept.public_id])
        return [Step(label=_("Go on with %(number)s") % {"number": kept.display_number}, url=page, icon="right")]
    if not patient.is_in_care:
        return []
    return [
        *_visit_steps(record, patient=patient, user=user, now=now),
        *_draft_steps(record, user=user),
        *_plan_steps(record, user=user),
        *_new_steps(record, patient=patient, user=user),
    ]


def _visit_steps(record: Record, *, patient: Patient, user: User, now: datetime) -> Iterator[Step]:
    today = now.astimezone(patient.site.tz).date()
    due = (
        visit
        for visit in record.visits
        if visit.status in AppointmentStatus.COMING
        and visit.starts_at.astimezone(visit.site.tz).date() <= today
        and visit not in record.left_behind
    )
    visit = next(due, None)
    bookable = _bookable(record)
    if record.left_behind and bookable is not None and user.may(Permission.BOOKING_WRITE):
        url = reverse("sessions:course_book", args=[bookable.public_id])
        yield Step(label=_("Book the amended course"), url=url, icon="cal")
    if visit is not None and user.may(Permission.SESSION_WRITE):
        url = reverse("sessions:session_record", args=[visit.public_id])
        yield Step(label=_("Record session %(n)s") % {"n": visit.number}, url=url, icon="syringe")
    elif visit is not None:
        url = reverse("sessions:appointment", args=[visit.public_id])
        yield Step(label=_("Open today’s visit"), url=url, icon="cal")


def _draft_steps(record: Record, *, user: User) -> Iterator[Step]:
    intake = _draft_intake(record)
    if intake is not None and user.may(Permission.INTAKE_WRITE):
        yield Step(
            label=_("Continue intake"), url=reverse("patients:intake_edit", args=[intake.public_id]), icon="note"
        )
    if record.draft is not None and user.may(Permission.PLAN_READ):
        yield Step(
            label=_("Review and sign plan") if user.may(Permission.PLAN_SIGN) else _("Open draft plan"),
            url=reverse("protocols:plan", args=[record.draft.public_id]),
            icon="edit",
        )


def _plan_steps(record: Record, *, user: User) -> Iterator[Step]:
    bookable = _bookable(record)
    if bookable is not None and user.may(Permission.BOOKING_WRITE):
        yield from _booking_steps(record, bookable)
    if record.in_force is not None and record.in_force.waits and user.may(Permission.PLAN_READ):
        url = reverse("protocols:plan", args=[record.in_force.public_id])
        yield Step(label=_("Plan of the wait"), url=url, icon="clock")


def _new_steps(record: Record, *, patient: Patient, user: User) -> Iterator[Step]:
    submitted = any(intake.status == IntakeStatus.SUBMITTED for intake in record.intakes)
    may_plan = submitted and record.draft is None and can_draft_plan(patient, by=user)
    plan_url = reverse("protocols:plan_new", args=[patient.public_id])
    new_plan = Step(label=_("New plan"), url=plan_url, icon="plus", post=True)
    if may_plan and record.in_force is None:
        yield new_plan
    if _draft_intake(record) is None and can_start_intake(patient, by=user):
        yield Step(
            label=_("New intake") if submitted else _("Start intake"),
            url=reverse("patients:intake_start", args=[patient.public_id]),
            icon="note",
            post=True,
            optional=submitted,
        )
    if may_plan and record.in_force is not None:
        yield replace(new_plan, optional=True)


def _bookable(record: Record) -> Plan | None:
    return record.in_force if record.in_force is not None and not record.in_force.waits else None


def _draft_intake(record: Record) -> Intake | None:
    return next((intake for intake in record.intakes if intake.status == IntakeStatus.DRAFT), None)


def _booking_steps(record: Record, plan: Plan) -> list[Step]:
    """Book the course, its rest, or the session that is missing between those that are booked."""
    left_out = [row.number for row in record.left_out]
    unbooked = unbooked_sessions(record.booked, sessions=terms_of(plan).sessions, left_out=left_out)
    if not unbooked or record.left_behind:
        return []
    if record.booked and (left_out or unbooked[0] < max(record.booked)):
        course = next(iter(record.booked.values())).course
        return [
            Step(
                label=_("Book session %(n)s") % {"n": unbooked[0]},
                url=f"{reverse('sessions:course_missing', args=[course.public_id])}?n={unbooked[0]}",
                icon="cal",
            )
        ]
    return [
        Step(
            label=_("Book course") if not record.booked else _("Book the rest"),
            url=reverse("sessions:course_book", args=[plan.public_id]),
            icon="cal",
        )
    ]
