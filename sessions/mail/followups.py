"""What is owed to a patient after each fact, and when. One function per fact, called in the fact's own transaction.

A follow-up and its message are made together. What hung on a visit that moved, was cancelled or was missed becomes
void, and what follows from the new fact takes its place. Nobody is written to who has not agreed, has died, moved away
or was merged into another record; that is asked here and once more just before sending (``unwanted``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from mesoclinic.messaging.actions import UNWANTED, cancel_messages
from mesoclinic.messaging.models import Message
from mesoclinic.messaging.renewal import withdraw_messages
from patients.models import Patient
from patients.queries import remaining_record
from protocols.formulary.loader import load_documents
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from sessions.course.terms import terms_of
from sessions.mail import letters
from sessions.mail import sending as mails
from sessions.mail.kinds import CATEGORY, MAINTENANCE, REMINDER
from sessions.mail.waiting import in_hours, is_wanted, may_be_mailed
from sessions.mail.writing import Letter, queue_letter
from sessions.models import Appointment, AppointmentStatus, TreatmentSession
from sessions.models.followups import FollowUp, FollowUpState

BEFORE_A_VISIT = ("reminder_7d", "prepare", REMINDER)
OFFERS = ("unbooked", *MAINTENANCE)
NOT_WRITTEN_TO, NOT_WANTED = "not_written_to", "not_wanted"  # reasons that may pass; see sessions/renewal/resuming.py
LINK_DAYS = 30  # how long a link works that hangs on no appointment


# ------------------------------------------------------------------ facts


def booked(visits: Iterable[Appointment], *, by: User | None, why: str = "appointment.booked") -> None:
    """Dates were booked: remind of each, and stop offering."""
    visits = list(visits)
    if not visits:
        return
    _void_offers(visits[0].patient, "booked", by=by)
    missed = visits[0].course.appointments.filter(status=AppointmentStatus.NO_SHOW)
    _void([visit.public_id for visit in missed], ["missed"], "booked", by=by)
    for visit in visits:
        week, days2 = mails.days_before(visit, 7), mails.days_before(visit, 2)
        _owe("reminder_7d", visit, due_at=week, until=mails.days_before(visit, 3), why=why, by=by)
        _owe(
            "prepare",
            visit,
            due_at=days2,
            until=visit.starts_at,
            why=why,
            advice=advice_for(visit.course.plan, before=True, language=visit.patient.language),
            by=by,
        )


def moved(visit: Appointment, *, by: User | None) -> None:
    """A date was moved: void what hung on the old time and plan it anew. The caller has raised its sequence."""
    _void([visit.public_id], BEFORE_A_VISIT, "moved", by=by)
    mails.queue_reminder(visit, by=by)
    booked([visit], by=by, why="appointment.moved")


def cancelled(visits: Sequence[Appointment], *, by: User | None) -> None:
    """Dates are off: nothing reminds of them; a course with nothing ahead is asked about in a week."""
    _void([visit.public_id for visit in visits], BEFORE_A_VISIT, "cancelled", by=by)
    course = visits[0].course
    ahead = course.appointments.filter(status__in=AppointmentStatus.COMING)
    if not ahead.exists():
        _owe_unbooked(course.plan, why="appointment.cancelled", by=by)


def withdrawn(visits: Sequence[Appointment], *, by: User | None) -> None:
    """Dates gave way to those of an amended plan: nothing reminds of them, and nothing asks to book them anew."""
    _void([visit.public_id for visit in visits], BEFORE_A_VISIT, "cancelled", by=by)


def missed(visit: Appointment, *, by: User | None) -> None:
    """Somebody did not come. The mail waits out the hold, so that a wrong click can be undone."""
    now = timezone.now()
    _void([visit.public_id], BEFORE_A_VISIT, "missed", by=by)
    _owe(
        "missed",
        visit,
        due_at=in_hours(now + settings.MESSAGE_HOLD, visit.site),
        until=now + timedelta(days=5),
        link_until=now + timedelta(days=LINK_DAYS),
        why="appointment.no_show",
        hold=True,
        by=by,
    )


def not_missed(visit: Appointment, *, by: User | None) -> None:
    _void([visit.public_id], ["missed"], "undone", by=by)


def performed(session: TreatmentSession, *, by: User | None) -> None:
    """A session was recorded: advice at once, questions at 48 hours and 7 days; after the last, review and recalls."""
    visit = session.appointment
    at = session.performed_at
    site = visit.site
    _void([visit.public_id], (*BEFORE_A_VISIT, "missed"), "performed", by=by)
    about: dict[str, Any] = {"subject_id": session.public_id, "why": "session.performed", "day": at, "by": by}
    hours, days = timedelta(hours=1), timedelta(days=1)
    _owe(
        "aftercare",
        visit,
        due_at=at,  # about today, so quiet hours do not hold it back
        until=at + 12 * hours,
        link_until=at + 14 * days,
        advice=advice_for(session.plan, before=False, language=visit.patient.language),
        **about,
    )
    soon = in_hours(at + 48 * hours, site)
    _owe("checkin_48h", visit, due_at=soon, until=at + 96 * hours, link_until=at + 14 * days, **about)
    week = in_hours(at + 7 * days, site)
    _owe("checkin_7d", visit, due_at=week, until=at + 12 * days, link_until=at + 28 * days, **about)
    if session.plan.status == PlanStatus.COMPLETED:
        course_finished(session, by=by)


def course_finished(session: TreatmentSession, *, by: User | None) -> None:
    """The last session is done: the reviews that lie after it, then a word after 3, 6 and 12 months."""
    visit, plan, at = session.appointment, session.plan, session.performed_at
    terms = terms_of(plan)
    day = timedelta(days=1)
    for number, review in enumerate(plan.result["course"].get("checkpoints") or (), start=1):
        after = int(review["offset_days"]) - terms.offsets_days[-1]
        if after <= 0:
            continue  # it is held at a visit
        due = in_hours(at + max(after - 7, 1) * day, visit.site)
        _owe(
            "checkpoint",
            visit,
            subject_id=plan.public_id,
            version=number,
            due_at=due,
            until=due + 21 * day,
            link_until=due + LINK_DAYS * day,
            day=at,
            why="course.finished",
            by=by,
        )
    for kind, months in MAINTENANCE.items():
        due = in_hours(_months_after(at, months, visit.site), visit.site)
        _owe(
            kind,
            visit,
            subject_id=plan.public_id,
            due_at=due,
            until=due + 21 * day,
            link_until=due + LINK_DAYS * day,
            day=at,
            why="course.finished",
            by=by,
        )


def plan_signed(plan: Plan, *, by: User | None) -> None:
    """A plan was signed: ask in a week, unless it is booked by then; one that waits, before its review."""
    if plan.supersedes is not None:
        _void([plan.supersedes.public_id], ["unbooked", "waiting_review"], "superseded", by=by)
    if plan.waits:
        _owe_review(plan, by=by)
        return
    _owe_unbooked(plan, why="plan.signed", by=by)


def _owe_review(plan: Plan, *, by: User | None) -> None:
    """Nothing is injected for now: ask for a date a week before the day on which to look again."""
    day = plan.review_on
    if day is None:
        return
    tz = plan.patient.site.tz
    noon = datetime.combine(day, time(12), tzinfo=tz)
    due = in_hours(max(noon - timedelta(days=7), timezone.now()), plan.patient.site)
    _make(
        "waiting_review",
        patient=plan.patient,
        site=plan.patient.site,
        practitioner=plan.signed_by or plan.created_by,
        subject_id=plan.public_id,
        version=1,
        due_at=due,
        until=noon + timedelta(days=21),
        link_until=noon + timedelta(days=LINK_DAYS),
        day=noon,
        why="plan.signed",
        by=by,
    )


def _owe_unbooked(plan: Plan, *, why: str, by: User | None) -> None:
    person = remaining_record(plan.patient)
    site = person.site
    due = in_hours(timezone.now() + timedelta(days=7), site)
    version = FollowUp.objects.filter(kind="unbooked", subject_id=plan.public_id).aggregate(n=Max("version"))["n"] or 0
    _make(
        "unbooked",
        patient=person,
        site=site,
        practitioner=plan.signed_by or plan.created_by,
        subject_id=plan.public_id,
        version=version + 1,
        due_at=due,
        until=due + timedelta(days=21),
        link_until=due + timedelta(days=LINK_DAYS),
        why=why,
        by=by,
    )


# ------------------------------------------------------------------ making and voiding


def _owe(
    kind: str,
    visit: Appointment,
    *,
    due_at: datetime,
    until: datetime,
    why: str,
    by: User | None,
    subject_id: UUID | None = None,
    version: int | None = None,
    day: datetime | None = None,
    link_until: datetime | None = None,
    advice: Sequence[str] = (),
    hold: bool = False,
) -> FollowUp:
    """About a visit: its own number of changes is the version, so that a moved one is told anew."""
    own = subject_id is None
    return _make(
        kind,
        patient=visit.patient,
        site=visit.site,
        practitioner=visit.practitioner,
        subject_id=subject_id or visit.public_id,
        version=version or (_version_of(kind, visit) if own else 1),
        due_at=in_hours(due_at, visit.site) if kind in ("reminder_7d", "prepare") else due_at,
        until=until,
        why=why,
        visits=[visit] if own else (),
        day=day,
        link_until=link_until or visit.starts_at,
        advice=advice,
        hold=hold,
        by=by,
    )


def _version_of(kind: str, visit: Appointment) -> int:
    if kind != "missed":
        return visit.sequence + 1
    newest = FollowUp.objects.filter(kind=kind, subject_id=visit.public_id).aggregate(n=Max("version"))["n"]
    return (newest or 0) + 1


def _make(
    kind: str,
    *,
    patient: Patient,
    subject_id: UUID,
    version: int,
    due_at: datetime,
    until: datetime,
    why: str,
    by: User | None,
    hold: bool = False,
    **about: Any,
) -> FollowUp:
    now = timezone.now()
    reason = ""
    if not may_be_mailed(patient):
        reason = NOT_WRITTEN_TO
    elif not is_wanted(patient, kind):
        reason = NOT_WANTED
    elif until <= now or (kind in ("reminder_7d", "prepare") and due_at <= now):
        reason = "too_late"  # the confirmation has just told
    follow_up, made = FollowUp.objects.get_or_create(
        kind=kind,
        subject_id=subject_id,
        version=version,
        defaults={
            "patient": patient,
            "why": why,
            "due_at": due_at,
            "useful_until": until,
            "state": FollowUpState.SKIPPED if reason else FollowUpState.PLANNED,
            "reason": reason,
        },
    )
    if made and not reason:
        letter = Letter(purpose=kind, patient=patient, subject_id=subject_id, version=version, **about)
        queue_letter(letter, due_at=due_at, useful_until=until, hold=hold, by=by)
    return follow_up


def _void(subjects: Sequence[UUID], kinds: Iterable[str], reason: str, *, by: User | None) -> None:
    kinds = list(kinds)
    for subject_id in subjects:
        cancel_messages(subject_id=subject_id, purposes=kinds, by=by)
    FollowUp.objects.filter(subject_id__in=subjects, kind__in=kinds, state=FollowUpState.PLANNED).update(
        state=FollowUpState.VOID, reason=reason
    )


def _void_offers(patient: Patient, reason: str, *, by: User | None) -> None:
    waiting = FollowUp.objects.filter(patient=patient, kind__in=OFFERS, state=FollowUpState.PLANNED)
    _void(list(waiting.values_list("subject_id", flat=True).distinct()), OFFERS, reason, by=by)


def void_category(patient: Patient, category: str, *, by: User | None) -> None:
    """The patient wants no more mails of this category: what waits is not sent."""
    kinds = [kind for kind, of in CATEGORY.items() if of == category]
    waiting = FollowUp.objects.filter(patient=patient, kind__in=kinds, state=FollowUpState.PLANNED)
    subjects = waiting.values("subject_id")
    withdraw_messages(
        messages=Message.objects.filter(subject_id__in=subjects, purpose__in=kinds), because=UNWANTED, by=by
    )
    waiting.update(state=FollowUpState.VOID, reason=NOT_WANTED)


# ------------------------------------------------------------------ times and texts


def _months_after(at: datetime, months: int, site: Site) -> datetime:
    """The same day so many months later, or that month's last; the same wall time."""
    local = at.astimezone(site.tz)
    month = local.month - 1 + months
    year, month = local.year + month // 12, month % 12 + 1
    day = local.day
    while True:
        try:
            return local.replace(year=year, month=month, day=day).astimezone(UTC)
        except ValueError:
            day -= 1


def course_document(plan: Plan | None) -> dict[str, Any]:
    """What the plan's own formulary says of courses; of a plan without one, the shipped formulary."""
    own = plan.formulary.documents.get("course") if plan is not None else None
    return own or _shipped_course()


@lru_cache(maxsize=1)
def _shipped_course() -> dict[str, Any]:
    course: dict[str, Any] = load_documents()["course"]
    return course


def advice_for(plan: Plan, *, before: bool, language: str) -> list[str]:
    """The formulary's advice before or after a session, in the patient's language where we have it."""
    return advice_from(course_document(plan), before=before, language=language)


def advice_from(course: dict[str, Any], *, before: bool, language: str) -> list[str]:
    words = letters.shipped(language)
    rows = []
    for row in course.get("aftercare", ()):
        if (row["when"] == "before the session") != before:
            continue
        text = words["advice"].get(row["text"], row["text"])
        when = words.get("when", {}).get(row["when"], row["when"])
        rows.append(text if before else f"{when[:1].upper()}{when[1:]}: {text}")
    return rows
