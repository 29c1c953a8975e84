"""Statements: what was said in words that no fact holds, and what somebody who signs plans settles it as.

An open statement stops a signature and a session. Settling it as a value makes a fact, which every case holds from
then on; “none of these” says with a reason that it means nothing for a treatment. The words never change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.core.asking import asks
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from patients.intake.answers import intake_vocabulary
from patients.intake.settled import SettledFact, is_settling, settled_facts
from patients.models import (
    NoneOfThese,
    Patient,
    PatientStatus,
    Settlement,
    SettlementOutcome,
    Statement,
    StatementKind,
    StatementSource,
)
from patients.search.keys import fold
from patients.vocabulary import load_vocabulary

__all__ = [
    "SettledFact",
    "Words",
    "can_settle",
    "check_can_settle",
    "facts_of",
    "is_known_answer",
    "open_at",
    "open_statements",
    "open_statements_of",
    "person_of",
    "record_statements",

    "settle_statement",
    "settled_facts",
    "statements_of",
    "statements_visible_to",
]  # fmt: skip

NOTE_LENGTH = 300
MEANINGS_AT_MOST = 12
_DATED = re.compile(r"^\d{4}-\d{2}-\d{2}: ")  # how a day check joins its words to an older note


@dataclass(frozen=True, kw_only=True)
class Words:
    """Something that was said: ``kind`` of StatementKind, ``about`` the answer it belongs to (“fact:value”)."""

    kind: str
    text: str
    about: str = ""
    is_unknown: bool = False


# ------------------------------------------------------------------ which there are


def statements_visible_to(user: User) -> QuerySet[Statement]:
    """Those of the person's own sites, also under a record that was merged into one of theirs."""
    theirs = Q(patient__site__in=user.site_ids) | Q(patient__merged_into__site__in=user.site_ids)
    rows = Statement.objects.filter(theirs).select_related("patient__site", "patient__merged_into__site")
    return _with_settlements(rows)


def facts_of(statements: Iterable[Statement]) -> tuple[SettledFact, ...]:
    """Return what these statements were settled as, from their settlements as they were fetched."""
    return tuple(
        SettledFact(fact=entry["fact"], value=entry["value"], statement=row, settlement=row.settlement)
        for row in statements
        if row.settlement is not None
        for entry in row.facts
    )


def statements_of(patient: Patient) -> list[Statement]:
    """Return everything the person said in words, under every record, the oldest first; in two queries."""
    root = patient.merged_into_id or patient.pk
    return list(_with_settlements(Statement.objects.filter(Q(patient=root) | Q(patient__merged_into=root))))


def open_statements(patient: Patient) -> list[Statement]:
    """Return what the person said that nobody has settled, under every record, the oldest first."""
    root = patient.merged_into_id or patient.pk
    rows = only_open(Statement.objects.filter(Q(patient=root) | Q(patient__merged_into=root)))
    return list(rows.select_related("said_by", "patient").order_by("said_at", "pk"))


def open_statements_of(patients: Collection[Patient]) -> dict[int, list[Statement]]:
    """Return the open statements by the primary key of each of ``patients`` that has any; in one query."""
    roots = {patient.merged_into_id or patient.pk: patient.pk for patient in patients}
    rows = only_open(Statement.objects.filter(Q(patient__in=roots) | Q(patient__merged_into__in=roots)))
    found: dict[int, list[Statement]] = {}
    for row in rows.select_related("said_by", "patient").order_by("said_at", "pk"):
        found.setdefault(roots[row.patient.merged_into_id or row.patient_id], []).append(row)
    return found


def open_at(site: Site) -> QuerySet[Statement]:
    """The open statements of the patients of a site, the longest waiting first."""
    here = Q(patient__site=site, patient__merged_into__isnull=True) | Q(patient__merged_into__site=site)
    rows = only_open(Statement.objects.filter(here).exclude(patient__status=PatientStatus.DECEASED))
    return rows.select_related("patient__merged_into").order_by("said_at", "pk")


def only_open(statements: QuerySet[Statement]) -> QuerySet[Statement]:
    """Narrow to those without a settlement that stands."""
    newest = Settlement.objects.filter(statement=OuterRef("pk")).order_by("-number").values("outcome")[:1]
    return statements.alias(newest_outcome=Subquery(newest)).filter(
        Q(newest_outcome__isnull=True) | Q(newest_outcome=SettlementOutcome.REOPENED)
    )


def _with_settlements(rows: QuerySet[Statement]) -> QuerySet[Statement]:
    return rows.select_related("said_by", "patient__merged_into").prefetch_related("settlements__settled_by")


# ------------------------------------------------------------------ saying


@transaction.atomic
def record_statements(
    *, patient: Patient, said: Iterable[Any], source: str, source_id: UUID, at: datetime, by: User | None
) -> list[Statement]:
    """Keep what was said in words, each once; return those that are new. ``by`` is None for the patient by link.

    Each of ``said`` has ``kind`` and ``text`` (``Words``, or what ``said.py`` reads). The same words again are the
    same statement with its settlement, under whichever record of the person; save what an event told: an illness
    or a note of a day that meant nothing then may mean something now.
    """
    known = {row.fingerprint: row for row in statements_of(patient)}
    made = []
    for row in said:
        text = " ".join(row.text.split())
        if not text:
            continue
        about, is_unknown = getattr(row, "about", ""), getattr(row, "is_unknown", False)
        fingerprint = fingerprint_of(row.kind, text, about=about)
        before = known.get(fingerprint)
        if before is not None and not _is_said_anew(before, source=source, source_id=source_id):
            continue
        statement = Statement.objects.create(
            patient=patient,
            kind=row.kind,
            text=text,
            about=about,
            is_unknown=is_unknown,
            fingerprint=fingerprint,
            source=source,
            source_id=source_id,
            said_at=at,
            said_by=by,
        )
        known[fingerprint] = statement
        made.append(statement)
    for statement in made:
        trail.record(
            "statement.recorded",
            by=by,
            target=statement,
            patient=patient,
            details={"kind": str(statement.kind), "source": str(source), "source_id": str(source_id)},
        )
    return made


def _is_said_anew(before: Statement, *, source: str, source_id: UUID) -> bool:
    """Whether the same words are another event than those that were settled before."""
    if before.is_open or before.source_id == source_id:
        return False
    if source == StatementSource.INTAKE:
        return False
    if before.is_unknown:
        return True
    return before.outcome != SettlementOutcome.FACT and before.kind in (StatementKind.ILLNESS, StatementKind.NOTE)


def fingerprint_of(kind: str, text: str, *, about: str = "") -> str:
    """Return what the same words have in common: case, accents, signs and the day they were joined on aside.

    An illness that a day check adds stands in the note of the intake that it makes: the two are one.
    """
    bare = fold(_DATED.sub("", text)) or text
    kind = StatementKind.NOTE if kind == StatementKind.ILLNESS else kind
    return hashlib.sha256(f"{kind}\n{about}\n{bare}".encode()).hexdigest()


# ------------------------------------------------------------------ settling


def check_can_settle(patient: Patient, *, by: User) -> None:
    if not by.may(Permission.PLAN_SIGN):
        raise NotAllowed(_("Only somebody who signs plans settles what was said."))
    if not {patient.site_id, person_of(patient).site_id} & by.site_ids:
        raise NotAllowed(_("This patient belongs to a site that is not yours."))


def person_of(patient: Patient) -> Patient:
    """The record that remains of the person: where theirs was merged, the other one."""
    return patient.merged_into or patient


can_settle = asks(check_can_settle)


@transaction.atomic
def settle_statement(
    *,
    statement: Statement,
    outcome: str,
    facts: Sequence[Mapping[str, Any]] = (),
    reason: str = "",
    note: str = "",
    by: User,
) -> Settlement:
    """Say what the words mean: ``facts`` ([{fact, value}]), or none of these with a coded ``reason``.

    A statement that is settled already is corrected by a new settlement beside the old one, and ``note`` says why;
    so is one that has to be opened again. Raise InvalidInput for what cannot be stored.
    """
    locked = Statement.objects.select_for_update().select_related("patient").get(pk=statement.pk)
    Patient.objects.select_for_update().get(pk=locked.patient_id)  # a signature waits for it, and sees it
    check_can_settle(locked.patient, by=by)
    before = locked.settlement
    note = " ".join(note.split())
    meant = _checked_meaning(outcome, facts, reason=reason, note=note)
    if before is None and outcome == SettlementOutcome.REOPENED:
        raise InvalidTransition(_("This is open: nobody has settled it yet."))
    if before is not None and not note:
        raise InvalidInput(
            _("%(person)s settled this on %(day)s. Write why it is settled otherwise.")
            % {"person": before.settled_by.name, "day": timezone.localtime(before.settled_at).date().isoformat()},
            field="note",
        )
    try:
        with transaction.atomic():
            settlement = Settlement.objects.create(
                statement=locked,
                number=before.number + 1 if before else 1,
                outcome=outcome,
                facts=meant,
                reason=reason if outcome == SettlementOutcome.NONE_OF_THESE else "",
                note=note,
                settled_at=timezone.now(),
                settled_by=by,
            )
    except IntegrityError:
        raise InvalidTransition(_("Somebody else settled this in the same moment.")) from None
    trail.record(
        "statement.settled",
        by=by,
        target=locked,
        patient=locked.patient,
        details={"outcome": str(outcome), "number": settlement.number, "facts": [row["fact"] for row in meant]},
    )
    statement.__dict__.pop("settlement", None)  # read anew
    statement.__dict__.pop("_prefetched_objects_cache", None)
    return settlement


def _checked_meaning(
    outcome: str, facts: Sequence[Mapping[str, Any]], *, reason: str, note: str
) -> list[dict[str, Any]]:
    """Return the facts in one spelling; raise InvalidInput where outcome, facts, reason and note do not fit."""
    if outcome not in SettlementOutcome.values:
        raise InvalidInput(_("Choose what it means, or “None of these”."), field="outcome")
    if len(note) > NOTE_LENGTH or not note.isprintable():
        raise InvalidInput(_("Shorten this to %(length)d characters.") % {"length": NOTE_LENGTH}, field="note")
    if outcome == SettlementOutcome.NONE_OF_THESE:
        if reason not in NoneOfThese.values:
            raise InvalidInput(_("Choose the reason why it means none of these."), field="reason")
        if reason == NoneOfThese.OTHER and not note:
            raise InvalidInput(_("Write the reason in a few words."), field="note")
    if outcome != SettlementOutcome.FACT:
        if facts:
            raise InvalidInput(_("A meaning is chosen, and “None of these” too. Keep one."), field="facts")
        return []
    if not facts:
        raise InvalidInput(_("Choose at least one thing that it means."), field="facts")
    if len(facts) > MEANINGS_AT_MOST:
        raise InvalidInput(
            _("Choose at most %(number)d things that it means.") % {"number": MEANINGS_AT_MOST}, field="facts"
        )
    clean: list[dict[str, Any]] = []
    for row in facts:
        entry = {"fact": str(row.get("fact", "")), "value": meant_value(str(row.get("fact", "")), row.get("value"))}
        if entry["value"] is None:
            raise InvalidInput(
                _("“%(value)s” is no answer that words can mean.")
                % {"value": f"{row.get('fact', '')}: {row.get('value', '')}"[:80]},
                field="facts",
            )
        if entry not in clean:
            clean.append(entry)
    single = [row["fact"] for row in clean if load_vocabulary().facts[row["fact"]].type != "list"]
    if len(single) != len(set(single)):
        raise InvalidInput(_("Two different answers to one question are chosen. Keep one."), field="facts")
    return clean


def meant_value(key: str, value: Any) -> Any:
    """Return the value of a fact as it is stored; None where words cannot be settled as it."""
    fact = load_vocabulary().facts.get(key)
    if fact is None or not is_settling(fact):
        return None
    if fact.type == "boolean":
        return {"true": True, "yes": True, "false": False, "no": False}.get(str(value).lower())
    if fact.values_from:
        fact = intake_vocabulary().facts[key]
    return value if value in [choice.key for choice in fact.values] else None


def is_known_answer(key: str, value: Any) -> bool:
    return meant_value(key, value) is not None
