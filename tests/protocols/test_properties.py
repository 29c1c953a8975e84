"""Properties that hold for every patient, looked for by hypothesis in what the strategies can reach."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.engine import apply_edits, canonical_json, propose, verify
from protocols.engine.compare import compare
from tests.protocols.patients_at_random import random_patient
from tests.protocols.worked_cases import actives, answer_of, count, in_mixture, starter

EXAMPLES = settings(
    max_examples=count(40, 2000),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
patients = st.integers(min_value=0, max_value=10**9).map(lambda seed: random_patient(random.Random(seed)))
UNREAD = [
    key
    for key in starter().facts
    if key not in starter().rules_by_fact and key not in ("norwood_stage", "sex_at_birth")
]


def _excluded_by(fact: str, value: str) -> set[str]:
    """Ingredients that an exclude rule names for this answer, alone."""
    named: set[str] = set()
    for rule in starter().rules:
        if rule.severity == "exclude" and rule.trigger.holds({fact: (value,)}):
            named |= set(starter().keys(rule.scope.mask))
    return named


@EXAMPLES
@given(patient=patients, data=st.data())
def test_a_contraindication_never_adds_what_it_names(patient: dict[str, Any], data: st.DataObject) -> None:
    fact = data.draw(st.sampled_from(["conditions", "medications", "allergies", "allergy_ingredients"]))
    value = data.draw(st.sampled_from(starter().facts[fact].values))
    before = answer_of(patient)
    worse = copy.deepcopy(patient)
    worse["facts"][fact] = list(dict.fromkeys([*worse["facts"][fact], value]))

    after = answer_of(worse)

    named = {value} if fact == "allergy_ingredients" else _excluded_by(fact, value)
    assert not in_mixture(after) & named
    assert {row["rule"] for row in before["blocks"]} <= {row["rule"] for row in after["blocks"]}
    assert {(row["ingredient"], row["rule"]) for row in before["excluded_by_rule"]} <= {
        (row["ingredient"], row["rule"]) for row in after["excluded_by_rule"]
    }


@EXAMPLES
@given(patient=patients)
def test_second_calculation_agrees(patient: dict[str, Any]) -> None:
    assert verify(answer_of(patient), patient, starter()) == ()


@EXAMPLES
@given(patient=patients, seed=st.integers(min_value=0, max_value=10**6))
def test_input_order_is_irrelevant(patient: dict[str, Any], seed: int) -> None:
    shuffled = _shuffled(patient, random.Random(seed))

    assert canonical_json(answer_of(shuffled)) == canonical_json(answer_of(patient))


def _shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: _shuffled(value[key], rng) for key in keys}
    if isinstance(value, list):
        return rng.sample([_shuffled(item, rng) for item in value], k=len(value))
    return value


@EXAMPLES
@given(patient=patients, note=st.sampled_from(["id", "title", "narrative", "reasons"]))
def test_notes_beside_a_case_change_nothing(patient: dict[str, Any], note: str) -> None:
    assert answer_of({**patient, note: ["anything"]}) == answer_of(patient)


@EXAMPLES
@given(patient=patients)
def test_answer_survives_json(patient: dict[str, Any]) -> None:
    answer = answer_of(patient)

    assert json.loads(canonical_json(answer)) == answer
    assert propose(json.loads(json.dumps(patient)), starter()).as_dict() == answer


@EXAMPLES
@given(patient=patients)
def test_every_active_ingredient_appears_exactly_once(patient: dict[str, Any]) -> None:
    answer = answer_of(patient)
    switched_on = set(patient.get("formulary_overrides", {}).get("activate", ()))
    active = {item.key for item in starter().by_index if item.active} | switched_on

    left = [row["ingredient"] for row in answer["left_out"]]
    mixed = [line["ingredient"] for s in answer["syringes"] for line in s["lines"] if line["role"] != "diluent"]
    assert len(left) == len(set(left)) and len(mixed) == len(set(mixed))
    assert not set(left) & set(mixed)
    assert set(left) | in_mixture(answer) == active


@EXAMPLES
@given(patient=patients)
def test_no_neighbouring_set_is_worth_more(patient: dict[str, Any]) -> None:
    """Unless it gives up a requirement, no set one step away has the greater value."""
    answer = answer_of(patient)

    for row in answer["alternatives"]:
        if row["kind"] == "waiting":  # no mixture at all is not a set one step away
            continue
        lost = any(trade["code"] == "gives_up_requirement" for trade in row["trades"])
        assert lost or not row["value_difference"].strip("-0.") or row["value_difference"].startswith("-"), row


OPERATIONS = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["set_volume", "remove", "add", "swap", "set_sessions"]),
        "ingredient": st.sampled_from(list(starter().ingredients)),
        "with": st.sampled_from(list(starter().ingredients)),
        "volume_ml": st.integers(min_value=0, max_value=70).map(lambda steps: f"{steps * 5 / 100:.2f}"),
        "sessions": st.integers(min_value=1, max_value=5),
    }
)
FIELDS = {
    "set_volume": ("ingredient", "volume_ml"),
    "remove": ("ingredient",),
    "add": ("ingredient",),
    "swap": ("ingredient", "with"),
    "set_sessions": ("sessions",),
}


@EXAMPLES
@given(patient=patients, wishes=st.lists(OPERATIONS, max_size=6), near=st.booleans())
def test_every_edit_that_stands_is_within_all_limits(
    patient: dict[str, Any], wishes: list[dict[str, Any]], near: bool
) -> None:
    own = sorted(actives(answer_of(patient)))
    edits = [{"op": wish["op"], **{key: wish[key] for key in FIELDS[wish["op"]]}} for wish in wishes]
    for number, edit in enumerate(edits):
        if near and own and edit["op"] in ("set_volume", "remove", "swap"):
            edit["ingredient"] = own[number % len(own)]

    result = apply_edits(patient, starter(), None, edits)

    answer = result.proposal.as_dict()
    assert verify(answer, patient, starter()) == ()
    assert len(answer["edits"]) + len(result.refusals) == len(edits)
    again = apply_edits(patient, starter(), None, answer["edits"])
    assert answer["status"] != "proposed" or again.proposal.as_dict() == answer


@EXAMPLES
@given(one=patients, other=patients)
def test_comparison_is_silent_only_when_nothing_changed(one: dict[str, Any], other: dict[str, Any]) -> None:
    old, new = answer_of(one), answer_of(other)

    assert compare(old, old) == []
    if not compare(old, new):
        for part in ("status", "syringes", "blocks", "value", "course", "cost", "total_volume_ml"):
            assert old[part] == new[part], part


def test_fact_that_no_rule_reads_changes_nothing_but_the_fingerprint() -> None:
    """The starter rules read every fact; one is added here that none reads."""
    from protocols.engine import build_formulary
    from protocols.formulary.loader import load_documents

    documents = load_documents()
    documents["vocabulary"]["facts"]["facts"]["favourite_colour"] = {
        "type": "enum", "label": "Colour", "question": "?", "section": "wishes", "answered_by": "patient",
        "values": {"red": "Red", "blue": "Blue"},
    }  # fmt: skip
    formulary = build_formulary(documents)
    rng = random.Random("colour")
    for _ in range(count(20, 500)):
        patient = random_patient(rng)
        red, blue = (
            answer_of({**patient, "facts": {**patient["facts"], "favourite_colour": colour}}, formulary)
            for colour in ("red", "blue")
        )
        assert red.pop("fingerprint") != blue.pop("fingerprint")
        assert red == blue


def test_unread_facts_of_the_starter_are_known() -> None:
    assert UNREAD == []
