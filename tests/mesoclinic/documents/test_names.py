"""Names of the world on paper: every sign drawn, or the print refused with the reason."""

from __future__ import annotations

import io
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pikepdf
import pytest

from mesoclinic.documents import actions, rendering
from mesoclinic.documents.models import Document
from mesoclinic.files import storage

pytestmark = pytest.mark.prints

Ask = Callable[..., Document]

# The worst of each: stacked marks, joiners, right to left, long conjuncts.
NAMES = {
    "Latin": "Nguyễn Thị Ằng Łuć-Ørsted ẞ",
    "Greek": "Ἀλέξανδρος Ώρα",
    "Cyrillic": "Љубомир Ѓорѓи Їжакевич",
    "Arabic": "علی\u200cرضا ٱلرَّحْمَٰن",
    "Hebrew": "שָׂרָה כֹּהֵן",
    "Devanagari": "क्ष्म्या द्ध्र्या किरण",
    "Bengali": "ক্ষিতীশ চট্টোপাধ্যায়",
    "Tamil": "ஸ்ரீநிவாசன் க்ஷேத்ரா",
    "Sinhala": "ශ්\u200dරී ක්\u200dෂේත්\u200dර",
    "Thai": "ปิ่น ศรีน้ำผึ้ง",
    "Georgian and Armenian": "ნინო Վարդգես",
}
HAN = {"Han": "王伟 葛\U000e0100城 𠮷田", "Kana": "さくら ヴィ", "Hangul": "김민준 뷁"}
has_han_fonts = pytest.mark.skipif(
    shutil.which("fc-list") is None
    or not subprocess.run(["fc-list", ":family=Noto Sans CJK JP"], capture_output=True, check=False).stdout,
    reason="needs fonts-noto-cjk",
)


def made(document: Document) -> bytes:
    assert actions.render_document(document.pk) == "ready", Document.objects.get(pk=document.pk).last_error
    document.refresh_from_db()
    return storage.read_file(document)


def named(name: str) -> dict[str, str]:
    return {"name": name, "born": "1 May 1990", "number": "P-1"}


def fonts_of(data: bytes) -> Iterator[pikepdf.Object]:
    with pikepdf.open(io.BytesIO(data)) as pdf:
        for page in pdf.pages:
            yield from page.Resources.Font.values()


def test_names_of_eleven_scripts_are_drawn_without_an_empty_box(ask: Ask) -> None:
    rows = [{"name": f"{script}: {name}", "dose": "1"} for script, name in NAMES.items()]
    data = made(ask(lines=rows, person=named(NAMES["Arabic"])))
    # Where a sign is missing the engine makes a character map of its own, which leaves it out.
    assert all(isinstance(font.Encoding, pikepdf.Name) for font in fonts_of(data))


@has_han_fonts
def test_names_in_han_kana_and_hangul_are_drawn_without_an_empty_box(ask: Ask) -> None:
    data = made(ask(lines=[{"name": name, "dose": "1"} for name in HAN.values()], person=named(HAN["Han"])))
    assert all(isinstance(font.Encoding, pikepdf.Name) for font in fonts_of(data))


def test_name_that_no_font_has_is_refused_with_its_signs(ask: Ask) -> None:
    document = ask(person=named("Ada \U0001e000\u1b05\U000104ff"))
    assert actions.render_document(document.pk) == "failed"
    document.refresh_from_db()
    assert "U+104FF" in document.last_error
    assert "No font knows these signs" in document.last_error
    assert logging.getLogger("weasyprint").level == logging.ERROR


@pytest.mark.parametrize(
    ("sign", "package"), [("王", "fonts-noto-cjk"), ("😀", "fonts-noto-color-emoji"), ("ক", "fonts-noto-core")]
)
def test_refusal_names_the_package_that_brings_the_sign(sign: str, package: str) -> None:
    heard = rendering._MissingSigns()
    with heard.heard():
        logging.getLogger("weasyprint").warning(".notdef glyph rendered: %s (U+%04X)", sign, ord(sign))
    assert f"Install {package} there" in heard.sentence()
    assert f"U+{ord(sign):04X}" in heard.sentence()


EDGE_PT = 14  # no print has letters nearer to the edge


def words_beyond(data: bytes) -> list[str]:
    """Words of a print that leave its pages, or come nearer to an edge than any print does."""
    said = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=data, capture_output=True, check=True).stdout.decode()
    width, height, found = 0.0, 0.0, []
    for line in said.splitlines():
        parts = line.replace('"', " ").split()
        if "<page" in line:
            width, height = (float(parts[parts.index(f"{side}=") + 1]) for side in ("width", "height"))
        elif "<word" in line:
            left, right, top, bottom = (
                float(parts[parts.index(f"{end}=") + 1]) for end in ("xMin", "xMax", "yMin", "yMax")
            )
            if min(left, top) < EDGE_PT or right > width - EDGE_PT or bottom > height - EDGE_PT:
                found.append(line.strip())
    return found


@pytest.mark.parametrize("sign", ["W", "ش"])
def test_name_of_160_letters_without_a_blank_stays_on_the_page(ask: Ask, sign: str) -> None:
    name = sign * 160
    data = made(ask(person=named(name), lead=name))
    assert words_beyond(data) == []
