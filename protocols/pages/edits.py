"""Edits by hand: what each does, why it was made, and what a refused one says beside its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from mesoclinic.core.numbers import shown_number
from protocols.engine import canonical_json
from protocols.formulary.catalogue import Catalogue
from protocols.models import Plan
from protocols.models.enums import EditReason
from protocols.pages.reading import Reading, UnfitReason
from protocols.plans.computing import bare_edit, bare_edits
from protocols.plans.queries import departs, is_explained


@dataclass(frozen=True, kw_only=True)
class EditRow:
    """One edit by hand: what it does, and why it was made or that nobody has said so yet.

    ``typed_…`` and ``error_…`` are of a refused reason.
    """

    anchor: str
    edit: Mapping[str, Any]  # without its reason
    words: str
    reason_code: str
    note: str
    why: str  # the coded reason and the note in words; empty where none is recorded
    departs: bool  # leads away from what was proposed, so that it needs a reason
    missing: bool
    place: str  # line | course | list: where its reason is asked
    typed_reason: str = ""
    typed_note: str = ""
    error_reason: str = ""
    error_note: str = ""

    @property
    def shown_reason(self) -> str:
        return self.typed_reason or self.reason_code

    @property
    def shown_note(self) -> str:
        return self.typed_note or self.note


def edits(reading: Reading) -> list[str]:
    """What the practitioner changed, in words."""
    return [edit_in_words(reading, edit) for edit in reading.plan.edits]


def edit_rows(reading: Reading) -> list[EditRow]:
    """The same one by one, with what each needs so that its reason can be given in its place."""
    inside = set(reading.ingredients)
    rows: list[EditRow] = []
    for number, edit in enumerate(reading.plan.edits):
        bare, op = bare_edit(edit), edit["op"]
        key = str(edit.get("with", edit.get("ingredient", "")))
        anchor = "-".join(str(bare[name]) for name in ("op", "ingredient", "with") if name in bare)
        leads_away = departs(reading.plan, edit)
        on_line = op in ("set_volume", "swap", "add") and key in inside
        rows.append(
            EditRow(
                anchor=f"{anchor}-{number}" if anchor in {row.anchor for row in rows} else anchor,
                edit=bare,
                words=edit_in_words(reading, bare),
                reason_code=str(edit.get("reason", "")),
                note=str(edit.get("note", "")),
                why=reason_in_words(edit),
                departs=leads_away,
                missing=leads_away and not is_explained(edit),
                place="course" if op in ("set_sessions", "set_schedule") else "line" if on_line else "list",
            )
        )
    return _with_unfit(rows, reading.unfit) if reading.unfit else rows


def _with_unfit(rows: list[EditRow], unfit: UnfitReason) -> list[EditRow]:
    """Say a refused reason beside the first of these edits that it was meant for."""
    at = next((place for place, row in enumerate(rows) if unfit.is_of(row.edit)), None)
    if at is None:
        return rows
    said = replace(
        rows[at],
        typed_reason=unfit.reason,
        typed_note=unfit.note,
        error_reason=unfit.error if unfit.field == "reason" else "",
        error_note=unfit.error if unfit.field == "note" else "",
    )
    return [*rows[:at], said, *rows[at + 1 :]]


def edit_changes(reading: Reading, before: Plan) -> list[str]:
    """What was done by hand in this version and not in the one before, and what is no longer, each with why."""
    known, mine = bare_edits(before.edits), bare_edits(reading.plan.edits)
    reasons = {canonical_json(bare_edit(edit)): reason_in_words(edit) for edit in before.edits}
    rows = []
    for edit in reading.plan.edits:
        bare = bare_edit(edit)
        if bare not in known or reasons[canonical_json(bare)] != reason_in_words(edit):
            said = reason_in_words(edit) or (_("no reason recorded") if departs(reading.plan, edit) else "")
            what = f"{edit_in_words(reading, bare)} ({said})" if said else edit_in_words(reading, bare)
            rows.append(_("By hand: %(what)s.") % {"what": what})
    rows += [
        _("No longer by hand: %(what)s.") % {"what": edit_in_words(reading, edit)} for edit in known if edit not in mine
    ]
    return rows


def edit_in_words(reading: Reading, edit: Mapping[str, Any]) -> str:
    key = str(edit.get("ingredient", ""))
    name = reading.contents.name(key)
    if edit["op"] == "set_volume":
        text = _("%(name)s set to %(volume)s mL") % {"name": name, "volume": shown_number(edit["volume_ml"])}
    elif edit["op"] == "remove":
        text = _("%(name)s removed") % {"name": name}
    elif edit["op"] == "add":
        text = _("%(name)s added") % {"name": name}
    elif edit["op"] == "swap":
        text = _("%(name)s for %(old)s") % {"name": reading.contents.name(str(edit["with"])), "old": name}
    elif edit["op"] == "set_sessions":
        text = _("%(n)s sessions") % {"n": edit["sessions"]}
    elif edit["op"] == "wait":
        text = _("No injections now")
    else:
        text = _("Schedule: %(name)s") % {"name": edit.get("schedule", "")}
    if why := reason_in_words(edit):
        text += f" ({why})"
    return text


def as_it_is(reading: Reading, edit: Mapping[str, Any]) -> list[str]:
    """What the draft holds now in the place that an edit aimed at, for beside what was wanted."""
    if edit["op"] in ("set_sessions", "set_schedule"):
        course = reading.result["course"]
        return [_("%(n)s sessions") % {"n": course["sessions"]}] if course else [_("There is no course.")]
    volumes = {
        line["ingredient"]: line["volume_ml"] for syringe in reading.result["syringes"] for line in syringe["lines"]
    }
    rows = []
    for key in dict.fromkeys(str(edit[name]) for name in ("ingredient", "with") if edit.get(name)):
        name = reading.contents.name(key)
        if key in volumes:
            rows.append(_("%(name)s: %(volume)s mL") % {"name": name, "volume": volumes[key]})
        else:
            rows.append(_("%(name)s: not in the mixture") % {"name": name})
    return rows or [_("Look at the draft below.")]


def reason_in_words(edit: Mapping[str, Any]) -> str:
    """Why an edit was made: the coded reason and the note. Empty where none is recorded, as in plans from before."""
    code = str(edit.get("reason") or "")
    label = str(dict(EditReason.choices).get(code, code))
    return ": ".join(part for part in (label, str(edit.get("note") or "")) if part)


def refusal_beside(row: Mapping[str, Any], plan: Plan) -> str:
    """Why an edit was refused, with the source of the limit, for beside its field."""
    contents = Catalogue(plan.formulary)
    sources = ", ".join(source.short for source in contents.sources(row["params"].get("sources") or ()))
    return " ".join(
        part for part in (row["message"], _("Source: %(names)s.") % {"names": sources} if sources else "") if part
    )
