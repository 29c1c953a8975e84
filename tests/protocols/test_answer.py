"""The answer as others see it: its published shape, its golden form, its sentences, what-if."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.utils import translation

from protocols.engine import (
    ENGINE_VERSION,
    POLICY_SCHEMA,
    Dose,
    MixedUnits,
    apply_edits,
    canonical_json,
    propose,
    verify,
)
from protocols.engine.canonical import plain_number
from protocols.engine.codes import without_sentences
from protocols.engine.compare import compare
from protocols.engine.schema import ANSWER_SCHEMA
from protocols.plans.proposing import answer_case, what_if
from protocols.words.changes import explain_change
from protocols.words.faults import FAULTS, REFUSALS, explain_refusal
from tests.protocols.patients_at_random import random_patient, random_policy
from tests.protocols.worked_cases import actives, answer_of, by_id, count, man, starter, woman, worked_cases

GOLDEN = Path(__file__).resolve().parent / "golden"
ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = jsonschema.Draft202012Validator(ANSWER_SCHEMA)


@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case["id"])
def test_answer_is_the_golden_one(case: dict[str, Any]) -> None:
    """A change of any answer shows in review. MESOCLINIC_GOLDEN=write renews the files."""
    path = GOLDEN / f"{case['id']}.json"
    found = json.dumps(answer_of(case), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("MESOCLINIC_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")

    assert found == path.read_text(encoding="utf-8")


def test_same_bytes_in_another_process_whatever_the_hash_seed() -> None:
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "import hashlib\n"
        "from tests.protocols.worked_cases import worked_cases, answer_of\n"
        "from protocols.engine import canonical_json\n"
        "print(hashlib.sha256(b''.join(canonical_json(answer_of(c)) for c in worked_cases())).hexdigest())\n"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(hashes) == 1


def test_decimal_context_of_the_caller_changes_nothing() -> None:
    import decimal

    expected = canonical_json(answer_of(by_id("C09")))
    with decimal.localcontext() as context:
        context.prec = 50
        context.rounding = decimal.ROUND_UP
        assert canonical_json(answer_of(by_id("C09"))) == expected


# ---------------------------------------------------------------------- shape
@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case["id"])
def test_answer_has_its_published_shape(case: dict[str, Any]) -> None:
    VALIDATOR.validate(answer_of(case))
    VALIDATOR.validate(answer_case(case))


def test_answer_of_random_patients_has_its_published_shape() -> None:
    rng = random.Random("shape")
    for _ in range(count(40, 3000)):
        VALIDATOR.validate(answer_case(random_patient(rng)))


def test_edited_answer_has_its_published_shape() -> None:
    edits = [{"op": "remove", "ingredient": "arginine"}, {"op": "add", "ingredient": "coumarin"}, {"op": "odd"}]
    edited = answer_case(by_id("C03"), edits=edits)

    VALIDATOR.validate(edited)
    assert [row["path"] for row in edited["refusals"]] == ["edits[1]", "edits[2]"]


def test_schemas_are_schemas() -> None:
    jsonschema.Draft202012Validator.check_schema(ANSWER_SCHEMA)
    jsonschema.Draft202012Validator.check_schema(POLICY_SCHEMA)


def test_policies_have_their_published_shape() -> None:
    rng = random.Random("policy")
    for _ in range(count(20, 300)):
        jsonschema.validate(random_policy(rng), POLICY_SCHEMA)


def test_answer_names_its_versions() -> None:
    said = answer_of(man())

    assert (said["formulary_version"], said["engine_version"]) == ("2026.2", ENGINE_VERSION)
    assert said["formulary_fingerprint"] == starter().fingerprint


# ---------------------------------------------------------------------- sentences
@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_sentences_leave_what_the_engine_said_alone(language: str) -> None:
    rng = random.Random("sentences")
    for case in [*worked_cases(), *(random_patient(rng) for _ in range(count(20, 500)))]:
        said = answer_case(case, language=language)
        assert without_sentences(said) == answer_of(case)


def test_no_sentence_has_a_hole() -> None:
    rng = random.Random("holes")
    for _ in range(count(40, 2000)):
        for text in _texts(answer_case(random_patient(rng))):
            assert "%(" not in text and "{" not in text and "None" not in text, text


def _texts(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return [text for child in children for text in _texts(child)]


def test_claim_of_the_web_article_alone_is_labelled() -> None:
    said = answer_case(man(concerns=[{"concern": "poor_scalp_circulation", "severity": "mild"}]))

    line = next(line for line in said["syringes"][0]["lines"] if line["ingredient"] == "coumarin")
    assert line["addresses"][0]["notice"] == "Rests on the web article alone: no independent source supports it."
    assert next(line for line in answer_case(man())["syringes"][0]["lines"])["addresses"][0]["notice"] == ""


def test_sentences_of_left_out_ingredients_name_rule_and_answer() -> None:
    said = answer_case(by_id("C03"))

    reasons = {row["ingredient"]: row["reason"] for row in said["left_out"]}
    assert reasons["coumarin"] == (
        "Screened out: Blood-thinning medicine: coumarin, pentoxifylline and vitamin E are left out. "
        "(Medicines: One antiplatelet medicine (e.g. aspirin 75-325 mg, clopidogrel))"
    )
    assert reasons["biotin"] == "Serves none of the concerns."
    assert reasons["hyaluronic_acid"] == "Would add little. That is less than it brings with it: 1 further mixture."
    assert reasons["zinc_gluconate"] == "Would add little. That is less than one more ingredient has to earn."
    assert reasons["water_for_injections"] == "For reconstitution only, not to top up a syringe."


@pytest.mark.parametrize(
    ("case", "edits", "message"),
    [
        (by_id("C03"), {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.55"},
         "Biochanin A: at most 1.5 mL (ingredients.biochanin_a.per_session.volume.max)."),
        (by_id("C03"), {"op": "add", "ingredient": "coumarin"},
         "Coumarin is screened out: Blood-thinning medicine: coumarin, pentoxifylline and vitamin E are left out."),
        (by_id("C03"), {"op": "add", "ingredient": "biotine"},
         "“biotine” is not a known ingredient. Did you mean biotin, nicotinamide?"),
        (by_id("C03"), {"op": "set_sessions", "sessions": 5}, "Between 3 and 4 sessions for this severity."),
        (by_id("C03"), {"op": "swap", "ingredient": "pdrn"}, "This edit takes: ingredient, with."),
        (by_id("C03"), 7, "Expected a mapping of names to values."),
        (by_id("C01"), {"op": "remove", "ingredient": "pdrn"}, "There is no plan to edit."),
        (man(policy={"max_actives": 2}), {"op": "add", "ingredient": "pdrn"},
         "At most 2 active ingredients in a session."),
        (man(policy={"avoid": ["pdrn"]}), {"op": "add", "ingredient": "pdrn"},
         "Polydeoxyribonucleotide (PDRN) is left out by preference."),
        (man(stock={"biochanin_a": 3}), {"op": "add", "ingredient": "pdrn"},
         "Polydeoxyribonucleotide (PDRN): not enough in stock (0 mL)."),
        (man(stock={"biochanin_a": 1}), {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.25"},
         "Biochanin A: only 1 mL in stock."),
    ],
)  # fmt: skip
def test_refusal_is_a_sentence(case: dict[str, Any], edits: Any, message: str) -> None:
    (refusal,) = apply_edits(case, starter(), None, [edits]).refusals

    assert explain_refusal(refusal, starter()) == message


def test_every_refusal_and_fault_of_the_code_has_a_sentence() -> None:
    import re

    edits = (ROOT / "protocols" / "engine" / "edits.py").read_text(encoding="utf-8")
    raised = set(re.findall(r'_Refused\(\s*"(\w+)"', edits)) | {"no_plan", "pair", "family", "volume", "budget"}
    raised |= {"max_actives", "syringes", "prescription_only", "preference", "not_drawable", "no_stock", "no_volume"}
    assert raised == set(REFUSALS)
    faulty = "".join(
        (ROOT / "protocols" / "engine" / name).read_text(encoding="utf-8")
        for name in ("inputs/case.py", "inputs/policy.py", "edits.py")
    )
    codes = set(re.findall(r'self\.fault\([^,]+, "(\w+)"', faulty)) | set(re.findall(r'code="(\w+)"', faulty))
    codes |= {"wrong_type", "not_finite"}
    assert codes - {"no_plan", "small_syringe"} == set(FAULTS) - {"bad_document"}


# ---------------------------------------------------------------------- what if
CHANGES: list[tuple[str, Callable[[], dict[str, Any]], dict[str, Any], str]] = [
    ("a fact", man, man(facts={"allergies": ["fish"]}),
     "Polydeoxyribonucleotide (PDRN) is no longer in the mixture."),
    ("a block", man, man(facts={"age_years": 17}), "New: Patient is under 18: no plan. Refer to a dermatologist."),
    ("a caution", man, man(facts={"conditions": ["asthma"]}), ""),
    ("a preference", man, man(policy={"avoid": ["pdrn"]}), "Value: 6.2 instead of 6.3."),
    ("the stock", man, man(stock={"biochanin_a": 5}), "Acetyl tetrapeptide-3 is no longer in the mixture."),
    ("a budget", man, man(policy={"ingredient_budget": 30}),
     "Polydeoxyribonucleotide (PDRN) is no longer in the mixture."),
    ("a policy value", man, man(policy={"region": "premium_district"}), "Estimated cost: "),
    ("an answer", man, man(facts={"days_since_filler_head": 400}), "No longer asked: Days since filler"),
    ("the area", man, man(zones=["frontal"]), "Treated area in cm²: 80 instead of 160."),
    ("the severity", man, man(facts={"norwood_stage": "V"}), "Sessions: 5 instead of 4."),
    ("the sex", man, woman(), "No longer asked: Practitioner: Norwood-Hamilton stage (men)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "sentence"), CHANGES, ids=[row[0] for row in CHANGES])
def test_what_if_names_the_difference(
    name: str, old: Callable[[], dict[str, Any]], new: dict[str, Any], sentence: str
) -> None:
    result = what_if(old(), new)

    texts = [change["text"] for change in result["changes"]]
    assert (result["old"], result["new"]) == (answer_case(old()), answer_case(new))
    assert any(text.startswith(sentence) for text in texts) if sentence else True, texts
    assert all(text and "%(" not in text for text in texts)


def test_what_if_nothing_changes_says_nothing() -> None:
    assert what_if(man(), man())["changes"] == []


def test_every_change_between_random_patients_has_a_sentence() -> None:
    rng = random.Random("changes")
    previous = answer_of(man())
    with translation.override("en"):
        for _ in range(count(30, 1000)):
            current = answer_of(random_patient(rng))
            for change in compare(previous, current):
                assert explain_change(change, starter())
            previous = current


def test_what_if_says_a_caution_of_the_engine_in_words() -> None:
    """Rules that the engine itself makes have sentences of their own: no key is shown."""
    keys = ("volume_below_minimum", "session_without_mixture")
    rng, seen = random.Random("cautions"), set()
    plain_man = answer_of(man())
    for _ in range(120):
        for change in compare(plain_man, answer_of(random_patient(rng))):
            if change["params"].get("rule") in keys or "referral_first" in str(change["params"].get("rule")):
                text = explain_change(change, starter())
                seen.add(change["params"]["rule"])
                assert change["params"]["rule"] not in text, text
    assert "volume_below_minimum" in seen


def test_first_choice_that_would_fit_again_is_offered() -> None:
    case = man(
        concerns=[
            {"concern": "androgenetic_alopecia", "severity": "severe"},
            {"concern": "telogen_effluvium", "severity": "mild"},
        ],
        policy={"max_actives": 3},
    )
    before = answer_of(case)
    waiting = next(row for row in before["requirements"] if row["state"] == "gave_way")
    held = before["syringes"][0]["lines"][0]["ingredient"]

    said = answer_case(case, edits=[{"op": "remove", "ingredient": held}])

    row = next(row for row in said["requirements"] if row["ingredient"] == waiting["ingredient"])
    assert (row["state"], row["limit"]) == ("could_return", None)
    assert row["sentence"].endswith("would fit now; add it.")
    assert verify(said, case, starter()) == ()
    assert said["refusals"] == []


@pytest.mark.parametrize(
    "case", [case for case in worked_cases() if answer_of(case)["alternatives"]], ids=lambda c: c["id"]
)
def test_alternative_says_its_own_doses_and_the_price_of_its_own_course(case: dict[str, Any]) -> None:
    """What an alternative says is what comes out when it is taken."""
    mine = answer_of(case)
    for row in mixed(mine):
        taken = apply_edits(case, starter(), None, towards(mine, row)).proposal.as_dict()

        assert row["cost_total"] == taken["cost"]["total"]
        assert Decimal(row["cost_difference"]) == Decimal(taken["cost"]["total"]) - Decimal(mine["cost"]["total"])
        assert row["lines"] == amounts(taken["syringes"])
        assert row["sessions"] == [
            {"number": session["number"], "lines": amounts(session["syringes"])}
            for session in taken["sessions"]
            if session["syringes"] != taken["syringes"]
        ]


def mixed(answer_case: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives that hold a mixture; the other one is to wait."""
    return [row for row in answer_case["alternatives"] if row["kind"] == "mixture"]


def towards(answer_case: dict[str, Any], row: dict[str, Any]) -> list[dict[str, str]]:
    mine, theirs = actives(answer_case), set(row["ingredients"])
    out, into = sorted(mine - theirs), sorted(theirs - mine)
    if out and into:
        return [{"op": "swap", "ingredient": out[0], "with": into[0]}]
    return [{"op": "remove", "ingredient": out[0]}] if out else [{"op": "add", "ingredient": into[0]}]


def amounts(syringes: list[dict[str, Any]]) -> list[dict[str, str]]:
    volumes: dict[str, Decimal] = {}
    lines = [line for syringe in syringes for line in syringe["lines"]]
    for line in sorted(lines, key=lambda line: (line["role"] == "diluent", line["ingredient"])):
        volumes[line["ingredient"]] = volumes.get(line["ingredient"], Decimal(0)) + Decimal(line["volume_ml"])
    return [
        {
            "ingredient": key,
            "volume_ml": plain_number(volume),
            "dose": plain_number(starter().ingredients[key].dose_of(volume).amount),
            "dose_unit": starter().ingredients[key].dose_unit,
        }
        for key, volume in volumes.items()
    ]


def test_alternative_of_an_edited_plan_keeps_volumes_set_by_hand_where_they_fit() -> None:
    case, edit = by_id("C03"), {"op": "set_volume", "ingredient": "arginine", "volume_ml": "1"}
    edited = apply_edits(case, starter(), None, [edit]).proposal.as_dict()
    kept = [row for row in mixed(edited) if "arginine" in row["ingredients"]]

    assert kept
    for row in mixed(edited):
        said = {line["ingredient"]: line["volume_ml"] for line in row["lines"]}
        assert said.get("arginine") == ("1" if row in kept else None)
        steps = [edit, *towards(edited, row)] if row in kept else towards(edited, row)
        assert row["cost_total"] == apply_edits(case, starter(), None, steps).proposal.as_dict()["cost"]["total"]
    assert verify(edited, case, starter()) == ()


@pytest.mark.parametrize(
    ("policy", "language", "cheaper"),
    [
        ({}, "en", "6.69 cost units less for the course"),
        ({"currency": "EUR"}, "en", "6.69 EUR less for the course"),
        ({"currency": "CHF", "price_per_unit": "10"}, "en", "66.96 CHF less for the course"),
        ({"price_per_unit": 0}, "en", None),
    ],
)
def test_alternative_says_the_price_of_the_course_in_the_clinics_currency(
    policy: dict[str, Any], language: str, cheaper: str | None
) -> None:
    rows = answer_case({**by_id("C03"), "policy": policy}, language=language)["alternatives"]

    without = next(row for row in rows if len(row["ingredients"]) == 2)
    texts = [trade["text"] for trade in without["trades"] if trade["code"] in ("dearer", "cheaper")]
    assert texts == ([] if cheaper is None else [cheaper])


def test_what_could_be_added_or_swapped_in_says_its_range() -> None:
    said = answer_case(by_id("C03"))
    ranges = {row["ingredient"]: row["range"] for row in said["left_out"]}
    codes = {row["ingredient"]: row["reason_code"] for row in said["left_out"]}

    assert ranges["hyaluronic_acid"] == {"volume_min_ml": "0.5", "volume_usual_ml": "1", "volume_max_ml": "2"}
    for key, code in codes.items():
        assert (ranges[key] is None) == (code in ("screened", "serves_no_concern", "diluent_for_reconstitution")), key


# ---------------------------------------------------------------------- small things that matter
def test_doses_of_different_units_cannot_be_added_or_compared() -> None:
    one = Dose(amount=Decimal("0.1"), unit="mg")
    assert one + one == Dose(amount=Decimal("0.2"), unit="mg")
    assert one <= one and not one < one
    for operation in (lambda a, b: a + b, lambda a, b: a <= b, lambda a, b: a < b):
        with pytest.raises(MixedUnits):
            operation(one, Dose(amount=Decimal(1), unit="microgram"))


def test_floats_have_no_canonical_form() -> None:
    with pytest.raises(TypeError):
        canonical_json({"dose_mg": 0.1})


def test_proposal_knows_its_ingredients() -> None:
    proposal = propose(man(), starter())

    assert proposal.ingredients == ("acetyl_tetrapeptide_3", "biochanin_a", "pdrn")
    assert propose(man(facts={"age_years": 3}), starter()).ingredients == ()
