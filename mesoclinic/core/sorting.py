"""The order in which people look for words: accents and capitals make no difference, but ñ follows n in Spanish."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.utils import translation

_AFTER_N = "n{"  # stands after "nz"
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "’": "", "'": ""})


def by_words(text: Any) -> tuple[str, str]:
    """What to sort a shown text by in the active language; texts that differ by accents alone keep one order."""
    written = unicodedata.normalize("NFC", str(text)).casefold()
    marked = written.replace("ñ", _AFTER_N) if (translation.get_language() or "").startswith("es") else written
    decomposed = unicodedata.normalize("NFKD", marked.translate(_LIGATURES))
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)), written
