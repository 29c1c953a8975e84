"""Words for what the vocabulary names by a key: one table, for every page, print and answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from patients.vocabulary import SEVERITIES

SEVERITY_NAMES: Mapping[str, Any] = {"mild": _("mild"), "moderate": _("moderate"), "severe": _("severe")}

AFTER_A_CONCERN: Mapping[str, Any] = {  # beside its name, whatever the gender of that is
    "mild": pgettext_lazy("after a concern", "mild"),
    "moderate": pgettext_lazy("after a concern", "moderate"),
    "severe": pgettext_lazy("after a concern", "severe"),
}


def severity_in_words(severity: str) -> str:
    """Return how severe a concern is, as people say it; a value that the vocabulary lacks as it stands."""
    return str(SEVERITY_NAMES.get(severity, severity))


def severity_after_concern(severity: str) -> str:
    """Return the same as it follows the concern's name in a sentence or a table."""
    return str(AFTER_A_CONCERN.get(severity, severity))


def severity_drawn(severity: str) -> dict[str, Any]:
    """Return a severity with its word and how many of three steps are filled, for its drawing."""
    steps = SEVERITIES.index(severity) + 1 if severity in SEVERITIES else 0
    return {"severity": severity, "steps": steps, "word": severity_in_words(severity)}
