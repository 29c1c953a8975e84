"""What engine tests share: the worked cases, the starter formulary, a healthy patient to change."""

from __future__ import annotations

import copy
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from protocols.engine import Formulary, build_formulary, propose
from protocols.formulary.loader import load_documents

HERE = Path(__file__).resolve().parent


@lru_cache(maxsize=1)
def case_file() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((HERE / "cases.yaml").read_text(encoding="utf-8"))
    return read


@lru_cache(maxsize=1)
def starter() -> Formulary:
    return build_formulary(load_documents())


@lru_cache(maxsize=1)
def earlier_formulary() -> Formulary:
    """The starter formulary of the engines 1.0 and 1.1, as a clinic that published it keeps it. It never changes."""
    documents = json.loads((HERE / "golden" / "formulary-2026.1.json").read_text(encoding="utf-8"))
    return build_formulary(documents, label="2026.1")


def earlier_cases() -> list[dict[str, Any]]:
    """The worked cases as they stood then."""
    read: list[dict[str, Any]] = json.loads((HERE / "golden" / "cases-2026.1.json").read_text(encoding="utf-8"))
    return read


def worked_case(entry: dict[str, Any]) -> dict[str, Any]:
    """A case as the command takes it: the base facts merged in."""
    facts = dict(case_file()["base_facts"])
    if entry["facts"]["sex_at_birth"] == "female":
        facts |= case_file()["base_facts_female"]
    return {**entry, "facts": {**facts, **entry["facts"]}}


def worked_cases() -> list[dict[str, Any]]:
    return [worked_case(entry) for entry in case_file()["cases"]]


def by_id(case_id: str) -> dict[str, Any]:
    return next(case for case in worked_cases() if case["id"] == case_id)


def man(**changes: Any) -> dict[str, Any]:
    """A healthy man of 40 with moderate pattern loss; `facts` change answers, anything else replaces a part."""
    return _patient("male", {}, changes)


def woman(**changes: Any) -> dict[str, Any]:
    """A healthy woman of 40 with moderate pattern loss."""
    return _patient("female", dict(case_file()["base_facts_female"]), changes)


def _patient(sex: str, extra: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    base = {**case_file()["base_facts"], **extra, "age_years": 40, "sex_at_birth": sex}
    changes = copy.deepcopy(changes)
    facts = {**base, **changes.pop("facts", {})}
    case = {
        "facts": {key: value for key, value in facts.items() if value is not ...},
        "concerns": [{"concern": "androgenetic_alopecia", "severity": "moderate"}],
        "zones": ["frontal", "vertex"],
    }
    return {**case, **changes}


def answer_of(case: dict[str, Any], formulary: Formulary | None = None, **rest: Any) -> dict[str, Any]:
    return dict(**propose(case, formulary or starter(), **rest).as_dict())


def in_mixture(answer: dict[str, Any]) -> set[str]:
    return {line["ingredient"] for syringe in answer["syringes"] for line in syringe["lines"]}


def actives(answer: dict[str, Any]) -> set[str]:
    return {
        line["ingredient"] for syringe in answer["syringes"] for line in syringe["lines"] if line["role"] != "diluent"
    }


def fired(answer: dict[str, Any]) -> set[str]:
    """Rules that a reader is shown: blocks, cautions, infos, and exclusions."""
    groups = ("blocks", "cautions", "infos", "excluded_by_rule")
    return {row["rule"] for group in groups for row in answer[group]}


def line_of(answer: dict[str, Any], ingredient: str) -> dict[str, Any]:
    return next(line for syringe in answer["syringes"] for line in syringe["lines"] if line["ingredient"] == ingredient)


def left_out_code(answer: dict[str, Any], ingredient: str) -> str | None:
    return next((row["reason_code"] for row in answer["left_out"] if row["ingredient"] == ingredient), None)


def count(small: int, full: int) -> int:
    """How many random instances: few with a fixed seed, or with MESOCLINIC_DEEP=1 all, =0.1 a tenth of them."""
    deep = os.environ.get("MESOCLINIC_DEEP", "")
    return max(small, int(full * float(deep))) if deep else small
