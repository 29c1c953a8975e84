"""Every template keeps the content security policy, and names only icons and files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from mesoclinic.ui import icons

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*") if path.suffix in (".html", ".svg"))
PAGES = [path for path in TEMPLATES if "mail" not in path.relative_to(ROOT / "templates").parts]  # mail needs style=
SCREEN = [path for path in PAGES if "documents" not in path.relative_to(ROOT / "templates").parts]

INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", re.IGNORECASE)
FORBIDDEN = {
    "a style attribute": re.compile(r"<[a-z][^>]*\sstyle\s*=", re.IGNORECASE),
    "an event attribute": re.compile(r"<[a-z][^>]*\son[a-z]+\s*=\s*[\"']", re.IGNORECASE),
    "an inline script": INLINE_SCRIPT,
    "a javascript: address": re.compile(r"javascript:", re.IGNORECASE),
    "hx-on": re.compile(r"\bhx-on\b"),
    "a js: value": re.compile(r"hx-(?:vals|headers)\s*=\s*[\"']\s*js:"),
    "another host": re.compile(r"(?:src|href|action)\s*=\s*[\"'](?:https?:)?//"),
}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT / "templates"))


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_template_is_clean_under_the_policy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    found = [what for what, pattern in FORBIDDEN.items() if pattern.search(text)]

    assert found == []


@pytest.mark.parametrize("path", SCREEN, ids=_name)
def test_style_element_is_only_inside_a_drawing_for_print(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    alone = re.sub(r"{% if for_print %}.*?{% endif %}", "", text, flags=re.DOTALL)

    assert "<style" not in alone


@pytest.mark.parametrize(
    ("line", "forbidden"),
    [
        ('<p style="color:red">', ["a style attribute"]),
        ('<button\n  onclick="x()">', ["an event attribute"]),
        ("<script>x()</script>", ["an inline script"]),
        ('<script type="module">x()</script>', ["an inline script"]),
        ('<a href="javascript:x()">', ["a javascript: address"]),
        ('<div hx-on:click="x">', ["hx-on"]),
        ('<div hx-vals="js:{a: 1}">', ["a js: value"]),
        ('<img src="//cdn.example/x.png">', ["another host"]),
        ('<script src="/static/js/theme.js"></script>', []),
        ('<script id="x" type="application/json">{}</script>', []),
        ('<input name="one" value="on=">', []),
    ],
)
def test_scan_finds_what_the_policy_forbids(line: str, forbidden: list[str]) -> None:
    assert [what for what, pattern in FORBIDDEN.items() if pattern.search(line)] == forbidden


def test_icons_named_in_templates_exist() -> None:
    used = {
        name
        for path in TEMPLATES
        for name in re.findall(r'{% icon "([\w-]+)"|\bicon="([\w-]+)"', path.read_text(encoding="utf-8"))
        for name in name
        if name
    }

    assert used - set(icons.shapes()) == set()
    assert len(used) > 10


def test_static_files_named_in_templates_exist() -> None:
    named = {
        name
        for path in TEMPLATES
        for name in re.findall(r"{% static ['\"]([^'\"{]+)['\"] %}", path.read_text(encoding="utf-8"))
        if not name.startswith("vendor/")  # copied by scripts/vendor.py, whose own test is in test_ui_vendor.py
    }

    named |= {
        name
        for path in (ROOT / "templates/400.html", ROOT / "templates/500.html")
        for name in re.findall(r'"/static/((?!vendor/)[^"]+)"', path.read_text(encoding="utf-8"))
    }

    assert sorted(name for name in named if not finders.find(name)) == []
    assert {"js/theme.js", "css/cards.css"} <= named


def test_every_script_and_style_of_ours_is_used_by_a_page() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES)
    ours = [
        path.relative_to(ROOT / "static").as_posix()
        for folder in ("js", "css")
        for path in (ROOT / "static" / folder).rglob("*.*")
        if path.name != "print.css"
    ]

    assert [name for name in ours if name not in text] == []


def test_icons_are_drawn_with_lines_only() -> None:
    odd = [name for name, shape in icons.shapes().items() if re.search(r"style|script|href|on\w+=", shape)]

    assert odd == []


def test_unknown_icon_names_the_known_ones() -> None:
    with pytest.raises(LookupError, match=r"No icon is called “unicorn”\. There are: .*check"):
        icons.shape("unicorn")


def test_form_is_not_included_where_its_token_is_left_behind() -> None:
    """``include … only`` leaves out what the request brings: a form in it would be refused by every browser."""
    with_form = {_name(path) for path in TEMPLATES if "{% csrf_token %}" in path.read_text(encoding="utf-8")}
    wrong = [
        f"{_name(path)}: {included}"
        for path in TEMPLATES
        for included, rest in re.findall(
            r"{%\s*include\s+\"([^\"]+)\"([^%]*)\bonly\s*%}", path.read_text(encoding="utf-8")
        )
        if included in with_form and "csrf_token=csrf_token" not in rest
    ]
    assert wrong == []
