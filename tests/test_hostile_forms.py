"""Five hundred form posts that nobody should ever send: a message or a 404 for each, and nothing of another site."""

from __future__ import annotations

import os
import random
import re
import uuid
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from mesoclinic.accounts.models import User
from patients.actions.intake import start_intake
from patients.models import Intake, Patient
from protocols.models import Plan
from tests import factories
from tests.factories_protocols import draft_plan, published_formulary, signed_plan

POSTS = 20_000 if os.environ.get("MESOCLINIC_DEEP") else 500
BLOCKS = 5
SECRETS = ("Quennellzy", "Oberonzy", "zy-secret@elsewhere.example", "zy reaction to latex", "+1 212 000 77 31")
HOSTILE: tuple[str, ...] = (
    "", " ", "\x00", "ab\x00cd", "A" * 300, "é" * 5_000, "9" * 400, "-1", "0", "1e999", "NaN", "Infinity", "1,5",
    "1.5.5", "\u0661\u0662\u0663", "\uff11\uff12", "\u00bd", "2\u00b2", "<script>alert(1)</script>", "<b>bold</b>",
    "\"'><img src=x onerror=alert(1)>", "{{ 7*7 }}{% load x %}", "%s %(x)s %n", "'; DROP TABLE patients_patient; --",
    "\U0001f642" * 40, "\U0001f469\U0001f3fd\u200d\u2695\ufe0f", "\u202eegdesrever", "\u0645\u0631\u062d\u0628\u0627",
    "\u05e9\u05dc\u05d5\u05dd", "a\u0301" * 60, "\ud7ff", "\u200b", "\r\nBcc: x@example.org", "../../../etc/passwd",
    "true", "null", "[]", "{}", "undefined", "1900-02-30", "9999-12-31", "0000-00-00", "2026-11-24T99:99", "(none)",
    "yes",
)  # fmt: skip


@dataclass
class Form:
    page: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)


class Forms(HTMLParser):
    """Every form of a page that posts, and every part of one that htmx posts by itself, with the fields as sent."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page, self.forms, self.inside = page, [], None  # type: tuple[str, list[Form], Form | None]
        self.select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = Form(page=self.page, action=given.get("action") or self.page)
            if given.get("method") == "post":
                self.forms.append(self.inside)
        elif self.inside is not None and tag in ("input", "button", "textarea") and given.get("name"):
            self.inside.fields.append((given["name"], given.get("value", "")))
        elif tag == "select":
            self.select = given.get("name", "")
        elif tag == "option" and self.select and self.inside is not None:
            self.inside.fields.append((self.select, given.get("value", "")))
        if tag != "form" and given.get("hx-post"):  # the panel of duplicates, what medicines count as, the preview
            self.forms.append(
                Form(page=self.page, action=given["hx-post"], fields=self.inside.fields if self.inside else [])
            )

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = None
        elif tag == "select":
            self.select = ""


@dataclass
class Clinic:
    pages: dict[str, list[str]]  # by who opens them
    theirs: list[str]  # ids of another site


@pytest.fixture
def clinic(ada: User, dan: User, dora: User) -> Clinic:
    published_formulary(by=dora)
    elsewhere = factories.patient(
        by=dan, given_name="Oberonzy", family_name="Quennellzy", email="zy-secret@elsewhere.example"
    )
    Patient.objects.filter(pk=elsewhere.pk).update(phone="+1 212 000 77 31")
    theirs = signed_plan(by=dan, patient=elsewhere)
    open_elsewhere = start_intake(patient=elsewhere, by=dan)
    Intake.objects.filter(pk=open_elsewhere.pk).update(note="zy reaction to latex")
    draft = draft_plan(by=ada, facts={"medications": ["antiplatelet_single"]})
    signed = signed_plan(
        by=ada, patient=factories.patient(by=ada, given_name="Mira", birth_date=date(1980, 2, 3), email="m@example.org")
    )
    one, other = draft.patient, signed.patient
    intake = start_intake(patient=other, by=ada)
    desk = [
        reverse("patients:list"),
        reverse("patients:new"),
        reverse("patients:edit", args=[one.public_id]),
        reverse("patients:merge", args=[one.public_id]),
        reverse("patients:merge_into", args=[one.public_id, other.public_id]),
        reverse("patients:intake_edit", args=[intake.public_id]),
        reverse("patients:intake_review", args=[intake.public_id]),
    ]
    clinical = [
        *desk,
        reverse("patients:day_check", args=[one.public_id]),
        reverse("patients:intake_detail", args=[draft.intake.public_id]),
        reverse("sessions:patient", args=[one.public_id]),
        *(reverse(f"protocols:{name}", args=[draft.public_id]) for name in ("plan", "plan", "plan", "plan_what_if")),
        reverse("protocols:plan_change", args=[draft.public_id]),
        reverse("protocols:plan_change", args=[draft.public_id]) + "?ingredient=pdrn",
        *(reverse(f"protocols:{name}", args=[signed.public_id]) for name in ("plan", "plan_stop", "plan_what_if")),
    ]
    director = [
        reverse("protocols:versions"),
        reverse("protocols:version", args=[draft.formulary.public_id]),
        reverse("resources:sites"),
        reverse("resources:site", args=[one.site.public_id]),
        reverse("resources:person", args=[ada.public_id]),
        reverse("inbox:wording", args=["reminder_7d", "en"]),
    ]
    return Clinic(
        pages={"cleo": desk, "ada": clinical, "ben": desk, "dora": director},
        theirs=[str(row.public_id) for row in (elsewhere, theirs, theirs.intake, open_elsewhere, dan, dan.sites.get())],
    )


UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def spoiled(rng: random.Random, form: Form, theirs: list[str]) -> tuple[str, list[tuple[str, str]]]:
    """The form as somebody hostile sends it: fields dropped, doubled, invented; values and ids that are not its own."""
    action, fields = form.action, [(name, value) for name, value in form.fields if rng.random() < 0.9]
    for _ in range(rng.choice([1, 1, 2, 4, 12])):
        if not fields:
            break
        at = rng.randrange(len(fields))
        name = fields[at][0] if rng.random() < 0.9 else rng.choice(HOSTILE)[:80]
        fields[at] = (name, rng.choice(HOSTILE) if rng.random() < 0.8 else rng.choice(theirs))
    if rng.random() < 0.3:
        fields += rng.choices(fields, k=3) if fields else []
    if rng.random() < 0.1:
        fields.append(
            (
                rng.choice(
                    [
                        "ingredient",
                        "op",
                        "rule",
                        "patient",
                        "site",
                        "revision",
                        "seen",
                        "keep-phone",
                        "keep-note",
                        "kept",
                    ]
                ),
                rng.choice(HOSTILE),
            )
        )
    if rng.random() < 0.25 and UUID.search(action):
        action = UUID.sub(
            lambda _found: rng.choice([*theirs, str(uuid.UUID(int=rng.getrandbits(128)))]), action, count=1
        )
    return action, fields


@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_hostile_post_gets_a_message_or_a_404(
    block: int, clinic: Clinic, request: pytest.FixtureRequest, sign_in
) -> None:
    rng = random.Random(f"forms {block}")
    hands: dict[str, tuple[Client, list[Form]]] = {}
    for who, pages in clinic.pages.items():
        client = sign_in(request.getfixturevalue(who))
        forms = []
        for page in pages:
            parser = Forms(page)
            parser.feed(client.get(page).content.decode())
            forms += [form for form in parser.forms if not form.action.startswith(("/accounts/", "/staff/"))]
        assert forms, who
        hands[who] = (client, forms)
    before = of_another_site()
    seen: dict[int, int] = {}
    for _ in range(POSTS // BLOCKS):
        client, forms = hands[rng.choices(["ada", "cleo", "ben", "dora"], weights=[6, 2, 1, 1])[0]]
        action, fields = spoiled(rng, rng.choice(forms), clinic.theirs)
        with transaction.atomic():  # each begins where the first began
            answer = send(rng, client, action, fields)
            check(answer, action, fields)
            assert of_another_site() == before, (action, fields)
            transaction.set_rollback(True)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
    assert 404 in seen and any(400 <= status < 500 and status != 404 for status in seen), seen


def send(rng: random.Random, client: Client, action: str, fields: list[tuple[str, str]]) -> Any:
    headers = {"HX-Request": "true"} if rng.random() < 0.4 else {}
    how = rng.random()
    if how < 0.75:
        body = urlencode([(name.encode(errors="replace"), value.encode(errors="replace")) for name, value in fields])
        return client.generic("POST", action, body.encode(), "application/x-www-form-urlencoded", headers=headers)
    if how < 0.9:
        data: dict[str, list[str]] = {}
        for name, value in fields:
            data.setdefault(name.replace("\x00", ""), []).append(value)
        return client.post(action, data, headers=headers)
    bodies = (b"\xff\xfe\x00=1&a=%ff%fe", b"a=1&" * 2_000, b"{" * 500, b"", b"x" * 3_000_000, b"revision=%00&op=%f0%28")
    return client.generic("POST", action, rng.choice(bodies), "application/x-www-form-urlencoded", headers=headers)


def check(answer: Any, action: str, fields: list[tuple[str, str]]) -> None:
    about = (answer.status_code, action, fields)
    assert answer.status_code < 500, about
    text = answer.content.decode(errors="replace")
    for secret in SECRETS:
        assert secret not in text, (secret, *about)
    assert "<script>alert(1)</script>" not in text and "<img src=x" not in text, about
    if answer.status_code >= 400 and answer.status_code != 404:
        assert re.search(r'role="alert"|<h1|mc-err|mc-note', text), (text[:300], *about)


def of_another_site() -> list[Any]:
    """Everything of the other site that a post could change."""
    there = {"patient__site__name": "New York"}
    return [
        *Patient.objects.filter(site__name="New York").order_by("pk").values_list(),
        *Intake.objects.filter(**there).order_by("pk").values_list("pk", "revision", "status", "facts", "note"),
        *Plan.objects.filter(**there).order_by("pk").values_list("pk", "revision", "status", "edits"),
    ]
