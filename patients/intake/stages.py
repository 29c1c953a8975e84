"""Where a stage that was answered says another severity than the one that was chosen for a concern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from patients.intake.answers import short_label
from patients.models import Intake
from patients.vocabulary import SEVERITIES, Vocabulary
from patients.words import severity_in_words


def overruled_by_stage(intake: Intake, vocabulary: Vocabulary) -> list[str]:
    """Return a sentence for each concern whose severity a stage overrules, in the order of the intake."""
    sex = intake.patient.sex_at_birth
    return [
        _(
            "%(concern)s: %(staged)s by stage (%(stage)s); chosen: %(chosen)s. "
            "The stage counts, unless the practitioner holds to the choice in the plan."
        )
        % {
            "concern": short_label(str(vocabulary.concerns[entry["concern"]].label)),
            "staged": severity_in_words(staged),
            "stage": stage,
            "chosen": severity_in_words(entry["severity"]),
        }
        for entry in intake.concerns
        if entry.get("concern") in vocabulary.concerns and entry.get("severity") in SEVERITIES
        for staged, stage in [_staged(entry["concern"], intake.facts, sex, vocabulary)]
        if staged and staged != entry["severity"]
    ]


def _staged(concern: str, facts: Mapping[str, Any], sex: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """(severity, stage in words) by the worst of its scales that was answered; empty where none says a severity."""
    found: list[tuple[str, str]] = []
    for key in vocabulary.concerns[concern].severity_scales:
        scale = vocabulary.scales[key]
        answer = facts.get(scale.fact) if scale.fact else None
        if not isinstance(answer, str) or scale.applies_to_sex not in ("any", sex):
            continue
        name = str(scale.label).split(" (")[0].split("-")[0]
        bands = [stage.band for stage in scale.stages if stage.code == answer and stage.band != "none"]
        found += [(band, f"{name} {answer.replace('_', ' ')}") for band in bands]
    return max(found, key=lambda row: SEVERITIES.index(row[0]), default=("", ""))
