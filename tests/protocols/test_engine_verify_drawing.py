"""Small tables for the second calculation of what engine 1.2 says: drawn mixtures, waiting, contributions."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from protocols.engine import fingerprint, propose, verify
from protocols.engine.mixing.select import Problem
from protocols.engine.verify import Context, alternatives, drawing, run, selection
from protocols.engine.verify.alternatives import check_value, check_waiting, looked_at_again
from protocols.engine.verify.context import osmolality_said, tenths
from protocols.engine.verify.contributions import check_contributions, decided_by, own_price
from protocols.engine.verify.drawing import (
    is_worth_drawing,
    most_diluent,
    needed_diluent,
    raise_volumes,
    room_for,
    shared_out,
    topping_up,
    volumes_of,
    ways_of,
)
from protocols.engine.verify.facts import check_concerns, severity_of
from protocols.engine.verify.mixing import (
    acidity_suits,
    fewest_of,
    is_well_inside,
    may_be_one,
    osmolality_of,
    osmolality_supplied,
    window_of,
)
from protocols.engine.verify.mixture import check_drawn_as, check_mixture_cautions
from protocols.engine.verify.screening import aim_of, check_questions, has_fired
from protocols.engine.verify.selection import check_none_without_need, check_requirements, served_by, warned_of
from tests.protocols import references
from tests.protocols.test_engine_verify import (
    COST,
    NOBODY,
    SHAPES,
    STEP,
    choosing,
    codes,
    instead,
    paired,
    put,
    rule,
    screened,
    second,
    syringe,
    syringes,
    thing,
    things,
    told,
)
from tests.protocols.worked_cases import count, earlier_cases, earlier_formulary

LIMITS: dict[str, Any] = {
    "ph_window": {"min_width": "0.5"}, "final_ph": {"min": "4.5", "max": "8"}, "osmolality": {"max": 600},
    "smallest_syringe": {"min_share": "0.1"},
}  # fmt: skip


def solution(low: str, high: str, **more: Any) -> dict[str, Any]:
    return {"ph_min": low, "ph_max": high, "solvent": "aqueous", **more}


# ---------------------------------------------------------------------- pH
WINDOWS = {
    "a": ("5", "7"), "b": ("6.5", "8"), "c": ("6.6", "8"), "acid": ("2", "3.8"), "sour": ("2.5", "4"),
    "wide": ("2", "8"), "point": ("5.5", "5.5"), "never": ("7", "5"), "sharp": ("3.6", "4"),
}  # fmt: skip


def acids(**own: Any) -> Context:
    rows = [thing(key, solution=solution(*window)) for key, window in WINDOWS.items()]
    return paired(things=things(*rows, thing("w", solution=solution("1", "2", unbuffered=True))), **own)


def test_what_is_unbuffered_takes_any_ph() -> None:
    made = acids()
    windows = [window_of(made, keys.split()) for keys in ("a b", "w a", "w", "")]
    assert windows == [(Fraction("6.5"), 7), (5, 7), (0, 14), (0, 14)]


@pytest.mark.parametrize(
    ("low", "high", "inside"),
    [
        ("4", "5", True), ("4", "4.9", False), ("4.5", "5", True), ("7.5", "9", True), ("7.6", "9", False),
        ("0", "14", True), ("5", "5.4", False), ("5", "5.5", True),
    ],
)  # fmt: skip
def test_enough_of_a_window_lies_where_it_should(low: str, high: str, inside: bool) -> None:
    assert is_well_inside(second(limits=LIMITS), Fraction(low), Fraction(high)) is inside
    assert is_well_inside(second(), Fraction(low), Fraction(high)) is True


@pytest.mark.parametrize(
    ("keys", "suits", "without_limits"),
    [
        ("a", True, True), ("never", False, False), ("point", True, True), ("w", True, True),
        ("a b", True, True),  # half a pH in common
        ("a c", False, True),
        ("point w", True, True), ("point a", False, True), ("point a w", False, True),
        ("acid sharp", False, True),  # 0.2 in common
        ("acid sour", True, True),  # both lie elsewhere anyhow
        ("acid w", True, True),
        ("acid wide", False, True),  # one that need not be there
        ("acid sour wide", False, True), ("acid wide w", False, True), ("wide a", True, True), ("a acid", False, False),
    ],
)  # fmt: skip
def test_acidity_that_suits_a_mixture(keys: str, suits: bool, without_limits: bool) -> None:
    assert acidity_suits(acids(limits=LIMITS), keys.split()) is suits
    assert acidity_suits(acids(), keys.split()) is without_limits


def test_what_may_be_one_mixture_by_its_acidity() -> None:
    made = acids(limits=LIMITS)
    assert [may_be_one(made, keys.split()) for keys in ("a b", "a c", "acid wide")] == [True, False, False]
    assert fewest_of(made, ["a", "b", "c"]) == 2
    assert fewest_of(acids(), ["a", "b", "c"]) == 1


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (("5", "7"), ("6", "8"), []),
        (("4", "5"), ("5", "7"), ["s ph_does_not_suit"]),  # they meet in a point
        (("2", "4"), ("2", "8"), ["s ph_does_not_suit"]),
        (("4", "5"), ("6", "7"), ["s no_common_ph"]),
    ],
)
def test_acidity_of_a_syringe(one: tuple[str, str], other: tuple[str, str], found: list[str]) -> None:
    made = syringes(limits=LIMITS)
    for name, window in (("a", one), ("b", other)):
        made.things[name]["solution"] = solution(*window)
    low, high = (f(each, key=Fraction) for f, each in ((max, (one[0], other[0])), (min, (one[1], other[1]))))
    assert told(made, {**syringe(a="1", b="1"), "ph_min": low, "ph_max": high}) == found


def test_each_figure_of_a_syringe_of_today_is_checked() -> None:
    """Of an earlier engine they are not asked for."""
    said = {
        **syringe(a="1", b="1"), "ph_estimate": "6.0", "osmolality": {"estimate": 300, "unknown": []},
        "drawn_as": {"count": 1, "parts_ml": ["2"]},
    }  # fmt: skip

    def found(**changes: Any) -> list[str]:
        made = syringes(in_steps=True)
        for name in "ab":
            made.things[name]["solution"]["osmolality"] = {"value": 300}
        return told(made, {**said, **changes})

    assert found() == []
    assert found(ph_estimate="6.1") == ["s.ph_estimate differs"]
    assert found(osmolality={"estimate": 310, "unknown": []}) == ["s.osmolality differs"]
    assert found(osmolality={"estimate": None, "unknown": ["a"]}) == ["s.osmolality differs"]
    assert found(drawn_as={"count": 2, "parts_ml": ["1", "1"]}) == ["s.drawn_as.count differs"]
    assert told(syringes(), {**syringe(a="1", b="1"), "ph_estimate": "1"}) == []


@pytest.mark.parametrize("status", ["proposed", "blocked"])
def test_what_is_checked_of_which_engine_s_answer(status: str) -> None:
    def checked(version: str, **said: Any) -> list[str]:
        empty: dict[str, Any] = {"syringes": [], "sessions": [], "alternatives": [], "course": None, "cost": None}
        stands = {"formulary_fingerprint": fingerprint({}), "formulary_version": "x", "status": status}
        made = second(documents={}, label="x", answer={**empty, **stands, "engine_version": version, **said})
        seen: list[str] = []
        names = (*always, *PARTS_OF_A_PLAN, "check_waiting", "check_contributions")
        parts = {name: lambda *rest, name=name: seen.append(name) for name in names}
        with instead(run, **parts):
            run.run_checks(made)
        return [*seen, *(f"{row.path} {row.code}" for row in made.found)]

    always = ["check_concerns", "check_screening", "check_area", "check_left_out", "check_fingerprint"]
    plan = PARTS_OF_A_PLAN if status == "proposed" else []
    assert checked("1.1") == [*always[:-1], *plan, "check_fingerprint"]
    words = ["check_contributions"] if plan else []
    assert checked("1.2") == [*always[:-1], "check_waiting", *plan, *words, "check_fingerprint"]
    wrong = checked("1.1", formulary_version="y", formulary_fingerprint="z")
    assert wrong[-2:] == ["formulary_fingerprint differs", "formulary_version differs"]
    held = {"syringes": [1], "sessions": [1], "alternatives": [1], "course": 1, "cost": 1}
    found = [] if plan else [f"{name} plan_without_permission" for name in held]
    assert checked("1.1", **held)[len(always) + len(plan) :] == found


PARTS_OF_A_PLAN = ["check_mixture", "check_requirements", "check_value", "check_course", "check_cost"]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_answers_of_earlier_engines_are_found_right(version: str) -> None:
    case = next(case for case in earlier_cases() if case["id"] == "C03")
    for said in propose(case, earlier_formulary()).as_said_by(version):
        assert verify(said, case, earlier_formulary()) == ()


@pytest.mark.parametrize(("value", "said"), [("6.25", "6.3"), ("6.24", "6.2"), ("2.9", "2.9"), ("0", "0")])
def test_tenths_halves_up(value: str, said: str) -> None:
    assert tenths(Fraction(value)) == Fraction(said)


# ---------------------------------------------------------------------- osmolality and parts
STRONG = {"a": 1200, "b": 290, "e": 600, "w": 300, "n": None}


def poured(**own: Any) -> Context:
    """Ingredients of an osmolality, one of none that is known, and one of which the documents say nothing."""
    rows = [thing(key, solution=solution("5", "7", osmolality={"value": value})) for key, value in STRONG.items()]
    return paired(things=things(*rows, thing("u")), step=STEP, limits=LIMITS, **own)


def lines(**volumes: str) -> list[dict[str, Any]]:
    return [{"ingredient": key, "volume_ml": volume} for key, volume in volumes.items()]


@pytest.mark.parametrize(
    ("volumes", "estimate", "unknown"),
    [
        ({"b": "1"}, 290, []),
        ({"b": "1", "e": "3"}, 530, []),  # 522.5
        ({"a": "1", "w": "2"}, 600, []),
        ({"a": "1", "w": "1.95"}, 610, []),  # 605.08
        ({"u": "1", "b": "1", "n": "0.5"}, None, ["n", "u"]),
    ],
)
def test_osmolality_by_volume_in_tens(volumes: dict[str, str], estimate: int | None, unknown: list[str]) -> None:
    assert osmolality_of(poured(), lines(**volumes)) == (estimate, unknown)


def test_osmolality_as_said_and_as_supplied() -> None:
    assert osmolality_said({"estimate": None, "unknown": ["b", "a"]}) == (None, ["a", "b"])
    assert osmolality_said({"estimate": "610.0", "unknown": []}) == (610, [])
    assert [osmolality_supplied(poured(), key) for key in "abnu"] == [1200, 290, None, None]


@pytest.mark.parametrize(
    ("total", "parts", "found"),
    [
        ("2.5", ["2.5"], []),
        ("2.55", ["1.3", "1.25"], []),
        ("2.6", ["1.3", "1.3"], []),
        ("7.55", ["1.9", "1.9", "1.9", "1.85"], []),  # not three of 2.52, which nobody can draw
        ("2.55", ["2.55"], ["count differs"]),
        ("2.5", ["1.25", "1.25"], ["count differs"]),
        ("2.55", ["1.25", "1.3"], ["parts_ml smaller_part_first"]),
        ("2.55", ["1.28", "1.27"], ["parts_ml not_drawable"] * 2),
        ("2.6", ["1.35", "1.25"], ["parts_ml unequal_parts"]),
        ("2.6", ["1.3", "1.25"], ["parts_ml parts_do_not_add_up"]),
    ],
)
def test_parts_that_can_be_drawn(total: str, parts: list[str], found: list[str]) -> None:
    made = second(needle={"syringe": {"volumes": ["1", "2.52"]}}, step=STEP, in_steps=True)
    check_drawn_as(made, "s", {"count": len(parts), "parts_ml": parts}, Fraction(total))
    assert [f"{row.path.removeprefix('s.')} {row.code}" for row in made.found] == found


def test_as_many_parts_as_are_counted() -> None:
    made = second(needle={"syringe": {"volumes": ["1"]}}, step=STEP, in_steps=True)
    check_drawn_as(made, "s", {"count": 1, "parts_ml": []}, Fraction(1))
    assert codes(made) == ["differs", "parts_do_not_add_up"]


# ---------------------------------------------------------------------- what is short of the limits is said
def warned(*sessions: Sequence[dict[str, str]], **own: Any) -> Context:
    """The cautions that are due for the mixtures of each session; one session stands for all."""
    rows = [
        {"number": n, "syringes": [{"label": "AB"[i], "lines": lines(**held)} for i, held in enumerate(syringes)]}
        for n, syringes in enumerate(sessions, start=1)
    ]
    said = [
        {"rule": name, "params": {"syringes": [{"syringe": label, "sessions": numbers}]}}
        for name, label, numbers in own.pop("said", ())
    ]
    answer = {"syringes": rows[0]["syringes"], "sessions": rows if len(rows) > 1 else [], "cautions": said}
    made = poured(answer=answer)
    put(made, things={**made.things, "acid": thing("acid", solution=solution("2", "3.8", osmolality={"value": 290}))})
    check_mixture_cautions(put(made, limits=own.get("limits", LIMITS)))
    return made


@pytest.mark.parametrize(
    ("sessions", "due"),
    [
        ([[{"b": "1"}]], []),
        ([[{"acid": "1"}]], [("ph_outside_limits", "A", [1])]),
        ([[{"acid": "1", "w": "1"}, {"b": "1"}]], [("ph_outside_limits", "A", [1])]),
        ([[{"b": "1"}, {"a": "1"}]], [("osmolality_above_limit", "B", [1])]),
        ([[{"e": "1"}]], []),
        ([[{"u": "1", "a": "9"}]], [("osmolality_unknown", "A", [1])]),
        ([[{"b": "0.9"}, {"b": "0.1"}]], []),
        ([[{"b": "1"}], [{"b": "1"}, {"b": "0.1"}]], [("small_syringe", "B", [2])]),
        ([[{"acid": "1"}], [{"b": "1"}], [{"acid": "1"}]], [("ph_outside_limits", "A", [1, 3])]),
    ],
)
def test_each_shortcoming_of_a_mixture_is_said(sessions: Any, due: list[tuple[str, str, list[int]]]) -> None:
    assert warned(*sessions, said=due).found == []
    assert [row.path for row in warned(*sessions).found] == [f"cautions.{name}" for name, _, _ in due]
    if due:
        assert [row.path for row in warned(*sessions, said=due, limits=None).found] == [f"cautions.{due[0][0]}"]
    ((name, label, numbers),) = due or [("osmolality_unknown", "A", [])]
    wrong = [row.path for row in warned(*sessions, said=[(name, label, [*numbers, 9])]).found]
    assert wrong == [f"cautions.{name}"]


def test_the_first_session_has_no_syringe_that_is_too_small() -> None:
    made = warned([{"b": "1"}, {"b": "0.1"}], said=[("small_syringe", "B", [1])])
    assert [(row.path, row.code, row.found) for row in made.found] == [("session 1", "syringe_too_small", "B")]


# ---------------------------------------------------------------------- the diluent
def thinning(**own: Any) -> Context:
    """Two ingredients and two diluents, v before w, of which 9 mL may be given."""
    per_session = {
        "volume": {"min": "0", "usual": "1", "max": "9"},
        "max_dose": {"value": "90"},
        "dose": {"unit": "mg"},
    }
    base: dict[str, Any] = {
        "things": things(
            thing("a"), thing("b"), thing("v", role="diluent", per_session=dict(per_session)),
            thing("w", role="diluent", per_session=dict(per_session)),
        ),
        "mixing": {
            "max_active_ingredients_per_syringe": 5, "max_diluent_share_of_syringe": own.pop("share", "0.75"),
            "top_up_diluents": ["v", "w"],
        },
        "active": set("abvw"), "excluded": set(), "stock": None, "step": STEP, "target": Fraction(4), "limits": LIMITS,
    }  # fmt: skip
    policy = SimpleNamespace(**{**vars(NOBODY), **own.pop("policy", {})})
    return paired(*own.pop("pairs", ()), policy=policy, **{**base, **own})


def test_the_diluent_is_the_first_that_can_be_had() -> None:
    assert topping_up(thinning()) == "v"
    assert topping_up(thinning(excluded={"v"})) == topping_up(thinning(active=set("abw"))) == "w"
    assert topping_up(thinning(policy={"avoid": ("v",)})) == "w"
    assert topping_up(thinning(active=set("ab"))) is None
    for stock, first in (({"v": "0.05"}, "v"), ({"v": "0.04", "w": "9"}, "w"), ({}, None)):
        assert topping_up(thinning(stock=stock)) == first
    for leave, first in ((True, "v"), (False, "w")):
        made = thinning(policy={"allow_prescription": leave})
        made.things["v"]["regulatory"] = {"prescription_only": True}
        assert topping_up(made) == first
    for least, have, first in (("4", "9", "v"), ("4.05", "9", "w"), ("2", "2", "v"), ("2", "1.95", "w")):
        made = thinning(stock={"v": have, "w": "9"})
        made.things["v"]["per_session"]["volume"] = {"min": least, "usual": least, "max": "9"}
        assert topping_up(made) == first


def test_room_for_the_diluent_in_a_mixture() -> None:
    volume = {"a": Fraction(1), "b": Fraction("0.5")}

    def room(group: str, thinner: str | None = "w", **own: Any) -> Fraction:
        return room_for(thinning(**own), thinner, list(group), volume)

    assert (room("a"), room("b"), room("ab"), room("a", None)) == (3, Fraction("1.5"), Fraction("4.5"), 0)
    assert room("a", share="0.7") == Fraction("2.3")  # 7 / 3, in whole steps
    assert room("ab", pairs=[("b", "w", "never_mix")]) == room("b", pairs=[("w", "b", "separate_syringe")]) == 0
    assert room("ab", pairs=[("b", "w", "use_immediately")]) == Fraction("4.5")
    assert room("a", pairs=[("b", "w", "never_mix")]) == 3
    for window, expected in (("8", 0), ("6.5", 3)):
        made = thinning()
        made.things["w"]["solution"] = solution(window, "9")
        assert room_for(made, "w", ["a"], volume) == expected


def test_the_most_diluent_of_a_session() -> None:
    room = [Fraction(5), Fraction("4.5")]
    assert (most_diluent(thinning(), "w", room), most_diluent(thinning(), "w", room[1:])) == (9, Fraction("4.5"))
    assert most_diluent(thinning(), None, room) == 0
    assert most_diluent(thinning(stock={"w": "2.53"}), "w", room) == Fraction("2.5")


@pytest.mark.parametrize(
    ("volumes", "total", "changes", "needed"),
    [
        ({"a": "0.5"}, "2.5", {}, "1"),  # 0.5 × 1200 + 1 × 300 is 600 for each of 1.5
        ({"a": "0.5"}, "20", {}, "1.5"),  # a tenth of 20
        ({"a": "0.5"}, "2.5", {"a": "1210"}, "1.05"),  # 0.5 × 610 / 300, to the next step
        ({"b": "0.2"}, "2.5", {}, "0.05"),
        ({"b": "0.2"}, "2.52", {}, "0.1"),  # 0.252 in whole steps
        ({"b": "0.2"}, "2", {}, "0"),
        ({"a": "0.5", "b": "0.5"}, "2.5", {}, "0.5"),  # 0.5 × 600 - 0.5 × 310 for 300
        ({"a": "0.5", "n": "0.05"}, "2.5", {}, "0"),
        ({"a": "0.5", "n": "0.05"}, "9", {}, "0.35"),
        ({"a": "0.5"}, "9", {"w": "600"}, "0.4"), ({"a": "0.5"}, "9", {"w": "590"}, "30"),
        ({"a": "0.5"}, "9", {"w": None}, "0.4"),
    ],
)  # fmt: skip
def test_diluent_that_a_mixture_needs(
    volumes: dict[str, str], total: str, changes: dict[str, str | None], needed: str
) -> None:
    made = poured()
    for key, value in changes.items():
        made.things[key]["solution"]["osmolality"]["value"] = value
    volume = {key: Fraction(amount) for key, amount in volumes.items()}
    assert needed_diluent(made, "w", list(volumes), volume, Fraction(total)) == Fraction(needed)
    assert needed_diluent(made, None, list(volumes), volume, Fraction(total)) == 0
    put(made, limits=None)
    assert needed_diluent(made, "w", list(volumes), volume, Fraction(total)) == 0


@pytest.mark.parametrize(
    ("amount", "rooms", "given"),
    [
        (0, [3, 3], [0, 0]), (-1, [3, 3], [0, 0]), (1, [0, 0], [0, 0]), (1, [3, 3], [1, 0]), (2, [3, 3], [1, 1]),
        (3, [3, 3], [2, 1]), (5, [1, 9], [1, 4]), (5, [9, 1], [5, 0]), (4, [2, 3, 5], [1, 1, 2]), (1, [1], [1]),
        (7, [10, 10, 10], [3, 2, 2]), (6, [1, 5, 5], [0, 3, 3]),
    ],
)  # fmt: skip
def test_diluent_is_shared_out_in_steps(amount: int, rooms: list[int], given: list[int]) -> None:
    shared = shared_out(second(step=STEP), amount * STEP, [room * STEP for room in rooms])
    assert shared == [each * STEP for each in given]


def filled(steps: tuple[int, int], target: int, most: int, strong: str = "a") -> list[int]:
    """What two mixtures of one ingredient each come to, in steps; those that are strong need 2 of diluent for 1."""
    rows = [
        thing(
            key, role="diluent" if key == "w" else "active", stock={"concentration": "1"},
            solution=solution("5", "7", osmolality={"value": 1200 if key in strong else 300}),
            per_session={
                "volume": dict(zip(("min", "usual", "max"), [str(STEP_ML * n) for n in volume], strict=True)),
                "max_dose": {"value": "999"},
            },
        )
        for key, volume in (("a", (steps[0],) * 3), ("b", (steps[1],) * 3), ("w", (0, 1, most)))
    ]  # fmt: skip
    made = thinning(things=things(*rows), pairs=[("a", "b", "never_mix")], target=target * STEP, course=COURSE)
    put(made, mixing={**made.mixing, "top_up_diluents": ["w"]})
    return [int(volume / STEP) for volume in volumes_of(made, ["a", "b"])]


STEP_ML, COURSE = Decimal("0.05"), {"cost_model": {"ingredient_unit_value": 4}}


@pytest.mark.parametrize(
    ("steps", "target", "most", "strong", "volumes"),
    [
        ((10, 10), 40, 100, "a", [30, 10]),  # the first needs all there is
        ((10, 10), 50, 100, "a", [33, 17]),  # it needs 20 of 30; the rest by the room that is left, 10 and 30
        ((10, 10), 60, 100, "a", [30, 30]),  # alike, as that is enough
        ((10, 10), 60, 8, "a", [18, 10]),
        ((10, 10), 20, 100, "a", [10, 10]),
        ((10, 5), 30, 100, "ab", [20, 10]), ((10, 5), 45, 100, "ab", [30, 15]), ((10, 5), 48, 100, "ab", [32, 16]),
        ((1, 19), 40, 100, "", [4, 36]),  # a tenth, as far as there is room
    ],
)  # fmt: skip
def test_mixtures_get_first_the_diluent_that_they_need(
    steps: tuple[int, int], target: int, most: int, strong: str, volumes: list[int]
) -> None:
    assert filled(steps, target, most, strong) == volumes


@pytest.mark.parametrize(
    ("target", "budget", "volumes"),
    [
        (16, None, {"a": 8, "b": 8}), (9, None, {"a": 5, "b": 4}), (8, None, {"a": 4, "b": 4}),
        (16, 14, {"a": 6, "b": 4}), (16, 13, {"a": 5, "b": 4}), (16, 15, {"a": 5, "b": 5}),
        (16, 16, {"a": 6, "b": 5}), (12, 99, {"a": 6, "b": 6}),
    ],
)  # fmt: skip
def test_volumes_are_raised_within_the_budget(target: int, budget: int | None, volumes: dict[str, int]) -> None:
    """A step of the first costs 1, one of the second 2; each may come from 4 to 8."""
    session = {"volume": {"min": "0.05", "usual": "0.2", "max": "0.4"}, "max_dose": {"value": "999"}}
    rows = [thing(key, per_session=session, relative_cost_per_ml=str(cost)) for key, cost in (("a", 5), ("b", 10))]
    made = thinning(things=things(*rows), policy={"ingredient_budget": budget}, course=COURSE)
    put(made, mixing={**made.mixing, "top_up_diluents": []})
    volume = dict.fromkeys("ab", 4 * STEP)
    raise_volumes(made, volume, ["ab"], target * STEP)
    assert {key: int(amount / STEP) for key, amount in volume.items()} == volumes


@pytest.mark.parametrize(
    ("target", "volumes"),
    [("0.4", {"a": 4, "b": 4}), ("0.39", {"a": 3, "b": 4}), ("0.3", {"a": 3, "b": 3}), ("0.2", {"a": 1, "b": 3})],
)
def test_volumes_are_lowered_to_what_can_be_drawn(target: str, volumes: dict[str, int]) -> None:
    """From 4 steps each; the second has no less than 3."""
    rows = [
        thing(
            key, stock={"concentration": "1"},
            per_session={"volume": {"min": least, "usual": "0.2", "max": "0.4"}, "max_dose": {"value": "9"}},
        )
        for key, least in (("a", "0"), ("b", "0.15"))
    ]  # fmt: skip
    made = thinning(things=things(*rows), target=Fraction(target), course=COURSE)
    put(made, mixing={**made.mixing, "top_up_diluents": []})
    assert volumes_of(made, ["a", "b"]) == [volumes[key] * STEP for key in "ab"]


# ---------------------------------------------------------------------- whether each syringe is worth drawing
def test_every_way_with_so_many_mixtures() -> None:
    made = paired(("a", "b", "never_mix"))

    def ways(keys: str, count: int) -> list[str]:
        return [" ".join("".join(group) for group in way) for way in ways_of(made, list(keys), [], count)]

    assert (ways("", 0), ways("a", 1), ways("ab", 1)) == ([""], ["a"], [])
    assert (ways("abc", 1), ways("abc", 2), ways("abc", 3)) == ([], ["ac b", "a bc"], ["a b c"])


def of_problem(problem: Problem) -> Context:
    """The second calculation of the same ingredients, from documents."""
    drawing, rules = problem.drawing, problem.syringes
    assert drawing is not None and drawing.wanted is not None
    saline = len(problem.min_steps)
    wish, pairs = rules.acidity, []
    rows = []
    for i, limits in enumerate(drawing.limits):
        volume = {"min": limits.least, "usual": limits.usual, "max": limits.most}
        rows.append(
            thing(
                key(i), role="active" if i < saline else "diluent", relative_cost_per_ml=str(drawing.cost[i] * 20),
                solution=solution(
                    str(Decimal(rules.ph_low[i]) / 10), str(Decimal(rules.ph_high[i]) / 10),
                    osmolality={"value": drawing.wanted.osmolality[i]}, unbuffered=bool(wish.unbuffered >> i & 1),
                ),
                stock={"concentration": "1"},
                per_session={
                    "volume": {name: str(steps * Decimal("0.05")) for name, steps in volume.items()},
                    "max_dose": {"value": "999"},
                },
            )
        )  # fmt: skip
        pairs += [(key(i), key(j), "separate_syringe") for j in range(i) if rules.apart[i] >> j & 1]
    return paired(
        *pairs, things=things(*rows), active={key(i) for i in range(saline + 1)}, excluded=set(), stock=None, step=STEP,
        target=drawing.target * STEP, course={"cost_model": {"ingredient_unit_value": 1}},
        mixing={
            "max_active_ingredients_per_syringe": rules.per_syringe, "max_diluent_share_of_syringe": "0.75",
            "top_up_diluents": [key(saline)] if drawing.diluent >= 0 else [],
        },
        policy=SimpleNamespace(**{**vars(NOBODY), "ingredient_budget": problem.budget}),
        limits={
            "ph_window": {"min_width": str(Decimal(wish.width) / 10)}, "osmolality": {"max": drawing.wanted.most},
            "final_ph": {"min": str(Decimal(wish.low or 0) / 10), "max": str(Decimal(wish.high or 140) / 10)},
            "smallest_syringe": {"min_share": drawing.wanted.share},
        },
    )  # fmt: skip


def key(i: int) -> str:
    return f"i{i}"


@pytest.mark.parametrize("block", range(24))
def test_second_calculation_draws_as_the_references_do(block: int) -> None:
    rng = random.Random(f"second drawing {block}")
    for _ in range(count(4, 400)):
        problem = references.random_problem(rng, ingredients=6, concerns=1)
        problem = references.with_drawing(rng, references.with_acidity(rng, problem))
        members = rng.sample(range(6), k=rng.randrange(2, 5))
        members.sort()
        if not references.admissible(problem, members):
            continue
        made, keys = of_problem(problem), [key(i) for i in members]
        ways = [
            sorted(map(sorted, way))
            for way in references.set_partitions(members)
            if all(references.one_mixture(problem, group) for group in way)
        ]
        least = min(map(len, ways))
        assert fewest_of(made, keys) == least
        told = [[[int(name[1:]) for name in group] for group in way] for way in ways_of(made, keys, [], least)]
        assert sorted(told) == sorted(way for way in ways if len(way) == least)
        for way in ways:
            volumes = volumes_of(made, [[key(i) for i in group] for group in way])
            assert volumes == [steps * STEP for steps in references.volumes(problem, way)]
        assert is_worth_drawing(made, keys) is references.worth_drawing(problem, members)


def test_a_set_is_worth_drawing_where_nothing_is_asked_of_it() -> None:
    problem = references.with_drawing(
        random.Random(1), references.random_problem(random.Random(1), ingredients=2, concerns=1)
    )
    made = of_problem(replace(problem, budget=None))
    with instead(drawing, volumes_of=lambda context, groups: [Fraction(1), Fraction(99)]):
        assert is_worth_drawing(made, []) is is_worth_drawing(made, ["i0"]) is True
        assert is_worth_drawing(made, ["i0", "i1"]) is False
    put(made, limits=None)
    assert is_worth_drawing(made, ["i0", "i1"]) is True


def test_a_first_choice_that_only_a_small_syringe_could_hold_is_no_fault() -> None:
    made = choosing()
    rows: list[tuple[str, str, str | None, bool]] = [("x", "-", "a", False), ("x", "-", "b", False)]
    with instead(selection, is_worth_drawing=lambda context, keys: len(keys) < 2):
        check_none_without_need(made, rows, set("a"))
        assert made.found == []
        check_none_without_need(made, rows, set())
    assert [row.expected for row in made.found] == [["b"]]


@pytest.mark.parametrize(
    ("most", "useful", "state", "limit", "found"),
    [
        (2, False, "gave_way", "max_actives", []),
        (2, True, "gave_way", "max_actives", [" first_choice_left_out"]),  # with a, in the place of c
        (2, False, "gave_way", "small_syringe", ["x.b.limit wrong_limit"]),  # another limit comes before
        (3, False, "gave_way", "small_syringe", []),
        (3, False, "gave_way", None, ["x.b.limit wrong_limit"]),
        (3, False, "could_return", None, ["x.b.state differs", "x.b.limit wrong_limit"]),
        (3, True, "could_return", None, [" first_choice_left_out"]),
        (3, True, "could_return", "small_syringe", ["x.b.limit wrong_limit", " first_choice_left_out"]),
    ],
)
def test_why_a_first_choice_gave_way(most: int, useful: bool, state: str, limit: str | None, found: list[str]) -> None:
    """a is in, c stands in for d, and b is not in."""
    rows = [("x", "a", "a", "met", None), ("x", "b", "b", state, limit), ("y", "d", "c", "substituted", None)]
    names = ("concern", "first_choice", "ingredient", "state", "limit")
    held = [
        {"ingredient": "a", "required_by": ["x"], "stands_in_for": []},
        {"ingredient": "c", "required_by": [], "stands_in_for": [{"concern": "y", "ingredient": "d"}]},
    ]
    made = choosing(
        policy={"max_actives": most},
        answer={
            "requirements": [dict(zip(names, row, strict=True)) for row in rows], "edits": [], "sessions": [],
            "syringes": [{"lines": held}],
        },
    )  # fmt: skip
    with instead(selection, is_worth_drawing=lambda context, keys: useful):
        assert check_requirements(made) == {"a", "c"}
    assert [f"{row.path.removeprefix('requirements').lstrip('.')} {row.code}" for row in made.found] == found


def test_an_alternative_has_no_syringe_that_is_too_small() -> None:
    def found(keys: str, value: str, useful: bool) -> list[str]:
        row = {"ingredients": list(keys), "value": value, "value_difference": value}
        answer = {"syringes": [], "sessions": [], "value": "0", "value_cost": "0", "engine_version": "1.0"}
        made = choosing(answer={**answer, "alternatives": [{"kind": "waiting"}, row]}, rules={})
        with instead(alternatives, is_worth_drawing=lambda context, keys: useful):
            check_value(made, set())
        return [f"{each.path} {each.code}" for each in made.found]

    assert (found("ac", "12", True), found("ac", "12", False)) == ([], ["alternatives[1] syringe_too_small"])
    assert found("abca", "12.75", False) == ["alternatives[1] breaks_a_limit"]
    assert found("ac", "11", True) == [f"alternatives[1].{name} differs" for name in ("value", "value_difference")]


# ---------------------------------------------------------------------- facts, stages, causes
def test_an_engine_is_asked_for_the_words_that_it_knows() -> None:
    versions = [{}, {"engine_version": "1.0"}, {"engine_version": "1.1"}, {"engine_version": "1.2"}]
    assert [second(answer=answer).tells_words for answer in versions] == [False, False, False, True]


@pytest.mark.parametrize(
    ("insisted", "staged", "severity"),
    [("", ("mild", "severe", False), "severe"), ("seen", ("mild", "severe", True), "mild")],
)
def test_a_stage_is_told_and_may_be_insisted_against(insisted: str, staged: Any, severity: str) -> None:
    def found(version: str, row: Sequence[Any], facts: dict[str, str]) -> tuple[list[str], str]:
        names = ("recorded_severity", "staged_severity", "insisted")
        scale = {"key": "s", "fact": "stage", "applies_to_sex": "any", "stages": [{"code": "II", "band": "severe"}]}
        words = [{"key": "x", "severity_scales": ["s"]}]
        made = second(
            documents={"vocabulary": {"scales": {"scales": [scale]}, "concerns": {"concerns": words}}}, facts=facts,
            case=SimpleNamespace(concerns=[SimpleNamespace(concern="x", severity="mild", insisted=insisted)]),
        )  # fmt: skip
        stands = severity if facts else "mild"
        concern = {"concern": "x", "severity": stands, **dict(zip(names, row, strict=True))}
        put(made, answer={"engine_version": version, "concerns": [concern], "severity": stands})
        check_concerns(put(made, severity=severity_of(made)))
        return [each.path for each in made.found], made.worst

    assert found("1.2", staged, {"stage": "II"}) == ([], severity)
    assert found("1.2", ("mild", None, False), {}) == ([], "mild")  # nothing to insist against
    for wrong in (("severe", *staged[1:]), (staged[0], None, staged[2]), (*staged[:2], not staged[2])):
        assert found("1.2", wrong, {"stage": "II"})[0] == ["concerns.staged"]
        assert found("1.1", wrong, {"stage": "II"})[0] == []


@pytest.mark.parametrize(
    ("facts", "fires"),
    [({"barred": ("top", "side")}, True), ({"barred": ("side",)}, False), ({"barred": ()}, False), ({}, False)],
)
def test_a_rule_on_zones_speaks_of_those_to_be_treated(facts: dict[str, Any], fires: bool) -> None:
    made = second(
        facts={"smoker": True, **facts}, shapes=SHAPES, case=SimpleNamespace(zones=[SimpleNamespace(zone="top")])
    )
    on_zones = {**rule("absolute"), "applies_to": {"scope": "zones", "fact": "barred"}}
    assert has_fired(made, on_zones) is fires
    assert has_fired(made, {**on_zones, "trigger": {"fact": "smoker", "op": "is", "value": False}}) is False
    assert has_fired(made, rule("absolute")) is True
    assert has_fired(made, rule("absolute", answer="never")) is False
    for listed in (("side",), ("top",)):  # whether it has fired or not, it is known, and nothing is left to ask
        either = {"any": [on_zones["trigger"], {"fact": "age", "op": "gt", "value": 9}]}
        case = SimpleNamespace(zones=[SimpleNamespace(zone="top")], waived={})
        rules = {"z": {**on_zones, "trigger": either}}
        expected, _ = screened(rules, facts={"smoker": True, "barred": listed}, case=case)
        assert expected.get("open_questions") is None
    assert aim_of(made, on_zones) is None


def test_what_has_no_cause_is_not_asked_and_who_waits_is_asked_nothing() -> None:
    old = {**rule("absolute"), "trigger": {"fact": "age", "op": "gt", "value": 9}}
    cause = {"fact": "inr", "op": "gt", "value": 2}

    def asked(inr: int, **answer: Any) -> Any:
        made = screened({"r": old}, facts={"smoker": True, "inr": inr}, answer=answer)[1]
        made.documents["screening"]["asked_with_cause"] = [{"fact": "age", "cause": cause}]
        made.found.clear()
        check_questions(made, set("a"))
        return next((row.expected for row in made.found), None)

    assert (asked(3), asked(2), asked(3, status="waiting")) == ({"age": ["r"]}, None, None)
    for edits, status in (([], "proposed"), ([{"op": "add"}], "proposed"), ([{"op": "wait"}], "waiting")):
        assert screened({}, answer={"edits": edits})[0]["status"] == status
    blocked = screened({"stop": rule("absolute")}, answer={"edits": [{"op": "wait"}]})[0]
    assert blocked["status"] == "blocked"


# ---------------------------------------------------------------------- waiting
def waiting(
    *concerns: str, answer: Mapping[str, Any] | None = None, course: Mapping[str, Any] | None = None
) -> Context:
    entries = [
        {"key": "x", "settles_by_itself": {"review": {"value": 12}}}, {"key": "y"},
        {"key": "v", "settles_by_itself": None}, {"key": "z", "settles_by_itself": {"review": {"value": 8}}},
    ]  # fmt: skip
    return second(
        documents={"concerns": {"concerns": entries}}, severity=dict.fromkeys(concerns, "mild"), answer=answer or {},
        course=course or {"waiting": {"review": {"value": 10}}},
    )  # fmt: skip


def test_when_somebody_who_waits_is_looked_at_again() -> None:
    def own(*keys: str) -> set[str]:
        return {f"concerns.{key}.settles_by_itself" for key in keys}

    checkpoints = {"checkpoints": [{"when": {"after_session": 2}}, {"when": {"days_after_last_session": 49}}]}
    assert looked_at_again(waiting("x")) == (84, {"x"}, own("x"))
    assert looked_at_again(waiting("x", "z")) == (56, {"x", "z"}, own("x", "z"))
    assert looked_at_again(waiting("x", "y")) == (70, {"x"}, {"course.waiting"})
    assert looked_at_again(waiting("v")) == (70, set(), {"course.waiting"})
    assert looked_at_again(waiting("x", "v", course=checkpoints)) == (49, {"x"}, {"course.checkpoints"})
    none = {"checkpoints": checkpoints["checkpoints"][:1]}
    assert looked_at_again(waiting("y", course=none)) == (0, set(), {"course.checkpoints"})


MIXED = {"kind": "mixture", "review": None}


def waits(
    *concerns: str, because: Sequence[str] = (), value: str = "5", first: bool = False, syringes: int = 1, **said: Any
) -> list[str]:
    """What is found about an answer of one mixture and waiting; what is not said otherwise is right."""
    settles = "y" not in concerns
    review = {
        "days": 84 if settles else 70, "because": [{"code": code} for code in because],
        "rules": ["concerns.x.settles_by_itself"] if settles else ["course.waiting"],
        **said.pop("review", {}),
    }  # fmt: skip
    row = {
        "kind": "waiting", "ingredients": [], "lines": [], "sessions": [], "value": "0", "cost_total": "0",
        "value_difference": f"-{value}".replace("--", ""), "cost_difference": "-30.00" if syringes else "0",
        "review": review, **said.pop("row", {}),
    }  # fmt: skip
    answer = {
        "status": "proposed", "waiting": None, "syringes": ["A"] * syringes, "value": value, "cost": {"total": "30"},
        "alternatives": [row, MIXED] if first else [MIXED, row], **said,
    }  # fmt: skip
    made = waiting(*concerns, answer=answer)
    check_waiting(made)
    return [f"{each.path} {each.code}" for each in made.found]


def test_waiting_stands_where_it_should() -> None:
    late, early = ["alternatives.waiting waiting_in_another_place"], "alternatives[0].because differs"
    assert waits("x", "y") == waits("y", value="0") == []
    assert waits("y", first=True) == late
    assert waits("y", value="-0.1", because=["value_below_zero"], first=True) == []
    assert waits("y", value="-0.1", because=["value_below_zero"]) == late
    assert waits("y", value="-0.1", first=True) == [early]
    assert waits("y", value="-1", because=["no_mixture"], first=True, syringes=0) == []
    assert waits("x", because=["settles_by_itself"], first=True) == []
    assert waits("x", value="-1", because=["settles_by_itself", "value_below_zero"], first=True) == []
    assert waits("x", because=[], first=True) == [early]
    assert waits("y", alternatives=[MIXED]) == late
    assert waits("y", alternatives=[]) == late


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"row": {"value": "1"}}, ["alternatives[1].value differs"]),
        ({"row": {"value_difference": "5"}}, ["alternatives[1].value_difference differs"]),
        ({"row": {"cost_total": "1"}}, ["alternatives[1].cost_total differs"]),
        ({"row": {"cost_difference": "30"}}, ["alternatives[1].cost_difference differs"]),
        ({"row": {"cost_difference": "-30"}, "syringes": 0, "first": True, "because": ["no_mixture"]},
         ["alternatives[0].cost_difference differs"]),
        ({"row": {"ingredients": ["a"]}}, ["alternatives[1].ingredients differs"]),
        ({"row": {"lines": ["a"]}}, ["alternatives[1].ingredients differs"]),
        ({"row": {"sessions": ["a"]}}, ["alternatives[1].ingredients differs"]),
        ({"review": {"days": 84}}, ["alternatives[1].review differs"]),
        ({"review": {"rules": ["course.checkpoints"]}}, ["alternatives[1].rules differs"]),
        ({"waiting": {"days": 70, "rules": ["course.waiting"]}}, ["waiting differs"]),
    ],
)  # fmt: skip
def test_each_figure_of_waiting_is_checked(said: dict[str, Any], found: list[str]) -> None:
    assert waits("y", **said) == found


def test_a_mixture_has_no_day_of_review() -> None:
    row = {"kind": "waiting", "ingredients": [], "lines": [], "sessions": [], "value": "0", "cost_total": "0",
           "value_difference": "-5", "cost_difference": "-30",
           "review": {"days": 70, "because": [], "rules": ["course.waiting"]}}  # fmt: skip
    for other in ({"kind": "mixture", "review": {}}, {"kind": "other", "review": None}):
        assert waits("y", alternatives=[other, row]) == ["alternatives[0].kind differs"]


def test_a_plan_that_waits_says_until_when() -> None:
    said: dict[str, Any] = {
        "status": "waiting",
        "alternatives": [],
        "waiting": {"days": 70, "rules": ["course.waiting"]},
    }
    assert waits("y", **said) == []
    assert waits("y", **{**said, "waiting": None}) == ["waiting differs"]
    assert waits("y", **{**said, "waiting": {"days": 71, "rules": ["course.waiting"]}}) == ["waiting differs"]
    assert waits("y", **{**said, "waiting": {"days": 70, "rules": []}}) == ["waiting differs"]
    blocked: dict[str, Any] = {**said, "status": "blocked", "waiting": None}
    assert waits("y", **blocked) == []
    assert waits("y", **{**blocked, "alternatives": [{"kind": "waiting"}]}) == ["alternatives waiting_without_a_plan"]


# ---------------------------------------------------------------------- contributions
def test_how_well_a_set_serves_one_concern() -> None:
    made = choosing()
    assert [served_by(made, keys, "x") for keys in ("", "a", "ab", "abc")] == [0, 9, 12, Fraction("13.5")]
    assert served_by(made, "abc", "y") == 1


def test_cautions_aimed_at_a_set() -> None:
    rules = {
        "on_a": rule("caution", "a"), "on_ab": rule("caution", "a", "b"), "plan": rule("caution"),
        "info": rule("info", "a"), "never": rule("caution", "a", answer="never"),
    }  # fmt: skip
    made = choosing(rules=rules, facts={"smoker": True}, shapes=SHAPES)
    assert [warned_of(made, keys) for keys in ("a", "b", "c", "abc", "")] == [2, 1, 0, 2, 0]


def test_the_rule_that_decided() -> None:
    own = set("ac")
    wanted = [("x", "a", "a", False), ("y", "a", "a", True), ("y", "d", "c", True), ("y", "e", None, False)]
    out = {"displaced": "limit", "removed_by_hand": "by_hand", "not_chosen": "by_hand", "adds_too_little": "value"}
    assert {reason: decided_by(own, "b", False, reason, True, wanted) for reason in out} == out
    assert decided_by(own, "b", True, "", True, wanted) == "by_hand"
    assert decided_by(own, "a", True, "", False, wanted) == "first_choice"
    assert decided_by(own, "c", True, "", False, wanted) == "stands_in"
    assert decided_by(own, "c", True, "", True, wanted[:2]) == "value"
    assert decided_by(own, "c", True, "", False, wanted[:2]) == "kept"


def test_price_of_one_ingredient_in_the_course() -> None:
    def price(*sessions: str, held: bool = True) -> Any:
        rows = [
            {"number": n, "syringes": [{"lines": lines(a=volume, b="1")}]} for n, volume in enumerate(sessions, start=1)
        ]
        return own_price(second(
            course={"cost_model": COST}, things=things(thing("a"), thing("b")),
            policy=SimpleNamespace(price_per_unit=Decimal(2)),
            answer={"course": {"sessions": len(sessions)}, "sessions": rows, "syringes": []},
        ), "a", held)  # fmt: skip

    assert price("1") == 16  # 1 × 2 × 4 × 2
    assert price("1", "0.5") == Fraction("21.6")  # less a tenth for two sessions
    assert price("1", "0.5", "1", "1") == 56
    assert price("0.0005") == Fraction("0.01")  # 0.008, halves up
    assert price("1", held=False) is None


def weighed(key: str, reason: str = "adds_too_little", **own: Any) -> list[str]:
    """What is found of one row of three: a and c are in, b is weighed and left out, d was screened."""
    figures: dict[str, dict[str, Any]] = {
        "a": {"gross": "6", "adds": "much", "decided_by": "first_choice", "first_choice_of": ["x"], "price": "8"},
        "c": {"gross": "4", "adds": "much", "decided_by": "stands_in", "first_choice_of": ["y"], "price": "12.00"},
        "b": {"gross": "1.5", "adds": "some", "decided_by": "value", "first_choice_of": ["x"], "price": None},
    }  # fmt: skip
    changes: dict[str, dict[str, Any]] = {**own.pop("others", {}), key: own.pop("row", {})}
    serves = {"a": {"x": ("6", "much")}, "c": {"x": ("3", "much"), "y": ("1", "some")}, "b": {"x": ("1.5", "some")}}
    rows = [
        {
            "ingredient": name, "held": name != "b", "limit": None, "needed": "2.5" if name == "b" else "0.5",
            "needed_for": {"cautions": 0, "mixtures": int(name == "b")}, **row,
            "serves": [{"concern": c, "value": value, "much": much} for c, (value, much) in serves[name].items()],
            **changes.get(name, {}),
        }
        for name, row in figures.items()
    ]  # fmt: skip
    rows += rows[-1:] if own.pop("twice", False) else []
    answer = {
        "contributions": rows, "course": {"sessions": 1}, "sessions": [], "edits": [],
        "left_out": [{"ingredient": "b", "reason_code": reason}, {"ingredient": "d", "reason_code": "screened"}],
        "syringes": [{"lines": lines(a="1", c="1", w="1")}],
    }  # fmt: skip
    words = own.pop("words", {"much_from": 2, "some_from": 1})
    policy = {"price_per_unit": Decimal(1), **own.pop("policy", {})}
    mixing = {
        "max_active_ingredients_per_syringe": 2, "same_family_limit": [], "contribution_in_words": words,
        "selection_weights": {"simplicity_per_active": own.pop("simplicity", "0.5")},
    }  # fmt: skip
    made = choosing(
        answer=answer, rules=own.pop("rules", {}), policy=policy, mixing=mixing,
        course={"cost_model": COST}, facts={"smoker": True}, shapes=SHAPES, **own,
    )  # fmt: skip
    check_contributions(made, set("ac"))
    return [f"{row.path.removeprefix('contributions')} {row.code}" for row in made.found]


def test_contributions_by_hand() -> None:
    """a: 3 × (3 + 2/2) - 3 × 2; c: the same less 3 × 3, and 1; b: 3 × 2/4, for a mixture more."""
    assert weighed("a") == []
    assert weighed("a", words=None, simplicity="0.8") == []  # much from 1.6, some from 0.8
    assert weighed("a", words=None) == [".c.serves differs", ".b.adds differs", ".b.serves differs"]
    assert weighed("a", words=None, simplicity="1.1") == [".c.serves differs"]
    assert weighed("b", words={"much_from": "1.5", "some_from": 1}) == [".b.adds differs", ".b.serves differs"]
    assert weighed("b", words={"much_from": 2, "some_from": "1.5"}) == [".c.serves differs"]
    assert weighed("b", words={"much_from": 2, "some_from": "1.6"}) == [
        ".c.serves differs", ".b.adds differs", ".b.serves differs",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "change", "found"),
    [
        ("a", {"gross": "6.1"}, ["gross"]), ("b", {"gross": "6"}, ["gross"]), ("a", {"adds": "some"}, ["adds"]),
        ("a", {"serves": []}, ["serves"]), ("c", {"needed": "1"}, ["needed", "cautions"]),
        ("b", {"needed_for": {"cautions": 1, "mixtures": 1}}, ["needed_for", "cautions"]),
        ("b", {"needed_for": {"cautions": 0, "mixtures": 0}}, ["needed_for"]),
        ("a", {"decided_by": "value"}, ["decided_by"]), ("c", {"first_choice_of": []}, ["first_choice_of"]),
        ("a", {"price": None}, ["price"]), ("c", {"price": "12.01"}, ["price"]), ("b", {"price": "1"}, ["price"]),
    ],
)  # fmt: skip
def test_each_figure_of_a_contribution_is_checked(key: str, change: dict[str, Any], found: list[str]) -> None:
    said = [path for path in found if not (path == "cautions" and key == "c")]
    assert weighed(key, row=change) == [f".{key}.{path} differs" for path in said]


def test_who_is_weighed() -> None:
    assert weighed("b", row={"held": True})[0] == ".held differs"
    assert weighed("b", reason="screened") == [".left_out differs"]
    assert weighed("b", twice=True) == [" ingredient_twice"]


def test_a_limit_that_keeps_an_ingredient_out() -> None:
    short: dict[str, Any] = {"policy": {"max_actives": 2}, "reason": "displaced"}
    right = {
        "needed": "0.5",
        "needed_for": {"cautions": 0, "mixtures": 0},
        "decided_by": "limit",
        "limit": "max_actives",
    }
    cautious: dict[str, Any] = {"rules": {"on_b": rule("caution", "b")}}
    assert weighed("b", row=right, **short) == weighed("b", row=right, **short, **cautious) == []
    assert weighed("b", row=right, reason="displaced", policy={"max_actives": 1}) == []  # of who is in nothing is asked
    assert weighed("b", row={**right, "limit": None}, **short) == [".b.limit wrong_limit"]
    assert weighed("b", row={**right, "limit": "pair"}, **short) == [".b.limit wrong_limit"]
    assert weighed("b", row={"limit": "max_actives"}) == [".b.limit wrong_limit"]
    by_hand = {**right, "decided_by": "by_hand", "limit": None}
    assert weighed("b", row=by_hand, **{**short, "reason": "removed_by_hand"}) == []
    assert weighed("b", row={"needed": "2.75", "needed_for": {"cautions": 1, "mixtures": 1}}, **cautious) == []


def test_an_ingredient_that_earns_just_its_keep_is_in_for_its_value() -> None:
    anchors = [
        {"key": "x", "anchors": {"first_choice": ["a", "b"], "supporting": []}},
        {"key": "y", "anchors": {"first_choice": [], "supporting": []}},
    ]
    own: dict[str, Any] = {
        "documents": {"concerns": {"concerns": anchors}}, "policy": {"simplicity": Decimal(4)},
        "others": {"a": {"needed": "4"}, "b": {"needed": "6"}},
    }  # fmt: skip
    row = {"needed": "4", "decided_by": "value", "first_choice_of": []}
    assert weighed("c", row=row, **{**own}) == []
    assert weighed("c", row={**row, "decided_by": "kept"}, **{**own}) == [".c.decided_by differs"]
