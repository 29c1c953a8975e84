"""scripts/vendor.py: what it copies, that it copies once, and that a page stays light."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script with a packages folder and a target of its own: one style sheet with a map comment, one script."""
    spec = importlib.util.spec_from_file_location("vendor_under_test", ROOT / "scripts/vendor.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    source, target = tmp_path / "node_modules", tmp_path / "vendor"
    (source / "kit").mkdir(parents=True)
    (source / "kit/kit.css").write_text("a{color:red}\n/*# sourceMappingURL=kit.css.map */")
    (source / "kit/kit.js").write_text("go();\n//# sourceMappingURL=kit.js.map\n")
    (source / "kit/font.woff2").write_bytes(b"font")
    monkeypatch.setattr(module, "SOURCE", source)
    monkeypatch.setattr(module, "TARGET", target)
    monkeypatch.setattr(module, "RECORD", target / ".made-from.json")
    monkeypatch.setattr(module, "FONTS", {})
    monkeypatch.setattr(
        module, "COPIES", {"kit.css": "kit/kit.css", "kit.js": "kit/kit.js", "f/font.woff2": "kit/font.woff2"}
    )
    return module


def test_vendor_copies_named_files_without_map_comments(vendor: ModuleType) -> None:
    assert vendor.main([]) == 0

    assert (vendor.TARGET / "kit.css").read_text() == "a{color:red}\n"
    assert (vendor.TARGET / "kit.js").read_text() == "go();\n"
    assert (vendor.TARGET / "f/font.woff2").read_bytes() == b"font"


def test_vendor_copies_again_only_what_changed(vendor: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    vendor.main([])
    (vendor.SOURCE / "kit/kit.js").write_text("gone();")
    capsys.readouterr()

    vendor.main([])

    assert capsys.readouterr().out == "static/vendor: 3 files in place, 1 of them new.\n"
    assert (vendor.TARGET / "kit.js").read_text() == "gone();"


def test_vendor_removes_what_is_no_longer_named(vendor: ModuleType) -> None:
    vendor.main([])
    vendor.COPIES.pop("kit.js")

    vendor.main([])

    assert not (vendor.TARGET / "kit.js").exists()
    assert sorted(json.loads(vendor.RECORD.read_text())) == ["f/font.woff2", "kit.css"]


def test_vendor_says_what_to_run_when_a_package_is_missing(
    vendor: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    (vendor.SOURCE / "kit/kit.css").unlink()

    assert vendor.main([]) == 1

    assert capsys.readouterr().err == "vendor: node_modules lacks kit/kit.css (1 file(s) in all). Run `npm ci` again.\n"


def test_frame_of_a_page_stays_under_its_weight() -> None:
    """Styles, scripts and the font of the Latin alphabet, compressed: what remains of 200 KB is the page's own."""
    templates = ROOT / "templates"
    frame = "".join(
        (templates / name).read_text()
        for name in ("components/stylesheets.html", "components/page_styles.html", "components/scripts.html")
    )
    files = {ROOT / "static" / name for name in re.findall(r"{% static '([^']+)' %}", frame)}
    assert len(files) > 20

    weight = sum(
        len(path.read_bytes()) if path.suffix == ".woff2" else len(gzip.compress(path.read_bytes(), 9))
        for path in files
    )

    assert weight < 118_000  # leaves room for the letters beyond Latin's first: 82 kB


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        ("a{color:red}", "a{color:red}"),
        (".btn{a:b}.navbar{c:d}", ".btn{a:b}"),
        (".btn-primary:hover,.nav .btn{a:b}", ".btn-primary:hover{a:b}"),
        (".btn:is(.a,.b){a:b}", ""),
        ("@media (min-width:1px){.btn{a:b}.nav{c:d}}", "@media (min-width:1px){.btn{a:b}}"),
        ("@media print{.nav{c:d}}", ""),
        ("@keyframes x{from{a:b}to{c:d}}", "@keyframes x{from{a:b}to{c:d}}"),
        ('@charset "UTF-8";:root{--x:url("data:image/svg+xml,%3csvg;%3e")}', None),
        (".btn{--x:url(data:image/png;base64,aa)}", None),
        ("/* gone */a{b:c}", "a{b:c}"),
    ],
)
def test_style_sheet_is_trimmed_to_the_families_in_use(vendor: ModuleType, css: str, kept: str | None) -> None:
    assert vendor.trimmed(css) == (css if kept is None else kept)


def test_style_sheet_that_cannot_be_read_is_refused(vendor: ModuleType) -> None:
    with pytest.raises(ValueError, match="open brace"):
        vendor.trimmed("a{b:c")
