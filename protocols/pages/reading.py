"""One plan opened for reading: its answer in the reader's language, and the words of the formulary it was made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from django.utils.functional import cached_property

from patients.intake.answers import intake_vocabulary, short_label
from patients.vocabulary import Vocabulary
from protocols.engine.answer import Answer, Course
from protocols.formulary.catalogue import Catalogue
from protocols.models import Plan
from protocols.models.enums import EditReason
from protocols.plans.computing import bare_edit, formulary_of, shown_answer
from protocols.words.terms import Words, words_of


@dataclass(frozen=True, kw_only=True)
class UnfitReason:
    """A reason for an edit that was not taken: of which edit, what was typed, and what is wrong with it."""

    edit: Mapping[str, Any]
    reason: str
    note: str
    field: str  # reason | note
    error: str

    @classmethod
    def of(cls, edit: Mapping[str, Any], error: str, *, field: str) -> UnfitReason:
        reason, note = str(edit.get("reason", "")), str(edit.get("note", ""))
        known = reason if reason in EditReason.values else ""
        return cls(edit=bare_edit(edit), reason=known, note=note, field=field, error=error)

    def is_of(self, edit: Mapping[str, Any]) -> bool:
        """Return whether this is the edit, or another volume of the same ingredient."""
        same_volume = edit["op"] == self.edit["op"] == "set_volume"
        return edit == self.edit or (same_volume and edit["ingredient"] == self.edit["ingredient"])


@dataclass(frozen=True, eq=False)
class Reading:
    """A plan with the words for every key of its answer. Nothing that reads it changes the plan.

    ``typed`` is what a refused form held, ``unfit`` a refused reason; ``given`` is the answer to read in the place of
    the stored one, where its sentences were made anew.
    """

    plan: Plan
    typed: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    unfit: UnfitReason | None = field(default=None, kw_only=True)
    given: Mapping[str, Any] | None = field(default=None, kw_only=True)

    @cached_property
    def result(self) -> Answer:
        """The answer with its sentences in the active language."""
        return cast(Answer, shown_answer(self.plan, self.given))

    @property
    def answer(self) -> Answer:
        """The answer as it is stored, or the one given in its place."""
        return cast(Answer, self.plan.result if self.given is None else self.given)

    @property
    def course(self) -> Course:
        """The course of a plan that has one. Raise LookupError for a plan without injections."""
        found = self.answer["course"]
        if found is None:
            raise LookupError("This plan holds no course.")
        return found

    @cached_property
    def contents(self) -> Catalogue:
        return Catalogue(self.plan.formulary)

    @cached_property
    def ids(self) -> dict[str, str]:
        """By ingredient: the public id of its page."""
        rows = self.plan.formulary.entries.values_list("ingredient__key", "ingredient__public_id")
        return {key: str(public_id) for key, public_id in rows}

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return intake_vocabulary(also=self.contents.raw)

    @cached_property
    def words(self) -> Words:
        return words_of(formulary_of(self.plan))

    @cached_property
    def weighed(self) -> dict[str, Mapping[str, Any]]:
        """By ingredient: what each adds, in the mixture or left out; empty in a plan of an older engine."""
        return {row["ingredient"]: row for row in self.result.get("contributions", ())}

    @cached_property
    def ingredients(self) -> list[str]:
        """What is in the mixtures without the diluents, in their order."""
        return [
            line["ingredient"]
            for syringe in self.result["syringes"]
            for line in syringe["lines"]
            if line["role"] != "diluent"
        ]

    def names(self, keys: Iterable[str]) -> str:
        return ", ".join(short_label(self.contents.name(key)) for key in keys)

    def rule_says(self, rule: str) -> str:
        """A rule's sentence; one that the engine makes itself has none before it fires, so its name has to do."""
        if rule in self.words.rules:
            return self.words.rule_message({"rule": rule})
        return rule.replace("_", " ").capitalize()
