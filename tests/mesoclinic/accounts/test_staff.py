from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import DomainError, InvalidInput, NotAllowed
from mesoclinic.staff import actions
from tests import factories
from tests.shown import seen_on

SignIn = Callable[[User], Client]
LOG_IN = "/accounts/login/"


def fields(lyon: Site, **given: Any) -> dict[str, Any]:
    return {
        "email": "eve@clinic.example",
        "title": "Dr",
        "given_name": "Eve",
        "family_name": "Sand",
        "language": "fr",
        "roles": ["nurse", "practitioner"],
        "sites": [lyon.pk],
        **given,
    }


def test_add_person_from_the_page_lets_them_in(dora: User, lyon: Site, sign_in: SignIn) -> None:
    client = sign_in(dora)

    response = client.post(reverse("accounts:staff_new"), fields(lyon))

    page = response.content.decode()
    password = page.split('class="password-once">')[1].split("<")[0]
    assert "no-store" in response["Cache-Control"]
    person = User.objects.get(email="eve@clinic.example")
    assert (sorted(person.roles), list(person.sites.all()), person.language) == (
        ["nurse", "practitioner"],
        [lyon],
        "fr",
    )
    entered = Client().post(LOG_IN, {"login": "eve@clinic.example", "password": password})
    assert (entered.status_code, entered["Location"]) == (302, "/")
    event = AuditEvent.objects.get(action="person.added")
    assert (event.actor_id, event.target_id) == (dora.public_id, person.public_id)
    assert password not in "".join(str(row) for row in AuditEvent.objects.values_list())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"email": "not an address"}, "Enter a valid email address."),
        ({"given_name": "-"}, "A name has a letter."),
        ({"roles": []}, "This field is required."),
        ({"roles": ["king"]}, "king is not one of the available choices"),
        ({"sites": []}, "This field is required."),
        ({"language": "xx"}, "xx is not one of the available choices"),
    ],
)
def test_add_person_with_bad_input_keeps_what_was_typed(
    dora: User, lyon: Site, sign_in: SignIn, given: dict[str, Any], said: str
) -> None:
    response = sign_in(dora).post(reverse("accounts:staff_new"), fields(lyon, **given))

    page = response.content.decode()
    assert response.status_code == 400
    assert said in page and 'value="Sand"' in page
    assert not User.objects.filter(family_name="Sand").exists()


def test_add_person_twice_is_refused_whatever_the_case(dora: User, lyon: Site, sign_in: SignIn) -> None:
    client = sign_in(dora)
    client.post(reverse("accounts:staff_new"), fields(lyon))

    response = client.post(reverse("accounts:staff_new"), fields(lyon, email="Eve@Clinic.example"))

    assert "Somebody with this e-mail address works here already." in response.content.decode()
    assert User.objects.filter(family_name="Sand").count() == 1


def test_add_person_with_a_weak_password_is_refused(dora: User, lyon: Site) -> None:
    with pytest.raises(InvalidInput):
        actions.add_person(**{**fields(lyon), "sites": [lyon]}, password="12345", by=dora)


def test_staff_is_for_the_director_only(ada: User, ben: User, cleo: User, lyon: Site, sign_in: SignIn) -> None:
    for person in (ada, ben, cleo):
        assert sign_in(person).get(reverse("accounts:staff")).status_code == 403
        with pytest.raises(NotAllowed):
            actions.add_person(**{**fields(lyon), "sites": [lyon]}, password=actions.make_password(), by=person)
        with pytest.raises(NotAllowed):
            actions.deactivate_person(person=ada, by=person)


def test_update_person_changes_rights_at_once(dora: User, cleo: User, lyon: Site, sign_in: SignIn) -> None:
    client = sign_in(cleo)
    assert client.get("/audit/").status_code == 403

    director, page = sign_in(dora), reverse("accounts:staff_edit", args=[cleo.public_id])
    director.post(page, fields(lyon, roles=["director"]) | seen_on(director, page))

    assert client.get("/audit/").status_code == 200
    details = AuditEvent.objects.get(action="person.changed").details
    assert (details["before"]["roles"], details["after"]["roles"]) == (["receptionist"], ["director"])


def test_deactivated_person_is_out_at_once_and_cannot_return(dora: User, cleo: User, sign_in: SignIn) -> None:
    client = sign_in(cleo)
    assert client.get("/messages/").status_code == 200

    sign_in(dora).post(reverse("accounts:staff_deactivate", args=[cleo.public_id]))

    assert client.get("/messages/")["Location"].startswith(LOG_IN)
    again = Client().post(LOG_IN, {"login": cleo.email, "password": factories.PASSWORD})
    assert "_auth_user_id" not in again.client.session

    sign_in(dora).post(reverse("accounts:staff_activate", args=[cleo.public_id]))
    assert Client().post(LOG_IN, {"login": cleo.email, "password": factories.PASSWORD})["Location"] == "/"


def test_renewed_password_ends_old_log_ins(dora: User, cleo: User, sign_in: SignIn) -> None:
    client = sign_in(cleo)

    page = sign_in(dora).post(reverse("accounts:staff_password", args=[cleo.public_id])).content.decode()

    password = page.split('class="password-once">')[1].split("<")[0]
    assert client.get("/messages/")["Location"].startswith(LOG_IN)
    assert Client().post(LOG_IN, {"login": cleo.email, "password": password})["Location"] == "/"


def test_director_cannot_lock_the_clinic_out(dora: User, lyon: Site) -> None:
    with pytest.raises(DomainError, match="your own access"):
        actions.deactivate_person(person=dora, by=dora)
    rights: dict[str, Any] = {"title": "", "given_name": "D", "family_name": "L", "language": "en", "sites": [lyon]}
    with pytest.raises(DomainError, match="only director"):
        actions.update_person(person=dora, roles=["nurse"], **rights, by=dora)

    other = factories.user(given_name="Olga", roles=["director"], sites=[lyon])
    actions.deactivate_person(person=dora, by=other)
    with pytest.raises(DomainError, match="only director"):
        actions.update_person(person=other, roles=["nurse"], **rights, by=other)


def test_list_costs_the_same_with_3_and_300(dora: User, lyon: Site, sign_in: SignIn) -> None:
    client = sign_in(dora)
    costs = []
    for size in (3, 300):
        while User.objects.count() < size:
            factories.user(given_name="P", roles=["nurse"], sites=[lyon])
        client.get(reverse("accounts:staff"))
        with CaptureQueriesContext(connection) as asked:
            response = client.get(reverse("accounts:staff"))
        costs.append(len(asked))
        assert response.content.decode().count("mc-tiny mc-faint") >= size

    assert costs[0] == costs[1]
