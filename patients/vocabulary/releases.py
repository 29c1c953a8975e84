"""Which release began to ask what: an intake answers only what it was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from patients.vocabulary.loading import HERE, load_vocabulary
from patients.vocabulary.model import Vocabulary
from patients.vocabulary.reading import DataFileError, read_yaml

FIELDS = {"release", "facts", "values"}


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release and what it began to ask: questions, and further answers of lists that were asked before."""

    key: str
    facts: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=1)
def load_releases() -> tuple[Release, ...]:
    """Return the releases, the oldest first."""
    return build_releases(read_yaml(HERE / "releases.yaml"), load_vocabulary())


def build_releases(document: Mapping[str, Any], vocabulary: Vocabulary) -> tuple[Release, ...]:
    """Return the releases, the oldest first.

    Raise DataFileError for what the vocabulary does not hold, for a value of what is no list, and for what is new
    twice in one release.
    """
    found: list[Release] = []
    for entry in document["releases"]:
        where = f"release {entry.get('release')}"
        if strange := set(entry) - FIELDS:
            raise DataFileError(f"{where}: unknown fields {sorted(strange)}")
        if not entry.get("release") or entry["release"] in {row.key for row in found}:
            raise DataFileError(f"{where}: it needs a name of its own")
        facts = tuple(entry.get("facts") or ())
        values = {fact: tuple(keys) for fact, keys in (entry.get("values") or {}).items()}
        _check(where, [*((fact, "") for fact in facts), *_pairs(values)], vocabulary)
        found.append(Release(key=entry["release"], facts=facts, values=values))
    if not found or found[0].facts or found[0].values:
        raise DataFileError("releases: the first one stands for everything before, and names nothing")
    return tuple(found)


def _pairs(values: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    for fact, keys in values.items():
        for key in keys:
            yield fact, key


def _check(where: str, named: list[tuple[str, str]], vocabulary: Vocabulary) -> None:
    for fact, value in named:
        known = vocabulary.facts.get(fact)
        what = f"{fact} {value}".rstrip()
        if known is None or (value and value not in {choice.key for choice in known.values}):
            raise DataFileError(f"{where}: unknown {what}")
        if value and known.type != "list":
            raise DataFileError(f"{where}: {fact} is no list")
        if named.count((fact, value)) > 1:
            raise DataFileError(f"{where}: {what} is new twice")


def asked_now() -> str:
    """Return the key of the newest release: what an intake that is begun now is asked with."""
    return load_releases()[-1].key


def facts_since(asked: str) -> tuple[str, ...]:
    """Return the questions that came after the release that an intake was asked with."""
    return tuple(fact for release in _later(asked) for fact in release.facts)


def values_since(asked: str) -> dict[str, tuple[str, ...]]:
    """Return by list the answers that came after the release that an intake was asked with."""
    found: dict[str, tuple[str, ...]] = {}
    for release in _later(asked):
        for fact, values in release.values.items():
            found[fact] = tuple(dict.fromkeys((*found.get(fact, ()), *values)))
    return found


def _later(asked: str) -> tuple[Release, ...]:
    """The releases after this one; of a name that no release has (none is older), all but the first."""
    releases = load_releases()
    keys = [release.key for release in releases]
    return releases[keys.index(asked) + 1 :] if asked in keys else releases[1:]
