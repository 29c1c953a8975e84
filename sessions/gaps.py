"""Whether a session fits between its neighbours, by the plan's windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site
from mesoclinic.errors import InvalidInput
from patients.queries import records_of
from protocols.models import Plan
from sessions.models import Administration, Course, TreatmentSession, TreatmentSessionStatus
from sessions.planned import planned_lines
from sessions.queries import kept_appointments
from sessions.terms import SHORTEST_GAP_DAYS, Terms, terms_of
from sessions.wording import day_words

MOST_SESSIONS = 5  # course.yaml, absolute_max_sessions_per_course: for a formulary that says nothing


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


# ------------------------------------------------------------------ across all plans of the patient


def check_intervals(
    plan: Plan, days: Mapping[int, date], *, site: Site, field: str, injected: Iterable[str] | None = None
) -> None:
    """No session too soon after what was done under any plan, neither as a whole nor for one of its ingredients.

    ``injected`` are the ingredients that are given; all that is planned where it is not said.
    """
    documents: Mapping[str, Any] = plan.formulary.documents
    sessions = documents.get("course", {}).get("sessions", {})
    shortest = int(sessions.get("interval_limits", {}).get("absolute_min", {}).get("value", SHORTEST_GAP_DAYS))
    own = {
        row["key"]: int(row["per_session"]["min_interval_days"])
        for row in documents.get("ingredients", {}).get("ingredients", ())
    }
    done = TreatmentSession.objects.filter(
        plan__patient__in=records_of(plan.patient), status=TreatmentSessionStatus.PERFORMED
    )
    treated = [at.astimezone(site.tz).date() for at in done.values_list("performed_at", flat=True)]
    given: dict[str, set[date]] = {}
    rows = Administration.objects.filter(session__in=done, volume_ml__gt=0)
    for key, at in rows.values_list("ingredient__key", "session__performed_at"):
        given.setdefault(key, set()).add(at.astimezone(site.tz).date())
    for number, day in days.items():
        for before in treated:
            if abs((day - before).days) < shortest:
                raise InvalidInput(
                    _(
                        "The patient was treated on %(before)s. Sessions of any plan need %(days)s days between them "
                        "(course, shortest interval): not before %(earliest)s."
                    )
                    % {"before": day_words(before), "days": shortest, "earliest": _after(before, shortest)},
                    field=field,
                )
        wanted = None if injected is None else set(injected)
        for line in planned_lines(plan, number):
            apart = own.get(line.ingredient, 0)
            for before in sorted(given.get(line.ingredient, ())):
                if abs((day - before).days) < apart and (wanted is None or line.ingredient in wanted):
                    raise InvalidInput(
                        _(
                            "%(name)s was injected on %(before)s and needs %(days)s days before the next time "
                            "(its own interval): not before %(earliest)s."
                        )
                        % {
                            "name": line.name,
                            "before": day_words(before),
                            "days": apart,
                            "earliest": _after(before, apart),
                        },
                        field=field,
                    )


def _after(before: date, days: int) -> str:
    return day_words(before + timedelta(days=days))


def done_before(plan: Plan) -> int:
    """How many sessions were done under the plans that this one supersedes: they belong to the same course."""
    older, found = plan.supersedes, []
    while older is not None:
        found.append(older.pk)
        older = older.supersedes
    if not found:
        return 0
    return TreatmentSession.objects.filter(plan_id__in=found, status=TreatmentSessionStatus.PERFORMED).count()


def check_course_length(plan: Plan, numbers: Iterable[int], *, field: str | None = None) -> None:
    """The sessions done before an amendment count against the most that a course may have."""
    done = done_before(plan)
    if not done:
        return
    sessions = plan.formulary.documents.get("course", {}).get("sessions", {})
    most = int(sessions.get("absolute_max_sessions_per_course", MOST_SESSIONS))
    highest = max(numbers, default=0)
    if done + highest > most:
        raise InvalidInput(
            _(
                "A course has at most %(most)s sessions (course, most sessions) and %(done)s were done before the plan "
                "was amended: session %(number)s of this plan would be one too many. Up to session %(last)s may be "
                "booked, one by one."
            )
            % {"most": most, "done": done, "number": highest, "last": max(0, most - done)},
            field=field,
        )
