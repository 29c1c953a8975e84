"""References for the search, written for tests: brute force, and a mixed-integer programme for larger instances."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_matrix

from protocols.engine.inputs.model import bits
from protocols.engine.mixing.dose import Limits, Wanted
from protocols.engine.mixing.drawing import Drawing
from protocols.engine.mixing.partition import Acidity, SyringeRules
from protocols.engine.mixing.select import Problem, Requirement

SHIFT = 7


def random_problem(rng: random.Random, *, ingredients: int, concerns: int, most: int = 8) -> Problem:
    """A formulary and a patient of this size, as the search sees them. Clashes, families and limits are all likely."""
    n = ingredients
    scale = 1000 << SHIFT
    apart, never = [0] * n, [0] * n
    for i, j in combinations(range(n), 2):
        chance = rng.random()
        if chance < 0.08:
            apart[i] |= 1 << j
            apart[j] |= 1 << i
            if chance < 0.02:
                never[i] |= 1 << j
                never[j] |= 1 << i
    low = [rng.choice([20, 45, 50, 55, 60, 65]) for _ in range(n)]
    high = [start + rng.choice([10, 15, 20, 25]) for start in low]
    benefits = []
    for _ in range(concerns):
        weight = rng.choice([1, 2, 3])
        table = {}
        for i in range(n):
            if rng.random() < 0.3:
                b = rng.choice([1, 2, 3]) * rng.choice([10, 8, 6, 4, 2]) * rng.choice([10, 7, 6, 2])
                table[i] = weight * b * 10 << SHIFT
        benefits.append(table)
    requirements = []
    for c, table in enumerate(benefits):
        for i in rng.sample(sorted(table), k=min(len(table), rng.choice([0, 1, 1, 2]))):
            requirements.append(
                Requirement(
                    level=rng.randrange(3), concern=f"c{c:02}", first_choice=f"i{i:02}", index=i, substitute=False
                )
            )
    return Problem(
        candidates=(1 << n) - 1,
        benefits=tuple(benefits),
        simplicity=int(rng.choice([0, 0.2, 0.5, 1]) * scale),
        caution=int(rng.choice([0, 0.5]) * scale),
        syringe=int(rng.choice([0, 0.8]) * scale),
        caution_masks=tuple(
            rng.getrandbits(n) & rng.getrandbits(n) | 1 << rng.randrange(n) for _ in range(rng.randrange(4))
        ),
        families=tuple(
            (rng.getrandbits(n) & rng.getrandbits(n) & rng.getrandbits(n), 1) for _ in range(rng.randrange(4))
        ),
        never_together=tuple(never),
        min_steps=tuple(rng.choice([2, 4, 6, 10, 20]) for _ in range(n)),
        target_steps=rng.choice([20, 40, 70, 160]),
        budget=rng.choice([None, None, None, 2000]),
        usual_cost=tuple(rng.choice([100, 200, 400, 800]) for _ in range(n)),
        most=rng.choice([3, 5, most]),
        syringes=SyringeRules(
            apart=tuple(apart),
            hurried=(0,) * n,
            ph_low=tuple(low),
            ph_high=tuple(high),
            per_syringe=rng.choice([3, 5]),
            most=rng.choice([1, 2, 3]),
        ),
        cost_index=tuple(rng.choice([8, 10, 12, 15, 20, 30]) for _ in range(n)),
        requirements=tuple(requirements),
    )


def with_acidity(rng: random.Random, problem: Problem) -> Problem:
    """The same, where mixtures have to share a window of some width and should lie between two pH."""
    acidity = Acidity(width=rng.choice([0, 3, 6, 10]), low=rng.choice([40, 45, 55]), high=rng.choice([65, 70, 80]))
    return replace(problem, syringes=replace(problem.syringes, acidity=acidity, counts={}))


def with_drawing(rng: random.Random, problem: Problem) -> Problem:
    """The same, with volumes, a diluent (the ingredient after the last), and syringes that may be too small."""
    old, n = problem.syringes, len(problem.min_steps)
    shut_out = sum(1 << i for i in range(n) if rng.random() < 0.3)
    rules = replace(
        old,
        apart=(*(row | (shut_out >> i & 1) << n for i, row in enumerate(old.apart)), shut_out),
        hurried=(*old.hurried, 0),
        ph_low=(*old.ph_low, 0),
        ph_high=(*old.ph_high, 140),
        dilutable_mask=(1 << n) - 1 & ~shut_out,
        acidity=replace(old.acidity, unbuffered=1 << n),
        counts={},
    )
    limits = []
    for least in problem.min_steps:
        usual = least + rng.choice([0, 2, 6])
        limits.append(Limits(least=least, usual=usual, most=usual + rng.choice([0, 4, 20])))
    drawing = Drawing(
        rules=rules,
        limits=(*limits, Limits(least=0, usual=20, most=rng.choice([0, 10, 120]))),
        target=problem.target_steps,
        diluent=n if rng.random() < 0.7 else -1,
        share=Fraction(3, 4),
        budget=problem.budget,
        cost=(*problem.cost_index, 1),
        wanted=Wanted(
            osmolality=(*(rng.choice([290, 300, 600, 1200, None]) for _ in range(n)), 300),
            most=600,
            share=rng.choice([Fraction(1, 10), Fraction(1, 5), Fraction(1, 3)]),
        ),
    )
    return replace(problem, syringes=rules, drawing=drawing)


# ---------------------------------------------------------------------- brute force
def set_partitions(members: list[int]) -> Iterator[list[list[int]]]:
    if not members:
        yield []
        return
    first, rest = members[0], members[1:]
    for smaller in set_partitions(rest):
        for place, group in enumerate(smaller):
            yield [*smaller[:place], [first, *group], *smaller[place + 1 :]]
        yield [[first], *smaller]


def one_mixture(problem: Problem, group: list[int]) -> bool:
    rules = problem.syringes
    if len(group) > rules.per_syringe:
        return False
    if any(rules.apart[i] >> j & 1 for i, j in combinations(group, 2)):
        return False
    low, high = max(rules.ph_low[i] for i in group), min(rules.ph_high[i] for i in group)
    if len(group) == 1:
        return low <= high
    return high - low >= rules.acidity.width and (_suits(rules, group) or not any(_suits(rules, [i]) for i in group))


def _suits(rules: SyringeRules, group: list[int]) -> bool:
    """Whether enough of the window of these lies where a mixture should."""
    wish = rules.acidity
    low = max([*(rules.ph_low[i] for i in group), -1000 if wish.low is None else wish.low])
    high = min([*(rules.ph_high[i] for i in group), 1000 if wish.high is None else wish.high])
    return high - low >= wish.width


def fewest_syringes(problem: Problem, members: list[int]) -> int | None:
    counts = [
        len(groups)
        for groups in set_partitions(members)
        if len(groups) <= problem.syringes.most and all(one_mixture(problem, group) for group in groups)
    ]
    return min(counts, default=None)


def admissible(problem: Problem, members: list[int]) -> bool:
    if len(members) > problem.most:
        return False
    if any(problem.never_together[i] >> j & 1 for i, j in combinations(members, 2)):
        return False
    if any(sum(1 for i in members if family >> i & 1) > most for family, most in problem.families):
        return False
    if sum(problem.min_steps[i] for i in members) > problem.target_steps:
        return False
    if problem.budget is not None and sum(problem.usual_cost[i] for i in members) > problem.budget:
        return False
    return fewest_syringes(problem, members) is not None


def worth(problem: Problem, members: list[int]) -> int:
    total = 0
    for table in problem.benefits:
        for rank, amount in enumerate(sorted((table[i] for i in members if i in table), reverse=True)):
            total += amount // 2**rank
    total -= problem.simplicity * len(members)
    total -= problem.caution * sum(1 for rule in problem.caution_masks if any(rule >> i & 1 for i in members))
    return total - problem.syringe * max(0, (fewest_syringes(problem, members) or 0) - 1)


def met(problem: Problem, members: list[int]) -> tuple[int, int, int]:
    counts = [0, 0, 0]
    for requirement in problem.requirements:
        counts[requirement.level] += requirement.index in members
    return counts[0], counts[1], counts[2]


def rank(problem: Problem, members: list[int]) -> tuple[Any, ...]:
    """Smaller is better: requirements met, value, cost, keys."""
    counts = met(problem, members)
    cost = sum(problem.cost_index[i] for i in members)
    return tuple(-count for count in counts), -worth(problem, members), cost, members


def brute_force(problem: Problem) -> list[int]:
    pool = bits(problem.candidates)
    best: tuple[Any, ...] | None = None
    for size in range(min(problem.most, len(pool)) + 1):
        for chosen in combinations(pool, size):
            members = list(chosen)
            if admissible(problem, members):
                found = rank(problem, members)
                if best is None or found < best:
                    best = found
    assert best is not None
    return list(best[3])


# ---------------------------------------------------------------------- volumes, and syringes that are too small
def volumes(problem: Problem, groups: list[list[int]]) -> list[int]:
    """What mixtures come to: all steps down, or all steps up, put in their order and taken one after the other."""
    drawing = problem.drawing
    assert drawing is not None and drawing.wanted is not None
    limits, members = drawing.limits, sorted(i for group in groups for i in group)
    steps = {i: limits[i].usual for i in members}
    over = sum(steps.values()) - drawing.target
    down = sorted(
        (-Fraction(amount, limits[i].usual), i)
        for i in members
        for amount in range(limits[i].least + 1, limits[i].usual + 1)
    )
    for _, i in down[: max(0, over)]:
        steps[i] -= 1
    up = sorted(
        (Fraction(amount - limits[i].usual, limits[i].most - limits[i].usual), i)
        for i in members
        for amount in range(limits[i].usual + 1, limits[i].most + 1)
    )

    def rooms() -> list[int]:
        if drawing.diluent < 0:
            return [0] * len(groups)
        free = drawing.rules.apart[drawing.diluent]
        share = drawing.share / (1 - drawing.share)
        return [
            0 if any(free >> i & 1 for i in group) else int(sum(steps[i] for i in group) * share) for group in groups
        ]

    def most() -> int:
        return min(sum(rooms()), limits[drawing.diluent].most) if drawing.diluent >= 0 else 0

    closed: set[int] = set()
    for _, i in up:
        if sum(steps.values()) + most() >= drawing.target:
            break
        spent = sum(drawing.cost[j] * amount for j, amount in steps.items())
        if drawing.budget is not None and spent + drawing.cost[i] > drawing.budget:
            closed.add(i)
        if i not in closed:
            steps[i] += 1
    whole = max(0, min(most(), drawing.target - sum(steps.values())))
    total = sum(steps.values()) + whole
    poured = _share_out(whole, rooms())
    needs = []
    for group, room in zip(groups, rooms(), strict=True):
        own = sum(steps[i] for i in group)
        need = max(0, math.ceil(drawing.wanted.share * total) - own)
        strengths = [drawing.wanted.osmolality[i] for i in group]
        if None not in strengths:
            while sum(steps[i] * (drawing.wanted.osmolality[i] or 0) for i in group) + 300 * need > 600 * (own + need):
                need += 1
        needs.append(min(room, need))
    if any(a < b for a, b in zip(poured, needs, strict=True)):
        first = needs if sum(needs) <= whole else _share_out(whole, needs)
        rest = _share_out(whole - sum(first), [a - b for a, b in zip(rooms(), first, strict=True)])
        poured = [a + b for a, b in zip(first, rest, strict=True)]
    return [sum(steps[i] for i in group) + more for group, more in zip(groups, poured, strict=True)]


def _share_out(amount: int, rooms: list[int]) -> list[int]:
    whole = sum(rooms)
    if not amount or not whole:
        return [0] * len(rooms)
    exact = [Fraction(amount * room, whole) for room in rooms]
    given = [math.floor(each) for each in exact]
    for place in sorted(range(len(rooms)), key=lambda p: (given[p] - exact[p], p))[: amount - sum(given)]:
        given[place] += 1
    return given


def worth_drawing(problem: Problem, members: list[int]) -> bool:
    """Whether some way with the fewest syringes has none that is too small."""
    if problem.drawing is None or problem.drawing.wanted is None or not members:
        return True
    share = problem.drawing.wanted.share
    ways = [groups for groups in set_partitions(members) if all(one_mixture(problem, group) for group in groups)]
    least = min(map(len, ways))
    drawn = [volumes(problem, sorted(map(sorted, way))) for way in ways if len(way) == least]
    return any(min(each) >= share * sum(each) for each in drawn)


def brute_force_drawn(problem: Problem) -> list[int]:
    """The best set whose syringes are all worth drawing, as the contract says it, by trying everything."""
    free = brute_force(problem)
    if worth_drawing(problem, free):
        return free
    wanted = sorted({r.index for r in problem.requirements if r.index >= 0})

    cores = [list(chosen) for size in range(len(wanted) + 1) for chosen in combinations(wanted, size)]
    ranked = sorted(rank(problem, core) for core in cores if admissible(problem, core))
    core = next(row[3] for row in ranked if worth_drawing(problem, row[3]))
    rest = [i for i in bits(problem.candidates) if i not in wanted]
    chosen = _with_those_that_earn(problem, core, rest)
    for requirement in problem.requirements:
        grown = sorted({*chosen, requirement.index})
        if requirement.index >= 0 and admissible(problem, grown) and worth_drawing(problem, grown):
            chosen = grown
    return chosen


def _with_those_that_earn(problem: Problem, core: list[int], rest: list[int]) -> list[int]:
    found = []
    for size in range(max(0, problem.most - len(core)) + 1):
        for chosen in combinations(rest, size):
            members = sorted([*core, *chosen])
            if admissible(problem, members) and all(_earns(problem, members, i) for i in chosen):
                cost = sum(problem.cost_index[i] for i in members)
                found.append((-worth(problem, members), cost, members))
    return next(members for _, _, members in sorted(found) if worth_drawing(problem, members))


def _earns(problem: Problem, members: list[int], i: int) -> bool:
    """Whether one of the set adds more benefit than an ingredient costs."""
    gain = _benefit(problem, members) - _benefit(problem, [j for j in members if j != i]) - problem.simplicity
    return gain > 0 or (gain == 0 and problem.cost_index[i] == 0)


def _benefit(problem: Problem, members: list[int]) -> int:
    return sum(
        amount // 2**place
        for table in problem.benefits
        for place, amount in enumerate(sorted((table[i] for i in members if i in table), reverse=True))
    )


# ---------------------------------------------------------------------- mixed-integer programme
def solve_milp(problem: Problem, *, time_limit: float | None = None) -> tuple[tuple[int, int, int], float]:
    """Requirements met and value of the best set, by HiGHS. One variable for each ingredient, for each ingredient in
    each syringe, for each rank of each concern; pH windows as a pH for each syringe."""
    n, k = len(problem.min_steps), problem.syringes.most
    pool = bits(problem.candidates)
    unit, wish = float(1000 << SHIFT), problem.syringes.acidity
    names: dict[tuple[Any, ...], int] = {}

    def var(*key: Any) -> int:
        return names.setdefault(key, len(names))

    for i in pool:
        var("x", i)
        for s in range(k):
            var("y", i, s)
    for s in range(k):
        var("used", s)
        var("ph", s)
        var("inside", s)
    for c, table in enumerate(problem.benefits):
        for i in table:
            for r in range(problem.most):
                var("rank", c, i, r)
    for rule in range(len(problem.caution_masks)):
        var("caution", rule)
    for r in range(len(problem.requirements)):
        if problem.requirements[r].index >= 0:
            var("x", problem.requirements[r].index)
    rows: list[tuple[dict[int, float], float, float]] = []
    inf = np.inf
    for i in pool:
        rows.append(({var("x", i): -1.0, **{var("y", i, s): 1.0 for s in range(k)}}, 0, 0))
        for s in range(k):
            rows.append(({var("y", i, s): 1.0, var("used", s): -1.0}, -inf, 0))
            rows.append(({var("ph", s): 1.0, var("y", i, s): -200.0}, problem.syringes.ph_low[i] - 200.0, inf))
            ceiling = problem.syringes.ph_high[i] - wish.width + 200.0
            rows.append(({var("ph", s): 1.0, var("y", i, s): 200.0}, -inf, ceiling))
            if _suits(problem.syringes, [i]):
                rows.append(({var("y", i, s): 1.0, var("inside", s): -1.0}, -inf, 0))
            else:
                rows.append(({var("y", i, s): 1.0, var("inside", s): 1.0}, -inf, 1))
    for s in range(k):
        rows.append(({var("y", i, s): 1.0 for i in pool}, -inf, problem.syringes.per_syringe))
        floor = 0 if wish.low is None else wish.low
        roof = 200 if wish.high is None else wish.high - wish.width
        rows.append(({var("ph", s): 1.0, var("inside", s): -200.0}, floor - 200.0, inf))
        rows.append(({var("ph", s): 1.0, var("inside", s): 200.0}, -inf, roof + 200.0))
        if s:
            rows.append(({var("used", s): 1.0, var("used", s - 1): -1.0}, -inf, 0))
    for i, j in combinations(pool, 2):
        if problem.never_together[i] >> j & 1:
            rows.append(({var("x", i): 1.0, var("x", j): 1.0}, -inf, 1))
        elif problem.syringes.apart[i] >> j & 1:
            for s in range(k):
                rows.append(({var("y", i, s): 1.0, var("y", j, s): 1.0}, -inf, 1))
    for family, most in problem.families:
        rows.append(({var("x", i): 1.0 for i in pool if family >> i & 1}, -inf, most))
    rows.append(({var("x", i): 1.0 for i in pool}, -inf, problem.most))
    rows.append(({var("x", i): float(problem.min_steps[i]) for i in pool}, -inf, problem.target_steps))
    if problem.budget is not None:
        rows.append(({var("x", i): float(problem.usual_cost[i]) for i in pool}, -inf, problem.budget))
    for place, rule in enumerate(problem.caution_masks):
        for i in pool:
            if rule >> i & 1:
                rows.append(({var("x", i): 1.0, var("caution", place): -1.0}, -inf, 0))
    value = np.zeros(len(names))
    for c, table in enumerate(problem.benefits):
        for i, amount in table.items():
            rows.append(({**{var("rank", c, i, r): 1.0 for r in range(problem.most)}, var("x", i): -1.0}, -inf, 0))
            for r in range(problem.most):
                value[var("rank", c, i, r)] = amount / unit / 2**r
        for r in range(problem.most):
            if table:
                rows.append(({var("rank", c, i, r): 1.0 for i in table}, -inf, 1))
    for i in pool:
        value[var("x", i)] -= problem.simplicity / unit
    for place in range(len(problem.caution_masks)):
        value[var("caution", place)] -= problem.caution / unit
    for s in range(1, k):
        value[var("used", s)] -= problem.syringe / unit
    weights = [np.zeros(len(names)) for _ in range(3)]
    for requirement in problem.requirements:
        if requirement.index >= 0:
            weights[requirement.level][var("x", requirement.index)] += 1
    upper = np.ones(len(names))
    integral = np.ones(len(names))
    for s in range(k):
        upper[var("ph", s)] = 200
        integral[var("ph", s)] = 0
    counts = []
    for goal in [*weights, value]:
        matrix = lil_matrix((len(rows), len(names)))
        for place, (entries, _, _) in enumerate(rows):
            for column, factor in entries.items():
                matrix[place, column] = factor
        result = milp(
            -goal,
            constraints=LinearConstraint(matrix.tocsr(), [row[1] for row in rows], [row[2] for row in rows]),
            bounds=Bounds(np.zeros(len(names)), upper),
            integrality=integral,
            options={"mip_rel_gap": 0, **({"time_limit": time_limit} if time_limit else {})},
        )
        assert result.success, result.message
        best = -result.fun
        if goal is not value:
            counts.append(round(best))
            rows.append(({int(v): 1.0 * goal[v] for v in np.flatnonzero(goal)}, round(best), inf))
    assert n >= len(pool)
    return (counts[0], counts[1], counts[2]), best
