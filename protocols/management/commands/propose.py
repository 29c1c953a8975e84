"""python manage.py propose CASE.yaml: the engine's answer as JSON. Nothing is stored, and no database is needed."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand

from patients.vocabulary.reading import ExactLoader
from protocols.engine import CaseError, Fault
from protocols.plans.proposing import answer_case, explain_fault

LARGEST_FILE = 1_000_000
EXIT_BAD_INPUT = 2


def read_case(source: str) -> Any:
    """The case as it was typed. Raises CaseError for a file that cannot be read."""
    try:
        data = sys.stdin.buffer.read(LARGEST_FILE + 1) if source == "-" else _read_bytes(Path(source))
        if len(data) > LARGEST_FILE:
            raise _unreadable(f"more than {LARGEST_FILE} bytes")
        return yaml.load(data.decode("utf-8-sig"), Loader=ExactLoader)  # noqa: S506 (a safe loader)
    except UnicodeDecodeError:
        raise _unreadable("it is not UTF-8 text") from None
    except RecursionError:
        raise _unreadable("it is nested too deeply") from None
    except OSError as problem:
        raise _unreadable(problem.strerror or type(problem).__name__) from None
    except (yaml.YAMLError, ValueError) as problem:
        if isinstance(problem, CaseError):
            raise
        raise _unreadable(_where(problem)) from None


def _read_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_FILE + 1)


def _where(problem: Exception) -> str:
    mark = getattr(problem, "problem_mark", None)
    text = str(getattr(problem, "problem", None) or "it is not valid YAML")
    return f"line {mark.line + 1}, column {mark.column + 1}: {text}" if mark else text


def _unreadable(why: str) -> CaseError:
    return CaseError((Fault(path="case", code="bad_document", params={"value": why}),))


class Command(BaseCommand):
    help = "Print the engine's answer to a case as JSON. Exit status 2 for bad input, with a line for each fault."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case", metavar="CASE.yaml", help="the case, as YAML or JSON; - for standard input")
        parser.add_argument("--language", default="en", help="language of the sentences (en, fr, es)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            said = answer_case(read_case(options["case"]), language=options["language"])
        except CaseError as error:
            for fault in error.faults:
                self.stderr.write(explain_fault(fault), self.style.ERROR)
            sys.exit(EXIT_BAD_INPUT)
        self.stdout.write(json.dumps(said, ensure_ascii=False, indent=2, sort_keys=True))
