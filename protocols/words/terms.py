"""The words of one formulary: names of ingredients, rules, zones and units for every sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from mesoclinic.core.numbers import shown_number
from protocols.engine import Formulary
from protocols.engine.canonical import plain_number

TYPES = {
    "integer": gettext_noop("a whole number"),
    "number": gettext_noop("a number"),
    "boolean": gettext_noop("true or false"),
    "text": gettext_noop("a word"),
    "list": gettext_noop("a list"),
    "mapping": gettext_noop("a mapping of names to values"),
    "waiver": gettext_noop("“as” (not_measured or not_applicable) and “reason”"),
}


LIMITS = {
    "max_actives": gettext_noop("the most active ingredients for a session"),
    "syringes": gettext_noop("the most syringes for a session"),
    "volume": gettext_noop("the volume for the treated area"),
    "budget": gettext_noop("the budget"),
    "family": gettext_noop("the limit of its family"),
    "pair": gettext_noop("a pair that must not meet in one session"),
    "small_syringe": gettext_noop("a syringe too small to be worth drawing"),
}


class Words:
    """The labels and messages of one formulary with its vocabulary."""

    def __init__(self, formulary: Formulary) -> None:
        documents = formulary.documents
        vocabulary = documents["vocabulary"]
        self.facts: Mapping[str, Any] = vocabulary["facts"]["facts"]
        self.ingredients = {entry["key"]: entry["name"] for entry in documents["ingredients"]["ingredients"]}
        self.concerns = {entry["key"]: entry["label"] for entry in vocabulary["concerns"]["concerns"]}
        self.evidence_notes = {entry["key"]: entry["evidence_note"] for entry in documents["concerns"]["concerns"]}
        self.zones = {entry["key"]: entry["label"] for entry in vocabulary["zones"]["zones"]}
        self.scales = {entry["key"]: entry["label"] for entry in vocabulary["scales"]["scales"]}
        self.rules = {entry["key"]: entry for entry in documents["screening"]["rules"]}
        self.pairs = {entry["key"]: entry for entry in documents["screening"]["incompatibilities"]}
        self.pair_advice: str = documents["screening"]["default_pair_advice"]
        self.checkpoints = {entry["key"]: entry for entry in documents["course"]["checkpoints"]}
        self.methods = {entry["key"]: entry["label"] for entry in documents["course"]["technique"]["methods"]}
        self.families = {
            "+".join(entry.get("classes") or entry["ingredients"]): entry["reason"]
            for entry in documents["course"]["composition"]["same_family_limit"]
        }

    def ingredient(self, key: str) -> str:
        return _(self.ingredients.get(key, key))

    def ingredient_list(self, keys: Iterable[str]) -> str:
        return ", ".join(self.ingredient(key) for key in keys)

    def concern(self, key: str) -> str:
        return _(self.concerns.get(key, key))

    def question(self, fact: str) -> str:
        return _(self.facts[fact]["question"]) if fact in self.facts else fact

    def fact(self, fact: str) -> str:
        return _(self.facts[fact]["label"]) if fact in self.facts else fact

    def answer(self, fact: str, value: Any) -> str:
        """An answer as people say it."""
        if value is None:
            return _("not answered")
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if isinstance(value, list | tuple):
            return ", ".join(self.answer(fact, item) for item in value) or _("none")
        entry = self.facts.get(fact, {})
        if isinstance(value, str):
            label = (entry.get("values") or {}).get(value)
            if isinstance(label, Mapping):
                label = label["label"]
            if label:
                return _(label)
            if entry.get("values_from") == "ingredients":
                return self.ingredient(value)
        text = shown_number(plain_number(value) if isinstance(value, Decimal) else value)
        return f"{text} {_(entry['unit'])}" if entry.get("unit") else text

    def because(self, reasons: Iterable[Mapping[str, Any]]) -> list[str]:
        return [
            _("%(fact)s: %(answer)s") % {"fact": self.fact(r["fact"]), "answer": self.answer(r["fact"], r["answer"])}
            for r in reasons
        ]

    def rule_message(self, entry: Mapping[str, Any]) -> str:
        """Return what a rule says. One that stands for a concern to be referred first says which by its key alone."""
        rule = self.rules.get(entry["rule"])
        if rule is not None:
            return _(rule["message"])
        kind, _first, concern = entry["rule"].partition("_first_")
        return _RULES_OF_THE_ENGINE[kind](self, {"concern": concern} | entry.get("params", {}))


def _referral_first(words: Words, params: Mapping[str, Any]) -> str:
    return _("%(concern)s: no plan until a specialist's diagnosis has been recorded.") % {
        "concern": words.concern(params["concern"])
    }


def _low_volume(words: Words, params: Mapping[str, Any]) -> str:
    return _(
        "%(total)s mL is less than %(least)s mL for each of %(points)s points: plan at most %(fewer)s points, "
        "or fewer zones."
    ) % {
        "total": shown_number(params["total_ml"]),
        "least": shown_number(params["min_ml_per_point"]),
        "points": params["points"],
        "fewer": params["most_points"],
    }


def _empty_session(words: Words, params: Mapping[str, Any]) -> str:
    return _("Nothing is to be injected in session %(sessions)s: the ingredients need a longer interval.") % {
        "sessions": ", ".join(str(number) for number in params["sessions"])
    }


def _of_syringes(params: Mapping[str, Any]) -> str:
    """Which syringes are meant: “A”, or “A (sessions 2, 3)” where it is not all sessions alike."""
    return ", ".join(
        row["syringe"]
        if 1 in row["sessions"]
        else _("%(syringe)s in session %(sessions)s")
        % {"syringe": row["syringe"], "sessions": ", ".join(str(number) for number in row["sessions"])}
        for row in params["syringes"]
    )


def _ph_outside(words: Words, params: Mapping[str, Any]) -> str:
    return _(
        "Syringe %(syringes)s: the pH that its ingredients need lies outside %(low)s to %(high)s, so that it may "
        "sting. Inject slowly, or leave its ingredients out."
    ) % {
        "syringes": _of_syringes(params),
        "low": shown_number(params["ph_min"]),
        "high": shown_number(params["ph_max"]),
    }


def _osmolality_high(words: Words, params: Mapping[str, Any]) -> str:
    return _(
        "Syringe %(syringes)s: estimated above %(most)s mOsm/kg, so that it may hurt. Lower its concentrated "
        "ingredients to let more diluent in."
    ) % {"syringes": _of_syringes(params), "most": shown_number(params["osmolality_max"])}


def _osmolality_unknown(words: Words, params: Mapping[str, Any]) -> str:
    return _(
        "Syringe %(syringes)s: its osmolality cannot be estimated, as that of an ingredient is unknown. Look at the "
        "product's label."
    ) % {"syringes": _of_syringes(params)}


def _small_syringe(words: Words, params: Mapping[str, Any]) -> str:
    return _("Syringe %(syringes)s would serve fewer than one in ten of the points: consider leaving it undrawn.") % {
        "syringes": _of_syringes(params)
    }


_RULES_OF_THE_ENGINE: dict[str, Callable[[Words, Mapping[str, Any]], str]] = {
    "referral": _referral_first,
    "volume_below_minimum": _low_volume,
    "session_without_mixture": _empty_session,
    "ph_outside_limits": _ph_outside,
    "osmolality_above_limit": _osmolality_high,
    "osmolality_unknown": _osmolality_unknown,
    "small_syringe": _small_syringe,
}


@lru_cache(maxsize=8)
def words_of(formulary: Formulary) -> Words:
    return Words(formulary)
