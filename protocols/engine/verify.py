"""Verify: a second calculation of everything that an answer says, before it can be signed.

Written apart from the first, from the documents themselves: it shares no arithmetic with it and works in fractions,
where the first works in whole drawing steps and decimals. It does not choose anything; it recomputes every dose,
concentration, total, cap, interval, pair, rule, price and value of the answer it is given, be it the engine's own or
edited by hand, and names each difference. An answer with a difference must not be signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

from protocols.engine.canonical import fingerprint
from protocols.engine.case import Case, parse_case, read_stock
from protocols.engine.codes import without_sentences
from protocols.engine.formulary import Formulary, build_formulary
from protocols.engine.model import CaseError, Fault
from protocols.engine.policy import Policy

LEVELS = {"severe": 0, "moderate": 1, "mild": 2}
WITHOUT_ALTERNATIVE_DOSES = ("1.0",)
"""Engines that gave their alternatives neither doses nor a price, and what they left out no range."""
WITHOUT_WORDS = ("1.0", "1.1")
"""Engines that knew no waiting and did not say what each ingredient contributes."""
WITHOUT_MIXTURE_LIMITS = ("1.0", "1.1")
"""Engines that drew a mixture in equal parts and said nothing of its osmolality."""
FOR_EVER = Fraction(10**6)
"""Days, more than any course takes."""


OWN_CAUTIONS = (
    "volume_below_minimum", "session_without_mixture", "ph_outside_limits", "osmolality_above_limit",
    "osmolality_unknown", "small_syringe",
)  # fmt: skip
"""Those that come from the mixture, not from a rule of screening."""


@dataclass(frozen=True, kw_only=True)
class Discrepancy:
    """What the answer says at a place, and what the second calculation says."""

    path: str
    code: str
    expected: Any = None
    found: Any = None

    def __str__(self) -> str:
        return f"{self.path}: {self.code} (expected {self.expected}, found {self.found})"


def verify(
    answer: Mapping[str, Any],
    case: Case | Mapping[str, Any],
    formulary: Formulary | Mapping[str, Any],
    policy: Policy | Mapping[str, Any] | None = None,
    stock: Mapping[str, Any] | None = None,
) -> tuple[Discrepancy, ...]:
    """Every difference between the answer and what the documents make of the case; empty when they agree."""
    used = formulary if isinstance(formulary, Formulary) else build_formulary(formulary)
    read = case if isinstance(case, Case) else parse_case(case, used)
    base = policy if isinstance(policy, Policy) else Policy.from_mapping(policy or {}, used)
    amounts: Mapping[str, Any] | None = read.stock
    if stock is not None:
        faults: list[Fault] = []
        amounts = read_stock(stock, used, faults)
        if faults:
            raise CaseError(tuple(faults))
    second = _Second(answer=answer, case=read, formulary=used, policy=base.overridden(read.policy, used), stock=amounts)
    try:
        second.run()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError) as broken:
        second.found.append(Discrepancy(path="answer", code="unreadable", found=f"{type(broken).__name__}: {broken}"))
    return tuple(second.found)


class _Second:
    def __init__(
        self,
        *,
        answer: Mapping[str, Any],
        case: Case,
        formulary: Formulary,
        policy: Policy,
        stock: Mapping[str, Any] | None,
    ) -> None:
        self.answer, self.case, self.policy, self.stock = without_sentences(answer), case, policy, stock
        self.found: list[Discrepancy] = []
        self.documents = formulary.documents
        self.label = formulary.label
        self.things = {entry["key"]: entry for entry in self.documents["ingredients"]["ingredients"]}
        self.active = {item.key for item in formulary.by_index if item.active}
        self.active = (self.active | set(case.activate)) - set(case.deactivate)
        self.facts: dict[str, Any] = dict(case.facts)
        self.shapes = self.documents["vocabulary"]["facts"]["facts"]
        self.rules = {entry["key"]: entry for entry in self.documents["screening"]["rules"]}
        self.course = self.documents["course"]
        self.mixing = self.course["composition"]
        self.needle = self.course["technique"]
        self.limits: Mapping[str, Any] | None = self.mixing.get("mixture_limits")
        self.in_steps = self.answer.get("engine_version") not in WITHOUT_MIXTURE_LIMITS
        """Whether the answer draws mixtures in whole steps, and says their osmolality."""

    @property
    def tells_words(self) -> bool:
        """Whether the engine of this answer knew waiting and contributions."""
        return self.answer.get("engine_version", WITHOUT_WORDS[0]) not in WITHOUT_WORDS

    # ------------------------------------------------------------------ saying what differs
    def same(self, path: str, found: Any, expected: Any, code: str = "differs") -> None:
        self.holds(path, found == expected, code, expected, found)

    def number(self, path: str, found: Any, expected: Fraction | int | str) -> None:
        self.same(path, _fraction(found), Fraction(expected))

    def holds(self, path: str, truth: bool, code: str, expected: Any = None, found: Any = None) -> None:
        if not truth:
            self.found.append(Discrepancy(path=path, code=code, expected=_said(expected), found=_said(found)))

    # ------------------------------------------------------------------ the run
    def run(self) -> None:
        answer = self.answer
        self.same("formulary_fingerprint", answer["formulary_fingerprint"], fingerprint(self.documents))
        self.same("formulary_version", answer["formulary_version"], self.label)
        self._concerns()
        self._screening()
        self._area()
        self._lines_and_left_out()
        if self.tells_words:
            self._waiting()
        if answer["status"] == "proposed":
            self._mixture()
            self._requirements()
            self._value()
            self._course()
            self._cost()
            if self.tells_words:
                self._contributions()
        else:
            for name, empty in (
                ("syringes", []),
                ("sessions", []),
                ("alternatives", []),
                ("course", None),
                ("cost", None),
            ):
                self.same(name, answer[name], empty, "plan_without_permission")
        self._fingerprint()

    # ------------------------------------------------------------------ facts and rules
    def _known(self, fact: str) -> bool:
        return fact in self.facts

    def _applies(self, fact: str) -> bool:
        only = self.shapes[fact].get("only_if")
        return not only or self.facts.get(only["fact"], only["value"]) == only["value"]

    def _true(self, trigger: Mapping[str, Any], leaf: Callable[[Mapping[str, Any]], bool]) -> bool:
        for joint, every in (("all", True), ("any", False)):
            if joint in trigger:
                verdicts = [self._true(part, leaf) for part in trigger[joint]]
                return all(verdicts) if every else any(verdicts)
        return leaf(trigger)

    def _leaf(self, test: Mapping[str, Any]) -> bool:
        op, wanted = test["op"], test["value"]
        if not self._known(test["fact"]):
            return bool(op == "is_not")
        given = self.facts[test["fact"]]
        if self.shapes[test["fact"]]["type"] in ("integer", "number"):
            amount = _fraction(given)
            if isinstance(wanted, list):
                return amount in [_fraction(item) for item in wanted]
            difference = amount - _fraction(wanted)
            table = {
                "lt": difference < 0, "lte": difference <= 0, "gt": difference > 0, "gte": difference >= 0,
                "is": difference == 0, "is_not": difference != 0,
            }  # fmt: skip
            return bool(table[op])
        if op == "is_not_empty":
            return bool((len(given) > 0) == wanted)
        if op == "includes_any":
            return bool(set(given) & set(wanted))
        if op == "includes":
            return bool(wanted in given)
        if op == "in":
            return bool(given in wanted)
        return bool((given == wanted) == (op == "is"))

    def _possible_leaf(self, test: Mapping[str, Any]) -> bool:
        return self._leaf(test) if self._known(test["fact"]) else self._applies(test["fact"])

    def _deciding(self, trigger: Mapping[str, Any]) -> set[str]:
        """Unanswered facts in those branches that could still come true."""
        if not self._true(trigger, self._possible_leaf):
            return set()
        parts = trigger.get("all") or trigger.get("any")
        if parts:
            return set().union(*(self._deciding(part) for part in parts))
        return set() if self._known(trigger["fact"]) else {trigger["fact"]}

    def _aim(self, rule: Mapping[str, Any]) -> set[str] | None:
        """The ingredients a rule is aimed at; None for the plan as a whole."""
        scope = rule["applies_to"]
        kind = scope["scope"]
        if kind in ("plan", "zones"):
            return None
        if kind == "listed_in_fact":
            return set(self.facts.get(scope["fact"], ()))
        chooses: dict[str, Callable[[Mapping[str, Any]], bool]] = {
            "ingredients": lambda thing: thing["key"] in scope["keys"],
            "class": lambda thing: thing["class"] in scope["classes"],
            "flag": lambda thing: thing["flags"].get(scope["flag"]) == scope["equals"],
            "allergen": lambda thing: scope["allergen"] in thing["flags"]["allergens"],
            "prescription_only": lambda thing: bool(thing["regulatory"]["prescription_only"]),
        }
        return {key for key, thing in self.things.items() if chooses[kind](thing)}

    def _mixed(self) -> set[str]:
        """Every ingredient in any syringe of any session."""
        return {line["ingredient"] for syringe in self._every_syringe() for line in syringe["lines"]}

    def _every_syringe(self) -> list[Mapping[str, Any]]:
        groups = [self.answer["syringes"], *(session["syringes"] for session in self.answer["sessions"])]
        return [syringe for group in groups for syringe in group]

    def _fires(self, rule: Mapping[str, Any]) -> bool:
        """Whether the trigger is true and, for a rule on zones, at least one treated zone is among the listed ones."""
        if not self._true(rule["trigger"], self._leaf):
            return False
        scope = rule["applies_to"]
        if scope["scope"] != "zones":
            return True
        treated = {zone.zone for zone in self.case.zones}
        return not treated.isdisjoint(self.facts.get(scope["fact"], ()))

    def _screening(self) -> None:
        answer = self.answer
        fired = {key: rule for key, rule in self.rules.items() if self._fires(rule)}
        present = {entry["concern"] for entry in answer["concerns"]}
        specialists = {rule.get("refer") for rule in fired.values() if rule["severity"] == "absolute"}
        waiting = {}
        for concern in self.documents["concerns"]["concerns"]:
            if not concern["referral_first"] or concern["key"] not in present:
                continue
            cleared = self._true(concern["cleared_when"], self._leaf)
            if not cleared and concern["referral_rule"] not in specialists:
                waiting[f"referral_first_{concern['key']}"] = concern["referral_rule"]
        self.same("rules_fired", answer["rules_fired"], sorted([*fired, *waiting]))
        blocking = [key for key, rule in fired.items() if rule["severity"] == "absolute"]
        self.same("blocks", _sorted(answer["blocks"], "rule"), sorted([*blocking, *waiting]))
        mixed = self._mixed()

        def touches(rule: Mapping[str, Any]) -> bool:
            aim = self._aim(rule)
            return aim is None or bool(aim & mixed)

        for group, severity in (("cautions", "caution"), ("infos", "info")):
            expected = [key for key, rule in fired.items() if rule["severity"] == severity and touches(rule)]
            shown = [row["rule"] for row in answer[group] if row["rule"] not in OWN_CAUTIONS]
            self.same(group, sorted(shown), sorted(expected))
        excluded = {
            (key, name)
            for key, rule in fired.items()
            if rule["severity"] == "exclude"
            for name in self._aim(rule) or ()
        }
        self.excluded = {name for _, name in excluded}
        self.same(
            "excluded_by_rule",
            sorted((row["rule"], row["ingredient"]) for row in answer["excluded_by_rule"]),
            sorted(excluded),
        )
        referred = [
            (rule["refer"], key)
            for key, rule in fired.items()
            if rule.get("refer") and (rule["severity"] in ("absolute", "exclude") or touches(rule))
        ]
        referred += [(referral, key) for key, referral in waiting.items()]
        self.same("referrals", sorted((row["referral"], row["rule"]) for row in answer["referrals"]), sorted(referred))
        self._questions(mixed)
        missing = self.required - set(self.facts)
        self.same("missing", _sorted(answer["missing"], "fact"), sorted(missing))
        status = "incomplete" if missing else "blocked" if blocking or waiting else self._willing()
        self.same("status", answer["status"], status)

    def _questions(self, mixed: set[str]) -> None:
        needed = self.documents["screening"]["required_before_plan"]
        self.required = set(needed["always"]) | set(needed.get(f"if_sex_{self.facts.get('sex_at_birth')}", ()))
        idle = {
            entry["fact"]
            for entry in self.documents["screening"].get("asked_with_cause", [])
            if not self._true(entry["cause"], self._leaf)
        }
        asked: dict[str, set[str]] = {}
        for key, rule in self.rules.items():
            if rule["severity"] == "info" or self._true(rule["trigger"], self._leaf):
                continue
            aim = self._aim(rule)
            scope = rule["applies_to"]
            if scope["scope"] == "listed_in_fact" and not self._known(scope["fact"]):
                aim = mixed
            if rule["severity"] == "absolute" or (aim and aim & mixed):
                for fact in self._deciding(rule["trigger"]) - self.required - idle:
                    asked.setdefault(fact, set()).add(key)
        if self.answer.get("status") == "waiting":
            asked = {}  # nothing is injected, so nothing has to be known for it
        said = {row["fact"]: set(row["needed_by"]) for row in self.answer["open_questions"]}
        self.same("open_questions", said, asked)
        for row in self.answer["open_questions"]:
            waiver = self.case.waived.get(row["fact"])
            self.same(
                f"open_questions.{row['fact']}.waived",
                row["waived"],
                None if waiver is None else {"as": waiver.kind, "reason": waiver.reason},
            )

    def _concerns(self) -> None:
        scales = {scale["key"]: scale for scale in self.documents["vocabulary"]["scales"]["scales"]}
        words = {entry["key"]: entry for entry in self.documents["vocabulary"]["concerns"]["concerns"]}
        self.severity: dict[str, str] = {}
        self.staged: dict[str, tuple[str, str | None, bool]] = {}
        for entry in self.case.concerns:
            bands = []
            for name in words[entry.concern]["severity_scales"]:
                scale = scales[name]
                stage = self.facts.get(scale.get("fact", ""))
                if stage is not None and scale["applies_to_sex"] in ("any", self.facts.get("sex_at_birth")):
                    bands += [each["band"] for each in scale["stages"] if each["code"] == str(stage)]
            bands = [band for band in bands if band in LEVELS]
            staged = min(bands, key=lambda band: LEVELS[band]) if bands else None
            self.severity[entry.concern] = staged if staged and not entry.insisted else entry.severity
            self.staged[entry.concern] = (entry.severity, staged, bool(staged and entry.insisted))
        said = {row["concern"]: row["severity"] for row in self.answer["concerns"]}
        self.same("concerns", said, self.severity)
        if self.tells_words:
            rows = {
                row["concern"]: (row["recorded_severity"], row["staged_severity"], row["insisted"])
                for row in self.answer["concerns"]
            }
            self.same("concerns.staged", rows, self.staged)
        self.worst = min(self.severity.values(), key=lambda band: LEVELS[band])
        self.same("severity", self.answer["severity"], self.worst)

    # ------------------------------------------------------------------ area, points, target
    def _area(self) -> None:
        zones = {zone["key"]: zone for zone in self.documents["vocabulary"]["zones"]["zones"]}
        area = Fraction(0)
        for zone in self.case.zones:
            area += _fraction(zone.area_cm2) if zone.measured else _fraction(zones[zone.zone]["area_cm2"])
        self.area = area
        self.number("area_cm2", self.answer["area_cm2"], area)
        said = [(row["zone"], _fraction(row["area_cm2"])) for row in self.answer["zones"]]
        self.same("zones", said, [(zone.zone, _fraction(zone.area_cm2)) for zone in self.case.zones])
        target = self.needle["target_volume"]
        wanted = _fraction(target["per_cm2"]) * area
        wanted = sorted((_fraction(target["min"]), wanted, _fraction(target["max"])))[1]
        self.target = min(wanted, _fraction(self.needle["max_total_volume_per_session"]["value"]))
        self.number("target_volume_ml", self.answer["target_volume_ml"], self.target)
        points = Fraction(0)
        for band in self.needle["spacing_rule"]:
            low, high = _fraction(band["area_cm2_from"]), _fraction(band["area_cm2_up_to"])
            points += max(Fraction(0), min(area, high) - low) / _fraction(band["area_per_point_cm2"])
        self.points = (points * 2 + 1) // 2  # halves rounded up
        self.step = _fraction(self.needle["draw_step"]["value"])

    # ------------------------------------------------------------------ lines
    def _lines_and_left_out(self) -> None:
        mixed = self._mixed()
        left = [row["ingredient"] for row in self.answer["left_out"]]
        self.same("left_out", sorted(left), sorted(self.active - mixed))
        for row in self.answer["left_out"]:
            key, path = row["ingredient"], f"left_out.{row['ingredient']}"
            self.same(path, row["reason_code"] == "screened", key in self.excluded, "wrong_reason")
            if self.answer["engine_version"] not in WITHOUT_ALTERNATIVE_DOSES:
                said = row["range"] and {name: _fraction(value) for name, value in row["range"].items()}
                self.same(f"{path}.range", said, self._range(key) if self._to_be_had(key) else None)

    def _bounds(self, key: str) -> tuple[Fraction, Fraction]:
        """The least and the most of an ingredient in a session, in mL, before rounding to what can be drawn."""
        session = self.things[key]["per_session"]
        strength = _fraction(self.things[key]["stock"]["concentration"])
        most = min(_fraction(session["volume"]["max"]), _fraction(session["max_dose"]["value"]) / strength)
        if self.stock is not None:
            most = min(most, _fraction(self.stock.get(key, 0)))
        return _fraction(session["volume"]["min"]), most

    def _range(self, key: str) -> dict[str, Fraction]:
        """What an ingredient can be drawn at."""
        return {
            "volume_min_ml": self._least(key),
            "volume_usual_ml": self._usual(key),
            "volume_max_ml": self._bounds(key)[1] // self.step * self.step,
        }

    def _usual(self, key: str) -> Fraction:
        """The usual volume of an ingredient, in whole steps, inside its own limits and what is in stock."""
        volume = self.things[key]["per_session"]["volume"]
        usual = (_fraction(volume["usual"]) / self.step * 2 + 1) // 2 * self.step  # halves rounded up
        return min(max(self._least(key), usual), self._bounds(key)[1] // self.step * self.step)

    def _mixture(self) -> None:
        answer = self.answer
        self._session("syringes", answer["syringes"])
        total = sum((_fraction(syringe["volume_ml"]) for syringe in answer["syringes"]), Fraction(0))
        self.number("total_volume_ml", answer["total_volume_ml"], total)
        for session in answer["sessions"]:
            self._session(f"sessions.{session['number']}", session["syringes"])
        if not answer["edits"]:
            self._scaling("syringes", answer["syringes"])
        for edit in answer["edits"]:
            self._edit(edit)
        self._low_volume()
        self._mixture_cautions()

    def _session(self, path: str, syringes: Sequence[Mapping[str, Any]]) -> None:
        """The limits of one session, over all its syringes."""
        lines = [line for syringe in syringes for line in syringe["lines"]]
        actives = [line["ingredient"] for line in lines if self.things[line["ingredient"]]["role"] != "diluent"]
        self.holds(path, len(actives) == len(set(actives)), "ingredient_twice", found=sorted(actives))
        self.holds(
            path, len(actives) <= self.policy.max_actives, "too_many_actives", self.policy.max_actives, len(actives)
        )
        self.holds(
            path,
            len(syringes) <= self.policy.max_syringes,
            "too_many_syringes",
            self.policy.max_syringes,
            len(syringes),
        )
        self.same(f"{path}.labels", [syringe["label"] for syringe in syringes], list("ABCDEFGH"[: len(syringes)]))
        volume = Fraction(0)
        diluents: dict[str, Fraction] = {}
        for place, syringe in enumerate(syringes):
            volume += self._syringe(f"{path}[{place}]", syringe)
            for line in syringe["lines"]:
                if self.things[line["ingredient"]]["role"] == "diluent":
                    key = line["ingredient"]
                    diluents[key] = diluents.get(key, Fraction(0)) + _fraction(line["volume_ml"])
        self.holds(path, volume <= self.target, "above_target", self.target, volume)
        ceiling = _fraction(self.needle["max_total_volume_per_session"]["value"])
        self.holds(path, volume <= ceiling, "above_ceiling", ceiling, volume)
        for key, amount in diluents.items():
            self.holds(path, amount <= self._bounds(key)[1], "too_much_diluent", self._bounds(key)[1], amount)
            self.holds(path, key in self.mixing["top_up_diluents"], "not_for_topping_up", found=key)
        for a, b in combinations(sorted({line["ingredient"] for line in lines}), 2):
            for pair in self._pairs(a, b):
                if pair["scope"] == "session" and pair["severity"] != "use_immediately":
                    self.holds(path, False, "forbidden_in_one_session", found=f"{pair['key']}: {a}, {b}")
        for family in self.mixing["same_family_limit"]:
            kin = [
                key
                for key in actives
                if key in family.get("ingredients", ()) or self.things[key]["class"] in family.get("classes", ())
            ]
            self.holds(path, len(kin) <= family["max"], "too_many_of_a_family", family["max"], kin)
        self.holds(
            path,
            len(syringes) == self._fewest(actives),
            "not_the_fewest_syringes",
            self._fewest(actives),
            len(syringes),
        )
        if self.policy.ingredient_budget is not None:
            spent = sum(
                (
                    _fraction(line["volume_ml"]) * _fraction(self.things[line["ingredient"]]["relative_cost_per_ml"])
                    for line in lines
                    if line["role"] != "diluent"
                ),
                Fraction(0),
            ) * _fraction(self.course["cost_model"]["ingredient_unit_value"])
            self.holds(path, spent <= _fraction(self.policy.ingredient_budget), "over_budget", found=spent)

    def _syringe(self, path: str, syringe: Mapping[str, Any]) -> Fraction:
        lines = syringe["lines"]
        total = sum((_fraction(line["volume_ml"]) for line in lines), Fraction(0))
        self.number(f"{path}.volume_ml", syringe["volume_ml"], total)
        actives = [line for line in lines if self.things[line["ingredient"]]["role"] != "diluent"]
        self.holds(
            path,
            0 < len(actives) <= self.mixing["max_active_ingredients_per_syringe"],
            "too_many_in_a_syringe",
            self.mixing["max_active_ingredients_per_syringe"],
            len(actives),
        )
        thinned = total - sum((_fraction(line["volume_ml"]) for line in actives), Fraction(0))
        share = _fraction(self.mixing["max_diluent_share_of_syringe"])
        self.holds(path, thinned <= share * total, "diluted_too_far", share, thinned / total)
        self.number(f"{path}.diluent_share", syringe["diluent_share"], _four_digits(thinned / total))
        keys = [line["ingredient"] for line in lines]
        low, high = self._window(keys)
        self.holds(path, low <= high, "no_common_ph", found=f"{low} > {high}")
        self.holds(path, low > high or self._acidity_suits(keys), "ph_does_not_suit", found=f"{low} to {high}")
        self.number(f"{path}.ph_min", syringe["ph_min"], low)
        self.number(f"{path}.ph_max", syringe["ph_max"], high)
        hurried = set()
        for a, b in combinations(sorted(keys), 2):
            for pair in self._pairs(a, b):
                if pair["severity"] == "use_immediately":
                    hurried.add((pair["key"], a, b))
                else:
                    self.holds(path, False, "forbidden_in_one_syringe", found=f"{pair['key']}: {a}, {b}")
        said = {(row["pair"], *sorted(row["ingredients"])) for row in syringe["use_immediately"]}
        self.same(f"{path}.use_immediately", sorted(said), sorted(hurried))
        self._drawn_as(f"{path}.drawn_as", syringe["drawn_as"], total)
        if self.in_steps:
            self.number(f"{path}.ph_estimate", syringe["ph_estimate"], _tenths((low + high) / 2))
            self.same(f"{path}.osmolality", _plain_osmolality(syringe["osmolality"]), self._osmolality(lines))
        for line in lines:
            self._line(f"{path}.{line['ingredient']}", line, total)
        return total

    def _drawn_as(self, path: str, said: Mapping[str, Any], total: Fraction) -> None:
        """Parts that can be drawn: whole steps, none larger than a syringe, no two more than a step apart."""
        largest = max(_fraction(volume) for volume in self.needle["syringe"]["volumes"])
        if not self.in_steps:
            count = -(-total // largest)
            self.same(f"{path}.count", said["count"], int(count))
            self.number(f"{path}.each_ml", _fraction(said["each_ml"]) * count, total)
            return
        count = -(-total // (largest // self.step * self.step))
        self.same(f"{path}.count", said["count"], int(count))
        parts = [_fraction(part) for part in said["parts_ml"]]
        self.same(f"{path}.parts_ml", len(parts), said["count"])
        self.same(f"{path}.parts_ml", sum(parts, Fraction(0)), total, "parts_do_not_add_up")
        for part in parts:
            self.holds(f"{path}.parts_ml", (part / self.step).denominator == 1, "not_drawable", self.step, part)
        spread = max(parts, default=total) - min(parts, default=total)
        self.holds(f"{path}.parts_ml", spread <= self.step, "unequal_parts", found=parts)
        self.same(f"{path}.parts_ml", parts, sorted(parts, reverse=True), "smaller_part_first")

    def _osmolality(self, lines: Iterable[Mapping[str, Any]]) -> tuple[Fraction | None, list[str]]:
        """The estimate by volume, rounded up to tens; none, and of which it is unknown, where one of them is."""
        weighed = volume = Fraction(0)
        unknown = []
        for line in lines:
            amount = self._strength(line["ingredient"])
            if amount is None:
                unknown.append(line["ingredient"])
                continue
            weighed += amount * _fraction(line["volume_ml"])
            volume += _fraction(line["volume_ml"])
        return (None, sorted(unknown)) if unknown else (-(-weighed // (volume * 10)) * Fraction(10), [])

    def _strength(self, key: str) -> Fraction | None:
        """The osmolality of an ingredient as supplied; None where it is unknown."""
        said = self.things[key]["solution"].get("osmolality")
        return None if said is None or said["value"] is None else _fraction(said["value"])

    def _line(self, path: str, line: Mapping[str, Any], mixture: Fraction) -> None:
        key = line["ingredient"]
        thing = self.things[key]
        session, stock = thing["per_session"], thing["stock"]
        self.holds(path, key in self.active, "not_active", found=key)
        self.holds(path, key not in self.excluded, "screened_out", found=key)
        self.holds(path, key not in self.policy.avoid, "against_preference", found=key)
        if thing["regulatory"]["prescription_only"]:
            self.holds(path, self.policy.allow_prescription, "prescription_not_allowed", found=key)
        for name, expected in (
            ("role", thing["role"]),
            ("name", thing["name"]),
            ("dose_unit", session["dose"]["unit"]),
            ("concentration_unit", stock["concentration_unit"]),
            ("prescription_only", thing["regulatory"]["prescription_only"]),
        ):
            self.same(f"{path}.{name}", line[name], expected)
        self.same(f"{path}.unit", f"{line['dose_unit']}/mL", line["concentration_unit"], "mixed_units")
        volume, strength = _fraction(line["volume_ml"]), _fraction(stock["concentration"])
        self.number(f"{path}.stock_concentration", line["stock_concentration"], strength)
        least, most = self._bounds(key)
        self.holds(path, least <= volume, "below_minimum", least, volume)
        self.holds(path, volume <= most, "above_maximum", most, volume)
        self.holds(path, volume > 0 and (volume / self.step).denominator == 1, "not_drawable", self.step, volume)
        self.number(f"{path}.dose", line["dose"], volume * strength)
        self.holds(path, volume * strength <= _fraction(session["max_dose"]["value"]), "above_maximum_dose")
        self.number(f"{path}.max_dose", line["max_dose"], _fraction(session["max_dose"]["value"]))
        self.number(
            f"{path}.final_concentration", line["final_concentration"], _four_digits(volume * strength / mixture)
        )
        self.number(f"{path}.volume_min_ml", line["volume_min_ml"], self._least(key))
        self.number(f"{path}.volume_max_ml", line["volume_max_ml"], most // self.step * self.step)
        self.number(f"{path}.volume_usual_ml", line["volume_usual_ml"], self._usual(key))
        serves = {
            address["concern"]: address
            for address in thing["concerns"]
            if address["concern"] in self.severity and self._benefit(key, address["concern"]) > 0
        }
        self.same(f"{path}.addresses", {row["concern"] for row in line["addresses"]}, set(serves))
        if thing["role"] != "diluent":
            self.holds(path, bool(serves), "serves_no_concern", found=key)
        else:
            self.same(f"{path}.marginal_value", line["marginal_value"], None)
        by_hand = {edit["ingredient"] for edit in self.answer["edits"] if edit["op"] == "set_volume"}
        self.same(f"{path}.set_by_hand", line["set_by_hand"], key in by_hand)
        kinds = {entry["id"]: entry["kind"] for entry in self.documents["sources"]["sources"]}
        for row in line["addresses"]:
            entry = serves.get(row["concern"])
            if entry is None:
                continue
            where = f"{path}.addresses.{row['concern']}"
            self.same(f"{where}.strength", row["strength"], entry["strength"])
            self.same(f"{where}.evidence_grade", row["evidence_grade"], entry["evidence_grade"])
            self.same(f"{where}.direction", row["direction"], entry["direction"])
            self.same(f"{where}.sources", list(row["sources"]), list(entry["source_ids"]))
            alone = entry["direction"] == "untested" and "web_article" in [kinds[s] for s in entry["source_ids"]]
            self.same(f"{where}.web_article_only", row["web_article_only"], alone)

    def _pairs(self, a: str, b: str) -> Iterator[Mapping[str, Any]]:
        for pair in self.documents["screening"]["incompatibilities"]:
            if (self._side(pair["a"], a) and self._side(pair["b"], b)) or (
                self._side(pair["a"], b) and self._side(pair["b"], a)
            ):
                yield pair

    def _side(self, side: Any, key: str) -> bool:
        thing = self.things[key]
        if isinstance(side, str):
            return side == key
        if "any_active" in side:
            return bool(thing["role"] != "diluent")
        if "flag" in side:
            return bool(thing["flags"].get(side["flag"]) == side["equals"])
        if "class" in side:
            return bool(thing["class"] == side["class"])
        return bool(thing["solution"]["solvent"] == side["solvent"])

    def _window(self, keys: Sequence[str]) -> tuple[Fraction, Fraction]:
        """The pH that suits all of these; what is unbuffered takes any."""
        solutions = [self.things[key]["solution"] for key in keys]
        buffered = [solution for solution in solutions if not solution.get("unbuffered")]
        return (
            max((_fraction(solution["ph_min"]) for solution in buffered), default=Fraction(0)),
            min((_fraction(solution["ph_max"]) for solution in buffered), default=Fraction(14)),
        )

    def _well_inside(self, low: Fraction, high: Fraction) -> bool:
        """Whether enough of a window lies where the pH of a mixture should."""
        if self.limits is None:
            return True
        final = self.limits["final_ph"]
        part = min(high, _fraction(final["max"])) - max(low, _fraction(final["min"]))
        return part >= _fraction(self.limits["ph_window"]["min_width"])

    def _acidity_suits(self, keys: Sequence[str]) -> bool:
        """Whether the window of a mixture is wide enough, and takes none of it where it need not be."""
        low, high = self._window(keys)
        if self.limits is None or len(keys) == 1:
            return low <= high
        if high - low < _fraction(self.limits["ph_window"]["min_width"]):
            return sum(1 for key in keys if not self.things[key]["solution"].get("unbuffered")) == 1
        return self._well_inside(low, high) or not any(
            self._well_inside(*self._window([key]))
            for key in keys
            if not self.things[key]["solution"].get("unbuffered")
        )

    def _together(self, keys: Sequence[str]) -> bool:
        """Whether these may be one mixture."""
        if len(keys) > self.mixing["max_active_ingredients_per_syringe"]:
            return False
        return self._acidity_suits(keys) and not any(
            pair["severity"] != "use_immediately" for a, b in combinations(keys, 2) for pair in self._pairs(a, b)
        )

    def _fewest(self, keys: Sequence[str]) -> int:
        """The fewest mixtures, by trying every way to put one after another into an open or a new one."""
        best = len(keys)

        def place(rest: Sequence[str], groups: list[list[str]]) -> None:
            nonlocal best
            if len(groups) >= best:
                return
            if not rest:
                best = len(groups)
                return
            for number, group in enumerate([*groups, []]):
                grown = [*group, rest[0]]
                if self._together(grown):
                    place(rest[1:], [*groups[:number], grown, *groups[number + 1 :]])

        place(sorted(keys), [])
        return best

    def _scaling(self, path: str, syringes: Sequence[Mapping[str, Any]]) -> None:
        """The engine's own volumes: lowered only for the target, thinned before raised, short only when all is used."""
        lines = [(syringe, line) for syringe in syringes for line in syringe["lines"]]
        drawn = self.target // self.step * self.step
        total = sum((_fraction(line["volume_ml"]) for _, line in lines), Fraction(0))
        actives = [(s, line) for s, line in lines if line["role"] != "diluent"]
        usual = sum((_fraction(line["volume_usual_ml"]) for _, line in actives), Fraction(0))
        raised = [line for _, line in actives if _fraction(line["volume_ml"]) > _fraction(line["volume_usual_ml"])]
        lowered = [line for _, line in actives if _fraction(line["volume_ml"]) < _fraction(line["volume_usual_ml"])]
        if lowered:
            self.holds(path, usual > drawn and not raised, "lowered_without_need", found=lowered[0]["ingredient"])
            self.holds(path, total == drawn, "lowered_too_far", drawn, total)
        if usual >= drawn:
            self.holds(path, len(lines) == len(actives), "diluted_without_need")
        full = all(_fraction(line["volume_ml"]) == _fraction(line["volume_max_ml"]) for _, line in actives)
        if total < drawn and self.policy.ingredient_budget is None:
            self.holds(path, full, "short_without_need", drawn, total)

    def _edit(self, edit: Mapping[str, Any]) -> None:
        held = {line["ingredient"]: line for syringe in self.answer["syringes"] for line in syringe["lines"]}
        path = f"edits.{edit['op']}"
        later = self.answer["edits"]
        gone = {other["ingredient"] for other in later if other["op"] in ("remove", "swap")}
        come = {other["ingredient"] for other in later if other["op"] == "add"}
        come |= {other["with"] for other in later if other["op"] == "swap"}
        if edit["op"] in ("remove", "swap") and edit["ingredient"] not in come:
            self.holds(path, edit["ingredient"] not in held, "edit_not_carried_out", found=edit["ingredient"])
        added = edit["ingredient"] if edit["op"] == "add" else edit.get("with")
        if added is not None and added not in gone:
            self.holds(path, added in held, "edit_not_carried_out", found=added)
        if edit["op"] == "set_volume":
            last = [e for e in later if e["op"] == "set_volume" and e["ingredient"] == edit["ingredient"]][-1]
            line = held.get(edit["ingredient"])
            said = None if line is None else _fraction(line["volume_ml"])
            self.same(path, said, _fraction(last["volume_ml"]), "edit_not_carried_out")

    def _low_volume(self) -> None:
        least = _fraction(self.needle["volume_per_point"]["min"]) * self.points
        low, empty = set(), set()
        for number in range(1, self.answer["course"]["sessions"] + 1):
            syringes = self._of_session(number)
            volume = sum((_fraction(s["volume_ml"]) for s in syringes), Fraction(0))
            if syringes and volume < least:
                low.add(number)
            if not syringes and self.answer["syringes"]:
                empty.add(number)
        for rule, expected in (("volume_below_minimum", low), ("session_without_mixture", empty)):
            said = {n for row in self.answer["cautions"] if row["rule"] == rule for n in row["params"]["sessions"]}
            self.same(f"cautions.{rule}", said, expected)

    # ------------------------------------------------------------------ mixtures as they are injected
    def _mixture_cautions(self) -> None:
        """What is short of the limits of a mixture is said, of each mixture of each session, and nothing else is."""
        found: dict[str, set[tuple[str, int]]] = {rule: set() for rule in OWN_CAUTIONS[2:]}
        if self.limits is not None:
            highest = _fraction(self.limits["osmolality"]["max"])
            apart = [(session["number"], session["syringes"]) for session in self.answer["sessions"]]
            for number, syringes in apart or [(1, self.answer["syringes"])]:
                volumes = [sum(_fraction(line["volume_ml"]) for line in syringe["lines"]) for syringe in syringes]
                least = _fraction(self.limits["smallest_syringe"]["min_share"]) * sum(volumes)
                for syringe, volume in zip(syringes, volumes, strict=True):
                    place = (syringe["label"], number)
                    estimate, unknown = self._osmolality(syringe["lines"])
                    if not self._well_inside(*self._window([line["ingredient"] for line in syringe["lines"]])):
                        found["ph_outside_limits"].add(place)
                    if unknown:
                        found["osmolality_unknown"].add(place)
                    if estimate is not None and estimate > highest:
                        found["osmolality_above_limit"].add(place)
                    if volume < least:
                        found["small_syringe"].add(place)
                        self.holds(f"session {number}", number > 1, "syringe_too_small", found=syringe["label"])
        for rule, places in found.items():
            said = {
                (entry["syringe"], number)
                for row in self.answer["cautions"]
                if row["rule"] == rule
                for entry in row["params"]["syringes"]
                for number in entry["sessions"]
            }
            self.same(f"cautions.{rule}", said, places)

    def _worth_drawing(self, keys: Sequence[str]) -> bool:
        """Whether there is a way, with the fewest mixtures, in which each serves enough of the points."""
        if self.limits is None or len(keys) < 2:
            return True
        share = _fraction(self.limits["smallest_syringe"]["min_share"])
        count = self._fewest(keys)
        for groups in self._ways(sorted(keys), [], count):
            volumes = self._volumes(groups)
            if min(volumes) >= share * sum(volumes):
                return True
        return False

    def _ways(self, rest: Sequence[str], groups: list[list[str]], count: int) -> Iterator[list[list[str]]]:
        if not rest:
            if len(groups) == count:
                yield groups
            return
        for number, group in enumerate([*groups, []]):
            grown = [*group, rest[0]]
            if number < count and self._together(grown):
                yield from self._ways(rest[1:], [*groups[:number], grown, *groups[number + 1 :]], count)

    def _volumes(self, groups: Sequence[Sequence[str]]) -> list[Fraction]:
        """What mixtures of these come to by the rule of dosing: all lowerings, or all rises, in their order at once."""
        keys = sorted(key for group in groups for key in group)
        drawn, step = self.target // self.step * self.step, self.step
        volume = {key: self._usual(key) for key in keys}
        whole = sum(volume.values(), Fraction(0))
        if whole > drawn:
            lowered = []
            for key in keys:
                usual, least = volume[key], max(self._least(key), step)
                lowered += [(-(usual - step * k) / usual, key) for k in range(int((usual - least) / step))]
            for _, key in sorted(lowered)[: int((whole - drawn) / step)]:
                volume[key] -= step
        else:
            self._raise(volume, groups, drawn)
        thinner = self._thinner()
        room = [self._room_for(thinner, group, volume) for group in groups]
        short = drawn - sum(volume.values(), Fraction(0))
        poured = min(self._most_diluent(thinner, room), max(short, Fraction(0)))
        total = sum(volume.values(), Fraction(0)) + poured
        own = [sum((volume[key] for key in group), Fraction(0)) for group in groups]
        shares = self._shared_out(poured, room)
        needs = [
            min(each, self._needed(thinner, group, volume, total)) for each, group in zip(room, groups, strict=True)
        ]
        if any(share < need for share, need in zip(shares, needs, strict=True)):
            first = needs if sum(needs) <= poured else self._shared_out(poured, needs)
            left = [a - b for a, b in zip(room, first, strict=True)]
            more = self._shared_out(poured - sum(first, Fraction(0)), left)
            shares = [a + b for a, b in zip(first, more, strict=True)]
        return [a + b for a, b in zip(own, shares, strict=True)]

    def _raise(self, volume: dict[str, Fraction], groups: Sequence[Sequence[str]], drawn: Fraction) -> None:
        thinner, step = self._thinner(), self.step
        rises = []
        for key, usual in volume.items():
            most = self._bounds(key)[1] // step * step
            rises += [(step * k / (most - usual), key) for k in range(1, int((most - usual) / step) + 1)]
        unit = _fraction(self.course["cost_model"]["ingredient_unit_value"])
        price = {key: unit * _fraction(self.things[key]["relative_cost_per_ml"]) for key in volume}
        budget = self.policy.ingredient_budget
        closed = set()
        for _, key in sorted(rises):
            room = [self._room_for(thinner, group, volume) for group in groups]
            if sum(volume.values(), Fraction(0)) + self._most_diluent(thinner, room) >= drawn:
                return
            spent = sum((price[each] * amount for each, amount in volume.items()), Fraction(0))
            if budget is not None and spent + price[key] * step > _fraction(budget):
                closed.add(key)
            if key not in closed:
                volume[key] += step

    def _thinner(self) -> str | None:
        """The diluent that tops up: the first that may be given and can be drawn."""
        for key in self.mixing["top_up_diluents"]:
            most = self._bounds(key)[1] // self.step * self.step
            fits = most >= max(self.step, self._least(key)) and self._least(key) <= self.target
            refused = key in self.excluded or key in self.policy.avoid
            if self.things[key]["regulatory"]["prescription_only"] and not self.policy.allow_prescription:
                refused = True
            if key in self.active and fits and not refused:
                return str(key)
        return None

    def _room_for(self, thinner: str | None, group: Sequence[str], volume: Mapping[str, Fraction]) -> Fraction:
        """How much of the diluent a mixture could take."""
        if thinner is None or not all(
            self._acidity_suits([key, thinner])
            and all(pair["severity"] == "use_immediately" for pair in self._pairs(key, thinner))
            for key in group
        ):
            return Fraction(0)
        share = _fraction(self.mixing["max_diluent_share_of_syringe"])
        own = sum((volume[key] for key in group), Fraction(0))
        return own * share / (1 - share) // self.step * self.step

    def _most_diluent(self, thinner: str | None, room: Sequence[Fraction]) -> Fraction:
        if thinner is None:
            return Fraction(0)
        return min(sum(room, Fraction(0)), self._bounds(thinner)[1] // self.step * self.step)

    def _needed(
        self, thinner: str | None, group: Sequence[str], volume: Mapping[str, Fraction], total: Fraction
    ) -> Fraction:
        """The diluent without which a mixture is too small or too concentrated."""
        if self.limits is None or thinner is None:
            return Fraction(0)
        step, own = self.step, sum((volume[key] for key in group), Fraction(0))
        least = _fraction(self.limits["smallest_syringe"]["min_share"]) * total
        needed = max(Fraction(0), -(-least // step) * step - own)
        highest, thin = _fraction(self.limits["osmolality"]["max"]), self._strength(thinner)
        strengths = [(volume[key], self._strength(key)) for key in group]
        if thin is None or thin >= highest or any(strength is None for _, strength in strengths):
            return needed
        excess = sum((amount * (strength - highest) for amount, strength in strengths if strength is not None))
        return max(needed, -(-excess / (highest - thin) // step) * step)

    def _shared_out(self, amount: Fraction, room: Sequence[Fraction]) -> list[Fraction]:
        """An amount in whole steps, in proportion to the rooms: the largest remainders get the steps left over."""
        whole, step = sum(room, Fraction(0)), self.step
        if amount <= 0 or whole == 0:
            return [Fraction(0) for _ in room]
        exact = [amount * each / whole for each in room]
        given = [each // step * step for each in exact]
        left = int((amount - sum(given, Fraction(0))) / step)
        order = sorted(range(len(room)), key=lambda place: (given[place] - exact[place], place))
        for place in order[:left]:
            given[place] += step
        return given

    def _planned(self) -> list[list[Mapping[str, Any]]]:
        """The lines of each session."""
        numbers = range(1, self.answer["course"]["sessions"] + 1)
        return [[line for syringe in self._of_session(number) for line in syringe["lines"]] for number in numbers]

    def _of_session(self, number: int) -> Sequence[Mapping[str, Any]]:
        for session in self.answer["sessions"]:
            if session["number"] == number:
                return list(session["syringes"])
        return list(self.answer["syringes"])

    # ------------------------------------------------------------------ first choices
    def _before_edits(self, actives: Iterable[str]) -> set[str]:
        """What the engine itself had chosen: the edits of who is in, undone from the last to the first."""
        held = set(actives)
        for edit in reversed(self.answer["edits"]):
            came = edit["ingredient"] if edit["op"] == "add" else edit.get("with")
            went = edit["ingredient"] if edit["op"] in ("remove", "swap") else None
            if came is not None:
                self.holds(f"edits.{edit['op']}", came in held, "edit_not_carried_out", found=came)
                held.discard(came)
            if went is not None:
                self.holds(f"edits.{edit['op']}", went not in held, "edit_not_carried_out", found=went)
                held.add(went)
        return held

    def _to_be_had(self, key: str) -> bool:
        """Whether an ingredient could be in this plan at all: nothing about it alone stands against it."""
        thing = self.things[key]
        if thing["role"] == "diluent" or key not in self.active or key in self.excluded or key in self.policy.avoid:
            return False
        if thing["regulatory"]["prescription_only"] and not self.policy.allow_prescription:
            return False
        least = max(self._least(key), self.step)
        if least > self._bounds(key)[1] or least > self.target:
            return False
        return any(
            self._benefit(key, concern) * _fraction(self.policy.severity_weight[severity]) > 0
            for concern, severity in self.severity.items()
        )

    def _least(self, key: str) -> Fraction:
        return -(-_fraction(self.things[key]["per_session"]["volume"]["min"]) // self.step) * self.step

    def _wanted(self) -> list[tuple[str, str, str | None, bool]]:
        """Concern, first choice, the ingredient to have for it, and whether that one stands in."""
        entries = {entry["key"]: entry["anchors"] for entry in self.documents["concerns"]["concerns"]}
        found: list[tuple[str, str, str | None, bool]] = []
        for concern in self.severity:
            reserve = [key for key in entries[concern]["supporting"] if self._to_be_had(key)]
            reserve.sort(key=lambda key: self._in_reserve(key, concern))
            for first in entries[concern]["first_choice"]:
                if self._to_be_had(first):
                    found.append((concern, first, first, False))
                elif reserve:
                    found.append((concern, first, reserve.pop(0), True))
                else:
                    found.append((concern, first, None, False))
        return found

    def _in_reserve(self, key: str, concern: str) -> tuple[Fraction, Fraction, str]:
        return -self._benefit(key, concern), _fraction(self.things[key]["relative_cost_per_ml"]), key

    def _broken(self, keys: Sequence[str]) -> set[str]:
        """Every limit that these ingredients together would break."""
        broken = set()
        if len(keys) > self.policy.max_actives:
            broken.add("max_actives")
        for a, b in combinations(keys, 2):
            if any(p["scope"] == "session" and p["severity"] != "use_immediately" for p in self._pairs(a, b)):
                broken.add("pair")
        for family in self.mixing["same_family_limit"]:
            kin, classes = family.get("ingredients", ()), family.get("classes", ())
            if sum(1 for key in keys if key in kin or self.things[key]["class"] in classes) > family["max"]:
                broken.add("family")
        if sum((max(self._least(key), self.step) for key in keys), Fraction(0)) > self.target:
            broken.add("volume")
        if self.policy.ingredient_budget is not None:
            units = sum(
                (self._usual(key) * _fraction(self.things[key]["relative_cost_per_ml"]) for key in keys), Fraction(0)
            )
            price = units * _fraction(self.course["cost_model"]["ingredient_unit_value"])
            if price > _fraction(self.policy.ingredient_budget):
                broken.add("budget")
        if not broken and self._fewest(keys) > self.policy.max_syringes:
            broken.add("syringes")
        return broken

    def _requirements(self) -> None:
        """The first choices: each is in, or stood in for, or a limit or an edit keeps it out, none without need."""
        wanted = self._wanted()
        actives = sorted(key for key in self._first_held() if self.things[key]["role"] != "diluent")
        own = self._before_edits(actives)
        said = {(row["concern"], row["first_choice"]): row for row in self.answer["requirements"]}
        self.same("requirements", len(self.answer["requirements"]), len(wanted))
        for concern, first, key, stand_in in wanted:
            path, row = f"requirements.{concern}.{first}", said.get((concern, first))
            if row is None:
                self.holds(path, False, "requirement_missing", found=first)
                continue
            self.same(f"{path}.ingredient", row["ingredient"], key)
            broken: set[str] = set()
            if key is None:
                state = "no_substitute"
            elif key in actives:
                state = "substituted" if stand_in else "met"
            elif key in own:
                state = "removed"
            else:
                broken = self._broken([*actives, key])
                if not broken and not self._worth_drawing([*actives, key]):
                    broken = {"small_syringe"}
                state = "gave_way" if broken else "could_return"
            self.same(f"{path}.state", row["state"], state)
            agrees = row["limit"] in broken if broken else row["limit"] is None
            self.holds(f"{path}.limit", agrees, "wrong_limit", broken, row["limit"])
        for syringe in self._every_syringe():
            for line in syringe["lines"]:
                for name, expected in (
                    ("required_by", {c for c, _, key, other in wanted if key == line["ingredient"] and not other}),
                    ("stands_in_for", {(c, f) for c, f, key, other in wanted if key == line["ingredient"] and other}),
                ):
                    rows = line[name]
                    told = {(row["concern"], row["ingredient"]) for row in rows} if name == "stands_in_for" else rows
                    self.same(f"{line['ingredient']}.{name}", set(told), expected)
        self.own = own
        self._none_without_need(wanted, own)

    def _first_held(self) -> set[str]:
        return {line["ingredient"] for syringe in self.answer["syringes"] for line in syringe["lines"]}

    def _none_without_need(self, wanted: Sequence[tuple[str, str, str | None, bool]], own: set[str]) -> None:
        """No other choice of required ingredients meets more of the severe concerns, then the moderate, then the mild.

        Every limit that breaks for a set breaks for a larger one too, so that it is enough to try required ones alone.
        """
        counts: dict[str, list[int]] = {}
        for concern, _first, key, _stand_in in wanted:
            if key is not None:
                counts.setdefault(key, [0, 0, 0])[LEVELS[self.severity[concern]]] += 1
        keys = sorted(counts, key=lambda key: (counts[key], key), reverse=True)

        def met(chosen: Iterable[str]) -> list[int]:
            rows = [counts[key] for key in chosen if key in counts]
            return [sum(row[level] for row in rows) for level in range(3)]

        best, standard = list[str](), met(own)

        def search(chosen: list[str], place: int) -> None:
            nonlocal best
            if met(chosen) > max(met(best), standard) and self._worth_drawing(chosen):
                best = list(chosen)
            if best or place == len(keys) or met([*chosen, *keys[place:]]) <= standard:
                return
            if not self._broken([*chosen, keys[place]]):
                search([*chosen, keys[place]], place + 1)
            search(chosen, place + 1)

        search([], 0)
        self.holds("requirements", not best, "first_choice_left_out", best, sorted(own))

    # ------------------------------------------------------------------ value
    def _benefit(self, key: str, concern: str) -> Fraction:
        for address in self.things[key]["concerns"]:
            if address["concern"] == concern:
                return (
                    Fraction(address["strength"])
                    * _fraction(self.policy.grade_weight[address["evidence_grade"]])
                    * _fraction(self.policy.direction_weight[address["direction"]])
                )
        return Fraction(0)

    def _worth(self, keys: Iterable[str]) -> Fraction:
        chosen = sorted(keys)
        worth = Fraction(0)
        for concern, severity in self.severity.items():
            weight = _fraction(self.policy.severity_weight[severity])
            for rank, benefit in enumerate(sorted((self._benefit(key, concern) for key in chosen), reverse=True)):
                worth += weight * benefit / Fraction(2**rank)
        worth -= _fraction(self.policy.simplicity) * len(chosen)
        for rule in self.rules.values():
            if rule["severity"] == "caution" and self._true(rule["trigger"], self._leaf):
                aim = self._aim(rule)
                if aim is not None and aim & set(chosen):
                    worth -= _fraction(self.policy.caution)
        return worth - _fraction(self.policy.extra_syringe) * max(0, self._fewest(chosen) - 1)

    def _value(self) -> None:
        answer = self.answer
        actives = [line for syringe in answer["syringes"] for line in syringe["lines"] if line["role"] != "diluent"]
        keys = [line["ingredient"] for line in actives]
        worth = self._worth(keys)
        self.number("value", answer["value"], worth)
        adds = {key: worth - self._worth(other for other in keys if other != key) for key in set(keys)}
        for line in (line for syringe in self._every_syringe() for line in syringe["lines"]):
            if line["ingredient"] in adds:
                key = line["ingredient"]
                self.number(f"{key}.marginal_value", line["marginal_value"], adds[key])
        for place, row in enumerate(answer["alternatives"]):
            if row.get("kind") == "waiting":
                continue  # held apart: it has no mixture
            other = self._worth(row["ingredients"])
            self.number(f"alternatives[{place}].value", row["value"], other)
            self.number(f"alternatives[{place}].value_difference", row["value_difference"], other - worth)
            for key in row["ingredients"]:
                self.holds(f"alternatives[{place}]", self._to_be_had(key), "screened_out", found=key)
            self.same(f"alternatives[{place}]", self._broken(row["ingredients"]), set(), "breaks_a_limit")
            if not self._broken(row["ingredients"]):
                self.holds(f"alternatives[{place}]", self._worth_drawing(row["ingredients"]), "syringe_too_small")
            if answer["engine_version"] not in WITHOUT_ALTERNATIVE_DOSES:
                self._alternative(f"alternatives[{place}]", row)
        self.number("value_cost", answer["value_cost"], self._worth(self.own) - worth)

    def _willing(self) -> str:
        """What may be treated waits where the practitioner said so."""
        return "waiting" if any(edit["op"] == "wait" for edit in self.answer.get("edits", ())) else "proposed"

    def _looked_at_again(self) -> tuple[int, set[str], set[str]]:
        """In how many days somebody who waits is seen again, which concerns settle by themselves, by which rules."""
        entries = {entry["key"]: entry for entry in self.documents["concerns"]["concerns"]}
        weeks = {
            concern: entries[concern]["settles_by_itself"]["review"]["value"]
            for concern in self.severity
            if entries[concern].get("settles_by_itself")
        }
        if set(weeks) == set(self.severity):
            return min(weeks.values()) * 7, set(weeks), {f"concerns.{key}.settles_by_itself" for key in weeks}
        if "waiting" in self.course:
            return self.course["waiting"]["review"]["value"] * 7, set(weeks), {"course.waiting"}
        ends = [entry["when"].get("days_after_last_session", 0) for entry in self.course["checkpoints"]]
        return max(ends), set(weeks), {"course.checkpoints"}

    def _waiting(self) -> None:
        """Waiting: once among the alternatives, first where something speaks for it, and with its day."""
        answer = self.answer
        days, settling, rules = self._looked_at_again()
        said = answer["waiting"] and (answer["waiting"]["days"], set(answer["waiting"]["rules"]))
        self.same("waiting", said, (days, rules) if answer["status"] == "waiting" else None)
        places = [place for place, row in enumerate(answer["alternatives"]) if row["kind"] == "waiting"]
        if answer["status"] != "proposed":
            self.same("alternatives", places, [], "waiting_without_a_plan")
            return
        reasons = {"settles_by_itself"} if settling == set(self.severity) else set()
        if not answer["syringes"]:
            reasons.add("no_mixture")
        elif _fraction(answer["value"]) < 0:
            reasons.add("value_below_zero")
        last = len(answer["alternatives"]) - 1
        self.same("alternatives.waiting", places, [0 if reasons else last], "waiting_in_another_place")
        for place, other in enumerate(answer["alternatives"]):
            if place not in places:
                self.same(f"alternatives[{place}].kind", (other["kind"], other["review"]), ("mixture", None))
        for place in places:
            row, path = answer["alternatives"][place], f"alternatives[{place}]"
            self.same(f"{path}.rules", set(row["review"]["rules"]), rules)
            self.same(f"{path}.because", {reason["code"] for reason in row["review"]["because"]}, reasons)
            self.same(f"{path}.review", row["review"]["days"], days)
            self.same(f"{path}.ingredients", [row["ingredients"], row["lines"], row["sessions"]], [[], [], []])
            self.number(f"{path}.value", row["value"], 0)
            self.number(f"{path}.value_difference", row["value_difference"], -_fraction(answer["value"]))
            saved = _fraction(answer["cost"]["total"]) if answer["syringes"] else Fraction(0)
            self.number(f"{path}.cost_total", row["cost_total"], 0)
            self.number(f"{path}.cost_difference", row["cost_difference"], -saved)

    def _contributions(self) -> None:
        """What each ingredient adds and has to earn, by taking it out and putting it in; and the rule that decided."""
        keys = sorted(key for key in self._first_held() if self.things[key]["role"] != "diluent")
        rules = self.mixing.get("contribution_in_words") or {
            "much_from": 2 * _fraction(self.mixing["selection_weights"]["simplicity_per_active"]),
            "some_from": self.mixing["selection_weights"]["simplicity_per_active"],
        }

        def worded(amount: Fraction) -> str:
            if amount >= _fraction(rules["much_from"]):
                return "much"
            return "some" if amount >= _fraction(rules["some_from"]) else "little"

        rows = {row["ingredient"]: row for row in self.answer["contributions"]}
        self.same("contributions", len(rows), len(self.answer["contributions"]), "ingredient_twice")
        self.same("contributions.held", sorted(key for key, row in rows.items() if row["held"]), keys)
        weighed = {"adds_too_little", "not_chosen", "removed_by_hand", "displaced"}
        reasons = {row["ingredient"]: row["reason_code"] for row in self.answer["left_out"]}
        out = sorted(key for key, reason in reasons.items() if reason in weighed)
        self.same("contributions.left_out", sorted(key for key, row in rows.items() if not row["held"]), out)
        wanted = self._wanted()
        for key, row in rows.items():
            path = f"contributions.{key}"
            rest, whole = [k for k in keys if k != key], sorted({*keys, key})
            served = {c: self._serving(whole, c) - self._serving(rest, c) for c in self.severity}
            gross = sum(served.values(), Fraction(0))
            self.number(f"{path}.gross", row["gross"], gross)
            self.same(f"{path}.adds", row["adds"], worded(gross))
            said = {each["concern"]: (_fraction(each["value"]), each["much"]) for each in row["serves"]}
            self.same(f"{path}.serves", said, {c: (amount, worded(amount)) for c, amount in served.items() if amount})
            fits = row["held"] or not self._broken(whole)
            needed = gross - (self._worth(whole) - self._worth(rest)) if fits else _fraction(self.policy.simplicity)
            self.number(f"{path}.needed", row["needed"], needed)
            told = (row["needed_for"]["cautions"], row["needed_for"]["mixtures"])
            more = max(0, self._fewest(whole) - 1) - max(0, self._fewest(rest) - 1) if fits else 0
            charged = needed - _fraction(self.policy.simplicity) - more * _fraction(self.policy.extra_syringe)
            self.same(f"{path}.needed_for", told, (self._warned(whole) - self._warned(rest) if fits else 0, more))
            self.number(f"{path}.cautions", told[0] * _fraction(self.policy.caution), charged)
            short = set() if fits or reasons[key] == "removed_by_hand" else self._broken(whole)
            self.holds(f"{path}.limit", row["limit"] in short if short else row["limit"] is None, "wrong_limit", short)
            by = self._decided_by(key, row["held"], reasons.get(key, ""), gross >= needed, wanted)
            self.same(f"{path}.decided_by", row["decided_by"], by)
            firsts = [c for c, _first, wanted_key, _stands in wanted if wanted_key == key]
            self.same(f"{path}.first_choice_of", sorted(row["first_choice_of"]), sorted(firsts))
            self.same(f"{path}.price", row["price"] and _fraction(row["price"]), self._own_price(key, row["held"]))

    def _warned(self, keys: Iterable[str]) -> int:
        """How many cautions are aimed at one of these."""
        chosen, fired = set(keys), [rule for rule in self.rules.values() if rule["severity"] == "caution"]
        aims = [self._aim(rule) for rule in fired if self._true(rule["trigger"], self._leaf)]
        return sum(1 for aim in aims if aim is not None and aim & chosen)

    def _serving(self, keys: Iterable[str], concern: str) -> Fraction:
        """How well these serve one concern: the best whole, the next by half, and so on."""
        weight = _fraction(self.policy.severity_weight[self.severity[concern]])
        amounts = sorted((self._benefit(key, concern) for key in keys), reverse=True)
        return sum((weight * amount / 2**rank for rank, amount in enumerate(amounts)), Fraction(0))

    def _decided_by(
        self, key: str, held: bool, reason: str, pays: bool, wanted: Sequence[tuple[str, str, str | None, bool]]
    ) -> str:
        if not held:
            by_reason = {"displaced": "limit", "removed_by_hand": "by_hand", "not_chosen": "by_hand"}
            return by_reason.get(reason, "value")
        if key not in self.own:
            return "by_hand"
        stands = [stand_in for _concern, _first, wanted_key, stand_in in wanted if wanted_key == key]
        if stands:
            return "stands_in" if all(stands) else "first_choice"
        return "value" if pays else "kept"

    def _own_price(self, key: str, held: bool) -> Fraction | None:
        """What one ingredient comes to in the whole course."""
        if not held:
            return None
        model, course = self.course["cost_model"], self._planned()
        mine = [_fraction(line["volume_ml"]) for lines in course for line in lines if line["ingredient"] == key]
        units = (
            sum(mine, Fraction(0))
            * _fraction(self.things[key]["relative_cost_per_ml"])
            * _fraction(model["ingredient_unit_value"])
        )
        package = [_fraction(e["multiplier"]) for e in model["package"] if e["sessions"] == len(course)]
        return _cents(units * _fraction(self.policy.price_per_unit) * (package[0] if package else 1))

    def _alternative(self, path: str, row: Mapping[str, Any]) -> None:
        """The doses of an alternative, session by session, and what its course would cost."""
        days = self.answer["course"]["offsets_days"]
        apart = {session["number"]: session["lines"] for session in row["sessions"]}
        courses = [list(apart.get(number, row["lines"])) for number in range(1, len(days) + 1)]
        given = sorted(
            line["ingredient"] for line in row["lines"] if self.things[line["ingredient"]]["role"] != "diluent"
        )
        self.same(f"{path}.lines", given, sorted(row["ingredients"]))
        last: dict[str, int] = {}
        for number, (day, lines) in enumerate(zip(days, courses, strict=True), start=1):
            where = f"{path}.session[{number}]"
            held = [line["ingredient"] for line in lines]
            self.holds(where, len(held) == len(set(held)), "ingredient_twice", found=held)
            for key in sorted({*row["ingredients"], *held}):
                own = self.things[key]["per_session"]["min_interval_days"]
                due = key not in last or day - last[key] >= own
                if key in held:
                    self.holds(f"{where}.{key}", due, "own_interval_broken", own)
                    last[key] = day
                else:
                    self.holds(f"{where}.{key}", not due, "left_out_of_a_session", own)
            self._amounts(where, lines)
        total = self._price_of(courses)[1]
        self.number(f"{path}.cost_total", row["cost_total"], _cents(total))
        mine = _cents(self._price_of(self._planned())[1])
        self.number(f"{path}.cost_difference", row["cost_difference"], _cents(total) - mine)
        amounts = [
            _fraction(trade["params"]["amount"]) * (1 if trade["code"] == "dearer" else -1)
            for trade in row["trades"]
            if trade["code"] in ("dearer", "cheaper")
        ]
        self.same(f"{path}.trades", sum(amounts, Fraction(0)), _fraction(row["cost_difference"]))

    def _amounts(self, path: str, lines: Sequence[Mapping[str, Any]]) -> None:
        """Volumes and doses of a session by its limits, whatever syringe they are in."""
        volume = thinned = spent = Fraction(0)
        for line in lines:
            key, amount = line["ingredient"], _fraction(line["volume_ml"])
            thing = self.things[key]
            least, most = self._bounds(key)
            self.holds(f"{path}.{key}", least <= amount <= most, "outside_its_range", found=amount)
            self.holds(f"{path}.{key}", amount > 0 and (amount / self.step).denominator == 1, "not_drawable")
            self.number(f"{path}.{key}.dose", line["dose"], amount * _fraction(thing["stock"]["concentration"]))
            self.same(f"{path}.{key}.dose_unit", line["dose_unit"], thing["per_session"]["dose"]["unit"])
            volume += amount
            if thing["role"] == "diluent":
                thinned += amount
                self.holds(f"{path}.{key}", key in self.mixing["top_up_diluents"], "not_for_topping_up", found=key)
            else:
                spent += amount * _fraction(thing["relative_cost_per_ml"])
        self.holds(path, volume <= self.target, "above_target", self.target, volume)
        share = _fraction(self.mixing["max_diluent_share_of_syringe"])
        self.holds(path, thinned <= share * volume, "diluted_too_far", share)
        if self.policy.ingredient_budget is not None:
            price = spent * _fraction(self.course["cost_model"]["ingredient_unit_value"])
            self.holds(path, price <= _fraction(self.policy.ingredient_budget), "over_budget", found=price)

    # ------------------------------------------------------------------ course
    def _course(self) -> None:
        said = self.answer["course"]
        band = self._band()
        days, gap = said["offsets_days"], band["interval"]
        floor = max(gap["min"], self.course["sessions"]["interval_limits"]["absolute_min"]["value"])
        name, asked = self._schedule_asked_for(band)
        self.same("course.sessions", said["sessions"], len(asked), "not_as_asked")
        self.same("course.schedule", said["schedule"], name, "not_as_asked")
        self.same("course.offsets_days", list(days), asked, "not_as_asked")
        self.same("course.sessions", said["sessions"], len(days))
        most = self.course["sessions"]["absolute_max_sessions_per_course"]
        self.holds("course.sessions", len(days) <= most, "too_many_sessions", most, len(days))
        limits = band["sessions"]
        self.holds(
            "course.sessions", limits["min"] <= len(days) <= limits["max"], "sessions_outside_rule", limits, len(days)
        )
        self.same("course.offsets_days[0]", days[0], 0)
        for number, (a, b) in enumerate(pairwise(days), start=1):
            self.holds(f"course.gap[{number}]", floor <= b - a <= gap["max"], "interval_outside_rule", gap, b - a)
        self.same("course.span_days", said["span_days"], days[-1])
        span = band["span"]
        self.holds("course.span_days", span["min"] <= days[-1] <= span["max"], "span_outside_rule", span, days[-1])
        for name, expected in (
            ("sessions_min", limits["min"]), ("sessions_max", limits["max"]), ("span_min_days", span["min"]),
            ("span_max_days", span["max"]), ("min_gap_days", floor), ("ideal_gap_days", gap["default"]),
            ("max_gap_days", gap["max"]),
        ):  # fmt: skip
            self.same(f"course.{name}", said[name], expected)
        self._own_intervals(days, floor)
        self._windows(days, floor, gap["max"], span)
        duration = self.course["session_duration"]
        sums = duration["calculation"]
        raw = _fraction(sums["base_minutes"]) + (self.area - _fraction(sums["from_cm2"])) / _fraction(
            sums["cm2_per_minute"]
        )
        minutes = sorted((duration["min"], int(-(-raw // 1)), duration["max"]))[1]
        self.same("course.duration_minutes", said["duration_minutes"], minutes)
        extra = duration["appointment_minutes_extra"]["value"]
        self.same("course.appointment_minutes", said["appointment_minutes"], minutes + extra)
        self.same("course.appointment_minutes_extra", said["appointment_minutes_extra"], extra)
        self.same("course.points", said["points"], int(self.points))
        each = _fraction(self.answer["total_volume_ml"]) / self.points
        self.number("course.volume_per_point_ml", said["volume_per_point_ml"], _four_digits(each))
        self.holds("course.points", each <= _fraction(self.needle["volume_per_point"]["max"]), "too_much_per_point")
        self._method(said)
        self._checkpoints(said, days)

    def _schedule_asked_for(self, band: Mapping[str, Any]) -> tuple[str, list[int]]:
        """The days of the sessions by the policy and the edits; where they ask for nothing, by the rule."""
        named = self._named(band)
        usual, limits = list(band["default_offsets"]["values"]), band["sessions"]
        asked = self._asked(named)
        count = limits["default"]
        if asked.sessions is not None:
            count = sorted((limits["min"], asked.sessions, limits["max"]))[1]
        if asked.schedule in named and (asked.sessions is None or len(named[asked.schedule]) == count):
            return asked.schedule, named[asked.schedule]
        if len(usual) == count:
            return "default", usual
        for name, days in named.items():
            if len(days) == count:
                return name, days
        if count == 1:
            return "even", [0]
        gap, span = band["interval"], band["span"]
        fitting = [
            each for each in range(gap["min"], gap["max"] + 1) if span["min"] <= each * (count - 1) <= span["max"]
        ]
        if not fitting:  # no even course keeps the rule: whatever is said will break one of the limits below
            return "even", list(self.answer["course"]["offsets_days"])
        each = min(fitting, key=lambda days: abs(days - gap["default"]))
        return "even", [each * place for place in range(count)]

    def _band(self) -> Mapping[str, Any]:
        bands: Iterable[Mapping[str, Any]] = self.course["sessions"]["by_severity"]
        return next(entry for entry in bands if entry["severity"] == self.worst)

    def _named(self, band: Mapping[str, Any]) -> dict[str, list[int]]:
        return {entry["name"]: list(entry["offsets"]) for entry in band.get("alternative_schedules", ())}

    def _asked(self, named: Mapping[str, Sequence[int]]) -> Policy:
        """The policy with what edits of the course have changed in it, the last word winning."""
        policy = self.policy
        for edit in self.answer["edits"]:
            if edit["op"] == "set_sessions":
                policy = replace(policy, sessions=edit["sessions"], schedule=None)
            elif edit["op"] == "set_schedule":
                days = named[edit["schedule"]]
                policy = replace(policy, sessions=len(days), schedule=edit["schedule"])
        return policy

    def _own_intervals(self, days: Sequence[int], floor: int) -> None:
        """No ingredient comes back before its own shortest interval, neither at the planned days nor in the windows."""
        used: dict[str, list[int]] = {}
        for number in range(1, len(days) + 1):
            for key in sorted({line["ingredient"] for s in self._of_session(number) for line in s["lines"]}):
                used.setdefault(key, []).append(number)
        needed = set()
        for key, numbers in used.items():
            own = self.things[key]["per_session"]["min_interval_days"]
            if self.things[key]["role"] != "diluent":  # that one comes where there is room for it
                self.holds(f"course.{key}", numbers[0] == 1, "absent_from_first_session", found=numbers)
            for a, b in pairwise(numbers):
                self.holds(f"course.{key}", days[b - 1] - days[a - 1] >= own, "own_interval_broken", own)
                if own > floor * (b - a):
                    needed.add((key, a, b, own))
        rows = self.answer["course"]["spacings"]
        said = {(s["ingredient"], s["from_session"], s["to_session"], s["min_days"]) for s in rows}
        diluents = {row for row in said if self.things[row[0]]["role"] == "diluent"}
        self.same(
            "course.spacings", said - diluents, {row for row in needed if self.things[row[0]]["role"] != "diluent"}
        )

    def _windows(self, days: Sequence[int], floor: int, widest: int, span: Mapping[str, int]) -> None:
        """The tightest bounds that the limits imply, by shortest paths over all of them."""
        count = len(days)
        far: list[list[Fraction]] = [[FOR_EVER] * count for _ in range(count)]
        for k in range(count):
            far[k][k] = Fraction(0)
        for k in range(count - 1):
            far[k][k + 1], far[k + 1][k] = Fraction(widest), Fraction(-floor)
        for row in self.answer["course"]["spacings"]:
            a, b = row["from_session"] - 1, row["to_session"] - 1
            far[b][a] = min(far[b][a], Fraction(-row["min_days"]))
        if count > 1:
            far[0][-1] = min(far[0][-1], Fraction(span["max"]))
            far[-1][0] = min(far[-1][0], Fraction(-span["min"]))
        for via in range(count):
            for a in range(count):
                for b in range(count):
                    far[a][b] = min(far[a][b], far[a][via] + far[via][b])
        expected = [
            {"session": k + 1, "earliest": int(-far[k][0]), "ideal": days[k], "latest": int(far[0][k])}
            for k in range(count)
        ]
        self.same("course.windows_days", list(self.answer["course"]["windows_days"]), expected)
        for row in expected:
            self.holds(
                f"course.windows_days[{row['session']}]", row["earliest"] <= row["ideal"] <= row["latest"], "window"
            )

    def _method(self, said: Mapping[str, Any]) -> None:
        held = {line["ingredient"] for syringe in self.answer["syringes"] for line in syringe["lines"]}
        chosen = None
        for method in self.needle["methods"]:
            when = method.get("choose_when", {})
            if set(when.get("concerns", ())) & set(self.severity) or set(when.get("ingredients", ())) & held:
                chosen = method
                break
        if chosen is None:
            chosen = next(method for method in self.needle["methods"] if method.get("default"))
        self.same("course.technique", said["technique"], chosen["key"])
        for end in ("min", "max"):
            self.number(f"course.depth_mm.{end}", said["depth_mm"][end], _fraction(chosen["depth"][end]))
            self.number(f"course.angle_degrees.{end}", said["angle_degrees"][end], chosen["angle_degrees"][end])

    def _checkpoints(self, said: Mapping[str, Any], days: Sequence[int]) -> None:
        expected = {}
        for entry in self.course["checkpoints"]:
            when = entry["when"]
            if self.worst not in entry["applies_to"]:
                continue
            if when.get("after_session") and when["after_session"] <= len(days):
                expected[entry["key"]] = days[when["after_session"] - 1]
            elif "days_after_last_session" in when:
                expected[entry["key"]] = days[-1] + when["days_after_last_session"]
            elif "if_fewer_sessions" in entry:
                expected[entry["key"]] = days[-1] + entry["if_fewer_sessions"]["days_after_last_session"]["default"]
        self.same("course.checkpoints", {row["key"]: row["offset_days"] for row in said["checkpoints"]}, expected)

    # ------------------------------------------------------------------ cost
    def _price_of(self, course: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[list[Fraction], Fraction]:
        """What each session of a course costs, given its lines, and the course as a whole."""
        model, price = self.course["cost_model"], _fraction(self.policy.price_per_unit)

        def factor(name: str, key: str) -> Fraction:
            return next(_fraction(entry["multiplier"]) for entry in model[name] if entry["key"] == key)

        bands = [entry for entry in model["injection_band"] if self.points <= entry["points_up_to"]]
        band = _fraction((bands or model["injection_band"][-1:])[0]["multiplier"])
        work = _fraction(model["base_session_units"]) * factor("region", self.policy.region)
        work *= factor("provider", self.policy.provider) * band
        sessions = []
        for lines in course:
            units = sum(
                (
                    _fraction(line["volume_ml"]) * _fraction(self.things[line["ingredient"]]["relative_cost_per_ml"])
                    for line in lines
                ),
                Fraction(0),
            )
            sessions.append((work + _fraction(model["ingredient_unit_value"]) * units) * price)
        package = [_fraction(e["multiplier"]) for e in model["package"] if e["sessions"] == len(sessions)]
        return sessions, sum(sessions, Fraction(0)) * (package[0] if package else 1)

    def _cost(self) -> None:
        said = self.answer["cost"]
        sessions, total = self._price_of(self._planned())
        margin = self.course["cost_model"]["estimate_range_percent"]
        self.same("cost.currency", said["currency"], self.policy.currency)
        self._cost_lines(said, total)
        self.number("cost.per_session", said["per_session"], _cents(sessions[0]))
        self.same("cost.sessions", [_fraction(each) for each in said["sessions"]], [_cents(each) for each in sessions])
        self.number("cost.total", said["total"], _cents(total))
        self.number("cost.low", said["low"], _cents(total * (100 + _fraction(margin["low"])) / 100))
        self.number("cost.high", said["high"], _cents(total * (100 + _fraction(margin["high"])) / 100))

    def _cost_lines(self, said: Mapping[str, Any], total: Fraction) -> None:
        """How the price is made up: the base, then with each factor, then the ingredients of each session."""
        model, price = self.course["cost_model"], _fraction(self.policy.price_per_unit)
        amount = _fraction(model["base_session_units"]) * price
        expected = [("base", _cents(amount))]
        for item, key in (("region", self.policy.region), ("provider", self.policy.provider)):
            amount *= next(_fraction(entry["multiplier"]) for entry in model[item] if entry["key"] == key)
            expected.append((item, _cents(amount)))
        bands = [entry for entry in model["injection_band"] if self.points <= entry["points_up_to"]]
        amount *= _fraction((bands or model["injection_band"][-1:])[0]["multiplier"])
        expected.append(("injections", _cents(amount)))
        for lines in self._planned():
            units = [
                _fraction(line["volume_ml"]) * _fraction(self.things[line["ingredient"]]["relative_cost_per_ml"])
                for line in lines
            ]
            spent = sum(units, Fraction(0)) * _fraction(model["ingredient_unit_value"]) * price
            expected.append(("ingredients", _cents(spent)))
        expected.append(("package", _cents(total)))
        self.same("cost.lines", [(row["item"], _fraction(row["amount"])) for row in said["lines"]], expected)

    def _fingerprint(self) -> None:
        rest = {key: value for key, value in self.answer.items() if key != "fingerprint"}
        expected = fingerprint(
            {
                "case": self.case.canonical(),
                "policy": self._asked(self._named(self._band())).as_dict(),
                "stock": None if self.stock is None else dict(self.stock),
                "answer": rest,
            }
        )
        self.same("fingerprint", self.answer["fingerprint"], expected)


def _sorted(rows: Iterable[Mapping[str, Any]], key: str) -> list[str]:
    return sorted(str(row[key]) for row in rows)


def _fraction(value: Any) -> Fraction:
    if isinstance(value, bool | float):
        raise TypeError(f"{value!r} is no exact number")
    return Fraction(str(value))


def _four_digits(value: Fraction) -> Fraction:
    """Rounded to four significant digits, halves up."""
    if value == 0:
        return value
    unit = Fraction(1)
    while value / unit >= 10000:
        unit *= 10
    while value / unit < 1000:
        unit /= 10
    return (value / unit * 2 + 1) // 2 * unit


def _tenths(value: Fraction) -> Fraction:
    return (value * 20 + 1) // 2 / Fraction(10)


def _plain_osmolality(said: Mapping[str, Any]) -> tuple[Fraction | None, list[str]]:
    return None if said["estimate"] is None else _fraction(said["estimate"]), sorted(said["unknown"])


def _cents(value: Fraction) -> Fraction:
    return (value * 200 + 1) // 2 / Fraction(100)


def _said(value: Any) -> Any:
    """What a discrepancy shows, as plain values."""
    if isinstance(value, set | frozenset):
        return sorted(str(item) for item in value)
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _said(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_said(item) for item in value]
    return value
