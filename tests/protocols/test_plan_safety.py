"""What a signature may rest on: nothing older, nobody else's, nothing unread."""

from __future__ import annotations

from datetime import date, timedelta
from unittest.mock import patch

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.errors import InvalidTransition
from patients.actions import merge_patients, update_patient
from patients.models import Patient
from protocols.actions import NotReadyToSign, amend_plan, create_plan, edit_plan, sign_plan
from protocols.computing import verified
from protocols.enums import PlanStatus
from protocols.models import FormularyVersion, Plan
from protocols.queries import obstacles_to_signing
from tests import factories
from tests.factories_protocols import draft_plan, published_formulary, settled, submitted_intake

pytestmark = pytest.mark.django_db

NEWER = "There is a newer intake of"
MERGED = "These records were merged; fill in an intake for the whole person first."
CHANGED = "The patient's record or age has changed since this draft; make a new one."
TOO_OLD = "The intake is more than 70 days old"
DAY_FACTS = "Fever, pregnancy, the state of the scalp and blood tests were asked more than 30 days ago."


@pytest.fixture
def formulary(db: None) -> FormularyVersion:
    return published_formulary()


@pytest.fixture
def ready(ada: User, formulary: FormularyVersion) -> Plan:
    return settled(draft_plan(by=ada), by=ada)


def days_ago(days: int) -> patch:
    then = timezone.now() - timedelta(days=days)
    return patch("django.utils.timezone.now", lambda: then)


def sign(plan: Plan, by: User) -> Plan:
    return sign_plan(plan=plan, revision=plan.revision, password=factories.PASSWORD, by=by)


def refused_for(plan: Plan, by: User) -> list[str]:
    """Why it is not signed: the same sentences that the page shows."""
    with pytest.raises(NotReadyToSign) as refusal:
        sign(plan, by)
    plan.refresh_from_db()
    assert refusal.value.obstacles == obstacles_to_signing(plan)
    assert plan.status == PlanStatus.DRAFT
    return refusal.value.obstacles


# ------------------------------------------------------------------ the case still stands


def test_a_draft_under_an_older_intake_is_not_signed(ready: Plan, ada: User) -> None:
    submitted_intake(patient=ready.patient, by=ada, facts={"medications": ["vitamin_k_antagonist"]})
    [sentence] = refused_for(ready, ada)
    assert sentence.startswith(NEWER) and sentence.endswith("Discard this draft and make a new plan.")


@pytest.mark.parametrize("changes", [{"sex_at_birth": "female"}, {"birth_date": date(2012, 1, 1)}])
def test_a_draft_is_not_signed_after_the_record_was_corrected(ready: Plan, ada: User, changes: dict) -> None:
    update_patient(patient=ready.patient, changes=changes, by=ada)
    assert refused_for(ready, ada) == [CHANGED]


def test_a_birthday_between_draft_and_signature_asks_for_a_new_draft(ada: User, formulary: FormularyVersion) -> None:
    today = timezone.localdate()
    patient = factories.patient(by=ada, birth_date=today.replace(year=today.year - 40, day=1))
    with days_ago(today.day):
        plan = settled(draft_plan(by=ada, patient=patient), by=ada)
    assert plan.case["facts"]["age_years"] == 39
    assert CHANGED in refused_for(plan, ada)


def test_the_drafts_own_answers_are_no_change_of_the_record(ready: Plan, ada: User) -> None:
    assert ready.open_answers.exists()
    assert sign(ready, ada).status == PlanStatus.SIGNED


def merged(ada: User, dora: User, *, newer: str) -> Patient:
    kept, other = (factories.patient(by=ada, given_name=name) for name in ("Jo", "Joe"))
    submitted_intake(patient=other if newer == "kept" else kept, by=ada)
    submitted_intake(patient=kept if newer == "kept" else other, by=ada, facts={"allergies": ["fish"]})
    merge_patients(merged=other, into=kept, reason="One person", by=dora)
    return kept


def test_after_a_merge_the_plan_waits_for_an_intake_of_the_whole_person(
    ada: User, dora: User, formulary: FormularyVersion
) -> None:
    patient = merged(ada, dora, newer="other")
    with pytest.raises(InvalidTransition, match=MERGED):
        create_plan(patient=patient, by=ada)
    submitted_intake(patient=patient, by=ada)
    assert create_plan(patient=patient, by=ada).status == PlanStatus.DRAFT


def test_after_a_merge_a_newer_intake_of_the_surviving_record_will_do(
    ada: User, dora: User, formulary: FormularyVersion
) -> None:
    assert create_plan(patient=merged(ada, dora, newer="kept"), by=ada).case["facts"]["allergies"] == ["fish"]


def test_a_draft_made_before_a_merge_is_not_signed(ready: Plan, ada: User, dora: User) -> None:
    other = factories.patient(by=ada, given_name="Joe")
    submitted_intake(patient=other, by=ada, facts={"conditions": ["bleeding_disorder"]})
    merge_patients(merged=other, into=ready.patient, reason="One person", by=dora)
    assert refused_for(ready, ada) == [MERGED]


@pytest.mark.parametrize(("days", "made"), [(70, True), (71, False)])
def test_an_old_intake_makes_no_plan(ada: User, formulary: FormularyVersion, days: int, made: bool) -> None:
    patient = factories.patient(by=ada)
    with days_ago(days):
        submitted_intake(patient=patient, by=ada)
    if made:
        assert create_plan(patient=patient, by=ada).is_draft
    else:
        with pytest.raises(InvalidTransition, match=f"{TOO_OLD}; fill in a new one first. Source: Clinic default"):
            create_plan(patient=patient, by=ada)


@pytest.mark.parametrize(("days", "obstacles"), [(30, 0), (31, 1), (71, 2)])
def test_an_old_draft_is_not_signed(ada: User, formulary: FormularyVersion, days: int, obstacles: int) -> None:
    patient = factories.patient(by=ada, birth_date=timezone.localdate() - timedelta(days=40 * 365 + 150))
    with days_ago(days):
        plan = settled(draft_plan(by=ada, patient=patient, facts={"days_since_filler_head": 400}), by=ada)
    if not obstacles:
        assert sign(plan, ada).is_signed
        return
    found = refused_for(plan, ada)
    assert len(found) == obstacles
    assert found[-1].startswith(DAY_FACTS)
    assert found[0].startswith(TOO_OLD) is (obstacles == 2)


def test_days_since_go_by_until_the_plan(ada: User, formulary: FormularyVersion) -> None:
    patient = factories.patient(by=ada)
    with days_ago(20):
        submitted_intake(patient=patient, by=ada, facts={"days_since_filler_head": 10, "scalp_findings": []})
    facts = create_plan(patient=patient, by=ada).case["facts"]
    assert (facts["days_since_filler_head"], facts["scalp_findings"]) == (30, [])


def test_the_page_says_what_no_longer_stands(ready: Plan, ada: User, sign_in) -> None:
    update_patient(patient=ready.patient, changes={"sex_at_birth": "female"}, by=ada)
    page = sign_in(ada).get(f"/plans/{ready.public_id}/").content.decode()
    assert page.count("record or age has changed since this draft; make a new one.") == 2  # above, and before signing


# ------------------------------------------------------------------ one plan in force


def test_beside_a_plan_in_force_there_is_no_other(ready: Plan, ada: User) -> None:
    sign(ready, ada)
    with pytest.raises(InvalidTransition, match="^Plan 1 is in force; amend or stop it first.$"):
        create_plan(patient=ready.patient, by=ada)


def test_a_draft_from_before_another_plan_was_signed_is_not_signed(ready: Plan, ada: User) -> None:
    Plan.objects.filter(pk=ready.pk).update(status=PlanStatus.DISCARDED)
    second = settled(create_plan(patient=ready.patient, by=ada), by=ada)
    sign(second, ada)
    Plan.objects.filter(pk=ready.pk).update(status=PlanStatus.DRAFT)
    assert refused_for(ready, ada) == ["Plan 2 is in force; amend or stop it first."]


def test_a_plan_in_force_under_a_merged_record_counts(ready: Plan, ada: User, dora: User) -> None:
    sign(ready, ada)
    kept = factories.patient(by=ada, given_name="Joe")
    submitted_intake(patient=kept, by=ada)
    merge_patients(merged=ready.patient, into=kept, reason="One person", by=dora)
    with pytest.raises(InvalidTransition, match="is in force"):
        create_plan(patient=kept, by=ada)


def test_an_amendment_takes_the_place_of_the_plan_in_force(ready: Plan, ada: User) -> None:
    signed = sign(ready, ada)
    amended = sign(settled(amend_plan(plan=signed, by=ada), by=ada), ada)
    signed.refresh_from_db()
    assert (signed.status, amended.status) == (PlanStatus.SUPERSEDED, PlanStatus.SIGNED)


def test_the_database_keeps_one_plan_in_force(ready: Plan, ada: User) -> None:
    signed = sign(ready, ada)
    amended = amend_plan(plan=signed, by=ada)
    copied = {"signed_at": signed.signed_at, "signed_by": ada, "signature_sha256": "f" * 64}
    with pytest.raises(IntegrityError), transaction.atomic():
        Plan.objects.filter(pk=amended.pk).update(status=PlanStatus.SIGNED, **copied)


# ------------------------------------------------------------------ what is signed is what was edited


def test_a_result_without_its_edits_is_not_signed(ready: Plan, ada: User) -> None:
    plan = edit_plan(
        plan=ready, revision=ready.revision, edits=[{"op": "remove", "ingredient": "pdrn", "reason": "other"}], by=ada
    )
    assert verified(plan) == []
    Plan.objects.filter(pk=plan.pk).update(result=plan.proposal)
    plan.refresh_from_db()
    assert verified(plan)[0] == "the result does not hold the edits that were made"
    plan = settled(plan, by=ada)
    with pytest.raises(NotReadyToSign, match="does not hold the edits"):
        sign(plan, ada)
