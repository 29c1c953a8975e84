"""Partition: the fewest mixtures that the pair rules, the pH windows and the limit per syringe allow. Exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from protocols.engine.inputs.model import bits

Groups = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Acidity:
    """What is asked of the pH of a mixture, in the whole numbers of the windows."""

    width: int = 0
    """The narrowest window that ingredients of one mixture may have in common."""
    low: int | None = None
    high: int | None = None
    """Where the pH of a mixture should lie; None for anywhere."""
    unbuffered: int = 0
    """Those, as a mask, that have no pH of their own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SyringeRules:
    """Which ingredients, by index, may share one mixture."""

    apart: tuple[int, ...]
    hurried: tuple[int, ...]
    ph_low: tuple[int, ...]
    ph_high: tuple[int, ...]
    per_syringe: int
    most: int
    dilutable_mask: int = 0
    """Ingredients that a diluent for topping up could join."""
    acidity: Acidity = field(default_factory=Acidity)
    counts: dict[int, int] = field(default_factory=dict, repr=False)

    @cached_property
    def clashes(self) -> tuple[int, ...]:
        """For each ingredient, those that it cannot share a mixture with."""
        return clashes_of(self.apart, self.ph_low, self.ph_high, self.acidity)

    def fits(self, mask: int) -> bool:
        """Whether the whole set may be one mixture."""
        if mask.bit_count() > self.per_syringe:
            return False
        clashes = self.clashes
        rest = mask
        while rest:
            bit = rest & -rest
            if clashes[bit.bit_length() - 1] & mask:
                return False
            rest ^= bit
        return True

    def fewest(self, mask: int) -> int:
        """The fewest mixtures for the set; one more than allowed where it cannot be done."""
        known = self.counts.get(mask)
        if known is None:
            known = self.counts[mask] = self._fewest(mask)
        return known

    def _fewest(self, mask: int) -> int:
        if not mask:
            return 0
        if self.fits(mask):
            return 1
        members = bits(mask)
        for count in range(2, self.most + 1):
            if self._assign(members, 0, [0] * count, 0):
                return count
        return self.most + 1

    def _assign(self, members: list[int], place: int, groups: list[int], used: int) -> bool:
        """Whether the members from a place on fit into the groups, as far as those are filled, or into new ones."""
        if place == len(members):
            return True
        i = members[place]
        bit, clashing = 1 << i, self.clashes[i]
        for group in range(min(used + 1, len(groups))):
            grown = groups[group] | bit
            if not clashing & grown and grown.bit_count() <= self.per_syringe:
                groups[group] = grown
                if self._assign(members, place + 1, groups, max(used, group + 1)):
                    return True
                groups[group] ^= bit
        return False

    def best(self, mask: int) -> Groups:
        """The chosen mixtures, as masks: the fewest; then the fewest hurried pairs within one; then the most
        ingredients that can be diluted; then the earliest syringe for each ingredient in key order."""
        count = self.fewest(mask)
        if count == 1:
            return (mask,)
        found: list[tuple[tuple[int, int], Groups]] = []
        self._every(bits(mask), 0, [0] * count, 0, found)
        return found[-1][1]

    def ways(self, mask: int) -> Iterator[Groups]:
        """Every way with the fewest mixtures, best first by the order of `best`."""
        found: list[tuple[tuple[int, int], Groups]] = []
        self._every(bits(mask), 0, [0] * self.fewest(mask), 0, found, all_of_them=True)
        yield from (groups for _, groups in sorted(found, key=lambda way: way[0]))

    def _every(
        self,
        members: list[int],
        place: int,
        groups: list[int],
        used: int,
        found: list[tuple[tuple[int, int], Groups]],
        *,
        all_of_them: bool = False,
    ) -> None:
        """Every way, those with earlier syringes first; each one found is better than the one before, unless all of
        them are asked for.

        Neither count falls when a mixture grows, so that a way begun is given up once it is no better than the last.
        """
        hurried = sum((self.hurried[i] & group).bit_count() for group in groups for i in bits(group))
        undiluted = sum(group.bit_count() for group in groups if group & ~self.dilutable_mask)
        if not all_of_them and found and (hurried, undiluted) >= found[-1][0]:
            return
        if place == len(members):  # no group is empty: there is no way with fewer
            found.append(((hurried, undiluted), tuple(groups)))
            return
        i = members[place]
        bit, clashing = 1 << i, self.clashes[i]
        for group in range(min(used + 1, len(groups))):
            grown = groups[group] | bit
            if not clashing & grown and grown.bit_count() <= self.per_syringe:
                groups[group] = grown
                self._every(members, place + 1, groups, max(used, group + 1), found, all_of_them=all_of_them)
                groups[group] ^= bit


@lru_cache(maxsize=32)
def clashes_of(
    apart: tuple[int, ...], ph_low: tuple[int, ...], ph_high: tuple[int, ...], acidity: Acidity
) -> tuple[int, ...]:
    """For each ingredient, as a mask, those that a pair keeps apart or whose pH does not suit it.

    Windows that overlap two by two by some width have one of that width in common, so that a set without a clash
    between two of it can be one mixture. One that alone can lie where a mixture should is never joined to one that
    takes it elsewhere; those that lie elsewhere anyhow may be together.
    """
    floor = 0 if acidity.low is None else acidity.low
    ceiling = max(ph_high, default=0) if acidity.high is None else acidity.high

    def overlap(i: int, j: int) -> int:
        return min(ph_high[i], ph_high[j]) - max(ph_low[i], ph_low[j])

    def inside(i: int, j: int) -> bool:
        return min(ph_high[i], ph_high[j], ceiling) - max(ph_low[i], ph_low[j], floor) >= acidity.width

    def kept_inside(i: int) -> bool:
        return not acidity.unbuffered >> i & 1 and inside(i, i)

    def clash(i: int, j: int) -> bool:
        if i == j:
            return overlap(i, i) < 0
        if apart[i] >> j & 1 or overlap(i, j) < acidity.width:
            return True
        return not inside(i, j) and (kept_inside(i) or kept_inside(j))

    places = range(len(apart))
    return tuple(sum(1 << j for j in places if clash(i, j)) for i in places)
