"""Explain: the answer as data. Reasons are codes with parameters; sentences are made outside, per language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any

from protocols.engine import waiting
from protocols.engine.canonical import fingerprint, json_safe
from protocols.engine.contribution import contributions, served
from protocols.engine.cost import Estimate, estimate
from protocols.engine.course import Schedule, minutes, technique
from protocols.engine.dose import Mixture
from protocols.engine.formulary import Formulary
from protocols.engine.model import Address, CourseRules, Ingredient, MixtureLimits, bits
from protocols.engine.propose import ENGINE_VERSION, Composition, Proposal, compose
from protocols.engine.screen import Finding, OpenQuestion, open_questions, shown
from protocols.engine.select import Problem
from protocols.engine.setting import Setting
from protocols.engine.triggers import Reason

LABELS = "ABCDEFGH"
SIGNIFICANT_DIGITS = 4
LOW_VOLUME = "volume_below_minimum"
EMPTY_SESSION = "session_without_mixture"
PH_OUTSIDE = "ph_outside_limits"
OSMOLALITY_HIGH = "osmolality_above_limit"
OSMOLALITY_UNKNOWN = "osmolality_unknown"
SMALL_SYRINGE = "small_syringe"


def explain(proposal: Proposal) -> dict[str, Any]:
    setting, composition = proposal.setting, proposal.composition
    formulary, screening = setting.formulary, setting.screening
    mask = proposal.mask
    used_diluent = _used_diluents(composition)
    chosen = mask | used_diluent
    values = _Values(proposal)
    findings = screening.findings
    answer: dict[str, Any] = {
        "status": proposal.status,
        "missing": [{"fact": fact, "needed_by": list(rules)} for fact, rules in screening.missing],
        "open_questions": []
        if proposal.waits
        else [_open(setting, question) for question in open_questions(setting.case, formulary, chosen)],
        "blocks": [_finding(setting, f, chosen) for f in findings if f.rule.severity == "absolute"],
        "cautions": [
            _finding(setting, f, chosen) for f in findings if f.rule.severity == "caution" and shown(f, chosen)
        ],
        "infos": [_finding(setting, f, chosen) for f in findings if f.rule.severity == "info" and shown(f, chosen)],
        "referrals": _referrals(setting, findings, chosen),
        "excluded_by_rule": [
            {
                "ingredient": key,
                "name": formulary.ingredients[key].name,
                "rule": f.rule.key,
                "because": [_reason(r) for r in f.because],
                "sources": f.rule.sources,
            }
            for f in findings
            if f.rule.severity == "exclude"
            for key in formulary.keys(f.mask)
        ],
        "rules_fired": sorted(finding.rule.key for finding in findings),
        "severity": screening.severity,
        "concerns": [
            {
                "concern": entry.concern,
                "severity": entry.severity,
                "recorded_severity": entry.recorded,
                "staged_by": [{"scale": scale, "stage": stage} for scale, stage in entry.staged_by],
                "staged_severity": entry.staged or None,
                "insisted": entry.insisted,
            }
            for entry in screening.concerns
        ],
        "zones": [{"zone": zone.zone, "area_cm2": zone.area_cm2} for zone in setting.case.zones],
        "area_cm2": setting.case.area_cm2,
        "target_volume_ml": setting.target_ml,
        "total_volume_ml": Decimal(0),
        "syringes": [],
        "left_out": left_out(proposal, values, used_diluent),
        "requirements": _requirements(proposal),
        "sessions": [],
        "alternatives": [],
        "contributions": [],
        "waiting": waiting.review(setting) if proposal.waits else None,
        "course": None,
        "cost": None,
        "value": None,
        "value_cost": None,
        "edits": [dict(edit) for edit in proposal.edits],
        "formulary_version": formulary.label,
        "formulary_fingerprint": formulary.fingerprint,
        "engine_version": ENGINE_VERSION,
    }
    if composition is not None:
        answer |= _composed(proposal, composition, values)
        answer["contributions"] = contributions(proposal, answer["left_out"])
    answer["trace"] = _trace(proposal, answer)
    return sealed(json_safe(answer), setting)


def sealed(answer: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """The answer, JSON-safe, with the fingerprint over itself and over everything that it was made from."""
    made_from = {
        "case": setting.case.canonical(),
        "policy": setting.policy.as_dict(),
        "stock": None if setting.stock is None else dict(setting.stock),
    }
    return {**answer, "fingerprint": fingerprint(made_from, answer=answer)}


def _composed(proposal: Proposal, composition: Composition, values: _Values) -> dict[str, Any]:
    setting = proposal.setting
    total = setting.volume_ml(sum(mixture.total for mixture in composition.mixtures))
    numbers = range(1, len(composition.plan.offsets) + 1)
    money = _estimate(setting, composition)
    composed: dict[str, Any] = {
        "total_volume_ml": total,
        "syringes": _syringes(proposal, composition.mixtures, values),
        "sessions": [
            {"number": number, "syringes": _syringes(proposal, composition.of_session(number), values)}
            for number in numbers
        ]
        if composition.others
        else [],
        "alternatives": alternatives(proposal, values, money),
        "course": _course(setting, composition, total),
        "cost": _cost(money),
        "value": setting.decimal_value(values.value(composition.mask)),
        "value_cost": setting.decimal_value(
            0 if proposal.engine_mask is None else values.value(proposal.engine_mask) - values.value(composition.mask)
        ),
    }
    composed["cautions"] = [
        _finding(setting, f, composition.mask | _used_diluents(composition))
        for f in setting.screening.findings
        if f.rule.severity == "caution" and shown(f, composition.mask | _used_diluents(composition))
    ] + [*_volume_cautions(setting, composition), *_mixture_cautions(composed, setting)]
    return composed


class _Values:
    """Values of sets, remembered."""

    def __init__(self, proposal: Proposal) -> None:
        self.problem = proposal.setting.problem
        self.benefits: dict[int, int] = {}

    def benefit(self, mask: int) -> int:
        found = self.benefits.get(mask)
        if found is None:
            found = self.benefits[mask] = self.problem.benefit(mask)
        return found

    def value(self, mask: int) -> int:
        return self.benefit(mask) - self.problem.penalty(mask)

    def without_syringes(self, mask: int) -> int:
        return self.benefit(mask) - self.problem.charges(mask)


# ---------------------------------------------------------------------- findings
def _reason(reason: Reason) -> dict[str, Any]:
    answer = list(reason.answer) if isinstance(reason.answer, tuple) else reason.answer
    return {"fact": reason.fact, "answer": answer, "op": reason.op, "value": reason.value}


def _finding(setting: Setting, finding: Finding, chosen: int) -> dict[str, Any]:
    rule = finding.rule
    return {
        "rule": rule.key,
        "scope": rule.scope.kind,
        "ingredients": list(setting.formulary.keys(finding.mask & chosen)),
        "because": [_reason(reason) for reason in finding.because],
        "postponed": rule.postponed,
        "referral": rule.refer or None,
        "sources": list(rule.sources),
        "params": {"concern": rule.referral_of_concern} if rule.referral_of_concern else {},
    }


def _open(setting: Setting, question: OpenQuestion) -> dict[str, Any]:
    waiver = setting.case.waived.get(question.fact)
    return {
        "fact": question.fact,
        "needed_by": list(question.needed_by),
        "ingredients": list(question.ingredients),
        "waived": None if waiver is None else {"as": waiver.kind, "reason": waiver.reason},
    }


def _referrals(setting: Setting, findings: Iterable[Finding], chosen: int) -> list[dict[str, Any]]:
    offered: list[dict[str, Any]] = []
    for finding in findings:
        if not finding.rule.refer or (finding.rule.severity in ("caution", "info") and not shown(finding, chosen)):
            continue
        referral = setting.formulary.referrals[finding.rule.refer]
        offered.append(
            {"referral": referral.key, "rule": finding.rule.key, "to": referral.to, "urgency": referral.urgency}
        )
    return offered


def _volume_cautions(setting: Setting, composition: Composition) -> list[dict[str, Any]]:
    """Too little volume for the points, or a session with nothing to inject: said, to be acknowledged."""
    rules = setting.formulary.course
    found = []
    for number in range(1, len(composition.plan.offsets) + 1):
        mixtures = composition.of_session(number)
        total = setting.volume_ml(sum(mixture.total for mixture in mixtures))
        if mixtures and total < rules.point_min_ml * setting.points:
            fewer = int((total / rules.point_min_ml).to_integral_value(ROUND_FLOOR))
            found.append((LOW_VOLUME, total, fewer, number))
        elif not mixtures and composition.mask:
            found.append((EMPTY_SESSION, total, 0, number))
    cautions: dict[tuple[str, Decimal, int], list[int]] = {}
    for rule, total, fewer, number in found:
        cautions.setdefault((rule, total, fewer), []).append(number)
    return [
        {
            "rule": rule,
            "scope": "plan",
            "ingredients": [],
            "because": [],
            "postponed": False,
            "referral": None,
            "sources": list(rules.technique_sources),
            "params": {
                "total_ml": total,
                "points": setting.points,
                "most_points": fewer,
                "min_ml_per_point": rules.point_min_ml,
                "sessions": sessions,
            },
        }
        for (rule, total, fewer), sessions in cautions.items()
    ]


def _mixture_cautions(composed: Mapping[str, Any], setting: Setting) -> list[dict[str, Any]]:
    """What a mixture is not as it should be, however it is drawn: said, to be acknowledged."""
    limits = setting.formulary.composition.mixture
    if limits is None:
        return []
    first = {"number": 1, "syringes": composed["syringes"]}
    found: dict[str, dict[str, list[int]]] = {}
    for session in composed["sessions"] or [first]:
        whole = sum((syringe["volume_ml"] for syringe in session["syringes"]), Decimal(0))
        for syringe in session["syringes"]:
            for rule in _shortcomings(syringe, whole, limits):
                found.setdefault(rule, {}).setdefault(syringe["label"], []).append(session["number"])
    asked: dict[str, dict[str, Any]] = {
        PH_OUTSIDE: {"ph_min": limits.ph_min, "ph_max": limits.ph_max},
        OSMOLALITY_HIGH: {"osmolality_max": limits.osmolality_max},
        OSMOLALITY_UNKNOWN: {},
        SMALL_SYRINGE: {"least_share": limits.smallest_share},
    }
    return [
        {
            "rule": rule,
            "scope": "plan",
            "ingredients": [],
            "because": [],
            "postponed": False,
            "referral": None,
            "sources": list(limits.sources),
            "params": {
                **params,
                "syringes": [{"syringe": label, "sessions": sessions} for label, sessions in found[rule].items()],
            },
        }
        for rule, params in asked.items()
        if rule in found
    ]


def _shortcomings(syringe: Mapping[str, Any], whole: Decimal, limits: MixtureLimits) -> Iterator[str]:
    if min(syringe["ph_max"], limits.ph_max) - max(syringe["ph_min"], limits.ph_min) < limits.ph_width:
        yield PH_OUTSIDE
    osmolality = syringe["osmolality"]
    if osmolality["unknown"]:
        yield OSMOLALITY_UNKNOWN
    elif osmolality["estimate"] > limits.osmolality_max:
        yield OSMOLALITY_HIGH
    if syringe["volume_ml"] < limits.smallest_share * whole:
        yield SMALL_SYRINGE


# ---------------------------------------------------------------------- the mixture
def _used_diluents(composition: Composition | None) -> int:
    mask = 0
    if composition is not None:
        for number in range(1, len(composition.plan.offsets) + 1):
            for mixture in composition.of_session(number):
                if mixture.diluent_steps:
                    mask |= 1 << mixture.diluent
    return mask


def significant(number: Decimal) -> Decimal:
    """Rounded to what is worth printing of a concentration."""
    if not number:
        return Decimal(0)
    return number.quantize(Decimal(1).scaleb(number.adjusted() - SIGNIFICANT_DIGITS + 1), ROUND_HALF_UP)


def _syringes(proposal: Proposal, mixtures: tuple[Mixture, ...], values: _Values) -> list[dict[str, Any]]:
    return [_syringe(proposal, label, mixture, values) for label, mixture in zip(LABELS, mixtures, strict=False)]


def _syringe(proposal: Proposal, label: str, mixture: Mixture, values: _Values) -> dict[str, Any]:
    setting = proposal.setting
    volume = setting.volume_ml(mixture.total)
    lines = [_line(proposal, i, steps, volume, values) for i, steps in mixture.steps.items()]
    members = list(mixture.steps)
    if mixture.diluent_steps:
        lines.append(_line(proposal, mixture.diluent, mixture.diluent_steps, volume, values))
        members.append(mixture.diluent)
    items = [setting.formulary.by_index[i] for i in members]
    buffered = [item for item in items if not item.unbuffered]
    low, high = max(item.ph_min for item in buffered), min(item.ph_max for item in buffered)
    parts = _parts(mixture.total, setting.formulary.course)
    return {
        "label": label,
        "volume_ml": volume,
        "drawn_as": {"count": len(parts), "parts_ml": [setting.volume_ml(part) for part in parts]},
        "ph_min": low,
        "ph_max": high,
        "ph_estimate": ((low + high) / 2).quantize(Decimal("0.1"), ROUND_HALF_UP),
        "osmolality": _osmolality(mixture, setting.formulary),
        "diluent_share": significant(setting.volume_ml(mixture.diluent_steps) / volume),
        "use_immediately": [
            {
                "pair": pair.key,
                "ingredients": [setting.formulary.by_index[i].key, setting.formulary.by_index[j].key],
                "sources": list(pair.sources),
            }
            for place, i in enumerate(members)
            for j in members[place + 1 :]
            for pair in setting.formulary.pairs
            if pair.severity == "use_immediately" and pair.joins(i, j)
        ],
        "lines": lines,
    }


def _parts(steps: int, rules: CourseRules) -> list[int]:
    """How a mixture is drawn into syringes: in whole steps, as equal as these allow, the larger parts first."""
    largest = int((rules.largest_syringe_ml / rules.step_ml).to_integral_value(ROUND_FLOOR))
    count = max(1, -(-steps // largest))
    each, more = divmod(steps, count)
    return [each + 1] * more + [each] * (count - more)


def _osmolality(mixture: Mixture, formulary: Formulary) -> dict[str, Any]:
    """An estimate by volume, in mOsm/kg, rounded up to tens: volumes add up only nearly, and no mixture is measured."""
    poured = dict(mixture.steps)
    if mixture.diluent_steps:
        poured[mixture.diluent] = mixture.diluent_steps
    items = [(formulary.by_index[i], steps) for i, steps in poured.items()]
    unknown = [item.key for item, _ in items if item.osmolality is None]
    if unknown:
        return {"estimate": None, "unknown": unknown}
    total = sum((item.osmolality * steps for item, steps in items if item.osmolality is not None), Decimal(0))
    tens = (total / mixture.total / 10).to_integral_value(ROUND_CEILING)
    return {"estimate": tens * 10, "unknown": []}


def _line(proposal: Proposal, i: int, steps: int, mixture_ml: Decimal, values: _Values) -> dict[str, Any]:
    setting = proposal.setting
    item = setting.formulary.by_index[i]
    volume = setting.volume_ml(steps)
    amount = item.dose_of(volume)
    limits = setting.limits[i]
    return {
        "ingredient": item.key,
        "name": item.name,
        "role": item.role,
        "stock_concentration": item.concentration,
        "concentration_unit": item.concentration_unit,
        "volume_ml": volume,
        "volume_min_ml": setting.volume_ml(limits.least),
        "volume_usual_ml": setting.volume_ml(limits.usual),
        "volume_max_ml": setting.volume_ml(limits.most),
        "set_by_hand": i in proposal.pinned,
        "dose": amount.amount,
        "dose_unit": amount.unit,
        "max_dose": item.max_dose.amount,
        "final_concentration": significant(amount.amount / mixture_ml),
        "addresses": [_address(setting, address) for address in setting.serves(item)],
        "marginal_value": None
        if item.role == "diluent"
        else setting.decimal_value(values.value(proposal.mask) - values.value(proposal.mask & ~(1 << i))),
        "required_by": [
            requirement.concern
            for requirement in setting.problem.requirements
            if requirement.index == i and not requirement.substitute
        ],
        "stands_in_for": [
            {"concern": requirement.concern, "ingredient": requirement.first_choice}
            for requirement in setting.problem.requirements
            if requirement.index == i and requirement.substitute
        ],
        "prescription_only": item.prescription_only,
        "director_confirmation_required": item.director_confirmation_required,
        "basis": item.basis,
        "sources": list(item.sources),
    }


def _address(setting: Setting, address: Address) -> dict[str, Any]:
    return {
        "concern": address.concern,
        "strength": address.strength,
        "evidence_grade": address.grade,
        "direction": address.direction,
        "sources": list(address.sources),
        "web_article_only": address.web_article_only,
    }


def _requirements(proposal: Proposal) -> list[dict[str, Any]]:
    setting = proposal.setting
    problem = setting.problem
    rows = []
    for requirement in problem.requirements:
        limit = None
        item = None if requirement.index < 0 else setting.formulary.by_index[requirement.index]
        if item is None:
            state = "no_substitute"
        elif proposal.composition is None:
            state = "no_plan"
        elif proposal.mask >> requirement.index & 1:
            state = "substituted" if requirement.substitute else "met"
        elif requirement.index in proposal.removed:
            state = "removed"
        else:
            limit = _limit(problem, proposal.mask | 1 << requirement.index) or None
            state = "gave_way" if limit else "could_return"
        rows.append(
            {
                "concern": requirement.concern,
                "first_choice": requirement.first_choice,
                "ingredient": None if item is None else item.key,
                "state": state,
                "limit": limit,
            }
        )
    return rows


def _limit(problem: Problem, mask: int) -> str:
    """What keeps a set from being drawn; nothing where it can be."""
    return problem.obstacle(mask) or (SMALL_SYRINGE if problem.too_small(mask) else "")


# ---------------------------------------------------------------------- left out
def left_out(proposal: Proposal, values: _Values, used_diluent: int) -> list[dict[str, Any]]:
    """Each active ingredient that is in no syringe, with the one reason that decided."""
    rows = []
    for item in proposal.setting.formulary.by_index:
        if item.active and not (proposal.mask | used_diluent) >> item.index & 1:
            code, params = _why(proposal, item, values)
            rows.append(
                {
                    "ingredient": item.key,
                    "name": item.name,
                    "reason_code": code,
                    "params": params,
                    "range": _range(proposal.setting, item),
                }
            )
    return rows


def _range(setting: Setting, item: Ingredient) -> dict[str, Any] | None:
    """What an ingredient could be given at, were it added or swapped in; none where nothing would let it in."""
    if not setting.problem.candidates >> item.index & 1:
        return None
    limits = setting.limits[item.index]
    return {
        "volume_min_ml": setting.volume_ml(limits.least),
        "volume_usual_ml": setting.volume_ml(limits.usual),
        "volume_max_ml": setting.volume_ml(limits.most),
    }


def _why(proposal: Proposal, item: Ingredient, values: _Values) -> tuple[str, dict[str, Any]]:
    setting = proposal.setting
    reason = setting.unavailable.get(item.index)
    if reason is not None and reason.code == "screened":
        return "screened", {
            "rules": [
                {"rule": f.rule.key, "because": [_reason(r) for r in f.because], "sources": list(f.rule.sources)}
                for f in reason.params["findings"]
            ]
        }
    if proposal.composition is None:
        return "no_plan", {"status": proposal.status}
    if item.role == "diluent" and item.key not in setting.formulary.composition.top_up:
        return "diluent_for_reconstitution", {}
    if reason is not None:
        return reason.code, {**reason.params, "target_ml": setting.target_ml} if reason.code == "no_volume" else {
            **reason.params
        }
    if item.role == "diluent":
        return "diluent_not_needed", {}
    if not setting.serving >> item.index & 1:
        return "serves_no_concern", {}
    if item.index in proposal.removed:
        return "removed_by_hand", _gain(proposal, item, values)
    return _outweighed(proposal, item, values)


def _gain(proposal: Proposal, item: Ingredient, values: _Values) -> dict[str, Any]:
    """What adding it would bring, gross, and what an ingredient has to earn here."""
    setting, problem, mask = proposal.setting, proposal.setting.problem, proposal.mask
    bit = 1 << item.index
    gross = values.benefit(mask | bit) - values.benefit(mask)
    needed = problem.penalty(mask | bit) - problem.penalty(mask)
    return {
        "gain": setting.decimal_value(gross - needed),
        "gross": setting.decimal_value(gross),
        "needed": setting.decimal_value(needed),
        "syringes_more": problem.syringes.fewest(mask | bit) - problem.syringes.fewest(mask),
    }


def _outweighed(proposal: Proposal, item: Ingredient, values: _Values) -> tuple[str, dict[str, Any]]:
    setting, problem, mask = proposal.setting, proposal.setting.problem, proposal.mask
    formulary, bit = setting.formulary, 1 << item.index
    obstacle = problem.obstacle(mask | bit)
    required = [r.concern for r in problem.requirements if r.index == item.index]
    if obstacle == "family":
        family = next(f for f in formulary.composition.families if (f.mask & (mask | bit)).bit_count() > f.maximum)
        kept = list(formulary.keys(family.mask & mask))
        return "family_limit", {"family": family.key, "maximum": family.maximum, "kept": kept, "required_by": required}
    if obstacle == "pair":
        clashing = formulary.never_together[item.index] & mask
        other = bits(clashing)[0]
        pair = next(
            p
            for p in formulary.pairs
            if p.scope == "session" and p.severity != "use_immediately" and p.joins(item.index, other)
        )
        other_key = formulary.by_index[other].key
        return "pair", {"pair": pair.key, "with": other_key, "sources": list(pair.sources), "required_by": required}
    gross = values.benefit(mask | bit) - values.benefit(mask)
    if obstacle and (gross > problem.simplicity or required):
        ranked = sorted(
            (i for i in bits(mask) if problem.feasible(mask & ~(1 << i) | bit)),
            key=lambda i: (values.value(mask) - values.value(mask & ~(1 << i)), i),
        )
        by = [formulary.by_index[i].key for i in ranked[:1]] or list(formulary.keys(mask))
        return "displaced", {
            "limit": obstacle,
            "by": by,
            "gross": setting.decimal_value(gross),
            "required_by": required,
        }
    if obstacle:
        return "adds_too_little", {
            "gross": setting.decimal_value(gross),
            "needed": setting.decimal_value(problem.simplicity),
            "gain": setting.decimal_value(gross - problem.simplicity),
            "syringes_more": 0,
            "limit": obstacle,
        }
    gain = _gain(proposal, item, values)
    if (Decimal(gain["gain"]) > 0 or required) and problem.too_small(mask | bit):
        return SMALL_SYRINGE, {**setting.small_syringe(*setting.drawing.draw(mask | bit)), "required_by": required}
    return ("adds_too_little" if Decimal(gain["gain"]) <= 0 else "not_chosen"), gain


# ---------------------------------------------------------------------- alternatives
def alternatives(proposal: Proposal, values: _Values, money: Estimate) -> list[dict[str, Any]]:
    """Other sets one step away - one ingredient fewer, one more, one exchanged - ranked, with what each trades.

    The best of each kind, then the best of the rest; and always waiting, before them where something speaks for it.
    """
    setting, problem, mask = proposal.setting, proposal.setting.problem, proposal.mask
    inside, outside = bits(mask), bits(problem.candidates & ~mask)
    fewer = [mask & ~(1 << i) for i in inside]
    kinds = (fewer, [mask | 1 << j for j in outside], [smaller | 1 << j for smaller in fewer for j in outside])

    def rank(other: int) -> tuple[Any, ...]:
        met = tuple(-count for count in problem.met(other))
        return met, -values.value(other), problem.cost(other), bits(other)

    picked = [best for kind in kinds for best in islice(_ranked(kind, problem, values), 1)]
    wanted = setting.policy.alternatives
    if len(picked) < wanted:
        everything = _ranked([other for kind in kinds for other in kind], problem, values)
        rest = (other for other in everything if other not in picked)
        picked = [*picked, *islice(rest, wanted - len(picked))]
    mixed = [_alternative(proposal, other, values, money) for other in sorted(picked, key=rank)[:wanted]]
    worth = setting.decimal_value(values.value(mask))
    waits = waiting.alternative(setting, mask, worth, money.total if mask else Decimal(0), money.currency)
    return [waits, *mixed] if waits["review"]["because"] else [*mixed, waits]


def _ranked(sets: list[int], problem: Problem, values: _Values) -> Iterator[int]:
    """The feasible ones of the sets, best first. How many syringes a set needs is worked out only for those that are
    near the top by what they are worth without that."""
    waiting: list[tuple[Any, ...]] = []
    for other in sets:
        met = tuple(-count for count in problem.met(other))
        waiting.append((met, -values.without_syringes(other), False, 0, (), other))
    heapify(waiting)
    while waiting:
        met, _, settled, _, _, other = heappop(waiting)
        if settled:
            yield other
        elif problem.feasible(other) and not problem.too_small(other):
            heappush(waiting, (met, -values.value(other), True, problem.cost(other), tuple(bits(other)), other))


def _alternative(proposal: Proposal, other: int, values: _Values, money: Estimate) -> dict[str, Any]:
    """One alternative with its own doses and the price of its own course."""
    setting, problem, mask = proposal.setting, proposal.setting.problem, proposal.mask
    formulary = setting.formulary
    composition = _composed_as_edited(proposal, other)
    total = _estimate(setting, composition).total
    trades: list[dict[str, Any]] = []
    for code, part in (("without", mask & ~other), ("with", other & ~mask)):
        trades += [{"code": code, "params": {"ingredient": key}} for key in formulary.keys(part)]
    for entry, table in zip(setting.screening.concerns, problem.benefits, strict=True):
        change = served(table, other) - served(table, mask)
        if change:
            code = "serves_more" if change > 0 else "serves_less"
            trades.append(
                {"code": code, "params": {"concern": entry.concern, "value": setting.decimal_value(abs(change))}}
            )
    for requirement in problem.requirements:
        bit = 1 << requirement.index if requirement.index >= 0 else 0
        if bit & mask & ~other:
            trades.append(
                {
                    "code": "gives_up_requirement",
                    "params": {"ingredient": formulary.by_index[requirement.index].key, "concern": requirement.concern},
                }
            )
    changes = (
        ("syringes", problem.syringes.fewest(other) - problem.syringes.fewest(mask)),
        ("cautions", _raised(problem.caution_masks, other) - _raised(problem.caution_masks, mask)),
    )
    trades += [
        {"code": f"{'more' if change > 0 else 'fewer'}_{name}", "params": {"count": abs(change)}}
        for name, change in changes
        if change
    ]
    more = total - money.total
    if more:
        params = {"amount": abs(more), "currency": money.currency}
        trades.append({"code": "dearer" if more > 0 else "cheaper", "params": params})
    value = values.value(other)
    return {
        "kind": "mixture",
        "ingredients": list(formulary.keys(other)),
        "value": setting.decimal_value(value),
        "value_difference": setting.decimal_value(value - values.value(mask)),
        "lines": _amounts(setting, composition.mixtures),
        "sessions": [
            {"number": number, "lines": _amounts(setting, mixtures)}
            for number, mixtures in sorted(composition.others.items())
        ],
        "cost_total": total,
        "cost_difference": more,
        "trades": trades,
        "review": None,
    }


def _composed_as_edited(proposal: Proposal, other: int) -> Composition:
    """Another set, dosed; volumes that were set by hand stay where they fit."""
    setting, problem = proposal.setting, proposal.setting.problem
    pinned = {i: steps for i, steps in proposal.pinned.items() if other >> i & 1}
    if pinned:
        kept = compose(setting, other, pinned)
        steps = {i: amount for mixture in kept.mixtures for i, amount in mixture.steps.items()}
        spent = sum(problem.cost_index[i] * amount for i, amount in steps.items())
        if sum(steps.values()) <= setting.target_steps and (problem.budget is None or spent <= problem.budget):
            return kept
    return compose(setting, other)


def _amounts(setting: Setting, mixtures: tuple[Mixture, ...]) -> list[dict[str, Any]]:
    """How much of each ingredient a session holds, over all its mixtures; a diluent comes last."""
    actives = {i: steps for mixture in mixtures for i, steps in mixture.steps.items()}
    poured: dict[int, int] = {}
    for mixture in mixtures:
        if mixture.diluent_steps:
            poured[mixture.diluent] = poured.get(mixture.diluent, 0) + mixture.diluent_steps
    rows = []
    for i, steps in [*sorted(actives.items()), *poured.items()]:
        item, volume = setting.formulary.by_index[i], setting.volume_ml(steps)
        amount = item.dose_of(volume)
        rows.append({"ingredient": item.key, "volume_ml": volume, "dose": amount.amount, "dose_unit": amount.unit})
    return rows


def _raised(rules: tuple[int, ...], mask: int) -> int:
    return sum(1 for rule in rules if rule & mask)


# ---------------------------------------------------------------------- course, cost, trace
def _course(setting: Setting, composition: Composition, total: Decimal) -> dict[str, Any]:
    formulary, plan = setting.formulary, composition.plan
    rules, band = formulary.course, formulary.course.bands[setting.screening.severity]
    method = technique(
        tuple(entry.concern for entry in setting.screening.concerns), formulary.keys(composition.mask), formulary
    )
    length = minutes(setting.case.area_cm2, formulary)
    return {
        "sessions": len(plan.offsets),
        "sessions_min": band.sessions_min,
        "sessions_max": band.sessions_max,
        "schedule": plan.name,
        "offsets_days": list(plan.offsets),
        "windows_days": [
            {"session": w.session, "earliest": w.earliest, "ideal": w.ideal, "latest": w.latest} for w in plan.windows
        ],
        "span_days": plan.span,
        "span_min_days": band.span_min,
        "span_max_days": band.span_max,
        "min_gap_days": plan.min_gap,
        "ideal_gap_days": plan.ideal_gap,
        "max_gap_days": plan.max_gap,
        "spacings": [
            {
                "ingredient": s.ingredient,
                "from_session": s.from_session,
                "to_session": s.to_session,
                "min_days": s.min_days,
            }
            for s in plan.spacings
        ],
        "checkpoints": _checkpoints(plan),
        "duration_minutes": length,
        "appointment_minutes_extra": rules.extra_minutes,
        "appointment_minutes": length + rules.extra_minutes,
        "points": setting.points,
        "volume_per_point_ml": significant(total / setting.points),
        "technique": method.key,
        "depth_mm": {"min": method.depth_min_mm, "max": method.depth_max_mm},
        "angle_degrees": {"min": method.angle_min, "max": method.angle_max},
        "needle": rules.needle,
        "change_needle_every_points": rules.change_needle_every,
        "sources": list(band.sources),
    }


def _checkpoints(plan: Schedule) -> list[dict[str, Any]]:
    return [
        {
            "key": review.key,
            "after_session": review.after_session,
            "offset_days": review.offset_days,
            "earliest_days": review.earliest_days,
            "latest_days": review.latest_days,
            "measures": list(review.measures),
        }
        for review in plan.reviews
    ]


def _estimate(setting: Setting, composition: Composition) -> Estimate:
    numbers = range(1, len(composition.plan.offsets) + 1)
    units = [_ingredient_units(setting, composition.of_session(number)) for number in numbers]
    return estimate(setting.points, units, setting.policy, setting.formulary)


def _ingredient_units(setting: Setting, mixtures: tuple[Mixture, ...]) -> Decimal:
    units = Decimal(0)
    for mixture in mixtures:
        for i, steps in mixture.steps.items():
            units += setting.volume_ml(steps) * setting.formulary.by_index[i].cost_per_ml
        if mixture.diluent_steps:
            units += setting.volume_ml(mixture.diluent_steps) * setting.formulary.by_index[mixture.diluent].cost_per_ml
    return units


def _cost(money: Estimate) -> dict[str, Any]:
    return {
        "currency": money.currency,
        "per_session": money.per_session[0],
        "sessions": list(money.per_session),
        "total": money.total,
        "low": money.low,
        "high": money.high,
        "lines": [
            {"item": line.item, "key": line.key, "amount": line.amount, "multiplier": line.multiplier}
            for line in money.lines
        ],
    }


def _mixture_limits(setting: Setting) -> list[tuple[str, str, Any]]:
    limits, rule = setting.formulary.composition.mixture, "composition.mixture_limits"
    if limits is None:
        return []
    return [
        ("partition", f"{rule}.ph_window", limits.ph_width),
        ("partition", f"{rule}.final_ph", {"min": limits.ph_min, "max": limits.ph_max}),
        ("dose", f"{rule}.osmolality", limits.osmolality_max),
        ("dose", f"{rule}.smallest_syringe", limits.smallest_share),
    ]


def _trace(proposal: Proposal, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each step with its result and the rule of the formulary that it came from."""
    setting = proposal.setting
    formulary, rules, severity = setting.formulary, setting.formulary.course, setting.screening.severity
    rows: list[tuple[str, str, Any]] = [
        ("complete", "screening.required_before_plan", len(answer["missing"])),
        ("screen", "screening.rules", len(answer["rules_fired"])),
        ("severity", "course.sessions.overall_severity_rule", severity),
    ]
    rows += [
        ("severity", f"scales.{stage['scale']}.{stage['stage']}", entry["severity"])
        for entry in answer["concerns"]
        for stage in entry["staged_by"]
    ]
    rows += [
        ("candidates", "composition.order_of_choice", len(bits(setting.candidates))),
        ("area_cm2", "vocabulary.zones", setting.case.area_cm2),
        ("target_volume_ml", "course.technique.target_volume", setting.target_ml),
        ("points", "course.technique.spacing_rule", setting.points),
    ]
    if proposal.composition is not None:
        course = answer["course"]
        rows += [
            ("select", "composition.selection_weights", answer["value"]),
            ("select", "composition.max_active_ingredients_per_session", setting.policy.max_actives),
            ("partition", "composition.max_active_ingredients_per_syringe", len(answer["syringes"])),
            ("dose", "composition.scaling", answer["total_volume_ml"]),
            ("dose", "composition.max_diluent_share_of_syringe", formulary.composition.max_diluent_share),
            ("dose", "course.technique.max_total_volume_per_session", rules.ceiling_ml),
            ("dose", "course.technique.draw_step", rules.step_ml),
            *_mixture_limits(setting),
            ("course", f"course.sessions.by_severity.{severity}.sessions", course["sessions"]),
            ("course", f"course.sessions.by_severity.{severity}.span", course["span_days"]),
            ("course", "course.session_duration", course["duration_minutes"]),
            ("course", "course.technique.methods", course["technique"]),
            ("cost", "course.cost_model", answer["cost"]["total"]),
        ]
        asked = {"sessions": setting.policy.sessions, "schedule": setting.policy.schedule}
        rows += [
            ("course", f"policy.{name}", {"asked": wish, "given": course[name]})
            for name, wish in asked.items()
            if wish is not None and wish != course[name]
        ]
    return [{"step": step, "rule": rule, "value": value} for step, rule, value in rows]
