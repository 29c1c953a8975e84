"""Random patients: well-formed ones, and input that no one should ever send."""

from __future__ import annotations

import random
from typing import Any

from tests.protocols.worked_cases import case_file, starter

BASE = {**case_file()["base_facts"], **case_file()["base_facts_female"]}
SEVERITIES = ("mild", "moderate", "severe")
CLEAR = {
    # answers that let a plan be made, so that most random patients get one
    "hair_loss_cause_known": True, "can_consent": True, "bdd_screen_positive": False, "fever_or_acute_illness": False,
    "lactating": False, "pregnancy_status": "not_pregnant", "anaphylaxis_history": "none",
    "previous_mesotherapy_reaction": "none", "patchy_diagnosis": "cleared_by_dermatologist", "scalp_findings": [],
}  # fmt: skip
BLOCKING_CONDITIONS = {
    "bleeding_disorder", "keloid_on_scalp_or_neck", "diabetes_uncontrolled", "active_cancer", "unstable_heart_disease",
    "recent_stroke_or_mi", "autoimmune_disease_active", "connective_tissue_disease", "epilepsy_uncontrolled",
    "immunosuppression_severe", "behcet_disease", "pyoderma_gangrenosum",
}  # fmt: skip
BLOCKING_MEDICINES = {"vitamin_k_antagonist", "doac", "heparin", "antiplatelet_dual", "chemotherapy"}


def random_answer(rng: random.Random, key: str) -> Any:
    shape = starter().facts[key]
    if shape.type == "boolean":
        return rng.random() < 0.3
    if shape.type == "enum":
        return rng.choice(shape.values)
    if shape.type == "list":
        return rng.sample(shape.values, k=min(len(shape.values), rng.choice([0, 0, 0, 1, 1, 2, 3])))
    assert shape.minimum is not None and shape.maximum is not None
    low, high = int(shape.minimum), min(int(shape.maximum), 400)
    if shape.type == "integer":
        return rng.randint(max(low, int(shape.minimum)), high)
    return rng.choice([rng.randint(low + 1, high), f"{rng.uniform(low + 1, high):.1f}"])


def random_patient(rng: random.Random) -> dict[str, Any]:
    """A well-formed patient; about four in five may be treated."""
    facts = {key: random_answer(rng, key) for key in starter().facts if rng.random() < 0.5 or key in BASE}
    facts["age_years"] = rng.randint(18, 90)
    facts["sex_at_birth"] = rng.choice(["female", "male"])
    barred: list[str] = []
    facts["allergy_ingredients"] = rng.sample(list(starter().ingredients), k=rng.choice([0, 0, 0, 1, 3]))
    if rng.random() < 0.8:
        facts |= CLEAR
        facts["conditions"] = [key for key in facts["conditions"] if key not in BLOCKING_CONDITIONS]
        facts["medications"] = [key for key in facts["medications"] if key not in BLOCKING_MEDICINES]
        facts["scalp_tenderness_new"] = False
        barred = facts["scalp_implant_zones"] = [key for key in facts["scalp_implant_zones"] if key == "occipital"]
        facts["norwood_stage"] = rng.choice(["I", "II", "III", "IV", "V", "VI"])
        for key in ("lab_inr", "lab_platelets", "lab_hba1c", "days_since_hair_transplant", "days_since_filler_head"):
            facts.pop(key, None)
        facts |= {"bp_systolic": rng.randint(85, 170), "bp_diastolic": rng.randint(50, 105)}
    zones = rng.sample(
        [zone for zone in starter().zones if zone not in barred], k=rng.randint(1, len(starter().zones) - 1)
    )
    case: dict[str, Any] = {
        "facts": facts,
        "concerns": [
            {"concern": key, "severity": rng.choice(SEVERITIES)}
            for key in rng.sample(list(starter().concerns), k=rng.choice([1, 1, 2, 2, 3, 4, 6]))
        ],
        "zones": [zone if rng.random() < 0.7 else {"zone": zone, "area_cm2": _measured(rng, zone)} for zone in zones],
    }
    if rng.random() < 0.3:
        off = [item.key for item in starter().by_index if not item.active]
        case["formulary_overrides"] = {"activate": rng.sample(off, k=rng.randint(1, len(off)))}
    if rng.random() < 0.15:
        keys = rng.sample(list(starter().ingredients), k=rng.randint(1, len(starter().ingredients)))
        case["stock"] = {key: f"{rng.uniform(0, 4):.2f}" for key in keys}
    if rng.random() < 0.2:
        case["policy"] = random_policy(rng)
    return case


def _measured(rng: random.Random, zone: str) -> str:
    shape = starter().zones[zone]
    low = max(20, int(shape.area_min_cm2))
    return f"{rng.uniform(low, int(shape.area_max_cm2)):.1f}"


def random_policy(rng: random.Random) -> dict[str, Any]:
    choices: dict[str, Any] = {
        "max_actives": rng.randint(1, 8),
        "max_syringes": rng.randint(1, 3),
        "avoid": rng.sample(list(starter().ingredients), k=3),
        "allow_prescription": rng.random() < 0.5,
        "ingredient_budget": rng.choice([None, 0, "12.5", 40, 100]),
        "sessions": rng.choice([None, 1, 2, 3, 4, 5]),
        "region": rng.choice(list(starter().cost.regions)),
        "provider": rng.choice(list(starter().cost.providers)),
        "currency": rng.choice([None, "EUR", "CHF"]),
        "price_per_unit": rng.choice([1, "0.85", "1.333"]),
        "selection_weights": {"simplicity_per_active": rng.choice([0, "0.1", "0.5", 1])},
    }
    return {key: choices[key] for key in rng.sample(sorted(choices), k=rng.randint(1, 4))}


# ---------------------------------------------------------------------- hostile input
def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 3.7, float("nan"), float("inf"), float("-inf"), 1e308, 10**30, -(10**400), "", " ",
    "unknown", "none", "\x00", "’; DROP TABLE", "<script>", "a" * 5000, "💉", "\ud800", "٣", "1e9", "0x10", "+5", "--5",
    "NaN", "1_000", [], {}, [[]], [None], [{}], {"": ""}, {1: 2}, {None: None}, {(1, 2): 3}, (1, 2), b"bytes", {1, 2},
    object(), RECURSIVE, nested(60), {"fact": "age_years"}, list(range(500)), ["asthma"] * 300,
)  # fmt: skip
KEYS = ("facts", "concerns", "zones", "formulary_overrides", "policy", "stock", "waived", "expect", "id", "__class__")


def damaged(rng: random.Random, case: Any) -> Any:
    """The case with one to four parts replaced by junk, renamed or removed."""
    damaged_case = case
    for _ in range(rng.randint(1, 4)):
        if rng.random() < 0.05 or not isinstance(damaged_case, dict):
            return rng.choice(JUNK)
        _damage(rng, damaged_case)
    return damaged_case


def _damage(rng: random.Random, node: Any) -> None:
    while isinstance(node, dict | list) and node:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        place = rng.choice(places)
        child = node[place]
        if isinstance(child, dict | list) and child and child is not node and rng.random() < 0.75:
            node = child
            continue
        verdict = rng.random()
        if verdict < 0.7:
            node[place] = rng.choice(JUNK)
        elif verdict < 0.8 or isinstance(node, list):
            node.pop(place)
        else:
            key = rng.choice([*KEYS, place, f"{place}s", 7, None, "a" * 300])
            node[key] = node.pop(place)
        return
    if isinstance(node, dict):
        node[rng.choice(KEYS)] = rng.choice(JUNK)
    elif isinstance(node, list):
        node.append(rng.choice(JUNK))
