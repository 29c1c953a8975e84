"""Select: which ingredients the mixture holds. Exact, by branch and bound over whole numbers.

The requirements come first: the first choices of each concern, or who stands in for them, the most severe concern
first. They are met as far as pairs, families and capacity allow: as many as possible of the severe concerns, then of
the moderate, then of the mild. What is added to them maximises

    value(S) = sum over concerns c of w(c) * sum over k of b(k)(c) / 2^(k-1)
               - simplicity * |S| - caution * (cautions that S raises) - syringe * (syringes(S) - 1)

A set whose best drawing has a syringe that serves too few of the points is not drawn. Where the best set is such a one,
the requirements are settled alone, as many of them as can be drawn; then come those of the others that each earn their
place, so that nothing is added only to fill a syringe; then what was left out of the requirements comes back if it
fits beside them after all.

Equal values are settled by the lower cost index, then by key order. All numbers are scaled to whole ones, so that no
rounding can settle anything.

Why the bound is admissible. The benefit is a weighted rank sum with falling weights, hence submodular: what an
ingredient adds to a larger set is never more than what it adds now. So no extension of S by t ingredients gains more
than the t largest present gains, nor more than, concern by concern, the t largest remaining benefits would. A caution
that S does not raise yet is charged to each remaining ingredient that would raise it by an equal share, which together
never exceeds the charge; the number of syringes never falls when S grows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from protocols.engine.inputs.model import bits
from protocols.engine.mixing.drawing import Drawing
from protocols.engine.mixing.partition import SyringeRules


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One first choice of a concern: the ingredient that has to be in, and the one it stands in for, if any."""

    level: int
    """0 is the most severe."""
    concern: str
    first_choice: str
    index: int
    """The ingredient required; -1 where none can serve."""
    substitute: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """What there is to choose from, in whole numbers. Indexes are those of the formulary."""

    candidates: int
    benefits: tuple[dict[int, int], ...]
    """For each concern, w * b of each ingredient, scaled so that it can be halved `most - 1` times."""
    simplicity: int
    caution: int
    syringe: int
    caution_masks: tuple[int, ...]
    families: tuple[tuple[int, int], ...]
    never_together: tuple[int, ...]
    min_steps: tuple[int, ...]
    target_steps: int
    budget: int | None
    usual_cost: tuple[int, ...]
    most: int
    syringes: SyringeRules
    cost_index: tuple[int, ...]
    requirements: tuple[Requirement, ...]
    drawing: Drawing | None = None
    """None where every syringe is worth drawing."""

    def feasible(self, mask: int) -> bool:
        return not self.obstacle(mask)

    def obstacle(self, mask: int) -> str:
        """The first limit that the set breaks, or nothing."""
        if mask.bit_count() > self.most:
            return "max_actives"
        steps, cost, rest = 0, 0, mask
        while rest:
            bit = rest & -rest
            i = bit.bit_length() - 1
            if self.never_together[i] & mask:
                return "pair"
            steps += self.min_steps[i]
            cost += self.usual_cost[i]
            rest ^= bit
        for family, most in self.families:
            if (mask & family).bit_count() > most:
                return "family"
        if steps > self.target_steps:
            return "volume"
        if self.budget is not None and cost > self.budget:
            return "budget"
        if self.syringes.fewest(mask) > self.syringes.most:
            return "syringes"
        return ""

    def too_small(self, mask: int) -> int:
        """The mixture of a feasible set that is not worth drawing, as a mask; 0 where each is."""
        return 0 if self.drawing is None else self.drawing.too_small(mask)

    def earns(self, mask: int, i: int) -> bool:
        """Whether one of the set adds more than its keep."""
        gain = self.benefit(mask) - self.benefit(mask & ~(1 << i)) - self.simplicity
        return gain > 0 or (gain == 0 and self.cost_index[i] == 0)

    def benefit(self, mask: int) -> int:
        total, members = 0, bits(mask)
        for table in self.benefits:
            total += halving_sum(sorted([table[i] for i in members if i in table], reverse=True))
        return total

    def charges(self, mask: int) -> int:
        """What the set costs in value, its further syringes apart."""
        return self.simplicity * mask.bit_count() + self.caution * sum(1 for rule in self.caution_masks if rule & mask)

    def penalty(self, mask: int) -> int:
        return self.charges(mask) + self.syringe * max(0, self.syringes.fewest(mask) - 1)

    def value(self, mask: int) -> int:
        return self.benefit(mask) - self.penalty(mask)

    def cost(self, mask: int) -> int:
        return sum(self.cost_index[i] for i in bits(mask))

    def met(self, mask: int) -> tuple[int, ...]:
        """How many requirements of each level the set meets, the most severe level first."""
        counts = [0, 0, 0]
        for requirement in self.requirements:
            if requirement.index >= 0 and mask >> requirement.index & 1:
                counts[requirement.level] += 1
        return tuple(counts)


def halving_sum(falling: Sequence[int]) -> int:
    total = 0
    for k, amount in enumerate(falling):
        total += amount >> k
    return total


def select(problem: Problem) -> int:
    """The best feasible set, as a mask."""
    wanted = _required(problem)
    best = _ignoring_small_syringes(problem, wanted)
    return best if not problem.too_small(best) else _worth_drawing(problem, wanted)


def _required(problem: Problem) -> int:
    wanted = 0
    for requirement in problem.requirements:
        if requirement.index >= 0:
            wanted |= 1 << requirement.index
    return wanted


def _worth_drawing(problem: Problem, wanted: int) -> int:
    """The best set of which each syringe is worth drawing."""
    first = _Search(problem, _bonus(problem), free=wanted)
    first.begin(0, wanted)
    core = first.best.mask
    search = _Search(problem, {}, free=core)
    search.begin(core, problem.candidates & ~wanted)
    mask = search.best.mask
    for requirement in problem.requirements:
        grown = mask | 1 << requirement.index if requirement.index >= 0 else mask
        if grown != mask and problem.feasible(grown) and not problem.too_small(grown):
            mask = grown
    return mask


def _ignoring_small_syringes(problem: Problem, wanted: int) -> int:
    if problem.feasible(wanted):
        search = _Search(problem, {})
        search.begin(wanted, problem.candidates & ~wanted)
    else:
        # Not all fit. A requirement met is worth more than any value, and one of a more severe concern more than all of
        # the milder ones together, so that the same search settles which of them gives way.
        search = _Search(problem, _bonus(problem))
        search.begin(0, problem.candidates)
    return search.best.mask


def _bonus(problem: Problem) -> dict[int, int]:
    count = len(problem.requirements)
    widest = sum(sum(table.values()) for table in problem.benefits)
    widest += problem.simplicity * problem.most + problem.caution * len(problem.caution_masks)
    widest += problem.syringe * problem.most + 1
    bonus: dict[int, int] = {}
    for requirement in problem.requirements:
        if requirement.index >= 0:
            worth = widest * count ** (2 - requirement.level)
            bonus[requirement.index] = bonus.get(requirement.index, 0) + worth
    return bonus


@dataclass(kw_only=True)
class _Best:
    mask: int
    value: int
    cost: int
    keys: tuple[int, ...]

    def beaten_by(self, value: int, cost: int, mask: int) -> bool:
        return (-value, cost, tuple(bits(mask))) < (-self.value, self.cost, self.keys)


class _Search:
    """`free`: take only sets that are worth drawing, and of which all but these, as a mask, earn their place."""

    def __init__(self, problem: Problem, bonus: dict[int, int], *, free: int | None = None) -> None:
        self.p = problem
        self.free = free
        self.bonus = bonus
        self.best = _Best(mask=0, value=-(1 << 200), cost=0, keys=())
        self.nodes = 0
        serves: dict[int, list[tuple[int, int]]] = {}
        for concern, table in enumerate(problem.benefits):
            for i, amount in table.items():
                serves.setdefault(i, []).append((concern, amount))
        self.serves = serves
        raises: dict[int, list[int]] = {}
        for place, rule in enumerate(problem.caution_masks):
            for i in bits(rule):
                raises.setdefault(i, []).append(place)
        self.raises = raises

    def begin(self, core: int, pool: int) -> None:
        p = self.p
        lists = [sorted(table[i] for i in bits(core) if i in table) for table in p.benefits]
        raised = 0
        for place, rule in enumerate(p.caution_masks):
            if rule & core:
                raised |= 1 << place
        self.visit(core, lists, p.benefit(core), raised, bits(pool), p.cost(core))

    def visit(self, mask: int, lists: list[list[int]], benefit: int, raised: int, pool: list[int], cost: int) -> None:
        p = self.p
        self.nodes += 1
        base = benefit - p.simplicity * mask.bit_count() - p.caution * raised.bit_count()
        value = base - p.syringe * max(0, p.syringes.fewest(mask) - 1)
        if self.best.beaten_by(value, cost, mask) and self._taken(mask):
            self.best = _Best(mask=mask, value=value, cost=cost, keys=tuple(bits(mask)))
        slots = p.most - mask.bit_count()
        gains = self._gains(mask, lists, raised, pool) if slots > 0 else []
        room = min(slots, len(gains))
        by_concern = self._by_concern(lists, gains, room)
        for place, (_gain, i) in enumerate(gains):
            if self._hopeless(value, cost, gains, place, room, by_concern):
                return
            bit = 1 << i
            grown = [list(row) for row in lists]
            for concern, amount in self.serves.get(i, ()):
                row = grown[concern]
                row.insert(bisect_left(row, amount), amount)
            newly = raised
            for rule in self.raises.get(i, ()):
                newly |= 1 << rule
            added = self._marginal(lists, i) + self.bonus.get(i, 0)
            rest = [j for _, j in gains[place + 1 :]]
            self.visit(mask | bit, grown, benefit + added, newly, rest, cost + p.cost_index[i])

    def _taken(self, mask: int) -> bool:
        if self.free is None:
            return True
        return all(self.p.earns(mask, i) for i in bits(mask & ~self.free)) and not self.p.too_small(mask)

    def _marginal(self, lists: list[list[int]], i: int) -> int:
        """What the ingredient adds to the benefit now. The lists rise, so the best is at the end."""
        total = 0
        for concern, amount in self.serves.get(i, ()):
            row = lists[concern]
            above = len(row) - bisect_left(row, amount)
            total += amount >> above
            for k in range(above, len(row)):
                total -= row[len(row) - 1 - k] >> (k + 1)
        return total

    def _gains(self, mask: int, lists: list[list[int]], raised: int, pool: list[int]) -> list[tuple[int, int]]:
        """The remaining ingredients that fit and could still pay, with the most that each could add, best first."""
        p = self.p
        fitting: list[tuple[int, int]] = []
        together = 0
        for i in pool:
            gain = self._marginal(lists, i) + self.bonus.get(i, 0) - p.simplicity
            if gain < 0 or (gain == 0 and p.cost_index[i] > 0):
                continue
            if p.obstacle(mask | 1 << i):
                continue
            fitting.append((gain, i))
            together |= 1 << i
        shared: list[tuple[int, int]] = []
        for gain, i in fitting:
            for rule in self.raises.get(i, ()):
                if not raised >> rule & 1:
                    gain -= p.caution // (p.caution_masks[rule] & together).bit_count()
            shared.append((gain, i))
        shared.sort(key=lambda pair: (-pair[0], pair[1]))
        return shared

    def _by_concern(self, lists: list[list[int]], gains: list[tuple[int, int]], room: int) -> list[int]:
        """For t = 0, 1, … the most that any t of the remaining ingredients could add, concern by concern."""
        p = self.p
        most = [0] * (room + 1)
        for concern, table in enumerate(p.benefits):
            offers = sorted((table[i] for _, i in gains if i in table), reverse=True)[:room]
            falling = lists[concern][::-1]
            before = halving_sum(falling)
            last = 0
            for t in range(1, room + 1):
                if t <= len(offers):
                    last = halving_sum(sorted(falling + offers[:t], reverse=True)) - before
                most[t] += last
        extra = sorted((self.bonus[i] for _, i in gains if i in self.bonus), reverse=True)
        return [amount - p.simplicity * t + sum(extra[:t]) for t, amount in enumerate(most)]

    def _hopeless(
        self, value: int, cost: int, gains: list[tuple[int, int]], place: int, room: int, by_concern: list[int]
    ) -> bool:
        """Whether no set made from here on with what is left can beat the best."""
        short = self.best.value - value
        total = 0
        for t in range(1, room + 1):
            if place + t > len(gains):
                break
            total += gains[place + t - 1][0]
            bound = min(total, by_concern[t])
            if bound > short or (bound == short and cost <= self.best.cost):
                return False
        return True
