"""Today, any day, and the record of a patient."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from patients.queries import patients_seen_by
from patients.record.strip import patient_strip
from sessions.course.planned import planned_syringes
from sessions.inbox import inbox
from sessions.mail.waiting import may_be_mailed
from sessions.pages import patient as timeline
from sessions.pages import today as days
from sessions.pages.forms import DayForm
from sessions.pages.needs import WAITING_AT_MOST, needs_of
from sessions.pages.steps import steps_of
from sessions.permissions import can_cancel, can_move

# ------------------------------------------------------------------ Today and any other day


@requires(Permission.BOOKING_READ)
@require_safe
def today(request: ClinicRequest) -> HttpResponse:
    if "on" in request.GET and (chosen := DayForm(request.GET).day()):
        return redirect("sessions:day", day=chosen)
    return _day(request, None)


@requires(Permission.BOOKING_READ)
@require_safe
def day(request: ClinicRequest, day: date) -> HttpResponse:
    return _day(request, day)


def _day(request: ClinicRequest, day: date | None) -> HttpResponse:
    site = request.site
    if site is None:
        return render(request, "sessions/no_site.html")
    now = timezone.now()
    here = now.astimezone(site.tz).date()
    shown = days.day_of(
        day=day or here,
        site=site,
        user=request.user,
        now=now,
        who=request.GET.get("who", "all"),
        room=request.GET.get("room", ""),
    )
    needs, needs_total = needs_of(user=request.user, site=site) if shown.is_today else ([], 0)
    flags = inbox.flags_of(user=request.user, site=site, now=now, at_most=WAITING_AT_MOST)
    trail.record(
        "day.viewed",
        by=request.user,
        details={
            "day": shown.day.isoformat(),
            "site": str(site.public_id),
            "patients": [str(row.visit.patient.public_id) for row in shown.rows],
        },
    )
    context = {
        "page": shown,
        "flags": flags,
        "needs": needs,
        "needs_total": needs_total,
        "mails": days.messages_of_day(day=shown.day, site=site, user=request.user),
        "before": shown.day - timedelta(days=1),
        "after": shown.day + timedelta(days=1),
        "form": DayForm(initial={"on": shown.day}),
        "here": request.get_full_path(),
    }
    return render(request, "sessions/day.html", context)


# ------------------------------------------------------------------ one patient


@requires(Permission.PATIENT_READ)
@require_safe
def patient(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    shown = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    now = timezone.now()
    record = timeline.read_patient_page(shown, user=request.user)
    kind = request.GET.get("t", "") if request.GET.get("t", "") in timeline.KINDS else ""
    following = timeline.next_visit(record, now=now)
    trail.record("patient.viewed", by=request.user, target=shown, patient=shown)
    with timezone.override(shown.site.tz):
        context = {
            "patient": shown,
            "strip": patient_strip(shown, user=request.user),
            "steps": steps_of(record, patient=shown, user=request.user, now=now),
            "course": timeline.course_of(record, user=request.user),
            "events": timeline.events_of(record, user=request.user, now=now, kind=kind) if kind else [],
            "story": None if kind else timeline.story_of(record, user=request.user, now=now),
            "kind": kind,
            "present": timeline.present_of(record, patient=shown, user=request.user, now=now),
            "now": now,
            "next_visit": following,
            "can_move": following is not None and can_move(following, by=request.user),
            "can_cancel": following is not None and can_cancel(following, by=request.user),
            "left_behind": record.left_behind,
            "in_force": record.in_force,
            "waiting": timeline.waiting_messages(record.messages),
            "syringes": planned_syringes(record.in_force, 1)
            if record.in_force and request.user.may(Permission.PLAN_READ)
            else [],
            "mailable": may_be_mailed(shown),
            "in_care": shown.is_in_care,
            "to_cancel": timeline.visits_to_cancel(record, patient=shown),
            "today": now.astimezone(shown.site.tz).date(),
        }
        return render(request, "sessions/patient.html", context)
