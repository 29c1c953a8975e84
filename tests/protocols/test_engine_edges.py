"""Corners that the starter formulary does not reach, on formularies changed for the purpose."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from protocols.engine import CaseError, Formulary, Policy, apply_edits, build_formulary, parse_case, propose, verify
from protocols.engine.inputs.case import Case
from protocols.engine.inputs.triggers import build_trigger
from protocols.engine.mixing.dose import Diluent, Limits, dose
from protocols.formulary.loader import load_documents
from tests.protocols.worked_cases import actives, answer_of, left_out_code, line_of, man, starter, woman


def changed(change: Callable[[dict[str, Any]], Any]) -> Formulary:
    documents = load_documents()
    change(documents)
    return build_formulary(documents)


def entry(documents: dict[str, Any], key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(e for e in documents["ingredients"]["ingredients"] if e["key"] == key)
    return found


def agreed(case: dict[str, Any], formulary: Formulary) -> dict[str, Any]:
    """The answer, once the second calculation has agreed with it."""
    answer = answer_of(case, formulary)
    assert verify(answer, case, formulary) == ()
    return answer


# ---------------------------------------------------------------------- triggers
@pytest.mark.parametrize(
    ("op", "value", "true", "false"),
    [
        ("lte", 60, 60, 61), ("in", [40, 41], 41, 42), ("is", 40, 40, 41), ("is_not", 40, 41, 40),
        ("gt", 60, 61, 60), ("gte", 60, 60, 59), ("lt", 60, 59, 60),
    ],
)  # fmt: skip
def test_every_operation_on_a_number(op: str, value: Any, true: int, false: int) -> None:
    formulary = changed(
        lambda d: d["screening"]["rules"].append(
            {
                "key": "added", "severity": "info", "applies_to": {"scope": "plan"}, "message": "-",
                "trigger": {"fact": "age_years", "op": op, "value": value}, "source_ids": ["clinic_default"],
            }
        )
    )  # fmt: skip

    assert "added" in agreed(man(facts={"age_years": true}), formulary)["rules_fired"]
    assert "added" not in agreed(man(facts={"age_years": false}), formulary)["rules_fired"]


def test_empty_list_can_fire_a_rule() -> None:
    trigger = build_trigger({"fact": "conditions", "op": "is_not_empty", "value": False}, starter().facts)

    assert trigger.holds({"conditions": ()})
    assert not trigger.holds({"conditions": ("asthma",)})
    assert not trigger.holds({})


def test_is_not_is_true_of_an_unanswered_fact_and_nothing_else_is() -> None:
    def holds(op: str, value: Any, fact: str = "patchy_diagnosis") -> bool:
        return build_trigger({"fact": fact, "op": op, "value": value}, starter().facts).holds({})

    assert holds("is_not", "none")
    assert not holds("is", "none") and not holds("in", ["none"])
    assert not holds("includes", "asthma", "conditions") and not holds("is_not_empty", True, "conditions")


def test_two_unanswered_facts_are_both_asked() -> None:
    def both(documents: dict[str, Any]) -> None:
        documents["screening"]["rules"].append(
            {
                "key": "added", "severity": "absolute", "applies_to": {"scope": "plan"}, "message": "-",
                "trigger": {"all": [
                    {"fact": "lab_ferritin", "op": "lt", "value": 5},
                    {"any": [
                        {"fact": "lab_vitamin_d", "op": "lt", "value": 5},
                        {"fact": "smoker", "op": "is", "value": True},
                    ]},
                ]},
                "source_ids": ["clinic_default"],
            }
        )  # fmt: skip

    def asked(**facts: Any) -> set[str]:
        return {row["fact"] for row in agreed(man(facts=facts), changed(both))["open_questions"]}

    assert {"lab_ferritin", "lab_vitamin_d"} <= asked()
    assert not {"lab_ferritin", "lab_vitamin_d"} & asked(lab_ferritin=50)
    assert {"lab_ferritin"} == asked(smoker=True) & {"lab_ferritin"}
    assert not {"lab_ferritin"} & asked(lab_vitamin_d=50)


def test_unanswered_list_of_ingredients_is_asked_where_it_could_exclude() -> None:
    def optional(documents: dict[str, Any]) -> None:
        documents["screening"]["required_before_plan"]["always"].remove("allergy_ingredients")

    answer = agreed(man(facts={"allergy_ingredients": ...}), changed(optional))

    row = next(row for row in answer["open_questions"] if row["fact"] == "allergy_ingredients")
    assert set(row["ingredients"]) >= actives(answer)


# ---------------------------------------------------------------------- doses
def test_ingredient_that_cannot_be_drawn_is_left_out() -> None:
    def narrow(documents: dict[str, Any]) -> None:
        session = entry(documents, "pdrn")["per_session"]
        session["volume"].update(min="1.01", usual="1.02", max="1.04")

    assert left_out_code(agreed(man(), changed(narrow)), "pdrn") == "not_drawable"


def test_volumes_between_two_steps_are_rounded_inwards() -> None:
    def odd(documents: dict[str, Any]) -> None:
        entry(documents, "biochanin_a")["per_session"]["volume"].update(min="0.52", usual="0.93", max="1.48")

    line = line_of(agreed(man(zones=list(starter().zones)), changed(odd)), "biochanin_a")

    assert (line["volume_min_ml"], line["volume_usual_ml"], line["volume_max_ml"]) == ("0.55", "0.95", "1.45")


def test_ingredient_too_large_for_the_area_says_so() -> None:
    def large(documents: dict[str, Any]) -> None:
        entry(documents, "pdrn")["per_session"]["volume"].update(min="1.5")

    answer = agreed(man(zones=["temporal_left"]), changed(large))

    row = next(row for row in answer["left_out"] if row["ingredient"] == "pdrn")
    assert (row["reason_code"], row["params"]) == ("no_volume", {"needed_ml": "1.5", "target_ml": "1"})


def test_minimums_beyond_the_target_are_a_mistake_in_code() -> None:
    with pytest.raises(ValueError, match="minimums exceed"):
        dose((1,), {0: Limits(least=9, usual=10, most=20)}, 8, None, Fraction(0))


def test_diluent_share_of_nothing_pours_nothing() -> None:
    diluent = Diluent(index=1, most=100, joins=(True,))

    (mixture,) = dose((1,), {0: Limits(least=2, usual=4, most=6)}, 20, diluent, Fraction(0))

    assert (mixture.steps, mixture.diluent_steps) == ({0: 6}, 0)


def test_two_syringes_are_diluted_alike() -> None:
    diluent = Diluent(index=2, most=100, joins=(True, True))
    limits = {0: Limits(least=2, usual=8, most=8), 1: Limits(least=2, usual=4, most=4)}

    mixtures = dose((0b01, 0b10), limits, 30, diluent, Fraction(3, 4))

    assert [mixture.diluent_steps for mixture in mixtures] == [12, 6]


# ---------------------------------------------------------------------- sessions
def test_session_with_nothing_to_inject_is_said() -> None:
    only = [item.key for item in starter().by_index if item.key != "dutasteride"]
    case = man(
        formulary_overrides={"activate": ["dutasteride"]},
        policy={"avoid": only, "selection_weights": {"caution_per_rule": 0}},
    )
    answer = agreed(case, starter())

    assert actives(answer) == {"dutasteride"}
    assert [len(session["syringes"]) for session in answer["sessions"]] == [1, 0, 0, 1]
    caution = next(row for row in answer["cautions"] if row["rule"] == "session_without_mixture")
    assert caution["params"]["sessions"] == [2, 3]


def test_diluent_with_a_long_interval_leaves_sessions_undiluted() -> None:
    def slow(documents: dict[str, Any]) -> None:
        entry(documents, "sodium_chloride_09")["per_session"]["min_interval_days"] = 50

    answer = agreed(man(zones=list(starter().zones)), changed(slow))

    diluted = [
        any(line["role"] == "diluent" for syringe in session["syringes"] for line in syringe["lines"])
        for session in answer["sessions"]
    ]
    assert diluted == [True, False, True, False]


def test_volume_set_by_hand_holds_in_every_session() -> None:
    case = man(formulary_overrides={"activate": ["dutasteride"]}, zones=list(starter().zones))
    edits = [{"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "0.55"}]

    answer = apply_edits(case, starter(), None, edits).proposal.as_dict()

    assert verify(answer, case, starter()) == ()
    for session in answer["sessions"]:
        lines = {line["ingredient"]: line for syringe in session["syringes"] for line in syringe["lines"]}
        assert lines["biochanin_a"]["volume_ml"] == "0.55"


def test_volume_set_by_hand_of_an_ingredient_that_is_not_in_every_session() -> None:
    case = man(formulary_overrides={"activate": ["dutasteride"]}, zones=list(starter().zones))
    edits = [{"op": "set_volume", "ingredient": "dutasteride", "volume_ml": "0.8"}]

    answer = apply_edits(case, starter(), None, edits).proposal.as_dict()

    assert verify(answer, case, starter()) == ()
    assert line_of(answer, "dutasteride")["dose"] == "0.08"


def test_volume_set_by_hand_stays_inside_the_budget() -> None:
    case = man(zones=list(starter().zones), policy={"ingredient_budget": 30})
    edits = [{"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.5"}]

    result = apply_edits(case, starter(), None, edits)

    assert [refusal.code for refusal in result.refusals] == ["budget"]
    assert result.proposal.status == "proposed"


def test_claim_of_no_weight_serves_no_concern() -> None:
    case = man(policy={"selection_weights": {"evidence_grade": {"B": 0}}})
    answer = agreed(case, starter())

    assert left_out_code(answer, "biochanin_a") == "serves_no_concern"


def test_word_that_the_check_would_refuse_is_a_mistake_in_code() -> None:
    trigger = build_trigger({"fact": "smoker", "op": "equals", "value": True}, starter().facts)
    with pytest.raises(ValueError, match="unknown operation"):
        trigger.holds({"smoker": True})
    with pytest.raises(ValueError, match="unknown scope"):
        changed(lambda d: d["screening"]["rules"][0]["applies_to"].update(scope="town"))


# ---------------------------------------------------------------------- course
def test_course_of_one_session() -> None:
    def single(documents: dict[str, Any]) -> None:
        band = documents["course"]["sessions"]["by_severity"][0]
        band["sessions"]["min"], band["span"]["min"] = 1, 0

    case = man(concerns=[{"concern": "androgenetic_alopecia", "severity": "mild"}], policy={"sessions": 1})
    course = agreed(case, changed(single))["course"]

    assert (course["offsets_days"], course["span_days"]) == ([0], 0)
    assert [row["key"] for row in course["checkpoints"]] == ["decision_review", "end_of_course"]


def test_checkpoint_speaks_only_for_its_severities() -> None:
    def severe_only(documents: dict[str, Any]) -> None:
        documents["course"]["checkpoints"][0]["applies_to"] = ["severe"]

    keys = [row["key"] for row in agreed(man(), changed(severe_only))["course"]["checkpoints"]]

    assert keys == ["decision_review", "end_of_course"]


def test_schedule_chosen_by_hand() -> None:
    case = man(concerns=[{"concern": "androgenetic_alopecia", "severity": "severe"}])
    name = "front-loaded, 5 sessions"

    answer = apply_edits(case, starter(), None, [{"op": "set_schedule", "schedule": name}]).proposal.as_dict()

    assert (answer["course"]["schedule"], answer["course"]["offsets_days"]) == (name, [0, 28, 56, 98, 140])
    assert verify(answer, case, starter()) == ()


# ---------------------------------------------------------------------- stock, policy, case
def test_stock_may_be_given_apart_from_the_case() -> None:
    stock = {"biochanin_a": "0.75"}

    assert actives(propose(man(), starter(), None, stock).as_dict()) == {"biochanin_a"}
    for call in (lambda bad: propose(man(), starter(), None, bad), lambda bad: verify({}, man(), starter(), None, bad)):
        with pytest.raises(CaseError) as error:
            call({"snake_oil": 1})
        assert error.value.faults[0].path == "stock.snake_oil"


def test_parsed_case_may_be_proposed_again() -> None:
    parsed = parse_case(man(), starter())

    assert isinstance(parsed, Case)
    assert propose(parsed, starter()).as_dict() == answer_of(man())
    assert verify(answer_of(man()), parsed, starter()) == ()


def test_policy_of_the_case_stands_over_the_clinic_s() -> None:
    clinic = Policy.from_mapping({"region": "rural", "provider": "dermatologist"}, starter())

    answer = propose(man(policy={"region": "city"}), starter(), clinic).as_dict()

    lines = {row["item"]: row["key"] for row in answer["cost"]["lines"]}
    assert (lines["region"], lines["provider"]) == ("city", "dermatologist")
    assert verify(answer, man(policy={"region": "city"}), starter(), clinic) == ()


def test_weights_merge_with_those_set_before() -> None:
    first = Policy.from_mapping({"selection_weights": {"severity": {"mild": 2}, "extra_syringe": "0.1"}}, starter())

    both = first.overridden({"selection_weights": {"severity": {"severe": 9}, "caution_per_rule": 1}}, starter())

    assert both.severity_weight == {"mild": Decimal(2), "moderate": Decimal(2), "severe": Decimal(9)}
    assert both.overrides["selection_weights"] == {
        "severity": {"mild": Decimal(2), "severe": Decimal(9)},
        "extra_syringe": Decimal("0.1"),
        "caution_per_rule": Decimal(1),
    }
    assert Policy.from_mapping({}, starter()) == Policy.default(starter())


def test_fine_weights_stay_exact() -> None:
    case = man(
        concerns=[{"concern": key, "severity": "mild"} for key in ("androgenetic_alopecia", "ageing_scalp")],
        policy={"selection_weights": {"severity": {"mild": "1.000001"}, "evidence_grade": {"B": "0.123457"},
                                      "direction": {"supports": "0.999999"}, "simplicity_per_active": "0.000001"}},
    )  # fmt: skip

    assert len(actives(agreed(case, starter()))) > 3


POLICY_FAULTS: list[tuple[Any, str, str]] = [
    ([], "policy", "wrong_type"),
    ({"allow_prescription": "yes"}, "policy.allow_prescription", "wrong_type"),
    ({"max_actives": "3"}, "policy.max_actives", "wrong_type"),
    ({"max_actives": True}, "policy.max_actives", "wrong_type"),
    ({"max_syringes": 0}, "policy.max_syringes", "out_of_range"),
    ({"alternatives": 7}, "policy.alternatives", "out_of_range"),
    ({"avoid": "biotin"}, "policy.avoid", "wrong_type"),
    ({"avoid": ["biotine"]}, "policy.avoid[0]", "unknown_value"),
    ({"ingredient_budget": "much"}, "policy.ingredient_budget", "wrong_type"),
    ({"ingredient_budget": -1}, "policy.ingredient_budget", "out_of_range"),
    ({"price_per_unit": "0.0000001"}, "policy.price_per_unit", "out_of_range"),
    ({"sessions": 6}, "policy.sessions", "out_of_range"),
    ({"schedule": "weekly"}, "policy.schedule", "unknown_value"),
    ({"schedule": 3}, "policy.schedule", "wrong_type"),
    ({"region": "moon"}, "policy.region", "unknown_value"),
    ({"provider": "barber"}, "policy.provider", "unknown_value"),
    ({"currency": "euro"}, "policy.currency", "bad_currency"),
    ({"currency": 3}, "policy.currency", "bad_currency"),
    ({"selection_weights": 3}, "policy.selection_weights", "wrong_type"),
    ({"selection_weights": {"severity": 3}}, "policy.selection_weights.severity", "wrong_type"),
    ({"selection_weights": {"severity": {"dire": 3}}}, "policy.selection_weights.severity.dire", "unknown_key"),
    ({"selection_weights": {"severity": {"mild": -3}}}, "policy.selection_weights.severity.mild", "out_of_range"),
    ({"selection_weights": {"simplicity": 3}}, "policy.selection_weights.simplicity", "unknown_key"),
    ({"selection_weights": {"extra_syringe": "x"}}, "policy.selection_weights.extra_syringe", "wrong_type"),
]


@pytest.mark.parametrize(("policy", "path", "code"), POLICY_FAULTS)
def test_policy_fault_is_named(policy: Any, path: str, code: str) -> None:
    with pytest.raises(CaseError) as error:
        Policy.from_mapping(policy, starter())

    assert [(fault.path, fault.code) for fault in error.value.faults] == [(path, code)]


CASE_FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"facts": {"lab_inr": "1.1234567"}}, "facts.lab_inr", "too_precise"),
    ({"facts": {"lab_inr": float("nan")}}, "facts.lab_inr", "not_finite"),
    ({"facts": {"lab_inr": "1e3"}}, "facts.lab_inr", "wrong_type"),
    ({"zones": [{"zone": "frontal", "area_cm2": "60.1234567"}]}, "zones[0].area_cm2", "too_precise"),
    ({"zones": [{"zone": "frontal", "area_cm2": "wide"}]}, "zones[0].area_cm2", "wrong_type"),
    ({"zones": [{"zone": "frontal", "size": 3}]}, "zones[0].size", "unknown_key"),
    ({"zones": [{}]}, "zones[0].zone", "required"),
    ({"zones": "frontal"}, "zones", "wrong_type"),
    ({"zones": ["frontal"] * 201}, "zones", "too_long"),
    ({"concerns": [{"concern": "ageing_scalp", "severity": "mild", "since": 3}]}, "concerns[0].since", "unknown_key"),
    ({"zones": ["frontal", {"zone": "frontal"}]}, "zones[1].zone", "duplicate"),
    ({"zones": [{"zone": "temporal_left", "area_cm2": 15}]}, "zones", "total_area_out_of_range"),
    ({"concerns": [{"concern": "ageing_scalp", "severity": "mild"}] * 2}, "concerns[1].concern", "duplicate"),
    *(
        (
            {"concerns": [{"concern": "ageing_scalp", "severity": "mild", "insisted": said}]},
            "concerns[0].insisted",
            code,
        )
        for said, code in ((" ", "required"), (3, "required"), ("a" * 5000, "required"), ("\x00", "bad_text"))
    ),
    (
        {"formulary_overrides": {"activate": ["biotin"], "deactivate": ["biotin"]}},
        "formulary_overrides",
        "contradiction",
    ),
    ({"formulary_overrides": 3}, "formulary_overrides", "wrong_type"),
    ({"formulary_overrides": {"enable": []}}, "formulary_overrides.enable", "unknown_key"),
    ({"stock": 3}, "stock", "wrong_type"),
    ({"stock": {"biotin": "much"}}, "stock.biotin", "wrong_type"),
    ({"waived": 3}, "waived", "wrong_type"),
    ({"waived": {"inr": {}}}, "waived.inr", "unknown_fact"),
    ({"waived": {"lab_inr": "later"}}, "waived.lab_inr", "wrong_type"),
    ({"waived": {"lab_inr": {"as": "later", "reason": "x"}}}, "waived.lab_inr.as", "unknown_value"),
    ({"waived": {"lab_inr": {"as": "not_measured", "reason": " "}}}, "waived.lab_inr.reason", "required"),
    ({"waived": {"lab_inr": {"as": "not_measured", "reason": "\x00"}}}, "waived.lab_inr.reason", "bad_text"),
    ({"waived": {"age_years": {"as": "not_measured", "reason": "x"}}}, "waived.age_years", "answered_and_waived"),
]


@pytest.mark.parametrize(("change", "path", "code"), CASE_FAULTS)
def test_case_fault_is_named(change: dict[str, Any], path: str, code: str) -> None:
    with pytest.raises(CaseError) as error:
        parse_case(woman(**change), starter())

    assert [(fault.path, fault.code) for fault in error.value.faults] == [(path, code)]


def test_reason_for_insisting_is_kept_as_it_was_said() -> None:
    concern = {"concern": "ageing_scalp", "severity": "mild", "insisted": "Seen today:\n\tnot severe."}

    (entry,) = parse_case(woman(concerns=[concern]), starter()).concerns

    assert entry.insisted == "Seen today:\n\tnot severe."


def test_formulary_without_a_top_up_diluent_uses_none() -> None:
    def dry(documents: dict[str, Any]) -> None:
        documents["course"]["composition"]["top_up_diluents"] = []

    answer = agreed(man(zones=list(starter().zones)), changed(dry))

    assert not any(line["role"] == "diluent" for syringe in answer["syringes"] for line in syringe["lines"])
    assert left_out_code(answer, "sodium_chloride_09") == "diluent_for_reconstitution"
