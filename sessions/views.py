from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.errors import DomainError, InvalidInput, InvalidTransition
from mesoclinic.messaging.queries import messages_about
from mesoclinic.reading import whole_number, whole_numbers
from mesoclinic.ui.toasts import tell
from patients.models import DayCheck
from patients.queries import day_checks_on, patients_seen_by, strip
from protocols.models import Plan
from protocols.standing import check_may_treat, standing
from sessions import day as days
from sessions import inbox, timeline
from sessions.actions import (
    book_course,
    cancel_appointment,
    cancel_course,
    record_session,
    set_appointment_status,
)
from sessions.forms import CallForm, DayForm, RecordForm, WishesForm
from sessions.holes import holes_of
from sessions.leaving import cancel_visits
from sessions.mails import may_be_mailed
from sessions.models import Appointment, AppointmentStatus, Course
from sessions.offers import freed_times
from sessions.permissions import can_cancel, can_move, can_record, check_can_book, check_can_record
from sessions.planned import planned_syringes, planned_zones
from sessions.proposing import Chosen, ProposalChanged, Series, propose_series, wishes_from
from sessions.queries import (
    able_practitioners,
    appointments_visible_to,
    bookable_plans_visible_to,
    courses_visible_to,
    rooms_of,
    usable_lots,
)
from sessions.standing_band import ways_on
from sessions.stopped_visits import call_words, note_call, overrides_of
from sessions.terms import terms_of
from sessions.undo_views import booking_undo_url, undo_url_of
from sessions.undoing import can_undo
from sessions.visit_changes import UNDO_WITHIN, open_change
from sessions.wording import overbooked_words, proposal_rows

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
    needs, needs_total = days.needs_of(user=request.user, site=site) if shown.is_today else ([], 0)
    flags = inbox.flags_of(user=request.user, site=site, now=now, at_most=days.WAITING_AT_MOST)
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
    record = timeline.read(shown, user=request.user)
    kind = request.GET.get("t", "") if request.GET.get("t", "") in timeline.KINDS else ""
    following = timeline.next_visit(record, now=now)
    trail.record("patient.viewed", by=request.user, target=shown, patient=shown)
    with timezone.override(shown.site.tz):
        context = {
            "patient": shown,
            "strip": strip(shown, user=request.user),
            "steps": timeline.steps_of(record, patient=shown, user=request.user, now=now),
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


@requires(Permission.BOOKING_WRITE)
@require_POST
def visits_cancel(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Cancel all that is booked for somebody who has died or moved away."""
    person = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    visits = cancel_visits(person=person, by=request.user)
    tell(
        request,
        ngettext("%(n)s appointment is cancelled.", "%(n)s appointments are cancelled.", len(visits))
        % {"n": len(visits)},
    )
    return redirect("sessions:patient", public_id=person.public_id)


# ------------------------------------------------------------------ booking a course


@requires(Permission.BOOKING_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def course_book(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The proposal is computed when the page opens; booking it is one button."""
    plan = get_object_or_404(
        bookable_plans_visible_to(request.user).select_related("patient__site", "signed_by", "formulary"),
        public_id=public_id,
    )
    site = plan.patient.site
    with timezone.override(site.tz):
        form = WishesForm(_wishes(request, plan, site), site=site)
        series, refusal, status = None, None, 200
        signs = request.user.may(Permission.PLAN_SIGN)
        held = standing(plan.patient, plan, timezone.localdate(timezone=site.tz)).seen_by(request.user)
        try:
            check_can_book(plan, site=site, by=request.user)
            if held.is_stop and not signs:
                check_may_treat(plan.patient, plan, held.day, by=request.user)
            if form.is_valid():
                if request.method == "POST":
                    return _book(request, plan, site, form)
                series = _propose(plan, site, form)
        except DomainError as error:
            refusal, status = error, error.status if request.method == "POST" else 200
            if request.method == "POST" and form.is_valid():
                series, refusal = _again(plan, site, form, error)
        trail.record("course.planned", by=request.user, target=plan, patient=plan.patient)
        context = {
            "plan": plan,
            "patient": plan.patient,
            "strip": strip(plan.patient, user=request.user),
            "place": site,
            "form": form,
            "series": series,
            "rows": proposal_rows(series, site=site, names=_room_names(site)) if series else [],
            "axis": _axis(series, site) if series else None,
            "refusal": refusal,
            "held": held if held.is_stop else None,
            "standing_reason": request.POST.get("standing_reason", ""),
            "relaxed_query": _relaxed_query(request, refusal),
            "mailable": may_be_mailed(plan.patient),
            "hold_minutes": round(settings.MESSAGE_HOLD.total_seconds() / 60),
            "practitioner": form.cleaned_data.get("practitioner") if form.is_valid() else None,
        }
        return render(request, "sessions/course_book.html", context, status=status)


def _wishes(request: ClinicRequest, plan: Plan, site: Site) -> Any:
    """What was wished, or where nothing was: the plan's own practitioner, from tomorrow."""
    given = request.POST if request.method == "POST" else request.GET
    if "practitioner" in given:
        return given
    able = able_practitioners(plan, site)
    usual = next((who for who in able if who == plan.signed_by), able[0] if able else None)
    tomorrow = timezone.now().astimezone(site.tz).date() + timedelta(days=1)
    defaults = given.copy()
    defaults["practitioner"] = str(usual.public_id) if usual else ""
    defaults.setdefault("earliest", max(tomorrow, terms_of(plan).ideal_start or tomorrow).isoformat())
    return defaults


def _arguments(form: WishesForm) -> dict[str, Any]:
    given = form.cleaned_data
    return {name: given[name] for name in ("earliest", "room", "weekdays", "not_before", "not_after")}


def _propose(plan: Plan, site: Site, form: WishesForm) -> Series:
    return propose_series(
        options=True,
        plan=plan,
        site=site,
        practitioner=form.cleaned_data["practitioner"],
        wishes=wishes_from(**_arguments(form)),
        now=timezone.now(),
    )


def _again(plan: Plan, site: Site, form: WishesForm, refused: DomainError) -> tuple[Series | None, DomainError]:
    """After a refusal: what would be booked now, if anything."""
    try:
        return _propose(plan, site, form), refused
    except DomainError as error:
        return None, error


def _book(request: ClinicRequest, plan: Plan, site: Site, form: WishesForm) -> HttpResponse:
    seen = _instants(request.POST.getlist("starts_at"))
    chosen = _choices(request)
    kept = set(appointments_visible_to(request.user).filter(course__plan=plan).values_list("pk", flat=True))
    course = book_course(
        plan=plan,
        site=site,
        practitioner=form.cleaned_data["practitioner"],
        expected=None if chosen else seen,
        chosen=chosen,
        by=request.user,
        standing_reason=request.POST.get("standing_reason", ""),
        **_arguments(form),
    )
    booked = list(course.appointments.exclude(pk__in=kept).values_list("number", flat=True))
    told = ngettext("%(n)s session is booked.", "%(n)s sessions are booked.", len(booked)) % {"n": len(booked)}
    if may_be_mailed(plan.patient):
        told += " " + _("The confirmation leaves in a few minutes.")
    else:
        told += " " + _("No e-mail: hand over the printed dates.")
    tell(request, told, undo_url=booking_undo_url(course, booked))
    return redirect("sessions:patient", public_id=plan.patient.public_id)


RELAXED_FIELDS = {
    "practitioner": ("practitioner",),
    "room": ("room",),
    "weekdays": ("weekdays",),
    "hours": ("not_before", "not_after"),
    "earliest": ("earliest",),
}


def _relaxed_query(request: ClinicRequest, refusal: DomainError | None) -> str:
    """The wishes without those that have to be given up, as the address of the page that shows what that gives."""
    way = getattr(refusal, "way", None)
    if way is None:
        return ""
    given = request.GET.copy()
    given.setdefault("practitioner", "")
    for wish in way.wishes:
        for name in RELAXED_FIELDS[wish]:
            given.setlist(name, [""] if name == "practitioner" else [])
    if not given.get("earliest"):
        given["earliest"] = way.slots[0].day.isoformat()
    return given.urlencode()


def _choices(request: ClinicRequest) -> list[Chosen] | None:
    """The times picked on the page, one for each session; None if the page showed no choice."""
    found = []
    for name, text in request.POST.items():
        if not name.startswith("time-"):
            continue
        parts = str(text).split(" ")
        try:
            at = datetime.fromisoformat(parts[0])
            number, practitioner, room = (whole_number(part) for part in (name.removeprefix("time-"), *parts[1:]))
            choice = Chosen(number=number, starts_at=at, practitioner=practitioner, room=room)
        except (ValueError, InvalidInput):
            raise ProposalChanged(_("Choose a time from the page.")) from None
        if at.tzinfo is None or not 2000 < at.year < 2200:
            raise ProposalChanged(_("Choose a time from the page."))
        found.append(choice)
    return sorted(found, key=lambda choice: choice.number) or None


def _instants(texts: list[str]) -> list[datetime] | None:
    """The times that the page showed. What is no time was not shown, so it is answered as a changed proposal."""
    try:
        found = [parse_datetime(text) for text in texts]
    except ValueError:
        return []
    return [at for at in found if at is not None and 1901 <= at.year < 2199] if found else None


def _cancel_url(course: Course, numbers: Iterable[int]) -> str:
    """Cancels these sessions of the course and no others."""
    return (
        reverse("sessions:course_cancel", args=[course.public_id]) + "?" + urlencode({"n": list(numbers)}, doseq=True)
    )


def _room_names(site: Site) -> dict[int, str]:
    return dict(rooms_of(site).values_list("pk", "name"))


def _axis(series: Series, site: Site) -> dict[str, Any]:
    kept = [
        {
            "number": number,
            "starts_at": visit.starts_at.astimezone(site.tz),
            "state": "done" if visit.status == AppointmentStatus.DONE else "booked",
        }
        for number, visit in enumerate([*series.kept, *series.carried], start=1)
    ]
    proposed = [
        {"number": slot.number, "starts_at": slot.starts_at.astimezone(site.tz), "state": "planned"}
        for slot in series.slots
    ]
    return {"course": {"offsets_days": list(series.terms.offsets_days)}, "dates": [*kept, *proposed]}


@requires(Permission.BOOKING_WRITE)
@require_POST
def course_cancel(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    course = get_object_or_404(courses_visible_to(request.user).select_related("plan__patient"), public_id=public_id)
    numbers = whole_numbers(request.GET, "n", least=1)
    visits = cancel_course(course=course, numbers=numbers, by=request.user)
    told = ngettext("%(n)s appointment is cancelled.", "%(n)s appointments are cancelled.", len(visits)) % {
        "n": len(visits)
    }
    if "undo" in request.GET:  # of a booking: nothing was freed that had been there before
        tell(request, told)
        return redirect("sessions:patient", public_id=course.plan.patient.public_id)
    tell(request, told, undo_url=undo_url_of(visits[0]))
    return redirect(visit_url(visits[0]))


# ------------------------------------------------------------------ one appointment


def _appointment(user: User, public_id: UUID) -> Appointment:
    return get_object_or_404(
        appointments_visible_to(user).select_related(
            "patient__site", "practitioner", "room", "site", "course__plan", "created_by"
        ),
        public_id=public_id,
    )


@requires(Permission.BOOKING_READ)
@require_safe
def appointment(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    visit = _appointment(request.user, public_id)
    trail.record("appointment.viewed", by=request.user, target=visit, patient=visit.patient)
    return _appointment_page(request, visit)


@requires(Permission.BOOKING_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def appointment_call(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Note what a call about a visit that is held agreed; the page of the visit asks for it."""
    visit = _appointment(request.user, public_id)
    if request.method != "POST":
        return redirect(f"{visit_url(visit)}#call")
    form = CallForm(request.POST)
    if form.is_valid():
        try:
            note_call(appointment=visit, note=form.cleaned_data["note"], by=request.user)
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            tell(request, _("The call is noted."))
            return redirect(visit_url(visit))
    return _appointment_page(request, visit, call=form)


def standing_of(visit: Appointment, *, user: User, back: str) -> dict[str, Any]:
    """What the pages of a visit say of the patient's standing on its day, while it is still to come.

    ``back``: where the answers to what was never asked lead on to.
    """
    if visit.status not in AppointmentStatus.COMING:
        return {"held": None, "cautions": (), "ask_new": "", "ways": ()}
    day = visit.starts_at.astimezone(visit.site.tz).date()
    found = standing(visit.patient, visit.course.plan, day).seen_by(user)
    return {
        "held": found if found.is_stop else None,
        "cautions": () if found.is_stop else found.cautions,
        "ask_new": next((reason.ask_url(back=back) for reason in found.for_asking if reason.url), ""),
        "ways": ways_on(found, patient=visit.patient, plan=visit.course.plan, visit=visit, user=user),
        "may_go_on": user.may(Permission.PLAN_SIGN),
    }


def _appointment_page(
    request: ClinicRequest,
    visit: Appointment,
    *,
    refusal: DomainError | None = None,
    call: CallForm | None = None,
) -> HttpResponse:
    user, now = request.user, timezone.now()
    change = open_change(visit, now=now)
    recorded = getattr(visit, "treatment_session", None)
    later = visit.course.appointments.filter(status=AppointmentStatus.BOOKED, number__gt=visit.number)
    numbers = [visit.number, *later.order_by("number").values_list("number", flat=True)]
    with timezone.override(visit.site.tz):
        context = {
            **_asking(visit, user=user, now=now, back=visit_url(visit)),
            "visit": visit,
            "patient": visit.patient,
            "strip": strip(visit.patient, user=request.user),
            "session": days.session_words(visit.number, terms_of(visit.course.plan).sessions),
            "minutes": int((visit.ends_at - visit.starts_at).total_seconds() // 60),
            "recorded": recorded,
            "lines": recorded.administrations.select_related("ingredient", "lot").all()
            if recorded and user.may(Permission.SESSION_READ)
            else [],
            "mails": [
                message
                for message in messages_about(visit.patient.public_id)
                if message.subject_id in (visit.public_id, visit.course.public_id)
            ]
            if user.may(Permission.MESSAGE_READ)
            else [],
            "can_cancel": can_cancel(visit, by=user),
            "can_move": can_move(visit, by=user),
            "missing": holes_of(visit.course) if user.may(Permission.BOOKING_WRITE) else [],
            "left_out": visit.course.left_out.select_related("by"),
            "freed": freed_times(visit, change, user=user, now=now),
            "change": change if change is not None and can_undo(change, by=user, now=now) else None,
            "undo_until": change.at + UNDO_WITHIN if change is not None else None,
            "later_count": len(numbers) - 1 if visit.status == AppointmentStatus.BOOKED else 0,
            "cancel_rest_url": _cancel_url(visit.course, numbers),
            "can_record": can_record(visit, by=user),
            "can_check_in": visit.status == AppointmentStatus.BOOKED
            and visit.patient.is_in_care
            and visit.starts_at.astimezone(visit.site.tz).date() <= now.astimezone(visit.site.tz).date(),
            "can_miss": visit.status == AppointmentStatus.BOOKED and visit.starts_at <= now,
            "mailable": may_be_mailed(visit.patient),
            "overbooked": overbooked_words(visit),
            "refusal": refusal,
            "call": call or CallForm(),
            "calls": [call_words(row) for row in visit.calls.select_related("by", "appointment__site")],
            "overrides": overrides_of(visit),
        } | standing_of(visit, user=user, back=visit_url(visit))
        return render(request, "sessions/appointment.html", context, status=refusal.status if refusal else 200)


@requires(Permission.BOOKING_WRITE)
@require_POST
def appointment_status(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    visit = _appointment(request.user, public_id)
    wanted = request.POST.get("status", "")
    if wanted not in AppointmentStatus.values:
        return _appointment_page(request, visit, refusal=DomainError(_("Choose a state from the page.")))
    try:
        set_appointment_status(
            appointment=visit,
            status=AppointmentStatus(wanted),
            by=request.user,
            standing_reason=request.POST.get("standing_reason", ""),
        )
    except DomainError as refusal:
        visit.refresh_from_db()
        return _appointment_page(request, visit, refusal=refusal)
    if wanted == AppointmentStatus.ARRIVED:
        tell(request, _("%(name)s is checked in.") % {"name": visit.patient})
    elif wanted == AppointmentStatus.NO_SHOW:
        tell(request, _("%(name)s is marked as not come. The session can be booked again.") % {"name": visit.patient})
    else:
        tell(request, _("%(name)s is booked, not arrived.") % {"name": visit.patient})
    return redirect(_back(request, visit))


def _back(request: ClinicRequest, visit: Appointment) -> str:
    """The day that the person came from, else the appointment."""
    day = request.POST.get("day", "")
    try:
        return reverse("sessions:day", args=[date.fromisoformat(day)]) if day else visit_url(visit)
    except (ValueError, NoReverseMatch):
        return visit_url(visit)


def visit_url(visit: Appointment) -> str:
    return reverse("sessions:appointment", args=[visit.public_id])


@requires(Permission.BOOKING_WRITE)
@require_POST
def appointment_cancel(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    visit = _appointment(request.user, public_id)
    try:
        if "sequence" in request.POST and whole_number(request.POST["sequence"]) != visit.sequence:
            raise InvalidTransition(_("This appointment has changed since you opened the page. Here is how it stands."))
        cancel_appointment(appointment=visit, by=request.user)
    except DomainError as refusal:
        visit.refresh_from_db()
        return _appointment_page(request, visit, refusal=refusal)
    tell(request, _("The appointment is cancelled."), undo_url=undo_url_of(visit))
    return redirect(visit_url(visit))


@requires(Permission.SESSION_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def session_record(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    visit = _appointment(request.user, public_id)
    plan = visit.course.plan
    now = timezone.now()
    asking = _asking(visit, user=request.user, now=now, back=request.path)
    asked = asking["asked"]
    form = RecordForm(
        request.POST or None,
        initial={"performed_on": visit.starts_at.astimezone(visit.site.tz).date()}
        | ({"nothing_changed": "no" if asked.changed else "yes"} if asked else {}),
        syringes=planned_syringes(plan, visit.number),
        lots=usable_lots(plan, visit.number, site=visit.site, today=now.astimezone(visit.site.tz).date()),
    )
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            given = form.cleaned_data
            try:
                record_session(
                    appointment=visit,
                    administrations=form.administrations(),
                    nothing_changed=given["nothing_changed"],
                    tolerance=given["tolerance"],
                    note=given["note"],
                    password=given["password"],
                    by=request.user,
                    performed_on=given["performed_on"],
                    standing_reason=given["standing_reason"],
                )
            except DomainError as refusal:
                status = refusal.status
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            else:
                tell(request, _("Session %(n)s is recorded and signed.") % {"n": visit.number})
                return redirect(visit_url(visit))
    trail.record("session.opened", by=request.user, target=visit, patient=visit.patient)
    with timezone.override(visit.site.tz):
        context = (
            _record_context(request, visit, form, now)
            | asking
            | standing_of(visit, user=request.user, back=request.path)
        )
        return render(request, "sessions/session_record.html", context, status=status)


def _asking(visit: Appointment, *, user: User, now: datetime, back: str) -> dict[str, Any]:
    """“Anything changed?” before this session: what was said on its day, or where it can be asked, to come ``back``."""
    asked: DayCheck | None = None
    if user.may(Permission.INTAKE_READ):
        day = visit.starts_at.astimezone(visit.site.tz).date()
        asked = day_checks_on(day, patients=[visit.patient_id], tz=visit.site.tz).get(visit.patient_id)
    return {"asked": asked, "ask_url": "" if asked else days.ask_url(visit, user=user, now=now, back=back)}


def _record_context(request: ClinicRequest, visit: Appointment, form: RecordForm, now: datetime) -> dict[str, Any]:
    plan = visit.course.plan
    refused = None
    try:
        check_can_record(visit, by=request.user, at=now)
    except DomainError as error:
        refused = error
    course = plan.result["course"]
    return {
        "visit": visit,
        "patient": visit.patient,
        "strip": strip(visit.patient, user=request.user),
        "plan": plan,
        "form": form,
        "rows": form.rows(),
        "refused": refused,
        "session": days.session_words(visit.number, terms_of(plan).sessions),
        "zones": planned_zones(plan, visit.number),
        "course": course,
        "technique": course.get("technique_label") or str(course.get("technique") or "").replace("_", " "),
        "total_ml": sum(line.volume_ml for line in form.lines),
        "lots_known": form.has_lots,
    }
