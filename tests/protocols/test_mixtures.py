"""A mixture as it is injected: its pH, its osmolality, its parts, and whether its syringe is worth drawing."""

from __future__ import annotations

import copy
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from protocols.engine import apply_edits, build_formulary, propose, verify
from protocols.engine.explain.mixture import parts_of
from protocols.engine.mixing.dose import Mixture, Wanted
from protocols.engine.mixing.partition import Acidity, clashes_of
from protocols.formulary.checking import check_documents
from protocols.formulary.loader import load_documents
from protocols.plans.proposing import answer_case as full_answer
from protocols.words.faults import explain_refusal
from tests.protocols.patients_at_random import random_patient
from tests.protocols.worked_cases import answer_of, count, earlier_cases, earlier_formulary, line_of, man, starter

STEP = Decimal("0.05")


def sessions(answer: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [row["syringes"] for row in answer["sessions"]] or [answer["syringes"]]


@pytest.mark.parametrize("block", range(10))
def test_no_random_patient_gets_a_mixture_that_cannot_be_drawn_or_should_not(block: int) -> None:
    limits = starter().composition.mixture
    assert limits is not None
    rng = random.Random(f"mixtures {block}")
    for _ in range(count(6, 1000)):
        case = random_patient(rng)
        answer = propose(case, starter()).as_dict()
        for syringes in sessions(answer):
            whole = sum(Decimal(each["volume_ml"]) for each in syringes)
            for each in syringes:
                parts = [Decimal(part) for part in each["drawn_as"]["parts_ml"]]
                assert sum(parts) == Decimal(each["volume_ml"]) and not any(part % STEP for part in parts), case
                assert Decimal(each["volume_ml"]) >= limits.smallest_share * whole, case
                assert Decimal(each["ph_max"]) - Decimal(each["ph_min"]) >= limits.ph_width, case


@pytest.mark.parametrize(
    ("steps", "parts"), [(133, [67, 66]), (100, [100]), (101, [51, 50]), (160, [80, 80]), (205, [69, 68, 68]), (1, [1])]
)
def test_parts_are_whole_steps_that_add_up(steps: int, parts: list[int]) -> None:
    assert parts_of(steps, starter().course) == parts


def test_windows_have_a_width_and_an_acid_stays_with_acids() -> None:
    wish = Acidity(width=3, low=45, high=80, unbuffered=0b10000)
    low, high = (65, 50, 25, 20, 0), (80, 67, 45, 38, 140)

    assert clashes_of((0,) * 5, low, high, wish) == (0b01110, 0b01101, 0b00011, 0b00011, 0)
    assert clashes_of((0,) * 5, low, high, Acidity(width=2)) == (0b01100, 0b01100, 0b00011, 0b00011, 0)


def test_a_mixture_needs_diluent_for_its_size_and_its_strength() -> None:
    wanted = Wanted(osmolality=(1200, 290, None, 300), most=600, share=Fraction(1, 10))

    assert wanted.steps({0: 10}, 3, 50) == 20  # (12000 + 300 * 20) / 30 = 600
    assert wanted.steps({0: 10}, 3, 400) == 30  # a tenth of 400
    assert wanted.steps({1: 4}, 3, 50) == 1
    assert wanted.steps({0: 10, 2: 1}, 3, 50) == 0, "of an unknown one no estimate is made"
    assert wanted.steps({0: 10}, 0, 50) == 0, "a diluent as strong as that thins nothing"
    assert wanted.too_small(Mixture(steps={0: 4}, diluent=-1, diluent_steps=0), 41)
    assert not wanted.too_small(Mixture(steps={0: 4}, diluent=-1, diluent_steps=0), 40)


def test_pyridoxine_is_diluted_and_its_pH_said() -> None:  # noqa: N802
    case = man(concerns=[{"concern": "seborrhoea_dandruff", "severity": "moderate"}], policy={"avoid": OTHERS})
    answer = answer_of(case)
    (syringe,) = answer["syringes"]

    assert {line["ingredient"] for line in syringe["lines"]} == {"pyridoxine", "sodium_chloride_09"}
    assert (syringe["ph_min"], syringe["ph_max"], syringe["ph_estimate"]) == ("2", "3.8", "2.9")
    row = next(row for row in answer["cautions"] if row["rule"] == "ph_outside_limits")
    assert row["params"] == {"ph_min": "4.5", "ph_max": "8", "syringes": [{"syringe": "A", "sessions": [1]}]}
    assert verify(answer, case, starter()) == ()


OTHERS = [key for key in starter().ingredients if key not in ("pyridoxine", "sodium_chloride_09")]


def test_every_caution_of_a_mixture_is_a_sentence() -> None:
    case = man(concerns=[{"concern": "seborrhoea_dandruff", "severity": "moderate"}], policy={"avoid": OTHERS})
    said = next(row for row in full_answer(case)["cautions"] if row["rule"] == "ph_outside_limits")

    assert said["message"].startswith("Syringe A: the pH that its ingredients need lies outside 4.5 to 8")


def test_an_osmolality_above_the_limit_is_a_caution_and_an_unknown_one_too() -> None:
    strong = man(
        zones=["temporal_left"], concerns=[{"concern": "telogen_effluvium", "severity": "severe"}],
        policy={"avoid": [key for key in starter().ingredients if key != "dexpanthenol"]},
    )  # fmt: skip
    answer = answer_of(strong)

    assert answer["syringes"][0]["osmolality"] == {"estimate": "1220", "unknown": []}
    assert [row["rule"] for row in answer["cautions"]][-1:] == ["osmolality_above_limit"]
    assert verify(answer, strong, starter()) == ()
    unknown = man(formulary_overrides={"activate": ["minoxidil"]}, policy={"avoid": ["pdrn"]})
    answer = answer_of(unknown)
    held = next(s for s in answer["syringes"] if any(line["ingredient"] == "minoxidil" for line in s["lines"]))
    assert held["osmolality"] == {"estimate": None, "unknown": ["minoxidil"]}
    assert "osmolality_unknown" in {row["rule"] for row in answer["cautions"]}
    assert verify(answer, unknown, starter()) == ()


def test_a_hand_made_change_that_leaves_a_syringe_too_small_is_refused() -> None:
    case = man(formulary_overrides={"activate": ["dutasteride"]}, zones=list(starter().zones))

    (refusal,) = apply_edits(
        case, starter(), None, [{"op": "set_volume", "ingredient": "dutasteride", "volume_ml": "0.5"}]
    ).refusals

    assert (refusal.path, refusal.code) == ("edits[0].volume_ml", "small_syringe")
    assert refusal.params["syringe"] == ["dutasteride"]
    assert "too few to be worth drawing" in explain_refusal(refusal, starter())


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [
        (("osmolality", "estimate"), "500", "differs"),
        (("ph_estimate",), "7.1", "differs"),
        (("drawn_as", "parts_ml"), ["3.52", "3.48"], "not_drawable"),
        (("drawn_as", "parts_ml"), ["3.6", "3.4"], "unequal_parts"),
        (("drawn_as", "parts_ml"), ["3.45", "3.5"], "parts_do_not_add_up"),
    ],
)
def test_second_calculation_finds_a_false_mixture(place: tuple[str, ...], value: Any, code: str) -> None:
    case = next(case for case in earlier_cases() if case["id"] == "C08")
    answer = copy.deepcopy(answer_of(case))
    node = answer["syringes"][0]
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = value

    assert code in {row.code for row in verify(answer, case, starter())}


@pytest.mark.parametrize("rule", ["ph_outside_limits", "osmolality_above_limit", "osmolality_unknown", "small_syringe"])
def test_second_calculation_finds_a_caution_of_a_mixture_that_has_no_cause(rule: str) -> None:
    answer = copy.deepcopy(answer_of(man()))
    params = {"syringes": [{"syringe": "A", "sessions": [1]}]}
    answer["cautions"].append({**answer["cautions"][0], "rule": rule, "params": params} if answer["cautions"] else
                              {"rule": rule, "params": params})  # fmt: skip

    assert f"cautions.{rule}" in {row.path for row in verify(answer, man(), starter())}


def test_a_formulary_without_these_limits_is_computed_as_before() -> None:
    case = next(case for case in earlier_cases() if case["id"] == "C03")
    answer = propose(case, earlier_formulary()).as_dict()

    assert line_of(answer, "pdrn")["volume_ml"] == "2"
    assert (answer["syringes"][0]["ph_min"], answer["syringes"][0]["ph_max"]) == ("6.5", "6.5")
    assert verify(answer, case, earlier_formulary()) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: _limits(d)["final_ph"].update(min="9"), "the final pH is out of order"),
        (lambda d: _limits(d)["ph_window"].update(min_width="3"), "the width of the pH window"),
        (lambda d: _limits(d)["osmolality"].update(max="200"), "the osmolality must be from 300"),
        (lambda d: _limits(d)["smallest_syringe"].update(min_share="0.5"), "the share of the smallest syringe"),
        (lambda d: _limits(d).update(source_ids=[]), "names no source"),
        (lambda d: _solution(d).pop("osmolality"), "it says nothing of its osmolality"),
        (lambda d: _solution(d)["osmolality"].update(basis="guess"), "unknown basis guess"),
        (lambda d: _solution(d)["osmolality"].update(value=None), "null where its basis is unknown"),
        (lambda d: _solution(d)["osmolality"].update(unit="mM"), "must be from 0 to 20000"),
        (lambda d: _solution(d).update(unbuffered=True), "only a diluent may be unbuffered"),
    ],
)
def test_documents_say_what_is_wrong_with_the_limits_of_a_mixture(change: Any, said: str) -> None:
    documents = load_documents()
    change(documents)

    assert any(said in problem for problem in check_documents(documents))


def test_documents_without_the_limits_are_sound() -> None:
    documents = load_documents()
    del documents["course"]["composition"]["mixture_limits"]

    assert check_documents(documents) == ()
    assert build_formulary(documents).composition.mixture is None


def _limits(documents: dict[str, Any]) -> dict[str, Any]:
    return documents["course"]["composition"]["mixture_limits"]


def _solution(documents: dict[str, Any]) -> dict[str, Any]:
    return documents["ingredients"]["ingredients"][0]["solution"]


def test_what_cannot_fill_a_useful_syringe_is_left_out_and_said_so() -> None:
    """Zinc and PDRN stay apart, there is no diluent, and 0.3 mL of 3.3 mL is less than a tenth."""
    case = man(
        zones=list(starter().zones), stock={"pdrn": "9", "zinc_gluconate": "0.3"},
        concerns=[
            {"concern": "ageing_scalp", "severity": "severe"}, {"concern": "seborrhoea_dandruff", "severity": "mild"},
        ],
    )  # fmt: skip
    answer = answer_of(case)

    assert [[line["ingredient"] for line in each["lines"]] for each in answer["syringes"]] == [["pdrn"]]
    row = next(row for row in answer["left_out"] if row["ingredient"] == "zinc_gluconate")
    assert row["reason_code"] == "small_syringe"
    assert row["params"] == {
        "syringe": ["zinc_gluconate"], "volume_ml": "0.3", "total_ml": "3.3", "points": 28, "of_points": 316,
        "least_share": "0.1", "required_by": ["seborrhoea_dandruff"],
    }  # fmt: skip
    states = {row["first_choice"]: (row["state"], row["limit"]) for row in answer["requirements"]}
    assert states["zinc_gluconate"] == ("gave_way", "small_syringe")
    assert verify(answer, case, starter()) == ()
    said = next(row for row in full_answer(case)["left_out"] if row["ingredient"] == "zinc_gluconate")
    assert said["reason"].endswith("serve 28 of 316 points. Nobody draws a syringe for so few.")
    (refusal,) = apply_edits(case, starter(), None, [{"op": "add", "ingredient": "zinc_gluconate"}]).refusals
    assert (refusal.path, refusal.code) == ("edits[0]", "small_syringe")


def test_what_would_be_too_small_alone_joins_another_syringe() -> None:
    case = man(
        zones=list(starter().zones), stock=dict.fromkeys(("pdrn", "hyaluronic_acid", "zinc_gluconate"), "9"),
        concerns=[
            {"concern": "ageing_scalp", "severity": "severe"}, {"concern": "seborrhoea_dandruff", "severity": "mild"},
        ],
    )  # fmt: skip
    answer = answer_of(case)

    held = [[line["ingredient"] for line in each["lines"]] for each in answer["syringes"]]
    assert held == [["hyaluronic_acid", "zinc_gluconate"], ["pdrn"]]
    assert verify(answer, case, starter()) == ()


def test_edits_that_belong_together_are_judged_together() -> None:
    case = man(
        zones=list(starter().zones), stock=dict.fromkeys(("pdrn", "hyaluronic_acid", "zinc_gluconate"), "9"),
        concerns=[
            {"concern": "ageing_scalp", "severity": "severe"}, {"concern": "seborrhoea_dandruff", "severity": "mild"},
        ],
    )  # fmt: skip
    both = [{"op": "remove", "ingredient": "pdrn"}, {"op": "remove", "ingredient": "zinc_gluconate"}]

    result = apply_edits(case, starter(), None, both)

    assert result.refusals == ()
    assert verify(result.proposal.as_dict(), case, starter()) == ()


def test_an_edit_that_leaves_a_syringe_too_small_is_taken_back_and_those_before_it_stand() -> None:
    """0.3 mL of zinc share a syringe with hyaluronic acid; beside PDRN alone they would be too few."""
    case = man(
        zones=list(starter().zones), stock={"pdrn": "9", "hyaluronic_acid": "9", "zinc_gluconate": "0.3"},
        concerns=[
            {"concern": "ageing_scalp", "severity": "severe"}, {"concern": "seborrhoea_dandruff", "severity": "mild"},
        ],
    )  # fmt: skip
    edits = [
        {"op": "set_sessions", "sessions": 4}, {"op": "remove", "ingredient": "zinc_gluconate"},
        {"op": "remove", "ingredient": "hyaluronic_acid"}, {"op": "add", "ingredient": "zinc_gluconate"},
    ]  # fmt: skip

    result = apply_edits(case, starter(), None, edits)
    answer = result.proposal.as_dict()

    assert [(refusal.path, refusal.code) for refusal in result.refusals] == [("edits[3]", "small_syringe")]
    assert [[line["ingredient"] for line in each["lines"]] for each in answer["syringes"]] == [["pdrn"]]
    assert answer["edits"] == edits[:3]
    assert verify(answer, case, starter()) == ()
