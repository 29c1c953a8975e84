"""Write one letter from its recipe, and queue it in the transaction of its cause."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone, translation

from mesoclinic.accounts.models import Clinic, Site, User
from mesoclinic.messaging.actions import MAY_COME_BACK, queue_message
from mesoclinic.messaging.models import Message
from mesoclinic.messaging.renewal import FIELDS, Written, bring_back
from patients.models import Patient
from sessions.mail import letters
from sessions.mail.invitations import attachment
from sessions.mail.kinds import MAIL_KINDS, Category, letter_key, reason_key
from sessions.mail.links import choose_url_of, link_for, renew_address, stop_url_of, url_of
from sessions.models import Appointment
from sessions.models.followups import AnswerLink


@dataclass(frozen=True, kw_only=True)
class Letter:
    """All that one letter is written from."""

    purpose: str
    subject_id: UUID
    version: int
    patient: Patient  # whom it goes to
    site: Site
    practitioner: User
    visits: Sequence[Appointment] = ()
    was: Mapping[int, datetime] = field(default_factory=dict)  # by primary key: the other time they were told before
    day: datetime | None = None
    advice: Sequence[str] = ()
    text: str = ""
    link_until: datetime | None = None
    method: str = ""  # of its calendar files; it carries none without


class Desk:
    """What several letters have in common, read once: the clinic, the wordings, the links that are there."""

    def __init__(self, links: Iterable[AnswerLink] = ()) -> None:
        self._wordings: dict[tuple[str, str], letters.Wording] = {}
        self._links = {(link.purpose, link.subject_id, link.version): link for link in links}

    @cached_property
    def clinic(self) -> Clinic | None:
        return Clinic.objects.first()

    def house(self, site: Site) -> str:
        return f"{self.clinic.name}, {site.name}" if self.clinic else site.name

    def wording(self, kind: str, language: str) -> letters.Wording:
        if (kind, language) not in self._wordings:
            self._wordings[kind, language] = letters.wording(kind, language)
        return self._wordings[kind, language]

    def link(self, letter: Letter, *, expires_at: datetime) -> AnswerLink:
        """The letter's own link. One that was closed gets a new address: the letter has not left, and needs one."""
        cause = (letter.purpose, letter.subject_id, letter.version)
        link = self._links.get(cause) or link_for(
            purpose=letter.purpose,
            subject_id=letter.subject_id,
            version=letter.version,
            patient=letter.patient,
            expires_at=expires_at,
        )
        if link.revoked_at is not None:
            renew_address(link)
        return link


def write_letter(letter: Letter, *, desk: Desk) -> Written:
    """Write one letter in the patient's language and the site's time, with its own link."""
    patient = letter.patient
    link = desk.link(letter, expires_at=letter.link_until) if letter.link_until is not None else None
    key = letter_key(letter.purpose, visits=len(letter.visits), moved=bool(letter.was))
    subject, plain, html = letters.compose_wording(
        desk.wording(key, patient.language),
        language=patient.language,
        tz=letter.site.tz,
        values=_values_of(letter, house=desk.house(letter.site)),
        frame=_frame_of(letter, link, clinic=desk.clinic),
        dates=_dates_of(letter, house=desk.house(letter.site)),
        advice=letter.advice,
    )
    return Written(
        person_id=patient.public_id,
        person_label=patient.name,
        to_address=patient.email,
        language=patient.language,
        subject=subject,
        text=plain,
        html=html,
        attachments=_calendar_files(letter, clinic=desk.clinic),
        headers=_headers_of(letter, link),
        recipe=recipe_of(letter, sources=sources_of(patient, letter.site, letter.practitioner, desk.clinic)),
    )


def _values_of(letter: Letter, *, house: str) -> dict[str, object]:
    """Return what fills the placeholders of its words."""
    language, site, tz = letter.patient.language, letter.site, letter.site.tz
    first = letter.visits[0] if letter.visits else None
    day = first.starts_at if first else letter.day
    was = letter.was.get(first.pk) if first and len(letter.visits) == 1 else None
    return {
        "name": letter.patient.name,
        "house": house,
        "practitioner": letter.practitioner.name,
        "phone": site.phone,
        "place": site.name,
        "zone": site.time_zone,
        "months": MAIL_KINDS[letter.purpose].months or "",
        "n": len(letter.visits),
        "text": letter.text,
        "minutes": int((first.ends_at - first.starts_at).total_seconds() // 60) if first else "",
        "day": letters.day_of(day, tz, language) if day is not None else "",
        "time": f"{first.starts_at.astimezone(tz):%H:%M}" if first else "",
        "was": letters.date_row(was, tz, language) if was is not None else "",
    }


def _dates_of(letter: Letter, *, house: str) -> list[str]:
    """Return a row for each visit; of one alone, with its place."""
    language, tz = letter.patient.language, letter.site.tz
    if len(letter.visits) == 1:
        return [f"{letters.date_row(letter.visits[0].starts_at, tz, language)}, {house}, {letter.site.address}"]
    return [letters.date_row(visit.starts_at, tz, language, was=letter.was.get(visit.pk)) for visit in letter.visits]


def _frame_of(letter: Letter, link: AnswerLink | None, *, clinic: Clinic | None) -> dict[str, object]:
    """Return what stands around its words: the link, its last day, and the sentences at the foot."""
    language, category = letter.patient.language, MAIL_KINDS[letter.purpose].category
    until = letter.link_until
    return {
        "clinic": clinic,
        "site": letter.site,
        "link": url_of(link) if link else "",
        "choose": choose_url_of(link) if link else "",
        "until": letters.day_of(until, letter.site.tz, language, year=True) if until is not None else "",
        "emergency": settings.EMERGENCY_NUMBER,
        "urgent": category == Category.QUESTIONS,
        "reason": letters.shipped(language)["frame"][reason_key(category)],
    }


def _headers_of(letter: Letter, link: AnswerLink | None) -> dict[str, str]:
    if link is None or MAIL_KINDS[letter.purpose].category != Category.OFFERS:
        return {}
    return {"List-Unsubscribe": f"<{stop_url_of(link)}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def _calendar_files(letter: Letter, *, clinic: Clinic | None) -> list[dict[str, Any]]:
    """Return one calendar for each visit: a REQUEST or CANCEL is about one UID (RFC 5546, 3.2)."""
    if not letter.method:
        return []
    now = timezone.now()
    with translation.override(letter.patient.language):
        return [attachment([visit], method=letter.method, at=now, clinic=clinic) for visit in letter.visits]


def recipe_of(letter: Letter, *, sources: str) -> dict[str, Any]:
    """What is kept with a message so that it can be written anew; ``sources`` tells whether it has to be."""
    return {
        "sources": sources,
        "site": letter.site.pk,
        "practitioner": letter.practitioner.pk,
        "visits": [visit.pk for visit in letter.visits],
        "was": {str(pk): at.isoformat() for pk, at in letter.was.items()},
        "day": letter.day.isoformat() if letter.day else "",
        "advice": list(letter.advice),
        "text": letter.text,
        "link_until": letter.link_until.isoformat() if letter.link_until else "",
        "method": letter.method,
    }


def sources_of(patient: Patient, site: Site, practitioner: User, clinic: Clinic | None) -> str:
    """A fingerprint of all that a letter copies. Another one: it has to be written anew."""
    copied = (
        *(patient.public_id, patient.name, patient.email, patient.language),
        *(site.name, site.address, site.phone, site.email, site.time_zone),
        practitioner.name,
        clinic.name if clinic else "",
    )
    return hashlib.sha256("\n".join(map(str, copied)).encode()).hexdigest()[:16]


def queue_letter(
    letter: Letter, *, due_at: datetime, useful_until: datetime, by: User | None, hold: bool = False
) -> Message:
    """Write one letter and put it in the outbox. One that was withdrawn, since its reader could not be written to,
    waits again.
    """
    cause: dict[str, Any] = {
        "purpose": letter.purpose,
        "subject_id": letter.subject_id,
        "version": letter.version,
    }
    if there := Message.objects.filter(**cause).first():
        return bring_back(message=there, due_at=due_at, by=by) if there.last_error in MAY_COME_BACK else there
    written = write_letter(letter, desk=Desk())
    return queue_message(
        **cause,
        **{name: getattr(written, name) for name in FIELDS},
        due_at=due_at,
        useful_until=useful_until,
        hold=hold,
        by=by,
    )
