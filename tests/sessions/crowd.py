"""A site with many practitioners and a full week, in a few statements, for the calendar's tests and benchmark."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from django.db import transaction
from django.utils import timezone

from mesoclinic.accounts.models import RoleGrant, Site, User
from sessions.models import Appointment, Course, Room, WorkingHours
from tests.sessions import factories as make

GIVEN = ("Amelia", "Omar", "Noor", "Teodor", "Ilse", "Rasmus", "Léonie", "Caspian", "Solveig", "Anselm", "Jun", "Priya")
FAMILY = (
    "Martin",
    "Haddad",
    "Castellanos",
    "Brandvold",
    "Solberg",
    "Achterberg",
    "Faucheux",
    "Duarte",
    "Mbatha",
    "Roe",
)
STARTS = (time(9), time(9, 50), time(10, 40), time(11, 30), time(13), time(13, 50), time(14, 40), time(15, 30))
_count = itertools.count(1)


@transaction.atomic
def staff_of(site: Site, *, practitioners: int) -> tuple[list[User], list[Room]]:
    """That many practitioners, at work from Monday to Friday, 09:00 to 17:00, and as many rooms."""
    numbers = [next(_count) for _ in range(practitioners)]
    people = User.objects.bulk_create(
        User(
            email=f"crowd{number}@clinic.example",
            title="Dr",
            given_name=GIVEN[number % len(GIVEN)],
            family_name=f"{FAMILY[number % len(FAMILY)]}-{number:02}",
        )
        for number in numbers
    )
    site.staff.add(*people)
    RoleGrant.objects.bulk_create(RoleGrant(user=who, role="practitioner") for who in people)
    WorkingHours.objects.bulk_create(
        WorkingHours(practitioner=who, site=site, weekday=weekday, starts=time(9), ends=time(17))
        for who in people
        for weekday in range(5)
    )
    rooms = Room.objects.bulk_create(Room(site=site, name=f"Room {number:02}") for number in numbers)
    return people, rooms


@transaction.atomic
def week_of(
    monday: date, *, site: Site, people: Sequence[User], rooms: Sequence[Room], by: User, visits: int
) -> list[Appointment]:
    """So many visits from that Monday on: day by day, all practitioners at once, eight a day for each of them."""
    slots = list(itertools.islice(itertools.product(range(5), STARTS, range(len(people))), visits))
    patients = [
        make.patient(by=by, site=site, given_name=GIVEN[at % len(GIVEN)], family_name=f"{FAMILY[at % len(FAMILY)]}")
        for at in range(min(len(people), len(slots)))
    ]
    courses = [
        Course(plan=make.plan(patient=patient, by=by), booked_at=timezone.now(), booked_by=by) for patient in patients
    ]
    Course.objects.bulk_create(courses)
    numbers = [itertools.count(1) for _ in patients]
    made = []
    for day, wall, at in slots:
        starts_at = datetime.combine(monday + timedelta(days=day), wall, tzinfo=site.tz)
        made.append(
            Appointment(
                course=courses[at],
                number=next(numbers[at]),
                patient=patients[at],
                practitioner=people[at],
                room=rooms[at],
                site=site,
                starts_at=starts_at,
                ends_at=starts_at + timedelta(minutes=38),
                created_by=by,
            )
        )
    return Appointment.objects.bulk_create(made)
