"""Each limit at its edge and one step before it, as tables that a clinician can read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from protocols.engine import Policy, apply_edits, build_formulary, propose, verify
from protocols.engine.course import minutes, points, target_volume
from protocols.formulary.loader import load_documents
from tests.protocols.worked_cases import (
    actives,
    answer_of,
    by_id,
    fired,
    in_mixture,
    left_out_code,
    line_of,
    man,
    starter,
    woman,
)

ALL_ZONES = list(starter().zones)

# Person, answers one step before the edge, answers at the edge, the rule that then fires.
EDGES: list[tuple[Any, dict[str, Any], dict[str, Any], str]] = [
    # whole numbers: lt, gte
    (man, {"age_years": 18}, {"age_years": 17}, "under_18"),
    (man, {"age_years": 74}, {"age_years": 75}, "age_75_plus"),
    (
        man,
        {"bp_systolic": 179, "bp_diastolic": 80},
        {"bp_systolic": 180, "bp_diastolic": 80},
        "blood_pressure_very_high",
    ),
    (
        man,
        {"bp_systolic": 120, "bp_diastolic": 109},
        {"bp_systolic": 120, "bp_diastolic": 110},
        "blood_pressure_very_high",
    ),
    (man, {"bp_systolic": 100}, {"bp_systolic": 99}, "hypotension_vasodilators"),
    (man, {"days_since_hair_transplant": 90}, {"days_since_hair_transplant": 89}, "transplant_recent"),
    (man, {"days_since_hair_transplant": 180}, {"days_since_hair_transplant": 179}, "transplant_semi_recent"),
    (man, {"days_since_hair_transplant": 89}, {"days_since_hair_transplant": 90}, "transplant_semi_recent"),
    (man, {"days_since_filler_head": 28}, {"days_since_filler_head": 27}, "filler_recent"),
    (man, {"days_since_botulinum_head": 14}, {"days_since_botulinum_head": 13}, "botulinum_recent"),
    (man, {"days_since_prp_scalp": 28}, {"days_since_prp_scalp": 27}, "prp_recent"),
    (
        man,
        {"days_since_chemical_hair_treatment": 7},
        {"days_since_chemical_hair_treatment": 6},
        "chemical_hair_treatment",
    ),
    (woman, {"months_since_delivery": 12}, {"months_since_delivery": 11}, "recent_delivery"),
    (woman, {"sinclair_grade": 4}, {"sinclair_grade": 5}, "ludwig_iii"),
    # decimals: lt, lte, gt, gte
    (man, {"lab_platelets": 50}, {"lab_platelets": "49.9"}, "bleeding_disorder"),
    (man, {"lab_platelets": "49.9"}, {"lab_platelets": 50}, "platelets_low"),
    (man, {"lab_platelets": 100}, {"lab_platelets": "99.9"}, "platelets_low"),
    (man, {"lab_inr": 1.5}, {"lab_inr": 1.51}, "anticoagulant"),
    (man, {"lab_hba1c": 69}, {"lab_hba1c": "69.1"}, "diabetes_uncontrolled"),
    (man, {"lab_ferritin": 30}, {"lab_ferritin": 29.9}, "iron_deficiency"),
    (man, {"lab_vitamin_d": 50}, {"lab_vitamin_d": 49}, "vitamin_d_low"),
    (man, {"lab_alt_times_uln": 1.5}, {"lab_alt_times_uln": 1.6}, "liver_disease_general"),
    (man, {"lab_alt_times_uln": 1.5}, {"lab_alt_times_uln": 1.6}, "liver_disease_coumarin"),
    (man, {"lab_egfr": 30}, {"lab_egfr": 29.9}, "renal_severe"),
    (man, {"lab_egfr": 60}, {"lab_egfr": 59.9}, "renal_caution"),
    (man, {"lab_egfr": 29.9}, {"lab_egfr": 30}, "renal_caution"),
    # one word: is, is_not, in
    (woman, {"pregnancy_status": "not_pregnant"}, {"pregnancy_status": "possible"}, "pregnancy"),
    (woman, {"pregnancy_status": "trying"}, {"pregnancy_status": "pregnant"}, "pregnancy"),
    (woman, {"pregnancy_status": "not_pregnant"}, {"pregnancy_status": "trying"}, "trying_to_conceive"),
    (woman, {"lactating": False}, {"lactating": True}, "lactation"),
    (woman, {"could_become_pregnant": False}, {"could_become_pregnant": True}, "five_ari_pregnancy_potential"),
    (man, {"norwood_stage": "VI"}, {"norwood_stage": "VII"}, "norwood_vii"),
    (man, {"norwood_stage": "V"}, {"norwood_stage": "VI"}, "norwood_vi"),
    (woman, {"ludwig_stage": "II"}, {"ludwig_stage": "III"}, "ludwig_iii"),
    (man, {"anaphylaxis_history": "none"}, {"anaphylaxis_history": "unknown_cause"}, "anaphylaxis_unknown_cause"),
    (
        man,
        {"anaphylaxis_history": "none"},
        {"anaphylaxis_history": "known_cause_in_formulary"},
        "anaphylaxis_known_cause",
    ),
    (
        man,
        {"previous_mesotherapy_reaction": "mild"},
        {"previous_mesotherapy_reaction": "serious"},
        "mesotherapy_reaction_serious",
    ),
    (man, {"can_consent": True}, {"can_consent": False}, "cannot_consent"),
    (man, {"hair_loss_cause_known": True}, {"hair_loss_cause_known": False}, "cause_unknown"),
    (man, {"fever_or_acute_illness": False}, {"fever_or_acute_illness": True}, "acute_illness"),
    (
        man,
        {"scalp_findings": ["patchy_smooth"], "patchy_diagnosis": "cleared_by_dermatologist"},
        {"scalp_findings": ["patchy_smooth"], "patchy_diagnosis": "not_applicable"},
        "patchy_loss_undiagnosed",
    ),
    (man, {"patchy_diagnosis": "not_applicable"}, {"patchy_diagnosis": "none"}, "patchy_loss_undiagnosed"),
    (
        man,
        {"patchy_diagnosis": "cleared_by_dermatologist"},
        {"patchy_diagnosis": "alopecia_areata_active"},
        "alopecia_areata_active",
    ),
    (
        man,
        {"patchy_diagnosis": "cleared_by_dermatologist"},
        {"patchy_diagnosis": "scarring"},
        "scarring_alopecia_suspected",
    ),
    # lists: includes, includes_any, is_not_empty
    (man, {"medications": ["nsaid_regular"]}, {"medications": ["doac"]}, "anticoagulant"),
    (man, {"medications": ["antiplatelet_single"]}, {"medications": ["antiplatelet_dual"]}, "antiplatelet_dual"),
    (man, {"medications": []}, {"medications": ["nsaid_regular"]}, "antiplatelet_single"),
    (man, {"medications": ["nsaid_regular"]}, {"medications": ["herbal_bleeding_risk"]}, "bleeding_risk_ingredients"),
    (man, {"conditions": ["keloid_tendency"]}, {"conditions": ["keloid_on_scalp_or_neck"]}, "keloid_scalp"),
    (man, {"conditions": ["diabetes_controlled"]}, {"conditions": ["diabetes_uncontrolled"]}, "diabetes_uncontrolled"),
    (man, {"conditions": ["epilepsy"]}, {"conditions": ["epilepsy_uncontrolled"]}, "epilepsy_uncontrolled"),
    (man, {"conditions": ["heart_disease"]}, {"conditions": ["unstable_heart_disease"]}, "unstable_cardiac"),
    (
        man,
        {"conditions": ["autoimmune_disease_stable"]},
        {"conditions": ["autoimmune_disease_active"]},
        "connective_tissue_disease",
    ),
    (man, {"allergy_ingredients": []}, {"allergy_ingredients": ["pdrn"]}, "allergy_listed_ingredient"),
    (man, {"allergies": ["soy"]}, {"allergies": ["soy", "fish"]}, "allergy_fish"),
    (man, {"vegan_preference": False}, {"vegan_preference": True}, "vegan_preference"),
    (man, {"conditions": []}, {"conditions": ["alcohol_dependence"]}, "alcohol_free"),
    # a rule for women only
    (man, {"age_years": 40}, {"age_years": 75}, "age_75_plus"),
    (woman, {"androgen_excess_signs": False}, {"androgen_excess_signs": True}, "androgen_excess_signs"),
]


@pytest.mark.parametrize(("person", "before", "at", "rule"), EDGES, ids=[f"{e[3]}-{n}" for n, e in enumerate(EDGES)])
def test_rule_fires_at_its_edge_and_not_a_step_before(
    person: Any, before: dict[str, Any], at: dict[str, Any], rule: str
) -> None:
    assert rule not in fired(answer_of(person(facts=before)))
    assert rule in fired(answer_of(person(facts=at)))


def test_rule_for_women_does_not_fire_for_a_man() -> None:
    assert "androgen_excess_signs" not in fired(answer_of(man(facts={"androgen_excess_signs": True})))


# ---------------------------------------------------------------------- unknown is not no
REQUIRED = [*starter().required_always, *starter().required_by_sex["female"]]


@pytest.mark.parametrize("unknown", [..., None, "unknown"])
@pytest.mark.parametrize("fact", REQUIRED)
def test_no_proposal_without_a_required_fact(fact: str, unknown: Any) -> None:
    answer = answer_of(woman(facts={fact: unknown}))

    assert answer["status"] == "incomplete"
    assert fact in {row["fact"] for row in answer["missing"]}
    assert not answer["syringes"] and answer["course"] is None
    assert all(row["reason_code"] in ("no_plan", "screened") for row in answer["left_out"])


def test_facts_of_women_are_not_asked_of_men() -> None:
    facts = {"pregnancy_status": ..., "could_become_pregnant": ..., "lactating": ..., "months_since_delivery": ...}

    answer = answer_of(man(facts=facts))

    assert answer["status"] == "proposed"
    assert not set(facts) & {row["fact"] for row in answer["open_questions"]}


def test_empty_list_is_an_answer() -> None:
    assert answer_of(man(facts={"conditions": []}))["status"] == "proposed"


@pytest.mark.parametrize(
    ("facts", "fact", "settled", "rules"),
    [
        ({"alcohol_heavy": True}, "lab_inr", 1, ["anticoagulant"]),
        ({"medications": ["antiplatelet_single"]}, "lab_platelets", 200, ["bleeding_disorder"]),
        ({"conditions": ["diabetes_controlled"]}, "lab_hba1c", 40, ["diabetes_uncontrolled"]),
        ({"age_years": 41}, "bp_diastolic", 80, ["blood_pressure_very_high"]),
        ({}, "days_since_hair_transplant", 400, ["transplant_recent"]),
        ({}, "days_since_filler_head", 400, ["filler_recent"]),
        ({}, "norwood_stage", "III", ["norwood_vii"]),
        (
            {"scalp_implant_zones": ...},
            "scalp_implant_zones",
            [],
            ["implant_under_treated_zone", "implant_place_unknown"],
        ),
        (
            {"age_years": 50, "scalp_tenderness_new": ...},
            "scalp_tenderness_new",
            False,
            ["giant_cell_arteritis_suspected"],
        ),
    ],
)
def test_unanswered_fact_that_could_block_is_asked(
    facts: dict[str, Any], fact: str, settled: Any, rules: list[str]
) -> None:
    asked = {row["fact"]: row["needed_by"] for row in answer_of(man(facts=facts))["open_questions"]}
    assert asked[fact] == rules

    later = answer_of(man(facts=facts | {fact: settled}))

    assert fact not in {row["fact"] for row in later["open_questions"]}


def test_unanswered_fact_is_asked_for_a_chosen_ingredient_only() -> None:
    def asked(answer: dict[str, Any]) -> dict[str, list[str]]:
        return {row["fact"]: row["ingredients"] for row in answer["open_questions"]}

    circulation = [{"concern": "poor_scalp_circulation", "severity": "mild"}]
    cause = {"alcohol_heavy": ..., "age_years": 65, "medications": ["anti_epileptic"]}
    with_coumarin = man(concerns=circulation, facts=cause)
    without = man(concerns=circulation, facts=cause | {"allergies": ["coumarin"]})

    assert asked(answer_of(with_coumarin))["lab_alt_times_uln"] == ["coumarin"]
    assert "lab_alt_times_uln" not in asked(answer_of(without))
    assert asked(answer_of(without))["lab_egfr"] == ["arginine"]
    assert "lab_egfr" not in asked(answer_of(with_coumarin))


def test_stage_of_the_other_sex_is_not_asked() -> None:
    asked = {row["fact"] for row in answer_of(woman())["open_questions"]}

    assert "norwood_stage" not in asked and "psa_monitoring" not in asked


def test_waived_question_stays_listed_with_its_reason() -> None:
    case = man(
        facts={"alcohol_heavy": True},
        waived={"lab_inr": {"as": "not_measured", "reason": "No bleeding history."}},
    )
    answer = answer_of(case)

    row = next(row for row in answer["open_questions"] if row["fact"] == "lab_inr")
    assert row["waived"] == {"as": "not_measured", "reason": "No bleeding history."}
    assert verify(answer, case, starter()) == ()


def test_block_stands_even_where_a_fact_is_missing() -> None:
    answer = answer_of(woman(facts={"pregnancy_status": "pregnant", "age_years": ...}))

    assert answer["status"] == "incomplete"
    assert [row["rule"] for row in answer["blocks"]] == ["pregnancy"]


# ---------------------------------------------------------------------- referrals
REFERRALS: list[tuple[Any, dict[str, Any], str]] = [
    (man, {"norwood_stage": "VI"}, "transplant_surgeon"),
    (man, {"patchy_diagnosis": "none"}, "dermatology_patchy"),
    (man, {"scalp_findings": ["scarring_signs"]}, "dermatology_scarring"),
    (man, {"scalp_findings": ["infection"]}, "dermatology_inflammatory"),
    (man, {"scalp_findings": ["suspicious_lesion"]}, "dermatology_lesion"),
    (man, {"conditions": ["behcet_disease"]}, "dermatology_pathergy"),
    (man, {"age_years": 50, "scalp_tenderness_new": True}, "urgent_vasculitis"),
    (man, {"scalp_implant_zones": ["vertex"]}, "neurosurgery"),
    (man, {"hair_loss_cause_known": False}, "dermatology_unknown"),
    (man, {"age_years": 17}, "dermatology_minor"),
    (woman, {"androgen_excess_signs": True}, "endocrinology"),
    (man, {"lab_vitamin_b12_low": True}, "general_practitioner"),
    (man, {"conditions": ["active_cancer"]}, "oncology"),
    (man, {"anaphylaxis_history": "unknown_cause"}, "allergy"),
    (man, {"conditions": ["trichotillomania"]}, "mental_health"),
]


def test_every_referral_has_a_row() -> None:
    assert {row[2] for row in REFERRALS} == set(starter().referrals)


@pytest.mark.parametrize(("person", "facts", "referral"), REFERRALS, ids=[row[2] for row in REFERRALS])
def test_referral_is_offered(person: Any, facts: dict[str, Any], referral: str) -> None:
    assert not answer_of(person())["referrals"]
    offered = answer_of(person(facts=facts))["referrals"]
    assert [row["referral"] for row in offered] == [referral]
    assert offered[0]["urgency"] == starter().referrals[referral].urgency


PATCHES = [{"concern": "patchy_loss", "severity": "moderate"}]


@pytest.mark.parametrize(
    ("diagnosis", "blocked_by"),
    [
        ("not_applicable", ["referral_first_patchy_loss"]),
        ("none", ["patchy_loss_undiagnosed"]),
        ("alopecia_areata_active", ["alopecia_areata_active"]),
        ("scarring", ["scarring_alopecia_suspected", "referral_first_patchy_loss"]),
        ("cleared_by_dermatologist", []),
    ],
)
def test_concern_that_needs_a_diagnosis_waits_for_it(diagnosis: str, blocked_by: list[str]) -> None:
    case = man(facts={"patchy_diagnosis": diagnosis}, concerns=PATCHES)
    answer = answer_of(case)

    assert [row["rule"] for row in answer["blocks"]] == blocked_by
    assert verify(answer, case, starter()) == ()


def test_no_usable_ingredient_means_no_mixture_and_says_so() -> None:
    answer = answer_of(man(facts={"patchy_diagnosis": "cleared_by_dermatologist"}, concerns=PATCHES))

    assert (answer["status"], answer["syringes"], answer["value"]) == ("proposed", [], "0")
    assert answer["course"]["sessions"] == 4


# ---------------------------------------------------------------------- severity
@pytest.mark.parametrize(
    ("person", "facts", "recorded", "severity"),
    [
        (man, {}, "mild", "mild"),
        (man, {"norwood_stage": "I"}, "mild", "mild"),
        (man, {"norwood_stage": "II"}, "moderate", "mild"),
        (man, {"norwood_stage": "III"}, "mild", "moderate"),
        (man, {"norwood_stage": "III_vertex"}, "mild", "moderate"),
        (man, {"norwood_stage": "IV"}, "mild", "moderate"),
        (man, {"norwood_stage": "V"}, "mild", "severe"),
        (man, {"sinclair_grade": 4}, "mild", "mild"),  # a women's scale says nothing of a man
        (woman, {"sinclair_grade": 1}, "moderate", "moderate"),
        (woman, {"sinclair_grade": 2}, "moderate", "mild"),
        (woman, {"sinclair_grade": 4}, "mild", "severe"),
        (woman, {"ludwig_stage": "I"}, "severe", "mild"),
        (woman, {"ludwig_stage": "I", "sinclair_grade": 3}, "mild", "moderate"),
    ],
)
def test_stage_sets_the_band_of_its_concern(person: Any, facts: dict[str, Any], recorded: str, severity: str) -> None:
    concerns = [{"concern": "androgenetic_alopecia", "severity": recorded}]

    assert answer_of(person(facts=facts, concerns=concerns))["severity"] == severity


def test_plan_takes_the_highest_severity() -> None:
    concerns = [
        {"concern": "androgenetic_alopecia", "severity": "severe"},
        {"concern": "ageing_scalp", "severity": "moderate"},
    ]

    answer = answer_of(man(facts={"norwood_stage": "II"}, concerns=concerns))

    assert answer["severity"] == "moderate"
    assert [(row["concern"], row["severity"]) for row in answer["concerns"]] == [
        ("ageing_scalp", "moderate"),
        ("androgenetic_alopecia", "mild"),
    ]


# ---------------------------------------------------------------------- area, points, minutes, target
@pytest.mark.parametrize(
    ("area", "expected_points", "expected_minutes", "target"),
    [
        ("20", 20, 10, "1"), ("39.9", 40, 10, "1"), ("40", 40, 10, "1"), ("40.4", 40, 10, "1.01"),
        ("100", 100, 10, "2.5"), ("100.1", 100, 11, "2.5025"), ("125", 125, 11, "3.125"), ("125.1", 125, 12, "3.1275"),
        ("140", 140, 12, "3.5"), ("200", 200, 14, "5"), ("200.9", 200, 15, "5.0225"), ("201", 201, 15, "5.025"),
        ("280", 240, 18, "7"), ("319.9", 260, 19, "7.9975"), ("320", 260, 19, "8"), ("340", 264, 20, "8"),
        ("600", 316, 30, "8"), ("750", 346, 30, "8"), ("900", 376, 30, "8"),
    ],
)  # fmt: skip
def test_area_sets_points_minutes_and_target(
    area: str, expected_points: int, expected_minutes: int, target: str
) -> None:
    size = Decimal(area)

    assert points(size, starter()) == expected_points
    assert minutes(size, starter()) == expected_minutes
    assert target_volume(size, starter()) == Decimal(target)


def test_measured_area_replaces_the_planning_value() -> None:
    answer = answer_of(man(zones=[{"zone": "frontal", "area_cm2": 62}, "vertex"]))

    assert (answer["area_cm2"], answer["course"]["points"], answer["target_volume_ml"]) == ("142", 142, "3.55")


# ---------------------------------------------------------------------- doses and volumes
def test_usual_volumes_are_topped_up_with_diluent() -> None:
    answer = answer_of(by_id("C08"))

    assert {line["ingredient"]: line["volume_ml"] for line in answer["syringes"][0]["lines"]} == {
        "hyaluronic_acid": "1",
        "monomethylsilanetriol": "1",
        "pdrn": "2",
        "sodium_chloride_09": "3",
    }
    assert answer["syringes"][0]["drawn_as"] == {"count": 2, "parts_ml": ["3.5", "3.5"]}
    assert line_of(answer, "pdrn")["dose"] == "3.75"
    assert line_of(answer, "pdrn")["final_concentration"] == "0.5357"


def test_volumes_are_scaled_down_together_none_below_its_minimum() -> None:
    small = answer_of(man(zones=["frontal"]))  # 80 cm2: 2 mL for usual volumes of 1 + 1 (+ 2)

    assert small["total_volume_ml"] == "2"
    assert all(Decimal(line["volume_ml"]) >= Decimal(line["volume_min_ml"]) for line in small["syringes"][0]["lines"])
    assert "sodium_chloride_09" not in in_mixture(small)
    assert left_out_code(small, "sodium_chloride_09") == "diluent_not_needed"


def test_set_whose_minimums_exceed_the_target_is_not_eligible() -> None:
    tiny = answer_of(man(zones=["temporal_left"]))  # 30 cm2: 1 mL takes two minimums of 0.5 mL and no third

    assert actives(tiny) == {"biochanin_a", "acetyl_tetrapeptide_3"}
    assert [line["volume_ml"] for line in tiny["syringes"][0]["lines"]] == ["0.5", "0.5"]
    assert left_out_code(tiny, "pdrn") in ("displaced", "adds_too_little")


def test_diluent_share_binds_and_volumes_are_raised_no_more_than_needed() -> None:
    case = man(concerns=[{"concern": "nutrient_deficiency", "severity": "mild"}], zones=ALL_ZONES)
    answer = answer_of(case)

    for syringe in answer["syringes"]:
        diluted = sum(Decimal(line["volume_ml"]) for line in syringe["lines"] if line["role"] == "diluent")
        assert diluted <= Decimal("0.75") * Decimal(syringe["volume_ml"])
    assert verify(answer, case, starter()) == ()


def test_too_little_volume_for_the_points_is_a_caution() -> None:
    case = woman(concerns=[{"concern": "postpartum_shedding", "severity": "mild"}], zones=ALL_ZONES,
                 policy={"avoid": ["lysine", "cysteine", "cyanocobalamin", "zinc_gluconate", "biotin"]})  # fmt: skip
    answer = answer_of(case)

    assert actives(answer) == {"dexpanthenol"}
    assert (answer["total_volume_ml"], answer["course"]["points"]) == ("4", 316)
    caution = next(row for row in answer["cautions"] if row["rule"] == "volume_below_minimum")
    assert caution["params"]["most_points"] == 200
    assert verify(answer, case, starter()) == ()


def test_maximum_dose_binds_where_it_is_below_the_maximum_volume() -> None:
    documents = load_documents()
    entry = next(e for e in documents["ingredients"]["ingredients"] if e["key"] == "biochanin_a")
    entry["per_session"]["max_dose"]["value"] = "0.19"  # 0.95 mL of 0.2 mg/mL
    limited = build_formulary(documents)

    answer = answer_of(man(zones=ALL_ZONES), limited)

    assert line_of(answer, "biochanin_a")["volume_max_ml"] == "0.95"
    assert Decimal(line_of(answer, "biochanin_a")["dose"]) <= Decimal("0.19")
    assert verify(answer, man(zones=ALL_ZONES), limited) == ()


# ---------------------------------------------------------------------- pairs, families, syringes
CIRCULATION = {"concern": "poor_scalp_circulation", "severity": "severe"}
PATTERN = {"concern": "androgenetic_alopecia", "severity": "severe"}


@pytest.mark.parametrize(
    ("activate", "pairs"),
    [
        (["caffeine", "adenosine"], [{"caffeine", "adenosine"}]),
        (["caffeine", "pentoxifylline"], [{"caffeine", "pentoxifylline"}]),
        (["minoxidil", "pentoxifylline"], [{"minoxidil", "pentoxifylline"}]),
        (["pentoxifylline"], [{"coumarin", "pentoxifylline"}]),
        (["caffeine"], [{"pdrn", "caffeine"}]),
        (["dutasteride", "finasteride"], [{"dutasteride", "finasteride"}]),
        (["polynucleotides"], [{"polynucleotides", "pdrn"}]),
    ],
)
def test_forbidden_pair_never_meets_in_a_session(activate: list[str], pairs: list[set[str]]) -> None:
    case = man(concerns=[PATTERN, CIRCULATION], zones=ALL_ZONES, formulary_overrides={"activate": activate})
    answer = answer_of(case)

    assert not [pair for pair in pairs if pair <= in_mixture(answer)]
    assert verify(answer, case, starter()) == ()


def test_pair_for_separate_syringes_is_separated() -> None:
    answer = answer_of(by_id("C09"))

    places = {line["ingredient"]: syringe["label"] for syringe in answer["syringes"] for line in syringe["lines"]}
    assert places["cysteine"] != places["zinc_gluconate"]


def test_pair_to_use_immediately_may_share_and_says_so() -> None:
    case = man(concerns=[{"concern": "ageing_scalp", "severity": "mild"}], policy={"avoid": ["pdrn"]})
    edited = apply_edits(case, starter(), None, [{"op": "add", "ingredient": "biochanin_a"}])

    answer = edited.proposal.as_dict()

    notes = [row["pair"] for syringe in answer["syringes"] for row in syringe["use_immediately"]]
    assert "biochanin_hyaluronate" in notes


def test_one_silanol_is_enough() -> None:
    answer = answer_of(man(concerns=[{"concern": "scalp_inflammation", "severity": "severe"}]))

    assert "monomethylsilanetriol" in actives(answer)
    assert left_out_code(answer, "silanol_salicylate") == "family_limit"


@pytest.mark.parametrize("most", range(1, 9))
def test_policy_tightens_the_number_of_actives(most: int) -> None:
    concerns = [
        {"concern": key, "severity": "severe"} for key in ("telogen_effluvium", "nutrient_deficiency", "ageing_scalp")
    ]
    case = man(concerns=concerns, zones=ALL_ZONES, policy={"max_actives": most})
    answer = answer_of(case)

    assert len(actives(answer)) <= most
    assert verify(answer, case, starter()) == ()


def test_requirements_give_way_to_capacity_and_say_so() -> None:
    concerns = [
        {"concern": "androgenetic_alopecia", "severity": "severe"},
        {"concern": "telogen_effluvium", "severity": "mild"},
    ]
    answer = answer_of(man(concerns=concerns, policy={"max_actives": 3}))

    states = {row["ingredient"]: (row["state"], row["limit"]) for row in answer["requirements"]}
    assert states["biochanin_a"] == states["acetyl_tetrapeptide_3"] == ("met", None)
    assert sorted(state for state, _ in states.values()).count("gave_way") == 2
    assert {limit for state, limit in states.values() if state == "gave_way"} == {"max_actives"}


@pytest.mark.parametrize("most", [1, 2, 3])
def test_policy_tightens_the_number_of_syringes(most: int) -> None:
    case = {**by_id("C09"), "policy": {"max_syringes": most}}
    answer = answer_of(case)

    assert len(answer["syringes"]) <= most
    assert verify(answer, case, starter()) == ()


# ---------------------------------------------------------------------- substitutes
def test_best_supporting_ingredient_stands_in_for_a_screened_first_choice() -> None:
    answer = answer_of(by_id("C03"))

    assert line_of(answer, "arginine")["stands_in_for"] == [
        {"concern": "poor_scalp_circulation", "ingredient": "coumarin"}
    ]


def test_substitutes_follow_each_other_as_they_are_screened_out() -> None:
    concerns = [{"concern": "poor_scalp_circulation", "severity": "mild"}]
    out: list[str] = []
    for expected in ("coumarin", "arginine", "magnesium_sulfate", "nicotinamide"):
        assert actives(answer_of(man(concerns=concerns, facts={"allergy_ingredients": out}))) == {expected}
        out.append(expected)
    answer = answer_of(man(concerns=concerns, facts={"allergy_ingredients": out}))
    assert not answer["syringes"]
    assert answer["requirements"][0]["state"] == "no_substitute"


def test_each_screened_first_choice_has_its_own_substitute() -> None:
    concerns = [{"concern": "ageing_scalp", "severity": "moderate"}]
    answer = answer_of(man(concerns=concerns, facts={"allergies": ["fish", "hyaluronate"]}))

    # monomethylsilanetriol 0.84, then biochanin A 0.8
    assert [row["ingredient"] for row in answer["requirements"]] == ["monomethylsilanetriol", "biochanin_a"]
    assert {"monomethylsilanetriol", "biochanin_a"} <= actives(answer)


# ---------------------------------------------------------------------- prescription, stock, preference, budget
@pytest.mark.parametrize(
    ("activate", "allow", "included"),
    [([], True, False), (["minoxidil"], False, False), (["minoxidil"], True, True)],
)
def test_prescription_needs_director_and_policy(activate: list[str], allow: bool, included: bool) -> None:
    case = man(formulary_overrides={"activate": activate}, policy={"allow_prescription": allow})
    answer = answer_of(case)

    assert ("minoxidil" in actives(answer)) is included
    assert ("prescription_needs_prescriber" in {row["rule"] for row in answer["cautions"]}) is included
    assert verify(answer, case, starter()) == ()


@pytest.mark.parametrize(
    ("amount", "volume"), [("0.49", None), ("0.5", "0.5"), ("0.74", "0.7"), ("1", "1"), ("100", "1"), ("0", None)]
)
def test_stock_serves_what_it_can(amount: str, volume: str | None) -> None:
    stock = {**dict.fromkeys(starter().ingredients, 100), "biochanin_a": amount}
    case = man(zones=ALL_ZONES, stock=stock)
    answer = answer_of(case)

    if volume is None:
        assert left_out_code(answer, "biochanin_a") == "no_stock"
    else:
        assert line_of(answer, "biochanin_a")["volume_ml"] == volume
    assert verify(answer, case, starter()) == ()


def test_ingredient_absent_from_the_stock_is_none() -> None:
    answer = answer_of(man(stock={"biochanin_a": 10}))

    assert actives(answer) == {"biochanin_a"}
    assert left_out_code(answer, "sodium_chloride_09") == "no_stock"


def test_preference_of_the_policy_leaves_out_and_says_so() -> None:
    answer = answer_of(man(policy={"avoid": ["pdrn"]}))

    assert left_out_code(answer, "pdrn") == "preference"


@pytest.mark.parametrize("budget", [0, 1, 16, 28, 50, 1000])
def test_budget_is_kept(budget: int) -> None:
    case = man(zones=ALL_ZONES, policy={"ingredient_budget": budget})
    answer = answer_of(case)

    assert verify(answer, case, starter()) == ()
    assert bool(answer["syringes"]) == (budget > 0)


# ---------------------------------------------------------------------- course
@pytest.mark.parametrize(
    ("severity", "sessions", "offsets"),
    [
        ("mild", None, [0, 28, 56]), ("mild", 2, [0, 28]), ("mild", 1, [0, 28]), ("mild", 5, [0, 28, 56]),
        ("moderate", None, [0, 28, 56, 84]), ("moderate", 3, [0, 28, 56]), ("moderate", 2, [0, 28, 56]),
        ("moderate", 5, [0, 28, 56, 84]),
        ("severe", None, [0, 35, 70, 105, 140]), ("severe", 4, [0, 42, 84, 126]), ("severe", 3, [0, 42, 84, 126]),
    ],
)  # fmt: skip
def test_sessions_stay_inside_the_rule(severity: str, sessions: int | None, offsets: list[int]) -> None:
    case = man(concerns=[{"concern": "androgenetic_alopecia", "severity": severity}], policy={"sessions": sessions})
    answer = answer_of(case)

    assert answer["course"]["offsets_days"] == offsets
    assert verify(answer, case, starter()) == ()
    told = [row["value"] for row in answer["trace"] if row["rule"] == "policy.sessions"]
    assert told == ([] if sessions in (None, len(offsets)) else [{"asked": sessions, "given": len(offsets)}])


@pytest.mark.parametrize("name", [name for band in starter().course.bands.values() for name, _ in band.schedules])
def test_alternative_schedule_can_be_chosen(name: str) -> None:
    case = man(concerns=[PATTERN], policy={"schedule": name})
    answer = answer_of(case)

    assert answer["course"]["schedule"] == name
    assert verify(answer, case, starter()) == ()


def test_windows_of_a_moderate_course() -> None:
    rows = answer_of(man())["course"]["windows_days"]

    assert [(row["earliest"], row["ideal"], row["latest"]) for row in rows] == [
        (0, 0, 0), (21, 28, 42), (42, 56, 84), (63, 84, 126),
    ]  # fmt: skip


def test_windows_of_a_severe_course_keep_its_span() -> None:
    rows = answer_of(man(concerns=[PATTERN]))["course"]["windows_days"]

    assert [(row["earliest"], row["ideal"], row["latest"]) for row in rows] == [
        (0, 0, 0), (28, 35, 56), (56, 70, 112), (84, 105, 140), (120, 140, 168),
    ]  # fmt: skip


def test_checkpoints_follow_sessions_two_and_three_and_the_end() -> None:
    rows = answer_of(man())["course"]["checkpoints"]

    assert [(row["key"], row["offset_days"]) for row in rows] == [
        ("first_review", 28), ("decision_review", 56), ("end_of_course", 168),
    ]  # fmt: skip


def test_decision_review_of_a_two_session_course_is_six_to_eight_weeks_after() -> None:
    case = man(concerns=[{"concern": "androgenetic_alopecia", "severity": "mild"}], policy={"sessions": 2})
    row = next(row for row in answer_of(case)["course"]["checkpoints"] if row["key"] == "decision_review")

    assert (row["after_session"], row["earliest_days"], row["latest_days"]) == (None, 28 + 42, 28 + 56)


def test_ingredient_with_a_long_interval_is_left_out_of_sessions_in_between() -> None:
    answer = answer_of(man(formulary_overrides={"activate": ["dutasteride"]}))

    holding = [
        session["number"]
        for session in answer["sessions"]
        if "dutasteride" in {line["ingredient"] for s in session["syringes"] for line in s["lines"]}
    ]
    assert holding == [1, 4]
    assert answer["course"]["spacings"] == [
        {"ingredient": "dutasteride", "from_session": 1, "to_session": 4, "min_days": 84}
    ]
    assert answer["course"]["windows_days"][3]["earliest"] == 84
    alone = next(s for s in answer["syringes"] if "dutasteride" in {line["ingredient"] for line in s["lines"]})
    assert len(alone["lines"]) == 1, "alone and undiluted"


def test_interval_of_28_days_moves_the_windows() -> None:
    case = man(formulary_overrides={"activate": ["finasteride"]})
    answer = apply_edits(case, starter(), None, [{"op": "add", "ingredient": "finasteride"}]).proposal.as_dict()

    assert verify(answer, case, starter()) == ()
    assert "finasteride" in actives(answer)
    assert [row["earliest"] for row in answer["course"]["windows_days"]] == [0, 28, 56, 84]
    assert not answer["sessions"]


@pytest.mark.parametrize(
    ("concerns", "technique"),
    [
        ([PATTERN], "point_by_point"),
        ([{"concern": "scalp_inflammation", "severity": "mild"}], "nappage"),
        ([{"concern": "ageing_scalp", "severity": "mild"}], "nappage"),
        ([CIRCULATION], "point_by_point"),
    ],
)
def test_technique_follows_concern_and_ingredients(concerns: list[dict[str, str]], technique: str) -> None:
    assert answer_of(man(concerns=concerns))["course"]["technique"] == technique


# ---------------------------------------------------------------------- cost
def test_cost_of_the_mock_up_case() -> None:
    cost = answer_of(by_id("C03"))["cost"]

    assert (cost["currency"], cost["per_session"], cost["total"]) == (None, "162.2", "603.38")
    assert (cost["low"], cost["high"]) == ("543.05", "693.89")


@pytest.mark.parametrize(
    ("policy", "total"),
    [
        ({"region": "rural"}, "506.66"),  # (100 * 0.8 * 1.3 + 32.2) * 4 * 0.93
        ({"provider": "dermatologist"}, "724.28"),
        ({"price_per_unit": "2"}, "1206.77"),
        ({"sessions": 3}, "462.27"),  # 162.2 * 3 * 0.95
    ],
)
def test_cost_follows_policy(policy: dict[str, Any], total: str) -> None:
    case = {**by_id("C03"), "policy": policy}

    assert answer_of(case)["cost"]["total"] == total
    assert verify(answer_of(case), case, starter()) == ()


# ---------------------------------------------------------------------- edits
def edit(**change: Any) -> tuple[str, dict[str, Any]] | dict[str, Any]:
    """The refusal of one edit of case C03, or the answer where it was carried out."""
    result = apply_edits(by_id("C03"), starter(), None, [change])
    if result.refusals:
        return result.refusals[0].code, dict(result.refusals[0].params)
    assert verify(result.proposal.as_dict(), by_id("C03"), starter()) == ()
    return result.proposal.as_dict()


@pytest.mark.parametrize(
    ("volume", "code"),
    [
        ("0.5", None), ("0.45", "volume_below_min"), ("1.5", None), ("1.55", "volume_above_max"),
        ("0.52", "not_drawable"), ("much", "not_a_volume"), ("-1", "volume_below_min"), ("NaN", "not_a_volume"),
        ("1e3", "not_a_volume"), (True, "not_a_volume"), ("0", "volume_below_min"), (1, None), (1.25, None),
        ("9999999999999999999999999", "not_a_volume"), ("1000000", "volume_above_max"),
    ],
)  # fmt: skip
def test_volume_set_by_hand_stays_inside_its_limits(volume: Any, code: str | None) -> None:
    result = edit(op="set_volume", ingredient="biochanin_a", volume_ml=volume)

    if code is None:
        assert isinstance(result, dict)
        assert Decimal(line_of(result, "biochanin_a")["volume_ml"]) == Decimal(str(volume))
        assert result["total_volume_ml"] == "8", "the diluent gives way"
        assert result["value_cost"] == "0"
    else:
        assert isinstance(result, tuple) and result[0] == code


def test_refusal_names_limit_rule_and_source() -> None:
    result = edit(op="set_volume", ingredient="biochanin_a", volume_ml="1.55")

    assert isinstance(result, tuple)
    assert result[1]["limit_ml"] == Decimal("1.5")
    assert result[1]["rule"] == "ingredients.biochanin_a.per_session.volume.max"
    assert "clinic_default" in result[1]["sources"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"op": "add", "ingredient": "coumarin"}, "screened"),
        ({"op": "add", "ingredient": "minoxidil"}, "not_active"),
        ({"op": "add", "ingredient": "biotin"}, "serves_no_concern"),
        ({"op": "add", "ingredient": "arginine"}, "already_in_mixture"),
        ({"op": "add", "ingredient": "snake_oil"}, "unknown_ingredient"),
        ({"op": "add", "ingredient": 7}, "unknown_ingredient"),
        ({"op": "add", "ingredient": "sodium_chloride_09"}, "diluent_follows"),
        ({"op": "remove", "ingredient": "sodium_chloride_09"}, "diluent_follows"),
        ({"op": "remove", "ingredient": "biotin"}, "not_in_mixture"),
        ({"op": "swap", "ingredient": "biotin", "with": "caffeine"}, "not_in_mixture"),
        ({"op": "swap", "ingredient": "arginine", "with": "coumarin"}, "screened"),
        ({"op": "swap", "ingredient": "pdrn"}, "wrong_fields"),
        ({"op": "remove", "ingredient": "pdrn", "why": "x"}, "wrong_fields"),
        ({"op": "set_volume", "ingredient": "coumarin", "volume_ml": "1"}, "not_in_mixture"),
        ({"op": "set_sessions", "sessions": 2}, "sessions_outside_rule"),
        ({"op": "set_sessions", "sessions": 5}, "sessions_outside_rule"),
        ({"op": "set_sessions", "sessions": "3"}, "wrong_type"),
        ({"op": "set_schedule", "schedule": "weekly"}, "unknown_schedule"),
        ({"op": "bless"}, "unknown_edit"),
        ({}, "unknown_edit"),
    ],
)
def test_edit_meets_the_same_wall_as_the_engine(change: dict[str, Any], code: str) -> None:
    result = edit(**change)

    assert isinstance(result, tuple) and result[0] == code


def test_edit_meets_pair_family_and_capacity() -> None:
    def refused(case: dict[str, Any], *edits: dict[str, Any]) -> list[str]:
        return [refusal.code for refusal in apply_edits(case, starter(), None, list(edits)).refusals]

    switched = man(concerns=[PATTERN, CIRCULATION], formulary_overrides={"activate": ["caffeine", "pentoxifylline"]})
    inflamed = man(concerns=[{"concern": "scalp_inflammation", "severity": "mild"}])
    tiny = man(zones=["temporal_left"])
    two = man(policy={"max_actives": 2})
    assert refused(switched, {"op": "add", "ingredient": "pentoxifylline"}) == ["pair"]
    assert refused(inflamed, {"op": "add", "ingredient": "silanol_salicylate"}) == ["family"]
    assert refused(tiny, {"op": "add", "ingredient": "pdrn"}) == ["volume"]
    assert refused(two, {"op": "add", "ingredient": "pdrn"}) == ["max_actives"]
    assert refused(man(policy={"ingredient_budget": 30}), {"op": "add", "ingredient": "pdrn"}) == ["budget"]
    assert refused({**by_id("C03"), "policy": {"max_syringes": 1}}, {"op": "add", "ingredient": "hyaluronic_acid"}) == [
        "syringes"
    ]


def test_edit_beyond_the_target_names_what_is_left() -> None:
    case = man(zones=["frontal"], policy={"avoid": ["pdrn"]})  # 2 mL, full with two usual volumes
    result = apply_edits(case, starter(), None, [{"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.1"}])

    assert [refusal.code for refusal in result.refusals] == ["total_above_target"]
    assert result.refusals[0].params["limit_ml"] == 1


def test_edits_that_stand_are_kept_beside_those_refused() -> None:
    edits = [
        {"op": "set_volume", "ingredient": "hyaluronic_acid", "volume_ml": "0.5"},
        {"op": "add", "ingredient": "coumarin"},
        {"op": "swap", "ingredient": "arginine", "with": "hyaluronic_acid"},
    ]
    result = apply_edits(by_id("C03"), starter(), None, edits)

    assert [refusal.path for refusal in result.refusals] == ["edits[1]"]
    assert [row["op"] for row in result.proposal.as_dict()["edits"]] == ["set_volume", "swap"]
    assert result.value_cost == Decimal("0.18")
    assert left_out_code(result.proposal.as_dict(), "arginine") == "removed_by_hand"


def test_blocked_case_refuses_every_edit() -> None:
    result = apply_edits(by_id("C01"), starter(), None, [{"op": "remove", "ingredient": "pdrn"}])

    assert [refusal.code for refusal in result.refusals] == ["no_plan"]
    assert result.proposal.as_dict()["status"] == "blocked"


def test_no_edits_give_the_engine_s_own_answer() -> None:
    own = propose(by_id("C03"), starter()).as_dict()

    assert apply_edits(by_id("C03"), starter(), Policy.default(starter()), []).proposal.as_dict() == own
