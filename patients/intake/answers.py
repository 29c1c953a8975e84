"""An intake's answers: what is well-formed, what they say in words, and the case that they make for the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from mesoclinic.core.errors import InvalidInput
from mesoclinic.core.numbers import plain_number, shown_number
from patients.intake.groups import NEW, REST, lists_in_parts, parts_of, unsettled
from patients.intake.groups import NONE as GROUP_NONE
from patients.intake.groups import UNKNOWN as GROUP_UNKNOWN
from patients.intake.measures import MOST_DECIMALS, checked_measure, measure_in_words, read_number
from patients.intake.settled import SettledFact, settled_facts, with_settled
from patients.models import Intake, Patient
from patients.texts import spoken_vocabulary
from patients.vocabulary import SEVERITIES, Choice, Fact, Vocabulary, Zone, facts_since, load_vocabulary, values_since
from patients.words import severity_in_words

UNKNOWN: dict[str, bool] = {"unknown": True}  # the person does not know
NEVER: dict[str, bool] = {"never": True}  # how long ago something was: it never happened
NOTE_LENGTH = 4000
DETAIL_LENGTH = 200


class InvalidAnswers(InvalidInput):
    """Answers that cannot be stored, each with a sentence: ``errors`` maps the fact, concern or zone to it."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        first = next(iter(errors))
        super().__init__(errors[first], field=first)
        self.errors = dict(errors)


# ------------------------------------------------------------------ what is asked


def intake_vocabulary(*, also: Iterable[str] = ()) -> Vocabulary:
    """The vocabulary in the reader's language with the names of the ingredients in force.

    ``also``: the ingredients that an older answer named.
    """
    provider: Callable[[], list[tuple[str, str]]] = import_string(settings.INGREDIENT_CHOICES_PROVIDER)
    names = dict(provider())
    for key in also:
        names.setdefault(key, key)
    return spoken_vocabulary().with_ingredients(Choice(key=key, label=_(name)) for key, name in names.items())


def vocabulary_for(intake: Intake) -> Vocabulary:
    """What this intake may be answered with: what is offered today, and what it already holds."""
    named = intake.facts.get("allergy_ingredients")
    return intake_vocabulary(also=named if isinstance(named, list) else ()).offering(intake.facts)


def asked_facts(patient: Patient, vocabulary: Vocabulary) -> list[Fact]:
    """The facts that an intake of this patient asks, in the vocabulary's order."""
    known = {"sex_at_birth": patient.sex_at_birth}
    return [fact for fact in vocabulary.facts.values() if fact.about != "record" and fact.applies_to(known)]


def may_be_never(fact: Fact) -> bool:
    """True for “how long since …?”, which can be answered with “never”."""
    return fact.about == "since"


def is_answered(value: Any) -> bool:
    return value is not None and value != UNKNOWN


def facts_to_take_over(previous: Intake, vocabulary: Vocabulary) -> dict[str, Any]:
    """The last answers that still stand: not what is about the day, a measurement or a number of days ago."""
    return {
        fact.key: previous.facts[fact.key]
        for fact in asked_facts(previous.patient, vocabulary)
        if fact.key in previous.facts
        and (fact.about == "history" or (may_be_never(fact) and previous.facts[fact.key] == NEVER))
    }


# ------------------------------------------------------------------ what was never asked


def not_asked(intake: Intake) -> dict[str, tuple[str, ...]]:
    """Return by list the answers that came after the list was answered, and that nobody was asked since.

    The list says nothing about them: it is no “no”.
    """
    found = {}
    for fact, new in values_since(intake.asked).items():
        chosen = intake.facts.get(fact)
        if not isinstance(chosen, list) or set(chosen) & set(new):
            continue  # nobody answered the list at all, or the new part of it holds a tick
        if intake.groups.get(fact, {}).get(NEW) not in (GROUP_NONE, GROUP_UNKNOWN):
            found[fact] = new
    return found


def new_questions(intake: Intake, vocabulary: Vocabulary) -> list[Fact]:
    """Return the questions that came after the release that the intake was asked with, and that it leaves open."""
    new = facts_since(intake.asked)
    return [
        fact
        for fact in asked_facts(intake.patient, vocabulary)
        if fact.key in new and not is_answered(intake.facts.get(fact.key))
    ]


def not_asked_in_words(intake: Intake, vocabulary: Vocabulary) -> dict[str, str]:
    """Return by list the answers that the person was never asked about, in the reader's words."""
    return {
        fact: ", ".join(short_label(vocabulary.facts[fact].label_of(value)) for value in values)
        for fact, values in not_asked(intake).items()
    }


# ------------------------------------------------------------------ what is well-formed


def checked_answers(
    *,
    facts: Mapping[str, Any],
    concerns: Sequence[Mapping[str, Any]],
    zones: Sequence[Mapping[str, Any]],
    patient: Patient,
    vocabulary: Vocabulary,
) -> tuple[dict[str, Any], list[dict[str, str]], list[dict[str, str]]]:
    """The answers in the vocabulary's order and in one spelling; raises InvalidAnswers for what cannot be stored."""
    errors: dict[str, str] = {}
    asked = {fact.key: fact for fact in asked_facts(patient, vocabulary)}
    for key in facts:
        if key not in asked:
            errors[str(key)] = (
                _("“%(key)s” is not a question of this intake.") % {"key": str(key)[:60]}
                if key not in vocabulary.facts
                else _("This question does not apply to this patient.")
            )
    clean_facts: dict[str, Any] = {}
    for key, fact in asked.items():
        if facts.get(key) is not None:
            try:
                clean_facts[key] = checked_value(fact, facts[key])
            except ValueError as refusal:
                errors[key] = str(refusal)

    severities: dict[str, str] = {}
    for entry in concerns:
        key, severity = str(entry.get("concern")), entry.get("severity")
        if key not in vocabulary.concerns:
            errors[f"concern-{key[:60]}"] = _("“%(key)s” is not a concern.") % {"key": key[:60]}
        elif key in severities:
            errors[f"concern-{key}"] = _("This concern is given twice.")
        elif severity not in SEVERITIES:
            errors[f"concern-{key}"] = _("Choose mild, moderate or severe.")
        else:
            severities[key] = str(severity)
    areas: dict[str, str] = {}
    for entry in zones:
        key = str(entry.get("zone"))
        zone = vocabulary.zones.get(key)
        if zone is None:
            errors[f"zone-{key[:60]}"] = _("“%(key)s” is not a zone of the scalp.") % {"key": key[:60]}
            continue
        if key in areas:
            errors[f"zone-{key}"] = _("This zone is given twice.")
            continue
        try:
            areas[key] = checked_area(zone, entry.get("area_cm2", zone.area_cm2))
        except ValueError as refusal:
            errors[f"zone-{key}"] = str(refusal)
    if errors:
        raise InvalidAnswers(errors)
    return (
        clean_facts,
        [{"concern": key, "severity": severities[key]} for key in vocabulary.concerns if key in severities],
        [{"zone": key, "area_cm2": areas[key]} for key in vocabulary.zones if key in areas],
    )


def checked_value(fact: Fact, value: Any) -> Any:
    """One answer in the spelling that is stored; ValueError with a sentence where it cannot be one."""
    if value == UNKNOWN:
        return dict(UNKNOWN)
    if value == NEVER and may_be_never(fact):
        return dict(NEVER)
    known = [choice.key for choice in fact.values]
    if fact.type == "boolean":
        if not isinstance(value, bool):
            raise ValueError(_("Answer with yes or no."))
        return value
    if fact.type == "enum":
        if not isinstance(value, str) or value not in known:
            raise ValueError(_("Choose one of the answers offered."))
        return value
    if fact.type == "list":
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(_("Choose from the list, or “None of these”."))
        if strange := [item for item in value if item not in known]:
            raise ValueError(_("“%(value)s” is not on the list.") % {"value": strange[0][:60]})
        return [key for key in known if key in value]
    return checked_measure(fact, value)


def checked_area(zone: Zone, value: Any) -> str:
    """A zone's area in cm² in the spelling that is stored; ValueError with a sentence where it cannot be one."""
    return _number(value, zone.area_min_cm2, zone.area_max_cm2, "cm²")


def checked_details(details: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """What was added to a “yes”, for values that the vocabulary knows; raises InvalidAnswers for what is too long."""
    facts = load_vocabulary().facts
    clean: dict[str, dict[str, str]] = {}
    errors: dict[str, str] = {}
    for key, texts in details.items():
        known = {choice.key for choice in facts[key].values} if key in facts and facts[key].wants_details else set()
        for value, text in texts.items():
            tidy = " ".join(str(text).split())
            if value not in known or not tidy:
                continue
            if len(tidy) > DETAIL_LENGTH or not tidy.isprintable():
                errors[key] = _("Shorten the details to %(length)d characters.") % {"length": DETAIL_LENGTH}
                continue
            clean.setdefault(key, {})[value] = tidy
    if errors:
        raise InvalidAnswers(errors)
    return clean


def checked_groups(groups: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """How the parts of a long list were answered; anything else is left out."""
    facts = load_vocabulary().facts
    return {
        fact: {
            key: answered[key]
            for key in (NEW, REST, *(part.key for part in facts[fact].parts))
            if answered.get(key) in (GROUP_NONE, GROUP_UNKNOWN)
        }
        for fact, answered in groups.items()
        if fact in facts and facts[fact].type == "list"
    }


def lacking(intake: Intake, vocabulary: Vocabulary, *, in_parts: bool = True) -> dict[str, str]:
    """What a submission still needs: the part of the page, and a sentence.

    ``in_parts``: whether long lists were asked part by part, so that each part needs its answer.
    """
    found = {}
    if not intake.concerns:
        found["concerns"] = _("Choose at least one concern with its severity.")
    total = treated_area(intake.zones)
    if not intake.zones:
        found["zones"] = _("Choose at least one zone of the scalp.")
    elif not vocabulary.min_total_cm2 <= total <= vocabulary.max_total_cm2:
        found["zones"] = _("The treated area is %(total)s cm². It must be between %(least)s and %(most)s cm².") % {
            "total": total,
            "least": vocabulary.min_total_cm2,
            "most": vocabulary.max_total_cm2,
        }
    for question in dict.fromkeys(map(question_of_input, intake.unread)):
        found[question] = _("“%(question)s”: what was typed is no answer yet. Look at it again.") % {
            "question": label_of_question(question, vocabulary)
        }
    if in_parts and (open_groups := groups_to_settle(intake)):
        found["groups"] = _("Some of a list is ticked and the rest was not answered. Answer: %(groups)s.") % {
            "groups": ", ".join(open_groups)
        }
    for fact, names in not_asked_in_words(intake, vocabulary).items():
        found[fact] = _("New on this list since the last intake, and not answered yet: %(what)s.") % {"what": names}
    return found


# ------------------------------------------------------------------ question by question

BESIDE = ("note", "medicines", "other_allergies")


def question_of_input(name: str) -> str:
    """Return the question that an input of the page belongs to: its answer, its parts and its details are one."""
    kind, _dash, key = name.partition("-")
    if kind in ("fact", "never", "unit"):
        return f"fact-{key}"
    if kind in ("part", "detail"):
        return f"fact-{key.split('-')[0]}"
    if kind in ("zone", "area"):
        return f"zone-{key}"
    return "medicines" if name == "medicine_more" else name


def questions_of(intake: Intake) -> dict[str, dict[str, Any]]:
    """Return what an intake holds, question by question: so much of it one person changes without another's."""
    found: dict[str, dict[str, Any]] = {}
    for part, held in (("is", intake.facts), ("parts", intake.groups), ("details", intake.details)):
        for key, value in held.items():
            if value not in (None, {}) or part == "is":
                found.setdefault(f"fact-{key}", {})[part] = value
    found |= {f"concern-{entry['concern']}": {"is": entry["severity"]} for entry in intake.concerns}
    found |= {f"zone-{entry['zone']}": {"is": entry["area_cm2"]} for entry in intake.zones}
    found |= {name: {"is": value} for name in BESIDE if (value := getattr(intake, name))}
    for name, texts in intake.unread.items():
        found.setdefault(question_of_input(name), {}).setdefault("unread", {})[name] = texts
    return found


def with_questions(intake: Intake, questions: Mapping[str, Mapping[str, Any]]) -> Intake:
    """Return the intake's answers as ``questions`` have them, in a row that is not stored."""

    def of(kind: str, part: str) -> dict[str, Any]:
        begin = f"{kind}-"
        return {
            name.removeprefix(begin): question[part]
            for name, question in questions.items()
            if name.startswith(begin) and part in question
        }

    beside: dict[str, Any] = {"note": "", "medicines": [], "other_allergies": ""}
    beside |= {name: questions[name]["is"] for name in BESIDE if "is" in questions.get(name, ())}
    return Intake(
        patient=intake.patient,
        status=intake.status,
        facts=of("fact", "is"),
        groups=of("fact", "parts"),
        details=of("fact", "details"),
        concerns=[{"concern": key, "severity": value} for key, value in of("concern", "is").items()],
        zones=[{"zone": key, "area_cm2": value} for key, value in of("zone", "is").items()],
        unread={name: text for question in questions.values() for name, text in question.get("unread", {}).items()},
        step=intake.step,
        **beside,
    )


def question_in_words(name: str, question: Mapping[str, Any], vocabulary: Vocabulary) -> str:
    """Return the answer to one question as a page says it."""
    kind, _dash, key = name.partition("-")
    value = question.get("is")
    if kind == "fact":
        words = [value_in_words(vocabulary.facts[key], value), *question.get("details", {}).values()]
    elif name == "medicines":
        words = [entry["text"] for entry in value or ()]
    elif value is None:
        words = [_("Not chosen")]
    else:
        words = [
            severity_in_words(value) if kind == "concern" else f"{shown_number(value)} cm²" if kind == "zone" else value
        ]
    words += [text for texts in question.get("unread", {}).values() for text in texts]
    return "; ".join(word for word in words if word) or _("nothing")


def label_of_question(name: str, vocabulary: Vocabulary) -> str:
    """Return the question as the page asks it."""
    kind, _dash, key = name.partition("-")
    if kind == "fact":
        return question_of(vocabulary.facts[key])
    if kind in ("concern", "zone"):
        return (vocabulary.concerns if kind == "concern" else vocabulary.zones)[key].label
    return {"medicines": _("Medicines by name"), "other_allergies": _("Other allergies")}.get(name, _("Note"))


def contradictions(intake: Intake) -> dict[str, str]:
    """Answers that cannot stand together, each with a sentence for beside its question."""
    facts, found = intake.facts, {}
    if facts.get("anaphylaxis_history") == "known_cause_in_formulary" and not facts.get("allergy_ingredients"):
        found["allergy_ingredients"] = _("Name the ingredient that caused the life-threatening reaction.")
    if facts.get("pregnancy_status") == "not_applicable" and facts.get("could_become_pregnant") is True:
        found["pregnancy_status"] = _(
            "“Could become pregnant” is answered with yes, so this applies: ask and answer it."
        )
    return found


def groups_to_settle(intake: Intake) -> list[str]:
    """Parts of a ticked list that nobody answered. The list would say “no” to them, and silence never does."""
    return [
        str(group.label)
        for fact in lists_in_parts(asked=intake.asked)
        if fact in intake.groups and isinstance(intake.facts.get(fact), list) and intake.facts[fact]
        for group in unsettled(fact, intake.facts[fact], intake.groups[fact], asked=intake.asked)
    ]


def without_ticked(
    groups: Mapping[str, Mapping[str, str]], facts: Mapping[str, Any], *, asked: str
) -> dict[str, dict[str, str]]:
    """The answers to parts of which nothing is ticked, also not by a medicine named.

    ``asked`` is the release that the draft was asked with: it decides which parts there are.
    """
    kept = {}
    for fact, answered in groups.items():
        ticked = set(facts[fact]) if isinstance(facts.get(fact), list) else set()
        values = {group.key: set(group.values) for group in parts_of(fact, asked=asked)}
        kept[fact] = {key: said for key, said in answered.items() if key in values and not ticked & values[key]}
    return kept


def _number(value: Any, least: Decimal, most: Decimal, unit: str) -> str:
    number = read_number(value)
    if not least <= number <= most:
        raise ValueError(
            _("It must be between %(least)s and %(most)s %(unit)s.")
            % {"least": plain_number(least), "most": plain_number(most), "unit": unit}
        )
    if -number.as_tuple().exponent > MOST_DECIMALS:  # type: ignore[operator]
        raise ValueError(_("Write at most four decimal places."))
    return plain_number(number)


def treated_area(zones: Iterable[Mapping[str, Any]]) -> Decimal:
    """The sum of the zones' areas, in cm²."""
    return sum((Decimal(entry["area_cm2"]) for entry in zones), Decimal(0))


# ------------------------------------------------------------------ the engine's case


def days_since_answered(intake: Intake, *, on: date) -> int:
    """Days from the submission to ``on``, by the site's calendar; 0 for one that is being filled in."""
    if intake.submitted_at is None:
        return 0
    return max((on - timezone.localdate(intake.submitted_at, timezone=intake.patient.site.tz)).days, 0)


def aged_value(fact: Fact, value: Any, *, days: int) -> Any:
    """An answer ``days`` later: days and months since something have gone by, whole months only."""
    if fact.unit not in ("days", "months") or not isinstance(value, int) or fact.maximum is None:
        return value
    return min(value + (days if fact.unit == "days" else days // 31), int(fact.maximum))


def case_of(intake: Intake, *, on: date, settled: Sequence[SettledFact] | None = None) -> dict[str, Any]:
    """Return the answers in the engine's form, as of ``on``, with what the person's words were settled as.

    What was not answered, not known or never is left out. ``settled`` spares the query where it was read already.
    """
    vocabulary = load_vocabulary()
    facts: dict[str, Any] = {
        "age_years": intake.patient.age_on(on),
        "sex_at_birth": intake.patient.sex_at_birth,
    }
    days = days_since_answered(intake, on=on)
    for fact in asked_facts(intake.patient, vocabulary):
        value = intake.facts.get(fact.key)
        if value is not None and not isinstance(value, dict):
            facts[fact.key] = list(value) if isinstance(value, list) else aged_value(fact, value, days=days)
    return {
        "facts": settled_over(intake, facts, settled=settled),
        "concerns": [dict(entry) for entry in intake.concerns],
        "zones": [dict(entry) for entry in intake.zones],
    }


def settled_over(
    intake: Intake, facts: Mapping[str, Any], *, settled: Sequence[SettledFact] | None = None
) -> dict[str, Any]:
    """Return the facts of an intake with those that the person's words were settled as; of any spelling of them."""
    rows = settled_facts(intake.patient) if settled is None else settled
    answered_at = intake.submitted_at or timezone.now()  # a draft is answered now
    return with_settled(facts, rows, answered_at=answered_at, of_the_day=load_vocabulary().facts_about("day"))


def answered_never(intake: Intake) -> list[str]:
    """The facts that were answered with “never”: the engine has no number for them, and need not ask."""
    return sorted(key for key, value in intake.facts.items() if value == NEVER)


def answered_unknown(intake: Intake) -> list[str]:
    """The facts that the person did not know: questions for the practitioner."""
    return sorted(key for key, value in intake.facts.items() if value == UNKNOWN)


# ------------------------------------------------------------------ in words


def question_of(fact: Fact) -> str:
    """The question without its “Practitioner:” mark, which the page shows apart."""
    return without_mark(fact.question)


def without_mark(question: str) -> str:
    _before, found, text = question.partition(_("Practitioner: "))
    return text[:1].upper() + text[1:] if found else question


def short_label(label: str) -> str:
    """The label without its explanation in brackets, for places where there is little room."""
    return label.split(" (", 1)[0].split(", now or in", 1)[0]


def value_in_words(fact: Fact, value: Any) -> str:
    if value is None:
        return _("Not answered")
    if value == UNKNOWN:
        return _("Does not know")
    if value == NEVER:
        return _("Never")
    if fact.type == "boolean":
        return _("Yes") if value else _("No")
    if fact.type == "list":
        return "; ".join(fact.label_of(item) for item in value) or _("None of these")
    if fact.type == "enum":
        return fact.label_of(value)
    return measure_in_words(fact, value)
