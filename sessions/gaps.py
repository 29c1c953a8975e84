"""Whether a session fits between its neighbours, by the plan's windows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site
from mesoclinic.errors import InvalidInput
from protocols.models import Plan
from sessions.models import Course
from sessions.queries import kept_appointments
from sessions.terms import Terms, terms_of


def fits(plan: Plan, *, number: int, starts_at: datetime, site: Site) -> bool:
    """Whether the plan's gaps allow this session at this time."""
    try:
        check_gaps(plan, number=number, starts_at=starts_at, site=site)
    except InvalidInput:
        return False
    return True


def check_gaps(plan: Plan, *, number: int, starts_at: datetime, site: Site) -> None:
    """The plan's windows, seen from the session's booked neighbours."""
    course = Course.objects.filter(plan=plan).first()
    terms = terms_of(plan)
    day = starts_at.astimezone(site.tz).date()
    days = {
        visit.number: visit.starts_at.astimezone(site.tz).date()
        for visit in (kept_appointments(course) if course else [])
        if visit.number != number
    }
    days[number] = day
    check_days(terms, days, around=number)


def check_days(terms: Terms, days: Mapping[int, date], *, around: int | None = None) -> None:
    """The plan's windows between these days of sessions, or only between session ``around`` and its neighbours."""
    for later in sorted(days) if around is None else (around, around + 1):
        if later - 1 not in days or later not in days:
            continue
        pace, gap = terms.gap(later), (days[later] - days[later - 1]).days
        if not pace.gap_min <= gap <= pace.gap_max:
            raise InvalidInput(
                _("Sessions %(one)s and %(two)s would lie %(gap)s days apart. The plan wants %(low)s to %(high)s days.")
                % {"one": later - 1, "two": later, "gap": gap, "low": pace.gap_min, "high": pace.gap_max},
                field="starts_at",
            )
    for other, on in days.items():
        pace = terms.gap(other)
        for before_it, apart in pace.after:
            if before_it in days and (on - days[before_it]).days < apart:
                raise InvalidInput(
                    _("Sessions %(one)s and %(two)s need %(apart)s days between them: an ingredient asks for it.")
                    % {"one": before_it, "two": other, "apart": apart},
                    field="starts_at",
                )
        if 1 in days and other > 1 and not pace.offset_min <= (on - days[1]).days <= pace.offset_max:
            raise InvalidInput(
                _("Session %(n)s would lie %(days)s days after the first. The plan wants %(low)s to %(high)s days.")
                % {"n": other, "days": (on - days[1]).days, "low": pace.offset_min, "high": pace.offset_max},
                field="starts_at",
            )
