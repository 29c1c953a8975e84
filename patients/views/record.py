"""The list of patients, registering, the details, and joining two records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.audit.changes import NeedsConfirmation, consequences_of
from mesoclinic.audit.conflicts import Conflict
from mesoclinic.core.errors import DomainError, NotAllowed
from mesoclinic.core.reading import id_of
from mesoclinic.ui import days
from mesoclinic.ui.toasts import show_toast
from patients.actions.intake import start_intake
from patients.actions.record import RegisteredJustNow, merge_patients, register_patient, undo_merge, update_patient
from patients.models import Patient, PatientMerge, PatientStatus
from patients.permissions import check_can_merge, check_can_write_patient
from patients.queries import in_this_order, patients_seen_by, patients_visible_to, standing_merges, status_counts
from patients.record.forms import MergeForm, PatientForm
from patients.record.strip import patient_strip
from patients.search.duplicates import Duplicate, possible_duplicates, registered_from
from patients.search.finding import find_patients, near_spellings, ranked, search
from patients.search.keys import is_too_short

PER_PAGE = 25


@requires(Permission.PATIENT_READ)
@require_GET
def patient_list(request: ClinicRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    status = request.GET.get("status", "")
    visible = patients_visible_to(request.user)
    found = search(visible, query)
    site = next((site for site in request.user.sites.all() if str(site.public_id) == request.GET.get("site")), None)
    counts = status_counts(found, site=site)
    chips = [
        {"value": value, "label": label, "count": counts.get(value, 0), "current": value == status}
        for value, label in [("", _("All")), *PatientStatus.choices]
    ]
    total = chips[0]["count"] = sum(counts.values())
    if status in PatientStatus.values:
        found, total = found.filter(status=status), counts.get(status, 0)
    if site:
        found = found.filter(site=site)
    if query and not is_too_short(query):
        found = ranked(found, query)
    paginator = Paginator(found.values_list("pk", flat=True), PER_PAGE)
    paginator.count = total  # one count of a large clinic is enough
    page: Any = paginator.get_page(request.GET.get("page"))
    page.object_list = in_this_order(visible, page)
    near = near_spellings(visible, query) if query and not page.paginator.count and not status and not site else []
    trail.record(
        "patients.listed",
        by=request.user,
        details={"searched": bool(query), "shown": [str(patient.public_id) for patient in (*page, *near)]},
    )
    today = timezone.localdate()
    _with_stops([*page.object_list, *near], user=request.user)
    context = {
        "page": page,
        "rows": [(patient, patient.age_on(today)) for patient in page],
        "chips": [chip for chip in chips if chip["count"] or chip["current"] or not chip["value"]],
        "q": query,
        "status": status,
        "too_short": is_too_short(query),
        "several_sites": len(request.user.site_ids) > 1,
        "sites": request.user.sites.order_by("name") if len(request.user.site_ids) > 1 else (),
        "site_chosen": str(site.public_id) if site else "",
        "near": [(patient, patient.age_on(today)) for patient in near],
    }
    return render(request, "patients/patient_list.html" + ("#patient-rows" if request.htmx else ""), context)


def _with_stops(patients: Sequence[Patient], *, user: User) -> None:
    """Each of the list with ``stop``: what stands against treating the person today; empty where nothing does."""
    chips = import_string(settings.STANDING_CHIPS)(patients, user=user)
    for patient in patients:
        patient.stop = chips.get(patient.pk, "")  # type: ignore[attr-defined]


@requires(Permission.PATIENT_READ)
@require_POST
def patient_find(request: ClinicRequest) -> HttpResponse:
    """What the search box in the header offers while somebody types. By POST: names stay out of addresses and logs."""
    query = request.POST.get("q", "").strip()
    found = find_patients(request.user, query) if query else None
    if found and found.patients:
        shown = [str(patient.public_id) for patient in found.patients]
        trail.record("patients.listed", by=request.user, details={"searched": True, "shown": shown})
    today = timezone.localdate()
    _with_stops(found.patients if found else (), user=request.user)
    context = {
        "q": query,
        "found": found,
        "rows": [(patient, patient.age_on(today)) for patient in found.patients] if found else [],
    }
    return render(request, "patients/_found.html", context)


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
        different = "different_person" in request.POST
        key = id_of(request.POST, "key")
        again = registered_from(key, user=request.user)
        if valid and (again or not duplicates or different):
            try:
                patient = register_patient(**form.details, by=request.user, key=key, different_person=different)
            except RegisteredJustNow as refusal:
                form.add_error(None, str(refusal))
                duplicates = _duplicates(request, form)
            except DomainError as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            else:
                return _after_registering(request, patient)
    status = 200 if request.method == "GET" else 422
    context = {
        "form": form,
        "key": id_of(request.POST, "key") or uuid4(),
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
    patient = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    check_can_write_patient(patient, by=request.user)
    form = PatientForm(
        request.POST if request.method == "POST" else None, user=request.user, site=request.site, patient=patient
    )
    consequences: tuple[str, ...] = ()
    if request.method == "POST" and form.is_valid():
        try:
            update_patient(
                patient=patient,
                changes=form.mine(),
                by=request.user,
                seen=form.seen,
                confirmed=request.POST.get("confirmed") == form.cleaned_data["status"],
                close_links=form.cleaned_data.get("close_links", False),
            )
        except Conflict as conflict:
            form.ask(conflict)
        except NeedsConfirmation as question:
            consequences = question.consequences
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            messages.success(request, _("Saved."))
            return redirect("sessions:patient", patient.public_id)
    if request.method == "GET":
        trail.record("patient.viewed", by=request.user, target=patient, patient=patient)
    context = {
        "form": form,
        "patient": patient,
        "strip": patient_strip(patient, user=request.user),
        "consequences": consequences,
        "confirmed": form.cleaned_data["status"] if consequences else "",
        "becomes": PatientStatus(form.cleaned_data["status"]).label if consequences else "",
    }
    status = 200 if request.method == "GET" else 409 if form.clashes else 422
    return render(request, "patients/patient_edit.html", context, status=status)


@requires(Permission.PATIENT_WRITE)
@require_http_methods(["GET"])
def patient_merge(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Choose the other record of a person: those that look alike first, or one that is searched for."""
    patient = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    check_can_write_patient(patient, by=request.user)
    query = request.GET.get("q", "").strip()
    if query:
        others: list[tuple[Patient, tuple[str, ...]]] = [(o, ()) for o in find_patients(request.user, query).patients]
    else:
        others = [
            (duplicate.patient, duplicate.reasons)
            for duplicate in possible_duplicates(
                request.user,
                given_name=patient.given_name,
                family_name=patient.family_name,
                birth_date=patient.birth_date,
                email=patient.email,
                phone=patient.phone,
                limit=8,
            )
        ]
    others = [row for row in others if row[0].pk != patient.pk and row[0].status != PatientStatus.MERGED]
    shown = [str(other.public_id) for other, _reasons in others]
    trail.record("patients.compared", by=request.user, patient=patient, details={"shown": shown})
    context = {
        "patient": patient,
        "strip": patient_strip(patient, user=request.user),
        "q": query,
        "others": others,
        "merges": standing_merges(patient),
    }
    return render(request, "patients/patient_merge.html", context)


@requires(Permission.PATIENT_WRITE)
@require_http_methods(["GET", "POST"])
def patient_merge_into(request: ClinicRequest, public_id: UUID, other_id: UUID) -> HttpResponse:
    """The two records side by side; the first is marked, the second one remains."""
    visible = patients_seen_by(request.user)
    patient = get_object_or_404(visible, public_id=public_id)
    kept = get_object_or_404(visible, public_id=other_id)
    check_can_merge(patient, into=kept, by=request.user)
    form = MergeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            merge = merge_patients(
                merged=patient,
                into=kept,
                reason=form.cleaned_data["reason"],
                by=request.user,
                confirmed=True,  # the page names what hangs on it, beside the button
            )
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            said = _("%(gone)s is merged into %(kept)s. Both histories are kept.")
            show_toast(
                request,
                said % {"gone": patient.display_number, "kept": kept.display_number},
                undo_url=reverse("patients:merge_undo", args=[merge.public_id]),
            )
            return redirect("sessions:patient", kept.public_id)
    trail.record("patient.viewed", by=request.user, target=kept, patient=kept)
    today = timezone.localdate()
    rows = [
        (label, first, second, first != second and bool(first or second))
        for label, first, second in (
            (_("Name"), patient.name, kept.name),
            (_("Birth date"), _born(patient, today), _born(kept, today)),
            (_("Sex registered at birth"), patient.get_sex_at_birth_display(), kept.get_sex_at_birth_display()),
            (_("E-mail"), patient.email, kept.email),
            (_("Phone"), patient.phone, kept.phone),
            (_("Site"), patient.site.name, kept.site.name),
            (_("Status"), patient.get_status_display(), kept.get_status_display()),
        )
    ]
    differ = patient.birth_date != kept.birth_date or patient.sex_at_birth != kept.sex_at_birth
    context = {
        "form": form,
        "patient": patient,
        "kept": kept,
        "strip": patient_strip(patient, user=request.user),
        "rows": rows,
        "differ": differ,
    }
    context["consequences"] = consequences_of(patient, change={"merged_into": kept})
    return render(request, "patients/patient_merge_into.html", context, status=422 if form.errors else 200)


def _born(patient: Patient, today: date) -> str:
    return f"{days.written(patient.birth_date, 'year')} ({patient.age_on(today)})"


@requires(Permission.PATIENT_WRITE)
@require_POST
def merge_undo(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    visible = patients_seen_by(request.user)
    merge = get_object_or_404(
        PatientMerge.objects.select_related("merged__site", "kept__site").filter(merged__in=visible, kept__in=visible),
        public_id=public_id,
    )
    undo_merge(merge=merge, by=request.user)
    messages.success(
        request, _("Two records again: %(merged)s is as it was.") % {"merged": merge.merged.display_number}
    )
    return redirect("sessions:patient", merge.merged.public_id)
