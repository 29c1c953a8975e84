"""Check formulary documents: every word they use is defined, every number stands where it may.

The check speaks in sentences that name the file, the entry and what is wrong, since a director may read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import InvalidOperation
from typing import Any

from protocols.formulary.checking.course import check_composition, check_cost, check_course, check_release
from protocols.formulary.checking.ingredients import (
    check_concerns,
    check_ingredients,
    check_mixture_limits,
    check_required,
)
from protocols.formulary.checking.rules import check_causes, check_pairs, check_rules, check_stages, nothing_idle
from protocols.formulary.checking.words import Checked, defined_twice, unknown_sources

DOCUMENTS = ("ingredients", "concerns", "screening", "course", "sources", "vocabulary", "release")
CHECKS = (
    defined_twice,
    unknown_sources,
    check_ingredients,
    check_concerns,
    check_required,
    check_causes,
    check_rules,
    check_pairs,
    nothing_idle,
    check_stages,
    check_course,
    check_composition,
    check_mixture_limits,
    check_cost,
    check_release,
)


def check_documents(documents: Mapping[str, Any]) -> tuple[str, ...]:
    """Every problem found, as sentences; empty when the documents are sound."""
    if missing := [name for name in DOCUMENTS if not isinstance(documents.get(name), Mapping)]:
        return tuple(f"{name}: the document is missing" for name in missing)
    found: list[str] = []
    try:
        checked = Checked.of(documents)
        for check in CHECKS:
            found.extend(check(checked))
    except (KeyError, TypeError, AttributeError, InvalidOperation) as broken:
        return (*found, f"the documents cannot be read further: {type(broken).__name__} {broken}")
    return tuple(found)
