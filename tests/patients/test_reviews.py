from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from patients.actions.day_check import changed_since, confirm_unchanged, record_changes
from patients.actions.intake import review_intake, start_intake
from patients.intake.confirming import answers_to_confirm
from patients.intake.day_checks import Answers, intake_after
from patients.models import Intake, IntakeReview, IntakeStatus, Patient
from patients.queries import day_checks_on
from tests import factories

CALM = Answers(facts={"fever_or_acute_illness": False}, new_medicines="", new_illness="", new_allergy="")


def test_review_is_stored_once_with_who_and_when(teodor: Patient, ada: User, ben: User, dora: User, fill: Any) -> None:
    intake = fill(teodor, by=ada)
    first = review_intake(intake=intake, by=ben)
    assert review_intake(intake=intake, by=ada) == first
    assert (first.reviewed_by, IntakeReview.objects.count()) == (ben, 1)
    with pytest.raises(NotAllowed):
        review_intake(intake=intake, by=dora)
    with pytest.raises(InvalidTransition):
        review_intake(intake=start_intake(patient=teodor, by=ada), by=ada)
    with pytest.raises(IntegrityError, match="intake_review_append_only"), transaction.atomic():
        IntakeReview.objects.update(reviewed_by=ada)


def test_review_by_page_takes_one_press_and_shows_what_matters_first(
    sign_in: Any, teodor: Patient, ada: User, ben: User, dan: User, fill: Any
) -> None:
    intake = fill(teodor, by=ada, conditions=["asthma"], smoker={"unknown": True}, allergies=[])
    client = sign_in(ben)
    url = reverse("patients:intake_detail", args=[intake.public_id])
    page = client.get(url)
    assert [line.fact for line in page.context["review"].matters] == ["conditions"]
    assert [line.fact for line in page.context["review"].not_known] == ["smoker"]
    press = reverse("patients:intake_reviewed", args=[intake.public_id])
    assert client.post(press).url == url
    assert "Reviewed by Ben Okafor on" in client.get(url).content.decode()
    assert sign_in(dan).post(press).status_code == 404


def test_day_check_without_a_change_keeps_the_intake(teodor: Patient, ada: User, fill: Any) -> None:
    intake = fill(teodor, by=ada, smoker=True)
    assert changed_since(patient=teodor, answers=CALM, by=ada)[0].after == "No"  # fever was not asked before
    check = confirm_unchanged(patient=teodor, answers=CALM, by=ada)

    assert (check.changed, check.intake, check.asked_by) == (False, intake, ada)
    day, tz = factories.today(), teodor.site.tz
    assert day_checks_on(day, patients=[teodor.pk], tz=tz) == {teodor.pk: check}
    assert day_checks_on(day - timedelta(days=1), patients=[teodor.pk], tz=tz) == {}
    assert Intake.objects.filter(patient=teodor).count() == 1
    with pytest.raises(InvalidInput):
        record_changes(patient=teodor, answers=CALM, by=ada)


def test_day_check_with_a_change_makes_a_submitted_intake(teodor: Patient, ada: User, fill: Any) -> None:
    fill(teodor, by=ada, medications=["nitrate"], allergies=[], smoker=True, lab_inr="1.1")
    answers = Answers(
        facts={"fever_or_acute_illness": False},
        new_medicines="aspirin 100 mg",
        new_illness="",
        new_allergies=("fish",),
        new_allergy="Nickel",
    )
    with pytest.raises(InvalidInput):
        confirm_unchanged(patient=teodor, answers=answers, by=ada)
    check = record_changes(patient=teodor, answers=answers, by=ada)

    made = check.intake
    assert (check.changed, made.number, made.status) == (True, 2, IntakeStatus.SUBMITTED)
    assert made.facts["medications"] == ["antiplatelet_single", "nitrate"]
    assert (made.facts["allergies"], made.other_allergies) == (["fish"], "Nickel")
    assert (made.facts["smoker"], made.facts["lab_inr"]) == (True, "1.1")


def test_day_check_asks_everything(teodor: Patient, ada: User, fill: Any) -> None:
    fill(teodor, by=ada)
    for missing in ({"facts": {}}, {"new_medicines": None}, {"new_illness": None}, {"new_allergy": None}):
        given: dict[str, Any] = {
            "facts": {"fever_or_acute_illness": False}, "new_medicines": "", "new_illness": "", "new_allergy": ""
        }  # fmt: skip
        with pytest.raises(InvalidInput, match="unanswered question"):
            confirm_unchanged(patient=teodor, answers=Answers(**(given | missing)), by=ada)


def test_day_check_needs_an_intake_that_answered_the_list(teodor: Patient, ada: User, fill: Any) -> None:
    with pytest.raises(InvalidTransition, match="no submitted intake"):
        confirm_unchanged(patient=teodor, answers=CALM, by=ada)
    fill(teodor, by=ada)
    answers = Answers(facts={"fever_or_acute_illness": False}, new_medicines="aspirin", new_illness="", new_allergy="")
    with pytest.raises(InvalidTransition, match="left the list unanswered"):
        record_changes(patient=teodor, answers=answers, by=ada)


def test_days_since_something_go_by(teodor: Patient, ada: User, fill: Any) -> None:
    intake = fill(teodor, by=ada, days_since_prp_scalp=10, fever_or_acute_illness=True, scalp_findings=[])
    after = intake_after(intake, CALM, on=factories.today() + timedelta(days=5))
    assert after.facts == {"days_since_prp_scalp": 15, "fever_or_acute_illness": False}


def test_one_antiplatelet_more_is_two_together(teodor: Patient, ada: User, fill: Any) -> None:
    intake = fill(teodor, by=ada, medications=["antiplatelet_single"])
    answers = Answers(facts={}, new_medicines="clopidogrel", new_illness="", new_allergy="")
    assert intake_after(intake, answers, on=factories.today()).facts["medications"] == ["antiplatelet_dual"]


def test_day_check_page(sign_in: Any, teodor: Patient, cleo: User, ada: User, dora: User, fill: Any) -> None:
    client = sign_in(cleo)
    url = reverse("patients:day_check", args=[teodor.public_id])
    assert client.get(url).status_code == 302  # nothing to compare with yet
    fill(teodor, by=ada, conditions=[])
    no = {"fact-fever_or_acute_illness": "no", "any_medicines": "no", "any_illness": "no", "any_allergy": "no"}
    assert client.post(url, {}).status_code == 422
    assert client.post(url, no | {"any_illness": "yes"}).status_code == 422
    assert client.post(url, no | {"next": "https://elsewhere.example/"}).url == f"/patients/{teodor.public_id}/"
    assert client.post(url, no | {"next": "/"}).url == "/"
    changed = client.post(url, no | {"any_illness": "yes", "new_illness": "Flu", "new_conditions": ["asthma"]})
    made = Intake.objects.get(patient=teodor, number=2)
    assert changed.url == reverse("patients:intake_detail", args=[made.public_id])
    assert made.facts["conditions"] == ["asthma"]
    assert made.note.endswith(": Flu")
    assert sign_in(dora).get(url).status_code == 403


PRACTITIONERS = {"hair_loss_cause_known": True, "norwood_stage": "IV"}


def test_what_reception_wrote_down_for_the_practitioner_waits_for_one(
    sign_in: Any, teodor: Patient, cleo: User, ada: User, fill: Any
) -> None:
    intake = fill(teodor, by=cleo, smoker=True, **PRACTITIONERS)

    assert {fact.key for fact in answers_to_confirm(intake)} == set(PRACTITIONERS)
    detail = reverse("patients:intake_detail", args=[intake.public_id])
    assert "to be confirmed by a practitioner" in sign_in(ada).get(detail).content.decode()
    with pytest.raises(NotAllowed):
        review_intake(intake=intake, by=cleo)

    review_intake(intake=intake, by=ada)
    assert answers_to_confirm(intake) == []
    assert "to be confirmed by a practitioner" not in sign_in(ada).get(detail).content.decode()


def test_what_somebody_who_treats_gave_stays_confirmed_when_reception_asks_what_changed(
    teodor: Patient, ben: User, cleo: User, fill: Any
) -> None:
    assert answers_to_confirm(fill(teodor, by=ben, **PRACTITIONERS)) == []
    later = fill(teodor, by=cleo, **{**PRACTITIONERS, "norwood_stage": "V"})
    assert [fact.key for fact in answers_to_confirm(later)] == ["norwood_stage"]
    still = fill(teodor, by=cleo, **{**PRACTITIONERS, "norwood_stage": "V"})
    assert [fact.key for fact in answers_to_confirm(still)] == ["norwood_stage"]


def test_reception_is_told_which_questions_are_the_practitioners(
    sign_in: Any, teodor: Patient, cleo: User, ada: User
) -> None:
    page = reverse("patients:intake_edit", args=[start_intake(patient=teodor, by=cleo).public_id])
    assert "A practitioner judges these." in sign_in(cleo).get(page).content.decode()
    assert "A practitioner judges these." not in sign_in(ada).get(page).content.decode()
