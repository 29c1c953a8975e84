"""Answers that are a practitioner's to give and that somebody else wrote down: marked until one confirms them."""

from __future__ import annotations

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from patients.intake.answers import is_answered
from patients.models import Intake, IntakeReview
from patients.queries import intake_before
from patients.vocabulary import Fact, load_vocabulary


def treats(user: User | None) -> bool:
    return user is not None and user.may(Permission.SESSION_WRITE)


def answers_to_confirm(intake: Intake) -> list[Fact]:
    """The practitioner's questions that reception answered: empty once somebody who treats submitted or reviewed it.

    An answer that stands as it did in the intake before needs no more than it did there.
    """
    given = [
        fact
        for fact in load_vocabulary().facts.values()
        if fact.answered_by == "practitioner" and is_answered(intake.facts.get(fact.key))
    ]
    if not given or treats(intake.submitted_by):
        return []
    review = IntakeReview.objects.filter(intake=intake).select_related("reviewed_by").first()
    if review is not None and treats(review.reviewed_by):
        return []
    before = intake_before(intake)
    if before is None:
        return given
    still_open = {fact.key for fact in answers_to_confirm(before)}
    return [fact for fact in given if fact.key in still_open or intake.facts[fact.key] != before.facts.get(fact.key)]
