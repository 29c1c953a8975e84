"""A standing and its reasons: what stops, what is a caution, what lifts each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

from django.utils.http import urlencode
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User

REASON_LENGTH = 500


NOTHING_KNOWN = "unknown"  # neither clear nor a stop: nobody has answered anything yet


RULE = "rule"  # a rule of the formulary forbids any treatment


INGREDIENT = "ingredient"  # a rule leaves out what the signed plan holds


CAUTION = "caution"


NOT_KNOWN = "unknown"  # asked and not known, or not asked: a question that decides a rule


STATEMENT = "statement"  # said in words, not settled


UNCONFIRMED = "unconfirmed"  # reception wrote down what a practitioner has to judge


MERGE = "merge"


UNHEARD = "unheard"  # an answer that the plan's formulary has no word for


UNREADABLE = "unreadable"


NOT_ASKED = "not_asked"  # a question, or an answer of a list, that came after the newest answers


UNANSWERED = "unanswered"  # no submitted intake at all


RED_FLAG = "red_flag"  # reported by a higher app


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why somebody may not be treated, or only with care: the rule, what was said by whom and when, what lifts it."""

    kind: str
    severity: str  # "absolute" and "exclude" stop; "caution" does not
    rule: str  # its key in the formulary, or the kind where no formulary has one
    message: str
    short: str = ""  # for a chip
    answer: str = ""  # what was said
    source: str = ""  # the publications behind the rule
    where: str = ""  # in what it was said: an intake, a day check, the record
    lifts: str = ""
    said_at: datetime | None = None
    said_by: str = ""  # empty: the patient, or nobody in particular
    key: str = ""  # the rule with what was said: a caution is acknowledged once for it
    ingredients: tuple[str, ...] = ()  # of the plan, by key
    url: str = ""  # where it is settled
    readable_with: str = ""  # the permission to read ``answer``; empty: whoever reads intakes

    @property
    def stops(self) -> bool:
        return self.severity != CAUTION

    def ask_url(self, *, back: str) -> str:
        """Return the page that asks it, and that leads on to ``back``; the page alone where that is empty."""
        return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode({'next': back})}" if back else self.url

    @property
    def is_for_asking(self) -> bool:
        """Whether only an answer lifts it: nobody can acknowledge what was not asked."""
        return self.kind in (NOT_ASKED, UNANSWERED)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What holds for one patient, one plan and one day. ``acknowledged`` are cautions that need nothing more."""

    patient_id: int
    plan_id: int | None
    day: date
    state: str
    reasons: tuple[Reason, ...] = ()
    acknowledged: tuple[Reason, ...] = ()
    hides_plan: bool = False  # made for a reader who may not read what the plan holds

    @property
    def is_stop(self) -> bool:
        return self.state == STOP

    @property
    def stops(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.stops)

    @property
    def cautions(self) -> tuple[Reason, ...]:
        """Those that nobody has acknowledged for this plan."""
        return tuple(reason for reason in self.reasons if not reason.stops)

    @property
    def for_asking(self) -> tuple[Reason, ...]:
        """What nobody asked yet: cautions that only an answer lifts."""
        return tuple(reason for reason in self.cautions if reason.is_for_asking)

    @property
    def first(self) -> Reason | None:
        return self.reasons[0] if self.reasons else None

    def why(self, ingredient: str) -> str:
        """Return why this ingredient must not be injected, in a sentence; empty where nothing is against it."""
        for reason in self.stops:
            if not reason.ingredients or ingredient in reason.ingredients:
                return reason.message
        return ""

    def seen_by(self, user: User) -> Standing:
        """Return it without what the plan holds where the reader may only know that there is one."""
        hides = not user.may(Permission.PLAN_READ)
        reasons = tuple(_seen_by(reason, user, hides_plan=hides) for reason in self.reasons)
        return replace(self, reasons=reasons, hides_plan=hides)


def _seen_by(reason: Reason, user: User, *, hides_plan: bool) -> Reason:
    if reason.readable_with and not user.may(Permission(reason.readable_with)):
        reason = replace(reason, answer="")
    if not reason.ingredients or not hides_plan:
        return reason
    return replace(
        reason,
        message=_("Something in the signed plan may no longer be given.")
        if reason.stops
        else _("Something in the signed plan needs care since it was signed."),
        ingredients=(),
    )


CLEAR, CAUTIONS, STOP = "clear", "cautions", "stop"
