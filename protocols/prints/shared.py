"""What the prints of a plan write in the same way: days, instants, lines of the estimate."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mesoclinic.ui import days
from protocols.models import Plan
from protocols.pages.course import cost_lines
from protocols.pages.reading import Reading

Data = dict[str, Any]


def day_of(value: Any) -> str:
    """Return a day as prints write it."""
    return days.written(value, "date")


def local(plan: Plan, at: datetime) -> datetime:
    """Return an instant on the wall of the patient's site."""
    return at.astimezone(plan.patient.site.tz)


def cost_rows(reading: Reading) -> list[Data]:
    """Return the lines of the estimate, as a print shows them."""
    return [{"words": words, "figure": figure, "factor": factor} for words, figure, factor in cost_lines(reading)]
