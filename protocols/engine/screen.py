"""Complete and screen: what is missing, which rules fire and why, what is left to ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.engine.inputs.case import Case, ConcernEntry
from protocols.engine.inputs.formulary import Formulary, Rule
from protocols.engine.inputs.model import SEVERITY_LEVELS, SEX_FACT, Answer, bits
from protocols.engine.inputs.triggers import Reason


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that fired, because of these answers, aimed at these ingredients (none: at the plan as a whole)."""

    rule: Rule
    because: tuple[Reason, ...]
    mask: int


@dataclass(frozen=True, kw_only=True)
class OpenQuestion:
    fact: str
    needed_by: tuple[str, ...]
    ingredients: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PresentConcern:
    concern: str
    severity: str
    recorded: str
    staged_by: tuple[tuple[str, str], ...] = ()
    """The scales and stages that set the severity, or would."""
    staged: str = ""
    """The severity by stage; empty where no stage speaks of the concern."""
    insisted: bool = False
    """The practitioner holds to the severity recorded, against the stage."""


@dataclass(frozen=True, kw_only=True)
class Screening:
    missing: tuple[tuple[str, tuple[str, ...]], ...]
    findings: tuple[Finding, ...]
    excluded_mask: int
    concerns: tuple[PresentConcern, ...]
    severity: str

    @property
    def blocks(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.rule.severity == "absolute")


def screen(case: Case, formulary: Formulary) -> Screening:
    findings = _findings(case, formulary)
    excluded = 0
    for finding in findings:
        if finding.rule.severity == "exclude":
            excluded |= finding.mask
    concerns = present_concerns(case, formulary)
    return Screening(
        missing=missing_facts(case.facts, formulary),
        findings=findings,
        excluded_mask=excluded,
        concerns=concerns,
        severity=min((entry.severity for entry in concerns), key=SEVERITY_LEVELS.index),
    )


def required_facts(answers: Mapping[str, Answer], formulary: Formulary) -> tuple[str, ...]:
    sex = answers.get(SEX_FACT)
    return (*formulary.required_always, *formulary.required_by_sex.get(str(sex), ()))


def missing_facts(answers: Mapping[str, Answer], formulary: Formulary) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Facts without which there is no proposal, each with the rules that read it."""
    return tuple(
        (fact, tuple(rule.key for rule in formulary.rules_by_fact.get(fact, ())))
        for fact in required_facts(answers, formulary)
        if fact not in answers
    )


def _findings(case: Case, formulary: Formulary) -> tuple[Finding, ...]:
    answers = case.facts
    present = {entry.concern for entry in case.concerns}
    found: list[Finding] = []
    for rule in formulary.rules:
        if rule.referral_of_concern:
            continue
        if rule.trigger.holds(answers):
            reasons = tuple(dict.fromkeys(rule.trigger.reasons(answers)))
            if rule.scope.kind == "zones":
                barred = barred_zones(rule, case)
                if not barred:
                    continue
                reasons = (Reason(fact=rule.scope.fact, op="includes_any", value=barred, answer=barred),)
            found.append(Finding(rule=rule, because=reasons, mask=target_mask(rule, answers, formulary)))
    # A concern that waits for a diagnosis blocks the plan, unless a rule that refers to the same specialist does so.
    referred = {finding.rule.refer for finding in found if finding.rule.severity == "absolute"}
    for rule in formulary.rules:
        if rule.referral_of_concern in present and rule.refer not in referred and not rule.trigger.holds(answers):
            facts = dict.fromkeys(rule.trigger.facts())
            reasons = tuple(Reason(fact=fact, op="is_not", value=None, answer=answers.get(fact)) for fact in facts)
            found.append(Finding(rule=rule, because=reasons, mask=0))
    return tuple(found)


def barred_zones(rule: Rule, case: Case) -> tuple[str, ...]:
    """The zones to be treated that a rule aimed at zones forbids, as the case lists them."""
    listed = case.facts.get(rule.scope.fact, ())
    return tuple(entry.zone for entry in case.zones if isinstance(listed, tuple) and entry.zone in listed)


def target_mask(rule: Rule, answers: Mapping[str, Answer], formulary: Formulary) -> int:
    if rule.scope.kind != "listed_in_fact":
        return rule.scope.mask
    listed = answers.get(rule.scope.fact, ())
    return formulary.mask(listed) if isinstance(listed, tuple) else 0


def is_shown(finding: Finding, chosen_mask: int) -> bool:
    """A caution or info aimed at ingredients is shown only when one of them is in the plan."""
    return finding.rule.scope.kind == "plan" or bool(finding.mask & chosen_mask)


def open_questions(case: Case, formulary: Formulary, chosen_mask: int) -> tuple[OpenQuestion, ...]:
    """Unanswered facts that could still make an absolute rule fire, or an exclude or caution on a chosen ingredient.

    A fact that is asked with cause only is left out where its cause does not hold.
    """
    answers = case.facts
    required = set(required_facts(answers, formulary))
    rules: dict[str, list[str]] = {}
    aims: dict[str, int] = {}
    for rule in formulary.rules:
        if rule.severity == "info" or rule.referral_of_concern:
            continue
        listed_unanswered = rule.scope.kind == "listed_in_fact" and rule.scope.fact not in answers
        aim = chosen_mask if listed_unanswered else rule.scope.mask & chosen_mask
        if rule.severity != "absolute" and not aim:
            continue
        if rule.trigger.holds(answers) or not rule.trigger.may_hold(answers):
            continue
        for fact in dict.fromkeys(rule.trigger.deciding(answers)):
            if fact not in required and has_cause(fact, answers, formulary):
                rules.setdefault(fact, []).append(rule.key)
                aims[fact] = aims.get(fact, 0) | aim
    return tuple(
        OpenQuestion(
            fact=fact,
            needed_by=tuple(rules[fact]),
            ingredients=tuple(formulary.by_index[index].key for index in bits(aims[fact])),
        )
        for fact in formulary.facts
        if fact in rules
    )


def has_cause(fact: str, answers: Mapping[str, Answer], formulary: Formulary) -> bool:
    """True where nothing has to give cause for asking, or something does."""
    cause = formulary.causes.get(fact)
    return cause is None or cause.holds(answers)


def present_concerns(case: Case, formulary: Formulary) -> tuple[PresentConcern, ...]:
    """The concerns with their severity, most severe first, then by key. A stage sets the band of its concern."""
    return tuple(
        sorted(
            (_present(entry, case.facts, formulary) for entry in case.concerns),
            key=lambda entry: (SEVERITY_LEVELS.index(entry.severity), entry.concern),
        )
    )


def _present(entry: ConcernEntry, answers: Mapping[str, Answer], formulary: Formulary) -> PresentConcern:
    concern, recorded = entry.concern, entry.severity
    staged: list[tuple[str, str, str]] = []
    for key in formulary.concerns[concern].scales:
        scale = formulary.scales[key]
        stage = answers.get(scale.fact)
        if stage is None or scale.applies_to_sex not in ("any", answers.get(SEX_FACT)):
            continue
        band = scale.bands.get(str(stage), "none")
        if band != "none":
            staged.append((band, key, str(stage)))
    if not staged:
        return PresentConcern(concern=concern, severity=recorded, recorded=recorded)
    worst = min((band for band, _, _ in staged), key=SEVERITY_LEVELS.index)
    return PresentConcern(
        concern=concern,
        severity=recorded if entry.insisted else worst,
        recorded=recorded,
        staged_by=tuple((key, stage) for band, key, stage in staged if band == worst),
        staged=worst,
        insisted=bool(entry.insisted),
    )
