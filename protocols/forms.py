"""What people type about a formulary or a plan, turned into values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from protocols.catalogue import CLASS_NAMES, GRADE_NAMES, STATUS_NAMES
from protocols.engine.edits import EDIT_FIELDS
from protocols.enums import NOTE_NEEDED, AcknowledgementReason, EditReason, OpenAnswerKind
from protocols.presentation import Question


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
            self.fields[name].choices = options  # type: ignore[attr-defined]

    @property
    def chosen(self) -> dict[str, str]:
        """What is filtered by; a value that is not on offer filters nothing."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class NewVersionForm(forms.Form):
    label = forms.CharField(
        label=_("Name of the version"), max_length=20, help_text=_("For example 2026.1. It stands on every plan.")
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


# ------------------------------------------------------------------ a plan's own fields: one per line, one per question


def edit_from(data: QueryDict) -> tuple[int, dict[str, Any]]:
    """(revision, edit) as the page sends them; a revision that is no number fits no draft."""
    try:
        revision = int(data.get("revision", ""))
    except ValueError:
        revision = -1
    op = data.get("op", "")
    edit: dict[str, Any] = {"op": op}
    for name in EDIT_FIELDS.get(op, ()):
        edit[name] = data.get(name, "").strip()
    if op == "set_volume":
        edit["volume_ml"] = edit["volume_ml"].replace(",", ".")  # as people type it in much of Europe
        if data.get("reason") in EditReason.values:
            edit["reason"] = data["reason"]
    if op == "set_sessions" and edit["sessions"].isdigit():
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
        elif kind and not question.waived:
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
    return text.replace(",", ".") if question.input == "number" else text
