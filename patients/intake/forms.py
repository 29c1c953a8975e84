"""Turn what was typed into a patient's details and an intake's answers. The vocabulary says what an intake asks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.forms.utils import ErrorDict, ErrorList
from django.http import QueryDict
from django.utils import formats
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mesoclinic.audit.conflicts import LEAVE, Conflict, mark_of, marks_in, marks_of
from mesoclinic.core.errors import InvalidInput
from mesoclinic.core.numbers import plain_number, shown_number, typed_number
from mesoclinic.core.sorting import by_words
from mesoclinic.ui.merging import Decision
from patients.intake import answers as intakes
from patients.intake import day_checks, groups, measures
from patients.intake.answers import NEVER, UNKNOWN, InvalidAnswers
from patients.intake.groups import NEW, parts_of
from patients.intake.medicines import LENGTH as MEDICINE_LENGTH
from patients.intake.medicines import Named, read_medicines
from patients.intake.steps import STEP_OF, STEPS
from patients.models import Intake, Patient
from patients.vocabulary import SEVERITIES, Choice, Fact, Part, Scale, Vocabulary, Zone
from patients.words import SEVERITY_NAMES

# ------------------------------------------------------------------ the record


# ------------------------------------------------------------------ the intake

NONE_OF_THESE = "(none)"  # no vocabulary key holds a bracket
DO_NOT_KNOW = "(unknown)"
YES, NO = "yes", "no"
MOST_KEPT, MOST_TICKED = 20_000, 200  # of what is no answer: characters of an input, ticks of a list


@dataclass(frozen=True, kw_only=True)
class Option:
    value: str
    label: str
    chosen: bool = False
    note: str = ""  # what a stage means
    kind: str = ""  # "none", "unknown" or "unanswered" for the answers that stand beside the list
    detail_name: str = ""  # of the input that unfolds when it is chosen
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class AskedPart:
    """A part of a long list, with its own “no to all”."""

    key: str
    name: str
    label: str
    values: tuple[Option, ...]
    answers: tuple[Option, ...]

    @property
    def is_answered(self) -> bool:
        return any(option.chosen for option in (*self.values, *self.answers))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question as the page shows it."""

    name: str  # of the input
    key: str
    kind: str  # boolean | enum | list | number | stage
    text: str
    help: str = ""
    unit: str = ""
    units: tuple[measures.Offered, ...] = ()  # where it may be given in several
    value: str = ""
    options: tuple[Option, ...] = ()
    never: bool | None = None  # None where “never” is no answer
    scale: Scale | None = None
    range: str = ""
    last_time: str = ""
    errors: tuple[str, ...] = ()
    parts: tuple[AskedPart, ...] = ()
    said: tuple[str, ...] = ()  # its texts as the vocabulary has them

    @property
    def is_answered(self) -> bool:
        if self.parts and all(part.is_answered for part in self.parts):
            return True
        if self.parts:
            return any(option.chosen and option.kind == "none" for option in self.options)
        chosen = any(option.chosen and option.kind not in ("unanswered", "unknown") for option in self.options)
        return chosen or bool(self.value) or bool(self.never)


@dataclass(frozen=True, kw_only=True)
class AskedZone:
    zone: Zone
    name: str
    area_name: str
    label: str
    short: str
    hint: str  # what the label says in brackets
    chosen: bool
    area: str
    range: str
    errors: tuple[str, ...] = ()


@dataclass(kw_only=True)
class AskedSection:
    key: str
    label: str
    for_practitioner: bool = False
    questions: list[Asked] = field(default_factory=list)

    @property
    def said(self) -> list[str]:
        return [text for question in self.questions for text in question.said]

    @property
    def answered(self) -> int:
        return sum(question.is_answered for question in self.questions)


class DayCheckForm(forms.Form):
    """“Has anything changed?”: only what a session's safety depends on. Nothing is answered until somebody does."""

    new_medicines = forms.CharField(
        label=gettext_lazy("Which?"),
        help_text=gettext_lazy("One a line, by name or ATC code."),
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    new_illness = forms.CharField(
        label=gettext_lazy("What, and since when?"), required=False, max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip
    new_allergy = forms.CharField(label=gettext_lazy("To what, and what happened?"), required=False, max_length=500)
    note = forms.CharField(
        label=gettext_lazy("Anything else that was said"),
        help_text=gettext_lazy("Kept as it is written; somebody who signs plans reads it before the next injection."),
        required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip

    def __init__(self, *args: Any, patient: Patient, previous: Intake, ask: Sequence[str] = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.patient, self.previous = patient, previous
        self.vocabulary = intakes.vocabulary_for(previous)
        said = {"required": gettext_lazy("Ask this too: an unanswered question is not a “no”.")}
        self.reasked = [self.vocabulary.facts[key] for key in day_checks.reasked_facts(patient)]
        for fact in self.reasked:
            self.fields[f"fact-{fact.key}"] = self._field_of(fact, said)
        for name, question in (
            ("medicines", _("New medicines since then?")),
            ("illness", _("A new illness or operation since then?")),
            ("allergy", _("A new allergy or reaction since then?")),
        ):
            self.fields[f"any_{name}"] = forms.ChoiceField(
                label=question,
                choices=[(YES, _("Yes")), (NO, _("No")), (DO_NOT_KNOW, _("Does not know"))],
                widget=forms.RadioSelect,
                error_messages=said,
            )
        self.not_asked = [self.vocabulary.facts[key] for key in intakes.not_asked(previous)]
        for fact, values in zip(self.not_asked, intakes.not_asked(previous).values(), strict=True):
            self.fields[f"new-{fact.key}"] = forms.MultipleChoiceField(
                label=intakes.question_of(fact),
                choices=[
                    *((value, fact.label_of(value)) for value in values),
                    (NONE_OF_THESE, _("None of these")),
                    (DO_NOT_KNOW, _("Does not know")),
                ],
                widget=forms.CheckboxSelectMultiple,
                error_messages=said,
            )
        self.new_questions = self._new_questions(also=ask)
        for fact in self.new_questions:
            self.fields[f"fact-{fact.key}"] = self._field_of(fact, said)
        for name, key, label in (
            ("new_conditions", "conditions", _("Which of these?")),
            ("new_allergies", "allergies", _("Which of these?")),
        ):
            known = previous.facts.get(key)
            had = set(known) if isinstance(known, list) else set()
            self.fields[name] = forms.MultipleChoiceField(
                label=label,
                required=False,
                choices=[(c.key, c.label) for c in self.vocabulary.facts[key].values if c.key not in had],
                widget=forms.CheckboxSelectMultiple,
            )

    @staticmethod
    def _field_of(fact: Fact, said: dict[str, Any]) -> forms.Field:
        choices = [(YES, _("Yes")), (NO, _("No"))]
        if fact.type != "boolean":
            choices = [(choice.key, choice.label) for choice in fact.values]
        label, unknown = intakes.question_of(fact), (DO_NOT_KNOW, _("Does not know"))
        if fact.type == "list":
            return forms.MultipleChoiceField(
                label=label,
                choices=[*choices, (NONE_OF_THESE, _("None of these")), unknown],
                widget=forms.CheckboxSelectMultiple,
                error_messages=said,
            )
        return forms.ChoiceField(
            label=label, choices=[*choices, unknown], widget=forms.RadioSelect, error_messages=said
        )

    def _new_questions(self, *, also: Sequence[str]) -> list[Fact]:
        """The questions that came since the intake and that it leaves open, and ``also``, asked for by name."""
        new = [fact.key for fact in intakes.new_questions(self.previous, self.vocabulary)]
        again = {fact.key for fact in self.reasked}
        return [
            fact
            for fact in intakes.asked_facts(self.patient, self.vocabulary)
            if fact.key in (*new, *also) and fact.key not in again and day_checks.can_be_asked(fact)
        ]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        lists = [name for name, asked in self.fields.items() if isinstance(asked, forms.MultipleChoiceField)]
        for name in lists:
            chosen = set(data.get(name) or ())
            if len(chosen) > 1 and chosen & {NONE_OF_THESE, DO_NOT_KNOW}:
                self.add_error(name, _("Both the list and “none” or “don't know” are ticked. Keep one."))
        for name, what in (("medicines", "new_medicines"), ("illness", "new_illness"), ("allergy", "new_allergy")):
            also = {"illness": "new_conditions", "allergy": "new_allergies"}.get(name)
            told = (data.get(what) or "").strip() or (also and data.get(also))
            if data.get(f"any_{name}") == YES and not told:
                self.add_error(what, _("Say which, in a few words."))
            if data.get(f"any_{name}") == NO and told:
                self.add_error(f"any_{name}", _("“No” is chosen and something is written. Keep one."))
        return data

    @cached_property
    def answers(self) -> day_checks.Answers:
        data = self.cleaned_data
        facts: dict[str, Any] = {}
        for fact in (*self.reasked, *self.new_questions):
            typed = data.get(f"fact-{fact.key}")
            if typed in (DO_NOT_KNOW, [DO_NOT_KNOW]):
                facts[fact.key] = dict(UNKNOWN)
            elif typed == [NONE_OF_THESE]:
                facts[fact.key] = []
            elif typed:
                facts[fact.key] = typed == YES if fact.type == "boolean" else typed
        grown = {fact.key: data.get(f"new-{fact.key}", []) for fact in self.not_asked}
        return day_checks.Answers(
            facts=facts,
            asked_new={
                key: None if typed == [DO_NOT_KNOW] else tuple(value for value in typed if value != NONE_OF_THESE)
                for key, typed in grown.items()
                if typed
            },
            unknown=tuple(
                f"new_{name}" for name in ("medicines", "illness", "allergy") if data.get(f"any_{name}") == DO_NOT_KNOW
            ),
            note=data.get("note", ""),
            new_medicines=data.get("new_medicines", ""),
            new_conditions=tuple(data.get("new_conditions", ())),
            new_illness=data.get("new_illness", ""),
            new_allergies=tuple(data.get("new_allergies", ())),
            new_allergy=data.get("new_allergy", ""),
        )

    def field_of(self, name: str | None) -> str | None:
        """Return the input that a refusal of ``name`` belongs beside; None where it is of no single one."""
        fields = (name, f"fact-{name}", f"new-{name}", f"any_{(name or '').removeprefix('new_')}")
        return next((field for field in fields if field in self.fields), None)

    def questions(self) -> list[dict[str, Any]]:
        """Each question with what unfolds on “yes”, and what the last intake says."""
        rows = [
            {
                "field": self[f"fact-{fact.key}"],
                "before": self._before(fact),
                "more": [],
                "is_short": fact.type == "boolean",
            }
            for fact in self.reasked
        ]
        for name, more in (
            ("medicines", ["new_medicines"]),
            ("illness", ["new_illness", "new_conditions"]),
            ("allergy", ["new_allergy", "new_allergies"]),
        ):
            rows.append(
                {"field": self[f"any_{name}"], "before": "", "more": [self[key] for key in more], "is_short": True}
            )
        return rows

    def new_rows(self) -> list[dict[str, Any]]:
        """What the intake was never asked: lists that grew since, then questions that came since."""
        rows = [
            {"field": self[f"new-{fact.key}"], "before": self._before(fact), "is_list": True} for fact in self.not_asked
        ]
        return rows + [
            {"field": self[f"fact-{fact.key}"], "before": "", "is_list": fact.type == "list"}
            for fact in self.new_questions
        ]

    def _before(self, fact: Fact) -> str:
        value = self.previous.facts.get(fact.key)
        return "" if fact.before_session == "asked_afresh" else intakes.value_in_words(fact, value)


class IntakeForm(forms.Form):
    """Every question of the vocabulary that applies to the patient, every concern, every zone.

    Nothing is required: a question that is left alone stays unanswered, which is neither “no” nor “none”.
    """

    revision = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    note = forms.CharField(
        label=gettext_lazy("Anything else we should know"),
        max_length=intakes.NOTE_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    medicines = forms.CharField(
        label=gettext_lazy("Medicines by name or ATC code"),
        help_text=gettext_lazy("One a line, as on the box: aspirin 100 mg. What they count as is shown below."),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
    )
    medicine_more = forms.CharField(
        label=gettext_lazy("Find a medicine"),
        help_text=gettext_lazy("A few letters of the name, or the ATC code. Add the dose, then press Enter."),
        max_length=MEDICINE_LENGTH,
        required=False,
        widget=forms.TextInput(
            attrs={
                "list": "medicine-names",
                "autocomplete": "off",
                "spellcheck": "false",
                "enterkeyhint": "done",
                "data-medicine-more": "id_medicines",
            }
        ),
    )
    other_allergies = forms.CharField(
        label=gettext_lazy("Other allergies, in the person's own words"),
        help_text=gettext_lazy("Kept as it is written; somebody looks at it before a plan is made."),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *args: Any, intake: Intake, vocabulary: Vocabulary, previous: Intake | None = None, **kw: Any):
        self.intake, self.vocabulary, self.previous = intake, vocabulary, previous
        self.lacking: dict[str, str] = {}  # what a submission still needs: "concerns", "zones"
        self.asked = intakes.asked_facts(intake.patient, vocabulary)
        self.parts = {fact.key: parts for fact in self.asked if (parts := parts_of(fact.key, asked=intake.asked))}
        kw["initial"] = {"revision": intake.revision, "note": intake.note} | dict(self._typed_before())
        kw["initial"] |= {name: self._typed_again(name, texts) for name, texts in intake.unread.items()}
        self.clashes: list[Decision] = []
        super().__init__(*args, **kw)
        for fact in self.asked:
            self.fields[f"fact-{fact.key}"] = self._field_of(fact)
            if intakes.may_be_never(fact):
                self.fields[f"never-{fact.key}"] = forms.BooleanField(required=False)
            if len(fact.units) > 1:
                self.fields[f"unit-{fact.key}"] = forms.ChoiceField(
                    choices=[("", ""), *((unit.key, unit.key) for unit in fact.units)], required=False
                )
        for key in vocabulary.concerns:
            self.fields[f"concern-{key}"] = forms.ChoiceField(
                choices=[("", ""), *((severity, severity) for severity in SEVERITIES)],
                required=False,
                error_messages={"invalid_choice": gettext_lazy("Choose mild, moderate or severe.")},
            )
        for key in vocabulary.zones:
            self.fields[f"zone-{key}"] = forms.BooleanField(required=False)
            self.fields[f"area-{key}"] = forms.CharField(required=False, max_length=20)
        for fact in self.asked:
            for group in self.parts.get(fact.key, ()):
                self.fields[f"part-{fact.key}-{group.key}"] = forms.ChoiceField(
                    choices=[("", ""), (groups.NONE, ""), (groups.UNKNOWN, "")], required=False
                )
            if fact.wants_details:
                for choice in fact.values:
                    self.fields[f"detail-{fact.key}-{choice.key}"] = forms.CharField(
                        required=False, max_length=intakes.DETAIL_LENGTH
                    )
        if intake.unread and not self.is_bound:
            self._errors = ErrorDict(self._still_unread())  # the mark stands at its question until it is mended

    @cached_property
    def has_parts(self) -> bool:
        """False for a page that was opened before lists were asked part by part: what it lacks stays as it was."""
        return not self.is_bound or "parts" in self.data

    @staticmethod
    def _field_of(fact: Fact) -> forms.Field:
        keys = [(choice.key, choice.label) for choice in fact.values]
        aside = [(DO_NOT_KNOW, "")]
        said = {"invalid_choice": gettext_lazy("Choose one of the answers offered.")}
        if fact.type == "boolean":
            return forms.ChoiceField(choices=[(YES, ""), (NO, ""), *aside], required=False, error_messages=said)
        if fact.type == "list":
            offered = [(NONE_OF_THESE, ""), *keys, *aside]
            return forms.MultipleChoiceField(choices=offered, required=False, error_messages=said)
        if fact.type == "enum":
            return forms.ChoiceField(choices=[*keys, *aside], required=False, error_messages=said)
        return forms.CharField(required=False, max_length=40)

    # -------------------------------------------------------------- from the draft to the inputs

    def _typed_before(self) -> Iterator[tuple[str, Any]]:
        for fact in self.asked:
            value = self.intake.facts.get(fact.key)
            if value is None:
                continue
            if value == NEVER:
                yield f"never-{fact.key}", True
            else:
                if value or not self._grew(fact):
                    yield f"fact-{fact.key}", self._as_typed(fact, value)
                if len(fact.units) > 1 and not isinstance(value, dict):
                    yield f"unit-{fact.key}", fact.units[0].key
            for group in self.parts.get(fact.key, ()):
                yield f"part-{fact.key}-{group.key}", self._part_before(fact, group)
            for detail, text in self.intake.details.get(fact.key, {}).items():
                yield f"detail-{fact.key}-{detail}", text
        for fact in self.asked:
            if fact.key in self.parts and self.intake.facts.get(fact.key) is None:
                for part, said in self.intake.groups.get(fact.key, {}).items():
                    yield f"part-{fact.key}-{part}", said
        yield "medicines", "\n".join(entry["text"] for entry in self.intake.medicines)
        yield "other_allergies", self.intake.other_allergies
        for entry in self.intake.concerns:
            yield f"concern-{entry['concern']}", entry["severity"]
        for entry in self.intake.zones:
            yield f"zone-{entry['zone']}", True
            yield f"area-{entry['zone']}", formats.localize_input(Decimal(entry["area_cm2"]))

    def _grew(self, fact: Fact) -> bool:
        """Whether answers came to the list since it was answered: “no to everything” does not say “no” to them."""
        return fact.key in intakes.not_asked(self.intake)

    def _part_before(self, fact: Fact, group: Part) -> str:
        """How a part of the list was answered; a list that was answered as a whole says “no” to what it lacks."""
        value = self.intake.facts[fact.key]
        if fact.key in self.intake.groups:
            return str(self.intake.groups[fact.key].get(group.key, ""))
        if group.key == NEW:
            return ""
        return groups.NONE if isinstance(value, list) and not set(value) & set(group.values) else ""

    @staticmethod
    def _as_typed(fact: Fact, value: Any) -> Any:
        if value == UNKNOWN:
            return [DO_NOT_KNOW] if fact.type == "list" else DO_NOT_KNOW
        if fact.type == "boolean":
            return YES if value else NO
        if fact.type == "list":
            return list(value) or [NONE_OF_THESE]
        if fact.type in ("integer", "number"):
            return formats.localize_input(Decimal(value))
        return value

    def _typed_again(self, name: str, texts: Sequence[str]) -> Any:
        """What was typed and is no answer yet, as the input's field has it."""
        kind, _dash, key = name.partition("-")
        if kind in ("zone", "never"):
            return True
        is_list = kind == "fact" and key in self.vocabulary.facts and self.vocabulary.facts[key].type == "list"
        return list(texts) if is_list else texts[-1]

    def _still_unread(self) -> dict[str, ErrorList]:
        data = QueryDict(mutable=True)
        for name, texts in self.intake.unread.items():
            data.setlist(name, texts)
        data |= {"revision": str(self.intake.revision), "parts": "1"}
        again = IntakeForm(data, intake=self.intake, vocabulary=self.vocabulary)
        found = {name: sentences for name, sentences in again.errors.items() if name in self.fields}
        told = {intakes.question_of_input(name) for name in found}
        for question in dict.fromkeys(map(intakes.question_of_input, self.intake.unread)):
            if question not in told:
                name = question.replace("zone-", "area-")
                found[name] = ErrorList([_("This could not be kept as an answer. Look at it again.")])
        return found

    # -------------------------------------------------------------- from the inputs to the answers

    @cached_property
    def seen(self) -> dict[str, str]:
        """The marks of the answers that the reader saw, and of those that they have decided about since."""
        stored = intakes.questions_of(self.intake)
        if not self.is_bound:
            return marks_of(stored)
        seen = marks_in(self.data.get("seen", ""))
        for name in self.data:
            side, _dot, mark = str(self.data.get(name)).partition(".")
            question = name.removeprefix("keep-")
            if question != name and mark == mark_of(stored.get(question, {})):
                seen[question] = LEAVE if side == "theirs" else mark
        return seen

    @property
    def seen_text(self) -> str:
        return json.dumps(self.seen, separators=(",", ":"))

    def ask(self, conflict: Conflict) -> None:
        """Show theirs beside mine. The page keeps the revision that it began with until this is decided."""
        self.add_error(None, str(conflict))
        for clash in conflict.clashes:
            self.clashes.append(
                Decision(
                    name=f"keep-{clash.field}",
                    label=intakes.label_of_question(clash.field, self.vocabulary),
                    theirs=intakes.question_in_words(clash.field, clash.theirs, self.vocabulary),
                    mine=intakes.question_in_words(clash.field, clash.mine, self.vocabulary),
                    mark=mark_of(clash.theirs),
                )
            )

    @property
    def _wrong_questions(self) -> set[str]:
        return {intakes.question_of_input(name) for name in self.errors if not name.startswith(("detail-", "__"))}

    def unread(self) -> dict[str, list[str]]:
        """Return what was typed where it is no answer, as it was typed."""
        data = cast(QueryDict, self.data)
        wrong = self._wrong_questions | ({"fact-medications"} if "medicines" in self._wrong_questions else set())
        names = [name for name in self.fields if intakes.question_of_input(name) in wrong or name in self.errors]
        return {
            name: [text.replace("\x00", "")[:MOST_KEPT] for text in data.getlist(name)[:MOST_TICKED]]
            for name in names
            if any(data.getlist(name))
        }

    def answers(self) -> dict[str, Any]:
        """Return what ``save_intake`` takes: every answer but those that are none yet, which stay as typed."""
        wrong = self._wrong_questions
        without = wrong | ({"fact-medications"} if "medicines" in wrong else set())
        beside = dict(self.beside)
        if "groups" in beside:
            beside["groups"] = {key: said for key, said in beside["groups"].items() if f"fact-{key}" not in without}
        for name in ("medicines", "other_allergies"):
            if name in wrong:
                beside[name] = None
        return beside | {
            "facts": {key: value for key, value in self.facts.items() if f"fact-{key}" not in without},
            "concerns": [entry for entry in self.concerns if f"concern-{entry['concern']}" not in wrong],
            "zones": [entry for entry in self.zones if f"zone-{entry['zone']}" not in wrong],
            "note": self.intake.note if "note" in wrong else self.cleaned_data.get("note", ""),
            "unread": self.unread(),
            "seen": self.seen,
        }

    def refuse(self, refusal: InvalidInput) -> None:
        """Mark at its question what the action refused."""
        if isinstance(refusal, InvalidAnswers):
            self.add_refusal(refusal)
        else:
            self.add_error(refusal.field if refusal.field in self.fields else None, str(refusal))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "revision" in self.errors:
            self.add_error(None, _("This page is not whole. Open the intake again in another tab."))
        self.facts: dict[str, Any] = {}
        self.groups: dict[str, dict[str, str]] = {}
        for fact in self.asked:
            if f"fact-{fact.key}" in data:
                try:
                    value = self._in_parts(fact, data) if self._asks_in_parts(fact) else self._answer(fact, data)
                    value = self._with_unit(fact, value, data)
                    if value is not None:
                        self.facts[fact.key] = intakes.checked_value(fact, value)
                except ValueError as refusal:
                    self.add_error(f"fact-{fact.key}", str(refusal))
        self.concerns = [
            {"concern": key, "severity": data[f"concern-{key}"]}
            for key in self.vocabulary.concerns
            if data.get(f"concern-{key}")
        ]
        self.zones = []
        for key, zone in self.vocabulary.zones.items():
            if not data.get(f"zone-{key}"):
                continue
            try:
                area = typed_number(data.get(f"area-{key}", ""))
                if area is None:
                    raise ValueError(_("Write the area in cm²."))
                intakes.checked_area(zone, area)
            except ValueError as refusal:
                self.add_error(f"area-{key}", str(refusal))
            else:
                self.zones.append({"zone": key, "area_cm2": area})
        return data

    @staticmethod
    def _answer(fact: Fact, data: dict[str, Any]) -> Any:
        typed = data[f"fact-{fact.key}"]
        if fact.type == "list":
            chosen = set(typed)
            if not chosen:
                return None
            if len(chosen) > 1 and chosen & {NONE_OF_THESE, DO_NOT_KNOW}:
                raise ValueError(_("Both the list and “none” or “don't know” are ticked. Keep one."))
            return UNKNOWN if DO_NOT_KNOW in chosen else [] if NONE_OF_THESE in chosen else list(typed)
        if fact.type in ("boolean", "enum"):
            if not typed:
                return None
            if typed == DO_NOT_KNOW:
                return UNKNOWN
            return typed == YES if fact.type == "boolean" else typed
        never = data.get(f"never-{fact.key}")
        if typed and never:
            raise ValueError(_("Both a number and “never” are given. Keep one."))
        return NEVER if never else UNKNOWN if typed == DO_NOT_KNOW else typed_number(typed)

    def _with_unit(self, fact: Fact, value: Any, data: dict[str, Any]) -> Any:
        """A number with the unit that was chosen for it; a page from before asks for none."""
        name = f"unit-{fact.key}"
        return {"value": value, "unit": data.get(name, "")} if isinstance(value, str) and name in self.data else value

    def _asks_in_parts(self, fact: Fact) -> bool:
        return fact.key in self.parts and self.has_parts

    def _in_parts(self, fact: Fact, data: dict[str, Any]) -> Any:
        """A long list, asked part by part: it is answered once every part is, and never by what was left alone."""
        ticked = set(data[f"fact-{fact.key}"])
        said = {
            group.key: answer
            for group in self.parts[fact.key]
            if (answer := data.get(f"part-{fact.key}-{group.key}")) and not ticked & set(group.values)
        }
        for group in self.parts[fact.key]:
            if data.get(f"part-{fact.key}-{group.key}") and ticked & set(group.values):
                raise ValueError(
                    _("%(part)s: something is ticked and “no” or “don't know” is, too. Keep one.")
                    % {"part": group.label}
                )
        if ticked & {NONE_OF_THESE, DO_NOT_KNOW}:
            if ticked == {NONE_OF_THESE} and self.parts[fact.key][0].key == NEW:
                self.groups[fact.key] = {group.key: groups.NONE for group in self.parts[fact.key]}
            return self._answer(fact, data)
        self.groups[fact.key] = said
        if ticked:
            return sorted(ticked)
        if len(said) < len(self.parts[fact.key]):
            return None
        return UNKNOWN if groups.UNKNOWN in said.values() else []

    @cached_property
    def beside(self) -> dict[str, Any]:
        """What ``save_intake`` takes besides the answers; nothing from a page that did not ask it."""
        if not self.has_parts:
            return {}
        details: dict[str, dict[str, str]] = {}
        for name, text in self.cleaned_data.items():
            if name.startswith("detail-") and text:
                _mark, fact, value = name.split("-", 2)
                details.setdefault(fact, {})[value] = text
        return {
            "medicines": _lines(self.cleaned_data.get("medicines"), self.cleaned_data.get("medicine_more")),
            "other_allergies": self.cleaned_data.get("other_allergies", ""),
            "details": details,
            "groups": self.groups,
            "step": str(self.data.get("step", "")),
        }

    def add_refusal(self, refusal: InvalidAnswers) -> None:
        for key, sentence in refusal.errors.items():
            name = next((n for n in (f"fact-{key}", key.replace("zone-", "area-"), key) if n in self.fields), None)
            self.add_error(name, sentence)

    # -------------------------------------------------------------- what the page shows

    def sections(self) -> list[AskedSection]:
        """The vocabulary's sections with their questions, in order."""
        found = {key: AskedSection(key=key, label=s.label) for key, s in self.vocabulary.sections.items()}
        scales = {scale.fact: scale for scale in self.vocabulary.scales.values() if scale.fact}
        for fact in self.asked:
            found[fact.section].questions.append(self._asked(fact, scales.get(fact.key)))
            found[fact.section].for_practitioner = fact.answered_by == "practitioner"  # the same for a whole section
        return [section for section in found.values() if section.questions]

    def _asked(self, fact: Fact, scale: Scale | None) -> Asked:
        name = f"fact-{fact.key}"
        typed = self[name].value()
        chosen = {str(item) for item in typed} if isinstance(typed, list) else {str(typed or "")}
        unknown = Option(value=DO_NOT_KNOW, label=_("Don't know"), chosen=DO_NOT_KNOW in chosen, kind="unknown")
        unanswered = Option(value="", label=_("Not answered"), chosen=not chosen - {""}, kind="unanswered")
        kind, options = fact.type, tuple[Option, ...]()
        if scale:
            kind = "stage"  # type: ignore[assignment]
            options = (
                *(
                    Option(
                        value=stage.code,
                        label=stage.code.replace("_", " "),
                        chosen=stage.code in chosen,
                        note=stage.description,
                    )
                    for stage in scale.stages
                ),
                unanswered,
            )
        elif fact.type == "boolean":
            options = (
                Option(value=YES, label=_("Yes"), chosen=YES in chosen),
                Option(value=NO, label=_("No"), chosen=NO in chosen),
                unknown,
                unanswered,
            )
        elif fact.type == "enum":
            values = (Option(value=c.key, label=c.label, chosen=c.key in chosen) for c in fact.values)
            options = (*values, unknown, unanswered)
        elif fact.type == "list" and fact.key in self.parts:
            kind = "parts"  # type: ignore[assignment]
            none = Option(value=NONE_OF_THESE, label=_("No to everything"), chosen=NONE_OF_THESE in chosen, kind="none")
            options = (none, unknown)
        elif fact.type == "list":
            none = Option(value=NONE_OF_THESE, label=_("None of these"), chosen=NONE_OF_THESE in chosen, kind="none")
            options = (none, unknown, *self._values_of(fact, chosen))
        else:
            kind = "number"
        span = ""
        if fact.minimum is not None and fact.maximum is not None and not intakes.may_be_never(fact):
            ends = (fact.units[0].least, fact.units[0].most) if fact.units else (fact.minimum, fact.maximum)
            span = " – ".join(shown_number(plain_number(end)) for end in ends)
        never = None
        if intakes.may_be_never(fact):
            never = bool(self[f"never-{fact.key}"].value())
        return Asked(
            name=name,
            key=fact.key,
            kind=kind,
            text=intakes.question_of(fact),
            help=fact.help,
            unit=measures.unit_label(fact.unit),
            units=self._units_of(fact),
            value=str(typed or "") if kind == "number" else "",
            options=options,
            never=never,
            scale=scale,
            range=span,
            last_time=self._last_time(fact),
            errors=self._errors_at(name),
            parts=self._parts_of(fact, chosen) if kind == "parts" else (),
            said=(
                fact.question,
                fact.help,
                *(choice.label for choice in fact.values),
                *(stage.description for stage in (scale.stages if scale else ())),
            ),
        )

    def _units_of(self, fact: Fact) -> tuple[measures.Offered, ...]:
        name = f"unit-{fact.key}"
        return measures.offered(fact, str(self[name].value() or "")) if name in self.fields else ()

    def _values_of(self, fact: Fact, chosen: set[str]) -> tuple[Option, ...]:
        return tuple(
            Option(
                value=choice.key,
                label=choice.label,
                chosen=choice.key in chosen,
                detail_name=f"detail-{fact.key}-{choice.key}" if fact.wants_details else "",
                detail=str(self[f"detail-{fact.key}-{choice.key}"].value() or "") if fact.wants_details else "",
            )
            for choice in self._as_listed(fact)
        )

    @staticmethod
    def _as_listed(fact: Fact) -> Iterable[Choice]:
        """The values as the vocabulary lists them; ingredients, which it does not know, by the name that is shown."""
        if not fact.values_from:
            return fact.values
        return sorted(fact.values, key=lambda choice: by_words(choice.label))

    def _parts_of(self, fact: Fact, chosen: set[str]) -> tuple[AskedPart, ...]:
        values = {option.value: option for option in self._values_of(fact, chosen)}
        parts = []
        for group in self.parts[fact.key]:
            name = f"part-{fact.key}-{group.key}"
            said = str(self[name].value() or "")
            labels = {groups.NONE: _("No to all of these"), groups.UNKNOWN: _("Don't know")}
            parts.append(
                AskedPart(
                    key=group.key,
                    name=name,
                    label=str(group.label),
                    values=tuple(values[value] for value in group.values if value in values),
                    answers=tuple(
                        Option(value=value, label=label, chosen=said == value, kind=value)
                        for value, label in labels.items()
                    ),
                )
            )
        return tuple(parts)

    def _last_time(self, fact: Fact) -> str:
        """What the last intake said, where the answer is asked afresh and not taken over."""
        if self.previous is None or fact.key not in self.previous.facts:
            return ""
        if fact.key in self._taken_over:
            return ""
        return intakes.value_in_words(fact, self.previous.facts[fact.key])

    @cached_property
    def _taken_over(self) -> frozenset[str]:
        return frozenset(intakes.facts_to_take_over(self.previous, self.vocabulary) if self.previous else ())

    def concern_questions(self) -> list[Asked]:
        labels = [("", _("Not chosen")), *((key, capfirst(words)) for key, words in SEVERITY_NAMES.items())]
        asked = []
        for key, concern in self.vocabulary.concerns.items():
            name = f"concern-{key}"
            typed = self[name].value() or ""
            asked.append(
                Asked(
                    name=name,
                    key=key,
                    kind="concern",
                    text=concern.label,
                    help=concern.patient_description,
                    options=tuple(
                        Option(value=v, label=label, chosen=v == typed, kind="" if v else "unanswered")
                        for v, label in labels
                    ),
                    errors=self._errors_at(name),
                    said=(concern.label, concern.patient_description),
                )
            )
        return asked

    def zone_rows(self) -> list[AskedZone]:
        rows = []
        for key, zone in self.vocabulary.zones.items():
            area = self[f"area-{key}"].value()
            chosen = bool(self[f"zone-{key}"].value())
            rows.append(
                AskedZone(
                    zone=zone,
                    name=f"zone-{key}",
                    area_name=f"area-{key}",
                    label=zone.label,
                    short=intakes.short_label(zone.label),
                    hint=zone.label.removeprefix(intakes.short_label(zone.label)).strip(" ()"),
                    chosen=chosen,
                    area=str(area) if area or (chosen and self.is_bound) else shown_number(plain_number(zone.area_cm2)),
                    range=f"{plain_number(zone.area_min_cm2)} – {plain_number(zone.area_max_cm2)}",
                    errors=self._errors_at(f"area-{key}"),
                )
            )
        return rows

    def step_of(self, name: str) -> str:
        """The step on which an input stands."""
        kind, _dash, key = name.partition("-")
        if kind in ("fact", "never"):
            return STEP_OF[self.vocabulary.facts[key].section]
        if kind in ("part", "detail"):
            return STEP_OF[self.vocabulary.facts[key.split("-")[0]].section]
        sections = {"concern": "concerns", "zone": "zones", "area": "zones", "note": "note"}
        return STEP_OF[sections.get(kind, "medicines")]

    def first_wrong_step(self) -> str:
        wrong = {self.step_of(name) for name in self.errors if name in self.fields and name != "revision"}
        return next((step.key for step in STEPS if step.key in wrong), "")

    def typical(self, pattern: str) -> list[dict[str, str]]:
        """The zones of a pattern with their planning areas."""
        return [
            {"zone": key, "area_cm2": plain_number(self.vocabulary.zones[key].area_cm2)}
            for key in self.vocabulary.typical_zones.get(pattern, ())
        ]

    def named_medicines(self) -> list[Named]:
        return read_medicines(_lines(self["medicines"].value(), self["medicine_more"].value()))

    def patterns(self) -> list[tuple[str, str, str, str]]:
        """The zones that a pattern usually needs, for this patient: label, zones, pattern, stages of whom."""
        fits = {"male": ("norwood", "diffuse"), "female": ("ludwig", "diffuse")}[self.intake.patient.sex_at_birth]
        return [
            (_pattern_label(pattern), " ".join(zones), pattern, " ".join(self._stages_of(pattern)))
            for pattern, zones in self.vocabulary.typical_zones.items()
            if pattern.startswith(fits)
        ]

    def _stages_of(self, pattern: str) -> list[str]:
        """The answers to the stage questions that a pattern is usual for, as “fact-<key>=<value>”."""
        return [f"fact-{fact}={answer}" for fact, answer in self.vocabulary.typical_stages[pattern]]

    def _errors_at(self, name: str) -> tuple[str, ...]:
        return tuple(str(sentence) for sentence in self.errors.get(name, ()))

    def wrong(self) -> list[tuple[str, str, str]]:
        """Each thing to put right: the anchor of its question, its question, the sentence."""
        labels: dict[str, str] = {f"fact-{fact.key}": intakes.question_of(fact) for fact in self.asked}
        labels |= {f"concern-{key}": concern.label for key, concern in self.vocabulary.concerns.items()}
        labels |= {f"area-{key}": zone.label for key, zone in self.vocabulary.zones.items()}
        for name in ("note", "medicines", "medicine_more", "other_allergies"):
            labels[name] = str(self.fields[name].label)
        return [
            (f"q-{name}", labels[name], sentence)
            for name in self.errors
            if name in labels
            for sentence in self._errors_at(name)
        ]


def _lines(*texts: Any) -> str:
    return "\n".join(str(text) for text in texts if text)


def _pattern_label(pattern: str) -> str:
    scale, _sign, stages = pattern.partition("_")
    if scale == "norwood":
        text = stages.replace("_vertex", " vertex").replace("_", "–")
        named = _("Norwood %(stage)s") % {"stage": text}
        return _(named)  # a single stage has a name of its own in the vocabulary
    return _("Widening parting") if scale == "ludwig" else _("Whole scalp")


def zones_to_draw(rows: Iterable[AskedZone]) -> list[dict[str, Any]]:
    """For the drawing of the scalp; an area that cannot be read is left to the table."""
    drawn = []
    for row in rows:
        try:
            area = typed_number(row.area)
        except ValueError:
            area = None
        drawn.append({"zone": row.zone.key, "area_cm2": area, "selected": row.chosen})
    return drawn
