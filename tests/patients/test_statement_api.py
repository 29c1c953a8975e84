from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mesoclinic.accounts.models import User
from patients.actions.record import merge_patients
from patients.models import Patient, Statement
from patients.statements.statements import Words, open_statements, record_statements
from tests import factories

URL = "/api/v1/statements/"
NONE = {"outcome": "none_of_these", "reason": "harmless"}


def say(patient: Patient, text: str) -> Statement:
    said = [Words(kind="medicine", text=text)]
    return record_statements(
        patient=patient, said=said, source="answer", source_id=uuid4(), at=timezone.now(), by=None
    )[0]


def settle(client: Client, statement: Statement, body: dict[str, Any]) -> Any:
    return client.post(f"{URL}{statement.public_id}/settle/", body, content_type="application/json")


def texts(answer: Any) -> list[str]:
    return [row["text"] for row in answer.json()["results"]]


def test_list_holds_what_is_open_of_a_person_under_every_record(teodor: Patient, ada: User, sign_in: Any) -> None:
    twin = factories.patient(by=ada, given_name="Theodor", email="")
    other = factories.patient(by=ada, given_name="Ilse")
    for patient, text in ((teodor, "white ones"), (twin, "red ones"), (other, "green ones")):
        say(patient, text)
    merge_patients(merged=twin, into=teodor, reason="One person", by=ada)
    client = sign_in(ada)
    assert texts(client.get(URL)) == ["white ones", "red ones", "green ones"]
    for record in (teodor, twin):
        assert texts(client.get(URL, {"patient": str(record.public_id)})) == ["white ones", "red ones"]
    assert texts(client.get(URL, {"patient": "nobody"})) == []
    settle(client, Statement.objects.get(text="white ones"), NONE)
    assert texts(client.get(URL, {"patient": str(teodor.public_id), "state": "open"})) == ["red ones"]


def test_statement_says_who_said_it_and_what_it_was_settled_as(teodor: Patient, ada: User, sign_in: Any) -> None:
    statement, client = say(teodor, "white ones"), sign_in(ada)
    assert client.get(f"{URL}{statement.public_id}/").json() == {
        "id": str(statement.public_id),
        "patient": str(teodor.public_id),
        "record": str(teodor.public_id),
        "kind": "medicine",
        "text": "white ones",
        "about": "",
        "source": "answer",
        "source_id": str(statement.source_id),
        "said_at": client.get(f"{URL}{statement.public_id}/").json()["said_at"],
        "said_by": None,
        "state": "open",
        "settlements": [],
    }
    facts = [{"fact": "medications", "value": "doac"}]
    answer = settle(client, statement, {"outcome": "fact", "facts": facts})
    assert (answer.status_code, answer.json()["state"]) == (200, "settled")
    assert [(row["outcome"], row["facts"], row["settled_by"]) for row in answer.json()["settlements"]] == [
        ("fact", facts, "Dr Ada Moreau")
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "outcome"),
        ({"outcome": "talked_over"}, "outcome"),
        ({"outcome": "fact"}, "facts"),
        ({"outcome": "fact", "facts": [{"fact": "medications", "value": "snake oil"}]}, "facts"),
        ({"outcome": "fact", "facts": "doac"}, "facts"),
        ({"outcome": "none_of_these"}, "reason"),
        ({"outcome": "none_of_these", "reason": "other"}, "note"),
    ],
)
def test_settle_refuses_what_says_nothing_and_names_the_field(
    teodor: Patient, ada: User, sign_in: Any, body: dict[str, Any], field: str
) -> None:
    statement = say(teodor, "white ones")
    answer = settle(sign_in(ada), statement, body)
    assert (answer.status_code, list(answer.json())) == (400, [field])
    assert open_statements(teodor) == [statement]


@pytest.mark.parametrize(("who", "status"), [("ben", 403), ("cleo", 403), ("dora", 403), ("dan", 404)])
def test_only_somebody_who_signs_settles(
    teodor: Patient, sign_in: Any, who: str, status: int, request: pytest.FixtureRequest
) -> None:
    statement = say(teodor, "white ones")
    client = sign_in(request.getfixturevalue(who))
    assert settle(client, statement, NONE).status_code == status
    assert texts(client.get(URL)) == ([] if who == "dan" else ["white ones"])
    assert open_statements(teodor) == [statement]


def test_list_costs_the_same_for_1_and_for_9(
    teodor: Patient, ada: User, sign_in: Any, django_assert_num_queries: Any
) -> None:
    client = sign_in(ada)
    settle(client, say(teodor, "pill"), NONE)
    with CaptureQueriesContext(connection) as one:
        client.get(URL)
        count = len(one)
    for n in range(8):
        statement = say(teodor, f"pill {n}")
        if n % 2:
            settle(client, statement, NONE)
    with django_assert_num_queries(count):
        assert len(texts(client.get(URL))) == 9
