"""What hangs on a patient, a member of staff or a site, said before a change of state leaves it behind.

Each is a sentence with its number and, for visits, the days. Empty: nothing hangs on it, so nothing is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.access import PERMISSIONS, Permission, Role
from mesoclinic.accounts.models import Site, User
from mesoclinic.messaging.models import MessageState
from patients.models import Patient
from patients.queries import records_of
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from sessions.models import Appointment, AppointmentStatus, Room
from sessions.queries import day_bounds
from sessions.renewal.resuming import messages_of
from sessions.words import short_day

SHOWN = 4  # days that are named; the rest is counted


def what_hangs_on(row: Model, *, change: Mapping[str, Any]) -> list[str]:
    """Return what the change would leave behind, in sentences. ``change`` holds the new values of the fields."""
    if isinstance(row, Patient):
        return _of_patient(row, kept=change.get("merged_into"))
    if isinstance(row, User):
        return _of_person(row, change)
    if isinstance(row, Site):
        return _of_closure(row, *change["closed"]) if "closed" in change else _of_site(row)
    if isinstance(row, Room):
        return _listed(
            Appointment.objects.filter(room=row, status__in=AppointmentStatus.COMING, ends_at__gt=timezone.now())
        )
    return []


# ------------------------------------------------------------------ a patient


def visits_to_come(person: Patient) -> QuerySet[Appointment]:
    """The visits of a person, under every record of theirs, that are booked or going on; the soonest first."""
    visits = Appointment.objects.filter(patient__in=records_of(person), status__in=AppointmentStatus.COMING)
    return visits.select_related("site", "practitioner", "room", "patient").order_by("starts_at", "pk")


def _of_patient(patient: Patient, *, kept: Patient | None) -> list[str]:
    visits = list(visits_to_come(patient))
    plans = Plan.objects.filter(patient__in=records_of(patient), status__in=(*PlanStatus.IN_FORCE, PlanStatus.DRAFT))
    named = [
        _("%(number)s (%(status)s)") % {"number": plan.display_number, "status": plan.get_status_display()}
        for plan in plans.only("number", "version", "status").order_by("number", "version")
    ]
    waiting = messages_of(patient).filter(state__in=MessageState.UNSENT).count()
    found = []
    if visits:
        words = {"n": len(visits), "days": _days(visits)}
        found.append(
            ngettext("%(n)s visit is booked: %(days)s.", "%(n)s visits are booked: %(days)s.", len(visits)) % words
        )
    if named:
        words = {"n": len(named), "plans": ", ".join(named)}
        found.append(ngettext("%(n)s plan is open: %(plans)s.", "%(n)s plans are open: %(plans)s.", len(named)) % words)
    if waiting and kept is None:
        found.append(
            ngettext("%(n)s mail waits and will not be sent.", "%(n)s mails wait and will not be sent.", waiting)
            % {"n": waiting}
        )
    elif waiting and kept is not None:
        found.append(
            ngettext(
                "%(n)s mail waits and goes to %(number)s from now on.",
                "%(n)s mails wait and go to %(number)s from now on.",
                waiting,
            )
            % {"n": waiting, "number": kept.display_number}
        )
    return found


def _days(visits: list[Appointment]) -> str:
    shown = [
        _("%(day)s %(time)s")
        % {
            "day": short_day(visit.starts_at.astimezone(visit.site.tz)),
            "time": f"{visit.starts_at.astimezone(visit.site.tz):%H:%M}",
        }
        for visit in visits[:SHOWN]
    ]
    more = len(visits) - len(shown)
    if more:
        shown.append(ngettext("%(n)s more", "%(n)s more", more) % {"n": more})
    return ", ".join(shown)


# ------------------------------------------------------------------ a member of staff, a site


def _of_person(person: User, change: Mapping[str, Any]) -> list[str]:
    """The visits booked with somebody which they could no longer take after the change."""
    visits = Appointment.objects.filter(
        practitioner=person, status__in=AppointmentStatus.COMING, ends_at__gt=timezone.now()
    )
    treats = any(Permission.SESSION_WRITE in PERMISSIONS[Role(role)] for role in change.get("roles", person.roles))
    if change.get("is_active", True) and treats:
        visits = visits.exclude(site__in=change.get("sites", person.site_ids))
    return [
        _("%(site)s: %(visits)s") % {"site": site.name, "visits": _booked_with(person, found)}
        for site, found in _by_site(visits)
    ]


def _by_site(visits: QuerySet[Appointment]) -> list[tuple[Site, list[Appointment]]]:
    found: dict[Site, list[Appointment]] = {}
    for visit in visits.select_related("site").order_by("site__name", "starts_at", "pk"):
        found.setdefault(visit.site, []).append(visit)
    return list(found.items())


def _booked_with(person: User, visits: list[Appointment]) -> str:
    words = ngettext(
        "%(n)s visit is booked with %(who)s: %(days)s.",
        "%(n)s visits are booked with %(who)s: %(days)s.",
        len(visits),
    )
    return words % {"n": len(visits), "who": person.name, "days": _days(visits)}


def _of_closure(site: Site, first: date, last: date) -> list[str]:
    begins, ends = day_bounds(first, site)[0], day_bounds(last, site)[1]
    return _listed(
        Appointment.objects.filter(
            site=site, status__in=AppointmentStatus.COMING, starts_at__gte=begins, starts_at__lt=ends
        ).filter(ends_at__gt=timezone.now())
    )


def _listed(found: QuerySet[Appointment]) -> list[str]:
    visits = list(found.select_related("site").order_by("starts_at", "pk"))
    if not visits:
        return []
    booked = ngettext("%(n)s visit is booked: %(days)s.", "%(n)s visits are booked: %(days)s.", len(visits))
    return [booked % {"n": len(visits), "days": _days(visits)}]


def _of_site(site: Site) -> list[str]:
    visits = Appointment.objects.filter(
        site=site, status__in=AppointmentStatus.COMING, ends_at__gt=timezone.now()
    ).count()
    if not visits:
        return []
    return [
        ngettext(
            "%(n)s visit is booked here: its hour would change with the time zone. Move or cancel it first.",
            "%(n)s visits are booked here: their hours would change with the time zone. Move or cancel them first.",
            visits,
        )
        % {"n": visits}
    ]
