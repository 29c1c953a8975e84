"""An example of each letter, with an invented patient: the director's preview, the pictures and the snapshots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from mesoclinic.accounts.models import Site
from mesoclinic.messaging.compose import Composed
from sessions.mail import letters
from sessions.mail.followups import advice_from, course_document
from sessions.mail.kinds import CANCELLATION, CATEGORY, MAINTENANCE, reason_key

NAME = "Ines Solberg"
AT = datetime(2026, 10, 5, 7, 0, tzinfo=UTC)
TOKEN = "example"  # noqa: S105 - an address that leads to the kind page about old links


def purpose_of(kind: str) -> str:
    """The message's purpose behind a wording: one wording may serve several."""
    plain = kind.removesuffix("_one").replace("_moved", "")
    return next(iter(MAINTENANCE)) if plain == "maintenance" else plain


def example(
    kind: str,
    language: str,
    *,
    site: Site,
    house: str,
    practitioner: str,
    texts: letters.Wording | None = None,
) -> Composed:
    """``kind`` in ``language`` as this site would send it; with ``texts`` in place of what is kept."""
    purpose, tz = purpose_of(kind), site.tz
    category = CATEGORY[purpose]
    one = kind.endswith("_one") or purpose.startswith("reminder")
    first = AT.astimezone(tz)
    days = [first + timedelta(days=28 * number) for number in range(1 if one else 4)]  # the same wall time
    several_moved = "_moved" in kind and not one
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
    has_link = purpose != CANCELLATION
    frame: dict[str, Any] = {
        "site": site,
        "link": f"{settings.SITE_URL}/a/{TOKEN}/" if has_link else "",
        "choose": f"{settings.SITE_URL}/a/{TOKEN}/mails/" if has_link else "",
        "until": letters.day_of(days[-1], tz, language, year=True) if has_link else "",
        "emergency": settings.EMERGENCY_NUMBER,
        "urgent": category == "questions",
        "reason": letters.shipped(language)["frame"][reason_key(category)],
    }
    advice = advice_from(course_document(None), before=purpose == "prepare", language=language)
    return letters.compose(
        kind, language=language, tz=tz, values=values, frame=frame, dates=dates, advice=advice, texts=texts
    )
