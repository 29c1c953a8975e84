"""Which state may follow which: one table per model. docs/reference/plan-states.md is drawn from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from protocols.models.enums import FormularyStatus, PlanStatus

PLAN: Mapping[PlanStatus, frozenset[PlanStatus]] = {
    PlanStatus.DRAFT: frozenset({PlanStatus.SIGNED, PlanStatus.DISCARDED}),
    PlanStatus.SIGNED: frozenset({PlanStatus.ACTIVE, PlanStatus.STOPPED, PlanStatus.SUPERSEDED}),
    PlanStatus.ACTIVE: frozenset({PlanStatus.COMPLETED, PlanStatus.STOPPED, PlanStatus.SUPERSEDED}),
    PlanStatus.COMPLETED: frozenset(),
    PlanStatus.STOPPED: frozenset(),
    PlanStatus.SUPERSEDED: frozenset(),
    PlanStatus.DISCARDED: frozenset(),
}

FORMULARY: Mapping[FormularyStatus, frozenset[FormularyStatus]] = {
    FormularyStatus.DRAFT: frozenset({FormularyStatus.PUBLISHED}),
    FormularyStatus.PUBLISHED: frozenset({FormularyStatus.RETIRED}),
    FormularyStatus.RETIRED: frozenset(),
}


def may_become(status: str, to: PlanStatus) -> bool:
    return to in PLAN[PlanStatus(status)]


def before(to: PlanStatus) -> list[PlanStatus]:
    """The states from which a plan may reach ``to``."""
    return [status for status, following in PLAN.items() if to in following]


def document() -> str:
    """The reference page, as Markdown with two diagrams."""
    lines = [
        "# States of plans and formulary versions",
        "",
        "Drawn by `manage.py plan_states` from `protocols/models/transitions.py`; a test fails while the two differ.",
        "",
        "## Plan",
        "",
        "A signed plan never changes; only its state does. An amendment is a new version that supersedes the old one",
        "in the moment it is signed.",
        "",
        *_diagram(PLAN),
        "",
        "## Formulary version",
        "",
        "One version is in force. Publishing the next retires it; plans keep the version they were computed from.",
        "",
        *_diagram(FORMULARY),
        "",
    ]
    return "\n".join(lines)


def _diagram(table: Mapping[Any, frozenset[Any]]) -> Iterator[str]:
    first = next(iter(table))
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {first.value}"
    for status, following in table.items():
        for to in sorted(following):
            yield f"    {status.value} --> {to.value}"
        if not following:
            yield f"    {status.value} --> [*]"
    yield "```"
