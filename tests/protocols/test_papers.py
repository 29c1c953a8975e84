"""Every document of every concern speaks of that concern only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesoclinic.accounts.models import User
from patients.models import Patient
from protocols.actions.drafts import edit_plan
from protocols.formulary.loader import load_documents
from protocols.models import FormularyVersion, Plan
from protocols.prints.documents import plan_part
from protocols.prints.kinds import KINDS, OF_A_WAIT
from tests import factories
from tests.factories_protocols import draft_plan

CONCERNS = [entry["key"] for entry in load_documents()["vocabulary"]["concerns"]["concerns"]]
TOLD = load_documents()["course"]["patient_expectation_text"]
INHERITED = ("nherited hair loss goes on for life", "inoxidil lotion. Please")


def bound(concern: str) -> set[str]:
    """The sentences that are for other concerns than this one."""
    return {row["text"] for row in TOLD if isinstance(row, dict) and concern not in row["concerns"]}


def a_draft(concern: str, *, by: User) -> Plan:
    patient: Patient = factories.patient(by=by, sex_at_birth="female", family_name=concern.title().replace("_", ""))
    facts = {"patchy_diagnosis": "cleared_by_dermatologist"} if concern == "patchy_loss" else {}
    return draft_plan(by=by, patient=patient, facts=facts, concerns=[{"concern": concern, "severity": "moderate"}])


@pytest.mark.parametrize("concern", CONCERNS)
def test_every_document_speaks_of_the_plans_own_concern_only(
    ada: User, formulary: FormularyVersion, concern: str
) -> None:
    draft = a_draft(concern, by=ada)
    kinds = [kind for kind in KINDS if kind != "plan_archive"] if draft.result["syringes"] else []
    for kind in kinds:
        told = json.dumps(plan_part(draft, kind=kind), default=str, ensure_ascii=False)
        assert not {sentence for sentence in bound(concern) if sentence in told}, kind
        assert concern == "androgenetic_alopecia" or not any(words in told for words in INHERITED[:1]), kind
    waits = edit_plan(plan=draft, revision=draft.revision, edits=[{"op": "wait"}], by=ada)
    for kind in ("plan_patient", "plan_record"):
        part: dict[str, Any] = plan_part(waits, kind=kind)
        told = json.dumps(part, default=str, ensure_ascii=False)
        assert part["kind"] == OF_A_WAIT[kind] and not {sentence for sentence in bound(concern) if sentence in told}


def test_who_has_inherited_hair_loss_still_reads_that_it_goes_on(ada: User, formulary: FormularyVersion) -> None:
    told = plan_part(a_draft("androgenetic_alopecia", by=ada), kind="plan_patient")["context"]["expect"]

    assert told == [row if isinstance(row, str) else row["text"] for row in TOLD]


def test_each_bound_sentence_is_for_a_concern_there_is() -> None:
    rows = [row for row in TOLD if isinstance(row, dict)]

    assert rows and all(set(row["concerns"]) <= set(CONCERNS) and row["concerns"] for row in rows)
