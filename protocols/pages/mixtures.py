"""The mixtures of a plan: each line with its volume, its dose, why it is there and what it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from patients.intake.answers import short_label
from protocols.engine.answer import Address, Syringe
from protocols.engine.answer import Line as Drawn
from protocols.formulary.catalogue import Source
from protocols.pages.edits import EditRow, edit_rows
from protocols.pages.reading import Reading
from protocols.words.contributions import adds_words


@dataclass(frozen=True, kw_only=True)
class Served:
    """One concern that an ingredient serves, with its evidence."""

    concern: str
    strength: int
    grade: str
    grade_text: str
    direction: str  # in words
    note: str
    notice: str  # set where the claim rests on the web article alone
    sources: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a mixture, as the page shows it. ``typed`` and ``error`` are of a refused edit."""

    number: str  # as in the drawing: 1, 2 … and S for a diluent
    key: str
    ingredient_id: str
    name: str
    is_diluent: bool
    stock: str
    volume_ml: str
    least_ml: str
    usual_ml: str
    most_ml: str
    dose: str
    dose_unit: str
    final: str
    final_unit: str
    why: str
    main: Served | None
    served: list[Served]
    marginal_value: str | None
    set_by_hand: bool
    prescription_only: bool
    weighed: Mapping[str, Any] | None = None  # what it adds, in words and figures; none in a plan of an older engine
    volume_edit: EditRow | None = None  # how its volume was set by hand
    entry_edit: EditRow | None = None  # how it came in by hand: swapped in or added
    share_percent: str = ""
    sources: tuple[Source, ...] = ()
    typed: str = ""
    error: str = ""

    @property
    def away_from_usual(self) -> bool:
        return self.volume_edit is not None and self.volume_edit.departs


@dataclass(frozen=True, kw_only=True)
class Mixture:
    label: str
    volume_ml: str
    count: int
    parts: list[str]
    """What each of its syringes holds, in mL."""
    ph: tuple[str, str]
    ph_about: str
    """An estimate; empty where the engine that made the plan gave none."""
    osmolality: str
    """An estimate in mOsm/kg; empty where there is none."""
    lines: list[Line]
    hurried: list[str]
    drawing: dict[str, Any]
    flat: bool = False  # too few lines for a standing syringe beside them


def mixtures(reading: Reading, syringes: Sequence[Syringe] | None = None) -> list[Mixture]:
    """Return the plan's mixtures, or those of one session that has its own."""
    found, by_hand = [], edit_rows(reading)
    shown_syringes = reading.result["syringes"] if syringes is None else syringes
    for syringe in shown_syringes:
        lines, number = [], 0
        for raw in syringe["lines"]:
            diluent = raw["role"] == "diluent"
            number += not diluent
            lines.append(_line(reading, raw, syringe, "S" if diluent else str(number), by_hand))
        found.append(
            Mixture(
                label=syringe["label"],
                volume_ml=syringe["volume_ml"],
                count=syringe["drawn_as"]["count"],
                parts=_parts(reading, syringe),
                ph=(syringe["ph_min"], syringe["ph_max"]),
                ph_about=syringe.get("ph_estimate", ""),
                osmolality=(syringe.get("osmolality") or {}).get("estimate") or "",
                lines=lines,
                hurried=[
                    _("%(names)s: draw up last and inject within 15 minutes.")
                    % {"names": reading.names(row["ingredients"])}
                    for row in syringe["use_immediately"]
                ],
                drawing={
                    "label": syringe["label"],
                    "copies": syringe["drawn_as"]["count"],
                    "parts": _parts(reading, syringe),
                    "lines": [
                        {k: v for k, v in raw.items() if k != "dose" or v}
                        | {"name": reading.contents.name(raw["ingredient"])}
                        for raw in syringe["lines"]
                    ],
                },
                flat=len(lines) < 3 and len(shown_syringes) > 1,
            )
        )
    return found


def with_refused(found: Sequence[Mixture], refused: Mapping[str, tuple[str, str]]) -> list[Mixture]:
    """Return the mixtures with what was typed and why it was refused beside the line of each ingredient named."""
    return [
        replace(
            mixture,
            lines=[
                replace(line, typed=refused[line.key][0], error=refused[line.key][1]) if line.key in refused else line
                for line in mixture.lines
            ],
        )
        for mixture in found
    ]


def _parts(reading: Reading, syringe: Syringe) -> list[str]:
    """What can be drawn: earlier engines said equal parts, which need not be whole drawing steps."""
    said: list[str] | None = syringe["drawn_as"].get("parts_ml")
    if said is not None:
        return said
    step, count = reading.contents.formulary.course.step_ml, syringe["drawn_as"]["count"]
    each, more = divmod(int(Decimal(syringe["volume_ml"]) / step), count)
    return [str(step * (each + (place < more))) for place in range(count)]


def _line(reading: Reading, raw: Drawn, syringe: Syringe, number: str, by_hand: Sequence[EditRow]) -> Line:
    diluent = raw["role"] == "diluent"
    served = [_served(reading, raw["ingredient"], row) for row in raw["addresses"]]
    share = Decimal(raw["volume_ml"]) / Decimal(syringe["volume_ml"]) * 100
    return Line(
        number=number,
        key=raw["ingredient"],
        ingredient_id=reading.ids.get(raw["ingredient"], ""),
        name=reading.contents.name(raw["ingredient"]),
        is_diluent=diluent,
        stock=reading.contents.stock_text(raw["ingredient"]),
        volume_ml=f"{Decimal(raw['volume_ml']):.2f}",
        least_ml=raw["volume_min_ml"],
        usual_ml=raw["volume_usual_ml"],
        most_ml=raw["volume_max_ml"],
        dose=raw["dose"],
        dose_unit=raw["dose_unit"],
        final=raw["final_concentration"],
        final_unit=raw["concentration_unit"],
        why=_why(reading, raw),
        main=_main(raw, served),
        served=served,
        marginal_value=raw["marginal_value"],
        set_by_hand=raw["set_by_hand"],
        prescription_only=raw["prescription_only"],
        weighed=reading.weighed.get(raw["ingredient"]),
        volume_edit=_edit_on(by_hand, raw["ingredient"], "set_volume"),
        entry_edit=_edit_on(by_hand, raw["ingredient"], "swap", "add"),
        share_percent=f"{share:.0f}",
        sources=reading.contents.sources(raw["sources"]),
    )


def _why(reading: Reading, raw: Drawn) -> str:
    """Why it is in, and how much it adds; for whom it stands in is named."""
    weighed = reading.weighed.get(raw["ingredient"])
    if weighed is None:
        return str(raw["reason"])
    if weighed["decided_by"] == "stands_in":
        return f"{raw['reason']} {adds_words(weighed)}"
    return str(weighed["text"])


def _edit_on(by_hand: Sequence[EditRow], key: str, *ops: str) -> EditRow | None:
    """The last of these edits that brought this ingredient about."""
    rows = (row for row in reversed(by_hand) if row.edit["op"] in ops)
    return next((row for row in rows if row.edit.get("with", row.edit.get("ingredient")) == key), None)


def would_serve(reading: Reading, key: str) -> tuple[Served, ...]:
    """What an ingredient that is left out would be good for here, by habit and by evidence."""
    present = {row["concern"] for row in reading.result["concerns"]}
    return tuple(
        Served(
            concern=short_label(line.label),
            strength=line.strength,
            grade=line.grade,
            grade_text=line.grade_text,
            direction=line.direction,
            note=line.note,
            notice=line.label_only,
            sources=line.sources,
        )
        for line in reading.contents.concern_lines(key)
        if line.key in present
    )


def _served(reading: Reading, key: str, row: Address) -> Served:
    notes = {line.key: line.note for line in reading.contents.concern_lines(key)}
    return Served(
        concern=short_label(row["label"]),
        strength=row["strength"],
        grade=row["evidence_grade"],
        grade_text=row["grade_label"],
        direction=row["direction_label"],
        note=notes.get(row["concern"], ""),
        notice=row["notice"],
        sources=reading.contents.sources(row["sources"]),
    )


def _main(raw: Drawn, served: list[Served]) -> Served | None:
    """The concern that it is there for: whose first choice it is or stands in for, else the one it serves best."""
    wanted = [*raw["required_by"], *(row["concern"] for row in raw["stands_in_for"])]
    for concern in wanted:
        for row, read in zip(raw["addresses"], served, strict=True):
            if row["concern"] == concern:
                return read
    return max(served, key=lambda row: row.strength, default=None)
