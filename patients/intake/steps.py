"""The steps of the intake's page, and what each asks. The answers do not depend on them."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, kw_only=True)
class Step:
    key: str
    label: str | Promise
    sections: tuple[str, ...]  # of the vocabulary, and "concerns", "zones", "note" besides


STEPS: tuple[Step, ...] = (
    Step(key="identity", label=_("Identity"), sections=("about_you",)),
    Step(key="hair", label=_("Hair"), sections=("concerns", "hair")),
    Step(key="health", label=_("Health"), sections=("health",)),
    Step(key="medicines", label=_("Medicines and allergies"), sections=("medicines", "allergies")),
    Step(key="scalp", label=_("Scalp"), sections=("scalp_practitioner", "zones", "labs")),
    Step(key="wishes", label=_("Wishes"), sections=("wishes", "note")),
)
FIRST = STEPS[0].key
STEP_OF = {section: step.key for step in STEPS for section in step.sections}


def known_step(key: str) -> str:
    return key if any(step.key == key for step in STEPS) else FIRST
