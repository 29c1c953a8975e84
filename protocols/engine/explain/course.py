"""Course: the days, the technique and the checkpoints; and what the course costs."""

from __future__ import annotations

from decimal import Decimal

from protocols.engine.answer import Checkpoint, Cost, Course
from protocols.engine.canonical import plain_number
from protocols.engine.cost import Estimate, estimate
from protocols.engine.course import Schedule, minutes, technique
from protocols.engine.explain.values import significant
from protocols.engine.mixing.dose import Mixture
from protocols.engine.result import Composition
from protocols.engine.setting import Setting


def course_row(setting: Setting, composition: Composition, total: Decimal) -> Course:
    formulary, plan = setting.formulary, composition.plan
    rules, band = formulary.course, formulary.course.bands[setting.screening.severity]
    method = technique(
        tuple(entry.concern for entry in setting.screening.concerns), formulary.keys(composition.mask), formulary
    )
    length = minutes(setting.case.area_cm2, formulary)
    return {
        "sessions": len(plan.offsets),
        "sessions_min": band.sessions_min,
        "sessions_max": band.sessions_max,
        "schedule": plan.name,
        "offsets_days": list(plan.offsets),
        "windows_days": [
            {"session": w.session, "earliest": w.earliest, "ideal": w.ideal, "latest": w.latest} for w in plan.windows
        ],
        "span_days": plan.span,
        "span_min_days": band.span_min,
        "span_max_days": band.span_max,
        "min_gap_days": plan.min_gap,
        "ideal_gap_days": plan.ideal_gap,
        "max_gap_days": plan.max_gap,
        "spacings": [
            {
                "ingredient": s.ingredient,
                "from_session": s.from_session,
                "to_session": s.to_session,
                "min_days": s.min_days,
            }
            for s in plan.spacings
        ],
        "checkpoints": _checkpoints(plan),
        "duration_minutes": length,
        "appointment_minutes_extra": rules.extra_minutes,
        "appointment_minutes": length + rules.extra_minutes,
        "points": setting.points,
        "volume_per_point_ml": plain_number(significant(total / setting.points)),
        "technique": method.key,
        "depth_mm": {"min": plain_number(method.depth_min_mm), "max": plain_number(method.depth_max_mm)},
        "angle_degrees": {"min": method.angle_min, "max": method.angle_max},
        "needle": rules.needle,
        "change_needle_every_points": rules.change_needle_every,
        "sources": list(band.sources),
    }


def _checkpoints(plan: Schedule) -> list[Checkpoint]:
    return [
        {
            "key": review.key,
            "after_session": review.after_session,
            "offset_days": review.offset_days,
            "earliest_days": review.earliest_days,
            "latest_days": review.latest_days,
            "measures": list(review.measures),
        }
        for review in plan.reviews
    ]


def estimate_of(setting: Setting, composition: Composition) -> Estimate:
    numbers = range(1, len(composition.plan.offsets) + 1)
    units = [_ingredient_units(setting, composition.of_session(number)) for number in numbers]
    return estimate(setting.points, units, setting.policy, setting.formulary)


def _ingredient_units(setting: Setting, mixtures: tuple[Mixture, ...]) -> Decimal:
    units = Decimal(0)
    for mixture in mixtures:
        for i, steps in mixture.steps.items():
            units += setting.volume_ml(steps) * setting.formulary.by_index[i].cost_per_ml
        if mixture.diluent_steps:
            units += setting.volume_ml(mixture.diluent_steps) * setting.formulary.by_index[mixture.diluent].cost_per_ml
    return units


def cost_row(money: Estimate) -> Cost:
    return {
        "currency": money.currency,
        "per_session": plain_number(money.per_session[0]),
        "sessions": [plain_number(each) for each in money.per_session],
        "total": plain_number(money.total),
        "low": plain_number(money.low),
        "high": plain_number(money.high),
        "lines": [
            {
                "item": line.item,
                "key": line.key,
                "amount": plain_number(line.amount),
                "multiplier": None if line.multiplier is None else plain_number(line.multiplier),
            }
            for line in money.lines
        ],
    }
