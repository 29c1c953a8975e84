"""What the database itself keeps of the formulary and of signed plans, on SQLite and PostgreSQL alike."""

from typing import Any

from django.db import connections

from mesoclinic.core.guards import Guard, drop, frozen, register

_UNSIGNED = "('draft', 'discarded')"
PLAN_SIGNED = frozen(
    name="plan_signed_frozen",
    table="protocols_plan",
    when="{row}.status NOT IN " + _UNSIGNED,
    columns=(
        "public_id",
        "patient_id",
        "intake_id",
        "formulary_id",
        "number",
        "version",
        "supersedes_id",
        "kind",
        "language",
        "case",
        "policy",
        "engine_version",
        "proposal",
        "edits",
        "result",
        "revision",
        "created_at",
        "created_by_id",
        "responsible_id",
        "signed_at",
        "signed_by_id",
        "signature_sha256",
    ),
    unique=("id", "public_id"),
)
# A formulary that was published can be retired, nothing else.
FORMULARY_PUBLISHED = frozen(
    name="formulary_published_frozen",
    table="protocols_formularyversion",
    when="{row}.status <> 'draft'",
    columns=(
        "public_id",
        "label",
        "documents",
        "sha256",
        "is_sample",
        "created_at",
        "published_at",
        "published_by_id",
    ),
    unique=("id", "public_id", "label"),
)
# What was acknowledged or answered stays as it was; it can only be superseded.
ACKNOWLEDGED = frozen(
    name="acknowledgement_kept",
    table="protocols_acknowledgement",
    when=None,
    columns=("plan_id", "rule", "reason_code", "note", "by_id", "at"),
)
ANSWERED = frozen(
    name="open_answer_kept",
    table="protocols_openanswer",
    when=None,
    columns=("plan_id", "fact", "kind", "value", "reason", "by_id", "at"),
)

# Why a plan was stopped is said once.
STOPPED = frozen(
    name="plan_stop_kept",
    table="protocols_planstop",
    when=None,
    columns=("plan_id", "reason_code", "note", "by_id", "at"),
)


def parts_of_frozen(*, name: str, table: str, parent_table: str, parent_column: str, parent_frozen: str) -> Guard:
    """No row of ``table`` can be added to, changed under or taken from a parent for which ``parent_frozen`` holds.

    ``parent_frozen`` is SQL over the parent ``p``. PostgreSQL allows no query in WHEN: it stands in the body.
    """

    def held(row: str) -> str:
        # Names of ours only, no input.
        parent = f'"{parent_table}" p WHERE p.id = {row}."{parent_column}" AND {parent_frozen}'
        return f"EXISTS (SELECT 1 FROM {parent})"  # noqa: S608

    abort = f"BEGIN SELECT RAISE(ABORT, '{name}'); END"
    replaced = f'EXISTS (SELECT 1 FROM "{table}" old WHERE old.id = NEW.id AND {held("old")})'  # noqa: S608
    sqlite = (
        f'CREATE TRIGGER IF NOT EXISTS {name}_i BEFORE INSERT ON "{table}" WHEN {held("NEW")} OR {replaced} {abort}',
        f'CREATE TRIGGER IF NOT EXISTS {name}_u BEFORE UPDATE ON "{table}" WHEN {held("OLD")} OR {held("NEW")} {abort}',
        f'CREATE TRIGGER IF NOT EXISTS {name}_d BEFORE DELETE ON "{table}" WHEN {held("OLD")} {abort}',
    )
    refuse = f"RAISE EXCEPTION '{name}' USING ERRCODE = 'integrity_constraint_violation'"
    postgresql = (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'TRUNCATE' THEN {refuse}; END IF; "
        f"IF TG_OP <> 'INSERT' THEN IF {held('OLD')} THEN {refuse}; END IF; END IF; "
        f"IF TG_OP <> 'DELETE' THEN IF {held('NEW')} THEN {refuse}; END IF; END IF; "
        "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$",
        f'DROP TRIGGER IF EXISTS {name}_w ON "{table}"',
        f'CREATE TRIGGER {name}_w BEFORE INSERT OR UPDATE OR DELETE ON "{table}" '
        f"FOR EACH ROW EXECUTE FUNCTION {name}()",
        f'DROP TRIGGER IF EXISTS {name}_t ON "{table}"',
        f'CREATE TRIGGER {name}_t BEFORE TRUNCATE ON "{table}" FOR EACH STATEMENT EXECUTE FUNCTION {name}()',
    )
    return Guard(
        name=name,
        table=table,
        sqlite=sqlite,
        postgresql=postgresql,
        sqlite_triggers=(f"{name}_i", f"{name}_u", f"{name}_d"),
        postgresql_objects=(f"{name}_w", f"{name}_t"),
    )


# Switches and confirmations belong to what the director published.
ENTRIES_PUBLISHED = parts_of_frozen(
    name="formulary_entry_frozen",
    table="protocols_formularyentry",
    parent_table="protocols_formularyversion",
    parent_column="version_id",
    parent_frozen="p.status <> 'draft'",
)
# Acknowledgements and answers are part of what was signed.
ACKNOWLEDGEMENTS_SIGNED = parts_of_frozen(
    name="signed_acknowledgement_frozen",
    table="protocols_acknowledgement",
    parent_table="protocols_plan",
    parent_column="plan_id",
    parent_frozen="p.status NOT IN " + _UNSIGNED,
)
ANSWERS_SIGNED = parts_of_frozen(
    name="signed_open_answer_frozen",
    table="protocols_openanswer",
    parent_table="protocols_plan",
    parent_column="plan_id",
    parent_frozen="p.status NOT IN " + _UNSIGNED,
)
OURS = (
    PLAN_SIGNED,
    FORMULARY_PUBLISHED,
    ACKNOWLEDGED,
    ANSWERED,
    STOPPED,
    ENTRIES_PUBLISHED,
    ACKNOWLEDGEMENTS_SIGNED,
    ANSWERS_SIGNED,
)
register(*OURS)


def step_aside_before_migrate(*, using: str, plan: list[tuple[Any, bool]] | None = None, **kwargs: Any) -> None:
    """Before a migration of these tables the guards leave; they are put back after it.

    SQLite cannot rebuild a table that another table's trigger names, and PostgreSQL alters no column that one names.
    """
    if not any(migration.app_label == "protocols" for migration, _backwards in plan or ()):
        return
    drop(connections[using], *OURS)
