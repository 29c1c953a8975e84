"""What nobody asked yet and a formulary has a rule for: silence about it is no “no”.

An intake answers what it was asked. A release may ask more; until somebody does, the older answers decide nothing about
it. The engine knows unanswered questions; this module knows lists that were answered before some of their values came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from patients.intake.answers import not_asked, short_label
from patients.models import Intake, Patient
from patients.texts import spoken_vocabulary
from patients.vocabulary import load_vocabulary
from protocols.engine import Formulary
from protocols.engine.inputs.case import Case
from protocols.engine.inputs.formulary import Rule
from protocols.engine.screen import has_cause


@dataclass(frozen=True, kw_only=True)
class Unasked:
    """Answers of lists and whole questions that nobody asked, and the rules that hang on them."""

    values: Mapping[str, tuple[str, ...]]  # by list
    facts: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def words(self) -> str:
        """What was not asked, in the reader's language."""
        known = spoken_vocabulary().facts
        named = [known[fact].label_of(value) for fact, values in self.values.items() for value in values]
        named += [known[fact].label for fact in self.facts]
        return ", ".join(short_label(label) for label in named)

    def url(self, patient: Patient) -> str:
        """Return the page that asks just this, and what a session's safety depends on."""
        return url_to_ask(patient, self.facts)


def url_to_ask(patient: Patient, facts: Iterable[str] = ()) -> str:
    """Return the page that asks what the intake was never asked, the questions ``facts`` among it."""
    query = urlencode([("ask", fact) for fact in facts])
    return reverse("patients:day_check", args=[patient.public_id]) + (f"?{query}" if query else "")


def url_for_a_plan(patient: Patient) -> str:
    """Return the page after which a plan can be made: it asks those answers of the day as well that no other holds."""
    return url_to_ask(patient, sorted(load_vocabulary().dropped_before_sessions()))


def values_not_asked(intake: Intake, formulary: Formulary) -> dict[str, tuple[str, ...]]:
    """Return by list the answers that the intake was never asked and that the formulary knows."""
    found = {}
    for fact, values in not_asked(intake).items():
        known = formulary.facts[fact].values if fact in formulary.facts else ()
        if heard := tuple(value for value in values if value in known):
            found[fact] = heard
    return found


def unasked_for(
    intake: Intake, case: Case, formulary: Formulary, *, chosen: int, facts: Iterable[str] = ()
) -> Unasked | None:
    """Return what was not asked and could still stop or change a treatment with the ``chosen`` ingredients.

    ``facts`` are the questions to look at besides the lists of the intake. None where no rule hangs on any of it.
    """
    values = values_not_asked(intake, formulary)
    now = case.facts
    lists = {fact: answer for fact in values if isinstance(answer := now.get(fact), tuple)}
    ticked = {**now, **{fact: (*answer, *values[fact]) for fact, answer in lists.items()}}
    open_facts = [fact for fact in facts if fact not in now and fact in formulary.facts]
    rules: list[Rule] = []
    hanging: set[str] = set()
    for rule in formulary.rules:
        if rule.severity == "info" or rule.referral_of_concern or rule.trigger.holds(now):
            continue
        if rule.severity != "absolute" and not rule.scope.mask & chosen:
            continue
        may_hold = rule.trigger.may_hold(now)
        named = set(rule.trigger.facts())
        asked = {fact for fact in lists if fact in named} if not may_hold and rule.trigger.may_hold(ticked) else set()
        if may_hold:
            deciding = set(rule.trigger.deciding(now))
            asked |= {fact for fact in open_facts if fact in deciding and has_cause(fact, now, formulary)}
        if asked:
            rules.append(rule)
            hanging |= asked
    if not rules:
        return None
    return Unasked(
        values={fact: told for fact, told in values.items() if fact in hanging},
        facts=tuple(fact for fact in open_facts if fact in hanging),
        rules=tuple(rules),
    )


def not_asked_sentence(unasked: Unasked, *, label: str) -> str:
    """Return what nobody asked although the version of that name has rules for it."""
    return _("Not asked yet: %(what)s. Formulary %(label)s has rules for it, and silence is no “no”.") % {
        "what": unasked.words,
        "label": label,
    }


def not_asked_obstacles(intake: Intake, formulary: Formulary) -> list[str]:
    """Why no plan may rest on lists of which this version knows more than was asked; nothing where it does not."""
    values = values_not_asked(intake, formulary)
    if not values:
        return []
    said = not_asked_sentence(Unasked(values=values), label=formulary.label)
    return [_("%(said)s Ask what is new first: under “Anything changed?”, or in a new intake.") % {"said": said}]
