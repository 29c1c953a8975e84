from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pikepdf
import pytest
from pytest_django import Settings

from mesoclinic.documents import actions, rendering
from mesoclinic.documents.models import Document
from mesoclinic.files import storage

pytestmark = pytest.mark.prints

Ask = Callable[..., Document]


def made(document: Document) -> bytes:
    assert actions.render_document(document.pk) == "ready", Document.objects.get(pk=document.pk).last_error
    document.refresh_from_db()
    return storage.read_file(document)


def text_of(data: bytes, how: str = "-layout") -> str:
    done = subprocess.run(["pdftotext", how, "-", "-"], input=data, capture_output=True, check=True)
    return done.stdout.decode()


def test_document_holds_its_data_on_every_page(ask: Ask) -> None:
    lines = [{"name": f"Ingredient {number}", "dose": f"{number}.05 mg"} for number in range(90)]

    pages = text_of(made(ask(lines=lines))).split("\f")[:-1]

    assert len(pages) == 3
    for number, page in enumerate(pages, start=1):
        assert "Teodor Brandvold" in page and "8 June 1987" in page
        assert f"page {number} of 3" in page
        assert "9f2c" * 16 in page
    assert "Ingredient 89" in pages[2] and "89.05 mg" in pages[2]


def test_document_draws_every_letter_as_itself(ask: Ask) -> None:
    """Fonts that WeasyPrint takes for one another would draw the glyph of another alphabet."""
    lead = "Élodie Łukasz Žofia Žižka Søren Αλέξανδρος Владимир Nguyễn, 0.05 mL −1 °C ½ “quoted” €"

    assert lead in text_of(made(ask(lead=lead, person={"name": "Théo Łuk", "born": "1 May 1990", "number": "P-1"})))


def test_document_is_tagged_and_says_what_it_is(ask: Ask) -> None:
    data = made(ask(title="Plan de traitement", language="fr"))

    with pikepdf.open(io.BytesIO(data)) as pdf:
        root = pdf.Root
        assert str(root.Lang) == "fr"
        assert bool(root.MarkInfo.Marked)
        assert bool(root.ViewerPreferences.DisplayDocTitle)
        assert str(pdf.docinfo["/Title"]) == "Plan de traitement"
        with pdf.open_metadata() as metadata:
            assert metadata["pdfuaid:part"] == "1"
            assert metadata["dc:title"] == "Plan de traitement"
        tags = _tags(root.StructTreeRoot)
    assert {"Document", "H1", "P", "Table", "TR", "TH", "TD"} <= tags


def _tags(node: pikepdf.Object) -> set[str]:
    found = {str(node.S)[1:]} if "/S" in node else set()
    kids: Any = node.get("/K", [])
    for kid in kids if isinstance(kids, pikepdf.Array) else [kids]:
        if isinstance(kid, pikepdf.Dictionary):
            found |= _tags(kid)
    return found


def test_document_embeds_its_fonts(ask: Ask) -> None:
    with pikepdf.open(io.BytesIO(made(ask()))) as pdf:
        fonts = [
            descendant.FontDescriptor
            for page in pdf.pages
            for font in page.Resources.Font.values()
            for descendant in font.DescendantFonts
        ]
        assert fonts
        assert all("/FontFile2" in font or "/FontFile3" in font for font in fonts)


def test_document_marks_a_draft(ask: Ask) -> None:
    def letters(**given: object) -> str:
        return "".join(text_of(made(ask(**given)), "-raw").split())

    assert "SUPERSEDED" in letters(superseded=True)
    assert "SUPERSEDED" not in letters(superseded=False)


def test_same_input_gives_the_same_bytes_in_another_process(ask: Ask, tmp_path: Path) -> None:
    html = "<html lang='en'><head><title>Same</title></head><body><h1>Same é</h1><p>0.20 mg</p></body></html>"
    here = rendering.render_html(html).data
    (tmp_path / "own").mkdir()
    script = (
        "import django, sys, hashlib; django.setup();"
        "from mesoclinic.documents import rendering;"
        "print(hashlib.sha256(rendering.render_html(sys.stdin.read()).data).hexdigest())"
    )

    import hashlib
    import os

    there = subprocess.run(
        [sys.executable, "-c", script],
        input=html,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "MESOCLINIC_DATA_DIR": str(tmp_path),
            "TMPDIR": str(tmp_path / "own"),
        },
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    assert there == hashlib.sha256(here).hexdigest() == hashlib.sha256(rendering.render_html(html).data).hexdigest()
    assert list((tmp_path / "own").glob("weasyprint-*")) == [], "its fonts were left behind"


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "http://127.0.0.1:9/x.png",
        "https://example.org/x.png",
        "ftp://example.org/x",
        "data:image/png;base64,iVBORw0KGgo=",
        "https://static.invalid/../settings.py",
        "https://static.invalid/css/%2e%2e/%2e%2e/manage.py",
        "https://static.invalid.example.org/css/print.css",
        "https://static.invalid@example.org/css/print.css",
        "../manage.py",
        "/etc/passwd",
        "nothing-here.png",
    ],
)
def test_document_that_asks_for_anything_else_fails_and_says_so(ask: Ask, address: str) -> None:
    document = ask(image=address)

    assert actions.render_document(document.pk) == "failed"

    document.refresh_from_db()
    assert "which is not part of the product" in document.last_error


def test_document_may_show_our_own_drawings(ask: Ask) -> None:
    assert made(ask(image="/static/img/" + _own_image()))


def _own_image() -> str:
    folder = Path(__file__).resolve().parents[3] / "static/img"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.svg"))[0]


def test_document_with_a_gap_fails_and_names_it(ask: Ask) -> None:
    document = ask()
    Document.objects.update(context={**document.context, "lines": [{"name": "Biochanin A"}]})

    assert actions.render_document(document.pk) == "failed"

    document.refresh_from_db()
    assert document.last_error == "The template asks for “line.dose”, which its data lack."


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("MOST_PAGES", 0, "It has more than 0 pages."),
        ("MOST_HTML_BYTES", 10, "It is too long to be printed."),
        ("MOST_PDF_BYTES", 10, "The file is larger than 20 MB."),
    ],
)
def test_document_beyond_a_limit_fails(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, said: str
) -> None:
    monkeypatch.setattr(rendering, limit, value)
    document = ask()

    assert actions.render_document(document.pk) == "failed"

    document.refresh_from_db()
    assert document.last_error == said


def test_without_the_engines_libraries_the_document_says_what_to_install(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins

    real = builtins.__import__

    def without_pango(name: str, *args: object, **kwargs: object) -> object:
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_pango)
    rendering._tools.cache_clear()
    document = ask()

    assert actions.render_document(document.pk) == "failed"

    document.refresh_from_db()
    assert document.last_error.startswith("The PDF engine is missing on the worker's machine.")
    rendering._tools.cache_clear()


def test_markup_in_the_data_is_shown_as_text(ask: Ask) -> None:
    assert "<img src=x>" in text_of(made(ask(lead="<img src=x>")))


def test_a_document_that_takes_too_long_fails_and_the_worker_lives_on(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from celery.exceptions import SoftTimeLimitExceeded

    html = rendering._tools().weasyprint.HTML

    def endless(*args: object, **given: object) -> None:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patched:
        patched.setattr(html, "render", endless)
        document = ask(lead="Endless.")
        assert actions.render_document(document.pk) == "failed"
        document.refresh_from_db()
        assert document.last_error == "It took too long to make."
    assert made(ask(lead="The next one."))


def test_a_pack_that_grows_too_long_fails(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "MOST_PAGES_OF_A_PACK", 1)
    document = ask()
    part = {"kind": "probe", "title": "One", "language": "en", "context": document.context}
    Document.objects.filter(pk=document.pk).update(context={"parts": [part, part]})

    assert actions.render_document(document.pk) == "failed"

    document.refresh_from_db()
    assert document.last_error == "It has more than 1 pages."


def test_a_qr_code_says_its_address_and_is_the_same_twice() -> None:
    from mesoclinic.documents.templatetags.prints import qr

    drawn = qr("https://clinic.example/v/abc/", "Check <this> print")
    assert drawn == qr("https://clinic.example/v/abc/", "Check <this> print")
    assert "<title>Check &lt;this&gt; print</title>" in drawn and "style=" not in drawn


def test_only_the_page_that_is_too_full_is_set_smaller(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings
) -> None:
    """Two pages that each begin anew: the first needs two steps, the second is never short enough."""
    (tmp_path / "documents/leaves.html").write_text("{{ sizes|join:'/' }}")
    settings.DOCUMENT_KINDS = {"leaves": {"template": "documents/leaves.html", "fit": 2, "leaves": 2}}
    tried: list[str] = []

    def laid_out(html: str, **_: object) -> object:
        tried.append(html)
        first = 1 if html.split("/")[0].startswith("fit-2") else 2
        return SimpleNamespace(
            pages=[SimpleNamespace(anchors={"leaf-2": (0, 0)} if n >= first else {}) for n in range(4)]
        )

    monkeypatch.setattr(rendering, "lay_out", laid_out)
    pages = rendering._laid_out("leaves", "Title", "en", {})

    assert tried == ["/", "fit-1/fit-1", "fit-2/fit-2", "fit-2/fit-2 fit-3"]
    assert len(pages.pages) == 4
