"""The page of events, for whoever answers for the clinic."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.audit.forms import EventFilterForm
from mesoclinic.audit.models import AuditEvent
from mesoclinic.audit.queries import events_matching

PER_PAGE = 100


@requires(Permission.AUDIT_READ)
@require_safe
def event_list(request: ClinicRequest) -> HttpResponse:
    """Who did or saw what. Looking at the trail leaves an event too."""
    form = EventFilterForm(request.GET)
    found = AuditEvent.objects.none()
    if form.is_valid():
        chosen = form.cleaned_data
        found = events_matching(
            actor=chosen["person"].public_id if chosen["person"] else None,
            action=chosen["action"],
            patient=chosen["patient"],
            first_day=chosen["first_day"],
            last_day=chosen["last_day"],
        )
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    events = list(page)  # before this look is added to them
    filters = {name: form[name].value() for name, value in form.cleaned_data.items() if value}
    trail.record("audit.viewed", by=request.user, patient=form.cleaned_data.get("patient"), details=filters)
    context = {"form": form, "page": page, "events": events, "filters": filters}
    return render(request, "audit/event_list.html", context)
