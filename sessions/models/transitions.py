"""Which state an appointment may take after which: one table. docs/reference/booking.md shows it."""

from collections.abc import Mapping

from sessions.models import AppointmentStatus

APPOINTMENT: Mapping[AppointmentStatus, frozenset[AppointmentStatus]] = {
    AppointmentStatus.BOOKED: frozenset(
        {
            AppointmentStatus.ARRIVED,
            AppointmentStatus.NO_SHOW,
            AppointmentStatus.CANCELLED,
            AppointmentStatus.DONE,
        }
    ),
    AppointmentStatus.ARRIVED: frozenset(
        {AppointmentStatus.BOOKED, AppointmentStatus.DONE, AppointmentStatus.CANCELLED}
    ),
    AppointmentStatus.NO_SHOW: frozenset({AppointmentStatus.BOOKED}),
    AppointmentStatus.DONE: frozenset(),
    AppointmentStatus.CANCELLED: frozenset(),
}
BY_HAND = frozenset({AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED, AppointmentStatus.NO_SHOW})
# DONE is reached by recording the session, CANCELLED by cancelling: both do more than change a word. A cancelled
# appointment is put back as it was, booked or arrived, only by undoing (``undo.py``), and only for a while.


def before(to: AppointmentStatus) -> list[AppointmentStatus]:
    """The states from which an appointment may reach ``to``."""
    return [status for status, following in APPOINTMENT.items() if to in following]
