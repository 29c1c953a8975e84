"""How the state of a plan is shown: the kind of its chip and its icon, the same on every page."""

from __future__ import annotations

from collections.abc import Mapping

from protocols.models.enums import PlanStatus

PLAN_MARKS: Mapping[str, tuple[str, str]] = {
    PlanStatus.DRAFT: ("info", "edit"),
    PlanStatus.SIGNED: ("ok", "lock"),
    PlanStatus.ACTIVE: ("ok", "lock"),
    PlanStatus.COMPLETED: ("ok", "lock"),
    PlanStatus.STOPPED: ("warn", "warn"),
    PlanStatus.SUPERSEDED: ("", "history"),
    PlanStatus.DISCARDED: ("", "history"),
}
