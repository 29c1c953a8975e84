"""What visits take from the formulary and the plan: read where it stands, never copied."""

from __future__ import annotations

import copy
import hashlib
from datetime import date, timedelta

import pytest
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from patients.models import Patient, PatientStatus
from protocols.engine import canonical_json
from protocols.formulary.loader import load_documents
from protocols.formulary.queries import documents_by_hash
from protocols.models import FormularyVersion
from protocols.plans.basis import intake_lasts
from sessions.course.gaps import done_to
from sessions.course.planned import planned_zones
from sessions.course.terms import most_sessions
from sessions.models import Appointment, Course, Room
from sessions.pages.today import Row, day_of
from tests.sessions import factories as make

IN_30_DAYS = timedelta(days=30)


def formulary_with(
    *, by: User, label: str = "own", interrupted_after: int = 70, absolute_min: int = 14, most: int = 5
) -> FormularyVersion:
    """The formulary in force, with other limits for a course than the shipped one has."""
    documents = copy.deepcopy(load_documents())
    sessions = documents["course"]["sessions"]
    sessions["interval_limits"]["interrupted_after"]["value"] = interrupted_after
    sessions["interval_limits"]["absolute_min"]["value"] = absolute_min
    sessions["absolute_max_sessions_per_course"] = most
    return FormularyVersion.objects.create(
        label=label,
        status="published",
        documents=documents,
        sha256=hashlib.sha256(canonical_json(documents)).hexdigest(),
        published_at=timezone.now(),
        published_by=by,
    )


def visit_in_30_days(patient: Patient, *, by: User, room: Room) -> Appointment:
    """The first visit of a new plan, 30 days after today's intake."""
    plan, starts_at = make.plan(patient=patient, by=by), timezone.now() + IN_30_DAYS
    return Appointment.objects.create(
        course=Course.objects.create(plan=plan, booked_at=timezone.now(), booked_by=by),
        number=1,
        patient=patient,
        practitioner=by,
        room=room,
        site=room.site,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=38),
        created_by=by,
    )


def row_on(day: date, *, site: Site, user: User) -> Row:
    (row,) = day_of(day=day, site=site, user=user, now=timezone.now()).rows
    return row


@pytest.mark.parametrize(("days", "kind"), [(29, "warn"), (30, "ok"), (31, "ok")])
def test_intake_on_today_is_as_old_as_its_formulary_lets_it_be(
    days: int, kind: str, rooms: list[Room], teodor: Patient, ada: User, lyon: Site
) -> None:
    formulary_with(by=ada, interrupted_after=days)
    visit = visit_in_30_days(teodor, by=ada, room=rooms[0])
    row = row_on(visit.starts_at.astimezone(lyon.tz).date(), site=lyon, user=ada)
    assert [state.kind for state in row.states if state.text == "Intake 30 days old"] == [kind]


@pytest.mark.parametrize(("day", "words"), [(-1, "Intake of today"), (0, "Intake of today"), (1, "Intake 1 day old")])
def test_intake_on_today_is_of_today_until_the_day_after(
    day: int, words: str, rooms: list[Room], teodor: Patient, ada: User, lyon: Site
) -> None:
    """Also where it was submitted after the visit's own day."""
    formulary_with(by=ada)
    visit = visit_in_30_days(teodor, by=ada, room=rooms[0])
    at = timezone.now() + timedelta(days=day)
    Appointment.objects.filter(pk=visit.pk).update(starts_at=at, ends_at=at + timedelta(minutes=38))
    row = row_on(at.astimezone(lyon.tz).date(), site=lyon, user=ada)
    assert [state.text for state in row.states if state.text.startswith("Intake")] == [words]


def test_intake_of_a_merged_record_is_the_persons_own(
    rooms: list[Room], teodor: Patient, ada: User, cleo: User, lyon: Site
) -> None:
    """The plan rests on it, so Today may not say that there is none."""
    twin = make.patient(by=cleo, site=lyon, family_name="Twin")
    visit = visit_in_30_days(teodor, by=ada, room=rooms[0])
    Patient.objects.filter(pk=teodor.pk).update(status=PatientStatus.MERGED, merged_into=twin)
    Appointment.objects.filter(pk=visit.pk).update(patient=twin)
    row = row_on(visit.starts_at.astimezone(lyon.tz).date(), site=lyon, user=ada)
    assert "Intake 30 days old" in [state.text for state in row.states]


def test_limits_of_a_course_are_those_of_the_plans_formulary(teodor: Patient, ada: User, lyon: Site) -> None:
    version = formulary_with(by=ada, absolute_min=17, most=3)
    plan = make.plan(patient=teodor, by=ada)
    assert plan.formulary == version
    assert done_to(plan, site=lyon).shortest == 17
    assert most_sessions(plan) == 3


def test_documents_are_fetched_once_for_all_versions(ada: User, django_assert_num_queries) -> None:
    hashes = [formulary_with(by=ada, interrupted_after=61).sha256]
    FormularyVersion.objects.update(status="retired")
    hashes.append(formulary_with(by=ada, label="other", interrupted_after=62).sha256)
    with django_assert_num_queries(1):
        assert set(documents_by_hash(hashes)) == set(hashes)
    with django_assert_num_queries(0):
        assert [intake_lasts(row) for row in map(documents_by_hash(hashes).get, hashes) if row] == [61, 62]


def test_zones_of_a_record_hold_what_its_own_session_injects(teodor: Patient, ada: User) -> None:
    """Where sessions differ, the map of the second is not that of the first."""
    plan = make.plan(patient=teodor, by=ada)
    assert [row["volume_ml"] for row in planned_zones(plan, 2)] == ["2.00"]
    less = copy.deepcopy(plan.result["syringes"])
    less[0]["volume_ml"] = "1.50"
    plan.result["sessions"] = [{"number": 2, "syringes": less}]
    assert [row["volume_ml"] for row in planned_zones(plan, 1)] == ["2.00"]
    assert [(row["volume_ml"], row["points"]) for row in planned_zones(plan, 2)] == [("1.50", 120)]
