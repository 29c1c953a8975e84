"""The propose command, from outside: exit status, standard output, standard error."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command

from protocols.engine import CaseError, parse_case
from protocols.plans.proposing import answer_case
from tests.protocols.worked_cases import by_id, man, starter, worked_cases

ROOT = Path(__file__).resolve().parents[2]


def run(source: str | bytes, tmp_path: Path) -> tuple[int, str, list[str]]:
    """Run the command in this process: exit status, standard output, lines of standard error."""
    path = tmp_path / "case.yaml"
    path.write_bytes(source.encode() if isinstance(source, str) else source)
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("propose", str(path), stdout=out, stderr=err, no_color=True)
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue(), err.getvalue().splitlines()
    return 0, out.getvalue(), err.getvalue().splitlines()


def case_text(**changes: Any) -> str:
    return yaml.safe_dump(man(**changes))


@pytest.mark.parametrize("case_id", ["C03", "C01", "C10"])
def test_propose_prints_the_answer_as_json(case_id: str, tmp_path: Path) -> None:
    case = by_id(case_id)

    status, out, err = run(yaml.safe_dump(case), tmp_path)

    assert (status, err) == (0, [])
    assert json.loads(out) == answer_case(case)


def test_propose_exits_0_for_an_incomplete_case(tmp_path: Path) -> None:
    status, out, err = run(case_text(facts={"age_years": ...}), tmp_path)

    assert (status, err) == (0, [])
    assert json.loads(out)["status"] == "incomplete"


# One fault each: what is typed, and the line that names it.
FAULTS: dict[str, tuple[str, str]] = {
    "unknown allergy": (
        case_text(facts={"allergies": ["fysh"]}),
        "facts.allergies[0]: “fysh” is not known. Did you mean fish?",
    ),
    "negative age": (
        case_text(facts={"age_years": -3}),
        "facts.age_years: Must lie between 0 and 120. (given: -3)",
    ),
    "text for a number": (
        case_text(facts={"age_years": "forty"}),
        "facts.age_years: Expected a whole number. (given: forty)",
    ),
    "text for a decimal": (
        case_text(facts={"lab_inr": "high"}),
        "facts.lab_inr: Expected a number. (given: high)",
    ),
    "part of a year": (
        case_text(facts={"age_years": 39.5}),
        "facts.age_years: Expected a whole number. (given: 39.5)",
    ),
    "no concern": (case_text(concerns=[]), "concerns: At least one entry is needed."),
    "no concerns key": ("facts: {}\nzones: [frontal]\n", "concerns: This is needed."),
    "no zone": (case_text(zones=[]), "zones: At least one entry is needed."),
    "unknown zone": (case_text(zones=["crown"]), "zones[0]: “crown” is not known."),
    "near zone": (case_text(zones=["vertx"]), "zones[0]: “vertx” is not known. Did you mean vertex?"),
    "duplicate zone": (case_text(zones=["vertex", "vertex"]), "zones[1]: “vertex” is given twice."),
    "zone measured out of range": (
        case_text(zones=[{"zone": "vertex", "area_cm2": 800}]),
        "zones[0].area_cm2: Must lie between 40 and 120. (given: 800)",
    ),
    "area too small in all": (
        case_text(zones=[{"zone": "temporal_left", "area_cm2": 15}]),
        "zones: The treated area of 15 cm² must lie between 20 and 900 cm².",
    ),
    "duplicate concern": (
        case_text(concerns=[{"concern": "ageing_scalp", "severity": "mild"}] * 2),
        "concerns[1].concern: “ageing_scalp” is given twice.",
    ),
    "unknown concern": (
        case_text(concerns=[{"concern": "aging_scalp", "severity": "mild"}]),
        "concerns[0].concern: “aging_scalp” is not known. Did you mean ageing_scalp?",
    ),
    "unknown severity": (
        case_text(concerns=[{"concern": "ageing_scalp", "severity": "sever"}]),
        "concerns[0].severity: “sever” is not known. Did you mean severe?",
    ),
    "concern without severity": (
        case_text(concerns=[{"concern": "ageing_scalp"}]),
        "concerns[0].severity: This is needed.",
    ),
    "concern as a word": (
        case_text(concerns=["ageing_scalp"]),
        "concerns[0]: Expected a mapping of names to values. (given: ageing_scalp)",
    ),
    "boolean as a string": (
        case_text(facts={"lactating": "false"}),
        "facts.lactating: Expected true or false. (given: false)",
    ),
    "boolean for a number": (
        case_text(facts={"age_years": True}),
        "facts.age_years: Expected a whole number. (given: True)",
    ),
    "number for a boolean": (
        case_text(facts={"vegan_preference": 0}),
        "facts.vegan_preference: Expected true or false. (given: 0)",
    ),
    "a word for a list": (
        case_text(facts={"conditions": "asthma"}),
        "facts.conditions: Expected a list. (given: asthma)",
    ),
    "a list for a word": (
        case_text(facts={"anaphylaxis_history": ["none"]}),
        "facts.anaphylaxis_history: Expected a word. (given: list)",
    ),
    "answer given twice in a list": (
        case_text(facts={"conditions": ["asthma", "asthma"]}),
        "facts.conditions[1]: “asthma” is given twice.",
    ),
    "unknown fact": (
        case_text(facts={"age": 3}),
        "facts.age: This question is not known.",
    ),
    "misspelt fact": (
        case_text(facts={"age_year": 3}),
        "facts.age_year: This question is not known. Did you mean age_years?",
    ),
    "unknown ingredient in stock": (
        case_text(stock={"biotine": 3}),
        "stock.biotine: This ingredient is not known. Did you mean biotin, nicotinamide?",
    ),
    "negative stock": (
        case_text(stock={"biotin": -1}),
        "stock.biotin: Must lie between 0 and 1000000. (given: -1)",
    ),
    "unknown ingredient switched on": (
        case_text(formulary_overrides={"activate": ["dutasterid"]}),
        "formulary_overrides.activate[0]: “dutasterid” is not known. Did you mean dutasteride, finasteride?",
    ),
    "switched on and off": (
        case_text(formulary_overrides={"activate": ["biotin"], "deactivate": ["biotin"]}),
        "formulary_overrides: “biotin” is switched on and off at once.",
    ),
    "unknown policy": (
        case_text(policy={"max_active": 3}),
        "policy.max_active: This name is not known. Did you mean max_actives?",
    ),
    "a limit loosened": (
        case_text(policy={"max_actives": 9}),
        "policy.max_actives: Must lie between 1 and 8.",
    ),
    "unknown top-level key": (
        case_text(zone=["frontal"]),
        "zone: This name is not known. Did you mean zones?",
    ),
    "NaN": ("facts: {lab_inr: .nan}\n", "facts.lab_inr: Expected a finite number. (given: .nan)"),
    "infinity": ("facts: {lab_inr: .inf}\n", "facts.lab_inr: Expected a finite number. (given: .inf)"),
    "a huge number": (
        f"facts: {{age_years: 1{'0' * 400}}}\n",
        "facts.age_years: Must lie between 0 and 120. (given: a very large number)",
    ),
    "a list for the case": ("- facts\n- zones\n", "case: Expected a mapping of names to values."),
    "an empty file": ("", "case: Expected a mapping of names to values."),
    "a sentence": ("hello", "case: Expected a mapping of names to values."),
    "facts as a list": ("facts: [1]\n", "facts: Expected a mapping of names to values."),
    "broken YAML": ("facts: {age_years: 3\n", "case: The file cannot be read: line 2, column 1: "),
    "a key written twice": (
        "facts: {age_years: 3, age_years: 30}\n",
        "case: The file cannot be read: line 1, column 23: the key “age_years” is written twice",
    ),
    "a number of too many digits": (f"facts: {{age_years: 1{'0' * 9000}}}\n", "case: The file cannot be read: "),
    "an impossible date": ("facts: {age_years: 2026-13-45}\n", "case: The file cannot be read: "),
    "Python objects": ("!!python/object/apply:os.system ['true']\n", "case: The file cannot be read: "),
    "nested without end": ("[" * 20000, "case: The file cannot be read: "),
    "not text": (b"\xff\xfe\x00\x80\x81", "case: The file cannot be read: "),  # type: ignore[dict-item]
    "control characters": ("facts: {a: \x01}\n", "case: The file cannot be read: "),
}


@pytest.mark.parametrize("name", FAULTS)
def test_propose_names_the_fault(name: str, tmp_path: Path) -> None:
    source, line = FAULTS[name]

    status, out, err = run(source, tmp_path)

    assert (status, out) == (2, "")
    assert any(found.startswith(line) for found in err), err
    assert not any("Traceback" in found for found in err)


def test_propose_names_all_faults_at_once(tmp_path: Path) -> None:
    source = case_text(
        facts={"age_years": -3, "allergies": ["fysh", "sulphite"], "lab_inr": "high", "lactating": "no"},
        concerns=[],
        zones=["vertx"],
        policy={"regin": "city"},
    )

    status, out, err = run(source, tmp_path)

    assert (status, out) == (2, "")
    assert [line.split(":", 1)[0] for line in err] == [
        "facts.age_years",
        "facts.lactating",
        "facts.allergies[0]",
        "facts.allergies[1]",
        "facts.lab_inr",
        "concerns",
        "zones[0]",
        "policy.regin",
    ]


def test_propose_names_a_missing_file() -> None:
    err = io.StringIO()

    with pytest.raises(SystemExit) as stop:
        call_command("propose", "/nowhere/case.yaml", stderr=err, no_color=True)

    assert stop.value.code == 2
    assert err.getvalue() == "case: The file cannot be read: No such file or directory\n"


def test_propose_runs_as_a_command_without_a_database(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(yaml.safe_dump(worked_cases()[2]), encoding="utf-8")
    bad = tmp_path / "bad.yaml"
    bad.write_text("facts: {age_years: -1}\nconcerns: []\nzones: [nowhere]\n", encoding="utf-8")
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/absent/none.sqlite3"}

    def command(file: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", "propose", str(file)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    good, faulty = command(path), command(bad)

    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["status"] == "proposed"
    assert (faulty.returncode, faulty.stdout) == (2, "")
    assert faulty.stderr.splitlines() == [
        "facts.age_years: Must lie between 0 and 120. (given: -1)",
        "concerns: At least one entry is needed.",
        "zones[0]: “nowhere” is not known.",
    ]


def test_case_is_read_the_same_from_its_canonical_form() -> None:
    for case in worked_cases():
        parsed = parse_case(case, starter())
        assert parse_case(parsed.canonical(), starter()) == parsed


def test_case_faults_are_values_that_a_form_can_place() -> None:
    with pytest.raises(CaseError) as error:
        parse_case(man(facts={"allergies": ["fysh"]}), starter())

    (fault,) = error.value.faults
    assert (fault.path, fault.code, fault.suggestions) == ("facts.allergies[0]", "unknown_value", ("fish",))
