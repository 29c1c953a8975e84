"""Many people book at the same moment. What each of them got is counted; the caller says what it should have been."""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import time as wall
from typing import Any

from django.db import connections
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from mesoclinic.core.errors import DomainError
from sessions.booking.locks import Busy

Booking = Callable[[], object]
WAIT = 120  # seconds until everybody stands at the start


@dataclass(kw_only=True)
class Outcome:
    booked: int = 0
    refused: list[str] = field(default_factory=list)  # sentences
    failed: list[str] = field(default_factory=list)  # anything that is not a clear refusal
    seconds: list[float] = field(default_factory=list)

    def add(self, kind: str, text: str, seconds: float) -> None:
        self.seconds.append(seconds)
        if kind == "booked":
            self.booked += 1
        elif kind == "refused":
            self.refused.append(text)
        else:
            self.failed.append(text)


def attempt(book: Booking) -> tuple[str, str, float]:
    began = time.monotonic()
    try:
        book()
    except Busy as busy:  # clear, but it is not an answer to "is the slot free?"
        return "failed", f"Busy: {busy}", time.monotonic() - began
    except DomainError as refusal:
        return "refused", str(refusal), time.monotonic() - began
    except Exception as failure:  # whatever a user would have seen as a crash
        return "failed", repr(failure), time.monotonic() - began
    return "booked", "", time.monotonic() - began


def in_threads(bookings: list[Booking]) -> Outcome:
    outcome, results = Outcome(), queue.SimpleQueue()
    start = threading.Barrier(len(bookings))

    def run(book: Booking) -> None:
        try:
            connections["default"].ensure_connection()
            start.wait(WAIT)
            results.put(attempt(book))
        except Exception as failure:  # nobody waits for ever for one who could not come
            start.abort()
            results.put(("failed", repr(failure), 0.0))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(book,)) for book in bookings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while not results.empty():
        outcome.add(*results.get())
    return outcome


def in_processes(bookings: list[Booking]) -> Outcome:
    """Forked, so that fifty processes do not import fifty times. Each opens its own connection."""
    connections.close_all()
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(len(bookings)), context.Queue()

    def run(book: Booking) -> None:
        try:
            connections["default"].ensure_connection()
            start.wait(WAIT)
            results.put(attempt(book))
        except Exception as failure:
            start.abort()
            results.put(("failed", repr(failure), 0.0))
        connections.close_all()

    processes = [context.Process(target=run, args=(book,)) for book in bookings]
    for process in processes:
        process.start()
    outcome = Outcome()
    for _process in processes:
        outcome.add(*results.get(timeout=180))
    for process in processes:
        process.join()
    return outcome


# ------------------------------------------------------------------ what they all want


@dataclass(kw_only=True)
class Clinic:
    """One site with as many patients, plans, rooms and practitioners as there are contestants."""

    site: Site
    reception: User
    plans: list[Any]
    rooms: list[Any]
    practitioners: list[User]


def clinic(*, people: int) -> Clinic:
    from tests import factories
    from tests.sessions import factories as make

    site = factories.site(name="Lyon")
    reception = factories.user(given_name="Cleo", family_name="Petit", roles=["receptionist"], sites=[site])
    practitioners = []
    for number in range(people):
        who = factories.user(given_name="Ada", family_name=f"Moreau {number}", title="Dr", sites=[site])
        make.hours(practitioner=who, site=site, starts=wall(0), ends=wall(23, 45))
        practitioners.append(who)
    return Clinic(
        site=site,
        reception=reception,
        plans=[
            make.plan(
                patient=make.patient(by=reception, site=site, given_name=f"Person {number}", email="p@example.org"),
                by=practitioners[0],
            )
            for number in range(people)
        ],
        rooms=[make.room(site=site, name=f"Room {number}") for number in range(people)],
        practitioners=practitioners,
    )


def slot(site: Site, round_number: int) -> datetime:
    """Another quiet time for each round."""
    today = timezone.now().date()
    day = today + timedelta(days=21 - today.weekday() + 7 * (round_number // 20))
    return datetime.combine(day, wall(round_number % 20, 0), tzinfo=site.tz)


def same_practitioner(house: Clinic, at: datetime) -> list[Booking]:
    """Everybody wants the same practitioner, each in a room of their own."""
    return [_one(house, plan, house.practitioners[0], room, at) for plan, room in _pairs(house.plans, house.rooms)]


def same_room(house: Clinic, at: datetime) -> list[Booking]:
    """Everybody wants the same room, each with a practitioner of their own."""
    return [_one(house, plan, who, house.rooms[0], at) for plan, who in _pairs(house.plans, house.practitioners)]


def same_everything(house: Clinic, at: datetime) -> list[Booking]:
    return [_one(house, plan, house.practitioners[0], house.rooms[0], at) for plan in house.plans]


def same_patient(house: Clinic, at: datetime) -> list[Booking]:
    """Fifty colleagues book the same session of one patient, with their own practitioner and room."""
    plan = house.plans[0]
    return [_one(house, plan, who, room, at) for who, room in _pairs(house.practitioners, house.rooms)]


def same_course(house: Clinic, at: datetime) -> list[Booking]:
    """Everybody presses "Book and notify" on the same plan."""
    from sessions.booking.actions import book_course

    def book(who: User) -> Booking:
        return lambda: book_course(
            plan=house.plans[0], site=house.site, practitioner=who, earliest=at.date(), by=house.reception
        )

    return [book(who) for who in house.practitioners]


def crowd(house: Clinic, at: datetime) -> list[Booking]:
    """Half of the people book, half move a visit they have, all onto ten slots of three practitioners and two rooms.

    Two in seven do it on purpose over what is there. Each visit takes five minutes before and ten after it.
    """
    from sessions.booking.actions import book_appointment
    from sessions.booking.move import Target, move_appointment
    from sessions.booking.overbook import Overbook
    from sessions.models import OverbookReason
    from sessions.models.hours import SiteRules

    SiteRules.objects.update_or_create(site=house.site, defaults={"prepare_minutes": 5, "cleanup_minutes": 10})
    at += timedelta(hours=1)  # preparation has to lie in the day's hours
    slots = [at + timedelta(hours=n) for n in range(10)]
    bookings: list[Booking] = []

    def move(visit: Any, target: Target, overbook: Overbook | None) -> Booking:
        by = house.practitioners[0] if overbook else house.reception
        return lambda: move_appointment(appointment=visit, target=target, rest="keep", overbook=overbook, by=by)

    for number, plan in enumerate(house.plans):
        who, room, start = house.practitioners[number % 3], house.rooms[number % 2], slots[number % 10]
        overbook = Overbook(reason=OverbookReason.URGENT) if number % 7 in (3, 6) else None
        if number % 2:
            bookings.append(_one(house, plan, who, room, start, overbook=overbook))
            continue
        visit = book_appointment(
            plan=plan,
            number=1,
            site=house.site,
            practitioner=house.practitioners[number],
            room=house.rooms[number],
            starts_at=at + timedelta(days=7),
            by=house.reception,
        )
        bookings.append(move(visit, Target(starts_at=start, practitioner=who, room=room), overbook))
    return bookings


CONTESTS: dict[str, Callable[[Clinic, datetime], list[Booking]]] = {
    "practitioner": same_practitioner,
    "room": same_room,
    "slot": same_everything,
    "patient": same_patient,
    "course": same_course,
}


def _one(house: Clinic, plan: Any, practitioner: User, room: Any, at: datetime, *, overbook: Any = None) -> Booking:
    from sessions.booking.actions import book_appointment

    return lambda: book_appointment(
        plan=plan,
        number=1,
        site=house.site,
        practitioner=practitioner,
        room=room,
        starts_at=at,
        overbook=overbook,
        by=house.practitioners[0] if overbook else house.reception,
    )


def _pairs(first: list[Any], second: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(first, second, strict=True))


def clear(house: Clinic) -> None:
    """Make room for the next round: what was booked is cancelled, as a person would."""
    from sessions.models import Appointment

    Appointment.objects.filter(site=house.site).update(status="cancelled")


def overlaps() -> int:
    """Pairs of live visits that may not be: one patient at the same time; or one practitioner or room, preparation and
    clean-up included, where both are ordinary or both are overbooked on purpose."""
    from sessions.queries import live_appointments

    rows = list(live_appointments())

    def clash(one: Any, other: Any) -> bool:
        if one.starts_at < other.ends_at and other.starts_at < one.ends_at and one.patient_id == other.patient_id:
            return True
        shared = one.practitioner_id == other.practitioner_id or one.room_id == other.room_id
        taken = one.taken_from < other.taken_until and other.taken_from < one.taken_until
        return shared and taken and one.overbooked == other.overbooked

    return sum(clash(one, other) for place, one in enumerate(rows) for other in rows[place + 1 :])


def overbooked() -> int:
    """Live visits that were put over another on purpose."""
    from sessions.queries import live_appointments

    return live_appointments().filter(overbooked=True).count()


# ------------------------------------------------------------------ undo


def undo_twice(house: Clinic, at: datetime) -> list[Booking]:
    """Everybody presses Undo on the same cancelled visit."""
    change = cancelled_visit(house, at)
    return [_undo(change, house.reception) for _plan in house.plans]


def undo_against_bookings(house: Clinic, at: datetime) -> list[Booking]:
    """One person puts a cancelled visit back, all the others book its time for somebody else."""
    change = cancelled_visit(house, at)
    others = [_one(house, plan, house.practitioners[0], house.rooms[0], at) for plan in house.plans[1:]]
    return [_undo(change, house.reception), *others]


UNDOS: dict[str, Callable[[Clinic, datetime], list[Booking]]] = {
    "undo": undo_twice,
    "booking": undo_against_bookings,
}


def cancelled_visit(house: Clinic, at: datetime) -> Any:
    """A visit that was booked at this time and cancelled; the change that can be undone."""
    from sessions.booking.actions import cancel_appointment
    from sessions.models.changes import VisitChange

    visit = _one(house, house.plans[0], house.practitioners[0], house.rooms[0], at)()
    cancel_appointment(appointment=visit, by=house.reception)
    return VisitChange.objects.latest("pk")


def _undo(change: Any, by: User) -> Booking:
    from sessions.booking.undo import undo_change

    return lambda: undo_change(change=change, by=by)
