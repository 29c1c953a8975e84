"""What a fact is stands in its data: no property may be missing, and no Python names an answer."""

from __future__ import annotations

import ast
import copy
from pathlib import Path
from typing import Any

import pytest

from patients.vocabulary import DataFileError, asked_documents, build_vocabulary, load_vocabulary, vocabulary_documents
from patients.vocabulary.behaviour import BEHAVIOUR_FIELDS, OF_EVERY_FACT, OF_LISTS
from protocols.formulary.loader import load_documents

ROOT = Path(__file__).resolve().parents[2]
LISTS = ("conditions", "medications", "allergies")

NAMED = {
    "age_years": "the record answers it, and the engine's case is given it",
    "sex_at_birth": "the record answers it, and other questions depend on it",
    "conditions": "“a new illness?” before a session adds to this list",
    "medications": "the medicines by name set this list",
    "allergies": "“a new allergy?” before a session, and allergies in words, add to this list",
    "allergy_ingredients": "its values are the formulary's",
}
"""Facts that Python may name, for another field of a form or of the record feeds them."""

NAMED_IN = {
    "patients/intake": {
        "pregnancy_status",
        "could_become_pregnant",
        "anaphylaxis_history",
    },  # contradictions
    "patients/record": {"anaphylaxis_history"},  # a chip that says whether the cause is known
    "protocols/pages": {"alcohol_free", "vegan_preference"},  # wishes, which stand in the head of a plan
    "protocols/views": {"alcohol_free", "vegan_preference"},  # the same in “what if?”
}
"""Those that one folder names. The list only grows shorter."""


def _changed(fact: str, **properties: Any) -> dict[str, Any]:
    """The data files with other properties of one fact; None takes a property away."""
    documents = copy.deepcopy(vocabulary_documents())
    entry = documents["facts"]["facts"][fact]
    for name, value in properties.items():
        entry[name] = value
        if value is None:
            del entry[name]
    return documents


@pytest.mark.parametrize(
    ("fact", "name"),
    [*(("smoker", name) for name in OF_EVERY_FACT), *(("allergies", name) for name in (*OF_EVERY_FACT, *OF_LISTS))],
)
def test_fact_without_a_property_is_refused_by_its_name(fact: str, name: str) -> None:
    with pytest.raises(DataFileError, match=f"fact {fact}: it needs {name}, so that it never silently counts"):
        build_vocabulary(_changed(fact, **{name: None}))


@pytest.mark.parametrize(
    ("fact", "properties", "message"),
    [
        ("smoker", {"about": "weather"}, "unknown about 'weather'"),
        ("smoker", {"before_session": "often"}, "unknown before_session 'often'"),
        ("smoker", {"reassuring": ["no"]}, "reassuring names answers of its own"),
        ("smoker", {"alert": "siren"}, "alert is none, allergy or a chip"),
        ("smoker", {"alert": {"text": "Smokes", "order": 9}}, "alert is none, allergy or a chip"),
        ("smoker", {"alert": {"loud": [True], "warn": [True]}}, "alert has unknown fields"),
        ("smoker", {"alert": {"warn": [True], "order": 9}}, "alert needs a text"),
        ("smoker", {"alert": {"warn": [True], "text": "Smokes"}}, "alert needs its order"),
        ("smoker", {"details": True}, "details is of lists only"),
        ("smoker", {"about": "since"}, "exactly a number of days or months"),
        ("smoker", {"about": "measurement"}, "exactly what stands among the measurements"),
        ("lab_inr", {"before_session": "asked"}, "a number cannot be asked before a session"),
        ("allergies", {"details": "often"}, "details is true or false"),
        ("allergies", {"parts": [{"key": "food"}]}, "parts is none, or parts with a key"),
        ("allergies", {"parts": [{"key": "food", "label": "Food", "values": ["fish"]}]}, "parts hold each"),
    ],
)  # fmt: skip
def test_property_that_is_not_understood_is_refused(fact: str, properties: dict[str, Any], message: str) -> None:
    with pytest.raises(DataFileError, match=f"fact {fact}: {message}"):
        build_vocabulary(_changed(fact, **properties))


def test_what_a_fact_is_stays_outside_of_what_a_formulary_stores() -> None:
    stored = asked_documents()

    assert not [key for key, entry in stored["facts"]["facts"].items() if BEHAVIOUR_FIELDS & set(entry)]
    assert not [row for row in stored["zones"]["typical_zones"] if "stages" in row]
    assert "two_of" not in stored["facts"]["facts"]["medications"]["values"]["antiplatelet_dual"]
    assert load_documents()["vocabulary"] == stored


def test_bald_patches_without_a_diagnosis_are_to_be_read() -> None:
    fact = load_vocabulary().facts["patchy_diagnosis"]

    assert [choice.key for choice in fact.values if fact.is_reassuring(choice.key)] == ["not_applicable"]


def test_python_names_no_answer_of_an_intake() -> None:
    vocabulary = load_vocabulary()
    words = set(vocabulary.facts) | {choice.key for key in LISTS for choice in vocabulary.facts[key].values}
    words |= {entry["key"] for entry in load_documents()["ingredients"]["ingredients"]}
    found: dict[str, set[str]] = {}
    for package in ("mesoclinic", "patients", "protocols", "sessions"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if {"migrations", "sample"} & {*path.parts, path.stem}:
                continue
            literals = {
                node.value
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            if named := (literals & words) - set(NAMED):
                found.setdefault(path.parent.relative_to(ROOT).as_posix(), set()).update(named)

    assert found == NAMED_IN
