"""Whether a session fits between its neighbours, by the plan's windows, and after what was done under any plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site
from mesoclinic.core.errors import DomainError, InvalidInput
from protocols.formulary.queries import documents_of
from protocols.models import Plan
from sessions.course.planned import planned_lines
from sessions.course.queries import kept_appointments
from sessions.course.terms import Terms, most_sessions, terms_of
from sessions.models import Administration, Course, TreatmentSession, TreatmentSessionStatus
from sessions.planner import Pacing
from sessions.words import day_words


def fits(plan: Plan, *, number: int, starts_at: datetime, site: Site) -> bool:
    """Whether this session may be at this time; ``check_fits`` says why not."""
    try:
        check_fits(plan, number=number, starts_at=starts_at, site=site)
    except InvalidInput:
        return False
    return True


def check_fits(plan: Plan, *, number: int, starts_at: datetime, site: Site) -> None:
    """The plan's gaps, and the intervals since what was done under any plan: what the record would refuse."""
    check_gaps(plan, number=number, starts_at=starts_at, site=site)
    check_intervals(plan, {number: starts_at.astimezone(site.tz).date()}, site=site, field="starts_at")


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
    if terms.follows and terms.not_before and 1 in days and days[1] < terms.not_before and around in (None, 1):
        raise InvalidInput(
            _(
                "The last session before the plan was amended was on %(before)s. The plan wants %(days)s days after "
                "it: not before %(earliest)s."
            )
            % {
                "before": day_words(terms.follows),
                "days": terms.shortest_gap,
                "earliest": day_words(terms.not_before),
            },
            field="starts_at",
        )
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


@dataclass(frozen=True, kw_only=True)
class Done:
    """When the patient was treated and with what, under any plan, and how far apart that has to be."""

    shortest: int  # days between any two sessions
    own: Mapping[str, int]  # days that an ingredient needs by itself
    treated: tuple[date, ...]
    given: Mapping[str, frozenset[date]]  # by ingredient


def done_to(plan: Plan, *, site: Site) -> Done:
    """Return when the patient of this plan was treated and with what, in the days of the site's wall clock."""
    return done_to_all([plan], site=site)[plan.pk]


def done_to_all(plans: Sequence[Plan], *, site: Site) -> dict[int, Done]:
    """Return the same for the patients of many plans, by plan: two queries, however many plans there are."""
    person_of = {plan.pk: plan.patient.merged_into_id or plan.patient_id for plan in plans}
    remains = set(person_of.values())
    done = TreatmentSession.objects.filter(
        Q(plan__patient__in=remains) | Q(plan__patient__merged_into__in=remains),
        status=TreatmentSessionStatus.PERFORMED,
    )
    treated: dict[int, list[date]] = {person: [] for person in remains}
    given: dict[int, dict[str, set[date]]] = {person: {} for person in remains}
    whose = Coalesce("plan__patient__merged_into", "plan__patient")
    for person, at in done.annotate(person=whose).values_list("person", "performed_at"):
        treated[person].append(at.astimezone(site.tz).date())
    whose = Coalesce("session__plan__patient__merged_into", "session__plan__patient")
    rows = Administration.objects.filter(session__in=done, volume_ml__gt=0).annotate(person=whose)
    for person, key, at in rows.values_list("person", "ingredient__key", "session__performed_at"):
        given[person].setdefault(key, set()).add(at.astimezone(site.tz).date())
    found = {}
    for plan in plans:
        documents = documents_of(plan.formulary)
        person = person_of[plan.pk]
        found[plan.pk] = Done(
            shortest=int(documents["course"]["sessions"]["interval_limits"]["absolute_min"]["value"]),
            own={
                row["key"]: int(row["per_session"]["min_interval_days"])
                for row in documents["ingredients"]["ingredients"]
            },
            treated=tuple(sorted(treated[person])),
            given={key: frozenset(days) for key, days in given[person].items()},
        )
    return found


def paced(plan: Plan, terms: Terms, *, site: Site, done: Done | None = None) -> tuple[Pacing, ...]:
    """The plan's pacing with the days on which each session would be refused, so that none of them is offered."""
    done = done or done_to(plan, site=site)
    found = []
    for number, pace in enumerate(terms.pacing, start=1):
        barred = [_around(day, done.shortest) for day in done.treated]
        for line in planned_lines(plan, number):
            apart = done.own.get(line.ingredient, 0)
            barred += [_around(day, apart) for day in sorted(done.given.get(line.ingredient, ())) if apart > 0]
        if number == 1 and terms.follows and terms.not_before:
            barred.append((terms.follows, terms.not_before - timedelta(days=1)))
        found.append(replace(pace, barred=tuple(barred)))
    return tuple(found)


def _around(day: date, apart: int) -> tuple[date, date]:
    """The days that are fewer than ``apart`` away."""
    reach = timedelta(days=max(apart - 1, 0))
    return day - reach, day + reach


def check_intervals(
    plan: Plan, days: Mapping[int, date], *, site: Site, field: str, injected: Iterable[str] | None = None
) -> None:
    """No session too soon after what was done under any plan, neither as a whole nor for one of its ingredients.

    ``injected`` are the ingredients that are given; all that is planned where it is not said.
    """
    done = done_to(plan, site=site)
    wanted = None if injected is None else set(injected)
    for number, day in days.items():
        for before in done.treated:
            if abs((day - before).days) < done.shortest:
                raise InvalidInput(
                    _(
                        "The patient was treated on %(before)s. Sessions of any plan need %(days)s days between them "
                        "(course, shortest interval): not before %(earliest)s."
                    )
                    % {"before": day_words(before), "days": done.shortest, "earliest": _after(before, done.shortest)},
                    field=field,
                )
        for line in planned_lines(plan, number):
            apart = done.own.get(line.ingredient, 0)
            for before in sorted(done.given.get(line.ingredient, ())):
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


def check_course_length(plan: Plan, numbers: Iterable[int], *, field: str | None = None) -> None:
    """The sessions done before an amendment count against the most that a course may have."""
    terms = terms_of(plan)
    highest = max(numbers, default=0)
    if terms.left_out and highest > terms.sessions:
        raise InvalidInput(
            _(
                "A course has at most %(most)s sessions (course, most sessions) and %(done)s were done before the plan "
                "was amended: session %(number)s of this plan would be one too many. Session %(last)s is its last."
            )
            % {"most": most_sessions(plan), "done": terms.done_before, "number": highest, "last": terms.sessions},
            field=field,
        )


def check_sessions_left(plan: Plan, terms: Terms) -> None:
    """An amended plan whose course has had all its sessions has none left to book."""
    if not terms.sessions:
        raise DomainError(
            _(
                "A course has at most %(most)s sessions and %(done)s were done before the plan was amended: none is "
                "left to book. Another course needs a new plan."
            )
            % {"most": most_sessions(plan), "done": terms.done_before}
        )
