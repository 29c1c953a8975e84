"""Small tables for the engine's arithmetic: doses, mixtures, triggers, the search. Each number by hand."""

from __future__ import annotations

import copy
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from protocols.engine import ENGINE_VERSION, apply_edits, build_formulary, canonical_json, propose, verify
from protocols.engine.explain import contribution as adding
from protocols.engine.explain import waiting
from protocols.engine.explain.findings import shortcomings_of
from protocols.engine.inputs.model import FactShape, MixtureLimits, Settling
from protocols.engine.inputs.triggers import Every, Reason, Some, Test, build_trigger
from protocols.engine.mixing.dose import (
    Budget,
    Diluent,
    Limits,
    Mixture,
    Wanted,
    _raise_one,
    _Room,
    _scale_down,
    _spread,
    dose,
    fill,
)
from protocols.engine.mixing.drawing import Drawing
from protocols.engine.mixing.partition import Acidity, SyringeRules, clashes_of
from protocols.engine.mixing.select import Problem, Requirement, _Search, _worth_drawing, halving_sum
from protocols.engine.verify import Context, context_of
from protocols.engine.verify.course import schedule_asked_for
from protocols.formulary.loader import load_documents
from tests.protocols.test_selection import UNIT, _required, small
from tests.protocols.worked_cases import answer_of, by_id, man, starter

SALINE = 9
ANY = Acidity()


def water(*joins: bool, most: int = 100) -> Diluent:
    return Diluent(index=SALINE, most=most, joins=joins)


def limits(*rows: tuple[int, int, int]) -> dict[int, Limits]:
    return {i: Limits(least=least, usual=usual, most=most) for i, (least, usual, most) in enumerate(rows)}


# ---------------------------------------------------------------------- dose
@pytest.mark.parametrize(
    ("amount", "rooms", "poured"),
    [
        (0, [3, 3], [0, 0]), (-1, [3, 3], [0, 0]), (1, [0, 0], [0, 0]), (1, [3, 3], [1, 0]),
        (2, [3, 3], [1, 1]),
        (3, [3, 3], [2, 1]), (5, [1, 9], [1, 4]), (5, [9, 1], [5, 0]), (4, [2, 3, 5], [1, 1, 2]),
        (10, [2, 3, 5], [2, 3, 5]),
        (1, [1], [1]), (7, [10, 10, 10], [3, 2, 2]), (6, [1, 5, 5], [0, 3, 3]),
    ],
)  # fmt: skip
def test_diluent_is_spread_by_the_room_in_each_mixture(amount: int, rooms: list[int], poured: list[int]) -> None:
    assert _spread(amount, rooms) == poured


@pytest.mark.parametrize(
    ("joins", "share", "each", "total"),
    [
        ((True, True), Fraction(3, 4), [30, 15], 45),
        ((True, False), Fraction(3, 4), [30, 0], 30),
        ((False, False), Fraction(3, 4), [0, 0], 0),
        ((True, True), Fraction(1, 2), [10, 5], 15),
        ((True, True), Fraction(1, 3), [5, 2], 7),
        ((True, True), Fraction(0), [0, 0], 0),
    ],
)
def test_room_for_diluent_follows_the_share(
    joins: tuple[bool, ...], share: Fraction, each: list[int], total: int
) -> None:
    steps = {0: 4, 1: 6, 2: 5}
    room = _Room(groups=(0b011, 0b100), diluent=water(*joins), share=share)
    assert (room.each(steps), room.total(steps)) == (each, total)
    assert _Room(groups=(0b011, 0b100), diluent=water(*joins, most=4), share=share).total(steps) == min(4, total)


def test_room_without_a_diluent_is_none() -> None:
    room = _Room(groups=(0b01, 0b10), diluent=None, share=Fraction(3, 4))
    assert (room.each({0: 4, 1: 4}), room.total({0: 4, 1: 4})) == ([0, 0], 0)


@pytest.mark.parametrize(
    ("steps", "target", "left"),
    [
        ({0: 10, 1: 10}, 20, {0: 10, 1: 10}),
        ({0: 10, 1: 10}, 19, {0: 9, 1: 10}),  # equal shares: the earlier key first
        ({0: 10, 1: 10}, 18, {0: 9, 1: 9}),
        ({0: 10, 1: 10}, 25, {0: 10, 1: 10}),
        ({0: 12, 1: 10}, 21, {0: 11, 1: 10}),
        ({0: 10, 1: 10}, 7, {0: 2, 1: 5}),  # the first stops at its minimum
    ],
)
def test_volumes_are_scaled_down_a_step_at_a_time(steps: dict[int, int], target: int, left: dict[int, int]) -> None:
    least = {0: Limits(least=2, usual=10, most=20), 1: Limits(least=5, usual=10, most=20)}
    given = dict(steps)
    _scale_down(given, least, target)
    assert given == left


def test_minimums_above_the_target_are_a_mistake_in_code() -> None:
    with pytest.raises(ValueError, match="minimums"):
        _scale_down({0: 2, 1: 5}, limits((2, 10, 20), (5, 10, 20)), 6)


@pytest.mark.parametrize(
    ("steps", "rows", "budget", "raised"),
    [
        ((4, 4), ((1, 4, 8), (1, 4, 8)), None, (5, 4)),  # equal room: the earlier key
        ((4, 4), ((1, 4, 6), (1, 4, 8)), None, (4, 5)),  # a quarter of its room, not a half
        ((5, 4), ((1, 4, 8), (1, 4, 8)), None, (5, 5)),
        ((5, 5), ((1, 4, 8), (1, 4, 6)), None, (6, 5)),
        ((8, 4), ((1, 4, 8), (1, 4, 8)), None, (8, 5)),
        ((8, 8), ((1, 4, 8), (1, 4, 8)), None, None),
        ((4, 4), ((1, 4, 8), (1, 4, 8)), 12, None),  # 4 × 1 + 4 × 2 is all there is
        ((4, 4), ((1, 4, 8), (1, 4, 8)), 13, (5, 4)),
        ((4, 6), ((1, 2, 10), (1, 6, 10)), None, (4, 7)),  # 3 of 8 would be used there, 1 of 4 here
        ((4, 6), ((1, 4, 6), (1, 4, 9)), None, (5, 6)),  # 1 of 2, against 3 of 5
        ((4, 6), ((1, 4, 5), (1, 4, 9)), None, (4, 7)),  # 1 of 1, against 3 of 5
        ((8, 4), ((1, 4, 8), (1, 4, 8)), 17, None),  # only the dearer one has room, for 2
        ((8, 4), ((1, 4, 8), (1, 4, 8)), 18, (8, 5)),
    ],
)
def test_one_step_goes_where_least_of_the_room_is_used(
    steps: tuple[int, int], rows: tuple[tuple[int, int, int], ...], budget: int | None, raised: tuple[int, int] | None
) -> None:
    given = dict(enumerate(steps))
    prices = None if budget is None else Budget(most=budget, cost={0: 1, 1: 2})
    done = _raise_one(given, limits(*rows), prices)
    assert done is (raised is not None)
    assert given == dict(enumerate(raised or steps))


def test_without_a_budget_no_price_binds() -> None:
    given = {0: 4}
    assert _raise_one(given, limits((1, 4, 8)), Budget(most=0, cost={0: 1})) is False
    assert _raise_one(given, limits((1, 4, 8)), None) is True
    assert given == {0: 5}


def test_mixtures_are_filled_up_to_the_target_and_no_further() -> None:
    groups, steps = (0b011, 0b100), {0: 4, 1: 6, 2: 5}
    for target, poured in ((15, [0, 0]), (14, [0, 0]), (16, [1, 0]), (18, [2, 1]), (60, [30, 15]), (99, [30, 15])):
        mixtures = fill(groups, steps, target, water(True, True), Fraction(3, 4))
        assert [mixture.diluent_steps for mixture in mixtures] == poured
        assert [dict(mixture.steps) for mixture in mixtures] == [{0: 4, 1: 6}, {2: 5}]
        assert [mixture.diluent for mixture in mixtures] == [SALINE, SALINE]
        assert sum(mixture.total for mixture in mixtures) == 15 + sum(poured)
    (bare,) = fill((0b1,), {0: 4}, 9, None, Fraction(3, 4))
    assert bare == Mixture(steps={0: 4}, diluent=-1, diluent_steps=0)


@pytest.mark.parametrize(
    ("target", "diluent", "expected"),
    [
        (5, water(True), ((2, 3), 0)),  # scaled down
        (8, water(True), ((4, 4), 0)),
        (20, water(True), ((4, 4), 12)),  # thinned first
        (32, water(True), ((4, 4), 24)),
        (33, water(True), ((5, 4), 24)),  # then raised, no further than needed
        (36, water(True), ((5, 4), 27)),
        (37, water(True), ((5, 5), 27)),
        (20, water(True, most=4), ((8, 8), 4)),
        (21, water(True, most=4), ((8, 8), 4)),  # short, and stays short
        (9, None, ((5, 4), 0)),
        (20, None, ((8, 8), 0)),
    ],
)
def test_dose_thins_before_it_raises(
    target: int, diluent: Diluent | None, expected: tuple[tuple[int, int], int]
) -> None:
    (mixture,) = dose((0b11,), limits((1, 4, 8), (3, 4, 8)), target, diluent, Fraction(3, 4))
    assert ((mixture.steps[0], mixture.steps[1]), mixture.diluent_steps) == expected


def test_dose_keeps_the_budget_when_it_raises() -> None:
    (mixture,) = dose(
        (0b11,), limits((1, 4, 8), (1, 4, 8)), 16, None, Fraction(3, 4), budget=Budget(most=14, cost={0: 1, 1: 2})
    )
    assert dict(mixture.steps) == {0: 6, 1: 4}


WANTED = Wanted(osmolality=(1200, 290, None, 300), most=600, share=Fraction(1, 10))


@pytest.mark.parametrize(
    ("steps", "diluent", "total", "needed"),
    [
        ({0: 10}, 3, 50, 20),  # (12000 + 300 × 20) / 30 is 600
        ({0: 10}, 3, 400, 30),  # a tenth of 400
        ({0: 10}, 3, 401, 31),  # no less than a tenth
        ({1: 4}, 3, 50, 1), ({1: 4}, 3, 40, 0), ({1: 4}, 3, 41, 1),
        ({0: 10, 1: 10}, 3, 50, 10),  # 6000 too much, 3100 too little, for 300 each
        ({0: 10, 2: 1}, 3, 50, 0), ({0: 10, 2: 1}, 3, 200, 9),  # of an unknown one no estimate is made
        ({0: 10}, 0, 50, 0), ({0: 10}, 2, 50, 0),  # nor with a diluent that thins nothing, or that is unknown
    ],
)  # fmt: skip
def test_diluent_that_a_mixture_needs(steps: dict[int, int], diluent: int, total: int, needed: int) -> None:
    assert WANTED.steps(steps, diluent, total) == needed
    assert replace(WANTED, osmolality=(1201, 290, None, 300)).steps({0: 10}, 3, 50) == 21  # to the next whole step


def test_a_diluent_as_strong_as_the_limit_thins_nothing() -> None:
    for strength, needed in ((600, 0), (599, 6000)):
        assert replace(WANTED, osmolality=(1200, 290, None, strength)).steps({0: 10}, 3, 50) == needed


def test_a_mixture_is_too_small_below_its_share() -> None:
    mixture = Mixture(steps={0: 3}, diluent=3, diluent_steps=1)
    assert [WANTED.too_small(mixture, total) for total in (39, 40, 41)] == [False, False, True]


@pytest.mark.parametrize(
    ("steps", "target", "most", "poured"),
    [
        ((10, 10), 40, 100, [20, 0]),  # the first needs all there is
        ((10, 10), 50, 100, [23, 7]),  # it needs 20 of 30; the rest by the room that is left, 10 and 30
        ((10, 10), 60, 100, [20, 20]),
        ((1, 4), 20, 100, [3, 12]),  # alike, as that is enough
        ((10, 10), 60, 8, [8, 0]),
        ((10, 10), 20, 100, [0, 0]),
    ],
)
def test_mixtures_get_first_the_diluent_that_they_need(
    steps: tuple[int, int], target: int, most: int, poured: list[int]
) -> None:
    held = dict(enumerate(steps))
    water_ = Diluent(index=3, most=most, joins=(True, True))
    mixtures = fill((0b01, 0b10), held, target, water_, Fraction(3, 4), WANTED)
    assert [mixture.diluent_steps for mixture in mixtures] == poured
    bare = fill((0b01, 0b10), held, target, None, Fraction(3, 4), WANTED)
    assert [mixture.diluent_steps for mixture in bare] == [0, 0]


def test_diluent_that_is_short_is_shared_by_what_each_needs() -> None:
    both = Wanted(osmolality=(1200, 1200, None, 300), most=600, share=Fraction(1, 10))
    water_ = Diluent(index=3, most=100, joins=(True, True))
    pours = [
        [m.diluent_steps for m in fill((0b01, 0b10), {0: 10, 1: 5}, target, water_, Fraction(3, 4), both)]
        for target in (30, 45, 48)
    ]
    assert pours == [[10, 5], [20, 10], [22, 11]]


# ---------------------------------------------------------------------- partition
def rules(n: int, apart: set[tuple[int, int]] = frozenset(), **changes: Any) -> SyringeRules:  # type: ignore[assignment]
    masks = [sum(1 << b if a == i else 1 << a for a, b in apart if i in (a, b)) for i in range(n)]
    base: dict[str, Any] = {
        "apart": tuple(masks), "hurried": (0,) * n, "ph_low": (50,) * n, "ph_high": (70,) * n, "per_syringe": 5,
        "most": 3, "dilutable_mask": (1 << n) - 1,
    }  # fmt: skip
    return SyringeRules(**{**base, **changes})


def test_windows_that_touch_meet_and_others_clash() -> None:
    assert clashes_of((0, 0, 0), (40, 60, 61), (60, 70, 70), ANY) == (0b100, 0, 0b001)
    assert clashes_of((0b10, 0b01), (50, 50), (70, 70), ANY) == (0b10, 0b01)
    assert clashes_of((0,), (70,), (50,), ANY) == (0b1,), "a window that is none"


@pytest.mark.parametrize(
    ("made", "mask", "count", "groups"),
    [
        (rules(3), 0, 0, ()),
        (rules(3), 0b111, 1, (0b111,)),
        (rules(3, per_syringe=2), 0b111, 2, (0b011, 0b100)),
        (rules(3, per_syringe=3), 0b111, 1, (0b111,)),
        (rules(3, {(0, 1)}), 0b111, 2, (0b101, 0b010)),
        (rules(3, {(0, 1), (0, 2)}), 0b111, 2, (0b001, 0b110)),
        (rules(3, {(0, 1), (0, 2), (1, 2)}), 0b111, 3, (0b001, 0b010, 0b100)),
        (rules(3, {(0, 1), (0, 2), (1, 2)}, most=2), 0b111, 3, None),
        (rules(3, {(0, 1)}, hurried=(0b100, 0, 0b001)), 0b111, 2, (0b001, 0b110)),  # no hurried pair in one
        (rules(3, {(0, 1)}, dilutable_mask=0b110), 0b111, 2, (0b001, 0b110)),  # two dilutable, not one
        (rules(4, {(0, 1)}, per_syringe=2), 0b1111, 2, (0b0101, 0b1010)),
        (rules(2, ph_low=(50, 65), ph_high=(60, 70)), 0b11, 2, (0b01, 0b10)),
    ],
)
def test_mixtures_are_the_fewest_then_the_calmest(
    made: SyringeRules, mask: int, count: int, groups: tuple[int, ...] | None
) -> None:
    made = replace(made, counts={})  # nothing remembered
    assert made.fewest(mask) == count
    assert made.fits(mask) is (count <= 1)
    if groups is not None:
        assert made.best(mask) == groups


def test_only_a_pair_of_the_set_itself_keeps_it_apart() -> None:
    made = rules(4, {(0, 1)})
    assert [mask for mask in range(1, 16) if not made.fits(mask)] == [0b0011, 0b0111, 0b1011, 0b1111]


@pytest.mark.parametrize(
    ("made", "mask", "ways"),
    [
        (rules(3), 0, [()]),
        (rules(3), 0b111, [(0b111,)]),
        (rules(3, {(0, 1)}), 0b111, [(0b101, 0b010), (0b001, 0b110)]),
        (rules(3, {(0, 1)}, hurried=(0b100, 0, 0b001)), 0b111, [(0b001, 0b110), (0b101, 0b010)]),  # the calmest first
        (rules(3, {(0, 1)}, dilutable_mask=0b110), 0b111, [(0b001, 0b110), (0b101, 0b010)]),
        (rules(3, {(0, 1), (0, 2), (1, 2)}), 0b111, [(0b001, 0b010, 0b100)]),
    ],
)
def test_every_way_with_the_fewest_mixtures(made: SyringeRules, mask: int, ways: list[tuple[int, ...]]) -> None:
    assert list(made.ways(mask)) == ways
    assert not mask or made.best(mask) == ways[0]


ACIDS = ((50, 65, 66, 20, 25, 20, 55), (70, 80, 80, 38, 40, 80, 55))
"""Two usual windows, one that meets the first by too little, two acid ones, a wide one, and a point."""


@pytest.mark.parametrize(
    ("wish", "clashes"),
    [
        (Acidity(), ["34", "346", "346", "0126", "0126", "", "1234"]),
        (Acidity(width=5), ["2346", "346", "0346", "0126", "0126", "6", "012345"]),
        (Acidity(width=5, low=45, high=80), ["2346", "346", "0346", "01256", "01256", "346", "012345"]),
        (
            Acidity(width=5, low=45, high=80, unbuffered=0b100000),
            ["2346", "346", "0346", "0126", "0126", "6", "012345"],
        ),
        (Acidity(width=5, low=75), ["123456", "0346", "0346", "01256", "01256", "0346", "012345"]),
        (Acidity(width=5, high=30), ["23456", "3456", "03456", "0126", "0126", "0126", "012345"]),
    ],
)
def test_acidity_that_keeps_two_apart(wish: Acidity, clashes: list[str]) -> None:
    """By hand: with a width a meeting by 0.4 or a point is too little; of two acids neither need be elsewhere."""
    made = clashes_of((0,) * 7, *ACIDS, wish)
    assert ["".join(str(j) for j in range(7) if mask >> j & 1) for mask in made] == clashes


def test_a_window_may_begin_at_nothing() -> None:
    assert clashes_of((0, 0), (0, 0), (5, 10), Acidity(width=5)) == (0, 0)


# ---------------------------------------------------------------------- drawing
def drawing(*rows: tuple[int, int, int], apart: set[tuple[int, int]] = frozenset(), **changes: Any) -> Drawing:  # type: ignore[assignment]
    """Ingredients of these limits and, last, a diluent of which 100 steps may be given."""
    n = len(rows) + 1
    base: dict[str, Any] = {
        "rules": rules(n, apart, ph_low=(50,) * (n - 1) + (0,), ph_high=(70,) * (n - 1) + (140,)),
        "limits": tuple(limits(*rows, (0, 20, 100)).values()), "target": 40, "diluent": n - 1, "share": Fraction(3, 4),
        "budget": None, "cost": (1,) * n,
        "wanted": Wanted(osmolality=(290,) * n, most=600, share=Fraction(1, 10)),
    }  # fmt: skip
    return Drawing(**{**base, **changes})


def totals(drawn: tuple[Mixture, ...]) -> list[tuple[dict[int, int], int]]:
    return [(dict(mixture.steps), mixture.diluent_steps) for mixture in drawn]


def test_the_diluent_joins_where_nothing_keeps_it_out() -> None:
    made = drawing((1, 4, 8), (1, 4, 8), (1, 4, 8), apart={(0, 1), (1, 3)})
    assert made.diluent_for((0b101, 0b010)) == Diluent(index=3, most=100, joins=(True, False))
    assert made.diluent_for((0b111,)) == Diluent(index=3, most=100, joins=(False,))
    assert replace(made, diluent=-1).diluent_for((0b101, 0b010)) is None
    first = Drawing(
        rules=made.rules, limits=made.limits, target=9, diluent=0, share=made.share, budget=None, cost=made.cost,
        wanted=None,
    )  # fmt: skip
    assert first.diluent_for((0b100,)) == Diluent(index=0, most=8, joins=(True,))


def test_a_set_is_drawn_once_and_remembered() -> None:
    made = drawing((1, 4, 8), (1, 4, 8), apart={(0, 1)})
    groups, mixtures = made.draw(0b011)
    assert (groups, totals(mixtures)) == ((0b001, 0b010), [({0: 5}, 15), ({1: 5}, 15)])
    dry = made.draw(0b011, dry=True)
    assert totals(dry[1]) == [({0: 8}, 0), ({1: 8}, 0)]
    assert made.draw(0b011)[1] is mixtures and made.draw(0b011, dry=True) is dry
    assert made.draw(0) == ((), ())


def test_volumes_by_hand_change_no_mixture() -> None:
    made = drawing((1, 4, 8), (1, 4, 8), apart={(0, 1)})
    groups, mixtures = made.draw_with(0b011, {0: 2, 2: 9})
    assert (groups, totals(mixtures)) == ((0b001, 0b010), [({0: 2}, 6), ({1: 8}, 24)])
    assert totals(made.draw_with(0b011, {0: 2}, dry=True)[1]) == [({0: 2}, 0), ({1: 8}, 0)]
    assert totals(made.filled((0b001, 0b010), {0: 2, 1: 4})) == [({0: 2}, 6), ({1: 4}, 12)]


def test_the_budget_binds_what_is_drawn() -> None:
    made = drawing((1, 4, 8), budget=9, cost=(2, 1), diluent=-1)
    assert totals(made.draw(0b01)[1]) == [({0: 4}, 0)]
    assert totals(replace(made, budget=10, _drawn={}).draw(0b01)[1]) == [({0: 5}, 0)]


@pytest.mark.parametrize(
    ("volumes", "place"),
    [
        ((9, 1), None),
        ((91, 9), 1),
        ((9, 91), 0),
        ((8, 7, 85), 1),
        ((7, 8, 85), 0),
        ((7, 7, 86), 0),
        ((1,), None),
        ((), None),
    ],
)
def test_the_smallest_mixture_that_is_too_small(volumes: tuple[int, ...], place: int | None) -> None:
    mixtures = tuple(Mixture(steps={0: steps}, diluent=-1, diluent_steps=0) for steps in volumes)
    made = drawing((1, 4, 8))
    assert made.smallest(mixtures) == place
    assert replace(made, wanted=None).smallest(mixtures) is None


def test_another_way_is_drawn_where_the_first_has_too_small_a_mixture() -> None:
    """One of two steps, which may join either of two that stay apart; calmer it would be in a mixture of its own."""
    rows = ((30, 30, 30), (2, 2, 2), (8, 8, 8))
    made = drawing(*rows, apart={(0, 2)}, target=40, diluent=-1)
    assert (made.draw(0b111)[0], made.too_small(0b111)) == ((0b011, 0b100), 0)
    apart = drawing(*rows, apart={(0, 2), (0, 1)}, target=40, diluent=-1)
    assert (apart.draw(0b011)[0], apart.too_small(0b011)) == ((0b001, 0b010), 0b010)
    lone = drawing((30, 30, 30), (3, 3, 3), (2, 2, 2), apart={(0, 1)}, target=40, diluent=-1)
    assert lone.rules.best(0b111) == (0b101, 0b010)
    assert (lone.draw(0b111)[0], lone.too_small(0b111)) == ((0b001, 0b110), 0)
    assert (replace(lone, wanted=None, _drawn={}).draw(0b111)[0], lone.too_small(0)) == ((0b101, 0b010), 0)
    none = drawing((60, 60, 60), (3, 3, 3), (2, 2, 2), apart={(0, 1)}, target=99, diluent=-1)
    assert (none.draw(0b111)[0], none.too_small(0b111)) == ((0b101, 0b010), 0b010)


@pytest.mark.parametrize(
    ("ph", "volume", "osmolality", "short"),
    [
        (("5", "7"), "1", 600, []),
        (("4", "5"), "1", 300, []),
        (("4", "4.9"), "1", 300, ["ph_outside_limits"]),
        (("7.6", "9"), "1", 300, ["ph_outside_limits"]),
        (("5", "7"), "1", 610, ["osmolality_above_limit"]),
        (("5", "7"), "1", None, ["osmolality_unknown"]),
        (("5", "7"), "0.95", 300, ["small_syringe"]),  # of 10 mL
        (("2", "3"), "0.95", 610, ["ph_outside_limits", "osmolality_above_limit", "small_syringe"]),
    ],
)
def test_what_a_mixture_is_short_of(ph: tuple[str, str], volume: str, osmolality: int | None, short: list[str]) -> None:
    limits_ = MixtureLimits(
        ph_width=Decimal("0.5"), ph_min=Decimal("4.5"), ph_max=Decimal(8), osmolality_max=Decimal(600),
        smallest_share=Decimal("0.1"), sources=(),
    )  # fmt: skip
    row = {
        "ph_min": Decimal(ph[0]), "ph_max": Decimal(ph[1]), "volume_ml": Decimal(volume),
        "osmolality": {"estimate": osmolality, "unknown": [] if osmolality else ["a"]},
    }  # fmt: skip
    assert list(shortcomings_of(row, Decimal(10), limits_)) == short


# ---------------------------------------------------------------------- waiting
def a_setting(*settle: int | None) -> Any:
    """A patient with concerns that are looked at after so many days, or that do not settle by themselves."""
    kinds = {
        f"c{n}": SimpleNamespace(settles=days and Settling(review_days=days, rule=f"r{n}", sources=("s", f"s{n}")))
        for n, days in enumerate(settle)
    }
    general = Settling(review_days=84, rule="course.waiting", sources=("w", "v"))
    return SimpleNamespace(
        screening=SimpleNamespace(concerns=[SimpleNamespace(concern=key) for key in kinds]),
        formulary=SimpleNamespace(concerns=kinds, composition=SimpleNamespace(waiting=general)),
    )


@pytest.mark.parametrize(
    ("settle", "days", "by", "sources"),
    [
        ((70,), 70, ["r0"], ["s", "s0"]),
        ((70, 56), 56, ["r0", "r1"], ["s", "s0", "s1"]),
        ((70, None), 84, ["course.waiting"], ["v", "w"]),
        ((None,), 84, ["course.waiting"], ["v", "w"]),
    ],
)
def test_who_waits_is_looked_at_again(settle: Any, days: int, by: list[str], sources: list[str]) -> None:
    assert waiting.review(a_setting(*settle)) == {"days": days, "rules": by, "sources": sources}


@pytest.mark.parametrize(
    ("settle", "mask", "value", "codes"),
    [
        ((None,), 1, "0", []), ((None,), 1, "-0.1", ["value_below_zero"]), ((None,), 0, "0", ["no_mixture"]),
        ((None,), 0, "-1", ["no_mixture"]), ((70, None), 1, "1", []), ((70,), 1, "1", ["settles_by_itself"]),
        ((70, 56), 1, "-2", ["value_below_zero", "settles_by_itself"]),
    ],
)  # fmt: skip
def test_what_puts_waiting_first(settle: Any, mask: int, value: str, codes: list[str]) -> None:
    params = {
        "no_mixture": {}, "value_below_zero": {"value": Decimal(value)},
        "settles_by_itself": {"concerns": [f"c{n}" for n in range(len(settle))]},
    }  # fmt: skip
    told = waiting.reasons(a_setting(*settle), mask, Decimal(value))
    assert told == [{"code": code, "params": params[code]} for code in codes]


def test_waiting_as_an_alternative() -> None:
    row = waiting.alternative(a_setting(70), 1, Decimal("2.5"), Decimal("30.00"), "EUR")
    nothing = {"code": "nothing_injected", "params": {}}
    assert row == {
        "kind": "waiting", "ingredients": [], "value": "0", "value_difference": "-2.5", "lines": [],
        "sessions": [], "cost_total": "0", "cost_difference": "-30",
        "trades": [nothing, {"code": "cheaper", "params": {"amount": Decimal("30.00"), "currency": "EUR"}}],
        "review": {
            "days": 70, "rules": ["r0"], "sources": ["s", "s0"],
            "because": [{"code": "settles_by_itself", "params": {"concerns": ["c0"]}}],
        },
    }  # fmt: skip
    none = waiting.alternative(a_setting(None), 0, Decimal(0), Decimal(0), None)
    assert (none["trades"], str(none["value_difference"])) == ([nothing], "0"), "no minus before nothing"


# ---------------------------------------------------------------------- what each ingredient adds
def a_proposal(mask: int, **changes: Any) -> Any:
    """Four ingredients, the first two apart; one of the first two and the third raise a caution each."""
    own: dict[str, Any] = {"mask": mask, "engine_mask": mask, "steps": [{}], **changes}
    apart = SyringeRules(
        apart=(0b10, 0b01, 0, 0), hurried=(0,) * 4, ph_low=(5,) * 4, ph_high=(7,) * 4, per_syringe=5, most=3
    )
    problem = small(
        benefits=({0: 80, 1: 40, 2: 40}, {2: 8}), simplicity=3, caution=5, syringe=7, caution_masks=(0b0011, 0b0100),
        syringes=apart, most=own.get("most", 3), requirements=tuple(
            Requirement(level=0, concern=concern, first_choice="-", index=i, substitute=stands)
            for concern, i, stands in own.get("required", ())
        ),
    )  # fmt: skip
    items = [SimpleNamespace(key=f"i{i}", index=i, cost_per_ml=Decimal(i + 1)) for i in range(4)]
    formulary = SimpleNamespace(
        by_index=items, ingredients={item.key: item for item in items},
        composition=SimpleNamespace(much=Decimal(60), some=Decimal(18)),
        cost=SimpleNamespace(ingredient_unit=Decimal(4), packages={2: Decimal("0.9")}),
    )  # fmt: skip
    sessions = [(SimpleNamespace(steps=held),) for held in own["steps"]]
    return SimpleNamespace(
        mask=mask, engine_mask=own["engine_mask"],
        composition=None if own.get("none") else SimpleNamespace(
            mask=mask, plan=SimpleNamespace(offsets=(0,) * len(sessions)), of_session=lambda n: sessions[n - 1]
        ),
        setting=SimpleNamespace(
            problem=problem, formulary=formulary, policy=SimpleNamespace(price_per_unit=Decimal("1.5")),
            decimal_value=Decimal, volume_ml=lambda steps: steps * Decimal("0.05"),
            screening=SimpleNamespace(concerns=[SimpleNamespace(concern="x"), SimpleNamespace(concern="y")]),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mask", "i", "held", "changes", "figures"),
    [
        (0b0001, 0, True, {}, (80, "much", 8, 1, 0)),  # 3 and a caution
        (0b0011, 0, True, {}, (60, "much", 10, 0, 1)),  # 80 + 40/2 - 40; the caution is there without it
        (0b0011, 1, True, {}, (20, "some", 10, 0, 1)),  # the half of 40
        (0b0011, 2, False, {}, (18, "some", 8, 1, 0)),  # a quarter of 40, and 8; it joins one of two mixtures
        (0b0101, 1, False, {}, (10, "little", 10, 0, 1)),  # a quarter of 40, as the third serves as well
        (0b0011, 2, False, {"most": 2}, (18, "some", 3, 0, 0)),  # no room: its own place at least
        (0b0101, 1, False, {"most": 2}, (10, "little", 3, 0, 0)),
        (0b0011, 1, True, {"most": 1}, (20, "some", 10, 0, 1)),
        (0b0001, 3, False, {}, (0, "little", 3, 0, 0)),
    ],
)
def test_what_an_ingredient_adds_and_has_to_earn(
    mask: int, i: int, held: bool, changes: dict[str, Any], figures: tuple[int, str, int, int, int]
) -> None:
    row = adding._row(a_proposal(mask, **changes), i, held=held)
    needed_for = row["needed_for"]
    told = (Decimal(row["gross"]), row["adds"], Decimal(row["needed"]), needed_for["cautions"], needed_for["mixtures"])
    assert (row["ingredient"], row["held"], told) == (f"i{i}", held, figures)
    assert (row["limit"], row["price"]) == (None, "0" if held else None)


def test_which_concerns_an_ingredient_serves_and_how_much() -> None:
    made = a_proposal(0b0110)
    assert adding._row(made, 2, held=True)["serves"] == [
        {"concern": "x", "value": "20", "much": "some"}, {"concern": "y", "value": "8", "much": "little"},
    ]  # fmt: skip
    assert adding._row(made, 1, held=True)["serves"] == [{"concern": "x", "value": "20", "much": "some"}]
    assert adding._row(made, 3, held=False)["serves"] == []
    assert [adding.served({0: 80, 1: 40, 2: 40}, mask) for mask in (0, 0b1, 0b111, 0b110, 0b1000)] == [
        0,
        80,
        110,
        60,
        0,
    ]


def test_which_rule_holds_an_ingredient() -> None:
    """First somebody's hand, then a first choice, then the value."""
    first, stands = ("x", 1, False), ("y", 1, True)
    for required, by in (((), "value"), ((first,), "first_choice"), ((stands,), "stands_in"),
                         ((first, stands), "first_choice"), ((("x", 0, False),), "value")):  # fmt: skip
        row = adding._row(a_proposal(0b0011, required=required), 1, held=True)
        assert (row["decided_by"], row["first_choice_of"]) == (by, [c for c, i, _ in required if i == 1])
        assert adding._row(a_proposal(0b0011, required=required, engine_mask=None), 1, held=True)["decided_by"] == by
        by_hand = adding._row(a_proposal(0b0011, required=required, engine_mask=0b0101), 1, held=True)
        assert by_hand["decided_by"] == "by_hand"
    made = a_proposal(0b0011)
    assert [adding._kept_by(made, 1, gross, 10) for gross in (11, 10, 9)] == ["value", "value", "kept"]


def test_what_an_ingredient_costs_in_the_course() -> None:
    def price(i: int, *steps: dict[int, int]) -> Decimal:
        return Decimal(adding._row(a_proposal(0b0011, steps=steps), i, held=True)["price"] or "")

    assert price(0, {0: 20, 1: 9}) == Decimal("6.00")  # 1 mL × 1 × 4 × 1.5
    assert price(1, {0: 20, 1: 10}) == Decimal("6.00")  # 0.5 mL × 2 × 4 × 1.5
    assert price(1, {0: 20, 1: 10}, {0: 20}) == Decimal("5.40")  # a tenth less for two sessions
    assert price(0, {0: 20}, {0: 10}, {0: 1}) == Decimal("9.30")
    assert adding._row(a_proposal(0b0011, none=True), 1, held=True)["price"] is None


def test_who_is_told_of_and_why() -> None:
    left = [
        {"ingredient": key, "reason_code": code, "params": params}
        for key, code, params in (
            ("i3", "displaced", {"limit": "family"}), ("i2", "adds_too_little", {"limit": "budget"}),
            ("i1", "screened", {}),
        )
    ]  # fmt: skip
    rows = adding.contributions(a_proposal(0b0011), left[:2])
    assert [(row["ingredient"], row["held"], row["decided_by"], row["limit"]) for row in rows] == [
        ("i0", True, "value", None), ("i1", True, "value", None), ("i3", False, "limit", "family"),
        ("i2", False, "value", "budget"),
    ]  # fmt: skip
    assert [row["ingredient"] for row in adding.contributions(a_proposal(0b0001), left)] == ["i0", "i3", "i2"]
    assert adding.contributions(a_proposal(0b0001, none=True), left) == []
    by = {code: adding._left_out_by({"reason_code": code}) for code in adding.WORDED}
    assert by == {
        "adds_too_little": "value", "not_chosen": "by_hand", "removed_by_hand": "by_hand", "displaced": "limit",
    }  # fmt: skip


# ---------------------------------------------------------------------- triggers
NUMBER = FactShape(key="n", type="number", values=(), minimum=Decimal(0), maximum=Decimal(99))
FLAG = FactShape(key="b", type="boolean", values=(), minimum=None, maximum=None)
MANY = FactShape(key="m", type="list", values=("a", "b", "c"), minimum=None, maximum=None)
WOMEN = FactShape(
    key="w", type="boolean", values=(), minimum=None, maximum=None, only_if_fact="sex", only_if_value="female"
)
SHAPES = {shape.key: shape for shape in (NUMBER, FLAG, MANY, WOMEN)}


def test_(fact: str, op: str, value: Any) -> Test:
    made = build_trigger({"fact": fact, "op": op, "value": value}, SHAPES)
    assert isinstance(made, Test)
    return made


test_.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("op", "value", "below", "at", "above", "unanswered"),
    [
        ("lt", 5, True, False, False, False),
        ("lte", 5, True, True, False, False),
        ("gt", 5, False, False, True, False),
        ("gte", 5, False, True, True, False),
        ("is", 5, False, True, False, False),
        ("is_not", 5, True, False, True, True),
        ("in", [5, 6], False, True, True, False),
    ],
)
def test_each_comparison_at_its_edge(op: str, value: Any, below: bool, at: bool, above: bool, unanswered: bool) -> None:
    made = test_("n", op, value)
    cases = [{"n": Decimal(4)}, {"n": Decimal(5)}, {"n": Decimal(6)}, {}]
    assert [made.holds(answers) for answers in cases] == [below, at, above, unanswered]
    assert made.may_hold({}) is True
    assert [list(made.deciding(answers)) for answers in cases] == [[], [], [], ["n"]]


@pytest.mark.parametrize(
    ("op", "value", "holds", "told"),
    [
        ("includes", "a", [False, True, True], ("a",)),
        ("includes_any", ["a", "c"], [False, True, True], ("a", "c")),
        ("is_not_empty", True, [False, True, True], ("a", "b", "c")),
        ("is_not_empty", False, [True, False, False], None),
    ],
)
def test_each_test_of_a_list(op: str, value: Any, holds: list[bool], told: tuple[str, ...] | None) -> None:
    made = test_("m", op, value)
    assert [made.holds({"m": answer}) for answer in ((), ("a",), ("a", "b", "c"))] == holds
    assert made.holds({}) is False
    if told is not None:
        (reason,) = made.reasons({"m": ("a", "b", "c")})
        assert reason.answer == told


def test_only_the_answers_that_were_looked_for_are_told() -> None:
    """Also where one word is part of another, and where an answer is no list."""
    for op, value in (("includes", "ab"), ("includes_any", ["ab"])):
        (reason,) = test_("m", op, value).reasons({"m": ("a", "ab", "abc")})
        assert reason.answer == ("ab",)
    (reason,) = test_("m", "includes", "a").reasons({"m": "ab"})
    assert reason.answer == "ab"


def test_numbers_of_a_trigger_are_exact() -> None:
    assert test_("n", "lt", 0.3).value == test_("n", "lt", "0.3").value == Decimal("0.3")
    assert test_("n", "in", [0.3, 1]).value == (Decimal("0.3"), Decimal(1))


def test_an_unknown_operation_is_a_mistake_in_code() -> None:
    with pytest.raises(ValueError, match="unknown operation"):
        Test(fact="n", op="near", value=1, shape=NUMBER).holds({"n": 1})


def test_triggers_join_their_parts() -> None:
    every = build_trigger(
        {"all": [{"fact": "b", "op": "is", "value": True}, {"fact": "n", "op": "gt", "value": 5}]}, SHAPES
    )
    some = build_trigger(
        {"any": [{"fact": "b", "op": "is", "value": True}, {"fact": "n", "op": "gt", "value": 5}]}, SHAPES
    )
    assert isinstance(every, Every) and isinstance(some, Some)
    both, one, none = {"b": True, "n": 6}, {"b": True, "n": 5}, {"b": False, "n": 5}
    assert [every.holds(answers) for answers in (both, one, none)] == [True, False, False]
    assert [some.holds(answers) for answers in (both, one, none)] == [True, True, False]
    assert [every.may_hold(answers) for answers in ({}, {"b": True}, {"b": False})] == [True, True, False]
    assert [some.may_hold(answers) for answers in ({}, {"b": False}, none)] == [True, True, False]
    assert list(every.deciding({"b": True})) == ["n"]
    assert list(some.deciding({"b": False})) == ["n"]
    parts = [{"fact": "b", "op": "is", "value": True}, {"fact": "n", "op": "gt", "value": 5}]
    lost = build_trigger({"any": [{"all": parts}]}, SHAPES)
    assert (list(lost.deciding({"b": False})), list(lost.deciding({"b": True}))) == ([], ["n"])
    assert list(every.facts()) == list(some.facts()) == ["b", "n"]
    flag = Reason(fact="b", op="is", value=True, answer=True)
    number = Reason(fact="n", op="gt", value=Decimal(5), answer=6)
    assert list(every.reasons(both)) == list(some.reasons(both)) == [flag, number]
    assert list(every.reasons(one)) == [] and list(some.reasons(one)) == [flag]


def test_a_fact_that_cannot_apply_is_not_asked() -> None:
    made = test_("w", "is", True)
    for answers, may in (({}, True), ({"sex": "female"}, True), ({"sex": "male"}, False)):
        assert made.may_hold(answers) is may
        assert list(made.deciding(answers)) == (["w"] if may else [])
    assert (
        list(build_trigger({"any": [{"fact": "w", "op": "is", "value": True}]}, SHAPES).deciding({"sex": "male"})) == []
    )


# ---------------------------------------------------------------------- the search
@pytest.mark.parametrize(("falling", "total"), [([], 0), ([8], 8), ([8, 8], 12), ([8, 4, 4], 11), ([7], 7)])
def test_each_further_ingredient_counts_half(falling: list[int], total: int) -> None:
    assert halving_sum(falling) == total


def test_a_requirement_without_an_ingredient_is_met_by_none() -> None:
    problem = propose(man(), starter()).setting.problem
    lone = Requirement(level=0, concern="x", first_choice="y", index=-1, substitute=False)
    assert replace(problem, requirements=(lone,)).met((1 << 44) - 1) == (0, 0, 0)


def test_whether_an_ingredient_earns_its_keep() -> None:
    """The second adds the half of 40 to 80."""
    for simplicity, cost, earns in ((19, 10, True), (20, 10, False), (20, 1, False), (20, 0, True), (21, 0, False)):
        problem = small(benefits=({0: 80, 1: 40},), simplicity=simplicity, cost_index=(10, cost, 10, 10))
        assert (problem.earns(0b11, 1), problem.earns(0b11, 0)) == (earns, True)


def drawn_problem(*steps: int, apart: set[tuple[int, int]], **changes: Any) -> Problem:
    """Three ingredients, each of one volume only, without a diluent; the third is wanted for what it adds."""
    made = drawing(*((each, each, each) for each in steps), apart=apart, target=99, diluent=-1)
    base: dict[str, Any] = {"benefits": ({2: UNIT},), "most": 3, **changes}
    return small(candidates=0b111, drawing=made, syringes=made.rules, min_steps=(*steps, 1), **base)


def test_a_set_is_taken_where_each_earns_its_place_and_is_worth_drawing() -> None:
    problem = drawn_problem(30, 3, 2, apart={(0, 1)})
    taken = {free: [_Search(problem, {}, free=free)._taken(mask) for mask in (0b101, 0b111, 0b011)] for free in (1, 3)}
    assert taken == {1: [True, False, False], 3: [True, True, False]}  # the second adds nothing; two are too small
    assert _Search(problem, {})._taken(0b011) is True
    assert _Search(replace(problem, drawing=None), {}, free=0b011)._taken(0b011) is True


@pytest.mark.parametrize(
    ("steps", "requirements", "changes", "chosen"),
    [
        ((30, 3, 2), ((0, 0), (1, 1)), {}, 0b111),  # 3 of 33 is too small; with the third, 5 of 35, it comes back
        ((3, 30, 2), ((1, 0), (0, 1)), {}, 0b111),
        ((30, 3, 2), ((0, 0), (1, 1), (2, -1)), {}, 0b111),
        ((30, 3, 2), ((0, 0), (1, 1)), {"most": 2}, 0b101),
        ((60, 3, 2), ((0, 0), (1, 1)), {}, 0b101),  # 5 of 65
        ((30, 3, 2), ((0, 0), (1, 1)), {"benefits": ({},)}, 0b001),
    ],
)  # fmt: skip
def test_a_requirement_comes_back_beside_those_that_make_its_syringe_useful(
    steps: tuple[int, ...], requirements: tuple[tuple[int, int], ...], changes: dict[str, Any], chosen: int
) -> None:
    problem = drawn_problem(*steps, apart={(0, 1)}, requirements=_required(*requirements), **changes)
    assert _worth_drawing(problem, 0b011) == chosen


# ---------------------------------------------------------------------- the corners that nothing else reaches
def test_a_plain_value_has_a_canonical_form() -> None:
    assert [canonical_json(value) for value in ("é", 1, None, True)] == ['"é"'.encode(), b"1", b"null", b"true"]


def test_the_engine_of_today_is_spoken_and_an_unknown_one_is_not() -> None:
    proposal = propose(by_id("C03"), starter())
    assert proposal.as_said_by(ENGINE_VERSION) == (proposal.as_dict(),)
    assert proposal.as_said_by("0.1") == ()


def test_alternative_without_room_for_a_volume_set_by_hand_is_dosed_anew() -> None:
    """4.5 mL in all: 2.5 mL of one fits beside two others, not beside three."""
    case = man(zones=[{"zone": "frontal", "area_cm2": "80"}, {"zone": "mid_scalp", "area_cm2": "100"}])
    edit = {"op": "set_volume", "ingredient": "pdrn", "volume_ml": "2.5"}
    result = apply_edits(case, starter(), None, [edit])
    answer = result.proposal.as_dict()
    volumes = {
        len(row["ingredients"]): {line["ingredient"]: line["volume_ml"] for line in row["lines"]}
        for row in answer["alternatives"]
    }

    assert (result.refusals, answer["target_volume_ml"]) == ((), "4.5")
    assert volumes[4]["pdrn"] != "2.5" and sum(map(Decimal, volumes[4].values())) == Decimal("4.5")
    assert volumes[3].get("pdrn", "2.5") == "2.5"
    assert verify(answer, case, starter()) == ()


def test_second_calculation_knows_a_pair_by_class() -> None:
    documents = copy.deepcopy(load_documents())
    pair = {**documents["screening"]["incompatibilities"][0], "key": "by_class"}
    classes = {thing["key"]: thing["class"] for thing in documents["ingredients"]["ingredients"]}
    pair |= {
        "a": {"class": classes["acetyl_tetrapeptide_3"]},
        "b": "biochanin_a",
        "severity": "separate_syringe",
        "scope": "syringe",
    }
    documents["screening"]["incompatibilities"].append(pair)
    apart = build_formulary(documents)

    answer = propose(by_id("C03"), apart).as_dict()

    assert len(answer["syringes"]) == 2
    assert verify(answer, by_id("C03"), apart) == ()
    assert "forbidden_in_one_syringe" in {row.code for row in verify(answer_of(by_id("C03")), by_id("C03"), apart)}


def test_second_calculation_finds_an_unknown_schedule_in_the_edits() -> None:
    answer = copy.deepcopy(answer_of(by_id("C03")))
    answer["edits"] = [{"op": "set_schedule", "schedule": "never"}]
    assert "unreadable" in {row.code for row in verify(answer, by_id("C03"), starter())}


def test_second_calculation_finds_a_course_where_no_even_one_keeps_the_rule() -> None:
    documents = copy.deepcopy(load_documents())
    band = next(row for row in documents["course"]["sessions"]["by_severity"] if row["severity"] == "moderate")
    band["interval"] = {**band["interval"], "max": band["interval"]["min"]}
    band["default_offsets"] = {**band["default_offsets"], "values": [0, 1, 2, 3, 4, 5]}
    band["alternative_schedules"] = []
    band["span"] = {**band["span"], "min": 500, "max": 600}
    second = _second(documents)
    vars(second)["severity"] = {"androgenetic_alopecia": "moderate"}
    assert schedule_asked_for(second, band) == ("even", answer_of(by_id("C03"))["course"]["offsets_days"])


def _second(documents: dict[str, Any]) -> Context:
    from protocols.engine import Policy, parse_case

    formulary = build_formulary(documents)
    case = parse_case(by_id("C03"), formulary)
    return context_of(answer_of(by_id("C03")), case, formulary, Policy.default(formulary), None)


def test_alternative_that_leaves_an_ingredient_out_too_early_is_found() -> None:
    case = man(
        concerns=[{"concern": "androgenetic_alopecia", "severity": "severe"}],
        formulary_overrides={"activate": ["dutasteride"]},
    )
    answer = copy.deepcopy(answer_of(case))
    row = next(row for row in answer["alternatives"] if row["sessions"])
    row["sessions"][0]["lines"] = row["lines"]

    assert "own_interval_broken" in {found.code for found in verify(answer, case, starter())}
    row["sessions"][0]["lines"] = []
    assert "left_out_of_a_session" in {found.code for found in verify(answer, case, starter())}
    row["sessions"][0]["lines"] = [{**row["lines"][0], "ingredient": "water_for_injections"}]
    assert "not_for_topping_up" in {found.code for found in verify(answer, case, starter())}
