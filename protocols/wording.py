"""Sentences, made from the engine's codes and parameters, in the language that is active.

The engine never makes a sentence. Texts that are data (messages of rules, labels) are looked up in the catalogue of
translations as they stand; where it lacks one, the English of the formulary is shown.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from mesoclinic.core.numbers import shown_number
from protocols.engine import Fault, Formulary
from protocols.engine.canonical import plain
from protocols.engine.edits import Refusal
from protocols.formulary.words import DIRECTION_NAMES, GRADE_NAMES, cost_line_words

WEB_ARTICLE_ONLY = gettext_noop("Rests on the web article alone: no independent source supports it.")
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
        text = shown_number(plain(value) if isinstance(value, Decimal) else value)
        return f"{text} {_(entry['unit'])}" if entry.get("unit") else text

    def because(self, reasons: Iterable[Mapping[str, Any]]) -> list[str]:
        return [
            _("%(fact)s: %(answer)s") % {"fact": self.fact(r["fact"]), "answer": self.answer(r["fact"], r["answer"])}
            for r in reasons
        ]

    def rule_message(self, entry: Mapping[str, Any]) -> str:
        rule = self.rules.get(entry["rule"])
        if rule is not None:
            return _(rule["message"])
        params = entry.get("params", {})
        return _RULES_OF_THE_ENGINE[entry["rule"].split("_first_")[0]](self, params)


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


# ---------------------------------------------------------------------- the answer
def render(answer: Mapping[str, Any], formulary: Formulary) -> dict[str, Any]:
    """The answer with its sentences beside the codes. Nothing the engine said is altered: it can still be verified."""
    words = words_of(formulary)
    said = copy.deepcopy(dict(answer))
    for row in said["missing"]:
        row["question"], row["label"] = words.question(row["fact"]), words.fact(row["fact"])
    for row in said["open_questions"]:
        row["question"], row["label"] = words.question(row["fact"]), words.fact(row["fact"])
    for group in ("blocks", "cautions", "infos"):
        for row in said[group]:
            rule = words.rules.get(row["rule"], {})
            row["message"] = words.rule_message(row)
            row["until"] = _until(row, rule)
            row["rationale"] = _(rule["rationale"]) if rule.get("rationale") else ""
            row["because_text"] = words.because(row["because"])
    for row in said["excluded_by_rule"]:
        row["message"] = words.rule_message(row)
        row["because_text"] = words.because(row["because"])
    for row in said["referrals"]:
        row["to_label"], row["urgency_label"] = _(row["to"]), _(row["urgency"])
    for row in said["concerns"]:
        row["label"] = words.concern(row["concern"])
        row["evidence_note"] = _(words.evidence_notes.get(row["concern"], ""))
    for row in said["zones"]:
        row["label"] = _(words.zones.get(row["zone"], row["zone"]))
    for row in said["requirements"]:
        row["sentence"] = _requirement(row, words)
    _say_syringes(said["syringes"], words)
    for session in said["sessions"]:
        _say_syringes(session["syringes"], words)
    weighed = {row["ingredient"]: row for row in said["contributions"]}
    for row in said["contributions"]:
        row |= contribution_words(row, words, said["cost"]["currency"])
    for row in said["left_out"]:
        row["reason"] = left_out_reason(row, words, weighed.get(row["ingredient"]))
    for row in said["alternatives"]:
        for trade in row["trades"]:
            trade["text"] = _trade(trade, words)
        for reason in row["review"]["because"] if row["review"] else ():
            reason["text"] = _waits_because(reason, words)
        row["names"] = [words.ingredient(key) for key in row["ingredients"]]
        row["summary"] = "; ".join(trade["text"] for trade in row["trades"])
    if said["course"]:
        course = said["course"]
        course["technique_label"] = _(words.methods.get(course["technique"], course["technique"]))
        for row in course["checkpoints"]:
            row["purpose"] = _(words.checkpoints[row["key"]]["purpose"])
    if said["cost"]:
        for row in said["cost"]["lines"]:
            row["label"] = cost_line_words(row)
    said["advice"] = [_(words.pair_advice)] if said["syringes"] else []
    said["summary"] = _summary(said)
    return said


def _until(row: Mapping[str, Any], rule: Mapping[str, Any]) -> str | None:
    if rule.get("until"):
        return _(rule["until"])
    return _("Diagnosis by a specialist recorded.") if row["postponed"] and not rule else None


def _say_syringes(syringes: list[dict[str, Any]], words: Words) -> None:
    for syringe in syringes:
        for row in syringe["use_immediately"]:
            row["message"] = _("Draw up last and inject within 15 minutes: %(why)s") % {
                "why": _(words.pairs[row["pair"]]["rationale"])
            }
        for line in syringe["lines"]:
            line["label"] = words.ingredient(line["ingredient"])
            for address in line["addresses"]:
                address["label"] = words.concern(address["concern"])
                address["grade_label"] = str(GRADE_NAMES[address["evidence_grade"]])
                address["direction_label"] = str(DIRECTION_NAMES[address["direction"]])
                address["notice"] = _(WEB_ARTICLE_ONLY) if address["web_article_only"] else ""
            line["reason"] = _line_reason(line, words)


def _line_reason(line: Mapping[str, Any], words: Words) -> str:
    if line["role"] == "diluent":
        return _("Diluent, to reach the volume for the treated area.")
    parts = []
    if line["required_by"]:
        concerns = ", ".join(words.concern(key) for key in line["required_by"])
        parts.append(_("First choice for %(concerns)s.") % {"concerns": concerns})
    for row in line["stands_in_for"]:
        parts.append(
            _("Stands in for %(ingredient)s, the first choice for %(concern)s.")
            % {"ingredient": words.ingredient(row["ingredient"]), "concern": words.concern(row["concern"])}
        )
    if not parts:
        concerns = ", ".join(words.concern(row["concern"]) for row in line["addresses"])
        parts.append(_("Adds value for %(concerns)s.") % {"concerns": concerns})
    return " ".join(parts)


def _requirement(row: Mapping[str, Any], words: Words) -> str:
    params = {
        "concern": words.concern(row["concern"]),
        "first": words.ingredient(row["first_choice"]),
        "ingredient": words.ingredient(row["ingredient"]) if row["ingredient"] else "",
        "limit": _(LIMITS[row["limit"]]) if row["limit"] else "",
    }
    if row["state"] == "met":
        return _("%(first)s is the first choice for %(concern)s.") % params
    if row["state"] == "substituted":
        return _("%(ingredient)s stands in for %(first)s for %(concern)s.") % params
    if row["state"] == "no_substitute":
        return _("%(first)s is left out for %(concern)s and nothing can stand in for it.") % params
    if row["state"] == "could_return" or (row["state"] == "gave_way" and not row["limit"]):
        return _("%(ingredient)s, wanted for %(concern)s, would fit now; add it.") % params
    if row["state"] == "gave_way":
        return _("%(ingredient)s, wanted for %(concern)s, gave way to %(limit)s.") % params
    if row["state"] == "removed":
        return _("%(ingredient)s, wanted for %(concern)s, was removed by hand.") % params
    return _("%(first)s: there is no plan.") % params


def left_out_reason(row: Mapping[str, Any], words: Words, weighed: Mapping[str, Any] | None = None) -> str:
    """One plain sentence: why an active ingredient is in no syringe. ``weighed`` is its row among the contributions."""
    code, params = row["reason_code"], row["params"]
    if code == "screened":
        rule = params["rules"][0]
        return _("Screened out: %(message)s (%(because)s)") % {
            "message": words.rule_message(rule),
            "because": "; ".join(words.because(rule["because"])),
        }
    if code == "family_limit":
        return _("Not together with %(kept)s: %(reason)s") % {
            "kept": words.ingredient_list(params["kept"]),
            "reason": _(words.families.get(params["family"], "")),
        }
    if code == "pair":
        return _("Must not meet %(other)s in one session: %(why)s") % {
            "other": words.ingredient(params["with"]),
            "why": _(words.pairs[params["pair"]]["rationale"]),
        }
    if code == "displaced":
        return _("Displaced by %(by)s: it would exceed %(limit)s.") % {
            "by": words.ingredient_list(params["by"]),
            "limit": _(LIMITS[params["limit"]]),
        }
    if code == "small_syringe":
        return _(
            "Left out: the syringe with %(names)s would hold %(volume)s of %(total)s mL and serve %(points)s of "
            "%(of_points)s points. Nobody draws a syringe for so few."
        ) % {
            "names": words.ingredient_list(params["syringe"]),
            "volume": shown_number(params["volume_ml"]),
            "total": shown_number(params["total_ml"]),
            "points": params["points"],
            "of_points": params["of_points"],
        }
    if weighed is not None:
        return _weighed_out(code, weighed)
    if code in ("adds_too_little", "not_chosen", "removed_by_hand"):
        return _too_little(code, params)
    return _PLAIN_REASONS[code](params)


def _weighed_out(code: str, row: Mapping[str, Any]) -> str:
    """Why an ingredient that could serve is left out, in words; its figures stand beside it."""
    adds = _(WOULD_ADD[row["adds"]])
    if code == "removed_by_hand":
        return _("Removed by hand. %(adds)s") % {"adds": adds}
    if code == "not_chosen":
        return _("%(adds)s Left out since the mixture was edited by hand.") % {"adds": adds}
    if row["limit"]:
        return _("%(adds)s There is no room for it: %(limit)s.") % {"adds": adds, "limit": _(LIMITS[row["limit"]])}
    burden = _burden(row)
    if burden:
        return _("%(adds)s That is less than it brings with it: %(burden)s.") % {"adds": adds, "burden": burden}
    return _("%(adds)s That is less than one more ingredient has to earn.") % {"adds": adds}


def _burden(row: Mapping[str, Any]) -> str:
    """What an ingredient brings with it besides itself."""
    needed = row["needed_for"]
    parts = []
    if needed["mixtures"]:
        parts.append(
            ngettext("%(n)s further mixture", "%(n)s further mixtures", needed["mixtures"]) % {"n": needed["mixtures"]}
        )
    if needed["cautions"]:
        parts.append(
            ngettext("%(n)s further caution", "%(n)s further cautions", needed["cautions"]) % {"n": needed["cautions"]}
        )
    return _(" and ").join(parts)


WOULD_ADD = {
    "much": gettext_noop("Would add much."),
    "some": gettext_noop("Would add some."),
    "little": gettext_noop("Would add little."),
}
ADDS = {
    "much": gettext_noop("Adds much."),
    "some": gettext_noop("Adds some."),
    "little": gettext_noop("Adds little."),
}
SERVED_LESS = {
    "much": gettext_noop("%(concern)s is served much less"),
    "some": gettext_noop("%(concern)s is served less"),
    "little": gettext_noop("%(concern)s is served a little less"),
}
DECIDED_BY = {
    "first_choice": gettext_noop("the first choices of the formulary"),
    "stands_in": gettext_noop("the substitutes of the formulary"),
    "value": gettext_noop("the weights of the selection"),
    "by_hand": gettext_noop("an edit by hand"),
    "kept": gettext_noop("the proposal, before the edits by hand"),
    "limit": gettext_noop("a limit"),
}


def contribution_words(row: Mapping[str, Any], words: Words, currency: str | None) -> dict[str, str]:
    """Say why an ingredient is in, what leaving it out would lose and save, and the figures with their rule."""
    said = {"text": _why_held(row, words) if row["held"] else "", "loses": "", "saves": ""}
    if row["held"]:
        lost = [_(SERVED_LESS[each["much"]]) % {"concern": words.concern(each["concern"])} for each in row["serves"]]
        if row["first_choice_of"]:
            named = ", ".join(words.concern(key) for key in row["first_choice_of"])
            lost.append(_("%(concerns)s loses its first choice or who stands in for it") % {"concerns": named})
        price = _price({"amount": row["price"], "currency": currency})
        saved = [part for part in (price, _burden_saved(row)) if part]
        said["loses"] = "; ".join(lost)
        said["saves"] = "; ".join(saved)
    figures = {"gross": shown_number(row["gross"]), "needed": shown_number(row["needed"])}
    rule = _(DECIDED_BY[row["decided_by"]])
    sentence = (
        _("Adds %(gross)s, has to earn %(needed)s. Decided by %(rule)s.")
        if row["held"]
        else _("Would add %(gross)s, would have to earn %(needed)s. Decided by %(rule)s.")
    )
    said["figures"] = sentence % {**figures, "rule": rule}
    return said


def _why_held(row: Mapping[str, Any], words: Words) -> str:
    """Why it is in, and how much it adds, as a clinician would say it."""
    adds = _(ADDS[row["adds"]])
    pays = Decimal(row["gross"]) >= Decimal(row["needed"])
    concerns = ", ".join(words.concern(key) for key in row["first_choice_of"])
    if row["decided_by"] == "first_choice":
        if pays:
            return _("First choice for %(concerns)s. %(adds)s") % {"concerns": concerns, "adds": adds}
        return _("First choice for %(concerns)s, and in for that alone. %(adds)s") % {
            "concerns": concerns,
            "adds": adds,
        }
    if row["decided_by"] == "stands_in":
        return _("Stands in for a first choice for %(concerns)s. %(adds)s") % {"concerns": concerns, "adds": adds}
    if row["decided_by"] == "by_hand":
        return _("Added by hand. %(adds)s") % {"adds": adds}
    if row["decided_by"] == "kept":
        return _("In as proposed; since the edits by hand it earns less than its place. %(adds)s") % {"adds": adds}
    served = ", ".join(words.concern(each["concern"]) for each in row["serves"])
    return _("Supports %(concerns)s. %(adds)s") % {"concerns": served, "adds": adds}


def _burden_saved(row: Mapping[str, Any]) -> str:
    needed, parts = row["needed_for"], []
    if needed["mixtures"]:
        parts.append(ngettext("%(n)s mixture", "%(n)s mixtures", needed["mixtures"]) % {"n": needed["mixtures"]})
    if needed["cautions"]:
        parts.append(ngettext("%(n)s caution", "%(n)s cautions", needed["cautions"]) % {"n": needed["cautions"]})
    return ", ".join(parts)


def _waits_because(reason: Mapping[str, Any], words: Words) -> str:
    """Why waiting stands first."""
    if reason["code"] == "settles_by_itself":
        concerns = ", ".join(words.concern(key) for key in reason["params"]["concerns"])
        return _("%(concerns)s: this usually settles by itself.") % {"concerns": concerns}
    if reason["code"] == "no_mixture":
        return _("No ingredient is of use here.")
    return _("The mixture takes more (ingredients, cautions, mixtures) than it is likely to give.")


def waiting_reasons(answer: Mapping[str, Any], formulary: Formulary) -> list[str]:
    """Return what speaks for waiting in an answer, in sentences; empty where nothing puts it first."""
    words = words_of(formulary)
    reviews = [row["review"] for row in answer["alternatives"] if row.get("kind") == "waiting"]
    return [_waits_because(reason, words) for review in reviews for reason in review["because"]]


def waiting_title(days: int) -> str:
    """The alternative of waiting, named with its review in whole weeks."""
    weeks = days // 7
    return ngettext("No injections now, review in %(n)s week", "No injections now, review in %(n)s weeks", weeks) % {
        "n": weeks
    }


def _too_little(code: str, params: Mapping[str, Any]) -> str:
    amounts = {"gross": shown_number(params["gross"]), "needed": shown_number(params["needed"])}
    if code == "removed_by_hand":
        return _("Removed by hand; it would add %(gross)s, an ingredient has to earn %(needed)s here.") % amounts
    if code == "not_chosen":
        return _("Not chosen by hand although it would add %(gross)s for the %(needed)s it has to earn.") % amounts
    if params["syringes_more"] > 0:
        return _("Would add %(gross)s but need another syringe; it has to earn %(needed)s.") % amounts
    return _("Adds too little: %(gross)s, where an ingredient has to earn %(needed)s.") % amounts


_PLAIN_REASONS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "no_plan": lambda p: _("No plan can be made at present."),
    "prescription_only": lambda p: _("Prescription only, which the policy does not allow."),
    "preference": lambda p: _("Left out by preference."),
    "not_drawable": lambda p: _("No volume between its minimum and its maximum can be drawn."),
    "no_stock": lambda p: (
        _("Not enough in stock: %(available)s mL of at least %(needed)s mL.")
        % {"available": shown_number(p["available_ml"]), "needed": shown_number(p["needed_ml"])}
    ),
    "no_volume": lambda p: (
        _("Its minimum of %(needed)s mL is more than the area takes (%(target)s mL).")
        % {"needed": shown_number(p["needed_ml"]), "target": shown_number(p["target_ml"])}
    ),
    "serves_no_concern": lambda p: _("Serves none of the concerns."),
    "diluent_not_needed": lambda p: _("No diluent is needed."),
    "diluent_for_reconstitution": lambda p: _("For reconstitution only, not to top up a syringe."),
}


def adds_words(row: Mapping[str, Any]) -> str:
    """How much an ingredient adds: much, some or little."""
    return _(ADDS[row["adds"]])


def trade_words(trade: Mapping[str, Any], words: Words) -> str:
    """A trade of an alternative as a clinician would say it: without the figures of the ranking."""
    if trade["code"] in ("serves_more", "serves_less"):
        text = _("serves %(concern)s more") if trade["code"] == "serves_more" else _("serves %(concern)s less")
        return text % {"concern": words.concern(trade["params"]["concern"])}
    return _trade(trade, words)


def _trade(trade: Mapping[str, Any], words: Words) -> str:
    p = trade["params"]
    texts: dict[str, Callable[[], str]] = {
        "without": lambda: _("without %(ingredient)s") % {"ingredient": words.ingredient(p["ingredient"])},
        "with": lambda: _("with %(ingredient)s") % {"ingredient": words.ingredient(p["ingredient"])},
        "serves_more": lambda: (
            _("serves %(concern)s more (+%(value)s)")
            % {"concern": words.concern(p["concern"]), "value": shown_number(p["value"])}
        ),
        "serves_less": lambda: (
            _("serves %(concern)s less (−%(value)s)")
            % {"concern": words.concern(p["concern"]), "value": shown_number(p["value"])}
        ),
        "gives_up_requirement": lambda: (
            _("gives up %(ingredient)s, wanted for %(concern)s")
            % {"ingredient": words.ingredient(p["ingredient"]), "concern": words.concern(p["concern"])}
        ),
        "more_syringes": lambda: ngettext("%(count)s syringe more", "%(count)s syringes more", p["count"]) % p,
        "fewer_syringes": lambda: ngettext("%(count)s syringe fewer", "%(count)s syringes fewer", p["count"]) % p,
        "more_cautions": lambda: ngettext("%(count)s caution more", "%(count)s cautions more", p["count"]) % p,
        "fewer_cautions": lambda: ngettext("%(count)s caution fewer", "%(count)s cautions fewer", p["count"]) % p,
        "nothing_injected": lambda: _("nothing is injected"),
        "dearer": lambda: _("%(price)s more for the course") % {"price": _price(p)},
        "cheaper": lambda: _("%(price)s less for the course") % {"price": _price(p)},
    }
    return texts[trade["code"]]()


def _price(params: Mapping[str, Any]) -> str:
    amount = formats.number_format(Decimal(params["amount"]), 2)
    return f"{amount} {params['currency']}" if params["currency"] else _("%(amount)s cost units") % {"amount": amount}


def _summary(said: Mapping[str, Any]) -> str:
    if said["status"] == "incomplete":
        return ngettext(
            "%(count)s answer is missing before a plan can be proposed.",
            "%(count)s answers are missing before a plan can be proposed.",
            len(said["missing"]),
        ) % {"count": len(said["missing"])}
    if said["status"] == "waiting":
        return waiting_title(said["waiting"]["days"]) + "."
    if said["status"] == "blocked":
        return _("No plan: %(reasons)s") % {"reasons": " ".join(row["message"] for row in said["blocks"])}
    if not said["syringes"]:
        return _("No ingredient is of use here: no mixture is proposed. Waiting is, with a review.")
    return _(
        "A proposal for a practitioner to review: %(actives)s ingredients, %(volume)s mL, %(sessions)s sessions. "
        "Nothing is final until the cautions are acknowledged and the plan is signed."
    ) % {
        "actives": sum(1 for syringe in said["syringes"] for line in syringe["lines"] if line["role"] != "diluent"),
        "volume": shown_number(said["total_volume_ml"]),
        "sessions": said["course"]["sessions"],
    }


# ---------------------------------------------------------------------- what if
def explain_change(change: Mapping[str, Any], formulary: Formulary) -> str:
    words, code, p = words_of(formulary), change["code"], change["params"]
    if code.startswith("ingredient_") or code in ("volume_changed", "reason_changed"):
        name = words.ingredient(p["ingredient"])
        if code == "ingredient_gone":
            return _("%(name)s is no longer in the mixture.") % {"name": name}
        if code == "ingredient_new":
            return _("%(name)s is new in the mixture (%(volume)s mL).") % {
                "name": name,
                "volume": shown_number(p["volume_ml"]),
            }
        if code == "reason_changed":
            return _("%(name)s is left out for another reason.") % {"name": name}
        volumes = {"old": shown_number(p["old"]), "new": shown_number(p["new"])}
        return _("%(name)s: %(new)s mL instead of %(old)s mL.") % {"name": name, **volumes}
    if code.startswith("question_"):
        texts = {"question_settled": _("No longer asked: %(q)s"), "question_new": _("Now asked: %(q)s")}
        return texts[code] % {"q": words.question(p["fact"])}
    if code.endswith(("_gone", "_new")):
        text = _("No longer: %(message)s") if code.endswith("_gone") else _("New: %(message)s")
        return text % {"message": words.rule_message(p)}
    label = _(CHANGES.get(code, code))
    return _("%(what)s: %(new)s instead of %(old)s.") % {
        "what": label,
        "old": _shown(p["old"]),
        "new": _shown(p["new"]),
    }


CHANGES = {
    "status_changed": gettext_noop("Status"),
    "severity_changed": gettext_noop("Severity"),
    "area_cm2_changed": gettext_noop("Treated area in cm²"),
    "target_volume_ml_changed": gettext_noop("Target volume in mL"),
    "total_volume_ml_changed": gettext_noop("Volume in mL"),
    "value_changed": gettext_noop("Value"),
    "formulary_version_changed": gettext_noop("Formulary version"),
    "syringes_changed": gettext_noop("Syringes"),
    "sessions_changed": gettext_noop("Sessions"),
    "offsets_days_changed": gettext_noop("Days of the sessions"),
    "span_days_changed": gettext_noop("Span of the course in days"),
    "duration_minutes_changed": gettext_noop("Minutes of injecting"),
    "points_changed": gettext_noop("Injection points"),
    "technique_changed": gettext_noop("Technique"),
    "min_gap_days_changed": gettext_noop("Shortest interval in days"),
    "max_gap_days_changed": gettext_noop("Longest interval in days"),
    "cost_changed": gettext_noop("Estimated cost"),
}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(shown_number(item) for item in value)
    return "–" if value is None else _(shown_number(value))


# ---------------------------------------------------------------------- faults and refusals
def explain_fault(fault: Fault) -> str:
    """One line: the field, what is wrong with it, and the nearest known words."""
    return f"{fault.path}: {fault_message(fault)}"


def fault_message(fault: Fault) -> str:
    """What is wrong, without the field: for a message beside it."""
    params = {key: shown_number(value) for key, value in fault.params.items()}
    template = FAULTS.get(fault.code)
    text = (
        _(template)
        % {
            **{"value": "", "minimum": "", "maximum": ""},
            **params,
            "expected": _(TYPES.get(params.get("expected", ""), params.get("expected", ""))),
        }
        if template
        else fault.code
    )
    if template and params.get("value") and "%(value)s" not in template:
        text += " " + _("(given: %(value)s)") % params
    if fault.suggestions:
        text += " " + _("Did you mean %(words)s?") % {"words": ", ".join(fault.suggestions)}
    return " ".join(text.split())


FAULTS = {
    "required": gettext_noop("This is needed."),
    "empty": gettext_noop("At least one entry is needed."),
    "wrong_type": gettext_noop("Expected %(expected)s."),
    "not_finite": gettext_noop("Expected a finite number."),
    "out_of_range": gettext_noop("Must lie between %(minimum)s and %(maximum)s."),
    "too_precise": gettext_noop("At most %(maximum)s decimal places."),
    "too_long": gettext_noop("Too many entries; at most %(maximum)s."),
    "unknown_key": gettext_noop("This name is not known."),
    "unknown_fact": gettext_noop("This question is not known."),
    "unknown_value": gettext_noop("“%(value)s” is not known."),
    "unknown_ingredient": gettext_noop("This ingredient is not known."),
    "duplicate": gettext_noop("“%(value)s” is given twice."),
    "contradiction": gettext_noop("“%(value)s” is switched on and off at once."),
    "total_area_out_of_range": gettext_noop(
        "The treated area of %(value)s cm² must lie between %(minimum)s and %(maximum)s cm²."
    ),
    "answered_and_waived": gettext_noop("This question is answered and waived at once."),
    "bad_text": gettext_noop("This text holds characters that cannot be kept."),
    "bad_currency": gettext_noop("“%(value)s” is no currency code of three capital letters."),
    "bad_document": gettext_noop("The file cannot be read: %(value)s"),
}


def explain_refusal(refusal: Refusal, formulary: Formulary) -> str:
    """Why an edit by hand was refused: the limit, its rule and its source."""
    words, params = words_of(formulary), refusal.params
    values = {
        key: shown_number(plain(value) if isinstance(value, Decimal) else value)
        if isinstance(value, Decimal | str)
        else value
        for key, value in params.items()
    }
    values["name"] = words.ingredient(params["ingredient"]) if "ingredient" in params else ""
    values["other"] = words.ingredient(params["with"]) if "with" in params else ""
    values["syringe_names"] = words.ingredient_list(params.get("syringe", ()))
    values["kept_names"] = words.ingredient_list(params.get("kept", ()))
    if refusal.code == "screened":
        values["message"] = " ".join(words.rule_message({"rule": rule}) for rule in params["rules"])
    for key in ("expected", "known"):
        if isinstance(values.get(key), list):
            values[key] = ", ".join(values[key])
    if refusal.code == "wrong_type":
        values["expected"] = _(TYPES.get(str(params.get("expected")), str(params.get("expected"))))
    text = _(REFUSALS.get(refusal.code, refusal.code)) % values
    if params.get("suggestions"):
        text += " " + _("Did you mean %(words)s?") % {"words": ", ".join(params["suggestions"])}
    return text


REFUSALS = {
    "no_plan": gettext_noop("There is no plan to edit."),
    "wrong_type": gettext_noop("Expected %(expected)s."),
    "wrong_fields": gettext_noop("This edit takes: %(expected)s."),
    "unknown_edit": gettext_noop("“%(value)s” is not a known edit."),
    "unknown_ingredient": gettext_noop("“%(value)s” is not a known ingredient."),
    "unknown_schedule": gettext_noop("“%(value)s” is not one of the schedules: %(known)s."),
    "diluent_follows": gettext_noop("%(name)s tops up by itself to the volume for the area."),
    "not_in_mixture": gettext_noop("%(name)s is not in the mixture."),
    "already_in_mixture": gettext_noop("%(name)s is in the mixture already."),
    "not_active": gettext_noop("%(name)s is not switched on in this clinic's formulary."),
    "screened": gettext_noop("%(name)s is screened out: %(message)s"),
    "prescription_only": gettext_noop("%(name)s is prescription only, which the policy does not allow."),
    "preference": gettext_noop("%(name)s is left out by preference."),
    "not_drawable": gettext_noop("%(name)s: volumes are drawn in steps of 0.05 mL."),
    "no_stock": gettext_noop("%(name)s: not enough in stock (%(available_ml)s mL)."),
    "no_volume": gettext_noop("%(name)s: its minimum of %(needed_ml)s mL is more than the area takes."),
    "serves_no_concern": gettext_noop("%(name)s serves none of the concerns."),
    "pair": gettext_noop("%(name)s must not meet %(other)s in one session."),
    "family": gettext_noop("%(name)s is of one family with %(kept_names)s; at most %(maximum)s of it."),
    "max_actives": gettext_noop("At most %(maximum)s active ingredients in a session."),
    "syringes": gettext_noop("%(name)s would need more than %(maximum)s syringes."),
    "small_syringe": gettext_noop(
        "The syringe with %(syringe_names)s would hold %(volume_ml)s of %(total_ml)s mL and serve %(points)s of "
        "%(of_points)s points: too few to be worth drawing. Take these out as well, or change them first."
    ),
    "volume": gettext_noop("The minimum volumes would exceed the %(target_ml)s mL for the area."),
    "budget": gettext_noop("The ingredients would exceed the budget of %(maximum)s."),
    "not_a_volume": gettext_noop("“%(value)s” is not a volume in mL."),
    "volume_below_min": gettext_noop("%(name)s: at least %(limit_ml)s mL (%(rule)s)."),
    "volume_above_max": gettext_noop("%(name)s: at most %(limit_ml)s mL (%(rule)s)."),
    "above_stock": gettext_noop("%(name)s: only %(limit_ml)s mL in stock."),
    "total_above_target": gettext_noop(
        "%(name)s: at most %(limit_ml)s mL beside the other ingredients; the area takes %(target_ml)s mL in all."
    ),
    "sessions_outside_rule": gettext_noop("Between %(minimum)s and %(maximum)s sessions for this severity."),
}
