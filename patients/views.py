"""Pages about who is treated: the list, the details, the intake."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.audit.changes import NeedsConfirmation, consequences_of
from mesoclinic.audit.conflicts import Conflict, marks_of
from mesoclinic.core.errors import DomainError, InvalidInput, NotAllowed
from mesoclinic.core.reading import id_of, revision_of
from mesoclinic.ui import days
from mesoclinic.ui.toasts import tell
from patients import intakes
from patients.actions import (
    RegisteredJustNow,
    StaleRevision,
    confirm_unchanged,
    merge_patients,
    record_changes,
    register_patient,
    review_intake,
    save_intake,
    start_intake,
    submit_intake,
    undo_merge,
    update_patient,
)
from patients.confirming import answers_to_confirm
from patients.day_checks import differs
from patients.forms import DayCheckForm, IntakeForm, MergeForm, PatientForm, zones_to_draw
from patients.intakes import InvalidAnswers
from patients.medicines import KNOWN as MEDICINE_KNOWN
from patients.medicines import LENGTH as MEDICINE_LENGTH
from patients.medicines import MOST as MEDICINES_MOST
from patients.medicines import Named, brand_names, classes_of, lines_of, medicine_names, read_medicines
from patients.models import DayCheck, Intake, IntakeStatus, Patient, PatientMerge, PatientStatus
from patients.permissions import (
    can_edit_intake,
    can_review_intake,
    can_start_intake,
    check_can_edit_intake,
    check_can_merge,
    check_can_start_intake,
    check_can_write_patient,
)
from patients.queries import (
    Duplicate,
    find,
    in_this_order,
    intake_before,
    intakes_visible_to,
    joined_intakes,
    latest_submitted_intake,
    near_spellings,
    patients_seen_by,
    patients_visible_to,
    possible_duplicates,
    ranked,
    registered_from,
    review_of,
    search,
    standing_merges,
    status_counts,
    strip,
)
from patients.recording import words_of_intake
from patients.search import is_too_short
from patients.stages import overruled_by_stage
from patients.steps import STEP_OF, STEPS, known_step
from patients.texts import spoken_vocabulary
from patients.vocabulary import Vocabulary
from patients.words import severity_drawn

PER_PAGE = 25

# ------------------------------------------------------------------ the list


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
    found = find(request.user, query) if query else None
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
        "strip": strip(patient, user=request.user),
        "consequences": consequences,
        "confirmed": form.cleaned_data["status"] if consequences else "",
        "becomes": PatientStatus(form.cleaned_data["status"]).label if consequences else "",
    }
    status = 200 if request.method == "GET" else 409 if form.clashes else 422
    return render(request, "patients/patient_edit.html", context, status=status)


# ------------------------------------------------------------------ two records of one person


@requires(Permission.PATIENT_WRITE)
@require_http_methods(["GET"])
def patient_merge(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Choose the other record of a person: those that look alike first, or one that is searched for."""
    patient = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    check_can_write_patient(patient, by=request.user)
    query = request.GET.get("q", "").strip()
    if query:
        others: list[tuple[Patient, tuple[str, ...]]] = [(o, ()) for o in find(request.user, query).patients]
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
        "strip": strip(patient, user=request.user),
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
            tell(
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
        "strip": strip(patient, user=request.user),
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


# ------------------------------------------------------------------ the intake


@requires(Permission.INTAKE_WRITE)
@require_POST
def intake_start(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    patient = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    return redirect("patients:intake_edit", start_intake(patient=patient, by=request.user).public_id)


@requires(Permission.INTAKE_WRITE)
@require_POST
def medicines_read(request: ClinicRequest) -> HttpResponse:
    """What a list of medicines counts as, while somebody types it. Nothing is stored."""
    written = "\n".join(request.POST.get(name, "") for name in ("medicines", "medicine_more"))
    named = read_medicines(written[: MEDICINES_MOST * MEDICINE_LENGTH])
    return render(request, "patients/_medicines.html", _medicines_context(named))


def _medicines_context(named: list[Named]) -> dict[str, Any]:
    fact = spoken_vocabulary().facts["medications"]
    rows = [
        {
            "text": text,
            "leftover": ones[0].leftover if all(one.state == MEDICINE_KNOWN for one in ones) else "",
            "medicines": [
                (
                    one,
                    [intakes.short_label(fact.label_of(value)) for value in one.classes],
                    [intakes.short_label(fact.label_of(value)) for value in one.offers],
                )
                for one in ones
            ],
        }
        for text, ones in list(lines_of(named).items())[:MEDICINES_MOST]
    ]
    counts_as = [intakes.short_label(fact.label_of(value)) for value in classes_of(named)]
    said = [text for line in named for text in (line.spoken, *map(fact.label_of, (*line.classes, *line.offers)))]
    return {"named": rows, "counts_as": counts_as, "medicines_said": said}


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
    status = 200
    if request.method == "POST":
        status = _save(request, intake, form)
        if quietly:
            return _saved_quietly(intake, form, status)
        if status == 200 and request.POST.get("do") == "submit":
            status = _submit(request, intake, form)
            if status == 200:
                messages.success(request, _("The intake is submitted."))
                return redirect("patients:intake_detail", intake.public_id)
        elif status == 200:
            return _after_saving(request, intake)
    else:
        trail.record("intake.viewed", by=request.user, target=intake, patient=intake.patient)
    return render(request, "patients/intake_edit.html", _form_context(request, intake, form), status=status)


def _after_saving(request: ClinicRequest, intake: Intake) -> HttpResponse:
    """Where the button that saved leads to: the review, another step, or the same one."""
    do = request.POST.get("do", "")
    if do == "review":
        return redirect("patients:intake_review", intake.public_id)
    if do.startswith("to:"):
        return redirect(_step_url(intake, do.removeprefix("to:")))
    messages.success(request, _("Draft saved."))
    return redirect(_step_url(intake, "scalp" if do.startswith("pattern:") else intake.step))


def _step_url(intake: Intake, step: str) -> str:
    return f"{reverse('patients:intake_edit', args=[intake.public_id])}?step={known_step(step)}"


@requires(Permission.INTAKE_WRITE)
@require_http_methods(["GET", "POST"])
def intake_review(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The last step: what was answered, what matters and what is open on top, and there to submit."""
    intake = get_object_or_404(intakes_visible_to(request.user), public_id=public_id)
    if request.method == "GET" and intake.status != IntakeStatus.DRAFT:
        return redirect("patients:intake_detail", intake.public_id)
    check_can_edit_intake(intake, by=request.user)
    vocabulary = intakes.vocabulary_for(intake)
    refusal = ""
    status = 200
    if request.method == "POST":
        try:
            if revision_of(request.POST) != intake.revision:
                raise StaleRevision(_("The answers were changed after this page was opened. Read them again, here."))
            submit_intake(intake=intake, by=request.user)
        except InvalidInput as refused:
            refusal, status = str(refused), 422
        except StaleRevision as refused:
            refusal, status = str(refused), 409
        else:
            messages.success(request, _("The intake is submitted."))
            return redirect("patients:intake_detail", intake.public_id)
    else:
        trail.record("intake.viewed", by=request.user, target=intake, patient=intake.patient)
    previous = intake_before(intake)
    context = _answers_context(intake, vocabulary, user=request.user) | {
        "lacking": _lacking_rows(intakes.lacking(intake, vocabulary), vocabulary),
        "refusal": refusal,
        "previous": previous,
        "changes": intakes.changes_since(previous, intake, vocabulary),
        "elsewhere": _said_elsewhere(intake, vocabulary),
        "steps": _steps(intake, None, "review"),
        "saved": _saved_sentence(intake),
    }
    return render(request, "patients/intake_review.html", context, status=status)


def _said_elsewhere(intake: Intake, vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """What the person's merged records say differently: an allergy named there must not get lost here."""
    return [
        {"intake": joined, "changes": changes}
        for joined in joined_intakes(intake)
        if (changes := intakes.changes_since(joined, intake, vocabulary))
    ]


def _answers_context(intake: Intake, vocabulary: Vocabulary, *, user: User) -> dict[str, Any]:
    sections = intakes.in_words(intake, vocabulary)
    unanswered = sum(not line.answered for section in sections for line in section.lines)
    return {
        "intake": intake,
        "patient": intake.patient,
        "strip": strip(intake.patient, user=user),
        "sections": sections,
        "review": intakes.to_review(intake, vocabulary),
        "will_be_asked": [_(said.text) if said.is_unknown else said.text for said in words_of_intake(intake)]
        if intake.submitted_at is None
        else [],
        "concerns": [
            {"label": vocabulary.concerns[entry["concern"]].label, **severity_drawn(entry["severity"])}
            for entry in intake.concerns
            if entry["concern"] in vocabulary.concerns
        ],
        "overruled": overruled_by_stage(intake, vocabulary),
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
    }


ATTEMPTS = 6  # as many parts of an intake can be refused one after another


def _save(request: ClinicRequest, intake: Intake, form: IntakeForm) -> int:
    """Save what was typed, all but what is no answer, which is kept as typed at its question. Return the status."""
    form.is_valid()
    if form.non_field_errors():
        return 422
    do = request.POST.get("do", "")
    if do.startswith("pattern:"):
        form.zones = form.typical(do.removeprefix("pattern:"))
    for _part in range(ATTEMPTS):  # each refusal leaves out what it names
        try:
            save_intake(intake=intake, revision=form.cleaned_data["revision"], by=request.user, **form.answers())
        except Conflict as conflict:
            intake.refresh_from_db()
            form.ask(conflict)
            return 409
        except StaleRevision as refusal:
            intake.refresh_from_db()
            form.add_error(None, str(refusal))
            return 409
        except InvalidInput as refusal:
            form.refuse(refusal)
        else:
            return 422 if form.errors else 200
    return 422


def _submit(request: ClinicRequest, intake: Intake, form: IntakeForm) -> int:
    """Close the draft that was just saved; what it lacks is said beside the part that lacks it."""
    try:
        submit_intake(intake=intake, by=request.user)
    except InvalidAnswers as refusal:
        form.add_refusal(refusal)
        return 422
    except InvalidInput as refusal:
        form.lacking = {refusal.field or "": str(refusal)}
        return 422
    except StaleRevision as refusal:
        form.add_error(None, str(refusal))
        return 409
    return 200


def _as_shown(intake: Intake, form: IntakeForm) -> tuple[int, str]:
    """The revision that the page stands on, and the marks of what it shows.

    A page that was joined with what others saved does not show theirs: it keeps the revision that it began with.
    """
    began = form.cleaned_data.get("revision") if form.is_bound else None
    if began is not None and form.non_field_errors():
        return began, form.seen_text
    if began is not None and intake.revision != began + 1:
        return began, json.dumps(form.seen | dict(intake.typed_marks))
    return intake.revision, json.dumps(marks_of(intakes.questions_of(intake)))


def _saved_quietly(intake: Intake, form: IntakeForm, status: int) -> JsonResponse:
    """For the page's own script, which saves while somebody types. What is no answer yet is said beside the rest."""
    answer: dict[str, Any] = {"errors": {name: list(map(str, said)) for name, said in form.errors.items()}}
    kept = status == 200 or (status == 422 and not form.non_field_errors())
    if kept:
        answer |= {
            "revision": _as_shown(intake, form)[0],
            "saved": _saved_sentence(intake),
            "seen": _as_shown(intake, form)[1],
            "ticked": {"fact-medications": classes_of(form.named_medicines())},
        }
    return JsonResponse(answer, status=200 if kept else status)


def _saved_sentence(intake: Intake) -> str:
    if intake.saved_at is None:
        return ""
    at = timezone.localtime(intake.saved_at)
    words = {"time": at.strftime("%H:%M"), "zone": timezone.get_current_timezone_name()}
    if at.date() != timezone.localdate():
        return _("Last saved on %(day)s at %(time)s (%(zone)s)") % (words | {"day": at.date().isoformat()})
    return _("Last saved %(time)s (%(zone)s)") % words


@dataclass(frozen=True, kw_only=True)
class Lacking:
    """One thing that a submission still needs, and where on the intake's pages it is answered."""

    sentence: str
    step: str
    anchor: str


def _lacking_rows(lacking: Mapping[str, str], vocabulary: Vocabulary) -> list[Lacking]:
    rows = []
    for part, sentence in lacking.items():
        kind, _dash, key = part.partition("-")
        fact = vocabulary.facts.get(key if kind == "fact" else part)
        if fact:
            step, anchor = STEP_OF[fact.section], f"q-fact-{fact.key}"
        elif key or part in intakes.BESIDE:  # typed, and no answer yet
            section = {"zone": "zones", "concern": "concerns", "other_allergies": "allergies"}.get(kind, kind)
            step, anchor = STEP_OF[section], f"q-{part}".replace("q-zone-", "q-area-")
        else:
            step = STEP_OF.get(part, "health")
            anchor = f"s-{part}" if part in STEP_OF else f"step-{step}"
        rows.append(Lacking(sentence=sentence, step=step, anchor=anchor))
    return rows


def _steps(intake: Intake, form: IntakeForm | None, now: str) -> list[dict[str, Any]]:
    """The steps as the page's head lists them, each with how much of it is answered."""
    form = form or IntakeForm(intake=intake, vocabulary=intakes.vocabulary_for(intake))
    questions = {section.key: section.questions for section in form.sections()}
    rows: list[dict[str, Any]] = []
    wrong = {form.step_of(name) for name in form.errors if name in form.fields and name != "revision"}
    for number, step in enumerate(STEPS, start=1):
        asked = [question for key in step.sections for question in questions.get(key, ()) if key != "labs"]
        answered = sum(question.is_answered for question in asked)
        rows.append(
            {
                "key": step.key,
                "label": step.label,
                "number": number,
                "url": _step_url(intake, step.key),
                "is_now": step.key == now,
                "answered": answered,
                "asked": len(asked),
                "is_done": answered == len(asked),
                "is_wrong": step.key in wrong,
            }
        )
    return rows


def _form_context(request: ClinicRequest, intake: Intake, form: IntakeForm) -> dict[str, Any]:
    sections, zones = form.sections(), form.zone_rows()
    concerns = form.concern_questions()
    asked = request.POST.get("step") or request.GET.get("step") or intake.step
    lacking = _lacking_rows(form.lacking, form.vocabulary)
    now = (form.first_wrong_step() if form.is_bound else "") or next((row.step for row in lacking), known_step(asked))
    questions = {section.key: section for section in sections}
    return {
        "now": now,
        "lacking": lacking,
        "steps": _steps(intake, form, now),
        "in_steps": [
            {
                "step": step,
                "parts": [(key, questions.get(key)) for key in step.sections],
                "number": number,
                "before": STEPS[number - 2].key if number > 1 else "",
                "after": STEPS[number].key if number < len(STEPS) else "",
            }
            for number, step in enumerate(STEPS, start=1)
        ],
        "medicine_names": (offered := medicine_names()),
        "brand_names": brand_names(),
        "medicines_offered": [name for name, _atc in offered],
        **_medicines_context(form.named_medicines()),
        "intake": intake,
        "patient": intake.patient,
        "strip": strip(intake.patient, user=request.user),
        "form": form,
        "sections": sections,
        "concerns": concerns,
        "concerns_said": [text for question in concerns for text in question.said],
        "overruled": overruled_by_stage(intake, form.vocabulary),  # as saved; the preview beside it says it at once
        "concerns_chosen": sum(question.is_answered for question in concerns),
        "zones": zones,
        "zones_chosen": sum(zone.chosen for zone in zones),
        "zones_drawn": zones_to_draw(zones),
        "revision": _as_shown(intake, form)[0],
        "seen": _as_shown(intake, form)[1],
        "wrong": form.wrong() if form.is_bound else [],
        "is_refused": bool(form.clashes or form.non_field_errors()),
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
    trail.record("intake.viewed", by=request.user, target=intake, patient=intake.patient)
    context = _answers_context(intake, vocabulary, user=request.user) | {
        "previous": previous,
        "changes": intakes.changes_since(previous, intake, vocabulary),
        "elsewhere": _said_elsewhere(intake, vocabulary),
        "reviewed": review_of(intake),
        "to_confirm": [
            intakes.short_label(intakes.question_of(vocabulary.facts[fact.key]))
            for fact in (answers_to_confirm(intake) if intake.submitted_at else ())
        ],
        "can_review": can_review_intake(intake, by=request.user),
        "is_latest": (is_latest := latest is not None and latest.pk == intake.pk),
        "not_asked": list(intakes.not_asked_in_words(intake, vocabulary).values()) if is_latest else [],
        "can_edit": can_edit_intake(intake, by=request.user),
        "can_start": can_start_intake(intake.patient, by=request.user),
    }
    return render(request, "patients/intake_detail.html", context)


@requires(Permission.INTAKE_WRITE)
@require_POST
def intake_reviewed(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """One press: somebody of the staff has read it."""
    intake = get_object_or_404(intakes_visible_to(request.user), public_id=public_id)
    review_intake(intake=intake, by=request.user)
    messages.success(request, _("Reviewed."))
    return redirect("patients:intake_detail", intake.public_id)


# ------------------------------------------------------------------ has anything changed?


@requires(Permission.INTAKE_WRITE)
@require_http_methods(["GET", "POST"])
def day_check(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Before a session: only what it depends on is asked again. A new intake is made only where something changed."""
    patient = get_object_or_404(patients_seen_by(request.user), public_id=public_id)
    check_can_start_intake(patient, by=request.user)
    previous = latest_submitted_intake(patient)
    if previous is None:
        messages.warning(request, _("There is no submitted intake yet. Fill one in first."))
        return redirect("sessions:patient", patient.public_id)
    typed = request.POST if request.method == "POST" else None
    form = DayCheckForm(typed, patient=patient, previous=previous, ask=(typed or request.GET).getlist("ask"))
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                change = differs(previous, form.answers)
                keep = record_changes if change else confirm_unchanged
                check = keep(patient=patient, answers=form.answers, by=request.user)
            except DomainError as refusal:
                form.add_error(form.field_of(refusal.field), str(refusal))
            else:
                return _after_day_check(request, check)
    else:
        trail.record("intake.viewed", by=request.user, target=previous, patient=patient)
    context = {
        "form": form,
        "patient": patient,
        "strip": strip(patient, user=request.user),
        "previous": previous,
        "next": _own_path(request),
    }
    return render(request, "patients/day_check.html", context, status=status)


def _after_day_check(request: ClinicRequest, check: DayCheck) -> HttpResponse:
    if check.changed:
        messages.warning(request, _("Something changed: it is a new intake. Read what it means before you go on."))
        return redirect("patients:intake_detail", check.intake.public_id)
    messages.success(request, _("Asked; nothing has changed."))
    return redirect(_own_path(request) or reverse("sessions:patient", args=[check.patient.public_id]))


def _own_path(request: HttpRequest) -> str:
    """Where the person came from, if that is a page of ours."""
    path = request.POST.get("next") or request.GET.get("next", "")
    return path if url_has_allowed_host_and_scheme(path, allowed_hosts=None) and path.startswith("/") else ""
