"""One way for every view of a plan to answer a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from mesoclinic.accounts.middleware import ClinicRequest
from protocols.models import Plan, PlanStop
from protocols.models.enums import PlanStatus, StopReason
from protocols.pages.reading import UnfitReason
from protocols.plans.presence import Changed
from protocols.views.forms import AcknowledgeForm


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """The draft was changed since the page was shown: what was wanted, beside what it holds now."""

    wanted: list[str]
    now: list[str]
    changed: Changed | None
    url: str = ""
    resend: list[tuple[str, str]] = field(default_factory=list)  # the same once more, with the present revision


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Why a plan was stopped, for its page; a plan from before reasons were asked has none."""

    reason: str
    note: str
    name: str
    at: datetime

    @classmethod
    def of(cls, plan: Plan) -> Stopped | None:
        if plan.status != PlanStatus.STOPPED:
            return None
        row = PlanStop.objects.filter(plan=plan).select_related("by").first()
        if row is None:
            return None
        return cls(reason=str(StopReason(row.reason_code).label), note=row.note, name=row.by.name, at=row.at)


@dataclass(kw_only=True)
class Refused:
    """What a request asked for and did not get, so that it stands beside its field with what was typed."""

    top: str = ""
    sign: str = ""
    may_undo: bool = False
    volumes: dict[str, tuple[str, str]] = field(default_factory=dict)  # ingredient: what was typed, why not
    swaps: dict[str, str] = field(default_factory=dict)
    reason: UnfitReason | None = None
    caution: dict[str, AcknowledgeForm] = field(default_factory=dict)
    insist: dict[str, str] = field(default_factory=dict)  # concern, reason as typed, error
    answers: dict[str, str] = field(default_factory=dict)
    typed: dict[str, Any] = field(default_factory=dict)
    conflict: Conflict | None = None

    @property
    def lines(self) -> dict[str, tuple[str, str]]:
        """By ingredient: what was typed, and why its volume or its going was refused."""
        typed = {key: ("", said) for key, said in self.swaps.items()}
        return typed | {key: (text, said or self.swaps.get(key, "")) for key, (text, said) in self.volumes.items()}


def from_the_plan(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For what the plan's page posts. Somebody whose log-in had timed out comes back here by GET: to the plan, then."""

    @wraps(view)
    def posted(request: ClinicRequest, public_id: UUID) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            return redirect("protocols:plan", public_id)
        answer: HttpResponse = require_POST(view)(request, public_id)
        return answer

    return posted
