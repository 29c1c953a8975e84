"""What could be done instead of a plan, and what each would give up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from protocols.formulary.catalogue import Source
from protocols.pages.reading import Reading
from protocols.words import answers as wording
from protocols.words.contributions import trade_words


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """Another way than the plan: other ingredients, or to wait."""

    number: int
    title: str
    value: Any
    trades: list[str]
    waits: bool = False
    because: list[str] = field(default_factory=list)  # what speaks for waiting
    sources: tuple[Source, ...] = ()
    asked: str = ""  # how the panel for changing the mixture is opened with it


def alternatives(reading: Reading) -> list[Alternative]:
    """Return the alternatives of the answer, numbered behind the plan; waiting comes first where it was proposed."""
    mine = set(reading.ingredients)
    rows: list[Alternative] = []
    for place, row in enumerate(reading.result["alternatives"]):
        review = row.get("review") if row.get("kind") == "waiting" else None
        number = 1 if review and review["because"] else place + 2
        if review:
            rows.append(
                Alternative(
                    number=number,
                    waits=True,
                    title=wording.waiting_title(review["days"]),
                    value=row["value"],
                    trades=[trade["text"] for trade in row["trades"]],
                    because=[reason["text"] for reason in review["because"]],
                    sources=reading.contents.sources(review["sources"]),
                )
            )
            continue
        theirs = set(row["ingredients"])
        out, into = sorted(mine - theirs), sorted(theirs - mine)
        rows.append(
            Alternative(
                number=number,
                title=_alternative_title(reading, out, into),
                value=row["value"],
                trades=[
                    trade_words(trade, reading.words)
                    for trade in row["trades"]
                    if trade["code"] not in ("without", "with")
                ],
                asked=_asked_for(out, into),
            )
        )
    return rows


def _alternative_title(reading: Reading, out: list[str], into: list[str]) -> str:
    if out and into:
        return _("%(into)s for %(out)s") % {"into": reading.names(into), "out": reading.names(out)}
    if out:
        return _("Without %(out)s") % {"out": reading.names(out)}
    return _("With %(into)s") % {"into": reading.names(into)}


def _asked_for(out: list[str], into: list[str]) -> str:
    """How the panel for changing the mixture is opened with the one edit that leads to an alternative."""
    return urlencode({"ingredient": out[0] if out else "", "with": into[0] if into else "-"})
