"""What a newer intake says against what is about to be injected by a plan that rests on an older one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from django.utils.translation import gettext as _

from patients.queries import newest_submitted_intake
from protocols.engine import CaseError, Policy
from protocols.engine.propose import prepare
from protocols.models import Plan
from protocols.queries import built_formulary
from protocols.standing import case_from
from protocols.wording import words_of


@dataclass(frozen=True, kw_only=True)
class Against:
    """Why nothing at all may be injected, and why one ingredient may not; sentences."""

    everything: str
    ingredients: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.everything or self.ingredients)

    def why(self, ingredient: str) -> str:
        return self.everything or self.ingredients.get(ingredient, "")


NOTHING = Against(everything="", ingredients={})


def screened_again(plan: Plan, *, on: date) -> Against:
    """What the newest submitted intake forbids; nothing where the plan rests on that very intake."""
    intake = newest_submitted_intake(plan.patient)
    if intake is None or intake.pk == plan.intake_id:
        return NOTHING
    formulary = built_formulary(plan.formulary)
    try:
        setting = prepare(case_from(intake, on=on), formulary, Policy.from_mapping(plan.policy, formulary))
    except CaseError:
        return Against(
            everything=_("The newest intake cannot be screened by the formulary of this plan."), ingredients={}
        )
    words = words_of(formulary)
    everything: list[str] = []
    ingredients: dict[str, str] = {}
    for finding in setting.screening.findings:
        rule = finding.rule
        said = words.rule_message({"rule": rule.key, "params": {"concern": rule.referral_of_concern}})
        if rule.severity == "absolute":
            everything.append(said)
        elif rule.severity == "exclude":
            for key in formulary.keys(finding.mask):
                ingredients.setdefault(key, said)
    return Against(everything=" ".join(everything), ingredients=ingredients)
