"""Long lists asked part by part: each has its own “No to all of these”, and an answer to one is not one to all.

The parts are how the page asks; what is stored and screened is the list itself (``docs/reference/intake.md``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from patients.vocabulary import load_vocabulary, values_since

NONE, UNKNOWN = "none", "unknown"  # what a part may be answered with besides a tick
NEW, REST = "new", "rest"  # parts of a list that was answered before some of its values came, and of no other
_NAMES = {NEW: _("New on this list"), REST: _("Asked before")}


@dataclass(frozen=True, kw_only=True)
class Group:
    key: str
    label: str | Promise
    values: tuple[str, ...]


GROUPS: dict[str, tuple[Group, ...]] = {
    "conditions": (
        Group(
            key="blood",
            label=_("Blood and vessels"),
            values=(
                "bleeding_disorder", "retinal_or_brain_haemorrhage", "g6pd_deficiency", "iron_overload",
            ),
        ),
        Group(
            key="heart",
            label=_("Heart and circulation"),
            values=(
                "unstable_heart_disease", "recent_stroke_or_mi", "heart_disease", "heart_block_or_slow_rhythm",
                "heart_failure", "low_blood_pressure", "phaeochromocytoma", "fainting_with_needles",
            ),
        ),
        Group(
            key="cancer",
            label=_("Cancer and hormones"),
            values=(
                "active_cancer", "hormone_sensitive_cancer_history", "prostate_cancer_history", "other_cancer_history",
                "endometriosis_or_fibroids", "thyroid_disease_untreated",
            ),
        ),
        Group(
            key="immune",
            label=_("Immune system and infections"),
            values=(
                "autoimmune_disease_stable", "autoimmune_disease_active", "connective_tissue_disease",
                "sarcoidosis", "behcet_disease", "hepatitis_or_hiv", "immunosuppression_severe", "asthma",
            ),
        ),
        Group(
            key="metabolism",
            label=_("Liver, kidneys and metabolism"),
            values=(
                "diabetes_controlled", "diabetes_uncontrolled", "liver_disease", "kidney_disease",
                "kidney_stones_oxalate", "wilson_disease", "homocystinuria_or_cystinuria",
                "hypercalcaemia_or_sarcoidosis", "high_blood_calcium", "pseudocholinesterase_deficiency",
            ),
        ),
        Group(
            key="nerves",
            label=_("Nerves and mind"),
            values=(
                "epilepsy", "epilepsy_uncontrolled", "myasthenia_gravis", "leber_optic_neuropathy",
                "depression_or_sexual_dysfunction", "trichotillomania", "alcohol_dependence",
            ),
        ),
        Group(
            key="skin",
            label=_("Skin and scalp"),
            values=(
                "keloid_tendency", "keloid_on_scalp_or_neck", "pyoderma_gangrenosum", "psoriasis_elsewhere",
                "lichen_planus", "vitiligo", "herpes_scalp_history",
            ),
        ),
    ),
    "medications": (
        Group(
            key="blood",
            label=_("Blood and bleeding"),
            values=(
                "vitamin_k_antagonist", "doac", "heparin", "antiplatelet_single", "antiplatelet_dual", "dipyridamole",
                "nsaid_regular", "herbal_bleeding_risk",
            ),
        ),
        Group(
            key="hair",
            label=_("Hair, skin and vitamins"),
            values=(
                "minoxidil_topical", "minoxidil_oral", "five_ari_oral", "isotretinoin", "oral_retinoid_other",
                "biotin_high_dose", "vitamin_a_supplement",
            ),
        ),
        Group(
            key="heart",
            label=_("Heart and blood pressure"),
            values=("antihypertensive", "beta_blocker", "nitrate", "pde5_inhibitor"),
        ),
        Group(
            key="immune",
            label=_("Immune system and cancer"),
            values=(
                "chemotherapy", "immunosuppressant", "biologic", "oral_corticosteroid", "methotrexate",
                "tamoxifen_or_aromatase_inhibitor",
            ),
        ),
        Group(
            key="other",
            label=_("Hormones, nerves and others"),
            values=(
                "hormone_therapy", "diabetes_medicine", "glp1_agonist", "anti_epileptic", "valproate", "lithium",
                "ssri_snri", "azole_antifungal", "levodopa_alone", "theophylline", "sulfonamide_antibiotic",
                "disulfiram_or_metronidazole", "hepatotoxic_other",
            ),
        ),
    ),
}  # fmt: skip


def parts_of(fact: str, *, asked: str) -> tuple[Group, ...]:
    """Return the parts in which a list is asked; none where it is asked as a whole.

    ``asked`` is the release that its last answer was asked with: what came since is a part of its own, ahead.
    """
    groups, new = GROUPS.get(fact, ()), values_since(asked).get(fact, ())
    if not new:
        return groups
    if not groups:
        known = tuple(choice.key for choice in load_vocabulary().facts[fact].values)
        groups = (Group(key=REST, label=_NAMES[REST], values=known),)
    rest = (replace(group, values=tuple(v for v in group.values if v not in new)) for group in groups)
    return (Group(key=NEW, label=_NAMES[NEW], values=new), *(group for group in rest if group.values))


def lists_in_parts(*, asked: str) -> tuple[str, ...]:
    """Return the lists that are asked in parts, see ``parts_of``."""
    return tuple(dict.fromkeys([*GROUPS, *values_since(asked)]))


def unsettled(fact: str, chosen: Iterable[str], answered: Mapping[str, Any], *, asked: str) -> list[Group]:
    """The parts of a list that have no tick, no “no to all” and no “don't know”: nobody answered them."""
    ticked = set(chosen)
    return [
        group
        for group in parts_of(fact, asked=asked)
        if answered.get(group.key) not in (NONE, UNKNOWN) and not ticked & set(group.values)
    ]


def part_label(fact: str, key: str) -> str:
    """The label of a part of a long list; empty where there is no such part."""
    named = next((str(group.label) for group in GROUPS.get(fact, ()) if group.key == key), "")
    return named or str(_NAMES.get(key, ""))
