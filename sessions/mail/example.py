"""An example of each letter, with an invented patient: the director's preview, the pictures and the snapshots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from mesoclinic.accounts.models import Site
from mesoclinic.messaging.compose import Composed
from sessions.mail import letters
from sessions.mail.followups import advice_from, course_document
from sessions.mail.kinds import LETTER_KINDS, Advice, Category, kind_of_letter, reason_key

NAME = "Ines Solberg"
AT = datetime(2026, 10, 5, 7, 0, tzinfo=UTC)
TOKEN = "example"  # noqa: S105 - an address that leads to the kind page about old links


def example(
    kind: str,
    language: str,
    *,
    site: Site,
    house: str,
    practitioner: str,
    texts: letters.Wording | None = None,
) -> Composed:
    """Return the letter ``kind`` as this site would send it; with ``texts`` in place of what is kept."""
    mail, tz = kind_of_letter(kind), site.tz
    one = LETTER_KINDS[kind].one_date
    first = AT.astimezone(tz)
    days = [first + timedelta(days=28 * number) for number in range(1 if one else 4)]  # the same wall time
    several_moved = LETTER_KINDS[kind].moved and not one
    dates = [letters.date_row(at, tz, language, was=at - timedelta(days=2) if several_moved else None) for at in days]
    if one:
        dates = [f"{dates[0]}, {house}, {site.address}"]
    values: dict[str, Any] = {
        "name": NAME,
        "house": house,
        "practitioner": practitioner,
        "phone": site.phone,
        "place": site.name,
        "zone": site.time_zone,
        "months": 3,
        "n": len(dates),
        "text": letters.shipped(language)["replies"]["reassure"].format(phone=site.phone),
        "minutes": 40,
        "day": letters.day_of(AT, tz, language),
        "time": f"{AT.astimezone(tz):%H:%M}",
        "was": letters.date_row(first - timedelta(days=2), tz, language),
    }
    frame: dict[str, Any] = {
        "site": site,
        "link": f"{settings.SITE_URL}/a/{TOKEN}/" if mail.has_link else "",
        "choose": f"{settings.SITE_URL}/a/{TOKEN}/mails/" if mail.has_link else "",
        "until": letters.day_of(days[-1], tz, language, year=True) if mail.has_link else "",
        "emergency": settings.EMERGENCY_NUMBER,
        "urgent": mail.category == Category.QUESTIONS,
        "reason": letters.shipped(language)["frame"][reason_key(mail.category)],
    }
    advice = advice_from(course_document(None), before=mail.advice is Advice.BEFORE, language=language)
    words = texts or letters.wording(kind, language)
    return letters.compose_wording(
        words, language=language, tz=tz, values=values, frame=frame, dates=dates, advice=advice
    )
