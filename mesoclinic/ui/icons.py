"""Our own icons: symbols of art/icons.svg by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_SPRITE = Path(__file__).parent / "art" / "icons.svg"
_SYMBOL = re.compile(r'<symbol id="([\w-]+)" viewBox="0 0 24 24">(.*?)</symbol>', re.DOTALL)


@cache
def shapes() -> dict[str, str]:
    """The inside of each symbol. It is our own markup, so it may go into a page as it is."""
    return dict(_SYMBOL.findall(_SPRITE.read_text(encoding="utf-8")))


def shape(name: str) -> str:
    try:
        return shapes()[name]
    except KeyError:
        known = ", ".join(sorted(shapes()))
        raise LookupError(f"No icon is called “{name}”. There are: {known}.") from None
