"""The starter formulary: nothing lost, every word defined, every mistake named."""

from __future__ import annotations

import copy
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from protocols.engine import build_formulary
from protocols.formulary.checking import check_documents
from protocols.formulary.loader import FormularyError, load_documents, require_sound
from tests.protocols.worked_cases import earlier_formulary, starter

ROOT = Path(__file__).resolve().parents[2]


def keys_in(node: Any) -> int:
    if isinstance(node, dict):
        return len(node) + sum(keys_in(value) for value in node.values())
    return sum(keys_in(item) for item in node) if isinstance(node, list) else 0


def test_nothing_of_the_starter_was_lost_when_it_was_split() -> None:
    """Entries and keys of each part, counted in the files that the catalogue was first written in."""
    documents = earlier_formulary().documents
    counted = {
        f"{name}.{part}": (len(node) if isinstance(node, list | dict) else 1, keys_in(node))
        for name in ("ingredients", "concerns", "screening", "course", "sources")
        for part, node in documents[name].items()
    }
    expected = {
        "ingredients.evidence_scale": (5, 5), "ingredients.direction_values": (4, 0), "ingredients.classes": (11, 0),
        "ingredients.mixture_evidence": (4, 20), "ingredients.general_product_rules": (4, 0),
        "ingredients.never_in_formulary": (9, 18), "ingredients.ingredients": (45, 3826),
        "screening.required_before_plan": (3, 3), "screening.rules": (135, 1723),
        "screening.default_pair_advice": (1, 0), "screening.incompatibilities": (55, 453),
        "sources.sources": (86, 774), "sources.article_claims": (23, 161), "sources.claim_tracing": (9, 9),
        "concerns.article_sentence_map": (23, 46), "concerns.coding_sources": (2, 2),
        "course.sessions": (6, 92), "course.session_day_checks": (5, 0), "course.decision_measures": (12, 44),
        "course.decision_rules": (4, 88), "course.decision_basis": (2, 2), "course.maintenance": (8, 14),
        "course.outcome_measures": (7, 41), "course.expected_side_effects": (10, 81), "course.red_flags": (9, 36),
        "course.red_flag_sources": (6, 0), "course.aftercare": (6, 12), "course.lifestyle": (5, 5),
        "course.home_care_products": (12, 72), "course.referral_rules": (12, 72), "course.cost_model": (13, 49),
        "course.patient_expectation_text": (5, 0),
    }  # fmt: skip
    assert {key: counted[key] for key in expected} == expected
    # Parts that gained numbers beside their formulas: what they had, and what was added.
    grown = {
        "course.session_duration": (28, 4),  # calculation
        "course.technique": (66, 12),  # target_volume, draw_step, default and choose_when of the methods
        "course.composition": (52, 1),  # top_up_diluents
        "course.checkpoints": (21, 6),  # if_fewer_sessions
    }
    assert {key: counted[key][1] for key in grown} == {key: sum(parts) for key, parts in grown.items()}
    # Concerns and scales stand partly in the vocabulary now, each with its own key.
    vocabulary = documents["vocabulary"]
    split = keys_in(vocabulary["concerns"]["concerns"]) + counted["concerns.concerns"][1]
    assert split - 11 - 4 == 486, "eleven keys are in both files; cleared_when is new"
    assert keys_in(vocabulary["scales"]["scales"]) - 3 + 4 == 97, "three facts are new; four source_ids moved"
    assert counted["concerns.scale_sources"][0] == 4
    assert (len(vocabulary["facts"]["facts"]), len(vocabulary["zones"]["zones"])) == (47, 8)


def test_nothing_of_the_version_before_was_lost_but_what_the_release_says() -> None:
    """An entry that goes needs a line in release.yaml and a place here."""
    gone = {}
    for name, part, key in (
        ("ingredients", "ingredients", "key"), ("concerns", "concerns", "key"), ("screening", "rules", "key"),
        ("screening", "incompatibilities", "key"), ("sources", "sources", "id"), ("sources", "article_claims", "id"),
        ("course", "referral_rules", "key"), ("course", "red_flags", "key"), ("course", "checkpoints", "key"),
    ):  # fmt: skip
        before = {entry[key] for entry in earlier_formulary().documents[name][part]}
        gone[part] = before - {entry[key] for entry in load_documents()[name][part]}
    facts, now = (d["vocabulary"]["facts"]["facts"] for d in (earlier_formulary().documents, load_documents()))
    gone["facts"] = set(facts) - set(now)
    gone["values"] = {
        f"{key}.{value}"
        for key, fact in facts.items()
        for value in set(fact.get("values", ())) - set(now[key].get("values", ()))
    }

    assert {part: keys for part, keys in gone.items() if keys} == {"rules": {"hypotension_coumarin"}}


def test_documents_are_plain_json_with_decimals_as_written() -> None:
    documents = load_documents()

    assert json.loads(json.dumps(documents)) == documents
    stock = next(e for e in documents["ingredients"]["ingredients"] if e["key"] == "pdrn")["stock"]
    assert stock["concentration"] == "1.875"
    assert documents["course"]["composition"]["selection_weights"]["evidence_grade"]["A"] == "1.0"


def test_documents_are_a_copy_of_one_s_own() -> None:
    load_documents()["ingredients"]["ingredients"].clear()

    assert load_documents()["ingredients"]["ingredients"]


def test_formulary_is_built_fast() -> None:
    documents = load_documents()
    best = min(_timed(documents) for _ in range(5))

    assert best < 0.2


def _timed(documents: dict[str, Any]) -> float:
    start = time.perf_counter()
    build_formulary(documents)
    return time.perf_counter() - start


def test_switching_an_ingredient_leaves_the_formulary_itself_alone() -> None:
    on = build_formulary(load_documents(), activate=["minoxidil"], deactivate=["biotin"], label="2026.2")

    assert (on.ingredients["minoxidil"].active, on.ingredients["biotin"].active, on.label) == (True, False, "2026.2")
    assert not starter().ingredients["minoxidil"].active
    assert starter().switched() is starter()


def test_claims_that_rest_on_the_web_article_alone_are_known() -> None:
    alone = {
        (item.key, address.concern)
        for item in starter().by_index
        for address in item.addresses.values()
        if address.web_article_only
    }

    assert alone == {
        ("coumarin", "poor_scalp_circulation"),
        ("monomethylsilanetriol", "scalp_inflammation"),
        ("silanol_salicylate", "scalp_inflammation"),
    }


def _ingredient(d: dict[str, Any], key: str) -> dict[str, Any]:
    return next(entry for entry in d["ingredients"]["ingredients"] if entry["key"] == key)


def _rule(d: dict[str, Any], key: str) -> dict[str, Any]:
    return next(entry for entry in d["screening"]["rules"] if entry["key"] == key)


MISTAKES: dict[str, Any] = {
    "ingredient biotin: usual dose 2.6 is not concentration 5 x volume 0.5":
        lambda d: _ingredient(d, "biotin")["per_session"]["dose"].update(usual="2.6"),
    "ingredient biotin: volume must have min <= usual <= max":
        lambda d: _ingredient(d, "biotin")["per_session"]["volume"].update(min="0.9"),
    "ingredient biotin: the dose at maximum volume exceeds max_dose":
        lambda d: _ingredient(d, "biotin")["per_session"]["max_dose"].update(value="4.9"),
    "ingredient biotin: concentration in mg/mL, dose in microgram":
        lambda d: [part.update(unit="microgram") for part in (
            _ingredient(d, "biotin")["per_session"]["dose"], _ingredient(d, "biotin")["per_session"]["max_dose"])],
    "ingredient biotin: the units of volume, dose and max_dose do not agree":
        lambda d: _ingredient(d, "biotin")["per_session"]["max_dose"].update(unit="g"),
    "ingredient biotin: the concentration must be above 0":
        lambda d: _ingredient(d, "biotin")["stock"].update(concentration=0),
    "ingredient biotin: the pH range is out of order":
        lambda d: _ingredient(d, "biotin")["solution"].update(ph_min="9"),
    "ingredient biotin: unknown class herb": lambda d: _ingredient(d, "biotin").update({"class": "herb"}),
    "ingredient biotin: unknown role hero": lambda d: _ingredient(d, "biotin").update(role="hero"),
    "ingredient biotin: unknown field colour": lambda d: _ingredient(d, "biotin").update(colour="red"),
    "ingredient biotin: activation and default_active contradict each other":
        lambda d: _ingredient(d, "biotin").update(default_active=False),
    "ingredient biotin: it names no source": lambda d: _ingredient(d, "biotin").update(source_ids=[]),
    "ingredient biotin: relative_cost_per_ml is negative":
        lambda d: _ingredient(d, "biotin").update(relative_cost_per_ml="-1"),
    "ingredient biotin: min_interval_days must be a whole number of days":
        lambda d: _ingredient(d, "biotin")["per_session"].update(min_interval_days="14.5"),
    "ingredient biotin: unknown concern baldness":
        lambda d: _ingredient(d, "biotin")["concerns"][0].update(concern="baldness"),
    "ingredient biotin, dry_brittle_hair: strength must be 1, 2 or 3":
        lambda d: _ingredient(d, "biotin")["concerns"][1].update(strength=4),
    "ingredient biotin, dry_brittle_hair: unknown evidence grade F":
        lambda d: _ingredient(d, "biotin")["concerns"][1].update(evidence_grade="F"),
    "ingredient biotin, dry_brittle_hair: unknown direction up":
        lambda d: _ingredient(d, "biotin")["concerns"][1].update(direction="up"),
    "ingredients biotin: unknown source hearsay":
        lambda d: _ingredient(d, "biotin")["source_ids"].append("hearsay"),
    "ingredients: biotin is defined twice":
        lambda d: d["ingredients"]["ingredients"].append(copy.deepcopy(_ingredient(d, "biotin"))),
    "rule smoker: the vocabulary lacks the fact smokes":
        lambda d: _rule(d, "smoker")["trigger"].update(fact="smokes"),
    "rule smoker: unknown operation equals": lambda d: _rule(d, "smoker")["trigger"].update(op="equals"),
    "rule smoker: gte does not fit smoker, which is of type boolean":
        lambda d: _rule(d, "smoker")["trigger"].update(op="gte"),
    "rule smoker: smoker is takes true or false": lambda d: _rule(d, "smoker")["trigger"].update(value="yes"),
    "rule smoker: a test needs fact, op and value": lambda d: _rule(d, "smoker")["trigger"].pop("value"),
    "rule smoker: unknown severity fatal": lambda d: _rule(d, "smoker").update(severity="fatal"),
    "rule smoker: unknown field note": lambda d: _rule(d, "smoker").update(note="x"),
    "rule smoker: it has no message": lambda d: _rule(d, "smoker").update(message=""),
    "rule smoker: unknown scope town": lambda d: _rule(d, "smoker").update(applies_to={"scope": "town"}),
    "rule smoker: scope plan takes nothing else":
        lambda d: _rule(d, "smoker").update(applies_to={"scope": "plan", "keys": []}),
    "rule under_18: unknown referral witch": lambda d: _rule(d, "under_18").update(refer="witch"),
    "rule under_18: 'old' is not a number": lambda d: _rule(d, "under_18")["trigger"].update(value="old"),
    "rule lactation: an absolute rule applies to the plan, an exclude rule to ingredients":
        lambda d: _rule(d, "lactation").update(severity="exclude"),
    "rule pregnancy: in takes a list": lambda d: _rule(d, "pregnancy")["trigger"].update(value="pregnant"),
    "rule pregnancy: pregnancy_status has no value expecting":
        lambda d: _rule(d, "pregnancy")["trigger"].update(value=["expecting"]),
    "rule wilson_copper: unknown ingredient copper":
        lambda d: _rule(d, "wilson_copper")["applies_to"].update(keys=["copper"]),
    "rule allergy_fish: no ingredient lists the allergen shrimp":
        lambda d: _rule(d, "allergy_fish")["applies_to"].update(allergen="shrimp"),
    "rule vegan_preference: unknown flag green":
        lambda d: _rule(d, "vegan_preference")["applies_to"].update(flag="green"),
    "rule endometriosis_fibroids: unknown class herb":
        lambda d: _rule(d, "endometriosis_fibroids")["applies_to"].update(classes=["herb"]),
    "rule bleeding_disorder: all and any need a list of triggers":
        lambda d: _rule(d, "bleeding_disorder")["trigger"].update(any=[]),
    "rule bleeding_disorder: all or any stands alone":
        lambda d: _rule(d, "bleeding_disorder")["trigger"].update(fact="smoker"),
    "rule allergy_benzyl_alcohol: no ingredient has contains_benzyl_alcohol yes, so it does nothing":
        lambda d: _ingredient(d, "cyanocobalamin")["flags"].update(contains_benzyl_alcohol=False),
    "rule wilson_copper: it names no ingredient, so it does nothing":
        lambda d: _rule(d, "wilson_copper")["applies_to"].update(keys=[]),
    "rule endometriosis_fibroids: it names no class, so it does nothing":
        lambda d: _rule(d, "endometriosis_fibroids")["applies_to"].update(classes=[]),
    "rule endometriosis_fibroids: no ingredient is of the class herb":
        lambda d: [d["ingredients"]["classes"].append("herb"),
                   _rule(d, "endometriosis_fibroids")["applies_to"].update(classes=["herb"])],
    "rule prescription_needs_prescriber: no ingredient is prescription-only, so it does nothing":
        lambda d: [entry["regulatory"].update(prescription_only=False) for entry in d["ingredients"]["ingredients"]],
    "rule under_18: it can never fire, since no answers make its trigger true":
        lambda d: _rule(d, "under_18")["trigger"].update(op="lt", value=0),
    "rule platelets_low: it can never fire, since no answers make its trigger true":
        lambda d: _rule(d, "platelets_low")["trigger"]["all"][1].update(op="lt", value=50),
    "rule lactation: it can never fire, since no answers make its trigger true":
        lambda d: _rule(d, "lactation").update(trigger={"all": [
            {"fact": "lactating", "op": "is", "value": True}, {"fact": "sex_at_birth", "op": "is", "value": "male"}]}),
    "rule smoker: it can never fire, since no answers make its trigger true":
        lambda d: _rule(d, "smoker").update(trigger={"all": [
            {"fact": "smoker", "op": "is", "value": True}, {"fact": "smoker", "op": "is", "value": False}]}),
    "rule hair_pulling: it can never fire, since no answers make its trigger true":
        lambda d: _rule(d, "hair_pulling").update(trigger={"all": [
            {"fact": "conditions", "op": "includes", "value": "trichotillomania"},
            {"fact": "conditions", "op": "is_not_empty", "value": False}]}),
    "rule pregnancy: it can never fire, since no answers make its trigger true":
        lambda d: _rule(d, "pregnancy")["trigger"].update(value=[]),
    "rule smoker: unknown basis rumour": lambda d: _rule(d, "smoker").update(basis="rumour"),
    "rule smoker: unknown evidence grade F": lambda d: _rule(d, "smoker").update(evidence_grade="F"),
    "rule implant_under_treated_zone: a rule aimed at zones is absolute":
        lambda d: _rule(d, "implant_under_treated_zone").update(severity="caution"),
    "rule implant_under_treated_zone: allergies lists no zone of the scalp, so it can bar none":
        lambda d: _rule(d, "implant_under_treated_zone")["applies_to"].update(fact="allergies"),
    "rule implant_under_treated_zone: the vocabulary lacks the fact plates":
        lambda d: _rule(d, "implant_under_treated_zone")["applies_to"].update(fact="plates"),
    "rule implant_under_treated_zone: scalp_implant_zones does not offer the zones vertex":
        lambda d: d["vocabulary"]["facts"]["facts"]["scalp_implant_zones"]["values"].pop("vertex"),
    "asked_with_cause lab_inr: it is given twice":
        lambda d: d["screening"]["asked_with_cause"].append(d["screening"]["asked_with_cause"][0]),
    "asked_with_cause shoe_size: the vocabulary lacks it":
        lambda d: d["screening"]["asked_with_cause"][0].update(fact="shoe_size"),
    "asked_with_cause lab_inr: it does not say why": lambda d: d["screening"]["asked_with_cause"][0].update(why=""),
    "asked_with_cause lab_inr: it names no source":
        lambda d: d["screening"]["asked_with_cause"][0].update(source_ids=[]),
    "asked_with_cause lab_inr: it can never fire, since no answers make its trigger true":
        lambda d: d["screening"]["asked_with_cause"][0].update(
            cause={"fact": "age_years", "op": "gt", "value": 120}),
    "fact alcohol_heavy: no rule, scale or cause reads it":
        lambda d: [d["screening"].update(asked_with_cause=[]),
                   _rule(d, "liver_risk_coumarin")["trigger"]["any"].pop(1)],
    "fact conditions: no rule or cause reads its value vitiligo":
        lambda d: _rule(d, "koebner_lichen_or_vitiligo")["trigger"].update(value=["lichen_planus"]),
    "fact medications: no rule or cause reads its value cannabis":
        lambda d: d["vocabulary"]["facts"]["facts"]["medications"]["values"].update(cannabis="Cannabis"),
    "ingredients: nothing is of the class herb": lambda d: d["ingredients"]["classes"].append("herb"),
    "ingredient biotin: no rule keeps it from people allergic to egg_or_bird_protein":
        lambda d: _ingredient(d, "biotin")["flags"]["allergens"].append("egg_or_bird_protein"),
    "pair thiamine_sulfite: no ingredient is marked contains_sulfite yes, so it does nothing":
        lambda d: [entry["flags"].update(contains_sulfite=False) for entry in d["ingredients"]["ingredients"]],
    "pair emulsion_divalent: no ingredient is of the class herb, so it does nothing":
        lambda d: [d["ingredients"]["classes"].append("herb"),
                   next(p for p in d["screening"]["incompatibilities"] if p["key"] == "emulsion_divalent").update(
                       b={"class": "herb"})],
    "pair ascorbate_copper: it joins no two ingredients":
        lambda d: d["screening"]["incompatibilities"][0].update(b="ascorbic_acid"),
    "pair ascorbate_copper: unknown basis rumour":
        lambda d: d["screening"]["incompatibilities"][0].update(basis="rumour"),
    "release: it needs a name of its own": lambda d: d["release"].update(label="2026.1"),
    "release: unknown field mood": lambda d: d["release"].update(mood="good"),
    "release, change 1: it says nothing": lambda d: d["release"]["changes"][0].update(text=""),
    "release, change 1: unknown rule nobody": lambda d: d["release"]["changes"][0].update(rules=["nobody"]),
    "required_before_plan: the vocabulary lacks the fact shoe_size":
        lambda d: d["screening"]["required_before_plan"]["always"].append("shoe_size"),
    "required_before_plan: unknown condition if_tall":
        lambda d: d["screening"]["required_before_plan"].update(if_tall=[]),
    "pair ascorbate_copper: unknown ingredient copper":
        lambda d: d["screening"]["incompatibilities"][0].update(b="copper"),
    "pair ascorbate_copper: unknown severity maybe":
        lambda d: d["screening"]["incompatibilities"][0].update(severity="maybe"),
    "pair ascorbate_copper: unknown scope room":
        lambda d: d["screening"]["incompatibilities"][0].update(scope="room"),
    "pair ascorbate_copper: unknown side {'taste': 'sour'}":
        lambda d: d["screening"]["incompatibilities"][0].update(b={"taste": "sour"}),
    "pair ascorbate_copper: no ingredient has the solvent wine":
        lambda d: d["screening"]["incompatibilities"][0].update(b={"solvent": "wine"}),
    "concern patchy_loss: referral_first needs cleared_when, which says when a diagnosis has been recorded":
        lambda d: d["concerns"]["concerns"][6].pop("cleared_when"),
    "concern poor_scalp_circulation: its anchor biotin does not serve it":
        lambda d: d["concerns"]["concerns"][0]["anchors"]["first_choice"].append("biotin"),
    "concern poor_scalp_circulation: arginine is first choice and supporting":
        lambda d: d["concerns"]["concerns"][0]["anchors"]["first_choice"].append("arginine"),
    "concern poor_scalp_circulation: unknown ingredient ginger":
        lambda d: d["concerns"]["concerns"][0]["anchors"]["supporting"].append("ginger"),
    "concern baldness: the vocabulary lacks it":
        lambda d: d["concerns"]["concerns"][0].update(key="baldness"),
    "concerns poor_scalp_circulation: unknown article claim S99":
        lambda d: d["concerns"]["concerns"][0]["article_claims"].append("S99"),
    "scale norwood_hamilton, stage V: no rule offers the referral it asks for":
        lambda d: d["vocabulary"]["scales"]["scales"][0]["stages"][5].update(refer=True),
    "course, mild: more than 5 sessions":
        lambda d: d["course"]["sessions"]["by_severity"][0]["sessions"].update(max=6),
    "course, mild, default_offsets: an interval is outside the rule":
        lambda d: d["course"]["sessions"]["by_severity"][0]["default_offsets"].update(values=[0, 7, 56]),
    "course, severe, slow, 5 sessions: the span of 169 days is outside the rule":
        lambda d: d["course"]["sessions"]["by_severity"][2]["alternative_schedules"][2].update(
            offsets=[0, 42, 84, 126, 169]),
    "course: session_duration.calculation does not repeat the numbers of its formula":
        lambda d: d["course"]["session_duration"]["calculation"].update(from_cm2=90),
    "course: technique.target_volume does not repeat the numbers of its formula":
        lambda d: d["course"]["technique"]["target_volume"].update(per_cm2="0.03"),
    "course: the largest target volume exceeds max_total_volume_per_session":
        lambda d: d["course"]["technique"]["max_total_volume_per_session"].update(value="7.5"),
    "course: exactly one method of technique must be the default":
        lambda d: d["course"]["technique"]["methods"][0].pop("default"),
    "composition: biotin is no diluent": lambda d: d["course"]["composition"]["top_up_diluents"].append("biotin"),
    "composition: the share of a diluent must be from 0 to below 1":
        lambda d: d["course"]["composition"].update(max_diluent_share_of_syringe="1"),
    "composition: the weights of direction must be given for mixed, no_advantage, supports, untested":
        lambda d: d["course"]["composition"]["selection_weights"]["direction"].pop("mixed"),
    "composition: extra_syringe is negative":
        lambda d: d["course"]["composition"]["selection_weights"].update(extra_syringe="-0.1"),
    "composition, family: unknown ingredient ginger":
        lambda d: d["course"]["composition"]["same_family_limit"][3]["ingredients"].append("ginger"),
    "cost_model: a multiplier of region is not above 0":
        lambda d: d["course"]["cost_model"]["region"][0].update(multiplier=0),
    "sources: the document is missing": lambda d: d.pop("sources"),
    "the documents cannot be read further: KeyError 'rules'": lambda d: d["screening"].pop("rules"),
}  # fmt: skip


@pytest.mark.parametrize("sentence", MISTAKES)
def test_check_names_the_mistake(sentence: str) -> None:
    documents = load_documents()
    MISTAKES[sentence](documents)

    assert sentence in check_documents(documents)
    with pytest.raises(FormularyError, match=re.escape(sentence)):
        require_sound(documents)


def test_sound_documents_have_no_mistakes() -> None:
    assert check_documents(load_documents()) == ()


def test_no_ingredient_condition_or_medicine_is_named_in_code() -> None:
    """The engine interprets data. A word of the formulary's in its code would be a rule that no director can see."""
    documents = load_documents()
    facts = documents["vocabulary"]["facts"]["facts"]
    words = {entry["key"] for entry in documents["ingredients"]["ingredients"]}
    words |= {
        key for name in ("conditions", "medications", "allergies", "scalp_findings") for key in facts[name]["values"]
    }
    words |= {entry["key"] for entry in documents["concerns"]["concerns"]}
    words |= {entry["key"] for entry in documents["screening"]["rules"]}
    words |= {key for key in facts if key != "sex_at_birth"}
    words |= {zone["key"] for zone in documents["vocabulary"]["zones"]["zones"]}
    files = [ROOT / "protocols" / "plans" / "proposing.py"]
    for folder in ("engine", "words", "formulary/checking"):
        files += (ROOT / "protocols" / folder).rglob("*.py")
    ordinary = {"infection", "fish", "yeast", "latex", "vertex", "frontal"}  # words that prose may use
    for path in files:
        code = path.read_text(encoding="utf-8")
        found = {word for word in words - ordinary if re.search(rf"[\"']{re.escape(word)}[\"']", code)}
        assert not found, f"{path.name} names {sorted(found)}"


def test_engine_imports_neither_django_nor_the_clock() -> None:
    for path in (ROOT / "protocols" / "engine").rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(from|import) (django|datetime|time|random|os|pathlib|io)\b", code, re.M), path
        assert "float(" not in code or path.name == "policy.py", path
