"""Small tables for the second calculation: each of its parts alone, on a made-up formulary, each number by hand."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from protocols.engine.verify import Discrepancy, _cents, _four_digits, _fraction, _said, _Second

STEP = Fraction(1, 20)
NOBODY = SimpleNamespace(
    avoid=(), allow_prescription=True, max_actives=3, max_syringes=2, ingredient_budget=None,
    grade_weight={"A": Decimal(1), "B": Decimal("0.5"), "C": Decimal(0)}, direction_weight={"supports": Decimal(1)},
    severity_weight={"mild": Decimal(1), "moderate": Decimal(2), "severe": Decimal(3)},
    simplicity=Decimal("0.5"), caution=Decimal("0.25"), extra_syringe=Decimal(2),
)  # fmt: skip


def second(**own: Any) -> _Second:
    """The second calculation with only what a part of it reads."""
    made = _Second.__new__(_Second)
    made.found = []
    for name, value in own.items():
        setattr(made, name, value)
    return made


def codes(made: _Second) -> list[str]:
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
    assert _said(value) == said


@pytest.mark.parametrize("bad", [True, False, 1.0, 0.5])
def test_a_number_that_is_not_exact_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="no exact number"):
        _fraction(bad)
    assert [_fraction(good) for good in ("0.05", 3, Decimal("1.5"))] == [Fraction(1, 20), 3, Fraction(3, 2)]


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        ("0", "0"), ("1", "1"), ("1000", "1000"), ("9999", "9999"), ("10000", "10000"), ("10004", "10000"),
        ("10005", "10010"), ("99994", "99990"), ("99995", "100000"), ("1.2345", "1.235"), ("1.23449", "1.234"),
        ("0.99995", "1"), ("0.99994", "0.9999"), ("0.00012345", "0.0001235"), ("123450000", "123500000"),
        ("999.95", "1000"), ("999.94", "999.9"), ("100000", "100000"), ("0.1", "0.1"), ("0.01", "0.01"),
    ],
)  # fmt: skip
def test_four_significant_digits_halves_up(value: str, rounded: str) -> None:
    assert _four_digits(Fraction(value)) == Fraction(rounded)


@pytest.mark.parametrize(
    ("value", "cents"),
    [("0", "0"), ("1.004", "1"), ("1.005", "1.01"), ("1.0149", "1.01"), ("2", "2"), ("0.01", "0.01")],
)
def test_cents_halves_up(value: str, cents: str) -> None:
    assert _cents(Fraction(value)) == Fraction(cents)


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
        assert [second(facts=each, shapes=SHAPES)._leaf(test) for each in facts] == [below, at, above, unanswered]


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
    assert [second(facts=each, shapes=SHAPES)._leaf(test) for each in facts] == verdicts


def test_parts_of_a_trigger_are_joined() -> None:
    def true(trigger: dict[str, Any]) -> bool:
        return second()._true(trigger, lambda leaf: bool(leaf["is"]))

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
    assert (made._applies("lactating"), made._possible_leaf(test)) == (applies, applies)
    assert made._deciding(test) == ({"lactating"} if applies else set())
    assert made._applies("age")


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
        assert second(facts=facts, shapes=SHAPES)._deciding(trigger) == asked, (trigger, facts)


def test_a_rule_is_aimed_by_its_scope() -> None:
    all_things = things(
        thing("a", **{"class": "drug"}, regulatory={"prescription_only": True}),
        thing("b", flags={"allergens": ["fish"], "animal": True}),
        thing("c", flags={"allergens": []}),
    )
    made = second(things=all_things, facts={"allergy_ingredients": ("c", "a")})

    def aim(**scope: Any) -> set[str] | None:
        return made._aim({"applies_to": scope})

    assert aim(scope="plan") is None
    assert aim(scope="ingredients", keys=["a", "c"]) == {"a", "c"}
    assert aim(scope="class", classes=["drug"]) == {"a"}
    assert aim(scope="flag", flag="animal", equals=True) == {"b"}
    assert aim(scope="flag", flag="animal", equals=False) == {"a"}
    assert aim(scope="allergen", allergen="fish") == {"b"}
    assert aim(scope="prescription_only") == {"a"}
    assert aim(scope="listed_in_fact", fact="allergy_ingredients") == {"a", "c"}
    assert aim(scope="listed_in_fact", fact="unanswered") == set()


# ---------------------------------------------------------------------- volumes
def test_bounds_of_an_ingredient() -> None:
    all_things = things(thing("a"), thing("b", stock={"concentration": "5"}))
    whole = second(things=all_things, stock=None, step=STEP)
    assert (whole._bounds("a"), whole._bounds("b")) == ((Fraction(1, 2), Fraction(3, 2)), (Fraction(1, 2), 2))
    short = second(things=all_things, stock={"a": "0.99"}, step=STEP)
    assert (short._bounds("a"), short._bounds("b")) == ((Fraction(1, 2), Fraction(99, 100)), (Fraction(1, 2), 0))
    assert short._range("a") == {
        "volume_min_ml": Fraction(1, 2), "volume_usual_ml": Fraction(19, 20), "volume_max_ml": Fraction(19, 20),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("volume", "dose", "stock", "least", "usual", "most"),
    [
        (("0.5", "1", "2"), "20", None, "0.5", "1", "2"),
        (("0.52", "0.92", "1.98"), "20", None, "0.55", "0.9", "1.95"),  # inwards; the usual to the nearest step
        (("0.52", "0.925", "1.98"), "20", None, "0.55", "0.95", "1.95"),  # halves up
        (("0.52", "0.53", "2"), "20", None, "0.55", "0.55", "2"),  # not below the least that can be drawn
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
    assert made._usual("a") == Fraction(usual)
    assert made._range("a") == {
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
        return [key for key in ("a", "b", "water") if made._side(side, key)]

    assert sides("a") == ["a"]
    assert sides({"any_active": True}) == ["a", "b"]
    assert sides({"flag": "sulfite", "equals": True}) == ["a"]
    assert sides({"class": "drug"}) == ["a"]
    assert sides({"solvent": "oil"}) == ["b"]


def paired(*pairs: tuple[Any, Any, str], **own: Any) -> _Second:
    rows = [
        {"key": f"p{number}", "a": a, "b": b, "severity": severity, "scope": "syringe"}
        for number, (a, b, severity) in enumerate(pairs)
    ]
    own.setdefault("things", things(*(thing(key) for key in "abcdef")))
    own.setdefault("mixing", {"max_active_ingredients_per_syringe": 3})
    return second(documents={"screening": {"incompatibilities": rows}}, **own)


def test_a_pair_holds_in_either_order_and_of_both_sides() -> None:
    made = paired(("a", "b", "never_mix"), ("c", {"any_active": True}, "never_mix"))
    assert [pair["key"] for pair in made._pairs("a", "b")] == ["p0"]
    assert [pair["key"] for pair in made._pairs("b", "a")] == ["p0"]
    assert [pair["key"] for pair in made._pairs("a", "c")] == ["p1"]
    assert [pair["key"] for pair in made._pairs("c", "a")] == ["p1"]
    assert list(made._pairs("a", "d")) == list(made._pairs("d", "b")) == []


def test_which_ingredients_may_be_one_mixture() -> None:
    solutions = {"a": ("4", "5"), "b": ("5", "6"), "c": ("6", "7"), "d": ("1", "9"), "e": ("1", "9"), "f": ("1", "9")}
    made = paired(
        ("d", "e", "separate_syringe"), ("d", "f", "use_immediately"),
        things=things(*(thing(k, solution={"ph_min": low, "ph_max": high}) for k, (low, high) in solutions.items())),
    )  # fmt: skip
    verdicts = {keys: made._together(list(keys)) for keys in ("a", "ab", "bc", "ac", "de", "df", "bdf", "abdf", "bcef")}
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
    assert made._fewest(list(keys)) == fewest


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
    assert (made._benefit("a", "x"), made._benefit("a", "y"), made._benefit("a", "z")) == (3, Fraction(1, 2), 0)
    assert made._worth([]) == 0
    assert made._worth(["b"]) == Fraction("5.5")  # 3 × 2 - 0.5
    assert made._worth(["a"]) == Fraction("8.75")  # 3 × 3 + 0.5 - 0.5 - 0.25
    assert made._worth(["c", "a"]) == 9  # 9 + 1 + 0.25 - 1 - 0.25
    assert made._worth(["a", "b"]) == Fraction("9.25")  # 9 + 3 + 0.5 - 1 - 0.25 - 2


# ---------------------------------------------------------------------- course
def windows(
    days: Sequence[int], floor: int, widest: int, span: tuple[int, int], *spacings: tuple[int, int, int]
) -> tuple[list[tuple[int, int]], list[str]]:
    """What the second calculation expects, found by saying nothing, and whether the days are inside."""
    rows = [{"from_session": a, "to_session": b, "min_days": least} for a, b, least in spacings]
    made = second(answer={"course": {"spacings": rows, "windows_days": []}})
    made._windows(days, floor, widest, {"min": span[0], "max": span[1]})
    (first, *rest) = made.found
    assert [row["ideal"] for row in first.expected] == list(days)
    assert [row["session"] for row in first.expected] == list(range(1, len(days) + 1))
    return [(row["earliest"], row["latest"]) for row in first.expected], [row.path for row in rest]


@pytest.mark.parametrize(
    ("days", "floor", "widest", "span", "spacings", "expected"),
    [
        ([0], 7, 9, (0, 9), (), [(0, 0)]),
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
