"""What a mail copied is renewed when its source changes; what is owed is withdrawn and planned anew."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import Clinic
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from mesoclinic.messaging.actions import WITHDRAWN
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.sending import delivery
from mesoclinic.staff.actions import rename_clinic, update_person, update_site
from patients.actions.record import merge_patients, undo_merge, update_patient
from patients.models import Patient, PatientStatus
from sessions.booking.actions import cancel_appointment
from sessions.inbox import answers
from sessions.inbox.answers import choose_mails
from sessions.mail import links, rewriting
from sessions.models import Appointment, Course
from sessions.models.followups import AnswerLink, FollowUp, FollowUpState
from sessions.renewal.copies import Copy
from tests.sessions import factories as make

WHY = "Same identity card"


def waiting(**where) -> list[Message]:
    return list(Message.objects.filter(state__in=MessageState.UNSENT, **where).order_by("pk"))


def purposes(**where) -> list[str]:
    return sorted(message.purpose for message in waiting(**where))


def change(patient: Patient, *, by, **changes) -> None:
    update_patient(patient=patient, changes=changes, by=by, confirmed=True)


def send_confirmation() -> None:
    """Let the hold pass: the confirmation leaves, the reminders wait."""
    Message.objects.filter(purpose="booking").update(due_at=timezone.now() - timedelta(minutes=1))
    delivery.deliver_due()


# ------------------------------------------------------------------ who it goes to, and what it says


def test_new_address_reaches_every_waiting_mail_and_its_invitation(course: Course, teodor: Patient, cleo) -> None:
    before = purposes()
    assert len(before) == 13  # the confirmation, and three reminders of each of four visits

    change(teodor, by=cleo, email="right@example.org")

    assert purposes() == before
    for message in waiting():
        assert message.to_address == "right@example.org"
        for file in message.attachments:
            assert "mailto:right@example.org" in file["text"].replace("\r\n ", "")
            assert "teodor@example.org" not in file["text"].replace("\r\n ", "")


def test_failed_mail_is_sent_again_to_the_new_address(course: Course, teodor: Patient, cleo) -> None:
    failed = waiting(purpose="reminder_7d")[0]
    Message.objects.filter(pk=failed.pk).update(state=MessageState.FAILED, attempts=6, failures=6)

    change(teodor, by=cleo, email="right@example.org")

    failed.refresh_from_db()
    assert (failed.state, failed.to_address) == (MessageState.FAILED, "right@example.org")


def test_sent_mail_keeps_the_address_it_went_to(course: Course, teodor: Patient, cleo) -> None:
    send_confirmation()
    change(teodor, by=cleo, email="right@example.org")

    assert Message.objects.get(purpose="booking").to_address == "teodor@example.org"


def test_claimed_mail_that_was_not_begun_is_taken_back(course: Course, teodor: Patient, cleo) -> None:
    """A worker has it in hand while the address changes: it does not leave with the old one."""
    lease = uuid4()
    Message.objects.filter(purpose="booking").update(due_at=timezone.now())
    assert delivery.claim(lease) == 1
    change(teodor, by=cleo, email="right@example.org")

    message = Message.objects.get(purpose="booking")
    assert (message.state, message.to_address) == (MessageState.QUEUED, "right@example.org")
    assert not delivery.begin(message, lease)


def test_mail_that_missed_a_change_is_written_anew_just_before_it_leaves(course: Course, teodor: Patient) -> None:
    """The address changed unseen, as by a restored table or another transaction at the same instant."""
    Patient.objects.filter(pk=teodor.pk).update(email="right@example.org")
    Message.objects.filter(purpose="booking").update(due_at=timezone.now() - timedelta(minutes=1))
    delivery.deliver_due()

    assert [sent.to for sent in mail.outbox] == [["right@example.org"]]
    assert Message.objects.get(purpose="booking").to_address == "right@example.org"


def test_another_language_words_every_waiting_mail_anew(course: Course, teodor: Patient, cleo) -> None:
    change(teodor, by=cleo, language="fr")

    assert {message.language for message in waiting()} == {"fr"}
    prepare = waiting(purpose="prepare")[0]
    assert "Bonjour" in prepare.text
    assert 'lang="fr"' in prepare.html


def test_renewal_stands_in_the_trail_once_for_the_person(course: Course, teodor: Patient, cleo) -> None:
    change(teodor, by=cleo, email="right@example.org")

    [event] = AuditEvent.objects.filter(action="messages.renewed")
    assert (event.patient_id, len(event.details["messages"])) == (teodor.public_id, 13)


def test_change_that_no_mail_copies_writes_nothing_anew(course: Course, teodor: Patient, cleo) -> None:
    change(teodor, by=cleo, phone="+33 4 11 22 33 44")
    assert not AuditEvent.objects.filter(action="messages.renewed").exists()


def test_renewal_reads_the_rows_in_a_fixed_number_of_queries(
    course: Course, django_assert_num_queries, teodor: Patient
) -> None:
    one, all_of_them = waiting(purpose="booking"), waiting()
    for messages in (one, all_of_them):
        Patient.objects.filter(pk=teodor.pk).update(given_name="Theodor")
        wordings = len({(message.purpose, message.language) for message in messages})
        with django_assert_num_queries(6 + wordings):
            assert len(rewriting.written_anew(messages)) == len(messages)


# ------------------------------------------------------------------ the links that left


def test_links_that_left_are_closed_with_the_change_and_those_that_wait_keep_working(
    course: Course, teodor: Patient, cleo
) -> None:
    send_confirmation()
    sent = AnswerLink.objects.get(purpose="booking")

    update_patient(patient=teodor, changes={"email": "right@example.org"}, by=cleo, close_links=True)

    sent.refresh_from_db()
    assert sent.revoked_at is not None
    assert AnswerLink.objects.filter(revoked_at__isnull=True).count() == 12


def test_closed_link_of_a_mail_that_is_tried_again_gets_a_new_address(course: Course, teodor: Patient, cleo) -> None:
    """It was tried once and may have been read; the next try must not carry an address that leads nowhere."""
    message = waiting(purpose="reminder_7d")[0]
    Message.objects.filter(pk=message.pk).update(state=MessageState.FAILED, attempts=1)
    link = AnswerLink.objects.get(purpose="reminder_7d", subject_id=message.subject_id)
    old = links.url_of(link)
    assert old in message.text

    links.revoke_links(patient=teodor, by=cleo)

    message.refresh_from_db()
    link.refresh_from_db()
    assert links.is_open(link, at=timezone.now())
    assert links.url_of(link) != old
    assert links.url_of(link) in message.text
    assert old not in message.text


# ------------------------------------------------------------------ what is owed: off and on again


@pytest.mark.parametrize(
    ("off", "on"),
    [
        ({"contact_allowed": False}, {"contact_allowed": True}),
        ({"status": PatientStatus.DECEASED}, {"status": PatientStatus.ACTIVE}),
        ({"status": PatientStatus.MOVED_AWAY}, {"status": PatientStatus.ACTIVE}),
        (
            {"email": "", "contact_allowed": False},
            {"email": "teodor@example.org", "contact_allowed": True},
        ),
    ],
    ids=["consent", "deceased by mistake", "moved away and back", "address"],
)
def test_what_booked_visits_owe_is_withdrawn_and_planned_anew(course: Course, teodor: Patient, cleo, off, on) -> None:
    before = purposes()
    planned = FollowUp.objects.filter(state=FollowUpState.PLANNED).count()

    change(teodor, by=cleo, **off)
    assert purposes() == []
    assert set(Message.objects.values_list("state", "last_error")) == {(MessageState.CANCELLED, WITHDRAWN)}
    assert set(FollowUp.objects.values_list("state", "reason")) == {("void", "not_written_to")}

    change(teodor, by=cleo, **on)
    assert purposes() == before
    assert FollowUp.objects.filter(state=FollowUpState.PLANNED).count() == planned
    assert Message.objects.count() == len(before)


def test_reminders_are_planned_for_what_was_booked_without_an_address(plan, lyon, ada, cleo, teodor: Patient) -> None:
    from sessions.booking.actions import book_course

    change(teodor, by=cleo, contact_allowed=False)
    book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    assert purposes() == []

    change(teodor, by=cleo, contact_allowed=True)
    assert purposes() == sorted(4 * ["prepare", "reminder_24h", "reminder_7d"])


def test_visit_that_was_cancelled_meanwhile_stays_off(course: Course, teodor: Patient, cleo) -> None:
    change(teodor, by=cleo, contact_allowed=False)
    visit = course.appointments.get(number=4)
    cancel_appointment(appointment=visit, by=cleo)

    change(teodor, by=cleo, contact_allowed=True)
    assert purposes(subject_id=visit.public_id) == []
    assert len(purposes()) == 9


def test_mails_that_were_switched_off_by_link_come_back_with_the_choice(course: Course, teodor: Patient) -> None:
    link = AnswerLink.objects.filter(purpose="reminder_7d").first()
    assert link is not None
    choose_mails(link, reminders=False, questions=True, offers=True)
    assert "reminder_7d" not in purposes()

    choose_mails(link, reminders=True, questions=True, offers=True)
    assert purposes().count("reminder_7d") == 4
    assert purposes().count("prepare") == 4


# ------------------------------------------------------------------ two records of one person


@pytest.fixture
def twin(cleo, lyon) -> Patient:
    return make.patient(by=cleo, site=lyon, given_name="Theodor", email="theodor@example.org")


def test_merged_records_visits_and_mails_belong_to_the_record_that_remains(
    course: Course, teodor: Patient, twin: Patient, cleo, sign_in
) -> None:
    before = purposes()
    merge_patients(merged=teodor, into=twin, reason=WHY, by=cleo, confirmed=True)

    assert set(course.appointments.values_list("patient", flat=True)) == {twin.pk}
    assert purposes() == before
    assert {(message.to_address, message.person_id) for message in waiting()} == {
        ("theodor@example.org", twin.public_id)
    }
    page = sign_in(cleo).get(reverse("sessions:patient", args=[twin.public_id]))
    assert page.context["next_visit"] == course.appointments.get(number=1)


def test_undoing_the_merge_gives_back_visits_and_mails(course: Course, teodor: Patient, twin: Patient, cleo) -> None:
    before = purposes()
    merge = merge_patients(merged=teodor, into=twin, reason=WHY, by=cleo, confirmed=True)
    undo_merge(merge=merge, by=cleo)

    assert set(course.appointments.values_list("patient", flat=True)) == {teodor.pk}
    assert purposes() == before
    assert {(message.to_address, message.person_id) for message in waiting()} == {
        ("teodor@example.org", teodor.public_id)
    }
    assert set(FollowUp.objects.values_list("patient", "state")) == {(teodor.pk, "planned")}


def test_merge_into_a_record_that_is_not_written_to_and_back(
    course: Course, teodor: Patient, twin: Patient, cleo
) -> None:
    before = purposes()
    change(twin, by=cleo, contact_allowed=False)
    merge = merge_patients(merged=teodor, into=twin, reason=WHY, by=cleo, confirmed=True)
    assert purposes() == []

    undo_merge(merge=merge, by=cleo)
    assert purposes() == before


def test_merge_of_two_visits_at_one_time_is_refused(
    course: Course, teodor: Patient, twin: Patient, ada, ben, cleo, lyon
) -> None:
    first = course.appointments.get(number=1)
    other = make.plan(patient=twin, by=ada)
    Appointment.objects.create(
        course=Course.objects.create(plan=other, booked_at=timezone.now(), booked_by=cleo),
        number=1,
        patient=twin,
        practitioner=ben,
        room=make.room(site=lyon, name="Room 9"),
        site=lyon,
        starts_at=first.starts_at,
        ends_at=first.ends_at,
        created_by=cleo,
    )
    with pytest.raises(InvalidTransition, match="Both records have a visit booked at the same time"):
        merge_patients(merged=teodor, into=twin, reason=WHY, by=cleo, confirmed=True)
    teodor.refresh_from_db()
    assert teodor.status == PatientStatus.ACTIVE


def test_link_that_was_sent_before_the_merge_still_finds_its_visit(
    course: Course, teodor: Patient, twin: Patient, cleo
) -> None:
    link = AnswerLink.objects.get(purpose="reminder_24h", subject_id=course.appointments.get(number=1).public_id)
    merge_patients(merged=teodor, into=twin, reason=WHY, by=cleo, confirmed=True)

    link.refresh_from_db()
    subject = answers.subject_of(link)
    assert [visit.number for visit in subject.visits] == [1]
    assert answers.confirm(subject).patient == twin


# ------------------------------------------------------------------ the site, its people, the clinic


def test_site_that_changes_its_phone_says_so_in_every_waiting_mail(course: Course, lyon, dora) -> None:
    update_site(site=lyon, changes={"phone": "+33 4 99 99 99 99", "street": "1 rue Neuve"}, by=dora)

    for message in waiting():
        assert "+33 4 99 99 99 99" in message.text
        assert "1 rue Neuve" in message.text
        assert "14 quai des Tilleuls" not in message.text + str(message.attachments)


def test_more_letters_than_one_waits_for_are_left_to_the_worker(course: Course, lyon, dora, monkeypatch) -> None:
    from sessions.renewal import renew as renewal

    monkeypatch.setattr(renewal, "AT_ONCE", 2)
    queued: list[str] = []
    monkeypatch.setattr("sessions.tasks.renew_stale_letters.delay_on_commit", lambda: queued.append("renew"))
    update_site(site=lyon, changes={"phone": "+33 4 99 99 99 99"}, by=dora)

    assert queued == ["renew"]
    assert sum("+33 4 99 99 99 99" in message.text for message in waiting()) == 2
    assert rewriting.renew_stale_letters(by=None) == 11
    assert all("+33 4 99 99 99 99" in message.text for message in waiting())


def test_another_time_zone_is_refused_while_visits_are_to_come(course: Course, lyon, dora) -> None:
    with pytest.raises(InvalidTransition, match="4 visits are booked here: their hours would change") as refusal:
        update_site(site=lyon, changes={"time_zone": "Europe/London"}, by=dora)
    assert refusal.value.field == "time_zone"
    lyon.refresh_from_db()
    assert lyon.time_zone == "Europe/Paris"


def test_time_zone_that_does_not_exist_is_refused_beside_its_field(lyon, dora) -> None:
    with pytest.raises(InvalidInput, match="is not a time zone") as refusal:
        update_site(site=lyon, changes={"time_zone": "Paris"}, by=dora)
    assert refusal.value.field == "time_zone"


def test_practitioner_who_changes_name_is_named_so_in_waiting_mails(course: Course, ada, dora, lyon) -> None:
    assert any("Moreau" in message.text for message in waiting())
    update_person(
        person=ada,
        title="Dr",
        given_name="Ada",
        family_name="Fontaine",
        language="en",
        roles=["practitioner"],
        sites=[lyon],
        by=dora,
    )
    assert any("Fontaine" in message.text for message in waiting())
    assert not any("Moreau" in message.text for message in waiting())


def test_clinic_that_is_renamed_says_so_in_every_waiting_mail(course: Course, dora) -> None:
    clinic = Clinic.objects.get()
    rename_clinic(clinic=clinic, name="Clinique Neuve", by=dora)

    for message in waiting():
        assert "Clinique Neuve" in message.text
        assert clinic.name == "Clinique Neuve"
        assert "Clinique des Tilleuls" not in message.text + message.html + str(message.attachments)


def test_copies_name_what_they_are() -> None:
    assert [copy.value for copy in Copy] == [
        "belongings",
        "owed",
        "mails",
        "links",
        "prints",
        "plans",
        "visits",
        "search",
    ]
