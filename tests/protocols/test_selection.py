"""The search is exact: it agrees with brute force on small instances and with a MILP solver on large ones."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from protocols.engine.inputs.model import bits
from protocols.engine.mixing.partition import SyringeRules
from protocols.engine.mixing.select import Problem, Requirement, _bonus, _Search, select
from tests.protocols.references import (
    SHIFT,
    brute_force,
    brute_force_drawn,
    met,
    random_problem,
    set_partitions,
    solve_milp,
    volumes,
    with_acidity,
    with_drawing,
    worth,
    worth_drawing,
)
from tests.protocols.worked_cases import count

UNIT = 1000 << SHIFT
PINNED = [
    4,
    4,
    3,
    16,
    9,
    10,
    5,
    7,
    5,
    68,
    7,
    15,
    21,
    4,
    15,
    22,
    6,
    10,
    8,
    4,
    3,
    11,
    3,
    6,
    8,
    7,
    4,
    91,
    9,
    25,
    34,
    15,
    30,
    27,
    17,
    14,
    69,
    29,
    7,
    11,
    4,
    4,
    4,
    4,
    3,
    16,
    6,
    8,
]


@pytest.mark.parametrize("block", range(4))
def test_selection_agrees_with_brute_force(block: int) -> None:
    rng = random.Random(f"brute force {block}")
    for _ in range(count(40, 500)):
        problem = random_problem(rng, ingredients=rng.randrange(1, 11), concerns=rng.randrange(1, 5))

        assert bits(select(problem)) == brute_force(problem)


@pytest.mark.parametrize("block", range(2))
def test_selection_agrees_with_a_milp_solver(block: int) -> None:
    rng = random.Random(f"milp {block}")
    for number in range(count(5, 1000)):
        largest = number % 25 == 24
        size, concerns = (60, 8) if largest else (rng.randrange(12, 41), rng.randrange(2, 7))
        problem = random_problem(rng, ingredients=size, concerns=concerns)

        chosen = bits(select(problem))
        counts, value = solve_milp(problem)

        assert met(problem, chosen) == counts
        assert worth(problem, chosen) / UNIT == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("block", range(4))
def test_selection_agrees_with_brute_force_where_the_ph_is_limited(block: int) -> None:
    rng = random.Random(f"acidity {block}")
    for _ in range(count(30, 500)):
        problem = with_acidity(rng, random_problem(rng, ingredients=rng.randrange(1, 11), concerns=rng.randrange(1, 5)))

        assert bits(select(problem)) == brute_force(problem)


def test_selection_agrees_with_a_milp_solver_where_the_ph_is_limited() -> None:
    rng = random.Random("milp with acidity")
    for _ in range(count(8, 500)):
        size = rng.randrange(12, 31)
        problem = with_acidity(rng, random_problem(rng, ingredients=size, concerns=rng.randrange(2, 6)))

        chosen = bits(select(problem))

        counts, value = solve_milp(problem)
        assert met(problem, chosen) == counts
        assert worth(problem, chosen) / UNIT == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("block", range(4))
def test_selection_agrees_with_brute_force_where_syringes_may_be_too_small(block: int) -> None:
    rng = random.Random(f"drawing {block}")
    changed = 0
    for _ in range(count(30, 500)):
        problem = random_problem(rng, ingredients=rng.randrange(1, 9), concerns=rng.randrange(1, 5), most=6)
        problem = with_drawing(rng, with_acidity(rng, problem))

        chosen = bits(select(problem))

        assert chosen == brute_force_drawn(problem)
        changed += chosen != brute_force(problem)
    assert changed, "some of them have a syringe too small"


def test_volumes_agree_with_steps_put_in_order() -> None:
    rng = random.Random("volumes")
    for _ in range(count(150, 3000)):
        problem = with_drawing(rng, random_problem(rng, ingredients=8, concerns=1))
        members = rng.sample(range(8), k=rng.randrange(1, 6))
        mask = sum(1 << i for i in members)
        if problem.obstacle(mask) or problem.drawing is None:
            continue
        groups, mixtures = problem.drawing.draw(mask)

        assert [each.total for each in mixtures] == volumes(problem, [bits(group) for group in groups])
        assert (problem.drawing.smallest(mixtures) is None) == worth_drawing(problem, members)


def small(**changes: object) -> Problem:
    n = 4
    base = Problem(
        candidates=(1 << n) - 1,
        benefits=({0: UNIT, 1: UNIT, 2: UNIT},),
        simplicity=0,
        caution=0,
        syringe=0,
        caution_masks=(),
        families=(),
        never_together=(0,) * n,
        min_steps=(1,) * n,
        target_steps=100,
        budget=None,
        usual_cost=(1,) * n,
        most=1,
        syringes=SyringeRules(
            apart=(0,) * n, hurried=(0,) * n, ph_low=(5,) * n, ph_high=(7,) * n, per_syringe=5, most=3
        ),
        cost_index=(10, 10, 10, 10),
        requirements=(),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_equal_values_are_settled_by_the_lower_cost_index() -> None:
    assert bits(select(small(cost_index=(12, 11, 10, 1)))) == [2]


def test_equal_values_and_costs_are_settled_by_key_order() -> None:
    assert bits(select(small())) == [0]
    assert bits(select(small(benefits=({2: UNIT, 1: UNIT},)))) == [1]


def test_an_ingredient_that_earns_just_its_keep_is_left_out() -> None:
    assert select(small(simplicity=UNIT)) == 0
    assert bits(select(small(simplicity=UNIT - 1))) == [0]


def test_an_ingredient_that_earns_nothing_and_costs_nothing_follows_key_order() -> None:
    free = small(most=2, benefits=({1: UNIT},), simplicity=0, cost_index=(0, 0, 0, 0))

    assert bits(select(free)) == brute_force(free)


def test_second_ingredient_for_a_concern_counts_half() -> None:
    two = small(most=2, simplicity=UNIT // 2)
    assert bits(select(two)) == [0]
    assert bits(select(replace(two, simplicity=UNIT // 2 - 1))) == [0, 1]


def _required(*entries: tuple[int, int]) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(level=level, concern=f"c{i}", first_choice=f"i{i}", index=i, substitute=False)
        for level, i in entries
    )


def test_requirement_gives_way_to_a_more_severe_concern_only() -> None:
    one_family = small(most=3, families=((0b011, 1),), benefits=({0: UNIT, 1: 9 * UNIT},))

    assert bits(select(replace(one_family, requirements=_required((0, 0), (1, 1))))) == [0]
    assert bits(select(replace(one_family, requirements=_required((1, 0), (0, 1))))) == [1]


def test_requirements_of_equal_severity_are_met_as_many_as_fit_then_by_value() -> None:
    crowded = small(
        most=3,
        never_together=(0b110, 0b001, 0b001, 0),
        benefits=({0: 9 * UNIT, 1: UNIT, 2: UNIT},),
        requirements=_required((1, 0), (1, 1), (1, 2)),
    )

    assert bits(select(crowded)) == [1, 2]


def test_requirement_is_kept_even_where_it_costs_value() -> None:
    assert bits(select(small(simplicity=5 * UNIT, requirements=_required((2, 3))))) == [3]


def test_requirement_that_nothing_can_meet_is_no_requirement() -> None:
    assert bits(select(small(requirements=_required((0, -1))))) == [0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"target_steps": 2}, [0, 1]),  # room for the minimum volumes of two
        ({"target_steps": 0}, []),
        ({"budget": 2}, [0, 1]),
        ({"budget": 1}, [0]),
        ({"families": ((0b111, 1),)}, [0]),
        ({"never_together": (0b10, 0b01, 0, 0)}, [0, 2]),
        ({"most": 2}, [0, 1]),
    ],
)
def test_each_capacity_binds_at_its_edge(change: dict[str, object], expected: list[int]) -> None:
    assert bits(select(small(**{"most": 4, **change}))) == expected


def test_syringes_bind() -> None:
    apart = SyringeRules(
        apart=(0b110, 0b101, 0b011, 0), hurried=(0,) * 4, ph_low=(5,) * 4, ph_high=(7,) * 4, per_syringe=5, most=2
    )

    assert bits(select(small(most=4, syringes=apart))) == [0, 1]


def test_the_search_tries_as_many_sets_as_it_did() -> None:
    """A bound that is looser tries more; one that is too tight fewer. Pinned, so that either shows in review."""
    rng = random.Random("nodes")
    tried: list[int] = []
    for _ in range(16):
        problem = random_problem(rng, ingredients=30, concerns=5)
        wanted = sum(1 << i for i in {row.index for row in problem.requirements})
        for core, bonus in ((0, {}), (0, _bonus(problem)), (wanted if problem.feasible(wanted) else 1, {})):
            search = _Search(problem, bonus)
            search.begin(core, problem.candidates & ~core)
            tried.append(search.nodes)
            best = search.best
            gained = sum(amount for i, amount in bonus.items() if best.mask >> i & 1)
            assert (best.value, best.cost) == (problem.value(best.mask) + gained, problem.cost(best.mask))

    assert tried == PINNED


def test_a_caution_is_charged_once() -> None:
    cautioned = small(
        most=2, benefits=({0: 10 * UNIT}, {1: UNIT}), caution=5 * UNIT, caution_masks=(0b1000, 0b0011)
    )  # fmt: skip
    assert bits(select(cautioned)) == [0, 1]
    search = _Search(cautioned, {})
    search.begin(0b01, 0b10)
    assert (search.best.mask, search.best.value) == (0b11, 6 * UNIT)


def test_a_requirement_is_worth_more_than_any_value() -> None:
    problem = small(
        benefits=({0: 80, 1: 40}, {1: 8}), simplicity=3, caution=5, syringe=7, caution_masks=(0b11, 0b100), most=2,
        requirements=_required((0, 0), (0, 1), (2, 1), (1, 2), (1, -1)),
    )  # fmt: skip
    worth = 80 + 40 + 8 + 2 * 3 + 2 * 5 + 2 * 7 + 1
    assert _bonus(problem) == {0: 25 * worth, 1: 26 * worth, 2: 5 * worth}


def test_limits_are_named_in_their_order() -> None:
    all_apart = SyringeRules(
        apart=(0b110, 0b101, 0b011, 0), hurried=(0,) * 4, ph_low=(5,) * 4, ph_high=(7,) * 4, per_syringe=5, most=2
    )
    roomy = small(most=4, min_steps=(1, 2, 3, 4), usual_cost=(1, 2, 3, 4))
    for change, mask, limit in (
        ({}, 0b1111, ""), ({}, 0, ""), ({"most": 3}, 0b1111, "max_actives"), ({"most": 4}, 0b1111, ""),
        ({"never_together": (0, 0, 0b1000, 0b0100)}, 0b1100, "pair"),
        ({"never_together": (0, 0, 0b1000, 0b0100)}, 0b1011, ""),
        ({"families": ((0b1010, 1),)}, 0b1010, "family"), ({"families": ((0b1010, 1),)}, 0b1101, ""),
        ({"target_steps": 10}, 0b1111, ""), ({"target_steps": 9}, 0b1111, "volume"),
        ({"target_steps": 5}, 0b1010, "volume"), ({"target_steps": 6}, 0b1010, ""),
        ({"budget": 10}, 0b1111, ""), ({"budget": 9}, 0b1111, "budget"), ({"budget": 0}, 0b1, "budget"),
        ({"syringes": all_apart}, 0b0111, "syringes"), ({"syringes": all_apart}, 0b1011, ""),
    ):  # fmt: skip
        problem = replace(roomy, **change)
        assert (problem.obstacle(mask), problem.feasible(mask)) == (limit, not limit)


def test_value_of_a_set_by_hand() -> None:
    apart = SyringeRules(
        apart=(0b10, 0b01, 0, 0), hurried=(0,) * 4, ph_low=(5,) * 4, ph_high=(7,) * 4, per_syringe=5, most=3
    )
    problem = small(
        benefits=({0: 80, 1: 40, 2: 40}, {2: 8}), simplicity=3, caution=5, syringe=7, caution_masks=(0b0011, 0b0100),
        syringes=apart, cost_index=(1, 20, 300, 4000), requirements=_required((0, 0), (0, 1), (2, 1), (1, 2), (1, -1)),
    )  # fmt: skip
    rows = [
        (problem.benefit(mask), problem.charges(mask), problem.penalty(mask), problem.value(mask), problem.cost(mask))
        for mask in (0, 0b0001, 0b0011, 0b0111, 0b1000)
    ]
    assert rows == [
        (0, 0, 0, 0, 0), (80, 8, 8, 72, 1), (100, 11, 18, 82, 21), (118, 19, 26, 92, 321), (0, 3, 3, -3, 4000),
    ]  # fmt: skip
    assert [problem.met(mask) for mask in (0, 0b0001, 0b0010, 0b1111)] == [(0, 0, 0), (1, 0, 0), (1, 0, 1), (2, 1, 1)]


def test_bound_keeps_the_search_small() -> None:
    rng = random.Random("large")
    problem = random_problem(rng, ingredients=60, concerns=8)
    search = _Search(problem, {})
    search.begin(0, problem.candidates)

    assert search.nodes < 60_000


# ---------------------------------------------------------------------- partition
@pytest.mark.parametrize("block", range(2))
def test_partition_agrees_with_trying_every_partition(block: int) -> None:
    rng = random.Random(f"partition {block}")
    for _ in range(count(60, 500)):
        problem = random_problem(rng, ingredients=8, concerns=1)
        rules = replace(problem.syringes, hurried=tuple(rng.getrandbits(8) & ~(1 << i) for i in range(8)), counts={})
        rules = replace(rules, hurried=_symmetric(rules.hurried), dilutable_mask=rng.getrandbits(8), counts={})
        members = rng.sample(range(8), k=rng.randrange(0, 7))
        mask = sum(1 << i for i in members)
        ways = [
            [sum(1 << i for i in group) for group in groups]
            for groups in set_partitions(sorted(members))
            if len(groups) <= rules.most and all(rules.fits(sum(1 << i for i in group)) for group in groups)
        ]
        if not ways:
            assert rules.fewest(mask) > rules.most
            continue
        assert rules.fewest(mask) == min(map(len, ways))
        assert list(rules.best(mask)) == min(
            (sorted(way, key=lambda group: bits(group)[0]) for way in ways), key=lambda way: _merit(rules, way)
        )


def _symmetric(masks: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(
        sum(1 << j for j in range(len(masks)) if (masks[i] >> j & 1) or (masks[j] >> i & 1)) for i in range(len(masks))
    )


def _merit(rules: SyringeRules, way: list[int]) -> tuple[object, ...]:
    hurried = sum(1 for group in way for i in bits(group) for j in bits(group) if rules.hurried[i] >> j & 1)
    undiluted = sum(len(bits(group)) for group in way if group & ~rules.dilutable_mask)
    place = {i: number for number, group in enumerate(way) for i in bits(group)}
    return len(way), hurried, undiluted, tuple(place[i] for i in sorted(place))
