"""The pages of an intake: fill it in, look it over, read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.audit.conflicts import Conflict, marks_of
from mesoclinic.core.errors import InvalidInput
from mesoclinic.core.reading import revision_of
from patients.actions.intake import review_intake, save_intake, start_intake, submit_intake
from patients.actions.refusals import StaleRevision
from patients.intake import answers as intakes
from patients.intake import review
from patients.intake.answers import InvalidAnswers
from patients.intake.asked import zones_to_draw
from patients.intake.confirming import answers_to_confirm
from patients.intake.forms import IntakeForm
from patients.intake.medicines import KNOWN as MEDICINE_KNOWN
from patients.intake.medicines import LENGTH as MEDICINE_LENGTH
from patients.intake.medicines import MOST as MEDICINES_MOST
from patients.intake.medicines import Named, brand_names, classes_of, lines_of, medicine_names, read_medicines
from patients.intake.stages import overruled_by_stage
from patients.intake.steps import STEP_OF, STEPS, known_step
from patients.models import Intake, IntakeStatus
from patients.permissions import (
    can_edit_intake,
    can_review_intake,
    can_start_intake,
    check_can_edit_intake,
)
from patients.queries import (
    intake_before,
    intakes_visible_to,
    joined_intakes,
    latest_submitted_intake,
    patients_seen_by,
    review_of,
)
from patients.record.strip import patient_strip
from patients.statements.recording import words_of_intake
from patients.texts import spoken_vocabulary
from patients.vocabulary import Vocabulary
from patients.words import severity_drawn


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
        "changes": review.changes_since(previous, intake, vocabulary),
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
        if (changes := review.changes_since(joined, intake, vocabulary))
    ]


def _answers_context(intake: Intake, vocabulary: Vocabulary, *, user: User) -> dict[str, Any]:
    sections = review.in_words(intake, vocabulary)
    unanswered = sum(not line.answered for section in sections for line in section.lines)
    return {
        "intake": intake,
        "patient": intake.patient,
        "strip": patient_strip(intake.patient, user=user),
        "sections": sections,
        "review": review.to_review(intake, vocabulary),
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
        "strip": patient_strip(intake.patient, user=request.user),
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
        "changes": review.changes_since(previous, intake, vocabulary),
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
