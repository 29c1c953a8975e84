"""The strip over every page of a patient: who it is, allergies, alerts, standing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from patients.intake.answers import UNKNOWN, intake_vocabulary, settled_over, short_label
from patients.intake.settled import SettledFact
from patients.models import Intake, Patient, PatientStatus, Statement
from patients.queries import latest_submitted_intake
from patients.statements.statements import facts_of, statements_of
from patients.texts import spoken_vocabulary

SAID_LENGTH = 120  # of the words in a chip


@dataclass(frozen=True, kw_only=True)
class Chip:
    kind: str  # ok | warn | danger | info | ""
    text: str
    asks: bool = False  # says that something was not asked


@dataclass(frozen=True, kw_only=True)
class Strip:
    public_id: UUID
    name: str
    initials: str
    birth_date: date
    age: int
    sex: str
    number: str
    status: str  # "" while the person is in the clinic's care
    chips: tuple[Chip, ...]
    merged_into: Patient | None = None
    merged_records: tuple[Patient, ...] = ()
    said: tuple[Statement, ...] = ()  # in words, not settled
    has_said: bool = False  # anything in words, settled or not
    standing: Any = None  # whether the person may be treated, as the reader may see it; see settings.STANDING_BAND


def patient_strip(patient: Patient, *, user: User | None = None) -> Strip:
    """Return who it is, and what must not be missed. Age is that of today where the patient is treated.

    What was said in words counts as what it was settled as; what nobody settled stands there as it was said.
    Every page gives its reader as ``user``: what stands against a treatment is part of it then.
    """
    intake = latest_submitted_intake(patient)
    merged = tuple(patient.merged_records.order_by("number")) if patient.holds_merged_records else ()
    statements = statements_of(patient)
    settled = facts_of(statements)
    chips = open_chips(statements) + allergy_chips(intake, settled=settled) + alert_chips(intake, settled=settled)
    for record in merged:
        chips += _chips_of_merged(record, seen={chip.text for chip in chips})
    return Strip(
        public_id=patient.public_id,
        name=patient.name,
        initials=patient.initials,
        birth_date=patient.birth_date,
        age=patient.age_on(timezone.localdate(timezone=patient.site.tz)),
        sex=patient.get_sex_at_birth_display(),
        number=patient.display_number,
        status="" if patient.status == PatientStatus.ACTIVE else patient.get_status_display(),
        chips=tuple(chips),
        merged_into=patient.merged_into,
        merged_records=merged,
        said=tuple(row for row in statements if row.is_open),
        has_said=bool(statements),
        standing=import_string(settings.STANDING_BAND)(patient, user=user) if user is not None else None,
    )


def _chips_of_merged(record: Patient, *, seen: set[str]) -> list[Chip]:
    """What the other record of the person warns of. What it does not know or denies says nothing about this one."""
    intake = latest_submitted_intake(record)
    if intake is None:
        return []
    return [
        Chip(kind=chip.kind, text=f"{chip.text} ({record.display_number})")
        for chip in allergy_chips(intake) + alert_chips(intake)
        if chip.kind != "ok" and not chip.asks and chip.text not in seen
    ]


def open_chips(statements: Iterable[Statement]) -> list[Chip]:
    """What was said and nobody has settled, in one chip; none where everything is settled."""
    said = "; ".join(f"“{row.words}”" for row in statements if row.is_open)
    if not said:
        return []
    said = said if len(said) <= SAID_LENGTH else f"{said[: SAID_LENGTH - 1]}…"
    return [Chip(kind="danger", text=_("Not settled: %(words)s") % {"words": said})]


def _chip_facts(intake: Intake | None, settled: Sequence[SettledFact]) -> dict[str, Any]:
    """The answers with what words were settled as, also where the list itself was never answered."""
    facts = settled_over(intake, intake.facts, settled=settled) if intake else {}
    beside: dict[str, Any] = {}
    for row in settled:
        if not isinstance(facts.get(row.fact), list) and isinstance(row.value, str):
            beside.setdefault(row.fact, []).append(row.value)
    return facts | {f"also {key}": values for key, values in beside.items()}


def allergy_chips(intake: Intake | None, *, settled: Sequence[SettledFact] = ()) -> list[Chip]:
    """“None” only where the question was answered so; silence is shown as silence."""
    facts = _chip_facts(intake, settled)
    chips = []
    history = facts.get("anaphylaxis_history")
    if isinstance(history, str) and history != "none":
        known = _("cause unknown") if history == "unknown_cause" else _("cause known")
        chips.append(Chip(kind="danger", text=_("Life-threatening reaction, %(known)s") % {"known": known}))
    allergies, ingredients = facts.get("allergies"), facts.get("allergy_ingredients")
    named = []
    if ticked := _listed(facts, "allergies"):
        fact = spoken_vocabulary().facts["allergies"]
        named += [short_label(fact.label_of(key)) for key in ticked]
    if reacted := _listed(facts, "allergy_ingredients"):
        fact = intake_vocabulary(also=reacted).facts["allergy_ingredients"]
        named += [fact.label_of(key) for key in reacted]
    if named:
        chips.append(Chip(kind="danger", text=_("Allergies: %(names)s") % {"names": ", ".join(named)}))
    other = intake.other_allergies if intake else ""
    if other:
        text = other if len(other) <= 80 else f"{other[:79]}…"
        chips.append(Chip(kind="danger", text=_("In words: %(text)s") % {"text": " ".join(text.split())}))
    if allergies is None:
        chips.append(Chip(kind="warn", text=_("Allergies not asked"), asks=True))
    elif allergies == UNKNOWN:
        chips.append(Chip(kind="warn", text=_("Allergies: not known"), asks=True))
    elif not named and not other:
        chips.append(Chip(kind="ok", text=_("Allergies: none")))
    if intake is not None and ingredients is None:
        chips.append(Chip(kind="warn", text=_("Reactions to ingredients not asked"), asks=True))
    return chips


def _listed(facts: dict[str, Any], key: str) -> list[str]:
    """The values of a list: those answered, or those that words were settled as where nobody answered it."""
    answered = facts.get(key)
    return answered if isinstance(answered, list) else facts.get(f"also {key}", [])


def alert_chips(intake: Intake | None, *, settled: Sequence[SettledFact] = ()) -> list[Chip]:
    """What a glance must tell besides allergies; what it means for a plan is the formulary's to say."""
    if intake is None:
        return [Chip(kind="", text=_("No intake yet"))]
    facts, vocabulary = _chip_facts(intake, settled), spoken_vocabulary()
    raised = []
    for key, fact in vocabulary.facts.items():
        value = _listed(facts, key) if fact.type == "list" else facts.get(key)
        if alert := fact.alert_for(value):
            told = [fact.label_of(str(one)) for one in (value if isinstance(value, list) else [value])]
            told = [short_label(label) for label in told] if fact.type == "list" else told
            raised.append((alert, alert.text % {"names": ", ".join(told)}))
    raised.sort(key=lambda row: row[0].order)
    return [Chip(kind="" if alert.kind == "plain" else alert.kind, text=text) for alert, text in raised]
