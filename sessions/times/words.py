"""A proposed series in words, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.models import Site
from mesoclinic.ui import days
from sessions import planner

if TYPE_CHECKING:
    from sessions.times.propose import Series


@dataclass(frozen=True, kw_only=True)
class Option:
    """Another time for one session, as one click."""

    value: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ProposalRow:
    slot: planner.Slot
    starts_at: datetime
    ends_at: datetime
    room: str
    practitioner: str
    value: str  # what the page sends for this time
    options: list[Option]
    gap: int | None  # days after the session before
    low: int
    high: int
    as_planned: bool
    why: str


def proposal_rows(series: Series, *, site: Site, names: Mapping[int, str]) -> list[ProposalRow]:
    """Each proposed session with its gap and, where it is not simply as planned, why."""
    rows: list[ProposalRow] = []
    staying = [*series.kept, *series.carried]
    previous = staying[-1].starts_at.astimezone(site.tz) if staying else None
    for slot in series.slots:
        usual = series.slots[0]
        start = slot.starts_at.astimezone(site.tz)
        pace = series.terms.gap(slot.number)
        gap = (start.date() - previous.date()).days if previous else None
        off = gap - pace.gap_ideal if gap is not None else 0
        remarks = []
        if off:
            later = ngettext("%(n)s day later than ideal", "%(n)s days later than ideal", off) % {"n": off}
            sooner = ngettext("%(n)s day sooner than ideal", "%(n)s days sooner than ideal", -off) % {"n": -off}
            remarks.append(later if off > 0 else sooner)
        if start.time() != usual.starts_at.astimezone(site.tz).time():
            remarks.append(_("another hour: the usual one is taken"))
        if slot.practitioner != usual.practitioner:
            remarks.append(_("another practitioner: the usual one is not free"))
        if slot.room != usual.room:
            remarks.append(_("another room: the usual one is taken"))
        odd = bool(remarks)
        if previous and previous.utcoffset() != start.utcoffset():
            remarks.append(_("clocks change before, %(time)s stays %(time)s") % {"time": date_format(start, "H:i")})
        if not odd:
            remarks.insert(0, _("First free time") if gap is None else _("As planned"))
        rows.append(
            ProposalRow(
                slot=slot,
                starts_at=start,
                ends_at=slot.ends_at.astimezone(site.tz),
                room=names.get(slot.room, ""),
                practitioner=series.people[slot.practitioner].name,
                value=slot_value(slot),
                options=[
                    Option(
                        value=slot_value(other),
                        text=_option_words(other, slot, series=series, site=site, names=names),
                    )
                    for other in series.options.get(slot.number, ())
                ],
                gap=gap,
                low=pace.gap_min,
                high=pace.gap_max,
                as_planned=not odd,
                why="; ".join(remarks),
            )
        )
        previous = start
    return rows


def slot_value(slot: planner.Slot) -> str:
    return f"{slot.starts_at.isoformat()} {slot.practitioner} {slot.room}"


def weekday_and_time(at: datetime) -> str:
    """Tue 24 Nov 10:15, of a time that is the site's already."""
    return f"{days.written(at, 'weekday')} {date_format(at, 'H:i')}"


def _option_words(
    other: planner.Slot, slot: planner.Slot, *, series: Series, site: Site, names: Mapping[int, str]
) -> str:
    words = weekday_and_time(other.starts_at.astimezone(site.tz))
    if other.practitioner != slot.practitioner:
        words += f", {series.people[other.practitioner].name}"
    if other.room != slot.room:
        words += f", {names.get(other.room, '')}"
    return words
