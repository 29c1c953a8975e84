"""A change of state says what hangs on it before, refuses what must not happen after, and lists what is left."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from mesoclinic.audit.changes import NeedsConfirmation
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.staff.actions import activate_person, deactivate_person, update_person
from patients.actions.record import merge_patients, update_patient
from patients.models import Patient, PatientStatus
from patients.search.finding import find_patients
from protocols.models import Plan
from protocols.plans.queries import plans_visible_to
from sessions.booking.actions import book_appointment, book_course, set_appointment_status
from sessions.models import Appointment, AppointmentStatus, Course
from sessions.pages import today as days
from sessions.pages.needs import needs_of
from sessions.permissions import can_record, check_can_move, check_can_record
from sessions.prints.documents import request_visit_pdf
from sessions.queries import appointments_visible_to
from sessions.renewal.leaving import cancel_visits
from sessions.sites.actions import change_room, close_site
from sessions.sites.queries import misfits
from tests import factories
from tests.sessions import factories as make
from tests.shown import seen_on

AWAY = [PatientStatus.DECEASED, PatientStatus.MOVED_AWAY]
REFUSED = {PatientStatus.DECEASED: "is marked as deceased", PatientStatus.MOVED_AWAY: "has moved away"}


def mark(patient: Patient, status: str, *, by: User) -> None:
    update_patient(patient=patient, changes={"status": status}, by=by, confirmed=True)


def why_of(site: Site, user: User) -> set[str]:
    return {entry.why for entry in misfits(site=site, user=user, now=timezone.now())}


# ------------------------------------------------------------------ a patient: before


@pytest.mark.parametrize("status", AWAY)
def test_leaving_care_names_visits_plans_and_mails_before(course: Course, teodor: Patient, cleo: User, status) -> None:
    with pytest.raises(NeedsConfirmation, match="This needs your confirmation") as question:
        update_patient(patient=teodor, changes={"status": status}, by=cleo)

    visits, plans, mails = question.value.consequences
    assert visits.startswith("4 visits are booked: ")
    assert plans == "1 plan is open: 1 (Signed)."
    assert mails == "13 mails wait and will not be sent."
    teodor.refresh_from_db()
    assert teodor.status == PatientStatus.ACTIVE
    assert Message.objects.filter(state__in=MessageState.UNSENT).count() == 13


def test_nothing_is_asked_where_nothing_hangs_on_it(teodor: Patient, cleo: User) -> None:
    update_patient(patient=teodor, changes={"status": PatientStatus.DECEASED}, by=cleo)
    assert teodor.status == PatientStatus.DECEASED


def test_page_names_what_hangs_on_it_keeps_what_was_typed_and_saves_on_the_second_press(
    course: Course, teodor: Patient, cleo: User, sign_in
) -> None:
    client, page = sign_in(cleo), reverse("patients:edit", args=[teodor.public_id])
    typed = {
        "given_name": "Teodor",
        "family_name": "Brandvold-Ruiz",
        "birth_date": "1987-06-08",
        "sex_at_birth": "male",
        "email": "teodor@example.org",
        "phone": "",
        "language": "en",
        "contact_allowed": "on",
        "site": str(teodor.site.public_id),
        "status": "deceased",
    } | seen_on(client, page)
    asked = client.post(page, typed)
    assert asked.status_code == 422
    text = asked.content.decode()
    assert "This hangs on the record that becomes “Deceased”" in text
    assert "4 visits are booked" in text
    assert 'value="Brandvold-Ruiz"' in text
    teodor.refresh_from_db()
    assert teodor.status == PatientStatus.ACTIVE

    answer = client.post(page, typed | {"confirmed": "deceased"})
    assert answer.status_code == 302
    teodor.refresh_from_db()
    assert (teodor.status, teodor.family_name) == (PatientStatus.DECEASED, "Brandvold-Ruiz")


def test_confirmation_of_one_state_is_none_of_another(course: Course, teodor: Patient, cleo: User, sign_in) -> None:
    typed = {
        "given_name": "Teodor",
        "family_name": "Brandvold",
        "birth_date": "1987-06-08",
        "sex_at_birth": "male",
        "email": "",
        "language": "en",
        "site": str(teodor.site.public_id),
        "status": "deceased",
        "confirmed": "moved_away",
    }
    client, page = sign_in(cleo), reverse("patients:edit", args=[teodor.public_id])
    answer = client.post(page, typed | seen_on(client, page))
    assert answer.status_code == 422


def test_patch_asks_as_the_page_does(course: Course, teodor: Patient, cleo: User, sign_in) -> None:
    client, url = sign_in(cleo), f"/api/v1/patients/{teodor.public_id}/"
    asked = client.patch(url, {"status": "deceased", "revision": 0}, content_type="application/json")
    assert asked.status_code == 409
    assert "4 visits are booked" in asked.json()["confirmed"][0]

    answer = client.patch(
        url, {"status": "deceased", "confirmed": True, "revision": 0}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["status"]) == (200, "deceased")


def test_merging_says_what_goes_along(course: Course, teodor: Patient, cleo: User, lyon: Site, sign_in) -> None:
    twin = make.patient(by=cleo, site=lyon, given_name="Theodor")
    with pytest.raises(NeedsConfirmation, match="4 visits are booked"):
        merge_patients(merged=teodor, into=twin, reason="The same", by=cleo)

    page = sign_in(cleo).get(reverse("patients:merge_into", args=[teodor.public_id, twin.public_id]))
    text = page.content.decode()
    assert "4 visits are booked" in text
    assert "13 mails wait and go to" in text


# ------------------------------------------------------------------ a patient: after


@pytest.mark.parametrize("status", AWAY)
def test_nobody_away_is_booked_moved_checked_in_prepared_or_recorded(
    course: Course, teodor: Patient, lyon: Site, ada: User, cleo: User, rooms, status
) -> None:
    visit = course.appointments.get(number=1)
    mark(teodor, status, by=cleo)
    visit.refresh_from_db()
    refused = REFUSED[status]

    with pytest.raises(InvalidTransition, match=refused):
        check_can_move(visit, by=cleo)
    with pytest.raises(InvalidTransition, match=refused):
        set_appointment_status(appointment=visit, status=AppointmentStatus.ARRIVED, by=cleo)
    with pytest.raises(InvalidTransition, match=refused):
        check_can_record(visit, by=ada)
    with pytest.raises(InvalidTransition, match=refused):
        request_visit_pdf(appointment=visit, kind="preparation_sheet", by=ada)
    with pytest.raises(InvalidTransition, match=refused):
        request_visit_pdf(appointment=visit, kind="syringe_labels", by=ada)
    cancel_visits(person=teodor, by=cleo)
    plan = Plan.objects.get(pk=course.plan_id)
    with pytest.raises(InvalidTransition, match=refused):
        book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    with pytest.raises(InvalidTransition, match=refused):
        book_appointment(
            plan=plan,
            number=1,
            site=lyon,
            practitioner=ada,
            room=rooms[0],
            starts_at=make.utc(make.monday(), 9),
            by=cleo,
        )


def test_visits_of_the_dead_stand_on_today_and_on_the_record_until_they_are_cancelled_at_one_press(
    course: Course, teodor: Patient, lyon: Site, cleo: User, sign_in
) -> None:
    mark(teodor, PatientStatus.DECEASED, by=cleo)
    client, record = sign_in(cleo), reverse("sessions:patient", args=[teodor.public_id])

    needs, total = needs_of(user=cleo, site=lyon)
    assert (needs[0].title, needs[0].label, needs[0].post, total) == ("Deceased", "Cancel all", True, 1)
    assert needs[0].text.startswith("Teodor Brandvold: 4 visits are still booked, the first on")
    page = client.get(record).content.decode()
    assert "Deceased: 4 visits are still booked." in page
    assert "Cancel all 4" in page

    today = client.get("/").content.decode()
    form = today[today.index(f'action="{needs[0].url}"') :].partition("</form>")[0]
    assert "csrfmiddlewaretoken" in form  # the button works without a script
    answer = client.post(needs[0].url)
    assert answer.status_code == 302
    assert set(course.appointments.values_list("status", flat=True)) == {"cancelled"}
    assert needs_of(user=cleo, site=lyon) == ([], 0)
    assert "still booked" not in client.get(record).content.decode()
    assert Message.objects.filter(state__in=MessageState.UNSENT).count() == 0


def test_visits_of_somebody_in_care_are_not_cancelled_by_it(course: Course, teodor: Patient, cleo: User) -> None:
    with pytest.raises(InvalidTransition, match="is in the clinic's care"):
        cancel_visits(person=teodor, by=cleo)
    assert set(course.appointments.values_list("status", flat=True)) == {"booked"}


def test_nobody_is_told_to_phone_the_dead(course: Course, teodor: Patient, lyon: Site, cleo: User) -> None:
    mark(teodor, PatientStatus.DECEASED, by=cleo)
    visit = course.appointments.get(number=1)
    page = days.day_of(
        day=visit.starts_at.astimezone(lyon.tz).date(), site=lyon, user=cleo, now=timezone.now(), who="all"
    )
    assert [(state.kind, state.text) for state in page.rows[0].states] == [("quiet", "Booked"), ("danger", "Deceased")]
    assert page.rows[0].action is not None
    assert page.rows[0].action.label == "Open"


def test_today_asks_who_is_away_in_a_fixed_number_of_queries(
    course: Course, teodor: Patient, lyon: Site, cleo: User, ada: User, django_assert_max_num_queries
) -> None:
    from sessions.renewal.leaving import people_away

    mark(teodor, PatientStatus.DECEASED, by=cleo)
    for number in (1, 2):
        with django_assert_max_num_queries(2):
            found, total = people_away(user=cleo, site=lyon, at_most=6)
        assert (len(found), total) == (number, number)
        if number == 1:
            other = make.patient(by=cleo, site=lyon, given_name="Noor")
            later = make.plan(patient=other, by=ada)
            book_course(plan=later, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
            mark(other, PatientStatus.MOVED_AWAY, by=cleo)


# ------------------------------------------------------------------ a patient who changes site


@pytest.fixture
def moved(course: Course, teodor: Patient, cleo: User) -> Site:
    """Teodor now belongs to Grenoble; what is booked stays in Lyon."""
    place = factories.site(name="Grenoble")
    cleo.sites.add(place)
    cleo.__dict__.pop("site_ids", None)
    update_patient(patient=teodor, changes={"site": place}, by=cleo)
    return place


def test_patient_who_changes_site_is_seen_where_the_visits_are(
    course: Course, teodor: Patient, moved: Site, ada: User, ben: User, sign_in
) -> None:
    assert moved.pk not in ada.site_ids
    client = sign_in(ada)
    for name in ("sessions:patient", "patients:edit"):
        assert client.get(reverse(name, args=[teodor.public_id])).status_code == 200
    assert [plan.pk for plan in plans_visible_to(ada)] == [course.plan_id]
    visit = course.appointments.get(number=1)
    assert client.get(reverse("sessions:appointment", args=[visit.public_id])).status_code == 200
    assert [patient.pk for patient in find_patients(ben, "brandvold").patients] == [teodor.pk]
    assert appointments_visible_to(ben).count() == 4


def test_visit_of_a_patient_of_another_site_is_recorded_where_it_is(
    course: Course, moved: Site, ada: User, cleo: User
) -> None:
    visit = course.appointments.get(number=1)
    now = timezone.now()
    Appointment.objects.filter(pk=visit.pk).update(starts_at=now, ends_at=now + (visit.ends_at - visit.starts_at))
    visit.refresh_from_db()
    assert can_record(visit, by=ada)


def test_patient_without_visits_there_is_not_seen_at_another_site(teodor: Patient, dan: User, sign_in) -> None:
    client = sign_in(dan)
    assert client.get(reverse("sessions:patient", args=[teodor.public_id])).status_code == 404
    assert find_patients(dan, "brandvold").patients == ()


def test_patient_whose_visits_are_off_is_no_longer_seen_there(
    course: Course, teodor: Patient, moved: Site, ada: User, cleo: User, sign_in
) -> None:
    for visit in course.appointments.all():
        Appointment.objects.filter(pk=visit.pk).update(status=AppointmentStatus.CANCELLED)
    assert sign_in(ada).get(reverse("sessions:patient", args=[teodor.public_id])).status_code == 404


# ------------------------------------------------------------------ a member of staff, a room, a site


def given(person: User, **changes: Any) -> dict[str, Any]:
    return {
        "title": person.title,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "language": person.language,
        "roles": ["practitioner"],
        "sites": list(person.sites.all()),
    } | changes


def test_leaving_names_the_visits_before_and_lists_them_after(
    course: Course, lyon: Site, ada: User, dora: User, sign_in
) -> None:
    with pytest.raises(NeedsConfirmation, match=r"Lyon: 4 visits are booked with Dr Ada Moreau"):
        deactivate_person(person=ada, by=dora)
    client, url = sign_in(dora), reverse("accounts:staff_deactivate", args=[ada.public_id])
    asked = client.post(url)
    assert asked.status_code == 422
    assert "4 visits are booked with Dr Ada Moreau" in asked.content.decode()
    ada.refresh_from_db()
    assert ada.is_active

    assert client.post(url, {"confirmed": "yes"}).status_code == 302
    ada.refresh_from_db()
    assert not ada.is_active
    assert why_of(lyon, dora) == {"Dr Ada Moreau no longer works here."}

    activate_person(person=ada, by=dora)
    assert why_of(lyon, dora) == set()


def test_changing_site_names_the_visits_before_and_lists_them_after(
    course: Course, lyon: Site, ada: User, dora: User
) -> None:
    elsewhere = factories.site(name="Grenoble")
    with pytest.raises(NeedsConfirmation, match="Lyon: 4 visits are booked"):
        update_person(person=ada, **given(ada, sites=[elsewhere]), by=dora)
    update_person(person=ada, **given(ada, sites=[elsewhere]), by=dora, confirmed=True)
    assert why_of(lyon, dora) == {"Dr Ada Moreau no longer works at Lyon."}


def test_changing_role_names_the_visits_before_and_lists_them_after(
    course: Course, lyon: Site, ada: User, dora: User, sign_in
) -> None:
    client, page = sign_in(dora), reverse("accounts:staff_edit", args=[ada.public_id])
    typed = given(ada, roles=["receptionist"], sites=[lyon.pk], family_name="Moreau-Petit") | seen_on(client, page)
    asked = client.post(page, typed)
    assert asked.status_code == 422
    assert 'value="Moreau-Petit"' in asked.content.decode()

    assert client.post(page, typed | {"confirmed": "yes"}).status_code == 302
    assert why_of(lyon, dora) == {
        "Dr Ada Moreau-Petit no longer treats: the role does not record sessions.",
    }


def test_another_site_beside_the_old_one_asks_nothing(course: Course, lyon: Site, ada: User, dora: User) -> None:
    elsewhere = factories.site(name="Grenoble")
    update_person(person=ada, **given(ada, sites=[lyon, elsewhere]), by=dora)
    assert why_of(lyon, dora) == set()


def test_retired_room_and_closed_site_list_their_visits(course: Course, lyon: Site, dora: User, rooms) -> None:
    used = course.appointments.get(number=1).room
    with pytest.raises(NeedsConfirmation, match="visits are booked"):
        change_room(room=used, name=used.name, is_active=False, serves=(), by=dora)
    for room in rooms:
        change_room(room=room, name=room.name, is_active=False, serves=(), by=dora, confirmed=True)
    assert {why.partition(" is")[0] for why in why_of(lyon, dora)} <= {"Room 1", "Room 2"}
    assert len(misfits(site=lyon, user=dora, now=timezone.now())) == 4

    first = course.appointments.get(number=1).starts_at.astimezone(lyon.tz).date()
    with pytest.raises(NeedsConfirmation, match="1 visit is booked"):
        close_site(site=lyon, first=first, last=first, reason="Moving house", by=dora)
    close_site(site=lyon, first=first, last=first, reason="Moving house", by=dora, confirmed=True)
    assert any("Moving house" in why for why in why_of(lyon, dora))


def test_closing_asks_on_the_page_for_these_days_and_for_others_again(
    course: Course, lyon: Site, dora: User, sign_in
) -> None:
    client, page = sign_in(dora), reverse("resources:site", args=[lyon.public_id])
    day = course.appointments.get(number=1).starts_at.astimezone(lyon.tz).date()
    typed = {"what": "closure", "closure-first": day.isoformat(), "closure-reason": "Works"}
    asked = client.post(page, typed)
    assert asked.status_code == 400
    assert "1 visit is booked: " in asked.content.decode()
    assert f'name="confirmed" value="{day} {day}"' in asked.content.decode()

    assert client.post(page, typed | {"confirmed": "2026-01-01 2026-01-01"}).status_code == 400
    assert client.post(page, typed | {"confirmed": f"{day} {day}"}).status_code == 302


def test_site_is_renamed_on_its_page_and_a_zone_with_visits_is_refused_beside_its_field(
    course: Course, lyon: Site, dora: User, sign_in
) -> None:
    client, page = sign_in(dora), reverse("resources:site", args=[lyon.public_id])
    fields = ("name", "street", "city", "phone", "email", "language", "paper", "time_zone")
    typed = {"what": "contact"} | {f"contact-{name}": getattr(lyon, name) for name in fields} | seen_on(client, page)

    refused = client.post(page, typed | {"contact-time_zone": "Europe/London"})
    assert refused.status_code == 400
    assert refused.context["forms"]["contact"].errors["time_zone"] == [
        "4 visits are booked here: their hours would change with the time zone. Move or cancel them first."
    ]
    assert client.post(page, typed | {"contact-phone": "+33 4 99 99 99 99"}).status_code == 302
    lyon.refresh_from_db()
    assert lyon.phone == "+33 4 99 99 99 99"
    assert Message.objects.filter(state__in=MessageState.UNSENT, text__contains="+33 4 99 99 99 99").count() == 13


def test_clinic_is_renamed_on_the_page_of_its_sites(course: Course, dora: User, sign_in) -> None:
    page = reverse("resources:sites")
    client = sign_in(dora)
    assert client.post(page, {"name": ""}).status_code == 400
    assert client.post(page, {"name": "Clinique Neuve"} | seen_on(client, page)).status_code == 302
    assert Message.objects.filter(state__in=MessageState.UNSENT, text__contains="Clinique Neuve").count() == 13


def test_practitioner_who_left_is_not_booked(plan: Plan, lyon: Site, ada: User, cleo: User, dora: User) -> None:
    deactivate_person(person=ada, by=dora)
    with pytest.raises(InvalidInput, match="does not work at Lyon"):
        book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
