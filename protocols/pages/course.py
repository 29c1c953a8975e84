"""The course of a plan: limits, schedules, cost, what waiting means, and what a patient can expect."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _

from patients.intake.answers import short_label
from protocols.formulary.words import cost_line_words
from protocols.pages.reading import Reading
from protocols.plans.computing import formulary_of
from protocols.words import answers as wording


def review_weeks(reading: Reading) -> int:
    """In how many weeks somebody who waits is looked at again; 0 in a plan that holds a mixture."""
    waiting = reading.result.get("waiting")
    return int(waiting["days"]) // 7 if waiting else 0


def waits_because(reading: Reading) -> list[str]:
    """What speaks for waiting, as the engine's own proposal has it; nothing where it was chosen all the same."""
    rows = wording.waiting_reasons(reading.plan.proposal, formulary_of(reading.plan))
    return rows or [_("The practitioner and the patient chose it.")]


def waiting_advice(reading: Reading) -> list[str]:
    """What a patient who waits is told: of the plan's own concerns, then in general."""
    mine = {row["concern"] for row in reading.result["concerns"]}
    entries = [entry for entry in reading.contents.documents["concerns"]["concerns"] if entry["key"] in mine]
    said = [entry["settles_by_itself"]["advice"] for entry in entries if entry.get("settles_by_itself")]
    general = (reading.contents.documents["course"].get("waiting") or {}).get("advice")
    if not general:  # a formulary from before waiting was an alternative
        general = [_("No injections for now. We look at your hair and scalp together again on the date below.")]
    return [*said, *general]


def expectations(reading: Reading) -> list[str]:
    """What the patient can expect: of the sentences, those for everybody and those for the plan's own concerns."""
    mine = {row["concern"] for row in reading.result["concerns"]}
    rows = reading.contents.documents["course"]["patient_expectation_text"]
    return [
        row if isinstance(row, str) else row["text"]
        for row in rows
        if isinstance(row, str) or mine & set(row["concerns"])
    ]


def value_cost(reading: Reading) -> str:
    """What the edits by hand cost in value; empty without edits."""
    if not reading.plan.edits or reading.result["value_cost"] is None:
        return ""
    cost = Decimal(reading.result["value_cost"])
    if cost > 0:
        return _("%(cost)s less than proposed") % {"cost": formats.number_format(cost)}
    if cost < 0:
        return _("%(gain)s more than proposed, first choices given up") % {"gain": formats.number_format(-cost)}
    return _("as proposed")


def cost_lines(reading: Reading) -> list[tuple[str, str, bool]]:
    """(words, figure, is a factor) of the estimate, in the order in which it is made up."""
    cost = reading.result["cost"]
    if not cost:
        return []
    return [
        (cost_line_words(line), line["multiplier"] or line["amount"], line["multiplier"] is not None)
        for line in cost["lines"]
        if line["item"] != "ingredients" or line["key"] == "1"
    ]


def in_brief(answer: Mapping[str, Any]) -> dict[str, Any]:
    """One side of a comparison: what would be in the mixture, and the figures people look at first."""
    return {
        "status": answer["status"],
        "summary": answer["summary"],
        "lines": [
            (short_label(line["label"]), line["volume_ml"], line["role"] == "diluent")
            for syringe in answer["syringes"]
            for line in syringe["lines"]
        ],
        "blocks": [row["message"] for row in answer["blocks"]],
        "value": answer["value"],
        "volume": answer["total_volume_ml"],
        "sessions": (answer["course"] or {}).get("sessions"),
        "cost": answer["cost"],
        "cautions": len(answer["cautions"]),
    }


def limits(reading: Reading) -> dict[str, Any]:
    """The most that the formulary and the clinic's policy allow, for beside what the plan holds."""
    rules, policy = reading.contents.formulary.composition, reading.plan.policy
    course = reading.contents.formulary.course
    return {
        "actives": policy.get("max_actives", rules.max_actives),
        "syringes": policy.get("max_syringes", rules.max_syringes),
        "point_min": str(course.point_min_ml),
        "point_max": str(course.point_max_ml),
        "diluent_percent": f"{rules.max_diluent_share * 100:.0f}",
        "step": str(course.step_ml),
    }


def schedules(reading: Reading) -> list[str]:
    band = reading.contents.formulary.course.bands.get(reading.result["severity"])
    return [name for name, _days in band.schedules] if band else []
