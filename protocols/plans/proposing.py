"""The one way to an answer that page, API and command share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.utils import translation

from protocols.engine import (
    CaseError,
    Fault,
    Formulary,
    Policy,
    Refusal,
    apply_edits,
    build_formulary,
    compare,
    propose,
)
from protocols.engine.canonical import json_safe
from protocols.engine.schema import ANSWER_SCHEMA
from protocols.formulary.loader import load_documents
from protocols.words import answers as wording
from protocols.words.changes import explain_change
from protocols.words.faults import explain_fault, explain_refusal

explain_fault = explain_fault
_ANSWER = {key: value for key, value in ANSWER_SCHEMA.items() if key != "$schema"}
COMPARISON_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Two answers and what differs",
    "type": "object",
    "additionalProperties": False,
    "required": ["changes", "new", "old"],
    "properties": {
        "old": _ANSWER,
        "new": _ANSWER,
        "changes": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["code", "params", "text"],
                "properties": {
                    "code": {"type": "string", "minLength": 1},
                    "params": {"type": "object"},
                    "text": {"type": "string", "minLength": 1},
                },
            },
        },
    },
}


@lru_cache(maxsize=1)
def starter_formulary() -> Formulary:
    """The formulary of this release as its data files have it."""
    return build_formulary(load_documents())


def answer_case(
    case_mapping: Any,
    *,
    formulary: Formulary | None = None,
    policy: Policy | Mapping[str, Any] | None = None,
    language: str = "en",
    edits: Sequence[Any] = (),
) -> dict[str, Any]:
    """The full answer with its sentences. Raises CaseError, with every fault, for a case that cannot be read."""
    used = formulary if formulary is not None else starter_formulary()
    rules = policy if isinstance(policy, Policy) or policy is None else Policy.from_mapping(policy, used)
    refusals: tuple[Refusal, ...] = ()
    if edits:
        edited = apply_edits(case_mapping, used, rules, edits)
        proposal, refusals = edited.proposal, edited.refusals
    else:
        proposal = propose(case_mapping, used, rules)
    with translation.override(language):
        said = wording.render(proposal.as_dict(), used)
        said["refusals"] = [
            {
                "path": refusal.path,
                "code": refusal.code,
                "params": json_safe(refusal.params),
                "message": explain_refusal(refusal, used),
            }
            for refusal in refusals
        ]
    return said


def what_if(
    old_case: Any,
    new_case: Any,
    *,
    formulary: Formulary | None = None,
    policy: Policy | Mapping[str, Any] | None = None,
    language: str = "en",
) -> dict[str, Any]:
    """The new answer beside the old, with the differences named."""
    used = formulary if formulary is not None else starter_formulary()
    old = answer_case(old_case, formulary=used, policy=policy, language=language)
    new = answer_case(new_case, formulary=used, policy=policy, language=language)
    with translation.override(language):
        return {"old": old, "new": new, "changes": named_changes(old, new, used)}


def named_changes(old: Mapping[str, Any], new: Mapping[str, Any], formulary: Formulary) -> list[dict[str, Any]]:
    """Each difference between two answers as a code, its parameters and a sentence."""
    return [{**change, "text": explain_change(change, formulary)} for change in compare(old, new)]


__all__ = [
    "COMPARISON_SCHEMA",
    "CaseError",
    "Fault",
    "answer_case",
    "explain_fault",
    "named_changes",
    "starter_formulary",
    "what_if",
]
