"""Result: a set of ingredients made into mixtures, and what a proposal holds before anybody explains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from protocols.engine.course import Schedule, schedule
from protocols.engine.inputs.model import bits
from protocols.engine.mixing.dose import Mixture
from protocols.engine.setting import Setting

ENGINE_VERSION = "1.2"


@dataclass(frozen=True, kw_only=True, eq=False)
class Composition:
    """A set of ingredients, partitioned and dosed: for the first session, and for those that differ from it."""

    mask: int
    groups: tuple[int, ...]
    mixtures: tuple[Mixture, ...]
    plan: Schedule
    others: Mapping[int, tuple[Mixture, ...]]
    """Sessions, by number, that hold something else than the first because an ingredient has a longer interval."""

    def of_session(self, number: int) -> tuple[Mixture, ...]:
        return self.others.get(number, self.mixtures)


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What was chosen in a setting, by the engine and by hand."""

    setting: Setting
    composition: Composition | None
    edits: tuple[Mapping[str, Any], ...] = ()
    removed: frozenset[int] = frozenset()
    pinned: Mapping[int, int] = field(default_factory=dict)
    engine_mask: int | None = None
    """What the engine itself had chosen, where a practitioner has edited it."""
    waits: bool = False
    """The practitioner chose to inject nothing now, and to look again."""

    @property
    def status(self) -> str:
        return "waiting" if self.waits else self.setting.status

    @property
    def mask(self) -> int:
        return self.composition.mask if self.composition else 0

    @property
    def ingredients(self) -> tuple[str, ...]:
        return self.setting.formulary.keys(self.mask)


def compose(setting: Setting, mask: int, volumes: Mapping[int, int] | None = None) -> Composition:
    """Partition and dose a feasible set. `volumes`: steps set by hand, by index; the rest keep what they are given."""
    intervals = {
        setting.formulary.by_index[i].key: setting.formulary.by_index[i].min_interval_days
        for i in bits(mask) + ([setting.diluent] if setting.diluent >= 0 else [])
    }
    plan = schedule(setting.screening.severity, intervals, setting.policy, setting.formulary)
    drawing = setting.drawing
    groups, mixtures = drawing.draw(mask)
    if volumes:
        # By hand: the other lines of the first session keep their volumes; the diluent gives way.
        steps = {i: amount for mixture in mixtures for i, amount in mixture.steps.items()}
        steps |= {i: amount for i, amount in volumes.items() if i in steps}
        mixtures = drawing.filled(groups, steps)
    others: dict[int, tuple[Mixture, ...]] = {}
    if plan.uses:
        for number in range(1, len(plan.offsets) + 1):
            absent = {key for key, sessions in plan.uses.items() if number not in sessions}
            if not absent:
                continue
            held = mask & ~setting.formulary.mask(absent)
            dry = setting.diluent >= 0 and setting.formulary.by_index[setting.diluent].key in absent
            others[number] = drawing.draw_with(held, volumes or {}, dry=dry)[1]
    return Composition(mask=mask, groups=groups, mixtures=mixtures, plan=plan, others=others)
