"""What a print for the record says: answers, rules, edits and who made them, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from mesoclinic.audit.queries import events_matching
from mesoclinic.ui.templatetags.ui import quantity
from protocols.formulary.words import GRADE_NAMES, SEVERITY_NAMES
from protocols.models import Plan
from protocols.pages.alternatives import alternatives
from protocols.pages.answers import answers
from protocols.pages.edits import edit_in_words, reason_in_words
from protocols.pages.findings import findings, referrals
from protocols.pages.left_out import left_out
from protocols.pages.reading import Reading
from protocols.plans.computing import bare_edit
from protocols.plans.queries import departs, live_open_answers
from protocols.prints.shared import Data, cost_rows, day_of, local

TIERS: tuple[tuple[str, Literal["blocks", "cautions", "infos"]], ...] = (
    ("absolute", "blocks"),
    ("caution", "cautions"),
    ("info", "infos"),
)


def for_record(reading: Reading) -> Data:
    """Everything that a print for the record says besides what every print of the plan does."""
    plan, result = reading.plan, reading.result  # in the language of the print, like every other sentence on it
    screening, alone = _screening(reading)
    return {
        "intake_on": day_of(plan.intake.submitted_at.astimezone(plan.patient.site.tz))
        if plan.intake.submitted_at
        else "",
        "facts": [
            {"label": section["label"], "rows": [{"question": q, "answer": a} for q, a in section["rows"]]}
            for section in answers(reading)
        ],
        "grades": [{"letter": letter, "words": str(words)} for letter, words in GRADE_NAMES.items()],
        "screening": screening,
        "answered_by": alone,
        "open": _open_rows(reading),
        "left_out": _left_out(reading),
        "left_out_count": len(result["left_out"]),
        "edits": _edits(reading),
        "alternatives": [
            {"title": row.title, "value": row.value, "trades": "; ".join(row.trades)} for row in alternatives(reading)
        ],
        "value": result["value"],
        "cost_lines": cost_rows(reading),
        "engine_version": plan.engine_version,
        "signature": plan.signature_sha256,
        "gap": result["course"]["ideal_gap_days"] if result["course"] else "",
        "replaces": plan.supersedes.display_number if plan.supersedes else "",
    }


def _screening(reading: Reading) -> tuple[list[Data], str]:
    """Return what the rules said, the gravest first, and who acknowledged all of it, where that was one on one day."""
    acknowledged = {row.acknowledged for row in findings(reading, "cautions") if row.acknowledged}
    answered_by = {f"{given.by.name}, {day_of(local(reading.plan, given.at))}" for given in acknowledged}
    alone = answered_by.pop() if len(answered_by) == 1 else ""  # said once for all, rather than in every row
    screening = [
        {
            "tier": tier,
            "word": str(SEVERITY_NAMES[tier]),
            "rule": row.rule,
            "message": row.message,
            "because": row.because,
            "answered": _acknowledged(row, reading.plan, name=not alone) if tier == "caution" else "",
        }
        for tier, kind in TIERS
        for row in findings(reading, kind)
    ]
    for row in referrals(reading):
        screening.append(
            {
                "tier": "referral",
                "word": pgettext("tier", "Referral"),
                "rule": row["rule"],
                "message": f"{row['to_label']}, {row['urgency_label']}",
                "because": "",
                "answered": "",
            }
        )
    return screening + _excluded(reading), alone


def _excluded(reading: Reading) -> list[Data]:
    """Return the rules that rule ingredients out, each once with the names of all that it does."""
    excluded: dict[str, Data] = {}
    for row in reading.result["excluded_by_rule"]:
        entry = excluded.setdefault(
            row["rule"],
            {
                "tier": "exclude",
                "word": str(SEVERITY_NAMES["exclude"]),
                "rule": row["rule"],
                "message": row["message"],
                "because": "; ".join(row["because_text"]),
                "answered": _("applied"),
            },
        )
        entry.setdefault("names", []).append(reading.contents.name(row["ingredient"]))
    return list(excluded.values())


def _open_rows(reading: Reading) -> list[Data]:
    """The questions left open, those with one answer, reason and name together in a row."""
    given = live_open_answers(reading.plan)
    rows: dict[tuple[str, str, str], list[str]] = {}
    for row in reading.result["open_questions"]:
        if not row["waived"]:
            continue
        how = _("not measured") if row["waived"]["as"] == "not_measured" else _("not applicable")
        name = given[row["fact"]].by.name if row["fact"] in given else ""
        rows.setdefault((how, row["waived"]["reason"], name), []).append(row["label"])
    return [
        {"label": "; ".join(labels), "how": how, "reason": reason, "by": name}
        for (how, reason, name), labels in rows.items()
    ]


def _left_out(reading: Reading) -> list[Data]:
    """Each ingredient once; those with the same reason, word for word, together."""
    rows: dict[str, list[str]] = {}
    for row in left_out(reading):
        rows.setdefault(row.reason, []).append(row.name)
    return [{"name": ", ".join(names), "reason": reason} for reason, names in rows.items()]


def _edits(reading: Reading) -> list[Data]:
    """What was changed by hand: what the engine proposed, what it is now, why, and by whom."""
    plan = reading.plan
    before, after = _amounts(plan.proposal), _amounts(reading.answer)
    none, rows = _("not in the mixture"), []
    for edit in plan.edits:
        keys = [str(edit[name]) for name in ("ingredient", "with") if edit.get(name)]
        if edit["op"] == "wait":
            was, now = _("a mixture and a course"), _("no injections")
        elif plan.waits:
            was = now = "–"  # of the mixture that is not injected
        elif edit["op"] in ("set_sessions", "set_schedule"):
            was, now = (
                ngettext("%(n)s session", "%(n)s sessions", n) % {"n": n}
                for n in (plan.proposal["course"]["sessions"], reading.course["sessions"])
            )
        else:
            named = len(keys) > 1
            was, now = (
                "; ".join((f"{reading.contents.name(key)}: " if named else "") + amounts.get(key, none) for key in keys)
                for amounts in (before, after)
            )
        rows.append(
            {
                "what": edit_in_words(reading, bare_edit(edit)),
                "was": was,
                "now": now,
                "why": reason_in_words(edit) or (_("no reason recorded") if departs(plan, edit) else "–"),
                "by": _editor(plan, edit),
            }
        )
    return rows


def _amounts(answer: Mapping[str, Any]) -> dict[str, str]:
    """Volume and dose of each ingredient of an answer of the engine, in words."""
    rows: dict[str, list[str]] = {}
    for syringe in answer["syringes"]:
        for line in syringe["lines"]:
            dose = "" if line["role"] == "diluent" else f" ({quantity(line['dose'], line['dose_unit'])})"
            rows.setdefault(line["ingredient"], []).append(f"{line['volume_ml']} mL{dose}")
    return {key: " + ".join(parts) for key, parts in rows.items()}


def _editor(plan: Plan, edit: Data) -> str:
    """Who made an edit, as the trail tells; one taken over by an amendment was made in the version before."""
    named = " ".join(str(edit[key]) for key in ("op", "ingredient") if key in edit)
    version: Plan | None = plan
    while version is not None:
        for event in events_matching(action="plan.edited", target=version.public_id):
            if named in event.details.get("edits", ()):
                return event.actor_label
        version = version.supersedes
    return (plan.signed_by or plan.responsible).name


def _acknowledged(row: Any, plan: Plan, *, name: bool) -> str:
    if row.acknowledged is None:
        return _("not acknowledged yet")
    given = row.acknowledged
    note = f" {_('“%(note)s”') % {'note': given.note}}" if given.note else ""
    return f"{row.reason}.{note}" + (f" {given.by.name}, {day_of(local(plan, given.at))}" if name else "")
