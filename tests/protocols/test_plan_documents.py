"""The plan's PDFs: data made without HTTP, whose text holds the patient, every ingredient, dose and date."""

from __future__ import annotations

import json
import re
from datetime import datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import pikepdf
import pytest
from django.urls import reverse
from django.utils import translation

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput, NotAllowed
from mesoclinic.documents.actions import render_document
from mesoclinic.documents.models import Document, DocumentState
from protocols.actions.drafts import amend_plan, edit_plan
from protocols.actions.signing import sign_plan
from protocols.engine import canonical_json
from protocols.models import FormularyVersion, Plan
from protocols.plans.signature import signature_holds
from protocols.prints import contexts as documents
from protocols.prints.contexts import plan_context
from protocols.prints.documents import plan_pdf_visible, request_plan_pdf
from protocols.prints.kinds import KINDS as EVERY_KIND
from tests import factories
from tests.factories_protocols import draft_plan, settled, signed_plan

KINDS = ("plan_patient", "plan_record")  # those with the whole content
PAGES = {"plan_patient": 2, "plan_record": 4, "plan_archive": 4}
PARIS = ZoneInfo("Europe/Paris")
DATES = [
    {
        "number": n,
        "starts_at": datetime(2027, month, 5, 9, 0, tzinfo=PARIS),
        "practitioner": "Dr Ada Moreau",
        "site": "Lyon",
    }
    for n, month in enumerate((1, 2, 3, 4), start=1)
]


@pytest.fixture
def booked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "session_dates", lambda plan: DATES)


def html_of(document: Document) -> str:
    """What the printed page says, without laying it out."""
    from django.conf import settings
    from django.utils import timezone, translation

    from mesoclinic.core import template_engine

    with translation.override(document.language), timezone.override(PARIS):
        return template_engine.render(
            settings.DOCUMENT_KINDS[document.kind]["template"],
            {**document.context, "title": document.title, "language": document.language, "kind": document.kind},
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_print_holds_patient_ingredients_doses_and_dates(signed: Plan, ada: User, booked: None, kind: str) -> None:
    text = html_of(request_plan_pdf(plan=signed, kind=kind, by=ada))

    assert "Teodor Brandvold" in text and "8 June 1987" in text
    for syringe in signed.result["syringes"]:
        for line in syringe["lines"]:
            assert line["name"] in text
            if line["role"] != "diluent":
                assert f"{line['dose']}\xa0{line['dose_unit']}" in text
    for day in ("5 January 2027", "5 February 2027", "5 March 2027", "5 April 2027"):
        assert day in text
    assert text.count("09:00") == 4
    assert "watermark" not in text
    assert signed.short_fingerprint in text or signed.signature_sha256 in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_draft_is_marked_as_one(draft: Plan, ada: User, kind: str) -> None:
    text = html_of(request_plan_pdf(plan=draft, kind=kind, by=ada))
    assert '<div class="watermark">DRAFT</div>' in text
    assert "28 days after the first" in text or "not booked" in text


def test_a_draft_has_no_fingerprint(draft: Plan) -> None:
    assert draft.short_fingerprint == ""


def test_a_superseded_plan_is_marked_as_one(signed: Plan, ada: User) -> None:
    amended = settled(amend_plan(plan=signed, by=ada), by=ada)
    sign_plan(plan=amended, revision=amended.revision, password=factories.PASSWORD, by=ada)
    signed.refresh_from_db()
    assert "SUPERSEDED" in html_of(request_plan_pdf(plan=signed, by=ada))


def test_the_patients_copy_promises_nothing_and_quotes_no_marketing(signed: Plan, ada: User) -> None:
    text = html_of(request_plan_pdf(plan=signed, by=ada))
    assert "cannot be promised" in text and "Call the emergency number" in text and "off-label" in text
    for forbidden in ("156%", "156 %", "52%", "guarantee", "proven to", "antiplatelet_single", "clinic_default"):
        assert forbidden not in text, forbidden


def test_the_record_copy_says_who_answered_each_caution_and_question(signed: Plan, ada: User) -> None:
    text = html_of(request_plan_pdf(plan=signed, kind="plan_record", by=ada))
    assert "antiplatelet_single" in text and "Explained, the patient accepts it" in text
    assert "Asked; not measured today." in text
    assert "Left out" in text and "Coumarin" in text
    assert signed.signature_sha256 in text


def test_the_record_copy_says_what_an_edit_changed_why_and_by_whom(ready: Plan, ada: User) -> None:
    lines = {row["ingredient"]: row for syringe in ready.result["syringes"] for row in syringe["lines"]}
    old = lines["biochanin_a"]
    edited = edit_plan(
        plan=ready,
        revision=ready.revision,
        edits=[
            {"op": "set_volume", "ingredient": "biochanin_a", "volume_ml": "0.75", "reason": "tolerance"},
            {"op": "set_sessions", "sessions": 3, "reason": "other", "note": "Moves <away> in May"},
        ],
        by=ada,
    )
    plan = settled(edited, by=ada)
    sign_plan(plan=plan, revision=plan.revision, password=factories.PASSWORD, by=ada)
    document = request_plan_pdf(plan=plan, kind="plan_record", by=ada)

    volume, sessions = document.context["edits"]
    assert (volume["was"], volume["now"]) == (
        f"{old['volume_ml']} mL ({old['dose']}\xa0mg)",
        "0.75 mL (0.15\xa0mg)",
    )
    assert (volume["why"], volume["by"]) == ("Tolerated badly or well before", "Dr Ada Moreau")
    assert (sessions["was"], sessions["now"]) == ("4 sessions", "3 sessions")
    assert sessions["why"] == "Other: Moves <away> in May"
    text = html_of(document)
    for words in ("Changed by hand", volume["was"], volume["now"], volume["why"], "Proposed", "Moves &lt;away&gt;"):
        assert words in text, words
    assert "nothing was changed by hand" not in text

    amended = amend_plan(plan=plan, by=ada)  # the edit is taken over; whoever made it stays its author
    taken = request_plan_pdf(plan=amended, kind="plan_record", by=ada).context
    assert [row["by"] for row in taken["edits"]] == ["Dr Ada Moreau"] * 2 and taken["replaces"] == "1"


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_print_says_which_version_of_the_plan_it_is(signed: Plan, ada: User, kind: str) -> None:
    amended = settled(amend_plan(plan=signed, by=ada), by=ada)
    sign_plan(plan=amended, revision=amended.revision, password=factories.PASSWORD, by=ada)
    assert "plan 1.2, version 2" in html_of(request_plan_pdf(plan=amended, kind=kind, by=ada))


# Words that are the same in another language, names, and what a clinic writes itself.
SAME = {"Lyon", "Clinique des Tilleuls", "Dr Ada Moreau", "Teodor Brandvold", "plan 1, version 1"}


@pytest.mark.parametrize("language", ["fr", "es"])
@pytest.mark.parametrize("kind", ["plan_patient", "consent", "aftercare", "quotation", "course_schedule"])
def test_a_patients_print_has_no_english_left(signed: Plan, ada: User, kind: str, language: str) -> None:
    """Line by line beside the English one: a whole phrase that is in both was not translated."""

    def phrases(asked: str) -> set[str]:
        signed.patient.language = asked
        text = re.sub(r"<svg.*?</svg>", " ", html_of(request_plan_pdf(plan=signed, kind=kind, by=ada)), flags=re.S)
        pieces = re.split(r"<[^>]*>|\s·\s|[.:;]\s", text)
        return {" ".join(piece.split()).strip(" .,:;") for piece in pieces}

    names = SAME | {signed.short_fingerprint}
    names |= {line["name"] for syringe in signed.result["syringes"] for line in syringe["lines"]}
    both = {phrase for phrase in phrases("en") & phrases(language) if not any(name in phrase for name in names)}
    assert {phrase for phrase in both if re.search(r"[a-z]{3,}.*\s.*[a-z]{3,}", phrase)} == set()


@pytest.mark.parametrize("language", ["fr", "es"])
def test_a_record_copy_has_no_english_left_but_what_people_wrote(ada: User, dora: User, language: str) -> None:
    """The record is in the language of whoever drafted the plan."""

    def phrases(asked: str) -> set[str]:
        User.objects.filter(pk=ada.pk).update(language=asked)
        ada.refresh_from_db()
        patient = factories.patient(by=ada, email="")
        plan = signed_plan(by=ada, patient=patient, facts={"medications": ["antiplatelet_single"]})
        text = re.sub(
            r"<svg.*?</svg>", " ", html_of(request_plan_pdf(plan=plan, kind="plan_record", by=ada)), flags=re.S
        )
        return {" ".join(piece.split()).strip(" .,:;“”«»") for piece in re.split(r"<[^>]*>|\s·\s|[.:;(),]\s?", text)}

    names = SAME | {"quai des Tilleuls", "Talked it over", "Asked", "not measured today", "SHA-256"}
    both = {phrase for phrase in phrases("en") & phrases(language) if not any(name in phrase for name in names)}
    words = {phrase for phrase in both if re.search(r"[a-z]{3,} [a-z]{3,}", phrase) or phrase in DIRECTIONS}
    assert words == set()


DIRECTIONS = {"supports", "mixed", "untested", "no advantage"}


def test_the_context_is_plain_data_and_the_same_twice(signed: Plan, booked: None) -> None:
    first = plan_context(signed, kind="plan_record", language="en")
    second = plan_context(Plan.objects.get(pk=signed.pk), kind="plan_record", language="en")
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def test_the_same_print_is_made_once_and_anew_when_dates_come(
    signed: Plan, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = request_plan_pdf(plan=signed, by=ada)
    assert request_plan_pdf(plan=signed, by=ada) == first
    monkeypatch.setattr(documents, "session_dates", lambda plan: DATES)
    assert request_plan_pdf(plan=signed, by=ada) != first


def test_a_print_in_another_language_leaves_the_plan_as_it_was_signed(signed: Plan, ada: User) -> None:
    before = canonical_json(signed.result)
    with translation.override("fr"):
        plan_context(signed, kind="plan_patient", language="fr")
    assert canonical_json(signed.result) == before and signature_holds(signed)


def test_the_patients_copy_is_in_the_patients_language(signed: Plan, ada: User) -> None:
    signed.patient.language = "fr"
    document = request_plan_pdf(plan=signed, by=ada)
    assert document.language == "fr"
    assert request_plan_pdf(plan=signed, kind="plan_record", by=ada).language == "en"
    signed.refresh_from_db()
    assert signed.result["summary"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the engine, writing PDF/A
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_pdf_is_tagged_and_short(signed: Plan, ada: User, booked: None, kind: str) -> None:
    document = request_plan_pdf(plan=signed, kind=kind, by=ada)
    assert render_document(document.pk) == DocumentState.READY, Document.objects.get(pk=document.pk).last_error
    document.refresh_from_db()
    with document.file.open() as file, pikepdf.open(BytesIO(file.read())) as pdf:
        assert pdf.Root.MarkInfo.Marked
        assert len(pdf.pages) == document.pages
    assert document.pages <= PAGES.get(kind, 1)


def test_who_may_see_the_pdf(signed: Plan, ada: User, ben: User, cleo: User, dora: User, dan: User) -> None:
    document = request_plan_pdf(plan=signed, by=ada)
    seen = {user.given_name: plan_pdf_visible(user, document) for user in (ada, ben, cleo, dora, dan)}
    assert seen == {"Ada": True, "Ben": True, "Cleo": False, "Dora": True, "Dan": False}
    for user in (cleo, dan):
        with pytest.raises(NotAllowed):
            request_plan_pdf(plan=signed, by=user)


def test_a_plan_without_a_mixture_is_not_printed(ada: User, formulary: FormularyVersion) -> None:
    plan = draft_plan(by=ada, facts={"fever_or_acute_illness": True})
    with pytest.raises(InvalidInput, match="nothing to print"):
        request_plan_pdf(plan=plan, by=ada)
    with pytest.raises(InvalidInput, match="no such document"):
        request_plan_pdf(plan=plan, kind="invoice", by=ada)


def test_the_button_leads_to_the_documents_progress(signed: Plan, ada: User, sign_in) -> None:
    answer = sign_in(ada).post(reverse("protocols:plan_document", args=[signed.public_id]), {"kind": "plan_patient"})
    document = Document.objects.get(kind="plan_patient")
    assert answer.url == reverse("documents:status", args=[document.public_id])
