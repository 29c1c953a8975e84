"""Copy the third-party files that our pages use from node_modules into static/vendor/ (ignored by git).

    python scripts/vendor.py          copies what is missing or changed; says nothing more when all is there
    python scripts/vendor.py --force  makes every file anew

Only the files named here are served. Comments that point to a source map are cut: the maps are not copied. The static
weights of the font are unpacked to TrueType once, because a PDF that reads woff2 spends longer unpacking it than it
spends on the page.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "node_modules"
TARGET = ROOT / "static" / "vendor"
RECORD = TARGET / ".made-from.json"  # per target: what it was made from, so that the second run only looks

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
        else:
            (TARGET / target).write_bytes(without_source_map(origin.read_bytes(), target))
        fresh += 1
    for old in set(known) - set(made):
        (TARGET / old).unlink(missing_ok=True)
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps(made, indent=1, sort_keys=True))
    print(f"static/vendor: {len(made)} files in place, {fresh} of them new.")
    return 0


def fingerprint(path: Path) -> str:
    """By content: npm gives every file of every version the same time."""
    return hashlib.sha256(OWN + path.read_bytes()).hexdigest()


def read_record() -> dict[str, str]:
    try:
        return json.loads(RECORD.read_text())
    except (OSError, ValueError):
        return {}


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
