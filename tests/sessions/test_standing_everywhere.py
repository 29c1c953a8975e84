"""A stop is seen wherever its patient is named, and nobody below a signer books, prepares or records against it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from mesoclinic.documents.models import Document
from mesoclinic.messaging.models import Message
from mesoclinic.messaging.sending.delivery import deliver_due
from protocols.actions.drafts import amend_plan
from protocols.models import StandingOverride
from protocols.standing.going_on import MayNotTreat
from sessions.booking.actions import book_appointment, book_course, set_appointment_status
from sessions.course.planned import planned_lines
from sessions.mail.waiting import held_back
from sessions.models import Appointment, AppointmentStatus
from sessions.prints.documents import request_pack, request_visit_pdf, why_held
from sessions.treatment.actions import Injected, record_session
from tests import ways_to_stop
from tests.factories import PASSWORD
from tests.factories_protocols import signed_plan
from tests.sessions import factories as make
from tests.ways_to_stop import WAYS


@pytest.fixture
def visit(ada: User, lyon: Site, rooms, formulary) -> Appointment:
    """The first visit, in an hour, of a plan that the engine made."""
    plan = signed_plan(by=ada)
    course = book_course(plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), by=ada)
    at = timezone.now() + timedelta(hours=1)
    Appointment.objects.filter(course=course, number=1).update(starts_at=at, ends_at=at + timedelta(minutes=38))
    return course.appointments.select_related("patient", "site", "course__plan", "practitioner", "room").get(number=1)


@pytest.fixture
def formulary(dora: User):
    from tests.factories_protocols import published_formulary

    return published_formulary(by=dora)


# ------------------------------------------------------------------ every page, fragment and answer

# By name of the URL how it is asked: its arguments by what they are of.
SHOWS: dict[str, tuple[str, ...]] = {
    "sessions:today": (),
    "sessions:day": ("day",),
    "sessions:calendar": (),
    "sessions:patient": ("patient",),
    "sessions:course_book": ("plan",),
    "sessions:appointment": ("visit",),
    "sessions:course_missing": ("course",),
    "sessions:appointment_move": ("visit",),
    "sessions:session_record": ("visit",),
    "sessions:plan_overbook": ("plan",),
    "sessions:appointment_overbook": ("visit",),
    "patients:list": (),
    "patients:day_check": ("patient",),
    "patients:edit": ("patient",),
    "patients:merge": ("patient",),
    "patients:intake_detail": ("intake",),
    "protocols:plan": ("plan",),
    "protocols:plan_stop": ("plan",),
    "protocols:plan_cautions": ("plan",),
    "protocols:statements": ("patient",),
    "inbox:links": ("patient",),
    "api-patient-list": (),
    "api-patient-detail": ("patient",),
    "api-plan-list": (),
    "api-plan-detail": ("plan",),
    "api-appointment-list": (),
    "api-appointment-detail": ("visit",),
}

# Why a URL has nothing to show: what it does is refused or redirects, or it names no patient of today's care.
ACTS = "acts by POST and redirects to a page that shows it"
DRAFT = "of a draft, on whose page the strip stands; a fragment of that page"
NAMES_NOBODY = "names no patient"
BY_LINK = "for the patient, by link"
MAIL = "about a mail or a print; the person's page is one press away"
ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(
        (
            "sessions:calendar_free", "sessions:calendar_feed", "sessions:calendar_feed_revoke", "sessions:feed",
            "patients:new", "patients:duplicates", "patients:medicines",
            "protocols:catalogue", "protocols:ingredient", "protocols:claims", "protocols:versions",
            "protocols:version_new", "protocols:version", "protocols:version_changes",
            "protocols:version_publish", "protocols:entry_switch",
            "protocols:entry_confirm", "protocols:screening_preview",
            "resources:sites", "resources:site", "resources:people", "resources:person",
            "inbox:wordings", "inbox:mail_test", "inbox:wording", "inbox:wording_letter",
            "api-ingredient-list", "api-ingredient-detail", "api-proposals", "api-proposals-compare",
            "api-proposals-schema",
        ),
        NAMES_NOBODY,
    ),
    **dict.fromkeys(
        (
            "sessions:course_cancel", "sessions:change_undo", "sessions:time_give",
            "sessions:day_pack", "sessions:visit_document",
            "sessions:visit_dates", "sessions:appointment_to", "sessions:appointment_status",
            "sessions:appointment_cancel", "sessions:appointment_call", "sessions:visits_cancel",
            "patients:merge_undo", "patients:intake_start",
            "patients:intake_reviewed", "protocols:plan_new", "protocols:plan_amend", "protocols:plan_document",
            "inbox:move", "api-appointment-move", "api-appointment-undo",
            "inbox:reply", "inbox:paper_mail", "inbox:hand_over", "inbox:close", "inbox:links_close",
            "api-appointment-cancel",
            "api-plan-edits", "api-plan-undo-edit",
        ),
        ACTS,
    ),
    **dict.fromkeys(
        (
            "protocols:plan_edit", "protocols:plan_explain", "protocols:plan_change", "protocols:plan_what_if",
            "protocols:plan_presence", "protocols:plan_undo", "protocols:plan_acknowledge", "protocols:plan_answer",
            "protocols:plan_sign", "protocols:plan_discard", "protocols:plan_take_over", "protocols:plan_insist",
        ),
        DRAFT,
    ),
    **dict.fromkeys(
        ("answers:open", "answers:answered", "answers:move", "answers:cancel", "answers:choose", "answers:stop"),
        BY_LINK,
    ),
    "protocols:statement": "needs words to settle; the same head as protocols:statements",
    "patients:find": "asked by POST; see the test of the search box",
    "patients:merge_into": "needs two records; the same head as patients:merge",
    "patients:intake_edit": "of a draft of an intake; the same head as patients:intake_detail",
    "patients:intake_review": "of a draft of an intake; the same head as patients:intake_detail",
    "resources:misfits": "names visits to move, each of which shows it",
    "inbox:list": "names answers; see the test of a red flag",
    **dict.fromkeys(
        ("api-statement-list", "api-statement-detail", "api-statement-settle"),
        "is itself what the stop is made of; the person's answer is api-patient-detail",
    ),
    "inbox:detail": "needs an answer; see the test of a red flag",
}  # fmt: skip
OF_OURS = ("sessions", "patients", "protocols", "resources", "inbox", "answers")


def named_urls(patterns: list[Any] | None = None, space: str = "") -> Iterator[str]:
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(entry, URLResolver):
            yield from named_urls(entry.url_patterns, entry.namespace or space)
        elif isinstance(entry, URLPattern) and entry.name:
            yield f"{space}:{entry.name}" if space else entry.name


def test_every_url_shows_a_stop_or_says_why_it_need_not() -> None:
    ours = {name for name in named_urls() if name.split(":")[0] in OF_OURS or name.startswith("api-")}

    known = set(SHOWS) | set(ELSEWHERE)
    assert ours - known - {"api-root", "api-schema", "api-docs", "api-me"} == set()
    assert known - ours == set()


def address(name: str, visit: Appointment) -> str:
    rows = {
        "day": timezone.localdate(timezone=visit.site.tz),
        "patient": visit.patient.public_id,
        "plan": visit.course.plan.public_id,
        "visit": visit.public_id,
        "course": visit.course.public_id,
        "intake": visit.patient.intakes.first().public_id,
    }
    return reverse(name, args=[rows[key] for key in SHOWS[name]])


@pytest.mark.parametrize("name", SHOWS)
def test_page_or_answer_that_names_the_patient_shows_the_stop(
    name: str, visit: Appointment, ada: User, sign_in
) -> None:
    ways_to_stop.brand(visit.course.plan, ada)

    answer = sign_in(ada).get(address(name, visit))

    assert answer.status_code == 200
    if name.startswith("api-"):
        rows = answer.json()
        states = [row["standing"]["state"] for row in rows.get("results", [rows])]
        assert states and set(states) == {"stop"}
    else:
        shown = answer.content.decode()
        assert 'data-standing="stop"' in shown or "STOP:" in shown or "May not be treated:" in shown


@pytest.mark.parametrize("name", SHOWS)
def test_page_or_answer_shows_no_stop_where_none_stands(name: str, visit: Appointment, ada: User, sign_in) -> None:
    answer = sign_in(ada).get(address(name, visit))

    shown = answer.content.decode()
    assert answer.status_code == 200
    assert 'data-standing="stop"' not in shown and "STOP:" not in shown and '"state": "stop"' not in shown


def test_search_box_shows_the_stop(visit: Appointment, ada: User, sign_in) -> None:
    ways_to_stop.brand(visit.course.plan, ada)

    answer = sign_in(ada).post(reverse("patients:find"), {"q": visit.patient.family_name})

    assert "STOP:" in answer.content.decode()


def test_open_red_flag_stands_in_the_inbox_on_the_record_and_at_the_visit(
    visit: Appointment, ada: User, sign_in
) -> None:
    ways_to_stop.red_flag(visit.course.plan, ada)
    flag = visit.patient.answers.get()
    client = sign_in(ada)

    pages = [
        client.get(url).content.decode()
        for url in (
            reverse("inbox:list"),
            reverse("inbox:detail", args=[flag.public_id]),
            reverse("sessions:patient", args=[visit.patient.public_id]),
            reverse("sessions:appointment", args=[visit.public_id]),
        )
    ]

    assert all("STOP: red flag open" in page for page in pages)


# ------------------------------------------------------------------ nobody below a signer


def injected(visit: Appointment) -> list[Injected]:
    return [
        Injected(syringe=line.syringe, ingredient=line.ingredient, volume_ml=line.volume_ml)
        for line in planned_lines(visit.course.plan, visit.number)
    ]


@pytest.mark.parametrize("way", WAYS)
def test_nobody_below_a_signer_books_checks_in_prepares_or_records(
    way: str, visit: Appointment, ada: User, ben: User, cleo: User, lyon: Site, rooms
) -> None:
    plan = visit.course.plan
    visit.course.appointments.exclude(pk=visit.pk).update(status=AppointmentStatus.CANCELLED)
    WAYS[way](plan, ada)
    why = "against better knowledge"

    def treated(by: User) -> list[Any]:
        return [
            lambda: book_course(
                plan=plan, site=lyon, practitioner=ada, earliest=make.monday(), standing_reason=why, by=by
            ),
            lambda: book_appointment(
                plan=plan,
                number=2,
                site=lyon,
                practitioner=ada,
                room=rooms[0],
                starts_at=timezone.now() + timedelta(days=28),
                standing_reason=why,
                by=by,
            ),
            lambda: set_appointment_status(
                appointment=visit, status=AppointmentStatus.ARRIVED, standing_reason=why, by=by
            ),
        ]

    for who in (ben, cleo):
        for act in treated(who):
            with pytest.raises(MayNotTreat, match="Only somebody who signs plans may go on"):
                act()
    for kind in ("preparation_sheet", "syringe_labels"):
        with pytest.raises(MayNotTreat, match="Only somebody who signs plans may go on"):
            request_visit_pdf(appointment=visit, kind=kind, standing_reason=why, by=ben)
    with pytest.raises(MayNotTreat, match="Only somebody who signs plans may go on"):
        record_session(
            appointment=visit,
            administrations=injected(visit),
            nothing_changed=False,
            tolerance=None,
            note="Something has changed.",
            password=PASSWORD,
            standing_reason=why,
            by=ben,
        )
    assert not StandingOverride.objects.exists()
    assert not Document.objects.filter(kind__in=("preparation_sheet", "syringe_labels")).exists()


def test_signer_goes_on_with_a_reason_that_stands_on_the_visit(visit: Appointment, ada: User, sign_in) -> None:
    ways_to_stop.brand(visit.course.plan, ada)
    set_appointment_status(
        appointment=visit, status=AppointmentStatus.ARRIVED, standing_reason="Stopped it himself", by=ada
    )

    shown = sign_in(ada).get(reverse("sessions:appointment", args=[visit.public_id])).content.decode()

    assert "Checked in as ready against a stop" in " ".join(shown.split()) and "Stopped it himself" in shown


# ------------------------------------------------------------------ prints


def test_print_made_before_the_stop_is_not_given_out_and_says_so_when_scanned(
    visit: Appointment, ada: User, ben: User, sign_in, client: Client
) -> None:
    sheet = request_visit_pdf(appointment=visit, kind="preparation_sheet", by=ben)
    check = sheet.context["check_url"]
    path = check[check.index("/", len("https://")) :]
    assert why_held(ben, sheet) == ""
    assert "Yes, this print is current" in client.get(path).content.decode()

    ways_to_stop.brand(visit.course.plan, ada)

    assert "may not be treated" in why_held(ben, sheet)
    assert "Stop: nobody may be treated by this print now" in client.get(path).content.decode()
    file = sign_in(ben).get(reverse("documents:file", args=[sheet.public_id]))
    assert (file.status_code, file["Location"]) == (302, reverse("documents:status", args=[sheet.public_id]))


def test_day_pack_holds_a_page_that_says_why_in_the_place_of_the_sheet(
    visit: Appointment, ada: User, ben: User
) -> None:
    day = visit.starts_at.astimezone(visit.site.tz).date()
    before = request_pack(site=visit.site, first=day, what="day", by=ben)
    ways_to_stop.brand(visit.course.plan, ada)

    after = request_pack(site=visit.site, first=day, what="day", by=ben)

    assert [part["kind"] for part in before.context["parts"]] == ["preparation_sheet"]
    (part,) = after.context["parts"]
    assert (part["kind"], part["context"]["reasons"][0]["answer"]) == ("preparation_refused", "“Xarelto 20 mg”")
    assert "may not be treated" in why_held(ben, before)
    assert why_held(ben, after) == ""


# ------------------------------------------------------------------ mail that says “come”


def test_mail_that_says_come_waits_while_the_stop_stands_and_goes_on_after_it(visit: Appointment, ada: User) -> None:
    reminder = Message.objects.filter(person_id=visit.patient.public_id, purpose="reminder_24h").first()
    assert reminder is not None
    assert held_back([reminder]) == {}
    ways_to_stop.newer_intake(visit.course.plan, ada)

    until, why = held_back([reminder])[reminder.pk]
    assert (until > timezone.now(), why) == (True, "Waits: the person may not be treated at the moment.")
    ways_to_stop.intake(visit.patient, by=ada)

    assert held_back([reminder]) == {}


def test_delivery_puts_off_what_is_held_back_and_says_why(visit: Appointment, ada: User) -> None:
    reminder = Message.objects.filter(person_id=visit.patient.public_id, purpose="reminder_24h").first()
    assert reminder is not None
    ways_to_stop.newer_intake(visit.course.plan, ada)
    Message.objects.exclude(pk=reminder.pk).update(due_at=timezone.now() + timedelta(days=300))
    Message.objects.filter(pk=reminder.pk).update(due_at=timezone.now(), useful_until=None)

    deliver_due()

    reminder.refresh_from_db()
    assert (reminder.state, reminder.sent_at) == ("queued", None)
    assert reminder.last_error == "Waits: the person may not be treated at the moment."
    assert reminder.due_at > timezone.now()


def test_amendment_that_comes_out_blocked_says_that_the_plan_before_may_not_be_used(
    visit: Appointment, ada: User, sign_in
) -> None:
    ways_to_stop.newer_intake(visit.course.plan, ada)
    amended = amend_plan(plan=visit.course.plan, by=ada)

    shown = sign_in(ada).get(reverse("protocols:plan", args=[amended.public_id])).content.decode()

    assert "The plan that this amends may no longer be used" in shown
