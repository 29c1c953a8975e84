"""Left out: each ingredient that is in no syringe, and each first choice, with the one reason that decided."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from protocols.engine import answer as says
from protocols.engine.canonical import plain_number
from protocols.engine.explain.findings import reason_row
from protocols.engine.explain.values import SMALL_SYRINGE, Values
from protocols.engine.inputs.model import Ingredient, bits
from protocols.engine.mixing.select import Problem
from protocols.engine.result import Result
from protocols.engine.setting import Setting


def requirement_rows(result: Result) -> list[says.Requirement]:
    setting = result.setting
    problem = setting.problem
    rows: list[says.Requirement] = []
    state: says.RequirementState
    for requirement in problem.requirements:
        limit = None
        item = None if requirement.index < 0 else setting.formulary.by_index[requirement.index]
        if item is None:
            state = "no_substitute"
        elif result.composition is None:
            state = "no_plan"
        elif result.mask >> requirement.index & 1:
            state = "substituted" if requirement.substitute else "met"
        elif requirement.index in result.removed:
            state = "removed"
        else:
            limit = _limit(problem, result.mask | 1 << requirement.index) or None
            state = "gave_way" if limit else "could_return"
        rows.append(
            {
                "concern": requirement.concern,
                "first_choice": requirement.first_choice,
                "ingredient": None if item is None else item.key,
                "state": state,
                "limit": limit,
            }
        )
    return rows


def _limit(problem: Problem, mask: int) -> str:
    """What keeps a set from being drawn; nothing where it can be."""
    return problem.obstacle(mask) or (SMALL_SYRINGE if problem.too_small(mask) else "")


def left_out(result: Result, values: Values, used_diluent: int) -> list[says.LeftOut]:
    """Each active ingredient that is in no syringe, with the one reason that decided."""
    rows: list[says.LeftOut] = []
    for item in result.setting.formulary.by_index:
        if item.active and not (result.mask | used_diluent) >> item.index & 1:
            code, params = _why(result, item, values)
            rows.append(
                {
                    "ingredient": item.key,
                    "name": item.name,
                    "reason_code": code,
                    "params": params,
                    "range": _range(result.setting, item),
                }
            )
    return rows


def _range(setting: Setting, item: Ingredient) -> says.Range | None:
    """What an ingredient could be given at, were it added or swapped in; none where nothing would let it in."""
    if not setting.problem.candidates >> item.index & 1:
        return None
    limits = setting.limits[item.index]
    return {
        "volume_min_ml": plain_number(setting.volume_ml(limits.least)),
        "volume_usual_ml": plain_number(setting.volume_ml(limits.usual)),
        "volume_max_ml": plain_number(setting.volume_ml(limits.most)),
    }


def _why(result: Result, item: Ingredient, values: Values) -> tuple[says.LeftOutReason, says.Params]:
    setting = result.setting
    reason = setting.unavailable.get(item.index)
    if reason is not None and reason.code == "screened":
        return "screened", {
            "rules": [
                {"rule": f.rule.key, "because": [reason_row(r) for r in f.because], "sources": list(f.rule.sources)}
                for f in reason.params["findings"]
            ]
        }
    if result.composition is None:
        return "no_plan", {"status": result.status}
    if item.role == "diluent" and item.key not in setting.formulary.composition.top_up:
        return "diluent_for_reconstitution", {}
    if reason is not None:
        target = {"target_ml": setting.target_ml} if reason.code == "no_volume" else {}
        return cast(says.LeftOutReason, reason.code), {**reason.params, **target}
    if item.role == "diluent":
        return "diluent_not_needed", {}
    if not setting.serving >> item.index & 1:
        return "serves_no_concern", {}
    if item.index in result.removed:
        return "removed_by_hand", _gain(result, item, values)
    return _outweighed(result, item, values)


def _gain(result: Result, item: Ingredient, values: Values) -> says.Params:
    """What adding it would bring, gross, and what an ingredient has to earn here."""
    setting, problem, mask = result.setting, result.setting.problem, result.mask
    bit = 1 << item.index
    gross = values.benefit(mask | bit) - values.benefit(mask)
    needed = problem.penalty(mask | bit) - problem.penalty(mask)
    return {
        "gain": setting.decimal_value(gross - needed),
        "gross": setting.decimal_value(gross),
        "needed": setting.decimal_value(needed),
        "syringes_more": problem.syringes.fewest(mask | bit) - problem.syringes.fewest(mask),
    }


def _outweighed(result: Result, item: Ingredient, values: Values) -> tuple[says.LeftOutReason, says.Params]:
    setting, problem, mask = result.setting, result.setting.problem, result.mask
    formulary, bit = setting.formulary, 1 << item.index
    obstacle = problem.obstacle(mask | bit)
    required = [r.concern for r in problem.requirements if r.index == item.index]
    if obstacle == "family":
        family = next(f for f in formulary.composition.families if (f.mask & (mask | bit)).bit_count() > f.maximum)
        kept = list(formulary.keys(family.mask & mask))
        return "family_limit", {"family": family.key, "maximum": family.maximum, "kept": kept, "required_by": required}
    if obstacle == "pair":
        clashing = formulary.never_together[item.index] & mask
        other = bits(clashing)[0]
        pair = next(
            p
            for p in formulary.pairs
            if p.scope == "session" and p.severity != "use_immediately" and p.joins(item.index, other)
        )
        other_key = formulary.by_index[other].key
        return "pair", {"pair": pair.key, "with": other_key, "sources": list(pair.sources), "required_by": required}
    gross = values.benefit(mask | bit) - values.benefit(mask)
    if obstacle and (gross > problem.simplicity or required):
        ranked = sorted(
            (i for i in bits(mask) if problem.feasible(mask & ~(1 << i) | bit)),
            key=lambda i: (values.value(mask) - values.value(mask & ~(1 << i)), i),
        )
        by = [formulary.by_index[i].key for i in ranked[:1]] or list(formulary.keys(mask))
        return "displaced", {
            "limit": obstacle,
            "by": by,
            "gross": setting.decimal_value(gross),
            "required_by": required,
        }
    if obstacle:
        return "adds_too_little", {
            "gross": setting.decimal_value(gross),
            "needed": setting.decimal_value(problem.simplicity),
            "gain": setting.decimal_value(gross - problem.simplicity),
            "syringes_more": 0,
            "limit": obstacle,
        }
    gain = _gain(result, item, values)
    if (Decimal(gain["gain"]) > 0 or required) and problem.too_small(mask | bit):
        return SMALL_SYRINGE, {**setting.small_syringe(*setting.drawing.draw(mask | bit)), "required_by": required}
    return ("adds_too_little" if Decimal(gain["gain"]) <= 0 else "not_chosen"), gain
