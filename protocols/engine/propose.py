"""propose(): facts, formulary and policy in; a screened, selected, dosed and explained proposal out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from protocols.engine.answer import Answer
from protocols.engine.earlier import as_said_by
from protocols.engine.explain import explain
from protocols.engine.inputs.case import Case, parse_case, read_stock
from protocols.engine.inputs.formulary import Formulary
from protocols.engine.inputs.model import CaseError, Fault
from protocols.engine.inputs.policy import Policy
from protocols.engine.mixing.select import select
from protocols.engine.result import Result, compose
from protocols.engine.setting import Setting, set_up


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal(Result):
    """A result that can say itself."""

    @cached_property
    def _answer(self) -> Answer:
        return explain(self)

    def as_dict(self) -> Answer:
        """The whole answer, JSON-safe: codes and parameters, no sentences."""
        return self._answer

    def as_said_by(self, version: str, stored: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], ...]:
        """The answer as this or an earlier engine gave it; in each spelling, where one had several; none if unknown.

        `stored` is the answer that a plan of that engine keeps: its questions may stand in another order.
        """
        return as_said_by(self, self.as_dict(), version, stored)


def propose(
    case: Case | Mapping[str, Any],
    formulary: Formulary,
    policy: Policy | None = None,
    stock: Mapping[str, Any] | None = None,
) -> Proposal:
    """The engine's proposal. Raises CaseError for input that cannot be read, and nothing else."""
    setting = prepare(case, formulary, policy, stock)
    if setting.status != "proposed":
        return Proposal(setting=setting, composition=None)
    return Proposal(setting=setting, composition=compose(setting, select(setting.problem)))


def prepare(
    case: Case | Mapping[str, Any],
    formulary: Formulary,
    policy: Policy | None = None,
    stock: Mapping[str, Any] | None = None,
) -> Setting:
    if not isinstance(case, Case):
        case = parse_case(case, formulary)
    effective = formulary.switched(activate=case.activate, deactivate=case.deactivate)
    base = policy if policy is not None else Policy.default(formulary)
    amounts = case.stock
    if stock is not None:
        faults: list[Fault] = []
        amounts = read_stock(stock, formulary, faults)
        if faults:
            raise CaseError(tuple(faults))
    return set_up(case, effective, base.overridden(case.policy, formulary), amounts)
