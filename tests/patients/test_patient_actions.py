from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.conflicts import Clash, Conflict
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, NotAllowed
from patients.actions.record import RegisteredJustNow, register_patient, update_patient
from patients.models import Patient
from tests import factories


def details(site: Site, **changes: Any) -> dict[str, Any]:
    return {
        "given_name": "Élodie",
        "family_name": "Saint-Martin",
        "birth_date": date(1991, 3, 12),
        "sex_at_birth": "female",
        "email": "Elodie@example.org",
        "phone": "+33 6 12 34 56 78",
        "language": "fr",
        "contact_allowed": True,
        "site": site,
        "different_person": True,  # every test stands at one instant
    } | changes


def test_register_patient_keeps_what_was_typed_and_takes_the_next_number(cleo: User, lyon: Site) -> None:
    first = register_patient(**details(lyon, given_name="  Élodie  Anne ", phone=" +33 6 12 34 56 78"), by=cleo)
    second = register_patient(**details(lyon), by=cleo)

    assert (first.name, first.phone, first.email) == (
        "Élodie Anne Saint-Martin",
        "+33 6 12 34 56 78",
        "Elodie@example.org",
    )
    assert [first.number, second.number] == [1, 2]
    assert first.display_number == "P-00001"
    assert first.created_by == cleo
    assert first.search_key == (
        "saint martin elodie anne saint martin 33612345678 elodie@example.org 1991-03-12 p-00001"
    )


def test_register_patient_leaves_one_audit_event_without_clinical_content(cleo: User, lyon: Site) -> None:
    patient = register_patient(**details(lyon), by=cleo)

    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id, event.patient_id, event.details) == (
        "patient.registered",
        cleo.public_id,
        patient.public_id,
        {},
    )


def test_register_patient_at_another_site_is_refused(cleo: User, lyon: Site) -> None:
    elsewhere = factories.site(name="Oslo", time_zone="Europe/Oslo")

    with pytest.raises(NotAllowed, match="You do not work at this site"):
        register_patient(**details(elsewhere), by=cleo)
    assert not Patient.objects.exists()


def _today(site: Site) -> date:
    return timezone.localdate(timezone=site.tz)


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("born", "field"),
    [
        (date(2026, 11, 22), None),  # today
        (date(2026, 11, 23), "birth_date"),  # tomorrow
        (date(1905, 11, 23), None),  # turns 121 tomorrow
        (date(1905, 11, 22), "birth_date"),  # turned 121 today
    ],
)
def test_register_patient_birth_date_boundaries(
    cleo: User, lyon: Site, monkeypatch: pytest.MonkeyPatch, born: date, field: str | None
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOON)

    if field is None:
        assert register_patient(**details(lyon, birth_date=born), by=cleo).birth_date == born
    else:
        with pytest.raises(InvalidInput) as refusal:
            register_patient(**details(lyon, birth_date=born), by=cleo)
        assert refusal.value.field == field


def test_register_patient_today_is_that_of_the_site(cleo: User, lyon: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    auckland = factories.site(name="Auckland", time_zone="Pacific/Auckland")
    cleo.sites.add(auckland)
    monkeypatch.setattr(timezone, "now", lambda: NOON)  # already the 23rd there

    assert register_patient(**details(auckland, birth_date=date(2026, 11, 23)), by=cleo).pk
    with pytest.raises(InvalidInput, match="future"):
        register_patient(**details(lyon, birth_date=date(2026, 11, 23)), by=cleo)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"given_name": "   ", "family_name": ""}, "family_name"),
        ({"family_name": "x" * 81}, "family_name"),
        ({"family_name": "Nul\x00l"}, "family_name"),
        ({"sex_at_birth": "robot"}, "sex_at_birth"),
        ({"language": "tlh"}, "language"),
        ({"email": "no address"}, "email"),
        ({"email": "", "contact_allowed": True}, "email"),
        ({"phone": "call me"}, "phone"),
        ({"phone": "1" * 41}, "phone"),
    ],
)
def test_register_patient_names_the_field_that_cannot_be_used(
    cleo: User, lyon: Site, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        register_patient(**details(lyon, **changes), by=cleo)
    assert refusal.value.field == field
    assert not Patient.objects.exists()


def test_register_patient_sent_twice_from_one_page_is_one_record(cleo: User, lyon: Site) -> None:
    key = uuid4()
    first = register_patient(**details(lyon, different_person=False), by=cleo, key=key)

    assert register_patient(**details(lyon, different_person=False, phone=""), by=cleo, key=key) == first
    with pytest.raises(RegisteredJustNow, match="was registered a moment ago as P-00001"):
        register_patient(**details(lyon, different_person=False, given_name="ELODIE"), by=cleo)
    twin = register_patient(**details(lyon, different_person=False, given_name="Anne"), by=cleo, key=key)
    assert (twin.number, Patient.objects.count()) == (2, 2)  # the page was filled in anew
    assert AuditEvent.objects.filter(action="patient.registered").count() == 2


def test_register_patient_of_the_same_name_a_minute_later_is_another(cleo: User, lyon: Site, clock) -> None:
    register_patient(**details(lyon, different_person=False), by=cleo)
    clock.move_by(timedelta(minutes=1, seconds=1))

    assert register_patient(**details(lyon, different_person=False), by=cleo).number == 2


def test_update_patient_changes_and_audits_only_what_differs(cleo: User, lyon: Site) -> None:
    patient = register_patient(**details(lyon), by=cleo)

    update_patient(patient=patient, changes={"family_name": "Østergård", "phone": "+33 6 12 34 56 78"}, by=cleo)

    assert patient.family_name == "Østergård"
    assert patient.search_key.startswith("ostergard elodie ostergard ")
    assert patient.revision == 1
    event = AuditEvent.objects.first()
    assert event is not None
    assert (event.action, event.details) == ("patient.updated", {"changed": ["family_name"]})


def test_update_patient_without_a_difference_writes_nothing(cleo: User, lyon: Site) -> None:
    patient = register_patient(**details(lyon), by=cleo)

    update_patient(patient=patient, changes={"given_name": "Élodie"}, by=cleo)

    assert patient.revision == 0
    assert AuditEvent.objects.filter(action="patient.updated").count() == 0


def test_update_patient_on_an_older_revision_overwrites_nothing(ada: User, cleo: User, lyon: Site) -> None:
    patient = register_patient(**details(lyon), by=cleo)
    update_patient(patient=patient, changes={"phone": "0478000000"}, by=ada, seen=0)

    with pytest.raises(
        Conflict, match=r"Ada Moreau changed these details after you opened them\. Nothing was overwritten"
    ) as refused:
        update_patient(patient=patient, changes={"phone": "0499999999"}, by=cleo, seen=0)
    assert (refused.value.clashes, refused.value.revision) == (
        (Clash(field="phone", theirs="0478000000", mine="0499999999"),),
        1,
    )
    patient.refresh_from_db()
    assert patient.phone == "0478000000"


def test_update_patient_of_another_site_is_refused(cleo: User, dan: User, lyon: Site) -> None:
    patient = register_patient(**details(lyon), by=cleo)

    with pytest.raises(NotAllowed):
        update_patient(patient=patient, changes={"given_name": "Eve"}, by=dan)
    patient.refresh_from_db()
    assert patient.given_name == "Élodie"


def test_update_patient_cannot_move_the_patient_out_of_ones_own_sites(cleo: User, lyon: Site) -> None:
    patient = register_patient(**details(lyon), by=cleo)
    elsewhere = factories.site(name="Oslo", time_zone="Europe/Oslo")

    with pytest.raises(NotAllowed):
        update_patient(patient=patient, changes={"site": elsewhere}, by=cleo)


def test_age_counts_the_birthday_itself_and_the_leap_day() -> None:
    assert Patient(birth_date=date(1991, 3, 12)).age_on(date(2026, 3, 11)) == 34
    assert Patient(birth_date=date(1991, 3, 12)).age_on(date(2026, 3, 12)) == 35
    assert Patient(birth_date=date(2000, 2, 29)).age_on(date(2026, 2, 28)) == 25
    assert Patient(birth_date=date(2000, 2, 29)).age_on(date(2026, 3, 1)) == 26
