"""The formulary in the reader's language. What is stored, computed and hashed is the formulary as it was written."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from django.utils import translation
from django.utils.translation import gettext

from mesoclinic.core.texts import in_words
from patients.texts import spoken_vocabulary_documents
from protocols.formulary.queries import documents_of
from protocols.models import FormularyVersion

# Which fields of protocols/formulary/*.yaml people read.
FORMULARY_TEXTS: Mapping[str, tuple[str, ...]] = {
    "concerns": ("concerns[].evidence_note", "concerns[].settles_by_itself.advice"),
    "course": (
        "sessions.by_severity[].reason", "sessions.by_severity[].alternative_schedules[].name",
        "sessions.by_severity[].alternative_schedules[].note", "sessions.interval_limits.reason",
        "technique.methods[].label", "technique.methods[].use", "technique.antisepsis", "technique.anaesthesia",
        "technique.prohibited[]", "composition.same_family_limit[].reason", "session_day_checks[]",
        "checkpoints[].purpose", "decision_rules[].action", "maintenance.offer_if", "maintenance.stop_if",
        "maintenance.note", "outcome_measures[].label", "outcome_measures[].method", "expected_side_effects[].label",
        "expected_side_effects[].advice", "red_flags[].label", "aftercare[].when", "aftercare[].text",
        "lifestyle.diet[]", "lifestyle.exercise[]", "lifestyle.other[]", "lifestyle.honesty",
        "home_care_products[].label", "home_care_products[].use", "home_care_products[].interaction",
        "home_care_products[].evidence", "referral_rules[].to", "referral_rules[].when", "referral_rules[].urgency",
        "patient_expectation_text[]", "patient_expectation_text[].text", "waiting.advice[]",
    ),
    "ingredients": (
        "mixture_evidence[].statement", "general_product_rules[]", "never_in_formulary[].substance",
        "never_in_formulary[].reason", "ingredients[].name", "ingredients[].origin.detail", "ingredients[].mechanism",
        "ingredients[].concerns[].note", "ingredients[].per_session.basis_note", "ingredients[].solution.note",
        "ingredients[].flags.note", "ingredients[].regulatory.note",
    ),
    "screening": (
        "rules[].message", "rules[].rationale", "rules[].until", "asked_with_cause[].why", "default_pair_advice",
        "incompatibilities[].rationale",
    ),
    "release": ("changes[].text",),
    "sources": (
        "sources[].supports", "sources[].limitations", "article_claims[].paraphrase", "article_claims[].assessment",
        "article_claims[].product_wording", "claim_tracing.claim", "claim_tracing.finding",
        "claim_tracing.what_was_checked[]", "claim_tracing.likely_origin", "claim_tracing.label_for_product",
        "claim_tracing.rule_for_product",
    ),
}  # fmt: skip
_KEPT_AT_MOST = 16
_lock = Lock()
_spoken: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()


def spoken_documents(version: FormularyVersion) -> dict[str, Any]:
    """The version's documents as the active language says them: for pages and papers only."""
    language = translation.get_language() or "en"
    documents = documents_of(version)
    if language.split("-")[0] == "en":
        return documents
    key = (version.sha256, language)
    found = _spoken.get(key)
    if found is None:
        found = {
            name: spoken_vocabulary_documents(document)
            if name == "vocabulary"
            else in_words(document, FORMULARY_TEXTS.get(name, ()), gettext)
            for name, document in documents.items()
        }
        with _lock:
            _spoken[key] = found
            while len(_spoken) > _KEPT_AT_MOST:
                _spoken.popitem(last=False)
    return found
