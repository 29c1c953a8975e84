"""A formulary in force, and plans in each of their states, made through the real actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any
from uuid import uuid4

from django.db.models.base import ModelState
from django.utils import timezone

from mesoclinic.accounts.models import User
from patients.actions.intake import save_intake, start_intake, submit_intake
from patients.models import Intake, Patient
from protocols.actions.answers import acknowledge, answer_open_questions
from protocols.actions.drafts import create_plan
from protocols.actions.formulary import confirm_entry, load_formulary_draft, publish_formulary
from protocols.actions.signing import sign_plan
from protocols.formulary.queries import formulary_in_force
from protocols.models import FormularyEntry, FormularyVersion, Ingredient, Plan
from protocols.models.enums import FormularyStatus
from protocols.plans.queries import unacknowledged_rules, unsettled_facts
from tests import factories

# A healthy man of 39 with moderate pattern loss (Norwood IV) and mildly poor circulation: four actives.
FACTS: dict[str, Any] = {
    "conditions": [],
    "medications": [],
    "allergies": [],
    "allergy_ingredients": [],
    "anaphylaxis_history": "none",
    "previous_mesotherapy_reaction": "none",
    "scalp_findings": [],
    "patchy_diagnosis": "not_applicable",
    "hair_loss_cause_known": True,
    "norwood_stage": "IV",
    "fever_or_acute_illness": False,
    "vegan_preference": False,
    "alcohol_free": False,
    "bdd_screen_positive": False,
    "unrealistic_expectation": False,
    "can_consent": True,
}
WOMAN: dict[str, Any] = {"pregnancy_status": "not_pregnant", "could_become_pregnant": False, "lactating": False}
CONCERNS: list[dict[str, str]] = [
    {"concern": "androgenetic_alopecia", "severity": "moderate"},
    {"concern": "diffuse_thinning", "severity": "mild"},
]
ZONES: list[dict[str, str]] = [
    {"zone": "frontal", "area_cm2": "80"},
    {"zone": "temporal_left", "area_cm2": "30"},
    {"zone": "temporal_right", "area_cm2": "30"},
    {"zone": "mid_scalp", "area_cm2": "120"},
    {"zone": "vertex", "area_cm2": "80"},
]


def draft_formulary(*, by: User, label: str = "2026.1", is_sample: bool = False) -> FormularyVersion:
    return load_formulary_draft(label=label, is_sample=is_sample, by=by)


def published_formulary(
    *, by: User | None = None, label: str = "2026.1", is_sample: bool = False, new: bool = False
) -> FormularyVersion:
    """The version in force; made, confirmed and published by ``by`` (a director) where there is none or ``new``."""
    found = formulary_in_force()
    if found and not new:
        return found
    director = by or factories.user(given_name="Dora", family_name="Lindgren", roles=["director"])
    first = not FormularyVersion.objects.exists()
    if first and (kept := _MADE.get((label, is_sample))):
        return _again(*kept, by=director)
    version = draft_formulary(by=director, label=label, is_sample=is_sample)
    for entry in version.entries.filter(is_active=True, confirmation_required=True).select_related("ingredient"):
        confirm_entry(entry=entry, by=director)
    published = publish_formulary(version=version, by=director)
    if first:
        _MADE[label, is_sample] = (copy(published), list(published.entries.select_related("ingredient").order_by("pk")))
    return published


_MADE: dict[tuple[str, bool], tuple[FormularyVersion, list[FormularyEntry]]] = {}


def _again(version: FormularyVersion, entries: list[FormularyEntry], *, by: User) -> FormularyVersion:
    """The rows that the actions wrote for an earlier test: every other test needs them, and the actions take long.

    Their audit events are not written again.
    """
    Ingredient.objects.bulk_create(
        (Ingredient(key=entry.ingredient.key, name=entry.ingredient.name) for entry in entries), ignore_conflicts=True
    )
    ids = dict(Ingredient.objects.values_list("key", "pk"))
    version = copy(version)
    version.pk, version.public_id, version._state = None, uuid4(), ModelState()
    version.status, version.published_at, version.published_by = FormularyStatus.DRAFT, None, None
    version.save(force_insert=True)
    rows = []
    for entry in entries:
        row = copy(entry)
        row.pk, row._state = None, ModelState()
        row.version, row.ingredient_id = version, ids[entry.ingredient.key]
        row.confirmed_at, row.confirmed_by = (timezone.now(), by) if entry.confirmed_at else (None, None)
        rows.append(row)
    FormularyEntry.objects.bulk_create(rows)
    drafts = FormularyVersion.objects.filter(pk=version.pk)
    drafts.update(status=FormularyStatus.PUBLISHED, published_at=timezone.now(), published_by=by)
    return FormularyVersion.objects.get(pk=version.pk)


def submitted_intake(
    *,
    patient: Patient,
    by: User,
    facts: Mapping[str, Any] | None = None,
    concerns: Sequence[Mapping[str, str]] | None = None,
    zones: Sequence[Mapping[str, str]] | None = None,
) -> Intake:
    """``facts`` are laid over FACTS; a fact given as None stays unanswered."""
    answers = {key: value for key, value in {**FACTS, **(facts or {})}.items() if value is not None}
    if patient.sex_at_birth == "female":
        answers.pop("norwood_stage", None)
        answers = WOMAN | answers
    intake = start_intake(patient=patient, by=by)
    save_intake(
        intake=intake,
        revision=intake.revision,
        facts=answers,
        concerns=list(concerns if concerns is not None else CONCERNS),
        zones=list(zones if zones is not None else ZONES),
        note="",
        by=by,
    )
    intake.refresh_from_db()
    return submit_intake(intake=intake, by=by)


def draft_plan(
    *,
    by: User,
    patient: Patient | None = None,
    facts: Mapping[str, Any] | None = None,
    concerns: Sequence[Mapping[str, str]] | None = None,
    zones: Sequence[Mapping[str, str]] | None = None,
) -> Plan:
    """A draft by ``by`` (a practitioner) for a patient with a submitted intake, under a formulary in force."""
    published_formulary()
    patient = patient or factories.patient(by=by)
    submitted_intake(patient=patient, by=by, facts=facts, concerns=concerns, zones=zones)
    return create_plan(patient=patient, by=by)


def settled(plan: Plan, *, by: User) -> Plan:
    """Every open question answered as not measured and every caution acknowledged: ready to be signed."""
    while waiting := unsettled_facts(plan):  # an answer can open another question
        answer_open_questions(
            plan=plan,
            revision=plan.revision,
            answers=[{"fact": key, "kind": "not_measured", "reason": "Asked; not measured today."} for key in waiting],
            by=by,
        )
        plan.refresh_from_db()
    for rule in unacknowledged_rules(plan):
        acknowledge(
            plan=plan, revision=plan.revision, rule=rule, reason_code="explained", note="Talked it over.", by=by
        )
    plan.refresh_from_db()
    return plan


def signed_plan(*, by: User, patient: Patient | None = None, **intake: Any) -> Plan:
    """A signed plan of four sessions. ``intake``: facts, concerns, zones as for ``draft_plan``."""
    plan = settled(draft_plan(by=by, patient=patient, **intake), by=by)
    return sign_plan(plan=plan, revision=plan.revision, password=factories.PASSWORD, by=by)
