"""Booking deliberately over a time that is taken: who may, why, and how far it goes.

The database keeps the rest: an overbooked visit may lie over ordinary visits of its practitioner and room, never over
another overbooked one of either, and never over one of the same patient.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from mesoclinic.core.errors import InvalidInput
from sessions.models import Appointment, OverbookReason
from sessions.permissions import check_can_overbook
from sessions.times.free_time import visits_in
from sessions.times.refusals import AlreadyTaken, taken


@dataclass(frozen=True, kw_only=True)
class Overbook:
    reason: str  # one of OverbookReason
    note: str = ""


def clashes_of(visit: Appointment) -> list[Appointment]:
    """The live visits whose practitioner or room this one would share, preparation and clean-up included."""
    there = visits_in(visit.taken_from, visit.taken_until, practitioner=visit.practitioner_id, room=visit.room_id)
    return [other for other in there if other.pk != visit.pk]


def settle_overbooking(visit: Appointment, *, overbook: Overbook | None, by: User) -> list[Appointment]:
    """Refuse a time that is taken; or mark the visit as deliberately booked over what is there, and give that back.

    To be asked under the locks of ``lock_time``, before the visit is written.
    """
    clashes = clashes_of(visit)
    if overbook is None:
        if clashes:
            raise taken([visit])
        visit.overbooked, visit.overbook_reason, visit.overbook_note = False, "", ""
        return []
    check_can_overbook(by)
    if overbook.reason not in OverbookReason.values:
        raise InvalidInput(_("Say why it has to be at this time."), field="overbook_reason")
    note = overbook.note.strip()[:200]
    if overbook.reason == OverbookReason.OTHER and not note:
        raise InvalidInput(_("Write the reason."), field="overbook_note")
    if not clashes:
        raise InvalidInput(_("This time is free. Book it the usual way."), field="time")
    if any(other.overbooked for other in clashes):
        raise twice_already()
    visit.overbooked, visit.overbook_reason, visit.overbook_note = True, overbook.reason, note
    return clashes


def check_not_taken(visit: Appointment) -> None:
    """Refuse what another course has taken. ``settle`` is the whole answer; this is what it mostly comes down to."""
    if any(other.course_id != visit.course_id for other in clashes_of(visit)):
        raise taken([visit])


def twice_already() -> AlreadyTaken:
    return AlreadyTaken(_("This time is booked twice already. Two visits at once are the most."), field="time")


def told_over(visit: Appointment, clashes: list[Appointment]) -> dict[str, object]:
    """For the audit event: the reason, and the visits it was booked over. Nothing for an ordinary visit."""
    if not visit.overbooked:
        return {}
    return {
        "overbooked": visit.overbook_reason,
        "note": visit.overbook_note,
        "over": [str(other.public_id) for other in clashes],
    }
