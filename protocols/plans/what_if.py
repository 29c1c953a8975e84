"""What if a fact, a wish, the stock, a budget or the policy were otherwise: what would follow. Nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _

from mesoclinic.core.errors import InvalidInput
from patients.intake.answers import checked_value
from patients.vocabulary import Vocabulary
from protocols.engine import CaseError, Policy, compare
from protocols.engine.codes import without_sentences
from protocols.models import Plan
from protocols.plans.computing import Computed, formulary_of, kept_edits, shown_answer
from protocols.plans.proposing import explain_fault
from protocols.plans.queries import open_facts
from protocols.words import answers as wording
from protocols.words.changes import explain_change

TIGHTENING = ("max_actives", "max_syringes", "ingredient_budget", "allow_prescription", "avoid")
"""What a practitioner may set in one draft, and only more narrowly than the clinic does."""

AMPLE_ML = "1000"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is to be otherwise. ``policy`` holds the keys of TIGHTENING only."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    stock: Mapping[str, str] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.facts or self.stock or self.policy)


@dataclass(frozen=True, kw_only=True)
class Answered:
    old: dict[str, Any]
    new: dict[str, Any]
    differences: list[str]
    edits_dropped: int


def checked_facts(facts: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """The answers as a case holds them; the first that cannot be one is refused."""
    checked = {}
    for key, value in facts.items():
        fact = vocabulary.facts.get(key)
        if fact is None:
            raise InvalidInput(_("This question is not known."), field="answer")
        try:
            checked[key] = checked_value(fact, value)
        except ValueError as refusal:
            raise InvalidInput(str(refusal), field="number" if fact.type in ("integer", "number") else "answer") from (
                refusal
            )
    return checked


def changed_case(plan: Plan, change: Change) -> dict[str, Any]:
    """The plan's case with the change laid over it."""
    case = {**plan.case, "facts": {**plan.case["facts"], **change.facts}}
    case["waived"] = {key: row for key, row in plan.case["waived"].items() if key not in change.facts}
    if change.stock:
        whole = dict.fromkeys(formulary_of(plan).ingredients, AMPLE_ML)  # one that a stock leaves out counts as none
        case["stock"] = {**(plan.case["stock"] or whole), **change.stock}
    if change.policy:
        policy = dict(plan.case["policy"])
        if "avoid" in change.policy:
            before = policy.get("avoid", plan.policy.get("avoid", []))
            policy["avoid"] = sorted({*before, *change.policy["avoid"]})
        policy |= {key: value for key, value in change.policy.items() if key != "avoid"}
        case["policy"] = policy
    return case


def recomputed(plan: Plan, change: Change) -> Computed:
    """The draft under the change, with those of its edits that still hold. InvalidInput: the engine cannot read it."""
    try:
        return kept_edits(
            case=changed_case(plan, change),
            version=plan.formulary,
            policy=plan.policy,
            language=plan.language,
            edits=plan.edits,
        )
    except CaseError as error:
        fields = {"stock": "stock_ml", "policy": "policy"}
        place = error.faults[0].path.replace("policy.", "").split(".")[0].split("[")[0]
        raise InvalidInput(
            " ".join(explain_fault(fault) for fault in error.faults), field=fields.get(place, place)
        ) from error


def within_budget(plan: Plan, change: Change, money: Decimal) -> Change:
    """The change with a limit on the ingredients of a session, so that the whole course costs no more than ``money``.

    ``money`` is in the clinic's currency, or in cost units where it has set none. Raise InvalidInput where the
    injections alone cost more, or where nothing has a price.
    """
    cost = recomputed(plan, change).result["cost"]
    if cost is None:
        return change  # nothing would be injected, so nothing be paid
    policy = {**plan.policy, **plan.case["policy"]}
    price = Decimal(str(policy.get("price_per_unit", 1)))
    lines = {row["item"]: row for row in cost["lines"]}
    sessions, package = len(cost["sessions"]), Decimal(lines["package"]["multiplier"])
    whole = package * sessions * price
    if not whole:
        raise InvalidInput(_("The clinic has set no prices."), field="budget")
    work = Decimal(lines["injections"]["amount"]) * sessions * package
    units = ((money - work) / whole).quantize(Decimal("0.01"), ROUND_FLOOR)
    while units >= 0:
        tried = Change(
            facts=change.facts, stock=change.stock, policy={**change.policy, "ingredient_budget": str(units)}
        )
        found = recomputed(plan, tried).result["cost"]
        over = Decimal(found["total"]) - money if found else Decimal(0)
        if over <= 0:
            return tried
        # What tops a mixture up costs as well and is not part of that limit.
        units -= max((over / whole).quantize(Decimal("0.01"), ROUND_CEILING), Decimal("0.01"))
    raise InvalidInput(
        _("The injections alone come to %(least)s for the course.") % {"least": formats.number_format(work, 2)},
        field="budget",
    )


def ask_what_if(plan: Plan, change: Change) -> Answered:
    """The plan as it stands beside the plan under the change, with each difference in words."""
    computed = recomputed(plan, change)
    formulary = formulary_of(plan)
    new = wording.render(without_sentences(computed.result), formulary)
    return Answered(
        old=shown_answer(plan),
        new=new,
        differences=in_words(plan.result, computed.result, plan),
        edits_dropped=len(plan.edits) - len(computed.edits),
    )


def in_words(old: Mapping[str, Any], new: Mapping[str, Any], plan: Plan) -> list[str]:
    """The differences between two answers, worded with the plan's formulary."""
    formulary = formulary_of(plan)
    return [explain_change(change, formulary) for change in compare(old, new)]


def is_wider(plan: Plan, change: Change) -> bool:
    """Whether the draft would hold a limit wider than the clinic's own, or one beyond what the formulary allows."""
    if not change.policy:
        return False
    formulary = formulary_of(plan)
    clinic = Policy.from_mapping(plan.policy, formulary)
    try:
        wished = clinic.overridden(changed_case(plan, change)["policy"], formulary)
    except CaseError:
        return True
    return bool(wished.wider_than(clinic))


def why_not_taken_over(plan: Plan, change: Change) -> str:
    """Return where what was asked has to be changed, if not in the draft; empty where the draft may take it over.

    A draft takes over answers of its open questions, and limits tighter than the clinic's.
    """
    asked = set(open_facts(plan))
    if any(fact not in asked for fact in change.facts):
        return _("A fact of the intake changes through a new intake; then make a new plan or amend this one.")
    if change.stock:
        return _("Stock is what stands on the shelf: remove or swap the ingredient by hand.")
    if is_wider(plan, change):
        return _("This is wider than the clinic's own limit. The medical director changes those.")
    return ""


def may_be_taken_over(plan: Plan, change: Change) -> bool:
    return bool(change) and not why_not_taken_over(plan, change)
