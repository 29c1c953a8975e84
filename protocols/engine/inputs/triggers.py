"""Triggers: the conditions of rules, in three-valued sense.

A fact that has not been answered is unknown. `holds` is the plain reading of the formulary: with an unknown fact every
test is false, except `is_not`, which is then true. `may_hold` asks whether some answer to the unknown facts could still
make the trigger hold, and `deciding` names those facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from protocols.engine.inputs.model import Answer, FactShape

OPERATIONS = (
    "is", "is_not", "lt", "lte", "gt", "gte", "in", "includes", "includes_any", "is_not_empty",
)  # fmt: skip
OPERATIONS_OF_TYPE = {
    "integer": {"is", "is_not", "lt", "lte", "gt", "gte", "in"},
    "number": {"is", "is_not", "lt", "lte", "gt", "gte", "in"},
    "enum": {"is", "is_not", "in"},
    "boolean": {"is", "is_not"},
    "list": {"includes", "includes_any", "is_not_empty"},
}

Answers = Mapping[str, Answer]


@dataclass(frozen=True, kw_only=True)
class Reason:
    """The answer that made a test true."""

    fact: str
    op: str
    value: Any
    answer: Answer | None


@dataclass(frozen=True, kw_only=True)
class Test:
    fact: str
    op: str
    value: Any
    shape: FactShape

    __test__ = False

    def holds(self, answers: Answers) -> bool:
        answer = answers.get(self.fact)
        if answer is None:
            return self.op == "is_not"
        return _test(self.op, answer, self.value)

    def may_hold(self, answers: Answers) -> bool:
        return self.holds(answers) if self.fact in answers else self._applies(answers)

    def deciding(self, answers: Answers) -> Iterator[str]:
        if self.fact not in answers and self._applies(answers):
            yield self.fact

    def reasons(self, answers: Answers) -> Iterator[Reason]:
        if self.holds(answers):
            answer = answers.get(self.fact)
            if self.op in {"includes", "includes_any"} and isinstance(answer, tuple):
                wanted = (self.value,) if self.op == "includes" else self.value
                answer = tuple(item for item in answer if item in wanted)
            yield Reason(fact=self.fact, op=self.op, value=self.value, answer=answer)

    def facts(self) -> Iterator[str]:
        yield self.fact

    def _applies(self, answers: Answers) -> bool:
        shape = self.shape
        return answers.get(shape.only_if_fact, shape.only_if_value) == shape.only_if_value


@dataclass(frozen=True, kw_only=True)
class Every:
    parts: tuple[Trigger, ...]

    def holds(self, answers: Answers) -> bool:
        return all(part.holds(answers) for part in self.parts)

    def may_hold(self, answers: Answers) -> bool:
        return all(part.may_hold(answers) for part in self.parts)

    def deciding(self, answers: Answers) -> Iterator[str]:
        """To be asked of a trigger that may hold; then each of its parts may."""
        for part in self.parts:
            yield from part.deciding(answers)

    def reasons(self, answers: Answers) -> Iterator[Reason]:
        if self.holds(answers):
            for part in self.parts:
                yield from part.reasons(answers)

    def facts(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.facts()


@dataclass(frozen=True, kw_only=True)
class Some:
    parts: tuple[Trigger, ...]

    def holds(self, answers: Answers) -> bool:
        return any(part.holds(answers) for part in self.parts)

    def may_hold(self, answers: Answers) -> bool:
        return any(part.may_hold(answers) for part in self.parts)

    def deciding(self, answers: Answers) -> Iterator[str]:
        for part in self.parts:
            if part.may_hold(answers):
                yield from part.deciding(answers)

    def reasons(self, answers: Answers) -> Iterator[Reason]:
        for part in self.parts:
            yield from part.reasons(answers)

    def facts(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.facts()


Trigger = Test | Every | Some


def build_trigger(data: Mapping[str, Any], facts: Mapping[str, FactShape]) -> Trigger:
    """A trigger from its data. The loader has checked its words; what is left to say is what it means."""
    if "all" in data:
        return Every(parts=tuple(build_trigger(part, facts) for part in data["all"]))
    if "any" in data:
        return Some(parts=tuple(build_trigger(part, facts) for part in data["any"]))
    shape, value = facts[data["fact"]], data["value"]
    if shape.type in {"integer", "number"}:
        value = tuple(Decimal(str(v)) for v in value) if isinstance(value, list) else Decimal(str(value))
    elif isinstance(value, list):
        value = tuple(value)
    return Test(fact=data["fact"], op=data["op"], value=value, shape=shape)


def _test(op: str, answer: Any, value: Any) -> bool:
    if op == "is":
        return bool(answer == value)
    if op == "is_not":
        return bool(answer != value)
    if op == "in":
        return answer in value
    if op == "includes":
        return value in answer
    if op == "includes_any":
        return any(item in answer for item in value)
    if op == "is_not_empty":
        return bool(answer) is value
    if op == "lt":
        return bool(answer < value)
    if op == "lte":
        return bool(answer <= value)
    if op == "gt":
        return bool(answer > value)
    if op == "gte":
        return bool(answer >= value)
    raise ValueError(f"unknown operation {op}")
