"""Mutation testing of the engine: each small change of its code has to be noticed by a test.

    make mutants                        all modules below
    make mutants ARGS="mixing/dose screen"  some of them
    make mutants ARGS="verify --write"  the modules of a package; and write docs/reference/engine-mutants.md
    make mutants ARGS="verify --since COMMIT"  only the functions that read otherwise than any at that commit

The tests are collected once, and for each the lines of the engine that it runs are noted. A mutant is a forked child
in which one function got other code. It runs the tests that reach its lines until one fails: first the one that
noticed it last time (var/mutants.json) and those that noticed its neighbours, then the quickest first. For what
survives EQUIVALENT below says why it cannot matter; or it is a hole in the tests: exit 1.
"""

from __future__ import annotations

import argparse
import ast
import gc
import hashlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from math import inf
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "engine-mutants.md"
TESTS: dict[str, tuple[str, ...]] = {
    "inputs/triggers": ("test_engine_tables", "test_engine_edges"),
    "screen": ("test_engine_screen",),
    "mixing/select": ("test_engine_tables", "test_selection"),
    "mixing/partition": ("test_engine_tables", "test_selection", "test_mixtures"),
    "mixing/dose": ("test_engine_tables", "test_selection", "test_mixtures"),
    "mixing/drawing": ("test_engine_tables", "test_selection", "test_mixtures"),
    "explain/waiting": ("test_engine_tables", "test_waiting"),
    "explain/contribution": ("test_engine_tables", "test_contributions"),
    **dict.fromkeys(
        (
            "verify/alternatives", "verify/context", "verify/contributions", "verify/cost", "verify/course",
            "verify/drawing", "verify/facts", "verify/mixing", "verify/mixture", "verify/run", "verify/screening",
            "verify/selection", "verify/volumes",
        ),
        (
            "test_engine_verify", "test_engine_verify_drawing", "test_engine_tables", "test_engine_edges",
            "test_verify", "test_faults", "test_mixtures", "test_waiting", "test_contributions",
        ),
    ),
}  # fmt: skip
"""What has to notice the mutants of each; of test_faults one change of each kind, each as a test of its own."""
MODULES = tuple(TESTS)
RECORD = ROOT / "var" / "mutants.json"
RESULTS = ROOT / "var" / "mutants-results.json"
REACHED = ROOT / "var" / "mutants-reached.json"
QUICK_TEST_S, LONGEST_TEST_S = 0.02, 3.0
BUDGET_S = 2
"""How long those with an explanation are tried; the others meet every test that reaches them, but for --hurry."""
NEIGHBOURS = 12
"""How many of the tests that noticed other mutants of a function are tried first."""
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
_ALIKE = "Mixtures begun out of turn are ways that are tried already, in another order of like mixtures."
_FIRST = "The first set that is tried takes its place."
_LOOSE = "The bound is looser by a hair; more sets may be tried, the same is chosen."
_VAIN = "What is tried then is no better; it only takes longer."
_VAIN_WAYS = "A way with more mixtures is begun in vain: only those with so many are told."
EQUIVALENT: dict[str, str] = {
    "mixing/dose:fill: `True` turned": _GUARD,
    **{f"mixing/dose:fill: `True` turned (no. {number})": _GUARD for number in range(2, 6)},
    "mixing/dose:fill: `sum(needs) <= amount_in_all` with Lt": "Shared out whole, each gets what it needs.",
    "mixing/dose:_Room.each: `True` turned": _GUARD,
    "explain/contribution:_serves: `True` turned": _GUARD,
    "mixing/drawing:Drawing._draw: `if self.smallest(drawn[1]) is None` never": "The first way is the same one again.",
    "mixing/partition:clashes_of: `0` + 1 (no. 2)": "Of no ingredients there are no two to keep apart.",
    "mixing/dose:_spread: `amount <= 0` with Lt": "Of nothing, each share is nothing as well.",
    "mixing/partition:SyringeRules.fewest: `if known is None` always": _MEMORY,
    "mixing/partition:SyringeRules._fewest: `2` - 1": "That they are not one mixture has just been asked.",
    "mixing/partition:SyringeRules._fewest: `1` + 1 (no. 2)": "One more than allowed is what is answered in any case.",
    "mixing/partition:SyringeRules._fewest: `0` + 1 (no. 4)": _ALIKE,
    "mixing/partition:SyringeRules._assign: `1` + 1 (no. 2)": _ALIKE,
    "mixing/partition:SyringeRules._assign: `1` + 1 (no. 4)": _ALIKE,
    "mixing/partition:SyringeRules.best: `if count == 1` never": "A short cut: the only way is found as well.",
    "mixing/partition:SyringeRules.best: `0` + 1 (no. 3)": _ALIKE,
    "mixing/select:_ignoring_small_syringes: `if problem.feasible(wanted)` never": (
        "Where all requirements fit, the other way meets all."
    ),
    "mixing/select:_worth_drawing: `grown != mask and problem.feasible(grown) and (not problem.too_small(grown))` "
    "without part 1": "What is in already changes nothing.",
    "mixing/select:_Best.beaten_by: `(-value, cost, tuple(bits(mask))) < (-self.value, self.cost, self.keys)` "
    "with LtE": "No set is tried twice.",
    "mixing/select:_Search.__init__: `0` + 1": _FIRST,
    "mixing/select:_Search.__init__: `1` + 1": _FIRST,
    "mixing/select:_Search.__init__: `200` + 1": _FIRST,
    "mixing/select:_Search.__init__: `200` - 1": _FIRST,
    "mixing/select:_Search.__init__: `0` + 1 (no. 2)": _FIRST,
    "mixing/select:_Search.visit: `self._gains(mask, lists, raised, pool) if slots > 0 else []` always": (
        "A short cut: nothing fits into a full set."
    ),
    "mixing/select:_Search.visit: `slots > 0` with GtE": "A short cut: nothing fits into a full set.",
    "mixing/select:_Search._gains: `0` + 1": _LOOSE,
    "mixing/select:_Search._gains: `0` + 1 (no. 5)": _VAIN,
    "mixing/select:_Search._gains: `1` - 1 (no. 4)": "Only the order in which equal gains are tried.",
    "mixing/select:_Search._by_concern: `0` + 1": _LOOSE,
    "mixing/select:_Search._by_concern: `1` + 1": "One place more, which nobody reads.",
    "mixing/select:_Search._by_concern: `0` + 1 (no. 2)": _LOOSE,
    "mixing/select:_Search._by_concern: `1` - 1 (no. 3)": "None of them add nothing.",
    "mixing/select:_Search._by_concern: `if t <= len(offers)` always": _MEMORY,
    "mixing/select:_Search._hopeless: `0` + 1": _LOOSE,
    "mixing/select:_Search._hopeless: `bound > short` with GtE": _VAIN,
    "mixing/select:_Search._hopeless: `bound == short and cost <= self.best.cost` without part 2": _VAIN,
    "verify/context:Context.tells_words: `0` + 1": "Neither of the engines in that list knew the words.",
    "verify/mixture:check_mixture_cautions: `True` turned": _GUARD,
    "verify/drawing:ways_of: `number < count and may_be_one(context, grown)` without part 1": _VAIN_WAYS,
    "verify/drawing:ways_of: `number < count` with LtE": _VAIN_WAYS,
    "verify/drawing:volumes_of: `whole > drawn` with GtE": (
        "Where they are equal nothing is lowered, and nothing raised."
    ),
    "verify/drawing:volumes_of: `True` turned": _GUARD,
    **{f"verify/drawing:volumes_of: `True` turned (no. {number})": _GUARD for number in range(2, 6)},
    "verify/drawing:volumes_of: `sum(needs) <= poured` with Lt": "Shared out whole, each gets what it needs.",
    "verify/drawing:shared_out: `amount <= 0` with Lt": "Of nothing, each share is nothing as well.",
    "verify/selection:check_none_without_need: `met([*chosen, *keys[place:]]) <= standard` with Lt": _VAIN,
    "verify/selection:check_none_without_need: `best or place == len(keys) or met([*chosen, *keys[place:]]) <= "
    "standard` without part 3": _VAIN,
    "verify/mixing:fewest_of: `len(groups) >= best` with Gt": _VAIN,
    "verify/selection:check_none_without_need: `1` + 1": "All counts are doubled alike.",
    "verify/alternatives:check_alternative: `True` turned": _GUARD,
    "verify/context:four_digits: `value / unit >= 10000` with Gt": "Ten thousand is the same number in either unit.",
    "verify/context:four_digits: `10000` - 1": "What is taken one step too far there is taken back in the next lines.",
    "verify/context:four_digits: `value / unit < 1000` with LtE": "A thousand is the same number in either unit.",
}


Path_ = tuple[tuple[str, int | None], ...]
Alter = Callable[[Any], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Mutant:
    module: str
    function: str
    line: int
    lines: range
    change: str
    way: Path_ = field(repr=False)
    alter: Alter = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.module}:{self.function}: {self.change}"


@dataclass(kw_only=True)
class Timed:
    name: str
    file: str
    run: Callable[[], Any]
    lines: set[tuple[str, int]] = field(default_factory=set)
    seconds: float = 0.0
    words: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.words = _words(self.name)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z][a-z_]{3,}", text))


# ------------------------------------------------------------------ making mutants
def mutants_of(module: str) -> Iterator[Mutant]:
    seen: dict[str, int] = {}
    tree = _tree_of(module)
    for way, function, node in _inside(tree):
        for change, alter in _changes(node):
            name = f"{function}: {change}"
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                change += f" (no. {seen[name]})"
            yield Mutant(
                module=module, function=function, line=node.lineno, lines=_lines_of(tree, way), change=change, way=way,
                alter=alter,
            )  # fmt: skip


@cache
def _source_of(module: str) -> list[str]:
    return (ROOT / "protocols" / "engine" / f"{module}.py").read_text(encoding="utf-8").splitlines()


@cache
def _tree_of(module: str) -> ast.Module:
    return ast.parse("\n".join(_source_of(module)))


def functions_changed_since(commit: str, module: str) -> set[str]:
    """Return the functions of a module that no module had at a commit: one that moved has not changed."""
    then = _functions_at(commit)
    return {name for name, code in _functions(_tree_of(module)) if (name, code) not in then}


@cache
def _functions_at(commit: str) -> frozenset[tuple[str, str]]:
    """Each function of the engine at a commit, whichever module it stood in."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    paths = git("ls-tree", "-r", "--name-only", commit, "protocols/engine").split()
    sources = [git("show", f"{commit}:{path}") for path in paths if path.endswith(".py")]
    return frozenset(each for source in sources for each in _functions(ast.parse(source)))


def _functions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each function of a module and of its classes, with its code: words and layout make no difference."""
    for node in tree.body:
        for owner, each in [("", node)] if not isinstance(node, ast.ClassDef) else [(node.name, n) for n in node.body]:
            if isinstance(each, ast.FunctionDef):
                body = each.body[1:] if ast.get_docstring(each) else each.body
                code = " ".join(ast.dump(part) for part in (each.args, *body))
                yield f"{owner}.{each.name}".lstrip("."), code


def _lines_of(tree: ast.Module, way: Path_) -> range:
    """The lines of the statement that a node is in; of one with a body, those of its head."""
    lines, node = range(0), tree
    for name, place in way:
        value = getattr(node, name)
        node = value if place is None else value[place]
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno - 1 if body else node.end_lineno
            lines = range(node.lineno, max(node.lineno, end or 0) + 1)
    return lines


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
    elif isinstance(node, ast.Return) and node.value is not None and not _is_constant(node.value):
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
        if len(node.values) == 1:
            _put(node, node.values[0])

    return alter


def _is_constant(node: ast.AST) -> bool:
    """None, or a verdict, which is turned where it stands: None for False says the same."""
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


# ------------------------------------------------------------------ putting one in place
def put_in_place(mutant: Mutant) -> bool:
    """Give the function its new code, in a child; everyone who imported it meets it. False where nothing is new."""
    tree = _tree_of(mutant.module)
    mutant.alter(_at(tree, mutant.way))
    _only(tree, mutant.way)
    module = importlib.import_module(f"protocols.engine.{mutant.module.replace('/', '.')}")
    code = compile(ast.fix_missing_locations(tree), str(module.__file__), "exec")
    changed = False
    for function, new in _pairs(module.__dict__, code, module.__name__):
        if function.__code__ != new:
            function.__code__ = new
            changed = True
    return changed


def _only(tree: ast.Module, way: Path_) -> None:
    """Leave out of the module all but the function that the way leads into."""
    node: Any = tree
    for name, place in way:
        if name != "body" or place is None or not isinstance(node, ast.Module | ast.ClassDef):
            return
        node.body = [node.body[place]]
        node = node.body[0]


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

    def __init__(self, modules: list[str], options: argparse.Namespace) -> None:
        self.modules, self.limit, self.since = modules, options.only, options.since
        self.write, self.jobs, self.hurry = options.write, options.jobs, options.hurry
        self.record: dict[str, str] = _read(RECORD)
        self.noticed_by = Counter(self.record.values())
        self.helpful: dict[tuple[str, str], deque[str]] = {}
        self.failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        tests = self._timed(session.items)
        survivors: list[Mutant] = []
        results = _read(RESULTS)
        for module in self.modules:
            own = [test for test in tests if test.file in TESTS[module]]
            mutants = [mutant for mutant in mutants_of(module) if self._meant(mutant.name)]
            began = time.monotonic()
            gc.collect()
            gc.freeze()
            before: list[Mutant] = []
            if self.since:
                changed = functions_changed_since(self.since, module)
                before = [mutant for mutant in mutants if mutant.function not in changed]
                mutants = [mutant for mutant in mutants if mutant.function in changed]
            left, made = self._tried(mutants, own)
            if before:
                print(f"{module}: {made} mutants of what has changed since {self.since}, {made - len(left)} noticed")
                made += sum(changes_code(mutant) for mutant in before)
                left += [mutant for mutant in before if mutant.name in EQUIVALENT]
                left.sort(key=lambda mutant: (mutant.line, mutant.change))
            survivors += left
            self._keep(results, module, mutants, left, made, earlier=bool(before))
            spent = time.monotonic() - began
            print(f"{module}: {made} mutants, {made - len(left)} noticed, {spent:.0f} s, {len(own)} tests", flush=True)
        if self.write:
            write_page(results)
        unexplained = [mutant for mutant in survivors if mutant.name not in EQUIVALENT]
        print(f"{len(unexplained)} survive without an explanation.")
        names = {mutant.name for mutant in survivors}
        stale = sorted(name for name in EQUIVALENT if name.split(":")[0] in self.modules and name not in names)
        for name in stale if not self.limit else ():
            print(f"  explained, but noticed or gone: {name}")
        self.failed = bool(unexplained or (stale and not self.limit))
        return True

    def _keep(
        self,
        results: dict[str, Any],
        module: str,
        mutants: list[Mutant],
        left: list[Mutant],
        made: int,
        *,
        earlier: bool,
    ) -> None:
        """Note what was found of a module; with --only beside what is known of its other mutants."""
        rows = [[mutant.function, mutant.change, mutant.name] for mutant in left]
        source, known, since = _source_digest(module), results.get(module), self.since if earlier else ""
        if self.limit and known and known["source"] == source and not self.since:
            tried = {mutant.name for mutant in mutants}
            made, rows = known["made"], [row for row in known["left"] if row[2] not in tried] + rows
            since = known.get("since", "")
        elif self.limit:
            return
        results[module] = {"source": source, "made": made, "left": rows, "since": since}
        _write(RESULTS, results)

    def _meant(self, name: str) -> bool:
        return not self.limit or any(part in name for part in self.limit)

    def _tried(self, mutants: list[Mutant], tests: list[Timed]) -> tuple[list[Mutant], int]:
        """Those that survive, in the order of the code; and how many there are that change anything."""
        survivors: list[Mutant] = []
        made = 0
        running: dict[int, tuple[Mutant, int]] = {}
        waiting = deque(mutants)
        while waiting or running:
            while waiting and len(running) < self.jobs:
                mutant = waiting.popleft()
                hurry = self.hurry or mutant.name in EQUIVALENT
                process, pipe = start(mutant, self._in_order(mutant, tests), BUDGET_S if hurry else inf)
                running[process] = mutant, pipe
            process, status = os.wait()
            mutant, pipe = running.pop(process)
            with os.fdopen(pipe) as told:
                noticed_by = told.read()
            code = os.waitstatus_to_exitcode(status)
            if code == UNCHANGED:
                continue
            if code == BROKEN:
                raise SystemExit(f"{mutant.name} could not be put in place: {noticed_by}")
            made += 1
            if code == 0:
                survivors.append(mutant)
                known = "known" if mutant.name in EQUIVALENT else "SURVIVES"
                print(f"  {known}  {mutant.module}.py:{mutant.line}  {mutant.name}", flush=True)
            elif noticed_by:
                self.record[mutant.name] = noticed_by
                self.noticed_by[noticed_by] += 1
                helpful = self.helpful.setdefault((mutant.module, mutant.function), deque(maxlen=NEIGHBOURS))
                if noticed_by in helpful:
                    helpful.remove(noticed_by)
                helpful.appendleft(noticed_by)
            if made % 50 == 0 or not (waiting or running):
                _write(RECORD, self.record)
        survivors.sort(key=lambda mutant: (mutant.line, mutant.change))
        return survivors, made

    def _in_order(self, mutant: Mutant, tests: list[Timed]) -> list[Timed]:
        """The tests that reach the mutant, the likeliest first: by what they noticed, quick ones, by name."""
        lines = {(mutant.module, line) for line in mutant.lines}
        likely = [self.record.get(mutant.name, ""), *self.helpful.get((mutant.module, mutant.function), ())]
        places = {name: place for place, name in reversed(list(enumerate(likely)))}
        reaching = [test for test in tests if test.lines & lines]
        named = _words(" ".join(_source_of(mutant.module)[line - 1] for line in mutant.lines))
        reaching.sort(
            key=lambda test: (
                places.get(test.name, len(likely)),
                test.seconds > QUICK_TEST_S,
                -len(named & test.words),
                -self.noticed_by.get(test.name, 0),
                test.seconds,
            )
        )
        return reaching

    def _timed(self, items: list[pytest.Item]) -> list[Timed]:
        watched = {str(ROOT / "protocols" / "engine" / f"{module}.py"): module for module in MODULES}
        remember_documents()
        tests = []
        for item in items:
            params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
            if item.path.stem == "test_faults":
                continue  # below, a change at a time
            if not isinstance(item, pytest.Function) or set(item._fixtureinfo.argnames) - set(params):
                continue  # it needs a database, or the like
            tests.append(Timed(name=item.nodeid, file=item.path.stem, run=partial(item.obj, **params)))
        if any(module.startswith("verify/") for module in self.modules):
            tests += _values_changed()
        kept = []
        reached: dict[str, Any] = _read(REACHED)
        for test in tests:
            digest = _digest_for(test.file)
            if reached.get(test.name, [""])[0] != digest:
                reached[test.name] = [digest, *_first_run(test, watched)]
            _, test.seconds, lines = reached[test.name]
            test.lines = {(module, line) for module, own in lines.items() for line in own}
            if test.lines and test.seconds <= LONGEST_TEST_S:
                kept.append(test)
        _write(REACHED, reached)
        print(f"{len(kept)} tests, {sum(test.seconds for test in kept):.1f} s", flush=True)
        return kept


def _first_run(test: Timed, watched: dict[str, str]) -> tuple[float, dict[str, list[int]]]:
    """How long a test takes, and the lines that it reaches."""
    lines: dict[str, set[int]] = {}
    began = time.process_time()
    sys.settrace(_watching(watched, lines))
    try:
        test.run()
    except Exception as error:
        raise SystemExit(f"{test.name} fails without any mutant: {error!r}") from error
    finally:
        sys.settrace(None)
    return time.process_time() - began, {module: sorted(own) for module, own in lines.items()}


@cache
def _digest_for(file: str) -> str:
    """Of all that the lines which a test reaches depend on."""
    tests = ROOT / "tests" / "protocols"
    names = [f"{file}.py", "worked_cases.py", "references.py", "cases.yaml"]
    files = [*(ROOT / "protocols" / "engine").rglob("*.py"), *(ROOT / "protocols" / "formulary").glob("*.yaml")]
    files += [*(ROOT / "patients" / "vocabulary").glob("*.yaml"), tests / "golden" / "faults.json"]
    digest = hashlib.sha256()
    for path in [*sorted(files), *(tests / name for name in names)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return kept


def _write(path: Path, kept: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=0, sort_keys=True), encoding="utf-8")


def _watching(watched: dict[str, str], lines: dict[str, set[int]]) -> Callable[..., Any]:
    """A trace function that notes the lines of the watched files; it leaves code alone that it has seen all of."""
    unseen: dict[types.CodeType, set[int]] = {}

    def trace(frame: Any, event: str, _: Any) -> Any:
        code = frame.f_code
        module = watched.get(code.co_filename)
        if module is None:
            return None
        if code not in unseen:
            unseen[code] = {line for _, _, line in code.co_lines() if line is not None}
        left, own = unseen[code], lines.setdefault(module, set())

        def local(frame: Any, event: str, _: Any) -> Any:
            left.discard(frame.f_lineno)
            own.add(frame.f_lineno)
            return local if left else None

        return local(frame, event, None) if left else None

    return trace


def _values_changed() -> list[Timed]:
    """What test_faults does to an answer, one change at a time; of the changes of one field one."""
    from protocols.engine.verify import verify
    from tests.protocols import test_faults
    from tests.protocols.worked_cases import starter

    def check(name: str, part: str, path: str, way: tuple[str | int, ...]) -> None:
        case, answer = test_faults.answers()[name]
        rows = verify(test_faults.changed(answer, way), case, starter())
        said = sorted({test_faults.in_short(row) for row in rows if row.path != "fingerprint"})
        assert said == test_faults.golden()[name][part][path]

    tests: dict[str, Timed] = {}
    for name, part in test_faults.PARTS:
        for path, way in test_faults.leaves({part: test_faults.answers()[name][1][part]}):
            kind = re.sub(r"\[\d+\]", "", path)
            run = partial(check, name, part, path, way)
            tests.setdefault(kind, Timed(name=f"{name}: {path}", file="test_faults", run=run))
    return list(tests.values())


def remember_documents() -> None:
    """The fingerprint of the same documents is worked out once: most of the time of a verification goes there."""
    from protocols.engine.verify import run

    module: Any = run
    known: dict[int, tuple[Any, str]] = {}
    real = module.fingerprint

    def fingerprint(value: Any) -> str:
        if "ingredients" not in value:
            return str(real(value))
        if id(value) not in known:
            known[id(value)] = value, real(value)
        return known[id(value)][1]

    module.fingerprint = fingerprint


UNCHANGED, BROKEN = 3, 4


def start(mutant: Mutant, tests: list[Timed], budget_s: float) -> tuple[int, int]:
    """A child that holds the mutant and runs the tests; it exits with 0 if each of them passes."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    code = 1
    try:
        gc.disable()
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
        try:
            changed = put_in_place(mutant)
        except BaseException as error:
            os.write(writing, repr(error).encode())
            os._exit(BROKEN)
        noticed_by = _trial(mutant, tests, budget_s, writing) if changed else None
        code = UNCHANGED if not changed else 1 if noticed_by else 0
    finally:
        os._exit(code)


def changes_code(mutant: Mutant) -> bool:
    """Whether a mutant is any other code at all; found in a child that runs no test."""
    process, pipe = start(mutant, [], 0)
    os.close(pipe)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def _trial(mutant: Mutant, tests: list[Timed], budget_s: float, writing: int) -> bool:
    from protocols.engine.mixing import partition
    from tests.protocols import worked_cases

    partition.clashes_of.cache_clear()
    if mutant.module == "triggers":
        worked_cases.starter.cache_clear()
    began = time.process_time()
    for test in tests:
        if time.process_time() - began > budget_s:
            break
        signal.setitimer(signal.ITIMER_VIRTUAL, 2 + 20 * test.seconds)  # its alarm ends a child that turns in circles
        try:
            test.run()
        except BaseException:  # whatever a mutant does, it was noticed
            os.write(writing, test.name.encode())
            return True
    return False


# ------------------------------------------------------------------ what is left, told
def _source_digest(module: str) -> str:
    return hashlib.sha256("\n".join(_source_of(module)).encode()).hexdigest()


def write_page(results: dict[str, Any]) -> None:
    """What was found of each module that has not changed since."""
    rows, told = [], []
    earlier: dict[str, list[str]] = {}
    for module in MODULES:
        found = results.get(module, {"source": ""})
        if found["source"] != _source_digest(module):
            raise SystemExit(f"{module} has changed since its mutants were tried.")
        made, left = found["made"], found["left"]
        if found.get("since"):
            earlier.setdefault(found["since"], []).append(f"`{module}.py`")
        rows.append(f"| {module} | {made} | {made - len(left)} | {len(left)} |")
        told += [
            f"- `{module}.py`, `{function}`: {change}. {EQUIVALENT.get(name, '**Unexplained.**')}"
            for function, change, name in left
        ]
    PAGE.write_text(
        "# Mutants of the engine\n\n"
        "Written by `make mutants ARGS=--write` (`scripts/mutants.py`). A mutant is one small change of the code: a\n"
        "comparison turned or moved by one, a constant one off, `and` for `or`, a `not`, an arithmetic sign, a\n"
        "returned value, a statement removed. Each has to make a test fail, or is listed here with the reason.\n\n"
        "| module | mutants | noticed | cannot be noticed |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n"
        + "".join(
            f"Of {', '.join(modules)}: functions that read as they did at {commit} were tried then.\n\n"
            for commit, modules in earlier.items()
        )
        + "## Those that cannot be noticed\n\n"
        + "\n".join(told)
        + "\n",
        encoding="utf-8",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutation testing of the protocol engine.")
    known = sorted({*MODULES, *(module.partition("/")[0] for module in MODULES)})
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(known)}; all without one")
    parser.add_argument("--only", action="append", default=[], help="only mutants whose name holds this, or this, …")
    parser.add_argument("--since", default="", help="only functions that have changed since this commit")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--hurry", action="store_true", help=f"try none for longer than {BUDGET_S} s: a first look")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    for word in set(options.modules) - set(known):
        parser.error(f"there is no module {word}; there are {', '.join(known)}")
    wanted = [each for each in MODULES if each in options.modules or each.partition("/")[0] in options.modules]
    runner = Runner(wanted or list(MODULES), options)
    names = {name for module in runner.modules for name in TESTS[module]}
    files = [ROOT / "tests" / "protocols" / f"{name}.py" for name in sorted(names)]
    pytest.main(
        ["-q", "-s", "-p", "no:cacheprovider", "-W", "ignore", *(str(f) for f in files if f.exists())], plugins=[runner]
    )
    return int(runner.failed)


if __name__ == "__main__":
    sys.exit(main())
