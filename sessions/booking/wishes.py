"""A patient's wish for another time: what it is about in words, and closing it with the time that was found."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidTransition
from sessions.models import Appointment, AppointmentStatus
from sessions.models.followups import Answer, AnswerOutcome, AnswerState
from sessions.times.words import weekday_and_time


def wished_time(wish: Answer) -> datetime | None:
    """Return the time that was wished; None for “please call me”."""
    said = wish.said.get("wish", "call")
    return None if said == "call" else datetime.fromisoformat(said)


def wish_in_words(wish: Answer, *, whole: bool = True) -> str:
    """Return the wish, the visit it is about and, as a ``whole``, the times that were offered, in the site's time."""
    visit = wish.appointment
    tz = (visit.site if visit is not None else wish.patient.site).tz

    def when(text: str) -> str:
        return weekday_and_time(datetime.fromisoformat(text).astimezone(tz))

    at, was = wished_time(wish), wish.said.get("was")
    if at is None:
        said = _("Wants to be called about another time")
        if was:
            said = _("Wants to be called about another time than %(was)s") % {"was": when(was)}
    elif was:
        said = _("Would rather come on %(day)s than on %(was)s") % {"day": when(at.isoformat()), "was": when(was)}
    else:
        said = _("Would rather come on %(day)s") % {"day": when(at.isoformat())}
    if whole and (offered := wish.said.get("offered")):
        said += ". " + _("Was offered: %(times)s") % {"times": "; ".join(when(text) for text in offered)}
    if visit is not None and (since := _changed_since(visit, was=was)):
        said += ". " + since
    return said


def _changed_since(visit: Appointment, *, was: str | None) -> str:
    """What became of the visit after the wish; empty where it is as it was."""
    if visit.status == AppointmentStatus.CANCELLED:
        return _("The visit is cancelled since.")
    if was and datetime.fromisoformat(was) != visit.starts_at:
        now = weekday_and_time(visit.starts_at.astimezone(visit.site.tz))
        return _("The visit was moved since, to %(when)s.") % {"when": now}
    return ""


def fulfil_wish(wish: Answer, *, by: User) -> None:
    """Close a wish for another time, in the transaction that gave the time."""
    now = timezone.now()
    open_ones = Answer.objects.filter(pk=wish.pk, state__in=AnswerState.OPEN)
    if not open_ones.update(
        state=AnswerState.CLOSED,
        outcome=AnswerOutcome.BOOKED,
        closed_at=now,
        closed_by=by,
        handler=wish.handler or by,
        responded_at=wish.responded_at or now,
    ):
        raise InvalidTransition(_("Somebody has just closed this answer."))
    trail.record(
        "answer.closed",
        by=by,
        target=wish,
        patient=wish.patient,
        details={"outcome": str(AnswerOutcome.BOOKED)},
    )
