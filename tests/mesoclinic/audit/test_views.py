from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.audit.models import AuditEvent

SignIn = Callable[[User], Client]
URL = "/audit/"


def rows(page: str) -> list[str]:
    """The actions on the page, the newest first."""
    return [part.split('"')[0] for part in page.split('<td><a href="?action=')[1:]]


def shown(client: Client, **filters: str) -> list[str]:
    return rows(client.get(URL, filters).content.decode())


def test_list_shows_the_newest_first(ada: User, dora: User, sign_in: SignIn) -> None:
    trail.record("plan.signed", by=ada)
    trail.record("plan.viewed", by=ada)

    assert shown(sign_in(dora)) == ["person.logged_in", "plan.viewed", "plan.signed"]


def test_list_is_for_the_director_only(ada: User, ben: User, cleo: User, sign_in: SignIn) -> None:
    assert [sign_in(person).get(URL).status_code for person in (ada, ben, cleo)] == [403, 403, 403]


def test_list_filters_by_its_address(ada: User, ben: User, dora: User, sign_in: SignIn) -> None:
    patient, other = uuid.uuid4(), uuid.uuid4()
    trail.record("plan.signed", by=ada, patient=patient)
    trail.record("patient.viewed", by=ben, patient=patient)
    trail.record("patient.changed", by=ben, patient=other)
    client = sign_in(dora)

    assert shown(client, person=str(ben.public_id)) == ["patient.changed", "patient.viewed"]
    assert shown(client, action="plan.") == ["plan.signed"]
    assert shown(client, action="patient") == ["patient.changed", "patient.viewed"]
    assert shown(client, patient=str(other)) == ["patient.changed"]
    assert shown(client, patient=str(other)) == ["audit.viewed", "patient.changed"]
    assert shown(client, person=str(ben.public_id), patient=str(patient)) == ["patient.viewed"]


def test_list_filters_by_days_of_the_site(ada: User, dora: User, sign_in: SignIn) -> None:
    event = trail.record("plan.signed", by=ada)
    day = event.at.astimezone(dora.sites.get().tz).date()
    client = sign_in(dora)
    span = {"action": "plan."}

    assert shown(client, first_day=day.isoformat(), last_day=day.isoformat(), **span) == ["plan.signed"]
    assert shown(client, last_day=date.fromordinal(day.toordinal() - 1).isoformat(), **span) == []
    assert shown(client, first_day=date.fromordinal(day.toordinal() + 1).isoformat(), **span) == []


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"patient": "not-a-number"}, "This is not the number of a patient&#x27;s page."),
        ({"first_day": "2026-11-24", "last_day": "2026-11-23"}, "The last day is before the first."),
        ({"last_day": "9999-12-31"}, "Choose a day from 1900 to 2199."),
        ({"person": str(uuid.UUID(int=0))}, "not one of the available choices"),
        ({"action": "plan\x00"}, "Null characters are not allowed."),
    ],
)
def test_list_with_a_filter_that_cannot_be_says_so(
    dora: User, sign_in: SignIn, filters: dict[str, str], said: str
) -> None:
    response = sign_in(dora).get(URL, filters)

    assert response.status_code == 200
    assert said in response.content.decode()
    assert rows(response.content.decode()) == []


def test_looking_at_the_trail_is_written_down(dora: User, sign_in: SignIn) -> None:
    patient = uuid.uuid4()

    sign_in(dora).get(URL, {"patient": str(patient), "zzz": "1"})

    event = AuditEvent.objects.order_by("-id")[0]
    assert (event.action, event.actor_id, event.patient_id) == ("audit.viewed", dora.public_id, patient)
    assert event.details == {"patient": str(patient)}


def test_list_costs_the_same_with_3_and_300(ada: User, dora: User, sign_in: SignIn) -> None:
    client = sign_in(dora)
    costs = []
    for size in (3, 300):
        while AuditEvent.objects.count() < size:
            trail.record("plan.viewed", by=ada, target=ada, patient=uuid.uuid4())
        client.get(reverse("audit:list"))
        with CaptureQueriesContext(connection) as asked:
            client.get(reverse("audit:list"))
        costs.append(len(asked))

    assert costs[0] == costs[1]
