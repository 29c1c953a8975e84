"""Build the vocabulary from its data files, refusing whatever they do not define."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

from patients.vocabulary.behaviour import BEHAVIOUR_FIELDS, build_behaviour
from patients.vocabulary.model import (
    SEVERITIES,
    Choice,
    Code,
    Concern,
    Fact,
    MedicineClass,
    OnlyIf,
    Question,
    Scale,
    Section,
    Stage,
    Test,
    Unit,
    Vocabulary,
    Zone,
)
from patients.vocabulary.reading import DataFileError, read_yaml

HERE = Path(__file__).resolve().parent
FILES = ("facts", "concerns", "scales", "zones")
FACT_FIELDS = {
    "type", "unit", "minimum", "maximum", "values", "values_from", "label", "question", "help", "section",
    "answered_by", "only_if", "units", "decimals", *BEHAVIOUR_FIELDS,
}  # fmt: skip
UNIT_FIELDS = {"least", "most", "factor", "offset", "source"}
COUNTED = {"years", "months", "days", "grade"}
"""Units of what is counted, not measured: nobody gives an age in another one."""
VALUE_FIELDS = {"label", "atc", "atc_except", "retired", "two_of"}
FACT_TYPES = {"integer", "number", "enum", "boolean", "list"}


def vocabulary_documents() -> dict[str, Any]:
    """The data files as they stand, JSON-safe: {"facts": …, "concerns": …, "scales": …, "zones": …}."""
    return {name: read_yaml(HERE / f"{name}.yaml") for name in FILES}


def asked_documents() -> dict[str, Any]:
    """The data files as far as they say what is asked and may be answered: a formulary stores these, and hashes them.

    How the pages treat an answer is left out, so that it can be put right without another edition of the formulary.
    """
    documents = vocabulary_documents()
    for entry in documents["facts"]["facts"].values():
        for name in BEHAVIOUR_FIELDS:
            entry.pop(name, None)
        for value in (entry.get("values") or {}).values():
            if isinstance(value, dict):
                value.pop("two_of", None)
    for pattern in documents["zones"]["typical_zones"]:
        pattern.pop("stages", None)
    return documents


@lru_cache(maxsize=1)
def load_vocabulary() -> Vocabulary:
    """The vocabulary of this release. It never changes while the program runs."""
    return build_vocabulary(vocabulary_documents())


def build_vocabulary(documents: Mapping[str, Any]) -> Vocabulary:
    facts_file, zones_file = documents["facts"], documents["zones"]
    sections = {key: Section(key=key, label=label) for key, label in facts_file["sections"].items()}
    facts = {key: _fact(key, entry, sections) for key, entry in facts_file["facts"].items()}
    for fact in facts.values():
        if fact.only_if and fact.only_if.fact not in facts:
            raise DataFileError(f"fact {fact.key}: only_if names the unknown fact {fact.only_if.fact}")
    scales = {entry["key"]: _scale(entry, facts) for entry in documents["scales"]["scales"]}
    concerns = {entry["key"]: _concern(entry, scales) for entry in documents["concerns"]["concerns"]}
    zones = {entry["key"]: _zone(entry) for entry in zones_file["zones"]}
    typical = {entry["pattern"]: tuple(entry["zones"]) for entry in zones_file["typical_zones"]}
    for pattern, keys in typical.items():
        if unknown := set(keys) - set(zones):
            raise DataFileError(f"typical zones {pattern}: unknown zones {sorted(unknown)}")
    stages = {entry["pattern"]: tuple(_stages(entry, facts)) for entry in zones_file["typical_zones"]}
    for kind, built in (("concerns", len(concerns)), ("scales", len(scales)), ("zones", len(zones))):
        if len(documents[kind][kind]) != built:
            raise DataFileError(f"{kind}: one is defined twice")
    return Vocabulary(
        facts=facts,
        concerns=concerns,
        scales=scales,
        zones=zones,
        sections=sections,
        typical_zones=typical,
        typical_stages=stages,
        min_total_cm2=_decimal(zones_file["limits"]["min_total_cm2"], "zones limits"),
        max_total_cm2=_decimal(zones_file["limits"]["max_total_cm2"], "zones limits"),
        medicine_classes=tuple(_medicine_classes(facts_file["facts"])),
    )


def _fact(key: str, entry: Mapping[str, Any], sections: Mapping[str, Section]) -> Fact:
    if unknown := set(entry) - FACT_FIELDS:
        raise DataFileError(f"fact {key}: unknown fields {sorted(unknown)}")
    if entry.get("type") not in FACT_TYPES:
        raise DataFileError(f"fact {key}: unknown type {entry.get('type')!r}")
    if entry.get("section") not in sections:
        raise DataFileError(f"fact {key}: unknown section {entry.get('section')!r}")
    if entry.get("answered_by") not in {"patient", "practitioner"}:
        raise DataFileError(f"fact {key}: answered_by must be patient or practitioner")
    if not entry.get("question") or not entry.get("label"):
        raise DataFileError(f"fact {key}: it needs a label and a question")
    minimum, maximum = (
        None if entry.get(bound) is None else _decimal(entry[bound], f"fact {key}") for bound in ("minimum", "maximum")
    )
    numeric = entry["type"] in {"integer", "number"}
    if numeric != (minimum is not None and maximum is not None):
        raise DataFileError(f"fact {key}: exactly the numbers need a minimum and a maximum")
    listed = entry["type"] in {"enum", "list"}
    if listed != bool(entry.get("values") or entry.get("values_from")):
        raise DataFileError(f"fact {key}: exactly the enums and lists need values")
    only_if = entry.get("only_if")
    return Fact(
        key=key,
        type=entry["type"],
        label=entry["label"],
        question=entry["question"],
        section=entry["section"],
        answered_by=entry["answered_by"],
        values=tuple(_choices(key, entry.get("values", {}))),
        unit=entry.get("unit", ""),
        help=entry.get("help", ""),
        minimum=minimum,
        maximum=maximum,
        units=_units(key, entry),
        decimals=int(entry.get("decimals", 0)),
        only_if=OnlyIf(fact=only_if["fact"], value=only_if["value"]) if only_if else None,
        values_from=entry.get("values_from", ""),
        **build_behaviour(key, entry),
    )


def _stages(entry: Mapping[str, Any], facts: Mapping[str, Fact]) -> Iterable[tuple[str, str]]:
    """The answers to questions of stage that a pattern of zones is usual for."""
    for key, answers in (entry.get("stages") or {}).items():
        for answer in answers:
            known = facts.get(key)
            if known is None or (known.values and answer not in {choice.key for choice in known.values}):
                raise DataFileError(f"typical zones {entry['pattern']}: unknown stage {key} {answer}")
            yield key, str(answer)


def _units(key: str, entry: Mapping[str, Any]) -> tuple[Unit, ...]:
    """The units of a measured fact, each sound; refused where one is missing, cannot be converted or says no source."""
    where, given = f"fact {key}", entry.get("units") or {}
    if entry["type"] not in {"integer", "number"} or entry.get("unit") in COUNTED:
        if given:
            raise DataFileError(f"{where}: only what is measured has units")
        return ()
    if not given or next(iter(given)) != entry.get("unit"):
        raise DataFileError(f"{where}: what is measured needs its units, first the one that is stored")
    stored_least, stored_most = _decimal(entry["minimum"], where), _decimal(entry["maximum"], where)
    units: list[Any] = []
    for name, row in given.items():
        if strange := set(row) - UNIT_FIELDS:
            raise DataFileError(f"{where}, unit {name}: unknown fields {sorted(strange)}")
        least, most, factor, offset = (
            _decimal(row.get(field, default), f"{where}, unit {name}")
            for field, default in (("least", None), ("most", None), ("factor", 1), ("offset", 0))
        )
        if not least < most:
            raise DataFileError(f"{where}, unit {name}: its range is out of order")
        if units:  # what is converted is read once more as it is stored
            stored_least, stored_most = units[0].least, units[0].most
        ends = [end * factor + offset for end in (least, most)]
        if units:
            ends = [_rounded(end, int(entry.get("decimals", 0))) for end in ends]
        if factor <= 0 or not stored_least <= ends[0] <= ends[1] <= stored_most:
            raise DataFileError(f"{where}, unit {name}: its range lies outside of what is stored")
        if units and not row.get("source"):
            raise DataFileError(f"{where}, unit {name}: a conversion needs its source")
        if not units and (factor, offset) != (Decimal(1), Decimal(0)):
            raise DataFileError(f"{where}, unit {name}: what is stored is not converted")
        units.append(Unit(key=name, least=least, most=most, factor=factor, offset=offset, source=row.get("source", "")))
    return tuple(units)


def _rounded(number: Decimal, decimals: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def _choices(key: str, values: Mapping[str, Any]) -> Iterable[Choice]:
    for value, entry in values.items():
        if isinstance(entry, Mapping) and set(entry) - VALUE_FIELDS:
            raise DataFileError(f"fact {key}, value {value}: unknown fields {sorted(set(entry) - VALUE_FIELDS)}")
        label = entry["label"] if isinstance(entry, Mapping) else entry
        if not isinstance(value, str) or not isinstance(label, str) or not label:
            raise DataFileError(f"fact {key}, value {value}: a value needs a key and a label, both text")
        retired = entry.get("retired", False) if isinstance(entry, Mapping) else False
        if not isinstance(retired, bool):
            raise DataFileError(f"fact {key}, value {value}: retired is true or false")
        two_of = entry.get("two_of", "") if isinstance(entry, Mapping) else ""
        if two_of and two_of not in values:
            raise DataFileError(f"fact {key}, value {value}: two_of names the unknown value {two_of}")
        yield Choice(key=value, label=label, retired=retired, two_of=two_of)


def _medicine_classes(facts: Mapping[str, Any]) -> Iterable[MedicineClass]:
    for entry in facts.values():
        for value, details in (entry.get("values") or {}).items():
            if isinstance(details, Mapping) and details.get("atc"):
                yield MedicineClass(
                    value=value,
                    prefixes=tuple(details["atc"]),
                    exceptions=tuple(details.get("atc_except", ())),
                )


def _concern(entry: Mapping[str, Any], scales: Mapping[str, Scale]) -> Concern:
    if unknown := set(entry["severity_scales"]) - set(scales):
        raise DataFileError(f"concern {entry['key']}: unknown scales {sorted(unknown)}")
    return Concern(
        key=entry["key"],
        label=entry["label"],
        patient_description=entry["patient_description"],
        signs=tuple(entry["typical_signs"]),
        intake_questions=tuple(Question(**question) for question in entry["intake_questions"]),
        tests=tuple(Test(**test) for test in entry["tests"]),
        severity_scales=tuple(entry["severity_scales"]),
        coding=tuple(Code(system=system, **code) for system, codes in entry["coding"].items() for code in codes),
        coding_note=entry["coding_note"] or "",
    )


def _scale(entry: Mapping[str, Any], facts: Mapping[str, Fact]) -> Scale:
    fact = facts.get(entry.get("fact", ""))
    if entry.get("fact") and fact is None:
        raise DataFileError(f"scale {entry['key']}: unknown fact {entry['fact']}")
    stages = tuple(Stage(**stage) for stage in entry["stages"])
    for stage in stages:
        if stage.band not in {"none", *SEVERITIES}:
            raise DataFileError(f"scale {entry['key']}, stage {stage.code}: unknown band {stage.band}")
    if fact and fact.values and {choice.key for choice in fact.values} != {stage.code for stage in stages}:
        raise DataFileError(f"scale {entry['key']}: its stages are not the values of {fact.key}")
    return Scale(
        key=entry["key"],
        label=entry["label"],
        applies_to_sex=entry["applies_to_sex"],
        stages=stages,
        fact=entry.get("fact", ""),
        note=entry.get("note", ""),
    )


def _zone(entry: Mapping[str, Any]) -> Zone:
    usual, least, most = (
        _decimal(entry[field], f"zone {entry['key']}") for field in ("area_cm2", "area_min_cm2", "area_max_cm2")
    )
    if not 0 < least <= usual <= most:
        raise DataFileError(f"zone {entry['key']}: its areas are out of order")
    return Zone(key=entry["key"], label=entry["label"], area_cm2=usual, area_min_cm2=least, area_max_cm2=most)


def _decimal(value: Any, where: str) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise DataFileError(f"{where}: {value!r} is not a number") from None
