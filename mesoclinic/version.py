"""The product's version, read from the changelog so that it is written once."""

import re
from functools import cache
from pathlib import Path

_HEADING = re.compile(r"^## (\d+\.\d+\.\d+)", re.MULTILINE)


@cache
def version() -> str:
    """The newest released version in CHANGELOG.md, or ``0.0.0`` before the first one."""
    changelog = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
    found = _HEADING.search(changelog.read_text(encoding="utf-8")) if changelog.exists() else None
    return found.group(1) if found else "0.0.0"
