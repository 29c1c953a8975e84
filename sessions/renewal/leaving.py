"""The visits to come of people who have died or moved away: listed until they are cancelled, all with one press."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Min, QuerySet
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidTransition
from patients.models import Patient, PatientStatus
from patients.queries import in_care
from sessions.booking.actions import cancel_appointment
from sessions.booking.locks import with_one_retry
from sessions.models import Appointment, AppointmentStatus
from sessions.queries import appointments_visible_to
from sessions.renewal.consequences import visits_to_come


@dataclass(frozen=True, kw_only=True)
class Away:
    """Somebody who is no longer in the clinic's care and still has visits booked."""

    patient: Patient
    visits: int
    first: datetime


def visits_of_people_away(user: User) -> QuerySet[Appointment]:
    """The visits that are booked for people who have died or moved away, as far as the user may see them."""
    return appointments_visible_to(user).filter(status__in=AppointmentStatus.COMING).exclude(in_care("patient__"))


def people_away(*, user: User, site: Site, at_most: int) -> tuple[list[Away], int]:
    """Who has visits at the site that must not take place, the soonest first, and how many people in all."""
    rows = (
        visits_of_people_away(user)
        .filter(site=site)
        .order_by()
        .values("patient")
        .annotate(visits=Count("pk"), first=Min("starts_at"))
        .order_by("first", "patient")
    )
    found = list(rows)
    people = Patient.objects.in_bulk([row["patient"] for row in found[:at_most]])
    listed = [Away(patient=people[row["patient"]], visits=row["visits"], first=row["first"]) for row in found[:at_most]]
    return listed, len(found)


def cancel_visits(*, person: Patient, by: User) -> list[Appointment]:
    """Cancel every visit to come of somebody who has died or moved away, all or none.

    Raise InvalidTransition for a person in the clinic's care, and where nothing is left to cancel.
    """

    @transaction.atomic
    def cancel() -> list[Appointment]:
        current = Patient.objects.select_for_update().get(pk=person.pk)
        if current.status == PatientStatus.ACTIVE:
            raise InvalidTransition(
                _("%(name)s is in the clinic's care: cancel the visits one by one, or the course.")
                % {"name": current.name}
            )
        visits = list(visits_to_come(current).select_related("course__plan"))
        if not visits:
            raise InvalidTransition(_("No visit is left to cancel."))
        for visit in visits:
            cancel_appointment(appointment=visit, by=by)
        trail.record(
            "visits.cancelled",
            by=by,
            patient=current,
            details={"status": current.status, "appointments": [str(visit.public_id) for visit in visits]},
        )
        return visits

    return with_one_retry(cancel)
