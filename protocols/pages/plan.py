"""A plan arranged for reading: what the page and the documents show, made from the stored answer and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.utils import formats
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from mesoclinic.core.numbers import shown_number
from mesoclinic.core.sorting import by_words
from patients.intake.answers import (
    answered_unknown,
    intake_vocabulary,
    question_of,
    short_label,
    value_in_words,
    without_mark,
)
from patients.intake.measures import Offered, offered, unit_label
from patients.vocabulary import Fact, Vocabulary
from patients.words import severity_drawn, severity_in_words
from protocols.engine import canonical_json
from protocols.formulary.catalogue import Catalogue, Source
from protocols.formulary.words import cost_line_words
from protocols.models import Plan
from protocols.models.enums import AcknowledgementReason, EditReason, OpenAnswerKind
from protocols.plans.computing import bare_edit, bare_edits, formulary_of, shown
from protocols.plans.queries import departs, intake_checks, is_explained, live_acknowledgements, live_open_answers
from protocols.words import answers as wording
from protocols.words.contributions import adds_words, trade_words
from protocols.words.terms import Words, words_of

GROUPS: Mapping[str, Any] = {
    "screened": lambda: _("Screened"),
    "adds_too_little": lambda: _("Adds too little"),
    "serves_no_concern": lambda: _("No concern"),
    "other": lambda: _("Other"),
}


ORIGINS: Mapping[tuple[str, str], tuple[str, Callable[[], str], str]] = {
    ("area_cm2", ""): ("area", lambda: _("Treated area"), "cm²"),
    ("target_volume_ml", ""): ("area", lambda: _("Target volume"), "mL"),
    ("points", ""): ("area", lambda: _("Injection points"), ""),
    ("course", "session_duration"): ("area", lambda: _("Injecting time"), "min"),
    ("severity", "overall_severity_rule"): ("area", lambda: _("Overall severity"), ""),
    ("select", "selection_weights"): ("mixture", lambda: _("Value of the set"), ""),
    ("select", "max_active_ingredients_per_session"): ("mixture", lambda: _("Most actives in a session"), ""),
    ("partition", ""): ("mixture", lambda: _("Mixtures"), ""),
    ("dose", "scaling"): ("mixture", lambda: _("Total volume"), "mL"),
    ("dose", "max_diluent_share_of_syringe"): ("mixture", lambda: _("Most diluent, share of a mixture"), ""),
    ("dose", "max_total_volume_per_session"): ("mixture", lambda: _("Most volume in a session"), "mL"),
    ("dose", "draw_step"): ("mixture", lambda: _("Step in which volumes are drawn"), "mL"),
    ("course", "sessions"): ("course", lambda: _("Sessions"), ""),
    ("course", "span"): ("course", lambda: _("Days from first to last"), ""),
    ("course", "methods"): ("course", lambda: _("Technique"), ""),
    ("cost", ""): ("cost", lambda: _("Expected price"), ""),
}


@dataclass(frozen=True, kw_only=True)
class Served:
    """One concern that an ingredient serves, with its evidence."""

    concern: str
    strength: int
    grade: str
    grade_text: str
    direction: str  # in words
    note: str
    notice: str  # set where the claim rests on the web article alone
    sources: tuple[Source, ...]


@dataclass(kw_only=True)
class EditRow:
    """One edit by hand: what it does, and why it was made or that nobody has said so yet.

    ``typed_…`` and ``error_…`` are set after a refused reason.
    """

    anchor: str
    edit: Mapping[str, Any]  # without its reason
    words: str
    reason_code: str
    note: str
    why: str  # the coded reason and the note in words; empty where none is recorded
    departs: bool  # leads away from what was proposed, so that it needs a reason
    missing: bool
    place: str  # line | course | list: where its reason is asked
    typed_reason: str = ""
    typed_note: str = ""
    error_reason: str = ""
    error_note: str = ""

    @property
    def shown_reason(self) -> str:
        return self.typed_reason or self.reason_code

    @property
    def shown_note(self) -> str:
        return self.typed_note or self.note


@dataclass(kw_only=True)
class Line:
    """One line of a mixture, as the page shows it. ``typed`` and ``error`` are set after a refused edit."""

    number: str  # as in the drawing: 1, 2 … and S for a diluent
    key: str
    ingredient_id: str
    name: str
    is_diluent: bool
    stock: str
    volume_ml: str
    least_ml: str
    usual_ml: str
    most_ml: str
    dose: str
    dose_unit: str
    final: str
    final_unit: str
    why: str
    main: Served | None
    served: list[Served]
    marginal_value: str | None
    set_by_hand: bool
    prescription_only: bool
    weighed: Mapping[str, Any] | None = None  # what it adds, in words and figures; none in a plan of an older engine
    volume_edit: EditRow | None = None  # how its volume was set by hand
    entry_edit: EditRow | None = None  # how it came in by hand: swapped in or added
    share_percent: str = ""
    sources: tuple[Source, ...] = ()
    typed: str = ""
    error: str = ""

    @property
    def away_from_usual(self) -> bool:
        return self.volume_edit is not None and self.volume_edit.departs


@dataclass(frozen=True, kw_only=True)
class Mixture:
    label: str
    volume_ml: str
    count: int
    parts: list[str]
    """What each of its syringes holds, in mL."""
    ph: tuple[str, str]
    ph_about: str
    """An estimate; empty where the engine that made the plan gave none."""
    osmolality: str
    """An estimate in mOsm/kg; empty where there is none."""
    lines: list[Line]
    hurried: list[str]
    drawing: dict[str, Any]
    flat: bool = False  # too few lines for a standing syringe beside them


@dataclass(frozen=True, kw_only=True)
class Finding:
    rule: str
    message: str
    until: str
    because: str
    ingredients: str
    sources: tuple[Source, ...]
    acknowledged: Any = None
    reason: str = ""
    note_needed: bool = False


@dataclass(frozen=True, kw_only=True)
class Question:
    fact: str
    label: str
    text: str
    decides: list[tuple[str, str]]  # (rule, what it would say) of each rule that an answer could make fire
    ingredients: str
    input: str  # number | boolean | enum | list
    unit: str
    units: tuple[Offered, ...]
    choices: list[tuple[str, str]]
    waived: dict[str, str] | None
    settled_by: Any = None
    given: str = ""  # the value given in this draft, in words
    not_known: bool = False  # the person was asked and does not know: the practitioner finds out


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    key: str
    name: str
    group: str
    label: str
    reason: str
    figures: str = ""


class Reader:
    """Reads one plan: words for every key that its answer holds."""

    def __init__(self, plan: Plan, *, typed: Mapping[str, Any] | None = None) -> None:
        """``typed`` is what a refused form held, so that the unit chosen for a number is still there."""
        self.plan, self.typed = plan, typed or {}
        self.result: dict[str, Any] = shown(plan)
        self.contents = Catalogue(plan.formulary)
        self.ids = {
            key: str(public_id)
            for key, public_id in plan.formulary.entries.values_list("ingredient__key", "ingredient__public_id")
        }
        self._vocabulary: Vocabulary | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        if self._vocabulary is None:
            self._vocabulary = intake_vocabulary(also=self.contents.raw)
        return self._vocabulary

    @cached_property
    def words(self) -> Words:
        return words_of(formulary_of(self.plan))

    @cached_property
    def weighed(self) -> dict[str, Mapping[str, Any]]:
        """By ingredient: what each adds, in the mixture or left out; empty in a plan of an older engine."""
        return {row["ingredient"]: row for row in self.result.get("contributions", ())}

    def _rule_says(self, rule: str) -> str:
        """A rule's sentence; one that the engine makes itself has none before it fires, so its name has to do."""
        if rule in self.words.rules:
            return self.words.rule_message({"rule": rule})
        return rule.replace("_", " ").capitalize()

    # -------------------------------------------------------------- facts
    def concerns(self) -> list[dict[str, str]]:
        rows, held = [], self.insisted_because()
        for entry in self.result["concerns"]:
            stages = [self._stage(stage["scale"], stage["stage"]) for stage in entry["staged_by"]]
            rows.append(
                {
                    "key": entry["concern"],
                    "label": short_label(entry["label"]),
                    **severity_drawn(entry["severity"]),
                    "note": ", ".join(stages),
                    **self._overruled(entry, ", ".join(stages)),
                    "because": held.get(entry["concern"], ""),
                    "evidence_note": entry["evidence_note"],
                }
            )
        return rows

    @staticmethod
    def _overruled(entry: Mapping[str, Any], stages: str) -> dict[str, str]:
        """Where a stage says another severity than the one chosen: both, and which of the two counts."""
        staged, chosen = entry.get("staged_severity"), entry["recorded_severity"]
        if staged is None or staged == chosen:
            return {"overruled": "", "insisted": ""}
        words = {"staged": severity_in_words(staged), "chosen": severity_in_words(chosen), "stage": stages}
        if entry["insisted"]:
            text = _("chosen: %(chosen)s, held to against the stage (%(stage)s: %(staged)s)") % words
            return {"overruled": text, "insisted": "1"}
        return {"overruled": _("%(staged)s by stage (%(stage)s); chosen: %(chosen)s") % words, "insisted": ""}

    def insisted_because(self) -> dict[str, str]:
        """By concern: why the practitioner holds to a severity against its stage."""
        return {row["concern"]: row["insisted"] for row in self.plan.case["concerns"] if row.get("insisted")}

    def _stage(self, scale: str, stage: str) -> str:
        found = self.vocabulary.scales.get(scale)
        name = found.label.split(" (")[0].split("-")[0] if found else scale
        return f"{name} {stage.replace('_', ' ')}"

    def wishes(self) -> list[tuple[str, str]]:
        facts = self.plan.case["facts"]
        return [
            (label, _("yes") if facts[key] else _("no"))
            for key, label in (("alcohol_free", _("Alcohol-free")), ("vegan_preference", _("Vegan only")))
            if isinstance(facts.get(key), bool)
        ]

    def answers(self) -> list[dict[str, Any]]:
        """Every answer that the plan rests on, by section, in words."""
        labels = self.contents.documents["vocabulary"]["facts"]["facts"]
        sections: dict[str, list[tuple[str, str]]] = {}
        for key, fact in self.vocabulary.facts.items():
            if key in self.plan.case["facts"]:
                words = value_in_words(fact, self.plan.case["facts"][key])
                label = labels.get(key, {}).get("label") or short_label(question_of(fact))
                sections.setdefault(fact.section, []).append((str(_(label)), words))
        return [{"label": self.vocabulary.sections[key].label, "rows": rows} for key, rows in sections.items()]

    def fact_choices(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Every answer that could be given instead, by question; an answer of a list is added to it or taken away."""
        facts, groups = self.plan.case["facts"], []
        for key, fact in self.vocabulary.facts.items():
            now = facts.get(key)
            options: list[tuple[str, str]] = []
            if fact.type == "boolean":
                words = [("yes", True, _("Yes")), ("no", False, _("No"))]
                options = [(f"{key}:{word}", label) for word, value, label in words if value is not now]
            elif fact.type == "enum":
                options = [(f"{key}:{c.key}", c.label) for c in fact.offered if c.key != now]
            elif fact.type == "list" and not fact.values_from:
                held = set(now or ())
                options = [
                    (f"{key}:{c.key}", _("without: %(x)s") % {"x": c.label} if c.key in held else c.label)
                    for c in fact.values
                    if not c.retired or c.key in held
                ]
            if options:
                groups.append((fact.label, options))
        return groups

    def answers_by_words(self) -> dict[str, str]:
        """Each answer that could be given instead, by “question: answer” as it is offered and typed."""
        return {f"{question}: {label}": value for question, options in self.fact_choices() for value, label in options}

    def fact_of_choice(self, choice: str, before: Mapping[str, Any]) -> dict[str, Any]:
        """The fact as the chosen answer makes it; ``before`` holds what was changed already, for answers of a list."""
        key, value = choice.split(":", 1)
        fact = self.vocabulary.facts[key]
        if fact.type == "boolean":
            return {key: value == "yes"}
        if fact.type == "enum":
            return {key: value}
        held = list(before[key] if key in before else self.plan.case["facts"].get(key) or ())
        return {key: [item for item in held if item != value] if value in held else [*held, value]}

    def number_choices(self) -> list[tuple[str, str]]:
        return [
            (key, f"{fact.label} ({_unit(fact)})" if _unit(fact) else fact.label)
            for key, fact in self.vocabulary.facts.items()
            if fact.type in ("integer", "number")
        ]

    def ingredient_choices(self) -> list[tuple[str, str]]:
        """Those that are switched on, the mixture's own first."""
        mine = self.plan_ingredients()
        on = self.contents.formulary.ingredients
        others = [key for key, item in on.items() if item.active and key not in mine]
        others.sort(key=lambda key: by_words(self.contents.name(key)))
        return [(key, short_label(self.contents.name(key))) for key in [*mine, *others]]

    def zones(self) -> list[dict[str, str]]:
        return [
            {"zone": entry["zone"], "area_cm2": entry["area_cm2"], "label": short_label(entry["label"])}
            for entry in self.result["zones"]
        ]

    # -------------------------------------------------------------- mixtures
    def mixtures(self, syringes: list[dict[str, Any]] | None = None) -> list[Mixture]:
        found = []
        shown_syringes = self.result["syringes"] if syringes is None else syringes
        for syringe in shown_syringes:
            lines, number = [], 0
            for raw in syringe["lines"]:
                diluent = raw["role"] == "diluent"
                number += not diluent
                lines.append(self._line(raw, syringe, "S" if diluent else str(number)))
            found.append(
                Mixture(
                    label=syringe["label"],
                    volume_ml=syringe["volume_ml"],
                    count=syringe["drawn_as"]["count"],
                    parts=self._parts(syringe),
                    ph=(syringe["ph_min"], syringe["ph_max"]),
                    ph_about=syringe.get("ph_estimate", ""),
                    osmolality=(syringe.get("osmolality") or {}).get("estimate") or "",
                    lines=lines,
                    hurried=[
                        _("%(names)s: draw up last and inject within 15 minutes.")
                        % {"names": self.names(row["ingredients"])}
                        for row in syringe["use_immediately"]
                    ],
                    drawing={
                        "label": syringe["label"],
                        "copies": syringe["drawn_as"]["count"],
                        "parts": self._parts(syringe),
                        "lines": [
                            {k: v for k, v in raw.items() if k != "dose" or v}
                            | {"name": self.contents.name(raw["ingredient"])}
                            for raw in syringe["lines"]
                        ],
                    },
                    flat=len(lines) < 3 and len(shown_syringes) > 1,
                )
            )
        return found

    def _parts(self, syringe: dict[str, Any]) -> list[str]:
        """What can be drawn: earlier engines said equal parts, which need not be whole drawing steps."""
        said: list[str] | None = syringe["drawn_as"].get("parts_ml")
        if said is not None:
            return said
        step, count = self.contents.formulary.course.step_ml, syringe["drawn_as"]["count"]
        each, more = divmod(int(Decimal(syringe["volume_ml"]) / step), count)
        return [str(step * (each + (place < more))) for place in range(count)]

    def _line(self, raw: dict[str, Any], syringe: dict[str, Any], number: str) -> Line:
        diluent = raw["role"] == "diluent"
        served = [self._served(raw["ingredient"], row) for row in raw["addresses"]]
        share = Decimal(raw["volume_ml"]) / Decimal(syringe["volume_ml"]) * 100
        return Line(
            number=number,
            key=raw["ingredient"],
            ingredient_id=self.ids.get(raw["ingredient"], ""),
            name=self.contents.name(raw["ingredient"]),
            is_diluent=diluent,
            stock=self.contents.stock_text(raw["ingredient"]),
            volume_ml=f"{Decimal(raw['volume_ml']):.2f}",
            least_ml=raw["volume_min_ml"],
            usual_ml=raw["volume_usual_ml"],
            most_ml=raw["volume_max_ml"],
            dose=raw["dose"],
            dose_unit=raw["dose_unit"],
            final=raw["final_concentration"],
            final_unit=raw["concentration_unit"],
            why=self._why(raw),
            main=self._main(raw, served),
            served=served,
            marginal_value=raw["marginal_value"],
            set_by_hand=raw["set_by_hand"],
            prescription_only=raw["prescription_only"],
            weighed=self.weighed.get(raw["ingredient"]),
            volume_edit=self._edit_on(raw["ingredient"], "set_volume"),
            entry_edit=self._edit_on(raw["ingredient"], "swap", "add"),
            share_percent=f"{share:.0f}",
            sources=self.contents.sources(raw["sources"]),
        )

    def _why(self, raw: Mapping[str, Any]) -> str:
        """Why it is in, and how much it adds; for whom it stands in is named."""
        weighed = self.weighed.get(raw["ingredient"])
        if weighed is None:
            return str(raw["reason"])
        if weighed["decided_by"] == "stands_in":
            return f"{raw['reason']} {adds_words(weighed)}"
        return str(weighed["text"])

    def _edit_on(self, key: str, *ops: str) -> EditRow | None:
        """The last of these edits that brought this ingredient about."""
        rows = (row for row in reversed(self.edit_rows) if row.edit["op"] in ops)
        return next((row for row in rows if row.edit.get("with", row.edit.get("ingredient")) == key), None)

    def would_serve(self, key: str) -> tuple[Served, ...]:
        """What an ingredient that is left out would be good for here, by habit and by evidence."""
        present = {row["concern"] for row in self.result["concerns"]}
        return tuple(
            Served(
                concern=short_label(line.label),
                strength=line.strength,
                grade=line.grade,
                grade_text=line.grade_text,
                direction=line.direction,
                note=line.note,
                notice=line.label_only,
                sources=line.sources,
            )
            for line in self.contents.concern_lines(key)
            if line.key in present
        )

    def _served(self, key: str, row: Mapping[str, Any]) -> Served:
        notes = {line.key: line.note for line in self.contents.concern_lines(key)}
        return Served(
            concern=short_label(row["label"]),
            strength=row["strength"],
            grade=row["evidence_grade"],
            grade_text=row["grade_label"],
            direction=row["direction_label"],
            note=notes.get(row["concern"], ""),
            notice=row["notice"],
            sources=self.contents.sources(row["sources"]),
        )

    @staticmethod
    def _main(raw: Mapping[str, Any], served: list[Served]) -> Served | None:
        """The concern that it is there for: whose first choice it is or stands in for, else the one it serves best."""
        wanted = [*raw["required_by"], *(row["concern"] for row in raw["stands_in_for"])]
        for concern in wanted:
            for row, read in zip(raw["addresses"], served, strict=True):
                if row["concern"] == concern:
                    return read
        return max(served, key=lambda row: row.strength, default=None)

    def names(self, keys: list[str]) -> str:
        return ", ".join(short_label(self.contents.name(key)) for key in keys)

    # -------------------------------------------------------------- left out
    def left_out(self) -> list[LeftOut]:
        rows = []
        for row in self.result["left_out"]:
            code = row["reason_code"]
            group = code if code in GROUPS else "adds_too_little" if code == "not_chosen" else "other"
            rows.append(
                LeftOut(
                    key=row["ingredient"],
                    name=short_label(self.contents.name(row["ingredient"])),
                    group=group,
                    label=self._reason_label(code),
                    reason=row["reason"],
                    figures=(self.weighed.get(row["ingredient"]) or {}).get("figures", ""),
                )
            )
        order = {"screened": 0, "other": 1, "adds_too_little": 2, "serves_no_concern": 3}
        return sorted(rows, key=lambda row: (order[row.group], by_words(row.name)))

    @staticmethod
    def left_groups(rows: list[LeftOut]) -> list[tuple[str, str, int]]:
        """(key, words, how many) for the filter, only those that have any."""
        counts = {key: sum(row.group == key for row in rows) for key in GROUPS}
        return [(key, str(GROUPS[key]()), count) for key, count in counts.items() if count]

    @staticmethod
    def _reason_label(code: str) -> str:
        return {
            "screened": _("Screened"),
            "adds_too_little": _("Adds too little"),
            "not_chosen": _("Not chosen"),
            "serves_no_concern": _("No concern"),
            "displaced": _("Displaced"),
            "family_limit": _("Family limit"),
            "pair": _("Pair rule"),
            "no_volume": _("No room"),
            "no_stock": _("No stock"),
            "preference": _("Preference"),
            "removed_by_hand": _("Removed by you"),
            "diluent_for_reconstitution": _("For dissolving"),
            "diluent_not_needed": _("Not needed"),
            "no_plan": _("No plan"),
        }.get(code, code.replace("_", " ").capitalize())

    # -------------------------------------------------------------- findings
    def findings(self, kind: str) -> list[Finding]:
        """``kind``: blocks, cautions or infos."""
        done = live_acknowledgements(self.plan) if kind == "cautions" else {}
        rows = []
        for row in self.result[kind]:
            given = done.get(row["rule"])
            rows.append(
                Finding(
                    rule=row["rule"],
                    message=row["message"],
                    until=row["until"] or "",
                    because="; ".join(dict.fromkeys(row["because_text"])),
                    ingredients=self.names(row["ingredients"]),
                    sources=self.contents.sources(row["sources"]),
                    acknowledged=given,
                    reason=str(AcknowledgementReason(given.reason_code).label) if given else "",
                )
            )
        for check in intake_checks(self.plan) if kind == "cautions" else ():
            given = done.get(check.rule)
            rows.append(
                Finding(
                    rule=check.rule,
                    message=check.message,
                    until="",
                    because="",
                    ingredients="",
                    sources=(),
                    acknowledged=given,
                    reason=str(AcknowledgementReason(given.reason_code).label) if given else "",
                    note_needed=True,
                )
            )
        return rows

    def questions(self, kind: str) -> list[Question]:
        """``kind``: missing (no proposal without them) or open_questions (no signature without them)."""
        given = live_open_answers(self.plan) if kind == "open_questions" else {}
        not_known = set(answered_unknown(self.plan.intake))
        rows = []
        for row in self.result[kind]:
            fact = self.vocabulary.facts.get(row["fact"])
            rows.append(
                Question(
                    fact=row["fact"],
                    label=row["label"],
                    text=without_mark(row["question"]),
                    decides=[(rule, self._rule_says(rule)) for rule in row["needed_by"]],
                    ingredients=self.names(row.get("ingredients", [])),
                    input="number" if fact and fact.type in ("integer", "number") else fact.type if fact else "number",
                    unit=_unit(fact),
                    units=offered(fact, self.typed.get(f"unit-{fact.key}", "")) if fact else (),
                    choices=[(choice.key, choice.label) for choice in fact.values] if fact else [],
                    waived=row.get("waived"),
                    settled_by=given.get(row["fact"]),
                    not_known=row["fact"] in not_known,
                )
            )
        asked = {row.fact for row in rows}
        for key, answer in given.items():
            fact = self.vocabulary.facts.get(key)
            if fact and key not in asked and answer.kind == OpenAnswerKind.ANSWERED:
                rows.append(self._given(fact, answer))
        return rows

    def answers_beside(self, answers: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
        """(what was typed, what the draft holds) for each of these answers, in words."""
        open_now = {row.fact: row for row in self.questions("open_questions")}
        wanted, now = [], []
        for answer in answers:
            fact = self.vocabulary.facts.get(answer["fact"])
            label = short_label(question_of(fact)) if fact else answer["fact"]
            said = answer.get("value") if answer["kind"] == OpenAnswerKind.ANSWERED else answer.get("reason", "")
            if isinstance(said, dict):  # a number with its unit
                said = " ".join(part for part in (said.get("value", ""), unit_label(said.get("unit", ""))) if part)
            wanted.append(f"{label}: {', '.join(said) if isinstance(said, list) else said}")
            row = open_now.get(answer["fact"])
            holds = row.given or (row.waived or {}).get("reason", "") if row else ""
            now.append(f"{label}: {holds or (_('open') if row else _('not asked any more'))}")
        return wanted, now

    def _given(self, fact: Fact, answer: Any) -> Question:
        """A question that was answered in this draft, so that a slip can be corrected."""
        return Question(
            fact=fact.key,
            label=short_label(question_of(fact)),
            text=short_label(question_of(fact)),
            decides=[],
            ingredients="",
            input="number" if fact.type in ("integer", "number") else fact.type,
            unit=_unit(fact),
            units=offered(fact, self.typed.get(f"unit-{fact.key}", "")),
            choices=[(choice.key, choice.label) for choice in fact.values],
            waived=None,
            settled_by=answer,
            given=value_in_words(fact, answer.value),
        )

    def referrals(self) -> list[dict[str, str]]:
        """Each with what it is for, which is what its rule says."""
        said = {row["rule"]: row["message"] for kind in ("blocks", "cautions", "infos") for row in self.result[kind]}
        rows = {row["referral"]: row for row in self.result["referrals"]}
        return [{**row, "why": said.get(row["rule"], "")} for row in rows.values()]

    # -------------------------------------------------------------- waiting, and what a patient is told
    @property
    def review_weeks(self) -> int:
        """In how many weeks somebody who waits is looked at again; 0 in a plan that holds a mixture."""
        waiting = self.result.get("waiting")
        return int(waiting["days"]) // 7 if waiting else 0

    def waits_because(self) -> list[str]:
        """What speaks for waiting, as the engine's own proposal has it; nothing where it was chosen all the same."""
        rows = wording.waiting_reasons(self.plan.proposal, formulary_of(self.plan))
        return rows or [_("The practitioner and the patient chose it.")]

    def waiting_advice(self) -> list[str]:
        """What a patient who waits is told: of the plan's own concerns, then in general."""
        mine = {row["concern"] for row in self.result["concerns"]}
        entries = [entry for entry in self.contents.documents["concerns"]["concerns"] if entry["key"] in mine]
        said = [entry["settles_by_itself"]["advice"] for entry in entries if entry.get("settles_by_itself")]
        general = (self.contents.documents["course"].get("waiting") or {}).get("advice")
        if not general:  # a formulary from before waiting was an alternative
            general = [_("No injections for now. We look at your hair and scalp together again on the date below.")]
        return [*said, *general]

    def expectations(self) -> list[str]:
        """What the patient can expect: of the sentences, those for everybody and those for the plan's own concerns."""
        mine = {row["concern"] for row in self.result["concerns"]}
        rows = self.contents.documents["course"]["patient_expectation_text"]
        return [
            row if isinstance(row, str) else row["text"]
            for row in rows
            if isinstance(row, str) or mine & set(row["concerns"])
        ]

    # -------------------------------------------------------------- course, cost, alternatives
    def alternatives(self) -> list[dict[str, Any]]:
        mine = set(self.plan_ingredients())
        rows: list[dict[str, Any]] = []
        for place, row in enumerate(self.result["alternatives"]):
            waits = row.get("kind") == "waiting"
            number = 1 if waits and row["review"]["because"] else place + 2
            if waits:
                rows.append(
                    {
                        "number": number,
                        "waits": True,
                        "title": wording.waiting_title(row["review"]["days"]),
                        "value": row["value"],
                        "trades": [trade["text"] for trade in row["trades"]],
                        "because": [reason["text"] for reason in row["review"]["because"]],
                        "sources": self.contents.sources(row["review"]["sources"]),
                        "rules": row["review"]["rules"],
                    }
                )
                continue
            theirs = set(row["ingredients"])
            out, into = sorted(mine - theirs), sorted(theirs - mine)
            rows.append(
                {
                    "number": number,
                    "title": self._alternative_title(out, into),
                    "value": row["value"],
                    "trades": [
                        trade_words(trade, self.words)
                        for trade in row["trades"]
                        if trade["code"] not in ("without", "with")
                    ],
                    "loses": row["value_difference"],
                    "asked": self._asked_for(out, into),
                    "ingredients": self.names(row["ingredients"]),
                }
            )
        return rows

    @property
    def value_cost(self) -> str:
        """What the edits by hand cost in value; empty without edits."""
        if not self.plan.edits or self.result["value_cost"] is None:
            return ""
        cost = Decimal(self.result["value_cost"])
        if cost > 0:
            return _("%(cost)s less than proposed") % {"cost": formats.number_format(cost)}
        if cost < 0:
            return _("%(gain)s more than proposed, first choices given up") % {"gain": formats.number_format(-cost)}
        return _("as proposed")

    @cached_property
    def origins(self) -> dict[str, list[dict[str, Any]]]:
        """Every figure with the rule that it came from and that rule's sources, by where it is shown."""
        found: dict[str, list[dict[str, Any]]] = {"area": [], "mixture": [], "course": [], "cost": []}
        for row in self.result["trace"]:
            known = ORIGINS.get((row["step"], row["rule"].rpartition(".")[2])) or ORIGINS.get((row["step"], ""))
            if known is None:
                continue
            place, label, unit = known
            plainly = isinstance(row["value"], str | int)
            words = _(shown_number(row["value"]).replace("_", " ")) if plainly else ""
            value = f"{words} {unit}" if words and unit else words
            sources = self.contents.sources(rule_sources(self.contents.documents, row["rule"]))
            found[place].append({"label": label(), "value": value, "rule": row["rule"], "sources": sources})
        if self.result["course"]:
            rule = f"course.sessions.by_severity.{self.result['severity']}"
            sources = self.contents.sources(rule_sources(self.contents.documents, rule))
            found["course"].append(
                {"label": _("Windows of the sessions"), "value": "", "rule": rule, "sources": sources}
            )
        return found

    def plan_ingredients(self) -> list[str]:
        return [
            line["ingredient"]
            for syringe in self.result["syringes"]
            for line in syringe["lines"]
            if line["role"] != "diluent"
        ]

    def _alternative_title(self, out: list[str], into: list[str]) -> str:
        if out and into:
            return _("%(into)s for %(out)s") % {"into": self.names(into), "out": self.names(out)}
        if out:
            return _("Without %(out)s") % {"out": self.names(out)}
        return _("With %(into)s") % {"into": self.names(into)}

    @staticmethod
    def _asked_for(out: list[str], into: list[str]) -> str:
        """How the panel for changing the mixture is opened with the one edit that leads to an alternative."""
        return urlencode({"ingredient": out[0] if out else "", "with": into[0] if into else "-"})

    def cost_lines(self) -> list[tuple[str, str, bool]]:
        """(words, figure, is a factor) of the estimate, in the order in which it is made up."""
        cost = self.result["cost"]
        if not cost:
            return []
        return [
            (cost_line_words(line), line["multiplier"] or line["amount"], line["multiplier"] is not None)
            for line in cost["lines"]
            if line["item"] != "ingredients" or line["key"] == "1"
        ]

    def in_brief(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """One side of a comparison: what would be in the mixture, and the figures people look at first."""
        return {
            "status": answer["status"],
            "summary": answer["summary"],
            "lines": [
                (short_label(line["label"]), line["volume_ml"], line["role"] == "diluent")
                for syringe in answer["syringes"]
                for line in syringe["lines"]
            ],
            "blocks": [row["message"] for row in answer["blocks"]],
            "value": answer["value"],
            "volume": answer["total_volume_ml"],
            "sessions": (answer["course"] or {}).get("sessions"),
            "cost": answer["cost"],
            "cautions": len(answer["cautions"]),
        }

    @property
    def limits(self) -> dict[str, Any]:
        """The most that the formulary and the clinic's policy allow, for beside what the plan holds."""
        rules, policy = self.contents.formulary.composition, self.plan.policy
        course = self.contents.formulary.course
        return {
            "actives": policy.get("max_actives", rules.max_actives),
            "syringes": policy.get("max_syringes", rules.max_syringes),
            "point_min": str(course.point_min_ml),
            "point_max": str(course.point_max_ml),
            "diluent_percent": f"{rules.max_diluent_share * 100:.0f}",
            "step": str(course.step_ml),
        }

    @property
    def schedules(self) -> list[str]:
        band = self.contents.formulary.course.bands.get(self.result["severity"])
        return [name for name, _days in band.schedules] if band else []

    def edits(self) -> list[str]:
        """What the practitioner changed, in words."""
        return [self.edit_in_words(edit) for edit in self.plan.edits]

    @cached_property
    def edit_rows(self) -> list[EditRow]:
        """The same one by one, with what each needs so that its reason can be given in its place."""
        inside = set(self.plan_ingredients())
        rows: list[EditRow] = []
        for number, edit in enumerate(self.plan.edits):
            bare, op = bare_edit(edit), edit["op"]
            key = str(edit.get("with", edit.get("ingredient", "")))
            anchor = "-".join(str(bare[name]) for name in ("op", "ingredient", "with") if name in bare)
            leads_away = departs(self.plan, edit)
            on_line = op in ("set_volume", "swap", "add") and key in inside
            rows.append(
                EditRow(
                    anchor=f"{anchor}-{number}" if anchor in {row.anchor for row in rows} else anchor,
                    edit=bare,
                    words=self.edit_in_words(bare),
                    reason_code=str(edit.get("reason", "")),
                    note=str(edit.get("note", "")),
                    why=reason_in_words(edit),
                    departs=leads_away,
                    missing=leads_away and not is_explained(edit),
                    place="course" if op in ("set_sessions", "set_schedule") else "line" if on_line else "list",
                )
            )
        return rows

    def edit_changes(self, before: Plan) -> list[str]:
        """What was done by hand in this version and not in the one before, and what is no longer, each with why."""
        known, mine = bare_edits(before.edits), bare_edits(self.plan.edits)
        reasons = {canonical_json(bare_edit(edit)): reason_in_words(edit) for edit in before.edits}
        rows = []
        for edit in self.plan.edits:
            bare = bare_edit(edit)
            if bare not in known or reasons[canonical_json(bare)] != reason_in_words(edit):
                said = reason_in_words(edit) or (_("no reason recorded") if departs(self.plan, edit) else "")
                what = f"{self.edit_in_words(bare)} ({said})" if said else self.edit_in_words(bare)
                rows.append(_("By hand: %(what)s.") % {"what": what})
        rows += [
            _("No longer by hand: %(what)s.") % {"what": self.edit_in_words(edit)} for edit in known if edit not in mine
        ]
        return rows

    def edit_in_words(self, edit: Mapping[str, Any]) -> str:
        key = str(edit.get("ingredient", ""))
        name = self.contents.name(key)
        if edit["op"] == "set_volume":
            text = _("%(name)s set to %(volume)s mL") % {"name": name, "volume": shown_number(edit["volume_ml"])}
        elif edit["op"] == "remove":
            text = _("%(name)s removed") % {"name": name}
        elif edit["op"] == "add":
            text = _("%(name)s added") % {"name": name}
        elif edit["op"] == "swap":
            text = _("%(name)s for %(old)s") % {"name": self.contents.name(str(edit["with"])), "old": name}
        elif edit["op"] == "set_sessions":
            text = _("%(n)s sessions") % {"n": edit["sessions"]}
        elif edit["op"] == "wait":
            text = _("No injections now")
        else:
            text = _("Schedule: %(name)s") % {"name": edit.get("schedule", "")}
        if why := reason_in_words(edit):
            text += f" ({why})"
        return text

    def as_it_is(self, edit: Mapping[str, Any]) -> list[str]:
        """What the draft holds now in the place that an edit aimed at, for beside what was wanted."""
        if edit["op"] in ("set_sessions", "set_schedule"):
            course = self.result["course"]
            return [_("%(n)s sessions") % {"n": course["sessions"]}] if course else [_("There is no course.")]
        volumes = {
            line["ingredient"]: line["volume_ml"] for syringe in self.result["syringes"] for line in syringe["lines"]
        }
        rows = []
        for key in dict.fromkeys(str(edit[name]) for name in ("ingredient", "with") if edit.get(name)):
            name = self.contents.name(key)
            if key in volumes:
                rows.append(_("%(name)s: %(volume)s mL") % {"name": name, "volume": volumes[key]})
            else:
                rows.append(_("%(name)s: not in the mixture") % {"name": name})
        return rows or [_("Look at the draft below.")]


def reason_in_words(edit: Mapping[str, Any]) -> str:
    """Why an edit was made: the coded reason and the note. Empty where none is recorded, as in plans from before."""
    code = str(edit.get("reason") or "")
    label = str(dict(EditReason.choices).get(code, code))
    return ": ".join(part for part in (label, str(edit.get("note") or "")) if part)


def rule_sources(documents: Mapping[str, Any], rule: str) -> list[str]:
    """The sources of the part of the formulary that a rule's address names, or of the nearest part that has any."""
    parts = rule.split(".")
    if parts[0] == "composition":
        parts = ["course", *parts]
    node: Any = documents
    found: list[str] = []
    for part in parts:
        if isinstance(node, list):
            node = next((item for item in node if isinstance(item, Mapping) and item.get("key") == part), None)
        else:
            node = node.get(part) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping) and node.get("source_ids"):
            found = list(node["source_ids"])
    return found


def refusal_beside(row: Mapping[str, Any], plan: Plan) -> str:
    """Why an edit was refused, with the source of the limit, for beside its field."""
    contents = Catalogue(plan.formulary)
    sources = ", ".join(source.short for source in contents.sources(row["params"].get("sources") or ()))
    return " ".join(
        part for part in (row["message"], _("Source: %(names)s.") % {"names": sources} if sources else "") if part
    )


def _unit(fact: Fact | None) -> str:
    return unit_label(fact.unit) if fact and fact.unit else ""
