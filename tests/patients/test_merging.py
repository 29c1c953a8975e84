from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from patients.actions.day_check import changed_since
from patients.actions.intake import start_intake
from patients.actions.record import merge_patients, undo_merge, update_patient
from patients.intake.day_checks import Answers
from patients.models import Patient, PatientStatus
from patients.queries import (
    joined_intakes,
    latest_submitted_intake,
    mailable,
    may_be_mailed,
    newest_submitted_intake,
    records_of,
)
from patients.record.strip import patient_strip
from patients.search.duplicates import possible_duplicates
from patients.search.finding import find_patients
from tests import factories

WHY = "Same identity card"


@pytest.fixture
def twin(ada: User) -> Patient:
    return factories.patient(by=ada, given_name="Theodor", family_name="Brandvold", email="")


def test_merge_marks_the_record_and_keeps_both_histories(teodor: Patient, twin: Patient, ada: User, fill: Any) -> None:
    old = fill(twin, by=ada, allergies=["fish"], conditions=["asthma"])
    fill(teodor, by=ada, allergies=[])

    merge = merge_patients(merged=twin, into=teodor, reason=f"  {WHY} ", by=ada)

    assert (twin.status, twin.merged_into, merge.reason) == (PatientStatus.MERGED, teodor, WHY)
    assert set(records_of(teodor)) == {teodor, twin}
    old.refresh_from_db()
    assert old.patient == twin  # what was submitted stays where it was written
    header = patient_strip(teodor)
    assert [record.pk for record in header.merged_records] == [twin.pk]
    assert "Allergies: Fish (P-00002)" in [chip.text for chip in header.chips]
    assert patient_strip(twin).merged_into == teodor
    told = AuditEvent.objects.filter(action="patient.merged").values_list("patient_id", flat=True)
    assert set(told) == {twin.public_id, teodor.public_id}


def test_the_record_that_remains_shows_both_histories(
    teodor: Patient, twin: Patient, ada: User, fill: Any, sign_in: Any
) -> None:
    fill(twin, by=ada)
    fill(teodor, by=ada)
    client = sign_in(ada)
    page = client.get(reverse("sessions:patient", args=[teodor.public_id]))
    assert [(event.title, event.under) for event in page.context["story"].behind] == [("Intake 1", "")]

    merge_patients(merged=twin, into=teodor, reason=WHY, by=ada)
    page = client.get(reverse("sessions:patient", args=[teodor.public_id]))
    assert [(event.title, event.under) for event in page.context["story"].behind] == [
        ("Intake 1", ""),
        ("Intake 1", "P-00002"),
    ]
    gone = client.get(reverse("sessions:patient", args=[twin.public_id]))
    assert [(step.label, step.url) for step in gone.context["steps"]] == [
        ("Go on with P-00001", reverse("sessions:patient", args=[teodor.public_id]))
    ]


def test_after_a_merge_the_next_intake_shows_what_the_other_record_said(
    teodor: Patient, twin: Patient, ada: User, fill: Any, sign_in: Any
) -> None:
    fill(twin, by=ada, allergies=["fish"])
    before = fill(teodor, by=ada, allergies=[])
    merge_patients(merged=twin, into=teodor, reason=WHY, by=ada)
    teodor.refresh_from_db()
    assert joined_intakes(before) == [], "it was answered before anybody knew"

    draft = start_intake(patient=teodor, by=ada)
    page = sign_in(ada).get(reverse("patients:intake_review", args=[draft.public_id]))

    (entry,) = page.context["elsewhere"]
    assert entry["intake"].patient == twin
    assert ("Fish", "None of these") in [(change.before, change.after) for change in entry["changes"]]
    assert "Said otherwise in P-00002, intake 1" in page.content.decode()


def test_after_a_merge_the_day_check_waits_for_a_whole_intake(
    teodor: Patient, twin: Patient, ada: User, fill: Any
) -> None:
    fill(twin, by=ada, allergies=["fish"])
    fill(teodor, by=ada, allergies=[])
    merge_patients(merged=twin, into=teodor, reason=WHY, by=ada)
    teodor.refresh_from_db()
    with pytest.raises(InvalidTransition, match="for the whole person first"):
        changed_since(patient=teodor, answers=Answers(), by=ada)
    fill(teodor, by=ada, allergies=["fish"])
    assert changed_since(patient=teodor, answers=Answers(), by=ada) == []


def test_merge_can_be_undone_once(teodor: Patient, twin: Patient, ada: User) -> None:
    update_patient(patient=twin, changes={"status": "moved_away"}, by=ada)
    merge = merge_patients(merged=twin, into=teodor, reason=WHY, by=ada)
    undo_merge(merge=merge, by=ada)

    twin.refresh_from_db()
    teodor.refresh_from_db()
    assert (twin.status, twin.merged_into, teodor.holds_merged_records) == (PatientStatus.MOVED_AWAY, None, False)
    with pytest.raises(InvalidTransition, match="undone already"):
        undo_merge(merge=merge, by=ada)
    merge_patients(merged=twin, into=teodor, reason=WHY, by=ada)  # and again


def test_merge_is_refused_where_it_makes_no_sense(teodor: Patient, twin: Patient, ada: User, dan: User) -> None:
    third = factories.patient(by=ada, given_name="Teo", email="")
    for wrong, into in ((teodor, teodor), (twin, twin)):
        with pytest.raises(InvalidTransition, match="one record already"):
            merge_patients(merged=wrong, into=into, reason=WHY, by=ada)
    with pytest.raises(InvalidInput, match="Write why"):
        merge_patients(merged=twin, into=teodor, reason=" ", by=ada)
    with pytest.raises(NotAllowed, match="not yours"):
        merge_patients(merged=twin, into=teodor, reason=WHY, by=dan)
    start_intake(patient=twin, by=ada)
    with pytest.raises(InvalidTransition, match="Submit it first"):
        merge_patients(merged=twin, into=teodor, reason=WHY, by=ada)
    merge_patients(merged=third, into=teodor, reason=WHY, by=ada)
    other = factories.patient(by=ada, given_name="Theo", email="")
    for gone, into, why in (
        (third, other, "merged already"),
        (other, third, "merged already"),
        (teodor, other, "Another record was merged into"),
    ):
        with pytest.raises(InvalidTransition, match=why):
            merge_patients(merged=gone, into=into, reason=WHY, by=ada)


def test_intake_of_the_surviving_record_begins_with_the_newest_answers_of_both(
    teodor: Patient, twin: Patient, ada: User, fill: Any
) -> None:
    fill(twin, by=ada, allergies=["fish"])
    merge_patients(merged=twin, into=teodor, reason=WHY, by=ada)
    newest = newest_submitted_intake(teodor)

    draft = start_intake(patient=teodor, by=ada)

    assert newest is not None
    assert (draft.number, draft.facts["allergies"]) == (1, ["fish"])
    assert latest_submitted_intake(teodor) is None  # a plan rests on answers of this record only


def test_may_be_mailed_only_in_care_and_agreed(teodor: Patient, ada: User) -> None:
    assert may_be_mailed(teodor)
    for change in ({"status": "deceased"}, {"status": "moved_away"}, {"contact_allowed": False}):
        before = {name: getattr(teodor, name) for name in change}
        update_patient(patient=teodor, changes=change, by=ada)
        assert not may_be_mailed(teodor)
        assert not mailable(Patient.objects.all()).exists()
        update_patient(patient=teodor, changes=before, by=ada)
    assert list(mailable(Patient.objects.all())) == [teodor]


def test_merge_pages_lead_to_the_record_that_remains(
    sign_in: Any, teodor: Patient, twin: Patient, cleo: User, dan: User
) -> None:
    client = sign_in(cleo)
    choose = client.get(reverse("patients:merge", args=[twin.public_id]))
    assert "Compare with P-00001" in choose.content.decode()
    url = reverse("patients:merge_into", args=[twin.public_id, teodor.public_id])
    assert client.post(url, {"reason": ""}).status_code == 422
    assert client.post(url, {"reason": WHY}).url == f"/patients/{teodor.public_id}/"
    twin.refresh_from_db()
    undo = reverse("patients:merge_undo", args=[twin.merges.get().public_id])
    for page in (reverse("patients:merge", args=[twin.public_id]), url):
        assert sign_in(dan).get(page).status_code == 404
    assert sign_in(dan).post(undo).status_code == 404
    assert client.post(undo).url == f"/patients/{twin.public_id}/"


@pytest.mark.parametrize("typed", ["brandvold teodor", "TEODOR", "brand", "P-00001", "8.6.1987", "teodor@example.org"])
def test_find_lists_the_likeliest_first(teodor: Patient, ada: User, typed: str) -> None:
    factories.patient(
        by=ada,
        given_name="Anna",
        family_name="Teodorsen-Brandvold",
        email="anna@example.org",
        birth_date=date(1950, 1, 2),
    )
    found = find_patients(ada, typed)
    assert (found.patients[0], found.is_near) == (teodor, False)


@pytest.mark.parametrize("typed", ["brandvolt", "teodro brandvold", "theodor brandwold"])
def test_find_offers_near_spellings(teodor: Patient, ada: User, dan: User, typed: str) -> None:
    found = find_patients(ada, typed)
    assert (found.patients, found.is_near) == ((teodor,), True)
    assert find_patients(dan, typed).patients == ()


def test_duplicates_include_near_spellings(teodor: Patient, ada: User) -> None:
    found = possible_duplicates(ada, given_name="Brandvolt", family_name="Teodor")
    assert [duplicate.reasons for duplicate in found] == [("nearly the same name",)]


def test_find_page_costs_the_same_at_three_and_forty(
    sign_in: Any, teodor: Patient, ada: User, django_assert_num_queries: Any
) -> None:
    client = sign_in(ada)
    url = reverse("patients:find")
    client.post(url, {"q": "brand"})
    for more in range(40):
        factories.patient(by=ada, given_name=f"Nn{more}", email="")
    # PostgreSQL locks the trail, and looks first whether too many are found to rank them all.
    with django_assert_num_queries(19 if connection.vendor == "sqlite" else 21):
        page = client.post(url, {"q": "brandvold"}).content.decode()
    assert page.count('role="option"') == 8
