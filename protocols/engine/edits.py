"""Edits by hand: the practitioner's changes to a proposal, held to the very limits that the engine keeps.

An edit that a limit forbids is refused and the others stand; the refusal names the limit, its rule and its source. What
comes out is a proposal like any other, with the same checks, doses, findings and explanations, and the cost in value.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from protocols.engine.inputs.case import Case
from protocols.engine.inputs.formulary import Formulary
from protocols.engine.inputs.model import CaseError, Fault, Ingredient, bits
from protocols.engine.inputs.policy import Policy, read_decimal, shown_value
from protocols.engine.mixing.dose import Mixture
from protocols.engine.mixing.select import select
from protocols.engine.propose import Proposal, prepare
from protocols.engine.result import Composition, compose
from protocols.engine.setting import Setting, set_up

EDIT_FIELDS: dict[str, tuple[str, ...]] = {
    "set_volume": ("ingredient", "volume_ml"),
    "remove": ("ingredient",),
    "add": ("ingredient",),
    "swap": ("ingredient", "with"),
    "set_sessions": ("sessions",),
    "set_schedule": ("schedule",),
    "wait": (),
}
MOST_EDITS = 100
WHO_IS_IN = ("remove", "add", "swap")
SMALLEST = "course.composition.mixture_limits.smallest_syringe"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    path: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class EditResult:
    proposal: Proposal
    refusals: tuple[Refusal, ...]
    value_cost: Decimal
    """How much less the edited set is worth than the engine's own; negative where requirements were given up."""


class _Refused(Exception):
    def __init__(self, code: str, **params: Any) -> None:
        self.code = code
        self.params = params
        super().__init__(code)


def apply_edits(
    case: Case | Mapping[str, Any],
    formulary: Formulary,
    policy: Policy | None,
    edits: Sequence[Any],
    stock: Mapping[str, Any] | None = None,
) -> EditResult:
    """The proposal after the edits. Raises CaseError for a case that cannot be read; an edit is refused, not raised."""
    if not isinstance(edits, Sequence) or isinstance(edits, str | bytes) or len(edits) > MOST_EDITS:
        raise CaseError((Fault(path="edits", code="wrong_type", params={"expected": "list"}),))
    setting = prepare(case, formulary, policy, stock)
    refusals: list[Refusal] = []
    if setting.status != "proposed":
        refusals = [
            Refusal(path=f"edits[{place}]", code="no_plan", params={"status": setting.status})
            for place in range(len(edits))
        ]
        proposal = Proposal(setting=setting, composition=None)
        return EditResult(proposal=proposal, refusals=tuple(refusals), value_cost=Decimal(0))
    own = select(setting.problem)
    work = _Work(setting=setting, mask=own)
    read: list[tuple[int, dict[str, Any]]] = []
    for place, edit in enumerate(edits):
        try:
            read.append((place, _read(edit)))
        except _Refused as refused:
            refusals.append(Refusal(path=f"edits[{place}]", code=refused.code, params=refused.params))
    applied: list[tuple[int, dict[str, Any]]] = []
    # Who is in comes first, then how much, so that the order in which a form sends its changes does not matter.
    for wanted in (("set_sessions", "set_schedule"), WHO_IS_IN, ("set_volume",), ("wait",)):
        if wanted == ("set_volume",):
            refusals += _taken_back(work, own, applied)
            work.settle()
        for place, edit in read:
            if edit["op"] in wanted:
                try:
                    work.apply(edit)
                except _Refused as refused:
                    path = f"edits[{place}]"
                    if refused.params.pop("field", None):
                        path += f".{EDIT_FIELDS[edit['op']][-1]}"
                    refusals.append(Refusal(path=path, code=refused.code, params=refused.params))
                else:
                    applied.append((place, edit))
    proposal = Proposal(
        setting=work.setting,
        composition=None if work.waits else work.composition(),
        edits=tuple(edit for _, edit in sorted(applied, key=lambda pair: pair[0])),
        removed=frozenset(bits(own & ~work.mask)),
        pinned=dict(work.pinned),
        engine_mask=own,
        waits=work.waits,
    )
    cost = setting.problem.value(own) - setting.problem.value(work.mask)
    return EditResult(
        proposal=proposal,
        refusals=tuple(sorted(refusals, key=lambda refusal: _place(refusal.path))),
        value_cost=setting.decimal_value(cost),
    )


def _taken_back(work: _Work, own: int, applied: list[tuple[int, dict[str, Any]]]) -> list[Refusal]:
    """Undo edits of who is in, from the last on, until each syringe is worth drawing; return their refusals.

    Judged when all are made: of two that belong together the first alone may leave a syringe too small.
    """
    refusals = []
    while work.setting.problem.too_small(work.mask) and (
        last := next((row for row in reversed(applied) if row[1]["op"] in WHO_IS_IN), None)
    ):
        applied.remove(last)
        params = {
            **work.setting.small_syringe(*work.setting.drawing.draw(work.mask)),
            "ingredient": last[1]["ingredient"],
            "rule": SMALLEST,
            "sources": _sources_of_limits(work.setting),
        }
        refusals.append(Refusal(path=f"edits[{last[0]}]", code="small_syringe", params=params))
        work.mask = own
        for _, edit in applied:
            if edit["op"] in WHO_IS_IN:
                work.apply(edit)
    return refusals


def _sources_of_limits(setting: Setting) -> list[str]:
    limits = setting.formulary.composition.mixture
    return [] if limits is None else list(limits.sources)


def _place(path: str) -> int:
    return int(path.split("[", 1)[1].split("]", 1)[0])


def _read(edit: Any) -> dict[str, Any]:
    if not isinstance(edit, Mapping):
        raise _Refused("wrong_type", expected="mapping")
    op = edit.get("op")
    if not isinstance(op, str) or op not in EDIT_FIELDS:
        near = difflib.get_close_matches(str(op)[:60] if isinstance(op, str) else "", list(EDIT_FIELDS), n=3)
        raise _Refused("unknown_edit", value=shown_value(op), suggestions=near)
    unknown = [key for key in edit if key != "op" and key not in EDIT_FIELDS[op]]
    missing = [key for key in EDIT_FIELDS[op] if edit.get(key) is None]
    if unknown or missing:
        raise _Refused("wrong_fields", expected=list(EDIT_FIELDS[op]))
    return {"op": op, **{key: edit[key] for key in EDIT_FIELDS[op]}}


@dataclass(kw_only=True)
class _Work:
    """A proposal being edited."""

    setting: Setting
    mask: int
    pinned: dict[int, int] = field(default_factory=dict)
    steps: dict[int, int] = field(default_factory=dict)
    waits: bool = False

    def apply(self, edit: dict[str, Any]) -> None:
        getattr(self, f"_{edit['op']}")(edit)

    def settle(self) -> None:
        """Dose the set as it now stands; volumes set by hand start from there."""
        mixtures: tuple[Mixture, ...] = compose(self.setting, self.mask).mixtures
        self.steps = {i: amount for mixture in mixtures for i, amount in mixture.steps.items()}

    def composition(self) -> Composition:
        return compose(self.setting, self.mask, self.pinned)

    # ------------------------------------------------------------------ no injections now
    def _wait(self, edit: dict[str, Any]) -> None:
        self.waits = True

    # ------------------------------------------------------------------ the course
    def _set_sessions(self, edit: dict[str, Any]) -> None:
        count = edit["sessions"]
        formulary, severity = self.setting.formulary, self.setting.screening.severity
        band = formulary.course.bands[severity]
        rule = f"course.sessions.by_severity.{severity}.sessions"
        if not isinstance(count, int) or isinstance(count, bool):
            raise _Refused("wrong_type", expected="integer", field=True)
        if not band.sessions_min <= count <= band.sessions_max:
            raise _Refused(
                "sessions_outside_rule",
                minimum=band.sessions_min,
                maximum=band.sessions_max,
                rule=rule,
                sources=list(band.sources),
                field=True,
            )
        self._override({"sessions": count, "schedule": None})

    def _set_schedule(self, edit: dict[str, Any]) -> None:
        severity = self.setting.screening.severity
        band = self.setting.formulary.course.bands[severity]
        names = dict(band.schedules)
        if not isinstance(edit["schedule"], str) or edit["schedule"] not in names:
            raise _Refused(
                "unknown_schedule",
                value=shown_value(edit["schedule"]),
                known=list(names),
                rule=f"course.sessions.by_severity.{severity}.alternative_schedules",
                sources=list(band.sources),
                field=True,
            )
        self._override({"schedule": edit["schedule"], "sessions": len(names[edit["schedule"]])})

    def _override(self, changes: Mapping[str, Any]) -> None:
        old = self.setting
        policy = old.policy.overridden(changes, old.formulary)
        self.setting = set_up(old.case, old.formulary, policy, old.stock)

    # ------------------------------------------------------------------ who is in
    def _remove(self, edit: dict[str, Any]) -> None:
        self.mask &= ~(1 << self._held(edit["ingredient"]).index)

    def _add(self, edit: dict[str, Any]) -> None:
        self.mask = self._with(self.mask, edit["ingredient"])

    def _swap(self, edit: dict[str, Any]) -> None:
        without = self.mask & ~(1 << self._held(edit["ingredient"]).index)
        self.mask = self._with(without, edit["with"])

    def _known(self, key: Any) -> Ingredient:
        ingredients = self.setting.formulary.ingredients
        if not isinstance(key, str) or key not in ingredients:
            near = difflib.get_close_matches(key[:60] if isinstance(key, str) else "", list(ingredients), n=3)
            raise _Refused("unknown_ingredient", value=shown_value(key), suggestions=near)
        item = ingredients[key]
        if item.role == "diluent":
            raise _Refused("diluent_follows", ingredient=key, rule="course.composition.scaling")
        return item

    def _held(self, key: Any) -> Ingredient:
        item = self._known(key)
        if not self.mask >> item.index & 1:
            raise _Refused("not_in_mixture", ingredient=item.key)
        return item

    def _with(self, mask: int, key: Any) -> int:
        setting, item = self.setting, self._known(key)
        bit = 1 << item.index
        if mask & bit:
            raise _Refused("already_in_mixture", ingredient=item.key)
        if not item.active:
            raise _Refused("not_active", ingredient=item.key, rule=f"ingredients.{item.key}.default_active")
        reason = setting.unavailable.get(item.index)
        if reason is not None and reason.code == "screened":
            rules = [finding.rule for finding in reason.params["findings"]]
            raise _Refused(
                "screened",
                ingredient=item.key,
                rules=[rule.key for rule in rules],
                rule=f"screening.{rules[0].key}",
                sources=sorted({source for rule in rules for source in rule.sources}),
            )
        if reason is not None:
            raise _Refused(reason.code, ingredient=item.key, **reason.params)
        if not setting.serving >> item.index & 1:
            raise _Refused("serves_no_concern", ingredient=item.key, rule=f"ingredients.{item.key}.concerns")
        if obstacle := setting.problem.obstacle(mask | bit):
            raise _Refused(obstacle, ingredient=item.key, **self._limit(obstacle, item, mask))
        return mask | bit

    def _limit(self, obstacle: str, item: Ingredient, mask: int) -> dict[str, Any]:
        """The limit that a set would break, its rule and its sources."""
        setting, formulary = self.setting, self.setting.formulary
        composition, technique = formulary.composition, formulary.course
        if obstacle == "pair":
            other = formulary.by_index[bits(formulary.never_together[item.index] & mask)[0]]
            pair = next(
                pair
                for pair in formulary.pairs
                if pair.scope == "session"
                and pair.severity != "use_immediately"
                and pair.joins(item.index, other.index)
            )
            rule = f"screening.incompatibilities.{pair.key}"
            return {"with": other.key, "pair": pair.key, "rule": rule, "sources": list(pair.sources)}
        if obstacle == "family":
            grown = mask | 1 << item.index
            family = next(f for f in composition.families if (f.mask & grown).bit_count() > f.maximum)
            return {
                "family": family.key,
                "maximum": family.maximum,
                "kept": list(formulary.keys(family.mask & mask)),
                "rule": "course.composition.same_family_limit",
                "sources": list(family.sources),
            }
        if obstacle == "volume":
            return {
                "target_ml": setting.target_ml,
                "rule": "course.technique.target_volume",
                "sources": list(technique.technique_sources),
            }
        if obstacle == "budget":
            return {"maximum": setting.policy.ingredient_budget, "rule": "policy.ingredient_budget", "sources": []}
        limit, rule = {
            "max_actives": (setting.policy.max_actives, "max_active_ingredients_per_session"),
            "syringes": (setting.policy.max_syringes, "max_syringes_per_session"),
        }[obstacle]
        return {"maximum": limit, "rule": f"course.composition.{rule}", "sources": list(composition.sources)}

    # ------------------------------------------------------------------ how much
    def _set_volume(self, edit: dict[str, Any]) -> None:
        item, setting = self._held(edit["ingredient"]), self.setting
        step = setting.formulary.course.step_ml
        volume = read_decimal(edit["volume_ml"])
        where = f"ingredients.{item.key}.per_session.volume"
        base = {"ingredient": item.key, "sources": list(item.sources), "field": True}
        if volume is None:
            raise _Refused("not_a_volume", value=shown_value(edit["volume_ml"]), **base)
        limits = setting.limits[item.index]
        least, most = setting.volume_ml(limits.least), setting.volume_ml(limits.most)
        if volume < least:
            raise _Refused("volume_below_min", volume_ml=volume, limit_ml=least, rule=f"{where}.min", **base)
        if volume > setting.volume_ml(item.max_steps):
            limit = setting.volume_ml(item.max_steps)
            dose_binds = item.max_dose < item.dose_of(item.volume_max_ml)
            rule = f"ingredients.{item.key}.per_session.max_dose" if dose_binds else f"{where}.max"
            raise _Refused("volume_above_max", volume_ml=volume, limit_ml=limit, rule=rule, **base)
        if volume > most:
            raise _Refused("above_stock", volume_ml=volume, limit_ml=most, rule="stock", **base)
        if volume % step:
            raise _Refused("not_drawable", volume_ml=volume, step_ml=step, rule="course.technique.draw_step", **base)
        amount = int(volume / step)
        steps = {**self.steps, item.index: amount}
        if sum(steps.values()) > setting.target_steps:
            room = setting.target_steps - sum(steps.values()) + amount
            raise _Refused(
                "total_above_target",
                volume_ml=volume,
                limit_ml=setting.volume_ml(max(0, room)),
                target_ml=setting.target_ml,
                rule="course.technique.target_volume",
                **base,
            )
        budget = setting.problem.budget
        if budget is not None and sum(setting.problem.cost_index[i] * n for i, n in steps.items()) > budget:
            raise _Refused("budget", maximum=setting.policy.ingredient_budget, rule="policy.ingredient_budget", **base)
        drawing = setting.drawing
        groups = drawing.draw(self.mask)[0]
        mixtures = drawing.filled(groups, steps)
        if drawing.smallest(mixtures) is not None:
            raise _Refused(
                "small_syringe",
                **setting.small_syringe(groups, mixtures),
                rule=SMALLEST,
                **{**base, "sources": _sources_of_limits(setting)},
            )
        self.steps = steps
        self.pinned[item.index] = amount
        edit["volume_ml"] = volume
