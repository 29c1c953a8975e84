"""The ways in which something is said, or corrected, that must stop a treatment by a plan signed before it.

Each takes the plan and a practitioner, and leaves a stop behind. The plan is one of ``tests.factories_protocols``: of
a man whose mixture holds what comes from fish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from uuid import uuid4

from django.utils import timezone

from mesoclinic.accounts.models import User
from patients.actions.day_check import record_changes
from patients.actions.intake import save_intake, start_intake, submit_intake
from patients.actions.record import merge_patients, register_patient, update_patient
from patients.intake.day_checks import Answers
from patients.models import Intake, Patient, StatementSource
from patients.statements.statements import Words, record_statements
from protocols.models import Plan
from tests.factories_protocols import CONCERNS, FACTS, ZONES


def intake(patient: Patient, *, by: User, **facts: Any) -> Intake:
    """A newer submitted intake; a fact given as None stays unanswered."""
    new = start_intake(patient=patient, by=by)
    given = {key: value for key, value in {**FACTS, **facts}.items() if value is not None}
    save_intake(intake=new, revision=new.revision, facts=given, concerns=CONCERNS, zones=ZONES, note="", by=by)
    new.refresh_from_db()
    return submit_intake(intake=new, by=by)


def day_check(patient: Patient, *, by: User, facts: Mapping[str, Any] | None = None, **said: Any) -> None:
    """“Anything changed?”, answered with “nothing new” but for what is given."""
    answers: dict[str, Any] = {"new_medicines": "", "new_illness": "", "new_allergy": ""} | said
    record_changes(
        patient=patient, answers=Answers(facts={"fever_or_acute_illness": False} | dict(facts or {}), **answers), by=by
    )


def words(patient: Patient, text: str, *, kind: str, source: str, by: User | None) -> None:
    record_statements(
        patient=patient,
        said=[Words(kind=kind, text=text)],
        source=source,
        source_id=uuid4(),
        at=timezone.now(),
        by=by,
    )


def ticked(plan: Plan, by: User) -> None:
    day_check(plan.patient, by=by, new_allergies=("fish",))


def brand(plan: Plan, by: User) -> None:
    day_check(plan.patient, by=by, new_medicines="Xarelto 20 mg")


def two_on_a_line(plan: Plan, by: User) -> None:
    day_check(plan.patient, by=by, new_medicines="paracetamol, warfarin")


def allergy_in_words(plan: Plan, by: User) -> None:
    words(plan.patient, "anaphylaxis to salmon", kind="allergy", source=StatementSource.DAY_CHECK, by=by)


def unknown(plan: Plan, by: User) -> None:
    intake(plan.patient, by=by, medications={"unknown": True})


def note(plan: Plan, by: User) -> None:
    words(plan.patient, "started apixaban, fever of 39", kind="note", source=StatementSource.NOTE, by=by)


def by_link(plan: Plan, by: User) -> None:
    words(plan.patient, "a new pill for the heart", kind="note", source=StatementSource.ANSWER, by=None)


def birth_date(plan: Plan, by: User) -> None:
    born = timezone.now().date().replace(year=timezone.now().year - 14, day=1)
    update_patient(patient=plan.patient, changes={"birth_date": born}, by=by)


def sex(plan: Plan, by: User) -> None:
    update_patient(patient=plan.patient, changes={"sex_at_birth": "female"}, by=by)


def merge(plan: Plan, by: User) -> None:
    other = register_patient(
        given_name="Teo",
        family_name="Brandt",
        birth_date=date(1987, 6, 8),
        sex_at_birth="male",
        email="",
        phone="",
        language="en",
        contact_allowed=False,
        site=plan.patient.site,
        by=by,
    )
    intake(other, by=by)
    merge_patients(merged=other, into=plan.patient, reason="The same person", by=by)


def newer_intake(plan: Plan, by: User) -> None:
    intake(plan.patient, by=by, conditions=["bleeding_disorder"])


def red_flag(plan: Plan, by: User) -> None:
    """A check-in by link that needs somebody the same day. Imported here: what protocols tests need not know."""
    from sessions.models.followups import Answer, AnswerKind, AnswerLink, Urgency

    now = timezone.now()
    link = AnswerLink.objects.create(
        purpose="check_in", subject_id=uuid4(), patient=plan.patient, expires_at=now.replace(year=now.year + 1)
    )
    Answer.objects.create(
        link=link,
        patient=plan.patient,
        kind=AnswerKind.REPORT,
        said={"noticed": ["fever"], "since": "later", "bad": "hard", "day": 2},
        fingerprint="f" * 64,
        urgency=Urgency.SAME_DAY,
        received_at=now,
    )


WAYS: dict[str, Callable[[Plan, User], None]] = {
    way.__name__: way
    for way in (
        ticked,
        brand,
        two_on_a_line,
        allergy_in_words,
        unknown,
        note,
        by_link,
        birth_date,
        sex,
        merge,
        newer_intake,
        red_flag,
    )
}
