"""Packs: parts bound into one file with their tags, each made once, in the memory of their bytes."""

from __future__ import annotations

import io
import tracemalloc
import uuid
from collections.abc import Callable
from typing import Any

import pikepdf
import pytest

from mesoclinic.documents import actions, rendering
from mesoclinic.documents.binding import CannotBind, Part, bind
from mesoclinic.documents.models import Document
from mesoclinic.files import storage
from tests.mesoclinic.documents.conftest import context
from tests.mesoclinic.documents.prints import check_places, check_tags, text_of

pytestmark = pytest.mark.prints

Ask = Callable[..., Document]


def html(title: str, language: str, rows: int) -> str:
    lines = "".join(f"<tr><th scope='row'>{title} {row}</th><td>{row}.05 mg (é)</td></tr>" for row in range(rows))
    return (
        f"<html lang='{language}'><head><title>{title}</title></head><body><h1>{title}</h1><table><thead><tr>"
        f"<th scope='col'>Name</th><th scope='col'>Dose</th></tr></thead><tbody>{lines}</tbody></table></body></html>"
    )


@pytest.fixture(scope="module")
def parts() -> list[Part]:
    given = (("Sheet (one)", "en", 4), ("Feuille \\deux", "fr", 90), ("Hoja tres", "es", 3))
    return [
        Part(data=rendering.render_html(html(title, language, rows)).data, title=title, language=language)
        for title, language, rows in given
    ]


def test_what_is_bound_is_one_tagged_file_of_all_parts(parts: list[Part]) -> None:
    bound = bind(parts, title="Pack <of> three, é", language="en")

    check_tags(bound.data, language="en", parts=3)
    check_places(bound.data)
    text = text_of(bound.data)
    assert [text.count(f"{part.title} 2") > 0 for part in parts] == [True, True, True]
    with pikepdf.open(io.BytesIO(bound.data)) as pdf:
        assert bound.pages == len(pdf.pages) == 5
        assert str(pdf.docinfo["/Title"]) == "Pack <of> three, é"
        tops = pdf.Root.StructTreeRoot.K[0].K
        assert [(str(top.S), str(top.Lang), str(top.T)) for top in tops] == [
            ("/Part", part.language, part.title) for part in parts
        ]
        with pdf.open_outline() as outline:
            assert [str(mark.title) for mark in outline.root] == [part.title for part in parts]


def test_the_same_parts_give_the_same_bytes(parts: list[Part]) -> None:
    assert bind(parts, title="Pack", language="en") == bind(list(parts), title="Pack", language="en")


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\nstartxref\n9\n%%EOF", b"%PDF-1.7\nstartxref\nx\n%%EOF"])
def test_what_we_did_not_write_is_not_bound(data: bytes) -> None:
    with pytest.raises(CannotBind):
        bind([Part(data=data, title="", language="en")], title="Pack", language="en")


def test_nothing_is_not_bound() -> None:
    with pytest.raises(CannotBind, match="nothing to bind"):
        bind([], title="Pack", language="en")


def test_binding_needs_little_more_than_the_bytes(parts: list[Part]) -> None:
    whole = len(bind([parts[0]] * 60, title="Pack", language="en").data)
    tracemalloc.start()
    bind((parts[0] for _ in range(60)), title="Pack", language="en")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * whole + 2_000_000


# ------------------------------------------------------------------ parts of a pack are documents of their own


def part(name: str, **given: Any) -> dict[str, Any]:
    return {
        "kind": "probe",
        "subject_id": str(uuid.UUID(int=1)),
        "person_id": str(uuid.UUID(int=2)),
        "title": name,
        "language": "en",
        "context": context(lead=name, **given),
    }


@pytest.fixture
def pack(ask: Ask) -> Callable[..., Document]:
    def made(*parts: dict[str, Any]) -> Document:
        document = ask(lead=uuid.uuid4().hex)
        Document.objects.filter(pk=document.pk).update(
            context={"parts": list(parts)}, parts=len(parts), input_hash=uuid.uuid4().hex * 2
        )
        return Document.objects.get(pk=document.pk)

    return made


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    real = rendering._laid_out

    def watching(name: str, title: str, *rest: Any) -> Any:
        seen.append(title)
        return real(name, title, *rest)

    monkeypatch.setattr(rendering, "_laid_out", watching)
    return seen


def test_a_part_is_made_once_for_all_packs(pack: Any, laid_out: list[str]) -> None:
    first, second = pack(part("One"), part("Two")), pack(part("Two"), part("Three"))

    assert [actions.render_document(row.pk) for row in (first, second)] == ["ready", "ready"]

    assert laid_out == ["One", "Two", "Three"]
    assert Document.objects.filter(kind="probe", title="Two", state="ready").count() == 1
    second.refresh_from_db()
    assert (second.pages, second.parts_done) == (2, 2)
    assert "Two" in text_of(storage.read_file(second)) and "One" not in text_of(storage.read_file(second))


def test_a_pack_goes_on_where_it_was_left(pack: Any, laid_out: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    document = pack(part("One"), part("Two"))
    real = rendering._laid_out

    def breaks(name: str, title: str, *rest: Any) -> Any:
        if title == "Two":
            raise MemoryError("killed")
        return real(name, title, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(rendering, "_laid_out", breaks)
        assert actions.render_document(document.pk) == "queued"
    assert actions.render_document(document.pk) == "ready"
    assert laid_out == ["One", "Two"]


def test_a_pack_says_which_part_cannot_be_made(pack: Any, ada: Any) -> None:
    document = pack(part("One"), part("Two", image="file:///etc/passwd"))
    assert actions.render_document(document.pk) == "failed"
    document.refresh_from_db()
    assert document.last_error.startswith("Two: It asks for file:///etc/passwd")

    actions.retry_document(document=document, by=ada)  # the part that failed is tried again as well
    assert actions.render_document(document.pk) == "failed"


def test_a_part_that_another_worker_is_at_is_made_here_too(pack: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    document = pack(part("One"))
    row = actions._row(**part("One"))
    Document.objects.filter(pk=row.pk).update(
        state="rendering", lease=uuid.uuid4(), leased_until=timezone.now() + timedelta(minutes=1)
    )
    assert actions.render_document(document.pk) == "ready"
    row.refresh_from_db()
    assert row.state == "rendering"


def test_a_part_whose_file_was_lost_is_made_again(pack: Any) -> None:
    from pathlib import Path

    first, second = pack(part("One")), pack(part("One"), part("Two"))
    assert actions.render_document(first.pk) == "ready"
    Path(Document.objects.get(title="One").file.path).unlink()
    assert actions.render_document(second.pk) == "ready"


def test_a_pack_from_before_its_parts_were_kept_is_still_made(pack: Any) -> None:
    old = {key: value for key, value in part("One").items() if key in ("kind", "title", "language", "context")}
    document = pack(old)
    assert actions.render_document(document.pk) == "ready"
    assert not Document.objects.filter(title="One").exists()


def test_a_worker_loads_the_engine_before_it_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    from mesoclinic.documents import tasks

    rendering._tools.cache_clear()
    tasks.load_engine()
    assert rendering._tools.cache_info().currsize == 0, "fonts belong to each process"
