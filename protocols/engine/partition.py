"""Partition: the fewest mixtures that the pair rules, the pH windows and the limit per syringe allow. Exact."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.engine.model import bits


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
    counts: dict[int, int] = field(default_factory=dict, repr=False)

    def fits(self, mask: int) -> bool:
        """Whether the whole set may be one mixture."""
        if mask.bit_count() > self.per_syringe:
            return False
        low, high = -1, 1 << 60
        rest = mask
        while rest:
            bit = rest & -rest
            i = bit.bit_length() - 1
            if self.apart[i] & mask:
                return False
            low, high = max(low, self.ph_low[i]), min(high, self.ph_high[i])
            rest ^= bit
        return low <= high

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
        if place == len(members):
            return True
        bit = 1 << members[place]
        for group in range(min(used + 1, len(groups))):
            if self.fits(groups[group] | bit):
                groups[group] |= bit
                if self._assign(members, place + 1, groups, max(used, group + 1)):
                    groups[group] ^= bit
                    return True
                groups[group] ^= bit
        return False

    def best(self, mask: int) -> tuple[int, ...]:
        """The chosen mixtures, as masks: the fewest; then the fewest hurried pairs within one; then the most
        ingredients that can be diluted; then the earliest syringe for each ingredient in key order."""
        if not mask:
            return ()
        count = self.fewest(mask)
        if count == 1:
            return (mask,)
        members = bits(mask)
        found: list[tuple[tuple[int, int, tuple[int, ...]], tuple[int, ...]]] = []
        self._every(members, 0, [0] * count, (), found)
        return min(found)[1]

    def _every(
        self,
        members: list[int],
        place: int,
        groups: list[int],
        labels: tuple[int, ...],
        found: list[tuple[tuple[int, int, tuple[int, ...]], tuple[int, ...]]],
    ) -> None:
        used = max(labels, default=-1) + 1
        if place == len(members):  # no group is empty: there is no way with fewer
            hurried = sum((self.hurried[i] & group).bit_count() for group in groups for i in bits(group))
            undiluted = sum(group.bit_count() for group in groups if group & ~self.dilutable_mask)
            found.append(((hurried, undiluted, labels), tuple(groups)))
            return
        bit = 1 << members[place]
        for group in range(min(used + 1, len(groups))):
            if self.fits(groups[group] | bit):
                groups[group] |= bit
                self._every(members, place + 1, groups, (*labels, group), found)
                groups[group] ^= bit
