"""What tests ask of every print: its text, its tags, and that no word is cut off or lies on another."""

from __future__ import annotations

import io
import itertools
import os
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pikepdf

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
EDGE = 9  # points, about 3 mm: what most printers cannot reach


def text_of(data: bytes, how: str = "-layout") -> str:
    done = subprocess.run(["pdftotext", how, "-", "-"], input=data, capture_output=True, check=True)
    return done.stdout.decode()


def nodes(node: pikepdf.Object) -> list[pikepdf.Dictionary]:
    found = [node] if "/S" in node else []
    kids: Any = node.get("/K", [])
    for kid in kids if isinstance(kids, pikepdf.Array) else [kids]:
        if isinstance(kid, pikepdf.Dictionary):
            found += nodes(kid)
    return found


def check_tags(data: bytes, *, language: str, archive: bool = False, parts: int = 1) -> None:
    """Tagged, with language and title; headings in order, tables with heads, figures with words, fonts inside."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        assert pdf.check_pdf_syntax() == []
        root = pdf.Root
        assert (
            str(root.Lang) == language and bool(root.MarkInfo.Marked) and bool(root.ViewerPreferences.DisplayDocTitle)
        )
        with pdf.open_metadata() as metadata:
            assert metadata["dc:title"] == str(pdf.docinfo["/Title"]) != ""
            if archive:
                assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("3", "A")
            else:
                assert metadata["pdfuaid:part"] == "1"
        assert len(root.StructTreeRoot.K) == 1
        tree = nodes(root.StructTreeRoot)
        levels = [int(str(node.S)[2]) for node in tree if re.fullmatch(r"/H\d", str(node.S))]
        assert levels[0] == 1 and levels.count(1) == parts
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        assert all(str(node.get("/Alt", "")) for node in tree if str(node.S) == "/Figure")
        ids = [str(node.ID) for node in tree if "/ID" in node]
        assert len(ids) == len(set(ids))
        for table in (node for node in tree if str(node.S) == "/Table"):
            cells = nodes(table)
            assert any(str(cell.S) == "/TH" for cell in cells)
            for cell in cells:
                if str(cell.S) == "/TD":
                    assert {str(name) for name in cell.A.get("/Headers", [])} <= set(ids)
        keys = [int(key) for key in list(root.StructTreeRoot.ParentTree.Nums)[::2]]
        assert keys == list(range(len(keys))) and {int(page.StructParents) for page in pdf.pages} <= set(keys)
        fonts = {
            descendant.FontDescriptor.objgen: descendant.FontDescriptor
            for page in pdf.pages
            for font in page.Resources.Font.values()
            for descendant in font.DescendantFonts
        }
        assert fonts and all("/FontFile2" in font or "/FontFile3" in font for font in fonts.values())


def check_places(data: bytes) -> None:
    """Every word lies whole on its page, clear of the edge, and no word lies on another."""
    done = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=data, capture_output=True, check=True)
    document = ElementTree.fromstring(done.stdout)
    for page in document.iter("{http://www.w3.org/1999/xhtml}page"):
        wide, high = float(page.get("width", 0)), float(page.get("height", 0))
        boxes = []
        for word in page.iter("{http://www.w3.org/1999/xhtml}word"):
            left, top, right, bottom = (float(word.get(name, 0)) for name in ("xMin", "yMin", "xMax", "yMax"))
            if bottom - top < 2:  # words for screen readers only
                continue
            assert left > EDGE and top > EDGE and right < wide - EDGE and bottom < high - EDGE, word.text
            boxes.append((left, top, right, bottom, word.text))
        boxes.sort(key=lambda box: box[1])
        for number, (left, top, right, bottom, text) in enumerate(boxes):
            for other in boxes[number + 1 :]:
                if other[1] > bottom:
                    break
                across = min(right, other[2]) - max(left, other[0])
                down = min(bottom, other[3]) - max(top, other[1])
                smaller = min((right - left) * (bottom - top), (other[2] - other[0]) * (other[3] - other[1]))
                assert across <= 0 or down <= 0 or across * down < 0.3 * smaller, (text, other[4])


def _hash(found: re.Match[str]) -> str:
    """HASH for the first 64 figures, wherever the line was broken inside them, and whatever stands behind them."""
    figures = ""
    words = found[0].split()
    while words and len(figures) < 64:
        figures += words.pop(0)
    return " ".join(["HASH", *words]) if len(figures) == 64 else found[0]


def snapshot(file: Path, data: bytes) -> None:
    """The words of a print beside those kept; MESOCLINIC_UPDATE_SNAPSHOTS=1 keeps new ones.

    Days, times and hashes differ from run to run, and with them where lines break: they become words of their own, and
    the lines are laid out anew.
    """
    words = re.sub(r"\b[0-9a-f]{16,64}\b(?: [0-9a-f]+\b){0,3}", _hash, " ".join(text_of(data, "-raw").split()))
    for pattern, word in (
        (r"(?:[0-9a-f]{8} ){3}[0-9a-f]{8}", "HASH"),
        (rf"(?:(?:{DAYS}) )?\d{{1,2}} (?:{MONTHS}) (?!1987)\d{{4}}", "DATE"),
        (r"\b\d\d:\d\d\b", "TIME"),
    ):
        words = re.sub(pattern, word, words)
    text = textwrap.fill(words, 110, break_on_hyphens=False) + "\n"
    if os.environ.get("MESOCLINIC_UPDATE_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
