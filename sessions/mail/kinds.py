"""The kinds of mails to patients: what each is about, and so whether the patient may choose it."""

from __future__ import annotations

from collections.abc import Mapping

from sessions.models.followups import purpose_words

BOOKING, REMINDER, CANCELLATION = "booking", "reminder_24h", "booking_cancelled"


MAINTENANCE = {f"maintenance_{months}m": months for months in (3, 6, 12)}


# What each kind is about. "appointment" is always sent; the others are the patient's choice. "offers" are not about an
# appointment, so they carry List-Unsubscribe.
CATEGORY: Mapping[str, str] = {
    BOOKING: "appointment",
    CANCELLATION: "appointment",
    REMINDER: "appointment",
    "missed": "appointment",
    "reply": "appointment",
    "paper": "appointment",
    "reminder_7d": "reminders",
    "prepare": "reminders",
    "aftercare": "questions",
    "checkin_48h": "questions",
    "checkin_7d": "questions",
    "checkpoint": "questions",
    "waiting_review": "questions",
    "unbooked": "offers",
    **dict.fromkeys(MAINTENANCE, "offers"),
}


_REASON = {"appointment": "reason_appointment", "reminders": "reason_appointment", "offers": "reason_offer"}


def reason_key(category: str) -> str:
    """Which sentence at the foot says why the mail came."""
    return _REASON.get(category, "reason_visit")


def kind_words() -> dict[str, str]:
    """Return every kind of message by its purpose, in the reader's words."""
    return {purpose: purpose_words(purpose) for purpose in CATEGORY}
