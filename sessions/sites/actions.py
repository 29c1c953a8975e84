"""What changes a site's and its people's time. Nothing that is booked is cancelled by it: ``misfits`` lists that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, time, timedelta
from itertools import pairwise
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.audit.changes import check_confirmed
from mesoclinic.core.errors import InvalidInput, NotAllowed
from sessions.course.abilities import abilities, technique_code, techniques
from sessions.models import Closure, Room, WorkingHours
from sessions.models.hours import (
    MOST_MINUTES,
    Abilities,
    Absence,
    AbsenceKind,
    OpenedHoliday,
    OpeningHours,
    SiteRules,
    TechniqueMinutes,
)
from sessions.planner import Hours
from sessions.sites.availability import Turnover, public_holidays
from sessions.sites.public_holidays import countries, regions

LONGEST_CLOSURE_DAYS = 366


def _check_may(by: User, site: Site | None = None) -> None:
    if not by.may(Permission.RESOURCES_WRITE):
        raise NotAllowed(_("Only the medical director changes hours, rooms and absences."))
    if site is not None and site.pk not in by.site_ids:
        raise NotAllowed(_("You do not work at this site."))


def _check_works_with(person: User, by: User) -> None:
    if not person.site_ids & by.site_ids:
        raise NotAllowed(_("%(who)s works at none of your sites.") % {"who": person})


def _check_blocks(blocks: Sequence[Hours]) -> list[Hours]:
    """Hours in order, none that ends before it starts, none over another."""
    ordered = sorted(blocks)
    for block in ordered:
        if block.starts >= block.ends:
            raise InvalidInput(_("Hours end after they start."))
    for one, other in pairwise(ordered):
        if one.weekday == other.weekday and other.starts < one.ends:
            raise InvalidInput(_("Two blocks of hours on the same day overlap."))
    return ordered


def _told(blocks: Iterable[Hours]) -> list[str]:
    return [f"{block.weekday} {block.starts:%H:%M}-{block.ends:%H:%M}" for block in blocks]


# ------------------------------------------------------------------ a site


@transaction.atomic
def set_opening_hours(*, site: Site, blocks: Sequence[Hours], by: User) -> None:
    """When the site is open in a usual week. None at all: only its people's hours count."""
    _check_may(by, site)
    ordered = _check_blocks(blocks)
    OpeningHours.objects.filter(site=site).delete()
    OpeningHours.objects.bulk_create(
        OpeningHours(site=site, weekday=block.weekday, starts=block.starts, ends=block.ends) for block in ordered
    )
    trail.record("site.hours_changed", by=by, target=site, details={"hours": _told(ordered)})


@transaction.atomic
def set_holidays(*, site: Site, country: str, region: str, by: User) -> None:
    """Whose public holidays the site keeps. No country: none."""
    _check_may(by, site)
    if country and country not in countries():
        raise InvalidInput(_("No public holidays are known for this country."), field="country")
    if region and region not in regions(country):
        raise InvalidInput(_("This country has no such region."), field="region")
    SiteRules.objects.update_or_create(site=site, defaults={"country": country, "region": region})
    trail.record("site.holidays_changed", by=by, target=site, details={"country": country, "region": region})


@transaction.atomic
def open_on_holiday(*, site: Site, day: date, opened: bool, by: User) -> None:
    """Work on a public holiday all the same, or keep it after all."""
    _check_may(by, site)
    if opened:
        if day not in public_holidays(site, first=day, last=day):
            raise InvalidInput(_("This day is no public holiday here."))
        OpenedHoliday.objects.get_or_create(site=site, day=day)
    else:
        OpenedHoliday.objects.filter(site=site, day=day).delete()
    trail.record("site.holiday_changed", by=by, target=site, details={"day": day.isoformat(), "opened": opened})


@transaction.atomic
def set_turnover(*, site: Site, usual: Turnover, of_techniques: Mapping[str, Turnover], by: User) -> None:
    """The minutes of preparation and clean-up of visits that are booked or moved from now on."""
    _check_may(by, site)
    known = techniques()
    for turnover in (usual, *of_techniques.values()):
        if not (0 <= turnover.prepare <= MOST_MINUTES and 0 <= turnover.cleanup <= MOST_MINUTES):
            raise InvalidInput(_("At most %(n)s minutes.") % {"n": MOST_MINUTES})
    if unknown := set(of_techniques) - set(known):
        raise InvalidInput(_("The formulary has no technique %(name)s.") % {"name": ", ".join(sorted(unknown))})
    SiteRules.objects.update_or_create(
        site=site, defaults={"prepare_minutes": usual.prepare, "cleanup_minutes": usual.cleanup}
    )
    TechniqueMinutes.objects.filter(site=site).delete()
    TechniqueMinutes.objects.bulk_create(
        TechniqueMinutes(site=site, technique=key, prepare_minutes=turnover.prepare, cleanup_minutes=turnover.cleanup)
        for key, turnover in sorted(of_techniques.items())
    )
    trail.record(
        "site.minutes_changed",
        by=by,
        target=site,
        details={
            "usual": [usual.prepare, usual.cleanup],
            "techniques": {key: [turnover.prepare, turnover.cleanup] for key, turnover in of_techniques.items()},
        },
    )


@transaction.atomic
def close_site(*, site: Site, first: date, last: date, reason: str, by: User, confirmed: bool = False) -> int:
    """Close the whole site from one day to another, both included. Return how many days that are.

    Raise NeedsConfirmation where visits are booked on these days, until ``confirmed``.
    """
    _check_may(by, site)
    if last < first:
        raise InvalidInput(_("The last day comes before the first."), field="last")
    days = (last - first).days + 1
    if days > LONGEST_CLOSURE_DAYS:
        raise InvalidInput(_("At most a year at once."), field="last")
    if not reason.strip():
        raise InvalidInput(_("Say why: it stands where somebody tries to book."), field="reason")
    check_confirmed(site, change={"closed": (first, last)}, confirmed=confirmed)
    for number in range(days):
        Closure.objects.update_or_create(
            site=site, day=first + timedelta(days=number), defaults={"reason": reason.strip()}
        )
    trail.record(
        "site.closed",
        by=by,
        target=site,
        details={"first": first.isoformat(), "last": last.isoformat(), "reason": reason.strip()},
    )
    return days


@transaction.atomic
def reopen_site(*, site: Site, first: date, last: date, by: User) -> int:
    _check_may(by, site)
    gone, _kinds = Closure.objects.filter(site=site, day__gte=first, day__lte=last).delete()
    if gone:
        details = {"first": first.isoformat(), "last": last.isoformat()}
        trail.record("site.reopened", by=by, target=site, details=details)
    return gone


# ------------------------------------------------------------------ rooms


def add_room(*, site: Site, name: str, serves: Collection[str], by: User) -> Room:
    return _keep_room(Room(site=site), name=name, is_active=True, serves=serves, event="room.added", by=by)


@transaction.atomic
def change_room(
    *, room: Room, name: str, is_active: bool, serves: Collection[str], by: User, confirmed: bool = False
) -> Room:
    """Change a room. One that is taken out of use keeps what is booked in it.

    Raise NeedsConfirmation where visits are booked in a room that is taken out of use, until ``confirmed``.
    """
    _check_may(by, room.site)
    if not is_active:
        check_confirmed(room, change={"is_active": False}, confirmed=confirmed or not room.is_active)
    return _keep_room(room, name=name, is_active=is_active, serves=serves, event="room.changed", by=by)


@transaction.atomic
def _keep_room(room: Room, *, name: str, is_active: bool, serves: Collection[str], event: str, by: User) -> Room:
    _check_may(by, room.site)
    known = [technique_code(key) for key in techniques()]
    chosen = [code for code in known if code in serves]
    room.name, room.is_active = name.strip(), is_active
    room.serves = [] if len(chosen) == len(known) else chosen  # all: also those that a later formulary brings
    if not room.name:
        raise InvalidInput(_("Give the room a name."), field="name")
    if Room.objects.filter(site=room.site, name=room.name).exclude(pk=room.pk).exists():
        raise InvalidInput(_("%(site)s has a room of this name.") % {"site": room.site}, field="name")
    try:
        with transaction.atomic():
            room.save()
    except IntegrityError as error:
        raise InvalidInput(_("%(site)s has a room of this name.") % {"site": room.site}, field="name") from error
    details: dict[str, Any] = {"name": room.name, "in_use": room.is_active, "serves": room.serves}
    trail.record(event, by=by, target=room, details=details)
    return room


# ------------------------------------------------------------------ a person


@transaction.atomic
def set_working_hours(*, person: User, site: Site, blocks: Sequence[Hours], by: User) -> None:
    """When the person works at the site in a usual week. None at all: they cannot be booked there."""
    _check_may(by, site)
    if blocks and site.pk not in person.site_ids:
        raise InvalidInput(_("%(who)s does not work at %(site)s.") % {"who": person, "site": site})
    ordered = _check_blocks(blocks)
    _check_not_elsewhere(person, site, ordered)
    WorkingHours.objects.filter(practitioner=person, site=site).delete()
    WorkingHours.objects.bulk_create(
        WorkingHours(practitioner=person, site=site, weekday=block.weekday, starts=block.starts, ends=block.ends)
        for block in ordered
    )
    details = {"site": str(site.public_id), "hours": _told(ordered)}
    trail.record("person.hours_changed", by=by, target=person, details=details)


def _check_not_elsewhere(person: User, site: Site, blocks: Sequence[Hours]) -> None:
    """Nobody works at two sites of one time zone at once. Across zones the database still keeps visits apart."""
    others = WorkingHours.objects.filter(practitioner=person).exclude(site=site).select_related("site")
    for other in others:
        for block in blocks:
            if (
                other.site.time_zone == site.time_zone
                and other.weekday == block.weekday
                and other.starts < block.ends
                and block.starts < other.ends
            ):
                raise InvalidInput(
                    _("On %(day)s from %(start)s to %(end)s %(who)s works at %(site)s.")
                    % {
                        "day": other.get_weekday_display(),
                        "start": f"{other.starts:%H:%M}",
                        "end": f"{other.ends:%H:%M}",
                        "who": person,
                        "site": other.site,
                    }
                )


@transaction.atomic
def add_absence(
    *,
    person: User,
    first_day: date,
    last_day: date,
    kind: str,
    by: User,
    site: Site | None = None,
    starts: time | None = None,
    ends: time | None = None,
) -> Absence:
    """Somebody is away, everywhere or at one site: whole days, or with hours a part of one day."""
    _check_may(by, site)
    _check_works_with(person, by)
    if kind not in AbsenceKind.values:
        raise InvalidInput(_("Choose a kind from the list."), field="kind")
    if last_day < first_day:
        raise InvalidInput(_("The last day comes before the first."), field="last_day")
    if (starts is None) != (ends is None):
        raise InvalidInput(_("Give both hours, or neither for whole days."), field="ends" if starts else "starts")
    if starts is not None and ends is not None:
        if first_day != last_day:
            raise InvalidInput(_("Hours can be given for one day only."), field="starts")
        if starts >= ends:
            raise InvalidInput(_("This has to be later than “From”."), field="ends")
    absence = Absence.objects.create(
        person=person,
        site=site,
        first_day=first_day,
        last_day=last_day,
        starts=starts,
        ends=ends,
        kind=kind,
        created_by=by,
    )
    trail.record("person.absence_added", by=by, target=person, details=_absence_told(absence))
    return absence


@transaction.atomic
def remove_absence(*, absence: Absence, by: User) -> None:
    _check_may(by, absence.site)
    _check_works_with(absence.person, by)
    details = _absence_told(absence)
    gone, _kinds = Absence.objects.filter(pk=absence.pk).delete()
    if gone:
        trail.record("person.absence_removed", by=by, target=absence.person, details=details)


def _absence_told(absence: Absence) -> dict[str, Any]:
    return {
        "first_day": absence.first_day.isoformat(),
        "last_day": absence.last_day.isoformat(),
        "hours": f"{absence.starts:%H:%M}-{absence.ends:%H:%M}" if absence.starts and absence.ends else "",
        "kind": absence.kind,
        "site": str(absence.site.public_id) if absence.site else "",
    }


@transaction.atomic
def set_abilities(*, person: User, site: Site, codes: Collection[str], by: User) -> None:
    """What the person may do at the site, as a whole."""
    _check_may(by, site)
    if site.pk not in person.site_ids:
        raise InvalidInput(_("%(who)s does not work at %(site)s.") % {"who": person, "site": site})
    chosen = [ability.code for ability in abilities() if ability.code in codes]
    Abilities.objects.update_or_create(person=person, site=site, defaults={"codes": chosen})
    details = {"site": str(site.public_id), "may": chosen}
    trail.record("person.abilities_changed", by=by, target=person, details=details)
