"""How often something happened lately, counted in the cache: wrong passwords, guessed links, checks of a print."""

from __future__ import annotations

from django.core.cache import cache


def counted(key: str) -> int:
    """How often ``count`` was called with this key while its time ran."""
    return int(cache.get(key) or 0)


def count(key: str, *, seconds: int) -> int:
    """Count once more and give the count. It is forgotten ``seconds`` after the first."""
    cache.add(key, 0, seconds)
    try:
        return int(cache.incr(key))
    except ValueError:  # it ran out between the two
        cache.set(key, 1, seconds)
        return 1
