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
from sessions.mail.kinds import BOOKING, CANCELLATION, CATEGORY, MAINTENANCE, reason_key
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
    patient, site, purpose = letter.patient, letter.site, letter.purpose
    language, tz, house = patient.language, site.tz, desk.house(site)
    values: dict[str, Any] = {
        "name": patient.name,
        "house": house,
        "practitioner": letter.practitioner.name,
        "phone": site.phone,
        "place": site.name,
        "zone": site.time_zone,
        "months": MAINTENANCE.get(purpose, ""),
        "n": len(letter.visits),
        "text": letter.text,
        "minutes": "",
        "day": "",
        "time": "",
        "was": "",
    }
    day, before, dates = letter.day, letter.was, []
    if letter.visits:
        first = letter.visits[0]
        day = first.starts_at
        values["time"] = f"{first.starts_at.astimezone(tz):%H:%M}"
        values["minutes"] = int((first.ends_at - first.starts_at).total_seconds() // 60)
        dates = [letters.date_row(visit.starts_at, tz, language, was=before.get(visit.pk)) for visit in letter.visits]
        if len(letter.visits) == 1:
            dates = [f"{letters.date_row(first.starts_at, tz, language)}, {house}, {site.address}"]
            if first.pk in before:
                values["was"] = letters.date_row(before[first.pk], tz, language)
    if day is not None:
        values["day"] = letters.day_of(day, tz, language)
    category = CATEGORY[purpose]
    frame: dict[str, Any] = {
        "clinic": desk.clinic,
        "site": site,
        "link": "",
        "choose": "",
        "until": "",
        "emergency": settings.EMERGENCY_NUMBER,
        "urgent": category == "questions",
        "reason": letters.shipped(language)["frame"][reason_key(category)],
    }
    headers: dict[str, str] = {}
    if letter.link_until is not None:
        link = desk.link(letter, expires_at=letter.link_until)
        frame |= {
            "link": url_of(link),
            "choose": choose_url_of(link),
            "until": letters.day_of(letter.link_until, tz, language, year=True),
        }
        if category == "offers":
            headers = {
                "List-Unsubscribe": f"<{stop_url_of(link)}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            }
    kind = _wording_of(purpose, len(letter.visits), moved=bool(before))
    subject, plain, html = letters.compose(
        kind,
        language=language,
        tz=tz,
        values=values,
        frame=frame,
        dates=dates,
        advice=letter.advice,
        texts=desk.wording(kind, language),
    )
    attachments: list[dict[str, Any]] = []
    if letter.method:
        with translation.override(language):
            now = timezone.now()  # one calendar for each: a REQUEST or CANCEL is about one UID (RFC 5546, 3.2)
            attachments = [
                attachment([visit], method=letter.method, at=now, clinic=desk.clinic) for visit in letter.visits
            ]
    return Written(
        person_id=patient.public_id,
        person_label=patient.name,
        to_address=patient.email,
        language=language,
        subject=subject,
        text=plain,
        html=html,
        attachments=attachments,
        headers=headers,
        recipe=recipe_of(letter, sources=sources_of(patient, site, letter.practitioner, desk.clinic)),
    )


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


def _wording_of(purpose: str, visits: int, *, moved: bool) -> str:
    if purpose in (BOOKING, CANCELLATION):
        return purpose + ("_moved" if moved else "") + ("_one" if visits == 1 else "")
    return "maintenance" if purpose in MAINTENANCE else purpose
