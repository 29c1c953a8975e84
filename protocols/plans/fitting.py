"""A case for one version of the formulary: what the version does not know is left out, or stands against it by name.

A release may ask what the formulary in force has no word for. “No” to such a question takes nothing away from what the
version decides, so it is left out. Everything else (a yes, a ticked illness or medicine, a zone) fails closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from patients.intake.answers import short_label, value_in_words
from patients.texts import spoken_vocabulary
from protocols.engine import Formulary

FACTS, CONCERNS, ZONES = "facts", "concerns", "zones"


@dataclass(frozen=True, kw_only=True)
class Unheard:
    """An answer that says something and that a version of the formulary has no word for."""

    part: str  # facts, concerns or zones
    key: str  # of the fact, the concern or the zone
    value: Any = None  # of a fact; of a list the one value

    @property
    def words(self) -> str:
        """The answer in the reader's language, as “question: answer”."""
        vocabulary = spoken_vocabulary()
        if self.part != FACTS:
            known: Mapping[str, Any] = vocabulary.concerns if self.part == CONCERNS else vocabulary.zones
            return str(known[self.key].label) if self.key in known else self.key
        fact = vocabulary.facts.get(self.key)
        if fact is None:
            return f"{self.key}: {self.value}"
        said = fact.label_of(self.value) if isinstance(self.value, str) else value_in_words(fact, self.value)
        return f"{short_label(fact.label)}: {short_label(said)}"


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A case in the words of one version, and what that version cannot judge."""

    case: dict[str, Any]
    unheard: tuple[Unheard, ...] = ()


def fit_to_version(case: Mapping[str, Any], formulary: Formulary) -> Fitted:
    """Return the case without what the version has no word for, and of that what is more than a “no”."""
    unheard: list[Unheard] = []
    facts: dict[str, Any] = {}
    for key, value in case["facts"].items():
        shape = formulary.facts.get(key)
        if shape is None:
            unheard += _telling(key, value)
        elif shape.type == "list" and isinstance(value, list | tuple):
            facts[key] = [item for item in value if item in shape.values]
            unheard += [Unheard(part=FACTS, key=key, value=item) for item in value if item not in shape.values]
        elif shape.type == "enum" and isinstance(value, str) and value not in shape.values:
            unheard.append(Unheard(part=FACTS, key=key, value=value))
        else:
            facts[key] = value
    fitted = {**case, "facts": facts}
    for part, name, known in ((CONCERNS, "concern", formulary.concerns), (ZONES, "zone", formulary.zones)):
        rows = list(case[part])
        fitted[part] = [row for row in rows if row[name] in known]
        unheard += [Unheard(part=part, key=row[name]) for row in rows if row[name] not in known]
    if "waived" in case:
        fitted["waived"] = {key: row for key, row in case["waived"].items() if key in formulary.facts}
    return Fitted(case=fitted, unheard=tuple(unheard))


def _telling(key: str, value: Any) -> list[Unheard]:
    """What an answer to an unknown question says; nothing where it is “no”, “none of these” or no answer."""
    if value is None or value is False or value in ([], ()):
        return []
    values: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
    return [Unheard(part=FACTS, key=key, value=item) for item in values]


def unheard_sentence(unheard: Iterable[Unheard], *, label: str, newer: str = "") -> str:
    """Return why a version cannot judge these answers, and the way on; ``newer`` is the version to publish."""
    said = _("Formulary %(label)s has no rule for: %(answers)s.") % {
        "label": label,
        "answers": "; ".join(f"“{row.words}”" for row in unheard),
    }
    return f"{said} {way_on(newer)}"


def way_on(newer: str) -> str:
    if newer:
        return _("The medical director publishes formulary %(label)s first, under Formulary, Versions.") % {
            "label": newer
        }
    return _("The medical director publishes a newer formulary first, under Formulary, Versions.")
