"""Random patients through the real formulary, each answer held against a separate safety checker.

The checker is written from the clinical tables themselves, as literal lists, neither from the engine nor from the
rules' triggers: what must never be given to whom. With MESOCLINIC_DEEP=1 it sees a million patients.
"""

from __future__ import annotations

import copy
import random
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Any

import pytest

from protocols.engine import propose, verify
from tests.protocols.patients_at_random import random_patient
from tests.protocols.worked_cases import count, man, starter, woman

FISH = {"pdrn", "polynucleotides"}
FIVE_ARI = {"dutasteride", "finasteride"}
VASODILATORS = {"minoxidil", "adenosine", "pentoxifylline", "procaine", "caffeine"}
ETHANOL = {"coumarin", "minoxidil", "dutasteride", "finasteride"}
PRESCRIPTION = {"adenosine", "caffeine", "minoxidil", "dutasteride", "finasteride", "pentoxifylline", "procaine"}
SWITCHED_OFF = {
    "copper_tripeptide_1", "folic_acid", "tocopheryl_acetate", "retinyl_palmitate", "cholecalciferol",
    "sodium_selenite",
    "nad", "ubidecarenone", "polynucleotides", *PRESCRIPTION,
}  # fmt: skip
# maximum dose in one session, in the unit of the starter catalogue, and mL
MOST = {
    "biochanin_a": ("0.3", "1.5"), "acetyl_tetrapeptide_3": ("0.2", "2"), "coumarin": ("2", "2"),
    "monomethylsilanetriol": ("10", "2"), "silanol_salicylate": ("10", "2"), "copper_tripeptide_1": ("1", "1"),
    "dexpanthenol": ("250", "1"), "biotin": ("5", "1"), "thiamine": ("25", "0.5"), "riboflavin": ("2.5", "0.5"),
    "nicotinamide": ("25", "0.5"), "pyridoxine": ("25", "0.5"), "cyanocobalamin": ("0.5", "0.5"),
    "folic_acid": ("2", "0.4"), "ascorbic_acid": ("100", "1"), "tocopheryl_acetate": ("10", "1"),
    "retinyl_palmitate": ("0.825", "0.3"), "cholecalciferol": ("12.5", "0.5"), "cysteine": ("10", "1"),
    "lysine": ("50", "1"), "arginine": ("100", "1"), "proline": ("20", "1"), "glycine": ("20", "1"),
    "taurine": ("20", "1"), "methionine": ("10", "1"), "zinc_gluconate": ("3.5", "0.5"),
    "magnesium_sulfate": ("50", "0.5"), "sodium_selenite": ("5", "0.5"), "nad": ("5", "1"),
    "cocarboxylase": ("10", "0.4"),
    "coenzyme_a": ("0.5", "0.5"), "ubidecarenone": ("5", "1"), "pdrn": ("5.625", "3"), "polynucleotides": ("15", "2"),
    "nucleotide_mix": ("2", "2"), "adenosine": ("1.5", "0.5"), "hyaluronic_acid": ("20", "2"),
    "sodium_chloride_09": ("54", "6"), "caffeine": ("5", "0.5"), "minoxidil": ("10", "2"), "dutasteride": ("0.1", "1"),
    "finasteride": ("0.5", "1"), "pentoxifylline": ("20", "1"), "procaine": ("20", "1"),
}  # fmt: skip
PH = {
    "thiamine": (2.5, 4.5), "pyridoxine": (2, 3.8), "folic_acid": (8, 11), "cysteine": (4.5, 6), "pdrn": (6.5, 8),
    "biotin": (6, 8), "sodium_selenite": (7, 9.5), "caffeine": (4.2, 5.2), "procaine": (3.5, 5.5),
    "hyaluronic_acid": (6.5, 7.8), "polynucleotides": (6.8, 7.6), "nucleotide_mix": (6.5, 7.5), "coenzyme_a": (4, 6),
    "sodium_chloride_09": (4.5, 7), "lysine": (5, 6.5), "arginine": (5, 6.5), "cocarboxylase": (5, 6.5),
    "copper_tripeptide_1": (6, 7.5), "monomethylsilanetriol": (5, 7),
}  # fmt: skip
NOT_IN_ONE_SYRINGE = [
    {"ascorbic_acid", "copper_tripeptide_1"}, {"cysteine", "copper_tripeptide_1"},
    {"coenzyme_a", "copper_tripeptide_1"},
    {"ascorbic_acid", "sodium_selenite"}, {"cysteine", "sodium_selenite"}, {"ascorbic_acid", "cyanocobalamin"},
    {"thiamine", "folic_acid"}, {"thiamine", "cysteine"}, {"thiamine", "procaine"}, {"cocarboxylase", "cysteine"},
    {"cocarboxylase", "procaine"}, {"folic_acid", "pyridoxine"}, {"folic_acid", "ascorbic_acid"},
    {"folic_acid", "riboflavin"}, {"folic_acid", "zinc_gluconate"}, {"folic_acid", "monomethylsilanetriol"},
    {"folic_acid", "nad"}, {"ascorbic_acid", "hyaluronic_acid"}, {"biotin", "thiamine"}, {"biotin", "pyridoxine"},
    {"cysteine", "zinc_gluconate"}, {"cysteine", "cyanocobalamin"}, {"zinc_gluconate", "riboflavin"},
    {"zinc_gluconate", "cocarboxylase"}, {"zinc_gluconate", "pdrn"}, {"copper_tripeptide_1", "pdrn"},
    {"ascorbic_acid", "pdrn"}, {"coenzyme_a", "zinc_gluconate"}, {"coenzyme_a", "cyanocobalamin"},
    {"coenzyme_a", "sodium_selenite"}, {"thiamine", "pdrn"}, {"pyridoxine", "pdrn"},
    {"silanol_salicylate", "pyridoxine"}, {"silanol_salicylate", "thiamine"}, {"ubidecarenone", "zinc_gluconate"},
    {"ubidecarenone", "magnesium_sulfate"},
    {"ubidecarenone", "sodium_selenite"}, {"ubidecarenone", "coumarin"}, {"tocopheryl_acetate", "coumarin"},
    {"tocopheryl_acetate", "copper_tripeptide_1"}, {"minoxidil", "hyaluronic_acid"}, {"procaine", "ascorbic_acid"},
    {"dutasteride", "sodium_chloride_09"}, {"finasteride", "sodium_chloride_09"},
]  # fmt: skip
NOT_IN_ONE_SESSION = [
    {"dutasteride", "finasteride"}, {"caffeine", "adenosine"}, {"pentoxifylline", "adenosine"},
    {"caffeine", "pentoxifylline"}, {"minoxidil", "pentoxifylline"}, {"coumarin", "pentoxifylline"},
    {"pdrn", "caffeine"},
]  # fmt: skip
ONE_OF = [
    {"monomethylsilanetriol", "silanol_salicylate"},
    {"minoxidil", "dutasteride", "finasteride", "pentoxifylline", "procaine"},
    {"pdrn", "polynucleotides", "nucleotide_mix"}, {"coumarin", "minoxidil", "pentoxifylline", "procaine", "adenosine"},
    {"thiamine", "cocarboxylase"},
]  # fmt: skip
ACID = {"thiamine", "pyridoxine"}
ALONE = {"polynucleotides", "dutasteride", "finasteride"}


def never_for(facts: dict[str, Any]) -> set[str]:
    """Ingredients that this person must not get, straight from the clinical tables."""
    has, takes, allergic = (set(facts.get(key) or ()) for key in ("conditions", "medications", "allergies"))
    never = set(facts.get("allergy_ingredients") or ())

    def number(key: str) -> Decimal | None:
        return None if facts.get(key) is None else Decimal(str(facts[key]))

    alt, egfr, pressure = number("lab_alt_times_uln"), number("lab_egfr"), number("bp_systolic")
    if "fish" in allergic or facts.get("vegan_preference"):
        never |= FISH
    if facts.get("vegan_preference"):
        never |= {"cholecalciferol"}
    if "sulfite" in allergic:
        never |= {"cysteine", "procaine"}
    if "soy" in allergic:
        never |= {"biochanin_a", "ubidecarenone"}
    if "red_clover_legume" in allergic:
        never |= {"biochanin_a"}
    if "coumarin" in allergic:
        never |= {"coumarin"}
    if "salicylate" in allergic:
        never |= {"silanol_salicylate"}
    if "vitamin_b1" in allergic:
        never |= {"thiamine", "cocarboxylase"}
    if "benzyl_alcohol" in allergic:
        never |= {"cyanocobalamin"}
    if "cobalamin_cobalt" in allergic or "leber_optic_neuropathy" in has:
        never |= {"cyanocobalamin"}
    if "hyaluronate" in allergic:
        never |= {"hyaluronic_acid"}
    if "propylene_glycol" in allergic:
        never |= {"minoxidil", *FIVE_ARI}
    if "polysorbate" in allergic:
        never |= {"tocopheryl_acetate", "retinyl_palmitate", "cholecalciferol", "ubidecarenone"}
    if "yeast" in allergic:
        never |= {"nad", "coenzyme_a", "ubidecarenone", "nucleotide_mix"}
    if facts.get("alcohol_free") or "alcohol_dependence" in has or "disulfiram_or_metronidazole" in takes:
        never |= ETHANOL
    if takes & {
        "vitamin_k_antagonist",
        "doac",
        "heparin",
        "antiplatelet_single",
        "antiplatelet_dual",
        "herbal_bleeding_risk",
    }:
        never |= {"coumarin", "pentoxifylline", "tocopheryl_acetate"}
    if has & {"heart_disease", "heart_failure", "heart_block_or_slow_rhythm"}:
        never |= VASODILATORS
    if has & {"heart_disease", "heart_failure"}:
        never |= {"biotin"}
    if has & {"liver_disease", "hepatitis_or_hiv"} or (alt is not None and alt > Decimal("1.5")):
        never |= {"coumarin", "retinyl_palmitate", *FIVE_ARI}
    if takes & {"methotrexate", "isotretinoin", "oral_retinoid_other", "hepatotoxic_other"} or facts.get(
        "alcohol_heavy"
    ):
        never |= {"coumarin"}
    if "kidney_disease" in has:
        never |= {"magnesium_sulfate", "sodium_selenite"}
    if egfr is not None and egfr < 30:
        never |= {"magnesium_sulfate", "sodium_selenite", "arginine", "zinc_gluconate"}
    if "low_blood_pressure" in has or (pressure is not None and pressure < 100):
        never |= {"minoxidil", "pentoxifylline", "adenosine", "procaine", "arginine", "magnesium_sulfate"}
    if has & {"hormone_sensitive_cancer_history", "prostate_cancer_history", "other_cancer_history"}:
        never |= {"pdrn", "polynucleotides", "copper_tripeptide_1"}
    if (
        has & {"hormone_sensitive_cancer_history", "prostate_cancer_history"}
        or "tamoxifen_or_aromatase_inhibitor" in takes
    ):
        never |= {"biochanin_a"}
    if facts.get("could_become_pregnant") or facts.get("pregnancy_status") in {"trying", "possible", "pregnant"}:
        never |= FIVE_ARI
    if facts.get("could_become_pregnant") or takes & {"isotretinoin", "oral_retinoid_other", "vitamin_a_supplement"}:
        never |= {"retinyl_palmitate"}
    if facts.get("pregnancy_status") == "trying":
        never |= {"biochanin_a", "retinyl_palmitate", "minoxidil"}
    if (
        facts.get("partner_trying_to_conceive")
        or facts.get("blood_donor")
        or has & {"prostate_cancer_history", "depression_or_sexual_dysfunction"}
        or "five_ari_oral" in takes
    ):
        never |= FIVE_ARI
    if takes & {"minoxidil_topical", "minoxidil_oral"} or "phaeochromocytoma" in has:
        never |= {"minoxidil"}
    if has & {"asthma", "heart_block_or_slow_rhythm"} or takes & {"dipyridamole", "theophylline"}:
        never |= {"adenosine"}
    if has & {"heart_block_or_slow_rhythm", "myasthenia_gravis"}:
        never |= {"magnesium_sulfate"}
    if has & {"epilepsy", "epilepsy_uncontrolled"}:
        never |= {"procaine", "caffeine", "pentoxifylline"}
    if takes & {"anti_epileptic", "methotrexate"} or facts.get("lab_vitamin_b12_low"):
        never |= {"folic_acid"}
    if "levodopa_alone" in takes:
        never |= {"pyridoxine"}
    if "wilson_disease" in has:
        never |= {"copper_tripeptide_1"}
    if "homocystinuria_or_cystinuria" in has:
        never |= {"methionine", "cysteine"}
    if has & {"hypercalcaemia_or_sarcoidosis", "high_blood_calcium", "sarcoidosis"}:
        never |= {"cholecalciferol"}
    if has & {"hypercalcaemia_or_sarcoidosis", "sarcoidosis"}:
        never |= {"hyaluronic_acid", "polynucleotides"}
    if "methotrexate" in takes:
        never |= {"biochanin_a"}
    if "nsaid_regular" in takes:
        never |= {"pentoxifylline"}
    if facts.get("psa_monitoring") or facts.get("hcg_monitoring"):
        never |= {"biotin"}
    if has & {"kidney_stones_oxalate", "iron_overload", "g6pd_deficiency"}:
        never |= {"ascorbic_acid"}
    if "retinal_or_brain_haemorrhage" in has:
        never |= {"pentoxifylline"}
    if (
        facts.get("blood_test_within_7_days")
        or facts.get("lab_tsh_abnormal")
        or "thyroid_disease_untreated" in has
        or "biotin_high_dose" in takes
    ):
        never |= {"biotin"}
    if (
        "procaine_ester_paba" in allergic
        or "pseudocholinesterase_deficiency" in has
        or "sulfonamide_antibiotic" in takes
    ):
        never |= {"procaine"}
    if "xanthine" in allergic:
        never |= {"caffeine", "pentoxifylline"}
    return never


def must_not_treat(facts: dict[str, Any], zones: set[str]) -> bool:
    """People for whom there must be no plan at all, or none of these zones."""
    hardware = set(facts.get("scalp_implant_zones") or ())
    has, takes = set(facts.get("conditions") or ()), set(facts.get("medications") or ())
    seen = set(facts.get("scalp_findings") or ())

    def below(key: str, limit: str) -> bool:
        return facts.get(key) is not None and Decimal(str(facts[key])) < Decimal(limit)

    def above(key: str, limit: str) -> bool:
        return facts.get(key) is not None and Decimal(str(facts[key])) > Decimal(limit)

    return bool(
        facts["age_years"] < 18
        or facts.get("pregnancy_status") in {"pregnant", "possible"}
        or facts.get("lactating")
        or facts.get("can_consent") is False
        or facts.get("bdd_screen_positive")
        or facts.get("fever_or_acute_illness")
        or above("bp_systolic", "179.9")
        or above("bp_diastolic", "109.9")
        or seen & {"infection", "open_wound_or_sunburn", "psoriasis_active", "eczema_active", "scarring_signs",
                   "receding_hairline_with_lost_eyebrows", "suspicious_lesion"}
        or facts.get("patchy_diagnosis") in {"none", "scarring", "alopecia_areata_active"}
        or (
            seen & {"patchy_smooth", "broken_hairs_scale"}
            and facts.get("patchy_diagnosis") != "cleared_by_dermatologist"
        )
        or facts.get("hair_loss_cause_known") is False
        or facts.get("norwood_stage") == "VII"
        or has & {"bleeding_disorder", "keloid_on_scalp_or_neck", "active_cancer", "diabetes_uncontrolled",
                  "unstable_heart_disease", "recent_stroke_or_mi", "epilepsy_uncontrolled", "immunosuppression_severe",
                  "connective_tissue_disease", "autoimmune_disease_active", "behcet_disease", "pyoderma_gangrenosum"}
        or (facts["age_years"] >= 50 and facts.get("scalp_tenderness_new"))
        or "place_not_known" in hardware
        or hardware & zones
        or takes & {"vitamin_k_antagonist", "doac", "heparin", "antiplatelet_dual", "chemotherapy"}
        or below("lab_platelets", "50")
        or above("lab_inr", "1.5")
        or above("lab_hba1c", "69")
        or facts.get("anaphylaxis_history") == "unknown_cause"
        or facts.get("previous_mesotherapy_reaction") == "serious"
        or below("days_since_hair_transplant", "90")
        or below("days_since_filler_head", "28")
    )  # fmt: skip


def unsafe(case: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Everything about the answer that could harm this person."""
    facts = case["facts"]
    problems: list[str] = []
    zones = {zone["zone"] if isinstance(zone, dict) else zone for zone in case["zones"]}
    if answer["status"] == "proposed" and must_not_treat(facts, zones):
        problems.append("a plan for somebody who must not be treated")
    if answer["status"] != "proposed":
        return ["a mixture without a plan"] if answer["syringes"] else []
    allowed = set(case.get("formulary_overrides", {}).get("activate", ()))
    never = never_for(facts) | (SWITCHED_OFF - allowed)
    sessions = answer["sessions"] or [{"number": 1, "syringes": answer["syringes"]}]
    for session in sessions:
        problems += _session(session["syringes"], never)
        total = sum(Decimal(s["volume_ml"]) for s in session["syringes"])
        area = sum(Decimal(zone["area_cm2"]) for zone in answer["zones"])
        if total > min(Decimal(8), max(Decimal(1), Decimal("0.025") * area)):
            problems.append(f"{total} mL for {area} cm2")
    course = answer["course"]
    days = course["offsets_days"]
    shortest, longest, span = {
        "mild": (21, 35, (21, 70)), "moderate": (21, 42, (42, 126)), "severe": (28, 56, (120, 168))
    }[answer["severity"]]  # fmt: skip
    gaps = [b - a for a, b in pairwise(days)]
    if not 1 <= len(days) <= 5 or any(not shortest <= gap <= longest for gap in gaps):
        problems.append(f"a course on days {days}")
    if not span[0] <= days[-1] <= span[1] or not 10 <= course["duration_minutes"] <= 30:
        problems.append(f"{days[-1]} days, {course['duration_minutes']} minutes")
    holding = [
        day
        for session, day in zip(answer["sessions"], days, strict=False)
        if any(line["ingredient"] == "dutasteride" for s in session["syringes"] for line in s["lines"])
    ]
    if any(b - a < 84 for a, b in pairwise(holding)):
        problems.append(f"dutasteride on days {holding}")
    return problems


def _session(syringes: list[dict[str, Any]], never: set[str]) -> list[str]:
    problems = []
    everything = [line["ingredient"] for syringe in syringes for line in syringe["lines"]]
    active = [key for key in everything if key != "sodium_chloride_09"]
    problems += [f"{key} must not be given" for key in set(everything) & never]
    problems += [f"{pair} in one session" for pair in NOT_IN_ONE_SESSION if pair <= set(everything)]
    problems += [f"more than one of {family}" for family in ONE_OF if len(family & set(everything)) > 1]
    if len(active) != len(set(active)) or len(active) > 8 or len(syringes) > 3:
        problems.append(f"{len(active)} actives in {len(syringes)} syringes")
    given: dict[str, Decimal] = {}
    for syringe in syringes:
        lines = syringe["lines"]
        keys = {line["ingredient"] for line in lines}
        problems += [f"{pair} in one syringe" for pair in NOT_IN_ONE_SYRINGE if pair <= keys]
        if keys & ALONE and len(keys - {"sodium_chloride_09"}) > 1:
            problems.append(f"{keys} although one of them goes alone")
        for a, b in combinations(sorted(keys & set(PH) - {"sodium_chloride_09"}), 2):  # saline has no pH of its own
            if Decimal(str(min(PH[a][1], PH[b][1]))) - Decimal(str(max(PH[a][0], PH[b][0]))) < Decimal("0.3"):
                problems.append(f"{a} and {b} have hardly a pH in common")
        volume = sum(Decimal(line["volume_ml"]) for line in lines)
        thin = sum(Decimal(line["volume_ml"]) for line in lines if line["ingredient"] == "sodium_chloride_09")
        parts = [Decimal(part) for part in syringe["drawn_as"]["parts_ml"]]
        if sum(parts) != volume or any(part % Decimal("0.05") or part > 5 for part in parts):
            problems.append(f"{volume} mL drawn as {parts}")
        if volume * 10 < sum(Decimal(each["volume_ml"]) for each in syringes):
            problems.append(f"a syringe of {volume} mL, for fewer than one in ten of the points")
        if keys & ACID and keys - ACID - {"sodium_chloride_09"}:
            problems.append(f"{keys}: an acid vitamin beside what need not be acid")
        if volume != Decimal(syringe["volume_ml"]) or thin > Decimal("0.75") * volume or len(keys) > 6:
            problems.append(f"syringe of {volume} mL, {thin} mL diluent")
        for line in lines:
            key, amount, drawn = line["ingredient"], Decimal(line["dose"]), Decimal(line["volume_ml"])
            given[key] = given.get(key, Decimal(0)) + drawn
            item = starter().ingredients[key]
            if amount != drawn * item.concentration or line["dose_unit"] != item.dose_unit or drawn % Decimal("0.05"):
                problems.append(f"{key}: {amount} in {drawn} mL")
            if amount > Decimal(MOST[key][0]):
                problems.append(f"{key}: {amount} is above the maximum dose")
    problems += [f"{key}: {ml} mL" for key, ml in given.items() if ml > Decimal(MOST[key][1])]
    return problems


@pytest.mark.parametrize("block", range(40))
def test_no_random_patient_gets_anything_unsafe(block: int) -> None:
    rng = random.Random(f"patients {block}")
    treated = 0
    for _ in range(count(12, 25_000)):
        case = random_patient(rng)
        answer = propose(case, starter()).as_dict()
        treated += answer["status"] == "proposed"
        assert not unsafe(case, answer), case
    assert treated > count(12, 25_000) / 3, "the checker must have something to check"


def test_second_calculation_agrees_with_random_patients() -> None:
    rng = random.Random("verify")
    for _ in range(count(80, 20_000)):
        case = random_patient(rng)
        assert verify(propose(case, starter()).as_dict(), case, starter()) == (), case


def test_checker_finds_what_it_should() -> None:
    """The checker itself is awake: it objects to answers given to the wrong person."""
    answer = propose(man(), starter()).as_dict()
    assert not unsafe(man(), answer)
    spoilt = copy.deepcopy(answer)
    spoilt["syringes"][0]["drawn_as"]["parts_ml"] = ["3.32", "3.33"]
    assert "drawn as" in unsafe(man(), spoilt)[0]
    wrong: list[tuple[Any, dict[str, Any]]] = [
        (man, {"allergies": ["fish"]}), (man, {"vegan_preference": True}), (man, {"allergies": ["soy"]}),
        (man, {"conditions": ["prostate_cancer_history"]}), (man, {"conditions": ["active_cancer"]}),
        (man, {"age_years": 17}), (woman, {"pregnancy_status": "trying"}), (woman, {"lactating": True}),
        (man, {"medications": ["doac"]}), (man, {"lab_inr": 2}), (man, {"conditions": ["behcet_disease"]}),
        (man, {"age_years": 50, "scalp_tenderness_new": True}), (man, {"scalp_implant_zones": ["vertex"]}),
        (man, {"scalp_implant_zones": ["place_not_known"]}), (man, {"medications": ["methotrexate"]}),
        (man, {"allergy_ingredients": ["pdrn"]}),
    ]  # fmt: skip
    for person, facts in wrong:
        assert unsafe(person(facts=facts), answer), facts


def test_checker_knows_every_ingredient() -> None:
    assert set(MOST) == set(starter().ingredients) - {"water_for_injections"}
    assert {item.key for item in starter().by_index if not item.active} == SWITCHED_OFF
    for key, (low, high) in PH.items():
        assert (starter().ingredients[key].ph_min, starter().ingredients[key].ph_max) == (
            Decimal(str(low)), Decimal(str(high)),
        )  # fmt: skip
