"""A clinic in Lyon that can treat, a patient, and a signed plan of four sessions."""

from __future__ import annotations

import pytest

from mesoclinic.accounts.models import Site, User
from patients.models import Patient
from protocols.models import Plan
from sessions.models import Course, Room
from tests.sessions import factories as make


@pytest.fixture
def rooms(lyon: Site, ada: User) -> list[Room]:
    return make.open_site(site=lyon, practitioner=ada, rooms=2)


@pytest.fixture
def teodor(cleo: User, lyon: Site) -> Patient:
    return make.patient(by=cleo, site=lyon)


@pytest.fixture
def plan(teodor: Patient, ada: User, rooms: list[Room]) -> Plan:
    return make.plan(patient=teodor, by=ada)


@pytest.fixture
def course(plan: Plan, lyon: Site, ada: User, cleo: User) -> Course:
    from sessions.booking.actions import book_course

    return book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
