"""Which plans a person may know of, and what still stands between a draft and its signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.models import User
from patients.intake.answers import question_of, short_label
from patients.intake.confirming import answers_to_confirm
from patients.models import Intake, Patient, PatientStatus
from patients.queries import records_of
from patients.statements.statements import open_statements
from protocols.engine import ENGINE_VERSION
from protocols.formulary.queries import built_formulary, unconfirmed_entries
from protocols.models import Acknowledgement, OpenAnswer, Plan
from protocols.models.enums import EDIT_NOTE_NEEDED, EditReason, FormularyStatus, OpenAnswerKind, PlanStatus
from protocols.plans import basis

INTAKE_TO_CHECK = "intake_to_check"  # no rule of a formulary: those have no colon


def plans_visible_to(user: User) -> QuerySet[Plan]:
    """The plans of the patients of the person's own sites, and those by which visits are booked there."""
    return Plan.objects.filter(plans_seen_by(user)).select_related(
        "patient", "patient__site", "responsible", "signed_by"
    )


def plans_seen_by(user: User) -> Q:
    """The condition that the user may open a plan, as far as sites decide it."""
    elsewhere = import_string(settings.SEEN_ELSEWHERE)(user, "plan")
    return Q(patient__site_id__in=user.site_ids) | Q(pk__in=elsewhere)


def is_plan_seen_by(plan: Plan, user: User) -> bool:
    """Whether the user may open this plan. Asks the database only for a patient of another site."""
    return plan.patient.site_id in user.site_ids or Plan.objects.filter(plans_seen_by(user), pk=plan.pk).exists()


def drafts_of(patient: Patient) -> QuerySet[Plan]:
    return Plan.objects.filter(patient=patient, status=PlanStatus.DRAFT)


def plan_in_force(patient: Patient, *, besides: int | None = None) -> Plan | None:
    """The signed plan that is being carried out, also under a record that was merged into this one."""
    found = Plan.objects.filter(patient__in=records_of(patient), status__in=PlanStatus.IN_FORCE)
    if besides is not None:
        found = found.exclude(pk=besides)
    return found.defer("case", "policy", "proposal", "edits", "result").first()


def in_force_sentence(plan: Plan) -> str:
    return _("Plan %(number)s is in force; amend it instead of beginning another.") % {"number": plan.display_number}


def live_acknowledgements(plan: Plan) -> dict[str, Acknowledgement]:
    """By rule: what the practitioner responsible acknowledged and was not superseded since."""
    rows = plan.acknowledgements.filter(superseded_at__isnull=True, by=plan.responsible_id).select_related("by")
    return {row.rule: row for row in rows}


def open_facts(plan: Plan) -> list[str]:
    """Every question that is open in the plan, also those that a practitioner has settled without a value."""
    return [row["fact"] for row in plan.result["open_questions"]]


def unsettled_facts(plan: Plan) -> list[str]:
    return [row["fact"] for row in plan.result["open_questions"] if not row["waived"]]


def unacknowledged_rules(plan: Plan) -> list[str]:
    """The cautions that still need their own acknowledgement."""
    if plan.waits:
        return []  # nothing is injected, so no caution stands against it
    done = set(live_acknowledgements(plan))
    rules = [row["rule"] for row in plan.result["cautions"]] + [check.rule for check in intake_checks(plan)]
    return [rule for rule in rules if rule not in done]


@dataclass(frozen=True, kw_only=True)
class IntakeCheck:
    """Something of the intake that no rule understands. ``rule`` names it among the cautions."""

    rule: str
    message: str


def intake_checks(plan: Plan) -> list[IntakeCheck]:
    """What a practitioner has to confirm in words. What was said in words is settled instead, as statements."""
    intake = plan.intake
    messages = []
    if unconfirmed := answers_to_confirm(intake):
        names = ", ".join(short_label(question_of(fact)) for fact in unconfirmed)
        messages.append(
            _("%(who)s at reception wrote down what a practitioner has to judge: %(names)s. Confirm it, or see anew.")
            % {"who": intake.submitted_by, "names": names}
        )
    return [
        IntakeCheck(rule=f"{INTAKE_TO_CHECK}:{number}", message=message)
        for number, message in enumerate(messages, start=1)
    ]


def basis_obstacles(plan: Plan) -> list[str]:
    """What a draft rests on and that no longer stands, one sentence each with the way on."""
    return basis.obstacles(plan, formulary=built_formulary(plan.formulary))


def is_explained(edit: Mapping[str, Any]) -> bool:
    """Whether an edit says why it was made: a coded reason, and words where the code alone does not say enough."""
    reason = edit.get("reason")
    return reason in EditReason.values and (reason not in EDIT_NOTE_NEEDED or bool(edit.get("note")))


def departs(plan: Plan, edit: Mapping[str, Any]) -> bool:
    """Whether an edit leads away from what was proposed, so that it needs a reason.

    A volume set to the usual one does not, nor a course that is as proposed, nor to wait where that was proposed first.
    """
    if edit["op"] == "wait":
        offered = [row["review"] for row in plan.proposal["alternatives"] if row.get("kind") == "waiting"]
        return not any(review["because"] for review in offered)
    if edit["op"] == "set_volume":
        return any(
            line["ingredient"] == edit["ingredient"]
            and line["set_by_hand"]
            and Decimal(line["volume_ml"]) != Decimal(line["volume_usual_ml"])
            for syringe in plan.result["syringes"]
            for line in syringe["lines"]
        )
    if edit["op"] in ("set_sessions", "set_schedule"):
        if plan.waits:
            return False
        proposed, now = plan.proposal["course"], plan.result["course"]
        return not proposed or not now or proposed["offsets_days"] != now["offsets_days"]
    return True


def unexplained_edits(plan: Plan) -> list[dict[str, Any]]:
    """The edits by hand that lead away from what was proposed and do not say why."""
    return [edit for edit in plan.edits if not is_explained(edit) and departs(plan, edit)]


def obstacles_to_signing(plan: Plan) -> list[str]:
    """What still stands between a draft and its signature, one sentence each. Empty: it can be signed."""
    return [
        *basis_obstacles(plan),
        *_obstacles_of_the_patient(plan),
        *_obstacles_of_the_answer(plan),
        *_obstacles_of_the_formulary(plan),
        *_cautions_unread(plan),
        *_edits_without_reason(plan),
        *_questions_open(plan),
    ]


def _obstacles_of_the_patient(plan: Plan) -> list[str]:
    """Who left, has another plan in force, or said something that is not settled."""
    found = []
    if plan.patient.status != PatientStatus.ACTIVE:
        found.append(_("This patient is no longer in the clinic's care."))
    if other := plan_in_force(plan.patient, besides=plan.supersedes_id):
        found.append(in_force_sentence(other))
    if said := len(open_statements(plan.patient)):
        found.append(
            ngettext(
                "%(n)d thing that was said in words is not settled: say what it means.",
                "%(n)d things that were said in words are not settled: say what they mean.",
                said,
            )
            % {"n": said}
        )
    return found


def _obstacles_of_the_answer(plan: Plan) -> list[str]:
    """An answer that proposes nothing to sign."""
    result = plan.result
    found = []
    if result["status"] == "incomplete":
        found.append(_("Answers are missing: there is no proposal yet."))
    elif result["status"] == "blocked":
        found.append(_("A rule forbids this treatment."))
    elif not plan.waits and not any(
        line["role"] != "diluent" for syringe in result["syringes"] for line in syringe["lines"]
    ):
        found.append(_("There is no mixture: no ingredient can be used."))
    return found


def _obstacles_of_the_formulary(plan: Plan) -> list[str]:
    """A release, or a formulary, that is not the one in force."""
    found = []
    if plan.engine_version != ENGINE_VERSION:
        found.append(_("An older release computed this draft. Discard it and make a new plan."))
    if plan.formulary.status != FormularyStatus.PUBLISHED:
        found.append(
            _("Formulary %(label)s is not in force. Discard this draft and make a new plan.")
            % {"label": plan.formulary.label}
        )
    if unconfirmed_entries(plan.formulary).exists():
        found.append(_("The medical director has not confirmed every flagged ingredient of this formulary."))
    return found


def _cautions_unread(plan: Plan) -> list[str]:
    """Cautions that nobody acknowledged."""
    found = []
    if cautions := len(unacknowledged_rules(plan)):
        found.append(
            ngettext("%(n)d caution has to be acknowledged.", "%(n)d cautions have to be acknowledged.", cautions)
            % {"n": cautions}
        )
    return found


def _edits_without_reason(plan: Plan) -> list[str]:
    """Edits that lead away from what was proposed and do not say why."""
    found = []
    unexplained = unexplained_edits(plan)
    if volumes := sum(edit["op"] == "set_volume" for edit in unexplained):
        found.append(
            ngettext(
                "%(n)d volume was set away from the usual: say why.",
                "%(n)d volumes were set away from the usual: say why.",
                volumes,
            )
            % {"n": volumes}
        )
    if others := len(unexplained) - volumes:
        found.append(
            ngettext(
                "%(n)d edit by hand has no reason yet: say why.",
                "%(n)d edits by hand have no reason yet: say why.",
                others,
            )
            % {"n": others}
        )
    return found


def _questions_open(plan: Plan) -> list[str]:
    """Questions that are neither answered nor waived."""
    found = []
    if questions := len(unsettled_facts(plan)):
        found.append(
            ngettext("%(n)d question is still open.", "%(n)d questions are still open.", questions) % {"n": questions}
        )
    return found


def known_values(plan: Plan) -> dict[str, OpenAnswer]:
    """By fact: the values given in this draft. They can be corrected, never left out again."""
    return {fact: row for fact, row in live_open_answers(plan).items() if row.kind == OpenAnswerKind.ANSWERED}


def values_given_on(intake: Intake, case: Mapping[str, Any]) -> list[OpenAnswer]:
    """The newest value of each fact that a plan on this intake was given and the intake itself does not answer."""
    rows = OpenAnswer.objects.filter(
        plan__intake=intake, plan__patient=intake.patient, kind=OpenAnswerKind.ANSWERED, superseded_at__isnull=True
    ).select_related("by")
    newest = {row.fact: row for row in rows.order_by("at", "pk")}
    return [row for fact, row in newest.items() if fact not in case["facts"]]


def live_open_answers(plan: Plan) -> dict[str, OpenAnswer]:
    rows = plan.open_answers.filter(superseded_at__isnull=True).select_related("by").order_by("at", "pk")
    return {row.fact: row for row in rows}
