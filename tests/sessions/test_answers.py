"""What a patient does through the links in their mails, and what nobody can do through them."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mesoclinic.messaging.models import Message
from patients.statements.statements import open_statements
from sessions.booking.actions import cancel_appointment
from sessions.booking.move import Target, move_appointment
from sessions.inbox import answers
from sessions.inbox.views_patient import WRONG_PER_ADDRESS
from sessions.mail import letters
from sessions.mail.kinds import CATEGORY
from sessions.mail.links import id_in, link_for, revoke_links, token_of
from sessions.models import Appointment
from sessions.models.followups import Answer, AnswerLink, MailPreference
from sessions.treatment.actions import Injected, record_session
from tests import factories
from tests.sessions import factories as make

LINK = re.compile(re.escape(settings.SITE_URL) + r"(/a/[\w-]+/(?:\w+/)?)")
DEEP = os.environ.get("MESOCLINIC_DEEP") == "1"


@pytest.fixture(autouse=True)
def _fresh_counters() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def strict() -> Client:
    """A phone without an account, for which CSRF is checked as in life."""
    return Client(enforce_csrf_checks=True)


def link_of(message: Message) -> AnswerLink:
    return AnswerLink.objects.get(purpose=message.purpose, subject_id=message.subject_id, version=message.version)


def path_of(purpose: str, **where) -> str:
    message = Message.objects.filter(purpose=purpose, **where).latest("pk")
    found = LINK.search(message.text)
    assert found
    return found.group(1)


def post(client: Client, path: str, **data):
    """As a browser does: get the page, send back its token and what it showed."""
    return send(client, path, client.get(path), **data)


def send(client: Client, path: str, page, **data):
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode()))
    return client.post(path, {**data, **hidden})


@pytest.fixture
def performed(course, ada):
    visit = course.appointments.get(number=1)
    now = timezone.now()
    Appointment.objects.filter(pk=visit.pk).update(starts_at=now, ends_at=now + timedelta(minutes=38))
    visit.refresh_from_db()
    return record_session(
        appointment=visit,
        administrations=[
            Injected(syringe="A", ingredient="biotin", volume_ml=Decimal("0.50")),
            Injected(syringe="A", ingredient="dexpanthenol", volume_ml=Decimal("0.50")),
            Injected(syringe="A", ingredient="saline", volume_ml=Decimal("1.00")),
        ],
        nothing_changed=True,
        tolerance=1,
        note="",
        password=factories.PASSWORD,
        by=ada,
    )


# ------------------------------------------------------------------ confirm, move, cancel


def test_one_tap_confirms_and_twice_is_one_answer(course, strict) -> None:
    path = path_of("reminder_24h", subject_id=course.appointments.get(number=1).public_id)
    first, second = post(strict, path), post(strict, path)

    assert (first.status_code, first["Location"]) == (302, second["Location"])
    assert "You have confirmed" in strict.get(first["Location"]).content.decode()
    answer = Answer.objects.get()
    assert (answer.kind, answer.state, answer.appointment.number) == ("confirm", "closed", 1)


def test_answer_without_the_pages_own_token_is_refused(course, strict) -> None:
    assert strict.post(path_of("booking")).status_code == 403
    assert not Answer.objects.exists()


def test_another_time_is_asked_for_from_times_that_are_free(course, strict, lyon) -> None:
    visit = course.appointments.get(number=2)
    path = path_of("reminder_7d", subject_id=visit.public_id)
    page = strict.get(f"{path}move/{visit.public_id}/").content.decode()
    offered = re.findall(r'name="time" value="(2[^"]+)"', page)
    assert len(offered) == answers.SLOTS
    assert offered == [at.isoformat() for at in answers.free_times(visit, now=timezone.now())]
    done = post(strict, f"{path}move/{visit.public_id}/", time=offered[2])

    assert done.status_code == 302
    answer = Answer.objects.get()
    assert (answer.kind, answer.state, answer.said["wish"]) == ("move", "new", offered[2])
    visit.refresh_from_db()
    assert visit.status == "booked"  # the present time stays until the clinic acts


def test_a_time_that_was_not_offered_is_refused(course, strict) -> None:
    visit = course.appointments.get(number=2)
    path = f"{path_of('reminder_7d', subject_id=visit.public_id)}move/{visit.public_id}/"

    for wrong in ((visit.starts_at + timedelta(hours=9)).isoformat(), "2020-01-01T09:00:00+00:00", "soon", ""):
        assert post(strict, path, time=wrong).status_code == 409
    assert not Answer.objects.exists()


def test_cancelling_frees_the_time_at_once_and_twice_is_safe(course, strict) -> None:
    visit = course.appointments.get(number=3)
    path = f"{path_of('reminder_7d', subject_id=visit.public_id)}cancel/{visit.public_id}/"
    first = post(strict, path)
    second = post(strict, path)

    visit.refresh_from_db()
    assert (visit.status, visit.sequence) == ("cancelled", 1)
    assert first["Location"] == second["Location"]
    assert Answer.objects.get().kind == "cancel"
    live = Message.objects.filter(subject_id=visit.public_id, state__in=["held", "queued"])
    assert list(live.values_list("purpose", flat=True)) == []


def test_link_of_one_visit_does_nothing_to_another(course, strict) -> None:
    first, second = course.appointments.filter(number__in=[1, 2]).order_by("number")
    path = path_of("reminder_7d", subject_id=second.public_id)

    for action in ("cancel", "move"):
        assert strict.get(f"{path}{action}/{first.public_id}/").status_code == 404
    first.refresh_from_db()
    assert first.status == "booked"


def test_answer_to_a_visit_that_is_off_says_so_kindly(course, strict, cleo) -> None:
    visit = course.appointments.get(number=1)
    path = path_of("reminder_7d", subject_id=visit.public_id)
    cancel_appointment(appointment=visit, by=cleo)
    page = strict.get(path).content.decode()

    assert "has changed since the mail was written" in page and "tel:+33400000000" in page
    assert Answer.objects.count() == 0


@pytest.mark.parametrize("action", ["", "move/{}/", "cancel/{}/"])
def test_page_older_than_the_visit_shows_the_new_time_and_does_nothing(action, course, strict, cleo) -> None:
    visit = course.appointments.get(number=4)
    path = path_of("booking", subject_id=course.public_id) + action.format(visit.public_id)
    page = strict.get(path)
    later = visit.starts_at + timedelta(days=1, hours=1)
    move_appointment(
        appointment=visit,
        target=Target(starts_at=later, practitioner=visit.practitioner, room=visit.room),
        rest="keep",
        reason="asked by phone",
        by=cleo,
    )
    answer = send(strict, path, page, time="call")
    text = answer.content.decode()

    visit.refresh_from_db()
    assert (answer.status_code, visit.status, visit.starts_at) == (409, "booked", later)
    assert "has changed since this page was opened, and nothing was done" in text
    assert f"{later.astimezone(visit.site.tz):%H:%M}" in text
    assert not Answer.objects.exists()
    assert send(strict, path, answer, time="call").status_code == 302  # now it was seen


# ------------------------------------------------------------------ how it went


@pytest.mark.parametrize(
    ("noticed", "since", "bad", "days", "urgency"),
    [
        (["nothing"], "", "", 2, "none"),
        (["soreness"], "same_day", "barely", 1, "none"),
        (["soreness"], "same_day", "bothers", 3, "outside"),  # 48 hours are usual
        (["bruise"], "same_day", "barely", 6, "none"),
        (["bruise"], "same_day", "barely", 8, "outside"),  # 7 days are usual
        (["redness"], "same_day", "barely", 1, "none"),
        (["redness"], "later", "barely", 2, "same_day"),  # it spreads
        (["soreness"], "same_day", "hard", 1, "same_day"),  # severe pain
        (["bruise"], "same_day", "hard", 1, "outside"),
        (["pus"], "later", "barely", 20, "same_day"),
        (["fever"], "next_day", "bothers", 1, "same_day"),
        (["patch"], "later", "barely", 10, "same_day"),
        (["skin"], "same_day", "barely", 1, "immediately"),
        (["emergency"], "", "", 0, "emergency_number"),
        (["bruise", "skin", "fever"], "same_day", "barely", 1, "immediately"),
        (["nothing", "fever"], "same_day", "barely", 1, "same_day"),  # the worse of two that do not fit
    ],
)
def test_answer_is_weighed_by_the_formularys_red_flags_and_usual_durations(
    noticed, since, bad, days, urgency, performed
) -> None:
    link = link_of(Message.objects.get(purpose="checkin_7d"))
    performed.performed_at = timezone.now() - timedelta(days=days)
    subject = answers.Subject(link=link, page="report", site=performed.appointment.site, session=performed)
    answer = answers.report(subject, noticed=noticed, since=since, bad=bad)

    assert answer.urgency == urgency
    assert answer.state == ("closed" if urgency == "none" else "new")


def test_red_flag_shows_urgent_advice_at_once_and_stands_on_today(performed, strict, ada, cleo, dan, sign_in) -> None:
    done = post(strict, path_of("checkin_48h"), noticed=["pus"], since="later", bad="barely")
    page = strict.get(done["Location"]).content.decode()
    assert "Please call us today" in page and "tel:+33400000000" in page and "tel:112" in page

    today = sign_in(ada).get(reverse("sessions:today")).content.decode()
    assert "Red flag, same day" in today and "pus or a painful lump" in today
    reception = sign_in(cleo).get(reverse("sessions:today")).content.decode()
    assert "pus" not in reception and "Teodor Brandvold" in reception
    assert "Teodor" not in sign_in(dan).get(reverse("sessions:today")).content.decode()


def test_own_words_are_read_by_somebody_and_settled_before_the_next_session(performed, strict, ada, sign_in) -> None:
    path = path_of("checkin_48h")
    sent = {"noticed": ["nothing"], "words": "  I began apixaban\n last week "}
    assert 'name="words"' in strict.get(path).content.decode()
    post(strict, path, **sent)
    post(strict, path, **sent)  # the same tap twice is one answer
    answer = Answer.objects.get()
    assert (answer.state, answer.said["words"]) == ("new", "I began apixaban last week")
    said = open_statements(answer.patient)
    assert [(row.kind, row.text, row.source, row.source_id, row.said_by) for row in said] == [
        ("note", "I began apixaban last week", "answer", answer.public_id, None)
    ]
    assert "“I began apixaban last week”" in sign_in(ada).get(reverse("inbox:list")).content.decode()


def test_words_that_say_nothing_ask_nobody(performed, strict) -> None:
    post(strict, path_of("checkin_48h"), noticed=["nothing"], words="nothing")
    answer = Answer.objects.get()
    assert (answer.state, open_statements(answer.patient)) == ("closed", [])


def test_half_an_answer_keeps_the_words(performed, strict) -> None:
    page = post(strict, path_of("checkin_48h"), noticed=["bruise"], words="began apixaban")
    assert page.status_code == 400
    assert ">began apixaban</textarea>" in page.content.decode()


def test_emergency_says_the_number_and_not_to_wait(performed, strict) -> None:
    done = post(strict, path_of("aftercare"), noticed=["emergency"])
    page = strict.get(done["Location"]).content.decode()

    assert "Call 112 now" in page and "Do not wait for us" in page


def test_half_an_answer_is_asked_for_again_with_what_was_ticked(performed, strict) -> None:
    page = post(strict, path_of("checkin_48h"), noticed=["bruise"])

    assert page.status_code == 400
    assert 'value="bruise" checked' in page.content.decode()
    assert "answer all three questions" in page.content.decode()


@pytest.mark.parametrize(("language", "words"), [("fr", "Appelez-nous aujourd’hui"), ("es", "Llámenos hoy")])
def test_pages_speak_the_patients_language(language, words, performed, strict, teodor) -> None:
    type(teodor).objects.filter(pk=teodor.pk).update(language=language)
    path = path_of("checkin_48h")
    done = post(strict, path, noticed=["fever"], since="later", bad="hard")

    assert words in strict.get(done["Location"]).content.decode()
    shown = strict.get(path).content.decode()
    assert f'<html lang="{language}">' in shown
    assert "What do you notice?" not in shown


# ------------------------------------------------------------------ which mails


def test_choosing_mails_stops_what_waits(performed, strict, teodor) -> None:
    path = path_of("checkin_7d") + "mails/"
    assert post(strict, path, reminders="on").status_code == 200

    choice = MailPreference.objects.get(patient=teodor)
    assert (choice.reminders, choice.questions, choice.offers) == (True, False, False)
    assert Message.objects.get(purpose="checkin_7d").state == "cancelled"


def test_one_click_unsubscribe_needs_no_page_and_no_cookie(course, cleo, teodor, strict) -> None:
    from sessions.booking.actions import cancel_course

    cancel_course(course=course, by=cleo)
    message = Message.objects.get(purpose="unbooked")
    path = message.headers["List-Unsubscribe"].strip("<>").removeprefix(settings.SITE_URL)
    assert strict.get(path).status_code == 200
    assert not MailPreference.objects.exists()
    for _twice in range(2):
        response = strict.post(path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
        assert response.status_code == 200

    assert MailPreference.objects.get(patient=teodor).offers is False
    message.refresh_from_db()
    assert message.state == "cancelled"


# ------------------------------------------------------------------ links


def test_token_carries_its_own_proof(course) -> None:
    link = AnswerLink.objects.first()
    token = token_of(link)
    assert (len(token), id_in(token)) == (43, link.public_id)
    for place in range(43):
        other = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert id_in(other) is None, place
    for wrong in ("", "x", token[:-1], token + "A", token + "=", "é" * 43, "0" * 43):
        assert id_in(wrong) is None


def test_old_revoked_and_unknown_links_say_the_same_kind_words(course, teodor, cleo, strict) -> None:
    path = path_of("booking")
    link = link_of(Message.objects.filter(purpose="booking").latest("pk"))
    unknown = strict.get(f"/a/{'A' * 43}/").content.decode()
    AnswerLink.objects.filter(pk=link.pk).update(expires_at=timezone.now())
    expired = strict.get(path)
    AnswerLink.objects.filter(pk=link.pk).update(expires_at=timezone.now() + timedelta(days=1))
    assert strict.get(path).status_code == 200
    Message.objects.filter(purpose="booking").update(state="sent", sent_at=timezone.now())
    assert revoke_links(patient=teodor, by=cleo) == 1
    revoked = strict.get(path)

    assert (expired.status_code, revoked.status_code) == (404, 404)
    assert expired.content.decode() == revoked.content.decode() == unknown
    assert "This link no longer works" in unknown and "tel:+33400000000" in unknown


def test_guessing_finds_nothing_and_is_then_refused(course) -> None:
    wrong = 10_000 if DEEP else 200
    client = Client(REMOTE_ADDR="203.0.113.7")
    codes = [client.get(f"/a/{secrets.token_urlsafe(32)}/").status_code for _guess in range(wrong)]

    assert codes == [404] * WRONG_PER_ADDRESS + [429] * (wrong - WRONG_PER_ADDRESS)
    path = path_of("booking")
    assert client.get(path).status_code == 429  # who guessed has to wait, also with a right link
    assert Client(REMOTE_ADDR="203.0.113.8").get(path).status_code == 200  # and nobody else has to


def test_guessing_from_everywhere_is_refused_and_right_links_still_open(course, monkeypatch) -> None:
    monkeypatch.setattr("sessions.inbox.views_patient.WRONG_IN_ALL", 10)
    clients = [Client(REMOTE_ADDR=f"203.0.113.{n}") for n in range(15)]
    codes = [client.get(f"/a/{secrets.token_urlsafe(32)}/").status_code for client in clients]

    assert codes == [404] * 10 + [429] * 5
    assert Client(REMOTE_ADDR="203.0.113.99").get(path_of("booking")).status_code == 200


# ------------------------------------------------------------------ a crawler changes nothing


def everything() -> dict[str, tuple[int, str]]:
    """Every table with its number of rows and a hash of all of them."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            rows = sorted(repr(row) for row in cursor.fetchall())
            found[table] = (len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())
    return found


def test_crawler_that_opens_every_link_of_every_mail_changes_nothing(performed, course, cleo) -> None:
    cancel_appointment(appointment=course.appointments.get(number=4), by=cleo)
    there = set(AnswerLink.objects.values_list("purpose", flat=True))
    for purpose in set(CATEGORY) - there:  # kinds whose day has not come here
        visit = course.appointments.get(number=2)
        paper = make.paper("aftercare", course, visit.patient, by=cleo) if purpose == "paper" else None
        link_for(
            purpose=purpose,
            subject_id=paper.public_id if paper else visit.public_id,
            version=1,
            patient=visit.patient,
            expires_at=timezone.now() + timedelta(days=9),
        )
    assert set(AnswerLink.objects.values_list("purpose", flat=True)) == set(CATEGORY)
    paths = set()
    for message in Message.objects.all():
        paths |= set(LINK.findall(message.text)) | set(LINK.findall(message.html))
        paths |= set(LINK.findall(message.headers.get("List-Unsubscribe", "")))
    for link in AnswerLink.objects.all():
        token = token_of(link)
        paths |= {f"/a/{token}/", f"/a/{token}/mails/", f"/a/{token}/stop/"}
        for visit in answers.subject_of(link).visits:
            paths |= {f"/a/{token}/move/{visit.public_id}/", f"/a/{token}/cancel/{visit.public_id}/"}
    assert len(paths) > 40
    client = Client()
    before = everything()
    for _round in range(3):
        for path in sorted(paths):
            assert client.get(path).status_code == 200, path
            assert client.head(path).status_code == 200, path

    assert everything() == before


def test_pages_are_not_kept_and_not_indexed(course, strict) -> None:
    response = strict.get(path_of("booking"))

    assert "no-store" in response["Cache-Control"]
    assert response["X-Robots-Tag"] == "noindex, nofollow"


def test_staff_do_not_see_where_a_patients_link_leads(course, cleo, sign_in) -> None:
    message = Message.objects.filter(purpose="booking").latest("pk")
    token = token_of(link_of(message))
    for name in ("messaging:detail", "messaging:html"):
        shown = sign_in(cleo).get(reverse(name, args=[message.public_id])).content.decode()
        assert token not in shown
        assert "/a/…/" in shown


def test_every_page_text_is_there_in_every_language() -> None:
    keys = [set(letters.page_texts(language)) for language in ("en", "fr", "es")]
    assert keys[0] == keys[1] == keys[2]
