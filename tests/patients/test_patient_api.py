from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.models import AuditEvent
from patients.actions.record import update_patient
from patients.models import Patient
from tests import factories

URL = "/api/v1/patients/"


def body(at: Site, **changes: Any) -> dict[str, Any]:
    return {
        "given_name": "Élodie",
        "family_name": "Saint-Martin",
        "birth_date": "1991-03-12",
        "sex_at_birth": "female",
        "email": "elodie@example.org",
        "phone": "+33 6 12 34 56 78",
        "language": "fr",
        "contact_allowed": True,
        "site": str(at.public_id),
    } | changes


def one(patient: Patient) -> str:
    return f"{URL}{patient.public_id}/"


def test_api_needs_a_sign_in(client: Client, teodor: Patient) -> None:
    assert client.get(URL).status_code == 403
    assert client.get(one(teodor)).status_code == 403
    assert client.post(URL, {}, content_type="application/json").status_code == 403


def test_api_create_registers_as_the_page_does(sign_in: Any, cleo: User, lyon: Site) -> None:
    response = sign_in(cleo).post(URL, body(lyon), content_type="application/json")

    patient = Patient.objects.get()
    assert response.status_code == 201
    assert response.json() == body(lyon) | {
        "id": str(patient.public_id),
        "number": "P-00001",
        "status": "active",
        "family_name_first": False,
        "created_at": response.json()["created_at"],
        "revision": 0,
        "standing": (standing := response.json()["standing"]),
    }
    assert (standing["state"], standing["day"]) == ("unknown", str(factories.today()))
    assert [reason["kind"] for reason in standing["reasons"]] == ["unanswered"]
    event = AuditEvent.objects.first()
    assert event is not None
    assert (event.action, event.patient_id, event.actor_id) == (
        "patient.registered",
        patient.public_id,
        cleo.public_id,
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"given_name": "", "family_name": ""}, "family_name"),
        ({"given_name": None}, "given_name"),
        ({"birth_date": "12/03/1991"}, "birth_date"),
        ({"birth_date": "2126-01-01"}, "birth_date"),
        ({"sex_at_birth": "x"}, "sex_at_birth"),
        ({"email": "no"}, "email"),
        ({"email": "", "contact_allowed": True}, "email"),
        ({"phone": "abc"}, "phone"),
        ({"language": "xx"}, "language"),
        ({"site": "nowhere"}, "site"),
        ({"family_name": "a\x00"}, "family_name"),
    ],
)
def test_api_create_names_the_field(sign_in: Any, cleo: User, lyon: Site, changes: dict[str, Any], field: str) -> None:
    response = sign_in(cleo).post(URL, body(lyon, **changes), content_type="application/json")

    assert (response.status_code, list(response.json())) == (400, [field])
    assert not Patient.objects.exists()


def test_api_create_at_another_site_finds_no_such_site(sign_in: Any, cleo: User, dan: User) -> None:
    response = sign_in(cleo).post(URL, body(dan.sites.get()), content_type="application/json")

    assert (response.status_code, list(response.json())) == (400, ["site"])


def test_api_lists_and_searches_own_sites(sign_in: Any, teodor: Patient, cleo: User, dan: User) -> None:
    noor = factories.patient(by=cleo, given_name="Noor", family_name="Castellanos", email="")
    factories.patient(by=dan)
    client = sign_in(cleo)

    everybody = client.get(URL).json()
    assert [row["number"] for row in everybody["results"]] == [teodor.display_number, noor.display_number]
    assert [row["given_name"] for row in client.get(URL, {"search": "castellanos"}).json()["results"]] == ["Noor"]
    assert client.get(URL, {"status": "deceased"}).json()["count"] == 0
    page = client.get(URL, {"limit": 1, "offset": 1}).json()
    assert (page["count"], [row["given_name"] for row in page["results"]]) == (2, ["Noor"])
    event = AuditEvent.objects.first()
    assert event is not None
    assert (event.action, event.details) == (
        "patients.listed",
        {"searched": False, "shown": [str(noor.public_id)]},
    )


def test_api_of_another_sites_patient_does_not_exist(sign_in: Any, teodor: Patient, dan: User) -> None:
    client = sign_in(dan)

    assert client.get(one(teodor)).status_code == 404
    assert client.patch(one(teodor), {"given_name": "Eve"}, content_type="application/json").status_code == 404
    assert client.get(f"{URL}not-an-id/").status_code == 404


def test_api_reads_one_and_leaves_an_event(sign_in: Any, teodor: Patient, ada: User) -> None:
    assert sign_in(ada).get(one(teodor)).json()["family_name"] == "Brandvold"

    event = AuditEvent.objects.first()
    assert event is not None
    assert (event.action, event.patient_id) == ("patient.viewed", teodor.public_id)


def test_api_changes_part_of_it(sign_in: Any, teodor: Patient, ada: User) -> None:
    client = sign_in(ada)

    def patch(**sent: Any) -> Any:
        return client.patch(one(teodor), {"revision": 1, **sent}, content_type="application/json")

    changed = patch(phone="0478000000", number=7, revision=0)
    assert (changed.status_code, changed.json()["phone"], changed.json()["number"]) == (200, "0478000000", "P-00001")
    refused = patch(status="merged")
    assert (refused.status_code, list(refused.json())) == (400, ["status"])
    refused = patch(birth_date="2126-01-01")
    assert (refused.status_code, list(refused.json())) == (400, ["birth_date"])
    teodor.refresh_from_db()
    assert (teodor.birth_date, teodor.status) == (date(1987, 6, 8), "active")


def test_api_change_needs_the_revision_that_was_read(sign_in: Any, teodor: Patient, ada: User) -> None:
    client, kind = sign_in(ada), "application/json"
    assert client.get(one(teodor)).json()["revision"] == 0
    update_patient(patient=teodor, changes={"status": "deceased", "phone": "0478000000"}, by=ada, confirmed=True)

    refused = client.patch(one(teodor), {"phone": "0499999999"}, content_type=kind)
    assert (refused.status_code, refused.json()) == (
        400,
        {"revision": ["Send the revision of the record that you read."]},
    )
    sent = {"phone": "0499999999", "status": "active", "given_name": "Teodor", "revision": 0}
    refused = client.patch(one(teodor), sent, content_type=kind)
    assert (refused.status_code, refused.json()) == (
        409,
        {
            "detail": ["Dr Ada Moreau changed these details after you opened them. Nothing was overwritten."],
            "conflicts": {
                "phone": {"theirs": "0478000000", "mine": "0499999999"},
                "status": {"theirs": "deceased", "mine": "active"},
            },
            "revision": 1,
        },
    )
    teodor.refresh_from_db()
    assert (teodor.status, teodor.phone) == ("deceased", "0478000000")
    assert client.patch(one(teodor), {"phone": "0499999999", "revision": 1}, content_type=kind).status_code == 200
    assert client.patch(one(teodor), {"phone": "0499999999", "revision": 0}, content_type=kind).status_code == 200


def test_api_deletes_nothing_and_replaces_nothing(sign_in: Any, teodor: Patient, dora: User, lyon: Site) -> None:
    client = sign_in(dora)

    # A method that no permission opens is refused before it is looked for.
    assert client.delete(one(teodor)).status_code in (403, 405)
    assert client.put(one(teodor), body(lyon), content_type="application/json").status_code in (403, 405)
    assert Patient.objects.get().given_name == "Teodor"


def test_api_list_costs_the_same_at_3_and_40_rows(sign_in: Any, cleo: User) -> None:
    client = sign_in(cleo)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(URL)
        return len(queries)

    for index in range(3):
        factories.patient(by=cleo, given_name=f"Person{index}")
    cost()
    few = cost()
    for index in range(37):
        factories.patient(by=cleo, given_name=f"More{index}")
    assert (cost(), Patient.objects.count()) == (few, 40)


def test_api_schema_is_written_without_a_warning(tmp_path: Any) -> None:
    call_command("spectacular", "--fail-on-warn", "--validate", file=str(tmp_path / "schema.yaml"))

    text = (tmp_path / "schema.yaml").read_text()
    assert "/api/v1/patients/{id}/:" in text
    assert "delete:" not in text.split("/api/v1/patients/{id}/:")[1].split("/api/v1/")[0]
