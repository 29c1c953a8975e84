"""The inbox of answers: who sees what, how it is dealt with, and what it costs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mesoclinic.audit.models import AuditEvent
from mesoclinic.errors import InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.messaging.models import Message
from sessions import inbox
from sessions.followup_models import Answer, AnswerLink
from sessions.links import link_for
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


INBOX_QUERIES = 22


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
