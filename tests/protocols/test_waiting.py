"""No injections now: an alternative to every proposal, a plan of its own kind, and nothing to book by it."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from mesoclinic.messaging.models import Message
from protocols.actions.drafts import amend_plan, create_plan, edit_plan, insist_on_severity, undo_edit
from protocols.actions.signing import sign_plan
from protocols.actions.status import stop_plan
from protocols.engine import apply_edits, propose, verify
from protocols.models import FormularyVersion, Plan
from protocols.models.enums import PlanKind, PlanStatus
from protocols.plans.computing import recompute, verified
from protocols.plans.queries import obstacles_to_signing
from protocols.plans.signature import signature_holds
from protocols.prints.documents import plan_part
from sessions.permissions import check_in_force
from sessions.queries import bookable_plans_visible_to
from tests import factories
from tests.factories_protocols import draft_plan, submitted_intake
from tests.protocols.patients_at_random import random_patient
from tests.protocols.worked_cases import count, starter, woman

WAIT = {"op": "wait"}
SHED = [{"concern": "postpartum_shedding", "severity": "mild"}]


def waiting_row(answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    rows = [(place, row) for place, row in enumerate(answer["alternatives"]) if row["kind"] == "waiting"]
    assert len(rows) == 1
    return rows[0]


def a_case(*concerns: tuple[str, str], **facts: Any) -> dict[str, Any]:
    return woman(
        facts=facts,
        concerns=[{"concern": concern, "severity": severity} for concern, severity in concerns],
        zones=["vertex", "mid_scalp"],
    )


# ---------------------------------------------------------------------- the engine


@pytest.mark.parametrize(
    ("concerns", "because"),
    [
        ([("postpartum_shedding", "mild")], {"settles_by_itself"}),
        ([("telogen_effluvium", "severe")], {"settles_by_itself"}),
        ([("telogen_effluvium", "mild"), ("postpartum_shedding", "mild")], {"settles_by_itself"}),
        ([("telogen_effluvium", "moderate"), ("androgenetic_alopecia", "moderate")], set()),
        ([("androgenetic_alopecia", "moderate")], set()),
    ],
)
def test_waiting_is_always_offered_and_first_where_it_settles_by_itself(
    concerns: list[tuple[str, str]], because: set[str]
) -> None:
    case = a_case(*concerns)
    answer = propose(case, starter()).as_dict()
    place, row = waiting_row(answer)

    told = {reason["code"] for reason in row["review"]["because"]}
    assert told - {"value_below_zero"} == because
    assert place == (0 if told else len(answer["alternatives"]) - 1)
    assert (row["review"]["days"], row["value"], row["cost_total"]) == (84, "0", "0")
    assert row["cost_difference"] == f"-{answer['cost']['total']}"
    assert verify(answer, case, starter()) == ()


def test_waiting_is_first_where_there_is_no_mixture() -> None:
    case = a_case(("patchy_loss", "mild"), patchy_diagnosis="cleared_by_dermatologist")
    case["policy"] = {"avoid": list(starter().ingredients)}
    answer = propose(case, starter()).as_dict()

    place, row = waiting_row(answer)
    assert answer["syringes"] == [] and place == 0
    assert [reason["code"] for reason in row["review"]["because"]] == ["no_mixture"]
    assert row["cost_difference"] == "0"
    assert verify(answer, case, starter()) == ()


def test_no_random_patient_gets_a_plan_below_zero_without_waiting_in_first_place() -> None:
    rng = random.Random(20261130)
    below = seen = 0
    for _patient in range(count(60, 10_000)):
        answer = propose(random_patient(rng), starter()).as_dict()
        if answer["status"] != "proposed":
            assert answer["alternatives"] == []
            continue
        seen += 1
        place, row = waiting_row(answer)
        told = {reason["code"] for reason in row["review"]["because"]}
        assert ("value_below_zero" in told) is (bool(answer["syringes"]) and Decimal(answer["value"]) < 0)
        assert (place == 0) is bool(told) or len(answer["alternatives"]) == 1
        below += Decimal(answer["value"]) < 0
    assert seen and below


def test_a_case_that_waits_has_no_mixture_no_course_and_no_question() -> None:
    case = a_case(("postpartum_shedding", "mild"))
    result = apply_edits(case, starter(), None, [WAIT])
    answer = result.proposal.as_dict()

    assert result.refusals == ()
    assert (answer["status"], answer["syringes"], answer["course"], answer["cost"]) == ("waiting", [], None, None)
    assert (answer["open_questions"], answer["alternatives"], answer["contributions"]) == ([], [], [])
    assert answer["waiting"] == {
        "days": 84,
        "rules": ["concerns.postpartum_shedding.settles_by_itself"],
        "sources": ["kadry_2008", "malkud_2015"],
    }
    assert verify(answer, case, starter()) == ()
    general = apply_edits(a_case(("androgenetic_alopecia", "mild")), starter(), None, [WAIT]).proposal.as_dict()
    assert general["waiting"]["rules"] == ["course.waiting"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"waiting": {"days": 7, "rules": ["course.waiting"], "sources": []}}, "waiting"),
        ({"waiting": None}, "waiting"),
        ({"status": "proposed"}, "status"),
        ({"edits": []}, "status"),
    ],
)
def test_the_second_calculation_notices_a_wrong_wait(change: dict[str, Any], code: str) -> None:
    case = a_case(("postpartum_shedding", "mild"))
    answer = apply_edits(case, starter(), None, [WAIT]).proposal.as_dict()

    assert code in {row.path.split(".")[0] for row in verify({**answer, **change}, case, starter())}


def test_the_second_calculation_notices_a_waiting_in_another_place() -> None:
    case = a_case(("postpartum_shedding", "mild"))
    answer = propose(case, starter()).as_dict()
    moved = {**answer, "alternatives": [*answer["alternatives"][1:], answer["alternatives"][0]]}

    assert "waiting_in_another_place" in {row.code for row in verify(moved, case, starter())}
    gone = {**answer, "alternatives": answer["alternatives"][1:]}
    assert "waiting_in_another_place" in {row.code for row in verify(gone, case, starter())}


# ---------------------------------------------------------------------- the plan


@pytest.fixture
def shedding(ada: User, formulary: FormularyVersion) -> Plan:
    """Ada's draft for a woman who sheds after childbirth."""
    patient = factories.patient(by=ada, sex_at_birth="female", email="eva@example.org")
    return draft_plan(by=ada, patient=patient, concerns=SHED)


@pytest.fixture
def waits(shedding: Plan, ada: User) -> Plan:
    return edit_plan(plan=shedding, revision=shedding.revision, edits=[WAIT], by=ada)


@pytest.fixture
def signed_wait(waits: Plan, ada: User) -> Plan:
    return sign_plan(plan=waits, revision=waits.revision, password=factories.PASSWORD, by=ada)


def test_waiting_makes_a_plan_of_its_kind_that_can_be_signed_at_once(waits: Plan, ada: User) -> None:
    assert (waits.kind, waits.waits, waits.review_on) == (PlanKind.WAITING, True, None)
    assert obstacles_to_signing(waits) == []

    signed = sign_plan(plan=waits, revision=waits.revision, password=factories.PASSWORD, by=ada)
    day = signed.signed_at.astimezone(signed.patient.site.tz).date()
    assert signed.review_on == day + timedelta(weeks=12)
    assert signature_holds(signed) and verified(signed) == []
    assert recompute(signed)[0].result == signed.result


def test_waiting_needs_a_reason_where_a_mixture_was_proposed_first(ada: User, formulary: FormularyVersion) -> None:
    draft = draft_plan(by=ada)
    draft = edit_plan(plan=draft, revision=draft.revision, edits=[WAIT], by=ada)
    assert obstacles_to_signing(draft) == ["1 edit by hand has no reason yet: say why."]

    wish = {**WAIT, "reason": "patient_wish"}
    draft = edit_plan(plan=draft, revision=draft.revision, edits=[wish], by=ada)
    assert obstacles_to_signing(draft) == [] and len(draft.edits) == 1


def test_undoing_or_another_edit_brings_the_mixture_back(waits: Plan, ada: User) -> None:
    back = undo_edit(plan=waits, revision=waits.revision, by=ada)
    assert (back.kind, back.result["status"]) == (PlanKind.COURSE, "proposed")

    again = edit_plan(plan=back, revision=back.revision, edits=[WAIT], by=ada)
    course = edit_plan(plan=again, revision=again.revision, edits=[{"op": "set_sessions", "sessions": 3}], by=ada)
    assert (course.kind, [edit["op"] for edit in course.edits]) == (PlanKind.COURSE, ["set_sessions"])


def test_nothing_is_booked_by_a_plan_that_waits(signed_wait: Plan, ada: User, cleo: User, sign_in: Any) -> None:
    assert not bookable_plans_visible_to(cleo).filter(pk=signed_wait.pk).exists()
    with pytest.raises(InvalidTransition, match="is to wait: nothing is injected by it"):
        check_in_force(signed_wait)
    assert sign_in(cleo).get(reverse("sessions:course_book", args=[signed_wait.public_id])).status_code == 404


def test_the_database_keeps_the_kind_of_a_signed_plan(signed_wait: Plan) -> None:
    with pytest.raises(DatabaseError, match="plan_signed_frozen"), transaction.atomic():
        Plan.objects.filter(pk=signed_wait.pk).update(kind=PlanKind.COURSE)
    with pytest.raises(IntegrityError, match="waiting_plan_has_no_course"), transaction.atomic():
        Plan.objects.filter(pk=signed_wait.pk).update(status=PlanStatus.ACTIVE)


def test_the_review_is_written_about_a_week_before_it(signed_wait: Plan, ada: User) -> None:
    message = Message.objects.get(subject_id=signed_wait.public_id, state="queued")

    assert message.purpose == "waiting_review"
    assert message.due_at.date() == signed_wait.review_on - timedelta(days=7)
    assert "Nothing will be injected" in message.text
    stop_plan(plan=signed_wait, reason_code="patient_wish", note="", cancel_visits=False, by=ada)
    message.refresh_from_db()
    assert message.state == "cancelled"


def test_amending_a_wait_decides_anew(signed_wait: Plan, ada: User) -> None:
    amended = amend_plan(plan=signed_wait, by=ada)

    assert (amended.kind, amended.edits) == (PlanKind.COURSE, [])
    amended = edit_plan(plan=amended, revision=amended.revision, edits=[WAIT], by=ada)
    sign_plan(plan=amended, revision=amended.revision, password=factories.PASSWORD, by=ada)
    purposes = Message.objects.filter(state="queued").values_list("purpose", "subject_id")
    assert list(purposes) == [("waiting_review", amended.public_id)]


@pytest.mark.parametrize("kind", ["consent", "quotation", "course_schedule", "aftercare"])
def test_a_plan_that_waits_has_no_papers_of_a_treatment(signed_wait: Plan, kind: str) -> None:
    with pytest.raises(InvalidInput, match="This plan holds no injections"):
        plan_part(signed_wait, kind=kind)


def test_the_patients_paper_holds_advice_and_the_day(signed_wait: Plan) -> None:
    part = plan_part(signed_wait, kind="plan_patient")

    assert (part["kind"], part["title"]) == ("waiting_patient", "No injections for now")
    assert part["context"]["review_on"].endswith(str(signed_wait.review_on.year))
    assert part["context"]["advice"][0] == "Shedding after childbirth mostly recovers by itself within a year."
    record = plan_part(signed_wait, kind="plan_archive")
    assert record["kind"] == "waiting_archive" and record["context"]["attachments"]


# ---------------------------------------------------------------------- the pages


def page(client: Client, plan: Plan) -> str:
    return client.get(reverse("protocols:plan", args=[plan.public_id])).content.decode()


def test_the_page_offers_waiting_first_and_shows_the_plan_that_waits(shedding: Plan, ada: User, sign_in: Any) -> None:
    client = sign_in(ada)
    text = page(client, shedding)
    assert text.index("1. No injections now, review in 12 weeks") < text.index("2. As shown")
    assert "Shedding after childbirth: this usually settles by itself." in text

    edit = reverse("protocols:plan_edit", args=[shedding.public_id])
    assert client.post(edit, {"revision": shedding.revision, "op": "wait"}).status_code == 302
    text = page(client, shedding)
    assert "12 weeks after the signature" in text and "Plan injections after all" in text
    assert 'id="cocktail"' not in text and 'id="left-out"' not in text

    shedding.refresh_from_db()
    sign = reverse("protocols:plan_sign", args=[shedding.public_id])
    client.post(sign, {"revision": shedding.revision, "password": factories.PASSWORD})
    shedding.refresh_from_db()
    text = page(client, shedding)
    assert shedding.status == PlanStatus.SIGNED and "Book course" not in text
    record = client.get(reverse("sessions:patient", args=[shedding.patient.public_id])).content.decode()
    assert "no injections now, review on" in record.lower() and "Book course" not in record


def test_a_plan_without_a_mixture_still_offers_to_wait(ada: User, formulary: FormularyVersion, sign_in: Any) -> None:
    patient = factories.patient(by=ada, sex_at_birth="female")
    serving = [key for key, item in starter().ingredients.items() if "patchy_loss" in item.addresses]
    submitted_intake(
        patient=patient,
        by=ada,
        concerns=[{"concern": "patchy_loss", "severity": "mild"}],
        facts={"patchy_diagnosis": "cleared_by_dermatologist", "allergy_ingredients": serving},
    )
    draft = create_plan(patient=patient, by=ada)
    assert draft.result["syringes"] == []

    text = page(sign_in(ada), draft)
    assert "No ingredient is of use here." in text and 'value="wait"' in text


# ---------------------------------------------------------------------- a stage and the severity chosen


def test_the_stage_overrules_until_the_practitioner_insists(ada: User, formulary: FormularyVersion) -> None:
    draft = draft_plan(by=ada, concerns=[{"concern": "androgenetic_alopecia", "severity": "severe"}])
    (row,) = draft.result["concerns"]
    assert (row["severity"], row["recorded_severity"], row["staged_severity"], row["insisted"]) == (
        "moderate", "severe", "moderate", False,
    )  # fmt: skip

    insisted = insist_on_severity(
        plan=draft, revision=draft.revision, concern="androgenetic_alopecia", reason="Fast over 6 months", by=ada
    )
    (row,) = insisted.result["concerns"]
    assert (row["severity"], row["insisted"]) == ("severe", True)
    assert insisted.case["concerns"] == [
        {"concern": "androgenetic_alopecia", "severity": "severe", "insisted": "Fast over 6 months"}
    ]
    assert verified(insisted) == []
    assert not [sentence for sentence in obstacles_to_signing(insisted) if "has changed since this draft" in sentence]
    event = AuditEvent.objects.get(action="plan.severity_insisted")
    assert event.details["concern"] == "androgenetic_alopecia"

    let_go = insist_on_severity(
        plan=insisted, revision=insisted.revision, concern="androgenetic_alopecia", reason="", by=ada
    )
    assert let_go.result["concerns"][0]["severity"] == "moderate"


@pytest.mark.parametrize(
    ("concern", "reason", "sentence"),
    [
        ("poor_scalp_circulation", "because", "No stage overrules"),
        ("androgenetic_alopecia", "because", "No stage overrules"),
        ("nothing", "because", "No stage overrules"),
    ],
)
def test_only_what_a_stage_overrules_can_be_insisted_on(
    draft: Plan, ada: User, concern: str, reason: str, sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        insist_on_severity(plan=draft, revision=draft.revision, concern=concern, reason=reason, by=ada)


def test_the_page_says_which_severity_counts_and_asks_why(ada: User, formulary: FormularyVersion, sign_in: Any) -> None:
    draft = draft_plan(by=ada, concerns=[{"concern": "androgenetic_alopecia", "severity": "severe"}])
    client, insist = sign_in(ada), reverse("protocols:plan_insist", args=[draft.public_id])
    assert "Moderate by stage (Norwood IV); chosen: severe." in page(client, draft)

    data = {"revision": draft.revision, "concern": "androgenetic_alopecia", "reason": " "}
    answer = client.post(insist, data)
    assert answer.status_code == 400 and "Give a reason." in answer.content.decode()
    client.post(insist, {**data, "reason": "Fast over 6 months"})
    text = page(client, draft)
    assert "Chosen: severe, held to against the stage (Norwood IV: moderate)." in text and "Fast over 6 months" in text


def test_an_amendment_insists_again_while_the_intake_says_the_same(ada: User, formulary: FormularyVersion) -> None:
    draft = draft_plan(by=ada, concerns=[{"concern": "androgenetic_alopecia", "severity": "severe"}])
    draft = insist_on_severity(
        plan=draft, revision=draft.revision, concern="androgenetic_alopecia", reason="Fast over 6 months", by=ada
    )
    draft = edit_plan(plan=draft, revision=draft.revision, edits=[{**WAIT, "reason": "patient_wish"}], by=ada)
    signed = sign_plan(plan=draft, revision=draft.revision, password=factories.PASSWORD, by=ada)

    assert amend_plan(plan=signed, by=ada).case["concerns"][0]["insisted"] == "Fast over 6 months"
