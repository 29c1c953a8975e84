"""What a page sends by itself, made unreadable: what cannot be read changes nothing, and never more than was meant.

The forms of the pages are read and each of their own parameters (in an address, a hidden field, a button, a choice) is
sent as something that no page ever sends, everything else as the page has it. On three pages and with one value each,
in turn; in the deep run on all pages with all values.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mesoclinic.core.errors import InvalidInput
from mesoclinic.core.reading import one_of, revision_of, whole_number
from sessions.models import Appointment

DEEP = bool(os.environ.get("MESOCLINIC_DEEP"))
UNREADABLE = ("-1", "abc", "99999999999999999999", "\u0661", " ", "", "\u00b2", "1;2", "None", "0x1")
WRITES = re.compile(
    r'^(?:INSERT INTO|UPDATE|DELETE FROM) "(?!audit_auditevent|django_session|accounts_user"|usersessions)'
)

# What says where a page leads afterwards, or how much it shows. It decides about nothing that is kept.
ONLY_SHOWS = {"next", "day", "step", "parts", "do", "then", "csrfmiddlewaretoken"}
# A reason or a note that a button brings along is words, not a parameter.
WORDS = {"standing_reason", "reason", "note"}


class Sent(HTMLParser):
    """The forms of a page that post: where to, and their parameters with the value that the page would send."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.forms: list[tuple[str, dict[str, str], set[str]]] = []  # action, all fields, those that the page sets
        self.inside = False
        self.select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = given.get("method") == "post"
            if self.inside:
                self.forms.append((given.get("action") or self.page, {}, set()))
        if not self.inside:
            return
        _action, fields, own = self.forms[-1]
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "select":
            self.select = name
        elif tag == "option" and self.select and ("selected" in given or self.select not in fields):
            fields[self.select] = given.get("value", "")
            own.add(self.select)
        elif tag == "textarea" and name:
            fields[name] = "Because."
        elif name and (tag == "button" or kind in ("hidden", "radio", "checkbox")):
            if "checked" in given or kind == "hidden" or name not in fields:
                fields[name] = given.get("value", "on")
            if kind != "checkbox":
                own.add(name)
        elif tag == "input" and name:
            fields.setdefault(name, given.get("value") or "Because.")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "select":
            self.select = ""


@pytest.fixture
def pages(course, plan, ada, dora) -> list[tuple[Any, str]]:
    visit = course.appointments.get(number=1)
    of_staff = [
        reverse("sessions:day", args=[visit.starts_at.date()]),
        reverse("sessions:patient", args=[plan.patient.public_id]),
        *(reverse(f"sessions:{name}", args=[visit.public_id]) for name in ("appointment", "session_record")),
        f"{reverse('sessions:appointment_move', args=[visit.public_id])}?"
        + urlencode(
            {
                "day": "2027-03-02",
                "time": "10:00",
                "practitioner": ada.public_id,
                "room": visit.room.public_id,
            }
        ),
        reverse("protocols:plan_stop", args=[plan.public_id]),
        reverse("patients:edit", args=[plan.patient.public_id]),
    ]
    of_director = [
        reverse("resources:site", args=[visit.site.public_id]),
        reverse("resources:person", args=[ada.public_id]),
        reverse("accounts:staff_edit", args=[ada.public_id]),
    ]
    found = [*((ada, page) for page in of_staff), *((dora, page) for page in of_director)]
    return (
        found
        if DEEP
        else [row for row in found if re.search(r"/(?:appointments/[^/]+|sites/[^/]+)/(?:move/.*)?$", row[1])]
    )


def requests(page: str, text: str) -> Iterator[tuple[str, str, dict[str, str], str]]:
    """Each post with one unreadable parameter: its name, the address, the fields, the value."""
    parser = Sent(page)
    parser.feed(text)
    seen = set()
    turn = 0
    for action, fields, own in parser.forms:
        if action.startswith("/accounts/") or "password" in fields:
            continue
        path = urlsplit(action).path
        query = dict(parse_qsl(urlsplit(action).query)) if action != page else {}
        for name in [*query, *sorted(own - ONLY_SHOWS - WORDS)]:
            shape = (re.sub(r"[0-9a-f-]{36}", "", path), name.split("-")[0], fields.get("what"), fields.get("op"))
            if shape in seen:
                continue
            seen.add(shape)
            for number in range(len(UNREADABLE) if DEEP else 1):
                value = UNREADABLE[(turn + number) % len(UNREADABLE)]
                if name in query:
                    yield name, f"{path}?{urlencode(query | {name: value})}", fields, value
                elif not (value.strip() == "" and name in fields and fields[name] == ""):
                    yield name, action, fields | {name: value}, value
            turn += 1


def test_what_cannot_be_read_changes_nothing(pages, sign_in) -> None:
    done, tried = [], 0
    clients = {user.pk: sign_in(user) for user, _page in pages}
    for user, page in pages:
        client = clients[user.pk]
        for name, address, fields, value in requests(page, client.get(page).content.decode()):
            with transaction.atomic():
                with CaptureQueriesContext(
                    connection,
                ) as asked:
                    answer = client.post(address, fields)
                transaction.set_rollback(True)
            tried += 1
            written = [row["sql"][:90] for row in asked if WRITES.match(row["sql"])]
            if answer.status_code >= 500 or (answer.status_code < 400 and written):
                done.append((address, name, value, answer.status_code, written[:2]))
    assert done == []
    assert tried > (40 if DEEP else 10), tried


@pytest.mark.parametrize(
    "numbers", [["-1"], ["abc"], ["99999999999999999999"], [""], ["\u0661"], ["1", "x"], ["0"], []]
)
def test_cancelling_sessions_that_cannot_be_read_cancels_none(numbers, course, cleo, sign_in) -> None:
    path = reverse("sessions:course_cancel", args=[course.public_id])
    answer = sign_in(cleo).post(f"{path}?{urlencode({'n': numbers}, doseq=True)}")

    assert (answer.status_code, "Nothing was changed" in answer.content.decode()) == (400, True)
    assert Appointment.objects.filter(course=course, status="booked").count() == 4


def test_cancelling_names_its_sessions_and_no_others(course, cleo, sign_in) -> None:
    answer = sign_in(cleo).post(reverse("sessions:course_cancel", args=[course.public_id]) + "?n=3&n=4")

    assert answer.status_code == 302
    assert list(course.appointments.filter(status="cancelled").values_list("number", flat=True)) == [3, 4]


@pytest.mark.parametrize("text", UNREADABLE)
def test_number_that_no_page_sends_is_refused(text) -> None:
    with pytest.raises(InvalidInput, match="is no number this page sends"):
        whole_number(text)
    assert revision_of({"revision": text}) == -1
    with pytest.raises(InvalidInput, match="is no choice of this page"):
        one_of({"opened": text}, "opened", ("yes", "no"))


def test_pages_read_numbers_in_one_place() -> None:
    """A view that reads digits by itself finds another way to fail: it asks mesoclinic/core/reading.py."""
    found = []
    for package in ("mesoclinic", "patients", "protocols", "sessions"):
        for path in (Path(settings.BASE_DIR) / package).rglob("*views.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = ast.unparse(node) if isinstance(node, ast.Call) else ""
                if called.endswith(".isdigit()") or re.match(r"int\(.*(?:GET|POST|text|typed)", called):
                    found.append(f"{path.name}:{node.lineno} {called}")  # type: ignore[attr-defined]
    assert found == []


@pytest.mark.parametrize("said", [{}, {"visits": ""}, {"visits": "all"}])
def test_stopping_a_plan_without_a_word_on_its_visits_cancels_none(said, course, plan, ada, sign_in) -> None:
    url = reverse("protocols:plan_stop", args=[plan.public_id])
    answer = sign_in(ada).post(url, {"reason_code": "not_tolerated", "note": ""} | said)

    plan.refresh_from_db()
    assert (answer.status_code, plan.status) == (422, "signed")
    assert Appointment.objects.filter(course=course, status="booked").count() == 4
