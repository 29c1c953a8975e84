"""What is owed to a patient after each fact, and when. One function per fact, called in the fact's own transaction.

A follow-up and its message are made together. What hung on a visit that moved, was cancelled or was missed becomes
void, and what follows from the new fact takes its place. Nobody is written to who has not agreed, has died, moved away
or was merged into another record; that is asked here and once more just before sending (``unwanted``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
from sessions.mail.kinds import (
    CATEGORY,
    CHECKPOINT,
    MAIL_KINDS,
    MAINTENANCE,
    MISSED,
    REMINDER,
    UNBOOKED,
    WAITING_REVIEW,
    About,
    Advice,
    Before,
    Category,
    Leaves,
    MailKind,
)
from sessions.mail.waiting import in_hours, is_wanted, may_be_mailed
from sessions.mail.writing import Letter, queue_letter
from sessions.models import Appointment, AppointmentStatus, TreatmentSession
from sessions.models.followups import FollowUp, FollowUpState

BEFORE_A_VISIT = tuple(kind.purpose for kind in MAIL_KINDS.values() if kind.before)
OFFERS = tuple(kind.purpose for kind in MAIL_KINDS.values() if kind.category == Category.OFFERS)
ASK_TO_BOOK = tuple(kind.purpose for kind in MAIL_KINDS.values() if kind.about is About.PLAN)
_AHEAD = tuple(  # the reminder of the day before is queued with the booking
    (kind, kind.before) for kind in MAIL_KINDS.values() if kind.before and kind.purpose != REMINDER
)
_AFTER_A_SESSION = tuple(kind for kind in MAIL_KINDS.values() if kind.about is About.SESSION)
NOT_WRITTEN_TO, NOT_WANTED = "not_written_to", "not_wanted"  # reasons that may pass; see sessions/renewal/resuming.py


# ------------------------------------------------------------------ facts


def booked(visits: Iterable[Appointment], *, by: User | None, why: str = "appointment.booked") -> None:
    """Dates were booked: remind of each, and stop offering."""
    visits = list(visits)
    if not visits:
        return
    _void_offers(visits[0].patient, "booked", by=by)
    missed = visits[0].course.appointments.filter(status=AppointmentStatus.NO_SHOW)
    _void([visit.public_id for visit in missed], [MISSED], "booked", by=by)
    for visit in visits:
        for kind, before in _AHEAD:
            _make(_ahead(kind, before, visit, why=why), by=by)


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
    now, timing = timezone.now(), MAIL_KINDS[MISSED].after
    _void([visit.public_id], BEFORE_A_VISIT, "missed", by=by)
    version = _newest_version(MISSED, visit.public_id) + 1
    due = in_hours(now + settings.MESSAGE_HOLD, visit.site)
    owed = Owed(
        letter=_about_visit(MISSED, visit, version=version, link_until=timing.link_until(fact=now, due=due)),
        why="appointment.no_show",
        due_at=due,
        useful_until=timing.useful_until(fact=now, due=due),
        hold=True,
    )
    _make(owed, by=by)


def not_missed(visit: Appointment, *, by: User | None) -> None:
    """“Did not come” was a mistake: the mail about it does not leave."""
    _void([visit.public_id], [MISSED], "undone", by=by)


def performed(session: TreatmentSession, *, by: User | None) -> None:
    """A session was recorded: advice at once, questions at 48 hours and 7 days; after the last, review and recalls."""
    visit = session.appointment
    _void([visit.public_id], (*BEFORE_A_VISIT, MISSED), "performed", by=by)
    for kind in _AFTER_A_SESSION:
        _make(_after_session(kind, session), by=by)
    if session.plan.status == PlanStatus.COMPLETED:
        course_finished(session, by=by)


def course_finished(session: TreatmentSession, *, by: User | None) -> None:
    """The last session is done: the reviews that lie after it, then a word after 3, 6 and 12 months."""
    visit, plan, at = session.appointment, session.plan, session.performed_at
    terms = terms_of(plan)
    for number, review in enumerate(plan.result["course"].get("checkpoints") or (), start=1):
        after = int(review["offset_days"]) - terms.offsets_days[-1]
        if after <= 0:
            continue  # it is held at a visit
        due = in_hours(at + timedelta(days=max(after - 7, 1)), visit.site)
        _make(_after_course(CHECKPOINT, session, version=number, due_at=due), by=by)
    for kind, months in MAINTENANCE.items():
        due = in_hours(_months_after(at, months, visit.site), visit.site)
        _make(_after_course(kind, session, version=1, due_at=due), by=by)


def plan_signed(plan: Plan, *, by: User | None) -> None:
    """A plan was signed: ask in a week, unless it is booked by then; one that waits, before its review."""
    if plan.supersedes is not None:
        _void([plan.supersedes.public_id], ASK_TO_BOOK, "superseded", by=by)
    if plan.waits:
        _owe_review(plan, by=by)
        return
    _owe_unbooked(plan, why="plan.signed", by=by)


def _owe_review(plan: Plan, *, by: User | None) -> None:
    """Nothing is injected for now: ask for a date a week before the day on which to look again."""
    day = plan.review_on
    if day is None:
        return
    site, timing = plan.patient.site, MAIL_KINDS[WAITING_REVIEW].after
    noon = datetime.combine(day, time(12), tzinfo=site.tz)
    due = in_hours(max(noon + timing.wait, timezone.now()), site)
    letter = Letter(
        purpose=WAITING_REVIEW,
        subject_id=plan.public_id,
        version=1,
        patient=plan.patient,
        site=site,
        practitioner=plan.signed_by or plan.created_by,
        day=noon,
        link_until=timing.link_until(fact=noon, due=due),
    )
    until = timing.useful_until(fact=noon, due=due)
    _make(Owed(letter=letter, why="plan.signed", due_at=due, useful_until=until), by=by)


def _owe_unbooked(plan: Plan, *, why: str, by: User | None) -> None:
    person, timing = remaining_record(plan.patient), MAIL_KINDS[UNBOOKED].after
    now = timezone.now()
    due = in_hours(now + timing.wait, person.site)
    letter = Letter(
        purpose=UNBOOKED,
        subject_id=plan.public_id,
        version=_newest_version(UNBOOKED, plan.public_id) + 1,
        patient=person,
        site=person.site,
        practitioner=plan.signed_by or plan.created_by,
        link_until=timing.link_until(fact=now, due=due),
    )
    until = timing.useful_until(fact=now, due=due)
    _make(Owed(letter=letter, why=why, due_at=due, useful_until=until), by=by)


# ------------------------------------------------------------------ what is owed


@dataclass(frozen=True, kw_only=True)
class Owed:
    """One letter that a fact makes owed, and from when until when it is of use."""

    letter: Letter
    why: str  # the fact
    due_at: datetime
    useful_until: datetime
    hold: bool = False


def _ahead(kind: MailKind, before: Before, visit: Appointment, *, why: str) -> Owed:
    """About a visit to come: its own number of changes is the version, so that a moved one is told anew."""
    until = mails.days_before(visit, before.until_days) if before.until_days else visit.starts_at
    return Owed(
        letter=_about_visit(
            kind.purpose,
            visit,
            version=visit.sequence + 1,
            link_until=visit.starts_at,
            advice=_advice_of(kind, visit.course.plan, visit),
        ),
        why=why,
        due_at=in_hours(mails.days_before(visit, before.days), visit.site),
        useful_until=until,
    )


def _about_visit(
    purpose: str, visit: Appointment, *, version: int, link_until: datetime, advice: Sequence[str] = ()
) -> Letter:
    return Letter(
        purpose=purpose,
        subject_id=visit.public_id,
        version=version,
        patient=visit.patient,
        site=visit.site,
        practitioner=visit.practitioner,
        visits=[visit],
        advice=advice,
        link_until=link_until,
    )


def _after_session(kind: MailKind, session: TreatmentSession) -> Owed:
    visit, at, timing = session.appointment, session.performed_at, kind.after
    due = at + timing.wait
    if kind.leaves is not Leaves.AT_ONCE:
        due = in_hours(due, visit.site)
    return Owed(
        letter=Letter(
            purpose=kind.purpose,
            subject_id=session.public_id,
            version=1,
            patient=visit.patient,
            site=visit.site,
            practitioner=visit.practitioner,
            day=at,
            advice=_advice_of(kind, session.plan, visit),
            link_until=timing.link_until(fact=at, due=due),
        ),
        why="session.performed",
        due_at=due,
        useful_until=timing.useful_until(fact=at, due=due),
    )


def _after_course(purpose: str, session: TreatmentSession, *, version: int, due_at: datetime) -> Owed:
    visit, at, timing = session.appointment, session.performed_at, MAIL_KINDS[purpose].after
    return Owed(
        letter=Letter(
            purpose=purpose,
            subject_id=session.plan.public_id,
            version=version,
            patient=visit.patient,
            site=visit.site,
            practitioner=visit.practitioner,
            day=at,
            link_until=timing.link_until(fact=at, due=due_at),
        ),
        why="course.finished",
        due_at=due_at,
        useful_until=timing.useful_until(fact=at, due=due_at),
    )


def _advice_of(kind: MailKind, plan: Plan, visit: Appointment) -> Sequence[str]:
    if kind.advice is None:
        return ()
    return advice_for(plan, before=kind.advice is Advice.BEFORE, language=visit.patient.language)


def _newest_version(purpose: str, subject_id: UUID) -> int:
    return FollowUp.objects.filter(kind=purpose, subject_id=subject_id).aggregate(n=Max("version"))["n"] or 0


# ------------------------------------------------------------------ making and voiding


def _make(owed: Owed, *, by: User | None) -> FollowUp:
    """Keep what is owed, once, and queue its letter; or keep why the patient is not owed it."""
    letter = owed.letter
    reason = _why_not(owed)
    follow_up, made = FollowUp.objects.get_or_create(
        kind=letter.purpose,
        subject_id=letter.subject_id,
        version=letter.version,
        defaults={
            "patient": letter.patient,
            "why": owed.why,
            "due_at": owed.due_at,
            "useful_until": owed.useful_until,
            "state": FollowUpState.SKIPPED if reason else FollowUpState.PLANNED,
            "reason": reason,
        },
    )
    if made and not reason:
        queue_letter(letter, due_at=owed.due_at, useful_until=owed.useful_until, hold=owed.hold, by=by)
    return follow_up


def _why_not(owed: Owed) -> str:
    now, kind = timezone.now(), MAIL_KINDS[owed.letter.purpose]
    if not may_be_mailed(owed.letter.patient):
        return NOT_WRITTEN_TO
    if not is_wanted(owed.letter.patient, kind.purpose):
        return NOT_WANTED
    if owed.useful_until <= now or (kind.before and owed.due_at <= now):
        return "too_late"  # the confirmation has just told
    return ""


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
