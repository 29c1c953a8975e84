"""What is said in one place only. Two tables that say the same drift apart, and then the product says two things."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db.models import TextChoices

from mesoclinic.messaging.models import MessageState
from patients.vocabulary import SEVERITIES
from patients.words import SEVERITY_NAMES, severity_drawn
from protocols.formulary import words
from protocols.formulary.loader import load_documents
from protocols.models.enums import PlanStatus
from protocols.models.marks import PLAN_MARKS
from sessions.models import AppointmentStatus
from sessions.models.marks import VISIT_MARKS

ROOT = Path(settings.BASE_DIR)
PACKAGES = ("mesoclinic", "patients", "protocols", "sessions")
SOURCES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts
)
TREES = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def nodes(tree: ast.AST, *, named: str) -> Iterator[ast.AST]:
    """Every node of a tree, but for what stands in a class ``named`` so."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.ClassDef) and child.name == named:
            continue
        yield child
        yield from nodes(child, named=named)


# ------------------------------------------------------------------ states


def _state_enums() -> dict[str, type[TextChoices]]:
    found = {}
    for name in TREES:
        if not name.endswith(("models.py", "enums.py")) and "/models/" not in name:
            continue
        module = importlib.import_module(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        for key, value in vars(module).items():
            if inspect.isclass(value) and issubclass(value, TextChoices) and key.endswith(("Status", "State")):
                found[key] = value
    return found


STATES = _state_enums()
VALUES = {str(member.value) for enum in STATES.values() for member in enum}


def _literals(node: ast.AST) -> list[str]:
    items = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]


def _asked(node: ast.AST) -> Iterator[tuple[int, ast.AST]]:
    """(line, value) of each place where a field named status or state is filtered by, or compared with, a value."""
    if isinstance(node, ast.keyword) and node.arg:
        field = node.arg.removesuffix("__in").rpartition("__")[2] or node.arg.removesuffix("__in")
        if field in ("status", "state"):
            yield node.value.lineno, node.value
    if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr in ("status", "state"):
        yield from ((node.lineno, value) for value in node.comparators)


def test_state_is_named_by_its_enum_in_every_query_and_comparison() -> None:
    """A constraint's condition stands in ``class Meta`` and in its migration, where only the literal can stand."""
    assert {"PlanStatus", "AppointmentStatus", "MessageState", "DocumentState", "AnswerState"} <= set(STATES)
    wrong = [
        f"{name}:{line} {value}"
        for name, tree in TREES.items()
        if not name.startswith("protocols/engine/")
        for node in nodes(tree, named="Meta")
        for line, given in _asked(node)
        for value in _literals(given)
        if value in VALUES
    ]
    assert wrong == []


def _members(node: ast.AST) -> frozenset[str]:
    """The states of an inline set such as ``(PlanStatus.SIGNED, PlanStatus.ACTIVE)``; empty for anything else."""
    if not isinstance(node, ast.Tuple | ast.List | ast.Set) or len(node.elts) < 2:
        return frozenset()
    names = [
        f"{item.value.id}.{item.attr}"
        for item in node.elts
        if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name) and item.value.id in STATES
    ]
    return frozenset(names) if len(names) == len(node.elts) else frozenset()


def test_set_of_states_is_said_once_and_on_its_enum_where_it_has_a_name() -> None:
    named = {}
    for key, enum in STATES.items():
        for name, value in vars(enum).items():
            if isinstance(value, tuple) and set(value) <= set(enum.values):
                named[frozenset(f"{key}.{enum(state).name}" for state in value)] = f"{key}.{name}"
    assert "PlanStatus.IN_FORCE" in named.values()
    places = defaultdict(list)
    for file, tree in TREES.items():
        if file.endswith("transitions.py"):
            continue  # the tables of what may follow what
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) for part in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.expr) and id(node) not in inside and (members := _members(node)):
                places[members].append(f"{file}:{node.lineno}")
    assert {where[0]: named[members] for members, where in places.items() if members in named} == {}
    assert {tuple(sorted(members)): where for members, where in places.items() if len(where) > 1} == {}


def test_sets_of_states_hold_what_their_names_say() -> None:
    assert PlanStatus.IN_FORCE == (PlanStatus.SIGNED, PlanStatus.ACTIVE)
    assert set(AppointmentStatus.COMING) | set(AppointmentStatus.FREE_AGAIN) | {"done"} == set(AppointmentStatus.values)
    assert set(MessageState.GONE).isdisjoint(MessageState.UNSENT)
    assert set(MessageState.ON_ITS_WAY) - set(MessageState.UNSENT) == {"sending"}


# ------------------------------------------------------------------ questions and their checks


def test_every_question_is_made_of_its_check_in_the_one_way() -> None:
    """``can_x`` is ``asks(check_can_x)``: what a button knows and what the action refuses cannot come apart."""
    asked, wrong = [], []
    for file, tree in TREES.items():
        for node in tree.body if isinstance(tree, ast.Module) else ():
            if isinstance(node, ast.FunctionDef) and node.name.startswith("can_"):
                names = {argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]}
                wrong += [f"{file}: {node.name} is written out"] if "by" in names else []
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name.startswith("can_"):
                    asked.append(name)
                    if ast.unparse(node.value) != f"asks(check_{name})":
                        wrong.append(f"{file}: {name} = {ast.unparse(node.value)}")
    assert wrong == []
    assert {"can_sign_plan", "can_move", "can_undo", "can_start_intake", "can_settle"} <= set(asked)


def test_refusal_is_turned_into_no_in_one_place() -> None:
    found = [
        f"{file}:{node.lineno}"
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and node.type is not None
        and "DomainError" in ast.unparse(node.type)
        and [ast.unparse(line) for line in node.body] == ["return False"]
    ]
    assert [place.partition(":")[0] for place in found] == ["mesoclinic/core/asking.py"]


# ------------------------------------------------------------------ words

TRANSLATORS = {
    "_", "gettext", "gettext_lazy", "gettext_noop", "pgettext", "pgettext_lazy", "ngettext", "ngettext_lazy"
}  # fmt: skip
TABLES_ALIKE = {
    # Each says another thing of the same keys.
    ("protocols/words/contributions.py", "much"): "adds, would add, and serves less: three sentences for each amount",
    ("protocols/pages/left_out.py", "screened"): "the short reason in a list, where wording has the sentence",
    ("protocols/pages/left_out.py", "adds_too_little"): "the short reason and its heading",
    ("protocols/words/answers.py", "no_plan"): "why it is left out, as a short reason and as a sentence",
    ("protocols/words/faults.py", "no_plan"): "why it is left out, and why an edit is refused",
    ("protocols/words/faults.py", "budget"): "the limit by name, and the refusal that it makes",
    ("protocols/words/faults.py", "unknown_ingredient"): "a fault of a case, and a refusal of an edit",
    ("patients/words.py", "mild"): "alone, and after the name of a concern, whose gender it has to suit",
    ("protocols/standing/sentences.py", "absolute"): "what lifts each severity",
    ("sessions/prints/documents.py", "week"): "titles of packs, beside the views of the calendar",
    (
        "sessions/models/followups.py",
        "booking",
    ): "a mail by its purpose, beside the letters that it may be written with",
}


def _word_tables() -> list[tuple[str, frozenset[str]]]:
    """(file, keys) of every dictionary of texts for people."""
    found = []
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Dict) or not node.keys or not all(map(_is_worded, node.values)):
                continue
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            if len(keys) == len(node.keys):
                found.append((file, frozenset(map(str, keys))))
    return found


def _is_worded(value: ast.AST) -> bool:
    calls = (node.func for node in ast.walk(value) if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Name) and function.id in TRANSLATORS for function in calls)


def test_no_two_tables_have_words_for_the_same_keys() -> None:
    """Grade C had three wordings and a mixed result two. A table that says another thing of the keys says so above."""
    tables = _word_tables()
    assert ("protocols/formulary/words.py", frozenset("ABCDE")) in tables
    found = []
    for (file, keys), (other, others) in itertools.combinations(tables, 2):
        both = keys & others
        allowed = any(name in (file, other) and key in both for name, key in TABLES_ALIKE)
        if len(both) > 1 and not allowed:
            found.append((file, other, sorted(both)))
    assert found == []


def test_every_key_of_a_formulary_has_its_word() -> None:
    documents = load_documents()
    ingredients, course = documents["ingredients"], documents["course"]
    rows = ingredients["ingredients"]
    pairs = documents["screening"]["incompatibilities"]
    cost = course["cost_model"]
    assert set(words.GRADE_NAMES) == set(ingredients["evidence_scale"])
    assert set(words.DIRECTION_NAMES) == set(ingredients["direction_values"])
    assert set(words.CLASS_NAMES) == set(ingredients["classes"])
    assert set(words.ROLE_NAMES) == {row["role"] for row in rows}
    assert set(words.CONTAINER_NAMES) >= {row["stock"]["container"] for row in rows}
    assert set(words.BASIS_NAMES) >= {row["per_session"]["basis"] for row in rows} | {
        row["basis"] for row in documents["screening"]["rules"] if "basis" in row
    }
    assert set(words.SEVERITY_NAMES) == {row["severity"] for row in documents["screening"]["rules"]}
    assert set(words.PAIR_NAMES) >= {(row["severity"], row["scope"]) for row in pairs}
    assert set(words.COST_FACTOR_NAMES) == {row["key"] for row in (*cost["region"], *cost["provider"])}
    assert tuple(SEVERITY_NAMES) == SEVERITIES
    assert severity_drawn("moderate") == {"severity": "moderate", "steps": 2, "word": "moderate"}
    assert severity_drawn("beyond") == {"severity": "beyond", "steps": 0, "word": "beyond"}


@pytest.mark.parametrize(
    ("item", "key", "said"),
    [
        ("base", "", "One session, base"),
        ("region", "large_city", "Region: large city"),
        ("provider", "the_moon", "Provider: the moon"),
        ("injections", "150", "Up to 150 injections"),
        ("ingredients", "1", "Ingredients of a session"),
        ("ingredients", "3", "Ingredients of session 3"),
        ("package", "5", "Course of 5 sessions"),
    ],
)
def test_line_of_an_estimate_has_one_wording(item: str, key: str, said: str) -> None:
    assert words.cost_line_words({"item": item, "key": key}) == said


def test_every_state_has_one_look() -> None:
    """The record showed a draft as a warning where its own page did not, and a stopped plan in another colour."""
    assert set(PLAN_MARKS) == set(PlanStatus)
    assert set(VISIT_MARKS) == set(AppointmentStatus)
    kinds = {"ok", "warn", "danger", "info", "accent", "line", ""}
    assert {kind for kind, _icon in (*PLAN_MARKS.values(), *VISIT_MARKS.values())} <= kinds
    inline = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "templates").rglob("*.html")
        if re.search(r"chip (visit|plan|row\.visit)\.get_status_display", path.read_text(encoding="utf-8"))
    ]
    assert inline == []
