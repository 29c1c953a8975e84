"""How the state of a visit is shown: the kind of its chip and its icon, the same on every page."""

from __future__ import annotations

from collections.abc import Mapping

from sessions.models import AppointmentStatus

VISIT_MARKS: Mapping[str, tuple[str, str]] = {
    AppointmentStatus.BOOKED: ("info", "cal"),
    AppointmentStatus.ARRIVED: ("accent", "door"),
    AppointmentStatus.DONE: ("ok", "check"),
    AppointmentStatus.NO_SHOW: ("warn", "warn"),
    AppointmentStatus.CANCELLED: ("", "x"),
}
