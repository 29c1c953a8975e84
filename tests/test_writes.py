"""Whatever writes is an action, wherever it stands: keyword-only with ``by``, in one transaction, with its audit event.

The test looks at what code does, not at its file's name. It reads the sources: which functions open a transaction or
write rows, and which other functions of ours they call.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings

from tests.test_architecture import PACKAGES, sources

ROOT = Path(settings.BASE_DIR)
ROWS = {"save", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "delete"}
NO_ROWS = {"cache", "default_storage", "session"}  # what else has a method of such a name


@dataclass(frozen=True)
class Function:
    """One function of a module, with what it does to the database and whom it calls."""

    name: str  # module.function
    positional: bool
    by: bool
    atomic: bool
    writes: bool
    records: bool
    calls: frozenset[str]

    @property
    def is_private(self) -> bool:
        return self.name.rpartition(".")[2].startswith("_")


def _is_write(node: ast.AST) -> bool:
    """Whether a call writes rows. ``update`` counts with keywords: that of a dict is called with a dict here."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    owner = node.func.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    if name in NO_ROWS:
        return False
    return node.func.attr in ROWS or (node.func.attr == "update" and bool(node.keywords) and not node.args)


def _opens_transaction(function: ast.FunctionDef) -> bool:
    opened: list[ast.expr] = []
    for node in ast.walk(function):
        if isinstance(node, ast.FunctionDef):
            opened += node.decorator_list
        if isinstance(node, ast.With):
            opened += [item.context_expr for item in node.items]
    return any("transaction.atomic" in ast.unparse(expression) for expression in opened)


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name stands for, as a dotted name."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _tables(tree: ast.Module, names: dict[str, str]) -> dict[str, set[str]]:
    """Return the tables and lists of a module, such as ``{Copy.MAILS: _mails}``, with the functions in each."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(node.value, ast.Dict | ast.Tuple):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            inside = {
                names[part.id] for part in ast.walk(node.value) if isinstance(part, ast.Name) and part.id in names
            }
            if isinstance(target, ast.Name) and inside:
                found[target.id] = inside
    return found


def _functions(path: Path) -> Iterator[Function]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    names = _imported(tree) | {
        node.name: f"{module}.{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef)
    }
    tables = _tables(tree, names)
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        calls = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                calls |= tables.get(part.id, {names[part.id]} if part.id in names else set())
            elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in names:
                calls.add(f"{names[part.value.id]}.{part.attr}")
        yield Function(
            name=f"{module}.{node.name}",
            positional=bool(node.args.args or node.args.posonlyargs),
            by="by" in {argument.arg for argument in node.args.kwonlyargs},
            atomic=_opens_transaction(node),
            writes=any(_is_write(part) for part in ast.walk(node)),
            records="mesoclinic.audit.trail.record" in calls,
            calls=frozenset(calls),
        )


@cache
def functions() -> dict[str, Function]:
    """Return every function of ours by its dotted name; samples, commands and migrations tell stories of their own."""
    return {
        function.name: function
        for path in sources(*PACKAGES)
        if "sample" not in (path.stem, path.parent.name) and "management" not in path.parts
        for function in _functions(path)
    }


def reaches(name: str, asked: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a function, or one that it calls, is ``asked`` of: ``records`` or ``atomic``."""
    function = functions().get(name)
    if function is None or name in seen:
        return False
    return bool(getattr(function, asked)) or any(reaches(other, asked, seen | {name}) for other in function.calls)


# Called by the name that a setting holds, so that a lower app knows no higher one.
CALLED_BY_NAME = {
    "sessions.renewal.renew.source_changed": "mesoclinic.audit.changes.announce_change",
}
# Done by a machine that nobody pressed: the worker that sends and renders, the tick, a mail server that returns a mail.
BY_MACHINES = {
    "mesoclinic.messaging.sending.bounces.record_bounce",
    "mesoclinic.messaging.sending.delivery.claim",
    "mesoclinic.messaging.sending.delivery.expire_late",
    "mesoclinic.messaging.sending.delivery.give_up_on_crashers",
    "mesoclinic.messaging.sending.delivery.put_off",
    "mesoclinic.messaging.sending.delivery.record_failure",
    "mesoclinic.messaging.sending.delivery.record_sent",
    "mesoclinic.messaging.sending.delivery.release",
    "mesoclinic.messaging.sending.delivery.stop_unwanted",
    "mesoclinic.messaging.renewal.refresh_claimed",
    "mesoclinic.documents.actions.render_document",
    "mesoclinic.documents.actions.due_documents",
}
# Done by the patient, who holds a link and has no account: the link says who, and the event names the link.
BY_PATIENTS = {
    "sessions.inbox.answers.confirm",
    "sessions.inbox.answers.ask_for_another_time",
    "sessions.inbox.answers.ask_for_a_call",
    "sessions.inbox.answers.cancel",
    "sessions.inbox.answers.choose_mails",
    "sessions.inbox.answers.report",
    "sessions.prints.papers.open_paper",
}
# Parts of an action, called inside its transaction; the next test holds them to that.
PARTS = {
    "protocols.actions.keeping.keep_computed",
    "protocols.standing.going_on.keep_override",
    "sessions.booking.changes.keep_change",
    "sessions.booking.changes.write_place",
    "sessions.booking.wishes.fulfil_wish",
    "sessions.mail.followups.void_category",
    "sessions.mail.links.link_for",
    "sessions.mail.links.renew_address",
    "sessions.renewal.belongings.hand_back",
    "sessions.renewal.belongings.take_over",
    "sessions.renewal.resuming.plan_anew",
}
OTHERWISE = {
    "mesoclinic.audit.trail.record": "is the event",
    "mesoclinic.staff.opening.open_clinic": "makes the first person: nobody is there yet to do it",
    "patients.search.index.install": "changes the schema, not a row",
    "sessions.calendar.feed.revoke_feed": "takes the feed first, as its callers read",
}


def writers() -> list[Function]:
    """Return the public functions that write or open a transaction themselves."""
    return [one for one in functions().values() if (one.writes or one.atomic) and not one.is_private]


def test_whatever_writes_is_an_action() -> None:
    excused = BY_MACHINES | BY_PATIENTS | PARTS | set(OTHERWISE)
    wrong = []
    for function in writers():
        if function.name in excused:
            continue
        if function.positional:
            wrong.append(f"{function.name} takes positional arguments")
        if not function.by:
            wrong.append(f"{function.name} has no by")
        if not reaches(function.name, "atomic"):
            wrong.append(f"{function.name} opens no transaction")
        if not reaches(function.name, "records"):
            wrong.append(f"{function.name} records no event")
    assert wrong == []


def test_what_a_patient_does_leaves_an_event() -> None:
    assert [name for name in sorted(BY_PATIENTS) if not reaches(name, "records")] == []
    assert [name for name in sorted(BY_PATIENTS) if not reaches(name, "atomic")] == []


def test_part_of_an_action_is_called_inside_one() -> None:
    """Whoever calls a part opens the transaction, or is a part or a helper whose callers do."""
    callers: dict[str, set[str]] = {}
    for function in functions().values():
        for other in function.calls:
            callers.setdefault(other, set()).add(function.name)
    for called, caller in CALLED_BY_NAME.items():
        callers.setdefault(called, set()).add(caller)

    def inside(name: str, seen: frozenset[str]) -> list[str]:
        wrong = []
        for caller in sorted(callers.get(name, ())):
            if caller in seen or functions()[caller].atomic:
                continue
            if not callers.get(caller):
                wrong.append(f"{caller} calls {name} and opens no transaction")
            wrong += inside(caller, seen | {caller})
        return wrong

    assert [line for part in sorted(PARTS) for line in inside(part, frozenset({part}))] == []


def test_no_excuse_is_left_over() -> None:
    """A function that was renamed, moved or mended must leave the tables above."""
    doing = {function.name for function in writers()}
    assert sorted((BY_MACHINES | BY_PATIENTS | PARTS | set(OTHERWISE)) - doing) == []
