from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mesoclinic.accounts.models import User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.messaging.models import Message
from mesoclinic.messaging.views import PER_PAGE
from tests.mesoclinic import providers

Queue = Callable[..., Message]
SignIn = Callable[[User], Client]


def test_list_shows_the_messages_of_ones_own_people(queue: Queue, cleo: User, dan: User, sign_in: SignIn) -> None:
    queue(subject="Your appointments in Lyon")

    mine = sign_in(cleo).get(reverse("messaging:list")).content.decode()
    theirs = sign_in(dan).get(reverse("messaging:list")).content.decode()

    assert "Your appointments in Lyon" in mine
    assert "Your appointments in Lyon" not in theirs and "Teodor" not in theirs


def test_list_filters_by_the_state_in_its_address(queue: Queue, cleo: User, sign_in: SignIn) -> None:
    failed, waiting = queue(subject="Failed one"), queue(subject="Waiting one")
    Message.objects.filter(pk=failed.pk).update(state="failed", last_error="550 no such person")

    page = sign_in(cleo).get(reverse("messaging:list"), {"state": "failed"}).content.decode()

    assert "Failed one" in page and "550 no such person" in page
    assert waiting.subject not in page


def test_list_with_a_made_up_state_shows_all(queue: Queue, cleo: User, sign_in: SignIn) -> None:
    queue(subject="Waiting one")

    assert "Waiting one" in sign_in(cleo).get(reverse("messaging:list"), {"state": "zzz"}).content.decode()


@pytest.mark.parametrize(
    ("state", "order"),
    [
        ("", ["held", "failed", "sent late", "sent early"]),
        ("to_come", ["next", "later"]),
        ("all", ["cancelled", "later", "next", "held", "failed", "sent late", "sent early"]),
    ],
)
def test_list_is_in_the_order_of_time(queue: Queue, cleo: User, sign_in: SignIn, state: str, order: list[str]) -> None:
    now = timezone.now()
    hours = {"sent early": -9, "sent late": -8, "failed": -1, "held": 0, "next": 1, "later": 2, "cancelled": 3}
    for name in sorted(hours):
        at = now + timedelta(hours=hours[name])
        message = queue(subject=f"Letter {name}.", due_at=at)
        if (kept := name.split()[0]) in ("failed", "held", "sent", "cancelled"):
            sent_at = at if kept == "sent" else None
            Message.objects.filter(pk=message.pk).update(state=kept, sent_at=sent_at, due_at=at)

    page = sign_in(cleo).get(reverse("messaging:list"), {"state": state}).content.decode()

    assert re.findall(r"Letter ([^.]*)\.", page) == order


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"q": "brandvold"}, {"One", "Two"}),
        ({"q": "ines@example"}, {"Three"}),
        ({"q": "tWo"}, {"Two"}),
        ({"kind": "reminder_24h"}, {"Two"}),
        ({"language": "fr"}, {"Three"}),
        ({"q": "brandvold", "kind": "reminder_24h", "language": "en"}, {"Two"}),
        ({"q": "\0", "kind": "zzz", "language": "xx"}, {"One", "Two", "Three"}),
        ({"q": "nobody"}, set()),
    ],
)
def test_list_is_searched_by_patient_address_subject_kind_and_language(
    queue: Queue, cleo: User, sign_in: SignIn, asked: dict[str, str], found: set[str]
) -> None:
    queue(subject="One.")
    queue(subject="Two.", purpose="reminder_24h")
    queue(subject="Three.", language="fr", person_label="Ines Solberg", to_address="ines@example.org")

    page = sign_in(cleo).get(reverse("messaging:list"), asked).content.decode()

    assert set(re.findall(r">(One|Two|Three)\.</a>", page)) == found


def test_list_finds_whom_the_search_for_people_finds(queue: Queue, cleo: User, person: UUID, sign_in: SignIn) -> None:
    queue(subject="One.")
    queue(subject="Two.", person_id=_somebody())

    page = sign_in(cleo).get(reverse("messaging:list"), {"q": str(person)[:12]}).content.decode()

    assert re.findall(r">(One|Two)\.</a>", page) == ["One"]


def test_list_says_kind_language_and_patient_in_words(queue: Queue, cleo: User, sign_in: SignIn) -> None:
    queue(purpose="reminder_24h", language="fr")

    page = sign_in(cleo).get(reverse("messaging:list")).content.decode()

    row = page[page.index("<tbody>") :]
    for words in ("Teodor Brandvold</a>", "<td>Reminder, the day before</td>", "<td>French</td>"):
        assert words in row


def test_list_says_when_messages_failed(queue: Queue, cleo: User, sign_in: SignIn) -> None:
    queue()
    Message.objects.update(state="failed")

    assert "1 message failed and needs you." in sign_in(cleo).get(reverse("messaging:list")).content.decode()


def test_list_costs_the_same_with_3_and_300(queue: Queue, cleo: User, sign_in: SignIn) -> None:
    client = sign_in(cleo)
    counts = []
    for size in (3, 300):
        while Message.objects.count() < size:
            queue(person_id=_somebody())
        client.get(reverse("messaging:list"))
        with CaptureQueriesContext(connection) as asked:
            response = client.get(reverse("messaging:list"))
        counts.append(len(asked))
        assert response.content.decode().count('class="mc-strong" href="/messages/') == min(size, PER_PAGE)

    assert counts[0] == counts[1]


def _somebody() -> UUID:
    person = uuid.uuid4()
    providers.SITE_OF[person] = "Lyon"
    return person


def test_detail_shows_the_text_and_leaves_an_event(queue: Queue, cleo: User, sign_in: SignIn) -> None:
    message = queue(text="Dear <script>alert(1)</script>")

    page = sign_in(cleo).get(reverse("messaging:detail", args=[message.public_id])).content.decode()

    assert "Dear &lt;script&gt;alert(1)&lt;/script&gt;" in page
    event = AuditEvent.objects.order_by("-id")[0]
    assert (event.action, event.patient_id) == ("message.viewed", message.person_id)


@pytest.mark.parametrize("name", ["detail", "html"])
def test_message_of_another_site_does_not_exist(queue: Queue, dan: User, sign_in: SignIn, name: str) -> None:
    message = queue()

    assert sign_in(dan).get(reverse(f"messaging:{name}", args=[message.public_id])).status_code == 404


@pytest.mark.parametrize("name", ["undo", "retry"])
def test_message_of_another_site_cannot_be_changed(queue: Queue, dan: User, sign_in: SignIn, name: str) -> None:
    message = queue(hold=True)

    assert sign_in(dan).post(reverse(f"messaging:{name}", args=[message.public_id])).status_code == 404
    assert Message.objects.get().state == "held"


def test_html_runs_nothing(queue: Queue, cleo: User, sign_in: SignIn) -> None:
    message = queue(html="<p>Dear<script>alert(1)</script></p>")

    response = sign_in(cleo).get(reverse("messaging:html", args=[message.public_id]))

    assert response["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
    )
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    assert "no-store" in response["Cache-Control"]


def test_undo_from_the_page(queue: Queue, cleo: User, sign_in: SignIn) -> None:
    message = queue(hold=True)
    client = sign_in(cleo)
    page = reverse("messaging:detail", args=[message.public_id])

    assert "Undo, do not send" in client.get(page).content.decode()
    response = client.post(reverse("messaging:undo", args=[message.public_id]))

    assert (response.status_code, response["Location"]) == (302, f"{page}?undone=1")  # where it says what stays done
    assert Message.objects.get().state == "cancelled"
    assert "Undo, do not send" not in client.get(page).content.decode()


def test_undo_too_late_says_so_on_the_page(queue: Queue, cleo: User, sign_in: SignIn) -> None:
    message = queue()

    response = sign_in(cleo).post(reverse("messaging:undo", args=[message.public_id]))

    assert response.status_code == 409
    assert "Only a message that is still held can be undone." in response.content.decode()


def test_retry_from_the_page(queue: Queue, cleo: User, sign_in: SignIn) -> None:
    message = queue()
    Message.objects.update(state="failed")

    sign_in(cleo).post(reverse("messaging:retry", args=[message.public_id]))

    assert Message.objects.get().state == "queued"
