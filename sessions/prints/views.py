"""Ask for prints from a visit, from a day, and from a plan by whoever may know that there is one."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.core.errors import InvalidInput
from mesoclinic.documents.views import open_document
from protocols.prints.documents import request_plan_pdf
from protocols.prints.kinds import WITHOUT_CONTENT
from sessions.prints.documents import request_pack, request_visit_pdf
from sessions.queries import appointments_visible_to

_VISIT = ("patient__site", "site", "room", "practitioner", "course__plan__formulary", "course__plan__intake")


@requires(Permission.PLAN_READ)
@require_POST
def visit_document(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    visit = get_object_or_404(appointments_visible_to(request.user).select_related(*_VISIT), public_id=public_id)
    kind = request.POST.get("kind", "preparation_sheet")
    reason = request.POST.get("standing_reason", "")
    document = request_visit_pdf(appointment=visit, kind=kind, by=request.user, standing_reason=reason)
    return open_document(request, document)


@requires(Permission.BOOKING_READ)
@require_POST
def visit_dates(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The dates of the course, or the advice before and after it: for reception as well."""
    visit = get_object_or_404(appointments_visible_to(request.user).select_related(*_VISIT), public_id=public_id)
    kind = request.POST.get("kind", "course_schedule")
    if kind not in WITHOUT_CONTENT:
        raise InvalidInput(_("There is no such document of a visit."))
    document = request_plan_pdf(plan=visit.course.plan, kind=kind, by=request.user)
    return open_document(request, document)


@requires(Permission.PLAN_READ)
@require_POST
def day_pack(request: ClinicRequest, day: date) -> HttpResponse:
    """One file of many prints, for the site that the page is about."""
    if request.site is None:
        raise InvalidInput(_("You belong to no site yet."))
    pack = request_pack(site=request.site, first=day, what=request.POST.get("what", "day"), by=request.user)
    return open_document(request, pack)
