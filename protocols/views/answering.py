"""The one way in which the views of a plan act and answer: the plan as it is now, or beside its field why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.core.errors import DomainError
from protocols.actions.refusals import StaleRevision
from protocols.models import Plan
from protocols.plans.presence import last_change
from protocols.views.plan import plan_page
from protocols.views.refusals import Conflict, Refused

Said = tuple[type[DomainError] | tuple[type[DomainError], ...], Callable[[Any], Refused | HttpResponse]]
"""A kind of refusal, and where it is said: beside which field, or as an answer of its own."""


def answered(
    request: ClinicRequest,
    plan: Plan,
    act: Callable[[], object],
    *said: Said,
    anchor: str = "",
    done: Callable[[], HttpResponse] | None = None,
) -> HttpResponse:
    """Act and show the plan as it is then, or ``done``. A refusal is said by the first row of its kind, else on top."""
    try:
        act()
    except DomainError as refusal:
        for kind, beside in said:
            if isinstance(refusal, kind):
                found = beside(refusal)
                return found if isinstance(found, HttpResponse) else refused_answer(request, plan, refusal, found)
        return refused_on_top(request, plan, refusal)
    return done() if done else changed_answer(request, plan, anchor=anchor)


def refused_answer(request: ClinicRequest, plan: Plan, refusal: DomainError, refused: Refused) -> HttpResponse:
    """The plan as it was shown, with what was refused beside its field."""
    return plan_page(request, plan, refused=refused, status=refusal.status)


def refused_on_top(request: ClinicRequest, plan: Plan, refusal: DomainError) -> HttpResponse:
    """The plan as it is stored by now, with the refusal above it."""
    plan.refresh_from_db()
    return refused_answer(request, plan, refusal, Refused(top=str(refusal)))


def changed_answer(request: ClinicRequest, plan: Plan, *, anchor: str = "") -> HttpResponse:
    """After a change: the panes for htmx, the page for a plain form."""
    if request.htmx:
        return plan_page(request, plan)
    return redirect(reverse("protocols:plan", args=[plan.public_id]) + anchor)


def conflict_answer(
    request: ClinicRequest,
    plan: Plan,
    name: str,
    *,
    wanted: list[str],
    now: list[str],
    again: Mapping[str, Any],
    refused: Refused | None = None,
) -> HttpResponse:
    """The draft as it is now, with what was wanted above it and a button to do it all the same."""
    refused = refused or Refused()
    refused.conflict = Conflict(
        wanted=wanted,
        now=now,
        changed=last_change(plan),
        url=reverse(f"protocols:{name}", args=[plan.public_id]),
        resend=[(key, str(value)) for key, value in again.items() if value not in (None, "")],
    )
    return plan_page(request, plan, refused=refused, status=StaleRevision.status)
