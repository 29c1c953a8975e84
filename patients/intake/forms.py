"""Turn what was typed into a patient's details and an intake's answers. The vocabulary says what an intake asks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
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
from mesoclinic.ui.merging import Decision
from patients.intake import answers as intakes
from patients.intake import groups, measures
from patients.intake.answers import NEVER, UNKNOWN, InvalidAnswers
from patients.intake.asked import (
    DO_NOT_KNOW,
    NO,
    NONE_OF_THESE,
    YES,
    Asked,
    AskedPart,
    AskedSection,
    AskedZone,
    Option,
    as_listed,
    as_typed,
    options_of,
    pattern_label,
    range_of,
)
from patients.intake.groups import NEW, parts_of
from patients.intake.medicines import LENGTH as MEDICINE_LENGTH
from patients.intake.medicines import Named, read_medicines
from patients.intake.steps import STEP_OF, STEPS
from patients.models import Intake
from patients.vocabulary import SEVERITIES, Fact, Part, Scale, Vocabulary
from patients.words import SEVERITY_NAMES

MOST_KEPT, MOST_TICKED = 20_000, 200  # of what is no answer: characters of an input, ticks of a list


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
                    yield f"fact-{fact.key}", as_typed(fact, value)
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
        kind, options = options_of(fact, scale, chosen, in_parts=fact.key in self.parts)
        if kind == "list":
            options += self._values_of(fact, chosen)
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
            range=range_of(fact),
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
            for choice in as_listed(fact)
        )

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
            (pattern_label(pattern), " ".join(zones), pattern, " ".join(self._stages_of(pattern)))
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
