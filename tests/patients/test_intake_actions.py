from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from patients.actions.intake import save_intake, start_intake, submit_intake
from patients.actions.record import update_patient
from patients.actions.refusals import StaleRevision
from patients.guards import INTAKE_IMMUTABLE
from patients.intake.answers import NEVER, UNKNOWN, InvalidAnswers, case_of
from patients.intake.review import changes_since
from patients.models import Intake, IntakeStatus, Patient

AGA = [{"concern": "androgenetic_alopecia", "severity": "moderate"}]
CROWN = [{"zone": "vertex", "area_cm2": "80"}]


def save(intake: Intake, *, by: User, revision: int | None = None, **answers: Any) -> Intake:
    given: dict[str, Any] = {"facts": {}, "concerns": [], "zones": [], "note": ""} | answers
    return save_intake(intake=intake, revision=intake.revision if revision is None else revision, by=by, **given)


# ------------------------------------------------------------------ start


def test_start_intake_twice_gives_the_one_draft(teodor: Patient, ada: User, ben: User) -> None:
    first = start_intake(patient=teodor, by=ada)

    assert start_intake(patient=teodor, by=ben) == first
    assert (first.number, first.status, first.facts) == (1, IntakeStatus.DRAFT, {})
    assert list(AuditEvent.objects.values_list("action", flat=True)) == ["intake.started", "patient.registered"]


def test_one_draft_per_patient_is_kept_by_the_database(teodor: Patient, ada: User) -> None:
    start_intake(patient=teodor, by=ada)

    with pytest.raises(IntegrityError), transaction.atomic():
        Intake.objects.create(patient=teodor, number=2, started_by=ada)


def test_start_intake_takes_over_what_still_stands(teodor: Patient, ada: User, fill: Any) -> None:
    fill(
        teodor,
        by=ada,
        note="Shift worker",
        allergies=["fish"],
        medications=[],
        smoker=True,
        alcohol_free=UNKNOWN,
        norwood_stage="IV",
        fever_or_acute_illness=False,
        scalp_findings=[],
        lab_ferritin="24",
        days_since_prp_scalp=30,
        days_since_hair_transplant=NEVER,
    )

    second = start_intake(patient=teodor, by=ada)

    assert second.number == 2
    assert second.facts == {
        "days_since_hair_transplant": NEVER,
        "medications": [],
        "allergies": ["fish"],
        "norwood_stage": "IV",
        "alcohol_free": UNKNOWN,
        "smoker": True,
    }
    assert (second.concerns, second.zones, second.note) == (AGA, CROWN, "Shift worker")


@pytest.mark.parametrize("status", ["deceased", "merged"])
def test_start_intake_of_a_closed_record_is_refused(teodor: Patient, ada: User, status: str) -> None:
    Patient.objects.filter(pk=teodor.pk).update(status=status)
    teodor.refresh_from_db()

    with pytest.raises(InvalidTransition):
        start_intake(patient=teodor, by=ada)


def test_intake_is_not_for_another_site_nor_for_a_director(teodor: Patient, ada: User, dan: User, dora: User) -> None:
    draft = start_intake(patient=teodor, by=ada)

    for person in (dan, dora):
        with pytest.raises(NotAllowed):
            start_intake(patient=teodor, by=person)
        with pytest.raises(NotAllowed):
            save(draft, by=person)
        with pytest.raises(NotAllowed):
            submit_intake(intake=draft, by=person)
    draft.refresh_from_db()
    assert draft.revision == 0


# ------------------------------------------------------------------ save


def test_save_intake_stores_in_the_vocabularys_order_and_one_spelling(teodor: Patient, cleo: User) -> None:
    draft = start_intake(patient=teodor, by=cleo)

    save(
        draft,
        by=cleo,
        facts={
            "lab_inr": "2.50",
            "bp_systolic": "128",
            "conditions": ["asthma", "bleeding_disorder"],
            "smoker": None,
            "allergy_ingredients": ["pdrn"],
        },
        concerns=[*AGA, {"concern": "poor_scalp_circulation", "severity": "severe"}],
        zones=[{"zone": "vertex", "area_cm2": "80.0"}, {"zone": "frontal"}],
    )  # fmt: skip

    assert draft.facts == {
        "conditions": ["bleeding_disorder", "asthma"],
        "allergy_ingredients": ["pdrn"],
        "lab_inr": "2.5",
        "bp_systolic": 128,
    }
    assert [entry["concern"] for entry in draft.concerns] == ["poor_scalp_circulation", "androgenetic_alopecia"]
    assert draft.zones == [{"zone": "frontal", "area_cm2": "80"}, {"zone": "vertex", "area_cm2": "80"}]
    assert (draft.revision, draft.saved_by) == (1, cleo)


def test_save_intake_audits_the_questions_and_not_the_answers(teodor: Patient, ada: User) -> None:
    draft = start_intake(patient=teodor, by=ada)
    save(draft, by=ada, facts={"smoker": True, "allergies": []}, concerns=AGA)
    save(draft, by=ada, facts={"smoker": False, "allergies": []}, concerns=AGA, note="tired")

    saved = list(AuditEvent.objects.filter(action="intake.saved").order_by("id").values_list("details", flat=True))
    assert saved == [
        {"changed": ["allergies", "concerns", "smoker"], "revision": 1},
        {"changed": ["note", "smoker"], "revision": 2},
    ]


def test_save_intake_on_an_older_revision_is_refused_and_overwrites_nothing(
    teodor: Patient, ada: User, ben: User
) -> None:
    mine = start_intake(patient=teodor, by=ada)
    theirs = Intake.objects.get(pk=mine.pk)
    save(theirs, by=ben, facts={"smoker": True})

    with pytest.raises(StaleRevision, match=r"Ben Okafor saved this intake at \d\d:\d\d.* Nothing was overwritten"):
        save(mine, by=ada, facts={"smoker": False})

    mine.refresh_from_db()
    assert (mine.facts, mine.revision) == ({"smoker": True}, 1)
    assert AuditEvent.objects.filter(action="intake.saved").count() == 1


@pytest.mark.parametrize(
    ("fact", "value", "sentence"),
    [
        ("smoker", "yes", "Answer with yes or no."),
        ("smoker", 1, "Answer with yes or no."),
        ("smoker", NEVER, "Answer with yes or no."),
        ("anaphylaxis_history", "perhaps", "Choose one of the answers offered."),
        ("anaphylaxis_history", True, "Choose one of the answers offered."),
        ("allergies", "fish", "Choose from the list, or “None of these”."),
        ("allergies", ["fish", "cats"], "“cats” is not on the list."),
        ("allergies", [1], "Choose from the list, or “None of these”."),
        ("allergy_ingredients", ["unobtainium"], "“unobtainium” is not on the list."),
        ("bp_systolic", "39", "It must be between 40 and 320 mmHg."),
        ("bp_systolic", "321", "It must be between 40 and 320 mmHg."),
        ("bp_systolic", "120.5", "Write a whole number."),
        ("bp_systolic", "high", "Write a number."),
        ("bp_systolic", "NaN", "Write a number."),
        ("bp_systolic", True, "Write a number."),
        ("bp_systolic", 120.0, "Write a number."),
        ("bp_systolic", NEVER, "Write a number."),
        ("lab_inr", "Infinity", "Write a number."),
        ("lab_inr", "1.23456", "Write at most four decimal places."),
        ("no_such_fact", True, "“no_such_fact” is not a question of this intake."),
        ("ludwig_stage", "I", "This question does not apply to this patient."),
        ("age_years", 39, "This question does not apply to this patient."),
        ("sex_at_birth", "male", "This question does not apply to this patient."),
    ],
)
def test_save_intake_refuses_what_is_no_answer(
    teodor: Patient, ada: User, fact: str, value: Any, sentence: str
) -> None:
    draft = start_intake(patient=teodor, by=ada)

    with pytest.raises(InvalidAnswers) as refusal:
        save(draft, by=ada, facts={fact: value})

    assert refusal.value.errors == {fact: sentence}
    draft.refresh_from_db()
    assert (draft.facts, draft.revision) == ({}, 0)


@pytest.mark.parametrize("value", ["40", "320"])
def test_save_intake_takes_the_ends_of_a_range(teodor: Patient, ada: User, value: str) -> None:
    draft = start_intake(patient=teodor, by=ada)
    assert save(draft, by=ada, facts={"bp_systolic": value}).facts == {"bp_systolic": int(value)}


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"concerns": [{"concern": "baldness", "severity": "mild"}]}, "concern-baldness"),
        ({"concerns": [{"concern": "androgenetic_alopecia", "severity": "terrible"}]}, "concern-androgenetic_alopecia"),
        ({"concerns": AGA + AGA}, "concern-androgenetic_alopecia"),
        ({"zones": [{"zone": "beard", "area_cm2": "10"}]}, "zone-beard"),
        ({"zones": CROWN + CROWN}, "zone-vertex"),
        ({"zones": [{"zone": "vertex", "area_cm2": "39"}]}, "zone-vertex"),
        ({"zones": [{"zone": "vertex", "area_cm2": "121"}]}, "zone-vertex"),
        ({"zones": [{"zone": "vertex", "area_cm2": "big"}]}, "zone-vertex"),
        ({"note": "x" * 4001}, "note"),
        ({"note": "a\x00b"}, "note"),
    ],
)  # fmt: skip
def test_save_intake_names_the_part_that_is_wrong(
    teodor: Patient, ada: User, answers: dict[str, Any], field: str
) -> None:
    draft = start_intake(patient=teodor, by=ada)

    with pytest.raises(InvalidInput) as refusal:
        save(draft, by=ada, **answers)
    assert refusal.value.field == field


# ------------------------------------------------------------------ submit, and never again


def test_submit_intake_needs_a_concern_and_a_zone_and_nothing_else(teodor: Patient, ada: User) -> None:
    draft = start_intake(patient=teodor, by=ada)
    with pytest.raises(InvalidInput, match="at least one concern"):
        submit_intake(intake=draft, by=ada)
    save(draft, by=ada, concerns=AGA)
    with pytest.raises(InvalidInput, match="at least one zone"):
        submit_intake(intake=draft, by=ada)
    save(draft, by=ada, concerns=AGA, zones=CROWN)

    submit_intake(intake=draft, by=ada)

    assert (draft.status, draft.submitted_by, draft.facts) == (IntakeStatus.SUBMITTED, ada, {})
    assert draft.submitted_at is not None


@pytest.mark.parametrize(("area", "enough"), [("19.99", False), ("20", True)])
def test_submit_intake_checks_the_treated_area(teodor: Patient, ada: User, area: str, enough: bool) -> None:
    draft = start_intake(patient=teodor, by=ada)
    save(draft, by=ada, concerns=AGA, zones=[{"zone": "temporal_left", "area_cm2": area}])

    if enough:
        assert submit_intake(intake=draft, by=ada).status == IntakeStatus.SUBMITTED
    else:
        with pytest.raises(InvalidInput, match=r"The treated area is 19.99 cm². It must be between 20 and 900 cm²"):
            submit_intake(intake=draft, by=ada)


def test_submit_intake_twice_is_refused_not_repeated(teodor: Patient, ada: User, fill: Any) -> None:
    intake = fill(teodor, by=ada)

    with pytest.raises(InvalidTransition):
        submit_intake(intake=intake, by=ada)
    with pytest.raises(InvalidTransition):
        save(intake, by=ada, facts={"smoker": True})
    assert AuditEvent.objects.filter(action="intake.submitted").count() == 1


def test_submit_intake_that_somebody_saved_meanwhile_is_refused(
    teodor: Patient, ada: User, ben: User, fill: Any
) -> None:
    mine = fill(teodor, by=ada, submit=False)
    save(Intake.objects.get(pk=mine.pk), by=ben, facts={"smoker": True}, concerns=AGA, zones=CROWN)

    with pytest.raises(StaleRevision):
        submit_intake(intake=mine, by=ada)
    mine.refresh_from_db()
    assert mine.status == IntakeStatus.DRAFT


_NOTE = "UPDATE patients_intake SET note = 'changed' WHERE id = %s"
_FACTS = "UPDATE patients_intake SET facts = '{}' WHERE id = %s"
_REOPEN = "UPDATE patients_intake SET status = 'draft', submitted_at = NULL, submitted_by_id = NULL WHERE id = %s"
_DELETE = "DELETE FROM patients_intake WHERE id = %s"


@pytest.mark.parametrize("statement", [_NOTE, _FACTS, _REOPEN, _DELETE])
def test_submitted_intake_is_immutable_to_raw_sql(teodor: Patient, ada: User, fill: Any, statement: str) -> None:
    intake = fill(teodor, by=ada, smoker=True)

    with pytest.raises(IntegrityError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [intake.pk])
    assert INTAKE_IMMUTABLE.broken_by(refusal.value)
    intake.refresh_from_db()
    assert (intake.facts, intake.note, intake.status) == ({"smoker": True}, "", "submitted")


@pytest.mark.sqlite
def test_submitted_intake_cannot_be_replaced_either(teodor: Patient, ada: User, fill: Any) -> None:
    intake = fill(teodor, by=ada)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM patients_intake WHERE id = %s", [intake.pk])
        row = cursor.fetchone()

    with pytest.raises(IntegrityError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT OR REPLACE INTO patients_intake VALUES ({', '.join(['%s'] * len(row))})", row)
    assert INTAKE_IMMUTABLE.broken_by(refusal.value)


@pytest.mark.postgresql
def test_submitted_intakes_cannot_be_truncated(teodor: Patient, ada: User, fill: Any) -> None:
    fill(teodor, by=ada)
    with pytest.raises(IntegrityError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # deferred foreign keys would stop it for another reason
        cursor.execute("TRUNCATE patients_intake CASCADE")
    assert INTAKE_IMMUTABLE.broken_by(refusal.value)


def test_a_draft_stays_editable_by_the_guard(teodor: Patient, ada: User) -> None:
    draft = start_intake(patient=teodor, by=ada)
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [draft.pk])
    draft.refresh_from_db()
    assert draft.note == "changed"


# ------------------------------------------------------------------ the engine's case


def test_case_of_leaves_out_what_was_not_answered(teodor: Patient, ada: User, fill: Any) -> None:
    intake = fill(
        teodor,
        by=ada,
        allergies=[],
        conditions=["asthma"],
        smoker=False,
        alcohol_free=UNKNOWN,
        days_since_hair_transplant=NEVER,
        days_since_prp_scalp=30,
        lab_inr="2.5",
        norwood_stage="IV",
    )

    assert case_of(intake, on=date(2026, 6, 7)) == {
        "facts": {
            "age_years": 38,  # 39 the day after
            "sex_at_birth": "male",
            "conditions": ["asthma"],
            "allergies": [],
            "norwood_stage": "IV",
            "days_since_prp_scalp": 30,
            "lab_inr": "2.5",
            "smoker": False,
        },
        "concerns": AGA,
        "zones": CROWN,
    }
    assert case_of(intake, on=date(2026, 6, 8))["facts"]["age_years"] == 39


def test_case_of_drops_answers_that_the_record_no_longer_allows(teodor: Patient, ada: User, fill: Any) -> None:
    intake = fill(teodor, by=ada, norwood_stage="IV")
    update_patient(patient=teodor, changes={"sex_at_birth": "female"}, by=ada)
    intake.patient.refresh_from_db()

    assert case_of(intake, on=date(2026, 6, 8))["facts"] == {"age_years": 39, "sex_at_birth": "female"}


def test_changes_since_tells_the_difference_in_words(teodor: Patient, ada: User, fill: Any) -> None:
    first = fill(teodor, by=ada, allergies=[], smoker=True, lab_ferritin="24", medications=["nitrate"])
    second = fill(
        teodor,
        by=ada,
        allergies=["fish", "soy"],
        smoker=UNKNOWN,
        medications=["nitrate"],
        concerns=[{"concern": "androgenetic_alopecia", "severity": "severe"}],
        zones=[{"zone": "vertex", "area_cm2": "90"}],
        note="Longer hair",
    )

    told = [(change.question, change.before, change.after) for change in changes_since(first, second)]

    assert told == [
        ("Are you allergic to any of these?", "None of these", "Fish; Soy"),
        ("Ferritin", "24 µg/L", "Not answered"),
        ("Do you smoke or vape nicotine?", "Yes", "Does not know"),
        ("Pattern hair loss (hormonal, DHT-related)", "moderate", "severe"),
        ("Crown (vertex)", "80 cm²", "90 cm²"),
        ("Note", "Empty", "Longer hair"),
    ]
    assert changes_since(None, first) == []
