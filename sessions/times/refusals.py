"""Why no time was found, or the one that was wanted is taken, in sentences with what to do."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import IntegrityError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.models import Site, User
from mesoclinic.core.errors import DomainError
from sessions import planner
from sessions.models import Appointment
from sessions.models.guards import PATIENT_FREE, PRACTITIONER_FREE, ROOM_FREE
from sessions.queries import live_appointments
from sessions.times.free_time import visits_in
from sessions.words import day_words, when_words


class NoTimeFree(DomainError):
    """The planner found no complete series; the sentence says which session failed and what to change.

    ``way`` are the fewest wishes to give up and what that gives, where that helps.
    """

    way: planner.Relaxation | None = None


class AlreadyTaken(DomainError):
    """The database refused the overlap."""


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
