"""The patient's page: one timeline over all three apps, and the course; a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from mesoclinic.core.numbers import shown_number
from mesoclinic.documents.models import Document, DocumentState
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.queries import messages_about
from mesoclinic.ui.days import written
from patients.models import Intake, IntakeStatus, Patient, PatientStatus
from patients.queries import patients_seen_by
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from protocols.models.marks import PLAN_MARKS
from protocols.words.answers import waiting_title
from sessions.course.terms import cut_courses, terms_of, versions_before
from sessions.inbox import inbox
from sessions.mail.kinds import purpose_words
from sessions.models import Appointment, AppointmentStatus
from sessions.models.changes import SessionLeftOut
from sessions.models.followups import AnswerState
from sessions.models.marks import VISIT_MARKS
from sessions.queries import visits_of

MOST_ANSWERS = 5
EVERYTHING = "all"  # nothing folded
KINDS = ("intakes", "plans", "sessions", "messages", "documents", EVERYTHING)


@dataclass(frozen=True, kw_only=True)
class Event:
    kind: str
    at: datetime
    icon: str
    title: str
    text: str = ""
    url: str = ""
    chip: str = ""
    chip_kind: str = ""
    ahead: bool = False  # it has not happened yet
    now: bool = False  # the patient is here
    first_behind: bool = False  # all above it is still to come
    under: str = ""  # the number of the merged record where it was written
    about: UUID | None = None  # of a mail or a paper: what it is about, by public id
    holds: tuple[UUID, ...] = ()  # what its mails and papers are about
    mails: tuple[Event, ...] = ()  # folded under it, the oldest first
    papers: tuple[Event, ...] = ()
    needs_a_look: bool = False  # of a mail: it can still be undone, or it did not arrive

    @property
    def mail_words(self) -> str:
        """How many mails are folded under it, and which."""
        titles = list(dict.fromkeys(mail.title for mail in self.mails))
        shown = "; ".join(titles[:3]) + (" …" if len(titles) > 3 else "")
        count = ngettext("%(n)s mail", "%(n)s mails", len(self.mails)) % {"n": len(self.mails)}
        return _("%(count)s: %(which)s") % {"count": count, "which": shown}

    @property
    def mails_open(self) -> bool:
        return any(mail.needs_a_look for mail in self.mails)


@dataclass(frozen=True, kw_only=True)
class Story:
    """The timeline in two parts: what is still to come, the farthest first, and what was, the newest first."""

    ahead: list[Event]
    behind: list[Event]

    @property
    def ahead_words(self) -> str:
        visits = sum(event.kind == "sessions" for event in self.ahead)
        mails = sum(len(event.mails) + (event.kind == "messages") for event in self.ahead)
        words = [ngettext("%(n)s visit", "%(n)s visits", visits) % {"n": visits}] if visits else []
        words += [ngettext("%(n)s mail", "%(n)s mails", mails) % {"n": mails}] if mails else []
        return ", ".join(words)


@dataclass(kw_only=True)
class Record:
    """All that the page needs, read once."""

    intakes: list[Intake]
    plans: list[Plan]
    visits: list[Appointment]
    messages: list[Message]
    documents: list[Document]
    in_force: Plan | None = None
    shown: Plan | None = None  # whose course is drawn: the one in force, else the last that was completed
    draft: Plan | None = None
    booked: dict[int, Appointment] = field(default_factory=dict)  # sessions of the plan in force, by number
    left_out: list[SessionLeftOut] = field(default_factory=list)  # sessions of that plan that are not held, and why
    left_behind: list[Appointment] = field(default_factory=list)  # still booked under a version that was replaced
    merged: list[tuple[str, Record]] = field(default_factory=list)  # number and history of each record merged into it


def read_patient_page(patient: Patient, *, user: User) -> Record:
    record = Record(
        intakes=_intakes(patient, user),
        plans=_plans(patient, user),
        visits=list(visits_of(patient, user=user)),
        messages=_messages(patient, user),
        documents=_documents(patient, user),
    )
    if patient.holds_merged_records:
        merged = patients_seen_by(user).filter(merged_into=patient).order_by("number")
        record.merged = [(other.display_number, read_patient_page(other, user=user)) for other in merged]
    plans = record.plans + [plan for _number, other in record.merged for plan in other.plans]
    visits = record.visits + [visit for _number, other in record.merged for visit in other.visits]
    record.draft = next((plan for plan in record.plans if plan.status == PlanStatus.DRAFT), None)
    record.in_force = next((plan for plan in plans if plan.status in PlanStatus.IN_FORCE), None)
    record.shown = _shown(plans)
    if record.shown is not None:
        record.booked = {
            visit.number: visit
            for visit in visits
            if visit.course.plan_id == record.shown.pk and visit.status not in AppointmentStatus.FREE_AGAIN
        }
        left_out = SessionLeftOut.objects.filter(course__plan=record.shown).select_related("by", "course")
        record.left_out = list(left_out.order_by("number"))
    if record.in_force is not None:
        older = set(versions_before(record.in_force.pk, {plan.pk: plan.supersedes_id for plan in plans}))
        record.left_behind = [
            visit for visit in visits if visit.course.plan_id in older and visit.status in AppointmentStatus.COMING
        ]
    return record


def _intakes(patient: Patient, user: User) -> list[Intake]:
    if not user.may(Permission.INTAKE_READ):
        return []
    return list(patient.intakes.defer("facts", "note").select_related("submitted_by", "started_by").order_by("-number"))


def _plans(patient: Patient, user: User) -> list[Plan]:
    """Newest first. The one in force comes with what was signed, for whom may read it and for its course's dates."""
    if not user.may(Permission.PLAN_EXISTS):
        return []
    plans: list[Plan] = list(
        patient.plans.exclude(status=PlanStatus.DISCARDED)
        .defer("case", "policy", "proposal", "edits", "result")
        .select_related("signed_by", "created_by")
        .annotate(sessions_planned=F("result__course__sessions"), review_days=F("result__waiting__days"))
        .order_by("-created_at", "-pk")
    )
    shown = _shown(plans)
    if shown is not None:
        shown.result = Plan.objects.values_list("result", flat=True).get(pk=shown.pk)
    return plans


def _shown(plans: Sequence[Plan]) -> Plan | None:
    in_force = (plan for plan in plans if plan.status in PlanStatus.IN_FORCE and not plan.waits)
    completed = (plan for plan in plans if plan.status == PlanStatus.COMPLETED)
    return next(in_force, None) or next(completed, None)


def _messages(patient: Patient, user: User) -> list[Message]:
    return list(messages_about(patient.public_id)) if user.may(Permission.MESSAGE_READ) else []


def _documents(patient: Patient, user: User) -> list[Document]:
    """What is made from a plan shows its content, so it is for those who may read plans."""
    if not user.may(Permission.PLAN_READ):
        return []
    return list(Document.objects.filter(person_id=patient.public_id).defer("context").order_by("-created_at"))


# ------------------------------------------------------------------ the timeline


def story_of(record: Record, *, user: User, now: datetime) -> Story:
    """Each mail and each paper under the session or the plan that it is about, and what is to come apart."""
    events = _folded(_events(record, user=user, now=now), _courses(record))
    for number, other in record.merged:
        told = _folded(_events(other, user=user, now=now), _courses(other))
        events += [replace(event, under=number) for event in told]
    events.sort(key=lambda event: event.at, reverse=True)
    return Story(
        ahead=[event for event in events if event.at > now],
        behind=[event for event in events if event.at <= now],
    )


def _courses(record: Record) -> dict[UUID, UUID]:
    """The plan of each course: a mail with all dates is about the course."""
    return {visit.course.public_id: visit.course.plan.public_id for visit in record.visits}


def _folded(events: Iterable[Event], courses: Mapping[UUID, UUID]) -> list[Event]:
    events = list(events)
    owners = {subject: index for index, event in enumerate(events) for subject in event.holds}
    mails: dict[int, list[Event]] = {}
    papers: dict[int, list[Event]] = {}
    kept = []
    for index, event in enumerate(events):
        owner = owners.get(courses.get(event.about, event.about)) if event.about else None
        if owner is None:
            kept.append(index)
        else:
            (mails if event.kind == "messages" else papers).setdefault(owner, []).append(event)
    return [
        replace(
            events[index],
            mails=tuple(sorted(mails.get(index, ()), key=lambda event: event.at)),
            papers=tuple(sorted(papers.get(index, ()), key=lambda event: event.at)),
        )
        for index in kept
    ]


def events_of(record: Record, *, user: User, now: datetime, kind: str = "") -> list[Event]:
    """Newest first; what was written under a merged record says so."""
    events = _events(record, user=user, now=now)
    for number, other in record.merged:
        events += [replace(event, under=number) for event in _events(other, user=user, now=now)]
    if kind in KINDS and kind != EVERYTHING:
        events = [event for event in events if event.kind == kind]
    events.sort(key=lambda event: event.at, reverse=True)
    to_come = sum(event.at > now for event in events)
    if 0 < to_come < len(events):
        events[to_come] = replace(events[to_come], first_behind=True)
    return events


def _events(record: Record, *, user: User, now: datetime) -> list[Event]:
    return [
        *_intake_events(record.intakes),
        *_plan_events(record.plans, user=user),
        *_visit_events(record.visits, user=user, now=now),
        *_message_events(record.messages, now=now),
        *_document_events(record.documents),
    ]


def _intake_events(intakes: Iterable[Intake]) -> Iterable[Event]:
    for intake in intakes:
        page = reverse("patients:intake_detail", args=[intake.public_id])
        concerns = ngettext("%(n)s concern", "%(n)s concerns", len(intake.concerns)) % {"n": len(intake.concerns)}
        if intake.status == IntakeStatus.SUBMITTED and intake.submitted_at and intake.submitted_by:
            yield Event(
                kind="intakes",
                at=intake.submitted_at,
                icon="note",
                title=_("Intake %(n)s") % {"n": intake.number},
                text=_("%(concerns)s, submitted by %(who)s.") % {"concerns": concerns, "who": intake.submitted_by},
                url=page,
                chip=_("Submitted"),
                chip_kind="ok",
            )
        else:
            yield Event(
                kind="intakes",
                at=intake.started_at,
                icon="note",
                title=_("Intake %(n)s") % {"n": intake.number},
                text=_("Begun by %(who)s, not submitted yet.") % {"who": intake.started_by},
                url=reverse("patients:intake_edit", args=[intake.public_id]),
                chip=_("Being filled in"),
                chip_kind="warn",
            )


def _waiting_words(plan: Plan) -> str:
    """Return what a plan that waits comes to: the day of its review, or how long after the signature that will be."""
    days = int(plan.review_days)  # type: ignore[attr-defined]
    if plan.signed_at is None:
        return waiting_title(days)
    signed = plan.signed_at.astimezone(plan.patient.site.tz).date()
    return _("no injections now, review on %(day)s") % {"day": written(signed + timedelta(days=days), "date")}


def _plan_events(plans: Iterable[Plan], *, user: User) -> Iterable[Event]:
    plans = list(plans)
    cut = cut_courses(plan.pk for plan in plans if plan.supersedes_id)
    for plan in plans:
        sessions = cut.get(plan.pk, plan.sessions_planned)  # type: ignore[attr-defined]
        words = [ngettext("%(n)s session", "%(n)s sessions", sessions) % {"n": sessions}] if sessions else []
        if plan.waits:
            words = [_waiting_words(plan)]
        if plan.signed_at and plan.signed_by:
            words.append(_("signed by %(who)s") % {"who": plan.signed_by})
        else:
            words.append(_("drafted by %(who)s") % {"who": plan.created_by})
        yield Event(
            kind="plans",
            at=plan.signed_at or plan.created_at,
            icon="lock" if plan.signed_at else "edit",
            title=_("Plan %(n)s") % {"n": plan.display_number},
            text=sentence(words),
            url=reverse("protocols:plan", args=[plan.public_id]) if user.may(Permission.PLAN_READ) else "",
            chip=plan.get_status_display(),
            chip_kind=PLAN_MARKS[plan.status][0],
            holds=(plan.public_id,),
        )


def _visit_events(visits: Iterable[Appointment], *, user: User, now: datetime) -> Iterable[Event]:
    for visit in visits:
        words = [_("%(who)s, %(room)s") % {"who": visit.practitioner, "room": visit.room}]
        recorded = getattr(visit, "treatment_session", None)
        if recorded is not None and user.may(Permission.SESSION_READ):
            lines = list(recorded.administrations.all())
            words.append(_("%(ml)s mL injected") % {"ml": shown_number(sum(line.volume_ml for line in lines))})
            changed = sum(1 for line in lines if line.deviation_reason)
            if changed:
                words.append(
                    ngettext("%(n)s line not as planned", "%(n)s lines not as planned", changed) % {"n": changed}
                )
            if recorded.tolerance:
                words.append(_("tolerance %(n)s of 5") % {"n": recorded.tolerance})
        yield Event(
            kind="sessions",
            at=visit.starts_at,
            icon="syringe" if visit.status == AppointmentStatus.DONE else "cal",
            title=_("Session %(n)s") % {"n": visit.number},
            text=sentence(words),
            url=reverse("sessions:appointment", args=[visit.public_id]),
            chip=visit.get_status_display(),
            chip_kind=VISIT_MARKS[visit.status][0],
            ahead=visit.starts_at > now and visit.status == AppointmentStatus.BOOKED,
            now=visit.status == AppointmentStatus.ARRIVED,
            holds=(visit.public_id,) if recorded is None else (visit.public_id, recorded.public_id),
        )


_MESSAGE_CHIPS = {
    MessageState.HELD: "warn",
    MessageState.QUEUED: "info",
    MessageState.SENDING: "info",
    MessageState.SENT: "ok",
    MessageState.FAILED: "danger",
    MessageState.BOUNCED: "danger",
}


def _message_events(messages: Iterable[Message], *, now: datetime) -> Iterable[Event]:
    for message in messages:
        at = message.sent_at or message.due_at
        yield Event(
            kind="messages",
            at=at,
            icon="mail",
            title=purpose_words(message.purpose),
            text=_("To %(address)s.") % {"address": message.to_address},
            url=reverse("messaging:detail", args=[message.public_id]),
            chip=message.get_state_display(),
            chip_kind=_MESSAGE_CHIPS.get(MessageState(message.state), ""),
            ahead=at > now and message.state in MessageState.ON_ITS_WAY,
            about=message.subject_id,
            needs_a_look=message.state in (MessageState.HELD, MessageState.FAILED, MessageState.BOUNCED),
        )


_DOCUMENT_CHIPS = {DocumentState.READY: "ok", DocumentState.FAILED: "danger"}


def _document_events(documents: Iterable[Document]) -> Iterable[Event]:
    for document in documents:
        ready = document.state == DocumentState.READY
        outdated = ready and document.outdated_at is not None
        yield Event(
            kind="documents",
            at=document.created_at,
            icon="file",
            title=document.title,
            url=reverse("documents:status", args=[document.public_id]),
            text=_("Made before something that it shows has changed. Print it anew.") if outdated else "",
            chip=_("Outdated") if outdated else document.get_state_display(),
            chip_kind="warn" if outdated else _DOCUMENT_CHIPS.get(DocumentState(document.state), "info"),
            about=document.subject_id,
        )


def sentence(parts: Sequence[str]) -> str:
    return ", ".join(part for part in parts if part) + "." if parts else ""


# ------------------------------------------------------------------ now


@dataclass(frozen=True, kw_only=True)
class Present:
    """What is going on at the moment: the visit of today, and what the patient said that nobody has closed."""

    visit: Appointment | None
    answers: list[inbox.Row]

    def __bool__(self) -> bool:
        return self.visit is not None or bool(self.answers)

    @property
    def has_alert(self) -> bool:
        return any(row.alert for row in self.answers)


def present_of(record: Record, *, patient: Patient, user: User, now: datetime) -> Present:
    today = now.astimezone(patient.site.tz).date()
    here = (
        visit
        for visit in record.visits
        if visit.status in AppointmentStatus.COMING and visit.starts_at.astimezone(visit.site.tz).date() == today
    )
    said = inbox.answers_visible_to(user).filter(patient=patient, state__in=AnswerState.OPEN)
    rows = [inbox.row_of(answer, user=user, now=now) for answer in inbox.for_rows(said)[:MOST_ANSWERS]]
    return Present(visit=next(here, None), answers=rows)


# ------------------------------------------------------------------ the course and the next step


def course_of(record: Record, *, user: User) -> dict[str, Any] | None:
    """What the course drawing needs: days and windows, booked dates; reviews only for whom may read the plan."""
    plan = record.shown
    if plan is None:
        return None
    course, terms = plan.result["course"], terms_of(plan)
    shown: dict[str, Any] = {"sessions": terms.sessions, "offsets_days": list(terms.offsets_days)}
    if not record.booked:
        shown["windows_days"] = (course.get("windows_days") or [])[: terms.sessions]
    if user.may(Permission.PLAN_READ):
        shown["checkpoints"] = course.get("checkpoints")
    dates = [
        {
            "number": visit.number,
            "starts_at": visit.starts_at.astimezone(visit.site.tz),
            "state": "done" if visit.status == AppointmentStatus.DONE else "booked",
        }
        for visit in sorted(record.booked.values(), key=lambda visit: visit.number)
    ]
    return {"course": shown, "dates": dates, "terms": terms, "plan": plan}


def visits_to_cancel(record: Record, *, patient: Patient) -> list[Appointment]:
    """The visits still booked for somebody who has died or moved away, the soonest first."""
    if patient.status in (PatientStatus.ACTIVE, PatientStatus.MERGED):
        return []
    return sorted(
        (visit for visit in record.visits if visit.status in AppointmentStatus.COMING),
        key=lambda visit: visit.starts_at,
    )


def next_visit(record: Record, *, now: datetime) -> Appointment | None:
    ahead = [visit for visit in record.visits if visit.ends_at > now and visit.status in AppointmentStatus.COMING]
    return min(ahead, key=lambda visit: visit.starts_at, default=None)


def waiting_messages(messages: Sequence[Message]) -> list[Message]:
    """Those that have not left yet, the next one first; each with its kind in ``words``."""
    found = sorted(
        (message for message in messages if message.state in MessageState.ON_ITS_WAY),
        key=lambda message: message.due_at,
    )
    for message in found:
        message.words = purpose_words(message.purpose)  # type: ignore[attr-defined]
    return found
