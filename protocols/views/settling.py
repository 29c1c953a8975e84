"""Pages that say what was said in words, and where somebody who signs plans settles what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import DomainError
from patients.intake.answers import intake_vocabulary, short_label
from patients.intake.groups import part_label
from patients.models import Patient, Settlement, SettlementOutcome, Statement
from patients.queries import patients_visible_to
from patients.record.strip import patient_strip
from patients.statements.statements import (
    can_settle,
    open_statements,
    person_of,
    settle_statement,
    statements_of,
    statements_visible_to,
)
from patients.vocabulary import Vocabulary
from protocols.standing.settling import (
    Effects,
    Meaning,
    consequences,
    effects_for,
    meaning_of,
    meanings,
    offered,
    vocabulary_of,
)
from protocols.views.forms import SettleForm


@dataclass(frozen=True, kw_only=True)
class Row:
    """A statement with what it was settled as, newest first, in words."""

    statement: Statement
    about: str
    settlements: tuple[tuple[Settlement, str], ...]


@requires(Permission.INTAKE_READ)
@require_GET
def statements(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """Everything that the person said in words, what is open first."""
    patient = get_object_or_404(patients_visible_to(request.user), public_id=public_id)
    vocabulary = intake_vocabulary()
    rows = [row_of(row, vocabulary) for row in statements_of(patient)]
    trail.record("statements.listed", by=request.user, target=patient, patient=patient)
    context = {
        "patient": patient,
        "strip": patient_strip(patient, user=request.user),
        "open_rows": [row for row in rows if row.statement.is_open],
        "settled_rows": [row for row in reversed(rows) if not row.statement.is_open],
        "may_settle": can_settle(patient, by=request.user),
        "signers": signers_of(patient),
    }
    return render(request, "protocols/statements.html", context)


@requires(Permission.INTAKE_READ)
@require_http_methods(["GET", "POST"])
def statement(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """The words, what they may mean and what each meaning does; settling leads to the next that is open."""
    said = get_object_or_404(statements_visible_to(request.user), public_id=public_id)
    vocabulary = vocabulary_of(said)
    form = SettleForm(
        request.POST if request.method == "POST" else None,
        statement=said,
        offered=offered(said, vocabulary=vocabulary),
        vocabulary=vocabulary,
    )
    asks = request.POST.get("do") == "preview"
    if request.method == "POST" and not asks and form.is_valid():
        try:
            settle_statement(statement=said, by=request.user, **form.settlement)
        except DomainError as refusal:
            if refusal.status == 403:
                raise
            form.add_error(form.field_of(refusal.field), str(refusal))
        else:
            return _after(request, said)
    trail.record("statement.viewed", by=request.user, target=said, patient=said.patient)
    context = _page(request, said, form, vocabulary)
    template = "protocols/statement.html" + ("#what-this-does" if asks and request.htmx else "")
    return render(request, template, context, status=422 if form.errors and not asks else 200)


def _page(request: ClinicRequest, said: Statement, form: SettleForm, vocabulary: Vocabulary) -> dict[str, Any]:
    effects = effects_for(said)
    if form.is_bound:
        form.is_valid()
        outcome, chosen = form.data.get("outcome", ""), form.chosen
    else:
        outcome = form.initial["outcome"]
        chosen = [row for row in form.offered if row.key in form.initial["meaning"]]
    others = [row for row in open_statements(said.patient) if row.pk != said.pk]
    known = meanings(vocabulary)
    decided = (outcome == SettlementOutcome.FACT and chosen) or outcome == SettlementOutcome.NONE_OF_THESE
    return {
        "statement": said,
        "row": row_of(said, vocabulary),
        "patient": person_of(said.patient),
        "strip": patient_strip(person_of(said.patient), user=request.user),
        "form": form,
        "offers": _offers(form.offered, form, effects),
        "known": known,
        "outcome": outcome,
        "consequences": consequences(said, chosen, effects=effects, still_open=len(others)) if decided else [],
        "others": len(others),
        "may_settle": can_settle(said.patient, by=request.user),
        "signers": signers_of(said.patient),
    }


def _offers(rows: list[Meaning], form: SettleForm, effects: Effects | None) -> list[dict[str, Any]]:
    ticked = set(form["meaning"].value() or ())
    return [
        {"meaning": row, "ticked": row.key in ticked, "effect": effects.gravest(row) if effects else None}
        for row in rows
    ]


def _after(request: ClinicRequest, said: Statement) -> HttpResponse:
    messages.success(
        request,
        _("Open again: nobody is treated until it is settled.")
        if said.is_open
        else _("Settled. The words stay as they were said; screening runs with what they mean."),
    )
    following = next((row for row in open_statements(said.patient) if row.pk != said.pk), None)
    if following is not None:
        return redirect("protocols:statement", following.public_id)
    return redirect("protocols:statements", person_of(said.patient).public_id)


def row_of(said: Statement, vocabulary: Vocabulary) -> Row:
    return Row(
        statement=said,
        about=about_of(said, vocabulary),
        settlements=tuple(
            (row, settled_as(row, vocabulary))
            for row in sorted(said.settlements.all(), key=lambda row: row.number, reverse=True)
        ),
    )


def about_of(said: Statement, vocabulary: Vocabulary) -> str:
    """The answer that the words were added to, in words; empty where they stand alone."""
    key, _colon, value = said.about.partition(":")
    fact = vocabulary.facts.get(key)
    if fact is None:
        return ""
    return f"{fact.label}: {part_label(key, value) or short_label(fact.label_of(value))}"


def settled_as(row: Settlement, vocabulary: Vocabulary) -> str:
    """What it was settled as, in words."""
    if row.outcome == SettlementOutcome.FACT:
        return "; ".join(
            meaning_of(vocabulary.facts[entry["fact"]], entry["value"]).label
            for entry in row.facts
            if entry["fact"] in vocabulary.facts
        )
    if row.outcome == SettlementOutcome.NONE_OF_THESE:
        return f"{row.get_outcome_display()}: {row.get_reason_display()}"
    return str(row.get_outcome_display())


def signers_of(patient: Patient) -> list[str]:
    """The names of those who may settle it, for whoever may not."""
    people = User.objects.filter(is_active=True, sites=patient.site_id).prefetch_related("role_grants")
    return [person.name for person in people.order_by("family_name") if person.may(Permission.PLAN_SIGN)]
