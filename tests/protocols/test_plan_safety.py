"""What a signature may rest on: nothing older, nobody else's, nothing unread."""

from __future__ import annotations

from datetime import date, timedelta
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from mesoclinic.accounts.models import Clinic, User
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from patients.actions.intake import save_intake, start_intake, submit_intake
from patients.actions.record import merge_patients, undo_merge, update_patient
from patients.intake.answers import InvalidAnswers
from patients.models import Patient
from patients.queries import standing_merges
from patients.statements.statements import open_statements, settle_statement
from protocols.actions.answers import acknowledge, answer_open_question, answer_open_questions
from protocols.actions.drafts import amend_plan, create_plan, edit_plan
from protocols.actions.refusals import NotReadyToSign, StaleRevision
from protocols.actions.signing import sign_plan
from protocols.actions.status import discard_plan
from protocols.models import FormularyVersion, Plan
from protocols.models.enums import PlanStatus
from protocols.plans.computing import verified
from protocols.plans.queries import obstacles_to_signing, unacknowledged_rules
from tests import factories
from tests.factories_protocols import CONCERNS, FACTS, ZONES, draft_plan, published_formulary, settled, submitted_intake

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
    """The clock at this hour of the clinic’s day, that many dates back, whatever clock change lies between."""
    then = timezone.localtime(timezone=ZoneInfo("Europe/Paris")) - timedelta(days=days)
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
    today = factories.today()
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


@pytest.mark.parametrize("newer", ["other", "kept"])
def test_after_a_merge_the_plan_waits_for_an_intake_of_the_whole_person(
    ada: User, dora: User, formulary: FormularyVersion, newer: str
) -> None:
    """Also where the record that remains has the newer answers: the older ones may name what these do not."""
    patient = merged(ada, dora, newer=newer)
    with pytest.raises(InvalidTransition, match=MERGED):
        create_plan(patient=patient, by=ada)
    submitted_intake(patient=patient, by=ada)
    assert create_plan(patient=patient, by=ada).status == PlanStatus.DRAFT


def test_after_a_merge_of_a_record_without_answers_the_plan_goes_on(
    ada: User, dora: User, formulary: FormularyVersion
) -> None:
    kept, other = (factories.patient(by=ada, given_name=name) for name in ("Jo", "Joe"))
    submitted_intake(patient=kept, by=ada)
    merge_patients(merged=other, into=kept, reason="One person", by=dora)
    assert create_plan(patient=kept, by=ada).status == PlanStatus.DRAFT


def test_an_undone_merge_is_in_nobodys_way(ada: User, dora: User, formulary: FormularyVersion) -> None:
    patient = merged(ada, dora, newer="kept")
    undo_merge(merge=standing_merges(patient).get(), by=dora)
    patient.refresh_from_db()
    assert create_plan(patient=patient, by=ada).status == PlanStatus.DRAFT


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
    patient = factories.patient(by=ada, birth_date=factories.today() - timedelta(days=40 * 365 + 150))
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
    with pytest.raises(InvalidTransition, match=r"^Plan 1 is in force; amend it instead of beginning another\.$"):
        create_plan(patient=ready.patient, by=ada)


def test_a_draft_from_before_another_plan_was_signed_is_not_signed(ready: Plan, ada: User) -> None:
    Plan.objects.filter(pk=ready.pk).update(status=PlanStatus.DISCARDED)
    second = settled(create_plan(patient=ready.patient, by=ada), by=ada)
    sign(second, ada)
    Plan.objects.filter(pk=ready.pk).update(status=PlanStatus.DRAFT)
    assert refused_for(ready, ada) == ["Plan 2 is in force; amend it instead of beginning another."]


def test_a_plan_in_force_under_a_merged_record_counts(ready: Plan, ada: User, dora: User) -> None:
    sign(ready, ada)
    kept = factories.patient(by=ada, given_name="Joe")
    submitted_intake(patient=kept, by=ada)
    merge_patients(merged=ready.patient, into=kept, reason="One person", by=dora, confirmed=True)
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
    edit = {"op": "remove", "ingredient": "pdrn", "reason": "patient_wish"}
    plan = edit_plan(plan=ready, revision=ready.revision, edits=[edit], by=ada)
    assert verified(plan) == []
    Plan.objects.filter(pk=plan.pk).update(result=plan.proposal)
    plan.refresh_from_db()
    assert verified(plan)[0].detail == "the result does not hold the edits that were made"
    plan = settled(plan, by=ada)
    with pytest.raises(NotReadyToSign, match="does not agree with the first about Polydeoxyribonucleotide"):
        sign(plan, ada)


# ------------------------------------------------------------------ typed and not understood is not “no”


def typed_plan(by: User) -> Plan:
    patient = factories.patient(by=by)
    intake = start_intake(patient=patient, by=by)
    intake = save_intake(
        intake=intake,
        revision=intake.revision,
        facts=FACTS,
        concerns=CONCERNS,
        zones=ZONES,
        note="",
        medicines="Blutverdunner vom Hausarzt",
        other_allergies="salmon, collapsed in 2019",
        by=by,
    )
    submit_intake(intake=intake, by=by)
    return create_plan(patient=patient, by=by)


def test_what_nobody_understood_is_settled_before_signing(ada: User, formulary: FormularyVersion, sign_in) -> None:
    plan = typed_plan(ada)
    thinner, salmon = open_statements(plan.patient)
    assert "2 things that were said in words are not settled: say what they mean." in refused_for(plan, ada)
    page = sign_in(ada).get(f"/plans/{plan.public_id}/").content.decode()
    assert "“Blutverdunner vom Hausarzt”" in page and "“salmon, collapsed in 2019”" in page
    for statement in (thinner, salmon):
        assert f"/statements/{statement.public_id}/" in page
        settle_statement(statement=statement, outcome="none_of_these", reason="harmless", by=ada)
    assert sign(settled(plan, by=ada), ada).status == PlanStatus.SIGNED


def test_settling_changes_the_case_and_the_draft_says_so(ada: User, formulary: FormularyVersion) -> None:
    plan = typed_plan(ada)
    thinner, salmon = open_statements(plan.patient)
    assert plan.result["status"] == "proposed"
    settle_statement(statement=salmon, outcome="none_of_these", reason="somebody_else", by=ada)
    doac = [{"fact": "medications", "value": "doac"}]
    settle_statement(statement=thinner, outcome="fact", facts=doac, by=ada)
    assert "What was said in words is settled otherwise than in this draft; make a new one." in refused_for(plan, ada)

    discard_plan(plan=plan, by=ada)
    again = create_plan(patient=plan.patient, by=ada)
    assert again.case["facts"]["medications"] == ["doac"]
    assert (again.result["status"], [row["rule"] for row in again.result["blocks"]]) == (
        "blocked",
        ["anticoagulant"],
    )


@pytest.mark.parametrize(
    ("sex", "facts", "place"),
    [
        ("male", {"anaphylaxis_history": "known_cause_in_formulary"}, "allergy_ingredients"),
        ("female", {"pregnancy_status": "not_applicable", "could_become_pregnant": True}, "pregnancy_status"),
    ],
)
def test_answers_that_contradict_each_other_are_not_submitted(ada: User, sex: str, facts: dict, place: str) -> None:
    patient = factories.patient(by=ada, sex_at_birth=sex)
    with pytest.raises(InvalidAnswers) as refusal:
        submitted_intake(patient=patient, by=ada, facts=facts)
    assert list(refusal.value.errors) == [place]


# ------------------------------------------------------------------ a value that is known stays known


DRINKS = {"alcohol_heavy": True}  # why platelets are asked


def platelets(plan: Plan, value: str | None, by: User, kind: str = "answered") -> None:
    answer_open_question(
        plan=plan, revision=plan.revision, fact="lab_platelets", kind=kind, value=value, reason="x", by=by
    )


def test_a_slip_is_corrected_in_the_draft(ada: User, formulary: FormularyVersion, sign_in) -> None:
    plan = draft_plan(by=ada, facts=DRINKS)
    platelets(plan, "30", ada)
    assert plan.result["status"] == "blocked"
    platelets(plan, "300", ada)
    assert plan.result["status"] == "proposed"
    assert [row.value for row in plan.open_answers.order_by("at", "pk")] == ["30", "300"]
    assert "a new value corrects it" in sign_in(ada).get(f"/plans/{plan.public_id}/").content.decode()


def test_a_value_is_not_given_up_for_not_measured(ada: User, formulary: FormularyVersion) -> None:
    plan = draft_plan(by=ada, facts=DRINKS)
    platelets(plan, "30", ada)
    with pytest.raises(InvalidInput, match="There is a value already"):
        platelets(plan, None, ada, kind="not_measured")


def test_the_next_draft_on_the_same_intake_keeps_the_value(ada: User, eve: User, formulary: FormularyVersion) -> None:
    plan = draft_plan(by=eve, facts=DRINKS)
    platelets(plan, "30", eve)
    given = plan.open_answers.get()
    discard_plan(plan=plan, by=eve)
    again = create_plan(patient=plan.patient, by=ada)
    carried = again.open_answers.get()
    assert again.result["status"] == "blocked"
    assert (carried.fact, carried.value, carried.by, carried.at) == ("lab_platelets", "30", eve, given.at)
    with pytest.raises(InvalidInput, match="There is a value already"):
        platelets(again, None, ada, kind="not_measured")
    submitted_intake(patient=plan.patient, by=ada)
    discard_plan(plan=again, by=ada)
    assert not create_plan(patient=plan.patient, by=ada).open_answers.exists()


# ------------------------------------------------------------------ acknowledged is what was shown, by who signs


@pytest.fixture
def eve(ada: User) -> User:
    return factories.user(given_name="Eve", family_name="Zorn", roles=["practitioner"], sites=list(ada.sites.all()))


@pytest.fixture
def cautioned(ada: User, formulary: FormularyVersion) -> Plan:
    return draft_plan(by=ada, facts={"conditions": ["endometriosis_or_fibroids"]})


def accept(plan: Plan, by: User, *, revision: int) -> None:
    said = {"reason_code": "measure_taken", "note": "Lowest dose"}
    acknowledge(plan=plan, revision=revision, rule="endometriosis_fibroids", by=by, **said)


def test_an_older_page_acknowledges_and_answers_nothing(cautioned: Plan, ada: User, sign_in) -> None:
    shown = cautioned.revision
    volume = {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "0.5"}
    plan = edit_plan(plan=cautioned, revision=shown, edits=[volume], by=ada)
    with pytest.raises(StaleRevision):
        accept(plan, ada, revision=shown)
    with pytest.raises(StaleRevision):
        answer_open_questions(plan=plan, revision=shown, answers=[], by=ada)
    client, address = sign_in(ada), f"/plans/{plan.public_id}"
    for action, typed in (
        ("acknowledge", {"rule": "endometriosis_fibroids", "reason_code": "explained"}),
        ("answer", {"settle": "not_measured", "reason": "Asked"}),
    ):
        refused = client.post(f"{address}/{action}/", typed | {"revision": shown})
        assert refused.status_code == 409 and "in another window" in refused.content.decode()
    plan.refresh_from_db()
    assert not plan.acknowledgements.exists() and not plan.open_answers.exists()


def test_another_volume_asks_for_another_acknowledgement(cautioned: Plan, ada: User) -> None:
    for volume, left in (("0.5", True), ("1.5", True)):
        edit = {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": volume}
        cautioned = edit_plan(plan=cautioned, revision=cautioned.revision, edits=[edit], by=ada)
        assert ("endometriosis_fibroids" in unacknowledged_rules(cautioned)) is left
        accept(cautioned, ada, revision=cautioned.revision)
        assert "endometriosis_fibroids" not in unacknowledged_rules(cautioned)


def test_nobody_acknowledges_for_the_person_who_signs(cautioned: Plan, ada: User, eve: User) -> None:
    with pytest.raises(NotAllowed, match="Take it over first"):
        accept(cautioned, eve, revision=cautioned.revision)
    accept(cautioned, ada, revision=cautioned.revision)
    Plan.objects.filter(pk=cautioned.pk).update(responsible=eve)
    cautioned.refresh_from_db()
    assert "endometriosis_fibroids" in unacknowledged_rules(cautioned)


# ------------------------------------------------------------------ proposals over the API


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"formulary_overrides": {"activate": ["minoxidil"]}}, "formulary_overrides.activate"),
        ({"policy": {"allow_prescription": True}}, "policy.allow_prescription"),
        ({"policy": {"max_actives": 4}}, "policy.max_actives"),
        ({"policy": {"avoid": []}}, "policy.avoid"),
        ({"policy": {"max_actives": 2}}, None),
        ({"policy": {"allow_prescription": False}}, None),
    ],
)
def test_a_proposal_never_goes_beyond_the_clinic(
    ada: User, formulary: FormularyVersion, sign_in, asked: dict, place: str | None
) -> None:
    Clinic.objects.update(policy={"allow_prescription": False, "max_actives": 3, "avoid": ["pdrn"]})
    case = {"facts": {**FACTS, "age_years": 39, "sex_at_birth": "male"}, "concerns": CONCERNS, "zones": ZONES, **asked}
    client = sign_in(ada)
    for address, body, prefix in (
        ("/api/v1/proposals/", case, ""),
        ("/api/v1/proposals/compare/", {"old": case, "new": case}, "old."),
    ):
        answer = client.post(address, body, content_type="application/json")
        assert answer.status_code == (400 if place else 200)
        if place:
            assert f"{prefix}{place}" in answer.json()
