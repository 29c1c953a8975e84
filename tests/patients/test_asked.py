"""An intake answers what it was asked: what came to a list later is no “no”, and is asked before it counts."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput
from patients.actions.day_check import confirm_unchanged, record_changes
from patients.actions.intake import save_intake, start_intake, submit_intake
from patients.intake import answers as intakes
from patients.intake import day_checks, review
from patients.intake.day_checks import Answers
from patients.models import Intake, Patient, Statement
from patients.vocabulary import (
    DataFileError,
    Release,
    asked_now,
    build_releases,
    facts_since,
    load_releases,
    load_vocabulary,
    values_since,
)
from tests import factories
from tests.factories_protocols import submitted_intake
from tests.patients.earlier import asked_before

NEW_CONDITIONS = (
    "behcet_disease",
    "high_blood_calcium",
    "lichen_planus",
    "pyoderma_gangrenosum",
    "sarcoidosis",
    "vitiligo",
)
NONE_NEW: dict[str, tuple[str, ...] | None] = {"conditions": (), "medications": ()}


@pytest.fixture
def patient(ada: User) -> Patient:
    return factories.patient(by=ada)


@pytest.fixture
def old(patient: Patient, ada: User) -> Intake:
    """Of before the second release: every list answered with “none of these”."""
    return asked_before(submitted_intake(patient=patient, by=ada))


def nothing(**said: Any) -> Answers:
    """“Anything changed?”, with “nothing new” to everything."""
    given: dict[str, Any] = {"new_medicines": "", "new_illness": "", "new_allergy": ""} | said
    return Answers(facts={"fever_or_acute_illness": False} | given.pop("facts", {}), **given)


# ------------------------------------------------------------------ the releases


def test_releases_name_what_came_after_an_intake() -> None:
    assert [release.key for release in load_releases()] == ["2026.1", "2026.2"]
    assert asked_now() == "2026.2"
    assert values_since("")["conditions"] == values_since("2026.1")["conditions"] == NEW_CONDITIONS
    assert "rapid_weight_loss" in facts_since("") == facts_since("2026.1")
    assert (values_since("2026.2"), facts_since("2026.2")) == ({}, ())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"release": "x", "colour": "red"}, "unknown fields"),
        ({"release": ""}, "a name of its own"),
        ({"release": "2026.1"}, "a name of its own"),
        ({"release": "x", "facts": ["shoe"]}, "unknown shoe"),
        ({"release": "x", "values": {"conditions": ["shoe"]}}, "unknown conditions shoe"),
        ({"release": "x", "values": {"norwood_stage": ["IV"]}}, "norwood_stage is no list"),
        ({"release": "x", "values": {"conditions": ["asthma", "asthma"]}}, "conditions asthma is new twice"),
    ],
)
def test_releases_that_name_what_is_not_there_are_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        build_releases({"releases": [{"release": "2026.1"}, entry]}, load_vocabulary())


def test_first_release_names_nothing() -> None:
    with pytest.raises(DataFileError, match="stands for everything before"):
        build_releases({"releases": [{"release": "x", "facts": ["smoker"]}]}, load_vocabulary())


# ------------------------------------------------------------------ what was not asked


def test_intake_of_today_was_asked_everything(patient: Patient, ada: User) -> None:
    intake = submitted_intake(patient=patient, by=ada)

    assert (intake.asked, intakes.not_asked(intake)) == ("2026.2", {})


def test_list_of_before_says_nothing_about_what_came_to_it(old: Intake) -> None:
    assert intakes.not_asked(old)["conditions"] == NEW_CONDITIONS
    assert set(intakes.not_asked(old)) == {"conditions", "medications"}


def test_list_that_nobody_answered_is_open_as_a_whole(patient: Patient, ada: User) -> None:
    old = asked_before(submitted_intake(patient=patient, by=ada, facts={"conditions": None}))

    assert "conditions" not in intakes.not_asked(old)


def test_page_of_an_intake_says_what_was_never_asked(sign_in: Any, old: Intake, ada: User) -> None:
    page = sign_in(ada).get(reverse("patients:intake_detail", args=[old.public_id])).content.decode()

    assert "Never asked, since it came after this intake:" in page
    assert "Sarcoidosis" in page
    assert f'href="{reverse("patients:day_check", args=[old.patient.public_id])}"' in page


# ------------------------------------------------------------------ a new intake


def test_new_intake_keeps_what_was_ticked_and_asks_what_is_new(patient: Patient, ada: User) -> None:
    asked_before(submitted_intake(patient=patient, by=ada, facts={"conditions": ["asthma"]}))
    draft = start_intake(patient=patient, by=ada)

    assert (draft.asked, draft.facts["conditions"]) == ("", ["asthma"])
    with pytest.raises(InvalidInput, match=r"New on this list since the last intake.*Sarcoidosis"):
        submit_intake(intake=draft, by=ada)


def test_new_intake_that_answered_what_is_new_is_one_of_today(patient: Patient, ada: User, old: Intake) -> None:
    draft = start_intake(patient=patient, by=ada)
    save_intake(
        intake=draft,
        revision=draft.revision,
        facts={**draft.facts, "conditions": ["sarcoidosis"]},
        concerns=draft.concerns,
        zones=draft.zones,
        note="",
        groups={
            "conditions": dict.fromkeys(
                ("blood", "heart", "cancer", "immune", "metabolism", "nerves", "skin", "new"), "none"
            ),
            "medications": {"new": "unknown", "strange": "none"},
        },
        by=ada,
    )
    assert "new" not in draft.groups["conditions"]  # it holds a tick

    new = submit_intake(intake=draft, by=ada)

    assert (new.asked, intakes.not_asked(new)) == (asked_now(), {})
    assert new.groups["medications"] == {"new": "unknown"}
    said = Statement.objects.get(patient=patient)
    assert (said.about, said.kind, said.is_unknown) == ("medications:new", "medicine", True)


def test_form_shows_what_is_new_as_a_part_that_nobody_answered(sign_in: Any, patient: Patient, ada: User, old) -> None:
    draft = start_intake(patient=patient, by=ada)
    client = sign_in(ada)
    url = reverse("patients:intake_edit", args=[draft.public_id])

    response = client.get(url)

    by_key = {q.key: q for section in response.context["sections"] for q in section.questions}
    asked = by_key["conditions"]
    assert [part.key for part in asked.parts][:2] == ["new", "blood"]
    assert [option.value for option in asked.parts[0].values] == list(NEW_CONDITIONS)
    assert (asked.parts[0].is_answered, asked.parts[1].is_answered, asked.is_answered) == (False, True, False)

    left = {"revision": draft.revision, "parts": "1", "part-conditions-blood": "none", "do": "save"}
    client.post(url, left)
    draft.refresh_from_db()
    assert "conditions" not in draft.facts  # a part is open, so the list is
    everything = {"revision": draft.revision, "parts": "1", "fact-conditions": "(none)", "do": "save"}
    client.post(url, everything)
    draft.refresh_from_db()
    assert draft.facts["conditions"] == []
    assert "conditions" not in intakes.not_asked(draft)


def test_review_of_a_draft_links_to_the_list_that_grew(sign_in: Any, patient: Patient, ada: User, old: Intake) -> None:
    draft = start_intake(patient=patient, by=ada)

    page = sign_in(ada).get(reverse("patients:intake_review", args=[draft.public_id])).content.decode()

    assert "?step=health#q-fact-conditions" in page
    assert "?step=medicines#q-fact-medications" in page


def test_short_list_that_grew_is_asked_in_two_parts(
    sign_in: Any, monkeypatch: pytest.MonkeyPatch, patient: Patient, ada: User
) -> None:
    submitted_intake(patient=patient, by=ada, facts={"allergies": ["soy"]})
    later = Release(key="2027.1", facts=(), values={"allergies": ("fish", "latex")})
    monkeypatch.setattr("patients.vocabulary.releases.load_releases", lambda: (*load_releases(), later))
    draft = start_intake(patient=patient, by=ada)
    client = sign_in(ada)
    url = reverse("patients:intake_edit", args=[draft.public_id])

    page = client.get(url)

    by_key = {q.key: q for section in page.context["sections"] for q in section.questions}
    parts = by_key["allergies"].parts
    assert [(part.key, part.label, part.is_answered) for part in parts] == [
        ("new", "New on this list", False),
        ("rest", "Asked before", True),
    ]
    assert [option.value for option in parts[0].values] == ["fish", "latex"]
    typed = {"revision": draft.revision, "parts": "1", "fact-allergies": ["soy"], "part-allergies-new": "none"}
    client.post(url, typed | {"do": "save"})
    draft.refresh_from_db()
    assert (draft.facts["allergies"], draft.groups["allergies"]) == (["soy"], {"new": "none"})
    assert "allergies" not in intakes.not_asked(draft)


# ------------------------------------------------------------------ “anything changed?”


def test_day_check_asks_what_is_new(patient: Patient, ada: User, old: Intake) -> None:
    with pytest.raises(InvalidInput, match="Ask this too") as refused:
        confirm_unchanged(patient=patient, answers=nothing(), by=ada)
    assert refused.value.field == "conditions"

    with pytest.raises(InvalidInput, match="An answer differs"):  # an older intake does not hold the answer
        confirm_unchanged(patient=patient, answers=nothing(asked_new=NONE_NEW), by=ada)


def test_no_to_what_is_new_is_no_change_and_makes_an_intake_of_today(patient: Patient, ada: User, old: Intake) -> None:
    answers = nothing(asked_new=NONE_NEW, facts={"rapid_weight_loss": False, "scalp_implant_zones": []})

    check = record_changes(patient=patient, answers=answers, by=ada)

    assert (check.changed, check.intake.number, check.intake.asked) == (False, 2, asked_now())
    assert check.intake.facts["conditions"] == []
    assert check.intake.facts["scalp_implant_zones"] == []
    assert check.answers["asked_new"] == {"conditions": [], "medications": []}
    changes = review.changes_since(old, check.intake)
    assert [change.after for change in changes if change.before.startswith("Not asked: ")] == ["None of these"] * 2


def test_tick_and_does_not_know_of_what_is_new_are_kept(patient: Patient, ada: User, old: Intake) -> None:
    new = NONE_NEW | {"conditions": ("sarcoidosis",), "medications": None}

    check = record_changes(patient=patient, answers=nothing(asked_new=new), by=ada)

    assert check.changed is True
    assert (check.intake.facts["conditions"], check.intake.facts["medications"]) == (["sarcoidosis"], [])
    assert [row.about for row in Statement.objects.filter(patient=patient)] == ["medications:new"]
    changes = {change.before[:9]: change.after for change in review.changes_since(old, check.intake)}
    assert changes["Not asked"] in ("None of these", "Does not know", "Sarcoidosis")
    assert day_checks.tells(old, nothing(asked_new=new)) == ["conditions", "medications"]


def test_day_check_page_asks_what_is_new_once(sign_in: Any, patient: Patient, ada: User, old: Intake) -> None:
    client, url = sign_in(ada), reverse("patients:day_check", args=[patient.public_id])
    page = client.get(url).content.decode()
    assert "Asked for the first time" in page
    assert 'name="new-conditions"' in page
    assert 'name="fact-scalp_implant_zones"' in page
    asked = {
        "fact-fever_or_acute_illness": "no", "any_medicines": "no", "any_illness": "no", "any_allergy": "no",
        "fact-scalp_tenderness_new": "no", "fact-hcg_monitoring": "no", "fact-rapid_weight_loss": "(unknown)",
        "fact-scalp_implant_zones": ["vertex"], "new-conditions": ["(none)"],
    }  # fmt: skip

    lacking = client.post(url, asked | {"new-conditions": ["(none)", "vitiligo"]})
    assert lacking.status_code == 422
    assert "Both the list and “none”" in lacking.content.decode()
    assert "Ask this too" in lacking.content.decode()  # medicines

    client.post(url, asked | {"new-medications": ["(unknown)"]})

    new = patient.intakes.first()
    assert new.facts["scalp_implant_zones"] == ["vertex"]
    assert new.facts["rapid_weight_loss"] == {"unknown": True}
    assert new.groups == {"conditions": {"new": "none"}, "medications": {"new": "unknown"}}
    again = client.get(url).content.decode()
    assert "Asked for the first time" not in again
    assert "Ask this as well" in client.get(url, {"ask": "rapid_weight_loss"}).content.decode()
