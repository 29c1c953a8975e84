"""The inbox of answers: who sees what, how it is dealt with, and what it costs."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.messaging.models import Message
from sessions.booking.actions import book_appointment
from sessions.booking.undo import undo_change
from sessions.inbox import inbox
from sessions.inbox.answers import ask_for_another_time, free_times, report, subject_of
from sessions.inbox.red_flags import standing_reasons
from sessions.mail.links import link_for
from sessions.models.changes import VisitChange
from sessions.models.followups import Answer, AnswerLink
from sessions.times.words import weekday_and_time
from tests.sessions import factories as make
from tests.sessions.test_answers import performed  # noqa: F401 - the fixture


def answer(visit, *, kind="report", urgency="same_day", ago=timedelta(minutes=90), n=0) -> Answer:
    link = link_for(
        purpose="checkin_48h",
        subject_id=visit.public_id,
        version=n + 1,
        patient=visit.patient,
        expires_at=timezone.now() + timedelta(days=3),
    )
    said = {"noticed": ["pus"], "since": "later", "bad": "bothers", "day": 3} if kind == "report" else {"wish": "call"}
    return Answer.objects.create(
        link=link,
        patient=visit.patient,
        kind=kind,
        appointment=visit,
        said=said,
        fingerprint=f"{n}",
        urgency=urgency,
        received_at=timezone.now() - ago,
    )


@pytest.fixture
def flagged(performed):  # noqa: F811
    return answer(performed.appointment)


def test_row_carries_who_session_doses_expected_how_bad_and_the_timer(flagged, ada, sign_in) -> None:
    page = sign_in(ada).get(reverse("inbox:detail", args=[flagged.public_id])).content.decode()

    for words in (
        "Teodor Brandvold",
        "Session 1",
        "Biotin 0.50\N{NO-BREAK SPACE}mL",
        "Bruising: up to 7 days",
        "pus or a painful lump · since later · bothers · day 3",
        "1 h 30 min",
        "Red flag, same day",
    ):
        assert words in page, words


def test_doses_are_written_as_the_reader_reads_them(flagged, ada, sign_in) -> None:
    ada.language = "fr"
    ada.save(update_fields=["language"])
    page = sign_in(ada).get(reverse("inbox:detail", args=[flagged.public_id])).content.decode()
    assert "0,50\N{NO-BREAK SPACE}mL" in page


def test_reception_sees_that_there_is_an_answer_and_not_what_it_says(flagged, cleo, sign_in) -> None:
    client = sign_in(cleo)
    for page in (client.get(reverse("inbox:list")), client.get(reverse("inbox:detail", args=[flagged.public_id]))):
        shown = page.content.decode()
        assert "Teodor Brandvold" in shown and "For clinical staff" in shown
        assert "pus" not in shown and "Biotin" not in shown and "Red flag" not in shown
    with pytest.raises(NotAllowed):
        inbox.close(answer=flagged, outcome="seen", note="", by=cleo)


def test_another_site_sees_nothing(flagged, dan, sign_in) -> None:
    client = sign_in(dan)
    assert "Teodor" not in client.get(reverse("inbox:list")).content.decode()
    assert client.get(reverse("inbox:detail", args=[flagged.public_id])).status_code == 404
    for name in ("reply", "hand_over", "close"):
        assert client.post(reverse(f"inbox:{name}", args=[flagged.public_id])).status_code == 404


def test_reply_from_a_template_stops_the_timer_and_is_written_in_the_patients_language(flagged, ada, sign_in) -> None:
    type(flagged.patient).objects.filter(pk=flagged.patient_id).update(language="fr")
    client = sign_in(ada)
    url = reverse("inbox:detail", args=[flagged.public_id])
    assert "Nous aimerions vous voir" in client.get(url + "?template=visit").content.decode()
    text = "Nous aimerions vous voir aujourd’hui."
    assert client.post(reverse("inbox:reply", args=[flagged.public_id]), {"text": text}).status_code == 302

    message = Message.objects.get(purpose="reply")
    assert (message.state, message.subject) == ("held", "Une réponse de Clinique des Tilleuls, Lyon")
    assert text in message.text
    assert AnswerLink.objects.filter(purpose="reply").exists()
    flagged.refresh_from_db()
    assert flagged.state == "taken" and flagged.responded_at and flagged.handler == ada


def test_handing_over_names_who_has_it_and_only_to_who_may_read(flagged, ada, ben, cleo, dan) -> None:
    inbox.hand_over(answer=flagged, to=ben, by=ada)
    assert (flagged.state, flagged.handler) == ("taken", ben)
    for other in (cleo, dan):
        with pytest.raises(InvalidInput):
            inbox.hand_over(answer=flagged, to=other, by=ada)


def test_closing_needs_an_outcome_and_an_alert_its_reason(flagged, ada) -> None:
    with pytest.raises(InvalidInput):
        inbox.close(answer=flagged, outcome="", note="", by=ada)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        inbox.close(answer=flagged, outcome="nothing_to_do", note="", by=ada)
    inbox.close(answer=flagged, outcome="seen", note="Drained, culture taken.", by=ada)
    assert (flagged.state, flagged.outcome, flagged.closed_by) == ("closed", "seen", ada)
    with pytest.raises(InvalidTransition):
        inbox.close(answer=flagged, outcome="seen", note="", by=ada)


def test_every_step_is_audited(flagged, ada, ben, sign_in) -> None:
    sign_in(ada).get(reverse("inbox:detail", args=[flagged.public_id]))
    inbox.hand_over(answer=flagged, to=ben, by=ada)
    inbox.close(answer=flagged, outcome="advised", note="", by=ben)

    found = AuditEvent.objects.filter(action__startswith="answer.", patient_id=flagged.patient.public_id)
    assert list(found.order_by("id").values_list("action", flat=True)) == [
        "answer.viewed",
        "answer.handed_over",
        "answer.closed",
    ]


def test_alerts_come_first_then_the_newest(course, ada) -> None:
    visit = course.appointments.get(number=1)
    old = answer(visit, n=1, ago=timedelta(days=2))
    new = answer(visit, n=2, kind="callback", urgency="none", ago=timedelta(minutes=1))
    older = answer(visit, n=3, kind="callback", urgency="none", ago=timedelta(hours=1))

    assert list(inbox.for_rows(inbox.answers_visible_to(ada))) == [old, new, older]


INBOX_QUERIES = 23


@pytest.mark.parametrize("count", [3, 300])
def test_list_costs_the_same_at_3_and_at_300_answers(count, performed, ada, sign_in) -> None:  # noqa: F811
    for n in range(count):
        answer(performed.appointment, n=n)
    client = sign_in(ada)
    client.get(reverse("inbox:list"))
    with CaptureQueriesContext(connection) as captured:
        assert client.get(reverse("inbox:list")).status_code == 200

    of_the_trail = ("audit_auditevent", "SAVEPOINT", "pg_advisory_xact_lock")
    own = [query for query in captured if not any(word in query["sql"] for word in of_the_trail)]
    assert len(own) == INBOX_QUERIES


# ------------------------------------------------------------------ a wish for another time is answered by one press


@pytest.fixture
def wish(course) -> Answer:
    """The patient of the second session would rather come at another time that they were offered."""
    visit = course.appointments.get(number=2)
    subject = subject_of(AnswerLink.objects.get(purpose="booking", subject_id=course.public_id))
    mine = next(other for other in subject.visits if other.pk == visit.pk)
    return ask_for_another_time(subject, visit=mine, starts_at=free_times(mine, now=timezone.now())[1])


def test_wish_stands_in_words_with_the_visit_and_the_times_that_were_offered(wish, cleo, sign_in) -> None:
    page = sign_in(cleo).get(reverse("inbox:list")).content.decode()
    tz = wish.appointment.site.tz
    assert f"than on {weekday_and_time(wish.appointment.starts_at.astimezone(tz))}" in page
    assert "Was offered: " in page
    assert len(wish.said["offered"]) == 6
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", page) is None


def test_wished_time_is_given_in_two_clicks_from_the_inbox_and_the_patient_is_told(wish, cleo, sign_in) -> None:
    client = sign_in(cleo)
    listed = client.get(reverse("inbox:list")).content.decode()
    detail = reverse("inbox:detail", args=[wish.public_id])
    assert f'href="{detail}"' in listed  # one
    offer = client.get(detail).context["wish"]

    done = client.post(  # two
        reverse("inbox:move", args=[wish.public_id]),
        {"time": offer.wished.value, "sequence": offer.visit.sequence},
        follow=True,
    )

    assert "is moved to" in done.content.decode() and "Undo" in done.content.decode()
    visit = wish.appointment
    visit.refresh_from_db()
    wish.refresh_from_db()
    assert visit.starts_at.isoformat() == wish.said["wish"]
    assert (wish.state, wish.outcome, wish.closed_by) == ("closed", "booked", cleo)
    assert Message.objects.filter(purpose="booking", state="held").exists()

    undo_change(change=VisitChange.objects.get(), by=cleo)
    wish.refresh_from_db()
    assert (wish.state, wish.outcome, wish.closed_at) == ("taken", "", None)


def test_wished_time_that_is_taken_says_so_and_offers_the_nearest(wish, cleo, ada, lyon, sign_in) -> None:
    client = sign_in(cleo)
    offer = client.get(reverse("inbox:detail", args=[wish.public_id])).context["wish"]
    other = make.plan(patient=make.patient(by=cleo, given_name="Amelia"), by=ada)
    at = datetime.fromisoformat(wish.said["wish"])
    given = {"plan": other, "number": 1, "site": lyon, "practitioner": ada, "by": cleo}
    book_appointment(**given, room=wish.appointment.room, starts_at=at)

    sent = {"time": offer.wished.value, "sequence": "0"}
    refused = client.post(reverse("inbox:move", args=[wish.public_id]), sent)
    assert refused.status_code == 409
    assert "is already taken at this time" in refused.content.decode()
    after = refused.context["wish"]
    assert after.wished is None and after.others
    moved = client.post(reverse("inbox:move", args=[wish.public_id]), {"time": after.others[0].value, "sequence": "0"})
    assert moved.status_code == 302


def test_answer_that_wishes_nothing_moves_nothing(flagged, ada, sign_in) -> None:
    refused = sign_in(ada).post(reverse("inbox:move", args=[flagged.public_id]), {"time": "x"})
    assert (refused.status_code, "asks for no other time" in refused.content.decode()) == (409, True)


# ------------------------------------------------------------------ reports through one link


@pytest.fixture
def told(performed):  # noqa: F811
    """Report through the link of the check-in after 48 hours."""
    link = link_for(
        purpose="checkin_48h",
        subject_id=performed.public_id,
        version=1,
        patient=performed.appointment.patient,
        expires_at=timezone.now() + timedelta(days=3),
    )
    subject = subject_of(link)
    return lambda *noticed, since="later", bad="bothers", words="": report(
        subject, noticed=noticed, since=since, bad=bad, words=words
    )


def test_newer_report_takes_the_place_of_the_older_which_stays_as_history(told, ada, sign_in) -> None:
    old = told("other", words="Itches at night")
    new = told("other", words="Itches all day")
    old.refresh_from_db()
    assert (old.replaced_by, old.state, old.outcome) == (new, "closed", "replaced")

    client = sign_in(ada)
    page = client.get(reverse("inbox:list"))
    assert [row.answer for row in page.context["rows"]] == [new]
    history = client.get(reverse("inbox:detail", args=[new.public_id])).content.decode()
    assert "Itches at night" in history and "Replaced by a newer answer" in history


def test_red_flag_in_an_earlier_report_stays_until_somebody_closes_it(told, ada, sign_in) -> None:
    flag = told("pus")
    quiet = told("nothing", since="", bad="")
    flag.refresh_from_db()
    assert (quiet.state, flag.state, flag.replaced_by) == ("closed", "new", quiet)

    client = sign_in(ada)
    page = client.get(reverse("inbox:list"))
    (row,) = page.context["rows"]
    assert (row.answer, row.flag, [other.answer for other in row.earlier]) == (quiet, True, [flag])
    assert "earlier: Red flag" in page.content.decode()
    assert standing_reasons([flag.patient_id])
    assert (
        "an earlier answer is still open."
        in client.get(reverse("inbox:detail", args=[quiet.public_id])).content.decode()
    )
    inbox.close(answer=flag, outcome="seen", note="", by=ada)
    assert client.get(reverse("inbox:list")).context["rows"] == []


def test_milder_report_does_not_close_a_stronger_one(told) -> None:
    strong = told("bruise", since="same_day", bad="hard")
    mild = told("other", since="same_day", bad="barely", words="a little")
    strong.refresh_from_db()
    assert (strong.urgency, strong.state, strong.replaced_by) == ("outside", "new", mild)


def test_same_words_after_somebody_closed_them_are_a_new_answer(told, ada) -> None:
    first = told("pus")
    assert told("pus") == first
    inbox.close(answer=first, outcome="advised", note="", by=ada)
    assert told("pus").state == "new"
    assert Answer.objects.count() == 2


def test_red_flag_stands_above_today_for_who_may_read_it(flagged, ada, cleo, sign_in) -> None:
    page = sign_in(ada).get(reverse("sessions:today")).content.decode()
    assert page.index("flg") < page.index("mc-pagehead")
    assert "Red flag, same day" in page
    assert "Red flag" not in sign_in(cleo).get(reverse("sessions:today")).content.decode()
