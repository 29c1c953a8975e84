"""The plan on its page: what each role sees, what a form changes, what a refusal says beside its field."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidTransition
from protocols.actions.drafts import amend_plan, create_plan, edit_plan
from protocols.actions.signing import sign_plan
from protocols.actions.status import stop_plan
from protocols.formulary.queries import _built, _documents
from protocols.models import FormularyVersion, Plan, PlanStop
from protocols.models.enums import PlanStatus
from protocols.plans import presence
from protocols.plans.queries import unacknowledged_rules, unsettled_facts
from protocols.views import plan as views
from tests import factories
from tests.factories_protocols import draft_plan, settled, submitted_intake

HTMX = {"HX-Request": "true"}


def url(plan: Plan, name: str = "plan") -> str:
    return reverse(f"protocols:{name}", args=[plan.public_id])


def edit(plan: Plan, **fields: str) -> dict[str, str]:
    return {"revision": str(plan.revision), **fields}


# ------------------------------------------------------------------ who sees what


def test_the_draft_shows_everything_on_one_page(draft: Plan, ada: User, sign_in) -> None:
    page = sign_in(ada).get(url(draft))

    text = page.content.decode()
    assert page.status_code == 200
    for words in (
        "Teodor Brandvold", "8 Jun 1987", "Biochanin A", "0.2\xa0mg", "Left out", "Before you can sign",
        "antiplatelet_single", "Course", "Price", "EUR for the course", "Alternatives",
        "Sign plan…", "Formulary 2026.1", "Loing 2013",
    ):  # fmt: skip
        assert words in text, words
    assert [row.rule for row in page.context["cautions"]] == ["antiplatelet_single"]
    assert AuditEvent.objects.filter(action="plan.viewed", patient_id=draft.patient.public_id).count() == 1


@pytest.mark.parametrize("who", ["ben", "dora"])
def test_nurse_and_director_read_and_change_nothing(
    request: pytest.FixtureRequest, draft: Plan, sign_in, who: str
) -> None:
    client = sign_in(request.getfixturevalue(who))
    text = client.get(url(draft)).content.decode()

    assert "Biochanin A" in text
    assert 'name="volume_ml"' not in text and "Sign plan" not in text and "Acknowledge</button>" not in text
    for name in (
        "plan_edit",
        "plan_undo",
        "plan_acknowledge",
        "plan_answer",
        "plan_sign",
        "plan_discard",
        "plan_take_over",
    ):
        assert client.post(url(draft, name)).status_code == 403, name


def test_reception_sees_that_there_is_a_plan(signed: Plan, cleo: User, sign_in) -> None:
    client = sign_in(cleo)
    page = client.get(url(signed))

    text = page.content.decode()
    assert page.status_code == 200
    assert "Dr Ada Moreau" in text and "Treatment plan 1" in text
    for secret in ("Biochanin", "mL", "Pattern hair loss", "EUR", "SHA-256"):
        assert secret not in text.split('id="main"')[1], secret
    assert client.post(url(signed, "plan_document")).status_code == 403


def test_another_site_gets_404_everywhere(draft: Plan, dan: User, sign_in) -> None:
    client = sign_in(dan)
    assert client.get(url(draft)).status_code == 404
    for name in (
        "plan_edit",
        "plan_undo",
        "plan_acknowledge",
        "plan_answer",
        "plan_sign",
        "plan_discard",
        "plan_amend",
    ):
        assert client.post(url(draft, name)).status_code == 404, name
    assert client.post(reverse("protocols:plan_new", args=[draft.patient.public_id])).status_code == 404


# ------------------------------------------------------------------ new


def test_new_plan_is_computed_at_once(formulary: FormularyVersion, ada: User, sign_in) -> None:
    patient = factories.patient(by=ada)
    submitted_intake(patient=patient, by=ada)
    client = sign_in(ada)

    first = client.post(reverse("protocols:plan_new", args=[patient.public_id]))
    again = client.post(reverse("protocols:plan_new", args=[patient.public_id]))

    plan = Plan.objects.get()
    assert first.url == again.url == url(plan)


def test_new_plan_without_an_intake_says_what_to_do(formulary: FormularyVersion, ada: User, sign_in) -> None:
    patient = factories.patient(by=ada)
    page = sign_in(ada).post(reverse("protocols:plan_new", args=[patient.public_id]))
    assert page.status_code == 409
    assert "There is no submitted intake yet" in page.content.decode()
    assert reverse("patients:intake_start", args=[patient.public_id]) in page.content.decode()


def test_an_incomplete_plan_lists_the_questions(formulary: FormularyVersion, ada: User, sign_in) -> None:
    plan = draft_plan(by=ada, facts={"allergies": None})
    text = sign_in(ada).get(url(plan)).content.decode()
    assert "Are you allergic to any of these?" in text
    assert reverse("patients:intake_start", args=[plan.patient.public_id]) in text
    assert 'name="volume_ml"' not in text


def test_a_blocked_plan_shows_every_rule_what_lifts_it_and_where_to_refer(
    formulary: FormularyVersion, ada: User, sign_in
) -> None:
    plan = draft_plan(by=ada, facts={"hair_loss_cause_known": False, "scalp_findings": ["infection"]})
    page = sign_in(ada).get(url(plan))
    text = page.content.decode()
    assert len(page.context["blocks"]) == 2
    for block in page.context["blocks"]:
        assert block.message in text
    assert text.count("What lifts it:") == 4  # in the band under the name, and with the plan
    assert "Referral" in text and "Dermatologist" in text


# ------------------------------------------------------------------ changing


def test_a_volume_set_by_form_comes_back_computed(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    data = edit(draft, op="set_volume", ingredient="biochanin_a", volume_ml="1,25")
    assert client.post(url(draft, "plan_edit"), data).url == url(draft) + "#cocktail"
    text = client.get(url(draft)).content.decode()
    assert 'value="1.25"' in text and "0.25\xa0mg" in text and "set by hand" in text


def test_htmx_gets_every_recomputed_pane_in_one_answer(draft: Plan, ada: User, sign_in) -> None:
    answer = sign_in(ada).post(
        url(draft, "plan_edit"), edit(draft, op="set_volume", ingredient="biochanin_a", volume_ml="1.25"), headers=HTMX
    )
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in text
    assert 'id="plan-panes" data-revision="1"' in text
    assert 'id="plan-bar" hx-swap-oob="outerHTML"' in text
    for pane in ("cocktail", "left-out", "before-signing"):
        assert f'id="{pane}"' in text


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["form", "htmx"])
def test_a_refused_volume_stands_beside_its_field_with_limit_and_source(
    draft: Plan, ada: User, sign_in, headers
) -> None:
    answer = sign_in(ada).post(
        url(draft, "plan_edit"),
        edit(draft, op="set_volume", ingredient="biochanin_a", volume_ml="1.70"),
        headers=headers,
    )
    text = answer.content.decode()
    assert answer.status_code == 400
    assert 'value="1.70"' in text and 'aria-describedby="err-biochanin_a"' in text
    assert (
        "1.70 mL is refused." in text
        and "at most 1.5 mL" in text
        and "Loing 2013" in text.split("err-biochanin_a")[2][:600]
    )
    draft.refresh_from_db()
    assert draft.revision == 0


def test_a_swap_that_is_forbidden_is_refused_in_place(draft: Plan, ada: User, sign_in) -> None:
    answer = sign_in(ada).post(
        url(draft, "plan_edit"), edit(draft, op="swap", ingredient="pdrn", **{"with": "coumarin"})
    )
    assert answer.status_code == 400
    assert "screened out" in answer.content.decode()


@pytest.mark.parametrize("revision", ["", "x", "7", "-1"])
def test_a_stale_page_changes_nothing_and_says_so(draft: Plan, ada: User, sign_in, revision: str) -> None:
    answer = sign_in(ada).post(
        url(draft, "plan_edit"),
        {"revision": revision, "op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.25"},
    )
    assert answer.status_code == 409
    assert "changed in another window" in answer.content.decode()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"op": "explode"},
        {"op": "set_volume"},
        {"op": "set_sessions", "sessions": "many"},
        {"op": "set_sessions", "sessions": "2²"},
    ],
)
def test_a_nonsense_edit_is_refused_and_does_not_crash(draft: Plan, ada: User, sign_in, data: dict[str, str]) -> None:
    assert sign_in(ada).post(url(draft, "plan_edit"), {"revision": "0", **data}).status_code == 400


def test_undo_takes_the_last_edit_back(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    client.post(url(draft, "plan_edit"), edit(draft, op="remove", ingredient="pdrn"))
    assert "Undo last edit" in client.get(url(draft)).content.decode()
    client.post(url(draft, "plan_undo"), {"revision": "1"})
    draft.refresh_from_db()
    assert draft.edits == []


def test_an_acknowledgement_without_a_reason_stays_beside_its_caution(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    typed = {"rule": "antiplatelet_single", "revision": draft.revision}
    refused = client.post(url(draft, "plan_acknowledge"), typed | {"reason_code": "", "note": "Rang <b>her</b> GP"})
    text = refused.content.decode()
    assert refused.status_code == 400
    assert "Choose a reason." in text and "Rang &lt;b&gt;her&lt;/b&gt; GP" in text

    client.post(url(draft, "plan_acknowledge"), typed | {"reason_code": "explained", "note": ""})
    assert unacknowledged_rules(draft) == []


def test_answers_are_saved_together_and_the_rest_with_one_reason(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    client.post(url(draft, "plan_answer"), {"revision": 0, "value-bp_systolic": "128", "value-bp_diastolic": "82"})
    draft.refresh_from_db()
    assert (draft.case["facts"]["bp_systolic"], draft.case["facts"]["bp_diastolic"]) == (128, 82)

    without = client.post(url(draft, "plan_answer"), {"revision": 1, "settle": "not_measured", "reason": " "})
    assert without.status_code == 400 and "Give a reason." in without.content.decode()
    client.post(url(draft, "plan_answer"), {"revision": 1, "settle": "not_measured", "reason": "Never done"})
    draft.refresh_from_db()
    assert unsettled_facts(draft) == []


def test_an_open_answer_in_another_unit_is_converted_or_asked_back(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    typed = {"revision": 0, "value-bp_systolic": "12", "unit-bp_systolic": "mmHg"}
    asked = client.post(url(draft, "plan_answer"), typed)
    text = asked.content.decode()
    assert asked.status_code == 400
    assert "12 looks like cmHg: Systolic blood pressure 12 cmHg is 120 mmHg. Which is it?" in text
    assert 'name="value-bp_systolic"' in text and 'value="12"' in text

    typed |= {"unit-bp_systolic": "cmHg", "value-bp_diastolic": "8,2", "unit-bp_diastolic": "cmHg"}
    client.post(url(draft, "plan_answer"), typed)
    draft.refresh_from_db()
    assert (draft.case["facts"]["bp_systolic"], draft.case["facts"]["bp_diastolic"]) == (120, 82)


def test_an_impossible_answer_stays_typed_beside_its_field(draft: Plan, ada: User, sign_in) -> None:
    answer = sign_in(ada).post(
        url(draft, "plan_answer"), {"revision": 0, "value-bp_systolic": "5000", "value-lab_inr": "1,1"}
    )
    text = answer.content.decode()
    assert answer.status_code == 400
    assert 'value="5000"' in text and 'value="1,1"' in text and "value-bp_systolic-err" in text
    draft.refresh_from_db()
    assert draft.revision == 0


# ------------------------------------------------------------------ signing


def test_signing_on_the_page(ready: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    wrong = client.post(url(ready, "plan_sign"), {"revision": ready.revision, "password": "wrong"})
    assert wrong.status_code == 400
    assert "That is not your password." in wrong.content.decode() and "data-open" in wrong.content.decode()
    assert "wrong" not in wrong.content.decode().split('id="sign-password"')[1][:120]

    done = client.post(url(ready, "plan_sign"), {"revision": ready.revision, "password": factories.PASSWORD})
    assert done.url == url(ready)
    ready.refresh_from_db()
    text = client.get(url(ready)).content.decode()
    assert ready.status == PlanStatus.SIGNED
    assert ready.signature_sha256 in text and "Book course" in text and "PDF for the patient" in text
    assert 'name="volume_ml"' not in text


def test_what_is_open_is_listed_where_one_would_sign(draft: Plan, ada: User, sign_in) -> None:
    text = sign_in(ada).get(url(draft)).content.decode()
    assert "1 caution has to be acknowledged." in text
    assert 'name="password"' not in text
    answer = sign_in(ada).post(url(draft, "plan_sign"), {"revision": "0", "password": factories.PASSWORD})
    assert answer.status_code == 409


def test_a_colleague_is_offered_to_take_over(ready: Plan, sign_in) -> None:
    grace = factories.user(given_name="Grace", roles=["practitioner"], sites=[ready.patient.site])
    client = sign_in(grace)
    assert "Take over to sign" in client.get(url(ready)).content.decode()
    assert (
        client.post(url(ready, "plan_sign"), {"revision": ready.revision, "password": factories.PASSWORD}).status_code
        == 403
    )
    client.post(url(ready, "plan_take_over"))
    ready.refresh_from_db()
    assert ready.responsible == grace


def test_an_amendment_and_its_plan_name_each_other(signed: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    made = client.post(url(signed, "plan_amend"))
    amended = Plan.objects.get(version=2)
    assert made.url == url(amended)
    assert url(signed) in client.get(url(amended)).content.decode()
    assert url(amended) in client.get(url(signed)).content.decode()


def test_a_newer_intake_is_pointed_out(draft: Plan, ada: User, sign_in) -> None:
    submitted_intake(patient=draft.patient, by=ada)
    assert "There is a newer intake of " in sign_in(ada).get(url(draft)).content.decode()


def test_a_discarded_draft_leads_back_to_the_patient(draft: Plan, ada: User, sign_in) -> None:
    answer = sign_in(ada).post(url(draft, "plan_discard"))
    assert answer.url == reverse("sessions:patient", args=[draft.patient.public_id])
    assert "given up" in sign_in(ada).get(url(draft)).content.decode()


def test_a_plan_of_two_mixtures_shows_both(formulary: FormularyVersion, ada: User, sign_in) -> None:
    concerns = [
        {"concern": "telogen_effluvium", "severity": "moderate"},
        {"concern": "nutrient_deficiency", "severity": "moderate"},
    ]
    plan = draft_plan(by=ada, concerns=concerns, facts={"norwood_stage": None})
    page = sign_in(ada).get(url(plan))
    assert len(page.context["mixtures"]) == len(plan.result["syringes"]) == 2
    assert page.content.decode().count('class="mix-draw"') == 2


def test_the_page_carries_no_inline_script_or_style(draft: Plan, ada: User, sign_in) -> None:
    text = sign_in(ada).get(url(draft)).content.decode()
    for forbidden in (" style=", " onclick=", " hx-on", "<style", "js:"):
        assert forbidden not in text.replace("text/javascript:", ""), forbidden


def test_the_page_costs_the_same_however_long_the_history(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)

    def count(plan: Plan) -> int:
        client.get(url(plan))
        with CaptureQueriesContext(connection) as found:
            client.get(url(plan))
        return len(found)

    before = count(draft)
    assert before <= 50, before  # the fiftieth is PostgreSQL's lock of the trail
    for _round in range(3):
        settled(draft, by=ada)
    assert count(draft) <= before


# ------------------------------------------------------------------ two people, two tabs


@pytest.fixture
def grace(ada: User) -> User:
    """A second practitioner of Ada's site."""
    return factories.user(given_name="Grace", family_name="Lund", roles=["practitioner"], sites=list(ada.sites.all()))


def test_whoever_opens_a_draft_second_is_told_of_the_first(draft: Plan, ada: User, grace: User, sign_in) -> None:
    alone = sign_in(ada).get(url(draft))
    second = sign_in(grace).get(url(draft))
    first_again = sign_in(ada).get(url(draft, "plan_presence"), {"revision": draft.revision})

    assert alone.context["present"] == []
    assert [(row.name, row.writes) for row in second.context["present"]] == [(ada.name, True)]
    assert f"{ada.name} has this draft open too, since" in second.content.decode()
    assert [(row.name, row.writes) for row in first_again.context["present"]] == [(grace.name, True)]


def test_a_reader_is_named_as_one_who_reads(draft: Plan, ada: User, ben: User, sign_in) -> None:
    sign_in(ben).get(url(draft))
    text = sign_in(ada).get(url(draft)).content.decode()
    assert f"{ben.name} has this draft open too" in text and "to read it" in text


def test_who_has_closed_the_draft_is_forgotten(
    draft: Plan, ada: User, grace: User, sign_in, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(ada).get(url(draft))
    later = timezone.now() + presence.STAYS + timedelta(seconds=1)
    monkeypatch.setattr(presence.timezone, "now", lambda: later)
    assert sign_in(grace).get(url(draft, "plan_presence"), {"revision": "0"}).context["present"] == []


def test_a_page_that_is_behind_is_told_who_changed_the_draft(draft: Plan, ada: User, grace: User, sign_in) -> None:
    client = sign_in(grace)
    ask = lambda: client.get(url(draft, "plan_presence"), {"revision": "0"}).content.decode()  # noqa: E731
    assert "changed this draft" not in ask()
    edit_plan(plan=draft, revision=0, edits=[{"op": "remove", "ingredient": "pdrn"}], by=ada)
    assert f"{ada.name} changed this draft at" in ask()


@pytest.mark.parametrize("revision", ["", "x", "٣", "-1", "9" * 30, "<b>"])
def test_presence_answers_nonsense_as_well(draft: Plan, ada: User, sign_in, revision: str) -> None:
    assert sign_in(ada).get(url(draft, "plan_presence"), {"revision": revision}).status_code == 200


def test_presence_is_for_whom_may_read_the_plan(draft: Plan, cleo: User, dan: User, sign_in) -> None:
    assert sign_in(cleo).get(url(draft, "plan_presence")).status_code == 403
    assert sign_in(dan).get(url(draft, "plan_presence")).status_code == 404


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["form", "htmx"])
def test_the_second_tab_overwrites_nothing_and_shows_both(draft: Plan, ada: User, sign_in, headers) -> None:
    client = sign_in(ada)
    mine = edit(draft, op="set_volume", ingredient="biochanin_a", volume_ml="0.75", reason="experience")
    edit_plan(
        plan=draft, revision=0, edits=[{"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.25"}], by=ada
    )

    refused = client.post(url(draft, "plan_edit"), mine, headers=headers)

    conflict = refused.context["refused"].conflict
    assert refused.status_code == 409
    assert conflict.wanted == ["Biochanin A set to 0.75 mL (Clinical judgement)"]
    assert conflict.now == ["Biochanin A: 1.25 mL"]
    assert conflict.changed.name == ada.name
    text = refused.content.decode()
    assert "What you wanted" in text and 'value="0.75"' in text and 'value="1.25"' in text
    draft.refresh_from_db()
    assert [row["volume_ml"] for row in draft.edits] == ["1.25"]

    client.post(url(draft, "plan_edit"), {"revision": draft.revision, **dict(conflict.resend)})
    draft.refresh_from_db()
    assert [(row["volume_ml"], row["reason"]) for row in draft.edits] == [("0.75", "experience")]


def test_answers_typed_in_a_second_tab_stay_typed(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    client.post(url(draft, "plan_answer"), {"revision": 0, "value-bp_systolic": "128"})

    refused = client.post(
        url(draft, "plan_answer"), {"revision": 0, "value-bp_systolic": "141", "value-lab_inr": "1,1"}
    )

    text = refused.content.decode()
    assert refused.status_code == 409
    assert 'value="141"' in text and 'value="1,1"' in text
    now = refused.context["refused"].conflict.now
    assert [words for words in now if words.endswith("128 mmHg")] and "INR: open" in now
    draft.refresh_from_db()
    assert draft.case["facts"]["bp_systolic"] == 128


def test_an_acknowledgement_in_a_second_tab_keeps_its_reason_and_note(draft: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    edit_plan(plan=draft, revision=0, edits=[{"op": "remove", "ingredient": "pdrn"}], by=ada)
    said = {"rule": "antiplatelet_single", "reason_code": "other", "note": "Rang her <GP>", "revision": "0"}

    refused = client.post(url(draft, "plan_acknowledge"), said)

    assert refused.status_code == 409
    assert unacknowledged_rules(draft) == ["antiplatelet_single"]
    text = refused.content.decode()
    assert "Rang her &lt;GP&gt;" in text and "<GP>" not in text
    again = dict(refused.context["refused"].conflict.resend)
    draft.refresh_from_db()
    client.post(url(draft, "plan_acknowledge"), {**again, "revision": draft.revision})
    assert unacknowledged_rules(draft) == []


# ------------------------------------------------------------------ amendments and stopping


def test_an_amendment_says_in_words_what_it_changes(signed: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    client.post(url(signed, "plan_amend"))
    amended = Plan.objects.get(version=2)
    same = client.get(url(amended))
    assert same.context["differences"] == []
    assert "the two would treat in the same way" in same.content.decode()

    edit_plan(plan=amended, revision=0, edits=[{"op": "remove", "ingredient": "pdrn"}], by=ada)
    page = client.get(url(amended))
    assert "What plan 1.2 changes in plan 1" in page.content.decode()
    assert any("PDRN" in words for words in page.context["differences"])
    assert "Version 2 of plan 1" in page.content.decode()


def test_stopping_asks_why_and_says_it_on_the_plan(signed: Plan, ada: User, sign_in) -> None:
    client = sign_in(ada)
    assert "None is booked" in client.get(url(signed, "plan_stop")).content.decode()

    silent = client.post(url(signed, "plan_stop"), {"note": "typed <b>"})
    assert silent.status_code == 422
    assert "Choose a reason." in silent.content.decode() and "typed &lt;b&gt;" in silent.content.decode()

    done = client.post(url(signed, "plan_stop"), {"reason_code": "not_tolerated", "note": "Pain for three days"})
    assert done.url == url(signed)
    signed.refresh_from_db()
    assert (signed.status, signed.stop.reason_code, signed.stop.by) == (PlanStatus.STOPPED, "not_tolerated", ada)
    text = client.get(url(signed)).content.decode()
    assert f"Stopped by {ada.name}" in text and "Not tolerated: Pain for three days" in text
    assert client.get(url(signed, "plan_stop")).status_code == 409


@pytest.mark.parametrize("who", ["ben", "dora", "cleo"])
def test_only_a_practitioner_stops_a_plan(request: pytest.FixtureRequest, signed: Plan, sign_in, who: str) -> None:
    client = sign_in(request.getfixturevalue(who))
    assert client.get(url(signed, "plan_stop")).status_code == 403
    assert client.post(url(signed, "plan_stop"), {"reason_code": "no_response"}).status_code == 403


def test_why_a_plan_was_stopped_is_said_once(signed: Plan, ada: User) -> None:
    stop_plan(plan=signed, reason_code="no_response", note="", cancel_visits=True, by=ada)
    with pytest.raises(IntegrityError), transaction.atomic():
        PlanStop.objects.filter(plan=signed).update(reason_code="other")
    with pytest.raises(InvalidTransition):
        stop_plan(plan=signed, reason_code="other", note="again", cancel_visits=True, by=ada)
    assert PlanStop.objects.get().reason_code == "no_response"


def test_what_reception_judged_has_to_be_confirmed_in_the_plan(
    formulary: FormularyVersion, ada: User, cleo: User, sign_in
) -> None:
    patient = factories.patient(by=ada)
    submitted_intake(patient=patient, by=cleo)
    plan = create_plan(patient=patient, by=ada)
    assert unacknowledged_rules(plan) == ["intake_to_check:1"]
    text = sign_in(ada).get(url(plan)).content.decode()
    assert f"{cleo.name} at reception wrote down what a practitioner has to judge" in text
    said = {"revision": "0", "rule": "intake_to_check:1", "reason_code": "checked_today", "note": "Seen, Norwood IV"}
    sign_in(ada).post(url(plan, "plan_acknowledge"), said)
    assert unacknowledged_rules(plan) == []


# ------------------------------------------------------------------ timed out, restarted, closed


@pytest.mark.parametrize(
    "name", ["plan_edit", "plan_undo", "plan_acknowledge", "plan_answer", "plan_sign", "plan_amend", "plan_document"]
)
def test_a_timed_out_log_in_leads_back_to_the_plan(draft: Plan, ada: User, sign_in, name: str) -> None:
    """What was posted after the time is up is not done; after signing in one is on the plan, not on a bare refusal."""
    gone = Client().post(url(draft, name), edit(draft, op="remove", ingredient="pdrn"))
    assert gone.url == f"/accounts/login/?next={url(draft, name)}"
    client = sign_in(ada)
    back = client.get(url(draft, name))
    assert back.url == url(draft)
    assert client.get(back.url).status_code == 200
    draft.refresh_from_db()
    assert draft.revision == 0


def test_a_restarted_server_and_a_closed_tab_lose_no_edit(draft: Plan, ada: User, sign_in) -> None:
    """Nothing of a draft lives in the process: another one, with the cookie alone, shows it as it was left."""
    before = sign_in(ada)
    before.post(
        url(draft, "plan_edit"),
        edit(draft, op="set_volume", ingredient="biochanin_a", volume_ml="0.75", reason="experience"),
    )
    before.post(url(draft, "plan_answer"), {"revision": 1, "value-bp_systolic": "128"})
    cache.clear()
    _built.clear()
    _documents.clear()

    after = Client()
    after.cookies = before.cookies
    text = after.get(url(draft)).content.decode()

    assert 'value="0.75"' in text and "128 mmHg" in text and 'data-revision="2"' in text
    assert after.post(url(draft, "plan_undo"), {"revision": 2}).status_code == 302


def test_visits_left_under_the_version_before_stand_on_the_plan_in_force(
    signed: Plan, ada: User, sign_in, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, who = timezone.now(), {"practitioner": "Dr Ada Moreau", "site": "Lyon"}
    dates = [{"number": n, "starts_at": now + timedelta(days=28 * (n - 2)), **who} for n in (1, 2, 3)]
    monkeypatch.setattr(views, "session_dates", lambda plan: dates if plan.version == 1 else [])
    amended = settled(amend_plan(plan=signed, by=ada), by=ada)
    client = sign_in(ada)
    assert client.get(url(amended)).context["left_behind"] == []  # while it is a draft the old version is in force
    sign_plan(plan=amended, revision=amended.revision, password=factories.PASSWORD, by=ada)

    page = client.get(url(amended))
    text = page.content.decode()
    assert "2 visits are still booked under version 1:" in text  # what is past is no longer to be moved
    assert reverse("sessions:course_book", args=[amended.public_id]) in text.split('id="left-behind"')[1][:900]
    assert "still booked under" not in client.get(url(signed)).content.decode()
