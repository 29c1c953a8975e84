"""Nothing is dead: no model that only the sample writes, no permission that guards nothing, no key that nothing reads.

Each list below names what is not alive yet, and the piece of work that will bring it to life. A line that has come to
life must go, and nothing may be added for convenience.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from django.apps import apps
from django.conf import settings

from mesoclinic.accounts.access import Permission
from tests.test_architecture import OURS, PACKAGES, sources

ROOT = Path(settings.BASE_DIR)
OWN_CLINIC = "A clinic of its own"
STOCK = "From the box to the patient and back"
OUTCOME = "Does it work?"

MODELS_TO_COME = {
    "Lot": STOCK,
    "Product": OWN_CLINIC,
}
PERMISSIONS_TO_COME = {
    "SESSION_EXISTS": "Trust",
    "SESSION_SIGN": STOCK,
    "STOCK_WRITE": STOCK,
}
# Where a key stands: the document, then the keys above it.
KEYS_TO_COME = {
    "course.composition": {"carriers": OWN_CLINIC},
    "course.decision_rules[]": dict.fromkeys(("applies_at", "criteria", "priority"), OUTCOME),
    "course": {"decision_measures": OUTCOME},
    "course.expected_side_effects[]": {"frequency": OUTCOME},
    "course.maintenance": dict.fromkeys(("max_sessions_per_year", "review_every"), OUTCOME),
    "course.outcome_measures[]": dict.fromkeys(("meaningful_change", "normal"), OUTCOME),
    "course.red_flags[]": {"suggests": OUTCOME},
    "course.technique.needle": {"gauge": STOCK},
    "ingredients.ingredients[]": dict.fromkeys(("activation", "elemental"), OWN_CLINIC),
    "ingredients.ingredients[].elemental": dict.fromkeys(("element", "per_ml"), OWN_CLINIC),
    "ingredients.ingredients[].storage": dict.fromkeys(("after_opening", "temperature_unit"), STOCK),
}
# Said for whoever reads or reviews the files; the code has the same in a form that it can use.
KEYS_FOR_READERS = {
    "concerns": {"article_sentence_map", "coding_sources"},
    "concerns.article_sentence_map[]": {"article_claim"},
    "course": {"decision_basis", "red_flag_sources", "scalp_zones"},
    "course.composition": {"never_exceed", "syringe_rule"},
    "course.cost_model": {"formula", "ingredient_formula"},
    "course.referral_rules[]": {"blocks_plan"},
    "course.session_duration": {"examples", "formula", "variables"},
    "course.sessions": {"ingredient_intervals", "span_definition"},
    "course.technique": {"points_formula", "target_volume_formula"},
    "ingredients": {"direction_values", "evidence_scale"},
    "screening.required_before_plan": {"if_sex_female"},
    "sources.claim_tracing": {"article_claim", "confidence"},
}

CREATING = {"create", "bulk_create", "get_or_create", "update_or_create", "create_user", "aget_or_create"}


def living_sources() -> list[Path]:
    """Every module that runs for a clinic: no sample and no test."""
    return [path for path in sources(*PACKAGES) if "sample" not in (path.stem, path.parent.name)]


def _written(tree: ast.AST) -> Iterator[str]:
    """Yield the names of models that some call makes rows of, ``Room(…)`` or ``Room.objects.create(…)``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node.func, ast.Attribute) and node.func.attr in CREATING:
            manager = node.func.value
            if isinstance(manager, ast.Attribute) and isinstance(manager.value, ast.Name):
                yield manager.value.id


def test_every_model_is_written_by_more_than_the_sample() -> None:
    written = {name for path in living_sources() for name in _written(ast.parse(path.read_text(encoding="utf-8")))}
    labels = {config.label for config in OURS}
    ours = {model.__name__ for model in apps.get_models() if model._meta.app_label in labels}
    assert ours - written - {"LogEntry"} == set(MODELS_TO_COME)


def test_every_permission_guards_something() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in living_sources() if path.name != "access.py")
    named = set(re.findall(r"Permission\.([A-Z_]+)", text))
    assert {member.name for member in Permission} - named == set(PERMISSIONS_TO_COME)


def _keys(data: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield place, str(key)
            yield from _keys(value, f"{place}.{key}")
    elif isinstance(data, list):
        for item in data:
            yield from _keys(item, f"{place}[]")


def _words_that_read() -> set[str]:
    """Return every word by which code or a template could read a key; the checks of the files do not count."""
    found: set[str] = set()
    for path in living_sources():
        if path.name == "reach.py" or {"checks", "checking"} & set(path.parts):
            continue
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"\.(\w+)", text))
        for literal in re.findall(r"[\"']([\w\[\]. {}]+)[\"']", text):
            found |= set(re.findall(r"\w+", literal))
    for path in (ROOT / "templates").rglob("*.*"):
        found |= set(re.findall(r"\.(\w+)", path.read_text(encoding="utf-8")))
    return found


def test_every_key_of_the_formularys_documents_is_read() -> None:
    readable = _words_that_read()
    unread: defaultdict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "protocols" / "formulary").rglob("*.yaml"):
        for place, key in _keys(yaml.safe_load(file.read_text(encoding="utf-8")), file.stem):
            if key not in readable and key != "schema_version":
                unread[place].add(key)
    known = {place: set(keys) for place, keys in KEYS_FOR_READERS.items()}
    for place, coming in KEYS_TO_COME.items():
        known.setdefault(place, set()).update(coming)
    assert dict(unread) == known
