"""Waiting: no injections now, and a day on which the patient is looked at again. It is always an alternative.

It stands first where the mixture is worth less than none, where there is no mixture, and where every concern of the
plan usually settles by itself. (course.yaml, waiting; concerns.yaml, settles_by_itself)
"""

from __future__ import annotations

from decimal import Decimal

from protocols.engine.answer import Alternative, Review, Trade
from protocols.engine.canonical import plain_number
from protocols.engine.setting import Setting

BELOW_ZERO, NO_MIXTURE, SETTLES = "value_below_zero", "no_mixture", "settles_by_itself"


def review(setting: Setting) -> Review:
    """When somebody who waits is looked at again, in days, with the rules and sources that say so."""
    settling = [setting.formulary.concerns[entry.concern].settles for entry in setting.screening.concerns]
    rules = [rule for rule in settling if rule is not None]
    if len(rules) < len(settling):
        rules = [setting.formulary.composition.waiting]
    return {
        "days": min(rule.review_days for rule in rules),
        "rules": [rule.rule for rule in rules],
        "sources": sorted({source for rule in rules for source in rule.sources}),
    }


def reasons(setting: Setting, mask: int, value: Decimal) -> list[Trade]:
    """Why waiting comes before every mixture, as codes; nothing where it does not."""
    found: list[Trade] = []
    if not mask:
        found.append({"code": NO_MIXTURE, "params": {}})
    elif value < 0:
        found.append({"code": BELOW_ZERO, "params": {"value": value}})
    concerns = [entry.concern for entry in setting.screening.concerns]
    if all(setting.formulary.concerns[concern].settles for concern in concerns):
        found.append({"code": SETTLES, "params": {"concerns": concerns}})
    return found


def alternative(setting: Setting, mask: int, value: Decimal, total: Decimal, currency: str | None) -> Alternative:
    """Waiting as one of the alternatives: nothing in it, nothing to pay, worth nothing."""
    trades: list[Trade] = [{"code": "nothing_injected", "params": {}}]
    if total:
        trades.append({"code": "cheaper", "params": {"amount": total, "currency": currency}})
    return {
        "kind": "waiting",
        "ingredients": [],
        "value": "0",
        "value_difference": plain_number(-value),
        "lines": [],
        "sessions": [],
        "cost_total": "0",
        "cost_difference": plain_number(-total),
        "trades": trades,
        "review": {**review(setting), "because": reasons(setting, mask, value)},
    }
