"""For each field of Patient, Site, User and Clinic what copies it, and that a change reaches or flags every copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import Model
from django.utils import timezone

from mesoclinic.accounts.models import Clinic, Site, User
from mesoclinic.documents.actions import request_document
from mesoclinic.documents.models import Document
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.staff.actions import deactivate_person, rename_clinic, update_person, update_site
from patients.actions.record import merge_patients, undo_merge, update_patient
from patients.models import Patient, PatientStatus
from sessions.booking.actions import cancel_course
from sessions.models import Course
from sessions.models.followups import AnswerLink
from sessions.renewal.copies import COPIES, Copy, copies_of
from sessions.renewal.leaving import visits_of_people_away
from sessions.sites.queries import misfits
from tests import factories
from tests.sessions import factories as make

# ------------------------------------------------------------------ the table holds every field


def fields_of(model: type[Model]) -> set[str]:
    found = {field.name for field in model._meta.get_fields() if field.concrete}
    return found | ({"roles"} if model is User else set())  # held in rows of their own


@pytest.mark.parametrize("model", COPIES, ids=lambda model: model.__name__)
def test_table_says_of_every_field_what_copies_it(model: type[Model]) -> None:
    assert set(COPIES[model]) == fields_of(model)


def test_field_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(KeyError, match="nickname"):
        copies_of(Patient, ["nickname"])


# ------------------------------------------------------------------ a change reaches every copy


@pytest.fixture
def other_site(dora: User, ada: User, cleo: User) -> Site:
    place = factories.site(name="Grenoble")
    for person in (dora, ada, cleo):
        person.sites.add(place)
        person.__dict__.pop("site_ids", None)
    return place


@pytest.fixture
def printed(course: Course, teodor: Patient, ada: User) -> Document:
    """A print of the plan, ready."""
    document = request_document(
        kind="plan_patient",
        subject_id=course.plan.public_id,
        person_id=teodor.public_id,
        title="Your treatment plan",
        language="en",
        context={"patient": teodor.name},
        by=ada,
    )
    Document.objects.filter(pk=document.pk).update(
        state="ready", ready_at=timezone.now(), file="pdf/x.pdf", content_hash="0" * 64
    )
    return document


def texts() -> str:
    """All that waits in the outbox, with addresses and calendar files, as one text."""
    said: list[str] = []
    for message in Message.objects.filter(state__in=MessageState.UNSENT).order_by("pk"):
        files = [str(file["text"]).replace("\r\n ", "") for file in message.attachments]
        said += [message.to_address, message.person_label, message.language, message.text, message.html, *files]
    return "\n".join(said)


def patient_changes(**changes: Any) -> Callable[..., None]:
    def act(*, teodor: Patient, cleo: User, **_cast: Any) -> None:
        update_patient(patient=teodor, changes=changes, by=cleo, confirmed=True, close_links="email" in changes)

    return act


def site_changes(**changes: Any) -> Callable[..., None]:
    def act(*, lyon: Site, dora: User, **_cast: Any) -> None:
        update_site(site=lyon, changes=changes, by=dora)

    return act


def person_changes(**changes: Any) -> Callable[..., None]:
    def act(*, ada: User, dora: User, lyon: Site, other_site: Site, **_cast: Any) -> None:
        given: dict[str, Any] = {
            "title": ada.title,
            "given_name": ada.given_name,
            "family_name": ada.family_name,
            "language": ada.language,
            "roles": ["practitioner"],
            "sites": [lyon, other_site],
        }
        given |= changes
        if changes.get("sites") == "other":
            given["sites"] = [other_site]
        update_person(person=ada, **given, by=dora, confirmed=True)

    return act


def leaves(*, ada: User, dora: User, **_cast: Any) -> None:
    deactivate_person(person=ada, by=dora, confirmed=True)


def moves_site(*, teodor: Patient, cleo: User, other_site: Site, **_cast: Any) -> None:
    update_patient(patient=teodor, changes={"site": other_site}, by=cleo, confirmed=True)


def merges(*, teodor: Patient, twin: Patient, cleo: User, **_cast: Any) -> None:
    merge_patients(merged=teodor, into=twin, reason="The same", by=cleo, confirmed=True)


def renames_clinic(*, dora: User, **_cast: Any) -> None:
    rename_clinic(clinic=Clinic.objects.get(), name="Clinique Neuve", by=dora)


def changes_zone(*, course: Course, lyon: Site, dora: User, cleo: User, **_cast: Any) -> None:
    """The visits are in the way: once they are off, the zone may change."""
    cancel_course(course=course, by=cleo)
    update_site(site=lyon, changes={"time_zone": "Europe/London"}, by=dora)


NEW = "Zuzanna"
# Model, field, what changes it, and what the waiting mails say afterwards and said before ("" for either: not asked).
ROWS: list[tuple[type[Model], str, Callable[..., None], str, str]] = [
    (Patient, "given_name", patient_changes(given_name=NEW), NEW, "Teodor"),
    (Patient, "family_name", patient_changes(family_name=NEW), NEW, "Brandvold"),
    (Patient, "family_name_first", patient_changes(family_name_first=True), "Brandvold Teodor", "Teodor Brandvold"),
    (Patient, "birth_date", patient_changes(birth_date=date(1980, 1, 1)), "", ""),
    (Patient, "sex_at_birth", patient_changes(sex_at_birth="female"), "", ""),
    (Patient, "email", patient_changes(email="new@example.org"), "new@example.org", "teodor@example.org"),
    (Patient, "phone", patient_changes(phone="+33 4 11 22 33 44"), "", ""),
    (Patient, "language", patient_changes(language="fr"), "Bonjour", "Dear Teodor"),
    (Patient, "contact_allowed", patient_changes(contact_allowed=False), "", "Teodor"),
    (Patient, "site", moves_site, "", ""),
    (Patient, "status", patient_changes(status=PatientStatus.DECEASED), "", "Teodor"),
    (Patient, "merged_into", merges, "theodora@example.org", "teodor@example.org"),
    (Site, "name", site_changes(name=NEW), f"Clinique des Tilleuls, {NEW}", "Clinique des Tilleuls, Lyon"),
    (Site, "time_zone", changes_zone, "", ""),
    (Site, "street", site_changes(street="1 rue Neuve"), "1 rue Neuve", "14 quai des Tilleuls"),
    (Site, "city", site_changes(city="38000 Grenoble"), "38000 Grenoble", "69004 Lyon"),
    (Site, "phone", site_changes(phone="+33 4 99 99 99 99"), "+33 4 99 99 99 99", "+33 4 00 00 00 00"),
    (Site, "email", site_changes(email="hello@lyon.example"), "mailto:hello@lyon.example", ""),
    (Site, "paper", site_changes(paper="Letter"), "", ""),
    (User, "title", person_changes(title="Prof"), "Prof Ada Moreau", "Dr Ada Moreau"),
    (User, "given_name", person_changes(given_name=NEW), NEW, "Ada"),
    (User, "family_name", person_changes(family_name=NEW), NEW, "Moreau"),
    (User, "family_name_first", person_changes(family_name_first=True), "Dr Moreau Ada", "Dr Ada Moreau"),
    (User, "sites", person_changes(sites="other"), "", ""),
    (User, "roles", person_changes(roles=["receptionist"]), "", ""),
    (User, "is_active", leaves, "", ""),
    (Clinic, "name", renames_clinic, "Clinique Neuve", "Clinique des Tilleuls"),
]


def test_every_field_that_something_copies_is_tried() -> None:
    copied = {(model, name) for model, fields in COPIES.items() for name, copies in fields.items() if copies}
    assert {(model, name) for model, name, *_rest in ROWS} == copied


@pytest.mark.parametrize(
    ("model", "field", "change", "says", "said"), ROWS, ids=[f"{row[0].__name__}.{row[1]}" for row in ROWS]
)
def test_change_reaches_or_flags_every_copy(
    model: type[Model],
    field: str,
    change: Callable[..., None],
    says: str,
    said: str,
    course: Course,
    printed: Document,
    teodor: Patient,
    lyon: Site,
    other_site: Site,
    ada: User,
    cleo: User,
    dora: User,
) -> None:
    twin = make.patient(by=cleo, site=lyon, given_name="Theodora", email="theodora@example.org")
    left = AnswerLink.objects.get(purpose="booking")
    Message.objects.filter(purpose="booking").update(state="sent", sent_at=timezone.now(), attempts=1)
    update_patient(patient=teodor, changes={"phone": "+33 4 00 11 22 33"}, by=cleo)  # writes the key as it is kept
    key, copies = teodor.search_key, COPIES[model][field]
    before = texts()
    assert said in before

    change(
        course=course,
        teodor=teodor,
        twin=twin,
        lyon=lyon,
        other_site=other_site,
        ada=ada,
        cleo=cleo,
        dora=dora,
    )

    after = texts()
    if Copy.MAILS in copies:
        assert says in after
        assert not said or said not in after
    if Copy.OWED in copies and field != "merged_into" and not says:
        assert after == ""  # nothing that was owed is sent any more
    printed.refresh_from_db()
    assert (printed.outdated_at is not None) == (Copy.PRINTS in copies)
    left.refresh_from_db()
    assert (left.revoked_at is not None) == (Copy.LINKS in copies)
    teodor.refresh_from_db()
    assert (teodor.search_key != key) == (Copy.SEARCH in copies)
    if Copy.BELONGINGS in copies:
        assert set(course.appointments.values_list("patient", flat=True)) == {twin.pk}
    if Copy.VISITS in copies:
        listed = {entry.visit.pk for entry in misfits(site=lyon, user=dora, now=timezone.now())}
        listed |= set(visits_of_people_away(cleo).values_list("pk", flat=True))
        assert len(listed) == (0 if field == "site" else 4)  # a patient's other home keeps them where they are


def test_print_that_shows_what_is_so_again_is_no_longer_flagged(printed: Document, teodor: Patient, ada, cleo) -> None:
    update_patient(patient=teodor, changes={"given_name": NEW}, by=cleo)
    printed.refresh_from_db()
    assert printed.outdated_at is not None

    again = request_document(
        kind="plan_patient",
        subject_id=printed.subject_id,
        person_id=teodor.public_id,
        title="Your treatment plan",
        language="en",
        context={"patient": "Teodor Brandvold"},
        by=ada,
    )
    assert (again.pk, again.outdated_at) == (printed.pk, None)


def test_prints_of_others_are_not_flagged(printed: Document, twin: Patient, cleo, ada) -> None:
    theirs = request_document(
        kind="plan_patient",
        subject_id=uuid4(),
        person_id=twin.public_id,
        title="Your treatment plan",
        language="en",
        context={"patient": twin.name},
        by=ada,
    )
    update_patient(patient=twin, changes={"given_name": NEW}, by=cleo)

    for document, flagged in ((theirs, True), (printed, False)):
        document.refresh_from_db()
        assert (document.outdated_at is not None) is flagged


@pytest.fixture
def twin(cleo: User, lyon: Site) -> Iterator[Patient]:
    yield make.patient(by=cleo, site=lyon, given_name="Theodora", email="theodora@example.org")


def test_undone_merge_leaves_nothing_behind(course: Course, teodor: Patient, twin: Patient, cleo: User) -> None:
    said = texts()
    merge = merge_patients(merged=teodor, into=twin, reason="The same", by=cleo, confirmed=True)
    assert texts() != said

    undo_merge(merge=merge, by=cleo)
    assert Message.objects.filter(person_id=twin.public_id).count() == 0
    assert teodor.appointments.count() == 4
    assert timezone.now() + timedelta(days=1) < course.appointments.get(number=1).starts_at
