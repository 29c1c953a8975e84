"""Small tables for the second calculation: each of its parts alone, on a made-up formulary, each number by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from protocols.engine.verify import Context, Discrepancy, alternatives, course
from protocols.engine.verify.alternatives import check_alternative, check_amounts, check_value
from protocols.engine.verify.context import cents, four_digits, fraction, plainly, planned_lines
from protocols.engine.verify.cost import check_cost, price_of
from protocols.engine.verify.course import (
    check_checkpoints,
    check_course,
    check_method,
    check_own_intervals,
    check_windows,
    schedule_asked_for,
)
from protocols.engine.verify.facts import (
    check_concerns,
    deciding_facts,
    is_met,
    is_true,
    may_apply,
    may_be_met,
    severity_of,
)
from protocols.engine.verify.mixing import fewest_of, is_side, may_be_one, pairs_of
from protocols.engine.verify.mixture import (
    check_edit,
    check_low_volume,
    check_mixture,
    check_scaling,
    check_session,
    check_syringe,
)
from protocols.engine.verify.screening import aim_of, check_screening, exclusions_of, required_facts
from protocols.engine.verify.selection import (
    before_edits,
    benefit_of,
    broken_limits,
    can_be_had,
    check_left_out,
    check_none_without_need,
    first_choices,
    reserve_order,
    worth_of,
)
from protocols.engine.verify.volumes import area_of, bounds_of, check_area, points_of, range_of, target_of, usual_of

STEP = Fraction(1, 20)
NOBODY = SimpleNamespace(
    avoid=(), allow_prescription=True, max_actives=3, max_syringes=2, ingredient_budget=None,
    grade_weight={"A": Decimal(1), "B": Decimal("0.5"), "C": Decimal(0)}, direction_weight={"supports": Decimal(1)},
    severity_weight={"mild": Decimal(1), "moderate": Decimal(2), "severe": Decimal(3)},
    simplicity=Decimal("0.5"), caution=Decimal("0.25"), extra_syringe=Decimal(2),
)  # fmt: skip


def second(**own: Any) -> Context:
    """The second calculation with only what a part of it reads."""
    made = Context.__new__(Context)
    return put(made, **{"found": [], "limits": None, "in_steps": False, **own})


def put(made: Context, **own: Any) -> Context:
    vars(made).update(own)
    return made


@contextmanager
def instead(module: ModuleType, **parts: Callable[..., Any]) -> Iterator[None]:
    """Parts that a module of the calculation calls, answered by these for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name, part in parts.items():
            patch.setattr(module, name, part)
        yield


def codes(made: Context) -> list[str]:
    return [row.code for row in made.found]


def thing(key: str, **changes: Any) -> dict[str, Any]:
    entry = {
        "key": key, "name": key.title(), "role": "active", "class": "vitamin", "relative_cost_per_ml": "2",
        "flags": {"allergens": [], "animal": False}, "regulatory": {"prescription_only": False},
        "solution": {"ph_min": "5", "ph_max": "7", "solvent": "aqueous"},
        "stock": {"concentration": "10", "concentration_unit": "mg/mL"},
        "per_session": {
            "volume": {"min": "0.5", "usual": "1", "max": "2"}, "dose": {"unit": "mg"}, "max_dose": {"value": "15"},
            "min_interval_days": 14,
        },
        "concerns": [],
    }  # fmt: skip
    return {**entry, **changes}


def things(*entries: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["key"]: entry for entry in entries}


# ---------------------------------------------------------------------- saying what differs
def test_a_difference_is_named_and_agreement_is_silent() -> None:
    made = second()
    made.same("a", 1, 1)
    made.number("b", "1.50", Fraction(3, 2))
    made.holds("c", True, "never")
    assert made.found == []

    made.same("a", {2}, {1}, "odd")
    made.number("b", "1.5", 1)
    made.holds("c", False, "broken", [Fraction(1, 2)], None)
    assert made.found == [
        Discrepancy(path="a", code="odd", expected=["1"], found=["2"]),
        Discrepancy(path="b", code="differs", expected="1", found="3/2"),
        Discrepancy(path="c", code="broken", expected=["1/2"], found=None),
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"b", "a"}, ["a", "b"]), (frozenset({3}), ["3"]), (Fraction(1, 3), "1/3"), ({1: Fraction(2)}, {"1": "2"}),
        ((1, [Fraction(1, 2)]), [1, ["1/2"]]), ("x", "x"), (None, None), (7, 7),
    ],
)  # fmt: skip
def test_a_discrepancy_shows_plain_values(value: Any, said: Any) -> None:
    assert plainly(value) == said


@pytest.mark.parametrize("bad", [True, False, 1.0, 0.5])
def test_a_number_that_is_not_exact_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="no exact number"):
        fraction(bad)
    assert [fraction(good) for good in ("0.05", 3, Decimal("1.5"))] == [Fraction(1, 20), 3, Fraction(3, 2)]


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        ("0", "0"), ("1", "1"), ("1000", "1000"), ("9999", "9999"), ("10000", "10000"), ("10004", "10000"),
        ("10000.6", "10000"),
        ("10005", "10010"), ("99994", "99990"), ("99995", "100000"), ("1.2345", "1.235"), ("1.23449", "1.234"),
        ("0.99995", "1"), ("0.99994", "0.9999"), ("0.00012345", "0.0001235"), ("123450000", "123500000"),
        ("999.95", "1000"), ("999.94", "999.9"), ("100000", "100000"), ("0.1", "0.1"), ("0.01", "0.01"),
    ],
)  # fmt: skip
def test_four_significant_digits_halves_up(value: str, rounded: str) -> None:
    assert four_digits(Fraction(value)) == Fraction(rounded)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [("0", "0"), ("1.004", "1"), ("1.005", "1.01"), ("1.0149", "1.01"), ("2", "2"), ("0.01", "0.01")],
)
def test_cents_halves_up(value: str, rounded: str) -> None:
    assert cents(Fraction(value)) == Fraction(rounded)


# ---------------------------------------------------------------------- facts and rules
SHAPES: dict[str, dict[str, Any]] = {
    "age": {"type": "integer"},
    "inr": {"type": "number"},
    "stage": {"type": "enum"},
    "smoker": {"type": "boolean"},
    "has": {"type": "list"},
    "lactating": {"type": "boolean", "only_if": {"fact": "sex", "value": "female"}},
    "sex": {"type": "enum"},
}


@pytest.mark.parametrize(
    ("op", "value", "below", "at", "above", "unanswered"),
    [
        ("lt", 5, True, False, False, False),
        ("lte", "5", True, True, False, False),
        ("gt", 5, False, False, True, False),
        ("gte", 5, False, True, True, False),
        ("is", "5.0", False, True, False, False),
        ("is_not", 5, True, False, True, True),
        ("in", [5, "6"], False, True, True, False),
    ],
)
def test_a_number_against_each_test(op: str, value: Any, below: bool, at: bool, above: bool, unanswered: bool) -> None:
    for fact in ("age", "inr"):
        test = {"fact": fact, "op": op, "value": value}
        facts: list[dict[str, Any]] = [{fact: 4}, {fact: 5}, {fact: 6}, {}]
        assert [is_met(second(facts=each, shapes=SHAPES), test) for each in facts] == [below, at, above, unanswered]


@pytest.mark.parametrize(
    ("fact", "op", "value", "answers", "verdicts"),
    [
        ("stage", "is", "I", ["I", "II", None], [True, False, False]),
        ("stage", "is_not", "I", ["I", "II", None], [False, True, True]),
        ("stage", "in", ["I", "II"], ["II", "III", None], [True, False, False]),
        ("smoker", "is", True, [True, False, None], [True, False, False]),
        ("smoker", "is", False, [True, False, None], [False, True, False]),
        ("smoker", "is_not", True, [True, False, None], [False, True, True]),
        ("has", "includes", "a", [("a", "b"), ("b",), (), None], [True, False, False, False]),
        ("has", "includes_any", ["a", "c"], [("a", "b"), ("b",), (), None], [True, False, False, False]),
        ("has", "is_not_empty", True, [("a",), ("a", "b"), (), None], [True, True, False, False]),
        ("has", "is_not_empty", False, [("a",), ("a", "b"), (), None], [False, False, True, False]),
    ],
)
def test_an_answer_against_each_test(fact: str, op: str, value: Any, answers: list[Any], verdicts: list[bool]) -> None:
    test = {"fact": fact, "op": op, "value": value}
    facts = [{} if answer is None else {fact: answer} for answer in answers]
    assert [is_met(second(facts=each, shapes=SHAPES), test) for each in facts] == verdicts


def test_parts_of_a_trigger_are_joined() -> None:
    def true(trigger: dict[str, Any]) -> bool:
        return is_true(trigger, lambda leaf: bool(leaf["is"]))

    yes, no = {"is": 1}, {"is": 0}
    assert (true(yes), true(no)) == (True, False)
    assert [true({"all": list(parts)}) for parts in ((yes, yes), (yes, no), (no, no))] == [True, False, False]
    assert [true({"any": list(parts)}) for parts in ((yes, yes), (no, yes), (no, no))] == [True, True, False]
    assert true({"all": [yes, {"any": [no, {"all": [yes, yes]}]}]})
    assert not true({"all": [yes, {"any": [no, {"all": [yes, no]}]}]})


@pytest.mark.parametrize(("facts", "applies"), [({}, True), ({"sex": "female"}, True), ({"sex": "male"}, False)])
def test_a_fact_that_cannot_apply_decides_nothing(facts: dict[str, Any], applies: bool) -> None:
    made = second(facts=facts, shapes=SHAPES)
    test = {"fact": "lactating", "op": "is", "value": True}
    assert (may_apply(made, "lactating"), may_be_met(made, test)) == (applies, applies)
    assert deciding_facts(made, test) == ({"lactating"} if applies else set())
    assert may_apply(made, "age")


def test_only_what_could_still_come_true_is_asked() -> None:
    old = {"fact": "age", "op": "gte", "value": 75}
    smokes = {"fact": "smoker", "op": "is", "value": True}
    has = {"fact": "has", "op": "includes", "value": "a"}
    for trigger, facts, asked in (
        (old, {}, {"age"}),
        (old, {"age": 80}, set()),
        (old, {"age": 20}, set()),
        ({"all": [old, smokes]}, {}, {"age", "smoker"}),
        ({"all": [old, smokes]}, {"age": 80}, {"smoker"}),
        ({"all": [old, smokes]}, {"age": 20}, set()),
        ({"any": [old, smokes]}, {"age": 20}, {"smoker"}),
        ({"all": [has, {"any": [old, smokes]}]}, {"age": 20}, {"has", "smoker"}),
        ({"any": [has, {"all": [old, smokes]}]}, {"age": 20}, {"has"}),
        ({"any": [has, {"all": [old, smokes]}]}, {"has": ("a",)}, {"age", "smoker"}),
    ):
        assert deciding_facts(second(facts=facts, shapes=SHAPES), trigger) == asked, (trigger, facts)


def test_a_rule_is_aimed_by_its_scope() -> None:
    all_things = things(
        thing("a", **{"class": "drug"}, regulatory={"prescription_only": True}),
        thing("b", flags={"allergens": ["fish"], "animal": True}),
        thing("c", flags={"allergens": []}),
    )
    made = second(things=all_things, facts={"allergy_ingredients": ("c", "a")})

    def aim(**scope: Any) -> set[str] | None:
        return aim_of(made, {"applies_to": scope})

    assert aim(scope="plan") is None
    assert aim(scope="ingredients", keys=["a", "c"]) == {"a", "c"}
    assert aim(scope="class", classes=["drug"]) == {"a"}
    assert aim(scope="flag", flag="animal", equals=True) == {"b"}
    assert aim(scope="flag", flag="animal", equals=False) == {"a"}
    assert aim(scope="allergen", allergen="fish") == {"b"}
    assert aim(scope="prescription_only") == {"a"}
    assert aim(scope="listed_in_fact", fact="allergy_ingredients") == {"a", "c"}
    assert aim(scope="listed_in_fact", fact="unanswered") == set()


def rule(severity: str, *keys: str, answer: str = "now", refer: str = "") -> dict[str, Any]:
    """A rule on `smoker`: aimed at these, or at the plan; one of "now" fires, one of "never" does not."""
    return {
        "severity": severity,
        "trigger": {"fact": "smoker", "op": "is", "value": answer == "now"},
        "applies_to": {"scope": "ingredients", "keys": list(keys)} if keys else {"scope": "plan"},
        **({"refer": refer} if refer else {}),
    }


def screened(rules: dict[str, Any], held: str = "a", **said: Any) -> tuple[dict[str, Any], Context]:
    """What the second calculation expects of an answer that says what none can, and the calculation itself."""
    answer = {
        "concerns": [{"concern": "x"}], "sessions": [],
        "syringes": [{"lines": [{"ingredient": key} for key in held]}], "open_questions": [], "status": "?",
        "rules_fired": ["?"], "blocks": [{"rule": "?"}], "cautions": [{"rule": "?"}, {"rule": "volume_below_minimum"}],
        "infos": [{"rule": "?"}, {"rule": "session_without_mixture"}], "missing": [{"fact": "?"}],
        "excluded_by_rule": [{"rule": "?", "ingredient": "?"}], "referrals": [{"referral": "?", "rule": "?"}],
        **said.pop("answer", {}),
    }  # fmt: skip
    concern = {"key": "x", "referral_first": False, "referral_rule": "doctor", "cleared_when": {"all": []}}
    needed = said.pop("needed", {"always": ["smoker"]})
    documents = {
        "concerns": {"concerns": [{**concern, **said.pop("concern", {})}]},
        "screening": {"required_before_plan": needed},
    }
    own = {"facts": {"smoker": True}, "case": SimpleNamespace(waived={}), **said}
    made = second(
        answer=answer, rules=rules, documents=documents, shapes=SHAPES, things=things(*map(thing, "abc")), **own
    )
    check_screening(made)
    return {row.path: row.expected for row in made.found}, made


def test_each_rule_that_fires_is_told_where_it_belongs() -> None:
    expected, made = screened(
        {
            "stop": rule("absolute", refer="doctor"), "out": rule("exclude", "b", "c", refer="lab"),
            "all_out": rule("exclude", refer="lab"), "warn": rule("caution"), "warn_a": rule("caution", "a", "b"),
            "warn_c": rule("caution", "c", refer="eye"), "warn_a2": rule("caution", "a", refer="ear"),
            "warn_all": rule("caution", refer="skin"), "say": rule("info"), "say_b": rule("info", "b"),
            "later": rule("absolute", answer="never", refer="nobody"),
        }
    )  # fmt: skip
    fired = ["all_out", "out", "say", "say_b", "stop", "warn", "warn_a", "warn_a2", "warn_all", "warn_c"]
    assert expected == {
        "rules_fired": fired, "blocks": ["stop"], "cautions": ["warn", "warn_a", "warn_a2", "warn_all"],
        "infos": ["say"], "excluded_by_rule": [["out", "b"], ["out", "c"]],
        "referrals": [["doctor", "stop"], ["ear", "warn_a2"], ["lab", "all_out"], ["lab", "out"], ["skin", "warn_all"]],
        "missing": [], "status": "blocked",
    }  # fmt: skip
    assert exclusions_of(made) == {("out", "b"), ("out", "c")}


@pytest.mark.parametrize(
    ("concern", "rules", "waits"),
    [
        ({}, {}, False),
        ({"referral_first": True}, {}, False),  # cleared
        ({"referral_first": True, "cleared_when": {"any": []}}, {}, True),
        ({"referral_first": False, "cleared_when": {"any": []}}, {}, False),
        ({"referral_first": True, "cleared_when": {"any": []}, "key": "y"}, {}, False),  # nobody has it
        ({"referral_first": True, "cleared_when": {"any": []}}, {"stop": rule("absolute", refer="doctor")}, False),
        ({"referral_first": True, "cleared_when": {"any": []}}, {"stop": rule("absolute", refer="other")}, True),
        ({"referral_first": True, "cleared_when": {"any": []}}, {"stop": rule("caution", refer="doctor")}, True),
    ],
)
def test_a_concern_waits_for_its_specialist(concern: dict[str, Any], rules: dict[str, Any], waits: bool) -> None:
    expected, _ = screened(rules, concern=concern)
    own = ["referral_first_x"] if waits else []
    assert expected["rules_fired"] == sorted([*own, *rules])
    assert expected["blocks"] == sorted([*own, *(key for key in rules if rules[key]["severity"] == "absolute")])
    assert (["doctor", "referral_first_x"] in expected["referrals"]) is waits
    assert expected["status"] == ("blocked" if expected["blocks"] else "proposed")


@pytest.mark.parametrize(
    ("facts", "needed", "missing"),
    [
        ({"smoker": True}, {"always": ["smoker"]}, []),
        ({}, {"always": ["smoker", "age"]}, ["age", "smoker"]),
        (
            {"sex_at_birth": "female"},
            {"always": ["sex_at_birth"], "if_sex_female": ["age"], "if_sex_male": ["inr"]},
            ["age"],
        ),
        ({"sex_at_birth": "male"}, {"always": ["sex_at_birth"], "if_sex_female": ["age"]}, []),
    ],
)
def test_missing_facts_by_sex(facts: dict[str, Any], needed: dict[str, Any], missing: list[str]) -> None:
    expected, made = screened({"stop": rule("absolute")}, facts=facts, needed=needed)
    assert expected["missing"] == missing
    assert expected["status"] == ("incomplete" if missing else "blocked" if facts == {"smoker": True} else "proposed")
    assert required_facts(made) == {*missing, *facts}


def test_questions_that_could_still_matter() -> None:
    def asked(severity: str, *keys: str, **changes: Any) -> Any:
        trigger = {"any": [{"fact": "smoker", "op": "is", "value": True}, {"fact": "age", "op": "gt", "value": 9}]}
        row = {**rule(severity, *keys), "trigger": trigger, **changes.pop("rule", {})}
        changes = {"facts": {}, "needed": {"always": ["age"]}, **changes}
        return screened({"r": row}, **changes)[0].get("open_questions")

    assert asked("absolute") == asked("absolute", "c") == asked("exclude", "a") == asked("caution", "a") == {
        "smoker": ["r"]
    }  # fmt: skip
    assert asked("info") == asked("info", "a") == asked("caution") == asked("caution", "b") == None  # noqa: E711
    assert asked("absolute", facts={"smoker": False}) is None
    assert asked("absolute", facts={"age": 20}) is None  # it has fired
    assert asked("absolute", needed={"always": []}) == {"age": ["r"], "smoker": ["r"]}
    listed = {"applies_to": {"scope": "listed_in_fact", "fact": "has"}}
    assert asked("exclude", rule=listed) == {"smoker": ["r"]}
    assert asked("exclude", rule=listed, facts={"has": ("a",)}) == {"smoker": ["r"]}
    assert asked("exclude", rule=listed, facts={"has": ("b",)}) is None
    assert asked("exclude", rule=listed, held="") is None


def test_questions_are_told_with_their_rules_and_waivers() -> None:
    question = {"fact": "age", "needed_by": ["r"], "waived": None}
    old = {**rule("absolute"), "trigger": {"fact": "age", "op": "gt", "value": 9}}

    def found(rows: list[dict[str, Any]], **waived: Any) -> list[str]:
        case = SimpleNamespace(waived=waived)
        paths = screened({"r": old}, answer={"open_questions": rows}, facts={"smoker": True}, case=case)[0]
        return [path for path in paths if path.startswith("open")]

    assert found([question]) == []
    assert found([]) == found([{**question, "needed_by": []}]) == ["open_questions"]
    waiver = SimpleNamespace(kind="not_measured", reason="late")
    said = {**question, "waived": {"as": "not_measured", "reason": "late"}}
    assert found([said], age=waiver) == []
    assert found([said]) == found([question], age=waiver) == ["open_questions.age.waived"]


@pytest.mark.parametrize(
    ("facts", "recorded", "severity"),
    [
        ({}, "mild", "mild"),
        ({"stage": "II"}, "mild", "severe"),
        ({"stage": "I"}, "severe", "moderate"),
        ({"stage": "0"}, "severe", "severe"),  # a stage without a band
        ({"stage": "I", "inr": 2}, "mild", "moderate"),  # the worse of two
        ({"inr": 2}, "severe", "mild"),
        ({"hers": "I"}, "mild", "mild"),
        ({"hers": "I", "sex_at_birth": "male"}, "mild", "mild"),
        ({"hers": "I", "sex_at_birth": "female"}, "mild", "severe"),
    ],
)
def test_a_stage_sets_the_severity(facts: dict[str, Any], recorded: str, severity: str) -> None:
    def scale(key: str, fact: str | None, sex: str, **bands: str) -> dict[str, Any]:
        stages = [{"code": code.strip("s_"), "band": band} for code, band in bands.items()]
        return {"key": key, **({"fact": fact} if fact else {}), "applies_to_sex": sex, "stages": stages}

    scales = [
        scale("first", "stage", "any", s0="none", I="moderate", II="severe"), scale("second", "inr", "any", s2="mild"),
        scale("hers", "hers", "female", I="severe"), scale("unasked", None, "any", None_="severe"),
    ]  # fmt: skip
    names = [row["key"] for row in scales]
    concerns = [{"key": "x", "severity_scales": names}, {"key": "y", "severity_scales": []}]
    made = second(
        documents={"vocabulary": {"scales": {"scales": scales}, "concerns": {"concerns": concerns}}},
        case=SimpleNamespace(
            concerns=[
                SimpleNamespace(concern="x", severity=recorded, insisted=""),
                SimpleNamespace(concern="y", severity="mild", insisted=""),
            ]
        ),
        facts=facts,
        answer={"concerns": [], "severity": "?"},
    )
    check_concerns(put(made, severity=severity_of(made)))
    assert made.severity == {"x": severity, "y": "mild"}
    assert made.worst == severity
    assert [row.path for row in made.found] == ["concerns", "severity"]


# ---------------------------------------------------------------------- volumes
def test_bounds_of_an_ingredient() -> None:
    all_things = things(thing("a"), thing("b", stock={"concentration": "5"}))
    whole = second(things=all_things, stock=None, step=STEP)
    assert (bounds_of(whole, "a"), bounds_of(whole, "b")) == ((Fraction(1, 2), Fraction(3, 2)), (Fraction(1, 2), 2))
    short = second(things=all_things, stock={"a": "0.99"}, step=STEP)
    assert (bounds_of(short, "a"), bounds_of(short, "b")) == ((Fraction(1, 2), Fraction(99, 100)), (Fraction(1, 2), 0))
    assert range_of(short, "a") == {
        "volume_min_ml": Fraction(1, 2), "volume_usual_ml": Fraction(19, 20), "volume_max_ml": Fraction(19, 20),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("volume", "dose", "stock", "least", "usual", "most"),
    [
        (("0.5", "1", "2"), "20", None, "0.5", "1", "2"),
        (("0.52", "0.92", "1.98"), "20", None, "0.55", "0.9", "1.95"),  # inwards; the usual to the nearest step
        (("0.52", "0.925", "1.98"), "20", None, "0.55", "0.95", "1.95"),  # halves up
        (("0.52", "0.52", "2"), "20", None, "0.55", "0.55", "2"),  # not below the least that can be drawn
        (("0.5", "1.97", "1.98"), "20", None, "0.5", "1.95", "1.95"),  # nor above the most
        (("0.5", "1.5", "2"), "10", None, "0.5", "1", "1"),  # the dose allows 1 mL
        (("0.5", "1", "2"), "20", "0.75", "0.5", "0.75", "0.75"),
        (("0.5", "1", "2"), "20", "0.79", "0.5", "0.75", "0.75"),
        (("0.5", "0.6", "2"), "20", "1", "0.5", "0.6", "1"),
    ],
)
def test_usual_volume_is_drawable_and_inside_every_limit(
    volume: tuple[str, str, str], dose: str, stock: str | None, least: str, usual: str, most: str
) -> None:
    session = {"volume": dict(zip(("min", "usual", "max"), volume, strict=True)), "max_dose": {"value": dose}}
    made = second(
        things=things(thing("a", per_session=session)), stock=None if stock is None else {"a": stock}, step=STEP
    )
    assert usual_of(made, "a") == Fraction(usual)
    assert range_of(made, "a") == {
        "volume_min_ml": Fraction(least), "volume_usual_ml": Fraction(usual), "volume_max_ml": Fraction(most),
    }  # fmt: skip


# ---------------------------------------------------------------------- pairs and syringes
def test_a_pair_names_its_sides_in_five_ways() -> None:
    made = second(
        things=things(
            thing("a", flags={"sulfite": True}, **{"class": "drug"}),
            thing("b", solution={"solvent": "oil", "ph_min": "5", "ph_max": "7"}),
            thing("water", role="diluent"),
        )
    )

    def sides(side: Any) -> list[str]:
        return [key for key in ("a", "b", "water") if is_side(made, side, key)]

    assert sides("a") == ["a"]
    assert sides({"any_active": True}) == ["a", "b"]
    assert sides({"flag": "sulfite", "equals": True}) == ["a"]
    assert sides({"class": "drug"}) == ["a"]
    assert sides({"solvent": "oil"}) == ["b"]


def paired(*pairs: tuple[Any, Any, str], **own: Any) -> Context:
    rows = [
        {"key": f"p{number}", "a": a, "b": b, "severity": severity, "scope": "syringe"}
        for number, (a, b, severity) in enumerate(pairs)
    ]
    own.setdefault("things", things(*(thing(key) for key in "abcdef")))
    own.setdefault("mixing", {"max_active_ingredients_per_syringe": 3})
    documents = {"screening": {"incompatibilities": rows}, **own.pop("documents", {})}
    return second(documents=documents, **own)


def test_a_pair_holds_in_either_order_and_of_both_sides() -> None:
    made = paired(("a", "b", "never_mix"), ("c", {"any_active": True}, "never_mix"))
    assert [pair["key"] for pair in pairs_of(made, "a", "b")] == ["p0"]
    assert [pair["key"] for pair in pairs_of(made, "b", "a")] == ["p0"]
    assert [pair["key"] for pair in pairs_of(made, "a", "c")] == ["p1"]
    assert [pair["key"] for pair in pairs_of(made, "c", "a")] == ["p1"]
    assert list(pairs_of(made, "a", "d")) == list(pairs_of(made, "d", "b")) == []


def test_which_ingredients_may_be_one_mixture() -> None:
    solutions = {"a": ("4", "5"), "b": ("5", "6"), "c": ("6", "7"), "d": ("1", "9"), "e": ("1", "9"), "f": ("1", "9")}
    made = paired(
        ("d", "e", "separate_syringe"), ("d", "f", "use_immediately"),
        things=things(*(thing(k, solution={"ph_min": low, "ph_max": high}) for k, (low, high) in solutions.items())),
    )  # fmt: skip
    verdicts = {
        keys: may_be_one(made, list(keys)) for keys in ("a", "ab", "bc", "ac", "de", "df", "bdf", "abdf", "bcef")
    }
    assert verdicts == {
        "a": True, "ab": True, "bc": True, "ac": False, "de": False, "df": True, "bdf": True, "abdf": False,
        "bcef": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "keys", "fewest"),
    [
        ((), "", 0),
        ((), "a", 1),
        ((), "abc", 1),
        ((), "abcd", 2),
        ((), "abcdef", 2),
        (("ab",), "ab", 2),
        (("ab",), "abc", 2),
        (("ab", "bc"), "abc", 2),
        (("ab", "bc", "ac"), "abc", 3),
        (("ab", "cd"), "abcd", 2),
        (("ab", "ac", "bd"), "abcdef", 2),  # bc and ad go together; the first way found takes three
        (("ab", "ac", "ad", "bc", "bd", "cd"), "abcd", 4),
    ],
)
def test_fewest_mixtures_by_every_way_there_is(pairs: tuple[str, ...], keys: str, fewest: int) -> None:
    made = paired(*((pair[0], pair[1], "never_mix") for pair in pairs))
    assert fewest_of(made, list(keys)) == fewest


# ---------------------------------------------------------------------- worth
def serving(**benefits: tuple[int, str]) -> list[dict[str, Any]]:
    return [
        {"concern": concern, "strength": strength, "evidence_grade": grade, "direction": "supports"}
        for concern, (strength, grade) in benefits.items()
    ]


def test_worth_of_a_set_by_hand() -> None:
    made = paired(
        ("a", "b", "never_mix"),
        things=things(
            thing("a", concerns=serving(x=(3, "A"), y=(1, "B"))),
            thing("b", concerns=serving(x=(2, "A"))),
            thing("c", concerns=serving(y=(1, "A"))),
        ),
        policy=NOBODY, severity={"x": "severe", "y": "mild"}, facts={"age": 40}, shapes=SHAPES,
        rules={
            "on_a": {"severity": "caution", "trigger": {"fact": "age", "op": "gt", "value": 1},
                     "applies_to": {"scope": "ingredients", "keys": ["a"]}},
            "silent": {"severity": "caution", "trigger": {"fact": "age", "op": "gt", "value": 90},
                       "applies_to": {"scope": "ingredients", "keys": ["a"]}},
            "plan": {"severity": "caution", "trigger": {"fact": "age", "op": "gt", "value": 1},
                     "applies_to": {"scope": "plan"}},
            "info": {"severity": "info", "trigger": {"fact": "age", "op": "gt", "value": 1},
                     "applies_to": {"scope": "ingredients", "keys": ["a"]}},
        },
    )  # fmt: skip
    assert (benefit_of(made, "a", "x"), benefit_of(made, "a", "y"), benefit_of(made, "a", "z")) == (
        3,
        Fraction(1, 2),
        0,
    )
    assert worth_of(made, []) == 0
    assert worth_of(made, ["b"]) == Fraction("5.5")  # 3 × 2 - 0.5
    assert worth_of(made, ["a"]) == Fraction("8.75")  # 3 × 3 + 0.5 - 0.5 - 0.25
    assert worth_of(made, ["c", "a"]) == 9  # 9 + 1 + 0.25 - 1 - 0.25
    assert worth_of(made, ["a", "b"]) == Fraction("9.25")  # 9 + 3 + 0.5 - 1 - 0.25 - 2


# ---------------------------------------------------------------------- course
def windows(
    days: Sequence[int], floor: int, widest: int, span: tuple[int, int], *spacings: tuple[int, int, int]
) -> tuple[list[tuple[int, int]], list[str]]:
    """What the second calculation expects, found by saying nothing, and whether the days are inside."""
    rows = [{"from_session": a, "to_session": b, "min_days": least} for a, b, least in spacings]
    made = second(answer={"course": {"spacings": rows, "windows_days": []}})
    check_windows(made, days, floor, widest, {"min": span[0], "max": span[1]})
    (first, *rest) = made.found
    assert [row["ideal"] for row in first.expected] == list(days)
    assert [row["session"] for row in first.expected] == list(range(1, len(days) + 1))
    return [(row["earliest"], row["latest"]) for row in first.expected], [row.path for row in rest]


@pytest.mark.parametrize(
    ("days", "floor", "widest", "span", "spacings", "expected"),
    [
        ([0], 7, 9, (0, 9), (), [(0, 0)]),
        ([0], 7, 9, (5, 9), (), [(0, 0)]),  # one session has no span
        ([0, 8], 7, 9, (0, 99), (), [(0, 0), (7, 9)]),
        ([0, 8], 7, 9, (8, 99), (), [(0, 0), (8, 9)]),
        ([0, 8], 7, 9, (0, 8), (), [(0, 0), (7, 8)]),
        ([0, 8, 16], 7, 9, (0, 99), (), [(0, 0), (7, 9), (14, 18)]),
        ([0, 8, 16], 7, 9, (17, 99), (), [(0, 0), (8, 9), (17, 18)]),
        ([0, 8, 16], 7, 9, (0, 15), (), [(0, 0), (7, 8), (14, 15)]),
        ([0, 8, 16], 7, 9, (0, 99), ((1, 3, 17),), [(0, 0), (8, 9), (17, 18)]),
        ([0, 8, 16], 7, 9, (0, 99), ((1, 3, 12),), [(0, 0), (7, 9), (14, 18)]),
        ([0, 8, 16, 24], 7, 9, (0, 99), ((2, 4, 17),), [(0, 0), (7, 9), (15, 18), (24, 27)]),
        ([0, 8, 16, 24], 7, 9, (0, 22), ((1, 3, 15), (1, 3, 10)), [(0, 0), (7, 8), (15, 15), (22, 22)]),
    ],
)
def test_windows_by_hand(
    days: list[int], floor: int, widest: int, span: tuple[int, int], spacings: tuple[tuple[int, int, int], ...],
    expected: list[tuple[int, int]],
) -> None:  # fmt: skip
    found, _ = windows(days, floor, widest, span, *spacings)
    assert found == expected


def test_a_day_outside_its_window_is_found() -> None:
    assert windows([0, 7, 14], 7, 9, (0, 99))[1] == []
    assert windows([0, 9, 18], 7, 9, (0, 99))[1] == []
    assert windows([0, 6, 14], 7, 9, (0, 99))[1] == ["course.windows_days[2]"]
    assert windows([0, 9, 19], 7, 9, (0, 99))[1] == ["course.windows_days[3]"]


def spaced(
    days: Sequence[int],
    floor: int,
    sessions: Sequence[str],
    said: Sequence[tuple[str, int, int, int]] = (),
    own: int = 21,
) -> list[tuple[str, str]]:
    """What is found about intervals, where a session holds the ingredients named by letters; w is a diluent."""
    slow = {"per_session": {"min_interval_days": own}}
    rows = [{"ingredient": i, "from_session": a, "to_session": b, "min_days": least} for i, a, b, least in said]
    made = second(
        answer={
            "course": {"spacings": rows},
            "syringes": [],
            "sessions": [
                {"number": number, "syringes": [{"lines": [{"ingredient": key} for key in held]}]}
                for number, held in enumerate(sessions, start=1)
            ],
        },
        things=things(thing("a", **slow), thing("b"), thing("w", role="diluent", **slow)),
    )
    check_own_intervals(made, days, floor)
    return [(row.path, row.code) for row in made.found]


def test_no_ingredient_comes_back_too_early() -> None:
    assert spaced([0, 21, 42], 21, ["ab", "ab", "ab"]) == []
    assert spaced([0, 20, 41], 20, ["a", "a", "a"], [("a", 1, 2, 21), ("a", 2, 3, 21)]) == [
        ("course.a", "own_interval_broken")
    ]
    assert spaced([0, 21, 41], 20, ["a", "a", "a"], [("a", 1, 2, 21), ("a", 2, 3, 21)]) == [
        ("course.a", "own_interval_broken")
    ]
    assert spaced([0, 14, 28], 14, ["ab", "b", "ab"]) == []
    assert spaced([0, 14, 28], 10, ["ab", "b", "ab"], [("a", 1, 3, 21), ("b", 1, 2, 14), ("b", 2, 3, 14)]) == []
    assert spaced([0, 14, 28], 10, ["a", "", "a"]) == [("course.spacings", "differs")]
    assert spaced([0, 14, 28], 10, ["", "a", ""]) == [("course.a", "absent_from_first_session")]
    assert spaced([0, 14, 28], 14, ["b", "w", ""]) == []  # a diluent comes where there is room for it
    assert spaced([0, 14, 28], 14, ["w", "w", ""]) == [("course.w", "own_interval_broken")]
    assert spaced([0, 21, 42], 14, ["w", "w", ""]) == []  # said or not
    assert spaced([0, 21, 42], 14, ["w", "w", ""], [("w", 1, 2, 21)]) == []


BAND: dict[str, Any] = {
    "severity": "mild",
    "sessions": {"min": 1, "default": 3, "max": 5},
    "interval": {"min": 21, "default": 28, "max": 35},
    "span": {"min": 42, "max": 105},
    "default_offsets": {"values": [0, 28, 56]},
    "alternative_schedules": [
        {"name": "slow", "offsets": [0, 35, 70]},
        {"name": "four", "offsets": [0, 21, 42, 63]},
        {"name": "late", "offsets": [0, 28, 56, 91]},
    ],
}


def asked_for(band: dict[str, Any] | None = None, *edits: dict[str, Any], **policy: Any) -> tuple[str, list[int]]:
    from protocols.engine import Policy
    from tests.protocols.worked_cases import starter

    own = Policy.default(starter())
    for name, value in policy.items():
        object.__setattr__(own, name, value)
    made = second(policy=own, answer={"edits": list(edits), "course": {"offsets_days": [0, 1]}})
    return schedule_asked_for(made, {**BAND, **(band or {})})


def test_schedule_that_is_asked_for() -> None:
    assert asked_for() == ("default", [0, 28, 56])
    assert asked_for(sessions=3) == ("default", [0, 28, 56])
    assert asked_for(sessions=4) == ("four", [0, 21, 42, 63])
    assert asked_for(sessions=9) == ("even", [0, 26, 52, 78, 104])  # five at most: 28 days would be 112
    assert asked_for(sessions=0) == asked_for(sessions=1) == ("even", [0])
    assert asked_for(sessions=2) == ("even", [0, 1])  # one interval cannot be 42 days: what is said is broken below
    assert asked_for({"span": {"min": 30, "max": 105}}, sessions=2) == ("even", [0, 30])
    assert asked_for({"span": {"min": 21, "max": 105}}, sessions=2) == ("even", [0, 28])
    assert asked_for({"span": {"min": 21, "max": 21}}, sessions=2) == ("even", [0, 21])
    assert asked_for({"span": {"min": 35, "max": 35}}, sessions=2) == ("even", [0, 35])
    assert asked_for({"span": {"min": 36, "max": 105}}, sessions=2) == ("even", [0, 1])
    assert asked_for(schedule="slow") == ("slow", [0, 35, 70])
    assert asked_for(schedule="slow", sessions=3) == ("slow", [0, 35, 70])
    assert asked_for(schedule="slow", sessions=4) == ("four", [0, 21, 42, 63])
    assert asked_for(schedule="late", sessions=4) == ("late", [0, 28, 56, 91])
    assert asked_for(schedule="never") == ("default", [0, 28, 56])
    assert asked_for({"sessions": {"min": 2, "default": 4, "max": 4}}, schedule="slow") == ("slow", [0, 35, 70])


def test_the_last_edit_of_the_course_stands() -> None:
    four, slow = {"op": "set_sessions", "sessions": 4}, {"op": "set_schedule", "schedule": "slow"}
    assert asked_for(None, four) == ("four", [0, 21, 42, 63])
    assert asked_for(None, slow) == ("slow", [0, 35, 70])
    assert asked_for(None, slow, four) == ("four", [0, 21, 42, 63])
    assert asked_for(None, four, slow) == ("slow", [0, 35, 70])
    assert asked_for(None, four, schedule="late") == ("four", [0, 21, 42, 63])
    assert asked_for(None, {"op": "remove", "ingredient": "a"}) == ("default", [0, 28, 56])


def test_checkpoints_follow_the_sessions_there_are() -> None:
    rows = [
        {"key": "second", "when": {"after_session": 2}, "applies_to": ["mild"]},
        {"key": "third", "when": {"after_session": 3}, "applies_to": ["mild"],
         "if_fewer_sessions": {"days_after_last_session": {"default": 49}}},
        {"key": "end", "when": {"days_after_last_session": 84}, "applies_to": ["mild", "severe"]},
    ]  # fmt: skip

    def expected(worst: str, days: list[int]) -> Any:
        made = second(severity={"x": worst}, course={"checkpoints": rows})
        check_checkpoints(made, {"checkpoints": []}, days)
        return made.found[0].expected

    assert expected("mild", [0, 20, 41]) == {"second": 20, "third": 41, "end": 125}
    assert expected("mild", [0, 20]) == {"second": 20, "third": 69, "end": 104}
    assert expected("mild", [0]) == {"third": 49, "end": 84}
    assert expected("severe", [0, 20, 41]) == {"end": 125}


# ---------------------------------------------------------------------- what the engine's own volumes may be
def scaled(target: str, *lines: tuple[str, str, str, str], budget: Any = None) -> list[str]:
    rows = [
        {"ingredient": f"i{n}", "role": role, "volume_ml": volume, "volume_usual_ml": usual, "volume_max_ml": most}
        for n, (role, volume, usual, most) in enumerate(lines)
    ]
    made = second(target=Fraction(target), step=STEP, policy=SimpleNamespace(ingredient_budget=budget))
    check_scaling(made, "syringes", [{"lines": rows}] if rows else [])
    return codes(made)


def test_volumes_are_lowered_thinned_and_raised_with_need_only() -> None:
    a, w = "active", "diluent"
    assert scaled("3") == []
    assert scaled("2", (a, "1", "1", "2"), (a, "1", "1", "2")) == []
    assert scaled("2.04", (a, "1", "1", "2"), (a, "1", "1", "2")) == []  # 2 mL is what can be drawn of it
    assert scaled("3", (a, "0.9", "1", "2"), (w, "2.1", "0", "9")) == ["lowered_without_need"]
    assert scaled("2", (a, "0.9", "1", "2"), (a, "1.1", "1", "2")) == ["lowered_without_need"]
    assert scaled("1.5", (a, "0.5", "1", "2"), (a, "1", "1", "2")) == []
    assert scaled("1.5", (a, "0.45", "1", "1"), (a, "1", "1", "1")) == ["lowered_too_far", "short_without_need"]
    assert scaled("1.5", (a, "0.4", "1", "2"), (a, "1.1", "1", "2")) == ["lowered_without_need"]
    assert scaled("2", (a, "1", "1", "2"), (a, "0.9", "1", "2"), (w, "0.1", "0", "9")) == [
        "lowered_without_need", "diluted_without_need",
    ]  # fmt: skip
    assert scaled("1.95", (a, "1", "1", "2"), (a, "0.9", "1", "2"), (w, "0.05", "0", "9")) == ["diluted_without_need"]
    assert scaled("3", (a, "1", "1", "2"), (w, "2", "0", "9")) == []
    assert scaled("3", (a, "1", "1", "2"), (w, "1.9", "0", "9")) == ["short_without_need"]
    assert scaled("3", (a, "2", "1", "2"), (w, "0.9", "0", "9")) == []
    assert scaled("3", (a, "1", "1", "2"), (w, "1.9", "0", "9"), budget=9) == []


def test_an_edit_is_carried_out() -> None:
    def edited(held: dict[str, str], edits: list[dict[str, Any]], place: int = 0) -> list[str]:
        lines = [{"ingredient": key, "volume_ml": volume} for key, volume in held.items()]
        made = second(answer={"edits": edits, "syringes": [{"lines": lines}]})
        check_edit(made, edits[place])
        return codes(made)

    late = ["edit_not_carried_out"]
    add, remove = {"op": "add", "ingredient": "a"}, {"op": "remove", "ingredient": "a"}
    swap, back = {"op": "swap", "ingredient": "a", "with": "b"}, {"op": "swap", "ingredient": "b", "with": "a"}
    assert (edited({"a": "1"}, [add]), edited({"b": "1"}, [add])) == ([], late)
    assert (edited({"b": "1"}, [remove]), edited({"a": "1"}, [remove])) == ([], late)
    assert (edited({"b": "1"}, [swap]), edited({}, [swap]), edited({"a": "1", "b": "1"}, [swap])) == ([], late, late)
    assert edited({"a": "1"}, [remove, add]) == edited({}, [add, remove]) == []
    assert edited({"a": "1"}, [swap, back]) == edited({"a": "1"}, [swap, back], 1) == []
    assert edited({}, [add, swap]) == []
    half, whole = (
        {"op": "set_volume", "ingredient": "a", "volume_ml": "0.5"},
        {"op": "set_volume", "ingredient": "a", "volume_ml": "1.0"},
    )
    other = {"op": "set_volume", "ingredient": "b", "volume_ml": "0.7"}
    assert (edited({"a": "0.50"}, [half]), edited({"a": "0.55"}, [half]), edited({}, [half])) == ([], late, late)
    assert edited({"a": "1"}, [half, whole]) == edited({"a": "1"}, [whole, other]) == []
    assert edited({"a": "0.5"}, [half, whole]) == late
    assert edited({"a": "9"}, [{"op": "set_sessions", "sessions": 3, "ingredient": "a"}]) == []


def test_edits_are_undone_from_the_last_to_the_first() -> None:
    def before(held: str, *edits: tuple[str, str, str]) -> tuple[str, list[str]]:
        rows: list[dict[str, Any]] = [
            {"op": op, "ingredient": went, **({"with": came} if came else {})} for op, went, came in edits
        ]
        made = second(answer={"edits": rows})
        return "".join(sorted(before_edits(made, held))), codes(made)

    assert before("ab") == ("ab", [])
    assert before("ab", ("add", "a", "")) == ("b", [])
    assert before("ab", ("remove", "c", "")) == ("abc", [])
    assert before("ab", ("swap", "c", "a")) == ("bc", [])
    assert before("ab", ("swap", "c", "d"), ("swap", "d", "a")) == ("bc", [])
    assert before("ab", ("set_volume", "a", "")) == ("ab", [])
    assert before("ab", ("add", "c", "")) == ("ab", ["edit_not_carried_out"])
    assert before("ab", ("remove", "a", "")) == ("ab", ["edit_not_carried_out"])


# ---------------------------------------------------------------------- which could be had, and which must be
def choosing(**changes: Any) -> Context:
    """Four ingredients for one severe and one mild concern."""
    policy = SimpleNamespace(**{**vars(NOBODY), **changes.pop("policy", {})})
    own: dict[str, Any] = {
        "things": things(
            thing("a", concerns=serving(x=(3, "A"))),
            thing("b", concerns=serving(x=(2, "A")), regulatory={"prescription_only": True}),
            thing("c", concerns=serving(x=(2, "A"), y=(1, "A")), relative_cost_per_ml="3"),
            thing("d", concerns=serving(y=(1, "C"))),
            thing("w", role="diluent", concerns=serving(x=(1, "A"))),
        ),
        "active": {"a", "b", "c", "d", "w"}, "excluded": set(), "stock": None, "step": STEP, "target": Fraction(9),
        "severity": {"x": "severe", "y": "mild"},
        "mixing": {"max_active_ingredients_per_syringe": 2, "same_family_limit": []},
        "course": {"cost_model": {"ingredient_unit_value": 4}},
    }  # fmt: skip
    anchors = [
        {"key": "x", "anchors": {"first_choice": ["a", "b"], "supporting": ["c", "b", "a"]}},
        {"key": "y", "anchors": {"first_choice": ["d"], "supporting": ["c"]}},
    ]
    documents = {"concerns": {"concerns": anchors}, **changes.pop("documents", {})}
    return paired(policy=policy, documents=documents, **{**own, **changes})


def to_be_had(**changes: Any) -> str:
    made = choosing(**changes)
    return "".join(key for key in made.things if can_be_had(made, key))


def test_what_could_be_in_this_plan_at_all() -> None:
    assert to_be_had() == "abc"
    assert to_be_had(active={"b", "c"}) == "bc"
    assert to_be_had(excluded={"b"}) == "ac"
    assert to_be_had(policy={"avoid": ("a",)}) == "bc"
    assert to_be_had(policy={"allow_prescription": False}) == "ac"
    assert to_be_had(stock={"a": "0.5", "b": "0.49", "c": "5"}) == "ac"
    assert to_be_had(target=Fraction("0.5")) == "abc"
    assert to_be_had(target=Fraction("0.49")) == ""
    assert to_be_had(severity={"y": "mild"}) == "c"
    assert to_be_had(policy={"severity_weight": {"severe": 0, "mild": 1}}) == "c"
    assert to_be_had(policy={"severity_weight": {"severe": 0, "mild": 0}}) == ""
    tiny = thing("a", concerns=serving(x=(1, "A")))
    tiny["per_session"]["volume"]["min"] = "0"
    assert to_be_had(things=things(tiny), active={"a"}, stock={"a": "0.05"}) == "a"
    assert to_be_had(things=things(tiny), active={"a"}, stock={"a": "0.04"}) == ""
    assert to_be_had(things=things(tiny), active={"a"}, target=Fraction("0.04")) == ""


def test_first_choices_and_who_stands_in() -> None:
    assert first_choices(choosing()) == [("x", "a", "a", False), ("x", "b", "b", False), ("y", "d", "c", True)]
    assert first_choices(choosing(excluded={"a"})) == [
        ("x", "a", "b", True),
        ("x", "b", "b", False),
        ("y", "d", "c", True),
    ]
    assert first_choices(choosing(excluded={"b"}))[1] == ("x", "b", "a", True)  # the best benefit
    assert first_choices(choosing(excluded={"a", "b"}))[:2] == [("x", "a", "c", True), ("x", "b", None, False)]
    made = choosing()
    assert sorted("abc", key=lambda key: reserve_order(made, key, "x")) == ["a", "b", "c"]  # equal: the cheaper
    assert reserve_order(made, "b", "x") == (-2, 2, "b")


@pytest.mark.parametrize(
    ("keys", "changes", "broken"),
    [
        ("abc", {}, set()),
        ("abcd", {}, {"max_actives"}),
        ("abc", {"target": Fraction("1.5")}, set()),
        ("abc", {"target": Fraction("1.49")}, {"volume"}),
        ("abc", {"policy": {"ingredient_budget": Decimal(28)}}, set()),  # 4 × (2 + 2 + 3)
        ("abc", {"policy": {"ingredient_budget": Decimal("27.99")}}, {"budget"}),
        ("abc", {"policy": {"max_syringes": 1}}, {"syringes"}),  # two in one mixture at most
        ("ab", {"policy": {"max_syringes": 1}}, set()),
        ("abc", {"policy": {"max_syringes": 1, "max_actives": 2}}, {"max_actives"}),
    ],
)
def test_limits_that_a_set_breaks(keys: str, changes: dict[str, Any], broken: set[str]) -> None:
    assert broken_limits(choosing(**changes), list(keys)) == broken


def test_families_and_pairs_that_a_set_breaks() -> None:
    families = [{"ingredients": ["a", "b"], "max": 1}, {"classes": ["drug"], "max": 1}]
    made = choosing(mixing={"max_active_ingredients_per_syringe": 5, "same_family_limit": families})
    assert (broken_limits(made, ["a", "b"]), broken_limits(made, ["a", "c"])) == ({"family"}, set())
    for key in "cd":
        made.things[key]["class"] = "drug"
    assert (broken_limits(made, ["c", "d"]), broken_limits(made, ["a", "d"])) == ({"family"}, set())
    for severity, scope, broken in (
        ("never_mix", "session", {"pair"}), ("separate_syringe", "session", {"pair"}),
        ("use_immediately", "session", set()), ("never_mix", "syringe", set()),
    ):  # fmt: skip
        made.documents["screening"]["incompatibilities"] = [
            {"key": "p", "a": "a", "b": "c", "severity": severity, "scope": scope}
        ]
        assert broken_limits(made, ["a", "c"]) == broken
        assert broken_limits(made, ["a", "d"]) == set()


def test_no_first_choice_is_left_out_without_need() -> None:
    def left_out(own: str, wanted: Sequence[tuple[str, str | None]], **changes: Any) -> Any:
        made = choosing(**changes)
        rows: list[tuple[str, str, str | None, bool]] = [(concern, "-", key, False) for concern, key in wanted]
        check_none_without_need(made, rows, set(own))
        return made.found[0].expected if made.found else None

    families = {"max_active_ingredients_per_syringe": 5, "same_family_limit": [{"ingredients": ["a", "b"], "max": 1}]}
    severe, both = [("x", "a"), ("x", "b")], [("x", "a"), ("y", "c"), ("y", "d")]
    assert left_out("ab", severe) is None
    assert left_out("a", severe) == ["b", "a"]
    assert left_out("", [("x", None)]) is None
    assert left_out("a", severe, mixing=families) is None
    assert left_out("", severe, mixing=families) == ["b"]
    assert left_out("a", both, policy={"max_actives": 1}) is None
    assert left_out("cd", both, policy={"max_actives": 2}) == ["a"]  # one severe concern is worth more than two mild
    assert left_out("ac", both, policy={"max_actives": 2}) is None
    assert left_out("d", both, policy={"max_actives": 2}) == ["a"]
    assert left_out("c", [("x", "c"), ("y", "c"), ("y", "d")], policy={"max_actives": 1}) is None
    assert left_out("d", [("y", "c"), ("y", "c"), ("y", "d")], policy={"max_actives": 1}) == ["c"]
    assert left_out("dw", both, policy={"max_actives": 1}) == ["a"]
    alone = [
        {"key": key, "a": "c", "b": key, "severity": "never_mix", "scope": "session"} for key in "abd"
    ]  # c, which counts twice, or the others
    screening = {"documents": {"screening": {"incompatibilities": alone}}}
    mild = [("y", "c"), ("y", "c"), ("y", "a"), ("y", "b")]
    assert left_out("c", mild, **screening) is None
    assert left_out("ab", mild, **screening) is None
    assert left_out("c", [*mild, ("y", "d")], **screening) == ["d", "b", "a"]


# ---------------------------------------------------------------------- price
COST: dict[str, Any] = {
    "base_session_units": 100, "ingredient_unit_value": 4,
    "region": [{"key": "far", "multiplier": "0.8"}, {"key": "town", "multiplier": "0.9"}],
    "provider": [{"key": "nurse", "multiplier": "0.85"}, {"key": "doctor", "multiplier": "1.25"}],
    "injection_band": [
        {"points_up_to": 50, "multiplier": "0.9"}, {"points_up_to": 100, "multiplier": "1"},
        {"points_up_to": 200, "multiplier": "1.5"},
    ],
    "package": [{"sessions": 2, "multiplier": "0.9"}, {"sessions": 3, "multiplier": "0.8"}],
    "estimate_range_percent": {"low": -10, "high": 15},
}  # fmt: skip


def priced(points: int, *sessions: str) -> Context:
    rows = [
        {"number": number, "syringes": [{"lines": [{"ingredient": "a", "volume_ml": volume}]}] if volume else []}
        for number, volume in enumerate(sessions, start=1)
    ]
    return second(
        course={"cost_model": COST}, points=points, things=things(thing("a")),
        policy=SimpleNamespace(region="town", provider="doctor", price_per_unit=Decimal("2"), currency="EUR"),
        answer={"course": {"sessions": len(sessions)}, "sessions": rows, "syringes": []},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("points", "sessions", "each", "total"),
    [
        (100, ("",), [225], 225),  # 2 × 100 × 0.9 × 1.25
        (101, ("",), ["337.5"], "337.5"),
        (200, ("",), ["337.5"], "337.5"),
        (201, ("",), ["337.5"], "337.5"),  # the last band has no end
        (100, ("1",), [241], 241),  # 2 × 4 × 1 × 2 more
        (100, ("1", "0.5"), [241, 233], "426.6"),
        (100, ("1", "0.5", ""), [241, 233, 225], "559.2"),
        (100, ("", "", "", ""), [225, 225, 225, 225], 900),
    ],
)
def test_price_of_a_course(points: int, sessions: tuple[str, ...], each: list[Any], total: Any) -> None:
    made = priced(points, *sessions)
    assert price_of(made, planned_lines(made)) == ([Fraction(one) for one in each], Fraction(total))


def test_price_says_how_it_is_made_up() -> None:
    made = priced(101, "1", "0.5")
    lines = [("base", "200"), ("region", "180"), ("provider", "225"), ("injections", "337.5"), ("ingredients", "16"),
             ("ingredients", "8"), ("package", "629.1")]  # fmt: skip
    said = {
        "currency": "EUR", "per_session": "353.5", "sessions": ["353.5", "345.5"], "total": "629.10", "low": "566.19",
        "high": "723.47",  # 723.465, halves up
        "lines": [{"item": item, "amount": amount} for item, amount in lines],
    }  # fmt: skip
    for points in (101, 201):  # the last band has no end
        made = priced(points, "1", "0.5")
        check_cost(put(made, answer={**made.answer, "cost": said}))
        assert made.found == []
    wrong = {**said, "high": "723.46", "low": "566.18", "sessions": ["353.5"], "per_session": "345.5"}
    check_cost(put(made, answer={**made.answer, "cost": wrong}))
    assert [row.path for row in made.found] == ["cost.per_session", "cost.sessions", "cost.low", "cost.high"]


# ---------------------------------------------------------------------- area and volume
@pytest.mark.parametrize(
    ("zones", "area", "target", "points"),
    [
        ([("30", True)], "30", "1", "30"),
        ([("40", True)], "40", "1", "40"),
        ([("41", True)], "41", "1.025", "41"),
        ([("99", False)], "50", "1.25", "50"),  # not measured: the area of the vocabulary
        ([("99", True), ("99", False)], "149", "3.725", "149"),
        ([("200", True)], "200", "5", "200"),
        ([("201", True)], "201", "5.025", "201"),  # half a point, rounded up
        ([("202", True)], "202", "5.05", "201"),
        ([("320", True)], "320", "7.5", "260"),
        ([("100.4", True)], "100.4", "2.51", "100"),
        ([("100.5", True)], "100.5", "2.5125", "101"),
    ],
)
def test_area_target_and_points(zones: list[tuple[str, bool]], area: str, target: str, points: str) -> None:
    bands = [
        {"area_cm2_from": 0, "area_cm2_up_to": 200, "area_per_point_cm2": 1},
        {"area_cm2_from": 200, "area_cm2_up_to": 900, "area_per_point_cm2": 2},
    ]
    treated = [SimpleNamespace(zone="top", area_cm2=Decimal(size), measured=measured) for size, measured in zones]
    made = second(
        documents={"vocabulary": {"zones": {"zones": [{"key": "top", "area_cm2": 50}]}}},
        case=SimpleNamespace(zones=treated),
        needle={
            "target_volume": {"per_cm2": "0.025", "min": 1, "max": "8"}, "spacing_rule": bands,
            "max_total_volume_per_session": {"value": "7.5"}, "draw_step": {"value": "0.05"},
        },
        answer={
            "area_cm2": area, "target_volume_ml": target,
            "zones": [{"zone": "top", "area_cm2": size} for size, _ in zones],
        },
    )  # fmt: skip
    put(made, area=area_of(made))
    check_area(put(made, target=target_of(made)))
    assert made.found == []
    assert (made.area, made.target, points_of(made)) == (Fraction(area), Fraction(target), Fraction(points))


def test_sessions_with_too_little_or_nothing_are_said() -> None:
    def found(first: list[str], later: dict[int, list[str]], low: list[int], empty: list[int]) -> list[str]:
        rows = (("volume_below_minimum", low), ("session_without_mixture", empty), ("other", [9]))
        made = second(
            points=Fraction(100), needle={"volume_per_point": {"min": "0.02"}},
            answer={
                "course": {"sessions": 3},
                "syringes": [{"volume_ml": volume} for volume in first],
                "sessions": [
                    {"number": n, "syringes": [{"volume_ml": volume} for volume in held]} for n, held in later.items()
                ],
                "cautions": [{"rule": rule, "params": {"sessions": said}} for rule, said in rows if said],
            },
        )  # fmt: skip
        check_low_volume(made)
        return [row.path for row in made.found]

    assert found(["1", "1"], {}, [], []) == []
    assert found(["1", "0.95"], {}, [1, 2, 3], []) == []
    assert found(["1", "0.95"], {2: ["3"]}, [1, 3], []) == []
    assert found(["2"], {2: [], 3: ["1"]}, [3], [2]) == []
    assert found(["2"], {3: []}, [], [3]) == []
    assert found([], {}, [], []) == []  # no mixture at all
    assert found(["2"], {3: []}, [3], []) == ["cautions.volume_below_minimum", "cautions.session_without_mixture"]


def amounts(*lines: tuple[str, str, str], target: str = "4", budget: Any = None) -> list[str]:
    rows = [{"ingredient": key, "volume_ml": volume, "dose": dose, "dose_unit": "mg"} for key, volume, dose in lines]
    per_session = {
        **thing("w")["per_session"],
        "volume": {"min": "0", "usual": "1", "max": "9"},
        "max_dose": {"value": "90"},
    }
    made = second(
        things=things(thing("a"), thing("w", role="diluent", per_session=per_session)), stock=None, step=STEP,
        target=Fraction(target), policy=SimpleNamespace(ingredient_budget=budget),
        mixing={"top_up_diluents": ["w"], "max_diluent_share_of_syringe": "0.75"},
        course={"cost_model": {"ingredient_unit_value": 4}},
    )  # fmt: skip
    check_amounts(made, "s", rows)
    return codes(made)


def test_amounts_of_an_alternative_at_each_limit() -> None:
    assert amounts(("a", "1", "10")) == []
    assert amounts(("a", "0.5", "5")) == amounts(("a", "1.5", "15")) == []
    assert amounts(("a", "0.45", "4.5")) == amounts(("a", "1.55", "15.5")) == ["outside_its_range"]
    assert amounts(("a", "1.02", "10.2")) == ["not_drawable"]
    assert amounts(("w", "0", "0"), ("a", "1", "10")) == ["not_drawable"]
    assert amounts(("a", "1", "10.1")) == ["differs"]
    assert amounts(("a", "1", "10"), ("w", "3", "30")) == []
    assert amounts(("a", "1", "10"), ("w", "3.05", "30.5"), target="9") == ["diluted_too_far"]
    assert amounts(("a", "1.05", "10.5"), ("w", "3", "30")) == ["above_target"]
    assert amounts(("a", "1", "10"), ("w", "1", "10"), budget=8) == []  # the diluent is not counted
    assert amounts(("a", "1.05", "10.5"), budget=8) == ["over_budget"]


# ---------------------------------------------------------------------- a syringe and its lines
TRIAL = {"strength": 3, "evidence_grade": "A", "direction": "supports", "source_ids": ["trial"]}
WEB = {"strength": 1, "evidence_grade": "A", "direction": "untested", "source_ids": ["trial", "article"]}
SALINE = thing(
    "w", role="diluent", **{"class": "water"}, relative_cost_per_ml="100",
    stock={"concentration": "9", "concentration_unit": "mg/mL"},
    per_session={"volume": {"min": "0", "usual": "1", "max": "9"}, "dose": {"unit": "mg"}, "max_dose": {"value": "81"}},
)  # fmt: skip


def syringes(**own: Any) -> Context:
    """Ingredients a to f and the diluent w; a and b serve the concern x."""
    claims = {"a": [{"concern": "x", **TRIAL}, {"concern": "y", **TRIAL}], "b": [{"concern": "x", **WEB}]}
    policy = SimpleNamespace(
        **{**vars(NOBODY), "direction_weight": {"supports": 1, "untested": 1}, **own.pop("policy", {})}
    )
    sources = {"sources": [{"id": "trial", "kind": "paper"}, {"id": "article", "kind": "web_article"}]}
    base: dict[str, Any] = {
        "things": things(*(thing(k, concerns=claims.get(k, [{"concern": "x", **TRIAL}])) for k in "abcdef"), SALINE),
        "active": set("abcdefw"), "excluded": set(), "severity": {"x": "mild"}, "stock": None, "step": STEP,
        "target": Fraction(6), "documents": {"sources": sources}, "answer": {"edits": []},
        "needle": {"max_total_volume_per_session": {"value": "5"}, "syringe": {"volumes": ["1", "2.5"]}},
        "mixing": {
            "max_active_ingredients_per_syringe": 3, "max_diluent_share_of_syringe": "0.75", "top_up_diluents": ["w"],
            "same_family_limit": [],
        },
        "course": {"cost_model": {"ingredient_unit_value": 4}},
    }  # fmt: skip
    pairs = own.pop("pairs", ())
    return paired(*pairs, **{**base, "policy": policy, **own})


def decimal(value: Fraction) -> str:
    return format(Decimal(value.numerator) / Decimal(value.denominator), "f")


def syringe(label: str = "A", **volumes: str) -> dict[str, Any]:
    """A right syringe of these, each number said as it is."""
    total = sum(map(Fraction, volumes.values()), Fraction(0))
    lines = []
    for key, volume in volumes.items():
        water = key == "w"
        strength = 9 if water else 10
        claim = {**(WEB if key == "b" else TRIAL), "concern": "x", "web_article_only": key == "b"}
        lines.append(
            {
                "ingredient": key, "role": "diluent" if water else "active", "name": key.title(), "dose_unit": "mg",
                "concentration_unit": "mg/mL", "prescription_only": False, "volume_ml": volume,
                "stock_concentration": str(strength), "dose": decimal(strength * Fraction(volume)),
                "max_dose": "81" if water else "15",
                "final_concentration": decimal(four_digits(strength * Fraction(volume) / total)),
                "volume_min_ml": "0" if water else "0.5", "volume_usual_ml": "1",
                "volume_max_ml": "9" if water else "1.5", "marginal_value": None, "set_by_hand": False,
                "addresses": [] if water else [{**claim, "sources": claim["source_ids"]}],
            }
        )  # fmt: skip
    count = max(1, -(-total // Fraction(5, 2)))
    return {
        "label": label, "lines": lines, "volume_ml": decimal(total), "ph_min": "5", "ph_max": "7",
        "diluent_share": decimal(four_digits(Fraction(volumes.get("w", "0")) / total)), "use_immediately": [],
        "drawn_as": {"count": int(count), "each_ml": decimal(total / count)},
    }  # fmt: skip


def told(made: Context, row: dict[str, Any]) -> list[str]:
    check_syringe(made, "s", row)
    return [f"{each.path} {each.code}" for each in made.found]


def test_a_right_syringe_is_right() -> None:
    for volumes in ({"a": "1"}, {"a": "0.5", "b": "1.5"}, {"a": "1", "w": "3"}, {"a": "1", "b": "1", "c": "0.5"}):
        made = syringes()
        assert (check_syringe(made, "s", syringe(**volumes)), made.found) == (sum(map(Fraction, volumes.values())), [])


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"volume_ml": "1.05"}, ["s.volume_ml differs"]),
        ({"diluent_share": "0.1"}, ["s.diluent_share differs"]),
        ({"ph_min": "4"}, ["s.ph_min differs"]),
        ({"ph_max": "8"}, ["s.ph_max differs"]),
        ({"use_immediately": [{"pair": "p", "ingredients": ["b", "a"]}]}, ["s.use_immediately differs"]),
        ({"drawn_as": {"count": 2, "each_ml": "2"}}, ["s.drawn_as.count differs"]),
        ({"drawn_as": {"count": 1, "each_ml": "1"}}, ["s.drawn_as.each_ml differs"]),
    ],
)
def test_each_figure_of_a_syringe_is_checked(changes: dict[str, Any], found: list[str]) -> None:
    assert told(syringes(), {**syringe(a="1", b="1"), **changes}) == found


@pytest.mark.parametrize(
    ("volumes", "changes", "found"),
    [
        ({"a": "1", "b": "1", "c": "1", "d": "1"}, {}, ["s too_many_in_a_syringe"]),
        ({"w": "1"}, {}, ["s too_many_in_a_syringe", "s diluted_too_far"]),
        ({"a": "1", "w": "3.05"}, {}, ["s diluted_too_far"]),
        ({"a": "1", "b": "1"}, {"pairs": [("a", "b", "never_mix")]}, ["s forbidden_in_one_syringe"]),
        ({"b": "1", "a": "1"}, {"pairs": [("b", "a", "separate_syringe")]}, ["s forbidden_in_one_syringe"]),
        ({"b": "1", "a": "1"}, {"pairs": [("b", "a", "use_immediately")]}, ["s.use_immediately differs"]),
        ({"a": "1", "b": "1"}, {"pairs": [("a", "c", "never_mix")]}, []),
        ({"a": "1.5", "b": "1"}, {}, []),  # 2.5 mL in one
        ({"a": "1.5", "b": "1.05"}, {}, []),  # and two of 1.275 mL
        ({"a": "0.45"}, {}, ["s.a below_minimum"]),
        ({"a": "1.55"}, {}, ["s.a above_maximum", "s.a above_maximum_dose"]),
        ({"a": "1.02"}, {}, ["s.a not_drawable"]),
        ({"a": "1", "w": "0"}, {}, ["s.w not_drawable"]),
        ({"a": "1"}, {"active": set("b")}, ["s.a not_active"]),
        ({"a": "1"}, {"excluded": set("a")}, ["s.a screened_out"]),
        ({"a": "1"}, {"policy": {"avoid": ("a",)}}, ["s.a against_preference"]),
        ({"a": "1"}, {"severity": {"z": "mild"}}, ["s.a.addresses differs", "s.a serves_no_concern"]),
        ({"a": "1"}, {"policy": {"grade_weight": {"A": 0}}}, ["s.a.addresses differs", "s.a serves_no_concern"]),
        ({"a": "1"}, {"severity": {"x": "mild", "y": "mild"}}, ["s.a.addresses differs"]),
        ({"a": "1"}, {"answer": {"edits": [{"op": "set_volume", "ingredient": "a"}]}}, ["s.a.set_by_hand differs"]),
        ({"a": "1"}, {"answer": {"edits": [{"op": "set_volume", "ingredient": "b"}]}}, []),
        ({"a": "1"}, {"answer": {"edits": [{"op": "remove", "ingredient": "a"}]}}, []),
    ],
)
def test_each_limit_of_a_syringe(volumes: dict[str, str], changes: dict[str, Any], found: list[str]) -> None:
    assert told(syringes(**changes), syringe(**volumes)) == found


def test_windows_of_ph_meet_in_one_syringe() -> None:
    def found(*windows: tuple[str, str], **said: str) -> list[str]:
        made = syringes()
        for key, (low, high) in zip("ab", windows, strict=True):
            made.things[key]["solution"] |= {"ph_min": low, "ph_max": high}
        return told(made, {**syringe(a="1", b="1"), **said})

    assert found(("4", "6"), ("5", "7"), ph_min="5", ph_max="6") == []
    assert found(("4", "5"), ("5", "7"), ph_min="5", ph_max="5") == []
    assert found(("4", "5"), ("6", "7"), ph_min="6", ph_max="5") == ["s no_common_ph"]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("role", "carrier", ["role differs"]),
        ("name", "Z", ["name differs"]),
        ("dose_unit", "g", ["dose_unit differs", "unit mixed_units"]),
        ("concentration_unit", "g/mL", ["concentration_unit differs", "unit mixed_units"]),
        ("prescription_only", True, ["prescription_only differs"]),
        ("stock_concentration", "9", ["stock_concentration differs"]),
        ("dose", "10.01", ["dose differs"]),
        ("max_dose", "16", ["max_dose differs"]),
        ("final_concentration", "5.001", ["final_concentration differs"]),
        ("volume_min_ml", "0.45", ["volume_min_ml differs"]),
        ("volume_usual_ml", "0.95", ["volume_usual_ml differs"]),
        ("volume_max_ml", "1.55", ["volume_max_ml differs"]),
        ("set_by_hand", True, ["set_by_hand differs"]),
        ("addresses", [], ["addresses differs"]),
    ],
)
def test_each_figure_of_a_line_is_checked(name: str, value: Any, found: list[str]) -> None:
    row = syringe(a="1", b="1")
    row["lines"][0][name] = value
    assert told(syringes(), row) == [f"s.a.{each}" for each in found]


@pytest.mark.parametrize("name", ["strength", "evidence_grade", "direction", "sources", "web_article_only"])
def test_each_part_of_a_claim_is_checked(name: str) -> None:
    row = syringe(a="1", b="1")
    for line in row["lines"]:
        line["addresses"][0][name] = ["?"]
    assert told(syringes(), row) == [f"s.{key}.addresses.x.{name} differs" for key in "ab"]
    row["lines"][0]["addresses"][0]["concern"] = "z"
    assert told(syringes(), row) == ["s.a.addresses differs", f"s.b.addresses.x.{name} differs"]


def test_a_claim_is_of_the_web_article_alone_where_it_is_untested() -> None:
    for direction, sources, alone in (
        ("untested", ["article"], True), ("untested", ["trial"], False), ("supports", ["article"], False),
    ):  # fmt: skip
        made = syringes()
        made.things["b"]["concerns"] = [{**WEB, "concern": "x", "direction": direction, "source_ids": sources}]
        row = syringe(b="1")
        row["lines"][0]["addresses"][0] |= {
            "direction": direction, "sources": sources, "web_article_only": alone,
        }  # fmt: skip
        assert told(made, row) == []


def test_a_diluent_has_no_value_of_its_own_and_a_prescription_needs_leave() -> None:
    row = syringe(a="1", w="1")
    row["lines"][1]["marginal_value"] = "1"
    assert told(syringes(), row) == ["s.w.marginal_value differs"]
    row = syringe(a="1")
    row["lines"][0]["prescription_only"] = True
    for allowed, found in ((True, []), (False, ["s.a prescription_not_allowed"])):
        made = syringes(policy={"allow_prescription": allowed})
        assert told(made, syringe(a="1")) == []
        made.things["a"]["regulatory"] = {"prescription_only": True}
        assert told(made, row) == found


# ---------------------------------------------------------------------- a session
def session(*rows: dict[str, str], **own: Any) -> list[str]:
    made = syringes(**own)
    check_session(made, "s", [syringe("ABCD"[place], **volumes) for place, volumes in enumerate(rows)])
    return codes(made)


def test_limits_of_a_session() -> None:
    one, two = {"a": "1"}, {"b": "1"}
    apart = [("a", "b", "never_mix")]
    assert session(one) == session({"a": "1", "b": "1", "c": "1"}) == session() == []
    assert session(one, two) == ["not_the_fewest_syringes"]
    assert session(one, two, pairs=apart) == []
    assert session(one, one) == ["ingredient_twice", "not_the_fewest_syringes"]
    assert session({"a": "1", "b": "1", "c": "1"}, {"d": "1"}) == ["too_many_actives"]
    assert session(one, {"b": "1", "c": "1"}, {"d": "1"}, policy={"max_actives": 4}) == [
        "too_many_syringes", "not_the_fewest_syringes",
    ]  # fmt: skip
    assert session(one, two, pairs=apart, target=Fraction(2)) == []
    assert session(one, two, pairs=apart, target=Fraction("1.99")) == ["above_target"]
    assert session({"a": "1.25", "w": "3.75"}) == []
    assert session({"a": "1.5", "w": "3.6"}) == ["above_ceiling"]
    assert session({"a": "1", "w": "1"}, {"b": "1", "w": "1"}, pairs=apart, stock={"a": "1", "b": "1", "w": "2"}) == (
        ["differs"] * 4  # what could be drawn at most, and usually
    )
    assert "too_much_diluent" in session(
        {"a": "1", "w": "1"}, {"b": "1", "w": "1"}, pairs=apart, stock={"a": "1", "b": "1", "w": "1.99"}
    )
    dry = {**syringes().mixing, "top_up_diluents": []}
    assert session({"a": "1", "w": "1"}, mixing=dry) == ["not_for_topping_up"]
    assert session(one, mixing=dry) == []


def test_what_was_found_of_a_diluent_is_told() -> None:
    made = syringes(stock={"w": "3.05", "a": "9"})
    check_session(made, "s", [syringe("A", a="1", w="3.5")])
    assert [(row.code, row.expected, row.found) for row in made.found if row.code.startswith(("dil", "too"))] == [
        ("diluted_too_far", "3/4", "7/9"), ("too_much_diluent", "61/20", "7/2"),
    ]  # fmt: skip


def test_labels_of_a_session() -> None:
    made = syringes(pairs=[("a", "b", "never_mix")])
    check_session(made, "s", [syringe("B", a="1"), syringe("A", b="1")])
    assert [row.path for row in made.found] == ["s.labels"]


def test_pairs_families_and_the_budget_of_a_session() -> None:
    for severity, scope, found in (
        ("never_mix", "session", ["forbidden_in_one_session"]), ("use_immediately", "session", []),
        ("never_mix", "syringe", []),
    ):  # fmt: skip
        rows = [
            {"key": "p", "a": "a", "b": "b", "severity": severity, "scope": scope},
            {"key": "q", "a": "a", "b": "b", "severity": "never_mix", "scope": "syringe"},
        ]
        made = syringes()
        made.documents["screening"]["incompatibilities"] = rows
        check_session(made, "s", [syringe("A", a="1"), syringe("B", b="1")])
        assert codes(made) == found
    together = {"a": "1", "b": "1"}

    def families(*rows: dict[str, Any]) -> dict[str, Any]:
        return {**syringes().mixing, "same_family_limit": list(rows)}

    assert session(together, mixing=families({"ingredients": ["a", "b", "c"], "max": 2})) == []
    assert session(together, mixing=families({"ingredients": ["a", "b"], "max": 1})) == ["too_many_of_a_family"]
    assert session(together, mixing=families({"classes": ["vitamin"], "max": 1})) == ["too_many_of_a_family"]
    assert session(together, mixing=families({"classes": ["drug"], "ingredients": ["a"], "max": 1})) == []
    assert session({**together, "w": "1"}, policy={"ingredient_budget": Decimal(16)}) == []  # 4 × 2 × 2, no diluent
    assert session({**together, "w": "1"}, policy={"ingredient_budget": Decimal("15.9")}) == ["over_budget"]


def whole(first: dict[str, str], edits: list[dict[str, Any]], **said: Any) -> list[str]:
    """An answer of two sessions, the second like the first where it is not said otherwise."""
    rows = [syringe("A", **first)]
    answer = {
        "syringes": rows, "sessions": [], "edits": edits, "total_volume_ml": rows[0]["volume_ml"], "cautions": [],
        "course": {"sessions": 2}, **said,
    }  # fmt: skip
    made = syringes(answer=answer, points=Fraction(50), target=Fraction(2))
    put(made, needle={**made.needle, "volume_per_point": {"min": "0.02"}})
    check_mixture(made)
    return [f"{row.path} {row.code}" for row in made.found]


def test_a_mixture_as_a_whole() -> None:
    right, add = {"a": "1", "b": "1"}, {"op": "add", "ingredient": "c"}
    assert whole(right, []) == whole({"a": "1", "w": "1"}, []) == []
    assert whole(right, [], total_volume_ml="1") == ["total_volume_ml differs"]
    assert whole(right, [add]) == ["edits.add edit_not_carried_out"]
    assert whole({"a": "1"}, []) == ["syringes short_without_need"]
    assert whole({"a": "1"}, [{"op": "add", "ingredient": "a"}]) == []  # by hand it may be so
    assert whole({"a": "0.9"}, [{"op": "add", "ingredient": "a"}]) == ["cautions.volume_below_minimum differs"]
    assert whole(right, [], sessions=[{"number": 2, "syringes": [syringe("B", a="1")]}]) == [
        "sessions.2.labels differs"
    ]


def test_why_each_is_left_out_and_at_what_it_could_be_drawn() -> None:
    def found(reason: str, key: str = "b", version: str = "1.1", **ranges: str) -> list[str]:
        row = {"ingredient": key, "reason_code": reason, "range": ranges or None}
        made = choosing(
            excluded={"c"}, active={"a", "b", "c"},
            answer={
                "left_out": [row, {"ingredient": "c" if key == "b" else "b", "reason_code": "screened", "range": None}],
                "engine_version": version, "syringes": [{"lines": [{"ingredient": "a"}]}], "sessions": [],
            },
        )  # fmt: skip
        check_left_out(made)
        return [f"{each.path} {each.code}" for each in made.found]

    drawn = {"volume_min_ml": "0.5", "volume_usual_ml": "1", "volume_max_ml": "1.50"}
    assert found("adds_too_little", **drawn) == []
    assert found("screened", **drawn) == ["left_out.b wrong_reason"]
    assert found("adds_too_little") == ["left_out.b.range differs"]
    assert found("adds_too_little", **{**drawn, "volume_usual_ml": "1.05"}) == ["left_out.b.range differs"]
    assert found("adds_too_little", version="1.0") == []
    assert found("screened", key="d", **drawn) == [
        "left_out differs", "left_out.d wrong_reason", "left_out.d.range differs", "left_out.b wrong_reason",
        "left_out.b.range differs",
    ]  # fmt: skip


def test_values_are_worked_out_again() -> None:
    def found(keys: str = "ac", version: str = "1.0", **said: str) -> list[str]:
        figures = {"value": "11", "a": "5.5", "b": "2.5", "other": "12", "less": "1", "cost": "-2.5", **said}
        rows = [
            {"ingredient": key, "role": "diluent" if key == "w" else "active", "marginal_value": figures.get(key)}
            for key in "abw"
        ]
        row = {"ingredients": list(keys), "value": figures["other"], "value_difference": figures["less"]}
        answer = {
            "syringes": [{"lines": rows}], "sessions": [{"number": 2, "syringes": [{"lines": rows[:1]}]}],
            "value": figures["value"], "value_cost": figures["cost"], "alternatives": [row], "engine_version": version,
        }  # fmt: skip
        made = choosing(answer=answer, rules={})
        seen: list[str] = []
        with instead(alternatives, check_alternative=lambda context, path, row: seen.append(path)):
            check_value(made, set("a"))
        assert seen == ([] if version == "1.0" else ["alternatives[0]"])
        return [f"{each.path} {each.code}" for each in made.found]

    assert found() == found(version="1.1") == []  # 3 × (3 + 2/2) - 2 × 0.5; for c 3 × (3 + 2/2) + 1 - 2 × 0.5
    assert found(value="11.1") == ["value differs"]
    assert found(a="5") == ["a.marginal_value differs"] * 2  # in each session
    assert found(b="5") == ["b.marginal_value differs"]
    assert found(other="11") == ["alternatives[0].value differs"]
    assert found(less="-1") == ["alternatives[0].value_difference differs"]
    assert found(cost="2.5") == ["value_cost differs"]
    assert found("a", other="8.5", less="-2.5") == []
    assert found("ad", other="8", less="-3") == ["alternatives[0] screened_out"]
    assert found("abc", other="11", less="0") == []  # 3 × (3 + 2/2 + 2/4) + 1 - 1.5 - 2 for a syringe more
    assert found("abca", other="12.75", less="1.75") == [
        "alternatives[0] breaks_a_limit"
    ]  # 3 × (3 + 3/2 + 2/4 + 2/8) + 1 - 2 - 2


def coursed(days: Sequence[int], **said: Any) -> list[str]:
    return [f"{row.path.removeprefix('course.')} {row.code}" for row in course_of(days, **said)]


def course_of(days: Sequence[int], area: int = 250, volume: str = "6", **said: Any) -> list[Discrepancy]:
    """What is found about a course of three sessions; what is not said otherwise is right."""
    made = second(
        severity={"x": "mild"}, area=Fraction(area), points=Fraction(200), needle={"volume_per_point": {"max": "0.05"}},
        course={
            "sessions": {
                "absolute_max_sessions_per_course": 4,
                "interval_limits": {"absolute_min": {"value": said.pop("least", 14)}},
                "by_severity": [
                    {"severity": "severe"},
                    {**BAND, "sessions": {"min": 2, "max": said.pop("most", 3)}, "span": {"min": 50, "max": 69}},
                ],
            },
            "session_duration": {
                "min": 10, "max": 30, "appointment_minutes_extra": {"value": 20},
                "calculation": {"base_minutes": 10, "from_cm2": 100, "cm2_per_minute": 25},
            },
        },
    )  # fmt: skip
    right: dict[str, Any] = {
        "sessions": len(days), "schedule": "slow", "offsets_days": list(days), "span_days": days[-1] if days else 0,
        "sessions_min": 2, "sessions_max": 3, "span_min_days": 50, "span_max_days": 69, "min_gap_days": 21,
        "ideal_gap_days": 28, "max_gap_days": 35, "duration_minutes": 16, "appointment_minutes": 36,
        "appointment_minutes_extra": 20, "points": 200, "volume_per_point_ml": "0.03",
    }  # fmt: skip
    asked = said.pop("asked", list(days))
    put(made, answer={"course": {**right, **said}, "total_volume_ml": volume})
    names, asked_of = ["check_own_intervals", "check_windows", "check_method", "check_checkpoints"], list[str]()
    parts = {name: lambda *rest, name=name: asked_of.append(name) for name in names}
    with instead(course, schedule_asked_for=lambda context, band: ("slow", asked), **parts):
        check_course(made)
    assert asked_of == names
    return made.found


def test_a_course_at_each_of_its_limits() -> None:
    assert coursed([0, 28, 56]) == coursed([0, 21, 50]) == coursed([0, 35, 69]) == []
    assert coursed([0, 20, 50]) == ["gap[1] interval_outside_rule"]
    assert coursed([0, 20, 40]) == [
        "gap[1] interval_outside_rule", "gap[2] interval_outside_rule", "span_days span_outside_rule",
    ]  # fmt: skip
    assert coursed([0, 30, 66]) == ["gap[2] interval_outside_rule"]
    assert coursed([0, 25, 49]) == coursed([0, 35, 70]) == ["span_days span_outside_rule"]
    assert coursed([1, 29, 57]) == ["offsets_days[0] differs"]
    assert coursed([0, 21, 50], least=22, min_gap_days=22) == ["gap[1] interval_outside_rule"]
    assert coursed([0, 22, 50], least=22, min_gap_days=22) == []
    assert coursed([0]) == ["sessions sessions_outside_rule", "span_days span_outside_rule"]
    assert coursed([0, 35]) == ["span_days span_outside_rule"]
    assert coursed([0, 21, 42, 63]) == ["sessions sessions_outside_rule"]
    assert coursed([0, 21, 42, 63], most=4, sessions_max=4) == []
    assert coursed([0, 21, 42, 63, 84], most=5, sessions_max=5) == [
        "sessions too_many_sessions", "span_days span_outside_rule",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"asked": [0, 28, 57]}, ["offsets_days not_as_asked"]),
        ({"asked": [0, 28]}, ["sessions not_as_asked", "offsets_days not_as_asked"]),
        ({"sessions": 2}, ["sessions not_as_asked", "sessions differs"]),
        ({"schedule": "quick"}, ["schedule not_as_asked"]),
        ({"span_days": 55}, ["span_days differs"]),
        ({"duration_minutes": 17}, ["duration_minutes differs"]),
        ({"area": 251, "duration_minutes": 17, "appointment_minutes": 37}, []),  # each minute that is begun
        ({"area": 99, "duration_minutes": 10, "appointment_minutes": 30}, []),
        ({"area": 601, "duration_minutes": 30, "appointment_minutes": 50}, []),
        ({"points": 201}, ["points differs"]),
        ({"volume_per_point_ml": "0.0301"}, ["volume_per_point_ml differs"]),
        ({"volume": "10", "volume_per_point_ml": "0.05"}, []),
        ({"volume": "10.05", "volume_per_point_ml": "0.05025"}, ["points too_much_per_point"]),
        *(
            ({name: 1}, [f"{name} differs"])
            for name in (
                "sessions_min", "sessions_max", "span_min_days", "span_max_days", "min_gap_days", "ideal_gap_days",
                "max_gap_days", "appointment_minutes", "appointment_minutes_extra",
            )
        ),
    ],
)  # fmt: skip
def test_each_figure_of_a_course_is_checked(said: dict[str, Any], found: list[str]) -> None:
    assert coursed([0, 28, 56], **said) == found


def test_what_was_found_of_a_course_is_told() -> None:
    rows = course_of([0, 10, 40, 45, 49])
    assert [(row.code, row.found) for row in rows] == [
        ("too_many_sessions", 5), ("sessions_outside_rule", 5),
        *(("interval_outside_rule", days) for days in (10, 5, 4)), ("span_outside_rule", 49),
    ]  # fmt: skip


def test_technique_by_concern_or_ingredient() -> None:
    methods = [
        {"key": "usual", "default": True, "depth": {"min": "2", "max": "4"}, "angle_degrees": {"min": 30, "max": 90}},
        {"key": "flat", "choose_when": {"concerns": ["x"], "ingredients": ["c"]}, "depth": {"min": "1", "max": "2"},
         "angle_degrees": {"min": 30, "max": 60}},
        {"key": "later", "choose_when": {"concerns": ["x"], "ingredients": ["c"]}},
    ]  # fmt: skip

    def found(said: str, held: str, concern: str, **depth: str) -> list[str]:
        answer = {"syringes": [{"lines": [{"ingredient": key} for key in held]}]}
        made = second(needle={"methods": methods}, severity={concern: "mild"}, answer=answer)
        usual = {"min": "2", "max": "4"} if said == "usual" else {"min": "1", "max": "2"}
        angle = {"min": 30, "max": 90 if said == "usual" else 60}
        check_method(made, {"technique": said, "depth_mm": {**usual, **depth}, "angle_degrees": angle})
        return [row.path.removeprefix("course.") for row in made.found]

    flat = ["technique", "depth_mm.min", "depth_mm.max", "angle_degrees.max"]
    assert found("usual", "a", "y") == []
    assert found("usual", "c", "y") == found("usual", "a", "x") == flat
    assert found("flat", "c", "y") == found("flat", "a", "x") == []
    assert found("usual", "a", "y", max="5") == ["depth_mm.max"]


def alternative(keys: str, *sessions: str, days: Sequence[int] = (0, 14, 28), **said: Any) -> list[str]:
    """What is found about an alternative of which session by session these are held, a millilitre each."""
    lines = [[{"ingredient": key, "volume_ml": "1", "role": "active"} for key in held] for held in sessions]
    row = {
        "ingredients": list(keys), "lines": lines[0],
        "sessions": [{"number": n, "lines": held} for n, held in enumerate(lines, start=1) if held != lines[0]],
        "cost_total": "100", "cost_difference": "10", "trades": [{"code": "dearer", "params": {"amount": "10"}}],
        **said,
    }  # fmt: skip
    own = thing("a")["per_session"]
    quick, slow = {**own, "min_interval_days": 5}, {**own, "min_interval_days": 20}
    made = second(
        things=things(thing("a", per_session=quick), thing("b", per_session=slow), thing("w", role="diluent")),
        answer={"course": {"offsets_days": list(days)}},
    )
    with instead(
        alternatives,
        check_amounts=lambda context, path, lines: None,
        planned_lines=lambda context: [["planned"]],
        price_of=lambda context, lines: ([], Fraction(90 if lines == [["planned"]] else 100)),
    ):
        check_alternative(made, "x", row)
    return [f"{each.path.removeprefix('x.')} {each.code}" for each in made.found]


def test_sessions_of_an_alternative() -> None:
    assert (
        alternative("a", "a", "a", "a") == alternative("ab", "ab", "a", "ab") == alternative("a", "aw", "a", "a") == []
    )
    assert alternative("ab", "a", "a", "a") == [
        "lines differs", *(f"session[{number}].b left_out_of_a_session" for number in (1, 2, 3)),
    ]  # fmt: skip
    assert alternative("ab", "ab", "ab", "ab") == [f"session[{n}].b own_interval_broken" for n in (2, 3)]
    assert alternative("ab", "ab", "a", "ab", days=(0, 14, 20)) == []
    assert alternative("ab", "ab", "a", "ab", days=(0, 14, 19)) == ["session[3].b own_interval_broken"]
    assert alternative("ab", "ab", "ab", "ab", days=(0, 20, 40)) == []
    assert alternative("ab", "ab", "a", "a", days=(0, 14, 20)) == ["session[3].b left_out_of_a_session"]
    assert alternative("a", "aa", "a", "a") == ["lines differs", "session[1] ingredient_twice"]
    assert alternative("a", "a", "aw", "a") == alternative("a", "aw", "aw", "a", days=(0, 14, 30)) == []


def test_price_of_an_alternative_and_how_it_is_told() -> None:
    def told_as(**said: Any) -> list[str]:
        return alternative("a", "a", "a", "a", **said)

    assert told_as(cost_total="100.01") == ["cost_total differs"]
    assert told_as(cost_difference="-10") == ["cost_difference differs", "trades differs"]
    assert told_as(trades=[]) == ["trades differs"]
    assert told_as(trades=[{"code": "cheaper", "params": {"amount": "10"}}]) == ["trades differs"]
    assert told_as(trades=[{"code": "dearer", "params": {"amount": "9"}}]) == ["trades differs"]
    assert told_as(trades=[{"code": "loses", "params": {}}, {"code": "dearer", "params": {"amount": "10"}}]) == []
