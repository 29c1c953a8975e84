"""What is too large to hold in the head: folders, files, functions and lists of parameters. The lists only shrink."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from django.conf import settings

from tests.test_architecture import PACKAGES, sources

ROOT = Path(settings.BASE_DIR)
MODULES, LINES_OF_A_FILE, LINES_OF_A_FUNCTION, PARAMETERS = 14, 600, 60, 7

FOLDERS_TO_CUT: set[str] = set()
FILES_TO_CUT: set[str] = set()
FUNCTIONS_TO_CUT = {
    "mesoclinic/core/guards.py no_overlap",
    "mesoclinic/messaging/actions.py queue_message",
    "protocols/engine/inputs/documents.py build_formulary",
}
# An action says each of its inputs by name, and so does whoever calls it; the parts behind it take one frozen value.
PARAMETERS_TO_CUT = {
    "mesoclinic/documents/actions.py request_document",
    "mesoclinic/messaging/actions.py queue_message",
    "mesoclinic/staff/actions.py add_person",
    "mesoclinic/staff/actions.py update_person",
    "mesoclinic/staff/opening.py open_clinic",
    "patients/actions/intake.py save_intake",
    "patients/actions/record.py register_patient",
    "sessions/booking/actions.py book_appointment",
    "sessions/booking/actions.py book_course",
    "sessions/sites/actions.py add_absence",
    "sessions/treatment/actions.py record_session",
}


@cache
def functions() -> tuple[tuple[str, ast.FunctionDef], ...]:
    return tuple(_functions())


def _functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.relative_to(ROOT).as_posix()} {node.name}", node


def test_folder_holds_what_a_newcomer_takes_in_at_a_glance() -> None:
    counted = Counter(
        path.parent.relative_to(ROOT).as_posix() for path in sources(*PACKAGES) if path.name != "__init__.py"
    )
    assert {folder for folder, count in counted.items() if count > MODULES} == FOLDERS_TO_CUT


def test_file_and_function_can_be_held_in_the_head() -> None:
    long = {
        path.relative_to(ROOT).as_posix()
        for path in sources(*PACKAGES)
        if len(path.read_text(encoding="utf-8").splitlines()) > LINES_OF_A_FILE
    }
    assert long == FILES_TO_CUT
    lengths = {name for name, node in functions() if (node.end_lineno or 0) - node.lineno >= LINES_OF_A_FUNCTION}
    assert lengths == FUNCTIONS_TO_CUT


def test_function_takes_at_most_seven_parameters() -> None:
    many = {
        name
        for name, node in functions()
        if len(node.args.args) + len(node.args.posonlyargs) + len(node.args.kwonlyargs) > PARAMETERS
    }
    assert many == PARAMETERS_TO_CUT
