"""From what a plan stores to what it says: the same inputs give the same bytes, on any machine, for ever."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Clinic
from mesoclinic.core.numbers import plain_number
from protocols.engine import (
    ENGINE_VERSION,
    Formulary,
    Policy,
    apply_edits,
    canonical_json,
    parse_case,
    propose,
    verify,
)
from protocols.engine.codes import without_sentences
from protocols.engine.inputs.policy import read_decimal
from protocols.formulary.queries import built_formulary
from protocols.models import FormularyVersion, Plan
from protocols.models.enums import PlanKind
from protocols.plans.proposing import answer_case
from protocols.words import answers as wording


@dataclass(frozen=True, kw_only=True)
class Computed:
    """``proposal`` is the engine's own answer, ``result`` the answer after the practitioner's edits."""

    case: dict[str, Any]
    policy: dict[str, Any]
    proposal: dict[str, Any]
    result: dict[str, Any]
    edits: list[dict[str, Any]]
    refusals: list[dict[str, Any]]  # of the edits, each with path, code, params and a sentence; empty: all were applied
    engine_version: str = ENGINE_VERSION

    @property
    def kind(self) -> PlanKind:
        return kind_of(self.result)


def kind_of(result: Mapping[str, Any]) -> PlanKind:
    """What an answer of the engine plans."""
    return PlanKind.WAITING if result["status"] == "waiting" else PlanKind.COURSE


def clinic_policy() -> dict[str, Any]:
    """What the clinic decides itself, with its currency."""
    clinic = Clinic.objects.first()
    policy: dict[str, Any] = dict(clinic.policy) if clinic else {}
    if clinic and clinic.currency:
        policy.setdefault("currency", clinic.currency)
    return policy


def compute(
    *,
    case: Mapping[str, Any],
    version: FormularyVersion,
    policy: Mapping[str, Any],
    language: str,
    edits: Sequence[Mapping[str, Any]] = (),
    proposal: dict[str, Any] | None = None,
) -> Computed:
    """The answer for a case. ``proposal`` spares the engine its search where only the edits have changed."""
    formulary = built_formulary(version)
    clean_case = plain_json(parse_case(case, formulary).canonical())
    clean_policy = plain_json(Policy.from_mapping(policy, formulary).overrides)

    def ask(with_edits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = plain_json(
            answer_case(
                clean_case, formulary=formulary, policy=clean_policy, language=language, edits=bare_edits(with_edits)
            )
        )
        return found

    own = ask(()) if proposal is None else proposal
    clean_edits = plain_json(list(edits))
    result = ask(clean_edits) if clean_edits else own
    return Computed(
        case=clean_case,
        policy=clean_policy,
        proposal=own,
        result=result,
        edits=clean_edits,
        refusals=result["refusals"],
    )


def kept_edits(*, edits: Sequence[Mapping[str, Any]], **inputs: Any) -> Computed:
    """Compute with those of the edits that the facts and the formulary still allow; the others are left behind."""
    computed = compute(edits=edits, **inputs)
    if not computed.refusals:
        return computed
    computed = compute(edits=(), **inputs)
    kept: list[Mapping[str, Any]] = []
    for edit in edits:
        tried = compute(edits=[*kept, edit], proposal=computed.proposal, **inputs)
        if not tried.refusals:
            computed, kept = tried, [*kept, edit]
    return computed


REASONING = ("reason", "note")
"""What an edit says besides what it does; the engine never sees it."""


def bare_edit(edit: Mapping[str, Any]) -> dict[str, Any]:
    """An edit as the engine reads it, a volume in its one spelling: why somebody made it is kept with the plan only."""
    return {key: _as_value(key, value) for key, value in edit.items() if key not in REASONING}


def _as_value(key: str, value: Any) -> Any:
    """0.50 and 0.5 are one volume; what is no number stays as it is, for the engine to refuse."""
    number = read_decimal(value) if key.endswith("_ml") else None
    return value if number is None else plain_number(number)


def bare_edits(edits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [bare_edit(edit) for edit in edits]


def merged(edits: Sequence[Mapping[str, Any]], added: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The edits with more of them: what a later one makes pointless is dropped, so that nothing trips over it."""
    kept = [dict(edit) for edit in edits]
    for new in added:
        kept = [edit for edit in kept if edit["op"] != "wait"]  # said anew, or given up for another edit
        gone = new.get("ingredient")
        if new["op"] in ("set_volume", "remove", "swap"):
            kept = [edit for edit in kept if not (edit["op"] == "set_volume" and edit["ingredient"] == gone)]
        if new["op"] == "remove" and {"op": "add", "ingredient": gone} in bare_edits(kept):
            kept = [edit for edit in kept if not (edit["op"] == "add" and edit["ingredient"] == gone)]
            continue
        if new["op"] == "add" and {"op": "remove", "ingredient": gone} in bare_edits(kept):
            kept = [edit for edit in kept if not (edit["op"] == "remove" and edit["ingredient"] == gone)]
            continue
        if new["op"] == "swap" and (back := _swapped_before(new, kept)) is not None:
            del kept[back]
            continue
        if new["op"] in ("set_sessions", "set_schedule"):
            kept = [edit for edit in kept if edit["op"] not in ("set_sessions", "set_schedule")]
        kept.append(dict(new))
    return kept


def _swapped_before(new: Mapping[str, Any], kept: Sequence[Mapping[str, Any]]) -> int | None:
    """Where the swap stands that this one takes back; None where it takes none back."""
    back = {"op": "swap", "ingredient": new.get("with"), "with": new.get("ingredient")}
    places = [place for place, edit in enumerate(bare_edits(kept)) if edit == back]
    return places[-1] if places else None


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """One thing that the two calculations do not agree about: the line or the mixture it is in, and what each says."""

    path: str
    ingredient: str = ""
    mixture: str = ""
    detail: str


def verified(plan: Plan) -> list[Disagreement]:
    """What the second, independent calculation finds wrong with the plan. Nothing: it agrees."""
    result, edits = plan.result, bare_edits(plan.result["edits"])
    found = []
    if differing := _both_ways(bare_edits(plan.edits), edits):
        path, what = "edits", _("the result does not hold the edits that were made")
        found.append(Disagreement(path=path, ingredient=str(differing[0].get("ingredient", "")), detail=what))
    if result["engine_version"] != plan.engine_version:
        detail = _("the result is of another engine than the plan says")
        found.append(Disagreement(path="engine_version", detail=detail))
    if plan.kind != kind_of(result):
        found.append(Disagreement(path="kind", detail=_("the plan is of another kind than its result")))
    for row in verify(result, plan.case, formulary_of(plan), plan.policy):
        ingredient, mixture = _named_in(row.path, plan)
        found.append(Disagreement(path=row.path, ingredient=ingredient, mixture=mixture, detail=str(row)))
    return found


def _both_ways(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What stands in one list and not in the other; where they only stand in another order, the first that does."""
    if one == other:
        return []
    apart = [edit for edit in one if edit not in other] + [edit for edit in other if edit not in one]
    return apart or [a for a, b in zip(one, other, strict=False) if a != b] or [*one, *other]


def _named_in(path: str, plan: Plan) -> tuple[str, str]:
    """(ingredient, mixture) that a place of the answer is about, each empty where it is about none."""
    parts = path.replace("[", ".").replace("]", "").split(".")
    known = formulary_of(plan).ingredients
    ingredient = next((part for part in parts if part in known), "")
    syringes, mixture = plan.result["syringes"], ""
    if parts[0] == "syringes" and len(parts) > 1 and parts[1].isdigit() and int(parts[1]) < len(syringes):
        mixture = syringes[int(parts[1])]["label"]
    elif ingredient:
        holds = (row["label"] for row in syringes if any(line["ingredient"] == ingredient for line in row["lines"]))
        mixture = next(holds, "")
    return ingredient, mixture


def shown_answer(plan: Plan, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The plan's answer with its sentences, in the reader's language: made anew from its codes and numbers.

    ``given`` is the answer to show in the place of the stored one.

    What an older engine said is shown with the sentences that were stored with it: its codes may have changed since.
    """
    said: dict[str, Any] = plan.result if given is None else dict(given)
    if plan.engine_version != ENGINE_VERSION:
        return said
    return wording.render(without_sentences(said), formulary_of(plan)) | {"refusals": []}


def recompute(plan: Plan) -> list[Computed]:
    """The plan's answer from its stored inputs alone, as the engine that computed it said it.

    More than one where that engine had several spellings; none where this release does not know that engine.
    """
    if plan.engine_version == ENGINE_VERSION:
        inputs = {"case": plan.case, "version": plan.formulary, "policy": plan.policy, "language": plan.language}
        return [compute(edits=plan.edits, **inputs)]
    formulary = built_formulary(plan.formulary)
    case, policy = parse_case(plan.case, formulary), Policy.from_mapping(plan.policy, formulary)
    proposal = propose(case, formulary, policy)
    edited = apply_edits(case, formulary, policy, bare_edits(plan.edits)) if plan.edits else None
    result = proposal if edited is None else edited.proposal
    refusals = [] if edited is None else [{"path": row.path, "code": row.code} for row in edited.refusals]
    return [
        Computed(
            case=plain_json(case.canonical()),
            policy=plain_json(policy.overrides),
            proposal=own,
            result=said,
            edits=plan.edits,
            refusals=refusals,
            engine_version=plan.engine_version,
        )
        for own, said in zip(
            proposal.as_said_by(plan.engine_version, plan.proposal),
            result.as_said_by(plan.engine_version, plan.result),
            strict=True,
        )
    ]


def plain_json(value: Any) -> Any:
    """In JSON's own types, decimals as strings: what is stored, shown and hashed."""
    return json.loads(canonical_json(value))


def formulary_of(plan: Plan) -> Formulary:
    """Built from a published version, which never changes: asked for once per plan."""
    version = plan.formulary
    if "built" not in version.__dict__:
        version.__dict__["built"] = built_formulary(version)
    found: Formulary = version.__dict__["built"]
    return found
