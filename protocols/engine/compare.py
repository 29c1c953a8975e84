"""What if: the new answer beside the old, with each difference named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOP_LEVEL = ("status", "severity", "area_cm2", "target_volume_ml", "total_volume_ml", "value", "formulary_version")
COURSE = (
    "sessions", "offsets_days", "span_days", "duration_minutes", "points", "technique", "min_gap_days", "max_gap_days",
)  # fmt: skip


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Differences between two answers as codes with parameters, in one fixed order. Empty when nothing changed."""
    found: list[dict[str, Any]] = []
    for name in TOP_LEVEL:
        if old.get(name) != new.get(name):
            found.append(_change(f"{name}_changed", old=old.get(name), new=new.get(name)))
    found += _ingredients(old, new)
    for group, code in (("blocks", "block"), ("cautions", "caution"), ("infos", "info")):
        was, now = ({entry["rule"]: entry for entry in answer[group]} for answer in (old, new))
        found += [_rule(f"{code}_gone", was[rule]) for rule in was if rule not in now]
        found += [_rule(f"{code}_new", now[rule]) for rule in now if rule not in was]
    before, after = ([row["fact"] for row in answer["open_questions"]] for answer in (old, new))
    found += [_change("question_settled", fact=fact) for fact in before if fact not in after]
    found += [_change("question_new", fact=fact) for fact in after if fact not in before]
    found += _reasons(old, new)
    if old["course"] and new["course"]:
        for name in COURSE:
            if old["course"][name] != new["course"][name]:
                found.append(_change(f"{name}_changed", old=old["course"][name], new=new["course"][name]))
    if old["cost"] and new["cost"] and old["cost"]["total"] != new["cost"]["total"]:
        found.append(_change("cost_changed", old=old["cost"]["total"], new=new["cost"]["total"]))
    return found


def _change(code: str, **params: Any) -> dict[str, Any]:
    return {"code": code, "params": params}


def _rule(code: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A rule with what its sentence needs, where that is more than its name."""
    return _change(code, rule=entry["rule"], **({"params": entry["params"]} if entry.get("params") else {}))


def _ingredients(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    before, after = _volumes(old), _volumes(new)
    found = [_change("ingredient_gone", ingredient=key, volume_ml=before[key]) for key in before if key not in after]
    found += [_change("ingredient_new", ingredient=key, volume_ml=after[key]) for key in after if key not in before]
    found += [
        _change("volume_changed", ingredient=key, old=before[key], new=after[key])
        for key in before
        if key in after and before[key] != after[key]
    ]
    if before and after and len(old["syringes"]) != len(new["syringes"]):
        found.append(_change("syringes_changed", old=len(old["syringes"]), new=len(new["syringes"])))
    return found


def _volumes(answer: Mapping[str, Any]) -> dict[str, str]:
    """Volume of each ingredient; a diluent that is in several syringes is named with each."""
    volumes: dict[str, str] = {}
    for syringe in answer["syringes"]:
        for line in syringe["lines"]:
            key = line["ingredient"]
            volumes[key] = f"{volumes[key]} + {line['volume_ml']}" if key in volumes else line["volume_ml"]
    return volumes


def _reasons(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    before, after = ({row["ingredient"]: row["reason_code"] for row in answer["left_out"]} for answer in (old, new))
    return [
        _change("reason_changed", ingredient=key, old=before[key], new=after[key])
        for key in before
        if key in after and before[key] != after[key]
    ]
