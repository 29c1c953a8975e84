"""The one way to an answer that page, API and command share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.utils import translation

from protocols import wording
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
from protocols.formulary.loader import load_documents

explain_fault = wording.explain_fault


@lru_cache(maxsize=1)
def starter_formulary() -> Formulary:
    """The formulary of this release as its data files have it."""
    return build_formulary(load_documents())


def answer(
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
                "message": wording.explain_refusal(refusal, used),
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
    old = answer(old_case, formulary=used, policy=policy, language=language)
    new = answer(new_case, formulary=used, policy=policy, language=language)
    changes = compare(old, new)
    with translation.override(language):
        for change in changes:
            change["text"] = wording.explain_change(change, used)
    return {"old": old, "new": new, "changes": changes}


__all__ = ["CaseError", "Fault", "answer", "explain_fault", "starter_formulary", "what_if"]
