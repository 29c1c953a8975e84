from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from patients.actions.day_check import confirm_unchanged, record_changes
from patients.actions.intake import save_intake, start_intake, submit_intake
from patients.actions.record import merge_patients
from patients.intake.answers import UNKNOWN, case_of
from patients.intake.day_checks import Answers
from patients.models import Intake, Patient, Settlement, Statement, StatementSource
from patients.search.keys import fold
from patients.statements.statements import (
    Words,
    open_statements,
    open_statements_of,
    record_statements,
    settle_statement,
    settled_facts,
)
from patients.vocabulary import load_vocabulary
from tests import factories

DOAC = [{"fact": "medications", "value": "doac"}]


def say(
    patient: Patient, text: str = "the small white ones", *, kind: str = "medicine", by: User | None = None, **how: Any
) -> Statement | None:
    """Keep words as a patient's, from a new source each time."""
    made = record_statements(
        patient=patient,
        said=[Words(kind=kind, text=text, about=how.pop("about", ""), is_unknown=how.pop("is_unknown", False))],
        source=how.pop("source", StatementSource.INTAKE),
        source_id=how.pop("source_id", uuid4()),
        at=how.pop("at", timezone.now()),
        by=by,
    )
    return made[0] if made else None


def test_words_are_open_until_somebody_who_signs_settles_them(teodor: Patient, ada: User, ben: User) -> None:
    statement = say(teodor, by=ben)
    assert open_statements(teodor) == [statement]
    assert (statement.state, statement.said_by, statement.outcome, statement.facts) == ("open", ben, "", [])

    settle_statement(statement=statement, outcome="fact", facts=DOAC, reason="", by=ada)

    assert open_statements(teodor) == []
    assert (statement.state, statement.settled_by, statement.outcome, statement.facts) == ("settled", ada, "fact", DOAC)
    assert [(row.fact, row.value, row.statement) for row in settled_facts(teodor)] == [
        ("medications", "doac", statement)
    ]
    told = AuditEvent.objects.filter(action__startswith="statement.").values_list("action", "actor_label", "patient_id")
    assert list(told.order_by("id")) == [
        ("statement.recorded", ben.name, teodor.public_id),
        ("statement.settled", ada.name, teodor.public_id),
    ]


@pytest.mark.parametrize("who", ["ben", "cleo", "dora", "dan"])
def test_nobody_below_a_signer_of_the_site_settles(teodor: Patient, who: str, request: pytest.FixtureRequest) -> None:
    statement = say(teodor)
    sentence = "site that is not yours" if who == "dan" else "Only somebody who signs plans"
    with pytest.raises(NotAllowed, match=sentence):
        settle_statement(statement=statement, outcome="fact", facts=DOAC, by=request.getfixturevalue(who))
    assert not Settlement.objects.exists()


@pytest.mark.parametrize(
    ("given", "field", "sentence"),
    [
        ({"outcome": "talked_over"}, "outcome", "Choose what it means"),
        ({"outcome": "fact"}, "facts", "at least one thing"),
        ({"outcome": "none_of_these"}, "reason", "Choose the reason"),
        ({"outcome": "none_of_these", "reason": "talked over"}, "reason", "Choose the reason"),
        ({"outcome": "none_of_these", "reason": "other"}, "note", "in a few words"),
        ({"outcome": "none_of_these", "reason": "stopped", "facts": DOAC}, "facts", "Keep one"),
        ({"outcome": "fact", "facts": [{"fact": "medications", "value": "snake oil"}]}, "facts", "snake oil"),
        ({"outcome": "fact", "facts": [{"fact": "hat_size", "value": "58"}]}, "facts", "hat_size"),
        ({"outcome": "fact", "facts": [{"fact": "lab_inr", "value": "4"}]}, "facts", "lab_inr"),
        ({"outcome": "fact", "facts": DOAC, "note": "x" * 301}, "note", "Shorten"),
        (
            {
                "outcome": "fact",
                "facts": [
                    {"fact": "pregnancy_status", "value": "pregnant"},
                    {"fact": "pregnancy_status", "value": "possible"},
                ],
            },
            "facts",
            "Two different answers",
        ),
    ],
)
def test_a_settlement_that_says_nothing_is_refused_beside_its_field(
    teodor: Patient, ada: User, given: dict[str, Any], field: str, sentence: str
) -> None:
    statement = say(teodor)
    with pytest.raises(InvalidInput, match=sentence) as refusal:
        settle_statement(statement=statement, by=ada, **given)
    assert refusal.value.field == field
    assert open_statements(teodor) == [statement]


def test_settled_facts_enter_the_case_in_the_order_of_the_question(teodor: Patient, ada: User, fill: Any) -> None:
    intake = fill(teodor, by=ada, medications=["nitrate"], allergies=[], allergy_ingredients=[])
    on = factories.today()
    before = case_of(intake, on=on)["facts"]
    settle_statement(
        statement=say(teodor),
        outcome="fact",
        facts=[
            *DOAC,
            {"fact": "allergy_ingredients", "value": "pdrn"},
            {"fact": "smoker", "value": "true"},
            {"fact": "conditions", "value": "asthma"},  # the list was never answered: one value is not all of it
        ],
        by=ada,
    )
    after = case_of(intake, on=on)["facts"]
    assert after == before | {"medications": ["doac", "nitrate"], "allergy_ingredients": ["pdrn"], "smoker": True}
    assert intake.facts["medications"] == ["nitrate"]  # what was answered stays as it was


def test_a_fact_of_the_day_holds_until_it_is_answered_again(teodor: Patient, ada: User, fill: Any) -> None:
    old = fill(teodor, by=ada, fever_or_acute_illness=False)
    fever = [{"fact": "fever_or_acute_illness", "value": "true"}]
    settle_statement(statement=say(teodor, "shivering since Friday", kind="note"), outcome="fact", facts=fever, by=ada)
    assert case_of(old, on=factories.today())["facts"]["fever_or_acute_illness"] is True

    new = fill(teodor, by=ada, fever_or_acute_illness=False)
    assert case_of(new, on=factories.today())["facts"]["fever_or_acute_illness"] is False


def test_the_same_words_again_keep_their_settlement(teodor: Patient, ada: User) -> None:
    for kind in ("medicine", "allergy"):
        first = say(teodor, "Élixir vert", kind=kind)
        settle_statement(statement=first, outcome="none_of_these", reason="harmless", by=ada)
        for source in StatementSource.values:
            assert say(teodor, "  elixir  VERT. ", kind=kind, source=source) is None
    assert open_statements(teodor) == []
    assert say(teodor, "elixir vert fort") is not None


def test_an_illness_of_another_day_is_another_statement_unless_it_is_a_fact(teodor: Patient, ada: User) -> None:
    first = say(teodor, "a bad cold", kind="illness", source=StatementSource.DAY_CHECK)
    assert say(teodor, "a bad cold", kind="illness", source=StatementSource.DAY_CHECK) is None  # open already
    settle_statement(statement=first, outcome="none_of_these", reason="harmless", by=ada)
    assert say(teodor, "2026-11-30: a bad cold", kind="illness") is None  # the intake that the day check made
    again = say(teodor, "a bad cold", kind="illness", source=StatementSource.DAY_CHECK)
    assert open_statements(teodor) == [again]
    settle_statement(statement=again, outcome="fact", facts=[{"fact": "conditions", "value": "asthma"}], by=ada)
    assert say(teodor, "a bad cold", kind="illness", source=StatementSource.ANSWER) is None


def test_not_knowing_of_another_day_is_open_again(teodor: Patient, ada: User) -> None:
    unknown = {"kind": "medicine", "is_unknown": True, "source": StatementSource.DAY_CHECK}
    first = say(teodor, "Does not know whether there is a new medicine.", **unknown)
    settle_statement(statement=first, outcome="none_of_these", reason="harmless", by=ada)
    assert say(teodor, "Does not know whether there is a new medicine.", **unknown) is not None


def test_a_settlement_is_corrected_beside_the_old_one_and_says_why(teodor: Patient, ada: User) -> None:
    statement = say(teodor)
    with pytest.raises(InvalidTransition, match="nobody has settled it yet"):
        settle_statement(statement=statement, outcome="reopened", note="Wrong patient", by=ada)
    settle_statement(statement=statement, outcome="fact", facts=DOAC, by=ada)
    with pytest.raises(InvalidInput, match="Ada Moreau settled this") as refusal:
        settle_statement(statement=statement, outcome="none_of_these", reason="stopped", by=ada)
    assert refusal.value.field == "note"

    settle_statement(
        statement=statement, outcome="none_of_these", reason="stopped", note="Stopped in May, letter seen", by=ada
    )
    assert (settled_facts(teodor), statement.outcome, statement.reason) == ((), "none_of_these", "stopped")
    settle_statement(statement=statement, outcome="reopened", note="The letter was another's", by=ada)
    assert open_statements(teodor) == [statement]
    assert [row.outcome for row in Settlement.objects.order_by("number")] == ["fact", "none_of_these", "reopened"]


def test_statements_and_settlements_never_change(teodor: Patient, ada: User) -> None:
    statement = say(teodor)
    settle_statement(statement=statement, outcome="fact", facts=DOAC, by=ada)
    for rows, guard in ((Statement.objects.all(), "statement_append_only"), (Settlement.objects, "settlement_append")):
        with pytest.raises(IntegrityError, match=guard), transaction.atomic():
            rows.update(public_id=uuid4())
        with pytest.raises(IntegrityError, match=guard), transaction.atomic():
            rows.all()._raw_delete("default")


@pytest.mark.parametrize(
    ("row", "constraint"),
    [
        ({"outcome": "none_of_these"}, "none_of_these_has_a_reason"),
        ({"outcome": "fact", "number": 2}, "correction_has_words"),
        ({"outcome": "reopened"}, "only_a_settled_statement_is_reopened"),
    ],
)
def test_the_database_refuses_a_settlement_without_its_reason(
    teodor: Patient, ada: User, row: dict[str, Any], constraint: str
) -> None:
    given = {"statement": say(teodor), "number": 1, "settled_at": timezone.now(), "settled_by": ada} | row
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Settlement.objects.create(**given)


def test_merged_records_are_seen_together_from_either(teodor: Patient, ada: User, fill: Any) -> None:
    twin = factories.patient(by=ada, given_name="Theodor", email="")
    fill(twin, by=ada)
    intake = fill(teodor, by=ada, medications=[])
    mine, theirs = say(teodor), say(twin, "red capsules", at=timezone.now() + timedelta(seconds=1))
    assert open_statements(teodor) == [mine]
    merge_patients(merged=twin, into=teodor, reason="One person", by=ada)
    twin.refresh_from_db()
    assert open_statements(teodor) == open_statements(twin) == [mine, theirs]
    assert open_statements_of([teodor]) == {teodor.pk: [mine, theirs]}

    settle_statement(statement=theirs, outcome="fact", facts=DOAC, by=ada)
    assert case_of(intake, on=factories.today())["facts"]["medications"] == ["doac"]
    assert say(teodor, "Red capsules") is None


def test_what_is_open_and_settled_costs_the_same_for_1_and_for_9(
    teodor: Patient, ada: User, django_assert_num_queries: Any
) -> None:
    for n in range(9):
        statement = say(teodor, f"tablet {n}")
        if n % 2:
            settle_statement(statement=statement, outcome="fact", facts=DOAC, by=ada)
        if n in (0, 8):
            with django_assert_num_queries(2):
                assert len(open_statements(teodor)) == n // 2 + 1
                assert len(settled_facts(teodor)) == n // 2


# ------------------------------------------------------------------ what an intake and a day check say


def typed(patient: Patient, *, by: User, submit: bool = True, **beside: Any) -> Intake:
    """An intake with words beside its answers."""
    intake = start_intake(patient=patient, by=by)
    save_intake(
        intake=intake,
        revision=intake.revision,
        facts={"conditions": ["asthma"], "medications": [], "allergies": [], **beside.pop("facts", {})},
        concerns=[{"concern": "androgenetic_alopecia", "severity": "moderate"}],
        zones=[{"zone": "vertex", "area_cm2": "80"}],
        note=beside.pop("note", ""),
        by=by,
        **beside,
    )
    return submit_intake(intake=intake, by=by) if submit else intake


def words(patient: Patient) -> list[tuple[str, str, str]]:
    return [(row.kind, row.text, row.source) for row in open_statements(patient)]


def test_everything_in_words_of_an_intake_is_open_once_it_is_submitted(teodor: Patient, ada: User) -> None:
    given = {
        "medicines": "aspirin 100 mg\nmoon dust\nstopped apixaban in May",
        "other_allergies": "nickel, a rash\nnone",
        "details": {"conditions": {"asthma": "as a child", "epilepsy": "not ticked"}},
        "note": "Had an operation on the head.\n\nnothing",
    }
    draft = typed(teodor, by=ada, submit=False, **given, facts={"medications": ["antiplatelet_single"]})
    assert words(teodor) == []
    intake = submit_intake(intake=draft, by=ada)
    assert words(teodor) == [
        ("medicine", "moon dust", "intake"),
        ("medicine", "stopped apixaban in May", "intake"),
        ("allergy", "nickel, a rash", "intake"),
        ("illness", "as a child", "intake"),
        ("note", "Had an operation on the head.", "intake"),
    ]
    said = open_statements(teodor)
    assert {(row.source_id, row.said_by, row.said_at) for row in said} == {(intake.public_id, ada, intake.submitted_at)}
    assert said[3].about == "conditions:asthma"


def test_the_next_intake_asks_only_for_what_is_new(teodor: Patient, ada: User) -> None:
    typed(teodor, by=ada, medicines="moon dust", note="Had an operation on the head.")
    for statement in open_statements(teodor):
        settle_statement(statement=statement, outcome="none_of_these", reason="harmless", by=ada)
    typed(teodor, by=ada, medicines="moon dust\nstar dust", note="Had an operation on the head.\nFaints easily.")
    assert words(teodor) == [("medicine", "star dust", "intake"), ("note", "Faints easily.", "intake")]


def test_a_part_of_a_list_that_nobody_knows_is_open_beside_the_ticks(teodor: Patient, ada: User) -> None:
    parts = {part.key: "none" for part in load_vocabulary().facts["conditions"].parts if part.key != "immune"} | {
        "blood": "unknown"
    }
    intake = typed(teodor, by=ada, groups={"conditions": parts})
    assert intake.facts["conditions"] == ["asthma"]
    assert [(row.kind, row.about, row.is_unknown) for row in open_statements(teodor)] == [
        ("illness", "conditions:blood", True)
    ]


ASKED = {"fever_or_acute_illness": False}
CALM = Answers(facts=ASKED, new_medicines="", new_illness="", new_allergy="")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"new_medicines": "moon dust"}, [("medicine", "moon dust")]),
        ({"new_illness": "an operation\nin May"}, [("illness", "an operation"), ("illness", "in May")]),
        ({"new_allergy": "nickel"}, [("allergy", "nickel")]),
        ({"note": "fever of 39 last night"}, [("note", "fever of 39 last night")]),
        (
            {"new_medicines": None, "unknown": ("new_medicines",)},
            [("medicine", "Does not know whether there is a new medicine.")],
        ),
        (
            {"new_illness": None, "unknown": ("new_illness",)},
            [("illness", "Does not know whether there is a new illness or operation.")],
        ),
        (
            {"new_allergy": None, "unknown": ("new_allergy",)},
            [("allergy", "Does not know whether there is a new allergy.")],
        ),
    ],
)
def test_what_is_said_before_a_session_is_open_once_and_never_unchanged(
    teodor: Patient, ada: User, ben: User, change: dict[str, Any], said: list[tuple[str, str]]
) -> None:
    typed(teodor, by=ada)
    answers = replace(CALM, **change)
    with pytest.raises(InvalidInput, match="An answer differs") as refusal:
        confirm_unchanged(patient=teodor, answers=answers, by=ben)
    assert refusal.value.field == next(iter(change)) or refusal.value.field in change.get("unknown", ())
    check = record_changes(patient=teodor, answers=answers, by=ben)
    assert words(teodor) == [(kind, text, "day_check") for kind, text in said]
    assert {row.source_id for row in open_statements(teodor)} == {check.public_id}
    assert check.intake.facts["conditions"] == ["asthma"]  # what was known stays known


@pytest.mark.parametrize("fact", ["fever_or_acute_illness", "pregnancy_status", "lactating"])
def test_not_knowing_before_a_session_stays_unknown_in_the_intake(ada: User, ben: User, fact: str) -> None:
    ilse = factories.patient(by=ada, given_name="Ilse", sex_at_birth="female")
    calm = {"fever_or_acute_illness": False, "pregnancy_status": "not_pregnant", "lactating": False}
    typed(ilse, by=ada, facts={**calm, "could_become_pregnant": True})
    answers = replace(CALM, facts={**calm, fact: UNKNOWN})
    with pytest.raises(InvalidInput, match="An answer differs") as refusal:
        confirm_unchanged(patient=ilse, answers=answers, by=ben)
    assert refusal.value.field == fact
    made = record_changes(patient=ilse, answers=answers, by=ben).intake
    assert made.facts[fact] == UNKNOWN
    assert fact not in case_of(made, on=factories.today())["facts"]


def test_a_fever_that_has_passed_is_a_change(teodor: Patient, ada: User) -> None:
    typed(teodor, by=ada, facts={"fever_or_acute_illness": True})
    with pytest.raises(InvalidInput, match="An answer differs") as refusal:
        confirm_unchanged(patient=teodor, answers=CALM, by=ada)
    assert refusal.value.field == "fever_or_acute_illness"
    assert record_changes(patient=teodor, answers=CALM, by=ada).intake.facts["fever_or_acute_illness"] is False


def test_day_check_page_takes_not_knowing_and_a_note_and_loses_nothing(
    teodor: Patient, ada: User, ben: User, sign_in: Any
) -> None:
    typed(teodor, by=ada)
    client, url = sign_in(ben), reverse("patients:day_check", args=[teodor.public_id])
    sent = {
        "fact-fever_or_acute_illness": "no",
        "any_medicines": "(unknown)",
        "any_illness": "no",
        "new_illness": "an operation",
        "any_allergy": "no",
        "note": "looked pale",
    }
    page = client.post(url, sent)
    assert page.status_code == 422
    assert "“No” is chosen and something is written. Keep one." in page.content.decode()
    assert "looked pale" in page.content.decode() and "an operation" in page.content.decode()
    answer = client.post(url, sent | {"any_illness": "yes"})
    assert answer.status_code == 302
    assert [(kind, text) for kind, text, _source in words(teodor)] == [
        ("illness", "an operation"),
        ("note", "looked pale"),
        ("medicine", "Does not know whether there is a new medicine."),
    ]


def test_upgrade_makes_statements_of_what_the_newest_intakes_say(teodor: Patient, ada: User) -> None:
    migration = import_module("patients.migrations.0005_statements_of_intakes")
    typed(teodor, by=ada, medicines="star dust")
    given = {
        "medicines": "aspirin 100 mg\nmoon dust\nmoon dust, again",
        "other_allergies": "nickel",
        "details": {"conditions": {"asthma": "as a child"}},
        "note": "2026-01-05: Faints easily.\nFaints easily.",
    }
    typed(teodor, by=ada, **given, facts={"medications": ["antiplatelet_single"]})
    before = {(row.kind, row.text, row.about, row.fingerprint) for row in open_statements(teodor)}
    made: list[Any] = []
    rows = SimpleNamespace(bulk_create=made.extend)
    stored = {"Intake": Intake, "Statement": type("Statement", (SimpleNamespace,), {"objects": rows})}
    registry = SimpleNamespace(get_model=lambda _app, name: stored[name])
    migration.say_what_stands(registry, None)
    found = {(row.kind, row.text, row.about, row.fingerprint) for row in made}
    assert found == {row for row in before if row[1] != "star dust"}


@pytest.mark.parametrize(
    "text", ["Œdème de Quincke", "l’iode, à 12 ans", "حساسية من البنسلين", "كودئين", "ALLERGIE: Ñandú"]
)
def test_words_that_an_upgrade_stored_are_known_again_when_they_are_said(text: str) -> None:
    """The migration keeps its own copy of the folding; what it stored has to be what is looked up today."""
    migration = import_module("patients.migrations.0005_statements_of_intakes")

    assert migration.fold(text) == fold(text)
