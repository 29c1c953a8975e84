"""Pages about who is treated: the list, the details, the intake."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.audit import trail
from mesoclinic.errors import DomainError, InvalidInput, NotAllowed
from patients import intakes
from patients.actions import (
    StaleRevision,
    register_patient,
    save_intake,
    start_intake,
    submit_intake,
    update_patient,
)
from patients.forms import IntakeForm, PatientForm, zones_to_draw
from patients.intakes import InvalidAnswers
from patients.models import Intake, IntakeStatus, Patient, PatientStatus
from patients.permissions import (
    can_edit_intake,
    can_start_intake,
    check_can_edit_intake,
    check_can_write_patient,
)
from patients.queries import (
    Duplicate,
    intake_before,
    intakes_visible_to,
    latest_submitted_intake,
    patients_visible_to,
    possible_duplicates,
    search,
    strip,
    with_intake_dates,
)
from patients.search import is_too_short

PER_PAGE = 25

# ------------------------------------------------------------------ the list


@requires(Permission.PATIENT_READ)
@require_GET
def patient_list(request: ClinicRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    status = request.GET.get("status", "")
    found = search(patients_visible_to(request.user), query)
    counts = dict(found.order_by().values_list("status").annotate(Count("pk")))
    chips = [
        {"value": value, "label": label, "count": counts.get(value, 0), "current": value == status}
        for value, label in [("", _("All")), *PatientStatus.choices]
    ]
    chips[0]["count"] = sum(counts.values())
    if status in PatientStatus.values:
        found = found.filter(status=status)
    page = Paginator(with_intake_dates(found), PER_PAGE).get_page(request.GET.get("page"))
    trail.record(
        "patients.listed",
        by=request.user,
        details={"searched": bool(query), "shown": [str(patient.public_id) for patient in page]},
    )
    today = timezone.localdate()
    context = {
        "page": page,
        "rows": [(patient, patient.age_on(today)) for patient in page],
        "chips": [chip for chip in chips if chip["count"] or chip["current"] or not chip["value"]],
        "q": query,
        "status": status,
        "too_short": is_too_short(query),
        "several_sites": len(request.user.site_ids) > 1,
    }
    return render(request, "patients/patient_list.html" + ("#patient-rows" if request.htmx else ""), context)


# ------------------------------------------------------------------ the details


@requires(Permission.PATIENT_WRITE)
@require_http_methods(["GET", "POST"])
def patient_new(request: ClinicRequest) -> HttpResponse:
    if request.site is None:
        raise NotAllowed(_("You have no site yet. Ask the medical director to add you to one."))
    form = PatientForm(request.POST if request.method == "POST" else None, user=request.user, site=request.site)
    duplicates: list[Duplicate] = []
    if request.method == "POST":
        valid = form.is_valid()
        duplicates = _duplicates(request, form)
        if valid and (not duplicates or request.POST.get("different_person")):
            try:
                patient = register_patient(**form.details, by=request.user)
            except DomainError as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            else:
                return _after_registering(request, patient)
    status = 200 if request.method == "GET" else 422
    context = {
        "form": form,
        "duplicates": duplicates,
        "asked_again": bool(duplicates) and "different_person" not in request.POST,
        "is_different": "different_person" in request.POST,
    }
    return render(request, "patients/patient_new.html", context, status=status)


def _after_registering(request: ClinicRequest, patient: Patient) -> HttpResponse:
    messages.success(
        request, _("%(name)s is registered as %(number)s.") % {"name": patient.name, "number": patient.display_number}
    )
    if request.POST.get("then") == "intake" and request.user.may(Permission.INTAKE_WRITE):
        return redirect("patients:intake_edit", start_intake(patient=patient, by=request.user).public_id)
    return redirect("sessions:patient", patient.public_id)


@requires(Permission.PATIENT_WRITE)
@require_POST
def patient_duplicates(request: ClinicRequest) -> HttpResponse:
    """The panel beside the registration form, while somebody types. By POST: names stay out of addresses and logs."""
    form = PatientForm(request.POST, user=request.user, site=request.site)
    form.is_valid()  # half-typed on purpose: what can be read is compared
    context = {
        "duplicates": _duplicates(request, form),
        "asked_again": False,
        "is_different": "different_person" in request.POST,
    }
    return render(request, "patients/patient_new.html#possible-duplicates", context)


def _duplicates(request: ClinicRequest, form: PatientForm) -> list[Duplicate]:
    data = form.cleaned_data
    found = possible_duplicates(
        request.user,
        given_name=data.get("given_name", ""),
        family_name=data.get("family_name", ""),
        birth_date=data.get("birth_date"),
        email=data.get("email", ""),
        phone=data.get("phone", ""),
    )
    if found:
        shown = [str(duplicate.patient.public_id) for duplicate in found]
        trail.record("patients.compared", by=request.user, details={"shown": shown})
    return found


@requires(Permission.PATIENT_WRITE)
@require_http_methods(["GET", "POST"])
def patient_edit(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    patient = get_object_or_404(patients_visible_to(request.user), public_id=public_id)
    check_can_write_patient(patient, by=request.user)
    form = PatientForm(
        request.POST if request.method == "POST" else None, user=request.user, site=request.site, patient=patient
    )
    revision = patient.revision
    if request.method == "POST" and form.is_valid():
        try:
            update_patient(patient=patient, changes=form.cleaned_data, by=request.user, revision=_revision_of(request))
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            messages.success(request, _("Saved."))
            return redirect("sessions:patient", patient.public_id)
    if request.method == "GET":
        trail.record("patient.viewed", by=request.user, target=patient, patient=patient)
    context = {"form": form, "patient": patient, "strip": strip(patient), "revision": revision}
    return render(request, "patients/patient_edit.html", context, status=200 if request.method == "GET" else 422)


def _revision_of(request: HttpRequest) -> int:
    """The revision that the page carried; one that cannot be read is older than any."""
    text = request.POST.get("revision", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


# ------------------------------------------------------------------ the intake


@requires(Permission.INTAKE_WRITE)
@require_POST
def intake_start(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    patient = get_object_or_404(patients_visible_to(request.user), public_id=public_id)
    return redirect("patients:intake_edit", start_intake(patient=patient, by=request.user).public_id)


@requires(Permission.INTAKE_WRITE)
@require_http_methods(["GET", "POST"])
def intake_edit(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    intake = get_object_or_404(intakes_visible_to(request.user), public_id=public_id)
    if request.method == "GET" and intake.status != IntakeStatus.DRAFT:
        return redirect("patients:intake_detail", intake.public_id)
    check_can_edit_intake(intake, by=request.user)
    quietly = request.headers.get("X-Autosave") == "1"
    form = IntakeForm(
        request.POST if request.method == "POST" else None,
        intake=intake,
        vocabulary=intakes.vocabulary_for(intake),
        previous=intake_before(intake),
    )
    conflict: list[intakes.Change] = []
    status = 200
    if request.method == "POST":
        status, conflict = _save(request, intake, form)
        if quietly:
            return _saved_quietly(intake, form, status)
        if status == 200 and request.POST.get("do") == "submit":
            status = _submit(request, intake, form)
            if status == 200:
                messages.success(request, _("The intake is submitted."))
                return redirect("patients:intake_detail", intake.public_id)
        elif status == 200:
            messages.success(request, _("Draft saved."))
            return redirect("patients:intake_edit", intake.public_id)
    else:
        trail.record("intake.viewed", by=request.user, target=intake, patient=intake.patient)
    return render(request, "patients/intake_edit.html", _form_context(intake, form, conflict), status=status)


def _save(request: ClinicRequest, intake: Intake, form: IntakeForm) -> tuple[int, list[intakes.Change]]:
    """Save what was typed. The HTTP status, and what somebody else saved meanwhile where that refused it."""
    if not form.is_valid():
        return 422, []
    try:
        save_intake(
            intake=intake,
            revision=form.cleaned_data["revision"],
            facts=form.facts,
            concerns=form.concerns,
            zones=form.zones,
            note=form.cleaned_data["note"],
            by=request.user,
        )
    except StaleRevision as refusal:
        form.add_error(None, str(refusal))
        intake.refresh_from_db()
        typed = Intake(
            patient=intake.patient,
            facts=form.facts,
            concerns=form.concerns,
            zones=form.zones,
            note=form.cleaned_data["note"],
        )
        return 409, intakes.changes_since(intake, typed, form.vocabulary)
    except InvalidAnswers as refusal:
        form.add_refusal(refusal)
        return 422, []
    except InvalidInput as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return 422, []
    return 200, []


def _submit(request: ClinicRequest, intake: Intake, form: IntakeForm) -> int:
    """Close the draft that was just saved; what it lacks is said beside the part that lacks it."""
    try:
        submit_intake(intake=intake, by=request.user)
    except InvalidInput as refusal:
        form.lacking = {refusal.field or "": str(refusal)}
        return 422
    except StaleRevision as refusal:
        form.add_error(None, str(refusal))
        return 409
    return 200


def _saved_quietly(intake: Intake, form: IntakeForm, status: int) -> JsonResponse:
    """For the page's own script, which saves while somebody types."""
    answer: dict[str, Any] = {"errors": {name: list(map(str, said)) for name, said in form.errors.items()}}
    if status == 200:
        answer = {"revision": intake.revision, "saved": _saved_sentence(intake)}
    return JsonResponse(answer, status=status)


def _saved_sentence(intake: Intake) -> str:
    if intake.saved_at is None:
        return ""
    at = timezone.localtime(intake.saved_at)
    words = {"time": at.strftime("%H:%M"), "zone": timezone.get_current_timezone_name()}
    if at.date() != timezone.localdate():
        return _("Last saved on %(day)s at %(time)s (%(zone)s)") % (words | {"day": at.date().isoformat()})
    return _("Last saved %(time)s (%(zone)s)") % words


def _form_context(intake: Intake, form: IntakeForm, conflict: list[intakes.Change]) -> dict[str, Any]:
    sections, zones = form.sections(), form.zone_rows()
    concerns = form.concern_questions()
    return {
        "intake": intake,
        "patient": intake.patient,
        "strip": strip(intake.patient),
        "form": form,
        "sections": sections,
        "concerns": concerns,
        "concerns_chosen": sum(question.is_answered for question in concerns),
        "zones": zones,
        "zones_chosen": sum(zone.chosen for zone in zones),
        "zones_drawn": zones_to_draw(zones),
        "conflict": conflict,
        "wrong": form.wrong() if form.is_bound else [],
        "is_refused": bool(form.errors),
        "saved": _saved_sentence(intake),
        "previous": form.previous,
    }


@requires(Permission.INTAKE_READ)
@require_GET
def intake_detail(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    intake = get_object_or_404(intakes_visible_to(request.user), public_id=public_id)
    vocabulary = intakes.vocabulary_for(intake)
    previous = intake_before(intake)
    latest = latest_submitted_intake(intake.patient)
    sections = intakes.in_words(intake, vocabulary)
    unanswered = sum(not line.answered for section in sections for line in section.lines)
    trail.record("intake.viewed", by=request.user, target=intake, patient=intake.patient)
    context = {
        "intake": intake,
        "patient": intake.patient,
        "strip": strip(intake.patient),
        "previous": previous,
        "changes": intakes.changes_since(previous, intake, vocabulary),
        "sections": sections,
        "concerns": [
            {"label": vocabulary.concerns[entry["concern"]].label, "severity": entry["severity"]}
            for entry in intake.concerns
            if entry["concern"] in vocabulary.concerns
        ],
        "zones": [
            {"label": vocabulary.zones[entry["zone"]].label, "area_cm2": entry["area_cm2"]}
            for entry in intake.zones
            if entry["zone"] in vocabulary.zones
        ],
        "zones_drawn": [entry for entry in intake.zones if entry["zone"] in vocabulary.zones],
        "total_cm2": intakes.treated_area(intake.zones),
        "unanswered": ngettext("%(count)d question not answered", "%(count)d questions not answered", unanswered)
        % {"count": unanswered},
        "unanswered_count": unanswered,
        "is_latest": latest is not None and latest.pk == intake.pk,
        "can_edit": can_edit_intake(intake, by=request.user),
        "can_start": can_start_intake(intake.patient, by=request.user),
    }
    return render(request, "patients/intake_detail.html", context)
