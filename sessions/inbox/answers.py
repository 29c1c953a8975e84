"""What a patient may do through a link: confirm, ask for another time, cancel, say how it went, choose mails.

The link is the permission: it names the patient and what it is about, and every function here works on that alone.
Doing the same twice is one answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from patients.models import StatementKind, StatementSource
from patients.queries import records_of, remaining_record
from patients.search.phrases import says_nothing
from patients.statements.statements import Words, record_statements
from protocols.models import Plan
from sessions.booking.locks import with_one_retry
from sessions.course.gaps import fits
from sessions.course.terms import terms_of
from sessions.mail import followups
from sessions.mail import sending as mails
from sessions.mail.kinds import CATEGORY, MAIL_KINDS, Page
from sessions.mail.waiting import may_be_mailed
from sessions.models import Appointment, AppointmentStatus, TreatmentSession
from sessions.models.followups import (
    Answer,
    AnswerKind,
    AnswerLink,
    AnswerOutcome,
    AnswerState,
    MailPreference,
    Urgency,
)
from sessions.planner import NoSeries, Pacing, Wishes, plan_series
from sessions.renewal.resuming import plan_anew
from sessions.times.queries import calendar_for

VISIT, REPORT, CALLBACK, PAPER = Page.VISIT, Page.REPORT, Page.CALLBACK, Page.PAPER
SLOTS = 6

# What can be ticked, and the formulary's red flag behind it.
NOTICED: dict[str, str] = {
    "nothing": "",
    "bruise": "",
    "soreness": "",
    "redness": "",
    "other": "",
    "pus": "pus",
    "fever": "fever",
    "skin": "blister_necrosis",
    "patch": "new_patch",
    "emergency": "hives_breathing",
}
WORDS_LENGTH = 1000
SINCE = ("same_day", "next_day", "later")
BAD = ("barely", "bothers", "hard")
_EXPECTED = {
    "bruise": ("bruising",),
    "soreness": ("soreness",),
    "redness": ("erythema", "oedema"),
    "other": ("itching", "headache"),
}
_RANK = (Urgency.NONE, Urgency.OUTSIDE, Urgency.SAME_DAY, Urgency.IMMEDIATELY, Urgency.EMERGENCY)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a link is about, read once."""

    link: AnswerLink
    page: Page
    site: Site
    visits: tuple[Appointment, ...] = ()
    session: TreatmentSession | None = None


def page_of(link: AnswerLink) -> Page:
    """Return which page a link opens: that of its mail's kind."""
    return MAIL_KINDS[link.purpose].page if link.purpose in MAIL_KINDS else CALLBACK


def subject_of(link: AnswerLink) -> Subject:
    page = page_of(link)
    if page == PAPER:
        return Subject(link=link, page=page, site=link.patient.site)
    rows = Appointment.objects.select_related("patient", "site", "practitioner", "room", "course__plan__patient")
    if page == VISIT:
        ours = rows.filter(patient__in=records_of(link.patient))
        visits = tuple(ours.filter(public_id=link.subject_id)) or tuple(
            ours.filter(course__public_id=link.subject_id, status=AppointmentStatus.BOOKED).order_by("starts_at")
        )
        site = visits[0].site if visits else link.patient.site
        return Subject(link=link, page=page, site=site, visits=visits)
    if page == REPORT:
        session = (
            TreatmentSession.objects.filter(
                public_id=link.subject_id,
                appointment__patient__in=records_of(link.patient),
            )
            .select_related("appointment__site", "appointment__practitioner", "plan__formulary")
            .first()
        )
        if session is not None:
            return Subject(link=link, page=page, site=session.appointment.site, session=session)
    whose = records_of(link.patient)
    visits = tuple(rows.filter(public_id=link.subject_id, patient__in=whose))
    return Subject(link=link, page=page, site=visits[0].site if visits else link.patient.site, visits=visits)


# ------------------------------------------------------------------ answering


@transaction.atomic
def confirm(subject: Subject) -> Answer:
    """“I will come”: nobody has to do anything about it."""
    still = [visit for visit in subject.visits if visit.status == AppointmentStatus.BOOKED]
    if not still:
        raise InvalidTransition(_("This appointment has changed since the mail was written."))
    answer, _made = _say(
        subject.link,
        AnswerKind.CONFIRM,
        {"appointments": [[str(visit.public_id), visit.sequence] for visit in still]},
        appointment=still[0] if len(still) == 1 else None,
        state=AnswerState.CLOSED,
        outcome=AnswerOutcome.NOTHING_TO_DO,
    )
    return answer


def ask_for_another_time(subject: Subject, *, visit: Appointment, starts_at: datetime | None) -> Answer:
    """A wish for the clinic to act on; the present time stays. ``starts_at`` is None for “please call me”."""
    if visit.status not in AppointmentStatus.OPEN_TO_A_WISH:
        raise InvalidTransition(_("This appointment has changed since the mail was written."))
    offered = free_times(visit, now=timezone.now())
    if starts_at is not None and starts_at not in offered:
        raise InvalidInput(_("This time has just been taken. Please choose another."), field="time")
    said = {"wish": starts_at.isoformat() if starts_at else "call", "visit": str(visit.public_id)}
    beside = {"was": visit.starts_at.isoformat(), "offered": [at.isoformat() for at in offered]}
    with transaction.atomic():
        answer, made = _say(subject.link, AnswerKind.MOVE, said, beside=beside, appointment=visit)
        if made:
            _replace_earlier(answer)
        return answer


def cancel(subject: Subject, *, visit: Appointment) -> Answer:
    """The patient cancels: the time is free at once, and the clinic learns of it."""

    @transaction.atomic
    def act() -> Answer:
        said = {"visit": str(visit.public_id), "sequence": 0}
        if there := subject.link.answers.filter(kind=AnswerKind.CANCEL, appointment=visit).first():
            return there
        if visit.starts_at <= timezone.now():
            raise InvalidTransition(_("This appointment has begun; it cannot be cancelled any more."))
        open_ones = Appointment.objects.filter(pk=visit.pk, status=AppointmentStatus.BOOKED, sequence=visit.sequence)
        if not open_ones.update(status=AppointmentStatus.CANCELLED, sequence=F("sequence") + 1):
            raise InvalidTransition(_("This appointment has changed since the mail was written."))
        visit.refresh_from_db(fields=["status", "sequence"])
        mails.take_back([visit], course=visit.course, by=None)
        followups.cancelled([visit], by=None)
        answer, _made = _say(subject.link, AnswerKind.CANCEL, said, appointment=visit)
        trail.record(
            "appointment.cancelled", by=None, target=visit, patient=visit.patient, details={"by": "the patient's link"}
        )
        return answer

    return with_one_retry(act)


@transaction.atomic
def report(subject: Subject, *, noticed: Sequence[str], since: str, bad: str, words: str = "") -> Answer:
    """How it went. What it means is decided at once, by the formulary's own red flags and usual durations.

    What is said in the patient's own ``words`` nobody can decide: somebody reads it, and it is settled before the next
    session. A newer report through the same link stands before the older ones, which stay as its history.
    """
    if unknown := set(noticed) - set(NOTICED):
        raise InvalidInput(_("“%(what)s” is no answer.") % {"what": sorted(unknown)[0]}, field="noticed")
    things = sorted(set(noticed) - {"nothing"}) or ["nothing"]
    if not noticed or (things != ["nothing"] and "emergency" not in things and (since not in SINCE or bad not in BAD)):
        raise InvalidInput("bad_missing", field="noticed")
    if things == ["nothing"]:
        since = bad = ""
    words = " ".join(words.split())[:WORDS_LENGTH]
    if not words.isprintable():
        raise InvalidInput("bad_missing", field="words")
    now = timezone.now()
    urgency = urgency_of(subject, things, since=since, bad=bad, at=now)
    quiet = urgency == Urgency.NONE and says_nothing(words)
    days = (now - subject.session.performed_at).days if subject.session else None
    said = {"noticed": things, "since": since, "bad": bad, "day": days}
    answer, made = _say(
        subject.link,
        AnswerKind.REPORT,
        said | ({"words": words} if words else {}),
        appointment=subject.session.appointment if subject.session else None,
        urgency=urgency,
        state=AnswerState.CLOSED if quiet else AnswerState.NEW,
        outcome=AnswerOutcome.NOTHING_TO_DO if quiet else "",
    )
    if made:
        _replace_earlier(answer)
    if made and not says_nothing(words):
        record_statements(
            patient=subject.link.patient,
            said=[Words(kind=StatementKind.NOTE, text=words)],
            source=StatementSource.ANSWER,
            source_id=answer.public_id,
            at=answer.received_at,
            by=None,
        )
    return answer


@transaction.atomic
def ask_for_a_call(subject: Subject) -> Answer:
    visit = subject.visits[0] if subject.visits else None
    return _say(subject.link, AnswerKind.CALLBACK, {"wish": "call"}, appointment=visit)[0]


@transaction.atomic
def choose_mails(link: AnswerLink, *, reminders: bool, questions: bool, offers: bool) -> MailPreference:
    """Which mails the patient wants. What waits and is not wanted any more is not sent."""
    chosen = {"reminders": reminders, "questions": questions, "offers": offers}
    person = remaining_record(link.patient)
    old = MailPreference.objects.filter(patient=person).first()
    if old is not None and all(getattr(old, name) == value for name, value in chosen.items()):
        return old
    choice, _made = MailPreference.objects.update_or_create(patient=person, defaults=chosen)
    for category, wanted in chosen.items():
        if not wanted:
            followups.void_category(person, category, by=None)
    if may_be_mailed(person):
        plan_anew(person, by=None, reasons=(followups.NOT_WANTED,))
    trail.record("mails.chosen", by=None, patient=person, details=chosen)
    return choice


def stop_mails(link: AnswerLink) -> MailPreference:
    """One click on “unsubscribe”: no more mails of the category that this link's mail belongs to."""
    person = remaining_record(link.patient)
    old = MailPreference.objects.filter(patient=person).first() or MailPreference(patient=person)
    chosen = {name: getattr(old, name) for name in ("reminders", "questions", "offers")}
    category = CATEGORY[link.purpose]
    chosen[category if category in chosen else "offers"] = False
    return choose_mails(link, **chosen)


def _say(
    link: AnswerLink, kind: AnswerKind, said: dict[str, Any], *, beside: dict[str, Any] | None = None, **fields: Any
) -> tuple[Answer, bool]:
    """Keep an answer once: the same words through the same link are the same answer, until somebody has closed it.

    ``beside`` is kept with what was said and does not make it another answer.
    """
    closed_by_hand = Answer.objects.filter(link=link, kind=kind, closed_by__isnull=False).count()
    content = json.dumps([kind, said, *([closed_by_hand] if closed_by_hand else [])], sort_keys=True)
    fingerprint = hashlib.sha256(content.encode()).hexdigest()
    if there := Answer.objects.filter(link=link, fingerprint=fingerprint).first():
        return there, False
    now, person = timezone.now(), remaining_record(link.patient)
    closed = {"closed_at": now} if fields.get("state") == AnswerState.CLOSED else {}
    try:
        with transaction.atomic():
            answer = Answer.objects.create(
                link=link,
                patient=person,
                kind=kind,
                said=said | (beside or {}),
                fingerprint=fingerprint,
                received_at=now,
                **closed,
                **fields,
            )
    except IntegrityError:  # the same tap twice at the same instant
        return Answer.objects.get(link=link, fingerprint=fingerprint), False
    trail.record(
        "answer.received",
        by=None,
        target=answer,
        patient=person,
        details={"kind": str(kind), "link": str(link.public_id), "alert": answer.urgency != Urgency.NONE},
    )
    return answer, True


def _replace_earlier(newest: Answer) -> None:
    """Make the earlier answers of the same kind about the same visit, through the same link, history of the newest.

    An open one is closed with it only where nothing is lost: the newest has to be dealt with as well and is at least as
    urgent. A red flag stays open until somebody closes it.
    """
    earlier = Answer.objects.filter(
        link=newest.link, kind=newest.kind, appointment=newest.appointment, pk__lt=newest.pk
    )
    earlier.update(replaced_by=newest)
    if newest.state == AnswerState.CLOSED:
        return
    for old in earlier.filter(state__in=AnswerState.OPEN).exclude(urgency__in=Urgency.RED_FLAGS):
        if _RANK.index(Urgency(newest.urgency)) < _RANK.index(Urgency(old.urgency)):
            continue
        if old.handler_id is not None and newest.handler_id is None:
            newest.handler_id = old.handler_id
            Answer.objects.filter(pk=newest.pk).update(handler=old.handler_id)
        Answer.objects.filter(pk=old.pk, state__in=AnswerState.OPEN).update(
            state=AnswerState.CLOSED, outcome=AnswerOutcome.REPLACED, closed_at=newest.received_at
        )


# ------------------------------------------------------------------ what an answer means


def urgency_of(subject: Subject, things: Sequence[str], *, since: str, bad: str, at: datetime) -> Urgency:
    """The most urgent of all that was ticked. How urgent a red flag is stands in the formulary."""
    course = followups.course_document(subject.session.plan if subject.session else None)
    flags = {flag["key"]: Urgency(flag["contact"]) for flag in course["red_flags"]}
    usual = {effect["key"]: _longest(effect["usual_duration"]) for effect in course["expected_side_effects"]}
    passed = at - subject.session.performed_at if subject.session else timedelta()
    found = [Urgency.NONE]
    for thing in things:
        if flag := NOTICED[thing]:
            found.append(flags.get(flag, Urgency.SAME_DAY))
        elif thing != "nothing":
            longest = max((usual[key] for key in _EXPECTED[thing] if key in usual), default=timedelta())
            if passed > longest:
                found.append(Urgency.OUTSIDE)
    if "soreness" in things and (bad == "hard" or since == "later"):
        found.append(flags.get("severe_or_rising_pain", Urgency.SAME_DAY))
    if "redness" in things and (since == "later" or bad == "hard"):
        found.append(flags.get("spreading_redness", Urgency.SAME_DAY))
    if bad == "hard":
        found.append(Urgency.OUTSIDE)
    return max(found, key=_RANK.index)


def _longest(duration: dict[str, Any]) -> timedelta:
    return timedelta(**{str(duration["unit"]): float(duration["max"])})


# ------------------------------------------------------------------ free times


def free_times(visit: Appointment, *, now: datetime) -> list[datetime]:
    """Up to six real free times for this session within the plan's gaps, one a day, mornings and afternoons in turn."""
    plan: Plan = visit.course.plan
    tz = visit.site.tz
    calendar = calendar_for(plan=plan, practitioner=visit.practitioner, site=visit.site, since=now)
    minutes = terms_of(plan).minutes
    day = max(now.astimezone(tz).date() + timedelta(days=1), visit.starts_at.astimezone(tz).date() - timedelta(days=14))
    last = max(visit.starts_at.astimezone(tz).date(), day) + timedelta(days=42)
    found: list[datetime] = []
    while day <= last and len(found) < SLOTS:
        slot = None
        for not_before in (time(13), time.min) if len(found) % 2 else (time.min,):
            wishes = Wishes(earliest=day, not_before=not_before)
            try:
                slot = plan_series(pacing=(Pacing(),), minutes=minutes, calendar=calendar, wishes=wishes, kept=())[0]
            except NoSeries:
                continue
            break
        if slot is None or slot.day > last:
            break
        if slot.starts_at != visit.starts_at and fits(
            plan, number=visit.number, starts_at=slot.starts_at, site=visit.site
        ):
            found.append(slot.starts_at)
        day = slot.day + timedelta(days=1)
    return found
