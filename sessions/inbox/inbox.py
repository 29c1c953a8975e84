"""What came back from patients: who may see it, what it means, and what the clinic does about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, Exists, IntegerField, OuterRef, Prefetch, Q, QuerySet, When
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.messaging.models import Message
from mesoclinic.ui.templatetags.ui import ml
from patients.queries import in_care, is_seen_by
from sessions.booking.wishes import wish_in_words
from sessions.inbox.answers import NOTICED
from sessions.mail import letters
from sessions.mail import sending as mails
from sessions.mail.followups import course_document
from sessions.mail.kinds import REPLY
from sessions.mail.waiting import may_be_mailed
from sessions.mail.writing import Letter, queue_letter
from sessions.models import Administration
from sessions.models.followups import Answer, AnswerKind, AnswerOutcome, AnswerState, Urgency

REPLIES = ("reassure", "call", "visit")
REPLY_LABELS = {
    "reassure": gettext_lazy("Reassure: expected, tell us if it gets worse"),
    "call": gettext_lazy("We call you today"),
    "visit": gettext_lazy("Please come in"),
}
ALERTS = tuple(urgency for urgency in Urgency if urgency != Urgency.NONE)
NOTICED_WORDS = {
    "nothing": gettext_lazy("nothing"),
    "bruise": gettext_lazy("bruise"),
    "soreness": gettext_lazy("soreness"),
    "redness": gettext_lazy("redness or swelling"),
    "other": gettext_lazy("itching, headache or something else"),
    "pus": gettext_lazy("pus or a painful lump"),
    "fever": gettext_lazy("fever or chills"),
    "skin": gettext_lazy("blisters, or skin white or dark"),
    "patch": gettext_lazy("a new bald patch"),
    "emergency": gettext_lazy("breathing, face, chest, sight or strength"),
}
SINCE_WORDS = {
    "same_day": gettext_lazy("since the same day"),
    "next_day": gettext_lazy("since the day after"),
    "later": gettext_lazy("since later"),
}
BAD_WORDS = {
    "barely": gettext_lazy("barely there"),
    "bothers": gettext_lazy("bothers"),
    "hard": gettext_lazy("hard to bear"),
}


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """An earlier answer through the same link that somebody still has to close."""

    answer: Answer
    flag: bool
    words: str


@dataclass(frozen=True, kw_only=True)
class Row:
    answer: Answer
    alert: bool
    flag: bool  # a red flag is open, in this answer or in an earlier one
    earlier: tuple[Earlier, ...]  # still open
    may_read: bool  # what was said of the body is for clinical staff
    words: str
    timer: str
    late: bool
    session: str
    doses: tuple[str, ...]
    expected: tuple[str, ...]


# ------------------------------------------------------------------ who sees what


def answers_visible_to(user: User) -> QuerySet[Answer]:
    if not user.may(Permission.MESSAGE_READ):
        return Answer.objects.none()
    return Answer.objects.filter(Q(patient__site_id__in=user.site_ids) | Q(appointment__site_id__in=user.site_ids))


def newest_of(answers: QuerySet[Answer]) -> QuerySet[Answer]:
    """Of several answers through one link the newest only; the earlier ones are its history."""
    return answers.filter(replaced_by__isnull=True)


def open_ones(answers: QuerySet[Answer]) -> QuerySet[Answer]:
    """Those that somebody has to deal with: open themselves, or with an earlier one that still is."""
    earlier = Answer.objects.filter(replaced_by=OuterRef("pk"), state__in=AnswerState.OPEN)
    return newest_of(answers).filter(Q(state__in=AnswerState.OPEN) | Exists(earlier))


def for_rows(answers: QuerySet[Answer]) -> QuerySet[Answer]:
    """With all that a row shows, in a fixed number of queries; red flags first, then other alerts, then the newest."""
    earlier = Answer.objects.filter(replaced_by=OuterRef("pk"), state__in=AnswerState.OPEN)
    alert = Case(
        When(urgency__in=Urgency.RED_FLAGS, state__in=AnswerState.OPEN, then=0),
        When(Exists(earlier.filter(urgency__in=Urgency.RED_FLAGS)), then=0),
        When(urgency__in=ALERTS, state__in=AnswerState.OPEN, then=1),
        When(Exists(earlier.filter(urgency__in=ALERTS)), then=1),
        default=2,
        output_field=IntegerField(),
    )
    still_open = Answer.objects.filter(state__in=AnswerState.OPEN).order_by("received_at", "pk")
    done = Administration.objects.select_related("ingredient")
    return (
        answers.select_related(
            "patient__site",
            "handler",
            "appointment__practitioner",
            "appointment__site",
            "appointment__treatment_session",
        )
        .prefetch_related(
            Prefetch("appointment__treatment_session__administrations", queryset=done),
            Prefetch("earlier", queryset=still_open, to_attr="earlier_open"),
        )
        .order_by(alert, "-received_at", "-pk")
    )


def row_of(answer: Answer, *, user: User, now: datetime, expected: tuple[str, ...] = ()) -> Row:
    may_read = user.may(Permission.SESSION_READ) or answer.kind != AnswerKind.REPORT
    visit = answer.appointment
    session = getattr(visit, "treatment_session", None) if visit is not None else None
    doses: tuple[str, ...] = ()
    if session is not None and user.may(Permission.SESSION_READ):
        doses = tuple(
            f"{_(row.ingredient.name)} {ml(row.volume_ml)}" for row in session.administrations.all() if row.volume_ml
        )
    waited = (answer.responded_at or now) - answer.received_at
    earlier = tuple(
        Earlier(answer=other, flag=other.urgency in Urgency.RED_FLAGS, words=words_of(other) if may_read else "")
        for other in getattr(answer, "earlier_open", ())
    )
    return Row(
        answer=answer,
        alert=answer.urgency in ALERTS and answer.state in AnswerState.OPEN,
        flag=is_flag(answer) or any(other.flag for other in earlier),
        earlier=earlier,
        may_read=may_read,
        words=words_of(answer) if may_read else _("For clinical staff"),
        timer=timer_words(waited),
        late=answer.responded_at is None and answer.state in AnswerState.OPEN and waited > timedelta(hours=1),
        session=_("Session %(n)s") % {"n": visit.number} if visit is not None else "",
        doses=doses,
        expected=expected,
    )


def is_flag(answer: Answer) -> bool:
    """Whether the answer is a red flag that nobody has closed."""
    return answer.urgency in Urgency.RED_FLAGS and answer.state in AnswerState.OPEN


@dataclass(frozen=True, kw_only=True)
class Past:
    """Another answer through the same link, as the history of one shows it."""

    answer: Answer
    words: str
    flag: bool
    newer: bool


def history_of(answer: Answer, *, user: User) -> list[Past]:
    """The other answers of this kind through the same link, the newest first; one query."""
    may_read = user.may(Permission.SESSION_READ) or answer.kind != AnswerKind.REPORT
    head = answer.replaced_by_id or answer.pk
    others = Answer.objects.filter(Q(pk=head) | Q(replaced_by=head)).exclude(pk=answer.pk)
    return [
        Past(
            answer=other,
            words=words_of(other) if may_read else _("For clinical staff"),
            flag=is_flag(other) and may_read,
            newer=other.received_at > answer.received_at,
        )
        for other in others.select_related("patient__site", "appointment__site").order_by("-received_at", "-pk")
    ]


def words_of(answer: Answer) -> str:
    said = answer.said
    if answer.kind == AnswerKind.REPORT:
        parts = [", ".join(str(NOTICED_WORDS[key]) for key in said["noticed"] if key in NOTICED)]
        parts += [str(SINCE_WORDS[said["since"]])] if said.get("since") else []
        parts += [str(BAD_WORDS[said["bad"]])] if said.get("bad") else []
        if said.get("day") is not None:
            parts.append(_("day %(n)s") % {"n": said["day"]})
        if said.get("words"):
            parts.append(f"“{said['words']}”")
        return " · ".join(parts)
    if answer.kind == AnswerKind.MOVE:
        return wish_in_words(answer)
    if answer.kind == AnswerKind.CANCEL:
        return _("Has cancelled; the time is free")
    if answer.kind == AnswerKind.CALLBACK:
        return _("Wants to be called")
    return _("Will come")


def timer_words(waited: timedelta) -> str:
    minutes = int(waited.total_seconds() // 60)
    if minutes < 60:
        return _("%(n)s min") % {"n": minutes}
    hours = minutes // 60
    if hours < 48:
        return _("%(h)s h %(m)s min") % {"h": hours, "m": minutes % 60}
    return ngettext("%(n)s day", "%(n)s days", hours // 24) % {"n": hours // 24}


def expected_of(answer: Answer) -> tuple[str, ...]:
    """How long the formulary says that common effects last, for what was noticed."""
    if answer.kind != AnswerKind.REPORT or answer.appointment is None:
        return ()
    course = course_document(answer.appointment.course.plan)
    rows = []
    for effect in course["expected_side_effects"]:
        usual = effect["usual_duration"]
        rows.append(
            _("%(what)s: up to %(n)s %(unit)s") % {"what": effect["label"], "n": usual["max"], "unit": usual["unit"]}
        )
    return tuple(rows)


# ------------------------------------------------------------------ acting


def check_can_handle(answer: Answer, *, by: User) -> None:
    if not by.may(Permission.MESSAGE_WRITE) or not is_seen_by(answer.patient, by):
        raise NotAllowed(_("Your role does not answer patients."))
    if answer.kind == AnswerKind.REPORT and not by.may(Permission.SESSION_READ):
        raise NotAllowed(_("What a patient says of their health is answered by clinical staff."))
    if answer.state == AnswerState.CLOSED:
        raise InvalidTransition(_("This answer is closed."))


@transaction.atomic
def hand_over(*, answer: Answer, to: User, by: User) -> Answer:
    """Give it to somebody, or take it."""
    check_can_handle(answer, by=by)
    if not to.is_active or not is_seen_by(answer.patient, to):
        raise InvalidInput(_("%(who)s does not see this patient.") % {"who": to}, field="to")
    if answer.kind == AnswerKind.REPORT and not to.may(Permission.SESSION_READ):
        raise InvalidInput(_("%(who)s may not read what patients say of their health.") % {"who": to}, field="to")
    _update(answer, state=AnswerState.TAKEN, handler=to)
    trail.record("answer.handed_over", by=by, target=answer, patient=answer.patient, details={"to": str(to.public_id)})
    return answer


@transaction.atomic
def reply(*, answer: Answer, text: str, by: User) -> Message:
    """Write back by mail. The first reply stops the timer; the answer stays open until it is closed."""
    check_can_handle(answer, by=by)
    if not text.strip():
        raise InvalidInput(_("Write what the patient should read."), field="text")
    if not may_be_mailed(answer.patient):
        raise InvalidInput(_("This patient is not written to by mail. Please call."), field="text")
    now = timezone.now()
    visit = answer.appointment
    session = getattr(visit, "treatment_session", None) if visit is not None else None
    subject_id = session.public_id if session is not None else answer.public_id
    letter = Letter(
        purpose=REPLY,
        patient=answer.patient,
        site=visit.site if visit is not None else answer.patient.site,
        practitioner=by,
        subject_id=subject_id,
        version=mails.next_version(REPLY, subject_id),
        link_until=now + timedelta(days=14),
        text=text.strip()[:2000],
    )
    message = queue_letter(letter, due_at=now, useful_until=now + timedelta(days=2), hold=True, by=by)
    fields: dict[str, Any] = {"state": AnswerState.TAKEN, "handler": answer.handler or by}
    _update(answer, **fields, responded_at=answer.responded_at or now)
    trail.record("answer.replied", by=by, target=answer, patient=answer.patient)
    return message


@transaction.atomic
def close(*, answer: Answer, outcome: AnswerOutcome, note: str, by: User) -> Answer:
    """It is dealt with, and how."""
    check_can_handle(answer, by=by)
    if outcome not in AnswerOutcome.BY_HAND:
        raise InvalidInput(_("Say how it ended."), field="outcome")
    if answer.urgency in ALERTS and outcome == AnswerOutcome.NOTHING_TO_DO and not note.strip():
        raise InvalidInput(_("This was an alert: write why there is nothing to do."), field="note")
    now = timezone.now()
    _update(
        answer,
        state=AnswerState.CLOSED,
        outcome=outcome,
        note=note.strip()[:500],
        closed_at=now,
        closed_by=by,
        handler=answer.handler or by,
        responded_at=answer.responded_at or now,
    )
    trail.record("answer.closed", by=by, target=answer, patient=answer.patient, details={"outcome": str(outcome)})
    return answer


def _update(answer: Answer, **fields: Any) -> None:
    if not Answer.objects.filter(pk=answer.pk, state__in=AnswerState.OPEN).update(**fields):
        raise InvalidTransition(_("Somebody has just closed this answer."))
    answer.refresh_from_db()


def reply_texts(answer: Answer) -> dict[str, str]:
    """The templates in the patient's language, ready to send."""
    site: Site = answer.appointment.site if answer.appointment else answer.patient.site
    texts = letters.shipped(answer.patient.language)["replies"]
    return {key: texts[key].format(phone=site.phone) for key in REPLIES}


# ------------------------------------------------------------------ Today


def needs_of(*, user: User, site: Site, now: datetime, at_most: int) -> tuple[list[dict[str, str]], int]:
    """What is open, for “Needs you”, alerts first; and how many there are. Two queries.

    Red flags that the reader may read stand above everything (``flags_of``), so they are not repeated here.
    """
    mine = answers_visible_to(user).filter(in_care("patient__"), patient__site=site)
    waiting = newest_of(mine).filter(state__in=AnswerState.OPEN)
    if user.may(Permission.SESSION_READ):
        waiting = waiting.exclude(urgency__in=Urgency.RED_FLAGS)
    rows = []
    for answer in for_rows(waiting).prefetch_related(None)[:at_most]:
        row = row_of_light(answer, user=user, now=now)
        rows.append(row)
    return rows, waiting.count()


@dataclass(frozen=True, kw_only=True)
class Flag:
    """An open red flag, as it stands above Today."""

    answer: Answer
    title: str
    words: str
    timer: str
    url: str


def flags_of(*, user: User, site: Site, now: datetime, at_most: int) -> list[Flag]:
    """The open red flags of the site's patients, the most urgent first, for who may read them; one query."""
    if not user.may(Permission.SESSION_READ):
        return []
    rank = Case(
        When(urgency=Urgency.EMERGENCY, then=0),
        When(urgency=Urgency.IMMEDIATELY, then=1),
        default=2,
        output_field=IntegerField(),
    )
    found = (
        answers_visible_to(user)
        .filter(in_care("patient__"), patient__site=site, urgency__in=Urgency.RED_FLAGS, state__in=AnswerState.OPEN)
        .select_related("patient__site", "appointment__site")
        .order_by(rank, "received_at", "pk")
    )
    return [
        Flag(
            answer=answer,
            title=str(answer.get_urgency_display()),
            words=words_of(answer),
            timer=timer_words(now - answer.received_at),
            url=reverse("inbox:detail", args=[answer.public_id]),
        )
        for answer in found[:at_most]
    ]


def row_of_light(answer: Answer, *, user: User, now: datetime) -> dict[str, str]:
    may_read = user.may(Permission.SESSION_READ) or answer.kind != AnswerKind.REPORT
    alert = answer.urgency in ALERTS
    title = answer.get_urgency_display() if alert and may_read else answer.get_kind_display()
    short = wish_in_words(answer, whole=False) if answer.kind == AnswerKind.MOVE else words_of(answer)
    words = f": {short.rstrip('.')}" if may_read else ""
    waited = timer_words(now - answer.received_at)
    return {
        "kind": "red" if is_flag(answer) and may_read else "",
        "icon": "flag" if alert else "mail",
        "title": title,
        "text": _("%(name)s%(words)s. Came %(waited)s ago")
        % {"name": answer.patient.name, "words": words, "waited": waited},
        "url": reverse("inbox:detail", args=[answer.public_id]),
        "label": _("Open"),
    }
