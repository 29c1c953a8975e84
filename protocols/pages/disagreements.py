"""What the second calculation does not agree with, in a practitioner's words: which line, in which mixture."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from protocols.models import Plan
from protocols.pages.edits import edit_in_words
from protocols.pages.reading import Reading
from protocols.plans.computing import Disagreement

MOST = 3


def in_sentences(plan: Plan, places: Sequence[Disagreement]) -> list[str]:
    """Say which lines the two calculations do not agree about, at most three, each once.

    The fingerprint differs wherever anything does, so it is only said where nothing else is; where and how much they
    differ stands in the row itself, for whoever looks into it.
    """
    reading = Reading(plan)
    named = [name_place(reading, row) for row in places if row.path != "fingerprint"]
    return [
        _("The second calculation does not agree with the first about %(what)s, so the plan cannot be signed.")
        % {"what": what}
        for what in list(dict.fromkeys(named or [name_place(reading, row) for row in places]))[:MOST]
    ]


def name_place(reading: Reading, row: Disagreement) -> str:
    """Name the line or the mixture that a disagreement is about."""
    words = {"name": reading.contents.name(row.ingredient), "mixture": row.mixture}
    if row.ingredient and row.mixture:
        return _("%(name)s in mixture %(mixture)s") % words
    if row.ingredient:
        return words["name"]
    if row.mixture:
        return _("mixture %(mixture)s") % words
    part = row.path.partition(".")[0]
    parts = {"course": _("the course"), "cost": _("the price"), "edits": _("the edits by hand")}
    return parts.get(part, _("the plan as a whole"))


def last_edit(plan: Plan) -> str:
    """The last edit of a draft in words; there must be one."""
    return edit_in_words(Reading(plan), plan.edits[-1])
