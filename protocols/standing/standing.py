"""Whether a patient may be treated by a plan on a day: one function of what is true at that moment, never kept.

It reads the newest answers (an intake or what a day check made of it), what was said in words and is not settled, the
record of today (age, sex, merges), what higher apps report by name (``STANDING_REASONS``), and the plan with its own
formulary version. ``standing`` asks for one, ``standings`` for many in a fixed number of queries; ``check_may_treat``
is the guard before anything is booked, checked in, prepared or recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.module_loading import import_string

from mesoclinic.accounts.access import PERMISSIONS, Permission
from mesoclinic.accounts.models import RoleGrant, User
from patients.intake.answers import (
    UNKNOWN,
    asked_facts,
    is_answered,
    question_of,
    settled_over,
    short_label,
)
from patients.intake.day_checks import can_be_asked
from patients.intake.settled import SettledFact, settled_facts_of
from patients.models import DayCheck, Intake, IntakeStatus, Patient, PatientMerge, Statement
from patients.statements.statements import open_statements_of
from patients.texts import spoken_vocabulary
from patients.vocabulary import Vocabulary
from protocols.engine import CaseError, Formulary, parse_case
from protocols.engine.inputs.case import Case
from protocols.engine.screen import open_questions, required_facts, screen
from protocols.formulary.queries import built_formularies, formulary_in_force
from protocols.models import Plan, StandingAcknowledgement
from protocols.models.enums import FormularyStatus, PlanStatus
from protocols.plans.asking import (
    unasked_for,
    url_for_a_plan,
    url_to_ask,
    values_not_asked,
)
from protocols.plans.basis import case_from
from protocols.plans.fitting import Unheard, fit_to_version
from protocols.standing.reasons import (
    CAUTIONS,
    CLEAR,
    INGREDIENT,
    MERGE,
    NOT_KNOWN,
    NOTHING_KNOWN,
    RED_FLAG,
    RULE,
    STATEMENT,
    STOP,
    UNCONFIRMED,
    UNHEARD,
    UNREADABLE,
    Reason,
    Standing,
)
from protocols.standing.sentences import (
    Saying,
    finding_key,
    merge_reason,
    not_asked_reason,
    of_finding,
    statement_reason,
    unanswered_reason,
    unconfirmed_reason,
    unheard_reason,
    unknown_reason,
    unreadable,
)
from protocols.words.terms import Words, words_of

Asked = tuple[Patient, Plan | None, date]


def standing(patient: Patient, plan: Plan | None, day: date) -> Standing:
    """Return whether the patient may be treated by the plan on that day; without a plan, by the formulary in force."""
    return standings([(patient, plan, day)])[0]


def standing_now(patient: Patient, plan: Plan | None = None) -> Standing:
    """Return the standing of today at the patient's site, by the plan in force where none is named."""
    return standings_now([patient], plans={patient.pk: plan} if plan else None)[patient.pk]


def standings_now(
    patients: Sequence[Patient], *, plans: Mapping[int, Plan] | None = None, day: date | None = None
) -> dict[int, Standing]:
    """Return by patient the standing of today by the plan in force, in a fixed number of queries."""
    found = dict(plans or {})
    lacking = [patient for patient in patients if patient.pk not in found]
    if lacking:
        found |= plans_in_force(lacking)
    asked = [
        (patient, found.get(patient.pk), day or timezone.localdate(timezone=patient.site.tz)) for patient in patients
    ]
    return {row.patient_id: row for row in standings(asked)}


def answers_of(asked: Sequence[tuple[Patient, Plan | None, date | None]], *, user: User | None) -> list[dict[str, Any]]:
    """Return each standing as an API answers it to ``user``: by the plan in force and of today where none is said."""
    in_force = plans_in_force([patient for patient, plan, _day in asked if plan is None])
    found = standings(
        (patient, plan or in_force.get(patient.pk), day or timezone.localdate(timezone=patient.site.tz))
        for patient, plan, day in asked
    )
    seen = [row.seen_by(user) if user is not None else row for row in found]
    return [{"state": row.state, "day": row.day, "reasons": [vars(reason) for reason in row.reasons]} for row in seen]


def plans_in_force(patients: Sequence[Patient]) -> dict[int, Plan]:
    """Return by patient the plan in force of the person, also where it was signed under a merged record."""
    people = {patient.merged_into_id or patient.pk for patient in patients}
    rows = Plan.objects.filter(
        Q(patient__in=people) | Q(patient__merged_into__in=people), status__in=PlanStatus.IN_FORCE
    ).select_related("patient")
    light = rows.defer("case", "policy", "proposal", "edits", "result")
    by_person = {row.patient.merged_into_id or row.patient_id: row for row in light}
    return {
        patient.pk: by_person[patient.merged_into_id or patient.pk]
        for patient in patients
        if (patient.merged_into_id or patient.pk) in by_person
    }


def standings(asked: Iterable[Asked]) -> list[Standing]:
    """Return the standing for each question, in the order asked; every row is read anew, so nothing is stale."""
    wanted = [(patient.pk, plan.pk if plan is not None else None, day) for patient, plan, day in asked]
    world = _World.read({row[0] for row in wanted}, {row[1] for row in wanted if row[1] is not None})
    return [world.standing(patient, plan, day) for patient, plan, day in wanted]


# ------------------------------------------------------------------ what is true at this moment


@dataclass(kw_only=True)
class _World:
    """Everything that some standings rest on, read together."""

    people: dict[int, Patient]  # by the record asked for: the record that stands for the person
    records: dict[int, list[int]]  # by the person's record: it and those merged into it
    plans: dict[int, Plan]
    newest: dict[int, Intake]  # by the person's record
    checks: dict[int, DayCheck]  # by the intake that a day check made
    unasked: set[int]  # people with a merge that no intake was filled in after
    formularies: Mapping[int, Formulary]
    in_force: int | None
    acknowledged: dict[int, dict[str, StandingAcknowledgement]]
    reported: dict[int, list[Reason]]
    statements: dict[int, list[Statement]]  # open, by the person's record
    settled: dict[int, tuple[SettledFact, ...]]
    treating: set[int]  # of those who submitted or reviewed the newest answers, who treats
    vocabulary: Vocabulary

    @classmethod
    def read(cls, patient_ids: set[int], plan_ids: set[int]) -> _World:
        rows = Patient.objects.filter(pk__in=patient_ids).select_related("site", "merged_into__site")
        people = {row.pk: row.merged_into or row for row in rows}
        records = {person.pk: [person.pk] for person in people.values()}
        holding = [person.pk for person in people.values() if person.holds_merged_records]
        if holding:
            for record in Patient.objects.filter(merged_into__in=holding).only("merged_into"):
                records[record.merged_into_id or record.pk].append(record.pk)
        plans = {
            row.pk: row
            for row in Plan.objects.filter(pk__in=plan_ids)
            .select_related("intake", "formulary")
            .defer("proposal", "edits", "policy", "formulary__documents")
        }
        newest = _newest_intakes(people.values(), records)
        superseded = any(plan.formulary.status != FormularyStatus.PUBLISHED for plan in plans.values())
        in_force = formulary_in_force() if len(plan_ids) < len(patient_ids) or not plan_ids or superseded else None
        versions = {plan.formulary_id: plan.formulary for plan in plans.values()}
        if in_force is not None:
            versions[in_force.pk] = in_force
        acknowledged: dict[int, dict[str, StandingAcknowledgement]] = {}
        for row in StandingAcknowledgement.objects.filter(plan__in=plans).select_related("by"):
            acknowledged.setdefault(row.plan_id, {})[row.key] = row
        return cls(
            people=people,
            records=records,
            plans=plans,
            newest=newest,
            checks={
                check.intake_id: check
                for check in DayCheck.objects.filter(
                    intake__in=[intake.pk for intake in newest.values()], changed=True
                ).select_related("asked_by")
            },
            unasked=_unasked(holding, newest),
            formularies=built_formularies(versions.values()),
            in_force=in_force.pk if in_force else None,
            acknowledged=acknowledged,
            reported=_reported(records),
            statements=open_statements_of(list(people.values())),
            settled=settled_facts_of(people.values()),
            treating=_treating(newest.values()),
            vocabulary=spoken_vocabulary(),
        )

    def standing(self, patient_id: int, plan_id: int | None, day: date) -> Standing:
        person = self.people[patient_id]
        plan = self.plans.get(plan_id) if plan_id is not None else None
        intake = self.newest.get(person.pk)
        reasons: list[Reason] = list(self.reported.get(person.pk, ()))
        reasons += [statement_reason(row, person) for row in self.statements.get(person.pk, ())]
        if person.pk in self.unasked:
            reasons.append(merge_reason())
        reasons += self._said(person, plan, intake, day) if intake is not None else [unanswered_reason()]
        stops = [reason for reason in reasons if reason.stops]
        done = self.acknowledged.get(plan.pk, {}) if plan else {}
        formulary = self.formularies.get(plan.formulary_id) if plan else None
        signed = _signed_cautions(plan, words_of(formulary)) if plan and formulary else set()
        cautions = [reason for reason in reasons if not reason.stops]
        new = [reason for reason in cautions if reason.key not in signed and reason.key not in done]
        return Standing(
            patient_id=patient_id,
            plan_id=plan_id,
            day=day,
            state=STOP if stops else NOTHING_KNOWN if intake is None else CAUTIONS if new else CLEAR,
            reasons=(*sorted(stops, key=_by_weight), *new),
            acknowledged=tuple(reason for reason in cautions if reason not in new),
        )

    def _said(self, person: Patient, plan: Plan | None, intake: Intake, day: date) -> list[Reason]:
        """What the newest answers say by the plan's formulary; without a plan only what forbids any treatment."""
        formulary = self.formularies.get(plan.formulary_id if plan else self.in_force or 0)
        if formulary is None:
            return [] if plan is None else [unreadable()]
        whole = self._case(person, plan, intake, day)
        fitted = fit_to_version(whole, formulary)
        try:
            case = parse_case(fitted.case, formulary)
        except CaseError:
            return (
                [] if plan is None else [unheard_reason(fitted.unheard, formulary) if fitted.unheard else unreadable()]
            )
        saying = Saying(intake=intake, check=self.checks.get(intake.pk), words=words_of(formulary))
        chosen = formulary.mask(key for key in _mixture(plan) if key in formulary.ingredients) if plan else 0
        found = [
            reason
            for finding in screen(case, formulary).findings
            if (reason := of_finding(finding, formulary, chosen, saying, has_plan=plan is not None)) is not None
        ]
        if plan is not None and plan.waits:  # nothing is injected by it: only what forbids any treatment counts
            return [reason for reason in found if reason.severity == "absolute"]
        if fitted.unheard:
            found += self._not_heard(plan, whole, fitted.unheard, formulary, saying)
        found += self._not_asked(person, plan, intake, whole, formulary)
        if plan is not None:
            found += self._not_known(plan, intake, case, formulary, chosen, saying)
            found += self._unconfirmed(plan, intake)
        return found

    def _not_heard(
        self,
        plan: Plan | None,
        whole: Mapping[str, Any],
        unheard: Sequence[Unheard],
        formulary: Formulary,
        saying: Saying,
    ) -> list[Reason]:
        """What the plan's formulary has no word for: as the version in force judges it, where it can; else a stop.

        A rule of the version in force counts where one of these answers makes it fire and it touches the plan.
        """
        newest = self.formularies.get(self.in_force or 0)
        held = _mixture(plan) if plan is not None else set()
        if plan is None or newest is None or newest is formulary or not held <= newest.ingredients.keys():
            return [unheard_reason(unheard, formulary, saying=saying, stops=plan is not None)]
        fitted = fit_to_version(whole, newest)
        try:
            case = parse_case(fitted.case, newest)
        except CaseError:
            return [unheard_reason(unheard, formulary, saying=saying)]
        if fitted.unheard:
            return [unheard_reason(unheard, formulary, saying=saying)]
        about = {row.key for row in unheard}
        chosen = newest.mask(held)
        said = Saying(intake=saying.intake, check=saying.check, words=words_of(newest))
        found = [
            of_finding(finding, newest, chosen, said, has_plan=True)
            for finding in screen(case, newest).findings
            if about & {reason.fact for reason in finding.because}
        ]
        return [reason for reason in found if reason is not None]

    def _not_asked(
        self, person: Patient, plan: Plan | None, intake: Intake, whole: Mapping[str, Any], formulary: Formulary
    ) -> list[Reason]:
        """What came after the newest answers and could still stop or change this, by the newest version that can judge.

        No stop, since only the person can answer it and a visit is where they are asked; but nothing is injected
        before, see ``check_may_treat``.
        """
        newest, held = self.formularies.get(self.in_force or 0), _mixture(plan) if plan is not None else set()
        judging = newest if newest is not None and held <= newest.ingredients.keys() else formulary
        waived = plan.case.get("waived", {}) if plan is not None else {}
        since = [fact for fact in judging.facts if fact not in formulary.facts and fact not in waived]
        if not since and not values_not_asked(intake, judging):
            return []
        try:
            case = parse_case(fit_to_version(whole, judging).case, judging)
        except CaseError:
            return []  # said as unreadable or unheard already
        chosen = judging.mask(key for key in held if key in judging.ingredients)
        found = unasked_for(intake, case, judging, chosen=chosen, facts=since)
        if found is None:
            return []
        url = found.url(person) if plan is not None else url_for_a_plan(person)
        return [not_asked_reason(found, judging, url=url)]

    def _case(self, person: Patient, plan: Plan | None, intake: Intake, day: date) -> dict[str, Any]:
        """The newest answers, and those given in the plan by hand or before that the newest do not contradict."""
        intake.patient = person
        settled = self.settled.get(person.pk, ())
        case = case_from(intake, on=day, settled=settled)
        if plan is None:
            return case
        asked = {fact.key for fact in asked_facts(person, self.vocabulary)}
        before = plan.intake.facts
        for fact, value in plan.case.get("facts", {}).items():
            if fact in case["facts"] or fact not in asked:
                continue
            now = intake.facts.get(fact)
            known = self.vocabulary.facts[fact]
            afresh = known.about == "day" and known.before_session != "dropped"
            if (now is None and not afresh) or now == before.get(fact):
                case["facts"][fact] = value
        case["facts"] = settled_over(intake, case["facts"], settled=settled)
        return case

    def _not_known(
        self, plan: Plan, intake: Intake, case: Case, formulary: Formulary, chosen: int, saying: Saying
    ) -> list[Reason]:
        """What the newest answers leave open although a rule of this plan hangs on it, and nobody has settled."""
        before, waived = plan.intake.facts, plan.case.get("waived", {})
        hanging = {question.fact: question.needed_by for question in open_questions(case, formulary, chosen)}
        missing = [fact for fact in required_facts(case.facts, formulary) if fact not in case.facts]
        found = []
        for fact in dict.fromkeys([*missing, *hanging]):
            now = intake.facts.get(fact)
            if now != UNKNOWN and fact not in missing:
                continue  # not asked again, and not needed for a plan
            if fact in waived and now == before.get(fact):
                continue  # a practitioner has settled it in the plan, and nothing else was said since
            reason = unknown_reason(fact, hanging.get(fact, ()), asked=now == UNKNOWN, saying=saying)
            if can_be_asked(self.vocabulary.facts[fact]):
                reason = replace(reason, url=url_to_ask(intake.patient, [fact]))
            found.append(reason)
        return found

    def _unconfirmed(self, plan: Plan, intake: Intake) -> list[Reason]:
        review = getattr(intake, "review", None)
        readers = {intake.submitted_by_id, review.reviewed_by_id if review is not None else None}
        if intake.pk == plan.intake_id or readers & self.treating:
            return []
        names = [
            short_label(question_of(fact))
            for fact in self.vocabulary.facts.values()
            if fact.answered_by == "practitioner"
            and is_answered(intake.facts.get(fact.key))
            and intake.facts[fact.key] != plan.intake.facts.get(fact.key)
        ]
        return [unconfirmed_reason(intake, names)] if names else []


def _newest_intakes(people: Iterable[Patient], records: Mapping[int, list[int]]) -> dict[int, Intake]:
    """By person the newest submitted answers over all their records; two queries."""
    every = [pk for person in people for pk in records[person.pk]]
    last = Intake.objects.filter(patient=OuterRef("pk"), status=IntakeStatus.SUBMITTED).order_by("-submitted_at", "-pk")
    keys = Patient.objects.filter(pk__in=every).annotate(last=Subquery(last.values("pk")[:1])).values_list("last")
    rows = Intake.objects.filter(pk__in=[key for (key,) in keys if key]).select_related(
        "submitted_by", "review__reviewed_by"
    )
    by_record = {row.patient_id: row for row in rows}
    found = {}
    for person in people:
        own = [by_record[pk] for pk in records[person.pk] if pk in by_record]
        if own:
            found[person.pk] = max(own, key=lambda row: (row.submitted_at, row.pk))
    return found


def _treating(intakes: Iterable[Intake]) -> set[int]:
    """Of those who submitted or reviewed the answers, who may treat; one query."""
    people = {intake.submitted_by_id for intake in intakes}
    people |= {intake.review.reviewed_by_id for intake in intakes if hasattr(intake, "review")}
    roles = [role for role, held in PERMISSIONS.items() if Permission.SESSION_WRITE in held]
    grants = RoleGrant.objects.filter(user__in=people - {None}, role__in=roles, user__is_active=True)
    return set(grants.values_list("user", flat=True))


def _unasked(holding: Sequence[int], newest: Mapping[int, Intake]) -> set[int]:
    """People of whom another record with answers of its own was merged in, and who were not asked since."""
    if not holding:
        return set()
    brought: dict[int, datetime] = {}
    merges = PatientMerge.objects.filter(
        kept__in=holding, undone_at__isnull=True, merged__intakes__status=IntakeStatus.SUBMITTED
    )
    for kept, at in merges.values_list("kept", "merged_at").distinct():
        brought[kept] = max(at, brought.get(kept, at))
    begun = Intake.objects.filter(patient__in=brought, status=IntakeStatus.SUBMITTED).values_list(
        "patient", "started_at"
    )
    asked = {kept for kept, at in begun if at > brought[kept]}
    return set(brought) - asked


def _reported(records: Mapping[int, list[int]]) -> dict[int, list[Reason]]:
    """What other parts know against a treatment, by person: each is asked once for all."""
    person_of = {pk: person for person, every in records.items() for pk in every}
    found: dict[int, list[Reason]] = {}
    for name in settings.STANDING_REASONS:
        for pk, reasons in import_string(name)(list(person_of)).items():
            found.setdefault(person_of[pk], []).extend(reasons)
    return found


def _mixture(plan: Plan) -> set[str]:
    """Every ingredient that a session of the plan holds, diluents included."""
    result = plan.result
    mixtures = [result["syringes"], *(row["syringes"] for row in result.get("sessions") or [])]
    return {line["ingredient"] for syringes in mixtures for syringe in syringes or [] for line in syringe["lines"]}


# ------------------------------------------------------------------ from a finding to a reason


def _signed_cautions(plan: Plan, words: Words) -> set[str]:
    """What was acknowledged with the signature, in the spelling of ``finding_key``."""
    return {
        finding_key(row["rule"], [(said["fact"], said["answer"]) for said in row.get("because", ())], words)
        for row in plan.result.get("cautions", ())
    }


_WEIGHT = (RED_FLAG, RULE, INGREDIENT, MERGE, STATEMENT, NOT_KNOWN, UNCONFIRMED, UNHEARD, UNREADABLE)


def _by_weight(reason: Reason) -> int:
    return _WEIGHT.index(reason.kind) if reason.kind in _WEIGHT else len(_WEIGHT)
