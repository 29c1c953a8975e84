"""Copy the third-party files that our pages use from node_modules into static/vendor/ (ignored by git).

    python scripts/vendor.py          copies what is missing or changed; says nothing more when all is there
    python scripts/vendor.py --force  makes every file anew

Only the files named here are served, and of the base framework only the parts that our pages use. Comments that point
to a source map are cut: the maps are not copied. The static weights of the font are unpacked to TrueType once, because
a PDF that reads woff2 spends longer unpacking it than it spends on the page.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "node_modules"
TARGET = ROOT / "static" / "vendor"
RECORD = TARGET / ".made-from.json"  # per target: what it was made from, so that the second run only looks

# Of the base framework's 600 kB: the rules for elements, its variables, and these families of classes. Who uses another
# one adds its first word here ("form" for .form-select).
FAMILIES = {"btn", "card", "visually"}

VARIABLE = "@fontsource-variable/inter"
STATIC = "@fontsource/inter/files"
ALPHABETS = ("latin", "latin-ext", "cyrillic", "cyrillic-ext", "greek", "greek-ext", "vietnamese")
WEIGHTS = (400, 500, 600, 700)  # what the documents use

COPIES = {
    "tabler/tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "htmx/htmx.min.js": "htmx.org/dist/htmx.min.js",
    "inter/wght.css": f"{VARIABLE}/wght.css",
    "inter/LICENSE": f"{VARIABLE}/LICENSE",
    "htmx/LICENSE": "htmx.org/LICENSE",
    **{f"inter/files/inter-{a}-wght-normal.woff2": f"{VARIABLE}/files/inter-{a}-wght-normal.woff2" for a in ALPHABETS},
}
TRIMMED = {"tabler/tabler.min.css"}
FONTS = {
    f"inter-ttf/inter-{alphabet}-{weight}.ttf": f"{STATIC}/inter-{alphabet}-{weight}-normal.woff2"
    for alphabet in ALPHABETS
    for weight in WEIGHTS
}

OWN = Path(__file__).read_bytes()  # a change of this script makes every file anew
SOURCE_MAP = re.compile(rb"\s*(?:/\*#\s*sourceMappingURL=[^*]*\*/|//#\s*sourceMappingURL=\S*)\s*$")


def main(arguments: list[str]) -> int:
    force = "--force" in arguments
    if not SOURCE.is_dir():
        return fail("There is no node_modules folder. Run `npm ci` first.")
    files = {**COPIES, **FONTS}
    absent = [source for source in files.values() if not (SOURCE / source).is_file()]
    if absent:
        return fail(f"node_modules lacks {absent[0]} ({len(absent)} file(s) in all). Run `npm ci` again.")

    known: dict[str, str] = {} if force else read_record()
    made: dict[str, str] = {}
    fresh = 0
    for target, source in files.items():
        origin = SOURCE / source
        mark = fingerprint(origin)
        made[target] = mark
        if known.get(target) == mark and (TARGET / target).is_file():
            continue
        (TARGET / target).parent.mkdir(parents=True, exist_ok=True)
        if target.endswith(".ttf"):
            unpack_font(origin, TARGET / target)
        elif target in TRIMMED:
            css = without_source_map(origin.read_bytes(), target).decode()
            (TARGET / target).write_text(trimmed(css), encoding="utf-8")
        else:
            (TARGET / target).write_bytes(without_source_map(origin.read_bytes(), target))
        fresh += 1
    for old in set(known) - set(made):
        (TARGET / old).unlink(missing_ok=True)
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps(made, indent=1, sort_keys=True))
    print(f"static/vendor: {len(made)} files in place, {fresh} of them new.")
    return 0


def trimmed(css: str) -> str:
    """The style sheet without the rules for families of classes that no page uses."""
    kept = []
    for head, body in rules(css):
        if body is None or head.startswith(("@font-face", "@keyframes", "@property", "@layer")):
            kept.append(head if body is None else f"{head}{{{body}}}")
        elif head.startswith("@"):
            inside = trimmed(body)
            kept.append(f"{head}{{{inside}}}" if inside else "")
        else:
            selectors = [selector for selector in split_list(head) if is_used(selector)]
            kept.append(f"{','.join(selectors)}{{{body}}}" if selectors else "")
    return "".join(kept)


def rules(css: str) -> Iterator[tuple[str, str | None]]:
    """Each top-level rule as its head and its body; a statement without a body has None."""
    css = re.sub(r"/\*[^!].*?\*/", "", css, flags=re.DOTALL)
    position = 0
    while found := re.compile(r"[^{};]*(?:\([^)]*\)[^{};]*)*([{;])").match(css, position):
        if found[1] == ";":
            yield found[0], None
            position = found.end()
            continue
        start, depth, position = found.end(), 1, found.end()
        while depth:
            brace = re.compile(r"[{}]").search(css, position)
            if brace is None:
                raise ValueError("a style sheet with an open brace")
            depth += 1 if brace[0] == "{" else -1
            position = brace.end()
        yield css[found.start() : start - 1], css[start : position - 1]
    if css[position:].strip():
        raise ValueError(f"a style sheet that cannot be read from “{css[position : position + 60]}” on")


def split_list(selectors: str) -> list[str]:
    """At its commas, not at those inside :is(…)."""
    return re.split(r",(?![^(]*\))", selectors)


def is_used(selector: str) -> bool:
    return all(name in FAMILIES for name in re.findall(r"\.([a-zA-Z][a-zA-Z0-9]*)", selector))


def fingerprint(path: Path) -> str:
    """By content: npm gives every file of every version the same time."""
    return hashlib.sha256(OWN + path.read_bytes()).hexdigest()


def read_record() -> dict[str, str]:
    try:
        kept: dict[str, str] = json.loads(RECORD.read_text())
    except (OSError, ValueError):
        return {}
    return kept


def without_source_map(content: bytes, name: str) -> bytes:
    return SOURCE_MAP.sub(b"\n", content) if name.endswith((".css", ".js")) else content


def unpack_font(origin: Path, target: Path) -> None:
    from fontTools.ttLib import TTFont

    font = TTFont(origin)
    font.flavor = None
    font.save(target)


def fail(sentence: str) -> int:
    print(f"vendor: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
