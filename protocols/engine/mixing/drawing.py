"""Drawing: what a set of ingredients comes to in its syringes, and whether each of these is worth drawing.

The fewest mixtures, chosen and dosed; where one of them would serve too few of the points, the first other way with as
few of them in which none does. A set for which there is no such way is not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from protocols.engine.inputs.model import bits
from protocols.engine.mixing.dose import Budget, Diluent, Limits, Mixture, Wanted, dose, fill
from protocols.engine.mixing.partition import Groups, SyringeRules

Drawn = tuple[Groups, tuple[Mixture, ...]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawing:
    """Everything that decides volumes, in drawing steps and by index."""

    rules: SyringeRules
    limits: tuple[Limits, ...]
    target: int
    diluent: int
    """-1 for none."""
    share: Fraction
    budget: int | None
    cost: tuple[int, ...]
    wanted: Wanted | None
    """None where the formulary is older than what is wanted of a mixture."""
    _drawn: dict[tuple[int, bool], Drawn] = field(default_factory=dict, repr=False)

    def diluent_for(self, groups: Groups) -> Diluent | None:
        if self.diluent < 0:
            return None
        clashes = self.rules.clashes[self.diluent]
        return Diluent(
            index=self.diluent,
            most=self.limits[self.diluent].most,
            joins=tuple(not clashes & group for group in groups),
        )

    def draw(self, mask: int, *, dry: bool = False) -> Drawn:
        """Return the mixtures of a set, as masks and with their volumes; `dry`: without the diluent."""
        found = self._drawn.get((mask, dry))
        if found is None:
            found = self._drawn[mask, dry] = self._draw(mask, dry=dry)
        return found

    def draw_with(self, mask: int, pinned: Mapping[int, int], *, dry: bool = False) -> Drawn:
        """The same mixtures, with the volumes of some ingredients set to so many steps."""
        groups = self.draw(mask, dry=dry)[0]
        return groups, self._dosed(groups, pinned, dry=dry)

    def filled(self, groups: Groups, steps: Mapping[int, int]) -> tuple[Mixture, ...]:
        """The mixtures with exactly these volumes of their ingredients, topped up."""
        return fill(groups, steps, self.target, self.diluent_for(groups), self.share, self.wanted)

    def too_small(self, mask: int) -> int:
        """The smallest mixture of the set that would serve too few of the points, as a mask; 0 where none would."""
        groups, mixtures = self.draw(mask)
        place = self.smallest(mixtures)
        return 0 if place is None else groups[place]

    def smallest(self, mixtures: tuple[Mixture, ...]) -> int | None:
        """The place of the smallest mixture that is too small; None where none is."""
        total = sum(mixture.total for mixture in mixtures)
        if self.wanted is None:
            return None
        small = [
            (mixture.total, place) for place, mixture in enumerate(mixtures) if self.wanted.too_small(mixture, total)
        ]
        return min(small)[1] if small else None

    def _draw(self, mask: int, *, dry: bool) -> Drawn:
        best = self.rules.best(mask)
        drawn = best, self._dosed(best, {}, dry=dry)
        if self.smallest(drawn[1]) is None:
            return drawn
        for groups in self.rules.ways(mask):
            mixtures = self._dosed(groups, {}, dry=dry)
            if self.smallest(mixtures) is None:
                return groups, mixtures
        return drawn

    def _dosed(self, groups: Groups, pinned: Mapping[int, int], *, dry: bool) -> tuple[Mixture, ...]:
        limits = {i: self.limits[i] for group in groups for i in bits(group)}
        limits |= {i: Limits(least=amount, usual=amount, most=amount) for i, amount in pinned.items()}
        return dose(
            groups,
            limits,
            self.target,
            None if dry else self.diluent_for(groups),
            self.share,
            budget=None if self.budget is None else Budget(most=self.budget, cost={i: self.cost[i] for i in limits}),
            wanted=self.wanted,
        )
