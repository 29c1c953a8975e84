"""The pages about visits: what they show, to whom, in how many queries."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.access import Permission
from mesoclinic.audit.models import AuditEvent
from mesoclinic.messaging.models import Message, MessageState
from patients.actions.day_check import confirm_unchanged, record_changes
from patients.intake.day_checks import Answers
from patients.models import Intake, Patient
from patients.record.strip import patient_strip
from protocols.models import Plan
from sessions.booking.actions import set_appointment_status
from sessions.models import Appointment, AppointmentStatus, Closure, Course, TreatmentSession
from tests.factories import PASSWORD
from tests.sessions import factories as make


@pytest.fixture(autouse=True)
def _forget_attempts():
    cache.clear()


def text_of(response) -> str:
    """What a reader sees: no tags, one space between words."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", response.content.decode(), flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


@pytest.fixture
def todays(course) -> Appointment:
    """The first session, today at noon of the site."""
    first = course.appointments.get(number=1)
    noon = datetime.combine(timezone.now().astimezone(first.site.tz).date(), time(12), tzinfo=first.site.tz)
    Appointment.objects.filter(pk=first.pk).update(starts_at=noon, ends_at=noon + timedelta(minutes=38))
    first.refresh_from_db()
    return first


# ------------------------------------------------------------------ who may see what

URLS = {
    "sessions:appointment": lambda visit: [visit.public_id],
    "sessions:session_record": lambda visit: [visit.public_id],
    "sessions:patient": lambda visit: [visit.patient.public_id],
    "sessions:course_book": lambda visit: [visit.course.plan.public_id],
}
POSTS = {
    "sessions:appointment_status": lambda visit: [visit.public_id],
    "sessions:appointment_cancel": lambda visit: [visit.public_id],
    "sessions:session_record": lambda visit: [visit.public_id],
    "sessions:course_book": lambda visit: [visit.course.plan.public_id],
    "sessions:course_cancel": lambda visit: [visit.course.public_id],
}


@pytest.mark.parametrize("name", URLS)
def test_page_of_another_site_does_not_exist(name: str, todays, dan, ada, sign_in) -> None:
    url = reverse(name, args=URLS[name](todays))

    assert sign_in(dan).get(url).status_code == 404
    assert sign_in(ada).get(url).status_code == 200


@pytest.mark.parametrize("name", POSTS)
def test_change_at_another_site_does_not_exist(name: str, todays, dan, sign_in) -> None:
    assert sign_in(dan).post(reverse(name, args=POSTS[name](todays)), {"status": "arrived"}).status_code == 404
    todays.refresh_from_db()
    assert todays.status == "booked"


def test_today_of_another_site_shows_nobody_of_ours(todays, dan, sign_in) -> None:
    page = text_of(sign_in(dan).get("/"))

    assert "Brandvold" not in page
    assert "No visits on this day" in page


def test_receptionist_sees_that_plan_and_session_exist_but_not_what_is_in_them(todays, ada, cleo, sign_in) -> None:
    record(sign_in(ada), todays)
    pages = [
        text_of(sign_in(cleo).get(reverse("sessions:patient", args=[todays.patient.public_id]))),
        text_of(sign_in(cleo).get(reverse("sessions:appointment", args=[todays.public_id]))),
    ]

    assert "Plan 1 Active" in pages[0]
    assert "Session 1 Done" in pages[0]
    assert "What was injected is for clinical staff." in pages[1]
    for page in pages:
        assert not [word for word in ("Biotin", "Dexpanthenol", "0.50", "2.00 mL", "olerance") if word in page]
    seen = text_of(sign_in(ada).get(reverse("sessions:patient", args=[todays.patient.public_id])))
    assert "2.00 mL injected, tolerance 2 of 5." in seen


def test_receptionist_has_no_page_to_record_on(todays, cleo, sign_in) -> None:
    assert sign_in(cleo).get(reverse("sessions:session_record", args=[todays.public_id])).status_code == 403


def test_each_page_of_a_patient_leaves_one_audit_event(todays, ada, sign_in) -> None:
    client = sign_in(ada)
    for name, action in (
        ("sessions:patient", "patient.viewed"),
        ("sessions:appointment", "appointment.viewed"),
        ("sessions:session_record", "session.opened"),
        ("sessions:course_book", "course.planned"),
    ):
        before = AuditEvent.objects.count()
        client.get(reverse(name, args=URLS[name](todays)))
        event = AuditEvent.objects.order_by("-id").first()
        assert (AuditEvent.objects.count() - before, event.action, event.patient_id) == (
            1,
            action,
            todays.patient.public_id,
        )


# ------------------------------------------------------------------ Today


def test_today_shows_the_visit_with_its_next_action(todays, cleo, sign_in, lyon) -> None:
    page = text_of(sign_in(cleo).get("/"))

    assert "12:00 38 min Teodor Brandvold * born 8 Jun 1987 Session 1 of 4 Room 1 Dr Ada Moreau" in page
    assert "Check in , Teodor Brandvold" in page
    assert "Europe/Paris" in page


def test_check_in_comes_back_to_the_day_and_can_be_undone(todays, cleo, ben, sign_in) -> None:
    client = sign_in(cleo)
    day = timezone.now().astimezone(todays.site.tz).date().isoformat()
    url = reverse("sessions:appointment_status", args=[todays.public_id])

    arrived = client.post(url, {"status": "arrived", "day": day}, follow=True)
    assert arrived.redirect_chain == [(f"/day/{day}/", 302)]
    assert "Teodor Brandvold is checked in." in text_of(arrived)
    assert "Undo check-in" in text_of(arrived)
    assert "Record session" in text_of(sign_in(ben).get("/"))
    assert "Record session" not in text_of(client.get("/"))  # reception books; it does not treat

    undone = client.post(url, {"status": "booked", "day": day}, follow=True)
    assert "Check in , Teodor Brandvold" in text_of(undone)


def test_refused_change_says_why_on_the_page(course, cleo, sign_in) -> None:
    visit = course.appointments.get(number=1)
    url = reverse("sessions:appointment_status", args=[visit.public_id])

    refused = sign_in(cleo).post(url, {"status": "arrived"})
    assert refused.status_code == 409
    assert "it cannot be begun before its day." in text_of(refused)
    assert sign_in(cleo).post(url, {"status": "nonsense"}).status_code == 409


def test_filter_is_in_the_address(todays, ada, rooms, dora, lyon, sign_in) -> None:
    client = sign_in(dora)

    assert "Teodor" in text_of(client.get("/?who=all"))
    assert "No visit matches this filter" in text_of(client.get("/?who=me"))
    assert "Teodor" in text_of(client.get(f"/?room={rooms[0].public_id}"))
    assert "Teodor" not in text_of(client.get(f"/?room={rooms[1].public_id}"))
    assert "Teodor" in text_of(sign_in(ada).get("/?who=me"))


def test_another_day_is_one_form_away(todays, cleo, sign_in) -> None:
    client = sign_in(cleo)
    tomorrow = date(2031, 3, 4)

    assert client.get("/?on=2031-03-04").headers["Location"] == "/day/2031-03-04/"
    assert "Tuesday 4 March 2031" in text_of(client.get("/day/2031-03-04/"))
    assert "No visits on this day" in text_of(client.get(reverse("sessions:day", args=[tomorrow])))
    assert client.get("/day/2031-02-30/").status_code == 404


def test_day_begins_and_ends_at_the_sites_midnight(course, cleo, lyon, sign_in) -> None:
    visit = course.appointments.get(number=1)
    late = datetime(2031, 1, 1, 0, 10, tzinfo=lyon.tz)  # still the year before in UTC
    Appointment.objects.filter(pk=visit.pk).update(starts_at=late, ends_at=late + timedelta(minutes=38))

    assert "Teodor" in text_of(sign_in(cleo).get("/day/2031-01-01/"))
    assert "Teodor" not in text_of(sign_in(cleo).get("/day/2030-12-31/"))


def test_needs_you_names_unbooked_plans_drafts_and_failed_mail(plan, ada, cleo, dora, sign_in, lyon) -> None:
    draft = make.plan(
        patient=make.patient(by=cleo, given_name="Noor", family_name="Castellanos"), by=ada, status="draft"
    )
    other = make.plan(patient=make.patient(by=cleo, given_name="Ilse", family_name="Fenn"), by=ada)
    from sessions.booking.actions import book_course

    course = book_course(plan=other, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    Message.objects.filter(purpose="booking", subject_id=course.public_id).update(state=MessageState.FAILED)

    page = text_of(sign_in(ada).get("/"))
    assert "Needs you 3" in page
    assert "Course not booked Teodor Brandvold, plan signed" in page
    assert "Plan to sign Noor Castellanos, drafted" in page
    assert "A message did not arrive Ilse Fenn: Your appointments at" in page
    assert "Plan to sign" not in text_of(sign_in(cleo).get("/"))
    assert draft.status == "draft"


def many_visits(count: int, *, ada, cleo, lyon, room) -> None:
    """One-minute visits of as many patients, back to back, today."""
    plan = make.plan(patient=make.patient(by=cleo), by=ada)
    start = datetime.combine(timezone.now().astimezone(lyon.tz).date(), time(8), tzinfo=lyon.tz)
    numbers = range(plan.pk * 1000, plan.pk * 1000 + count)
    people = Patient.objects.bulk_create(
        [
            Patient(
                number=number,
                given_name="Person",
                family_name=str(number),
                birth_date=date(1990, 1, 1),
                sex_at_birth="female",
                email="p@example.org",
                contact_allowed=True,
                site=lyon,
                search_key="person",
                created_by=cleo,
            )
            for number in numbers
        ]
    )
    now = timezone.now()
    Intake.objects.bulk_create(
        [
            Intake(patient=who, number=1, status="submitted", started_by=cleo, submitted_by=cleo, submitted_at=now)
            for who in people
        ]
    )
    intakes = {intake.patient_id: intake for intake in Intake.objects.filter(patient__in=people)}
    plans = Plan.objects.bulk_create(
        [
            Plan(
                patient=who,
                intake=intakes[who.pk],
                formulary=plan.formulary,
                number=1,
                status="signed",
                case={},
                policy={},
                engine_version="test",
                proposal={},
                result=plan.result,
                created_by=ada,
                responsible=ada,
                signed_at=now,
                signed_by=ada,
                signature_sha256="f" * 64,
            )
            for who in people
        ]
    )
    courses = Course.objects.bulk_create([Course(plan=one, booked_at=now, booked_by=cleo) for one in plans])
    Appointment.objects.bulk_create(
        [
            Appointment(
                course=course,
                number=1,
                patient=course.plan.patient,
                practitioner=ada,
                room=room,
                site=lyon,
                starts_at=start + timedelta(minutes=place),
                ends_at=start + timedelta(minutes=place + 1),
                created_by=cleo,
            )
            for place, course in enumerate(courses)
        ]
    )


def counted(captured: CaptureQueriesContext) -> int:
    """Queries for data. Waiting for one's turn in the audit trail is one more statement on PostgreSQL alone."""
    return sum("pg_advisory" not in query["sql"] for query in captured.captured_queries)


def queries(client, url: str) -> int:
    client.get(url)  # what is cached per process is cached now
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return counted(captured)


TODAY_QUERIES = 57


@pytest.mark.parametrize("count", [3, 300])
@pytest.mark.instant("2026-12-02T07:00+01:00")  # all of them lie ahead
def test_today_costs_the_same_at_3_and_at_300_visits(count, ada, cleo, lyon, rooms, sign_in) -> None:
    many_visits(count, ada=ada, cleo=cleo, lyon=lyon, room=rooms[0])

    assert queries(sign_in(ada), "/") == TODAY_QUERIES


# ------------------------------------------------------------------ the patient's page

PATIENT_QUERIES = 34  # beside those of the strip, which the patients part counts itself


@pytest.mark.parametrize("more", [0, 45])
def test_patient_page_costs_the_same_at_few_and_at_many_events(more, course, teodor, ada, sign_in) -> None:
    first = course.appointments.get(number=1)
    for place in range(more):
        start = first.starts_at + timedelta(days=400 + place)
        Appointment.objects.create(
            course=course,
            number=50 + place,
            patient=teodor,
            practitioner=ada,
            room=first.room,
            site=first.site,
            starts_at=start,
            ends_at=start + timedelta(minutes=30),
            created_by=ada,
        )

    patient_strip(teodor)
    with CaptureQueriesContext(connection) as of_strip:
        patient_strip(teodor)

    found = queries(sign_in(ada), reverse("sessions:patient", args=[teodor.public_id]))
    assert found - counted(of_strip) == PATIENT_QUERIES


def step(client, patient) -> str:
    """The one filled button of the patient's page."""
    page = client.get(reverse("sessions:patient", args=[patient.public_id])).content.decode()
    found = re.findall(r'class="btn btn-primary"[^>]*>(.*?)</(?:a|button)>', page, flags=re.S)
    return " and ".join(re.sub(r"<[^>]+>", "", button).strip() for button in found)


def test_next_step_leads_from_intake_to_booked_course(ada, cleo, lyon, rooms, sign_in) -> None:
    client, patient = sign_in(ada), make.patient(by=cleo)
    assert step(client, patient) == "Start intake"

    draft = make.plan(patient=patient, by=ada, status="draft")
    assert step(client, patient) == "Review and sign plan"

    Plan.objects.filter(pk=draft.pk).update(status="discarded")
    assert step(client, patient) == "New plan"

    plan = make.plan(patient=patient, by=ada)
    assert step(client, patient) == "Book course"

    from sessions.booking.actions import book_course

    book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=cleo)
    assert step(client, patient) == ""


def test_timeline_shows_messages_with_their_state_and_can_be_filtered(course, teodor, ada, sign_in) -> None:
    url = reverse("sessions:patient", args=[teodor.public_id])
    whole = text_of(sign_in(ada).get(f"{url}?t=all"))
    mails = text_of(sign_in(ada).get(f"{url}?t=messages"))

    assert "Confirmation Held, can be undone To teodor@example.org." in whole
    assert "Intake 1 Submitted" in whole
    assert "Reminder, the day before Waiting" in mails
    assert "Intake 1 Submitted" not in mails


def test_story_folds_mails_under_what_they_are_about_and_what_is_to_come_apart(course, teodor, ada, sign_in) -> None:
    page = sign_in(ada).get(reverse("sessions:patient", args=[teodor.public_id])).content.decode()

    ahead, behind = page.split('class="tl-now"')
    assert re.search(r"<b>Ahead:</b> 4 visits, \d+ mails", ahead)
    plan = behind[behind.index("Plan 1") :]
    assert re.search(r'<details class="mls" open>.*?1 mail: Confirmation', plan, flags=re.S), "it can still be undone"
    session = ahead[ahead.index("Session 1") :]
    assert re.search(r'<details class="mls"><summary>.*?Reminder, 7 days before', session, flags=re.S)


@pytest.mark.parametrize(("status", "shown"), [("booked", "Booked"), ("arrived", "Arrived")])
def test_now_stands_on_top_with_the_visit_of_today(todays, ben, sign_in, status: str, shown: str) -> None:
    Appointment.objects.filter(pk=todays.pk).update(status=status)

    page = text_of(sign_in(ben).get(reverse("sessions:patient", args=[todays.patient.public_id])))

    above, _below = page.split(" Next visit ", 1)
    assert f"Session {todays.number} today at " in above and shown in above.split("Now ")[-1]


def test_next_visit_has_move_cancel_and_prints(course, teodor, ada, dan, cleo, sign_in) -> None:
    visit = course.appointments.order_by("starts_at").first()
    url = reverse("sessions:patient", args=[teodor.public_id])

    page, reception = (sign_in(who).get(url).content.decode() for who in (ada, cleo))

    for name in ("appointment_move", "appointment_cancel", "visit_document", "visit_dates"):
        assert f'"{reverse(f"sessions:{name}", args=[visit.public_id])}"' in page, name
    assert "Preparation sheet" not in reception
    assert f'"{reverse("sessions:visit_dates", args=[visit.public_id])}"' in reception


@pytest.mark.parametrize(("status", "offered"), [("booked", True), ("cancelled", False), ("no_show", False)])
def test_preparation_sheet_is_offered_for_a_visit_that_takes_place(todays, ada, sign_in, status, offered) -> None:
    Appointment.objects.filter(pk=todays.pk).update(status=status)

    page = text_of(sign_in(ada).get(reverse("sessions:appointment", args=[todays.public_id])))

    assert ("Preparation sheet" in page) is offered


def test_timeline_draws_a_line_between_what_is_to_come_and_what_was(course, teodor, ada, sign_in) -> None:
    url = reverse("sessions:patient", args=[teodor.public_id])
    whole = text_of(sign_in(ada).get(f"{url}?t=all"))
    above, below = whole.split(" Now ")

    assert "Session 1 Booked" in above and "Reminder, the day before Waiting" in above
    assert "Plan 1 Signed" in below and "Booked" not in below
    assert " Now " not in text_of(sign_in(ada).get(f"{url}?t=intakes")), "nothing is to come there"


def test_patient_without_address_is_marked(ada, cleo, rooms, sign_in) -> None:
    patient = make.patient(by=cleo, email="")

    page = text_of(sign_in(ada).get(reverse("sessions:patient", args=[patient.public_id])))
    assert "No e-mail: hand over the printed dates." in page


# ------------------------------------------------------------------ booking


def fields_of(response) -> dict[str, list[str]]:
    """What the booking form of the page would send."""
    form = re.search(r'<form class="mc-bar-in.*?</form>', response.content.decode(), flags=re.S)
    assert form, "no form to book with"
    sent: dict[str, list[str]] = {}
    for name, value in re.findall(r'name="([\w-]+)" value="([^"]*)"', form.group(0)):
        sent.setdefault(name, []).append(value)
    return sent


def test_course_is_booked_in_two_clicks_and_undone_in_one(plan, teodor, cleo, sign_in) -> None:
    client = sign_in(cleo)
    page = client.get(reverse("sessions:course_book", args=[plan.public_id]))
    assert "4 sessions of 38 minutes in Lyon (Europe/Paris). Nothing is held until you book." in text_of(page)
    assert Appointment.objects.count() == 0

    booked = client.post(reverse("sessions:course_book", args=[plan.public_id]), fields_of(page), follow=True)
    assert booked.redirect_chain == [(f"/patients/{teodor.public_id}/", 302)]
    assert "4 sessions are booked. The confirmation leaves in a few minutes." in text_of(booked)
    assert Appointment.objects.filter(status="booked").count() == 4

    undo = re.search(r'action="(/courses/[^"]+/cancel/[^"]*)"', booked.content.decode())
    assert undo
    client.post(undo.group(1).replace("&amp;", "&"))
    assert Appointment.objects.filter(status="booked").count() == 0
    assert set(Message.objects.exclude(purpose="unbooked").values_list("state", flat=True)) == {"cancelled"}


def test_undo_takes_back_only_what_was_just_booked(course, plan, cleo, sign_in) -> None:
    from sessions.booking.actions import cancel_course as cancel

    cancel(course=course, numbers=[3, 4], by=cleo)
    client, url = sign_in(cleo), reverse("sessions:course_book", args=[plan.public_id])
    booked = client.post(url, fields_of(client.get(url)), follow=True)
    assert "2 sessions are booked." in text_of(booked)

    undo = re.search(r'action="(/courses/[^"]+/cancel/[^"]*)"', booked.content.decode())
    assert undo
    client.post(undo.group(1).replace("&amp;", "&"))
    assert list(course.appointments.filter(status="booked").values_list("number", flat=True)) == [1, 2]


def test_visit_is_cancelled_with_the_later_ones(course, cleo, sign_in) -> None:
    client, visit = sign_in(cleo), course.appointments.get(number=2)
    page = client.get(reverse("sessions:appointment", args=[visit.public_id]))
    assert "Cancel it and the 2 later visits" in text_of(page)

    client.post(page.context["cancel_rest_url"])
    assert list(course.appointments.filter(status="booked").values_list("number", flat=True)) == [1]


def test_wishes_are_planned_again_and_kept_in_the_form(plan, cleo, ada, sign_in) -> None:
    wishes = {
        "practitioner": str(ada.public_id),
        "earliest": make.monday().isoformat(),
        "weekdays": ["3"],
        "not_before": "14:00",
    }
    page = sign_in(cleo).get(reverse("sessions:course_book", args=[plan.public_id]), wishes)
    sent = fields_of(page)

    starts = [datetime.fromisoformat(text) for text in sent["starts_at"]]
    assert {start.astimezone(plan.patient.site.tz).strftime("%a %H:%M") for start in starts} == {"Thu 14:00"}
    assert (sent["weekdays"], sent["not_before"]) == (["3"], ["14:00"])


def test_times_that_somebody_else_took_are_not_booked_silently(plan, cleo, ada, lyon, sign_in) -> None:
    client, url = sign_in(cleo), reverse("sessions:course_book", args=[plan.public_id])
    seen = fields_of(client.get(url))
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)
    other_url = reverse("sessions:course_book", args=[other.public_id])
    client.post(other_url, fields_of(client.get(other_url)))

    refused = client.post(url, seen)
    assert refused.status_code == 409
    assert "The times have changed since you saw them" in text_of(refused)
    again = fields_of(refused)
    assert again["starts_at"] != seen["starts_at"]
    assert client.post(url, again).status_code == 302


def test_no_time_is_explained_and_the_wishes_stay(plan, cleo, lyon, sign_in) -> None:
    for ahead in range(1, 400):
        Closure.objects.create(site=lyon, day=timezone.now().date() + timedelta(days=ahead), reason="Works")

    page = sign_in(cleo).get(reverse("sessions:course_book", args=[plan.public_id]))
    assert page.status_code == 200
    assert "No complete series fits: session 1 finds no free time" in text_of(page)
    assert "Book and notify" not in text_of(page)


def test_patient_without_address_is_booked_without_mail(ada, cleo, rooms, sign_in) -> None:
    plan = make.plan(patient=make.patient(by=cleo, email=""), by=ada)
    url = reverse("sessions:course_book", args=[plan.public_id])
    client = sign_in(cleo)
    page = client.get(url)

    assert "No e-mail: hand over the printed dates." in text_of(page)
    assert "Book and notify" not in text_of(page)
    assert "No e-mail: hand over the printed dates." in text_of(client.post(url, fields_of(page), follow=True))
    assert Message.objects.count() == 0


def test_draft_plan_has_no_booking_page(teodor, ada, cleo, sign_in) -> None:
    draft = make.plan(patient=teodor, by=ada, status="draft")

    assert sign_in(cleo).get(reverse("sessions:course_book", args=[draft.public_id])).status_code == 404


def test_site_without_hours_says_so(ada, cleo, teodor, sign_in) -> None:
    plan = make.plan(patient=teodor, by=ada)

    page = sign_in(cleo).get(reverse("sessions:course_book", args=[plan.public_id]))
    assert page.status_code == 200
    assert "Book and notify" not in text_of(page)


# ------------------------------------------------------------------ one appointment


def test_cancelled_appointment_frees_its_time(course, teodor, cleo, sign_in) -> None:
    visit = course.appointments.get(number=2)
    gone = sign_in(cleo).post(reverse("sessions:appointment_cancel", args=[visit.public_id]), follow=True)

    assert "The appointment is cancelled." in text_of(gone)
    visit.refresh_from_db()
    assert (visit.status, visit.sequence) == ("cancelled", 1)
    again = sign_in(cleo).post(reverse("sessions:appointment_cancel", args=[visit.public_id]))
    assert again.status_code == 409


# ------------------------------------------------------------------ recording


def sent_by(page) -> dict[str, str]:
    form = page.context["form"]
    return {field.html_name: str(field.value() or "") for field in form if field.value() is not None}


def record(client, visit, **changes):
    url = reverse("sessions:session_record", args=[visit.public_id])
    given = sent_by(client.get(url)) | {"nothing_changed": "yes", "tolerance": "2", "password": PASSWORD}
    return client.post(url, given | changes)


def test_session_as_planned_is_recorded_from_the_prefilled_page(todays, ada, lyon, sign_in) -> None:
    lot = make.lot(ingredient="biotin", site=lyon, number="B-7")
    make.lot(ingredient="biotin", site=lyon, number="WRONG", concentration="10")
    answer = record(sign_in(ada), todays)

    assert answer.status_code == 302
    session = TreatmentSession.objects.get(appointment=todays)
    line = session.administrations.get(ingredient__key="biotin")
    assert (line.volume_ml, line.lot) == (Decimal("0.50"), lot)
    page = text_of(sign_in(ada).get(answer.headers["Location"]))
    assert "Biotin A 0.50 mL 0.50 mL 2.5 mg B-7" in page


ASK = re.compile(r'href="([^"]*/anything-changed/\?next=[^"]*)"')
UNCHANGED = Answers(facts={"fever_or_acute_illness": False}, new_medicines="", new_illness="", new_allergy="")


def test_what_has_changed_is_asked_on_the_way_and_prefills_the_record(todays, ada, cleo, sign_in) -> None:
    set_appointment_status(appointment=todays, status=AppointmentStatus.ARRIVED, by=cleo)
    client = sign_in(ada)
    pages = {
        "day": reverse("sessions:day", args=[todays.starts_at.astimezone(todays.site.tz).date()]),
        "visit": reverse("sessions:appointment", args=[todays.public_id]),
        "record": reverse("sessions:session_record", args=[todays.public_id]),
    }
    for page in pages.values():
        (link,) = ASK.findall(client.get(page).content.decode())
        assert link.endswith(f"?{urlencode({'next': page})}"), "it comes back to where it was asked"
    assert client.get(pages["record"]).context["form"]["nothing_changed"].value() is None

    confirm_unchanged(patient=todays.patient, answers=UNCHANGED, by=ada)

    for page in pages.values():
        assert ASK.findall(client.get(page).content.decode()) == []
    assert "Asked: nothing has changed" in text_of(client.get(pages["day"]))
    assert "Nothing has changed. Asked at" in text_of(client.get(pages["visit"]))
    assert client.get(pages["record"]).context["form"]["nothing_changed"].value() == "yes"


def test_what_has_changed_today_prefills_the_record_so(todays, ada, sign_in) -> None:
    ill = replace(UNCHANGED, facts={**UNCHANGED.facts, "fever_or_acute_illness": True})
    record_changes(patient=todays.patient, answers=ill, by=ada)
    page = sign_in(ada).get(reverse("sessions:session_record", args=[todays.public_id]))

    assert page.context["form"]["nothing_changed"].value() == "no"
    assert "Something has changed. Asked at" in text_of(page)
    assert "Asked: something has changed" in text_of(sign_in(ada).get("/"))


def test_who_may_not_read_intakes_is_not_told_what_changed(todays, ada, cleo, sign_in) -> None:
    set_appointment_status(appointment=todays, status=AppointmentStatus.ARRIVED, by=cleo)
    confirm_unchanged(patient=todays.patient, answers=UNCHANGED, by=ada)
    page = sign_in(cleo).get("/").content.decode()

    assert ("Asked:" in page, ASK.findall(page)) == (cleo.may(Permission.INTAKE_READ), [])


def test_unfit_lots_are_not_offered(todays, ada, lyon, sign_in) -> None:
    make.lot(ingredient="biotin", site=lyon, number="OLD", expires_on=date(2020, 1, 1))
    make.lot(ingredient="biotin", site=lyon, number="RECALLED", recalled_at=timezone.now())
    make.lot(ingredient="biotin", site=lyon, number="STRONG", concentration="10")
    make.lot(ingredient="biotin", site=lyon, number="EMPTY", received_ml="0")
    make.lot(ingredient="biotin", site=lyon, number="GOOD")
    page = sign_in(ada).get(reverse("sessions:session_record", args=[todays.public_id])).content.decode()

    assert [name for name in ("OLD", "RECALLED", "STRONG", "EMPTY", "GOOD") if name in page] == ["GOOD"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"volume-A-biotin": "0.45"}, "Biotin: 0.45 mL instead of 0.50 mL. Say why."),
        ({"volume-A-biotin": "0.60"}, "the plan was signed for 0.50 mL"),
        ({"volume-A-biotin": "much"}, "Write a number, for example 24 or 2.5."),
        ({"password": "wrong"}, "That is not your password."),
        ({"nothing_changed": "no"}, "Write what has changed since the last visit."),
        ({"tolerance": "9"}, "Select a valid choice"),
        ({"lot-A-biotin": "0"}, "is not a valid UUID"),
    ],
)
def test_wrong_record_is_refused_and_typed_words_stay(changes, said, todays, ada, sign_in) -> None:
    answer = record(
        sign_in(ada),
        todays,
        **{"note": "Pressed two minutes."} | changes if "nothing_changed" not in changes else changes,
    )

    assert answer.status_code in (400, 403, 409)
    assert said in text_of(answer)
    if "nothing_changed" not in changes:
        assert "Pressed two minutes." in answer.content.decode()
    assert TreatmentSession.objects.count() == 0
    assert PASSWORD not in answer.content.decode()


def test_visit_that_cannot_be_recorded_says_why(course, ada, sign_in) -> None:
    visit = course.appointments.get(number=2)

    page = text_of(sign_in(ada).get(reverse("sessions:session_record", args=[visit.public_id])))
    assert "This session cannot be recorded now." in page
    assert "Sign session" not in page


@pytest.mark.parametrize("name", ["", "day/2031-03-04/"])
def test_pages_hold_to_the_strict_policy(name: str, todays, ada, sign_in) -> None:
    client = sign_in(ada)
    pages = [client.get(f"/{name}")] + [client.get(reverse(url, args=URLS[url](todays))) for url in URLS]
    for page in pages:
        body = page.content.decode()
        assert not re.search(r"\sstyle=|\son\w+=|<style|hx-on|<script(?![^>]*\bsrc=)", body)


# ------------------------------------------------------------------ nonsense

NONSENSE = {
    "nothing": "",
    "word": "x",
    "null byte": "\0",
    "last day": "9999-12-31",
    "first day": "0001-01-01",
    "negative": "-1",
    "quote": "' OR 1=1 --",
    "emoji": "🧪" * 50,
    "tag": "<b>",
    "no such day": "2026-02-31T10:00:00Z",
    "not a number": "NaN",
}


@pytest.mark.parametrize("text", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_gets_a_page_or_a_message_never_a_crash(text: str, todays, plan, ada, cleo, sign_in) -> None:
    client = sign_in(ada)
    for name in ("on", "who", "room", "t", "n"):
        for url in ("/", reverse("sessions:patient", args=[todays.patient.public_id])):
            assert client.get(url, {name: text}).status_code in (200, 302)
    other = make.plan(patient=make.patient(by=cleo, given_name="Noor"), by=ada)
    url = reverse("sessions:course_book", args=[other.public_id])
    for name in ("weekdays", "not_before", "not_after", "practitioner", "room", "earliest", "starts_at"):
        given = {"practitioner": str(ada.public_id), "earliest": make.monday().isoformat(), name: text}
        assert client.get(url, given).status_code == 200
        assert client.post(url, given).status_code in (200, 302, 409)
        Appointment.objects.filter(course__plan=other).update(status="cancelled")
    for name in ("volume-A-biotin", "lot-A-biotin", "reason-A-biotin", "tolerance", "note", "nothing_changed"):
        assert record(client, todays, password="wrong", **{name: text}).status_code in (400, 429)
    status = reverse("sessions:appointment_status", args=[todays.public_id])
    assert client.post(status, {"status": text}).status_code == 409
    assert TreatmentSession.objects.count() == 0


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "2026-13-01", "2026-00-10"])
def test_day_that_is_none_has_no_page(day: str, ada, sign_in) -> None:
    assert sign_in(ada).get(f"/day/{day}/").status_code == 404
