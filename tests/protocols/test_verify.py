"""The second calculation: silent about every answer of the engine, loud about every planted fault."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from protocols.engine import Policy, apply_edits, build_formulary, fingerprint, parse_case, propose, verify
from protocols.formulary.loader import load_documents
from protocols.plans.proposing import answer_case as full_answer
from tests.protocols.worked_cases import answer_of, by_id, man, starter, woman, worked_cases

ENGINE = Path(__file__).resolve().parents[2] / "protocols" / "engine"


@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case["id"])
def test_second_calculation_agrees_with_the_worked_cases(case: dict[str, Any]) -> None:
    assert verify(answer_of(case), case, starter()) == ()


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_second_calculation_reads_an_answer_with_sentences(language: str) -> None:
    case = by_id("C05")

    assert verify(full_answer(case, language=language), case, starter()) == ()


def test_second_calculation_takes_the_documents_themselves() -> None:
    assert verify(answer_of(by_id("C03")), by_id("C03"), load_documents()) == ()


def test_second_calculation_takes_policy_and_stock_as_proposed() -> None:
    policy = {"region": "premium_district", "currency": "EUR", "max_actives": 3, "price_per_unit": "1.37"}
    stock = dict.fromkeys(starter().ingredients, "0.75")
    answer = propose(by_id("C03"), starter(), Policy.from_mapping(policy, starter()), stock).as_dict()

    assert verify(answer, by_id("C03"), starter(), policy, stock) == ()
    assert verify(answer, by_id("C03"), starter(), policy) != ()
    assert verify(answer, by_id("C03"), starter(), None, stock) != ()


def test_second_calculation_shares_no_arithmetic_with_the_first() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ENGINE / "verify").glob("*.py")]
    imported = {node.module for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    plain = {node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Import)}

    assert plain == set()
    assert {name for name in imported if name and name.startswith("protocols") and not name.startswith(SECOND)} == {
        *(f"protocols.engine.{name}" for name in ("canonical", "codes")),
        *(f"protocols.engine.inputs.{name}" for name in ("case", "documents", "formulary", "model", "policy")),
    }


SECOND = "protocols.engine.verify."


# ---------------------------------------------------------------------- planted faults
Plant = Callable[[dict[str, Any]], Any]


def _line(answer: dict[str, Any], place: int = 0) -> dict[str, Any]:
    return answer["syringes"][0]["lines"][place]


def _change(row: dict[str, Any], name: str, value: Any) -> None:
    assert row[name] != value, "the fault changes nothing"
    row[name] = value


def _scaled(row: dict[str, Any], name: str, factor: str) -> None:
    _change(row, name, format((Decimal(row[name]) * Decimal(factor)).normalize(), "f"))


def _trade(answer: dict[str, Any], code: str) -> dict[str, Any]:
    return next(trade for row in answer["alternatives"] for trade in row["trades"] if trade["code"] == code)


def _with_range(answer: dict[str, Any]) -> dict[str, Any]:
    return next(row["range"] for row in answer["left_out"] if row["range"])


PLANTED: dict[str, Plant] = {
    "dose of one line ten times": lambda a: _scaled(_line(a), "dose", "10"),
    "dose of one line a hair off": lambda a: _scaled(_line(a), "dose", "1.0001"),
    "dose unit": lambda a: _change(_line(a), "dose_unit", "microgram"),
    "concentration unit": lambda a: _change(_line(a), "concentration_unit", "microgram/mL"),
    "stock concentration": lambda a: _scaled(_line(a), "stock_concentration", "2"),
    "final concentration": lambda a: _scaled(_line(a), "final_concentration", "1.001"),
    "volume of one line": lambda a: _change(_line(a), "volume_ml", "1.05"),
    "volume between two steps": lambda a: _change(_line(a), "volume_ml", "1.02"),
    "volume of nothing": lambda a: _change(_line(a), "volume_ml", "0"),
    "volume above the maximum": lambda a: _change(_line(a), "volume_ml", "2.5"),
    "volume below the minimum": lambda a: _change(_line(a), "volume_ml", "0.05"),
    "maximum volume": lambda a: _change(_line(a), "volume_max_ml", "5"),
    "minimum volume": lambda a: _change(_line(a), "volume_min_ml", "0.05"),
    "usual volume": lambda a: _scaled(_line(a), "volume_usual_ml", "0.5"),
    "a first choice said to be something else": lambda a: _change(a["requirements"][0], "ingredient", "biotin"),
    "a first choice said to have given way": lambda a: _change(a["requirements"][0], "state", "gave_way"),
    "a limit that does not bind": lambda a: _change(a["requirements"][0], "limit", "pair"),
    "a first choice not told": lambda a: a["requirements"].pop(),
    "why an ingredient is in": lambda a: _change(_line(a), "required_by", ["ageing_scalp"]),
    "name of the schedule": lambda a: _change(a["course"], "schedule", "even"),
    "maximum dose": lambda a: _scaled(_line(a), "max_dose", "10"),
    "role": lambda a: _change(_line(a), "role", "carrier"),
    "name": lambda a: _change(_line(a), "name", "Something else"),
    "strength of a claim": lambda a: _change(_line(a)["addresses"][0], "strength", 2),
    "grade of a claim": lambda a: _change(_line(a)["addresses"][0], "evidence_grade", "A"),
    "direction of a claim": lambda a: _change(_line(a)["addresses"][0], "direction", "no_advantage"),
    "source of a claim": lambda a: _line(a)["addresses"][0]["sources"].append("gajjar_2019"),
    "label of the web article": lambda a: _change(_line(a)["addresses"][0], "web_article_only", True),
    "a concern nobody has": lambda a: _change(_line(a)["addresses"][0], "concern", "ageing_scalp"),
    "marginal value": lambda a: _scaled(_line(a), "marginal_value", "2"),
    "diluent line dropped": lambda a: a["syringes"][0]["lines"].pop(),
    "diluent doubled": lambda a: _scaled(_line(a, -1), "volume_ml", "2"),
    "active line dropped": lambda a: a["syringes"][0]["lines"].pop(0),
    "active line twice": lambda a: a["syringes"][0]["lines"].insert(0, copy.deepcopy(_line(a))),
    "volume of the syringe": lambda a: _scaled(a["syringes"][0], "volume_ml", "0.5"),
    "drawn as": lambda a: _change(a["syringes"][0]["drawn_as"], "count", 5),
    "volume of each drawn syringe": lambda a: _change(a["syringes"][0]["drawn_as"], "parts_ml", ["4.05", "3.95"]),
    "osmolality": lambda a: _scaled(a["syringes"][0]["osmolality"], "estimate", "2"),
    "estimated pH": lambda a: _change(a["syringes"][0], "ph_estimate", "6.9"),
    "common pH, low end": lambda a: _change(a["syringes"][0], "ph_min", "1"),
    "common pH, high end": lambda a: _change(a["syringes"][0], "ph_max", "9"),
    "share of the diluent": lambda a: _change(a["syringes"][0], "diluent_share", "0.1"),
    "a syringe split": lambda a: a["syringes"].append(
        {**copy.deepcopy(a["syringes"][0]), "label": "B", "lines": [a["syringes"][0]["lines"].pop(0)]}
    ),
    "label of a syringe": lambda a: _change(a["syringes"][0], "label", "Z"),
    "total volume": lambda a: _scaled(a, "total_volume_ml", "0.5"),
    "target volume": lambda a: _scaled(a, "target_volume_ml", "2"),
    "area": lambda a: _scaled(a, "area_cm2", "2"),
    "value": lambda a: _scaled(a, "value", "1.01"),
    "severity": lambda a: _change(a, "severity", "severe"),
    "severity of a concern": lambda a: _change(a["concerns"][0], "severity", "mild"),
    "a caution hidden": lambda a: a["cautions"].pop(),
    "an info hidden": lambda a: a["infos"].pop(),
    "a caution invented": lambda a: a["cautions"].append({**a["cautions"][0], "rule": "latex"}),
    "an exclusion hidden": lambda a: a["excluded_by_rule"].pop(),
    "a rule hidden": lambda a: a["rules_fired"].pop(),
    "a question hidden": lambda a: a["open_questions"].pop(),
    "a reader of a question hidden": lambda a: _change(a["open_questions"][0], "needed_by", []),
    "a waiver invented": lambda a: _change(a["open_questions"][0], "waived", {"as": "not_measured", "reason": "-"}),
    "a referral invented": lambda a: a["referrals"].append({"referral": "oncology", "rule": "latex"}),
    "missing facts invented": lambda a: a["missing"].append({"fact": "age_years", "needed_by": []}),
    "status": lambda a: _change(a, "status", "blocked"),
    "left out too few": lambda a: a["left_out"].pop(),
    "left out twice": lambda a: a["left_out"].append(a["left_out"][0]),
    "wrong reason for one left out": lambda a: _change(
        next(row for row in a["left_out"] if row["reason_code"] == "screened"), "reason_code", "serves_no_concern"
    ),
    "an alternative that is screened out": lambda a: _change(a["alternatives"][0], "ingredients", ["coumarin"]),
    "value of an alternative": lambda a: _scaled(a["alternatives"][0], "value", "1.5"),
    "difference of an alternative": lambda a: _scaled(a["alternatives"][0], "value_difference", "3"),
    "price of an alternative": lambda a: _scaled(a["alternatives"][0], "cost_total", "1.01"),
    "price difference of an alternative": lambda a: _scaled(a["alternatives"][0], "cost_difference", "-1"),
    "price in the words of an alternative": lambda a: _scaled(_trade(a, "cheaper")["params"], "amount", "2"),
    "direction of the price of an alternative": lambda a: _change(_trade(a, "cheaper"), "code", "dearer"),
    "dose of an alternative": lambda a: _scaled(a["alternatives"][0]["lines"][0], "dose", "10"),
    "dose unit of an alternative": lambda a: _change(a["alternatives"][0]["lines"][0], "dose_unit", "microgram"),
    "volume of an alternative": lambda a: _change(a["alternatives"][0]["lines"][0], "volume_ml", "9"),
    "volume of an alternative between two steps": lambda a: _change(
        a["alternatives"][0]["lines"][0], "volume_ml", "0.52"
    ),
    "volume of an alternative below its minimum": lambda a: _change(
        a["alternatives"][0]["lines"][0], "volume_ml", "0.05"
    ),
    "a line of an alternative dropped": lambda a: a["alternatives"][0]["lines"].pop(0),
    "a line of an alternative twice": lambda a: a["alternatives"][0]["lines"].append(a["alternatives"][0]["lines"][0]),
    "a session of an alternative without an ingredient": lambda a: a["alternatives"][0]["sessions"].append(
        {"number": 2, "lines": a["alternatives"][0]["lines"][1:]}
    ),
    "an alternative thinned too far": lambda a: _change(a["alternatives"][0]["lines"][-1], "volume_ml", "6"),
    "an alternative that breaks a limit": lambda a: a["alternatives"][0]["ingredients"].append("nucleotide_mix"),
    "range of one left out": lambda a: _change(_with_range(a), "volume_max_ml", "9"),
    "least of one left out": lambda a: _change(_with_range(a), "volume_min_ml", "0.05"),
    "usual of one left out": lambda a: _change(_with_range(a), "volume_usual_ml", "0.05"),
    "a range for one screened out": lambda a: _change(
        next(row for row in a["left_out"] if row["reason_code"] == "screened"), "range", dict(_with_range(a))
    ),
    "engine version": lambda a: _change(a, "engine_version", "1.0"),
    "sessions": lambda a: _change(a["course"], "sessions", 5),
    "one offset": lambda a: a["course"]["offsets_days"].__setitem__(1, 29),
    "one offset too early": lambda a: a["course"]["offsets_days"].__setitem__(1, 20),
    "span": lambda a: _change(a["course"], "span_days", 126),
    "a window's first day": lambda a: _change(a["course"]["windows_days"][1], "earliest", 14),
    "a window's last day": lambda a: _change(a["course"]["windows_days"][2], "latest", 99),
    "shortest gap": lambda a: _change(a["course"], "min_gap_days", 14),
    "longest gap": lambda a: _change(a["course"], "max_gap_days", 70),
    "usual gap": lambda a: _change(a["course"], "ideal_gap_days", 30),
    "most sessions": lambda a: _change(a["course"], "sessions_max", 5),
    "longest span": lambda a: _change(a["course"], "span_max_days", 168),
    "minutes": lambda a: _change(a["course"], "duration_minutes", 25),
    "minutes of the appointment": lambda a: _change(a["course"], "appointment_minutes", 20),
    "points": lambda a: _change(a["course"], "points", 265),
    "volume per point": lambda a: _change(a["course"], "volume_per_point_ml", "0.05"),
    "technique": lambda a: _change(a["course"], "technique", "nappage"),
    "depth": lambda a: _change(a["course"]["depth_mm"], "max", "6"),
    "angle": lambda a: _change(a["course"]["angle_degrees"], "min", 10),
    "a checkpoint moved": lambda a: _change(a["course"]["checkpoints"][1], "offset_days", 60),
    "a checkpoint dropped": lambda a: a["course"]["checkpoints"].pop(),
    "price of the course": lambda a: _change(a["cost"], "total", "749.22"),
    "price of a session": lambda a: _change(a["cost"], "per_session", "201.41"),
    "low end of the price": lambda a: _change(a["cost"], "low", "1"),
    "high end of the price": lambda a: _change(a["cost"], "high", "1"),
    "currency": lambda a: _change(a["cost"], "currency", "EUR"),
    "formulary version": lambda a: _change(a, "formulary_version", "2025.9"),
    "formulary itself": lambda a: _change(a, "formulary_fingerprint", "0" * 64),
    "fingerprint": lambda a: _change(a, "fingerprint", "0" * 64),
    "value cost without an edit": lambda a: _change(a, "value_cost", "1"),
    "an edit that was not made": lambda a: a["edits"].append({"op": "remove", "ingredient": "biochanin_a"}),
    "a volume that was not set": lambda a: a["edits"].append(
        {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.5"}
    ),
    "an ingredient that was not added": lambda a: a["edits"].append({"op": "add", "ingredient": "biotin"}),
    "not even the shape": lambda a: a.pop("course"),
    "a number that is a word": lambda a: _change(_line(a), "volume_ml", "much"),
    "a number that is none": lambda a: _change(_line(a), "volume_ml", None),
    "an unknown ingredient": lambda a: _change(_line(a), "ingredient", "snake_oil"),
    "a trace removed": lambda a: a["trace"].pop(),
}


@pytest.mark.parametrize("name", PLANTED)
def test_second_calculation_finds_the_planted_fault(name: str) -> None:
    case = by_id("C03")
    answer = copy.deepcopy(answer_of(case))
    PLANTED[name](answer)

    found = verify(answer, case, starter())

    assert found
    if name not in FINGERPRINT_ONLY:
        assert {item.path for item in found} - {"fingerprint"}, "only the fingerprint shows it"


FINGERPRINT_ONLY = {"fingerprint", "a trace removed", "engine version"}


def _replaced(answer: dict[str, Any], old: str, new: str) -> None:
    """Exchange an ingredient for another one everywhere, doses and fingerprint made to fit: a forger's work."""
    item = starter().ingredients[new]
    for syringe in answer["syringes"]:
        for line in syringe["lines"]:
            if line["ingredient"] == old:
                volume = Decimal(line["volume_ml"])
                line.update(
                    ingredient=new,
                    name=item.name,
                    stock_concentration=str(item.concentration),
                    concentration_unit=item.concentration_unit,
                    dose=str(item.concentration * volume),
                    dose_unit=item.dose_unit,
                    max_dose=str(item.max_dose.amount),
                )


@pytest.mark.parametrize(
    ("new", "code"),
    [
        ("coumarin", "screened_out"),
        ("minoxidil", "not_active"),
        ("biotin", "serves_no_concern"),
        ("pyridoxine", "no_common_ph"),
        ("polynucleotides", "forbidden_in_one_syringe"),
    ],
)
def test_second_calculation_finds_a_forbidden_ingredient(new: str, code: str) -> None:
    case = by_id("C03")
    answer = copy.deepcopy(answer_of(case))
    _replaced(answer, "arginine", new)

    assert code in {item.code for item in verify(answer, case, starter())}


@pytest.mark.parametrize(
    ("case", "changes"),
    [
        (by_id("C03"), {"medications": []}),
        (by_id("C03"), {"allergies": ["fish"]}),
        (by_id("C12"), {"pregnancy_status": "pregnant"}),
        (by_id("C05"), {"lab_hba1c": 70}),
        (by_id("C05"), {"norwood_stage": "III"}),
        (by_id("C08"), {"scalp_findings": ["infection"]}),
    ],
)
def test_second_calculation_finds_an_answer_to_other_facts(case: dict[str, Any], changes: dict[str, Any]) -> None:
    other = {**case, "facts": {**case["facts"], **changes}}

    assert {item.path for item in verify(answer_of(case), other, starter())} > {"fingerprint"}


def test_second_calculation_finds_a_pair_forbidden_in_one_session() -> None:
    case = man(formulary_overrides={"activate": ["caffeine"]})
    answer = copy.deepcopy(answer_of(case))
    _replaced(answer, "biochanin_a", "caffeine")

    assert "forbidden_in_one_session" in {item.code for item in verify(answer, case, starter())}


@pytest.mark.parametrize(
    ("old", "new"),
    [("pdrn", "polynucleotides"), ("biochanin_a", "minoxidil"), ("biochanin_a", "dutasteride")],
)
def test_second_calculation_knows_pairs_by_class_solvent_and_any_active(old: str, new: str) -> None:
    case = man(
        formulary_overrides={"activate": ["polynucleotides", "minoxidil", "dutasteride"]},
        policy={"avoid": ["minoxidil", "dutasteride", "polynucleotides"]},
        concerns=[{"concern": key, "severity": "mild"} for key in ("androgenetic_alopecia", "ageing_scalp")],
    )
    answer = copy.deepcopy(answer_of(case))
    _replaced(answer, old, new)

    assert {"forbidden_in_one_syringe", "against_preference"} <= {item.code for item in verify(answer, case, starter())}


def test_second_calculation_finds_a_prescription_that_the_policy_forbids() -> None:
    case = man(formulary_overrides={"activate": ["minoxidil"]})

    found = verify(answer_of(case), case, starter(), {"allow_prescription": False})

    assert "prescription_not_allowed" in {item.code for item in found}


def test_second_calculation_reads_no_floats() -> None:
    answer = copy.deepcopy(answer_of(man()))
    answer["syringes"][0]["lines"][0]["volume_ml"] = 1.0

    assert [item.code for item in verify(answer, man(), starter())] == ["unreadable"]


def test_four_digits_of_any_size() -> None:
    from fractions import Fraction

    from protocols.engine.verify.context import four_digits

    for text, expected in (("123456", 123500), ("0.000123456", "0.0001235"), ("12.345", "12.35"), ("0", 0)):
        assert four_digits(Fraction(text)) == Fraction(expected)


def test_second_calculation_finds_a_changed_formulary() -> None:
    documents = load_documents()
    documents["ingredients"]["ingredients"][0]["relative_cost_per_ml"] = "3.5"
    other = build_formulary(documents)

    assert {item.path for item in verify(answer_of(by_id("C03")), by_id("C03"), other)} >= {
        "formulary_fingerprint",
        "cost.total",
    }


# ---------------------------------------------------------------------- faults planted in the first calculation
def test_second_calculation_finds_faults_in_the_dosing_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the first calculation in many ways; each broken answer is found out, its fingerprint being right."""
    from protocols.engine import cost, course
    from protocols.engine.explain import course as explained
    from protocols.engine.explain import mixture
    from protocols.engine.inputs import model
    from protocols.engine.mixing import dose, drawing

    def survived(module: Any, name: str, broken: Any) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, broken)
            for case in (by_id("C03"), by_id("C05"), by_id("C09"), by_id("C11"), by_id("C12")):
                try:
                    answer = propose(case, starter()).as_dict()
                except (ValueError, ZeroDivisionError, IndexError):
                    return False
                if verify(answer, case, starter()):
                    return False
        return True

    def ten_times(self: Any, volume_ml: Decimal) -> Any:
        return model.Dose(amount=self.concentration * volume_ml * 10, unit=self.dose_unit)

    real_fill, real_spread = dose.fill, dose._spread
    real_points, real_minutes, real_money = course.points, course.minutes, cost._money
    faults = {
        "dose": (model.Ingredient, "dose_of", ten_times),
        "concentration": (mixture, "significant", lambda number: number),
        "no diluent": (dose, "_spread", lambda amount, rooms: [0] * len(rooms)),
        "too much diluent": (dose, "_spread", lambda amount, rooms: [each + 1 for each in real_spread(amount, rooms)]),
        "no scaling": (dose, "_scale_down", lambda steps, limits, target: None),
        "nothing raised": (dose, "_raise_one", lambda *rest: False),
        "points": (explained, "minutes", lambda area, formulary: real_minutes(area, formulary) + 1),
        "money": (cost, "_money", lambda amount: real_money(amount) + 1),
        "fill": (
            drawing,
            "dose",
            lambda groups, limits, target, diluent, share, **rest: real_fill(
                groups, {i: limit.most for i, limit in limits.items()}, target, diluent, share
            ),
        ),
        "windows": (course, "_windows", lambda *rest: ()),
        "uses": (course, "_reviews", lambda *rest: ()),
    }
    assert real_points(Decimal(100), starter()) == 100
    assert [name for name, fault in faults.items() if survived(*fault)] == []


# ---------------------------------------------------------------------- edited plans
EDITS: list[list[dict[str, Any]]] = [
    [{"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "1.5"}],
    [{"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "0.5"}],
    [{"op": "remove", "ingredient": "arginine"}],
    [{"op": "add", "ingredient": "hyaluronic_acid"}],
    [{"op": "swap", "ingredient": "arginine", "with": "hyaluronic_acid"}],
    [{"op": "add", "ingredient": "zinc_gluconate"}],
    [{"op": "set_sessions", "sessions": 3}],
    [
        {"op": "set_volume", "ingredient": "arginine", "volume_ml": "0.2"},
        {"op": "add", "ingredient": "pyridoxine"},
        {"op": "remove", "ingredient": "biochanin_a"},
        {"op": "set_volume", "ingredient": "pyridoxine", "volume_ml": "0.5"},
    ],
    [{"op": "remove", "ingredient": key} for key in ("arginine", "biochanin_a", "acetyl_tetrapeptide_3")],
]


@pytest.mark.parametrize("edits", EDITS)
def test_second_calculation_agrees_with_edited_plans(edits: list[dict[str, Any]]) -> None:
    case = by_id("C03")

    result = apply_edits(case, starter(), None, edits)

    assert result.refusals == ()
    assert verify(result.proposal.as_dict(), case, starter()) == ()


def test_second_calculation_agrees_where_sessions_differ() -> None:
    case = man(formulary_overrides={"activate": ["dutasteride"]})
    answer = answer_of(case)

    assert [row["number"] for row in answer["sessions"]] == [1, 2, 3, 4]
    assert verify(answer, case, starter()) == ()
    broken = copy.deepcopy(answer)
    broken["sessions"][1]["syringes"] = copy.deepcopy(broken["syringes"])
    assert "own_interval_broken" in {item.code for item in verify(broken, case, starter())}


def _beside_the_fingerprint(answer: dict[str, Any], case: dict[str, Any]) -> set[str]:
    return {item.code for item in verify(answer, case, starter()) if item.path != "fingerprint"}


@pytest.mark.parametrize(
    "edit", [{"op": "set_sessions", "sessions": 3}, {"op": "set_schedule", "schedule": "slow, 5 sessions"}]
)
def test_second_calculation_finds_a_course_that_an_edit_did_not_change(edit: dict[str, Any]) -> None:
    case = by_id("C03") if edit["op"] == "set_sessions" else by_id("C05")
    answer = copy.deepcopy(answer_of(case))
    answer["edits"] = [edit]
    done = apply_edits(case, starter(), None, [edit])

    assert (done.refusals, verify(done.proposal.as_dict(), case, starter())) == ((), ())
    assert "not_as_asked" in _beside_the_fingerprint(answer, case)


def test_second_calculation_finds_a_course_that_the_policy_did_not_ask_for() -> None:
    case = by_id("C03")
    answer, asked = copy.deepcopy(answer_of(case)), {**case, "policy": {"sessions": 3}}
    answer["trace"] = answer_of(asked)["trace"]

    assert verify(answer_of(asked), asked, starter()) == ()
    assert _beside_the_fingerprint(answer, asked) == {"not_as_asked"}


def test_second_calculation_finds_a_first_choice_left_out_without_need() -> None:
    """An answer without it that agrees with itself in all else, as an engine that forgot it would make it."""
    case = by_id("C03")
    missing = answer_of(case)["requirements"][0]["ingredient"]
    answer = apply_edits(case, starter(), None, [{"op": "remove", "ingredient": missing}]).proposal.as_dict()
    assert verify(answer, case, starter()) == ()
    forged = copy.deepcopy(answer)
    forged["edits"], forged["value_cost"] = [], "0"
    for row in forged["requirements"]:
        row["state"] = "could_return" if row["state"] == "removed" else row["state"]

    assert _beside_the_fingerprint(forged, case) == {"first_choice_left_out"}


def test_second_calculation_finds_usual_volumes_bent_to_what_was_drawn() -> None:
    case = by_id("C03")
    answer = copy.deepcopy(answer_of(case))
    for syringe in answer["syringes"]:
        for line in syringe["lines"]:
            line["volume_usual_ml"] = line["volume_ml"]
    assert answer["syringes"] != answer_of(case)["syringes"], "the fault changes nothing"

    assert _beside_the_fingerprint(answer, case) == {"differs"}


def test_second_calculation_agrees_where_first_choices_had_to_give_way() -> None:
    case = man(
        policy={"max_actives": 1},
        concerns=[{"concern": "androgenetic_alopecia", "severity": "severe"}],
    )
    answer = answer_of(case)

    assert "gave_way" in {row["state"] for row in answer["requirements"]}
    assert verify(answer, case, starter()) == ()


def test_second_calculation_finds_what_an_edit_is_said_to_cost() -> None:
    case = by_id("C03")
    answer = copy.deepcopy(
        apply_edits(case, starter(), None, [{"op": "remove", "ingredient": "arginine"}]).proposal.as_dict()
    )
    _change(answer, "value_cost", "0")

    assert "value_cost" in {item.path for item in verify(answer, case, starter())}


def test_discrepancy_says_what_differs_in_one_line() -> None:
    case = woman()
    answer = copy.deepcopy(answer_of(case))
    answer["course"]["points"] = 1

    lines = [str(item) for item in verify(answer, case, starter())]

    assert "course.points: differs (expected 160, found 1)" in lines


def test_fingerprint_covers_case_policy_and_answer() -> None:
    case = by_id("C03")
    answer = answer_of(case)
    rest = {key: value for key, value in answer.items() if key != "fingerprint"}

    assert answer["fingerprint"] == fingerprint(
        {
            "case": parse_case(case, starter()).canonical(),
            "policy": Policy.default(starter()).as_dict(),
            "stock": None,
            "answer": rest,
        }
    )
