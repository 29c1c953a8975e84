"""What speaks against a treatment on a day, each thing as a reason with its sentence and the way on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from patients.intake.answers import short_label
from patients.models import DayCheck, Intake, Patient, Statement
from patients.queries import MERGED_UNASKED
from patients.vocabulary import load_vocabulary
from protocols.engine import Formulary
from protocols.engine.screen import Finding, is_shown
from protocols.plans.asking import Unasked, not_asked_sentence
from protocols.plans.basis import newer_than
from protocols.plans.fitting import Unheard, unheard_sentence, way_on
from protocols.standing.reasons import (
    CAUTION,
    INGREDIENT,
    MERGE,
    NOT_ASKED,
    NOT_KNOWN,
    RULE,
    STATEMENT,
    UNANSWERED,
    UNCONFIRMED,
    UNHEARD,
    UNREADABLE,
    Reason,
)
from protocols.words.terms import Words


@dataclass(frozen=True, kw_only=True)
class Saying:
    """Where the newest answers come from."""

    intake: Intake
    check: DayCheck | None
    words: Words

    @property
    def where(self) -> str:
        return _("day check") if self.check else _("intake %(number)d") % {"number": self.intake.number}

    @property
    def at(self) -> datetime | None:
        return self.check.asked_at if self.check else self.intake.submitted_at

    @property
    def by(self) -> str:
        who = self.check.asked_by if self.check else self.intake.submitted_by
        return who.name if who else ""

    def answer(self, fact: str, value: Any) -> str:
        """What was said: the person's own words where there are any, else the answer."""
        said = self.words.answer(fact, value)
        if isinstance(value, tuple):
            named = [entry["text"] for entry in self.intake.medicines if set(entry.get("classes", ())) & set(value)]
            if named:
                return "; ".join(f"“{text}”" for text in dict.fromkeys(named))
        return f"{self.words.fact(fact)}: {said}"


def of_finding(finding: Finding, formulary: Formulary, chosen: int, saying: Saying, *, has_plan: bool) -> Reason | None:
    rule, words = finding.rule, saying.words
    touched = formulary.keys(finding.mask & chosen)
    if rule.severity == "info" or (rule.severity != "absolute" and not has_plan):
        return None
    if rule.severity == "exclude" and not touched:
        return None
    if rule.severity == "caution" and not is_shown(finding, chosen):
        return None
    message = words.rule_message({"rule": rule.key, "params": {"concern": rule.referral_of_concern}})
    row = words.rules.get(rule.key, {})
    of_record = {reason.fact for reason in finding.because} <= load_vocabulary().facts_about("record")
    values = [(reason.fact, reason.answer) for reason in finding.because]
    kind, lifts = {
        "absolute": (RULE, _("New answers, or a signer's reason. Otherwise stop the plan.")),
        "exclude": (INGREDIENT, _("Amend the plan: without %(names)s.") % {"names": words.ingredient_list(touched)}),
        "caution": (CAUTION, _("Somebody who signs plans acknowledges it, once for this plan.")),
    }[rule.severity]
    return Reason(
        kind=kind,
        severity=rule.severity,
        rule=rule.key,
        message=message,
        short=", ".join(_named(fact, value, words) for fact, value in values if value is not None)[:60],
        answer="; ".join(saying.answer(fact, value) for fact, value in values),
        source=_cited(formulary, rule.sources),
        where=_("the record") if of_record else saying.where,
        lifts=_(row["until"]) if row.get("until") else lifts,
        said_at=None if of_record else saying.at,
        said_by="" if of_record else saying.by,
        key=finding_key(rule.key, values, words),
        ingredients=touched if rule.severity != "absolute" and finding.rule.scope.kind != "plan" else (),
    )


def _named(fact: str, value: Any, words: Words) -> str:
    """An answer in the few words of a chip: of a question of yes or no, or of a number, the question's own name."""
    said, label = short_label(words.answer(fact, value)), short_label(words.fact(fact))
    if value is True:
        return label
    return said if isinstance(value, str | tuple) else f"{label}: {said}"


def _cited(formulary: Formulary, keys: Iterable[str]) -> str:
    cited = {row["id"]: row["citation"] for row in formulary.documents["sources"]["sources"]}
    return "; ".join(cited.get(key, key).rstrip(".") for key in keys)


def finding_key(rule: str, values: Iterable[tuple[str, Any]], words: Words) -> str:
    """Return the rule with what was said, so that the same caution for another answer is a new one.

    What grows by itself (an age, days since something) is the same answer a month later.
    """
    return ";".join([rule, *sorted(f"{fact}={_kept(fact, value, words)}" for fact, value in values)])[:400]


def _kept(fact: str, value: Any, words: Words) -> str:
    if words.facts.get(fact, {}).get("unit") in ("years", "months", "days"):
        return ""
    if isinstance(value, list | tuple):
        return ",".join(sorted(str(item) for item in value))
    if isinstance(value, bool) or value is None:
        return str(value)
    try:
        return str(Decimal(str(value)).normalize())
    except InvalidOperation:
        return str(value)


def unknown_reason(fact: str, rules: Sequence[str], *, asked: bool, saying: Saying) -> Reason:
    question = short_label(saying.words.fact(fact))
    said = _("Does not know") if asked else _("Not answered")
    return Reason(
        kind=NOT_KNOWN,
        severity="absolute",
        rule=rules[0] if rules else fact,
        message=_("Not known: %(question)s. What is not known counts as a stop.") % {"question": question},
        short=_("not known: %(question)s") % {"question": question},
        answer=f"{question}: {said}",
        where=saying.where,
        lifts=_("Ask again and note the answer, or amend the plan: a signer settles it there."),
        said_at=saying.at,
        said_by=saying.by,
        key=f"{NOT_KNOWN};{fact}",
    )


def unconfirmed_reason(intake: Intake, names: Sequence[str]) -> Reason:
    who = intake.submitted_by.name if intake.submitted_by else ""
    return Reason(
        kind=UNCONFIRMED,
        severity="absolute",
        rule=UNCONFIRMED,
        message=_("Reception wrote down what a practitioner has to judge: %(names)s.") % {"names": ", ".join(names)},
        short=_("not confirmed by a practitioner"),
        answer=", ".join(names),
        where=_("intake %(number)d") % {"number": intake.number},
        lifts=_("Somebody who treats reads the intake and marks it as reviewed."),
        said_at=intake.submitted_at,
        said_by=who,
        key=UNCONFIRMED,
    )


def statement_reason(row: Statement, person: Patient) -> Reason:
    """What was said in words and nobody has settled: it may mean anything, so it counts as a stop."""
    return Reason(
        kind=STATEMENT,
        severity="absolute",
        rule=STATEMENT,
        message=_("Something said in words is not settled: “%(words)s”") % {"words": _shortened(row.words)},
        short=_("not settled: %(words)s") % {"words": _shortened(row.words, 30)},
        answer=row.words,
        where=str(row.get_source_display()),
        lifts=_("Somebody who signs plans settles what it means."),
        said_at=row.said_at,
        said_by=row.said_by.name if row.said_by else "",
        key=f"{STATEMENT};{row.public_id}",
        url=reverse("protocols:statement", args=[row.public_id]),
    )


def _shortened(text: str, length: int = 120) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def merge_reason() -> Reason:
    return Reason(
        kind=MERGE,
        severity="absolute",
        rule=MERGE,
        message=str(MERGED_UNASKED),
        short=_("merged, not asked"),
        answer=_("Two records of one person, each with answers of its own"),
        where=_("the record"),
        lifts=_("An intake for the whole person."),
        key=MERGE,
    )


def unheard_reason(
    unheard: Sequence[Unheard], formulary: Formulary, *, saying: Saying | None = None, stops: bool = True
) -> Reason:
    """An answer that says something and that no rule of this version can judge: it may forbid the treatment."""
    answers = "; ".join(row.words for row in unheard)
    newer = newer_than(formulary)
    return Reason(
        kind=UNHEARD,
        severity="absolute" if stops else CAUTION,
        rule=UNHEARD,
        message=unheard_sentence(unheard, label=formulary.label, newer=newer),
        short=_("no rule for: %(answers)s") % {"answers": _shortened(answers, 40)},
        answer=answers,
        where=saying.where if saying else "",
        lifts=_("%(way)s Then amend the plan.") % {"way": way_on(newer)},
        said_at=saying.at if saying else None,
        said_by=saying.by if saying else "",
        key=";".join([UNHEARD, *sorted(f"{row.key}={row.value}" for row in unheard)])[:400],
    )


def not_asked_reason(unasked: Unasked, formulary: Formulary, *, url: str) -> Reason:
    """What nobody asked yet. Nobody acknowledges it: it is lifted by an answer alone."""
    rule = unasked.rules[0]
    return Reason(
        kind=NOT_ASKED,
        severity=CAUTION,
        rule=rule.key,
        message=not_asked_sentence(unasked, label=formulary.label),
        short=_("not asked: %(what)s") % {"what": _shortened(unasked.words, 40)},
        source=_cited(formulary, rule.sources),
        lifts=_("The answers, under “Anything changed?”: before the next injection."),
        key=";".join([NOT_ASKED, *(value for values in unasked.values.values() for value in values), *unasked.facts])[
            :400
        ],
        url=url,
    )


def unanswered_reason() -> Reason:
    return Reason(
        kind=UNANSWERED,
        severity=CAUTION,
        rule=UNANSWERED,
        message=_("No intake is submitted yet."),
        short=_("no intake yet"),
        lifts=_("A submitted intake."),
        key=UNANSWERED,
    )


def unreadable() -> Reason:
    message = _("The newest intake cannot be screened by the formulary of this plan.")
    return Reason(
        kind=UNREADABLE,
        severity="absolute",
        rule=UNREADABLE,
        message=message,
        short=_("not screened"),
        lifts=_("Amend the plan, or fill in a new intake."),
        key=UNREADABLE,
    )
