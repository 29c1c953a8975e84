from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import User
from patients.actions.record import merge_patients
from patients.models import Patient, Statement, StatementSource
from patients.statements.statements import Words, open_statements, record_statements, settle_statement
from protocols.models import FormularyVersion
from tests import factories
from tests.factories_protocols import draft_plan

pytestmark = pytest.mark.django_db


def say(patient: Patient, text: str, *, kind: str = "medicine", by: User | None = None) -> Statement:
    return record_statements(
        patient=patient,
        said=[Words(kind=kind, text=text)],
        source=StatementSource.DAY_CHECK,
        source_id=uuid4(),
        at=timezone.now(),
        by=by,
    )[0]


@pytest.fixture
def teodor(ada: User, formulary: FormularyVersion) -> Patient:
    """With an intake that forbids nothing, and a draft on it."""
    return draft_plan(by=ada).patient


def url_of(statement: Statement) -> str:
    return reverse("protocols:statement", args=[statement.public_id])


def offers(page: Any) -> dict[str, str]:
    """By meaning what it does: its severity."""
    return {row["meaning"].key: row["effect"].severity for row in page.context["offers"]}


def test_page_offers_what_the_words_may_mean_with_what_each_does(teodor: Patient, ada: User, sign_in: Any) -> None:
    statement = say(teodor, "stopped apixaban in May")
    page = sign_in(ada).get(url_of(statement))
    assert offers(page) == {"medications:doac": "absolute"}
    text = page.content.decode()
    assert "“stopped apixaban in May”" in text and "the patient, by link" in text
    assert "talked" in text and 'value="talked' not in text  # to have talked settles nothing


def test_a_note_offers_what_it_may_mean_whatever_it_is_about(teodor: Patient, ada: User, sign_in: Any) -> None:
    note = say(teodor, "had psoriasis as a child, began apixaban", kind="note")
    assert {"conditions:psoriasis_elsewhere", "medications:doac"} <= set(offers(sign_in(ada).get(url_of(note))))


def test_settling_by_a_tick_makes_a_fact_and_leads_to_the_next(teodor: Patient, ada: User, sign_in: Any) -> None:
    first, second = say(teodor, "no warfarin"), say(teodor, "a green syrup")
    answer = sign_in(ada).post(url_of(first), {"outcome": "fact", "meaning": "medications:vitamin_k_antagonist"})
    assert answer.url == url_of(second)
    assert Statement.objects.get(pk=first.pk).facts == [{"fact": "medications", "value": "vitamin_k_antagonist"}]

    answer = sign_in(ada).post(url_of(second), {"outcome": "none_of_these", "reason": "harmless"})
    assert answer.url == reverse("protocols:statements", args=[teodor.public_id])
    assert open_statements(teodor) == []


@pytest.mark.parametrize(
    ("typed", "facts"),
    [
        ("apixaban", [("medications", "doac")]),
        ("apixaban 5 mg; asthma", [("medications", "doac"), ("conditions", "asthma")]),
    ],
)
def test_another_meaning_is_typed_by_name_brand_or_label(
    teodor: Patient, ada: User, sign_in: Any, typed: str, facts: list[tuple[str, str]]
) -> None:
    statement = say(teodor, "something for the heart")
    sign_in(ada).post(url_of(statement), {"outcome": "fact", "other": typed})
    assert [(row["fact"], row["value"]) for row in Statement.objects.get(pk=statement.pk).facts] == facts


def test_what_was_typed_by_a_near_word_is_offered_and_never_taken(teodor: Patient, ada: User, sign_in: Any) -> None:
    statement = say(teodor, "something for the heart")
    page = sign_in(ada).post(url_of(statement), {"outcome": "fact", "other": "had psoriasis as a child"})
    assert page.status_code == 422
    assert "conditions:psoriasis_elsewhere" in offers(page)
    assert "may mean what is now offered above" in str(page.context["form"].errors["other"])
    assert open_statements(teodor) == [statement]


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({}, "outcome", "Choose what it means"),
        ({"outcome": "fact"}, "other", "Choose at least one thing"),
        ({"outcome": "fact", "other": "moon dust"}, "other", "“moon dust” is not known"),
        ({"outcome": "none_of_these"}, "reason", "Choose the reason"),
        ({"outcome": "none_of_these", "reason": "other"}, "note", "in a few words"),
        ({"outcome": "none_of_these", "reason": "harmless", "other": "apixaban"}, "other", "Keep one"),
    ],
)
def test_a_settlement_that_says_nothing_is_refused_and_nothing_typed_is_lost(
    teodor: Patient, ada: User, sign_in: Any, typed: dict[str, str], field: str, sentence: str
) -> None:
    statement = say(teodor, "something for the heart")
    page = sign_in(ada).post(url_of(statement), typed)
    assert page.status_code == 422
    assert sentence in str(page.context["form"].errors[field])
    assert sentence in page.content.decode()
    for name, value in typed.items():
        assert page.context["form"][name].value() == value
    assert open_statements(teodor) == [statement]


def test_what_it_does_is_shown_before_it_is_settled(teodor: Patient, ada: User, sign_in: Any) -> None:
    statement, _other = say(teodor, "something for the heart"), say(teodor, "a green syrup")
    asked = {"do": "preview", "outcome": "fact", "other": "apixaban"}
    page = sign_in(ada).post(url_of(statement), asked)
    said = [(row.kind, row.text) for row in page.context["consequences"]]
    assert said[0] == ("danger", "Anticoagulant: no plan. Never stop an anticoagulant for cosmetic treatment.")
    assert [kind for kind, _text in said[-2:]] == ["q", "warn"]
    assert said[-2][1].endswith("rests on other facts then: discard it and make a new plan.")
    assert said[-1][1] == "1 more thing that was said is still open after this."
    fragment = sign_in(ada).post(url_of(statement), asked, headers={"HX-Request": "true"}).content.decode()
    assert 'id="what-this-does"' in fragment and "<html" not in fragment
    assert open_statements(teodor)[0] == statement  # nothing was settled


@pytest.mark.parametrize("who", ["ben", "cleo", "dora"])
def test_others_read_that_it_is_open_and_who_settles_it(
    teodor: Patient, ada: User, sign_in: Any, who: str, request: pytest.FixtureRequest
) -> None:
    statement = say(teodor, "something for the heart")
    client = sign_in(request.getfixturevalue(who))
    for url in (url_of(statement), reverse("protocols:statements", args=[teodor.public_id])):
        page = client.get(url).content.decode()
        assert "“something for the heart”" in page
        assert "Only somebody who signs plans settles it: Dr Ada Moreau" in page
        assert "<form" not in page.split("<main")[1].split("</main")[0]
    record = client.get(reverse("sessions:patient", args=[teodor.public_id])).content.decode()
    assert "Not settled: “something for the heart”" in record
    assert "Read what was said" in record and ">Settle" not in record  # who may not settle has no button for it
    refused = client.post(url_of(statement), {"outcome": "none_of_these", "reason": "harmless"})
    assert (refused.status_code, open_statements(teodor)) == (403, [statement])


def test_nobody_of_another_site_sees_it(teodor: Patient, dan: User, sign_in: Any) -> None:
    statement = say(teodor, "something for the heart")
    client = sign_in(dan)
    assert client.get(url_of(statement)).status_code == 404
    assert client.get(reverse("protocols:statements", args=[teodor.public_id])).status_code == 404


def test_a_correction_says_why_and_both_stand_there(teodor: Patient, ada: User, sign_in: Any) -> None:
    statement = say(teodor, "stopped apixaban in May")
    settle_statement(statement=statement, outcome="none_of_these", reason="stopped", by=ada)
    client, again = sign_in(ada), {"outcome": "fact", "meaning": "medications:doac", "note": ""}
    page = client.post(url_of(statement), again)
    assert (page.status_code, list(page.context["form"].errors)) == (422, ["note"])
    client.post(url_of(statement), again | {"note": "Takes it again since Monday"})
    page = client.get(reverse("protocols:statements", args=[teodor.public_id])).content.decode()
    assert "Anticoagulant" in page or "anticoagulant" in page
    assert "Takes it again since Monday" in page and "<s>None of these: Stopped for good" in page


def test_the_list_costs_the_same_for_1_and_for_9(
    teodor: Patient, ada: User, sign_in: Any, django_assert_num_queries: Any
) -> None:
    client, url = sign_in(ada), reverse("protocols:statements", args=[teodor.public_id])
    settle_statement(statement=say(teodor, "pill"), outcome="none_of_these", reason="harmless", by=ada)
    say(teodor, "pill 0")
    client.get(url)
    with CaptureQueriesContext(connection) as one:
        client.get(url)
    for n in range(1, 9):
        statement = say(teodor, f"pill {n}")
        if n % 2:
            settle_statement(statement=statement, outcome="none_of_these", reason="harmless", by=ada)
    with django_assert_num_queries(len(one)):
        client.get(url)


def test_today_names_it_for_those_who_sign(teodor: Patient, ada: User, ben: User, sign_in: Any) -> None:
    statement = say(teodor, "something for the heart")
    page = sign_in(ada).get(reverse("sessions:today"), follow=True).content.decode()
    assert "Said in words, to be settled" in page and url_of(statement) in page
    page = sign_in(ben).get(reverse("sessions:today"), follow=True).content.decode()
    assert "Said in words, to be settled" not in page
    settle_statement(statement=statement, outcome="none_of_these", reason="harmless", by=ada)
    page = sign_in(ada).get(reverse("sessions:today"), follow=True).content.decode()
    assert "Said in words, to be settled" not in page


def test_words_of_a_merged_record_are_settled_from_the_one_that_remains(
    teodor: Patient, ada: User, sign_in: Any
) -> None:
    twin = factories.patient(by=ada, given_name="Theodor", email="")
    statement = say(twin, "stopped apixaban")
    merge_patients(merged=twin, into=teodor, reason="One person", by=ada)
    page = sign_in(ada).get(url_of(statement))
    assert page.context["patient"] == teodor
    assert "medications:doac" in offers(page)
    assert "Not settled: “stopped apixaban”" in page.content.decode()
