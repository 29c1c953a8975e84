"""The sample clinic's patients: who they are, and what they answer. Everything is invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

# What an intake answers unless the person's own facts say otherwise. Age and sex come from the record.
ANSWERS: dict[str, Any] = {
    "pregnancy_status": "not_pregnant",
    "could_become_pregnant": False,
    "lactating": False,
    "partner_trying_to_conceive": False,
    "blood_donor": False,
    "conditions": [],
    "medications": [],
    "allergies": [],
    "allergy_ingredients": [],
    "anaphylaxis_history": "none",
    "previous_mesotherapy_reaction": "none",
    "scalp_findings": [],
    "patchy_diagnosis": "not_applicable",
    "hair_loss_cause_known": True,
    "fever_or_acute_illness": False,
    "vegan_preference": False,
    "alcohol_free": False,
    "smoker": False,
    "alcohol_heavy": False,
    "bdd_screen_positive": False,
    "unrealistic_expectation": False,
    "can_consent": True,
}
FRONT_TO_CROWN = ("frontal", "temporal_left", "temporal_right", "mid_scalp", "vertex")
WHOLE_SCALP = (*FRONT_TO_CROWN, "parietal_left", "parietal_right", "occipital")


@dataclass(frozen=True, kw_only=True)
class Person:
    key: str
    given_name: str
    family_name: str
    sex: str
    age: int
    birthday: tuple[int, int]  # month, day
    language: str = "en"
    site: str = "Lyon"
    facts: Mapping[str, Any] = field(default_factory=dict)
    concerns: Sequence[tuple[str, str]]
    zones: Sequence[str]
    note: str

    def birth_date(self, today: date) -> date:
        """Born so that the person is ``age`` years old on ``today``."""
        month, day = self.birthday
        return date(today.year - self.age - ((today.month, today.day) < (month, day)), month, day)


PEOPLE = (
    Person(
        key="philippa",
        given_name="Philippa",
        family_name="Nakagawa-Reyes",
        sex="female",
        age=66,
        birthday=(3, 12),
        facts={
            "sinclair_grade": 3,
            "conditions": ["heart_disease"],
            "medications": ["antiplatelet_single", "antihypertensive", "nitrate"],
            "bp_systolic": 132,
            "bp_diastolic": 78,
        },
        concerns=[("ageing_scalp", "moderate")],
        zones=["mid_scalp", "vertex", "frontal"],
        note="Finer hair since the menopause. Stable angina with aspirin, bisoprolol and a nitrate spray.",
    ),
    Person(
        key="caspian",
        given_name="Caspian",
        family_name="Duarte",
        sex="male",
        age=28,
        birthday=(9, 2),
        language="es",
        facts={"allergies": ["salicylate"], "scalp_findings": ["seborrhoeic_flare"]},
        concerns=[("scalp_inflammation", "moderate"), ("seborrhoea_dandruff", "mild")],
        zones=WHOLE_SCALP,
        note="Greasy flakes and a marked flare, burning at the roots. Hives after aspirin.",
    ),
    Person(
        key="teodor",
        given_name="Teodor",
        family_name="Brandvold",
        sex="male",
        age=39,
        birthday=(6, 8),
        facts={"norwood_stage": "IV", "medications": ["minoxidil_topical", "antiplatelet_single"]},
        concerns=[("androgenetic_alopecia", "moderate"), ("poor_scalp_circulation", "mild")],
        zones=FRONT_TO_CROWN,
        note="Uses minoxidil lotion; takes aspirin 100 mg on his doctor's advice. Cold, tight scalp.",
    ),
    Person(
        key="marguerite",
        given_name="Marguerite",
        family_name="Oduya",
        sex="female",
        age=30,
        birthday=(11, 4),
        language="fr",
        facts={
            "could_become_pregnant": True,
            "months_since_delivery": 8,
            "conditions": ["keloid_tendency"],
            "lab_ferritin": 24,
        },
        concerns=[("postpartum_shedding", "moderate")],
        zones=["frontal", "temporal_left", "temporal_right"],
        note="Gave birth eight months ago, never breast-fed. A keloid on the shoulder after a vaccination.",
    ),
    Person(
        key="rasmus",
        given_name="Rasmus",
        family_name="Achterberg",
        sex="male",
        age=47,
        birthday=(1, 19),
        facts={"norwood_stage": "V", "conditions": ["diabetes_controlled"], "lab_hba1c": 52},
        concerns=[
            ("androgenetic_alopecia", "severe"),
            ("poor_scalp_circulation", "moderate"),
            ("nutrient_deficiency", "mild"),
        ],
        zones=FRONT_TO_CROWN,
        note="Family history on both sides. Type 2 diabetes on metformin. Feet always cold.",
    ),
    Person(
        key="noor",
        given_name="Noor",
        family_name="Castellanos",
        sex="female",
        age=22,
        birthday=(7, 27),
        language="es",
        facts={
            "could_become_pregnant": True,
            "allergies": ["soy", "red_clover_legume"],
            "alcohol_free": True,
            "lab_ferritin": 12,
            "lab_tsh_abnormal": True,
        },
        concerns=[
            ("telogen_effluvium", "moderate"),
            ("nutrient_deficiency", "moderate"),
            ("poor_scalp_circulation", "mild"),
        ],
        zones=WHOLE_SCALP,
        note="Lost 11 kg in ten weeks; shedding since last month. Wants products without alcohol.",
    ),
    Person(
        key="ottilie",
        given_name="Ottilie",
        family_name="Varga",
        sex="female",
        age=26,
        birthday=(4, 30),
        facts={
            "could_become_pregnant": True,
            "scalp_findings": ["patchy_smooth"],
            "patchy_diagnosis": "none",
            "hair_loss_cause_known": False,
        },
        concerns=[("patchy_loss", "moderate")],
        zones=["parietal_left"],
        note="A coin-sized smooth patch behind the ear for three weeks, a second one starting.",
    ),
    Person(
        key="ilse",
        given_name="Ilse",
        family_name="Fennimore",
        sex="female",
        age=33,
        birthday=(2, 21),
        facts={"could_become_pregnant": True, "lactating": True, "months_since_delivery": 5},
        concerns=[("postpartum_shedding", "severe")],
        zones=["frontal", "temporal_left", "temporal_right"],
        note="Gave birth five months ago and still breast-feeds. Handfuls of hair in the shower.",
    ),
    Person(
        key="lennart",
        given_name="Lennart",
        family_name="Oyelaran",
        sex="male",
        age=24,
        birthday=(10, 11),
        facts={"norwood_stage": "I", "bdd_screen_positive": True, "unrealistic_expectation": True},
        concerns=[("androgenetic_alopecia", "mild")],
        zones=["frontal"],
        note="Adolescent hairline, has seen five clinics.",
    ),
    Person(
        key="amara",
        given_name="Amara",
        family_name="Lindqvist-Boateng",
        sex="female",
        age=51,
        birthday=(12, 1),
        facts={"scalp_findings": ["psoriasis_active"], "medications": ["methotrexate"]},
        concerns=[("scalp_inflammation", "severe"), ("diffuse_thinning", "mild")],
        zones=["vertex", "mid_scalp"],
        note="Silvery plaques over the crown, joint pain treated with weekly methotrexate.",
    ),
    Person(
        key="anselm",
        given_name="Anselm",
        family_name="Korhonen-Diaz",
        sex="male",
        age=35,
        birthday=(5, 16),
        site="New York",
        facts={"norwood_stage": "III", "partner_trying_to_conceive": True},
        concerns=[("androgenetic_alopecia", "moderate")],
        zones=["temporal_left", "temporal_right", "frontal"],
        note="He and his wife have been trying for a baby since spring.",
    ),
    Person(
        key="solveig",
        given_name="Solveig",
        family_name="Mbatha",
        sex="female",
        age=35,
        birthday=(8, 9),
        site="New York",
        facts={
            "could_become_pregnant": True,
            "conditions": ["kidney_disease"],
            "lab_egfr": 25,
            "days_since_chemical_hair_treatment": 3,
        },
        concerns=[("dry_brittle_hair", "mild")],
        zones=["mid_scalp", "vertex"],
        note="Bleached three days ago, hair snapping. Kidney disease.",
    ),
)
