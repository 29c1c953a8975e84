"""The product in French and Spanish: the pages people live in, the engine's sentences, and what knows no language."""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from mesoclinic.accounts.models import User
from patients.actions.intake import start_intake
from patients.intake.steps import STEPS
from patients.vocabulary import load_vocabulary
from protocols.engine import canonical_json
from protocols.engine.codes import without_sentences
from protocols.models import Plan
from protocols.plans.proposing import answer_case
from protocols.plans.signature import signature, signed_content
from scripts import messages
from tests import factories
from tests.factories_protocols import draft_plan, published_formulary, signed_plan
from tests.protocols.worked_cases import answer_of, by_id, starter, worked_cases

SENTENCES = Path(__file__).parent / "protocols/sentences"
LANGUAGES = ("fr", "es")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Words(HTMLParser):
    """What a person reads or hears on a page, save what is marked as English; and the attributes a machine reads."""

    MACHINE = frozenset({"d", "x", "y", "cx", "cy", "r", "x1", "x2", "y1", "y2", "width", "height", "viewbox",
                         "points", "transform", "min", "max", "step"})  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.machine: list[tuple[str, str]] = []
        self._quiet: list[bool] = [False]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        quiet = self._quiet[-1] or tag in ("script", "style") or given.get("lang") == "en"
        if tag not in VOID:
            self._quiet.append(quiet)
        for name, value in attrs:
            if name in ("aria-label", "title", "placeholder", "alt") and value and not quiet:
                self.words.append(value)
            if name in self.MACHINE and value:
                self.machine.append((name, value))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and len(self._quiet) > 1:
            self._quiet.pop()

    def handle_data(self, data: str) -> None:
        if not self._quiet[-1] and data.strip():
            self.words.append(" ".join(data.split()))


def read(html: str) -> Words:
    found = Words()
    found.feed(html)
    return found


@lru_cache
def english_of(language: str) -> frozenset[str]:
    """Every English text whose translation is another."""
    texts: set[str] = set()
    for kind in messages.FOLDERS:
        for message in messages.messages_of(messages.read(kind, language)):
            originals = [message.id] if isinstance(message.id, str) else list(message.id)
            translated = messages.strings_of(message)
            texts |= {text for text, said in zip(originals, translated, strict=True) if text != said}
            texts -= set(translated)
    return frozenset(" ".join(text.split()) for text in texts if len(text) > 3)


def left_in_english(html: str, language: str) -> list[str]:
    return [words for words in read(html).words if words in english_of(language)]


# ------------------------------------------------------------------ the pages people live in


@pytest.fixture
def rooms(ada: User, dora: User) -> dict[str, str]:
    """The addresses of the main pages, with something on each."""
    formulary = published_formulary(by=dora)
    factories.clinic()
    draft = draft_plan(by=ada, facts={"medications": ["antiplatelet_single"], "smoker": True})
    other = factories.patient(by=ada)
    intake = start_intake(patient=other, by=ada)
    ingredient = formulary.entries.get(ingredient__key="biochanin_a").ingredient
    pages = {
        "today": "/",
        "patients": reverse("patients:list"),
        "patient": reverse("sessions:patient", args=[draft.patient.public_id]),
        "new patient": reverse("patients:new"),
        "intake": reverse("patients:intake_detail", args=[draft.intake.public_id]),
        "plan": reverse("protocols:plan", args=[draft.public_id]),
        "what if": reverse("protocols:plan_what_if", args=[draft.public_id]),
        "change": reverse("protocols:plan_change", args=[draft.public_id]) + "?ingredient=pdrn",
        "catalogue": reverse("protocols:catalogue"),
        "ingredient": reverse("protocols:ingredient", args=[ingredient.public_id]),
        "versions": reverse("protocols:versions"),
        "review": reverse("patients:intake_review", args=[intake.public_id]),
    }
    edit = reverse("patients:intake_edit", args=[intake.public_id])
    return pages | {f"step {step.key}": f"{edit}?step={step.key}" for step in STEPS}


def speak(user: User, language: str) -> None:
    User.objects.filter(pk=user.pk).update(language=language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_main_pages_hold_no_english(rooms: dict[str, str], ada: User, sign_in, language: str) -> None:
    speak(ada, language)
    client: Client = sign_in(ada)
    found = {}
    for name, url in rooms.items():
        page = client.get(url, follow=True)
        assert page.status_code == 200, name
        assert f'<html lang="{language}"' in page.content.decode(), name
        if english := left_in_english(page.content.decode(), language):
            found[name] = english
    assert found == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_machine_reads_on_a_page_is_the_same(rooms: dict[str, str], ada: User, sign_in, language: str) -> None:
    """A decimal comma in a drawing or in a limit of an input would break it."""
    client: Client = sign_in(ada)
    for name in ("plan", "ingredient", "catalogue", "step scalp"):
        speak(ada, "en")
        english = read(client.get(rooms[name]).content.decode()).machine
        speak(ada, language)
        translated = read(client.get(rooms[name]).content.decode()).machine
        numbers = [pair for pair in translated if "," in pair[1] and not re.search(r"[a-zA-Z]", pair[1])]
        assert [pair for pair in numbers if pair not in english] == [], name


@pytest.mark.parametrize("language", LANGUAGES)
def test_decimals_on_the_plan_have_a_comma(rooms: dict[str, str], ada: User, sign_in, language: str) -> None:
    speak(ada, language)
    words = read(sign_in(ada).get(rooms["plan"]).content.decode()).words

    points = [text for text in words if re.search(r"\d\.\d", text)]
    # Names of versions, identifiers and the units of the laboratory keep theirs.
    assert [text for text in points if not re.search(r"2026\.1|doi |10\.\d{4}|1\.73 m|et al\.|\d{4};", text)] == []
    assert any(re.search(r"\d,\d\d\xa0mL", text) for text in words)


# ------------------------------------------------------------------ a dose is the same in every language


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
@pytest.mark.parametrize("typed", ["0,75", "0.75"])
def test_a_volume_means_the_same_in_every_language(
    rooms: dict[str, str], ada: User, sign_in, language: str, typed: str
) -> None:
    speak(ada, language)
    plan = Plan.objects.get()
    line = next(row for row in plan.result["syringes"][0]["lines"] if row["ingredient"] == "biochanin_a")
    assert line["volume_ml"] != "0.75"

    page = sign_in(ada).post(
        reverse("protocols:plan_edit", args=[plan.public_id]),
        {"revision": plan.revision, "op": "set_volume", "ingredient": "biochanin_a", "volume_ml": typed},
    )

    assert page.status_code == 302
    plan.refresh_from_db()
    assert plan.edits == [{"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "0.75"}]


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
@pytest.mark.parametrize("typed", ["1.250", "1,250"])
def test_a_volume_that_reads_two_ways_is_refused(
    rooms: dict[str, str], ada: User, sign_in, language: str, typed: str
) -> None:
    speak(ada, language)
    plan = Plan.objects.get()

    page = sign_in(ada).post(
        reverse("protocols:plan_edit", args=[plan.public_id]),
        {"revision": plan.revision, "op": "set_volume", "ingredient": "biochanin_a", "volume_ml": typed},
    )

    assert page.status_code == 400
    assert f'value="{typed}"' in page.content.decode()
    plan.refresh_from_db()
    assert plan.edits == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_open_answer_that_reads_two_ways_is_refused(
    rooms: dict[str, str], ada: User, sign_in, language: str
) -> None:
    speak(ada, language)
    plan = Plan.objects.get()
    numbers = [key for key, fact in load_vocabulary().facts.items() if fact.type == "number"]
    fact = next(row["fact"] for row in plan.result["open_questions"] if row["fact"] in numbers)

    page = sign_in(ada).post(
        reverse("protocols:plan_answer", args=[plan.public_id]),
        {"revision": plan.revision, f"value-{fact}": "1.250"},
    )

    assert page.status_code == 400
    assert 'value="1.250"' in page.content.decode()


# ------------------------------------------------------------------ what knows no language


def test_a_case_gives_the_same_answer_in_every_language() -> None:
    case, every = by_id("C05"), ("en", *LANGUAGES)
    said = {language: answer_case(case, formulary=starter(), policy={}, language=language) for language in every}

    bare = {language: canonical_json(without_sentences(one)) for language, one in said.items()}
    assert bare["fr"] == bare["en"] == bare["es"]
    assert said["fr"]["fingerprint"] == said["en"]["fingerprint"] == answer_of(case)["fingerprint"]
    assert said["fr"]["summary"] != said["en"]["summary"]


def test_a_signature_holds_in_every_language(ada: User, dora: User) -> None:
    published_formulary(by=dora)
    plan = signed_plan(by=ada, facts={"medications": ["antiplatelet_single"]})
    for language in ("en", *LANGUAGES):
        with translation.override(language):
            content = signed_content(plan, by=ada, at=plan.signed_at)
            assert signature(content) == plan.signature_sha256


def test_the_api_writes_numbers_with_a_point_in_every_language(rooms: dict[str, str], ada: User, sign_in) -> None:
    client: Client = sign_in(ada)
    answers: dict[str, Any] = {}
    for language in ("en", *LANGUAGES):
        speak(ada, language)
        found = client.get("/api/v1/ingredients/", {"q": "biochanin"}).json()["results"]
        assert len(found) == 1
        answers[language] = {"per_session": found[0]["per_session"], "strength": found[0]["stock"].split(",")[0]}
    assert answers["fr"] == answers["en"] == answers["es"]
    assert answers["fr"]["strength"] == "0.2 mg/mL"


# ------------------------------------------------------------------ the engine's sentences


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case["id"])
def test_the_sentences_of_a_worked_case_are_what_they_were(case: dict[str, Any], language: str) -> None:
    """MESOCLINIC_SNAPSHOTS=1 writes them anew; a change then shows in review."""
    said = answer_case(case, formulary=starter(), policy={}, language=language)
    with translation.override(language):
        text = json.dumps(_sentences(said), ensure_ascii=False, indent=1) + "\n"

    file = SENTENCES / f"{case['id']}.{language}.json"
    if os.environ.get("MESOCLINIC_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
    assert [words for words in _every(json.loads(text)) if words in english_of(language)] == []


def _sentences(said: dict[str, Any]) -> dict[str, Any]:
    lines = [line for syringe in said["syringes"] for line in syringe["lines"]]
    return {
        "summary": said["summary"],
        "missing": [row["question"] for row in said["missing"]],
        "findings": [
            [row["message"], row["because_text"]] for kind in ("blocks", "cautions", "infos") for row in said[kind]
        ],
        "requirements": [row["sentence"] for row in said["requirements"]],
        "mixture": [[line["label"], line["reason"]] for line in lines],
        "left out": [row["reason"] for row in said["left_out"]],
        "alternatives": [row["summary"] for row in said["alternatives"]],
        "referrals": [[row["to_label"], row["urgency_label"]] for row in said["referrals"]],
    }


def _every(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, dict) else node
    return [text for child in children for text in _every(child)]
