"""The kinds of mails to patients, a row each: its name, what it may say, what it is about, when it is due and leaves.

A new kind is a row here, its words in each file of ``texts/``, and the place that plans it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

BOOKING, REMINDER, CANCELLATION = "booking", "reminder_24h", "booking_cancelled"
MISSED, REPLY, PAPER = "missed", "reply", "paper"
CHECKPOINT, WAITING_REVIEW, UNBOOKED = "checkpoint", "waiting_review", "unbooked"

_ANY = frozenset({"name", "house", "practitioner", "phone", "place", "zone"})
_TIME = _ANY | {"day", "time", "minutes"}
_DATES = _TIME | {"n", "dates"}


class Category(enum.StrEnum):
    """What a mail is about, and so whether the patient may choose it: all but those about an appointment.

    Offers are not about an appointment, so they carry List-Unsubscribe.
    """

    APPOINTMENT = "appointment"
    REMINDERS = "reminders"
    QUESTIONS = "questions"
    OFFERS = "offers"


class Leaves(enum.Enum):
    """Whether a mail may leave in the evening or the night. Whatever comes late waits for the morning all the same."""

    IN_HOURS = "in the hours of mail only"
    AT_ONCE = "at once: it follows on what somebody has just done"
    WALL_TIME = "at the wall time of its visit"


class About(enum.Enum):
    """What a mail hangs on, by the public id that is its subject."""

    VISIT = "one visit, or the visits of a course"
    SESSION = "a session that was recorded"
    PLAN = "a plan in force that nothing is booked for"
    COURSE = "a plan whose course is finished"
    PATIENT = "an answer or a paper of the patient's"


class Page(enum.StrEnum):
    """Which page its link opens."""

    VISIT = "visit"
    REPORT = "report"
    CALLBACK = "callback"
    PAPER = "paper"


class Advice(enum.Enum):
    """Which advice of the formulary it carries."""

    BEFORE = "before a session"
    AFTER = "after a session"


@dataclass(frozen=True, kw_only=True)
class LetterKind:
    """One letter that a director may word. Most kinds have one; a booking has several, by what it tells."""

    key: str
    label: Any  # as the staff call it
    may_say: frozenset[str]  # its placeholders
    one_date: bool = False
    moved: bool = False


@dataclass(frozen=True, kw_only=True)
class Before:
    """Due at the same wall time so many days before the visit; of no use from ``until_days`` before it on."""

    days: int
    until_days: int = 0


@dataclass(frozen=True, kw_only=True)
class After:
    """Due so long after its fact. ``useful`` and ``link`` count from the fact, or ``from_due`` from when it is due."""

    useful: timedelta
    link: timedelta  # how long its link opens
    wait: timedelta = timedelta()  # where neither the plan nor the calendar says when
    from_due: bool = False

    def useful_until(self, *, fact: datetime, due: datetime) -> datetime:
        """Return when it is of no use any more."""
        return (due if self.from_due else fact) + self.useful

    def link_until(self, *, fact: datetime, due: datetime) -> datetime:
        """Return until when its link opens."""
        return (due if self.from_due else fact) + self.link


@dataclass(frozen=True, kw_only=True)
class MailKind:
    """All that is said once of one kind of mail."""

    purpose: str
    label: Any  # as the staff call it
    letters: tuple[LetterKind, ...]
    category: Category
    about: About
    page: Page
    leaves: Leaves = Leaves.IN_HOURS
    speaks_of_coming: bool = False  # waits while the person may not be treated
    from_home: bool = False  # about no visit: it names the patient's own site
    has_link: bool = True
    advice: Advice | None = None
    months: int = 0  # so many months after the course
    timing: Before | After | None = None  # none: written when somebody does something

    @property
    def before(self) -> Before | None:
        """Return how long before the visit it is due, where it is."""
        return self.timing if isinstance(self.timing, Before) else None

    @property
    def after(self) -> After:
        """Return how long after its fact it is due. Raise TypeError where it hangs on no fact."""
        if not isinstance(self.timing, After):
            raise TypeError(self.purpose)
        return self.timing


def _letter(key: str, label: Any, may_say: Iterable[str], *, one_date: bool = False) -> tuple[LetterKind, ...]:
    return (LetterKind(key=key, label=label, may_say=frozenset(may_say), one_date=one_date),)


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_LATER = After(useful=21 * _DAY, link=30 * _DAY, from_due=True)
_MAINTENANCE = _letter("maintenance", _("Maintenance, after 3, 6 and 12 months"), _ANY | {"day", "months"})


def _maintenance(months: int, label: Any) -> MailKind:
    return MailKind(
        purpose=f"maintenance_{months}m",
        label=label,
        letters=_MAINTENANCE,
        category=Category.OFFERS,
        about=About.COURSE,
        page=Page.CALLBACK,
        speaks_of_coming=True,
        months=months,
        timing=_LATER,
    )


_ROWS: tuple[MailKind, ...] = (
    MailKind(
        purpose=BOOKING,
        label=_("Confirmation"),
        letters=(
            LetterKind(key="booking", label=_("Dates booked, all of a course"), may_say=_DATES),
            LetterKind(key="booking_one", label=_("Date booked, only one"), may_say=_DATES, one_date=True),
            LetterKind(key="booking_moved", label=_("Dates moved"), may_say=_DATES, moved=True),
            LetterKind(
                key="booking_moved_one",
                label=_("Date moved, only one"),
                may_say=_DATES | {"was"},
                one_date=True,
                moved=True,
            ),
        ),
        category=Category.APPOINTMENT,
        about=About.VISIT,
        page=Page.VISIT,
        leaves=Leaves.AT_ONCE,
        speaks_of_coming=True,
    ),
    MailKind(
        purpose=CANCELLATION,
        label=_("Cancellation"),
        letters=(
            LetterKind(key="booking_cancelled", label=_("Dates cancelled"), may_say=_DATES),
            LetterKind(key="booking_cancelled_one", label=_("Date cancelled, only one"), may_say=_DATES, one_date=True),
        ),
        category=Category.APPOINTMENT,
        about=About.VISIT,
        page=Page.CALLBACK,
        leaves=Leaves.AT_ONCE,
        has_link=False,
    ),
    MailKind(
        purpose="reminder_7d",
        label=_("Reminder, 7 days before"),
        letters=_letter("reminder_7d", _("Reminder, 7 days before"), _DATES, one_date=True),
        category=Category.REMINDERS,
        about=About.VISIT,
        page=Page.VISIT,
        speaks_of_coming=True,
        timing=Before(days=7, until_days=3),
    ),
    MailKind(
        purpose=REMINDER,
        label=_("Reminder, the day before"),
        letters=_letter(REMINDER, _("Reminder, the day before"), _DATES, one_date=True),
        category=Category.APPOINTMENT,
        about=About.VISIT,
        page=Page.VISIT,
        leaves=Leaves.WALL_TIME,
        speaks_of_coming=True,
        timing=Before(days=1),
    ),
    MailKind(
        purpose="prepare",
        label=_("Prepare for your session"),
        letters=_letter("prepare", _("Prepare for your session"), _TIME | {"advice"}),
        category=Category.REMINDERS,
        about=About.VISIT,
        page=Page.VISIT,
        speaks_of_coming=True,
        advice=Advice.BEFORE,
        timing=Before(days=2),
    ),
    MailKind(
        purpose="aftercare",
        label=_("After-care"),
        letters=_letter("aftercare", _("After-care"), _ANY | {"day", "advice"}),
        category=Category.QUESTIONS,
        about=About.SESSION,
        page=Page.REPORT,
        leaves=Leaves.AT_ONCE,  # about today
        advice=Advice.AFTER,
        timing=After(useful=12 * _HOUR, link=14 * _DAY),
    ),
    MailKind(
        purpose="checkin_48h",
        label=_("Check-in after 48 hours"),
        letters=_letter("checkin_48h", _("Check-in after 48 hours"), _ANY | {"day"}),
        category=Category.QUESTIONS,
        about=About.SESSION,
        page=Page.REPORT,
        timing=After(wait=48 * _HOUR, useful=96 * _HOUR, link=14 * _DAY),
    ),
    MailKind(
        purpose="checkin_7d",
        label=_("Check-in after 7 days"),
        letters=_letter("checkin_7d", _("Check-in after 7 days"), _ANY | {"day"}),
        category=Category.QUESTIONS,
        about=About.SESSION,
        page=Page.REPORT,
        timing=After(wait=7 * _DAY, useful=12 * _DAY, link=28 * _DAY),
    ),
    MailKind(
        purpose=CHECKPOINT,
        label=_("Review is due"),
        letters=_letter(CHECKPOINT, _("Review is due"), _ANY | {"day"}),
        category=Category.QUESTIONS,
        about=About.COURSE,
        page=Page.CALLBACK,
        timing=_LATER,
    ),
    MailKind(
        purpose=WAITING_REVIEW,
        label=_("Review after waiting is due"),
        letters=_letter(WAITING_REVIEW, _("Review after waiting is due"), _ANY | {"day"}),
        category=Category.QUESTIONS,
        about=About.PLAN,
        page=Page.CALLBACK,
        from_home=True,
        timing=After(wait=-7 * _DAY, useful=21 * _DAY, link=30 * _DAY),  # around the day of the review
    ),
    MailKind(
        purpose=MISSED,
        label=_("Missed session"),
        letters=_letter(MISSED, _("Missed session"), _TIME),
        category=Category.APPOINTMENT,
        about=About.VISIT,
        page=Page.CALLBACK,
        speaks_of_coming=True,
        timing=After(useful=5 * _DAY, link=30 * _DAY),
    ),
    MailKind(
        purpose=UNBOOKED,
        label=_("Course not booked"),
        letters=_letter(UNBOOKED, _("Course not booked"), _ANY),
        category=Category.OFFERS,
        about=About.PLAN,
        page=Page.CALLBACK,
        speaks_of_coming=True,
        from_home=True,
        timing=After(wait=7 * _DAY, useful=21 * _DAY, link=30 * _DAY, from_due=True),
    ),
    _maintenance(3, _("Maintenance, after 3 months")),
    _maintenance(6, _("Maintenance, after 6 months")),
    _maintenance(12, _("Maintenance, after 12 months")),
    MailKind(
        purpose=REPLY,
        label=_("Reply to an answer"),
        letters=_letter(REPLY, _("Reply to an answer"), _ANY | {"text"}),
        category=Category.APPOINTMENT,
        about=About.PATIENT,
        page=Page.REPORT,
        leaves=Leaves.AT_ONCE,
    ),
    MailKind(
        purpose=PAPER,
        label=_("A paper to open by link"),
        letters=_letter(PAPER, _("A paper to open by link"), _ANY),
        category=Category.APPOINTMENT,
        about=About.PATIENT,
        page=Page.PAPER,
        leaves=Leaves.AT_ONCE,
        from_home=True,
    ),
)

MAIL_KINDS: Mapping[str, MailKind] = {kind.purpose: kind for kind in _ROWS}
LETTER_KINDS: Mapping[str, LetterKind] = {letter.key: letter for kind in _ROWS for letter in kind.letters}
CATEGORY: Mapping[str, Category] = {kind.purpose: kind.category for kind in _ROWS}
MAINTENANCE: Mapping[str, int] = {kind.purpose: kind.months for kind in _ROWS if kind.months}
# What every letter and every mail is called: a mail has one of several letters, a letter serves one of several mails.
KIND_LABELS: Mapping[str, Any] = {
    **{kind.purpose: kind.label for kind in _ROWS},
    **{letter.key: letter.label for letter in LETTER_KINDS.values()},
}

_REASON = {
    Category.APPOINTMENT: "reason_appointment",
    Category.REMINDERS: "reason_appointment",
    Category.QUESTIONS: "reason_visit",
    Category.OFFERS: "reason_offer",
}


def reason_key(category: Category) -> str:
    """Return which sentence at the foot says why the mail came."""
    return _REASON[category]


def purpose_words(purpose: str) -> str:
    """Return a mail's kind as the staff call it, on every page."""
    if purpose in MAIL_KINDS:
        return str(MAIL_KINDS[purpose].label)
    return str(KIND_LABELS.get(purpose, purpose.replace("_", " ").capitalize()))


def kind_words() -> dict[str, str]:
    """Return every kind of message by its purpose, in the reader's words."""
    return {purpose: purpose_words(purpose) for purpose in MAIL_KINDS}


def letter_key(purpose: str, *, visits: int, moved: bool) -> str:
    """Return which of a kind's letters tells of so many visits, of which some ``moved`` or none did."""
    letters = MAIL_KINDS[purpose].letters
    for letter in letters:
        if letter.one_date == (visits == 1) and letter.moved == moved:
            return letter.key
    return letters[0].key


def kind_of_letter(key: str) -> MailKind:
    """Return the first kind of mail that is written with this letter."""
    return next(kind for kind in _ROWS if any(letter.key == key for letter in kind.letters))
