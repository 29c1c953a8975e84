"""The suite's one clock: where it stands, what it takes along, and that nothing reads another one around it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from tests import instant
from tests.instant import Clock

ROOT = Path(__file__).resolve().parents[1]
SUITE = [
    path
    for path in sorted((ROOT / "tests").rglob("*.py"))
    if not {"e2e", "faults"} & set(path.relative_to(ROOT).parts) and path.name not in ("instant.py", "test_clocks.py")
]
PRODUCT = [
    path for package in ("mesoclinic", "patients", "protocols", "sessions") for path in (ROOT / package).rglob("*.py")
]
NOW = re.compile(r"\b(now|today|utcnow|localdate|localtime|time|time_ns|gmtime|strftime|clock_gettime(_ns)?)$")
CLOCKS = re.compile(r"\b(timezone|datetime|date|time)\.")
DATABASE = re.compile(r"\bCURRENT_(TIMESTAMP|DATE|TIME)\b|(?<![\w.])now\(\)|(?<=\()'now'")
EARLY = "reads the clock before a test has set it"
SOON = timedelta(minutes=2)  # how far a slow machine may have come since the test began


def test_every_clock_of_python_stands_at_the_instant() -> None:
    for now in (
        timezone.now(),
        datetime.now(UTC),
        datetime.fromtimestamp(time.time(), UTC),
        datetime.fromtimestamp(time.time_ns() / 1e9, UTC),
        datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC),
    ):
        assert instant.INSTANT <= now < instant.INSTANT + SOON


@pytest.mark.instant("2028-02-29T23:59:30+01:00")
def test_marker_and_fixture_set_the_clock(clock: Clock) -> None:
    assert date.today().isoformat() == "2028-02-29"  # noqa: DTZ011

    clock.move_by(timedelta(days=1))
    assert (timezone.now() - datetime(2028, 3, 1, 22, 59, 30, tzinfo=UTC)) < SOON
    clock.move_to("2027-03-28T01:30+01:00")
    assert timezone.now() - datetime(2027, 3, 28, 0, 30, tzinfo=UTC) < SOON

    with pytest.raises(ValueError, match="says no distance from UTC"):
        clock.move_to("2027-03-28T01:30")


def test_process_of_a_test_stands_where_the_test_does(clock: Clock) -> None:
    clock.move_to("2031-02-28T23:30+01:00")
    done = subprocess.run(
        [sys.executable, "-c", "import tests.settings, time; print(time.time())"],
        cwd=ROOT,
        env={**os.environ, "MESOCLINIC_DATA_DIR": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    there = datetime.fromtimestamp(float(done.stdout), UTC)
    assert timedelta(0) <= there - datetime(2031, 2, 28, 22, 30, tzinfo=UTC) < SOON


@pytest.mark.django_db
@pytest.mark.instant("1999-12-31T12:00+01:00")
def test_database_has_a_clock_that_nothing_moves() -> None:
    """Why nobody may ask it: where this fails one day, the refusals below may go."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_DATE")
        found = cursor.fetchone()[0]
    assert str(found) != timezone.now().date().isoformat()


def around(source: str) -> Iterator[tuple[int, str]]:
    """Line and reason of whatever reads a clock that the fixture does not set, or before it has set it."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            for name in names:
                if name.split(".")[0] in ("time_machine", "freezegun"):
                    yield node.lineno, f"sets or leaves the clock by {name.split('.')[0]}; ask for the fixture clock"
            if "Now" in names and "django.db.models.functions" in names:
                yield node.lineno, "asks the database for the time"
        elif isinstance(node, ast.Attribute) and node.attr in ("st_mtime", "st_mtime_ns", "st_ctime", "st_atime"):
            yield node.lineno, "reads the time of a file, which no test sets"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and DATABASE.search(node.value):
            yield node.lineno, "asks the database for the time"
    yield from ((line, EARLY) for line in before_a_test(tree))


def reads_a_clock(node: ast.AST) -> bool:
    """Whether this is a call of a clock."""
    called = dotted(node.func) if isinstance(node, ast.Call) else ""
    return bool(CLOCKS.search(called) and NOW.search(called))


def dotted(node: ast.AST) -> str:
    """``a.b.c`` as it stands there; of anything longer, its last names."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def readers(tree: ast.Module) -> set[str]:
    """The functions of a module that read a clock, also by way of one another."""
    functions = {node.name: list(ast.walk(node)) for node in tree.body if isinstance(node, ast.FunctionDef)}
    found = {name for name, nodes in functions.items() if any(reads_a_clock(node) for node in nodes)}
    while more := {name for name, nodes in functions.items() if name not in found and calls(nodes) & found}:
        found |= more
    return found


def calls(nodes: Iterable[ast.AST]) -> set[str]:
    """The last names of what is called."""
    return {dotted(node.func).rpartition(".")[2] for node in nodes if isinstance(node, ast.Call)}


SHARED = {name for path in SUITE if "factories" in path.name for name in readers(ast.parse(path.read_text("utf-8")))}


def before_a_test(tree: ast.Module) -> Iterator[int]:
    """Lines that read a clock while the module is imported: in its body, in a default, in a parameter of pytest's."""
    own = readers(tree)

    def visit(node: ast.AST) -> Iterator[int]:
        if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            early: list[ast.AST] = [*node.args.defaults, *(each for each in node.args.kw_defaults if each)]
            decorators = getattr(node, "decorator_list", [])
            early += decorators
            if any(word.arg == "scope" for each in decorators for word in getattr(each, "keywords", [])):
                early += node.body  # type: ignore[arg-type]  # a fixture that outlives its test
        else:
            early = list(ast.iter_child_nodes(node))
            if isinstance(node, ast.Call) and (
                reads_a_clock(node)
                or (isinstance(node.func, ast.Name) and node.func.id in own)
                or re.fullmatch(rf"(make|factories)\.({'|'.join(SHARED)})", dotted(node.func))
            ):
                yield node.lineno
        for each in early:
            yield from visit(each)

    yield from visit(tree)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import time_machine", "sets or leaves the clock by time_machine; ask for the fixture clock"),
        ("from freezegun import freeze_time", "sets or leaves the clock by freezegun; ask for the fixture clock"),
        ("from django.db.models.functions import Now", "asks the database for the time"),
        ('cursor.execute("SELECT now()")', "asks the database for the time"),
        ('cursor.execute("UPDATE x SET at = CURRENT_TIMESTAMP")', "asks the database for the time"),
        ("cursor.execute(\"SELECT date('now')\")", "asks the database for the time"),
        ("assert path.stat().st_mtime > 0", "reads the time of a file, which no test sets"),
        ("TODAY = timezone.localdate()", EARLY),
        ("NOW = datetime.now(UTC) + timedelta(days=1)", EARLY),
        (
            "@pytest.mark.parametrize('day', [date.today()])\ndef test_x(day): ...",
            EARLY,
        ),
        (
            "def day(n):\n    return timezone.now() + n\ndef far():\n    return day(9)\nLAST = far()",
            EARLY,
        ),
        ("LAST = make.monday(weeks=3)", EARLY),
        ("def booked(at=timezone.now()): ...", EARLY),
        (
            "@pytest.fixture(scope='module')\ndef day():\n    return timezone.now()",
            EARLY,
        ),
    ],
)
def test_what_reads_around_the_clock_is_found(source: str, reason: str) -> None:
    assert list(around(source)) != []
    assert {found for _line, found in around(source)} == {reason}


@pytest.mark.parametrize(
    "source",
    [
        "def test_x():\n    assert timezone.now()",
        "LATER = lambda: timezone.now()",
        "LIMIT = time.monotonic()",
        "x = 'now'",
    ],
)
def test_what_reads_the_suites_clock_is_left(source: str) -> None:
    assert list(around(source)) == []


def test_no_test_reads_around_the_clock() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {reason}"
        for path in SUITE
        for line, reason in around(path.read_text(encoding="utf-8"))
    ]
    assert wrong == []


def test_product_never_asks_the_database_for_the_time() -> None:
    """Two clocks would disagree, and no test could set the second."""
    wrong = []
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set()
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if "Now" in names or re.search(r"\bCURRENT_(TIMESTAMP|DATE|TIME)\b|\bnow\(\)", text):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
            if isinstance(node, ast.keyword) and node.arg == "db_default":
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} db_default")
    assert wrong == []
