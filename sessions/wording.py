"""Days and times in words, and the sentences for what the planner and the database refuse, in the active language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import IntegrityError
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.models import Site, User
from mesoclinic.errors import DomainError
from mesoclinic.ui import days
from sessions import planner
from sessions.availability import Obstacle
from sessions.free_time import visits_in
from sessions.guards import PATIENT_FREE, PRACTITIONER_FREE, ROOM_FREE
from sessions.models import Appointment, OverbookReason
from sessions.queries import live_appointments

if TYPE_CHECKING:
    from sessions.proposing import Series


class NoTimeFree(DomainError):
    """The planner found no complete series; the sentence says which session failed and what to change.

    ``way`` are the fewest wishes to give up and what that gives, where that helps.
    """

    way: planner.Relaxation | None = None


class AlreadyTaken(DomainError):
    """The database refused the overlap."""


def day_words(day: date | datetime) -> str:
    return days.written(day, "weekday_year")


def short_day(day: date | datetime) -> str:
    return days.written(day)


def time_words(at: datetime, site: Site) -> str:
    return date_format(at.astimezone(site.tz), "H:i")


def when_words(at: datetime, site: Site) -> str:
    local = at.astimezone(site.tz)
    return _("%(day)s at %(time)s") % {"day": day_words(local), "time": date_format(local, "H:i")}


def plain(number: Decimal) -> str:
    """Without trailing zeros and never as a power of ten: 10, 0.35."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# ------------------------------------------------------------------ the planner's proposal


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


# ------------------------------------------------------------------ the planner's refusals


def no_series(
    reason: planner.Reason,
    *,
    practitioner: User,
    site: Site,
    minutes: int,
    way: planner.Relaxation | None = None,
) -> NoTimeFree:
    refusal = _no_series(reason, practitioner=practitioner, site=site, minutes=minutes)
    if way is None:
        return refusal
    told = NoTimeFree(f"{refusal} {relaxed_words(way, site)}", field=refusal.field)
    told.way = way
    return told


def relaxed_words(way: planner.Relaxation, site: Site) -> str:
    """Which wish to give up, and what that gives."""
    wishes = {
        "practitioner": _("any practitioner"),
        "room": _("any room"),
        "weekdays": _("any weekday"),
        "hours": _("any hour"),
        "earliest": _("an earlier start"),
    }
    return _("It fits with %(wishes)s: from %(first)s to %(last)s.") % {
        "wishes": ", ".join(wishes[name] for name in way.wishes),
        "first": when_words(way.slots[0].starts_at, site),
        "last": when_words(way.slots[-1].starts_at, site),
    }


def _no_series(reason: planner.Reason, *, practitioner: User, site: Site, minutes: int) -> NoTimeFree:
    names = {
        "practitioner": practitioner.name,
        "site": site.name,
        "number": reason.number,
        "minutes": minutes,
        "first": day_words(reason.first_day) if reason.first_day else "",
        "last": day_words(reason.last_day) if reason.last_day else "",
    }
    if reason.code == planner.NO_HOURS:
        return NoTimeFree(_("%(practitioner)s has no working hours at %(site)s.") % names, field="practitioner")
    if reason.code == planner.NO_ROOMS:
        return NoTimeFree(_("%(site)s has no room to treat in.") % names, field="room")
    if reason.code == planner.TOO_SHORT:
        return NoTimeFree(
            _("No block of %(practitioner)s’s hours at %(site)s is as long as the visit, %(minutes)s minutes.") % names,
            field="practitioner",
        )
    if reason.code == planner.WISHES_OUTSIDE_HOURS:
        return NoTimeFree(
            _("The wished days and hours never meet the working hours of %(practitioner)s. Allow more days or hours.")
            % names,
            field="weekdays",
        )
    if reason.code == planner.WINDOW_PASSED:
        return NoTimeFree(
            _(
                "Session %(number)s was due by %(last)s at the latest. After so long a gap the plan has to be reviewed "
                "before the course goes on."
            )
            % names
        )
    sentence = _("No complete series fits: session %(number)s finds no free time") % names
    if reason.first_day and reason.last_day:
        sentence += " " + _("between %(first)s and %(last)s") % names
    why = _tally(reason.tally)
    return NoTimeFree(sentence + (f" ({why}). " if why else ". ") + _("Relax a wish or choose another practitioner."))


def _tally(tally: Iterable[tuple[str, int]]) -> str:
    parts = []
    for code, count in tally:
        if code == "closed":
            parts.append(ngettext("closed on %(n)s day", "closed on %(n)s days", count) % {"n": count})
        elif code == "no_hours":
            parts.append(ngettext("no hours on %(n)s day", "no hours on %(n)s days", count) % {"n": count})
        elif code == "not_wished":
            parts.append(ngettext("%(n)s day not wished", "%(n)s days not wished", count) % {"n": count})
        elif code == "practitioner":
            parts.append(_("the practitioner is booked"))
        elif code == "room":
            parts.append(_("the rooms are taken"))
        elif code == "patient":
            parts.append(_("the patient has another appointment"))
        elif code == "interval":
            parts.append(
                ngettext(
                    "%(n)s day is too soon after an earlier treatment",
                    "%(n)s days are too soon after an earlier treatment",
                    count,
                )
                % {"n": count}
            )
    return ", ".join(parts)


# ------------------------------------------------------------------ the database's refusals


def overlap(error: IntegrityError, wanted: Iterable[Appointment]) -> AlreadyTaken | None:
    """The sentence for a refusal of the database; None when it was about something else. Ask after the rollback."""
    visits = list(wanted)
    if not visits:
        return None
    if any(guard.broken_by(error) for guard in (PRACTITIONER_FREE, ROOM_FREE, PATIENT_FREE)):
        return taken(visits)
    text = str(error)
    if "session_booked_once" in text or "treatment_sessions_appointment.number" in text:
        return AlreadyTaken(_("This session of the course is booked already."))
    if "treatment_sessions_course" in text:
        return AlreadyTaken(_("Somebody has just booked this course."))
    return None


def taken(visits: list[Appointment]) -> AlreadyTaken:
    """Who or what is taken, and when. Where several are, the same one on both engines: the practitioner first."""
    for column in ("practitioner", "room", "patient"):
        for visit in visits:
            who = getattr(visit, column)
            clash = _clash(visit, column)
            if clash is None:
                continue
            words = {"who": who, "when": when_words(clash.starts_at, visit.site)}
            if visit.starts_at >= clash.ends_at or clash.starts_at >= visit.ends_at:
                return AlreadyTaken(
                    _("%(who)s is taken around %(when)s: preparation and clean-up need the time between two visits.")
                    % words,
                    field="starts_at",
                )
            if column == "room":
                return AlreadyTaken(_("%(who)s is already taken on %(when)s.") % words, field="starts_at")
            return AlreadyTaken(_("%(who)s already has an appointment on %(when)s.") % words, field="starts_at")
    return AlreadyTaken(_("Somebody else was booking this time. Please look again."), field="starts_at")


def _clash(visit: Appointment, column: str) -> Appointment | None:
    """The first live visit that shares this with the wanted one; for all but the patient with the minutes around it."""
    if column == "patient":
        theirs = live_appointments().filter(patient=visit.patient_id).exclude(pk=visit.pk)
        return theirs.filter(starts_at__lt=visit.ends_at, ends_at__gt=visit.starts_at).order_by("starts_at").first()
    there = visits_in(visit.taken_from, visit.taken_until, **{column: getattr(visit, f"{column}_id")})
    return next((other for other in there if other.pk != visit.pk), None)


# ------------------------------------------------------------------ what stands against a time


def not_open(obstacle: Obstacle, *, starts_at: datetime, ends_at: datetime, who: User, site: Site) -> str:
    """Why the site or the practitioner is not there at this time."""
    words = {
        "site": site,
        "who": who,
        "day": day_words(obstacle.day),
        "why": obstacle.why,
        "start": time_words(starts_at, site),
        "end": time_words(ends_at, site),
    }
    if obstacle.code == "closed":
        return _("%(site)s is closed on %(day)s: %(why)s.") % words
    if obstacle.code == "away":
        return _("%(who)s is not there on %(day)s at this time: %(why)s.") % words
    if obstacle.code == "site_hours":
        return _("%(site)s is not open from %(start)s to %(end)s on %(day)s, or not long enough around it.") % words
    return _("%(who)s does not work at %(site)s from %(start)s to %(end)s on that day.") % words


def overbooked_words(visit: Appointment) -> str:
    """That it was booked over a taken time on purpose, and why; empty for an ordinary visit."""
    if not visit.overbooked:
        return ""
    why = str(visit.get_overbook_reason_display())
    if visit.overbook_note:
        why = visit.overbook_note if visit.overbook_reason == OverbookReason.OTHER else f"{why}, {visit.overbook_note}"
    return _("Overbooked: %(why)s") % {"why": why}
