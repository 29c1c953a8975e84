"""Dose: how much of each ingredient, in whole drawing steps.

Start from the usual volumes. Over the target, all are scaled down together, none below its minimum. Under it, a diluent
tops up within its share of each syringe, first where a mixture is too concentrated or too small; what is still short is
made up by raising volumes towards, never above, each maximum, and no more than is needed; what is short even then stays
short. Nothing is ever added only to fill.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from protocols.engine.inputs.model import bits


@dataclass(frozen=True, kw_only=True)
class Limits:
    """For one ingredient, in drawing steps."""

    least: int
    usual: int
    most: int


@dataclass(frozen=True, kw_only=True)
class Diluent:
    index: int
    most: int
    """Steps of it in one session."""
    joins: tuple[bool, ...]
    """For each mixture, whether it may be added there."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What each mixture should come to with its diluent, as far as that goes."""

    osmolality: tuple[int | None, ...]
    """Of each ingredient, in whole numbers; None where it is unknown."""
    most: int
    share: Fraction
    """The least of the whole volume that a mixture should hold."""

    def too_small(self, mixture: Mixture, total: int) -> bool:
        return mixture.total < self.share * total

    def steps(self, steps: Mapping[int, int], diluent: int, total: int) -> int:
        """The diluent that a mixture of these ingredients needs, in steps, where the session holds so many in all."""
        volume = sum(steps.values())
        need = max(0, ceil(self.share * total) - volume)
        thin = self.osmolality[diluent]
        known = [(amount, self.osmolality[i]) for i, amount in steps.items()]
        if thin is None or thin >= self.most or any(each is None for _, each in known):
            return need
        excess = sum(amount * (each - self.most) for amount, each in known if each is not None)
        return max(need, -(-excess // (self.most - thin)))


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Steps of each ingredient of one mixture, by index, and of its diluent."""

    steps: Mapping[int, int]
    diluent: int
    diluent_steps: int

    @property
    def total(self) -> int:
        return sum(self.steps.values()) + self.diluent_steps


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most that a session may cost, and what a step of each ingredient costs."""

    most: int
    cost: Mapping[int, int]


def dose(
    groups: tuple[int, ...],
    limits: Mapping[int, Limits],
    target: int,
    diluent: Diluent | None,
    share: Fraction,
    *,
    budget: Budget | None = None,
    wanted: Wanted | None = None,
) -> tuple[Mixture, ...]:
    """Volumes for the mixtures, given as masks. Their minimums together never exceed the target."""
    members = [i for group in groups for i in bits(group)]
    steps = {i: limits[i].usual for i in members}
    _scale_down(steps, limits, target)
    room = _Room(groups=groups, diluent=diluent, share=share)
    while sum(steps.values()) + room.total(steps) < target:
        if not _raise_one(steps, limits, budget):
            break
    return fill(groups, steps, target, diluent, share, wanted)


def fill(
    groups: tuple[int, ...],
    steps: Mapping[int, int],
    target: int,
    diluent: Diluent | None,
    share: Fraction,
    wanted: Wanted | None = None,
) -> tuple[Mixture, ...]:
    """The mixtures with their diluent: up to the target, spread so that the mixtures are diluted alike; where that
    leaves one of them short of what is wanted of it, what they need first, and the rest alike."""
    room = _Room(groups=groups, diluent=diluent, share=share)
    amount_in_all = max(0, min(room.total(steps), target - sum(steps.values())))
    rooms = room.each(steps)
    poured = _spread(amount_in_all, rooms)
    if wanted is not None and diluent is not None:
        total = sum(steps.values()) + amount_in_all
        held = [{i: steps[i] for i in bits(group)} for group in groups]
        needs = [min(each, wanted.steps(mine, diluent.index, total)) for each, mine in zip(rooms, held, strict=True)]
        if any(got < need for got, need in zip(poured, needs, strict=True)):
            first = needs if sum(needs) <= amount_in_all else _spread(amount_in_all, needs)
            rest = _spread(amount_in_all - sum(first), [a - b for a, b in zip(rooms, first, strict=True)])
            poured = [a + b for a, b in zip(first, rest, strict=True)]
    index = diluent.index if diluent else -1
    return tuple(
        Mixture(steps={i: steps[i] for i in bits(group)}, diluent=index, diluent_steps=amount)
        for group, amount in zip(groups, poured, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class _Room:
    """How much diluent each mixture may take."""

    groups: tuple[int, ...]
    diluent: Diluent | None
    share: Fraction

    def each(self, steps: Mapping[int, int]) -> list[int]:
        if self.diluent is None:
            return [0] * len(self.groups)
        up, down = self.share.numerator, self.share.denominator - self.share.numerator
        return [
            sum(steps[i] for i in bits(group)) * up // down if joins else 0
            for group, joins in zip(self.groups, self.diluent.joins, strict=True)
        ]

    def total(self, steps: Mapping[int, int]) -> int:
        return min(sum(self.each(steps)), self.diluent.most) if self.diluent else 0


def _scale_down(steps: dict[int, int], limits: Mapping[int, Limits], target: int) -> None:
    """Take one step at a time from the line that is furthest above its share, until the sum fits."""
    over = sum(steps.values()) - target
    while over > 0:
        open_lines = [i for i in steps if steps[i] > limits[i].least]
        if not open_lines:
            raise ValueError("the minimums exceed the target")
        chosen = max(open_lines, key=lambda i: (Fraction(steps[i], limits[i].usual), -i))
        steps[chosen] -= 1
        over -= 1


def _raise_one(steps: dict[int, int], limits: Mapping[int, Limits], budget: Budget | None) -> bool:
    """Give one step to the line that has used the least of its room; False when all have reached their maximum."""
    open_lines = [i for i in steps if steps[i] < limits[i].most]
    if budget is not None:
        spent = sum(budget.cost[i] * amount for i, amount in steps.items())
        open_lines = [i for i in open_lines if spent + budget.cost[i] <= budget.most]
    if not open_lines:
        return False
    chosen = min(
        open_lines,
        key=lambda i: (Fraction(steps[i] + 1 - limits[i].usual, limits[i].most - limits[i].usual), i),
    )
    steps[chosen] += 1
    return True


def _spread(amount: int, rooms: list[int]) -> list[int]:
    """Share an amount out in proportion to the rooms, in whole steps, by the largest remainder."""
    whole = sum(rooms)
    if amount <= 0 or whole == 0:
        return [0] * len(rooms)
    poured = [amount * room // whole for room in rooms]
    left = amount - sum(poured)
    for place in sorted(range(len(rooms)), key=lambda p: (-(amount * rooms[p] % whole), p))[:left]:
        poured[place] += 1
    return poured
