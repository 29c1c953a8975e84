"""What the house keeps everywhere. The import arrows are kept by import-linter, in ``make check``."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.apps import apps
from django.conf import settings

from mesoclinic.accounts.access import Role
from scripts import tree

ROOT = Path(settings.BASE_DIR)
PACKAGES = ("mesoclinic", "patients", "protocols", "sessions")
OURS = [config for config in apps.get_app_configs() if config.name.split(".")[0] in PACKAGES]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def sources(*packages: str) -> list[Path]:
    return sorted(
        path for package in packages for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts
    )


def modules_named(name: str) -> list[ModuleType]:
    """Every module of this name, in whichever folder it stands."""
    return [
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for path in sources(*PACKAGES)
        if path.name == f"{name}.py"
    ]


def test_apps_are_those_of_the_house() -> None:
    assert [config.label for config in OURS] == [
        "ui",
        "accounts",
        "audit",
        "messaging",
        "documents",
        "patients",
        "protocols",
        "treatment_sessions",
    ]


@pytest.mark.parametrize("config", OURS, ids=lambda config: config.label)
def test_migration_is_named_by_what_it_does(config) -> None:
    folder = Path(config.path) / "migrations"
    names = [path.stem for path in folder.glob("[0-9]*.py")] if folder.is_dir() else []
    assert [name for name in names if re.search(r"_auto_|_\d{8}_", name)] == []


def test_tasks_take_nothing_but_ids() -> None:
    wrong = []
    for module in modules_named("tasks"):
        for name, task in vars(module).items():
            if not hasattr(task, "delay"):
                continue
            for parameter in inspect.signature(task.run).parameters.values():
                if not parameter.name.endswith("_id"):
                    wrong.append(f"{module.__name__}.{name}({parameter.name})")
    assert wrong == []


def test_tasks_have_explicit_names() -> None:
    from celery import current_app

    ours = [name for name in current_app.tasks if not name.startswith("celery.")]
    assert [name for name in ours if name.startswith(PACKAGES) and ".tasks." in name] == []


def test_lower_apps_name_no_higher_one() -> None:
    """Also not inside a function, and not by ``import_string`` of a literal."""
    order = {name: rank for rank, name in enumerate(PACKAGES)}
    wrong = []
    for path in sources(*PACKAGES):
        package = path.relative_to(ROOT).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                other = name.split(".")[0]
                if order.get(other, -1) > order[package]:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {name}")
    assert wrong == []


def test_clock_is_asked_through_django_only() -> None:
    """So that tests can set it, and so that every instant is aware."""
    wrong = []
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = ast.unparse(node.func)
                if re.search(r"\b(datetime|date)\.(now|utcnow|today)$", called):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {called}")
    assert wrong == []


def test_templates_know_no_role() -> None:
    """They get booleans: ``may.patient_read``. A role in a template is a permission that only the button knows."""
    roles = "|".join(Role.values)
    pattern = re.compile(rf"\b(?:user\.roles?|role_grants)\b|[\"'](?:{roles})[\"']")
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in TEMPLATES
        for tag in re.findall(r"{%\s*(?:if|elif)\b.*?%}", path.read_text(encoding="utf-8"))
        if (match := pattern.search(tag))
    ]
    assert found == []


def test_templates_break_no_line_of_the_policy() -> None:
    """No inline script or style, no ``style=``, no ``on…=``, nothing of htmx that evaluates text."""
    pattern = re.compile(
        r"<style\b|<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>|\sstyle\s*=|\son[a-z]+\s*=|hx-on|\bjs:|javascript:",
        re.IGNORECASE,
    )
    not_on_pages = re.compile(r"{#.*?#}|{% comment.*?endcomment %}|{% if for_print %}.*?{% endif %}", re.DOTALL)
    found = [
        f"{path.relative_to(ROOT)}: {match.group().strip()}"
        for path in TEMPLATES
        if path.relative_to(ROOT / "templates").parts[0] not in ("mail", "documents")  # other media, other rules
        for match in pattern.finditer(not_on_pages.sub("", path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_templates_name_no_other_host() -> None:
    pattern = re.compile(r"(?:src|href|action|url\()\s*=?\s*[\"']?(?:https?:)?//", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in [*TEMPLATES, *(ROOT / "static/css").rglob("*.css")]
        for match in pattern.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_templates_mark_nothing_safe() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in TEMPLATES
        if re.search(r"\|\s*safe\b|autoescape off", path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_python_builds_no_html() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(*PACKAGES)
        for name in ("mark_safe(", "SafeString(")
        if name in path.read_text(encoding="utf-8") and "mesoclinic/ui" not in path.as_posix()
    ]
    assert wrong == []


def test_every_path_that_a_text_names_is_there() -> None:
    """Docs, docstrings and data files name files of ours by their path; a file that moves takes its name along."""
    named = re.compile(r"(?<![\w./-])((?:mesoclinic|patients|protocols|sessions|tests)/[\w/]+\.(?:py|yaml|md|html))\b")
    texts = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "scripts").glob("*.py"), *sources(*PACKAGES)]
    texts += [file for package in PACKAGES for file in (ROOT / package).rglob("*.yaml")]
    missing = [
        f"{text.relative_to(ROOT)}: {path}"
        for text in texts
        if text.name != "CHANGELOG.md"
        for path in named.findall(text.read_text(encoding="utf-8"))
        if not (ROOT / path).exists() and not (ROOT / "templates" / path).exists()
    ]
    assert missing == []


def test_tree_in_the_docs_is_that_of_the_folders() -> None:
    """Each module has its row: the first line of its docstring."""
    assert tree.without_a_line() == []
    assert tree.tree() in tree.PAGE.read_text(encoding="utf-8"), "python scripts/tree.py write"


EVERYDAY = re.compile(
    "ask|answer|check|do|find|fit|found|get|give|go|handle|keep|make|plain|process|put|read|run|set|settle|shown|take"
    "|tell|use|used|where"
)


def test_function_is_not_named_by_an_everyday_verb_alone() -> None:
    """Where it is called, ``find`` says nothing; ``find_patients`` does. Tags and views stand under their own names."""
    bare = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sources(*PACKAGES)
        if not {"templatetags", "views"} & set(path.relative_to(ROOT).parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and EVERYDAY.fullmatch(node.name)
    ]
    assert bare == []


def test_new_process_knows_every_guard_and_task(tmp_path: Path) -> None:
    """What is registered by its import is imported by its app, and not by luck by another test."""
    guards = [path for path in sources(*PACKAGES) if path.name == "guards.py"]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in guards}
    tasks = {
        keyword.value.value
        for path in sources(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "shared_task"
        for keyword in node.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, django; django.setup(); from mesoclinic.celery import app; app.loader.import_default_modules()"
            "; print(*sys.modules, *app.tasks)",
        ],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "mesoclinic.settings", "MESOCLINIC_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (modules | tasks) - set(told.stdout.split()) == set()
    assert len(modules) >= 6
    assert len(tasks) >= 5
