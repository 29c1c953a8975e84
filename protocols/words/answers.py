"""Sentences, made from the engine's codes and parameters, in the language that is active.

The engine never makes a sentence. Texts that are data (messages of rules, labels) are looked up in the catalogue of
translations as they stand; where it lacks one, the English of the formulary is shown.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from mesoclinic.core.numbers import shown_number
from protocols.engine import Formulary
from protocols.formulary.words import DIRECTION_NAMES, GRADE_NAMES, cost_line_words
from protocols.words.contributions import WOULD_ADD, contribution_words, trade_sentence
from protocols.words.terms import LIMITS, Words, words_of

WEB_ARTICLE_ONLY = gettext_noop("Rests on the web article alone: no independent source supports it.")


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
            trade["text"] = trade_sentence(trade, words)
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
