"""The vocabulary in the reader's language. The files themselves, and what is stored and hashed, know no language."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.utils import translation
from django.utils.translation import gettext

from mesoclinic.core.texts import in_words
from patients.vocabulary import Vocabulary, load_vocabulary
from patients.vocabulary.loading import build_vocabulary, vocabulary_documents

# Which fields of patients/vocabulary/*.yaml people read.
VOCABULARY_TEXTS: Mapping[str, tuple[str, ...]] = {
    "facts": ("sections.*", "facts.*.label", "facts.*.question", "facts.*.help", "facts.*.values.*",
              "facts.*.values.*.label", "facts.*.alert.text", "facts.*.parts[].label"),
    "concerns": ("concerns[].label", "concerns[].patient_description", "concerns[].typical_signs[]",
                 "concerns[].intake_questions[].text", "concerns[].tests[].text", "concerns[].coding_note"),
    "scales": ("scales[].label", "scales[].stages[].description", "scales[].note"),
    "zones": ("zones[].label",),
}  # fmt: skip
MEDICINE_TEXTS = ("medicines[].name", "medicines[].names[]", "medicines[].ask")


def spoken_vocabulary() -> Vocabulary:
    """The vocabulary as the active language says it: for pages and papers, never for what is stored."""
    return _vocabulary_in(translation.get_language() or "en")


@lru_cache(maxsize=8)
def _vocabulary_in(language: str) -> Vocabulary:
    if language.split("-")[0] == "en":
        return load_vocabulary()
    with translation.override(language):
        return build_vocabulary(spoken_vocabulary_documents(vocabulary_documents()))


def spoken_vocabulary_documents(documents: Mapping[str, Any]) -> dict[str, Any]:
    return {name: in_words(document, VOCABULARY_TEXTS.get(name, ()), gettext) for name, document in documents.items()}
