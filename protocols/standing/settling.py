"""What words may mean for a treatment: each meaning with what the formulary's rules make of it, before anybody settles.

Nothing is stored here. A meaning is screened as if it were answered, beside everything that is known of the person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.core.sorting import by_words
from patients.intake.answers import case_of, intake_vocabulary, question_of, short_label
from patients.intake.medicines import read_medicines
from patients.intake.settled import is_settling
from patients.models import Intake, Patient, Statement, StatementKind
from patients.queries import newest_submitted_intake
from patients.search.keys import fold
from patients.statements.said import Said, statements_in
from patients.statements.statements import meant_value, person_of, settled_facts
from patients.vocabulary import Choice, Fact, Vocabulary, load_vocabulary
from protocols.engine import CaseError, Formulary, parse_case
from protocols.engine.screen import Finding, screen
from protocols.formulary.queries import built_formulary, formulary_in_force
from protocols.formulary.words import SEVERITY_NAMES
from protocols.models.enums import PlanStatus
from protocols.plans.basis import unheard_obstacles
from protocols.plans.fitting import fit_to_version
from protocols.plans.queries import drafts_of, plan_in_force
from protocols.words.terms import Words, words_of

STOP, EXCLUDE, CAUTION, INFO, NOTHING = "absolute", "exclude", "caution", "info", "nothing"
_GRAVEST_FIRST = tuple(SEVERITY_NAMES)
ICONS = {STOP: "stop", EXCLUDE: "x", CAUTION: "warn", INFO: "info", NOTHING: "check"}
KINDS = {STOP: "danger", EXCLUDE: "warn", CAUTION: "warn", INFO: "info", NOTHING: "ok"}  # of a state on the page


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The gravest thing that a rule says once this is known, and every rule that says something new."""

    severity: str
    text: str
    rules: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return KINDS[self.severity]

    @property
    def icon(self) -> str:
        return ICONS[self.severity]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """One tick: a value of a list, or the answer of a question."""

    fact: str
    value: Any
    label: str
    question: str

    @property
    def key(self) -> str:
        return key_of(self.fact, self.value)


def key_of(fact: str, value: Any) -> str:
    """Return a meaning as one word for a form: “medications:doac”."""
    return f"{fact}:{str(value).lower() if isinstance(value, bool) else value}"


def read_key(key: str) -> dict[str, Any]:
    fact, _colon, value = key.partition(":")
    return {"fact": fact, "value": value}


# ------------------------------------------------------------------ which meanings there are


def meanings(vocabulary: Vocabulary) -> list[Meaning]:
    """Return everything that words can be settled as, in the order of the intake's questions."""
    found = []
    for fact in vocabulary.facts.values():
        if fact.key == "sex_at_birth" or not is_settling(fact):
            continue
        found += [
            meaning_of(fact, choice.key)
            for choice in (fact.values if fact.type != "boolean" else (Choice(key=_telling(fact), label=""),))
        ]
    return found


def _telling(fact: Fact) -> str:
    """The answer of a question of yes or no that says more than its opposite."""
    return "false" if fact.yes_is_fine else "true"


def meaning_of(fact: Fact, value: Any) -> Meaning:
    question = short_label(question_of(fact))
    if fact.type == "boolean":
        yes = str(value).lower() == "true"
        label = fact.label if yes else _("%(question)s: no") % {"question": fact.label}
        return Meaning(fact=fact.key, value=yes, label=label, question=question)
    label = fact.label_of(str(value))
    return Meaning(
        fact=fact.key,
        value=value,
        label=label if fact.type == "list" else f"{fact.label}: {label}",
        question=fact.label if fact.type == "list" else question,
    )


def typed_meanings(text: str, *, vocabulary: Vocabulary) -> tuple[list[Meaning], list[str]]:
    """Return what somebody typed as meanings, and what of it cannot be read. A line, or a part after “;”, each."""
    by_label = {fold(row.label): row for row in meanings(vocabulary)}
    by_label |= {fold(short_label(row.label)): row for row in by_label.values()}
    found: list[Meaning] = []
    unread = []
    for part in filter(None, (part.strip() for part in text.replace("\n", ";").split(";"))):
        if row := by_label.get(fold(part)):
            found.append(row)
            continue
        classes = [value for named in read_medicines(part) for value in named.classes]
        found += [meaning_of(vocabulary.facts["medications"], value) for value in classes]
        if not classes:
            unread.append(part)
    return list(dict.fromkeys(found)), unread


# ------------------------------------------------------------------ what each does


@dataclass(frozen=True, kw_only=True)
class Effects:
    """The screening as it stands without the statement, against which each meaning is held."""

    intake: Intake
    facts: Mapping[str, Any]
    formulary: Formulary
    words: Words
    before: frozenset[tuple[str, int]]

    def of(self, chosen: Iterable[Meaning]) -> list[tuple[Finding, str]]:
        """Return the findings that these meanings add, the gravest first, each with its sentence."""
        screened = _screened(self.intake, self._with(chosen), self.formulary)
        found = [row for row in screened if _key(row) not in self.before]
        found.sort(key=lambda row: _GRAVEST_FIRST.index(row.rule.severity))
        return [(row, self.words.rule_message({"rule": row.rule.key})) for row in found]

    def unheard(self, chosen: Iterable[Meaning]) -> str:
        """Return why the formulary in force cannot judge these meanings; empty where it knows them all."""
        facts = {row.fact: [row.value] if self._is_list(row.fact) else row.value for row in chosen}
        fitted = fit_to_version({"facts": facts, "concerns": (), "zones": ()}, self.formulary)
        return " ".join(unheard_obstacles(fitted.unheard, self.formulary))

    def gravest(self, meaning: Meaning) -> Effect:
        """Return what it does in one line; “nothing” where no rule says anything new."""
        if unheard := self.unheard([meaning]):
            return Effect(severity=STOP, text=unheard)
        found = self.of([meaning])
        if not found:
            return Effect(severity=NOTHING, text=_("no rule says anything new"))
        severity = found[0][0].rule.severity
        alike = [(row, said) for row, said in found if row.rule.severity == severity]
        rules = tuple(row.rule.key for row, _said in alike)
        if severity == EXCLUDE:
            keys = dict.fromkeys(key for row, _said in alike for key in self.formulary.keys(row.mask))
            return Effect(severity=severity, rules=rules, text=_left_out(self.words, keys))
        return Effect(severity=severity, rules=rules, text=_severe(severity, alike[0][1]))

    def _with(self, chosen: Iterable[Meaning]) -> dict[str, Any]:
        facts = dict(self.facts)
        for row in chosen:
            if isinstance(row.value, str) and self._is_list(row.fact):
                facts[row.fact] = list(dict.fromkeys([*facts.get(row.fact, ()), row.value]))
            else:
                facts[row.fact] = row.value
        return facts

    def _is_list(self, key: str) -> bool:
        return load_vocabulary().facts[key].type == "list"


def _severe(severity: str, what: str) -> str:
    """“caution: …”, as it goes on after what was ticked."""
    word = str(SEVERITY_NAMES[severity])
    return _("%(severity)s: %(what)s") % {"severity": word[:1].lower() + word[1:], "what": what}


def _left_out(words: Words, keys: Iterable[str]) -> str:
    names = sorted((short_label(words.ingredient(key)) for key in keys), key=by_words)
    shown = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
    return _("leaves out: %(names)s") % {"names": shown} if names else _("leaves ingredients out")


def _key(finding: Finding) -> tuple[str, int]:
    return finding.rule.key, finding.mask


def _screened(intake: Intake, facts: Mapping[str, Any], formulary: Formulary) -> list[Finding]:
    case = {"facts": facts, "concerns": intake.concerns, "zones": intake.zones}
    return list(screen(parse_case(fit_to_version(case, formulary).case, formulary), formulary).findings)


def effects_for(statement: Statement) -> Effects | None:
    """Return what to hold meanings against; None where there is no submitted intake, or no formulary in force."""
    patient = person_of(statement.patient)
    intake, version = newest_submitted_intake(patient), formulary_in_force()
    if intake is None or version is None:
        return None
    others = [row for row in settled_facts(patient) if row.statement.pk != statement.pk]
    today = timezone.localdate(timezone=patient.site.tz)
    facts = case_of(intake, on=today, settled=others)["facts"]
    formulary = built_formulary(version)
    try:
        before = frozenset(_key(row) for row in _screened(intake, facts, formulary))
    except CaseError:
        return None
    return Effects(intake=intake, facts=facts, formulary=formulary, words=words_of(formulary), before=before)


@dataclass(frozen=True, kw_only=True)
class Consequence:
    kind: str  # of a state: danger, warn, info, ok or q
    icon: str
    text: str


def consequences(
    statement: Statement, chosen: Sequence[Meaning], *, effects: Effects | None, still_open: int
) -> list[Consequence]:
    """Return what settling it so does, for “What this does”: rules, the draft, the plan in force, what else is open."""
    found = []
    for row, said in effects.of(chosen) if effects else ():
        severity = row.rule.severity
        if severity == EXCLUDE:
            said = f"{_left_out(effects.words, effects.formulary.keys(row.mask))}. {said}" if effects else said
            said = said[:1].upper() + said[1:]
        found.append(Consequence(kind=KINDS[severity], icon=ICONS[severity], text=said))
    if unheard := effects.unheard(chosen) if effects else "":
        found.insert(0, Consequence(kind=KINDS[STOP], icon=ICONS[STOP], text=unheard))
    if chosen and not found:
        text = _("No rule says anything new. The answer stands beside the intake.")
        found.append(Consequence(kind="info", icon="info", text=text))
    if not chosen:
        text = _("It stops nothing any more; the reason stands beside it.")
        found.append(Consequence(kind="ok", icon="check", text=text))
    found += _of_plans(person_of(statement.patient), chosen)
    if still_open:
        text = ngettext(
            "%(n)d more thing that was said is still open after this.",
            "%(n)d more things that were said are still open after this.",
            still_open,
        )
        found.append(Consequence(kind="warn", icon="clock", text=text % {"n": still_open}))
    return found


def _of_plans(patient: Patient, chosen: Sequence[Meaning]) -> list[Consequence]:
    """What becomes of a draft and of the plan in force."""
    if not chosen:
        return []
    in_force = plan_in_force(patient)
    plans = [*drafts_of(patient).only("number", "version", "status"), *([in_force] if in_force else [])]
    found = []
    for plan in plans:
        text = (
            _("Draft %(number)s rests on other facts then: discard it and make a new plan.")
            if plan.status == PlanStatus.DRAFT
            else _("Plan %(number)s stays as it was signed; each visit is held against the new facts.")
        )
        found.append(Consequence(kind="q", icon="file", text=text % {"number": plan.display_number}))
    return found


def vocabulary_of(statement: Statement) -> Vocabulary:
    return intake_vocabulary(also=[row["value"] for row in statement.facts if row["fact"] == "allergy_ingredients"])


def offered(statement: Statement, *, vocabulary: Vocabulary) -> list[Meaning]:
    """Return the meanings to choose from: what it was settled as, what the words offer, what it was added to."""
    pairs = [(row["fact"], row["value"]) for row in statement.facts]
    return _meanings([*pairs, *_pairs(_read(statement))], vocabulary)


def meant_by(text: str, *, vocabulary: Vocabulary) -> list[Meaning]:
    """Return what typed words may mean, whatever they are about: offered, never taken."""
    return _meanings(_pairs(statements_in(medicines=text, allergies=text, illnesses=text)), vocabulary)


def _pairs(said: Iterable[Said]) -> list[tuple[str, Any]]:
    return [(offer.fact, offer.value) for row in said for offer in row.offers]


def _meanings(pairs: Iterable[tuple[str, Any]], vocabulary: Vocabulary) -> list[Meaning]:
    """Each meaning once, of those that words can be settled as."""
    found: dict[str, Meaning] = {}
    for key, value in pairs:
        if (meant := meant_value(key, value)) is not None:
            row = meaning_of(vocabulary.facts[key], meant)
            found.setdefault(row.key, row)
    return list(found.values())


def _read(statement: Statement) -> list[Said]:
    """What the words may mean; of a “does not know” nothing. A note may be about anything."""
    if statement.is_unknown:
        return []
    text = statement.text
    if statement.kind == StatementKind.MEDICINE:
        return statements_in(medicines=text)
    if statement.kind == StatementKind.ALLERGY:
        return statements_in(allergies=text)
    return statements_in(illnesses=text)
