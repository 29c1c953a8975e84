from __future__ import annotations

import re
from datetime import date
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.models import AuditEvent
from patients.actions.record import update_patient
from patients.models import Intake, Patient
from tests import factories
from tests.shown import as_typed, seen_in

LIST = "/patients/"
NEW = "/patients/new/"
TYPED = {
    "given_name": "Élodie",
    "family_name": "Saint-Martin",
    "birth_date": "1991-03-12",
    "sex_at_birth": "female",
    "email": "elodie@example.org",
    "phone": "+33 6 12 34 56 78",
    "language": "fr",
    "contact_allowed": "on",
}


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


# ------------------------------------------------------------------ the list


def test_patient_list_shows_those_of_own_sites(sign_in: Any, teodor: Patient, dan: User) -> None:
    mine = text_of(sign_in(teodor.created_by).get(LIST))
    assert "Brandvold, Teodor" in mine
    assert "P-00001" in mine

    theirs = text_of(sign_in(dan).get(LIST))
    assert "Brandvold" not in theirs
    assert "No patients yet" in theirs


def test_patient_list_searches_by_the_address(sign_in: Any, teodor: Patient, cleo: User) -> None:
    factories.patient(by=cleo, given_name="Noor", family_name="Castellanos", birth_date=date(2004, 1, 11))
    client = sign_in(cleo)

    found = client.get(LIST, {"q": "castellanos noor"})
    assert [patient.family_name for patient in found.context["page"]] == ["Castellanos"]
    assert 'value="castellanos noor"' in text_of(found)
    nobody = text_of(client.get(LIST, {"q": "zzzz"}))
    assert "Nobody of your sites matches “zzzz”" in nobody
    assert f'href="{NEW}"' in nobody
    short = text_of(client.get(LIST, {"q": "c"}))
    assert "type at least 2 letters" in short
    assert "2 patients" in short


def test_patient_list_filters_by_status(sign_in: Any, teodor: Patient, cleo: User) -> None:
    gone = factories.patient(by=cleo, given_name="Noor")
    update_patient(patient=gone, changes={"status": "moved_away"}, by=cleo)
    client = sign_in(cleo)

    everybody = client.get(LIST)
    assert [(chip["value"], chip["count"]) for chip in everybody.context["chips"]] == [
        ("", 2),
        ("active", 1),
        ("moved_away", 1),
    ]
    assert list(client.get(LIST, {"status": "moved_away"}).context["page"]) == [gone]
    assert "Nobody has this status" in text_of(client.get(LIST, {"status": "deceased"}))
    assert len(client.get(LIST, {"status": "robots"}).context["page"]) == 2


def test_patient_list_by_htmx_is_the_rows_alone(sign_in: Any, teodor: Patient, cleo: User) -> None:
    fragment = text_of(sign_in(cleo).get(LIST, {"q": "brandvold"}, headers={"HX-Request": "true"}))

    assert fragment.startswith('<section class="card" id="patient-rows"')
    assert "<html" not in fragment


@pytest.mark.parametrize("query", ["\x00", "%", "'", "<script>", "😀" * 200, "9" * 99, "12/31/9999"])
def test_patient_list_takes_any_query_and_page(sign_in: Any, teodor: Patient, cleo: User, query: str) -> None:
    response = sign_in(cleo).get(f"{LIST}?q={quote(query)}&page=minus+one")

    assert response.status_code == 200
    assert "<script>" not in response.content.decode().split('id="patient-rows"')[1]


def test_patient_list_costs_the_same_at_3_and_300_rows(
    sign_in: Any, cleo: User, lyon: Site, django_assert_num_queries: Any
) -> None:
    client = sign_in(cleo)
    for index in range(3):
        factories.patient(by=cleo, given_name=f"Person{index}")
    client.get(LIST)
    with django_assert_num_queries(LIST_QUERIES):
        assert len(client.get(LIST).context["page"]) == 3
    Patient.objects.bulk_create(
        Patient(
            number=index,
            given_name=f"Person{index}",
            family_name="Brandvold",
            birth_date=date(1980, 1, 1),
            sex_at_birth="male",
            site=lyon,
            created_by=cleo,
            search_key=f"brandvold person{index} brandvold",
        )
        for index in range(100, 397)
    )
    with django_assert_num_queries(LIST_QUERIES):
        page = client.get(LIST, {"q": "brandvold"}).context["page"]
    assert (len(page), page.paginator.count) == (25, 300)


# Who asks and where, the counts, the rows, the audit event; on PostgreSQL also the lock of the audit chain.
LIST_QUERIES = 21 if connection.vendor == "sqlite" else 22


def test_patient_list_escapes_names(sign_in: Any, cleo: User, lyon: Site) -> None:
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
    patient = factories.patient(by=cleo, given_name=evil[:80], family_name="</title><b>x")
    client = sign_in(cleo)
    start = client.post(reverse("patients:intake_start", args=[patient.public_id]), follow=True)

    for response in (
        client.get(LIST, {"q": "script"}),
        client.get(reverse("patients:edit", args=[patient.public_id])),
        start,
        client.post(reverse("patients:duplicates"), {"email": patient.email}),
    ):
        page = response.content.decode()
        assert "alert(1)" in page
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "<b>x" not in page


# ------------------------------------------------------------------ register


def test_patient_new_registers_and_starts_the_intake(sign_in: Any, cleo: User) -> None:
    response = sign_in(cleo).post(NEW, TYPED | {"then": "intake"})

    patient, intake = Patient.objects.get(), Intake.objects.get()
    assert (patient.name, patient.birth_date, patient.contact_allowed) == (
        "Élodie Saint-Martin",
        date(1991, 3, 12),
        True,
    )
    assert intake.patient == patient
    assert response.url == f"/intakes/{intake.public_id}/edit/"


def test_patient_new_alone_goes_to_the_patient(sign_in: Any, cleo: User) -> None:
    response = sign_in(cleo).post(NEW, TYPED | {"then": "patient"})

    assert response.url == f"/patients/{Patient.objects.get().public_id}/"
    assert not Intake.objects.exists()


def test_patient_new_by_the_director_starts_no_intake(sign_in: Any, dora: User) -> None:
    client = sign_in(dora)
    assert "Save and start intake" not in text_of(client.get(NEW))

    client.post(NEW, TYPED | {"then": "intake"})
    assert Patient.objects.count() == 1
    assert not Intake.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"given_name": "", "family_name": " "}, "family_name", "Write the name. Somebody with one name only has it here, alone."),  # noqa: E501
        ({"family_name": "x" * 81}, "family_name", "Ensure this value has at most 80 characters (it has 81)."),
        ({"family_name": "a\x00b"}, "family_name", "Null characters are not allowed."),
        ({"birth_date": ""}, "birth_date", "This field is required."),
        ({"birth_date": "yesterday"}, "birth_date", "Enter a valid date."),
        ({"birth_date": "2126-01-01"}, "birth_date", "The birth date lies in the future."),
        ({"birth_date": "1880-01-01"}, "birth_date", "This birth date makes the patient older than 120. Check the year."),  # noqa: E501
        ({"sex_at_birth": "x"}, "sex_at_birth", "Select a valid choice. x is not one of the available choices."),
        ({"email": "elodie"}, "email", "Enter a valid email address."),
        ({"email": ""}, "email", "Appointment e-mails need an address. Write one, or untick the agreement."),
        ({"phone": "abc"}, "phone", "Write the phone number with its digits, at most 40 characters."),
        ({"language": "xx"}, "language", "Select a valid choice. xx is not one of the available choices."),
    ],
)  # fmt: skip
def test_patient_new_says_what_is_wrong_beside_the_field_and_keeps_the_rest(
    sign_in: Any, cleo: User, changes: dict[str, str], field: str, sentence: str
) -> None:
    response = sign_in(cleo).post(NEW, TYPED | changes)

    assert response.status_code == 422
    assert response.context["form"].errors == {field: [sentence]}
    assert not Patient.objects.exists()
    page = text_of(response)
    assert f'id="id_{field}_error"' in page
    kept = {"given_name": "Élodie", "email": "elodie@example.org", "phone": "+33 6 12 34 56 78"}
    for name, value in kept.items():
        if name not in changes:
            assert f'name="{name}" value="{value}"' in page


def test_patient_new_asks_once_about_a_possible_duplicate(sign_in: Any, teodor: Patient, cleo: User) -> None:
    typed = TYPED | {"given_name": "Theodor", "family_name": "Brandvold", "birth_date": "1987-06-08"}
    client = sign_in(cleo)

    asked = client.post(NEW, typed)
    assert asked.status_code == 422
    assert "same birth date, similar name" in text_of(asked)
    assert f'href="/patients/{teodor.public_id}/"' in text_of(asked)
    assert Patient.objects.count() == 1

    client.post(NEW, typed | {"different_person": "1"})
    assert Patient.objects.count() == 2


def test_patient_duplicates_live_panel_shows_own_sites_only(
    sign_in: Any, teodor: Patient, cleo: User, dan: User
) -> None:
    typed = {"email": "TEODOR@example.org", "birth_date": "not yet"}

    mine = text_of(sign_in(cleo).post("/patients/duplicates/", typed))
    assert mine.startswith('<aside class="card pt-dup" id="possible-duplicates"')
    assert "Teodor Brandvold" in mine
    assert "same e-mail" in mine
    event = AuditEvent.objects.first()
    assert event is not None
    assert (event.action, event.details) == ("patients.compared", {"shown": [str(teodor.public_id)]})
    assert "Teodor" not in text_of(sign_in(dan).post("/patients/duplicates/", typed))


def test_patient_new_offers_sites_only_to_those_with_several(sign_in: Any, cleo: User, lyon: Site) -> None:
    client = sign_in(cleo)
    assert 'name="site"' not in text_of(client.get(NEW))
    oslo = factories.site(name="Oslo", time_zone="Europe/Oslo")
    elsewhere = factories.site(name="Rome", time_zone="Europe/Rome")
    cleo.sites.add(oslo)

    assert 'name="site"' in text_of(client.get(NEW))
    refused = client.post(NEW, TYPED | {"site": str(elsewhere.public_id)})
    assert list(refused.context["form"].errors) == ["site"]
    client.post(NEW, TYPED | {"site": str(oslo.public_id)})
    assert Patient.objects.get().site == oslo


def test_new_patient_sent_twice_is_one_record(sign_in: Any, cleo: User) -> None:
    client, url = sign_in(cleo), reverse("patients:new")
    typed = as_typed(client.get(url)) | TYPED

    first, second = client.post(url, typed), client.post(url, typed)
    assert (first.status_code, second.status_code, first["Location"]) == (302, 302, second["Location"])
    assert Patient.objects.count() == 1
    other = client.post(url, as_typed(client.get(url)) | TYPED)  # from another page: asked whether it is the same
    assert (other.status_code, Patient.objects.count()) == (422, 1)


# ------------------------------------------------------------------ edit


def test_patient_edit_changes_and_audits(sign_in: Any, teodor: Patient, cleo: User) -> None:
    url = reverse("patients:edit", args=[teodor.public_id])
    client = sign_in(cleo)
    page = client.get(url)
    assert 'value="1987-06-08"' in text_of(page)

    typed = TYPED | {"status": "active", "site": str(teodor.site.public_id)} | seen_in(page)
    response = client.post(url, typed | {"sex_at_birth": "male", "birth_date": "1987-06-08"})

    assert response.url == f"/patients/{teodor.public_id}/"
    teodor.refresh_from_db()
    assert teodor.name == "Élodie Saint-Martin"
    assert [(e.action, e.details) for e in AuditEvent.objects.all()[:2]] == [
        (
            "patient.updated",
            {"changed": ["email", "family_name", "given_name", "language", "phone"]},
        ),
        ("patient.viewed", {}),
    ]


def test_patient_edit_keeps_what_only_one_of_two_changed(sign_in: Any, teodor: Patient, cleo: User) -> None:
    client, url = sign_in(cleo), reverse("patients:edit", args=[teodor.public_id])
    typed = as_typed(client.get(url))
    update_patient(patient=teodor, changes={"status": "deceased"}, by=cleo, confirmed=True)

    assert client.post(url, typed | {"phone": "0499999999"}).status_code == 302
    teodor.refresh_from_db()
    assert (teodor.phone, teodor.status) == ("0499999999", "deceased")  # the page still said “active”


def test_patient_edit_shows_theirs_beside_mine_until_it_is_decided(sign_in: Any, teodor: Patient, cleo: User) -> None:
    client, url = sign_in(cleo), reverse("patients:edit", args=[teodor.public_id])
    typed = as_typed(client.get(url)) | {"phone": "0499999999", "given_name": "Theodor"}
    update_patient(patient=teodor, changes={"phone": "0478000000", "status": "moved_away"}, by=cleo, confirmed=True)

    refused = client.post(url, typed)
    text = text_of(refused)
    assert refused.status_code == 409
    assert "Cleo Petit changed these details after you opened them. Nothing was overwritten." in text
    assert "<b>0478000000</b>" in text and "<b>0499999999</b>" in text and 'value="Theodor"' in text
    again = as_typed(refused)
    assert again["status"] == "moved_away"  # merged: only they changed it
    assert client.post(url, again).status_code == 409  # a second press decides nothing
    teodor.refresh_from_db()
    assert (teodor.phone, teodor.given_name) == ("0478000000", "Teodor")

    mine, theirs = re.findall(r'name="keep-phone" value="((?:mine|theirs)\.[^"]+)"', text)[::-1]
    update_patient(patient=teodor, changes={"phone": "0411111111"}, by=cleo)  # a third number, which nobody has seen
    newer = client.post(url, again | {"keep-phone": mine})
    assert newer.status_code == 409 and "<b>0411111111</b>" in text_of(newer)
    decided = as_typed(newer) | {"keep-phone": re.findall(r'value="(mine\.[^"]+)"', text_of(newer))[0]}
    assert client.post(url, decided).status_code == 302
    teodor.refresh_from_db()
    assert (teodor.phone, teodor.given_name, teodor.status) == ("0499999999", "Theodor", "moved_away")
    assert theirs.startswith("theirs.")


def test_patient_edit_that_leaves_theirs_writes_the_rest(sign_in: Any, teodor: Patient, cleo: User) -> None:
    client, url = sign_in(cleo), reverse("patients:edit", args=[teodor.public_id])
    typed = as_typed(client.get(url)) | {"phone": "0499999999", "given_name": "Theodor"}
    update_patient(patient=teodor, changes={"phone": "0478000000"}, by=cleo)

    refused = client.post(url, typed)
    theirs = re.findall(r'value="(theirs\.[^"]+)"', text_of(refused))[0]
    assert client.post(url, as_typed(refused) | {"keep-phone": theirs}).status_code == 302
    teodor.refresh_from_db()
    assert (teodor.phone, teodor.given_name) == ("0478000000", "Theodor")


@pytest.mark.parametrize("seen", ["", "{", "[]", '{"phone": 3}', "\x00", "9" * 30_000, "[" * 20_000])
def test_page_whose_marks_cannot_be_read_has_seen_nothing(seen: str, sign_in: Any, teodor: Patient, cleo: User) -> None:
    client, url = sign_in(cleo), reverse("patients:edit", args=[teodor.public_id])
    typed = as_typed(client.get(url)) | {"phone": "0499999999", "seen": seen}

    assert client.post(url, typed).status_code == 409
    teodor.refresh_from_db()
    assert teodor.phone == ""


# ------------------------------------------------------------------ who may


def test_pages_of_another_sites_patient_do_not_exist(sign_in: Any, teodor: Patient, dan: User, fill: Any) -> None:
    intake = fill(teodor, by=teodor.created_by, submit=False)
    client = sign_in(dan)

    for name, row in (("edit", teodor), ("intake_edit", intake), ("intake_detail", intake)):
        assert client.get(reverse(f"patients:{name}", args=[row.public_id])).status_code == 404
    for name, row in (("edit", teodor), ("intake_start", teodor), ("intake_edit", intake)):
        assert client.post(reverse(f"patients:{name}", args=[row.public_id])).status_code == 404


@pytest.mark.parametrize(
    ("who", "page", "status"),
    [
        (who, page, 403 if who == "dora" and page in ("intake_start", "intake_edit") else 200)
        for who in ("cleo", "ben", "ada", "dora")
        for page in ("list", "new", "edit", "intake_start", "intake_edit", "intake_detail")
    ],
)
def test_pages_by_role(
    request: pytest.FixtureRequest, sign_in: Any, teodor: Patient, fill: Any, who: str, page: str, status: int
) -> None:
    intake = fill(teodor, by=teodor.created_by, submit=False)
    client: Client = sign_in(request.getfixturevalue(who))
    argument = {"edit": teodor, "intake_start": teodor, "intake_edit": intake, "intake_detail": intake}.get(page)
    url = reverse(f"patients:{page}", args=[argument.public_id] if argument else [])

    response = client.post(url, follow=True) if page == "intake_start" else client.get(url)
    assert response.status_code == status


def test_pages_need_a_sign_in(client: Client, teodor: Patient) -> None:
    for url in (LIST, NEW, reverse("patients:edit", args=[teodor.public_id])):
        response: Any = client.get(url)
        assert (response.status_code, response.url) == (302, f"/accounts/login/?next={url}")


def test_pages_of_one_patient_leave_one_audit_event_each(sign_in: Any, teodor: Patient, ada: User, fill: Any) -> None:
    intake = fill(teodor, by=ada)
    draft = fill(teodor, by=ada, submit=False)
    client = sign_in(ada)
    pages = {
        reverse("patients:edit", args=[teodor.public_id]): "patient.viewed",
        reverse("patients:intake_detail", args=[intake.public_id]): "intake.viewed",
        reverse("patients:intake_edit", args=[draft.public_id]): "intake.viewed",
        LIST: "patients.listed",
    }
    for url, action in pages.items():
        before = AuditEvent.objects.count()
        client.get(url)
        event = AuditEvent.objects.first()
        assert event is not None
        assert AuditEvent.objects.count() == before + 1
        assert event.action == action
        assert event.patient_id == (None if url == LIST else teodor.public_id)


def test_forms_sent_empty_are_refused_beside_their_fields(sign_in: Any, teodor: Patient, cleo: User) -> None:
    client = sign_in(cleo)

    for url in (NEW, reverse("patients:edit", args=[teodor.public_id])):
        response = client.post(url)
        assert response.status_code == 422
        assert "family_name" in response.context["form"].errors
    assert client.post("/patients/duplicates/").status_code == 200
