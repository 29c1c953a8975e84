"""Dates, units and names stand in the reader's words on every page, in each language."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from mesoclinic.accounts.models import User
from patients.actions.intake import start_intake
from patients.models import Intake
from protocols.models import FormularyVersion, Plan
from sessions.booking.actions import book_course
from sessions.models import Appointment
from tests import factories
from tests.factories_protocols import draft_plan, published_formulary, signed_plan
from tests.reading import Page, for_machines, name_of, walk
from tests.sessions import factories as make

SignIn = Callable[[User], Client]

# Words of a release of the formulary, which its hash keeps as they are; they speak to whoever edits it.
RELEASED = ("claim_tracing", "contains_sulfite")


@pytest.fixture
def clinic(dora: User) -> User:
    """A clinic with something on each page, and somebody who may open all of them."""
    published_formulary(by=dora)
    factories.clinic()
    site = dora.sites.get()
    roles = ["director", "practitioner", "nurse", "receptionist"]
    every = factories.user(given_name="Eve", family_name="Ry", title="Dr", roles=roles, sites=[site])
    make.open_site(site=site, practitioner=every)
    draft_plan(by=every, facts={"medications": ["antiplatelet_single"], "smoker": True})
    signed = signed_plan(by=every, patient=make.patient(by=every, site=site))
    book_course(plan=signed, site=site, practitioner=every, earliest=make.monday(), by=every)
    start_intake(patient=factories.patient(by=every, given_name="Noor", family_name="Zed", email=""), by=every)
    return every


def test_every_page_is_in_the_readers_words(clinic: User, sign_in: SignIn) -> None:
    """In English, and each page in one of the other languages as well."""
    client = sign_in(clinic)
    pages = list(walk(client, ["/", "/calendar/?view=month", *_unlinked()]))
    assert len(pages) > 45, "the walk lost its way"

    found = {name_of(url): faults for url, page in pages if (faults := _faults(page))}
    for language, half in (("fr", pages[::2]), ("es", pages[1::2])):
        User.objects.filter(pk=clinic.pk).update(language=language)
        for url, _page in half:
            html = client.get(url).content.decode()
            assert f'<html lang="{language}"' in html
            if faults := _faults(Page(html)):
                found[f"{language} {name_of(url)}"] = faults

    assert found == {}


def _unlinked() -> list[str]:
    """Pages that are a press or a state away from any link."""
    draft, visit = Intake.objects.get(status="draft"), Appointment.objects.get(number=1)
    signed = Plan.objects.get(status="signed")
    named = {
        "patients:intake_edit": draft.public_id,
        "patients:intake_review": draft.public_id,
        "patients:day_check": signed.patient.public_id,
        "protocols:statements": signed.patient.public_id,
        "protocols:plan_stop": signed.public_id,
        "protocols:plan_cautions": signed.public_id,
        "protocols:version_changes": FormularyVersion.objects.get().public_id,
        "sessions:session_record": visit.public_id,
        "sessions:appointment_overbook": visit.public_id,
        "sessions:plan_overbook": signed.public_id,
    }
    return [reverse(name, args=[public_id]) for name, public_id in named.items()] + [reverse("resources:misfits")]


def _faults(page: Page) -> list[str]:
    return [
        f"{fault} in “{words[:80]}”"
        for words in page.words
        for fault in for_machines(words)
        if not any(known in words for known in RELEASED)
    ]


@pytest.mark.parametrize(
    "words",
    [
        "2026-11-30",
        "since 2026-11-30T09:15",
        "Rule allergy_soy",
        "12 ug/L",
        "3 mmol/l",
        "composition.mixture_limits.ph_window",
    ],
)
def test_what_a_machine_reads_is_found(words: str) -> None:
    assert len(for_machines(words)) == 1


@pytest.mark.parametrize(
    "words", ["30 Nov 2026", "12 µg/L", "clinic@x_y.example", "P-00342", "doi 10.1111/jocd_12.x", "and/or", "e.g."]
)
def test_what_a_person_reads_is_left_alone(words: str) -> None:
    assert for_machines(words) == []
