"""Plans: drafted from an intake, edited inside the limits, settled, signed, amended."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from mesoclinic.accounts.models import Clinic, User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.login.reauthentication import FAILURES_AT_MOST, TooManyAttempts
from patients.models import PatientStatus
from protocols.actions.answers import acknowledge, answer_open_question, answer_open_questions
from protocols.actions.drafts import amend_plan, create_plan, edit_plan, undo_edit
from protocols.actions.refusals import NotReadyToSign, RefusedEdits, StaleRevision
from protocols.actions.signing import sign_plan
from protocols.actions.status import change_plan_status, discard_plan, take_over_plan
from protocols.models import FormularyVersion, Plan
from protocols.models.enums import PlanStatus
from protocols.permissions import can_stop_plan, check_can_stop_plan
from protocols.plans.queries import (
    live_acknowledgements,
    obstacles_to_signing,
    plans_visible_to,
    unacknowledged_rules,
    unsettled_facts,
)
from protocols.plans.signature import signature_holds
from tests import factories
from tests.factories_protocols import draft_plan, published_formulary, settled, signed_plan, submitted_intake


def line(plan: Plan, key: str) -> dict[str, Any]:
    return next(row for syringe in plan.result["syringes"] for row in syringe["lines"] if row["ingredient"] == key)


def keys(plan: Plan) -> list[str]:
    return [row["ingredient"] for syringe in plan.result["syringes"] for row in syringe["lines"]]


def volume(key: str, ml: str) -> dict[str, str]:
    return {"op": "set_volume", "ingredient": key, "volume_ml": ml}


# ------------------------------------------------------------------ drafting


def test_a_draft_keeps_everything_it_was_computed_from(ada: User, formulary: FormularyVersion) -> None:
    plan = draft_plan(by=ada)

    assert (plan.status, plan.number, plan.version, plan.revision) == (PlanStatus.DRAFT, 1, 1, 0)
    assert plan.formulary == formulary
    assert plan.case["facts"]["norwood_stage"] == "IV"
    assert plan.policy == {"currency": "EUR"}
    assert plan.result == plan.proposal
    assert plan.result["status"] == "proposed"
    assert {"biochanin_a", "acetyl_tetrapeptide_3"} <= set(keys(plan))
    assert (plan.created_by, plan.responsible) == (ada, ada)
    event = AuditEvent.objects.get(action="plan.drafted")
    assert (event.target_id, event.patient_id) == (plan.public_id, plan.patient.public_id)


def test_without_a_currency_the_price_has_none(ada: User, formulary: FormularyVersion) -> None:
    Clinic.objects.update(currency="")
    assert draft_plan(by=ada).result["cost"]["currency"] is None


def test_without_a_submitted_intake_there_is_no_plan(ada: User, formulary: FormularyVersion) -> None:
    with pytest.raises(InvalidTransition, match="no submitted intake"):
        create_plan(patient=factories.patient(by=ada), by=ada)
    assert not Plan.objects.exists()


def test_without_a_formulary_in_force_there_is_no_plan(ada: User) -> None:
    patient = factories.patient(by=ada)
    submitted_intake(patient=patient, by=ada)
    with pytest.raises(DomainError, match="No formulary is in force"):
        create_plan(patient=patient, by=ada)


def test_a_second_draft_is_refused(draft: Plan, ada: User) -> None:
    with pytest.raises(InvalidTransition, match="open already"):
        create_plan(patient=draft.patient, by=ada)


def test_a_person_who_left_the_clinics_care_gets_no_plan(draft: Plan, ada: User) -> None:
    discard_plan(plan=draft, by=ada)
    draft.patient.status = PatientStatus.DECEASED
    draft.patient.save()
    with pytest.raises(InvalidTransition, match="no longer"):
        create_plan(patient=draft.patient, by=ada)


@pytest.mark.parametrize("who", ["ben", "cleo", "dora", "dan"])
def test_only_a_practitioner_of_the_site_writes_plans(request: pytest.FixtureRequest, draft: Plan, who: str) -> None:
    person = request.getfixturevalue(who)
    attempts = (
        lambda: create_plan(patient=draft.patient, by=person),
        lambda: edit_plan(plan=draft, revision=0, edits=[volume("biochanin_a", "1.2")], by=person),
        lambda: acknowledge(
            plan=draft, revision=draft.revision, rule="antiplatelet_single", reason_code="explained", note="", by=person
        ),
        lambda: answer_open_question(
            plan=draft, revision=draft.revision, fact="lab_inr", kind="not_measured", value=None, reason="x", by=person
        ),
        lambda: sign_plan(plan=draft, revision=0, password=factories.PASSWORD, by=person),
        lambda: discard_plan(plan=draft, by=person),
        lambda: take_over_plan(plan=draft, by=person),
        lambda: amend_plan(plan=draft, by=person),
    )
    for attempt in attempts:
        with pytest.raises(NotAllowed):
            attempt()
    draft.refresh_from_db()
    assert (draft.status, draft.revision, draft.acknowledgements.count()) == (PlanStatus.DRAFT, 0, 0)


def test_another_site_does_not_know_of_the_plan(draft: Plan, ada: User, ben: User, dan: User) -> None:
    assert list(plans_visible_to(ada)) == list(plans_visible_to(ben)) == [draft]
    assert list(plans_visible_to(dan)) == []


def test_never_in_the_intake_is_an_answer_for_the_plan(ada: User, formulary: FormularyVersion) -> None:
    plan = draft_plan(by=ada, facts={"days_since_hair_transplant": {"never": True}})
    waived = {row["fact"]: row["waived"] for row in plan.result["open_questions"]}
    day = timezone.localdate(plan.intake.submitted_at, timezone=plan.patient.site.tz).isoformat()
    assert waived["days_since_hair_transplant"] == {
        "as": "not_applicable",
        "reason": f"Answered “never” in intake 1, submitted by Dr Ada Moreau on {day}.",
    }
    assert "days_since_hair_transplant" not in unsettled_facts(plan)
    assert "days_since_filler_head" in unsettled_facts(plan)


def test_missing_answers_make_an_incomplete_plan(ada: User, formulary: FormularyVersion) -> None:
    plan = draft_plan(by=ada, facts={"allergies": None, "can_consent": None})
    assert plan.result["status"] == "incomplete"
    assert [row["fact"] for row in plan.result["missing"]] == ["allergies", "can_consent"]
    with pytest.raises(NotReadyToSign, match="missing"):
        sign_plan(plan=plan, revision=0, password=factories.PASSWORD, by=ada)


def test_an_absolute_rule_blocks_and_says_what_lifts_it(ada: User, formulary: FormularyVersion) -> None:
    plan = draft_plan(by=ada, facts={"fever_or_acute_illness": True, "conditions": ["active_cancer"]})
    assert plan.result["status"] == "blocked"
    assert {row["rule"] for row in plan.result["blocks"]} >= {"active_cancer"}
    assert len(plan.result["blocks"]) == 2
    with pytest.raises(NotReadyToSign, match="forbids"):
        sign_plan(plan=settled(plan, by=ada), revision=plan.revision, password=factories.PASSWORD, by=ada)


# ------------------------------------------------------------------ editing


def test_an_edit_is_computed_anew_and_kept(draft: Plan, ada: User) -> None:
    edit_plan(plan=draft, revision=0, edits=[volume("biochanin_a", "1.25")], by=ada)

    assert draft.revision == 1
    assert draft.edits == [volume("biochanin_a", "1.25")]
    assert (line(draft, "biochanin_a")["volume_ml"], line(draft, "biochanin_a")["dose"]) == ("1.25", "0.25")
    assert line(draft, "biochanin_a")["set_by_hand"] is True
    assert draft.proposal != draft.result
    assert line(draft, "sodium_chloride_09")["volume_ml"] == "3.75"
    assert AuditEvent.objects.get(action="plan.edited").details["edits"] == ["set_volume biochanin_a"]


BEYOND = [
    ("1.55", "volume_above_max", "1.5"),
    ("0.45", "volume_below_min", "0.5"),
    ("99", "volume_above_max", "1.5"),
    ("1.02", "not_drawable", None),
    ("-1", "volume_below_min", "0.5"),
    ("two", "not_a_volume", None),
    ("", "not_a_volume", None),
]


@pytest.mark.parametrize(("ml", "code", "limit"), BEYOND, ids=[row[0] or "empty" for row in BEYOND])
def test_an_edit_beyond_a_limit_is_refused_with_the_limit_and_its_source(
    draft: Plan, ada: User, ml: str, code: str, limit: str | None
) -> None:
    with pytest.raises(RefusedEdits) as refused:
        edit_plan(plan=draft, revision=0, edits=[volume("biochanin_a", ml)], by=ada)

    (refusal,) = refused.value.refusals
    assert refusal["code"] == code
    assert refusal["params"].get("limit_ml") == limit
    assert refusal["params"]["sources"]
    draft.refresh_from_db()
    assert (draft.revision, draft.edits, line(draft, "biochanin_a")["volume_ml"]) == (0, [], "1")


@pytest.mark.parametrize("ml", ["0.5", "1.5"])
def test_the_limits_themselves_are_allowed(draft: Plan, ada: User, ml: str) -> None:
    edit_plan(plan=draft, revision=0, edits=[volume("biochanin_a", ml)], by=ada)
    assert Decimal(line(draft, "biochanin_a")["volume_ml"]) == Decimal(ml)


def test_of_several_edits_none_is_kept_when_one_is_refused(draft: Plan, ada: User) -> None:
    with pytest.raises(RefusedEdits):
        edit_plan(plan=draft, revision=0, edits=[volume("biochanin_a", "1.25"), volume("pdrn", "50")], by=ada)
    draft.refresh_from_db()
    assert draft.edits == []


def test_what_screening_leaves_out_cannot_be_added_by_hand(draft: Plan, ada: User) -> None:
    with pytest.raises(RefusedEdits, match="screened out"):
        edit_plan(plan=draft, revision=0, edits=[{"op": "add", "ingredient": "coumarin"}], by=ada)


def test_what_the_director_switched_off_cannot_be_added(draft: Plan, ada: User) -> None:
    with pytest.raises(RefusedEdits, match="not switched on"):
        edit_plan(plan=draft, revision=0, edits=[{"op": "add", "ingredient": "minoxidil"}], by=ada)


def test_remove_add_and_swap_change_who_is_in(draft: Plan, ada: User) -> None:
    edit_plan(plan=draft, revision=0, edits=[{"op": "remove", "ingredient": "pdrn"}], by=ada)
    assert "pdrn" not in keys(draft)
    edit_plan(plan=draft, revision=1, edits=[{"op": "add", "ingredient": "pdrn"}], by=ada)
    assert "pdrn" in keys(draft) and draft.edits == []
    edit_plan(plan=draft, revision=2, edits=[{"op": "swap", "ingredient": "pdrn", "with": "hyaluronic_acid"}], by=ada)
    assert "hyaluronic_acid" in keys(draft) and "pdrn" not in keys(draft)


def test_a_volume_goes_with_its_ingredient(draft: Plan, ada: User) -> None:
    edit_plan(plan=draft, revision=0, edits=[volume("pdrn", "1.5")], by=ada)
    edit_plan(plan=draft, revision=1, edits=[{"op": "remove", "ingredient": "pdrn"}], by=ada)
    assert draft.edits == [{"op": "remove", "ingredient": "pdrn"}]


def test_the_last_edit_can_be_undone(draft: Plan, ada: User) -> None:
    edit_plan(plan=draft, revision=0, edits=[volume("biochanin_a", "1.25")], by=ada)
    undo_edit(plan=draft, revision=1, by=ada)
    assert (draft.edits, draft.revision) == ([], 2)
    assert draft.result == draft.proposal
    with pytest.raises(InvalidTransition, match="no edit"):
        undo_edit(plan=draft, revision=2, by=ada)


def test_an_edit_on_an_older_revision_overwrites_nothing(draft: Plan, ada: User) -> None:
    stale = Plan.objects.get(pk=draft.pk)
    edit_plan(plan=draft, revision=0, edits=[volume("biochanin_a", "1.25")], by=ada)
    with pytest.raises(StaleRevision):
        edit_plan(plan=stale, revision=0, edits=[volume("biochanin_a", "0.75")], by=ada)
    draft.refresh_from_db()
    assert draft.edits == [volume("biochanin_a", "1.25")]


def test_the_reason_of_an_edit_is_kept_and_the_engine_never_sees_it(draft: Plan, ada: User) -> None:
    edit_plan(plan=draft, revision=0, edits=[volume("biochanin_a", "1.25") | {"reason": "tolerance"}], by=ada)
    assert draft.edits == [volume("biochanin_a", "1.25") | {"reason": "tolerance"}]
    assert draft.result["edits"] == [volume("biochanin_a", "1.25")]


def test_fewer_sessions_inside_the_rule(draft: Plan, ada: User) -> None:
    edit_plan(plan=draft, revision=0, edits=[{"op": "set_sessions", "sessions": 3}], by=ada)
    assert draft.result["course"]["sessions"] == 3
    with pytest.raises(RefusedEdits, match="Between 3 and 4"):
        edit_plan(plan=draft, revision=1, edits=[{"op": "set_sessions", "sessions": 5}], by=ada)


# ------------------------------------------------------------------ cautions and open questions


def test_a_caution_is_acknowledged_with_a_reason_by_name(draft: Plan, ada: User) -> None:
    assert unacknowledged_rules(draft) == ["antiplatelet_single"]
    row = acknowledge(
        plan=draft, revision=draft.revision, rule="antiplatelet_single", reason_code="explained", note="", by=ada
    )
    assert (row.by, row.reason_code) == (ada, "explained")
    assert unacknowledged_rules(draft) == []


@pytest.mark.parametrize(
    ("rule", "reason", "note", "field"),
    [
        ("no_such_rule", "explained", "", "rule"),
        ("antiplatelet_single", "", "", "reason_code"),
        ("antiplatelet_single", "because", "", "reason_code"),
        ("antiplatelet_single", "other", "  ", "note"),
        ("antiplatelet_single", "explained", "x" * 501, "note"),
    ],
)
def test_an_acknowledgement_without_a_proper_reason_is_refused(
    draft: Plan, ada: User, rule: str, reason: str, note: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        acknowledge(plan=draft, revision=draft.revision, rule=rule, reason_code=reason, note=note, by=ada)
    assert refused.value.field == field
    assert draft.acknowledgements.count() == 0


def test_a_second_acknowledgement_supersedes_and_erases_nothing(draft: Plan, ada: User) -> None:
    first = acknowledge(
        plan=draft, revision=draft.revision, rule="antiplatelet_single", reason_code="explained", note="", by=ada
    )
    second = acknowledge(
        plan=draft, revision=draft.revision, rule="antiplatelet_single", reason_code="other", note="Rang the GP", by=ada
    )
    first.refresh_from_db()
    assert first.superseded_at == second.at
    assert live_acknowledgements(draft) == {"antiplatelet_single": second}


def test_a_value_is_computed_anew_and_can_open_a_caution(draft: Plan, ada: User) -> None:
    answer_open_question(
        plan=draft, revision=draft.revision, fact="bp_systolic", kind="answered", value="185", reason="", by=ada
    )
    assert draft.case["facts"]["bp_systolic"] == 185
    assert draft.result["status"] == "blocked"
    assert [row["rule"] for row in draft.result["blocks"]] == ["blood_pressure_very_high"]


def test_not_measured_needs_a_reason(draft: Plan, ada: User) -> None:
    with pytest.raises(InvalidInput) as refused:
        answer_open_question(
            plan=draft, revision=draft.revision, fact="lab_inr", kind="not_measured", value=None, reason=" ", by=ada
        )
    assert refused.value.field == "reason"
    answer_open_question(
        plan=draft, revision=draft.revision, fact="lab_inr", kind="not_measured", value=None, reason="No need", by=ada
    )
    assert "lab_inr" not in unsettled_facts(draft)
    assert draft.case["waived"]["lab_inr"] == {"as": "not_measured", "reason": "No need"}
    assert draft.open_answers.get().by == ada


@pytest.mark.parametrize("value", ["", "high", "5000", None])
def test_a_value_that_cannot_be_is_refused_beside_its_field(draft: Plan, ada: User, value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        answer_open_question(
            plan=draft, revision=draft.revision, fact="bp_systolic", kind="answered", value=value, reason="", by=ada
        )
    assert refused.value.field == "value"
    draft.refresh_from_db()
    assert draft.revision == 0


def test_a_question_that_is_not_open_is_refused(draft: Plan, ada: User) -> None:
    with pytest.raises(InvalidInput):
        answer_open_question(
            plan=draft, revision=draft.revision, fact="allergies", kind="not_measured", value=None, reason="x", by=ada
        )


def test_several_answers_are_computed_once(draft: Plan, ada: User) -> None:
    waiting = unsettled_facts(draft)
    answer_open_questions(
        plan=draft,
        revision=draft.revision,
        answers=[{"fact": f, "kind": "not_applicable", "reason": "Young, healthy"} for f in waiting],
        by=ada,
    )
    assert (draft.revision, unsettled_facts(draft)) == (1, [])
    assert AuditEvent.objects.filter(action="plan.questions_answered").count() == 1


def test_an_answer_is_never_refused_because_of_an_edit(ada: User, formulary: FormularyVersion) -> None:
    concerns = [
        {"concern": "androgenetic_alopecia", "severity": "moderate"},
        {"concern": "poor_scalp_circulation", "severity": "mild"},
    ]
    facts = {"medications": ["minoxidil_oral"], "alcohol_heavy": True}  # cause to ask for the blood pressure
    draft = draft_plan(by=ada, facts=facts, concerns=concerns)
    edit_plan(plan=draft, revision=0, edits=[volume("arginine", "0.75"), volume("biochanin_a", "1.25")], by=ada)
    answer_open_question(
        plan=draft, revision=draft.revision, fact="bp_systolic", kind="answered", value="95", reason="", by=ada
    )
    assert "arginine" not in keys(draft)
    assert draft.edits == [volume("biochanin_a", "1.25")]


def test_an_acknowledgement_falls_when_its_caution_changes(ada: User, formulary: FormularyVersion) -> None:
    plan = draft_plan(by=ada, facts={"medications": ["antiplatelet_single"]})
    acknowledge(plan=plan, revision=plan.revision, rule="antiplatelet_single", reason_code="explained", note="", by=ada)
    edit_plan(plan=plan, revision=0, edits=[volume("biochanin_a", "1.25")], by=ada)
    assert unacknowledged_rules(plan) == []  # the same caution as before

    before = dict(plan.result["cautions"][0])
    Plan.objects.filter(pk=plan.pk).update(result=plan.result | {"cautions": [before | {"ingredients": ["other"]}]})
    plan.refresh_from_db()
    edit_plan(plan=plan, revision=1, edits=[volume("biochanin_a", "1.3")], by=ada)
    assert unacknowledged_rules(plan) == ["antiplatelet_single"]


# ------------------------------------------------------------------ signing


def test_signing_names_who_when_and_the_hash(ready: Plan, ada: User) -> None:
    signed = sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=ada)

    assert (signed.status, signed.signed_by) == (PlanStatus.SIGNED, ada)
    assert signed.signed_at is not None
    assert len(signed.signature_sha256) == 64
    assert signature_holds(Plan.objects.get(pk=signed.pk))
    assert AuditEvent.objects.get(action="plan.signed").details["sha256"] == signed.signature_sha256


def test_everything_open_stands_against_signing(draft: Plan, ada: User) -> None:
    obstacles = obstacles_to_signing(draft)
    assert len(obstacles) == 2
    with pytest.raises(NotReadyToSign) as refused:
        sign_plan(plan=draft, revision=0, password=factories.PASSWORD, by=ada)
    assert refused.value.obstacles == obstacles
    draft.refresh_from_db()
    assert draft.status == PlanStatus.DRAFT


@pytest.mark.parametrize("password", ["", "wrong", factories.PASSWORD.upper()])
def test_a_wrong_password_signs_nothing_and_is_on_record(ready: Plan, ada: User, password: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        sign_plan(plan=ready, revision=ready.revision, password=password, by=ada)
    assert refused.value.field == "password"
    ready.refresh_from_db()
    assert ready.status == PlanStatus.DRAFT
    assert AuditEvent.objects.filter(action="plan.signature_refused", target_id=ready.public_id).count() == 1


def test_after_too_many_wrong_passwords_even_the_right_one_waits(ready: Plan, ada: User) -> None:
    for _attempt in range(FAILURES_AT_MOST):
        with pytest.raises(InvalidInput):
            sign_plan(plan=ready, revision=ready.revision, password="wrong", by=ada)
    with pytest.raises(TooManyAttempts):
        sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=ada)


def test_signing_an_older_revision_than_was_read_is_refused(ready: Plan, ada: User) -> None:
    read = ready.revision
    edit_plan(plan=ready, revision=read, edits=[volume("biochanin_a", "1.25")], by=ada)
    with pytest.raises(StaleRevision):
        sign_plan(plan=ready, revision=read, password=factories.PASSWORD, by=ada)


def test_a_colleague_signs_only_after_taking_over_and_acknowledging(ready: Plan, ada: User) -> None:
    grace = factories.user(given_name="Grace", roles=["practitioner"], sites=[ready.patient.site])
    with pytest.raises(NotAllowed, match="Take it over"):
        sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=grace)

    take_over_plan(plan=ready, by=grace)

    assert unacknowledged_rules(ready) == ["antiplatelet_single"]
    with pytest.raises(NotAllowed):
        sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=ada)
    plan = settled(ready, by=grace)
    assert sign_plan(plan=plan, revision=plan.revision, password=factories.PASSWORD, by=grace).signed_by == grace


def test_a_tampered_number_does_not_pass_the_second_calculation(ready: Plan, ada: User) -> None:
    result = dict(ready.result)
    result["syringes"][0]["lines"][0]["dose"] = "9"
    Plan.objects.filter(pk=ready.pk).update(result=result)
    with pytest.raises(NotReadyToSign, match="second calculation"):
        sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=ada)
    ready.refresh_from_db()
    assert ready.status == PlanStatus.DRAFT


def test_an_edited_plan_passes_the_second_calculation(ready: Plan, ada: User) -> None:
    edits: list[dict[str, Any]] = [
        volume("biochanin_a", "1.35") | {"reason": "experience"},
        {"op": "remove", "ingredient": "pdrn", "reason": "patient_wish"},
        {"op": "set_sessions", "sessions": 3, "reason": "other", "note": "Moves away in May"},
    ]
    edit_plan(plan=ready, revision=ready.revision, edits=edits, by=ada)
    plan = settled(ready, by=ada)
    assert sign_plan(plan=plan, revision=plan.revision, password=factories.PASSWORD, by=ada).status == PlanStatus.SIGNED


def test_a_draft_of_a_retired_formulary_cannot_be_signed(ready: Plan, ada: User, dora: User) -> None:
    published_formulary(by=dora, label="2026.2", new=True)
    ready = Plan.objects.get(pk=ready.pk)
    with pytest.raises(NotReadyToSign, match="not in force"):
        sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=ada)


def test_a_real_install_signs_nothing_before_its_director_has_confirmed(ada: User, dora: User) -> None:
    from protocols.actions.formulary import load_formulary_draft, publish_formulary

    version = load_formulary_draft(label="2026.1", is_sample=False, by=dora)
    with pytest.raises(DomainError, match="confirmed or switched off"):
        publish_formulary(version=version, by=dora)
    patient = factories.patient(by=ada)
    submitted_intake(patient=patient, by=ada)
    with pytest.raises(DomainError, match="No formulary is in force"):
        create_plan(patient=patient, by=ada)


def test_a_signed_plan_takes_no_change(signed: Plan, ada: User) -> None:
    for attempt in (
        lambda: edit_plan(plan=signed, revision=signed.revision, edits=[volume("biochanin_a", "1.25")], by=ada),
        lambda: acknowledge(
            plan=signed, revision=signed.revision, rule="antiplatelet_single", reason_code="explained", note="", by=ada
        ),
        lambda: answer_open_question(
            plan=signed, revision=signed.revision, fact="lab_inr", kind="not_measured", value=None, reason="x", by=ada
        ),
        lambda: discard_plan(plan=signed, by=ada),
        lambda: sign_plan(plan=signed, revision=signed.revision, password=factories.PASSWORD, by=ada),
    ):
        with pytest.raises(InvalidTransition):
            attempt()


# ------------------------------------------------------------------ after signing


def test_an_amendment_supersedes_the_old_plan_when_it_is_signed(signed: Plan, ada: User) -> None:
    amended = amend_plan(plan=signed, by=ada)
    signed.refresh_from_db()
    assert (amended.number, amended.version, amended.supersedes) == (1, 2, signed)
    assert (signed.status, amended.status) == (PlanStatus.SIGNED, PlanStatus.DRAFT)

    plan = settled(amended, by=ada)
    sign_plan(plan=plan, revision=plan.revision, password=factories.PASSWORD, by=ada)

    signed.refresh_from_db()
    assert signed.status == PlanStatus.SUPERSEDED
    assert signature_holds(signed)


def test_an_amendment_starts_from_the_edits_that_still_hold(ready: Plan, ada: User) -> None:
    edit_plan(
        plan=ready,
        revision=ready.revision,
        edits=[volume(key, "1.5") | {"reason": "experience"} for key in ("biochanin_a", "pdrn")],
        by=ada,
    )
    plan = settled(ready, by=ada)
    plan = sign_plan(plan=plan, revision=plan.revision, password=factories.PASSWORD, by=ada)
    submitted_intake(patient=plan.patient, by=ada, facts={"medications": ["antiplatelet_single"], "allergies": ["soy"]})

    amended = amend_plan(plan=plan, by=ada)

    assert amended.edits == [volume("pdrn", "1.5") | {"reason": "experience"}]
    assert amended.intake != plan.intake


def test_a_plan_is_amended_by_one_draft_at_a_time_and_again_after_it_was_given_up(signed: Plan, ada: User) -> None:
    first = amend_plan(plan=signed, by=ada)
    with pytest.raises(InvalidTransition):
        amend_plan(plan=signed, by=ada)
    discard_plan(plan=first, by=ada)
    assert amend_plan(plan=signed, by=ada).version == 3


def test_a_draft_cannot_be_amended(draft: Plan, ada: User) -> None:
    with pytest.raises(InvalidTransition, match="Only a signed plan"):
        amend_plan(plan=draft, by=ada)


def test_a_discarded_draft_stays_on_record_and_makes_room(draft: Plan, ada: User) -> None:
    discard_plan(plan=draft, by=ada)
    again = create_plan(patient=draft.patient, by=ada)
    assert (draft.status, again.number) == (PlanStatus.DISCARDED, 2)
    with pytest.raises(InvalidTransition, match="discarded"):
        discard_plan(plan=draft, by=ada)


LEGAL = [
    ("signed", "active"), ("signed", "stopped"), ("active", "completed"), ("active", "stopped"),
]  # fmt: skip


@pytest.mark.parametrize("start", ["signed", "active"])
@pytest.mark.parametrize("to", list(PlanStatus), ids=str)
def test_a_plan_moves_only_as_the_table_says(signed: Plan, ada: User, start: str, to: PlanStatus) -> None:
    if start == "active":
        change_plan_status(plan=signed, to=PlanStatus.ACTIVE, by=ada)
    if (start, to.value) in LEGAL:
        assert change_plan_status(plan=signed, to=to, by=ada).status == to
    else:
        with pytest.raises(InvalidTransition):
            change_plan_status(plan=signed, to=to, by=ada)
        signed.refresh_from_db()
        assert signed.status == start


def test_a_nurse_begins_a_course_but_does_not_stop_a_plan(signed: Plan, ben: User, cleo: User) -> None:
    with pytest.raises(NotAllowed):
        change_plan_status(plan=signed, to=PlanStatus.ACTIVE, by=cleo)
    change_plan_status(plan=signed, to=PlanStatus.ACTIVE, by=ben)
    with pytest.raises(NotAllowed):
        change_plan_status(plan=signed, to=PlanStatus.STOPPED, by=ben)


def test_two_plans_of_one_patient_are_numbered(signed: Plan, ada: User) -> None:
    change_plan_status(plan=signed, to=PlanStatus.STOPPED, by=ada)
    second = create_plan(patient=signed.patient, by=ada)
    assert (second.number, second.version) == (2, 1)


def test_the_signature_breaks_with_whatever_it_covers(signed: Plan) -> None:
    assert signature_holds(signed)
    for name, value in {"edits": [volume("pdrn", "1")], "engine_version": "9", "language": "fr", "version": 9}.items():
        other = Plan.objects.get(pk=signed.pk)
        setattr(other, name, value)
        assert not signature_holds(other), name


def test_a_signed_plan_by_factory_has_four_sessions(ada: User) -> None:
    assert signed_plan(by=ada).result["course"]["sessions"] == 4


def test_question_says_no_where_its_check_refuses(signed: Plan, ada: User, cleo: User) -> None:
    assert can_stop_plan(signed, by=ada)
    assert not can_stop_plan(signed, by=cleo)
    signed.status = PlanStatus.COMPLETED
    assert not can_stop_plan(signed, by=ada)
    with pytest.raises(InvalidTransition, match="A plan that is “Completed” cannot become “Stopped”"):
        check_can_stop_plan(signed, by=ada)
