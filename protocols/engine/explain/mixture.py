"""Mixture: syringes and lines with every figure."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import cast

from protocols.engine import answer as says
from protocols.engine.canonical import plain_number
from protocols.engine.explain.values import Values, significant
from protocols.engine.inputs.formulary import Formulary
from protocols.engine.inputs.model import Address, CourseRules
from protocols.engine.mixing.dose import Mixture
from protocols.engine.result import Result
from protocols.engine.setting import Setting

LABELS = "ABCDEFGH"


def syringe_rows(result: Result, mixtures: tuple[Mixture, ...], values: Values) -> list[says.Syringe]:
    return [_syringe(result, label, mixture, values) for label, mixture in zip(LABELS, mixtures, strict=False)]


def _syringe(result: Result, label: str, mixture: Mixture, values: Values) -> says.Syringe:
    setting = result.setting
    volume = setting.volume_ml(mixture.total)
    lines = [_line(result, i, steps, volume, values) for i, steps in mixture.steps.items()]
    members = list(mixture.steps)
    if mixture.diluent_steps:
        lines.append(_line(result, mixture.diluent, mixture.diluent_steps, volume, values))
        members.append(mixture.diluent)
    items = [setting.formulary.by_index[i] for i in members]
    buffered = [item for item in items if not item.unbuffered]
    low, high = max(item.ph_min for item in buffered), min(item.ph_max for item in buffered)
    parts = parts_of(mixture.total, setting.formulary.course)
    return {
        "label": label,
        "volume_ml": plain_number(volume),
        "drawn_as": {"count": len(parts), "parts_ml": [plain_number(setting.volume_ml(part)) for part in parts]},
        "ph_min": plain_number(low),
        "ph_max": plain_number(high),
        "ph_estimate": plain_number(((low + high) / 2).quantize(Decimal("0.1"), ROUND_HALF_UP)),
        "osmolality": _osmolality(mixture, setting.formulary),
        "diluent_share": plain_number(significant(setting.volume_ml(mixture.diluent_steps) / volume)),
        "use_immediately": [
            {
                "pair": pair.key,
                "ingredients": [setting.formulary.by_index[i].key, setting.formulary.by_index[j].key],
                "sources": list(pair.sources),
            }
            for place, i in enumerate(members)
            for j in members[place + 1 :]
            for pair in setting.formulary.pairs
            if pair.severity == "use_immediately" and pair.joins(i, j)
        ],
        "lines": lines,
    }


def parts_of(steps: int, rules: CourseRules) -> list[int]:
    """How a mixture is drawn into syringes: in whole steps, as equal as these allow, the larger parts first."""
    largest = int((rules.largest_syringe_ml / rules.step_ml).to_integral_value(ROUND_FLOOR))
    count = max(1, -(-steps // largest))
    each, more = divmod(steps, count)
    return [each + 1] * more + [each] * (count - more)


def _osmolality(mixture: Mixture, formulary: Formulary) -> says.Osmolality:
    """An estimate by volume, in mOsm/kg, rounded up to tens: volumes add up only nearly, and no mixture is measured."""
    poured = dict(mixture.steps)
    if mixture.diluent_steps:
        poured[mixture.diluent] = mixture.diluent_steps
    items = [(formulary.by_index[i], steps) for i, steps in poured.items()]
    unknown = [item.key for item, _ in items if item.osmolality is None]
    if unknown:
        return {"estimate": None, "unknown": unknown}
    total = sum((item.osmolality * steps for item, steps in items if item.osmolality is not None), Decimal(0))
    tens = (total / mixture.total / 10).to_integral_value(ROUND_CEILING)
    return {"estimate": plain_number(tens * 10), "unknown": []}


def _line(result: Result, i: int, steps: int, mixture_ml: Decimal, values: Values) -> says.Line:
    setting = result.setting
    item = setting.formulary.by_index[i]
    volume = setting.volume_ml(steps)
    amount = item.dose_of(volume)
    limits = setting.limits[i]
    return {
        "ingredient": item.key,
        "name": item.name,
        "role": item.role,
        "stock_concentration": plain_number(item.concentration),
        "concentration_unit": item.concentration_unit,
        "volume_ml": plain_number(volume),
        "volume_min_ml": plain_number(setting.volume_ml(limits.least)),
        "volume_usual_ml": plain_number(setting.volume_ml(limits.usual)),
        "volume_max_ml": plain_number(setting.volume_ml(limits.most)),
        "set_by_hand": i in result.pinned,
        "dose": plain_number(amount.amount),
        "dose_unit": amount.unit,
        "max_dose": plain_number(item.max_dose.amount),
        "final_concentration": plain_number(significant(amount.amount / mixture_ml)),
        "addresses": [_address(setting, address) for address in setting.serves(item)],
        "marginal_value": None
        if item.role == "diluent"
        else plain_number(setting.decimal_value(values.value(result.mask) - values.value(result.mask & ~(1 << i)))),
        "required_by": [
            requirement.concern
            for requirement in setting.problem.requirements
            if requirement.index == i and not requirement.substitute
        ],
        "stands_in_for": [
            {"concern": requirement.concern, "ingredient": requirement.first_choice}
            for requirement in setting.problem.requirements
            if requirement.index == i and requirement.substitute
        ],
        "prescription_only": item.prescription_only,
        "director_confirmation_required": item.director_confirmation_required,
        "basis": item.basis,
        "sources": list(item.sources),
    }


def _address(setting: Setting, address: Address) -> says.Address:
    return {
        "concern": address.concern,
        "strength": address.strength,
        "evidence_grade": cast(says.Grade, address.grade),
        "direction": cast(says.Direction, address.direction),
        "sources": list(address.sources),
        "web_article_only": address.web_article_only,
    }
