"""What each ingredient adds, and what leaving it out would lose and save, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from mesoclinic.core.numbers import shown_number
from protocols.words.terms import Words

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
        price = price_words({"amount": row["price"], "currency": currency})
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


def adds_words(row: Mapping[str, Any]) -> str:
    """How much an ingredient adds: much, some or little."""
    return _(ADDS[row["adds"]])


def trade_words(trade: Mapping[str, Any], words: Words) -> str:
    """A trade of an alternative as a clinician would say it: without the figures of the ranking."""
    if trade["code"] in ("serves_more", "serves_less"):
        text = _("serves %(concern)s more") if trade["code"] == "serves_more" else _("serves %(concern)s less")
        return text % {"concern": words.concern(trade["params"]["concern"])}
    return trade_sentence(trade, words)


def trade_sentence(trade: Mapping[str, Any], words: Words) -> str:
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
        "dearer": lambda: _("%(price)s more for the course") % {"price": price_words(p)},
        "cheaper": lambda: _("%(price)s less for the course") % {"price": price_words(p)},
    }
    return texts[trade["code"]]()


def price_words(params: Mapping[str, Any]) -> str:
    amount = formats.number_format(Decimal(params["amount"]), 2)
    return f"{amount} {params['currency']}" if params["currency"] else _("%(amount)s cost units") % {"amount": amount}
