"""One way to write a value down, so that the same answer is the same bytes everywhere, for ever."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

PLAIN_TYPES = frozenset({type(None), str, bool, int})


def plain_number(number: Decimal | int) -> str:
    """A decimal as people write it: no exponent, no trailing zeros."""
    text = format(Decimal(number), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def json_safe(value: Any) -> Any:
    """The value in JSON's own types. Decimals become strings; a float is a mistake in code."""
    kind = type(value)
    if kind in PLAIN_TYPES:
        return value
    if kind is Decimal:
        return plain_number(value)
    if kind is dict or isinstance(value, Mapping):
        return {str(key): item if type(item) in PLAIN_TYPES else json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [item if type(item) in PLAIN_TYPES else json_safe(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8: the bytes that are stored, compared and hashed."""
    return _written(json_safe(value))


def fingerprint(value: Any, **safe: Any) -> str:
    """SHA-256 of the canonical form. Parts that are JSON-safe already can be given by name, to be spared the walk."""
    return hashlib.sha256(_written({**json_safe(value), **safe} if safe else json_safe(value))).hexdigest()


def _written(safe: Any) -> bytes:
    return json.dumps(safe, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
