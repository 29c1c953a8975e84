"""Why a change of a plan is refused, as errors that a person can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from mesoclinic.core.errors import DomainError, InvalidInput, InvalidTransition
from protocols.models import Plan
from protocols.pages.disagreements import in_sentences, last_edit
from protocols.plans.computing import Disagreement


class StaleRevision(InvalidTransition):
    """Somebody changed the draft since this page was shown; nothing was overwritten."""

    def __init__(self) -> None:
        super().__init__(_("This draft was changed in another window. Look at it as it is now, then do it again."))


class RefusedEdits(InvalidInput):
    """Edits that break a limit. ``refusals`` are the engine's: code, params (limit, rule, sources), a sentence.

    ``errors`` are their sentences by the place in what was sent: ``edits[0].volume_ml``; ``edits`` where an edit from
    before no longer goes with it.
    """

    def __init__(self, refusals: list[dict[str, Any]], errors: Mapping[str, list[str]]) -> None:
        self.refusals = refusals
        self.errors = errors
        super().__init__(" ".join(str(refusal["message"]) for refusal in refusals), field="edits")


class UnusableCase(DomainError):
    """The engine cannot read the intake; each fault is a sentence."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__(_("No plan can be computed from this intake. %(faults)s") % {"faults": " ".join(faults)})


class NotReadyToSign(DomainError):
    """What still stands between a draft and its signature, as sentences."""

    def __init__(self, obstacles: list[str]) -> None:
        self.obstacles = obstacles
        super().__init__(" ".join(obstacles))


class SecondCalculationDisagrees(NotReadyToSign):
    """The two calculations do not agree. ``places`` says about which line; ``may_undo`` whether an edit can go."""

    def __init__(self, plan: Plan, places: Sequence[Disagreement]) -> None:
        self.places = list(places)
        self.may_undo = bool(plan.edits)
        undo = [_("Undo the last edit: %(what)s.") % {"what": last_edit(plan)}] if self.may_undo else []
        super().__init__([*in_sentences(plan, places), *undo])


class EditCannotBeSigned(InvalidInput):
    """The second calculation does not agree with what an edit makes of the draft, so the edit was not taken."""

    def __init__(self, plan: Plan, places: Sequence[Disagreement]) -> None:
        self.places = list(places)
        said = [*in_sentences(plan, places), _("Nothing was changed. Choose another volume or ingredient.")]
        super().__init__(" ".join(said), field="edits")
