"""What the rules found in a plan: blocks, cautions, open questions and referrals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from django.utils.translation import gettext as _

from patients.intake.answers import answered_unknown, question_of, short_label, value_in_words, without_mark
from patients.intake.measures import Offered, offered, unit_label
from patients.vocabulary import Fact
from protocols.formulary.catalogue import Source
from protocols.models.enums import AcknowledgementReason, OpenAnswerKind
from protocols.pages.reading import Reading
from protocols.plans.queries import intake_checks, live_acknowledgements, live_open_answers


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


def findings(reading: Reading, kind: Literal["blocks", "cautions", "infos"]) -> list[Finding]:
    """``kind``: blocks, cautions or infos."""
    done = live_acknowledgements(reading.plan) if kind == "cautions" else {}
    rows = []
    for row in reading.result[kind]:
        given = done.get(row["rule"])
        rows.append(
            Finding(
                rule=row["rule"],
                message=row["message"],
                until=row["until"] or "",
                because="; ".join(dict.fromkeys(row["because_text"])),
                ingredients=reading.names(row["ingredients"]),
                sources=reading.contents.sources(row["sources"]),
                acknowledged=given,
                reason=str(AcknowledgementReason(given.reason_code).label) if given else "",
            )
        )
    for check in intake_checks(reading.plan) if kind == "cautions" else ():
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


def questions(reading: Reading, kind: Literal["missing", "open_questions"]) -> list[Question]:
    """``kind``: missing (no proposal without them) or open_questions (no signature without them)."""
    given = live_open_answers(reading.plan) if kind == "open_questions" else {}
    not_known = set(answered_unknown(reading.plan.intake))
    rows = []
    for row in cast(Sequence[Mapping[str, Any]], reading.result[kind]):
        fact = reading.vocabulary.facts.get(row["fact"])
        rows.append(
            Question(
                fact=row["fact"],
                label=row["label"],
                text=without_mark(row["question"]),
                decides=[(rule, reading.rule_says(rule)) for rule in row["needed_by"]],
                ingredients=reading.names(row.get("ingredients", [])),
                input="number" if fact and fact.type in ("integer", "number") else fact.type if fact else "number",
                unit=_unit(fact),
                units=offered(fact, reading.typed.get(f"unit-{fact.key}", "")) if fact else (),
                choices=[(choice.key, choice.label) for choice in fact.values] if fact else [],
                waived=row.get("waived"),
                settled_by=given.get(row["fact"]),
                not_known=row["fact"] in not_known,
            )
        )
    asked = {row.fact for row in rows}
    for key, answer in given.items():
        fact = reading.vocabulary.facts.get(key)
        if fact and key not in asked and answer.kind == OpenAnswerKind.ANSWERED:
            rows.append(_given(reading, fact, answer))
    return rows


def answers_beside(reading: Reading, answers: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """(what was typed, what the draft holds) for each of these answers, in words."""
    open_now = {row.fact: row for row in questions(reading, "open_questions")}
    wanted, now = [], []
    for answer in answers:
        fact = reading.vocabulary.facts.get(answer["fact"])
        label = short_label(question_of(fact)) if fact else answer["fact"]
        said = answer.get("value") if answer["kind"] == OpenAnswerKind.ANSWERED else answer.get("reason", "")
        if isinstance(said, dict):  # a number with its unit
            said = " ".join(part for part in (said.get("value", ""), unit_label(said.get("unit", ""))) if part)
        wanted.append(f"{label}: {', '.join(said) if isinstance(said, list) else said}")
        row = open_now.get(answer["fact"])
        holds = row.given or (row.waived or {}).get("reason", "") if row else ""
        now.append(f"{label}: {holds or (_('open') if row else _('not asked any more'))}")
    return wanted, now


def _given(reading: Reading, fact: Fact, answer: Any) -> Question:
    """A question that was answered in this draft, so that a slip can be corrected."""
    return Question(
        fact=fact.key,
        label=short_label(question_of(fact)),
        text=short_label(question_of(fact)),
        decides=[],
        ingredients="",
        input="number" if fact.type in ("integer", "number") else fact.type,
        unit=_unit(fact),
        units=offered(fact, reading.typed.get(f"unit-{fact.key}", "")),
        choices=[(choice.key, choice.label) for choice in fact.values],
        waived=None,
        settled_by=answer,
        given=value_in_words(fact, answer.value),
    )


def referrals(reading: Reading) -> list[dict[str, Any]]:
    """Each with what it is for, which is what its rule says."""
    result = reading.result
    found = (*result["blocks"], *result["cautions"], *result["infos"])
    said = {row["rule"]: row["message"] for row in found}
    rows = {row["referral"]: row for row in result["referrals"]}
    return [{**row, "why": said.get(row["rule"], "")} for row in rows.values()]


def _unit(fact: Fact | None) -> str:
    return unit_label(fact.unit) if fact and fact.unit else ""
