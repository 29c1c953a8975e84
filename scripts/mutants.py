"""Mutation testing of the engine: each small change of its code has to be noticed by a test.

    make mutants                        all modules below
    make mutants ARGS="dose partition"  some of them
    make mutants ARGS="verify --write"  and write docs/reference/engine-mutants.md

In one process: the tests are collected once, and for each the lines of the engine that it runs are noted. A mutant is a
forked child whose functions got other code. It runs the tests that reach its line, the quickest first, until one
fails. For what survives EQUIVALENT below says why it cannot matter; or it is a hole in the tests: exit 1.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import os
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "engine-mutants.md"
MODULES = ("triggers", "screen", "select", "partition", "dose", "verify")
TESTS = ("test_answer", "test_boundaries", "test_cases", "test_engine_edges", "test_engine_tables", "test_selection")
TESTS_OF_VERIFY = ("test_verify", "test_faults", "test_engine_tables")
LONGEST_TEST_S = 0.25
MOST_TESTS = 420
SWAPPED: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.And: (ast.Or,), ast.Or: (ast.And,), ast.Add: (ast.Sub,), ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv,), ast.Div: (ast.Mult,), ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.Mult,),
    ast.LShift: (ast.RShift,), ast.RShift: (ast.LShift,), ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitOr,), ast.USub: (ast.UAdd,), ast.Pow: (ast.Mult,),
}  # fmt: skip
SWAPPED_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}

# What cannot be noticed, because nothing that can be observed depends on it: "module:function: change" and why.
_GUARD = "A guard against a mistake in code: the two are always of one length."
_MEMORY = "What is remembered is worked out anew; it only takes longer."
EQUIVALENT: dict[str, str] = {
    "dose:fill: `True` turned": _GUARD,
    "dose:_Room.each: `True` turned": _GUARD,
    "dose:_spread: `amount <= 0` with Lt": "Of nothing, each share is nothing as well.",
    "partition:SyringeRules.fewest: `if known is None` always": _MEMORY,
}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    module: str
    function: str
    line: int
    change: str
    tree: ast.Module = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return f"{self.module}:{self.function}: {self.change}"


@dataclass(kw_only=True)
class Timed:
    name: str
    run: Callable[[], Any]
    lines: set[tuple[str, int]] = field(default_factory=set)
    seconds: float = 0.0


# ------------------------------------------------------------------ making mutants
def mutants_of(module: str) -> Iterator[Mutant]:
    source = (ROOT / "protocols" / "engine" / f"{module}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    seen: dict[str, int] = {}
    for path, function, node in _inside(tree):
        for change, alter in _changes(node):
            altered = copy.deepcopy(tree)
            alter(_at(altered, path))
            name = f"{function}: {change}"
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                change += f" (no. {seen[name]})"
            ast.fix_missing_locations(altered)
            yield Mutant(module=module, function=function, line=node.lineno, change=change, tree=altered)


Path_ = tuple[tuple[str, int | None], ...]


def _inside(tree: ast.Module) -> Iterator[tuple[Path_, str, Any]]:
    """Every node inside a function, with the way to it and the function's name."""

    def walk(node: ast.AST, path: Path_, owner: tuple[str, ...], inside: bool) -> Iterator[tuple[Path_, str, Any]]:
        for name, value in ast.iter_fields(node):
            typed = name in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call)
            for place, child in enumerate(value if isinstance(value, list) else [value]):
                if typed or not isinstance(child, ast.AST):
                    continue
                step = (*path, (name, place if isinstance(value, list) else None))
                named = isinstance(child, ast.FunctionDef | ast.ClassDef) and not inside
                below = (*owner, child.name) if named else owner  # type: ignore[attr-defined]
                if inside and hasattr(child, "lineno"):
                    yield step, ".".join(owner), child
                yield from walk(child, step, below, inside or isinstance(child, ast.FunctionDef))

    yield from walk(tree, (), (), False)


def _at(tree: ast.AST, path: Path_) -> Any:
    node: Any = tree
    parent, place = None, None
    for name, index in path:
        parent, place = node, (name, index)
        value = getattr(node, name)
        node = value if index is None else value[index]
    node._parent, node._place = parent, place
    return node


def _put(node: Any, new: ast.AST) -> None:
    name, index = node._place
    if index is None:
        setattr(node._parent, name, new)
    else:
        getattr(node._parent, name)[index] = new


Alter = Callable[[Any], None]


def _changes(node: ast.AST) -> Iterator[tuple[str, Alter]]:
    text = " ".join(ast.unparse(node).split())
    shown = text if len(text) <= 90 else text[:87] + "..."

    def said(what: str) -> str:
        return f"`{shown}` {what}"

    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in SWAPPED.get(type(operator), ()):
                yield said(f"with {other.__name__}"), _operator(other, place)
    elif isinstance(node, ast.BoolOp):
        for other in SWAPPED[type(node.op)]:
            yield said(f"with {other.__name__}"), _operator(other)
        for place in range(len(node.values)):
            yield said(f"without part {place + 1}"), _part_gone(place)
    elif isinstance(node, ast.BinOp):
        for other in SWAPPED.get(type(node.op), ()):
            yield said(f"with {other.__name__}"), _operator(other)
    elif isinstance(node, ast.AugAssign):
        for other in SWAPPED.get(type(node.op), ()):
            yield said(f"with {other.__name__}"), _operator(other)
        yield said("removed"), lambda n: _put(n, ast.Pass())
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not):
            yield said("without not"), lambda n: _put(n, n.operand)
        elif isinstance(node.op, ast.USub | ast.Invert):
            yield said("without sign"), lambda n: _put(n, n.operand)
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield said("+ 1"), lambda n: setattr(n, "value", n.value + 1)
        if node.value:
            yield said("- 1"), lambda n: setattr(n, "value", n.value - 1)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield said("turned"), lambda n: setattr(n, "value", not n.value)
    elif isinstance(node, ast.IfExp):
        yield said("always"), lambda n: _put(n, n.body)
        yield said("never"), lambda n: _put(n, n.orelse)
    elif isinstance(node, ast.If | ast.While):
        head = " ".join(ast.unparse(node.test).split())
        word = "if" if isinstance(node, ast.If) else "while"
        if isinstance(node, ast.If):
            yield f"`{word} {head}` always", lambda n: setattr(n, "test", ast.Constant(value=True))
        yield f"`{word} {head}` never", lambda n: setattr(n, "test", ast.Constant(value=False))
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield said("gives None"), lambda n: setattr(n, "value", ast.Constant(value=None))
    elif isinstance(node, ast.Continue | ast.Break) or (
        isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
    ):
        yield said("removed"), lambda n: _put(n, ast.Pass())
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SWAPPED_NAMES:
        yield said(f"as {SWAPPED_NAMES[node.func.id]}"), lambda n: setattr(n.func, "id", SWAPPED_NAMES[n.func.id])


def _operator(other: type[ast.AST], place: int | None = None) -> Alter:
    def alter(node: Any) -> None:
        if place is None:
            node.op = other()
        else:
            node.ops[place] = other()

    return alter


def _part_gone(place: int) -> Alter:
    def alter(node: Any) -> None:
        del node.values[place]

    return alter


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


# ------------------------------------------------------------------ putting one in place
def put_in_place(mutant: Mutant) -> None:
    """Give the functions of the module the mutant's code. Everyone who imported them meets it."""
    module = importlib.import_module(f"protocols.engine.{mutant.module}")
    code = compile(mutant.tree, str(module.__file__), "exec")
    for function, new in _pairs(module.__dict__, code, module.__name__):
        if function.__code__ != new:
            function.__code__ = new


def _pairs(namespace: dict[str, Any], code: types.CodeType, module: str) -> Iterator[tuple[Any, types.CodeType]]:
    """Functions with the code objects of the same name; those of classes too."""
    for constant in code.co_consts:
        if not isinstance(constant, types.CodeType) or constant.co_name not in namespace:
            continue
        found = namespace[constant.co_name]
        found = getattr(found, "func", found)  # a cached_property
        found = getattr(found, "fget", found)
        found = getattr(found, "__wrapped__", found)  # a cache
        if isinstance(found, type) and found.__module__ == module:
            yield from _pairs(dict(vars(found)), constant, module)
        elif isinstance(found, types.FunctionType):
            yield found, constant


# ------------------------------------------------------------------ the tests
class Runner:
    """A pytest plugin that takes the collected tests and runs mutants instead."""

    def __init__(self, modules: list[str], *, limit: str, write: bool) -> None:
        self.modules, self.limit, self.write = modules, limit, write
        self.failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        tests = self._timed(session.items)
        survivors: list[Mutant] = []
        counts: dict[str, list[int]] = {}
        for module in self.modules:
            killed = 0
            all_mutants = [m for m in mutants_of(module) if self.limit in m.name]
            began = time.monotonic()
            for mutant in all_mutants:
                if survives(mutant, tests):
                    survivors.append(mutant)
                    known = "known" if mutant.name in EQUIVALENT else "SURVIVES"
                    print(f"  {known}  {mutant.module}.py:{mutant.line}  {mutant.name}", flush=True)
                else:
                    killed += 1
            counts[module] = [len(all_mutants), killed]
            print(
                f"{module}: {len(all_mutants)} mutants, {killed} noticed, {time.monotonic() - began:.0f} s", flush=True
            )
        if self.write:
            write_page(counts, survivors)
        unexplained = [mutant for mutant in survivors if mutant.name not in EQUIVALENT]
        print(f"{len(unexplained)} survive without an explanation.")
        self.failed = bool(unexplained)
        return True

    def _timed(self, items: list[pytest.Item]) -> list[Timed]:
        watched = {str(ROOT / "protocols" / "engine" / f"{module}.py"): module for module in MODULES}
        tests = []
        for item in items:
            params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
            if not isinstance(item, pytest.Function) or set(item._fixtureinfo.argnames) - set(params):
                continue  # it needs a database, or the like
            test = Timed(name=item.name, run=partial(item.obj, **params))
            began = time.perf_counter()
            try:
                test.run()
            except Exception as error:
                raise SystemExit(f"{item.nodeid} fails without any mutant: {error!r}") from error
            test.seconds = time.perf_counter() - began
            if test.seconds > LONGEST_TEST_S:
                continue
            lines = test.lines

            def trace(frame: Any, event: str, _: Any, lines: set[tuple[str, int]] = lines) -> Any:
                module = watched.get(frame.f_code.co_filename)
                if module is None:
                    return None

                def local(frame: Any, event: str, _: Any) -> Any:
                    lines.add((module, frame.f_lineno))
                    return local

                lines.add((module, frame.f_lineno))
                return local

            sys.settrace(trace)
            try:
                test.run()
            finally:
                sys.settrace(None)
            tests.append(test)
        tests.sort(key=lambda test: test.seconds)
        tests = tests[:MOST_TESTS]
        print(f"{len(tests)} tests, {sum(test.seconds for test in tests):.1f} s", flush=True)
        return tests


def survives(mutant: Mutant, tests: list[Timed]) -> bool:
    """Whether every test that reaches the line passes in a child that holds the mutant."""
    nearby = {(mutant.module, line) for line in range(mutant.line, mutant.line + 1)}
    reaching = [test for test in tests if test.lines & nearby]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = _trial(mutant, reaching)
        except BaseException:  # whatever a mutant does, it was noticed
            code = 1
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _trial(mutant: Mutant, tests: list[Timed]) -> int:
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    put_in_place(mutant)
    from protocols.engine import partition
    from tests.protocols import worked_cases

    partition.clashes_of.cache_clear()
    if mutant.module == "triggers":
        worked_cases.starter.cache_clear()
    for test in tests:
        signal.setitimer(signal.ITIMER_REAL, 1 + 20 * test.seconds)  # its alarm ends a child that turns in circles
        try:
            test.run()
        except BaseException:  # whatever a mutant does, it was noticed
            return 1
    return 0


# ------------------------------------------------------------------ what is left, told
def write_page(counts: dict[str, list[int]], survivors: list[Mutant]) -> None:
    rows = [f"| {module} | {made} | {noticed} | {made - noticed} |" for module, (made, noticed) in counts.items()]
    told = [
        f"- `{each.module}.py`, `{each.function}`: {each.change}. {EQUIVALENT.get(each.name, '**Unexplained.**')}"
        for each in survivors
    ]
    PAGE.write_text(
        "# Mutants of the engine\n\n"
        "Written by `make mutants ARGS=--write` (`scripts/mutants.py`). A mutant is one small change of the code: a\n"
        "comparison turned or moved by one, a constant one off, `and` for `or`, a `not`, an arithmetic sign, a\n"
        "returned value, a statement removed. Each has to make a test fail, or is listed here with the reason.\n\n"
        "| module | mutants | noticed | cannot be noticed |\n|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "## Those that cannot be noticed\n\n" + "\n".join(told) + "\n",
        encoding="utf-8",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutation testing of the protocol engine.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; all without one")
    parser.add_argument("--only", default="", help="only mutants whose name holds this")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    runner = Runner(options.modules or list(MODULES), limit=options.only, write=options.write)
    names = {
        *(TESTS if set(runner.modules) - {"verify"} else ()),
        *(TESTS_OF_VERIFY if "verify" in runner.modules else ()),
    }
    files = [ROOT / "tests" / "protocols" / f"{name}.py" for name in sorted(names)]
    pytest.main(
        ["-q", "-s", "-p", "no:cacheprovider", "-W", "ignore", *(str(f) for f in files if f.exists())], plugins=[runner]
    )
    return int(runner.failed)


if __name__ == "__main__":
    sys.exit(main())
