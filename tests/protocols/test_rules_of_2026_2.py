"""What formulary 2026.2 added: each line fires for whom it is meant, up to its edge, and for nobody else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from protocols.engine import apply_edits, build_formulary, propose, verify
from protocols.formulary.loader import load_documents
from tests.protocols.worked_cases import (
    answer_of,
    earlier_cases,
    earlier_formulary,
    fired,
    in_mixture,
    man,
    starter,
    woman,
)

SCREENING = load_documents()["screening"]
NEW_RULES = {entry["key"] for entry in SCREENING["rules"] if "basis" in entry}


def takes(*medicines: str, **more: Any) -> dict[str, Any]:
    return {"medications": list(medicines), **more}


def has(*conditions: str, **more: Any) -> dict[str, Any]:
    return {"conditions": list(conditions), **more}


# Row of the review, person, answers for whom the rule keeps silent, answers for whom it fires, the rule.
SIDES: list[tuple[str, Callable[..., dict[str, Any]], dict[str, Any], dict[str, Any], str]] = [
    ("1", man, {"allergies": ["yeast"]}, {"allergies": ["benzyl_alcohol"]}, "allergy_benzyl_alcohol"),
    ("2", man, {"allergies": ["soy"]}, {"allergies": ["sulfite"]}, "allergy_sulfite_ascorbic"),
    ("3", man, takes("immunosuppressant"), takes("methotrexate"), "methotrexate_isoflavone"),
    ("4", man, has("autoimmune_disease_stable"), has("behcet_disease"), "pathergy_disease"),
    ("4", man, has("psoriasis_elsewhere"), has("pyoderma_gangrenosum"), "pathergy_disease"),
    ("5", man, has("psoriasis_elsewhere"), has("lichen_planus"), "koebner_lichen_or_vitiligo"),
    ("5", man, has(), has("vitiligo"), "koebner_lichen_or_vitiligo"),
    ("6", man, has("high_blood_calcium"), has("sarcoidosis"), "sarcoidosis_needling"),
    ("6", man, has("high_blood_calcium"), has("sarcoidosis"), "sarcoidosis_fillers"),
    ("6", man, has("high_blood_calcium"), has("hypercalcaemia_or_sarcoidosis"), "sarcoidosis_fillers"),
    ("7", man, {"scalp_implant_zones": ["occipital"]}, {"scalp_implant_zones": ["vertex"]},
     "implant_under_treated_zone"),
    ("7", man, {"scalp_implant_zones": []}, {"scalp_implant_zones": ["occipital"]}, "implant_elsewhere"),
    ("7", man, {"scalp_implant_zones": ["occipital"]}, {"scalp_implant_zones": ["place_not_known"]},
     "implant_place_unknown"),
    ("8", man, {"age_years": 49, "scalp_tenderness_new": True}, {"age_years": 50, "scalp_tenderness_new": True},
     "giant_cell_arteritis_suspected"),
    ("8", woman, {"age_years": 70, "scalp_tenderness_new": False}, {"age_years": 70, "scalp_tenderness_new": True},
     "giant_cell_arteritis_suspected"),
    ("9", man, takes("diabetes_medicine"), takes("glp1_agonist"), "weight_loss_shedding"),
    ("9", man, {"rapid_weight_loss": False}, {"rapid_weight_loss": True}, "weight_loss_shedding"),
    *(
        ("10", man, takes("antihypertensive"), takes(medicine), "shedding_medicine")
        for medicine in ("lithium", "valproate", "ssri_snri", "azole_antifungal", "beta_blocker", "doac")
    ),
    ("11", man, takes("ssri_snri"), takes("ssri_snri", "antiplatelet_single"), "ssri_with_blood_thinner"),
    ("11", man, takes("nsaid_regular"), takes("ssri_snri", "nsaid_regular"), "ssri_with_blood_thinner"),
    ("12", man, takes("ssri_snri"), takes("nsaid_regular"), "nsaid_pentoxifylline"),
    ("13", man, takes("nsaid_regular"), takes("antiplatelet_single"), "dexpanthenol_antiplatelet"),
    ("14", man, {"allergies": ["soy"]}, {"allergies": ["red_clover_legume"]}, "allergy_red_clover"),
    ("15", man, {"psa_monitoring": False}, {"psa_monitoring": True}, "biotin_tumour_or_pregnancy_test"),
    ("15", woman, {"hcg_monitoring": False}, {"hcg_monitoring": True}, "biotin_tumour_or_pregnancy_test"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "person", "silent", "speaks", "rule"), SIDES, ids=[f"{row[0]} {row[4]} {i}" for i, row in enumerate(SIDES)]
)
def test_rule_fires_on_its_side_of_the_edge_only(
    row: str, person: Callable[..., dict[str, Any]], silent: dict[str, Any], speaks: dict[str, Any], rule: str
) -> None:
    for facts, expected in ((silent, False), (speaks, True)):
        case = person(facts=facts)
        answer = answer_of(case)

        assert (rule in answer["rules_fired"]) is expected, facts
        assert verify(answer, case, starter()) == ()


def test_every_new_rule_is_in_the_table_and_says_what_it_rests_on() -> None:
    assert {row[4] for row in SIDES} == NEW_RULES
    for entry in SCREENING["rules"]:
        if entry["key"] in NEW_RULES:
            assert entry["basis"] and entry["evidence_grade"] and entry["source_ids"] and entry["rationale"]


# Person, answers, what must not be in any syringe although it is switched on.
NEVER: list[tuple[dict[str, Any], set[str]]] = [
    ({"allergies": ["benzyl_alcohol"]}, {"cyanocobalamin"}),
    (takes("methotrexate"), {"biochanin_a"}),
    (has("sarcoidosis"), {"hyaluronic_acid", "polynucleotides", "cholecalciferol"}),
    (takes("nsaid_regular"), {"pentoxifylline"}),
    ({"psa_monitoring": True}, {"biotin"}),
    ({"hcg_monitoring": True}, {"biotin"}),
    ({"allergies": ["red_clover_legume"]}, {"biochanin_a"}),
]
ALL_CONCERNS = [{"concern": key, "severity": "moderate"} for key in starter().concerns if key != "patchy_loss"]


@pytest.mark.parametrize(("facts", "never"), NEVER, ids=[min(row[1]) + str(i) for i, row in enumerate(NEVER)])
def test_left_out_ingredient_cannot_be_added_by_hand_either(facts: dict[str, Any], never: set[str]) -> None:
    off = sorted(key for key in never if not starter().ingredients[key].active)
    case = man(facts=facts, concerns=ALL_CONCERNS, formulary_overrides={"activate": off})
    answer = answer_of(case)

    assert answer["status"] == "proposed"
    assert not never & in_mixture(answer)
    assert never <= {row["ingredient"] for row in answer["excluded_by_rule"]}
    for key in never:
        refusals = apply_edits(case, starter(), None, [{"op": "add", "ingredient": key}]).refusals
        assert [refusal.code for refusal in refusals] == ["screened"]


@pytest.mark.parametrize(
    ("facts", "ingredient", "rule"),
    [
        ({"allergies": ["sulfite"]}, "ascorbic_acid", "allergy_sulfite_ascorbic"),
        (takes("antiplatelet_single"), "dexpanthenol", "dexpanthenol_antiplatelet"),
    ],
)
def test_caution_on_an_ingredient_is_shown_where_it_is_in_the_mixture(
    facts: dict[str, Any], ingredient: str, rule: str
) -> None:
    concerns = [
        {"concern": "nutrient_deficiency", "severity": "severe"},
        {"concern": "telogen_effluvium", "severity": "severe"},
    ]
    added = apply_edits(man(facts=facts, concerns=concerns), starter(), None, [{"op": "add", "ingredient": ingredient}])
    answer = added.proposal.as_dict()
    if added.refusals:  # the engine's own choice has it already
        answer = answer_of(man(facts=facts, concerns=concerns))

    assert ingredient in in_mixture(answer)
    assert rule in {row["rule"] for row in answer["cautions"]}
    without = apply_edits(
        man(facts=facts, concerns=concerns), starter(), None, [{"op": "remove", "ingredient": ingredient}]
    ).proposal.as_dict()
    assert rule not in {row["rule"] for row in without["cautions"]}


# ------------------------------------------------------------------ zones
@pytest.mark.parametrize(
    ("zones", "implants", "barred"),
    [
        (["frontal", "vertex"], ["vertex"], ["vertex"]),
        (["frontal", "vertex"], ["vertex", "frontal", "occipital"], ["frontal", "vertex"]),
        (["frontal"], ["vertex"], []),
        (["frontal"], [], []),
    ],
)
def test_zone_over_an_implant_is_barred_and_named(zones: list[str], implants: list[str], barred: list[str]) -> None:
    case = man(zones=zones, facts={"scalp_implant_zones": implants})
    answer = answer_of(case)

    blocks = [row for row in answer["blocks"] if row["rule"] == "implant_under_treated_zone"]
    assert answer["status"] == ("blocked" if barred else "proposed")
    assert [row["because"][0]["answer"] for row in blocks] == ([barred] if barred else [])
    assert [row["scope"] for row in blocks] == (["zones"] if barred else [])
    assert verify(answer, case, starter()) == ()


def test_second_calculation_finds_a_zone_rule_that_was_left_out_or_made_up() -> None:
    case, free = (
        man(zones=["vertex"], facts={"scalp_implant_zones": list(zones)}) for zones in (["vertex"], ["frontal"])
    )
    blocked, proposed = answer_of(case), answer_of(free)

    assert "blocks" in {found.path for found in verify(proposed, case, starter())}
    assert "blocks" in {found.path for found in verify(blocked, free, starter())}


def test_implant_that_was_not_asked_for_stays_an_open_question() -> None:
    answer = answer_of(man(facts={"scalp_implant_zones": ...}))

    assert "scalp_implant_zones" in {row["fact"] for row in answer["open_questions"]}
    assert not [row for row in answer["blocks"] if row["rule"].startswith("implant")]


# ------------------------------------------------------------------ pairs
@pytest.mark.parametrize(
    ("pair", "verdict"),
    [
        ({"ascorbic_acid", "pdrn"}, ("separate_syringe", "syringe")),
        ({"coenzyme_a", "zinc_gluconate"}, ("separate_syringe", "syringe")),
        ({"coenzyme_a", "cyanocobalamin"}, ("separate_syringe", "syringe")),
        ({"coenzyme_a", "sodium_selenite"}, ("never_mix", "syringe")),
    ],
    ids=lambda value: "-".join(sorted(value)) if isinstance(value, set) else "",
)
def test_new_pair_keeps_its_two_apart(pair: set[str], verdict: tuple[str, str]) -> None:
    a, b = (starter().ingredients[key].index for key in sorted(pair))
    joined = [row for row in starter().pairs if row.joins(a, b)]

    assert [(row.severity, row.scope) for row in joined] == [verdict]
    assert starter().apart[a] >> b & 1
    assert not [row for row in earlier_formulary().pairs if row.joins(a, b)]


def test_coenzyme_a_meets_what_cysteine_meets() -> None:
    """The same thiol: a pair of cysteine with a metal or B12 has its like."""
    cysteine, coenzyme = (starter().ingredients[key].index for key in ("cysteine", "coenzyme_a"))
    thiol = {row.key.removeprefix("cysteine_") for row in starter().pairs if row.key.startswith("cysteine_")}

    assert thiol == {
        row.key.removeprefix("coenzyme_a_") for row in starter().pairs if row.key.startswith("coenzyme_a_")
    }
    assert starter().apart[cysteine] & ~(1 << coenzyme)


# ------------------------------------------------------------------ one statement on coumarin
@pytest.mark.parametrize("facts", [has("low_blood_pressure"), takes("antihypertensive"), takes("nitrate")])
def test_coumarin_is_said_to_leave_the_blood_pressure_alone_by_every_rule(facts: dict[str, Any]) -> None:
    case = man(facts=facts, concerns=[{"concern": "poor_scalp_circulation", "severity": "severe"}])
    answer = answer_of(case)

    assert "coumarin" in in_mixture(answer)
    aimed = [row["rule"] for row in answer["cautions"] if "coumarin" in row["ingredients"]]
    assert aimed == []
    messages = {entry["key"]: entry["message"] for entry in SCREENING["rules"]}
    assert "no known effect on blood pressure" in messages["hypotension_vasodilators"]


# ------------------------------------------------------------------ asked with cause
ANSWERED_IN_THE_INTAKE = {
    "days_since_hair_transplant": 36500, "days_since_filler_head": 36500, "days_since_botulinum_head": 36500,
    "days_since_prp_scalp": 36500, "days_since_chemical_hair_treatment": 400, "blood_test_within_7_days": False,
}  # fmt: skip
HEALTHY = {"age_years": 28, **ANSWERED_IN_THE_INTAKE}


@pytest.mark.parametrize("concern", sorted(starter().concerns))
@pytest.mark.parametrize(
    ("person", "stage"),
    [(man, {"norwood_stage": "III"}), (man, {}), (woman, {"ludwig_stage": "I", "sinclair_grade": 2}), (woman, {})],
)
def test_healthy_patient_of_28_answers_at_most_two_open_questions(
    person: Callable[..., dict[str, Any]], stage: dict[str, Any], concern: str
) -> None:
    facts = HEALTHY | stage
    if concern == "patchy_loss":
        facts["patchy_diagnosis"] = "cleared_by_dermatologist"
    case = person(facts=facts, concerns=[{"concern": concern, "severity": "moderate"}])
    answer = answer_of(case)

    assert answer["status"] == "proposed"
    assert len(answer["open_questions"]) <= 2, answer["open_questions"]
    assert verify(answer, case, starter()) == ()


# Fact, an answer that gives no cause, one that does.
CAUSES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("lab_inr", {}, {"alcohol_heavy": True}),
    ("lab_inr", has("kidney_disease"), has("liver_disease")),
    ("lab_platelets", {}, takes("antiplatelet_single")),
    ("lab_platelets", takes("nsaid_regular"), takes("valproate")),
    ("lab_hba1c", takes("antihypertensive"), takes("diabetes_medicine")),
    ("lab_hba1c", {}, has("diabetes_controlled")),
    ("bp_systolic", {"age_years": 40}, {"age_years": 41}),
    ("bp_diastolic", takes("lithium"), takes("beta_blocker")),
]


@pytest.mark.parametrize(("fact", "without", "cause"), CAUSES, ids=[f"{row[0]} {i}" for i, row in enumerate(CAUSES)])
def test_measurement_is_asked_only_with_a_reason(fact: str, without: dict[str, Any], cause: dict[str, Any]) -> None:
    for facts, expected in ((without, False), (cause, True)):
        case = man(facts={"age_years": 28} | facts)
        answer = answer_of(case)
        assert (fact in {row["fact"] for row in answer["open_questions"]}) is expected
        assert verify(answer, case, starter()) == ()


def test_answer_nobody_had_to_give_counts_all_the_same() -> None:
    assert answer_of(man(facts={"age_years": 28, "lab_inr": "1.6"}))["status"] == "blocked"
    assert answer_of(man(facts={"age_years": 28, "bp_systolic": 180, "bp_diastolic": 80}))["status"] == "blocked"


def test_second_calculation_finds_a_question_without_cause_and_one_that_was_dropped() -> None:
    idle, caused = man(facts={"age_years": 28}), man(facts={"age_years": 41})

    assert "open_questions" in {found.path for found in verify(answer_of(caused), idle, starter())}
    assert "open_questions" in {found.path for found in verify(answer_of(idle), caused, starter())}


def test_formulary_that_knows_no_causes_asks_as_it_did() -> None:
    """A plan on an earlier version keeps its questions."""
    case = copy.deepcopy(earlier_cases()[1])
    answer = propose(case, earlier_formulary()).as_dict()

    assert {"lab_inr", "lab_platelets", "lab_hba1c"} <= {row["fact"] for row in answer["open_questions"]}
    assert verify(answer, case, earlier_formulary()) == ()


def test_cause_can_be_an_answer_that_was_not_given() -> None:
    """“is_not” is true of silence, in a cause as in a rule."""
    documents = load_documents()
    documents["screening"]["asked_with_cause"] = [
        {
            "fact": "lab_inr",
            "cause": {"fact": "smoker", "op": "is_not", "value": False},
            "why": "x",
            "source_ids": ["clinic_default"],
        }
    ]
    formulary = build_formulary(documents)
    for facts, expected in (({"smoker": ...}, True), ({"smoker": False}, False), ({"smoker": True}, True)):
        answer = propose(man(facts=facts), formulary).as_dict()
        assert ("lab_inr" in {row["fact"] for row in answer["open_questions"]}) is expected
        assert verify(answer, man(facts=facts), formulary) == ()


def test_blocked_plan_names_the_rule_to_its_reader() -> None:
    assert "giant_cell_arteritis_suspected" in fired(
        answer_of(man(facts={"age_years": 60, "scalp_tenderness_new": True}))
    )
