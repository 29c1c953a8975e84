"""The set of a plan's prints: short, tagged, current or not, and the signed copy with its data."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput, NotAllowed
from mesoclinic.documents.actions import render_document
from mesoclinic.documents.checking import state_of
from mesoclinic.documents.models import Document, DocumentState
from mesoclinic.files import storage
from protocols.actions.drafts import amend_plan
from protocols.actions.signing import sign_plan
from protocols.models import Plan
from protocols.prints.archive import attached_data, verify_archive
from protocols.prints.documents import plan_pdf_visible, request_plan_pdf
from protocols.prints.kinds import KINDS
from tests import factories
from tests.factories_protocols import draft_plan, settled, signed_plan
from tests.mesoclinic.documents.prints import check_places, check_tags, snapshot, text_of

# The engine leaves its colour profile to the garbage collector when it writes PDF/A.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

WORST: dict[str, Any] = {
    "facts": {
        "norwood_stage": None,
        "ludwig_stage": "II",
        "conditions": [
            "diabetes_controlled",
            "keloid_tendency",
            "low_blood_pressure",
            "asthma",
            "autoimmune_disease_stable",
            "herpes_scalp_history",
            "fainting_with_needles",
            "psoriasis_elsewhere",
            "heart_disease",
            "kidney_disease",
        ],
        "medications": ["antiplatelet_single", "nsaid_regular", "antihypertensive", "biotin_high_dose"],
        "allergies": ["soy", "latex", "egg_or_bird_protein"],
    },
    "concerns": [
        {"concern": "androgenetic_alopecia", "severity": "severe"},
        {"concern": "poor_scalp_circulation", "severity": "severe"},
        {"concern": "nutrient_deficiency", "severity": "severe"},
        {"concern": "dry_brittle_hair", "severity": "moderate"},
        {"concern": "ageing_scalp", "severity": "moderate"},
        {"concern": "scalp_inflammation", "severity": "mild"},
        {"concern": "diffuse_thinning", "severity": "severe"},
    ],
    "zones": [
        {"zone": zone, "area_cm2": area}
        for zone, area in (
            ("frontal", "80"),
            ("temporal_left", "30"),
            ("temporal_right", "30"),
            ("mid_scalp", "120"),
            ("vertex", "80"),
            ("parietal_left", "80"),
            ("parietal_right", "80"),
            ("occipital", "100"),
        )
    ],
}
PAGES = {"plan_patient": 2, "plan_record": 6, "plan_archive": 6}
SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.fixture
def worst(ada: User, formulary: object) -> Plan:
    """Eight actives in two syringes, a dozen cautions, a name that fills two lines."""
    patient = factories.patient(
        by=ada,
        given_name="Maximiliane-Konstantina Elisabetta",
        family_name="von Hohenzollern-Sigmaringen y Fernández de la Vega",
        sex_at_birth="female",
        birth_date=datetime.date(1961, 12, 28),
    )
    return signed_plan(by=ada, patient=patient, **WORST)


def made(document: Document) -> bytes:
    assert render_document(document.pk) == DocumentState.READY, Document.objects.get(pk=document.pk).last_error
    document.refresh_from_db()
    return storage.read_file(document)


@pytest.mark.prints
@pytest.mark.parametrize("kind", KINDS)
def test_the_worst_content_is_whole_short_and_tagged(worst: Plan, ada: User, kind: str) -> None:
    assert len([line for s in worst.result["syringes"] for line in s["lines"] if line["role"] != "diluent"]) == 8
    data = made(request_plan_pdf(plan=worst, kind=kind, by=ada))
    pages = text_of(data).split("\f")[:-1]

    assert len(pages) <= PAGES.get(kind, 1)
    for number, page in enumerate(pages, start=1):
        assert "Hohenzollern-" in page and "Fernández de la Vega" in page and "28 December 1961" in page
        assert f"page {number} of {len(pages)}" in page
        assert worst.short_fingerprint in page or worst.signature_sha256 in page
        assert len(page.split()) > 60, "nearly empty"
    check_tags(data, language="en", archive=kind == "plan_archive")
    check_places(data)


@pytest.mark.prints
@pytest.mark.parametrize("kind", ["plan_patient", "consent"])
def test_the_worst_french_fits_the_shorter_paper(worst: Plan, ada: User, kind: str) -> None:
    """The longest language on the shortest paper: each page of the plan is set smaller by itself."""
    worst.patient.site.paper = "Letter"
    worst.patient.language = "fr"
    data = made(request_plan_pdf(plan=worst, kind=kind, by=ada))
    check_tags(data, language="fr")
    check_places(data)
    pages = text_of(data).split("\f")[:-1]
    assert len(pages) == PAGES.get(kind, 1)
    assert "Arrière" in pages[0] or kind == "consent"
    assert all(f"page {number} sur {len(pages)}" in page for number, page in enumerate(pages, start=1))


@pytest.mark.prints
@pytest.mark.parametrize("kind", KINDS)
def test_prints_on_letter_paper_fit_as_well(worst: Plan, ada: User, kind: str) -> None:
    worst.patient.site.paper = "Letter"
    data = made(request_plan_pdf(plan=worst, kind=kind, by=ada))
    with pikepdf.open(io.BytesIO(data)) as pdf:
        assert len(pdf.pages) <= PAGES.get(kind, 1)
        assert [round(float(side)) for side in pdf.pages[0].MediaBox] == [0, 0, 612, 792]
    check_places(data)


@pytest.mark.prints
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"plan_archive"}))
def test_the_text_of_a_print_is_what_it_was(signed: Plan, ada: User, kind: str) -> None:
    snapshot(SNAPSHOTS / f"{kind}.txt", made(request_plan_pdf(plan=signed, kind=kind, by=ada)))


def test_a_print_says_whether_it_is_current(signed: Plan, ada: User, db: None) -> None:
    token = request_plan_pdf(plan=signed, by=ada).context["check_url"].rstrip("/").rsplit("/", 1)[1]
    cache.clear()

    def page(asked: str) -> tuple[int, str]:
        answer = Client().get(f"/v/{asked}/")
        return answer.status_code, answer.content.decode()

    status, text = page(token)
    assert (status, state_of(token)) == (200, "current")
    assert "Yes, this print is current." in text
    for secret in ("Teodor", "Brandvold", "1987", "Biochanin", str(signed.public_id), signed.signature_sha256[:8]):
        assert secret not in text
    other = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert "superseded" in page(other)[1]
    for nonsense in ("x", "A" * 22 + "0" * 12, token[:-1], "é" * 34):
        assert page(nonsense)[0] == 404 and "unknown" in page(nonsense)[1]

    amended = settled(amend_plan(plan=signed, by=ada), by=ada)
    draft_token = request_plan_pdf(plan=amended, by=ada).context["check_url"].rstrip("/").rsplit("/", 1)[1]
    assert "This print is of a draft." in page(draft_token)[1]
    sign_plan(plan=amended, revision=amended.revision, password=factories.PASSWORD, by=ada)
    assert "No, this print is superseded." in page(token)[1]
    assert "No, this print is superseded." in page(draft_token)[1]


def test_a_print_of_a_plan_that_was_stopped_is_not_in_force(signed: Plan, ada: User) -> None:
    token = request_plan_pdf(plan=signed, by=ada).context["check_url"].rstrip("/").rsplit("/", 1)[1]
    Plan.objects.filter(pk=signed.pk).update(status="stopped")
    cache.clear()
    assert (state_of(token), state_of(token[:-12] + "0" * 12)) == ("stopped", "stopped")
    for language, said in (
        ("en", "No, this print is no longer in force."),
        ("fr", "Non, cette impression n’est plus en vigueur."),
        ("es", "No, esta impresión ya no está en vigor."),
    ):
        page = Client().get(f"/v/{token}/", headers={"Accept-Language": language}).content.decode()
        assert said in page and f'<html lang="{language}"' in page
        assert "Brandvold" not in page and str(signed.public_id) not in page


def test_the_public_page_answers_only_so_often(db: None) -> None:
    cache.clear()
    answers = [Client().get("/v/x/").status_code for _ in range(32)]
    assert answers[0] == 404 and answers[-1] == 429
    cache.clear()


def test_the_signed_copy_verifies_and_a_changed_byte_does_not(
    signed: Plan, ada: User, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made(request_plan_pdf(plan=signed, kind="plan_archive", by=ada))
    file = tmp_path / "plan.pdf"
    file.write_bytes(data)
    with pikepdf.open(file) as pdf:
        assert pdf.attachments["plan.json"].get_file().read_bytes() == attached_data(data)
    call_command("verify_document", str(file))
    assert capsys.readouterr().out.startswith("Yes. Plan 1 ")

    for at in [*range(0, len(data), len(data) // 40), data.index(b"/EmbeddedFile") + 400, len(data) - 1]:
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert not verify_archive(changed).holds, at
    file.write_bytes(data[:-1])
    with pytest.raises(CommandError, match=r"^No\. "):
        call_command("verify_document", str(file))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("verify_document", str(tmp_path / "none.pdf"))
    assert verify_archive(b"%PDF-1.7").why == "The file holds no signed data, or they cannot be read."


def test_a_draft_does_not_go_to_the_archive(draft: Plan, ada: User) -> None:
    with pytest.raises(InvalidInput, match="Only a signed plan"):
        request_plan_pdf(plan=draft, kind="plan_archive", by=ada)


def test_reception_gets_dates_and_advice_without_the_plan(signed: Plan, cleo: User, dan: User) -> None:
    for kind in ("course_schedule", "aftercare"):
        document = request_plan_pdf(plan=signed, kind=kind, by=cleo)
        assert plan_pdf_visible(cleo, document) and not plan_pdf_visible(dan, document)
        stored = str(document.context)
        assert "Biochanin" not in stored and "Pattern hair loss" not in stored and "total" not in document.context
    for kind in ("consent", "quotation", "plan_archive"):
        with pytest.raises(NotAllowed):
            request_plan_pdf(plan=signed, kind=kind, by=cleo)


def test_signing_makes_the_prints_ahead_of_need(
    ready: Plan, ada: User, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        sign_plan(plan=ready, revision=ready.revision, password=factories.PASSWORD, by=ada)
    assert set(Document.objects.values_list("kind", flat=True)) == {"plan_patient", "plan_record"}


def test_shares_of_the_zones_make_the_whole(ada: User, formulary: object) -> None:
    plan = draft_plan(by=ada)
    zones = request_plan_pdf(plan=plan, by=ada).context["zones"]
    assert sum(zone["points"] for zone in zones) == plan.result["course"]["points"]
    assert f"{sum(float(zone['volume_ml']) for zone in zones):.2f}" == f"{float(plan.result['total_volume_ml']):.2f}"
