"""Who has a draft open just now: a mark in the cache that fades by itself. It warns and never locks.

What keeps one person from overwriting another is the draft's revision, not this.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from protocols.models import Plan

STAYS = timedelta(seconds=150)  # the page says every minute that it is still open
CHANGES = (
    "plan.edited",
    "plan.edit_explained",
    "plan.edit_undone",
    "plan.questions_answered",
    "plan.limits_tightened",
    "plan.taken_over",
)


@dataclass(frozen=True, kw_only=True)
class Present:
    name: str
    since: datetime
    writes: bool


@dataclass(frozen=True, kw_only=True)
class Changed:
    name: str
    at: datetime


def mark_open(plan: Plan, *, user: User, writes: bool) -> list[Present]:
    """Note that the person has the draft open; the others who have, the longest first."""
    now, key = timezone.now(), _key(plan)
    marks: dict[int, dict[str, Any]] = {
        pk: mark for pk, mark in (cache.get(key) or {}).items() if now - mark["seen"] <= STAYS
    }
    since = marks[user.pk]["since"] if user.pk in marks else now
    marks[user.pk] = {"name": user.name, "since": since, "seen": now, "writes": writes}
    cache.set(key, marks, int(STAYS.total_seconds()))
    others = [mark for pk, mark in marks.items() if pk != user.pk]
    return [
        Present(name=mark["name"], since=mark["since"], writes=mark["writes"])
        for mark in sorted(others, key=lambda mark: (mark["since"], mark["name"]))
    ]


def forget_presence(plan: Plan) -> None:
    """Nobody drafts it any more."""
    cache.delete(_key(plan))


def _key(plan: Plan) -> str:
    return f"plan-open:{plan.public_id}"


def last_change(plan: Plan) -> Changed | None:
    """Who changed the draft last, as the trail knows it."""
    row = (
        AuditEvent.objects.filter(target_id=plan.public_id, action__in=CHANGES)
        .order_by("-id")
        .values_list("actor_label", "at")
        .first()
    )
    return Changed(name=row[0], at=row[1]) if row else None
