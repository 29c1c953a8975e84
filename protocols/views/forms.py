"""What people type about a formulary or a plan, turned into values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.core.validators import MaxValueValidator
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from mesoclinic.core.numbers import TypedDecimalField, read_two_ways, typed_number
from mesoclinic.core.reading import revision_of
from patients.models import NoneOfThese, SettlementOutcome, Statement
from patients.vocabulary import Vocabulary
from protocols.engine.edits import EDIT_FIELDS
from protocols.formulary.words import CLASS_NAMES, GRADE_NAMES, STATUS_NAMES
from protocols.models.enums import NOTE_NEEDED, AcknowledgementReason, OpenAnswerKind, StopReason
from protocols.pages.answers import answers_by_words, fact_of_choice, ingredient_choices, number_choices
from protocols.pages.course import limits as limits_of
from protocols.pages.findings import Question
from protocols.pages.plan import Reader
from protocols.plans.computing import REASONING
from protocols.plans.what_if import Change, checked_facts
from protocols.standing.settling import Meaning, key_of, meant_by, typed_meanings


def _choices_of(form: forms.Form, name: str, options: Any) -> None:
    """Give a field of choices those of this form."""
    cast(forms.ChoiceField, form.fields[name]).choices = options


class CatalogueFilterForm(forms.Form):
    """The filter of the ingredient list; its state is in the address."""

    q = forms.CharField(label=_("Find by name"), required=False, max_length=80)
    kind = forms.ChoiceField(label=_("Class"), required=False)
    concern = forms.ChoiceField(label=_("Concern"), required=False)
    grade = forms.ChoiceField(label=_("Evidence"), required=False)
    status = forms.ChoiceField(label=_("Status"), required=False)

    def __init__(self, *args: Any, concerns: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: dict[str, list[tuple[str, Any]]] = {
            "kind": [("", _("All classes")), *CLASS_NAMES.items()],
            "concern": [("", _("All concerns")), *concerns],
            "grade": [("", _("Any evidence")), *((grade, f"{grade} – {text}") for grade, text in GRADE_NAMES.items())],
            "status": [("", _("Any status")), *STATUS_NAMES.items()],
        }
        for name, options in choices.items():
            _choices_of(self, name, options)

    @property
    def chosen(self) -> dict[str, str]:
        """What is filtered by; a value that is not on offer filters nothing."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class NewVersionForm(forms.Form):
    label = forms.CharField(
        label=_("Name of the version"),
        max_length=20,
        help_text=_("As the release calls it. It stands on every plan."),
    )


class AcknowledgeForm(forms.Form):
    """A caution was read, and why the plan may go on."""

    rule = forms.CharField(widget=forms.HiddenInput, max_length=80)
    reason_code = forms.ChoiceField(
        label=_("Reason"),
        choices=[("", _("Choose a reason…")), *AcknowledgementReason.choices],
        error_messages={"required": _("Choose a reason.")},
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=500)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("reason_code") in NOTE_NEEDED and not data.get("note", "").strip():
            self.add_error("note", _("Say it in a few words."))
        return data


class StopForm(forms.Form):
    """Why a plan is not carried on, and what becomes of its visits."""

    reason_code = forms.ChoiceField(
        label=_("Why"),
        choices=StopReason.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose a reason.")},
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=500)
    visits = forms.ChoiceField(
        label=_("Visits ahead"),
        choices=[
            ("cancel", _("Cancel them and tell the patient")),
            ("keep", _("Keep them, to talk: nothing is injected")),
        ],
        widget=forms.RadioSelect,
        initial="cancel",
        error_messages={"required": _("Choose what becomes of the visits ahead.")},
    )

    def __init__(self, *args: Any, ahead: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["visits"].required = ahead  # nothing said is no “cancel”

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("reason_code") == StopReason.OTHER and not data.get("note", "").strip():
            self.add_error("note", _("Say it in a few words."))
        return data


EMPTY_ANSWERS = 3
MOST_ANSWERS = 20


@dataclass(kw_only=True)
class AnswerRow:
    """One line in which another answer is typed."""

    number: int
    typed: str = ""
    error: str = ""


def _number_in(text: str, choices: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A measured value typed as “question: number”. Raise ValueError for what is neither question nor number."""
    question, _colon, number = text.rpartition(":")
    asked = question.strip().casefold()
    key = next((key for key, label in choices if asked in (label.casefold(), key)), "")
    if not key:
        raise ValueError(_("This answer is not known."))
    value = typed_number(number.strip())
    if not value:
        raise ValueError(_("Write the value."))
    return {key: value}


class SettleForm(forms.Form):
    """What words mean: ticks and typed meanings, or none of these with its reason, or open again."""

    outcome = forms.ChoiceField(
        choices=SettlementOutcome.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose what it means, or “None of these”.")},
    )
    meaning = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    other = forms.CharField(
        label=_("Another medicine, illness or allergy"),
        help_text=_("Its name, brand, ATC code or class. Several are allowed, with “;” between them."),
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"list": "meanings", "autocomplete": "off", "spellcheck": "false"}),
    )
    reason = forms.ChoiceField(
        label=_("Reason"), choices=[("", _("Choose a reason…")), *NoneOfThese.choices], required=False
    )
    note = forms.CharField(label=_("In words"), required=False, max_length=300)

    def __init__(self, *args: Any, statement: Statement, offered: list[Meaning], vocabulary: Vocabulary, **kwargs: Any):
        kwargs["initial"] = {
            "outcome": statement.outcome or (SettlementOutcome.FACT if offered else None),
            "meaning": [key_of(row["fact"], row["value"]) for row in statement.facts],
            "reason": statement.reason if statement.outcome == SettlementOutcome.NONE_OF_THESE else "",
        }
        super().__init__(*args, **kwargs)
        self.statement, self.offered, self.vocabulary = statement, offered, vocabulary
        _choices_of(self, "meaning", [(row.key, row.label) for row in offered])
        if statement.settlement is not None:
            self.fields["note"].label = _("Why it is settled otherwise")
        self.chosen: list[Meaning] = []

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        ticked = set(data.get("meaning") or ())
        self.chosen = [row for row in self.offered if row.key in ticked]
        typed, unread = typed_meanings(data.get("other", ""), vocabulary=self.vocabulary)
        self.chosen += [row for row in typed if row.key not in ticked]
        if data.get("outcome") != SettlementOutcome.FACT:
            if typed or unread:
                self.add_error("other", _("A meaning is written, and another answer is chosen. Keep one."))
            self.chosen = []
        for text in unread if data.get("outcome") == SettlementOutcome.FACT else ():
            near = [row for row in meant_by(text, vocabulary=self.vocabulary) if row not in self.offered]
            self.offered += near
            said = (
                _("“%(text)s” may mean what is now offered above. Tick what it means.")
                if near
                else _("“%(text)s” is not known. Choose it from the list of answers.")
            )
            self.add_error("other", said % {"text": text})
        return data

    @property
    def settlement(self) -> dict[str, Any]:
        """What the action takes."""
        data = self.cleaned_data
        return {
            "outcome": data["outcome"],
            "facts": [{"fact": row.fact, "value": row.value} for row in self.chosen],
            "reason": data["reason"] if data["outcome"] == SettlementOutcome.NONE_OF_THESE else "",
            "note": data["note"],
        }

    def field_of(self, name: str | None) -> str | None:
        """Return the input that a refusal of ``name`` belongs beside."""
        name = "other" if name == "facts" else name
        return name if name in self.fields else None


class WhatIfForm(forms.Form):
    """What is to be otherwise; every field left empty stays as it is in the plan."""

    vegan = forms.ChoiceField(label=_("Vegan only"), required=False)
    alcohol_free = forms.ChoiceField(label=_("Alcohol-free"), required=False)
    stock_of = forms.ChoiceField(label=_("Only so much in stock of"), required=False)
    stock_ml = TypedDecimalField(
        label=_("In stock, mL"), required=False, min_value=0, max_value=1000, decimal_places=2, localize=True
    )
    avoid = forms.ChoiceField(label=_("Leave out"), required=False)
    budget = TypedDecimalField(
        label=_("The course, at most"),
        required=False,
        min_value=0,
        max_value=10_000_000,
        decimal_places=2,
        localize=True,
    )
    max_actives = forms.IntegerField(label=_("Active ingredients, at most"), required=False, min_value=1)
    max_syringes = forms.IntegerField(label=_("Mixtures, at most"), required=False, min_value=1)
    prescription = forms.ChoiceField(label=_("Prescription-only ingredients"), required=False)

    def __init__(self, *args: Any, reader: Reader, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reader = reader
        limits, kept = limits_of(reader), [("", _("as it is"))]
        yes_no = [*kept, ("yes", _("Yes")), ("no", _("No"))]
        choices: dict[str, list[Any]] = {
            "vegan": yes_no,
            "alcohol_free": yes_no,
            "stock_of": [*kept, *ingredient_choices(reader)],
            "avoid": [*kept, *ingredient_choices(reader)],
            "prescription": [*kept, ("yes", _("may be proposed")), ("no", _("not proposed"))],
        }
        for name, options in choices.items():
            _choices_of(self, name, options)
        cost = reader.result["cost"]
        currency = (cost["currency"] if cost else "") or _("cost units")
        self.fields["budget"].label = format_lazy("{} ({})", self.fields["budget"].label, currency)
        for name, most in (("max_actives", "actives"), ("max_syringes", "syringes")):
            field = cast(forms.IntegerField, self.fields[name])
            field.max_value = int(limits[most])
            field.validators.append(MaxValueValidator(int(limits[most])))
            field.widget.attrs |= {"max": limits[most], "placeholder": limits[most]}

    @cached_property
    def answers(self) -> list[AnswerRow]:
        """The lines in which answers are typed, as they came; some empty ones after them."""
        data = self.data
        typed = data.getlist("answer") if isinstance(data, QueryDict) else []
        filled = [text.strip()[:300] for text in typed if text.strip()][:MOST_ANSWERS]
        empty = max(EMPTY_ANSWERS - len(filled), 1)
        return [AnswerRow(number=n, typed=text) for n, text in enumerate([*filled, *[""] * empty], start=1)]

    def _changed_facts(self) -> dict[str, Any]:
        """The facts by the lines; what cannot be understood is said beside its line."""
        words = {text.casefold(): value for text, value in answers_by_words(self.reader).items()}
        values = set(words.values())
        numbers = number_choices(self.reader)
        facts: dict[str, Any] = {}
        for row in self.answers:
            if not row.typed:
                continue
            choice = row.typed if row.typed in values else words.get(" ".join(row.typed.split()).casefold(), "")
            try:
                if choice:
                    facts |= fact_of_choice(self.reader, choice, facts)
                else:
                    facts |= _number_in(row.typed, numbers)
            except ValueError as refusal:
                row.error = str(refusal)
                near = difflib.get_close_matches(row.typed.casefold(), words, n=3, cutoff=0.4)
                shown = [text for text in answers_by_words(self.reader) if text.casefold() in near]
                if shown and not row.typed.rpartition(":")[2].strip()[:1].isdigit():
                    row.error += " " + _("Did you mean %(words)s?") % {"words": "; ".join(shown)}
        return facts

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for one, other, words in (("stock_of", "stock_ml", _("Write how much there is.")),):
            if data.get(one) and data.get(other) in (None, "") and other not in self.errors:
                self.add_error(other, words)
            elif data.get(other) not in (None, "") and not data.get(one) and one not in self.errors:
                self.add_error(one, _("Choose which."))
        data["facts"] = self._changed_facts()
        if any(row.error for row in self.answers):
            self.add_error(None, _("An answer was not understood; see beside it."))
        return data

    @property
    def change(self) -> Change:
        """What was chosen. Raises InvalidInput for an answer that its question does not take."""
        data = self.cleaned_data
        facts: dict[str, Any] = dict(data["facts"])
        for name, fact in (("vegan", "vegan_preference"), ("alcohol_free", "alcohol_free")):
            if data[name]:
                facts[fact] = data[name] == "yes"
        policy: dict[str, Any] = {key: data[key] for key in ("max_actives", "max_syringes") if data[key]}
        if data["prescription"]:
            policy["allow_prescription"] = data["prescription"] == "yes"
        if data["avoid"]:
            policy["avoid"] = [data["avoid"]]
        return Change(
            facts=checked_facts(facts, self.reader.vocabulary),
            stock={data["stock_of"]: str(data["stock_ml"])} if data["stock_of"] else {},
            policy=policy,
        )


# ------------------------------------------------------------------ a plan's own fields: one per line, one per question


def edit_from(data: QueryDict) -> tuple[int, dict[str, Any]]:
    """(revision, edit) as the page sends them, its reason with it; a revision that is no number fits no draft."""
    revision = revision_of(data)
    op = data.get("op", "")
    edit: dict[str, Any] = {"op": op}
    for name in EDIT_FIELDS.get(op, ()):
        edit[name] = data.get(name, "").strip()
    if op == "set_volume":
        edit["volume_ml"] = _as_stored(edit["volume_ml"])
    edit |= {name: text for name in REASONING if (text := data.get(name, "").strip())}
    if op == "set_sessions" and edit["sessions"].isascii() and edit["sessions"].isdigit():
        edit["sessions"] = int(edit["sessions"])
    return revision, edit


def read_answers(data: QueryDict, questions: Iterable[Question]) -> list[dict[str, Any]]:
    """What was typed for each open question; with ``settle`` those left empty carry the one reason instead."""
    kind, reason = data.get("settle", ""), data.get("reason", "")
    answers: list[dict[str, Any]] = []
    for question in questions:
        value = _typed(data, question)
        if value is not None:
            answers.append({"fact": question.fact, "kind": OpenAnswerKind.ANSWERED, "value": value})
        elif kind and not question.waived and not question.given:
            answers.append({"fact": question.fact, "kind": kind, "reason": reason})
    return answers


def _typed(data: QueryDict, question: Question) -> Any:
    name = f"value-{question.fact}"
    if question.input == "list":
        chosen = data.getlist(name)
        return [item for item in chosen if item] if chosen else None
    text = data.get(name, "").strip()
    if not text:
        return None
    if question.input == "boolean":
        return {"yes": True, "no": False}.get(text, text)
    if question.input != "number":
        return text
    unit = data.get(f"unit-{question.fact}")  # absent where a value has one unit only
    return _as_stored(text) if unit is None else {"value": _as_stored(text), "unit": unit}


def two_ways(data: QueryDict, questions: Iterable[Question]) -> dict[str, str]:
    """The answers in numbers that could be read in two ways, each with its sentence."""
    said = {
        question.fact: read_two_ways(data.get(f"value-{question.fact}", ""))
        for question in questions
        if question.input == "number"
    }
    return {fact: sentence for fact, sentence in said.items() if sentence}


def _as_stored(text: str) -> str:
    """A number in its one spelling; other text as it was typed, for the refusal beside it."""
    try:
        return typed_number(text) or ""
    except ValueError:
        return text


class CautionForm(forms.Form):
    """Why a plan may go on although a caution came up after it was signed."""

    key = forms.CharField(max_length=400, widget=forms.HiddenInput)
    reason_code = forms.ChoiceField(label=_("Why it may go on"), choices=AcknowledgementReason.choices)
    note = forms.CharField(label=_("In words"), required=False, max_length=500)
