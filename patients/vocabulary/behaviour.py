"""What a fact is, so that everything treats it rightly: its subject, what reassures, what raises a chip, its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, get_args

from patients.vocabulary.model import About, Alert, BeforeSession, ChipKind, Part
from patients.vocabulary.reading import DataFileError

OF_EVERY_FACT = ("about", "before_session", "reassuring", "alert")
OF_LISTS = ("details", "parts")
BEHAVIOUR_FIELDS = {*OF_EVERY_FACT, *OF_LISTS}
_ANY, _NONE, _ALLERGY = "any", "none", "allergy"


class Behaviour(TypedDict):
    """What ``Fact`` takes besides what is asked."""

    about: About
    before_session: BeforeSession
    reassuring: tuple[Any, ...] | None
    alerts: tuple[Alert, ...]
    is_allergy: bool
    wants_details: bool
    parts: tuple[Part, ...]


def build_behaviour(key: str, entry: Mapping[str, Any]) -> Behaviour:
    """Return what a fact is. Raise DataFileError naming the fact and the property that is missing or not understood."""
    where, is_list = f"fact {key}", entry["type"] == "list"
    for name in (*OF_EVERY_FACT, *(OF_LISTS if is_list else ())):
        if name not in entry:
            raise DataFileError(f"{where}: it needs {name}, so that it never silently counts as harmless")
    if not is_list and (strange := [name for name in OF_LISTS if name in entry]):
        raise DataFileError(f"{where}: {strange[0]} is of lists only")
    if entry["about"] not in get_args(About):
        raise DataFileError(f"{where}: unknown about {entry['about']!r}")
    if entry["before_session"] not in get_args(BeforeSession):
        raise DataFileError(f"{where}: unknown before_session {entry['before_session']!r}")
    _check_about(where, entry)
    if is_list and not isinstance(entry["details"], bool):
        raise DataFileError(f"{where}: details is true or false")
    reassuring = entry["reassuring"]
    return Behaviour(
        about=entry["about"],
        before_session=entry["before_session"],
        reassuring=None if reassuring == _ANY else _answers(where, "reassuring", entry, reassuring),
        alerts=_alerts(where, entry),
        is_allergy=entry["alert"] == _ALLERGY,
        wants_details=bool(entry.get("details", False)),
        parts=_parts(where, entry) if is_list else (),
    )


def _check_about(where: str, entry: Mapping[str, Any]) -> None:
    """Refuse what contradicts the question itself: how long ago something was is a number of days or months."""
    counts_time = entry["type"] in {"integer", "number"} and entry.get("unit") in {"days", "months"}
    if counts_time != (entry["about"] == "since"):
        raise DataFileError(f"{where}: exactly a number of days or months is about since")
    if (entry["section"] == "labs") != (entry["about"] == "measurement"):
        raise DataFileError(f"{where}: exactly what stands among the measurements is about measurement")
    if entry["before_session"] in {"asked", "asked_afresh"} and entry["type"] not in {"boolean", "enum", "list"}:
        raise DataFileError(f"{where}: a number cannot be asked before a session")


def _answers(where: str, name: str, entry: Mapping[str, Any], given: Any) -> tuple[Any, ...]:
    """The answers that a property names, each one that the fact can have."""
    known: Iterable[Any] = (True, False) if entry["type"] == "boolean" else entry.get("values", {})
    if not isinstance(given, list) or any(value not in known for value in given):
        raise DataFileError(f"{where}: {name} names answers of its own, or any")
    return tuple(given)


def _alerts(where: str, entry: Mapping[str, Any]) -> tuple[Alert, ...]:
    given = entry["alert"]
    if given in (_NONE, _ALLERGY):
        return ()
    if not isinstance(given, Mapping) or not set(given) & set(get_args(ChipKind)):
        raise DataFileError(f"{where}: alert is none, allergy or a chip")
    if strange := set(given) - {"text", "order", *get_args(ChipKind)}:
        raise DataFileError(f"{where}: alert has unknown fields {sorted(strange)}")
    if entry["type"] == "boolean" and not given.get("text"):
        raise DataFileError(f"{where}: alert needs a text, for yes and no say nothing alone")
    if not isinstance(given.get("order"), int):
        raise DataFileError(f"{where}: alert needs its order among the chips, a whole number")
    return tuple(
        Alert(
            kind=kind,
            answers=None if given[kind] == _ANY else _answers(where, "alert", entry, given[kind]),
            text=given.get("text", "%(names)s"),
            order=given["order"],
        )
        for kind in get_args(ChipKind)
        if kind in given
    )


def _parts(where: str, entry: Mapping[str, Any]) -> tuple[Part, ...]:
    given = entry["parts"]
    if given == _NONE:
        return ()
    if not isinstance(given, list) or any(set(row) != {"key", "label", "values"} for row in given):
        raise DataFileError(f"{where}: parts is none, or parts with a key, a label and values")
    parts = tuple(Part(key=row["key"], label=row["label"], values=tuple(row["values"])) for row in given)
    placed = [value for part in parts for value in part.values]
    if sorted(placed) != sorted(entry.get("values", {})):
        raise DataFileError(f"{where}: parts hold each of its values once")
    if len({part.key for part in parts}) != len(parts):
        raise DataFileError(f"{where}: parts have each a key of its own")
    return parts
