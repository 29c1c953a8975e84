"""The intake's vocabulary: whole, labelled, and free of any formulary."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from patients.vocabulary import (
    Choice,
    DataFileError,
    build_vocabulary,
    load_vocabulary,
    read_yaml,
    vocabulary_documents,
)

PACKAGE = Path(__file__).resolve().parents[2] / "patients" / "vocabulary"


def test_vocabulary_holds_all_that_the_starter_file_asks() -> None:
    vocabulary = load_vocabulary()

    assert len(vocabulary.facts) == 51
    assert (len(vocabulary.concerns), len(vocabulary.scales), len(vocabulary.zones)) == (11, 4, 8)
    values = {key: len(fact.values) for key, fact in vocabulary.facts.items() if fact.values}
    assert values == {
        "sex_at_birth": 2,
        "pregnancy_status": 5,
        "conditions": 50,
        "medications": 38,
        "allergies": 18,
        "anaphylaxis_history": 4,
        "previous_mesotherapy_reaction": 3,
        "scalp_implant_zones": 9,
        "scalp_findings": 10,
        "patchy_diagnosis": 5,
        "norwood_stage": 8,
        "ludwig_stage": 3,
    }
    assert sum(len(concern.intake_questions) for concern in vocabulary.concerns.values()) == 30
    assert sum(len(concern.tests) for concern in vocabulary.concerns.values()) == 28
    assert sum(len(concern.coding) for concern in vocabulary.concerns.values()) == 22
    assert sum(len(scale.stages) for scale in vocabulary.scales.values()) == 19
    assert len(vocabulary.medicine_classes) == 34
    assert len(vocabulary.typical_zones) == 7


def test_every_value_has_a_label_for_people() -> None:
    for fact in load_vocabulary().facts.values():
        assert fact.label and fact.question and fact.section in load_vocabulary().sections
        for choice in fact.values:
            assert choice.label and "_" not in choice.label, choice


def test_every_section_asks_something() -> None:
    vocabulary = load_vocabulary()

    assert list(vocabulary.sections) == [
        "about_you", "hair", "health", "medicines", "allergies", "scalp_practitioner", "labs", "wishes",
    ]  # fmt: skip
    assert all(vocabulary.facts_in(section) for section in vocabulary.sections)


def test_areas_sum_to_the_hair_bearing_scalp() -> None:
    assert sum(zone.area_cm2 for zone in load_vocabulary().zones.values()) == Decimal(600)


@pytest.mark.parametrize(
    ("codes", "classes"),
    [
        ([], ()),
        (["B01AC06"], ("antiplatelet_single",)),
        (["b01ac06 "], ("antiplatelet_single",)),
        (["B01AC07"], ("antiplatelet_single", "dipyridamole")),
        (["C02DC01"], ("antihypertensive", "minoxidil_oral")),
        (["L01BA01"], ("methotrexate",)),  # not chemotherapy
        (["L01BC02"], ("chemotherapy",)),
        (["L04AX03"], ("immunosuppressant", "methotrexate")),
        (["N02BA01"], ()),  # aspirin for pain: ask about the dose
    ],
)
def test_medicine_classes_follow_from_atc_codes(codes: list[str], classes: tuple[str, ...]) -> None:
    assert load_vocabulary().medicine_classes_of(codes) == classes


def test_fact_applies_unless_another_answer_rules_it_out() -> None:
    stage = load_vocabulary().facts["norwood_stage"]

    assert stage.applies_to({})
    assert stage.applies_to({"sex_at_birth": "male"})
    assert not stage.applies_to({"sex_at_birth": "female"})


def test_ingredient_choices_come_from_a_provider() -> None:
    vocabulary = load_vocabulary()
    assert vocabulary.facts["allergy_ingredients"].values == ()

    offered = vocabulary.with_ingredients([Choice(key="biotin", label="Biotin")])

    assert offered.facts["allergy_ingredients"].label_of("biotin") == "Biotin"
    assert vocabulary.facts["allergy_ingredients"].values == ()


def test_vocabulary_is_frozen_and_loaded_once() -> None:
    assert load_vocabulary() is load_vocabulary()
    with pytest.raises(FrozenInstanceError):
        load_vocabulary().facts["age_years"].question = "?"  # type: ignore[misc]


def test_documents_are_json_and_give_the_same_vocabulary() -> None:
    documents = json.loads(json.dumps(vocabulary_documents()))

    assert build_vocabulary(documents) == load_vocabulary()


def test_vocabulary_imports_neither_django_nor_protocols() -> None:
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in {"django", "protocols", "sessions"}], path
    loaded = "import sys, patients.vocabulary as v; v.load_vocabulary(); print('django' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", loaded], cwd=PACKAGE.parents[1], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def _broken(change: Any) -> dict[str, Any]:
    documents = copy.deepcopy(vocabulary_documents())
    change(documents)
    return documents


BROKEN = {
    "fact smoker: unknown fields": lambda d: d["facts"]["facts"]["smoker"].update(colour="red"),
    "fact smoker: unknown type": lambda d: d["facts"]["facts"]["smoker"].update(type="colour"),
    "fact smoker: unknown section": lambda d: d["facts"]["facts"]["smoker"].update(section="attic"),
    "fact smoker: answered_by": lambda d: d["facts"]["facts"]["smoker"].update(answered_by="cat"),
    "fact smoker: it needs a label": lambda d: d["facts"]["facts"]["smoker"].update(question=""),
    "fact lab_inr: exactly the numbers": lambda d: d["facts"]["facts"]["lab_inr"].pop("minimum"),
    "fact allergies: exactly the enums": lambda d: d["facts"]["facts"]["allergies"].pop("values"),
    "fact allergies, value fish": lambda d: d["facts"]["facts"]["allergies"]["values"].update(fish=""),
    "fact norwood_stage: only_if": lambda d: d["facts"]["facts"]["norwood_stage"]["only_if"].update(fact="shoe"),
    "fact lab_inr: 'x' is not a number": lambda d: d["facts"]["facts"]["lab_inr"].update(minimum="x"),
    "scale ludwig: unknown fact": lambda d: d["scales"]["scales"][1].update(fact="shoe"),
    "scale ludwig: its stages": lambda d: d["scales"]["scales"][1]["stages"].pop(),
    "scale ludwig, stage I: unknown band": lambda d: d["scales"]["scales"][1]["stages"][0].update(band="odd"),
    "scales: one is defined twice": lambda d: d["scales"]["scales"].append(d["scales"]["scales"][0]),
    "concern poor_scalp_circulation: unknown scales": lambda d: d["concerns"]["concerns"][0].update(
        severity_scales=["odd"]
    ),
    "zone frontal: its areas": lambda d: d["zones"]["zones"][0].update(area_min_cm2=90),
    "typical zones norwood_II": lambda d: d["zones"]["typical_zones"][0].update(zones=["nose"]),
}


@pytest.mark.parametrize("message", BROKEN)
def test_loader_names_what_is_wrong(message: str) -> None:
    with pytest.raises(DataFileError, match=message.replace("(", r"\(")):
        build_vocabulary(_broken(BROKEN[message]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "written twice"),
        ("- 1\n", "expected a mapping"),
        ("a: [\n", "expected"),
        (None, "No such file"),
    ],
)
def test_data_file_that_cannot_be_read_says_where(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "facts.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    with pytest.raises(DataFileError, match=message):
        read_yaml(path)


def test_numbers_are_kept_as_written(tmp_path: Path) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text("a: 0.10\nb: 1\nc: 5.0\nd: '2.50'\n", encoding="utf-8")

    assert read_yaml(path) == {"a": "0.10", "b": 1, "c": "5.0", "d": "2.50"}
