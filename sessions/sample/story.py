"""The sample clinic's patients and what has happened to them, told through the same actions that people use.

Everything is invented. The story is told relative to the day it is loaded on, with the clock set back for what lies
behind, so that Today has visits on any day and every course, message and audit event carries a time that fits. The same
day and hour give the same clinic.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.sending import delivery
from mesoclinic.staff import sample as house
from patients.actions.intake import save_intake, start_intake, submit_intake
from patients.actions.record import register_patient
from patients.models import Patient
from patients.statements.statements import open_statements, settle_statement
from patients.vocabulary import load_vocabulary
from protocols.actions import drafts as planning
from protocols.actions.answers import acknowledge, answer_open_question
from protocols.actions.formulary import confirm_entry, load_formulary_draft, publish_formulary
from protocols.actions.signing import sign_plan
from protocols.formulary.loader import release_label
from protocols.models import FormularyVersion, Ingredient, Plan, Product
from sessions.booking import actions as booking
from sessions.course.planned import planned_lines
from sessions.models import Appointment, AppointmentStatus, Course, Lot, Room, WorkingHours
from sessions.models.hours import AbsenceKind
from sessions.planner import Hours
from sessions.sample.people import ANSWERS, PEOPLE
from sessions.sites import actions as resources
from sessions.sites.availability import Turnover, public_holidays
from sessions.treatment.actions import Injected, record_session

FORMULARY_LABEL = f"{release_label()}-sample"

PLACES = {"Lyon": ("FR", ""), "New York": ("US", "NY")}  # for the public holidays
ROOMS = {"Lyon": ("Room 1", "Room 2"), "New York": ("Room A",)}
HOURS = {
    # practitioner: site, morning and afternoon, seven days a week so that Today is never empty
    "lena": ("Lyon", ((time(8, 30), time(12, 30)), (time(13, 30), time(20)))),
    "sam": ("New York", ((time(8, 30), time(13)), (time(14), time(20)))),
}
SUPPLIERS = ("Laboratoires Orme", "Nordlys Pharma", "Officine du Rhône")


# ------------------------------------------------------------------ the clock


@contextmanager
def clock_at(instant: datetime) -> Iterator[None]:
    """Set the product's clock; it moves on by a second each time somebody looks at it."""
    real, looks = timezone.now, 0

    def now() -> datetime:
        nonlocal looks
        looks += 1
        return instant.astimezone(UTC) + timedelta(seconds=looks)

    timezone.now = now
    try:
        yield
    finally:
        timezone.now = real


# ------------------------------------------------------------------ the story


@transaction.atomic
def load() -> dict[str, int]:
    """Fill an empty database. All or nothing; gives what was made, in numbers."""
    return Story(now=timezone.now()).tell()


class Story:
    def __init__(self, *, now: datetime) -> None:
        self.now = now
        self.patients: dict[str, Patient] = {}
        self.people = {person.key: person for person in PEOPLE}

    def tell(self) -> dict[str, int]:
        _clinic, self.sites, self.staff = house.found_clinic()
        with self.on(day=-62, at="08:00"):
            self._resources()
            self._formulary()
            self._stock()
        with self.on(day=-58, at="10:00"):
            self._intake("philippa")
        with self.on(day=-57, at="11:00"):
            begun = self._book(self._sign("philippa"), first_day=-56)
        self._perform(begun, number=1, tolerance=2, note="Slight redness, gone after twenty minutes.")
        with self.on(day=-31, at="15:00"):
            self._intake("caspian")
        with self.on(day=-30, at="16:00"):
            flare = self._book(self._sign("caspian"), first_day=-28)
        self._perform(begun, number=2, tolerance=1, note="Well tolerated.")
        self._perform(flare, number=1, tolerance=2, note="Burning for an hour; cooled.")
        for hour, key in enumerate(("ilse", "lennart", "amara", "ottilie", "solveig", "anselm"), start=9):
            with self.on(day=-6, at=f"{hour:02}:10", site=self.people[key].site):
                self._intake(key)
        with self.on(day=-5, at="15:20"):
            self._draft("ottilie")
        for hour, key in enumerate(("teodor", "marguerite", "rasmus", "noor"), start=9):
            with self.on(day=-3, at=f"{hour:02}:30"):
                self._intake(key)
        with self.on(day=-2, at="09:40"):
            self._book(self._sign("teodor"), first_day=0, not_before=self._soon("Lyon"))
        with self.on(day=-2, at="10:30"):
            self._book(self._sign("marguerite"), first_day=0, not_before=self._soon("Lyon"))
        with self.on(day=-2, at="11:15"):
            self._sign("rasmus")
        with self.on(day=-2, at="12:00"):
            self._draft("noor")
        with self.on(day=-2, at="09:00", site="New York"):
            self._book(self._sign("anselm"), first_day=0, not_before=self._soon("New York"))
        with self.on(day=-1, at="17:00", site="New York"):
            self._away()
        self._what_has_passed_is_done()
        self._deliver(until=self.now)
        return {
            "patients": Patient.objects.count(),
            "plans": Plan.objects.count(),
            "appointments": Appointment.objects.count(),
            "messages": Message.objects.count(),
        }

    # -------------------------------------------------------------- when

    def on(self, *, day: int, at: str, site: str = "Lyon") -> Any:
        """The clock at a wall time of the site, so many days from today."""
        wall = datetime.combine(self.today(site) + timedelta(days=day), time.fromisoformat(at))
        return clock_at(min(wall.replace(tzinfo=self.sites[site].tz), self.now))

    def _soon(self, site: str) -> time:
        """A little after now, inside the day's hours: so that there are visits ahead whenever the sample is loaded."""
        soon = (self.now + timedelta(minutes=20)).astimezone(self.sites[site].tz)
        return min(max(soon.time(), time(10)), time(18)) if soon.date() == self.today(site) else time(18)

    def today(self, site: str) -> date:
        return self.now.astimezone(self.sites[site].tz).date()

    # -------------------------------------------------------------- the house and its stock

    def _resources(self) -> None:
        for site, names in ROOMS.items():
            for name in names:
                Room.objects.create(site=self.sites[site], name=name)
        for key, (site, blocks) in HOURS.items():
            for weekday in range(7):
                for starts, ends in blocks:
                    WorkingHours.objects.create(
                        practitioner=self.staff[key], site=self.sites[site], weekday=weekday, starts=starts, ends=ends
                    )
        director = self.staff["dora"]
        for name, (country, region) in PLACES.items():
            place = self.sites[name]
            week = [Hours(weekday, time(8), time(20, 30)) for weekday in range(7)]
            resources.set_opening_hours(site=place, blocks=week, by=director)
            resources.set_holidays(site=place, country=country, region=region, by=director)
            resources.set_turnover(site=place, usual=Turnover(prepare=5, cleanup=10), of_techniques={}, by=director)
            # Whatever day it is loaded on, the story's days are working days; holidays close the clinic later on.
            today = self.now.astimezone(place.tz).date()
            for day in public_holidays(place, first=today - timedelta(days=62), last=today + timedelta(days=1)):
                resources.open_on_holiday(site=place, day=day, opened=True, by=director)
        works = self.today("Lyon") + timedelta(days=262)
        resources.close_site(
            site=self.sites["Lyon"],
            first=works,
            last=works + timedelta(days=4),
            reason="The ventilation is renewed",
            by=director,
        )

    def _away(self) -> None:
        """Told after the course was booked: a visit falls into it, so that the list of such visits shows one."""
        first = self.today("New York") + timedelta(days=83)
        resources.add_absence(
            person=self.staff["sam"],
            first_day=first,
            last_day=first + timedelta(days=4),
            kind=AbsenceKind.TRAINING,
            by=self.staff["dora"],
        )

    def _formulary(self) -> None:
        """As in a real clinic: the director confirms what is flagged, one by one, then publishes."""
        director = self.staff["dora"]
        version = load_formulary_draft(label=FORMULARY_LABEL, is_sample=True, by=director)
        for entry in version.entries.filter(is_active=True, confirmation_required=True).order_by("ingredient__key"):
            confirm_entry(entry=entry, by=director)
        self.formulary: FormularyVersion = publish_formulary(version=version, by=director)

    def _stock(self) -> None:
        active = set(self.formulary.entries.filter(is_active=True).values_list("ingredient__key", flat=True))
        ingredients = {row.key: row for row in Ingredient.objects.all()}
        today = self.today("Lyon")
        for item in self.formulary.documents["ingredients"]["ingredients"]:
            if item["key"] not in active:
                continue
            stock, spread = item["stock"], _spread(item["key"])
            product = Product.objects.create(
                ingredient=ingredients[item["key"]],
                name=f"{item['name']} {stock['concentration']} {stock['concentration_unit']}",
                concentration=Decimal(str(stock["concentration"])),
                concentration_unit=stock["concentration_unit"],
                container=stock["container"],
                container_volume_ml=Decimal(str(stock["container_volume"])),
                supplier=SUPPLIERS[spread % len(SUPPLIERS)],
            )
            for site in self.sites.values():
                lots = (9 + spread % 60, 240 + spread % 200) if site.name == "Lyon" else (300 + spread % 100,)
                for number, days in enumerate(lots, start=1):
                    lot = Lot.objects.create(
                        product=product,
                        site=site,
                        number=f"{item['key'][:2].upper()}{spread % 90 + 10}-{number}{site.name[0]}",
                        expires_on=today + timedelta(days=days),
                        received_ml=product.container_volume_ml * 20,
                    )
                    trail.record("lot.received", by=self.staff["dora"], target=lot)

    # -------------------------------------------------------------- patients

    def _intake(self, key: str) -> None:
        person = self.people[key]
        site = self.sites[person.site]
        reception = self._reception(person.site)
        patient = register_patient(
            given_name=person.given_name,
            family_name=person.family_name,
            birth_date=person.birth_date(self.today(person.site)),
            sex_at_birth=person.sex,
            email=f"{key}@patients.example",
            phone="",
            language=person.language,
            contact_allowed=True,
            site=site,
            by=reception,
        )
        vocabulary = load_vocabulary()
        known = {"sex_at_birth": person.sex}
        facts = {
            fact: value
            for fact, value in {**ANSWERS, **person.facts}.items()
            if vocabulary.facts[fact].applies_to(known)
        }
        by = self._practitioner(person.site)
        intake = start_intake(patient=patient, by=by)
        intake = save_intake(
            intake=intake,
            revision=intake.revision,
            facts=facts,
            concerns=[{"concern": concern, "severity": severity} for concern, severity in person.concerns],
            zones=[{"zone": zone, "area_cm2": str(vocabulary.zones[zone].area_cm2)} for zone in person.zones],
            note=person.note,
            by=by,
        )
        submit_intake(intake=intake, by=by)
        self.patients[key] = patient

    def _reception(self, site: str) -> User:
        return self.staff["cleo" if site == "Lyon" else "sam"]

    def _practitioner(self, site: str) -> User:
        return self.staff[next(key for key, (where, _blocks) in HOURS.items() if where == site)]

    # -------------------------------------------------------------- plans and courses

    def _draft(self, key: str) -> Plan:
        """What the note says is in the answers already: whoever drafts the plan has settled it."""
        by = self._practitioner(self.people[key].site)
        for statement in open_statements(self.patients[key]):
            settle_statement(statement=statement, outcome="none_of_these", reason="answered", by=by)
        return planning.create_plan(patient=self.patients[key], by=by)

    def _sign(self, key: str) -> Plan:
        by = self._practitioner(self.people[key].site)
        plan = self._draft(key)
        for question in plan.result["open_questions"]:
            answer_open_question(
                plan=plan,
                revision=plan.revision,
                fact=question["fact"],
                kind="not_measured",
                value=None,
                reason="Asked; not measured at this visit.",
                by=by,
            )
            plan.refresh_from_db()
        for caution in plan.result["cautions"]:
            acknowledge(
                plan=plan, revision=plan.revision, rule=caution["rule"], reason_code="explained", note="", by=by
            )
        plan.refresh_from_db()
        return sign_plan(plan=plan, revision=plan.revision, password=house.PASSWORD, by=by)

    def _book(self, plan: Plan, *, first_day: int, not_before: time | None = None) -> Course:
        site: Site = plan.patient.site
        return booking.book_course(
            plan=plan,
            site=site,
            practitioner=self._practitioner(site.name),
            earliest=self.today(site.name) + timedelta(days=first_day),
            not_before=not_before,
            by=self._reception(site.name),
        )

    def _what_has_passed_is_done(self) -> None:
        """Nobody is hours late in an invented clinic, and whose time it is sits in the chair."""
        passed = Appointment.objects.filter(status=AppointmentStatus.BOOKED, ends_at__lt=self.now)
        for visit in passed.select_related("course__plan").order_by("starts_at"):
            self._perform(visit.course, number=visit.number, tolerance=1, note="Well tolerated.")
        due = Appointment.objects.filter(status=AppointmentStatus.BOOKED, starts_at__lte=self.now)
        for visit in due.order_by("starts_at"):
            self._check_in(visit)

    def _check_in(self, visit: Appointment) -> None:
        with clock_at(visit.starts_at - timedelta(minutes=4)):
            booking.set_appointment_status(
                appointment=visit, status=AppointmentStatus.ARRIVED, by=self._reception(visit.site.name)
            )

    def _perform(self, course: Course, *, number: int, tolerance: int, note: str) -> None:
        """The visit as planned, each line from the lot that expires first."""
        visit = course.appointments.get(number=number)
        self._deliver(until=visit.starts_at)
        self._check_in(visit)
        with clock_at(visit.ends_at - timedelta(minutes=6)):
            lots = Lot.objects.filter(site=visit.site).order_by("expires_on")
            record_session(
                appointment=visit,
                administrations=[
                    Injected(
                        syringe=line.syringe,
                        ingredient=line.ingredient,
                        volume_ml=line.volume_ml,
                        lot=lots.filter(product__ingredient__key=line.ingredient).first(),
                    )
                    for line in planned_lines(course.plan, number)
                ],
                nothing_changed=True,
                tolerance=tolerance,
                note=note,
                password=house.PASSWORD,
                by=visit.practitioner,
            )

    # -------------------------------------------------------------- messages

    def _deliver(self, *, until: datetime) -> None:
        """Run the outbox at the times at which its messages were due."""
        waiting = Message.objects.filter(state__in=MessageState.TO_LEAVE, due_at__lte=until)
        for due_at in sorted(set(waiting.values_list("due_at", flat=True))):
            with clock_at(min(due_at + timedelta(seconds=settings.OUTBOX_TICK_SECONDS), self.now)):
                delivery.deliver_due()


def _spread(text: str) -> int:
    """A number that looks random and is the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
