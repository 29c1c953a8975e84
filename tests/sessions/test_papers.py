"""A paper goes to its patient by a link that asks the birth date; nothing of it stands in the mail."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidTransition, NotAllowed
from mesoclinic.documents.models import Document
from mesoclinic.messaging.models import Message
from patients.models import Patient
from sessions.models import Course
from sessions.prints.papers import WRONG_DATES, mail_paper, way_of
from tests.sessions import factories as make


@pytest.fixture(autouse=True)
def _nobody_guessed() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def paper(course: Course, teodor: Patient, ada: User, tmp_path, settings) -> Document:
    settings.MEDIA_ROOT = tmp_path
    return make.paper("course_schedule", course, teodor, by=ada)


def link_in(message: Message) -> str:
    found = re.search(r"/a/[\w-]{43}/", message.text)
    assert found
    return found[0]


def test_paper_is_mailed_in_one_press_and_undone_in_one(paper: Document, cleo: User, sign_in) -> None:
    client = sign_in(cleo)
    page = client.get(reverse("documents:status", args=[paper.public_id])).content.decode()
    url = reverse("inbox:paper_mail", args=[paper.public_id])
    assert f'action="{url}"' in page and "Mail to the patient" in page

    answer = client.post(url, {"back": "/"}, follow=True)

    message = Message.objects.get(purpose="paper")
    assert (message.state, message.to_address) == ("held", "teodor@example.org")
    assert "The mail to teodor@example.org leaves in a few minutes." in answer.content.decode()
    for words in ("Your sessions", "session", "scalp", "plan"):
        assert words not in f"{message.subject} {message.text}".replace("sessions with us", "")
    client.post(reverse("messaging:undo", args=[message.public_id]))
    message.refresh_from_db()
    assert message.state == "cancelled"


def test_link_gives_the_paper_for_the_birth_date_alone(paper: Document, teodor: Patient, cleo: User) -> None:
    url, client = link_in(mail_paper(document=paper, by=cleo)), Client()

    asked = client.get(url)
    assert asked.status_code == 200 and b"%PDF" not in asked.content
    assert teodor.name not in asked.content.decode() and "Your sessions" not in asked.content.decode()
    for born in ("", "x", "1990-01-01", "9999-12-31", "2026-02-31"):
        assert client.post(url, {"born": born}).status_code == 422
    cache.clear()
    given = client.post(url, {"born": teodor.birth_date.isoformat()})

    assert (given.status_code, given.content) == (200, b"%PDF-1.7 probe")
    assert given["Content-Type"] == "application/pdf" and "no-store" in given["Cache-Control"]
    event = AuditEvent.objects.get(action="document.opened_by_link")
    assert (event.patient_id, event.actor_id) == (teodor.public_id, None)


def test_wrong_dates_close_the_page_for_a_while(paper: Document, teodor: Patient, cleo: User) -> None:
    url, client = link_in(mail_paper(document=paper, by=cleo)), Client()
    for _try in range(WRONG_DATES):
        assert client.post(url, {"born": "1990-01-01"}).status_code == 422

    right = client.post(url, {"born": teodor.birth_date.isoformat()})

    assert right.status_code == 429 and b"%PDF" not in right.content


def test_link_to_a_paper_that_is_no_longer_so_is_old(paper: Document, teodor: Patient, cleo: User) -> None:
    url = link_in(mail_paper(document=paper, by=cleo))
    Document.objects.filter(pk=paper.pk).update(outdated_at=timezone.now())

    assert Client().post(url, {"born": teodor.birth_date.isoformat()}).status_code == 404


def test_paper_that_may_not_leave_says_why(
    paper: Document, course: Course, teodor: Patient, ada: User, cleo: User, dan: User
) -> None:
    draft = make.paper("plan_patient", course, teodor, by=ada, draft=True)
    sheet = make.paper("preparation_sheet", course, teodor, by=ada)
    assert way_of(ada, draft) == {"url": "", "why_not": "A draft is not mailed: sign the plan first."}
    assert way_of(ada, sheet) is None
    assert way_of(dan, paper) is None
    with pytest.raises(InvalidTransition, match="A draft is not mailed"):
        mail_paper(document=draft, by=ada)
    for document, by in ((sheet, ada), (paper, dan)):
        with pytest.raises(NotAllowed, match="does not mail this paper"):
            mail_paper(document=document, by=by)
    Patient.objects.filter(pk=teodor.pk).update(contact_allowed=False)
    assert way_of(cleo, paper) == {"url": "", "why_not": "Has not agreed to e-mails: hand it over."}
    assert Message.objects.filter(purpose="paper").count() == 0
