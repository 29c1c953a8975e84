"""An answer without its sentences: what the engine itself said, whatever language it was shown in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SENTENCES = frozenset({
    "advice", "because_text", "direction_label", "evidence_note", "figures", "grade_label", "label", "loses", "message",
    "names", "notice", "purpose", "question", "rationale", "reason", "refusals", "saves", "sentence", "summary",
    "technique_label", "text", "to_label", "until", "urgency_label",
})  # fmt: skip
"""Keys that the wording adds. A syringe's label and a waiver's reason are the engine's own."""


def without_sentences(answer: Any) -> Any:
    if isinstance(answer, Mapping):
        own = {"label"} if "lines" in answer else {"reason"} if "as" in answer else set()
        return {key: without_sentences(value) for key, value in answer.items() if key not in SENTENCES or key in own}
    if isinstance(answer, list | tuple):
        return [without_sentences(item) for item in answer]
    return answer
