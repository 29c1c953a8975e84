"""The form of “Has anything changed?”, asked before a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients.intake import answers as intakes
from patients.intake import day_checks
from patients.intake.answers import UNKNOWN
from patients.intake.asked import DO_NOT_KNOW, NO, NONE_OF_THESE, YES
from patients.models import Intake, Patient
from patients.vocabulary import Fact


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
