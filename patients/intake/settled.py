"""What statements were settled as: the facts that stand beside the answers of an intake and enter every case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from patients.models import Patient, Settlement, SettlementOutcome, Statement
from patients.vocabulary import Fact, load_vocabulary


@dataclass(frozen=True, kw_only=True)
class SettledFact:
    """One value that a statement was settled as: of a list, or the answer of a question."""

    fact: str
    value: Any
    statement: Statement
    settlement: Settlement


def of_person(patient: Patient) -> Q:
    """Narrow rows with a ``statement`` to all records of the person, without a query of its own."""
    root = patient.merged_into_id or patient.pk
    return Q(statement__patient=root) | Q(statement__patient__merged_into=root)


def settled_facts(patient: Patient) -> tuple[SettledFact, ...]:
    """Return the facts that the person's statements were settled as, the oldest words first; in one query.

    Of each statement only the newest settlement counts.
    """
    rows = (
        Settlement.objects.filter(of_person(patient))
        .select_related("statement__said_by", "settled_by")
        .order_by("statement__said_at", "statement_id", "number")
    )
    return _facts_in(rows)


def settled_facts_of(patients: Iterable[Patient]) -> dict[int, tuple[SettledFact, ...]]:
    """Return the same for each of ``patients`` that has any, by primary key; one query for all."""
    roots = {patient.merged_into_id or patient.pk: patient.pk for patient in patients}
    rows = (
        Settlement.objects.filter(Q(statement__patient__in=roots) | Q(statement__patient__merged_into__in=roots))
        .select_related("statement__said_by", "statement__patient", "settled_by")
        .order_by("statement__said_at", "statement_id", "number")
    )
    found: dict[int, list[Settlement]] = {}
    for row in rows:
        record = row.statement.patient
        found.setdefault(roots[record.merged_into_id or record.pk], []).append(row)
    return {pk: _facts_in(settlements) for pk, settlements in found.items()}


def _facts_in(rows: Iterable[Settlement]) -> tuple[SettledFact, ...]:
    newest = {row.statement_id: row for row in rows}
    return tuple(
        SettledFact(fact=entry["fact"], value=entry["value"], statement=row.statement, settlement=row)
        for row in newest.values()
        if row.outcome == SettlementOutcome.FACT
        for entry in row.facts
    )


def settled_since(patient: Patient, at: datetime) -> bool:
    """Whether anything that the person said was settled, or settled otherwise, after ``at``."""
    return Settlement.objects.filter(of_person(patient), settled_at__gt=at).exists()


def is_settling(fact: Fact) -> bool:
    """Whether words can be settled as a value of this fact: of a list, a choice, or a yes."""
    return fact.type in ("list", "enum", "boolean")


def with_settled(
    facts: Mapping[str, Any], settled: Iterable[SettledFact], *, answered_at: datetime, of_the_day: Iterable[str]
) -> dict[str, Any]:
    """Return the facts with what was settled merged in; ``facts`` stays as it is.

    A list that was answered gains the value; one that nobody answered stays unanswered, since a single value would
    read as “no” to all others. Any other question takes the settled answer. A fact of the day (``of_the_day``) holds
    until an intake that was submitted after the words answers it again.
    """
    merged, vocabulary, passing = dict(facts), load_vocabulary(), frozenset(of_the_day)
    for row in settled:
        fact = vocabulary.facts.get(row.fact)
        if fact is None:
            continue
        if row.fact in passing and row.statement.said_at < answered_at:
            continue
        if fact.type != "list":
            merged[row.fact] = row.value
        elif isinstance(merged.get(row.fact), list):
            merged[row.fact] = _in_order(fact, [*merged[row.fact], row.value])
    return merged


def _in_order(fact: Fact, values: list[str]) -> list[str]:
    """Each value once, in the order of the question; ingredients, which the file does not list, in that of naming."""
    order = {choice.key: place for place, choice in enumerate(fact.values)}
    return sorted(dict.fromkeys(values), key=lambda value: order.get(value, len(order)))
