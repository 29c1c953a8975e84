"""What a signature covers, and whether it still does."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from mesoclinic.accounts.models import User
from protocols.engine import canonical_json
from protocols.engine.codes import without_sentences
from protocols.models import Plan


def signed_content(plan: Plan, *, by: User, at: datetime) -> dict[str, Any]:
    """Everything that ``by`` signs: who, when, the facts, the formulary, the proposal, the edits, the answers.

    Of the answers it holds the codes, the parameters and the numbers: sentences are made from these when they are
    shown, so that a better translation breaks no signature.
    """
    return {
        "plan": {"id": str(plan.public_id), "number": plan.number, "version": plan.version, "language": plan.language},
        "supersedes": str(plan.supersedes.public_id) if plan.supersedes else None,
        "patient": str(plan.patient.public_id),
        "intake": str(plan.intake.public_id),
        "formulary": {
            "label": plan.formulary.label,
            "sha256": plan.formulary.sha256,
            "switched_on": sorted(
                plan.formulary.entries.filter(is_active=True).values_list("ingredient__key", flat=True)
            ),
        },
        "case": plan.case,
        "policy": plan.policy,
        "engine_version": plan.engine_version,
        "proposal": without_sentences(plan.proposal),
        "edits": plan.edits,
        "result": without_sentences(plan.result),
        "acknowledgements": [
            {
                "rule": row.rule,
                "reason_code": row.reason_code,
                "note": row.note,
                "by": str(row.by.public_id),
                "at": _instant(row.at),
                "superseded_at": _instant(row.superseded_at),
            }
            for row in plan.acknowledgements.select_related("by").order_by("at", "id")
        ],
        "open_answers": [
            {
                "fact": row.fact,
                "kind": row.kind,
                "value": row.value,
                "reason": row.reason,
                "by": str(row.by.public_id),
                "at": _instant(row.at),
                "superseded_at": _instant(row.superseded_at),
            }
            for row in plan.open_answers.select_related("by").order_by("at", "id")
        ],
        "signed": {"by": str(by.public_id), "at": _instant(at)},
    }


def signature(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content)).hexdigest()


def signature_holds(plan: Plan) -> bool:
    """Whether the stored signature still belongs to what is stored. False for a plan that was never signed."""
    if plan.signed_by is None or plan.signed_at is None:
        return False
    return signature(signed_content(plan, by=plan.signed_by, at=plan.signed_at)) == plan.signature_sha256


def _instant(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at else None
