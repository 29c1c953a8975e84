"""Measured values: each in its own unit, in another one, in doubt, out of both, and with a comma for the decimals."""

from __future__ import annotations

import copy
import re
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation

from mesoclinic.core.numbers import typed_number
from patients.intake.answers import checked_value, value_in_words
from patients.intake.measures import checked_measure, must_choose, unit_label
from patients.vocabulary import DataFileError, Fact, build_vocabulary, load_vocabulary, vocabulary_documents

MEASURED = [fact for fact in load_vocabulary().facts.values() if fact.units]
PAIRS = [(fact, unit) for fact in MEASURED for unit in fact.units]


def fact(key: str) -> Fact:
    return load_vocabulary().facts[key]


def of(key: str, number: str, unit: str | None = None) -> Any:
    """What is stored of what was typed; the sentence where it was not taken."""
    typed = typed_number(number)
    try:
        return checked_measure(fact(key), typed if unit is None else {"value": typed, "unit": unit})
    except ValueError as refusal:
        return str(refusal)


TABLE = [
    # own unit
    ("lab_hba1c", "97", None, "97"),
    ("lab_hba1c", "97", "mmol/mol", "97"),
    ("lab_vitamin_d", "49,9", "nmol/L", "49.9"),
    ("lab_ferritin", "24", "microgram/L", "24"),
    ("lab_platelets", "250", "10^9/L", "250"),
    ("lab_inr", "2,5", None, "2.5"),
    ("lab_egfr", "60", None, "60"),
    ("lab_alt_times_uln", "1,5", None, "1.5"),
    ("bp_systolic", "128", "mmHg", 128),
    ("bp_diastolic", "82", None, 82),
    # another unit
    ("lab_hba1c", "11", "%", "97"),
    ("lab_hba1c", "7", "%", "53"),
    ("lab_hba1c", "6,5", "%", "48"),
    ("lab_hba1c", "8.5", "%", "69"),
    ("lab_vitamin_d", "20", "ng/mL", "50"),
    ("lab_vitamin_d", "12,3", "ng/mL", "30.8"),
    ("lab_ferritin", "24.5", "ng/mL", "24.5"),
    ("lab_platelets", "150000", "/microL", "150"),
    ("lab_platelets", "150000", "/µL", "150"),
    ("lab_platelets", "149", "G/L", "149"),
    ("bp_systolic", "12,5", "cmHg", 125),
    ("bp_diastolic", "8", "cmHg", 80),
    # in doubt: no body has it in this unit, and it is a value in another
    ("lab_hba1c", "11", None, "11 looks like %: HbA1c 11 % is 97 mmol/mol. Which is it?"),
    ("lab_hba1c", "7,2", "mmol/mol", "7.2 looks like %: HbA1c 7.2 % is 55 mmol/mol. Which is it?"),
    ("lab_hba1c", "20", "mmol/mol", "20 looks like %: HbA1c 20 % is 195 mmol/mol. Which is it?"),
    ("lab_hba1c", "53", "%", "53 looks like mmol/mol: HbA1c 53 mmol/mol is 7 %. Which is it?"),
    ("lab_platelets", "250000", None, "250000 looks like /µL: Platelets 250000 /µL is 250 10⁹/L. Which is it?"),
    ("lab_platelets", "250", "/microL", "250 looks like 10⁹/L: Platelets 250 10⁹/L is 250000 /µL. Which is it?"),
    ("bp_systolic", "12", None, "12 looks like cmHg: Systolic blood pressure 12 cmHg is 120 mmHg. Which is it?"),
    ("bp_systolic", "120", "cmHg", "120 looks like mmHg: Systolic blood pressure 120 mmHg is 12 cmHg. Which is it?"),
    ("bp_diastolic", "8,5", None, "8.5 looks like cmHg: Diastolic blood pressure 8.5 cmHg is 85 mmHg. Which is it?"),
    ("lab_vitamin_d", "3", "nmol/L", "3 looks like ng/mL: 25-hydroxyvitamin D 3 ng/mL is 7.5 nmol/L. Which is it?"),
    # both units have it: the unit is asked for, and never guessed
    ("lab_vitamin_d", "30", "", "Choose the unit: nmol/L, ng/mL."),
    ("lab_ferritin", "30", "", "30"),  # 1 ng/mL is 1 µg/L
    ("lab_hba1c", "53", "", "53"),
    # out of both
    ("lab_hba1c", "3", None, "It must be between 21 and 195 mmol/mol."),
    ("lab_hba1c", "20.5", "%", "It must be between 4.1 and 20 %."),
    ("lab_hba1c", "250", None, "It must be between 21 and 195 mmol/mol."),
    ("lab_vitamin_d", "1", "nmol/L", "It must be between 5 and 1500 nmol/L."),
    ("lab_platelets", "3500", None, "It must be between 0 and 3000 10⁹/L."),
    ("lab_ferritin", "0", None, "It must be between 1 and 100000 µg/L."),
    ("lab_inr", "70", None, "It must be between 0.5 and 20."),
    ("lab_egfr", "0.5", None, "It must be between 1 and 250 mL/min/1.73 m²."),
    ("lab_alt_times_uln", "600", None, "It must be between 0 and 500 × upper limit."),
    ("bp_systolic", "400", None, "It must be between 40 and 320 mmHg."),
    ("bp_diastolic", "22.5", "cmHg", "It must be between 2.5 and 22 cmHg."),
    # no such unit
    ("lab_hba1c", "53", "mg/dL", "“mg/dL” is not a unit of this value. It is given in mmol/mol, %."),
    ("lab_inr", "2", "%", "This value has no unit."),
]


@pytest.mark.parametrize(("key", "number", "unit", "kept"), TABLE)
def test_a_measured_value_is_stored_in_one_unit_or_asked_back(
    key: str, number: str, unit: str | None, kept: Any
) -> None:
    assert of(key, number, unit) == kept


def test_the_table_has_every_measured_value_and_every_unit() -> None:
    named = {(key, unit or fact(key).units[0].key) for key, _number, unit, _kept in TABLE}
    assert {(fact.key, unit.key) for fact, unit in PAIRS} <= named


@pytest.mark.parametrize(("measured", "unit"), PAIRS, ids=lambda each: each.key)
def test_the_ends_of_a_range_are_taken_and_what_is_beyond_is_not(measured: Fact, unit: Any) -> None:
    beyond = Decimal("0.5") if measured.type == "number" else 1 / unit.factor
    for end, past in ((unit.least, unit.least - beyond), (unit.most, unit.most + beyond)):
        stored = checked_measure(measured, {"value": end, "unit": unit.key})
        assert checked_measure(measured, stored) == stored  # it is read again when it is saved
        with pytest.raises(ValueError, match=r"looks like|It must be between"):
            checked_measure(measured, {"value": past, "unit": unit.key})


@pytest.mark.parametrize("measured", MEASURED, ids=lambda each: each.key)
def test_no_value_of_another_unit_is_taken_for_one_of_this(measured: Fact) -> None:
    """Nowhere in the other unit's range, but where the form makes somebody choose."""
    own = measured.units[0]
    for other in measured.units[1:]:
        if (other.factor, other.offset) == (own.factor, own.offset) or must_choose(measured):
            continue
        for part in range(101):
            number = other.least + (other.most - other.least) * part / 100
            with pytest.raises(ValueError, match=f"looks like {unit_label(other.key)}"):
                checked_measure(measured, number.quantize(Decimal("0.01")))


@pytest.mark.parametrize(("language", "vitamin_d"), [("en", "49.9"), ("fr", "49,9"), ("es", "49,9")])
def test_a_stored_value_is_shown_with_what_it_is_in_the_other_unit(language: str, vitamin_d: str) -> None:
    with translation.override(language):
        assert value_in_words(fact("lab_hba1c"), "97") == "97 mmol/mol (11 %)"
        assert value_in_words(fact("lab_vitamin_d"), "49.9") == f"{vitamin_d} nmol/L (20 ng/mL)"


def test_a_unit_is_written_as_people_write_it() -> None:
    assert [unit_label(unit.key) for unit in fact("lab_ferritin").units] == ["µg/L", "ng/mL"]
    assert value_in_words(fact("lab_platelets"), "250") == "250 10⁹/L"
    assert value_in_words(fact("bp_systolic"), 128) == "128 mmHg"
    assert [unit.key for _fact, unit in PAIRS if re.search("micro|ug", unit_label(unit.key))] == []


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("fr", "11 ressemble à une valeur en % : HbA1c 11 % correspond à 97 mmol/mol. Laquelle est-ce ?"),
        ("es", "11 parece un valor en %: HbA1c 11 % equivale a 97 mmol/mol. ¿Cuál es?"),
    ],
)
def test_it_is_asked_back_in_the_readers_language(language: str, sentence: str) -> None:
    with translation.override(language):
        assert of("lab_hba1c", "11") == sentence


@pytest.mark.parametrize(
    "value", [{"unit": "%"}, {"value": 7, "unit": "%", "note": "x"}, {"value": [7]}, {"value": None}]
)
def test_a_value_with_a_unit_takes_nothing_else(value: Any) -> None:
    with pytest.raises(ValueError, match="Write a number"):
        checked_value(fact("lab_hba1c"), value)


def changed(**rows: Any) -> dict[str, Any]:
    documents = copy.deepcopy(vocabulary_documents())
    documents["facts"]["facts"]["lab_hba1c"].update(rows)
    return documents


GOOD = {"mmol/mol": {"least": 21, "most": 195}}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"units": {}}, "what is measured needs its units, first the one that is stored"),
        ({"units": {"%": {"least": 4, "most": 20}}}, "what is measured needs its units, first the one that is stored"),
        ({"units": {"mmol/mol": {"least": 195, "most": 21}}}, "its range is out of order"),
        ({"units": {"mmol/mol": {"least": 5, "most": 195}}}, "its range lies outside of what is stored"),
        ({"units": {"mmol/mol": {"least": 21}}}, "is not a number"),
        ({"units": {"mmol/mol": {"least": 21, "most": 195, "factor": 2}}}, "range lies outside of what is stored"),
        ({"units": {"mmol/mol": {"least": 21, "most": 100, "offset": 1}}}, "what is stored is not converted"),
        ({"units": {"mmol/mol": {"least": 21, "most": 195, "colour": 1}}}, "unknown fields"),
        ({"units": {**GOOD, "%": {"least": 4, "most": 19, "factor": "10"}}}, "a conversion needs its source"),
        (
            {"units": {**GOOD, "%": {"least": 4, "most": 20, "factor": "-1", "source": "x"}}},
            "range lies outside of what is stored",
        ),
        ({"unit": "days"}, "only what is measured has units"),
    ],
)
def test_units_that_do_not_hold_are_refused(rows: dict[str, Any], said: str) -> None:
    with pytest.raises(DataFileError, match=said):
        build_vocabulary(changed(**rows))


def test_number_beyond_all_reach_is_refused_with_a_sentence() -> None:
    """In another unit as well: it is not converted before it is known to be one."""
    fact = next(fact for fact in load_vocabulary().facts.values() if len(fact.units) > 1)
    for unit in fact.units:
        with pytest.raises(ValueError, match="It must be between"):
            checked_measure(fact, {"value": "9" * 40, "unit": unit.key})
